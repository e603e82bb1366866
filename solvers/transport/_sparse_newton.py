"""Kernels of Newton's method on the dual with a sparsified Hessian."""

from __future__ import annotations

import math

import numpy as np

from fejer.jit import kernel
from fejer.numerics.elementary import exp
from fejer.problems.transport._gibbs import exponent

# Logarithms of entries are counted in bins of 1/64, from 16 above to 48 below 1.
BINS_PER_UNIT = 64.0
BINS = 4096
TOP = 16.0


@kernel
def marginals(C, start, shift, f, g, inverse, p, q):
    """Row sums ``p`` and column sums ``q += ...`` of the plan of the potentials."""
    for k in range(C.shape[0]):
        i, row = start + k, C[k]
        fi, total = f[i], 0.0
        for j in range(row.size):
            entry = exp(exponent(fi, g[j], row[j], shift, inverse))
            total += entry
            q[j] += entry
        p[i] = total


@kernel
def count_logs(C, start, shift, f, g, inverse, log_scale, counts):
    """Count the entries by their logarithm, less `log_scale`; the last bin takes the rest."""
    for k in range(C.shape[0]):
        fi, row = f[start + k], C[k]
        for j in range(row.size):
            t = exponent(fi, g[j], row[j], shift, inverse) - log_scale
            place = (TOP - t) * BINS_PER_UNIT
            place = min(max(place, 0.0), BINS - 1.0)
            counts[int(place)] += 1


@kernel
def row_counts(C, start, shift, f, g, inverse, least, indptr):
    """Number of entries of each row whose logarithm is at least `least`, in ``indptr[i + 1]``."""
    for k in range(C.shape[0]):
        i, row, found = start + k, C[k], 0
        for j in range(row.size):
            found += exponent(f[i], g[j], row[j], shift, inverse) >= least
        indptr[i + 1] = found


@kernel
def keep_entries(C, start, shift, f, g, inverse, least, indptr, indices, values):
    """Store those entries in compressed rows."""
    for k in range(C.shape[0]):
        i, row = start + k, C[k]
        place = indptr[i]
        for j in range(row.size):
            t = exponent(f[i], g[j], row[j], shift, inverse)
            if t >= least:
                indices[place] = j
                values[place] = exp(t)
                place += 1


@kernel
def schur_product(indptr, indices, values, p, q, x, out):
    """``(diag(q) - S' diag(1/p) S) x`` for a matrix S in compressed rows."""
    for j in range(q.size):
        out[j] = q[j] * x[j]
    for i in range(p.size):
        total = 0.0
        for k in range(indptr[i], indptr[i + 1]):
            total += values[k] * x[indices[k]]
        total /= p[i]
        for k in range(indptr[i], indptr[i + 1]):
            out[indices[k]] -= values[k] * total


@kernel
def newton_direction(indptr, indices, values, p, q, u, v, tol, most, df, dg):
    """Solve ``[diag(p), S; S', diag(q)] (df, dg) = (u, v)``; returns the products made.

    The rows are eliminated; conjugate gradients with the diagonal as preconditioner solve for dg.
    """
    n, m = p.size, q.size
    r, z, d, w = np.empty(m), np.empty(m), np.empty(m), np.empty(m)
    diagonal = q.copy()
    r[:] = v
    for i in range(n):
        share = u[i] / p[i]
        for k in range(indptr[i], indptr[i + 1]):
            j = indices[k]
            r[j] -= values[k] * share
            diagonal[j] -= values[k] * values[k] / p[i]
    size, rz = 0.0, 0.0
    for j in range(m):
        diagonal[j] = max(diagonal[j], 1e-3 * q[j])
        dg[j] = 0.0
        z[j] = r[j] / diagonal[j]
        d[j] = z[j]
        rz += r[j] * z[j]
    size = rz
    made = 0
    while made < most and rz > tol * tol * size:
        schur_product(indptr, indices, values, p, q, d, w)
        made += 1
        curvature = 0.0
        for j in range(m):
            curvature += d[j] * w[j]
        if not curvature > 0.0:
            break
        step = rz / curvature
        before, rz = rz, 0.0
        for j in range(m):
            dg[j] += step * d[j]
            r[j] -= step * w[j]
            z[j] = r[j] / diagonal[j]
            rz += r[j] * z[j]
        factor = rz / before
        for j in range(m):
            d[j] = z[j] + factor * d[j]
    for i in range(n):
        total = u[i]
        for k in range(indptr[i], indptr[i + 1]):
            total -= values[k] * dg[indices[k]]
        df[i] = total / p[i]
    return made


@kernel
def drop_small(P, budget):
    """Set to 0 the smallest entries of each column, then of each row, that sum to <= `budget`."""
    n, m = P.shape
    for j in range(m):
        column = P[:, j].copy()
        column.sort()
        least = _kept_from(column, budget)
        for i in range(n):
            P[i, j] = P[i, j] if P[i, j] >= least else 0.0
    for i in range(n):
        row = P[i].copy()
        row.sort()
        least = _kept_from(row, budget)
        for j in range(m):
            P[i, j] = P[i, j] if P[i, j] >= least else 0.0


@kernel
def _kept_from(ordered, budget):
    """The entry from which on the ascending ones are kept."""
    total = 0.0
    for value in ordered:
        total += value
        if total > budget:
            return value
    return math.inf
