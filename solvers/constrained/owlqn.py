"""Orthant-wise quasi-Newton steps along a path of barriers, for directed acyclic graphs."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from fejer.evidence import Array
from fejer.method import Method, Rate, Start, option, register
from fejer.problems.constrained.linear_sem import LinearSEM

from ._sem_kernels import DONE, EVALUATIONS, VALUE
from ._sem_kernels import owlqn as run
from ._sem_path import (
    PathState,
    SEMData,
    advance_refit,
    begin_at_order,
    enter_refit,
)

# Each weight of the score is the one before times 10^(-1/3), the radii fall evenly between the
# published ones: a shorter way from one minimum to the next ends at better graphs.
WEIGHTS = tuple(10.0 ** (-k / 3) for k in range(10))
RADII = tuple(1.0 - k / 30 for k in range(10))
STILL, STILL_LAST = 1e-5, 1e-8  # relative decrease at which a stage ends, twice running


@dataclass
class OWLQNState(PathState):
    point: Array = field(default_factory=lambda: np.zeros(0))  # what the score left at x
    progress: Array = field(default_factory=lambda: np.zeros(0))
    open: bool = False  # value and gradient belong to this stage


@register
@dataclass(frozen=True, eq=False)
class OWLQN(Method):
    """Orthant-wise quasi-Newton steps on a path of barrier problems, then a convex refit.

    ``mu (score + lam |W|_1) + d log s - log det(s I - W o W)``, with the noise levels eliminated,
    is minimised for mu from 1 to 0.001 and s from 1 to 0.7, in ten stages, each from the last.
    Weights up to 0.3 are dropped, then the smallest ones while there are cycles; coordinate descent
    on the order that is left solves the convex problem that the certificate measures.

    Attributes
    ----------
    cap : int
        Iterations of a barrier problem.

    Notes
    -----
    Rate: none is known for the path, whose problems are not convex; coordinate descent on a
    concomitant lasso converges linearly.

    In each column alone the barrier problem is convex: the determinant is affine in the squares of
    a column's weights, so that the column's part of the Hessian is positive, and near a graph
    without cycles it is nearly all of the Hessian. Strong edges make X'X ill-conditioned, and
    that part knows of it: tens of steps do what takes L-BFGS thousands.

    Iteration: the Newton step of each column on the orthant that its signs and slopes choose, and a
    line search for all of them along the orthant; later, one sweep of coordinate descent; each ten
    sweeps the columns are solved exactly by active sets. Cost: about 4 d^3 flops an evaluation,
    and a third of the cube of the free weights for each column. Memory: 11 d^2 numbers.

    Witness: the order of the nodes.

    Pitfalls: all points before the last stage may have cycles and are judged inf.

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
        state = OWLQNState(start.x, point=np.zeros((3, start.x.size)), progress=np.zeros(4))
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
            last = state.stage == len(WEIGHTS) - 1
            data = prep.C, state.x, WEIGHTS[state.stage], state.radius, prep.lam
            rule = prep.equal, prep.least, STILL_LAST if last else STILL
            scratch = np.empty((4, state.x.size))
            count = min(end - state.nit, self.cap - state.steps)
            before = state.progress[EVALUATIONS]
            made = int(run(*data, *rule, state.point, state.progress, scratch, count))
            state.nit += made
            state.work += int(state.progress[EVALUATIONS] - before)
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
        value = data.barrier(state.x, mu, state.radius, state.point)
        while not value < np.inf:
            state.radius = 1.1 * state.radius
            value = data.barrier(state.x, mu, state.radius, state.point)
        state.progress[:] = 0.0
        state.progress[VALUE] = value + mu * data.lam * float(np.abs(state.x).sum())
        state.steps, state.open = 0, True
