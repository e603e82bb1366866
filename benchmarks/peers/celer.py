"""celer: working sets chosen by extrapolated dual points, with pruning."""

from __future__ import annotations

import warnings
from collections.abc import Callable

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
        ``solve(tol)``; tol bounds the duality gap over ``||y||^2 / n``.
    """
    from celer import Lasso as Model

    X, y, alpha, intercept = data(problem)

    def solve(tol: float) -> Array:
        model = Model(
            alpha=alpha,
            fit_intercept=intercept,
            tol=tol,
            max_iter=ITERATIONS,
            prune=True,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # our certificate says whether it converged
            model.fit(X, y)
        return packed(model, intercept)

    return solve
