"""Routing what a plan lacks over the arcs that it may use."""

from __future__ import annotations

import numpy as np

from fejer.evidence import Array
from fejer.jit import kernel
from fejer.problems.transport._gibbs import exponent

SEARCHES = 400  # at most, in one call: a certificate must end
CAPACITIES = 12  # thresholds on the flow that a path must carry, each 1/16 of the one before


def route(
    C: Array,
    shift: float,
    f: Array,
    g: Array,
    inverse: float,
    lowest: float,
    P: Array,
    da: Array,
    db: Array,
) -> tuple[np.ndarray, np.ndarray]:
    """Add flow to the plan `P` until the deficits `da`, `db` of rows and columns are gone.

    Arcs whose exponent is at least `lowest` may carry more.  First each row in turn serves the
    columns in the order of its own entries; then shortest augmenting paths may also take flow back
    from arcs, wide paths first.

    Returns
    -------
    rows, columns : array of bool
        What the last search reached.  If a deficit is left although the search was complete, then
        every arc that leaves ``rows`` ends in ``columns``: a cut.
    """
    n, m = C.shape
    greedy(C, shift, f, g, inverse, lowest, P, da, db)
    from_row, from_column = np.empty(m, dtype=np.int64), np.empty(n, dtype=np.int64)
    queue, sinks = np.empty(n, dtype=np.int64), np.empty(m, dtype=np.int64)
    capacity, searches = float(min(da.sum(), db.sum())), 0
    for level in range(CAPACITIES + 1):
        least = capacity * 16.0**-level if level < CAPACITIES else 0.0
        while searches < SEARCHES and da.any() and db.any():
            searches += 1
            found = search(
                C,
                shift,
                f,
                g,
                inverse,
                lowest,
                P,
                da,
                db,
                least,
                from_row,
                from_column,
                queue,
                sinks,
            )
            if not found or not augment(P, da, db, from_row, from_column, sinks[:found]):
                break
    return from_column > -2, from_row > -1


@kernel
def greedy(C, shift, f, g, inverse, lowest, P, da, db):
    """Serve rows in turn, each from its largest entry downwards."""
    for i in range(C.shape[0]):
        while da[i] > 0.0:
            best, place = -1.0, -1
            for j in range(C.shape[1]):
                if db[j] > 0.0 and P[i, j] > best:
                    if exponent(f[i], g[j], C[i, j], shift, inverse) >= lowest:
                        best, place = P[i, j], j
            if place < 0:
                break
            if da[i] <= db[place]:
                P[i, place] += da[i]
                db[place] -= da[i]
                da[i] = 0.0
            else:
                P[i, place] += db[place]
                da[i] -= db[place]
                db[place] = 0.0


@kernel
def search(C, shift, f, g, inverse, lowest, P, da, db, least, from_row, from_column, queue, sinks):
    """Breadth first from the rows that lack to the columns that lack; returns how many it found.

    `from_row` is the row before a column (-1: not reached), `from_column` the column before a row
    (-1: a row that lacks, -2: not reached).  Flow is taken back only where there is more than
    `least`.
    """
    n, m = C.shape
    head = tail = found = 0
    from_row[:] = -1
    for i in range(n):
        from_column[i] = -1 if da[i] > 0.0 else -2
        if da[i] > 0.0:
            queue[tail] = i
            tail += 1
    while head < tail:
        i = queue[head]
        head += 1
        for j in range(m):
            if from_row[j] != -1 or exponent(f[i], g[j], C[i, j], shift, inverse) < lowest:
                continue
            from_row[j] = i
            if db[j] > 0.0:
                sinks[found] = j
                found += 1
                continue
            for k in range(n):
                if from_column[k] == -2 and P[k, j] > least:
                    from_column[k] = j
                    queue[tail] = k
                    tail += 1
    return found


@kernel
def augment(P, da, db, from_row, from_column, sinks):
    """Send what the paths of the search can carry, one after the other; True if any carried."""
    moved = False
    for sink in sinks:
        amount, j = db[sink], sink
        while True:
            i = from_row[j]
            j = from_column[i]
            if j < 0:
                amount = min(amount, da[i])
                break
            amount = min(amount, P[i, j])
        if not amount > 0.0:
            continue
        moved = True
        db[sink] -= amount
        j = sink
        while True:
            i = from_row[j]
            P[i, j] += amount
            j = from_column[i]
            if j < 0:
                da[i] -= amount
                break
            P[i, j] -= amount
    return moved
