"""Factor pairs: packing, singular values, the canonical form, and the matrix that is never formed.

A matrix ``X = U V'`` of rank at most k is stored as U (m, k) and V (n, k), one after the other, row
by row. Many pairs give the same matrix; the canonical one is balanced and has its signs fixed.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fejer.evidence import Array


class Spectrum(NamedTuple):
    """Thin singular value decomposition of ``U V'``, from the factors.

    Attributes
    ----------
    left : array, shape (m, k)
        Orthonormal columns.
    values : array, shape (k,)
        Descending.
    right : array, shape (n, k)
        Orthonormal columns.
    size : float
        Product of the norms of the factors: rounding perturbs `values` in units of u times it.
    """

    left: Array
    values: Array
    right: Array
    size: float


def unpack(x: Array, shape: tuple[int, int], rank: int) -> tuple[Array, Array]:
    """Return the views U and V of a packed vector."""
    rows, columns = shape
    cut = rows * rank
    return x[:cut].reshape(rows, rank), x[cut:].reshape(columns, rank)


def spectrum(U: Array, V: Array) -> Spectrum | None:
    """Decompose ``U V'`` through two thin QR and a k x k core; None where that overflows."""
    with np.errstate(all="ignore"):
        QU, RU = np.linalg.qr(U)
        QV, RV = np.linalg.qr(V)
        core = RU @ RV.T
    if not np.isfinite(core).all():
        return None
    A, values, Bt = np.linalg.svd(core)
    size = float(np.linalg.norm(RU)) * float(np.linalg.norm(RV))
    return Spectrum(QU @ A, values, QV @ Bt.T, size)


def balanced(found: Spectrum, values: Array | None = None) -> tuple[Array, Array]:
    """Return the canonical factors: ``sqrt(s)`` on both sides, largest entry of U's columns > 0.

    Parameters
    ----------
    found : Spectrum
        Of the matrix.
    values : array, optional
        Singular values to use instead of its own.
    """
    left, right = found.left, found.right
    root = np.sqrt(found.values if values is None else values)
    largest = left[np.abs(left).argmax(axis=0), np.arange(root.size)]
    sign = np.where(largest < 0, -1.0, 1.0)
    return left * (root * sign), right * (root * sign)


def pack(U: Array, V: Array) -> Array:
    """Store two factors in one vector."""
    return np.concatenate([U.ravel(), V.ravel()])


class LowRankMatrix:
    """The matrix ``U V'``, known by its factors and formed only by ``np.asarray``.

    Parameters
    ----------
    U : array, shape (m, k)
        Left factor.
    V : array, shape (n, k)
        Right factor.

    Attributes
    ----------
    shape : tuple of int
        Rows and columns.
    dtype : dtype
        float64; with `matvec` and `rmatvec` this is what scipy's ``aslinearoperator`` asks for.

    Examples
    --------
    >>> import numpy as np
    >>> X = LowRankMatrix(np.ones((3, 1)), np.arange(2.0).reshape(2, 1))
    >>> X @ np.array([1.0, 1.0])
    array([1., 1., 1.])
    >>> np.asarray(X.T).shape
    (2, 3)
    """

    ndim = 2

    def __init__(self, U: Array, V: Array) -> None:
        self.U, self.V = U, V
        self.shape = (U.shape[0], V.shape[0])
        self.dtype = np.dtype(np.float64)

    @property
    def T(self) -> LowRankMatrix:
        """The transpose; nothing is copied."""
        return LowRankMatrix(self.V, self.U)

    def __matmul__(self, other: Any) -> Array:
        product: Array = self.U @ (self.V.T @ other)
        return product

    def matvec(self, vector: Array) -> Array:
        """Return the product with a vector, or with the columns of a matrix."""
        return self @ vector

    def rmatvec(self, vector: Array) -> Array:
        """Return the product of the transpose."""
        return self.T @ vector

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.asarray(self.U @ self.V.T, dtype=dtype)

    def __repr__(self) -> str:
        return f"LowRankMatrix(shape={self.shape}, rank <= {self.U.shape[1]})"
