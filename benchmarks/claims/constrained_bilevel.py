"""Bilevel problems with constraints: what was published or is wanted, and what comes out here."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import numpy as np

import fejer
from fejer.benchmarks.claims import Found, claim
from fejer.benchmarks.instances import constrained_bilevel as instances
from fejer.driver import Run
from fejer.problems.bilevel._polyhedron import Polyhedron

from ._constrained_bilevel_x import (
    along,
    descends,
    random_search,
    resolved,
    weighted_residual,
    work_to,
)

__all__ = [
    "classics",
    "coupled_example",
    "linear_response",
    "mislabelled_tumours",
    "plain_slope",
    "projection_speed",
    "second_derivatives",
    "speed_against_plain",
]


@claim(
    "the coupled example, whose lower level has an (n - 1)-dimensional set of solutions, to 1e-6 "
    "in at most 250 iterations by lv-hba-anderson, n = 100 and 2000"
)
def coupled_example() -> Found:
    """Five and two normal starts of standard deviation 10."""
    for n, seeds in ((100, range(5)), (2000, range(2))):
        w = instances.coupled_solution(n)
        for seed in seeds:
            result = fejer.minimize(instances.coupled(n, seed=seed), method="lv-hba-anderson")
            error = float(np.linalg.norm(result.x - w) / np.linalg.norm(w))
            text = f"n = {n}, start {seed}: {result.nit} iterations, relative error {error:.1e}"
            yield text, result.success and error <= 1e-6 and result.nit <= 250


@claim("to a relative error of 1e-2 at least 8 times faster than lv-hba (n = 100)")
def speed_against_plain() -> Found:
    """In gradients and projections; the plain method has the better of two weights."""
    w = instances.coupled_solution(100)
    for seed in range(5):
        counts = {}
        for method, decay in (("lv-hba-anderson", None), ("lv-hba", 0.49), ("lv-hba", 0.3)):
            options = {} if decay is None else {"decay": decay}
            problem = instances.coupled(100, seed=seed)
            run = Run(problem, method=method, options=options, tol=0.0)
            run.open()
            counts[method, decay] = work_to(run, w, 1e-2, 60_000)
        ours = counts["lv-hba-anderson", None]
        plain = [k for (name, _), k in counts.items() if name == "lv-hba" and k is not None]
        fewer = min(plain) / ours if plain and ours else None
        text = ", ".join(f"{m}{'' if d is None else f' ({d})'} {k}" for (m, d), k in counts.items())
        yield f"start {seed}: work {text}", None if fewer is None else fewer >= 8


@claim(
    "lv-hba: the distance from the solution falls like 1/c_k, min R_k at least like "
    "k^-(1 - 2p)/2, f - v at least like k^-p (arXiv:2401.16164)"
)
def plain_slope() -> Found:
    """The coupled example, n = 20, from the solution, iterations 8,000 to 60,000."""
    w = instances.coupled_solution(20)
    counts = np.unique(np.round(np.geomspace(8_000, 60_000, 9)).astype(int))
    for p in (0.1, 0.25, 0.3, 0.49):
        run = Run(instances.coupled(20), w, method="lv-hba", options={"decay": p}, tol=0.0)
        run.open()
        distances, residuals, gaps, least = [], [], [], np.inf
        for k in counts:
            run.forward(int(k))
            state: Any = run.state
            point, *_ = run.prep.split(state.u)
            c = state.weight
            distances.append(float(np.linalg.norm(point - w)))
            least = min(least, weighted_residual(run, c))
            residuals.append(least)
            value = run.prep.merit(state.u, c) - run.prep.problem.upper_value(point) / c
            gaps.append(abs(value))
        slopes = [
            -np.polyfit(np.log(counts), np.log(column), 1)[0]
            for column in (distances, residuals, gaps)
        ]
        yield f"p = {p}: distance k^-{slopes[0]:.3f}", abs(slopes[0] - p) <= 0.05
        wanted = (1 - 2 * p) / 2
        yield f"p = {p}: R k^-{slopes[1]:.3f}, theorem {wanted:.3f}", slopes[1] >= wanted - 0.02
        yield f"p = {p}: f - v k^-{slopes[2]:.3f}, theorem {p:.3f}", slopes[2] >= p - 0.02


@claim("lv-hba and lv-hba-anderson ask for no second derivative")
def second_derivatives() -> Found:
    """A Hessian that counts its calls; the certificate, which uses it, is not part of a step."""
    for method in ("lv-hba", "lv-hba-anderson"):
        calls: list[int] = []
        problem = instances.coupled(10)
        second = problem.hess_f
        problem = problem.replace(hess_f=partial(_counted, calls, second))
        run = Run(problem, method=method, tol=0.0)
        run.open()
        run.forward(30)  # within the first stage
        yield f"{method}: {len(calls)} Hessians in {run.state.nit} iterations", not calls


def _counted(calls: list[int], function: Any, x: Any, y: Any) -> Any:
    calls.append(1)
    return function(x, y)


@claim(
    "classics: certified stationary from at least 15 of 20 random starts, the global value from "
    "at least one, never a false certificate"
)
def classics() -> Found:
    """Certified points are compared with brute force: no small step of x may lower F(x, y*(x))."""
    rng = np.random.default_rng(0)
    for method in ("kkt-implicit", "lv-hba-anderson"):
        for name, make in instances.CLASSICS.items():
            known = make()
            problem, values, wrong = known.problem, [], 0
            for x0 in instances.starts(problem, 20, known.start):
                result = fejer.minimize(problem, x0, method=method, max_iter=5000)
                if result.success:
                    values.append(result.fun)
                    wrong += descends(problem, result.x, rng, 40)
            reached = bool(values) and abs(min(values) - known.optimum) <= 1e-5
            text = f"{method}, {name}: {len(values)} of 20 certified, {wrong} falsely"
            if values:
                found = ", ".join(f"{v:.4f}" for v in np.unique(np.round(values, 4)))
                text += f"; F in {{{found}}}, optimum {known.optimum:g}"
            yield text, len(values) >= 15 and reached and not wrong


@claim("linear response (n = 100): true hypergradient at most 1e-3 within 2000 iterations")
def linear_response() -> Found:
    """The data are drawn here, since those of the paper are not published."""
    problem = instances.linear_response()
    A, H = (np.asarray(part)[:90] for part in (problem.Gy, problem.Gx))
    B = np.asarray(problem.Gx)[90:]
    inverse = np.linalg.pinv(A)
    S = np.eye(100) - inverse @ A - inverse @ H
    null = np.eye(100) - np.linalg.pinv(B) @ B
    values = {}
    for method, most in (("kkt-implicit", 2000), ("lv-hba-anderson", 2000), ("lv-hba", 5000)):
        result = fejer.minimize(problem, method=method, max_iter=most)
        x = result.upper_variable
        g = problem.grad_x_F(x, S @ x) + S.T @ problem.grad_y_F(x, S @ x)
        size, gap = float(np.linalg.norm(null @ g)), np.linalg.norm(result.y - S @ x)
        values[method] = problem.F(x, S @ x)
        text = f"{method}: {size:.1e} after {result.nit} iterations, y off by {gap:.1e}"
        yield (
            f"{text}, F = {values[method]:.4f}",
            None if method == "lv-hba" else size <= 1e-3,
        )
    for method in ("kkt-implicit", "lv-hba-anderson"):
        yield f"{method}: F not above that of lv-hba", values[method] <= values["lv-hba"] + 1e-6


CLEANERS = (  # method, first weight of the lower level
    ("kkt-implicit", None),
    ("lv-hba-anderson", None),
    ("lv-hba-anderson", 1.0),
    ("lv-hba", None),
    ("lv-hba", 0.01),
)
BUDGETS = (0.1, 0.3, 1.0, 2.0)  # seconds of CPU: a Newton step is worth about 45 gradients here


@claim(
    "support vectors, 40 % of 100 training labels flipped: validation loss and test accuracy "
    "against work, each method below random search of equal work and equal weights"
)
def mislabelled_tumours() -> Found:
    """Ten splits of the breast cancer data; random search draws a weight for each sample.

    Loss and accuracy are those of the lower level's solution at the x that a method has reached.
    The plain method falls: the gradient of F in x comes through the lower level's slacks and is
    about 1e-3, its steps are limited by the curvature of f, and 1/c shortens them further.
    """
    rows: dict[str, list[list[tuple[float, float, int]]]] = {}
    for seed in range(10):
        made, X, labels = instances.tumours(100, 150, seed=seed)
        problem = instances.cleaning_machine(100, 150, seed=seed)
        judged = partial(_judged, problem, made, X, labels)
        for method, c0 in CLEANERS:
            name = f"{method} (c0 = {c0:g})" if c0 else method
            found = along(problem, method, {"c0": c0} if c0 else {}, BUDGETS)
            rows.setdefault(name, []).append([(*judged(w), k) for w, k in found])
        drawn = random_search(problem, np.random.default_rng(seed), BUDGETS, (-5, 2))
        rows.setdefault("random search", []).append([(*judged(w), k) for w, k in drawn])
        equal = (*judged(problem.initial_point()), 0)
        rows.setdefault("equal weights", []).append([equal] * len(BUDGETS))
    means = {name: np.mean(entries, axis=0) for name, entries in rows.items()}
    yield f"{'mean of ten splits, seconds:':39}" + "".join(f"{b:>16}" for b in BUDGETS), None
    for name, mean in means.items():
        text = "".join(f"   {loss:.4f}, {right:.3f}" for loss, right, _ in mean)
        yield f"{name:27} loss, share {text}; {mean[-1, 2]:.0f} steps or draws", None
    others = min(means[name][-1, 0] for name in ("random search", "equal weights"))
    for name, mean in means.items():
        if name not in ("random search", "equal weights"):
            yield f"{name}: loss below random search and equal weights", mean[-1, 0] < others


def _judged(problem: Any, made: Any, X: Any, labels: Any, w: Any) -> tuple[float, float]:
    loss, y = resolved(problem, w)
    return loss, made.accuracy(y, X, labels)


@claim("projection onto 300 rows with a slack each: at least 15 times faster than Clarabel's")
def projection_speed() -> Found:
    """Process time, alternating, median of 5; then rows without slacks, in steps of a method."""
    problem = instances.cleaning_machine(300)
    rng = np.random.default_rng(0)
    points = problem.initial_point() + rng.standard_normal((6, problem.size))
    kind, ratio, apart = _against_clarabel(problem.polyhedron, points)
    yield f"{kind}: {ratio:.0f} times faster, largest difference {apart:.1e}", ratio >= 15
    for rows, columns in ((300, 60), (500, 200), (1000, 50)):
        G = rng.standard_normal((rows, columns))
        inner = rng.uniform(-0.5, 0.5, columns)
        wide = np.full(columns, 1.0)
        made = Polyhedron(
            G, G @ inner + rng.uniform(0, 0.3, rows), np.zeros(rows, dtype=bool), -wide, wide
        )
        walk = made.project(inner) + 0.3 * np.cumsum(rng.standard_normal((6, columns)), axis=0)
        kind, ratio, apart = _against_clarabel(made, walk)
        yield f"{rows} rows, {columns} columns: {ratio:.0f} times, difference {apart:.1e}", None


def _against_clarabel(made: Polyhedron, points: Any) -> tuple[str, float, float]:
    ratios, apart, near = [], 0.0, None
    for k, w in enumerate(points):
        begun = time.process_time()
        ours = made.project(w, near)
        between = time.process_time()
        theirs = made._conic(w[made.used])
        ratio = (time.process_time() - between) / max(between - begun, 1e-9)
        apart, near = max(apart, float(np.abs(ours[made.used] - theirs).max())), ours
        if k:  # the first call imports
            ratios.append(ratio)
    return made.kind, float(np.median(ratios)), apart
