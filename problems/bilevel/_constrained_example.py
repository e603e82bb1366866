"""The random instance of `ConstrainedBilevel`: methods of one object, so that it pickles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["ConstrainedExample"]


@dataclass
class ConstrainedExample:
    """``f = 1/2 y'Qy - (Bx + r)'y``, ``F = 1/2 ||y - c||^2 + a/2 ||x||^2``.

    Attributes
    ----------
    Q, B, r, c : array
        Data.
    weight : float
        The number a.
    """

    Q: Any
    B: Any
    r: Any
    c: Any
    weight: float

    @classmethod
    def draw(cls, n: int, m: int, p: int, seed: int) -> dict[str, Any]:
        """Draw fields of a problem whose lower level has p rows, some of which will be active.

        Parameters
        ----------
        n, m, p : int
            Numbers of upper and lower variables and of constraints.
        seed : int
            Seed of the generator.

        Returns
        -------
        dict
        """
        rng = np.random.default_rng(seed)
        U = np.linalg.qr(rng.standard_normal((m, m)))[0]
        Q = (U * np.linspace(1.0, 2.0, m)) @ U.T
        B = rng.standard_normal((m, n))
        made = cls(0.5 * (Q + Q.T), B, rng.standard_normal(m), rng.standard_normal(m), 0.1)
        return {
            "F": made.upper,
            "grad_x_F": made.upper_in_x,
            "grad_y_F": made.upper_in_y,
            "f": made.lower,
            "grad_x_f": made.slope_in_x,
            "grad_y_f": made.slope,
            "x0": np.zeros(n),
            "y0": np.zeros(m),
            "Gx": 0.3 * rng.standard_normal((p, n)),
            "Gy": rng.standard_normal((p, m)),
            "h": rng.uniform(0.1, 0.5, p),
            "lower": -2.0,
            "upper": 2.0,
            "hess_f": made.second,
        }

    def upper(self, x, y):
        """Return F."""
        return 0.5 * np.sum((y - self.c) ** 2) + 0.5 * self.weight * (x @ x)

    def upper_in_x(self, x, y):
        """Return its gradient in x."""
        return self.weight * x

    def upper_in_y(self, x, y):
        """Return its gradient in y."""
        return y - self.c

    def lower(self, x, y):
        """Return f."""
        return 0.5 * y @ self.Q @ y - (self.B @ x + self.r) @ y

    def slope_in_x(self, x, y):
        """Return its gradient in x."""
        return -(self.B.T @ y)

    def slope(self, x, y):
        """Return its gradient in y."""
        return self.Q @ y - self.B @ x - self.r

    def second(self, x, y):
        """Return the derivatives of `slope` in x and y, side by side."""
        return np.hstack([-self.B, self.Q])
