"""A bilevel problem whose upper curvature grows as fast as its gradient: hyperbolic cosines."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from fejer.evidence import Array
from fejer.problem import as_number

from ._assessment import ROUNDING, Constants, Cross, Upper, norm
from ._quadratic_lower import QuadraticLower
from ._sampling import Part

__all__ = ["UnboundedSmoothBilevel"]

FAR = 12.0  # entries of B x0
DIAGONAL = 1.0, 4.0  # smallest and largest entry of D
SAMPLES = 1000  # of the lower gradient's noise
OVERFLOW = 700.0


@dataclass(frozen=True, eq=False)
class UnboundedSmoothBilevel(QuadraticLower):
    """Mean of hyperbolic cosines over the solutions of a quadratic lower level.

    min over x of ``Phi(x) = 1/n sum_j cosh(y*(x)_j)`` where ``y*(x) = B x`` minimises
    ``1/2 (y - B x)'D (y - B x)``, B orthogonal, D diagonal from 1 to 4. Minimum: 1, at x = 0.

    Parameters
    ----------
    n : int, default 10
        Entries of x and of y.
    noise : float, default 0.1
        Standard deviation of the samples of the lower gradient, in each entry.
    seed : int, default 0
        Seed of B and of the noise.
    start : float, default 12.0
        Entries of ``B x0``, at most 300.
    scale : float, default 1.0
        Divides the certificate's value.

    Raises
    ------
    ProblemError
        A number out of range.

    Notes
    -----
    The gradient of Phi has no Lipschitz constant: near x0 its size is 2.6e4 and the curvature the
    same, at the minimum 1/n. A step that is safe far away is useless near, and the other way round:
    the test of methods for unbounded smoothness [1]_. The lower objective is the mean of 1000
    samples ``f + u_i'y`` with normal u_i whose mean is 0, the upper one that of its n terms.

    Certificate: ``||grad Phi|| + error``, relative to the objective 1 at y = 0; the bound uses the
    Lipschitz constant of ``grad_y F`` on the ball in which y* lies. Not rigorous as a proof of
    optimality, though Phi is convex here.

    Cost: two products with B. Memory: ``n^2`` numbers, and 1000 n of noise.

    References
    ----------
    .. [1] Hao, Gong, Liu (2024), Bilevel optimization under unbounded smoothness: a new algorithm
       and convergence analysis, arXiv 2401.09587.

    Examples
    --------
    >>> import fejer
    >>> problem = fejer.UnboundedSmoothBilevel()
    >>> round(problem.judge(problem.initial_point()).fun)
    81377
    >>> result = fejer.minimize(problem, method="maid")
    >>> result.success, round(result.fun, 9)
    (True, 1.0)
    """

    n: int = 10
    noise: float = 0.1
    seed: int = 0
    start: float = FAR
    scale: float = 1.0

    def __post_init__(self) -> None:
        self.set(
            n=as_number(self.n, "n", least=1, most=2000, integer=True),
            noise=as_number(self.noise, "noise", least=0, most=1e6),
            seed=as_number(self.seed, "seed", least=0, integer=True),
            start=as_number(self.start, "start", least=-300, most=300),
            scale=as_number(self.scale, "scale", above=0),
        )

    @classmethod
    def random(cls, n: int = 4, *, start: float = 2.0, seed: int = 0) -> Self:
        """Draw a small instance that starts near.

        Parameters
        ----------
        n : int
            Entries of x.
        start : float
            As in the class.
        seed : int
            Seed of B and of the noise.

        Returns
        -------
        UnboundedSmoothBilevel
        """
        return cls(n, seed=seed, start=start)

    def initial_point(self) -> Array:
        """Return ``B'(start, .., start)``."""
        return np.asarray(self._B().T @ np.full(self.n, self.start))

    @property
    def judge_units(self) -> int:
        """Gradients and products in one certificate."""
        return 8

    # ---- data ----------------------------------------------------------------------------------
    def _B(self) -> Array:
        def build() -> Array:
            rng = np.random.default_rng(self.seed)
            return np.asarray(np.linalg.qr(rng.standard_normal((self.n, self.n)))[0])

        return self.fact("B", ("n", "seed"), build)  # type: ignore[no-any-return]

    def _D(self) -> Array:
        return np.linspace(*DIAGONAL, self.n)

    def _noise(self) -> Array:
        def build() -> Array:
            u = np.random.default_rng([self.seed, 1]).standard_normal((SAMPLES, self.n))
            return np.asarray(self.noise * (u - u.mean(axis=0)))

        return self.fact("noise", ("n", "seed", "noise"), build)  # type: ignore[no-any-return]

    # ---- oracles -----------------------------------------------------------------------------
    @property
    def lower_size(self) -> int:
        """Number of entries of y."""
        return self.n

    def box(self) -> tuple[Array, Array]:
        """Return infinite bounds."""
        return np.full(self.n, -math.inf), np.full(self.n, math.inf)

    def steps_to_box(self, x: Array) -> tuple[Array, Array]:
        """Return infinite distances."""
        return self.box()

    def constants(self, x: Array) -> Constants:
        """Return the constants; that of ``grad_y F`` holds within distance 1 of ``B x``."""
        reach = min(float(np.abs(self._B() @ x).max()) + 1.0, OVERFLOW)
        return Constants(DIAGONAL[0], DIAGONAL[1], math.cosh(reach) / self.n)

    def upper_change(self, x: Array, y: Array, distance: float) -> float:
        """Bound the change of ``sinh(y)/n`` on a ball."""
        reach = float(np.abs(y).max()) + distance
        return math.cosh(reach) / self.n * distance if reach < OVERFLOW else math.inf

    def lower_gradient(self, x: Array, y: Array) -> Array:
        """Return ``D (y - B x)``."""
        return np.asarray(self._D() * (y - self._B() @ x))

    def lower_in_x(self, x: Array, y: Array) -> Array:
        """Return ``-B'D (y - B x)``."""
        return np.asarray(-self._B().T @ self.lower_gradient(x, y))

    def hessian(self, x: Array, y: Array) -> Callable[[Array], Array]:
        """Return ``v -> D v``."""
        D = self._D()
        return lambda v: D * v

    def solver(self, x: Array) -> Callable[[Array], Array] | None:
        """Return the division by D."""
        D = self._D()
        return lambda v: v / D

    def upper_level(self, x: Array, y: Array) -> Upper:
        """Return the mean of the cosines and its gradient."""
        fun = float(np.cosh(y).sum()) / self.n
        return Upper(fun, np.sinh(y) / self.n, 2 * ROUNDING * fun)

    def cross(self, x: Array, y: Array, q: Array, *, chart: bool = False) -> Cross:
        """Return ``-B'D q``."""
        product = -self._B().T @ (self._D() * q)
        floor = ROUNDING * self.n * norm(self._D() * q)
        return Cross(product, DIAGONAL[1] * (1 + ROUNDING * self.n), 0.0, 0.0, floor)

    def adjoint_norm(self, x: Array, y: Array, *, chart: bool = False) -> float:
        """Return ``||B|| = 1``, from above."""
        return 1.0 + ROUNDING * self.n

    def rounding(self, x: Array, y: Array, q: Array) -> tuple[float, float]:
        """Bound the rounding errors of the two residuals."""
        D = self._D()
        terms = norm(D * (np.abs(y) + np.abs(self._B()) @ np.abs(x)))
        # sinh is known to a few units in the last place.
        return ROUNDING * terms, ROUNDING * (norm(np.sinh(y)) / self.n + norm(D * q))

    # ---- samples -------------------------------------------------------------------------------
    def sample_sizes(self) -> tuple[int, int]:
        """Return the samples of the noise, and the terms of F."""
        return SAMPLES, self.n

    def part(self, lower: Any, upper: Any) -> Part:
        """Return the oracles over some samples of the noise and some terms of F."""
        return _Sample(self, self._noise()[lower].mean(axis=0), upper)


class _Sample(Part):
    def __init__(self, problem: UnboundedSmoothBilevel, push: Array, terms: Any) -> None:
        super().__init__(problem)
        self.push, self.terms = push, terms

    def lower_gradient(self, x: Array, y: Array) -> Array:
        return super().lower_gradient(x, y) + self.push

    def upper_level(self, x: Array, y: Array) -> Upper:
        n, k = y.size, len(self.terms)
        counts = np.bincount(self.terms, minlength=n) / k
        return Upper(float(counts @ np.cosh(y)), counts * np.sinh(y), 0.0)
