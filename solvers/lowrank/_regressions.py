"""Approximate least squares for all rows of a factor: a few preconditioned conjugate gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fejer.jit import kernel
from fejer.numerics.random import below, uniform
from fejer.problems.lowrank._sweeps import solve_shifted

SKETCH = 4  # rows of a sketch, over the rank


def workspace(rank: int, longest: int, dtype: Any) -> tuple[NDArray[Any], ...]:
    """Return the arrays that `inexact_sweep` takes last; ``longest`` is the largest degree."""
    square, vector = (rank, rank), (rank,)
    shapes = ((longest, rank), (longest,), (SKETCH * rank, rank), square, square)
    return tuple(np.empty(shape, dtype) for shape in (*shapes, *(vector,) * 5))


@kernel
def inexact_sweep(
    indptr,
    indices,
    data,
    fixed,
    moving,
    lam,
    steps,
    sketched,
    words,
    gathered,
    work,
    sketch,
    gram,
    factor,
    inverse,
    right,
    scaled,
    along,
    step,
):
    """Correct each row of ``moving`` by a few conjugate gradients on its normal equations.

    The preconditioner is the diagonal of the fixed factor's Gram matrix times the degree, or the
    Gram matrix of a random sketch of the row's regressors. Rows with at most twice as many entries
    as the rank (four times, where sketched) are solved exactly. Returns the sums of squares of the
    steps and of the old residual.
    """
    rank = fixed.shape[1]
    zero = work.dtype.type(0)
    lam = work.dtype.type(lam)
    short = (SKETCH if sketched else 2) * rank
    inverse[:] = zero  # mean square of each column of the fixed factor
    for j in range(fixed.shape[0]):
        for a in range(rank):
            inverse[a] += fixed[j, a] * fixed[j, a]
    for a in range(rank):
        inverse[a] /= work.dtype.type(fixed.shape[0])
    moved, square = 0.0, 0.0
    for i in range(indptr.size - 1):
        begin = np.uint32(indptr[i])
        count = np.uint32(indptr[i + 1]) - begin
        if count == 0:
            for a in range(rank):
                moved += moving[i, a] * moving[i, a]
                moving[i, a] = zero
            continue
        for a in range(rank):
            right[a] = -lam * moving[i, a]
        for t in range(count):
            j = np.uint32(indices[begin + t])
            total = zero
            for a in range(rank):
                gathered[t, a] = fixed[j, a]
                total += fixed[j, a] * moving[i, a]
            work[t] = data[begin + t] - total
        for t in range(count):
            square += work[t] * work[t]
            for a in range(rank):
                right[a] += work[t] * gathered[t, a]
        rows = gathered[:count]
        if count <= short:
            np.dot(rows.T, rows, gram)
            for a in range(rank):
                step[a] = right[a]
            solve_shifted(gram, step, lam)
        else:
            if sketched:
                sketch[:] = zero
                for t in range(count):
                    bucket = below(words, short)
                    if uniform(words) < 0.5:
                        for a in range(rank):
                            sketch[bucket, a] += gathered[t, a]
                    else:
                        for a in range(rank):
                            sketch[bucket, a] -= gathered[t, a]
                np.dot(sketch.T, sketch, gram)
            degree = work.dtype.type(count)
            step[:] = zero
            last = zero
            for turn in range(steps):
                if sketched:
                    for a in range(rank):
                        scaled[a] = right[a]
                        for b in range(a + 1):
                            factor[a, b] = gram[a, b]
                    solve_shifted(factor, scaled, lam)
                else:
                    for a in range(rank):
                        weight = degree * inverse[a] + lam
                        scaled[a] = right[a] / weight if weight > zero else zero
                size = zero
                for a in range(rank):
                    size += right[a] * scaled[a]
                if not size > zero:
                    break
                ratio = size / last if turn > 0 else zero
                last = size
                for a in range(rank):
                    along[a] = scaled[a] + (ratio * along[a] if turn > 0 else zero)
                    scaled[a] = lam * along[a]
                curvature = zero
                for t in range(count):
                    total = zero
                    for a in range(rank):
                        total += gathered[t, a] * along[a]
                    for a in range(rank):
                        scaled[a] += total * gathered[t, a]
                for a in range(rank):
                    curvature += along[a] * scaled[a]
                if not curvature > zero:
                    break
                length = size / curvature
                for a in range(rank):
                    step[a] += length * along[a]
                    right[a] -= length * scaled[a]
        for a in range(rank):
            moved += step[a] * step[a]
            moving[i, a] += step[a]
    return moved, square
