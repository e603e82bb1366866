"""The loop: one object that prepares, advances, judges, plans, stops and remembers."""

from __future__ import annotations

import copy
import math
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from . import checkpoint as storage
from .errors import CheckpointError, OptionError, ProblemError
from .evidence import EMPTY, Array, Certificate, Status
from .jit import compile_time
from .method import Method, Start, State, chain, find
from .problem import Problem, as_vector

if TYPE_CHECKING:
    from .front import Step
    from .result import Result

CHUNK_SECONDS = 0.05
LARGEST_CHUNK = 1 << 24
WRITE_SECONDS = 10.0
PARTS = ("prepare", "iterate", "judge", "compile", "callback")

Reason = Literal["planned", "asked", "cut"]


@dataclass
class Best:
    """A judged point: copies that nobody else holds."""

    x: Array
    certificate: Certificate
    nit: int


class Run:
    """One run of one problem, as an object.

    `fejer.minimize` exhausts it and `fejer.steps` yields from it; hold it yourself to advance
    without judging.

    Parameters
    ----------
    problem : Problem
        What to solve.
    x0, method, tol, max_iter, max_time, max_work, rng, callback, options, progress, trace, checkpoint
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
        self.tol = _limit("tol", tol)
        self.max_iter = _limit("max_iter", max_iter)
        self.max_time = _limit("max_time", max_time)
        self.max_work = _limit("max_work", max_work)
        self.seed = _seed(rng)
        self.every = _one_of("trace", trace, ("auto", "every")) == "every"
        if callback is not None and not callable(callback):
            raise OptionError(f"callback: expected a callable, got {type(callback).__name__}")
        self.automatic = isinstance(method, str) and method == "auto"
        if self.automatic and options:
            raise OptionError("options: name a method to set options; 'auto' chooses its own")
        self.chain = chain(problem) if self.automatic else [find(method, problem, options)]
        self.start = _start(problem, x0)
        self.callback = _Callback(callback) if callback is not None else None
        self.bar = _Bar() if progress else None
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

    # ---- counters ----------------------------------------------------------------------------
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

    # ---- the life of a run --------------------------------------------------------------------
    def open(self) -> None:
        """Prepare and begin, or continue the checkpoint."""
        if self.file is not None and os.path.exists(self.file):
            self._continue(*storage.read(self.file))
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
        if self.callback is not None and self._told != self._final_nit():
            self._tell(result)
        return result

    def steps(self) -> Iterator[Step]:
        """Yield a copy of every iteration, the start included, until the run ends."""
        from .front import Step

        self.open()
        while True:
            self.judge("planned")
            x, certificate = self.last
            witness = {key: np.array(value) for key, value in certificate.witness.items()}
            state = copy.deepcopy(self.state)
            yield Step(self.nit, np.array(x), certificate.fun, certificate, witness, state)
            nit, place = self.state.nit, self.place
            while self.status is None and (self.state.nit, self.place) == (nit, place):
                reason = self.forward(nit + 1)
                if reason != "planned":
                    self.judge(reason)
            if self.status is not None:
                return

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
        if smaller:
            self.improved = state.nit
        final = certificate.proves != "solved"
        if self.best is None or final or certificate.value <= self.best.certificate.value:
            if finite:
                self._keep(x, certificate, reason)
        self.last = x, certificate
        self._record(certificate)
        self.judged = state.nit

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
            self._tell(self._intermediate(x, certificate))
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
        row = _numbers(self.state)
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
        if self.place + 1 >= len(self.chain) or self._exhausted():
            return
        ended = self.status.name if self.status is not None else ""
        self.notes.append(f"{self.method.name} ended {ended} after {self.state.nit} iterations")
        for counter in self.before:
            self.before[counter] += getattr(self.state, counter)
        self.place, self.status = self.place + 1, None
        best = self.saved
        start = self.start if best is None else Start(best.x.copy(), True, best.certificate.witness)
        self._enter(start)

    def _exhausted(self) -> bool:
        return (
            self.nit >= self.max_iter or self.work >= self.max_work or self.seconds >= self.max_time
        )

    # ---- callbacks -------------------------------------------------------------------------------
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

    def _final_nit(self) -> int:
        return self.best.nit if self.best is not None else -1

    def _intermediate(self, x: Array, certificate: Certificate) -> Any:
        from .result import Result

        return Result(
            x=np.array(x),
            fun=certificate.fun,
            nit=self.nit,
            work=self.work,
            time=self.seconds,
            certificate=certificate,
        )

    # ---- the result --------------------------------------------------------------------------------
    def result(self, status: Status | None = None, why: str = "") -> Result:
        """Return the best point so far as a Result."""
        import scipy

        import fejer

        from .result import Result

        status = next((s for s in (status, self.status) if s is not None), Status.INTERRUPTED)
        best = self.best
        if best is None:
            raise ProblemError("the run has not judged any point yet")
        numba = sys.modules.get("numba")
        return Result(
            x=best.x.copy(),
            fun=float(best.certificate.fun),
            success=status is Status.CONVERGED,
            status=status,
            message=_message(status, self, why),
            nit=self.nit,
            nfev=self.before["nfev"] + self.state.nfev,
            work=self.work,
            time=self.seconds,
            times=dict(self.times),
            certificate=best.certificate,
            witness=best.certificate.witness,
            trace=self.trace,
            stats=_numbers(self.state),
            method=self.method.name,
            options=self.method.options(),
            problem=self.problem,
            rng=self.seed,
            versions={
                "fejer": fejer.__version__,
                "numpy": np.__version__,
                "scipy": scipy.__version__,
                "numba": getattr(numba, "__version__", ""),
            },
        )

    # ---- checkpoints ------------------------------------------------------------------------------
    def _identity(self) -> dict[str, Any]:
        kind = type(self.problem)
        return {
            "problem": f"{kind.__module__}.{kind.__qualname__}",
            "methods": [m.name for m in self.chain],
            "options": [storage.digest(m.options()) for m in self.chain],
            "seed": self.seed,
            "data": self.problem.fingerprint(),
        }

    def _write(self) -> None:
        best = self.saved
        if best is None or self.file is None:
            return
        arrays: dict[str, Array] = {"best.x": best.x}
        arrays |= {f"witness.{key}": value for key, value in best.certificate.witness.items()}
        arrays |= {f"trace.{key}": value for key, value in self.trace.save().items()}
        header = {
            **self._identity(),
            "state": storage.pack(self.state, arrays, "state"),
            "best": {"value": best.certificate.value, "nit": best.nit},
            "trace": list(self.trace.columns),
            "times": self.times,
            "notes": self.notes,
            "before": self.before,
            **{key: getattr(self, key) for key in _PLAN},
        }
        storage.write(self.file, header, arrays)
        self._written = time.perf_counter()

    def _continue(self, header: dict[str, Any], arrays: dict[str, Array]) -> None:
        from .result import Trace

        name = os.fspath(self.file)  # type: ignore[arg-type]
        for key, ours in self._identity().items():
            if header.get(key) != ours:
                theirs = header.get(key)
                said = "other data" if key == "data" else f"{key} {theirs!r}, this run has {ours!r}"
                raise CheckpointError(f"{name}: made with {said}")
        try:
            self.trace = Trace.load({key: arrays[f"trace.{key}"] for key in header["trace"]})
            self.times.update(header["times"])
            self.notes, self.before = list(header["notes"]), dict(header["before"])
            for key in _PLAN:
                setattr(self, key, header[key])
            self.state = storage.unpack(header["state"], arrays)
            x = arrays["best.x"]
            value, nit = float(header["best"]["value"]), int(header["best"]["nit"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise CheckpointError(f"{name}: broken or no checkpoint ({error!r})") from error
        witness = {
            key.removeprefix("witness."): a
            for key, a in arrays.items()
            if key.startswith("witness.")
        }
        certificate = self._timed("judge", self.problem.judge, x, witness or EMPTY)
        again = certificate.value
        if not (again == value or abs(again - value) <= 1e-9 * max(abs(again), abs(value))):
            raise CheckpointError(
                f"{name}: made with other data: its point had {value:.6g} and has {again:.6g} now"
            )
        self.best = self.saved = Best(x, certificate, nit)
        if certificate.holds(self.tol):
            self.status = Status.CONVERGED
        self.prep = self._timed("prepare", self._prepare)


_PLAN = ("place", "goal", "judged", "heard", "improved")


class _Callback:
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


class _Bar:
    """Progress as the share of log(certificate) done."""

    def __init__(self) -> None:
        from tqdm.auto import tqdm

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


def _numbers(state: State) -> dict[str, float]:
    return {
        key: value
        for key, value in vars(state).items()
        if key not in ("nit", "work", "nfev") and type(value) in (int, float, bool)
    }


def _limit(name: str, value: Any) -> float:
    good = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if not good or not value >= 0:
        raise OptionError(f"{name}: expected a number >= 0, got {value!r:.80}")
    return value  # type: ignore[no-any-return]


def _one_of(name: str, value: Any, choices: tuple[str, ...]) -> str:
    if value not in choices:
        raise OptionError(f"{name}: expected one of {', '.join(choices)}, got {value!r:.80}")
    return str(value)


def _seed(rng: Any) -> int:
    if isinstance(rng, np.random.Generator):
        return int(rng.integers(2**63))
    if isinstance(rng, int | np.integer) and not isinstance(rng, bool) and rng >= 0:
        return int(rng)
    raise OptionError(f"rng: expected an integer >= 0 or a numpy Generator, got {rng!r:.80}")


def _start(problem: Problem, x0: Any) -> Start:
    from .result import Result

    if x0 is None:
        return Start(np.array(problem.initial_point(), dtype=np.float64))
    witness: Mapping[str, Array] = EMPTY
    if isinstance(x0, Result):
        if type(x0.get("problem")) not in (type(problem), type(None)):
            got, wanted = type(x0["problem"]).__name__, type(problem).__name__
            raise ProblemError(f"x0: expected a Result of {wanted}, got one of {got}")
        x0, witness = x0["x"], x0.get("witness", EMPTY)
    x = np.array(as_vector(x0, "x0"))
    if x.size != problem.size:
        raise ProblemError(f"x0: expected shape ({problem.size},), got {x.shape}")
    return Start(x, True, witness)


def _message(status: Status, run: Run, why: str) -> str:
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
