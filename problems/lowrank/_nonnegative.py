"""Nonnegative dictionaries: a start, and the conditions of a local minimum."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fejer.evidence import Array, Certificate, failed

from ._dictionary import ROUNDING, Parts, largest, lifted

LACKING, TURNS = 1e-6, 20
KIND = "projected stationarity"


def start(X: Array, rank: int) -> tuple[Array, Array]:
    """Return the larger of the positive and the negative parts of the leading singular pairs."""
    left, s, right = np.linalg.svd(X, full_matrices=False)
    W, H = np.zeros((len(X), rank)), np.zeros((rank, X.shape[1]))
    for j in range(min(rank, s.size)):
        pairs = []
        for sign in (1.0, -1.0):
            u, v = np.maximum(sign * left[:, j], 0.0), np.maximum(sign * right[j], 0.0)
            pairs.append((float(np.linalg.norm(u) * np.linalg.norm(v)), u, v))
        size, u, v = max(pairs, key=lambda pair: pair[0])
        if size > 0:
            W[:, j] = u / np.linalg.norm(u)
            H[j] = s[j] * size / np.linalg.norm(v) * v
    # A factor of 0 would stay 0: what is lacking begins small and even.
    level = float(np.abs(X).mean()) / rank
    empty = ~(W.any(axis=0) & H.any(axis=1))
    W[:, empty], H[empty] = 1.0 / math.sqrt(len(X)), level
    return W + 1e-3 / math.sqrt(len(X)), H + 1e-3 * level


def curvatures(problem: Any, parts: Parts) -> tuple[float, float]:
    """Bounds of the curvature of the objective in W and in H, the other blocks fixed."""
    W, H, beta, _ = parts
    share = 0.25 if problem.n_classes == 2 else 0.5
    weight = float(np.linalg.norm(beta, 2)) ** 2
    first, second = 2.0 * problem.xi * largest(H) ** 2, 2.0 * problem.xi * largest(W) ** 2
    if problem.model == "filter":
        top = problem.fact("top", ("X",), lambda: largest(problem.X) ** 2)
        return first + (share * top + 2.0 * problem.nu) * weight, second
    return first, second + (share + 2.0 * problem.nu) * weight


def slopes(problem: Any, parts: Parts) -> tuple[float, Array, Array, Array, Array]:
    """The objective, and its gradients by W, H, beta and Gamma."""
    at = lifted(problem, parts)
    W, H, beta, _ = parts
    by_w, by_h = at.slope_b @ H.T, W.T @ at.slope_b
    if problem.model == "filter":
        return at.fun, by_w + at.slope_a @ beta.T, by_h, W.T @ at.slope_a, at.slope_gamma
    return at.fun, by_w, by_h + beta @ at.slope_a, H @ at.slope_a.T, at.slope_gamma


def balanced(problem: Any, parts: Parts) -> Parts:
    """The same products with atoms as long as their codes."""
    W, H, beta, gamma = parts
    w, h = np.linalg.norm(W, axis=0), np.linalg.norm(H, axis=1)
    good = (w > 0) & (h > 0)
    d = np.where(good, np.sqrt(np.where(good, h, 1.0)) / np.sqrt(np.where(good, w, 1.0)), 1.0)
    turned = beta / d[:, None] if problem.model == "filter" else beta * d[:, None]
    return Parts(W * d, H / d[:, None], turned, gamma)


def judge(problem: Any, given: Parts) -> Certificate:
    """Judge by what a projected gradient step of each block gains, and by what atoms are lacking.

    A point outside is judged by its projection, plus its relative distance.
    """
    inside = Parts(np.maximum(given.W, 0.0), np.maximum(given.H, 0.0), given.beta, given.gamma)
    distance = sum(
        float(np.linalg.norm(a - b)) / (float(np.linalg.norm(a)) or 1.0)
        for a, b in zip(given[:2], inside[:2], strict=True)
    )
    parts = balanced(problem, inside)
    fun, by_w, by_h, by_beta, by_gamma = slopes(problem, parts)
    finite = all(math.isfinite(float(np.vdot(g, g))) for g in (by_w, by_h, by_beta, by_gamma))
    if not (math.isfinite(fun) and finite and math.isfinite(distance)):
        return failed(KIND, "the objective overflows", math.inf)
    scale = problem.y.size * math.log(problem.n_classes)
    first, second = curvatures(problem, parts)
    gain = gained(parts.W, by_w, first) + gained(parts.H, by_h, second)
    seen = parts.W.T @ problem.X if problem.model == "filter" else parts.H
    block = parts.W if problem.model == "filter" else parts.H
    share = 0.25 if problem.n_classes == 2 else 0.5
    rows = np.vstack([seen, problem.aux])
    third = share * largest(rows) ** 2 + 2.0 * problem.nu * max(1.0, largest(block) ** 2)
    gain += 0.5 * (float(np.vdot(by_beta, by_beta)) + float(np.vdot(by_gamma, by_gamma))) / third
    stationary = math.sqrt(gain / scale)
    lengths = np.linalg.norm(parts.W, axis=0) * np.linalg.norm(parts.H, axis=1)
    escape = 0.0
    if lengths.min() <= LACKING * lengths.max():
        rest = problem.X - parts.W @ parts.H
        escape = leading_nonnegative(rest) / float(np.linalg.norm(problem.X))
    # Gradients are differences of terms of the size of the objective.
    floor = ROUNDING * (1.0 + math.sqrt(abs(fun) / scale))
    return Certificate(
        KIND,
        stationary + escape + distance + floor,
        fun,
        rigorous=False,
        scale=scale,
        details={
            "stationarity": stationary,
            "escape": escape,
            "distance": distance,
            "floor": floor,
        },
    )


def gained(block: Array, slope: Array, curvature: float) -> float:
    """What a projected gradient step is sure to gain."""
    if not curvature > 0:
        return 0.0
    step = np.maximum(block - slope / curvature, 0.0) - block
    return max(0.0, -float(np.vdot(slope, step)) - 0.5 * curvature * float(np.vdot(step, step)))


def leading_nonnegative(P: Array) -> float:
    """A lower bound of the largest ``u' P v`` over nonnegative unit vectors, and of 0."""
    best = max(0.0, float(P.max()))
    v = np.linalg.norm(np.maximum(P, 0.0), axis=0)
    for _ in range(TURNS):
        u = np.maximum(P @ v, 0.0)
        if not u.any():
            break
        v = np.maximum(P.T @ (u / np.linalg.norm(u)), 0.0)
        best = max(best, float(np.linalg.norm(v)))
    return best
