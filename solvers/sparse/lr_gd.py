"""Gradient descent on the logistic loss."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fejer.evidence import Array
from fejer.method import Method, Start, option, register
from fejer.problems.sparse.separation import Separation

from ._separation import SeparationState, first_state, iterate, sigmoids, weights

__all__ = ["LRGD"]


@register
@dataclass(frozen=True, eq=False)
class LRGD(Method):
    """Gradient descent on the logistic loss.

    ``w += (gamma/n) sum_i sigma_i z_i``, ``sigma_i = 1/(1 + exp(z_i'w))``.

    Attributes
    ----------
    step : float
        gamma. Large ones approach the batch perceptron.

    Notes
    -----
    Large steps separate sooner although the loss grows at first. For ``gamma`` towards infinity
    ``w / gamma`` follows the batch perceptron, whose bound is ``n R^2 / mu^2`` updates.

    Cost per update: two products with A.

    The weights with which the points have pulled, scaled to the sum 1, are the witness: ``||Z'p||``
    bounds the margin of the data from above.

    References
    ----------
    .. [1] arXiv:2412.08424 (where it is the baseline).

    Examples
    --------
    >>> import fejer
    >>> fejer.minimize(fejer.Separation.random(), method="lr-gd").success
    True
    """

    step: float = option(1.0, above=0, doc="gamma, the step size")

    name = "lr-gd"
    solves = (Separation,)
    cites = ("arXiv:2412.08424",)

    def begin(
        self, problem: Any, prep: Any, start: Start, rng: np.random.Generator
    ) -> SeparationState:
        """Start at the given point."""
        return first_state(problem, start.x)

    def advance(self, problem: Any, prep: Any, state: SeparationState, n: int) -> bool:
        """Make up to n updates."""
        return iterate(problem, state, n, self.step / problem.labels.size, sigmoids)

    def point(self, problem: Any, prep: Any, state: SeparationState) -> Array:
        """Return w."""
        return state.w

    def witness(self, problem: Any, prep: Any, state: SeparationState) -> Mapping[str, Array]:
        """Return how much each point has pulled."""
        return weights(state)
