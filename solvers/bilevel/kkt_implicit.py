"""Descent along the pieces of the lower level's solution."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from fejer.errors import ProblemError
from fejer.evidence import Array
from fejer.method import Method, Start, State, option, register
from fejer.problems.bilevel._stationarity import norm
from fejer.problems.bilevel.constrained_bilevel import ConstrainedBilevel

from ._pieces import LowerProgram, Piece, quadratic_program
from ._searches import Searches, drawn_starts

__all__ = ["KKTImplicit"]

SLIGHT = 1e-15  # predicted decrease, relative to 1 + |F|, that counts as none
MOST_FAILURES = 3
MOST_SLIGHT = 5  # steps whose decrease is below rounding
ELASTIC = 100.0  # price of violated constraints where no step satisfies them


class Prepared(NamedTuple):
    """What a run needs beside the problem.

    Attributes
    ----------
    lower : LowerProgram
        The lower level.
    tol : float
        Tolerance, which tells certified answers of several starts.
    """

    lower: LowerProgram
    tol: float


@dataclass
class KKTImplicitState(State):
    """The point, the multipliers there, and the model of the upper objective.

    Attributes
    ----------
    w : array
        x, and the solution of the lower level at x.
    l : array
        Multipliers of the rows of the lower level, bounds last.
    B : array
        Approximate Hessian of the reduced objective.
    fun : float
        F there.
    weight : float
        Penalty of violated constraints of the upper level.
    updates, failures, slight, weak : int
        Updates of B; searches in vain in a row; steps within rounding; weakly active rows.
    searches : Searches or None
        Other starts.
    finished : bool
        No piece promises a decrease, and no start is left.
    """

    w: Array
    l: Array
    B: Array
    fun: float
    weight: float = 1.0
    updates: int = 0
    failures: int = 0
    slight: int = 0
    weak: int = 0
    searches: Searches | None = None
    finished: bool = False


@register
@dataclass(frozen=True, eq=False)
class KKTImplicit(Method):
    """Quasi-Newton descent of ``F(x, y*(x))``, y* differentiated through its KKT conditions.

    Parameters
    ----------
    rho : float, default 0.5
        Factor of refused steps.
    lam : float, default 1e-4
        Share of the predicted decrease that is demanded.
    max_bt : int, default 40
        Trials of a search.
    starts : int, default 1
        Searches from different starts, of which the certified answer with the lowest F counts. It
        is shown when all have ended.
    spread : float, default 10.0
        Starts are drawn within this distance of the first one, entry by entry, in units of
        ``1 + |entry|``, and projected onto the constraints.

    Notes
    -----
    Where the active rows of the lower level do not change, ``y*(x)`` is smooth:
    ``[H A'; A 0] (dy, dl) = -(J, A_x) dx``, H of the lower level's Lagrangian, whose constraints
    may be curved. At rows that are active with multiplier 0 several such
    pieces meet. One iteration takes, among them, the one whose quadratic model promises most,
    subject to what keeps the piece valid (inactive rows stay below 0, multipliers above), the box
    of x and the constraints of the upper level; then it searches along the step, with the lower
    level solved to rounding at each trial. B is a damped BFGS matrix, updated within a piece. Where
    no piece promises a decrease, the point is stationary in every direction.

    Rate: on each piece that of SQP with BFGS, superlinear; quadratic problems are left by at most
    a finite number of pieces.
    Cost per iteration: a lower solve for each trial; a quadratic program of n variables for each
    piece: ``2^k`` for k weakly active rows, up to 6. Memory: O((n + m + p)^2).
    Certificate: of the problem. It fails at points that are stationary, but not strongly so.
    Pitfall: a descent method: it ends at the next local solution; ``starts=20`` tries others.

    References
    ----------
    .. [1] Luo, Pang, Ralph (1996), Mathematical Programs with Equilibrium Constraints, chapter 6.

    Examples
    --------
    >>> import fejer
    >>> result = fejer.minimize(fejer.ConstrainedBilevel.random(), method="kkt-implicit")
    >>> result.success, result.certificate.kind
    (True, 'bilevel KKT')
    """

    rho: float = option(0.5, above=0, below=1, doc="factor of refused steps")
    lam: float = option(1e-4, above=0, below=1, doc="share of the predicted decrease")
    max_bt: int = option(40, least=1, doc="trials of a search")
    starts: int = option(1, least=1, doc="searches, of which the best answer counts")
    spread: float = option(10.0, above=0, doc="how far from the first start others are drawn")

    name, solves = "kkt-implicit", (ConstrainedBilevel,)
    cites = ("Luo, Pang, Ralph (1996)",)

    def supports(self, problem: Any) -> str | None:
        """It needs a small lower level with one solution."""
        if not problem.strongly_convex:
            return (
                "its lower level is not strongly convex, or it has more than 500 variables and rows"
            )
        return None

    def prepare(self, problem: Any, tol: float, rng: np.random.Generator) -> Prepared:
        """Collect the rows."""
        return Prepared(LowerProgram(problem), tol)

    def begin(
        self, problem: Any, prep: Prepared, start: Start, rng: np.random.Generator
    ) -> KKTImplicitState:
        """Solve the lower level at the start, projected onto the constraints."""
        first = problem.project(start.x)
        state = self._search(problem, prep.lower, first)
        if state is None:
            raise ProblemError("x0: the lower level has no feasible point there")
        if self.starts > 1:
            others = drawn_starts(problem, first, self.starts - 1, self.spread, rng)
            multipliers = prep.lower.user_multipliers(state.l)
            state.searches = Searches.of(others, first, multipliers)
        return state

    def _search(self, problem: Any, lower: LowerProgram, w: Array) -> KKTImplicitState | None:
        found = lower.solve(w)
        if found is None:
            return None
        w, l, steps = found
        fun = problem.upper_value(w)
        state = KKTImplicitState(w, l, np.eye(problem.n), fun, weak=lower.weak(w, l)[1].size)
        state.work += steps
        return state

    def advance(self, problem: Any, prep: Prepared, state: KKTImplicitState, n: int) -> bool:
        """Make up to n steps."""
        for _ in range(n):
            if state.finished:
                return True
            ended = self._step(problem, prep.lower, state)
            state.nit += 1
            if ended:
                state.finished = True
                if state.searches is not None:
                    self._other_start(problem, prep, state, state.searches)
        return state.finished

    def _other_start(
        self, problem: Any, prep: Prepared, state: KKTImplicitState, searches: Searches
    ) -> None:
        """Note the end of a search and begin the next one where the lower level is feasible."""
        multipliers = prep.lower.user_multipliers(state.l)
        value = problem.judge(state.w, {"multipliers": multipliers}).value
        searches.offer(state.w, multipliers, value, state.fun, prep.tol)
        work = state.work + problem.judge_units
        while searches.pending:
            fresh = self._search(problem, prep.lower, searches.following())
            if fresh is not None:
                fresh.nit, fresh.work, fresh.searches = state.nit, fresh.work + work, searches
                vars(state).update(vars(fresh))
                return
        state.work = work

    def point(self, problem: Any, prep: Prepared, state: KKTImplicitState) -> Array:
        """Return x and y."""
        if state.searches is None:
            return state.w
        return state.searches.answer if state.finished else state.searches.first

    def witness(self, problem: Any, prep: Prepared, state: KKTImplicitState) -> dict[str, Array]:
        """Return the multipliers of the rows of g."""
        if state.searches is not None:
            return {"multipliers": state.searches.multipliers}
        return {"multipliers": prep.lower.user_multipliers(state.l)}

    # ---- parts of an iteration -----------------------------------------------------------------
    def _violation(self, problem: Any, w: Array) -> float:
        U, u = problem.joint
        return float(np.maximum(U @ w - u, 0.0).sum())

    def _model(
        self, problem: Any, prep: LowerProgram, state: KKTImplicitState, slope: Array, piece: Piece
    ) -> tuple[float, Array, float, Array] | None:
        """Return predicted change, step, largest multiplier above, reduced gradient."""
        n, w = problem.n, state.w
        (A, left), equality = prep.rows(w), prep.equality
        follow = np.vstack([np.eye(n), piece.y])
        reduced = follow.T @ slope
        U, u = problem.joint
        others = np.setdiff1d(np.arange(len(left)), piece.active)
        signed = ~equality[piece.active]
        unit = np.eye(n)
        above, below = problem.upper < np.inf, problem.lower > -np.inf
        rows = np.vstack(
            [U @ follow, A[others] @ follow, -piece.l[signed], unit[above], -unit[below]]
        )
        room = np.concatenate(
            [
                u - U @ w,
                np.maximum(left[others], 0.0),
                np.maximum(piece.multipliers[signed], 0.0),
                (problem.upper - w[:n])[above],
                (w[:n] - problem.lower)[below],
            ]
        )
        kinds = np.zeros(len(room), dtype=bool)
        kinds[len(u) : len(u) + others.size] = equality[others]
        found = quadratic_program(state.B, reduced, rows, room, kinds)
        excess = 0.0
        if found is None and len(u):
            # This piece cannot satisfy the upper level: come as near as it allows.
            size = np.linalg.norm(rows[: len(u)], axis=1).max() or 1.0
            rows = np.hstack([rows, np.zeros((len(rows), 1))])
            rows[: len(u), -1] = -size
            rows = np.vstack([rows, -np.eye(n + 1)[-1:]])
            heavy = np.diag(np.append(np.zeros(n), 1.0))
            heavy[:n, :n] = state.B
            slope = np.append(reduced, ELASTIC * (1 + norm(reduced)) * size)
            found = quadratic_program(
                heavy, slope, rows, np.append(room, 0.0), np.append(kinds, False)
            )
            if found is not None:
                excess = size * float(found[0][-1])
                found = found[0][:-1], found[1]
        if found is None:
            return None
        d, multipliers = found
        d = np.clip(d, problem.lower - w[:n], problem.upper - w[:n])
        change = float(reduced @ d + 0.5 * d @ state.B @ d)
        price = float(multipliers[: len(u)].max(initial=0.0))
        if excess:
            price = max(price, ELASTIC * (1 + norm(reduced)))
            change += price * excess
        return change, d, price, reduced

    def _step(self, problem: Any, prep: LowerProgram, state: KKTImplicitState) -> bool:
        """Make a step; whether the search has ended."""
        slope = problem.upper_gradient(state.w)
        state.work += 2
        best: Any = None
        violation = self._violation(problem, state.w)
        for piece in prep.pieces(state.w, state.l):
            model = self._model(problem, prep, state, slope, piece)
            if model is not None and (best is None or model[0] < best[0][0]):
                best = model, piece
        if best is None or not math.isfinite(best[0][0]):
            return True
        (_, d, largest, reduced), piece = best
        state.weight = max(state.weight, 2 * largest)
        whole = np.append(d, piece.y @ d)
        remaining = self._violation(problem, state.w + whole)
        expected = float(reduced @ d) - state.weight * (violation - remaining)
        if expected >= -SLIGHT * (1 + abs(state.fun)):
            # F cannot tell any more, but the quasi-Newton steps still bring the slope to 0.
            state.slight += 1
            if state.slight > MOST_SLIGHT or norm(d) <= 1e-15 * norm(state.w):
                return True
        merit, t = state.fun + state.weight * violation, 1.0
        for _ in range(self.max_bt):
            found = prep.solve(state.w + t * whole)
            state.work += 2
            if found is not None:
                w, l, steps = found
                state.work += 2 * steps
                fun = problem.upper_value(w)
                reached = fun + state.weight * self._violation(problem, w)
                rounding = 1e-15 * (1 + abs(merit))
                if reached <= merit + self.lam * t * expected + rounding:
                    self._accept(problem, prep, state, w, l, fun, piece, reduced)
                    return False
            t *= self.rho
        state.failures += 1
        state.B = np.eye(problem.n) * max(1.0, norm(state.B) * 10.0**state.failures)
        state.updates = 0
        return state.failures >= MOST_FAILURES

    def _accept(
        self,
        problem: Any,
        prep: LowerProgram,
        state: KKTImplicitState,
        w: Array,
        l: Array,
        fun: float,
        piece: Piece,
        reduced: Array,
    ) -> None:
        s = w[: problem.n] - state.w[: problem.n]
        state.w, state.l, state.fun, state.failures = w, l, fun, 0
        strong, weak = prep.weak(w, l)
        state.weak = int(weak.size)
        if np.isin(strong, piece.active).all() and np.isin(piece.active, [*strong, *weak]).all():
            for other in prep.pieces(w, l):
                if np.array_equal(other.active, piece.active):
                    follow = np.vstack([np.eye(problem.n), other.y])
                    self._update(state, s, follow.T @ problem.upper_gradient(w) - reduced)

    def _update(self, state: KKTImplicitState, s: Array, z: Array) -> None:
        """Damped BFGS."""
        size = float(s @ s)
        if size == 0.0:
            return
        if state.updates == 0 and float(s @ z) > 0:
            state.B = np.eye(s.size) * max(float(z @ z) / float(s @ z), 1e-8)
        Bs = state.B @ s
        curvature = float(s @ Bs)
        if float(s @ z) < 0.1 * curvature:
            theta = 0.9 * curvature / (curvature - float(s @ z))
            z = theta * z + (1 - theta) * Bs
        B = state.B - np.outer(Bs, Bs) / curvature + np.outer(z, z) / float(s @ z)
        if np.isfinite(B).all():
            state.B, state.updates = 0.5 * (B + B.T), state.updates + 1
