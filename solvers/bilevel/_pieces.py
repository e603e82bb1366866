"""Solutions of a lower level with constraints, and the smooth pieces they are made of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, combinations
from typing import Any

import numpy as np

from fejer.evidence import Array
from fejer.problems.bilevel._constrained_form import ConstrainedForm
from fejer.problems.bilevel._stationarity import (
    Mask,
    column_space,
    multiplier_choices,
    norm,
    signed_residual,
)
from fejer.problems.constrained import _oracle as oracle

__all__ = ["LowerProgram", "Piece", "quadratic_program"]

NO_POINT = 1e-8  # residual of the least-distance problem that proves that there is none
WEAK = 1e-7  # slack and multiplier below which a row is weakly active
SUBSETS = 6  # weakly active rows up to which all subsets are tried
MOST_STEPS = 60


def quadratic_program(
    H: Array, slope: Array, A: Array, room: Array, equality: Mask
) -> tuple[Array, Array] | None:
    """Minimise ``1/2 d'Hd + slope'd`` subject to ``A d <= room``, = where equality.

    Parameters
    ----------
    H : array, shape (k, k)
        Positive definite.
    slope : array, shape (k,)
        Linear part.
    A : array, shape (p, k)
        Rows.
    room : array, shape (p,)
        Right-hand sides.
    equality : array of bool, shape (p,)
        Which rows are equations.

    Returns
    -------
    tuple of arrays or None
        Solution and multipliers; None where no d satisfies the rows or H is not positive definite.
    """
    from scipy.linalg import solve_triangular

    try:
        R = np.linalg.cholesky(H).T
    except np.linalg.LinAlgError:
        return None
    shift = solve_triangular(R, slope, trans=1)
    if not len(A):
        return -solve_triangular(R, shift), np.zeros(0)
    rows = solve_triangular(R, A.T, trans=1).T
    size = np.linalg.norm(rows, axis=1)
    size[size == 0] = 1.0
    rows = rows / size[:, None]
    level = room / size + rows @ shift
    violation = max(np.max(np.where(equality, np.abs(level), -level), initial=0.0), 0.0)
    z, l = np.zeros(len(shift)), np.zeros(len(A))
    if violation > 0:
        E = np.vstack([-rows.T, -level / violation])
        target = np.zeros(len(E))
        target[-1] = -1.0
        basis = column_space(E[:, equality], 0.0)
        r, u = signed_residual(basis, E[:, ~equality], target)
        if norm(r) <= NO_POINT:
            return None
        active = equality.copy()
        active[~equality] = u > 0
        z = -violation * r[:-1] / r[-1]
        exact = np.linalg.lstsq(rows[active], level[active], rcond=1e-12)[0]
        duals = np.linalg.lstsq(rows[active].T, -exact, rcond=1e-12)[0]
        slack = 1e-11 * (1 + violation)
        good = np.max((rows @ exact - level)[~equality], initial=0.0) <= slack
        if good and (duals[~equality[active]] >= -slack).all():
            z = exact
        else:
            duals = np.linalg.lstsq(rows[active].T, -z, rcond=1e-12)[0]
        l[active] = duals
        l[~equality] = np.maximum(l[~equality], 0.0)
    return solve_triangular(R, z - shift), l / size


def _solution(K: Array, side: Array) -> Array:
    """Solve a square system, by least squares where it is singular."""
    try:
        D = np.linalg.solve(K, side)
        if norm(K @ D - side) <= 1e-10 * (1 + norm(side)):
            return np.asarray(D)
    except np.linalg.LinAlgError:
        pass
    return np.asarray(np.linalg.lstsq(K, side, rcond=1e-12)[0])


@dataclass
class Piece:
    """How y and the multipliers follow x while the active rows stay what they are.

    Attributes
    ----------
    active : array of int
        Active rows.
    y : array, shape (m, n)
        Derivative of y.
    l : array, shape (k, n)
        Derivative of the multipliers of the active rows.
    multipliers : array, shape (k,)
        Of the active rows, on this piece.
    """

    active: Any
    y: Array
    l: Array
    multipliers: Array


@dataclass
class LowerProgram:
    """The lower level ``min over y of f(x, y)`` subject to ``g(x, y) <= 0``, bounds included."""

    problem: ConstrainedForm

    @cached_property
    def _fixed(self) -> tuple[Array, Array, Mask, Array]:
        """Linear rows and bounds, their levels, equations among all rows, and sizes of g's rows."""
        problem = self.problem
        start = problem.initial_point()
        J = problem.constraint_jac(start)
        size = problem.sizes(J)[0]
        k = len(problem.linear[0])
        low, high = problem.y_lower, problem.y_upper
        below, above = np.flatnonzero(low > -np.inf), np.flatnonzero(high < np.inf)
        unit = np.eye(problem.m)
        bounds = np.vstack([-unit[below], unit[above]])
        G, h, _ = problem.linear
        bounds = np.hstack([np.zeros((len(bounds), problem.n)), bounds])
        A = np.vstack([G / size[:k, None], np.zeros((len(J) - k, J.shape[1])), bounds])
        b = np.concatenate([h / size[:k], np.zeros(len(J) - k), -low[below], high[above]])
        kinds = np.append(problem.kinds(len(J)), np.zeros(len(bounds), dtype=bool))
        return A, b, kinds, size

    @property
    def equality(self) -> Mask:
        """Which rows are equations."""
        return self._fixed[2]

    def rows(self, w: Array) -> tuple[Array, Array]:
        """Return the gradients of all rows and how far each is below its level.

        Rows of g are divided by the lengths of their gradients in y at the start; bounds come last.
        """
        A, b, _, size = self._fixed
        problem = self.problem
        if problem.g is None:
            return A, b - A @ w
        k, p = len(problem.linear[0]), size.size
        A, room = A.copy(), b - A @ w
        A[k:p] = problem.constraint_jac(w)[k:] / size[k:, None]
        room[k:p] = -problem.constraint(w)[k:] / size[k:]
        return A, room

    def user_multipliers(self, l: Array) -> Array:
        """Return the multipliers of the rows of g in the user's units."""
        size = self._fixed[3]
        return l[: size.size] / size

    def hessian(self, w: Array, l: Array) -> Array:
        """Return the derivatives in x and y of the gradient in y of the Lagrangian."""
        n = self.problem.n
        H = oracle.dense(self.problem.second(w, self.user_multipliers(l)))
        return np.hstack([H[:, :n], 0.5 * (H[:, n:] + H[:, n:].T)])

    def _own(self, A: Array) -> Mask:
        """Which rows are constraints of y; a gradient of a nonlinear one may vanish at a point."""
        own = np.linalg.norm(A[:, self.problem.n :], axis=1) > 0
        own[len(self.problem.linear[0]) : self._fixed[3].size] = True
        return own

    def solve(self, w: Array) -> tuple[Array, Array, int] | None:
        """Solve the lower level at the x of ``w`` by Newton's method, beginning at its y.

        Each step is a quadratic program over linearised rows. It is accepted whole where it halves
        the residual of the lower level's KKT conditions, and otherwise where it lowers f plus a
        multiple of the violations.

        Parameters
        ----------
        w : array, shape (n + m,)
            Upper variable and start.

        Returns
        -------
        tuple or None
            (x, y), the multipliers of the rows, and the Newton steps made; None where no y is
            feasible.
        """
        problem, n = self.problem, self.problem.n
        w, steps, weight, stalled = w.copy(), 0, 1.0, 0
        A, room = self.rows(w)
        own = self._own(A)
        equality = self.equality[own]
        l = np.zeros(own.size)
        fun, slope = problem.lower_value(w), problem.lower_in_y(w)
        residual = np.inf
        while steps < MOST_STEPS:
            steps += 1
            H = self.hessian(w, l)[:, n:]
            if not (np.isfinite(slope).all() and np.isfinite(H).all()):
                return None
            found = quadratic_program(H, slope, A[own][:, n:], room[own], equality)
            if found is None:
                return None
            d, answer = found
            after = np.zeros(own.size)
            after[own] = answer
            weight = max(weight, 2 * float(np.abs(answer).max(initial=0.0)))
            violation = _violation(room[own], equality)
            expected = float(slope @ d) - weight * violation
            noise = 1e-14 * (1 + abs(fun))
            t = 1.0
            while True:
                trial = w.copy()
                trial[n:] += t * d
                value, ahead = problem.lower_value(trial), problem.lower_in_y(trial)
                B, left = self.rows(trial)
                there = norm(ahead + B[:, n:].T @ after) + _violation(left[own], equality)
                there += float(np.abs(after * left)[~self.equality].sum())
                merit = value + weight * _violation(left[own], equality)
                wanted = fun + weight * violation + 1e-4 * t * expected + noise
                if (t == 1.0 and there <= 0.5 * residual) or merit <= wanted or t < 1e-8:
                    break
                t *= 0.5
            stalled = stalled + 1 if there > 0.5 * residual else 0
            size = 1 + norm(w[n:])
            w, fun, slope, A, room, l = trial, value, ahead, B, left, after
            residual = there
            small = violation <= 1e-9 and norm(d) <= 1e-13 * size
            if small or (stalled >= 3 and norm(d) <= 1e-9 * size):  # rounding allows no more
                break
        if _violation(room[own], equality) > 1e-8 * (1 + norm(w)):
            return None
        return w, l, steps

    def weak(self, w: Array, l: Array) -> tuple[Any, Any]:
        """Return the strongly and the weakly active rows."""
        A, room = self.rows(w)
        near = np.abs(room) <= WEAK
        unit = self.problem.lower_unit
        strong = self.equality | (near & (l > WEAK * unit))
        # A row without y is no constraint of y: its side is a matter of the upper level.
        strong &= np.linalg.norm(A[:, self.problem.n :], axis=1) > 0
        return np.flatnonzero(strong), np.flatnonzero(near & ~strong)

    def choices(self, w: Array, l: Array) -> list[Array]:
        """Return the extreme multipliers at a solution, of all rows."""
        A, room = self.rows(w)
        n, unit = self.problem.n, self.problem.lower_unit
        active = self.equality | (np.abs(room) <= WEAK)
        near = np.flatnonzero(active & (np.linalg.norm(A[:, n:], axis=1) > 0))
        slope = self.problem.lower_in_y(w) / unit
        found = []
        for part in multiplier_choices(slope, A[near, n:], self.equality[near]):
            whole = np.zeros(len(room))
            whole[near] = unit * part
            found.append(whole)
        return found if len(found) > 1 else [l]

    def pieces(self, w: Array, l: Array) -> Iterator[Piece]:
        """Yield the pieces that meet at a solution.

        Parameters
        ----------
        w, l : array
            Solution and multipliers of the lower level.

        Yields
        ------
        Piece
        """
        A = self.rows(w)[0]
        n, m = self.problem.n, self.problem.m
        seen = set()
        for multipliers in self.choices(w, l):
            H = self.hessian(w, multipliers)
            strong, weak = self.weak(w, multipliers)
            weak = [i for i in weak if norm(A[i, n:]) > 0]
            sizes = range(len(weak) + 1) if len(weak) <= SUBSETS else (0, 1, len(weak))
            for chosen in chain.from_iterable(combinations(weak, k) for k in sizes):
                active = np.sort(np.append(strong, np.array(chosen, dtype=int)))
                if tuple(active) in seen:
                    continue
                seen.add(tuple(active))
                Ay, k = A[active, n:], active.size
                K = np.block([[H[:, n:], Ay.T], [Ay, np.zeros((k, k))]])
                side = -np.vstack([H[:, :n], A[active, :n]])
                D = _solution(K, side)
                if norm(K @ D - side) <= 1e-8 * (1 + norm(side)):
                    yield Piece(active, D[:m], D[m:], multipliers[active])


def _violation(room: Array, equality: Mask) -> float:
    return float(np.where(equality, np.abs(room), np.maximum(-room, 0.0)).sum())
