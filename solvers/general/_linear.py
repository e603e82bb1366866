"""What block coordinate and proximal gradient methods need of a `LinearForm`."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fejer.evidence import Array
from fejer.problems.forms import LinearForm
from fejer.problems.sparse._design import Design, design_of, frozen

__all__ = ["Squared", "squared", "unsupported"]


class Squared(NamedTuple):
    """``1/2 ||z - Z w||^2 + sum l1_j |w_j| + 1/2 sum l2_j w_j^2`` over a box, ready for kernels.

    Attributes
    ----------
    form : LinearForm
        What it was made of.
    design : Design
        Z: weights and constant are taken in.
    z : array, shape (n,)
        The target, treated likewise.
    y_mean : float
        Mean of the target, where there is a constant.
    curvature : array, shape (d,)
        ``||Z_j||^2 + l2_j``.
    """

    form: LinearForm
    design: Design
    z: Array
    y_mean: float
    curvature: Array

    def enter(self, x: Array) -> Array:
        """The coefficients of a point, projected on the box."""
        form = self.form
        return np.clip(x[: form.l1.size], form.lower, form.upper)

    def leave(self, w: Array) -> Array:
        """The point of these coefficients, with the best constant behind them."""
        if self.design.mean is None:
            return w
        return np.append(w, self.y_mean - float(self.design.mean @ w))

    def value(self, w: Array) -> float:
        """The objective at w with the best constant, in the scaling of the form."""
        form = self.form
        r = self.z - self.design.product(w)
        penalty = form.l1 * np.abs(w) + 0.5 * form.l2 * w * w
        return 0.5 * float(r @ r) + float(penalty.sum())


def squared(problem: Any) -> Squared:
    """Return the problem's form with its matrix prepared; kept with the form."""
    form = problem.form()
    memo = form.__dict__
    if "_squared" not in memo:
        design = design_of(form.X, form.sample_weight, form.intercept)
        z, mean = design.target(form.y)
        curvature = frozen(design.sq_norms + form.l2)
        memo["_squared"] = Squared(form, design, z, mean, curvature)
    return memo["_squared"]  # type: ignore[no-any-return]


def unsupported(problem: Any) -> str | None:
    """Return why a problem's form is none of those that `squared` takes."""
    form = problem.form()
    if not isinstance(form, LinearForm) or form.loss != "squared":
        return "its loss is not a sum of squares"
    if form.groups is not None:
        return "its penalty has groups"
    return None
