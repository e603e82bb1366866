"""What `ConstrainedBilevel` and its methods compute: functions, rows, projection, judgement."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import fields as dataclass_fields
from functools import cached_property
from typing import Any

import numpy as np

from fejer.errors import OracleError
from fejer.evidence import Array
from fejer.problem import Problem
from fejer.problems.constrained import _oracle as oracle

from ._callables import differences
from ._linear_rows import beside
from ._polyhedron import Polyhedron
from ._stationarity import (
    DIRECT,
    RANK,
    STRONG,
    Mask,
    Rows,
    excess,
    multiplier_choices,
    norm,
    upper_residual,
)

__all__ = ["ConstrainedForm", "Judgement"]

ACTIVE = 1e-6  # distance from a constraint up to which it counts as active
INSIDE = 1e-9  # relative distance outside a box that is forgiven, and counted
UNIT = 2.0**-53
NOISE = 1e-8  # of second derivatives by differences
CONVEX = 1e-6  # relative negative curvature that refutes convexity


@dataclass
class Judgement:
    """The four numbers, and what they were computed from.

    Attributes
    ----------
    stationarity, feasibility, complementarity, upper : float
        Of the lower level's Lagrangian, of all constraints, of multipliers and slacks, and of the
        upper level.
    multipliers : array, shape (p,)
        Of the rows of g, in the user's units.
    weak : int
        Rows that are active with multiplier 0.
    choices : int
        Extreme multipliers of the lower level; the numbers are those of the worst.
    floor : float
        What rounding can do to the largest of the four.
    gap : float
        Bound of f minus its minimum over the lower level's constraints.
    """

    stationarity: float
    feasibility: float
    complementarity: float
    upper: float
    multipliers: Array
    weak: int
    choices: int
    floor: float
    gap: float

    @property
    def value(self) -> float:
        """The largest of the four."""
        return max(self.stationarity, self.feasibility, self.complementarity, self.upper)


class ConstrainedForm(Problem):
    """Oracles of a bilevel problem whose lower level has constraints."""

    F: Callable[..., Any]
    grad_x_F: Callable[..., Any]  # noqa: N815
    grad_y_F: Callable[..., Any]  # noqa: N815
    f: Callable[..., Any]
    grad_x_f: Callable[..., Any]
    grad_y_f: Callable[..., Any]
    x0: Any
    y0: Any
    Gx: Any
    Gy: Any
    h: Any
    equality: Any
    g: Callable[..., Any] | None
    jac_x_g: Callable[..., Any] | None
    jac_y_g: Callable[..., Any] | None
    Ux: Any
    Uy: Any
    u: Any
    lower: Any
    upper: Any
    y_lower: Any
    y_upper: Any
    hess_f: Callable[..., Any] | None
    hess_g: Callable[..., Any] | None
    project_C: Callable[..., Any] | None  # noqa: N815
    scale: float

    # ---- sizes and parts -------------------------------------------------------------------------
    @property
    def n(self) -> int:
        """Number of upper variables."""
        return int(self.x0.size)

    @property
    def m(self) -> int:
        """Number of lower variables."""
        return int(self.y0.size)

    def parts(self, w: Array) -> tuple[Array, Array]:
        """Return x and y."""
        return w[: self.n], w[self.n :]

    def _names(self) -> list[str]:
        return [spec.name for spec in dataclass_fields(self)]  # type: ignore[arg-type]

    @cached_property
    def box(self) -> tuple[Array, Array]:
        """Bounds of (x, y)."""
        low = np.concatenate([self.lower, self.y_lower])
        return low, np.concatenate([self.upper, self.y_upper])

    @cached_property
    def linear(self) -> tuple[Array, Array, Mask]:
        """Matrix, right-hand side and kind of the linear rows of the lower level."""
        G, h = beside(self.Gx, self.Gy, self.h, self.n, self.m)
        return G, h, np.array(np.broadcast_to(np.asarray(self.equality) != 0, h.size))

    @cached_property
    def joint(self) -> tuple[Array, Array]:
        """Matrix and right-hand side of the rows of the upper level."""
        return beside(self.Ux, self.Uy, self.u, self.n, self.m)

    # ---- functions, checked ----------------------------------------------------------------------
    def upper_value(self, w: Array) -> float:
        """Return F."""
        return oracle.as_value(oracle.call(self.F, *self.parts(w)), "F")

    def lower_value(self, w: Array) -> float:
        """Return f."""
        return oracle.as_value(oracle.call(self.f, *self.parts(w)), "f")

    def _vector(self, name: str, w: Array, size: int) -> Array:
        return oracle.as_shape(oracle.call(getattr(self, name), *self.parts(w)), name, (size,))

    def upper_gradient(self, w: Array) -> Array:
        """Return the gradient of F in (x, y)."""
        x, y = self._vector("grad_x_F", w, self.n), self._vector("grad_y_F", w, self.m)
        return np.concatenate([x, y])

    def lower_in_y(self, w: Array) -> Array:
        """Return the gradient of f in y."""
        return self._vector("grad_y_f", w, self.m)

    def lower_in_x(self, w: Array) -> Array:
        """Return the gradient of f in x."""
        return self._vector("grad_x_f", w, self.n)

    def constraint(self, w: Array) -> Array:
        """Return g, the linear rows first; at most 0, or 0 for equations."""
        G, h, _ = self.linear
        if self.g is None:
            return G @ w - h
        value = np.atleast_1d(oracle.numbers(oracle.call(self.g, *self.parts(w)), "g"))
        if value.ndim != 1:
            raise OracleError(f"g: expected a vector, got shape {value.shape}")
        return np.concatenate([G @ w - h, value])

    def constraint_jac(self, w: Array) -> Array:
        """Return the Jacobian of g in (x, y)."""
        G = self.linear[0]
        if self.g is None:
            return G
        k = self.constraint(w).size - len(G)
        parts = []
        for name, size in (("jac_x_g", self.n), ("jac_y_g", self.m)):
            answer = oracle.call(getattr(self, name), *self.parts(w))
            parts.append(oracle.dense(oracle.as_matrix(answer, name, (k, size))))
        return np.vstack([G, np.hstack(parts)])

    def kinds(self, count: int) -> Mask:
        """Return which of the rows of g are equations."""
        equality = np.zeros(count, dtype=bool)
        equality[: self.linear[2].size] = self.linear[2]
        return equality

    def second(self, w: Array, l: Array) -> Any:
        """Return the derivative in (x, y) of the gradient in y of ``f + l'g``."""
        shape = (self.m, w.size)
        if self.hess_f is not None:
            H = oracle.as_matrix(oracle.call(self.hess_f, *self.parts(w)), "hess_f", shape)
        else:
            H = self._by_differences(self.lower_in_y, w)
        if self.g is None or not l[len(self.linear[0]) :].any():
            return H
        if self.hess_g is not None:
            more = oracle.call(self.hess_g, *self.parts(w), l[len(self.linear[0]) :])
            more = oracle.dense(oracle.as_matrix(more, "hess_g", shape))
        else:
            more = self._by_differences(lambda v: self.constraint_jac(v)[:, self.n :].T @ l, w)
            more = more if isinstance(more, np.ndarray) else oracle.dense(more)
        return oracle.dense(H) + more

    def _by_differences(self, slope: Callable[[Array], Array], w: Array) -> Any:
        """Matrix of central differences; an operator, from gradients of f, if large."""
        if w.size <= DIRECT:
            return np.column_stack([differences(slope, w, e) for e in np.eye(w.size)])
        from scipy.sparse.linalg import LinearOperator

        def along(v: Array) -> Array:
            moved = np.concatenate([np.zeros(self.n), np.ravel(v)])
            return differences(
                lambda z: np.append(self.lower_in_x(z), self.lower_in_y(z)), w, moved
            )

        return LinearOperator(
            (self.m, w.size),
            matvec=lambda v: differences(slope, w, np.ravel(v)),
            rmatvec=along,
            dtype=np.float64,
        )

    # ---- sets ------------------------------------------------------------------------------------
    @cached_property
    def polyhedron(self) -> Polyhedron:
        """The set C of linear data."""
        G, h, equality = self.linear
        U, u = self.joint
        none = np.zeros(len(U), dtype=bool)
        rows, levels = np.vstack([G, U]), np.concatenate([h, u])
        name = "h" if len(h) else "u"
        return Polyhedron(rows, levels, np.concatenate([equality, none]), *self.box, name)

    def project(self, w: Array, near: Array | None = None) -> Array:
        """Return the nearest point of C, which satisfies all constraints of both levels.

        A point of C ``near`` it, if one is given, is where active rows are looked for first.
        """
        if self.project_C is None:
            return self.polyhedron.project(w, near)
        answer = oracle.call(self.project_C, *self.parts(w))
        if not isinstance(answer, tuple | list) or len(answer) != 2:
            raise OracleError(f"project_C: expected a pair (x, y), got {answer!r:.80}")
        x = oracle.as_shape(answer[0], "project_C", (self.n,))
        return np.concatenate([x, oracle.as_shape(answer[1], "project_C", (self.m,))])

    @property
    def lower_unit(self) -> float:
        """Size of the lower level's gradient at a reference point; what it is measured in."""

        def build() -> float:
            for value in (0.0, 1.0):
                w = self.project(np.full(self.n + self.m, value))
                size = norm(self.lower_in_y(w))
                if 0 < size < np.inf:
                    return size
            return 1.0

        return float(self.fact("lower_unit", self._names(), build))

    # ---- judgement -------------------------------------------------------------------------------
    def outside(self, w: Array) -> tuple[float, Array]:
        """Return the relative distance outside the boxes, and the nearest point inside."""
        near = np.clip(w, *self.box)
        return float(np.max(np.abs(near - w) / np.maximum(1.0, np.abs(near)), initial=0.0)), near

    def sizes(self, J: Array) -> tuple[Array, Mask]:
        """Return what the rows of g are divided by, and which of them depend on y."""
        in_y = np.linalg.norm(J[:, self.n :], axis=1)
        in_x = np.linalg.norm(J[:, : self.n], axis=1)
        size = np.where(in_y > 0, in_y, in_x)
        lower_row = in_y > 0
        lower_row[len(self.linear[0]) :] = True  # also where a gradient vanishes
        return np.where(size > 0, size, 1.0), lower_row

    def _upper_rows(self, w: Array) -> tuple[Rows, float]:
        """Return the active rows of U, and the largest violation."""
        U, u = self.joint
        size = np.linalg.norm(U, axis=1)
        size[size == 0] = 1.0
        beyond = (U @ w - u) / size
        near = beyond >= -ACTIVE
        rows = Rows(U[near] / size[near, None], np.zeros(int(near.sum()), dtype=bool))
        return rows, float(np.max(beyond, initial=0.0))

    def _walls(self, w: Array) -> tuple[Rows, Array, Mask]:
        """Return the active bounds as rows, their slacks, and which of them bound y."""
        low, high = self.box
        below, above = np.flatnonzero(w - low <= ACTIVE), np.flatnonzero(high - w <= ACTIVE)
        at = np.concatenate([below, above])
        A = np.zeros((at.size, w.size))
        A[np.arange(at.size), at] = np.repeat((-1.0, 1.0), (below.size, above.size))
        slack = np.concatenate([(w - low)[below], (high - w)[above]])
        return Rows(A, np.zeros(at.size, dtype=bool)), slack, at >= self.n

    def assess(self, w: Array) -> Judgement | str:
        """Compute the four numbers at a point of the boxes, or say why there are none."""
        slope, target = self.lower_in_y(w) / self.lower_unit, self.upper_gradient(w)
        value, J = self.constraint(w), self.constraint_jac(w)
        size, lower_row = self.sizes(J)
        value, A = value / size, J / size[:, None]
        if not all(np.isfinite(part).all() for part in (slope, target, value, A)):
            return "a function is not finite here"
        equality = self.kinds(value.size)
        joint, beyond = self._upper_rows(w)
        walls, wall_slack, of_y = self._walls(w)
        violation = float(np.max(np.where(equality, np.abs(value), value), initial=0.0))

        active = equality | (value >= -ACTIVE)
        own, others = np.flatnonzero(active & lower_row), np.flatnonzero(active & ~lower_row)
        below = Rows(A[own], equality[own]).and_(walls.of(of_y))
        above = Rows(A[others], equality[others]).and_(joint).and_(walls.of(~of_y))
        slack = np.append(np.abs(value[own]), wall_slack[of_y])
        choices = multiplier_choices(slope, below.A[:, self.n :], below.equality)
        if not choices:
            return "the lower level has too many multipliers to check them all"
        exact = self.hess_f is not None and (self.g is None or self.hess_g is not None)
        found: list[Judgement] = []
        for l in choices:
            user = np.zeros(value.size)
            user[own] = l[: own.size] * self.lower_unit / size[own]
            reason, H, lowest, largest = self._curvature(self.second(w, user), exact)
            if reason:
                return reason
            cut = max(RANK * largest, 0.0 if exact else NOISE * max(1.0, norm(slope), largest))
            upper, signed = upper_residual(target, H, below, l, above, cut)
            terms = norm(target) + norm(slope) + float(np.abs(l).sum()) + signed
            moved = np.abs(A) @ np.abs(w) + np.abs(value)
            away = norm(slope + below.A[:, self.n :].T @ l)
            products = np.abs(l) * slack
            gap = float(products.sum()) + excess(away, lowest, norm(self.y_upper - self.y_lower))
            found.append(
                Judgement(
                    stationarity=away,
                    feasibility=max(violation, beyond),
                    complementarity=float(np.max(products[~below.equality], initial=0.0)),
                    gap=self.lower_unit * gap,
                    upper=upper,
                    multipliers=user,
                    weak=int((~below.equality & (l <= STRONG)).sum()),
                    choices=len(choices),
                    floor=8 * UNIT * (terms + float(np.max(moved, initial=0.0))),
                )
            )
        return max(found, key=lambda judgement: judgement.value)

    def _curvature(self, H: Any, exact: bool) -> tuple[str, Any, float, float]:
        """Scale H, and refute convexity of the lower level where it is not.

        The least curvature is 0 where only a few directions are looked at.
        """
        if self.n + self.m <= DIRECT:
            H = oracle.dense(H)
        if isinstance(H, np.ndarray):
            if not np.isfinite(H).all():
                return "a second derivative is not finite here", H, 0.0, 0.0
            H = H / self.lower_unit
            values = np.linalg.eigvalsh(0.5 * (H[:, self.n :] + H[:, self.n :].T))
            lowest, largest = float(values[0]), norm(H)
        else:
            H = H * (1.0 / self.lower_unit)
            rng = np.random.default_rng(0)
            found = []
            for _ in range(4):
                v = rng.standard_normal(self.m)
                Hv = H @ np.append(np.zeros(self.n), v)
                found.append((float(v @ Hv) / float(v @ v), norm(Hv) / norm(v)))
            lowest, largest = min(a for a, _ in found), max(b for _, b in found)
        if lowest < -CONVEX * largest - (0.0 if exact else NOISE):
            curvature = lowest * self.lower_unit
            reason = f"the lower level is not convex: curvature {curvature:.6g} found"
            return reason, H, lowest, largest
        return "", H, lowest if isinstance(H, np.ndarray) else 0.0, largest
