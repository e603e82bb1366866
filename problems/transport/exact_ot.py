"""Optimal transport without regularisation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from fejer.errors import ProblemError
from fejer.evidence import EMPTY, Array, Certificate, failed
from fejer.numerics.matrix import Matrix
from fejer.problem import Problem, witness_array
from fejer.problems.forms import Program, ProgramForm
from fejer.problems.transport._balanced import Balanced, no_plan
from fejer.problems.transport._gibbs import ROUNDING, c_transform
from fejer.problems.transport._instances import clouds, transport_model
from fejer.problems.transport._sparse_plan import (
    DROPPED,
    Feasible,
    packed_plan,
    read_plan,
    rounded_plan,
)
from fejer.problems.transport.plan import Plan

if TYPE_CHECKING:
    import cvxpy

__all__ = ["ExactOT"]

KIND = "duality gap"


@dataclass(frozen=True, eq=False)
class ExactOT(Balanced, Program, Problem):
    """Optimal transport: the cheapest plan between two weights.

    min over ``P >= 0`` with ``P 1 = a``, ``P' 1 = b`` of ``<C, P>``; its dual is to maximise
    ``<a, f> + <b, g>`` over potentials with ``f_i + g_j <= C_ij``.

    The variable x holds the potentials: f (n numbers), then g (m numbers). The plan is the witness
    ``plan``, of shape (3, k): row numbers, column numbers and entries.

    Parameters
    ----------
    a : array_like, shape (n,), or None
        Weights of the rows, at least 0. None: uniform.
    b : array_like, shape (m,), or None
        Weights of the columns. Both sums must agree to 1e-9 (b is scaled by the rest); they need
        not be 1.
    cost : array_like, shape (n, m), or PointCloud
        ``C``; +inf forbids an arc.

    Raises
    ------
    ProblemError
        Wrong shapes; nan, or -inf in the cost; negative weights, weights that sum to 0 or to
        different masses; an atom with weight all of whose arcs are forbidden.

    Notes
    -----
    Certificate: with the minimum of the costs taken off, the duality gap of the rounded plan and
    the potentials (f, g), where f is replaced by the largest one that fits to g, relative to
    ``mass * min(R, max(<C, P> / mass, 1e-6 s))``: R is the median of the costs, s the median over
    the rows of the step from the smallest cost to the next. So neither a huge stand-in for
    "forbidden" nor a plan of nearly no cost buys tolerance. Rigorous. The gap is the sum
    ``sum P_ij (C_ij - f_i - g_j)`` of terms that do not cancel.

    The plan is rounded by scaling rows, then columns, down to their weights; what they lack is
    added as a product, or routed where arcs are forbidden. Without a plan the value is inf. A plan
    with a negative entry or a forbidden arc counts as none.

    A witness ``ray`` (f, g) with ``f_i + g_j <= 0`` on all allowed arcs and
    ``<a, f> + <b, g> > 0`` proves that no plan avoids the forbidden arcs.

    Cost of a certificate: one pass over the costs. Memory: O(n + m + k), n m for routing.

    References
    ----------
    .. [1] G. Peyré, M. Cuturi (2019), Computational optimal transport, arXiv:1803.00567.

    Examples
    --------
    >>> import fejer
    >>> problem = fejer.ExactOT([0.5, 0.5], [0.25, 0.75], [[0.0, 1.0], [2.0, 0.0]])
    >>> result = fejer.minimize(problem)
    >>> result.fun, result.success
    (0.25, True)
    >>> result.plan.toarray()
    array([[0.25, 0.25],
           [0.  , 0.5 ]])
    """

    a: Any
    b: Any
    cost: Any

    views: ClassVar[tuple[str, ...]] = (
        "plan",
        "potentials",
        "transport_cost",
        "bracket",
        "marginal_violation",
    )

    def __post_init__(self) -> None:
        self.check_weights()

    def auto(self) -> tuple[str, ...]:
        """Return method names, the first choice first."""
        return ("network-simplex", "assignment", "highs")

    # ---- the certificate ---------------------------------------------------------------------
    def _dual(self, x: Array) -> tuple[Array, Array]:
        """Potentials that fit, for costs less the shift: g of x, and the best f for it."""
        polytope = self.polytope
        _, g = polytope.reduced(x)
        f = np.empty(polytope.a.size)
        for start, block in polytope.cost.blocks():
            c_transform(block, start, polytope.shift, g, f)
        return f, g

    def certificate(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> Certificate:
        """Judge potentials and the witness ``plan``."""
        polytope = self.polytope
        f, g = self._dual(x)
        dual = float(polytope.a @ f + polytope.b @ g)
        moduli = float(polytope.a @ np.abs(f) + polytope.b @ np.abs(g))
        offset = polytope.shift * polytope.mass
        lower = dual - 4 * ROUNDING * moduli + offset
        plan, reason = self._feasible(witness)
        if plan is None:
            return self._proof(witness, plan) or failed(KIND, reason, np.inf, lower_bound=lower)
        if plan.left > DROPPED * polytope.mass:
            reason = "what the marginals lack cannot be routed around forbidden arcs"
            return self._proof(witness, plan) or failed(KIND, reason, np.inf, lower_bound=lower)
        entries = plan.entries
        reduced = entries.costs - f[entries.rows] - g[entries.columns]
        gap = float(entries.values @ reduced)
        cost = float(entries.values @ entries.costs)
        rows, columns, values, costs = plan.product(polytope)
        if values.size:
            gap += float((values * (costs - f[rows, None] - g[columns])).sum())
            cost += float((values * costs).sum())
        scale = self._scale(cost)
        floor = 4 * ROUNDING * (abs(cost) + moduli)
        floor += plan.left * float(np.abs(f).max() + np.abs(g).max())
        value = (max(gap, 0.0) + floor) / scale
        if not np.isfinite(scale):
            return failed(KIND, "overflow")
        return Certificate(
            KIND,
            float(value),
            cost + offset,
            rigorous=True,
            scale=scale,
            lower_bound=lower,
            details={"gap": gap / scale, "floor": floor / scale},
            witness={key: witness[key] for key in ("plan",)},
        )

    def _scale(self, cost: float) -> float:
        polytope = self.polytope
        size = polytope.spread or 1.0
        least = 1e-6 * self.fact("step", ("a", "b", "cost"), lambda: polytope.cost.step)
        return polytope.mass * min(size, max(cost / polytope.mass, least))

    def _feasible(self, witness: Mapping[str, Array]) -> tuple[Feasible | None, str]:
        entries = read_plan(self.polytope, witness)
        if isinstance(entries, str):
            return None, entries
        return rounded_plan(self.polytope, entries), ""

    def _proof(self, witness: Mapping[str, Array], plan: Feasible | None) -> Certificate | None:
        """Prove by a ray or by the cut of the routing that there is no plan."""
        polytope = self.polytope
        n, m = polytope.whole.shape
        if polytope.cost.finite:
            return None
        if plan is not None and plan.cut is not None:
            f, g = plan.cut[0].astype(float), -plan.cut[1].astype(float)
        else:
            ray = witness_array(witness, "ray", n + m)
            if ray is None:
                return None
            f, g = ray[:n], ray[n:]
            f = f if polytope.rows is None else f[polytope.rows]
            g = g if polytope.columns is None else g[polytope.columns]
        allowed = np.isfinite(polytope.cost.dense)  # type: ignore[arg-type]
        f = -np.where(allowed, g, -np.inf).max(axis=1)  # the best one that fits
        size = float(np.abs(f).max() + np.abs(g).max())
        deficit = float(polytope.a @ f + polytope.b @ g)
        rounding = 8 * ROUNDING * float(polytope.a @ np.abs(f) + polytope.b @ np.abs(g))
        kept = {key: witness[key] for key in ("plan", "ray") if key in witness}
        if not 0.0 < size < np.inf:
            return None
        return no_plan(polytope.mass, deficit / size, rounding / size, witness=kept)

    # ---- the linear program --------------------------------------------------------------------
    def program(self) -> ProgramForm:
        """Return the linear program over the allowed arcs between atoms with weight."""
        return self.fact("program", ("a", "b", "cost"), self._program)  # type: ignore[no-any-return]

    def _arcs(self) -> tuple[Any, Any, Array]:
        cost = self.polytope.cost
        dense = cost.dense if cost.dense is not None else np.array(cost.rows(0, cost.shape[0]))
        rows, columns = np.nonzero(np.isfinite(dense))
        return rows, columns, dense[rows, columns] - self.polytope.shift

    def _program(self) -> ProgramForm:
        from scipy.sparse import csc_array

        polytope, (rows, columns, costs) = self.polytope, self._arcs()
        n, m = polytope.cost.shape
        count = rows.size
        places = np.stack([rows, n + columns], axis=1).ravel()
        pointers = np.arange(0, 2 * count + 1, 2)
        A = csc_array((np.ones(2 * count), places, pointers), shape=(n + m, count))
        sides = np.concatenate([polytope.a, polytope.b])
        return ProgramForm(
            costs, Matrix.of(A, "cost"), sides, sides, np.zeros(count), np.full(count, np.inf)
        )

    def from_program(
        self, x: Array, dual: Array | None = None, ray: Array | None = None
    ) -> tuple[Array, Mapping[str, Any]]:
        """Turn flows on the arcs into a plan, multipliers into potentials.

        Parameters
        ----------
        x : array
            Flow on each arc of `program`.
        dual : array, shape (n + m,), optional
            Multipliers of the rows.
        ray : array, shape (n + m,), optional
            Proof that there is no plan; one of another size is none: a solver that takes huge
            costs for an unbounded program gives a direction of flows.

        Returns
        -------
        point : array
        witness : dict
        """
        polytope, (rows, columns, _) = self.polytope, self._arcs()
        used = x > 0
        rows, columns = rows[used], columns[used]
        rows = rows if polytope.rows is None else polytope.rows[rows]
        columns = columns if polytope.columns is None else polytope.columns[columns]
        witness = {"plan": packed_plan(rows, columns, x[used])}
        n, (whole_n, whole_m) = polytope.a.size, polytope.whole.shape
        if ray is not None and ray.size == n + polytope.b.size:
            whole = np.zeros(whole_n + whole_m)
            whole[slice(0, n) if polytope.rows is None else polytope.rows] = ray[:n]
            places = np.arange(whole_m) if polytope.columns is None else polytope.columns
            whole[whole_n + places] = ray[n:]
            witness["ray"] = whole
        point = self.initial_point() if dual is None else polytope.packed(dual[:n], dual[n:])
        return point, witness

    # ---- views ---------------------------------------------------------------------------------
    def plan(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> Plan:
        """Return the feasible plan that was certified.

        Parameters
        ----------
        x : array
            The potentials; not used.
        witness : mapping
            With the plan.
        """
        from scipy.sparse import coo_array

        polytope = self.polytope
        feasible, reason = self._feasible(witness)
        if feasible is None or feasible.left > DROPPED * polytope.mass:
            raise ProblemError(f"plan: there is none, {reason or 'it cannot be routed'}")
        entries = feasible.entries
        rows, columns, values, _ = feasible.product(polytope)
        i = np.concatenate([entries.rows, np.repeat(rows, columns.size if values.size else 0)])
        j = np.concatenate([entries.columns, np.tile(columns, rows.size if values.size else 0)])
        shape = polytope.cost.shape
        every = np.concatenate([entries.values, values.ravel()])
        table = coo_array((every, (i, j)), shape=shape).tocsr()
        return Plan(table, polytope.whole.shape, polytope.rows, polytope.columns)

    def potentials(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> tuple[Array, Array]:
        """Return f and g that fit, with <a, f> = <b, g>.

        Parameters
        ----------
        x : array
            The potentials.
        witness : mapping
            Not used.
        """
        whole = self.polytope.packed(*self._dual(x))
        return whole[: self.a.size], whole[self.a.size :]

    def transport_cost(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> float:
        """Return <C, P> of the certified plan.

        Parameters
        ----------
        x : array
            The potentials.
        witness : mapping
            With the plan.
        """
        return self.certificate(x, witness).fun

    def bracket(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> tuple[float, float]:
        """Return proven bounds (lower, upper) of the transport cost.

        Parameters
        ----------
        x : array
            The potentials.
        witness : mapping
            With the plan; without one the upper bound is inf.
        """
        found = self.certificate(x, witness)
        upper = found.fun if np.isfinite(found.value) else np.inf
        return float(found.lower_bound if found.lower_bound is not None else -np.inf), upper

    def marginal_violation(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> float:
        """Return the L1 distance of the plan's marginals, before rounding, from a and b.

        Parameters
        ----------
        x : array
            The potentials; not used.
        witness : mapping
            With the plan.
        """
        entries = read_plan(self.polytope, witness)
        if isinstance(entries, str):
            return 2 * self.polytope.mass
        p, q = entries.sums(self.polytope)
        return float(np.abs(p - self.polytope.a).sum() + np.abs(q - self.polytope.b).sum())

    # ---- instances -------------------------------------------------------------------------------
    @classmethod
    def random(cls, n: int = 12, m: int | None = None, dim: int = 2, *, seed: int = 0) -> ExactOT:
        """Draw two Gaussian clouds and the squared distance between them.

        Parameters
        ----------
        n, m : int
            Numbers of points, with random weights. Without m: n on each side, of equal weight, so
            that an assignment solves it.
        dim : int, default 2
            Number of coordinates.
        seed : int, default 0
            Seed of the generator.
        """
        a, b, cost = clouds(n, m, dim, seed)
        return cls(None, None, cost) if m is None else cls(a, b, cost)

    def to_cvxpy(self) -> cvxpy.Problem:
        """Return the same problem as a cvxpy model."""
        model, _, cost, constraints = transport_model(self.a, self.b, self.cost)
        return model.Problem(model.Minimize(cost), constraints)
