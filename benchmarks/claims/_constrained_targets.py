"""Surrogates in the target space, imitation of a controller, and predictions that keep a law."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

import fejer
from fejer.benchmarks.claims import Found, claim
from fejer.benchmarks.instances import conservation, imitation
from fejer.driver import Run
from fejer.evidence import Array
from fejer.problems.constrained.project_linear import project_linear

__all__ = [
    "conserved_errors",
    "conserved_mass",
    "imitation_queries",
    "surrogate_batches",
    "surrogate_gradients",
]

SAMPLES, FEATURES = 5000, 50


def _logistic(spread: float, seed: int = 0) -> fejer.TargetModel:
    """Draw logistic targets whose columns have units from 1 to ``1 / spread``."""
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((SAMPLES, FEATURES))
    z = A @ rng.standard_normal(FEATURES) / np.sqrt(FEATURES)
    y = np.where(rng.random(SAMPLES) < 1 / (1 + np.exp(-2 * z)), 1.0, -1.0)
    return fejer.TargetModel(A * np.geomspace(1.0, 1.0 / spread, FEATURES), y)


def _point(run: Run) -> Array:
    state: Any = run.state
    return np.array(state.x)


def _best(problem: fejer.TargetModel) -> float:
    composite = fejer.SmoothComposite(problem.A, problem.y)
    return float(fejer.minimize(composite, method="gns", tol=1e-12).fun)


def _calls(problem: fejer.TargetModel, options: dict[str, Any], best: float, most: int) -> int:
    """Return loss gradients until f is within 1e-6 of the best, relatively; most + 1 if never."""
    run = Run(problem, method="target-surrogate", options=options, tol=0.0)
    run.open()
    for k in range(1, most + 1):
        run.forward(k)
        if problem.judge(_point(run)).fun - best <= 1e-6 * best:
            return k
    return most + 1


def _descent_calls(problem: fejer.TargetModel, best: float, most: int) -> int:
    A, theta = problem.A.toarray(), np.zeros(FEATURES)
    step = 4.0 / np.linalg.norm(A, 2) ** 2
    for k in range(1, most + 1):
        value, slopes = problem.loss_slopes(A @ theta)
        if value / SAMPLES - best <= 1e-6 * best:
            return k - 1
        theta -= step * (A.T @ slopes)
    return most + 1


@claim(
    "exact target surrogates need at most 25 gradients of the loss to 1e-6 whatever the units of "
    "the columns, down to 1e-4; gradient descent more than 20000 with units down to 1e-2"
)
def surrogate_gradients() -> Found:
    """5000 samples, 50 features, as many units."""
    for spread in (1.0, 1e2, 1e4):
        problem = _logistic(spread)
        best = _best(problem)
        ours = _calls(problem, {}, best, 60)
        yield f"units 1 to {1 / spread:g}: exact surrogate {ours} gradients", ours <= 25
        if spread > 1e2:
            continue
        descent = _descent_calls(problem, best, 20_000)
        holds = descent > 20_000 if spread > 1 else None
        few = _calls(problem, {"inner": 10}, best, 1000)
        text = f"gradient descent {descent}, ten inner gradient steps {few}"
        yield f"units 1 to {1 / spread:g}: {text} (20001, 1001: not reached)", holds


@claim(
    "batches of 50, 2000 gradients of batches, the best of 14 settings each: surrogates are better "
    "than stochastic gradients in bad units, and not in good ones"
)
def surrogate_batches() -> Found:
    """Gap of the last iterate, relative to the optimal value."""
    for spread in (1.0, 1e2):
        problem = _logistic(spread)
        best = _best(problem)
        A = problem.A.toarray()
        plain, surrogate = [], []
        for schedule in ("constant", "root"):
            for eta in np.geomspace(1e-3, 1.0, 7):
                options = {"batch": 50, "inner": 10, "eta": float(eta), "schedule": schedule}
                run = Run(problem, method="target-surrogate", options=options, tol=0.0)
                run.open()
                run.forward(2000)
                surrogate.append(problem.judge(_point(run)).fun / best - 1)
                rng, theta = np.random.default_rng(0), np.zeros(FEATURES)
                for k in range(2000):
                    rows = rng.choice(SAMPLES, 50, replace=False)
                    g = A[rows].T @ problem.loss_slopes(A[rows] @ theta, rows)[1] / 50
                    theta -= 10 * eta / (np.sqrt(1 + k) if schedule == "root" else 1.0) * g
                plain.append(problem.judge(theta).fun / best - 1)
        ours, theirs = min(surrogate), min(plain)
        holds = ours < theirs if spread > 1 else theirs <= ours
        text = f"surrogates {ours:.1e}, stochastic gradients {theirs:.1e}"
        yield f"units 1 to {1 / spread:g}: {text}", holds


Learner = Callable[[imitation.Task, Array, Array], Array]


def _surrogate(step: float) -> Learner:
    def learn(drawn: imitation.Task, theta: Array, seen: Array) -> Array:
        problem = drawn.model(seen)
        run = Run(problem, theta, method="target-surrogate", options={"eta": step}, tol=0.0)
        run.open()
        run.forward(1)
        return _point(run)

    return learn


def _gradient(step: float, adaptive: bool) -> Learner:
    squares = np.full(imitation.STATES, 1e-12)

    def learn(drawn: imitation.Task, theta: Array, seen: Array) -> Array:
        problem = drawn.model(seen)
        slopes = problem.loss_slopes(problem.targets(theta))[1] / len(seen)
        linear = problem.is_linear
        g = problem.A.rmatvec(slopes) if linear else problem.model.vjp(theta, slopes)
        squares[:] += g * g
        return np.asarray(theta - (step / np.sqrt(squares) if adaptive else step) * g)

    return learn


def _rounds(
    drawn: imitation.Task, learn: Learner, seed: int, total: int, aggregate: bool
) -> list[float]:
    """Return the mean squared error on the expert's own way after each round."""
    rng = np.random.default_rng(seed + 100)
    perfect = -drawn.gain * drawn.units
    probe = drawn.visited(perfect, np.random.default_rng(seed + 200))
    answers = drawn.expert(probe)
    theta, seen, errors = np.zeros(imitation.STATES), np.zeros((0, imitation.STATES)), []
    for _ in range(total):
        fresh = drawn.visited(theta, rng)
        seen = np.vstack([seen, fresh]) if aggregate else fresh
        with np.errstate(all="ignore"):
            theta = learn(drawn, theta, seen)
            error = np.mean((drawn.policy(probe, theta) - answers) ** 2) / np.mean(answers**2)
        errors.append(float(error) if np.isfinite(error) else np.inf)
        theta = theta if np.isfinite(theta).all() else np.zeros_like(theta)
    return errors


