"""One step of the method of the proximal Lagrangian value function, and its constants."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fejer.evidence import Array
from fejer.problem import witness_array
from fejer.problems.bilevel._constrained_form import ConstrainedForm
from fejer.problems.bilevel._stationarity import norm

__all__ = ["Saddle", "curvature"]

POWER_STEPS = 20
STEP = 6e-6  # of central differences
NEAR = 1e-12  # relative eigenvalue below which equations are left as they are


def curvature(gradient: Any, w: Array) -> float:
    """Estimate the largest curvature, in modulus, of a function near a point.

    Parameters
    ----------
    gradient : callable
        Its gradient.
    w : array
        The point.

    Returns
    -------
    float
    """
    v = np.random.default_rng(0).standard_normal(w.size)
    found = 0.0
    for _ in range(POWER_STEPS):
        size = norm(v)
        if not 0 < size < np.inf:
            break
        t = STEP * (1 + norm(w)) / size
        v = (gradient(w + t * v) - gradient(w - t * v)) / (2 * t * size)
        if norm(v) > found:
            found = norm(v)
    return found if np.isfinite(found) else 0.0


@dataclass
class Saddle:
    """The map ``(x, y, t, l, z) -> (x, y, t, l, z)`` for a weight c.

    Attributes
    ----------
    problem : ConstrainedForm
        The problem.
    rows : array of int
        Rows of g that depend on y.
    T : array, shape (p, p)
        What scales these rows: their lengths, and equations made orthonormal.
    equality : array of bool, shape (p,)
        Which are equations.
    gamma1, gamma2, radius : float
        Proximal parameters and the bound of the multipliers.
    lower, upper : float
        Lipschitz constants of the gradients of f and F.
    coupling : float
        Norm of the scaled rows.
    """

    problem: ConstrainedForm
    rows: Any
    T: Array
    equality: Any
    gamma1: float
    gamma2: float
    radius: float
    lower: float
    upper: float
    coupling: float

    @classmethod
    def of(cls, problem: Any, gamma1: float, gamma2: float, radius: float) -> Saddle:
        """Scale the constraints and estimate the constants at the start and two points near it."""
        start = problem.initial_point()
        rng = np.random.default_rng(1)
        spread = 1.0 + np.abs(start)
        points = [start]
        for _ in range(2):
            points.append(problem.project(start + spread * rng.standard_normal(start.size)))
        jacobians = [problem.constraint_jac(w) for w in points]
        # The gradient of a row that is not linear may vanish at one of the points.
        largest = np.argmax([np.linalg.norm(J[:, problem.n :], axis=1) for J in jacobians], axis=0)
        J = np.array([jacobians[k][i] for i, k in enumerate(largest)]).reshape(-1, start.size)
        size, lower_row = problem.sizes(J)
        rows = np.flatnonzero(lower_row)
        equality = problem.kinds(len(J))[rows]
        T = np.diag(1.0 / size[rows])
        A = J[rows] / size[rows, None]
        if equality.any():
            gram = A[equality] @ A[equality].T
            if np.linalg.eigvalsh(gram)[0] > NEAR:
                inverse = np.linalg.inv(np.linalg.cholesky(gram))
                T[np.ix_(equality, equality)] = inverse / size[rows][equality]
        coupling = float(np.linalg.norm(T @ J[rows], 2)) if rows.size else 0.0

        def whole(w: Array) -> Array:
            return np.append(problem.lower_in_x(w), problem.lower_in_y(w))

        lower = max(curvature(whole, w) for w in points)
        upper = max(curvature(problem.upper_gradient, w) for w in points)
        return cls(problem, rows, T, equality, gamma1, gamma2, radius, lower, upper, coupling)

    def steps(self, c: float) -> tuple[float, float, float]:
        """Return the default steps of (t, l), of (x, y) and of z."""
        inner = self.lower + 1 / self.gamma1 + self.gamma2 * self.coupling**2
        outer = self.upper / c + self.lower + inner
        return 1 / inner, 1 / outer, 0.3 * self.gamma2

    def start(self, w: Array, l: Array) -> Array:
        """Return the packed first iterate, with t = y and z = l."""
        return np.concatenate([w, self.problem.parts(w)[1], l, l])

    def split(self, u: Array) -> tuple[Array, Array, Array, Array]:
        """Return (x, y), t, l, z."""
        N, m, p = self.problem.n + self.problem.m, self.problem.m, self.rows.size
        return u[:N], u[N : N + m], u[N + m : N + m + p], u[N + m + p :]

    def bounded(self, l: Array) -> Array:
        """Project multipliers onto their box."""
        return np.clip(l, np.where(self.equality, -self.radius, 0.0), self.radius)

    def user_multipliers(self, u: Array) -> Array:
        """Return the multipliers in the user's units."""
        out = np.zeros(self.problem.constraint(self.split(u)[0]).size)
        out[self.rows] = self.T.T @ self.split(u)[2]
        return out

    def first(self, witness: Any) -> Array:
        """Return the multipliers that came with a start, scaled; 0 where there are none."""
        count = self.problem.constraint(self.problem.initial_point()).size
        multipliers = witness_array(witness, "multipliers", count)
        if multipliers is None:
            return np.zeros(self.rows.size)
        return self.bounded(np.linalg.solve(self.T.T, multipliers[self.rows]))

    def inner(self, w: Array, t: Array, l: Array, z: Array, step: float) -> tuple[Array, Array]:
        """Make one step on the saddle function whose value is v."""
        problem = self.problem
        n = problem.n
        at = np.append(w[:n], t)
        slope = problem.lower_in_y(at) + (t - w[n:]) / self.gamma1
        ascent = -(l - z) / self.gamma2
        if self.rows.size:
            slope = slope + problem.constraint_jac(at)[self.rows, n:].T @ (self.T.T @ l)
            ascent = ascent + self.T @ problem.constraint(at)[self.rows]
        moved = np.clip(t - step * slope, problem.y_lower, problem.y_upper)
        return moved, self.bounded(l + step * ascent)

    def slope(self, w: Array, c: float) -> Array:
        """Return the gradient in (x, y) of ``F/c + f``."""
        problem = self.problem
        below = np.append(problem.lower_in_x(w), problem.lower_in_y(w))
        return problem.upper_gradient(w) / c + below

    def value_slope(self, w: Array, t: Array, l: Array) -> Array:
        """Return the gradient in (x, y) of v, with (t, l) for the saddle."""
        problem = self.problem
        n = problem.n
        at = np.append(w[:n], t)
        in_x = problem.lower_in_x(at)
        if self.rows.size:
            in_x = in_x + problem.constraint_jac(at)[self.rows, :n].T @ (self.T.T @ l)
        return np.append(in_x, (w[n:] - t) / self.gamma1)

    def descent(self, w: Array, t: Array, l: Array, z: Array, c: float) -> tuple[Array, Array]:
        """Return the gradients in (x, y) and z of ``F/c + f - v``, with (t, l) for the saddle."""
        return self.slope(w, c) - self.value_slope(w, t, l), -(l - z) / self.gamma2

    def image(self, u: Array, c: float, steps: tuple[float, float, float]) -> Array:
        """Make one iteration.

        Parameters
        ----------
        u : array
            The packed iterate.
        c : float
            Weight of the lower level.
        steps : tuple of float
            Of (t, l), of (x, y) and of z.

        Returns
        -------
        array
        """
        w, t, l, z = self.split(u)
        t, l = self.inner(w, t, l, z, steps[0])
        d, d_z = self.descent(w, t, l, z, c)
        w = self.problem.project(w - steps[1] * d, w)
        return np.concatenate([w, t, l, self.bounded(z - steps[2] * d_z)])

    def answer(self, at: Array, z: Array) -> Array:
        """Return the multipliers l that are best for z, given (x, t)."""
        if not self.rows.size:
            return z.copy()
        return self.bounded(z + self.gamma2 * (self.T @ self.problem.constraint(at)[self.rows]))

    def saddle_value(self, w: Array, t: Array, l: Array, z: Array) -> float:
        """Return the saddle function, whose minimum over t and maximum over l is v."""
        problem = self.problem
        at = np.append(w[: problem.n], t)
        value = problem.lower_value(at)
        value += float(np.sum((t - w[problem.n :]) ** 2)) / (2 * self.gamma1)
        value -= float(np.sum((l - z) ** 2)) / (2 * self.gamma2)
        if self.rows.size:
            value += float(l @ (self.T @ problem.constraint(at)[self.rows]))
        return value

    def merit(self, u: Array, c: float) -> float:
        """Return ``F/c + f - v`` with (t, l) for the saddle point of v."""
        w, t, l, z = self.split(u)
        value = self.saddle_value(w, t, l, z)
        return self.problem.upper_value(w) / c + self.problem.lower_value(w) - value

    @property
    def units(self) -> int:
        """Gradients in one iteration: two of f in y, two in x, one of F, a projection."""
        return 6
