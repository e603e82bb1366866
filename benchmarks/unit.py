"""One unit of work: one instance with one seed, its contenders and rivals taking turns.

The instance is built once and the runs alternate (A B A B), so that a drift of the machine meets
all alike. BLAS has one thread, the garbage collector is off, compilation happens before the clock.
"""

from __future__ import annotations

import contextlib
import gc
import math
import os
import time
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

import fejer
from fejer.evidence import Certificate, Status
from fejer.method import Method, find, named
from fejer.problem import Problem

from .servers import Answer, absent, in_fresh_process, server_of
from .store import key, machine
from .suite import Instance

__all__ = ["job_key", "reference_work", "run_unit"]

Record = dict[str, Any]

MORE, ENOUGH = 4, 0.2  # short runs are repeated up to 4 times as often, while they take 0.2 s

KEPT = ("nit", "work", "time", "fun", "certificate")
MOST_ROWS = 400  # of a trace in a record: ten to the octave are more than enough for a fit


def job_key(job: Mapping[str, Any]) -> str:
    """Return the key of a job: its recipe, the source that decides its outcome, the machine.

    Parameters
    ----------
    job : mapping
        One of ``suite.jobs()``.

    Returns
    -------
    str
        A SHA-256 in hexadecimal digits.
    """
    instance = job["instance"]
    cls = getattr(fejer, instance["problem"])
    sources = [cls.__module__]
    if ":" in instance["make"]:
        sources.append(instance["make"].partition(":")[0])
    if "peer" in job:
        peer = job["peer"]
        version = peer["distribution"] or peer["requires"]
        return key(job, sources, [version], [peer["call"].partition(":")[0]])
    methods = named(job["contender"]["method"], cls)
    return key(job, [*sources, "fejer.driver", *(method.__module__ for method in methods)])


def run_unit(jobs: list[Record]) -> list[Record]:
    """Run the jobs of one instance and seed, taking turns, and return their records.

    Parameters
    ----------
    jobs : list of dict
        Jobs that differ in contender or peer alone.

    Returns
    -------
    list of dict
        One record for each job.
    """
    from threadpoolctl import threadpool_limits

    first = jobs[0]
    begun = time.perf_counter()
    try:
        problem = Instance(**first["instance"]).build(first["seed"])
    except Exception as error:
        return [_failed(job, f"the instance cannot be built: {_said(error)}") for job in jobs]
    setup = time.perf_counter() - begun
    records = []
    with threadpool_limits(1), _frozen():
        runners = [_Rival(job, problem) if "peer" in job else _Ours(job, problem) for job in jobs]
        for turn in range(MORE * first["repeats"]):
            for runner in runners:
                if not runner.reason and (turn < first["repeats"] or sum(runner.wall) < ENOUGH):
                    runner.turn(turn)
        for job, runner in zip(jobs, runners, strict=True):
            record = runner.record()
            record["times"]["setup"] = setup
            if job["memory"] and not record["reason"]:
                record["memory"] = float(
                    in_fresh_process("fejer.benchmarks.memory:peak_memory", job)
                )
            records.append(record)
    return records


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:300]


def _frame(job: Record) -> Record:
    return {
        "key": job_key(job),
        "job": job,
        "fejer": fejer.__version__,
        "machine": machine(),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else math.nan,
        "status": "",
        "reason": "",
        "nit": 0,
        "work": 0.0,
        "times": {"wall": [], "cpu": []},
        "fun": math.nan,
        "certificate": {"kind": "none", "value": math.inf, "holds": False, "rigorous": False},
        "trace": {},
    }


def _failed(job: Record, reason: str, status: str = "FAILED") -> Record:
    return {**_frame(job), "status": status, "reason": reason}


def _evidence(certificate: Certificate, tol: float) -> Record:
    return {
        "kind": certificate.kind,
        "value": float(certificate.value),
        "holds": bool(certificate.holds(tol)),
        "rigorous": bool(certificate.rigorous),
        "proves": certificate.proves,
        "reason": certificate.reason,
        "details": {k: float(v) for k, v in certificate.details.items()},
    }


