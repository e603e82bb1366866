"""The method of adaptive inexact descent: as accurate as a certified step needs, no more."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from fejer.evidence import Array
from fejer.method import Method, Rate, Start, State, option, register
from fejer.problem import witness_array
from fejer.problems.bilevel._assessment import Assessment, norm
from fejer.problems.bilevel._lower_level import LowerLevel
from fejer.solvers.bilevel import _lower

__all__ = ["Maid"]

SLICE = 256  # lower iterations between two looks at the clock
MOST_FAILURES = 10  # searches in vain, at ever higher accuracy, that mean rounding
MOST_TIGHTENINGS = 60
GROWTH = 10 / 9
ROUNDED = 4.0  # changes of F below this multiple of its rounding error say nothing


@dataclass
class MaidState(State):
    """Base point with what is known there, and the lower level that is being solved.

    Attributes
    ----------
    x, y, adjoint, gradient : array
        Base point, lower solution, adjoint, approximate hypergradient.
    fun, fun_error, fun_floor : float
        Upper objective there, the bound of its error, and the share of rounding in that.
    eps, delta : float
        Tolerances: of the distance to y*(x), and of the adjoint's residual.
    alpha : float
        The step that the next search begins with; 0 before the first.
    step : float
        The step of the trial.
    tried : int
        Trials of this search that were refused.
    most : int
        Trials that a search may make.
    failures : int
        Searches in vain since the last accepted step.
    tightenings : int
        Gradients since the last search that were too inaccurate.
    trial : array
        The trial point.
    lower : LowerState
        The lower level that is being solved: at the trial point, or at the base point.
    searching : bool
        Which of the two.
    accepted : int
        Steps made.
    finished : bool
        Rounding allows no certified step.
    """

    x: Array
    y: Array
    adjoint: Array
    gradient: Array
    fun: float
    fun_error: float
    fun_floor: float
    eps: float
    delta: float
    alpha: float
    step: float
    tried: int
    most: int
    failures: int
    tightenings: int
    trial: Array
    lower: _lower.LowerState
    searching: bool = False
    accepted: int = 0
    finished: bool = False


@register
@dataclass(frozen=True, eq=False)
class Maid(Method):
    """Descent along hypergradients whose error is certified to be smaller than they are.

    Notes
    -----
    One iteration solves one lower level, at the base point x or at a trial point:

    * at x: solve to ``||y - y*|| <= eps``, the adjoint system to the residual delta; with z the
      hypergradient and omega the bound of its error, ``omega <= (1 - eta) ||z||`` makes -z a
      descent direction of Phi. Else the part of omega that is too large, eps or delta, is
      multiplied by nu;
    * at ``x+ = P(x - a z)``: accept if an upper bound of ``Phi(x+)`` lies below a lower bound of
      ``Phi(x)`` by ``lam z'(x - x+)``; then ``a <- 10/9 a`` and eps, delta grow by nu_up. Else
      ``a <- rho a``, and after `max_bt` trials (one more after each search in vain) eps and delta
      are multiplied by nu.

    Every accepted step therefore decreases the true Phi. Where rounding hides the decrease, a step
    is accepted if the slope at its end is certified to be negative, as that at its beginning is.
    ``bound="published"`` has the error bound of the paper and the interval
    ``F +- (||grad_y F|| eps + LF eps^2/2)``; ``bound="sharp"`` has the smaller bound of this
    library, and the interval around ``F - q' grad_y f``, which is of second order in eps.
    ``fixed=True`` keeps eps and delta: the paper's own baseline, whose descent is not certified.

    Rate: ``min over k <= K of ||grad Phi(x_k)|| = O(K^-1/2)`` over accepted steps, from the
    decrease of each; the paper has the limit 0.
    Cost per iteration: a lower solve and an adjoint solve, warm started. Memory: O(n + m).
    Certificate: of the problem; ``y`` and ``adjoint`` go with the point.
    Pitfall: a gradient method: upper levels of large condition number (the paper's quadratic
    instance has 1e8) are not solved, only improved.

    References
    ----------
    .. [1] Salehi, Mukherjee, Roberts, Ehrhardt (2023), An adaptively inexact first-order method
       for bilevel optimization with application to hyperparameter learning, arXiv 2308.10098.

    Examples
    --------
    >>> import fejer
    >>> result = fejer.minimize(fejer.QuadraticBilevel.random(), method="maid")
    >>> result.success, result.certificate.kind
    (True, 'hypergradient')
    """

    bound: str = option("sharp", choices=("sharp", "published"), doc="which bounds are used")
    alpha0: float | str = option(
        "auto", above=0, choices=("auto",), doc="first step; auto: sqrt(n)/||z||"
    )
    eps0: float = option(0.1, above=0, doc="first bound of ||y - y*||")
    delta0: float = option(0.1, above=0, doc="first residual of the adjoint system")
    eta: float = option(0.5, above=0, below=1, doc="omega <= (1 - eta) ||z|| is demanded")
    lam: float = option(1e-4, above=0, below=1, doc="share of the predicted decrease, below eta")
    rho: float = option(0.5, above=0, below=1, doc="factor of refused steps")
    nu: float = option(0.5, above=0, below=1, doc="factor of tolerances that are too large")
    nu_up: float = option(1.25, least=1, doc="factor of the tolerances after a step")
    max_bt: int = option(10, least=1, doc="trials of the first search")
    fixed: bool = option(False, doc="keep eps and delta, and trust F as computed")
    inner: str = option(
        "auto",
        choices=("auto", "cg", "nesterov", "newton"),
        doc="lower solver; auto: cg where the lower level is quadratic, else newton",
    )

    name, solves = "maid", (LowerLevel,)
    cites = ("Salehi, Mukherjee, Roberts, Ehrhardt (2023), arXiv 2308.10098",)

    @property
    def rate(self) -> Rate:
        """The rate of gradient descent with certified decrease."""
        return Rate(
            "min over k <= K of ||grad Phi(x_k)|| = O(K^-1/2) over accepted steps, from the "
            "certified decrease of each (limit 0: Salehi et al. 2023)",
            "sublinear",
            0.5,
            assumptions="f(x, .) strongly convex and smooth, grad Phi Lipschitz, Phi bounded below",
        )

    def supports(self, problem: Any) -> str | None:
        """Conjugate gradients need a quadratic lower level, accelerated ones a smooth one."""
        reason = _lower.unfit(problem, kinks=self.inner != "nesterov")
        if reason is not None:
            return reason
        if self.inner == "cg" and _lower.choose(problem, "auto") != 1:
            return "its lower level is not quadratic: inner='newton' treats it"
        if self.lam >= self.eta:
            return f"lam = {self.lam:g} is not below eta = {self.eta:g}"
        return None

    def begin(
        self, problem: LowerLevel, prep: Any, start: Start, rng: np.random.Generator
    ) -> MaidState:
        """Start to solve the lower level at the start."""
        x = problem.project(start.x)[0]
        y = witness_array(start.witness, "y", problem.lower_size)
        y = problem.lower_start() if y is None else y
        with np.errstate(all="ignore"):
            lower = _lower.reset(problem, _lower.choose(problem, self.inner), x, y)
            _lower.aim(problem, lower, x, self.eps0 * problem.constants(x).mu)
            # The rest of the solve is part of the first iteration.
            zero = np.zeros(problem.lower_size)
            return MaidState(
                x=x,
                y=y.copy(),
                adjoint=zero,
                gradient=np.zeros_like(x),
                fun=math.inf,
                fun_error=math.inf,
                fun_floor=0.0,
                eps=self.eps0,
                delta=self.delta0,
                alpha=0.0,
                step=0.0,
                tried=0,
                most=self.max_bt,
                failures=0,
                tightenings=0,
                trial=x.copy(),
                lower=lower,
            )

    def advance(self, problem: LowerLevel, prep: Any, state: MaidState, n: int) -> bool:
        """Solve up to n lower levels and decide after each."""
        goal = state.nit + n
        with np.errstate(all="ignore"):
            while state.nit < goal:
                if state.finished:
                    return True
                if not _lower.solve(problem, state.lower, SLICE):
                    return False
                state.work += state.lower.work
                state.lower.work = 0
                decide = self._judge_trial if state.searching else self._judge_base
                decide(problem, state)
                state.nit += 1
        return False

    def witness(self, problem: LowerLevel, prep: Any, state: MaidState) -> dict[str, Array]:
        """Return the lower solution and the adjoint of the base point."""
        return {"y": state.y, "adjoint": state.adjoint}

    # ---- parts of an iteration -----------------------------------------------------------------
    def _assess(self, problem: LowerLevel, state: MaidState, x: Array) -> Assessment:
        """Solve the adjoint system at x to delta, and say what is known."""
        y = state.lower.y.copy()
        grad_y = problem.upper_level(x, y).grad_y
        size = norm(grad_y)
        tol = min(0.5, state.delta / size) if size > 0 else 0.5
        q, products = problem.adjoint(x, y, grad_y, tol=tol, start=state.adjoint, direct=False)
        state.work += products + 4
        # Systems that would sharpen the bound are better spent on y and q themselves.
        return problem.assess(x, y, adjoint=q, allowed=math.inf)

    def _interval(self, problem: LowerLevel, x: Array, a: Assessment) -> tuple[float, float]:
        if self.bound == "sharp":
            return a.fun, a.fun_error
        upper = problem.upper_level(x, a.y)
        e = a.distance
        radius = norm(upper.grad_y) * e + problem.upper_change(x, a.y, e) * e / 2 + upper.floor
        return upper.fun, radius

    def _keep(self, problem: LowerLevel, state: MaidState, a: Assessment) -> None:
        state.y, state.adjoint, state.gradient = a.y.copy(), a.adjoint.copy(), a.gradient.copy()
        state.fun, state.fun_error = self._interval(problem, state.x, a)
        state.fun_floor = a.fun_floor

    def _judge_base(self, problem: LowerLevel, state: MaidState) -> None:
        a = self._assess(problem, state, state.x)
        self._keep(problem, state, a)
        error = a.error if self.bound == "sharp" else a.published_error
        step = norm(problem.project(state.x - a.gradient)[0] - state.x)
        allowed = (1 - self.eta) * step
        if step > 0.0 and (self.fixed or error <= allowed):
            if state.alpha == 0.0:
                size = norm(a.gradient)
                auto = math.sqrt(state.x.size) / size
                state.alpha = auto if isinstance(self.alpha0, str) else self.alpha0
            state.tightenings = state.tried = 0
            self._try(problem, state, state.alpha)
            return
        state.tightenings += 1
        finite = math.isfinite(norm(a.gradient))
        if self.fixed or not finite or error <= 4 * a.floor or state.tightenings > MOST_TIGHTENINGS:
            state.finished = True
            return
        published = self.bound == "published"
        if published or a.adjoint_error > allowed / 2:
            state.delta *= self.nu
        if published or error - a.adjoint_error > allowed / 2:
            # A tolerance that is met by far, as a Newton step meets it, need not fall in steps.
            state.eps = self.nu * min(state.eps, a.distance)
        self._aim(problem, state, state.x, state.y)

    def _still_descends(self, state: MaidState, a: Assessment) -> bool:
        """Whether Phi certainly falls along the step at its end, as it does at its beginning."""
        step = state.trial - state.x
        return float(a.gradient @ step) + a.error * norm(step) <= 0.0

    def _aim(self, problem: LowerLevel, state: MaidState, x: Array, y: Array) -> None:
        state.lower.y = y.copy()
        _lower.aim(problem, state.lower, x, state.eps * problem.constants(x).mu)

    def _try(self, problem: LowerLevel, state: MaidState, step: float) -> None:
        state.searching, state.step = True, step
        state.trial = problem.project(state.x - step * state.gradient)[0]
        if np.array_equal(state.trial, state.x):
            state.finished = True
            return
        self._aim(problem, state, state.trial, state.y)

    def _judge_trial(self, problem: LowerLevel, state: MaidState) -> None:
        a = self._assess(problem, state, state.trial)
        fun, radius = self._interval(problem, state.trial, a)
        decrease = self.lam * float(state.gradient @ (state.x - state.trial))
        doubt = 0.0 if self.fixed else radius + state.fun_error
        accepted = fun - state.fun + doubt + decrease <= 0.0
        if not accepted and abs(fun - state.fun) <= ROUNDED * (a.fun_floor + state.fun_floor):
            accepted = self._still_descends(state, a)
        if accepted:
            state.x, state.alpha = state.trial.copy(), GROWTH * state.step
            state.searching, state.failures = False, 0
            state.most = self.max_bt
            state.accepted += 1
            if not self.fixed:
                state.eps *= self.nu_up
                state.delta *= self.nu_up
            self._aim(problem, state, state.x, a.y)
            self._keep(problem, state, a)
            return
        state.tried += 1
        if state.tried < state.most:
            self._try(problem, state, self.rho * state.step)
            return
        state.failures += 1
        state.most += 1
        state.searching = False
        if state.failures > MOST_FAILURES or self.fixed:
            state.finished = True
            return
        state.eps *= self.nu
        state.delta *= self.nu
        self._aim(problem, state, state.x, state.y)
