"""What a stochastic step of vr-halpern costs beside its component calls."""

from __future__ import annotations

import time
from functools import cache
from typing import Any

import numpy as np

from fejer.benchmarks.claims import Found, claim
from fejer.benchmarks.instances.monotone import compiled_rows, policeman_burglar, slow_saddle
from fejer.driver import Run
from fejer.problems.monotone._operators import MAP, first_class
from fejer.problems.monotone.monotone_inclusion import MonotoneInclusion
from fejer.solvers.monotone.vr_halpern import REFRESHES, iterate

__all__ = ["step_cost"]

STEPS, ROUNDS = 4_000, 9


@cache
def _compiled() -> tuple[Any, Any]:
    """A loop over prepared batches, and an F that costs nothing: it leaves the estimate alone."""
    import numba

    @numba.njit
    def differences(function: Any, u: Any, v: Any, batches: Any, out: Any) -> None:
        for i in range(batches.shape[0]):
            function(u, v, batches[i], out)

    @numba.njit(MAP)
    def nothing(z: Any, out: Any) -> None:
        pass

    return differences, first_class(nothing, MAP)


def _seconds(function: Any, *arguments: Any) -> float:
    begun = time.process_time()
    function(*arguments)
    return time.process_time() - begun


def cost(problem: MonotoneInclusion, batch: int) -> tuple[float, float]:
    """Return microseconds of a step that is not exact, and of its component calls.

    The method's own loop runs with an F that costs nothing. Both are alternated; the medians of
    ratio and price count.
    """
    n, m = problem.n, problem.n_components or 1
    options = {"restart": None, "step": 1e-3 / (problem.lipschitz or 1.0), "batch": batch}
    run = Run(problem, method="vr-halpern", options=options, tol=0.0)
    run.open()
    run.forward(2 * STEPS)
    rng = np.random.default_rng(0)
    u, v = rng.standard_normal((2, n))
    batches = np.array([rng.permutation(m)[:batch] for _ in range(STEPS)])
    out = np.zeros(n)
    differences, nothing = _compiled()
    names = ("component", "resolvent", "component_difference")
    given = [None if getattr(problem, f) is None else problem.first_class(f) for f in names]
    s: Any = run.state
    vectors = (s.x, s.before, s.anchor, s.estimate, s.best, s.exact)
    rest = (s.order, s.words, s.pair, s.scalars, s.counters, batch, 0.0, STEPS)
    differences(given[2], u, v, batches[:2], out)
    steps, calls = [], []
    for _ in range(ROUNDS):
        before = s.counters[REFRESHES]
        whole = _seconds(iterate, nothing, *given, *vectors, *rest)
        exact = int(s.counters[REFRESHES] - before)
        own = _seconds(differences, given[2], u, v, batches, out) / STEPS
        # what is not a component call is no cheaper in an exact step
        other = (whole - (STEPS - exact) * own) / STEPS
        steps.append(own + max(other, 0.0))
        calls.append(own)
    ratio = float(np.median(np.divide(steps, calls)))
    price = float(np.median(calls))
    return 1e6 * ratio * price, 1e6 * price


@claim("a stochastic step on a compiled finite sum costs at most 1.5 x its component calls")
def step_cost() -> Found:
    """Three compiled sums; a resolvent is no component call, and is told apart."""
    game = policeman_burglar()
    cases = (
        ("least squares, m = 10000, n = 100", compiled_rows(), 100, True),
        ("saddle, m = 200, n = 400", slow_saddle(), 15, True),
        ("game without resolvent, m = 500, n = 1000", game.replace(resolvent=None), 23, True),
        ("game with its projections", game, 23, False),
    )
    for label, problem, batch, wanted in cases:
        step, calls = cost(problem, batch)
        text = f"{label}: {step:.2f} us for a step, {calls:.2f} us for its calls: "
        yield text + f"{step / calls:.2f} x", step <= 1.5 * calls if wanted else None
