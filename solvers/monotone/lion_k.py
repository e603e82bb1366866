"""Momentum through the slope of a convex function, with weight decay."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from fejer.evidence import Array
from fejer.method import Method, Rate, Start, State, option, register
from fejer.problems.monotone.dual_norm_composite import DualNormComposite

OUTSIDE = 1e-9  # relative distance from the domain up to which rounding explains it


@dataclass
class LionKState(State):
    """The iterate and the momentum."""

    x: Array
    momentum: Array
    lyapunov: float = math.inf  # at x and momentum; infinite outside the domain


@register
@dataclass(frozen=True, eq=False)
class LionK(Method):
    """Lion-K: sign-like steps along a momentum, with weight decay.

    With ``g = grad f(x)``: ``c = beta1 m - (1 - beta1) g``, ``x <- (x + e dK(c)) / (1 + e lam)``,
    ``m <- beta2 m - (1 - beta2) g``, dK a subgradient of K that is 0 at 0. K = l1 is Lion, K = l2
    normalised gradient descent with momentum.

    Parameters
    ----------
    step : float or None, default None
        e at the start. None: ``0.3 / lam``.
    decay : float or None, default 10.0
        ``e_k = e / (1 + k / decay)``. None: constant steps, which leave an error of the order e.
    beta1 : float, default 0.9
        Share of the momentum in a step.
    beta2 : float, default 0.99
        Memory of the momentum.
    implicit : bool, default True
        Weight decay as above; False: ``x <- (1 - e lam) x + e dK(c)``.

    Notes
    -----
    Two phases [1]_: the distance of ``lam x`` to the domain of K* falls by the factor
    ``1 / (1 + e lam)`` or faster in each iteration; inside, the function
    ``H = f(x) + K*(lam x) / lam + w (K*(lam x) + K(m) - lam m'x)``,
    ``w = beta1 e / (1 - beta2 + (1 - beta1) e lam)``, never increases along the differential
    equation whose Euler steps these are, and the steps follow it up to O(e); limit points solve
    ``min f(x) + K*(lam x) / lam``. The trace has H as ``lyapunov``. There is no rate for the
    certificate: the objective becomes accurate long before the gap does, since the gap holds the l1
    norm of the gradient.

    The point judged is the iterate projected on the domain.

    Cost per iteration: one gradient and f, about eight passes over x. Memory: two vectors.

    Pitfalls: for accurate solutions of convex problems use ``forward-backward``.

    References
    ----------
    .. [1] Chen, Liu, Liang, Liu (2024), Lion secretly solves constrained optimization: as Lyapunov
       predicts, ICLR, arXiv:2310.05898.

    Examples
    --------
    >>> import fejer
    >>> problem = fejer.DualNormComposite.random()
    >>> fejer.minimize(problem, method="lion-k", tol=1e-2).success
    True
    """

    step: float | None = option(None, above=0, doc="e at the start; None: 0.3 / lam")
    decay: float | None = option(10.0, above=0, doc="e_k = e / (1 + k / decay); None: constant")
    beta1: float = option(0.9, least=0, below=1, doc="share of the momentum in a step")
    beta2: float = option(0.99, least=0, below=1, doc="memory of the momentum")
    implicit: bool = option(True, doc="weight decay by division")

    name = "lion-k"
    solves = (DualNormComposite,)
    cites = ("arXiv:2310.05898",)
    reach = 1e-2

    @property
    def rate(self) -> Rate | None:
        """The first phase."""
        return Rate(
            "dist(lam x, dom K*) falls by 1 / (1 + e lam) or faster (arXiv:2310.05898)",
            "linear",
            assumptions="constant steps; no rate is known inside the domain",
        )

    def begin(self, problem: Any, prep: Any, start: Start, rng: np.random.Generator) -> Any:
        """Begin without momentum."""
        problem.inclusion().check_start(start.x)
        state = LionKState(start.x, np.zeros_like(start.x))
        state.lyapunov = self._lyapunov(problem, state)
        return state

    def _step(self, problem: Any, nit: int) -> float:
        first = 0.3 / problem.lam if self.step is None else self.step
        return first if self.decay is None else first / (1.0 + nit / self.decay)

    def _lyapunov(self, problem: Any, state: Any) -> float:
        """H; f at x is what the next iteration asks for, too, and remembered."""
        x, m, lam, norm = state.x, state.momentum, problem.lam, problem.norm
        e = self._step(problem, state.nit)
        z = lam * x
        inside = norm.project(z)
        off = float(np.linalg.norm(z - inside))
        if not off <= OUTSIDE * max(1.0, float(np.linalg.norm(inside))):
            return math.inf
        penalty = float(norm.conjugate(inside))
        weight = self.beta1 * e / (1.0 - self.beta2 + (1.0 - self.beta1) * e * lam)
        rest = penalty + float(norm.value(m)) - float(m @ inside)
        return float(problem.oracle(x)[0]) + penalty / lam + weight * rest

    def advance(self, problem: Any, prep: Any, state: Any, n: int) -> bool:
        """Make n iterations."""
        lam, x, m = problem.lam, state.x, state.momentum
        for _ in range(n):
            e = self._step(problem, state.nit)
            g = problem.oracle(x)[1]
            slope = problem.norm.slope(self.beta1 * m - (1.0 - self.beta1) * g)
            x *= 1.0 if self.implicit else 1.0 - e * lam
            x += e * slope
            if self.implicit:
                x /= 1.0 + e * lam
            m *= self.beta2
            m -= (1.0 - self.beta2) * g
            state.nit += 1
            state.work += 1
            state.nfev += 1
        state.lyapunov = self._lyapunov(problem, state)
        return False

    def point(self, problem: Any, prep: Any, state: Any) -> Array:
        """Return the iterate, projected on the domain."""
        lam = problem.lam
        return problem.norm.project(lam * state.x) / lam  # type: ignore[no-any-return]
