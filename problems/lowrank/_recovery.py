"""What the entries say of those that were not observed: four levels, for exact fits.

The judgement speaks of ``X = U V'`` of rank c, the number of its singular values that count. A row
with fewer than c entries can be completed in infinitely many ways, and so can two parts of a matrix
that share no entry: such rows, columns and pairs are found by counting. What remains is locally
unique if the map from tangent vectors ``A V' + U B'`` to their observed entries is injective; its
distance from that is measured with both Gram blocks scaled to the identity.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fejer.evidence import Array
from fejer.jit import kernel
from fejer.numerics.compressed import Compressed
from fejer.numerics.krylov import cg, largest_eigenvalue

from ._entries import Residual, both_orders, normal_part, predict
from ._factors import Spectrum

EXACT, RIGID, WORST_CONDITION = 1e-5, 1e-3, 1e6
MOST_PARTS, LARGEST_DUAL = 50, 2_000_000


class Study(NamedTuple):
    """Rank, level, and the part of each row and column (-1: of no part that is determined)."""

    rank: int
    level: int
    row_part: NDArray[np.int64]
    col_part: NDArray[np.int64]


def study(
    by_row: Compressed, shape: tuple[int, int], found: Spectrum, fit: float, value: float
) -> Study:
    """Judge the matrix that `found` decomposes; fit and value come from its certificate."""
    m, n = shape
    s = found.values
    rank = int((s > max(1e-6, 10 * fit) * s[0]).sum()) if s[0] > 0 else 0
    undetermined = np.full(m, -1), np.full(n, -1)
    rows = np.repeat(np.arange(m), np.diff(by_row.indptr))
    cols = by_row.indices.astype(np.int64)
    first = np.concatenate([[True], (np.diff(rows) != 0) | (np.diff(cols) != 0)])
    rows, cols = rows[first], cols[first]
    if rank == 0:
        return Study(0, 1 if value <= EXACT else 0, *undetermined)
    row_part, col_part, parts = determined_parts(rows, cols, shape, rank)
    whole = parts == 1 and row_part.min() == col_part.min() == 0
    level = 1 if whole and rows.size >= rank * (m + n - rank) else 0
    if fit > min(EXACT, max(10 * value, 1e-7)) or parts > MOST_PARTS:
        return Study(rank, level, *undetermined)
    left, right = found.left[:, :rank], found.right[:, :rank]
    for part in range(parts):
        inside = row_part[rows] == part
        inside &= col_part[cols] == part
        if not rigid(rows[inside], cols[inside], row_part == part, col_part == part, left, right):
            row_part[row_part == part] = -1
            col_part[col_part == part] = -1
    if level and (row_part == 0).all() and (col_part == 0).all():
        level = 2
        if rows.size <= LARGEST_DUAL and unique_minimum(rows, cols, shape, left, right):
            level = 3
    return Study(rank, level, row_part, col_part)


def determined_parts(
    rows: NDArray[np.int64], cols: NDArray[np.int64], shape: tuple[int, int], rank: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """Number the connected parts in which every row and column has at least ``rank`` entries.

    Rows and columns with fewer are taken away, which takes entries of others, until none is left.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    m, n = shape
    while True:
        row_degree, col_degree = np.bincount(rows, minlength=m), np.bincount(cols, minlength=n)
        kept = (row_degree[rows] >= rank) & (col_degree[cols] >= rank)
        if kept.all():
            break
        rows, cols = rows[kept], cols[kept]
    graph = coo_array((np.ones(rows.size), (rows, m + cols)), shape=(m + n, m + n))
    _, labels = connected_components(graph, directed=False)
    present = np.concatenate([row_degree, col_degree]) > 0
    part = np.full(m + n, -1)
    names, part[present] = np.unique(labels[present], return_inverse=True)
    return part[:m], part[m:], names.size


