"""What both paths of barrier problems for structural equations share: score, end and refit."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from fejer.evidence import Array
from fejer.method import Start, State
from fejer.problems.constrained._sem import acyclic, before, topological_order
from fejer.problems.constrained.linear_sem import LinearSEM

from ._active_sets import lasso_column
from ._sem_kernels import levels, refit, score

THRESHOLD = 0.3
JUDGED = 10  # sweeps of the refit between judgements
SWEEPS = 20_000
CALM = 5  # judgements without any gain, after which only rounding is left


class SEMData(NamedTuple):
    """What the kernels need of a problem."""

    C: Array
    lam: float
    equal: bool
    least: float

    @classmethod
    def of(cls, problem: LinearSEM) -> SEMData:
        """Take it from the problem."""
        return cls(problem.covariance, problem.lam, problem.noise == "equal", problem.least)

    def barrier(self, x: Array, mu: float, s: float, point: Array) -> float:
        """Return score and barrier without the penalty.

        Writes into the rows of ``point`` the matrix ``C (I - W)``, the inverse of ``s I - W o W``
        and the gradient.
        """
        d = len(self.C)
        grids = point.reshape(3, d, d)
        return float(score(self.C, x.reshape(d, d), mu, s, self.equal, self.least, *grids))


@dataclass
class PathState(State):
    x: Array
    stage: int = 0
    radius: float = 1.0
    steps: int = 0  # within the stage
    order: Array | None = None  # of the refit
    finished: bool = False
    sigma: Array = field(default_factory=lambda: np.zeros(0))
    best: float = np.inf  # objective of the refit
    calm: int = 0  # judgements since it fell


def begin_at_order(problem: LinearSEM, start: Start, state: PathState) -> None:
    """Skip the path where the start is a graph that a run has ordered before."""
    order = problem.judge(start.x, start.witness).witness.get("order")
    if start.given and order is not None and start.x.any():
        state.order = np.array(order)
        state.sigma = np.zeros(len(order))


def enter_refit(data: SEMData, state: PathState) -> None:
    """Drop weights until the graph is acyclic, and fix the order of its nodes."""
    d = len(data.C)
    W = acyclic(state.x.reshape(d, d), THRESHOLD)
    order: Any = topological_order(W)
    state.order = order.astype(np.float64)
    state.x = W.ravel().copy()
    state.sigma = np.zeros(d)
    state.steps = 0


def advance_refit(data: SEMData, state: PathState, n: int) -> bool:
    """Make sweeps of coordinate descent on the order, up to the next judgement."""
    assert state.order is not None
    d = len(data.C)
    allowed = before(state.order.astype(np.int64))
    count = min(n, JUDGED - state.steps % JUDGED)
    W = state.x.reshape(d, d)
    M = np.empty((d, d))
    made = refit(data.C, W, allowed, data.lam, data.equal, data.least, M, state.sigma, count)
    state.finished = made < 0 or state.steps >= SWEEPS
    made = abs(int(made))
    state.nit += made
    state.work += made
    state.steps += made
    if state.steps % JUDGED == 0 and not state.finished:
        settle(data, W, allowed, state.sigma)
        polish(data, W)
        value = objective(data, W)
        state.calm = 0 if value < state.best else state.calm + 1
        state.best = min(value, state.best)
        state.finished = state.calm >= CALM
    return state.finished or state.steps % JUDGED == 0


def objective(data: SEMData, W: Array) -> float:
    """Return the score with its penalty."""
    M, sigma = np.empty_like(W), np.empty(len(W))
    levels(data.C, W, data.equal, data.least, M, sigma)
    squares = np.diagonal(M) - np.sum(W * M, axis=0)
    return float(np.sum(squares / sigma + sigma) / 2 + data.lam * np.abs(W).sum())


def settle(data: SEMData, W: Array, allowed: Array, sigma: Array) -> None:
    """Solve each column exactly for the noise levels at hand.

    Coordinate descent alone takes thousands of sweeps to find the support where edges are strong
    and many, since X'X is ill-conditioned there.
    """
    for j, level in enumerate(sigma):
        parents = np.flatnonzero(allowed[:, j])
        if parents.size:
            C = data.C[np.ix_(parents, parents)]
            W[parents, j] = lasso_column(C, data.C[parents, j], W[parents, j], data.lam * level)


def polish(data: SEMData, W: Array) -> None:
    """Solve for the weights exactly, support and signs taken as they are.

    With support A and signs s of a column, ``C_AA w = C_Aj - lam sigma s`` and the variance of its
    residual is ``q + (lam sigma)^2 s' C_AA^-1 s``, q that of least squares: sigma is explicit. A
    column whose signs would change stays as it is.
    """
    d, columns, q, bent = len(W), [], np.zeros(len(W)), np.zeros(len(W))
    for j in range(d):
        A = np.flatnonzero(W[:, j])
        s = np.sign(W[A, j])
        both = np.zeros((A.size, 2))
        if A.size:
            try:
                both = np.linalg.solve(data.C[np.ix_(A, A)], np.column_stack([data.C[A, j], s]))
            except np.linalg.LinAlgError:
                return
        q[j] = max(0.0, data.C[j, j] - data.C[A, j] @ both[:, 0])
        bent[j] = data.lam**2 * (s @ both[:, 1])
        columns.append((A, s, both))
    if data.equal:
        q, bent = np.full(d, q.sum() / d), np.full(d, bent.sum() / d)
    for j, (A, s, both) in enumerate(columns):
        if bent[j] < 1:
            sigma = max(np.sqrt(q[j] / (1 - bent[j])), data.least)
            w = both[:, 0] - data.lam * sigma * both[:, 1]
            if np.array_equal(np.sign(w), s):
                W[A, j] = w
