"""Adam along a path of barriers, for directed acyclic graphs: the published solver."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from fejer.evidence import Array
from fejer.method import Method, Rate, Start, option, register
from fejer.problems.constrained.linear_sem import LinearSEM

from ._sem_kernels import adam, levels
from ._sem_path import (
    PathState,
    SEMData,
    advance_refit,
    begin_at_order,
    enter_refit,
)

WEIGHTS = (1.0, 0.1, 0.01, 0.001)  # of the score, against the barrier
RADII = (1.0, 0.9, 0.8, 0.7)  # the barrier's s
CHECK = 1000
CHANGE = 1e-6
SMALLEST_RATE = 1e-12


@dataclass
class AdamPathState(PathState):
    m: Array = field(default_factory=lambda: np.zeros(0))
    v: Array = field(default_factory=lambda: np.zeros(0))
    anchor: Array = field(default_factory=lambda: np.zeros(0))  # where the stage began
    safe: Array = field(default_factory=lambda: np.zeros(0))  # the point at the last check
    rate: float = 0.0
    moments: int = 0  # steps since the moments were 0
    value: float = np.inf
    open: bool = False


@register
@dataclass(frozen=True, eq=False)
class AdamPath(Method):
    """Adam on the published path of barrier problems: the published solver of CoLiDE.

    The noise levels follow each step in closed form; the penalty enters by its subgradient
    ``lam sign(W)``. The barrier, whose weights are 1, 0.1, 0.01 and 0.001 here, the threshold and
    the refit at the end are those of `owlqn`.

    Attributes
    ----------
    step : float
        Learning rate.
    warm, last : int
        Steps of the first three stages and of the last one.

    Notes
    -----
    Rate: none is known. Steps of constant size do not converge to a minimum of the penalised
    barrier problem; the refit at the end does, on the order that was found.

    Iteration: one step of Adam, or one sweep of coordinate descent; a stage also ends where its
    objective changed by less than 1e-6 over 1000 steps. Cost: about 4 d^3 flops, and tens of
    thousands of iterations, which is why `owlqn` is the default. Memory: 8 d^2 numbers.

    Witness: the order of the nodes.

    A step that leaves the barrier's domain begins the stage anew with half the rate and a wider
    barrier.

    References
    ----------
    .. [1] Saboksayr, Mateos, Tepper (2024), CoLiDE: concomitant linear DAG estimation,
       arXiv:2310.02895.

    Examples
    --------
    >>> import fejer
    >>> fejer.minimize(fejer.LinearSEM.random(), method="adam-path").success
    True
    """

    step: float = option(3e-4, above=0, most=0.1, doc="learning rate")
    warm: int = option(20_000, least=1, doc="steps of the first three stages")
    last: int = option(70_000, least=1, doc="steps of the last stage")

    name, solves = "adam-path", (LinearSEM,)
    cites = ("arXiv:2310.02895",)

    @property
    def rate(self) -> Rate:
        """Linear convergence of the refit."""
        return Rate(
            "linear for coordinate descent on the convex problem that the order leaves",
            "linear",
            assumptions="the last stage; noise levels above their least value",
        )

    def prepare(self, problem: LinearSEM, tol: float, rng: np.random.Generator) -> SEMData:
        """Compute the covariance."""
        return SEMData.of(problem)

    def begin(
        self, problem: LinearSEM, prep: SEMData, start: Start, rng: np.random.Generator
    ) -> AdamPathState:
        """Start with the graph given; one that has an order goes to the refit at once."""
        size = start.x.size
        state = AdamPathState(
            start.x,
            m=np.zeros(size),
            v=np.zeros(size),
            anchor=start.x.copy(),
            safe=start.x.copy(),
        )
        state.sigma = np.zeros(len(prep.C))
        begin_at_order(problem, start, state)
        return state

    def witness(self, problem: LinearSEM, prep: SEMData, state: AdamPathState) -> dict[str, Array]:
        """Return the order of the refit."""
        return {} if state.order is None else {"order": state.order}

    def advance(self, problem: LinearSEM, prep: SEMData, state: AdamPathState, n: int) -> bool:
        """Go along the path."""
        end = state.nit + n
        while state.nit < end:
            if state.finished:
                return True
            if state.order is not None:
                if advance_refit(prep, state, end - state.nit):
                    return True
                continue
            if not state.open:
                self._open(prep, state)
            mu = WEIGHTS[state.stage]
            limit = self.last if state.stage == len(WEIGHTS) - 1 else self.warm
            count = min(end - state.nit, limit - state.steps, CHECK - state.steps % CHECK)
            d = len(prep.C)
            scratch = np.empty(d * d), np.empty((d, d)), np.empty((d, d))
            data = prep.C, state.x, mu, state.radius, prep.lam, state.sigma
            moments = state.m, state.v, state.rate, state.moments, count
            made = int(adam(*data, prep.equal, prep.least, *moments, *scratch))
            left, made = made < 0, abs(made)
            state.nit += made
            state.work += made
            state.steps += made
            state.moments += made
            if left:
                self._retreat(prep, state)
            elif state.steps % CHECK == 0 or state.steps >= limit:
                self._end_stage(prep, state, limit)
        return state.finished

    def _open(self, data: SEMData, state: AdamPathState) -> None:
        """Begin a stage, with a barrier wide enough for the point."""
        d = len(data.C)
        state.x[:: d + 1] = 0.0
        if state.anchor is not state.x:
            state.anchor[:] = state.x
        state.radius = RADII[state.stage]
        point = np.empty((3, state.x.size))
        while not data.barrier(state.x, WEIGHTS[state.stage], state.radius, point) < np.inf:
            state.radius = 1.1 * state.radius
        state.rate, state.value, state.open = self.step, np.inf, True
        self._reset(data, state)

    @staticmethod
    def _reset(data: SEMData, state: AdamPathState) -> None:
        d = len(data.C)
        state.m[:] = 0.0
        state.v[:] = 0.0
        state.moments = state.steps = 0
        state.safe[:] = state.x
        W = state.x.reshape(d, d)
        levels(data.C, W, data.equal, data.least, np.empty((d, d)), state.sigma)

    def _retreat(self, data: SEMData, state: AdamPathState) -> None:
        """Begin the stage anew with half the rate and a wider barrier."""
        state.rate /= 2
        state.radius = 1.1 * state.radius
        state.x[:] = state.anchor
        if state.rate < SMALLEST_RATE:
            enter_refit(data, state)
            return
        self._reset(data, state)

    @staticmethod
    def _end_stage(data: SEMData, state: AdamPathState, limit: int) -> None:
        """End the stage where its objective hardly changes, or at its limit."""
        mu = WEIGHTS[state.stage]
        value = data.barrier(state.x, mu, state.radius, np.empty((3, state.x.size)))
        value += mu * data.lam * float(np.abs(state.x).sum())
        old, state.value = state.value, value
        still = abs(old - value) <= CHANGE * abs(old) if np.isfinite(old) else False
        if still or state.steps >= limit:
            state.stage += 1
            state.open = False
            if state.stage == len(WEIGHTS):
                enter_refit(data, state)
