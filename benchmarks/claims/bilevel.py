"""Bilevel optimization: bounds of hypergradients, and what was published of the methods."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import fejer
from fejer.benchmarks.claims import Found, claim
from fejer.benchmarks.claims._bilevel_bounds import (
    error_bound,
    maid_descent,
    maid_experts,
    maid_quadratic,
    maid_tv,
)
from fejer.benchmarks.claims._bilevel_tuning import (
    network,
    self_tuning_ridge,
    shared_representation,
)
from fejer.benchmarks.instances._several import SeveralSolutions
from fejer.driver import Run
from fejer.evidence import Array
from fejer.solvers.bilevel.penalty import Penalty

__all__ = [
    "bo_rep_cleaning",
    "bo_rep_cosh",
    "error_bound",
    "maid_descent",
    "maid_experts",
    "maid_quadratic",
    "maid_tv",
    "network",
    "penalty_bias",
    "penalty_calls",
    "penalty_several",
    "self_tuning_ridge",
    "shared_representation",
]


def slope(sizes: Any, values: Any) -> float:
    """Return the exponent that fits values best on logarithmic axes."""
    return float(np.polyfit(np.log(sizes), np.log(values), 1)[0])


@claim("penalty: the gradient's bias is O(s), and O(s^2) with the symmetric quotient: slopes 1, 2")
def penalty_bias() -> Found:
    """QuadraticBilevel, minimisers of f + w F by linear systems."""
    for order in (1, 2):
        for seed in range(3):
            problem = fejer.QuadraticBilevel.random(seed=seed)
            x = np.random.default_rng(seed).standard_normal(problem.size)
            truth = problem.assess(x, problem.lower_solution(x)).gradient
            A1, A2, A3 = (m.toarray() for m in (problem.A1, problem.A2, problem.A3))
            right, sizes, errors = A2.T @ (problem.b2 - A3 @ x), (1e-2, 3e-3, 1e-3), []
            for s in sizes:
                Y = [
                    np.linalg.solve(A2.T @ A2 + w * A1.T @ A1, right + w * A1.T @ problem.b1)
                    for w in (0.0, s, -s)[: order + 1]
                ]
                g = Penalty(order=order).gradient(problem, x, np.array(Y), s)
                errors.append(float(np.linalg.norm(g - truth)))
            found = slope(sizes, errors)
            yield f"order {order}, seed {seed}: slope {found:.3f}", abs(found - order) <= 0.1


def minimiser(data: SeveralSolutions, x: Array, s: float) -> Array:
    """Return the minimiser of f + s F near the solution of the lower level."""
    from scipy.optimize import root

    def gradient(v: Array) -> Array:
        lower = data.A2.T @ data.slope(data.residual(x, v))
        return np.asarray(lower + s * data.A1.T @ (data.A1 @ v - data.b1))

    y = data.solution(x)[2]
    for _ in range(3):
        y = root(gradient, y, tol=1e-15).x
    return np.asarray(y)


@claim(
    "several lower solutions: grad Phi = grad_x F - J'H^+ grad_y F to 1e-8, and value and gradient "
    "of the penalty function come near like sigma; the same with a nonconvex lower level"
)
def penalty_several() -> Found:
    """A lower residual of 5 equations in 8 unknowns; loss t^2/2, or t^2 + 3 sin(t)^2."""
    x, h = np.array([0.5, -1.0, 0.3]), 1e-5
    for nonconvex in (False, True):
        data = SeveralSolutions.draw(3, 8, 5, nonconvex, 0)
        name = "nonconvex" if nonconvex else "convex"
        value, formula, _ = data.solution(x)
        quotient = [
            (data.solution(x + e)[0] - data.solution(x - e)[0]) / (2 * h) for e in h * np.eye(3)
        ]
        error = float(np.abs(formula - quotient).max())
        yield f"{name}: formula against differences {error:.1e}", error <= 1e-8
        rows = []
        for s in (1e-2, 1e-3):
            y = minimiser(data, x, s)
            psi = data.upper(x, y) + data.lower(x, y) / s
            g = 0.1 * x + data.A3.T @ data.slope(data.residual(x, y)) / s
            rows.append((abs(psi - value), float(np.linalg.norm(g - formula))))
        for what, (large, small) in zip(
            ("value", "gradient"), zip(*rows, strict=True), strict=True
        ):
            power = math.log10(large / small)
            text = f"{name}: {what} off by {large:.3g}, then {small:.3g}: slope {power:.2f}"
            yield text, abs(power - 1) <= 0.1


def calls(problem: Any, form: str, eps: float, most: int) -> int | None:
    """Return the work until the gradient of psi_eps is eps of that at the start."""
    X, V = problem.X_train.toarray(), problem.X_val.toarray()
    G, K = X.T @ X / len(X), V.T @ V / len(V)
    b, c = X.T @ problem.y_train / len(X), V.T @ problem.y_val / len(V)

    def size(x: Array) -> float:
        p = np.exp(x)
        y = [np.linalg.solve(G + np.diag(p) + w * K, b + w * c) for w in (0.0, eps)]
        g = 0.5 * p * (y[1] ** 2 - y[0] ** 2) / eps
        return float(np.linalg.norm(problem.project(x - g)[0] - x))

    options = {"form": form, "order": 1, "s0": eps, "s_min": eps, "decay": 0.0, "batch": 8}
    run: Any = Run(problem, method="penalty", options=options, tol=0.0)
    run.open()
    stride, unit = 5, size(problem.initial_point())
    while run.state.work < most:
        run.forward(run.state.nit + stride)
        if size(run.state.x) <= eps * unit:
            return int(run.state.work)
        stride = max(5, run.state.nit // 50)
    return None


@claim(
    "penalty: oracle calls to eps-stationarity of psi, sigma = eps = .3 .. .01, grow with slopes "
    "of at most 3.2 (deterministic), 5.3 (momentum) and 7.3 (stochastic) (arXiv:2309.01753)"
)
def penalty_calls() -> Found:
    """Ridge regression, 5 penalties, 200 and 200 rows, batches of 8; median of 3 seeds."""
    sizes = (0.3, 0.1, 0.03, 0.01)
    for form, bound in (("deterministic", 3.2), ("momentum", 5.3), ("stochastic", 7.3)):
        found = []
        for eps in sizes:
            counts = [
                calls(fejer.RidgeBilevel.random(200, 200, 5, "feature", seed=s), form, eps, 400_000)
                for s in range(3)
            ]
            known = sorted(c if c is not None else math.inf for c in counts)
            found.append(known[1])
        reached = [(e, c) for e, c in zip(sizes, found, strict=True) if math.isfinite(c)]
        power = -slope(*zip(*reached, strict=True)) if len(reached) > 1 else math.nan
        text = ", ".join(f"{e:g}: {c:g}" for e, c in zip(sizes, found, strict=True))
        yield f"{form}: {text}; slope {power:.2f}", len(reached) == len(sizes) and power <= bound


@claim(
    "unbounded smoothness: after 4000 steps BO-REP has ||grad Phi|| <= .02, the best SOBA over "
    "constant steps 1e-8 .. 1 stays above 1, and every step >= 1e-3 diverges (arXiv:2401.09587)"
)
def bo_rep_cosh() -> Found:
    """UnboundedSmoothBilevel(10), noise 0.1, batches of 5, 3 seeds."""
    problem = fejer.UnboundedSmoothBilevel(10)
    begun = problem.judge(problem.initial_point()).value
    yield f"||grad Phi|| at the start {begun:.3g}", None
    for seed in range(3):
        warm = {"batch": 5, "steps": 4000, "warm": 200}
        value = last(problem, "bo-rep", warm, seed)
        yield f"bo-rep, seed {seed}: {value:.2e}", value <= 0.02
    for seed in range(3):
        found: dict[float, float] = {}
        options: dict[str, Any] = {"batch": 5, "steps": 4000}
        for power in np.arange(-8, 0.5, 0.5):
            more = {**options, "gamma": float(10.0**power)}
            found[more["gamma"]] = last(problem, "soba", more, seed)
        best = min(found, key=lambda g: found[g])
        yield f"soba, seed {seed}: best {found[best]:.3g} with step {best:.1e}", found[best] >= 1
        wild = [value for gamma, value in found.items() if gamma >= 0.999e-3]
        yield f"steps >= 1e-3: least {min(wild):.3g}", min(wild) > begun


def last(problem: Any, method: str, options: dict[str, Any], seed: int) -> float:
    """Return the certificate's value where a run with all its steps ends; inf if it diverged."""
    run: Any = Run(problem, method=method, options=options, tol=0.0, rng=seed)
    run.open()
    while run.state.nit < options["steps"] and not run.state.finished:
        run.forward(options["steps"])
    return math.inf if run.state.finished else float(problem.judge(run.state.x).value)


