"""The shortest vector that satisfies many inequalities: active rows guessed, or found by NNLS."""

from __future__ import annotations

from typing import Any

import numpy as np

from fejer.evidence import Array

__all__ = ["shortest"]

DEPENDENT = 1e-13  # squared distance of a unit row from the span of others that counts as none
ROUNDS = 12  # in which violated rows enter a guess, all at once
EMPTY_SET = 1e-8  # residual of the least-distance problem that proves the set empty
RANK = 1e-12  # relative singular value below which a row depends on the others


def shortest(A: Array, room: Array, slack: float, guess: Any = None) -> Array | None:
    """Minimise ``1/2 ||d||^2`` subject to ``A d <= room``.

    Parameters
    ----------
    A : array, shape (p, N)
        Rows of length 1.
    room : array, shape (p,)
        Right-hand sides.
    slack : float
        Violation that is none.
    guess : array of int, optional
        Rows that may be active.

    Returns
    -------
    array, shape (N,), or None
        The solution; None where no d satisfies the rows.

    Raises
    ------
    RuntimeError
        Non-negative least squares cycle.

    Notes
    -----
    With a guess, its rows are improved first: those with negative multipliers leave, violated
    ones enter, as in Newton's method for the dual problem. That ends at the solution, or as soon
    as the dual value does not grow; then, and without a guess, non-negative least squares [1]_
    answer. Nothing is remembered between calls: equal arguments have equal answers.

    Cost: a QR decomposition of the active rows in each round; that of all rows once per active
    one without a guess, 2 to 10 times as long.

    References
    ----------
    .. [1] Lawson and Hanson (1974), Solving Least Squares Problems, chapter 23.

    Examples
    --------
    >>> import numpy as np
    >>> shortest(np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([-1.0, 2.0]), 1e-12)
    array([-1.,  0.])
    """
    from scipy.optimize import nnls

    violation = float(-room.min(initial=0.0))
    if violation <= 0.0:
        return np.zeros(A.shape[1])
    if guess is not None:
        d = _improved(A, room, slack, guess)
        if d is not None:
            return d
    E = np.vstack([-A.T, -room / violation])
    target = np.zeros(E.shape[0])
    target[-1] = 1.0
    u = nnls(E, target, maxiter=30 * E.shape[1])[0]
    r = E @ u - target
    if np.linalg.norm(r) <= EMPTY_SET:
        return None
    # Once more with the active rows alone: they hold to rounding then.
    active = u > 0
    exact = np.linalg.lstsq(A[active], room[active], rcond=RANK)[0]
    if (A @ exact - room).max() <= slack:
        return np.asarray(exact)
    return np.asarray(-violation * r[:-1] / r[-1])


def _improved(A: Array, room: Array, slack: float, guess: Any) -> Array | None:
    """Improve a guess of the active rows; None where that comes to no end."""
    P, length = np.asarray(guess, dtype=int), -1.0
    for _ in range(ROUNDS):
        held = _held(A, room, P)
        while held is not None and (held[0] < 0).any():
            P = P[held[0] > 0]
            held = _held(A, room, P)
        if held is None:
            return None
        d = held[1]
        left = room - A @ d
        violated = np.flatnonzero(left < -slack)
        if not violated.size:
            return d
        now = float(d @ d)
        if now <= length:
            return None
        length = now
        P = np.union1d(P, violated)
    return None


def _held(A: Array, room: Array, P: Any) -> tuple[Array, Array] | None:
    """Return l and ``d = -A_P' l`` with ``A_P d = room_P``; None where rows of P are dependent."""
    from scipy.linalg import solve_triangular

    if not P.size:
        return np.zeros(0), np.zeros(A.shape[1])
    if P.size > A.shape[1]:
        return None
    Q, R = np.linalg.qr(A[P].T)
    if np.abs(np.diag(R)).min() ** 2 <= DEPENDENT:
        return None
    along = solve_triangular(R, room[P], trans=1)
    return -solve_triangular(R, along), Q @ along
