"""Kernels over the entries ``exp((f_i + g_j - C_ij) / eps)`` of a Gibbs plan.

All take a block of rows of the cost, the number `start` of its first row, and the constant `shift`
that is taken off every cost.  Forbidden arcs (+inf) have entry 0.
"""

from __future__ import annotations

import math

import numpy as np

from fejer.jit import kernel
from fejer.numerics.elementary import LN2_HIGH, LN2_LOW, _bit_casts, exp

ROUNDING = 2.0**-53
# Beyond these numbers exp saturates: a sum that holds exp(709) is no longer the sum of the entries.
SATURATED = 8.0e307
LOWEST = -708.0
# Entries of a stored kernel matrix below exp(-600) are 0: no product with scalings is denormal.
FLUSHED = -600.0


# Without "reassoc": f + shift would be formed first, and the digits of f be lost in it.
@kernel(fastmath={"contract", "nsz"})
def exponent(f, g, cost, shift, inverse):
    """``(f + g - (cost - shift)) / eps``."""
    return ((f + g) - (cost - shift)) * inverse


SQRT_HALF_BITS = 0x3FE6A09E667F3BCD


@kernel(fastmath={"contract", "nsz"}, namespace=_bit_casts, plain=lambda x: math.log(x or 1.0))
def log(x):
    """Logarithm of a normal positive float64, straight-line code that vectorises; finite at 0.

    x = 2^k m with m from sqrt(1/2) to sqrt(2), log m = 2 artanh((m - 1) / (m + 1)).
    """
    k = (bits(x) - SQRT_HALF_BITS) >> 52  # noqa: F821
    m = from_bits(bits(x) - (k << 52))  # noqa: F821
    s = (m - 1.0) / (m + 1.0)
    z = s * s
    p = 2.0 / 21.0
    p = p * z + 2.0 / 19.0
    p = p * z + 2.0 / 17.0
    p = p * z + 2.0 / 15.0
    p = p * z + 2.0 / 13.0
    p = p * z + 2.0 / 11.0
    p = p * z + 2.0 / 9.0
    p = p * z + 2.0 / 7.0
    p = p * z + 2.0 / 5.0
    p = p * z + 2.0 / 3.0
    return k * LN2_HIGH + (k * LN2_LOW + s * (2.0 + z * p))


@kernel
def gibbs_sums(C, start, shift, f, g, inverse, a, z, p, q, r, scaled_q):
    """Row sums ``p`` and column sums ``q += ...`` of the plan Z.

    Also r = min(1, a / p) and the column sums of diag(r) Z; returns how many entries that are
    not forbidden are exactly 0, and how many are.
    """
    zeros = 0
    for k in range(C.shape[0]):
        i, row = start + k, C[k]
        fi, total = f[i], 0.0
        for j in range(row.size):
            z[j] = exp(exponent(fi, g[j], row[j], shift, inverse))
            total += z[j]
            zeros += z[j] == 0.0
        factor = a[i] / total if total > a[i] else 1.0
        p[i], r[i] = total, factor
        for j in range(row.size):
            q[j] += z[j]
            scaled_q[j] += factor * z[j]
    return zeros


@kernel
def filled_rows(C, start, shift, f, g, inverse, a, r, c, log_c, share, z, t, deficit, out):
    """Sums over the rounded plan P = diag(r) Z diag(c) + deficit share'.

    ``deficit`` is what rows lack, ``share`` how it is spread over the columns.  Added to `out`:
    <C, P>, KL(P | Z) and the moduli of the summands of the latter.
    """
    cost = divergence = moduli = 0.0
    for k in range(C.shape[0]):
        i, row = start + k, C[k]
        fi, ri, total = f[i], r[i], 0.0
        for j in range(row.size):
            t[j] = exponent(fi, g[j], row[j], shift, inverse)
            z[j] = exp(t[j])
            total += ri * z[j] * c[j]
        lacking = a[i] - total
        deficit[i] = lacking if lacking > 4.0 * ROUNDING * a[i] else 0.0
        lacking, log_r = deficit[i], math.log(ri)
        if lacking == 0.0:
            for j in range(row.size):
                entry = ri * z[j] * c[j]
                information = entry * (log_r + log_c[j])
                cost += entry * (row[j] - shift)
                divergence += information - entry + z[j]
                moduli += abs(information) + entry + z[j]
        else:
            for j in range(row.size):
                entry = ri * z[j] * c[j] + lacking * share[j]
                information = entry * (log(entry) - t[j])
                cost += entry * (row[j] - shift)
                divergence += information - entry + z[j]
                moduli += abs(information) + entry + z[j]
    out[0] += cost
    out[1] += divergence
    out[2] += moduli


@kernel
def scaled_rows(C, start, shift, f, g, inverse, r, c, deficit, share, P):
    """Rows of diag(r) Z diag(c) + deficit share'."""
    for k in range(C.shape[0]):
        i, row, out = start + k, C[k], P[k]
        fi, ri, lacking = f[i], r[i], deficit[i]
        for j in range(row.size):
            entry = exp(exponent(fi, g[j], row[j], shift, inverse))
            out[j] = ri * entry * c[j] + lacking * share[j]


