"""Online learning: mirror descent with hints, regret, and losses that come one by one.

A learner plays x_t, then sees the loss f_t; its regret is what it lost more than the best fixed
point in hindsight, which is computed exactly and bounded below. `mirror_descent` plays any stream,
`SEAStream` draws streams whose variances are known.

Examples
--------
>>> from fejer import online
>>> stream = online.SEAStream(500, sigma=0.3)
>>> regret = online.mirror_descent(stream)
>>> bool(regret.at() <= 5 * (stream.sigma2.sum() ** 0.5 + stream.drift2.sum() ** 0.5))
True
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from fejer.errors import OptionError, OracleError
from fejer.evidence import Array, Certificate
from fejer.numerics.arrays import float_array
from fejer.problem import as_number
from fejer.problems.monotone._domains import Ball, Simplex
from fejer.problems.monotone._sea_streams import SEAStream
from fejer.problems.monotone._streams import (
    Comparator,
    LinearStream,
    LossStream,
    QuadraticStream,
    Stream,
)

from ._mirror import Eager, Experts, Lazy, Newton, checked_domain

__all__ = [
    "Ball",
    "Comparator",
    "LinearStream",
    "LossStream",
    "QuadraticStream",
    "Regret",
    "SEAStream",
    "Simplex",
    "Stream",
    "mirror_descent",
]

REGIMES = ("convex", "strongly-convex", "exp-concave", "dynamic")


@dataclass(frozen=True, eq=False)
class Regret:
    """What a learner played, and how much it regrets.

    Attributes
    ----------
    stream : Stream
        The losses.
    x : array, shape (T, n)
        The points played.
    losses : array, shape (T,)
        ``f_t(x_t)``.
    gradients, hints : array, shape (T, n)
        Gradients at the points, and what was expected of them.
    bound : float
        A bound of the regret that is proven from what was seen, for losses that each are convex
        (strongly convex, exp-concave) as the regime says; where they are so in the mean only, it
        bounds the mean. For the dynamic regime it is that of the best fixed point.
    best : Comparator
        The best fixed point of all rounds.
    """

    stream: Stream
    x: Array
    losses: Array
    gradients: Array
    hints: Array
    bound: float
    best: Comparator
    learner: Any

    @property
    def rounds(self) -> int:
        """Number of rounds."""
        return self.losses.size

    @property
    def average(self) -> Array:
        """The mean of the points played."""
        return self.x.mean(axis=0)

    @cached_property
    def variation(self) -> float:
        """``sum over t of ||g_t - hint_t||^2``, which the regret is about the square root of."""
        return float(np.sum((self.gradients - self.hints) ** 2))

    def at(self, rounds: int | None = None) -> float:
        """Return the regret after some rounds, against the best fixed point of these.

        Parameters
        ----------
        rounds : int, optional
            By default all.

        Returns
        -------
        float
            It may be negative.
        """
        if rounds is None:
            return float(self.losses.sum()) - self.best.value
        rounds = as_number(rounds, "rounds", least=1, most=self.rounds, integer=True)
        return float(self.losses[:rounds].sum()) - self.stream.best(rounds).value

    def curve(self, rounds: Sequence[int] | npt.NDArray[np.int64]) -> Array:
        """Return the regret after each of some numbers of rounds.

        Parameters
        ----------
        rounds : sequence of int
            Numbers of rounds.

        Returns
        -------
        array
            As long as ``rounds``.
        """
        return np.array([self.at(int(t)) for t in rounds])

    def linear(self) -> float:
        """Return ``sum <g_t, x_t> - min over u of sum <g_t, u>``; convex: at least the regret."""
        played = float(np.einsum("tj,tj->", self.gradients, self.x))
        return played - self.stream.domain.lowest(self.gradients.sum(axis=0))[1]

    def dynamic(self, points: npt.ArrayLike) -> tuple[float, float]:
        """Return the regret against a sequence of points, and its proven bound.

        Parameters
        ----------
        points : array_like, shape (T, n)
            What it is compared with.

        Returns
        -------
        regret : float
            ``sum f_t(x_t) - f_t(u_t)``.
        bound : float
            For convex losses; infinite except for the regime "dynamic".
        """
        u = float_array(points, "points", ndim=2)
        if u.shape != self.x.shape:
            raise OptionError(f"points: expected shape {self.x.shape}, got {u.shape}")
        compared = sum(self.stream.loss(t, u[t]) for t in range(self.rounds))
        path = float(np.linalg.norm(np.diff(u, axis=0), axis=1).sum())
        known = isinstance(self.learner, Experts)
        bound = self.learner.bound(path) if known else math.inf
        return float(self.losses.sum()) - compared, bound

    @cached_property
    def certificate(self) -> Certificate:
        """Regret per round, in units of ``G D``: the largest gradient times the diameter.

        ``fun`` is the total loss and ``lower_bound`` that of the best fixed point, both in the
        user's units; ``details`` has regret, bound and the comparator's own duality gap. Rigorous,
        since the comparator's total loss enters by its lower bound.
        """
        total = float(self.losses.sum())
        worst = total - self.best.lower
        largest = float(np.linalg.norm(self.gradients, axis=1).max())
        scale = self.rounds * (largest * self.stream.domain.diameter or 1.0)
        proven = math.isfinite(self.best.lower)
        return Certificate(
            "regret",
            max(worst, 0.0) / scale,
            total,
            rigorous=proven,
            scale=scale,
            reason="" if proven else "the best fixed point has no lower bound",
            lower_bound=self.best.lower if proven else None,
            details={
                "regret": self.at(),
                "bound": self.bound,
                "comparator_gap": self.best.value - self.best.lower,
            },
        )


class _Steps:
    """Step lengths of one regime, from the errors of the hints so far."""

    def __init__(
        self, regime: str, width: float, stream: Stream, delta: float, fixed: float | None
    ) -> None:
        self.regime, self.width, self.fixed, self.delta = regime, width, fixed, delta
        self.declared, self.strong = stream.gradient_bound, stream.strong_convexity
        self.errors, self.largest, self.rounds = 0.0, 0.0, 0

    def next(self) -> float:
        """Return the step of the next round."""
        self.rounds += 1
        if self.fixed is not None:
            return self.fixed
        if self.regime == "strongly-convex":
            return 2.0 / (self.strong * self.rounds)
        largest = self.largest if self.declared is None else self.declared
        return self.width / math.sqrt(self.delta + 4.0 * largest**2 + self.errors)

    def see(self, gradient: float, error: float) -> None:
        """Take the sizes of a gradient and of the hint's error."""
        self.largest = max(self.largest, gradient)
        self.errors += error**2


