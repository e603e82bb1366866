"""The border of sensing: stacks of matrices, sparse matrices and operators."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fejer.evidence import Array
from fejer.numerics.arrays import float_array
from fejer.numerics.compressed import is_sparse
from fejer.numerics.matrix import Matrix


def measuring(data: Any, shape: tuple[int, int]) -> Any:
    """Check what measures: an array (M, d1, d2), or an operator or sparse matrix."""
    if isinstance(data, Matrix):
        return Matrix.of(data, "A", shape=(-1, shape[0] * shape[1]))
    if is_sparse(data) or (hasattr(data, "matvec") and hasattr(data, "rmatvec")):
        return Matrix.of(data, "A", shape=(-1, shape[0] * shape[1]))
    return _stack(data, shape)


def row_squares(A: Matrix) -> Array:
    """Squared norms of the rows; an operator is applied to every unit vector, once."""

    def build() -> Array:
        if A.is_sparse:
            return A.row_sq_norms()
        total, unit = np.zeros(A.shape[0]), np.zeros(A.shape[1])
        for j in range(A.shape[1]):
            unit[j] = 1.0
            total += A.matvec(unit) ** 2
            unit[j] = 0.0
        return total

    return A.fact("row squares", build)


def _stack(data: npt.ArrayLike, shape: tuple[int, int]) -> Array:
    """Check measuring matrices and return them as an array (M, d1, d2)."""
    try:
        depth = np.ndim(data)
    except ValueError:  # ragged: the check below says so
        depth = 3
    if depth == 2:
        flat = float_array(data, "A", ndim=2, shape=(-1, shape[0] * shape[1]))
        cube: Array = flat.reshape(len(flat), *shape)
        return cube
    return float_array(data, "A", ndim=3, shape=(-1, *shape))
