"""The batch perceptron."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fejer.evidence import Array
from fejer.method import Method, Rate, Start, register
from fejer.problems.sparse.separation import Separation

from ._separation import SeparationState, bounded, first_state, iterate, weights

__all__ = ["BatchPerceptron"]


@register
@dataclass(frozen=True, eq=False)
class BatchPerceptron(Method):
    """The batch perceptron.

    ``w += (1/n) sum z_i`` over the points with ``z_i'w < 0``; those with ``z_i'w = 0`` count half.

    Notes
    -----
    Rate: all margins are positive after at most ``n R^2 / mu^2`` updates, R the largest norm of a
    point and mu the margin of the data. It is the limit of gradient descent on the logistic loss
    for large steps.

    Cost per update: two products with A.

    The weights with which the points have pulled, scaled to the sum 1, are the witness: ``||Z'p||``
    bounds the margin of the data from above.

    References
    ----------
    .. [1] F. Rosenblatt (1958). The perceptron, Psychological Review 65.
    .. [2] A. Novikoff (1962). On convergence proofs on perceptrons, Symposium on the Mathematical
       Theory of Automata.
    .. [3] arXiv:2412.08424 (comparison with logistic regression).

    Examples
    --------
    >>> import fejer
    >>> fejer.minimize(fejer.Separation.random(), method="batch-perceptron").success
    True
    """

    name = "batch-perceptron"
    solves = (Separation,)
    cites = ("Rosenblatt (1958)", "Novikoff (1962)", "arXiv:2412.08424")

    @property
    def rate(self) -> Rate:
        """The bound of the number of updates."""
        return bounded(
            "k <= n R^2/mu^2 updates (Novikoff 1962)",
            lambda R, mu, n: n * R * R / mu**2,
        )

    def begin(
        self, problem: Any, prep: Any, start: Start, rng: np.random.Generator
    ) -> SeparationState:
        """Start at the given point."""
        return first_state(problem, start.x)

    def advance(self, problem: Any, prep: Any, state: SeparationState, n: int) -> bool:
        """Make up to n updates."""

        def pull(margins: Array) -> Array:
            return np.where(margins < 0.0, 1.0, np.where(margins == 0.0, 0.5, 0.0))

        return iterate(problem, state, n, 1.0 / problem.labels.size, pull)

    def point(self, problem: Any, prep: Any, state: SeparationState) -> Array:
        """Return w."""
        return state.w

    def witness(self, problem: Any, prep: Any, state: SeparationState) -> Mapping[str, Array]:
        """Return how much each point has pulled."""
        return weights(state)
