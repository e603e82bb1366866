"""Whether success is ever claimed falsely: all equality-constrained problems of the collection."""

from __future__ import annotations

import json
import multiprocessing
import os
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import fejer
from fejer.benchmarks.claims import Found, claim
from fejer.benchmarks.instances import cutest as collection
from fejer.evidence import Array

__all__ = ["false_successes"]

TOL = 1e-6
PART = 40  # problems between two lines of a long run
SECONDS = "FEJER_CLAIM_SECONDS"
WORKERS = "FEJER_CLAIM_WORKERS"
FILE = "FEJER_CLAIM_FILE"
WAIT = 4.0  # seconds on the clock for one of the processor, where other programs run


def kkt_residual(problem: Any, x: Array, l: Array) -> float:
    """Return ``max(|grad f + G'l|_inf, |c|_inf)`` from the model's functions alone, in plain numpy.

    l is the run's own, or that of least squares where that is better.
    """
    c, g = np.asarray(problem.constraint(x)), np.asarray(problem.grad(x))
    G = problem.constraint_jac(x)
    G = G.toarray() if hasattr(G, "toarray") else np.asarray(G)
    fitted = np.linalg.lstsq(G.T, -g, rcond=None)[0]
    stationarity = min(float(np.abs(g + G.T @ v).max()) for v in (l, fitted))
    return max(stationarity, float(np.abs(c).max()))


class _Watch:
    """A callback that ends a run after some seconds of the processor."""

    def __init__(self, limit: float) -> None:
        self.end = time.process_time() + limit

    def __call__(self, intermediate_result: Any) -> None:
        if time.process_time() > self.end:
            raise StopIteration


def attempt(name: str, limit: float) -> dict[str, Any]:
    """Run one problem; return how it ended and the recomputed residual."""
    try:
        problem = collection.cutest(name)
        result = fejer.minimize(problem, tol=TOL, max_time=WAIT * limit, callback=_Watch(limit))
    except fejer.FejerError as error:
        return {"name": name, "told": type(error).__name__, "success": False, "residual": np.inf}
    told = "success" if result.success else result.certificate.kind
    if told not in ("success", "locally infeasible"):
        ended = result.status is fejer.Status.CALLBACK_STOP
        told = "MAX_TIME" if ended else result.status.name
    with np.errstate(all="ignore"):
        try:
            residual = kkt_residual(problem, result.x, result.multipliers)
        except (ValueError, np.linalg.LinAlgError):
            residual = np.inf
    return {"name": name, "told": told, "success": result.success, "residual": residual}


def _attempts(names: list[str], limit: float) -> Iterator[dict[str, Any]]:
    """Run all problems that the file does not hold yet, and write each into it."""
    path = Path(os.environ[FILE]) if FILE in os.environ else None
    lines = path.read_text().splitlines() if path and path.exists() else []
    known = {found["name"]: found for found in map(json.loads, lines)}
    yield from (known[name] for name in names if name in known)
    left = [name for name in names if name not in known]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(int(os.environ.get(WORKERS, "1")), mp_context=context) as pool:
        for found in pool.map(partial(attempt, limit=limit), left):
            if path is not None:
                with path.open("a") as table:
                    table.write(json.dumps(found) + "\n")
            yield found


def _counts(told: Counter[str]) -> str:
    return ", ".join(f"{count} {status}" for status, count in told.most_common())


@claim("no success is claimed where the recomputed KKT residual exceeds the tolerance")
def false_successes() -> Found:
    """All equality-constrained problems, with a limit of processor seconds for each.

    FEJER_CLAIM_SECONDS sets it, 20 by default; FEJER_CLAIM_WORKERS runs so many processes at once;
    FEJER_CLAIM_FILE keeps what was found, so that a run that was ended goes on where it stood.
    """
    limit = float(os.environ.get(SECONDS, "20"))
    told: Counter[str] = Counter()
    wrong: list[str] = []
    overlooked: list[str] = []
    worst = 0.0
    names = collection.eligible()
    for k, found in enumerate(_attempts(names, limit)):
        if k and k % PART == 0:
            yield f"{k} of {len(names)}: {_counts(told)}; false {', '.join(wrong) or 'none'}", None
        told[found["told"]] += 1
        residual, text = found["residual"], f"{found['name']} ({found['residual']:.1e})"
        if found["success"]:
            worst = max(worst, residual)
            if not residual <= TOL:
                wrong.append(text)
        elif residual <= TOL / 2:
            overlooked.append(text)
    yield f"{len(names)} problems, {limit:g} s each: {_counts(told)}", None
    text = f"largest residual of a success {worst:.1e}; beyond {TOL:g}: "
    yield text + (", ".join(wrong) or "none"), not wrong
    yield f"solved and not said so: {', '.join(overlooked) or 'none'}", None
