"""Stationarity of bilevel problems with constraints: multipliers of both levels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fejer.evidence import Array

__all__ = [
    "Mask",
    "Rows",
    "excess",
    "lower_multipliers",
    "multiplier_choices",
    "signed_residual",
    "upper_residual",
]

Mask = NDArray[np.bool_]

STRONG = 1e-6  # multipliers above it belong to strongly active rows
RANK = 1e-10  # relative singular value below which directions count as dependent
SIDE = 100.0  # weight of side conditions, relative to what violating them could buy
DEPENDENT = 1e-8  # relative singular value below which active gradients are not independent
MOST_CHOICES = 300
DIRECT_SIGNED = 1500  # the same where some coefficients have a sign: LSMR is slow there
DIRECT = 400  # variables up to which least squares are solved by singular values


@dataclass
class Rows:
    """Active constraints ``A (x, y) <= .``, with the gradients of both levels side by side.

    Attributes
    ----------
    A : array, shape (k, n + m)
        Gradients.
    equality : array of bool, shape (k,)
        Which of them are equations.
    """

    A: Array
    equality: Mask

    def and_(self, other: Rows) -> Rows:
        """Return these rows and others."""
        return Rows(np.vstack([self.A, other.A]), np.append(self.equality, other.equality))

    def of(self, mask: Mask) -> Rows:
        """Return some of the rows."""
        return Rows(self.A[mask], self.equality[mask])


def norm(v: Array) -> float:
    """Euclidean length."""
    return float(np.linalg.norm(v))


def excess(away: float, lowest: float, diameter: float) -> float:
    """Bound a convex function minus its minimum by its slope.

    Parameters
    ----------
    away : float
        Length of the slope.
    lowest : float
        Least curvature.
    diameter : float
        Of the set, inf where it is not bounded.

    Returns
    -------
    float
    """
    curved = away**2 / (2 * lowest) if lowest > 0 else math.inf
    return min(curved, away * diameter if math.isfinite(diameter) else math.inf)


def column_space(M: Array, cut: float) -> Array:
    """Orthonormal basis of the range, without directions of size below ``cut``."""
    if 0 in M.shape:
        return np.zeros((M.shape[0], 0))
    U, s, _ = np.linalg.svd(M, full_matrices=False)
    return U[:, s > max(cut, RANK * s[0])]


def signed_residual(basis: Array, positive: Array, target: Array) -> tuple[Array, Array]:
    """Minimise ``||target + basis z + positive t||`` over z and ``t >= 0``.

    Parameters
    ----------
    basis : array, shape (N, a)
        Orthonormal columns.
    positive : array, shape (N, b)
        Columns whose coefficients have a sign.
    target : array, shape (N,)
        What is to be balanced.

    Returns
    -------
    residual : array, shape (N,)
        At the minimum.
    t : array, shape (b,)
        The coefficients with a sign.
    """
    rest = target - basis @ (basis.T @ target)
    if not positive.shape[1]:
        return rest, np.zeros(0)
    from scipy.optimize import nnls

    columns = positive - basis @ (basis.T @ positive)
    # What is left of a column in the range of the basis is rounding, and must not be scaled up.
    size = np.linalg.norm(positive, axis=0)
    columns[:, np.linalg.norm(columns, axis=0) <= RANK * size] = 0.0
    try:
        t = nnls(columns, -rest, maxiter=30 * columns.shape[1])[0]
    except RuntimeError:  # it cycles; a residual too large is the honest answer
        t = np.zeros(columns.shape[1])
    return rest + columns @ t, t


def lower_multipliers(slope: Array, A: Array, equality: Mask) -> Array:
    """Return l with ``l >= 0`` at inequalities that minimises ``||slope + A'l||``.

    Parameters
    ----------
    slope : array, shape (m,)
        Gradient of f in y.
    A : array, shape (k, m)
        Gradients in y of the active rows.
    equality : array of bool, shape (k,)
        Rows whose multiplier has no sign.

    Returns
    -------
    array, shape (k,)
    """
    l = np.zeros(len(A))
    if not len(A):
        return l
    free = A[equality].T
    t = signed_residual(column_space(free, 0.0), A[~equality].T, slope)[1]
    l[~equality] = t
    if equality.any():
        balance = slope + A[~equality].T @ t
        l[equality] = np.linalg.lstsq(free, -balance, rcond=RANK)[0]
    return l


def multiplier_choices(slope: Array, A: Array, equality: Mask) -> list[Array]:
    """Return the extreme points of the set of multipliers; one where the rows are independent.

    Where active gradients depend on each other, multipliers are not unique, and a point that is
    stationary above for one choice of them need not be a solution: on the other side of it, the
    lower level's solution goes along other rows.

    Parameters
    ----------
    slope : array, shape (m,)
        Gradient of f in y.
    A : array, shape (k, m)
        Gradients in y of the active rows.
    equality : array of bool, shape (k,)
        Rows whose multiplier has no sign.

    Returns
    -------
    list of array
        Empty where there are more than 300 sets of independent rows.
    """
    l = lower_multipliers(slope, A, equality)
    if not len(A):
        return [l]
    s = np.linalg.svd(A, compute_uv=False)
    rank = int((s > DEPENDENT * s[0]).sum())
    if rank == len(A):
        return [l]
    fixed = np.flatnonzero(equality)
    free = np.flatnonzero(~equality)
    basis = column_space(A[fixed].T, 0.0).shape[1]
    count = min(rank - basis, free.size)
    if math.comb(free.size, count) > MOST_CHOICES:
        return []
    allowed = norm(slope + A.T @ l) + STRONG
    found: list[Array] = []
    for chosen in combinations(free, count):
        rows = np.append(fixed, np.array(chosen, dtype=int))
        B = A[rows]
        if np.linalg.matrix_rank(B, tol=DEPENDENT) < rank:
            continue
        part = np.linalg.lstsq(B.T, -slope, rcond=RANK)[0]
        signs = part[fixed.size :]
        if norm(slope + B.T @ part) <= allowed and (signs >= -STRONG).all():
            extreme = np.zeros(len(A))
            extreme[rows] = part
            extreme[free] = np.maximum(extreme[free], 0.0)
            if not any(np.allclose(extreme, other, atol=STRONG) for other in found):
                found.append(extreme)
    return found or [l]


def upper_residual(
    target: Array, H: Any, lower: Rows, multipliers: Array, upper: Rows, cut: float
) -> tuple[float, float]:
    """Return how far a point is from strong stationarity, and the moduli of the terms.

    The minimum over nu, a, b of ``||target + H'nu + A'a + B'b||`` where ``A_y nu = 0`` and a is
    free on the strongly active rows of the lower level, ``A_y nu >= 0`` and ``a >= 0`` on those
    with multiplier 0, and ``b >= 0`` on the active inequalities of the upper level.

    Parameters
    ----------
    target : array, shape (n + m,)
        Gradient of F.
    H : array, sparse array or operator, shape (m, n + m)
        Derivative of the gradient in y of the lower level's Lagrangian.
    lower, upper : Rows
        Active rows of both levels.
    multipliers : array
        Of the rows of `lower`.
    cut : float
        Size below which H is noise.

    Returns
    -------
    residual : float
        The minimum.
    terms : float
        Sum of the moduli of the terms with a sign, which rounding is relative to.
    """
    m = H.shape[0]
    strong = lower.equality | (multipliers > STRONG)
    fixed, weak = lower.A[strong], lower.A[~strong]
    spaces = column_space(fixed[:, -m:].T, 0.0)
    free = np.vstack([fixed, upper.A[upper.equality]]).T
    signed = np.vstack([weak, upper.A[~upper.equality]]).T
    if target.size > (DIRECT_SIGNED if signed.shape[1] else DIRECT):
        return _iterative(target, H, spaces, free, signed, weak[:, -m:], cut)
    dense = np.asarray(H.toarray() if hasattr(H, "toarray") else H @ np.eye(target.size))
    columns = dense.T - (dense.T @ spaces) @ spaces.T
    # Rows A_y nu - b = 0, b >= 0, heavier than what a violation could buy.
    weight = SIDE * (norm(dense) or 1.0)
    aside = weak[:, -m:] - (weak[:, -m:] @ spaces) @ spaces.T
    k = len(weak)
    # What is left of H on the space of nu may be rounding alone: it is cut relative to H itself.
    basis = column_space(np.vstack([columns, weight * aside]), max(cut, RANK * norm(dense)))
    extra = np.vstack([free, np.zeros((k, free.shape[1]))])
    extra = extra - basis @ (basis.T @ extra)
    basis = np.hstack([basis, column_space(extra, 1e-9)])
    slacks = np.vstack([np.zeros((target.size, k)), -weight * np.eye(k)])
    positive = np.hstack([np.vstack([signed, np.zeros((k, signed.shape[1]))]), slacks])
    residual, t = signed_residual(basis, positive, np.append(target, np.zeros(k)))
    return norm(residual), float(t @ np.linalg.norm(positive, axis=0))


def _iterative(
    target: Array, H: Any, spaces: Array, free: Array, signed: Array, weak: Array, cut: float
) -> tuple[float, float]:
    """Do the same by LSMR; nu is held orthogonal to weakly active rows, which is sufficient."""
    from scipy.sparse.linalg import LinearOperator

    spaces = column_space(np.hstack([spaces, weak.T]), 0.0)
    basis = column_space(free, 0.0)
    m = H.shape[0]

    def inside(v: Array) -> Array:
        return v - spaces @ (spaces.T @ v)

    def off(r: Array) -> Array:
        return r - basis @ (basis.T @ r)

    transposed = H.T if hasattr(H, "T") else H.adjoint()
    operator = LinearOperator(
        (target.size, m),
        matvec=lambda v: off(transposed @ inside(v.ravel())),
        rmatvec=lambda r: inside(H @ off(r.ravel())),
        dtype=np.float64,
    )
    rest = off(target)
    columns = signed - basis @ (basis.T @ signed)
    chosen = np.zeros(signed.shape[1], dtype=bool)
    # Columns with a sign enter one after another, as in non-negative least squares, with nu
    # computed anew in between; a residual too large is the honest answer where that ends early.
    residual, t = rest, np.zeros(signed.shape[1])
    for _ in range(1 + 2 * signed.shape[1]):
        t = np.zeros(signed.shape[1])
        if chosen.any():
            reduced = np.column_stack([_off_range(operator, c, cut) for c in columns[:, chosen].T])
            t[chosen] = np.linalg.lstsq(reduced, -_off_range(operator, rest, cut), rcond=RANK)[0]
            if (t < 0).any():
                chosen &= t > 0
                continue
        residual = _off_range(operator, rest + columns @ t, cut)
        gains = -columns.T @ residual
        gains[chosen] = 0.0
        if not gains.size or gains.max() <= 1e-10 * (1.0 + norm(target)):
            break
        chosen[int(np.argmax(gains))] = True
    return norm(residual), float(np.abs(t) @ np.linalg.norm(signed, axis=0))


def _off_range(operator: Any, v: Array, cut: float) -> Array:
    from scipy.sparse.linalg import lsmr

    z = lsmr(operator, -v, damp=cut, atol=1e-14, btol=1e-14, maxiter=4 * operator.shape[1])[0]
    return np.asarray(v + operator @ z)
