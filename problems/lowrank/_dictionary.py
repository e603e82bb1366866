"""Supervised dictionaries: the lifted problem, its gap, and its stationarity."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from fejer.evidence import Array, Certificate, failed

from ._factors import spectrum

ROUNDING = 4 * 2.0**-53


class Parts(NamedTuple):
    """W (p, r), H (r, n), beta (r, K - 1), Gamma (q, K - 1): views of the packed variable."""

    W: Array
    H: Array
    beta: Array
    gamma: Array


class Lifted(NamedTuple):
    """What is convex: A, B, Gamma, with value and gradients of the objective."""

    A: Array
    B: Array
    gamma: Array
    fun: float
    slope_a: Array
    slope_b: Array
    slope_gamma: Array


def probabilities(activation: Array) -> tuple[Array, Array]:
    """Probabilities of the classes 1 to K - 1, and ``log(1 + sum exp)``, column by column."""
    top = np.maximum(activation.max(axis=0), 0.0)
    exp = np.exp(activation - top)
    total = np.exp(-top) + exp.sum(axis=0)
    return exp / total, top + np.log(total)


def lift(problem: Any, A: Array, B: Array, gamma: Array) -> Lifted:
    """Evaluate the objective and its gradients at (A, B, Gamma)."""
    X, aux, hot = problem.X, problem.aux, problem.hot()
    filtering = problem.model == "filter"
    activation = (A.T @ X if filtering else A) + gamma.T @ aux
    probability, log_total = probabilities(activation)
    error = probability - hot
    rest = X - B
    penalty = float(np.vdot(A, A)) + float(np.vdot(gamma, gamma))
    fun = float(log_total.sum()) - float(np.vdot(activation, hot))
    fun += problem.xi * float(np.vdot(rest, rest)) + problem.nu * penalty
    nu = 2.0 * problem.nu
    slope_a = (X @ error.T if filtering else error) + nu * A
    return Lifted(A, B, gamma, fun, slope_a, -2.0 * problem.xi * rest, aux @ error.T + nu * gamma)


def lifted(problem: Any, parts: Parts) -> Lifted:
    """Evaluate at the factors."""
    A = parts.W @ parts.beta if problem.model == "filter" else parts.beta.T @ parts.H
    return lift(problem, A, parts.W @ parts.H, parts.gamma)


def beside(problem: Any, A: Array, B: Array) -> Array:
    """Return [A, B] side by side (filter) or one above the other (feature)."""
    return np.concatenate([A, B], axis=1 if problem.model == "filter" else 0)


def judge(problem: Any, parts: Parts) -> Certificate:
    """Judge by the gap over all points of rank r, or by stationarity, whichever is smaller."""
    point = lifted(problem, parts)
    sides = beside(problem, point.A, point.B)
    if not (math.isfinite(point.fun) and np.isfinite(sides).all()):
        return failed("optimality gap", "the objective overflows", math.inf)
    a, b = math.sqrt(2.0 * problem.nu), math.sqrt(2.0 * problem.xi)
    G = beside(problem, point.slope_a / a, point.slope_b / b)
    Z = beside(problem, a * point.A, b * point.B)
    square = float(np.vdot(G, G))
    shifted = Z - G
    small = shifted @ shifted.T if shifted.shape[0] <= shifted.shape[1] else shifted.T @ shifted
    if not (math.isfinite(square) and np.isfinite(small).all()):
        return failed("optimality gap", "the objective overflows", math.inf)
    values = np.maximum(np.linalg.eigvalsh(small)[::-1], 0.0)
    tail = float(values[problem.rank :].sum())
    gamma = float(np.vdot(point.slope_gamma, point.slope_gamma))
    scale = problem.y.size * math.log(problem.n_classes)
    gap = max(0.0, 0.5 * square - 0.5 * tail + gamma / (4.0 * problem.nu))
    floor = ROUNDING * (square + float(values.sum()) + abs(point.fun)) / scale
    first = gap / scale + floor
    second, smallest, normal = stationarity(problem, parts, G, gamma / (2.0 * problem.nu))
    # Far from the minimum the gap, which is a square, is the larger number: it stays the value
    # where nothing hinders it from closing, since the other one bounds no suboptimality.
    rigorous = first <= second or (gap > floor * scale and largest(normal) <= smallest)
    return Certificate(
        "optimality gap" if rigorous else "stationarity",
        first if rigorous else second,
        point.fun,
        rigorous=rigorous,
        scale=scale,
        lower_bound=point.fun - gap - floor * scale,
        details={"gap": gap / scale, "stationarity": second, "floor": floor},
    )


def stationarity(problem: Any, parts: Parts, G: Array, gamma: float) -> tuple[float, float, Array]:
    """Tangential gradient of the lifted problem, and its normal part where the point lacks rank.

    Also what tells whether the gap can close here: at a stationary point it does exactly where no
    singular value of the normal part is above the smallest one of the point.
    """
    filtering = problem.model == "filter"
    a, b = math.sqrt(2.0 * problem.nu), math.sqrt(2.0 * problem.xi)
    if filtering:
        found = spectrum(parts.W, np.vstack([a * parts.beta.T, b * parts.H.T]))
    else:
        found = spectrum(np.vstack([a * parts.beta.T, b * parts.W]), parts.H.T)
    if found is None:
        return math.inf, 0.0, G
    s = found.values
    rank = int((s > 1e-12 * s[0]).sum()) if s[0] > 0 else 0
    left, right = found.left[:, :rank], found.right[:, :rank]
    inner = left.T @ G
    below = G - left @ inner
    outer = below @ right
    tangent, normal = left @ inner + outer @ right.T, below - outer @ right.T
    # Labels and samples count on their own scales: large samples must not hide the labels.
    cut = problem.n_classes - 1
    first, second = np.split(tangent, [cut], axis=1 if filtering else 0)
    upper, lower = problem.null_gradients()
    labels = math.hypot(float(np.linalg.norm(first)), math.sqrt(gamma)) / upper
    value = max(labels, float(np.linalg.norm(second)) / lower)
    if s[-1] <= 1e-6 * s[0]:
        value += max(0.0, largest(normal) - float(s[-1])) / math.hypot(upper, lower)
    return value, float(s[-1]), normal


def leading_left(X: Array, count: int) -> Array:
    """Leading left singular vectors, through the smaller Gram matrix."""
    if X.shape[0] <= X.shape[1]:
        return np.linalg.eigh(X @ X.T)[1][:, : -count - 1 : -1]
    values, right = np.linalg.eigh(X.T @ X)
    kept = values[::-1][:count] > 1e-12 * values[-1]
    Q, R = np.linalg.qr(X @ right[:, : -count - 1 : -1][:, kept])
    left: Array = Q * np.where(np.diag(R) < 0, -1.0, 1.0)
    return left


def largest(M: Array) -> float:
    """Largest singular value, through the smaller Gram matrix."""
    small = M @ M.T if M.shape[0] <= M.shape[1] else M.T @ M
    return math.sqrt(max(0.0, float(np.linalg.eigvalsh(small)[-1])))
