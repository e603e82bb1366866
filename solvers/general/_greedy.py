"""Kernels of greedy coordinate descent: ``c = Z'(z - Z w)`` is kept, not the residual."""

from __future__ import annotations

import numpy as np

from fejer.evidence import Array
from fejer.jit import kernel

from ._descent import minimiser
from ._patterns import note

__all__ = ["best", "greedy_dense", "greedy_gram", "greedy_scores", "greedy_sparse"]

GS, GSQ = 4, 5


@kernel
def score(rule, c, w, new, q, l1, l2, lower, upper):
    """How much a coefficient promises.

    Rule GS: the modulus of the smallest subgradient, a direction that leaves the box not counted.
    Rule GSQ: the decrease of the objective.
    """
    if rule == GSQ:
        step = new - w
        smooth = c * step - 0.5 * q * step * step - 0.5 * l2 * (new * new - w * w)
        return smooth + l1 * (abs(w) - abs(new))
    down = c - l2 * w  # minus the gradient of the smooth part
    if w > 0.0 or (w == 0.0 and down > l1):
        down -= l1
    elif w < 0.0 or (w == 0.0 and down < -l1):
        down += l1
    else:
        down = 0.0
    if (down > 0.0 and w >= upper) or (down < 0.0 and w <= lower):
        down = 0.0
    return abs(down)


@kernel
def best(rule, c, w, q, l1, l2, lower, upper):
    """The coordinate with the largest score among those that an update changes, or -1."""
    chosen = -1
    largest = 0.0
    for j in range(w.size):
        new = minimiser(c[j], w[j], q[j], l1[j], l2[j], lower[j], upper[j])
        if new != w[j]:
            promise = score(rule, c[j], w[j], new, q[j], l1[j], l2[j], lower[j], upper[j])
            if promise > largest:
                largest = promise
                chosen = j
    return chosen


@kernel
def greedy_gram(G, q, l1, l2, lower, upper, w, c, turned, rule, update, count):
    """Up to `count` updates with the Gram matrix G; returns how many were made."""
    for made in range(count):
        j = best(rule, c, w, q, l1, l2, lower, upper)
        if j < 0:
            return made
        new = minimiser(c[j], w[j], q[j], l1[j], l2[j], lower[j], upper[j])
        step = new - w[j]
        note(w[j], new, lower[j], upper[j], update + made + 1, turned)
        w[j] = new
        for k in range(w.size):
            c[k] -= step * G[k, j]
    return count


@kernel
def greedy_dense(X, q, l1, l2, lower, upper, w, c, turned, rule, update, count):
    """As `greedy_gram`, the column of the Gram matrix computed anew in each update."""
    for made in range(count):
        j = best(rule, c, w, q, l1, l2, lower, upper)
        if j < 0:
            return made
        new = minimiser(c[j], w[j], q[j], l1[j], l2[j], lower[j], upper[j])
        step = new - w[j]
        note(w[j], new, lower[j], upper[j], update + made + 1, turned)
        w[j] = new
        for k in range(w.size):
            inner = 0.0
            for i in range(X.shape[0]):
                inner += X[i, k] * X[i, j]
            c[k] -= step * inner
    return count


@kernel
def greedy_sparse(
    indptr, indices, data, rowptr, columns, values, mean, total, q, l1, l2, lower, upper, w, c,
    turned, rule, update, count
):  # fmt: skip
    """As `greedy_dense` for compressed columns and rows less ``root mean'``."""
    for made in range(count):
        j = best(rule, c, w, q, l1, l2, lower, upper)
        if j < 0:
            return made
        new = minimiser(c[j], w[j], q[j], l1[j], l2[j], lower[j], upper[j])
        step = new - w[j]
        note(w[j], new, lower[j], upper[j], update + made + 1, turned)
        w[j] = new
        for a in range(indptr[j], indptr[j + 1]):
            i = indices[a]
            for b in range(rowptr[i], rowptr[i + 1]):
                c[columns[b]] -= step * data[a] * values[b]
        back = step * total * mean[j]
        if back != 0.0:
            for k in range(w.size):
                c[k] += back * mean[k]
    return count


def greedy_scores(
    c: Array, w: Array, q: Array, l1: Array, l2: Array, lower: Array, upper: Array, promise: bool
) -> Array:
    """The smallest subgradient of each coordinate with its sign, or the decrease of a step.

    Parameters
    ----------
    c : array
        Minus the gradient of the loss.
    w, q, l1, l2, lower, upper : array
        Point, curvature bounds, penalty and box.
    promise : bool
        Return the decrease that the model with curvature q promises instead.
    """
    down = c - l2 * w
    if promise:
        safe = np.where(q > 0, q, 1.0)
        v = safe * w + c
        v = np.where(v > l1, v - l1, np.where(v < -l1, v + l1, 0.0))  # in this order for l1 < 0
        step = np.clip(v / (safe + l2), lower, upper) - w
        gain = down * step - 0.5 * (q + l2) * step * step
        gain -= l1 * (np.abs(w + step) - np.abs(w))
        return np.where(q > 0, np.maximum(gain, 0.0), 0.0)
    pushed = np.where(w > 0, down - l1, np.where(w < 0, down + l1, 0.0))
    shrunk = np.where(down > l1, down - l1, np.where(down < -l1, down + l1, 0.0))
    g = np.where(w == 0, shrunk, pushed)
    outward = ((g > 0) & (w >= upper)) | ((g < 0) & (w <= lower))
    return np.where(outward | (q == 0.0), 0.0, g)
