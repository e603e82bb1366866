"""Augmented Lagrangian method for equality constraints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from fejer.evidence import Array
from fejer.method import Method, Rate, Start, State, option, register
from fejer.problem import witness_array
from fejer.problems.constrained._equality import Equality
from fejer.problems.constrained._point import ConstrainedPoint

from ._newton import NewtonStep, factorised_step, truncated_step

LARGEST_PENALTY = 1e10
LARGEST_MULTIPLIER = 1e12
FACTORISED = 1000  # variables and constraints up to which the KKT matrix is factorised
DIFFERENCED = 50  # variables up to which a missing Hessian is formed by differences
DESCENT = 1e-4
HALVINGS = 50
ROUNDING = 2.0**-50
RUNAWAY = 1e8
LONGEST_STAGE = 500


class _Goals(NamedTuple):
    """What `prepare` makes of the tolerance."""

    residual: float
    stationarity: float
    feasibility: float


@dataclass
class ALMState(State):
    x: Array
    multipliers: Array  # of the present augmented Lagrangian
    anchor: Array  # x at the last update of multipliers or penalty
    penalty: float
    stationarity_goal: float
    feasibility_goal: float
    shift: float = 0.0
    stage: int = 0  # steps since the last update
    failures: int = 0  # stages in a row that ended without their goal
    finished: bool = False


@register
@dataclass(frozen=True, eq=False)
class ALM(Method):
    """Augmented Lagrangian method, with Newton steps inside.

    Newton steps lower ``P(x) = f(x) + l'c(x) + penalty/2 ||c(x)||^2`` until its gradient is below
    ``omega``; then ``l <- l + penalty c(x)``, if ``||c(x)||_inf <= eta``, else the penalty grows
    tenfold. omega and eta fall tenfold at each update of l; a warm start begins with a tenth of its
    own residuals.

    Attributes
    ----------
    penalty : float
        The first penalty.
    stationarity : float
        The first omega, in units of the problem's scale.
    feasibility : float
        The first eta, in units of the problem's scale.

    Notes
    -----
    Rate: the multipliers converge linearly with a factor proportional to 1/penalty [1]_. It needs
    no constraint qualification to make progress, so dependent or vanishing gradients of
    constraints, and more constraints than variables, are treated.

    Iteration: one Newton step. Up to 1000 variables and constraints, the matrix
    ``[[H + t I, G'], [G, -I/penalty]]`` is factorised, with the smallest shift t of a short list
    for which it has m negative eigenvalues; missing Hessians are formed by differences of
    gradients up to n = 50. Beyond, conjugate gradients with Hessian products, by differences where
    there are none. Cost: ``(n + m)^3 / 3`` flops, or the products. Memory: ``(n + m)^2`` numbers.

    Witness: ``l + penalty c(x)``.

    It ends where the penalty has reached 1e10 and the constraints are still violated, or where
    three stages in a row missed their goal, because a line search found nothing or after 500 steps:
    "locally infeasible" or degenerate. A point that runs away is taken back to the start of its
    stage, with a larger penalty.

    References
    ----------
    .. [1] Bertsekas (1982), Constrained optimization and Lagrange multiplier methods.
    .. [2] Nocedal and Wright (2006), Numerical Optimization, section 17.4.

    Examples
    --------
    >>> import fejer
    >>> result = fejer.minimize(fejer.EqualityNLP.random(), method="alm", tol=1e-9)
    >>> result.success, result.constraint_violation < 1e-9
    (True, True)
    """

    penalty: float = option(10.0, above=0, most=LARGEST_PENALTY, doc="first penalty")
    stationarity: float = option(0.1, above=0, doc="first omega: gradient that ends a stage")
    feasibility: float = option(0.1, above=0, doc="first eta: violation at which l is updated")

    name, solves = "alm", (Equality,)
    cites = ("Hestenes (1969)", "Powell (1969)", "Bertsekas (1982)")

    @property
    def rate(self) -> Rate:
        """Linear convergence of the multipliers."""
        return Rate(
            "||l_{j+1} - l*|| <= (C / penalty) ||l_j - l*|| over the updates of l (Bertsekas 1982)",
            "linear",
            assumptions="independent gradients of the constraints and second-order sufficiency at "
            "the limit, penalty large enough",
        )

    def prepare(self, problem: Equality, tol: float, rng: np.random.Generator) -> _Goals:
        """Return the residuals to be reached."""
        goal = tol * problem.scale
        return _Goals(goal, goal / 10, goal / 2)

    def begin(
        self, problem: Equality, prep: _Goals, start: Start, rng: np.random.Generator
    ) -> ALMState:
        """Start with the multipliers of the result given as start, or those of least squares."""
        at = problem.at(start.x)
        at.require_finite()
        goals = self.stationarity * problem.scale, self.feasibility * problem.scale
        l = witness_array(start.witness, "multipliers", at.constraint.size)
        if l is not None:
            stationarity = float(np.abs(at.lagrangian_gradient(l)).max())
            violation = float(np.abs(at.constraint).max(initial=0.0))
            goals = (
                min(goals[0], max(stationarity / 10, prep.stationarity)),
                min(goals[1], max(violation / 10, prep.feasibility)),
            )
        else:
            l = at.multipliers.copy()
            if l.size and np.abs(l).max() > 1e3 * max(1.0, float(np.abs(at.grad).max())):
                l = np.zeros_like(l)
        return ALMState(
            start.x,
            np.array(l),
            start.x.copy(),
            self.penalty,
            *goals,
            work=1,
            nfev=1 + problem.difference_calls,
        )

    def witness(self, problem: Equality, prep: _Goals, state: ALMState) -> dict[str, Array]:
        """Return the first-order estimate of the multipliers."""
        return {"multipliers": _estimate(problem.at(state.x), state)}

    def advance(self, problem: Equality, prep: _Goals, state: ALMState, n: int) -> bool:
        """Make Newton steps, and update multipliers and penalty where a stage ends."""
        for _ in range(n):
            if state.finished:
                return True
            state.nit += 1
            moved = self._step(problem, state)
            if self._update(problem, prep, state, moved):
                return True
        return False

    def _step(self, problem: Equality, state: ALMState) -> bool:
        """Take one Newton step with a line search; whether it moved."""
        at = problem.at(state.x)
        g = at.lagrangian_gradient(_estimate(at, state))
        newton = self._newton(problem, at, state, g)
        state.shift = newton.shift or state.shift
        state.work += newton.points
        state.nfev += newton.points * (1 + problem.difference_calls)
        step = newton.step
        slope = float(g @ step)
        if not slope < 0:
            step, slope = -g, -float(g @ g)
        value, noise = _merit(at, state)
        length = 1.0
        for _ in range(HALVINGS):
            x = state.x + length * step
            trial = problem.at(x) if np.isfinite(x).all() else None
            state.work += 1
            state.nfev += 1
            if trial is not None and self._lower(trial, state, value, noise, length * slope, g):
                state.nfev += problem.difference_calls
                state.x = x
                return True
            length /= 2
        return False

    def _newton(
        self, problem: Equality, at: ConstrainedPoint, state: ALMState, g: Array
    ) -> NewtonStep:
        n, m = at.x.size, at.constraint.size
        formed = problem.has_hessian or n <= DIFFERENCED
        l = _estimate(at, state)
        if n + m <= FACTORISED and formed:
            return factorised_step(problem, at.x, l, g, state.penalty, state.shift)
        return truncated_step(problem, at.x, l, g, state.penalty)

    @staticmethod
    def _lower(
        trial: ConstrainedPoint,
        state: ALMState,
        value: float,
        noise: float,
        gain: float,
        g: Array,
    ) -> bool:
        """Armijo's test; where rounding hides the gain, the gradient has to shrink."""
        reached, _ = _merit(trial, state)
        if not np.isfinite(reached):
            return False
        lower = reached <= value + DESCENT * gain
        if not lower and (reached > value + noise or -gain > 100 * noise):
            return False
        if trial.not_finite():
            return False
        shrunk = np.abs(trial.lagrangian_gradient(_estimate(trial, state))).max()
        return bool(lower or shrunk < 0.9 * np.abs(g).max())

    def _update(self, problem: Equality, prep: _Goals, state: ALMState, moved: bool) -> bool:
        """End the stage if its goal is reached; whether to be judged now."""
        at = problem.at(state.x)
        state.stage += 1
        if np.abs(at.x).max() > RUNAWAY * max(1.0, np.abs(state.anchor).max()):
            state.x = state.anchor.copy()
            self._raise_penalty(state)
            state.stage = 0
            return state.finished
        estimate = _estimate(at, state)
        stationarity = float(np.abs(at.lagrangian_gradient(estimate)).max())
        violation = float(np.abs(at.constraint).max(initial=0.0))
        reached = max(stationarity, violation) <= prep.residual
        done = stationarity <= state.stationarity_goal
        if done or not moved or state.stage >= LONGEST_STAGE:
            state.stage = 0
            state.failures = 0 if done else state.failures + 1
            state.anchor = state.x.copy()
            if violation <= state.feasibility_goal:
                state.multipliers = np.clip(estimate, -LARGEST_MULTIPLIER, LARGEST_MULTIPLIER)
                state.stationarity_goal = max(state.stationarity_goal / 10, prep.stationarity)
                state.feasibility_goal = max(state.feasibility_goal / 10, prep.feasibility)
            else:
                self._raise_penalty(state)
                goal = 1e-2 * problem.scale
                state.stationarity_goal = min(state.stationarity_goal, goal)
        state.finished = state.finished or state.failures >= 3 or (reached and not moved)
        return reached or state.finished

    @staticmethod
    def _raise_penalty(state: ALMState) -> None:
        state.finished = state.penalty >= LARGEST_PENALTY
        state.penalty = min(10 * state.penalty, LARGEST_PENALTY)


def _estimate(at: ConstrainedPoint, state: ALMState) -> Array:
    return np.asarray(state.multipliers + state.penalty * at.constraint)


def _merit(at: ConstrainedPoint, state: ALMState) -> tuple[float, float]:
    """Return the augmented Lagrangian, and what rounding may do to it."""
    with np.errstate(all="ignore"):
        linear = state.multipliers * at.constraint
        square = state.penalty / 2 * float(at.constraint @ at.constraint)
        value = at.fun + float(linear.sum()) + square
        return value, ROUNDING * (abs(at.fun) + float(np.abs(linear).sum()) + square)
