"""The judge of penalised least squares over a box, shared by the classes that are just that."""

from __future__ import annotations

import math

import numpy as np

from fejer.evidence import Array, Certificate, failed
from fejer.jit import kernel
from fejer.problems.forms import LinearForm

from ._design import Design, design_of, frozen
from ._projected import projected_dual

__all__ = ["OUTSIDE", "Squares"]

FOUR_U = 4.0 * 2.0**-53
OUTSIDE = 1e-9  # relative distance from the box beyond which a point is refused


class Squares:
    """``min over w in [lower, upper] of 1/2 ||z - Z w||^2 + sum l1_j |w_j| + 1/2 sum l2_j w_j^2``.

    Parameters
    ----------
    form : LinearForm
        With loss "squared"; weights and constant are taken into Z and z.
    per : float, default 1
        What the user's objective is divided by, against that of the form.
    """

    def __init__(self, form: LinearForm, per: float = 1.0) -> None:
        self.form, self.per = form, per
        self.design: Design = design_of(form.X, form.sample_weight, form.intercept)
        self.z, self.y_mean = self.design.target(form.y)
        self.z_norm = float(np.linalg.norm(self.z))
        self.free = not (form.l1.any() or form.l2.any())  # no penalty: no dual point in general
        self.boxed = bool(np.isfinite(form.lower).any() or np.isfinite(form.upper).any())
        self.unbounded = bool(
            (~np.isfinite(form.upper - form.lower) & (self.design.sq_norms > 0)).any()
        )
        self.start = np.clip(0.0, form.lower, form.upper)
        r = self.z - self.design.product(self.start)
        self.null_corr = frozen(self.design.adjoint(r))
        penalty = form.l1 * np.abs(self.start) + 0.5 * form.l2 * self.start**2
        null = 0.5 * float(r @ r) + float(penalty.sum())
        if form.intercept:
            largest = float(np.abs(form.y).max())
            if null <= self.design.total * (FOUR_U * largest) ** 2:  # y is constant
                null = 0.5 * float(np.sum((self.design.root * form.y) ** 2))  # type: ignore[operator]
        self.null = null or 1.0

    def best_point(self, w: Array) -> Array:
        """The variable of the problem: w, and the best constant behind it where there is one."""
        if self.design.mean is None:
            return np.array(w)
        return np.append(w, self.y_mean - float(self.design.mean @ w))

    def certificate(self, x: Array) -> Certificate:
        """Judge a point of the problem's variable."""
        form, design = self.form, self.design
        w = np.array(x[: form.l1.size])
        distance = self._enter_box(w) if self.boxed else 0.0
        if distance > OUTSIDE:
            return failed("duality gap", f"x leaves its bounds by {distance:.3g} (relative)")
        r = design.product(w)
        np.subtract(self.z, r, out=r)
        extra = extra_floor = 0.0
        centred = True
        if design.mean is not None:
            root, total, b = design.root, design.total, float(x[-1])
            for _ in range(2):
                r -= root * (float(root @ r) / total)  # type: ignore[operator]
            left, moduli = abs(float(root @ r)), float(root @ np.abs(r))  # type: ignore[operator]
            centred = left <= r.size * FOUR_U * moduli
            off = self.y_mean - float(design.mean @ w) - b
            terms = abs(self.y_mean) + float(np.abs(design.mean) @ np.abs(w)) + abs(b)
            error = FOUR_U * (terms + float(design.norms @ np.abs(w)) / math.sqrt(total))
            extra = 0.5 * total * off * off
            extra_floor = total * (abs(off) * error + 0.5 * error * error)
        c = design.adjoint(r)
        fun, dual, floor, lost = duality(
            self.z,
            r,
            c,
            w,
            form.l1,
            form.l2,
            form.lower,
            form.upper,
            design.norms,
            self.z_norm,
            extra,
        )
        if not centred:
            dual = lost = 0.0
        scale = min(self.null, max(fun, 1e-6 * self.null))
        kind, rigorous = "duality gap", True
        if self.free and (self.unbounded or fun - dual + lost > 1e-10 * scale):
            other = projected_dual(self, w, r)
            if other is None:
                kind, rigorous = "projected residual", False
            elif not dual - lost >= other:
                dual, lost = other, 0.0
        floor += extra_floor + lost + FOUR_U * abs(dual)
        gap = max(fun - dual, 0.0)
        value = (gap + floor) / scale + distance
        if not rigorous:
            value = self._residual(w, c) + floor / scale + distance
        if not math.isfinite(scale):
            value = math.inf
        reason = "" if value < math.inf else "overflow"
        per = self.per
        return Certificate(
            kind,
            value,
            fun / per,
            rigorous,
            scale=scale / per,
            reason=reason,
            lower_bound=(dual - floor) / per,
            details={"gap": gap / per, "gap_over_null": gap / self.null, "floor": floor / scale},
        )

    def _enter_box(self, w: Array) -> float:
        """Project w on the box in place; return how far it was outside, relative to the data."""
        lower, upper = self.form.lower, self.form.upper
        if (w >= lower).all() and (w <= upper).all():
            return 0.0
        inside = np.clip(w, lower, upper)
        moved = np.abs(w - inside)
        w[:] = inside
        norms = self.design.norms
        largest = float(norms.max())
        size = max(float(np.abs(inside).max()), self.z_norm / largest if largest else 0.0)
        fitted = max(self.z_norm, float((norms * np.abs(inside)).max()))
        return max(float(moved.max()) / (size or 1.0), float((norms * moved).max()) / (fitted or 1))

    def _residual(self, w: Array, c: Array) -> float:
        """The largest step of exact coordinate minimisation, in units of the target."""
        norms, sq_norms = self.design.norms, self.design.sq_norms
        step = np.divide(c, sq_norms, out=np.zeros_like(c), where=sq_norms > 0)
        moved = w - np.clip(w + step, self.form.lower, self.form.upper)
        return float((norms * np.abs(moved)).max()) / (self.z_norm or 1.0)


