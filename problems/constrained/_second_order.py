"""Inertia of the KKT matrix at a point, and what it says of the point."""

from __future__ import annotations

from typing import Any

import numpy as np

from fejer.evidence import Array

from . import _oracle as oracle

ROWS = 2000
ZERO = 1e-9  # eigenvalues up to this share of the largest count as zero


def kkt_matrix(problem: Any, x: Array, l: Array) -> Array:
    """Return ``[[H, G'], [G, 0]]``, H the Hessian of the Lagrangian."""
    n, m = x.size, l.size
    K = np.zeros((n + m, n + m))
    with np.errstate(all="ignore"):
        K[:n, :n] = oracle.dense(problem.lagrangian_hessian(x, l)[0])
        K[n:, :n] = oracle.dense(problem.at(x).constraint_jac)
        K[:n, n:] = K[n:, :n].T
    return K


def kkt_inertia(problem: Any, x: Array, l: Array) -> tuple[int, int, int] | None:
    """Return the signs of the eigenvalues of ``[[H, G'], [G, 0]]``, each row scaled to 1."""
    n, m = x.size, l.size
    if n + m > ROWS or not np.isfinite(l).all():
        return None
    K = kkt_matrix(problem, x, l)
    if not np.isfinite(K).all():
        return None
    largest = float(np.abs(K).max(initial=0.0)) or 1.0
    for _ in range(5):  # a congruence keeps the signs; units do not count any more
        size = np.sqrt(np.abs(K).max(axis=1))
        size[size == 0] = 1.0
        K /= np.outer(size, size)
    values = np.linalg.eigvalsh(K)
    # at an approximate solution zero eigenvalues are as far from zero as the point from it
    residual = float(np.abs(problem.at(x).lagrangian_gradient(l)).max(initial=0.0))
    level = (ZERO + 10 * min(residual / largest, 1e-3)) * float(np.abs(values).max(initial=0.0))
    positive, negative = int((values > level).sum()), int((values < -level).sum())
    return positive, negative, n + m - positive - negative


def verdict(inertia: tuple[int, int, int] | None, n: int, m: int) -> str:
    """Name the point; with r the rank of G, K has r negative eigenvalues beside those of H."""
    if inertia is None:
        return "unknown"
    if inertia == (n, m, 0):
        return "strict minimum"
    return "saddle" if inertia[1] > m else "unknown"
