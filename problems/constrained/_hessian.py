"""Second derivatives of the Lagrangian, supplied or by differences, whole or as products."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fejer.evidence import Array

from . import _oracle as oracle


def lagrangian_hessian(problem: Any, x: Array, l: Array) -> tuple[Any, int]:
    """Return the Hessian of the Lagrangian as a symmetric matrix, and the points visited."""
    n = x.size
    if problem.lag_hess is not None:
        return _symmetric(problem.lag_hess, "lag_hess", x, l, 1.0), 1
    if problem.lag_hessp is not None:
        columns = [hessian_product(problem, x, l, e)[0] for e in np.eye(n)]
        H = np.array(columns)
        return (H + H.T) / 2, n
    if problem.hess is None:
        H, _ = oracle.central(_gradient(problem, l), x, step=_step(problem, 1.0))
        return (H + H.T) / 2, 2 * n
    H = _symmetric(problem.hess, "hess", x)
    if problem.constraint is None:
        return H, 1
    if problem.constraint_hess is not None:
        return H + _symmetric(problem.constraint_hess, "constraint_hess", x, l), 1
    C, _ = oracle.central(_curvature(problem, l), x, step=_step(problem, 1.0))
    return oracle.dense(H) + (C + C.T) / 2, 1 + 2 * n


def hessian_product(
    problem: Any, x: Array, l: Array, v: Array, *, only: str | None = None
) -> tuple[Array, int]:
    """Return the product of the Hessian of the Lagrangian with v, and the points visited.

    With `only`, the product with what that one function supplies.
    """
    if only == "lag_hess" or (only is None and problem.lag_hess is not None):
        return oracle.times(_symmetric(problem.lag_hess, "lag_hess", x, l, 1.0), v), 1
    if only == "lag_hessp" or (only is None and problem.lag_hessp is not None):
        answer = oracle.call(problem.lag_hessp, x, l, 1.0, v)
        return oracle.as_shape(answer, "lag_hessp", x.shape), 1
    if only == "constraint_hess":
        return oracle.times(_symmetric(problem.constraint_hess, only, x, l), v), 1
    if only is None and problem.hess is None:
        return _quotient(problem, _gradient(problem, l), x, v), 2
    product = oracle.times(_symmetric(problem.hess, "hess", x), v)
    if only == "hess" or problem.constraint is None:
        return product, 1
    if problem.constraint_hess is not None:
        C = _symmetric(problem.constraint_hess, "constraint_hess", x, l)
        return product + oracle.times(C, v), 1
    return product + _quotient(problem, _curvature(problem, l), x, v), 3


def _symmetric(function: Callable[..., Any], name: str, x: Array, *more: Any) -> Any:
    H = oracle.as_matrix(oracle.call(function, x, *more), name, (x.size, x.size))
    return oracle.dense(H, by_rows=False) if oracle.is_operator(H) else H


def _gradient(problem: Any, l: Array) -> Callable[[Array], Array]:
    """Return y -> grad_y L(y, l)."""
    return lambda y: problem.at(y, remember=False).lagrangian_gradient(l)


def _curvature(problem: Any, l: Array) -> Callable[[Array], Array]:
    """Return y -> G(y)'l."""
    return lambda y: oracle.times_transposed(problem.at(y, remember=False).constraint_jac, l)


def _quotient(problem: Any, function: Callable[[Array], Array], x: Array, v: Array) -> Array:
    length = float(np.linalg.norm(v))
    if not length > 0:
        return np.zeros_like(x)
    h = _step(problem, max(1.0, float(np.linalg.norm(x)))) / length
    return (function(x + h * v) - function(x - h * v)) / (2 * h)


def _step(problem: Any, length: float) -> float:
    return length * (oracle.COARSE if problem.difference_calls else oracle.STEP)
