"""Smooth convex losses of linear models, for methods with approximate Hessians."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from fejer.errors import ProblemError
from fejer.evidence import EMPTY, Array, Certificate, failed
from fejer.numerics.matrix import Matrix
from fejer.problem import Problem, as_number, as_vector

from ._composite import LOSSES, Scored
from ._logistic import checked_labels

KIND = "scaled gradient"
ROUNDING = 2.0**-52
SAMPLE = 20  # rows for each variable in the Hessian of the Newton decrement
FORMED = 2000


@dataclass(frozen=True, eq=False)
class SmoothComposite(Problem):
    """A smooth convex loss of linear scores, with a quadratic penalty.

    ``min over x of F(A x; y) + l2/2 |x|^2`` with, for the scores t = A x, one of

    - "logistic": ``F = 1/n sum log(1 + exp(-y_i t_i))``,
    - "softmax": ``F = 1/n sum (log sum_k exp(t_ik) - t_{i,y_i})``,
    - "logsumexp": ``F = mu log sum exp((t_i - y_i) / mu)``, mu the smoothing,
    - "power": ``F = 1/p |t - y|^p``, p the power.

    Parameters
    ----------
    A : array_like or sparse matrix, shape (n, d)
        Data.
    y : array_like, shape (n,)
        Labels -1 and +1, whole numbers 0 ... K-1, or shifts.
    loss : str, default "logistic"
        One of the four.
    l2 : float, default 0.0
        Weight of the penalty, >= 0.
    smoothing : float, default 1.0
        mu of "logsumexp", > 0.
    power : float, default 2.0
        p of "power", >= 2.

    Raises
    ------
    ProblemError
        A field out of its range or of another shape; labels of one class without a penalty, where
        no minimum exists.

    Notes
    -----
    Variable: x of shape (d,), for "softmax" class by class, shape (K d,). No witness. The initial
    point is 0.

    Certificate: the larger of ``max_j |g_j| / s_j``, g the gradient and s the gradient at 0 with
    the moduli of all terms, and half of the squared Newton decrement over the loss's scale (log 2,
    log K, mu log n, F at 0), with a Hessian of 20 d rows, for up to 2000 variables. Each
    column has its own unit, so one that is measured in small units is not forgotten. It is not
    rigorous; with ``l2 > 0``, ``lower_bound`` is ``f - |g|^2 / (2 l2)``, which is.

    Work is counted in passes over A.

    References
    ----------
    .. [1] Semenov, Doikov and Jaggi (2025), Gradient-normalized smoothness for optimization with
       approximate Hessians, arXiv:2506.13710.

    Examples
    --------
    >>> import fejer
    >>> problem = fejer.SmoothComposite([[1.0], [2.0], [-1.0]], [1, 1, 1], l2=0.1)
    >>> fejer.minimize(problem).x.round(4)
    array([0.5943])
    """

    A: Any
    y: Any
    loss: str = "logistic"
    l2: float = 0.0
    smoothing: float = 1.0
    power: float = 2.0

    def __post_init__(self) -> None:
        A = Matrix.of(self.A, "A")
        if not isinstance(self.loss, str) or self.loss not in LOSSES:
            raise ProblemError(f"loss: expected one of {', '.join(LOSSES)}, got {self.loss!r:.80}")
        l2 = as_number(self.l2, "l2", least=0.0)
        n = A.shape[0]
        y = checked_labels(self.y, n) if self.loss == "logistic" else as_vector(self.y, "y", n)
        if self.loss == "softmax":
            wrong = y[(y < 0) | (y != np.floor(y))]
            if wrong.size:
                raise ProblemError(f"y: expected whole numbers from 0, got {wrong[0]:g}")
        if self.loss in ("logistic", "softmax") and l2 == 0 and y.min() == y.max():
            raise ProblemError("y: expected two classes at least, or l2 > 0; there is no minimum")
        self.set(A=A, y=y, l2=l2, smoothing=as_number(self.smoothing, "smoothing", above=0))
        self.set(power=as_number(self.power, "power", least=2.0, most=100.0))

    @property
    def classes(self) -> int:
        """Number of classes; 1 for the losses without any."""
        return int(self.y.max()) + 1 if self.loss == "softmax" else 1

    @property
    def labels(self) -> np.ndarray:
        """The classes as integers."""
        return self.fact("labels", ("y",), lambda: self.y.astype(np.int64))  # type: ignore[no-any-return]

    def initial_point(self) -> Array:
        """Return 0."""
        return np.zeros(self.A.shape[1] * self.classes)

    def auto(self) -> tuple[str, ...]:
        """Return the one method there is."""
        return ("gns",)

    @property
    def judge_units(self) -> int:
        """The decrement's Hessian of sampled rows; else nothing where a method has been before."""
        return int(self.loss == "logistic" and self.size <= FORMED)

    def evaluate(self, x: Array) -> Scored:
        """Return value, gradient and scores at ``x``."""
        with np.errstate(all="ignore"):
            return Scored(self, x.copy())

    @property
    def units(self) -> Array:
        """The gradient at 0 with the moduli of its terms, 1 where that is 0."""
        return self.fact(  # type: ignore[no-any-return]
            "units", ("A", "y", "loss", "smoothing", "power"), self._build_units
        )

    def _build_units(self) -> Array:
        if self.loss == "logistic":  # all slopes are 1/(2n) there
            s = self.column_sums * (0.5 / self.y.size)
            return np.where(s > 0, s, 1.0)
        slopes = np.abs(self.evaluate(self.initial_point()).slopes)
        if self.loss == "softmax":
            s = np.concatenate([self.A.abs_rmatvec(column.copy()) for column in slopes.T])
        else:
            s = self.A.abs_rmatvec(slopes)
        return np.where(s > 0, s, 1.0)

    @property
    def column_sums(self) -> Array:
        """Sum of the moduli of each column of A."""
        n = self.A.shape[0]
        return self.fact("column sums", ("A",), lambda: self.A.abs_rmatvec(np.ones(n)))  # type: ignore[no-any-return]

    @property
    def null(self) -> float:
        """The scale of the loss."""
        n = self.A.shape[0]
        if self.loss == "logsumexp":
            return float(self.smoothing * max(1.0, np.log(n)))
        if self.loss == "power":
            return float(np.linalg.norm(self.y) ** self.power / self.power) or 1.0
        return float(np.log(max(float(self.classes), 2.0)))

    def certificate(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> Certificate:
        """Judge ``x`` by its gradient in the units of each column, and by the Newton decrement."""
        at: Scored = self.oracle(x)
        if not (np.isfinite(at.fun) and np.isfinite(at.grad).all()):
            return failed(KIND, "overflow at x", at.fun)
        sums = np.tile(self.column_sums, self.classes) * float(np.abs(at.slopes).max())
        rounding = 4 * ROUNDING * (sums + self.l2 * np.abs(x))
        gradient = float(np.max((np.abs(at.grad) + rounding) / self.units))
        details = {"gradient": gradient, "floor": float(np.max(rounding / self.units))}
        value = gradient
        if x.size <= FORMED:
            decrement = self._decrement(at)
            details["newton_decrement"] = decrement
            value = max(value, decrement**2 / 2 / self.null)
        lower = at.fun - float(at.grad @ at.grad) / (2 * self.l2) if self.l2 > 0 else None
        return Certificate(KIND, value, at.fun, lower_bound=lower, details=details)

    def _decrement(self, at: Scored) -> float:
        """Return ``sqrt(g' H^-1 g)`` with the Hessian of evenly spaced rows, each column scaled."""
        H = at.spaced_hessian(SAMPLE) if self.loss == "logistic" else at.hessian("exact")
        if not np.isfinite(H).all():
            return float("inf")
        size = np.sqrt(np.maximum(np.diagonal(H), 1e-300))
        scaled = H / np.outer(size, size)
        scaled[np.diag_indices_from(scaled)] += 1e-10
        g = at.grad / size
        try:
            step = np.linalg.solve(scaled, g)
        except np.linalg.LinAlgError:
            return float(np.linalg.norm(g))
        return float(np.sqrt(max(0.0, float(g @ step))))

    @classmethod
    def random(cls, n: int = 200, d: int = 10, *, loss: str = "logistic", seed: int = 0) -> Self:
        """Draw Gaussian data and a loss.

        Parameters
        ----------
        n, d : int
            Shape of A.
        loss : str, default "logistic"
            "softmax" has three classes, "power" p = 4.
        seed : int, default 0
            Seed of the generator.

        Returns
        -------
        SmoothComposite
            Classes have a penalty of 1e-2.

        Examples
        --------
        >>> import fejer
        >>> fejer.minimize(fejer.SmoothComposite.random(loss="logsumexp")).success
        True
        """
        n = as_number(n, "n", least=2, integer=True)
        d = as_number(d, "d", least=1, integer=True)
        rng = np.random.default_rng(seed)
        A = rng.standard_normal((n, d))
        scores = A @ rng.standard_normal((d, 3)) / np.sqrt(d) + rng.gumbel(size=(n, 3))
        if loss == "softmax":
            return cls(A, scores.argmax(axis=1), loss, l2=1e-2)
        if loss == "logistic":
            return cls(A, np.where(scores[:, 0] > scores[:, 1], 1.0, -1.0), loss, l2=1e-2)
        return cls(A, scores[:, 0], loss, power=4.0)
