"""The border of classes made of observed entries: shapes, indices, duplicates, random places."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fejer.errors import ProblemError
from fejer.evidence import Array
from fejer.problem import as_number, as_vector


def index_array(data: Any, name: str, size: int, shape: tuple[int, int]) -> NDArray[np.int32]:
    """Check an array of indices below ``size`` and return it as int32.

    Raises
    ------
    ProblemError
        Not one-dimensional, not whole numbers, or out of range.
    """
    try:
        raw = np.asarray(data)
    except Exception as error:
        got = f"{data!r:.80}"
        raise ProblemError(f"{name}: expected a vector of integer indices, got {got}") from error
    if raw.dtype.kind not in "iuf":
        got = f"{type(data).__name__} of dtype {raw.dtype}"
        raise ProblemError(f"{name}: expected a vector of integer indices, got {got}")
    if raw.ndim != 1:
        raise ProblemError(f"{name}: expected a vector, got shape {raw.shape}")
    if raw.size:
        if raw.dtype.kind == "f" and not (np.isfinite(raw) & (raw == np.floor(raw))).all():
            raise ProblemError(f"{name}: expected whole numbers, got {raw.dtype} with others")
        for bound in (raw.min(), raw.max()):
            if not 0 <= bound < size:
                raise ProblemError(f"{name}: {bound:.0f} is out of range for shape {shape}")
    return raw.astype(np.int32)


def matrix_shape(given: Any) -> tuple[int, int]:
    """Check the shape of a matrix."""
    try:
        sides = tuple(given)
    except TypeError:
        sides = ()
    if len(sides) != 2 or isinstance(given, str):
        raise ProblemError(f"shape: expected two integers (m, n), got {given!r:.80}")
    most = 2**31 - 1
    m, n = (as_number(side, "shape", least=1, most=most, integer=True) for side in sides)
    kept = type(given) is tuple and all(type(side) is int for side in given)
    return given if kept else (m, n)  # the same object keeps its facts


def validated(*arrays: Any) -> bool:
    """Whether these arrays are passed on by `replace`, which hands over only what was checked."""
    return all(
        isinstance(a, np.ndarray) and not a.flags.writeable and as_vector(a, "array") is a
        for a in arrays
    )


def merged(
    rows: NDArray[np.int32], cols: NDArray[np.int32], values: Array, shape: tuple[int, int]
) -> tuple[NDArray[np.int32], NDArray[np.int32], Array]:
    """Drop entries that were given before with the same value; keep the order of the rest."""
    if rows.size > 2**31 - 1:
        raise ProblemError(f"values: expected at most {2**31 - 1} entries, got {rows.size}")
    place = rows.astype(np.int64) * shape[1] + cols
    ascending = bool((np.diff(place) > 0).all())
    ordered = place if ascending else np.sort(place)
    if not ascending and (ordered[1:] == ordered[:-1]).any():
        order = np.lexsort((np.arange(values.size), values, place))
        same = (np.diff(place[order]) == 0) & (np.diff(values[order]) == 0)
        first = np.sort(order[np.concatenate([[True], ~same])])
        rows, cols, values = rows[first], cols[first], values[first]
    for array in (rows, cols, values):
        array.flags.writeable = False
    return rows, cols, values


def automatic_rank(shape: tuple[int, int], entries: float) -> int:
    """Return the largest rank up to 40 whose degrees of freedom the entries are twice; at least 1.

    With fewer entries a matrix of that rank is rarely found, and one of the true rank beneath it
    is missed: it fits as well as the others do.
    """
    most = min(*shape, 40)
    fits = (k for k in range(most, 1, -1) if 2 * k * (sum(shape) - k) <= entries)
    return next(fits, 1)


def places(rng: np.random.Generator, total: int, count: int) -> NDArray[np.int64]:
    """Draw distinct places in random order."""
    if 2 * count > total:
        return rng.permutation(total)[:count]
    drawn = distinct(rng.integers(0, total, int(1.06 * count) + 16))
    while drawn.size < count:
        drawn = distinct(np.concatenate([drawn, rng.integers(0, total, count)]))
    return rng.permutation(drawn)[:count]


def distinct(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """Sort and drop duplicates; numpy's unique hashes first, which is several times slower."""
    ordered = np.sort(numbers)
    return ordered[np.concatenate([[True], np.diff(ordered) > 0])]
