"""Iterative solvers of a lower level, as states that can be left and continued at any point."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from fejer.evidence import Array
from fejer.problems.bilevel._assessment import norm
from fejer.problems.bilevel._lower_level import LowerLevel
from fejer.problems.bilevel._quadratic_lower import QuadraticLower
from fejer.state import State

NEWTON_WORTH = 16  # iterations of the other solvers that one Newton step counts for

__all__ = ["LowerState", "aim", "choose", "reset", "solve", "unfit"]


@dataclass
class LowerState(State):
    """Conjugate gradients, accelerated gradients or Newton steps on ``f(x, .)``.

    Attributes
    ----------
    solver : int
        1 for conjugate gradients, 0 for accelerated gradients, 2 for Newton's method.
    x : array
        The upper variable; it does not change between two calls of `aim`.
    y, gradient : array
        Iterate and ``grad_y f(x, y)`` (as the recursion of conjugate gradients has it).
    other : array
        The search direction, or the iterate before extrapolation.
    goal : float
        Gradient norm to reach.
    mark : float
        Gradient norm at the last inspection: it must halve until the next one.
    since : int
        Iterations since that inspection.
    unit : float
        Gradient norm where the solve began.
    done : bool
        The goal is reached, or rounding allows no more.
    """

    solver: int
    x: Array
    y: Array
    gradient: Array
    other: Array
    goal: float
    mark: float = math.inf
    since: int = 0
    unit: float = 0.0
    done: bool = False


def unfit(problem: LowerLevel, kinks: bool = False, several: bool = False) -> str | None:
    """Return why a lower level is out of reach of a method.

    Parameters
    ----------
    problem : LowerLevel
        The problem.
    kinks, several : bool
        Whether the method treats lower levels with kinks, and with several solutions.

    Returns
    -------
    str or None
    """
    if problem.relaxed and not several:
        return "its lower level may have several solutions: 'penalty' treats it"
    return "its lower level has kinks" if problem.nonsmooth and not kinks else None


def choose(problem: LowerLevel, inner: str) -> int:
    """Return the number of the solver that an option names."""
    if inner == "auto":
        return 1 if isinstance(problem, QuadraticLower) else 2
    return {"nesterov": 0, "cg": 1, "newton": 2}[inner]


def reset(problem: LowerLevel, solver: int, x: Array, y: Array) -> LowerState:
    """Return the state that starts from y and has no goal yet."""
    empty = np.zeros_like(y)
    return LowerState(solver, x.copy(), y.copy(), empty, empty.copy(), 0.0, done=True)


def aim(problem: LowerLevel, state: LowerState, x: Array, goal: float) -> None:
    """Ask for a gradient norm of `goal` at another x, from the present y."""
    state.x, state.goal = x.copy(), goal
    state.mark, state.since, state.done = math.inf, 0, False
    _restart(problem, state)
    state.unit = norm(state.gradient)


def _restart(problem: LowerLevel, state: LowerState) -> None:
    state.gradient = problem.lower_gradient(state.x, state.y)
    state.other = -state.gradient if state.solver == 1 else state.y.copy()
    state.work += 1


def solve(problem: LowerLevel, state: LowerState, most: int) -> bool:
    """Iterate up to `most` times; True when done."""
    run = (_accelerated, _conjugate, _newton)[state.solver]
    return state.done or run(problem, state, most)


def _inspect(state: LowerState) -> bool:
    """Whether to end: at the goal, or because the true gradient no longer halves."""
    size = norm(state.gradient)
    state.done = not size > state.goal or not size <= 0.5 * state.mark
    state.mark, state.since = size, 0
    return state.done


def _newton(problem: LowerLevel, state: LowerState, most: int) -> bool:
    for _ in range(max(1, most // NEWTON_WORTH)):
        if not norm(state.gradient) > state.goal:
            state.done = True
            return True
        step = problem.lower_step(state.x, state.y, state.gradient, state.goal, state.unit)
        state.work += step.work
        if not step.moved:
            state.done = True
            return True
        state.y, state.gradient = step.y.copy(), step.gradient.copy()
    return False


def _conjugate(problem: LowerLevel, state: LowerState, most: int) -> bool:
    product = problem.hessian(state.x, state.y)
    limit = 2 * problem.lower_size + 50
    r, p = state.gradient, state.other
    squared = float(r @ r)
    for _ in range(most):
        if not math.sqrt(squared) > state.goal or state.since >= limit:
            if state.since or not math.isfinite(squared):  # the recursion drifts: look again
                _restart(problem, state)
            if _inspect(state):
                return True
            r, p = state.gradient, state.other
            squared = float(r @ r)
        image = product(p)
        curvature = float(p @ image)
        state.work += 1
        state.since += 1
        if not curvature > 0.0:
            state.done = True
            return True
        step = squared / curvature
        state.y += step * p
        r += step * image
        before, squared = squared, float(r @ r)
        p *= squared / before
        p -= r
    return False


def _accelerated(problem: LowerLevel, state: LowerState, most: int) -> bool:
    c = problem.constants(state.x)
    root = math.sqrt(c.mu / c.lipschitz)
    momentum = (1.0 - root) / (1.0 + root)
    # In this many iterations theory promises a reduction by far more than a half.
    window = math.ceil(8.0 / root)
    for _ in range(most):
        if not norm(state.gradient) > state.goal or state.since >= window:
            if _inspect(state):
                return True
        following = state.y - state.gradient / c.lipschitz
        state.y = following + momentum * (following - state.other)
        state.other = following
        state.gradient = problem.lower_gradient(state.x, state.y)
        state.work += 1
        state.since += 1
    return False
