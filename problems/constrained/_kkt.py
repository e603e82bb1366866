"""Multipliers, moduli and the proof that linear equations contradict each other."""

from __future__ import annotations

from typing import Any

import numpy as np

from fejer.evidence import Array
from fejer.numerics.matrix import Matrix

from . import _oracle as oracle

DENSE_ENTRIES = 4_000_000  # up to here a Jacobian is treated as an array, where that is safer
SPARSE_ENTRIES = 100_000  # beyond this a sparse one is treated as such
DUAL_SHIFT = 1e-12
ROUNDING = 2.0**-52


def least_squares_multipliers(G: Any, g: Array) -> Array:
    """Return ``argmin |g + G' l|``, of smallest norm; zeros where it cannot be computed."""
    m = G.shape[0]
    if m == 0 or not (oracle.is_finite(g) and oracle.is_finite(G)):
        return np.zeros(m)
    if oracle.is_sparse(G) and G.shape[0] * G.shape[1] > SPARSE_ENTRIES:
        multipliers: Any = _sparse_least_squares(G, g)
        if np.isfinite(multipliers).all():
            return multipliers
    if isinstance(G, np.ndarray) or G.shape[0] * G.shape[1] <= DENSE_ENTRIES:
        try:
            multipliers = np.linalg.lstsq(oracle.dense(G).T, -g, rcond=None)[0]
        except np.linalg.LinAlgError:
            return np.zeros(m)
    else:
        from scipy.sparse.linalg import LinearOperator, lsmr

        n = G.shape[1]
        transposed = LinearOperator(
            (n, m),
            matvec=lambda l: oracle.times_transposed(G, l),
            rmatvec=lambda v: oracle.times(G, v),
            dtype=np.float64,
        )
        multipliers = lsmr(transposed, -g, atol=1e-14, btol=1e-14, conlim=0.0, maxiter=4 * m)[0]
    return np.asarray(multipliers) if np.isfinite(multipliers).all() else np.zeros(m)


def _sparse_least_squares(G: Any, g: Array) -> Array:
    """Solve ``[[I, G'], [G, -t I]] [r; -l] = [g; 0]``, t far below the size of G; nan if it fails.

    The shift keeps dependent rows from ending the factorisation; two steps of refinement with it
    are two steps of the proximal method, which approach the least-squares multipliers.
    """
    from scipy.sparse import block_array, csc_array, eye_array
    from scipy.sparse.linalg import splu

    m, n = G.shape
    shift = DUAL_SHIFT * max(float(np.abs(G.data).max(initial=0.0)) ** 2, 1e-300)
    K = csc_array(block_array([[eye_array(n), G.T], [G, -shift * eye_array(m)]]))
    try:
        factor = splu(K)
    except RuntimeError:
        return np.full(m, np.nan)
    l = np.zeros(m)
    for _ in range(3):
        residual = g + oracle.times_transposed(G, l)
        l = l - factor.solve(np.concatenate([residual, np.zeros(m)]))[n:]
    return l


def moduli_transposed(G: Any, l: Array) -> Array:
    """Return ``|G|'|l|``; for a large operator, whose entries are unknown, ``|G' l|``."""
    if oracle.is_operator(G):
        if G.shape[0] * G.shape[1] > DENSE_ENTRIES:
            return np.abs(oracle.times_transposed(G, l))
        G = oracle.dense(G)
    return oracle.moduli_transposed(G, np.abs(l))


def moduli(G: Any, x: Array) -> Array:
    """Return ``|G||x|``; for a large operator ``|G x|``."""
    if oracle.is_operator(G):
        if G.shape[0] * G.shape[1] > DENSE_ENTRIES:
            return np.abs(oracle.times(G, x))
        G = oracle.dense(G)
    return np.asarray(abs(G) @ np.abs(x)).reshape(-1)


def contradiction(A: Matrix, b: Array) -> tuple[Array, float, float] | None:
    """Return a combination of rows that says ``0 = something else``, or None.

    Parameters
    ----------
    A : Matrix, shape (m, n)
        Rows.
    b : array, shape (m,)
        Right-hand sides.

    Returns
    -------
    ray : array, shape (m,)
        ``y`` with ``A'y = 0`` to rounding and ``b'y > 0``.
    violation : float
        Largest ``|A'y|_j / (|A|'|y|)_j``.
    beyond : float
        A point x with ``A x = b`` would need ``|x|_inf`` at least this large.
    """
    m, n = A.shape
    if m * n > DENSE_ENTRIES:
        return None
    rows = A.toarray()
    with np.errstate(all="ignore"):
        norms = np.linalg.norm(rows, axis=1)
        norms[norms == 0] = 1.0
        scaled = rows / norms[:, None]
        residual = b / norms
        try:
            for _ in range(3):  # the residual of the projection, refined
                residual = residual - scaled @ np.linalg.lstsq(scaled, residual, rcond=None)[0]
        except np.linalg.LinAlgError:
            return None
        ray = residual / norms
        size = np.abs(ray).max(initial=0.0)
        if not (0 < size < np.inf):
            return None
        ray = ray / size
        gain = float(b @ ray)
        bad = np.abs(rows.T @ ray)
        allowed = np.abs(rows).T @ np.abs(ray)
        contradicts = gain > 1e-9 * float(np.abs(b) @ np.abs(ray)) and gain > 0
        if not contradicts or not (bad <= 1e-12 * allowed).all():
            return None
        total = float(bad.sum())
        violation = float(np.max(bad[allowed > 0] / allowed[allowed > 0], initial=0.0))
    return ray, violation, gain / total if total else float("inf")
