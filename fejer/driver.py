"""The loop: one object that prepares, advances, judges, plans, stops and remembers."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from . import arguments, reporting
from . import checkpoint as storage
from .errors import OptionError, ProblemError
from .evidence import Array, Best, Certificate, Status
from .jit import compile_time
from .method import Method, Start, chain, find
from .problem import Problem
from .state import State

if TYPE_CHECKING:
    from .result import Result

CHUNK_SECONDS = 0.05
LARGEST_CHUNK = 1 << 24
WRITE_SECONDS = 10.0
PARTS = ("prepare", "iterate", "judge", "compile", "callback")

Reason = Literal["planned", "asked", "cut"]


class Run:
    """One run of one problem, as an object.

    `fejer.minimize` exhausts it and `fejer.steps` yields from it; hold it yourself to advance
    without judging.

    Parameters
    ----------
    problem : Problem
        What to solve.
    x0, method, tol, max_iter, max_time, max_work, rng, callback, options, progress, trace
        As in `fejer.minimize`.
    checkpoint : path, optional
        As in `fejer.minimize`.
    write_every : float, default 10
        Seconds between two writes of the checkpoint.

    Attributes
    ----------
    state : State
        Where the method stands.
    status : Status or None
        None while the run goes on.
    best : Best or None
        The judged point with the smallest value.

    Examples
    --------
    >>> import fejer
    >>> from fejer.driver import Run
    >>> run = Run(fejer.FixedPoint.random(), method="averaged")
    >>> run.open()
    >>> run.forward(10)
    'planned'
    >>> run.state.nit
    10
    """

    def __init__(
        self,
        problem: Problem,
        x0: Any = None,
        *,
        method: str | Method | type[Method] = "auto",
        tol: float = 1e-6,
        max_iter: int = 1_000_000,
        max_time: float = math.inf,
        max_work: float = math.inf,
        rng: int | np.random.Generator = 0,
        callback: Callable[..., Any] | None = None,
        options: Mapping[str, Any] | None = None,
        progress: bool = False,
        trace: Literal["auto", "every"] = "auto",
        checkpoint: str | os.PathLike[str] | None = None,
        write_every: float = WRITE_SECONDS,
    ) -> None:
        from .result import Trace  # scipy.optimize is loaded when a run begins, not before

        if not isinstance(problem, Problem):
            raise ProblemError(f"problem: expected a Problem, got {type(problem).__name__}")
        self.problem = problem
        self.tol = arguments.limit("tol", tol)
        self.max_iter = arguments.limit("max_iter", max_iter)
        self.max_time = arguments.limit("max_time", max_time)
        self.max_work = arguments.limit("max_work", max_work)
        self.seed = arguments.seed(rng)
        self.every = arguments.one_of("trace", trace, ("auto", "every")) == "every"
        if callback is not None and not callable(callback):
            raise OptionError(f"callback: expected a callable, got {type(callback).__name__}")
        self.automatic = isinstance(method, str) and method == "auto"
        if self.automatic and options:
            raise OptionError("options: name a method to set options; 'auto' chooses its own")
        self.chain = chain(problem) if self.automatic else [find(method, problem, options)]
        self.start = arguments.start(problem, x0)
        self.callback = reporting.Callback(callback) if callback is not None else None
        self.bar = reporting.Bar() if progress else None
        self.file = checkpoint
        self.write_every = write_every

        self.trace = Trace()
        self.times = dict.fromkeys(PARTS, 0.0)
        self.status: Status | None = None
        self.best: Best | None = None
        self.saved: Best | None = None  # of planned and asked-for judgements alone
        self.notes: list[str] = []
        self.place = 0
        self.before = {"nit": 0, "work": 0, "nfev": 0}  # counts of the methods that ran earlier
        self.last: tuple[Array, Certificate]
        self.goal = 0
        self.judged = -1  # iteration of the last judgement, of this method
        self.heard = 0  # iteration of the last request that was heard
        self.improved = 0  # iteration at which the value last became smaller
        self._chunk = 1
        self._work_check = 1
        self._written = time.perf_counter()
        self._told = -1
        self.prep: Any = None
        self.state: State = State()

    @property
    def method(self) -> Method:
        """The method at work."""
        return self.chain[self.place]

    @property
    def nit(self) -> int:
        """Iterations of all methods so far."""
        return self.before["nit"] + self.state.nit

    @property
    def work(self) -> float:
        """Passes over the data of all methods so far."""
        return (self.before["work"] + self.state.work) / self.problem.unit

    @property
    def seconds(self) -> float:
        """Time that counts against ``max_time``."""
        return self.times["prepare"] + self.times["iterate"] + self.times["judge"]

    def _timed(self, part: str, function: Callable[..., Any], *args: Any) -> Any:
        begun, compiled = time.perf_counter(), compile_time()
        try:
            return function(*args)
        finally:
            compiled = compile_time() - compiled
            self.times[part] += max(0.0, time.perf_counter() - begun - compiled)
            self.times["compile"] += compiled

    # ---- the life of a run ------------------------------------------------------------------
    def open(self) -> None:
        """Prepare and begin, or continue the checkpoint."""
        if self.file is not None and os.path.exists(self.file):
            self._timed("judge", storage.restore, self, self.file)
            self.prep = self._timed("prepare", self._prepare)
            if self.best is not None and self.best.certificate.holds(self.tol):
                self.status = Status.CONVERGED
        else:
            self._enter(self.start)

    def solve(self) -> Result:
        """Run to the end and return the result."""
        try:
            self.open()
            while self.status is None:
                self.judge(self.forward(self.goal))
        except KeyboardInterrupt:
            self.status = Status.INTERRUPTED
            if self.best is None:
                self.best = Best(self.start.x.copy(), self.problem.judge(self.start.x), 0)
        except Exception as error:
            if self.best is not None:
                error.result = self.result(Status.NUMERICAL_ERROR, str(error))  # type: ignore[attr-defined]
            raise
        finally:
            if self.bar is not None:
                self.bar.close()
        if self.file is not None and self.status is not Status.INTERRUPTED:
            self._write()
        result = self.result()
        if self.callback is not None and self.best is not None and self._told != self.best.nit:
            self._tell(result)
        return result

    def _write(self) -> None:
        if self.file is not None and self.saved is not None:
            storage.save(self, self.file)
            self._written = time.perf_counter()

    def _enter(self, start: Start) -> None:
        self.prep = self._timed("prepare", self._prepare)
        rng = np.random.default_rng([self.seed, 2 * self.place + 1])
        self.state = self._timed("prepare", self.method.begin, self.problem, self.prep, start, rng)
        self.goal, self.judged, self.heard, self.improved = self.state.nit, -1, 0, 0
        self._chunk, self._work_check = 1, 1

    def _prepare(self) -> Any:
        rng = np.random.default_rng([self.seed, 2 * self.place])
        return self.method.prepare(self.problem, self.tol, rng)

    def forward(self, goal: int) -> Reason:
        """Advance to iteration ``goal`` of the present method, or to what comes before it.

        Parameters
        ----------
        goal : int
            Iteration of the present method (``state.nit``).

        Returns
        -------
        str
            ``"planned"``: the goal is reached; ``"asked"``: the method asks to be judged;
            ``"cut"``: a limit is reached.
        """
        state, method, problem, prep = self.state, self.method, self.problem, self.prep
        while state.nit < goal:
            if self._cut() is not None:
                return "cut"
            stop = min(goal, self.max_iter - self.before["nit"])
            if self.max_work < math.inf:
                stop = min(stop, self._work_check)
            n = max(1, min(self._chunk, int(stop - state.nit)))
            nit, iterate = state.nit, self.times["iterate"]
            asked = self._timed("iterate", method.advance, problem, prep, state, n)
            made = state.nit - nit
            if made:
                per_iteration = max((self.times["iterate"] - iterate) / made, 1e-9)
                fitting = int(CHUNK_SECONDS / per_iteration)
                self._chunk = max(1, min(fitting, 8 * self._chunk, LARGEST_CHUNK))
            if self.file is not None and time.perf_counter() - self._written > self.write_every:
                self._write()
            if (
                asked
                and state.nit < goal
                and (not made or state.nit - self.heard >= self._spacing())
            ):
                self.heard = state.nit
                return "asked"
        return "planned"

    def _cut(self) -> Status | None:
        """The limit that is reached, if any. Where work ends a run depends on counts alone."""
        state = self.state
        if self.nit >= self.max_iter:
            return Status.MAX_ITER
        if self.max_work < math.inf and state.nit >= self._work_check - 1:
            left = self.max_work * self.problem.unit - self.before["work"] - state.work
            if left <= 0:
                return Status.MAX_WORK
            each = max(1, state.work // max(1, state.nit))
            self._work_check = state.nit + max(1, int(left // (2 * each)))
        return Status.MAX_TIME if self.seconds >= self.max_time else None

    def _spacing(self) -> int:
        state = self.state
        if self.every or state.work == 0:
            return 1
        return max(1, math.ceil(4 * self.problem.judge_units * state.nit / state.work))

    def judge(self, reason: Reason) -> None:
        """Take the certificate of the present point, and decide what follows from it."""
        state, repeated = self.state, self.state.nit == self.judged
        if reason == "cut" and repeated:
            self.status = self._cut()
            return
        x, certificate = self._timed("judge", self._certificate)
        finite = bool(np.isfinite(x).all())
        smaller = self.best is None or certificate.value < self.best.certificate.value
        if reason != "cut":  # what a limit forces leaves no trace in a run that goes on later
            self.improved = state.nit if smaller else self.improved
            self.judged = state.nit
        final = certificate.proves != "solved"
        if self.best is None or final or certificate.value <= self.best.certificate.value:
            if finite:
                self._keep(x, certificate, reason)
        self.last = x, certificate
        self._record(certificate)

        if not finite:
            self.status = Status.NUMERICAL_ERROR
        elif final:
            proven = certificate.proves == "infeasible"
            self.status = Status.INFEASIBLE if proven else Status.UNBOUNDED
        elif certificate.holds(self.tol):
            self.status = Status.CONVERGED
        elif (reason == "asked" and repeated and not smaller) or self._at_floor(certificate):
            self.status = Status.STALLED
        elif reason == "cut":
            self.status = self._cut()
        elif reason == "planned":
            jump = 1 if self.every else max(self._spacing(), math.ceil(0.1 * state.nit))
            self.goal = state.nit + jump
        if self.bar is not None:
            self.bar.show(self.best.certificate.value if self.best else math.inf, self.tol)
        if self.callback is not None:
            self._tell(reporting.intermediate(self, x, certificate))
        if self.status in (Status.STALLED, Status.NUMERICAL_ERROR):
            self._fall_back()

    def _certificate(self) -> tuple[Array, Certificate]:
        method, problem, state = self.method, self.problem, self.state
        x = method.point(problem, self.prep, state)
        certificate = problem.judge(x, method.witness(problem, self.prep, state))
        start = self.start
        if self.judged < 0 and start.witness and not certificate.holds(self.tol):
            # A warm start is judged with the witness that came with it, too.
            other = problem.judge(start.x, start.witness)
            if other.value < certificate.value:
                return start.x, other
        return x, certificate

    def _at_floor(self, certificate: Certificate) -> bool:
        near = certificate.value <= 4 * certificate.details.get("floor", 0.0)
        return near and 0 < self.state.nit and self.improved <= self.state.nit / 2

    def _keep(self, x: Array, certificate: Certificate, reason: Reason) -> None:
        if certificate.witness:
            witness = {key: np.array(value) for key, value in certificate.witness.items()}
            certificate = replace(certificate, witness=witness)
        self.best = Best(np.array(x, dtype=np.float64), certificate, self.nit)
        if reason != "cut":
            self.saved = self.best

    def _record(self, certificate: Certificate) -> None:
        row = self.state.numbers()
        row.update(certificate.details)
        row.update(
            nit=self.nit,
            work=self.work,
            time=self.times["prepare"] + self.times["iterate"],
            fun=certificate.fun,
            certificate=certificate.value,
        )
        self.trace.add(row)

    def _fall_back(self) -> None:
        """Hand the best point to the next method of the chain, if there is one."""
        if self.place + 1 >= len(self.chain) or self._cut() is not None:
            return
        ended = self.status.name if self.status is not None else ""
        self.notes.append(f"{self.method.name} ended {ended} after {self.state.nit} iterations")
        for counter in self.before:
            self.before[counter] += getattr(self.state, counter)
        self.place, self.status = self.place + 1, None
        best = self.saved
        start = self.start if best is None else Start(best.x.copy(), True, best.certificate.witness)
        self._enter(start)

    def _tell(self, intermediate: Any) -> None:
        begun = time.perf_counter()
        try:
            self.callback(intermediate)  # type: ignore[misc]
        except StopIteration:
            if self.status is None:
                self.status = Status.CALLBACK_STOP
        except Exception as error:
            error.result = self.result(Status.CALLBACK_STOP, str(error))  # type: ignore[attr-defined]
            raise
        finally:
            self.times["callback"] += time.perf_counter() - begun
        self._told = self.nit

    def result(self, status: Status | None = None, why: str = "") -> Result:
        """Return the best point so far; ``status`` and ``why`` stand for those of the run."""
        status = next((s for s in (status, self.status) if s is not None), Status.INTERRUPTED)
        return reporting.result(self, status, why)
