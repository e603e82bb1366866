"""What the classes with logistic losses share."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import numpy as np

from fejer.errors import ProblemError
from fejer.evidence import Array
from fejer.problem import as_vector

from ._assessment import ROUNDING, Constants, Upper, norm
from ._losses import largest_range, multinomial, multinomial_product
from ._sampling import SampledData
from ._smooth_lower import SmoothLower

__all__ = [
    "MULTINOMIAL_SECOND",
    "MULTINOMIAL_THIRD",
    "Classification",
    "Loss",
    "Multiclass",
    "cross_entropy",
    "signs",
]

MULTINOMIAL_SECOND = 0.5  # largest eigenvalue of diag(p) - pp'
# The third central moment of a variable whose values differ by at most R is at most R^3/(6 sqrt 3);
# the values are entries of a unit vector: R <= sqrt 2.
MULTINOMIAL_THIRD = math.sqrt(8) / (6 * math.sqrt(3))


class Loss(NamedTuple):
    """A loss and its derivatives in the linear predictors, not yet divided by the rows.

    Attributes
    ----------
    fun : float
        The sum over the rows.
    residual : array, shape (rows, classes)
        First derivative.
    product : callable
        The second derivative as a product with an array of that shape.
    """

    fun: float
    residual: Array
    product: Callable[[Array], Array]


def cross_entropy(T: Array, label: Any) -> Loss:
    """Return the cross entropy of predictors.

    Parameters
    ----------
    T : array, shape (rows, classes)
        Predictors.
    label : array of int, shape (rows,)
        The class of each row.

    Returns
    -------
    Loss
    """
    T = np.ascontiguousarray(T)
    P, residual = np.empty_like(T), np.empty_like(T)
    fun = float(multinomial(T, label, P, residual))

    def product(M: Array) -> Array:
        out = np.empty_like(P)
        multinomial_product(P, np.ascontiguousarray(M), out)
        return out

    return Loss(fun, residual, product)


class Classification(SampledData, SmoothLower):
    """Base: mean logistic loss, its rows weighted and its coefficients penalised below."""

    X_train: Any
    X_val: Any
    mu0: float

    # Bounds per row, of the second derivative and of the third along two unit vectors.
    second: ClassVar[float]
    third: ClassVar[float]

    @property
    def classes(self) -> int:
        """Number of columns of y as a matrix."""
        raise NotImplementedError

    def ridge(self, x: Array) -> Array:
        """Return the penalty of each coefficient, mu0 included."""
        raise NotImplementedError

    def row_weights(self, x: Array) -> Array | None:
        """Return the weight in [0, 1] of each training row, None for ones."""
        return None

    def loss(self, T: Array, validation: bool) -> Loss:
        """Return the loss of the predictors T, of the training or of the validation data."""
        raise NotImplementedError

    def change(self, U: Array) -> float:
        """Return the largest third derivative with one argument a row of U, per unit of the rest.

        Parameters
        ----------
        U : array, shape (rows, classes)
            Predictors of q.

        Returns
        -------
        float
        """
        raise NotImplementedError

    @property
    def lower_size(self) -> int:
        """Number of coefficients."""
        return int(self.X_train.shape[1]) * self.classes

    @property
    def judge_units(self) -> int:
        """Products with the training data in one certificate."""
        return 10

    def _matrix(self, v: Array) -> Array:
        return v.reshape(-1, self.classes)

    def _train(self, x: Array, y: Array) -> Loss:
        """The training loss at y; x plays no part, and the last points are remembered."""
        return self.oracle(y)  # type: ignore[no-any-return]

    def evaluate(self, x: Array) -> Loss:
        """Compute the training loss at the coefficients."""
        return self.loss(self.X_train.matmat(self._matrix(x)), False)

    def constants(self, x: Array) -> Constants:
        """Return the constants; mu is the smallest penalty."""
        p, rows, s = self.ridge(x), self.X_train.shape[0], self.row_weights(x)
        a = self.X_train.spectral_norm() ** 2 / rows
        v = self.X_val.spectral_norm() ** 2 / self.X_val.shape[0]
        reach, top = np.sqrt(self.X_train.row_sq_norms()), 1.0
        if s is not None:
            reach, top = s * reach, float(s.max())
        return Constants(
            mu=float(p.min()),
            lipschitz=self.second * a * top + float(p.max()),
            upper=self.second * v,
            hessian=self.third * float(reach.max()) * a,
        )

    def lower_gradient(self, x: Array, y: Array) -> Array:
        """Return ``X_train' (weighted residual) / n_t + p y``."""
        X, s, R = self.X_train, self.row_weights(x), self._train(x, y).residual
        back = X.rmatmat(R if s is None else s[:, None] * R) / X.shape[0]
        return np.asarray(back.reshape(-1) + self.ridge(x) * y)

    def hessian(self, x: Array, y: Array) -> Callable[[Array], Array]:
        """Return ``v -> H v``."""
        X, loss, p, s = self.X_train, self._train(x, y), self.ridge(x), self.row_weights(x)

        def product(v: Array) -> Array:
            inner = loss.product(X.matmat(self._matrix(v)))
            if s is not None:
                inner *= s[:, None]
            return np.asarray(X.rmatmat(inner).reshape(-1) / X.shape[0] + p * v)

        return product

    def preconditioner(self, x: Array, y: Array) -> Callable[[Array], Array] | None:
        """Return the division by a bound of the diagonal of H."""
        squares = self.X_train.column_sq_norms() / self.X_train.shape[0] * (self.second / 2)
        diagonal = np.repeat(squares, self.classes) + self.ridge(x)
        return lambda v: v / diagonal

    def upper_level(self, x: Array, y: Array) -> Upper:
        """Return the mean validation loss and its gradient."""
        V, Y = self.X_val, self._matrix(y)
        rows = V.shape[0]
        loss = self.loss(V.matmat(Y), True)
        # The loss is 1-Lipschitz in the margin, up to a factor of 2 for several classes.
        reach = math.sqrt(float(V.row_sq_norms().max()) * float((Y * Y).sum(axis=0).max()))
        floor = ROUNDING * (2 * reach + 2 * loss.fun / rows)
        return Upper(loss.fun / rows, V.rmatmat(loss.residual).reshape(-1) / rows, floor)

    def hessian_change(self, x: Array, y: Array, q: Array, distance: float) -> float:
        """Bound ``||(H(y') - H(y)) q||`` by the largest predictor of q."""
        X, s = self.X_train, self.row_weights(x)
        a = X.spectral_norm() ** 2 / X.shape[0]
        U = X.matmat(self._matrix(q))
        sharp = self.change(U if s is None else s[:, None] * U) * a * distance
        return min(sharp, 2 * self.second * a * norm(q))

    def rounding(self, x: Array, y: Array, q: Array) -> tuple[float, float]:
        """Bound the rounding errors of the two residuals, row norms for moduli."""
        Y, Q, p = self._matrix(y), self._matrix(q), self.ridge(x)
        moduli_y = math.sqrt(float((Y * Y).sum(axis=0).max()))
        moduli_q = math.sqrt(float((Q * Q).sum(axis=0).max()))
        errors = []
        for X, validation in ((self.X_train, False), (self.X_val, True)):
            rows, size = X.shape[0], X.frobenius()
            loss = self.loss(X.matmat(Y), True) if validation else self._train(x, y)
            terms = self.second * size * moduli_y * math.sqrt(self.classes)
            errors.append(size * (terms + norm(loss.residual)) / rows)
        X = self.X_train
        reach = math.sqrt(float(X.row_sq_norms().max())) * moduli_y
        hess = self.second * (1 + reach) * X.frobenius() ** 2 * moduli_q * math.sqrt(self.classes)
        lower = errors[0] + norm(p * y)
        upper = errors[1] + hess / X.shape[0] + norm(p * q)
        return ROUNDING * lower, ROUNDING * upper


