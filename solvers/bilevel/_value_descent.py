"""Safeguarded descent of ``F/c + f - v``: momentum, and Anderson acceleration where it serves."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from fejer.evidence import Array
from fejer.method import State
from fejer.numerics.anderson import AndersonMemory
from fejer.problems.bilevel._stationarity import norm

from ._value_function import Saddle

__all__ = ["Descent", "descend", "enter"]

SHARE = 0.1  # error of grad v that is allowed, relative to the present projected gradient
MOST_INNER = 200  # gradient steps on the saddle function within one iteration
FADE = 0.95  # of local Lipschitz estimates from one iteration to the next
SECANT = 1e-12  # relative length of steps too short to measure curvature
GROW = 1.5  # of the step's constant after a refused trial
MOST_TRIALS = 200
FIRST, SHORT = 50, 25  # iterations with momentum: at first, and after failures of acceleration
RUN = 20  # accelerated iterations in a row that count as success
ALLOWED = 0.1  # relative growth of the merit with momentum
LOOKS = 5  # merits that an accelerated one is compared with
EASE = 0.5  # share of the way from z to l that a step makes
ROUNDING = 1e-14


@dataclass
class Descent(State):
    """The point, the two accelerations and what they fall back on.

    Attributes
    ----------
    w, z : array
        Point (x, y) and its multipliers.
    t : array
        Where v's minimum was last found.
    before : array
        The last (x, y), for momentum.
    memory : AndersonMemory
        Of (x, y, z).
    kept_w, kept_t, kept_z : array
        With momentum the point with the least merit, with acceleration the last plain step.
    merits : array, shape (5,)
        Last merits of accelerated points; inf where there is none.
    theta : float
        Of Nesterov's sequence.
    least : float
        Merit of the kept point, with momentum.
    outer, inner : float
        Local Lipschitz constants of ``F/c + f`` and of the saddle function's gradient in t.
    tolerance, share : float
        Length of the last inner step; what it is relative to.
    move : float
        Length of the last projected step.
    plain, length, run, strikes : int
        Iterations with momentum still to come; how many after the next failure; accelerated ones
        in a row; short runs in a row.
    kept : bool
        Whether there is something to fall back on.
    rejected : int
        Points taken back.
    """

    w: Array
    z: Array
    t: Array
    before: Array
    memory: AndersonMemory
    kept_w: Array
    kept_t: Array
    kept_z: Array
    merits: Array
    theta: float = 1.0
    least: float = math.inf
    outer: float = 0.0
    inner: float = 0.0
    tolerance: float = 1e-3
    share: float = SHARE
    move: float = math.inf
    plain: int = FIRST
    length: int = SHORT
    run: int = 0
    strikes: int = 0
    kept: bool = False
    rejected: int = 0


def enter(prep: Saddle, u: Array, c: float, memory: int, last: Descent | None = None) -> Descent:
    """Begin a stage.

    Parameters
    ----------
    prep : Saddle
        The scaled problem.
    u : array
        Packed iterate (x, y, t, l, z).
    c : float
        Weight of the lower level.
    memory : int
        Differences that acceleration keeps.
    last : Descent, optional
        The one of the stage before, whose constants are taken over; momentum is left out then.

    Returns
    -------
    Descent
    """
    w, t, _, z = prep.split(u)
    state = Descent(
        w=w.copy(),
        z=z.copy(),
        t=t.copy(),
        before=w.copy(),
        memory=AndersonMemory.empty(w.size + z.size, memory),
        kept_w=w.copy(),
        kept_t=t.copy(),
        kept_z=z.copy(),
        merits=np.full(LOOKS, math.inf),
        outer=prep.lower + prep.upper / c,
        inner=prep.lower + 1 / prep.gamma1 + prep.gamma2 * prep.coupling**2,
    )
    if last is not None:
        state.outer, state.inner, state.share = last.outer, last.inner, last.share
        state.tolerance, state.plain = last.tolerance, 0
    return state


def _saddle(prep: Saddle, state: Descent, w: Array) -> tuple[Array, Array, float, int]:
    """Find v's saddle point for (x, y, z) by accelerated gradient steps in t; l is closed form."""
    problem = prep.problem
    n = problem.n
    t = ahead = state.t
    floor = 1 / prep.gamma1
    state.inner = max(FADE * state.inner, floor)
    last: tuple[Array, Array] | None = None
    size, made = math.inf, 0
    while made < MOST_INNER:
        made += 1
        at = np.append(w[:n], ahead)
        slope = problem.lower_in_y(at) + (ahead - w[n:]) / prep.gamma1
        if prep.rows.size:
            J = problem.constraint_jac(at)[prep.rows, n:]
            slope = slope + J.T @ (prep.T.T @ prep.answer(at, state.z))
        if last is not None:
            moved = norm(ahead - last[0])
            if moved > SECANT * (1 + norm(ahead)):
                measured = norm(slope - last[1]) / moved
                if measured > state.inner and math.isfinite(measured):
                    state.inner = measured
        last = (ahead, slope)
        q = math.sqrt(floor / state.inner)
        after = np.clip(ahead - slope / state.inner, problem.y_lower, problem.y_upper)
        size = norm(after - ahead)
        turned = (ahead - after) @ (after - t) > 0
        ahead = after if turned else after + (1 - q) / (1 + q) * (after - t)
        t = after
        if size <= state.tolerance or not math.isfinite(size):
            break
    return t, prep.answer(np.append(w[:n], t), state.z), size * state.inner, made


