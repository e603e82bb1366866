"""The certificates once more, in plain numpy, with normal equations where the library uses SVD."""

import numpy as np

EPS = 2.220446049250313e-16


def kkt(g, c, G, x, multipliers=None, scale=1.0):
    """Value of a point of an EqualityNLP with exact derivatives."""
    candidates = [np.linalg.pinv(G.T) @ -g if c.size else np.zeros(0)]
    if multipliers is not None:
        candidates.append(multipliers)
    best = np.inf
    for l in candidates:
        stationarity = np.abs(g + sum((l[i] * G[i] for i in range(c.size)), 0 * g)).max()
        moduli = np.abs(g) + sum((abs(l[i]) * np.abs(G[i]) for i in range(c.size)), 0 * g)
        best = min(best, stationarity + EPS * moduli.max())
        if best == stationarity + EPS * moduli.max():
            chosen = stationarity, EPS * moduli.max()
    stationarity, floor = chosen
    violation = max([abs(v) for v in c], default=0.0)
    rounding = EPS * max([np.abs(G[i]) @ np.abs(x) for i in range(c.size)], default=0.0)
    return (max(stationarity, violation) + max(floor, rounding)) / scale


def projected_gradient(g, x, lower, upper, scale=1.0):
    """Value of a point of a SmoothProblem with exact gradient, inside its box."""
    worst = 0.0
    for gj, xj, low, high in zip(g, x, lower, upper, strict=True):
        worst = max(worst, abs(xj - min(max(xj - gj, low), high)))
    return worst / scale
