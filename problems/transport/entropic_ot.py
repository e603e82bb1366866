"""Entropic optimal transport."""

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
from fejer.problems.transport._rounding import GibbsRows, Rounded, round_gibbs
from fejer.problems.transport.plan import Plan

if TYPE_CHECKING:
    import cvxpy

__all__ = ["EntropicOT"]

KIND = "duality gap"


@dataclass(frozen=True, eq=False)
class EntropicOT(Balanced, Problem):
    """Optimal transport with an entropy term.

    min over ``P >= 0`` with ``P 1 = a``, ``P' 1 = b`` of
    ``<C, P> + eps sum_ij P_ij (log P_ij - 1)``; its dual is to maximise
    ``<a, f> + <b, g> - eps sum_ij exp((f_i + g_j - C_ij) / eps)`` over the potentials f and g.

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
    eps : float, optional
        Weight of the entropy, in the units of the cost.
    eps_rel : float, optional
        The same as a share of the largest finite cost. Exactly one of the two is given.

    Raises
    ------
    ProblemError
        Wrong shapes; nan, or -inf in the cost; negative weights, weights that sum to 0 or to
        different masses; both or none of ``eps`` and ``eps_rel``, or one that is not positive; an
        atom with weight all of whose arcs are forbidden.

    Notes
    -----
    Certificate: the larger of the L1 violation of the marginals of the plan
    ``exp((f_i + g_j - C_ij) / eps)``, relative to the mass, and the duality gap of the feasible
    plan that it is rounded to, relative to ``mass * max(min(R, <C - min C, P> / mass), eps)`` with
    R the median minus the minimum of the costs. The second part is rigorous. A huge cost that
    stands for "forbidden" buys no tolerance. The gap is computed as ``eps KL(P | plan)``, a sum of
    terms that do not cancel.

    Atoms of zero weight take no part; their potential is the c-transform of the other side. Where
    entries of the plan vanish in floating point, what the marginals lack is routed along arcs that
    carry mass (in order of the entries, then by augmenting paths). With forbidden arcs the
    certificate proves infeasibility by a cut, if there is no plan.

    Cost of a certificate: two passes with exponentials over the n m costs; memory O(n + m), n m
    where entries vanish. A `PointCloud` of more than 2**24 entries is never stored.

    References
    ----------
    .. [1] M. Cuturi (2013), Sinkhorn distances: lightspeed computation of optimal transport,
       arXiv:1306.0895.
    .. [2] J. Altschuler, J. Weed, P. Rigollet (2017), Near-linear time approximation algorithms
       for optimal transport via Sinkhorn iteration, arXiv:1705.09634.
    .. [3] G. Peyré, M. Cuturi (2019), Computational optimal transport, arXiv:1803.00567.

    Examples
    --------
    >>> import fejer
    >>> problem = fejer.EntropicOT([0.5, 0.5], [0.5, 0.5], [[0.0, 1.0], [1.0, 0.0]], eps=1.0)
    >>> result = fejer.minimize(problem, tol=1e-10)
    >>> round(result.transport_cost, 6), result.success
    (0.268941, True)
    >>> result.plan.toarray().round(4)
    array([[0.3655, 0.1345],
           [0.1345, 0.3655]])
    """

    a: Any
    b: Any
    cost: Any
    eps: float | None = None
    eps_rel: float | None = None

    views: ClassVar[tuple[str, ...]] = (
        "plan",
        "potentials",
        "transport_cost",
        "bracket",
        "marginal_violation",
    )

    def __post_init__(self) -> None:
        self.check_weights()
        if (self.eps is None) == (self.eps_rel is None):
            given = "neither" if self.eps is None else "both"
            raise ProblemError(f"eps, eps_rel: expected exactly one of them, got {given}")
        for name in ("eps", "eps_rel"):
            value = getattr(self, name)
            if value is not None:
                as_number(value, name, above=0)
                self.set(**{name: as_number(value, name, least=1e-100, most=1e100)})
        if self.eps_rel is not None and not self.epsilon >= 1e-100:
            text = f"expected a largest cost > 0, got {self._largest:.6g}; use eps"
            raise ProblemError(f"eps_rel: {text}")

    # ---- what depends on the data ----------------------------------------------------------
    @property
    def epsilon(self) -> float:
        """Weight of the entropy in the units of the cost."""
        if self.eps is not None:
            return float(self.eps)
        return float((self.eps_rel or 0.0) * self._largest)

    @property
    def _largest(self) -> float:
        return self.fact("largest", ("a", "b", "cost"), lambda: self.polytope.whole.largest)  # type: ignore[no-any-return]

    @property
    def judge_units(self) -> int:
        """Units of work that one certificate costs: exponentials, and routing where some vanish."""
        polytope = self.polytope
        if polytope.cost.dense is None:  # the methods compute exponentials, too, 2 units a pass:
            return 16  # a certificate costs 4 passes in float64, and 11 in float32
        vanish = self._largest - polytope.shift > 700 * self.epsilon
        return 100 if vanish or not polytope.cost.finite else 24

    def auto(self) -> tuple[str, ...]:
        """Return Newton's methods first where eps is small, so that Sinkhorn would be slow."""
        small = 50 * self.epsilon < self.polytope.spread and self.polytope.cost.finite
        return ("semidual-newton", *(("sns",) if small else ()), "sinkhorn")

    # ---- the certificate ---------------------------------------------------------------------
    def _rounded(self, x: Array) -> Rounded:
        return round_gibbs(self.polytope, self.epsilon, *self.polytope.reduced(x))

    def certificate(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> Certificate:
        """Judge potentials by the plan that they give; there is no witness."""
        polytope, epsilon = self.polytope, self.epsilon
        mass = polytope.mass
        rounded = self._rounded(x)
        if rounded.failure:
            return self._refused(rounded)
        f, g = rounded.f, rounded.g
        gap = epsilon * max(rounded.divergence, 0.0)
        size = min(polytope.spread, max(rounded.cost, 0.0) / mass)
        scale = mass * max(size, epsilon)
        dual_moduli = float(polytope.a @ np.abs(f) + polytope.b @ np.abs(g)) + abs(rounded.cost)
        gap_floor = 4 * ROUNDING * (dual_moduli + epsilon * rounded.moduli)
        gap_floor += rounded.left * float(np.abs(f).max() + np.abs(g).max())
        per_entry = (rounded.potential_moduli + abs(rounded.cost)) / epsilon
        marginal_floor = 8 * ROUNDING * (per_entry + rounded.total + mass)
        dual = float(polytope.a @ f + polytope.b @ g) - epsilon * rounded.total
        dual += polytope.shift * mass
        marginal, relative = rounded.violation / mass, gap / scale
        marginal_floor, gap_floor = marginal_floor / mass, gap_floor / scale
        value = max(marginal + marginal_floor, relative + gap_floor)
        if not np.isfinite(scale):
            value = np.inf
        return Certificate(
            KIND,
            float(value),
            dual + gap,
            rigorous=True,
            scale=scale,
            reason="" if np.isfinite(value) else "overflow",
            lower_bound=dual - gap_floor * scale,
            details={
                "marginal": marginal,
                "gap": relative,
                "floor": max(marginal_floor, gap_floor),
                "cost": rounded.cost + polytope.shift * mass,
            },
        )

    def _refused(self, rounded: Rounded) -> Certificate:
        marginal = rounded.violation / self.polytope.mass
        rounding = 8 * ROUNDING * self.polytope.mass
        proof = no_plan(self.polytope.mass, rounded.infeasible_by, rounding)
        if proof is not None:
            return proof
        return failed(KIND, rounded.failure, details={"marginal": marginal})

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
        source: Any = rounded.explicit
        if source is None:
            source = GibbsRows(polytope, self.epsilon, rounded)
        return Plan(source, polytope.whole.shape, polytope.rows, polytope.columns)

    def transport_cost(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> float:
        """Return <C, P> of the certified plan, without the entropy.

        Parameters
        ----------
        x : array
            The potentials.
        witness : mapping
            Not used.
        """
        return self._rounded(x).cost + self.polytope.shift * self.polytope.mass

    def bracket(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> tuple[float, float]:
        """Return proven bounds (lower, upper) of the transport cost without entropy.

        The upper one is the cost of the certified plan, the lower one the better of the dual
        values of the two c-transforms.

        Parameters
        ----------
        x : array
            The potentials.
        witness : mapping
            Not used.
        """
        polytope, rounded = self.polytope, self._rounded(x)
        upper = rounded.cost + 4 * ROUNDING * abs(rounded.cost) + polytope.shift * polytope.mass
        return cost_bound(polytope, rounded.f, rounded.g), float(upper)

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
        cls,
        n: int = 30,
        m: int | None = None,
        dim: int = 2,
        eps_rel: float = 0.05,
        *,
        seed: int = 0,
    ) -> EntropicOT:
        """Draw two Gaussian clouds with random weights and the squared distance between them.

        Parameters
        ----------
        n, m : int
            Numbers of points; m is n if it is not given.
        dim : int, default 2
            Number of coordinates.
        eps_rel : float, default 0.05
            Weight of the entropy, as a share of the largest cost.
        seed : int, default 0
            Seed of the generator.
        """
        return cls(*clouds(n, m, dim, seed), eps_rel=eps_rel)

    def to_cvxpy(self) -> cvxpy.Problem:
        """Return the same problem as a cvxpy model (exponential cones)."""
        model, P, cost, constraints = transport_model(self.a, self.b, self.cost)
        objective = cost - self.epsilon * (model.sum(model.entr(P)) + float(self.a.sum()))
        return model.Problem(model.Minimize(objective), constraints)
