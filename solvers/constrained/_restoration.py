"""Steps towards the constraints, when steps on the KKT system lead nowhere."""

from __future__ import annotations

from typing import Any

import numpy as np

from fejer.evidence import Array
from fejer.problems.constrained import _oracle as oracle
from fejer.problems.constrained._equality import Equality

STATIONARY = 1e-7  # |G'c| / |c| at which the violation cannot be lowered further
LARGEST_DAMPING = 1e14
KICK = 1e-2


def damping(G: Any) -> float:
    """Return the first damping of the Levenberg-Marquardt steps."""
    dense = oracle.dense(G)
    return 1e-2 * max(1.0, float(np.abs(dense).max(initial=0.0)) ** 2)


def restoring_step(problem: Equality, x: Array, mu: float) -> tuple[Array, float, bool]:
    """Try ``x - G'(GG' + mu I)^-1 c``.

    Parameters
    ----------
    problem : Equality
        The problem.
    x : array, shape (n,)
        The point.
    mu : float
        The damping.

    Returns
    -------
    x : array
        The new point, or the old one where the violation did not fall.
    mu : float
        The next damping.
    stuck : bool
        Whether the violation is stationary, or no damping lowers it.
    """
    at = problem.at(x)
    c, G = at.constraint, at.constraint_jac
    violation = float(np.linalg.norm(c))
    steep = float(np.linalg.norm(oracle.times_transposed(G, c)))
    if steep <= STATIONARY * violation or not mu < LARGEST_DAMPING:
        return x, mu, True
    with np.errstate(all="ignore"):
        step = -oracle.times_transposed(G, _damped(G, mu, c))
        y = x + step
    if np.isfinite(y).all():
        moved = problem.at(y)
        if not moved.not_finite() and float(np.linalg.norm(moved.constraint)) < violation:
            return y, mu / 5, False
    return x, 4 * mu, False


def _damped(G: Any, mu: float, c: Array) -> Array:
    """Solve ``(G G' + mu I) w = c``."""
    if oracle.is_sparse(G):
        from scipy.sparse import csc_array, eye_array
        from scipy.sparse.linalg import spsolve

        return np.asarray(spsolve(csc_array(G @ G.T + mu * eye_array(c.size)), c))
    rows = oracle.dense(G)
    return np.asarray(np.linalg.solve(rows @ rows.T + mu * np.eye(c.size), c))


def kicked(x: Array, seed: int, count: int) -> Array:
    """Return a point near x, off the place where a Jacobian vanishes."""
    rng = np.random.default_rng([seed, count])
    size = KICK * max(1.0, float(np.abs(x).max()))
    return np.asarray(x + size * rng.standard_normal(x.size))
