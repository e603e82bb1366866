"""The certificate of entropic transport once more, in plain numpy and another order."""

import numpy as np


def gibbs(problem, x):
    """The plan of the potentials, cost less its minimum, at the atoms that have weight."""
    a, b = problem.a, problem.b
    C = np.array(problem.cost if isinstance(problem.cost, np.ndarray) else problem.cost.toarray())
    f, g = x[: a.size][a > 0], x[a.size :][b > 0]
    C, a, b = C[a > 0][:, b > 0], a[a > 0], b[b > 0]
    shift = C[np.isfinite(C)].min()
    exponents = (f[:, None] - shift) + (g - (C - shift))
    return a, b, C - shift, shift, np.exp(exponents / problem.epsilon)


def entropy_terms(P):
    positive = P[P > 0]
    return float((positive * (np.log(positive) - 1)).sum())


def rounded(a, b, Z):
    """Altschuler, Weed and Rigollet's rounding by a product; for plans without zeros."""
    P = Z * np.minimum(1, a / Z.sum(axis=1))[:, None]
    P = P * np.minimum(1, b / P.sum(axis=0))
    lacks, missing = np.maximum(a - P.sum(axis=1), 0), np.maximum(b - P.sum(axis=0), 0)
    return P + np.outer(lacks, missing) / max(lacks.sum(), 1e-300)


def certificate(problem, x, P=None):
    """Value, objective and dual value; P is a given rounded plan, else it is formed here."""
    eps = problem.epsilon
    a, b, C, shift, Z = gibbs(problem, x)
    mass = a.sum()
    marginal = np.abs(Z.sum(axis=1) - a).sum() + np.abs(Z.sum(axis=0) - b).sum()
    P = rounded(a, b, Z) if P is None else P[problem.a > 0][:, problem.b > 0]
    cost = float((np.where(P > 0, C, 0) * P).sum())
    objective = cost + shift * mass + eps * entropy_terms(P)
    f, g = x[: problem.a.size][problem.a > 0], x[problem.a.size :][problem.b > 0]
    dual = a @ f + b @ g - eps * Z.sum()
    finite = C[np.isfinite(C)]
    spread = np.median(finite) or np.ptp(finite)
    scale = mass * max(min(spread, cost / mass), eps)
    value = max(marginal / mass, (objective - dual) / scale)
    return value, objective, dual


def sinkhorn(problem, iterations, g=None):
    """Iterations on the potentials by log-sum-exp; returns x."""

    def logsumexp(X, axis):
        top = X.max(axis=axis, keepdims=True)
        return np.log(np.exp(X - top).sum(axis=axis)) + top.squeeze(axis)

    a, b = problem.a, problem.b
    C = np.array(problem.cost if isinstance(problem.cost, np.ndarray) else problem.cost.toarray())
    eps = problem.epsilon
    g = np.zeros(b.size) if g is None else g
    for _ in range(iterations):
        f = eps * np.log(a) - eps * logsumexp((g - C) / eps, axis=1)
        g = eps * np.log(b) - eps * logsumexp((f[:, None] - C) / eps, axis=0)
    return np.concatenate([f, g])
