"""Anderson acceleration, safeguarded by Halpern iteration."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from fejer.evidence import Array
from fejer.method import Method, Rate, Start, State, option, register
from fejer.numerics.anderson import AndersonMemory
from fejer.problems.monotone._operators import FixedPointForm, norm

from .halpern import Halpern, HalpernState

STRIKE_WINDOW = 20  # iterations within which three rejected steps are too many
PATIENCE, PROGRESS = 200, 0.5  # iterations within which the residual must fall to this share
RESCUE = 200  # iterations of Halpern's method before extrapolation is tried again, at first
NEVER = -(10**9)


@dataclass
class AndersonState(State):
    """The iterate, what it is extrapolated from, the best point, and Halpern's state if at work."""

    x: Array
    best: Array
    memory: AndersonMemory
    halpern: HalpernState | None = None
    left: int = 0  # iterations of Halpern's method that are still to come
    smallest: float = math.inf  # residual at the best point
    mark: float = math.inf  # residual that progress is measured from
    marked: int = 0  # iteration of the mark
    strike: int = NEVER  # iterations of the last two rejected steps
    strike_before: int = NEVER
    size: float = math.inf  # the smallest residual at these
    size_before: float = math.inf
    rescues: int = 0


@register
@dataclass(frozen=True, eq=False)
class Anderson(Method):
    """Anderson acceleration (type II) with a fallback that converges.

    ``x <- T x_k - sum_j g_j (T x_{j+1} - T x_j)`` over the last iterates, g minimising
    ``||f_k - sum_j g_j (f_{j+1} - f_j)||``, ``f = x - T x``.

    Parameters
    ----------
    memory : int, default 10
        Number of differences.
    growth : float, default 2.0
        A step after which the residual is more than ``growth`` times the last one is taken back:
        the memory is cleared and ``T x`` of the point before is taken.

    Notes
    -----
    Rate: for contractions r-linear with at most the factor of T [2]_; on affine maps the residuals
    are those of GMRES as long as the memory lasts [1]_. Nonexpansive maps have no such theorem:
    after three rejected steps within 20, or 200 iterations, in which the residual is not halved,
    restarted Halpern iteration goes on from the best point, for 200 iterations, 400 the next time,
    and so on; its theorem thus bounds the whole.

    Cost: one evaluation of T and about ``6 n memory`` flops. Memory: ``2 memory + 6`` vectors.

    References
    ----------
    .. [1] Walker, Ni (2011), Anderson acceleration for fixed-point iterations, SIAM J. Numer.
       Anal. 49.
    .. [2] Toth, Kelley (2015), Convergence analysis for Anderson acceleration, SIAM J. Numer.
       Anal. 53.

    Examples
    --------
    >>> import fejer
    >>> problem = fejer.FixedPoint.random(10, "contraction", 0.999)
    >>> result = fejer.minimize(problem, method="anderson", tol=1e-9)
    >>> result.success, result.nit < 30
    (True, True)
    """

    memory: int = option(10, least=1, most=1000, doc="number of differences that are kept")
    growth: float = option(2.0, above=1, doc="growth of the residual at which a step is taken back")

    name = "anderson"
    solves = (FixedPointForm,)
    cites = ("Walker, Ni (2011)", "Toth, Kelley (2015)")

    @property
    def rate(self) -> Rate:
        """The theorem for contractions."""
        return Rate(
            "r-linear with at most the factor of T (Toth, Kelley 2015); GMRES on affine maps",
            "linear",
            assumptions="T a contraction, bounded coefficients",
        )

    def supports(self, problem: Any) -> str | None:
        """Return None, or why the problem has no nonexpansive map."""
        return problem.no_map()  # type: ignore[no-any-return]

    def prepare(self, problem: Any, tol: float, rng: np.random.Generator) -> Any:
        """Take the map."""
        return problem.fixed_point()

    def begin(self, problem: Any, prep: Any, start: Start, rng: np.random.Generator) -> Any:
        """Begin with an empty memory."""
        problem.check_start(start.x)
        memory = AndersonMemory.empty(start.x.size, self.memory)
        return AndersonState(start.x, start.x.copy(), memory)

    def advance(self, problem: Any, prep: Any, state: Any, n: int) -> bool:
        """Make n iterations, fewer where a fixed point is met exactly."""
        goal = state.nit + n
        while state.nit < goal:
            if state.halpern is not None:
                if _rescue(problem, prep, state, min(goal - state.nit, state.left)):
                    return True
                continue
            image = prep.apply(state.x)
            residual = norm(state.x - image)
            if residual == 0.0:
                return True
            if residual < state.smallest:
                state.smallest = residual
                state.best[:] = state.x
            if residual <= PROGRESS * state.mark:
                state.mark, state.marked = residual, state.nit
            rejected = state.memory.rejected
            state.x[:] = state.memory.step(state.x, image, growth=self.growth)
            state.nit += 1
            state.work += problem.unit
            state.nfev += 0 if prep.is_affine else 1
            struck = False
            if state.memory.rejected > rejected:
                recent = state.nit - state.strike_before < STRIKE_WINDOW
                struck = recent and state.smallest > PROGRESS * state.size_before
                state.strike_before, state.strike = state.strike, state.nit
                state.size_before, state.size = state.size, state.smallest
            if struck or state.nit - state.marked >= PATIENCE:
                x = state.best.copy()
                state.halpern = HalpernState(x, x.copy(), np.zeros_like(x))
                state.left = RESCUE << min(state.rescues, 20)
                state.rescues += 1
        return False

    def point(self, problem: Any, prep: Any, state: Any) -> Array:
        """Return the iterate of the method at work."""
        return state.x if state.halpern is None else state.halpern.x  # type: ignore[no-any-return]

    def witness(self, problem: Any, prep: Any, state: Any) -> dict[str, Array]:
        """Hand over two points that the map drives apart, if Halpern's method saw any."""
        pair = None if state.halpern is None else state.halpern.pair
        return {} if pair is None else {"pair": pair}


def _rescue(problem: Any, prep: Any, state: Any, n: int) -> bool:
    """Make n iterations of Halpern's method; True where they end at a fixed point."""
    inner = state.halpern
    before = inner.nit, inner.work, inner.nfev
    solved = Halpern().advance(problem, prep, inner, n)
    state.nit += inner.nit - before[0]
    state.work += inner.work - before[1]
    state.nfev += inner.nfev - before[2]
    state.left -= inner.nit - before[0]
    if state.left == 0:
        state.x[:] = inner.x
        state.halpern = None
        state.memory.clear()
        state.mark, state.marked = math.inf, state.nit
        state.strike = state.strike_before = NEVER
        state.size = state.size_before = math.inf
    return solved
