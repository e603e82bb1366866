"""The loss of ordered classes: cumulative logits with one hyperplane for each threshold."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from fejer.evidence import Array
from fejer.jit import kernel
from fejer.numerics.elementary import exp, sigmoid, softplus
from fejer.numerics.matrix import Matrix

from ._design import frozen

__all__ = ["BALANCED", "Ordered"]

NEWTON_STEPS = 100
HALVINGS = 60
ROUNDING = 1e-15
BALANCED = 1e-12  # relative gradient along a free coordinate below which it counts as 0


class Ordered:
    """Mean of ``-log(sigma(eta_y) - sigma(eta_{y-1}))``, and a weighted sum of moduli.

    ``eta_k = alpha_k + x'(psi_1 + ... + psi_k)``, k = 1 .. K - 1, sigma(eta_0) = 0 and
    sigma(eta_K) = 1.  Coordinates: alpha, then psi row by row.

    Parameters
    ----------
    X : Matrix, shape (n, p)
        Features.
    y : array of int, shape (n,)
        Classes 0 .. K - 1.
    l1 : array, shape ((K - 1) (p + 1),)
        Weights of the moduli; those of alpha are 0.
    """

    def __init__(self, X: Matrix, y: NDArray[np.int64], l1: Array) -> None:
        self.X, self.y, self.l1 = X, y, l1
        self.n, self.p = X.shape
        self.steps = l1.size // (self.p + 1)  # K - 1
        self.l2 = frozen(np.zeros(l1.size))
        self.lower = frozen(np.full(l1.size, -np.inf))
        self.upper = frozen(np.full(l1.size, np.inf))
        self.norms = np.sqrt(X.column_sq_norms())
        self.members = [np.flatnonzero(y == k) for k in range(self.steps + 1)]

    def null_thresholds(self) -> Array:
        """The best alpha where psi is 0: logits of the cumulative frequencies."""
        share = np.cumsum(np.bincount(self.y, minlength=self.steps + 1))[:-1]
        return np.log(share / (self.n - share))

    def enter(self, x: Array) -> Array:
        """The coordinates of a point."""
        return np.array(x)

    def leave(self, w: Array) -> Array:
        """The point of these coordinates."""
        return np.array(w)

    def slopes(self, w: Array) -> Array:
        """``X beta_k``, shape (n, K - 1), ``beta_k = psi_1 + ... + psi_k``."""
        beta = np.cumsum(w[self.steps :].reshape(self.steps, self.p), axis=0)
        return np.column_stack([self.X.matvec(np.ascontiguousarray(row)) for row in beta])

    def product(self, w: Array) -> Array:
        """All eta, sample by sample."""
        return (self.slopes(w) + w[: self.steps]).ravel()

    def adjoint(self, pull: Array) -> Array:
        """The transposed product."""
        pull = pull.reshape(self.n, self.steps)
        rows = [self.X.rmatvec(np.ascontiguousarray(column)) for column in pull.T]
        psi = np.cumsum(np.array(rows)[::-1], axis=0)[::-1]
        return np.concatenate([pull.sum(axis=0), psi.ravel()])

    def reach(self, pull: Array) -> Array:
        """The sums of moduli that `adjoint` adds up."""
        moduli = np.abs(pull).reshape(self.n, self.steps).sum(axis=1)
        ones = np.full(self.steps, moduli.sum())
        return np.append(ones, np.tile(self.X.abs_rmatvec(moduli), self.steps))

    def loss(self, fit: Array) -> float:
        """The mean loss; inf where hyperplanes cross at a sample."""
        return self.loss_and_pull(fit)[0]

    def pull(self, fit: Array) -> Array:
        """Minus the gradient of the loss with respect to eta."""
        return self.loss_and_pull(fit)[1]

    def loss_and_pull(self, fit: Array) -> tuple[float, Array]:
        """Both."""
        out = np.zeros((self.n, self.steps))
        total = ordered_pull(fit.reshape(self.n, self.steps), self.y, out)
        return float(total) / self.n, out.ravel() / self.n

    def penalty(self, w: Array) -> float:
        """The weighted sum of moduli."""
        return float(self.l1 @ np.abs(w))

    def value(self, w: Array) -> float:
        """The objective."""
        return self.loss(self.product(w)) + self.penalty(w)

    def hessian(self, fit: Array, chosen: NDArray[np.intp]) -> Array:
        """The Hessian of the loss over the chosen coordinates, which ascend.

        All coordinates of a feature see a sample through the same number, so that three Gram
        matrices of each class, of the features and a column of ones, hold everything.
        """
        below, above, between = (np.zeros(self.n) for _ in range(3))
        ordered_curvature(fit.reshape(self.n, self.steps), self.y, below, above, between)
        alpha = chosen[chosen < self.steps]
        step, column = np.divmod(chosen[chosen >= self.steps] - self.steps, self.p)
        columns, at = np.unique(column, return_inverse=True)
        at = at.reshape(-1) + 1  # behind the column of ones
        rows = np.ones((self.n, columns.size + 1))
        if columns.size:
            rows[:, 1:] = self.X.columns(columns).toarray()
        A, B, V = (self._grams(rows, weight / self.n) for weight in (below, above, between))
        # eta_{y-1} and eta_y hang on psi_l where l is at most their index, and on their own alpha.
        tails = np.cumsum((A[1:] + B[:-1])[::-1], axis=0)[::-1]
        one, two = at[:, None], at
        H = np.empty((chosen.size, chosen.size))
        first, m = alpha[:, None], alpha.size
        H[m:, m:] = tails[np.maximum(step[:, None], step), one, two]
        H[m:, m:] += (step[:, None] == step) * V[step, one, two]
        H[:m, m:] = (step <= first) * (A[1:] + B[:-1])[first, 0, at]
        H[:m, m:] += ((step == first) * 1.0 - (step == first + 1)) * V[step, 0, at]
        H[m:, :m] = H[:m, m:].T
        own = (A[1:] + B[:-1] + V[1:] + V[:-1])[:, 0, 0]
        H[:m, :m] = (first == alpha) * own[alpha]
        H[:m, :m] -= (first + 1 == alpha) * V[alpha, 0, 0] + (first == alpha + 1) * V[first, 0, 0]
        return H

    def _grams(self, rows: Array, weight: Array) -> Array:
        """``rows' diag(weight) rows`` over the samples of each class."""
        out = np.empty((self.steps + 1, rows.shape[1], rows.shape[1]))
        for k in range(self.steps + 1):
            part = np.sqrt(weight[self.members[k]])[:, None] * rows[self.members[k]]
            out[k] = part.T @ part
        return out

    def centred(self, w: Array, free: NDArray[np.intp]) -> tuple[Array, Array, float, Array]:
        """Move free coordinates to their optimum, the others fixed, by damped Newton steps.

        Returns the point, its eta, its loss and its pull.
        """
        w = np.array(w)
        fit = self.product(w)
        loss, pull = self.loss_and_pull(fit)
        # A sum of n terms knows a decrease no better; below it full steps go on to the gradient.
        blind = ROUNDING * max(4.0, self.n)
        for _ in range(NEWTON_STEPS):
            g = self.adjoint(pull)[free]
            if (np.abs(g) <= 0.1 * BALANCED * self.reach(pull)[free]).all():
                break  # steps from here on are rounding, and their search takes many halvings
            H = self.hessian(fit, free)
            root = np.sqrt(np.diag(H))
            root[root == 0.0] = 1.0
            scaled = H / np.outer(root, root)
            step = np.linalg.lstsq(scaled, g / root, rcond=1e-14)[0] / root
            slope = float(g @ step)
            move = np.zeros(w.size)
            move[free] = step
            along = self.product(move)
            t = 1.0
            for _ in range(HALVINGS):
                new_loss, new_pull = self.loss_and_pull(fit + t * along)
                if new_loss <= loss - 1e-4 * t * slope + blind * loss:
                    break
                t *= 0.5
            else:
                break
            w[free] += t * step
            fit = fit + t * along
            loss, pull = new_loss, new_pull
            if slope <= ROUNDING**2 * loss:
                break
        return w, fit, loss, pull