@claim("BO-REP on hyper-cleaning of digits comes within 0.5 % of the optimum")
def bo_rep_cleaning() -> Found:
    """900 digits, half relabelled at random; 4000 steps, batches of 128; steps .5 and .3 below."""
    from fejer.benchmarks.instances.bilevel import digits_cleaning

    problem = digits_cleaning()
    best = fejer.minimize(problem, method="hoag", tol=1e-4, max_time=90.0)
    yield f"optimum {best.fun:.5f} (hoag, certificate {best.certificate.value:.1e})", None
    L = problem.constants(problem.box()[1]).lipschitz
    for name, lower, adjoint in (
        ("default steps", 0.5, 0.5),
        ("published steps", 0.5 * L, 0.3 * L),
    ):
        options: dict[str, Any] = {"batch": 128, "steps": 4000, "warm": 200}
        options |= {"lower_step": min(lower, 1.99), "adjoint_step": min(adjoint, 1.99)}
        run: Any = Run(problem, method="bo-rep", options=options, tol=0.0)
        run.open()
        while run.state.nit < 4000 and not run.state.finished:
            run.forward(4000)
        found = problem.judge(run.state.x).fun
        share = found / min(best.fun, found) - 1
        text = f"bo-rep, {name} ({lower / L:.2g}, {adjoint / L:.2g}): {found:.5f}"
        yield f"{text}, {100 * share:.2f} % above", share <= 0.005 if name[0] == "p" else None
