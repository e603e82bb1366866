"""Least squares in the targets of a model that is not linear: Gauss-Newton with a radius."""

from __future__ import annotations

from typing import Any

import numpy as np

from fejer.evidence import Array

DAMPING = 1e-3  # of the first step, relative to the squared length of the gradient's image
LARGEST = 1e12
PRODUCTS = 50  # with the Jacobian, in one step
ACCURATE = 1e-8
FLAT = 1e-10  # relative gradient at which steps end


def damped_step(model: Any, theta: Array, residual: Array, damping: float) -> Array:
    """Return about ``argmin |J h - residual|^2 + damping |h|^2`` by conjugate gradients."""
    h = np.zeros_like(theta)
    left = residual.copy()
    slope = model.vjp(theta, left)
    along, square = slope.copy(), float(slope @ slope)
    first = square
    for _ in range(min(PRODUCTS, 2 * theta.size)):
        image = model.jvp(theta, along)
        curved = float(image @ image) + damping * float(along @ along)
        if not curved > 0:
            break
        h += square / curved * along
        left -= square / curved * image
        slope = model.vjp(theta, left) - damping * h
        old, square = square, float(slope @ slope)
        if square <= ACCURATE**2 * first:
            break
        along = slope + square / old * along
    return h


def fit_targets(model: Any, theta: Array, z: Array, goal: Array, most: int) -> tuple[Array, int]:
    """Return parameters whose targets are nearer to the goal, and the number of steps made.

    Parameters
    ----------
    model : Nonlinear
        The model.
    theta, z : array
        Where it stands, and its targets there.
    goal : array
        Targets to be reached as nearly as possible.
    most : int
        Steps made.
    """
    residual = goal - z
    slope = model.vjp(theta, residual)
    size, reach = float(slope @ slope), float(np.linalg.norm(model.jvp(theta, slope)))
    first = size
    damping = DAMPING * reach**2 / size if size > 0 else 0.0
    made = 0
    while made < most and size > FLAT**2 * first and damping < LARGEST * (1.0 + reach**2):
        h = damped_step(model, theta, residual, damping)
        new = model(theta + h) if np.isfinite(h).all() else np.full_like(z, np.nan)
        with np.errstate(all="ignore"):
            fell = float(residual @ residual) - float((goal - new) @ (goal - new))
        if not fell > 0:
            damping *= 4.0
            continue
        made += 1
        theta, residual = theta + h, goal - new
        damping /= 5.0
        slope = model.vjp(theta, residual)
        size = float(slope @ slope)
    return theta, made
