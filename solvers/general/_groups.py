"""Block descent under group norms: one group after another."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fejer.evidence import Array
from fejer.jit import kernel
from fejer.numerics.elementary import exp

from ._coordinates import RULES, BCDState, first_state, order_of
from ._descent import pick
from ._patterns import note
from ._smooth import Smooth

__all__ = ["GroupEngine"]


class GroupEngine:
    """``w_g <- prox(w_g + X_g'r / L_g)``, ``L_g = ||X_g||^2`` (a quarter for logistic losses)."""

    def __init__(self, ready: Smooth, rule: str) -> None:
        form: Any = ready.form
        matrix = form.X
        self.ready, self.rule, self.matrix = ready, rule, matrix
        count = form.group_weights.size
        order = np.argsort(form.groups, kind="stable")
        start = np.append(0, np.cumsum(np.bincount(form.groups, minlength=count)))
        self.logistic = form.loss == "logistic"
        factor = 0.25 if self.logistic else 1.0
        lipschitz = np.array(
            [
                factor * matrix.columns(order[start[g] : start[g + 1]]).spectral_norm() ** 2
                for g in range(count)
            ]
        )
        self.sweep, self.column = count, max(1, matrix.nnz // count)
        self.cumulative, self.patience = order_of(rule, lipschitz, count)
        data = matrix.csc if matrix.is_sparse else (matrix.dense,)
        self.kernel: Any = groups_sparse if matrix.is_sparse else groups_dense
        self.arrays = (*data, form.y, self.logistic, lipschitz, start, order)
        self.arrays += (form.l1, form.group_weights)
        self.largest = int(np.diff(start).max())

    def begin(self, x: Array, rng: np.random.Generator) -> BCDState:
        """Start from the given point."""
        w = np.array(x)
        w[self.matrix.column_sq_norms() == 0.0] = 0.0
        state = first_state(self.rule, w, self.sweep, rng)
        self.refresh(state)
        return state

    def refresh(self, state: BCDState) -> None:
        """Compute the product and the pull from the coefficients."""
        state.kept = self.matrix.matvec(state.w)
        state.pull = self.ready.pull(state.kept)

    def run(self, state: BCDState, count: int) -> int:
        """Run the kernel."""
        made, columns, state.quiet = self.kernel(
            *self.arrays, state.w, state.kept, state.pull, state.turned, np.empty(self.largest),
            RULES.index(self.rule), state.order, self.cumulative, state.words, state.updates,
            count, state.quiet, self.patience,
        )  # fmt: skip
        state.work += columns
        return int(made)

    def leave(self, w: Array) -> Array:
        """Return the coefficients."""
        return w


@kernel
def prox(new, size, step, l1, weight, w, order, first):
    """Shrink the first `size` entries in place; returns whether one differs from w."""
    total = 0.0
    for a in range(size):
        m = max(abs(new[a]) - step * l1[order[first + a]], 0.0)
        new[a] = math.copysign(m, new[a])
        total += m * m
    norm = math.sqrt(total)
    factor = 1.0 - step * weight / norm if norm > step * weight else 0.0
    moved = False
    for a in range(size):
        new[a] *= factor
        if new[a] != w[order[first + a]]:
            moved = True
    return moved


@kernel
def groups_dense(
    X, y, logistic, lipschitz, start, order_in, l1, weights, w, fit, pull, turned, new,
    rule, order, cumulative, words, update, count, quiet, patience
):  # fmt: skip
    """Up to `count` updates of groups; returns them, the columns read, and the quiet ones."""
    n = y.size
    made = 0
    columns = 0
    while made < count and quiet < patience:
        g = pick(rule, (update + made) % cumulative.size, order, cumulative, words)
        made += 1
        quiet += 1
        first = start[g]
        size = start[g + 1] - first
        columns += size
        if lipschitz[g] == 0.0:
            continue
        step = 1.0 / lipschitz[g]
        for a in range(size):
            j = order_in[first + a]
            c = 0.0
            for i in range(n):
                c += X[i, j] * pull[i]
            new[a] = w[j] + step * c
        if not prox(new, size, step, l1, weights[g], w, order_in, first):
            continue
        quiet = 0
        columns += size
        for a in range(size):
            j = order_in[first + a]
            move = new[a] - w[j]
            note(w[j], new[a], -math.inf, math.inf, update + made, turned)
            w[j] = new[a]
            if move != 0.0:
                for i in range(n):
                    fit[i] += move * X[i, j]
        if logistic:
            for i in range(n):
                pull[i] = y[i] / (1.0 + exp(y[i] * fit[i]))
        else:
            for i in range(n):
                pull[i] = y[i] - fit[i]
    return made, columns, quiet


@kernel
def groups_sparse(
    indptr, indices, data, y, logistic, lipschitz, start, order_in, l1, weights, w, fit, pull,
    turned, new, rule, order, cumulative, words, update, count, quiet, patience
):  # fmt: skip
    """As `groups_dense` for compressed columns."""
    made = 0
    columns = 0
    while made < count and quiet < patience:
        g = pick(rule, (update + made) % cumulative.size, order, cumulative, words)
        made += 1
        quiet += 1
        first = start[g]
        size = start[g + 1] - first
        columns += size
        if lipschitz[g] == 0.0:
            continue
        step = 1.0 / lipschitz[g]
        for a in range(size):
            j = order_in[first + a]
            c = 0.0
            for k in range(indptr[j], indptr[j + 1]):
                c += data[k] * pull[indices[k]]
            new[a] = w[j] + step * c
        if not prox(new, size, step, l1, weights[g], w, order_in, first):
            continue
        quiet = 0
        columns += size
        for a in range(size):
            j = order_in[first + a]
            move = new[a] - w[j]
            note(w[j], new[a], -math.inf, math.inf, update + made, turned)
            w[j] = new[a]
            for k in range(indptr[j], indptr[j + 1]):
                fit[indices[k]] += move * data[k]
        for a in range(size):
            j = order_in[first + a]
            for k in range(indptr[j], indptr[j + 1]):
                i = indices[k]
                if logistic:
                    pull[i] = y[i] / (1.0 + exp(y[i] * fit[i]))
                else:
                    pull[i] = y[i] - fit[i]
    return made, columns, quiet
