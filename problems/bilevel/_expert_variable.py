"""The variable of a field of experts, and its coordinates in the certificate."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fejer.errors import ProblemError
from fejer.evidence import Array

from ._images import spread
from ._smooth_lower import SmoothLower

__all__ = ["ExpertVariable"]

SMALLEST = 1e-2  # norm of a filter that its coordinates are relative to, at least


class ExpertVariable(SmoothLower):
    """Base: ``x = (x_0, a, b, filters)``."""

    noisy: Any
    experts: int
    side: int
    lower: float
    upper: float

    def pack(self, weight: float, a: Array, b: Array, filters: Array) -> Array:
        """Return the variable of a weight ``x_0``, logarithms and filters.

        Parameters
        ----------
        weight : float
            ``x_0``.
        a, b : array, shape (experts,)
            Logarithms of weights and smoothing.
        filters : array, shape (experts, side^2)
            Filters.

        Returns
        -------
        array
        """
        return np.concatenate([[weight], a, b, np.ravel(filters)])

    def unpack(self, x: Array) -> tuple[Array, Array, Array]:
        """Return ``w = exp(x_0 + a)/2``, ``nu = exp(b)`` and the filters."""
        k = self.experts
        filters = x[1 + 2 * k :].reshape(k, self.side**2)
        return 0.5 * np.exp(x[0] + x[1 : k + 1]), np.exp(x[k + 1 : 2 * k + 1]), filters

    def cosines(self) -> Array:
        """Return filters of the discrete cosine transform, coarse ones first, that see no mean."""
        s = self.side
        line = np.cos(np.pi * np.outer(np.arange(s), np.arange(s) + 0.5) / s)
        line /= np.sqrt((line**2).sum(axis=1))[:, None]
        pairs = sorted(((i, j) for i in range(s) for j in range(s)), key=lambda p: (sum(p), p))
        pairs = pairs[1:] or pairs
        chosen = [pairs[i % len(pairs)] for i in range(self.experts)]
        return np.array([np.outer(line[i], line[j]).ravel() for i, j in chosen])

    def variation(self, weight: float, smoothing: float) -> Array:
        """Return the variable that is `TVDenoising` at these logarithms, further experts off.

        Parameters
        ----------
        weight, smoothing : float
            ``x`` of `TVDenoising`; two experts of side 2 at least are needed.

        Returns
        -------
        array
        """
        if self.experts < 2 or self.side < 2:
            raise ProblemError("experts: expected two of side 2 at least")
        filters, c = self.cosines(), (self.side - 1) // 2
        filters[:2] = 0.0
        middle = c * self.side + c
        for i, step in enumerate((1, self.side)):
            filters[i, middle], filters[i, middle + step] = -1.0, 1.0
        a = np.full(self.experts, self.lower)
        a[:2] = 0.0
        return self.pack(weight, a, np.full(self.experts, smoothing), filters)

    def sizes(self) -> Array:
        """Return s of the logarithms."""
        rms = self.fact("spread", ("noisy",), lambda: spread(self.noisy))
        k = self.experts
        return np.concatenate([[2 * rms], np.ones(k), np.full(k, rms)])

    def box(self) -> tuple[Array, Array]:
        """Return the bounds of x."""
        logs, free = 1 + 2 * self.experts, self.experts * self.side**2
        ends = [
            np.concatenate([np.full(logs, end), np.full(free, far)])
            for end, far in ((self.lower, -math.inf), (self.upper, math.inf))
        ]
        return ends[0], ends[1]

    def steps_to_box(self, x: Array) -> tuple[Array, Array]:
        """Return the distances to the image of the box, without cancellation."""
        s = self.sizes()
        p = np.exp(x[: s.size])
        lower, upper = self.box()
        for end, bound in ((lower, self.lower), (upper, self.upper)):
            far = math.exp(bound)
            end[: s.size] = s * (far - p) / ((p + s) * (far + s))
        return lower, upper

    def chart_rate(self, x: Array) -> Array:
        """Return ``(p + s)^2/(p s)`` for logarithms, and the norms of the filters."""
        s = self.sizes()
        p = np.exp(x[: s.size])
        sizes = np.sqrt((self.unpack(x)[2] ** 2).sum(axis=1))
        return np.concatenate(
            [(p + s) ** 2 / (p * s), np.repeat(np.maximum(sizes, SMALLEST), self.side**2)]
        )
