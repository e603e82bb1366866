"""Lower levels that are smooth and strongly convex, but not quadratic."""

from __future__ import annotations

from fejer.evidence import Array

from ._assessment import norm
from ._lower_level import LowerLevel

__all__ = ["SmoothLower"]

MOST = 200  # Newton steps; each makes the gradient norm smaller


class SmoothLower(LowerLevel):
    """Base of bilevel classes whose H depends on y: solved by Newton's method."""

    def lower_solution(
        self, x: Array, accuracy: float = 1e-14, start: Array | None = None
    ) -> Array:
        """Solve the lower level by inexact Newton steps.

        Parameters
        ----------
        x : array, shape (n,)
            Upper variable.
        accuracy : float, default 1e-14
            Gradient norm to reach, relative to that of the trivial lower solution.
        start : array, shape (m,), optional
            First iterate.

        Returns
        -------
        array, shape (m,)
            Rounding may allow no more than a larger gradient norm; the certificate measures it.
        """
        y = self.lower_start() if start is None else start
        unit = norm(self.lower_gradient(x, self.lower_start())) or 1.0
        goal = accuracy * unit
        gradient = self.lower_gradient(x, y)
        for _ in range(MOST):
            if norm(gradient) <= goal:
                break
            step = self.lower_step(x, y, gradient, goal, unit)
            if not step.moved:
                break
            y, gradient = step.y, step.gradient
        return y
