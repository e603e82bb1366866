"""Compressed columns and rows: the arrays of a sparse matrix, and products as kernels."""

from __future__ import annotations

import sys
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..evidence import Array
from ..jit import kernel
from .arrays import check_entries

Arrays = TypeVar("Arrays", bound="NDArray[Any] | Compressed")


class Compressed(NamedTuple):
    """Compressed columns (CSC) or rows (CSR): sorted, without duplicates, read-only.

    Attributes
    ----------
    indptr, indices : ndarray of int32
        Column (row) j holds the entries ``indptr[j]:indptr[j + 1]``.
    data : ndarray of float64
    """

    indptr: NDArray[np.int32]
    indices: NDArray[np.int32]
    data: Array


def is_sparse(data: Any) -> bool:
    """Whether this is a matrix of scipy.sparse, without importing it."""
    # Where scipy.sparse was never imported, nobody can hand over one of its matrices.
    sparse = sys.modules.get("scipy.sparse")
    return sparse is not None and bool(sparse.issparse(data))


def compressed(data: Any, name: str) -> Compressed:
    """Canonical read-only arrays of a CSC or CSR object, which is left as it is."""
    if not data.has_canonical_format:
        data = data.copy()
        data.sum_duplicates()
    part = Compressed(
        np.asarray(data.indptr, dtype=np.int32).view(),
        np.asarray(data.indices, dtype=np.int32).view(),
        np.asarray(data.data, dtype=np.float64).view(),
    )
    check_entries(part.data, name)
    return frozen(part)


def frozen(arrays: Arrays) -> Arrays:
    """Set one array, or each of a tuple, read-only."""
    for array in arrays if isinstance(arrays, tuple) else (arrays,):
        array.flags.writeable = False
    return arrays


def take_columns(part: Compressed, chosen: NDArray[np.intp]) -> Compressed:
    """The chosen columns (rows), in the order given."""
    indptr, indices, data = part
    counts = (indptr[1:] - indptr[:-1])[chosen]
    ends = np.concatenate([[0], np.cumsum(counts)])
    where = np.arange(ends[-1]) + np.repeat(indptr[chosen] - ends[:-1], counts)
    return frozen(Compressed(ends.astype(np.int32), indices[where], data[where]))


# Unsigned loop and row indices spare the test for negative ones, which count from the end: twice as
# fast.


@kernel
def csc_matvec(indptr, indices, data, x, out):
    """``out = X x`` for compressed columns, ``out = X' x`` for compressed rows."""
    out[:] = 0.0
    for j in range(x.size):
        value = x[j]
        if value != 0.0:
            for k in range(np.uint32(indptr[j]), np.uint32(indptr[j + 1])):
                out[np.uint32(indices[k])] += data[k] * value


@kernel
def csc_rmatvec(indptr, indices, data, y, out):
    """``out = X' y`` for compressed columns, ``out = X y`` for compressed rows."""
    for j in range(out.size):
        total = 0.0
        for k in range(np.uint32(indptr[j]), np.uint32(indptr[j + 1])):
            total += data[k] * y[np.uint32(indices[k])]
        out[j] = total
