"""Lower levels with several solutions: the penalty function in the place of the objective.

With ``l(x, w) = min over y of f(x, y) + w F(x, y)`` the function
``psi(x) = (l(x, s) - l(x, 0))/s`` is at most ``Phi(x)``, the smallest F over the solutions of the
lower level, and differs from it by O(s) where f satisfies an error bound [1]_. Its gradient is
``grad_x F(x, y_s) + (grad_x f(x, y_s) - grad_x f(x, y_0))/s``. Here y is ``y_s``, and
``(y_0 - y_s)/s``, which tends to ``H^+ grad_y F``, takes the place of the adjoint.

References
----------
.. [1] Kwon, Kwon, Wright, Nowak (2023), On penalty methods for nonconvex bilevel optimization and
   first-order stochastic approximation, arXiv 2309.01753.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from fejer.evidence import Array

from ._assessment import ROUNDING, Assessment, norm

if TYPE_CHECKING:
    from .bilevel import Bilevel

__all__ = ["adjoint", "assess", "descend"]

MOST = 3000  # accelerated steps in one solve


def slope(problem: Bilevel, x: Array, y: Array, weight: float) -> Array:
    """Return the gradient of ``f + weight F`` in y."""
    g = problem.lower_gradient(x, y)
    return g + weight * problem.upper_in_y(x, y) if weight else g


def descend(problem: Bilevel, x: Array, y: Array, weight: float, accuracy: float) -> Array:
    """Minimise ``f + weight F`` near y by accelerated gradients that restart.

    Parameters
    ----------
    problem : Bilevel
        The problem.
    x, y : array
        Upper variable, and where to begin.
    weight : float
        Of F.
    accuracy : float
        Gradient norm to reach, relative to that at ``y0``.

    Returns
    -------
    array, shape (m,)
        The best point that was met.
    """
    c = problem.constants(x)
    L = c.lipschitz + weight * c.upper
    goal = accuracy * (norm(slope(problem, x, problem.lower_start(), weight)) or 1.0)
    best, smallest, before, t = y, math.inf, y, 1.0
    for _ in range(MOST):
        g = slope(problem, x, y, weight)
        size = norm(g)
        if size < smallest:
            best, smallest = y, size
        if not size > goal or not math.isfinite(size):
            break
        following = y - g / L
        if float(g @ (following - before)) > 0:
            t = 1.0
        faster = 0.5 * (1 + math.sqrt(1 + 4 * t * t))
        y = following + (t - 1) / faster * (following - before)
        before, t = following, faster
    return best


def adjoint(problem: Bilevel, x: Array, y: Array, accuracy: float) -> Array:
    """Return ``(y_0 - y)/s``, y_0 the minimiser of f near y."""
    return (descend(problem, x, y, 0.0, accuracy) - y) / problem.sigma


def assess(problem: Bilevel, x: Array, y: Array, q: Array | None) -> Assessment:
    """Compute the gradient of psi, and estimate its error.

    Parameters
    ----------
    problem : Bilevel
        The problem.
    x : array, shape (n,)
        Upper variable.
    y : array, shape (m,)
        Approximate minimiser of ``f + s F``.
    q : array, shape (m,), optional
        ``y + s q`` approximates a minimiser of f.

    Returns
    -------
    Assessment
        With ``distance`` that of the two minimisers from y and ``y + s q``. The value is psi
        without its nonnegative part ``(f(y_s) - f(y_0))/s``.
    """
    s, c = problem.sigma, problem.constants(x)
    if q is None:
        q = adjoint(problem, x, y, 1e-14)
    base = y + s * q
    upper = problem.upper_level(x, y)
    along, at_base = (np.asarray(problem.lower_in_x(x, v)) for v in (y, base))
    z = (along - at_base) / s
    if upper.grad_x is not None:
        z = z + upper.grad_x
    J = problem.cross(x, y, q)
    inverse = 1 / c.mu if c.mu > 0 else math.inf
    floors = [
        ROUNDING * (c.lipschitz * norm(v) + norm(slope(problem, x, v, 0.0))) for v in (y, base)
    ]
    residuals = [norm(slope(problem, x, y, s)), norm(slope(problem, x, base, 0.0))]
    distances = [(r + floor) * inverse for r, floor in zip(residuals, floors, strict=True)]
    rounded = ROUNDING * (norm(along) + norm(at_base)) / s
    reach = J.norm + J.lipschitz * (distances[0] + distances[1] + s * norm(q))
    error = reach / s * (distances[0] + distances[1]) + c.upper_cross * distances[0] + rounded
    lowest = reach / s * (floors[0] + floors[1]) * inverse + rounded
    doubt = norm(upper.grad_y) * distances[0] + 0.5 * c.upper * distances[0] ** 2
    other = problem.upper_value(x, base)
    return Assessment(
        y=y,
        adjoint=q,
        gradient=z,
        error=error,
        floor=lowest,
        distance=distances[0] + distances[1],
        residual=residuals[0],
        fun=upper.fun,
        # Phi is between F at y_s and F at any solution of the lower level.
        fun_error=max(other - upper.fun, 0.0) + doubt + upper.floor,
        fun_floor=upper.floor,
        rigorous=False,
        adjoint_error=reach / s * distances[1],
        published_error=error,
    )
