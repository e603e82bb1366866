"""Draws of samples for stochastic methods, from a generator that is part of the state."""

from __future__ import annotations

from typing import Any

import numpy as np

from fejer.jit import kernel
from fejer.numerics.random import below
from fejer.problems.bilevel._lower_level import LowerLevel
from fejer.problems.bilevel._sampling import Part

__all__ = ["draw", "part"]


@kernel
def draw(state, n, rows):
    """Fill `rows` with integers below n, drawn with replacement."""
    for i in range(rows.size):
        rows[i] = below(state, n)


def part(problem: LowerLevel, words: Any, batch: int) -> Part:
    """Return the oracles over new samples, at most `batch` of each level.

    Parameters
    ----------
    problem : LowerLevel
        The problem.
    words : array of uint64, shape (4,)
        The generator's state; it moves on.
    batch : int
        Samples of each level. A level of fewer samples is taken as a whole.

    Returns
    -------
    Part
    """
    sets = []
    for n in problem.sample_sizes():
        if n <= batch:
            sets.append(np.arange(n))
            continue
        rows = np.empty(batch, dtype=np.intp)
        draw(words, n, rows)
        sets.append(rows)
    if all(rows.size == n for rows, n in zip(sets, problem.sample_sizes(), strict=True)):
        return Part(problem)
    return problem.part(*sets)
