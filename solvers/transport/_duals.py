"""Potentials that belong to an optimal permutation."""

from __future__ import annotations

import numpy as np

from fejer.jit import kernel


@kernel
def assignment_potentials(C, shift, sigma, f, g):
    """Fill f and g with ``f_i + g_j <= C_ij - shift``, equal at ``j = sigma_i``.

    g holds distances in the graph with arcs from sigma_i to j of length ``C_ij - C_i,sigma_i``,
    which has no cycle of negative length.  Returns the passes over the costs.
    """
    n = g.size
    lengths = np.empty(n)
    for i in range(n):
        lengths[i] = C[i, sigma[i]] - shift
    passes = 0
    moved = True
    while moved and passes <= n:
        moved = False
        passes += 1
        for i in range(n):
            level, row = g[sigma[i]] - lengths[i], C[i]
            for j in range(n):
                value = (row[j] - shift) + level
                # Cycles of length 0 would turn for ever where a sum is rounded down.
                if value < g[j] - 1e-15 * (abs(level) + abs(g[j])):
                    g[j] = value
                    moved = True
    for i in range(n):
        f[i] = lengths[i] - g[sigma[i]]
    return passes
