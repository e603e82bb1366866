"""Partitions of the coordinates into blocks, and the constants of coordinates and blocks."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fejer.errors import OptionError
from fejer.evidence import Array

__all__ = ["PARTITIONS", "fixed_blocks", "hessian_row_sums"]

PARTITIONS = (
    "variable", "order", "random", "sort", "average", "hessian-sort", "hessian-average"
)  # fmt: skip
Block = NDArray[np.intp]


def hessian_row_sums(columns: Any, d: int, product: Any) -> Array:
    """``sum_j |H_ij|`` of ``H = X'WX``, a few rows at a time.

    Parameters
    ----------
    columns : callable
        ``columns(chosen)``: the chosen columns of ``WX`` as a dense array.
    d : int
        Number of coordinates.
    product : callable
        ``product(B)``: ``X'B``.
    """
    sums = np.empty(d)
    for first in range(0, d, 128):
        chosen = np.arange(first, min(first + 128, d))
        sums[chosen] = np.abs(product(columns(chosen))).sum(axis=0)
    return sums


def _interleaved(order: Block) -> Block:
    """Smallest, largest, second smallest, ...: blocks of equal average."""
    out = np.empty_like(order)
    half = (order.size + 1) // 2
    out[::2] = order[:half]
    out[1::2] = order[half:][::-1]
    return out


def fixed_blocks(
    partition: str | tuple[int, ...],
    size: int,
    lipschitz: Array,
    row_sums: Any,
) -> list[Block]:
    """Return the blocks of a fixed partition; the last one may be smaller.

    Parameters
    ----------
    partition : str or tuple of int
        A rule, or the label of each coordinate.
    size : int
        Coordinates of a block.
    lipschitz : array
        Curvature of each coordinate, for "sort" and "average".
    row_sums : callable
        Returns the row sums of the Hessian's moduli, for the rules that sort by them.
    """
    d = lipschitz.size
    if isinstance(partition, tuple):
        labels = np.asarray(partition)
        if labels.shape != (d,) or labels.dtype.kind not in "iu":
            raise OptionError(f"bcd: partition must be {d} integer labels, got {labels.shape}")
        return [np.flatnonzero(labels == label) for label in np.unique(labels)]
    order = np.arange(d)
    if partition == "random":
        order = np.random.default_rng(0).permutation(d)  # the same in each run
    elif partition != "order":
        scores = row_sums() if partition.startswith("hessian") else lipschitz
        order = np.argsort(scores, kind="stable")
        if partition.endswith("average"):
            order = _interleaved(order)
    return [np.sort(order[first : first + size]) for first in range(0, d, size)]
