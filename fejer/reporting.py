"""What a run tells its user on the way and at the end: callback, progress bar, message."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import ProblemError, missing
from .evidence import Array, Certificate, Status

if TYPE_CHECKING:
    from .driver import Run
    from .result import Result


class Callback:
    """The user's callback under SciPy's rule: its parameter's name decides what it gets."""

    def __init__(self, function: Callable[..., Any]) -> None:
        import inspect

        self.function = function
        try:
            names = list(inspect.signature(function).parameters)
        except (TypeError, ValueError):
            names = []
        self.whole = names == ["intermediate_result"]

    def __call__(self, result: Any) -> None:
        if self.whole:
            answer = self.function(intermediate_result=result)
        else:
            answer = self.function(np.array(result.x))
        if answer is True:
            raise TypeError("callback: to stop a run, raise StopIteration; returning True does not")


class Bar:
    """Progress as the share of log(certificate) done."""

    def __init__(self) -> None:
        try:
            from tqdm.auto import tqdm
        except ImportError as error:
            raise missing("tqdm", "progress=True", "progress") from error
        self.bar = tqdm(total=100, unit="%", bar_format="{desc}{percentage:3.0f}%|{bar}| {elapsed}")
        self.first = math.nan

    def show(self, value: float, tol: float) -> None:
        self.bar.set_description(f"certificate {value:.2e} ")
        if not (0 < value < math.inf) or tol <= 0:
            return
        self.first = value if math.isnan(self.first) else max(self.first, value)
        whole = math.log(self.first / tol) if self.first > tol else 0.0
        done = 100.0 if whole <= 0 else 100.0 * math.log(self.first / value) / whole
        self.bar.update(max(0.0, min(100.0, done) - self.bar.n))

    def close(self) -> None:
        self.bar.close()


def message(status: Status, run: Run, why: str) -> str:
    value = run.best.certificate.value if run.best is not None else math.nan
    floor = run.best.certificate.details.get("floor", 0.0) if run.best is not None else 0.0
    at_floor = status is Status.STALLED and value <= 4 * floor
    reason = run.best.certificate.reason if run.best is not None else ""
    text = {
        Status.CONVERGED: f"certificate {value:.3g} is within tol {run.tol:.3g}",
        Status.MAX_ITER: f"max_iter {run.max_iter} reached at certificate {value:.3g}; "
        "raise it, or start again from this result",
        Status.MAX_TIME: f"max_time {run.max_time:g} s reached at certificate {value:.3g}; "
        "raise it, or start again from this result",
        Status.MAX_WORK: f"max_work {run.max_work:g} passes reached at certificate {value:.3g}; "
        "raise it, or start again from this result",
        Status.STALLED: f"no progress at {value:.3g}; tol is below what float64 can give for this "
        "scaling, see certificate.details['floor']"
        if at_floor
        else f"the method ended at certificate {value:.3g} and makes no further progress; "
        "try another method or start",
        Status.NUMERICAL_ERROR: f"a point became nan or infinite; best certificate {value:.3g}; "
        "check the functions and the scaling of the data",
        Status.INFEASIBLE: "the witness proves that no feasible point exists",
        Status.UNBOUNDED: "the witness proves that the objective is unbounded",
        Status.INTERRUPTED: f"interrupted at certificate {value:.3g}; the best point is returned",
        Status.CALLBACK_STOP: f"stopped by the callback at certificate {value:.3g}",
    }[status]
    if why:
        text = why
    if reason:
        text += f" ({reason})"
    return "; ".join([*run.notes, text])


def intermediate(run: Run, x: Array, certificate: Certificate) -> Result:
    """Tell a callback what has just been judged."""
    from .result import Result

    return Result(
        x=np.array(x),
        fun=certificate.fun,
        nit=run.nit,
        work=run.work,
        time=run.seconds,
        certificate=certificate,
    )


def result(run: Run, status: Status, why: str) -> Result:
    """Put the best point of a run and all that is known of it into a Result."""
    import scipy

    import fejer

    from .result import Result

    best = run.best
    if best is None:
        raise ProblemError("the run has not judged any point yet")
    numba = sys.modules.get("numba")
    return Result(
        x=best.x.copy(),
        fun=float(best.certificate.fun),
        success=status is Status.CONVERGED,
        status=status,
        message=message(status, run, why),
        nit=run.nit,
        nfev=run.before["nfev"] + run.state.nfev,
        work=run.work,
        time=run.seconds,
        times=dict(run.times),
        certificate=best.certificate,
        witness=best.certificate.witness,
        trace=run.trace,
        stats=run.state.numbers(),
        method=run.method.name,
        options=run.method.options(),
        problem=run.problem,
        rng=run.seed,
        versions={
            "fejer": fejer.__version__,
            "numpy": np.__version__,
            "scipy": scipy.__version__,
            "numba": getattr(numba, "__version__", ""),
        },
    )
