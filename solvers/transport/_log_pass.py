"""Sinkhorn iterations on the potentials: one reading of the costs and one exponential an entry."""

from __future__ import annotations

import math

import numpy as np

from fejer.jit import kernel
from fejer.numerics.elementary import MAGIC, MAGIC_32, _bit_casts
from fejer.problems.transport._distances import distance_row
from fejer.problems.transport._gibbs import log

LOG2E = 1.4426950408889634
CHUNK = 64  # rows whose columns are summed in the precision of the pass
TILE = 256  # columns whose costs are computed at a time
# Exponents are in base 2. Entries below 2^LOWEST count as that: of a sum that is used they are no
# part. Above, nothing is cut off: no exponent exceeds what the potentials have grown by.
LOWEST = -900.0
LOWEST_32 = np.float32(-100.0)
# Of 2^r on [-1/2, 1/2], interpolated at Chebyshev's points: relative errors 3.2e-16 and 1.1e-7.
A0, A1, A2, A3, A4, A5, A6, A7, A8, A9, A10 = (
    1.0, 0.69314718055995, 0.24022650695910097, 0.05550410866444772, 0.009618129107606888,
    0.0013333558230164974, 0.0001540353044173605, 1.5252657260200837e-05, 1.321544258792169e-06,
    1.0208690299958306e-07, 7.072585949269223e-09,
)  # fmt: skip
B0, B1, B2, B3, B4, B5 = (
    np.float32(c)
    for c in (1.0000000754548972, 0.6931471880262288, 0.2402210748530834, 0.05550357114219078,
              0.009676031918322054, 0.0013390863364671234)
)  # fmt: skip


# Without "reassoc", as `exp`: adding and subtracting the magic number would be folded away.
@kernel(fastmath={"contract", "nsz"}, namespace=_bit_casts, plain=lambda x: 2.0 ** max(x, LOWEST))
def power(x):
    """``2^x`` of a float64 below 1000; at least 2^-900."""
    x = x if x > LOWEST else LOWEST
    shifted = x + MAGIC
    r = x - (shifted - MAGIC)
    p = A10 * r + A9
    p = p * r + A8
    p = p * r + A7
    p = p * r + A6
    p = p * r + A5
    p = p * r + A4
    p = p * r + A3
    p = p * r + A2
    p = p * r + A1
    p = p * r + A0
    return from_bits(bits(p) + (bits(shifted) << 52))  # noqa: F821


@kernel(
    fastmath={"contract", "nsz"}, namespace=_bit_casts, plain=lambda x: 2.0 ** max(x, LOWEST_32)
)
def power32(x):
    """``2^x`` of a float32 below 120; at least 2^-100."""
    x = x if x > LOWEST_32 else LOWEST_32
    shifted = x + MAGIC_32
    r = x - (shifted - MAGIC_32)
    p = B5 * r + B4
    p = p * r + B3
    p = p * r + B2
    p = p * r + B1
    p = p * r + B0
    return from_bits32(bits32(p) + (bits32(shifted) << 23))  # noqa: F821


@kernel(fastmath={"contract", "nsz"})
def argument(f, g, cost, shift, scale):
    """``f + g - (cost - shift) scale``: a shift that is large takes no digits from f and g."""
    return (g + f) - (cost - shift) * scale


@kernel(fastmath={"contract", "nsz"})
def argument32(f, g, cost, shift, scale):
    """``f + g - cost``: in float32 costs are shifted and scaled before they are rounded."""
    return (g + f) - cost


@kernel
def entries(c0, c1, c2, c3, G, f0, f1, f2, f3, shift, scale, zero, z0, z1, z2, z3):
    """Entries of four rows; returns their sums."""
    t0 = t1 = t2 = t3 = zero
    for j in range(z0.size):
        g = G[j]
        e0 = power(argument(f0, g, c0[j], shift, scale))
        e1 = power(argument(f1, g, c1[j], shift, scale))
        e2 = power(argument(f2, g, c2[j], shift, scale))
        e3 = power(argument(f3, g, c3[j], shift, scale))
        z0[j], z1[j], z2[j], z3[j] = e0, e1, e2, e3
        t0 += e0
        t1 += e1
        t2 += e2
        t3 += e3
    return t0, t1, t2, t3


entries32 = kernel(namespace=lambda: {"power": power32, "argument": argument32})(entries)


@kernel
def add_columns(z, i, n, t0, t1, t2, t3, zero, weights, totals, part):
    """Scale four rows, of which those from n on are none, to their weights, and add them up."""
    i1, i2, i3 = min(i + 1, n - 1), min(i + 2, n - 1), min(i + 3, n - 1)
    totals[i], totals[i1], totals[i2], totals[i3] = t0, t1, t2, t3
    s0 = weights[i] / t0
    s1 = weights[i1] / t1 if i + 1 < n else zero
    s2 = weights[i2] / t2 if i + 2 < n else zero
    s3 = weights[i3] / t3 if i + 3 < n else zero
    z0, z1, z2, z3 = z[0], z[1], z[2], z[3]
    for j in range(part.size):
        part[j] += (s0 * z0[j] + s1 * z1[j]) + (s2 * z2[j] + s3 * z3[j])


@kernel
def stored_pass(C, shift, scale, zero, F, G, weights, z, totals, part, w):
    """Sums of the rows of ``2^(F_i + G_j - (C_ij - shift) scale)``, and of its columns.

    Columns are summed when each row is scaled to its weight.
    """
    n = C.shape[0]
    w[:] = 0.0
    for start in range(0, n, CHUNK):
        part[:] = zero
        for i in range(start, min(start + CHUNK, n), 4):
            i1, i2, i3 = min(i + 1, n - 1), min(i + 2, n - 1), min(i + 3, n - 1)
            t0, t1, t2, t3 = entries(
                C[i], C[i1], C[i2], C[i3], G, F[i], F[i1], F[i2], F[i3], shift, scale, zero,
                z[0], z[1], z[2], z[3],
            )  # fmt: skip
            add_columns(z, i, n, t0, t1, t2, t3, zero, weights, totals, part)
        for j in range(w.size):
            w[j] += part[j]


