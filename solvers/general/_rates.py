"""Constants and right-hand sides of theorems on coordinate and proximal gradient descent.

All are in the scaling "sum", for ``F(w) = 1/2 ||z - Z w||^2 + sum l1_j |w_j| + 1/2 sum l2_j w_j^2``
over a box.  ``H = Z'Z + diag(l2)``, D is its diagonal, ``K = D^-1/2 H D^-1/2`` over the
coefficients that can move, mu the smallest eigenvalue of K.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fejer.evidence import Array
from fejer.problems.forms import QuadraticForm

from ._linear import squared
from ._smooth import smooth

__all__ = ["Constants", "constants", "distance", "excess", "radius", "sublinear"]


class Constants(NamedTuple):
    """What the bounds are made of.

    Attributes
    ----------
    d : int
        Number of coefficients.
    D : array
        Diagonal of H over the coefficients that can move.
    upper : float
        ``||U||^2``, U the strict upper triangle of K.
    off : float
        Sum of squares of U: a bound of ``||U||^2`` in each order of the coefficients.
    mu : float
        Smallest eigenvalue of K, 0 where it is not above rounding.
    mu_plain : float
        Smallest eigenvalue of H over them.
    moves : array of bool
        Which coefficients can move.
    """

    d: int
    D: Array
    upper: float
    off: float
    mu: float
    mu_plain: float
    moves: NDArray[np.bool_]


def constants(problem: Any) -> Constants:
    """Return the constants of a problem; kept with its form."""
    ready = squared(problem)
    memo = ready.form.__dict__
    if "_constants" not in memo:
        moves = (ready.curvature > 0) & (ready.form.lower < ready.form.upper)
        H = np.array(ready.design.gram())
        H[np.diag_indices_from(H)] = ready.curvature
        H = H[np.ix_(moves, moves)]
        D = np.diag(H).copy()
        K = H / np.sqrt(np.outer(D, D))
        U = np.triu(K, 1)
        upper = float(np.linalg.norm(U, 2) ** 2) if U.size else 0.0
        memo["_constants"] = Constants(
            ready.form.l1.size, D, upper, float(np.sum(U * U)), _least(K), _least(H), moves
        )
    return memo["_constants"]  # type: ignore[no-any-return]


def _least(A: Array) -> float:
    """Smallest eigenvalue, from below by a multiple of its rounding error."""
    if A.size == 0:
        return 1.0
    values = np.linalg.eigvalsh(A)
    return max(0.0, float(values[0] - 1e-14 * A.shape[0] * values[-1]))


def excess(problem: Any, x: Array, xstar: Array) -> float:
    """``F(x) - F(xstar)``, each with its best constant."""
    form: Any = problem.form()
    if isinstance(form, QuadraticForm):
        # The solution of a free quadratic is exact: the difference is a square, without cancelling.
        step = x - xstar
        g = form.matrix.matvec(xstar) - form.b
        penalty = form.l1 @ (np.abs(x) - np.abs(xstar)) + 0.5 * form.l2 @ (x * x - xstar * xstar)
        return float(0.5 * step @ form.matrix.matvec(step) + g @ step + penalty)
    ready = smooth(problem)
    return ready.value(ready.enter(x)) - ready.value(ready.enter(xstar))


def distance(problem: Any, x0: Array, xstar: Array, weights: Array | float) -> float:
    """``1/2 sum weights_j (x0_j - xstar_j)^2`` over the coefficients that can move."""
    ready = squared(problem)
    moves = constants(problem).moves
    step = (ready.enter(x0) - ready.enter(xstar))[moves]
    return 0.5 * float(np.sum(weights * step * step))


def radius(problem: Any, x0: Array) -> float:
    """``sup ||x - x*||_D^2`` over the sublevel set of x0, from above; inf where unknown."""
    ready, known = squared(problem), constants(problem)
    form, value = ready.form, ready.value(ready.enter(x0))
    with np.errstate(divide="ignore", over="ignore"):
        width = np.minimum(
            form.upper - form.lower, np.where(form.l1 > 0, 2 * value / form.l1, math.inf)
        )
    return float(np.sum(known.D * width[known.moves] ** 2))


def sublinear(start: float, each: float, k: int) -> float:
    """Bound of e_k from ``e_{i+1} <= e_i - e_i^2 / each`` and ``e_0 = start``."""
    if start <= 0.0 or each == math.inf:
        return start
    return 1.0 / (1.0 / start + k / each)
