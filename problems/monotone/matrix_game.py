"""Matrix games."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from fejer.errors import missing

from ._games import Game

if TYPE_CHECKING:
    import cvxpy

__all__ = ["MatrixGame"]


@dataclass(frozen=True, eq=False)
class MatrixGame(Game):
    """Two-person zero-sum game in mixed strategies.

    ``min over p in the simplex of R^n, max over q in the simplex of R^m, of q'A p``.

    Parameters
    ----------
    A : array_like or sparse matrix, shape (m, n)
        What the minimiser, who chooses columns, pays to the maximiser, who chooses rows.

    Raises
    ------
    ProblemError
        A is not a matrix of finite real numbers.

    Notes
    -----
    The variable is ``(p, q)``, of length n + m; `result.minimizer` and `result.maximizer` are its
    parts.

    Certificate: the exact duality gap ``(max(A p) - q'A p) + (q'A p - min(A'q))`` divided by the
    median of the nonzero moduli of ``A - median(A)``, so that constants added to A and units of A
    do not count, plus rounding floor and distance from the simplices; beyond 1e-9 from them it is
    infinite. Rigorous: the gap bounds what either player can gain. ``lower_bound`` and
    ``details["upper_bound"]`` enclose the value of the game.

    Methods for inclusions step with the constant of the doubly centred matrix (its row and column
    means removed), which may be a hundred times below the norm of A.

    References
    ----------
    .. [1] von Neumann (1928), Zur Theorie der Gesellschaftsspiele, Math. Ann. 100.
    .. [2] Nemirovski (2004), Prox-method with rate of convergence O(1/t) for variational
       inequalities with Lipschitz continuous monotone operators and smooth convex-concave saddle
       point problems, SIAM J. Optim. 15.

    Examples
    --------
    Rock, paper, scissors, where rock against rock costs 1:

    >>> import fejer
    >>> game = fejer.MatrixGame([[1, -1, 1], [1, 0, -1], [-1, 1, 0]])
    >>> result = fejer.minimize(game, tol=1e-8)
    >>> result.success, round(result.fun, 6), result.minimizer.round(4)
    (True, 0.111111, array([0.3333, 0.4444, 0.2222]))
    """

    A: npt.ArrayLike

    mu_x: ClassVar[float] = 0.0  # type: ignore[misc]
    mu_y: ClassVar[float] = 0.0  # type: ignore[misc]

    def __post_init__(self) -> None:
        self.set(A=self.checked_matrix())

    def to_cvxpy(self) -> cvxpy.Problem:
        """Return the linear program of the minimiser as a cvxpy model."""
        try:
            import cvxpy
        except ImportError as error:
            raise missing("cvxpy", "to_cvxpy", "oracle") from error
        cp: Any = cvxpy  # its names are not declared for type checkers
        A: Any = self.A
        p, v = cp.Variable(A.shape[1]), cp.Variable()
        held = A.tosparse() if A.is_sparse else A.toarray()
        return cp.Problem(cp.Minimize(v), [held @ p <= v, p >= 0, cp.sum(p) == 1])  # type: ignore[no-any-return]

    @classmethod
    def random(cls, rows: int = 4, columns: int = 5, *, seed: int = 0) -> Self:
        """Draw a game with independent standard normal payoffs.

        Parameters
        ----------
        rows, columns : int, default 4 and 5
            Numbers of pure strategies.
        seed : int, default 0
            Seed of the generator.

        Returns
        -------
        MatrixGame

        Examples
        --------
        >>> import fejer
        >>> fejer.MatrixGame.random(3, 4).size
        7
        """
        return cls(np.random.default_rng(seed).standard_normal((rows, columns)))
