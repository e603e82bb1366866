"""Newton's method for smooth losses under a separable penalty."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fejer.evidence import Array
from fejer.method import Method, Rate, Start, State, option, register
from fejer.problems.sparse.ordinal_regression import OrdinalRegression
from fejer.problems.sparse.sparse_logistic import SparseLogistic
from fejer.problems.sparse.sparse_multinomial import SparseMultinomial
from fejer.solvers.general._block_updates import Penalty
from fejer.solvers.general._greedy import greedy_scores
from fejer.solvers.general._patterns import pattern_changed
from fejer.solvers.general._smooth import smooth

from ._penalised_model import minimise_penalised

__all__ = ["ProxNewton", "ProxNewtonState"]

HALVINGS = 60
ROUNDING = 1e-14  # relative, of an objective


@dataclass
class ProxNewtonState(State):
    """The point, its product with the data and its objective."""

    w: Array
    fit: Array
    value: float
    systems: int = 0  # Newton systems inside the models
    halvings: int = 0
    identified_at: int = 0  # the last iteration that changed which coefficients are 0
    finished: bool = False


class _Prepared(NamedTuple):
    """Loss and penalty, and how many coefficients a model has at least."""

    ready: Any
    penalty: Penalty
    least: int


@register
@dataclass(frozen=True, eq=False)
class ProxNewton(Method):
    """Newton's method on working sets: the penalised quadratic model is minimised each time.

    ``u = argmin over the working set of -c'(u - w) + 1/2 (u - w)'H(u - w) + penalty(u)``, c minus
    the gradient and H the Hessian of the loss at w, then ``w+ = w + t (u - w)`` with t = 1, 1/2,
    1/4, ... until the objective falls by 1e-4 of what its slope promises.

    Attributes
    ----------
    growth : float
        The working set has all nonzero coefficients, and of the others that should move the most
        pressing ones: at most ``growth`` times as many as are nonzero, and 64 or n/8 at least.
    accuracy : float
        Largest relative accuracy of a model; near the solution it is solved as accurately as the
        Newton decrement is small.

    Notes
    -----
    Rate: quadratic near a solution where the Hessian over the nonzero coefficients is not
    singular. ``identified_at`` in ``stats`` is the last iteration that changed which coefficients
    are 0; from there on it is Newton's method on the others. The objective never increases.

    Cost of an iteration with m coefficients in the working set: a product with X and one with its
    transpose, n m^2 flops for H, ``m^3/3`` for each of a few Newton systems inside the model.
    Memory: n m + m^2.

    Pitfall: from a start where the loss is flat to rounding the model knows no scale; a start that
    is worse than the problem's own initial point is therefore replaced by that one.

    References
    ----------
    .. [1] J. Lee, Y. Sun, M. Saunders (2014). Proximal Newton-type methods for minimizing
       composite functions, SIAM Journal on Optimization 24(3), arXiv:1206.1623.
    .. [2] G.-X. Yuan, C.-H. Ho, C.-J. Lin (2012). An improved GLMNET for l1-regularized logistic
       regression, Journal of Machine Learning Research 13.

    Examples
    --------
    >>> import fejer
    >>> result = fejer.minimize(fejer.SparseLogistic.random(), method="prox-newton")
    >>> result.success, result.nit < 10
    (True, True)
    """

    growth: float = option(1.0, above=0, doc="new coefficients over nonzero ones in a working set")
    accuracy: float = option(0.1, above=0, most=1, doc="largest relative accuracy of a model")

    name = "prox-newton"
    solves = (SparseLogistic, SparseMultinomial, OrdinalRegression)
    cites = ("arXiv:1206.1623", "Yuan, Ho, Lin (2012)")

    @property
    def rate(self) -> Rate:
        """The local theorem."""
        return Rate(
            "||w_{k+1} - w*|| <= C ||w_k - w*||^2 near w* (Lee, Sun, Saunders 2014)",
            "superlinear",
            2.0,
            assumptions="the Hessian over the nonzero coefficients of w* is positive definite",
        )

    def prepare(self, problem: Any, tol: float, rng: np.random.Generator) -> _Prepared:
        """Gather loss and penalty."""
        ready = problem.model() if isinstance(problem, OrdinalRegression) else smooth(problem)
        penalty = Penalty(ready.l1, ready.l2, ready.lower, ready.upper)
        return _Prepared(ready, penalty, max(64, problem.X.shape[0] // 8))

    def begin(
        self, problem: Any, prep: _Prepared, start: Start, rng: np.random.Generator
    ) -> ProxNewtonState:
        """Start from the given point, or from the null model where that is better."""
        w = prep.ready.enter(problem.initial_point())
        if start.given:
            given = prep.ready.enter(start.x)
            # Not "smaller": a start of equal value, or the very same one, is kept.
            if prep.ready.value(given) <= prep.ready.value(w):
                w = given
        fit = prep.ready.product(w)
        value = prep.ready.loss(fit) + prep.ready.penalty(w)
        return ProxNewtonState(w, fit, float(value))

    def advance(self, problem: Any, prep: _Prepared, state: ProxNewtonState, n: int) -> bool:
        """Make n iterations."""
        for _ in range(n):
            if state.finished:
                return True
            self._iterate(prep, state)
            state.nit += 1
        return state.finished

    def _iterate(self, prep: _Prepared, state: ProxNewtonState) -> None:
        ready, w = prep.ready, state.w
        c = ready.adjoint(ready.pull(state.fit))
        F = self._working_set(prep, w, c)
        penalty = Penalty(*(part[F] for part in prep.penalty))
        H = ready.hessian(state.fit, F)
        promise = greedy_scores(c[F], w[F], np.diag(H), *penalty, True)
        small = math.sqrt(min(1.0, float(promise.sum()) / max(state.value, 1e-300)))
        accuracy = max(min(self.accuracy, small) ** 2, 1e-20)  # of a square
        u, rounds = minimise_penalised(H, c[F], penalty, w[F], accuracy)
        state.systems += rounds
        state.work += 3 * w.size + F.size * (F.size + 1) // 2
        step = u - w[F]
        slope = -float(c[F] @ step) + penalty.value(u) - penalty.value(w[F])
        # Of the slope's size where the model is minimised exactly, and free of its cancellation.
        decrement = float(step @ H @ step)
        if not decrement > 1e-32 * abs(state.value) and not slope < -ROUNDING * state.value:
            state.finished = True
            return
        move = np.zeros(w.size)
        move[F] = step
        along = ready.product(move)
        t = 1.0
        for _ in range(HALVINGS):
            new = w + t * move
            fit = state.fit + t * along
            value = float(ready.loss(fit) + ready.penalty(new))
            if value - state.value <= 1e-4 * t * min(slope, 0.0) + ROUNDING * abs(state.value):
                break
            t *= 0.5
            state.halvings += 1
        else:
            state.finished = True
            return
        if t == 1.0:
            new[F] = u  # zeros exactly
        if pattern_changed(w, new, ready.lower, ready.upper):
            state.identified_at = state.nit + 1
        state.finished = bool(np.array_equal(w, new))
        state.w, state.fit, state.value = new, fit, value

    def _working_set(self, prep: _Prepared, w: Array, c: Array) -> NDArray[np.intp]:
        """Coefficients that are nonzero or without penalty, and those that should move most."""
        l1, l2, lower, upper = prep.penalty
        steep = np.abs(greedy_scores(c, w, np.ones(w.size), l1, l2, lower, upper, False))
        kept = ((w != 0.0) | (l1 == 0.0)) & (lower < upper)
        new = np.flatnonzero((steep > 0.0) & ~kept)
        most = max(prep.least, math.ceil(self.growth * float(kept.sum())))
        if new.size > most:
            order = np.argsort(-steep[new], kind="stable")
            new = new[order[:most]]
        kept[new] = True
        return np.flatnonzero(kept)

    def point(self, problem: Any, prep: _Prepared, state: ProxNewtonState) -> Array:
        """Return the point in the problem's packing."""
        return prep.ready.leave(state.w)  # type: ignore[no-any-return]
