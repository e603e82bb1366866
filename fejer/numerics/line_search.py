"""Searches along a ray: Armijo, strong Wolfe, and the exact minimum of a piecewise quadratic."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ..evidence import Array

__all__ = ["Found", "armijo", "piecewise_quadratic", "wolfe"]


class Found(NamedTuple):
    """What `armijo` and `wolfe` return.

    Attributes
    ----------
    step : float
        The step; 0 where no trial improved the value.
    value : float
        The function there.
    slope : float
        Its derivative there; nan after `armijo`.
    nfev : int
        Evaluations made; the last one was not always at `step`.
    success : bool
        Whether the conditions hold.
    """

    step: float
    value: float
    slope: float
    nfev: int
    success: bool


def armijo(
    phi: Callable[[float], float],
    value: float,
    slope: float,
    *,
    step: float = 1.0,
    decrease: float = 1e-4,
    shrink: float = 0.5,
    max_iter: int = 50,
) -> Found:
    """Shorten a step until ``phi(t) <= phi(0) + decrease t phi'(0)``.

    Parameters
    ----------
    phi : callable
        The function of the step; nan and inf count as too large.
    value, slope : float
        ``phi(0)`` and ``phi'(0) < 0``, or any other negative model of the decrease at t = 1.
    step : float, default 1.0
        First trial.
    decrease : float, default 1e-4
        In (0, 1).
    shrink : float, default 0.5
        Largest factor from one trial to the next; the minimum of the parabola through what is known
        is taken where it is shorter, but not below a tenth.
    max_iter : int, default 50
        Largest number of trials.

    Returns
    -------
    Found
        With step 0 where the slope is not negative or all trials fail.

    Examples
    --------
    >>> from fejer.numerics.line_search import armijo
    >>> armijo(lambda t: (t - 0.1) ** 2, 0.01, -0.2).step
    0.1
    """
    t = step
    for nfev in range(1, max_iter + 1 if slope < 0.0 else 1):
        trial = phi(t)
        if trial <= value + decrease * t * slope:
            return Found(t, trial, math.nan, nfev, True)
        best = shrink * t
        if math.isfinite(trial):
            best = -0.5 * slope * t * t / (trial - value - slope * t)
        t = min(max(best, 0.1 * t), shrink * t)
    return Found(0.0, value, math.nan, max_iter if slope < 0.0 else 0, False)


def wolfe(
    phi: Callable[[float], tuple[float, float]],
    value: float,
    slope: float,
    *,
    step: float = 1.0,
    decrease: float = 1e-4,
    curvature: float = 0.9,
    max_step: float = math.inf,
    noise: float | None = None,
    max_iter: int = 30,
) -> Found:
    """Find a step that satisfies the strong Wolfe conditions.

    ``phi(t) <= phi(0) + decrease t phi'(0)`` and ``|phi'(t)| <= curvature |phi'(0)|``.

    Parameters
    ----------
    phi : callable
        Value and derivative at a step; nan and inf count as too large.
    value, slope : float
        ``phi(0)`` and ``phi'(0) < 0``.
    step : float, default 1.0
        First trial.
    decrease, curvature : float, default 1e-4 and 0.9
        ``0 < decrease < curvature < 1``; 0.1 for conjugate gradients.
    max_step : float, default inf
        Longest step; it is returned where the function still falls there.
    noise : float, optional
        Differences of phi below it are rounding: slopes decide there, and the decrease is asked of
        the parabola instead ("approximate Wolfe" [2]_).  ``4e-16 |phi(0)|`` if not given.
    max_iter : int, default 30
        Largest number of evaluations.

    Returns
    -------
    Found
        Where the conditions were not reached, the best step that gives a decrease.

    References
    ----------
    .. [1] J. Nocedal, S. J. Wright (2006). Numerical optimization, algorithms 3.5 and 3.6.
    .. [2] W. W. Hager, H. Zhang (2005). A new conjugate gradient method with guaranteed descent and
       an efficient line search, SIAM Journal on Optimization 16(1).

    Examples
    --------
    >>> from fejer.numerics.line_search import wolfe
    >>> wolfe(lambda t: ((t - 3.0) ** 2, 2.0 * (t - 3.0)), 9.0, -6.0, curvature=0.1).step
    3.0
    """
    if not slope < 0.0:
        return Found(0.0, value, slope, 0, False)
    noise = 4e-16 * abs(value) if noise is None else noise
    low = (0.0, value, slope)
    high: tuple[float, float, float] | None = None
    t = min(step, max_step)
    for nfev in range(1, max_iter + 1):
        f, g = phi(t)
        finite = math.isfinite(f) and math.isfinite(g)
        enough = f <= value + decrease * t * slope
        flat = abs(f - value) <= noise  # the values cannot tell: the slope must
        nearly = flat and g <= (2.0 * decrease - 1.0) * slope
        if finite and (enough or nearly) and abs(g) <= -curvature * slope:
            return Found(t, f, g, nfev, True)
        if not finite or (not flat and (not enough or f >= low[1])):
            high = (t, f, g)
        else:
            if g * ((high[0] if high else math.inf) - low[0]) >= 0.0:
                high = low
            low = (t, f, g)
        if high is None:
            if t >= max_step:
                return Found(t, f, g, nfev, False)
            t = min(max(2.0 * t, min(_cubic((0.0, value, slope), low), 10.0 * t)), max_step)
            continue
        width = high[0] - low[0]
        if abs(width) <= 1e-15 * max(abs(high[0]), abs(low[0])):
            break
        t = _cubic(low, high)
        margin = 0.1 * abs(width)
        nearest, farthest = min(low[0], high[0]) + margin, max(low[0], high[0]) - margin
        if not nearest <= t <= farthest:
            t = min(max(t, nearest), farthest) if math.isfinite(t) else low[0] + 0.5 * width
    return Found(*low, nfev, False) if low[1] <= value else Found(0.0, value, slope, nfev, False)


def _cubic(a: tuple[float, float, float], b: tuple[float, float, float]) -> float:
    """Minimum of the cubic with the values and slopes of two points; nan where it has none."""
    (s, f, p), (t, h, q) = a, b
    if not math.isfinite(h + q):
        return math.nan
    d = p + q - 3.0 * (f - h) / (s - t)
    square = d * d - p * q
    if square < 0.0:
        return math.nan
    root = math.copysign(math.sqrt(square), t - s)
    below = q - p + 2.0 * root
    return t - (t - s) * (q + root - d) / below if below else math.nan


def piecewise_quadratic(
    slope: float,
    curvature: float,
    knots: Array,
    jumps: Array | float = 0.0,
    bends: Array | float = 0.0,
) -> float:
    """Minimise a convex piecewise quadratic of one variable over ``t >= 0``, exactly.

    ``slope t + curvature t^2 / 2 + sum_i jumps_i (t - knots_i)_+ + bends_i (t - knots_i)_+^2 / 2``.
    The l1 norm along a ray has a jump of ``2 |d_i|`` at ``t = -x_i / d_i``; a squared hinge has a
    bend where it becomes active (a positive one) or inactive (a negative one).

    Parameters
    ----------
    slope : float
        Right derivative at 0, without the knots at 0.
    curvature : float
        Second derivative at 0, at least 0.
    knots : ndarray, shape (m,)
        At least 0; inf is never reached.
    jumps, bends : ndarray, shape (m,), or float, default 0.0
        Such that the function is convex.

    Returns
    -------
    float
        The smallest minimiser; inf where the function falls for ever.

    Examples
    --------
    >>> import numpy as np
    >>> from fejer.numerics.line_search import piecewise_quadratic
    >>> piecewise_quadratic(-3.0, 1.0, np.array([1.0]), 0.5)  # the slope at 1 is -2, then -1.5
    2.5
    """
    order = np.argsort(knots, kind="stable")
    t = np.asarray(knots, dtype=np.float64)[order]
    order, t = order[np.isfinite(t)], t[np.isfinite(t)]
    J = np.broadcast_to(jumps, knots.shape)[order]
    B = np.broadcast_to(bends, knots.shape)[order]
    # Beyond the first i knots the derivative is the line level[i] + rise[i] t.
    level = slope + np.concatenate([[0.0], np.cumsum(J - B * t)])
    rise = curvature + np.concatenate([[0.0], np.cumsum(B)])
    ends = np.append(t, math.inf)
    starts = np.append(0.0, t)
    after = level + rise * starts
    before = level[:-1] + rise[:-1] * t
    # The first piece that starts or ends with a derivative of at least 0 holds the minimum.
    reached = np.append(before >= 0.0, rise[-1] > 0.0) | (after >= 0.0)
    if not reached.any():
        return math.inf
    i = int(np.argmax(reached))
    if after[i] >= 0.0:
        return float(starts[i])
    return float(min(max(-level[i] / rise[i] if rise[i] > 0.0 else ends[i], starts[i]), ends[i]))
