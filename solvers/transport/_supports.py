"""Plans on chosen arcs, and a local search over which arcs these are."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from fejer.evidence import Array
from fejer.problems.transport._polytope import Polytope
from fejer.problems.transport._sparse_plan import Entries, summed

MET = 1e-11  # violation, relative to the own weight, at which a quadratic program is solved
STEPS = 100  # Newton steps in one program
DENSE = 300  # atoms up to which the Newton matrix is a dense array
PROGRAMS = 400  # in one search
ENTERING, LEAVING = 3, 2  # arcs of a row that are tried, not used and used
TINY = 1e-12  # relative decrease that counts
LARGEST = 1_000_000  # entries of costs that are searched


@dataclass
class Best:
    """The best plan on some arcs, with the potentials that prove it."""

    entries: Entries
    y: Array
    value: float


def best_on(
    polytope: Polytope, gamma: float, y: Array, rows: Any, columns: Any, ceiling: float = math.inf
) -> Best | None:
    """Minimise over the plans on these arcs, by semismooth Newton steps on the dual from y.

    None where that fails (there may be no plan), or where the dual value, a lower bound, is above
    the ceiling.
    """
    a, b, C = polytope.a, polytope.b, polytope.cost.dense
    assert C is not None
    n, m = C.shape
    costs = C[rows, columns] - polytope.shift
    usable = costs < np.inf
    rows, columns, costs = rows[usable], columns[usable], costs[usable]
    weights = np.concatenate([a, b])

    def at(y: Array) -> tuple[float, Array, Array]:
        s = np.maximum(y[rows] + y[n + columns] - costs, 0.0)
        sums = np.concatenate([summed(rows, s, n), summed(columns, s, m)]) / gamma
        return float(weights @ y - s @ s / (2 * gamma)), weights - sums, s

    value, residual, s = at(y)
    for _ in range(STEPS):
        used = s > 0
        if (np.abs(residual) <= MET * weights).all():
            P, costs = s[used] / gamma, costs[used]
            objective = float(P @ costs + 0.5 * gamma * (P @ P))
            return Best(Entries(rows[used], columns[used], P, costs), y, objective)
        if value > ceiling:
            return None
        error = float(np.abs(residual).sum()) / polytope.mass
        step = _newton_step(rows[used], n + columns[used], gamma * residual, min(error, 1.0))
        if step is None:
            return None
        slope, t = float(residual @ step), 1.0
        while t > 1e-8:
            trial = at(y + t * step)
            smaller = np.abs(trial[1]).sum() < 0.5 * np.abs(residual).sum()
            if trial[0] >= value + 1e-4 * t * slope or smaller:
                break
            t *= 0.5
        else:
            return None
        y = y + t * step
        value, residual, s = trial
    return None


def _newton_step(i: Any, j: Any, right: Array, error: float) -> Array | None:
    """Solve with the shifted Laplacian, all entries positive, of the graph with edges (i, j)."""
    size = right.size
    counts = np.bincount(np.concatenate([i, j]), minlength=size)
    diagonal = counts + np.where(counts > 0, 1e-9 + 1e-2 * error, 1.0)
    if size <= DENSE:
        from scipy.linalg.lapack import dposv

        H = np.zeros((size, size))
        H[i, j] = H[j, i] = 1.0
        H[np.diag_indices(size)] = diagonal
        _, step, info = dposv(H, right, lower=1, overwrite_a=1)
        return np.asarray(step) if info == 0 else None
    from scipy.sparse import coo_array, diags_array
    from scipy.sparse.linalg import splu

    places = np.concatenate([i, j]), np.concatenate([j, i])
    L: Any = coo_array((np.ones(places[0].size), places), shape=(size, size))
    return np.asarray(splu((L + diags_array(diagonal)).tocsc()).solve(right))


def exchanged(
    polytope: Polytope, gamma: float, k: int, start: Entries, f: Array, g: Array
) -> tuple[Entries | None, int]:
    """Improve a plan with at most k entries in a row by exchanging arcs; also counts programs.

    Potentials of the best plan on the arcs of now say what an exchange promises: with
    ``s = f + g - C`` the dual value rises by ``([s_new]^2 - [s_old]^2) / (2 gamma)`` at these
    potentials. Exchanges in many rows are tried before those in few; the first that lowers the
    objective is made.
    """
    C = polytope.cost.dense
    if C is None or C.size > LARGEST:
        return None, 0
    n, m = C.shape
    k = min(k, m)
    reduced = C - polytope.shift
    chosen = np.zeros(C.shape, dtype=bool)
    chosen[start.rows, start.columns] = True
    order = np.where(chosen, np.inf, f[:, None] + g - reduced)
    chosen[np.arange(n)[:, None], np.argpartition(-order, k - 1, axis=1)[:, :k]] = True
    rows, columns = np.nonzero(chosen)
    best = best_on(polytope, gamma, np.concatenate([f, g]), rows, columns)
    programs = 1
    while best is not None and k < m:
        s = best.y[:n, None] + best.y[n:] - reduced
        for those, old, new in _exchanges(s, chosen):
            if programs >= PROGRAMS:
                return best.entries, programs
            trial = chosen.copy()
            trial[those, old], trial[those, new] = False, True
            ceiling = best.value - TINY * abs(best.value)
            rows, columns = np.nonzero(trial)
            found = best_on(polytope, gamma, best.y, rows, columns, ceiling)
            programs += 1
            if found is not None and found.value < ceiling:
                best, chosen = found, trial
                break
        else:
            break
    return (None if best is None else best.entries), programs


def _exchanges(s: Array, chosen: Any) -> list[tuple[Any, Any, Any]]:
    """Rows, arcs that leave and arcs that enter, of the exchanges that promise something."""
    n, m = s.shape
    used = np.where(chosen, np.maximum(s, 0.0), np.inf)
    others = np.where(chosen, -np.inf, s)
    out, into = min(LEAVING, m), min(ENTERING, m)
    old = np.argsort(used, axis=1, kind="stable")[:, :out]
    new = np.argsort(-others, axis=1, kind="stable")[:, :into]
    rows = np.repeat(np.arange(n), out * into)
    old, new = np.repeat(old, into, axis=1).ravel(), np.tile(new, (1, out)).ravel()
    gains = np.maximum(others[rows, new], 0.0) ** 2 - used[rows, old] ** 2
    order = np.argsort(-gains, kind="stable")
    order = order[gains[order] > TINY * float(s.max()) ** 2]
    _, firsts = np.unique(rows[order], return_index=True)
    together = order[np.sort(firsts)]  # the most promising exchange of each row
    groups = []
    while together.size > 1:
        groups.append(together)
        together = together[: together.size // 2]
    groups += [order[i : i + 1] for i in range(order.size)]
    return [(rows[group], old[group], new[group]) for group in groups]
