"""Cost of an iteration of Sinkhorn's method beside POT's, and memory at 1e5 points."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

import fejer
from fejer.benchmarks.claims import Found, claim
from fejer.benchmarks.instances.transport import entropic
from fejer.benchmarks.memory import _kilobytes, _reset
from fejer.driver import Run

__all__ = ["lazy_pass", "log_pass", "memory", "scaling_pass"]

REPEATS = 7
EPS = 0.01  # of the largest cost
LARGE = 100_000  # points on each side


def seconds(step: Callable[[int], Any], few: int, many: int) -> float:
    """Return the processor time of one iteration: the slope between two numbers of them."""
    times = []
    for count in (few, many):
        begun = time.process_time()
        step(count)
        times.append(time.process_time() - begun)
    return (times[1] - times[0]) / (many - few)


def keep_pages() -> None:
    """Free a block of nearly 32 MB: from then on glibc keeps blocks up to that size.

    In a fresh process POT's arrays of 2 MB are mapped and cleared anew at each use, which made it
    five times as slow; this is its better state, and the usual one of a process that works.
    """
    np.ones((1 << 22) - 1024)


def against(ours: Any, theirs: Any, repeats: int = REPEATS) -> tuple[float, float, float]:
    """Return seconds of both, and the median ratio of alternating measurements.

    Each is a function of the number of iterations, and two such numbers.
    """
    keep_pages()
    for step, few, _ in (ours, theirs):
        step(few)
    pairs = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(repeats):
            pairs.append((seconds(*ours), seconds(*theirs)))
    found = np.array(pairs)
    mine, other = np.median(found, axis=0)
    return float(mine), float(other), float(np.median(found[:, 1] / found[:, 0]))


def stepper(problem: fejer.EntropicOT, method: str, precision: str = "") -> Callable[[int], Any]:
    """Return a function that makes a number of iterations from the start.

    With mixed precision all must be such in float32, of those after the first.
    """
    options = {"precision": precision} if precision else {}

    def step(count: int) -> None:
        run = Run(problem, method=method, options=options, tol=0.0, max_iter=10**6)
        run.open()
        run.forward(count)
        if precision == "mixed":
            state: Any = run.state
            assert state.single and state.nit == count

    return step


def told(size: int, mine: float, other: float, ratio: float, entries: float) -> str:
    """Return a line of the table."""
    return (
        f"n = {size}: {1e9 * mine / entries:.2f} ns an entry, POT {1e9 * other / entries:.1f}, "
        f"ratio {ratio:.1f}"
    )


@claim("an iteration of sinkhorn-log costs at most 1/15 of one of POT's sinkhorn_log")
def log_pass() -> Found:
    """Two Gaussian clouds, one thread, float64 on both sides; float32 is told, and has no bar."""
    import ot

    for n in (500, 1000, 2000):
        problem = entropic("pc2", n, EPS)
        data = problem.a, problem.b, np.array(problem.cost), problem.epsilon

        def theirs(count: int, data: Any = data) -> None:
            ot.bregman.sinkhorn_log(*data, stopThr=0, numItermax=count, warn=False)

        found = against((stepper(problem, "sinkhorn-log", "double"), 1, 41), (theirs, 1, 9))
        yield told(n, *found, n * n), found[2] >= 15.0
        found = against((stepper(problem, "sinkhorn-log", "mixed"), 1, 17), (theirs, 1, 9))
        yield "in float32, " + told(n, *found, n * n), None


@claim("an iteration of sinkhorn costs at most 2/3 of one of POT's sinkhorn")
def scaling_pass() -> Found:
    """The same clouds; POT looks at its marginals every ten iterations, we at each."""
    import ot

    for n in (500, 1000, 2000):
        problem = entropic("pc2", n, EPS)
        data = problem.a, problem.b, np.array(problem.cost), problem.epsilon

        def theirs(count: int, data: Any = data) -> None:
            ot.sinkhorn(*data, stopThr=0, numItermax=count, warn=False)

        found = against((stepper(problem, "sinkhorn"), 5, 205), (theirs, 1, 101))
        yield told(n, *found, n * n), found[2] >= 1.5


def clouds(n: int, seed: int = 0) -> fejer.PointCloud:
    """Return two Gaussian clouds in three dimensions."""
    rng = np.random.default_rng(seed)
    return fejer.PointCloud(rng.normal(size=(n, 3)), 0.7 * rng.normal(size=(n, 3)) + 1.0)


@claim("a pass over costs never stored: at most 1/5 of POT's lazy one, in float32 at most 1/10")
def lazy_pass() -> Found:
    """10,000 points in three dimensions; POT's pass is in float64."""
    import ot

    n = 10_000
    cloud = clouds(n)
    problem = fejer.EntropicOT(None, None, cloud, eps=0.3)

    def theirs(count: int) -> None:
        ot.bregman.empirical_sinkhorn(
            cloud.x, cloud.y, 0.3, numIterMax=count, stopThr=0, isLazy=True, warn=False
        )

    for name, precision, bar in (("float64", "double", 5.0), ("float32", "mixed", 10.0)):
        ours = stepper(problem, "sinkhorn-log", precision), 1, 5
        found = against(ours, (theirs, 1, 2), repeats=3)
        yield f"in {name}, {told(n, *found, n * n)}", found[2] >= bar


def grown() -> None:
    """Print by how many bytes a run at full size exceeds what is resident with its data."""

    def run(n: int) -> Any:
        problem = fejer.EntropicOT(None, None, clouds(n), eps=0.3)
        _reset()
        before = _kilobytes("VmRSS")
        begun = time.process_time()
        result = fejer.minimize(problem, method="sinkhorn-log", max_iter=2, tol=1e-3)
        used = time.process_time() - begun
        peak = 1024 * (_kilobytes("VmHWM") - before)
        return {
            "peak": peak,
            "seconds": used,
            "nit": result.nit,
            "value": result.certificate.value,
            "violation": float(result.certificate.details["marginal"]),
        }

    run(5_000)  # machine code is loaded
    print(json.dumps(run(LARGE)))


@claim("1e5 points on each side: neither plan nor cost stored, under 200 MB beyond the data")
def memory() -> Found:
    """Two iterations and the certificate, in a process of its own."""
    code = "from fejer.benchmarks.claims._transport_speed import grown; grown()"
    lines = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    found = json.loads(lines[-1])
    text = f"{found['peak'] / 1e6:.0f} MB, {found['seconds']:.0f} s for {found['nit']} iterations "
    yield text + f"and a certificate of {found['value']:.2g}", found["peak"] < 2e8