class Multiclass(Classification):
    """Base: cross entropy of two or more classes, the different numbers in ``y_train``."""

    second: ClassVar[float] = MULTINOMIAL_SECOND
    third: ClassVar[float] = MULTINOMIAL_THIRD

    def check_labels(self) -> None:
        """Require two classes, and labels of both data sets among them."""
        if self.labels.size < 2:
            raise ProblemError("y_train: expected at least two different labels, got one")
        unknown = np.flatnonzero(~np.isin(self.y_val, self.labels))
        if unknown.size:
            got = f"{self.y_val[unknown[0]]:g} at [{unknown[0]}]"
            raise ProblemError(f"y_val: expected labels that occur in y_train, got {got}")

    @property
    def labels(self) -> Array:
        """The labels of the classes, in increasing order."""
        return self.fact("labels", ("y_train",), lambda: np.unique(self.y_train))  # type: ignore[no-any-return]

    @property
    def classes(self) -> int:
        """Number of classes."""
        return int(self.labels.size)

    def loss(self, T: Array, validation: bool) -> Loss:
        """Return the cross entropy of the predictors.

        Parameters
        ----------
        T : array, shape (rows, classes)
            Predictors.
        validation : bool
            Whose labels.

        Returns
        -------
        Loss
        """
        name = "y_val" if validation else "y_train"
        label = self.fact(
            f"class of {name}",
            ("y_train", "y_val"),
            lambda: np.searchsorted(self.labels, getattr(self, name)),
        )
        return cross_entropy(T, label)

    def change(self, U: Array) -> float:
        """Return half the largest range of a row.

        Parameters
        ----------
        U : array, shape (rows, classes)
            Predictors of q.

        Returns
        -------
        float
        """
        return 0.5 * float(largest_range(np.ascontiguousarray(U)))


def signs(value: Any, name: str, size: int) -> Array:
    """Check labels that must be 1 or -1."""
    labels = as_vector(value, name, size=size)
    wrong = np.flatnonzero(np.abs(labels) != 1.0)
    if wrong.size:
        got = f"{labels[wrong[0]]:g} at [{wrong[0]}]"
        raise ProblemError(f"{name}: expected labels 1 and -1, got {got}")
    return labels
