"""Checking the rows and bounds of a linear program."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np

from fejer.errors import ProblemError
from fejer.evidence import Array
from fejer.numerics.compressed import Compressed, frozen, is_sparse
from fejer.numerics.matrix import Matrix
from fejer.problem import as_vector

__all__ = ["interval", "rows_of"]

INFINITE = 1e20  # bounds of this modulus are absent


def interval(lower: Any, upper: Any, low: str, high: str, size: int) -> tuple[Array, Array]:
    """Check the two ends of intervals, called `low` and `high`; none may be empty."""
    least, most = _bound(lower, low, size), _bound(upper, high, size)
    for name, bound, forbidden in ((low, least, np.inf), (high, most, -np.inf)):
        if (bound == forbidden).any():
            index = int(np.argmax(bound == forbidden))
            raise ProblemError(
                f"{name}: expected a bound that can be met, got {forbidden} at [{index}]"
            )
    if (least > most).any():
        j = int(np.argmax(least > most))
        empty = f"an empty interval at [{j}]: {least[j]:g} > {most[j]:g}"
        raise ProblemError(f"{low}: expected at most {high}, got {empty}")
    return least, most


def rows_of(data: Any, n: int) -> Matrix:
    """Check the rows; there may be none."""
    shape = data.shape if isinstance(data, Matrix) or is_sparse(data) else None
    if shape is None and not hasattr(data, "matvec"):
        with contextlib.suppress(Exception):
            shape = np.shape(data)
    if shape in ((0, n), (0,)):
        if isinstance(data, Matrix):
            return data
        none = Compressed(np.zeros(n + 1, np.int32), np.zeros(0, np.int32), np.zeros(0))
        return Matrix((0, n), csc=frozen(none))
    A = Matrix.of(data, "A", shape=(-1, n))
    if A.is_operator:
        raise ProblemError("A: expected a matrix whose entries are known, got an operator")
    return A


def _bound(data: Any, name: str, size: int) -> Array:
    """Check bounds; those of a modulus of 1e20 or more become infinite."""
    with contextlib.suppress(TypeError, ValueError):
        raw = np.asarray(data)
        if raw.dtype.kind in "fO":
            values = raw.astype(np.float64)
            large = np.isfinite(values) & (np.abs(values) >= INFINITE)
            if large.any():
                data = np.where(large, np.copysign(np.inf, values), values)
    return as_vector(data, name, size, finite=False, empty=True)
