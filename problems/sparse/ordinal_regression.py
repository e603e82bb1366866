"""Regression on ordered classes whose hyperplanes are fused: cumulative logits, l1 differences."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from fejer.evidence import EMPTY, Array, Certificate, failed
from fejer.numerics.matrix import Matrix
from fejer.problem import Problem, as_number

from ._checks import as_classes, as_data
from ._design import frozen
from ._instances import random_regression
from ._ordered import BALANCED, Ordered
from ._squares import FOUR_U

if TYPE_CHECKING:
    import cvxpy

__all__ = ["OrdinalRegression", "Probabilities"]


class Probabilities(NamedTuple):
    """Probabilities of classes at new points.

    Attributes
    ----------
    values : array, shape (n, K)
        Not negative, with row sums 1.
    crossing : array of bool, shape (n,)
        Where hyperplanes cross, so that negative differences had to be cut off.
    """

    values: Array
    crossing: NDArray[np.bool_]


@dataclass(frozen=True, eq=False, repr=False)
class OrdinalRegression(Problem):
    """Cumulative logits whose slopes may differ from class to class, at a price (PRESTO).

    ``min over alpha, psi of -1/n sum_i log P(y_i | x_i) + lam (first_weight ||psi_1||_1 +
    ||psi_2||_1 + ... + ||psi_{K-1}||_1)`` with ``P(y < k | x) = 1 / (1 + exp(-eta_k))``,
    ``eta_k = alpha_k + x'(psi_1 + ... + psi_k)`` for classes y = 0 .. K - 1.

    Parameters
    ----------
    X : array_like or sparse matrix, shape (n, p)
        Features.
    y : array_like of int, shape (n,)
        Ordered classes 0 .. K - 1, K >= 3, each present.
    lam : float
        Weight of the penalty, at least 0; the loss is a mean.
    first_weight : float, default 1
        Weight of psi_1, the slopes of the first hyperplane. With 0 and a large ``lam`` the model is
        that of proportional odds; with 1, as published, a large ``lam`` leaves no slopes.

    Raises
    ------
    ProblemError
        A field is not as described; the message names it.

    Notes
    -----
    Variable: alpha (K - 1), then psi row by row (K - 1 rows of p). Rows of differences borrow
    strength: a rare last class shares the slopes of the others up to a few differences.

    Certificate: the duality gap, rigorous. Coordinates without a penalty, alpha among them, are
    first moved to their optimum with the others fixed, by Newton's method; there the loss has the
    gradient G with respect to eta, orthogonal to them, and for t in [0, 1] with ``t |G'd eta/d
    psi_lj| <= lam_l`` the number ``t (loss - <G, eta>)`` bounds the minimum from below, because
    the loss is convex and not negative. Where Newton's method cannot make those gradients vanish
    (data that the first hyperplane separates, without a penalty on it) the bound is 0. Scale:
    ``min(null, max(F, 1e-6 null))``, null the objective of the frequencies. Where hyperplanes
    cross at a sample of the data the objective, and the value, is infinite. Elsewhere they may
    cross; the view ``probabilities`` says where.

    One pass over the data is p units of work.

    References
    ----------
    .. [1] G. Faletto, J. Bien (2023). Predicting rare events by shrinking towards proportional
       odds, ICML, arXiv:2305.18700.
    .. [2] P. McCullagh (1980). Regression models for ordinal data, Journal of the Royal
       Statistical Society B 42, 109-142.

    Examples
    --------
    >>> import fejer
    >>> problem = fejer.OrdinalRegression.random()
    >>> result = fejer.minimize(problem)
    >>> result.success, result.psi.shape
    (True, (3, 4))
    >>> bool((result.probabilities([[0.0, 0.0, 0.0, 0.0]]).values >= 0).all())
    True
    """

    X: Matrix | Any
    y: Array
    lam: float
    first_weight: float = 1.0

    views = ("alpha", "psi", "coef", "support", "probabilities")

    def __post_init__(self) -> None:
        X, y = as_data(self.X, self.y)
        self.set(
            X=X,
            y=as_classes(y, least=3),
            lam=as_number(self.lam, "lam", least=0, most=1e100),
            first_weight=as_number(self.first_weight, "first_weight", least=0, most=1e100),
        )

    @property
    def n_classes(self) -> int:
        """K, the number of classes."""
        return int(self.y.max()) + 1

    def model(self) -> Ordered:
        """Return loss and penalty as methods see them."""
        return self.fact("model", _FIELDS, self._model)  # type: ignore[no-any-return]

    def _model(self) -> Ordered:
        p, steps = self.X.shape[1], self.n_classes - 1
        l1 = np.full(steps + steps * p, self.lam)
        l1[:steps] = 0.0
        l1[steps : steps + p] *= self.first_weight
        return Ordered(self.X, self.y.astype(np.int64), frozen(l1))

    def initial_point(self) -> Array:
        """Return the null model: frequencies, and no slopes."""
        model = self.model()
        return np.append(model.null_thresholds(), np.zeros(model.steps * model.p))

    def _null(self) -> float:
        """Objective of the null model."""
        build: Any = lambda: self.model().loss(self.model().product(self.initial_point()))  # noqa: E731
        return float(self.fact("null", ("X", "y"), build))

    def certificate(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> Certificate:
        """Judge ``x`` by a duality gap; no witness is needed, and none is looked at."""
        model, kind = self.model(), "duality gap"
        fit = model.product(x)
        loss, pull = model.loss_and_pull(fit)
        if loss == math.inf:
            return failed(kind, "hyperplanes cross at a sample of the data", math.inf)
        fun = loss + model.penalty(x)
        sizes = self._sizes(x)
        floor = FOUR_U * fun + float(np.abs(pull) @ np.repeat(FOUR_U * sizes, model.steps))
        if FOUR_U * sizes.max() * np.abs(pull).max() * model.n > 0.5:
            return failed(kind, "hyperplanes cross at a sample, or rounding hides it", fun)
        dual, lost = self._dual(x)
        null = self._null()
        scale = min(null, max(fun, 1e-6 * null))
        return Certificate(
            kind,
            (max(fun - dual, 0.0) + floor + lost) / scale,
            fun,
            True,
            scale=scale,
            lower_bound=dual - lost,
            details={
                "gap": fun - dual,
                "gap_over_null": (fun - dual) / null,
                "floor": (floor + lost) / scale,
            },
        )

    def _sizes(self, x: Array) -> Array:
        """Moduli of the terms of eta, summed for each sample."""
        model = self.model()
        moduli = np.abs(x)
        slopes = moduli[model.steps :].reshape(model.steps, model.p).sum(axis=0)
        return self.X.abs_matvec(slopes) + float(moduli[: model.steps].max())

    def _dual(self, x: Array) -> tuple[float, float]:
        """A lower bound of the minimum, and its share of rounding."""
        model = self.model()
        free = np.flatnonzero(model.l1 == 0.0)
        w, _, loss, pull = model.centred(x, free)
        g = model.adjoint(pull)
        reach = model.reach(pull)
        if (np.abs(g[free]) > BALANCED * reach[free]).any():
            return 0.0, 0.0
        held = model.l1 > 0.0
        steep = (np.abs(g) + FOUR_U * reach)[held] / model.l1[held]
        t = min(1.0, 1.0 / max(float(steep.max(initial=0.0)), 1e-300))
        w[free] = 0.0  # orthogonal to pull
        away = model.product(w)
        dual = t * (loss + float(pull @ away))
        lost = t * FOUR_U * (loss + float(np.abs(pull) @ np.abs(away)))
        lost += t * float(np.abs(pull) @ np.repeat(FOUR_U * self._sizes(x), model.steps))
        return (dual, lost) if dual > lost else (0.0, 0.0)

    def lam_max(self) -> float:
        """Return the smallest ``lam`` for which all slopes with a penalty are 0."""
        model = self.model()
        weights = np.ones(model.l1.size)
        weights[: model.steps] = 0.0
        weights[model.steps : model.steps + model.p] = self.first_weight
        free = np.flatnonzero(weights == 0.0)
        _, _, _, pull = model.centred(self.initial_point(), free)
        steep = np.abs(model.adjoint(pull))[weights > 0] / weights[weights > 0]
        return float(steep.max())

    def auto(self) -> tuple[str, ...]:
        """Return Newton's method with a penalised model."""
        return ("prox-newton",)

    @property
    def unit(self) -> int:
        """Units of work in one pass: one for each column."""
        return self.X.shape[1]

    @property
    def judge_units(self) -> int:
        """The passes of some Newton steps, one for each hyperplane."""
        return 8 * (self.n_classes - 1) * self.unit

    def alpha(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> Array:
        """Return the thresholds."""
        return x[: self.n_classes - 1]

    def psi(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> Array:
        """Return the differences of slopes, shape (K - 1, p); the first row is the first slopes."""
        return x[self.n_classes - 1 :].reshape(-1, self.X.shape[1])

    def coef(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> Array:
        """Return the slopes of the hyperplanes, shape (K - 1, p)."""
        return np.cumsum(self.psi(x), axis=0)

    def support(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> NDArray[np.intp]:
        """Return the indices of the nonzero entries of psi, row by row."""
        return np.flatnonzero(x[self.n_classes - 1 :])

    def probabilities(
        self, x: Array, witness: Mapping[str, Array] = EMPTY
    ) -> Callable[[Any], Probabilities]:
        """Return a function of new points (n, p): probabilities of the classes."""
        alpha, beta = np.array(self.alpha(x)), self.coef(x)

        def of(points: Any) -> Probabilities:
            eta = np.asarray(points, dtype=np.float64) @ beta.T + alpha
            below = 0.5 * (1.0 + np.tanh(0.5 * eta))
            ends = np.zeros((eta.shape[0], 1))
            values = np.diff(np.hstack([ends, below, ends + 1.0]), axis=1)
            crossing = np.min(values, axis=1) < 0
            values = np.maximum(values, 0.0)
            return Probabilities(values / values.sum(axis=1, keepdims=True), crossing)

        return of

    def to_cvxpy(self) -> cvxpy.Problem:
        """Return the same problem as a cvxpy model; its variables are "alpha" and "psi"."""
        from ._models import oracle

        cvxpy = oracle()
        model, steps = self.model(), self.n_classes - 1
        alpha = cvxpy.Variable(steps, name="alpha")
        psi = cvxpy.Variable((steps, model.p), name="psi")
        loss: Any = 0.0
        for k in range(steps + 1):
            rows = np.flatnonzero(model.y == k)
            X = self.X.toarray()[rows]
            a, b = (
                X @ cvxpy.sum(psi[: end + 1], axis=0) + alpha[end] if 0 <= end < steps else None
                for end in (k - 1, k)
            )
            if b is not None:
                loss += cvxpy.sum(cvxpy.logistic(-b))
            if a is not None:
                loss += cvxpy.sum(cvxpy.logistic(a))
            if a is not None and b is not None:
                loss -= cvxpy.sum(cvxpy.log(1 - cvxpy.exp(a - b)))
        penalty = cvxpy.sum(cvxpy.abs(psi[1:])) + self.first_weight * cvxpy.norm1(psi[0])
        return cvxpy.Problem(cvxpy.Minimize(loss / model.n + self.lam * penalty))

    @classmethod
    def random(
        cls,
        n: int = 120,
        p: int = 4,
        n_classes: int = 4,
        ratio: float = 0.1,
        *,
        seed: int = 0,
        **fields: Any,
    ) -> Self:
        """Draw a noisy sparse signal and cut it into classes of growing rarity.

        Parameters
        ----------
        n, p, n_classes : int
            Samples, features and classes.
        ratio : float, default 0.1
            ``lam`` over ``lam_max()``.
        seed : int, default 0
            Of the generator.
        **fields
            Other fields of the class.
        """
        X, signal = random_regression(n, p, 0.5, 0.3, 1.5, seed)
        cuts = np.quantile(signal, 1.0 - 0.5 ** np.arange(1, n_classes))
        y: Any = np.searchsorted(cuts, signal)
        problem = cls(X, y, 1.0, **fields)
        return problem.replace(lam=ratio * problem.lam_max())


_FIELDS = tuple(field.name for field in fields(OrdinalRegression))
