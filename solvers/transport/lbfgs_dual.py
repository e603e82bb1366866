"""Limited-memory BFGS on the semi-dual of quadratically regularised transport."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fejer.evidence import EMPTY, Array
from fejer.method import Method, Rate, Start, State, option, register
from fejer.numerics.line_search import wolfe
from fejer.problems.transport._polytope import Polytope
from fejer.problems.transport._quadratic import dual_rows
from fejer.problems.transport.quadratic_ot import QuadraticOT
from fejer.problems.transport.sparse_ot import SparseOT
from fejer.solvers.transport._repair import PROGRAM, repaired
from fejer.solvers.transport._supports import exchanged

__all__ = ["LBFGSDual"]

FINISHED = 2.0**-46  # violation, relative to the mass, that is rounding


@dataclass
class LBFGSDualState(State):
    """Second potential, the first that belongs to it, the violation b - P'1, and the memory."""

    f: Array
    g: Array
    gradient: Array
    value: float
    violation: float
    ask: float  # violation at which the run asks to be judged
    steps: Array
    changes: Array
    pairs: int = 0
    stuck: int = 0
    repairs: int = 0
    next_repair: int = 30
    plan: Array | None = None
    plan_value: float = math.inf


@register
@dataclass(frozen=True, eq=False)
class LBFGSDual(Method):
    """Limited-memory BFGS on the semi-dual ``max over g of <b, g> + sum_i max over f_i of ...``.

    For given g every row is solved exactly for its f_i, the root of a piecewise linear function
    (for `SparseOT`: on the k largest entries). The gradient is ``b - P' 1``.

    Parameters
    ----------
    memory : int, default 30
        Pairs of steps and gradient differences.

    Notes
    -----
    For `SparseOT` the dual solves a relaxation: where the k-th and (k+1)-th entries of a row tie,
    the plan it gives violates the marginals. A feasible k-sparse plan is then sought, after 30
    iterations, at doubling intervals and at the end: by linear programs over the largest arcs, and
    among plans with the arcs found by the quadratic program, from which a local search exchanges
    arcs as long as that lowers the objective. The best one is the witness. Where none is found the
    run ends without success, and the dual value remains a lower bound.

    Rate: the dual is concave with a gradient that is Lipschitz (for k < n only between ties), not
    strongly concave: no rate beyond the sublinear one of first-order methods is proven; observed is
    a linear one that slows down as gamma falls.

    Cost per iteration: about one evaluation, each six sweeps over the cached row, and
    4 m memory flops. Memory: O(n + memory m) beside the cost. Work: evaluations.

    References
    ----------
    .. [1] M. Blondel, V. Seguy, A. Rolet (2018), Smooth and sparse optimal transport,
       arXiv:1710.06276.
    .. [2] T. Liu, J. Puigcerver, M. Blondel (2023), Sparsity-constrained optimal transport,
       arXiv:2209.15466.
    .. [3] D. Liu, J. Nocedal (1989), On the limited memory BFGS method for large scale
       optimization, Mathematical Programming 45.

    Examples
    --------
    >>> import fejer
    >>> fejer.minimize(fejer.QuadraticOT.random(), method="lbfgs-dual").success
    True
    """

    memory: int = option(30, least=1, most=1000, doc="pairs of steps and gradient differences")

    name = "lbfgs-dual"
    solves = (QuadraticOT, SparseOT)
    cites = ("arXiv:1710.06276", "arXiv:2209.15466", "Liu and Nocedal (1989)")

    @property
    def rate(self) -> Rate:
        """Convergence without a proven rate beyond the sublinear one."""
        return Rate(
            "D* - D_k -> 0 for a concave D with Lipschitz gradient and Wolfe steps in bounded "
            "metrics; R-linear where D is strongly concave (Liu and Nocedal 1989)",
            "linear",
            assumptions="no ties at the k-th entry of a row",
        )

    def prepare(self, problem: Any, tol: float, rng: np.random.Generator) -> _SemiDual:
        """Set up the semi-dual."""
        return _SemiDual(problem, tol)

    def begin(
        self, problem: Any, prep: _SemiDual, start: Start, rng: np.random.Generator
    ) -> LBFGSDualState:
        """Start at the given second potential."""
        f, g = prep.potentials(start.x)
        f = np.array(f)
        value, gradient = prep(f, g)
        memory = np.zeros((self.memory, g.size))
        violation = float(np.abs(gradient).sum())
        state = LBFGSDualState(
            f, g, gradient, value, violation, prep.ask, memory, memory.copy(), work=1
        )
        plan = start.witness.get("plan")
        if prep.sparse and plan is not None:
            prep.adopt(state, np.array(plan, dtype=np.float64))
        return state

    def advance(self, problem: Any, prep: _SemiDual, state: LBFGSDualState, n: int) -> bool:
        """Make up to n iterations; ask to be judged whenever the violation has halved."""
        for _ in range(n):
            if state.stuck > 1 or state.violation <= FINISHED * prep.polytope.mass:
                if prep.sparse and state.next_repair > 0:
                    self._repair(prep, state, last=True)
                    state.next_repair = 0
                    state.nit += 1
                return True
            self._step(prep, state)
            state.nit += 1
            asked = state.violation <= state.ask
            if asked:
                state.ask = 0.5 * state.violation
            if prep.sparse and 0 < state.next_repair <= state.nit:
                self._repair(prep, state)
                state.next_repair = 2 * state.nit
                asked = True
            if asked:
                return True
        return False

    def _step(self, prep: _SemiDual, state: LBFGSDualState) -> None:
        direction = self._direction(state)
        slope = float(state.gradient @ direction)
        if not slope > 0.0:
            state.pairs = 0
            direction, slope = state.gradient.copy(), float(state.gradient @ state.gradient)
        first = 1.0 if state.pairs else prep.first_step(direction)
        visited: dict[float, tuple[Array, Array, float, Array]] = {}

        def along(t: float) -> tuple[float, float]:
            f, g = state.f.copy(), state.g + t * direction
            value, gradient = prep(f, g)
            visited[t] = f, g, value, gradient
            return -value, -float(gradient @ direction)

        noise = 1e-15 * prep.size(state)
        found = wolfe(along, -state.value, -slope, step=first, noise=noise)
        state.work += found.nfev
        if found.step == 0.0 or found.step not in visited:
            state.stuck += 1
            state.pairs = 0
            return
        f, g, value, gradient = visited[found.step]
        step, change = g - state.g, state.gradient - gradient
        place = state.pairs % self.memory
        if float(step @ change) > 1e-16 * float(np.linalg.norm(step) * np.linalg.norm(change)):
            state.steps[place], state.changes[place] = step, change
            state.pairs += 1
        stalled = not value > state.value and np.abs(gradient).sum() >= state.violation
        state.stuck = state.stuck + 1 if stalled else 0
        state.f, state.g, state.value, state.gradient = f, g, value, gradient
        state.violation = float(np.abs(gradient).sum())

    def _direction(self, state: LBFGSDualState) -> Array:
        """The two loops over the memory."""
        q, known = state.gradient.copy(), min(state.pairs, self.memory)
        order = [(state.pairs - 1 - i) % self.memory for i in range(known)]
        weights = []
        for i in order:
            s, y = state.steps[i], state.changes[i]
            alpha = float(s @ q) / float(s @ y)
            q -= alpha * y
            weights.append(alpha)
        if known:
            s, y = state.steps[order[0]], state.changes[order[0]]
            q *= float(s @ y) / float(y @ y)
        for i, alpha in zip(reversed(order), reversed(weights), strict=True):
            s, y = state.steps[i], state.changes[i]
            q += (alpha - float(y @ q) / float(s @ y)) * s
        return q

    def _repair(self, prep: _SemiDual, state: LBFGSDualState, last: bool = False) -> None:
        """Seek a plan; a new best one, and any in the end, is the start of a search."""
        found, units = repaired(prep.polytope, prep.gamma, prep.k, state.f, state.g)
        state.work += units
        state.repairs += 1
        if found is not None and (prep.adopt(state, prep.problem.turned(found)) or last):
            better, programs = exchanged(prep.polytope, prep.gamma, prep.k, found, state.f, state.g)
            state.work += PROGRAM * programs
            if better is not None:
                prep.adopt(state, prep.problem.turned(better))

    def point(self, problem: Any, prep: _SemiDual, state: LBFGSDualState) -> Array:
        """Return the potentials."""
        whole = prep.polytope.packed(state.f, state.g)
        if not prep.turned:
            return whole
        n = prep.polytope.whole.shape[0]
        return np.concatenate([whole[n:], whole[:n]])

    def witness(self, problem: Any, prep: _SemiDual, state: LBFGSDualState) -> Mapping[str, Array]:
        """Return the repaired plan of `SparseOT`."""
        return EMPTY if state.plan is None else {"plan": state.plan}


