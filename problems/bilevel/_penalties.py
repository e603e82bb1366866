"""Penalties that are chosen: groups, their box, and coordinates without flat ends."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np

from fejer.errors import ProblemError
from fejer.evidence import Array
from fejer.problem import as_vector

from ._assessment import ROUNDING, Cross, norm
from ._logarithms import Logarithms

__all__ = ["Penalties"]


class Penalties(Logarithms):
    """Base of classes with ``f = loss + 1/2 sum_i exp(x_g(i)) y_i^2``, g(i) the group of entry i.

    The coefficients y are a matrix of shape (columns, classes), flattened row by row. The
    coordinates of the certificate are ``t = p/(p + s)``, ``p = exp(x)``, s the curvature of the
    loss along a typical column of the group.
    """

    modes: ClassVar[tuple[str, ...]] = ("scalar", "feature")
    curvature: ClassVar[float] = 1.0  # of the loss in its linear predictor, at most

    X_train: Any
    mode: Any

    @property
    def classes(self) -> int:
        """Number of columns of y as a matrix."""
        return 1

    def set_penalties(self) -> None:
        """Check and store ``mode``, ``lower``, ``upper`` and ``scale``."""
        self.set(mode=_mode(self.mode, self.X_train.shape[1], self.modes))
        self.set_box()

    def cross(self, x: Array, y: Array, q: Array, *, chart: bool = False) -> Cross:
        """Return ``w_k sum over g(i) = k of y_i q_i`` with w = dp/dx or dp/dt."""
        w = self.weights(x, chart)
        largest_y = np.sqrt(self.gather(y * y))
        largest_q = np.sqrt(self.gather(q * q))
        return Cross(
            product=w * self.gather(y * q),
            norm=float((w * largest_y).max()),
            lipschitz=float(w.max()),
            change=float((w * largest_q).max()),
            floor=ROUNDING * norm(w * self.gather(np.abs(y * q))),
        )

    def lower_in_x(self, x: Array, y: Array) -> Array:
        """Return half of ``exp(x_k) sum over g(i) = k of y_i^2``."""
        return 0.5 * np.exp(x) * self.gather(y * y)

    def groups(self) -> Any:
        """Return the number of the penalty of each coefficient."""

        def build() -> Any:
            columns, classes = self.X_train.shape[1], self.classes
            j, k = np.divmod(np.arange(columns * classes), classes)
            named = {
                "scalar": 0 * j,
                "loo": 0 * j,
                "gcv": 0 * j,
                "feature": j,
                "class": k,
                "weight": j * classes + k,
            }
            return named[self.mode] if isinstance(self.mode, str) else self.mode[j]

        return self.fact("groups", ("X_train", "mode"), build)

    def penalties(self, x: Array) -> Array:
        """Return ``exp(x_g(i))`` for each coefficient."""
        return np.asarray(np.exp(x)[self.groups()])

    def gather(self, v: Array) -> Array:
        """Sum over the coefficients of each penalty."""
        return np.asarray(np.bincount(self.groups(), weights=v), dtype=np.float64)

    def sizes(self) -> Array:
        """Return s, the median over the columns of each penalty; columns of zeros left out."""

        def build() -> Array:
            groups = self.groups()
            squares = self.X_train.column_sq_norms() / self.X_train.shape[0] * self.curvature
            squares = np.repeat(squares, self.classes)
            order = np.argsort(groups, kind="stable")
            ends = np.cumsum(np.bincount(groups))[:-1]
            parts = [part[part > 0] for part in np.split(squares[order], ends)]
            return np.array([float(np.median(part)) if part.size else 1.0 for part in parts])

        return self.fact("sizes", ("X_train", "mode"), build)  # type: ignore[no-any-return]

    def with_sizes(self, sizes: Array) -> Self:
        """Return the problem, judged in the coordinates that belong to other sizes s."""
        other = self.replace()
        other.__dict__["_facts"]["sizes"] = (), sizes
        return other


def _mode(mode: Any, columns: int, names: tuple[str, ...]) -> Any:
    """Check ``mode``; group numbers become a read-only array of int."""
    texts = ", ".join(f'"{name}"' for name in names)
    expected = f"mode: expected {texts} or {columns} group numbers 0 .. n-1"
    if isinstance(mode, str):
        if mode not in names:
            raise ProblemError(f"{expected}, got {mode!r}")
        return mode
    numbers = as_vector(mode, "mode")
    if numbers.size != columns:
        raise ProblemError(f"{expected}, got {numbers.size}")
    if numbers is mode:  # checked before, see `replace`
        return mode
    groups = numbers.astype(np.intp)
    wanted = np.arange(int(groups.max()) + 1) if groups.max() >= 0 else np.empty(0)
    if (groups != numbers).any() or not np.array_equal(np.unique(groups), wanted):
        raise ProblemError(f"{expected}, each number used, got {mode!r:.80}")
    groups.flags.writeable = False
    return groups
