"""Sets that online learners play in: balls and the simplex."""

from __future__ import annotations

import math

import numpy as np

from fejer.evidence import Array
from fejer.numerics.prox_kernels import project_simplex
from fejer.problem import as_number

__all__ = ["Ball", "Simplex", "secular"]

NEWTON_STEPS = 100


class Ball:
    """The ball of some radius about 0.

    Parameters
    ----------
    n : int
        Dimension.
    radius : float, default 1.0
        Positive.

    Attributes
    ----------
    n : int
        Dimension.
    radius, diameter : float
        Sizes in the Euclidean norm.

    Examples
    --------
    >>> from fejer import online
    >>> online.Ball(2).project([3.0, 4.0])
    array([0.6, 0.8])
    """

    def __init__(self, n: int, radius: float = 1.0) -> None:
        self.n = as_number(n, "n", least=1, integer=True)
        self.radius = as_number(radius, "radius", above=0, least=1e-100, most=1e100)
        self.diameter = 2.0 * self.radius

    def centre(self) -> Array:
        """Return the centre."""
        return np.zeros(self.n)

    def project(self, v: Array) -> Array:
        """Return the nearest point of the ball."""
        v = np.asarray(v, dtype=np.float64)
        size = math.sqrt(v @ v)
        return v if size <= self.radius else v * (self.radius / size)

    def lowest(self, g: Array) -> tuple[Array, float]:
        """Return a minimiser of ``g'u`` in the ball, and the minimum."""
        size = float(np.linalg.norm(g))
        point = np.zeros(self.n) if size == 0.0 else -g * (self.radius / size)
        return point, -self.radius * size

    def nearest_in(self, H: Array, v: Array) -> Array:
        """Return the point u of the ball with the smallest ``(u - v)'H (u - v)``."""
        if math.sqrt(v @ v) <= self.radius:
            return v
        h, Q = np.linalg.eigh(H)
        c = h * (Q.T @ v)
        inside: Array = Q @ (c / (h + secular(h, c, self.radius)))
        return self.project(inside)


class Simplex:
    """Nonnegative numbers that sum to 1.

    Parameters
    ----------
    n : int
        How many.

    Attributes
    ----------
    n : int
        How many.
    diameter : float
        In the Euclidean norm.

    Examples
    --------
    >>> from fejer import online
    >>> online.Simplex(2).project([3.0, 4.0])
    array([0., 1.])
    """

    def __init__(self, n: int) -> None:
        self.n = as_number(n, "n", least=2, integer=True)
        self.diameter = math.sqrt(2.0)

    def centre(self) -> Array:
        """Return the uniform weights."""
        return np.full(self.n, 1.0 / self.n)

    def project(self, v: Array) -> Array:
        """Return the nearest point of the simplex."""
        out = np.empty(self.n)
        project_simplex(np.asarray(v, dtype=np.float64), 1.0, out)
        return out

    def lowest(self, g: Array) -> tuple[Array, float]:
        """Return a minimiser of ``g'u`` in the simplex, and the minimum."""
        point = np.zeros(self.n)
        point[int(np.argmin(g))] = 1.0
        return point, float(np.min(g))


def secular(h: Array, c: Array, radius: float) -> float:
    """Return the t at which ``||c / (h + t)|| = radius``, where it is at least 0.

    Newton's method for ``1 / ||c / (h + t)||``, which is concave: from the left it is
    never too long.
    """
    t = max(0.0, float(np.max(np.abs(c) / radius - h)), -float(h.min()))
    for _ in range(NEWTON_STEPS):
        shifted = h + t
        with np.errstate(all="ignore"):
            x = np.where(c == 0.0, 0.0, c / shifted)
            size = math.sqrt(x @ x)
            slope = float(np.sum(np.where(c == 0.0, 0.0, x * x / shifted)))
        if not (size > radius * (1.0 + 1e-15) and 0.0 < slope < math.inf):
            break
        better = t + (size / radius - 1.0) * size * size / slope
        if not better > t:
            break
        t = better
    return t
