"""Ridge regression whose penalties are chosen on validation data."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from fejer.errors import ProblemError
from fejer.evidence import Array
from fejer.numerics.matrix import Matrix
from fejer.problem import as_vector

from . import _left_out as criteria
from ._assessment import ROUNDING, Constants, Cross, Upper, norm
from ._penalties import Penalties
from ._quadratic_lower import QuadraticLower
from ._sampling import Part, SampledData

__all__ = ["RidgeBilevel"]

DIRECT = 1500  # largest side of a matrix that is factorised at each x


@dataclass(frozen=True, eq=False, repr=False)
class RidgeBilevel(SampledData, Penalties, QuadraticLower):
    """Choice of ridge penalties by the loss on validation data.

    min over x in [lower, upper]^n of ``Phi(x) = 1/(2 n_v) ||X_val y*(x) - y_val||^2`` where
    ``y*(x) = argmin over y of 1/(2 n_t) ||X_train y - y_train||^2 + 1/2 sum_j exp(x_g(j)) y_j^2``
    and column j belongs to penalty g(j).

    Parameters
    ----------
    X_train : matrix, shape (n_t, m)
        Training data; dense, sparse or an operator.
    y_train : array_like, shape (n_t,)
        Training targets.
    X_val : matrix, shape (n_v, m), optional
        Validation data; None with ``mode="loo"`` and ``mode="gcv"``, which need none.
    y_val : array_like, shape (n_v,), optional
        Validation targets.
    mode : {"scalar", "feature", "loo", "gcv"} or array_like of int, shape (m,), default "scalar"
        One penalty for all columns, one for each, or the number 0 .. n-1 of each column's penalty.
        ``"loo"`` and ``"gcv"``: one penalty, by leave-one-out or generalised cross-validation of
        the training data.
    lower, upper : float, default -12 and 4
        Box of the logarithms of the penalties; within -300 .. 300.
    scale : float, default 1.0
        Divides the certificate's value.

    Raises
    ------
    ProblemError
        Wrong shapes, entries, mode or box.

    Notes
    -----
    ``H = X_train'X_train/n_t + diag(p_g)`` with ``p = exp(x)``, and with ``H q = grad_y F`` the
    hypergradient is ``dPhi/dp_k = - sum over g(j) = k of y_j q_j``.

    Certificate: Phi is flat in x where a penalty is far too small or far too large, and the
    gradient in x small there however bad the point is. It is therefore measured in
    ``t = p/(p + s)``, s the mean square of the column (the median over the columns of one penalty,
    zero columns left out): ``||t - P_T(t - d(Phi/F)/dt)||`` plus its error bound, T the image of
    the box. F is ``Phi(x)`` within ``1e-6 .. 1`` times ``F0 = ||y_val||^2/(2 n_v)``.
    ``details["grad_norm_upper"]`` is the absolute projected norm in x plus its bound. It is a
    necessary condition (``rigorous`` is False): Phi is not convex.

    Without validation data ``F = 1/(2 n_t) sum_i (r_i/(1 - h_i))^2``, ``r = X_train y - y_train``
    and h the diagonal of the hat matrix at x, or its mean; F0 is ``||y_train||^2/(2 n_t)``. Both
    come from one singular value decomposition, with the same bounds. Pitfall: where training data
    can be interpolated (n_t <= m), r and 1 - h vanish with the penalty p, and the bound grows like
    ``p^-3``: a certificate is out of reach at tiny penalties.

    Cost: a factorisation of the smaller side of X_train at each new x up to 1500 (Cholesky, or
    Woodbury where n_t < m), conjugate gradients beyond. Memory: the data and that square.

    Examples
    --------
    >>> import fejer
    >>> problem = fejer.RidgeBilevel.random()
    >>> result = fejer.minimize(problem)
    >>> result.success, result.y.shape
    (True, (8,))
    """

    X_train: Any
    y_train: Array
    X_val: Any = None
    y_val: Any = None
    mode: Any = "scalar"
    lower: float = -12.0
    upper: float = 4.0
    scale: float = 1.0

    modes: ClassVar[tuple[str, ...]] = ("scalar", "feature", *criteria.CRITERIA)

    def __post_init__(self) -> None:
        if not self._left_out:
            self.set_data()
        else:
            X = Matrix.of(self.X_train, "X_train")
            self.set(X_train=X, y_train=as_vector(self.y_train, "y_train", size=X.shape[0]))
            for name in ("X_val", "y_val"):
                if getattr(self, name) is not None:
                    raise ProblemError(f'{name}: expected None with mode="{self.mode}"')
            if min(X.shape) > DIRECT:
                text = f"expected a smaller side of X_train of at most {DIRECT}"
                raise ProblemError(f'mode: {text} with "{self.mode}", got {X.shape}')
        self.set_penalties()

    @property
    def _left_out(self) -> bool:
        return isinstance(self.mode, str) and self.mode in criteria.CRITERIA

    def _factors(self, x: Array) -> criteria.Factors:
        parts = self.X_train.fact("left out", lambda: criteria.decompose(self.X_train.toarray()))
        return criteria.factors(parts, math.exp(x[0]), self.mode)

    @classmethod
    def random(
        cls,
        n_train: int = 25,
        n_val: int = 40,
        n_features: int = 8,
        mode: Any = "scalar",
        *,
        noise: float = 1.0,
        seed: int = 0,
    ) -> Self:
        """Draw a regression with coefficients that decay like 1/j.

        Parameters
        ----------
        n_train, n_val, n_features : int
            Sizes.
        mode : {"scalar", "feature"} or array_like of int
            As in the class.
        noise : float
            Standard deviation of the noise.
        seed : int
            Seed of the generator.

        Returns
        -------
        RidgeBilevel
        """
        rng = np.random.default_rng(seed)
        coefficients = 1.0 / np.arange(1, n_features + 1)
        X = rng.standard_normal((n_train + n_val, n_features))
        y = X @ coefficients + noise * rng.standard_normal(n_train + n_val)
        return cls(X[:n_train], y[:n_train], X[n_train:], y[n_train:], mode)

    @property
    def judge_units(self) -> int:
        """Products with the training data in one certificate, its factorisation included."""
        rows, columns = self.X_train.shape
        small, large = min(rows, columns), max(rows, columns)
        return 10 if small > DIRECT else 10 + math.ceil(small * small / (12 * large))

    # ---- oracles -----------------------------------------------------------------------------
    @property
    def lower_size(self) -> int:
        """Number of columns."""
        return int(self.X_train.shape[1])

    def constants(self, x: Array) -> Constants:
        """Return the constants; mu is the smallest penalty plus what the data guarantee."""
        penalties = np.exp(x)
        rows, columns = self.X_train.shape
        least = float(self._spectrum()[0]) if columns <= min(rows, DIRECT) else 0.0
        return Constants(
            mu=least + float(penalties.min()),
            lipschitz=self.X_train.spectral_norm() ** 2 / rows + float(penalties.max()),
            upper=self._upper_constant(x),
        )

    def _upper_constant(self, x: Array) -> float:
        if not self._left_out:
            return float(self.X_val.spectral_norm() ** 2 / self.X_val.shape[0])
        largest = float(self._factors(x).d.max()) * self.X_train.spectral_norm()
        return largest * largest / self.X_train.shape[0]

    def lower_gradient(self, x: Array, y: Array) -> Array:
        """Return ``X_train'(X_train y - y_train)/n_t + p y``."""
        X = self.X_train
        return X.rmatvec(X.matvec(y) - self.y_train) / X.shape[0] + self.penalties(x) * y

    def hessian(self, x: Array, y: Array) -> Callable[[Array], Array]:
        """Return ``v -> X_train'X_train v/n_t + p v``."""
        X, penalties = self.X_train, self.penalties(x)
        return lambda v: X.rmatvec(X.matvec(v)) / X.shape[0] + penalties * v

    def upper_level(self, x: Array, y: Array) -> Upper:
        """Return the validation loss and its gradient."""
        if self._left_out:
            return self._criterion(x, y)[0]
        V = self.X_val
        residual = V.matvec(y) - self.y_val
        error = ROUNDING * (V.abs_matvec(y) + np.abs(self.y_val))
        fun = 0.5 * float(residual @ residual) / V.shape[0]
        floor = float(error @ (np.abs(residual) + 0.5 * error)) / V.shape[0] + ROUNDING * fun
        return Upper(fun, V.rmatvec(residual) / V.shape[0], floor)

    def _criterion(self, x: Array, y: Array) -> tuple[Upper, float]:
        residual = self.X_train.matvec(y) - self.y_train
        return criteria.left_out(self.X_train, residual, self._factors(x))

    def cross(self, x: Array, y: Array, q: Array, *, chart: bool = False) -> Cross:
        """Return ``J'q``, with the rounding error of ``grad_x F`` where there is such a term."""
        found = super().cross(x, y, q, chart=chart)
        if not self._left_out:
            return found
        rate = float(self.chart_rate(x)[0]) if chart else 1.0
        return found._replace(floor=found.floor + rate * self._criterion(x, y)[1])

    def cross_change(self, x: Array, y: Array, distance: float, *, chart: bool = False) -> float:
        """Bound the change of ``grad_x F`` on a ball."""
        if not self._left_out:
            return 0.0
        residual = self.X_train.matvec(y) - self.y_train
        moved = self.X_train.spectral_norm() * distance
        rate = float(self.chart_rate(x)[0]) if chart else 1.0
        return rate * criteria.change(self._factors(x), residual, moved)

    def null_value(self) -> float:
        """Return F at y = 0; of the criteria without validation data, where h is 0, too."""
        if self._left_out:
            return 0.5 * float(self.y_train @ self.y_train) / self.y_train.size
        return super().null_value()

    def sample_sizes(self) -> tuple[int, int]:
        """Return the rows; 1 where the criterion needs all of them."""
        return (1, 1) if self._left_out else super().sample_sizes()

    def part(self, lower: Any, upper: Any) -> Part:
        """Return the problem with some rows; the whole where the criterion needs all."""
        return Part(self) if self._left_out else super().part(lower, upper)

    def rounding(self, x: Array, y: Array, q: Array) -> tuple[float, float]:
        """Bound the rounding errors of the two residuals."""
        X, penalties = self.X_train, self.penalties(x)
        terms = X.abs_matvec(y) + np.abs(self.y_train) + np.abs(X.matvec(y) - self.y_train)
        lower = X.abs_rmatvec(terms) / X.shape[0] + penalties * np.abs(y)
        if self._left_out:
            known = self._factors(x)
            upper = X.abs_rmatvec((1 + 2 * known.error / ROUNDING) * known.d**2 * terms)
            upper = upper / X.shape[0] + penalties * np.abs(q)
        else:
            V = self.X_val
            terms = V.abs_matvec(y) + np.abs(self.y_val) + np.abs(V.matvec(y) - self.y_val)
            upper = V.abs_rmatvec(terms) / V.shape[0] + penalties * np.abs(q)
        upper += X.abs_rmatvec(X.abs_matvec(q)) / X.shape[0]
        return ROUNDING * norm(lower), ROUNDING * norm(upper)

    def solver(self, x: Array) -> Callable[[Array], Array] | None:
        """Return the solution by Cholesky or Woodbury; None for large data."""
        return self.oracle(x) if min(self.X_train.shape) <= DIRECT else None  # type: ignore[no-any-return]

    def evaluate(self, x: Array) -> Callable[[Array], Array] | None:
        """Factorise H at x; None where it is singular to rounding."""
        from scipy.linalg import cho_factor, cho_solve

        penalties, (rows, columns) = self.penalties(x), self.X_train.shape
        try:
            if columns <= rows:
                factor = cho_factor(self.X_train.gram() / rows + np.diag(penalties))
                return lambda v: np.asarray(cho_solve(factor, v, check_finite=False))
            X = self.fact("dense", ("X_train",), self.X_train.toarray)
            outer = cho_factor(rows * np.eye(rows) + (X / penalties) @ X.T)
        except (np.linalg.LinAlgError, ValueError):
            return None

        def woodbury(v: Array) -> Array:
            u = (v.T / penalties).T
            inner = np.asarray(cho_solve(outer, X @ u, check_finite=False))
            return u - ((X.T @ inner).T / penalties).T

        return woodbury

    def adjoint_norm(self, x: Array, y: Array, *, chart: bool = False) -> float:
        """Bound ``||H^-1 J||`` by the Frobenius norm of the solved block."""
        solve, c = self.solver(x), self.constants(x)
        if solve is None or c.lipschitz / c.mu * ROUNDING * self.lower_size > 0.01:
            return math.inf
        groups, w = self.groups(), self.weights(x, chart)
        J = np.zeros((self.lower_size, w.size))
        J[np.arange(self.lower_size), groups] = w[groups] * y
        return 1.01 * norm(solve(J).ravel())

    # ---- facts ---------------------------------------------------------------------------------
    def _spectrum(self) -> Array:
        """Smallest eigenvalue of ``X_train'X_train/n_t``, from below and not below 0."""

        def build() -> Array:
            gram = self.X_train.gram()
            error = ROUNDING * sum(self.X_train.shape) * float(np.trace(gram))
            least = float(np.linalg.eigvalsh(gram)[0]) - error
            return np.array([max(least, 0.0) / self.X_train.shape[0]])

        return self.X_train.fact("bilevel spectrum", build)
