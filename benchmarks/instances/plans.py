"""Instances on which published methods for sparse transport plans were shown."""

from __future__ import annotations

from typing import Any

import numpy as np

from fejer.benchmarks.instances.transport import instance
from fejer.errors import missing
from fejer.evidence import Array
from fejer.problems.transport.entropic_ot import EntropicOT
from fejer.problems.transport.exact_ot import ExactOT
from fejer.problems.transport.point_cloud import PointCloud
from fejer.problems.transport.quadratic_ot import QuadraticOT
from fejer.problems.transport.sparse_ot import SparseOT

__all__ = [
    "colours",
    "digits",
    "exact",
    "experts",
    "generated",
    "images",
    "limited_colours",
    "limited_digits",
    "mixtures",
    "quadratic",
    "sparse",
]

FLOOR = 1e-3  # share of the brightest pixel that every pixel has, so that no weight is 0


def generated(kind: str, n: int, eta: float, seed: int = 0) -> EntropicOT:
    """Return entropic transport with costs up to 1 and ``eps = 1 / eta``.

    Parameters
    ----------
    kind : str
        As for `fejer.benchmarks.instances.transport.instance`.
    n : int
        Number of atoms on each side.
    eta : float
        Inverse of the weight of the entropy.
    seed : int, default 0
        Seed of the generator.

    Examples
    --------
    >>> generated("lap", 20, 100.0).epsilon
    0.01
    """
    return EntropicOT(*instance(kind, n, seed), eps=1.0 / eta)


