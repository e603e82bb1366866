"""The pieces of a constrained problem that `fejer.check_derivatives` compares."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from fejer.evidence import Array
from fejer.numerics.differences import DIRECTIONS, derivative_errors

from . import _oracle as oracle
from ._hessian import hessian_product

Check = tuple[str, Array, Array]


def adjoint_error(name: str, G: Any) -> Check:
    """Compare ``w'(G v)`` with ``v'(G'w)`` of an operator for random v and w."""
    rng = np.random.default_rng(0)
    m, n = G.shape
    errors = []
    for _ in range(DIRECTIONS):
        v, w = rng.standard_normal(n), rng.standard_normal(m)
        product, back = oracle.times(G, v), oracle.times_transposed(G, w)
        size = np.linalg.norm(product) * np.linalg.norm(w)
        size += np.linalg.norm(back) * np.linalg.norm(v)
        errors.append(float(abs(w @ product - v @ back) / (size or 1.0)))
    return name, np.zeros(0), np.array(errors)


def constrained_checks(problem: Any, x: Array) -> list[Check]:
    """Compare all that was supplied with an `EqualityNLP`."""

    def at(y: Array) -> Any:
        return problem.at(y, remember=False)

    point, checks = at(x), []
    l = np.random.default_rng(0).standard_normal(point.constraint.size)
    values: dict[str, Callable[[Array], Any]] = {
        "lag_hess": lambda y: at(y).lagrangian_gradient(l),
        "lag_hessp": lambda y: at(y).lagrangian_gradient(l),
        "hess": lambda y: at(y).grad,
        "constraint_hess": lambda y: oracle.times_transposed(at(y).constraint_jac, l),
    }
    if problem.grad is not None:
        checks.append(derivative_errors("grad", x, lambda y: at(y).fun, point.grad.dot))
    G = point.constraint_jac
    if problem.constraint_jac is not None:
        along = partial(oracle.times, G)
        checks.append(derivative_errors("constraint_jac", x, lambda y: at(y).constraint, along))
    if oracle.is_operator(G):
        name = "constraint_jac" if problem.linear is None else "linear"
        checks.append(adjoint_error(f"{name} adjoint", G))
    for name, function in values.items():
        if getattr(problem, name) is not None:
            product = partial(_product, problem, x, l, name)
            checks.append(derivative_errors(name, x, function, product))
    return checks


def _product(problem: Any, x: Array, l: Array, name: str, v: Array) -> Array:
    return hessian_product(problem, x, l, v, only=name)[0]
