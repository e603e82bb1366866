"""Exact least squares for all rows of a factor, the other factor fixed."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fejer.jit import kernel

BLOCK = 256  # entries whose factor rows are gathered at once: they stay in the cache


def workspace(rank: int, dtype: Any = np.float64) -> tuple[NDArray[Any], ...]:
    """Return the arrays that `half_sweep` takes last."""
    # The residual is one more column: its products come with the Gram matrix. A width that is a
    # multiple of 4 makes the product of a block a third faster.
    wide = 4 * (rank // 4 + 1)
    shapes = ((BLOCK, wide), (BLOCK,), (rank, rank), (wide, wide), (rank,))
    return tuple(np.zeros(shape, dtype) for shape in shapes)


@kernel
def half_sweep(indptr, indices, data, fixed, moving, lam, gathered, work, gram, part, step):
    """Minimise over each row of ``moving``: sums of squares of the steps, and of the old residual.

    Row i of ``moving`` sees the rows ``indices[t]`` of ``fixed``, t between ``indptr[i]`` and
    ``indptr[i + 1]``, and the values ``data[t]``. All arrays have one precision.
    """
    rank = fixed.shape[1]
    block = work.size
    zero = work.dtype.type(0)
    lam = work.dtype.type(lam)
    moved, square = 0.0, 0.0
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
                for a in range(rank):
                    gathered[t, a] = fixed[j, a]
            for t in range(count):
                total = zero
                for a in range(rank):
                    total += gathered[t, a] * moving[i, a]
                work[t] = data[first + t] - total
            for t in range(count):
                gathered[t, rank] = work[t]
            np.dot(gathered[:count].T, gathered[:count], part)
            square += part[rank, rank]
            for a in range(rank):
                step[a] += part[a, rank]
                for b in range(a + 1):
                    gram[a, b] += part[a, b]
            first += count
        solve_shifted(gram, step, lam)
        for a in range(rank):
            moved += step[a] * step[a]
            moving[i, a] += step[a]
    return moved, square


@kernel
def solve_shifted(gram, step, lam):
    """``step <- (G + delta I)^-1 step`` by Cholesky in the lower triangle of the Gram matrix."""
    rank = step.size
    zero = step.dtype.type(0)
    floor = step.dtype.type(1e-12 if step.itemsize == 8 else 1e-5)
    trace = zero
    for a in range(rank):
        trace += gram[a, a]
    delta = max(lam, floor * trace / step.dtype.type(rank))
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
