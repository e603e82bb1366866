"""Losses of targets that a linear model produces, for methods that work in the target space."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from fejer.errors import ProblemError
from fejer.evidence import EMPTY, Array, Certificate, failed
from fejer.numerics.matrix import Matrix
from fejer.problem import Problem, as_number, as_vector

from ._logistic import checked_labels, logistic_terms
from .smooth_composite import SmoothComposite

KIND = "scaled gradient"
LOSSES = ("squared", "logistic")


@dataclass(frozen=True, eq=False)
class TargetModel(Problem):
    """Mean loss of the targets ``z = A theta``, whose gradient is dear and whose model is cheap.

    ``min over theta of 1/n sum_i loss(z_i, y_i)`` with ``z = A theta`` and
    ``loss = 1/2 (z_i - y_i)^2`` or ``log(1 + exp(-y_i z_i))``.

    Parameters
    ----------
    A : array_like or sparse matrix, shape (n, d)
        The model.
    y : array_like, shape (n,)
        What the loss compares the targets with; -1 or +1 for "logistic".
    loss : {"squared", "logistic"}, default "logistic"
        The loss.

    Raises
    ------
    ProblemError
        A field out of its range or of another shape.

    Notes
    -----
    Variable: theta. No witness. Certificate: that of `SmoothComposite` for "logistic"; for
    "squared" the largest entry of the gradient ``A'(z - y)/n``, each in units of its terms at
    theta = 0. Not rigorous. The initial point is 0.

    Work is counted in gradients of the loss with respect to all targets; they are what an oracle
    (an expert, a simulator) charges for.

    References
    ----------
    .. [1] Lavington, Vaswani, Babanezhad, Schmidt, Le Roux (2023), Target-based surrogates for
       stochastic optimization, arXiv:2302.02607.

    Examples
    --------
    >>> import fejer
    >>> result = fejer.minimize(fejer.TargetModel([[1.0], [2.0]], [2.0, 4.0], "squared"))
    >>> result.x.round(6)
    array([2.])
    """

    A: Any
    y: Any
    loss: str = "logistic"

    def __post_init__(self) -> None:
        A = Matrix.of(self.A, "A")
        if not isinstance(self.loss, str) or self.loss not in LOSSES:
            raise ProblemError(f"loss: expected 'squared' or 'logistic', got {self.loss!r:.80}")
        n = A.shape[0]
        y = checked_labels(self.y, n) if self.loss == "logistic" else as_vector(self.y, "y", n)
        if self.loss == "logistic" and y.min() == y.max():
            raise ProblemError("y: expected both labels; with one there is no minimum")
        self.set(A=A, y=y)

    @property
    def smoothness(self) -> float:
        """Lipschitz constant of each loss's derivative in its target."""
        return 1.0 if self.loss == "squared" else 0.25

    @property
    def judge_units(self) -> int:
        """One gradient."""
        return 1

    def initial_point(self) -> Array:
        """Return 0."""
        return np.zeros(self.A.shape[1])

    def auto(self) -> tuple[str, ...]:
        """Return the one method there is."""
        return ("target-surrogate",)

    def loss_slopes(self, z: Array, rows: Any = slice(None)) -> tuple[float, Array]:
        """Return the sum of losses of some targets, and its gradient in them.

        Parameters
        ----------
        z : array, shape (k,)
            The targets.
        rows : index, default all
            Which samples they belong to.

        Returns
        -------
        value : float
            Sum of losses.
        slopes : array, shape (k,)
            Its gradient.
        """
        y = self.y[rows]
        if self.loss == "squared":
            r = z - y
            return float(0.5 * r @ r), r
        slopes, curvature = np.empty_like(y), np.empty_like(y)
        return float(logistic_terms(z, y, slopes, curvature)), slopes

    @property
    def composite(self) -> SmoothComposite:
        """The same problem in one piece, for the certificate of the logistic loss."""
        return self.fact(  # type: ignore[no-any-return]
            "composite", ("A", "y", "loss"), lambda: SmoothComposite(self.A, self.y)
        )

    def certificate(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> Certificate:
        """Judge the parameters by the gradient in the units of each column."""
        if self.loss == "logistic":
            return self.composite.certificate(x)
        n = self.A.shape[0]
        z = self.A.matvec(x)
        value, slopes = self.loss_slopes(z)
        if not (np.isfinite(value) and np.isfinite(slopes).all()):
            return failed(KIND, "overflow at x", value)
        units = self.A.abs_rmatvec(np.abs(self.y)) / n
        units[units == 0] = 1.0
        sizes = np.abs(self.y) + self.A.abs_matvec(np.abs(x))
        rounding = 2.0**-51 * self.A.abs_rmatvec(sizes) / n
        gradient = np.abs(self.A.rmatvec(slopes)) / n
        details = {"floor": float(np.max(rounding / units))}
        found = float(np.max((gradient + rounding) / units))
        return Certificate(KIND, found, value / n, details=details)

    @classmethod
    def random(cls, n: int = 300, d: int = 8, *, loss: str = "logistic", seed: int = 0) -> Self:
        """Draw Gaussian data whose columns have the units 1 to 0.1.

        Parameters
        ----------
        n, d : int
            Shape of A.
        loss : {"squared", "logistic"}, default "logistic"
            The loss.
        seed : int, default 0
            Seed of the generator.

        Returns
        -------
        TargetModel

        Examples
        --------
        >>> import fejer
        >>> fejer.minimize(fejer.TargetModel.random(loss="squared")).nit
        1
        """
        n = as_number(n, "n", least=2, integer=True)
        d = as_number(d, "d", least=1, integer=True)
        rng = np.random.default_rng(seed)
        A = rng.standard_normal((n, d)) * np.geomspace(1.0, 0.1, d)
        z = A @ (rng.standard_normal(d) / np.geomspace(1.0, 0.1, d)) / np.sqrt(d)
        z = z + 0.5 * rng.standard_normal(n)
        return cls(A, np.where(z > 0, 1.0, -1.0) if loss == "logistic" else z, loss)
