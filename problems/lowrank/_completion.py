"""Certificates of matrix completion: the duality gap, and the conditions of a local minimum."""

from __future__ import annotations

import math

import numpy as np

from fejer.evidence import Array, Certificate, failed
from fejer.numerics.compressed import Compressed

from ._entries import ROUNDING, Residual, normal_part, pair_curvature, residual
from ._factors import Spectrum, spectrum

GAP_STEPS = 80
OVERFLOW = "the point is so large that the objective overflows"
MANY = 200_000  # entries from which the second order condition is tested with fewer steps


def curvature_steps(entries: int) -> int:
    """Lanczos steps for the leading normal pair: any pair gives a necessary condition."""
    return 12 if entries >= MANY else 32


def judge(
    by_row: Compressed, shape: tuple[int, int], U: Array, V: Array, reg: float, square: float
) -> Certificate:
    """Judge ``X = U V'``; ``square`` is ``||y||^2``."""
    kind = "duality gap" if reg > 0 else "stationarity"
    r = np.empty(by_row.data.size)
    rr, yr, first, second = residual(*by_row, U, V, r)
    found = spectrum(U, V) if math.isfinite(rr + first + second) else None
    if found is None or not math.isfinite(float(found.values.sum())):
        return failed(kind, OVERFLOW, math.inf)
    # Normalised, so that no square of the residual's products overflows or vanishes.
    norm = math.sqrt(rr)
    R = Residual(by_row, r / norm if norm > 0.0 else r, shape)
    if reg > 0:
        return gap(R, norm, found, reg, square, yr, first + 0.5 * second)
    return stationarity(R, norm, found, square, math.sqrt(second))


def gap(
    R: Residual,
    norm: float,
    found: Spectrum,
    reg: float,
    square: float,
    yr: float,
    error: float,
) -> Certificate:
    """Gap of ``1/2 ||P(X) - y||^2 + reg ||X||_*`` to its dual at a multiple of the residual.

    Any ``d`` on the entries with spectral norm at most reg gives the lower bound
    ``<y, d> - 1/2 ||d||^2``; the best multiple of the residual r is clipped on both sides.
    """
    rr = norm * norm
    primal = 0.5 * rr + reg * float(found.values.sum())
    inner, bound, failure = (
        (R.norm(), 0.0, 0.0) if R.small else residual_norm(R, found.left, found.right)
    )
    spectral = norm * max(inner, bound)
    multiple = yr / rr if rr > 0.0 else 0.0
    if spectral > 0.0:
        multiple = min(max(multiple, -reg / spectral), reg / spectral)
    dual = multiple * yr - 0.5 * multiple * multiple * rr
    null = 0.5 * square
    scale = min(null, max(primal, 1e-6 * null)) or 1.0
    # The singular values are as uncertain as the products of the factors that they come from.
    floor = error + ROUNDING * (
        primal + abs(dual) + reg * found.values.size * (found.size + float(found.values.sum()))
    )
    difference = max(0.0, primal - dual)
    return Certificate(
        "duality gap",
        (difference + floor) / scale,
        primal,
        rigorous=True,
        scale=scale,
        lower_bound=dual,
        details={
            "gap": difference,
            "gap_over_null": difference / (null or 1.0),
            "floor": floor / scale,
            "fit": norm / (math.sqrt(square) or 1.0),
            "norm_over_reg": spectral / reg,
            "failure_probability": failure,
        },
    )


