"""Coordinate descent on a working set of a Lasso: what its two methods share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fejer.evidence import Array
from fejer.jit import kernel
from fejer.method import State
from fejer.problems.forms import LinearForm
from fejer.solvers.general._descent import minimiser
from fejer.solvers.general._linear import Squared
from fejer.solvers.general._patterns import note

__all__ = [
    "WorkingState",
    "combination",
    "epoch",
    "first_working_state",
    "residual",
    "set_point",
    "unsupported_squares",
]


@dataclass
class WorkingState(State):
    """Coefficients, residual, the working set, and the last points seen on it."""

    w: Array
    kept: Array  # the residual, without its part along the column of ones of sparse data
    chosen: NDArray[np.int64]
    turned: NDArray[np.int64]
    past: Array
    shift: float = 0.0
    filled: int = 0  # of past
    inner: int = 0  # sweeps on this working set
    sets: int = 0
    accepted: int = 0  # extrapolations
    goal: float = 0.0  # accuracy at which the working set is given up
    identified_at: int = 0
    finished: bool = False
    # Of the method with dual points alone:
    dual: Array = field(default_factory=lambda: np.empty(0))
    alive: NDArray[np.bool_] = field(default_factory=lambda: np.empty(0, np.bool_))
    bound: float = 0.0  # of the optimal value


def unsupported_squares(problem: Any) -> str | None:
    """Return why a problem is not plain penalised least squares."""
    form = problem.form()
    if not isinstance(form, LinearForm) or form.loss != "squared" or form.groups is not None:
        return "its loss is not a sum of squares"
    return None


def first_working_state(ready: Squared, x: Array, **more: Any) -> WorkingState:
    """Return a state without a working set."""
    w = ready.enter(x)
    unseen = ready.design.sq_norms == 0.0
    w[unseen] = np.clip(0.0, ready.lower, ready.upper)[unseen]
    empty = np.empty(0, np.int64)
    state = WorkingState(w, np.empty(0), empty, np.zeros(1, np.int64), np.empty((0, 0)), **more)
    set_point(ready, state)
    return state


def set_point(ready: Squared, state: WorkingState) -> None:
    """Compute what is kept of the residual from the coefficients."""
    matrix, there = ready.design.matrix, np.flatnonzero(state.w)
    if 2 * there.size < state.w.size:
        state.kept = ready.z - matrix.columns(there).matvec(state.w[there])
    else:
        state.kept = ready.z - matrix.matvec(state.w)
    state.work += there.size
    if ready.design.implicit and ready.design.mean is not None:
        state.shift = float(ready.design.mean @ state.w)


def residual(ready: Squared, state: WorkingState) -> Array:
    """The residual."""
    if not ready.design.implicit:
        return state.kept
    return state.kept + state.shift * ready.design.root  # type: ignore[operator, no-any-return]


def combination(points: Array) -> Array:
    """Weights of sum 1 that make the combined step of consecutive rows as short as possible."""
    steps = np.diff(points, axis=0)
    gram = steps @ steps.T
    gram[np.diag_indices_from(gram)] += 1e-12 * float(np.trace(gram))
    try:
        weights = np.linalg.solve(gram, np.ones(len(gram)))
    except np.linalg.LinAlgError:
        weights = np.zeros(len(gram))
    total = float(weights.sum())
    if not (np.isfinite(total) and total != 0.0):
        return np.append(np.zeros(len(gram) - 1), 1.0)
    return np.asarray(weights / total)


def epoch(ready: Squared, state: WorkingState) -> bool:
    """One sweep over the working set; counts its work; returns whether a coefficient changed."""
    design, form = ready.design, ready.form
    penalty = (design.sq_norms, form.l1, form.l2, form.lower, form.upper)
    rest = (state.w, state.kept, state.chosen, state.turned, state.nit + 1)
    if design.matrix.is_sparse:
        there = design.implicit and design.mean is not None
        mean: Any = design.mean if there else np.zeros(state.w.size)
        data = (*design.matrix.csc, mean, design.total)
        changed, state.shift = epoch_sparse(*data, *penalty, *rest, state.shift)
    else:
        changed = epoch_dense(design.matrix.dense, *penalty, *rest)
    state.work += state.chosen.size + int(changed)
    state.identified_at = int(state.turned[0])
    return bool(changed)


@kernel
def epoch_dense(X, q, l1, l2, lower, upper, w, r, chosen, turned, nit):
    """Minimise over each chosen coefficient once; returns how many changed."""
    changed = 0
    for at in range(chosen.size):
        j = chosen[at]
        c = 0.0
        for i in range(r.size):
            c += X[i, j] * r[i]
        new = minimiser(c, w[j], q[j], l1[j], l2[j], lower[j], upper[j])
        step = new - w[j]
        if step != 0.0:
            note(w[j], new, lower[j], upper[j], nit, turned)
            w[j] = new
            for i in range(r.size):
                r[i] -= step * X[i, j]
            changed += 1
    return changed


@kernel
def epoch_sparse(
    indptr, indices, data, mean, total, q, l1, l2, lower, upper, w, r, chosen, turned, nit, shift
):
    """As `epoch_dense` for compressed columns less ``root mean'``; returns the shift too."""
    changed = 0
    for at in range(chosen.size):
        j = chosen[at]
        c = shift * total * mean[j]
        for k in range(indptr[j], indptr[j + 1]):
            c += data[k] * r[indices[k]]
        new = minimiser(c, w[j], q[j], l1[j], l2[j], lower[j], upper[j])
        step = new - w[j]
        if step != 0.0:
            note(w[j], new, lower[j], upper[j], nit, turned)
            w[j] = new
            for k in range(indptr[j], indptr[j + 1]):
                r[indices[k]] -= step * data[k]
            shift += step * mean[j]
            changed += 1
    return changed, shift
