"""The judge of penalised logistic regression."""

from __future__ import annotations

import math

import numpy as np

from fejer.evidence import Array, Certificate, failed
from fejer.jit import kernel
from fejer.numerics.elementary import exp, softplus
from fejer.problems.forms import LinearForm

from ._squares import FOUR_U, OUTSIDE, support

__all__ = ["Logits"]

LARGEST = 40_000_000  # entries of the data beyond which no decomposition is made
CUT = 1e-13  # relative singular value below which a direction is rounding


class Logits:
    """``min over w, b of sum_i s_i log(1 + exp(-y_i z_i)) + penalty``, ``z = X w + b``.

    The penalty is ``sum l1_j |w_j| + 1/2 sum l2_j w_j^2``; coefficients whose bounds are both 0
    are left out.

    Parameters
    ----------
    form : LinearForm
        With loss "logistic".
    per : float, default 1
        What the user's objective is divided by, against that of the form.
    """

    def __init__(self, form: LinearForm, per: float = 1.0) -> None:
        self.form, self.per = form, per
        n = form.y.size
        self.s = np.ones(n) if form.sample_weight is None else form.sample_weight
        self.norms = np.sqrt(form.X.column_sq_norms())
        self.out = form.upper == 0.0
        kept = ~self.out
        self.free = not (form.l1[kept].any() or form.l2[kept].any())
        self.classes = np.array([self.s[form.y < 0].sum(), self.s[form.y > 0].sum()])
        total = float(self.s.sum())
        self.null_intercept = 0.0
        if form.intercept:
            self.null_intercept = math.log(self.classes[1] / self.classes[0])
        shares = self.classes / total if form.intercept else np.array([0.5, 0.5])
        self.null = -float(self.classes @ np.log(shares))
        pull = self.s * form.y * (shares[0] if form.intercept else 0.5)
        if form.intercept:
            pull = np.where(form.y > 0, pull, -self.s * shares[1])
        self.null_corr = form.X.rmatvec(pull)

    def certificate(self, x: Array) -> Certificate:
        """Judge a point of the problem's variable."""
        form, kind = self.form, "duality gap"
        d = form.l1.size
        w = np.array(x[:d])
        b = float(x[-1]) if form.intercept else 0.0
        outside = float((self.norms * np.abs(w))[self.out].max(initial=0.0))
        if outside > OUTSIDE:
            return failed(kind, f"x has excluded coefficients (fit {outside:.3g})")
        w[self.out] = 0.0
        z = form.X.matvec(w) + b
        pull = np.empty_like(z)
        loss = logistic_pull(z, form.y, self.s, pull)
        q = np.abs(pull)
        balanced = True
        if form.intercept:
            up, down = float(q[form.y > 0].sum()), float(q[form.y < 0].sum())
            least = min(up, down)
            for sign, part in ((1.0, up), (-1.0, down)):
                if part > least:
                    pull[form.y == sign] *= least / part
            q = np.abs(pull)
            balanced = least > 0.0 and abs(float(pull.sum())) <= z.size * FOUR_U * float(q.sum())
        c = form.X.rmatvec(pull)
        size = float(np.linalg.norm(q))
        fun, dual, floor, lost = logistic_duality(
            q, self.s, c, w, form.l1, form.l2, form.lower, form.upper, self.norms, size, loss
        )
        if not balanced:
            dual = lost = 0.0
        error = FOUR_U * (float(self.norms @ np.abs(w)) + abs(b) * math.sqrt(z.size))
        floor += size * error + 0.125 * float(self.s.max()) * error * error
        scale = min(self.null, max(fun, 1e-6 * self.null))
        gap, rigorous = max(fun - dual, 0.0), True
        value = (gap + lost + floor) / scale + outside
        if self.free:
            kind, rigorous = "projected decrement", False
            value = self._decrement(z, q, pull, scale) + floor / scale + outside
        if not math.isfinite(scale):
            value = math.inf
        per = self.per
        return Certificate(
            kind,
            value,
            fun / per,
            rigorous,
            scale=scale / per,
            reason="" if value < math.inf else "overflow",
            lower_bound=(dual - lost - floor) / per,
            details={
                "gap": gap / per,
                "gap_over_null": gap / self.null,
                "floor": (floor + lost) / scale,
            },
        )

    def _decrement(self, z: Array, q: Array, pull: Array, scale: float) -> float:
        """Newton decrement ``g'H^+ g`` over the scale; where that is too large, the gradient."""
        form = self.form
        logistic_pull(z, form.y, self.s, pull)
        norms = np.where(self.norms > 0, self.norms, 1.0)
        steep = np.abs(form.X.rmatvec(pull))[~self.out] / norms[~self.out]
        constant = abs(float(pull.sum())) / math.sqrt(z.size) if form.intercept else 0.0
        plain = max(float(steep.max(initial=0.0)), constant) / math.sqrt(z.size)
        if z.size * form.l1.size > LARGEST:
            return plain
        columns = form.X.toarray() / norms
        columns = columns[:, ~self.out]
        if form.intercept:
            columns = np.column_stack([columns, np.full(z.size, z.size**-0.5)])
        q = np.abs(pull)
        root = np.sqrt(np.maximum(q * (1.0 - q / self.s), 1e-300))
        U, sizes, Vt = np.linalg.svd(root[:, None] * columns, full_matrices=False)
        kept = sizes > CUT * sizes[0]
        along = U[:, kept].T @ (pull / root)
        g = columns.T @ pull
        lost = g - Vt[kept].T @ (Vt[kept] @ g)
        left = float(np.linalg.norm(lost)) / math.sqrt(z.size)
        return float(along @ along) / scale + left


@kernel
def logistic_pull(z, y, s, pull):
    """``pull_i = s_i y_i / (1 + exp(y_i z_i))``, minus the gradient; returns the loss."""
    loss = 0.0
    for i in range(z.size):
        m = y[i] * z[i]
        pull[i] = s[i] * y[i] / (1.0 + exp(m)) if m < 700.0 else 0.0
        loss += s[i] * softplus(-m)
    return loss


@kernel
def logistic_duality(q, s, c, w, l1, l2, lower, upper, norms, size, loss):
    """Objective, a lower bound of its minimum, what rounding does to the first, and to the second.

    The bound is ``sum_i s_i H(t q_i/s_i) + sum_j m_j(t c_j)``, H the entropy of a coin and m_j as
    in `support`, at the better of two multiples t of the given dual point.
    """
    penalty = 0.0
    worst = 0.0
    for j in range(w.size):
        m = abs(w[j])
        penalty += l1[j] * m + 0.5 * l2[j] * m * m
        if l1[j] > 0.0:
            steep = abs(c[j] - l2[j] * w[j]) + FOUR_U * norms[j] * size
            worst = max(worst, steep / l1[j])
    fun = loss + penalty
    dual = 0.0
    lost = 0.0
    for trial in range(2):
        t = 1.0 if trial == 0 else 1.0 / worst if worst > 1.0 else 1.0
        total, cost = support(c, w, l1, l2, lower, upper, norms, t, size, fun)
        entropy = 0.0
        for i in range(q.size):
            p = t * q[i] / s[i]
            if 0.0 < p < 1.0:
                entropy -= s[i] * (p * math.log(p) + (1.0 - p) * math.log1p(-p))
        cost += FOUR_U * entropy
        if entropy + total - cost > dual - lost:
            dual = entropy + total
            lost = cost
    return fun, dual, FOUR_U * fun, lost