@kernel
def scaled_sums(C, start, shift, f, g, inverse, r, c, z, p, q, out):
    """Row sums p and column sums ``q += ...`` of diag(r) Z diag(c).

    Added to `out`: <C, P> and the sum of Z.
    """
    cost = whole = 0.0
    for k in range(C.shape[0]):
        i, row = start + k, C[k]
        fi, ri, total, paid = f[i], r[i], 0.0, 0.0
        for j in range(row.size):
            z[j] = exp(exponent(fi, g[j], row[j], shift, inverse))
            whole += z[j]
            z[j] *= ri * c[j]
            total += z[j]
            q[j] += z[j]
            paid += z[j] * (row[j] - shift) if z[j] > 0.0 else 0.0
        p[i] = total
        cost += paid
    out[0] += cost
    out[1] += whole


@kernel
def explicit_sums(C, shift, f, g, inverse, P, z, t, out):
    """Add <C, P>, KL(P | Z) and the moduli of its summands to `out`, for a plan in memory."""
    cost = divergence = moduli = 0.0
    for i in range(C.shape[0]):
        fi, row, entries = f[i], C[i], P[i]
        for j in range(row.size):
            t[j] = exponent(fi, g[j], row[j], shift, inverse)
            z[j] = exp(t[j])
        for j in range(row.size):
            entry = entries[j]
            # Of a forbidden arc the exponent is infinite, and 0 times infinity is not 0.
            information = entry * (log(entry) - t[j]) if entry > 0.0 else 0.0
            cost += entry * (row[j] - shift) if entry > 0.0 else 0.0
            divergence += information - entry + z[j]
            moduli += abs(information) + entry + z[j]
    out[0] += cost
    out[1] += divergence
    out[2] += moduli


@kernel
def gibbs_matrix(C, shift, f, g, inverse, K):
    """Store the entries, those below exp(-600) as 0."""
    for i in range(C.shape[0]):
        fi, row, out = f[i], C[i], K[i]
        for j in range(row.size):
            t = exponent(fi, g[j], row[j], shift, inverse)
            value = exp(t)
            out[j] = value if t > FLUSHED else 0.0


@kernel
def log_rows(C, start, shift, f, g, inverse, a, log_a, z, w):
    """One Sinkhorn half-step for the rows of a block, without a stored matrix.

    The previous f is the shift under which the sum is formed; where it serves badly the row is
    summed again under its largest exponent.  ``w`` receives the column sums of the new plan.
    """
    for k in range(C.shape[0]):
        i, row = start + k, C[k]
        fi, total = f[i], 0.0
        for j in range(row.size):
            z[j] = exp(exponent(fi, g[j], row[j], shift, inverse))
            total += z[j]
        if not 1e-200 < total < 1e200:
            fi = -row_maximum(row, g, shift)
            total = 0.0
            for j in range(row.size):
                z[j] = exp(exponent(fi, g[j], row[j], shift, inverse))
                total += z[j]
            total = min(max(total, 1.0), 1e300)  # rounding of huge costs may exceed eps
        f[i] = fi + (log_a[i] - math.log(total)) / inverse
        factor = a[i] / total
        for j in range(row.size):
            w[j] += factor * z[j]


@kernel
def row_maximum(row, g, shift):
    """``max_j g_j - (C_ij - shift)``."""
    top = -np.inf
    for j in range(row.size):
        value = g[j] - (row[j] - shift)
        top = value if value > top else top
    return top


@kernel
def c_transform(C, start, shift, g, f):
    """``f_i = min_j C_ij - shift - g_j``: the largest f that fits to g."""
    for k in range(C.shape[0]):
        f[start + k] = -row_maximum(C[k], g, shift)


@kernel
def column_minima(C, start, shift, f, least):
    """``least_j <- min(least_j, min_i C_ij - shift - f_i)``."""
    for k in range(C.shape[0]):
        fi, row = f[start + k], C[k]
        for j in range(row.size):
            value = (row[j] - shift) - fi
            least[j] = value if value < least[j] else least[j]


@kernel
def column_maxima(C, start, shift, f, top):
    """``top_j <- max(top_j, max_i f_i - (C_ij - shift))``."""
    for k in range(C.shape[0]):
        fi, row = f[start + k], C[k]
        for j in range(row.size):
            value = fi - (row[j] - shift)
            top[j] = value if value > top[j] else top[j]


@kernel
def column_sums(C, start, shift, f, g, inverse, w):
    """Add the column sums of the plan of (f, g) to `w`."""
    for k in range(C.shape[0]):
        fi, row = f[start + k], C[k]
        for j in range(row.size):
            w[j] += exp(exponent(fi, g[j], row[j], shift, inverse))
