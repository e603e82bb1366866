"""Accelerated proximal gradient."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fejer.evidence import Array
from fejer.jit import kernel
from fejer.method import Method, Rate, Start, State, option, register
from fejer.problems.forms import Blockwise

from ._patterns import pattern_changed
from ._proximal import forward_step
from ._rates import excess
from ._smooth import Smooth, smooth, unsupported

if TYPE_CHECKING:
    from fejer.problem import Problem

__all__ = ["FISTA", "FISTAState"]


@dataclass
class FISTAState(State):
    """The point, the extrapolated point, their products with Z, and the momentum."""

    w: Array
    fit: Array
    ahead: Array
    fit_ahead: Array
    value: float
    run: int = 1  # iterations since the last restart, the coming one included
    t: float = 1.0
    restarts: int = 0
    identified_at: int = 0  # the last iteration that changed which coefficients are 0
    finished: bool = False


class _Prepared(NamedTuple):
    """Constants of a run."""

    ready: Smooth
    step: float
    function: bool
    gradient: bool
    nesterov: bool


@register
@dataclass(frozen=True, eq=False)
class FISTA(Method):
    """Accelerated proximal gradient (FISTA) with adaptive restart.

    ``w+ = prox(v - (step/L) grad f(v))``, ``v+ = w+ + (t - 1)/t+ (w+ - w)``, f a sum of squares,
    the logistic or the multinomial loss, L a bound of the norm of its Hessian.

    Attributes
    ----------
    acceleration : str
        "nesterov": ``t+ = (1 + sqrt(1 + 4 t^2))/2``; "chambolle-dossal": ``t_k = (k + 2)/3``, with
        which the iterates themselves converge.
    restart : str or None
        When the momentum is dropped: "gradient", where the last step points uphill, ``(v - w+)'(w+
        - w) > 0``; "function", where the objective has grown; None: never.
    step : float
        In units of 1/L, in (0, 1].

    Notes
    -----
    Rate, without restart: ``F(w_k) - F* <= 2 L ||w_0 - w*||^2 / (step (k + 1)^2)``. With restart
    it becomes linear near the solution where the active columns are independent, which is what is
    seen in practice; no constant is proven for it.

    Cost per iteration: two products with X. Memory: two vectors of n and two of d entries. L is
    computed once per matrix, from above. The columns are centred where
    there is a constant, which is then no coordinate of least squares and one of logistic
    regression.

    References
    ----------
    .. [1] A. Beck, M. Teboulle (2009). A fast iterative shrinkage-thresholding algorithm for
       linear inverse problems, SIAM Journal on Imaging Sciences 2, 183-202.
    .. [2] B. O'Donoghue, E. Candes (2015). Adaptive restart for accelerated gradient schemes,
       Foundations of Computational Mathematics 15, arXiv:1204.3982.
    .. [3] A. Chambolle, C. Dossal (2015). On the convergence of the iterates of the fast iterative
       shrinkage/thresholding algorithm, Journal of Optimization Theory and Applications 166.

    Examples
    --------
    >>> import fejer
    >>> result = fejer.minimize(fejer.Lasso.random(), method="fista")
    >>> result.success
    True
    """

    acceleration: str = option(
        "nesterov", choices=("nesterov", "chambolle-dossal"), doc="sequence of the momentum"
    )
    restart: str | None = option(
        "gradient", choices=("gradient", "function"), doc="when the momentum is dropped"
    )
    step: float = option(1.0, above=0, most=1, doc="step size in units of 1/L")

    name = "fista"
    solves = (Blockwise,)
    cites = ("Beck, Teboulle (2009)", "arXiv:1204.3982", "Chambolle, Dossal (2015)")

    @property
    def rate(self) -> Rate:
        """The theorem for the sequence; with restart it holds between two restarts only."""
        nesterov = self.acceleration == "nesterov"
        right = "2 L R^2/(step (k+1)^2)" if nesterov else "9 L R^2/(2 step (k+2)^2)"
        if self.restart is not None:
            return Rate(
                f"e_k <= {right} from one restart to the next, R the distance at the restart",
                "sublinear",
                2.0,
                assumptions="k counts from the last restart",
                measure=excess,
                worst_case=_chain,
            )

        def bound(problem: Any, x0: Array, xstar: Array, k: int) -> float:
            if k == 0:
                return math.inf
            ready = smooth(problem)
            apart = ready.enter(x0) - ready.enter(xstar)
            size = ready.bound / self.step * float(apart @ apart)
            return 2.0 * size / (k + 1) ** 2 if nesterov else 4.5 * size / (k + 2) ** 2

        return Rate(
            f"e_k = F(w_k) - F* <= {right}, R = ||w_0 - w*|| (Beck, Teboulle 2009)"
            if nesterov
            else f"e_k = F(w_k) - F* <= {right}, R = ||w_0 - w*|| (Chambolle, Dossal 2015)",
            "sublinear",
            2.0,
            assumptions="convex; any penalty and box",
            measure=excess,
            bound=bound,
            worst_case=_chain,
        )

    def supports(self, problem: Any) -> str | None:
        """Return None for penalised least squares and logistic regression."""
        return unsupported(problem, whole=True)

    def prepare(self, problem: Any, tol: float, rng: np.random.Generator) -> _Prepared:
        """Compute the step from the spectral norm."""
        ready = smooth(problem)
        curvature = ready.bound or 1.0
        return _Prepared(
            ready,
            self.step / curvature,
            self.restart == "function",
            self.restart == "gradient",
            self.acceleration == "nesterov",
        )

    def begin(
        self, problem: Any, prep: _Prepared, start: Start, rng: np.random.Generator
    ) -> FISTAState:
        """Start from the given coefficients, projected on the box."""
        w = prep.ready.enter(start.x)
        fit = prep.ready.product(w)
        return FISTAState(w, fit, w.copy(), fit.copy(), _value(prep.ready, w, fit))

    def advance(self, problem: Any, prep: _Prepared, state: FISTAState, n: int) -> bool:
        """Make n iterations."""
        ready = prep.ready
        for _ in range(n):
            if state.finished:
                return True
            pull = ready.pull(state.fit_ahead)
            new, uphill, moved = forward_step(ready, state.ahead, pull, state.w, prep.step)
            fit = ready.product(new)
            again = prep.gradient and uphill > 0.0
            if prep.function:
                value = _value(ready, new, fit)
                again = value > state.value
                state.value = value
            if again:
                state.t, state.run, momentum = 1.0, 1, 0.0
                state.restarts += 1
            else:
                state.run += 1
                root = math.sqrt(1.0 + 4.0 * state.t * state.t)
                t = 0.5 * (1.0 + root) if prep.nesterov else (state.run + 2) / 3.0
                momentum = (state.t - 1.0) / t
                state.t = t
            if pattern_changed(state.w, new, ready.lower, ready.upper):
                state.identified_at = state.nit + 1
            extrapolate(new, state.w, state.ahead, momentum)
            extrapolate(fit, state.fit, state.fit_ahead, momentum)
            state.nit += 1
            state.work += 2 * new.size
            state.finished = moved == 0.0
        return state.finished

    def point(self, problem: Any, prep: _Prepared, state: FISTAState) -> Array:
        """Return the coefficients, and the best constant behind them."""
        return prep.ready.leave(state.w)


def _value(ready: Smooth, w: Array, fit: Array) -> float:
    return ready.loss(fit) + ready.penalty(w)


def _chain(k: int) -> Problem:
    """Nesterov's chain of 2k + 1 unknowns: no first-order method gets far in k iterations."""
    from fejer.problems.sparse.box_least_squares import BoxLeastSquares

    d = 2 * max(1, k) + 1
    X = np.zeros((d + 1, d))
    X[np.arange(d), np.arange(d)] = 0.5
    X[np.arange(1, d + 1), np.arange(d)] = -0.5
    y = np.zeros(d + 1)
    y[0] = 0.5
    return BoxLeastSquares(X, y, lower=-np.inf)


@kernel
def extrapolate(new, old, ahead, momentum):
    """``ahead = new + momentum (new - old)``, then ``old = new``."""
    for j in range(new.size):
        ahead[j] = new[j] + momentum * (new[j] - old[j])
        old[j] = new[j]
