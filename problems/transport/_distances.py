"""Costs between points, one row at a time, in the precision of the points."""

from __future__ import annotations

import numpy as np

from fejer.jit import kernel

SQUARED, HALVED, EUCLIDEAN, CITY_BLOCK, POWER = range(5)


@kernel
def distance_row(x, YT, kind, half_power, first, row):
    """Costs from the point `x` to the columns of `YT` from `first` on, as many as fill the row.

    Coordinates are taken in pairs, so that the row is written half as often.
    """
    m = row.size
    if x.size % 2:
        value, y = x[0], YT[0][first : first + m]
        if kind == CITY_BLOCK:
            for j in range(m):
                row[j] = abs(value - y[j])
        else:
            for j in range(m):
                row[j] = (value - y[j]) * (value - y[j])
    else:
        row[:] = 0.0
    for d in range(x.size % 2, x.size, 2):
        value, y = x[d], YT[d][first : first + m]
        other, z = x[d + 1], YT[d + 1][first : first + m]
        if kind == CITY_BLOCK:
            for j in range(m):
                row[j] += abs(value - y[j]) + abs(other - z[j])
        else:
            for j in range(m):
                row[j] += (value - y[j]) * (value - y[j]) + (other - z[j]) * (other - z[j])
    if kind == HALVED:
        for j in range(m):
            row[j] *= 0.5
    elif kind == EUCLIDEAN:
        for j in range(m):
            row[j] = np.sqrt(row[j])
    elif kind == POWER:
        for j in range(m):
            row[j] = row[j] ** half_power


@kernel
def distance_rows(X, YT, kind, half_power, start, out):
    """Costs from the points ``X[start:]`` to the columns of `YT`, one row of `out` each."""
    for k in range(out.shape[0]):
        distance_row(X[start + k], YT, kind, half_power, 0, out[k])
