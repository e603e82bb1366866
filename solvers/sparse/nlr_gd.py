"""Normalised gradient descent on the logistic loss."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fejer.evidence import Array
from fejer.method import Method, Rate, Start, option, register
from fejer.problems.sparse.separation import Separation

from ._separation import SeparationState, bounded, first_state, iterate, sigmoids, weights

__all__ = ["NLRGD"]


@register
@dataclass(frozen=True, eq=False)
class NLRGD(Method):
    """Normalised gradient descent on the logistic loss.

    ``w += gamma sum_i sigma_i z_i / sum_i sigma_i``, ``sigma_i = 1/(1 + exp(z_i'w))``.

    Attributes
    ----------
    step : float
        gamma. Large ones approach the normalised batch perceptron.

    Notes
    -----
    Rate: all margins are positive after at most ``(R^2 + 2 (log n + 1/2)/gamma) / mu^2`` updates, R
    the largest norm of a point and mu the margin of the data. (``<w, w*>`` grows by at least
    ``gamma mu``, ``||w||^2`` by at most ``gamma^2 R^2 + 2 gamma (log n + 1/2)`` while one margin is
    not positive.) The loss is no measure of progress: with a large gamma it is large for long.

    Cost per update: two products with A.

    The weights with which the points have pulled, scaled to the sum 1, are the witness: ``||Z'p||``
    bounds the margin of the data from above.

    Pitfall: the worst case is better than that of plain gradient descent, the typical case need not
    be: on Gaussian data it is often slower.

    References
    ----------
    .. [1] arXiv:2412.08424 (normalised logistic regression separates faster).

    Examples
    --------
    >>> import fejer
    >>> fejer.minimize(fejer.Separation.random(), method="nlr-gd").success
    True
    """

    step: float = option(1.0, above=0, doc="gamma, the step size")

    name = "nlr-gd"
    solves = (Separation,)
    cites = ("arXiv:2412.08424",)

    @property
    def rate(self) -> Rate:
        """The bound of the number of updates."""
        return bounded(
            "k <= (R^2 + 2 (log n + 1/2)/gamma)/mu^2 updates (after arXiv:2412.08424)",
            lambda R, mu, n: (R * R + 2.0 * (math.log(n) + 0.5) / self.step) / mu**2,
        )

    def begin(
        self, problem: Any, prep: Any, start: Start, rng: np.random.Generator
    ) -> SeparationState:
        """Start at the given point."""
        return first_state(problem, start.x)

    def advance(self, problem: Any, prep: Any, state: SeparationState, n: int) -> bool:
        """Make up to n updates."""

        def pull(margins: Array) -> Array:
            q = sigmoids(margins)
            return np.asarray(q / q.sum())

        return iterate(problem, state, n, self.step, pull)

    def point(self, problem: Any, prep: Any, state: SeparationState) -> Array:
        """Return w."""
        return state.w

    def witness(self, problem: Any, prep: Any, state: SeparationState) -> Mapping[str, Array]:
        """Return how much each point has pulled."""
        return weights(state)
