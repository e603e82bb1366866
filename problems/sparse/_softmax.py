"""The judge of penalised multinomial regression."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fejer.evidence import Array, Certificate, failed
from fejer.jit import kernel
from fejer.numerics.elementary import exp
from fejer.problems.forms import LinearForm

from ._squares import FOUR_U, OUTSIDE, support

__all__ = ["Softmax", "softmax_pull"]

LARGEST = 1500  # coefficients beyond which no Hessian is decomposed
CUT = 1e-13  # relative eigenvalue below which a direction is rounding
NEWTON_STEPS = 100
HALVINGS = 60
BALANCED = 1e-12


class Softmax:
    """``min over B, b of sum_i s_i (log sum_k exp(z_ik) - z_{i, y_i}) + penalty``, ``Z = X B + b``.

    The penalty is ``sum l1_jk |B_jk| + 1/2 sum l2_jk B_jk^2``; coefficients whose bounds are both 0
    are left out.

    Parameters
    ----------
    form : LinearForm
        With loss "multinomial".
    per : float, default 1
        What the user's objective is divided by, against that of the form.
    """

    def __init__(self, form: LinearForm, per: float = 1.0) -> None:
        self.form, self.per, self.classes = form, per, form.n_classes
        self.y = form.y.astype(np.int64)
        n = self.y.size
        self.s = np.ones(n) if form.sample_weight is None else form.sample_weight
        self.norms = np.repeat(np.sqrt(form.X.column_sq_norms()), self.classes)
        self.out = form.upper == 0.0
        kept = ~self.out
        self.free = not (form.l1[kept].any() or form.l2[kept].any())
        total, share = float(self.s.sum()), np.full(self.classes, 1.0 / self.classes)
        if form.intercept:
            share = np.bincount(self.y, self.s, minlength=self.classes) / total
        self.null_intercept = np.log(share) - np.log(share).mean()
        self.null = -float(self.s @ np.log(share)[self.y])
        pull = self.s[:, None] * ((self.y[:, None] == np.arange(self.classes)) - share)
        self.null_corr = form.X.rmatmat(pull).ravel()

    def logits(self, w: Array) -> Array:
        """``X B``, shape (n, K)."""
        return np.ascontiguousarray(self.form.X.matmat(w.reshape(-1, self.classes)))

    def certificate(self, x: Array) -> Certificate:
        """Judge a point of the problem's variable."""
        form, kind, n = self.form, "duality gap", self.y.size
        d = form.l1.size
        w, b = np.array(x[:d]), np.zeros(self.classes)
        if form.intercept:
            b = np.array(x[d:])
        outside = float((self.norms * np.abs(w))[self.out].max(initial=0.0))
        if outside > OUTSIDE:
            return failed(kind, f"x has excluded coefficients (fit {outside:.3g})")
        w[self.out] = 0.0
        z = self.logits(w)
        pull = np.empty_like(z)
        loss = softmax_pull(z + b, self.y, self.s, pull)
        fun = loss + float(form.l1 @ np.abs(w)) + 0.5 * float(form.l2 @ (w * w))
        error = FOUR_U * (float(self.norms @ np.abs(w)) + float(np.abs(b).max()) * math.sqrt(n))
        floor = float(np.linalg.norm(pull)) * error + 0.5 * float(self.s.max()) * error * error
        floor += FOUR_U * fun
        balanced = not form.intercept or self._balance(z, b, pull)
        c = np.ascontiguousarray(form.X.rmatmat(pull)).ravel()
        dual, lost = self._dual(c, w, pull, fun) if balanced else (0.0, 0.0)
        scale = min(self.null, max(fun, 1e-6 * self.null))
        gap, rigorous = max(fun - dual, 0.0), True
        value = (gap + lost + floor) / scale + outside
        if self.free:
            kind, rigorous = "projected decrement", False
            value = self._decrement(z + b, scale) + floor / scale + outside
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
            lower_bound=(dual - lost) / per,
            details={
                "gap": gap / per,
                "gap_over_null": gap / self.null,
                "floor": (floor + lost) / scale,
            },
        )

    def _balance(self, z: Array, b: Array, pull: Array) -> bool:
        """Move b to its optimum for these logits; pull becomes that of the optimum.

        Returns whether the sums of its columns are 0 up to rounding, as dual points have them.
        """
        loss = softmax_pull(z + b, self.y, self.s, pull)
        trial = np.empty_like(pull)
        for _ in range(NEWTON_STEPS):
            g = pull.sum(axis=0)
            if (np.abs(g) <= BALANCED * np.abs(pull).sum(axis=0)).all():
                return True
            P = (self.y[:, None] == np.arange(self.classes)) - pull / self.s[:, None]
            H = np.diag(self.s @ P) - (P * self.s[:, None]).T @ P
            step = np.linalg.lstsq(H, g, rcond=1e-14)[0]
            t = 1.0
            for _ in range(HALVINGS):
                new = softmax_pull(z + b + t * step, self.y, self.s, trial)
                if new <= loss - 1e-4 * t * float(g @ step) + 1e-14 * loss:
                    break
                t *= 0.5
            else:
                return False
            b, loss = b + t * step, new
            pull[:] = trial
        return False

    def _dual(self, c: Array, w: Array, pull: Array, fun: float) -> tuple[float, float]:
        """The better bound of two multiples of a dual point, and what rounding does to it."""
        form, best = self.form, (0.0, 0.0)
        size = float(np.linalg.norm(pull))
        there = form.l1 > 0
        steep = np.abs(c - form.l2 * w) + FOUR_U * self.norms * size
        worst = float((steep[there] / form.l1[there]).max(initial=0.0))
        for t in (1.0, 1.0 / max(worst, 1.0)):
            total, lost = support(
                c, w, form.l1, form.l2, form.lower, form.upper, self.norms, t, size, fun
            )
            entropy = float(pull_entropy(pull, self.y, self.s, t))
            lost += FOUR_U * entropy
            if entropy + total - lost > best[0] - best[1]:
                best = (entropy + total, lost)
        return best

    def _decrement(self, z: Array, scale: float) -> float:
        """Newton decrement ``g'H^+ g`` over the scale; where that is too large, the gradient."""
        form, K, n = self.form, self.classes, self.y.size
        pull = np.empty_like(z)
        softmax_pull(z, self.y, self.s, pull)
        kept = np.flatnonzero(~self.out[::K])
        norms = self.norms[::K][kept]
        there = norms > 0
        g = form.X.rmatmat(pull)[kept][there] / norms[there, None]
        if form.intercept:
            g = np.vstack([g, pull.sum(axis=0) / math.sqrt(n)])
        if g.size > LARGEST:
            return float(np.abs(g).max(initial=0.0)) / math.sqrt(n)
        columns = form.X.toarray()[:, kept[there]] / norms[there]
        if form.intercept:
            columns = np.hstack([columns, np.full((n, 1), 1.0 / math.sqrt(n))])
        P = (self.y[:, None] == np.arange(K)) - pull / self.s[:, None]
        H = softmax_hessian(np.repeat(columns, K, axis=1), np.tile(P, columns.shape[1]), self.s, K)
        values, vectors = np.linalg.eigh(H)
        along = vectors.T @ g.ravel()
        large = values > CUT * max(float(values[-1]), 1e-300)
        left = float(np.linalg.norm(along[~large])) / math.sqrt(n)
        return float(np.sum(along[large] ** 2 / values[large])) / scale + left


