"""The laws of methods; `fejer.testing` runs them.

Each takes a Method and a Problem and raises AssertionError where the law is broken.
"""

from __future__ import annotations

import copy
import math
import pickle
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from .. import checkpoint as storage
from ..driver import Run
from ..errors import OptionError
from ..evidence import Array, Status
from ..front import minimize, verify
from ..method import Method, Start
from ..problem import Problem
from ..result import Result
from ..state import State
from .problem_laws import same_bytes

__all__ = ["METHOD_LAWS", "bad_options", "check_options"]

TOL = 1e-6


def _reach(method: Method) -> float:
    return TOL if method.reach is None else method.reach


def _bytes(state: State) -> tuple[Any, ...]:
    arrays: dict[str, Array] = {}
    header = storage.pack(state, arrays, "state")
    return header, {key: (array.shape, array.tobytes()) for key, array in arrays.items()}


def _begin(method: Method, problem: Problem, seed: int = 0) -> tuple[Any, Any]:
    prep = method.prepare(problem, 0.0, np.random.default_rng([seed, 0]))
    start = Start(np.array(problem.initial_point()))
    return prep, method.begin(problem, prep, start, np.random.default_rng([seed, 1]))


def _advance(
    method: Method, problem: Problem, prep: Any, state: Any, goal: int, cuts: Iterator[int]
) -> None:
    while state.nit < goal:
        before = state.nit
        asked = method.advance(problem, prep, state, min(next(cuts), goal - before))
        if asked and state.nit == before:
            return


def _cuts(*sizes: int) -> Iterator[int]:
    while True:
        yield from sizes


# ---- laws of a method ---------------------------------------------------------------------------
def reaches(method: Method, problem: Problem) -> None:
    """Reach the accuracy that the method declares, and let `fejer.verify` agree."""
    result = minimize(problem, method=method, tol=_reach(method), max_iter=200_000)
    again = verify(problem, result)
    assert again.value == result.certificate.value, "verify gives another value"
    assert result.success == again.holds(_reach(method)), "success is not what the certificate says"
    assert result.success == (result.status is Status.CONVERGED)
    if method.reach is not None:
        assert result.success, f"{result.status.name}: {result.message}"


def repeats(method: Method, problem: Problem) -> None:
    """Same data, options and seed: the same bytes."""
    runs = [minimize(problem, method=method, tol=0.0, max_iter=37, rng=5) for _ in range(2)]
    same_bytes(runs[0].x, runs[1].x, "two runs of one seed differ")
    assert runs[0].nit == runs[1].nit
    assert runs[0].work == runs[1].work


def splits(method: Method, problem: Problem) -> None:
    """L1: however the iterations are cut into calls, the state has the same bytes."""
    if method.one_shot:
        return
    states = []
    for sizes in ((30,), (1,), (7, 1, 3, 2)):
        prep, state = _begin(method, problem)
        _advance(method, problem, prep, state, 30, _cuts(*sizes))
        states.append(_bytes(state))
    assert states[0] == states[1], "30 iterations at once differ from 30 single ones"
    assert states[0] == states[2], "30 iterations at once differ from an uneven cut"


def resumes(method: Method, problem: Problem) -> None:
    """L4: stop, store, load and go on gives the bytes of a straight run, of state and of x."""
    if method.one_shot:
        return
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "run.npz"
        straight = Run(problem, method=method, tol=0.0, max_iter=40)
        whole = straight.solve()
        for limit in (1, 13, 40):
            run = Run(problem, method=method, tol=0.0, max_iter=limit, checkpoint=file)
            part = run.solve()
        same_bytes(whole.x, part.x, "a resumed run ends at another point")
        assert _bytes(straight.state) == _bytes(run.state), "a resumed run has another state"
        assert whole.nit == part.nit
        assert list(whole.trace.nit)[-1] == list(part.trace.nit)[-1]


