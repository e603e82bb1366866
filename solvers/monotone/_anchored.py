"""The loop of the anchored extragradient methods, `feg` and `eag`."""

from __future__ import annotations

import numpy as np

from fejer.jit import kernel

from ._inclusions import (
    ADAPTIVE,
    CALLS,
    FIRST,
    GO_ON,
    INNER,
    RESTORED,
    RULE,
    SHARE,
    SHORTEN,
    SOLVED,
    STEP,
    ahead,
    anchored,
    apart,
    decide,
    length,
    too_long,
)

__all__ = ["CONSTANT", "FAST", "VARYING", "iterate"]

FAST, CONSTANT, VARYING = 0.0, 1.0, 2.0
PARAMETER = RULE + 1  # comonotonicity (fast) or step times L (constant)
LARGEST_VARYING = 0.618  # of the step times L, at the anchor


@kernel
def next_step(a, whole, k):
    """The step after a of the varying rule, with ``whole = 1 / L``; kept where it would not fall.

    Its limit is about 0.437 / L; the recursion is valid below 0.75 / L.
    """
    square = (a / whole) ** 2
    if square >= 0.5625:
        return a
    shrunk = a / (1.0 - square) * (1.0 - (k + 2.0) ** 2 / ((k + 1.0) * (k + 3.0)) * square)
    return shrunk if shrunk > 0.0 else a


@kernel
def iterate(
    F, J, x, value, anchor, best, exact, vectors, pair, numbers, counters, options, count
):  # fmt: skip
    """Many iterations with an anchor."""
    copy, half, slope = np.empty_like(x), np.empty_like(x), np.empty_like(x)
    after, there = np.empty_like(x), np.empty_like(x)
    rule, parameter = options[RULE], options[PARAMETER]
    made = 0
    code = GO_ON
    while made < count:
        step = numbers[STEP]  # 1 / L
        if J is None:
            size = length(value)
        else:
            ahead(x, value, step, copy)
            J(copy, step, half)
            size = apart(x, half) / step
        code = decide(x, value, anchor, best, exact, pair, numbers, counters, options, size)
        if code == SOLVED:
            break
        if code == RESTORED:
            continue
        k = counters[INNER]
        if rule == FAST:
            share = 1.0 / (k + 1.0)
            a = step
            back = 2.0 * parameter * (1.0 - share)
            first = (1.0 - share) * step + back
        else:
            share = 1.0 / (k + 2.0)
            if rule == CONSTANT:
                numbers[FIRST] = parameter * step
            elif k == 0:
                numbers[FIRST] = LARGEST_VARYING * step
            a = numbers[FIRST]
            back = 0.0
            first = a
        anchored(x, anchor, share, value, first, half)
        if J is not None:
            copy[:] = half
            J(copy, a, half)
        copy[:] = half
        F(copy, slope)
        anchored(x, anchor, share, slope, a, after)
        if back != 0.0:
            ahead(after, value, back, after)
        if J is not None:
            copy[:] = after
            J(copy, a, after)
        copy[:] = after
        F(copy, there)
        counters[CALLS] += 2
        if options[ADAPTIVE] > 0.0 and too_long(half, slope, after, there, step, options[SHARE]):
            # The theorem wants one constant since the anchor.
            numbers[STEP] *= SHORTEN
            counters[INNER] = 0
            continue
        if rule == VARYING:
            numbers[FIRST] = next_step(a, step, k)
        x[:] = after
        value[:] = there
        counters[INNER] += 1
        made += 1
    return made, code
