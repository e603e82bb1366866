"""The user's functions: called with copies, answers brought into one shape, differences."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from fejer.errors import OracleError, ProblemError
from fejer.evidence import Array

UNIT = 2.0**-53
STEP = 2.0 ** (-52 / 3)  # balances rounding u/h and truncation h^2 of a central difference
COARSE = 1e-3  # the same for differences of quantities that are differences themselves


class WithArgs:
    """A function with the further arguments that `scipy.optimize.minimize` calls ``args``."""

    def __init__(self, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        self.function, self.args = function, args

    def __call__(self, x: Array, *more: Any) -> Any:
        return self.function(x, *self.args, *more)


def checked_callable(value: Any, name: str, *, optional: bool = True, also: tuple = ()) -> None:
    """Refuse what is neither callable nor one of the accepted constants."""
    if callable(value) and not isinstance(value, type):
        return
    if optional and value is None:
        return
    if any(value is constant for constant in also):
        return
    wanted = " or ".join(["a callable", *map(repr, also), *(["None"] if optional else [])])
    raise ProblemError(f"{name}: expected {wanted}, got {value!r:.80}")


def call(function: Callable[..., Any], x: Array, *more: Any) -> Any:
    """Call a user's function with copies that it may keep or write into."""
    copies = [part.copy() if isinstance(part, np.ndarray) else part for part in (x, *more)]
    with np.errstate(all="ignore"):
        return function(*copies)


def numbers(answer: Any, name: str) -> Array:
    """Turn an answer into float64; what is no array of real numbers is the user's error."""
    try:
        array = np.asarray(answer)
        if array.dtype.kind == "O":
            array = np.asarray(answer, dtype=np.float64)
    except OverflowError:  # a Python integer beyond float64
        return np.full(np.shape(answer), np.nan)
    except (TypeError, ValueError) as error:
        text = f"{name}: expected real numbers, got {type(answer).__name__}"
        raise OracleError(text) from error
    if array.dtype.kind not in "fiub":
        got = f"{type(answer).__name__} of dtype {array.dtype}"
        raise OracleError(f"{name}: expected real numbers, got {got}")
    return np.array(array, dtype=np.float64)


def as_value(answer: Any, name: str) -> float:
    """Turn an answer into one number."""
    array = numbers(answer, name)
    if array.size != 1:
        raise OracleError(f"{name}: expected one number, got shape {array.shape}")
    return float(array.reshape(()))


def as_shape(answer: Any, name: str, shape: tuple[int, ...]) -> Array:
    """Turn an answer into an array of this shape; axes of length 1 may be absent or added."""
    array = numbers(answer, name)
    if array.shape != shape:
        kept = [tuple(k for k in s if k != 1) for s in (array.shape, shape)]
        if kept[0] != kept[1]:
            raise OracleError(f"{name}: expected shape {shape}, got {array.shape}")
        array = array.reshape(shape)
    return array


def is_operator(answer: Any) -> bool:
    """Whether an answer is known by its products only."""
    return all(hasattr(answer, part) for part in ("shape", "matvec", "rmatvec"))


def is_sparse(answer: Any) -> bool:
    """Whether an answer is a sparse matrix or array of scipy."""
    module = sys.modules.get("scipy.sparse")
    return module is not None and bool(module.issparse(answer))


def as_matrix(answer: Any, name: str, shape: tuple[int, int]) -> Any:
    """Turn an answer into an array, a CSR array, or leave it an operator."""
    if is_sparse(answer):
        from scipy.sparse import csr_array

        if tuple(answer.shape) != shape:
            raise OracleError(f"{name}: expected shape {shape}, got {tuple(answer.shape)}")
        return csr_array(answer, dtype=np.float64)
    if is_operator(answer):
        if tuple(answer.shape) != shape:
            raise OracleError(f"{name}: expected shape {shape}, got {tuple(answer.shape)}")
        return answer
    return as_shape(answer, name, shape)


def times(G: Any, v: Array) -> Array:
    """Return ``G v``."""
    return np.asarray(G.matvec(v) if is_operator(G) else G @ v, dtype=np.float64).reshape(-1)


def times_transposed(G: Any, w: Array) -> Array:
    """Return ``G' w``."""
    return np.asarray(G.rmatvec(w) if is_operator(G) else G.T @ w, dtype=np.float64).reshape(-1)


