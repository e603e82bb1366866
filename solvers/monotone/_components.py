"""What the variance-reduced methods share: constants, random batches, functions in place."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from fejer.evidence import Array

__all__ = ["constants", "expected", "in_place", "unsupported"]

SAMPLED = 32  # components whose constants are estimated where none is declared


def unsupported(inclusion: Any) -> str | None:
    """Return None, or what is missing for a monotone finite sum."""
    if inclusion.component is None:
        return "it needs component and n_components"
    if inclusion.kind == "comonotone":
        return "it needs a monotone or cocoercive operator"
    return None


def constants(inclusion: Any, rng: np.random.Generator) -> tuple[float, float, int, int]:
    """Return the constants of F and in the mean, declared or estimated, and what that cost."""
    each, spent, calls = inclusion.lipschitz_average or inclusion.lipschitz_max, 0, 0
    if each is None:
        each, spent, calls = _estimate(inclusion, rng)
    return min(inclusion.lipschitz or each, each), float(each), spent, calls


def expected(whole: float, each: float, m: int, batch: int) -> float:
    """Return the constant in the mean of a batch drawn without replacement."""
    if m == 1:
        return each
    return (m * (batch - 1) * whole + (m - batch) * each) / (batch * (m - 1))


def in_place(inclusion: Any) -> tuple[bool, tuple[Any, ...]]:
    """Return (compiled, (F, component, resolvent, difference)), all writing into their last.

    Component and difference add. Compiled where all functions are, else in Python.
    """
    names = ("F", "component", "resolvent", "component_difference")
    given = [getattr(inclusion, name) is not None for name in names]
    parts = tuple(
        inclusion.first_class(name) if there else None
        for name, there in zip(names, given, strict=True)
    )
    if all(part is not None for part, there in zip(parts, given, strict=True) if there):
        return True, parts

    return False, (
        written(inclusion.apply),
        added(inclusion.mean_component),
        written(inclusion.resolve) if given[2] else None,
        added(inclusion.mean_difference) if given[3] else None,
    )


def written(function: Callable[..., Array]) -> Callable[..., None]:
    """Return the function with one argument more, into which it writes what it would return."""

    def write(*arguments: Any) -> None:
        arguments[-1][:] = function(*arguments[:-1])

    return write


def added(function: Callable[..., Array]) -> Callable[..., None]:
    """Return the function with one argument more, to which it adds what it would return."""

    def add(*arguments: Any) -> None:
        arguments[-1][:] += function(*arguments[:-1])

    return add


def _estimate(problem: Any, rng: np.random.Generator) -> tuple[float, int, int]:
    """Largest secant of some components at the origin, with the calls that it costs."""
    m, n = problem.n_components, problem.n
    chosen = rng.permutation(m)[:SAMPLED].astype(np.int64)
    origin = problem.resolve(np.zeros(n), 1.0)
    length = 1e-3 * max(1.0, float(np.linalg.norm(origin)))
    largest = 0.0
    for i in chosen:
        one = np.array([i])
        x, calls = origin, 0
        # Two steps of the power method on the component: the second secant is the larger one.
        direction = rng.standard_normal(n)
        for _ in range(3):
            shift = (length / max(float(np.linalg.norm(direction)), 1e-300)) * direction
            direction = problem.mean_difference(x + shift, x, one)
            slope = float(np.linalg.norm(direction)) / length
            calls += 2
            largest = max(largest, slope) if math.isfinite(slope) else largest
            if not 0.0 < slope < math.inf:
                break
    return largest or 1.0, 6 * chosen.size, 6 * chosen.size
