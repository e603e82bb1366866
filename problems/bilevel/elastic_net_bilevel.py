"""The elastic net, its penalties chosen on validation data."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from fejer.errors import ProblemError
from fejer.evidence import Array
from fejer.problem import as_number

from ._assessment import ROUNDING, Assessment, Constants, Cross, Upper, norm
from ._elastic import ElasticLower
from ._logarithms import Logarithms
from ._sampling import Splits

__all__ = ["ElasticNetBilevel"]

MODES = ("both", "l1")
START = 0.1  # of the smallest l1 without coefficients


@dataclass(frozen=True, eq=False, repr=False)
class ElasticNetBilevel(Splits, Logarithms, ElasticLower):
    """Choice of the two penalties of the elastic net by the loss on validation data.

    min over x of ``Phi(x) = 1/(2 n_v) ||X_val y*(x) - y_val||^2`` where
    ``y*(x) = argmin over y of 1/(2 n_t) ||X_train y - y_train||^2 + l1 ||y||_1 + l2/2 ||y||^2``
    and ``x = (log l1, log l2)``, or ``x = (log l1,)`` for a given l2.

    Parameters
    ----------
    X_train : matrix, shape (n_t, m)
        Training data.
    y_train : array_like, shape (n_t,)
        Training targets.
    X_val : matrix, shape (n_v, m)
        Validation data.
    y_val : array_like, shape (n_v,)
        Validation targets.
    mode : {"both", "l1"}, default "both"
        Which penalties are chosen.
    l2 : float, default 1e-3
        The second penalty where ``mode="l1"``; 0, the Lasso, needs X_train of full column rank.
    lower, upper : float, default -12 and 4
        Box of the logarithms, within -300 .. 300.
    scale : float, default 1.0
        Divides the certificate's value.

    Raises
    ------
    ProblemError
        Wrong shapes, entries, mode or box; a lower level that is not strongly convex.

    Notes
    -----
    On the support S of y*, with signs s, ``H = X_S'X_S/n_t + l2``, and with ``H q = grad_y F``
    there ``dPhi/dlog l1 = -l1 s'q`` and ``dPhi/dlog l2 = -l2 y_S'q``.

    Certificate: ``||y - y*|| <= e`` follows from the shortest subgradient of the strongly convex
    lower objective. If every ``|y_j| > e`` on the support, and every other correlation stays below
    l1 within that distance, support and signs are those of y*, the lower level is linear nearby
    and the error of the hypergradient is bounded; else it is infinite, and the value with it. The
    hypergradient is measured in ``t = p/(p + s)``, ``s = max |X_train'y_train|/n_t`` for l1 and the
    median mean square of the columns for l2, relative to F as in `RidgeBilevel`. Two additions:

    * Phi has kinks where the support changes. There the value is the length of the shortest vector
      in the convex hull of the hypergradients within 1e-8 of x (``details["pieces"]``), and only
      pieces between which Phi bends upwards are joined.
    * Where y* = 0, Phi is constant. It is then judged by its derivative from below at the smallest
      l1 without coefficients: 0 if Phi rises as the first coefficient enters.

    Not rigorous: stationarity is a necessary condition.

    Cost: coordinate descent with exact steps on the support, ``n_t m + |S|^3/3`` flops a round.
    Memory: the data as a dense matrix.

    Pitfalls: Phi has many pieces and local minima, one of them often without any coefficient: start
    from several points. With one logarithm the methods find a kink by halving; where two are chosen
    `hoag` goes along kinks, while `maid` may zigzag between their sides and end without a
    certificate.

    References
    ----------
    .. [1] Bertrand, Klopfenstein, Massias, Blondel, Vaiter, Gramfort, Salmon (2022), Implicit
       differentiation for fast hyperparameter selection in non-smooth convex learning,
       arXiv 2105.01637.

    Examples
    --------
    >>> import fejer
    >>> problem = fejer.ElasticNetBilevel.random()
    >>> result = fejer.minimize(problem)
    >>> result.success, result.y.shape
    (True, (8,))
    """

    X_train: Any
    y_train: Array
    X_val: Any
    y_val: Array
    mode: str = "both"
    l2: float = 1e-3
    lower: float = -12.0
    upper: float = 4.0
    scale: float = 1.0

    def __post_init__(self) -> None:
        self.set_data()
        self.set_box()
        if not isinstance(self.mode, str) or self.mode not in MODES:
            raise ProblemError(f'mode: expected "both" or "l1", got {self.mode!r:.80}')
        self.set(l2=as_number(self.l2, "l2", least=0))
        if self.mode == "l1" and self.l2 + self._least() <= 0:
            raise ProblemError("l2: expected > 0 where X_train has not full column rank, got 0")

    @classmethod
    def random(
        cls,
        n_train: int = 30,
        n_val: int = 40,
        n_features: int = 8,
        mode: str = "l1",
        *,
        noise: float = 1.0,
        seed: int = 0,
    ) -> Self:
        """Draw a regression with coefficients 1, -1/2, 1/3, ... of which half are zero.

        Parameters
        ----------
        n_train, n_val, n_features : int
            Sizes.
        mode : {"both", "l1"}
            As in the class.
        noise : float
            Standard deviation of the noise.
        seed : int
            Seed of the generator.

        Returns
        -------
        ElasticNetBilevel
        """
        rng = np.random.default_rng(seed)
        j = np.arange(n_features)
        coefficients = np.where(j < (n_features + 1) // 2, (-1.0) ** j / (j + 1), 0.0)
        X = rng.standard_normal((n_train + n_val, n_features))
        y = X @ coefficients + noise * rng.standard_normal(n_train + n_val)
        return cls(X[:n_train], y[:n_train], X[n_train:], y[n_train:], mode)

    def initial_point(self) -> Array:
        """Return a tenth of the largest useful l1, and the logarithm of s for l2, in the box."""
        start = np.log(self.sizes() * np.array([START, 1.0])[: self._count()])
        return np.clip(start, self.lower, self.upper)

    def auto(self) -> tuple[str, ...]:
        """Return the methods; halved steps find kinks."""
        return ("hoag", "maid")

    @property
    def judge_units(self) -> int:
        """Passes over the training data in one certificate."""
        return 20

    # ---- oracles -----------------------------------------------------------------------------
    @property
    def lower_size(self) -> int:
        """Number of columns."""
        return int(self.X_train.shape[1])

    def _count(self) -> int:
        return 2 if self.mode == "both" else 1

    def _parts(self, x: Array) -> tuple[float, float]:
        p = np.exp(x)
        return float(p[0]), float(p[1]) if self.mode == "both" else self.l2

    def sizes(self) -> Array:
        """Return s: the smallest l1 without coefficients, the median mean square of a column."""

        def build() -> Array:
            rows = self.X_train.shape[0]
            largest = float(np.abs(self.X_train.rmatvec(self.y_train)).max()) / rows
            squares = self.X_train.column_sq_norms() / rows
            squares = squares[squares > 0]
            typical = float(np.median(squares)) if squares.size else 1.0
            return np.array([largest or 1.0, typical])[: self._count()]

        return self.fact("sizes", ("X_train", "y_train", "mode"), build)  # type: ignore[no-any-return]

    def constants(self, x: Array) -> Constants:
        """Return the constants of the smooth part."""
        rows, l2 = self.X_train.shape[0], self._parts(x)[1]
        return Constants(
            mu=l2 + self._least(),
            lipschitz=self.X_train.spectral_norm() ** 2 / rows + l2,
            upper=self.X_val.spectral_norm() ** 2 / self.X_val.shape[0],
        )

    def upper_level(self, x: Array, y: Array) -> Upper:
        """Return the validation loss and its gradient."""
        V = self.X_val
        residual = V.matvec(y) - self.y_val
        error = ROUNDING * (V.abs_matvec(y) + np.abs(self.y_val))
        fun = 0.5 * float(residual @ residual) / V.shape[0]
        floor = float(error @ (np.abs(residual) + 0.5 * error)) / V.shape[0] + ROUNDING * fun
        return Upper(fun, V.rmatvec(residual) / V.shape[0], floor)

    def cross(self, x: Array, y: Array, q: Array, *, chart: bool = False) -> Cross:
        """Return ``(w_1 s'q, w_2 y'q)`` over the support, w = dp/dx or dp/dt."""
        w = self.weights(x, chart)
        on = y != 0
        columns = np.array([np.sign(y), y])[: x.size]
        second = float(w[1]) if x.size == 2 else 0.0
        return Cross(
            product=w * (columns @ q),
            norm=norm(w * np.sqrt((columns**2).sum(axis=1))),
            lipschitz=second,
            change=second * norm(q[on]),
            floor=ROUNDING * norm(w * (np.abs(columns) @ np.abs(q))),
        )

    def adjoint_norm(self, x: Array, y: Array, *, chart: bool = False) -> float:
        """Bound ``||H^-1 J||`` by the Frobenius norm of the solved block."""
        c = self.constants(x)
        if c.lipschitz / c.mu * ROUNDING * self.lower_size > 0.01:
            return math.inf
        w = self.weights(x, chart)
        factor = self._factor(x, y)
        columns = np.array([np.sign(y), y])[: x.size, factor.support]
        blocks = [norm(u * factor.solve(v)) for u, v in zip(w, columns, strict=True)]
        return 1.01 * norm(np.array(blocks))

    def lower_in_x(self, x: Array, y: Array) -> Array:
        """Return ``(l1 ||y||_1, l2/2 ||y||^2)``."""
        l1, l2 = self._parts(x)
        return np.array([l1 * float(np.abs(y).sum()), 0.5 * l2 * float(y @ y)])[: x.size]

    # ---- the flat end ------------------------------------------------------------------------
    def _judged(
        self, x: Array, a: Assessment, outside: float
    ) -> tuple[float, float, dict[str, float], Assessment]:
        value, unit, parts, a = super()._judged(x, a, outside)
        if not a.y.any() and math.isfinite(value):
            step = self._entering(x) / self.scale
            value, parts = value + step, {**parts, "step": parts["step"] + step}
        return value, unit, parts, a

    def _entering(self, x: Array) -> float:
        """Length of the step in t from the smallest l1 without coefficients, if Phi falls below."""
        X, V, null = self.X_train, self.X_val, self.null_value() or 1.0
        rows, edge, low = X.shape[0], float(self.sizes()[0]), math.exp(self.lower)
        pull = X.rmatvec(self.y_train) / rows
        first = np.abs(pull) >= np.abs(pull).max() * (1 - ROUNDING * rows)
        curvature = X.column_sq_norms()[first] / rows + self._parts(x)[1]
        # y grows with sign s as l1 falls: F changes by grad_y F s / H.
        slopes = np.sign(pull[first]) * V.rmatvec(self.y_val)[first] / V.shape[0] / curvature
        gain = 4 * edge * float(slopes.max(initial=0.0)) / null
        return min(gain, max(0.0, 0.5 * (edge - low) / (edge + low)))
