"""The perceptron."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fejer.evidence import Array
from fejer.method import Method, Rate, Start, register
from fejer.problems.sparse.separation import Separation

from ._separation import SeparationState, bounded, first_state, iterate, weights

__all__ = ["Perceptron"]


@register
@dataclass(frozen=True, eq=False)
class Perceptron(Method):
    """The perceptron.

    ``w += z_i`` for the next point, in their order, with ``z_i'w <= 0``.

    Notes
    -----
    Rate: all margins are positive after at most ``R^2 / mu^2`` updates, R the largest norm of a
    point and mu the margin of the data.

    Cost per update: two products with A, because points are looked at all at once; the sequence of
    updates is that of looking at one after another.

    The weights with which the points have pulled, scaled to the sum 1, are the witness: ``||Z'p||``
    bounds the margin of the data from above.

    References
    ----------
    .. [1] F. Rosenblatt (1958). The perceptron, Psychological Review 65.
    .. [2] A. Novikoff (1962). On convergence proofs on perceptrons, Symposium on the Mathematical
       Theory of Automata.

    Examples
    --------
    >>> import fejer
    >>> fejer.minimize(fejer.Separation.random(), method="perceptron").success
    True
    """

    name = "perceptron"
    solves = (Separation,)
    cites = ("Rosenblatt (1958)", "Novikoff (1962)")

    @property
    def rate(self) -> Rate:
        """The bound of the number of updates."""
        return bounded(
            "k <= R^2/mu^2 updates (Novikoff 1962)",
            lambda R, mu, n: R * R / mu**2,
        )

    def begin(
        self, problem: Any, prep: Any, start: Start, rng: np.random.Generator
    ) -> SeparationState:
        """Start at the given point."""
        return first_state(problem, start.x)

    def advance(self, problem: Any, prep: Any, state: SeparationState, n: int) -> bool:
        """Make up to n updates."""

        def pull(margins: Array) -> Array:
            wrong = np.roll(margins <= 0.0, -state.place)
            chosen = (state.place + int(np.argmax(wrong))) % margins.size
            state.place = (chosen + 1) % margins.size
            q = np.zeros(margins.size)
            q[chosen] = 1.0
            return q

        return iterate(problem, state, n, 1.0, pull)

    def point(self, problem: Any, prep: Any, state: SeparationState) -> Array:
        """Return w."""
        return state.w

    def witness(self, problem: Any, prep: Any, state: SeparationState) -> Mapping[str, Array]:
        """Return how much each point has pulled."""
        return weights(state)
