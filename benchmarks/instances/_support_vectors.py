"""Functions of a support vector machine whose training samples have weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["SupportVectors"]


@dataclass(frozen=True)
class SupportVectors:
    """``f = 1/2 ||w||^2 + mu/2 b^2 + 1/2 sum exp(x_i) s_i^2``, y = (w, b, s); F a logistic loss.

    Attributes
    ----------
    Z, t : array
        Training samples with a column of ones, and their labels -1 and 1.
    V, v : array
        The same of validation.
    mu : float
        Weight of the intercept.
    """

    Z: Any
    t: Any
    V: Any
    v: Any
    mu: float = 0.01

    @property
    def d(self):
        """Length of (w, b)."""
        return self.Z.shape[1]

    @property
    def weights(self):
        """Curvature in (w, b)."""
        return np.append(np.ones(self.d - 1), self.mu)

    def upper(self, x, y):
        """Return F."""
        return float(np.mean(np.logaddexp(0.0, -self.v * (self.V @ y[: self.d]))))

    def upper_in_x(self, x, y):
        """Return its gradient in x."""
        return np.zeros_like(x)

    def upper_in_y(self, x, y):
        """Return its gradient in y."""
        margin = self.v * (self.V @ y[: self.d])
        share = -self.v * 0.5 * (1 - np.tanh(0.5 * margin)) / self.v.size
        return np.append(self.V.T @ share, np.zeros(self.t.size))

    def lower(self, x, y):
        """Return f."""
        u, s = y[: self.d], y[self.d :]
        return 0.5 * u @ (self.weights * u) + 0.5 * np.exp(x) @ (s * s)

    def lower_in_x(self, x, y):
        """Return its gradient in x."""
        return 0.5 * np.exp(x) * y[self.d :] ** 2

    def lower_in_y(self, x, y):
        """Return its gradient in y."""
        return np.append(self.weights * y[: self.d], np.exp(x) * y[self.d :])

    def second(self, x, y):
        """Return the derivatives of the gradient in y."""
        k = self.t.size
        H = np.zeros((self.d + k, k + self.d + k))
        H[np.arange(self.d), k + np.arange(self.d)] = self.weights
        i = np.arange(k)
        H[self.d + i, i] = np.exp(x) * y[self.d :]
        H[self.d + i, k + self.d + i] = np.exp(x)
        return H

    def accuracy(self, y, samples, labels):
        """Return the share of samples on the right side."""
        return float(np.mean(np.sign(samples @ y[: self.d]) == labels))
