"""The bound of a hypergradient's error, from a lower solution and an adjoint that are inexact."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fejer.evidence import Array

from ._assessment import Assessment, Constants, norm

if TYPE_CHECKING:
    from ._lower_level import LowerLevel

__all__ = ["Local", "bounded", "corrected", "look"]

SAFE = 1e-9  # of the trace of H: more than rounding can do to its smallest eigenvalue
CORRECTED = 1e-4  # relative residual of the systems that the first order of the error takes
ROUNDED = 4.0  # multiple of its rounding error below which an error is not worth solves


class Local(NamedTuple):
    """What is known of H at y, beyond constants that hold everywhere.

    Attributes
    ----------
    modulus : float
        A lower bound of the smallest eigenvalue; 0 if there is none.
    reach : float
        At least ``||J' H^-1||``.
    """

    modulus: float = 0.0
    reach: float = math.inf


def look(problem: LowerLevel, x: Array, y: Array, chart: bool, assemble: bool = True) -> Local:
    """Find the smallest eigenvalue of H at y, and the norm of ``J' H^-1``.

    Parameters
    ----------
    problem : LowerLevel
        The problem.
    x, y : array
        The point.
    chart : bool
        J in the coordinates t.
    assemble : bool, default True
        Whether H may be formed, where y is short.

    Returns
    -------
    Local
        From the class's own factorisation, else from H as an array where y is short.
    """
    reach = problem.adjoint_norm(x, y, chart=chart)
    m = problem.lower_size if assemble else math.inf
    if math.isfinite(reach) or m > problem.assembled or not np.isfinite(y).all():
        return Local(reach=reach)
    unit, product = np.eye(problem.lower_size), problem.hessian(x, y)
    H = np.array([product(e) for e in unit])
    H = 0.5 * (H + H.T)
    if not np.isfinite(H).all():
        return Local()
    modulus = float(np.linalg.eigvalsh(H)[0]) - SAFE * float(np.trace(H))
    if modulus <= 0.0:
        return Local()
    J = np.array([problem.cross(x, y, e, chart=chart).product for e in unit])
    # The margin of the modulus keeps the condition number below 1/SAFE, and this error small.
    return Local(modulus, 1.01 * norm(np.linalg.svd(np.linalg.solve(H, J), compute_uv=False)[:1]))


def _distance(c: Constants, residual: float, local: Local) -> tuple[float, float]:
    """Bound ``||y - y*||``, and ``||H^-1||`` on the way from y to y*."""
    mu = c.mu if c.mu > 0 else 0.0
    distance, modulus = residual / mu if mu else math.inf, mu
    # H >= modulus - LH d on the ball of radius d. With residual <= (modulus - LH d) d, f(x, .)
    # has its minimum over the ball inside it, and that is y*.
    root = local.modulus**2 - 4 * c.hessian * residual
    if local.modulus > 0.0 and root >= 0.0:
        near = 2 * residual / (local.modulus + math.sqrt(root))
        distance = min(distance, near)
        modulus = max(mu, local.modulus - c.hessian * near)
    return distance, 1 / modulus if modulus > 0 else math.inf


def bounded(
    problem: LowerLevel, x: Array, y: Array, q: Array, chart: bool, local: Local
) -> Assessment:
    """Compute the hypergradient from y and q, and bound its error.

    Parameters
    ----------
    problem : LowerLevel
        The problem.
    x, y, q : array
        Upper variable, lower solution and adjoint, the latter two approximate.
    chart : bool
        Gradient and error in the coordinates t.
    local : Local
        What is known of H at y.

    Returns
    -------
    Assessment
    """
    c = problem.constants(x)
    upper, lower = problem.upper_level(x, y), problem.lower_gradient(x, y)
    r = norm(upper.grad_y - problem.hessian(x, y)(q))
    lower_floor, adjoint_floor = problem.rounding(x, y, q)
    J = problem.cross(x, y, q, chart=chart)
    z = -J.product
    if upper.grad_x is not None:
        z = z + upper.grad_x * (problem.chart_rate(x) if chart else 1.0)

    def bound(residual: float, linear: float, change: float | None = None) -> float:
        e, inverse = _distance(c, residual, local)
        change = problem.hessian_change(x, y, q, e) if change is None else change
        push = problem.upper_change(x, y, e) + change + linear
        reach = J.norm * inverse
        if c.hessian * e * inverse < 0.5:
            reach = min(reach, local.reach / (1 - c.hessian * e * inverse))
        reach += J.lipschitz * e * inverse
        return reach * push + J.change * e + problem.cross_change(x, y, e, chart=chart) + J.floor

    residual = norm(lower)
    attained = residual + lower_floor, r + adjoint_floor
    # Theorem 2.1 of arXiv 2308.10098, at the residuals attained.
    inverse = 1.0 / c.mu if c.mu > 0 else math.inf
    e, slope = attained[0] * inverse, norm(upper.grad_y)
    published = (J.norm * c.hessian * inverse + J.lipschitz) * slope * e
    published += (J.norm + J.lipschitz * e) * problem.upper_change(x, y, e)
    published = inverse * (published + J.norm * attained[1]) + J.floor
    published += problem.cross_change(x, y, e, chart=chart)
    published = math.inf if math.isnan(published) else published
    e, inverse = _distance(c, attained[0], local)
    change = problem.hessian_change(x, y, q, e)
    third = min(c.hessian * e * e / 2, 2 * c.lipschitz * e) * inverse if c.hessian else 0.0
    # On the way from y to y* the change of H grows with the distance where H is Lipschitz.
    grown = min(change, 0.5 * c.hessian * norm(q) * e) if c.hessian else change
    fun_floor = norm(q) * lower_floor + upper.floor
    fun_error = attained[1] * (e + third) + grown * e
    fun_error += problem.upper_change(x, y, e) * e / 2 + fun_floor
    return Assessment(
        y=y,
        adjoint=q,
        gradient=z,
        error=min(bound(*attained, change), published),
        floor=bound(lower_floor, adjoint_floor),
        distance=e,
        residual=residual,
        fun=upper.fun - float(q @ lower),
        fun_error=fun_error,
        fun_floor=fun_floor,
        rigorous=not c.estimated,
        adjoint_error=bound(0.0, attained[1]),
        published_error=published,
    )


def corrected(problem: LowerLevel, x: Array, a: Assessment, chart: bool) -> Assessment:
    """Compute the first order of the hypergradient's error, and bound the rest alone.

    With w and p that nearly solve ``H w = grad_y f`` and, at y - w, ``H p = grad_y F - H q``, the
    hypergradient of y - w and q + p has an error of second order. Its distance from the one at
    hand, plus the bound of that error, bounds the error at hand.

    Parameters
    ----------
    problem : LowerLevel
        The problem.
    x : array
        Upper variable.
    a : Assessment
        What is known without.
    chart : bool
        Gradient and error in the coordinates t.

    Returns
    -------
    Assessment
        Of the same y, adjoint and gradient.
    """
    if not math.isfinite(a.residual) or a.error <= ROUNDED * a.floor:
        return a
    w = problem.adjoint(x, a.y, problem.lower_gradient(x, a.y), tol=CORRECTED)[0]
    y = a.y - w
    rest = problem.upper_level(x, y).grad_y - problem.hessian(x, y)(a.adjoint)
    q = a.adjoint + problem.adjoint(x, y, rest, tol=CORRECTED)[0]
    b = bounded(problem, x, y, q, chart, look(problem, x, y, chart))
    shift = norm(a.gradient - b.gradient)
    a = replace(a, distance=min(a.distance, norm(w) + b.distance), shift=shift)
    if b.fun_error < a.fun_error:
        a = replace(a, fun=b.fun, fun_error=b.fun_error, fun_floor=b.fun_floor)
    if shift + b.error < a.error:
        a = replace(a, error=shift + b.error, floor=b.floor)
    return a
