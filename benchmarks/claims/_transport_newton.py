"""Sparse Newton steps beside Sinkhorn's iterations, and the rates of the latter."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

import fejer
from fejer.benchmarks.claims import Found, claim
from fejer.benchmarks.instances.plans import digits, generated, mixtures
from fejer.benchmarks.instances.transport import entropic, instance
from fejer.driver import Run
from fejer.evidence import Array

__all__ = [
    "assignment",
    "factors",
    "hilbert",
    "iteration_ratios",
    "newton_growth",
    "over_eta",
]

MOST = 50_000  # iterations of Sinkhorn's method on instances where only a ratio is asked for
KINDS = ("lap", "pc2", "pc10", "grid")


def followed(problem: fejer.EntropicOT, method: str, tol: float, most: int) -> tuple[int, float]:
    """Return iterations, and the violation (L1, relative to the mass) that they left."""
    run = Run(problem, method=method, tol=tol, max_iter=10**9)
    run.open()
    state: Any = run.state
    goal = tol * problem.polytope.mass
    while state.violation > goal and state.nit < most:
        before = state.nit
        run.method.advance(problem, run.prep, state, most - before)
        if state.nit == before:
            break
    return state.nit, state.violation / problem.polytope.mass


@claim("sns: random assignment, n = 500, eta = 1200, to L1 1e-12 in at most 40 iterations")
def assignment() -> Found:
    """Seeds 0 to 4; Sinkhorn's method goes to 1e-9 without any limit of time."""
    for seed in range(5):
        problem = generated("lap", 500, 1200.0, seed)
        few, left = followed(problem, "sns", 1e-12, 1000)
        yield f"seed {seed}: sns {few} iterations to {left:.1e}", few <= 40 and left <= 1e-12
        many, left = followed(problem, "sinkhorn", 1e-9, 10**6)
        yield f"seed {seed}: sinkhorn {many} iterations to {left:.1e}", many > 15_000


@claim("the gain over eta: large at small weights of the entropy, none at large ones")
def over_eta() -> Found:
    """Random assignment, n = 500, seed 0, to L1 1e-9; 1e5 iterations at most."""
    for eta in (10.0, 100.0, 1200.0, 5000.0):
        problem = generated("lap", 500, eta)
        text = f"eta = {eta:g}:"
        for method in ("sns", "sinkhorn"):
            count, left = followed(problem, method, 1e-9, 100_000)
            text += f" {method} {count}" + ("" if left <= 1e-9 else f" (stopped at {left:.1e})")
        yield text, None


def grid(power: float) -> fejer.EntropicOT:
    """Return transport between two images of 28 by 28 pixels."""
    a, b, squares = instance("grid", 784)
    return fejer.EntropicOT(a, b, squares ** (power / 2), eps=1.0 / 1200.0)


@claim("sns needs at most 1/10 of sinkhorn's iterations to L1 1e-9 where these are over 1000")
def iteration_ratios() -> Found:
    """Clouds, digits, mixtures on a line and images, eta = 1200."""
    problems: dict[str, Any] = {
        "pc2, n = 1000": lambda: generated("pc2", 1000, 1200.0),
        "pc10, n = 1000": lambda: generated("pc10", 1000, 1200.0),
        "digits, squared": lambda: digits(1200.0),
        "digits, city block": lambda: digits(1200.0, "l1"),
        "mixtures on 500 places, |x - y|": lambda: mixtures(500, 1200.0, 1.0),
        "mixtures on 500 places, squared": lambda: mixtures(500, 1200.0, 2.0),
        "images, |x - y|": lambda: grid(1.0),
        "images, squared": lambda: grid(2.0),
    }
    for name, make in problems.items():
        problem = make()
        few, left = followed(problem, "sns", 1e-9, 2000)
        many, over = followed(problem, "sinkhorn", 1e-9, MOST)
        text = f"{name}: sns {few}" + ("" if left <= 1e-9 else f" (stopped at {left:.1e})")
        text += f", sinkhorn {many}" + ("" if over <= 1e-9 else f" (stopped at {over:.1e})")
        holds = left <= 1e-9 and few <= many / 10 if many > 1000 else None
        yield text, holds


def newton_seconds(n: int) -> tuple[float, int]:
    """Return the processor time of a sparse Newton step, and how many there were."""
    problem = generated("lap", n, 1200.0)
    run = Run(problem, method="sns", tol=1e-12, max_iter=10**6)
    run.open()
    state: Any = run.state
    run.forward(21)  # the warm-up and a first Newton step
    times: list[float] = []
    while state.violation > 1e-12 and len(times) < 40:
        begun, before = time.process_time(), state.nit
        run.method.advance(problem, run.prep, state, 1)
        if state.nit == before:
            break
        times.append(time.process_time() - begun)
    return float(np.median(times)), len(times)


