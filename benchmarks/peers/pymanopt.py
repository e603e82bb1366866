"""pymanopt: descent on the manifold of matrices of fixed rank, cost and gradient by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fejer.evidence import Array
from fejer.problems.lowrank._entries import predict
from fejer.problems.lowrank.matrix_completion import MatrixCompletion

__all__ = ["conjugate_gradient", "steepest_descent"]

SMALLEST_STEP = 1e-14


def _solver(problem: MatrixCompletion, name: str) -> Callable[[float], Array]:
    from pymanopt import Problem, function, optimizers
    from pymanopt.manifolds import FixedRankEmbedded
    from scipy.sparse import csr_array

    m, n = problem.shape
    manifold = FixedRankEmbedded(m, n, problem.rank)
    by_row = problem.orders()[0]
    rows = np.repeat(np.arange(m, dtype=np.int32), np.diff(by_row.indptr))

    def residual(u: Array, s: Array, vt: Array) -> Array:
        out = np.empty(by_row.data.size)
        left, right = np.ascontiguousarray(u * s), np.ascontiguousarray(vt.T)
        predict(rows, by_row.indices, left, right, out)
        return out - by_row.data

    @function.numpy(manifold)
    def cost(u: Array, s: Array, vt: Array) -> float:
        r = residual(u, s, vt)
        return 0.5 * float(r @ r)

    @function.numpy(manifold)
    def slope(u: Array, s: Array, vt: Array) -> Any:
        r = residual(u, s, vt)
        R = csr_array((r, by_row.indices, by_row.indptr), shape=(m, n))
        right, left = R @ vt.T, R.T @ u
        inner = u.T @ right
        # The Riemannian gradient in the manifold's own coordinates: its conversion of a Euclidean
        # one divides by differences of singular values, which may be equal.
        tangent = type(manifold.zero_vector((u, s, vt)))
        return tangent(right - u @ inner, inner, left - vt.T @ inner.T)

    def solve(tol: float) -> Array:
        left, s, right = problem.leading()
        start = (left, s / (problem.unit / (m * n)), np.ascontiguousarray(right.T))
        posed = Problem(manifold, cost, riemannian_gradient=slope)
        optimizer = getattr(optimizers, name)(
            max_time=1.0 / tol,
            max_iterations=10_000,
            min_step_size=SMALLEST_STEP,
            min_gradient_norm=1e-12,
            verbosity=0,
        )
        u, s, vt = optimizer.run(posed, initial_point=start).point
        root = np.sqrt(s)
        return np.concatenate([(u * root).ravel(), (vt.T * root).ravel()])

    return solve


def steepest_descent(problem: MatrixCompletion) -> Callable[[float], Array]:
    """Prepare its steepest descent from the spectral start.

    Parameters
    ----------
    problem : MatrixCompletion
        With reg = 0.

    Returns
    -------
    callable
        ``solve(tol)``; 1/tol is the number of seconds that it gets.
    """
    return _solver(problem, "SteepestDescent")


def conjugate_gradient(problem: MatrixCompletion) -> Callable[[float], Array]:
    """Prepare its conjugate gradients from the spectral start.

    Parameters
    ----------
    problem : MatrixCompletion
        With reg = 0.

    Returns
    -------
    callable
        ``solve(tol)``; 1/tol is the number of seconds that it gets.
    """
    return _solver(problem, "ConjugateGradient")
