"""Iterative Bregman projections for barycenters."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from fejer.evidence import Array
from fejer.method import Method, Rate, Start, State, register
from fejer.problem import witness_array
from fejer.problems.transport._gibbs import log_rows
from fejer.problems.transport.barycenter import Barycenter

__all__ = ["BregmanProjections"]

FINISHED = 2.0**-46  # violation, relative to the mass, that is rounding


@dataclass
class BregmanProjectionsState(State):
    """The barycenter, potentials of its side, and what f was (a shift for the next sum)."""

    q: Array
    g: Array
    f: Array
    violation: float
    ask: float  # violation at which the run asks to be judged


@register
@dataclass(frozen=True, eq=False)
class BregmanProjections(Method):
    """Project in turn on the plans with the given rows and on those with equal columns.

    ``u_k = p_k / (K_k v_k)``, ``q = prod_k (K_k' u_k)^w_k``, ``v_k = q / (K_k' u_k)``: alternate
    maximisation of the dual, on the potentials themselves, so that no eps is too small.

    Notes
    -----
    ``sum_k w_k g_k = 0`` holds at every iteration, so each one gives a lower bound.

    Rate: linear, as for Sinkhorn's iterations, with a factor that approaches 1 as eps falls.

    Cost per iteration: a pass with n m exponentials for each measure. Memory: O(K (n + m)) beside
    the costs. Work: passes over one cost.

    References
    ----------
    .. [1] J.-D. Benamou, G. Carlier, M. Cuturi, L. Nenna, G. Peyré (2015), Iterative Bregman
       projections for regularized transportation problems, arXiv:1412.5154.

    Examples
    --------
    >>> import fejer
    >>> fejer.minimize(fejer.Barycenter.random(), method="bregman-projections").success
    True
    """

    name = "bregman-projections"
    solves = (Barycenter,)
    cites = ("arXiv:1412.5154",)

    @property
    def rate(self) -> Rate:
        """Linear convergence of alternate projections."""
        return Rate(
            "KL(P* | P_k) decreases monotonically to 0 (Bregman 1967), linearly since the kernels "
            "are positive (Franklin and Lorenz 1989)",
            "linear",
        )

    def prepare(self, problem: Barycenter, tol: float, rng: np.random.Generator) -> float:
        """Return the violation at which the run asks to be judged."""
        return tol * problem.mass

    def begin(
        self, problem: Barycenter, prep: float, start: Start, rng: np.random.Generator
    ) -> BregmanProjectionsState:
        """Start at the given point, with the potentials that came with it."""
        q = np.maximum(start.x, 0.0)
        q = q * (problem.mass / q.sum()) if 0 < q.sum() < np.inf else problem.initial_point()
        count, n = problem.measures.shape
        g = witness_array(start.witness, "potentials", (count, q.size))
        if g is None or not np.abs(g).max() < 1e100:
            g = np.zeros((count, q.size))
        g = g - problem.weights @ g
        return BregmanProjectionsState(q, g, np.zeros((count, n)), math.inf, prep)

    def advance(
        self, problem: Barycenter, prep: float, state: BregmanProjectionsState, n: int
    ) -> bool:
        """Make up to n iterations; ask to be judged whenever the violation has halved."""
        for _ in range(n):
            if state.violation <= FINISHED * problem.mass:
                return True
            self._iterate(problem, state)
            state.nit += 1
            state.work += len(problem.measures)
            if state.violation <= state.ask:
                state.ask = 0.5 * state.violation
                return True
        return False

    def _iterate(self, problem: Barycenter, state: BregmanProjectionsState) -> None:
        eps, weights = problem.eps, problem.weights
        columns = np.zeros_like(state.g)
        z = np.empty(state.q.size)
        for k, part in enumerate(problem.parts):
            f, w = state.f[k, : part.a.size].copy(), columns[k]
            for start, block in part.cost.blocks():
                log_rows(block, start, 0.0, f, state.g[k], 1 / eps, part.a, np.log(part.a), z, w)
            state.f[k, : part.a.size] = f
        logs = np.log(np.maximum(columns, 1e-300)) - state.g / eps  # of K_k' u_k
        log_q = weights @ logs
        state.g = eps * (log_q - logs)
        state.g -= weights @ state.g
        q = np.exp(log_q)
        state.violation = float(weights @ np.abs(columns - q).sum(axis=1))
        state.q = q * (problem.mass / q.sum()) if q.sum() > 0 else state.q

    def point(self, problem: Barycenter, prep: float, state: BregmanProjectionsState) -> Array:
        """Return the barycenter."""
        return state.q

    def witness(
        self, problem: Barycenter, prep: float, state: BregmanProjectionsState
    ) -> Mapping[str, Array]:
        """Return the potentials of the barycenter's side."""
        return {"potentials": state.g}
