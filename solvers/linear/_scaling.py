"""Equilibrating a linear program by powers of two, so that no entry is rounded."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fejer.evidence import Array
from fejer.jit import kernel
from fejer.numerics.compressed import Compressed, frozen
from fejer.numerics.matrix import Matrix
from fejer.problems.forms import ProgramForm

PASSES = 10  # of Ruiz: row and column maxima are within a few per cent of 1 then


class Scaled(NamedTuple):
    """The program in the variables ``x / column`` and ``y / row``, the matrix by both orders.

    Attributes
    ----------
    c, row_lower, row_upper, lower, upper : array
        Scaled data.
    csc, csr : Compressed
        The scaled matrix.
    row, column : array
        Factors, powers of two: the matrix is ``diag(row) A diag(column)``.
    norm : float
        Spectral norm of the scaled matrix, 0 without entries.
    """

    c: Array
    row_lower: Array
    row_upper: Array
    lower: Array
    upper: Array
    csc: Compressed
    csr: Compressed
    row: Array
    column: Array
    norm: float


def scaled(form: ProgramForm, equilibrate: bool) -> Scaled:
    """Scale rows and columns; the matrix becomes sparse if it is not."""
    from scipy.sparse import csc_array

    A = csc_array(form.A.native)
    m, n = A.shape
    row, column = factors(A) if equilibrate else (np.ones(m), np.ones(n))
    spread = np.repeat(column, np.diff(A.indptr))
    A = csc_array((A.data * spread * row[A.indices], A.indices, A.indptr), shape=(m, n))
    norm = Matrix.of(A, "A").spectral_norm() if A.nnz else 0.0
    by_rows = A.tocsr()
    with np.errstate(over="ignore"):
        return Scaled(
            form.c * column,
            form.row_lower * row,
            form.row_upper * row,
            form.lower / column,
            form.upper / column,
            _arrays(A),
            _arrays(by_rows),
            row,
            column,
            norm,
        )


def factors(A: Any) -> tuple[Array, Array]:
    """Return powers of two for the rows and columns of a CSC matrix."""
    m, n = A.shape
    row, column = np.ones(m), np.ones(n)
    if A.nnz:
        parts = A.indptr.astype(np.int32), A.indices.astype(np.int32), np.abs(A.data)
        _ruiz(*parts, row, column, np.empty(m), np.empty(n), PASSES)
    return np.exp2(np.round(np.log2(row))), np.exp2(np.round(np.log2(column)))


def _arrays(A: object) -> Compressed:
    index = [np.array(getattr(A, name), dtype=np.int32) for name in ("indptr", "indices")]
    return frozen(Compressed(index[0], index[1], np.array(getattr(A, "data"), dtype=np.float64)))  # noqa: B009


@kernel
def _ruiz(indptr, indices, moduli, row, column, row_max, column_max, passes):
    """Divide rows and columns by the roots of their largest moduli, several times over."""
    for _ in range(passes):
        row_max[:] = 0.0
        column_max[:] = 0.0
        for j in range(column.size):
            for k in range(indptr[j], indptr[j + 1]):
                value = moduli[k] * row[indices[k]] * column[j]
                row_max[indices[k]] = max(row_max[indices[k]], value)
                column_max[j] = max(column_max[j], value)
        for i in range(row.size):
            if row_max[i] > 1e-12:  # else the row has no entry to speak of
                row[i] /= np.sqrt(row_max[i])
        for j in range(column.size):
            if column_max[j] > 1e-12:
                column[j] /= np.sqrt(column_max[j])
