"""Logistic regression with an l1 or elastic-net penalty."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from fejer.errors import ProblemError
from fejer.evidence import EMPTY, Array, Certificate
from fejer.numerics.matrix import Matrix
from fejer.problem import Problem, as_number
from fejer.problems.forms import Blockwise, LinearForm

from ._checks import as_data, as_flag, as_labels, as_scale, as_weights
from ._design import frozen
from ._instances import random_regression
from ._logits import Logits

if TYPE_CHECKING:
    import cvxpy

__all__ = ["SparseLogistic"]


@dataclass(frozen=True, eq=False, repr=False)
class SparseLogistic(Blockwise, Problem):
    """Logistic regression with an l1 penalty, with weights, an intercept and sample weights.

    ``min over w (and b) of sum_i s_i log(1 + exp(-y_i (x_i'w + b)))
    + lam sum_j weights_j (rho |w_j| + (1 - rho)/2 w_j^2)``, rho = ``l1_ratio``, s =
    ``sample_weight``.

    Parameters
    ----------
    X : array_like or sparse matrix, shape (n, p)
        Features; float64 in Fortran order, or CSC, is taken without a copy.
    y : array_like, shape (n,)
        Labels -1 and +1, both present.
    lam : float
        Weight of the penalty, at least 0.
    l1_ratio : float, default 1
        rho in [0, 1].
    weights : array_like, shape (p,), optional
        Positive weights of the coefficients in the penalty; inf excludes a feature. Default: ones.
    fit_intercept : bool, default False
        Fit the constant b, which is not penalised.
    sample_weight : array_like, shape (n,), optional
        Positive weights s of the samples. Default: ones.
    scale : {"sum", "mean"}, default "sum"
        "mean" divides the loss by ``sum_i s_i``. With "sum", ``lam = 1/C`` of scikit-learn.

    Raises
    ------
    ProblemError
        A field is not as described; the message names it, and the labels that were found.

    Notes
    -----
    Variable: the p coefficients, then b where it is fitted.

    Certificate: the duality gap, rigorous. With ``q_i = 1/(1 + exp(y_i z_i))``, ``z = X w + b``,
    the dual function is ``sum_i s_i H(q_i) - sum_j max_v (c_j v - penalty_j(v))``, H the entropy of
    a coin, ``c = X'(s q y)``, v within the sublevel set; the better of two multiples of q counts.
    With a constant the larger class's q are shrunk until the classes balance. Scale: ``min(null,
    max(F, 1e-6 null))``, null the objective at w = 0 with the best constant (n log 2 without).
    With ``lam=0`` there is no dual point in general: the kind is "projected decrement", ``g'H^+g``
    over the scale with normalised columns, which is not rigorous; on separable data the objective
    then has no minimiser, and the value falls only with the objective itself.

    One pass over the data is p units of work, a certificate two passes.

    References
    ----------
    .. [1] K. Koh, S.-J. Kim, S. Boyd (2007). An interior-point method for large-scale
       l1-regularized logistic regression, Journal of Machine Learning Research 8, 1519-1555.

    Examples
    --------
    >>> import fejer
    >>> problem = fejer.SparseLogistic([[2.0, 0.1], [1.0, -0.2], [-1.5, 0.1]], [1, 1, -1], lam=0.5)
    >>> result = fejer.minimize(problem, method="bcd")
    >>> result.success, result.support
    (True, array([0]))
    """

    X: Matrix | Any
    y: Array
    lam: float
    l1_ratio: float = 1.0
    weights: Array | None = None
    fit_intercept: bool = False
    sample_weight: Array | None = None
    scale: str = "sum"

    views = ("support", "coef", "intercept")

    def __post_init__(self) -> None:
        X, y = as_data(self.X, self.y)
        n, p = X.shape
        self.set(
            X=X,
            y=as_labels(y),
            lam=as_number(self.lam, "lam", least=0, most=1e100),
            l1_ratio=as_number(self.l1_ratio, "l1_ratio", least=0, most=1),
            weights=as_weights(self.weights, "weights", p, finite=False),
            fit_intercept=as_flag(self.fit_intercept, "fit_intercept"),
            sample_weight=as_weights(self.sample_weight, "sample_weight", n, finite=True),
            scale=as_scale(self.scale),
        )

    @property
    def _per(self) -> float:
        """What "mean" divides the loss by."""
        if self.scale == "sum":
            return 1.0
        weights = self.sample_weight
        return float(self.X.shape[0] if weights is None else weights.sum())

    def form(self) -> LinearForm:
        """Return the problem in its standard form, in the scaling "sum"."""
        return self.fact("form", _FIELDS, self._form)  # type: ignore[no-any-return]

    def _form(self) -> LinearForm:
        p = self.X.shape[1]
        weights = np.ones(p) if self.weights is None else self.weights
        out = np.isinf(weights)
        weights = np.where(out, 0.0, weights)
        lam = self.lam * self._per
        return LinearForm(
            X=self.X,
            y=self.y,
            loss="logistic",
            l1=frozen(lam * self.l1_ratio * weights),
            l2=frozen(lam * (1.0 - self.l1_ratio) * weights),
            lower=frozen(np.where(out, 0.0, -np.inf)),
            upper=frozen(np.where(out, 0.0, np.inf)),
            intercept=self.fit_intercept,
            sample_weight=self.sample_weight,
        )

    def _logits(self) -> Logits:
        return self.fact(  # type: ignore[no-any-return]
            "logits", _FIELDS, lambda: Logits(self.form(), self._per)
        )

    def initial_point(self) -> Array:
        """Return the null model: w = 0 and the best constant."""
        w = np.zeros(self.X.shape[1])
        return np.append(w, self._logits().null_intercept) if self.fit_intercept else w

    def certificate(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> Certificate:
        """Judge ``x`` by a duality gap; no witness is needed, and none is looked at."""
        return self._logits().certificate(x)

    def lam_max(self) -> float:
        """Return the smallest ``lam`` for which the null model is the solution.

        Raises
        ------
        ProblemError
            ``l1_ratio=0``: there is none.
        """
        if self.l1_ratio == 0.0:
            raise ProblemError("lam: a ridge penalty (l1_ratio=0) has no largest value")
        weights = np.ones(self.X.shape[1]) if self.weights is None else self.weights
        steep = np.abs(self._logits().null_corr) / (weights * self.l1_ratio)
        return float(steep.max()) / self._per

    def auto(self) -> tuple[str, ...]:
        """Return Newton's method on working sets, then coordinate descent."""
        return ("prox-newton", "bcd", "fista")

    @property
    def unit(self) -> int:
        """Units of work in one pass: one for each column."""
        return self.X.shape[1]

    @property
    def judge_units(self) -> int:
        """Two passes; without a penalty the decomposition too."""
        return 2 * self.unit * (1 if self.lam > 0 else 1 + min(self.X.shape) // 16)

    def coef(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> Array:
        """Return the coefficients."""
        return x[: self.X.shape[1]]

    def support(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> NDArray[np.intp]:
        """Return the indices of the nonzero coefficients."""
        return np.flatnonzero(x[: self.X.shape[1]])

    def intercept(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> float:
        """Return the constant; 0 where none is fitted."""
        return float(x[-1]) if self.fit_intercept else 0.0

    def to_cvxpy(self) -> cvxpy.Problem:
        """Return the same problem as a cvxpy model."""
        from ._models import logistic_model

        return logistic_model(self.form(), self._per)

    @classmethod
    def random(
        cls,
        n: int = 60,
        p: int = 30,
        ratio: float = 0.2,
        density: float = 0.2,
        correlation: float = 0.3,
        snr: float = 3.0,
        *,
        seed: int = 0,
        **fields: Any,
    ) -> Self:
        """Draw correlated Gaussian features and the signs of a noisy sparse signal.

        Parameters
        ----------
        n, p : int
            Samples and features.
        ratio : float, default 0.2
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
        labels = np.where(y > np.median(y), 1.0, -1.0)
        problem = cls(X, labels, 1.0, **fields)
        return problem.replace(lam=ratio * problem.lam_max()) if problem.l1_ratio else problem


_FIELDS = tuple(field.name for field in fields(SparseLogistic))
