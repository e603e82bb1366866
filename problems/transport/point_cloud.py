"""Costs between two sets of points, computed when they are needed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from fejer.errors import ProblemError, did_you_mean
from fejer.evidence import Array
from fejer.numerics.arrays import float_array
from fejer.problem import as_number
from fejer.problems.transport._distances import (
    CITY_BLOCK,
    EUCLIDEAN,
    HALVED,
    POWER,
    SQUARED,
    distance_rows,
)

__all__ = ["PointCloud"]

STORED = 1 << 24  # entries up to which the matrix is kept (128 MB)
BLOCK = 1 << 16  # entries of the buffer in which rows of a larger one are computed
KINDS = {"sqeuclidean": SQUARED, "halfsq": HALVED, "euclidean": EUCLIDEAN, "l1": CITY_BLOCK}


class PointCloud:
    """Cost matrix ``C_ij = c(x_i, y_j)`` between two sets of points, never stored when large.

    Up to 2**24 entries the matrix is computed once and kept; beyond that its rows are computed
    whenever a method passes over them, in memory O(n + m).

    Parameters
    ----------
    x : array_like, shape (n, d) or (n,)
        The points that mass leaves; a vector holds points on a line.
    y : array_like, shape (m, d) or (m,)
        The points where it arrives.
    cost : {"sqeuclidean", "halfsq", "euclidean", "l1"} or float, default "sqeuclidean"
        ``|x-y|^2``, ``|x-y|^2 / 2``, ``|x-y|``, ``sum_k |x_k - y_k|``; a number p from 1 to 2
        stands for ``|x-y|^p``.

    Raises
    ------
    ProblemError
        Points that are not finite numbers, or whose costs would leave 1e-100..1e100; different
        numbers of coordinates; an unknown cost.

    Notes
    -----
    Differences of coordinates are formed before they are squared, so that nearby points far from
    the origin keep their relative accuracy.  A row costs ``3 d m`` flops.

    Examples
    --------
    >>> import fejer
    >>> cloud = fejer.PointCloud([[0.0, 0.0]], [[3.0, 4.0], [1.0, 0.0]], cost="euclidean")
    >>> cloud.toarray()
    array([[5., 1.]])
    """

    def __init__(self, x: Any, y: Any, cost: str | float = "sqeuclidean") -> None:
        self.x = _points(x, "x")
        self.y = _points(y, "y")
        if self.y.shape[1] != self.x.shape[1]:
            wanted, got = self.x.shape[1], self.y.shape[1]
            raise ProblemError(f"y: expected points of {wanted} coordinates as in x, got {got}")
        self.cost: str | float = cost
        if isinstance(cost, str):
            if cost not in KINDS:
                text = did_you_mean(cost, KINDS)
                raise ProblemError(f"cost: unknown cost {cost!r}. {text}, or a power in [1, 2]")
            self._kind = KINDS[cost]
            power = 2.0 if self._kind in (SQUARED, HALVED) else 1.0
        else:
            power = self.cost = float(as_number(cost, "cost", least=1.0, most=2.0))
            self._kind = POWER
        largest = max(np.abs(self.x).max(), np.abs(self.y).max())
        if largest > 1e99 ** (1 / power):
            raise ProblemError(f"x, y: coordinates up to {largest:.3g} overflow; rescale the data")
        self._power = power
        self._columns = np.array(self.y.T, order="C")  # coordinate by coordinate
        self._columns.flags.writeable = False
        self._matrix: Array | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of points (n, m)."""
        return self.x.shape[0], self.y.shape[0]

    @property
    def is_lazy(self) -> bool:
        """Whether rows are computed anew at every pass."""
        return self.shape[0] * self.shape[1] > STORED

    @property
    def matrix(self) -> Array:
        """The matrix of a small cloud, computed once, read-only."""
        if self._matrix is None:
            matrix = self.toarray()
            matrix.flags.writeable = False
            if self.is_lazy:
                return matrix
            self._matrix = matrix
        return self._matrix

    def toarray(self) -> Array:
        """Return the costs as a new array."""
        return self.rows(0, self.shape[0])

    def rows(self, start: int, stop: int, out: Array | None = None) -> Array:
        """Compute the rows ``start <= i < stop``.

        Parameters
        ----------
        start, stop : int
            The rows.
        out : array, shape (stop - start, m), optional
            Where they are written.
        """
        if out is None:
            out = np.empty((stop - start, self.shape[1]))
        distance_rows(self.x, self._columns, self._kind, 0.5 * self._power, start, out)
        return out

    def blocks(self) -> Iterator[tuple[int, Array]]:
        """Yield (first row, costs of some rows); a block is overwritten by the next one."""
        if not self.is_lazy:
            yield 0, self.matrix
            return
        n, m = self.shape
        height = max(1, BLOCK // m)
        buffer = np.empty((height, m))
        for start in range(0, n, height):
            stop = min(n, start + height)
            block = self.rows(start, stop, buffer[: stop - start]).view()
            block.flags.writeable = False  # as stored ones are: one machine code serves both
            yield start, block

    @property
    def coordinates(self) -> tuple[Array, Array, int, float]:
        """The points of x, those of y coordinate by coordinate, and number and p/2 of the cost."""
        return self.x, self._columns, self._kind, 0.5 * self._power

    def take(self, rows: Any, columns: Any) -> PointCloud:
        """Return the cloud of some of the points.

        Parameters
        ----------
        rows, columns : array of int or bool, or slice
            Which points of ``x`` and of ``y``.
        """
        return PointCloud(self.x[rows], self.y[columns], self.cost)

    def fingerprint(self) -> str:
        """Return a SHA-256 over the points and the cost."""
        digest = hashlib.sha256(repr((self.x.shape, self.y.shape, self.cost)).encode())
        digest.update(self.x.tobytes())
        digest.update(self.y.tobytes())
        return digest.hexdigest()

    def __reduce__(self) -> Any:
        return PointCloud, (self.x, self.y, self.cost)

    def __repr__(self) -> str:
        n, m = self.shape
        return f"<PointCloud {n} x {m}, {self.x.shape[1]} coordinates, cost {self.cost!r}>"


def _points(data: Any, name: str) -> Array:
    try:
        line = np.ndim(data) == 1
    except ValueError:  # ragged lists; the check below says so
        line = False
    points = float_array(data, name, ndim=1 if line else 2)
    return points.reshape(-1, 1) if line else points
