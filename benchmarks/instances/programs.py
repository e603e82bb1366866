"""Linear programs: regressions on medical tables, and files of others."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np

from fejer.errors import FejerError
from fejer.problems.linear.linear_program import LinearProgram

from .tables import diabetes, tumours

__all__ = ["digest", "least_absolute", "mps", "separating_plane"]


def least_absolute(products: bool = False) -> LinearProgram:
    """Return least absolute deviations on the diabetes patients.

    min over w, u, v of ``sum (u + v) / n``  subject to  ``X w + u - v = y``, ``u, v >= 0``.

    Parameters
    ----------
    products : bool, default False
        Products of features, too.

    Examples
    --------
    >>> least_absolute().A.shape
    (442, 894)
    """
    from scipy.sparse import csc_array, eye_array, hstack

    X, y, _ = diabetes(products)
    n, p = X.shape
    A = csc_array(hstack([csc_array(X), eye_array(n), -eye_array(n)]))
    cost = np.concatenate([np.zeros(p), np.full(2 * n, 1.0 / n)])
    lower = np.concatenate([np.full(p, -np.inf), np.zeros(2 * n)])
    return LinearProgram(cost, A, y, y, lower, np.inf)


def separating_plane(weight: float = 0.01) -> LinearProgram:
    """Return the support vector machine with an l1 penalty that tells benign tumours from others.

    min over w = p - q, b and slacks s of ``sum s / n + weight sum (p + q)``  subject to
    ``y_i (x_i'w + b) + s_i >= 1`` and ``p, q, s >= 0``.

    Parameters
    ----------
    weight : float, default 0.01
        Of the penalty.

    Examples
    --------
    >>> separating_plane().A.shape
    (569, 630)
    """
    from scipy.sparse import csc_array, eye_array, hstack

    X, y, _ = tumours()
    n, p = X.shape
    signed = csc_array(X * y[:, None])
    A = csc_array(hstack([signed, -signed, csc_array(y[:, None]), eye_array(n)]))
    cost = np.concatenate([np.full(2 * p, weight), [0.0], np.full(n, 1.0 / n)])
    lower = np.zeros(cost.size)
    lower[2 * p] = -np.inf
    return LinearProgram(cost, A, 1.0, np.inf, lower, np.inf)


def digest(path: str | os.PathLike[str]) -> str:
    """Return what tells one content of a file from another.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    str
        Twelve digits of its SHA-256.
    """
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()[:12]


def mps(path: str, content: str = "") -> Any:
    """Read an MPS file.

    Parameters
    ----------
    path : str
        The file.
    content : str
        What `digest` said of it when the recipe was written.

    Returns
    -------
    LinearProgram
        The program.

    Raises
    ------
    FejerError
        The file has changed since.
    """
    if content and digest(path) != content:
        raise FejerError(f"{path}: the file has changed since the run began")
    return LinearProgram.from_mps(path)
