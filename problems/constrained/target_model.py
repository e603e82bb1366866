"""Losses of targets that a linear model produces, for methods that work in the target space."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from fejer.errors import OracleError, ProblemError
from fejer.evidence import EMPTY, Array, Certificate, failed
from fejer.numerics.matrix import Matrix
from fejer.problem import Problem, as_number, as_vector

from . import _oracle as oracle
from ._derivatives import Check
from ._logistic import checked_labels, logistic_terms
from ._targets import Nonlinear
from .smooth_composite import SmoothComposite

KIND = "scaled gradient"
LOSSES = ("squared", "logistic")


@dataclass(frozen=True, eq=False)
class TargetModel(Problem):
    """Mean loss of the targets ``z = A theta``, whose gradient is dear and whose model is cheap.

    ``min over theta of 1/n sum_i loss(z_i, y_i)`` with ``z = A theta``, or ``z = A(theta)`` for a
    model that is not linear, and ``loss = 1/2 (z_i - y_i)^2`` or ``log(1 + exp(-y_i z_i))``.

    Parameters
    ----------
    A : array_like or sparse matrix of shape (n, d), or callable
        The model; a callable returns the targets ``A(theta) -> (n,)``.
    y : array_like, shape (n,)
        What the loss compares the targets with; -1 or +1 for "logistic".
    loss : {"squared", "logistic"}, default "logistic"
        The loss.
    jvp, vjp : callable, optional
        ``jvp(theta, v) -> (n,)``, the Jacobian of a callable model times v, and
        ``vjp(theta, u) -> (d,)``, its transpose times u; required there, None for a matrix.
    x0 : array_like of shape (d,), optional
        Start of a callable model, required there, None for a matrix. A point at which the Jacobian
        is 0 is stationary, so it should be none.

    Raises
    ------
    ProblemError
        A field out of its range or of another shape.

    Notes
    -----
    Variable: theta. No witness. Certificate: that of `SmoothComposite` for "logistic"; for
    "squared" the largest entry of the gradient ``A'(z - y)/n``, each in units of its terms at
    theta = 0. For a callable model J is its Jacobian at theta, and the value is
    ``max_j |J'g|_j / s_j``, g the slopes of the loss, s_j the sum of the moduli of column j times
    the largest slope at x0: a stationary point need not be a minimum then. Not rigorous. The
    initial point is 0, or x0.

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

    A model that is not linear, ``z_i = exp(theta t_i)``:

    >>> import numpy as np
    >>> t = np.array([0.0, 1.0, 2.0])
    >>> problem = fejer.TargetModel(
    ...     lambda theta: np.exp(theta * t),
    ...     np.exp(0.5 * t),
    ...     "squared",
    ...     jvp=lambda theta, v: np.exp(theta * t) * t * v,
    ...     vjp=lambda theta, u: [np.exp(theta * t) * t @ u],
    ...     x0=[0.0],
    ... )
    >>> fejer.minimize(problem).x.round(4)
    array([0.5])
    """

    A: Any
    y: Any
    loss: str = "logistic"
    jvp: Callable[..., Any] | None = None
    vjp: Callable[..., Any] | None = None
    x0: Any = None

    def __post_init__(self) -> None:
        if not isinstance(self.loss, str) or self.loss not in LOSSES:
            raise ProblemError(f"loss: expected 'squared' or 'logistic', got {self.loss!r:.80}")
        if self.is_linear:
            for name in ("jvp", "vjp", "x0"):
                if getattr(self, name) is not None:
                    raise ProblemError(f"{name}: expected None beside a matrix A")
            self.set(A=Matrix.of(self.A, "A"))
            n = self.A.shape[0]
        else:
            n = as_vector(self.y, "y").size
            self.set(x0=Nonlinear(self.A, self.jvp, self.vjp, self.x0, n).x0)
        y = checked_labels(self.y, n) if self.loss == "logistic" else as_vector(self.y, "y", n)
        if self.loss == "logistic" and y.min() == y.max():
            raise ProblemError("y: expected both labels; with one there is no minimum")
        self.set(y=y)

    @property
    def is_linear(self) -> bool:
        """Whether the model is a matrix."""
        known = isinstance(self.A, Matrix) or oracle.is_operator(self.A)
        return known or not callable(self.A)

    @property
    def model(self) -> Nonlinear:
        """The functions of a callable model, which check what they are given and return."""
        return Nonlinear(self.A, self.jvp, self.vjp, self.x0, self.y.size)

    def targets(self, theta: Array) -> Array:
        """Return ``A theta``, or ``A(theta)``.

        Parameters
        ----------
        theta : array, shape (d,)
            The parameters.

        Returns
        -------
        array, shape (n,)
            The targets.
        """
        return self.A.matvec(theta) if self.is_linear else self.model(theta)  # type: ignore[no-any-return]

    @property
    def smoothness(self) -> float:
        """Lipschitz constant of each loss's derivative in its target."""
        return 1.0 if self.loss == "squared" else 0.25

    @property
    def judge_units(self) -> int:
        """One gradient."""
        return 1

    def initial_point(self) -> Array:
        """Return 0, or ``x0``."""
        return np.zeros(self.A.shape[1]) if self.is_linear else np.array(self.x0)

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
        if not self.is_linear:
            return self._stationary(x)
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

    def _stationary(self, x: Array) -> Certificate:
        """Judge the parameters of a callable model."""
        n, model = self.y.size, self.model
        z = model(x)
        value, slopes = self.loss_slopes(z)
        gradient = np.abs(model.vjp(x, slopes)) / n
        if not (np.isfinite(value) and np.isfinite(gradient).all()):
            return failed(KIND, "overflow at x", value)
        steepest = self.fact("steepest", ("A", "y", "loss", "x0"), self._steepest)
        sizes = model.sizes(x)
        moving = sizes > 0
        found = float(np.max(gradient[moving] / (sizes[moving] * steepest), initial=0.0))
        most = np.abs(self.y) + np.abs(z) if self.loss == "squared" else np.abs(slopes)
        floor = 2.0**-51 * float(most.max()) / steepest
        return Certificate(KIND, found + floor, value / n, details={"floor": floor})

    def _steepest(self) -> float:
        slopes = self.loss_slopes(self.targets(self.x0))[1]
        largest = float(np.abs(slopes).max())
        if not np.isfinite(largest):
            raise OracleError("A: expected finite targets at x0")
        return largest or 1.0

    def derivative_checks(self, x: Array) -> list[Check]:
        """Compare the products of a callable model with differences and with each other.

        Parameters
        ----------
        x : array, shape (d,)
            Where.

        Returns
        -------
        list of (str, array, array)
            For "jvp" step lengths and the largest relative errors, for "vjp" errors of pairs.
        """
        return [] if self.is_linear else self.model.checks(x)

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
