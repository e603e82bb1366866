"""Peak memory of one run, measured in a fresh process."""

from __future__ import annotations

import gc
import importlib
import sys
from pathlib import Path
from typing import Any

import fejer

from .suite import Instance

__all__ = ["peak_memory"]


def peak_memory(job: dict[str, Any]) -> float:
    """Run a job in this (fresh) process and return how much memory the run took at its peak.

    Parameters
    ----------
    job : dict
        A job of a suite.

    Returns
    -------
    float
        Bytes beyond those resident before the run: the instance, the libraries and their compiled
        code are there already, because the job has run once before.
    """

    def build() -> Any:
        return Instance(**job["instance"]).build(job["seed"])

    if "peer" in job:
        module, _, name = job["peer"]["call"].partition(":")
        solve = getattr(importlib.import_module(module), name)(build())

        def run(problem: Any, first: bool) -> None:
            solve(job["peer"]["ladder"][0])
    else:
        chosen = job["contender"]
        settings = {k: job[k] for k in ("tol", "max_time")}

        def run(problem: Any, first: bool) -> None:
            limit = 2 if first else job["max_iter"]
            fejer.minimize(
                problem,
                method=chosen["method"],
                options=chosen["options"],
                max_iter=limit,
                **settings,
            )

    run(build(), True)
    problem = build()  # anew: what a method prepares is remembered by the problem
    gc.collect()
    _reset()
    before = _kilobytes("VmRSS")
    run(problem, False)
    return 1024.0 * max(0, _kilobytes("VmHWM") - before)


def _reset() -> None:
    """Set the mark of the peak back to what is resident now, where the system can."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        pass


def _kilobytes(field: str) -> int:
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(field))
    except (OSError, StopIteration):
        pass
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // 1024 if sys.platform == "darwin" else peak
