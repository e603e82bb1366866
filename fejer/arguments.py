"""Checks of what `minimize` is called with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .errors import OptionError, ProblemError
from .evidence import EMPTY, Array
from .method import Start
from .problem import Problem, as_vector


def limit(name: str, value: Any) -> float:
    good = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if not good or not value >= 0:
        raise OptionError(f"{name}: expected a number >= 0, got {value!r:.80}")
    return value  # type: ignore[no-any-return]


def one_of(name: str, value: Any, choices: tuple[str, ...]) -> str:
    if value not in choices:
        raise OptionError(f"{name}: expected one of {', '.join(choices)}, got {value!r:.80}")
    return str(value)


def seed(rng: Any) -> int:
    if isinstance(rng, np.random.Generator):
        return int(rng.integers(2**63))
    if isinstance(rng, int | np.integer) and not isinstance(rng, bool) and rng >= 0:
        return int(rng)
    raise OptionError(f"rng: expected an integer >= 0 or a numpy Generator, got {rng!r:.80}")


def start(problem: Problem, x0: Any) -> Start:
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
