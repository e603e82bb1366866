"""Simultaneous stochastic steps on lower solution, adjoint and upper variable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fejer.evidence import Array
from fejer.method import Method, Rate, Start, State, option, register
from fejer.numerics.random import seed_state
from fejer.problem import witness_array
from fejer.problems.bilevel._lower_level import LowerLevel
from fejer.solvers.bilevel._lower import unfit
from fejer.solvers.bilevel._samples import part

__all__ = ["Soba"]


@dataclass
class SobaState(State):
    """The three variables.

    Attributes
    ----------
    x, y, z : array
        Upper variable, lower variable, adjoint.
    words : array of uint64, shape (4,)
        State of the generator.
    finished : bool
        All steps are made, or something is not finite.
    """

    x: Array
    y: Array
    z: Array
    words: Any
    finished: bool = False


@register
@dataclass(frozen=True, eq=False)
class Soba(Method):
    """Stochastic gradient steps on all variables of a bilevel problem at once.

    Notes
    -----
    One iteration, all three directions at the old point and on one batch of samples:

    * ``y <- y - rho_k/L grad_y f``,
    * ``z <- z - rho_k/L (H z - grad_y F)``,
    * ``x <- P(x - gamma_k (grad_x F - J'z))``,

    with ``rho_k = rho (k + 1)^-decay``, ``gamma_k = gamma (k + 1)^-decay``. The method ends after
    `steps` iterations.

    Rate: with decreasing steps ``O(k^-1/2)`` for the mean of ``||grad Phi||^2`` [1]_; without noise
    and with constant steps, ``O(1/k)``.
    Cost per iteration: one gradient, one product with H and one with J' over a batch. Memory:
    O(n + m).
    Certificate: of the problem, which solves the lower level itself.
    Pitfall: gamma has to fit the curvature of Phi, which is not known; where it varies much
    (`UnboundedSmoothBilevel`) no gamma fits.

    References
    ----------
    .. [1] Dagreou, Ablin, Vaiter, Moreau (2022), A framework for bilevel optimization that enables
       stochastic and global variance reduction algorithms, arXiv 2201.13409.

    Examples
    --------
    >>> import fejer
    >>> problem = fejer.RidgeBilevel.random()
    >>> result = fejer.minimize(problem, method="soba", options={"steps": 5000})
    >>> result.certificate.value < 0.1
    True
    """

    batch: int = option(32, least=1, doc="samples of each level")
    steps: int = option(500, least=1, doc="iterations in all")
    rho: float = option(0.5, above=0, below=2, doc="first step in y and in the adjoint, times L")
    gamma: float = option(0.1, above=0, doc="first step in x")
    decay: float = option(0.0, least=0, most=1, doc="steps fall like (k+1)^-decay")

    name, solves = "soba", (LowerLevel,)
    cites = ("Dagreou, Ablin, Vaiter, Moreau (2022), arXiv 2201.13409",)
    reach = None

    @property
    def rate(self) -> Rate:
        """The rate with decreasing steps."""
        return Rate(
            "mean over k <= K of E ||grad Phi(x_k)||^2 = O(K^-1/2) with steps like k^-1/2 "
            "(Dagreou et al. 2022)",
            "sublinear",
            0.5,
            assumptions="f(x, .) smooth and strongly convex, grad Phi Lipschitz, noise of bounded "
            "variance, small steps",
        )

    def supports(self, problem: Any) -> str | None:
        """The lower level must be smooth and have one solution."""
        return unfit(problem)

    def begin(
        self, problem: LowerLevel, prep: Any, start: Start, rng: np.random.Generator
    ) -> SobaState:
        """Take the trivial lower solution, or the one that is given."""
        x = problem.project(start.x)[0]
        y = witness_array(start.witness, "y", problem.lower_size)
        z = witness_array(start.witness, "adjoint", problem.lower_size)
        y = problem.lower_start() if y is None else y
        z = np.zeros_like(y) if z is None else z
        return SobaState(x, y.copy(), z.copy(), seed_state(rng))

    def advance(self, problem: LowerLevel, prep: Any, state: SobaState, n: int) -> bool:
        """Make up to n iterations."""
        with np.errstate(all="ignore"):
            for _ in range(n):
                if state.finished or state.nit >= self.steps:
                    return True
                self._step(problem, state)
                state.nit += 1
        return state.nit >= self.steps

    def witness(self, problem: LowerLevel, prep: Any, state: SobaState) -> dict[str, Array]:
        """Return the lower solution."""
        return {"y": state.y}

    def _step(self, problem: LowerLevel, state: SobaState) -> None:
        x, y, z = state.x, state.y, state.z
        falls = float(state.nit + 1) ** -self.decay
        inner = self.rho * falls / problem.constants(x).lipschitz
        sample = part(problem, state.words, self.batch)
        upper = sample.upper_level(x, y)
        g = -sample.cross(x, y, z)
        if upper.grad_x is not None:
            g = g + upper.grad_x
        lower = y - inner * sample.lower_gradient(x, y)
        adjoint = z - inner * (sample.hessian(x, y)(z) - upper.grad_y)
        moved = problem.project(x - self.gamma * falls * g)[0]
        state.work += 4
        state.finished = not all(np.isfinite(v).all() for v in (moved, lower, adjoint))
        if not state.finished:
            state.x, state.y, state.z = moved, lower, adjoint
