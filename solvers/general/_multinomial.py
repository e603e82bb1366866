"""The multinomial loss under a separable penalty, with the members of `Logit`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fejer.evidence import Array
from fejer.problems.forms import LinearForm
from fejer.problems.sparse._design import design_of, frozen
from fejer.problems.sparse._softmax import softmax_hessian, softmax_pull

from ._linear import penalty
from ._partitions import hessian_row_sums

__all__ = ["Multinomial"]


class Multinomial:
    """``sum_i s_i (log sum_k exp(z_ik) - z_{i, y_i})``, ``z = Z B + b``, sample by sample.

    Coordinate ``j K + k`` is that of column j and class k; the K constants follow, where there are
    any.

    Parameters
    ----------
    form : LinearForm
        With loss "multinomial".
    centred : bool
        Whether the columns are centred where there are constants.
    """

    def __init__(self, form: LinearForm, centred: bool) -> None:
        self.form, self.K = form, form.n_classes
        self.constant = form.intercept
        self.design = design_of(form.X, None, form.intercept and centred)
        self.y = form.y.astype(np.int64)
        self.n = self.y.size
        self.s = frozen(np.ones(self.n)) if form.sample_weight is None else form.sample_weight
        self.p = form.X.shape[1]
        extra = np.zeros(self.K if self.constant else 0)
        self.l1 = frozen(np.append(form.l1, extra))
        self.l2 = frozen(np.append(form.l2, extra))
        self.lower = frozen(np.append(form.lower, extra - np.inf))
        self.upper = frozen(np.append(form.upper, extra + np.inf))

    @property
    def bound(self) -> float:
        """Bound of the largest eigenvalue of the Hessian of the loss."""
        norm = self.design.spectral_norm() ** 2
        if self.constant:
            n = float(self.n)
            norm = max(norm, n) if self.design.mean is not None else norm + n
        return 0.5 * float(self.s.max()) * norm

    def _square_sums(self) -> Array:
        """``sum_i s_i Z_ij^2`` for each column, and for that of ones."""
        matrix = self.design.matrix
        if matrix.is_sparse:
            indptr, indices, data = matrix.csc
            column = np.repeat(np.arange(self.p), np.diff(indptr))
            q: Any = np.bincount(column, self.s[indices] * data * data, minlength=self.p)
        else:
            q = np.asarray((self.s @ (matrix.dense * matrix.dense)), dtype=np.float64)
        return np.append(q, float(self.s.sum())) if self.constant else q

    def curvature(self) -> Array:
        """Bound of each diagonal entry of the Hessian of the loss."""
        return frozen(0.25 * np.repeat(self._square_sums(), self.K))

    def enter(self, x: Array) -> Array:
        """The coordinates of a point, projected on the box."""
        w = np.clip(x, self.lower, self.upper)
        if self.design.mean is not None:
            w[-self.K :] += self.design.mean @ self._matrix(w)
        return w

    def leave(self, w: Array) -> Array:
        """The point of these coordinates."""
        x = np.array(w)
        if self.design.mean is not None:
            x[-self.K :] -= self.design.mean @ self._matrix(w)
        return x

    def _matrix(self, w: Array) -> Array:
        return w[: self.p * self.K].reshape(self.p, self.K)

    def product(self, w: Array) -> Array:
        """``Z B + b``, sample by sample."""
        B = self._matrix(w)
        z = np.ascontiguousarray(self.design.matrix.matmat(B))
        if self.design.implicit:
            z -= np.outer(self.design.root, self.design.mean @ B)  # type: ignore[arg-type, operator]
        if self.constant:
            z += w[-self.K :]
        return z.ravel()

    def adjoint(self, r: Array) -> Array:
        """``Z'R``, then the sums of the columns of R."""
        R = r.reshape(self.n, self.K)
        c = np.asarray(self.design.matrix.rmatmat(R))
        if self.design.implicit:
            c = c - np.outer(self.design.mean, self.design.root @ R)  # type: ignore[arg-type, operator]
        return np.append(c.ravel(), R.sum(axis=0)) if self.constant else np.array(c.ravel())

    def pull(self, fit: Array) -> Array:
        """Minus the gradient of the loss with respect to z."""
        out = np.empty((self.n, self.K))
        softmax_pull(fit.reshape(self.n, self.K), self.y, self.s, out)
        return out.ravel()

    def loss(self, fit: Array) -> float:
        """The loss at z."""
        out = np.empty((self.n, self.K))
        return float(softmax_pull(fit.reshape(self.n, self.K), self.y, self.s, out))

    def penalty(self, w: Array) -> float:
        """The penalty at w."""
        return penalty(self.form, self.l1, self.l2, w)

    def value(self, w: Array) -> float:
        """The objective at w, in the scaling of the form."""
        return self.loss(self.product(w)) + self.penalty(w)

    # ---- second derivatives --------------------------------------------------------------------
    def features(self, column: NDArray[np.intp]) -> Array:
        """Columns of Z as a dense array; that of the constants is of ones."""
        out = np.ones((self.n, column.size))
        there = column < self.p
        out[:, there] = self.design.columns(column[there])
        return out

    def columns(self, chosen: NDArray[np.intp]) -> Array:
        """Columns of the map from coordinates to z."""
        column, k = np.divmod(chosen, self.K)
        out = np.zeros((self.n, self.K, chosen.size))
        out[:, k, np.arange(chosen.size)] = self.features(column)
        return out.reshape(self.n * self.K, chosen.size)

    def hessian(self, fit: Array, chosen: NDArray[np.intp]) -> Array:
        """The Hessian of the loss over chosen coordinates."""
        pull = self.pull(fit).reshape(self.n, self.K)
        P = (self.y[:, None] == np.arange(self.K)) - pull / self.s[:, None]
        column, k = np.divmod(chosen, self.K)
        return softmax_hessian(self.features(column), P[:, k], self.s, self.K, k)

    def block_bound(self, chosen: NDArray[np.intp], columns: Array) -> Array:
        """Bound of the Hessian over chosen coordinates, sharper where these are of few classes."""
        column, k = np.divmod(chosen, self.K)
        kappa = min(self.K, 1 + np.unique(k).size)
        rows = np.sqrt(self.s)[:, None] * self.features(column)
        return np.asarray(0.5 * ((k[:, None] == k) - 1.0 / kappa) * (rows.T @ rows))

    def bounded(self, fit: Array) -> Array:
        """The bound of the Hessian with respect to z, times fit."""
        z = fit.reshape(self.n, self.K)
        return (0.5 * self.s[:, None] * (z - z.mean(axis=1, keepdims=True))).ravel()

    def row_sums(self) -> Array:
        """``sum_j |H_ij|`` of the bound of the Hessian."""
        count = self.p + int(self.constant)

        def weighted(b: NDArray[np.intp]) -> Array:
            return self.s[:, None] * self.features(b)

        def product(B: Array) -> Array:
            rows = np.asarray(self.design.matrix.rmatmat(B))
            if self.design.implicit:
                rows = rows - np.outer(self.design.mean, self.design.root @ B)  # type: ignore[arg-type, operator]
            return np.vstack([rows, B.sum(axis=0)]) if self.constant else rows

        sums = hessian_row_sums(weighted, count, product)
        return np.repeat((1.0 - 1.0 / self.K) * sums, self.K)
