"""Smoothed total variation of images: kernels over the edges to the right and down."""

from __future__ import annotations

import math

from fejer.jit import kernel

__all__ = ["change", "columns", "gradient", "product", "weights"]


@kernel
def gradient(y, noisy, c, nu, out):
    """``out = (y - noisy) + c D' phi'(Dy)`` with ``phi(t) = sqrt(t^2 + nu^2)``."""
    images, height, width = y.shape
    square = nu * nu
    for m in range(images):
        for i in range(height):
            for j in range(width):
                out[m, i, j] = y[m, i, j] - noisy[m, i, j]
        for i in range(height):
            for j in range(width):
                here = y[m, i, j]
                if j + 1 < width:
                    t = y[m, i, j + 1] - here
                    slope = c * t / math.sqrt(t * t + square)
                    out[m, i, j] -= slope
                    out[m, i, j + 1] += slope
                if i + 1 < height:
                    t = y[m, i + 1, j] - here
                    slope = c * t / math.sqrt(t * t + square)
                    out[m, i, j] -= slope
                    out[m, i + 1, j] += slope


@kernel
def weights(y, c, nu, right, down, diagonal):
    """``c phi''(Dy)`` on both kinds of edges, 0 where there is none, and the diagonal of H."""
    images, height, width = y.shape
    square = nu * nu
    for m in range(images):
        for i in range(height):
            for j in range(width):
                diagonal[m, i, j] = 1.0
        for i in range(height):
            for j in range(width):
                here = y[m, i, j]
                right[m, i, j] = down[m, i, j] = 0.0
                if j + 1 < width:
                    t = y[m, i, j + 1] - here
                    size = t * t + square
                    w = c * square / (size * math.sqrt(size))
                    right[m, i, j] = w
                    diagonal[m, i, j] += w
                    diagonal[m, i, j + 1] += w
                if i + 1 < height:
                    t = y[m, i + 1, j] - here
                    size = t * t + square
                    w = c * square / (size * math.sqrt(size))
                    down[m, i, j] = w
                    diagonal[m, i, j] += w
                    diagonal[m, i + 1, j] += w


@kernel
def product(v, right, down, out):
    """``out = v + D' (w * Dv)``."""
    images, height, width = v.shape
    for m in range(images):
        for i in range(height):
            for j in range(width):
                out[m, i, j] = v[m, i, j]
        for i in range(height):
            for j in range(width - 1):
                flow = right[m, i, j] * (v[m, i, j + 1] - v[m, i, j])
                out[m, i, j] -= flow
                out[m, i, j + 1] += flow
        for i in range(height - 1):
            for j in range(width):
                flow = down[m, i, j] * (v[m, i + 1, j] - v[m, i, j])
                out[m, i, j] -= flow
                out[m, i + 1, j] += flow


@kernel
def columns(y, c, nu, first, second):
    """The columns of J: ``c D' phi'`` and ``-c D' (t nu^2 / (t^2 + nu^2)^(3/2))``."""
    images, height, width = y.shape
    square = nu * nu
    first[:] = 0.0
    second[:] = 0.0
    for m in range(images):
        for i in range(height):
            for j in range(width):
                for direction in range(2):
                    k, l = i + direction, j + 1 - direction
                    if k < height and l < width:
                        t = y[m, k, l] - y[m, i, j]
                        size = t * t + square
                        slope = c * t / math.sqrt(size)
                        bend = -slope * square / size
                        first[m, i, j] -= slope
                        first[m, k, l] += slope
                        second[m, i, j] -= bend
                        second[m, k, l] += bend


@kernel
def change(y, q, nu, radius):
    """Largest ``|(Dq)_e| sup 3 nu^2 |t| / (t^2 + nu^2)^(5/2)`` over ``|t - (Dy)_e| <= radius``."""
    images, height, width = y.shape
    square, found = nu * nu, 0.0
    for m in range(images):
        for i in range(height):
            for j in range(width):
                for direction in range(2):
                    k, l = i + direction, j + 1 - direction
                    if k < height and l < width:
                        t = abs(y[m, k, l] - y[m, i, j])
                        # The function of |t| rises up to nu/2 and falls from there.
                        low, high = max(0.0, t - radius), t + radius
                        t = min(max(0.5 * nu, low), high)
                        size = t * t + square
                        bend = 3.0 * square * t / (size * size * math.sqrt(size))
                        found = max(found, bend * abs(q[m, k, l] - q[m, i, j]))
    return found
