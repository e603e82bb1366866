"""Families of maps with their adjoint derivatives, for points of d coordinates."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from fejer.evidence import Array

CENTERS = 64
HIDDEN = 64


class Family(Protocol):
    """Maps with parameters theta."""

    size: int

    def initial(self) -> Array:
        """Return the parameters of the identity, or of a map near to it."""

    def apply(self, theta: Array, x: Array) -> Array:
        """Return the images of points."""

    def pull(self, theta: Array, x: Array, gradient: Array) -> Array:
        """Return the gradient in theta of a function of the images with that gradient."""

    def jacobian(self, theta: Array, x: Array) -> Array:
        """Return the derivative of the images, point by point, in theta: (n d, size)."""


class Affine:
    """``A (x - mean) / s + b``, s the spread of the source; theta = (A row by row, b)."""

    def __init__(self, source: Array) -> None:
        self.mean, d = source.mean(axis=0), source.shape[1]
        self.spread = float(np.sqrt(((source - self.mean) ** 2).sum(axis=1).mean())) or 1.0
        self.d, self.size = d, d * d + d

    def initial(self) -> Array:
        return np.concatenate([self.spread * np.eye(self.d).ravel(), self.mean])

    def apply(self, theta: Array, x: Array) -> Array:
        A = theta[: self.d**2].reshape(self.d, self.d)
        return ((x - self.mean) / self.spread) @ A.T + theta[self.d**2 :]  # type: ignore[no-any-return]

    def pull(self, theta: Array, x: Array, gradient: Array) -> Array:
        matrix = gradient.T @ ((x - self.mean) / self.spread)
        return np.concatenate([matrix.ravel(), gradient.sum(axis=0)])

    def jacobian(self, theta: Array, x: Array) -> Array:
        one = np.eye(self.d)
        rows = np.kron((x - self.mean) / self.spread, np.ones((self.d, 1)))
        tiled = np.tile(one, (len(x), 1))
        return np.hstack([(tiled[:, :, None] * rows[:, None, :]).reshape(len(tiled), -1), tiled])


class Radial:
    """``x + sum_l w_l exp(-|x - c_l|^2 / (2 h^2))``; centres from the source, theta = w."""

    def __init__(self, source: Array) -> None:
        n, d = source.shape
        self.centers = source[:: max(1, -(-n // CENTERS))]
        distances = self._squares(source, self.centers)
        self.width = float(np.median(distances[distances > 0])) if distances.any() else 1.0
        self.d, self.size = d, len(self.centers) * d

    @staticmethod
    def _squares(x: Array, y: Array) -> Array:
        return ((x[:, None, :] - y) ** 2).sum(axis=2)  # type: ignore[no-any-return]

    def _features(self, x: Array) -> Array:
        return np.exp(-self._squares(x, self.centers) / (2 * self.width))  # type: ignore[no-any-return]

    def initial(self) -> Array:
        return np.zeros(self.size)

    def apply(self, theta: Array, x: Array) -> Array:
        return x + self._features(x) @ theta.reshape(-1, self.d)  # type: ignore[no-any-return]

    def pull(self, theta: Array, x: Array, gradient: Array) -> Array:
        return (self._features(x).T @ gradient).ravel()  # type: ignore[no-any-return]

    def jacobian(self, theta: Array, x: Array) -> Array:
        return np.asarray(np.kron(self._features(x), np.eye(self.d)), dtype=np.float64)


class Perceptron:
    """``x + s (W3 h(W2 h(W1 z + b1) + b2) + b3)``, ``z = (x - mean) / s``, h the softplus."""

    def __init__(self, source: Array) -> None:
        self.mean, d = source.mean(axis=0), source.shape[1]
        self.spread = float(np.sqrt(((source - self.mean) ** 2).sum(axis=1).mean())) or 1.0
        self.shapes = ((HIDDEN, d), (HIDDEN,), (HIDDEN, HIDDEN), (HIDDEN,), (d, HIDDEN), (d,))
        self.size = sum(int(np.prod(shape)) for shape in self.shapes)

    def _parts(self, theta: Array) -> list[Any]:
        ends = np.cumsum([int(np.prod(shape)) for shape in self.shapes])[:-1]
        return [p.reshape(s) for p, s in zip(np.split(theta, ends), self.shapes, strict=True)]

    def initial(self) -> Array:
        rng = np.random.default_rng(0)
        scales = (1.0, 0.0, 1.0 / np.sqrt(HIDDEN), 0.0, 0.01 / np.sqrt(HIDDEN), 0.0)
        parts = [s * rng.normal(size=shape) for s, shape in zip(scales, self.shapes, strict=True)]
        return np.concatenate([part.ravel() for part in parts])

    def apply(self, theta: Array, x: Array) -> Array:
        W1, b1, W2, b2, W3, b3 = self._parts(theta)
        z = (x - self.mean) / self.spread
        h = np.logaddexp(0.0, np.logaddexp(0.0, z @ W1.T + b1) @ W2.T + b2)
        return x + self.spread * (h @ W3.T + b3)  # type: ignore[no-any-return]

    def pull(self, theta: Array, x: Array, gradient: Array) -> Array:
        W1, b1, W2, b2, W3, _ = self._parts(theta)
        z = (x - self.mean) / self.spread
        s1 = z @ W1.T + b1
        h1 = np.logaddexp(0.0, s1)
        s2 = h1 @ W2.T + b2
        h2 = np.logaddexp(0.0, s2)
        g3 = self.spread * gradient
        g2 = (g3 @ W3) / (1.0 + np.exp(-np.clip(s2, -700, 700)))
        g1 = (g2 @ W2) / (1.0 + np.exp(-np.clip(s1, -700, 700)))
        parts = (g1.T @ z, g1.sum(axis=0), g2.T @ h1, g2.sum(axis=0), g3.T @ h2, g3.sum(axis=0))
        return np.concatenate([part.ravel() for part in parts])

    def jacobian(self, theta: Array, x: Array) -> Array:
        W1, b1, W2, b2, W3, _ = self._parts(theta)
        z, d = (x - self.mean) / self.spread, x.shape[1]
        s1 = z @ W1.T + b1
        h1 = np.logaddexp(0.0, s1)
        s2 = h1 @ W2.T + b2
        h2 = np.logaddexp(0.0, s2)
        one = np.tile(self.spread * np.eye(d), (len(x), 1))

        def each(rows: Array) -> Array:  # one row for each coordinate of each image
            return np.repeat(rows, d, axis=0)

        def product(left: Array, right: Array) -> Array:
            return (left[:, :, None] * each(right)[:, None, :]).reshape(len(left), -1)

        g2 = (one @ W3) / (1.0 + np.exp(-np.clip(each(s2), -700, 700)))
        g1 = (g2 @ W2) / (1.0 + np.exp(-np.clip(each(s1), -700, 700)))
        return np.hstack([product(g1, z), g1, product(g2, h1), g2, product(one, h2), one])


FAMILIES: dict[str, Any] = {"affine": Affine, "rbf": Radial, "mlp": Perceptron}
