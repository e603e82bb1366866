"""Sketch-and-project steps for symmetric systems ``K z = b``, and what they are compared with."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fejer.evidence import Array
from fejer.jit import kernel
from fejer.numerics.krylov import minres
from fejer.numerics.random import below, normal, uniform

SWEEPS = 10
BUCKETS = 16


@kernel
def kaczmarz(K, squares, cumulative, b, z, random, count):
    """Project z on the equations of rows drawn at random, `count` times.

    A row is drawn in proportion to `squares`, or uniformly where `cumulative` is empty.
    """
    N = b.size
    for _ in range(count):
        if cumulative.size:
            aim = uniform(random) * cumulative[N - 1]
            low, high = 0, N - 1
            while low < high:
                middle = (low + high) // 2
                if cumulative[middle] > aim:
                    high = middle
                else:
                    low = middle + 1
            i = low
        else:
            i = below(random, N)
        if squares[i] > 0.0:
            row = K[i]
            rest = -b[i]
            for j in range(N):
                rest += row[j] * z[j]
            rest /= squares[i]
            for j in range(N):
                z[j] -= rest * row[j]


@kernel
def gaussian(K, b, z, s, v, random, count):
    """Project z on random combinations of the equations with normal weights, `count` times."""
    N = b.size
    for _ in range(count):
        rest, square = 0.0, 0.0
        for i in range(N):
            s[i] = normal(random)
            v[i] = 0.0
            rest -= s[i] * b[i]
        for i in range(N):
            for j in range(N):
                v[j] += s[i] * K[i, j]
        for j in range(N):
            rest += v[j] * z[j]
            square += v[j] * v[j]
        if square > 0.0:
            for j in range(N):
                z[j] -= rest / square * v[j]


@kernel
def count_sketch(K, b, z, rows, rest, gram, random, count):
    """Project z on q signed sums of the equations, each of which falls into one sum, `count` times.

    `rows` (q, N), `rest` (q) and `gram` (q, q) are scratch.
    """
    N, q = b.size, rest.size
    for _ in range(count):
        rows[:] = 0.0
        rest[:] = 0.0
        for i in range(N):
            k = below(random, q)
            sign = 1.0 if uniform(random) < 0.5 else -1.0
            rest[k] -= sign * b[i]
            for j in range(N):
                rows[k, j] += sign * K[i, j]
        for k in range(q):
            for j in range(N):
                rest[k] += rows[k, j] * z[j]
        top = 0.0
        for k in range(q):
            for p in range(k + 1):
                total = 0.0
                for j in range(N):
                    total += rows[k, j] * rows[p, j]
                gram[k, p] = total
            top = max(top, gram[k, k])
        # Cholesky; sums that depend on earlier ones, such as empty ones, are left out
        for k in range(q):
            for p in range(k):
                total = gram[k, p]
                for t in range(p):
                    total -= gram[k, t] * gram[p, t]
                gram[k, p] = total * gram[p, p]
            total = gram[k, k]
            for t in range(k):
                total -= gram[k, t] * gram[k, t]
            gram[k, k] = 1.0 / math.sqrt(total) if total > 1e-12 * top else 0.0
            total = rest[k]
            for t in range(k):
                total -= gram[k, t] * rest[t]
            rest[k] = total * gram[k, k]
        for k in range(q - 1, -1, -1):
            total = rest[k]
            for t in range(k + 1, q):
                total -= gram[t, k] * rest[t]
            rest[k] = total * gram[k, k]
            for j in range(N):
                z[j] -= rest[k] * rows[k, j]


def balance(K: Array) -> Array:
    """Return d with rows of ``diag(d) K diag(d)`` of largest modulus near 1."""
    d = np.ones(len(K))
    for _ in range(SWEEPS):
        size = np.sqrt(np.abs(K).max(axis=1, initial=0.0))
        size[size == 0] = 1.0
        K = K / np.outer(size, size)
        d /= size
    return d


class Sketched:
    """A system ``K z = b`` and the steps that a solver of this kind takes on it.

    Parameters
    ----------
    K : array, shape (N, N)
        Symmetric.
    b : array, shape (N,)
        Right-hand side.
    inner : str
        "kaczmarz", "gaussian", "count-sketch" or "minres".
    random : array of uint64
        State of the generator, advanced in place.
    balanced : bool
        Scale rows and columns alike, and draw rows in proportion to their squared norms.

    Attributes
    ----------
    z : array, shape (N,)
        The present approximation.
    rows, flops : int
        Rows of K touched by row actions (sketches count their steps), and the arithmetic of that.
    """

    def __init__(
        self, K: Array, b: Array, inner: str, random: Any, *, balanced: bool = True
    ) -> None:
        self.K, self.b, self.inner, self.random = K, b, inner, random
        N = b.size
        self.d = balance(K) if balanced else np.ones(N)
        self.scaled = np.ascontiguousarray(K * np.outer(self.d, self.d))
        self.right = self.d * b
        self.squares = np.einsum("ij,ij->i", self.scaled, self.scaled)
        self.cumulative = np.cumsum(self.squares) if balanced else np.zeros(0)
        self._z = np.zeros(N)
        self.rows = self.flops = 0

    @property
    def z(self) -> Array:
        """The present approximation, in the units of K."""
        return self.d * self._z

    def residual(self) -> float:
        """Return ``|K z - b|``, at the price of a product."""
        self.flops += 2 * self.b.size**2
        return float(np.linalg.norm(self.K @ self.z - self.b))

    def run(self, count: int, goal: float) -> None:
        """Take steps; the deterministic solver goes on until ``|K z - b| <= goal``."""
        N = self.b.size
        if self.inner == "minres":
            self._minres(goal)
            return
        if self.inner == "kaczmarz":
            args = self.squares, self.cumulative, self.right, self._z, self.random, count
            kaczmarz(self.scaled, *args)
            self.flops += 4 * N * count
        elif self.inner == "gaussian":
            scratch = np.empty(N), np.empty(N)
            gaussian(self.scaled, self.right, self._z, *scratch, self.random, count)
            self.flops += (2 * N * N + 6 * N) * count
        else:
            q = min(BUCKETS, N)
            scratch3 = np.empty((q, N)), np.empty(q), np.empty((q, q))
            count_sketch(self.scaled, self.right, self._z, *scratch3, self.random, count)
            self.flops += (2 * N * N + N * q * q + q**3 // 3) * count
        self.rows += count

    def _minres(self, goal: float) -> None:
        """Solve the balanced system again until the residual in the units of K is small."""
        N = self.b.size
        size = float(np.linalg.norm(self.right)) or 1.0
        tol = min(0.5, goal / (float(np.linalg.norm(self.b)) or 1.0))
        for _ in range(4):
            solved = minres(lambda v: self.scaled @ v, self.right, tol=tol, max_iter=10 * N)
            self._z = solved.x
            self.rows += solved.nit
            self.flops += (2 * N * N + 14 * N) * solved.nit
            rest = self.residual()
            if rest <= goal or solved.residual > 2 * tol * size:
                return
            tol *= 0.5 * goal / rest
