"""A quadratic model plus a separable penalty over a box, minimised to a chosen accuracy."""

from __future__ import annotations

import numpy as np

from fejer.evidence import Array
from fejer.jit import kernel
from fejer.solvers.general._block_updates import Penalty, solve
from fejer.solvers.general._descent import minimiser

__all__ = ["minimise_penalised"]

SWEEPS = 5
ROUNDS = 60
SHARES = (1.0, 0.5, 0.25, 0.1)


def minimise_penalised(
    H: Array, c: Array, penalty: Penalty, w: Array, accuracy: float
) -> tuple[Array, int]:
    """Minimise ``-c'(u - w) + 1/2 (u - w)'H(u - w) + penalty(u)``.

    Sweeps of coordinate descent find the signs, and Newton steps among the coefficients that have
    one do away with the condition number.

    Parameters
    ----------
    H : array, shape (m, m)
        Symmetric, positive semidefinite.
    c : array, shape (m,)
        Minus the gradient of the smooth part at w.
    penalty : Penalty
        Penalty and box.
    w : array, shape (m,)
        Where the model was made; inside the box.
    accuracy : float
        The largest decrease of one coefficient in a sweep, over that in the first one, at which
        the loop ends.

    Returns
    -------
    u : array
        The point.
    rounds : int
        Newton systems that were solved.
    """
    H, c, u = np.ascontiguousarray(H), np.array(c), np.array(w)
    first, last = model_sweeps(H, c, *penalty, u, SWEEPS)
    before = np.inf
    for rounds in range(ROUNDS):
        if last <= accuracy * first:
            return u, rounds
        if last > 0.5 * before and rounds > 2:  # rounding
            return u, rounds
        before = last if rounds > 2 else np.inf
        _newton(H, c, penalty, u)
        last = model_sweeps(H, c, *penalty, u, SWEEPS)[1]
    return u, ROUNDS


def _newton(H: Array, c: Array, penalty: Penalty, u: Array) -> None:
    """One step among the coefficients off their kinks and bounds, c kept at the point."""
    l1, l2, lower, upper = penalty
    moves = (lower < u) & (u < upper) & ((u != 0.0) | (l1 == 0.0)) & (np.diag(H) > 0)
    S = np.flatnonzero(moves)
    if not S.size:
        return
    part = Penalty(l1[S], l2[S], lower[S], upper[S])
    at, pull = u[S], c[S]
    A = H[np.ix_(S, S)]
    d = solve(A + np.diag(part.l2), pull - part.l1 * np.sign(at) - part.l2 * at)
    if not np.isfinite(d).all():
        return
    with np.errstate(divide="ignore", invalid="ignore"):
        kinks = np.where(part.l1 > 0, -at / d, np.inf)
        walls = np.where(d > 0, (part.upper - at) / d, (part.lower - at) / d)
    reach = np.minimum(np.where(kinks > 0, kinks, np.inf), np.where(walls > 0, walls, np.inf))
    best, gain = at, 0.0
    for t in (min(1.0, float(reach.min())), *SHARES):
        new = at + t * d
        new[(new * at < 0.0) & (part.l1 > 0)] = 0.0
        new[reach == t] = np.where(kinks <= walls, 0.0, np.where(d > 0, part.upper, part.lower))[
            reach == t
        ]
        new = np.clip(new, part.lower, part.upper)
        step = new - at
        change = -float(pull @ step) + 0.5 * float(step @ A @ step)
        change += part.value(new) - part.value(at)
        if change < gain:
            best, gain = new, change
    c -= H[:, S] @ (best - at)
    u[S] = best


@kernel
def model_sweeps(H, c, l1, l2, lower, upper, u, sweeps):
    """Coordinate descent, c kept; the largest decrease of a step in the first and last sweep."""
    first = 0.0
    last = 0.0
    for sweep in range(sweeps):
        last = 0.0
        for j in range(u.size):
            goal = minimiser(c[j], u[j], H[j, j], l1[j], l2[j], lower[j], upper[j])
            step = goal - u[j]
            if step != 0.0:
                u[j] = goal
                for k in range(u.size):
                    c[k] -= step * H[j, k]
                last = max(last, (H[j, j] + l2[j]) * step * step)
        if sweep == 0:
            first = last
        if last == 0.0:
            break
    return first, last
