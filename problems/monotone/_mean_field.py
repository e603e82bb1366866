"""Kernels of mean-field equations: softmax by groups, and the prox of entropy minus square."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fejer.evidence import Array
from fejer.jit import kernel
from fejer.numerics.elementary import exp, softmax
from fejer.numerics.matrix import Matrix

__all__ = ["EntropyProx", "MeanField", "group_softmax"]


@kernel
def group_softmax(v, starts, out):
    """Softmax of each stretch between two starts."""
    for g in range(starts.size - 1):
        softmax(v[starts[g] : starts[g + 1]], out[starts[g] : starts[g + 1]])


@kernel
def log_root(T, c):
    """The u <= 0 with ``c e^u + u = T``, c > -1; 0 where it would be positive.

    The function is convex for c > 0 and concave for c < 0; Newton's method starts on the side from
    which its steps never pass the root.
    """
    if T >= c:
        return 0.0
    u = min(T, 0.0)
    for _ in range(100):
        e = c * exp(u)
        change = (e + u - T) / (1.0 + e)
        u = min(u - change, 0.0)
        if abs(change) <= 1e-15 * (1.0 + abs(u)):
            break
    return u


@kernel
def entropy_prox(v, starts, a, out):
    """In each stretch the z of sum 1 with ``(1 - a) z_i + a log z_i + lam = v_i``."""
    c = (1.0 - a) / a
    for g in range(starts.size - 1):
        low, high = starts[g], starts[g + 1]
        top = -np.inf
        for i in range(low, high):
            top = max(top, v[i])
        k = high - low
        # At `least` the largest entry is 1, at `most` it is 1/k.
        least = top - (1.0 - a)
        most = top - ((1.0 - a) / k - a * math.log(k))
        lam = 0.5 * (least + most)
        for _ in range(200):
            total = slope = 0.0
            for i in range(low, high):
                z = exp(log_root((v[i] - lam) / a, c))
                out[i] = z
                total += z
                slope += z / (a + (1.0 - a) * z)
            if total > 1.0:
                least = lam
            else:
                most = lam
            if abs(total - 1.0) <= 1e-15 or most - least <= 1e-16 * (abs(least) + abs(most)):
                break
            lam += (total - 1.0) / slope
            if not least < lam < most:
                lam = 0.5 * (least + most)
        for i in range(low, high):
            out[i] /= total


@dataclass(frozen=True, eq=False)
class MeanField:
    """``F(q) = q - Phi q - b``."""

    Phi: Matrix
    b: Array

    def __call__(self, q: Array) -> Array:
        return q - self.Phi.matvec(q) - self.b

    def fingerprint(self) -> str:
        """Return a SHA-256 of the data."""
        return hashlib.sha256(self.Phi.fingerprint().encode() + self.b.tobytes()).hexdigest()


@dataclass(frozen=True, eq=False)
class EntropyProx:
    """The resolvent of the subdifferential of ``sum q log q - |q|^2 / 2`` on simplices."""

    starts: npt.NDArray[np.int64]

    def __call__(self, v: Array, eta: float) -> Array:
        out = np.empty_like(v)
        entropy_prox(v, self.starts, eta, out)
        return out