@kernel
def duality(z, r, c, w, l1, l2, lower, upper, norms, z_norm, extra):
    """Objective at w, a lower bound of its minimum, and what rounding can do to each and to c.

    The bound is the dual function ``s z'r - 1/2 s^2 ||r||^2 + sum_j m_j(s c_j)`` at the better of
    two multiples s of the residual ``r = z - Z w``, with ``c = Z'r`` and ``m_j`` as in `support`.
    """
    rr = 0.0
    zr = 0.0
    for i in range(r.size):
        rr += r[i] * r[i]
        zr += z[i] * r[i]
    size = math.sqrt(rr)
    penalty = 0.0
    reach = 0.0
    curved = 0.0
    held = 0.0
    worst = 0.0
    for j in range(w.size):
        m = abs(w[j])
        penalty += l1[j] * m + 0.5 * l2[j] * m * m
        reach += norms[j] * m
        if l1[j] > 0.0:
            # The multiple that brings c inside the dual box, unless a bound pays for the rest.
            push = c[j] - l2[j] * w[j]
            slack = FOUR_U * norms[j] * size
            if w[j] < upper[j] and push + slack > worst * l1[j]:
                worst = (push + slack) / l1[j]
            if w[j] > lower[j] and slack - push > worst * l1[j]:
                worst = (slack - push) / l1[j]
        if lower[j] < w[j] < upper[j]:
            curved += l2[j] * w[j] * w[j]
        else:
            held += c[j] * w[j]
    fun = 0.5 * rr + extra + penalty
    error = FOUR_U * (reach + z_norm)
    floor = size * error + 0.5 * error * error + FOUR_U * fun

    total, lost = support(c, w, l1, l2, lower, upper, norms, 1.0, size, fun)
    dual = zr - 0.5 * rr + total
    s = (zr - held) / (rr + curved) if rr + curved > 0.0 else 1.0
    if worst * s > 1.0:
        s = 1.0 / worst
    s = max(s, 0.0)
    if s != 1.0:
        total, other_lost = support(c, w, l1, l2, lower, upper, norms, s, size, fun)
        other = s * zr - 0.5 * s * s * rr + total
        if other - other_lost > dual - lost:
            dual = other
            lost = other_lost
    if 0.0 > dual:  # the objective is a sum of squares and moduli
        dual = 0.0
        lost = 0.0
    return fun, dual, floor, lost


@kernel
def support(c, w, l1, l2, lower, upper, norms, s, size, fun):
    """``sum_j m_j(s c_j)``, m_j(t) the least ``-t v + l1 |v| + 1/2 l2 v^2`` over the box.

    The box is cut to where the penalty of one coordinate does not exceed the objective at w: the
    solution lies there, and infinite bounds become finite.  m_j is taken at the worse end of what
    rounding leaves open of c_j; the second result is what this costs.
    """
    total = 0.0
    lost = 0.0
    for j in range(c.size):
        t = s * c[j]
        slack = FOUR_U * norms[j] * size * s
        if abs(t) + slack <= l1[j] and lower[j] <= 0.0 <= upper[j]:
            continue
        cut = math.inf
        if l1[j] > 0.0:
            cut = fun / l1[j]
        if l2[j] > 0.0:
            cut = min(cut, math.sqrt(2.0 * fun / l2[j]))
        low = min(max(lower[j], -cut), w[j])
        high = max(min(upper[j], cut), w[j])
        least = math.inf
        cost = 0.0
        for side in range(2):
            end = t + slack if side == 1 else t - slack
            v = 0.0
            if end > l1[j]:
                v = (end - l1[j]) / l2[j] if l2[j] > 0.0 else math.inf
            elif end < -l1[j]:
                v = (end + l1[j]) / l2[j] if l2[j] > 0.0 else -math.inf
            v = min(max(v, low), high)
            if math.isinf(v):
                return -math.inf, 0.0
            m = -end * v + l1[j] * abs(v) + 0.5 * l2[j] * v * v
            if m < least:
                least = m
                cost = slack * abs(v)
        total += least
        lost += cost
    return total, lost
