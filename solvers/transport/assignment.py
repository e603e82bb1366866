"""The assignment problem: transport between equal weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fejer.evidence import EMPTY, Array
from fejer.method import Method, Start, State, register
from fejer.problems.transport._routing import route
from fejer.problems.transport._sparse_plan import FINITE, packed_plan
from fejer.problems.transport.exact_ot import ExactOT
from fejer.solvers.transport._duals import assignment_potentials

__all__ = ["Assignment"]

EQUAL = 1e-12  # relative difference of weights that count as equal


@dataclass
class AssignmentState(State):
    x: Array
    plan: Array | None = None
    ray: Array | None = None


@register
@dataclass(frozen=True, eq=False)
class Assignment(Method):
    """SciPy's `linear_sum_assignment`, for n points on each side with equal weights.

    A vertex of the polytope is then a permutation.

    Notes
    -----
    SciPy returns the permutation alone. The potentials are shortest distances in its residual
    graph, found by passes over the costs until nothing changes (Bellman and Ford); so the result
    is certified like any other. Where forbidden arcs leave no permutation, a maximum flow gives
    the cut that proves it.

    Cost: O(n^3) at worst, much less on random costs. It is one call: limits are looked at when it
    is back. Memory: the cost matrix.

    References
    ----------
    .. [1] D. Crouse (2016), On implementing 2D rectangular assignment algorithms, IEEE Transactions
       on Aerospace and Electronic Systems 52.

    Examples
    --------
    >>> import fejer
    >>> problem = fejer.ExactOT(None, None, [[4.0, 1.0, 3.0], [2.0, 0.0, 5.0], [3.0, 2.0, 2.0]])
    >>> result = fejer.minimize(problem, method="assignment")
    >>> round(3 * result.fun, 12), result.success
    (5.0, True)
    """

    name = "assignment"
    solves = (ExactOT,)
    cites = ("Crouse (2016)",)
    one_shot = True

    def supports(self, problem: ExactOT) -> str | None:
        """Ask for equal numbers of atoms with equal weights, and a stored cost."""
        polytope = problem.polytope
        if polytope.a.size != polytope.b.size:
            return "the numbers of atoms differ"
        weights = np.concatenate([polytope.a, polytope.b])
        if np.ptp(weights) > EQUAL * weights.max():
            return "the weights are not equal"
        if polytope.cost.dense is None:
            return "its cost is too large to be stored"
        return None

    def begin(
        self, problem: ExactOT, prep: None, start: Start, rng: np.random.Generator
    ) -> AssignmentState:
        """Keep the start until the call."""
        return AssignmentState(start.x)

    def advance(self, problem: ExactOT, prep: None, state: AssignmentState, n: int) -> bool:
        """Run to the end at the first call."""
        if state.nit:
            return True
        from scipy.optimize import linear_sum_assignment

        polytope = problem.polytope
        C = polytope.cost.dense
        assert C is not None
        state.nit += 1
        state.work += C.shape[0]
        try:
            _, sigma = linear_sum_assignment(C)
        except ValueError:  # no permutation avoids the forbidden arcs
            state.ray = _cut(problem, C)
            return True
        g = np.zeros(C.shape[0])
        f = np.empty_like(g)
        passes = assignment_potentials(C, polytope.shift, np.asarray(sigma, dtype=np.int64), f, g)
        state.work += int(passes)
        state.x = polytope.packed(f, g)
        rows = np.arange(C.shape[0]) if polytope.rows is None else polytope.rows
        columns = sigma if polytope.columns is None else polytope.columns[sigma]
        state.plan = packed_plan(rows, columns, polytope.a)
        return True

    def witness(self, problem: ExactOT, prep: None, state: AssignmentState) -> Mapping[str, Array]:
        """Return the plan, or the proof that there is none."""
        if state.plan is not None:
            return {"plan": state.plan}
        return EMPTY if state.ray is None else {"ray": state.ray}


def _cut(problem: ExactOT, C: Any) -> Array:
    """Return the ray of a cut, from a maximum flow."""
    polytope = problem.polytope
    n, m = C.shape
    zero = np.zeros(n)
    da, db = polytope.a.copy(), polytope.b.copy()
    found = route(C, polytope.shift, zero, np.zeros(m), 1.0, FINITE, np.zeros((n, m)), da, db)
    ray = np.zeros(sum(polytope.whole.shape))
    rows = np.arange(n) if polytope.rows is None else polytope.rows
    columns = np.arange(m) if polytope.columns is None else polytope.columns
    ray[rows] = found[0]
    ray[polytope.whole.shape[0] + columns] = -found[1].astype(float)
    return ray