def stops(method: Method, problem: Problem) -> None:
    """StopIteration of the callback ends the run with status 99 and the best point."""
    seen: list[Any] = []

    def callback(intermediate_result: Any) -> None:
        seen.append(intermediate_result)
        intermediate_result.x[:] = math.nan  # a copy: nothing may come of it
        raise StopIteration

    result = minimize(problem, method=method, tol=0.0, callback=callback)
    final = result.certificate.value == 0.0 or result.certificate.proves != "solved"
    assert final or result.status in (Status.CALLBACK_STOP, Status.STALLED), result.status
    assert seen and {"x", "fun", "nit", "work", "time", "certificate"} <= set(seen[0])
    assert np.isfinite(result.x).all(), "the callback wrote into the run"


def records(method: Method, problem: Problem) -> None:
    """The trace has increasing iterations, non-decreasing time, and ends where the run ended."""
    result = minimize(problem, method=method, tol=0.0, max_iter=50)
    trace = result.trace
    assert (np.diff(trace.nit) > 0).all(), "nit does not increase"
    assert (np.diff(trace.time) >= 0).all(), "time decreases"
    assert (np.diff(trace.work) >= 0).all(), "work decreases"
    assert trace.nit[-1] == result.nit
    assert result.certificate.value <= np.min(trace.certificate), "the best point was lost"
    assert set(result.times) == {"prepare", "iterate", "judge", "compile", "callback"}


def survives_pickling(method: Method, problem: Problem) -> None:
    """A result is an OptimizeResult that pickles, copies and prints."""
    from scipy.optimize import OptimizeResult

    result = minimize(problem, method=method, tol=_reach(method), max_iter=20)
    for other in (pickle.loads(pickle.dumps(result)), copy.deepcopy(result), copy.copy(result)):
        assert isinstance(other, Result) and isinstance(other, OptimizeResult)
        same_bytes(other.x, result.x, "x changed")
        assert other.status is result.status
        assert other.certificate.value == result.certificate.value
    assert "success" in repr(result) and result.method == method.name
    for name in problem.views:
        assert name in dir(result)
        getattr(result, name)


def spares_inputs(method: Method, problem: Problem) -> None:
    """Neither the data nor the start are changed."""
    x0 = np.array(problem.initial_point())
    before, start = problem.fingerprint(), x0.copy()
    minimize(problem, x0, method=method, tol=_reach(method), max_iter=20)
    assert problem.fingerprint() == before, "the data were changed"
    same_bytes(x0, start, "x0 was changed")


def owns_its_state(method: Method, problem: Problem) -> None:
    """L3: a state holds what can be stored, and no two of its arrays share memory."""
    prep, state = _begin(method, problem)
    for _ in range(3):
        arrays = [np.asarray(a) for a in _arrays(state)]
        for i, a in enumerate(arrays):
            for b in arrays[:i]:
                assert not np.shares_memory(a, b), "two arrays of the state share memory"
        _bytes(state)
        method.advance(problem, prep, state, 2)


def _arrays(state: State) -> Iterator[Array]:
    for value in vars(state).values():
        if isinstance(value, np.ndarray):
            yield value
        elif isinstance(value, State):
            yield from _arrays(value)


def returns_on_interrupt(method: Method, problem: Problem) -> None:
    """An interrupt inside `advance` returns the best point and status 98."""

    @dataclass(frozen=True, eq=False)
    class Interrupted(type(method)):  # type: ignore[misc]
        def advance(self, problem: Problem, prep: Any, state: Any, n: int) -> bool:
            super().advance(problem, prep, state, 1)
            raise KeyboardInterrupt

    result = minimize(problem, method=Interrupted(**method.options()), tol=0.0)
    if result.status is not Status.INTERRUPTED:  # ended at the first judgement
        assert result.nit == 0
        return
    assert np.isfinite(result.x).all()
    again = verify(problem, result)
    assert again.value == result.certificate.value


