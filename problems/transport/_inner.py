"""Entropic transport between uniform samples, solved inside an objective."""

from __future__ import annotations

import math

import numpy as np

from fejer.evidence import Array
from fejer.jit import kernel
from fejer.numerics.elementary import exp
from fejer.problems.transport._gibbs import exponent, gibbs_matrix, log_rows

LARGEST = 2.0**57  # scalings beyond this are absorbed into the potentials
TINY = 1e-290
MARGINAL = 1e-10  # L1 violation at which the iterations stop
WARM_UP = 100  # iterations before Newton steps are tried
ITERATIONS = 20_000
NEWTON = 30  # steps at most


@kernel
def solve(C, inverse, a, log_a, log_b, f, g, tol, most, z, w, K, p, u, v):
    """Sinkhorn's iterations in place; returns the last violation.

    One on the potentials, which cannot overflow, then scalings of the kernel matrix K that these
    give, until they are large or sums vanish.
    """
    violation, made, share = np.inf, 0, math.exp(log_b)
    while made < most:
        w[:] = 0.0
        log_rows(C, np.int64(0), 0.0, f, g, inverse, a, log_a, z, w)  # 0 has a type of its own
        violation = 0.0
        for j in range(g.size):
            violation += abs(w[j] - share)
        if violation <= tol:
            return violation
        for j in range(g.size):
            g[j] += (log_b - math.log(max(w[j], TINY))) / inverse
        made += 1
        gibbs_matrix(C, 0.0, f, g, inverse, K)
        u[:] = v[:] = 1.0
        top = 1.0
        while made < most and violation > tol and top < LARGEST:
            w[:] = 0.0
            least = np.inf
            for i in range(p.size):
                row, total = K[i], 0.0
                for j in range(v.size):
                    total += row[j] * v[j]
                p[i] = total
                least = min(least, total)
                factor = a[i] / total
                for j in range(v.size):
                    w[j] += factor * row[j]
            for j in range(v.size):
                least = min(least, w[j])
            if not least > TINY:
                break
            violation = 0.0
            for j in range(v.size):
                violation += abs(v[j] * w[j] - share)
            for i in range(p.size):
                u[i] = a[i] / p[i]
                top = max(top, max(u[i], 1.0 / u[i]))
            made += 1
            if violation > tol:
                for j in range(v.size):
                    v[j] = share / w[j]
                    top = max(top, max(v[j], 1.0 / v[j]))
        for i in range(f.size):
            f[i] += math.log(u[i]) / inverse
        for j in range(g.size):
            g[j] += math.log(v[j]) / inverse
        if violation <= tol:
            return violation
    return violation


@kernel
def solve_symmetric(C, inverse, log_a, f, tol, most, K, p, u):
    """Averaged iterations for a sample and itself, in place; returns the last violation."""
    n = f.size
    violation, made, share = np.inf, 0, math.exp(log_a)
    while made < most:
        violation = 0.0
        for i in range(n):
            total = 0.0
            for j in range(n):
                total += exp(exponent(f[i], f[j], C[i, j], 0.0, inverse))
            p[i] = total
            violation += abs(total - share)
        if violation <= tol:
            return violation
        for i in range(n):
            f[i] += 0.5 * (log_a - math.log(p[i])) / inverse
        made += 1
        gibbs_matrix(C, 0.0, f, f, inverse, K)
        u[:] = 1.0
        top = 1.0
        while made < most and top < LARGEST:
            violation, least = 0.0, np.inf
            for i in range(n):
                row, total = K[i], 0.0
                for j in range(n):
                    total += row[j] * u[j]
                p[i] = total
                least = min(least, total)
                violation += abs(u[i] * total - share)
            if violation <= tol or not least > TINY:
                break
            for i in range(n):
                u[i] = math.sqrt(u[i] * share / p[i])
                top = max(top, max(u[i], 1.0 / u[i]))
            made += 1
        for i in range(n):
            f[i] += math.log(u[i]) / inverse
        if violation <= tol:
            return violation
    return violation


def between(C: Array, eps: float) -> tuple[float, Array, float]:
    """Value with KL(P | a b'), plan, and the L1 violation of its marginals.

    Where some hundred iterations do not do, Newton steps on the second potential follow.
    """
    n, m = C.shape
    a, f, g = np.full(n, 1.0 / n), np.zeros(n), np.zeros(m)
    z, w, v, p, u = np.empty(m), np.empty(m), np.empty(m), np.empty(n), np.empty(n)
    K, log_a, violation = np.empty((n, m)), np.full(n, -math.log(n)), np.inf
    for most in (WARM_UP, 10 * WARM_UP, ITERATIONS):
        violation = solve(
            C, 1.0 / eps, a, log_a, -math.log(m), f, g, MARGINAL, most, z, w, K, p, u, v
        )
        if violation > MARGINAL:
            violation = _newton(C, eps, f, g)
        if violation <= MARGINAL:
            break
    P = np.exp((f[:, None] + g - C) / eps)
    value = float(f.mean() + g.mean()) + eps * (1.0 - float(P.sum()))
    return value + eps * math.log(n * m), P, float(violation)


def _newton(C: Array, eps: float, f: Array, g: Array) -> float:
    """Newton steps in place, as long as they lower the violation; returns it.

    f is always the best one for g, so that the rows are exact.
    """
    n, m = C.shape

    def rows(g: Array) -> tuple[Array, Array]:
        t = (g - C) / eps
        top = t.max(axis=1)
        P = np.exp(t - top[:, None])
        sums = P.sum(axis=1)
        P *= (1.0 / (n * sums))[:, None]
        return P, -eps * (top + np.log(n * sums))

    P, f[:] = rows(g)
    w = P.sum(axis=0)
    violation = float(np.abs(w - 1.0 / m).sum())
    for _ in range(NEWTON):
        if violation <= MARGINAL:
            break
        # Constants are in the kernel of the Laplacian; w w' takes them out of it.
        S = np.diag(np.maximum(w, 0.5 / m)) - n * (P.T @ P) + np.outer(w, w)
        try:
            step = eps * np.linalg.solve(S, 1.0 / m - w)
        except np.linalg.LinAlgError:
            break
        for t in (1.0, 0.5, 0.25, 0.1):
            trial = g + t * step
            Q, best = rows(trial)
            sums = Q.sum(axis=0)
            left = float(np.abs(sums - 1.0 / m).sum())
            if left < (1.0 - 0.1 * t) * violation:
                break
        else:
            break
        g[:], f[:] = trial, best
        P, w, violation = Q, sums, left
    return violation


def within(C: Array, eps: float) -> tuple[float, Array, float]:
    """The same for a sample and itself."""
    n = len(C)
    f = np.zeros(n)
    violation = solve_symmetric(
        C, 1.0 / eps, -math.log(n), f, MARGINAL, ITERATIONS, np.empty((n, n)), np.empty(n),
        np.empty(n),
    )  # fmt: skip
    P = np.exp((f[:, None] + f - C) / eps)
    value = 2.0 * float(f.mean()) + eps * (1.0 - float(P.sum()))
    return value + 2.0 * eps * math.log(n), P, float(violation)
