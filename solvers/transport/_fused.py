"""Sinkhorn iterations that read a stored kernel matrix once each."""

from __future__ import annotations

import numpy as np

from fejer.jit import kernel

DONE, ASKS, ABSORB, FAILED = 0, 1, 2, 3
LARGEST = 2.0**57  # scalings beyond exp(+-40) are absorbed into the potentials
TINY = 1e-290


@kernel
def fused_pass(K, a, u, v, w):
    """Half-steps of Sinkhorn: ``u = a / (K v)`` and ``w = K' u``, reading K once.

    Eight rows at a time: they are still in the cache when they are used again for w.  Returns
    the smallest row sum.
    """
    n, m = K.shape
    least = np.inf
    w[:] = 0.0
    for i in range(0, n - 7, 8):
        k0, k1, k2, k3 = K[i], K[i + 1], K[i + 2], K[i + 3]
        k4, k5, k6, k7 = K[i + 4], K[i + 5], K[i + 6], K[i + 7]
        s0 = s1 = s2 = s3 = s4 = s5 = s6 = s7 = 0.0
        for j in range(m):
            t = v[j]
            s0 += k0[j] * t
            s1 += k1[j] * t
            s2 += k2[j] * t
            s3 += k3[j] * t
            s4 += k4[j] * t
            s5 += k5[j] * t
            s6 += k6[j] * t
            s7 += k7[j] * t
        least = min(least, min(min(s0, s1), min(s2, s3)), min(min(s4, s5), min(s6, s7)))
        u0, u1, u2, u3 = a[i] / s0, a[i + 1] / s1, a[i + 2] / s2, a[i + 3] / s3
        u4, u5, u6, u7 = a[i + 4] / s4, a[i + 5] / s5, a[i + 6] / s6, a[i + 7] / s7
        u[i], u[i + 1], u[i + 2], u[i + 3] = u0, u1, u2, u3
        u[i + 4], u[i + 5], u[i + 6], u[i + 7] = u4, u5, u6, u7
        for j in range(m):
            first = u0 * k0[j] + u1 * k1[j] + u2 * k2[j] + u3 * k3[j]
            w[j] += first + (u4 * k4[j] + u5 * k5[j] + u6 * k6[j] + u7 * k7[j])
    for i in range(n - n % 8, n):
        row, total = K[i], 0.0
        for j in range(m):
            total += row[j] * v[j]
        least = min(least, total)
        scaling = a[i] / total
        u[i] = scaling
        for j in range(m):
            w[j] += scaling * row[j]
    return least


@kernel
def iterate(K, a, b, u, v, w, count, ask):
    """Up to `count` iterations; returns (iterations made, last violation, why it stopped).

    The violation is the L1 distance of the column sums of diag(u) K diag(v) from b before v is
    renewed; the rows of the renewed plan violate theirs by no more.
    """
    made, violation = 0, np.inf
    while made < count:
        if not fused_pass(K, a, u, v, w) > TINY:
            return made, violation, FAILED
        least = np.inf
        for j in range(w.size):
            least = min(least, w[j])
        if not least > TINY:
            return made, violation, FAILED
        violation, top = 0.0, 0.0
        for j in range(w.size):
            violation += abs(v[j] * w[j] - b[j])
            v[j] = b[j] / w[j]
            top = max(top, max(v[j], 1.0 / v[j]))
        for i in range(u.size):
            top = max(top, max(u[i], 1.0 / u[i]))
        made += 1
        if not top < LARGEST:
            return made, violation, ABSORB
        if violation <= ask:
            return made, violation, ASKS
    return made, violation, DONE