def warm_starts(method: Method, problem: Problem) -> None:
    """A result, also of another instance, is a start; its witness is never trusted."""
    first = minimize(problem, method=method, tol=_reach(method), max_iter=200_000)
    second = minimize(problem, first, method=method, tol=_reach(method), max_iter=200_000)
    if first.success:
        assert second.success and second.nit <= 2, f"{second.nit} iterations from the solution"
    other = type(problem).random(seed=1)
    if other.size == problem.size:
        foreign = minimize(other, method=method, tol=_reach(method), max_iter=50)
        result = minimize(problem, foreign, method=method, tol=_reach(method), max_iter=200)
        assert verify(problem, result).value == result.certificate.value
        assert result.success == verify(problem, result).holds(_reach(method))


def obeys_its_theorem(method: Method, problem: Problem) -> None:
    """The rate's bound holds at every iteration, on the instance and on the worst one."""
    rate = method.rate
    if rate is None or rate.bound is None or rate.measure is None:
        return
    for instance in [problem] + ([rate.worst_case(20)] if rate.worst_case else []):
        accurate = minimize(instance, method=method, tol=1e-12, max_iter=200_000)
        if accurate.certificate.value > 1e-10:
            accurate = minimize(instance, accurate, tol=1e-12, max_iter=200_000)
        xstar, floor = accurate.x, 1e-9
        run = Run(instance, method=method, tol=0.0)
        run.open()
        x0 = np.array(method.point(instance, run.prep, run.state))
        for k in (0, 1, 2, 3, 5, 8, 12, 20, 40, 80):
            run.forward(k)
            if run.state.nit != k:
                break
            x = method.point(instance, run.prep, run.state)
            measured = rate.measure(instance, x, xstar)
            bound = rate.bound(instance, x0, xstar, k)
            assert measured <= bound * (1 + 1e-9) + floor, (
                f"{measured:.6g} > {bound:.6g} at k = {k}"
            )


METHOD_LAWS: dict[str, Callable[[Method, Any], None]] = {
    law.__name__: law
    for law in (
        reaches,
        repeats,
        splits,
        resumes,
        stops,
        records,
        survives_pickling,
        spares_inputs,
        owns_its_state,
        returns_on_interrupt,
        warm_starts,
        obeys_its_theorem,
    )
}


def bad_options(method: type[Method]) -> Iterator[tuple[str, Any]]:
    """Yield (option, value) that the declared type and bounds of each option forbid.

    Parameters
    ----------
    method : type
        A method class.

    Yields
    ------
    tuple of str and object

    Examples
    --------
    >>> import fejer
    >>> from fejer.method import registry
    >>> averaged = next(m for m in registry() if m.name == "averaged")
    >>> ("weight", 0) in list(bad_options(averaged))
    True
    """
    for spec in fields(method):  # type: ignore[arg-type]
        bounds = spec.metadata
        yield spec.name, object()
        if "above" in bounds:
            yield spec.name, bounds["above"]
            yield spec.name, bounds["above"] - 1
        if "below" in bounds:
            yield spec.name, bounds["below"]
        if "least" in bounds:
            yield spec.name, bounds["least"] - 1
        if "most" in bounds:
            yield spec.name, bounds["most"] + 1
        if bounds.get("choices"):
            yield spec.name, "no such choice"
        if isinstance(spec.default, int | float) and not isinstance(spec.default, bool):
            yield from ((spec.name, bad) for bad in (math.nan, math.inf, "text", True))


def check_options(method: type[Method]) -> None:
    """Check that options say what they mean, and refuse by name what lies outside their bounds.

    Parameters
    ----------
    method : type
        A method class.

    Raises
    ------
    AssertionError
        Names the option.
    """
    for spec in fields(method):  # type: ignore[arg-type]
        assert spec.metadata.get("doc"), f"{method.name}.{spec.name} has no doc"
    for name, value in bad_options(method):
        try:
            method.make({name: value})
        except OptionError as error:
            assert name in str(error), f"the error does not name {name}: {error}"
        else:
            raise AssertionError(f"{method.name}: {name}={value!r} was accepted")
