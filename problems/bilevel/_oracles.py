"""The oracles of bilevel classes with a strongly convex lower level.

The notation of the whole family: upper variable x, lower variable y, upper objective F, lower
objective f, ``H = d2f/dy dy``, ``J = d2f/dy dx``, ``y*(x) = argmin f(x, .)``,
``Phi(x) = F(x, y*(x))`` and the adjoint q with ``H q = grad_y F``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from fejer.evidence import Array
from fejer.problem import Problem

from ._assessment import Constants, Cross, Upper, norm
from ._newton import Step, newton_step
from ._sampling import Part

__all__ = ["Oracles"]

SMALLEST_SCALE = 1e-6  # of F at the trivial lower solution


class Oracles(Problem):
    """What a bilevel class writes; `LowerLevel` makes certificate and views of it."""

    nonsmooth: ClassVar[bool] = False  # f(x, .) has kinks: gradient methods do not solve it
    kinks: ClassVar[bool] = False  # Phi has kinks, at which its minimum may lie
    assembled: ClassVar[int] = 128  # entries of y up to which a bound may form H as an array

    @property
    def relaxed(self) -> bool:
        """Whether the lower level may have several solutions."""
        return False

    # ---- what a class writes -------------------------------------------------------------------
    @property
    def lower_size(self) -> int:
        """Number of entries of y."""
        raise NotImplementedError

    def box(self) -> tuple[Array, Array]:
        """Return the bounds of x."""
        raise NotImplementedError

    def lower_start(self) -> Array:
        """Return the trivial lower solution, whose F is the unit of the certificate."""
        return np.zeros(self.lower_size)

    def constants(self, x: Array) -> Constants:
        """Return the constants at x."""
        raise NotImplementedError

    def lower_gradient(self, x: Array, y: Array) -> Array:
        """Return ``grad_y f``."""
        raise NotImplementedError

    def hessian(self, x: Array, y: Array) -> Callable[[Array], Array]:
        """Return the function ``v -> H v``."""
        raise NotImplementedError

    def upper_level(self, x: Array, y: Array) -> Upper:
        """Return F and its gradients."""
        raise NotImplementedError

    def cross(self, x: Array, y: Array, q: Array, *, chart: bool = False) -> Cross:
        """Return ``J' q`` with the bounds that go with it, in x or in the coordinates t."""
        raise NotImplementedError

    def steps_to_box(self, x: Array) -> tuple[Array, Array]:
        """Return the distances ``lower - t`` and ``upper - t`` in the coordinates t."""
        raise NotImplementedError

    def rounding(self, x: Array, y: Array, q: Array) -> tuple[float, float]:
        """Bound the rounding errors of ``grad_y f`` and of ``grad_y F - H q`` in norm."""
        raise NotImplementedError

    def lower_solution(
        self, x: Array, accuracy: float = 1e-14, start: Array | None = None
    ) -> Array:
        """Solve the lower level to ``accuracy`` times the residual of the trivial solution."""
        raise NotImplementedError

    def null_value(self) -> float:
        """Return F at the trivial lower solution."""
        raise NotImplementedError

    # ---- what a class may write ----------------------------------------------------------------
    def auto(self) -> tuple[str, ...]:
        """Return the methods, quasi-Newton first: upper levels may be ill-conditioned."""
        return ("inexact-quasi-newton", "maid", "hoag")

    def solver(self, x: Array) -> Callable[[Array], Array] | None:
        """Return the function ``v -> H^-1 v`` where a factorisation is cheap, else None."""
        return None

    def preconditioner(self, x: Array, y: Array) -> Callable[[Array], Array] | None:
        """Return an approximation of ``v -> H^-1 v`` for conjugate gradients."""
        return None

    def unit_of(self, fun: float) -> float:
        """Return the unit of the certificate at a point with this upper objective."""
        # At most F of the trivial solution: a bad y makes F large, and must not buy tolerance.
        null = self.null_value() or 1.0
        return min(null, max(fun, SMALLEST_SCALE * null)) if math.isfinite(null) else math.inf

    def adjoint_norm(self, x: Array, y: Array, *, chart: bool = False) -> float:
        """Bound ``||J' H^-1||`` better than ``||J|| / mu`` does; inf where that is not possible."""
        return math.inf

    def hessian_change(self, x: Array, y: Array, q: Array, distance: float) -> float:
        """Bound ``||(H(y') - H(y)) q||`` over ``||y' - y|| <= distance``."""
        c, size = self.constants(x), norm(q)
        lipschitz = c.hessian * size * distance if c.hessian else 0.0
        return min(lipschitz, 2 * c.lipschitz * size)

    def chart_rate(self, x: Array) -> Array:
        """Return dx/dt, the derivative of x in the coordinates of the certificate."""
        return np.ones_like(x)

    def upper_change(self, x: Array, y: Array, distance: float) -> float:
        """Bound ``||grad_y F(y') - grad_y F(y)||`` over ``||y' - y|| <= distance``."""
        return self.constants(x).upper * distance

    def cross_change(self, x: Array, y: Array, distance: float, *, chart: bool = False) -> float:
        """Bound the change of ``grad_x F``, in x or t, over ``||y' - y|| <= distance``."""
        return self.constants(x).upper_cross * distance

    def lower_step(self, x: Array, y: Array, gradient: Array, goal: float, unit: float) -> Step:
        """Make the gradient of ``f(x, .)`` smaller; see `newton_step`."""
        return newton_step(self, x, y, gradient, goal, unit)  # type: ignore[arg-type]

    def lower_in_x(self, x: Array, y: Array) -> Array | None:
        """Return ``grad_x f``, for methods without second derivatives; None where there is none."""
        return None

    def chart_size(self, unit: float) -> float:
        """Return the length that one unit of t stands for, given the unit of F."""
        return 1.0

    def sample_sizes(self) -> tuple[int, int]:
        """Return how many samples the lower and the upper objective are means of."""
        return 1, 1

    def part(self, lower: Any, upper: Any) -> Part:
        """Return the oracles over these samples; by default the whole problem."""
        return Part(self)
