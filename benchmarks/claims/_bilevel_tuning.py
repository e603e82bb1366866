"""Self-tuning: exact gates of ridge regression, and a network that is tuned while it learns."""

from __future__ import annotations

from typing import Any

import numpy as np

import fejer
from fejer.benchmarks.claims import Found, claim
from fejer.driver import Run
from fejer.evidence import Array

__all__ = ["network", "self_tuning_ridge", "shared_representation", "trained"]

STEPS, WARM = 2000, 24  # iterations of self-tuning, of two training gradients; 5 epochs of warm-up
LENGTH, MOMENTUM = 0.3, 0.9  # of training steps, as in self-tuning


def tuned(problem: Any, steps: int, seed: int = 0, **options: Any) -> Any:
    """Run self-tuning to the end."""
    run: Any = Run(
        problem, method="self-tuning", options={"steps": steps, **options}, tol=0.0, rng=seed
    )
    run.open()
    while run.state.nit < steps and not run.state.finished:
        run.forward(steps)
    return run


@claim(
    "self-tuning with exact gates finds the scalar ridge optimum to 5e-3 in log penalty "
    "(arXiv:1903.03088); affine gates beside it"
)
def self_tuning_ridge() -> Found:
    """6000 iterations, entropy 1e-5, mirrored perturbations; three random regressions."""
    for seed in range(3):
        problem = fejer.RidgeBilevel.random(seed=seed)
        best = fejer.minimize(problem, method="hoag", tol=1e-8)
        for gate in ("exact", "affine"):
            run = tuned(problem, 6000, gate=gate, entropy=1e-5, mirrored=True)
            error = float(abs(run.state.x - best.x)[0])
            worse = problem.judge(run.state.x).fun / best.fun - 1
            y = problem.lower_solution(run.state.x)
            found = run.method.witness(problem, run.prep, run.state)["y"]
            off = float(np.linalg.norm(found - y) / np.linalg.norm(y))
            text = (
                f"seed {seed}, {gate}: x off by {error:.1e}, F by {worse:.1e}, response {off:.1e}"
            )
            yield text, error <= 5e-3 if gate == "exact" else None


def trained(problem: Any, x: Array, gradients: int) -> float:
    """Train at fixed hyperparameters; return the validation loss at the end."""
    y, push = np.array(problem.y0), np.zeros(problem.lower_size)
    for _ in range(gradients):
        push = MOMENTUM * push + LENGTH * problem.grad_y_f(x, y)
        y = y - (1 - MOMENTUM) * push
    return float(problem.F(x, y))


@claim(
    "self-tuning of dropout, noise and an integer shift of a network: validation loss at equal "
    "gradient evaluations at most that of the best of 20 fixed settings (arXiv:1903.03088)"
)
def network() -> Found:
    """Digits, 300 to train; every run has as many training gradients; 2 seeds of everything."""
    from fejer.benchmarks.instances.bilevel import digits_network

    gradients = 2 * STEPS
    for seed in range(2):
        problem = digits_network(seed=seed)
        run = tuned(problem, STEPS, seed, warm=WARM, absolute_step=LENGTH, upper_step=0.02, s0=0.5)
        found = float(problem.F(run.state.x, run.state.base))
        yield f"seed {seed}: self-tuning {found:.4f}, ends at {run.state.x.round(2)}", None
        grid = [
            np.array([a, a, noise, shift])
            for a in (-6.0, -2.0, -1.0, 0.0)
            for noise, shift in ((-6.0, 0.0), (-1.5, 0.0), (-1.5, 1.0), (-6.0, 1.0), (-0.5, 2.0))
        ]
        fixed = [trained(problem, x, gradients) for x in grid]
        best = int(np.argmin(fixed))
        yield f"seed {seed}: best of {len(grid)} fixed {fixed[best]:.4f} at {grid[best]}", None
        rng = np.random.default_rng(seed)
        drawn = [trained(problem, rng.uniform(*problem.box()), gradients) for _ in range(10)]
        yield f"seed {seed}: best of 10 random settings {min(drawn):.4f}", None
        again = trained(problem, run.state.x, gradients)
        yield f"seed {seed}: fixed at the values that it ended with {again:.4f}", None
        yield f"seed {seed}: self-tuning <= best fixed", found <= fixed[best]


@claim(
    "BO-REP learns a shared representation, and cleans labels, better than SOBA and the penalty "
    "method at equal oracle calls (arXiv:2401.09587)"
)
def shared_representation() -> Found:
    """3,000 calls each, the best of some steps; F with the lower level solved.

    A call is a gradient or a product over the same number of samples for all: 128 where there are
    samples, else everything. The grids reach beyond the best step of each method on both sides.
    Neither problem has curvature that grows with the gradient, which steps of a fixed length are
    made for.
    """
    from fejer.benchmarks.instances.bilevel import digits_cleaning, representation

    most = 3_000
    stochastic: dict[str, list[dict[str, Any]]] = {
        "bo-rep": [
            {"eta": eta, "steps": 520} for eta in (3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1)
        ],
        "soba": [{"gamma": 10.0**power, "steps": 750} for power in range(-2, 5)],
    }
    radii = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
    for name, problem in (
        ("representation", representation()),
        ("cleaning of 300 digits", digits_cleaning(300, 200)),
    ):
        sampled = max(problem.sample_sizes()) > 1
        forms = ("stochastic", "momentum") if sampled else ("deterministic",)
        grids = {
            **stochastic,
            "penalty": [{"order": 1, "form": form, "radius": r} for form in forms for r in radii],
        }
        best: dict[str, float] = {}
        for method, grid in grids.items():
            found = []
            for options in grid:
                run: Any = Run(problem, method=method, options={**options, "batch": 128}, tol=0.0)
                run.open()
                while run.state.work < most and not run.state.finished:
                    before = run.state.nit
                    run.forward(before + 20)
                    if run.state.nit == before:
                        break
                x = run.state.x
                found.append((problem.upper_level(x, problem.lower_solution(x, 1e-8)).fun, options))
            best[method], options = min(found, key=lambda pair: pair[0])
            yield f"{name}, {method}: F {best[method]:.4f} with {options}", None
        others = min(best["soba"], best["penalty"])
        yield f"{name}: bo-rep below the others", best["bo-rep"] <= others
