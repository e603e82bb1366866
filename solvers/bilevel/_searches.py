"""Several starts of a local method: where they are, and the best answer so far."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from fejer.evidence import Array
from fejer.method import State

__all__ = ["Searches", "drawn_starts"]


def drawn_starts(problem: Any, first: Array, count: int, spread: float, rng: Any) -> Array:
    """Draw starts uniformly from the boxes, within a distance of the first one.

    Parameters
    ----------
    problem : ConstrainedBilevel
        The problem.
    first : array, shape (n + m,)
        The first start.
    count : int
        How many to draw.
    spread : float
        Largest distance of an entry from that of `first`, in units of ``1 + |entry|``.
    rng : numpy.random.Generator
        What draws.

    Returns
    -------
    array, shape (count, n + m)
        Each projected onto the constraints of both levels.
    """
    room = spread * (1 + np.abs(first))
    low, high = (np.clip(bound, first - room, first + room) for bound in problem.box)
    drawn = rng.uniform(low, high, (count, first.size))
    return np.array([problem.project(w) for w in drawn]).reshape(count, first.size)


@dataclass
class Searches(State):
    """What is left to begin with, and the answer.

    Attributes
    ----------
    points : array, shape (k, n + m)
        Starts.
    first : array, shape (n + m,)
        What is shown until all searches have ended.
    answer : array, shape (n + m,)
        The end of a search with the lowest F among those that are certified; while there is none,
        that with the smallest certificate.
    multipliers : array
        Those that go with it.
    value, fun : float
        Its certificate and F.
    begun : int
        Starts that are used up.
    """

    points: Array
    first: Array
    answer: Array
    multipliers: Array
    value: float = math.inf
    fun: float = math.inf
    begun: int = 0

    @classmethod
    def of(cls, points: Array, first: Array, multipliers: Array) -> Searches:
        """Begin with the given starts; the answer is the first point until there is one."""
        return cls(points, first.copy(), first.copy(), multipliers.copy())

    @property
    def pending(self) -> bool:
        """Whether starts are left."""
        return self.begun < len(self.points)

    def following(self) -> Array:
        """Return the next start."""
        self.begun += 1
        return np.array(self.points[self.begun - 1])

    def offer(self, w: Array, multipliers: Array, value: float, fun: float, tol: float) -> None:
        """Take the end of a search, if it is better than the answer."""
        before, after = (not self.value <= tol, self.fun), (not value <= tol, fun)
        if before[0] and after[0]:
            before, after = (True, self.value), (True, value)
        if after < before:
            self.answer, self.multipliers = w.copy(), multipliers.copy()
            self.value, self.fun = value, fun
