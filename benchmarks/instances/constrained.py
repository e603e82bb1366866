"""Equality-constrained problems on medical and chemical tables."""

from __future__ import annotations

from typing import Any

import numpy as np

from fejer.errors import ProblemError, missing
from fejer.evidence import Array
from fejer.problems.constrained.constrained_logistic import ConstrainedLogistic
from fejer.problems.constrained.equality_nlp import EqualityNLP
from fejer.problems.constrained.finite_sum_hessian import FiniteSumHessian
from fejer.problems.constrained.linear_sem import LinearSEM
from fejer.problems.constrained.smooth_composite import SmoothComposite
from fejer.problems.smooth_problem import SmoothProblem

from .tables import tumours

__all__ = [
    "SHAPES",
    "balanced_classifier",
    "constrained_tumours",
    "logistic_shape",
    "plain_logistic",
    "sampled_logistic",
    "sphere_regression",
    "structural_equations",
]


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


# name: samples, features, and the density of ones; 0 for uniform entries
SHAPES = {
    "ionosphere": (351, 34, 0.0),
    "sonar": (208, 60, 0.0),
    "splice": (1000, 60, 0.0),
    "phishing": (11055, 68, 0.44),
    "mushrooms": (8124, 112, 0.1875),
    "a9a": (32561, 123, 0.113),
    "w8a": (49749, 300, 0.039),
}


def _drawn(name: str, seed: int) -> tuple[Array, Array, np.random.Generator]:
    n, d, density = SHAPES[name]
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1.0, 1.0, (n, d))
    if density:
        X = (np.random.default_rng(seed).random((n, d)) < density).astype(np.float64)
    z = (X - X.mean(axis=0)) @ rng.standard_normal(d)
    y = np.where(rng.random(n) < 1.0 / (1.0 + np.exp(-2.0 * z / z.std())), 1.0, -1.0)
    return X, y, rng


def logistic_shape(name: str, seed: int = 0) -> ConstrainedLogistic:
    """Return constrained logistic regression on drawn data of the shape of a known table.

    Parameters
    ----------
    name : str
        One of ``SHAPES``: samples, features and density are those of that table.
    seed : int, default 0
        Seed of the generator.

    Examples
    --------
    >>> logistic_shape("sonar").n_constraints
    11
    """
    X, y, rng = _drawn(name, seed)
    return ConstrainedLogistic(X, y, *_equations(X.shape[1], rng))


def _equations(d: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Ten equations, drawn anew until some point of the unit sphere obeys them."""
    for _ in range(1000):
        A, b = rng.standard_normal((10, d)), rng.standard_normal(10)
        if np.linalg.norm(np.linalg.lstsq(A, b, rcond=None)[0]) < 1.0:
            return A, b
    raise ProblemError(f"name: {d} features are too few for ten random equations on the sphere")


def constrained_tumours(seed: int = 0) -> ConstrainedLogistic:
    """Return the same on the measurements of tumours.

    Parameters
    ----------
    seed : int, default 0
        Seed of the equations.

    Examples
    --------
    >>> constrained_tumours().size
    30
    """
    X, y, _ = tumours()
    return ConstrainedLogistic(X, y, *_equations(X.shape[1], np.random.default_rng(seed)))


def plain_logistic(name: str, seed: int = 0) -> SmoothComposite:
    """Return logistic regression without constraints, with a penalty of 1e-6 over the samples.

    Parameters
    ----------
    name : str
        One of ``SHAPES``; "ill": "a9a" with columns of units from 1 to 1e-3; "correlated": its
        shape with factors of deviations from 1 to 1e-3, and a penalty of 1e-3.
    seed : int, default 0
        Seed of the generator.

    Examples
    --------
    >>> plain_logistic("sonar").size
    60
    """
    penalty = 1e-6
    if name == "ill":
        X, _, _ = _drawn("a9a", seed)
        rng = np.random.default_rng(seed + 2)
        order = np.random.default_rng(seed + 1).permutation(123)
        X = X * np.geomspace(1.0, 1e-3, 123)[order]
        z = (X - X.mean(axis=0)) @ (rng.standard_normal(123) / X.std(axis=0))
    elif name == "correlated":
        penalty = 1e-3
        rng = np.random.default_rng(seed + 5)
        factors = rng.standard_normal((123, 123)) * np.geomspace(1.0, 1e-3, 123)
        X = rng.standard_normal((32561, 123)) @ factors.T
        X /= X.std(axis=0)
        z = X @ rng.standard_normal(123)
    else:
        X, y, _ = _drawn(name, seed)
        return SmoothComposite(X, y, l2=penalty / len(y))
    y = np.where(rng.random(len(z)) < 1.0 / (1.0 + np.exp(-2.0 * z / z.std())), 1.0, -1.0)
    return SmoothComposite(X, y, l2=penalty / len(y))


class _LogisticSum:
    """The functions of a logistic regression, as a user would write them."""

    def __init__(self, rows: Array, l2: float) -> None:
        self.rows, self.l2 = rows, l2

    def value_and_slopes(self, w: Array) -> tuple[float, Array]:
        t = self.rows @ w
        small = np.exp(-np.abs(t))
        wrong = np.where(t > 0, small, 1.0) / (1.0 + small)
        value = float((np.maximum(-t, 0.0) + np.log1p(small)).mean() + 0.5 * self.l2 * w @ w)
        return value, self.l2 * w - self.rows.T @ wrong / len(t)

    def curvatures(self, w: Array) -> Array:
        wrong = _wrong(self.rows @ w)
        return np.asarray(wrong * (1.0 - wrong) / len(wrong))


def sampled_logistic(name: str, seed: int = 0) -> SmoothProblem:
    """Return `plain_logistic` as functions, with a Hessian that may be sampled.

    Parameters
    ----------
    name : str
        As there.
    seed : int, default 0
        Seed of the generator.

    Examples
    --------
    >>> sampled_logistic("sonar").hess.shape
    (208, 60)
    """
    drawn = plain_logistic(name, seed)
    terms = _LogisticSum(np.asfortranarray(drawn.A.dense * drawn.y[:, None]), drawn.l2)
    start = drawn.initial_point()
    return SmoothProblem(
        terms.value_and_slopes,
        True,
        start,
        FiniteSumHessian(terms.rows, terms.curvatures, drawn.l2),
        scale=float(np.abs(terms.value_and_slopes(start)[1]).max()),
    )


def structural_equations(d: int, edges: int, noise: str, seed: int = 0) -> LinearSEM:
    """Return observations of a random graph.

    Parameters
    ----------
    d, edges : int
        Nodes, and expected edges.
    noise : {"equal", "unequal"}
        Unit variances, or variances from 0.5 to 10.
    seed : int, default 0
        Seed of the generator.

    Examples
    --------
    >>> structural_equations(5, 5, "equal").size
    25
    """
    return LinearSEM.random_graph(d=d, edges=edges, noise=noise, seed=seed)[0]
