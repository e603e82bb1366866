"""The primal-dual hybrid gradient method for linear programs, as it was before restarts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from fejer.evidence import Array
from fejer.jit import kernel
from fejer.method import Method, Rate, Start, State, option, register
from fejer.problems.linear._kkt import farkas, into_cone, recession
from fejer.problems.linear.linear_program import LinearProgram

from ._scaling import Scaled, scaled


@dataclass
class PdhgState(State):
    """Scaled iterates and, where the average is wanted, the sums of all of them."""

    x: Array
    y: Array
    reflected: Array
    sum_x: Array
    sum_y: Array


class _Prepared(NamedTuple):
    """The scaled program and the two step sizes."""

    data: Scaled
    tau: float
    sigma: float


@register
@dataclass(frozen=True, eq=False)
class Pdhg(Method):
    """Primal-dual hybrid gradient method, without restarts.

    ``min over x in [lower, upper], max over y of c'x - y'Ax + row_lower'y+ - row_upper'y-``:

    ``x+ = clip(x - tau (c - A'y), lower, upper)``, ``v = y / sigma - A (2 x+ - x)``,
    ``y+ = sigma (v - clip(v, -row_upper, -row_lower))``

    with ``tau = eta / omega``, ``sigma = eta omega``, ``eta = step / ||A||``.

    Parameters
    ----------
    step : float, default 0.998
        eta in units of 1 / ||A||; below 1 for the theorem.
    weight : float or None, default None
        omega, the price of primal against dual distance. None: ``||c|| / ||b||`` of the scaled
        data, or 1 where one of these is zero.
    scaling : {"ruiz", "none"}, default "ruiz"
        Equilibrate A first, by powers of two so that the data stay exact, or leave it.
    average : bool, default False
        Return the mean of all iterates, to which the theorem with constants belongs, and not the
        last one, which is linearly convergent in the end and far ahead then.

    Notes
    -----
    Rate: with ``||(x, y)||_P^2 = ||x||^2 / tau + 2 y'Ax + ||y||^2 / sigma`` in the scaled
    variables, the mean after k iterations has, for every optimal (x*, y*), ``(c - A'y*)'x + d(y*)
    - c'x* <= ||z0 - z*||_P^2 / (2 k)``: the objective plus what violated rows cost at y*. The last
    iterates have ``||z+ - z||_P <= ||z0 - z*||_P / sqrt(k)``, and converge linearly on a linear
    program, with a factor that may be arbitrarily near to 1.

    Cost of an iteration: two products with A, ``24 nnz + 48 n + 40 m`` bytes. Memory: A by rows
    and by columns, 3 n + 2 m numbers. Differences of iterates converge to a ray where there is no
    solution, and are handed over as such.

    Pitfalls: this is the baseline that restarts, reflection and adaptive weights improve on by
    orders of magnitude; programs of more than toy size may need more than 1e6 iterations.

    References
    ----------
    .. [1] Chambolle and Pock (2011), A first-order primal-dual algorithm for convex problems with
       applications to imaging, J. Math. Imaging Vis. 40.
    .. [2] Chambolle and Pock (2016), On the ergodic convergence rates of a first-order primal-dual
       algorithm, Math. Prog. 159.
    .. [3] Lu and Yang (2024), Restarted Halpern PDHG for linear programming, arXiv 2407.16144.

    Examples
    --------
    >>> import fejer
    >>> program = fejer.LinearProgram.from_linprog([-1, -2], [[1, 1]], [4], bounds=(0, 3))
    >>> fejer.minimize(program, method="pdhg", tol=1e-9).x.round(6)
    array([1., 3.])
    """

    step: float = option(0.998, above=0, below=1, doc="eta in units of 1 / ||A||")
    weight: float | None = option(None, above=0, doc="omega; None: ||c|| / ||b||")
    scaling: str = option("ruiz", choices=("ruiz", "none"), doc="equilibrate A first")
    average: bool = option(False, doc="return the mean of the iterates")

    name = "pdhg"
    solves = (LinearProgram,)
    cites = ("Chambolle and Pock (2011), JMIV 40", "Chambolle and Pock (2016), Math. Prog. 159")

    @property
    def rate(self) -> Rate:
        """Return the ergodic theorem, or that of the last iterate."""
        if not self.average:
            return Rate(
                "||z+ - z||_P <= ||z0 - z*||_P / sqrt(k); linear in the end on linear programs",
                "sublinear",
                0.5,
                assumptions="a solution exists, step < 1",
            )
        return Rate(
            "(c - A'y*)'xbar + d(y*) - c'x* <= ||z0 - z*||_P^2 / (2 k), Chambolle and Pock (2016)",
            "sublinear",
            1.0,
            assumptions="a solution exists, step < 1",
            measure=_lagrangian_gap,
            bound=self._bound,
            worst_case=self._worst_case,
        )

    def _worst_case(self, k: int) -> LinearProgram:
        """One variable that walks to its bound in k steps of length tau."""
        return LinearProgram([-1.0], np.zeros((0, 1)), [], [], 0.0, k / (self.weight or 1.0))

    def _bound(self, problem: LinearProgram, x0: Array, xstar: Array, k: int) -> float:
        data, tau, sigma = self.prepare(problem, 0.0, np.random.default_rng(0))
        x, y = (x0 - xstar) / data.column, -_optimal_dual(problem) / data.row
        cross = (y * data.row) @ problem.A.matvec(x * data.column)
        distance = float(x @ x) / tau + 2 * float(cross) + float(y @ y) / sigma
        return distance / (2 * k) if k else math.inf

    def prepare(self, problem: LinearProgram, tol: float, rng: np.random.Generator) -> _Prepared:
        """Scale the data and choose the steps."""
        data = scaled(problem.program(), self.scaling == "ruiz")
        eta = self.step / data.norm if data.norm else 1.0
        weight = self.weight
        if weight is None:
            bounds = np.concatenate([data.row_lower, data.row_upper])
            bounds = bounds[np.isfinite(bounds)]
            costs, sides = float(np.linalg.norm(data.c)), float(np.linalg.norm(bounds))
            weight = costs / sides if costs > 0 and sides > 0 else 1.0
        return _Prepared(data, eta / weight, eta * weight)

    def begin(
        self, problem: LinearProgram, prep: _Prepared, start: Start, rng: np.random.Generator
    ) -> PdhgState:
        """Start from the point, clipped, and from its multipliers or 0."""
        data = prep.data
        x = np.clip(start.x / data.column, data.lower, data.upper)
        y = problem.dual(start.x, start.witness)
        y = np.zeros(data.row.size) if y is None else y / data.row
        mean = (x.size, y.size) if self.average else (0, 0)
        return PdhgState(x, y, np.empty_like(x), np.zeros(mean[0]), np.zeros(mean[1]))

    def advance(self, problem: LinearProgram, prep: _Prepared, state: PdhgState, n: int) -> bool:
        """Make n iterations in one call."""
        _run(prep, state.x, state.y, state.reflected, state.sum_x, state.sum_y, n)
        state.nit += n
        state.work += 2 * n
        return False

    def _mean(self, state: PdhgState) -> tuple[Array, Array]:
        if self.average and state.nit:
            return state.sum_x / state.nit, state.sum_y / state.nit
        return state.x, state.y

    def point(self, problem: LinearProgram, prep: _Prepared, state: PdhgState) -> Array:
        """Return the last iterate, or the mean, in the user's units."""
        return np.clip(self._mean(state)[0] * prep.data.column, problem.lower, problem.upper)

    def witness(
        self, problem: LinearProgram, prep: _Prepared, state: PdhgState
    ) -> Mapping[str, Array]:
        """Return the multipliers, and the last step where it proves that there is no solution."""
        row, column = prep.data.row, prep.data.column
        found = {"dual": self._mean(state)[1] * row}
        x, y, none = state.x.copy(), state.y.copy(), np.zeros(0)
        _run(prep, x, y, np.empty_like(x), none, none.copy(), 1)
        with np.errstate(all="ignore"):
            ray = (y - state.y) * row
            if farkas(problem, ray) is not None:
                return {**found, "ray": ray}
            ray = into_cone(problem, (x - state.x) * column)
            return {**found, "ray": ray} if recession(problem, ray) is not None else found


def _run(
    prep: _Prepared, x: Array, y: Array, reflected: Array, sum_x: Array, sum_y: Array, n: int
) -> None:
    data = prep.data
    rows = data.csr, data.row_lower, data.row_upper
    columns = data.csc, data.c, data.lower, data.upper
    iterate(*columns, *rows, x, y, reflected, sum_x, sum_y, prep.tau, prep.sigma, n)


def _optimal_dual(problem: LinearProgram) -> Array:
    """An optimal dual by HiGHS: the theorem holds for every one of them."""

    def build() -> Array:
        from fejer.front import minimize

        result = minimize(problem, method="highs", tol=1e-9)
        return np.array(result.raise_if_failed().dual)

    fields = ("c", "A", "row_lower", "row_upper", "lower", "upper")
    return problem.fact("optimal dual", fields, build)  # type: ignore[no-any-return]


def _lagrangian_gap(problem: LinearProgram, x: Array, xstar: Array) -> float:
    """``(c - A'y*)'(x - x*)``, in which complementary terms alone are left."""
    z = problem.c - problem.A.rmatvec(_optimal_dual(problem))
    return float(z @ (x - xstar))


@kernel
def iterate(
    csc, c, lower, upper, csr, row_lower, row_upper, x, y, reflected, sum_x, sum_y, tau, sigma, n
):
    """Make n iterations in place; the sums grow where they have entries."""
    column_ends, rows, by_columns = csc
    row_ends, columns, by_rows = csr
    for _ in range(n):
        for j in range(x.size):
            total = c[j]
            for k in range(np.uint32(column_ends[j]), np.uint32(column_ends[j + 1])):
                total -= by_columns[k] * y[np.uint32(rows[k])]
            new = min(max(x[j] - tau * total, lower[j]), upper[j])
            reflected[j] = 2.0 * new - x[j]
            x[j] = new
        for i in range(y.size):
            v = y[i] / sigma
            for k in range(np.uint32(row_ends[i]), np.uint32(row_ends[i + 1])):
                v -= by_rows[k] * reflected[np.uint32(columns[k])]
            y[i] = sigma * (v - min(max(v, -row_upper[i]), -row_lower[i]))
        if sum_x.size > 0:
            for j in range(x.size):
                sum_x[j] += x[j]
            for i in range(y.size):
                sum_y[i] += y[i]
