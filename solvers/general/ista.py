"""The proximal gradient method for the Lasso and its relatives."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from fejer.evidence import Array
from fejer.method import Method, Rate, Start, State, option, register
from fejer.problems.forms import Blockwise

from ._patterns import pattern_changed
from ._proximal import forward_step
from ._rates import excess
from ._smooth import Smooth, smooth, unsupported

__all__ = ["ISTA", "ISTAState"]


@dataclass
class ISTAState(State):
    """The point and its product with the data."""

    w: Array
    fit: Array
    identified_at: int = 0  # the last iteration that changed which coefficients are 0
    finished: bool = False


@register
@dataclass(frozen=True, eq=False)
class ISTA(Method):
    """Iterative soft thresholding (ISTA), the proximal gradient method without acceleration.

    ``w+ = prox(w - (step/L) grad f(w))``, f a sum of squares or the
    logistic loss, L a bound of the norm of its Hessian.

    Attributes
    ----------
    step : float
        In units of 1/L, in (0, 1].

    Notes
    -----
    Rate: ``F(w_k) - F* <= L ||w_0 - w*||^2 / (2 step k)``, and the objective never increases. Near
    the solution it is linear once the pattern of zeros is found, if the active columns are
    independent. It is a baseline: `fista` costs
    the same and needs about the square root of the iterations.

    Cost per iteration: two products with X. Memory: two vectors of n and of d entries.

    References
    ----------
    .. [1] I. Daubechies, M. Defrise, C. De Mol (2004). An iterative thresholding algorithm for
       linear inverse problems with a sparsity constraint, Communications on Pure and Applied
       Mathematics 57.
    .. [2] A. Beck, M. Teboulle (2009). A fast iterative shrinkage-thresholding algorithm for
       linear inverse problems, SIAM Journal on Imaging Sciences 2, 183-202.

    Examples
    --------
    >>> import fejer
    >>> fejer.minimize(fejer.Lasso.random(), method="ista").success
    True
    """

    step: float = option(1.0, above=0, most=1, doc="step size in units of 1/L")

    name = "ista"
    solves = (Blockwise,)
    cites = ("Daubechies, Defrise, De Mol (2004)", "Beck, Teboulle (2009)")

    @property
    def rate(self) -> Rate:
        """The theorem on the objective."""

        def bound(problem: Any, x0: Array, xstar: Array, k: int) -> float:
            if k == 0:
                return math.inf
            ready = smooth(problem)
            apart = ready.enter(x0) - ready.enter(xstar)
            return 0.5 * ready.bound / (self.step * k) * float(apart @ apart)

        return Rate(
            "e_k = F(w_k) - F* <= L ||w_0 - w*||^2/(2 step k) (Beck, Teboulle 2009)",
            "sublinear",
            1.0,
            assumptions="convex; any penalty",
            measure=excess,
            bound=bound,
        )

    def supports(self, problem: Any) -> str | None:
        """Return None for penalised least squares and logistic regression."""
        return unsupported(problem)

    def prepare(self, problem: Any, tol: float, rng: np.random.Generator) -> Smooth:
        """Take the loss; the bound of its curvature is computed once per matrix."""
        return smooth(problem)

    def begin(
        self, problem: Any, prep: Smooth, start: Start, rng: np.random.Generator
    ) -> ISTAState:
        """Start from the given coefficients, projected on the box."""
        w = prep.enter(start.x)
        return ISTAState(w, prep.product(w))

    def advance(self, problem: Any, prep: Smooth, state: ISTAState, n: int) -> bool:
        """Make n iterations."""
        step = self.step / (prep.bound or 1.0)
        for _ in range(n):
            if state.finished:
                return True
            w = state.w
            state.w, _, moved = forward_step(prep, w, prep.pull(state.fit), w, step)
            state.fit = prep.product(state.w)
            state.nit += 1
            state.work += 2 * w.size
            if pattern_changed(w, state.w, prep.lower, prep.upper):
                state.identified_at = state.nit
            state.finished = moved == 0.0
        return state.finished

    def point(self, problem: Any, prep: Smooth, state: ISTAState) -> Array:
        """Return the coefficients, and the constant behind them."""
        return prep.leave(state.w)