def descend(prep: Saddle, state: Descent, c: float) -> float:
    """Make one iteration.

    Parameters
    ----------
    prep : Saddle
        The scaled problem.
    state : Descent
        Changed in place; its `work` and `nfev` count gradients, projections and function values.
    c : float
        Weight of the lower level.

    Returns
    -------
    float
        Relative length of the step of (x, y, z); inf where a point was taken back.
    """
    problem = prep.problem
    momentum = state.plain > 0
    w, theta = state.w, (1 + math.sqrt(1 + 4 * state.theta**2)) / 2
    if momentum and state.theta > 1:
        # Merits compare points of C alone: outside, F/c + f - v has no lower bound.
        w = problem.project(w + (state.theta - 1) / theta * (w - state.before), state.w)
        state.work += 1
    t, l, slope, made = _saddle(prep, state, w)
    fun, low = problem.upper_value(w) / c, problem.lower_value(w)
    # The value of v is found from above; its strong convexity says by how much at most.
    merit = fun + low - prep.saddle_value(w, t, l, state.z) + 0.5 * prep.gamma1 * slope**2
    state.work += 5 + made
    state.nfev += 3
    step = state.outer + 1 / prep.gamma1
    noise = ROUNDING * (1 + abs(fun) + abs(low))
    if momentum and not merit <= state.least + ALLOWED * max(abs(state.least), 1e-3):
        return _back_with_momentum(state)
    if not momentum and state.kept:
        rise = step * state.move**2 if math.isfinite(state.move) else 0.0
        if not merit <= state.merits.max() + rise + noise:
            return _back_from_acceleration(state)
    if momentum and merit < state.least:
        state.least = merit
        state.kept_w, state.kept_t, state.kept_z, state.kept = w.copy(), t, state.z.copy(), True
    if not momentum:
        # Infinite entries stand for merits not seen yet and must not excuse a rise.
        known = np.where(np.isfinite(state.merits), state.merits, merit)
        state.merits = np.append(known[1:], merit)
        state.run += 1

    ascent = prep.slope(w, c)
    d = ascent - prep.value_slope(w, t, l)
    before = state.outer
    state.outer *= FADE if momentum else 1.0
    for _ in range(MOST_TRIALS):
        step = state.outer + 1 / prep.gamma1
        image = problem.project(w - d / step, w)
        moved = image - w
        bound = fun + low + ascent @ moved + 0.5 * state.outer * float(moved @ moved)
        state.work += 1
        state.nfev += 2
        if problem.upper_value(image) / c + problem.lower_value(image) <= bound + 10 * noise:
            break
        state.outer = max(GROW * state.outer, 1e-3)
    z = prep.bounded(state.z + EASE * (l - state.z))
    state.move = norm(moved)
    # What an error of t does to the gradient is compared with the projected gradient.
    reach = math.sqrt(prep.gamma1 / max(state.inner, 1 / prep.gamma1))
    state.tolerance = state.share * state.move * step * reach
    here = np.append(w, state.z)
    residual = norm(np.append(image, z) - here) / (1 + norm(here))
    state.t = t.copy()
    if momentum:
        turned = (w - image) @ (image - state.w) > 0
        state.theta = 1.0 if turned else theta
        state.before, state.w, state.z = state.w, image, z
        state.plain -= 1
        if not state.plain:
            _accelerate(state)
        return residual
    if state.outer != before:  # another map
        state.memory.clear()
    state.kept_w, state.kept_t, state.kept_z, state.kept = image, t, z, True
    after = state.memory.step(here, np.append(image, z), regularization=1e-12)
    state.w, state.z = problem.project(after[: w.size], image), prep.bounded(after[w.size :])
    state.work += 1
    return residual


def _accelerate(state: Descent) -> None:
    """Begin with an empty memory."""
    state.memory.clear()
    state.kept, state.run = False, 0
    state.merits[:] = math.inf


def _momentum(state: Descent, count: int) -> None:
    """Begin afresh from the present point."""
    state.plain, state.theta, state.least, state.kept = count, 1.0, math.inf, False
    state.before = state.w.copy()


def _restore(state: Descent) -> None:
    state.w, state.t, state.z = state.kept_w.copy(), state.kept_t.copy(), state.kept_z.copy()
    state.rejected += 1


def _back_with_momentum(state: Descent) -> float:
    """Return to the best point with shorter steps and a more accurate saddle point."""
    _restore(state)
    state.outer *= 2
    state.share *= 0.5
    state.tolerance *= 0.3
    _momentum(state, state.plain)
    return math.inf


def _back_from_acceleration(state: Descent) -> float:
    """Return to the last plain step; after two short runs momentum takes over for a while."""
    _restore(state)
    short = state.run < RUN
    state.strikes = state.strikes + 1 if short else 0
    state.length = state.length if short else max(SHORT, state.length // 2)
    _accelerate(state)
    if state.strikes >= 2:
        state.strikes = 1
        state.length *= 2
        _momentum(state, state.length)
    return math.inf
