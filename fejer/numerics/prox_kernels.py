"""Kernels of the proximal operators.

Each writes into its last argument, which may be the first one.
"""

from __future__ import annotations

import math

import numpy as np

from ..jit import kernel

__all__ = ["envelope_shares", "project_l1_ball", "project_simplex", "soft", "tv_prox"]


@kernel
def soft(v, t):
    """``sign(v) max(|v| - t, 0)`` of a number."""
    if v > t:
        return v - t
    return v + t if v < -t else 0.0


# Without "reassoc", which would turn (v - top) - theta into v - (top + theta).
@kernel(fastmath={"contract", "nsz"}, shared=True)
def project_simplex(v, total, out):
    """Projection on ``{x >= 0, sum x = total}``; returns the threshold theta of max(v - theta, 0).

    Newton's method on the convex piecewise linear ``sum_i max(v_i - theta, 0) - total`` increases
    theta to the root and ends there, after few passes.  All is relative to the largest entry, so
    that numbers much above `total` do not cancel.
    """
    top = -np.inf
    for i in range(v.size):
        top = max(top, v[i])
    theta = -np.inf
    better = -total  # the largest entry alone reaches the total there
    while better > theta:
        theta = better
        above = 0.0
        count = 0
        for i in range(v.size):
            w = v[i] - top
            if w > theta:
                above += w
                count += 1
        better = (above - total) / count
    for i in range(v.size):
        out[i] = max(v[i] - top - theta, 0.0)
    return top + theta


@kernel
def project_l1_ball(v, radius, out):
    """Projection on ``{sum |x| <= radius}``."""
    moduli = np.abs(v)
    if moduli.sum() > radius:
        project_simplex(moduli, radius, moduli)
    for i in range(v.size):
        out[i] = math.copysign(moduli[i], v[i])


@kernel
def tv_prox(v, t, out):
    """Prox of ``t sum |x_{i+1} - x_i|``: the derivative of the value function, from left to right.

    The derivative after k points is piecewise linear; its knots lie in ``knot[left:right + 1]``,
    where slope and intercept change by `slope` and `level`.  Clipping it to [-t, t] gives the
    interval [low, high] in which the next value determines this one.
    """
    n = v.size
    if n == 1 or t == 0.0:
        out[:] = v
        return
    middle = 0.0
    for i in range(n):
        middle += v[i] / n
    # From the largest partial sum on, the answer is the mean: a larger t would only cancel.
    partial, largest = 0.0, 0.0
    for i in range(n):
        partial += v[i] - middle
        largest = max(largest, abs(partial))
    t = min(t, largest)
    knot, slope, level = np.empty(2 * n), np.empty(2 * n), np.empty(2 * n)
    low, high = np.empty(n - 1), np.empty(n - 1)
    y = v[0] - middle
    low[0], high[0] = y - t, y + t
    left, right = n - 1, n
    knot[left], slope[left], level[left] = low[0], 1.0, t - y
    knot[right], slope[right], level[right] = high[0], -1.0, t + y
    for k in range(1, n):
        y = v[k] - middle
        a, b = 1.0, -t - y
        i = left
        goal = -t if k < n - 1 else 0.0
        while i <= right and a * knot[i] + b <= goal:
            a += slope[i]
            b += level[i]
            i += 1
        if k == n - 1:
            out[k] = -b / a
            break
        low[k] = (-t - b) / a
        left = i - 1
        knot[left] = low[k]
        c, d = -1.0, y - t
        i = right
        while i >= left and -c * knot[i] - d >= t:
            c += slope[i]
            d += level[i]
            i -= 1
        high[k] = (t + d) / -c
        right = i + 1
        knot[right] = high[k]
        slope[left], level[left] = a, b + t
        slope[right], level[right] = c, d + t
    for k in range(n - 2, -1, -1):
        out[k] = min(max(out[k + 1], low[k]), high[k])
    for k in range(n):
        out[k] += middle


@kernel
def envelope_shares(a, s, k, out):
    """``out_g = clip(eta a_g - s_g, 0, 1)`` with the eta for which they sum to k.

    Needs more than k positive a.  Newton's method on the piecewise linear sum, kept strictly inside
    a bracket, which is halved where it would leave it, and at every fourth step, so that it cannot
    go round in circles.
    """
    low, high, mass = 0.0, 0.0, 0.0
    for g in range(a.size):
        mass += a[g]
        if a[g] > 0.0:
            high = max(high, (1.0 + s[g]) / a[g])
    eta = min(k / mass, high)
    rounding = 2e-16 * (a.size + k)
    for trial in range(2000):  # enough halvings from the largest to the smallest positive number
        total, gain = 0.0, 0.0
        for g in range(a.size):
            share = eta * a[g] - s[g]
            if share >= 1.0:
                total += 1.0
            elif share > 0.0:
                total += share
                gain += a[g]
        if abs(total - k) <= rounding:
            break
        if total > k:
            high = eta
        else:
            low = eta
        step = eta - (total - k) / gain if gain > 0.0 else -1.0
        newton = low < step < high and trial % 4 != 3
        eta = step if newton else 0.5 * (low + high)
        if not low < eta < high:
            break
    for g in range(a.size):
        out[g] = min(max(eta * a[g] - s[g], 0.0), 1.0)
