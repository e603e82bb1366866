"""A small network for digits whose hyperparameters cannot be differentiated."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fejer.evidence import Array

__all__ = ["Network"]

SIDE, HIDDEN, CLASSES = 8, 64, 10
SIZES = (SIDE * SIDE + 1, HIDDEN), (HIDDEN + 1, CLASSES)
LOW, HIGH = (-6.0, -6.0, -6.0, -0.5), (2.0, 2.0, 1.0, 3.0)  # of the four hyperparameters


def sigmoid(x: float) -> float:
    """Return ``1/(1 + exp(-x))``."""
    return float(1 / (1 + np.exp(-x)))


@dataclass
class Network:
    """Cross entropy of a 64-64-10 network under dropout, noise and shifts of its inputs.

    Attributes
    ----------
    X, labels, V, wanted : array
        Training images with a column of ones and their labels, and those for validation.
    batch : int
        Samples of a training gradient.
    rng : Generator
        Of batches, dropout, noise and shifts: the lower gradient is never the same twice.
    calls : int
        Training gradients so far.

    Notes
    -----
    Hyperparameters: log-odds of the dropout rates of pixels and of hidden units, logarithm of the
    noise's standard deviation, and the largest shift in pixels, which is rounded to an integer.
    """

    X: Array
    labels: Any
    V: Array
    wanted: Any
    batch: int
    rng: Any
    calls: int = 0
    places: list[tuple[int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        start = 0
        for rows, columns in SIZES:
            self.places.append((start, start + rows * columns))
            start += rows * columns

    def fields(self) -> dict[str, Any]:
        """Return the fields of `fejer.Bilevel`: no derivative in x, no second derivative."""
        size = self.places[-1][1]
        first = np.random.default_rng(0).standard_normal(size)
        for (a, b), (rows, _) in zip(self.places, SIZES, strict=True):
            first[a:b] *= np.sqrt(1 / rows)
        return {
            "F": self.upper,
            "grad_y_F": self.upper_in_y,
            "grad_y_f": self.slope,
            "x0": np.array([-2.0, -2.0, -2.0, 0.0]),
            "y0": first,
            "lower": np.array(LOW),
            "upper": np.array(HIGH),
        }

    def weights(self, y: Array) -> list[Array]:
        """Return the two matrices."""
        return [y[a:b].reshape(shape) for (a, b), shape in zip(self.places, SIZES, strict=True)]

    def gradient(self, y: Array, X: Array, labels: Any, mask: Any) -> tuple[float, Array]:
        """Return the mean cross entropy and its gradient; the mask multiplies hidden units."""
        first, second = self.weights(y)
        plain = np.tanh(X @ first)
        hidden = np.c_[plain * mask, np.ones(len(X))]
        T = hidden @ second
        top = T.max(axis=1, keepdims=True)
        P = np.exp(T - top)
        total = P.sum(axis=1, keepdims=True)
        rows = np.arange(len(X))
        fun = float((np.log(total[:, 0]) + top[:, 0] - T[rows, labels]).mean())
        P /= total
        P[rows, labels] -= 1
        P /= len(X)
        back = (P @ second[:-1].T) * mask * (1 - plain**2)
        return fun, np.concatenate([(X.T @ back).ravel(), (hidden.T @ P).ravel()])

    def slope(self, x: Array, y: Array) -> Array:
        """Return the training gradient over a fresh batch, disturbed as x says."""
        self.calls += 1
        rows = self.rng.integers(0, len(self.X), self.batch)
        pixels = self.X[rows, :-1].reshape(-1, SIDE, SIDE)
        reach = max(int(np.round(x[3])), 0)
        shifts = self.rng.integers(-reach, reach + 1, (self.batch, 2))
        if reach:
            pixels = np.array([shifted(p, *s) for p, s in zip(pixels, shifts, strict=True)])
        flat = pixels.reshape(self.batch, -1)
        flat = flat + np.exp(x[2]) * self.rng.standard_normal(flat.shape)
        masks = []
        for odds, units in ((x[0], SIDE * SIDE), (x[1], HIDDEN)):
            rate = sigmoid(odds)
            masks.append((self.rng.uniform(size=(self.batch, units)) >= rate) / (1 - rate))
        X = np.c_[flat * masks[0], np.ones(self.batch)]
        return self.gradient(y, X, self.labels[rows], masks[1])[1]

    def upper(self, x: Array, y: Array) -> float:
        """Return the validation loss."""
        return self.gradient(y, self.V, self.wanted, 1.0)[0]

    def upper_in_y(self, x: Array, y: Array) -> Array:
        """Return its gradient."""
        return self.gradient(y, self.V, self.wanted, 1.0)[1]


def shifted(image: Array, down: int, right: int) -> Array:
    """Move an image; what comes in is black."""
    out = np.zeros_like(image)
    i, j = max(down, 0), max(right, 0)
    h, w = SIDE - abs(down), SIDE - abs(right)
    out[i : i + h, j : j + w] = image[i - down : i - down + h, j - right : j - right + w]
    return out
