"""Newton steps for a penalised Lagrangian, by a factorised KKT matrix or by conjugate gradients."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fejer.evidence import Array
from fejer.numerics.krylov import cg
from fejer.problems.constrained import _oracle as oracle
from fejer.problems.constrained._equality import Equality

ZERO_PIVOT = 1e-14
TRIES = 60


class NewtonStep(NamedTuple):
    """A step, the shift of the Hessian that it took, and the points visited."""

    step: Array
    shift: float
    points: int


def inertia(factor: Array, pivots: Array) -> tuple[int, int, int]:
    """Return the numbers of positive, negative and zero eigenvalues from LAPACK's ``sytrf``.

    A Bunch-Kaufman factor (lower) has pivots of size 1 and 2; the signs of theirs are those of
    the matrix.
    """
    n = len(pivots)
    diagonal = np.diagonal(factor)
    largest = np.abs(diagonal).max(initial=0.0)
    positive = negative = zero = 0
    k = 0
    while k < n:
        if pivots[k] > 0:
            d = diagonal[k]
            if abs(d) <= ZERO_PIVOT * largest:
                zero += 1
            elif d > 0:
                positive += 1
            else:
                negative += 1
            k += 1
        else:
            below = factor[k + 1, k]
            largest = max(largest, abs(below))
            if diagonal[k] * diagonal[k + 1] - below * below < 0:
                positive, negative = positive + 1, negative + 1
            elif diagonal[k] + diagonal[k + 1] > 0:
                positive += 2
            else:
                negative += 2
            k += 2
    return positive, negative, zero


def factorised_step(
    problem: Equality, x: Array, l: Array, g: Array, penalty: float, last: float
) -> NewtonStep:
    """Solve ``(H + t I + penalty G'G) d = -g`` through the KKT matrix, t as small as it may be.

    Parameters
    ----------
    problem : EqualityNLP
        The problem.
    x, l : array
        Point and multipliers of the Hessian.
    g : array, shape (n,)
        Gradient of the penalised Lagrangian.
    penalty : float
        Its penalty.
    last : float
        The last shift that was needed, 0 if none was.

    Returns
    -------
    NewtonStep
        With the step 0 if no shift was large enough.

    Notes
    -----
    ``[[H + t I, a G'], [a G, -s I]]`` with ``a^2 = s penalty`` has exactly m negative eigenvalues
    just when the matrix of the step is positive definite, and keeps its condition when the penalty
    grows. s is the size of H, so that pivots can be compared.
    """
    from scipy.linalg.lapack import dsytrf, dsytrs

    n, m = x.size, l.size
    hessian, points = problem.lagrangian_hessian(x, l)
    H = oracle.dense(hessian)
    K = np.zeros((n + m, n + m), order="F")
    size = float(np.abs(H).max()) or 1.0
    K[n:, :n] = np.sqrt(size * penalty) * oracle.dense(problem.at(x).constraint_jac)
    K[range(n, n + m), range(n, n + m)] = -size
    right = np.concatenate([-g, np.zeros(m)])
    if not (np.isfinite(size) and np.isfinite(K).all() and np.isfinite(g).all()):
        return NewtonStep(np.zeros(n), last, points)
    shift = 0.0
    for _ in range(TRIES):
        K[:n, :n] = H
        K[range(n), range(n)] += shift
        factor, pivots, info = dsytrf(K, lower=1)
        if info == 0 and inertia(factor, pivots) == (n, m, 0):
            solution, info = dsytrs(factor, pivots, right, lower=1)
            # one step of refinement, with the matrix as it was before
            full = np.tril(K) + np.tril(K, -1).T
            correction, _ = dsytrs(factor, pivots, right - full @ solution, lower=1)
            solution = solution + correction
            if np.isfinite(solution).all():
                return NewtonStep(solution[:n], shift, points)
        shift = max(1e-4 * size, last / 3) if shift == 0.0 else 8.0 * shift
    return NewtonStep(np.zeros(n), shift, points)


def truncated_step(problem: Equality, x: Array, l: Array, g: Array, penalty: float) -> NewtonStep:
    """Solve ``(H + penalty G'G) d = -g`` roughly by conjugate gradients.

    Parameters
    ----------
    problem : EqualityNLP
        The problem.
    x, l : array
        Point and multipliers of the Hessian.
    g : array, shape (n,)
        Gradient of the penalised Lagrangian.
    penalty : float
        Its penalty.

    Returns
    -------
    NewtonStep
        A descent direction: the iterate before a direction of negative curvature was met, or the
        steepest descent where that is the first one.
    """
    G = problem.at(x).constraint_jac
    points = 0
    matrix: Any = None
    if problem.has_hessian:
        matrix, points = problem.lagrangian_hessian(x, l)

    def product(v: Array) -> Array:
        nonlocal points
        if matrix is not None:
            curved = oracle.times(matrix, v)
        else:
            curved, visited = problem.hessian_product(x, l, v)
            points += visited
        return curved + penalty * oracle.times_transposed(G, oracle.times(G, v))

    tol = min(0.1, float(np.sqrt(np.linalg.norm(g))))
    solved = cg(product, -g, tol=tol, max_iter=min(2 * x.size + 20, 500))
    step = solved.x
    if not np.isfinite(step).all() or not step.any():
        step = -g
    return NewtonStep(step, 0.0, points)
