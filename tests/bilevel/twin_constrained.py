"""The certificate of `ConstrainedBilevel` in plain numpy and scipy, written from its definition."""

import numpy as np
from scipy.optimize import lsq_linear

HEAVY = 1e5  # weight of side conditions


def four_numbers(problem, w):
    """Lower stationarity, feasibility, complementarity and upper stationarity; linear g only."""
    n, m = problem.x0.size, problem.y0.size
    x, y = w[:n], w[n:]
    rows, level, equal = [], [], []  # of the lower level, bounds of y included
    if problem.h is not None:
        Gx = np.zeros((problem.h.size, n)) if problem.Gx is None else np.asarray(problem.Gx)
        Gy = np.zeros((problem.h.size, m)) if problem.Gy is None else np.asarray(problem.Gy)
        for i in range(problem.h.size):
            size = np.linalg.norm(Gy[i])
            rows.append(np.append(Gx[i], Gy[i]) / size)
            level.append(problem.h[i] / size)
            equal.append(bool(problem.equality[i]))
    for j in range(m):
        for sign, bound in ((1.0, problem.y_upper[j]), (-1.0, -problem.y_lower[j])):
            if np.isfinite(bound):
                e = np.zeros(n + m)
                e[n + j] = sign
                rows.append(e)
                level.append(bound)
                equal.append(False)
    A = np.array(rows).reshape(-1, n + m)
    g = A @ w - np.array(level)
    equal = np.array(equal, dtype=bool)
    uppers, upper_level = [], []
    if problem.u is not None:
        for i in range(problem.u.size):
            row = np.append(np.asarray(problem.Ux)[i], np.asarray(problem.Uy)[i])
            uppers.append(row / np.linalg.norm(row))
            upper_level.append(problem.u[i] / np.linalg.norm(row))
    for j in range(n):
        for sign, bound in ((1.0, problem.upper[j]), (-1.0, -problem.lower[j])):
            if np.isfinite(bound):
                e = np.zeros(n + m)
                e[j] = sign
                uppers.append(e)
                upper_level.append(bound)
    U = np.array(uppers).reshape(-1, n + m)
    beyond = U @ w - np.array(upper_level)

    unit = problem.lower_unit
    slope = problem.grad_y_f(x, y) / unit
    active = equal | (g >= -1e-6)
    l = np.zeros(len(g))
    if active.any():
        low = np.where(equal[active], -np.inf, 0.0)
        found = lsq_linear(A[active][:, n:].T, -slope, (low, np.inf), method="bvls", tol=1e-15)
        l[active] = found.x
    stationarity = np.linalg.norm(slope + A[:, n:].T @ l)
    feasibility = max(np.max(np.where(equal, np.abs(g), g), initial=0.0), np.max(beyond, initial=0))
    complementarity = np.max(np.abs(l * g)[~equal], initial=0.0)

    H = problem.hess_f(x, y) / unit
    H = H.toarray() if hasattr(H, "toarray") else H
    target = np.append(problem.grad_x_F(x, y), problem.grad_y_F(x, y))
    strong = active & (equal | (l > 1e-6))
    weak = active & ~strong
    touching = beyond >= -1e-6
    k, s, b, q = m, strong.sum(), weak.sum(), touching.sum()
    # columns: nu, a of strong rows, a of weak rows, b of weak rows, multipliers above
    top = np.hstack([H.T, A[strong].T, A[weak].T, np.zeros((n + m, b)), U[touching].T])
    side = np.hstack([A[strong][:, n:], np.zeros((s, s + b + b + q))])
    more = np.hstack([A[weak][:, n:], np.zeros((b, s + b)), -np.eye(b), np.zeros((b, q))])
    M = np.vstack([top, HEAVY * side, HEAVY * more])
    free = np.full(k + s, -np.inf)
    lows = np.concatenate([free, np.zeros(b + b + q)])
    side = np.zeros(s + b)
    found = lsq_linear(M, -np.append(target, side), (lows, np.inf), method="bvls", tol=1e-15)
    return stationarity, feasibility, complementarity, np.sqrt(2 * found.cost)


def to_disc(x, y):
    return x, y / max(1.0, np.linalg.norm(y))


DISC = {
    "F": lambda x, y: 0.5 * (x[0] - 1) ** 2 + 0.5 * np.sum((y - [0.7, 0.7]) ** 2),
    "grad_x_F": lambda x, y: x - 1,
    "grad_y_F": lambda x, y: y - [0.7, 0.7],
    "f": lambda x, y: 0.5 * np.sum((y - x) ** 2),
    "grad_x_f": lambda x, y: [np.sum(x - y)],
    "grad_y_f": lambda x, y: y - x,
    "x0": [0.5],
    "y0": [0.0, 0.0],
    "g": lambda x, y: [y @ y - 1],
    "jac_x_g": lambda x, y: [[0.0]],
    "jac_y_g": lambda x, y: [2 * y],
    "hess_f": lambda x, y: [[-1.0, 1.0, 0.0], [-1.0, 0.0, 1.0]],
    "hess_g": lambda x, y, l: 2 * l[0] * np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]),
    "project_C": to_disc,
}


def saddle_value(prep, w, z):
    """v by iterating to rounding."""
    t, l = problem_y(prep, w), z.copy()
    step = prep.steps(1.0)[0]
    for _ in range(20_000):
        old = t, l
        t, l = prep.inner(w, t, l, z, step)
        if max(np.abs(t - old[0]).max(), np.abs(l - old[1]).max(initial=0.0)) < 1e-15:
            break
    u = np.concatenate([w, t, l, z])
    c = 1.0
    problem = prep.problem
    v = problem.upper_value(w) / c + problem.lower_value(w) - prep.merit(u, c)
    return v, t, l


def problem_y(prep, w):
    return prep.problem.parts(w)[1].copy()
