"""Solutions of a lower level with linear constraints, and the affine pieces they are made of."""

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
    """The lower level ``min over y of f(x, y)`` subject to ``A (x, y) <= b``, bounds included."""

    problem: ConstrainedForm

    @cached_property
    def data(self) -> tuple[Array, Array, Mask]:
        """Rows with their bounds, each divided by the length of its gradient in y."""
        problem = self.problem
        G, h, equality = problem.linear
        low, high = problem.y_lower, problem.y_upper
        below, above = np.flatnonzero(low > -np.inf), np.flatnonzero(high < np.inf)
        unit = np.eye(problem.m)
        bounds = np.vstack([-unit[below], unit[above]])
        size = problem.sizes(G)[0]
        A = np.vstack([G / size[:, None], np.hstack([np.zeros((len(bounds), problem.n)), bounds])])
        b = np.concatenate([h / size, -low[below], high[above]])
        return A, b, np.append(equality, np.zeros(len(bounds), dtype=bool))

    def hessian(self, w: Array) -> Array:
        """Return the derivatives of ``grad_y f`` in x and y."""
        problem = self.problem
        H = oracle.dense(problem.second(w, np.zeros(len(problem.linear[0]))))
        return np.hstack([H[:, : problem.n], 0.5 * (H[:, problem.n :] + H[:, problem.n :].T)])

    def solve(self, w: Array) -> tuple[Array, Array, int] | None:
        """Solve the lower level at the x of ``w`` by Newton's method, beginning at its y.

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
        A, b, equality = self.data
        n = self.problem.n
        own = np.linalg.norm(A[:, n:], axis=1) > 0  # the others are no constraints of y
        A, b, equality = A[own], b[own], equality[own]
        w, l, whole = w.copy(), np.zeros(len(b)), np.zeros(own.size)
        fun = self.problem.lower_value(w)
        steps = 0
        while steps < MOST_STEPS:
            steps += 1
            slope, H = self.problem.lower_in_y(w), self.hessian(w)[:, n:]
            room = b - A @ w
            if not (np.isfinite(slope).all() and np.isfinite(H).all()):
                return None
            found = quadratic_program(H, slope, A[:, n:], room, equality)
            if found is None:
                return None
            d, l = found
            feasible = np.max(np.where(equality, np.abs(room), -room), initial=0.0) <= 1e-9
            t, descent = 1.0, float(slope @ d)
            noise = 1e-14 * (1 + abs(fun))
            while True:
                trial = w.copy()
                trial[n:] += t * d
                value = self.problem.lower_value(trial)
                if not feasible or value <= fun + 1e-4 * t * descent + noise or t < 1e-8:
                    break
                t *= 0.5
            w, fun = trial, value
            if feasible and norm(d) <= 1e-13 * (1 + norm(w[n:])):
                break
        whole[own] = l
        return w, whole, steps

    def weak(self, w: Array, l: Array) -> tuple[Any, Any]:
        """Return the strongly and the weakly active rows."""
        A, b, equality = self.data
        near = np.abs(b - A @ w) <= WEAK
        unit = self.problem.lower_unit
        strong = equality | (near & (l > WEAK * unit))
        # A row without y is no constraint of y: its side is a matter of the upper level.
        strong &= np.linalg.norm(A[:, self.problem.n :], axis=1) > 0
        return np.flatnonzero(strong), np.flatnonzero(near & ~strong)

    def choices(self, w: Array, l: Array) -> list[Array]:
        """Return the extreme multipliers at a solution, of all rows."""
        A, b, equality = self.data
        n, unit = self.problem.n, self.problem.lower_unit
        active = equality | (np.abs(b - A @ w) <= WEAK)
        near = np.flatnonzero(active & (np.linalg.norm(A[:, n:], axis=1) > 0))
        slope = self.problem.lower_in_y(w) / unit
        found = []
        for part in multiplier_choices(slope, A[near, n:], equality[near]):
            whole = np.zeros(len(b))
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
        A = self.data[0]
        n = self.problem.n
        H = self.hessian(w)
        seen = set()
        for multipliers in self.choices(w, l):
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
                    m = self.problem.m
                    yield Piece(active, D[:m], D[m:], multipliers[active])
