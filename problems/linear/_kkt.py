"""Judging a point and a dual of a linear program, and proofs by rays."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fejer.evidence import Array

if TYPE_CHECKING:
    from .linear_program import LinearProgram

__all__ = ["Gap", "Primal", "farkas", "gap_of", "into_cone", "kept_signs", "primal_of", "recession"]

ROUND = 4 * 2.0**-53  # of the moduli of the terms of a sum: what rounding can do to it
RAY = 1e-9  # a ray may leave its cone by this share of the moduli of its terms


class Primal(NamedTuple):
    """How far a point is from feasible.

    Attributes
    ----------
    value, floor : float
        Largest relative violation with the share of rounding, and that share.
    rows, variables : array
        Violations in the user's units, without rounding.
    """

    value: float
    floor: float
    rows: Array
    variables: Array


class Gap(NamedTuple):
    """What a dual says of a point.

    Attributes
    ----------
    dual, dual_floor : float
        Largest relative infeasibility of the dual with the share of rounding, and that share.
    gap, gap_floor : float
        The gap, relative, and the share of rounding.
    scale : float
        What the gap is relative to.
    bound : float
        Value of the dual.
    proven : float or None
        A lower bound of the optimal value, where every reduced cost meets a finite bound.
    infeasibilities : array, shape (n,)
        Reduced costs that push against an infinite bound, without rounding; else 0.
    """

    dual: float
    dual_floor: float
    gap: float
    gap_floor: float
    scale: float
    bound: float
    proven: float | None
    infeasibilities: Array


def kept_signs(lp: LinearProgram, y: Array) -> Array:
    """Set multipliers to zero that push against an absent bound of their row."""
    absent = ((y > 0) & np.isneginf(lp.row_lower)) | ((y < 0) & np.isposinf(lp.row_upper))
    return np.where(absent, 0.0, y)


def _excess(off: Array, error: Array, divisor: Array) -> tuple[float, float]:
    """Largest of ``(off + error)+ / divisor``, and how much of it the error can be."""
    total = np.maximum(off + error, 0.0)
    value = float((total / divisor).max(initial=0.0))
    return value, float((np.minimum(total, error) / divisor).max(initial=0.0))


def primal_of(lp: LinearProgram, x: Array) -> Primal:
    """Measure the violations of rows and variables."""
    scales, Ax = lp.scales, lp.A.matvec(x)
    error = ROUND * (lp.A.abs_matvec(x) + scales.row_size)
    under, over = lp.row_lower - Ax, Ax - lp.row_upper
    below, above = lp.lower - x, x - lp.upper  # exact to one rounding: no error to add
    low, low_floor = _excess(under, error, scales.row_lower)
    high, high_floor = _excess(over, error, scales.row_upper)
    left = float((below / scales.lower).max(initial=0.0))
    right = float((above / scales.upper).max(initial=0.0))
    return Primal(
        max(low, high, left, right),
        max(low_floor, high_floor),
        np.maximum(np.maximum(under, over), 0.0),
        np.maximum(np.maximum(below, above), 0.0),
    )


def gap_of(lp: LinearProgram, x: Array, y: Array, primal: Primal) -> Gap:
    """Measure dual infeasibility and gap of a dual whose signs are kept."""
    scales, moduli = lp.scales, np.abs(lp.c)
    terms = moduli + lp.A.abs_rmatvec(y)
    z, error = lp.c - lp.A.rmatvec(y), ROUND * terms
    no_lower, no_upper = np.isneginf(lp.lower), np.isposinf(lp.upper)
    push = np.maximum(np.where(no_lower, z, -np.inf), np.where(no_upper, -z, -np.inf))
    dual, dual_floor = _excess(push, error, scales.costs)

    row_bound = np.where(y > 0, lp.row_lower, np.where(y < 0, lp.row_upper, 0.0))
    bound = np.where(z > 0, lp.lower, np.where(z < 0, lp.upper, 0.0))
    pushes = np.isinf(bound)
    bound[pushes] = 0.0
    p, d = float(lp.c @ x), float(y @ row_bound + z @ bound)
    reach = np.where(np.abs(z) <= error, scales.size, np.abs(bound))
    floor = ROUND * float(moduli @ np.abs(x) + np.abs(y) @ np.abs(row_bound) + terms @ reach)
    # Without these three sums an infeasible pair can have p = d by cancellation.
    excess = float(np.abs(z[pushes]) @ np.abs(x[pushes]) + np.abs(y) @ primal.rows)
    excess += float(np.abs(z) @ primal.variables)
    scale = max(abs(p), abs(d), scales.objective)
    sure = (~no_lower | (z <= -error)) & (~no_upper | (z >= error))
    return Gap(
        dual,
        dual_floor,
        (abs(p - d) + excess + floor) / scale,
        floor / scale,
        scale,
        d,
        d - floor if sure.all() else None,
        np.where(pushes, np.abs(z), 0.0),
    )


def farkas(lp: LinearProgram, ray: Array) -> tuple[float, float] | None:
    """Check that multipliers prove the rows and bounds contradictory.

    Returns
    -------
    tuple of float or None
        Relative violation of the ray, and the norm (sum of moduli) below which no feasible point
        exists; None where the ray proves nothing.
    """
    largest = float(np.abs(ray).max(initial=0.0))
    if not 0 < largest < np.inf:
        return None
    y = kept_signs(lp, ray / largest)
    z = -lp.A.rmatvec(y)
    row_bound = np.where(y > 0, lp.row_lower, np.where(y < 0, lp.row_upper, 0.0))
    bound = np.where(z > 0, lp.lower, np.where(z < 0, lp.upper, 0.0))
    pushes = np.isinf(bound)
    bound[pushes] = 0.0
    terms = np.concatenate([y * row_bound, z * bound])
    value = float(terms.sum())
    bad, moduli = np.abs(z[pushes]), lp.A.abs_rmatvec(y)[pushes]
    if not (value > RAY * float(np.abs(terms).sum()) and (bad <= RAY * moduli).all()):
        return None
    worst = float(bad.max(initial=0.0))
    violation = float((bad / np.where(moduli > 0, moduli, 1.0)).max(initial=0.0))
    return violation, value / worst if worst else np.inf


def recession(lp: LinearProgram, ray: Array) -> float | None:
    """Check that a direction can be followed for ever and lowers the objective.

    Returns
    -------
    float or None
        Relative violation of the ray; None where it proves nothing.
    """
    largest = float(np.abs(ray).max(initial=0.0))
    if not 0 < largest < np.inf:
        return None
    d = ray / largest
    if not np.array_equal(d, into_cone(lp, d)):
        return None
    Ad, moduli = lp.A.matvec(d), lp.A.abs_matvec(d)
    under = np.where(np.isfinite(lp.row_lower), -Ad, 0.0)
    over = np.where(np.isfinite(lp.row_upper), Ad, 0.0)
    bad = np.maximum(np.maximum(under, over), 0.0)
    if not (lp.c @ d < -RAY * (np.abs(lp.c) @ np.abs(d)) and (bad <= RAY * moduli).all()):
        return None
    return float((bad / np.where(moduli > 0, moduli, 1.0)).max(initial=0.0))


def into_cone(lp: LinearProgram, direction: Array) -> Array:
    """Project a direction on those that leave no finite bound of a variable."""
    low = np.where(np.isfinite(lp.lower), 0.0, -np.inf)
    high = np.where(np.isfinite(lp.upper), 0.0, np.inf)
    return np.clip(direction, low, high)
