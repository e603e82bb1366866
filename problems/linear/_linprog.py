"""The argument forms of `scipy.optimize.linprog`."""

from __future__ import annotations

from typing import Any

import numpy as np

from fejer.errors import ProblemError
from fejer.evidence import Array
from fejer.numerics.compressed import is_sparse
from fejer.numerics.matrix import Matrix
from fejer.problem import as_number, as_vector

__all__ = ["stack", "unpack_bounds"]


def stack(n: int, A_ub: Any, b_ub: Any, A_eq: Any, b_eq: Any) -> tuple[Any, Array, Array]:
    """Put inequalities and equations on top of each other: matrix, lower and upper bounds."""
    blocks: list[Matrix] = []
    row_lower, row_upper = [np.zeros(0)], [np.zeros(0)]
    for A, b, kind in ((A_ub, b_ub, "ub"), (A_eq, b_eq, "eq")):
        if A is None and (b is None or np.size(b) == 0):
            continue
        if A is None or b is None:
            here, there = ("b", "A") if A is None else ("A", "b")
            raise ProblemError(f"{there}_{kind}: expected one beside {here}_{kind}, got None")
        if not is_sparse(A) and np.size(A) == 0 and np.size(b) == 0:
            continue
        matrix = Matrix.of(A, f"A_{kind}", shape=(-1, n))
        if matrix.is_operator:
            raise ProblemError(f"A_{kind}: expected a matrix with known entries, got an operator")
        bounds = as_vector(b, f"b_{kind}", matrix.shape[0], finite=kind == "eq")
        blocks.append(matrix)
        row_upper.append(bounds)
        row_lower.append(bounds if kind == "eq" else np.full(bounds.size, -np.inf))
    return _on_top(blocks, n), np.concatenate(row_lower), np.concatenate(row_upper)


def _on_top(blocks: list[Matrix], n: int) -> Any:
    if not blocks:
        return np.zeros((0, n))
    if len(blocks) == 1:
        return blocks[0]
    if any(block.is_sparse for block in blocks):
        from scipy.sparse import csc_array, vstack

        return vstack([csc_array(block.native) for block in blocks], format="csc")
    return np.vstack([block.dense for block in blocks])


def unpack_bounds(bounds: Any, n: int) -> tuple[Array, Array]:
    """Turn pairs with None into vectors with infinities."""
    if bounds is None or (hasattr(bounds, "__len__") and len(bounds) == 0):
        bounds = (0, None)
    if all(hasattr(bounds, side) for side in ("lb", "ub")):  # scipy.optimize.Bounds
        bounds = list(zip(*np.broadcast_arrays(bounds.lb, bounds.ub), strict=True))
    try:
        pairs = [bounds] if np.ndim(bounds[0]) == 0 else list(bounds)
        pairs = [(low, high) for low, high in pairs]
    except (TypeError, ValueError, IndexError, KeyError) as error:
        raise ProblemError(
            f"bounds: expected (lower, upper) or {n} such pairs, got {bounds!r:.80}"
        ) from error
    if len(pairs) not in (1, n):
        raise ProblemError(f"bounds: expected 1 or {n} pairs, got {len(pairs)}")
    lower, upper = np.empty(n), np.empty(n)
    spread = pairs * n if len(pairs) == 1 else pairs
    for j, (low, high) in enumerate(spread):
        lower[j] = -np.inf if low is None else as_number(low, f"bounds[{j}]", finite=False)
        upper[j] = np.inf if high is None else as_number(high, f"bounds[{j}]", finite=False)
    return lower, upper
