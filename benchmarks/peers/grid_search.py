"""scikit-learn's GridSearchCV over one penalty, trained and scored on the split of the problem.

A grid ends at its best point and not at a minimum: the certificate says how far that is. A problem
with several penalties gets the best one that they may share.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from fejer.evidence import Array
from fejer.problems.bilevel.ridge_bilevel import RidgeBilevel

__all__ = ["one_penalty"]

POINTS = 30
ITERATIONS = 10_000


def one_penalty(problem: Any) -> Callable[[float], Array]:
    """Prepare the search.

    Parameters
    ----------
    problem : RidgeBilevel or MultinomialBilevel
        With a validation set, and three classes or more.

    Returns
    -------
    callable
        ``solve(tol)``; tol is that of the training of a classifier. Regressions are solved exactly.
    """
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.model_selection import GridSearchCV, PredefinedSplit

    train, held = problem.X_train.toarray(), problem.X_val.toarray()
    X, y = np.vstack([train, held]), np.append(problem.y_train, problem.y_val)
    split = PredefinedSplit(np.repeat([-1, 0], [len(train), len(held)]))
    grid = np.linspace(problem.lower, problem.upper, POINTS)

    def solve(tol: float) -> Array:
        if isinstance(problem, RidgeBilevel):
            model: Any = Ridge(fit_intercept=False)
            values, name, scoring = len(train) * np.exp(grid), "alpha", "neg_mean_squared_error"
        else:
            model = LogisticRegression(fit_intercept=False, tol=tol, max_iter=ITERATIONS)
            values = 1 / (len(train) * (np.exp(grid) + problem.mu0))
            name, scoring = "C", "neg_log_loss"
        search = GridSearchCV(model, {name: values}, scoring=scoring, cv=split, refit=False)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # our certificate says whether it converged
            search.fit(X, y)
        return np.full(problem.size, grid[search.best_index_])

    return solve
