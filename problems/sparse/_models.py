"""The standard form as a cvxpy model, for oracles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fejer.problems.forms import LinearForm

if TYPE_CHECKING:
    import cvxpy as cp

__all__ = ["squares_model"]


def squares_model(form: LinearForm, per: float) -> cp.Problem:
    """Return penalised least squares as a model; its variables are "w" and, if free, "b"."""
    try:
        import cvxpy as module
    except ImportError as error:
        from fejer.errors import missing

        raise missing("cvxpy", "to_cvxpy", "oracle") from error
    cvxpy: Any = module
    w = cvxpy.Variable(form.l1.size, name="w")
    fit = form.X.native @ w
    if form.intercept:
        fit = fit + cvxpy.Variable(name="b")
    root = np.ones(form.y.size) if form.sample_weight is None else np.sqrt(form.sample_weight)
    objective = 0.5 * cvxpy.sum_squares(cvxpy.multiply(root, form.y - fit))
    if form.l1.any():
        objective += form.l1 @ cvxpy.abs(w)
    if form.l2.any():
        objective += 0.5 * cvxpy.sum_squares(cvxpy.multiply(np.sqrt(form.l2), w))
    below, above = np.isfinite(form.lower), np.isfinite(form.upper)
    constraints = []
    if below.any():
        constraints.append(w[np.flatnonzero(below)] >= form.lower[below])
    if above.any():
        constraints.append(w[np.flatnonzero(above)] <= form.upper[above])
    return cvxpy.Problem(cvxpy.Minimize(objective / per), constraints)
