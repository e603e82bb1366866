"""Unconstrained features: products with the labels, the global gap, second order conditions."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from fejer.evidence import Array, Certificate, failed

ROUNDING = 4 * 2.0**-53
SHRINKAGES = 1.0 - np.append(0.0, 10.0 ** -np.arange(1.0, 15.0))  # of a dual point on its ball


class Bound(NamedTuple):
    """Lower bound of the global minimum; largest singular value of the residual over its limit."""

    value: float
    over: float


def sums(M: Array, classes: int) -> Array:
    """Sum the columns of each class: ``M T'``."""
    return np.asarray(M.reshape(len(M), classes, -1).sum(axis=2), dtype=np.float64)


def ridge(factor: Array, weight: float, right: Array) -> Array:
    """Solve ``(F F' + weight I) z = right``; also where rounding makes the matrix singular."""
    values, vectors = np.linalg.eigh(factor @ factor.T)
    z: Array = vectors @ ((vectors.T @ right) / (np.maximum(values, 0.0) + weight)[:, None])
    return z


def residual(problem: Any, W: Array, H: Array) -> Array:
    """``T - W H`` for the labels T, whose column i is the unit vector of the class of i."""
    classes = problem.n_classes
    R = -(W @ H)
    R.reshape(classes, classes, -1)[np.arange(classes), np.arange(classes)] += 1.0
    return R


def objective(problem: Any, W: Array, H: Array, R: Array) -> float:
    """The objective, with the residual already there."""
    fun = float(np.vdot(R, R)) / (2 * H.shape[1])
    fun += 0.5 * (problem.reg_w * float(np.vdot(W, W)) + problem.reg_h * float(np.vdot(H, H)))
    if problem.beta > 0:
        rest = H - problem.anchor
        fun += 0.5 * problem.beta * float(np.vdot(rest, rest))
    return fun


def bound(problem: Any, R: Array) -> tuple[Bound, tuple[Array, Array, Array]]:
    """Bound the global minimum from below by a dual point, and decompose the residual.

    For every L (K, N) with ``||L|| < mu``, ``mu^2 = reg_w c``, ``c = reg_h + beta``, W and then H
    can be minimised in ``<L, T - W H> - N/2 ||L||^2 <= ||W H - T||^2/(2 N)`` plus the penalties:
    ``<L, T> - N/2 ||L||^2 + beta/2 ||H0||^2 - beta^2/2 tr(H0 (c I - L'L/reg_w)^-1 H0')``. L is the
    residual over N with its singular values clipped; where beta is positive they are kept off the
    limit, by the distance that serves the bound best.
    """
    classes, count = R.shape
    left, s, right = np.linalg.svd(R / count, full_matrices=False)
    c = problem.reg_h + problem.beta
    mu = math.sqrt(problem.reg_w) * math.sqrt(c)
    inner = np.einsum("ij,ji->i", left.T, sums(right, classes).T)  # <u_j v_j', T>
    pulled, offset = np.zeros(s.size), 0.0
    if problem.beta > 0:
        turned = problem.anchor @ right.T
        pulled = problem.beta**2 * np.einsum("ij,ij->j", turned, turned)
        square = float(np.vdot(problem.anchor, problem.anchor))
        # What H0 has beside the right singular vectors meets the curvature c.
        beside = max(0.0, problem.beta**2 * square - float(pulled.sum()))
        offset = 0.5 * (problem.beta * square - beside / c)
    tried = np.minimum(s, mu * SHRINKAGES[:, None])
    rest = c * (1.0 - (tried / mu) ** 2)
    share = np.divide(pulled, rest, out=np.full_like(rest, math.inf), where=rest > 0)
    share[:, pulled == 0] = 0.0
    terms = tried * inner - 0.5 * count * tried**2 - 0.5 * share
    return Bound(float(terms.max(axis=0).sum()) + offset, float(s[0]) / mu), (left, s, right)


def judge(problem: Any, W: Array, H: Array) -> Certificate:
    """Judge by the gap to a bound of the global minimum, or by conditions of a local one."""
    kind = "duality gap"
    R = residual(problem, W, H)
    fun = objective(problem, W, H, R)
    if not (math.isfinite(fun) and np.isfinite(R).all()):
        return failed(kind, "the objective overflows", math.inf)
    null, count = problem.null(), H.shape[1]
    scale = min(null, max(fun, 1e-6 * null))
    below, parts = bound(problem, R)
    size = float(np.linalg.norm(W)) * float(np.linalg.norm(H))
    floor = ROUNDING * (fun + abs(below.value) + null) / scale
    floor += ROUNDING * float(np.linalg.norm(R)) * size / (count * scale)
    gap = max(0.0, fun - below.value) / scale + floor
    details = {"gap": gap - floor, "floor": floor, "norm_over_limit": below.over}
    value, rigorous = gap, True
    if problem.beta > 0:
        local = stationarity(problem, W, H, R, parts) + floor
        details["stationarity"] = local
        # Where the residual's norm is above the limit the gap cannot close.
        if below.over > 1 and local < gap:
            kind, value, rigorous = "stationarity", local, False
    return Certificate(
        kind,
        value,
        fun,
        rigorous=rigorous,
        scale=scale,
        lower_bound=below.value - floor * scale,
        details=details,
    )


def stationarity(
    problem: Any, W: Array, H: Array, R: Array, parts: tuple[Array, Array, Array]
) -> float:
    """Root of what exact minimisation over each factor gains, and the second order excess.

    With (p, q) the leading singular pair of the residual, of value l, and unit vectors u (dim), the
    change ``W + a p u'``, ``H + b u q'`` must not lower the objective to second order:
    ``l <= sqrt((reg_w + |H'u|^2/N) (c + |W u|^2/N)) + (p'W u)(q'H'u)/N``.
    """
    count, c = H.shape[1], problem.reg_h + problem.beta
    slope_w = problem.reg_w * W - R @ H.T / count
    slope_h = problem.reg_h * H - W.T @ R / count + problem.beta * (H - problem.anchor)
    left, s, right = parts
    if not (np.isfinite(H @ H.T).all() and np.isfinite(W.T @ W).all()):
        return math.inf
    gain = 0.5 * count * float(np.vdot(slope_w.T, ridge(H, count * problem.reg_w, slope_w.T)))
    gain += 0.5 * count * float(np.vdot(slope_h, ridge(W.T, count * c, slope_h)))
    directions = np.linalg.svd(np.hstack([W.T, H]), full_matrices=False)[0]
    if W.shape[1] > len(W):  # those that W does not see
        directions = np.hstack([directions, np.linalg.svd(W.T)[0][:, len(W) :]])
    w, h = W @ directions, H.T @ directions
    allowed = np.sqrt(problem.reg_w + np.einsum("ij,ij->j", h, h) / count)
    allowed *= np.sqrt(c + np.einsum("ij,ij->j", w, w) / count)
    allowed += (left[:, 0] @ w) * (right[0] @ h) / count
    excess = max(0.0, float(s[0]) - float(allowed.min()))
    # The residual at W = 0 is T, of norm sqrt(N/K).
    relative = excess * math.sqrt(count * problem.n_classes)
    return math.sqrt(max(0.0, gain) / problem.null()) + relative
