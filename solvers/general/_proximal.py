"""The proximal gradient step, for the methods that repeat it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fejer.evidence import Array
from fejer.jit import kernel

from ._smooth import Smooth

__all__ = ["forward_step"]


def forward_step(
    ready: Smooth, v: Array, pull: Array, w: Array, step: float
) -> tuple[Array, float, float]:
    """Return ``prox(v - step grad)`` and what the kernels measure on the way.

    Parameters
    ----------
    ready : Squared, Logit or Multinomial
        Loss and penalty.
    v : array
        Where the gradient was taken.
    pull : array
        Minus the gradient of the loss with respect to the product.
    w : array
        The previous point.
    step : float
        Step size.

    Returns
    -------
    new : array
        The point.
    uphill : float
        ``(v - new)'(new - w)``: positive where the step points uphill.
    moved : float
        How far new is from both; 0 at a fixed point.
    """
    g = ready.adjoint(pull)
    form: Any = ready.form
    if form.prox is not None:
        new = np.asarray(form.prox(v + step * g, step * form.prox_weight))
        moved = max(float(np.abs(new - w).max()), float(np.abs(new - v).max()))
        return new, float((v - new) @ (new - w)), moved
    new = np.empty_like(g)
    if form.group_weights is None:
        penalty = (ready.l1, ready.l2, ready.lower, ready.upper)
        uphill, moved = forward_backward(v, g, w, new, *penalty, step)
    else:
        uphill, moved = forward_backward_groups(
            v, g, w, new, ready.l1, form.groups, form.group_weights, step
        )
    return new, float(uphill), float(moved)


@kernel
def forward_backward(v, g, w, new, l1, l2, lower, upper, step):
    """``new = prox(v + step g)``; returns ``(v - new)'(new - w)`` and how far new is from both."""
    uphill = 0.0
    moved = 0.0
    for j in range(v.size):
        u = v[j] + step * g[j]
        t = step * l1[j]
        if u > t:
            u -= t
        elif u < -t:
            u += t
        else:
            u = 0.0
        u = min(max(u / (1.0 + step * l2[j]), lower[j]), upper[j])
        new[j] = u
        uphill += (v[j] - u) * (u - w[j])
        moved = max(moved, abs(u - w[j]), abs(u - v[j]))
    return uphill, moved


@kernel
def forward_backward_groups(v, g, w, new, l1, groups, weights, step):
    """As `forward_backward` under group norms and moduli, without bounds."""
    sizes = np.zeros(weights.size)
    for j in range(v.size):
        u = v[j] + step * g[j]
        u = math.copysign(max(abs(u) - step * l1[j], 0.0), u)
        new[j] = u
        sizes[groups[j]] += u * u
    for k in range(weights.size):
        size = math.sqrt(sizes[k])
        sizes[k] = 1.0 - step * weights[k] / size if size > step * weights[k] else 0.0
    uphill = 0.0
    moved = 0.0
    for j in range(v.size):
        u = new[j] * sizes[groups[j]]
        new[j] = u
        uphill += (v[j] - u) * (u - w[j])
        moved = max(moved, abs(u - w[j]), abs(u - v[j]))
    return uphill, moved
