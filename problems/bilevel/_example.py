"""The random instance of `Bilevel`: methods of one object, so that it pickles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Example"]


@dataclass
class Example:
    """``f = 1/2 y'Qy + sum sqrt(1 + y_i^2) - y'Bx``, ``F = 1/2 |y - c|^2 + a/2 |x|^2``.

    Attributes
    ----------
    Q, B, c : array
        Data.
    weight : float
        The number a.
    """

    Q: Any
    B: Any
    c: Any
    weight: float

    @classmethod
    def draw(cls, n: int, m: int, seed: int) -> Example:
        """Draw Q with eigenvalues 1 .. 2, B and c normal.

        Parameters
        ----------
        n, m : int
            Sizes of x and y.
        seed : int
            Seed of the generator.

        Returns
        -------
        Example
        """
        rng = np.random.default_rng(seed)
        U = np.linalg.qr(rng.standard_normal((m, m)))[0]
        Q = (U * np.linspace(1.0, 2.0, m)) @ U.T
        B = rng.standard_normal((m, n))
        return cls(0.5 * (Q + Q.T), B, rng.standard_normal(m), 0.1)

    def fields(self) -> dict[str, Any]:
        """Return all oracles and constants of `Bilevel`."""
        m, n = self.B.shape
        return {
            "F": self.upper,
            "grad_y_F": self.upper_in_y,
            "grad_y_f": self.slope,
            "x0": np.zeros(n),
            "y0": np.zeros(m),
            "grad_x_F": self.upper_in_x,
            "f": self.lower,
            "grad_x_f": self.slope_in_x,
            "hvp_yy": self.product,
            "jtv": self.transposed,
            "mu": 1.0,
            "L": 3.0,
            "LgF": 1.0,
            "LH": 0.8587,
            "LJ": 0.0,
            "LxF": 0.0,
            "jnorm": float(np.linalg.norm(self.B, 2)),
        }

    def upper(self, x, y):
        """Return F."""
        return 0.5 * np.sum((y - self.c) ** 2) + 0.5 * self.weight * (x @ x)

    def upper_in_y(self, x, y):
        """Return its gradient in y."""
        return y - self.c

    def upper_in_x(self, x, y):
        """Return its gradient in x."""
        return self.weight * x

    def lower(self, x, y):
        """Return f."""
        return 0.5 * y @ self.Q @ y + np.sum(np.sqrt(1 + y * y)) - y @ (self.B @ x)

    def slope(self, x, y):
        """Return its gradient in y."""
        return self.Q @ y + y / np.sqrt(1 + y * y) - self.B @ x

    def slope_in_x(self, x, y):
        """Return its gradient in x."""
        return -(self.B.T @ y)

    def product(self, x, y):
        """Return ``v -> H v``."""
        extra = (1 + y * y) ** -1.5
        return lambda v: self.Q @ v + extra * v

    def transposed(self, x, y, v):
        """Return ``J'v``."""
        return -(self.B.T @ v)
