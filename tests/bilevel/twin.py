"""Plain twins of the bilevel classes: long doubles, normal equations, nothing of the library."""

import numpy as np

LONG = np.longdouble


def dense(matrix):
    return np.asarray(matrix.toarray(), dtype=LONG)


def solve(H, b):
    """Cholesky's method in long doubles, for one or several right-hand sides."""
    n = len(H)
    L = np.zeros((n, n), dtype=LONG)
    for j in range(n):
        L[j, j] = np.sqrt(H[j, j] - L[j, :j] @ L[j, :j])
        for i in range(j + 1, n):
            L[i, j] = (H[i, j] - L[i, :j] @ L[j, :j]) / L[j, j]
    x = np.array(b, dtype=LONG)
    for i in range(n):
        x[i] = (x[i] - L[i, :i] @ x[:i]) / L[i, i]
    for i in reversed(range(n)):
        x[i] = (x[i] - L[i + 1 :, i] @ x[i + 1 :]) / L[i, i]
    return x


def quadratic(problem, x):
    """The value and the gradient of Phi at x, and y*(x)."""
    A1, A2, A3 = map(dense, (problem.A1, problem.A2, problem.A3))
    H = A2.T @ A2
    y = solve(H, A2.T @ (problem.b2.astype(LONG) - A3 @ x))
    residual = A1 @ y - problem.b1
    q = solve(H, A1.T @ residual)
    return residual @ residual / 2, -(A3.T @ (A2 @ q)), y


def quadratic_solution(problem):
    """The least-squares problem in x that the bilevel problem is: x*, its matrix, its rank."""
    A1, A2, A3 = map(dense, (problem.A1, problem.A2, problem.A3))
    H = A2.T @ A2
    M = -(A1 @ solve(H, A2.T @ A3)).astype(float)
    d = (problem.b1 - A1 @ solve(H, A2.T @ problem.b2)).astype(float)
    size = np.linalg.norm(M, axis=0)
    possible = np.linalg.norm(A1.astype(float)) * np.linalg.norm(A3.astype(float), axis=0)
    size[~(size > 1e-12 * possible)] = 1.0
    z, _, rank, _ = np.linalg.lstsq(M / size, d, rcond=1e-11)
    return z / size, M, rank


def quadratic_value(problem, x):
    """The certificate from the gap: value = 2 sqrt((Phi - min Phi)/s)."""
    best, M, _ = quadratic_solution(problem)
    fun = float(quadratic(problem, x)[0])
    step = np.linalg.norm(M @ (x - best))
    null = float(problem.b1 @ problem.b1) / 2 or 1.0
    unit = min(null, max(fun, 1e-6 * null))
    return 2 * np.sqrt(step * step / 2 / unit) / problem.scale


def groups(problem):
    m = problem.X_train.shape[1]
    if isinstance(problem.mode, str):
        return np.arange(m) if problem.mode == "feature" else np.zeros(m, int)
    return np.asarray(problem.mode)


def ridge(problem, x):
    """The value of Phi at x, its gradients in x and in the penalties, and y*(x)."""
    X, V = dense(problem.X_train), dense(problem.X_val)
    g = groups(problem)
    penalties = np.exp(np.asarray(x, dtype=LONG))[g]
    H = X.T @ X / len(X) + np.diag(penalties)
    y = solve(H, X.T @ problem.y_train / len(X))
    residual = V @ y - problem.y_val
    q = solve(H, V.T @ residual / len(V))
    slope = np.zeros(len(x), dtype=LONG)
    np.add.at(slope, g, -y * q)
    return residual @ residual / (2 * len(V)), np.exp(np.asarray(x, LONG)) * slope, slope, y


def ridge_sizes(problem):
    X = np.asarray(problem.X_train.toarray())
    squares, g = (X**2).mean(axis=0), groups(problem)
    parts = [squares[(g == k) & (squares > 0)] for k in range(g.max() + 1)]
    return np.array([np.median(part) if part.size else 1.0 for part in parts])


def ridge_weights(problem, x):
    """dp/dt of t = p/(p + s)."""
    s, p = ridge_sizes(problem), np.exp(x)
    return (p + s) ** 2 / s


def ridge_value(problem, x):
    s = ridge_sizes(problem)
    fun, _, slope, _ = ridge(problem, x)
    null = float(problem.y_val @ problem.y_val) / (2 * len(problem.y_val)) or 1.0
    unit = min(null, max(float(fun), 1e-6 * null))
    p = np.exp(x)
    t = p / (p + s)
    low, high = (np.exp(b) / (np.exp(b) + s) for b in (problem.lower, problem.upper))
    moved = np.clip(t - (slope * ridge_weights(problem, x)).astype(float) / unit, low, high)
    return float(np.linalg.norm(t - moved)) / problem.scale
