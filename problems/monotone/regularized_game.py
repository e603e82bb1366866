"""Matrix games with quadratic regularisation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from fejer.problem import as_number

from ._games import Game

__all__ = ["RegularizedGame"]


@dataclass(frozen=True, eq=False)
class RegularizedGame(Game):
    """Two-person game whose players pay for deviating from uniform play.

    ``min over p in the simplex of R^n, max over q in the simplex of R^m, of
    q'A p + mu_x/2 ||p||^2 - mu_y/2 ||q||^2``.

    Parameters
    ----------
    A : array_like or sparse matrix, shape (m, n)
        What the minimiser, who chooses columns, pays to the maximiser, who chooses rows.
    mu_x, mu_y : float
        Positive weights of the two penalties, in the unit of A.

    Raises
    ------
    ProblemError
        Names the field that is not as described.

    Notes
    -----
    The variable is ``(p, q)``, of length n + m; `result.minimizer` and `result.maximizer` are its
    parts. The solution is unique.

    Certificate: the regret of each player against the exact best answer (a projection on the
    simplex), divided by ``s + mu_x`` and ``s + mu_y``, s the median of the nonzero moduli of
    ``A - median(A)``; plus rounding floor and distance from the simplices, infinite beyond 1e-9
    from them. Rigorous. ``lower_bound`` and ``details["upper_bound"]`` enclose the value.

    References
    ----------
    .. [1] Cen, Wei, Chi (2021), Fast policy extragradient methods for competitive games with
       entropy regularization, NeurIPS, arXiv:2105.15186.

    Examples
    --------
    >>> import fejer
    >>> game = fejer.RegularizedGame([[2.0, 0.0], [0.0, 1.0]], 0.1, 0.1)
    >>> result = fejer.minimize(game, tol=1e-9)
    >>> result.success, result.minimizer.round(4)
    (True, array([0.323, 0.677]))
    """

    A: npt.ArrayLike
    mu_x: float
    mu_y: float

    def __post_init__(self) -> None:
        weights = {k: as_number(getattr(self, k), k, above=0, least=1e-100, most=1e100)
                   for k in ("mu_x", "mu_y")}  # fmt: skip
        self.set(A=self.checked_matrix(), **weights)

    @classmethod
    def random(
        cls, rows: int = 4, columns: int = 5, mu_x: float = 0.3, mu_y: float = 0.5, *, seed: int = 0
    ) -> Self:
        """Draw a game with independent standard normal payoffs.

        Parameters
        ----------
        rows, columns : int, default 4 and 5
            Numbers of pure strategies.
        mu_x, mu_y : float, default 0.3 and 0.5
            The penalties.
        seed : int, default 0
            Seed of the generator.

        Returns
        -------
        RegularizedGame

        Examples
        --------
        >>> import fejer
        >>> fejer.RegularizedGame.random(3, 4).size
        7
        """
        A = np.random.default_rng(seed).standard_normal((rows, columns))
        return cls(A, mu_x, mu_y)
