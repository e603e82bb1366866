"""Matrix completion: a low-rank matrix from some of its entries."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt
from numpy.typing import NDArray

from fejer.errors import ProblemError, missing
from fejer.evidence import EMPTY, Array, Certificate
from fejer.numerics.arrays import float_array
from fejer.numerics.compressed import Compressed, is_sparse
from fejer.problem import Problem, as_number, as_vector

from . import _completion
from ._entries import Residual, both_orders, leading_part
from ._factors import Spectrum, balanced, pack, unpack
from ._observed import automatic_rank, index_array, matrix_shape, merged, places, validated
from ._views import FactorViews, RecoveryViews

if TYPE_CHECKING:
    import cvxpy

__all__ = ["MatrixCompletion"]

PATTERN = ("rows", "cols", "values", "shape")


@dataclass(frozen=True, eq=False)
class MatrixCompletion(FactorViews, RecoveryViews, Problem):
    """A matrix of low rank that agrees with the observed entries.

    min over X (m, n) of rank at most k of
    ``1/2 sum over entries (X[i, j] - y_ij)^2 + reg ||X||_*``,
    with ``||X||_*`` the sum of the singular values. Since that is the minimum of
    ``1/2 ||U||_F^2 + 1/2 ||V||_F^2`` over all factors of X, it is ridge regression in U and V.

    Parameters
    ----------
    rows, cols : array_like of int, shape (N,)
        Where the entries are, counted from 0.
    values : array_like, shape (N,)
        The entries y.
    shape : tuple of int
        Rows m and columns n of the matrix.
    rank : int or "auto"
        Largest rank k, at most ``min(m, n)``. ``"auto"``, replaced by the number that it means: at
        most 40, and for reg = 0 no more than leaves two entries a degree of freedom.
    reg : float, default 0.0
        Weight of the nuclear norm, in units of the values; from `reg_max` on the solution is 0.
    loss : {"squared"}, default "squared"
        Loss of an entry.

    Attributes
    ----------
    views : tuple of str
        ``factors`` (U, V), ``singular_values``, ``matrix`` (a `LowRankMatrix`: products, transpose,
        ``np.asarray``), ``predict`` (a function of rows and columns), ``recovery`` (0 to 3),
        ``recovered``, ``found_rank``, ``identified`` (a function of rows and columns).

    Raises
    ------
    ProblemError
        Names the field.

    Notes
    -----
    Variable: U (m, k) and V (n, k), one after the other, row by row. Methods return canonical
    factors (balanced, descending, the largest entry of each column of U positive), so that equal
    matrices have equal x; any factors can be judged, and the objective is that of the matrix.

    Entries given twice with equal values count once; with different values they are different
    terms of the sum. Rows and columns without entries are allowed.

    The rank that is asked for may be larger than the true one: ``altmin`` drops what the data do
    not need (``found_rank``), and with reg > 0 the nuclear norm does. Noise has full rank: with
    noisy entries take reg > 0, or say the rank.

    Certificate, reg > 0: duality gap of the convex problem without the bound on the rank, over
    ``min(1/2 ||y||^2, max(f(x), 5e-7 ||y||^2))``; rigorous. The dual point is the residual, scaled
    to spectral norm reg; that norm is computed where the smaller side is at most 500, and bounded
    with Lanczos elsewhere (``details["failure_probability"]``). If ``details["norm_over_reg"]``
    stays above 1, the solution has a larger rank than k: raise it.

    Certificate, reg = 0: the problem is not convex. The value is the larger of
    ``c ||tangential part of the residual||_F`` and the excess of the spectral norm of its normal
    part over the curvature of the objective in that direction, over ``||y||``. Both vanish at every
    local minimum; the second one refuses points that lack a component. The factor
    ``c = max(1, sqrt(N/(m n)) ||X||_F/||y||)`` refuses points on the way to infinity: some data
    have no best approximation of rank k, only better and better ones with larger and larger
    entries where nothing is observed. The value is rigorous where the fit is so good that
    ``||r||^2 / ||y||^2`` is below it.

    Neither speaks of the entries that were not observed; ``recovery`` does, where the fit is exact
    (below 1e-5). 0: some row or column has fewer entries than the rank, or parts of the matrix
    share no entry, or the entries are fewer than the degrees of freedom. 1: none of these. 2:
    moreover the matrix is locally unique, with a margin. 3: it is the only one of least nuclear
    norm with these entries (sufficient for rescuing it by convex means, not necessary).
    ``recovered`` is level 2 or 3; ``identified`` tells the determined entries, also at level 0. Of
    noisy entries nothing is claimed: level 0 or 1. These views are computed when asked for, and
    cost about as much as a solve does.

    Cost of a certificate: 4 N k flops, two thin QR, and 24 to 64 (reg = 0) to 320 (reg > 0, large)
    passes over the residual. Memory: 16 bytes an entry, and 24 more for the two orderings.

    References
    ----------
    .. [1] Candes, Recht (2009), Exact matrix completion via convex optimization,
       Found. Comput. Math. 9, arXiv:0805.4471.
    .. [2] Mazumder, Hastie, Tibshirani (2010), Spectral regularization algorithms for learning
       large incomplete matrices, JMLR 11.
    .. [3] Kuczynski, Wozniakowski (1992), Estimating the largest eigenvalue by the power and
       Lanczos algorithms with a random start, SIAM J. Matrix Anal. Appl. 13.

    Examples
    --------
    A table of rank 1 with one entry missing:

    >>> import fejer
    >>> problem = fejer.MatrixCompletion.from_masked([[1, 2], [3, float("nan")]], rank=1)
    >>> result = fejer.minimize(problem, tol=1e-9)
    >>> result.success
    True
    >>> result.predict([1], [1]).round(6)
    array([6.])
    """

    rows: NDArray[np.integer[Any]]
    cols: NDArray[np.integer[Any]]
    values: Array
    shape: tuple[int, int]
    rank: Any
    reg: float = 0.0
    loss: str = "squared"

    views = (
        "factors",
        "singular_values",
        "matrix",
        "predict",
        "recovery",
        "recovered",
        "found_rank",
        "identified",
    )

    def __post_init__(self) -> None:
        shape = matrix_shape(self.shape)
        if not (isinstance(self.loss, str) and self.loss == "squared"):
            raise ProblemError(f"loss: expected 'squared', got {self.loss!r:.80}")
        given = (self.rows, self.cols, self.values)
        checked_rows = index_array(self.rows, "rows", shape[0], shape)
        checked_cols = index_array(self.cols, "cols", shape[1], shape)
        checked_values = as_vector(self.values, "values")
        for name, array in (("rows", checked_rows), ("cols", checked_cols)):
            if array.size != checked_values.size:
                wanted = f"({checked_values.size},) as values has"
                raise ProblemError(f"{name}: expected shape {wanted}, got {array.shape}")
        if validated(*given):  # by this class, before `replace`: the same objects keep their facts
            rows, cols, values = given
        else:
            rows, cols, values = merged(checked_rows, checked_cols, checked_values, shape)
        reg = as_number(self.reg, "reg", least=0)
        rank = self.rank
        if isinstance(rank, str) and rank == "auto":
            rank = automatic_rank(shape, math.inf if reg > 0 else values.size)
        rank = as_number(rank, "rank", least=1, most=min(shape), integer=True)
        self.set(rows=rows, cols=cols, values=values, shape=shape, rank=rank, reg=reg)

    # ---- other ways to give the data ---------------------------------------------------------
    @classmethod
    def from_sparse(cls, S: Any, rank: Any, reg: float = 0.0, loss: str = "squared") -> Self:
        """Take the stored entries of a sparse matrix, zeros that are stored included.

        Parameters
        ----------
        S : scipy.sparse array or matrix, shape (m, n)
            The entries; those stored twice are added up, as scipy.sparse has it.
        rank : int or "auto"
            Largest rank.
        reg : float, default 0.0
            Weight of the nuclear norm.
        loss : {"squared"}, default "squared"
            Loss of an entry.

        Examples
        --------
        >>> import fejer, scipy.sparse
        >>> S = scipy.sparse.coo_array(([1.0, 2.0], ([0, 1], [1, 0])), shape=(2, 3))
        >>> fejer.MatrixCompletion.from_sparse(S, rank=1).shape
        (2, 3)
        """
        if not is_sparse(S):
            raise ProblemError(f"S: expected a scipy.sparse matrix, got {type(S).__name__}")
        coo = S.tocoo(copy=True)
        if len(coo.shape) != 2:
            raise ProblemError(f"S: expected a matrix, got shape {coo.shape}")
        coo.sum_duplicates()
        if coo.nnz == 0:
            raise ProblemError("S: expected at least one stored entry, got none")
        data = as_vector(coo.data, "S")
        return cls(coo.row, coo.col, data, tuple(coo.shape), rank, reg, loss)

    @classmethod
    def from_masked(
        cls, M: npt.ArrayLike, rank: Any, reg: float = 0.0, loss: str = "squared"
    ) -> Self:
        """Take the entries of a dense matrix that are not nan (or not masked).

        Parameters
        ----------
        M : array_like, shape (m, n)
            nan marks what is missing; so does the mask of a `numpy.ma.MaskedArray`.
        rank : int or "auto"
            Largest rank.
        reg : float, default 0.0
            Weight of the nuclear norm.
        loss : {"squared"}, default "squared"
            Loss of an entry.

        Examples
        --------
        >>> import fejer
        >>> fejer.MatrixCompletion.from_masked([[1, 2], [3, float("nan")]], rank=1).rows
        array([0, 0, 1], dtype=int32)
        """
        if isinstance(M, np.ma.MaskedArray):
            M = np.ma.filled(M.astype(np.float64), math.nan)
        dense = float_array(M, "M", ndim=2, finite=False, nan=True)
        if np.isinf(dense).any():
            raise ProblemError("M: has entries that are infinite; nan marks what is missing")
        rows, cols = np.nonzero(~np.isnan(dense))
        if rows.size == 0:
            raise ProblemError("M: expected at least one entry that is not nan, got none")
        return cls(rows, cols, dense[rows, cols], dense.shape, rank, reg, loss)

    @classmethod
    def random(
        cls,
        m: int = 30,
        n: int = 20,
        rank: int = 2,
        count: int | None = None,
        *,
        kappa: float = 1.0,
        noise: float = 0.0,
        reg: float = 0.0,
        seed: int = 0,
    ) -> Self:
        """Draw a matrix ``A B'`` with normal factors, and entries at random distinct places.

        Parameters
        ----------
        m, n : int, default 30 and 20
            Shape of the matrix.
        rank : int, default 2
            Its rank, and the rank asked for.
        count : int, optional
            Number of entries; four times the ``rank (m + n - rank)`` degrees of freedom, or all.
        kappa : float, default 1.0
            Other than 1: orthonormal factors, with singular values down to 1/kappa times the first.
        noise : float, default 0.0
            Standard deviation of what is added to the entries.
        reg : float, default 0.0
            Weight of the nuclear norm.
        seed : int, default 0
            Seed.

        Examples
        --------
        >>> import fejer
        >>> fejer.MatrixCompletion.random().values.size
        384
        """
        rng = np.random.default_rng(seed)
        A, B = rng.standard_normal((m, rank)), rng.standard_normal((n, rank))
        if kappa != 1:
            A = np.linalg.qr(A)[0] * (math.sqrt(m) * np.geomspace(1, 1 / kappa, rank))
            B = np.linalg.qr(B)[0] * math.sqrt(n)
        count = min(m * n, 4 * rank * (m + n - rank) if count is None else count)
        rows, cols = np.divmod(places(rng, m * n, count), n)
        values = np.einsum("ij,ij->i", A[rows], B[cols])
        values += noise * rng.standard_normal(count)
        return cls(rows, cols, values, (m, n), rank, reg)

    # ---- the contract ----------------------------------------------------------------------
    @property
    def size(self) -> int:
        """Number of entries of both factors."""
        return self.rank * (self.shape[0] + self.shape[1])

    @property
    def unit(self) -> int:
        """Units of work in one pass: the number of entries."""
        return int(self.values.size)

    @property
    def judge_units(self) -> int:
        """Units of work of a certificate, in the measure of sweeps, which do k products a pass."""
        passes = _completion.curvature_steps(self.unit)
        if self.reg > 0:
            small = min(self.shape)
            if small <= 500:
                return self.unit + small * small * max(self.shape) // (32 * self.rank)
            passes = _completion.GAP_STEPS
        return self.unit * (2 + 2 * passes // (4 + self.rank))

    def orders(self) -> tuple[Compressed, Compressed]:
        """Return the entries as compressed rows and as compressed columns; sorted once."""

        def build() -> tuple[Compressed, Compressed]:
            return both_orders(self.rows, self.cols, self.values, self.shape)

        orders: tuple[Compressed, Compressed] = self.fact("orders", PATTERN, build)
        return orders

    def leading(self) -> tuple[Array, Array, Array]:
        """Return the leading singular vectors and values (left, values, right) of the entries.

        Entries that are missing count as 0. Two block power steps from a fixed start: a start for
        methods, not an exact decomposition.
        """

        def build() -> tuple[Array, Array, Array]:
            return leading_part(self.orders()[0], self.shape, self.rank)

        found: tuple[Array, Array, Array] = self.fact("leading", (*PATTERN, "rank"), build)
        return found

    def initial_point(self) -> Array:
        """Return the leading part of the entries over their share, its values lowered by reg."""
        left, values, right = self.leading()
        share = self.unit / (self.shape[0] * self.shape[1])
        shrunk = np.maximum(values - self.reg, 0.0) / share
        found = Spectrum(left, shrunk, right, 0.0)
        return pack(*balanced(found))

    def reg_max(self) -> float:
        """Return the smallest reg for which 0 is the solution: the spectral norm of the entries.

        Examples
        --------
        >>> import fejer
        >>> fejer.MatrixCompletion([0, 1], [0, 1], [3.0, 2.0], (2, 2), rank=1).reg_max()
        3.0
        """

        def build() -> float:
            by_row = self.orders()[0]
            S = Residual(by_row, by_row.data, self.shape)
            if S.small:
                return float(f"{S.norm():.10g}")
            left, _, right = self.leading()
            return _completion.residual_norm(S, left, right)[1]

        return float(self.fact("reg_max", PATTERN, build))

    def certificate(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> Certificate:
        """Judge the matrix of the factors: duality gap, or conditions of a local minimum.

        Parameters
        ----------
        x : array, shape (k (m + n),)
            Both factors.
        witness : mapping, optional
            Not needed and not used.
        """
        U, V = unpack(np.array(x), self.shape, self.rank)
        square = self.fact("square", ("values",), lambda: float(self.values @ self.values))
        return _completion.judge(self.orders()[0], self.shape, U, V, self.reg, square)

    def auto(self) -> tuple[str, ...]:
        """Return the methods, first choice first."""
        return ("altmin", "als")

    def to_cvxpy(self) -> cvxpy.Problem:
        """Return the nuclear norm problem without the bound on the rank, for reg > 0."""
        if not self.reg > 0:
            raise ProblemError("reg: expected a number > 0 for to_cvxpy, got 0.0")
        try:
            import cvxpy
        except ImportError as error:
            raise missing("cvxpy", "to_cvxpy", "oracle") from error
        cp: Any = cvxpy  # its names are not declared for type checkers
        X = cp.Variable(self.shape)
        entries = cp.hstack([X[int(i), int(j)] for i, j in zip(self.rows, self.cols, strict=True)])
        loss = 0.5 * cp.sum_squares(entries - self.values)
        return cp.Problem(cp.Minimize(loss + self.reg * cp.normNuc(X)))
