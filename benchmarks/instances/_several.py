"""A lower level with many solutions: methods of one object, so that it pickles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fejer.evidence import Array

__all__ = ["SeveralSolutions"]

WAVES = 0.69  # least (2 t + 3 sin 2t)/t


@dataclass
class SeveralSolutions:
    """``f = sum h(A2 y + A3 x - b2)``, ``F = 1/2 |A1 y - b1|^2 + 1/20 |x|^2``.

    Attributes
    ----------
    A1, b1, A2, A3, b2 : array
        Data.
    nonconvex : bool
        ``h(t) = t^2 + 3 sin(t)^2``, whose only stationary point is 0, or ``t^2/2``.
    """

    A1: Array
    b1: Array
    A2: Array
    A3: Array
    b2: Array
    nonconvex: bool

    @classmethod
    def draw(cls, n: int, m: int, rows: int, nonconvex: bool, seed: int) -> SeveralSolutions:
        """Draw normal matrices; singular values of A2 from 1 to 2."""
        rng = np.random.default_rng(seed)
        U = np.linalg.qr(rng.standard_normal((rows, rows)))[0]
        V = np.linalg.qr(rng.standard_normal((m, rows)))[0]
        A2 = (U * np.linspace(1.0, 2.0, rows)) @ V.T
        A1 = np.eye(m) + 0.3 * rng.standard_normal((m, m)) / np.sqrt(m)
        A3 = rng.standard_normal((rows, n))
        return cls(A1, rng.standard_normal(m), A2, A3, rng.standard_normal(rows), nonconvex)

    def fields(self) -> dict[str, Any]:
        """Return oracles and constants of `fejer.Bilevel`."""
        values = np.linalg.svd(self.A2, compute_uv=False)
        bend = 8.0 if self.nonconvex else 1.0
        return {
            "F": self.upper,
            "grad_y_F": lambda x, y: self.A1.T @ (self.A1 @ y - self.b1),
            "grad_x_F": lambda x, y: 0.1 * x,
            "f": self.lower,
            "grad_y_f": lambda x, y: self.A2.T @ self.slope(self.residual(x, y)),
            "grad_x_f": lambda x, y: self.A3.T @ self.slope(self.residual(x, y)),
            "hvp_yy": self.product,
            "jtv": lambda x, y, v: self.A3.T @ (self.bend(self.residual(x, y)) * (self.A2 @ v)),
            "x0": np.zeros(self.A3.shape[1]),
            "y0": np.zeros(self.A2.shape[1]),
            "mu": (WAVES if self.nonconvex else 1.0) * float(values[-1]) ** 2,
            "L": bend * float(values[0]) ** 2,
            "LgF": float(np.linalg.norm(self.A1, 2)) ** 2,
            "LH": (12.0 if self.nonconvex else 0.0) * float(values[0]) ** 3,
            "LJ": (12.0 if self.nonconvex else 0.0)
            * float(values[0]) ** 2
            * float(np.linalg.norm(self.A3, 2)),
            "LxF": 0.0,
            "jnorm": bend * float(values[0]) * float(np.linalg.norm(self.A3, 2)),
            "lower_level": "error-bound",
        }

    def residual(self, x: Array, y: Array) -> Array:
        """Return ``A2 y + A3 x - b2``."""
        return np.asarray(self.A2 @ y + self.A3 @ x - self.b2)

    def slope(self, t: Array) -> Array:
        """Return h'."""
        return 2 * t + 3 * np.sin(2 * t) if self.nonconvex else t

    def bend(self, t: Array) -> Array:
        """Return h''."""
        return 2 + 6 * np.cos(2 * t) if self.nonconvex else np.ones_like(t)

    def upper(self, x: Array, y: Array) -> float:
        """Return F."""
        r = self.A1 @ y - self.b1
        return float(0.5 * r @ r + 0.05 * x @ x)

    def lower(self, x: Array, y: Array) -> float:
        """Return f."""
        t = self.residual(x, y)
        return float(np.sum(t * t + 3 * np.sin(t) ** 2) if self.nonconvex else 0.5 * t @ t)

    def product(self, x: Array, y: Array) -> Any:
        """Return ``v -> H v``."""
        w = self.bend(self.residual(x, y))
        return lambda v: self.A2.T @ (w * (self.A2 @ v))

    def solution(self, x: Array) -> tuple[float, Array, Array]:
        """Return Phi, its gradient by the formula with ``H^+``, and y*."""
        right = self.b2 - self.A3 @ x
        inverse = np.linalg.pinv(self.A2)
        N = np.linalg.svd(self.A2)[2][len(self.A2) :].T
        start = inverse @ right
        w = np.linalg.lstsq(self.A1 @ N, self.b1 - self.A1 @ start, rcond=None)[0]
        y = start + N @ w
        # J'H^+ g for H = A2' c A2 and J = A2' c A3, c = h''(0).
        g = self.A1.T @ (self.A1 @ y - self.b1)
        return self.upper(x, y), 0.1 * x - self.A3.T @ (inverse.T @ g), y
