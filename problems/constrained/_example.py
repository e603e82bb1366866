"""The random instance of `EqualityNLP`: module-level functions, so that it pickles."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

CURVATURE = 0.1


def draw(n: int, m: int, seed: int) -> dict[str, Any]:
    """Return the callables of one instance."""
    rng = np.random.default_rng(seed)
    root = rng.standard_normal((n, n)) / np.sqrt(n)
    Q = root @ root.T + 0.5 * np.eye(n)
    b = rng.standard_normal(n)
    A = rng.standard_normal((m, n)) / np.sqrt(n)
    feasible = rng.standard_normal(n)
    r = A @ feasible + CURVATURE * (feasible @ feasible)
    return {
        "fun": partial(objective, Q=Q, b=b),
        "grad": partial(gradient, Q=Q, b=b),
        "constraint": partial(constraint, A=A, r=r),
        "constraint_jac": partial(jacobian, A=A),
        "lag_hess": partial(hessian, Q=Q),
    }


def objective(x, *, Q, b):
    """Return ``1/2 x'Qx - b'x + 1/4 sum x_j^4``."""
    return 0.5 * x @ Q @ x - b @ x + 0.25 * np.sum(x**4)


def gradient(x, *, Q, b):
    """Return its gradient."""
    return Q @ x - b + x**3


def constraint(x, *, A, r):
    """Return ``A x + 0.1 (x'x) 1 - r``."""
    return A @ x + CURVATURE * (x @ x) - r


def jacobian(x, *, A):
    """Return its Jacobian."""
    return A + 2 * CURVATURE * x


def hessian(x, l, sigma, *, Q):
    """Return ``sigma H_f + sum l_i H_ci``."""
    return sigma * (Q + np.diag(3 * x**2)) + 2 * CURVATURE * np.sum(l) * np.eye(x.size)
