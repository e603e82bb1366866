"""The loop of `forward-backward` and `gda`: ``x <- J(x - a F(x))``."""

from __future__ import annotations

import numpy as np

from fejer.jit import kernel

from ._inclusions import (
    ADAPTIVE,
    CALLS,
    GO_ON,
    INNER,
    RESTORED,
    RULE,
    SEEN,
    SHORTEN,
    SMALLEST,
    SOLVED,
    STEP,
    ahead,
    apart,
    decide,
)

__all__ = ["iterate"]

FREE = RULE  # 1: no safeguards, since divergence is what the method is known for
PATIENCE, PROGRESS = 2000, 0.999  # iterations within which the residual must fall to this share
MARK = SEEN + 1  # the counter that holds the iteration of the last progress
SPLIT = RULE + 1  # length of the first player's part that moves first; 0: all parts move at once


@kernel
def not_cocoercive(x, at_x, y, at_y, step):
    """Whether ``<F(x) - F(y), x - y> < step ||F(x) - F(y)||^2`` beyond rounding."""
    product = moved = 0.0
    for i in range(x.size):
        f = at_x[i] - at_y[i]
        product += f * (x[i] - y[i])
        moved += f * f
    return product < step * moved * (1.0 - 1e-9)


@kernel
def iterate(
    F, J, x, value, anchor, best, exact, vectors, pair, numbers, counters, options, count
):  # fmt: skip
    """Many forward-backward steps."""
    copy, after, there = np.empty_like(x), np.empty_like(x), np.empty_like(x)
    split = int(options[SPLIT])
    made = 0
    code = GO_ON
    while made < count:
        step = numbers[STEP]
        ahead(x, value, step, after)
        if J is not None:
            copy[:] = after
            J(copy, step, after)
        size = apart(x, after) / step
        if options[FREE] > 0.0:
            if size <= PROGRESS * numbers[SMALLEST]:
                numbers[SMALLEST] = size
                counters[MARK] = counters[INNER]
            if size == 0.0 or counters[INNER] - counters[MARK] >= PATIENCE:
                code = SOLVED
                break
        else:
            code = decide(x, value, anchor, best, exact, pair, numbers, counters, options, size)
            if code == SOLVED:
                break
            if code == RESTORED:
                continue
        if split > 0:
            copy[:split] = after[:split]
            copy[split:] = x[split:]
            F(copy, there)
            counters[CALLS] += 1
            there[:split] = value[:split]
            ahead(x, there, step, after)
            if J is not None:
                copy[:] = after
                J(copy, step, after)
        copy[:] = after
        F(copy, there)
        counters[CALLS] += 1
        if options[ADAPTIVE] > 0.0 and not_cocoercive(after, there, x, value, step):
            numbers[STEP] *= SHORTEN
            continue
        x[:] = after
        value[:] = there
        counters[INNER] += 1
        made += 1
    return made, code
