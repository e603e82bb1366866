"""A representation that many tasks share: an embedding above, a ridge regression for each below."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fejer.evidence import Array

__all__ = ["Representation"]


@dataclass
class Representation:
    """Tasks with training and validation documents, ``X`` the embedding of words.

    ``f = 1/T sum_t 1/(2n) |A_t X y_t - b_t|^2 + ridge/2 |y_t|^2``,
    ``F = 1/T sum_t 1/(2k) |V_t X y_t - c_t|^2``.

    Attributes
    ----------
    A, b, V, c : array
        Data of all tasks, the task first.
    depth : int
        Columns of X.
    ridge : float
        Penalty of the heads.
    start : array
        The first embedding, flattened.
    """

    A: Array
    b: Array
    V: Array
    c: Array
    depth: int
    ridge: float
    start: Array

    @classmethod
    def draw(cls, tasks: int, words: int, depth: int, rows: int, seed: int) -> Representation:
        """Draw counts of words, most of them 0, and targets from a common embedding."""
        rng = np.random.default_rng(seed)
        frequency = 1.0 / np.arange(1, words + 1) ** 0.7
        counts = rng.poisson(4 * frequency, (tasks, 2 * rows, words))
        documents = np.log1p(counts) / np.sqrt((np.log1p(counts) ** 2).mean())
        truth = rng.standard_normal((words, depth)) / np.sqrt(words)
        heads = rng.standard_normal((tasks, depth, 1))
        targets = (documents @ truth @ heads)[:, :, 0]
        targets += 0.3 * rng.standard_normal(targets.shape)
        start = rng.standard_normal(words * depth) / np.sqrt(words)
        A, V = documents[:, :rows], documents[:, rows:]
        return cls(A, targets[:, :rows], V, targets[:, rows:], depth, 0.1, start)

    def fields(self) -> dict[str, Any]:
        """Return oracles and constants of `fejer.Bilevel`."""
        T, n = self.A.shape[:2]
        above = max(np.linalg.norm(V, 2) for V in self.V) ** 2 / n / T
        below = max(np.linalg.norm(A, 2) for A in self.A) ** 2 / n / T
        return {
            "F": self.upper,
            "grad_y_F": lambda x, y: self._heads(x, y, self.V, self.c),
            "grad_x_F": lambda x, y: self._words(x, y, self.V, self.c),
            "f": self.lower,
            "grad_y_f": lambda x, y: self._heads(x, y, self.A, self.b) + self.ridge / T * y,
            "grad_x_f": lambda x, y: self._words(x, y, self.A, self.b),
            "hvp_yy": self.product,
            "jtv": self.transposed,
            "x0": self.start,
            "y0": np.zeros(T * self.depth),
            "mu": self.ridge / T,
            "L": lambda x: below * self._norm(x) ** 2 + self.ridge / T,
            "LgF": lambda x: above * self._norm(x) ** 2,
            "LH": 0.0,
            "LJ": lambda x: 2 * below * self._norm(x),
            "jnorm": self.size_of_cross,
        }

    def _split(self, x: Array, y: Array) -> tuple[Array, Array]:
        return x.reshape(-1, self.depth), y.reshape(len(self.A), self.depth)

    def _norm(self, x: Array) -> float:
        return float(np.linalg.norm(x.reshape(-1, self.depth), 2))

    def _rest(self, x: Array, y: Array, A: Array, b: Array) -> Array:
        X, Y = self._split(x, y)
        return np.asarray(((A @ X) @ Y[:, :, None])[:, :, 0] - b)

    def _heads(self, x: Array, y: Array, A: Array, b: Array) -> Array:
        X, _ = self._split(x, y)
        back = (self._rest(x, y, A, b)[:, None, :] @ (A @ X))[:, 0]
        return np.asarray(back.ravel() / b.size)

    def _words(self, x: Array, y: Array, A: Array, b: Array) -> Array:
        _, Y = self._split(x, y)
        pulls = (self._rest(x, y, A, b)[:, None, :] @ A)[:, 0]
        return np.asarray((pulls.T @ Y).ravel() / b.size)

    def upper(self, x: Array, y: Array) -> float:
        """Return F."""
        return float((self._rest(x, y, self.V, self.c) ** 2).sum() / (2 * self.c.size))

    def lower(self, x: Array, y: Array) -> float:
        """Return f."""
        loss = (self._rest(x, y, self.A, self.b) ** 2).sum() / (2 * self.b.size)
        return float(loss + self.ridge / (2 * len(self.A)) * (y @ y))

    def product(self, x: Array, y: Array) -> Any:
        """Return ``v -> H v``."""
        zero = np.zeros_like(self.b)
        shift = self.ridge / len(self.A)
        return lambda v: self._heads(x, v, self.A, zero) + shift * v

    def transposed(self, x: Array, y: Array, v: Array) -> Array:
        """Return ``J'v``."""
        _, W = self._split(x, v)
        pulls = (self._rest(x, y, self.A, self.b)[:, None, :] @ self.A)[:, 0]
        direct = (pulls.T @ W).ravel() / self.b.size
        zero = np.zeros_like(self.b)
        moved = (self._rest(x, v, self.A, zero)[:, None, :] @ self.A)[:, 0]
        return np.asarray(direct + (moved.T @ self._split(x, y)[1]).ravel() / self.b.size)

    def size_of_cross(self, x: Array, y: Array) -> float:
        """Bound ``||J||`` task by task."""
        _, Y = self._split(x, y)
        n = self.b.shape[1]
        pulls = (self._rest(x, y, self.A, self.b)[:, None, :] @ self.A)[:, 0] / n
        reach = np.array([np.linalg.norm(A, 2) for A in self.A]) ** 2 / n * self._norm(x)
        sizes = np.linalg.norm(pulls, axis=1) + reach * np.linalg.norm(Y, axis=1)
        return float(np.linalg.norm(sizes)) / len(self.A)
