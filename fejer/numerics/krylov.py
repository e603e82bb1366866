"""Krylov methods for a symmetric matrix that is given by its products.

All take the matrix as a callable ``A(v) -> A v`` and count their products; none allocates more than
a few vectors, except `lanczos`, which returns its basis.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np

from ..evidence import Array

__all__ = ["Solved", "cg", "lanczos", "largest_eigenvalue", "minres", "power_iteration"]

Product = Callable[[Array], Array]


class Solved(NamedTuple):
    """What `cg` and `minres` return.

    Attributes
    ----------
    x : ndarray
        The solution, or the best point so far.
    residual : float
        ``||b - A x||`` as the recursion has it.
    nit : int
        Products with A in the iteration; one more was made where a start was given.
    reason : {"converged", "curvature", "limit"}
        "curvature": a direction with ``d' A d <= 0`` was met, and A is not positive definite.
    direction : ndarray or None
        That direction.
    """

    x: Array
    residual: float
    nit: int
    reason: Literal["converged", "curvature", "limit"]
    direction: Array | None = None


def cg(
    A: Product,
    b: Array,
    *,
    x0: Array | None = None,
    preconditioner: Product | None = None,
    tol: float = 1e-10,
    max_iter: int | None = None,
) -> Solved:
    """Solve ``A x = b`` with A symmetric positive definite by conjugate gradients.

    Parameters
    ----------
    A : callable
        ``A(v)`` returns the product; the result is used before the next call and never changed.
    b : ndarray, shape (n,)
        Right-hand side.
    x0 : ndarray, shape (n,), optional
        Start; 0 costs one product less.
    preconditioner : callable, optional
        An approximation of the inverse of A, symmetric positive definite.
    tol : float, default 1e-10
        Stop at ``||b - A x|| <= tol ||b||``.
    max_iter : int, optional
        Largest number of products, 10 n if not given.

    Returns
    -------
    Solved
        With ``reason="curvature"`` for an indefinite A: `x` minimises the quadratic over the space
        searched before, and `direction` is one along which it is unbounded below or flat.

    Notes
    -----
    Rate: ``||x_k - x*||_A <= 2 ((sqrt(kappa) - 1)/(sqrt(kappa) + 1))^k ||x_0 - x*||_A``.

    Examples
    --------
    >>> import numpy as np
    >>> from fejer.numerics.krylov import cg
    >>> A = np.array([[4.0, 1.0], [1.0, 3.0]])
    >>> cg(lambda v: A @ v, np.array([1.0, 2.0])).nit
    2
    """
    x = np.zeros_like(b) if x0 is None else x0.copy()
    r = b.copy() if x0 is None else b - A(x)
    goal = tol * float(np.linalg.norm(b))
    residual = float(np.linalg.norm(r))
    z = r if preconditioner is None else preconditioner(r)
    p = z.copy()
    rz = float(r @ z)
    limit = 10 * b.size if max_iter is None else max_iter
    for nit in range(limit):
        if residual <= goal:
            return Solved(x, residual, nit, "converged")
        q = A(p)
        curvature = float(p @ q)
        if not curvature > 0.0:
            return Solved(x, residual, nit + 1, "curvature", p)
        step = rz / curvature
        x += step * p
        r -= step * q
        residual = float(np.linalg.norm(r))
        z = r if preconditioner is None else preconditioner(r)
        previous, rz = rz, float(r @ z)
        p *= rz / previous if previous else 0.0
        p += z
    return Solved(x, residual, limit, "converged" if residual <= goal else "limit")


def minres(
    A: Product,
    b: Array,
    *,
    x0: Array | None = None,
    tol: float = 1e-10,
    max_iter: int | None = None,
) -> Solved:
    """Solve ``A x = b`` with A symmetric, definite or not, by minimal residuals.

    Parameters
    ----------
    A, b, x0, tol, max_iter
        As in `cg`; where A is singular and b outside its range the least-squares residual is
        reached and the reason is "limit".

    Returns
    -------
    Solved
        The residual norm never increases from one iteration to the next.

    References
    ----------
    .. [1] C. C. Paige, M. A. Saunders (1975). Solution of sparse indefinite systems of linear
       equations, SIAM Journal on Numerical Analysis 12(4).

    Examples
    --------
    >>> import numpy as np
    >>> from fejer.numerics.krylov import minres
    >>> A = np.array([[1.0, 2.0], [2.0, 1.0]])
    >>> minres(lambda v: A @ v, np.array([3.0, 3.0])).x.round(12)
    array([1., 1.])
    """
    x = np.zeros_like(b) if x0 is None else x0.copy()
    v = b.copy() if x0 is None else b - A(x)
    goal = tol * float(np.linalg.norm(b))
    residual = beta = float(np.linalg.norm(v))
    limit = 10 * b.size if max_iter is None else max_iter
    if beta:
        v /= beta
    before = np.zeros_like(b)
    d_old, d_older = np.zeros_like(b), np.zeros_like(b)
    cosine, sine, cosine_old, sine_old = 1.0, 0.0, 1.0, 0.0
    beta = 0.0
    rotated = residual  # the last entry of the rotated right-hand side; its modulus is the residual
    size = 0.0
    for nit in range(limit):
        if residual <= goal:
            return Solved(x, residual, nit, "converged")
        w = A(v) - beta * before
        alpha = float(v @ w)
        w -= alpha * v
        beta_next = float(np.linalg.norm(w))
        size = max(size, abs(alpha), beta_next)
        # The new column (beta, alpha, beta_next) of the tridiagonal matrix, rotated.
        above = sine_old * beta
        middle = cosine * cosine_old * beta + sine * alpha
        pivot = -sine * cosine_old * beta + cosine * alpha
        cosine_old, sine_old = cosine, sine
        diagonal = math.hypot(pivot, beta_next)
        if diagonal <= 1e-15 * size:
            return Solved(x, residual, nit + 1, "limit")
        cosine, sine = pivot / diagonal, beta_next / diagonal
        d = (v - above * d_older - middle * d_old) / diagonal
        x += (cosine * rotated) * d
        rotated *= -sine
        residual = abs(rotated)
        d_older, d_old = d_old, d
        before, beta = v, beta_next
        v = w / beta_next if beta_next > 1e-15 * size else np.zeros_like(b)
    return Solved(x, residual, limit, "converged" if residual <= goal else "limit")


def lanczos(A: Product, start: Array, steps: int) -> tuple[Array, Array, Array]:
    """Reduce a symmetric A to a tridiagonal matrix, with full reorthogonalisation.

    Parameters
    ----------
    A : callable
        ``A(v)`` returns the product.
    start : ndarray, shape (n,)
        First direction, not zero.
    steps : int
        Number of products; fewer are made where the Krylov space is exhausted.

    Returns
    -------
    diagonal : ndarray, shape (k,)
    off_diagonal : ndarray, shape (k,)
        The last entry is the norm of what is left: ``A V = V T + off_diagonal[-1] v_next e_k'``.
    V : ndarray, shape (n, k)
        Orthonormal basis.

    Examples
    --------
    >>> import numpy as np
    >>> from fejer.numerics.krylov import lanczos
    >>> diagonal, off_diagonal, V = lanczos(lambda v: np.arange(1.0, 5.0) * v, np.ones(4), 10)
    >>> T = np.diag(diagonal) + np.diag(off_diagonal[:-1], 1) + np.diag(off_diagonal[:-1], -1)
    >>> np.linalg.eigvalsh(T).round(10)
    array([1., 2., 3., 4.])
    """
    n = start.size
    steps = min(steps, n)
    V = np.empty((n, steps), order="F")
    diagonal, off_diagonal = np.empty(steps), np.empty(steps)
    v = start / np.linalg.norm(start)
    for k in range(steps):
        V[:, k] = v
        w = np.array(A(v))
        size = float(np.linalg.norm(w))
        diagonal[k] = v @ w
        basis = V[:, : k + 1]
        for _ in range(2):  # once leaves what cancellation brought back
            w -= basis @ (basis.T @ w)
        off_diagonal[k] = np.linalg.norm(w)
        if off_diagonal[k] <= 1e-14 * size:
            return diagonal[: k + 1], off_diagonal[: k + 1], V[:, : k + 1]
        v = w / off_diagonal[k]
    return diagonal, off_diagonal, V


def largest_eigenvalue(
    A: Product, n: int, *, tol: float = 1e-6, max_iter: int = 300
) -> tuple[float, float]:
    """Largest eigenvalue of a symmetric A, and how far it can be from an eigenvalue.

    Lanczos without a stored basis from a fixed start: loss of orthogonality repeats extreme
    eigenvalues, but does not move them.

    Parameters
    ----------
    A : callable
        ``A(v)`` returns the product.
    n : int
        Size of A.
    tol : float, default 1e-6
        Stop when the residual bound is below tol times the value.
    max_iter : int, default 300
        Largest number of products.

    Returns
    -------
    value : float
        A lower bound of the largest eigenvalue (up to rounding).
    error : float
        Norm of the residual of its Ritz vector: some eigenvalue lies within it.  The value itself
        is as a rule good to ``error**2`` over the gap to the next eigenvalue.

    Examples
    --------
    >>> import numpy as np
    >>> from fejer.numerics.krylov import largest_eigenvalue
    >>> value, error = largest_eigenvalue(lambda v: np.arange(100.0) * v, 100)
    >>> round(value, 8)
    99.0
    """
    v = np.random.default_rng(0).standard_normal(n)
    v /= np.linalg.norm(v)
    before = np.zeros(n)
    diagonal: list[float] = []
    off_diagonal: list[float] = []
    beta = 0.0
    for k in range(1, max_iter + 1):
        w = A(v) - beta * before
        alpha = float(v @ w)
        w -= alpha * v
        beta = float(np.linalg.norm(w))
        diagonal.append(alpha)
        off_diagonal.append(beta)
        finished = beta <= 1e-14 * max(map(abs, diagonal)) or k in (n + 10, max_iter)
        if finished or k % 5 == 0:
            off = np.array(off_diagonal[:-1])
            values, vectors = np.linalg.eigh(np.diag(diagonal) + np.diag(off, 1) + np.diag(off, -1))
            error = beta * abs(float(vectors[-1, -1]))
            if finished or error <= tol * abs(values[-1]):
                return float(values[-1]), error
        before, v = v, w / beta
    raise ValueError("max_iter: expected at least 1")


def power_iteration(
    A: Product, start: Array, *, tol: float = 1e-6, max_iter: int = 1000
) -> tuple[float, Array]:
    """Eigenvalue of largest modulus of A, and its vector, by plain power steps.

    Parameters
    ----------
    A : callable
        ``A(v)`` returns the product.
    start : ndarray, shape (n,)
        Not zero.
    tol : float, default 1e-6
        Stop at ``||A v - value v|| <= tol ||A v||``.
    max_iter : int, default 1000
        Largest number of products.

    Returns
    -------
    value : float
        The Rayleigh quotient; 0 where A maps the vector to 0.
    vector : ndarray, shape (n,)
        Unit vector.

    Examples
    --------
    >>> import numpy as np
    >>> from fejer.numerics.krylov import power_iteration
    >>> value, _ = power_iteration(lambda v: np.array([3.0, 1.0]) * v, np.ones(2), tol=1e-9)
    >>> round(value, 9)
    3.0
    """
    v = start / np.linalg.norm(start)
    value = 0.0
    for _ in range(max_iter):
        w = A(v)
        value = float(v @ w)
        size = float(np.linalg.norm(w))
        if size == 0.0 or np.linalg.norm(w - value * v) <= tol * size:
            break
        v = w / size
    return value, v
