"""The dual of the linear support vector machine."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from fejer.evidence import EMPTY, Array, Certificate, failed
from fejer.jit import kernel
from fejer.numerics.matrix import Matrix
from fejer.problem import Problem, as_number
from fejer.problems.forms import Blockwise, LinearForm

from ._checks import as_data, as_labels, as_weights, is_scalar
from ._design import frozen
from ._instances import random_regression
from ._squares import FOUR_U, OUTSIDE

if TYPE_CHECKING:
    import cvxpy

__all__ = ["SVMDual"]


@dataclass(frozen=True, eq=False, repr=False)
class SVMDual(Blockwise, Problem):
    """Dual of the linear support vector machine with hinge loss and without a constant.

    ``min over 0 <= alpha <= C of 1/2 ||sum_i alpha_i y_i x_i||^2 - sum_i alpha_i``, the dual of
    ``min over w of 1/2 ||w||^2 + sum_i C_i max(0, 1 - y_i x_i'w)``.

    Parameters
    ----------
    X : array_like or sparse matrix, shape (n, p)
        Samples, one in each row. For a constant, add a column of ones (it is then penalised).
    y : array_like, shape (n,)
        Labels -1 and +1, both present.
    C : float or array_like, shape (n,)
        Positive upper bounds: the price of a unit of hinge loss.

    Raises
    ------
    ProblemError
        A field is not as described; the message names it.

    Notes
    -----
    Variable: alpha. ``fun`` is the objective above, at most 0.

    Certificate: the duality gap between alpha and ``w = sum_i alpha_i y_i x_i``, rigorous, over the
    modulus of the dual objective (inf where that is 0). For separable data and large C the gap of w
    itself is C times rounding, so that w is lengthened by up to 1e-6 where that helps.

    Each method sees it as least squares: the columns of the data are ``y_i x_i``, the target is 0,
    and the linear term is a penalty of weight -1 on ``|alpha_i|``, over ``alpha >= 0``.

    One pass over the data is n units of work, a certificate two passes.

    References
    ----------
    .. [1] C.-J. Hsieh, K.-W. Chang, C.-J. Lin, S. Keerthi, S. Sundararajan (2008). A dual
       coordinate descent method for large-scale linear SVM, International Conference on Machine
       Learning.

    Examples
    --------
    >>> import fejer
    >>> problem = fejer.SVMDual([[1.0, 0.0], [-1.0, 0.0]], [1, -1], C=10.0)
    >>> result = fejer.minimize(problem)
    >>> result.coef, round(result.fun, 9)
    (array([1., 0.]), -0.5)
    """

    X: Matrix | Any
    y: Array
    C: float | Array

    views = ("support", "coef", "intercept")

    def __post_init__(self) -> None:
        X, y = as_data(self.X, self.y)
        scalar = self.C is None or is_scalar(self.C)
        self.set(
            X=X,
            y=as_labels(y),
            C=as_number(self.C, "C", above=0, least=1e-100, most=1e100)
            if scalar
            else as_weights(self.C, "C", X.shape[0], finite=True),
        )

    @property
    def _upper(self) -> Array:
        return np.broadcast_to(np.asarray(self.C, dtype=np.float64), self.y.shape)

    def form(self) -> LinearForm:
        """Return the problem as least squares with a linear term."""
        return self.fact("form", ("X", "y", "C"), self._form)  # type: ignore[no-any-return]

    def _form(self) -> LinearForm:
        from scipy.sparse import csc_array

        n, p = self.X.shape
        Z: Any
        if self.X.is_sparse:
            Z = csc_array(self.X.tosparse().multiply(self.y[:, None]).T)
        else:
            Z = np.asfortranarray((self.X.dense * self.y[:, None]).T)
        return LinearForm(
            X=Matrix.of(Z, "X"),
            y=frozen(np.zeros(p)),
            loss="squared",
            l1=frozen(np.full(n, -1.0)),
            l2=frozen(np.zeros(n)),
            lower=frozen(np.zeros(n)),
            upper=frozen(np.array(self._upper)),
        )

    def initial_point(self) -> Array:
        """Return 0."""
        return np.zeros(self.y.size)

    def certificate(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> Certificate:
        """Judge ``x`` by a duality gap; no witness is needed, and none is looked at."""
        kind, upper = "duality gap", self._upper
        alpha = np.clip(x, 0.0, upper)
        outside = float((np.abs(x - alpha) / upper).max())
        if outside > OUTSIDE:
            return failed(kind, f"x leaves its bounds by {outside:.3g} (relative)")
        Z = self.form().X
        w = Z.matvec(alpha)
        margins = Z.rmatvec(w)
        square, total = float(w @ w), float(alpha.sum())
        dual = total - 0.5 * square
        if not dual > 0.0:
            return failed(kind, "the dual objective is not above that of 0", -dual)
        primal = best_primal(margins, upper, square)
        sizes = np.sqrt(Z.column_sq_norms())
        error = FOUR_U * float(sizes @ alpha)  # of w
        floor = math.sqrt(square) * error + FOUR_U * (total + square + primal)
        floor += float(upper[margins < 1.0] @ sizes[margins < 1.0]) * error
        value = (max(primal - dual, 0.0) + floor) / dual + outside
        return Certificate(
            kind,
            value,
            -dual,
            True,
            scale=dual,
            reason="" if value < math.inf else "overflow",
            lower_bound=-primal - floor,
            details={"primal": primal, "gap": primal - dual, "floor": floor / dual},
        )

    def auto(self) -> tuple[str, ...]:
        """Return Newton's method on the free samples, then coordinate descent."""
        return ("svm-newton", "bcd", "fista")

    @property
    def unit(self) -> int:
        """Units of work in one pass: one for each sample."""
        return self.y.size

    @property
    def judge_units(self) -> int:
        """Two passes."""
        return 2 * self.unit

    def coef(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> Array:
        """Return the primal solution w."""
        return self.form().X.matvec(np.clip(x, 0.0, self._upper))

    def support(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> NDArray[np.intp]:
        """Return the indices of the support vectors."""
        return np.flatnonzero(x > 0.0)

    def intercept(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> float:
        """Return 0: no constant is fitted."""
        return 0.0

    def to_cvxpy(self) -> cvxpy.Problem:
        """Return the same problem as a cvxpy model; its variable is "alpha"."""
        from ._models import oracle

        cvxpy = oracle()
        alpha = cvxpy.Variable(self.y.size, name="alpha")
        w = self.form().X.native @ alpha
        objective = 0.5 * cvxpy.sum_squares(w) - cvxpy.sum(alpha)
        return cvxpy.Problem(cvxpy.Minimize(objective), [alpha >= 0, alpha <= self._upper])

    @classmethod
    def random(
        cls, n: int = 60, p: int = 10, C: float = 0.1, snr: float = 2.0, *, seed: int = 0
    ) -> Self:
        """Draw correlated Gaussian samples with the signs of a noisy linear function.

        Parameters
        ----------
        n, p : int
            Samples and features.
        C : float, default 0.1
            Upper bound.
        snr : float, default 2
            Norm of the signal over the norm of the noise.
        seed : int, default 0
            Of the generator.
        """
        X, y = random_regression(n, p, 0.5, 0.3, snr, seed)
        return cls(X, np.where(y > 0, 1.0, -1.0), C)


@kernel
def best_primal(margins, upper, square):
    """Least ``1/2 t^2 ||w||^2 + sum_i C_i max(0, 1 - t m_i)`` over t = 1 and 1 + 2^-52 .. 2^-20."""
    best = math.inf
    for trial in range(34):
        t = 1.0 if trial == 0 else 1.0 + 2.0 ** (trial - 53)
        value = 0.5 * t * t * square
        for i in range(margins.size):
            short = 1.0 - t * margins[i]
            if short > 0.0:
                value += upper[i] * short
        best = min(best, value)
    return best
