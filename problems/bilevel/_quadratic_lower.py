"""Lower levels that are quadratic in y: their solution is one linear system."""

from __future__ import annotations

import numpy as np

from fejer.evidence import Array
from fejer.numerics.krylov import cg

from ._lower_level import LowerLevel

__all__ = ["QuadraticLower"]


class QuadraticLower(LowerLevel):
    """Base of bilevel classes whose H depends on x alone: ``H y* = -grad_y f(x, 0)``."""

    def lower_solution(
        self, x: Array, accuracy: float = 1e-14, start: Array | None = None
    ) -> Array:
        """Solve the lower level by the factorisation, or by conjugate gradients.

        Parameters
        ----------
        x : array, shape (n,)
            Upper variable.
        accuracy : float, default 1e-14
            Residual relative to that of ``y = 0``, for conjugate gradients; the factorisation
            always gives what float64 can.
        start : array, shape (m,), optional
            First iterate of the conjugate gradients.

        Returns
        -------
        array, shape (m,)
        """
        zero = np.zeros(self.lower_size)
        slope = self.lower_gradient(x, zero)
        solve = self.solver(x)
        if solve is not None:
            y = -solve(slope)
            return y - solve(self.lower_gradient(x, y))
        limit = 2 * self.lower_size + 50
        product = self.hessian(x, zero)
        return cg(product, -slope, x0=start, tol=max(accuracy, 1e-15), max_iter=limit).x
