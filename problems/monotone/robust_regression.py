"""Regression that is robust to shifted targets."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from fejer.evidence import EMPTY, Array, Certificate, failed
from fejer.numerics.arrays import float_array
from fejer.problem import as_number, as_vector

from ._operators import ROUNDING
from ._sampled import BallBehind, Sampled, Samples, finite_sum, into_ball, robust_rows
from .monotone_inclusion import MonotoneInclusion

__all__ = ["RobustRegression"]

KIND = "duality gap"
OUTSIDE = 1e-9
RANK = 1e-12  # singular value over the largest one, below which a direction is left out


@dataclass(frozen=True, eq=False)
class RobustRegression(Sampled):
    """Least errors under an adversary who weighs them.

    ``min over w of max over ||u|| <= Delta of sum_i (x_i'w - y_i) u_i``, which is
    ``min over w of Delta ||X w - y||``.

    Parameters
    ----------
    X : array_like, shape (n, d)
        Samples.
    y : array_like, shape (n,)
        Targets.
    Delta : float, default 1.0
        Positive budget of the adversary.

    Raises
    ------
    ProblemError
        Names the field that is not as described.

    Notes
    -----
    The variable is ``(w, u)``, of length d + n; `result.coefficients` and `result.adversary` are
    its parts.

    Certificate, rigorous: with v the part of u orthogonal to the columns of X,
    ``(Delta ||X w - y|| + y'v) / (Delta ||y||) + ||u - v|| / Delta``; -y'v is a lower bound of the
    optimum. u outside the ball by more than 1e-9 (relative): infinite.

    The solution is the least-squares one; the class shows saddle point methods on a finite sum
    whose answer is known. One unit of work is one sample.

    References
    ----------
    .. [1] El Ghaoui, Lebret (1997), Robust solutions to least-squares problems with uncertain data,
       SIAM J. Matrix Anal. Appl. 18.

    Examples
    --------
    >>> import numpy as np
    >>> import fejer
    >>> problem = fejer.RobustRegression([[1.0], [1.0], [1.0]], [1.0, 2.0, 6.0])
    >>> fejer.minimize(problem, tol=1e-8).coefficients.round(4)
    array([3.])
    """

    X: npt.ArrayLike
    y: npt.ArrayLike
    Delta: float = 1.0

    views = ("coefficients", "adversary")

    def __post_init__(self) -> None:
        X = float_array(self.X, "X", ndim=2, order="C")
        y = as_vector(self.y, "y", X.shape[0])
        Delta = as_number(self.Delta, "Delta", above=0, least=1e-100, most=1e100)
        self.set(X=X, y=y, Delta=Delta)

    @property
    def split(self) -> int:  # type: ignore[override]
        """Length of w."""
        return int(self.X.shape[1])  # type: ignore[union-attr]

    def initial_point(self) -> Array:
        """Return 0."""
        return np.zeros(sum(self.X.shape))  # type: ignore[union-attr]

    def _range(self) -> tuple[Array, float]:
        """An orthonormal basis of the columns' span, and the largest singular value."""

        def build() -> tuple[Array, float]:
            U, sizes, _ = np.linalg.svd(self.X, full_matrices=False)  # type: ignore[arg-type]
            return U[:, sizes > RANK * sizes[0]], float(sizes[0])

        return self.fact("range", ("X",), build)  # type: ignore[no-any-return]

    def build_inclusion(self) -> MonotoneInclusion:
        """Build the finite sum with its constants."""
        n, d = self.X.shape  # type: ignore[union-attr]
        empty = np.zeros(0, dtype=np.int64), np.zeros(0)
        samples = Samples(robust_rows, n + d, self.X, self.y, *empty)  # type: ignore[arg-type]
        top = self._range()[1]
        return finite_sum(samples, n + d, top, math.sqrt(n) * top, BallBehind(d, self.Delta))

    def coefficients(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> Array:
        """Return w."""
        return x[: self.split].copy()

    def adversary(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> Array:
        """Return u."""
        return into_ball(x[self.split :], self.Delta).copy()

    def certificate(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> Certificate:
        """Bound how far ``Delta ||X w - y||`` is from optimal.

        Parameters
        ----------
        x : array, shape (d + n,)
            Coefficients and the adversary's weights.
        witness : mapping, optional
            Not needed.

        Returns
        -------
        Certificate
        """
        X: Any = self.X
        y: Any = self.y
        w, u = x[: self.split], self.adversary(x)
        scale = self.Delta * float(np.linalg.norm(y)) or 1.0
        off = float(np.linalg.norm(u - x[self.split :])) / self.Delta
        r = X @ w - y
        primal = self.Delta * float(np.linalg.norm(r))
        if not off <= OUTSIDE:
            return failed(KIND, f"u is {off:.2g} Delta outside its ball", primal, scale=scale)
        U = self._range()[0]
        v = u - U @ (U.T @ u)
        v -= U @ (U.T @ v)
        error = ROUNDING * float(np.linalg.norm(np.abs(X) @ np.abs(w) + np.abs(r))) * self.Delta
        error += ROUNDING * (primal + float(np.abs(y) @ np.abs(v)))
        floor = error / scale + ROUNDING * math.sqrt(x.size) + off
        away = float(np.linalg.norm(u - v)) / self.Delta
        total = max(primal + float(y @ v), 0.0) / scale + away + floor
        if not total < math.inf:
            return failed(KIND, "overflow", scale=scale)
        return Certificate(
            KIND,
            total,
            primal,
            rigorous=True,
            scale=scale,
            lower_bound=-float(y @ v),
            details={"range_part": away, "floor": floor},
        )

    @classmethod
    def random(cls, n: int = 20, d: int = 3, Delta: float = 1.0, *, seed: int = 0) -> Self:
        """Draw a regression with noise.

        Parameters
        ----------
        n, d : int, default 20 and 3
            Samples and features.
        Delta : float, default 1.0
            The budget.
        seed : int, default 0
            Seed of the generator.

        Returns
        -------
        RobustRegression

        Examples
        --------
        >>> import fejer
        >>> fejer.RobustRegression.random(10, 2).size
        12
        """
        rng = np.random.default_rng(seed)
        X = rng.standard_normal((n, d))
        return cls(X, X @ rng.standard_normal(d) + rng.standard_normal(n), Delta)
