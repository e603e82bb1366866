"""The laws of problems; `fejer.testing` runs them.

Each takes a Problem and an accurate `solution` of it, and raises AssertionError where the law is
broken.
"""

from __future__ import annotations

import copy
import math
import pickle
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from typing import Any

import numpy as np

from ..evidence import EMPTY, Array
from ..front import minimize
from ..method import Method
from ..problem import Problem
from ..result import Result

__all__ = ["PROBLEM_LAWS", "hostile_witnesses", "moved", "solution"]

TOL = 1e-6


def same_bytes(a: Array, b: Array, what: str) -> None:
    """Compare two arrays bit for bit."""
    assert a.tobytes() == b.tobytes(), f"{what}: largest difference {np.abs(a - b).max():.3g}"


def hostile_witnesses(witness: Mapping[str, Array], seed: int = 0) -> Iterator[Mapping[str, Any]]:
    """Yield what a careless or dishonest method might hand over instead of a witness.

    Parameters
    ----------
    witness : mapping
        An honest one, for names and shapes.
    seed : int, default 0
        Seed of the noise.

    Yields
    ------
    mapping
    """
    rng = np.random.default_rng(seed)
    yield {}
    yield {"unheard of": np.ones(3)}
    names = list(witness)
    for name in names:
        value = np.asarray(witness[name], dtype=np.float64)
        noise = rng.standard_normal(value.shape)
        for bad in (
            None,
            "text",
            object(),
            math.nan,
            np.zeros(0),
            np.ones((2, 3, 4)),
            [*value.tolist(), 1.0] if value.ndim == 1 else value[None],
            np.full(value.shape, math.nan),
            np.full(value.shape, math.inf),
            np.zeros(value.shape),
            1e9 * value,
            -value,
            value[::-1].copy() if value.ndim else value,
            value + noise,
            value * (1 + 1e-3 * noise),
            1e9 * noise,
            1e300 * noise,
            value.astype(complex) * 1j,
        ):
            yield {**witness, name: bad}
    if len(names) > 1:
        yield dict(zip(names, [witness[n] for n in names[1:] + names[:1]], strict=True))


def _points(problem: Problem, seed: int = 0) -> Iterator[Array]:
    rng = np.random.default_rng(seed)
    start = np.array(problem.initial_point())
    yield start
    for size in (1e-8, 1.0, 1e8, 1e100, 1e200, 1e308):
        yield start + size * rng.standard_normal(start.size).clip(-1, 1)
    yield np.zeros_like(start)


def judges_every_point(problem: Problem, result: Result) -> None:
    """The certificate is defined at every finite x, for every witness, and never nan."""
    honest = result.witness
    for x in _points(problem):
        kept = x.copy()
        for witness in [EMPTY, honest, *hostile_witnesses(honest)]:
            certificate = problem.judge(x, witness)
            assert certificate.value >= 0, f"value {certificate.value} at |x| = {abs(x).max():.3g}"
            assert certificate.value < math.inf or certificate.reason, "inf without a reason"
        same_bytes(x, kept, "the certificate changed x")
    for bad in (math.nan, math.inf):
        x = np.array(problem.initial_point())
        x[-1] = bad
        assert problem.judge(x, honest).value == math.inf


def repeats_its_verdict(problem: Problem, result: Result) -> None:
    """Judging again, with the certificate's own witness, gives the same value."""
    first = problem.judge(result.x, result.witness)
    again = problem.judge(result.x, first.witness)
    assert first.value == again.value == result.certificate.value
    assert set(map(type, first.details.values())) <= {float, int, bool, np.float64}
    for other in (pickle.loads(pickle.dumps(problem)), copy.deepcopy(problem), problem.replace()):
        assert other.judge(result.x, result.witness).value == first.value, "a copy judges otherwise"
        assert other.fingerprint() == problem.fingerprint()


