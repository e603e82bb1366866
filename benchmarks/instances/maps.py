"""Fixed points of maps that come from data."""

from __future__ import annotations

import numpy as np

from fejer.evidence import Array
from fejer.problems.monotone.fixed_point import FixedPoint

from .tables import diabetes

__all__ = [
    "douglas_rachford",
    "lasso",
    "logistic_descent",
    "nonnegative_regression",
    "reflected_resolvent",
    "rotations",
    "value_iteration",
]


def nonnegative_regression(products: bool = True) -> FixedPoint:
    """Return the projected gradient map of nonnegative least squares on the diabetes patients.

    ``T(w) = max(w - (G w - c) / L, 0)`` with ``G = X'X/n``, ``c = X'y/n`` and L the norm of G: a
    map that is averaged, piecewise affine, and slow where G is ill-conditioned.

    Parameters
    ----------
    products : bool, default True
        Products of features, too.

    Examples
    --------
    >>> nonnegative_regression(products=False).n
    10
    """
    X, y, _ = diabetes(products)
    gram, corr = X.T @ X / y.size, X.T @ y / y.size
    step = 1.0 / np.linalg.norm(gram, 2)

    def projected(w: Array) -> Array:
        return np.asarray(np.maximum(w - step * (gram @ w - corr), 0.0))

    # a projection after a gradient step of length 1/L is averaged with constant 2/3
    return FixedPoint(projected, corr.size, operator="averaged", factor=2.0 / 3.0)


def rotations(n: int = 50, smallest: float = 1e-2, *, seed: int = 0) -> FixedPoint:
    """Draw rotations of n planes about one point, by angles down to a small one.

    Parameters
    ----------
    n : int, default 50
        Planes; there are twice as many variables.
    smallest : float, default 0.01
        Smallest angle; they are geometric from there to 1.
    seed : int, default 0
        Seed of the generator.

    Returns
    -------
    FixedPoint
        A map that is nonexpansive and no more: iterating it does not converge.

    Examples
    --------
    >>> rotations(3).n
    6
    """
    from scipy.sparse import block_diag, csc_array

    angle = np.geomspace(smallest, 1.0, n)
    turn = [np.array([[np.cos(t), -np.sin(t)], [np.sin(t), np.cos(t)]]) for t in angle]
    A = csc_array(block_diag(turn))
    centre = np.random.default_rng(seed).standard_normal(2 * n)
    return FixedPoint.affine(A, centre - A @ centre)


def lasso(m: int = 300, n: int = 600, *, seed: int = 0) -> FixedPoint:
    """Draw the proximal gradient map of a lasso with 20 nonzero coefficients.

    Parameters
    ----------
    m, n : int, default 300 and 600
        Samples and features.
    seed : int, default 0
        Seed of the generator.

    Returns
    -------
    FixedPoint
        With the residual at 0 as scale.

    Examples
    --------
    >>> lasso(20, 30).n
    30
    """
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((m, n))
    truth = np.zeros(n)
    truth[rng.choice(n, 20 if n >= 40 else 2, replace=False)] = 1.0
    y = X @ truth + 0.1 * rng.standard_normal(m)
    step = 1.0 / float(np.linalg.norm(X, 2)) ** 2
    level = 0.1 * float(np.abs(X.T @ y).max())

    def shrunk(w: Array) -> Array:
        v = w - step * (X.T @ (X @ w - y))
        return np.asarray(np.sign(v) * np.maximum(np.abs(v) - step * level, 0.0))

    scale = float(np.linalg.norm(shrunk(np.zeros(n))))
    return FixedPoint(shrunk, n, operator="averaged", factor=2.0 / 3.0, scale=scale)


