"""What transport problems ask of a cost: its rows, its least entry, its typical size."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from fejer.errors import ProblemError
from fejer.evidence import Array
from fejer.problem import as_vector
from fejer.problems.transport.point_cloud import PointCloud

SAMPLED = 1_000_000  # entries above which the scale of a point cloud is taken from a sample
SAMPLE_SIDE = 1000


def as_cost(data: Any, name: str = "cost") -> Array | PointCloud:
    """Check a cost at the border: a matrix, in which +inf marks forbidden arcs, or a cloud."""
    if isinstance(data, PointCloud):
        return data
    # as_vector passes what this very problem has checked before, of any dimension
    cost = as_vector(data, name, ndim=2, finite=False, copy=False)
    if np.isneginf(cost.min()):
        raise ProblemError(f"{name}: has an entry that is -inf; only +inf (forbidden) may stand")
    return cost


class Cost:
    """A checked cost with the numbers that depend on it alone.

    Attributes
    ----------
    dense : array or None
        The matrix, where it is kept.
    finite : bool
        Whether no arc is forbidden.
    """

    def __init__(self, data: Array | PointCloud) -> None:
        self.data = data
        self.shape = data.shape
        self.dense: Array | None = None
        if not isinstance(data, PointCloud):
            self.dense = data
        elif not data.is_lazy:
            self.dense = data.matrix
        self.finite = isinstance(data, PointCloud) or bool(data.max() < np.inf)
        self._scale: tuple[float, float] | None = None

    def rows(self, start: int, stop: int) -> Array:
        """Return some rows, read-only."""
        if self.dense is not None:
            return self.dense[start:stop]
        block = self.data.rows(start, stop)  # type: ignore[union-attr]
        block.flags.writeable = False
        return block

    def blocks(self) -> Iterator[tuple[int, Array]]:
        """Yield (first row, rows)."""
        if self.dense is not None:
            yield 0, self.dense
        else:
            yield from self.data.blocks()  # type: ignore[union-attr]

    @property
    def least(self) -> float:
        """The smallest finite cost (of the sample, for a large cloud)."""
        return self._scales()[0]

    @property
    def spread(self) -> float:
        """Median minus minimum of the finite costs, or their range where that is 0.

        A stand-in for infinity moves neither, as long as less than half of the entries are such.
        """
        return self._scales()[1]

    @property
    def largest(self) -> float:
        """The largest finite cost."""
        if self.finite:
            return max(float(block.max()) for _, block in self.blocks())
        return float(self.dense.max(where=self.dense < np.inf, initial=-np.inf))  # type: ignore[union-attr]

    def _scales(self) -> tuple[float, float]:
        if self._scale is None:
            entries = self._sample().ravel()
            if not self.finite:
                entries = entries[entries < np.inf]
            middle = entries.size // 2
            sorted_there = np.partition(entries, (max(0, middle - 1), middle))
            least = float(entries.min())
            upper = float(sorted_there[middle])
            lower = float(sorted_there[middle - 1]) if entries.size % 2 == 0 else upper
            spread = 0.5 * (lower - least) + 0.5 * (upper - least)
            self._scale = least, spread or float(entries.max()) - least
        return self._scale

    def _sample(self) -> Array:
        n, m = self.shape
        if not isinstance(self.data, PointCloud):
            return self.data
        if n * m <= SAMPLED:
            return self.data.matrix
        rows, columns = slice(None, None, _step(n)), slice(None, None, _step(m))
        if self.dense is not None:
            return np.ascontiguousarray(self.dense[rows, columns])
        return self.data.take(rows, columns).toarray()

    def take(self, rows: np.ndarray, columns: np.ndarray) -> Cost:
        """Return the cost of some rows and columns."""
        if isinstance(self.data, PointCloud):
            return Cost(self.data.take(rows, columns))
        part = np.ascontiguousarray(self.data[np.ix_(rows, columns)])
        part.flags.writeable = False
        return Cost(part)


def _step(count: int) -> int:
    return max(1, count // SAMPLE_SIDE)
