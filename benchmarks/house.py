"""What the house itself costs: imports, calls, kernels, interrupts.

``python -m fejer.benchmarks.house`` prints every figure beside its bar. Times of fresh processes
are CPU seconds of the whole process, the two sides alternating; quote medians and ratios.
"""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Any

import numpy as np

import fejer
from fejer import jit, testing
from fejer.evidence import Status
from fejer.numerics.elementary import exp

__all__ = ["figures", "main"]

EMPTY_KERNEL = """
import numpy, scipy.optimize, numba
@numba.njit
def nothing(): return 0
nothing()
"""
FIRST_SOLVE = """
import numpy as np, fejer
problem = fejer.Lasso(np.eye(4), np.ones(4), 0.1)
assert fejer.minimize(problem, method="bcd").success
"""
COUNT_COMPILED = (
    FIRST_SOLVE
    + """
from fejer import jit
print(sum(kernel.stats["compiled"] for kernel in jit.kernels()))
"""
)
LOADED = """
import sys, fejer
print(sum(name in sys.modules for name in ("numpy", "scipy", "numba")))
"""


def process_cpu(code: str) -> float:
    """CPU seconds of a fresh interpreter that runs ``code``."""
    child = subprocess.Popen([sys.executable, "-c", code])
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise RuntimeError(f"failed: {code}")
    return usage.ru_utime + usage.ru_stime


def alternating(first: Callable[[], float], second: Callable[[], float], runs: int) -> float:
    """Median over pairs of the ratio first / second, after one pair that is not counted."""
    first(), second()
    return median(first() / second() for _ in range(runs))


def imports(runs: int = 15) -> list[tuple[str, float, str]]:
    """Figures of fresh processes: import, first solve, what a second process compiles."""
    bare = median(process_cpu("pass") for _ in range(runs))
    light = alternating(
        lambda: max(process_cpu("import fejer") - bare, 1e-4),
        lambda: process_cpu("import numpy") - bare,
        runs,
    )
    first = alternating(lambda: process_cpu(FIRST_SOLVE), lambda: process_cpu(EMPTY_KERNEL), runs)

    def printed(code: str) -> float:
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
        return float(done.stdout)

    return [
        ("B numpy, scipy, numba loaded by 'import fejer'", printed(LOADED), "0"),
        ("B import fejer / import numpy, less a bare interpreter", light, "<= 0.5"),
        ("B first solve / (numpy + scipy.optimize + one kernel)", first, "<= 1.15"),
        ("B kernels compiled by a second process", printed(COUNT_COMPILED), "0"),
    ]


def _best(function: Callable[[], Any], calls: int) -> float:
    begun = time.perf_counter()
    for _ in range(calls):
        function()
    return (time.perf_counter() - begun) / calls


def _square(x: Any) -> Any:
    return x @ x


def _slope(x: Any) -> Any:
    return 2 * x


def calls(runs: int = 15, count: int = 200) -> list[tuple[str, float, str]]:
    """Fixed cost of one call: one iteration against a whole BFGS run, n = 60."""
    from scipy.optimize import minimize

    rng = np.random.default_rng(0)
    x0 = rng.standard_normal(60)
    rows = []
    problems = {
        "FixedPoint": (fejer.FixedPoint(lambda x: 0.5 * x, 60), "halpern"),
        "FixedPoint.affine": (fejer.FixedPoint.affine(0.5 * np.eye(60), x0), "halpern"),
        "Lasso": (fejer.Lasso(rng.standard_normal((60, 60)), x0, 1.0), "bcd"),
    }
    scipys: dict[str, Callable[[], Any]] = {
        "BFGS with gradient": partial(minimize, _square, x0, jac=_slope),
        "BFGS": partial(minimize, _square, x0),
    }
    for name, (problem, method) in problems.items():
        ours = partial(fejer.minimize, problem, method=method, max_iter=1, tol=0.0)
        for rival, theirs in scipys.items():
            ratio = alternating(partial(_best, ours, count), partial(_best, theirs, count), runs)
            rows.append((f"C one iteration on {name} / {rival}", ratio, "<= 1"))
        rows.append((f"C one iteration on {name}, microseconds", 1e6 * _best(ours, count), ""))
    return rows


