"""Fixed points of maps that come from data."""

from __future__ import annotations

import numpy as np

from fejer.evidence import Array
from fejer.problems.monotone.fixed_point import FixedPoint

from .tables import diabetes

__all__ = ["nonnegative_regression", "rotations"]


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
