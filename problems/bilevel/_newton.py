"""Newton's method for lower levels that are not quadratic."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fejer.evidence import Array
from fejer.numerics.krylov import cg

from ._assessment import norm

if TYPE_CHECKING:
    from ._lower_level import LowerLevel

__all__ = ["Step", "newton_step"]

LENGTHS = (1.0, 0.35, 0.12)
ROUNDED = 1e-11  # of L (1 + ||y||): below it a failed step means that rounding allows no more
LONGEST = 4000  # accelerated gradient steps in the place of one Newton step


class Step(NamedTuple):
    """What `newton_step` returns.

    Attributes
    ----------
    y, gradient : array
        The new point and ``grad_y f`` there; the old ones where it did not move.
    work : int
        Gradients and products with H.
    moved : bool
        Whether the gradient norm fell.
    """

    y: Array
    gradient: Array
    work: int
    moved: bool


def newton_step(
    problem: LowerLevel, x: Array, y: Array, gradient: Array, goal: float, unit: float
) -> Step:
    """Make the gradient of ``f(x, .)`` smaller by one inexact Newton step.

    The direction solves ``H d = -grad_y f`` by conjugate gradients; along it the squared gradient
    norm falls at first, so that its decrease decides on the length. Where no length serves (f far
    from quadratic), accelerated gradient steps halve the norm.

    Parameters
    ----------
    problem : LowerLevel
        The problem.
    x, y, gradient : array
        The point and ``grad_y f`` there.
    goal : float
        The gradient norm that is wanted in the end.
    unit : float
        The gradient norm where the solve began: far from the solution the direction need not be
        accurate.

    Returns
    -------
    Step
    """
    size = norm(gradient)
    if not math.isfinite(size):
        return Step(y, gradient, 0, False)
    forcing = 0.1 * min(1.0, math.sqrt(size / unit)) if unit > 0 else 0.1
    tol = max(forcing, 0.3 * goal / size, 1e-13)
    limit = 2 * problem.lower_size + 50
    found = cg(
        problem.hessian(x, y),
        -gradient,
        preconditioner=problem.preconditioner(x, y),
        tol=min(tol, 0.5),
        max_iter=limit,
    )
    work = found.nit
    if found.reason != "curvature":
        for length in LENGTHS:
            trial = y + length * found.x
            slope = problem.lower_gradient(x, trial)
            work += 1
            if norm(slope) <= (1 - length / 4) * size:
                return Step(trial, slope, work, True)
    c = problem.constants(x)
    if size <= ROUNDED * c.lipschitz * (1 + norm(y)):
        return Step(y, gradient, work, False)
    return _accelerated(problem, x, y, gradient, work)


def _accelerated(problem: LowerLevel, x: Array, y: Array, gradient: Array, work: int) -> Step:
    c = problem.constants(x)
    root = math.sqrt(c.mu / c.lipschitz)
    momentum = (1 - root) / (1 + root)
    goal, point, slope, before = 0.5 * norm(gradient), y, gradient, y
    for _ in range(min(LONGEST, math.ceil(8 / root) if root > 0 else LONGEST)):
        following = point - slope / c.lipschitz
        point = following + momentum * (following - before)
        before = following
        slope = problem.lower_gradient(x, point)
        work += 1
        if norm(slope) <= goal:
            return Step(point, slope, work, True)
    moved = bool(np.isfinite(slope).all()) and norm(slope) < norm(gradient)
    return Step(point, slope, work, True) if moved else Step(y, gradient, work, False)
