"""Streams between stochastic and adversarial, with variances that are known exactly."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from fejer.errors import ProblemError
from fejer.evidence import Array
from fejer.numerics.arrays import float_array
from fejer.problem import as_number

from ._streams import QuadraticStream

__all__ = ["SEAStream"]

KINDS = ("curvature", "offset", "regression")
SHARE = 0.5  # of the radius: how far the minimisers of the mean losses are from 0


class SEAStream(QuadraticStream):
    """Random quadratic losses whose means may drift: the stochastically extended adversary.

    The adversary chooses distributions, nature draws f_t; ``F_t = E f_t``, and both variances are
    known exactly: ``sigma_t^2 = max over x of E ||grad f_t(x) - grad F_t(x)||^2`` and
    ``drift_t^2 = max over x of ||grad F_t(x) - grad F_{t-1}(x)||^2``.

    Parameters
    ----------
    rounds : int
        T.
    n : int, default 10
        Dimension.
    kind : {"curvature", "offset", "regression"}, default "curvature"
        Curvature: ``f_t(x) = x'(I + s S_t) x / 2 - u_t'x``, S_t symmetric Gaussian with
        ``E S_t^2 = I``: convex in the mean, single losses are not; sigma_t is s times the radius.
        Offset: ``f_t(x) = ||x||^2 / 2 - (u_t + s v_t)'x``, v_t uniform on the unit sphere: all
        losses are strongly convex; sigma_t is s. Regression:
        ``f_t(x) = (a_t'(x - u_t) - s e_t)^2 / 2``, a_t uniform on the unit sphere, e_t = 1 or -1:
        exp-concave; ``sigma_t^2 = (1/n - 1/n^2) max ||x - u_t||^2 + s^2``.
    sigma : float or array_like, shape (T,), default 1.0
        s, at least 0.
    drift : float or array_like, shape (T,), default 0.0
        How far the minimiser u_t of F_t moves in each round, on a circle of half the radius about
        0; at most the radius. Curvature and offset: this is drift_t; regression: n times it.
    radius : float, default 1.0
        Of the ball.
    seed : int, default 0
        Seed of the generator.

    Attributes
    ----------
    sigma2, drift2 : array, shape (T,)
        The variances; their sums are what bounds of the regret are made of.
    minimizers : array, shape (T, n)
        u_t.

    Raises
    ------
    ProblemError
        Names the argument that is not as described.

    References
    ----------
    .. [1] Chen, Zhang, Tu, Zhao, Zhang (2023), Optimistic online mirror descent for bridging
       stochastic and adversarial online convex optimization, ICML, arXiv:2302.04552.

    Examples
    --------
    >>> from fejer import online
    >>> stream = online.SEAStream(100, sigma=0.5)
    >>> float(stream.sigma2.sum()), float(stream.drift2.sum())
    (25.0, 0.0)
    """

    def __init__(
        self,
        rounds: int,
        n: int = 10,
        kind: str = "curvature",
        *,
        sigma: npt.ArrayLike = 1.0,
        drift: npt.ArrayLike = 0.0,
        radius: float = 1.0,
        seed: int = 0,
    ) -> None:
        rounds = as_number(rounds, "rounds", least=1, integer=True)
        n = as_number(n, "n", least=2, integer=True)
        radius = as_number(radius, "radius", above=0, least=1e-100, most=1e100)
        if kind not in KINDS:
            raise ProblemError(f"kind: expected one of {', '.join(KINDS)}, got {kind!r:.80}")
        s = self._spread(sigma, "sigma", rounds, np.inf)
        moves = self._spread(drift, "drift", rounds, radius)
        moves[0] = 0.0
        rng = np.random.default_rng(seed)
        frame = np.linalg.qr(rng.standard_normal((n, 2)))[0]
        orbit = SHARE * radius
        angle = np.cumsum(2.0 * np.arcsin(moves / (2.0 * orbit)))
        u = orbit * (np.cos(angle)[:, None] * frame[:, 0] + np.sin(angle)[:, None] * frame[:, 1])
        A, b, c = np.eye(n), u, None
        if kind == "curvature":
            G = rng.standard_normal((rounds, n, n))
            # entries N(0, 1) off the diagonal and N(0, 2) on it: the square has mean (n + 1) I
            S = (G + np.swapaxes(G, 1, 2)) / math.sqrt(2.0 * (n + 1))
            A = np.eye(n) + s[:, None, None] * S
            variance = (s * radius) ** 2
        elif kind == "offset":
            b = u + s[:, None] * _on_sphere(rng, rounds, n)
            variance = s**2
        else:
            a = _on_sphere(rng, rounds, n)
            target = np.einsum("tj,tj->t", a, u) + s * rng.choice((-1.0, 1.0), rounds)
            A, b, c = a[:, :, None] * a[:, None, :], target[:, None] * a, 0.5 * target**2
            variance = (1.0 / n - 1.0 / n**2) * (radius + orbit) ** 2 + s**2
        regression = kind == "regression"
        # |a'x - target| is at most M on the ball, which makes the losses (1/M^2)-exp-concave
        most = radius + float(np.abs(target).max()) if regression else 0.0
        super().__init__(
            A,
            b,
            radius,
            c=c,
            strong_convexity=1.0 / n if regression else 1.0,
            exp_concavity=most**-2 if regression else None,
        )
        self.kind, self.minimizers, self.sigma2 = kind, u, variance
        self.drift2 = (moves * self.strong_convexity) ** 2

    @staticmethod
    def _spread(value: npt.ArrayLike, name: str, rounds: int, most: float) -> Array:
        if np.ndim(value) == 0:
            value = np.full(rounds, as_number(value, name))
        array = np.array(float_array(value, name, ndim=1))
        if array.size != rounds or not (0.0 <= array.min() and array.max() <= most):
            limit = "" if most == np.inf else f" to {most:g}"
            raise ProblemError(f"{name}: expected a number, or {rounds} of them, from 0{limit}")
        return array

    def mean_loss(self, t: int, x: Array) -> float:
        """Return ``F_t(x)`` above its minimum."""
        apart = x - self.minimizers[t]
        return 0.5 * self.strong_convexity * float(apart @ apart)

    def risk(self, x: Array) -> float:
        """Return by how much the mean of all F_t at x is above its minimum."""
        apart = x - self.minimizers.mean(axis=0)
        return 0.5 * self.strong_convexity * float(apart @ apart)


def _on_sphere(rng: np.random.Generator, count: int, n: int) -> Array:
    v = rng.standard_normal((count, n))
    return v / np.linalg.norm(v, axis=1, keepdims=True)  # type: ignore[no-any-return]