def _questions(errors: list[float], aim: float = 1e-2) -> float:
    reached = [k for k, error in enumerate(errors) if error <= aim]
    return (reached[0] + 1) * imitation.STEPS * imitation.ROLLS if reached else np.inf


@claim(
    "imitating a controller to a relative error of 1e-2, target surrogates ask the expert less "
    "than stochastic gradients and Adagrad with the best of seven steps each, ten seeds"
)
def imitation_queries() -> Found:
    """One gradient of the loss a round of 50 questions, 200 rounds; median of the seeds."""
    steps = np.geomspace(1e-3, 1.0, 7)
    learners: dict[str, list[Callable[[], Learner]]] = {
        "surrogates": [partial(_surrogate, step) for step in steps],
        "gradients": [partial(_gradient, step, False) for step in steps],
        "Adagrad": [partial(_gradient, step, True) for step in steps],
    }
    for policy in ("linear", "tanh"):
        for spread in (1.0, 100.0):
            for aggregate in (False, True):
                most = 100 if aggregate else 200
                if policy == "tanh" and aggregate:
                    continue
                told = {}
                for name, made in learners.items():
                    medians = []
                    for new in made:
                        asked = [
                            _questions(
                                _rounds(
                                    imitation.task(policy, spread, seed),
                                    new(),
                                    seed,
                                    most,
                                    aggregate,
                                )
                            )
                            for seed in range(10)
                        ]
                        medians.append(float(np.median(asked)))
                    told[name] = min(medians)
                rivals = min(told["gradients"], told["Adagrad"])
                kind = "all data so far" if aggregate else "each round's data"
                text = ", ".join(f"{name} {count:g}" for name, count in told.items())
                label = f"{policy} policy, units up to {spread:g}, {kind}"
                yield f"{label}: questions {text}", told["surrogates"] < rivals


def _distance(x: Array, drawn: conservation.Prediction) -> float:
    return float(np.sqrt(np.sum((x - drawn.truth) ** 2 / drawn.variances)))


@claim(
    "projected predictions keep the mass to 1e-12, and the error in the norm of the inverse "
    "covariance never grows"
)
def conserved_mass() -> Found:
    """Three equations, 70 predictions each; the norm of the variances."""
    for name in conservation.PROFILES:
        off, grown = 0.0, 0
        for seed in range(70):
            drawn = conservation.prediction(name, seed)
            kept = project_linear(drawn.mean, drawn.variances, drawn.weights, drawn.mass).mean
            off = max(off, float(abs(drawn.weights @ kept - drawn.mass)[0] / abs(drawn.mass[0])))
            grown += _distance(kept, drawn) > _distance(drawn.mean, drawn) * (1 + 1e-12)
        text = f"{name}: mass off by {off:.1e} at most, error grew in {grown} of 70"
        yield text, off <= 1e-12 and grown == 0


@claim(
    "the error with the variances is smaller than with equal weights, and that smaller than "
    "without a projection"
)
def conserved_errors() -> Found:
    """Mean over 70 predictions of the root of the mean squared error, relative to none."""
    for name in conservation.PROFILES:
        errors = []
        likely: list[list[float]] = []
        fronts = []
        for seed in range(70):
            drawn = conservation.prediction(name, seed)
            known = drawn.weights, drawn.mass
            covs: tuple[Any, ...] = (1.0, drawn.variances, drawn.cov)
            means = [drawn.mean, *(project_linear(drawn.mean, c, *known).mean for c in covs)]
            errors.append([float(np.sqrt(np.mean((m - drawn.truth) ** 2))) for m in means])
            likely.append([-0.5 * _distance(m, drawn) ** 2 for m in means])
            half = 0.25 * float(drawn.truth.max())
            fronts.append([abs(float(drawn.grid[m >= half].max()) - drawn.front) for m in means])
        rms = np.mean(errors, axis=0) / np.mean(errors, axis=0)[0]
        gain = np.mean(likely, axis=0) - np.mean(likely, axis=0)[0]
        text = f"equal {rms[1]:.3f}, variances {rms[2]:.3f}, whole covariance {rms[3]:.3f} of none"
        yield f"{name}: {text}", rms[2] < rms[1] < 1
        text = f"{gain[1]:+.2f}, {gain[2]:+.2f}, {gain[3]:+.2f}"
        yield f"{name}: log-likelihood of the truth {text} against none", None
        if np.isfinite(fronts).all():
            shown = ", ".join(f"{place:.3f}" for place in np.mean(fronts, axis=0))
            yield f"{name}: front off by {shown} (none, equal, variances, whole)", None
