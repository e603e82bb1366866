"""Coordinate and forest descent on ``1/2 x'Ax - b'x`` under a separable penalty."""

from __future__ import annotations

from typing import Any

import numpy as np

from fejer.evidence import Array
from fejer.numerics.random import below, permute
from fejer.problems.forms import QuadraticForm

from ._coordinates import GREEDY, RULES, BCDState, first_state, order_of
from ._forests import Forests, forest_partition, greedy_forest
from ._graph_descent import fill_heap, heap_descent, sweep_graph

__all__ = ["ForestEngine", "GraphEngine", "is_free"]


def is_free(form: QuadraticForm) -> bool:
    """Whether a quadratic form has neither penalty nor bounds."""
    open_ended = np.isinf(form.lower).all() and np.isinf(form.upper).all()
    return bool(open_ended and not form.l1.any() and not form.l2.any())


class _Quadratic:
    """What both engines share: A in compressed columns, and its diagonal."""

    def __init__(self, form: QuadraticForm) -> None:
        from scipy.sparse import csc_array

        A = csc_array(form.matrix.native)
        self.form = form
        self.A: tuple[Any, ...] = (A.indptr, A.indices, A.data)
        self.diagonal = A.diagonal()
        self.d = form.b.size

    def start(self, x: Array) -> Array:
        """The point, projected on the box."""
        return np.clip(x, self.form.lower, self.form.upper)

    def refresh(self, state: BCDState) -> None:
        """Compute the residual from the point."""
        state.kept = self.form.b - self.form.matrix.matvec(state.w)

    def leave(self, w: Array) -> Array:
        """Return the point."""
        return w


class GraphEngine(_Quadratic):
    """Exact minimisation over one coordinate; the greedy rules keep a heap."""

    def __init__(self, form: QuadraticForm, rule: str) -> None:
        super().__init__(form)
        self.name, self.rule, self.sweep = rule, RULES.index(rule), self.d
        self.column = max(1, self.A[2].size // self.d)
        weights = np.where(form.lower < form.upper, self.diagonal + form.l2, 0.0)
        self.cumulative, self.patience = order_of(rule, weights, self.d)
        self.arrays = (*self.A, self.diagonal, form.l1, form.l2, form.lower, form.upper)

    def begin(self, x: Array, rng: np.random.Generator) -> BCDState:
        """Start from the given point."""
        state = first_state(self.name, self.start(x), self.d, rng)
        if self.rule >= GREEDY:
            state.order, state.places = np.empty(self.d, np.int64), np.empty(self.d, np.int64)
            state.pull = np.empty(self.d)
        self.refresh(state)
        return state

    def refresh(self, state: BCDState) -> None:
        """Compute residual and heap from the point."""
        super().refresh(state)
        if self.rule >= GREEDY:
            heap = (state.order, state.places, state.pull)
            fill_heap(self.rule, *self.arrays[3:], state.w, state.kept, *heap)

    def run(self, state: BCDState, count: int) -> int:
        """Run the kernel of the rule."""
        if self.rule >= GREEDY:
            heap = (state.order, state.places, state.pull)
            made = heap_descent(
                *self.arrays,
                state.w,
                state.kept,
                state.turned,
                self.rule,
                *heap,
                state.updates,
                count,
            )
            state.work += made
            state.quiet = 0 if made == count else self.patience
            return int(made)
        rule = (self.rule, state.order, self.cumulative, state.words, state.updates, count)
        made, _, state.quiet = sweep_graph(
            *self.arrays, state.w, state.kept, state.turned, *rule, state.quiet, self.patience
        )
        state.work += made
        return int(made)


class ForestEngine(_Quadratic):
    """Exact minimisation over a forest in the graph of A, of a free quadratic."""

    sweep = 1
    column = 1

    def __init__(self, form: QuadraticForm, rule: str, partition: str) -> None:
        super().__init__(form)
        self.rule, self.forests = rule, Forests(self.A)
        self.A = self.forests.A
        self.patience, self.blocks = 20, None
        if partition != "variable":
            order = np.arange(self.d)
            if partition == "sort":
                order = np.argsort(-self.diagonal, kind="stable")
            label = forest_partition(self.A[0], self.A[1], order)
            self.blocks = [np.flatnonzero(label == f) for f in range(int(label.max()) + 1)]
            self.patience *= len(self.blocks)
        self.column = self.A[2].size

    def begin(self, x: Array, rng: np.random.Generator) -> BCDState:
        """Start from the given point."""
        draws = "permuted" if self.rule == "random" else self.rule
        state = first_state(draws, self.start(x), self.d, rng)
        self.refresh(state)
        return state

    def _block(self, state: BCDState, member: Any) -> Any:
        """The nodes of the next forest; `member` is left 0."""
        if self.blocks is None:
            order = state.order
            if self.rule == "random":
                permute(state.words, order)
            else:
                size = np.abs(state.kept)
                if self.rule == "gs-q":
                    size = size * size / self.diagonal
                order = np.argsort(-size, kind="stable")
            parent, mark = np.empty(self.d, np.int64), np.full(self.d, -1)
            greedy_forest(self.A[0], self.A[1], order, parent, member, mark, -1)
            chosen = np.flatnonzero(member)
            member[:] = 0
            return chosen
        if self.rule == "random":
            return self.blocks[below(state.words, len(self.blocks))]
        if self.rule == "cyclic":
            return self.blocks[state.updates % len(self.blocks)]
        scores = [float(state.kept[block] @ state.kept[block]) for block in self.blocks]
        return self.blocks[int(np.argmax(scores))]

    def run(self, state: BCDState, count: int) -> int:
        """Solve on one forest after another."""
        member = np.zeros(self.d, np.int64)
        first = state.updates
        for made in range(count):
            if state.quiet >= self.patience:
                state.updates = first
                return made
            state.updates = first + made
            chosen = self._block(state, member)
            largest = self.forests.step(chosen, state.kept, state.w)
            state.work += self.d
            state.quiet = 0 if largest > 0.0 else state.quiet + 1
        state.updates = first
        return count
