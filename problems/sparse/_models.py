"""The standard form as a cvxpy model, for oracles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fejer.problems.forms import LinearForm

if TYPE_CHECKING:
    import cvxpy as cp

__all__ = ["group_model", "logistic_model", "oracle", "squares_model"]


def squares_model(form: LinearForm, per: float) -> cp.Problem:
    """Return penalised least squares as a model; its variables are "w" and, if free, "b"."""
    cvxpy, w, fit = _variables(form)
    root = np.ones(form.y.size) if form.sample_weight is None else np.sqrt(form.sample_weight)
    objective = 0.5 * cvxpy.sum_squares(cvxpy.multiply(root, form.y - fit))
    return _penalised(cvxpy, form, w, objective, per)


def logistic_model(form: LinearForm, per: float) -> cp.Problem:
    """Return penalised logistic regression as a model, with the same variables."""
    cvxpy, w, fit = _variables(form)
    weights = np.ones(form.y.size) if form.sample_weight is None else form.sample_weight
    objective = weights @ cvxpy.logistic(cvxpy.multiply(-form.y, fit))
    return _penalised(cvxpy, form, w, objective, per)


def group_model(form: LinearForm, per: float) -> cp.Problem:
    """Return a loss under group norms as a model, with the same variables."""
    cvxpy, w, fit = _variables(form)
    if form.loss == "logistic":
        objective = cvxpy.sum(cvxpy.logistic(cvxpy.multiply(-form.y, fit)))
    else:
        objective = 0.5 * cvxpy.sum_squares(form.y - fit)
    for g, weight in enumerate(form.group_weights):  # type: ignore[arg-type]
        objective += weight * cvxpy.norm(w[np.flatnonzero(form.groups == g)])
    return _penalised(cvxpy, form, w, objective, per)


def oracle() -> Any:
    """Return cvxpy, or say how to install it."""
    try:
        import cvxpy
    except ImportError as error:
        from fejer.errors import missing

        raise missing("cvxpy", "to_cvxpy", "oracle") from error
    return cvxpy


def _variables(form: LinearForm) -> tuple[Any, Any, Any]:
    cvxpy = oracle()
    w = cvxpy.Variable(form.l1.size, name="w")
    fit = form.X.native @ w
    return cvxpy, w, fit + cvxpy.Variable(name="b") if form.intercept else fit


def _penalised(cvxpy: Any, form: LinearForm, w: Any, objective: Any, per: float) -> Any:
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
