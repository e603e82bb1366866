"""Logistic regression with an l1 or elastic-net penalty."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from fejer.evidence import Array
from fejer.numerics.matrix import Matrix
from fejer.problems.forms import LinearForm

from ._checks import as_labels
from ._instances import random_regression
from ._linear_models import PenalisedModel
from ._logits import Logits

if TYPE_CHECKING:
    import cvxpy

__all__ = ["SparseLogistic"]


@dataclass(frozen=True, eq=False, repr=False)
class SparseLogistic(PenalisedModel):
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

    _judge_class = Logits

    def __post_init__(self) -> None:
        self._check()
        self.set(y=as_labels(self.y))

    def _form(self) -> LinearForm:
        return self._penalised("logistic")

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
