"""Stacks of images: their check, and how much neighbours differ."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fejer.errors import ProblemError
from fejer.evidence import Array
from fejer.numerics.arrays import float_array

__all__ = ["LARGEST_LOG", "images", "spread"]

LARGEST_LOG = 100.0  # end of boxes of logarithms


def spread(noisy: Array) -> float:
    """Return the root mean square of the differences of neighbouring pixels, 1 where it is 0."""
    right, down = np.diff(noisy, axis=2), np.diff(noisy, axis=1)
    squares = float((right**2).sum() + (down**2).sum())
    return math.sqrt(squares / max(right.size + down.size, 1)) or 1.0


def images(value: Any, name: str) -> Array:
    """Check images; one image becomes a stack of one."""
    try:
        array = float_array(value, name, ndim=3)
    except ProblemError as error:
        try:
            array = float_array(value, name, ndim=2)[None]
        except ProblemError:
            raise error from None
    if array[0].size < 2:
        raise ProblemError(f"{name}: expected images of at least two pixels, got {array.shape}")
    same = isinstance(value, np.ndarray) and not value.flags.writeable and value.ndim == 3
    return value if same and value.dtype == array.dtype and value.flags.c_contiguous else array
