"""Certificates of matrix sensing: least squares, and sharp minima of the sum of moduli."""

from __future__ import annotations

import math
from typing import Any, NamedTuple, Protocol

import numpy as np

from fejer.evidence import Array, Certificate, failed

ROUNDING = 4 * 2.0**-53
INLIER, NUMERICAL_RANK = 1e-6, 1e-6
LARGEST_GRAM, DR_STEPS, MARGIN = 1500, 500, 0.98
OVERFLOW = "the point is so large that the objective overflows"


class Frame(NamedTuple):
    """Singular value decomposition of X; ``left is right`` where X is positive semidefinite."""

    left: Array
    values: Array
    right: Array


class Measured(Protocol):
    """What the certificates need of a problem."""

    A: Any
    y: Array
    shape: tuple[int, int]
    symmetric: bool

    def measure(self, X: Array) -> Array: ...
    def adjoint(self, r: Array) -> Array: ...


def judge(problem: Any, found: Frame | None, X: Array, error: float) -> Certificate:
    """Judge X; ``error`` is the rounding error of the values that are compared with y."""
    kind = "sharpness" if problem.loss == "l1" else "stationarity"
    if found is None or not np.isfinite(X).all() or not math.isfinite(error):
        return failed(kind, OVERFLOW, math.inf)
    r = problem.y - problem.measure(X)
    if not math.isfinite(float(r @ r)):
        return failed(kind, OVERFLOW, math.inf)
    return (sharpness if problem.loss == "l1" else stationarity)(problem, found, X, r, error)


def split(problem: Measured, found: Frame, G: Array) -> tuple[float, Array]:
    """Norm of the tangential part of a matrix, and its normal part."""
    inner = found.left.T @ G
    below = G - found.left @ inner
    outer = below @ found.right
    tangent = math.hypot(float(np.linalg.norm(inner)), float(np.linalg.norm(outer)))
    return tangent, below - outer @ found.right.T


def leading(problem: Measured, normal: Array) -> tuple[float, Array, Array]:
    """Leading pair: an eigenvector twice where X is symmetric, singular vectors elsewhere."""
    if problem.symmetric:
        values, vectors = np.linalg.eigh(normal)
        return float(values[-1]), vectors[:, -1], vectors[:, -1]
    A, s, Bt = np.linalg.svd(normal, full_matrices=False)
    return float(s[0]), A[:, 0], Bt[0]


def stationarity(problem: Measured, found: Frame, X: Array, r: Array, error: float) -> Certificate:
    """First and second order conditions of ``1/(2 M) sum r_i^2`` over matrices of rank k."""
    y, count = problem.y, problem.y.size
    length = float(np.linalg.norm(y))
    pulled = float(np.linalg.norm(problem.adjoint(y))) or 1.0
    size = float(np.linalg.norm(found.values))
    spread = max(1.0, size * pulled / (length * length)) if length > 0 else 1.0
    G = problem.adjoint(r)
    tangent, normal = split(problem, found, G)
    sigma, u, v = leading(problem, normal)
    curvature = math.inf
    for j in range(found.values.size):
        a, b = np.outer(u, found.right[:, j]), np.outer(found.left[:, j], v)
        if problem.symmetric:
            both = problem.measure(a + b)
            h = 0.5 * float(both @ both)
        else:
            first, second = problem.measure(a), problem.measure(b)
            h = float(np.linalg.norm(first) * np.linalg.norm(second) + first @ second)
        curvature = min(curvature, float(found.values[j]) * max(h, 0.0))
    excess = max(0.0, sigma - curvature)
    floor = error * problem.frobenius() / pulled  # type: ignore[attr-defined]
    value = max(spread * tangent, excess) / pulled + floor
    fit = float(np.linalg.norm(r)) / (length or 1.0)
    return Certificate(
        "stationarity",
        value,
        0.5 * float(r @ r) / count,
        rigorous=fit * fit <= value,
        scale=0.5 * length * length / count or 1.0,
        lower_bound=0.0,
        details={
            "tangent": tangent / pulled,
            "excess": excess / pulled,
            "spread": spread,
            "fit": fit,
            "floor": floor,
        },
    )


def sharpness(problem: Measured, found: Frame, X: Array, r: Array, error: float) -> Certificate:
    """Condition for a strict local minimum of ``sum |r_i|`` over matrices of rank k.

    Multipliers s of the inliers, of modulus at most 1, must balance the signs of the outliers on
    the tangent space. What is not balanced, a modulus above 1, residuals of the inliers and a
    descent that was found in the normal space count.
    """
    y, count = problem.y, problem.y.size
    scale = float(np.median(np.abs(y))) or float(np.median(np.abs(y[y != 0])))
    rank = int((found.values > NUMERICAL_RANK * found.values[0]).sum()) if found.values[0] else 0
    k = found.values.size
    kept = Frame(found.left[:, :rank], found.values[:rank], found.right[:, :rank])
    inlier = np.abs(r) <= INLIER * scale
    B = tangent_coordinates(problem, kept) / problem.length()  # type: ignore[attr-defined]
    signs = np.sign(r[~inlier])
    target = -(B[~inlier].T @ signs)
    s, rest = multipliers(B[inlier], target)
    largest = float(np.abs(s).max(initial=0.0))
    weights = np.zeros(count)
    weights[~inlier], weights[inlier] = signs, s
    escape = descent(problem, kept, k, r, weights)
    unbalanced = rest / math.sqrt(signs.size + 1)
    inside = float(np.abs(r[inlier]).mean()) / scale if inlier.any() else 0.0
    floor = error / scale
    value = unbalanced + max(0.0, largest - 1.0) + inside + min(1.0, escape) + floor
    return Certificate(
        "sharpness",
        value,
        float(np.abs(r).sum()) / count,
        rigorous=False,
        scale=scale,
        lower_bound=0.0,
        details={
            "sharpness": 1.0 - largest,
            "unbalanced": unbalanced,
            "inlier_residual": inside,
            "inlier_share": float(inlier.mean()),
            "escape": escape,
            "floor": floor,
        },
    )