def softmax_hessian(columns: Array, P: Array, s: Array, K: int, at: Any = None) -> Array:
    """Hessian over some coordinates, from column and probability of each, side by side.

    Parameters
    ----------
    columns, P : array, shape (n, m)
        Column of the feature, and probability of the class, of each coordinate.
    s : array, shape (n,)
        Weights of the samples.
    K : int
        Number of classes.
    at : array of int, shape (m,), optional
        Class of each coordinate; default 0 .. K - 1 again and again.
    """
    at = np.arange(columns.shape[1]) % K if at is None else at
    rows = np.sqrt(s)[:, None] * columns * P
    H = -(rows.T @ rows)
    for k in np.unique(at):
        same = np.flatnonzero(at == k)
        part = np.sqrt(s)[:, None] * columns[:, same] * np.sqrt(P[:, same])
        H[np.ix_(same, same)] += part.T @ part
    return H


@kernel
def softmax_pull(z, y, s, pull):
    """``pull_ik = s_i (1[y_i = k] - p_ik)``, minus the gradient; returns the loss."""
    loss = 0.0
    K = z.shape[1]
    for i in range(y.size):
        top = z[i, 0]
        for k in range(1, K):
            top = max(top, z[i, k])
        total = 0.0
        for k in range(K):
            pull[i, k] = exp(z[i, k] - top)
            total += pull[i, k]
        loss += s[i] * (math.log(total) + (top - z[i, y[i]]))
        others = 0.0
        for k in range(K):
            pull[i, k] *= -s[i] / total
            if k != y[i]:
                others -= pull[i, k]
        pull[i, y[i]] = others  # not 1 - p, which cancels
    return loss


@kernel
def pull_entropy(pull, y, s, t):
    """``sum_i s_i H(q_i)`` with ``q = 1[y] - t pull / s``."""
    total = 0.0
    for i in range(y.size):
        for k in range(pull.shape[1]):
            q = -t * pull[i, k] / s[i]
            if k == y[i]:
                if q > -1.0:
                    total -= s[i] * (1.0 + q) * math.log1p(q)
            elif q > 0.0:
                total -= s[i] * q * math.log(q)
    return total
