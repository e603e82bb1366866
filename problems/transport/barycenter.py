"""Entropic barycenters on a fixed support."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from fejer.errors import ProblemError, missing
from fejer.evidence import EMPTY, Array, Certificate, failed
from fejer.problem import Problem, as_number, as_vector, witness_array
from fejer.problems.transport._cost import as_cost
from fejer.problems.transport._gibbs import ROUNDING, log_rows
from fejer.problems.transport._polytope import SAME_MASS, Polytope
from fejer.problems.transport._rounding import GibbsRows, Rounded, round_gibbs
from fejer.problems.transport.plan import Plan
from fejer.problems.transport.point_cloud import PointCloud

if TYPE_CHECKING:
    import cvxpy

__all__ = ["Barycenter"]

KIND = "duality gap"
OUTSIDE = 1e-9


@dataclass(frozen=True, eq=False)
class Barycenter(Problem):
    """Weighted barycenter of distributions, for entropic transport, on a fixed support.

    min over ``q >= 0`` of ``sum_k w_k W_k(q)``, ``W_k(q)`` the minimum over plans P between p_k and
    q of ``<C_k, P> + eps sum_ij P_ij (log P_ij - 1)``.

    The variable x holds q. The witness ``potentials``, of shape (K, m), holds the potentials g_k of
    q's side; they are shifted so that ``sum_k w_k g_k = 0``, which makes them feasible.

    Parameters
    ----------
    measures : array_like, shape (K, n)
        The distributions p_k, one a row: weights at least 0, of equal masses (to 1e-9).
    costs : array_like or PointCloud, shape (n, m), or sequence of K of them
        Costs from the atoms of the measures to the m places of the barycenter; finite.
    eps : float
        Weight of the entropy, in units of the cost.
    weights : array_like, shape (K,), optional
        Weights w_k > 0 of the measures, scaled to sum 1; uniform if not given.

    Raises
    ------
    ProblemError
        Wrong shapes; entries that are not finite; negative measures, measures that sum to 0 or to
        different masses; weights or ``eps`` that are not positive.

    Notes
    -----
    Certificate: the duality gap relative to ``mass max(sum_k w_k min(R_k, c_k), eps)``, R_k the
    median minus the minimum of the costs, c_k the transport cost above the minimum per mass.
    Rigorous: the potentials give plans with the right rows, these are rounded to q, and the gap is
    ``eps sum_k w_k KL(rounded plan | plan)``. A q whose mass or sign is off by more than 1e-9 has
    the value inf.

    Entropy blurs: the barycenter of equal distributions is wider than they are.

    Cost of a certificate: three passes with exponentials over each of the K costs.

    References
    ----------
    .. [1] J.-D. Benamou, G. Carlier, M. Cuturi, L. Nenna, G. Peyré (2015), Iterative Bregman
       projections for regularized transportation problems, arXiv:1412.5154.

    Examples
    --------
    >>> import numpy as np, fejer
    >>> line = np.linspace(0.0, 1.0, 11)
    >>> ends = np.zeros((2, 11))
    >>> ends[0, 0] = ends[1, 10] = 1.0
    >>> result = fejer.minimize(fejer.Barycenter(ends, fejer.PointCloud(line, line), eps=0.01))
    >>> result.success, int(result.barycenter.argmax())
    (True, 5)
    """

    measures: Any
    costs: Any
    eps: float
    weights: Any = None

    views: ClassVar[tuple[str, ...]] = ("barycenter", "plans", "potentials")

    def __post_init__(self) -> None:
        measures = as_vector(self.measures, "measures", ndim=2)
        if measures.min() < 0 or not measures.any(axis=1).all():
            raise ProblemError("measures: expected weights >= 0, with a positive sum in each row")
        sums = measures.sum(axis=1)
        if np.ptp(sums) > SAME_MASS * sums.max():
            raise ProblemError(
                f"measures: expected equal sums, got {sums.min():.12g} to {sums.max():.12g}"
            )
        if np.ptp(sums) > 1e-14 * sums.max():
            measures = measures * (sums[0] / sums)[:, None]
            measures.flags.writeable = False
        many = isinstance(self.costs, list | tuple) and all(
            isinstance(cost, PointCloud) or np.ndim(cost) == 2 for cost in self.costs
        )
        if many and len(self.costs) != len(measures):
            got = len(self.costs)
            raise ProblemError(f"costs: expected one, or {len(measures)} as measures, got {got}")
        costs = tuple(as_cost(cost, "costs") for cost in (self.costs if many else [self.costs]))
        for cost in costs:
            if cost.shape[0] != measures.shape[1] or cost.shape[1] != costs[0].shape[1]:
                text = f"expected {measures.shape[1]} rows and equal numbers of columns"
                raise ProblemError(f"costs: {text}, got {cost.shape}")
            if not isinstance(cost, PointCloud) and not cost.max() < np.inf:
                raise ProblemError("costs: expected finite entries, got inf")
        count = len(measures)
        weights = (
            np.ones(count) if self.weights is None else as_vector(self.weights, "weights", count)
        )
        if weights.min() <= 0:
            raise ProblemError(f"weights: expected numbers > 0, got {weights.min():.6g}")
        weights = weights / weights.sum()
        weights.flags.writeable = False
        as_number(self.eps, "eps", above=0)
        eps = as_number(self.eps, "eps", least=1e-100, most=1e100)
        stored = costs if many else costs[0]
        self.set(measures=measures, costs=stored, weights=weights, eps=eps)

    # ---- what depends on the data ----------------------------------------------------------
    @property
    def mass(self) -> float:
        """The mass of each measure, and of the barycenter."""
        return float(self.measures[0].sum())

    def cost_of(self, k: int) -> Any:
        """Return the cost of one measure.

        Parameters
        ----------
        k : int
            Its number.
        """
        return self.costs[k] if isinstance(self.costs, tuple) else self.costs

    @property
    def parts(self) -> list[Polytope]:
        """The atoms with weight of each measure, and their costs."""
        return self.fact("parts", ("measures", "costs"), self._parts)  # type: ignore[no-any-return]

    def _parts(self) -> list[Polytope]:
        m = self.cost_of(0).shape[1]
        uniform = np.full(m, self.mass / m)
        return [Polytope(p, uniform, self.cost_of(k)) for k, p in enumerate(self.measures)]

    @property
    def judge_units(self) -> int:
        """Passes over the costs of a certificate."""
        return 4 * len(self.measures)

    @property
    def unit(self) -> int:
        """One pass over the costs of all measures."""
        return len(self.measures)

    def initial_point(self) -> Array:
        """Return the uniform distribution."""
        m = self.cost_of(0).shape[1]
        return np.full(m, self.mass / m)

    def auto(self) -> tuple[str, ...]:
        """Return method names, the first choice first."""
        return ("bregman-projections",)

    # ---- the certificate ---------------------------------------------------------------------
    def _potentials(self, witness: Mapping[str, Any]) -> Array:
        """The witness, shifted on ``sum_k w_k g_k = 0``; 0 where it is missing."""
        shape = len(self.measures), self.size
        g = witness_array(witness, "potentials", shape)
        if g is None or not np.abs(g).max() < 1e150:
            return np.zeros(shape)
        return g - self.weights @ g

    def _rounded(self, q: Array, g: Array) -> list[tuple[Polytope, Rounded, Array]]:
        """Plans of the potentials, rounded to q; also the first potentials."""
        found = []
        for k, part in enumerate(self.parts):
            f = np.zeros(part.a.size)
            z, w = np.empty(q.size), np.empty(q.size)
            for start, block in part.cost.blocks():
                log_rows(block, start, 0.0, f, g[k], 1 / self.eps, part.a, np.log(part.a), z, w)
            polytope = Polytope(self.measures[k], q, self.cost_of(k))
            half = 0.5 * polytope.shift
            kept = g[k] if polytope.columns is None else g[k][polytope.columns]
            found.append((polytope, round_gibbs(polytope, self.eps, f - half, kept - half), f))
        return found

    def certificate(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> Certificate:
        """Judge a distribution by the witness ``potentials``."""
        q = np.maximum(x, 0.0)
        total = float(q.sum())
        if not 0.0 < total < np.inf:
            return failed(KIND, "x has no positive mass")
        q *= self.mass / total
        outside = float(np.abs(x - q).sum()) / self.mass
        if not outside <= OUTSIDE:
            return failed(KIND, f"x is no distribution of the given mass: off by {outside:.3g}")
        gap = floor = cost = dual = 0.0
        g = self._potentials(witness)
        for w, (polytope, rounded, f) in zip(self.weights, self._rounded(q, g), strict=True):
            if rounded.failure:
                return failed(KIND, rounded.failure)
            vanished = max(self.mass - rounded.total, 0.0)  # in columns where q is 0
            gap += w * self.eps * (max(rounded.divergence, 0.0) + vanished)
            moduli = abs(rounded.cost) + self.eps * rounded.moduli + float(polytope.a @ np.abs(f))
            moduli += float(polytope.b @ np.abs(rounded.g))
            floor += w * 8 * ROUNDING * moduli
            floor += w * rounded.left * float(np.abs(f).max() + np.abs(rounded.g).max())
            cost += w * min(polytope.spread, max(rounded.cost, 0.0) / self.mass)
            dual += w * (float(polytope.a @ f) - self.eps * self.mass)
        scale = self.mass * max(cost, self.eps)
        return Certificate(
            KIND,
            float((gap + floor) / scale + outside),
            float(dual + gap),
            rigorous=True,
            scale=scale,
            lower_bound=float(dual - floor),
            details={"gap": gap / scale, "floor": floor / scale},
            witness={k: witness[k] for k in ("potentials",) if k in witness},
        )

    # ---- views ---------------------------------------------------------------------------------
    def barycenter(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> Array:
        """Return q.

        Parameters
        ----------
        x : array
            The point.
        witness : mapping
            Not used.
        """
        return np.array(x)

    def plans(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> list[Plan]:
        """Return the certified plans from each measure to q.

        Parameters
        ----------
        x : array
            The point.
        witness : mapping
            With the potentials.
        """
        q = np.maximum(x, 0.0)
        plans = []
        for polytope, rounded, _ in self._rounded(
            q * (self.mass / q.sum()), self._potentials(witness)
        ):
            source: Any = rounded.explicit
            if source is None:
                source = GibbsRows(polytope, self.eps, rounded)
            plans.append(Plan(source, polytope.whole.shape, polytope.rows, polytope.columns))
        return plans

    def potentials(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> Array:
        """Return the potentials of q's side, one row for each measure.

        Parameters
        ----------
        x : array
            The point; not used.
        witness : mapping
            With the potentials.
        """
        return self._potentials(witness)

    # ---- instances -------------------------------------------------------------------------------
    @classmethod
    def random(cls, n: int = 20, count: int = 3, eps: float = 0.02, *, seed: int = 0) -> Barycenter:
        """Draw bell curves on the unit interval.

        Parameters
        ----------
        n : int, default 20
            Number of places.
        count : int, default 3
            Number of curves.
        eps : float, default 0.02
            Weight of the entropy; costs are squared distances.
        seed : int, default 0
            Seed of the generator.
        """
        rng = np.random.default_rng(seed)
        line = np.linspace(0.0, 1.0, n)
        centers, widths = rng.uniform(0.2, 0.8, (count, 1)), rng.uniform(0.05, 0.15, (count, 1))
        curves = np.exp(-((line - centers) ** 2) / (2 * widths**2)) + 1e-6
        curves /= curves.sum(axis=1, keepdims=True)
        return cls(curves, PointCloud(line, line).toarray(), eps, rng.uniform(0.5, 1.5, count))

    def to_cvxpy(self) -> cvxpy.Problem:
        """Return the same problem as a cvxpy model (exponential cones)."""
        try:
            import cvxpy
        except ImportError as error:
            raise missing("cvxpy", "to_cvxpy", "oracle") from error
        model: Any = cvxpy  # its names have no types
        q, objective, constraints = model.Variable(self.size, nonneg=True), 0.0, []
        for k, p in enumerate(self.measures):
            cost = self.cost_of(k)
            C = cost.toarray() if isinstance(cost, PointCloud) else cost
            P = model.Variable(C.shape, nonneg=True)
            entropy = model.sum(model.entr(P)) + self.mass
            objective += self.weights[k] * (model.sum(model.multiply(C, P)) - self.eps * entropy)
            constraints += [model.sum(P, axis=1) == p, model.sum(P, axis=0) == q]
        return model.Problem(model.Minimize(objective), constraints)