stored_pass32 = kernel(namespace=lambda: {"entries": entries32})(stored_pass)


@kernel
def cloud_pass(X, YT, kind, half_power, shift, scale, zero, F, G, weights, c, z, totals, part, w):
    """The same, of costs that are computed when they are needed, a tile of four rows at a time."""
    n, m = X.shape[0], w.size
    w[:] = 0.0
    for start in range(0, n, CHUNK):
        part[:] = zero
        for i in range(start, min(start + CHUNK, n), 4):
            i1, i2, i3 = min(i + 1, n - 1), min(i + 2, n - 1), min(i + 3, n - 1)
            t0 = t1 = t2 = t3 = zero
            for j in range(0, m, TILE):
                stop = min(j + TILE, m)
                c0, c1 = c[0][: stop - j], c[1][: stop - j]
                c2, c3 = c[2][: stop - j], c[3][: stop - j]
                distance_row(X[i], YT, kind, half_power, j, c0)
                distance_row(X[i1], YT, kind, half_power, j, c1)
                distance_row(X[i2], YT, kind, half_power, j, c2)
                distance_row(X[i3], YT, kind, half_power, j, c3)
                d0, d1, d2, d3 = entries(
                    c0, c1, c2, c3, G[j:stop], F[i], F[i1], F[i2], F[i3], shift, scale, zero,
                    z[0][j:stop], z[1][j:stop], z[2][j:stop], z[3][j:stop],
                )  # fmt: skip
                t0 += d0
                t1 += d1
                t2 += d2
                t3 += d3
            add_columns(z, i, n, t0, t1, t2, t3, zero, weights, totals, part)
        for j in range(w.size):
            w[j] += part[j]


cloud_pass32 = kernel(namespace=lambda: {"entries": entries32})(cloud_pass)


@kernel
def exponents(f, g, offset, scale, log_a, F, G):
    """Base-2 exponents of the potentials, F less the logarithm of the weight of the row.

    Returns the sum of their largest moduli.
    """
    largest = widest = 0.0
    for i in range(f.size):
        value = (f[i] + offset) * scale - LOG2E * log_a[i]
        F[i] = value
        largest = max(largest, abs(value))
    for j in range(g.size):
        value = g[j] * scale
        G[j] = value
        widest = max(widest, abs(value))
    return largest + widest


@kernel
def renew(totals, w, unit, a, b, log_b, epsilon, low, least, f, g):
    """New potentials of the sums of a pass.

    Returns the violation before g is renewed (-1: a sum is out of range, and nothing is done), the
    growth of exponents in the next pass, and ``<a, |f|> + <b, |g|>``.
    """
    for total in totals:
        if not low < total < 1e30 / low:
            return -1.0, np.inf, np.inf
    for value in w:
        if not least < value < 1e200:
            return -1.0, np.inf, np.inf
    violation, growth, mass, offset, size = 0.0, -np.inf, 0.0, 0.0, 0.0
    for i in range(f.size):
        f[i] -= epsilon * log(np.float64(totals[i]))
        mass += a[i]
        offset += a[i] * f[i]
    for j in range(g.size):
        value = unit * w[j]
        violation += abs(value - b[j])
        w[j] = log_b[j] - log(value)
        g[j] += epsilon * w[j]
        offset -= b[j] * g[j]
    for value in w:
        growth = max(growth, value)
    offset /= 2.0 * mass
    for i in range(f.size):
        f[i] -= offset
        size += a[i] * abs(f[i])
    for j in range(g.size):
        g[j] += offset
        size += b[j] * abs(g[j])
    return violation, LOG2E * growth, size


@kernel
def noise_of(size, factor, reach):
    """Violation that rounding in float32 can cause; 0 in float64, where `factor` is 0.

    Exponents of size s are rounded to ``factor s``, those of costs between points of norm up to
    `reach` by ``factor reach (1 + sqrt(s))`` more, entries by a few units in the last place.
    """
    return factor * (2.0 * size + 4.0 + reach * (1.0 + math.sqrt(size)))


@kernel
def iterate(
    C, shift, scale, zero, a, b, log_a, log_b, weights, unit, epsilon, rounding, limits,
    f, g, F, G, z, totals, part, w, growth, ask, count,
):  # fmt: skip
    """Up to `count` iterations; returns how many, and violation, growth and noise after the last.

    Stops where the violation is at most that of `ask` or the noise, and where sums would leave
    their range.
    """
    made, violation, noise, mass = 0, np.inf, 0.0, unit * a.size
    inverse = LOG2E / epsilon
    while made < count and growth < limits[0]:
        if not exponents(f, g, 0.0, inverse, log_a, F, G) < limits[1]:
            break
        stored_pass(C, shift, scale, zero, F, G, weights, z, totals, part, w)
        found, grown, size = renew(
            totals, w, unit, a, b, log_b, epsilon, limits[2], limits[3], f, g
        )
        if found < 0.0:
            break
        made += 1
        violation, growth = found, grown
        noise = mass * noise_of(inverse * size / mass, rounding[0], rounding[1])
        if violation <= max(ask, noise):
            break
    return made, violation, growth, noise


iterate32 = kernel(namespace=lambda: {"stored_pass": stored_pass32})(iterate)
