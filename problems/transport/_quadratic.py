"""Kernels over the entries ``[f_i + g_j - C_ij]_+ / gamma`` of quadratically regularised plans.

All take a block of rows of the cost, the number `start` of its first row, and the constant `shift`
that is taken off every cost.  ``k`` entries of each row may be positive; k = m is no limit.
"""

from __future__ import annotations

import numpy as np

from fejer.evidence import Array
from fejer.jit import kernel
from fejer.problems.transport._gibbs import exponent
from fejer.problems.transport._polytope import Polytope

SWEEPS = 200  # at most, for the root of a piecewise linear function: it takes about six


@kernel
def sift(heap, places, value, place):
    """Replace the smallest entry, at the top of a heap, by `value`."""
    i, size = 0, heap.size
    while True:
        child = 2 * i + 1
        if child >= size:
            break
        if child + 1 < size and heap[child + 1] < heap[child]:
            child += 1
        if heap[child] >= value:
            break
        heap[i], places[i] = heap[child], places[child]
        i = child
    heap[i], places[i] = value, place


@kernel
def largest(values, heap, places):
    """The largest entries of `values` and their places, as a heap; ties go to the first ones."""
    heap[:] = -np.inf
    places[:] = -1
    for j in range(values.size):
        if values[j] > heap[0]:
            sift(heap, places, values[j], j)


@kernel
def positive_root(v, level, f):
    """The f with ``sum_j [f + v_j]_+ = level > 0``, by Newton's method from the given f."""
    count, before = 0, -1
    for _ in range(SWEEPS):
        count, total = 0, 0.0
        for j in range(v.size):
            value = f + v[j]
            total += value if value > 0.0 else 0.0
            count += value > 0.0
        if count == 0:
            top = -np.inf
            for j in range(v.size):
                top = v[j] if v[j] > top else top
            f, before = level - top, -1
            continue
        f += (level - total) / count
        # After the first step f is at the right of the root, and the count never rises again.
        if count == before:
            break
        before = count
    return f


@kernel
def dual_rows(C, start, shift, gamma, a, g, f, q, v, heap, places):
    """Solve each row for its f; adds the column sums to `q`; returns the rows' dual value.

    The rows of the plan sum to ``a`` exactly.
    """
    total, m = 0.0, g.size
    limited = heap.size < m
    for i in range(C.shape[0]):
        row, level = C[i], gamma * a[start + i]
        for j in range(m):
            v[j] = g[j] - (row[j] - shift)
        squares = 0.0
        if limited:
            largest(v, heap, places)
            fi = positive_root(heap, level, f[start + i])
            for l in range(heap.size):
                value = fi + heap[l]
                if value > 0.0:
                    q[places[l]] += value / gamma
                    squares += value * value
        else:
            fi = positive_root(v, level, f[start + i])
            for j in range(m):
                value = fi + v[j]
                value = value if value > 0.0 else 0.0
                q[j] += value / gamma
                squares += value * value
        f[start + i] = fi
        total += a[start + i] * fi - squares / (2.0 * gamma)
    return total


@kernel
def positive_sums(C, start, shift, gamma, f, g, a, p, q, r, scaled_q):
    """Row sums p and column sums q of the plan, ``r = min(1, a / p)``, column sums scaled by r.

    Returns the sum of the squares of the plan's entries.
    """
    squares = 0.0
    for k in range(C.shape[0]):
        i, row = start + k, C[k]
        total = 0.0
        for j in range(row.size):
            value = exponent(f[i], g[j], row[j], shift, 1.0) / gamma
            value = value if value > 0.0 else 0.0
            total += value
            squares += value * value
            q[j] += value
        p[i] = total
        r[i] = a[i] / total if total > a[i] else 1.0
        for j in range(row.size):
            value = exponent(f[i], g[j], row[j], shift, 1.0) / gamma
            scaled_q[j] += r[i] * value if value > 0.0 else 0.0
    return squares


@kernel
def scaled_rows(C, start, shift, gamma, f, g, r, c, deficit, share, P):
    """Rows of diag(r) [.]_+ / gamma diag(c) + deficit share'."""
    for k in range(C.shape[0]):
        i, row, out = start + k, C[k], P[k]
        for j in range(row.size):
            value = exponent(f[i], g[j], row[j], shift, 1.0) / gamma
            value = value if value > 0.0 else 0.0
            out[j] = r[i] * value * c[j] + deficit[i] * share[j]


@kernel
def gap_sums(C, start, shift, gamma, f, g, P, out):
    """Add <C, P>, the sum of squares of P, and the gap of P to `out`.

    The gap is ``sum (gamma P - s_+)^2 / (2 gamma) + P (-s)_+`` with ``s = f + g - C``.
    """
    cost = squares = gap = 0.0
    for k in range(C.shape[0]):
        fi, row, entries = f[start + k], C[k], P[k]
        for j in range(row.size):
            entry = entries[j]
            s = exponent(fi, g[j], row[j], shift, 1.0)
            positive = s if s > 0.0 else 0.0
            difference = gamma * entry - positive
            gap += difference * difference / (2.0 * gamma)
            if entry > 0.0:
                gap -= entry * s if s < 0.0 else 0.0
                cost += entry * (row[j] - shift)
                squares += entry * entry
    out[0] += cost
    out[1] += squares
    out[2] += gap


@kernel
def top_sums(C, start, shift, f, g, k, v, heap, places, out):
    """Sums of the squares of the k largest positive ``f_i + g_j - C_ij`` of each row; ties.

    Adds to ``out``: the number of rows whose k-th and (k+1)-th are positive and (nearly) equal.
    Returns the sum of all.
    """
    total = 0.0
    for i in range(C.shape[0]):
        fi, row = f[start + i], C[i]
        for j in range(row.size):
            v[j] = exponent(fi, g[j], row[j], shift, 1.0)
        largest(v, heap, places)
        for l in range(heap.size):
            value = heap[l]
            if value > 0.0:
                total += value * value
        if heap.size < row.size and heap[0] > 0.0:
            size, above = abs(fi) + heap[0], 0
            for j in range(row.size):
                above += v[j] > heap[0] - 1e-7 * size
            out[0] += above > heap.size
    return total


def scale_of(polytope: Polytope, gamma: float, cost: float, squares: float) -> float:
    """The size of an objective, for costs less the shift: what gaps are compared with."""
    a, b = polytope.a, polytope.b
    spread = max(float(a @ a) / b.size, float(b @ b) / a.size)
    return min(cost + 0.5 * gamma * squares, polytope.mass * polytope.spread + gamma * spread)


def moduli_of(polytope: Polytope, f: Array, g: Array) -> float:
    """<a, |f|> + <b, |g|>."""
    return float(polytope.a @ np.abs(f) + polytope.b @ np.abs(g))
