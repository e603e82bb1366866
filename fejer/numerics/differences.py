"""Supplied derivatives against difference quotients, over many step lengths."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..evidence import Array

__all__ = ["DIRECTIONS", "derivative_errors"]

STEPS = 10.0 ** -np.arange(1.0, 10.0)
COORDINATES = 50  # up to this dimension every coordinate is compared, beyond it random directions
DIRECTIONS = 5


def derivative_errors(
    name: str, x: Array, values: Callable[[Array], Any], products: Callable[[Array], Any]
) -> tuple[str, Array, Array]:
    """Compare a derivative with central differences of what it is the derivative of.

    Parameters
    ----------
    name : str
        What the table calls it.
    x : array, shape (n,)
        Where.
    values : callable
        ``values(x)``: a number or a vector.
    products : callable
        ``products(v)``: the supplied derivative at x along v.

    Returns
    -------
    name : str
        As given.
    steps : array
        Step lengths, relative to ``max(1, |x_j|)`` for coordinates and to ``max(1, |x|)`` for
        directions.
    errors : array
        For each step the largest error of an entry, relative to the entry or, where that is
        larger, to a thousandth of the largest entry or value: below it lies the noise of the
        quotients.
    """
    n = x.size
    if n <= COORDINATES:
        directions = list(np.eye(n))
        lengths = np.maximum(1.0, np.abs(x))
    else:
        rng = np.random.default_rng(0)
        directions = [v / np.linalg.norm(v) for v in rng.standard_normal((DIRECTIONS, n))]
        lengths = np.full(DIRECTIONS, max(1.0, float(np.linalg.norm(x))))
    with np.errstate(all="ignore"):
        exact = np.array([np.atleast_1d(products(v)) for v in directions])
        here = np.abs(np.atleast_1d(values(x)))
        noise = 1e-3 * max(np.abs(exact).max(initial=0.0), here.max(initial=0.0)) or 1.0
        errors = []
        for step in STEPS:
            worst = 0.0
            for v, length, derivative in zip(directions, lengths, exact, strict=True):
                h = step * length
                up, down = (np.atleast_1d(values(x + s * h * v)) for s in (1.0, -1.0))
                quotient = (up - down) / (2 * h)
                size = np.maximum(np.maximum(np.abs(quotient), np.abs(derivative)), noise)
                error = np.max(np.abs(quotient - derivative) / size, initial=0.0)
                worst = max(worst, float(error)) if np.isfinite(error) else np.inf
            errors.append(worst)
    return name, STEPS.copy(), np.array(errors)
