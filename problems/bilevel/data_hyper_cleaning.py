"""Weights of training samples, chosen on clean validation data."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from fejer.evidence import Array
from fejer.problem import as_number

from ._assessment import ROUNDING, Cross, norm
from ._classification import MULTINOMIAL_SECOND, Multiclass

__all__ = ["DataHyperCleaning"]

LARGEST = 300.0  # end of the box: cosh stays finite


@dataclass(frozen=True, eq=False, repr=False)
class DataHyperCleaning(Multiclass):
    """Weights of training samples with doubtful labels, by the loss on clean validation data.

    min over x in [lower, upper]^(n_t) of the mean cross entropy of the validation data at y*(x),
    which minimises ``1/n_t sum_i sigma(x_i) CE_i(y) + mu0/2 ||y||^2`` over coefficients y of shape
    (m, K), flattened row by row; ``sigma(x) = 1/(1 + exp(-x))``, CE_i the cross entropy of
    training sample i.

    Parameters
    ----------
    X_train : matrix, shape (n_t, m)
        Training data.
    y_train : array_like, shape (n_t,)
        Training labels, some of them wrong; the K different numbers in it are the classes.
    X_val : matrix, shape (n_v, m)
        Validation data.
    y_val : array_like, shape (n_v,)
        Validation labels, among those of y_train.
    mu0 : float, default 2e-3
        Penalty of the coefficients, > 0: the modulus of strong convexity.
    lower, upper : float, default -8 and 8
        Box of x, within -300 .. 300.
    scale : float, default 1.0
        Divides the certificate's value.

    Raises
    ------
    ProblemError
        Wrong shapes, entries, labels or box.

    Notes
    -----
    Certificate: ``||t - P_T(t - d(Phi/F)/dt)||`` plus the bound of its error, in the weights
    ``t = sigma(x)`` themselves, T the image of the box: in x the gradient vanishes as the weights
    tend to 0 or 1, however wrong they are. ``dPhi/dt_i = -q'grad CE_i/n_t``; F is ``Phi(x)`` within
    ``1e-6 .. 1`` times its value at y = 0. ``details["grad_norm_upper"]`` is the absolute projected
    norm in x plus its bound. Not rigorous: stationarity is a necessary condition.

    Constants, with ``la = ||X_train||^2/n_t``: ``mu = mu0``, ``L = la/2 max t + mu0``,
    ``LF = ||X_val||^2/(2 n_v)``, ``LH = 0.2722 la max t_i ||a_i||``.

    Cost: ``4 n_t m K`` flops per gradient and per product with H. Memory: the data and a few arrays
    of shape (n_t, K).

    Pitfall: nothing is learnt of samples that the validation data say nothing of; their weights
    stay where they start.

    Examples
    --------
    >>> import fejer
    >>> problem = fejer.DataHyperCleaning.random()
    >>> result = fejer.minimize(problem)
    >>> result.success, result.y.shape
    (True, (8,))
    """

    X_train: Any
    y_train: Any
    X_val: Any
    y_val: Any
    mu0: float = 2e-3
    lower: float = -8.0
    upper: float = 8.0
    scale: float = 1.0

    per_row: ClassVar[bool] = True

    def __post_init__(self) -> None:
        self.set_data()
        self.check_labels()
        lower = as_number(self.lower, "lower", least=-LARGEST, most=LARGEST)
        self.set(
            mu0=as_number(self.mu0, "mu0", above=0),
            lower=lower,
            upper=as_number(self.upper, "upper", above=lower, most=LARGEST),
            scale=as_number(self.scale, "scale", above=0),
        )

    @classmethod
    def random(
        cls,
        n_train: int = 20,
        n_val: int = 40,
        n_features: int = 4,
        n_classes: int = 2,
        *,
        wrong: float = 0.3,
        mu0: float = 0.1,
        reach: float = 2.0,
        seed: int = 0,
    ) -> Self:
        """Draw a normal cloud for each class, and relabel a share of the training samples.

        Parameters
        ----------
        n_train, n_val, n_features, n_classes : int
            Sizes.
        wrong : float
            Share of training samples with a label drawn at random among the others.
        mu0 : float
            As in the class.
        reach : float
            The box is ``[-reach, reach]``; in a small one first-order methods get to the end.
        seed : int
            Seed of the generator.

        Returns
        -------
        DataHyperCleaning
        """
        rng = np.random.default_rng(seed)
        label = np.arange(n_train + n_val) % n_classes
        centres = rng.standard_normal((n_classes, n_features))
        X = centres[label] + rng.standard_normal((label.size, n_features))
        given = label[:n_train].copy()
        which = rng.permutation(n_train)[: round(wrong * n_train)]
        given[which] += rng.integers(1, n_classes, which.size)
        data = X[:n_train], given % n_classes, X[n_train:], label[n_train:]
        return cls(*data, mu0, -reach, reach)

    def initial_point(self) -> Array:
        """Return 0, all weights 1/2, moved into the box."""
        return np.clip(np.zeros(self.X_train.shape[0]), self.lower, self.upper)

    # ---- oracles -----------------------------------------------------------------------------
    def box(self) -> tuple[Array, Array]:
        """Return the bounds of x."""
        n = self.X_train.shape[0]
        return np.full(n, self.lower), np.full(n, self.upper)

    def steps_to_box(self, x: Array) -> tuple[Array, Array]:
        """Return the distances to the image of the box, without cancellation."""
        ends = [
            np.sinh((end - x) / 2) / (2 * math.cosh(end / 2) * np.cosh(x / 2))
            for end in (self.lower, self.upper)
        ]
        return ends[0], ends[1]

    def ridge(self, x: Array) -> Array:
        """Return mu0."""
        return np.array([self.mu0])

    def row_weights(self, x: Array) -> Array:
        """Return ``sigma(x)``."""
        return 1 / (1 + np.exp(-x))

    def lower_in_x(self, x: Array, y: Array) -> Array:
        """Return ``sigma'(x_i) CE_i / n_t``."""
        T = self.X_train.matmat(self._matrix(y))
        top = T.max(axis=1)
        label = np.searchsorted(self.labels, self.y_train)
        losses = top + np.log(np.exp(T - top[:, None]).sum(axis=1)) - T[np.arange(x.size), label]
        s = self.row_weights(x)
        return np.asarray(s * (1 - s) * losses / x.size)

    def cross(self, x: Array, y: Array, q: Array, *, chart: bool = False) -> Cross:
        """Return ``w_i q'grad CE_i`` with ``w = 1/n_t`` times ``dt/dx`` or 1."""
        X, R = self.X_train, self._train(x, y).residual
        s = self.row_weights(x)
        w = (np.ones_like(x) if chart else s * (1 - s)) / x.size
        U = X.matmat(self._matrix(q))
        reach, size = np.sqrt(X.row_sq_norms()), np.sqrt(np.einsum("ik,ik->i", R, R))
        sizes_u = np.sqrt(np.einsum("ik,ik->i", U, U))
        spectral = X.spectral_norm()
        half = MULTINOMIAL_SECOND
        floor = ROUNDING * norm(w * reach * (size + half * reach * norm(y))) * norm(q)
        return Cross(
            product=w * np.einsum("ik,ik->i", R, U),
            norm=min(norm(w * size * reach), float((w * size).max()) * spectral),
            lipschitz=half * min(norm(w * reach**2), float((w * reach).max()) * spectral),
            change=half * float((w * sizes_u).max()) * spectral,
            floor=floor,
        )
