"""Linear rows given in two parts, for x and for y."""

from __future__ import annotations

from typing import Any

import numpy as np

from fejer.errors import ProblemError
from fejer.evidence import Array

__all__ = ["beside", "checked_rows"]


def beside(x: Any, y: Any, level: Any, n: int, m: int) -> tuple[Array, Array]:
    """Put the parts of linear rows side by side; what is None is 0."""
    p = 0 if level is None else level.size
    parts = [
        np.zeros((p, size)) if part is None else part.toarray() for part, size in ((x, n), (y, m))
    ]
    return np.ascontiguousarray(np.hstack(parts)), np.zeros(0) if level is None else level


def checked_rows(problem: Any, x: str, y: str, level: str) -> None:
    """Check the fields of linear rows: matrices beside a right-hand side."""
    from fejer.numerics.matrix import Matrix
    from fejer.problem import as_vector

    given = {name: getattr(problem, name) for name in (x, y)}
    if getattr(problem, level) is None:
        for name, value in given.items():
            if value is not None:
                raise ProblemError(f"{name}: expected None without {level}")
        return
    problem.set(**{level: as_vector(getattr(problem, level), level)})
    p = getattr(problem, level).size
    for (name, value), size in zip(given.items(), (problem.n, problem.m), strict=True):
        if value is not None:
            problem.set(**{name: Matrix.of(value, name, shape=(p, size))})
