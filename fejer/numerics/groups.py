"""Groups of variables: every way of describing a partition becomes one label per entry."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ProblemError

__all__ = ["group_labels"]


def group_labels(groups: Any, n: int) -> NDArray[np.intp]:
    """Bring a description of groups into one form.

    Parameters
    ----------
    groups : int, array of int, sequence of index lists, or None
        Size of consecutive groups (the last may be shorter), or the label of each entry, or a
        partition of 0..n-1; None is one group.
    n : int
        Number of entries.

    Returns
    -------
    ndarray of int, shape (n,)
        The group of each entry: 0, 1, ..., none of them empty.

    Raises
    ------
    ProblemError
        If the groups are no partition.

    Examples
    --------
    >>> from fejer.numerics.groups import group_labels
    >>> group_labels([[0, 2], [1]], 3)
    array([0, 1, 0])
    """
    if groups is None:
        return np.zeros(n, dtype=np.intp)
    if not isinstance(groups, Iterable):
        if isinstance(groups, bool) or int(groups) != groups or groups < 1:
            raise ProblemError(f"groups: expected a size >= 1, got {groups!r}")
        return np.arange(n) // int(groups)
    if not any(isinstance(part, Iterable) for part in groups):
        labels = np.asarray(groups)
        if labels.shape != (n,) or labels.dtype.kind not in "iu":
            raise ProblemError(f"groups: expected {n} integer labels, got {labels.shape}")
        return np.unique(labels, return_inverse=True)[1].astype(np.intp)
    labels = np.full(n, -1, dtype=np.intp)
    for g, part in enumerate(groups):
        indices = np.asarray(part)
        inside = indices.dtype.kind in "iu" and np.all((0 <= indices) & (indices < n))
        distinct = 0 < indices.size == np.unique(indices).size
        if not (inside and distinct) or np.any(labels[indices] >= 0):
            raise ProblemError(
                f"groups: expected a partition of 0..{n - 1}; group {g} is {part!r:.60}"
            )
        labels[indices] = g
    if np.any(labels < 0):
        raise ProblemError(f"groups: index {int(np.argmax(labels < 0))} is in no group")
    return labels
