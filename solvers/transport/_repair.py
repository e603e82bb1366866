"""A feasible plan with at most k entries in a row, near to the one of the dual."""

from __future__ import annotations

from typing import Any

import numpy as np

from fejer.evidence import Array
from fejer.problems.transport._polytope import Polytope
from fejer.problems.transport._sparse_plan import Entries
from fejer.solvers.transport._supports import best_on

LARGEST = 200_000  # arcs in a linear program
ROUNDS = 25  # of pruning
PROGRAM = 20  # work of a program, in passes over the costs
WIDER = 1  # doublings of the arcs that are tried beyond the first success


def repaired(
    polytope: Polytope, gamma: float, k: int, f: Array, g: Array
) -> tuple[Entries | None, int]:
    """Seek a feasible k-sparse plan; also returns the work, in passes over the costs.

    The k largest arcs of each row may carry a plan as they are. Otherwise more arcs are offered to
    a linear program, whose vertices are sparse, and the smallest entries of rows with more than k
    are forbidden until none has. Among the plans with the k arcs found the best is chosen.
    """
    C = polytope.cost.dense
    if C is None:
        return None, 0
    s = f[:, None] + g - (C - polytope.shift)
    m = C.shape[1]
    best: Entries | None = None
    units, width, more = 0, k, WIDER
    while True:
        rows, columns = _widest(s, width)
        if rows.size > LARGEST:
            return best, units
        costs = C[rows, columns] - polytope.shift
        usable = costs < np.inf
        rows, columns, costs = rows[usable], columns[usable], costs[usable]
        reduced = costs - f[rows] - g[columns]
        # Where all plans have the same squares the cost alone counts, elsewhere the gradient does.
        for gradient in (reduced, reduced + np.maximum(s[rows, columns], 0.0)):
            kept, programs = _pruned(polytope, k, rows, columns, gradient)
            units += PROGRAM * programs
            if kept is None:
                continue
            used = kept > 0
            allowed = _support(s, k, rows[used], columns[used])
            vertex = Entries(rows[used], columns[used], kept[used], costs[used])
            program = best_on(polytope, gamma, np.concatenate([f, g]), *allowed)
            for found in (vertex, None if program is None else program.entries):
                if found is not None and _objective(found, gamma) < _objective(best, gamma):
                    best = found
            units += PROGRAM
        more -= best is not None
        if width >= m or more < 0:
            return best, units
        width = min(m, 2 * width)


def _objective(entries: Entries | None, gamma: float) -> float:
    if entries is None:
        return float("inf")
    P = entries.values
    return float(P @ entries.costs + 0.5 * gamma * (P @ P))


def _widest(s: Array, width: int) -> tuple[Any, Any]:
    """Places of the largest entries of each row."""
    n, m = s.shape
    if width >= m:
        return np.repeat(np.arange(n), m), np.tile(np.arange(m), n)
    columns = np.sort(np.argpartition(-s, width - 1, axis=1)[:, :width], axis=1)
    return np.repeat(np.arange(n), width), columns.ravel()


def _pruned(
    polytope: Polytope, k: int, rows: Any, columns: Any, gradient: Array
) -> tuple[Array | None, int]:
    """Flows on the arcs with at most k in a row; None where they were not found."""
    from scipy.optimize import linprog
    from scipy.sparse import csc_array

    n, m = polytope.cost.shape
    count = rows.size
    places = np.stack([rows, n + columns], axis=1).ravel()
    A: Any = csc_array((np.ones(2 * count), places, np.arange(0, 2 * count + 1, 2)), (n + m, count))
    sides = np.concatenate([polytope.a, polytope.b]) / polytope.mass
    size = float(np.abs(gradient).max()) or 1.0
    upper = np.full(count, np.inf)
    solve: Any = linprog
    for made in range(1, ROUNDS + 1):
        bounds = np.stack([np.zeros(count), upper], axis=1)
        found = solve(gradient / size, A_eq=A, b_eq=sides, bounds=bounds, method="highs-ds")
        if found.x is None:
            return None, made
        flow = np.where(found.x > 1e-14, found.x, 0.0)
        used = flow > 0
        many = np.flatnonzero(np.bincount(rows[used], minlength=n) > k)
        if not many.size:
            return flow * polytope.mass, made
        for i in many:
            mine = np.flatnonzero(used & (rows == i))
            upper[mine[np.argsort(flow[mine])[: mine.size - k]]] = 0.0
    return None, ROUNDS


def _support(s: Array, k: int, rows: Any, columns: Any) -> tuple[Any, Any]:
    """These arcs, and the largest others, k in each row."""
    order = s.copy()
    order[rows, columns] = np.inf
    return _widest(order, min(k, s.shape[1]))