@jit.kernel
def _exp_numpy(x, out):  # type: ignore[no-untyped-def]
    for i in range(x.size):
        out[i] = np.exp(x[i])


@jit.kernel
def _exp_ours(x, out):  # type: ignore[no-untyped-def]
    for i in range(x.size):
        out[i] = exp(x[i])


def kernels(runs: int = 9) -> list[tuple[str, float, str]]:
    """The fused Sinkhorn pass against two matrix-vector products, and exp against np.exp."""
    from fejer.benchmarks.instances.transport import fused_pass

    rows = []
    for n in (1000, 2000, 4000):
        ours, gemv = fused_pass(n)
        bar = ">= 1.7" if n == 4000 else ""
        rows.append((f"G two BLAS products / fused pass, n = {n}", gemv / ours, bar))
    x = np.random.default_rng(0).uniform(-50, 0, 4096)
    out = np.empty_like(x)
    ratio = alternating(
        lambda: _best(lambda: _exp_numpy(x, out), 400),
        lambda: _best(lambda: _exp_ours(x, out), 400),
        runs,
    )
    rows.append(("G np.exp in a kernel / our exp", ratio, ">= 2.5"))
    rows.append(
        ("G our exp, nanoseconds an entry", _best(lambda: _exp_ours(x, out), 400) / 4e-6, "")
    )
    return rows


def exp_error(count: int = 200_000) -> list[tuple[str, float, str]]:
    """Largest error of our exp in units of the last place, against extended precision."""
    x = np.random.default_rng(1).uniform(-700, 700, count)
    out = np.empty_like(x)
    _exp_ours(x, out)
    exact = np.exp(x.astype(np.longdouble))
    error = float(np.max(np.abs(out - exact) / np.spacing(exact.astype(np.float64))))
    return [("G largest error of exp, units of the last place", error, "< 1")]


def interrupts(after: float = 0.2) -> list[tuple[str, float, str]]:
    """Milliseconds from an interrupt to the returned result, for every method and problem."""

    def raise_interrupt(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    rows = []
    previous = signal.signal(signal.SIGALRM, raise_interrupt)
    try:
        for method, cls in testing.pairs():
            if method.one_shot:
                continue
            problem = cls.random()
            fejer.minimize(problem, method=method, max_iter=3, tol=0.0)  # compile
            latency, wait = math.nan, after
            while math.isnan(latency) and wait > 1e-4:
                signal.setitimer(signal.ITIMER_REAL, wait)
                due = time.perf_counter() + wait
                try:
                    result = fejer.minimize(problem, method=method, tol=0.0, max_iter=10**9)
                    ended = time.perf_counter()
                    signal.setitimer(signal.ITIMER_REAL, 0.0)
                    if result.status is Status.INTERRUPTED:
                        latency = 1e3 * (ended - due)
                except KeyboardInterrupt:  # it ended just before
                    pass
                wait /= 4
            rows.append((f"I Ctrl-C, {method.name} on {cls.__name__}, ms", latency, "<= 100"))
    finally:
        signal.signal(signal.SIGALRM, previous)
    return rows


def figures() -> list[tuple[str, float, str]]:
    """Measure everything.

    Returns
    -------
    list of (str, float, str)
        What, value and bar.
    """
    return imports() + calls() + kernels() + exp_error() + interrupts()


def met(value: float, bar: str) -> str:
    """Whether a value keeps to its bar, in words."""
    if not bar:
        return ""
    sign, _, number = bar.rpartition(" ")
    bound = float(number)
    kept = {"<=": value <= bound, ">=": value >= bound, "<": value < bound, "": value == bound}
    return "met" if kept[sign] else "MISSED"


def main() -> int:
    """Print the table.

    Returns
    -------
    int
        1 where a bar is missed.
    """
    print(f"fejer {fejer.__version__}, numpy {np.__version__}, Python {sys.version.split()[0]}")
    missed = 0
    for part in (imports, calls, kernels, exp_error, interrupts):
        for what, value, bar in part():
            verdict = met(value, bar)
            missed += verdict == "MISSED"
            print(f"{what:<62} {value:9.3f}  {bar:<8} {verdict}", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
