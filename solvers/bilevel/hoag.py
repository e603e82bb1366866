"""Hyperparameter optimization with approximate gradients: tolerances that tend to 0."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from fejer.evidence import Array
from fejer.method import Method, Rate, Start, State, option, register
from fejer.problem import witness_array
from fejer.problems.bilevel._assessment import norm
from fejer.problems.bilevel._lower_level import LowerLevel
from fejer.solvers.bilevel import _lower, _valley

__all__ = ["Hoag"]

SLICE = 256  # lower iterations between two looks at the clock
DESCENT = 1e-4  # share of L i^2 that an accepted step must gain
SLACK = 0.25  # the constant C of the acceptance rule
FINEST = 1e-15
LARGEST = 1e200
GAIN = 0.1  # the same share as DESCENT, next to kinks


@dataclass
class HoagState(State):
    """Base point with its lower solution, and the trial point that is being solved.

    Attributes
    ----------
    x, y, adjoint, gradient : array
        Base point, lower solution, adjoint and approximate hypergradient there.
    value, allowance : float
        ``F(x, y)``, and its tolerance in units of F.
    curvature : float
        The inverse of the step.
    factor : float
        What refused steps made of the tolerance.
    trial : array
        The next point.
    lower : LowerState
        The lower level at the trial point.
    valley : Valley or None
        Kinks nearby, where the objective has some.
    increases, decreases : int
        Times that the step was halved and made longer.
    again : bool
        The trial point is the base point itself, to be solved more accurately.
    finished : bool
        The step is below rounding, or not finite.
    """

    x: Array
    y: Array
    adjoint: Array
    gradient: Array
    value: float
    allowance: float
    curvature: float
    factor: float
    trial: Array
    lower: _lower.LowerState
    valley: _valley.Valley | None = None
    increases: int = 0
    decreases: int = 0
    again: bool = False
    finished: bool = False


@register
@dataclass(frozen=True, eq=False)
class Hoag(Method):
    """Projected gradient steps with hypergradients of summable error and an adaptive step.

    Notes
    -----
    One iteration solves the lower level at the trial point ``x_k = P(x - z/L)`` to the tolerance
    ``eps_k``, compares ``F_k = F(x_k, y_k)``, and where it accepts solves the adjoint system to
    the same tolerance and forms ``z_k = grad_x F - J'q``. With ``i = ||x_k - x||``, C = 1/4 and e
    the tolerances in units of F:

    * ``F_k <= F + C e_k + e (C + 1) i - L i^2 / 2``: accept, ``L <- 0.95 L``;
    * else where ``F_k > F + C e_k + e (C + 1) i - 1e-4 L i^2``: back to x, ``L <- 2 L``,
      ``eps <- eps / 2``, and the lower level at x is solved again to the new tolerance, since
      F at x may just have been too small by its error;
    * else accept.

    ``rule="published"`` has ``L i^2`` in the first test, and in the second refuses only if
    ``F_k >= 1.2 F``, staying at x_k. No convex function passes that first test without the slack,
    so that steps stay short once they were; growth below the factor passes while L shrinks, and
    the iteration can diverge. It is here for comparison.

    Where the lower level has kinks, Phi has, too: lower levels are solved to rounding then, steps
    that gain ``0.1 L i^2`` are accepted, and after a kink was met the next step goes along it.

    Tolerances are relative: of the lower gradient to its norm at the problem's initial point, of
    the adjoint system to its right-hand side, of F to its value at the trivial lower solution.

    Rate: every accepted step gains ``1e-4 L i^2`` up to the slack, which is summable, and L stays
    bounded where Phi is smooth; hence ``min over k <= K of ||z_k|| = O(K^-1/2)``. The paper's own
    theorem (a stationary limit) assumes a small enough step.
    Cost per iteration: one lower solve and one adjoint solve, warm started. Memory: O(n + m).
    Certificate: of the problem; ``y`` and ``adjoint`` go with the point.
    Pitfall: the steps are in x. Where a penalty has to go far into its flat end (one penalty per
    column, useless columns) they become tiny, and a quasi-Newton method is the better choice.

    Examples
    --------
    >>> import fejer
    >>> result = fejer.minimize(fejer.QuadraticBilevel.random(), method="hoag")
    >>> result.success, result.certificate.kind
    (True, 'hypergradient')
    """

    rule: str = option("mended", choices=("mended", "published"), doc="when a step is refused")
    decrease: str = option(
        "exponential",
        choices=("exponential", "quadratic", "cubic"),
        doc="eps_k / eps0: 0.9^k, k^-2 or k^-3",
    )
    eps0: float = option(0.1, above=0, most=1, doc="first tolerance, relative")
    inner: str = option(
        "auto",
        choices=("auto", "cg", "nesterov", "newton"),
        doc="lower solver; auto: cg where the lower level is quadratic, else newton",
    )

    name, solves = "hoag", (LowerLevel,)
    cites = ("Pedregosa (2016), arXiv 1602.02355",)

    @property
    def rate(self) -> Rate:
        """The theorem for the rule of acceptance."""
        assumptions = "f(x, .) strongly convex and smooth, grad Phi Lipschitz, Phi bounded below"
        if self.rule == "published":
            return Rate(
                "grad Phi(x_k) -> 0 if sum eps_k < inf and the step is below 1/Lipschitz constant "
                "(Pedregosa 2016, Theorem 2); not promised for the adaptive step",
                "sublinear",
                assumptions=assumptions,
            )
        return Rate(
            "min over k <= K of ||grad Phi(x_k)|| = O(K^-1/2), from the decrease of each step",
            "sublinear",
            0.5,
            assumptions=assumptions,
        )

    def supports(self, problem: Any) -> str | None:
        """Conjugate gradients need a quadratic lower level, accelerated ones a smooth one."""
        reason = _lower.unfit(problem, kinks=self.inner != "nesterov")
        if reason is not None:
            return reason
        if self.inner == "cg" and _lower.choose(problem, "auto") != 1:
            return "its lower level is not quadratic: inner='newton' treats it"
        return None

    def prepare(self, problem: LowerLevel, tol: float, rng: np.random.Generator) -> Any:
        """Return the units of the tolerances: of the lower gradient and of F."""
        slope = norm(problem.lower_gradient(problem.initial_point(), problem.lower_start()))
        return slope or 1.0, problem.null_value() or 1.0

    def begin(
        self, problem: LowerLevel, prep: Any, start: Start, rng: np.random.Generator
    ) -> HoagState:
        """Solve the lower level at the start."""
        with np.errstate(all="ignore"):
            return self._begin(problem, prep, start)

    def _begin(self, problem: LowerLevel, prep: Any, start: Start) -> HoagState:
        x = problem.project(start.x)[0]
        y = witness_array(start.witness, "y", problem.lower_size)
        y = problem.lower_start() if y is None else y
        lower = _lower.reset(problem, _lower.choose(problem, self.inner), x, y)
        kinks = problem.nonsmooth and self.rule == "mended"
        _lower.aim(problem, lower, x, (FINEST if kinks else self.eps0) * prep[0])
        while not _lower.solve(problem, lower, SLICE):
            pass
        zero = np.zeros(problem.lower_size)
        state = HoagState(x, zero, zero.copy(), x.copy(), 0.0, 0.0, 1.0, 1.0, x.copy(), lower)
        self._settle(problem, prep, state, self.eps0)
        size = norm(state.gradient)
        state.curvature = size / math.sqrt(x.size) or 1.0
        if kinks:
            empty = np.zeros((0, x.size))
            state.valley = _valley.Valley(empty, np.zeros_like(x), state.curvature)
        self._propose(problem, prep, state)
        return state

    def advance(self, problem: LowerLevel, prep: Any, state: HoagState, n: int) -> bool:
        """Make up to n steps, accepted or refused."""
        goal = state.nit + n
        with np.errstate(all="ignore"):
            while state.nit < goal:
                if state.finished:
                    return True
                if not _lower.solve(problem, state.lower, SLICE):
                    return False
                self._decide(problem, prep, state)
                state.nit += 1
                self._propose(problem, prep, state)
        return False

    def witness(self, problem: LowerLevel, prep: Any, state: HoagState) -> dict[str, Array]:
        """Return the lower solution and the adjoint of the base point."""
        return {"y": state.y, "adjoint": state.adjoint}

    # ---- parts of an iteration -----------------------------------------------------------------
    def _tolerance(self, state: HoagState, k: int) -> float:
        falls = {"exponential": 0.9**k, "quadratic": 1 / (k + 1) ** 2, "cubic": 1 / (k + 1) ** 3}
        return max(self.eps0 * state.factor * falls[self.decrease], FINEST)

    def _decide(self, problem: LowerLevel, prep: Any, state: HoagState) -> None:
        eps = self._tolerance(state, state.nit + 1)
        value = problem.upper_level(state.trial, state.lower.y).fun
        state.work += 1 + state.lower.work
        state.lower.work = 0
        moved = norm(state.trial - state.x)
        if state.valley is not None:
            self._at_kinks(problem, prep, state, state.valley, value)
            return
        allowed = state.value + SLACK * eps * prep[1] + state.allowance * (SLACK + 1) * moved
        published = self.rule == "published"
        square = state.curvature * moved * moved
        if published:
            good, bad = value <= allowed - square, not value < 1.2 * state.value
        else:
            good = value <= allowed - 0.5 * square
            bad = not value <= allowed - DESCENT * square
        refused = bad and not good and not state.again
        state.again = refused
        if good:
            state.curvature *= 0.95
            state.decreases += 1
        elif refused:
            state.curvature = min(2 * state.curvature, LARGEST)
            state.factor *= 0.5
            state.increases += 1
            if not published:
                return
        state.x = state.trial.copy()
        self._settle(problem, prep, state, eps)

    def _at_kinks(
        self,
        problem: LowerLevel,
        prep: Any,
        state: HoagState,
        valley: _valley.Valley,
        value: float,
    ) -> None:
        moved = norm(state.trial - state.x)
        curvature = valley.curvature if valley.along else state.curvature
        base = state.x, state.y, state.adjoint, state.gradient, state.value, state.allowance
        state.x = state.trial.copy()
        self._settle(problem, prep, state, FINEST)
        if value <= base[4] - GAIN * curvature * moved * moved:
            state.curvature = _valley.accepted(valley, state.curvature, base[3])
            state.decreases += 1
            return
        end = state.gradient
        state.x, state.y, state.adjoint, state.gradient, state.value, state.allowance = base
        state.curvature = _valley.refused(valley, state.curvature, state.gradient, end)
        state.increases += 1

    def _settle(self, problem: LowerLevel, prep: Any, state: HoagState, eps: float) -> None:
        """Make the trial point, whose lower level is solved, the base point."""
        state.y = state.lower.y.copy()
        upper = problem.upper_level(state.x, state.y)
        state.adjoint, products = problem.adjoint(
            state.x, state.y, upper.grad_y, tol=eps, start=state.adjoint, direct=False
        )
        J = problem.cross(state.x, state.y, state.adjoint)
        state.gradient = -J.product if upper.grad_x is None else upper.grad_x - J.product
        state.value, state.allowance = upper.fun, eps * prep[1]
        state.work += products + 2

    def _propose(self, problem: LowerLevel, prep: Any, state: HoagState) -> None:
        """Choose the next trial point and start on its lower level."""
        valley = state.valley
        eps = FINEST if valley is not None else self._tolerance(state, state.nit + 1)
        if state.again:
            state.trial = state.x.copy()
        elif valley is None:
            state.trial = problem.project(state.x - state.gradient / state.curvature)[0]
        else:
            state.trial = self._near_kinks(problem, state, valley)
        still = not state.again and np.array_equal(state.trial, state.x)
        state.finished = bool((still and eps <= 16 * FINEST) or not np.isfinite(state.trial).all())
        if not state.finished:
            _lower.aim(problem, state.lower, state.trial, eps * prep[0])

    def _near_kinks(self, problem: LowerLevel, state: HoagState, valley: _valley.Valley) -> Array:
        while True:
            curvature = valley.curvature if valley.along else state.curvature
            step = _valley.direction(valley, state.gradient) / curvature
            trial = problem.project(state.x - step)[0]
            if not np.array_equal(trial, state.x) or not _valley.enters(valley):
                return trial
