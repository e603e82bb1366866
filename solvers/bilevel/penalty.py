"""The penalty method: hypergradients from first derivatives alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from fejer.evidence import Array
from fejer.method import Method, Rate, Start, State, option, register
from fejer.problem import witness_array
from fejer.problems.bilevel._assessment import norm
from fejer.problems.bilevel._lower_level import LowerLevel

__all__ = ["Penalty"]

SHARE = 0.8  # of mu/LF: f - s F stays strongly convex


@dataclass
class PenaltyState(State):
    """The point, and the minimisers of ``f + w F`` for the weights w in use.

    Attributes
    ----------
    x : array
        Upper variable.
    Y, before : array, shape (order + 1, m)
        Iterates at the weights 0, s and -s, and those before extrapolation.
    total : float
        Sum of the squared gradients.
    unit : float
        Norm of the first of them.
    finished : bool
        Not finite, or no longer moving.
    """

    x: Array
    Y: Array
    before: Array
    total: float = 0.0
    unit: float = 0.0
    finished: bool = False


@register
@dataclass(frozen=True, eq=False)
class Penalty(Method):
    """Gradient steps on a penalty function of the bilevel problem.

    With ``l(x, w) = min over y of f(x, y) + w F(x, y)`` the function
    ``psi_s(x) = (l(x, s) - l(x, 0))/s`` tends to Phi as s tends to 0, and its gradient
    ``grad_x F(x, y_s) + (grad_x f(x, y_s) - grad_x f(x, y_0))/s`` needs no second derivative. With
    ``order=2`` the symmetric quotient ``(grad_x f(x, y_s) - grad_x f(x, y_-s))/(2s)`` takes its
    place.

    Notes
    -----
    One iteration makes `inner` accelerated gradient steps on each ``f + w F``, w in {0, s} or
    {0, s, -s}, warm started, and one step ``x <- P(x - a g)`` with
    ``a = radius sqrt(n) / sqrt(sum of ||g||^2 so far)``. The weight is
    ``s_k = max(s0 (k + 1)^-decay, s_min)``, in units of 0.8 mu/LF with ``order=2``, so
    that ``f - s F`` is convex.

    Rate: ``||grad psi_s - grad Phi|| = O(s)`` with order 1 and ``O(s^2)`` with order 2; an
    eps-stationary point of ``psi_s`` with s of the size of eps takes O(eps^-3) gradients [1]_.
    Cost per iteration: ``inner`` times 2 or 3 gradients of f and of F in y. Memory: O(n + m).
    Certificate: of the problem, which solves the lower level itself: the value stays above the
    bias, about s or s^2.
    Pitfall: quotients lose digits to rounding, and to lower solutions that are not accurate: both
    are divided by s. The default weights give three to five digits.

    References
    ----------
    .. [1] Kwon, Kwon, Wright, Nowak (2023), On penalty methods for nonconvex bilevel optimization
       and first-order stochastic approximation, arXiv 2309.01753.

    Examples
    --------
    >>> import fejer
    >>> problem = fejer.QuadraticBilevel.random()
    >>> fejer.minimize(problem, method="penalty", tol=1e-3).success
    True
    """

    order: int = option(2, least=1, most=2, doc="1: one-sided quotient; 2: symmetric quotient")
    s0: float = option(0.5, above=0, most=1, doc="first weight of F")
    decay: float = option(1.0, least=0, most=1, doc="s_k = s0 (k+1)^-decay; published: 1/3")
    s_min: float = option(1e-4, above=0, doc="last weight of F")
    inner: int = option(10, least=1, doc="lower steps on each function per iteration")
    radius: float = option(1.0, above=0, doc="length of the first step, per coordinate of x")

    name, solves = "penalty", (LowerLevel,)
    cites = ("Kwon, Kwon, Wright, Nowak (2023), arXiv 2309.01753",)
    reach = 1e-3

    @property
    def rate(self) -> Rate:
        """Complexity of the penalty function's stationary points."""
        return Rate(
            "O(eps^-3) gradients to an eps-stationary point of psi_s, s of the size of eps "
            "(Kwon et al. 2023)",
            "sublinear",
            1 / 3,
            assumptions="f + s F satisfies a proximal error bound for all small s",
        )

    def supports(self, problem: Any) -> str | None:
        """It needs ``grad_x f``."""
        if problem.lower_in_x(problem.initial_point(), problem.lower_start()) is None:
            return "grad_x_f is missing"
        if problem.nonsmooth:
            return "its lower level has kinks"
        return None

    def begin(
        self, problem: LowerLevel, prep: Any, start: Start, rng: np.random.Generator
    ) -> PenaltyState:
        """Take the lower start for all weights."""
        y = witness_array(start.witness, "y", problem.lower_size)
        y = problem.lower_start() if y is None else y
        Y = np.array([y] * (self.order + 1))
        return PenaltyState(problem.project(start.x)[0], Y, Y.copy())

    def advance(self, problem: LowerLevel, prep: Any, state: PenaltyState, n: int) -> bool:
        """Make up to n iterations."""
        with np.errstate(all="ignore"):
            for _ in range(n):
                if state.finished:
                    return True
                self._step(problem, state)
                state.nit += 1
        return False

    def witness(self, problem: LowerLevel, prep: Any, state: PenaltyState) -> dict[str, Array]:
        """Return the minimiser of f."""
        return {"y": state.Y[0]}

    # ---- parts of an iteration -----------------------------------------------------------------
    def weight(self, problem: LowerLevel, x: Array, k: int) -> float:
        """Return the weight of F at iteration k.

        Parameters
        ----------
        problem : Problem
            The problem.
        x : array
            Upper variable.
        k : int
            Iterations made before.

        Returns
        -------
        float
        """
        s = max(self.s0 / (k + 1) ** self.decay, self.s_min)
        if self.order == 2:
            c = problem.constants(x)
            s *= SHARE * c.mu / c.upper if c.upper > 0 else 1.0
        return s

    def _step(self, problem: LowerLevel, state: PenaltyState) -> None:
        x, s = state.x, self.weight(problem, state.x, state.nit)
        for i, w in enumerate((0.0, s, -s)[: self.order + 1]):
            self._lower(problem, state, i, w)
        g = self.gradient(problem, x, state.Y, s)
        state.work += 2
        size = norm(g)
        state.total += size * size
        moved = problem.project(x - self._length(state, x.size) * g)[0]
        state.finished = not np.isfinite(moved).all()
        if not state.finished:
            state.x = moved

    def _length(self, state: PenaltyState, n: int) -> float:
        return self.radius * math.sqrt(n / state.total) if state.total > 0 else 0.0

    def _lower(self, problem: LowerLevel, state: PenaltyState, i: int, w: float) -> None:
        """Make accelerated gradient steps on ``f + w F``."""
        c = problem.constants(state.x)
        mu = c.mu - abs(w) * c.upper if w < 0 else c.mu
        lipschitz = c.lipschitz + abs(w) * c.upper
        root = math.sqrt(max(mu, 0.0) / lipschitz)
        momentum = (1 - root) / (1 + root)
        y, before = state.Y[i], state.before[i]
        for _ in range(self.inner):
            slope = problem.lower_gradient(state.x, y)
            state.work += 1
            if w:
                slope = slope + w * problem.upper_level(state.x, y).grad_y
                state.work += 1
            following = y - slope / lipschitz
            y = following + momentum * (following - before)
            before = following
        state.Y[i], state.before[i] = y, before

    def gradient(self, problem: LowerLevel, x: Array, Y: Array, s: float) -> Array:
        """Return the gradient of the penalty function from minimisers.

        Parameters
        ----------
        problem : Problem
            The problem.
        x : array, shape (n,)
            Upper variable.
        Y : array, shape (order + 1, m)
            Minimisers for the weights 0, s and -s.
        s : float
            The weight.

        Returns
        -------
        array, shape (n,)
        """
        slopes = [np.asarray(problem.lower_in_x(x, y)) for y in Y]
        if self.order == 2:
            g = (slopes[1] - slopes[2]) / (2 * s)
            direct = problem.upper_level(x, Y[0]).grad_x
        else:
            g = (slopes[1] - slopes[0]) / s
            direct = problem.upper_level(x, Y[1]).grad_x
        return g if direct is None else g + direct