class _Ours:
    """One of our methods on one instance."""

    def __init__(self, job: Record, problem: Problem) -> None:
        self.job, self.problem, self.reason = job, problem, ""
        self.wall: list[float] = []
        self.cpu: list[float] = []
        self.reference: list[float] = []
        self.result: Any = None
        chosen = job["contender"]
        try:
            self.method: Method = find(chosen["method"], problem, chosen["options"])
            fejer.minimize(problem, method=self.method, tol=job["tol"], max_iter=2)  # compile
        except Exception as error:
            self.reason = _said(error)

    def _solve(self, **changed: Any) -> Any:
        job = self.job
        limits = {k: job[k] for k in ("tol", "max_iter", "max_time")}
        settings = {"method": self.method, "rng": job["seed"], **limits, **changed}
        result = fejer.minimize(self.problem, **settings)
        if result.status is Status.INTERRUPTED:  # the driver returns: here the whole run ends
            raise KeyboardInterrupt
        return result

    def turn(self, number: int) -> None:
        """Run once, on the clock."""
        try:
            with _quiet():
                reference = reference_work()
                cpu = time.thread_time()
                self.result = self._solve()
                cpu = time.thread_time() - cpu
                if self.result.times["compile"] > 0.0:  # it was the first to come this far
                    cpu = time.thread_time()
                    self.result = self._solve()
                    cpu = time.thread_time() - cpu
        except Exception as error:
            self.reason = _said(error)
            return
        self.wall.append(self.result.time)
        self.cpu.append(cpu)
        self.reference.append(reference)

    def record(self) -> Record:
        if self.reason:
            return _failed(self.job, self.reason)
        result = self.result
        certificate = fejer.verify(self.problem, result)
        columns = result.trace.save()
        kept = _spread(len(result.trace))
        return {
            **_frame(self.job),
            "status": result.status.name,
            "claims": bool(result.success),
            "nit": int(result.nit),
            "work": float(result.work),
            "times": {"wall": self.wall, "cpu": self.cpu, "reference": self.reference},
            "fun": float(result.fun),
            "certificate": _evidence(certificate, self.job["tol"]),
            "trace": {name: columns[name][kept].tolist() for name in KEPT},
            "theorem": self._theorem(),
        }

    def _theorem(self) -> Record | None:
        """The theorem in plain values, with the quantity that it bounds where that is asked for."""
        rate = self.method.rate
        if rate is None:
            return None
        told: Record = {
            "statement": rate.statement,
            "form": rate.form,
            "exponent": float(rate.exponent),
            "assumptions": rate.assumptions,
            "of_certificate": rate.measure is None,
        }
        try:
            if rate.factor is not None:
                told["factor"] = float(rate.factor(self.problem))
            if self.job["rates"] and rate.measure is not None and rate.bound is not None:
                told.update(self._measured(rate))
        except Exception as error:  # a theorem that does not apply to this instance
            told["reason"] = _said(error)
        return told

    def _measured(self, rate: Any) -> Record:
        accurate = self._solve(tol=1e-12)
        if accurate.certificate.value > 1e-9:  # a slow method: the problem's own choice goes on
            limit = self.job["max_time"]
            accurate = fejer.minimize(self.problem, accurate, tol=1e-12, max_time=limit)
        if accurate.certificate.value > 1e-9:
            return {"reason": "no solution accurate enough to measure the distance from"}
        seen: dict[int, np.ndarray] = {}

        def watch(intermediate_result: Any) -> None:
            seen.setdefault(int(intermediate_result.nit), intermediate_result.x)

        self._solve(callback=watch)
        if 0 not in seen:
            return {}
        nits = sorted(seen)
        nits = [nits[i] for i in _spread(len(nits))]
        error = [float(rate.measure(self.problem, seen[k], accurate.x)) for k in nits]
        bound = [float(rate.bound(self.problem, seen[0], accurate.x, k)) for k in nits]
        return {"nit": nits, "error": error, "bound": bound}


def _spread(count: int) -> list[int]:
    """Indices of at most `MOST_ROWS` rows, denser at the beginning, the last one included."""
    if count <= MOST_ROWS:
        return list(range(count))
    return sorted({int(i) for i in np.geomspace(1, count, MOST_ROWS).round() - 1})


class _Rival:
    """A peer on one instance, in the process that serves it."""

    def __init__(self, job: Record, problem: Problem) -> None:
        self.job, self.problem, self.peer = job, problem, job["peer"]
        self.wall: list[float] = []
        self.cpu: list[float] = []
        self.rung = 0
        self.certificate: Certificate | None = None
        self.reason = absent(self.peer["requires"])
        self.status = "SKIPPED" if self.reason else "FAILED"
        if not self.reason:
            self.server = server_of(self.peer["call"])
            self.reason = self.server.prepare(
                self.peer["call"], job["instance"], job["seed"], self.peer["ladder"][0]
            )

    def turn(self, number: int) -> None:
        """Go down the ladder until our certificate holds; repeat that rung from then on."""
        ladder = self.peer["ladder"]
        while True:
            answer = self.server.solve(ladder[self.rung], self.job["max_time"])
            certificate = None if answer.reason else self._judge(answer)
            if certificate is None:
                self.reason = self.reason or answer.reason
                return
            if certificate.holds(self.job["tol"]) or self.rung + 1 == len(ladder) or number:
                break
            self.rung += 1
        # Of several answers at one rung the worst is judged: the times are those of all.
        if self.certificate is None or certificate.value > self.certificate.value:
            self.certificate = certificate
        self.wall.append(answer.wall)
        self.cpu.append(answer.cpu)

    def _judge(self, answer: Answer) -> Certificate | None:
        try:
            x = np.asarray(answer.x, dtype=np.float64)
        except (TypeError, ValueError):
            self.reason = f"returned {type(answer.x).__name__}, expected a vector"
            return None
        if x.shape != (self.problem.size,):
            self.reason = f"returned shape {x.shape}, expected ({self.problem.size},)"
        elif not np.isfinite(x).all():
            self.reason = "returned nan or infinite entries"
        return None if self.reason else self.problem.judge(x, answer.witness)

    def record(self) -> Record:
        if self.reason or self.certificate is None:
            return _failed(self.job, self.reason or "no answer", self.status)
        holds = self.certificate.holds(self.job["tol"])
        return {
            **_frame(self.job),
            "status": "CONVERGED" if holds else "INACCURATE",
            "rung": self.peer["ladder"][self.rung],
            "times": {"wall": self.wall, "cpu": self.cpu},
            "fun": float(self.certificate.fun),
            "certificate": _evidence(self.certificate, self.job["tol"]),
        }


@contextlib.contextmanager
def _frozen() -> Iterator[None]:
    """Make collecting what a run leaves quick: the collector forgets what was there before."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Garbage collection off, for the time of one run."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def reference_work() -> float:
    """Return the CPU seconds of work that never changes: what the machine is worth just now.

    Half of it is Python, half vectors in the cache. On a machine that others use, the same run may
    take half as long again a minute later; the same run in units of this work does not.

    Returns
    -------
    float
        About a millisecond.
    """
    vector = np.linspace(0.0, 1.0, 4096)
    begun = time.thread_time()
    total = 0
    for i in range(10_000):
        total += i * i
    for _ in range(25):
        np.exp(vector).sum()
    return time.thread_time() - begun
