"""Evaluations of maps: extrapolation and Halpern iteration beside scipy's solvers."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

import fejer
from fejer.benchmarks.claims import Found, claim
from fejer.benchmarks.instances import maps
from fejer.benchmarks.peers import scipy as peers
from fejer.evidence import Array

__all__ = ["against_scipy", "reflected", "scipy_failures"]

MOST = 20_000
LEVELS = (1e-4, 1e-8)
CASES: dict[str, Callable[[], Any]] = {
    "lasso": maps.lasso,
    "value iteration": maps.value_iteration,
    "Douglas-Rachford": maps.douglas_rachford,
    "logistic descent": maps.logistic_descent,
    "reflected resolvent": maps.reflected_resolvent,
}


class SpentError(Exception):
    """The last level is reached, or the budget is spent."""


class Counted:
    """A map that remembers at which evaluation its residual first fell below each level."""

    def __init__(self, problem: Any) -> None:
        self.T, self.scale, self.calls = problem.T, problem.scale, 0
        self.reached: dict[float, int] = {}

    def __call__(self, x: Array) -> Array:
        self.calls += 1
        image = np.asarray(self.T(x))
        with np.errstate(all="ignore"):
            residual = float(np.linalg.norm(image - x)) / self.scale
        for level in LEVELS:
            if residual <= level:
                self.reached.setdefault(level, self.calls)
        if len(self.reached) == len(LEVELS) or self.calls >= MOST:
            raise SpentError
        return image


def evaluations(problem: Any, solver: Callable[[Any], Any]) -> list[float]:
    """Return evaluations until each level; infinite where 20 000 did not do."""
    counted = Counted(problem)
    # the factor is that of the map, whatever wraps it
    wrapped = fejer.FixedPoint(
        counted, problem.n, problem.operator, problem.factor, scale=problem.scale
    )
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            solver(wrapped)
        except (SpentError, RuntimeError, ValueError, ArithmeticError):
            pass
    return [counted.reached.get(level, math.inf) for level in LEVELS]


def ours(method: str, **options: Any) -> Callable[[Any], Any]:
    """Return a solver: one of our methods, to more than the last level."""
    return lambda p: fejer.minimize(p, method=method, options=options, tol=1e-12, max_iter=MOST)


def theirs(peer: Callable[[Any], Callable[[float], Any]]) -> Callable[[Any], Any]:
    """Return a solver: one of scipy's, asked for more than the last level."""
    return lambda p: peer(p)(1e-10)


def told(counts: list[float]) -> str:
    """Return both counts in short."""
    return "/".join("fails" if math.isinf(c) else f"{c:.0f}" for c in counts)


def as_it_comes(p: Any) -> Any:
    """Run ``scipy.optimize.anderson`` with ten differences and its own guess of the mixing."""
    import scipy.optimize

    method: Any = scipy.optimize.anderson  # its stubs know functions of numbers alone
    residual, start = peers.equation(p)
    tol = 1e-10 * p.scale
    return method(residual, start, M=10, f_tol=tol, maxiter=MOST)


@claim("anderson takes at most 1/5 of scipy.anderson's evaluations: lasso, value iteration")
def against_scipy() -> Found:
    """Evaluations to 1e-4 and 1e-8 of the first residual."""
    rivals = {
        "with alpha = 1": theirs(peers.anderson),
        "krylov": theirs(peers.krylov),
        "df-sane": theirs(peers.df_sane),
    }
    for name, build in CASES.items():
        problem = build()
        mine, other = (evaluations(problem, s) for s in (ours("anderson"), as_it_comes))
        more = ", ".join(f"{k} {told(evaluations(problem, v))}" for k, v in rivals.items())
        asked = name in ("lasso", "value iteration")
        holds = all(a <= b / 5 for a, b in zip(mine, other, strict=True)) if asked else None
        yield f"{name}: {told(mine)} against {told(other)} (scipy {more})", holds


@claim("restarted Halpern iteration solves the reflected-resolvent case within 12000 evaluations")
def reflected() -> Found:
    """The published rule, and the default."""
    problem = maps.reflected_resolvent()
    found = evaluations(problem, ours("halpern"))
    yield f"restarted: {told(found)}", found[1] <= 12_000
    yield f"never restarted: {told(evaluations(problem, ours('halpern', restart=None)))}", None
    yield f"averaged: {told(evaluations(problem, ours('averaged')))}", None


@claim("what scipy.optimize.fixed_point cannot solve is solved")
def scipy_failures() -> Found:
    """All five maps, by default methods."""
    for name, build in CASES.items():
        problem = build()
        other = evaluations(problem, theirs(peers.fixed_point))
        mine = evaluations(problem, lambda p: fejer.minimize(p, tol=1e-12, max_iter=MOST))
        yield f"{name}: fixed_point {told(other)}, ours {told(mine)}", not math.isinf(mine[1])
