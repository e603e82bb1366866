"""What the claims of the sparse family share: runs of a number of iterations, and fits."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from fejer.driver import Run
from fejer.evidence import Array
from fejer.solvers.general._smooth import smooth

__all__ = ["after", "cpu", "exponent", "followed", "value"]


def value(problem: Any, x: Array) -> float:
    """The objective without its certificate, which is dear where there is no penalty."""
    ready = smooth(problem)
    return float(ready.value(ready.enter(x)))


def after(problem: Any, method: str, options: dict[str, Any], iterations: int) -> Array:
    """Return the point after some iterations, never judged."""
    run = Run(problem, method=method, options=options, tol=0.0)
    run.open()
    while run.state.nit < iterations:
        before = run.state.nit
        run.forward(iterations)
        if run.state.nit == before:
            break
    return np.array(run.method.point(problem, run.prep, run.state))


def followed(
    problem: Any, method: str, options: dict[str, Any], iterations: int, look: Callable[..., bool]
) -> int:
    """Advance one by one until ``look(x, state)``; returns how many iterations that took."""
    run = Run(problem, method=method, options=options, tol=0.0)
    run.open()
    for k in range(1, iterations + 1):
        run.method.advance(problem, run.prep, run.state, 1)
        if look(run.method.point(problem, run.prep, run.state), run.state):
            return k
    return iterations + 1


def cpu(work: Callable[[], Any], repeats: int = 5) -> float:
    """Median processor time of a call, in seconds."""
    times = []
    for _ in range(repeats):
        begun = time.process_time()
        work()
        times.append(time.process_time() - begun)
    return float(np.median(times))


def exponent(sizes: Any, times: Any) -> float:
    """Slope of the times over the sizes on logarithmic axes."""
    return float(np.polyfit(np.log(sizes), np.log(times), 1)[0])
