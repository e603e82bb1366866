"""Orders of directed graphs, scores of structural equations, and the gap on a given order."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fejer.evidence import Array

SMALLEST = 1e-6  # share of the smallest deviation that a noise level cannot fall below


class Gap(NamedTuple):
    """Primal and dual values, and the largest relative gap of a column."""

    primal: float
    dual: float
    relative: float


def topological_order(W: Array) -> np.ndarray | None:
    """Return an order of the nodes along the edges, the first free node first; None if cyclic."""
    left = W != 0
    free = np.ones(len(W), dtype=bool)
    order = []
    for _ in range(len(W)):
        roots = np.flatnonzero(free & ~left.any(axis=0))
        if roots.size == 0:
            return None
        node = int(roots[0])
        order.append(node)
        free[node] = False
        left[node] = False
    return np.array(order)


def is_order(order: Array, W: Array) -> bool:
    """Whether `order` is a permutation along which all edges point forwards."""
    d = len(W)
    if not np.array_equal(np.sort(order), np.arange(d)):
        return False
    place = np.empty(d)
    place[order.astype(int)] = np.arange(d)
    start, end = np.nonzero(W)
    return bool((place[start] < place[end]).all())


def before(order: np.ndarray) -> np.ndarray:
    """Return the mask of all edges that an order allows."""
    place = np.empty(order.size, dtype=int)
    place[order] = np.arange(order.size)
    return place[:, None] < place[None, :]


def acyclic(W: Array, threshold: float) -> Array:
    """Drop weights up to a threshold, then the smallest ones until no cycle is left."""
    kept = np.where(np.abs(W) > threshold, W, 0.0)
    np.fill_diagonal(kept, 0.0)
    start, end = np.nonzero(kept)
    for k in np.argsort(np.abs(kept[start, end]), kind="stable"):
        if topological_order(kept) is not None:
            break
        kept[start[k], end[k]] = 0.0
    return kept


def conditional_gap(
    X: Array, W: Array, allowed: np.ndarray, lam: float, least: float, equal: bool
) -> Gap:
    """Return the duality gap of the concomitant lasso that remains when the order is given.

    Parameters
    ----------
    X : array, shape (n, d)
        Centred data.
    W : array, shape (d, d)
        Weights, 0 where not allowed.
    allowed : array of bool, shape (d, d)
        Edges of the order.
    lam : float
        Penalty.
    least : float
        Smallest noise level.
    equal : bool
        One noise level for all nodes.

    Returns
    -------
    Gap
        Of the sum, and the largest of a column (of the sum for equal noise) over its scale.
    """
    n, d = X.shape
    R = X - X @ W
    U = R
    if lam == 0.0:  # nothing but residuals that no predecessor explains is dual feasible
        U = np.empty_like(R)
        for j in range(d):
            A = X[:, allowed[:, j]]
            U[:, j] = (
                R[:, j] - A @ np.linalg.lstsq(A, R[:, j], rcond=None)[0] if A.size else R[:, j]
            )
    norms = np.linalg.norm(R, axis=0)
    steep = np.where(allowed, np.abs(X.T @ R), 0.0).max(axis=0)
    weights = np.abs(W).sum(axis=0)
    null = np.linalg.norm(X, axis=0) / np.sqrt(n)
    if equal:
        total = float(np.linalg.norm(R))
        sigma = max(total / np.sqrt(n * d), least)
        primal = total**2 / (2 * n * sigma) + d * sigma / 2 + lam * float(weights.sum())
        inverse = max(n * least, np.sqrt(n / d) * float(np.linalg.norm(U)))
        inverse = max(inverse, float(steep.max()) / lam) if lam > 0 else inverse
        U = U / inverse if inverse > 0 else U
        dual = float(np.sum(X * U)) + least / 2 * (d - n * float(np.sum(U**2)))
        scale = float(np.sqrt(d * np.sum(null**2)))
        scale = min(scale, max(primal, 1e-6 * scale)) or 1.0
        return Gap(float(primal), dual, float((primal - dual) / scale))
    sigmas = np.maximum(norms / np.sqrt(n), least)
    primals = norms**2 / (2 * n * sigmas) + sigmas / 2 + lam * weights
    inverses = np.maximum(n * least, np.sqrt(n) * np.linalg.norm(U, axis=0))
    inverses = np.maximum(inverses, steep / lam) if lam > 0 else inverses
    U = U / np.where(inverses > 0, inverses, 1.0)
    duals = np.sum(X * U, axis=0) + least / 2 * (1 - n * np.sum(U**2, axis=0))
    scales = np.minimum(null, np.maximum(primals, 1e-6 * null))
    worst = float(np.max((primals - duals) / np.where(scales > 0, scales, 1.0)))
    return Gap(float(primals.sum()), float(duals.sum()), worst)
