"""Orthant-wise L-BFGS along a path of barriers, for directed acyclic graphs."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from fejer.evidence import Array
from fejer.method import Method, Rate, Start, option, register
from fejer.problems.constrained.linear_sem import LinearSEM

from ._sem_kernels import DONE, MEMORY, VALUE, WINDOW
from ._sem_kernels import owlqn as run
from ._sem_path import (
    RADII,
    WEIGHTS,
    PathState,
    SEMData,
    advance_refit,
    begin_at_order,
    enter_refit,
)

STILL = (1e-5, 1e-5, 1e-5, 1e-7)  # relative decrease in 20 iterations at which a stage ends


@dataclass
class OWLQNState(PathState):
    grad: Array = field(default_factory=lambda: np.zeros(0))
    S: Array = field(default_factory=lambda: np.zeros(0))
    Y: Array = field(default_factory=lambda: np.zeros(0))
    rho: Array = field(default_factory=lambda: np.zeros(0))
    recent: Array = field(default_factory=lambda: np.zeros(0))
    progress: Array = field(default_factory=lambda: np.zeros(0))
    open: bool = False  # value and gradient belong to this stage


@register
@dataclass(frozen=True, eq=False)
class OWLQN(Method):
    """Orthant-wise L-BFGS on a path of barrier problems, then a convex refit.

    ``mu (score + lam |W|_1) + d log s - log det(s I - W o W)``, with the noise levels eliminated,
    is minimised for ``mu = 1, 0.1, 0.01, 0.001`` and ``s = 1, 0.9, 0.8, 0.7``, each from the
    last. Weights up to 0.3 are dropped, then the smallest ones while there are cycles; coordinate
    descent on the order that is left solves the convex problem that the certificate measures.

    Attributes
    ----------
    cap : int
        Iterations of a barrier problem.

    Notes
    -----
    Rate: none is known for the path, whose problems are not convex; coordinate descent on a
    concomitant lasso converges linearly.

    Iteration: one step of L-BFGS with five pairs, or one sweep of coordinate descent; each ten
    sweeps the columns are solved exactly by active sets. Cost: about
    4 d^3 flops an evaluation, d^3 a sweep. Memory: 20 d^2 numbers.

    Witness: the order of the nodes.

    Pitfalls: all points before the last stage may have cycles and are judged inf. Strong edges of
    dense graphs make X'X ill-conditioned; then each stage runs to its cap.

    References
    ----------
    .. [1] Saboksayr, Mateos, Tepper (2024), CoLiDE: concomitant linear DAG estimation,
       arXiv:2310.02895.
    .. [2] Andrew and Gao (2007), Scalable training of L1-regularized log-linear models.

    Examples
    --------
    >>> import fejer
    >>> fejer.minimize(fejer.LinearSEM.random(), method="owlqn", tol=1e-9).success
    True
    """

    cap: int = option(5000, least=1, doc="iterations of a barrier problem")

    name, solves = "owlqn", (LinearSEM,)
    cites = ("arXiv:2310.02895", "Andrew and Gao (2007)")

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
    ) -> OWLQNState:
        """Start with the graph given; one that has an order goes to the refit at once."""
        size = start.x.size
        state = OWLQNState(
            start.x,
            grad=np.zeros(size),
            S=np.zeros((MEMORY, size)),
            Y=np.zeros((MEMORY, size)),
            rho=np.zeros(MEMORY),
            recent=np.zeros(WINDOW),
            progress=np.zeros(5),
        )
        begin_at_order(problem, start, state)
        return state

    def witness(self, problem: LinearSEM, prep: SEMData, state: OWLQNState) -> dict[str, Array]:
        """Return the order of the refit."""
        return {} if state.order is None else {"order": state.order}

    def advance(self, problem: LinearSEM, prep: SEMData, state: OWLQNState, n: int) -> bool:
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
            data = prep.C, state.x, WEIGHTS[state.stage], state.radius, prep.lam
            memory = state.grad, state.S, state.Y, state.rho, state.recent, state.progress
            d = len(prep.C)
            scratch = np.empty((6, d * d))
            count = min(end - state.nit, self.cap - state.steps)
            made = int(
                run(*data, prep.equal, prep.least, STILL[state.stage], *memory, scratch, count)
            )
            state.nit += made
            state.work += made
            state.steps += made
            if state.progress[DONE] or state.steps >= self.cap:
                state.stage += 1
                state.open = False
                if state.stage == len(WEIGHTS):
                    enter_refit(prep, state)
        return state.finished

    @staticmethod
    def _open(data: SEMData, state: OWLQNState) -> None:
        """Begin a stage, with a barrier wide enough for the point."""
        d = len(data.C)
        state.x[:: d + 1] = 0.0
        mu, state.radius = WEIGHTS[state.stage], RADII[state.stage]
        value = data.barrier(state.x, mu, state.radius, state.grad)
        while not value < np.inf:
            state.radius = 1.1 * state.radius
            value = data.barrier(state.x, mu, state.radius, state.grad)
        state.progress[:] = 0.0
        state.progress[VALUE] = value + mu * data.lam * float(np.abs(state.x).sum())
        state.steps, state.open = 0, True
