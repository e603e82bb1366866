"""The lower level of the elastic net: exact steps on the support, and its certificate."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar, NamedTuple

import numpy as np

from fejer.evidence import Array
from fejer.jit import kernel

from ._assessment import ROUNDING, Assessment, norm
from ._lower_level import LowerLevel
from ._newton import Step

__all__ = ["ElasticLower"]

EPOCHS = 4  # of coordinate descent between two exact steps
ROUNDS = 500  # of both, in one lower solve
DROPS = 20  # coefficients that exact steps of one round may lose


class _Factor(NamedTuple):
    support: Any
    solve: Callable[[Array], Array]


@kernel
def descend(A, squares, indices, l1, l2, rounds, y, r):
    """Coordinate descent on ``|r|^2/(2n) + l1 |y|_1 + l2/2 |y|^2``, where ``r = b - A y``."""
    n = A.shape[0]
    for _ in range(rounds):
        for k in range(indices.size):
            j = indices[k]
            curvature = squares[j] / n
            if curvature + l2 <= 0.0:
                continue
            inner = 0.0
            for i in range(n):
                inner += A[i, j] * r[i]
            pull = inner / n + curvature * y[j]
            new = 0.0
            if pull > l1:
                new = (pull - l1) / (curvature + l2)
            elif pull < -l1:
                new = (pull + l1) / (curvature + l2)
            change = new - y[j]
            if change != 0.0:
                y[j] = new
                for i in range(n):
                    r[i] -= change * A[i, j]


def _shortest(slope: Array, y: Array, l1: float) -> Array:
    """Return the shortest subgradient, `slope` being the gradient of the smooth part."""
    edge = np.sign(slope) * np.maximum(np.abs(slope) - l1, 0.0)
    return np.where(y != 0, slope + l1 * np.sign(y), edge)


class ElasticLower(LowerLevel):
    """Base: ``f = 1/(2 n) ||X_train y - y_train||^2 + l1 ||y||_1 + l2/2 ||y||^2``."""

    nonsmooth: ClassVar[bool] = True
    kinks: ClassVar[bool] = True

    X_train: Any
    y_train: Array
    X_val: Any
    y_val: Array

    def _parts(self, x: Array) -> tuple[float, float]:
        """Return l1 and l2."""
        raise NotImplementedError

    def _dense(self) -> Array:
        return self.fact("dense", ("X_train",), lambda: np.asfortranarray(self.X_train.toarray()))  # type: ignore[no-any-return]

    def _least(self) -> float:
        """Smallest eigenvalue of ``X_train'X_train/n_t``, from below and not below 0."""
        rows, columns = self.X_train.shape
        if columns > rows:
            return 0.0

        def build() -> float:
            gram = self.X_train.gram()
            error = ROUNDING * sum(self.X_train.shape) * float(np.trace(gram))
            return max(float(np.linalg.eigvalsh(gram)[0]) - error, 0.0) / rows

        return self.X_train.fact("bilevel least", build)  # type: ignore[no-any-return]

    def _slope(self, x: Array, y: Array) -> Array:
        X = self.X_train
        return X.rmatvec(X.matvec(y) - self.y_train) / X.shape[0] + self._parts(x)[1] * y  # type: ignore[no-any-return]

    def lower_gradient(self, x: Array, y: Array) -> Array:
        """Return the shortest subgradient of f in y."""
        return _shortest(self._slope(x, y), y, self._parts(x)[0])

    def _factor(self, x: Array, y: Array) -> _Factor:
        """The factorised H on the support of y."""
        return self.oracle(np.append(np.flatnonzero(y), self._parts(x)[1]))  # type: ignore[no-any-return]

    def evaluate(self, x: Array) -> _Factor:
        """Factorise H; what is given is the support and l2."""
        from scipy.linalg import cho_factor, cho_solve

        support, l2 = x[:-1].astype(np.intp), float(x[-1])
        A = self._dense()[:, support]
        rows = len(A)
        if support.size > rows and l2 > 0:
            outer = cho_factor(rows * np.eye(rows) + (A / l2) @ A.T, check_finite=False)

            def woodbury(v: Array) -> Array:
                inner = np.asarray(cho_solve(outer, A @ v / l2, check_finite=False))
                return np.asarray((v - A.T @ inner) / l2)

            return _Factor(support, woodbury)
        H = A.T @ A / rows + l2 * np.eye(support.size)
        try:
            factor = cho_factor(H, check_finite=False)
        except np.linalg.LinAlgError:
            return _Factor(support, lambda v: np.full_like(v, math.nan))
        return _Factor(
            support, lambda v: np.asarray(cho_solve(factor, v, check_finite=False)) if v.size else v
        )

    def hessian(self, x: Array, y: Array) -> Callable[[Array], Array]:
        """Return H on the support of y, and L times the identity elsewhere."""
        X, l2, on = self.X_train, self._parts(x)[1], y != 0
        L = self.constants(x).lipschitz

        def product(v: Array) -> Array:
            inner = np.where(on, v, 0.0)
            inner = X.rmatvec(X.matvec(inner)) / X.shape[0] + l2 * inner
            return np.where(on, inner, L * v)

        return product

    def adjoint(
        self,
        x: Array,
        y: Array,
        grad_y: Array,
        *,
        tol: float = 1e-14,
        start: Array | None = None,
        direct: bool = True,
    ) -> tuple[Array, int]:
        """Solve ``H q = grad_y F`` with the factor on the support, refined once.

        Parameters
        ----------
        x, y, grad_y : array
            Where H is taken, and the right-hand side.
        tol, start, direct : object
            Not used: the factorisation serves always.

        Returns
        -------
        tuple
            The adjoint, and the number of products with H.
        """
        product, factor = self.hessian(x, y), self._factor(x, y)
        q = grad_y / self.constants(x).lipschitz
        q[factor.support] = factor.solve(grad_y[factor.support])
        rest = (grad_y - product(q))[factor.support]
        q[factor.support] += factor.solve(rest)
        return q, 1

    def lower_step(self, x: Array, y: Array, gradient: Array, goal: float, unit: float) -> Step:
        """Minimise ``f(x, .)``: coordinate descent finds the support, linear systems the rest."""
        A, b, (l1, l2) = self._dense(), self.y_train, self._parts(x)
        rows, squares = len(A), self.X_train.column_sq_norms()
        y, work = y.copy(), 0
        r = b - A @ y
        found = gradient
        for _ in range(ROUNDS):
            slope = l2 * y - A.T @ r / rows
            indices = np.flatnonzero((y != 0) | (np.abs(slope) > l1))
            descend(A, squares, indices, l1, l2, EPOCHS, y, r)
            solved = self._exact(x, y)
            r = b - A @ y
            work += EPOCHS + 3
            found = self.lower_gradient(x, y)
            if norm(found) <= goal or (solved and not found[y == 0].any()):
                break
        return Step(y, found, work, norm(found) < norm(gradient))

    def _exact(self, x: Array, y: Array) -> bool:
        """Minimise over the support with these signs; coefficients that would change theirs go."""
        A, (l1, l2) = self._dense(), self._parts(x)
        for _ in range(DROPS):
            support, solve = self._factor(x, y)
            if not support.size:
                return True
            part, signs, before = A[:, support], np.sign(y[support]), y[support]
            new = solve(part.T @ self.y_train / len(A) - l1 * signs)
            rest = part.T @ (self.y_train - part @ new) / len(A) - l1 * signs - l2 * new
            new = new + solve(rest)
            if not np.isfinite(new).all():
                return False
            lost = new * signs <= 0
            if not lost.any():
                y[support] = new
                return True
            lengths = np.where(lost, before / np.where(lost, before - new, 1.0), np.inf)
            first = int(np.argmin(lengths))
            y[support] = before + lengths[first] * (new - before)
            y[support[first]] = 0.0
        return False

    def lower_solution(
        self, x: Array, accuracy: float = 1e-14, start: Array | None = None
    ) -> Array:
        """Solve the lower level, always to what float64 can.

        Parameters
        ----------
        x : array, shape (n,)
            Upper variable.
        accuracy : float, default 1e-14
            Not used.
        start : array, shape (m,), optional
            Where coordinate descent begins.

        Returns
        -------
        array, shape (m,)
        """
        y = self.lower_start() if start is None else start
        step = self.lower_step(x, y, self.lower_gradient(x, y), 0.0, 1.0)
        return step.y

    # ---- the certificate of the support --------------------------------------------------------
    def _lower_rounding(self, x: Array, y: Array) -> Array:
        X, (l1, l2) = self.X_train, self._parts(x)
        terms = X.abs_matvec(y) + np.abs(self.y_train) + np.abs(X.matvec(y) - self.y_train)
        return np.asarray(ROUNDING * (X.abs_rmatvec(terms) / X.shape[0] + l2 * np.abs(y) + l1))

    def rounding(self, x: Array, y: Array, q: Array) -> tuple[float, float]:
        """Bound the rounding errors of the two residuals."""
        X, V, l2 = self.X_train, self.X_val, self._parts(x)[1]
        lower = self._lower_rounding(x, y)
        # Clear of its edge, the correlation of a zero coefficient may be rounded as it likes.
        clear = (y == 0) & (np.abs(self._slope(x, y)) + lower < self._parts(x)[0])
        terms = V.abs_matvec(y) + np.abs(self.y_val) + np.abs(V.matvec(y) - self.y_val)
        upper = V.abs_rmatvec(terms) / V.shape[0]
        upper += X.abs_rmatvec(X.abs_matvec(q)) / X.shape[0]
        upper += (l2 + (y == 0) * self.constants(x).lipschitz) * np.abs(q)
        return norm(np.where(clear, 0.0, lower)), ROUNDING * norm(upper)

    def _certain(self, x: Array, y: Array, distance: float) -> bool:
        """Whether everything within the distance of y that can be y* has its support and signs."""
        X, l1 = self.X_train, self._parts(x)[0]
        on = y != 0
        reach = np.sqrt(X.column_sq_norms()) * X.spectral_norm() / X.shape[0] * distance
        far = np.abs(self._slope(x, y)) + self._lower_rounding(x, y) + reach
        return bool((np.abs(y[on]) > distance).all() and (far[~on] < l1).all())

    def assess(
        self,
        x: Array,
        y: Array,
        *,
        adjoint: Array | None = None,
        chart: bool = False,
        allowed: float = 0.0,
    ) -> Assessment:
        """Bound the hypergradient's error, if the support of y is certainly that of y*.

        Parameters
        ----------
        x : array, shape (n,)
            Upper variable.
        y : array, shape (m,)
            Approximate lower solution.
        adjoint : array, shape (m,), optional
            Approximate adjoint.
        chart : bool, default False
            Gradient and error in the coordinates t instead of x.
        allowed : float, default 0.0
            As in the family.

        Returns
        -------
        Assessment
            Its errors are infinite where the support is not certain.
        """
        a = super().assess(x, y, adjoint=adjoint, chart=chart, allowed=allowed)
        if self._certain(x, y, a.distance):
            return a
        upper, e = self.upper_level(x, y), a.distance
        plain = norm(upper.grad_y) * e + self.upper_change(x, y, e) * e / 2 + upper.floor
        return replace(
            a,
            error=math.inf,
            published_error=math.inf,
            fun=upper.fun,
            fun_error=plain,
            fun_floor=upper.floor,
        )
