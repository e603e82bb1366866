"""What block coordinate and proximal gradient methods need of a `LinearForm`."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fejer.evidence import Array
from fejer.problems.forms import LinearForm
from fejer.problems.sparse._design import Design, design_of, frozen

from ._partitions import hessian_row_sums

__all__ = ["Squared", "penalty", "squared"]


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

    @property
    def l1(self) -> Array:
        """Weights of the moduli."""
        return self.form.l1

    @property
    def l2(self) -> Array:
        """Weights of the squares."""
        return self.form.l2

    @property
    def lower(self) -> Array:
        """Lower bounds."""
        return self.form.lower

    @property
    def upper(self) -> Array:
        """Upper bounds."""
        return self.form.upper

    @property
    def bound(self) -> float:
        """Bound of the largest eigenvalue of ``Z'Z``."""
        return self.design.spectral_norm() ** 2

    def product(self, w: Array) -> Array:
        """``Z w``."""
        return self.design.product(w)

    def adjoint(self, r: Array) -> Array:
        """``Z'r``."""
        return self.design.adjoint(r)

    def pull(self, fit: Array) -> Array:
        """Minus the gradient of the loss with respect to Z w: the residual."""
        return self.z - fit

    def columns(self, chosen: NDArray[np.intp]) -> Array:
        """Columns of Z as a dense array."""
        return self.design.columns(chosen)

    def hessian(self, fit: Array, chosen: NDArray[np.intp]) -> Array:
        """The Hessian of the loss over chosen coefficients."""
        columns = self.design.columns(chosen)
        return np.asarray(columns.T @ columns)

    def block_bound(self, chosen: NDArray[np.intp], columns: Array) -> Array:
        """The Hessian of the loss over chosen coefficients with these columns."""
        return np.asarray(columns.T @ columns)

    def bounded(self, fit: Array) -> Array:
        """The Hessian with respect to Z w, times fit."""
        return fit

    def row_sums(self) -> Array:
        """``sum_j |H_ij|`` of the Hessian of the loss."""
        design = self.design

        def product(B: Array) -> Array:
            if design.implicit:
                return np.column_stack([design.adjoint(column) for column in B.T])
            return design.matrix.rmatmat(B)

        return hessian_row_sums(design.columns, self.form.l1.size, product)

    def loss(self, fit: Array) -> float:
        """Half the sum of squared residuals."""
        r = self.z - fit
        return 0.5 * float(r @ r)

    def penalty(self, w: Array) -> float:
        """The penalty at w."""
        return penalty(self.form, self.l1, self.l2, w)

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
        return self.loss(self.product(w)) + self.penalty(w)


def penalty(form: LinearForm, l1: Array, l2: Array, w: Array) -> float:
    """The penalty of a form at w, with these weights of its coordinates."""
    total = float(l1 @ np.abs(w)) + 0.5 * float(l2 @ (w * w))
    if form.groups is not None and form.group_weights is not None:
        squares = np.bincount(form.groups, w * w, minlength=form.group_weights.size)
        total += float(form.group_weights @ np.sqrt(squares))
    if form.prox is not None:
        total += form.prox_weight * float(form.prox.value(w))
    return total


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
