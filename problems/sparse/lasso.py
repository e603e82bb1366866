"""Least squares with an l1 or elastic-net penalty."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from fejer.errors import ProblemError
from fejer.evidence import Array
from fejer.numerics.matrix import Matrix
from fejer.problems.forms import LinearForm

from ._checks import as_bound, as_flag, check_order, spread
from ._instances import random_regression
from ._linear_models import PenalisedModel
from ._squares import Squares

if TYPE_CHECKING:
    import cvxpy

__all__ = ["Lasso"]


@dataclass(frozen=True, eq=False, repr=False)
class Lasso(PenalisedModel):
    """Lasso and elastic net, with weights, bounds, an intercept and sample weights.

    ``min over w (and b) of 1/2 sum_i s_i (y_i - x_i'w - b)^2
    + lam sum_j weights_j (rho |w_j| + (1 - rho)/2 w_j^2)``, ``lower <= w <= upper``,
    rho = ``l1_ratio``, s = ``sample_weight``.

    Parameters
    ----------
    X : array_like or sparse matrix, shape (n, p)
        Features; float64 in Fortran order, or CSC, is taken without a copy.
    y : array_like, shape (n,)
        Targets.
    lam : float
        Weight of the penalty, at least 0.
    l1_ratio : float, default 1
        rho in [0, 1]: 1 is the Lasso, 0 ridge regression.
    weights : array_like, shape (p,), optional
        Positive weights of the coefficients in the penalty; inf excludes a feature. Default: ones.
    positive : bool, default False
        Ask for ``w >= 0``.
    lower, upper : float or array_like, shape (p,), optional
        Bounds of the coefficients; default: none.
    fit_intercept : bool, default False
        Fit the constant b, which is neither penalised nor bounded.
    sample_weight : array_like, shape (n,), optional
        Positive weights s of the samples. Default: ones.
    scale : {"sum", "mean"}, default "sum"
        "mean" divides the loss by ``sum_i s_i`` (n without weights), the convention of
        scikit-learn, whose ``alpha`` is then ``lam``.

    Raises
    ------
    ProblemError
        A field is not as described; the message names it.

    Notes
    -----
    Variable: the p coefficients, then b where it is fitted.

    Certificate: the duality gap, rigorous. The dual point is the better of two multiples of the
    residual; in the dual function each coefficient ranges over its bounds cut to the sublevel set,
    so that infinite, huge and missing bounds are all served. Scale: ``min(null, max(F, 1e-6
    null))``, null the objective at w = 0 (projected on the bounds) with the best constant;
    ``details["gap_over_null"]`` is the gap over null. With ``lam=0`` the dual point is the residual
    projected off the span of the free columns, by a singular value decomposition of them; where
    these have more than 4e7 entries the kind is "projected residual", which is not rigorous.
    With a constant, data are centred once; dense data are then copied, sparse ones are not.

    One pass over the data is p units of work, a certificate two passes.

    References
    ----------
    .. [1] R. Tibshirani (1996). Regression shrinkage and selection via the lasso, Journal of the
       Royal Statistical Society B 58, 267-288.
    .. [2] H. Zou, T. Hastie (2005). Regularization and variable selection via the elastic net,
       Journal of the Royal Statistical Society B 67, 301-320.

    Examples
    --------
    >>> import fejer
    >>> problem = fejer.Lasso([[1.0, 0.0], [0.0, 1.0]], [3.0, 0.5], lam=1.0)
    >>> result = fejer.minimize(problem)
    >>> result.x
    array([2., 0.])
    >>> result.support
    array([0])
    """

    X: Matrix | Any
    y: Array
    lam: float
    l1_ratio: float = 1.0
    weights: Array | None = None
    positive: bool = False
    lower: float | Array | None = None
    upper: float | Array | None = None
    fit_intercept: bool = False
    sample_weight: Array | None = None
    scale: str = "sum"

    _judge_class = Squares

    def __post_init__(self) -> None:
        _, p = self._check()
        self.set(
            positive=as_flag(self.positive, "positive"),
            lower=as_bound(self.lower, "lower", p, np.inf),
            upper=as_bound(self.upper, "upper", p, -np.inf),
        )
        lower, upper = self._box()
        if self.weights is not None:
            left_out = np.isinf(self.weights) & ((lower > 0) | (upper < 0))
            if left_out.any():
                j = int(np.argmax(left_out))
                raise ProblemError(f"weights: inf at [{j}], where the bounds exclude 0")

    def _box(self) -> tuple[Array, Array]:
        p = self.X.shape[1]
        lower, upper = spread(self.lower, -np.inf, p), spread(self.upper, np.inf, p)
        if self.positive:
            if (upper < 0).any():
                j = int(np.argmax(upper < 0))
                raise ProblemError(f"positive: upper is {upper[j]:g} at [{j}]")
            np.maximum(lower, 0.0, out=lower)
        check_order(lower, upper)
        return lower, upper

    def _form(self) -> LinearForm:
        return self._penalised("squared", self._box())

    def initial_point(self) -> Array:
        """Return the null model: w = 0, projected on the bounds, and the best constant."""
        squares = self._judge()
        return squares.best_point(squares.start)

    def lam_max(self) -> float:
        """Return the smallest ``lam`` for which the null model is the solution.

        Raises
        ------
        ProblemError
            ``l1_ratio=0``: there is none.
        """
        if self.l1_ratio == 0.0:
            raise ProblemError("lam: ridge regression (l1_ratio=0) has no largest value")
        squares = self._judge()
        form, at, c = squares.form, squares.start, squares.null_corr
        slope = self._weights() * (self.l1_ratio + (1.0 - self.l1_ratio) * np.abs(at))
        up = np.where((at < form.upper) & (at >= 0.0), c, 0.0)
        down = np.where((at > form.lower) & (at <= 0.0), -c, 0.0)
        largest = float((np.maximum(up, down) / slope).max())
        return max(largest, 0.0) / self._per

    def auto(self) -> tuple[str, ...]:
        """Return working sets by Newton, or by conjugate gradients for large sparse data."""
        large = self.X.is_sparse and min(self.X.shape) > 2000
        first = "working-set-cg" if large else "working-set-newton"
        return (first, "bcd", "fista")

    def to_cvxpy(self) -> cvxpy.Problem:
        """Return the same problem as a cvxpy model."""
        from ._models import squares_model

        return squares_model(self.form(), self._per)

    @classmethod
    def random(
        cls,
        n: int = 60,
        p: int = 40,
        ratio: float = 0.1,
        density: float = 0.2,
        correlation: float = 0.3,
        snr: float = 3.0,
        *,
        seed: int = 0,
        **fields: Any,
    ) -> Self:
        """Draw correlated Gaussian features and a sparse signal with noise.

        Parameters
        ----------
        n, p : int
            Samples and features.
        ratio : float, default 0.1
            ``lam`` over ``lam_max()``.
        density : float, default 0.2
            Share of nonzero coefficients of the signal.
        correlation : float, default 0.3
            Of neighbouring features.
        snr : float, default 3
            Norm of the signal over the norm of the noise.
        seed : int, default 0
            Of the generator.
        **fields
            Other fields of the class.
        """
        X, y = random_regression(n, p, density, correlation, snr, seed)
        problem = cls(X, y, 1.0, **fields)
        return problem.replace(lam=ratio * problem.lam_max()) if problem.l1_ratio else problem
