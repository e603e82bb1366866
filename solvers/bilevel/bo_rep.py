"""Normalised steps with momentum, and lower steps now and then: bilevel without smoothness."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from fejer.evidence import Array
from fejer.method import Method, Rate, Start, State, option, register
from fejer.numerics.random import seed_state
from fejer.problem import witness_array
from fejer.problems.bilevel._assessment import norm
from fejer.problems.bilevel._lower_level import LowerLevel
from fejer.solvers.bilevel._lower import unfit
from fejer.solvers.bilevel._samples import part

__all__ = ["BoRep"]


@dataclass
class BoRepState(State):
    """The point, lower solution, adjoint, and the direction that is remembered.

    Attributes
    ----------
    x, y, z : array
        Upper variable, lower variable, adjoint.
    momentum : array
        Average of the past hypergradients.
    words : array of uint64, shape (4,)
        State of the generator.
    finished : bool
        All steps are made, or something is not finite.
    """

    x: Array
    y: Array
    z: Array
    momentum: Array
    words: Any
    finished: bool = False


@register
@dataclass(frozen=True, eq=False)
class BoRep(Method):
    """Stochastic bilevel steps of fixed length: for hypergradients without a Lipschitz constant.

    Notes
    -----
    The lower level is first solved roughly by `warm` gradient steps (initialisation refinement).
    Iteration k then, on new samples each time,

    * if k is a multiple of `period`: makes `inner` gradient steps of length ``lower_step/L`` on y
      and takes their mean, projected on the ball of radius `radius` around the y before;
    * ``z <- z - adjoint_step/L (H z - grad_y F)``;
    * ``m <- beta m + (1 - beta)(grad_x F - J'z)``;
    * ``x <- P(x - eta_k m/||m||)`` with ``eta_k = eta sqrt(n) (1 - k/steps)``; ``decay=0`` keeps
      the length.

    The steps end after `steps` iterations, and the method with them.

    Rate: ``O~(eps^-4)`` samples to ``E ||grad Phi|| <= eps``, though the smoothness of Phi grows
    with its gradient [1]_. The normalisation is what makes it safe: no step is longer than eta.
    Cost per iteration: one product with H and one with J' over a batch, `inner` lower gradients
    every `period` iterations. Memory: O(n + m).
    Certificate: of the problem, which solves the lower level itself. A stochastic method comes
    near; the certificate says how near.
    Pitfall: x moves by eta at most, so that `steps` times eta must suffice for the way.

    References
    ----------
    .. [1] Hao, Gong, Liu (2024), Bilevel optimization under unbounded smoothness: a new algorithm
       and convergence analysis, arXiv 2401.09587.

    Examples
    --------
    >>> import fejer
    >>> problem = fejer.UnboundedSmoothBilevel()
    >>> options = {"batch": 5, "steps": 4000}
    >>> result = fejer.minimize(problem, method="bo-rep", options=options)
    >>> result.certificate.value < 0.02
    True
    """

    batch: int = option(32, least=1, doc="samples of each level")
    steps: int = option(500, least=1, doc="iterations in all")
    warm: int = option(100, least=0, doc="lower steps before the first")
    period: int = option(2, least=1, doc="iterations between lower steps")
    inner: int = option(3, least=1, doc="lower steps at a time, averaged")
    radius: float | None = option(None, above=0, doc="of the ball that y may not leave meanwhile")
    beta: float = option(0.9, least=0, below=1, doc="share of the old direction")
    eta: float = option(0.05, above=0, doc="length of the first step, per root of n")
    decay: float = option(1.0, least=0, most=1, doc="share of the length that is lost to the end")
    lower_step: float = option(0.5, above=0, below=2, doc="step in y, times L")
    adjoint_step: float = option(0.5, above=0, below=2, doc="step in z, times L")

    name, solves = "bo-rep", (LowerLevel,)
    cites = ("Hao, Gong, Liu (2024), arXiv 2401.09587",)
    reach = None

    @property
    def rate(self) -> Rate:
        """Complexity in samples."""
        return Rate(
            "O~(eps^-4) samples to E ||grad Phi|| <= eps (Hao, Gong, Liu 2024)",
            "sublinear",
            0.25,
            assumptions="f(x, .) smooth and strongly convex, F smooth up to its gradient's size, "
            "noise of bounded variance",
        )

    def supports(self, problem: Any) -> str | None:
        """The lower level must be smooth and have one solution."""
        return unfit(problem)

    def begin(
        self, problem: LowerLevel, prep: Any, start: Start, rng: np.random.Generator
    ) -> BoRepState:
        """Take the first lower steps."""
        x = problem.project(start.x)[0]
        y = witness_array(start.witness, "y", problem.lower_size)
        z = witness_array(start.witness, "adjoint", problem.lower_size)
        y = problem.lower_start() if y is None else y
        z = np.zeros_like(y) if z is None else z
        state = BoRepState(x, y.copy(), z.copy(), np.zeros_like(x), seed_state(rng))
        with np.errstate(all="ignore"):
            for _ in range(self.warm):
                self._descend(problem, state)
        return state

    def advance(self, problem: LowerLevel, prep: Any, state: BoRepState, n: int) -> bool:
        """Make up to n iterations."""
        with np.errstate(all="ignore"):
            for _ in range(n):
                if state.finished or state.nit >= self.steps:
                    return True
                self._step(problem, state)
                state.nit += 1
        return state.nit >= self.steps

    def witness(self, problem: LowerLevel, prep: Any, state: BoRepState) -> dict[str, Array]:
        """Return the lower solution."""
        return {"y": state.y}

    # ---- parts of an iteration -----------------------------------------------------------------
    def _descend(self, problem: LowerLevel, state: BoRepState) -> None:
        sample = part(problem, state.words, self.batch)
        step = self.lower_step / problem.constants(state.x).lipschitz
        state.y = state.y - step * sample.lower_gradient(state.x, state.y)
        state.work += 1

    def _refresh(self, problem: LowerLevel, state: BoRepState) -> None:
        """Average some lower steps, near the y before."""
        before, total = state.y, np.zeros_like(state.y)
        for _ in range(self.inner):
            self._descend(problem, state)
            total += state.y
        mean = total / self.inner
        away = norm(mean - before)
        if self.radius is not None and away > self.radius:
            mean = before + self.radius / away * (mean - before)
        state.y = mean

    def _step(self, problem: LowerLevel, state: BoRepState) -> None:
        if state.nit % self.period == 0:
            self._refresh(problem, state)
        x, y = state.x, state.y
        sample = part(problem, state.words, self.batch)
        upper = sample.upper_level(x, y)
        rest = sample.hessian(x, y)(state.z) - upper.grad_y
        z = state.z - self.adjoint_step / problem.constants(x).lipschitz * rest
        g = -part(problem, state.words, self.batch).cross(x, y, z)
        if upper.grad_x is not None:
            g = g + upper.grad_x
        state.work += 4
        momentum = self.beta * state.momentum + (1 - self.beta) * g
        size = norm(momentum)
        length = self.eta * math.sqrt(x.size) * (1 - self.decay * state.nit / self.steps)
        moved = problem.project(x - length / (size + 1e-300) * momentum)[0]
        state.finished = not (np.isfinite(moved).all() and np.isfinite(z).all())
        if not state.finished:
            state.x, state.z, state.momentum = moved, z, momentum
