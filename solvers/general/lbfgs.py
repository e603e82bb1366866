"""Limited-memory BFGS with bounds: scipy's L-BFGS-B, called once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fejer.evidence import Array
from fejer.method import Method, Rate, Start, State, option, register
from fejer.problems.smooth_problem import SmoothProblem
from fejer.problems.transport.map_fit import MapFit

ROUND = 15_000  # iterations after which the memory is emptied
ROUNDS = 20
RUNAWAY = 1e12


@dataclass
class LBFGSState(State):
    x: Array
    finished: bool = False


@register
@dataclass(frozen=True, eq=False)
class LBFGS(Method):
    """Limited-memory BFGS for smooth functions on a box (scipy's L-BFGS-B).

    ``x <- x + a (z - x)``, where z minimises on the box the quadratic model whose Hessian is built
    from the last pairs of steps and gradient differences, and a fulfils the Wolfe conditions.

    Attributes
    ----------
    memory : int
        Pairs kept.

    Notes
    -----
    Rate: R-linear for strongly convex f [1]_. Cost per iteration: 4 n memory flops and about one
    evaluation with gradient. Memory: 2 n memory numbers.

    The outside code is called once: limits are looked at when it is back, and an interrupt returns
    the start. It is started again from where it stopped, with an empty memory, as long as that
    lowers f and the projected gradient is above ``tol * scale``, 20 times at most and not from
    points that ran away (unbounded functions). A trial point where f or its
    gradient is nan or infinite counts as a high one, so that the line search turns back.

    References
    ----------
    .. [1] Liu and Nocedal (1989), On the limited memory BFGS method for large scale optimization.
    .. [2] Byrd, Lu, Nocedal and Zhu (1995), A limited memory algorithm for bound constrained
       optimization.

    Examples
    --------
    >>> import fejer
    >>> from scipy.optimize import rosen, rosen_der
    >>> result = fejer.minimize(rosen, [-1.2, 1.0], jac=rosen_der, method="lbfgs", tol=1e-8)
    >>> result.success
    True
    """

    memory: int = option(10, least=1, most=1000, doc="pairs of steps and gradient differences kept")

    name, solves = "lbfgs", (SmoothProblem, MapFit)
    cites = ("Liu and Nocedal (1989)", "Byrd, Lu, Nocedal and Zhu (1995)")
    one_shot = True

    @property
    def rate(self) -> Rate:
        """R-linear convergence for strongly convex functions."""
        return Rate(
            "f(x_k) - f* <= r^k (f(x_0) - f*) for some r < 1 (Liu and Nocedal 1989)",
            "linear",
            assumptions="f twice differentiable with 0 < m <= Hessian <= M, no active bounds",
        )

    def prepare(self, problem: SmoothProblem, tol: float, rng: np.random.Generator) -> float:
        """Return the projected gradient that is small enough."""
        return tol * problem.scale

    def begin(
        self, problem: SmoothProblem, prep: float, start: Start, rng: np.random.Generator
    ) -> LBFGSState:
        """Start at the projection of the given point, where the functions must be finite."""
        x = problem.project(start.x)
        problem.oracle(x).require_finite()
        return LBFGSState(x, work=1, nfev=1 + problem.difference_calls)

    def advance(self, problem: SmoothProblem, prep: float, state: LBFGSState, n: int) -> bool:
        """Run to the end at the first call."""
        if state.finished:
            return True
        from scipy.optimize import Bounds, minimize

        bounds = None if problem.bounds is None else Bounds(*problem.bounds.T)
        options: Any = {"maxcor": self.memory, "gtol": prep, "ftol": 0.0, "maxls": 50}
        options |= {"maxiter": ROUND}
        most = getattr(problem, "most_evaluations", 10 * ROUND * ROUNDS)
        oracle: Any = _Guarded(problem, state.x)
        nit, f = 0, problem.oracle(state.x).fun
        for _ in range(ROUNDS):
            before = f
            options["maxfun"] = min(10 * ROUND, most - oracle.calls)
            answer = minimize(
                oracle,
                state.x,
                jac=True,
                method="L-BFGS-B",
                bounds=bounds,
                callback=oracle.watch,
                options=options,
            )
            nit += int(answer.nit)
            x = problem.project(np.asarray(answer.x, dtype=np.float64))
            f = problem.oracle(x).fun
            if not f < before:  # also where f is nan: the start of this round is the best point
                if f == before and oracle.slope(x) < oracle.slope(state.x):
                    state.x = x
                break
            state.x = x
            if oracle.slope(x) <= prep or oracle.ran_away(x) or oracle.calls >= most:
                break
        state.finished = True
        state.nit += max(1, nit)
        state.work += oracle.calls
        state.nfev += oracle.calls * (1 + problem.difference_calls)
        return True


class _Guarded:
    """Value and gradient, with a wall where they are not finite."""

    def __init__(self, problem: SmoothProblem, x: Array) -> None:
        self.problem, self.calls = problem, 0
        self.highest = problem.oracle(x).fun
        self.far = RUNAWAY * max(1.0, float(np.abs(x).max()))

    def __call__(self, x: Any) -> tuple[float, Array]:
        self.calls += 1
        at = self.problem.oracle(np.ascontiguousarray(x, dtype=np.float64))
        if at.not_finite():
            return self.highest + max(1.0, abs(self.highest)), np.zeros_like(at.x)
        self.highest = max(self.highest, at.fun)
        return at.fun, at.grad.copy()

    def ran_away(self, x: Array) -> bool:
        """Return whether x is where only unbounded functions lead."""
        return bool(np.abs(x).max() > self.far)

    def watch(self, intermediate_result: Any) -> None:
        """Stop scipy at a point that ran away."""
        if self.ran_away(intermediate_result.x):
            raise StopIteration

    def slope(self, x: Array) -> float:
        """Return the projected gradient."""
        value = self.problem.judge(x).details.get("projected_gradient", np.inf)
        return float(value)
