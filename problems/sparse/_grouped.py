"""The judge of least squares and logistic regression under group norms."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fejer.evidence import Array, Certificate
from fejer.jit import kernel
from fejer.problems.forms import LinearForm

from ._logits import Logits, logistic_pull
from ._squares import FOUR_U, Squares

__all__ = ["Grouped"]


class Grouped:
    """``loss(X w; y) + sum_g a_g ||w_g|| + sum l1_j |w_j|``.

    Parameters
    ----------
    form : LinearForm
        With groups, no bounds, no ``l2``, no constant and no sample weights.
    per : float, default 1
        What the user's objective is divided by, against that of the form.
    """

    def __init__(self, form: LinearForm, per: float = 1.0) -> None:
        self.form, self.per = form, per
        parts: Any = form
        self.groups, self.weights = parts.groups, parts.group_weights
        self.logistic = form.loss == "logistic"
        self.plain: Squares | Logits | None = None
        if not (self.weights.any() or form.l1.any()):
            self.plain = Logits(form, per) if self.logistic else Squares(form, per)
        self.norms = np.sqrt(form.X.column_sq_norms())
        self.y_norm = float(np.linalg.norm(form.y))
        n = form.y.size
        self.s = np.ones(n)
        self.null = (n * math.log(2.0) if self.logistic else 0.5 * self.y_norm**2) or 1.0
        pull = 0.5 * form.y if self.logistic else form.y
        self.null_corr = form.X.rmatvec(pull)

    def norms_of(self, v: Array) -> Array:
        """The norm of each group of a vector."""
        largest = float(np.abs(v).max()) or 1.0
        squares = np.bincount(self.groups, (v / largest) ** 2, minlength=self.weights.size)
        return largest * np.sqrt(squares)

    def certificate(self, x: Array) -> Certificate:
        """Judge a point."""
        if self.plain is not None:
            return self.plain.certificate(x)
        form, weights = self.form, self.weights
        fit = form.X.matvec(x)
        pull = np.empty_like(fit)
        if self.logistic:
            loss = logistic_pull(fit, form.y, self.s, pull)
        else:
            np.subtract(form.y, fit, out=pull)
            loss = 0.5 * float(pull @ pull)
        c = form.X.rmatvec(pull)
        size = float(np.linalg.norm(pull))
        fun = loss + float(weights @ self.norms_of(x)) + float(form.l1 @ np.abs(x))
        target = 1.0
        if not self.logistic and size > 0.0:
            target = max(float(form.y @ pull) / size**2, 0.0)
        dual = 0.0
        slack = FOUR_U * self.norms * size
        squares = np.empty_like(weights)
        for t in (1.0, inside(c, slack, self.groups, weights, form.l1, target, squares)):
            value = self._loss_bound(pull, t)
            value -= FOUR_U * abs(value)
            value -= excess(c, slack, self.groups, weights, form.l1, t, fun, squares)
            dual = max(dual, value) if value == value else dual
        error = FOUR_U * (float(self.norms @ np.abs(x)) + (0.0 if self.logistic else self.y_norm))
        floor = size * error + 0.5 * error * error + FOUR_U * fun
        scale = min(self.null, max(fun, 1e-6 * self.null))
        gap = max(fun - dual, 0.0)
        value = (gap + floor) / scale if math.isfinite(scale) else math.inf
        per = self.per
        return Certificate(
            "duality gap",
            value,
            fun / per,
            True,
            scale=scale / per,
            reason="" if value < math.inf else "overflow",
            lower_bound=(dual - floor) / per,
            details={"gap": gap / per, "gap_over_null": gap / self.null, "floor": floor / scale},
        )

    def _loss_bound(self, pull: Array, t: float) -> float:
        """Minus the conjugate of the loss at the multiple t of the dual point."""
        if not self.logistic:
            return t * float(self.form.y @ pull) - 0.5 * t * t * float(pull @ pull)
        q = t * np.abs(pull)
        part = q[(q > 0.0) & (q < 1.0)]
        return -float(part @ np.log(part) + (1.0 - part) @ np.log1p(-part))


@kernel
def over(c, slack, groups, weights, l1, t, squares):
    """The largest ``||soft(t c_g, l1)|| - a_g``, the first term from above."""
    squares[:] = 0.0
    for j in range(c.size):
        m = t * (abs(c[j]) + slack[j]) - l1[j]
        if m > 0.0:
            squares[groups[j]] += m * m
    worst = -math.inf
    for g in range(weights.size):
        worst = max(worst, math.sqrt(squares[g]) - weights[g])
    return worst


@kernel
def inside(c, slack, groups, weights, l1, target, squares):
    """The largest t up to `target` at which the dual point is feasible, by bisection from below."""
    if over(c, slack, groups, weights, l1, target, squares) <= 0.0:
        return target
    low = 0.0
    high = target
    for _ in range(60):
        t = 0.5 * (low + high)
        if over(c, slack, groups, weights, l1, t, squares) <= 0.0:
            low = t
        else:
            high = t
    return low


@kernel
def excess(c, slack, groups, weights, l1, t, fun, squares):
    """What infeasibility costs over the sublevel set, ``||w_g|| <= fun / (a_g + least l1)``."""
    if over(c, slack, groups, weights, l1, t, squares) <= 0.0:
        return 0.0
    least = math.inf
    for j in range(l1.size):
        least = min(least, l1[j])
    total = 0.0
    for g in range(weights.size):
        more = math.sqrt(squares[g]) - weights[g]
        if more > 0.0:
            if weights[g] + least <= 0.0:
                return math.inf
            total += more * fun / (weights[g] + least)
    return total
