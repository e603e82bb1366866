"""Multinomial regression whose penalties are chosen on validation data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from fejer.evidence import Array
from fejer.problem import as_number

from ._classification import Multiclass
from ._penalties import Penalties

__all__ = ["MultinomialBilevel"]


@dataclass(frozen=True, eq=False, repr=False)
class MultinomialBilevel(Multiclass, Penalties):
    """Choice of the penalties of multinomial regression by the loss on validation data.

    min over x in [lower, upper]^n of the mean cross entropy of the validation data at y*(x), which
    minimises ``mean_i (log sum_k exp(a_i'y_k) - a_i'y_b(i)) + 1/2 sum (exp(x_g) + mu0) y^2`` on the
    training data, over coefficients y of shape (m, K), flattened row by row.

    Parameters
    ----------
    X_train : matrix, shape (n_t, m)
        Training data.
    y_train : array_like, shape (n_t,)
        Training labels; the K different numbers in it are the classes.
    X_val : matrix, shape (n_v, m)
        Validation data.
    y_val : array_like, shape (n_v,)
        Validation labels, among those of y_train.
    mode : {"scalar", "class", "feature", "weight"} or array_like of int, shape (m,)
        One penalty for all coefficients (default), for each class, for each column, for each
        coefficient, or the number 0 .. n-1 of each column's penalty.
    mu0 : float, default 0.0
        A penalty that all coefficients have in any case.
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
    Constants, with ``la = ||X_train||^2/n_t``: mu is the smallest penalty plus mu0, ``L = la/2``
    plus the largest, ``LF = ||X_val||^2/(2 n_v)``, ``LH = 0.2722 la max ||a_i||``; for the q at
    hand H moves by at most ``la/2 max_i (max_k u_ik - min_k u_ik)`` per unit of y, ``u_i = a_i'q``.

    Certificate: of the hypergradient in ``t = p/(p + s)``, ``p = exp(x)``, s a quarter of the
    columns' mean square (median over the columns of one penalty); see `RidgeBilevel`. Not
    rigorous: stationarity is a necessary condition.

    Cost: ``4 n_t m K`` flops per gradient and per product with H; the probabilities are computed
    once per point. Memory: the data and a few arrays of shape (n_t, K).

    Pitfall: without mu0, mu is as small as the smallest penalty, and the error bound grows like
    1/mu^2.

    Examples
    --------
    >>> import fejer
    >>> problem = fejer.MultinomialBilevel.random()
    >>> result = fejer.minimize(problem)
    >>> result.success, result.y.shape
    (True, (12,))
    """

    X_train: Any
    y_train: Any
    X_val: Any
    y_val: Any
    mode: Any = "scalar"
    mu0: float = 0.0
    lower: float = -12.0
    upper: float = 4.0
    scale: float = 1.0

    modes: ClassVar[tuple[str, ...]] = ("scalar", "class", "feature", "weight")
    curvature: ClassVar[float] = 0.25

    def __post_init__(self) -> None:
        self.set_data()
        self.check_labels()
        self.set(mu0=as_number(self.mu0, "mu0", least=0))
        self.set_penalties()

    @classmethod
    def random(
        cls,
        n_train: int = 45,
        n_val: int = 60,
        n_features: int = 4,
        n_classes: int = 3,
        mode: Any = "scalar",
        *,
        mu0: float = 0.0,
        seed: int = 0,
    ) -> Self:
        """Draw a normal cloud for each class.

        Parameters
        ----------
        n_train, n_val, n_features, n_classes : int
            Sizes.
        mode : {"scalar", "class", "feature", "weight"} or array_like of int
            As in the class.
        mu0 : float
            As in the class.
        seed : int
            Seed of the generator.

        Returns
        -------
        MultinomialBilevel
        """
        rng = np.random.default_rng(seed)
        label = np.arange(n_train + n_val) % n_classes
        centres = rng.standard_normal((n_classes, n_features))
        X = centres[label] + rng.standard_normal((label.size, n_features))
        return cls(X[:n_train], label[:n_train], X[n_train:], label[n_train:], mode, mu0)

    def ridge(self, x: Array) -> Array:
        """Return the penalty of each coefficient."""
        return self.penalties(x) + self.mu0