def digits(eta: float, cost: str = "sqeuclidean", seed: int = 0) -> EntropicOT:
    """Return transport between two images of written digits, 8 by 8 pixels.

    Parameters
    ----------
    eta : float
        Inverse of the weight of the entropy; the largest cost is 1.
    cost : {"sqeuclidean", "l1"}, default "sqeuclidean"
        Cost between pixels.
    seed : int, default 0
        Which pair of images.

    Examples
    --------
    >>> digits(100.0).a.size
    64
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise missing("scikit-learn", "images of digits", "demo") from None
    images: Any = load_digits().images
    pair = np.random.default_rng(seed).choice(len(images), 2, replace=False)
    a, b = (images[i].ravel() + FLOOR * images[i].max() for i in pair)
    points = np.indices((8, 8)).reshape(2, -1).T.astype(float)
    costs = PointCloud(points, points, cost).toarray()
    return EntropicOT(a / a.sum(), b / b.sum(), costs / costs.max(), eps=1.0 / eta)


def images(side: int, eta: float, cost: str = "sqeuclidean", seed: int = 0) -> EntropicOT:
    """Return transport between two images of five bumps.

    Parameters
    ----------
    side : int
        Pixels along an edge.
    eta : float
        Inverse of the weight of the entropy; the largest cost is 1.
    cost : {"sqeuclidean", "euclidean", "l1"}, default "sqeuclidean"
        Cost between pixels.
    seed : int, default 0
        Seed of the generator.

    Examples
    --------
    >>> images(5, 100.0, "euclidean").a.size
    25
    """
    a, b, _ = instance("grid", side * side, seed)
    points = np.indices((side, side)).reshape(2, -1).T.astype(float)
    costs = PointCloud(points, points, cost).toarray()
    return EntropicOT(a, b, costs / costs.max(), eps=1.0 / eta)


def mixtures(n: int, eta: float, power: float = 2.0, seed: int = 0) -> EntropicOT:
    """Return transport between mixtures of three bell curves on the unit interval.

    Parameters
    ----------
    n : int
        Number of places.
    eta : float
        Inverse of the weight of the entropy; the largest cost is 1.
    power : float, default 2
        Cost ``|x - y|^power``.
    seed : int, default 0
        Seed of the generator.

    Examples
    --------
    >>> float(mixtures(50, 100.0, 1.0).cost.max())
    1.0
    """
    rng = np.random.default_rng(seed)
    line = np.linspace(0.0, 1.0, n)

    def mixture() -> Array:
        centers, widths = rng.uniform(0.1, 0.9, 3), rng.uniform(0.03, 0.1, 3)
        curves = rng.uniform(0.2, 1.0, 3) * np.exp(-(((line[:, None] - centers) / widths) ** 2) / 2)
        weights = curves.sum(axis=1) + FLOOR
        return np.asarray(weights / weights.sum())

    return EntropicOT(mixture(), mixture(), np.abs(line[:, None] - line) ** power, eps=1.0 / eta)


def exact(kind: str, n: int, seed: int = 0) -> ExactOT:
    """Return transport without regularisation.

    Parameters
    ----------
    kind, n, seed
        As for `generated`.

    Examples
    --------
    >>> exact("pc2", 10).a.size
    10
    """
    return ExactOT(*instance(kind, n, seed))


def quadratic(kind: str, n: int, gamma: float, seed: int = 0) -> QuadraticOT:
    """Return transport with a quadratic term.

    Parameters
    ----------
    kind, n
        As for `generated`.
    gamma : float
        Weight of the quadratic term; the largest cost is 1.
    seed : int, default 0
        Seed of the generator.

    Examples
    --------
    >>> quadratic("pc2", 10, 1.0).gamma
    1.0
    """
    return QuadraticOT(*instance(kind, n, seed), gamma=gamma)


def colours(gamma: float, cells: int = 8) -> QuadraticOT:
    """Return the transport of the colours of two photographs, with a quadratic term.

    Parameters
    ----------
    gamma : float
        Weight of the quadratic term.
    cells : int, default 8
        As for `fejer.benchmarks.instances.pictures.palette`.

    Examples
    --------
    >>> colours(1.0, cells=4).a.size
    37
    """
    from fejer.benchmarks.instances.pictures import colour_transport

    entropic = colour_transport(cells=cells)
    return QuadraticOT(entropic.a, entropic.b, entropic.cost, gamma=gamma)


def sparse(kind: str, n: int, gamma: float, k: int, seed: int = 0) -> SparseOT:
    """Return transport with a quadratic term and at most k entries in a row.

    Parameters
    ----------
    kind, n
        As for `generated`.
    gamma : float
        Weight of the quadratic term; the largest cost is 1.
    k : int
        Largest number of entries of a row.
    seed : int, default 0
        Seed of the generator.

    Examples
    --------
    >>> sparse("pc2", 10, 1.0, 3).k
    3
    """
    return SparseOT(*instance(kind, n, seed), gamma=gamma, k=k)


def limited_digits(gamma: float, k: int, seed: int = 0) -> SparseOT:
    """Return two images of digits as distributions, with at most k entries in a row.

    Parameters
    ----------
    gamma : float
        Weight of the quadratic term, times the number of pixels; the largest cost is 1.
    k : int
        Largest number of entries of a row.
    seed : int, default 0
        Which pair of images.

    Examples
    --------
    >>> limited_digits(0.1, 8).k
    8
    """
    data = digits(1.0, seed=seed)
    return SparseOT(data.a, data.b, data.cost, gamma=gamma * data.a.size, k=k)


def limited_colours(gamma: float, k: int, cells: int = 6) -> SparseOT:
    """Return the colours of two photographs, with at most k entries in a row.

    Parameters
    ----------
    gamma : float
        Weight of the quadratic term.
    k : int
        Largest number of entries of a row.
    cells : int, default 6
        As for `fejer.benchmarks.instances.pictures.palette`.

    Examples
    --------
    >>> limited_colours(1.0, 8, 4).k
    8
    """
    data = colours(gamma, cells)
    return SparseOT(data.a, data.b, data.cost, gamma=gamma, k=k)


def experts(
    tokens: int, experts: int, room: float = 1.0, gamma: float = 0.1, seed: int = 0
) -> SparseOT:
    """Return the routing of patches of digits to experts, each with room for some of them.

    Rows are experts and have at most ``room * tokens / experts`` entries. Scores are inner products
    of patches and random directions; the cost is their negative, scaled to [0, 1]. With room 1
    every feasible plan is a balanced assignment.

    Parameters
    ----------
    tokens : int
        Number of patches of 4 by 4 pixels.
    experts : int
        Number of experts, a divisor of tokens.
    room : float, default 1
        Entries that a row may have, relative to an equal share.
    gamma : float, default 0.1
        Weight of the quadratic term.
    seed : int, default 0
        Seed of the generator.

    Examples
    --------
    >>> experts(32, 4).k
    8
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise missing("scikit-learn", "images of digits", "demo") from None
    rng = np.random.default_rng(seed)
    images: Any = load_digits().images
    patches = images.reshape(-1, 2, 4, 2, 4).swapaxes(2, 3).reshape(-1, 16)
    patches = patches[rng.choice(len(patches), tokens, replace=False)]
    scores = rng.normal(size=(experts, 16)) @ patches.T
    cost = (scores.max() - scores) / (scores.max() - scores.min())
    share = tokens // experts
    weights = np.full(experts, float(share)), np.ones(tokens)
    return SparseOT(*weights, cost, gamma=gamma, k=int(room * share))
