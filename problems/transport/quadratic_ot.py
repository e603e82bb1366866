"""Optimal transport with a quadratic term."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from fejer.errors import ProblemError
from fejer.evidence import EMPTY, Array, Certificate, failed
from fejer.problem import Problem, as_number
from fejer.problems.transport._balanced import Balanced, cost_bound, no_plan
from fejer.problems.transport._gibbs import ROUNDING
from fejer.problems.transport._instances import clouds, transport_model
from fejer.problems.transport._polytope import Polytope
from fejer.problems.transport._quadratic import (
    gap_sums,
    moduli_of,
    positive_sums,
    scale_of,
    scaled_rows,
)
from fejer.problems.transport._routing import route
from fejer.problems.transport._sparse_plan import DROPPED, FINITE
from fejer.problems.transport.plan import Plan

if TYPE_CHECKING:
    import cvxpy

__all__ = ["QuadraticOT"]

KIND = "duality gap"
HOPELESS = 1e-2  # relative violation above which routing is not worth its time


@dataclass(frozen=True, eq=False)
class QuadraticOT(Balanced, Problem):
    """Optimal transport with a quadratic term, whose plan is sparse.

    min over ``P >= 0`` with ``P 1 = a``, ``P' 1 = b`` of ``<C, P> + gamma/2 sum_ij P_ij^2``; its
    dual is to maximise ``<a, f> + <b, g> - sum_ij [f_i + g_j - C_ij]_+^2 / (2 gamma)``.

    The variable x holds the potentials: f (n numbers), then g (m numbers).

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
        Weight of the quadratic term, in units of cost over mass: entries of a plan of mass 1 are
        of the order 1/n, so that ``gamma = max C`` is moderate for n = 1000.

    Raises
    ------
    ProblemError
        Wrong shapes; nan, or -inf in the cost; negative weights, weights that sum to 0 or to
        different masses; ``gamma`` that is not positive; an atom with weight all of whose arcs are
        forbidden.

    Notes
    -----
    Certificate: the duality gap of the feasible plan that ``[f_i + g_j - C_ij]_+ / gamma`` is
    rounded to, with the minimum of the costs taken off, relative to the smaller of the objective
    of that plan and ``mass R + gamma max(|a|^2 / m, |b|^2 / n)``, R the median of the costs.
    Rigorous. The gap is a sum of terms that do not cancel. What the marginals lack is routed along
    the plan's own arcs first, and added as a product (or, where arcs are forbidden, along those
    that are not) only as far as these cannot carry it. Forbidden arcs that leave no plan are
    proven to, by a cut.

    The potentials that are optimal are not unique; the plan is.

    Cost of a certificate: three passes over the costs. Memory: n m numbers, for a large
    `PointCloud` O(n + m).

    References
    ----------
    .. [1] M. Blondel, V. Seguy, A. Rolet (2018), Smooth and sparse optimal transport,
       arXiv:1710.06276.

    Examples
    --------
    >>> import fejer
    >>> problem = fejer.QuadraticOT([0.5, 0.5], [0.5, 0.5], [[0.0, 1.0], [1.0, 0.0]], gamma=8.0)
    >>> result = fejer.minimize(problem, tol=1e-10)
    >>> result.plan.toarray().round(6)
    array([[0.3125, 0.1875],
           [0.1875, 0.3125]])
    """

    a: Any
    b: Any
    cost: Any
    gamma: float

    views: ClassVar[tuple[str, ...]] = (
        "plan",
        "potentials",
        "transport_cost",
        "bracket",
        "marginal_violation",
    )

    def __post_init__(self) -> None:
        self.check_weights()
        as_number(self.gamma, "gamma", above=0)
        self.set(gamma=as_number(self.gamma, "gamma", least=1e-100, most=1e100))

    @property
    def judge_units(self) -> int:
        """Passes over the costs that one certificate takes, routing included."""
        return 30

    def auto(self) -> tuple[str, ...]:
        """Return method names, the first choice first."""
        return ("semismooth-newton", "lbfgs-dual")

    # ---- the certificate ---------------------------------------------------------------------
    def _rounded(self, x: Array) -> _Rounded:
        return _round(self.polytope, self.gamma, *self.polytope.reduced(x))

    def certificate(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> Certificate:
        """Judge potentials by the plan that they give; there is no witness."""
        polytope, rounded = self.polytope, self._rounded(x)
        marginal = rounded.violation / polytope.mass
        if rounded.failure:
            proof = no_plan(polytope.mass, rounded.cut_off, 8 * ROUNDING * polytope.mass)
            return proof or failed(KIND, rounded.failure, details={"marginal": marginal})
        f, g = rounded.f, rounded.g
        scale = scale_of(polytope, self.gamma, rounded.cost, rounded.squares)
        largest = float(np.abs(f).max() + np.abs(g).max())
        floor = 8 * ROUNDING * (moduli_of(polytope, f, g) + abs(rounded.cost))
        floor += f.size * g.size * float(np.square(4 * ROUNDING * largest)) / self.gamma
        floor += rounded.left * largest
        offset = polytope.shift * polytope.mass
        value = (rounded.gap + floor) / scale
        if not np.isfinite(scale):
            return failed(KIND, "overflow", details={"marginal": marginal})
        fun = rounded.cost + 0.5 * self.gamma * rounded.squares
        return Certificate(
            KIND,
            float(value),
            fun + offset,
            rigorous=True,
            scale=scale,
            lower_bound=fun - rounded.gap - floor + offset,
            details={"gap": rounded.gap / scale, "marginal": marginal, "floor": floor / scale},
        )

    # ---- views ---------------------------------------------------------------------------------
    def plan(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> Plan:
        """Return the feasible plan that was certified.

        Parameters
        ----------
        x : array
            The potentials.
        witness : mapping
            Not used.
        """
        polytope, rounded = self.polytope, self._rounded(x)
        if rounded.failure:
            raise ProblemError(f"plan: there is none, {rounded.failure}")
        source: Any = rounded.explicit if rounded.explicit is not None else rounded
        return Plan(source, polytope.whole.shape, polytope.rows, polytope.columns)

    def transport_cost(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> float:
        """Return <C, P> of the certified plan, without the quadratic term.

        Parameters
        ----------
        x : array
            The potentials.
        witness : mapping
            Not used.
        """
        return self._rounded(x).cost + self.polytope.shift * self.polytope.mass

    def bracket(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> tuple[float, float]:
        """Return proven bounds (lower, upper) of the transport cost without regularisation.

        Parameters
        ----------
        x : array
            The potentials.
        witness : mapping
            Not used.
        """
        f, g = self.polytope.reduced(x)
        return cost_bound(self.polytope, f, g), self.transport_cost(x)

    def marginal_violation(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> float:
        """Return the L1 distance of the marginals, before rounding, from a and b.

        Parameters
        ----------
        x : array
            The potentials.
        witness : mapping
            Not used.
        """
        return self._rounded(x).violation

    # ---- instances -------------------------------------------------------------------------------
    @classmethod
    def random(
        cls, n: int = 15, m: int | None = None, dim: int = 2, gamma: float = 5.0, *, seed: int = 0
    ) -> QuadraticOT:
        """Draw two Gaussian clouds with random weights and the squared distance between them.

        Parameters
        ----------
        n, m : int
            Numbers of points; m is n if it is not given.
        dim : int, default 2
            Number of coordinates.
        gamma : float, default 5
            Weight of the quadratic term; the largest cost is 1.
        seed : int, default 0
            Seed of the generator.
        """
        return cls(*clouds(n, m, dim, seed), gamma=gamma)

    def to_cvxpy(self) -> cvxpy.Problem:
        """Return the same problem as a cvxpy model."""
        model, P, cost, constraints = transport_model(self.a, self.b, self.cost)
        objective = cost + 0.5 * self.gamma * model.sum_squares(P)
        return model.Problem(model.Minimize(objective), constraints)


@dataclass
class _Rounded:
    """The plan of the potentials, rounded to the polytope; its rows are computed when asked for."""

    polytope: Polytope
    gamma: float
    f: Array
    g: Array
    r: Array
    c: Array
    deficit: Array
    share: Array
    violation: float
    failure: str = ""
    cut_off: float = 0.0
    cost: float = np.inf
    squares: float = np.inf
    gap: float = np.inf
    left: float = 0.0
    explicit: Array | None = None

    @property
    def shape(self) -> tuple[int, int]:
        return self.polytope.cost.shape

    def rows(self, start: int, stop: int) -> Array:
        """Return rows as a new array."""
        block = self.polytope.cost.rows(start, stop)
        out = np.empty(block.shape)
        vectors = (part[start:stop] for part in (self.f, self.r, self.deficit))
        f, r, deficit = (np.ascontiguousarray(part) for part in vectors)
        scaled_rows(
            block,
            0,
            self.polytope.shift,
            self.gamma,
            f,
            self.g,
            r,
            self.c,
            deficit,
            self.share,
            out,
        )
        return out


def _round(polytope: Polytope, gamma: float, f: Array, g: Array) -> _Rounded:
    a, b, cost, shift = polytope.a, polytope.b, polytope.cost, polytope.shift
    p, r, q, scaled = np.empty(a.size), np.empty(a.size), np.zeros(b.size), np.zeros(b.size)
    for start, block in cost.blocks():
        positive_sums(block, start, shift, gamma, f, g, a, p, q, r, scaled)
    c = np.where(scaled > b, b / np.maximum(scaled, 1e-300), 1.0)
    violation = float(np.abs(p - a).sum() + np.abs(q - b).sum())
    nothing = np.zeros(a.size), np.zeros(b.size)
    rounded = _Rounded(polytope, gamma, f, g, r, c, *nothing, violation)
    if not np.isfinite(violation):
        rounded.failure = "overflow: the potentials are too large"
        return rounded
    sums, found = np.zeros(3), 0
    if cost.dense is not None:
        P = rounded.rows(0, a.size)
        _supply(rounded, P)
        if rounded.failure:
            return rounded
        rounded.explicit = P
        gap_sums(cost.dense, 0, shift, gamma, f, g, P, sums)
    else:
        da = a - np.concatenate([rounded.rows(i, i + len(k)).sum(axis=1) for i, k in cost.blocks()])
        db = np.maximum(b - scaled * c, 0.0)
        rounded.deficit[:] = np.where(da > 4 * ROUNDING * a, da, 0.0)
        rounded.share[:] = db / db.sum() if db.any() else db
        for found, block in cost.blocks():
            P = rounded.rows(found, found + len(block))
            gap_sums(block, found, shift, gamma, f, g, P, sums)
    rounded.cost, rounded.squares, rounded.gap = map(float, sums)
    return rounded


def _supply(rounded: _Rounded, P: Array) -> None:
    """Add what the marginals of P lack: along its arcs, then as a product or on allowed arcs."""
    polytope = rounded.polytope
    a, b, C = polytope.a, polytope.b, polytope.cost.dense
    da, db = a - P.sum(axis=1), b - P.sum(axis=0)
    da[da <= 8 * ROUNDING * a] = 0.0
    db[db <= 8 * ROUNDING * b] = 0.0
    if not (da.any() and db.any()):
        return
    assert C is not None
    f, g, shift = rounded.f, rounded.g, polytope.shift
    if rounded.violation <= HOPELESS * polytope.mass:
        route(C, shift, f, g, 1.0, 0.0, P, da, db)
    if not (da.any() and db.any()):
        return
    if polytope.cost.finite:
        P += np.multiply.outer(da, db / db.sum())
        return
    rows, columns = route(C, shift, f, g, 1.0, FINITE, P, da, db)
    rounded.left = float(min(da.sum(), db.sum()))
    if rounded.left > DROPPED * polytope.mass:
        rounded.failure = "what the marginals lack cannot be routed around forbidden arcs"
        if not (C[np.ix_(rows, ~columns)] < np.inf).any():
            rounded.cut_off = float(a[rows].sum() - b[columns].sum())
