"""Averaged fixed-point iteration."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from fejer.evidence import Array
from fejer.jit import kernel
from fejer.method import Method, Rate, Start, State, option, register
from fejer.problems.monotone._operators import FixedPointForm

from ._rates import distance, plane_rotation, residual


@dataclass
class AveragedState(State):
    """The iterate."""

    x: Array


@register
@dataclass(frozen=True, eq=False)
class Averaged(Method):
    """Averaged (Krasnoselskii-Mann) iteration.

    ``x <- (1 - w) x + w N(x)``, N the nonexpansive map: T itself, or, where T is declared to be
    a-averaged, ``N = I + (T - I) / a``.

    Parameters
    ----------
    weight : float, default 0.5
        w in (0, 1).

    Notes
    -----
    Rate: ``||x - N x||`` falls monotonically and is at most ``R (w (1 - w) (k + 1))^(-1/2)``, R the
    distance of the start to a fixed point; for w = 1/2 at most
    ``2 R (k + 1)^(-1/2) (k / (k + 1))^(k/2)``, which a plane rotation with
    ``sin^2(angle/2) = 1 / (k + 1)`` attains [3]_. Linear for contractions.

    Cost: one evaluation of T and one pass over x. Memory: two vectors.

    References
    ----------
    .. [1] Krasnoselskii (1955), Two remarks on the method of successive approximations.
    .. [2] Mann (1953), Mean value methods in iteration.
    .. [3] Gu, Yang (2020), Tight sublinear convergence rate of the proximal point algorithm for
       maximal monotone inclusion problems, SIAM J. Optim. 30, arXiv:1904.05495.

    Examples
    --------
    >>> import fejer
    >>> problem = fejer.FixedPoint.random(5)
    >>> fejer.minimize(problem, method="averaged").success
    True
    """

    weight: float = option(0.5, above=0, below=1, doc="w of x <- (1 - w) x + w N(x)")

    name = "averaged"
    solves = (FixedPointForm,)
    cites = ("Krasnoselskii (1955)", "Mann (1953)", "arXiv:1904.05495")

    @property
    def rate(self) -> Rate:
        """The bound for this weight, with its worst case."""
        w = self.weight
        scale = 1.0 / math.sqrt(w * (1.0 - w))

        def bound(problem: Any, x0: Array, xstar: Array, k: int) -> float:
            value = scale * distance(problem, x0, xstar) / math.sqrt(k + 1)
            return value * (k / (k + 1)) ** (k / 2) if w == 0.5 and k else value

        def worst_case(k: int) -> Any:
            return plane_rotation(2 * math.asin(min(1.0, 0.5 * scale / math.sqrt(k + 1))))

        return Rate(
            "||x - Tx|| <= R (w (1 - w) (k + 1))^-1/2; w = 1/2: 2 R (k + 1)^-1/2 (k/(k+1))^(k/2)",
            "sublinear",
            0.5,
            assumptions="T nonexpansive, a fixed point exists",
            measure=residual,
            bound=bound,
            worst_case=worst_case,
        )

    def supports(self, problem: Any) -> str | None:
        """Return None, or why the problem has no nonexpansive map."""
        return problem.no_map()  # type: ignore[no-any-return]

    def prepare(self, problem: Any, tol: float, rng: np.random.Generator) -> Any:
        """Take the map."""
        return problem.fixed_point()

    def begin(self, problem: Any, prep: Any, start: Start, rng: np.random.Generator) -> Any:
        """Check the map at the start."""
        problem.check_start(start.x)
        return AveragedState(start.x)

    def advance(self, problem: Any, prep: Any, state: Any, n: int) -> bool:
        """Make n iterations."""
        weight = self.weight / prep.averagedness
        if prep.compiled is not None:
            iterate(
                prep.compiled, state.x, np.empty_like(state.x), np.empty_like(state.x), weight, n
            )
        else:
            for _ in range(n):
                average(state.x, prep.apply(state.x), weight)
        state.nit += n
        state.work += n * problem.unit
        state.nfev += 0 if prep.is_affine else n
        return False


@kernel
def average(x, image, weight):
    """x <- x + weight (image - x)."""
    for i in range(x.size):
        x[i] += weight * (image[i] - x[i])


@kernel
def iterate(T, x, copy, image, weight, count):
    """Many iterations with a compiled map, which gets a copy of x."""
    for _ in range(count):
        copy[:] = x
        T(copy, image)
        average(x, image, weight)
