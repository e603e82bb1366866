"""A run looked at in every iteration: what a theorem bounds, its bound, and the fitted rate."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fejer.evidence import Array
from fejer.front import minimize
from fejer.method import Rate, find
from fejer.rates import RateFit, check_bound, fit_rate
from fejer.result import Result

__all__ = ["Study", "study"]

LIMIT = 2500  # iterations that are looked at


@dataclass(frozen=True, eq=False)
class Study:
    """What one run showed of its rate.

    Attributes
    ----------
    problem : Problem
        What was solved.
    method : str
        Name of the method.
    rate : Rate or None
        The method's theorem.
    nit, error : array
        Iterations, and what was measured at them.
    bound : array or None
        The theorem's right-hand side at ``nit``.
    fit : RateFit
        The fitted rate.
    """

    problem: Any
    method: str
    rate: Rate | None
    nit: NDArray[np.int64]
    error: Array
    bound: Array | None
    fit: RateFit

    def observed(self) -> str:
        """Return the fitted rate in short."""
        fit = self.fit
        if fit.form == "sublinear":
            return f"k^-{fit.exponent:.2f}"
        if fit.form == "linear":
            return f"{fit.factor:.3g}^k"
        return f"order {fit.exponent:.2f}" if fit.form == "superlinear" else "-"

    def theorem(self) -> str:
        """Return the promised rate in short."""
        rate = self.rate
        if rate is None:
            return "-"
        if rate.form == "sublinear":
            return "limit only" if math.isnan(rate.exponent) else f"k^-{rate.exponent:.3g}"
        factor = math.nan if rate.factor is None else float(rate.factor(self.problem))
        # A factor that is 1 to three digits says no more than its form.
        return f"{factor:.3g}^k" if factor < 0.9995 else rate.form

    def verdict(self) -> str:
        """Return whether the bound holds at every point, and how nearly it is reached."""
        if self.bound is None:
            return "-"
        ratio, _, holds = check_bound(self.nit, self.error, self.bound)
        return f"{'holds' if holds else 'VIOLATED'} ({ratio:.2g})"


def study(
    result: Result,
    star: Array | None = None,
    *,
    floor: float = 0.0,
    iterations: int | None = None,
    rerun: bool = True,
) -> Study:
    """Repeat a run and measure in each iteration what its theorem bounds.

    Parameters
    ----------
    result : Result
        The run.
    star : array, optional
        The solution, known more accurately; without it, and where the theorem gives no quantity of
        its own, the certificate is measured.
    floor : float, default 0
        Accuracy to which ``star`` makes that quantity known.
    iterations : int, optional
        How many; default: as many as the run had, up to a limit.
    rerun : bool, default True
        False: read the result's own trace, as for long iterations, or those of several methods.
    """
    problem = result.problem
    rate = find(result.method, problem, result.options).rate
    if not rerun:
        nit, error = result.trace.nit, result.trace.certificate
        return Study(problem, result.method, rate, nit, error, None, fit_rate(nit, error))
    seen: dict[int, Any] = {}
    minimize(
        problem,
        method=result.method,
        options=result.options,
        tol=0.0,
        max_iter=min(LIMIT, result.nit) if iterations is None else iterations,
        rng=result.rng,
        trace="every",
        callback=lambda intermediate_result: seen.setdefault(
            intermediate_result.nit, intermediate_result
        ),
    )
    nit = np.array(sorted(seen))
    steps = [seen[k] for k in nit]
    bound = None
    if star is None or rate is None or rate.measure is None:
        error = np.array([step.certificate.value for step in steps])
    else:
        error = np.array([rate.measure(problem, step.x, star) for step in steps])
        if rate.bound is not None:
            bound = np.array([rate.bound(problem, steps[0].x, star, int(k)) for k in nit])
    fit = fit_rate(nit, error, floor=floor)
    return Study(problem, result.method, rate, nit, error, bound, fit)