def value_iteration(states: int = 300, gamma: float = 0.995, *, seed: int = 0) -> FixedPoint:
    """Draw value iteration for a Markov decision process with 4 actions and dense transitions.

    Parameters
    ----------
    states : int, default 300
        States.
    gamma : float, default 0.995
        Discount.
    seed : int, default 0
        Seed of the generator.

    Returns
    -------
    FixedPoint
        A contraction in the maximum norm, with the residual at 0 as scale.

    Examples
    --------
    >>> value_iteration(10).n
    10
    """
    rng = np.random.default_rng(seed)
    P = rng.exponential(size=(4, states, states))
    P /= P.sum(axis=2, keepdims=True)
    reward = rng.uniform(size=(4, states))

    def bellman(v: Array) -> Array:
        return np.asarray((reward + gamma * (P @ v)).max(axis=0))

    return FixedPoint(bellman, states, scale=float(np.linalg.norm(reward.max(axis=0))))


def reflected_resolvent(n: int = 50, *, seed: int = 0) -> FixedPoint:
    """Draw the reflected resolvent of a bilinear saddle point: an isometry.

    Parameters
    ----------
    n : int, default 50
        Length of x and of y.
    seed : int, default 0
        Seed of the generator.

    Returns
    -------
    FixedPoint
        With the residual at 0 as scale.

    Examples
    --------
    >>> reflected_resolvent(3).n
    6
    """
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((n, n)) / np.sqrt(n)
    M = np.block([[np.zeros((n, n)), A.T], [-A, np.zeros((n, n))]])
    b = rng.standard_normal(2 * n)
    J = np.linalg.inv(np.eye(2 * n) + M)
    return FixedPoint.affine(
        2.0 * J - np.eye(2 * n), 2.0 * (J @ b), scale=2.0 * float(np.linalg.norm(J @ b))
    )


def logistic_descent(n: int = 50, *, seed: int = 0) -> FixedPoint:
    """Draw gradient descent on an ill-conditioned logistic regression.

    Parameters
    ----------
    n : int, default 50
        Features, of sizes from 1 down to 1/100.
    seed : int, default 0
        Seed of the generator.

    Returns
    -------
    FixedPoint
        With the residual at 0 as scale.

    Examples
    --------
    >>> logistic_descent(5).n
    5
    """
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((10 * n, n)) * np.geomspace(1.0, 1e-2, n)
    y = np.where(X @ rng.standard_normal(n) + rng.logistic(size=10 * n) > 0, 1.0, -1.0)
    step = 4.0 * y.size / float(np.linalg.norm(X, 2)) ** 2

    def descent(w: Array) -> Array:
        slope = -y / (1.0 + np.exp(np.clip(y * (X @ w), -700, 700)))
        return np.asarray(w - step * (X.T @ slope / y.size))

    scale = float(np.linalg.norm(descent(np.zeros(n))))
    return FixedPoint(descent, n, operator="averaged", factor=0.5, scale=scale)


def douglas_rachford(m: int = 30, n: int = 60, *, seed: int = 0) -> FixedPoint:
    """Draw the Douglas-Rachford map of a linear program in a box.

    ``min c'x`` with ``A x = b`` and x in the unit box, which is split from the rest.

    Parameters
    ----------
    m, n : int, default 30 and 60
        Rows and columns.
    seed : int, default 0
        Seed of the generator.

    Returns
    -------
    FixedPoint
        With the residual at 0 as scale.

    Examples
    --------
    >>> douglas_rachford(3, 6).n
    6
    """
    rng = np.random.default_rng(seed)
    A, c = rng.standard_normal((m, n)), rng.standard_normal(n)
    b = A @ rng.uniform(size=n)
    back = np.linalg.pinv(A)

    def map_(z: Array) -> Array:
        x = np.clip(z - c, 0.0, 1.0)
        v = 2.0 * x - z
        return np.asarray(z + v - back @ (A @ v - b) - x)

    scale = float(np.linalg.norm(map_(np.zeros(n))))
    return FixedPoint(map_, n, operator="averaged", factor=0.5, scale=scale)
