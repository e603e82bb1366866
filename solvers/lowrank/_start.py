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
