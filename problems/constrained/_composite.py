"""Losses of scores: values, slopes and approximate Hessians of ``SmoothComposite``."""

from __future__ import annotations

from typing import Any

import numpy as np

from fejer.evidence import Array
from fejer.jit import kernel
from fejer.numerics.elementary import softmax
from fejer.numerics.matrix import Matrix

from ._logistic import curved_gram, logistic_terms, symmetric

LOSSES = ("logistic", "softmax", "logsumexp", "power")
APPROXIMATIONS = ("exact", "gauss-newton", "fisher", "sketch", "none")


@kernel
def softmax_terms(scores, labels, slopes):
    """Return the sum of the losses and write ``p_ik - [y_i = k]``; both matrices in C order."""
    total = 0.0
    for i in range(labels.size):
        own = scores[i, labels[i]]
        total += softmax(scores[i], slopes[i]) - own
        slopes[i, labels[i]] -= 1.0
    return total


class Scored:
    """One point: value, gradient, and what Hessians need.

    Parameters
    ----------
    problem : SmoothComposite
        The problem.
    x : array
        The point.
    """

    def __init__(self, problem: Any, x: Array) -> None:
        self.problem, self.x = problem, x
        self._kept: dict[str, Array] = {}
        A, y = problem.A, problem.y
        n = A.shape[0]
        self.curvature = np.zeros(0)
        if problem.loss == "softmax":
            W = x.reshape(problem.classes, -1)
            scores = np.ascontiguousarray(A.matmat(np.asfortranarray(W.T)))
            slopes = np.empty_like(scores)
            value = softmax_terms(scores, problem.labels, slopes) / n
            self.slopes = slopes / n
            gradient = A.rmatmat(np.asfortranarray(self.slopes)).T.ravel()
        else:
            value, self.slopes = self._scalar(A.matvec(x), y, n)
            gradient = A.rmatvec(self.slopes)
        self.fun = float(value + 0.5 * problem.l2 * (x @ x))
        self.grad = np.asarray(gradient + problem.l2 * x)

    def _scalar(self, t: Array, y: Array, n: int) -> tuple[float, Array]:
        problem = self.problem
        if problem.loss == "logistic":
            slopes, curvature = np.empty_like(y), np.empty_like(y)
            value = logistic_terms(t, y, slopes, curvature)
            self.curvature = curvature / n
            return float(value) / n, slopes / n
        u = t - y
        if problem.loss == "logsumexp":
            share = np.empty_like(u)
            value = problem.smoothing * softmax(u / problem.smoothing, share)
            return float(value), share
        self.residual = u
        size = float(np.linalg.norm(u))
        return size**problem.power / problem.power, size ** (problem.power - 2) * u

    def hessian(self, approximation: str, rows: Array | None = None) -> Array:
        """Return an approximation of the Hessian, symmetric and at least l2 times the identity.

        The exact one is remembered; nothing must be written into it.
        """
        if approximation in self._kept:
            return self._kept[approximation]
        problem = self.problem
        H = np.zeros((self.x.size,) * 2)
        if approximation != "none":
            H = getattr(self, f"_{problem.loss}")(approximation, rows)
        H[np.diag_indices_from(H)] += problem.l2
        if approximation == "exact":
            self._keep(approximation, H)
        return H

    def _keep(self, name: str, H: Array) -> Array:
        H.flags.writeable = False
        self._kept[name] = H
        return H

    def _logistic(self, approximation: str, rows: Any) -> Array:
        A = self.problem.A
        if approximation == "sketch" and rows is not None:
            return sampled_gram(A, self.curvature, rows)
        return curved_gram(A, self.curvature, single=approximation == "single")

    def spaced_hessian(self, share: int) -> Array:
        """Return the Hessian of "logistic" with about so many rows a variable, and remember it.

        Parameters
        ----------
        share : int
            Rows for each variable, one drawn from each of as many parts of the data; they are the
            same at all points, and remembered.
        """
        problem, A = self.problem, self.problem.A
        n, d = A.shape
        step, name = max(1, n // (share * d)), f"spaced {share}"
        if step == 1:
            return self.hessian("exact")
        if name not in self._kept:
            rows = spaced_rows(n, step)
            part = problem.fact(f"spaced {step}", ("A",), lambda: single_rows(A, rows))
            H = weighted_gram(part, self.curvature[rows], n / rows.size)
            H[np.diag_indices_from(H)] += problem.l2
            self._keep(name, H)
        return self._kept[name]

    def _softmax(self, approximation: str, rows: Any) -> Array:
        problem = self.problem
        A, n = problem.A, problem.A.shape[0]
        d, K = A.shape[1], problem.classes
        exact = approximation in ("exact", "sketch")
        P = self.slopes * n
        P[np.arange(n), problem.labels] += 1.0
        if approximation == "sketch":
            A, P, n = Matrix.of(chosen_rows(A, rows)), P[rows], len(rows)
        H = np.zeros((K, d, K, d))
        for k in range(K):
            H[k, :, k] = curved_gram(A, P[:, k] * (1 - P[:, k] * exact) / n)
            for j in range(k if exact else 0):
                H[k, :, j] = -curved_gram(A, P[:, k] * P[:, j] / n)
                H[j, :, k] = H[k, :, j].T
        return H.reshape(K * d, K * d)

    def _logsumexp(self, approximation: str, rows: Any) -> Array:
        mu = self.problem.smoothing
        H = curved_gram(self.problem.A, self.slopes / mu)
        if approximation == "exact":
            mean = self.problem.A.rmatvec(self.slopes)
            H -= np.outer(mean, mean) / mu
        return H

    def _power(self, approximation: str, rows: Any) -> Array:
        p, A, u = self.problem.power, self.problem.A, self.residual
        size = float(np.linalg.norm(u))
        H = np.zeros((self.x.size,) * 2)
        if approximation in ("exact", "gauss-newton"):
            gram = self.problem.fact("gram", ("A",), lambda: curved_gram(A, np.ones(A.shape[0])))
            H += size ** (p - 2) * gram
        if approximation in ("exact", "fisher") and p > 2 and size > 0:
            along = A.rmatvec(u / size)
            H += (p - 2) * size ** (p - 2) * np.outer(along, along)
        return H


def spaced_rows(n: int, step: int) -> np.ndarray:
    """Return one row of each `step`, drawn with a fixed seed so that no period is met."""
    first = np.arange(0, n, step)
    drawn = first + np.random.default_rng(n).integers(0, step, first.size)
    return np.minimum(drawn, n - 1)


def chosen_rows(A: Matrix, rows: Any) -> Any:
    """Return some rows as a matrix of its own."""
    if A.is_sparse:
        return A.tosparse().tocsr()[rows]
    return np.take((A.toarray() if A.is_operator else A.dense).T, rows, axis=1).T  # Fortran order


def single_rows(A: Matrix, rows: Any) -> Any:
    """Return some rows as columns, in single precision."""
    part = chosen_rows(A, rows)
    part = part.toarray() if A.is_sparse else part
    return np.ascontiguousarray(part.T, dtype=np.float32)


def sampled_gram(A: Matrix, weights: Array, rows: Any) -> Array:
    """Return ``(n/s) sum_{i in rows} w_i a_i a_i'``, summed in single precision."""
    return weighted_gram(single_rows(A, rows), weights[rows], A.shape[0] / len(rows))


def weighted_gram(part: Any, weights: Array, factor: float) -> Array:
    """Return ``factor sum_i w_i a_i a_i'`` of the columns a_i, summed in single precision."""
    from scipy.linalg.blas import ssyrk

    scaled = part * np.sqrt(weights * factor).astype(np.float32)
    return symmetric(ssyrk(1.0, scaled.T, trans=1, lower=1))
