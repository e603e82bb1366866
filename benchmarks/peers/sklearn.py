"""scikit-learn: coordinate descent on all features, or on the Gram matrix.

The Gram matrix pays where there are more samples than features; gap safe screening is its default.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np

from fejer.evidence import Array
from fejer.problems.sparse.lasso import Lasso

from ._lasso import data, packed

__all__ = ["lasso"]

ITERATIONS = 1_000_000


def lasso(problem: Lasso) -> Callable[[float], Array]:
    """Prepare the library's Lasso.

    Parameters
    ----------
    problem : Lasso
        Without weights and bounds.

    Returns
    -------
    callable
        ``solve(tol)``; tol bounds the duality gap over ``||y||^2``.
    """
    from sklearn.linear_model import Lasso as Model

    X, y, alpha, intercept = data(problem)
    dense = isinstance(X, np.ndarray)

    def solve(tol: float) -> Array:
        model = Model(
            alpha=alpha,
            fit_intercept=intercept,
            tol=tol,
            max_iter=ITERATIONS,
            precompute=dense and X.shape[0] > X.shape[1],
            copy_X=False,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # our certificate says whether it converged
            model.fit(X, y)
        return packed(model, intercept)

    return solve