def mirror_descent(
    stream: Stream,
    *,
    regime: str = "convex",
    mirror: str | None = None,
    hints: str = "last",
    lazy: bool = False,
    step: float | None = None,
    delta: float = 1.0,
) -> Regret:
    """Play optimistic mirror descent against a stream of losses.

    ``x_t = P(y_t - e_t M_t)``, ``y_{t+1} = P(y_t - e_t g_t)``: g_t is the gradient of f_t at x_t,
    M_t what is expected of it, by default the last gradient; P is the mirror map's projection.

    Parameters
    ----------
    stream : Stream
        The losses, and the set.
    regime : {"convex", "strongly-convex", "exp-concave", "dynamic"}, default "convex"
        Convex: ``e_t = D / sqrt(delta + 4 G^2 + V_{t-1})``, V the sum of ``||g_s - M_s||^2``, G
        the stream's bound of the gradients or the largest one so far, D the diameter.
        Strongly-convex: ``e_t = 2 / (l t)`` with the constant l of the stream. Exp-concave (ball):
        Newton steps with ``H_t = (1 + b G^2 / 2) I + (b / 2) sum g g'``,
        ``b = min(1 / (4 G D), a) / 2``, a the stream's ``exp_concavity``. Dynamic: mirror descent
        with ``ceil(log2 T) + 1`` constant steps at once, weighed by optimistic exponential weights,
        for comparators that move.
    mirror : {"euclidean", "entropy", "log-barrier"}, optional
        Map. The last two are for the simplex and regime "convex"; entropy is the default there.
    hints : {"last", "none"}, default "last"
        M_t: the last gradient, or 0, which is plain mirror descent.
    lazy : bool, default False
        Follow the regularised leader instead: ``x_t = P(c - e_t (g_1 + ... + g_{t-1} + M_t))``
        about the centre c. The maps of the simplex always do: with varying steps their distances
        to vertices have no bound.
    step : float, optional
        Constant step instead of e_t. For the log-barrier None is ``sqrt(K log(T) / T) / G``.
    delta : float, default 1.0
        In the formula of regime "convex".

    Returns
    -------
    Regret
        Points, losses, the regret and its bounds.

    Raises
    ------
    OptionError
        An unknown name, a regime without the stream's constant that it needs, or a map for another
        set.
    OracleError
        A gradient is not finite.

    Notes
    -----
    With ``sigma^2`` and ``drift^2`` the sums of the variances of `SEAStream` the expected regret is
    of the order ``sigma + drift`` (convex); ``(sigma_max^2 + drift_max^2) log T / l`` and
    ``log(sigma^2 + drift^2) / l``, whichever is smaller (strongly convex);
    ``d log(sigma^2 + drift^2) / a`` (exp-concave); and ``P + sqrt(1 + P) (sigma + drift)`` for
    comparators of path length P (dynamic) [1]_.

    The bound in the result is made of what was seen: for the convex regime
    ``D^2 / (2 e_T) + sum e_t ||g_t - M_t||^2 / 2``, at most ``1.5 D sqrt(delta + 4 G^2 + V_T)``.

    Cost per round: one loss, one gradient, two projections; Newton steps O(n^2), and O(n^3) where
    they leave the ball.

    Pitfalls: hints double the variance where noise is all that changes, and plain mirror descent
    may then be ahead by some per cent.

    References
    ----------
    .. [1] Chen, Zhang, Tu, Zhao, Zhang (2023), Optimistic online mirror descent for bridging
       stochastic and adversarial online convex optimization, ICML, arXiv:2302.04552.
    .. [2] Sachs, Hadiji, van Erven, Guzman (2022), Between stochastic and adversarial online convex
       optimization, NeurIPS, arXiv:2202.07554.

    Examples
    --------
    >>> from fejer import online
    >>> stream = online.LinearStream([[0.0, 1.0]] * 50 + [[1.0, 0.0]] * 10)
    >>> regret = online.mirror_descent(stream)
    >>> regret.at() <= regret.bound, regret.best.value
    (True, 10.0)
    """
    choices = ((regime, "regime", REGIMES), (hints, "hints", ("last", "none")))
    for value, name, known in choices:
        if value not in known:
            raise OptionError(f"{name}: expected one of {', '.join(known)}, got {value!r:.80}")
    if not isinstance(stream, Stream):
        raise OptionError(f"stream: expected a Stream, got {type(stream).__name__}")
    fixed = None if step is None else as_number(step, "step", above=0)
    delta = as_number(delta, "delta", above=0)
    domain, T = stream.domain, stream.rounds
    mirror = checked_domain(mirror, domain)
    if mirror != "euclidean" and regime not in ("convex",):
        if regime != "dynamic":
            raise OptionError(f"regime: {regime!r} needs mirror='euclidean'")
        mirror = "euclidean"
    width = math.sqrt(math.log(domain.n)) if mirror == "entropy" else domain.diameter
    if mirror == "log-barrier" and fixed is None:
        largest = stream.gradient_bound or 1.0
        fixed = math.sqrt(domain.n * math.log(max(T, 2)) / T) / largest
    steps = _Steps(regime, width, stream, delta, fixed)
    learner = _learner(stream, regime, mirror, lazy, steps)

    shape = (T, domain.n)
    x, gradients, expected = np.empty(shape), np.empty(shape), np.zeros(shape)
    losses = np.empty(T)
    norm: Any = _largest if isinstance(domain, Simplex) and mirror == "entropy" else _euclidean
    for t in range(T):
        if hints == "last" and t:
            expected[t] = gradients[t - 1]
        x[t] = learner.play(expected[t])
        losses[t] = stream.loss(t, x[t])
        gradients[t] = stream.grad(t, x[t])
        error = gradients[t] - expected[t]
        size = norm(error)
        if not (math.isfinite(size) and math.isfinite(losses[t])):
            raise OracleError(
                f"grad: expected finite losses and gradients, got others in round {t}"
            )
        learner.learn(gradients[t], error)
        steps.see(norm(gradients[t]), size)
    return Regret(stream, x, losses, gradients, expected, learner.bound(), stream.best(T), learner)


