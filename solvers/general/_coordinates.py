"""Coordinate descent on least squares and on logistic regression, one coefficient at a time.

An engine knows one kind of problem: it makes a state, refreshes what the state keeps, and runs
updates.  `BCD` chooses the engine and counts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fejer.evidence import Array
from fejer.method import State
from fejer.numerics.random import seed_state
from fejer.problems.sparse._design import frozen

from ._descent import sweep_dense, sweep_sparse
from ._greedy import greedy_dense, greedy_gram, greedy_sparse
from ._linear import Squared
from ._logistic_descent import logistic_dense, logistic_sparse
from ._multinomial import Multinomial
from ._multinomial_descent import multinomial_dense, multinomial_sparse
from ._smooth import Logit, sigmoid_pull

__all__ = [
    "GREEDY",
    "RULES",
    "BCDState",
    "Engine",
    "LogisticEngine",
    "MultinomialEngine",
    "SquaredEngine",
    "order_of",
]

RULES = ("cyclic", "permuted", "random", "lipschitz", "gs", "gs-q")
GREEDY = RULES.index("gs")  # this rule and those behind it look at the gradient
LARGEST_GRAM = 2048  # coefficients up to which greedy rules keep the Gram matrix (33 MB)


@dataclass
class BCDState(State):
    """Coefficients, what is kept of the residual, and the place in the sequence of updates."""

    w: Array
    kept: Array  # residual, margins, or the negative gradient for greedy rules
    order: NDArray[np.int64]
    words: NDArray[np.uint64]
    shift: float = 0.0
    updates: int = 0
    quiet: int = 0  # updates since a coefficient last changed
    pull: Array = field(default_factory=lambda: np.empty(0))  # minus the gradient by the margins
    places: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))  # in the heap
    stored: Array = field(default_factory=lambda: np.empty(0))  # estimates of curvatures
    # The last update that moved a coefficient to or off a kink or bound, and its iteration.
    turned: NDArray[np.int64] = field(default_factory=lambda: np.zeros(1, np.int64))
    identified_at: int = 0


class Engine(Protocol):
    """What `BCD` asks of the code for one kind of problem."""

    sweep: int  # updates of a sweep
    column: int  # multiplications of an update
    patience: int  # updates without a change after which the point is a fixed point

    def begin(self, x: Array, rng: np.random.Generator) -> BCDState:
        """Make the first state."""

    def refresh(self, state: BCDState) -> None:
        """Compute anew what the state keeps."""

    def run(self, state: BCDState, count: int) -> int:
        """Make up to ``count`` updates; return how many were made."""

    def leave(self, w: Array) -> Array:
        """Return the point of these coefficients."""


def order_of(rule: str, weights: Array, d: int) -> tuple[Array, int]:
    """Return what the kernel `pick` draws from, and the patience of a rule.

    A random rule has then met each coordinate with probability 1 - exp(-20).
    """
    if rule == "lipschitz":
        positive = weights[weights > 0]
        likely = float(weights.sum() / positive.min()) if positive.size else 1.0
        return np.cumsum(weights), min(2**62, math.ceil(20 * likely))
    return weights, (1 if rule == "cyclic" else 2 if rule == "permuted" else 20) * d


def first_state(rule: str, w: Array, d: int, rng: np.random.Generator) -> BCDState:
    """Return a state with its order and random words, nothing computed yet."""
    chance = rule in ("permuted", "random", "lipschitz")
    words = seed_state(rng) if chance else np.zeros(4, np.uint64)
    return BCDState(w, np.empty(0), np.arange(d if rule == "permuted" else 1), words)


class SquaredEngine:
    """Exact minimisation over one coefficient of penalised least squares over a box."""

    def __init__(self, ready: Squared, rule: str) -> None:
        form, design, matrix = ready.form, ready.design, ready.design.matrix
        n, d = matrix.shape
        self.ready, self.rule, self.name = ready, RULES.index(rule), rule
        fields = (design.sq_norms, form.l1, form.l2, form.lower, form.upper)
        mean = design.mean if design.implicit and design.mean is not None else frozen(np.zeros(d))
        self.mean, self.sweep = mean, d
        self.greedy: Any = None
        arrays: tuple[Any, ...] = matrix.csc if matrix.is_sparse else (matrix.dense,)
        self.column, self.cost = max(1, matrix.nnz // d), 0
        if self.rule >= GREEDY:
            if not matrix.is_sparse:
                gram = d <= LARGEST_GRAM
                self.greedy = greedy_gram if gram else greedy_dense
                arrays = (design.gram(),) if gram else (matrix.dense,)
                self.cost = -(-d // n) if gram else d
                self.column = d if gram else matrix.nnz
            else:
                self.greedy, arrays = greedy_sparse, (*matrix.csc, *matrix.csr)
                self.cost = self.column = d + 1
        weights = np.where(form.lower < form.upper, ready.curvature, 0.0)
        self.cumulative, self.patience = order_of(rule, weights, d)
        if matrix.is_sparse:
            arrays = (*arrays, mean, design.total)
        self.arrays = arrays + fields

    def begin(self, x: Array, rng: np.random.Generator) -> BCDState:
        """Start from the given coefficients, projected on the box."""
        ready = self.ready
        w = ready.enter(x)
        unseen = (ready.design.sq_norms == 0.0) & ((ready.curvature > 0) | (ready.form.l1 > 0))
        if unseen.any():  # zero columns: the penalty alone decides
            w[unseen] = np.clip(0.0, ready.form.lower, ready.form.upper)[unseen]
        state = first_state(self.name, w, w.size, rng)
        self.refresh(state)
        return state

    def refresh(self, state: BCDState) -> None:
        """Compute the residual, or the gradient, from the coefficients."""
        ready = self.ready
        if self.rule >= GREEDY:
            state.kept = ready.design.adjoint(ready.z - ready.design.product(state.w))
            return
        state.kept = ready.z - ready.design.matrix.matvec(state.w)
        if ready.design.implicit:
            state.shift = float(self.mean @ state.w)

    def run(self, state: BCDState, count: int) -> int:
        """Run the kernel of the rule."""
        if self.rule >= GREEDY:
            place = (state.turned, self.rule, state.updates, count)
            made = self.greedy(*self.arrays, state.w, state.kept, *place)
            state.work += made * self.cost
            state.quiet = 0 if made == count else self.patience
            return int(made)
        rule = (self.rule, state.order, self.cumulative, state.words, state.updates, count)
        rest = (state.quiet, self.patience)
        if self.ready.design.matrix.is_sparse:
            made, changed, state.quiet, state.shift = sweep_sparse(
                *self.arrays, state.w, state.kept, state.turned, state.shift, *rule, *rest
            )
        else:
            made, changed, state.quiet = sweep_dense(
                *self.arrays, state.w, state.kept, state.turned, *rule, *rest
            )
        state.work += made + changed
        return int(made)

    def leave(self, w: Array) -> Array:
        """Return the coefficients, and the best constant behind them."""
        return self.ready.leave(w)


class LogisticEngine:
    """A step on one coefficient of penalised logistic regression that never increases F."""

    kernels: tuple[Any, Any] = (logistic_dense, logistic_sparse)

    def __init__(self, ready: Logit | Multinomial, rule: str, newton: bool) -> None:
        matrix = ready.design.matrix
        self.ready, self.rule, self.newton = ready, rule, newton
        self.sweep = d = ready.l1.size
        self.column = max(1, matrix.nnz // matrix.shape[1])
        self.curvature = ready.curvature()
        weights = np.where(ready.lower < ready.upper, self.curvature + ready.l2, 0.0)
        self.cumulative, self.patience = order_of(rule, weights, d)
        penalty = (self.curvature, ready.l1, ready.l2, ready.lower, ready.upper)
        data: tuple[Any, ...] = matrix.csc if matrix.is_sparse else (matrix.dense,)
        self.kernel: Any = self.kernels[int(matrix.is_sparse)]
        self.arrays = (*data, ready.y, ready.s, *penalty)

    def begin(self, x: Array, rng: np.random.Generator) -> BCDState:
        """Start from the given coefficients."""
        ready = self.ready
        w = ready.enter(x)
        unseen = (self.curvature == 0.0) & ((ready.l1 > 0) | (ready.l2 > 0))
        w[unseen] = 0.0
        state = first_state(self.rule, w, w.size, rng)
        self.refresh(state)
        return state

    def refresh(self, state: BCDState) -> None:
        """Compute margins and gradient from the coefficients."""
        state.kept = self.ready.product(state.w)
        state.pull = np.empty_like(state.kept)
        sigmoid_pull(state.kept, self.ready.y, self.ready.s, state.pull)

    def tracked(self, state: BCDState) -> tuple[Array, ...]:
        """What the kernel keeps."""
        return state.kept, state.pull

    def run(self, state: BCDState, count: int) -> int:
        """Run the kernel."""
        made, changed, state.quiet = self.kernel(
            *self.arrays, state.w, *self.tracked(state), state.turned, self.newton,
            RULES.index(self.rule), state.order, self.cumulative, state.words, state.updates,
            count, state.quiet, self.patience,
        )  # fmt: skip
        state.work += made + changed
        return int(made)

    def leave(self, w: Array) -> Array:
        """Return the coefficients and the constant."""
        return self.ready.leave(w)


class MultinomialEngine(LogisticEngine):
    """The same steps under the multinomial loss, with the probabilities kept."""

    kernels = (multinomial_dense, multinomial_sparse)

    def refresh(self, state: BCDState) -> None:
        """Compute the probabilities from the coefficients."""
        z = self.ready.product(state.w).reshape(self.ready.y.size, -1)
        state.kept = np.ascontiguousarray(np.exp(z - z.max(axis=1, keepdims=True)).T)
        state.kept /= state.kept.sum(axis=0)

    def tracked(self, state: BCDState) -> tuple[Array, ...]:
        """What the kernel keeps."""
        return (state.kept,)
