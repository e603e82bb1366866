"""Sinkhorn iterations on the potentials, in float64 or, as long as that is enough, in float32."""

from __future__ import annotations

from typing import Any

import numpy as np

from fejer.evidence import Array
from fejer.problems.transport._distances import CITY_BLOCK, HALVED, SQUARED
from fejer.problems.transport._gibbs import column_maxima, column_sums, log_rows
from fejer.problems.transport._polytope import Polytope
from fejer.solvers.transport._log_pass import (
    LOG2E,
    TILE,
    cloud_pass,
    cloud_pass32,
    exponents,
    iterate,
    iterate32,
    noise_of,
    renew,
)

FINISHED = 2.0**-47  # violation, relative to the mass, that is rounding
UNEVEN = 2.0**-30  # weights, relative to their mean, below which float32 has no digits for sums
# What the growth of exponents, the largest ones, and sums (of rows, of columns) are kept within.
LIMITS = (900.0, 2.0**43, 2.0**-100, 1e-200)
LIMITS_32 = (100.0, 2.0**20, 2.0**-10, 2.0**-60)


def pass_units(polytope: Polytope) -> int:
    """Work of a pass with n m exponentials; the unit is a product with a stored kernel matrix.

    Where the cost is not stored no matrix is, and two such units are a pass.
    """
    return 2 if polytope.cost.dense is None else 4


def log_iteration(polytope: Polytope, inverse: float, f: Array, g: Array) -> tuple[float, float]:
    """One iteration in place, from any potentials; never over- or underflows.

    Returns the violation of the columns before g is renewed, and by how much the base-2 exponents
    of the plan have grown then.
    """
    a, b, cost, shift = polytope.a, polytope.b, polytope.cost, polytope.shift
    log_a, log_b, before = np.log(a), np.log(b), g.copy()
    z, w = np.empty(b.size), np.zeros(b.size)
    for start, block in cost.blocks():
        log_rows(block, start, shift, f, g, inverse, a, log_a, z, w)
    violation = float(np.abs(w - b).sum())
    good = (w > 1e-200) & (w < 1e200)
    g[good] += (log_b[good] - np.log(w[good])) / inverse
    if not good.all():
        top, sums = np.full(b.size, -np.inf), np.zeros(b.size)
        for start, block in cost.blocks():
            column_maxima(block, start, shift, f, top)
        for start, block in cost.blocks():
            column_sums(block, start, shift, f, -top, inverse, sums)
        # Under their largest exponent sums are at least 1, unless costs are so large that rounding
        # exceeds eps.
        renewed = -top + (log_b - np.log(np.clip(sums, 1.0, 1e300))) / inverse
        g[~good] = renewed[~good]
    growth = float((g - before).max()) * inverse * LOG2E
    polytope.center(f, g)
    return violation, growth


class LogSteps:
    """Iterations for a state that has f, g, violation, ask, growth and single.

    An iteration is made by `log_iteration` where the sums of a pass would leave their range: the
    first one from anywhere, and those where rounding of huge costs exceeds eps.
    """

    def __init__(self, polytope: Polytope, epsilon: float, mixed: bool) -> None:
        self.polytope, self.epsilon = polytope, epsilon
        self.units, self.finished = pass_units(polytope), FINISHED * polytope.mass
        a, b = polytope.a, polytope.b
        even = min(a.min() * a.size, b.min() * b.size) > UNEVEN * polytope.mass
        self.mixed = mixed and bool(even)
        self._made: dict[bool, _Passes] = {}

    def advance(self, state: Any, count: int) -> bool:
        """Make up to `count` iterations; True where the violation is down to `ask`."""
        goal = state.nit + count
        while state.nit < goal:
            if state.violation <= self.finished:
                return True
            made = self._fast(state, goal - state.nit)
            if not made:
                given = self.polytope, 1.0 / self.epsilon, state.f, state.g
                state.violation, state.growth = log_iteration(*given)
                made = 1
            state.nit += made
            state.work += self.units * made
            if state.violation <= state.ask:
                state.ask = 0.5 * state.violation
                return True
        return False

    def _fast(self, state: Any, count: int) -> int:
        """Make iterations as long as sums stay in range, and leave float32 where it is done."""
        limits = LIMITS_32 if state.single else LIMITS
        if not state.growth < limits[0]:
            return 0
        if state.single not in self._made:
            self._made[state.single] = _Passes(self.polytope, self.epsilon, state.single)
        ask = max(state.ask, self.finished)
        made, violation, growth, noise = self._made[state.single].run(state, limits, ask, count)
        if made:
            state.violation, state.growth = violation, growth
        state.single = state.single and made > 0 and violation > noise
        return made


