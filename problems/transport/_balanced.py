"""What the problems over plans with two given marginals share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fejer.evidence import EMPTY, Array, Certificate
from fejer.problems.transport._cost import as_cost
from fejer.problems.transport._gibbs import ROUNDING, c_transform, column_minima
from fejer.problems.transport._polytope import Polytope, as_weights

CUT_OFF = 1e-9  # share of the mass that must be cut off for a proof of infeasibility


def no_plan(mass: float, deficit: float, rounding: float, **kept: Any) -> Certificate | None:
    """Return the certificate that forbidden arcs leave no plan, where so much is cut off."""
    if not CUT_OFF * mass < deficit < np.inf:
        return None
    text = f"no plan avoids the forbidden arcs: {deficit:.3g} of mass is cut off"
    return Certificate(
        "cut", rounding / deficit, np.inf, True, proves="infeasible", reason=text,
        details={"deficit": deficit}, **kept,
    )  # fmt: skip


def cost_bound(polytope: Polytope, f: Array, g: Array) -> float:
    """Lower bound of the cost without regularisation: the better of the two c-transforms."""
    best_f, best_g = np.empty(f.size), np.full(g.size, np.inf)
    for start, block in polytope.cost.blocks():
        c_transform(block, start, polytope.shift, g, best_f)
        column_minima(block, start, polytope.shift, f, best_g)
    a, b = polytope.a, polytope.b
    bounds = [
        a @ s + b @ t - 4 * ROUNDING * (a @ np.abs(s) + b @ np.abs(t))
        for s, t in ((best_f, g), (f, best_g))
    ]
    return float(max(bounds)) + polytope.shift * polytope.mass


class Balanced:
    """Mixin of problems with fields a, b and cost, whose variable is two potentials."""

    a: Any
    b: Any
    cost: Any
    set: Any
    fact: Any

    def check_weights(self) -> None:
        """Check weights and cost, and that no atom is cut off."""
        cost = as_cost(self.cost)
        a, b = as_weights(self.a, self.b, cost.shape)
        self.set(a=a, b=b, cost=cost)
        self.polytope  # noqa: B018

    @property
    def polytope(self) -> Polytope:
        """The atoms with weight, their costs, and the size of these."""
        return self.fact(  # type: ignore[no-any-return]
            "polytope", ("a", "b", "cost"), lambda: Polytope(self.a, self.b, self.cost)
        )

    def initial_point(self) -> Array:
        """Return potentials 0."""
        return np.zeros(self.a.size + self.b.size)

    def potentials(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> tuple[Array, Array]:
        """Return f and g with <a, f> = <b, g>; the c-transform at atoms without weight.

        Parameters
        ----------
        x : array
            The potentials.
        witness : mapping
            Not used.
        """
        whole = self.polytope.packed(*self.polytope.reduced(x))
        return whole[: self.a.size], whole[self.a.size :]
