"""Lasso problems of few variables, solved exactly by active sets."""

from __future__ import annotations

import numpy as np

from fejer.evidence import Array

ROUNDING = 1e-13
CHANGES = 8  # of the active set, for each variable, after which a column is left to itself


def lasso_column(C: Array, c: Array, w: Array, penalty: float) -> Array:
    """Return ``argmin 1/2 w'C w - c'w + penalty |w|_1`` from w, or w where that is as good.

    Each change of the active set lowers the objective: a step to the minimum for the signs at
    hand, cut where a weight would change its sign, or one more variable, the one whose slope in
    units of its column exceeds the penalty most.
    """
    size = np.sqrt(np.diagonal(C))
    start, w = w, w.copy()
    signs = np.sign(w)
    if penalty == 0.0:
        signs[:] = 1.0
    for _ in range(CHANGES * w.size):
        A = np.flatnonzero(signs)
        if A.size:
            try:
                aim = np.linalg.solve(C[np.ix_(A, A)], c[A] - penalty * signs[A])
            except np.linalg.LinAlgError:
                return start
            crossed = aim * signs[A] <= 0.0
            if penalty > 0.0 and crossed.any():
                # a variable that has just come in stands at 0 and moves by its sign
                share = w[A] / np.where(crossed & (w[A] != aim), w[A] - aim, np.inf)
                share[~crossed] = np.inf
                first = int(share.argmin())
                w[A] += min(1.0, float(share[first])) * (aim - w[A])
                w[A[first]] = signs[A[first]] = 0.0
                continue
            w[A] = aim
        if penalty == 0.0:
            break
        slope = C @ w - c
        excess = (np.abs(slope) - penalty) / size
        excess[signs != 0] = 0.0
        worst = int(excess.argmax())
        if not excess[worst] > ROUNDING * (penalty / size[worst] + size[worst]):
            break
        signs[worst] = -np.sign(slope[worst])

    def value(v: Array) -> float:
        return float(0.5 * v @ C @ v - c @ v + penalty * np.abs(v).sum())

    return w if np.isfinite(w).all() and value(w) < value(start) else start
