"""Equality-constrained problems on medical and chemical tables."""

from __future__ import annotations

from typing import Any

import numpy as np

from fejer.errors import missing
from fejer.evidence import Array
from fejer.problems.constrained.equality_nlp import EqualityNLP

from .tables import tumours

__all__ = ["balanced_classifier", "sphere_regression"]


def balanced_classifier(features: int = 30, l2: float = 0.01) -> EqualityNLP:
    """Return logistic regression on tumours whose score obeys two equations.

    min over w of ``mean log(1 + exp(-y_i x_i'w)) + l2/2 |w|^2``  subject to ``A w = b``: the score
    does not depend on the tumour's texture, and a change of size by one deviation changes it by 1.

    Parameters
    ----------
    features : int, default 30
        The first so many measurements.
    l2 : float, default 0.01
        Weight of the penalty.

    Examples
    --------
    >>> balanced_classifier().n_constraints
    2
    """
    X, y, _ = tumours()
    X = X[:, :features]
    Z = X * y[:, None]
    covariance = X.T @ X / len(X)
    A, b = covariance[[1, 0]], np.array([0.0, 1.0])

    def fun(w: Array) -> float:
        return float(np.logaddexp(0.0, -(Z @ w)).mean() + 0.5 * l2 * w @ w)

    def grad(w: Array) -> Array:
        return np.asarray(l2 * w - Z.T @ _wrong(Z @ w) / len(Z))

    def hess(w: Array) -> Array:
        wrong = _wrong(Z @ w)
        curvature = wrong * (1.0 - wrong) / len(Z)
        return np.asarray((Z.T * curvature) @ Z + l2 * np.eye(w.size))

    return EqualityNLP(fun, grad, x0=np.zeros(features), hess=hess, linear=(A, b))


def _wrong(margin: Array) -> Array:
    return np.asarray(0.5 - 0.5 * np.tanh(0.5 * margin))  # 1 / (1 + exp(margin))


def sphere_regression(radius: float = 1.0) -> EqualityNLP:
    """Return least squares for a wine's cultivar on a sphere and a hyperplane.

    min over w of ``|X w - y|^2 / (2n)``  subject to  ``w'w = radius^2``, ``sum w = 0``: a nonlinear
    and a linear constraint.

    Parameters
    ----------
    radius : float, default 1
        Of the sphere.

    Examples
    --------
    >>> sphere_regression().n_constraints
    2
    """
    try:
        from sklearn.datasets import load_wine
    except ImportError:
        raise missing("scikit-learn", "the wine data", "demo") from None
    loaded: Any = load_wine()
    X = (loaded.data - loaded.data.mean(axis=0)) / loaded.data.std(axis=0)
    y = loaded.target - loaded.target.mean()
    gram, corr = X.T @ X / len(X), X.T @ y / len(X)
    p = corr.size
    start = np.zeros(p)
    start[0] = radius

    return EqualityNLP(
        lambda w: float(0.5 * w @ gram @ w - corr @ w),
        lambda w: gram @ w - corr,
        lambda w: np.array([w @ w - radius**2, w.sum()]),
        lambda w: np.vstack([2.0 * w, np.ones(p)]),
        start,
        lag_hess=lambda w, l, sigma: sigma * gram + 2.0 * l[0] * np.eye(p),
    )
