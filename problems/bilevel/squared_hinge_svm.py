"""A support vector machine whose samples are weighted by what validation data say."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from fejer.evidence import Array
from fejer.numerics.matrix import Matrix
from fejer.problem import as_number

from ._assessment import ROUNDING, Constants, Cross, Upper, norm
from ._classification import signs
from ._logarithms import Logarithms
from ._losses import binary
from ._sampling import Splits
from ._smooth_lower import SmoothLower

__all__ = ["SquaredHingeSVM"]


@dataclass(frozen=True, eq=False, repr=False)
class SquaredHingeSVM(Splits, Logarithms, SmoothLower):
    """Weights of the samples of a support vector machine, by the loss on validation data.

    min over x in [lower, upper]^(n_t) of ``Phi(x) = mean_j log(1 + exp(-c_j (v_j'w + b)))`` where
    y = (w, b) minimises
    ``1/2 ||w||^2 + mu_b/2 b^2 + 1/2 sum_i exp(x_i) max(0, 1 - t_i (z_i'w + b))^2``.

    Parameters
    ----------
    X_train : matrix, shape (n_t, m)
        Training data, rows z_i.
    y_train : array_like, shape (n_t,)
        Training labels t_i, 1 or -1; some may be wrong.
    X_val : matrix, shape (n_v, m)
        Validation data, rows v_j.
    y_val : array_like, shape (n_v,)
        Validation labels c_j, 1 or -1.
    mu_b : float, default 1.0
        Penalty of the offset b, > 0.
    lower, upper : float, default -12 and 4
        Box of the logarithms of the weights, within -300 .. 300.
    scale : float, default 1.0
        Divides the certificate's value.

    Raises
    ------
    ProblemError
        Wrong shapes, entries, labels or box.

    Notes
    -----
    This is the machine with slacks ``xi_i >= 1 - t_i (z_i'w + b)`` in the lower constraints, the
    slacks eliminated. With rows ``B_i = t_i (z_i, 1)`` and the active samples, ``B_i y < 1``,
    ``H = diag(1, .., 1, mu_b) + sum over active i of exp(x_i) B_i'B_i`` is piecewise constant, and
    ``dPhi/dp_i = max(0, 1 - B_i y) B_i q`` for ``p = exp(x)`` and ``H q = grad_y F``.

    Certificate: as that of `RidgeBilevel`, in ``t = p/(p + s)`` with ``s_i = 1/||B_i||^2``, and
    relative to the mean loss within ``1e-6 .. 1`` times log 2. With ``||y - y*|| <= e`` only
    samples with ``|1 - B_i y| <= ||B_i|| e`` can change sides, and H q by no more than
    ``sum over these of exp(x_i) |B_i q| ||B_i||``; where there is none, H is that of y*. Phi has
    kinks where a sample reaches its margin; there the pieces that meet are judged together, see
    `ElasticNetBilevel`. Not rigorous: stationarity is a necessary condition.

    Cost: two products with the data per gradient and per product with H. Memory: the data.

    Pitfall: minima over many weights lie on many kinks at once. Gradient methods come close and
    end without a certificate there.

    References
    ----------
    .. [1] Yao, Yin, Zeng, Zhang (2024), Constrained bi-level optimization: proximal Lagrangian
       value function approach and Hessian-free algorithm, arXiv 2401.16164.

    Examples
    --------
    >>> import fejer
    >>> problem = fejer.SquaredHingeSVM.random()
    >>> result = fejer.minimize(problem)
    >>> result.success, result.y.shape
    (True, (3,))
    """

    X_train: Any
    y_train: Array
    X_val: Any
    y_val: Array
    mu_b: float = 1.0
    lower: float = -12.0
    upper: float = 4.0
    scale: float = 1.0

    kinks: ClassVar[bool] = True

    def __post_init__(self) -> None:
        self.set_data(signs)
        self.set(mu_b=as_number(self.mu_b, "mu_b", above=0))
        self.set_box()

    @classmethod
    def random(
        cls,
        n_train: int = 12,
        n_val: int = 30,
        n_features: int = 2,
        *,
        wrong: float = 0.2,
        reach: float = 1.0,
        seed: int = 0,
    ) -> Self:
        """Draw two normal clouds, and turn the labels of a share of the training samples.

        Parameters
        ----------
        n_train, n_val, n_features : int
            Sizes.
        wrong : float
            Share of training samples with the wrong label.
        reach : float
            The box is as far as this around the logarithms of 1/4; a small one has few kinks.
        seed : int
            Seed of the generator.

        Returns
        -------
        SquaredHingeSVM
        """
        rng = np.random.default_rng(seed)
        label = np.where(np.arange(n_train + n_val) % 2, 1.0, -1.0)
        X = rng.standard_normal((label.size, n_features)) + label[:, None]
        given = label[:n_train].copy()
        given[rng.permutation(n_train)[: round(wrong * n_train)]] *= -1
        middle = math.log(0.25)
        data = X[:n_train], given, X[n_train:], label[n_train:]
        return cls(*data, 1.0, middle - reach, middle + reach)

    @property
    def judge_units(self) -> int:
        """Gradients and products in one certificate from an accurate witness."""
        return 20

    # ---- oracles -----------------------------------------------------------------------------
    def _rows(self, name: str) -> Matrix:
        """The matrix with rows ``t_i (z_i, 1)``."""

        def build() -> Matrix:
            X, label = getattr(self, f"X_{name}"), getattr(self, f"y_{name}")
            if X.is_sparse:
                from scipy.sparse import csc_array, diags_array, hstack

                signed = diags_array(label) @ hstack(
                    [X.tosparse(), csc_array(np.ones((label.size, 1)))]
                )
                return Matrix.of(csc_array(signed), name)
            return Matrix.of(label[:, None] * np.c_[X.toarray(), np.ones(label.size)], name)

        return self.fact(f"rows {name}", (f"X_{name}", f"y_{name}"), build)  # type: ignore[no-any-return]

    @property
    def lower_size(self) -> int:
        """Number of columns, and one."""
        return int(self.X_train.shape[1]) + 1

    def sizes(self) -> Array:
        """Return s."""
        return np.asarray(1.0 / self._rows("train").row_sq_norms())

    def _ridge(self) -> Array:
        ridge = np.ones(self.lower_size)
        ridge[-1] = self.mu_b
        return ridge

    def constants(self, x: Array) -> Constants:
        """Return the constants; H is not Lipschitz."""
        largest = float(np.exp(x.max()))
        return Constants(
            mu=min(1.0, self.mu_b),
            lipschitz=max(1.0, self.mu_b) + largest * self._rows("train").spectral_norm() ** 2,
            upper=self._rows("val").spectral_norm() ** 2 / (4 * self.y_val.size),
            hessian=math.inf,
        )

    def lower_gradient(self, x: Array, y: Array) -> Array:
        """Return ``(w, mu_b b) - B'(p max(0, 1 - B y))``."""
        B = self._rows("train")
        return self._ridge() * y - B.rmatvec(np.exp(x) * np.maximum(0.0, 1.0 - B.matvec(y)))

    def _active(self, x: Array, y: Array) -> Array:
        return np.where(self._rows("train").matvec(y) < 1.0, np.exp(x), 0.0)

    def hessian(self, x: Array, y: Array) -> Callable[[Array], Array]:
        """Return ``v -> H v``, H that of the samples inside their margins."""
        B, p, ridge = self._rows("train"), self._active(x, y), self._ridge()
        return lambda v: ridge * v + B.rmatvec(p * B.matvec(v))

    def preconditioner(self, x: Array, y: Array) -> Callable[[Array], Array] | None:
        """Return the division by a bound of the diagonal of H."""
        squares = self._rows("train").column_sq_norms() * float(np.exp(x.mean()))
        diagonal = self._ridge() + squares
        return lambda v: v / diagonal

    def upper_level(self, x: Array, y: Array) -> Upper:
        """Return the mean logistic loss and its gradient."""
        V = self._rows("val")
        t, rows = V.matvec(y), self.y_val.size
        residual, weight = np.empty(rows), np.empty(rows)
        fun = float(binary(t, np.ones(rows), residual, weight)) / rows
        floor = ROUNDING * (norm(V.abs_matvec(y)) / math.sqrt(rows) + 2 * fun)
        return Upper(fun, V.rmatvec(residual) / rows, floor)

    def cross(self, x: Array, y: Array, q: Array, *, chart: bool = False) -> Cross:
        """Return ``-w max(0, 1 - B y) B q``, w = dp/dx or dp/dt."""
        B, w = self._rows("train"), self.weights(x, chart)
        slack, u = np.maximum(0.0, 1.0 - B.matvec(y)), B.matvec(q)
        reach, spectral = np.sqrt(B.row_sq_norms()), B.spectral_norm()
        errors = slack * B.abs_matvec(q) + np.abs(u) * (1.0 + B.abs_matvec(y))
        return Cross(
            product=-w * slack * u,
            norm=min(norm(w * slack * reach), float((w * slack).max()) * spectral),
            lipschitz=min(norm(w * reach**2), float((w * reach).max()) * spectral),
            change=min(norm(w * u * reach), float(np.abs(w * u).max()) * spectral),
            floor=ROUNDING * norm(w * errors),
        )

    def lower_in_x(self, x: Array, y: Array) -> Array:
        """Return half of ``exp(x_i) max(0, 1 - B_i y)^2``."""
        return np.asarray(
            0.5 * np.exp(x) * np.maximum(0.0, 1.0 - self._rows("train").matvec(y)) ** 2
        )

    def hessian_change(self, x: Array, y: Array, q: Array, distance: float) -> float:
        """Bound ``||(H(y') - H(y)) q||`` by the samples that can change sides."""
        B = self._rows("train")
        reach = np.sqrt(B.row_sq_norms())
        floor = ROUNDING * (1.0 + B.abs_matvec(y))
        band = np.abs(1.0 - B.matvec(y)) <= reach * distance + floor
        pull = (np.exp(x) * np.abs(B.matvec(q)))[band]
        # Either side may gain what the other loses: the terms have signs that are not known.
        return min(float(pull @ reach[band]), B.spectral_norm() * norm(pull))

    def rounding(self, x: Array, y: Array, q: Array) -> tuple[float, float]:
        """Bound the rounding errors of the two residuals."""
        B, V, p, ridge = self._rows("train"), self._rows("val"), np.exp(x), self._ridge()
        lower = ridge * np.abs(y) + B.abs_rmatvec(p * (2.0 + 2 * B.abs_matvec(y)))
        terms = 2.0 + V.abs_matvec(y)
        upper = V.abs_rmatvec(terms) / self.y_val.size + ridge * np.abs(q)
        upper += B.abs_rmatvec(p * B.abs_matvec(q))
        return ROUNDING * norm(lower), ROUNDING * norm(upper)
