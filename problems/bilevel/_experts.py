"""Windows of images with mirrored borders: convolutions as products with matrices."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fejer.evidence import Array
from fejer.jit import kernel

__all__ = ["BEND", "Windows", "bend_nearby"]

BEND = 0.8586501  # largest third derivative of sqrt(t^2 + 1)


class Windows:
    """All windows of `side` x `side` pixels around the pixels of images.

    Parameters
    ----------
    shape : tuple of int
        Of the images, ``(N, h, w)``; h and w at least `side`.
    side : int
        Of the windows; beyond the border the images are mirrored, border pixels included.
    """

    def __init__(self, shape: tuple[int, int, int], side: int) -> None:
        self.shape, self.side = shape, side
        before = (side - 1) // 2
        N, h, w = shape
        index = np.arange(N * h * w).reshape(shape)
        ends = (before, side - 1 - before)
        padded = np.pad(index, ((0, 0), ends, ends), mode="symmetric")
        views = np.lib.stride_tricks.sliding_window_view(padded, (side, side), axis=(1, 2))  # type: ignore[call-overload]
        self.index: Any = np.ascontiguousarray(views.reshape(-1, side * side))
        counts = np.bincount(self.index.ravel(), minlength=index.size)
        # Each shift selects pixels, so that the sum of S'S is diagonal and holds the counts.
        self.norm = math.sqrt(float(counts.max()))
        shifts = [np.bincount(column).max() for column in self.index.T]
        self.shift_norms = np.sqrt(np.array(shifts, dtype=float))

    def take(self, y: Array) -> Array:
        """Return the windows, one in each row."""
        return y[self.index]

    def give(self, T: Array) -> Array:
        """Add windows back: the adjoint of `take`."""
        return np.asarray(np.bincount(self.index.ravel(), weights=T.ravel()), dtype=float)

    def bounds(self, filters: Array) -> Array:
        """Bound the norms of the convolutions with the rows of `filters`."""
        sizes = np.sqrt((filters**2).sum(axis=1)) * self.norm
        return np.minimum(sizes, np.abs(filters) @ self.shift_norms)


@kernel
def bend_nearby(t, q, nu, reach):
    """``max |q_p| sup |phi'''|`` over ``|t' - t_p| <= reach``, ``phi = sqrt(t^2 + nu^2)``."""
    found = 0.0
    square = nu * nu
    for p in range(t.size):
        size = abs(t[p])
        s = min(max(0.5 * nu, size - reach), size + reach)
        total = s * s + square
        found = max(found, 3.0 * square * s / (total * total * math.sqrt(total)) * abs(q[p]))
    return found
