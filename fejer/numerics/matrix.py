"""A matrix that is data: dense, sparse or an operator behind one face."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import OracleError, ProblemError
from ..evidence import Array
from .arrays import check_shape, float_array
from .compressed import (
    Compressed,
    compressed,
    csc_matvec,
    csc_rmatvec,
    frozen,
    is_sparse,
    take_columns,
)
from .krylov import largest_eigenvalue

__all__ = ["Matrix"]

T = TypeVar("T")
BLOCK = 1 << 16  # entries of a dense block whose moduli are taken at once: they stay in the cache
EXACT_NORM = 128  # up to this smaller side the spectral norm is computed from the Gram matrix


class Matrix:
    """Matrix of the data of a problem; made by `Matrix.of`.

    Attributes
    ----------
    shape : tuple of int
        Rows and columns.
    is_sparse, is_operator : bool
        At most one is true; a matrix that is neither has `dense`.

    Notes
    -----
    `fact` remembers what depends on the matrix alone, so that all problems of a path share it.
    """

    def __init__(
        self,
        shape: tuple[int, int],
        *,
        dense: Array | None = None,
        csc: Compressed | None = None,
        operator: Any = None,
    ) -> None:
        self.shape = shape
        self._dense, self._csc, self._operator = dense, csc, operator
        self.is_sparse, self.is_operator = csc is not None, operator is not None
        self._facts: dict[Any, Any] = {}

    @classmethod
    def of(cls, data: Any, name: str = "X", *, shape: tuple[int, int] | None = None) -> Self:
        """Check a matrix at the border.

        Parameters
        ----------
        data : array_like, scipy.sparse array or matrix, LinearOperator, or Matrix
            Anything with ``matvec``, ``rmatvec`` and ``shape`` is an operator.  Nothing is copied
            that is float64, in Fortran order or CSC, already: writing into it later is an error
            that is not noticed.
        name : str, default "X"
            What errors call it.
        shape : tuple of int, optional
            Required shape; -1 where any length will do.

        Returns
        -------
        Matrix
            Its arrays are read-only; the flags of the user's arrays stay as they are.

        Raises
        ------
        ProblemError
            Not a matrix of finite real numbers, empty, or of a magnitude outside 1e-100..1e100.

        Examples
        --------
        >>> from fejer.numerics.matrix import Matrix
        >>> Matrix.of([[1, 2], [3, 4]]).matvec([1.0, 1.0])
        array([3., 7.])
        """
        if isinstance(data, Matrix):
            matrix = data
        elif is_sparse(data):
            matrix = cls._from_sparse(data, name)
        elif all(hasattr(data, part) for part in ("matvec", "rmatvec", "shape")):
            if np.dtype(getattr(data, "dtype", None) or float).kind not in "fiub":
                raise ProblemError(f"{name}: expected a real operator, got dtype {data.dtype}")
            matrix = cls((int(data.shape[0]), int(data.shape[1])), operator=data)
        else:
            dense = float_array(data, name, ndim=2, copy=False, order="F")
            matrix = cls((dense.shape[0], dense.shape[1]), dense=dense)
        if 0 in matrix.shape:
            raise ProblemError(f"{name}: expected at least one entry, got shape {matrix.shape}")
        check_shape(matrix.shape, name, shape)
        return matrix  # type: ignore[return-value]

    @classmethod
    def _from_sparse(cls, data: Any, name: str) -> Self:
        if data.ndim != 2:
            raise ProblemError(f"{name}: expected a matrix, got shape {data.shape}")
        if data.dtype.kind not in "fiub":
            got = f"{type(data).__name__} of dtype {data.dtype}"
            raise ProblemError(f"{name}: expected a matrix of real numbers, got {got}")
        if max(data.nnz, *data.shape) > np.iinfo(np.int32).max:
            raise ProblemError(f"{name}: expected fewer than 2**31 entries, got {data.nnz}")
        matrix = cls(tuple(data.shape), csc=compressed(data.tocsc(), name))
        if data.format == "csr" and data.has_canonical_format:
            matrix._facts["csr"] = compressed(data, name)
        return matrix

    @property
    def nnz(self) -> int:
        """Number of stored entries; all of them unless the matrix is sparse."""
        return self.shape[0] * self.shape[1] if self._csc is None else self._csc.data.size

    @property
    def dense(self) -> Array:
        """The array in Fortran order, of a dense matrix."""
        if self._dense is None:
            raise TypeError(f"{self!r} has no dense array; toarray() makes one")
        return self._dense

    @property
    def csc(self) -> Compressed:
        """Compressed columns of a sparse matrix."""
        if self._csc is None:
            raise TypeError(f"{self!r} is not sparse")
        return self._csc

    @property
    def csr(self) -> Compressed:
        """Compressed rows of a sparse matrix, made when first asked for."""
        return self.fact("csr", lambda: compressed(self.tosparse().tocsr(), "X"))

    @property
    def native(self) -> Any:
        """The array, the ``scipy.sparse.csc_array`` or the operator, for other libraries."""
        if self.is_operator:
            return self._operator
        return self.tosparse() if self.is_sparse else self.dense

    def tosparse(self) -> Any:
        """A ``scipy.sparse.csc_array`` that shares the arrays of a sparse matrix."""
        from scipy.sparse import csc_array

        indptr, indices, data = self.csc
        return csc_array((data, indices, indptr), shape=self.shape)

    def toarray(self) -> Array:
        """A dense array in Fortran order that the caller may change; n products of an operator."""
        if self._dense is not None:
            return self._dense.copy(order="F")
        if self._csc is not None:
            return np.asarray(self.tosparse().toarray(order="F"))
        array = np.empty(self.shape, order="F")
        unit = np.zeros(self.shape[1])
        for j in range(self.shape[1]):
            unit[j] = 1.0
            array[:, j] = self.matvec(unit)
            unit[j] = 0.0
        return array

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.asarray(self.dense if self._dense is not None else self.toarray(), dtype=dtype)

    def matvec(self, x: ArrayLike, out: Array | None = None) -> Array:
        """``X x``, into `out` if given."""
        x = np.ascontiguousarray(x, dtype=np.float64)
        out = np.empty(self.shape[0]) if out is None else out
        if self._dense is not None:
            return np.dot(self._dense, x, out=out)
        if self._csc is not None:
            csc_matvec(*self._csc, _checked(x, self.shape[1]), out)
            return out
        out[:] = _answer(self._operator.matvec(x.copy()), self.shape[0], "matvec")
        return out

    def rmatvec(self, y: ArrayLike, out: Array | None = None) -> Array:
        """``X' y``, into `out` if given."""
        y = np.ascontiguousarray(y, dtype=np.float64)
        out = np.empty(self.shape[1]) if out is None else out
        if self._dense is not None:
            return np.dot(self._dense.T, y, out=out)
        if self._csc is not None:
            csc_rmatvec(*self._csc, _checked(y, self.shape[0]), out)
            return out
        out[:] = _answer(self._operator.rmatvec(y.copy()), self.shape[1], "rmatvec")
        return out

    def matmat(self, B: Array) -> Array:
        """``X B`` for a dense matrix B."""
        if self.is_operator:
            return np.column_stack([self.matvec(b) for b in B.T])
        return np.asarray(self.native @ B)

    def rmatmat(self, B: Array) -> Array:
        """``X' B`` for a dense matrix B."""
        if self.is_operator:
            return np.column_stack([self.rmatvec(b) for b in B.T])
        return np.asarray(self.native.T @ B)

    def abs_matvec(self, x: Array) -> Array:
        """``|X| |x|`` with moduli entry by entry: times the unit roundoff, the error of ``X x``.

        For an operator, whose entries are not known, each entry is ``||X|| ||x||``.
        """
        if self._dense is not None:
            x, out = np.abs(x), np.zeros(self.shape[0])
            for columns, block in self._blocks():
                out += np.abs(block) @ x[columns]
            return out
        if self._csc is not None:
            out = np.empty(self.shape[0])
            csc_matvec(*self._moduli(), _checked(np.abs(x), self.shape[1]), out)
            return out
        return np.full(self.shape[0], self.spectral_norm() * np.linalg.norm(x))

    def abs_rmatvec(self, y: Array) -> Array:
        """``|X|' |y|``, as `abs_matvec`."""
        if self._dense is not None:
            y = np.abs(y)
            return np.concatenate([y @ np.abs(block) for _, block in self._blocks()])
        if self._csc is not None:
            out = np.empty(self.shape[1])
            csc_rmatvec(*self._moduli(), _checked(np.abs(y), self.shape[0]), out)
            return out
        return np.full(self.shape[1], self.spectral_norm() * np.linalg.norm(y))

    def _moduli(self) -> Compressed:
        return self.csc._replace(data=frozen(np.abs(self.csc.data)))

    def _blocks(self) -> Any:
        """Slices of columns of a dense matrix, small enough for the cache."""
        width = max(1, BLOCK // self.shape[0])
        for start in range(0, self.shape[1], width):
            columns = slice(start, start + width)
            yield columns, self.dense[:, columns]

    def columns(self, indices: ArrayLike) -> Matrix:
        """The matrix of the chosen columns, in the order given; dense for an operator."""
        chosen = np.asarray(indices)
        chosen = np.flatnonzero(chosen) if chosen.dtype == bool else chosen.astype(np.intp)
        shape = (self.shape[0], chosen.size)
        if self._csc is not None:
            return Matrix(shape, csc=take_columns(self._csc, chosen))
        if self._dense is not None:
            array = self._dense.T[chosen].T  # whole rows of a C array: contiguous copies
        else:
            array = np.empty(shape, order="F")
            for k, j in enumerate(chosen):
                array[:, k] = self.matvec(np.arange(self.shape[1]) == j)
        array.flags.writeable = False
        return Matrix(shape, dense=array)

    def column_sq_norms(self) -> Array:
        """Squared Euclidean norms of the columns."""
        return self.fact("column_sq_norms", lambda: frozen(self._sq_norms(axis=0)))

    def row_sq_norms(self) -> Array:
        """Squared Euclidean norms of the rows."""
        return self.fact("row_sq_norms", lambda: frozen(self._sq_norms(axis=1)))

    def _sq_norms(self, axis: int) -> Array:
        if self._csc is not None:
            indptr, rows, data = self._csc
            places = rows if axis else np.repeat(np.arange(self.shape[1]), np.diff(indptr))
            return np.bincount(places, data * data, minlength=self.shape[1 - axis]).astype(
                np.float64
            )
        array = self.toarray() if self._dense is None else self._dense
        return np.asarray(np.einsum("ij,ij->i" if axis else "ij,ij->j", array, array))

    def gram(self) -> Array:
        """``X' X`` as a dense read-only array."""

        def build() -> Array:
            if self.is_sparse:
                X = self.tosparse()
                return np.asarray((X.T @ X).toarray())
            array = self.toarray() if self._dense is None else self._dense
            return np.asarray(array.T @ array)

        return self.fact("gram", lambda: frozen(build()))

    def frobenius(self) -> float:
        """Frobenius norm; an operator is applied to all unit vectors."""
        return math.sqrt(float(self.column_sq_norms().sum()))

    def norm_bound(self) -> float:
        """Rigorous upper bound of the spectral norm at the price of one pass over the entries.

        The smaller of the Frobenius norm and ``sqrt(||X||_1 ||X||_inf)``.
        """

        def build() -> float:
            if self.is_operator:
                return self.frobenius()
            rows = self.abs_matvec(np.ones(self.shape[1]))
            columns = self.abs_rmatvec(np.ones(self.shape[0]))
            bound = min(self.frobenius(), math.sqrt(float(rows.max()) * float(columns.max())))
            return bound * (1.0 + 1e-15 * sum(self.shape))

        return self.fact("norm_bound", build)

    def spectral_norm(self) -> float:
        """Largest singular value, from above within about 1e-6 relative.

        Exact where the smaller side is at most 128; else by Lanczos from a fixed start, whose error
        estimate is added.  The same bytes each time.
        """

        def build() -> float:
            if not self.is_operator and min(self.shape) <= EXACT_NORM:
                tall = self.shape[0] >= self.shape[1]
                X = self.native
                square = (
                    self.gram()
                    if tall
                    else np.asarray((X @ X.T).toarray() if self.is_sparse else X @ X.T)
                )
                top = float(np.linalg.eigvalsh(square)[-1])
            else:
                top = sum(largest_eigenvalue(lambda v: self.rmatvec(self.matvec(v)), self.shape[1]))
            return math.sqrt(max(top, 0.0) * (1.0 + 4e-16 * sum(self.shape)))

        return self.fact("spectral_norm", build)

    def fact(self, key: Any, build: Callable[[], T]) -> T:
        """What `build` returned at the first call with this key; forgotten on pickling.

        Two threads that ask at once may both build; both get the value that was stored first.
        """
        try:
            return self._facts[key]  # type: ignore[no-any-return]
        except KeyError:
            return self._facts.setdefault(key, build())  # type: ignore[no-any-return]

    def fingerprint(self) -> str:
        """SHA-256 of the shape and the entries; of one product where the entries are not known."""

        def build() -> str:
            digest = hashlib.sha256(repr(self.shape).encode())
            if self._csc is not None:
                arrays: tuple[NDArray[Any], ...] = self._csc
            elif self._dense is not None:
                arrays = (self._dense,)
            else:
                arrays = (self.matvec(np.random.default_rng(0).standard_normal(self.shape[1])),)
            for array in arrays:
                digest.update(array.tobytes("A"))
            return digest.hexdigest()

        return self.fact("fingerprint", build)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_facts": {}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)  # pickle and deepcopy give writable arrays
        if self._dense is not None:
            frozen(self._dense)
        if self._csc is not None:
            frozen(self._csc)

    def __repr__(self) -> str:
        kind = f"sparse, {self.nnz} entries" if self.is_sparse else "dense"
        rows, columns = self.shape
        return f"<Matrix {rows} x {columns}, {'operator' if self.is_operator else kind}>"


def _checked(x: Array, size: int) -> Array:
    """A read-only view: with one specialisation of the kernel whoever calls."""
    if x.shape != (size,):  # a kernel would read beyond the end
        raise ValueError(f"expected a vector of {size} entries, got shape {x.shape}")
    return frozen(x.view())


def _answer(value: Any, size: int, name: str) -> Array:
    array = np.asarray(value, dtype=np.float64)
    if array.size != size:
        raise OracleError(f"{name}: expected shape ({size},), got {array.shape}")
    return array.reshape(size)
