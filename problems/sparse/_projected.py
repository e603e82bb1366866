"""A dual point of least squares without a penalty: the residual off the span of free columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fejer.evidence import Array

if TYPE_CHECKING:
    from ._squares import Squares

__all__ = ["projected_dual"]

CUT = 1e-13  # relative singular value below which a direction is rounding
LARGEST = 40_000_000  # entries of the free columns beyond which no basis is formed


def projected_dual(problem: Squares, w: Array, r: Array) -> float | None:
    """Return a lower bound of ``min 1/2 ||z - Z w||^2`` over the box; None where it is too large.

    theta is r less its projection on the span of the free columns, to which bound columns that push
    inwards are added until none is left.  Then ``z'theta - 1/2 ||theta||^2 - sum c_j w_j`` over the
    bound columns is below the minimum, with ``c = Z'theta``: those push outwards, the others not
    at all.
    """
    form, design = problem.form, problem.design
    lower, upper, norms = form.lower, form.upper, design.norms
    there = (norms > 0) & (lower < upper)
    free = there & (lower < w) & (w < upper)
    threshold = 64 * 2.0**-53 * problem.z_norm
    while True:
        if int(free.sum()) * r.size > LARGEST:
            return None
        Q = _basis(problem, free)
        theta = r - Q @ (Q.T @ r)
        theta -= Q @ (Q.T @ theta)
        c = design.adjoint(theta)
        scaled = np.divide(c, norms, out=np.zeros_like(c), where=norms > 0)
        inward = there & ~free & np.where(w <= lower, scaled > threshold, scaled < -threshold)
        if not inward.any():
            break
        free |= inward
    bound = float(problem.z @ theta) - 0.5 * float(theta @ theta)
    held = ~free
    return bound - float(c[held] @ w[held])


def _basis(problem: Squares, free: NDArray[np.bool_]) -> Array:
    """Orthonormal basis of the span of the chosen columns; the last one is remembered."""
    memo: dict[Any, Array] = problem.design.matrix.fact("bases", dict)
    key = (problem.form.intercept, free.tobytes())
    Q = memo.get(key)
    if Q is None:
        chosen = np.flatnonzero(free)
        if chosen.size:
            columns = problem.design.columns(chosen) / problem.design.norms[chosen]
            U, s, _ = np.linalg.svd(columns, full_matrices=False)
            Q = np.ascontiguousarray(U[:, s > CUT * s[0]])
        else:
            Q = np.zeros((problem.z.size, 0))
        memo.clear()
        memo[key] = Q
    return Q
