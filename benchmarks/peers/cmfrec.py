"""cmfrec: alternating least squares in C, for explicit entries."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fejer.evidence import Array
from fejer.problems.lowrank.matrix_completion import MatrixCompletion

__all__ = ["cg", "cholesky"]


def _model(problem: MatrixCompletion, use_cg: bool) -> Callable[[float], Array]:
    from cmfrec import CMF
    from scipy.sparse import coo_array

    values = problem.values.astype(np.float32)
    entries = coo_array((values, (problem.rows, problem.cols)), shape=problem.shape)

    def solve(tol: float) -> Array:
        # It has no tolerance: 1/tol is its number of sweeps.
        model = CMF(
            k=problem.rank,
            lambda_=problem.reg or 1e-6,
            method="als",
            use_cg=use_cg,
            niter=round(1.0 / tol),
            user_bias=False,
            item_bias=False,
            center=False,
            nthreads=1,
            use_float=True,
            precompute_for_predictions=False,
            finalize_chol=False,
            verbose=False,
        )
        model.fit(entries)
        return np.concatenate([np.ravel(model.A_), np.ravel(model.B_)]).astype(np.float64)

    return solve


def cholesky(problem: MatrixCompletion) -> Callable[[float], Array]:
    """Prepare its exact half sweeps.

    Parameters
    ----------
    problem : MatrixCompletion
        Any.

    Returns
    -------
    callable
        ``solve(tol)``; 1/tol is the number of sweeps.
    """
    return _model(problem, False)


def cg(problem: MatrixCompletion) -> Callable[[float], Array]:
    """Prepare its half sweeps by conjugate gradients.

    Parameters
    ----------
    problem : MatrixCompletion
        Any.

    Returns
    -------
    callable
        ``solve(tol)``; 1/tol is the number of sweeps.
    """
    return _model(problem, True)
