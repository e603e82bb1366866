"""Entropic transport between uniform samples, solved inside an objective."""

from __future__ import annotations

import math

import numpy as np

from fejer.evidence import Array
from fejer.jit import kernel
from fejer.numerics.elementary import exp
from fejer.problems.transport._gibbs import exponent, log_rows

MARGINAL = 1e-10  # L1 violation at which the iterations stop
ITERATIONS = 20_000


@kernel
def solve(C, inverse, a, log_a, log_b, f, g, tol, most, z, w):
    """Sinkhorn's iterations on the potentials, in place; returns the last violation."""
    violation = np.inf
    share = math.exp(log_b)
    for _ in range(most):
        w[:] = 0.0
        log_rows(C, np.int64(0), 0.0, f, g, inverse, a, log_a, z, w)  # 0 has a type of its own
        violation = 0.0
        for j in range(g.size):
            violation += abs(w[j] - share)
        if violation <= tol:
            break
        for j in range(g.size):
            g[j] += (log_b - math.log(max(w[j], 1e-300))) / inverse
    return violation


@kernel
def solve_symmetric(C, inverse, log_a, f, soft, tol, most):
    """Averaged iterations for a sample and itself, in place; returns the last violation."""
    n = f.size
    share = math.exp(log_a)
    violation = np.inf
    for _ in range(most):
        violation = 0.0
        for i in range(n):
            total = 0.0
            for j in range(n):
                total += exp(exponent(f[i], f[j], C[i, j], 0.0, inverse))
            soft[i] = f[i] + (log_a - math.log(total)) / inverse
            violation += abs(total - share)
        if violation <= tol:
            break
        for i in range(n):
            f[i] = 0.5 * (f[i] + soft[i])
    return violation


def between(C: Array, eps: float) -> tuple[float, Array, float]:
    """Value with KL(P | a b'), plan, and the L1 violation of its marginals."""
    n, m = C.shape
    a, f, g = np.full(n, 1.0 / n), np.zeros(n), np.zeros(m)
    z, w = np.empty(m), np.empty(m)
    violation = solve(
        C, 1.0 / eps, a, np.full(n, -math.log(n)), -math.log(m), f, g, MARGINAL, ITERATIONS, z, w
    )
    P = np.exp((f[:, None] + g - C) / eps)
    value = float(f.mean() + g.mean()) + eps * (1.0 - float(P.sum()))
    return value + eps * math.log(n * m), P, float(violation)


def within(C: Array, eps: float) -> tuple[float, Array, float]:
    """The same for a sample and itself."""
    n = len(C)
    f = np.zeros(n)
    violation = solve_symmetric(C, 1.0 / eps, -math.log(n), f, np.empty(n), MARGINAL, ITERATIONS)
    P = np.exp((f[:, None] + f - C) / eps)
    value = 2.0 * float(f.mean()) + eps * (1.0 - float(P.sum()))
    return value + 2.0 * eps * math.log(n), P, float(violation)
