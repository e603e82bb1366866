"""Least squares over a box."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from fejer.evidence import Array
from fejer.numerics.matrix import Matrix
from fejer.problem import as_number
from fejer.problems.forms import LinearForm

from ._checks import as_bound, as_data, as_scale, check_order, spread
from ._design import frozen
from ._linear_models import LinearModel
from ._squares import Squares

if TYPE_CHECKING:
    import cvxpy

__all__ = ["BoxLeastSquares"]


@dataclass(frozen=True, eq=False, repr=False)
class BoxLeastSquares(LinearModel):
    """Least squares over a box, nonnegative least squares by default.

    ``min over w of 1/2 ||X w - y||^2 + lam sum_j |w_j|``, ``lower <= w <= upper``.

    Parameters
    ----------
    X : array_like or sparse matrix, shape (n, p)
        Features; float64 in Fortran order, or CSC, is taken without a copy.
    y : array_like, shape (n,)
        Targets.
    lam : float, default 0
        Weight of the penalty, at least 0; over ``w >= 0`` the penalty is ``lam sum_j w_j``.
    lower, upper : float or array_like, shape (p,)
        Bounds, 0 and inf by default; infinities leave a side open.
    scale : {"sum", "mean"}, default "sum"
        "mean" divides the loss by n.

    Raises
    ------
    ProblemError
        A field is not as described; the message names it.

    Notes
    -----
    Variable: w.

    Certificate: the duality gap, rigorous, over ``min(null, max(F, 1e-6 null))``, null the
    objective at 0 projected on the box; ``details["gap_over_null"]`` is the gap over null. With
    ``lam=0`` and an open side the dual point is the residual projected off the span of the free
    columns, by a singular value decomposition of them (remembered while the free columns stay the
    same); where these have more than 4e7 entries the kind is "projected residual", which is not
    rigorous. Infinite bounds on all sides make it ordinary least squares.

    One pass over the data is p units of work, a certificate two passes.

    References
    ----------
    .. [1] C. L. Lawson, R. J. Hanson (1974). Solving least squares problems, Prentice-Hall.
    .. [2] J. Nutini, I. Laradji, M. Schmidt (2022). Let's make block coordinate descent converge
       faster, Journal of Machine Learning Research 23(131), arXiv:1712.08859.

    Examples
    --------
    >>> import fejer
    >>> problem = fejer.BoxLeastSquares([[1.0, 0.0], [0.0, 1.0]], [3.0, -0.5])
    >>> fejer.minimize(problem).x
    array([3., 0.])
    """

    X: Matrix | Any
    y: Array
    lam: float = 0.0
    lower: float | Array = 0.0
    upper: float | Array = np.inf
    scale: str = "sum"

    _judge_class = Squares

    def __post_init__(self) -> None:
        X, y = as_data(self.X, self.y)
        p = X.shape[1]
        lower = -np.inf if self.lower is None else self.lower
        upper = np.inf if self.upper is None else self.upper
        self.set(
            X=X,
            y=y,
            lam=as_number(self.lam, "lam", least=0, most=1e100),
            lower=as_bound(lower, "lower", p, np.inf),
            upper=as_bound(upper, "upper", p, -np.inf),
            scale=as_scale(self.scale),
        )
        check_order(spread(self.lower, 0.0, p), spread(self.upper, 0.0, p))

    def _form(self) -> LinearForm:
        p = self.X.shape[1]
        return LinearForm(
            X=self.X,
            y=self.y,
            loss="squared",
            l1=frozen(np.full(p, self.lam * self._per)),
            l2=frozen(np.zeros(p)),
            lower=frozen(spread(self.lower, 0.0, p)),
            upper=frozen(spread(self.upper, np.inf, p)),
        )

    def initial_point(self) -> Array:
        """Return 0, projected on the box."""
        return np.array(self._judge().start)

    def lam_max(self) -> float:
        """Return the smallest ``lam`` for which 0, projected on the box, is the solution."""
        squares = self._judge()
        form, at, c = squares.form, squares.start, squares.null_corr
        up = np.where((at < form.upper) & (at >= 0.0), c, 0.0)
        down = np.where((at > form.lower) & (at <= 0.0), -c, 0.0)
        return max(float(np.maximum(up, down).max()), 0.0) / self._per

    def auto(self) -> tuple[str, ...]:
        """Return working sets by Newton, then coordinate descent."""
        return ("working-set-newton", "bcd", "fista")

    def to_cvxpy(self) -> cvxpy.Problem:
        """Return the same problem as a cvxpy model."""
        from ._models import squares_model

        return squares_model(self.form(), self._per)

    @classmethod
    def random(
        cls,
        n: int = 60,
        p: int = 30,
        lam: float = 0.0,
        lower: float = 0.0,
        upper: float = np.inf,
        *,
        seed: int = 0,
    ) -> Self:
        """Draw Gaussian features and a signal that the box cuts at about half of its entries.

        Parameters
        ----------
        n, p : int
            Samples and features.
        lam, lower, upper : float
            As in the class.
        seed : int, default 0
            Of the generator.
        """
        rng = np.random.default_rng(seed)
        X = np.asfortranarray(rng.standard_normal((n, p)))
        y = X @ rng.standard_normal(p) + 0.3 * rng.standard_normal(n)
        return cls(X, y, lam, lower, upper)
