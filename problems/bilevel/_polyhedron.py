"""Projection onto a polyhedron: equations, inequalities and bounds."""

from __future__ import annotations

from typing import Any

import numpy as np

from fejer.errors import ProblemError, missing
from fejer.evidence import Array

from ._shortest import shortest
from ._stationarity import Mask

__all__ = ["Polyhedron"]

LARGEST = 10_000_000  # rows times columns up to which they are kept as one dense matrix
RANK = 1e-12  # relative singular value below which a row depends on the others
TOUCHING = 1e-9  # slack of rows that are taken to be active at a neighbour
MOST_NEWTON = 100


class Polyhedron:
    """The set ``{w: G w <= h, = h where equality, lower <= w <= upper}``.

    Parameters
    ----------
    G : array or sparse array, shape (p, N)
        Rows.
    h : array, shape (p,)
        Right-hand sides.
    equality : array of bool, shape (p,)
        Which rows are equations.
    lower, upper : array, shape (N,)
        Bounds, infinite where there are none.
    name : str
        What an error calls the right-hand side.

    Notes
    -----
    What projects depends on the rows: an orthonormal basis of them where all are equations and
    nothing is bounded; Newton's method in the other variables where each inequality has a slack
    variable of its own; active rows, guessed from a neighbour or found by non-negative least
    squares, for all else. Clarabel, through cvxpy, answers where these cycle, and where rows and
    bounds times columns are more than 10^7. Columns without an entry are clipped.
    """

    def __init__(
        self, G: Any, h: Array, equality: Mask, lower: Array, upper: Array, name: str = "h"
    ) -> None:
        self.lower, self.upper, self.name = lower, upper, name
        dense = np.asarray(G.toarray() if hasattr(G, "toarray") else G)
        used = np.abs(dense).max(axis=0, initial=0.0) > 0
        self.used = np.flatnonzero(used)
        dense = dense[:, used]
        lengths = np.linalg.norm(dense, axis=1)
        if ((lengths == 0) & np.where(equality, h != 0, h < 0)).any():
            raise self._empty()
        kept = lengths > 0
        dense = dense[kept] / lengths[kept, None]
        h, equality = h[kept] / lengths[kept], equality[kept]
        self._equations(dense[equality], h[equality])
        self.A, self.b = dense[~equality], h[~equality]
        low, high = lower[self.used], upper[self.used]
        bounded_below, bounded_above = np.flatnonzero(low > -np.inf), np.flatnonzero(high < np.inf)
        self.bounds = bounded_below.size + bounded_above.size
        self.kind = "equations"
        if self.A.shape[0] + self.bounds == 0:
            return
        slack = self._slacks() if self.basis.shape[0] == self.bounds == 0 else None
        if slack is not None and self.A.shape[0] > 20:
            self.kind, self.slack = "slacks", slack
            return
        count = self.A.shape[0] + self.bounds
        self.kind = "rows" if count * self.used.size <= LARGEST else "cone"
        if self.kind == "rows":
            unit = np.eye(self.used.size)
            rows = np.vstack([self.A, unit[bounded_above], -unit[bounded_below]])
            self.limit = np.concatenate([self.b, high[bounded_above], -low[bounded_below]])
            self.rows = rows
            inside = rows - (rows @ self.basis.T) @ self.basis
            size = np.linalg.norm(inside, axis=1)
            self.free = size > RANK
            self.inside = inside[self.free] / size[self.free, None]
            self.size = size[self.free]

    def _empty(self) -> ProblemError:
        text = "no (x, y) satisfies all constraints and bounds"
        return ProblemError(f"{self.name}: {text}")

    def _equations(self, E: Array, e: Array) -> None:
        """Keep an orthonormal basis of the equations."""
        self.basis, self.level = np.zeros((0, E.shape[1])), np.zeros(0)
        if not E.shape[0]:
            return
        U, s, Vt = np.linalg.svd(E, full_matrices=False)
        rank = int((s > RANK * s[0] * max(E.shape)).sum())
        self.basis = Vt[:rank]
        self.level = (U.T @ e)[:rank] / s[:rank]
        error = E @ (self.basis.T @ self.level) - e
        if np.abs(error).max() > 1e-9 * max(1.0, float(np.abs(e).max())):
            raise self._empty()

    def _slacks(self) -> tuple[Array, Array, Array] | None:
        """Find for each row a column that no other row has."""
        alone = (self.A != 0).sum(axis=0) == 1
        where = np.argmax(np.where(alone, np.abs(self.A), -1.0), axis=1)
        if not self.A.shape[0] or not alone[where].all():
            return None
        coefficient = self.A[np.arange(len(where)), where]
        if (np.abs(coefficient) < 1e-8).any():
            return None
        others = np.setdiff1d(np.arange(self.A.shape[1]), where)
        return where, others, coefficient

    def project(self, w: Array, near: Array | None = None) -> Array:
        """Return the nearest point.

        Parameters
        ----------
        w : array, shape (N,)
            The point.
        near : array, shape (N,), optional
            A point of the set whose active rows are probably those of the answer.

        Returns
        -------
        array, shape (N,)

        Raises
        ------
        ProblemError
            The set is empty.
        """
        w = np.clip(w, self.lower, self.upper) if self.used.size < w.size else w.copy()
        if self.used.size:
            v = w[self.used]
            v = v - self.basis.T @ (self.basis @ v - self.level)
            if self.kind == "rows":
                v = self._least_distance(v, None if near is None else near[self.used])
            elif self.kind == "slacks":
                v = self._newton(v)
            elif self.kind == "cone":
                v = self._conic(w[self.used])
            w[self.used] = np.clip(v, self.lower[self.used], self.upper[self.used])
        return w

    def _least_distance(self, v: Array, near: Array | None) -> Array:
        """Move a point that satisfies the equations to the nearest one that satisfies all."""
        room = self.limit - self.rows @ v
        slack = 1e-12 * (1.0 + float(np.abs(v).max()))
        if (room[~self.free] < -1e3 * slack).any():
            raise self._empty()
        guess = None
        if near is not None:
            left = (self.limit - self.rows @ near)[self.free] / self.size
            guess = np.flatnonzero(left <= TOUCHING * (1.0 + float(np.abs(near).max())))
        try:
            d = shortest(self.inside, room[self.free] / self.size, slack, guess)
        except RuntimeError:  # it cycles: an interior-point method answers
            return self._conic(v)
        if d is None:
            raise self._empty()
        return v + d

    def _newton(self, v: Array) -> Array:
        """Eliminate the slacks: a piecewise quadratic function of the other variables."""
        where, others, coefficient = self.slack
        B = self.A[:, others] / np.abs(coefficient)[:, None]
        level = (self.b - coefficient * v[where]) / np.abs(coefficient)
        start = v[others]
        u = start.copy()

        def value(u: Array) -> tuple[float, Array]:
            over = np.maximum(B @ u - level, 0.0)
            return 0.5 * float((u - start) @ (u - start) + over @ over), over

        now, over = value(u)
        for _ in range(MOST_NEWTON):
            slope = u - start + B.T @ over
            size = float(np.linalg.norm(slope))
            if size <= 1e-13 * (1.0 + float(np.linalg.norm(u))):
                break
            Ba = B[over > 0]
            step = -np.linalg.solve(np.eye(u.size) + Ba.T @ Ba, slope)
            t = 1.0
            while True:
                trial, trial_over = value(u + t * step)
                if trial <= now + 1e-4 * t * float(slope @ step) or t < 1e-10:
                    break
                t *= 0.5
            if t < 1e-10:
                break
            u, now, over = u + t * step, trial, trial_over
        out = v.copy()
        out[others] = u
        out[where] = v[where] - np.sign(coefficient) * over
        return out

    def _conic(self, v: Array) -> Array:
        """Ask an interior-point method."""
        try:
            import cvxpy
        except ImportError:
            text = "projections onto so many rows and bounds"
            raise missing("cvxpy", text, "oracle") from None
        cp: Any = cvxpy
        d = cp.Variable(v.size)
        low, high = self.lower[self.used], self.upper[self.used]
        below, above = low > -np.inf, high < np.inf
        shift = {"A": self.b - self.A @ v, "E": self.level - self.basis @ v}
        constraints = []
        if self.A.shape[0]:
            constraints.append(self.A @ d <= shift["A"])
        if self.basis.shape[0]:
            constraints.append(self.basis @ d == shift["E"])
        if below.any():
            constraints.append(d[below] >= (low - v)[below])
        if above.any():
            constraints.append(d[above] <= (high - v)[above])
        model = cp.Problem(cp.Minimize(cp.sum_squares(d)), constraints)
        for tol in (1e-12, 1e-9):
            precision = {f"tol_{part}": tol for part in ("gap_abs", "gap_rel", "feas")}
            try:
                model.solve(solver=cp.CLARABEL, **precision)
                break
            except cp.error.SolverError:  # rounding does not allow as much
                continue
        if d.value is None:
            raise self._empty()
        return np.asarray(v + d.value)