def _euclidean(v: Array) -> float:
    return math.sqrt(v @ v)


def _largest(v: Array) -> float:
    return float(np.abs(v).max())


def _learner(stream: Stream, regime: str, mirror: str, lazy: bool, steps: _Steps) -> Any:
    domain = stream.domain
    if regime == "strongly-convex" and not stream.strong_convexity:
        raise OptionError("regime: 'strongly-convex' needs a stream with strong_convexity > 0")
    if regime == "exp-concave":
        if stream.exp_concavity is None or stream.gradient_bound is None:
            raise OptionError(
                "regime: 'exp-concave' needs a stream with exp_concavity and gradient_bound"
            )
        if not isinstance(domain, Ball):
            raise OptionError("regime: 'exp-concave' needs a ball")
        G = stream.gradient_bound
        beta = 0.5 * min(1.0 / (4.0 * max(G, 1e-300) * domain.diameter), stream.exp_concavity)
        return Newton(domain, beta, G)
    if regime == "dynamic":
        if stream.gradient_bound is None:
            raise OptionError("regime: 'dynamic' needs a stream with gradient_bound")
        # The stream's bound is one of entries on the simplex.
        root = 1.0 if isinstance(domain, Ball) else math.sqrt(domain.n)
        G = max(stream.gradient_bound, 1e-300) * root
        count = math.ceil(math.log2(max(stream.rounds, 2))) + 1
        first = domain.diameter / (G * math.sqrt(stream.rounds))
        ladder = np.ldexp(first, np.arange(count)).astype(np.float64)
        return Experts(domain, ladder, G * domain.diameter)
    if lazy or mirror != "euclidean":
        return Lazy(domain, steps, mirror)
    return Eager(domain, steps, stream.strong_convexity if regime == "strongly-convex" else 0.0)
