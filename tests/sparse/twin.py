"""Plain-numpy twins of the certificates of least squares, written from the formulas alone."""

import numpy as np

U = 2.0**-53


def parts(problem):
    """X, y, s, l1, l2, lower, upper, constant, divisor of a Lasso or BoxLeastSquares, dense."""
    X = np.array(problem.X.toarray())
    n, p = X.shape
    get = lambda name, default: getattr(problem, name, default)  # noqa: E731
    s = get("sample_weight", None)
    s = np.ones(n) if s is None else np.array(s)
    omega = get("weights", None)
    omega = np.ones(p) if omega is None else np.array(omega)
    per = s.sum() if problem.scale == "mean" else 1.0
    lower = problem.lower if problem.lower is not None else -np.inf
    upper = problem.upper if problem.upper is not None else np.inf
    lower = np.broadcast_to(lower, p).astype(float)
    upper = np.broadcast_to(upper, p).astype(float)
    if get("positive", False):
        lower = np.maximum(lower, 0)
    out = np.isinf(omega)
    lower, upper = np.where(out, 0, lower), np.where(out, 0, upper)
    omega = np.where(out, 0, omega)
    rho = get("l1_ratio", 1.0)
    l1, l2 = problem.lam * per * rho * omega, problem.lam * per * (1 - rho) * omega
    return X, np.array(problem.y), s, l1, l2, lower, upper, get("fit_intercept", False), per


def objective(problem, x):
    X, y, s, l1, l2, *_, constant, per = parts(problem)
    w, b = (x[:-1], x[-1]) if constant else (x, 0.0)
    r = y - X @ w - b
    return (0.5 * np.sum(s * r**2) + l1 @ np.abs(w) + 0.5 * l2 @ w**2) / per


def least_term(t, l1, l2, low, high):
    """min over v in [low, high] of -t v + l1 |v| + l2/2 v^2, by its candidates."""
    inner = [np.clip(v, low, high) for v in (0.0, low, high)]
    if l2 > 0:
        inner += [np.clip((t - l1) / l2, low, high), np.clip((t + l1) / l2, low, high)]
    return min(-t * v + l1 * abs(v) + 0.5 * l2 * v * v for v in inner)


def certificate(problem, x):
    """(value, objective, lower bound) with a penalty; the rounding terms are left out."""
    X, y, s, l1, l2, lower, upper, constant, per = parts(problem)
    w, b = (x[:-1], x[-1]) if constant else (x, 0.0)
    w = np.clip(w, lower, upper)
    fun = objective(problem, np.append(w, b) if constant else w) * per
    mean_X = s @ X / s.sum() if constant else np.zeros(X.shape[1])
    mean_y = s @ y / s.sum() if constant else 0.0
    Z, z = np.sqrt(s)[:, None] * (X - mean_X), np.sqrt(s) * (y - mean_y)
    start = np.clip(0.0, lower, upper)
    null = 0.5 * np.sum((z - Z @ start) ** 2) + l1 @ np.abs(start) + 0.5 * l2 @ start**2
    scale = min(null or 1.0, max(fun, 1e-6 * (null or 1.0)))
    r = z - Z @ w
    c = Z.T @ r
    with np.errstate(divide="ignore"):
        cut = np.minimum(
            np.where(l1 > 0, fun / l1, np.inf), np.where(l2 > 0, np.sqrt(2 * fun / l2), np.inf)
        )
    push = c - l2 * w
    steep = max(
        [push[j] / l1[j] for j in range(w.size) if l1[j] > 0 and w[j] < upper[j]]
        + [-push[j] / l1[j] for j in range(w.size) if l1[j] > 0 and w[j] > lower[j]]
        + [0.0]
    )
    inside = (lower < w) & (w < upper)
    held = c[~inside] @ w[~inside]
    ridge = r @ r + np.sum((l2 * w**2)[inside])
    best = (z @ r - held) / ridge if ridge else 1.0
    if steep * best > 1:
        best = 1 / steep
    bounds = [0.0]
    for multiple in {1.0, max(best, 0.0)}:
        terms = [
            least_term(multiple * c[j], l1[j], l2[j], max(lower[j], -cut[j]), min(upper[j], cut[j]))
            for j in range(w.size)
        ]
        bounds.append(multiple * (z @ r) - 0.5 * multiple**2 * (r @ r) + sum(terms))
    dual = np.nanmax(bounds)
    return (fun - dual) / scale, fun / per, dual / per, scale / per


def projected(problem, w):
    """The gap over its scale for lam = 0, with least squares instead of orthogonal bases."""
    X, y, *_, lower, upper, _, _ = parts(problem)
    norms = np.linalg.norm(X, axis=0)
    N = X / np.where(norms > 0, norms, 1)
    free = (lower < w) & (w < upper) & (norms > 0)
    r = y - X @ w
    while True:
        theta = r - N[:, free] @ np.linalg.lstsq(N[:, free], r, rcond=1e-13)[0]
        c = N.T @ theta
        push = np.where(w <= lower, c, -c) > 64 * U * np.linalg.norm(y)
        push &= ~free & (norms > 0) & (lower < upper)
        if not push.any():
            break
        free |= push
    held = ~free
    dual = y @ theta - 0.5 * theta @ theta - (norms * c)[held] @ w[held]
    start = np.clip(0.0, lower, upper)
    null = 0.5 * np.sum((y - X @ start) ** 2) or 1.0
    fun = 0.5 * r @ r
    return (fun - max(dual, 0.0)) / min(null, max(fun, 1e-6 * null))