def dense_seconds(n: int) -> float:
    """Return the processor time of forming and solving the dense Newton system, reduced to g."""
    P = generated("lap", n, 1200.0)
    plan = np.exp(-P.cost / P.epsilon / 10.0)
    plan /= plan.sum()
    rows, columns = plan.sum(axis=1), plan.sum(axis=0)
    begun = time.process_time()
    S = np.diag(columns) - plan.T @ (plan / rows[:, None])
    S += np.outer(columns, columns)
    np.linalg.solve(S, columns - 1.0 / n)
    return time.process_time() - begun


@claim("a sparse Newton step costs n^2: exponent at most 2.2 over n = 500 to 4000")
def newton_growth() -> Found:
    """Random assignment, eta = 1200; a dense Newton step, by Lapack, beside it."""
    sizes = (500, 1000, 2000, 4000)
    newton_seconds(100)
    found = [newton_seconds(n) for n in sizes]
    times = [t for t, _ in found]
    dense = [dense_seconds(n) for n in sizes]
    for n, (t, count), d in zip(sizes, found, dense, strict=True):
        yield f"n = {n}: {1e3 * t:.1f} ms ({count} steps), dense {1e3 * d:.1f} ms", None
    slopes = [float(np.polyfit(np.log(sizes), np.log(t), 1)[0]) for t in (times, dense)]
    yield f"exponent {slopes[0]:.2f}; of the dense step {slopes[1]:.2f}", slopes[0] <= 2.2


def violations(problem: fejer.EntropicOT, most: int) -> Array:
    """Return the violations of Sinkhorn's iterations, until rounding shows."""
    run = Run(problem, method="sinkhorn", tol=0.0)
    run.open()
    state: Any = run.state
    found: list[float] = []
    while state.nit < most and (not found or found[-1] > 1e-12):
        run.method.advance(problem, run.prep, state, 1)
        found.append(state.violation)
    return np.array(found)


@claim("Sinkhorn's factor, fitted, is sigma_2^2 of the scaled plan within 5 per cent")
def factors() -> Found:
    """Four kinds, n = 200; the quotient of the logarithms is told, and has no bar.

    The theorem is one about the limit: fitted are the last two decades, which end at 1e-12, a
    thousand times the rounding of a violation (or after 1e5 iterations). Plans of random costs
    under much entropy have many singular values next to the second, and few iterations until then:
    their factors are still on their way.
    """
    cases = (
        ("lap", 0.02), ("lap", 1 / 1200), ("pc2", 0.05), ("pc2", 0.01), ("pc10", 0.05),
        ("pc10", 0.01), ("grid", 0.05), ("grid", 0.01),
    )  # fmt: skip
    for kind, eps in cases:
        problem = entropic(kind, 200, eps)
        result = fejer.minimize(problem, method="sns", tol=1e-12)
        P = result.plan.toarray() / np.sqrt(np.outer(problem.a, problem.b))
        sigma = float(np.linalg.svd(P, compute_uv=False)[1]) ** 2
        errors = violations(problem, 100_000)
        late = np.flatnonzero(errors < 100 * errors.min())
        slope = np.polyfit(late, np.log(errors[late]), 1)[0]
        factor = float(np.exp(slope))
        text = f"{kind}, eps {eps:.3g}: fitted {factor:.5f}, sigma_2^2 {sigma:.5f}; "
        text += f"logarithms {slope / np.log(sigma):.3f} of each other"
        yield text, abs(factor / sigma - 1) <= 0.05


@claim("the bound in Hilbert's metric is never exceeded")
def hilbert() -> Found:
    """Four kinds, n = 40, three seeds, three weights of the entropy, every k up to 300."""
    rate = fejer.methods("sinkhorn")[0].rate
    worst, count = 0.0, 0
    for kind in KINDS:
        for eps in (0.5, 0.1, 0.02):
            for seed in range(3):
                problem = entropic(kind, 40, eps, seed=seed)
                solution = fejer.minimize(problem, method="sinkhorn", tol=1e-13).x
                run = Run(problem, method="sinkhorn", tol=0.0)
                run.open()
                x0 = problem.initial_point()
                for k in range(301):
                    run.forward(k)
                    if run.state.nit < k:
                        break
                    x = run.method.point(problem, run.prep, run.state)
                    bound = rate.bound(problem, x0, solution, k)
                    worst = max(worst, rate.measure(problem, x, solution) / bound)
                    count += 1
    yield f"at most {worst:.3f} of the bound at {count} points", worst <= 1.0
