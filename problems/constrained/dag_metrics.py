"""Distances between directed graphs."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fejer.errors import ProblemError
from fejer.numerics.arrays import float_array

__all__ = ["GraphDistance", "dag_metrics"]


class GraphDistance(NamedTuple):
    """What `dag_metrics` returns.

    Attributes
    ----------
    shd : int
        Structural Hamming distance: edges to be added, removed or turned.
    tpr : float
        True edges found, over all true ones; 1 where there are none.
    fdr : float
        Wrong or turned edges, over all found; 0 where none was found.
    """

    shd: int
    tpr: float
    fdr: float


def dag_metrics(found: Any, truth: Any) -> GraphDistance:
    """Compare the edges of two graphs.

    Parameters
    ----------
    found, truth : array_like, shape (d, d)
        Weights; an edge from i to j is a nonzero entry (i, j).

    Returns
    -------
    GraphDistance
        ``shd``, ``tpr`` and ``fdr``.

    Raises
    ------
    ProblemError
        Matrices that are not square or not of one shape.

    Examples
    --------
    >>> import fejer
    >>> fejer.dag_metrics([[0, 1], [0, 0]], [[0, 0], [2, 0]])
    GraphDistance(shd=1, tpr=0.0, fdr=1.0)
    """
    one = float_array(found, "found", ndim=2) != 0
    two = float_array(truth, "truth", ndim=2) != 0
    if one.shape != two.shape or one.shape[0] != one.shape[1]:
        raise ProblemError(f"found: expected shape {two.shape}, square, got {one.shape}")
    differs = (one != two) | (one != two).T
    right = int((one & two).sum())
    shd = int(np.triu(differs, 1).sum())
    return GraphDistance(
        shd,
        right / max(1, int(two.sum())) if two.any() else 1.0,
        1.0 - right / int(one.sum()) if one.any() else 0.0,
    )
