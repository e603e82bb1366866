"""Saddle point problems that are means over samples: operators, compiled, and what they share."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fejer.evidence import Array
from fejer.jit import kernel
from fejer.numerics.elementary import exp
from fejer.problem import Problem

from ._operators import InclusionForm
from .monotone_inclusion import MonotoneInclusion

__all__ = ["Sampled", "Samples", "into_ball"]


@kernel
def dot(a, b):
    """Inner product."""
    total = 0.0
    for j in range(a.size):
        total += a[j] * b[j]
    return total


@kernel
def group_logistic(z, indices, X, y, groups, shares, out):
    """Adds the mean over samples of ``(q_k grad l_i, -l_i e_k) n / n_k``, l the logistic loss."""
    d = X.shape[1]
    each = 1.0 / indices.size
    for s in range(indices.size):
        i = indices[s]
        k = groups[i]
        margin = y[i] * dot(X[i], z[:d])
        small = exp(-abs(margin))
        loss = max(-margin, 0.0) + math.log1p(small)
        slope = (1.0 if margin < 0.0 else small) / (1.0 + small)
        weight = shares[k] * each
        out[d + k] -= weight * loss
        weight *= -y[i] * slope * z[d + k]
        for j in range(d):
            out[j] += weight * X[i, j]


@kernel
def robust_rows(z, indices, X, y, groups, shares, out):
    """Adds the mean over samples of ``n (u_i x_i, -(x_i'w - y_i) e_i)``."""
    n, d = X.shape
    each = n / indices.size
    for s in range(indices.size):
        i = indices[s]
        out[d + i] -= each * (dot(X[i], z[:d]) - y[i])
        weight = each * z[d + i]
        for j in range(d):
            out[j] += weight * X[i, j]


@kernel
def temporal_differences(z, indices, X, y, groups, shares, out):
    """Adds the mean of ``(-e (p'w), p (e't) + p (p'w) - r p)``; a row of X is p and e."""
    d = X.shape[1] // 2
    each = 1.0 / indices.size
    for s in range(indices.size):
        i = indices[s]
        up = dot(X[i, :d], z[d:])
        weight = each * (dot(X[i, d:], z[:d]) + up - y[i])
        up *= -each
        for j in range(d):
            out[j] += up * X[i, d + j]
            out[d + j] += weight * X[i, j]


@dataclass(frozen=True, eq=False)
class Samples:
    """A mean over samples as F, and over chosen ones as its component."""

    run: Callable[..., None]
    size: int
    X: Array
    y: Array
    groups: npt.NDArray[np.int64]
    shares: Array

    def __call__(self, z: Array, indices: npt.NDArray[np.int64] | None = None) -> Array:
        out = np.zeros(self.size)
        chosen = np.arange(self.y.size, dtype=np.int64) if indices is None else indices
        self.run(z, chosen, self.X, self.y, self.groups, self.shares, out)
        return out

    def fingerprint(self) -> str:
        """Return a SHA-256 of the data."""
        digest = hashlib.sha256(self.X.tobytes() + self.y.tobytes())
        digest.update(self.groups.tobytes() + self.shares.tobytes())
        return digest.hexdigest()


class Sampled(InclusionForm, Problem):
    """Base of the problems that are means over samples."""

    X: Any
    y: Any

    def build_inclusion(self) -> MonotoneInclusion:
        """Build the inclusion, once."""
        raise NotImplementedError

    def inclusion(self) -> MonotoneInclusion:
        """Return the optimality conditions as a monotone inclusion, a finite sum."""
        memo = self.__dict__
        if "_inclusion" not in memo:
            memo["_inclusion"] = self.build_inclusion()
        return memo["_inclusion"]  # type: ignore[no-any-return]

    @property
    def unit(self) -> int:
        """Units of work in one pass: the number of samples."""
        return self.inclusion().unit

    def auto(self) -> tuple[str, ...]:
        """Return variance reduction where there are many samples."""
        if self.unit >= 500:
            return ("vr-extragradient", "extragradient")
        return ("graal", "extragradient", "eag")


def finite_sum(
    samples: Samples, n: int, whole: float, each: float, resolvent: Any = None
) -> MonotoneInclusion:
    """Return the inclusion of a mean over samples, with its constants."""
    return MonotoneInclusion(
        samples,
        n,
        resolvent=resolvent,
        lipschitz=min(max(whole, 1e-100), 1e100),
        component=samples,
        n_components=samples.y.size,
        lipschitz_average=min(max(each, whole, 1e-100), 1e100),
    )


def into_ball(v: Array, radius: float) -> Array:
    """Return the projection on the ball about 0."""
    size = float(np.linalg.norm(v))
    return v if size <= radius else v * (radius / size)


@dataclass(frozen=True, eq=False)
class BallBehind:
    """Nothing for the first entries, the projection on a ball for the others."""

    split: int
    radius: float

    def __call__(self, v: Array, eta: float) -> Array:
        return np.concatenate([v[: self.split], into_ball(v[self.split :], self.radius)])


def saddle_norm(curvature: float, coupling: float) -> float:
    """Return the norm of ``[[curvature, coupling], [-coupling, 0]]``."""
    return 0.5 * (curvature + math.hypot(curvature, 2.0 * coupling))
