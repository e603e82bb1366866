"""The value-function method in stages, each accelerated, and extrapolated to the limit."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fejer.evidence import Array
from fejer.method import Method, Rate, Start, State, option, register
from fejer.numerics.anderson import AndersonMemory
from fejer.problems.bilevel._stationarity import norm
from fejer.problems.bilevel.constrained_bilevel import ConstrainedBilevel

from ._value_function import Saddle

__all__ = ["LVHBAAnderson"]

WEIGHTS = (1.0, 3.0, 10.0, 30.0)  # of the first stages, relative to c0
FACTOR = 3.0  # of later weights
LARGEST = 1e9
PLAIN = 50  # iterations without acceleration: at first, and after a step in the wrong direction
WATCH = 50  # iterations between two looks at the merit
GROWTH = 0.1  # relative growth of the merit that ends acceleration for a while
STAGE = 3000  # iterations after which a stage ends anyway
ORDER = 4  # stages that are extrapolated
FREE = 2  # rejected steps of a stage that have no consequences; then plain steps follow each:
PAUSE, LONGEST = 5, 320  # 10 of them, 20, 40, ..., for acceleration jumps across a kink for ever
PATIENCE = 3  # stages without a better certificate


@dataclass
class LVHBAAndersonState(State):
    """The iterate of the present stage, the solutions of the last ones, the best point.

    Attributes
    ----------
    u : array
        Packed iterate (x, y, t, l, z).
    memory : AndersonMemory
        What it is extrapolated from.
    mark : array
        Iterate at the last look at the merit.
    solutions : array, shape (4, len(u))
        Of the last stages, the latest first.
    weights : array, shape (4,)
        Their c; 0 where there is none yet.
    best : array
        Point with the smallest certificate at the end of a stage.
    multipliers : array
        Those that go with it.
    value : float
        Its certificate.
    stage, made, plain, strikes, vain : int
        Stage, iterations in it, iterations without acceleration still to come, rejected steps of
        the stage, stages since the best point.
    merit : float
        At the mark.
    retreats : int
        How often acceleration was ended by the merit.
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
    value: float = math.inf
    stage: int = 0
    made: int = 0
    plain: int = PLAIN
    strikes: int = 0
    vain: int = 0
    merit: float = field(default=math.inf)
    retreats: int = 0
    finished: bool = False


