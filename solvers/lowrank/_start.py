"""Starts that all alternating methods share."""

from __future__ import annotations

import numpy as np

from fejer.evidence import Array
from fejer.problems.lowrank._factors import balanced, spectrum


def fill_components(U: Array, V: Array, fill: Array) -> None:
    """Give the components that ``U V'`` lacks columns in V, and none in U: the product stays."""
    found = spectrum(U, V)
    if found is None:
        return
    lacking = found.values <= 1e-12 * found.values[0]
    if lacking.any():
        U[:], V[:] = balanced(found)
        U[:, lacking] = 0.0
        V[:, lacking] = (float(np.abs(V).max()) or 1.0) * fill[:, lacking]


STILL, SMALLEST_CHANGE = 3, 1e-13


def stillness(x: Array, last: Array, count: int) -> int:
    """Count iterations in a row that changed x by rounding alone; `STILL` of them end a run."""
    moved = float(np.linalg.norm(x - last))
    return count + 1 if moved <= SMALLEST_CHANGE * float(np.linalg.norm(x)) else 0
