"""The set of plans between two weights, without the atoms that weigh nothing."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fejer.errors import ProblemError
from fejer.evidence import Array
from fejer.problem import as_vector
from fejer.problems.transport._cost import Cost
from fejer.problems.transport.point_cloud import PointCloud

SAME_MASS = 1e-9  # relative difference of the masses that is rounding, and is scaled away


def as_weights(a: Any, b: Any, shape: tuple[int, int]) -> tuple[Array, Array]:
    """Check the weights of both sides; None is uniform, with the mass of the other side."""
    n, m = shape
    first = None if a is None else _weights(a, "a", n)
    second = None if b is None else _weights(b, "b", m)
    if first is None:
        first = _uniform(n, 1.0 if second is None else float(second.sum()))
    if second is None:
        second = _uniform(m, float(first.sum()))
    masses = float(first.sum()), float(second.sum())
    gap = abs(masses[0] - masses[1]) / max(masses)
    if gap > SAME_MASS:
        raise ProblemError(
            f"a, b: expected equal sums, got {masses[0]:.12g} and {masses[1]:.12g}; "
            "normalize the weights"
        )
    if gap > 1e-14:
        second = second * (masses[0] / masses[1])
        second.flags.writeable = False
    return first, second


def weights_of(data: Any, name: str, size: int) -> Array:
    """Check the weights of one side alone; None is uniform with mass 1."""
    return _uniform(size, 1.0) if data is None else _weights(data, name, size)


def _weights(data: Any, name: str, size: int) -> Array:
    weights = as_vector(data, name, size)
    if weights.min() < 0:
        i = int(weights.argmin())
        raise ProblemError(f"{name}: expected weights >= 0, got {weights[i]:.6g} at [{i}]")
    if not weights.any():
        raise ProblemError(f"{name}: expected a positive sum, got zeros")
    return weights


def _uniform(size: int, mass: float) -> Array:
    weights = np.full(size, mass / size)
    weights.flags.writeable = False
    return weights


class Polytope:
    """Plans ``P >= 0`` with row sums a and column sums b, where both are positive.

    Attributes
    ----------
    a, b : array
        The positive weights.
    cost : Cost
        Their rows and columns.
    rows, columns : array of int, or None
        Which atoms these are; None: all.
    mass : float
        Their sum.
    """

    def __init__(self, a: Array, b: Array, data: Array | PointCloud) -> None:
        cost = Cost(data)
        self.whole = cost
        self.rows = None if a.all() else np.flatnonzero(a)
        self.columns = None if b.all() else np.flatnonzero(b)
        if self.rows is not None or self.columns is not None:
            rows = np.arange(a.size) if self.rows is None else self.rows
            columns = np.arange(b.size) if self.columns is None else self.columns
            cost, a, b = cost.take(rows, columns), a[rows], b[columns]
            a.flags.writeable = b.flags.writeable = False
        self.a, self.b, self.cost = a, b, cost
        self.mass = float(a.sum())
        if not cost.finite and cost.dense is not None:
            self._check_arcs(np.isfinite(cost.dense))

    @property
    def shift(self) -> float:
        """What is taken off every cost before it is judged."""
        return self.cost.least

    @property
    def spread(self) -> float:
        """The size of a typical cost above `shift`."""
        return self.cost.spread

    def _check_arcs(self, allowed: Any) -> None:
        for axis, side, places in ((1, "row", self.rows), (0, "column", self.columns)):
            alone = np.flatnonzero(~allowed.any(axis=axis))
            if alone.size:
                place = int(alone[0] if places is None else places[alone[0]])
                raise ProblemError(
                    f"cost: {side} {place} has weight but no arc that is not forbidden (+inf)"
                )

    # ---- potentials --------------------------------------------------------------------------
    def reduced(self, x: Array) -> tuple[Array, Array]:
        """Take potentials of the positive atoms out of x, centred, for costs less `shift`.

        The centring constant is a coarse multiple of a power of two: subtracting it is exact
        where digits are at stake.
        """
        n = self.whole.shape[0]
        f, g = x[:n], x[n:]
        f = f if self.rows is None else f[self.rows]
        g = g if self.columns is None else g[self.columns]
        offset = float(self.a @ f - self.b @ g) / (2 * self.mass)
        largest = max(abs(f).max(), abs(g).max())
        if largest > 0 and math.isfinite(offset):
            quantum = math.ldexp(1.0, math.frexp(largest)[1] - 10)
            offset = round(offset / quantum) * quantum if quantum > 0 else 0.0
        half = 0.5 * self.shift
        return (f - offset) - half, (g + offset) - half

    def center(self, f: Array, g: Array) -> None:
        """Shift reduced potentials in place until <a, f> = <b, g>; large offsets cost digits."""
        offset = float(self.a @ f - self.b @ g) / (2 * self.mass)
        f -= offset
        g += offset

    def packed(self, f: Array, g: Array) -> Array:
        """Return x of reduced potentials, centred; atoms without weight get the c-transform."""
        f, g = f.copy(), g.copy()
        self.center(f, g)
        f += 0.5 * self.shift
        g += 0.5 * self.shift
        n, m = self.whole.shape
        if self.rows is None and self.columns is None:
            return np.concatenate([f, g])
        whole_f, whole_g = np.zeros(n), np.zeros(m)
        rows = np.arange(n) if self.rows is None else self.rows
        columns = np.arange(m) if self.columns is None else self.columns
        least_f, least_g = np.full(n, np.inf), np.full(m, np.inf)
        for start, block in self.whole.blocks():
            stop = start + len(block)
            least_f[start:stop] = (block[:, columns] - g).min(axis=1)
            inside = (rows >= start) & (rows < stop)
            if inside.any():
                least = (block[rows[inside] - start] - f[inside, None]).min(axis=0)
                np.minimum(least_g, least, out=least_g)
        np.copyto(whole_f, least_f, where=np.isfinite(least_f))
        np.copyto(whole_g, least_g, where=np.isfinite(least_g))
        whole_f[rows], whole_g[columns] = f, g
        return np.concatenate([whole_f, whole_g])
