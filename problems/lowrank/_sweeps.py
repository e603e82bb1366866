"""Exact least squares for all rows of a factor, the other factor fixed."""

from __future__ import annotations

import numpy as np

from fejer.evidence import Array
from fejer.jit import kernel

BLOCK = 256  # entries whose factor rows are gathered at once: they stay in the cache


def workspace(rank: int) -> tuple[Array, ...]:
    """Return the arrays that `half_sweep` takes last."""
    square = (rank, rank)
    return (
        np.empty((BLOCK, rank)),
        np.empty(BLOCK),
        np.empty(square),
        np.empty(square),
        np.empty(rank),
    )


@kernel
def half_sweep(indptr, indices, data, fixed, moving, lam, gathered, work, gram, part, step):
    """Minimise over each row of ``moving``; returns the sum of squares of the steps.

    Row i of ``moving`` sees the rows ``indices[t]`` of ``fixed``, t between ``indptr[i]`` and
    ``indptr[i + 1]``, and the values ``data[t]``.
    """
    rank = fixed.shape[1]
    block = work.size
    moved = 0.0
    for i in range(indptr.size - 1):
        begin, end = np.uint32(indptr[i]), np.uint32(indptr[i + 1])
        if begin == end:
            for a in range(rank):
                moved += moving[i, a] * moving[i, a]
                moving[i, a] = 0.0
            continue
        gram[:] = 0.0
        for a in range(rank):
            step[a] = -lam * moving[i, a]
        first = begin
        while first < end:
            count = min(end - first, np.uint32(block))
            for t in range(count):
                j = np.uint32(indices[first + t])
                total = 0.0
                for a in range(rank):
                    gathered[t, a] = fixed[j, a]
                    total += fixed[j, a] * moving[i, a]
                work[t] = data[first + t] - total
            for t in range(count):
                for a in range(rank):
                    step[a] += work[t] * gathered[t, a]
            np.dot(gathered[:count].T, gathered[:count], part)
            for a in range(rank):
                for b in range(a + 1):
                    gram[a, b] += part[a, b]
            first += count
        solve_shifted(gram, step, lam)
        for a in range(rank):
            moved += step[a] * step[a]
            moving[i, a] += step[a]
    return moved


@kernel
def solve_shifted(gram, step, lam):
    """``step <- (G + delta I)^-1 step`` by Cholesky in the lower triangle of the Gram matrix."""
    rank = step.size
    trace = 0.0
    for a in range(rank):
        trace += gram[a, a]
    delta = max(lam, 1e-12 * trace / rank)
    if not delta > 0.0:  # the fixed factor is 0 here: nothing to gain
        for a in range(rank):
            step[a] = 0.0
        return
    for a in range(rank):
        for b in range(a):
            total = gram[a, b]
            for c in range(b):
                total -= gram[a, c] * gram[b, c]
            gram[a, b] = total / gram[b, b]
        total = gram[a, a] + delta
        for c in range(a):
            total -= gram[a, c] * gram[a, c]
        gram[a, a] = np.sqrt(max(total, delta))
    for a in range(rank):
        total = step[a]
        for c in range(a):
            total -= gram[a, c] * step[c]
        step[a] = total / gram[a, a]
    for a in range(rank - 1, -1, -1):
        total = step[a]
        for c in range(a + 1, rank):
            total -= gram[c, a] * step[c]
        step[a] = total / gram[a, a]
