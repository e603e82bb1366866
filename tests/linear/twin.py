"""The certificate of a linear program in plain numpy, one entry at a time, and random programs."""

import numpy as np
from scipy import optimize

import fejer

U = 2.0**-53


def entries(lp):
    return np.asarray(lp.A.toarray())


def typical(values, otherwise):
    values = [abs(v) for v in values if v and np.isfinite(v)]
    return (np.median(values), min(values)) if values else otherwise


def judge(lp, x, y):
    """The value of the certificate, the gap's scale and the rounding share of the gap."""
    A, c = entries(lp), lp.c
    m, n = A.shape
    rows, box = [*lp.row_lower, *lp.row_upper], [*lp.lower, *lp.upper]
    s_b, least_b = typical(rows, None) or typical(box, (1.0, 1.0))
    s_c, least_c = typical(c, (1.0, 1.0))
    has_rows = typical(rows, None) is not None
    largest = (np.abs(A).max(initial=0.0) or 1.0) if has_rows else 1.0
    worst, violation = 0.0, np.zeros(m)
    for i in range(m):
        low, high = lp.row_lower[i], lp.row_upper[i]
        moduli = sum(abs(A[i, j] * x[j]) for j in range(n))
        size = max([abs(b) for b in (low, high) if np.isfinite(b)], default=0.0)
        error = 4 * U * (moduli + size)
        value = sum(A[i, j] * x[j] for j in range(n))
        violation[i] = max(low - value, value - high, 0.0)
        for bound, off in ((low, low - value), (high, value - high)):
            if np.isfinite(bound):
                worst = max(worst, (off + error) / (abs(bound) or s_b))
    out = np.zeros(n)
    for j in range(n):
        out[j] = max(lp.lower[j] - x[j], x[j] - lp.upper[j], 0.0)
        for bound, off in ((lp.lower[j], lp.lower[j] - x[j]), (lp.upper[j], x[j] - lp.upper[j])):
            if np.isfinite(bound):
                worst = max(worst, off / (abs(bound) or s_b))
    y = [
        0.0 if (v > 0 and low == -np.inf) or (v < 0 and high == np.inf) else v
        for v, low, high in zip(y, lp.row_lower, lp.row_upper, strict=True)
    ]
    p = sum(c * x)
    d, excess = 0.0, sum(abs(v) * w for v, w in zip(y, violation, strict=True))
    floor = sum(abs(c * x))
    for i in range(m):
        if y[i]:
            term = y[i] * (lp.row_lower[i] if y[i] > 0 else lp.row_upper[i])
            d, floor = d + term, floor + abs(term)
    for j in range(n):
        z = c[j] - sum(A[i, j] * y[i] for i in range(m))
        moduli = abs(c[j]) + sum(abs(A[i, j] * y[i]) for i in range(m))
        error = 4 * U * moduli
        for side, pushed in ((lp.lower[j], z), (lp.upper[j], -z)):
            if np.isinf(side):
                worst = max(worst, (pushed + error) / (abs(c[j]) or s_c))
        bound = lp.lower[j] if z > 0 else lp.upper[j]
        excess += abs(z) * out[j]
        if z and np.isinf(bound):
            excess += abs(z * x[j])
            bound = 0.0
        elif z:
            d += z * bound
        if abs(z) <= error:
            bound = max([abs(b) for b in (lp.lower[j], lp.upper[j]) if np.isfinite(b)], default=0.0)
        floor += moduli * abs(bound)
    scale = max(abs(p), abs(d), least_b * least_c / largest)
    return max(worst, (abs(p - d) + excess + 4 * U * floor) / scale), scale, 4 * U * floor / scale


def oracle(lp):
    """Status (0 solved, 2 infeasible, 3 unbounded) and optimal value by scipy's milp."""
    A = lp.A.tosparse() if lp.A.is_sparse else entries(lp)
    rows = optimize.LinearConstraint(A, lp.row_lower, lp.row_upper) if lp.A.shape[0] else ()
    found = optimize.milp(lp.c, constraints=rows, bounds=optimize.Bounds(lp.lower, lp.upper))
    return found.status, found.fun


def general(seed, m=6, n=9):
    """A feasible, bounded program with every kind of row and variable, and its optimal value."""
    rng = np.random.default_rng(seed)
    A = rng.integers(-3, 4, (m, n)) * rng.choice([1.0, 0.5, 10.0], (m, 1))
    A[rng.integers(m)] *= rng.integers(2)  # now and then an empty row
    x, y, z = rng.normal(size=n).round(2), rng.normal(size=m), rng.normal(size=n)
    lower, upper = np.full(n, -np.inf), np.full(n, np.inf)
    for j, kind in enumerate(rng.integers(5, size=n)):
        if kind == 0:
            z[j] = 0.0  # free
        elif kind == 1:
            lower[j] = upper[j] = x[j]
        elif kind == 2:
            lower[j], z[j] = x[j], abs(z[j])
        elif kind == 3:
            upper[j], lower[j], z[j] = x[j], x[j] - rng.uniform(0.1, 2), -abs(z[j])
        else:
            lower[j], upper[j], z[j] = x[j] - 1, x[j] + 1, 0.0
    Ax = A @ x
    row_lower, row_upper = np.full(m, -np.inf), np.full(m, np.inf)
    for i, kind in enumerate(rng.integers(5, size=m)):
        if kind == 0:
            row_lower[i] = row_upper[i] = Ax[i]
        elif kind == 1:
            row_lower[i], y[i] = Ax[i], abs(y[i])
        elif kind == 2:
            row_upper[i], row_lower[i], y[i] = Ax[i], Ax[i] - 3, -abs(y[i])
        elif kind == 3:
            row_lower[i], row_upper[i], y[i] = Ax[i] - 1, Ax[i] + 2, 0.0
        else:
            y[i] = 0.0
    c = A.T @ y + z
    return fejer.LinearProgram(c, A, row_lower, row_upper, lower, upper), float(c @ x)
