"""Observed entries of a matrix: both orderings, residuals, products, a bound of the normal part.

Kernels of problems and methods of this family. Sparse matrices are `Compressed` arrays; the
residual has the pattern of the entries ordered by row.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from fejer.evidence import Array
from fejer.jit import kernel
from fejer.numerics.compressed import Compressed, csc_matvec, csc_rmatvec, frozen
from fejer.numerics.krylov import lanczos

ROUNDING = 4 * 2.0**-53
DENSE_SIDE, DENSE_ENTRIES = 500, 4_000_000
FAILURE = 1e-13  # probability that a random start hides the leading pair from Lanczos


def both_orders(rows, cols, values, shape: tuple[int, int]) -> tuple[Compressed, Compressed]:
    """Sort the entries by (row, column) and by (column, row), in linear time.

    Returns
    -------
    tuple of Compressed
        Compressed rows, compressed columns; both sorted inside, duplicates kept.
    """
    by_col = _bucket_sort(cols, rows, values, shape[1])
    by_row = _bucket_sort(by_col[1], by_col[2], by_col[3], shape[0])
    back = _bucket_sort(by_row[1], by_row[2], by_row[3], shape[1])
    return (
        frozen(Compressed(by_row[0], by_row[1], by_row[3])),
        frozen(Compressed(back[0], back[1], back[3])),
    )


def _bucket_sort(key, other, value, size):
    """Starts of the buckets, and the entries ordered by key: (starts, other, key, value)."""
    starts = np.zeros(size + 1, dtype=np.int32)
    sorted_other, sorted_key = np.empty_like(other), np.empty_like(key)
    sorted_value = np.empty_like(value)
    bucket_sort(key, other, value, starts, sorted_other, sorted_key, sorted_value)
    return starts, sorted_other, sorted_key, sorted_value


@kernel
def bucket_sort(key, other, value, starts, sorted_other, sorted_key, sorted_value):
    """Order entries by key, keeping the order of equal keys; ``starts`` begins as zeros."""
    last = starts.size - 1
    for t in range(key.size):
        starts[key[t]] += 1
    total = 0
    for j in range(last + 1):
        count = starts[j]
        starts[j] = total
        total += count
    for t in range(key.size):
        place = starts[key[t]]
        starts[key[t]] += 1
        sorted_other[place] = other[t]
        sorted_key[place] = key[t]
        sorted_value[place] = value[t]
    for j in range(last, 0, -1):
        starts[j] = starts[j - 1]
    starts[0] = 0


@kernel
def residual(indptr, indices, data, U, V, out):
    """``out = data - (U V')`` on the entries; returns ``r'r, y'r, |r|'e, e'e``.

    ``e`` bounds the rounding error of each entry: 4 u times the moduli that are added.
    """
    square, product, first, second = 0.0, 0.0, 0.0, 0.0
    rank = U.shape[1]
    for i in range(indptr.size - 1):
        for t in range(np.uint32(indptr[i]), np.uint32(indptr[i + 1])):
            j = np.uint32(indices[t])
            total, moduli = 0.0, 0.0
            for l in range(rank):
                term = U[i, l] * V[j, l]
                total += term
                moduli += abs(term)
            r = data[t] - total
            error = 4 * 2.0**-53 * (moduli + abs(data[t]))
            out[t] = r
            square += r * r
            product += data[t] * r
            first += abs(r) * error
            second += error * error
    return square, product, first, second


@kernel
def both_products(indptr, indices, data, left, right, R_right, Rt_left):
    """``R_right = R right`` and ``Rt_left = R' left`` in one pass over a compressed-rows R."""
    Rt_left[:] = 0.0
    rank = left.shape[1]
    for i in range(indptr.size - 1):
        for l in range(rank):
            R_right[i, l] = 0.0
        for t in range(np.uint32(indptr[i]), np.uint32(indptr[i + 1])):
            j = np.uint32(indices[t])
            value = data[t]
            for l in range(rank):
                R_right[i, l] += value * right[j, l]
                Rt_left[j, l] += value * left[i, l]


@kernel
def pair_curvature(indptr, indices, u, v, left, right, out):
    """Row l of ``out``: ``||P(u v_l')||^2, ||P(u_l v')||^2, <P(u v_l'), P(u_l v')>``."""
    out[:] = 0.0
    rank = left.shape[1]
    for i in range(indptr.size - 1):
        for t in range(np.uint32(indptr[i]), np.uint32(indptr[i + 1])):
            j = np.uint32(indices[t])
            for l in range(rank):
                a = u[i] * right[j, l]
                b = left[i, l] * v[j]
                out[l, 0] += a * a
                out[l, 1] += b * b
                out[l, 2] += a * b


@kernel
def predict(rows, cols, U, V, out):
    """``out[t] = (U V')[rows[t], cols[t]]``."""
    for t in range(rows.size):
        total = 0.0
        for l in range(U.shape[1]):
            total += U[rows[t], l] * V[cols[t], l]
        out[t] = total


class Residual:
    """A sparse matrix with the pattern of the entries; products with vectors and factors."""

    def __init__(self, pattern: Any, data: Array, shape: tuple[int, int]) -> None:
        self.indptr, self.indices, self.data, self.shape = pattern[0], pattern[1], data, shape

    def matvec(self, v: Array) -> Array:
        out = np.empty(self.shape[0])
        csc_rmatvec(self.indptr, self.indices, self.data, v, out)
        return out

    def rmatvec(self, u: Array) -> Array:
        out = np.empty(self.shape[1])
        csc_matvec(self.indptr, self.indices, self.data, u, out)
        return out

    def products(self, left: Array, right: Array) -> tuple[Array, Array]:
        """Return ``R right`` and ``R' left``."""
        R_right, Rt_left = np.empty_like(left), np.empty_like(right)
        both_products(self.indptr, self.indices, self.data, left, right, R_right, Rt_left)
        return R_right, Rt_left

    def toarray(self) -> Array:
        """Form the matrix; entries at the same place add up."""
        dense = np.zeros(self.shape)
        rows = np.repeat(np.arange(self.shape[0]), np.diff(self.indptr))
        np.add.at(dense, (rows, self.indices), self.data)
        return dense

    @property
    def small(self) -> bool:
        """Whether a dense copy and its Gram matrix cost less than Lanczos."""
        m, n = self.shape
        return min(m, n) <= DENSE_SIDE and m * n <= DENSE_ENTRIES

    def norm(self) -> float:
        """Spectral norm from the smaller dense Gram matrix, rounded up."""
        dense = self.toarray()
        size = float(np.abs(dense).max(initial=0.0))
        if size == 0.0:
            return 0.0
        dense /= size
        gram = dense @ dense.T if self.shape[0] <= self.shape[1] else dense.T @ dense
        return size * math.sqrt(max(0.0, float(np.linalg.eigvalsh(gram)[-1]))) * (1 + 1e-12)


class NormalPart(NamedTuple):
    """Leading singular pair of ``(I - Q_U Q_U') R (I - Q_V Q_V')``.

    Attributes
    ----------
    value : float
        ``u' R v``: a lower bound of the norm.
    u, v : array
        Unit vectors of the normal space, or zeros.
    bound : float
        Upper bound of the norm, except with probability ``failure``.
    failure : float
    """

    value: float
    u: Array
    v: Array
    bound: float
    failure: float


def normal_part(R: Residual, left: Array, right: Array, steps: int) -> NormalPart:
    """Lanczos from a fixed Gaussian start on the smaller side of the normal part of R.

    A random start makes the Ritz value too small by a factor below ``1 - eps`` with probability at
    most ``1.65 sqrt(n) exp(-sqrt(eps) (2 steps - 1))`` (Kuczynski and Wozniakowski 1992), which
    gives the upper bound.
    """
    wide = R.shape[0] <= R.shape[1]
    small, large = (left, right) if wide else (right, left)
    forth, back = (R.rmatvec, R.matvec) if wide else (R.matvec, R.rmatvec)
    n = small.shape[0]
    nothing = NormalPart(0.0, np.zeros(R.shape[0]), np.zeros(R.shape[1]), 0.0, 0.0)

    def off(z: Array, Q: Array) -> Array:
        return z - Q @ (Q.T @ z)

    start = off(np.random.default_rng(0).standard_normal((n,)), small)
    if np.linalg.norm(start) <= 1e-12 * math.sqrt(n):  # the tangent space is everything
        return nothing

    def gram(z: Array) -> Array:
        return off(back(off(forth(off(z, small)), large)), small)

    diagonal, off_diagonal, basis = lanczos(gram, start, steps)
    T = np.diag(diagonal) + np.diag(off_diagonal[:-1], 1) + np.diag(off_diagonal[:-1], -1)
    values, vectors = np.linalg.eigh(T)
    z = off(basis @ vectors[:, -1], small)
    length = float(np.linalg.norm(z))
    other = off(forth(z), large)
    value = float(np.linalg.norm(other))
    if not (length > 0.0 and value > 0.0 and values[-1] > 0.0):
        return nothing
    z, other, value = z / length, other / value, value / length
    made = diagonal.size
    exhausted = made < steps or made == n
    eps = 0.0 if exhausted else (math.log(1.65 * math.sqrt(n) / FAILURE) / (2 * made - 1)) ** 2
    bound = math.inf if eps >= 1 else math.sqrt(values[-1] / (1 - eps)) * (1 + 1e-12)
    u, v = (z, other) if wide else (other, z)
    return NormalPart(value, u, v, max(bound, value), 0.0 if exhausted else FAILURE)


def leading_part(
    by_row: Compressed, shape: tuple[int, int], rank: int
) -> tuple[Array, Array, Array]:
    """Leading singular vectors and values of the entries, by two block power steps."""
    largest = float(np.abs(by_row.data).max()) or 1.0
    S = Residual(by_row, by_row.data / largest, shape)
    width = min(rank + 4, *shape)
    Y = np.random.default_rng(0).standard_normal((shape[1], width))
    nothing = np.zeros((shape[0], width))
    for _ in range(2):
        Y = np.linalg.qr(Y)[0]
        left = np.linalg.qr(S.products(nothing, Y)[0])[0]
        Y = S.products(left, np.zeros_like(Y))[1]
    right, core = np.linalg.qr(Y)
    A, values, Bt = np.linalg.svd(core.T)
    return (left @ A)[:, :rank], largest * values[:rank], (right @ Bt.T)[:, :rank]
