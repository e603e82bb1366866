"""Bilevel problem with two linear least-squares levels: everything is known in closed form."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np

from fejer.errors import ProblemError
from fejer.evidence import Array
from fejer.numerics.matrix import Matrix
from fejer.problem import as_number, as_vector

from ._assessment import ROUNDING, Constants, Cross, Upper, norm
from ._quadratic_lower import QuadraticLower

__all__ = ["QuadraticBilevel"]

# Directions of x that move A1 y by less than this share are below what float64 resolves; the share
# grows with the condition number of A2 beyond a thousand.
RESOLVED = 1e-14
ORDINARY_CONDITION = 1e3


class _Factor(NamedTuple):
    R: Array  # A2 = Q R
    smallest: float  # bounds of the singular values of A2
    largest: float


class _Chart(NamedTuple):
    cross: Array  # A2' A3
    W: Array  # t = R x where A1 P = U R; W = R^-T on what float64 resolves
    cross_norm: float
    adjoint_norm: float
    chart_norm: float
    chart_adjoint_norm: float


@dataclass(frozen=True, eq=False, repr=False)
class QuadraticBilevel(QuadraticLower):
    """Least squares over the solutions of another least-squares problem.

    min over x of ``Phi(x) = 1/2 ||A1 y*(x) - b1||^2`` where
    ``y*(x) = argmin over y of 1/2 ||A2 y + A3 x - b2||^2``.

    Parameters
    ----------
    A1 : matrix, shape (p, m)
        Upper matrix; dense, sparse or an operator.
    b1 : array_like, shape (p,)
        Upper right-hand side.
    A2 : matrix, shape (k, m)
        Lower matrix, of full column rank.
    A3 : matrix, shape (k, n)
        How the upper variable moves the lower level.
    b2 : array_like, shape (k,)
        Lower right-hand side.
    scale : float, default 1.0
        Divides the certificate's value.

    Raises
    ------
    ProblemError
        Wrong shapes or entries, or A2 without full column rank.

    Notes
    -----
    ``H = A2'A2``, ``J = A2'A3``, ``P = -H^-1 J``, ``y*(x) = P x + H^-1 A2'b2``, so that x* solves
    the linear least-squares problem with matrix ``A1 P``.

    Certificate: with ``A1 P = U R`` (R square, rows of U orthonormal) the coordinates are
    ``t = R x / sqrt(2 s)`` and the value is ``||d(Phi/s)/dt||`` plus its error bound, where s is
    ``Phi(x)`` within ``1e-6 .. 1`` times ``F0 = 1/2 ||b1||^2``. Hence
    ``Phi(x) - min Phi <= s value^2 / 4`` whatever the conditioning. Directions of x that move
    ``A1 y`` by less than 1e-11 of the largest (columns of A3 scaled to effect one) are not judged:
    float64 does not resolve them.

    Cost: one QR factorisation of A2 and one singular value decomposition of a p x n matrix, once;
    then 8 products with the data per certificate. Memory: the data, m^2 + m n + n^2 numbers.

    Pitfall: the paper's instance (all three matrices 1000 x 10, uniform on [0, 1)) has an upper
    condition number of 1e8; first-order methods do not solve it.

    References
    ----------
    .. [1] Salehi, Mukherjee, Roberts, Ehrhardt (2023), An adaptively inexact first-order method
       for bilevel optimization with application to hyperparameter learning, arXiv 2308.10098.

    Examples
    --------
    >>> import fejer
    >>> problem = fejer.QuadraticBilevel([[1.0]], [3.0], [[2.0]], [[-2.0]], [0.0])  # y* = x
    >>> result = fejer.minimize(problem)
    >>> result.success, round(float(result.x[0]), 5), round(float(result.y[0]), 5)
    (True, 3.0, 3.0)
    """

    A1: Matrix
    b1: Array
    A2: Matrix
    A3: Matrix
    b2: Array
    scale: float = 1.0

    def __post_init__(self) -> None:
        A1 = Matrix.of(self.A1, "A1")
        A2 = Matrix.of(self.A2, "A2", shape=(-1, A1.shape[1]))
        A3 = Matrix.of(self.A3, "A3", shape=(A2.shape[0], -1))
        self.set(
            A1=A1,
            b1=as_vector(self.b1, "b1", size=A1.shape[0]),
            A2=A2,
            A3=A3,
            b2=as_vector(self.b2, "b2", size=A2.shape[0]),
            scale=as_number(self.scale, "scale", above=0),
        )
        if self._factor().smallest <= 0.0:
            raise ProblemError(
                f"A2: expected full column rank, got {A2.shape[0]} x {A2.shape[1]} with a smallest "
                "singular value that rounding hides"
            )

    @classmethod
    def random(
        cls, n: int = 4, m: int = 6, rows: int = 30, *, noise: float = 0.1, seed: int = 0
    ) -> Self:
        """Draw a well-conditioned instance with a known plan: A2 normal, ``A3 = A2 M + noise``.

        Parameters
        ----------
        n, m : int
            Sizes of x and y, ``n <= m``.
        rows : int
            Rows of each matrix, at least m.
        noise : float
            Standard deviation of what is added to A3, b1 and b2.
        seed : int
            Seed of the generator.

        Returns
        -------
        QuadraticBilevel
        """
        rng = np.random.default_rng(seed)
        A1, A2 = rng.standard_normal((2, rows, m))
        M = np.linalg.qr(rng.standard_normal((m, n)))[0]
        A3 = A2 @ M + noise * rng.standard_normal((rows, n))
        x, y = rng.standard_normal(n), rng.standard_normal(m)
        b1 = A1 @ y + noise * rng.standard_normal(rows)
        b2 = A2 @ y + A3 @ x + noise * rng.standard_normal(rows)
        return cls(A1, b1, A2, A3, b2)

    def initial_point(self) -> Array:
        """Return 0."""
        return np.zeros(self.A3.shape[1])

    @property
    def judge_units(self) -> int:
        """Products with the data in one certificate."""
        return 8

    # ---- oracles -----------------------------------------------------------------------------
    @property
    def lower_size(self) -> int:
        """Number of entries of y."""
        return self.A1.shape[1]

    def box(self) -> tuple[Array, Array]:
        """Return infinite bounds."""
        n = self.A3.shape[1]
        return np.full(n, -math.inf), np.full(n, math.inf)

    def steps_to_box(self, x: Array) -> tuple[Array, Array]:
        """Return infinite distances, one for each coordinate that is judged."""
        size = self._chart().W.shape[0]
        return np.full(size, -math.inf), np.full(size, math.inf)

    def chart_size(self, unit: float) -> float:
        """Return the length of one unit of t."""
        return math.sqrt(2.0 * unit)

    def constants(self, x: Array) -> Constants:
        """Return the constants, which do not depend on x."""
        factor = self._factor()
        return Constants(factor.smallest**2, factor.largest**2, self.A1.spectral_norm() ** 2)

    def lower_gradient(self, x: Array, y: Array) -> Array:
        """Return ``A2'(A2 y + A3 x - b2)``."""
        return self.A2.rmatvec(self._lower_residual(x, y))

    def lower_in_x(self, x: Array, y: Array) -> Array:
        """Return ``A3'(A2 y + A3 x - b2)``."""
        return self.A3.rmatvec(self._lower_residual(x, y))

    def _lower_residual(self, x: Array, y: Array) -> Array:
        return self.A2.matvec(y) + (self.A3.matvec(x) - self.b2)

    def hessian(self, x: Array, y: Array) -> Callable[[Array], Array]:
        """Return ``v -> A2'A2 v``."""
        return lambda v: self.A2.rmatvec(self.A2.matvec(v))

    def upper_level(self, x: Array, y: Array) -> Upper:
        """Return F and ``A1'(A1 y - b1)``."""
        residual = self.A1.matvec(y) - self.b1
        error = ROUNDING * (self.A1.abs_matvec(y) + np.abs(self.b1))
        fun = 0.5 * float(residual @ residual)
        floor = float(error @ (np.abs(residual) + 0.5 * error)) + ROUNDING * fun
        return Upper(fun, self.A1.rmatvec(residual), floor)

    def cross(self, x: Array, y: Array, q: Array, *, chart: bool = False) -> Cross:
        """Return ``A3'A2 q``, or its image in the coordinates t."""
        facts = self._chart()
        image = self.A2.matvec(q)
        product = self.A3.rmatvec(image)
        rounding = ROUNDING * self.A3.abs_rmatvec(self.A2.abs_matvec(q))
        if not chart:
            return Cross(product, facts.cross_norm, 0.0, 0.0, norm(rounding))
        floor = norm(np.abs(facts.W) @ rounding)
        return Cross(facts.W @ product, facts.chart_norm, 0.0, 0.0, floor)

    def rounding(self, x: Array, y: Array, q: Array) -> tuple[float, float]:
        """Bound the rounding errors of the two residuals."""
        A1, A2, A3 = self.A1, self.A2, self.A3
        terms = A2.abs_matvec(y) + A3.abs_matvec(x) + np.abs(self.b2)
        lower = A2.abs_rmatvec(terms + np.abs(self._lower_residual(x, y)))
        terms = A1.abs_matvec(y) + np.abs(self.b1) + np.abs(A1.matvec(y) - self.b1)
        upper = A1.abs_rmatvec(terms) + A2.abs_rmatvec(A2.abs_matvec(q))
        return ROUNDING * norm(lower), ROUNDING * norm(upper)

    def solver(self, x: Array) -> Callable[[Array], Array] | None:
        """Return the solution with the QR factor of A2."""
        from scipy.linalg import cho_solve

        R = self._factor().R
        return lambda v: np.asarray(cho_solve((R, False), v, check_finite=False))

    def adjoint_norm(self, x: Array, y: Array, *, chart: bool = False) -> float:
        """Return ``||P||``, or that of its image in the coordinates t."""
        facts = self._chart()
        return facts.chart_adjoint_norm if chart else facts.adjoint_norm

    # ---- facts ---------------------------------------------------------------------------------
    def _factor(self) -> _Factor:
        def build() -> _Factor:
            A2 = self.A2.toarray()
            R: Array = np.linalg.qr(A2, mode="r")  # type: ignore[assignment]
            if R.shape[0] < R.shape[1]:
                return _Factor(R, 0.0, self.A2.norm_bound())
            values = np.linalg.svd(R, compute_uv=False)
            error = ROUNDING * sum(A2.shape) * self.A2.frobenius()
            return _Factor(R, float(values[-1]) - error, float(values[0]) + error)

        return self.A2.fact("bilevel factor", build)  # type: ignore[no-any-return]

    def _chart(self) -> _Chart:
        return self.fact("chart", ("A1", "A2", "A3"), self._build_chart)  # type: ignore[no-any-return]

    def _build_chart(self) -> _Chart:
        factor, solve = self._factor(), self.solver(self.initial_point())
        assert solve is not None
        cross = self.A2.rmatmat(self.A3.toarray())
        reach = solve(cross)
        moved = self.A1.matmat(reach)
        cut = RESOLVED * max(ORDINARY_CONDITION, factor.largest / factor.smallest)
        size = np.sqrt(np.einsum("ij,ij->j", moved, moved))
        possible = self.A1.norm_bound() / factor.smallest * np.sqrt(self.A3.column_sq_norms())
        seen = size > cut * possible
        size = np.where(seen, size, 1.0)
        _, values, V = np.linalg.svd(moved * (seen / size), full_matrices=False)
        kept = values > cut * values.max(initial=0.0)
        W = V[kept] / size / values[kept, None]
        # The computed H^-1 J has a relative error of about the squared condition number times u.
        condition = (factor.largest / factor.smallest) ** 2
        trust = 1.01 if condition * ROUNDING * self.lower_size < 0.01 else math.inf
        return _Chart(
            cross,
            W,
            _spectral(cross),
            trust * _spectral(reach),
            _spectral(W @ cross.T),
            trust * _spectral(W @ reach.T),
        )


def _spectral(A: Any) -> float:
    """Return the spectral norm, from above."""
    largest = float(np.linalg.svd(A, compute_uv=False).max(initial=0.0)) if A.size else 0.0
    return largest * (1 + ROUNDING * sum(A.shape))
