"""Brute force for the claims about bilevel problems with constraints."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from fejer.driver import Run
from fejer.evidence import Array

__all__ = [
    "along",
    "descends",
    "lower_solution",
    "random_search",
    "resolved",
    "weighted_residual",
    "work_to",
]


def lower_solution(problem: Any, x: Array) -> Array | None:
    """Solve a quadratic lower level by scipy; None where nothing is feasible."""
    from scipy.optimize import lsq_linear, minimize

    n, m = problem.n, problem.m
    H = problem.hess_f(x, np.zeros(m))[:, n:]
    Gx = np.zeros((0, n)) if problem.h is None else np.asarray(problem.Gx)
    Gy = np.zeros((0, m)) if problem.h is None else np.asarray(problem.Gy)
    h = np.zeros(0) if problem.h is None else problem.h
    slope = problem.grad_y_f(x, np.zeros(m))
    low, high, room = problem.y_lower.copy(), problem.y_upper.copy(), h - Gx @ x
    simple = (Gy != 0).sum(axis=1) == 1
    for row, r in zip(Gy[simple], room[simple], strict=True):
        j = int(np.argmax(row != 0))
        low[j] = low[j] if row[j] > 0 else max(low[j], r / row[j])
        high[j] = high[j] if row[j] < 0 else min(high[j], r / row[j])
    if simple.all():
        if (low > high + 1e-12).any():
            return None
        R, wide = np.linalg.cholesky(H).T, np.maximum(high, low + 1e-13)
        return np.asarray(lsq_linear(R, -np.linalg.solve(R.T, slope), (low, wide), tol=1e-14).x)
    solve: Any = minimize
    found = solve(
        lambda y: 0.5 * y @ H @ y + slope @ y,
        np.clip(np.zeros(m), low, high),
        jac=lambda y: H @ y + slope,
        bounds=list(zip(low, high, strict=True)),
        constraints=[{"type": "ineq", "fun": lambda y: room - Gy @ y, "jac": lambda y: -Gy}],
        method="SLSQP",
        options={"ftol": 1e-15, "maxiter": 500},
    )
    return found.x if found.success and (room - Gy @ found.x).min() > -1e-9 else None


def descends(
    problem: Any, w: Array, rng: np.random.Generator, count: int = 12, t: float = 1e-3
) -> bool:
    """Whether some direction from x lowers F(x', y*(x')), by brute force."""
    x, fun = w[: problem.n], problem.F(*problem.parts(w))
    U, u = problem.joint
    for k in range(count):
        d = rng.standard_normal(problem.n) if k >= 2 * problem.n else np.eye(problem.n)[k // 2]
        d = d * (-1) ** k / np.linalg.norm(d)
        moved = np.clip(x + t * d, problem.lower, problem.upper)
        y = lower_solution(problem, moved)
        if y is None:
            continue
        v = np.append(moved, y)
        if len(u) and (U @ v - u).max() > 1e-9:
            continue
        if problem.F(moved, y) < fun - 2e-5 * t - 1e-8:
            return True
    return False


def work_to(run: Run, solution: Array, error: float, most: int) -> int | None:
    """Return the work to a relative distance from the solution; None: not in ``most`` steps."""
    size = float(np.linalg.norm(solution))
    while run.state.nit < most:
        run.forward(min(most, run.state.nit + max(1, run.state.nit // 50)))
        x = run.method.point(run.problem, run.prep, run.state)
        if np.linalg.norm(x - solution) <= error * size:
            return int(run.state.work)
        if getattr(run.state, "finished", False):
            break
    return None


def resolved(problem: Any, w: Array) -> tuple[float, Array]:
    """Return F and y with the lower level solved at the x of a point."""
    from fejer.solvers.bilevel._pieces import LowerProgram

    found = LowerProgram(problem).solve(problem.project(w))
    point = w if found is None else found[0]
    return problem.upper_value(point), problem.parts(point)[1]


def along(problem: Any, method: str, options: Any, budgets: Any) -> list[tuple[Array, int]]:
    """Return the points that a method has reached after seconds of CPU, and its iterations."""
    run = Run(problem, method=method, options=options, tol=0.0)
    begun = time.process_time()
    run.open()
    found = []
    for budget in budgets:
        while time.process_time() - begun < budget and not getattr(run.state, "finished", False):
            run.forward(run.state.nit + (1 if method == "kkt-implicit" else 10))
        found.append((np.array(run.method.point(problem, run.prep, run.state)), run.state.nit))
    return found


def random_search(
    problem: Any, rng: np.random.Generator, budgets: Any, box: tuple[float, float]
) -> list[tuple[Array, int]]:
    """Draw x uniformly and solve the lower level there; return the best points, and how many."""
    begun, count, best = time.process_time(), 0, (np.inf, problem.initial_point())
    found = []
    for budget in budgets:
        while time.process_time() - begun < budget:
            w = np.append(rng.uniform(*box, problem.n), problem.y0)
            loss, count = resolved(problem, w)[0], count + 1
            if loss < best[0]:
                best = loss, w
        found.append((best[1], count))
    return found


def weighted_residual(run: Run, c: float) -> float:
    """Return R: the residual of ``F + c (f - v)`` over C x Z, with v's saddle point to rounding.

    The distance of the negative gradient from the normal cone is bounded by the length of a
    projected gradient step over its step length.
    """
    prep: Any = run.prep
    state: Any = run.state
    w, t, l, z = prep.split(state.u)
    step = prep.steps(c)[0]
    for _ in range(5000):
        after = prep.inner(w, t, l, z, step)
        moved = max(float(np.abs(after[0] - t).max()), float(np.abs(after[1] - l).max(initial=0.0)))
        t, l = after
        if moved < 1e-14:
            break
    d, d_z = prep.descent(w, t, l, z, c)
    a = 1e-3 / c
    parts = (
        (w - prep.problem.project(w - a * c * d)) / a,
        (z - prep.bounded(z - a * c * d_z)) / a,
    )
    return float(np.hypot(np.linalg.norm(parts[0]), np.linalg.norm(parts[1])))
