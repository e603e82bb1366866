"""Orders of directed graphs, scores of structural equations, and the gap on a given order."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fejer.evidence import Array

SMALLEST = 1e-6  # share of the smallest deviation that a noise level cannot fall below
NEAR = 1e-3  # relative excess of a slope up to which residuals are made feasible by a projection


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
    cut = _cut(X, R, allowed, lam, least, equal) if lam > 0 else None
    tried = (U,) if cut is None else (U, cut)
    norms = np.linalg.norm(R, axis=0)
    weights = np.abs(W).sum(axis=0)
    null = np.linalg.norm(X, axis=0) / np.sqrt(n)
    if equal:
        total = float(np.linalg.norm(R))
        sigma = max(total / np.sqrt(n * d), least)
        primal = total**2 / (2 * n * sigma) + d * sigma / 2 + lam * float(weights.sum())
        dual = max(float(_duals(X, V, allowed, lam, least, equal=True)[0]) for V in tried)
        scale = float(np.sqrt(d * np.sum(null**2)))
        scale = min(scale, max(primal, 1e-6 * scale)) or 1.0
        return Gap(float(primal), dual, float((primal - dual) / scale))
    sigmas = np.maximum(norms / np.sqrt(n), least)
    primals = norms**2 / (2 * n * sigmas) + sigmas / 2 + lam * weights
    duals = np.max([_duals(X, V, allowed, lam, least, equal=False) for V in tried], axis=0)
    scales = np.minimum(null, np.maximum(primals, 1e-6 * null))
    worst = float(np.max((primals - duals) / np.where(scales > 0, scales, 1.0)))
    return Gap(float(primals.sum()), float(duals.sum()), worst)


def _duals(
    X: Array, U: Array, allowed: np.ndarray, lam: float, least: float, *, equal: bool
) -> Array:
    """Return the dual value of each column, or of the sum, at residuals scaled into the set."""
    n, d = X.shape
    inverses, steep = _scales(X, U, allowed, least, equal)
    if lam > 0:
        inverses = np.maximum(inverses, (steep.max() if equal else steep) / lam)
    U = U / np.where(inverses > 0, inverses, 1.0)
    if equal:
        return np.array([float(np.sum(X * U)) + least / 2 * (d - n * float(np.sum(U**2)))])
    return np.asarray(np.sum(X * U, axis=0) + least / 2 * (1 - n * np.sum(U**2, axis=0)))


def _scales(
    X: Array, U: Array, allowed: np.ndarray, least: float, equal: bool
) -> tuple[Array, Array]:
    """Return n times the noise levels of residuals, and the steepest slope of each column."""
    n, d = X.shape
    sizes = np.linalg.norm(U, axis=0)
    if equal:
        sizes = np.full(d, np.linalg.norm(sizes) / np.sqrt(d))
    steep = np.where(allowed, np.abs(X.T @ U), 0.0).max(axis=0)
    return np.maximum(n * least, np.sqrt(n) * sizes), steep


def _cut(
    X: Array, R: Array, allowed: np.ndarray, lam: float, least: float, equal: bool
) -> Array | None:
    """Return residuals whose slopes exceed the penalty no longer, None where they hardly did.

    Rounding of strong weights leaves slopes a little too steep. To scale all residuals for that
    costs the dual value as much as they exceed; to move them within the span of the predecessors,
    so that just those slopes are cut, costs its square.
    """
    levels, steep = _scales(X, R, allowed, least, equal)
    if not 0.0 < float((steep - lam * levels).max()) <= NEAR * lam * float(levels.max()):
        return None
    U, G, slopes = R.copy(), X.T @ X, X.T @ R
    sizes = np.sqrt(np.diagonal(G))
    for j in np.flatnonzero(steep > lam * levels):
        A = np.flatnonzero(allowed[:, j])
        limit = lam * levels[j]
        excess = (slopes[A, j] - np.clip(slopes[A, j], -limit, limit)) / sizes[A]
        try:
            moved = np.linalg.solve(G[np.ix_(A, A)] / np.outer(sizes[A], sizes[A]), excess)
        except np.linalg.LinAlgError:
            continue
        U[:, j] -= X[:, A] @ (moved / sizes[A])
    return U if np.isfinite(U).all() else None
