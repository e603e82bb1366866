"""Logistic regression whose penalties are chosen on validation data."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from fejer.evidence import Array
from fejer.problem import as_number

from ._classification import Classification, Loss, signs
from ._losses import binary
from ._penalties import Penalties

__all__ = ["LogisticBilevel"]

SECOND = 0.25  # largest second derivative of log(1 + exp(-t))
THIRD = 1 / (6 * math.sqrt(3))  # largest third one


@dataclass(frozen=True, eq=False, repr=False)
class LogisticBilevel(Penalties, Classification):
    """Choice of the penalties of logistic regression by the loss on validation data.

    min over x in [lower, upper]^n of ``Phi(x) = mean_i log(1 + exp(-c_i v_i'y*(x)))``, v_i and c_i
    the validation data, where y*(x) minimises
    ``mean_i log(1 + exp(-b_i a_i'y)) + 1/2 sum_j (exp(x_g(j)) + mu0) y_j^2`` on the training data.

    Parameters
    ----------
    X_train : matrix, shape (n_t, m)
        Training data; dense, sparse or an operator with row norms.
    y_train : array_like, shape (n_t,)
        Training labels, each 1 or -1.
    X_val : matrix, shape (n_v, m)
        Validation data.
    y_val : array_like, shape (n_v,)
        Validation labels, each 1 or -1.
    mode : {"scalar", "feature"} or array_like of int, shape (m,), default "scalar"
        One penalty for all columns, one for each, or the number 0 .. n-1 of each column's penalty.
    mu0 : float, default 0.0
        A penalty that all columns have in any case.
    lower, upper : float, default -12 and 4
        Box of the logarithms of the penalties; within -300 .. 300.
    scale : float, default 1.0
        Divides the certificate's value.

    Raises
    ------
    ProblemError
        Wrong shapes, entries, labels, mode or box.

    Notes
    -----
    Constants: mu is the smallest penalty plus mu0, ``L = la/4`` plus the largest,
    ``la = ||X_train||^2/n_t``, ``LF = ||X_val||^2/(4 n_v)``, ``LH = la max ||a_i|| / (6 sqrt 3)``;
    for the q at hand H moves by at most ``la max |a_i'q| / (6 sqrt 3)`` per unit of y.

    Certificate: of the hypergradient in ``t = p/(p + s)``, ``p = exp(x)``, s a quarter of the
    columns' mean square (median over the columns of one penalty); see `RidgeBilevel`. Not
    rigorous: stationarity is a necessary condition.

    Cost: one product with X_train and one with its transpose per gradient and per product with H;
    Newton's method with conjugate gradients. Memory: the data and a few vectors.

    Pitfall: mu is as small as the smallest penalty, and the error bound grows like 1/mu^2. A floor
    mu0 of 1e-4 costs little accuracy and keeps the bound useful.

    Examples
    --------
    >>> import fejer
    >>> problem = fejer.LogisticBilevel.random()
    >>> result = fejer.minimize(problem)
    >>> result.success, result.y.shape
    (True, (6,))
    """

    X_train: Any
    y_train: Array
    X_val: Any
    y_val: Array
    mode: Any = "scalar"
    mu0: float = 0.0
    lower: float = -12.0
    upper: float = 4.0
    scale: float = 1.0

    curvature: ClassVar[float] = SECOND
    second: ClassVar[float] = SECOND
    third: ClassVar[float] = THIRD

    def __post_init__(self) -> None:
        self.set_data(signs)
        self.set(mu0=as_number(self.mu0, "mu0", least=0))
        self.set_penalties()

    @classmethod
    def random(
        cls,
        n_train: int = 40,
        n_val: int = 60,
        n_features: int = 6,
        mode: Any = "scalar",
        *,
        mu0: float = 0.0,
        seed: int = 0,
    ) -> Self:
        """Draw labels from a logistic model with coefficients that decay like 1/j.

        Parameters
        ----------
        n_train, n_val, n_features : int
            Sizes.
        mode : {"scalar", "feature"} or array_like of int
            As in the class.
        mu0 : float
            As in the class.
        seed : int
            Seed of the generator.

        Returns
        -------
        LogisticBilevel
        """
        rng = np.random.default_rng(seed)
        X = rng.standard_normal((n_train + n_val, n_features))
        t = X @ (2.0 / np.arange(1, n_features + 1))
        b = np.where(rng.uniform(size=t.size) < 1 / (1 + np.exp(-t)), 1.0, -1.0)
        return cls(X[:n_train], b[:n_train], X[n_train:], b[n_train:], mode, mu0)

    def ridge(self, x: Array) -> Array:
        """Return the penalty of each coefficient."""
        return self.penalties(x) + self.mu0

    def loss(self, T: Array, validation: bool) -> Loss:
        """Return the logistic loss of the predictors.

        Parameters
        ----------
        T : array, shape (rows, 1)
            Predictors.
        validation : bool
            Whose labels.

        Returns
        -------
        Loss
        """
        label = self.y_val if validation else self.y_train
        residual, weight = np.empty_like(label), np.empty_like(label)
        fun = float(binary(np.ascontiguousarray(T[:, 0]), label, residual, weight))
        return Loss(fun, residual[:, None], lambda M: weight[:, None] * M)

    def change(self, U: Array) -> float:
        """Return ``max |u_i| / (6 sqrt 3)``.

        Parameters
        ----------
        U : array, shape (rows, 1)
            Predictors of q.

        Returns
        -------
        float
        """
        return THIRD * float(np.abs(U).max())