def dense(G: Any, *, by_rows: bool = True) -> Array:
    """Return the matrix as an array; an operator is asked for it row by row or column by column."""
    if is_sparse(G):
        return np.asarray(G.toarray())
    if is_operator(G):
        m, n = G.shape
        if by_rows:
            return np.array([times_transposed(G, e) for e in np.eye(m)]).reshape(m, n)
        return np.array([times(G, e) for e in np.eye(n)]).reshape(n, m).T
    return np.asarray(G)


def moduli_transposed(G: Any, w: Array) -> Array:
    """Return ``|G|' w`` for an array or a CSR array."""
    return np.asarray(abs(G).T @ w).reshape(-1)


def is_finite(value: Any) -> bool:
    """Whether a number, array or sparse matrix has finite entries; operators are taken to have."""
    if isinstance(value, float):
        return math.isfinite(value)
    if is_operator(value):
        return True
    return bool(np.isfinite(value.data if is_sparse(value) else value).all())


def central(
    function: Callable[[Array], Any],
    x: Array,
    *,
    step: float = STEP,
    lower: Array | None = None,
    upper: Array | None = None,
) -> tuple[Array, Array]:
    """Difference quotients along all coordinates, and what rounding can do to each.

    Parameters
    ----------
    function : callable
        Returns a number or a vector.
    x : array, shape (n,)
        The point.
    step : float
        Relative to ``max(1, |x_j|)``.
    lower, upper : array, shape (n,), optional
        The function is called inside these only: near a bound with the one-sided quotient of the
        same order, and nowhere along a coordinate whose bounds agree.

    Returns
    -------
    derivatives, rounding : array, shape (n, ...)
        Row j belongs to coordinate j.
    """
    rows: list[Any] = []
    noise: list[Any] = []
    for j in range(x.size):
        low = -math.inf if lower is None else lower[j] - x[j]
        high = math.inf if upper is None else upper[j] - x[j]
        h, offsets, weights = _quotient(step * max(1.0, abs(x[j])), low, high)
        if not h > 0:
            value = np.zeros_like(np.asarray(function(x), dtype=np.float64))
            rows.append(value)
            noise.append(value)
            continue
        points, values = [], []
        for offset in offsets:
            moved = x.copy()
            moved[j] += offset
            if lower is not None and upper is not None:
                moved[j] = min(max(moved[j], lower[j]), upper[j])
            points.append(moved[j] - x[j])
            values.append(np.asarray(function(moved), dtype=np.float64))
        if len(offsets) == 2:
            h = (points[0] - points[1]) / 2  # the step as it was made, rounding included
        rows.append(sum(w * v for w, v in zip(weights, values, strict=True)) / h)
        size = sum(abs(w) * np.abs(v) for w, v in zip(weights, values, strict=True))
        noise.append(4 * UNIT * size / h)
    return np.array(rows), np.array(noise)


def _quotient(
    h: float, low: float, high: float
) -> tuple[float, tuple[float, ...], tuple[float, ...]]:
    """Return step, offsets in ``[low, high]`` and weights of a quotient of second order."""
    h = min(h, (high - low) / 2)
    if high >= h and low <= -h:
        return h, (h, -h), (0.5, -0.5)
    if high >= 2 * h:
        return h, (0.0, h, 2 * h), (-1.5, 2.0, -0.5)
    if low <= -2 * h:
        return h, (0.0, -h, -2 * h), (1.5, -2.0, 0.5)
    # an interval hardly wider than two steps: its ends and its middle
    middle, h = (high + low) / 2, (high - low) / 2
    t = -middle / h if h > 0 else 0.0
    return h, (middle + h, middle - h, middle), (0.5 + t, t - 0.5, -2.0 * t)


def differences(function: Callable[[Array], Any], x: Array, **bounds: Any) -> tuple[Array, Array]:
    """Central differences and a bound of their error, from a second step length.

    The ratio e of the steps is irrational, so that no oscillation hides from both; the difference
    of the two quotients is 6.4 times the truncation error of the first.
    """
    first, noise = central(function, x, **bounds)
    second, _ = central(function, x, step=math.e * STEP, **bounds)
    return first, np.abs(first - second) + noise
