"""Gradient methods on losses of targets: stochastic gradients and Adagrad, in plain numpy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fejer.evidence import Array
from fejer.problems.constrained.target_model import TargetModel

__all__ = ["adagrad", "sgd"]

BATCH = 50
RATES = (0.01, 0.03, 0.1, 0.3, 1.0)

Solve = Callable[[float], Array]


def _gradient(problem: TargetModel, theta: Array, rows: Array) -> Array:
    z = problem.targets(theta)
    spread = np.zeros_like(z)
    spread[rows] = problem.loss_slopes(z[rows], rows)[1] / rows.size
    if problem.is_linear:
        return problem.A.rmatvec(spread)  # type: ignore[no-any-return]
    return problem.model.vjp(theta, spread)


def _prepared(problem: TargetModel, adaptive: bool) -> Solve:
    n = problem.y.size

    def run(rate: float, passes: int) -> Array:
        rng, theta = np.random.default_rng(0), problem.initial_point()
        squares = np.full(theta.size, 1e-12)
        batch = min(BATCH, n)
        for k in range(passes * n // batch):
            g = _gradient(problem, theta, rng.choice(n, batch, replace=False))
            squares += g * g
            theta = theta - (rate / np.sqrt(squares) if adaptive else rate / np.sqrt(1 + k)) * g
        return theta

    def value(theta: Array) -> float:
        with np.errstate(all="ignore"):
            found = problem.loss_slopes(problem.targets(theta))[0]
        return found if np.isfinite(found) else np.inf

    with np.errstate(all="ignore"):
        best = min(RATES, key=lambda rate: value(run(rate, 5)))  # untimed: the best rate is theirs

    def solve(tol: float) -> Array:
        with np.errstate(all="ignore"):
            return run(best, max(1, round(1 / tol)))

    return solve


def sgd(problem: TargetModel) -> Solve:
    """Prepare stochastic gradients with steps that fall as ``1 / sqrt k``, the best of five rates.

    Parameters
    ----------
    problem : TargetModel
        Any.

    Returns
    -------
    callable
        ``solve(tol)``, which makes ``1 / tol`` passes.
    """
    return _prepared(problem, adaptive=False)


def adagrad(problem: TargetModel) -> Solve:
    """Prepare Adagrad with the best of five rates.

    Parameters
    ----------
    problem : TargetModel
        Any.

    Returns
    -------
    callable
        ``solve(tol)``, which makes ``1 / tol`` passes.
    """
    return _prepared(problem, adaptive=True)
