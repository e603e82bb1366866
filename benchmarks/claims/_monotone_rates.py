"""Rate bounds with their constants, over many random operators, and where they are attained."""

from __future__ import annotations

from typing import Any

import numpy as np

import fejer
from fejer.benchmarks.claims import Found, claim
from fejer.driver import Run
from fejer.evidence import Array

__all__ = ["bounds", "tight"]

OPERATORS, ITERATIONS, SIZE = 500, 500, 6

METHODS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("halpern", {"anchor": "classic", "restart": None}),
    ("halpern", {"anchor": "adaptive", "restart": None}),
    ("halpern", {"anchor": "contraction", "restart": None}),
    ("averaged", {}),
    ("feg", {"restart": None}),
    ("eag", {"steps": "constant", "restart": None}),
    ("eag", {"steps": "varying", "restart": None}),
    ("extragradient", {}),
)


def affine(seed: int) -> tuple[Array, Array]:
    """Draw ``M (z - zero)``: symmetric and skew parts of all proportions, norm 1."""
    rng = np.random.default_rng(seed)
    S = rng.standard_normal((SIZE, SIZE)) * rng.uniform() ** 3 * (seed % 3 > 0)
    S[: SIZE // 2] *= rng.integers(0, 2)
    K = rng.standard_normal((SIZE, SIZE))
    M = S.T @ S / SIZE + 0.3 * (K - K.T)
    return M / np.linalg.norm(M, 2), rng.standard_normal(SIZE)


def instance(method: str, options: dict[str, Any], seed: int) -> fejer.Problem:
    """Return a map or an operator for the method, with the zero of `affine`."""
    M, zero = affine(seed)
    if method in ("halpern", "averaged"):
        # the reflected resolvent of a monotone operator is nonexpansive, and every such map is one
        T = 2.0 * np.linalg.inv(np.eye(SIZE) + 2.0 * M) - np.eye(SIZE)
        factor = None
        if options.get("anchor") == "contraction":
            factor = 0.5 + 0.499 * np.random.default_rng(seed).uniform()
            T *= factor / np.linalg.norm(T, 2)
        kind = "nonexpansive" if factor is None else "contraction"
        return fejer.FixedPoint.affine(T, zero - T @ zero, kind, factor)
    return fejer.MonotoneInclusion(lambda z: M @ (z - zero), SIZE, lipschitz=1.0)


def largest_ratio(problem: Any, method: str, options: dict[str, Any], zero: Array) -> float:
    """Return the largest quotient of what is measured and its bound, over all iterations."""
    run = Run(problem, method=method, options=options, tol=0.0)
    run.open()
    rate, x0 = run.method.rate, problem.initial_point()
    if rate is None or rate.bound is None or rate.measure is None:
        raise ValueError(f"{method} has no bound")
    worst = 0.0
    for k in range(1, ITERATIONS + 1):
        run.forward(k)
        if run.state.nit < k:
            break
        x = run.method.point(problem, run.prep, run.state)
        value, bound = rate.measure(problem, x, zero), rate.bound(problem, x0, zero, k)
        # what rounding leaves of a residual is no violation
        worst = max(worst, (value - 1e-13) / bound)
    return worst


@claim("bounds are never exceeded: 500 random operators, every k <= 500")
def bounds() -> Found:
    """Largest quotient for each method; 1 is allowed."""
    for method, options in METHODS:
        ratios = [
            largest_ratio(instance(method, options, s), method, options, affine(s)[1])
            for s in range(OPERATORS)
        ]
        name = ", ".join([method, *(str(v) for v in options.values() if v is not None)])
        yield f"{name}: {max(ratios):.3f} of the bound", max(ratios) <= 1.0 + 1e-9


@claim("worst cases come near the bounds that are tight")
def tight() -> Found:
    """The method's own worst case after k iterations."""
    for method, options in METHODS:
        entry: Any = fejer.methods(method)[0].method
        rate = entry(**options).rate
        if rate.worst_case is None or rate.bound is None:
            continue
        found = []
        for k in (10, 100, 400):
            problem = rate.worst_case(k)
            run = Run(problem, method=method, options=options, tol=0.0)
            run.open()
            run.forward(k)
            zero = fejer.minimize(problem, tol=1e-12).x
            x = run.method.point(problem, run.prep, run.state)
            start = problem.initial_point()
            found.append(rate.measure(problem, x, zero) / rate.bound(problem, start, zero, k))
        exact = method == "averaged" or options.get("anchor") == "classic"
        text = f"{method} {options.get('anchor', options.get('steps', ''))}: "
        yield text + ", ".join(f"{f:.3f}" for f in found), min(found) > 0.999 if exact else None
