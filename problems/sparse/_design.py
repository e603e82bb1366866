"""The matrix of a linear model with its sample weights and its free constant taken in."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fejer.evidence import Array
from fejer.numerics.matrix import Matrix

__all__ = ["Design", "design_of"]

ROUNDING = 2.0**-53


class Design(NamedTuple):
    """``Z = sqrt(s) (X - 1 m')``: rows weighted by s, columns less their weighted means m.

    With it the weighted loss with a constant, ``1/2 sum_i s_i (y_i - x_i'w - b)^2``, is
    ``1/2 ||z - Z w||^2 + 1/2 total (my - m'w - b)^2``, where z is the target treated likewise.

    Attributes
    ----------
    matrix : Matrix, shape (n, d)
        Z itself; for sparse X with a constant, Z without its rank-one part ``- root mean'``.
    mean : array or None, shape (d,)
        m, where there is a constant.
    root : array or None, shape (n,)
        ``sqrt(s)``; None where all weights are 1 and there is no constant.
    total : float
        Sum of the weights.
    sq_norms, norms : array, shape (d,)
        Of the columns of Z.
    implicit : bool
        Whether the rank-one part is kept apart.
    """

    matrix: Matrix
    mean: Array | None
    root: Array | None
    total: float
    sq_norms: Array
    norms: Array
    implicit: bool

    def product(self, w: Array) -> Array:
        """``Z w``."""
        out = self.matrix.matvec(w)
        if self.implicit:
            out -= self.root * float(self.mean @ w)  # type: ignore[operator]
        return out

    def adjoint(self, r: Array) -> Array:
        """``Z' r``."""
        out = self.matrix.rmatvec(r)
        if self.implicit:
            out -= self.mean * float(self.root @ r)  # type: ignore[operator]
        return out

    def columns(self, chosen: NDArray[np.intp]) -> Array:
        """The chosen columns of Z as a dense array that the caller may change."""
        out = self.matrix.columns(chosen).toarray()
        if self.implicit:
            out -= np.outer(self.root, self.mean[chosen])  # type: ignore[arg-type, index]
        return out

    def gram(self) -> Array:
        """``Z'Z``, dense and read-only."""
        mean = self.mean
        if not self.implicit or mean is None:
            return self.matrix.gram()

        def build() -> Array:
            return frozen(np.subtract(self.matrix.gram(), self.total * np.outer(mean, mean)))

        return self.matrix.fact("centred gram", build)

    def target(self, y: Array) -> tuple[Array, float]:
        """``z = sqrt(s) (y - my)`` and ``my`` (0 where there is no constant)."""
        if self.root is None:
            return y, 0.0
        mean = 0.0
        if self.mean is not None:
            weights = self.root * self.root
            mean = float(weights @ y) / self.total
            mean += float(weights @ (y - mean)) / self.total  # the first mean is off by its sum's
        return frozen(self.root * (y - mean)), mean

    def spectral_norm(self) -> float:
        """Upper bound of ``||Z||``, within 1e-6 unless the rank-one part is kept apart."""
        return self.matrix.spectral_norm()


def frozen(array: Array) -> Array:
    """Set an array read-only and return it."""
    array.flags.writeable = False
    return array


def design_of(X: Matrix, sample_weight: Array | None, intercept: bool) -> Design:
    """Return the design of X for these weights, built once per matrix.

    Dense data with weights or a constant are copied; sparse data with weights alone too, and with
    a constant they are never made dense.
    """
    key = None if sample_weight is None else hashlib.sha256(sample_weight.tobytes()).hexdigest()
    return X.fact(("design", intercept, key), lambda: _build(X, sample_weight, intercept))


def _build(X: Matrix, sample_weight: Array | None, intercept: bool) -> Design:
    n = X.shape[0]
    if sample_weight is None and not intercept:
        sq_norms = X.column_sq_norms()
        return Design(X, None, None, float(n), sq_norms, frozen(np.sqrt(sq_norms)), False)
    weights = np.ones(n) if sample_weight is None else sample_weight
    total, root = float(weights.sum()), frozen(np.sqrt(weights))
    if X.is_sparse:
        return _sparse(X, weights, root, total, intercept)
    mean = None
    if intercept:
        mean = (weights @ X.dense) / total
        Z = X.dense - mean
        mean += (weights @ Z) / total  # a second time: constant columns become exactly zero
        np.subtract(X.dense, frozen(mean), out=Z)
    else:
        Z = X.toarray()
    if sample_weight is not None:
        Z *= root[:, None]
    matrix = Matrix((n, Z.shape[1]), dense=frozen(Z))
    sq_norms = matrix.column_sq_norms()
    return Design(matrix, mean, root, total, sq_norms, frozen(np.sqrt(sq_norms)), False)


def _sparse(X: Matrix, weights: Array, root: Array, total: float, intercept: bool) -> Design:
    from scipy.sparse import csc_array

    indptr, indices, data = X.csc
    scaled = csc_array((data * root[indices], indices, indptr), shape=X.shape)
    matrix = Matrix.of(scaled, "X") if np.any(weights != 1.0) else X
    raw = matrix.column_sq_norms()
    if not intercept:
        return Design(matrix, None, root, total, raw, frozen(np.sqrt(raw)), False)
    mean = X.rmatvec(weights) / total
    column = np.repeat(np.arange(X.shape[1]), np.diff(indptr))
    # Entries that are there, and the zeros: no difference of two large numbers.
    there = np.bincount(column, weights[indices] * (data - mean[column]) ** 2, minlength=X.shape[1])
    share = np.bincount(column, weights[indices], minlength=X.shape[1])
    sq_norms = there + mean * mean * np.maximum(total - share, 0.0)
    sq_norms[sq_norms <= (8 * ROUNDING) ** 2 * raw] = 0.0  # constant to rounding
    return Design(
        matrix, frozen(mean), root, total, frozen(sq_norms), frozen(np.sqrt(sq_norms)), True
    )
