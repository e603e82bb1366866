"""skglm: working sets with Anderson-accelerated coordinate descent.

Its tolerance is the distance from the subdifferential, an absolute number: it is given here in
units of the smallest alpha with the solution 0, so that scaling the data changes nothing.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np

from fejer.evidence import Array
from fejer.problems.sparse.lasso import Lasso

from ._lasso import data, packed

__all__ = ["lasso"]

ITERATIONS = 1000


def lasso(problem: Lasso) -> Callable[[float], Array]:
    """Prepare the library's Lasso.

    Parameters
    ----------
    problem : Lasso
        Without weights and bounds.

    Returns
    -------
    callable
        ``solve(tol)``; tol is relative to the largest alpha of interest.
    """
    from skglm import Lasso as Model

    X, y, alpha, intercept = data(problem)
    unit = float(np.abs(X.T @ y).max()) / y.size

    def solve(tol: float) -> Array:
        model = Model(
            alpha=alpha,
            fit_intercept=intercept,
            tol=tol * unit,
            max_iter=ITERATIONS,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # our certificate says whether it converged
            model.fit(X, y)
        return packed(model, intercept)

    return solve
