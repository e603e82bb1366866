"""Supplied derivatives against difference quotients, over many step lengths."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from fejer.evidence import Array

from . import _oracle as oracle
from ._hessian import hessian_product

STEPS = 10.0 ** -np.arange(1.0, 10.0)
COORDINATES = 50  # up to this dimension every coordinate is compared, beyond it random directions
DIRECTIONS = 5

Check = tuple[str, Array, Array]


def derivative_errors(
    name: str, x: Array, values: Callable[[Array], Any], products: Callable[[Array], Any]
) -> Check:
    """Compare a derivative with central differences of what it is the derivative of.

    Parameters
    ----------
    name : str
        What the table calls it.
    x : array, shape (n,)
        Where.
    values : callable
        ``values(x)``: a number or a vector.
    products : callable
        ``products(v)``: the supplied derivative at x along v.

    Returns
    -------
    name : str
        As given.
    steps : array
        Step lengths, relative to ``max(1, |x_j|)`` for coordinates and to ``max(1, |x|)`` for
        directions.
    errors : array
        For each step the largest error of an entry, relative to the entry or, where that is
        larger, to a thousandth of the largest entry or value: below it lies the noise of the
        quotients.
    """
    n = x.size
    if n <= COORDINATES:
        directions = list(np.eye(n))
        lengths = np.maximum(1.0, np.abs(x))
    else:
        rng = np.random.default_rng(0)
        directions = [v / np.linalg.norm(v) for v in rng.standard_normal((DIRECTIONS, n))]
        lengths = np.full(DIRECTIONS, max(1.0, float(np.linalg.norm(x))))
    with np.errstate(all="ignore"):
        exact = np.array([np.atleast_1d(products(v)) for v in directions])
        here = np.abs(np.atleast_1d(values(x)))
        noise = 1e-3 * max(np.abs(exact).max(initial=0.0), here.max(initial=0.0)) or 1.0
        errors = []
        for step in STEPS:
            worst = 0.0
            for v, length, derivative in zip(directions, lengths, exact, strict=True):
                h = step * length
                up, down = (np.atleast_1d(values(x + s * h * v)) for s in (1.0, -1.0))
                quotient = (up - down) / (2 * h)
                size = np.maximum(np.maximum(np.abs(quotient), np.abs(derivative)), noise)
                error = np.max(np.abs(quotient - derivative) / size, initial=0.0)
                worst = max(worst, float(error)) if np.isfinite(error) else np.inf
            errors.append(worst)
    return name, STEPS.copy(), np.array(errors)


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
