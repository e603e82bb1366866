"""Bilevel problems made of callables: differences, estimated constants and the audit."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from fejer.errors import OracleError
from fejer.evidence import Array
from fejer.numerics.differences import derivative_errors
from fejer.numerics.krylov import largest_eigenvalue
from fejer.problems.constrained import _oracle as oracle

from ._assessment import Constants, norm

if TYPE_CHECKING:
    from .bilevel import Bilevel

__all__ = ["audited", "checks", "differences", "estimate", "jacobian"]

STEP = 6e-6  # cube root of the rounding unit: the best step of a central difference
SMALL = 200  # up to this size differences and norms go coordinate by coordinate
DECLARED = 1e-8  # relative excess over a declared constant that still counts as rounding
BY_DIFFERENCES = 1e-5  # the same where products are differences
SAFETY = 2.0  # of constants estimated along a few directions
DIRECTIONS = 4
ZERO = 1e-8  # eigenvalues of H, relative, that belong to directions of several solutions

Check = tuple[str, Array, Array]


def differences(function: Callable[[Array], Array], at: Array, along: Array) -> Array:
    """Central difference of a vector function along a vector of any length."""
    size = norm(along)
    if size == 0.0:
        return np.zeros_like(function(at))
    t = STEP * (1 + norm(at)) / size
    return (function(at + t * along) - function(at - t * along)) / (2 * t)


def audited(problem: Bilevel, c: Constants, product: Callable[[Array], Array]) -> Any:
    """Wrap ``v -> H v`` so that each curvature is compared with the declared constants."""
    slack = DECLARED if problem.hvp_yy or problem.hess_yy else BY_DIFFERENCES

    def checked(v: Array) -> Array:
        image = product(v)
        squared = float(v @ v)
        if 1e-200 < squared < 1e200:
            curvature = float(v @ image) / squared
            if curvature <= 0 and math.isfinite(curvature) and abs(curvature) > slack * c.lipschitz:
                text = f"the lower level is not strongly convex: curvature {curvature:.6g} found"
                raise OracleError(f"hvp_yy: {text}")
            if problem.mu is not None and curvature < c.mu * (1 - slack) - slack * c.lipschitz:
                raise OracleError(f"mu: declared {c.mu:.6g}, but curvature {curvature:.6g} found")
            if problem.L is not None and curvature > c.lipschitz * (1 + slack):
                raise OracleError(
                    f"L: declared {c.lipschitz:.6g}, but curvature {curvature:.6g} found"
                )
        return image

    return checked


def dense(product: Callable[[Array], Array], size: int) -> Array:
    """Return the symmetric matrix of a product."""
    H = np.array([product(e) for e in np.eye(size)])
    return 0.5 * (H + H.T)


def _spectrum(problem: Bilevel, product: Callable[[Array], Array]) -> tuple[float, float]:
    """Smallest and largest eigenvalue of H."""
    m = problem.lower_size
    if m <= SMALL:
        H = dense(product, m)
        if not np.isfinite(H).all():
            return math.nan, math.nan
        values = np.linalg.eigvalsh(H)
        return float(values[0]), float(values[-1])
    high = sum(largest_eigenvalue(product, m, tol=1e-3))
    low = high - sum(largest_eigenvalue(lambda v: high * v - product(v), m, tol=1e-3))
    return low, high


def _least_positive(problem: Bilevel, product: Callable[[Array], Array], high: float) -> float:
    """Smallest modulus of an eigenvalue of H that is not 0."""
    if problem.lower_size > SMALL:
        return math.nan
    H = dense(product, problem.lower_size)
    values = np.abs(np.linalg.eigvalsh(H)) if np.isfinite(H).all() else np.full(1, math.nan)
    return float(values[values > ZERO * high].min(initial=high))


def _lipschitz(function: Callable[[Array], Array], y: Array) -> float:
    """Largest quotient of differences of a vector function over a few directions."""
    rng = np.random.default_rng(0)
    found = 0.0
    for _ in range(DIRECTIONS):
        v = rng.standard_normal(y.size)
        for _ in range(3):  # power steps
            size = norm(v)
            if not 0 < size < math.inf:
                break
            w = differences(function, y, v / size)
            found = max(found, norm(w))
            v = w if w.size == v.size else rng.standard_normal(y.size)
    return SAFETY * found


def estimate(problem: Bilevel, x: Array) -> dict[str, float]:
    """Estimate the constants that were not declared, at x and the trivial lower solution."""
    y, found = problem.y0, {}
    rng = np.random.default_rng(1)
    product = problem.product(x, y)
    if problem.mu is None or problem.L is None:
        low, high = _spectrum(problem, product)
        if problem.relaxed:  # the modulus of the error bound, across the solutions
            low = _least_positive(problem, product, high)
        found["mu"], found["L"] = low, high
    if problem.LgF is None:
        found["LgF"] = _lipschitz(lambda v: problem.upper_in_y(x, v), y)
    u = rng.standard_normal(y.size)
    u /= norm(u)
    if problem.LH is None:
        found["LH"] = _lipschitz(lambda v: problem.product(x, v)(u), y)
    if problem.LJ is None:
        found["LJ"] = _lipschitz(lambda v: problem.transposed(x, v, u), y)
    if problem.LxF is None and problem.grad_x_F is not None:
        found["LxF"] = _lipschitz(lambda v: problem.upper_in_x(x, v), y)
    return found


def jacobian(problem: Bilevel, x: Array, y: Array) -> Array | None:
    """Return J where one of its sides is small."""
    if problem.lower_size <= SMALL:
        return np.array([problem.transposed(x, y, e) for e in np.eye(problem.lower_size)])
    if problem.size <= SMALL:
        return np.column_stack(
            [differences(lambda u: problem.lower_gradient(u, y), x, e) for e in np.eye(x.size)]
        )
    return None


def checks(problem: Bilevel, x: Array) -> list[Check]:
    """Compare everything that was supplied with differences, adjoints and declared constants."""
    rng = np.random.default_rng(0)
    y = problem.y0 + 0.1 * np.maximum(1.0, np.abs(problem.y0)) * rng.standard_normal(
        problem.y0.size
    )
    found = []

    def compare(name: str, at: Array, values: Any, products: Any) -> None:
        found.append(derivative_errors(name, at, values, products))

    if problem.grad_y_F is not None:
        slope = problem.upper_in_y(x, y)
        compare("grad_y_F", y, lambda v: problem.upper_value(x, v), slope.dot)
    if problem.grad_x_F is not None:
        compare("grad_x_F", x, lambda u: problem.upper_value(u, y), problem.upper_in_x(x, y).dot)
    if problem.f is not None:
        f = partial(_lower_value, problem)
        compare("grad_y_f", y, lambda v: f(x, v), problem.lower_gradient(x, y).dot)
        if problem.grad_x_f is not None:
            slope = np.asarray(problem.lower_in_x(x, y))
            compare("grad_x_f", x, lambda u: f(u, y), slope.dot)
    for name in ("hvp_yy", "hess_yy"):
        if getattr(problem, name) is not None:
            product = problem.product(x, y, name)
            compare(name, y, lambda v: problem.lower_gradient(x, v), product)
            found.append(_symmetry(f"{name} symmetric", product, y.size))
    if problem.jtv is not None:
        w = rng.standard_normal(y.size)
        back = problem.transposed(x, y, w)
        compare("jtv", x, lambda u: float(w @ problem.lower_gradient(u, y)), back.dot)
    low, high = _spectrum(problem, problem.product(x, y))
    c = problem.constants(x)
    none = np.zeros(0)
    if problem.mu is not None and not problem.relaxed:
        found.append(("mu", none, np.array([max(0.0, (c.mu - low) / c.mu)])))
    if problem.L is not None:
        found.append(("L", none, np.array([max(0.0, (high - c.lipschitz) / c.lipschitz)])))
    return found


def _lower_value(problem: Bilevel, x: Array, y: Array) -> float:
    assert problem.f is not None
    return oracle.as_value(oracle.call(problem.f, x, y), "f")


def _symmetry(name: str, product: Callable[[Array], Array], size: int) -> Check:
    rng = np.random.default_rng(0)
    errors = []
    for _ in range(DIRECTIONS):
        u, v = rng.standard_normal((2, size))
        Hu, Hv = product(u), product(v)
        unit = norm(u) * norm(Hv) + norm(v) * norm(Hu)
        errors.append(abs(float(u @ Hv - v @ Hu)) / (unit or 1.0))
    return name, np.zeros(0), np.array(errors)
