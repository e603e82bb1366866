"""Matrix sensing: a low-rank matrix from inner products with known matrices."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from fejer.errors import ProblemError
from fejer.evidence import EMPTY, Array, Certificate
from fejer.numerics.matrix import Matrix
from fejer.problem import Problem, as_number, as_vector

from . import _sensing
from ._factors import LowRankMatrix, balanced, pack, spectrum, unpack
from ._measuring import measuring, row_squares
from ._observed import matrix_shape, validated
from ._sensing import Frame

__all__ = ["MatrixSensing"]

DATA = ("A", "y", "shape", "symmetric")


@dataclass(frozen=True, eq=False)
class MatrixSensing(Problem):
    """A matrix of low rank from linear measurements, some of which may be arbitrarily wrong.

    min over X (d1, d2) of rank at most k of
    ``1/M sum_i |<A_i, X> - y_i|`` (loss "l1") or ``1/(2 M) sum_i (<A_i, X> - y_i)^2`` (loss "l2");
    where `symmetric`, over positive semidefinite X.

    Parameters
    ----------
    A : array_like, shape (M, d1, d2) or (M, d1 d2), sparse matrix or LinearOperator
        The measuring matrices, or their entries row by row; or what maps the d1 d2 entries of X to
        the M measurements (anything with ``matvec``, ``rmatvec`` and ``shape``).
    y : array_like, shape (M,)
        The measurements.
    shape : tuple of int
        Shape (d1, d2) of X.
    rank : int
        Largest rank k, at most ``min(d1, d2)``; it may exceed the true one.
    loss : {"l1", "l2"}, default "l1"
        ``"l1"`` ignores outliers.
    symmetric : bool, optional
        ``X = U U'``, positive semidefinite; default: d1 equals d2.

    Attributes
    ----------
    views : tuple of str
        ``factors`` (U, V), ``singular_values``, ``matrix`` (a `LowRankMatrix`), ``outliers``
        (a mask of the measurements).

    Raises
    ------
    ProblemError
        Names the field.

    Notes
    -----
    Variable: U (d, k) row by row where symmetric, else U (d1, k) and V (d2, k), one after the
    other.

    Certificate, loss "l1": conditions of a strict local minimum (sharpness), from the data alone.
    Multipliers of the measurements that fit (to 1e-6 of the median modulus of y) must balance the
    signs of the others on the tangent space of X, with moduli at most 1; the value adds what is not
    balanced, a modulus above 1, the mean residual of those that fit, and the decrease that a step
    into the normal space finds (the last refuses points that lack a component). Not rigorous: it is
    a local condition. ``details["sharpness"]`` is 1 minus the largest modulus. Where all
    measurements carry noise nothing fits exactly and the value stays large: use loss "l2".

    Certificate, loss "l2": first and second order conditions, as `MatrixCompletion` has them; the
    value is rigorous where the fit is so good that ``||r||^2 / ||y||^2`` is below it.

    Memory: A in double precision, 8 M d1 d2 bytes, and half of that for methods where symmetric. An
    operator or sparse matrix is never made dense; the norms of its rows are found once with d1 d2
    products, and a certificate for loss "l1" takes one for each of the ``rank (d1 + d2)``
    coordinates of the tangent space.

    References
    ----------
    .. [1] Ma, Fattahi (2022), Global convergence of sub-gradient method for robust matrix recovery:
       small initialization, noisy measurements, and over-parameterization, arXiv:2202.08788.
    .. [2] Charisopoulos, Chen, Davis, Diaz, Ding, Drusvyatskiy (2021), Low-rank matrix recovery
       with composite optimization, Found. Comput. Math. 21, arXiv:1904.10020.

    Examples
    --------
    A tenth of the measurements are wrong, and the rank is not known:

    >>> import fejer
    >>> problem = fejer.MatrixSensing.random(d=8, rank=1, count=150, outliers=0.1)
    >>> result = fejer.minimize(problem.replace(rank=4))
    >>> result.success, int(result.outliers.sum())
    (True, 15)
    """

    A: Any
    y: Array
    shape: tuple[int, int]
    rank: int
    loss: str = "l1"
    symmetric: bool | None = None

    views = ("factors", "singular_values", "matrix", "outliers")

    def __post_init__(self) -> None:
        shape = matrix_shape(self.shape)
        if not isinstance(self.loss, str) or self.loss not in ("l1", "l2"):
            raise ProblemError(f"loss: expected 'l1' or 'l2', got {self.loss!r:.80}")
        A = self.A if validated(self.A) else measuring(self.A, shape)
        y = as_vector(self.y, "y")
        count = A.shape[0]
        if y.size != count:
            raise ProblemError(f"y: expected shape ({count},) as A has, got {y.shape}")
        if not (A.any() if isinstance(A, np.ndarray) else row_squares(A).any()):
            raise ProblemError("A: expected at least one entry other than 0, got zeros alone")
        if self.loss == "l1" and not y.any():
            raise ProblemError("y: expected an entry other than 0 for loss 'l1', got zeros alone")
        symmetric = self.symmetric
        if symmetric is None:
            symmetric = shape[0] == shape[1]
        if not isinstance(symmetric, bool | np.bool_):
            raise ProblemError(f"symmetric: expected True, False or None, got {symmetric!r:.80}")
        if symmetric and shape[0] != shape[1]:
            raise ProblemError(f"symmetric: expected False for shape {shape}, got True")
        rank = as_number(self.rank, "rank", least=1, most=min(shape), integer=True)
        self.set(A=A, y=y, shape=shape, rank=rank, symmetric=bool(symmetric))

    @classmethod
    def random(
        cls,
        d: int = 8,
        rank: int = 1,
        count: int | None = None,
        *,
        columns: int | None = None,
        outliers: float = 0.0,
        noise: float = 0.0,
        kappa: float = 1.0,
        loss: str = "l1",
        seed: int = 0,
    ) -> Self:
        """Draw Gaussian measurements of a matrix with orthonormal factors.

        Parameters
        ----------
        d : int, default 8
            Rows of the matrix.
        rank : int, default 1
            Its rank, and the rank asked for.
        count : int, optional
            Number of measurements; ten times ``d rank``.
        columns : int, optional
            Columns; by default the matrix is square and positive semidefinite.
        outliers : float, default 0.0
            Probability that a measurement has 10 times a normal number on top.
        noise : float, default 0.0
            Standard deviation of what is added to all measurements.
        kappa : float, default 1.0
            Largest over smallest singular value; the largest is 1.
        loss : {"l1", "l2"}, default "l1"
            The loss.
        seed : int, default 0
            Seed.

        Examples
        --------
        >>> import fejer
        >>> fejer.MatrixSensing.random().A.shape
        (80, 8, 8)
        """
        rng = np.random.default_rng(seed)
        V = np.linalg.qr(rng.standard_normal((d, rank)))[0]
        W = V if columns is None else np.linalg.qr(rng.standard_normal((columns, rank)))[0]
        X = (V * np.linspace(1, 1 / kappa, rank)) @ W.T
        A = rng.standard_normal((10 * d * rank if count is None else count, *X.shape))
        y = np.tensordot(A, X, 2)
        wrong = rng.random(y.size) < outliers
        y = y + 10 * wrong * rng.standard_normal(y.size) + noise * rng.standard_normal(y.size)
        return cls(A, y, X.shape, rank, loss, columns is None)

    # ---- the contract ----------------------------------------------------------------------
    @property
    def size(self) -> int:
        """Number of entries of the factors."""
        return self.rank * (self.shape[0] if self.symmetric else sum(self.shape))

    @property
    def unit(self) -> int:
        """Units of work in one pass: the entries of A."""
        return int(self.y.size) * self._entries()

    @property
    def judge_units(self) -> int:
        """Units of work of a certificate."""
        return (8 + 4 * self.rank) * self.unit

    def initial_point(self) -> Array:
        """Return the leading part of ``1/M sum sign(y_i) A_i`` (l1) or ``1/M sum y_i A_i`` (l2).

        In the size that the measurements of Gaussian matrices have.
        """

        def build() -> Array:
            weights = np.sign(self.y) if self.loss == "l1" else self.y
            C = self.adjoint(weights) / self.y.size / self.length() * math.sqrt(self._entries())
            size = float(np.median(np.abs(self.y))) / 0.6745 if self.loss == "l1" else 1.0
            C *= (size or 1.0) / self.length() * math.sqrt(self._entries())
            if self.symmetric:
                values, vectors = np.linalg.eigh(C)
                root = np.sqrt(np.maximum(values[::-1][: self.rank], 0.0))
                return np.ravel(vectors[:, ::-1][:, : self.rank] * root)
            A, s, Bt = np.linalg.svd(C, full_matrices=False)
            root = np.sqrt(s[: self.rank])
            return pack(A[:, : self.rank] * root, Bt[: self.rank].T * root)

        found: Array = self.fact("start", (*DATA, "rank", "loss"), build)
        return found.copy()

    def certificate(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> Certificate:
        """Judge the matrix of the factors: a sharp local minimum, or stationarity.

        Parameters
        ----------
        x : array
            The factors.
        witness : mapping, optional
            Not needed and not used.
        """
        U, V = self._unpacked(x)
        found = self._frame(U, V)
        X = U @ V.T
        error = _sensing.ROUNDING * (
            self.row_norm() * float(np.linalg.norm(U)) * float(np.linalg.norm(V))
            + float(np.abs(self.y).max())
        )
        return _sensing.judge(self, found, X, error)

    def auto(self) -> tuple[str, ...]:
        """Return the methods, first choice first."""
        return ("subgm",) if self.loss == "l1" else ("scaled-gd",)

    # ---- products --------------------------------------------------------------------------
    def measure(self, X: Array) -> Array:
        """Return ``<A_i, X>`` for all i."""
        if isinstance(self.A, Matrix):
            return self.A.matvec(X.ravel())
        product: Array = self.A.reshape(len(self.A), -1) @ X.ravel()
        return product

    def adjoint(self, r: Array) -> Array:
        """Return ``sum_i r_i A_i``, its symmetric part where X is symmetric."""
        if isinstance(self.A, Matrix):
            G = self.A.rmatvec(r).reshape(self.shape)
        else:
            G = (r @ self.A.reshape(len(self.A), -1)).reshape(self.shape)
        return 0.5 * (G + G.T) if self.symmetric else G

    def packed(self) -> Array | None:
        """Return the measuring matrices as rows; where symmetric, what counts of them.

        None where A is an operator or sparse. Else, where symmetric, the upper triangles, row by
        row, of ``A_i + A_i'`` with the diagonal of ``A_i``.
        """

        if isinstance(self.A, Matrix):
            return None

        def build() -> Array:
            if not self.symmetric:
                return self.A.reshape(len(self.A), -1)
            i, j = np.triu_indices(self.shape[0])
            rows = np.ascontiguousarray(self.A[:, i, j])
            off = i != j
            rows[:, off] += self.A[:, j[off], i[off]]
            return rows

        found: Array = self.fact("packed", DATA, build)
        return found

    def _norms(self) -> tuple[float, float, float]:
        def build() -> tuple[float, float, float]:
            if isinstance(self.A, Matrix):
                norms = np.sqrt(row_squares(self.A))
            else:
                norms = np.linalg.norm(self.A.reshape(len(self.A), -1), axis=1)
            typical = float(np.median(norms[norms > 0]))
            return typical, float(norms.max()), float(np.linalg.norm(norms))

        found: tuple[float, float, float] = self.fact("norms", ("A",), build)
        return found

    def length(self) -> float:
        """Return the median norm of the measuring matrices."""
        return self._norms()[0]

    def row_norm(self) -> float:
        """Return the largest norm of a measuring matrix."""
        return self._norms()[1]

    def frobenius(self) -> float:
        """Return the norm of all measuring matrices together."""
        return self._norms()[2]

    def _entries(self) -> int:
        return self.shape[0] * self.shape[1]

    # ---- views -----------------------------------------------------------------------------
    def _unpacked(self, x: Array) -> tuple[Array, Array]:
        if self.symmetric:
            U = np.array(x).reshape(self.shape[0], self.rank)
            return U, U
        return unpack(np.array(x), self.shape, self.rank)

    def _frame(self, U: Array, V: Array) -> Frame | None:
        if self.symmetric:
            A, s, _ = np.linalg.svd(U, full_matrices=False)
            values = s * s
            return Frame(A, values, A) if np.isfinite(values).all() else None
        found = spectrum(U, V)
        return None if found is None else Frame(found.left, found.values, found.right)

    def factors(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> tuple[Array, Array]:
        """Return balanced factors U (d1, k) and V (d2, k), equal where X is symmetric."""
        U, V = self._unpacked(x)
        if self.symmetric:
            A, s, _ = np.linalg.svd(U, full_matrices=False)
            largest = A[np.abs(A).argmax(axis=0), np.arange(s.size)]
            U = A * (s * np.where(largest < 0, -1.0, 1.0))
            return U, U.copy()
        found = spectrum(U, V)
        return (U, V) if found is None else balanced(found)

    def singular_values(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> Array:
        """Return the k largest singular values, descending."""
        found = self._frame(*self._unpacked(x))
        return np.full(self.rank, math.inf) if found is None else found.values

    def matrix(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> LowRankMatrix:
        """Return the matrix as an operator; ``np.asarray`` forms it."""
        return LowRankMatrix(*self._unpacked(x))

    def outliers(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> NDArray[np.bool_]:
        """Return which measurements differ from the matrix by more than 1e-4 of their median."""
        U, V = self._unpacked(x)
        r = np.abs(self.measure(U @ V.T) - self.y)
        return np.asarray(r > 1e-4 * np.median(np.abs(self.y[self.y != 0])))