def keeps_data_read_only(problem: Problem, result: Result) -> None:
    """Arrays of the problem refuse to be written into, also after a copy."""
    for made in (problem, pickle.loads(pickle.dumps(problem)), copy.deepcopy(problem)):
        for spec in fields(made):  # type: ignore[arg-type]
            value = getattr(made, spec.name)
            if isinstance(value, np.ndarray):
                assert not value.flags.writeable, f"{spec.name} can be written into"


def names_its_views(problem: Problem, result: Result) -> None:
    """Views collide with no field of the problem, of Result or of dict, and can be computed."""
    taken = {spec.name for spec in fields(problem)}  # type: ignore[arg-type]
    taken |= set(dir(dict)) | set(result.keys())
    for name in problem.views:
        assert name not in taken, f"view {name} hides a field"
        assert callable(getattr(problem, name))


def starts_inside(problem: Problem, result: Result) -> None:
    """The initial point is deterministic, finite, float64, and has the declared size."""
    first, second = problem.initial_point(), problem.initial_point()
    same_bytes(np.asarray(first), np.asarray(second), "two initial points differ")
    assert first.shape == (problem.size,) and first.dtype == np.float64
    assert np.isfinite(first).all()
    assert problem.unit >= 1 and problem.judge_units >= 0


def catches_moved_points(problem: Problem, result: Result, count: int = 10) -> None:
    """L2: a point 3 tol from optimal fails, with the honest and with hostile witnesses."""
    if not result.certificate.rigorous:
        return
    for x, witness in moved(problem, result, count):
        certificate = problem.judge(x, witness)
        assert not certificate.holds(TOL), f"{certificate} accepted 3 tol from optimal"


def moved(
    problem: Problem, result: Result, count: int, seed: int = 0
) -> Iterator[tuple[Array, Mapping[str, Any]]]:
    """Yield points whose true suboptimality is 3 tol, each with an honest or hostile witness.

    Parameters
    ----------
    problem : Problem
        A problem with a rigorous certificate.
    result : Result
        An accurate solution: its certificate must be far below ``1e-6``.
    count : int
        Number of points.
    seed : int, default 0
        Seed of the directions.

    Yields
    ------
    tuple of array and mapping
        Point and witness. Suboptimality is in units of ``certificate.scale`` at the point, and
        only points at which the objective is finite are yielded.
    """
    rng = np.random.default_rng(seed)
    best = result.certificate.fun
    hostile = list(hostile_witnesses(result.witness, seed))

    def off(x: Array) -> float:
        certificate = problem.judge(x, result.witness)
        scale = certificate.scale
        return (certificate.fun - best) / scale if math.isfinite(certificate.fun) else math.nan

    for i in range(count):
        direction = rng.standard_normal(problem.size) * max(1e-3, float(np.abs(result.x).max()))
        if i % 3 == 1:  # along the solution itself: a cone or a box is not left
            direction = result.x * rng.uniform(-1, 1, problem.size)
        low, high = 0.0, 1e-9
        while high < 1e6 and not off(result.x + high * direction) >= 3 * TOL:
            low, high = high, 4 * high
        if high >= 1e6:
            continue
        for _ in range(40):
            middle = 0.5 * (low + high)
            if off(result.x + middle * direction) >= 3 * TOL:
                high = middle
            else:
                low = middle
        x = result.x + high * direction
        yield x, result.witness
        yield x, hostile[i % len(hostile)]


def solution(problem: Problem, method: str | Method | type[Method] = "auto") -> Result:
    """Solve as accurately as float64 allows, for the laws to start from.

    Parameters
    ----------
    problem : Problem
        The instance.
    method : str, Method or type, default "auto"
        What solves it.

    Returns
    -------
    Result
    """
    return minimize(problem, method=method, tol=1e-10, max_iter=20_000)


PROBLEM_LAWS: dict[str, Callable[[Any, Result], None]] = {
    law.__name__: law
    for law in (
        starts_inside,
        judges_every_point,
        repeats_its_verdict,
        keeps_data_read_only,
        names_its_views,
        catches_moved_points,
    )
}
