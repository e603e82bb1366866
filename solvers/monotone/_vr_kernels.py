"""Kernels of variance-reduced Halpern iteration."""

from __future__ import annotations

import math

import numpy as np

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
def move(x, before, anchor, estimate, step, k):
    """One step of the iteration, without the resolvent."""
    share = 2.0 / (k + 4.0)
    for i in range(x.size):
        before[i] = x[i]
        x[i] = share * anchor[i] + (1.0 - share) * x[i] - step * estimate[i]


@kernel
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


@kernel
def iterate(
    F, component, resolvent, difference,
    x, before, anchor, estimate, best, exact, order, words, pair, count, batch, restart, watch,
    inner, step, first, at_anchor, smallest, restarts, halvings,
):  # fmt: skip
    """Many iterations with compiled functions; resolvent and difference may be None."""
    m = order.size
    moved = np.empty_like(x)
    image = np.empty_like(x)
    made = work = nfev = refreshed = 0
    code = GO_ON
    seen = False
    while made < count and code != SOLVED:
        if refreshes(words, inner, m):
            moved[:] = x
            F(moved, estimate)
            work += m
            nfev += 1
            refreshed += 1
            square = 0.0
            if resolvent is None:
                for i in range(x.size):
                    square += estimate[i] ** 2
                residual = math.sqrt(square)
            else:
                for i in range(x.size):
                    moved[i] = x[i] - step * estimate[i]
                resolvent(moved, step, image)
                for i in range(x.size):
                    square += (x[i] - image[i]) ** 2
                residual = math.sqrt(square) / step
            if watch and smallest < np.inf:
                product = size_f = size_d = 0.0
                for i in range(x.size):
                    f = estimate[i] - exact[i]
                    d = x[i] - best[i]
                    product += f * d
                    size_f += f * f
                    size_d += d * d
                if product < NOT_MONOTONE * math.sqrt(size_f * size_d):
                    watch = False
                    seen = True
                    pair[0] = x
                    pair[1] = best
            code, inner, step, first, at_anchor, smallest, restarts, halvings = decide(
                x, anchor, estimate, best, exact, residual, restart,
                inner, step, first, at_anchor, smallest, restarts, halvings,
            )  # fmt: skip
            if code != GO_ON:
                continue
        else:
            draw(words, order, batch)
            head = order[:batch].copy()
            moved[:] = x
            if difference is None:
                image[:] = 0.0
                component(before.copy(), head.copy(), image)
                for i in range(x.size):
                    estimate[i] -= image[i]
                component(moved, head, estimate)
            else:
                difference(moved, before.copy(), head, estimate)
            work += 2 * batch
            nfev += 2 if difference is None else 1
        move(x, before, anchor, estimate, step, inner)
        if resolvent is not None:
            moved[:] = x
            resolvent(moved, step, x)
        inner += 1
        made += 1
    return (
        made, code, seen, work, nfev, refreshed,
        inner, step, first, at_anchor, smallest, restarts, halvings,
    )  # fmt: skip
