"""What transport problems ask of a cost: its rows, its least entry, its typical size."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np

from fejer.errors import ProblemError
from fejer.evidence import Array
from fejer.jit import kernel
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

    @cached_property
    def least(self) -> float:
        """The smallest finite cost (of the sample, for a large cloud)."""
        return float(self._sample().min())

    @cached_property
    def spread(self) -> float:
        """Median minus minimum of the finite costs, or their range where that is 0.

        A stand-in for infinity moves neither, as long as less than half of the entries are such.
        """
        entries = self._sample().ravel()
        if not self.finite:
            entries = entries[entries < np.inf]
        return _median(entries) - self.least or float(entries.max()) - self.least

    @cached_property
    def step(self) -> float:
        """Median over the rows of the second smallest distinct minus the smallest finite cost.

        Where no row has two costs: the range, or 1.
        """
        steps = np.concatenate([_row_steps(block) for block in self._some()])
        steps = steps[steps < np.inf]
        return float(np.median(steps)) if steps.size else (self.spread or 1.0)

    def _some(self) -> Iterator[Array]:
        if self.shape[0] * self.shape[1] > SAMPLED and isinstance(self.data, PointCloud):
            yield self._sample()
        else:
            yield from (block for _, block in self.blocks())

    @property
    def largest(self) -> float:
        """The largest finite cost."""
        if self.finite:
            return max(float(block.max()) for _, block in self.blocks())
        assert self.dense is not None  # forbidden arcs are marked in matrices alone
        return float(self.dense.max(where=self.dense < np.inf, initial=-np.inf))

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

    def entries(self, rows: np.ndarray, columns: np.ndarray) -> Array:
        """Return single entries; `rows` ascend."""
        if self.dense is not None:
            return self.dense[rows, columns]
        found = [np.zeros(0)]
        for start, block in self.blocks():
            low, high = np.searchsorted(rows, (start, start + len(block)))
            found.append(block[rows[low:high] - start, columns[low:high]])
        return np.concatenate(found)

    def take(self, rows: np.ndarray, columns: np.ndarray) -> Cost:
        """Return the cost of some rows and columns."""
        if isinstance(self.data, PointCloud):
            return Cost(self.data.take(rows, columns))
        part = np.ascontiguousarray(self.data[np.ix_(rows, columns)])
        part.flags.writeable = False
        return Cost(part)


@kernel
def row_steps(C, out):
    """Second smallest distinct minus smallest entry of each row; inf where there is none."""
    for i in range(C.shape[0]):
        first = second = np.inf
        for value in C[i]:
            if value < first:
                first, second = value, first
            elif first < value < second:
                second = value
        out[i] = second - first if second < np.inf else np.inf


def _row_steps(block: Array) -> Array:
    steps = np.empty(len(block))
    row_steps(block, steps)
    return steps


def _step(count: int) -> int:
    return max(1, count // SAMPLE_SIDE)


def _median(entries: Array) -> float:
    """The exact median; of many entries only those between two quantiles of a sample are sorted."""
    middle = entries.size // 2
    ranks = (middle - 1 + entries.size % 2, middle)
    if entries.size > SAMPLED:
        low, high = np.quantile(entries[:: entries.size // SAMPLE_SIDE], (0.45, 0.55))
        below = int(np.count_nonzero(entries < low))
        inside = entries[(entries >= low) & (entries <= high)]
        if below <= ranks[0] and ranks[1] < below + inside.size:
            entries, ranks = inside, (ranks[0] - below, ranks[1] - below)
    found = np.partition(entries, ranks)
    return float(0.5 * found[ranks[0]] + 0.5 * found[ranks[1]])