@register
@dataclass(frozen=True, eq=False)
class LVHBAAnderson(Method):
    """Fixed points of `lv-hba` at a few weights c, extrapolated to c = infinity.

    Parameters
    ----------
    c0 : float, default 10.0
        Weight of the first stage; the following ones have 3, 10, 30, 90, ... times it.
    memory : int, default 10
        Differences that Anderson acceleration keeps.
    gamma1, gamma2 : float, default 1.0
        Proximal parameters.
    radius : float, default 1e4
        Bound of the multipliers.
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

    Acceleration looks for a zero and does not mind saddle points: every 50 iterations
    ``F/c + f - v`` is compared with what it was, and where it grew by more than a tenth, the
    iterate is taken back and 50 plain steps follow.

    Rate: none proven; on quadratic problems each stage is GMRES(10), and the error after
    extrapolation of four stages is of the order ``product of 1/c``.
    Cost per iteration: that of `lv-hba`, and ``12 memory (n + m + p)`` flops; certificates at the
    end of a stage. Memory: ``2 memory + 10`` iterates.
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
    accuracy: float = option(1e-10, above=0, below=1, doc="relative residual that ends a stage")

    name, solves = "lv-hba-anderson", (ConstrainedBilevel,)
    cites = ("Yao, Yin, Zeng, Zhang (2024), arXiv 2401.16164", "Walker, Ni (2011)")

    @property
    def rate(self) -> Rate | None:
        """No theorem covers the acceleration."""
        return None

    def prepare(self, problem: Any, tol: float, rng: np.random.Generator) -> Saddle:
        """Scale the constraints and estimate Lipschitz constants."""
        return Saddle.of(problem, self.gamma1, self.gamma2, self.radius)

    def begin(
        self, problem: Any, prep: Saddle, start: Start, rng: np.random.Generator
    ) -> LVHBAAndersonState:
        """Project the start; t = y, z = l."""
        u = prep.start(problem.project(start.x), prep.first(start.witness))
        return LVHBAAndersonState(
            u=u,
            memory=AndersonMemory.empty(u.size, self.memory),
            mark=u.copy(),
            solutions=np.zeros((ORDER, u.size)),
            weights=np.zeros(ORDER),
            best=prep.split(u)[0].copy(),
            multipliers=prep.user_multipliers(u),
        )

    def advance(self, problem: Any, prep: Saddle, state: LVHBAAndersonState, n: int) -> bool:
        """Make up to n iterations; the end of a stage asks for a judgement."""
        with np.errstate(all="ignore"):
            for _ in range(n):
                if state.finished:
                    return True
                ended = self._iterate(prep, state)
                state.nit += 1
                state.work += prep.units
                if ended:
                    self._end_stage(problem, prep, state)
                    return True
        return False

    def point(self, problem: Any, prep: Saddle, state: LVHBAAndersonState) -> Array:
        """Return the best point of the stages; in the first one its iterate."""
        return (prep.split(state.u)[0] if math.isinf(state.value) else state.best).copy()

    def witness(self, problem: Any, prep: Saddle, state: LVHBAAndersonState) -> dict[str, Array]:
        """Return the multipliers that go with it."""
        first_stage = math.isinf(state.value)
        return {"multipliers": prep.user_multipliers(state.u) if first_stage else state.multipliers}

    # ---- parts of an iteration -----------------------------------------------------------------
    def weight(self, stage: int) -> float:
        """Return c of a stage.

        Parameters
        ----------
        stage : int
            Number of the stage, from 0.

        Returns
        -------
        float
        """
        last = len(WEIGHTS) - 1
        return self.c0 * WEIGHTS[min(stage, last)] * FACTOR ** max(0, stage - last)

    def _iterate(self, prep: Saddle, state: LVHBAAndersonState) -> bool:
        c = self.weight(state.stage)
        u = state.u
        image = prep.image(u, c, prep.steps(c))
        residual = norm(image - u)
        if not math.isfinite(residual):  # acceleration has left where the functions are defined
            self._retreat(state)
            return state.retreats > WATCH
        if residual <= self.accuracy * (1 + norm(u)):
            state.u = image
            return True
        state.made += 1
        if state.plain:
            state.plain -= 1
            state.u = image
        else:
            rejected = state.memory.rejected
            state.u = state.memory.step(u, image, regularization=1e-12)
            if state.memory.rejected > rejected:
                state.strikes += 1
                state.plain = PAUSE * 2 ** (state.strikes - FREE) if state.strikes > FREE else 0
                state.plain = min(state.plain, LONGEST)
        if state.made % WATCH == 0:
            merit = prep.merit(image, c)
            if merit <= state.merit + GROWTH * max(abs(state.merit), 1e-8):
                state.merit, state.mark = merit, image.copy()
            else:
                self._retreat(state)
        return state.made >= STAGE

    def _retreat(self, state: LVHBAAndersonState) -> None:
        state.u = state.mark.copy()
        state.plain = PLAIN
        state.retreats += 1
        state.memory.clear()
        state.merit = math.inf

    def _end_stage(self, problem: Any, prep: Saddle, state: LVHBAAndersonState) -> None:
        state.solutions = np.vstack([state.u, state.solutions[:-1]])
        state.weights = np.append(self.weight(state.stage), state.weights[:-1])
        stages = int((state.weights > 0).sum())
        better = False
        for order in range(1, stages + 1):
            u = _limit(state.solutions[:order], state.weights[:order])
            w, multipliers = problem.project(prep.split(u)[0]), prep.user_multipliers(u)
            certificate = problem.judge(w, {"multipliers": multipliers})
            state.work += problem.judge_units
            if certificate.value < state.value:
                state.best, state.value, better = w, certificate.value, True
                state.multipliers = np.array(certificate.witness["multipliers"])
        state.vain = 0 if better else state.vain + 1
        state.stage, state.made = state.stage + 1, 0
        state.strikes = state.plain = 0
        state.memory.clear()
        state.mark, state.merit = state.u.copy(), math.inf
        state.finished = state.vain >= PATIENCE and stages == ORDER
        state.finished |= self.weight(state.stage) > LARGEST


def _limit(solutions: Array, weights: Array) -> Array:
    """Evaluate at 1/c = 0 the polynomial in 1/c through the solutions of stages."""
    h = 1.0 / weights
    total = np.zeros(solutions.shape[1])
    for i, u in enumerate(solutions):
        others = np.delete(h, i)
        total += np.prod(-others / (h[i] - others)) * u
    return total
