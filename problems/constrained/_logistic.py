"""Logistic sums: value, slopes and curvatures in one pass; weighted Gram matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

from fejer.errors import ProblemError
from fejer.evidence import Array
from fejer.jit import kernel
from fejer.numerics.elementary import exp
from fejer.numerics.matrix import Matrix
from fejer.problem import as_vector

ROWS = 1024  # rows of a block of a Gram matrix, which stays in the cache


def checked_labels(y: Any, size: int) -> Array:
    """Return labels, all of them -1 or +1."""
    labels = as_vector(y, "y", size)
    wrong = labels[np.abs(labels) != 1.0]
    if wrong.size:
        raise ProblemError(f"y: expected labels -1 or +1, got {wrong[0]:g}")
    return labels


@kernel
def logistic_terms(margin, y, slope, curvature):
    """Return ``sum log(1 + exp(-y_i t_i))`` and write its derivatives in t_i."""
    total = 0.0
    for i in range(y.size):
        t = y[i] * margin[i]
        e = exp(-abs(t))
        share = 1.0 / (1.0 + e)
        wrong = e * share if t > 0.0 else share  # 1 / (1 + exp(t))
        total += max(-t, 0.0) + np.log1p(e)
        slope[i] = -y[i] * wrong
        curvature[i] = e * share * share
    return total


def logistic_pass(X: Matrix, y: Array, w: Array) -> tuple[float, Array, Array]:
    """Return the sum of losses and its first and second derivatives in the scores ``X w``."""
    slope, curvature = np.empty_like(y), np.empty_like(y)
    total = logistic_terms(X.matvec(w), y, slope, curvature)
    return float(total), slope, curvature


def symmetric(lower: Any) -> Array:
    """Return the symmetric matrix of a lower triangle, the rest of which is 0."""
    H = np.array(lower, dtype=np.float64, order="C")
    diagonal = np.diagonal(H).copy()
    H = H + H.T
    H[np.diag_indices_from(H)] = diagonal
    return H


def curved_gram(X: Matrix, weights: Array, *, single: bool = False) -> Array:
    """Return ``X' diag(weights) X`` for weights that are at least 0.

    Parameters
    ----------
    X : Matrix, shape (n, d)
        Rows.
    weights : array, shape (n,)
        Their weights.
    single : bool, default False
        Multiply blocks of dense rows in single precision, and add them in double.
    """
    if X.is_sparse:
        rows = X.tosparse().tocsr()
        scaled = rows.multiply(weights[:, None]).tocsr()
        return np.asarray((rows.T @ scaled).toarray())
    from scipy.linalg.blas import dsyrk, ssyrk

    data = X.toarray() if X.is_operator else X.dense  # in Fortran order
    H = np.zeros((data.shape[1], data.shape[1]), order="F")
    root = np.sqrt(np.maximum(weights, 0.0))[:, None]
    for first in range(0, len(data), ROWS):
        part = data[first : first + ROWS] * root[first : first + ROWS]
        if single:
            H += ssyrk(1.0, np.asfortranarray(part, dtype=np.float32), trans=1, lower=1)
        else:
            H = dsyrk(1.0, part, beta=1.0, c=H, trans=1, overwrite_c=1, lower=1)
    return symmetric(H)
