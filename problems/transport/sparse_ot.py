"""Optimal transport with a quadratic term and a limit on the entries of each row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from fejer.errors import ProblemError
from fejer.evidence import EMPTY, Array, Certificate, failed
from fejer.problem import Problem, as_number
from fejer.problems.transport._balanced import Balanced
from fejer.problems.transport._gibbs import ROUNDING
from fejer.problems.transport._instances import clouds, transport_model
from fejer.problems.transport._polytope import Polytope
from fejer.problems.transport._quadratic import moduli_of, scale_of, top_sums
from fejer.problems.transport._sparse_plan import Entries, packed_plan, read_plan
from fejer.problems.transport.plan import Plan
from fejer.problems.transport.point_cloud import PointCloud

if TYPE_CHECKING:
    import cvxpy

__all__ = ["SparseOT"]

KIND = "duality gap"
OWN = 1e-9  # violation of a marginal, relative to its own weight, that a plan may have


@dataclass(frozen=True, eq=False)
class SparseOT(Balanced, Problem):
    """Optimal transport with at most k entries in each row (or column) of the plan.

    min over ``P >= 0`` with ``P 1 = a``, ``P' 1 = b`` and at most k entries > 0 in each row of
    ``<C, P> + gamma/2 sum_ij P_ij^2``. This is not convex; its dual,
    max ``<a, f> + <b, g> - sum_i sum_{j in top k of row i} [f_i + g_j - C_ij]_+^2 / (2 gamma)``,
    is, and bounds it from below.

    The variable x holds the potentials: f (n numbers), then g (m numbers). A plan is the witness
    ``plan``, of shape (3, number of entries): row numbers, column numbers and entries.

    Parameters
    ----------
    a : array_like, shape (n,), or None
        Weights of the rows, at least 0. None: uniform.
    b : array_like, shape (m,), or None
        Weights of the columns. Both sums must agree to 1e-9 (b is scaled by the rest); they need
        not be 1.
    cost : array_like, shape (n, m), or PointCloud
        ``C``; +inf forbids an arc.
    gamma : float
        Weight of the quadratic term, in units of cost over mass.
    k : int
        Largest number of entries > 0.
    axis : {"row", "column"}, default "row"
        Whether that is a limit of each row or of each column.

    Raises
    ------
    ProblemError
        Wrong shapes; nan, or -inf in the cost; negative weights, weights that sum to 0 or to
        different masses; ``gamma`` that is not positive; ``k`` below 1 or above the length of a
        row (column); an atom with weight all of whose arcs are forbidden.

    Notes
    -----
    Certificate: the duality gap of the witness plan, relative to the smaller of its objective
    (with the minimum of the costs taken off) and ``mass R + gamma max(|a|^2 / m, |b|^2 / n)``, R
    the median of the costs. Rigorous. The plan must have at most k entries in each row and meet
    each marginal to 1e-9 of its own weight; what it misses counts against the gap. Without such a
    plan the kind is "relaxed" and the value inf: ``certificate.lower_bound`` is all that is known.

    With k = 1 the dual is that of transport without regularisation, raised by
    ``gamma/2 sum a_i^2``; with k = m it is that of `QuadraticOT`. In between the dual equals the
    problem where no row has a tie at its k-th entry. Ties are the rule where k binds (the view
    ``ties`` counts them); the gap then is a property of the problem, not of the method.

    Cost of a certificate: one pass over the costs. Memory: O(n + m + number of entries).

    References
    ----------
    .. [1] T. Liu, J. Puigcerver, M. Blondel (2023), Sparsity-constrained optimal transport,
       arXiv:2209.15466.

    Examples
    --------
    >>> import fejer
    >>> cost = [[0.1, 0.4, 0.9], [0.5, 0.2, 0.3], [0.7, 0.8, 0.0]]
    >>> result = fejer.minimize(fejer.SparseOT(None, None, cost, gamma=0.1, k=1))
    >>> result.plan.toarray().round(4), result.ties
    (array([[0.3333, 0.    , 0.    ],
           [0.    , 0.3333, 0.    ],
           [0.    , 0.    , 0.3333]]), 0)
    """

    a: Any
    b: Any
    cost: Any
    gamma: float
    k: int
    axis: str = "row"

    views: ClassVar[tuple[str, ...]] = (
        "plan",
        "potentials",
        "transport_cost",
        "marginal_violation",
        "ties",
    )

    def __post_init__(self) -> None:
        self.check_weights()
        as_number(self.gamma, "gamma", above=0)
        if not isinstance(self.axis, str) or self.axis not in ("row", "column"):
            raise ProblemError(f"axis: expected 'row' or 'column', got {self.axis!r:.80}")
        length = self.b.size if self.axis == "row" else self.a.size
        k = as_number(self.k, "k", least=1, most=length, integer=True)
        self.set(gamma=as_number(self.gamma, "gamma", least=1e-100, most=1e100), k=k)

    @property
    def oriented(self) -> Polytope:
        """The polytope, transposed where columns are sparse."""
        if self.axis == "row":
            return self.polytope
        return self.fact("oriented", ("a", "b", "cost", "axis"), self._transposed)  # type: ignore[no-any-return]

    def _transposed(self) -> Polytope:
        cost = self.cost
        if isinstance(cost, PointCloud):
            return Polytope(self.b, self.a, PointCloud(cost.y, cost.x, cost.cost))
        turned = np.ascontiguousarray(cost.T)
        turned.flags.writeable = False
        return Polytope(self.b, self.a, turned)

    @property
    def judge_units(self) -> int:
        """Passes over the costs that one certificate takes."""
        return 2

    def auto(self) -> tuple[str, ...]:
        """Return method names, the first choice first."""
        return ("lbfgs-dual",)

    # ---- the certificate ---------------------------------------------------------------------
    def _reduced(self, x: Array) -> tuple[Array, Array]:
        """Potentials in the orientation in which rows are sparse."""
        if self.axis == "column":
            n = self.a.size
            x = np.concatenate([x[n:], x[:n]])
        return self.oriented.reduced(x)

    def _tops(self, f: Array, g: Array) -> tuple[float, int]:
        """Sum of the squares of the k largest positive entries of the rows; number of ties."""
        polytope, ties, m = self.oriented, np.zeros(1), g.size
        k = min(self.k, m)
        v, heap, places = np.empty(m), np.empty(k), np.empty(k, dtype=np.int64)
        total = 0.0
        for start, block in polytope.cost.blocks():
            total += top_sums(block, start, polytope.shift, f, g, k, v, heap, places, ties)
        return float(total), int(ties[0])

    def _read(self, witness: Mapping[str, Any]) -> Entries | str:
        """The witness plan in that orientation; a text says what is wrong with it."""
        polytope, given = self.oriented, witness.get("plan")
        if self.axis == "column" and isinstance(given, np.ndarray) and given.shape[:1] == (3,):
            witness = {"plan": given[[1, 0, 2]]}
        entries = read_plan(polytope, witness)
        if isinstance(entries, str):
            return entries
        if entries.rows.size and np.bincount(entries.rows).max() > self.k:
            return f"the witness 'plan' has a {self.axis} of more than {self.k} entries"
        p, q = entries.sums(polytope)
        off = max(float((np.abs(p - polytope.a) / polytope.a).max()), float(
            (np.abs(q - polytope.b) / polytope.b).max()
        ))  # fmt: skip
        if not off <= OWN:
            return f"the witness 'plan' misses a marginal by {off:.3g} of it"
        return entries

    def certificate(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> Certificate:
        """Judge potentials and the witness ``plan``."""
        polytope, gamma = self.oriented, self.gamma
        f, g = self._reduced(x)
        squares, ties = self._tops(f, g)
        tops = squares / (2 * gamma)
        offset = polytope.shift * polytope.mass
        dual = float(polytope.a @ f + polytope.b @ g) - tops + offset
        floor = 8 * ROUNDING * (moduli_of(polytope, f, g) + tops)
        details = {"ties": ties}
        entries = self._read(witness)
        if isinstance(entries, str):
            return failed("relaxed", entries, np.inf, lower_bound=dual - floor, details=details)
        s = f[entries.rows] + g[entries.columns] - entries.costs
        positive, P = np.maximum(s, 0.0), entries.values
        p, q = entries.sums(polytope)
        gap = float(((gamma * P - positive) ** 2).sum()) / (2 * gamma)
        gap += float(P @ np.maximum(-s, 0.0))
        gap += abs(tops - float(positive @ positive) / (2 * gamma))
        gap += float(np.abs(f) @ np.abs(p - polytope.a) + np.abs(g) @ np.abs(q - polytope.b))
        cost, size = float(P @ entries.costs), float(P @ P)
        floor += 8 * ROUNDING * abs(cost)
        scale = scale_of(polytope, gamma, cost, size)
        if not np.isfinite(scale):
            return failed(KIND, "overflow")
        return Certificate(
            KIND,
            (gap + floor) / scale,
            cost + 0.5 * gamma * size + offset,
            rigorous=True,
            scale=scale,
            lower_bound=dual - floor,
            details={"gap": gap / scale, "floor": floor / scale, **details},
            witness={"plan": witness["plan"]},
        )

    def plan_value(self, witness: Mapping[str, Any]) -> float:
        """Return the objective of a witness plan; inf where it is not feasible.

        Parameters
        ----------
        witness : mapping
            With the entry ``plan``.
        """
        entries = self._read(witness)
        if isinstance(entries, str):
            return float("inf")
        P = entries.values
        return float(P @ entries.costs + 0.5 * self.gamma * (P @ P))

    def turned(self, entries: Entries) -> Array:
        """Return the witness array of entries in the orientation in which rows are sparse.

        Parameters
        ----------
        entries : Entries
            Of `oriented`.
        """
        polytope = self.oriented
        rows, columns = entries.rows, entries.columns
        rows = rows if polytope.rows is None else polytope.rows[rows]
        columns = columns if polytope.columns is None else polytope.columns[columns]
        if self.axis == "column":
            rows, columns = columns, rows
        return packed_plan(rows, columns, entries.values)

    # ---- views ---------------------------------------------------------------------------------
    def plan(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> Plan:
        """Return the feasible k-sparse plan; where none was found, the one of the relaxation.

        The latter violates the marginals, as `marginal_violation` tells.

        Parameters
        ----------
        x : array
            The potentials.
        witness : mapping
            With the plan.
        """
        from scipy.sparse import coo_array

        entries = self._read(witness)
        if isinstance(entries, str):
            entries = self._relaxed(x)
        i, j, values = self.turned(entries)
        shape = self.polytope.whole.shape
        return Plan(coo_array((values, (i.astype(int), j.astype(int))), shape=shape).tocsr())

    def _relaxed(self, x: Array) -> Entries:
        """The plan that the potentials give."""
        polytope, (f, g) = self.oriented, self._reduced(x)
        rows, columns, values, k = [], [], [], min(self.k, self.oriented.b.size)
        for start, block in polytope.cost.blocks():
            s = f[start : start + len(block), None] + g - (block - polytope.shift)
            places = np.argpartition(-s, k - 1, axis=1)[:, :k]
            entries = np.take_along_axis(s, places, axis=1)
            i, which = np.nonzero(entries > 0)
            rows.append(i + start)
            columns.append(places[i, which])
            values.append(entries[i, which] / self.gamma)
        i, j = np.concatenate(rows), np.concatenate(columns)
        return Entries(i, j, np.concatenate(values), np.zeros(0))

    def transport_cost(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> float:
        """Return <C, P> of the feasible plan; inf where there is none.

        Parameters
        ----------
        x : array
            The potentials; not used.
        witness : mapping
            With the plan.
        """
        entries = self._read(witness)
        if isinstance(entries, str):
            return float("inf")
        return float(entries.values @ entries.costs) + self.oriented.shift * self.oriented.mass

    def marginal_violation(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> float:
        """Return the L1 distance of the marginals of `plan` from a and b.

        Parameters
        ----------
        x : array
            The potentials.
        witness : mapping
            With the plan.
        """
        p, q = self.plan(x, witness).marginals
        return float(np.abs(p - self.a).sum() + np.abs(q - self.b).sum())

    def ties(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> int:
        """Return the number of rows (columns) with a tie at the k-th entry.

        Parameters
        ----------
        x : array
            The potentials.
        witness : mapping
            Not used.
        """
        return self._tops(*self._reduced(x))[1]

    # ---- instances -------------------------------------------------------------------------------
    @classmethod
    def random(
        cls, n: int = 12, m: int | None = None, gamma: float = 1.0, k: int = 8, *, seed: int = 0
    ) -> SparseOT:
        """Draw two Gaussian clouds in the plane with random weights, and their squared distances.

        Parameters
        ----------
        n, m : int
            Numbers of points; m is n if it is not given.
        gamma : float, default 1
            Weight of the quadratic term; the largest cost is 1.
        k : int, default 8
            Largest number of entries of a row.
        seed : int, default 0
            Seed of the generator.
        """
        return cls(*clouds(n, m, 2, seed), gamma=gamma, k=k)

    def to_cvxpy(self) -> cvxpy.Problem:
        """Return the relaxation without the limit k, since the problem is not convex."""
        model, P, cost, constraints = transport_model(self.a, self.b, self.cost)
        objective = cost + 0.5 * self.gamma * model.sum_squares(P)
        return model.Problem(model.Minimize(objective), constraints)
