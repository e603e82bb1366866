"""Group DRO, robust regression, policy evaluation, sign methods with decay, mean fields."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import fejer
from fejer.benchmarks.claims import Found, claim
from fejer.benchmarks.instances import monotone as instances
from fejer.driver import Run

__all__ = ["closed_forms", "dro", "lion", "lyapunov", "mean_field"]

FACTORS = (0.1, 0.3, 1.0, 3.0, 10.0)
LEVEL, SPACING, MOST = 1e-3, 10, 200.0


def epochs(problem: Any, method: str, step: float | str | None, seed: int = 0) -> float:
    """Return passes until the residual of step 1 is 1e-3 of that at the start."""
    inclusion = problem.inclusion()

    def residual(z: Any) -> float:
        return float(np.linalg.norm(z - inclusion.resolve(z - inclusion.evaluate(z), 1.0)))

    first = residual(problem.initial_point())
    run = Run(problem, method=method, options={"step": step}, tol=0.0, rng=seed)
    run.open()
    while run.work < MOST:
        before = run.state.nit
        run.forward(before + SPACING)
        if run.state.nit == before:
            break
        point = np.array(run.method.point(problem, run.prep, run.state))
        if residual(point) <= LEVEL * first:
            return run.work
    return math.inf


@claim("group DRO: relative residual 1e-3 within 90 passes with the best step; automatic beside")
def dro() -> Found:
    """10 000 samples, 20 features, five groups."""
    problem = instances.group_dro()
    best = math.inf
    for method in ("vr-extragradient", "vr-halpern"):
        found = {step: epochs(problem, method, step) for step in FACTORS}
        best = min(best, *found.values())
        each = ", ".join(f"{s:g}: {e:.0f}" for s, e in found.items())
        yield f"{method}, passes by step: {each}", None
        automatic = [epochs(problem, method, "auto", seed) for seed in range(3)]
        limit = 90.0 if method == "vr-extragradient" else 3.0 * min(found.values())
        text = f"{method}, automatic step, three seeds: " + ", ".join(f"{a:.0f}" for a in automatic)
        yield text, max(automatic) <= limit
    theory = epochs(problem, "vr-extragradient", "theory")
    yield f"vr-extragradient, declared constants, at most {MOST:g} passes: {theory:.0f}", None
    yield f"best step: {best:.0f} passes", best <= 90.0
    yield f"extragradient, line search: {epochs(problem, 'extragradient', None):.0f} passes", None


@claim("robust regression and policy evaluation against their closed forms")
def closed_forms() -> Found:
    """``Delta ||X w - y||`` at least squares; ``A theta = b`` of least-squares differences."""
    robust = fejer.RobustRegression.random(500, 5)
    X, y, Delta = robust.X, robust.y, robust.Delta
    w = np.linalg.lstsq(X, y, rcond=None)[0]  # type: ignore[arg-type]
    best = Delta * float(np.linalg.norm(X @ w - y))  # type: ignore[operator]
    for method in ("auto", "vr-extragradient"):
        result = fejer.minimize(robust, method=method, tol=1e-6, max_time=60.0)
        error = (result.fun - best) / best
        text = f"robust regression, {method}: {error:.1e} above, {result.work:.0f} passes"
        yield text, result.success and -1e-9 <= error <= 1e-5
    policy = fejer.PolicyEvaluation.random(500, 4)
    Phi, ahead = np.asarray(policy.Phi), np.asarray(policy.Phi2)
    A, b = Phi.T @ (Phi - policy.gamma * ahead), Phi.T @ np.asarray(policy.r)
    theta = np.linalg.solve(A, b)
    for method in ("auto", "vr-extragradient"):
        result = fejer.minimize(policy, method=method, tol=1e-10, max_time=60.0)
        error = float(np.linalg.norm(result.x[:4] - theta) / np.linalg.norm(theta))
        text = f"policy evaluation, {method}: theta off by {error:.1e}, {result.work:.0f} passes"
        yield text, result.success and error <= 1e-3


@claim("Lion-K: every K reaches its optimum; f - f* at most 1e-6 on the box")
def lion() -> Found:
    """20 000 iterations, n = 30; the optimum has a gap of 1e-9 by a splitting method."""
    for K in ("l1", "l2", "half-square", "soft", "huber", "group-l2", "nuclear"):
        problem = fejer.DualNormComposite.random(30, K)
        accurate = fejer.minimize(problem, tol=1e-9)
        optimum = accurate.certificate.lower_bound
        result = fejer.minimize(problem, method="lion-k", max_iter=20_000, tol=0.0)
        run = Run(problem, method="lion-k", tol=0.0)
        run.open()
        run.forward(20_000)
        x = run.method.point(problem, run.prep, run.state)
        above = problem.judge(np.array(x)).fun - optimum
        text = f"{K}: objective {above:.1e} above, gap {result.certificate.value:.1e}"
        yield text, above <= 1e-6 if K == "l1" else None


@claim("Lion-K: outside, distances fall by 1/(1 + e lam) a step; inside, the function H falls")
def lyapunov() -> Found:
    """Constant steps of 0.001 from far outside, n = 30."""
    for K in ("l1", "l2", "soft", "huber", "group-l2", "nuclear"):
        problem = fejer.DualNormComposite.random(30, K)
        far = problem.replace(x0=5.0 * np.random.default_rng(0).standard_normal(30))
        run = Run(far, method="lion-k", options={"step": 1e-3, "decay": None}, tol=0.0)
        run.open()
        distances, ratio = [], 0.0
        for k in range(1, 2_001):
            run.forward(k)
            x = run.state.x  # type: ignore[attr-defined]
            distances.append(float(np.linalg.norm(x - far.norm.project(x))))
        steps = np.divide(distances[1:], np.maximum(distances[:-1], 1e-300))
        ratio = float(steps[np.array(distances[:-1]) > 1e-9].max(initial=0.0)) * 1.001
        inner = Run(problem, method="lion-k", options={"step": 1e-3, "decay": None}, tol=0.0)
        inner.open()
        values = []
        for k in range(0, 10_000, 50):
            inner.forward(k)
            values.append(inner.state.lyapunov)  # type: ignore[attr-defined]
        rise = float(np.diff(values).max())
        text = f"{K}: at most {ratio:.6f} of 1/(1 + e lam); H falls from {values[0]:.3f} to "
        text += f"{values[-1]:.3f}, largest rise in 50 steps {rise:.1e}"
        yield text, ratio <= 1.0 + 1e-9 and rise <= 1e-2 * (values[0] - values[-1])


@claim("monotone mean field: 20 random starts agree to 1e-8; plain iteration may fail")
def mean_field() -> Found:
    """40 groups of 5 states (arXiv:2307.04990)."""
    problem = fejer.MeanFieldBoltzmann.random(40, 5, seed=1)
    rng = np.random.default_rng(0)
    found = []
    for _ in range(20):
        start = rng.exponential(size=(40, 5)) ** 3
        start /= start.sum(axis=1, keepdims=True)
        result = fejer.minimize(problem, start.ravel(), tol=1e-11)
        found.append(result.x)
    spread = float(np.ptp(found, axis=0).max())
    yield f"largest difference {spread:.1e}", spread <= 1e-8
    u = np.tile(np.array([1.0, -1.0]) * math.sqrt(0.42), 30)
    groups = np.repeat(np.arange(30), 2)
    Phi = np.where(groups[:, None] == groups, 0.0, -np.outer(u, u))
    b = np.tile([0.1, 0.0], 30)
    flipping = fejer.MeanFieldBoltzmann(Phi, b, groups)
    q = flipping.initial_point()
    for _ in range(1_000):
        v = np.exp((Phi @ q + b).reshape(30, 2))
        q = (v / v.sum(axis=1, keepdims=True)).ravel()
    ours = fejer.minimize(flipping, tol=1e-10)
    text = f"strong repulsion: plain iteration leaves {flipping.judge(q).value:.2f}, ours "
    yield text + f"{ours.certificate.value:.0e}", ours.success
