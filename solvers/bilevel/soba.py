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
from fejer.problems.bilevel._sampling import Part
from fejer.solvers.bilevel._lower import unfit
from fejer.solvers.bilevel._samples import draw, part

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
    lower : array, shape (blocks, 2 m + n)
        Of each block of lower samples ``grad_y f``, ``H z`` and ``-J'z`` when it was last drawn.
    upper : array, shape (blocks, m + n)
        Of each block of upper samples ``grad_y F`` and ``grad_x F`` when it was last drawn.
    means : array, shape (3 m + 2 n,)
        Means of both tables. All three are empty with plain steps.
    excess : float
        Largest Lipschitz constant of a block, over that of all data; 1 with plain steps.
    finished : bool
        All steps are made, or something is not finite.
    """

    x: Array
    y: Array
    z: Array
    words: Any
    lower: Array
    upper: Array
    means: Array
    excess: float = 1.0
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

    ``estimator="saga"`` (SABA in [1]_) keeps what each block of samples said when last drawn, and
    replaces a batch's direction d by ``d - (its entry) + (mean of the table)``. Its noise vanishes
    as the iterates settle, so that constant steps lead to a stationary point. L is the largest
    of a block then, which such steps must respect.

    Rate: with decreasing steps ``O(k^-1/2)`` for the mean of ``||grad Phi||^2`` [1]_; with constant
    ones ``O(1/k)`` without noise, or with tables.
    Cost per iteration: one gradient, one product with H and one with J' over a batch; before the
    first, tables take a pass over the data. Memory: O(n + m), tables O(n + m) per block.
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
    estimator: str = option(
        "plain", choices=("plain", "saga"), doc="directions of a batch, or corrected by tables"
    )

    name, solves = "soba", (LowerLevel,)
    cites = ("Dagreou, Ablin, Vaiter, Moreau (2022), arXiv 2201.13409",)
    reach = None

    @property
    def rate(self) -> Rate:
        """The rate with decreasing steps, or with tables and constant ones."""
        if self.estimator == "saga":
            return Rate(
                "mean over k <= K of E ||grad Phi(x_k)||^2 = O(1/K) with constant steps "
                "(Dagreou et al. 2022, Theorem 3)",
                "sublinear",
                1.0,
                assumptions="f(x, .) smooth and strongly convex, grad Phi Lipschitz, small steps",
            )
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
        width = 2 * y.size + x.size, y.size + x.size
        blocks = self._blocks(problem) if self.estimator == "saga" else (0, 0)
        lower, upper = (np.zeros((count, size)) for count, size in zip(blocks, width, strict=True))
        words, means = seed_state(rng), np.zeros(sum(width))
        state = SobaState(x, y.copy(), z.copy(), words, lower, upper, means)
        if self.estimator == "saga":
            with np.errstate(all="ignore"):
                self._fill(problem, state)
        return state

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
        inner = self.rho * falls / (problem.constants(x).lipschitz * state.excess)
        if self.estimator == "saga":
            lower_part, upper_part = self._drawn(problem, state)
        else:
            lower_part, upper_part = _directions(part(problem, state.words, self.batch), x, y, z)
        m = y.size
        lower = y - inner * lower_part[:m]
        adjoint = z - inner * (lower_part[m : 2 * m] - upper_part[:m])
        moved = problem.project(x - self.gamma * falls * (upper_part[m:] + lower_part[2 * m :]))[0]
        state.work += 4
        state.finished = not all(np.isfinite(v).all() for v in (moved, lower, adjoint))
        if not state.finished:
            state.x, state.y, state.z = moved, lower, adjoint

    # ---- tables ----------------------------------------------------------------------------------
    def _blocks(self, problem: LowerLevel) -> tuple[int, int]:
        first, second = (-(-n // self.batch) for n in problem.sample_sizes())
        return first, second

    def _sample(self, problem: LowerLevel, i: int, j: int) -> Part:
        """Return the lower samples of block i and the upper samples of block j."""
        sizes, blocks = problem.sample_sizes(), self._blocks(problem)
        if blocks == (1, 1):
            return Part(problem)
        rows = [np.arange(k, n, b) for k, n, b in zip((i, j), sizes, blocks, strict=True)]
        return problem.part(*rows)

    def _fill(self, problem: LowerLevel, state: SobaState) -> None:
        """Make a pass over the data."""
        blocks, whole = self._blocks(problem), problem.constants(state.x).lipschitz
        for k in range(max(blocks)):
            i, j = k % blocks[0], k % blocks[1]
            sample = self._sample(problem, i, j)
            state.lower[i], state.upper[j] = _directions(sample, state.x, state.y, state.z)
            largest = sample.constants(state.x).lipschitz
            state.excess = max(state.excess, largest / whole)
            state.work += 4
        shares = (_shares(n, b) for n, b in zip(problem.sample_sizes(), blocks, strict=True))
        tables = state.lower, state.upper
        state.means = np.concatenate([w @ table for w, table in zip(shares, tables, strict=True)])

    def _drawn(self, problem: LowerLevel, state: SobaState) -> list[Array]:
        """Draw a block of each level, correct its directions, and renew its entry."""
        blocks, chosen = self._blocks(problem), np.empty(2, dtype=np.intp)
        for k, count in enumerate(blocks):
            draw(state.words, count, chosen[k : k + 1])
        i, j = int(chosen[0]), int(chosen[1])
        sample = self._sample(problem, i, j)
        directions = _directions(sample, state.x, state.y, state.z)
        means = np.split(state.means, [state.lower.shape[1]])
        found = []
        for n, count, k, new, table, mean in zip(
            problem.sample_sizes(),
            blocks,
            (i, j),
            directions,
            (state.lower, state.upper),
            means,
            strict=True,
        ):
            share = _shares(n, count)[k]
            change = new - table[k]
            # Drawn with probability 1/count: the expectation is the mean over all samples.
            found.append(count * share * change + mean)
            mean += share * change
            table[k] = new
        return found


def _shares(n: int, blocks: int) -> Array:
    """Share of n samples in each block ``k, k + blocks, ...``."""
    return np.array([len(range(k, n, blocks)) for k in range(blocks)]) / n


def _directions(sample: Part, x: Array, y: Array, z: Array) -> tuple[Array, Array]:
    """Return ``(grad_y f, H z, -J'z)`` and ``(grad_y F, grad_x F)`` over samples, each as one."""
    upper = sample.upper_level(x, y)
    along = np.zeros_like(x) if upper.grad_x is None else upper.grad_x
    lower = (sample.lower_gradient(x, y), sample.hessian(x, y)(z), -sample.cross(x, y, z))
    return np.concatenate(lower), np.concatenate([upper.grad_y, along])
