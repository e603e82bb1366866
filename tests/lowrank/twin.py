"""Matrix completion once more, in plain dense numpy: certificates, softImpute, generators."""

import numpy as np


def dense(problem, values):
    """The matrix with these values at the entries, 0 elsewhere, duplicates added."""
    out = np.zeros(problem.shape)
    for i, j, v in zip(problem.rows, problem.cols, values, strict=True):
        out[i, j] += v
    return out


def split(problem, x):
    m, n = problem.shape
    k = problem.rank
    return x[: m * k].reshape(m, k), x[m * k :].reshape(n, k)


def product(problem, x):
    U, V = split(problem, np.asarray(x))
    return U @ V.T


def packed(problem, X):
    """Balanced factors of the best approximation of X."""
    A, s, Bt = np.linalg.svd(X, full_matrices=False)
    k = problem.rank
    root = np.sqrt(s[:k])
    return np.concatenate([(A[:, :k] * root).ravel(), (Bt[:k].T * root).ravel()])


def objective(problem, x):
    X = product(problem, x)
    r = problem.values - X[problem.rows, problem.cols]
    return 0.5 * r @ r + problem.reg * np.linalg.svd(X, compute_uv=False).sum()


def gap(problem, x):
    """Duality gap over its scale, with the spectral norm from a dense SVD."""
    X = product(problem, x)
    y = problem.values
    r = y - X[problem.rows, problem.cols]
    primal = objective(problem, x)
    norm = np.linalg.norm(dense(problem, r), 2)
    limit = problem.reg / norm if norm else np.inf
    multiple = np.clip((y @ r) / (r @ r) if r @ r else 0.0, -limit, limit)
    best = multiple * (y @ r) - 0.5 * multiple**2 * (r @ r)
    null = 0.5 * y @ y
    return (primal - best) / (min(null, max(primal, 1e-6 * null)) or 1.0)


def stationarity(problem, x):
    """Tangential residual and the excess of the normal residual over the curvature."""
    X = product(problem, x)
    k = problem.rank
    y = problem.values
    r = y - X[problem.rows, problem.cols]
    R = dense(problem, r)
    U, V = split(problem, np.asarray(x))
    QU, QV = np.linalg.qr(U)[0], np.linalg.qr(V)[0]
    A, s, Bt = np.linalg.svd(QU.T @ X @ QV)
    left, right = QU @ A, QV @ Bt.T
    PU, PV = np.eye(len(U)) - left @ left.T, np.eye(len(V)) - right @ right.T
    normal = PU @ R @ PV
    tangent = np.linalg.norm(R - normal)
    u, sigma, vt = np.linalg.svd(normal)
    u, v = u[:, 0], vt[0]
    curvature = []
    for j in range(k):
        a = (u[:, None] * right[:, j])[problem.rows, problem.cols]
        b = (left[:, j][:, None] * v)[problem.rows, problem.cols]
        curvature.append(s[j] * (np.linalg.norm(a) * np.linalg.norm(b) + a @ b))
    excess = max(0.0, float(sigma[0]) - max(0.0, min(curvature)))
    size = np.linalg.norm(y) or 1.0
    spread = max(1.0, np.sqrt(y.size / X.size) * np.linalg.norm(X) / size)
    return max(spread * tangent, excess) / size


def value(problem, x):
    return gap(problem, x) if problem.reg > 0 else stationarity(problem, x)


def soft_impute(problem, reg, sweeps=3000):
    """Proximal gradient with step 1 on the nuclear norm problem; returns X."""
    X = np.zeros(problem.shape)
    y = dense(problem, problem.values)
    mask = dense(problem, np.ones_like(problem.values)) > 0
    Z, t = X, 1.0
    for _ in range(sweeps):
        A, s, Bt = np.linalg.svd(np.where(mask, y, Z), full_matrices=False)
        new = (A * np.maximum(s - reg, 0)) @ Bt
        if np.vdot(Z - new, new - X) > 0:  # restart the momentum
            t = 1.0
        t_next = (1 + np.sqrt(1 + 4 * t * t)) / 2
        Z = new + (t - 1) / t_next * (new - X)
        done = np.linalg.norm(new - X) <= 1e-13 * np.linalg.norm(new)
        X, t = new, t_next
        if done:
            break
    return X
