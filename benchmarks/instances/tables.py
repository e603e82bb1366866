"""Problems made of two medical tables that come with scikit-learn."""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import numpy as np

from fejer.errors import missing
from fejer.evidence import Array
from fejer.numerics.matrix import Matrix
from fejer.numerics.prox import soft_threshold
from fejer.problems.bilevel.ridge_bilevel import RidgeBilevel
from fejer.problems.monotone.monotone_inclusion import MonotoneInclusion
from fejer.problems.sparse.lasso import Lasso

__all__ = [
    "Table",
    "diabetes",
    "diabetes_lasso",
    "diabetes_ridge",
    "tumour_classifier",
    "tumours",
]


class Table(NamedTuple):
    """Features, targets and the names of the features.

    Attributes
    ----------
    X : array, shape (n, p)
        Features, each with mean 0 and standard deviation 1.
    y : array, shape (n,)
        Targets.
    names : tuple of str
        Names of the features.
    """

    X: Array
    y: Array
    names: tuple[str, ...]


def _standardised(X: Array) -> Array:
    return np.asarray((X - X.mean(axis=0)) / X.std(axis=0))


def _loaded(name: str) -> Any:
    try:
        from sklearn import datasets
    except ImportError:
        raise missing("scikit-learn", "medical data", "demo") from None
    return getattr(datasets, f"load_{name}")()


def diabetes(products: bool = True) -> Table:
    """Return 442 patients and how their diabetes progressed within a year.

    Parameters
    ----------
    products : bool, default True
        Add the products of all pairs of the ten features, and their squares, to them (the square
        of the patient's sex, a constant, is left out): 64 features in all.

    Returns
    -------
    Table
        The progression is centred.

    References
    ----------
    .. [1] Efron, Hastie, Johnstone, Tibshirani (2004), Least angle regression, Annals of
       Statistics 32, arXiv:math/0406456.

    Examples
    --------
    >>> diabetes().X.shape
    (442, 64)
    """
    loaded = _loaded("diabetes")
    X = _standardised(loaded.data)
    names = list(loaded.feature_names)
    columns = list(X.T)
    if products:
        for i, j in itertools.combinations_with_replacement(range(X.shape[1]), 2):
            column = X[:, i] * X[:, j]
            # A feature with two values has a square that is a line in the feature itself.
            if i != j or np.unique(X[:, i]).size > 2:
                columns.append(column)
                names.append(f"{names[i]}²" if i == j else f"{names[i]}·{names[j]}")
    target = np.asarray(loaded.target, dtype=np.float64)
    return Table(_standardised(np.column_stack(columns)), target - target.mean(), tuple(names))


def diabetes_lasso(ratio: float = 0.05) -> Lasso:
    """Return the Lasso on the features of `diabetes` and their products.

    Parameters
    ----------
    ratio : float, default 0.05
        ``lam`` over the value from which on all coefficients are 0.

    Examples
    --------
    >>> diabetes_lasso().X.shape
    (442, 64)
    """
    X, y, _ = diabetes()
    problem = Lasso(X, y, 1.0)
    return problem.replace(lam=ratio * problem.lam_max())


def diabetes_ridge(seed: int = 0) -> RidgeBilevel:
    """Return the choice of two ridge penalties, one for features and one for their products.

    Parameters
    ----------
    seed : int, default 0
        Seed of the split into 221 patients for training and 221 for validation.

    Examples
    --------
    >>> diabetes_ridge().size
    2
    """
    X, y, names = diabetes()
    order = np.random.default_rng(seed).permutation(y.size)
    train, held = order[: y.size // 2], order[y.size // 2 :]
    group = np.array(["·" in name or "²" in name for name in names], dtype=int)
    X_train, X_val = Matrix.of(X[train], "X_train"), Matrix.of(X[held], "X_val")
    return RidgeBilevel(X_train, y[train], X_val, y[held], group)


def tumours() -> Table:
    """Return 569 breast tumours with 30 measurements of their cell nuclei; y is 1 if benign, or -1.

    References
    ----------
    .. [1] Street, Wolberg, Mangasarian (1993), Nuclear feature extraction for breast tumor
       diagnosis, SPIE 1905.

    Examples
    --------
    >>> tumours().X.shape
    (569, 30)
    """
    loaded = _loaded("breast_cancer")
    return Table(
        _standardised(loaded.data), 2.0 * loaded.target - 1.0, tuple(map(str, loaded.feature_names))
    )


def tumour_classifier(l1: float = 0.02, l2: float = 0.1) -> MonotoneInclusion:
    """Return logistic regression with an elastic net, as a finite sum of 569 operators.

    Find w with ``0 in (1/n) sum_i F_i(w) + l1 d||w||_1``,
    ``F_i(w) = -y_i x_i / (1 + exp(y_i x_i'w)) + l2 w``: the optimality condition of the fit.

    Parameters
    ----------
    l1 : float, default 0.02
        Weight of the sum of moduli.
    l2 : float, default 0.1
        Weight of half the sum of squares.

    Examples
    --------
    >>> tumour_classifier().n_components
    569
    """
    from scipy.special import expit

    X, y, _ = tumours()
    Z = X * y[:, None]
    n, p = Z.shape

    def pull(w: Array, rows: Array) -> Array:
        return np.asarray(rows.T @ expit(-(rows @ w)) / len(rows))

    def difference(u: Array, v: Array, indices: Any) -> Array:
        rows = Z[indices]
        return np.asarray(pull(v, rows) - pull(u, rows) + l2 * (u - v))

    # The second derivative of the logistic loss is at most 1/4.
    squares = (Z**2).sum(axis=1)
    return MonotoneInclusion(
        lambda w: l2 * w - pull(w, Z),
        p,
        kind="cocoercive",
        resolvent=lambda v, eta: soft_threshold(v, eta * l1),
        lipschitz=float(np.linalg.norm(Z, 2) ** 2) / (4 * n) + l2,
        component=lambda w, indices: l2 * w - pull(w, Z[indices]),
        component_difference=difference,
        n_components=n,
        lipschitz_max=float(squares.max()) / 4 + l2,
    )
