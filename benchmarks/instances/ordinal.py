"""Ordered classes with a rare last one: as published, and a medical table cut into classes."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fejer.evidence import Array
from fejer.problems.sparse.ordinal_regression import OrdinalRegression

__all__ = ["Ordered", "cut_diabetes", "cut_diabetes_problem", "rare_classes", "rare_problem"]

THRESHOLDS = {"rare": (0.0, 3.0, 5.0), "rarer": (0.0, 3.5, 5.5), "rarest": (0.0, 4.0, 6.0)}


class Ordered(NamedTuple):
    """Features, ordered classes, and the true probabilities where they are known.

    Attributes
    ----------
    X : array, shape (n, p)
        Features.
    y : array of int, shape (n,)
        Classes.
    chances : array or None, shape (n, K)
        True probabilities.
    """

    X: Array
    y: Any
    chances: Array | None


def rare_classes(n: int = 2500, p: int = 10, kind: str = "rare", *, seed: int = 0) -> Ordered:
    """Draw features and classes of a model whose slopes differ sparsely (arXiv:2305.18700).

    Uniform features on [-1, 1]; slopes 0.5 with probability 1/3; differences of +-0.5 with the same
    probability; drawn again until all probabilities are positive.

    Parameters
    ----------
    n, p : int
        Samples and features.
    kind : {"rare", "rarer", "rarest"}, default "rare"
        Which published thresholds are used.
    seed : int, default 0
        Seed of the generator.

    Examples
    --------
    >>> rare_classes(200).chances.shape
    (200, 4)
    """
    rng = np.random.default_rng(seed)
    alpha = np.array(THRESHOLDS[kind])
    while True:
        X = rng.uniform(-1.0, 1.0, (n, p))
        psi = np.where(rng.random((3, p)) < 1 / 3, 0.5, 0.0)
        psi[1:] *= rng.choice([-1.0, 1.0], (2, p))
        below = 1.0 / (1.0 + np.exp(-(alpha + X @ np.cumsum(psi, axis=0).T)))
        ends = np.zeros((n, 1))
        chances = np.diff(np.hstack([ends, below, ends + 1.0]), axis=1)
        y = (rng.random((n, 1)) > np.cumsum(chances, axis=1)[:, :-1]).sum(axis=1)
        if (chances > 0).all() and np.unique(y).size == 4:
            return Ordered(X, y, chances)


def rare_problem(n: int = 2500, p: int = 10, ratio: float = 0.1, *, seed: int = 0) -> Any:
    """Make a problem of `rare_classes`.

    Parameters
    ----------
    n, p : int
        Samples and features.
    ratio : float
        ``lam`` over ``lam_max()``.
    seed : int, default 0
        Seed of the generator.

    Examples
    --------
    >>> rare_problem(200).n_classes
    4
    """
    data = rare_classes(n, p, seed=seed)
    problem = OrdinalRegression(data.X, data.y, 1.0)
    return problem.replace(lam=ratio * problem.lam_max())


def cut_diabetes() -> Ordered:
    """Return the diabetes table, its target cut at 50, 80 and 95 per cent.

    Examples
    --------
    >>> cut_diabetes().X.shape
    (442, 10)
    """
    from sklearn.datasets import load_diabetes

    table: Any = load_diabetes()
    X = (table.data - table.data.mean(axis=0)) / table.data.std(axis=0)
    cuts = np.quantile(table.target, (0.5, 0.8, 0.95))
    return Ordered(X, np.searchsorted(cuts, table.target), None)


def cut_diabetes_problem(ratio: float = 0.1) -> OrdinalRegression:
    """Make a problem of `cut_diabetes`.

    Parameters
    ----------
    ratio : float
        ``lam`` over ``lam_max()``.

    Examples
    --------
    >>> cut_diabetes_problem().n_classes
    4
    """
    data = cut_diabetes()
    problem = OrdinalRegression(data.X, data.y, 1.0)
    return problem.replace(lam=ratio * problem.lam_max())
