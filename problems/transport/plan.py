"""Transport plans: one type, whatever the way in which a plan is held."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np

from fejer.errors import ProblemError
from fejer.evidence import Array

__all__ = ["Plan"]

BLOCK = 1 << 18  # entries that are computed at a time


class Rows(Protocol):
    """What a plan may be made of: something that computes its rows."""

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of rows and columns."""

    def rows(self, start: int, stop: int) -> Array:
        """Return rows as a new array."""


class Plan:
    """A transport plan ``P``: nonnegative, n by m; dense, sparse, or computed row by row.

    ``np.asarray(plan)`` and ``plan.toarray()`` give a dense array, ``plan.tosparse()`` a
    ``scipy.sparse.csr_array``, ``plan @ V`` and ``plan.T @ V`` products, ``plan.row(i)`` one row,
    ``plan.marginals`` the sums of rows and of columns.  Only the first two need n m numbers of
    memory.

    Parameters
    ----------
    source : array, sparse array, or object with ``shape`` and ``rows(start, stop)``
        The entries.
    shape : tuple of int, optional
        Shape of the plan, where `source` holds some rows and columns of it alone.
    rows, columns : array of int, optional
        Which ones these are; all other entries are 0.

    Examples
    --------
    >>> import numpy as np, fejer
    >>> plan = fejer.Plan(np.array([[0.5, 0.0], [0.25, 0.25]]))
    >>> plan @ np.array([1.0, 2.0])
    array([0.5 , 0.75])
    >>> plan.marginals[1]
    array([0.75, 0.25])
    """

    __array_ufunc__ = None  # so that ``array @ plan`` comes to __rmatmul__

    def __init__(
        self,
        source: Any,
        shape: tuple[int, int] | None = None,
        rows: np.ndarray | None = None,
        columns: np.ndarray | None = None,
    ) -> None:
        self._source = source
        self._rows, self._columns = rows, columns
        self.shape: tuple[int, int] = tuple(source.shape if shape is None else shape)

    # ---- entries ---------------------------------------------------------------------------
    def _blocks(self) -> Iterator[tuple[int, Array]]:
        """Yield (first row, rows) of the source."""
        n, m = self._source.shape
        height = max(1, BLOCK // max(1, m))
        for start in range(0, n, height):
            yield start, self._part(start, min(n, start + height))

    def _part(self, start: int, stop: int) -> Array:
        source = self._source
        if hasattr(source, "rows"):
            return source.rows(start, stop)  # type: ignore[no-any-return]
        part = source[start:stop]
        return part.toarray() if hasattr(part, "toarray") else part  # type: ignore[no-any-return]

    def toarray(self) -> Array:
        """Return the entries as a new dense array."""
        inner = np.empty(self._source.shape)
        for start, block in self._blocks():
            inner[start : start + len(block)] = block
        if self._rows is None and self._columns is None:
            return inner
        whole = np.zeros(self.shape)
        rows = np.arange(self.shape[0]) if self._rows is None else self._rows
        columns = np.arange(self.shape[1]) if self._columns is None else self._columns
        whole[np.ix_(rows, columns)] = inner
        return whole

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError("a Plan becomes an array by a copy only")
        array = self.toarray()
        return array if dtype is None else array.astype(dtype)

    def tosparse(self) -> Any:
        """Return the entries that are not zero as a ``scipy.sparse.csr_array``."""
        from scipy.sparse import coo_array

        found: list[tuple[np.ndarray, np.ndarray, Array]] = []
        for start, block in self._blocks():
            i, j = np.nonzero(block)
            found.append((i + start, j, block[i, j]))
        i, j, values = (np.concatenate(part) for part in zip(*found, strict=True))
        i = i if self._rows is None else self._rows[i]
        j = j if self._columns is None else self._columns[j]
        return coo_array((values, (i, j)), shape=self.shape).tocsr()

    def row(self, i: int) -> Array:
        """Return one row.

        Parameters
        ----------
        i : int
            Its number; negative ones count from the end.
        """
        i = range(self.shape[0])[i]
        row = np.zeros(self.shape[1])
        if self._rows is not None:
            place = np.searchsorted(self._rows, i)
            if place == self._rows.size or self._rows[place] != i:
                return row
            i = int(place)
        part = self._part(i, i + 1)[0]
        row[slice(None) if self._columns is None else self._columns] = part
        return row

    # ---- products ----------------------------------------------------------------------------
    def __matmul__(self, other: Any) -> Array:
        V = _factor(other, self.shape[1])
        if self._columns is not None:
            V = V[self._columns]
        out = np.zeros((self.shape[0], *V.shape[1:]))
        inner = out if self._rows is None else np.empty((self._source.shape[0], *V.shape[1:]))
        for start, block in self._blocks():
            inner[start : start + len(block)] = block @ V
        if self._rows is not None:
            out[self._rows] = inner
        return out

    def _left(self, other: Any) -> Array:
        """Return ``P' V``."""
        V = _factor(other, self.shape[0])
        if self._rows is not None:
            V = V[self._rows]
        inner = np.zeros((self._source.shape[1], *V.shape[1:]))
        for start, block in self._blocks():
            inner += block.T @ V[start : start + len(block)]
        if self._columns is None:
            return inner
        out = np.zeros((self.shape[1], *V.shape[1:]))
        out[self._columns] = inner
        return out

    def __rmatmul__(self, other: Any) -> Array:
        return self._left(np.asarray(other).T).T

    @property
    def T(self) -> _Transposed:
        """The transposed plan, for products and as an array."""
        return _Transposed(self)

    @property
    def marginals(self) -> tuple[Array, Array]:
        """Sums of the rows and of the columns."""
        n, m = self.shape
        return self @ np.ones(m), self._left(np.ones(n))

    def __repr__(self) -> str:
        return f"<Plan {self.shape[0]} x {self.shape[1]}>"


class _Transposed:
    """What ``plan.T`` gives."""

    __array_ufunc__ = None

    def __init__(self, plan: Plan) -> None:
        self.T = plan
        self.shape = plan.shape[::-1]

    def __matmul__(self, other: Any) -> Array:
        return self.T._left(other)

    def __rmatmul__(self, other: Any) -> Array:
        return (self.T @ np.asarray(other).T).T

    def toarray(self) -> Array:
        return self.T.toarray().T

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self.T.__array__(dtype, copy).T

    def __repr__(self) -> str:
        return f"<Plan {self.shape[0]} x {self.shape[1]}, transposed>"


def _factor(other: Any, size: int) -> Array:
    V = np.asarray(other, dtype=np.float64)
    if V.ndim not in (1, 2) or V.shape[0] != size:
        raise ProblemError(f"plan @ V: expected {size} rows, got shape {V.shape}")
    return V
