"""Checks of fields that the classes of this family share."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fejer.errors import ProblemError
from fejer.evidence import Array
from fejer.numerics.groups import group_labels
from fejer.numerics.matrix import Matrix
from fejer.problem import as_number, as_vector

__all__ = [
    "as_bound",
    "as_classes",
    "as_data",
    "as_flag",
    "as_groups",
    "as_labels",
    "as_scale",
    "as_weights",
    "check_order",
    "spread",
]


def as_data(X: Any, y: Any) -> tuple[Matrix, Array]:
    """Check the matrix of the data and the vector beside it."""
    X = Matrix.of(X, "X")
    if X.is_operator:
        raise ProblemError("X: expected a dense or sparse matrix, got an operator")
    return X, as_vector(y, "y", None if is_scalar(y) else X.shape[0])


def is_scalar(value: Any) -> bool:
    """Whether a value is one number (or text) and no sequence, without making an array of it."""
    return np.isscalar(value) or getattr(value, "ndim", 1) == 0


def as_weights(value: Any, name: str, size: int, *, finite: bool) -> Array | None:
    """Check positive weights; None stands for ones."""
    if value is None:
        return None
    weights = as_vector(value, name, size, finite=finite)
    if not (weights > 0).all():
        j = int(np.argmin(weights))
        raise ProblemError(f"{name}: expected entries > 0, got {weights[j]:g} at [{j}]")
    return weights


def as_bound(value: Any, name: str, size: int, wrong: float) -> float | Array | None:
    """Check a bound: None, a number or one number for each coefficient; never ``wrong``."""
    if value is None:
        return None
    if is_scalar(value):
        bound = number = as_number(value, name, finite=False)
        as_vector([number], name, finite=False)  # its magnitude
    else:
        bound = as_vector(value, name, size, finite=False)
    if np.any(bound == wrong):
        raise ProblemError(f"{name}: expected finite numbers or {-wrong:g}, got {wrong:g}")
    return bound  # type: ignore[no-any-return]


def spread(bound: float | Array | None, default: float, size: int) -> Array:
    """Return a bound as a vector that the caller may change."""
    return np.array(np.broadcast_to(default if bound is None else bound, size), dtype=np.float64)


def check_order(lower: Array, upper: Array) -> None:
    """Refuse a box without a point."""
    if (lower > upper).any():
        j = int(np.argmax(lower > upper))
        raise ProblemError(
            f"lower: expected lower <= upper, got {lower[j]:g} and {upper[j]:g} at [{j}]"
        )


def as_scale(value: Any) -> str:
    """Check the scaling of the loss."""
    if not isinstance(value, str) or value not in ("sum", "mean"):
        raise ProblemError(f"scale: expected 'sum' or 'mean', got {value!r:.80}")
    return value


def as_flag(value: Any, name: str) -> bool:
    """Check a switch; numbers do not stand for one."""
    if not isinstance(value, bool | np.bool_):
        raise ProblemError(f"{name}: expected True or False, got {value!r:.80}")
    return bool(value)


def as_groups(value: Any, n: int) -> NDArray[np.intp]:
    """Check a description of groups; returns the read-only group of each of n coordinates."""
    try:
        if value is None or isinstance(value, str):
            raise ProblemError(f"groups: expected a size, labels or index lists, got {value!r:.80}")
        groups = group_labels(value, n)
    except ProblemError as error:
        twice = _in_two(value)
        if twice is None:
            raise
        raise ProblemError(f"groups: index {twice} is in two groups") from error
    except (TypeError, ValueError, IndexError) as error:
        raise ProblemError(f"groups: expected a partition, got {value!r:.80}") from error
    groups.flags.writeable = False
    return groups


def _in_two(groups: Any) -> int | None:
    """The first index that index lists name twice, if they are lists of integers."""
    seen: set[int] = set()
    for part in groups if isinstance(groups, list | tuple) else ():
        for index in part if isinstance(part, list | tuple | np.ndarray) else ():
            if index in seen:
                return int(index)
            seen.add(index)
    return None


def as_labels(y: Array, name: str = "y") -> Array:
    """Check labels -1 and +1, both present."""
    found = np.unique(y)
    if not np.isin(found, (-1.0, 1.0)).all():
        shown = ", ".join(f"{value:g}" for value in found[:5])
        raise ProblemError(f"{name}: expected labels -1 and 1, got {shown}")
    if found.size < 2:
        raise ProblemError(f"{name}: expected both labels -1 and 1, got only {found[0]:g}")
    return y


def as_classes(y: Array, name: str = "y", least: int = 2) -> Array:
    """Check classes 0 .. K - 1, each present, K at least ``least``."""
    found = np.unique(y)
    if not np.array_equal(found, np.arange(found.size)) or found.size < least:
        shown = ", ".join(f"{value:g}" for value in found[:5])
        more = " ..." if found.size > 5 else ""
        wanted = f"classes 0 .. K - 1, each present, K >= {least}"
        raise ProblemError(f"{name}: expected {wanted}, got {shown}{more}")
    return y
