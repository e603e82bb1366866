"""The bound optimiser for clustering with a graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fejer.evidence import EMPTY, Array
from fejer.method import Method, Rate, Start, State, option, register
from fejer.problems.sparse.laplacian_clustering import LaplacianClustering, rows_softmax

__all__ = ["BoundOptimiser", "BoundOptimiserState"]


@dataclass
class BoundOptimiserState(State):
    """The assignment and the prototypes."""

    S: Array
    centers: Array = field(default_factory=lambda: np.empty(0))
    inner: int = 0  # updates of the assignment since the prototypes were moved
    finished: bool = False


@register
@dataclass(frozen=True, eq=False)
class BoundOptimiser(Method):
    """Minimise a tangent bound of the clustering energy, all points at once.

    ``S <- softmax((-a + lam W S + lam delta log S) / (1 + lam delta))`` row by row, delta at least
    the norm of W; the prototypes follow S after every ``inner`` updates.

    Attributes
    ----------
    delta : float or None
        None: the largest sum of a row of W, which is at least its norm. 0 is the published
        iteration: it may go round in circles.
    inner : int
        Updates of S between two of the prototypes.

    Notes
    -----
    Rate: with the prototypes fixed the energy never increases: the quadratic part of W + delta I is
    concave with its sign, so its tangent is a bound from above, and the proximity term of weight
    ``lam delta`` vanishes at fixed points, which are those of ``S = softmax(-a + lam W S)``. No
    speed is proven. With means weighted by S the prototypes minimise their part of the energy too.

    Cost per update: one product with W and n K exponentials. Memory: n K.

    References
    ----------
    .. [1] I. M. Ziko, M. Boudiaf, J. Dolz, E. Granger, I. Ben Ayed (2021). Transductive few-shot
       learning: clustering is all you need?, arXiv:2106.09516.

    Examples
    --------
    >>> import fejer
    >>> problem = fejer.LaplacianClustering.random()
    >>> fejer.minimize(problem, method="bound-optimiser").success
    True
    """

    delta: float | None = option(None, least=0, doc="proximity; None: the largest row sum of W")
    inner: int = option(1, least=1, doc="updates of S between two of the prototypes")

    name = "bound-optimiser"
    solves = (LaplacianClustering,)
    cites = ("arXiv:2106.09516",)

    @property
    def rate(self) -> Rate:
        """What is known: the energy never increases."""
        return Rate(
            "the energy never increases, and limit points are fixed points (arXiv:2106.09516)",
            "sublinear",
            assumptions="delta at least the norm of W; prototypes 'means'",
        )

    def prepare(self, problem: Any, tol: float, rng: np.random.Generator) -> float:
        """Choose the weight of the proximity term."""
        if self.delta is not None:
            return problem.lam * self.delta  # type: ignore[no-any-return]
        return problem.lam * float(problem.graph()[0].sum(axis=1).max())  # type: ignore[no-any-return]

    def begin(
        self, problem: Any, prep: float, start: Start, rng: np.random.Generator
    ) -> BoundOptimiserState:
        """Start from S, its rows projected on the simplex by scaling."""
        S = np.maximum(start.x.reshape(problem.shape), 0.0)
        sums = S.sum(axis=1, keepdims=True)
        S = np.where(sums > 0, S / np.where(sums > 0, sums, 1.0), 1.0 / problem.n_classes)
        S = problem.held(S)
        means = problem.prototypes == "means"
        return BoundOptimiserState(
            S, problem.means(S) if means else problem.labelled_means().copy()
        )

    def advance(self, problem: Any, prep: float, state: BoundOptimiserState, n: int) -> bool:
        """Make n updates of S."""
        W = problem.graph()[0]
        for _ in range(n):
            if state.finished:
                return True
            logits = W @ state.S  # in place from here on: fresh memory costs more than arithmetic
            logits *= problem.lam
            logits -= problem.costs(state.centers)
            if prep > 0.0:
                logs = np.maximum(state.S, 1e-300)
                np.log(logs, out=logs)
                logs *= prep
                logits += logs
            logits /= 1.0 + prep
            S = problem.held(rows_softmax(logits))
            np.subtract(S, state.S, out=logits)
            moved = max(float(logits.max()), -float(logits.min()))
            state.S = S
            state.inner += 1
            if state.inner == self.inner:
                state.inner = 0
                centers = self._prototypes(problem, state)
                moved = max(moved, float(np.abs(centers - state.centers).max()))
                state.centers = centers
                state.finished = moved == 0.0
            state.nit += 1
            state.work += problem.unit
        return state.finished

    def _prototypes(self, problem: Any, state: BoundOptimiserState) -> Array:
        if problem.prototypes == "means":
            return problem.means(state.S)  # type: ignore[no-any-return]
        moved = problem.kernel_means(state.S, state.centers)
        return state.centers if moved is None else moved

    def point(self, problem: Any, prep: float, state: BoundOptimiserState) -> Array:
        """Return S row by row."""
        return state.S.ravel()

    def witness(self, problem: Any, prep: float, state: BoundOptimiserState) -> Mapping[str, Array]:
        """Return the modes, where the prototypes are modes."""
        return EMPTY if problem.prototypes == "means" else {"means": state.centers}
