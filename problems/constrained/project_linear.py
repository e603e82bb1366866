"""Predictions brought into agreement with linear conservation laws."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fejer.errors import ProblemError
from fejer.evidence import Array
from fejer.numerics.matrix import Matrix
from fejer.problem import as_number, as_vector

__all__ = ["Projected", "project_linear"]

SINGULAR = 1e-13
SYMMETRIC = 1e-8


class Projected(NamedTuple):
    """What `project_linear` returns.

    Attributes
    ----------
    mean : array, shape (n,)
        The new mean.
    cov : array, shape (n, n)
        The new covariance.
    """

    mean: Array
    cov: Array


def project_linear(mean: Any, cov: Any, G: Any, b: Any, var: float = 0.0) -> Projected:
    """Condition a Gaussian prediction on linear equations.

    ``mean' = mean - cov G' S^-1 (G mean - b)``, ``cov' = cov - cov G' S^-1 G cov`` with
    ``S = G cov G' + var I``. With ``var=0``, mean' solves ``min (x - mean)' cov^-1 (x - mean)``
    subject to ``G x = b``.

    Parameters
    ----------
    mean : array_like, shape (n,)
        The prediction.
    cov : float, array_like of shape (n,) or (n, n), or sparse matrix
        Its covariance: a multiple of the identity, the variances, or the whole; symmetric and
        positive semidefinite. An uncertain entry is moved more than a certain one.
    G : array_like or sparse matrix, shape (m, n)
        Equations, such as the weights of a quadrature.
    b : array_like, shape (m,)
        What ``G x`` is known to be.
    var : float, default 0.0
        Variance of the noise in b; 0 makes the equations hold.

    Returns
    -------
    Projected
        ``mean`` and ``cov``.

    Raises
    ------
    ProblemError
        A field of wrong shape or kind, a covariance that is not symmetric or not positive
        semidefinite where the equations look at it, or equations that contradict each other.

    Notes
    -----
    Cost: ``m^2 n + m^3/3`` flops for a diagonal covariance, plus ``n^2 m`` for the new one.
    Dependent equations are treated by a pseudoinverse of S. The distance in the norm of
    ``cov^-1`` to any x that obeys the equations never increases.

    References
    ----------
    .. [1] Hansen, Maddix, Alizadeh, Gupta, Mahoney (2023), Learning physical models that can
       respect conservation laws, arXiv:2302.11002.

    Examples
    --------
    Three cells that hold 6 together; the last one is the least certain:

    >>> import fejer
    >>> fejer.project_linear([1.0, 2.0, 2.0], [1.0, 1.0, 2.0], [[1, 1, 1]], [6.0]).mean
    array([1.25, 2.25, 2.5 ])
    """
    mean = as_vector(mean, "mean")
    n = mean.size
    A = Matrix.of(G, "G", shape=(-1, n))
    rows = A.toarray()
    b = as_vector(b, "b", rows.shape[0])
    var = as_number(var, "var", least=0.0)
    cov_rows, cov = _times_covariance(cov, rows.T, n)
    S = rows @ cov_rows
    values, vectors = np.linalg.eigh((S + S.T) / 2)
    top = float(np.abs(values).max(initial=0.0))
    if values.size and values[0] < -SYMMETRIC * top:
        raise ProblemError(f"cov: expected a positive semidefinite matrix, got {values[0]:.3g}")
    kept = values + var > SINGULAR * (top + var)
    root = vectors[:, kept] / np.sqrt(values[kept] + var)
    gain = cov_rows @ root
    moved = mean - gain @ (root.T @ (rows @ mean - b))
    if var == 0.0:
        moved = moved - gain @ (root.T @ (rows @ moved - b))  # once more, for rounding
        left = np.abs(rows @ moved - b)
        allowed = np.abs(rows) @ np.abs(moved) + np.abs(b)
        if not (left <= 1e-8 * np.maximum(allowed, 1e-300)).all():
            raise ProblemError("b: expected equations that can hold, got a contradiction")
    smaller = cov - gain @ gain.T
    return Projected(moved, (smaller + smaller.T) / 2)


def _times_covariance(cov: Any, B: Array, n: int) -> tuple[Array, Array]:
    """Return ``cov B`` and cov as an array."""
    if np.ndim(cov) == 0 and not hasattr(cov, "shape"):
        cov = np.full(n, as_number(cov, "cov", least=0.0))
    if np.ndim(cov) <= 1 and not hasattr(cov, "nnz"):
        variances = as_vector(cov, "cov", n)
        if (variances < 0).any():
            raise ProblemError(f"cov: expected variances >= 0, got {variances.min():g}")
        return variances[:, None] * B, np.diag(variances)
    dense = Matrix.of(cov, "cov", shape=(n, n)).toarray()
    if np.abs(dense - dense.T).max() > SYMMETRIC * np.abs(dense).max():
        raise ProblemError("cov: expected a symmetric matrix")
    return dense @ B, dense