def rigid(
    rows: NDArray[np.int64],
    cols: NDArray[np.int64],
    row_mask: NDArray[np.bool_],
    col_mask: NDArray[np.bool_],
    left: Array,
    right: Array,
) -> bool:
    """Whether the entries fix the tangent vectors of one part, with a margin.

    ``1 - sigma^2 >= 1e-3``, sigma the largest singular value of the coupling between the scaled row
    and column blocks, apart from the rank^2 directions that only change the factors.
    """
    shape = int(row_mask.sum()), int(col_mask.sum())
    rank = left.shape[1]
    if rows.size < rank * (sum(shape) - rank):
        return False
    i, j = np.cumsum(row_mask)[rows] - 1, np.cumsum(col_mask)[cols] - 1
    by_row, by_col = both_orders(i.astype(np.int32), j.astype(np.int32), np.ones(i.size), shape)
    left, right = np.linalg.qr(left[row_mask])[0], np.linalg.qr(right[col_mask])[0]
    if shape[1] > shape[0]:  # work on the smaller side
        by_row, by_col, left, right, shape = by_col, by_row, right, left, shape[::-1]
    row_root = _roots(by_row, right)
    col_root = _roots(by_col, left)
    if row_root is None or col_root is None:
        return False
    T_inverse, S, S_inverse, G = row_root[1], col_root[0], col_root[1], col_root[2]
    m, n = shape
    outer = (right[:, :, None] * right[:, None, :]).reshape(n, -1)
    K = (G.reshape(n, -1).T @ outer).reshape(rank, rank, rank, rank)
    gauge: Array = K.transpose(0, 2, 1, 3).reshape(rank * rank, rank * rank)

    def off_gauge(z: Array) -> Array:
        Sz = np.einsum("jab,jb->ja", S, z)
        A = np.linalg.lstsq(gauge, (Sz.T @ right).ravel(), rcond=1e-12)[0].reshape(rank, rank)
        return z - np.einsum("jab,jb->ja", S, right @ A.T)

    def product(flat: Array) -> Array:
        z = off_gauge(flat.reshape(n, rank))
        upper, lower = np.empty((m, rank)), np.empty((n, rank))
        coupling(
            by_row.indptr, by_row.indices, left, right, np.einsum("jab,jb->ja", S_inverse, z), upper
        )
        upper = np.einsum("iab,ib->ia", T_inverse, np.einsum("iab,ib->ia", T_inverse, upper))
        coupling(by_col.indptr, by_col.indices, right, left, upper, lower)
        return off_gauge(np.einsum("jab,jb->ja", S_inverse, lower)).ravel()

    square, _ = largest_eigenvalue(product, n * rank, tol=1e-5, max_iter=100)
    return 1 - square >= RIGID


def _roots(order: Compressed, fixed: Array) -> tuple[Array, Array, Array] | None:
    """Roots, inverse roots and Gram blocks; None where one of them is nearly singular."""
    rank = fixed.shape[1]
    G = np.empty((order.indptr.size - 1, rank, rank))
    gram_blocks(order.indptr, order.indices, fixed, G)
    values, vectors = np.linalg.eigh(G)
    if not (values[:, 0] * WORST_CONDITION >= values[:, -1]).all() or not values[:, 0].min() > 0:
        return None
    turned = vectors.transpose(0, 2, 1)
    root = np.sqrt(values)[:, None, :]
    return (vectors * root) @ turned, (vectors / root) @ turned, G


@kernel
def gram_blocks(indptr, indices, fixed, out):
    """``out[i] = sum over the entries j of row i of fixed_j fixed_j'``."""
    out[:] = 0.0
    rank = fixed.shape[1]
    for i in range(indptr.size - 1):
        for t in range(np.uint32(indptr[i]), np.uint32(indptr[i + 1])):
            j = np.uint32(indices[t])
            for a in range(rank):
                for b in range(rank):
                    out[i, a, b] += fixed[j, a] * fixed[j, b]


@kernel
def coupling(indptr, indices, own, other, w, out):
    """``out[i] = sum over the entries j of row i of (own_i . w_j) other_j``."""
    out[:] = 0.0
    rank = own.shape[1]
    for i in range(indptr.size - 1):
        for t in range(np.uint32(indptr[i]), np.uint32(indptr[i + 1])):
            j = np.uint32(indices[t])
            total = 0.0
            for a in range(rank):
                total += own[i, a] * w[j, a]
            for a in range(rank):
                out[i, a] += total * other[j, a]


def unique_minimum(
    rows: NDArray[np.int64],
    cols: NDArray[np.int64],
    shape: tuple[int, int],
    left: Array,
    right: Array,
) -> bool:
    """Whether X is the only matrix of least nuclear norm with its observed entries.

    The least-squares dual certificate: ``Y = P P_T (P_T P P_T)^-1 left right'`` on the entries has
    ``P_T Y = left right'``; X is the unique minimum if its normal part is below 1.
    """
    m, n = shape
    rank = left.shape[1]
    left, right = np.ascontiguousarray(left), np.ascontiguousarray(right)
    indptr = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=m))]).astype(np.int32)
    place, indices = rows.astype(np.int32), cols.astype(np.int32)

    def split(z: Array) -> tuple[Array, Array]:
        # Tangent vectors A right' + left B' with left' A = 0: the coordinates are then unique.
        A, B = z[: m * rank].reshape(m, rank), z[m * rank :].reshape(n, rank)
        return A - left @ (left.T @ A), B

    def entries(z: Array) -> Array:
        A, B = split(z)
        first, second = np.empty(rows.size), np.empty(rows.size)
        predict(place, indices, A, right, first)
        predict(place, indices, left, B, second)
        return first + second

    def project(data: Array) -> Array:
        R_right, Rt_left = Residual((indptr, indices, data), data, shape).products(left, right)
        return np.concatenate([(R_right - left @ (left.T @ R_right)).ravel(), Rt_left.ravel()])

    target = np.concatenate([np.zeros(m * rank), right.ravel()])
    solved = cg(lambda z: project(entries(z)), target, tol=1e-10, max_iter=500)
    if solved.residual > 1e-9 * math.sqrt(rank):
        return False
    Y = entries(solved.x)
    return normal_part(Residual((indptr, indices, Y), Y, shape), left, right, 80).bound < 1 - 1e-6
