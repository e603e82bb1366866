"""Quadratic saddle point problems."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from fejer.errors import ProblemError
from fejer.evidence import Array
from fejer.numerics.matrix import Matrix
from fejer.problem import as_vector

from ._saddles import Pair, Saddle, checked_proxes
from .monotone_inclusion import MonotoneInclusion

__all__ = ["QuadraticSaddle"]

SLIGHTLY_NEGATIVE = -1e-10  # eigenvalue over the largest one that rounding explains


@dataclass(frozen=True, eq=False)
class _QuadraticField:
    """``F(x, y) = (H x - h - A'y, A x - b + Q y)``."""

    H: Matrix | None
    A: Matrix
    Q: Matrix | None
    h: Array
    b: Array

    def __call__(self, z: Array) -> Array:
        n = self.A.shape[1]
        x, y = z[:n], z[n:]
        value = np.concatenate([-self.A.rmatvec(y) - self.h, self.A.matvec(x) - self.b])
        if self.H is not None:
            value[:n] += self.H.matvec(x)
        if self.Q is not None:
            value[n:] += self.Q.matvec(y)
        return value

    def fingerprint(self) -> str:
        """Return a SHA-256 of the data."""
        digest = hashlib.sha256(self.h.tobytes() + self.b.tobytes())
        for M in (self.H, self.A, self.Q):
            digest.update(b"" if M is None else M.fingerprint().encode())
        return digest.hexdigest()


@dataclass(frozen=True, eq=False)
class QuadraticSaddle(Saddle):
    """Saddle point of a quadratic function, convex in x and concave in y.

    ``min over x, max over y, of 1/2 x'H x - h'x - y'(A x - b) - 1/2 y'Q y + g_x(x) - g_y(y)``,
    g_x and g_y convex and given by their proximal operators, for instance as sets. Bilinear where
    H and Q are left out; with Q = 0 and no g_y, y is the multiplier of ``A x = b``.

    Parameters
    ----------
    H : array_like or sparse matrix, shape (n, n), or None
        Symmetric positive semidefinite; None: 0.
    A : array_like, sparse matrix or LinearOperator, shape (m, n)
        The coupling.
    Q : array_like or sparse matrix, shape (m, m), or None
        Symmetric positive semidefinite; None: 0.
    h : array_like, shape (n,), default 0.0
        Linear term of x.
    b : array_like, shape (m,), default 0.0
        Linear term of y.
    prox_x, prox_y : callable, optional
        ``prox(v, eta)``: the proximal operators of ``eta g``; the objects of ``fejer.prox`` serve.
        None: g = 0.

    Raises
    ------
    ProblemError
        Names the field that is not as described.

    Notes
    -----
    The variable is ``(x, y)``, of length n + m; `result.primal` and `result.dual` are its parts.

    Certificate: the larger of the two players' natural residuals
    ``||x - prox_x(x - eta F_x)|| / eta``, each divided by its own at the origin (projected), or,
    where that is 0, by its own after one forward-backward step; ``eta = 1 / L``. Each has its
    scale, so that a huge h does not hide a violation of ``A x = b``. A necessary condition.

    Methods step with L = the largest singular value of the linear part, or an upper bound.

    References
    ----------
    .. [1] Ouyang, Xu (2021), Lower complexity bounds of first-order methods for convex-concave
       bilinear saddle-point problems, Math. Program. 185, arXiv:1808.02901.

    Examples
    --------
    The point of least norm on a line:

    >>> import fejer
    >>> problem = fejer.QuadraticSaddle([[1, 0], [0, 1]], [[1.0, 3.0]], None, b=[5.0])
    >>> fejer.minimize(problem, tol=1e-9).primal.round(6)
    array([0.5, 1.5])
    """

    H: npt.ArrayLike | None
    A: npt.ArrayLike
    Q: npt.ArrayLike | None
    h: npt.ArrayLike = 0.0
    b: npt.ArrayLike = 0.0
    prox_x: Callable[..., Any] | None = None
    prox_y: Callable[..., Any] | None = None

    def __post_init__(self) -> None:
        A = Matrix.of(self.A, "A")
        m, n = A.shape
        H = None if self.H is None else _semidefinite(self.H, "H", n)
        Q = None if self.Q is None else _semidefinite(self.Q, "Q", m)
        h, b = as_vector(self.h, "h", n), as_vector(self.b, "b", m)
        checked_proxes(self)
        self.set(A=A, H=H, Q=Q, h=h, b=b)

    @property
    def split(self) -> int:  # type: ignore[override]
        """Length of x."""
        return int(self.A.shape[1])  # type: ignore[union-attr]

    def initial_point(self) -> Array:
        """Return 0."""
        return np.zeros(sum(self.A.shape))  # type: ignore[union-attr]

    def value_of(self, x: Array) -> float:
        """Return the quadratic function at ``x``."""
        p, y = x[: self.split], x[self.split :]
        value = -self.h @ p - y @ (self.A.matvec(p) - self.b)  # type: ignore[operator,union-attr]
        if self.H is not None:
            value += 0.5 * p @ self.H.matvec(p)  # type: ignore[union-attr]
        if self.Q is not None:
            value -= 0.5 * y @ self.Q.matvec(y)  # type: ignore[union-attr]
        return float(value)

    def build_inclusion(self) -> MonotoneInclusion:
        """Build the inclusion with its Lipschitz constant."""
        field: Any = _QuadraticField(self.H, self.A, self.Q, self.h, self.b)  # type: ignore[arg-type]
        diagonal = [0.0 if M is None else M.spectral_norm() for M in (self.H, self.Q)]  # type: ignore[union-attr]
        coupling = self.A.spectral_norm()  # type: ignore[union-attr]
        # Norms of the blocks in place of the blocks: never below the norm of the whole.
        constant = float(np.linalg.norm([[diagonal[0], coupling], [coupling, diagonal[1]]], 2))
        free = self.prox_x is None and self.prox_y is None
        return MonotoneInclusion(
            field,
            sum(self.A.shape),  # type: ignore[union-attr]
            resolvent=None if free else Pair(self.split, self.prox_x, self.prox_y),
            lipschitz=constant if 1e-100 < constant < math.inf else 1.0,
        )

    @classmethod
    def random(cls, n: int = 4, m: int = 3, *, seed: int = 0) -> Self:
        """Draw an instance with strongly convex and concave parts and no proximal operators.

        Parameters
        ----------
        n, m : int, default 4 and 3
            Lengths of x and y.
        seed : int, default 0
            Seed of the generator.

        Returns
        -------
        QuadraticSaddle

        Examples
        --------
        >>> import fejer
        >>> fejer.QuadraticSaddle.random(3, 2).size
        5
        """
        rng = np.random.default_rng(seed)
        H, Q = (rng.standard_normal((k, k)) for k in (n, m))
        H, Q = H @ H.T / n + 0.2 * np.eye(n), Q @ Q.T / m + 0.2 * np.eye(m)
        A, h, b = rng.standard_normal((m, n)), rng.standard_normal(n), rng.standard_normal(m)
        return cls(H, A, Q, h, b)


def _semidefinite(data: Any, name: str, size: int) -> Matrix:
    """Check symmetry, and semidefiniteness of matrices that are not large."""
    M = Matrix.of(data, name, shape=(size, size))
    if M.is_operator:
        raise ProblemError(f"{name}: expected a matrix with entries, got an operator")
    plain = M.tosparse() if M.is_sparse else M.toarray()
    difference = float(abs(plain - plain.T).max())
    if difference > 1e-10 * M.norm_bound():
        raise ProblemError(f"{name}: expected a symmetric matrix, entries differ by {difference:g}")
    if size <= 1000:
        values = np.linalg.eigvalsh(M.toarray())
        if values[0] < SLIGHTLY_NEGATIVE * abs(values[-1]):
            raise ProblemError(
                f"{name}: expected a positive semidefinite matrix, got eigenvalue {values[0]:g}"
            )
    return M
