"""Entropic transport between weights that need not be met."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from fejer.errors import ProblemError, missing
from fejer.evidence import EMPTY, Array, Certificate, failed
from fejer.problem import Problem, as_number
from fejer.problems.transport._cost import as_cost
from fejer.problems.transport._gibbs import ROUNDING, gibbs_sums, scaled_sums
from fejer.problems.transport._instances import clouds
from fejer.problems.transport._polytope import Polytope, as_weights, weights_of
from fejer.problems.transport._rounding import GibbsRows, Rounded, round_gibbs
from fejer.problems.transport.plan import Plan
from fejer.problems.transport.point_cloud import PointCloud

if TYPE_CHECKING:
    import cvxpy

__all__ = ["UnbalancedOT"]

KIND = "duality gap"


@dataclass(frozen=True, eq=False)
class UnbalancedOT(Problem):
    """Entropic transport that may create and destroy mass, at a price.

    min over ``P >= 0`` of ``<C, P> + eps KL(P | a b') + tau_a KL(P 1 | a) + tau_b KL(P' 1 | b)``
    with ``KL(p | q) = sum p log(p / q) - p + q``; its dual is to maximise
    ``tau_a sum a (1 - exp(-f / tau_a)) + tau_b sum b (1 - exp(-g / tau_b))
    + eps sum_ij a_i b_j (1 - exp((f_i + g_j - C_ij) / eps))``.

    The variable x holds the potentials: f (n numbers), then g (m numbers).

    Parameters
    ----------
    a, b : array_like, shapes (n,) and (m,), or None
        Weights, at least 0, of any masses. None: uniform of mass 1.
    cost : array_like, shape (n, m), or PointCloud
        ``C``; +inf forbids an arc.
    eps : float
        Weight of the entropy.
    tau_a, tau_b : float
        Prices of the deviation from the weights, in units of the cost. inf demands that side's
        weights exactly; if both are inf the masses must agree.

    Raises
    ------
    ProblemError
        Wrong shapes; nan, or -inf in the cost; negative weights, or weights that sum to 0; a
        parameter that is not positive; an atom with weight all of whose arcs are forbidden (give
        it weight 0: its price is ``tau`` times the weight).

    Notes
    -----
    Certificate: the duality gap relative to ``min(N, max(|F|, 1e-6 N))``, F the objective and N
    that of the empty plan. Rigorous: for finite tau any plan is feasible. The gap is a sum of three
    divergences, without cancellation. On a side with tau = inf the plan is scaled to its weights
    (rounded to both, if both are such), the minimum of the costs is taken off, and N is the mass
    times the larger of the median cost and eps, plus the price of the other side.

    Cost of a certificate: two passes with exponentials over the costs. Memory O(n + m).

    References
    ----------
    .. [1] L. Chizat, G. Peyré, B. Schmitzer, F.-X. Vialard (2018), Scaling algorithms for
       unbalanced transport problems, arXiv:1607.05816.
    .. [2] T. Séjourné, F.-X. Vialard, G. Peyré (2022), Faster unbalanced optimal transport:
       translation invariant Sinkhorn and 1-D Frank-Wolfe, arXiv:2201.00730.

    Examples
    --------
    >>> import fejer
    >>> cost = [[0.0, 1.0], [1.0, 0.0]]
    >>> problem = fejer.UnbalancedOT([1.0, 1.0], [1.0, 3.0], cost, eps=0.1, tau_a=1.0, tau_b=1.0)
    >>> result = fejer.minimize(problem)
    >>> result.success, bool(result.plan.marginals[0].sum() < 4.0)
    (True, True)
    """

    a: Any
    b: Any
    cost: Any
    eps: float
    tau_a: float
    tau_b: float

    views: ClassVar[tuple[str, ...]] = (
        "plan",
        "potentials",
        "transport_cost",
        "marginal_violation",
    )

    def __post_init__(self) -> None:
        cost = as_cost(self.cost)
        for name in ("eps", "tau_a", "tau_b"):
            value = as_number(getattr(self, name), name, above=0, finite=name == "eps")
            if not math.isinf(value):
                value = as_number(value, name, least=1e-100, most=1e100)
            self.set(**{name: value})
        if math.isinf(self.tau_a) and math.isinf(self.tau_b):
            a, b = as_weights(self.a, self.b, cost.shape)
        else:
            a, b = weights_of(self.a, "a", cost.shape[0]), weights_of(self.b, "b", cost.shape[1])
        self.set(a=a, b=b, cost=cost)
        self.polytope  # noqa: B018  (checks that no atom is cut off)

    # ---- what depends on the data ----------------------------------------------------------
    @property
    def polytope(self) -> Polytope:
        """The atoms with weight, and their costs."""
        return self.fact(  # type: ignore[no-any-return]
            "polytope", ("a", "b", "cost"), lambda: Polytope(self.a, self.b, self.cost)
        )

    @property
    def judge_units(self) -> int:
        """Units of work of a certificate: two passes."""
        return 4

    def initial_point(self) -> Array:
        """Return potentials 0."""
        return np.zeros(self.a.size + self.b.size)

    def auto(self) -> tuple[str, ...]:
        """Return method names, the first choice first."""
        return ("sinkhorn-unbalanced",)

    def inner(self, x: Array) -> tuple[Array, Array]:
        """Return the potentials of the atoms with weight.

        Parameters
        ----------
        x : array
            The potentials.
        """
        n, polytope = self.a.size, self.polytope
        f, g = x[:n], x[n:]
        f = f if polytope.rows is None else f[polytope.rows]
        return f, g if polytope.columns is None else g[polytope.columns]

    def outer(self, f: Array, g: Array) -> Array:
        """Return x of potentials of the atoms with weight; 0 at the others.

        Parameters
        ----------
        f, g : array
            The potentials.
        """
        x, n, polytope = self.initial_point(), self.a.size, self.polytope
        x[slice(0, n) if polytope.rows is None else polytope.rows] = f
        x[slice(n, None) if polytope.columns is None else n + polytope.columns] = g
        return x

    # ---- the certificate ---------------------------------------------------------------------
    def certificate(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> Certificate:
        """Judge potentials by the plan that they give; there is no witness."""
        found = self._scaled(x)
        if isinstance(found, str):
            return failed(KIND, found)
        return found.certificate(self)

    def _scaled(self, x: Array) -> _Scaled | str:
        """The plan of the potentials, scaled to the weights of the sides with tau = inf."""
        polytope, eps = self.polytope, self.eps
        a, b, (f, g) = polytope.a, polytope.b, self.inner(x)
        F, G = f + eps * np.log(a), g + eps * np.log(b)
        n, m = polytope.cost.shape
        z, r, c = np.empty(m), np.ones(n), np.ones(m)
        p, q = np.empty(n), np.zeros(m)
        if math.isinf(self.tau_a) and math.isinf(self.tau_b):
            shift = polytope.shift
            rounded = round_gibbs(polytope, eps, F - 0.5 * shift, G - 0.5 * shift)
            return rounded.failure or _Scaled(f, g, F, G, r, c, a, b, 0.0, 0.0, rounded)
        if math.isinf(self.tau_a) or math.isinf(self.tau_b):
            ignored = np.empty(n), np.zeros(m)
            for start, block in polytope.cost.blocks():
                gibbs_sums(block, start, 0.0, F, G, 1 / eps, a, z, p, q, *ignored)
            r = a / p if math.isinf(self.tau_a) else r
            c = b / q if math.isinf(self.tau_b) else c
            if not (np.isfinite(r).all() and np.isfinite(c).all()):
                return "a row or column that must have its weight has no entry"
        # sum P_ij (f_i + g_j - C_ij) / eps follows from the marginals and the cost
        p, q, sums = np.empty(n), np.zeros(m), np.zeros(2)
        for start, block in polytope.cost.blocks():
            scaled_sums(block, start, 0.0, F, G, 1 / eps, r, c, z, p, q, sums)
        return _Scaled(f, g, F, G, r, c, p, q, float(sums[0]), float(sums[1]), None)

    # ---- views ---------------------------------------------------------------------------------
    def plan(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> Plan:
        """Return the plan that was certified.

        Parameters
        ----------
        x : array
            The potentials.
        witness : mapping
            Not used.
        """
        found, polytope = self._scaled(x), self.polytope
        if isinstance(found, str):
            raise ProblemError(f"plan: there is none, {found}")
        if found.rounded is not None:
            rounded = found.rounded
            source: Any = rounded.explicit
        else:
            half = 0.5 * polytope.shift
            rounded = Rounded(found.F - half, found.G - half, 0.0, 0.0, 0.0)
            rounded.r, rounded.c = found.r, found.c
            rounded.deficit, rounded.share = np.zeros(found.f.size), np.zeros(found.g.size)
            source = None
        if source is None:
            source = GibbsRows(polytope, self.eps, rounded)
        return Plan(source, polytope.whole.shape, polytope.rows, polytope.columns)

    def potentials(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> tuple[Array, Array]:
        """Return f and g; 0 at atoms without weight.

        Parameters
        ----------
        x : array
            The potentials.
        witness : mapping
            Not used.
        """
        whole = self.outer(*self.inner(x))
        return whole[: self.a.size], whole[self.a.size :]

    def transport_cost(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> float:
        """Return <C, P> of the certified plan.

        Parameters
        ----------
        x : array
            The potentials.
        witness : mapping
            Not used.
        """
        found = self._scaled(x)
        if isinstance(found, str):
            return math.inf
        if found.rounded is not None:
            return found.rounded.cost + self.polytope.shift * self.polytope.mass
        return found.cost

    def marginal_violation(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> float:
        """Return the L1 distance of the plan's marginals from a and b: mass made or destroyed.

        Parameters
        ----------
        x : array
            The potentials.
        witness : mapping
            Not used.
        """
        p, q = self.plan(x).marginals
        return float(np.abs(p - self.a).sum() + np.abs(q - self.b).sum())

    # ---- instances -------------------------------------------------------------------------------
    @classmethod
    def random(
        cls,
        n: int = 20,
        m: int | None = None,
        eps: float = 0.05,
        tau_a: float = 1.0,
        tau_b: float = 2.0,
        *,
        seed: int = 0,
    ) -> UnbalancedOT:
        """Draw two Gaussian clouds with random weights, the second one of mass 1.5.

        Parameters
        ----------
        n, m : int
            Numbers of points; m is n if it is not given.
        eps : float, default 0.05
            Weight of the entropy; the largest cost is 1.
        tau_a, tau_b : float, default 1 and 2
            Prices of deviating from the weights.
        seed : int, default 0
            Seed of the generator.
        """
        a, b, cost = clouds(n, m, 2, seed)
        return cls(a, 1.5 * b, cost, eps, tau_a, tau_b)

    def to_cvxpy(self) -> cvxpy.Problem:
        """Return the same problem as a cvxpy model (exponential cones)."""
        try:
            import cvxpy
        except ImportError as error:
            raise missing("cvxpy", "to_cvxpy", "oracle") from error
        model: Any = cvxpy  # its names have no types
        C = self.cost.toarray() if isinstance(self.cost, PointCloud) else self.cost
        P, allowed = model.Variable(C.shape, nonneg=True), np.isfinite(C)
        objective = model.sum(model.multiply(np.where(allowed, C, 0.0), P))
        product = np.outer(self.a, self.b)
        objective += self.eps * model.sum(model.kl_div(P, product))
        constraints = [] if allowed.all() else [model.multiply(~allowed, P) == 0]
        for tau, weights, axis in ((self.tau_a, self.a, 1), (self.tau_b, self.b, 0)):
            sums = model.sum(P, axis=axis)
            if math.isinf(tau):
                constraints.append(sums == weights)
            else:
                objective += tau * model.sum(model.kl_div(sums, weights))
        return model.Problem(model.Minimize(objective), constraints)


def _divergence(p: Array, q: Array) -> tuple[float, float]:
    """KL(p | q), and the moduli of its summands."""
    information = p * np.log(np.maximum(p, 1e-300) / np.maximum(q, 1e-300))
    return float((information - p + q).sum()), float((np.abs(information) + p + q).sum())


@dataclass
class _Scaled:
    """Potentials f, g and F = f + eps log a, G; the plan diag(r) Z diag(c) and its marginals."""

    f: Array
    g: Array
    F: Array
    G: Array
    r: Array
    c: Array
    p: Array
    q: Array
    cost: float
    total: float  # sum of Z
    rounded: Rounded | None

    def certificate(self, problem: UnbalancedOT) -> Certificate:
        """The gap as a sum of divergences."""
        polytope, eps = problem.polytope, problem.eps
        a, b, rounded = polytope.a, polytope.b, self.rounded
        offset, size, price = 0.0, 0.0, 0.0
        both = float(a.sum()) * float(b.sum())
        empty = eps * both
        if rounded is not None:
            gap = eps * max(rounded.divergence, 0.0)
            moduli = eps * rounded.moduli + abs(rounded.cost)
            offset = polytope.shift * polytope.mass
            size, logs = rounded.total, gap / eps
            gap += rounded.left * float(np.abs(self.f).max() + np.abs(self.g).max())
        else:
            logs = float(self.p @ np.log(self.r) + self.q @ np.log(self.c))
            mass = float(self.p.sum())
            gap = eps * (logs - mass + self.total)
            moduli = eps * (abs(logs) + mass + self.total)
            size = mass
        # <C, P> + eps KL(P | a b'), by the marginals alone
        fun = float(self.f @ self.p + self.g @ self.q) + eps * (logs - size + both)
        for tau, p, weights, potential in (
            (problem.tau_a, self.p, a, self.f),
            (problem.tau_b, self.q, b, self.g),
        ):
            if math.isinf(tau):
                moduli += float(np.abs(potential) @ weights)
                offset = polytope.shift * float(weights.sum())
                continue
            dual = weights * np.exp(-potential / tau)
            divergence, terms = _divergence(p, dual)
            gap += tau * divergence
            moduli += tau * terms
            fun += tau * _divergence(p, weights)[0]
            price += tau * float(weights.sum())
        if offset or math.isinf(problem.tau_a) or math.isinf(problem.tau_b):
            mass = float(a.sum() if math.isinf(problem.tau_a) else b.sum())
            empty = mass * max(polytope.spread, eps) + price
        else:
            empty += price
        scale = min(empty, max(abs(fun - offset), 1e-6 * empty))
        floor = 8 * ROUNDING * (moduli + abs(fun))
        if not (math.isfinite(scale) and math.isfinite(gap)):
            return failed(KIND, "overflow: the potentials are too large")
        gap = max(gap, 0.0)
        return Certificate(
            KIND,
            (gap + floor) / scale,
            fun,
            rigorous=True,
            scale=scale,
            lower_bound=fun - gap - floor,
            details={"gap": gap / scale, "floor": floor / scale},
        )
