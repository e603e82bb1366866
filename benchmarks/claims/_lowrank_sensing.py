"""Claims of low rank about the sub-gradient method with small initialisation."""

from __future__ import annotations

import math

import numpy as np

from fejer.benchmarks.claims import Found, claim

from . import _lowrank_runs as runs


@claim(
    "exact recovery (1e-8) with the rank over-specified, at 10, 30 and 50 % outliers; iterations "
    "do not depend on the rank asked for (within 5 %)"
)
def over_rank() -> Found:
    """d = 50, rank 3, of which 3, 12 and 50 are asked for."""
    for share, count in ((0.1, 1500), (0.3, 3000), (0.5, 6000)):
        problem, X = runs.sensed(50, 3, count, share, seed=0)
        for finish in ("scaled", "none"):
            target = 1e-8 if finish == "scaled" else 1e-6
            needed, errors = [], []
            for asked in (3, 12, 50):
                other = problem.replace(rank=asked)
                k, error = 0, math.inf
                options = {"finish": finish, "quantile": 0.5 if share < 0.4 else 0.2}
                for k, x, _ in runs.watched(other, "subgm", 1500, **options):  # noqa: B007
                    U = x.reshape(50, asked)
                    error = float(np.linalg.norm(U @ U.T - X) / np.linalg.norm(X))
                    if error <= target:
                        break
                needed.append(k)
                errors.append(error)
            spread = (max(needed) - min(needed)) / min(needed)
            text = f"{share:.0%} outliers, {count} measurements, finish {finish}: iterations "
            text += f"{needed} for ranks 3, 12, 50 to {target:g}, errors "
            text += ", ".join(f"{e:.0e}" for e in errors)
            yield text, spread <= 0.05 and max(errors) <= target


@claim("with the rank kept, the final error is proportional to the size alpha of the start")
def small_start() -> Found:
    """d = 30, rank 2 of 30, 10 % outliers."""
    problem, X = runs.sensed(30, 2, 900, 0.1, seed=0)
    problem = problem.replace(rank=30)
    alphas, errors, needed = np.array([1e-3, 1e-4, 1e-5, 1e-6, 1e-7]), [], []
    for alpha in alphas:
        best, first = math.inf, 0
        for k, x, _ in runs.watched(problem, "subgm", 1200, finish="none", alpha=float(alpha)):
            U = x.reshape(30, 30)
            error = float(np.linalg.norm(U @ U.T - X) / np.linalg.norm(X))
            first = k if best > 1e-2 >= error else first
            best = min(best, error)
        errors.append(best)
        needed.append(first)
    slope = float(np.polyfit(np.log(alphas), np.log(errors), 1)[0])
    floors = ", ".join(f"{e:.1e}" for e in errors)
    yield f"alpha 1e-3 to 1e-7: error floors {floors}, slope {slope:.2f}", abs(slope - 1) <= 0.15
    each = float(np.mean(np.diff(needed)))
    yield f"iterations to 1e-2: {needed}, {each:.1f} for each decade of alpha", None


@claim("outliers of any density: 70 % of the measurements are wrong")
def dense_outliers() -> Found:
    """d = 50, rank 3 of 3 and of 50, 12000 measurements, quantile 0.2."""
    problem, X = runs.sensed(50, 3, 12_000, 0.7, seed=0)
    for asked in (3, 50):
        error, k = math.inf, 0
        for k, x, _ in runs.watched(  # noqa: B007
            problem.replace(rank=asked), "subgm", 800, quantile=0.2
        ):
            U = x.reshape(50, asked)
            error = float(np.linalg.norm(U @ U.T - X) / np.linalg.norm(X))
            if error <= 1e-8:
                break
        yield f"rank {asked} asked for: error {error:.1e} after {k} iterations", error <= 1e-8


@claim("noise in all measurements: the error falls as M^-1/2, whatever the rank asked for")
def noise_slope() -> Found:
    """d = 20, rank 2, noise 0.5: the iterate with the smallest estimated distance."""
    counts = np.array([1000, 2000, 4000, 8000])
    for asked in (2, 20):
        errors = []
        for count in counts:
            each = []
            for seed in range(3):
                problem, X = runs.sensed(20, 2, int(count), 0.0, seed, noise=0.5)
                for _, x, _ in runs.watched(problem.replace(rank=asked), "subgm", 400):
                    U = x.reshape(20, asked)
                each.append(float(np.linalg.norm(U @ U.T - X) / np.linalg.norm(X)))
            errors.append(float(np.median(each)))
        slope = float(np.polyfit(np.log(counts), np.log(errors), 1)[0])
        text = ", ".join(f"{e:.3f}" for e in errors)
        yield f"rank {asked} asked for: {text}, slope {slope:.2f}", abs(slope + 0.5) <= 0.1


@claim("the method nears the truth although the truth does not minimise the loss")
def truth_not_minimal() -> Found:
    """d = 20, rank 2 of 20, 1000 measurements with noise 0.5."""
    problem, X = runs.sensed(20, 2, 1000, 0.0, 0, noise=0.5)
    problem = problem.replace(rank=20)
    truth = float(np.abs(problem.measure(X) - problem.y).mean())
    best, last, loss = math.inf, math.inf, math.inf
    for _, x, _ in runs.watched(problem, "subgm", 2000, finish="none", schedule="geometric"):
        U = x.reshape(20, 20)
        last = float(np.linalg.norm(U @ U.T - X) / np.linalg.norm(X))
        best = min(best, last)
        loss = min(loss, float(np.abs(problem.measure(U @ U.T) - problem.y).mean()))
    text = f"loss at the truth {truth:.4f}, smallest on the way {loss:.4f}; "
    text += f"error {best:.3f} at its smallest, {last:.3f} of the answer"
    yield text, loss < truth and best < 0.5
