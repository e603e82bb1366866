"""Operators of the random instances: objects at module level, so that problems pickle."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fejer.evidence import Array

__all__ = ["LeastSquaresComponents", "LeastSquaresGradient"]


@dataclass(frozen=True, eq=False)
class LeastSquaresGradient:
    """``F(u) = (1/n) X'(X u - y)``, the gradient of half the mean squared residual."""

    X: Array
    y: Array

    def __call__(self, u: Array) -> Array:
        return self.X.T @ (self.X @ u - self.y) / self.y.size

    def fingerprint(self) -> str:
        """Return a SHA-256 of the data."""
        return hashlib.sha256(self.X.tobytes() + self.y.tobytes()).hexdigest()


@dataclass(frozen=True, eq=False)
class LeastSquaresComponents:
    """The mean over chosen samples of ``F_i(u) = x_i (x_i'u - y_i)``."""

    X: Array
    y: Array

    def __call__(self, u: Array, indices: NDArray[np.int64]) -> Array:
        X = self.X[indices]
        return X.T @ (X @ u - self.y[indices]) / indices.size

    def fingerprint(self) -> str:
        """Return a SHA-256 of the data."""
        return hashlib.sha256(self.X.tobytes() + self.y.tobytes()).hexdigest()
