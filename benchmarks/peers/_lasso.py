"""What the rivals for the Lasso are given."""

from __future__ import annotations

from typing import Any

import numpy as np

from fejer.errors import ProblemError
from fejer.evidence import Array
from fejer.problems.sparse.lasso import Lasso


def data(problem: Lasso) -> tuple[Any, Array, float, bool]:
    """Return X (Fortran order or CSC), y, alpha of ``1/(2n) ||y - X w||^2 + alpha ||w||_1``."""
    form = problem.form()
    bounded = np.isfinite(form.lower).any() or np.isfinite(form.upper).any()
    if np.ptp(form.l1) > 0 or form.l2.any() or bounded or form.sample_weight is not None:
        raise ProblemError("only a plain Lasso can be compared")
    X = form.X.native
    X = X.copy() if hasattr(X, "tocsc") else np.array(X, order="F")
    return X, np.array(form.y), float(form.l1[0]) / form.y.size, bool(form.intercept)


def packed(model: Any, intercept: bool) -> Array:
    """Return the coefficients of a fitted model, and its constant where there is one."""
    coefficients = np.asarray(model.coef_, dtype=np.float64).ravel()
    return np.append(coefficients, model.intercept_) if intercept else coefficients
