"""The value-function method in stages, each accelerated, and extrapolated to the limit."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from fejer.evidence import Array
from fejer.method import Method, Rate, Start, State, option, register
from fejer.numerics.anderson import AndersonMemory
from fejer.problems.bilevel._stationarity import norm
from fejer.problems.bilevel.constrained_bilevel import ConstrainedBilevel

from ._searches import Searches, drawn_starts
from ._value_descent import Descent, descend, enter
from ._value_function import Saddle

__all__ = ["LVHBAAnderson"]

FACTOR, CLOSER = 3.0, 2.0  # of the weights of stages: while the single loop serves, and after that
LARGEST = 1e9
PLAIN = 50  # iterations of the single loop without acceleration, at first
GROWTH = 1e-9  # of the merit while the single loop was accelerated, which is rounding
SINGLE = 100  # iterations that it may take for a stage
STAGE = 3000  # iterations after which a stage ends anyway
LOOSE = 1e-8  # accuracy of the stages of the descent, until a stage is in vain
TIGHTER = 0.1
ORDER = 4  # stages that are extrapolated
PATIENCE = 3  # stages without a better certificate


@dataclass
class LVHBAAndersonState(State):
    """The iterate of the present stage, the solutions of the last ones, the best point.

    Attributes
    ----------
    u : array
        Packed iterate (x, y, t, l, z) of the single loop.
    memory : AndersonMemory
        What it is extrapolated from.
    mark : array
        Iterate at the beginning of the stage.
    solutions : array, shape (4, len(u))
        Of the last stages, the latest first.
    weights : array, shape (4,)
        Their c; 0 where there is none yet.
    best : array
        Point with the smallest certificate at the end of a stage.
    multipliers : array
        Those that go with it.
    searches : Searches
        Other starts.
    weight : float
        The present c.
    value : float
        Certificate of `best`.
    merit : float
        Where the acceleration of the stage began.
    accuracy : float
        Residual at which the stages of the descent end.
    stages, made, plain, vain : int
        Stages that have ended, iterations of the present one, those without acceleration still to
        come, stages since the best point.
    descent : Descent or None
        The safeguarded descent, once the single loop has failed.
    finished : bool
        Nothing more to come.
    """

    u: Array
    memory: AndersonMemory
    mark: Array
    solutions: Array
    weights: Array
    best: Array
    multipliers: Array
    searches: Searches
    weight: float
    value: float = math.inf
    merit: float = math.inf
    accuracy: float = LOOSE
    stages: int = 0
    made: int = 0
    plain: int = PLAIN
    vain: int = 0
    descent: Descent | None = None
    finished: bool = False


@register
@dataclass(frozen=True, eq=False)
class LVHBAAnderson(Method):
    """Fixed points of `lv-hba` at a few weights c, extrapolated to c = infinity.

    Parameters
    ----------
    c0 : float, default 10.0
        Weight of the first stage; each of the following ones has 3 times that of the last, or
        twice where the single loop does not serve. Choose it such that F and ``c0 f`` have
        gradients of about the same size.
    memory : int, default 10
        Differences that Anderson acceleration keeps in the single loop; twice as many in descent.
    gamma1, gamma2 : float, default 1.0
        Proximal parameters.
    radius : float, default 1e4
        Bound of the multipliers.
    starts : int, default 1
        Searches from different starts, of which the certified answer with the lowest F counts. It
        is shown when all have ended.
    spread : float, default 10.0
        Starts are drawn within this distance of the first one, entry by entry, in units of
        ``1 + |entry|``, and projected onto the constraints.
    accuracy : float, default 1e-10
        Relative residual at which a stage ends.

    Notes
    -----
    At a fixed weight c the iteration of `lv-hba` is a map of u = (x, y, t, l, z); its fixed point
    is found by Anderson acceleration (type II), after 50 plain steps in the first stage. While
    the active constraints stay the same, the fixed point is a smooth function of 1/c, and the
    polynomials through the last two to four of them are evaluated at 1/c = 0. Each such point is
    projected onto the constraints and judged, and the best one counts: an extrapolation across
    a change of active constraints is found out by its certificate.

    Acceleration looks for a zero and minds neither saddle points nor kinks. A stage of the single
    loop that takes more than 100 iterations, or ends with a larger ``F/c + f - v`` than it began
    with, is made again by *descent*: v's saddle point is found at each iteration, by accelerated
    gradient steps whose error is kept below a tenth of the projected gradient, l in closed form;
    step lengths follow local Lipschitz estimates, tested by function values; (x, y) moves with
    Nesterov's momentum until Anderson acceleration of (x, y, z) can do without it. Both are taken
    back where the merit rises, v's error counted in; after two short runs in a row momentum takes
    over, for longer each time. Stages of the descent begin at the polynomial's prediction and end
    at a residual of ``1e-8 c0/c``, or less once a stage has brought nothing.

    Rate: none proven; on quadratic problems each stage is GMRES(10), and the error after
    extrapolation of four stages is of the order ``product of 1/c``.
    Cost per iteration: that of `lv-hba`, and ``12 memory (n + m + p)`` flops; in descent a few
    more gradients of f in y (5 to 40), up to two more projections and five values of functions;
    certificates at the end of a stage. Memory: ``4 memory + 10`` iterates.
    Certificate: of the problem.
    Pitfall: a local method; other starts may give better points.

    References
    ----------
    .. [1] Yao, Yin, Zeng, Zhang (2024), Constrained bi-level optimization: proximal Lagrangian
       value function approach and Hessian-free algorithm, ICLR, arXiv 2401.16164.
    .. [2] Walker, Ni (2011), Anderson acceleration for fixed-point iterations, SIAM J. Numer.
       Anal. 49.

    Examples
    --------
    >>> import fejer
    >>> problem = fejer.ConstrainedBilevel.random()
    >>> fejer.minimize(problem, method="lv-hba-anderson").success
    True
    """

    c0: float = option(10.0, above=0, doc="weight of the first stage; then 3, 10, 30, 90 times it")
    memory: int = option(10, least=1, doc="differences that are kept")
    gamma1: float = option(1.0, above=0, doc="proximal parameter of t")
    gamma2: float = option(1.0, above=0, doc="proximal parameter of l")
    radius: float = option(1e4, above=0, doc="bound of the multipliers")
    starts: int = option(1, least=1, doc="searches, of which the best answer counts")
    spread: float = option(10.0, above=0, doc="how far from the first start others are drawn")
    accuracy: float = option(1e-10, above=0, below=1, doc="relative residual that ends a stage")

    name, solves = "lv-hba-anderson", (ConstrainedBilevel,)
    cites = ("Yao, Yin, Zeng, Zhang (2024), arXiv 2401.16164", "Walker, Ni (2011)")

    @property
    def rate(self) -> Rate | None:
        """No theorem covers the acceleration."""
        return None

    def prepare(self, problem: Any, tol: float, rng: np.random.Generator) -> tuple[Saddle, float]:
        """Scale the constraints and estimate Lipschitz constants."""
        return Saddle.of(problem, self.gamma1, self.gamma2, self.radius), tol

    def begin(
        self, problem: Any, prep: tuple[Saddle, float], start: Start, rng: np.random.Generator
    ) -> LVHBAAndersonState:
        """Project the start; t = y, z = l."""
        saddle = prep[0]
        w = problem.project(start.x)
        u = saddle.start(w, saddle.first(start.witness))
        others = drawn_starts(problem, w, self.starts - 1, self.spread, rng)
        multipliers = saddle.user_multipliers(u)
        searches = Searches.of(others, w, multipliers)
        return self._search(problem, saddle, u, searches)

    def _search(
        self, problem: Any, prep: Saddle, u: Array, searches: Searches
    ) -> LVHBAAndersonState:
        return LVHBAAndersonState(
            u=u,
            memory=AndersonMemory.empty(u.size, self.memory),
            mark=u.copy(),
            solutions=np.zeros((ORDER, u.size)),
            weights=np.zeros(ORDER),
            best=prep.split(u)[0].copy(),
            multipliers=prep.user_multipliers(u),
            searches=searches,
            weight=self.c0,
            accuracy=max(LOOSE, self.accuracy),
        )

    def advance(
        self, problem: Any, prep: tuple[Saddle, float], state: LVHBAAndersonState, n: int
    ) -> bool:
        """Make up to n iterations; the end of a stage asks for a judgement."""
        saddle, tol = prep
        with np.errstate(all="ignore"):
            for _ in range(n):
                if state.finished:
                    return True
                if state.descent is None:
                    ended = self._single(saddle, state)
                    state.work += saddle.units
                else:
                    ended = self._descend(saddle, state, state.descent)
                state.nit += 1
                if ended:
                    self._end_stage(problem, saddle, state)
                    self._other_start(problem, saddle, tol, state)
                    return True
        return False

    def point(self, problem: Any, prep: tuple[Saddle, float], state: LVHBAAndersonState) -> Array:
        """Return the best point of the stages; in the first one its iterate."""
        if len(state.searches.points):
            return state.searches.answer if state.finished else state.searches.first
        if not math.isinf(state.value):
            return state.best.copy()
        return (prep[0].split(state.u)[0] if state.descent is None else state.descent.w).copy()

    def witness(
        self, problem: Any, prep: tuple[Saddle, float], state: LVHBAAndersonState
    ) -> dict[str, Array]:
        """Return the multipliers that go with it."""
        if len(state.searches.points):
            return {"multipliers": state.searches.multipliers}
        if not math.isinf(state.value):
            return {"multipliers": state.multipliers}
        return {"multipliers": prep[0].user_multipliers(state.u)}

    # ---- parts of an iteration -----------------------------------------------------------------
    def _single(self, prep: Saddle, state: LVHBAAndersonState) -> bool:
        """Make an iteration of the single loop; where it fails, the descent takes its place."""
        u, c = state.u, state.weight
        image = prep.image(u, c, prep.steps(c))
        residual = norm(image - u)
        state.made += 1
        if residual <= self.accuracy * (1 + norm(u)):
            state.u = image
            merit = prep.merit(image, c)
            if merit <= state.merit + GROWTH * (1 + abs(merit)):
                return True
            residual = math.inf  # a fixed point that is no minimum
        if not math.isfinite(residual) or state.made >= SINGLE:
            state.descent = enter(prep, state.mark, c, 2 * self.memory)
            state.memory.clear()
            state.made = 0
        elif state.plain:
            state.plain -= 1
            state.u = image
            if not state.plain:
                state.merit = prep.merit(image, c)
        else:
            state.u = state.memory.step(u, image, regularization=1e-12)
        return False

    def _descend(self, prep: Saddle, state: LVHBAAndersonState, descent: Descent) -> bool:
        work, nfev = descent.work, descent.nfev
        residual = descend(prep, descent, state.weight)
        state.work += descent.work - work
        state.nfev += descent.nfev - nfev
        state.made += 1
        ended = residual <= state.accuracy * self.c0 / state.weight or state.made >= STAGE
        ended |= descent.rejected >= STAGE
        if ended:
            at = np.append(prep.split(descent.w)[0][: prep.problem.n], descent.t)
            l = prep.answer(at, descent.z)
            state.u = np.concatenate([descent.w, descent.t, l, descent.z])
        return ended

    def _end_stage(self, problem: Any, prep: Saddle, state: LVHBAAndersonState) -> None:
        state.solutions = np.vstack([state.u, state.solutions[:-1]])
        state.weights = np.append(state.weight, state.weights[:-1])
        kept = int((state.weights > 0).sum())
        better = False
        for order in range(1, kept + 1):
            u = _limit(state.solutions[:order], state.weights[:order])
            w, multipliers = problem.project(prep.split(u)[0]), prep.user_multipliers(u)
            certificate = problem.judge(w, {"multipliers": multipliers})
            state.work += problem.judge_units
            if certificate.value < state.value:
                state.best, state.value, better = w, certificate.value, True
                state.multipliers = np.array(certificate.witness["multipliers"])
        state.vain = 0 if better else state.vain + 1
        if not better:
            state.accuracy = max(TIGHTER * state.accuracy, self.accuracy)
        state.stages, state.made, state.plain = state.stages + 1, 0, 0
        state.weight *= FACTOR if state.descent is None else CLOSER
        state.memory.clear()
        if state.descent is not None:
            u = state.u
            if kept > 1:
                u = _limit(state.solutions[:kept], state.weights[:kept], 1 / state.weight)
            state.descent = enter(prep, u, state.weight, 2 * self.memory, state.descent)
        state.mark, state.merit = state.u.copy(), prep.merit(state.u, state.weight)
        state.finished = state.vain >= PATIENCE and kept == ORDER
        state.finished |= state.weight > LARGEST

    def _other_start(
        self, problem: Any, prep: Saddle, tol: float, state: LVHBAAndersonState
    ) -> None:
        """Where a search has ended, note its end and begin the next one."""
        searches = state.searches
        if not len(searches.points) or not (state.finished or state.value <= tol):
            return
        fun = problem.upper_value(state.best)
        searches.offer(state.best, state.multipliers, state.value, fun, tol)
        state.finished = not searches.pending
        if searches.pending:
            u = prep.start(searches.following(), np.zeros(prep.rows.size))
            fresh = self._search(problem, prep, u, searches)
            fresh.nit, fresh.work, fresh.nfev = state.nit, state.work, state.nfev
            vars(state).update(vars(fresh))


def _limit(solutions: Array, weights: Array, h: float = 0.0) -> Array:
    """Evaluate at 1/c = h the polynomial in 1/c through the solutions of stages."""
    nodes = 1.0 / weights
    total = np.zeros(solutions.shape[1])
    for i, u in enumerate(solutions):
        others = np.delete(nodes, i)
        total += np.prod((h - others) / (nodes[i] - others)) * u
    return total