def tangent_coordinates(problem: Measured, kept: Frame) -> Array:
    """Row i: the tangential part of ``A_i`` in coordinates that keep inner products."""
    A, left, right = problem.A, kept.left, kept.right
    if not isinstance(A, np.ndarray):
        return measured_basis(problem, kept)
    count = A.shape[0]
    if problem.symmetric:
        G = 0.5 * (A @ left + A.transpose(0, 2, 1) @ left)
        inner = left.T @ G
        outer = math.sqrt(2.0) * (G - left @ inner)
    else:
        inner = left.T @ A
        G = A @ right
        outer = G - left @ (left.T @ G)
    return np.concatenate([outer.reshape(count, -1), inner.reshape(count, -1)], axis=1)


def measured_basis(problem: Measured, kept: Frame) -> Array:
    """The same in other coordinates, by products alone: measurements of an orthonormal basis."""
    k, n = kept.values.size, problem.shape[1]
    normal = np.linalg.qr(kept.left, mode="complete")[0][:, k:]
    basis = [np.outer(u, v) for u in normal.T for v in kept.right.T]
    if problem.symmetric:
        root = math.sqrt(0.5)
        basis = [root * (Z + Z.T) for Z in basis]
        for i, u in enumerate(kept.left.T):
            basis.append(np.outer(u, u))
            basis += [root * (np.outer(u, w) + np.outer(w, u)) for w in kept.left.T[:i]]
    else:  # the part with left singular vectors: all of left' Z
        basis += [np.outer(u, e) for u in kept.left.T for e in np.eye(n)]
    columns = [problem.measure(Z) for Z in basis]
    return np.column_stack(columns) if columns else np.zeros((problem.y.size, 0))


def multipliers(B: Array, target: Array) -> tuple[Array, float]:
    """Solve ``B' s = target`` by least norm; where a modulus exceeds 1, look inside the box.

    Returns s and the norm of what remains.
    """
    if not B.size or not target.any():
        return np.zeros(B.shape[0]), float(np.linalg.norm(target))
    if B.shape[1] > LARGEST_GRAM:
        s = cgls(B.T, target)
        return s, float(np.linalg.norm(B.T @ s - target))
    values, vectors = np.linalg.eigh(B.T @ B)
    good = values > 1e-11 * max(values[-1], 1e-300)
    root = vectors[:, good] / values[good]
    turned = vectors[:, good]

    def project(z: Array) -> Array:
        return z + B @ (root @ (turned.T @ (target - B.T @ z)))

    s = project(project(np.zeros(B.shape[0])))
    if np.abs(s).max() > 1.0:  # Douglas and Rachford, between the affine space and the box
        z, steps = s, min(DR_STEPS, 4_000_000_000 // (4 * B.size))
        for _ in range(steps):
            s = project(z)
            if np.abs(s).max() <= 0.5 * (1.0 + MARGIN):
                break
            z = z + np.clip(2.0 * s - z, -MARGIN, MARGIN) - s
        s = np.clip(s, -1.0, 1.0) if np.abs(s).max() < 1.0 + 1e-9 else s
    return s, float(np.linalg.norm(B.T @ s - target))


def cgls(K: Array, target: Array, steps: int = 300) -> Array:
    """Least-norm solution of ``K s = target`` by conjugate gradients on the normal equations."""
    s = np.zeros(K.shape[1])
    r = target.copy()
    g = K.T @ r
    p, size = g, float(g @ g)
    first = size
    for _ in range(steps):
        if not size > 1e-28 * first:
            break
        q = K @ p
        a = size / float(q @ q)
        s, r = s + a * p, r - a * q
        g = K.T @ r
        last, size = size, float(g @ g)
        p = g + (size / last) * p
    return s


def descent(problem: Measured, kept: Frame, k: int, r: Array, weights: Array) -> float:
    """Largest decrease of ``sum |r_i|`` found along the leading normal pair, over its modulus."""
    S = problem.adjoint(weights)
    value, u, v = leading(problem, split(problem, kept, S)[1])
    if not value > 0.0:
        return 0.0
    straight = problem.measure(np.outer(u, v))
    modulus = float(np.abs(straight).sum())
    if not modulus > 0.0:
        return 0.0
    now, best = float(np.abs(r).sum()), 0.0

    def gain(t: float, moved: Array) -> float:
        return float((now - np.abs(r - moved).sum()) / (t * modulus))

    if kept.values.size < k:
        largest = float(np.linalg.norm(problem.y) / np.linalg.norm(straight))
        for t in largest * 0.5 ** np.arange(30):
            best = max(best, gain(t, t * straight))
        return best
    last = float(kept.values[-1])
    up = problem.measure(np.outer(u, kept.right[:, -1]))
    down = problem.measure(np.outer(kept.left[:, -1], v))
    sizes = [1.0] if problem.symmetric else [2.0**e for e in range(-20, 21, 2)]
    longest = min(0.01 * last, float(np.linalg.norm(problem.y) / np.linalg.norm(straight)))
    for t in longest * 0.5 ** np.arange(20):
        for a in sizes:
            side = math.sqrt(t * last) * (a * up + down / a)
            best = max(best, gain(t, side + t * straight))
    return best
