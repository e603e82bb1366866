"""scikit-learn's LogisticRegression without intercept: its Newton method and its L-BFGS."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from fejer.evidence import Array
from fejer.problems.constrained.smooth_composite import SmoothComposite

__all__ = ["lbfgs", "newton_cholesky"]

ITERATIONS = 10_000

Solve = Callable[[float], Array]


def _prepared(problem: SmoothComposite, solver: Any) -> Solve:
    from sklearn.linear_model import LogisticRegression

    X = problem.A.tosparse().tocsr() if problem.A.is_sparse else np.ascontiguousarray(problem.A)
    strength = 1.0 / (problem.l2 * len(problem.y))

    def solve(tol: float) -> Array:
        model = LogisticRegression(
            C=strength, fit_intercept=False, tol=tol, solver=solver, max_iter=ITERATIONS
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # our certificate says whether it converged
            model.fit(X, problem.y)
        return np.asarray(model.coef_).ravel()

    return solve


def newton_cholesky(problem: SmoothComposite) -> Solve:
    """Prepare the Newton method.

    Parameters
    ----------
    problem : SmoothComposite
        With loss "logistic" and a penalty.

    Returns
    -------
    callable
        ``solve(tol)``; tol bounds the largest entry of the gradient.
    """
    return _prepared(problem, "newton-cholesky")


def lbfgs(problem: SmoothComposite) -> Solve:
    """Prepare L-BFGS.

    Parameters
    ----------
    problem : SmoothComposite
        With loss "logistic" and a penalty.

    Returns
    -------
    callable
        ``solve(tol)``; tol bounds the largest entry of the gradient.
    """
    return _prepared(problem, "lbfgs")
