"""Adam: gradient steps scaled by running means of the squares."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fejer.evidence import Array
from fejer.method import Method, Rate, Start, State, option, register
from fejer.problems.transport.map_fit import MapFit

__all__ = ["Adam"]

TINY = 1e-8


@dataclass
class AdamState(State):
    x: Array
    mean: Array
    square: Array
    gradient: Array


@register
@dataclass(frozen=True, eq=False)
class Adam(Method):
    """Gradient descent with momentum and a step for each coordinate.

    ``m <- b1 m + (1 - b1) g``, ``v <- b2 v + (1 - b2) g^2``,
    ``x <- x - step_k (m / (1 - b1^k)) / (sqrt(v / (1 - b2^k)) + 1e-8)``.

    Parameters
    ----------
    step : float, default 1e-2
        Step in the first iterations, in units of the parameters.
    decay : float, default 200
        The step falls as ``1 / (1 + k / decay)``.
    beta1, beta2 : float, default 0.9 and 0.999
        Memory of the running means.
    steps : int, default 500
        Iterations after which the run ends: more of them hardly gain.

    Notes
    -----
    All points are used at every step, so that a run is repeatable. This is the baseline of papers
    on neural maps; `lbfgs` is far more accurate on deterministic objectives.

    Rate: for convex f with bounded gradients the best value falls as ``log k / sqrt(k)`` where the
    step falls as ``1 / sqrt(k)`` and ``beta1`` decays; nothing is proven for these objectives.

    Cost per iteration: one evaluation. Memory: four vectors. Work: evaluations.

    References
    ----------
    .. [1] D. Kingma, J. Ba (2015), Adam: a method for stochastic optimization, arXiv:1412.6980.

    Examples
    --------
    >>> import fejer
    >>> problem = fejer.MapFit.random()
    >>> result = fejer.minimize(problem, method="adam", max_iter=50)
    >>> result.fun < problem.objective(problem.initial_point())
    True
    """

    step: float = option(1e-2, above=0, doc="first step, in units of the parameters")
    decay: float = option(200.0, above=0, doc="iterations after which the step has halved")
    beta1: float = option(0.9, least=0, below=1, doc="memory of the mean of gradients")
    beta2: float = option(0.999, least=0, below=1, doc="memory of the mean of squares")

    steps: int = option(500, least=1, most=10**9, doc="iterations after which the run ends")

    name = "adam"
    solves = (MapFit,)
    cites = ("arXiv:1412.6980",)
    reach = None

    @property
    def rate(self) -> Rate:
        """Sublinear convergence under assumptions that are stated."""
        return Rate(
            "min_k f(x_k) - f* = O(log k / sqrt(k)) for steps of 1 / sqrt(k) (Kingma and Ba 2015)",
            "sublinear",
            0.5,
            assumptions="f convex, gradients and iterates bounded, beta1 decaying",
        )

    def begin(
        self, problem: MapFit, prep: None, start: Start, rng: np.random.Generator
    ) -> AdamState:
        """Start at the given point, where the objective must be finite."""
        at = problem.oracle(start.x)
        at.require_finite()
        zeros = np.zeros_like(start.x)
        return AdamState(start.x, zeros, zeros.copy(), at.grad.copy(), work=1)

    def advance(self, problem: MapFit, prep: None, state: AdamState, n: int) -> bool:
        """Make up to n steps."""
        for _ in range(n):
            if state.nit >= self.steps:
                return True
            g = state.gradient
            k = state.nit + 1
            state.mean = self.beta1 * state.mean + (1 - self.beta1) * g
            state.square = self.beta2 * state.square + (1 - self.beta2) * g * g
            size = np.sqrt(state.square / (1 - self.beta2**k)) + TINY
            step = self.step / (1.0 + state.nit / self.decay)
            x = state.x - step * (state.mean / (1 - self.beta1**k)) / size
            at = problem.oracle(x)
            if at.not_finite():
                return True
            state.x, state.gradient = x, at.grad.copy()
            state.nit += 1
            state.work += 1
        return False
