"""What saddle point problems with two proximal operators share: certificate, operator, parts."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from fejer.errors import ProblemError
from fejer.evidence import EMPTY, Array, Certificate, failed
from fejer.problem import Problem

from ._operators import ROUNDING, InclusionForm, call, norm
from .monotone_inclusion import MonotoneInclusion

__all__ = ["Pair", "Saddle", "checked_proxes"]

KIND = "natural residual"


def checked_proxes(problem: Any) -> None:
    """Refuse proximal operators that cannot be called."""
    for name in ("prox_x", "prox_y"):
        value = getattr(problem, name)
        if value is not None and not callable(value):
            raise ProblemError(f"{name}: expected a callable, got {type(value).__name__}")


@dataclass(frozen=True, eq=False)
class Pair:
    """Two proximal operators side by side, a resolvent."""

    split: int
    prox_x: Callable[..., Any] | None
    prox_y: Callable[..., Any] | None

    def __call__(self, v: Array, eta: float) -> Array:
        out = v.copy()
        parts = (slice(None, self.split), "prox_x"), (slice(self.split, None), "prox_y")
        for part, name in parts:
            if (prox := getattr(self, name)) is not None:
                out[part] = call(prox, name, out[part].size, v[part], eta)
        return out

    def fingerprint(self) -> str:
        """Return a SHA-256 of what the operators say of themselves."""
        proxes: tuple[Any, ...] = (self.prox_x, self.prox_y)
        texts = [str(p.fingerprint()) if hasattr(p, "fingerprint") else "" for p in proxes]
        return hashlib.sha256("".join(texts).encode()).hexdigest()


class Saddle(InclusionForm, Problem):
    """Base of the saddle point problems that are judged by the residual of each player."""

    prox_x: Callable[..., Any] | None
    prox_y: Callable[..., Any] | None

    views = ("primal", "dual")

    def inclusion(self) -> MonotoneInclusion:
        """Return the optimality conditions as a monotone inclusion."""
        return self._inclusion

    @cached_property
    def _inclusion(self) -> MonotoneInclusion:
        return self.build_inclusion()

    def build_inclusion(self) -> MonotoneInclusion:
        """Build the inclusion, once."""
        raise NotImplementedError

    def value_of(self, x: Array) -> float:
        """Return the saddle function at ``x``, nan where it is not known."""
        return math.nan

    def primal(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> Array:
        """Return the part of the minimiser."""
        return x[: self.split].copy()

    def dual(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> Array:
        """Return the part of the maximiser."""
        return x[self.split :].copy()

    def _residuals(self, x: Array) -> tuple[list[float], list[float], Array] | None:
        """Residual and rounding error of each player, and the forward-backward step from x."""
        inclusion = self.inclusion()
        step = inclusion.reference.step
        value = inclusion.apply(x)
        moved = x - step * value
        if not np.isfinite(moved).all():
            return None
        image = inclusion.resolve(moved, step)
        free = [self.prox_x is None, self.prox_y is None]
        sizes, floors = [], []
        for part, plain in zip((slice(self.split), slice(self.split, None)), free, strict=True):
            gone = norm(value[part]) if plain else norm(x[part] - image[part]) / step
            sizes.append(gone)
            floors.append(ROUNDING * (norm(x[part]) + norm(image[part])) / step)
        return sizes, floors, image

    @cached_property
    def scales(self) -> tuple[float, float]:
        """What each player's residual is divided by, from the data alone."""
        with np.errstate(all="ignore"):
            inclusion = self.inclusion()
            step = inclusion.reference.step
            origin = inclusion.resolve(np.zeros(inclusion.n), step)
            first = self._residuals(origin)
            second = None if first is None else self._residuals(first[2])
        found = []
        for i in range(2):
            sizes = [r[0][i] for r in (first, second) if r is not None]
            found.append(next((s for s in sizes if 0.0 < s < math.inf), 1.0 / step))
        return found[0], found[1]

    def certificate(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> Certificate:
        """Measure the natural residual of each player; see the notes of the class.

        Parameters
        ----------
        x : array
            The parts of the minimiser and of the maximiser.
        witness : mapping, optional
            Not needed.

        Returns
        -------
        Certificate
        """
        scales = self.scales
        found = self._residuals(x)
        if found is None:
            return failed(KIND, "the operator is not finite at x", scale=max(scales))
        sizes, floors, _ = found
        values = [(r + f) / s for r, f, s in zip(sizes, floors, scales, strict=True)]
        worst = values.index(max(values))
        total = sizes[worst] + floors[worst]
        if not total < math.inf:
            return failed(KIND, "overflow", scale=max(scales))
        fun = self.value_of(x)
        return Certificate(
            KIND,
            max(values),
            total if math.isnan(fun) else fun,
            scale=scales[worst],
            details={
                "residual_x": sizes[0],
                "residual_y": sizes[1],
                "floor": max(f / s for f, s in zip(floors, scales, strict=True)),
            },
        )

    def auto(self) -> tuple[str, ...]:
        """Return the anchored methods, then those that find the constant by themselves."""
        return ("feg", "eag", "graal", "extragradient")