class _Passes:
    """Constants and buffers of passes in one precision."""

    def __init__(self, polytope: Polytope, epsilon: float, single: bool) -> None:
        a, b, cost = polytope.a, polytope.b, polytope.cost
        n, m = a.size, b.size
        kind: Any = np.float32 if single else np.float64
        self.single, self.kind, self.epsilon = single, kind, epsilon
        self.mass, self.unit = polytope.mass, polytope.mass / n
        self.weighed = a, b, np.log(a), np.log(b)
        self.weights = (a / self.unit).astype(kind)
        self.F, self.G, self.totals = np.empty(n, kind), np.empty(m, kind), np.empty(n, kind)
        self.z, self.part, self.w = np.empty((4, m), kind), np.empty(m, kind), np.empty(m)
        self.tiles = np.empty((4, TILE), kind)
        self.shift, self.scale, self.offset = polytope.shift, LOG2E / epsilon, 0.0
        self.C, self.points = cost.dense, None  # type: Array | None, Any
        if cost.dense is None:
            self.points = cost.data.coordinates  # type: ignore[union-attr]
        self.rounding = 0.0, 0.0
        if single:
            self._scale_costs()

    def _scale_costs(self) -> None:
        """Shift and scale costs, so that they are exponents, and round them then."""
        reach = 0.0
        if self.C is not None:
            C = np.empty(self.C.shape, self.kind)
            with np.errstate(over="ignore"):  # what overflows has entry 0
                for i in range(0, len(C), 64):
                    C[i : i + 64] = (self.C[i : i + 64] - self.shift) * self.scale
            C.flags.writeable = False
            self.C = C
        else:
            X, YT, metric, half_power = self.points
            length = (self.scale * (0.5 if metric == HALVED else 1.0)) ** (0.5 / half_power)
            middle = X.mean(axis=0)
            X, YT = length * (X - middle), length * (YT - middle[:, None])
            norm = 1 if metric == CITY_BLOCK else 2
            reach = max(np.linalg.norm(P, norm, axis=k).max() for P, k in ((X, 1), (YT, 0)))
            metric = SQUARED if metric == HALVED else metric
            with np.errstate(over="ignore"):
                self.points = X.astype(self.kind), YT.astype(self.kind), metric, half_power
            self.offset = self.shift
        self.shift, self.scale = 0.0, 1.0
        self.rounding = 2.0**-24, float(reach)

    def run(self, state: Any, limits: Any, ask: float, count: int) -> Any:
        """Make iterations, of costs that are not stored one; returns what `iterate` does."""
        f, g, F, G, number = state.f, state.g, self.F, self.G, self.kind
        costs = number(self.shift), number(self.scale), number(0.0)
        if self.C is not None:
            return (iterate32 if self.single else iterate)(
                self.C, *costs, *self.weighed, self.weights, self.unit, self.epsilon,
                self.rounding, limits, f, g, F, G, self.z, self.totals, self.part, self.w,
                state.growth, ask, count,
            )  # fmt: skip
        inverse, (a, b, log_a, log_b) = LOG2E / self.epsilon, self.weighed
        failed = 0, np.inf, np.inf, 0.0
        if not exponents(f, g, self.offset, inverse, log_a, F, G) < limits[1]:
            return failed
        X, YT, metric, half_power = self.points
        (cloud_pass32 if self.single else cloud_pass)(
            X, YT, metric, number(half_power), *costs, F, G, self.weights, self.tiles, self.z,
            self.totals, self.part, self.w,
        )  # fmt: skip
        violation, growth, size = renew(
            self.totals, self.w, self.unit, a, b, log_b, self.epsilon, *limits[2:], f, g
        )
        if violation < 0.0:
            return failed
        size = inverse * (size / self.mass + abs(self.offset))
        return 1, violation, growth, self.mass * noise_of(size, *self.rounding)
