"""The feasible plan near a Gibbs plan, and what it costs above the dual value."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fejer.evidence import Array
from fejer.problems.transport._gibbs import (
    LOWEST,
    ROUNDING,
    SATURATED,
    explicit_sums,
    filled_rows,
    gibbs_sums,
    scaled_rows,
)
from fejer.problems.transport._polytope import Polytope
from fejer.problems.transport._routing import route

HOPELESS = 1e-2  # relative violation above which arcs of cost +inf alone call for routing
FINITE = -1.7e308  # exponents of arcs that are not forbidden are above it
DROPPED = 1e-12  # share of the mass that may be left over by rounding


@dataclass
class Rounded:
    """A Gibbs plan Z of reduced potentials, and the plan P that it is rounded to.

    Attributes
    ----------
    failure : str
        Why there is no P; empty: there is one.
    violation : float
        L1 distance of the marginals of Z from the weights.
    cost, divergence : float
        <C - shift, P> and KL(P | Z).
    cost_moduli, moduli : float
        Sums of the moduli of their summands.
    potential_moduli : float
        sum_ij Z_ij (|f_i| + |g_j|).
    """

    f: Array
    g: Array
    total: float
    violation: float
    potential_moduli: float
    failure: str = ""
    infeasible_by: float = 0.0
    cost: float = np.inf
    divergence: float = np.inf
    moduli: float = np.inf
    left: float = 0.0
    explicit: Array | None = None
    r: Array | None = None
    c: Array | None = None
    deficit: Array | None = None
    share: Array | None = None


def round_gibbs(polytope: Polytope, epsilon: float, f: Array, g: Array) -> Rounded:
    """Round the plan of the potentials to the polytope.

    Rows, then columns are scaled down to their weights; what they lack then is added: as a product
    where all entries are positive, otherwise along arcs of positive entries, and as a product (or,
    where arcs are forbidden, along those that are not) only as far as these cannot carry it.
    """
    a, b, cost, shift = polytope.a, polytope.b, polytope.cost, polytope.shift
    inverse = 1.0 / epsilon
    n, m = cost.shape
    p, r, q, scaled, z = np.empty(n), np.empty(n), np.zeros(m), np.zeros(m), np.empty(m)
    zeros = 0
    for start, block in cost.blocks():
        zeros += gibbs_sums(block, start, shift, f, g, inverse, a, z, p, q, r, scaled)
    total = float(p.sum())
    violation = float(np.abs(p - a).sum() + np.abs(q - b).sum())
    potential = float(p @ np.abs(f) + q @ np.abs(g))
    rounded = Rounded(f, g, total, violation, potential)
    if not total < SATURATED:
        rounded.failure = "overflow: the potentials are too large"
        return rounded
    c = np.where(scaled > b, b / np.maximum(scaled, 1e-300), 1.0)
    lacking = b - c * scaled
    db = np.where(lacking > 4.0 * ROUNDING * b, lacking, 0.0)
    share = db / db.sum() if db.any() else db
    rounded.r, rounded.c, rounded.share, rounded.deficit = r, c, share, np.zeros(n)
    worthwhile = cost.dense is not None and db.any() and violation <= HOPELESS * polytope.mass
    if zeros and (worthwhile or not cost.finite):
        _route(polytope, inverse, rounded, db)
    else:
        _fill(polytope, inverse, rounded, z)
    return rounded


def _fill(polytope: Polytope, inverse: float, rounded: Rounded, z: Array) -> None:
    r, c, share = rounded.r, rounded.c, rounded.share
    out, t, log_c = np.zeros(3), np.empty_like(z), np.log(c)  # type: ignore[arg-type]
    for start, block in polytope.cost.blocks():
        filled_rows(
            block, start, polytope.shift, rounded.f, rounded.g, inverse, polytope.a, r, c, log_c,
            share, z, t, rounded.deficit, out,
        )  # fmt: skip
    rounded.cost, rounded.divergence, rounded.moduli = map(float, out)


def _route(polytope: Polytope, inverse: float, rounded: Rounded, db: Array) -> None:
    a, b, C, shift = polytope.a, polytope.b, polytope.cost.dense, polytope.shift
    assert C is not None
    f, g, mass = rounded.f, rounded.g, polytope.mass
    P, nothing = np.empty(C.shape), np.zeros_like(db)
    scaled_rows(C, 0, shift, f, g, inverse, rounded.r, rounded.c, rounded.deficit, nothing, P)
    da = a - P.sum(axis=1)
    da[da <= 4.0 * ROUNDING * a] = 0.0
    route(C, shift, f, g, inverse, LOWEST, P, da, db)
    if da.any() and db.any():
        if polytope.cost.finite:
            P += np.multiply.outer(da, db / db.sum())
        else:
            rows, columns = route(C, shift, f, g, inverse, FINITE, P, da, db)
            rounded.left = float(da.sum())
            if rounded.left > DROPPED * mass:
                rounded.failure = "what the marginals lack cannot be routed around forbidden arcs"
                if not (C[np.ix_(rows, ~columns)] < np.inf).any():
                    rounded.infeasible_by = float(a[rows].sum() - b[columns].sum())
                return
    out, z, t = np.zeros(3), np.empty(b.size), np.empty(b.size)
    explicit_sums(C, shift, f, g, inverse, P, z, t, out)
    rounded.cost, rounded.divergence, rounded.moduli = map(float, out)
    rounded.explicit = P


class GibbsRows:
    """The rows of a rounded plan, computed when they are asked for."""

    def __init__(self, polytope: Polytope, epsilon: float, rounded: Rounded) -> None:
        self.polytope, self.inverse, self.rounded = polytope, 1.0 / epsilon, rounded
        self.shape = polytope.cost.shape

    def rows(self, start: int, stop: int) -> Array:
        """Return rows as a new array."""
        rounded, block = self.rounded, self.polytope.cost.rows(start, stop)
        out = np.empty(block.shape)
        scaled_rows(
            block, start, self.polytope.shift, rounded.f, rounded.g, self.inverse, rounded.r,
            rounded.c, rounded.deficit, rounded.share, out,
        )  # fmt: skip
        return out
