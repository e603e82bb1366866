"""Multinomial logistic regression with an l1 or elastic-net penalty."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from fejer.evidence import EMPTY, Array
from fejer.numerics.matrix import Matrix
from fejer.problems.forms import LinearForm

from ._checks import as_classes
from ._instances import random_regression
from ._linear_models import PenalisedModel
from ._softmax import Softmax

if TYPE_CHECKING:
    import cvxpy

__all__ = ["SparseMultinomial"]


@dataclass(frozen=True, eq=False, repr=False)
class SparseMultinomial(PenalisedModel):
    """Multinomial regression with an l1 penalty, with weights, intercepts and sample weights.

    ``min over B (and b) of sum_i s_i (log sum_k exp(z_ik) - z_{i, y_i})
    + lam sum_jk weights_j (rho |B_jk| + (1 - rho)/2 B_jk^2)``, ``z_ik = x_i'B_k + b_k``, rho =
    ``l1_ratio``, s = ``sample_weight``.

    Parameters
    ----------
    X : array_like or sparse matrix, shape (n, p)
        Features; float64 in Fortran order, or CSC, is taken without a copy.
    y : array_like of int, shape (n,)
        Classes 0 .. K - 1, K >= 2, each present.
    lam : float
        Weight of the penalty, at least 0.
    l1_ratio : float, default 1
        rho in [0, 1].
    weights : array_like, shape (p,), optional
        Positive weights of the features in the penalty; inf excludes a feature. Default: ones.
    fit_intercept : bool, default False
        Fit the constants b, one for each class, which are not penalised.
    sample_weight : array_like, shape (n,), optional
        Positive weights s of the samples. Default: ones.
    scale : {"sum", "mean"}, default "sum"
        "mean" divides the loss by ``sum_i s_i``. With "sum", ``lam = 1/C`` of scikit-learn.

    Raises
    ------
    ProblemError
        A field is not as described; the message names it, and the classes that were found.

    Notes
    -----
    Variable: B feature by feature (``B_jk`` at ``j K + k``), then the K constants where they are
    fitted. No class is the reference: the penalty settles what the loss leaves open, and of the
    constants only the differences matter.

    Certificate: the duality gap, rigorous. With the probabilities P at B and the constants that are
    best for B (found by the judge, in Newton steps), ``q_i = (1 - t) e_{y_i} + t p_i`` is a dual
    point: ``sum_i s_i H(q_i) - sum_jk max_v (t c_jk v - penalty_jk(v))``, H the entropy, ``C =
    X's(Y - P)``, v within the sublevel set; the better of two t counts. Scale: ``min(null, max(F,
    1e-6 null))``, null the objective at B = 0 with the best constants (n log K without). With
    ``lam=0`` the kind is "projected decrement", ``g'H^+g`` over the scale with normalised columns,
    which is not rigorous; beyond 1500 coefficients it is the scaled gradient.

    One pass over the data is p K units of work, a certificate two passes.

    References
    ----------
    .. [1] J. Friedman, T. Hastie, R. Tibshirani (2010). Regularization paths for generalized
       linear models via coordinate descent, Journal of Statistical Software 33(1).
    .. [2] D. Boehning (1992). Multinomial logistic regression algorithm, Annals of the Institute
       of Statistical Mathematics 44, 197-200.

    Examples
    --------
    >>> import fejer
    >>> problem = fejer.SparseMultinomial.random()
    >>> result = fejer.minimize(problem)
    >>> result.success, result.coef.shape
    (True, (20, 3))
    """

    X: Matrix | Any
    y: Array
    lam: float
    l1_ratio: float = 1.0
    weights: Array | None = None
    fit_intercept: bool = False
    sample_weight: Array | None = None
    scale: str = "sum"

    _judge_class = Softmax

    def __post_init__(self) -> None:
        self._check()
        self.set(y=as_classes(self.y))

    @property
    def n_classes(self) -> int:
        """K, the number of classes."""
        return int(self.y.max()) + 1

    _each = n_classes

    def _form(self) -> LinearForm:
        return self._penalised("multinomial", n_classes=self.n_classes)

    @property
    def unit(self) -> int:
        """Units of work in one pass: one for each coefficient."""
        return self.X.shape[1] * self.n_classes

    def coef(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> Array:
        """Return B, shape (p, K)."""
        return x[: self.unit].reshape(-1, self.n_classes)

    def support(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> NDArray[np.intp]:
        """Return the indices of the features with a nonzero coefficient."""
        return np.flatnonzero(self.coef(x).any(axis=1))

    def intercept(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> Array:
        """Return the K constants; zeros where none are fitted."""
        return x[self.unit :] if self.fit_intercept else np.zeros(self.n_classes)

    def to_cvxpy(self) -> cvxpy.Problem:
        """Return the same problem as a cvxpy model; its variables are "B" and, if free, "b"."""
        from ._models import oracle

        cvxpy, form, K = oracle(), self.form(), self.n_classes
        B = cvxpy.Variable((self.X.shape[1], K), name="B")
        Z: Any = self.X.native @ B
        if self.fit_intercept:
            b = cvxpy.Variable((1, K), name="b")
            Z = Z + np.ones((self.y.size, 1)) @ b
        s = np.ones(self.y.size) if self.sample_weight is None else self.sample_weight
        Y = np.eye(K)[self.y.astype(int)]
        objective = s @ cvxpy.log_sum_exp(Z, axis=1) - cvxpy.sum(cvxpy.multiply(s[:, None] * Y, Z))
        l1, l2, upper = (part.reshape(-1, K) for part in (form.l1, form.l2, form.upper))
        objective += cvxpy.sum(cvxpy.multiply(l1, cvxpy.abs(B)))
        if l2.any():
            objective += 0.5 * cvxpy.sum_squares(cvxpy.multiply(np.sqrt(l2), B))
        excluded = upper[:, 0] == 0.0
        constraints = [B[np.flatnonzero(excluded)] == 0] if excluded.any() else []
        return cvxpy.Problem(cvxpy.Minimize(objective / self._per), constraints)

    @classmethod
    def random(
        cls,
        n: int = 60,
        p: int = 20,
        n_classes: int = 3,
        ratio: float = 0.2,
        density: float = 0.2,
        correlation: float = 0.3,
        snr: float = 3.0,
        *,
        seed: int = 0,
        **fields: Any,
    ) -> Self:
        """Draw correlated Gaussian features and the largest of some noisy sparse signals.

        Parameters
        ----------
        n, p, n_classes : int
            Samples, features and classes.
        ratio : float, default 0.2
            ``lam`` over ``lam_max()``.
        density : float, default 0.2
            Share of nonzero coefficients of each signal.
        correlation : float, default 0.3
            Of neighbouring features.
        snr : float, default 3
            Norm of the signal over the norm of the noise.
        seed : int, default 0
            Of the generator.
        **fields
            Other fields of the class.
        """
        X, first = random_regression(n, p, density, correlation, snr, seed)
        rng = np.random.default_rng([seed, 1])
        B = rng.standard_normal((p, n_classes)) * (rng.random((p, n_classes)) < density)
        signals = X @ B
        size = float(np.std(signals)) or 1.0
        signals += size / snr * rng.standard_normal(signals.shape)
        signals[:, 0] += first * size / (float(np.std(first)) or 1.0)
        y = np.argmax(signals, axis=1)
        y[:n_classes] = np.arange(n_classes)  # each is present
        problem = cls(X, y.astype(np.float64), 1.0, **fields)
        return problem.replace(lam=ratio * problem.lam_max()) if problem.l1_ratio else problem