def residual_norm(R: Residual, left: Array, right: Array) -> tuple[float, float, float]:
    """Upper bound of ``||R||`` through its four blocks: (0, bound, failure probability).

    With ``a, e, f`` the norms of the blocks that touch the leading c singular vectors, which are
    exact, and w a bound of the rest, ``||[[a, e], [f, w]]||`` bounds the whole. At a solution of
    rank c the off-diagonal blocks vanish and w is smaller than a, so that w need not be sharp. With
    another c the bound holds but is loose: the one that promises most is taken.
    """
    R_right, Rt_left = R.products(left, right)
    core = left.T @ R_right
    below = R_right - left @ core  # normal on the left, k columns
    beside = Rt_left - right @ core.T
    rank = core.shape[0]

    def blocks(c: int) -> tuple[float, float, float]:
        a = spectral(core[:c, :c])
        e = spectral(np.vstack([core[:c, c:].T, beside[:, :c]]))
        f = spectral(np.vstack([core[c:, :c], below[:, :c]]))
        return a, e, f

    def joined(a: float, e: float, f: float, w: float) -> float:
        return spectral(np.array([[a, e], [f, w]]))

    def promise(c: int) -> float:
        a, e, f = options[c]
        return joined(a, e, f, max(0.95 * a, 1.025 * spectral(core[c:, c:])))

    options = [blocks(c) for c in range(rank + 1)]
    cut = min(range(rank, 0, -1), key=promise)
    a, e, f = options[cut]
    steps = GAP_STEPS
    rest = normal_part(R, left[:, :cut], right[:, :cut], steps)
    if rest.value <= a < rest.bound:  # only a sharper bound of the rest can tell
        rest = normal_part(R, left[:, :cut], right[:, :cut], 2 * steps)
    return 0.0, joined(a, e, f, rest.bound) * (1 + 1e-12), rest.failure


def spectral(block: Array) -> float:
    """Largest singular value of a block; 0 of an empty one."""
    return float(np.linalg.norm(block, 2)) if block.size else 0.0


def stationarity(
    R: Residual, norm: float, found: Spectrum, square: float, error: float
) -> Certificate:
    """First and second order conditions of ``1/2 ||P(X) - y||^2`` over matrices of rank k.

    The tangential part of the residual must vanish. Its normal part may not exceed the curvature:
    for a unit pair (u, v) of the normal space, replacing component j by
    ``(sqrt(s_j) u_j + sqrt(t) a u)(sqrt(s_j) v_j + sqrt(t) v / a)'`` changes the objective by
    ``t (h_j - u'Rv) + o(t)`` at the best a, with ``h_j`` as below.

    Some data have no best approximation: the objective falls towards an infimum while X grows
    without end, and its gradient vanishes like 1/||X||. Therefore the tangential part counts times
    the size of X, as the change of the objective along a relative change of X.
    """
    scale = math.sqrt(square) or 1.0
    m, n = R.shape
    share = R.data.size / (m * n)
    # About 1 where the entries that are not observed are of the size of those that are.
    spread = max(1.0, math.sqrt(share) * float(np.linalg.norm(found.values)) / scale)
    R_right, Rt_left = R.products(found.left, found.right)
    below = R_right - found.left @ (found.left.T @ R_right)
    tangent = norm * math.hypot(float(np.linalg.norm(below)), float(np.linalg.norm(Rt_left)))
    part = normal_part(R, found.left, found.right, curvature_steps(R.data.size))
    sigma, curvature = norm * part.value, 0.0
    if sigma > tangent:  # otherwise the excess is below the tangential part
        sums = np.empty((found.values.size, 3))
        pair_curvature(R.indptr, R.indices, part.u, part.v, found.left, found.right, sums)
        h = found.values * (np.sqrt(sums[:, 0]) * np.sqrt(sums[:, 1]) + sums[:, 2])
        curvature = float(np.maximum(h, 0.0).min())
    excess = max(0.0, sigma - curvature)
    floor = error / scale
    value = max(spread * tangent, excess) / scale + floor
    fit = norm / scale
    return Certificate(
        "stationarity",
        value,
        0.5 * norm * norm,
        # The lower bound of the objective is 0: fit^2 is the gap in units of 1/2 ||y||^2.
        rigorous=fit * fit <= value,
        scale=0.5 * square or 1.0,
        lower_bound=0.0,
        details={
            "tangent": tangent / scale,
            "excess": excess / scale,
            "spread": spread,
            "fit": fit,
            "floor": floor,
        },
    )
