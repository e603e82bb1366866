"""Kernels of variance-reduced Halpern iteration."""

from __future__ import annotations

import math

from fejer.jit import kernel
from fejer.numerics.random import below, uniform

GROWTH = 20.0  # of the residual over the first one, at which the step is halved
MOST_HALVINGS = 60
NOT_MONOTONE = -1e-8  # cosine of <F(u) - F(v), u - v> that rounding does not explain

# What `decide` says of a refreshed point.
GO_ON, SOLVED, RESTORED = 0, 1, 2


@kernel
def refreshes(words, k, m):
    """Whether iteration k takes F exactly; a random number is drawn where chance decides."""
    if k <= 1:
        return True
    root = math.sqrt(m)
    chance = 4.0 / (k + 4.0) if k - 1 <= root else 4.0 / (root + 5.0)
    return chance >= 1.0 or uniform(words) < chance


@kernel
def draw(words, order, count):
    """Bring a random choice of components to the head of the permutation."""
    for i in range(count):
        j = i + below(words, order.size - i)
        order[i], order[j] = order[j], order[i]


@kernel
def copy(x, out):
    """``out = x``, in a third of the time that a slice takes, which looks for overlaps."""
    for i in range(x.size):
        out[i] = x[i]


@kernel
def move(x, before, anchor, estimate, step, k, out):
    """One step of the iteration, without the resolvent, into out; before becomes x."""
    share = 2.0 / (k + 4.0)
    for i in range(x.size):
        u = x[i]
        before[i] = u
        out[i] = share * anchor[i] + (1.0 - share) * u - step * estimate[i]


@kernel
def absorb(x, before, anchor, estimate, step, k, d, out):
    """`move` with ``estimate + d``; returns ``||d||^2`` and ``<d, x - before>``; d becomes 0."""
    share = 2.0 / (k + 4.0)
    square = product = 0.0
    for i in range(x.size):
        u = x[i]
        change = d[i]
        value = estimate[i] + change
        square += change * change
        product += change * (u - before[i])
        d[i] = 0.0
        before[i] = u
        estimate[i] = value
        out[i] = share * anchor[i] + (1.0 - share) * u - step * value
    return square, product


@kernel(shared=True)
def ahead(x, value, step, out):
    """``out = x - step value``; out may be x."""
    for i in range(x.size):
        out[i] = x[i] - step * value[i]


@kernel
def toward(x, other, share, out):
    """``out = (1 - share) x + share other``."""
    for i in range(x.size):
        out[i] = x[i] + share * (other[i] - x[i])


@kernel
def size_of(x, y):
    """Euclidean distance."""
    total = 0.0
    for i in range(x.size):
        total += (x[i] - y[i]) ** 2
    return math.sqrt(total)


@kernel
def sees(x, value, best, at_best):
    """Whether F is not monotone between two points, beyond rounding."""
    product = moved = distance = 0.0
    for i in range(x.size):
        f = value[i] - at_best[i]
        d = x[i] - best[i]
        product += f * d
        moved += f * f
        distance += d * d
    return product < NOT_MONOTONE * math.sqrt(moved * distance)


@kernel
def decide(
    x, anchor, estimate, best, exact, residual, restart,
    inner, step, first, at_anchor, smallest, restarts, halvings,
):  # fmt: skip
    """Restart, go back to the best point, or go on, from the residual of an exact F(x)."""
    code = GO_ON
    if first < 0.0:
        first = residual
    if residual == 0.0:
        code = SOLVED
    elif not residual <= GROWTH * first:
        code = RESTORED if halvings < MOST_HALVINGS else SOLVED
        if code == RESTORED:
            step *= 0.5
            halvings += 1
            x[:] = best
            anchor[:] = best
            inner = 0
            at_anchor = smallest
    else:
        if residual < smallest:
            smallest = residual
            best[:] = x
            exact[:] = estimate
        if inner == 0:
            at_anchor = residual
        elif restart > 0.0 and residual <= restart * at_anchor:
            anchor[:] = x
            inner = 0
            at_anchor = residual
            restarts += 1
    return code, inner, step, first, at_anchor, smallest, restarts, halvings