class _SemiDual:
    """The semi-dual value and its gradient; counts nothing."""

    def __init__(self, problem: Any, tol: float) -> None:
        self.problem, self.gamma = problem, problem.gamma
        self.sparse = isinstance(problem, SparseOT)
        self.turned = self.sparse and problem.axis == "column"
        self.polytope: Polytope = problem.oriented if self.sparse else problem.polytope
        m = self.polytope.b.size
        self.k = min(problem.k, m) if self.sparse else m
        self.ask = tol * self.polytope.mass
        self.v, self.heap = np.empty(m), np.empty(self.k)
        self.places = np.empty(self.k, dtype=np.int64)

    def potentials(self, x: Array) -> tuple[Array, Array]:
        """Reduced potentials, in the orientation in which rows are sparse."""
        if self.turned:
            m = self.polytope.whole.shape[1]
            x = np.concatenate([x[m:], x[:m]])
        return self.polytope.reduced(x)

    def __call__(self, f: Array, g: Array) -> tuple[float, Array]:
        """Solve the rows, in place; return value and gradient."""
        polytope = self.polytope
        q = np.zeros(g.size)
        value = float(polytope.b @ g)
        for start, block in polytope.cost.blocks():
            value += dual_rows(
                block, start, polytope.shift, self.gamma, polytope.a, g, f, q, self.v, self.heap,
                self.places,
            )  # fmt: skip
        return float(value), polytope.b - q

    def first_step(self, direction: Array) -> float:
        """A step along the gradient that changes potentials by a tenth of the costs."""
        polytope = self.polytope
        size = polytope.spread + self.gamma * polytope.mass / max(polytope.cost.shape)
        return 0.1 * size / max(float(np.abs(direction).max()), 1e-300)

    def size(self, state: LBFGSDualState) -> float:
        """What rounding of the value is relative to."""
        polytope = self.polytope
        return float(polytope.a @ np.abs(state.f) + polytope.b @ np.abs(state.g))

    def adopt(self, state: LBFGSDualState, plan: Array) -> bool:
        """Keep a plan, in the problem's own order, if it is the best so far."""
        value = self.problem.plan_value({"plan": plan})
        better = bool(value < state.plan_value)
        if better:
            state.plan, state.plan_value = plan, value
        return better