@kernel
def ordered_pull(eta, y, out):
    """Sum of the losses, inf where two hyperplanes cross; out is minus its gradient."""
    last = eta.shape[1]
    total = 0.0
    for i in range(y.size):
        k = y[i]
        if k < last:
            total += softplus(-eta[i, k])
            out[i, k] += sigmoid(-eta[i, k])
        if k > 0:
            total += softplus(eta[i, k - 1])
            out[i, k - 1] -= sigmoid(eta[i, k - 1])
        if 0 < k < last:
            u = eta[i, k] - eta[i, k - 1]
            if not u > 0.0:
                return math.inf
            if u < 700.0:
                t = 1.0 / math.expm1(u)
                # log(1 - exp(-u)), whose argument cancels on either side of log 2
                total -= math.log(-math.expm1(-u)) if u < 0.7 else math.log1p(-exp(-u))
                out[i, k] += t
                out[i, k - 1] -= t
    return total


@kernel
def ordered_curvature(eta, y, below, above, between):
    """Second derivatives along eta_{y-1}, along eta_y and along their difference."""
    last = eta.shape[1]
    for i in range(y.size):
        k = y[i]
        if k < last:
            p = sigmoid(-abs(eta[i, k]))
            above[i] = p * (1.0 - p)
        if k > 0:
            p = sigmoid(-abs(eta[i, k - 1]))
            below[i] = p * (1.0 - p)
        if 0 < k < last:
            u = eta[i, k] - eta[i, k - 1]
            if 0.0 < u < 300.0:
                t = 1.0 / math.expm1(u)
                between[i] = t * (1.0 + t)
