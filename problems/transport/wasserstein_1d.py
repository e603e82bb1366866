"""Transport on the line, in closed form."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fejer.evidence import Array
from fejer.problem import as_number, as_vector
from fejer.problems.transport._polytope import as_weights

__all__ = ["wasserstein_1d"]


def wasserstein_1d(x: Any, y: Any, p: float = 2, a: Any = None, b: Any = None) -> float:
    """Return the Wasserstein distance of two distributions on the line.

    ``W_p = (min over plans P of sum_ij P_ij |x_i - y_j|^p)^(1/p)``, with weights of mass 1.

    Parameters
    ----------
    x : array_like, shape (n,)
        Places of the first distribution.
    y : array_like, shape (m,)
        Places of the second one.
    p : float, default 2
        At least 1; inf gives the largest distance that mass must travel.
    a, b : array_like, shapes (n,) and (m,), optional
        Weights, uniform if not given. Both sums must agree; they are scaled to 1.

    Returns
    -------
    float

    Raises
    ------
    ProblemError
        Values that are not finite, weights that are negative or of different masses, p below 1.

    Notes
    -----
    For convex costs the monotone plan is optimal: the places are sorted and the two cumulative
    sums merged. Cost O((n + m) log(n + m)). The plan itself comes from `fejer.transport`.

    Examples
    --------
    >>> import fejer
    >>> fejer.wasserstein_1d([0.0, 1.0], [3.0, 2.0], p=1)
    2.0
    >>> fejer.wasserstein_1d([0.0, 1.0], [0.0, 3.0], p=float("inf"), a=[0.5, 0.5], b=[0.25, 0.75])
    3.0
    """
    x, y = as_vector(x, "x"), as_vector(y, "y")
    p = as_number(p, "p", least=1, finite=False)
    a, b = as_weights(a, b, (x.size, y.size))
    distances, masses = _merged(x, y, a, b)
    largest = float(distances.max(initial=0.0))
    if largest == 0.0 or math.isinf(p):
        return largest
    # Relative to the largest distance, so that no power over- or underflows.
    return largest * float(masses @ (distances / largest) ** p) ** (1 / p)


def _merged(x: Array, y: Array, a: Array, b: Array) -> tuple[Array, Array]:
    """Distances of the monotone plan, and the shares of the mass that travel them."""
    first, second = np.argsort(x, kind="stable"), np.argsort(y, kind="stable")
    first, second = first[a[first] > 0], second[b[second] > 0]
    sums = np.cumsum(a[first]) / a.sum(), np.cumsum(b[second]) / b.sum()
    for part in sums:
        part[-1] = 1.0
    levels = np.union1d(*sums)
    # Levels that differ by the rounding of the sums alone are one level.
    levels = levels[np.append(np.diff(levels) > 1e-15 * (x.size + y.size), True)]
    middles = levels - 0.5 * np.diff(levels, prepend=0.0)
    i, j = (np.searchsorted(part, middles) for part in sums)
    return np.abs(x[first[i]] - y[second[j]]), np.diff(levels, prepend=0.0)
