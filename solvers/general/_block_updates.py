"""Updates of one block: where its coordinates go, given gradient and Hessian of the block.

A block is described by ``c``, minus the gradient of the loss, ``H``, the Hessian or its bound, and
the penalty and box of its coordinates, as `Penalty`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from fejer.evidence import Array
from fejer.jit import kernel

from ._descent import minimiser

__all__ = ["Penalty", "exact_box", "model_step", "prox_step", "search", "two_metric"]

JITTER = 1e-12  # of the mean diagonal, added before a factorisation
LARGEST_SEARCH = 30


class Penalty(NamedTuple):
    """Penalty and box of the coordinates of a block."""

    l1: Array
    l2: Array
    lower: Array
    upper: Array

    @property
    def free(self) -> bool:
        """Whether there is neither."""
        bounded = np.isfinite(self.lower).any() or np.isfinite(self.upper).any()
        return not (bounded or self.l1.any())

    def value(self, w: Array) -> float:
        """The penalty at w."""
        return float(self.l1 @ np.abs(w)) + 0.5 * float(self.l2 @ (w * w))


def prox_step(w: Array, c: Array, lipschitz: float | Array, penalty: Penalty) -> Array:
    """The proximal gradient step with the curvature ``lipschitz``."""
    v = lipschitz * w + c
    l1 = penalty.l1
    v = np.where(v > l1, v - l1, np.where(v < -l1, v + l1, 0.0))  # in this order for l1 < 0
    return np.clip(v / (lipschitz + penalty.l2), penalty.lower, penalty.upper)


def solve(H: Array, g: Array) -> Array:
    """``H^-1 g`` with a trace of regularisation; least squares where that is not enough."""
    H = H + (JITTER * float(np.trace(H)) / g.size) * np.eye(g.size)
    try:
        return np.asarray(np.linalg.solve(H, g))
    except np.linalg.LinAlgError:
        return np.asarray(np.linalg.lstsq(H, g, rcond=None)[0])


def model_step(w: Array, c: Array, H: Array, penalty: Penalty) -> Array:
    """The minimiser of the quadratic model plus the penalty over the box."""
    if penalty.free:
        H = H + np.diag(penalty.l2)
        return w + solve(H, c - penalty.l2 * w)
    new = w.copy()
    minimise_model(np.ascontiguousarray(H), c.copy(), *penalty, new)
    return new


@kernel
def minimise_model(H, c, l1, l2, lower, upper, new):
    """Coordinate descent to rounding on ``-c'u + 1/2 u'Hu + penalty``, c kept at the point."""
    for _ in range(1000):
        moved = 0.0
        size = 0.0
        for j in range(new.size):
            goal = minimiser(c[j], new[j], H[j, j], l1[j], l2[j], lower[j], upper[j])
            step = goal - new[j]
            if step != 0.0:
                new[j] = goal
                for k in range(new.size):
                    c[k] -= step * H[k, j]
            moved = max(moved, abs(step))
            size = max(size, abs(goal))
        if moved <= 1e-15 * size:
            break


def exact_box(w: Array, c: Array, H: Array, penalty: Penalty) -> Array:
    """The minimiser over the box by block pivoting: which bounds hold is flipped until it fits."""
    b, A = c + H @ w - penalty.l1, H + np.diag(penalty.l2)  # |w| = w on this box
    place = np.where(w <= penalty.lower, -1, np.where(w >= penalty.upper, 1, 0))
    tolerance = 1e-13 * (np.abs(b) + np.abs(A) @ np.abs(w))
    for trial in range(60):
        new = np.where(place < 0, penalty.lower, np.where(place > 0, penalty.upper, 0.0))
        new[place == 0] = 0.0
        free = np.flatnonzero(place == 0)
        if free.size:
            new[free] = solve(A[np.ix_(free, free)], b[free] - A[free] @ new)
        g = A @ new - b
        low = (place == 0) & (new < penalty.lower)
        high = (place == 0) & (new > penalty.upper)
        leave = ((place < 0) & (g < -tolerance)) | ((place > 0) & (g > tolerance))
        wrong = low | high | leave
        if not wrong.any():
            return new
        if trial >= 20:  # one at a time cannot go round in circles
            last = int(np.flatnonzero(wrong)[-1])
            wrong = np.arange(w.size) == last
        place = np.where(wrong & low, -1, np.where(wrong & high, 1, np.where(wrong, 0, place)))
    return model_step(w, c, H, penalty)


def two_metric(
    w: Array, c: Array, H: Array, penalty: Penalty, change: Callable[[Array], float]
) -> Array:
    """Newton's step on the free coordinates, a scaled gradient step on those held at a bound.

    The part of the held coordinates in the test is what they really move: with their gradient
    times the direction, large multipliers would forbid every step.
    """
    g = -c + penalty.l1 + penalty.l2 * w  # |w| = w on this box
    A = H + np.diag(penalty.l2)
    largest = float(np.linalg.eigvalsh(A)[-1]) or 1.0
    residual = float(np.linalg.norm(w - np.clip(w - g / largest, penalty.lower, penalty.upper)))
    close = min(1e-4, residual)
    held = ((w <= penalty.lower + close) & (g > 0)) | ((w >= penalty.upper - close) & (g < 0))
    free = np.flatnonzero(~held)
    d = np.where(held, -g / np.where(np.diag(A) > 0, np.diag(A), 1.0), 0.0)
    if free.size:
        d[free] = -solve(A[np.ix_(free, free)], g[free])
    t = 1.0
    for _ in range(LARGEST_SEARCH):
        new = np.clip(w + t * d, penalty.lower, penalty.upper)
        slope = t * float(g[free] @ d[free]) + float(g[held] @ (new - w)[held])
        if change(new) <= 1e-4 * slope:
            return new
        t *= 0.5
    return w


def search(
    w: Array,
    goal: Array,
    c: Array,
    penalty: Penalty,
    change: Callable[[Array], float],
    rounding: float,
) -> Array:
    """Go from w towards goal as far as the objective falls by a share of what its slope says.

    Both are known up to rounding only: a coefficient of rounding size must be able to become 0.
    """
    d = goal - w
    slope = min(-float(c @ d) + penalty.value(goal) - penalty.value(w), 0.0)
    t = 1.0
    for _ in range(LARGEST_SEARCH):
        new = goal if t == 1.0 else w + t * d
        gained = change(new)
        if gained <= 1e-4 * t * slope + rounding:
            return new
        # The minimiser of the parabola through value and slope at 0 and the value here.
        below = 2.0 * (gained - t * slope)
        shorter = -slope * t * t / below if below > 0.0 else 0.5 * t
        t = min(max(shorter, 0.1 * t), 0.5 * t)
    return w
