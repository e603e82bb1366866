"""What the theorems of this family measure, and the instances on which they are tight."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fejer.evidence import Array
from fejer.problems.monotone.fixed_point import FixedPoint

__all__ = ["distance", "plane_rotation", "reflection", "residual"]


def residual(problem: Any, x: Array, xstar: Array) -> float:
    """Return ``||x - T x||``, the rounding floor left out."""
    return float(np.linalg.norm(x - problem.fixed_point().apply(x)))


def distance(problem: Any, x0: Array, xstar: Array) -> float:
    """Return ``a ||x0 - xstar||`` for an a-averaged map (else a = 1).

    Bounds of ``||x - N x||`` with this factor are bounds of ``||x - T x||``.
    """
    radius = float(np.linalg.norm(np.asarray(x0) - xstar))
    return float(problem.fixed_point().averagedness) * radius


def plane_rotation(angle: float) -> FixedPoint:
    """Return the rotation of the plane about (1, 0), at distance 1 from the initial point."""
    c, s = math.cos(angle), math.sin(angle)
    A = np.array([[c, -s], [s, c]])
    centre = np.array([1.0, 0.0])
    return FixedPoint.affine(A, centre - A @ centre)


def reflection() -> FixedPoint:
    """Return ``x -> 2 - x`` on the line, whose fixed point 1 is at distance 1 from the start."""
    return FixedPoint.affine([[-1.0]], [2.0])
