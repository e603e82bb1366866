"""The penalty method: hypergradients from first derivatives alone."""

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
from fejer.problems.bilevel._sampling import Part
from fejer.solvers.bilevel._lower import unfit
from fejer.solvers.bilevel._samples import part

__all__ = ["Penalty"]

BENT = 0.1  # share of LF that F is taken to be convex with, where f has several solutions
SHARE = 0.8  # of mu/LF: f - s F stays strongly convex


@dataclass
class PenaltyState(State):
    """The point, and the minimisers of ``f + w F`` for the weights w in use.

    Attributes
    ----------
    x : array
        Upper variable.
    Y, before : array, shape (order + 1, m)
        Iterates at the weights 0, s and -s, and those before extrapolation or before the last step.
    slopes : array, shape (order + 1, m)
        Averaged lower gradients.
    direction, behind : array, shape (n,)
        Averaged gradient in x, and the x before the last step.
    words : array of uint64, shape (4,)
        State of the generator.
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
    slopes: Array
    direction: Array
    behind: Array
    words: Any
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
    that ``f - s F`` is convex. The lower level may have several solutions
    (``Bilevel(..., lower_level="error-bound")``); the order is 1 then, and the last weight is the
    problem's ``sigma``.

    With `proximal`, these steps are made on ``f + w F + ||. - y_k||^2/(2 rho)``, and the result u
    makes ``y_(k+1) = (1 - b) y_k + b u``: the published form, whose steps have a rate also where f
    is not strongly convex.

    ``form="stochastic"`` takes each gradient over a batch of samples, the same for all w, so that
    errors cancel in the quotient, and lower steps that fall like ``(k + 1)^-fade``.
    ``form="momentum"`` makes a single step on everything per iteration,
    along averages ``d_k = g(w_k; xi) + (1 - b_k)(d_(k-1) - g(w_(k-1); xi))`` of gradients g at
    w = (x, y's) over samples xi, with ``b_k = (k + 1)^(-2/3)``.

    Rate: ``||grad psi_s - grad Phi|| = O(s)`` with order 1 and ``O(s^2)`` with order 2; an
    eps-stationary point of ``psi_s`` with s of the size of eps takes O(eps^-3) gradients, O(eps^-7)
    samples with the stochastic form and O(eps^-5) with momentum [1]_.
    Cost per iteration: ``inner`` times 2 or 3 gradients of f and of F in y, one of each over a
    batch and twice with momentum. Memory: O(n + m).
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

    order: int | None = option(
        None,
        least=1,
        most=2,
        doc="1: one-sided quotient; 2: symmetric quotient; None: 2 if the lower solution is unique",
    )
    form: str = option(
        "deterministic",
        choices=("deterministic", "stochastic", "momentum"),
        doc="all data, or batches, or batches and a single loop",
    )
    s0: float = option(0.5, above=0, most=1, doc="first weight of F")
    decay: float = option(1.0, least=0, most=1, doc="s_k = s0 (k+1)^-decay; published: 1/3")
    s_min: float = option(1e-4, above=0, doc="last weight of F")
    inner: int = option(10, least=1, doc="lower steps on each function per iteration")
    radius: float = option(1.0, above=0, doc="length of the first step, per coordinate of x")
    proximal: float | None = option(
        None, above=0, doc="length rho of proximal lower steps, times L; None: none"
    )
    average: float = option(
        1.0, above=0, most=1, doc="share b of the proximal point in the next lower iterate"
    )
    batch: int = option(32, least=1, doc="samples of each level, where they are drawn")
    fade: float = option(
        0.33, least=0, most=1, doc="lower steps over samples fall like (k+1)^-fade"
    )

    name, solves = "penalty", (LowerLevel,)
    cites = ("Kwon, Kwon, Wright, Nowak (2023), arXiv 2309.01753",)
    reach = 1e-3

    @property
    def rate(self) -> Rate:
        """Complexity of the penalty function's stationary points."""
        power = {"deterministic": 3, "stochastic": 7, "momentum": 5}[self.form]
        return Rate(
            f"O(eps^-{power}) gradients to an eps-stationary point of psi_s, s of the size of eps "
            "(Kwon et al. 2023)",
            "sublinear",
            1 / power,
            assumptions="f + s F satisfies a proximal error bound for all small s",
        )

    def supports(self, problem: Any) -> str | None:
        """It needs ``grad_x f``, and for order 2 a convex lower level."""
        if problem.lower_in_x(problem.initial_point(), problem.lower_start()) is None:
            return "grad_x_f is missing"
        if problem.relaxed and self.order == 2:
            return "its lower level may have several solutions: order=1 treats it"
        if self.proximal and self.form == "momentum":
            return "form='momentum' makes single steps, which have no proximal form"
        return unfit(problem, several=True)

    def begin(
        self, problem: LowerLevel, prep: Any, start: Start, rng: np.random.Generator
    ) -> PenaltyState:
        """Take the lower start for all weights."""
        x = problem.project(start.x)[0]
        y = witness_array(start.witness, "y", problem.lower_size)
        y = problem.lower_start() if y is None else y
        Y = np.array([y] * (self._order(problem) + 1))
        words = seed_state(rng)
        zero = np.zeros_like(x)
        return PenaltyState(x, Y, Y.copy(), np.zeros_like(Y), zero, x.copy(), words)

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
        """Return the minimiser of f, or that of ``f + s F`` where f has several."""
        if problem.relaxed:
            s = self.weight(problem, state.x, max(state.nit - 1, 0))
            return {"y": state.Y[1], "adjoint": (state.Y[0] - state.Y[1]) / s}
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
        s = self.s0 / (k + 1) ** self.decay
        if problem.relaxed:
            return max(s, problem.sigma)  # type: ignore[attr-defined, no-any-return]
        s = max(s, self.s_min)
        if self._order(problem) == 2:
            c = problem.constants(x)
            s *= SHARE * c.mu / c.upper if c.upper > 0 else 1.0
        return s

    def _order(self, problem: LowerLevel) -> int:
        return self.order or (1 if problem.relaxed else 2)

    def _step(self, problem: LowerLevel, state: PenaltyState) -> None:
        x, s = state.x, self.weight(problem, state.x, state.nit)
        weights = (0.0, s, -s)[: len(state.Y)]
        if self.form == "momentum":
            g = self._single(problem, state, weights)
        else:
            sampled = self.form == "stochastic"
            (self._sampled if sampled else self._accelerated)(problem, state, weights)
            data = part(problem, state.words, self.batch) if sampled else Part(problem)
            g = self.gradient(data, x, state.Y, s)
            state.work += 2
        size = norm(g)
        state.total += size * size
        moved = problem.project(x - self._length(state, x.size) * g)[0]
        state.finished = not np.isfinite(moved).all()
        if not state.finished:
            state.x = moved

    def _length(self, state: PenaltyState, n: int) -> float:
        return self.radius * math.sqrt(n / state.total) if state.total > 0 else 0.0

    def _accelerated(
        self, problem: LowerLevel, state: PenaltyState, weights: tuple[float, ...]
    ) -> None:
        """Make accelerated gradient steps on each ``f + w F``."""
        c = problem.constants(state.x)
        for i, w in enumerate(weights):
            mu = c.mu - abs(w) * c.upper if w < 0 else c.mu
            if problem.relaxed and w > 0:  # across the solutions of f only F bends
                mu = min(mu, BENT * w * c.upper)
            lipschitz = c.lipschitz + abs(w) * c.upper
            pull, centre = self._pull(lipschitz), state.Y[i].copy()
            lipschitz += pull
            root = math.sqrt((max(mu, 0.0) + pull) / lipschitz)
            momentum = (1 - root) / (1 + root)
            y, before = centre, centre if pull else state.before[i]
            for _ in range(self.inner):
                following = y - (_slope(problem, state.x, y, w) + pull * (y - centre)) / lipschitz
                state.work += 1 + (w != 0)
                y = following + momentum * (following - before)
                before = following
            state.before[i] = before
            state.Y[i] = centre + self.average * (y - centre) if pull else y

    def _sampled(
        self, problem: LowerLevel, state: PenaltyState, weights: tuple[float, ...]
    ) -> None:
        """Make gradient steps over samples on each ``f + w F``.

        The samples of a step, and its length, are the same for all weights. Then the minimisers'
        errors are nearly the same, too, and cancel in quotients that divide them by s.
        """
        c = problem.constants(state.x)
        lipschitz = c.lipschitz + weights[1] * c.upper
        pull, centres = self._pull(lipschitz), state.Y.copy()
        step = 1 / (lipschitz + pull) / (state.nit + 1) ** self.fade
        for _ in range(self.inner):
            data = part(problem, state.words, self.batch)
            for i, w in enumerate(weights):
                y = state.Y[i]
                slope = _slope(data, state.x, y, w) + pull * (y - centres[i])
                state.Y[i] = y - step * slope
                state.work += 1 + (w != 0)
        if pull:
            state.Y = centres + self.average * (state.Y - centres)

    def _pull(self, lipschitz: float) -> float:
        """Return the modulus ``1/rho`` of the proximal term."""
        return lipschitz / self.proximal if self.proximal else 0.0

    def _single(
        self, problem: LowerLevel, state: PenaltyState, weights: tuple[float, ...]
    ) -> Array:
        """Step once with each lower iterate, and return the averaged gradient in x."""
        k, data = state.nit, part(problem, state.words, self.batch)
        kept = 1 - (k + 1) ** (-2 / 3)
        x, Y, c = state.x, state.Y, problem.constants(state.x)
        g = self.gradient(data, x, Y, weights[1])
        old = self.gradient(data, state.behind, state.before, weights[1])
        direction = g + kept * (state.direction - old)
        following = Y.copy()
        for i, w in enumerate(weights):
            new = _slope(data, x, Y[i], w)
            past = _slope(data, state.behind, state.before[i], w)
            state.slopes[i] = new + kept * (state.slopes[i] - past)
            step = 1 / (c.lipschitz + abs(w) * c.upper) / (k + 1) ** self.fade
            following[i] = Y[i] - step * state.slopes[i]
            state.work += 2 + 2 * (w != 0)
        state.work += 4
        state.behind, state.before, state.Y = x.copy(), Y.copy(), following
        state.direction = direction.copy()
        return direction

    def gradient(self, problem: LowerLevel | Part, x: Array, Y: Array, s: float) -> Array:
        """Return the gradient of the penalty function from minimisers.

        Parameters
        ----------
        problem : Problem or Part
            The problem, or samples of it.
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
        if len(Y) == 3:
            g = (slopes[1] - slopes[2]) / (2 * s)
            direct = problem.upper_level(x, Y[0]).grad_x
        else:
            g = (slopes[1] - slopes[0]) / s
            direct = problem.upper_level(x, Y[1]).grad_x
        return g if direct is None else g + direct


def _slope(problem: LowerLevel | Part, x: Array, y: Array, w: float) -> Array:
    """Gradient of ``f + w F`` in y."""
    slope = problem.lower_gradient(x, y)
    return slope + w * problem.upper_level(x, y).grad_y if w else slope
