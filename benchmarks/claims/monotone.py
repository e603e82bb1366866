"""Halpern iteration, variance reduction, games and online methods: published figures."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from fejer.benchmarks.claims import Found, claim
from fejer.driver import Run

__all__ = ["game_figure", "saddle_figure"]

STRIDE = 200  # iterations between two looks at the work
MOST_SECONDS = 120.0


def residual_after(problem: Any, method: str, options: dict[str, Any], epochs: float) -> float:
    """Return ``||z - J(z - F(z))||`` after some passes over the components.

    Two minutes of processor time end the run, too.
    """
    run = Run(problem, method=method, options=options, tol=0.0)
    run.open()
    begun = time.process_time()
    while run.work < epochs and time.process_time() - begun < MOST_SECONDS:
        before = run.state.nit
        run.forward(before + STRIDE)
        if run.state.nit == before:
            break
    z = np.array(run.method.point(problem, run.prep, run.state))
    return float(np.linalg.norm(z - problem.resolve(z - problem.evaluate(z), 1.0)))


def figure(name: str, epochs: float) -> Found:
    """Run every contender of a suite for a number of passes over the components."""
    from fejer.benchmarks.suites import load

    suite = load(name)
    problem = suite.instances[0].build(0)
    for entry in suite.contenders:
        begun = time.process_time()
        value = residual_after(problem, entry.method, entry.options, epochs)
        seconds = time.process_time() - begun
        yield f"{entry.method:22}{value:10.3g}   {seconds:6.1f} s", None


@claim("figure a: residual of step 1 on the matrix game after 5,000 passes (arXiv:2310.02987)")
def game_figure() -> Found:
    """Suite ``vr-paper-game``."""
    yield from figure("vr-paper-game", 5_000)


@claim("figure b: residual of step 1 on the saddle problem after 40,000 passes (arXiv:2310.02987)")
def saddle_figure() -> Found:
    """Suite ``vr-paper-saddle``."""
    yield from figure("vr-paper-saddle", 40_000)
