"""Instances on which rules of block coordinate descent are compared, drawn as published.

Least squares and logistic regression on features of very different size, labels on a lattice and
on two moons (arXiv:1712.08859).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fejer.problems.sparse.box_least_squares import BoxLeastSquares
from fejer.problems.sparse.label_propagation import LabelPropagation
from fejer.problems.sparse.sparse_logistic import SparseLogistic
from fejer.problems.sparse.sparse_multinomial import SparseMultinomial

__all__ = [
    "edge_squares",
    "lattice_labels",
    "moon_labels",
    "nonnegative_squares",
    "scaled_classes",
    "scaled_logistic",
    "scaled_squares",
]


def _features(n: int, p: int, seed: int) -> tuple[NDArray[Any], NDArray[Any], Any]:
    """Columns of very different size, a few entries each, and a sparse signal."""
    draws = np.random.RandomState(seed)  # the generator of the published experiments
    A = draws.randn(n, p) + 1.0
    A *= 10.0 * draws.randn(p)
    A *= draws.rand(n, p) < 10.0 * np.log(n) / n
    w = draws.randn(p) * (draws.rand(p) < 0.1)
    return A, w, draws


def scaled_squares(n: int = 1000, p: int = 10_000, *, seed: int = 1) -> BoxLeastSquares:
    """Draw least squares whose columns differ in size.

    Parameters
    ----------
    n, p : int
        Samples and features.
    seed : int, default 1
        Seed of the generator.

    Examples
    --------
    >>> scaled_squares(50, 80).lower
    -inf
    """
    A, w, draws = _features(n, p, seed)
    return BoxLeastSquares(A, A @ w + draws.randn(n), lower=-np.inf)


def nonnegative_squares(
    n: int = 1000, p: int = 10_000, lam: float = 50_000.0, *, seed: int = 1
) -> BoxLeastSquares:
    """Draw the same data with ``w >= 0`` and a linear penalty.

    Parameters
    ----------
    n, p : int
        Samples and features.
    lam : float
        Weight of the penalty.
    seed : int, default 1
        Seed of the generator.

    Examples
    --------
    >>> nonnegative_squares(50, 80, 10.0).lam
    10.0
    """
    A, w, draws = _features(n, p, seed)
    return BoxLeastSquares(A, A @ w + draws.randn(n), lam)


def scaled_logistic(n: int = 1000, p: int = 10_000, *, seed: int = 1) -> SparseLogistic:
    """Draw the same features with noisy labels, without a penalty.

    Parameters
    ----------
    n, p : int
        Samples and features.
    seed : int, default 1
        Seed of the generator.

    Examples
    --------
    >>> scaled_logistic(50, 80).lam
    0.0
    """
    A, w, draws = _features(n, p, seed)
    y = np.sign(A @ w) * np.sign(draws.rand(n) - 0.1)
    return SparseLogistic(A, np.where(y == 0, 1.0, y), 0.0)


def scaled_classes(
    n: int = 1000, p: int = 1000, n_classes: int = 50, *, seed: int = 1
) -> SparseMultinomial:
    """Draw the same features with noisy classes, without a penalty.

    Parameters
    ----------
    n, p, n_classes : int
        Samples, features and classes.
    seed : int, default 1
        Seed of the generator.

    Examples
    --------
    >>> scaled_classes(60, 20, 3).n_classes
    3
    """
    A, _, draws = _features(n, p, seed)
    y = np.argmax(A @ draws.randn(p, n_classes) + draws.randn(n, n_classes), axis=1)
    y = np.unique(y, return_inverse=True)[1].reshape(-1)  # a class that nobody is in is none
    labels: Any = y
    return SparseMultinomial(A, labels, 0.0)


def edge_squares(problem: LabelPropagation) -> BoxLeastSquares:
    """Return labels on a graph as least squares with one row for each edge.

    The same objective up to a constant, in a form that takes blocks of any kind.

    Parameters
    ----------
    problem : LabelPropagation
        Graph and labels.

    Examples
    --------
    >>> labels = lattice_labels(10, 5)
    >>> edge_squares(labels).X.shape[1] == labels.size
    True
    """
    from scipy.sparse import csc_array, triu

    edges: Any = triu(problem.graph.native, 1).tocoo()
    at = np.cumsum(problem.unknown) - 1
    known = np.where(problem.unknown, 0.0, np.nan_to_num(problem.labels))
    root = np.sqrt(edges.data)
    rows = np.arange(root.size)
    inner = [(end, sign) for end, sign in ((edges.row, 1.0), (edges.col, -1.0))]
    parts = [(problem.unknown[end], end, sign) for end, sign in inner]
    data = np.concatenate([sign * root[free] for free, _, sign in parts])
    index = np.concatenate([rows[free] for free, _, _ in parts])
    column = np.concatenate([at[end[free]] for free, end, _ in parts])
    X = csc_array((data, (index, column)), shape=(root.size, int(problem.unknown.sum())))
    y = root * (known[edges.col] - known[edges.row])
    there = np.diff(X.tocsr().indptr) > 0
    return BoxLeastSquares(X.tocsr()[there], y[there], lower=-np.inf)


def lattice_labels(size: int = 50, known: int = 100, *, seed: int = 1) -> LabelPropagation:
    """Return a square lattice with heavy edges and a few labelled nodes.

    Parameters
    ----------
    size : int
        Nodes along a side.
    known : int
        Labelled nodes.
    seed : int, default 1
        Seed of the generator.

    Examples
    --------
    >>> lattice_labels(10, 5).size
    95
    """
    from scipy.sparse import csr_array

    draws = np.random.RandomState(seed)
    nodes = np.arange(size * size).reshape(size, size)
    ends = [(nodes[1:].ravel(), nodes[:-1].ravel()), (nodes[:, 1:].ravel(), nodes[:, :-1].ravel())]
    row = np.concatenate([a for pair in ends for a in pair])
    column = np.concatenate([a for pair in ends for a in pair[::-1]])
    graph = csr_array((np.full(row.size, 1e5), (row, column)), shape=(size**2, size**2))
    labels = np.full(size * size, np.nan)
    chosen = draws.choice(size * size, known, replace=False)
    labels[chosen] = 10.0 * draws.randn(known)
    return LabelPropagation(graph, labels)


def moon_labels(n: int = 2000, known: int = 100, *, seed: int = 1) -> LabelPropagation:
    """Draw two moons, join each point to its five nearest, label some by their moon.

    Parameters
    ----------
    n : int
        Points.
    known : int
        Labelled points, and one more in each part of the graph that would have none.
    seed : int, default 1
        Seed of the generator.

    Examples
    --------
    >>> moon_labels(200, 20).size <= 180
    True
    """
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components
    from scipy.spatial import cKDTree

    draws = np.random.RandomState(seed)
    first = draws.rand(n) < 0.5
    angle = np.pi * draws.rand(n)
    points = np.where(
        first[:, None],
        np.column_stack([np.cos(angle), np.sin(angle)]),
        np.column_stack([1.0 + np.cos(angle), 0.5 - np.sin(angle)]),
    )
    points += 0.2 * draws.randn(n, 2)
    tree: Any = cKDTree(points)
    near = tree.query(points, 6)[1][:, 1:]
    graph = csr_array((np.ones(5 * n), (np.repeat(np.arange(n), 5), near.ravel())), shape=(n, n))
    graph = graph.maximum(graph.T)
    labels = np.full(n, np.nan)
    chosen = draws.choice(n, known, replace=False)
    labels[chosen] = np.where(first[chosen], 1.0, 2.0)
    parts = connected_components(graph, directed=False)[1]
    for part in np.setdiff1d(parts, parts[chosen]):
        i = int(np.argmax(parts == part))
        labels[i] = 1.0 if first[i] else 2.0
    return LabelPropagation(graph, labels)
