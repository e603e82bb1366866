"""Smooth losses under a separable penalty, as coordinate and proximal gradient methods see them.

`smooth` turns a problem's form into an object with the members of `Squared`: the penalty and the
box of each coordinate (``l1, l2, lower, upper``), ``enter`` and ``leave`` between the problem's
variable and the method's, ``product`` and ``adjoint`` of the data, ``pull`` (minus the gradient
with respect to the product), ``loss``, and the ``bound`` of the Hessian's norm.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fejer.evidence import Array
from fejer.jit import kernel
from fejer.numerics.elementary import exp
from fejer.problems.forms import LinearForm
from fejer.problems.sparse._design import design_of, frozen
from fejer.problems.sparse._logits import logistic_pull

from ._linear import Squared, penalty, squared
from ._multinomial import Multinomial
from ._partitions import hessian_row_sums

__all__ = ["Logit", "Smooth", "sigmoid_pull", "smooth", "unsupported"]

LOSSES = ("squared", "logistic", "multinomial")


class Logit:
    """``sum_i s_i log(1 + exp(-y_i z_i))``, ``z = Z w + b``, b as the last coordinate where it is.

    Parameters
    ----------
    form : LinearForm
        With loss "logistic".
    centred : bool
        Whether the columns are centred where there is a constant; b is then that of the centred
        columns.
    """

    def __init__(self, form: LinearForm, centred: bool) -> None:
        self.form = form
        self.constant = form.intercept
        self.design = design_of(form.X, None, form.intercept and centred)
        n = form.y.size
        self.y = form.y
        self.s = frozen(np.ones(n)) if form.sample_weight is None else form.sample_weight
        extra = np.zeros(int(self.constant))
        self.l1 = frozen(np.append(form.l1, extra))
        self.l2 = frozen(np.append(form.l2, extra))
        self.lower = frozen(np.append(form.lower, extra - np.inf))
        self.upper = frozen(np.append(form.upper, extra + np.inf))

    @property
    def size(self) -> int:
        """Number of coordinates, the constant included."""
        return self.l1.size

    @property
    def bound(self) -> float:
        """Bound of the largest eigenvalue of the Hessian of the loss."""
        norm = self.design.spectral_norm() ** 2
        if self.constant:
            n = float(self.y.size)
            norm = max(norm, n) if self.design.mean is not None else norm + n
        return 0.25 * float(self.s.max()) * norm

    def curvature(self) -> Array:
        """Bound of each diagonal entry of the Hessian of the loss."""
        matrix = self.design.matrix
        if matrix.is_sparse:
            indptr, indices, data = matrix.csc
            column = np.repeat(np.arange(matrix.shape[1]), np.diff(indptr))
            q = np.bincount(column, self.s[indices] * data * data, minlength=matrix.shape[1])
        else:
            q = np.array([self.s @ (column * column) for column in matrix.dense.T])
        extra = [float(self.s.sum())] if self.constant else []
        return frozen(0.25 * np.append(q, extra))

    def enter(self, x: Array) -> Array:
        """The coordinates of a point, projected on the box."""
        w = np.clip(x, self.lower, self.upper)
        if self.design.mean is not None:
            w[-1] += float(self.design.mean @ w[:-1])
        return w

    def leave(self, w: Array) -> Array:
        """The point of these coordinates."""
        x = np.array(w)
        if self.design.mean is not None:
            x[-1] -= float(self.design.mean @ w[:-1])
        return x

    def product(self, w: Array) -> Array:
        """``Z w + b``."""
        if not self.constant:
            return self.design.product(w)
        return self.design.product(w[:-1]) + w[-1]

    def adjoint(self, r: Array) -> Array:
        """``(Z'r, 1'r)``."""
        c = self.design.adjoint(r)
        return np.append(c, r.sum()) if self.constant else c

    def pull(self, fit: Array) -> Array:
        """Minus the gradient of the loss with respect to z."""
        out = np.empty_like(fit)
        sigmoid_pull(fit, self.y, self.s, out)
        return out

    def columns(self, chosen: NDArray[np.intp]) -> Array:
        """Columns of Z as a dense array; that of the constant is of ones."""
        p = self.design.matrix.shape[1]
        if not chosen.size or chosen[-1] < p:
            return self.design.columns(chosen)
        ones = np.ones((self.design.matrix.shape[0], 1))
        return np.hstack([self.design.columns(chosen[:-1]), ones]) if chosen.size > 1 else ones

    def hessian(self, fit: Array, chosen: NDArray[np.intp]) -> Array:
        """The Hessian of the loss over chosen coordinates, which ascend."""
        q = np.abs(self.pull(fit))
        rows = np.sqrt(q * (1.0 - q / self.s))[:, None] * self.columns(chosen)
        return np.asarray(rows.T @ rows)

    def block_bound(self, chosen: NDArray[np.intp], columns: Array) -> Array:
        """Bound of the Hessian of the loss over chosen coordinates with these columns."""
        return np.asarray(columns.T @ (columns * (0.25 * self.s)[:, None]))

    def bounded(self, fit: Array) -> Array:
        """The bound of the Hessian with respect to z, times fit."""
        return 0.25 * self.s * fit

    def row_sums(self) -> Array:
        """``sum_j |H_ij|`` of the bound of the Hessian."""
        return hessian_row_sums(
            lambda b: (0.25 * self.s)[:, None] * self.columns(b),
            self.size,
            lambda B: np.column_stack([self.adjoint(column) for column in B.T]),
        )

    def loss(self, fit: Array) -> float:
        """The loss at z."""
        return float(logistic_pull(fit, self.y, self.s, np.empty_like(fit)))

    def penalty(self, w: Array) -> float:
        """The penalty at w."""
        return penalty(self.form, self.l1, self.l2, w)

    def value(self, w: Array) -> float:
        """The objective at w, in the scaling of the form."""
        return self.loss(self.product(w)) + self.penalty(w)


@kernel
def sigmoid_pull(z, y, s, out):
    """``out_i = s_i y_i / (1 + exp(y_i z_i))``."""
    for i in range(z.size):
        out[i] = s[i] * y[i] / (1.0 + exp(y[i] * z[i]))


Smooth: TypeAlias = Squared | Logit | Multinomial


def smooth(problem: Any, centred: bool = True) -> Smooth:
    """Return the problem's loss with its matrix prepared; kept with the form.

    Parameters
    ----------
    problem : Blockwise
        The problem.
    centred : bool, default True
        Whether columns are centred for the sake of a constant; least squares always are.
    """
    form: Any = problem.form()
    if form.loss == "squared":
        return squared(problem)
    memo = form.__dict__
    key = "_logit" if centred or not form.intercept else "_raw_logit"
    if key not in memo:
        memo[key] = (Logit if form.loss == "logistic" else Multinomial)(form, centred)
    return memo[key]  # type: ignore[no-any-return]


def unsupported(problem: Any, *, whole: bool = False) -> str | None:
    """Return why a problem's form is none of those that `smooth` takes.

    Parameters
    ----------
    problem : Blockwise
        The problem.
    whole : bool, default False
        Whether the method takes penalties that couple all coefficients.
    """
    form = problem.form()
    if not isinstance(form, LinearForm) or form.loss not in LOSSES:
        return "its loss is neither a sum of squares nor logistic nor multinomial"
    if form.prox is not None and not whole:
        return "its penalty couples all coefficients"
    return None
