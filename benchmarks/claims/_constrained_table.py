"""Whether success is ever claimed falsely: all equality-constrained problems of the collection."""

from __future__ import annotations

import os
from collections import Counter
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


def _counts(told: Counter[str]) -> str:
    return ", ".join(f"{count} {status}" for status, count in told.most_common())


@claim("no success is claimed where the recomputed KKT residual exceeds the tolerance")
def false_successes() -> Found:
    """All equality-constrained problems; seconds for each: FEJER_CLAIM_SECONDS, 20 by default."""
    limit = float(os.environ.get(SECONDS, "20"))
    told: Counter[str] = Counter()
    wrong: list[str] = []
    overlooked: list[str] = []
    worst = 0.0
    names = collection.eligible()
    for k, name in enumerate(names):
        if k and k % PART == 0:
            yield f"the {k} smallest: {_counts(told)}; false {', '.join(wrong) or 'none'}", None
        try:
            problem = collection.cutest(name)
            result = fejer.minimize(problem, tol=TOL, max_time=limit)
        except fejer.FejerError as error:
            told[type(error).__name__] += 1
            continue
        status = result.certificate.kind if not result.success else "success"
        told[status if status in ("success", "locally infeasible") else result.status.name] += 1
        with np.errstate(all="ignore"):
            try:
                residual = kkt_residual(problem, result.x, result.multipliers)
            except (ValueError, np.linalg.LinAlgError):
                residual = np.inf
        if result.success:
            worst = max(worst, residual)
            if not residual <= TOL:
                wrong.append(f"{name} ({residual:.1e})")
        elif residual <= TOL / 2:
            overlooked.append(f"{name} ({residual:.1e})")
    yield f"{len(names)} problems, {limit:g} s each: {_counts(told)}", None
    text = f"largest residual of a success {worst:.1e}; beyond {TOL:g}: "
    yield text + (", ".join(wrong) or "none"), not wrong
    yield f"solved and not said so: {', '.join(overlooked) or 'none'}", None
