"""Sinkhorn steps, then Newton steps with a sparsified Hessian."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from fejer.evidence import Array
from fejer.method import Method, Rate, Start, State, option, register
from fejer.problems.transport._gibbs import gibbs_matrix
from fejer.problems.transport._polytope import Polytope
from fejer.problems.transport.entropic_ot import EntropicOT
from fejer.solvers.transport._potentials import FINISHED, log_iteration, pass_units
from fejer.solvers.transport._sparse_newton import (
    BINS,
    BINS_PER_UNIT,
    TOP,
    count_logs,
    drop_small,
    keep_entries,
    marginals,
    newton_direction,
    row_counts,
)

__all__ = ["SNS"]

HALVINGS = 30
SLOW = 0.5  # a Newton step that leaves more of the violation has too sparse a Hessian
DROPPED = 0.01  # the mass rule drops this part of the gradient's norm from each row and column
SUFFICIENT = 1e-4
LEAST_SHIFT = 1e-3


@dataclass
class SNSState(State):
    """Potentials, marginals of their plan, and how the Hessian is approximated."""

    f: Array
    g: Array
    p: Array
    q: Array
    violation: float
    ask: float  # violation at which the run asks to be judged
    density: float
    shift: float  # added to the Hessian by the mass rule, in units of the violation
    kept: int = 0  # entries of the last Hessian
    products: int = 0  # of conjugate gradients, in all
    newton_steps: int = 0


@register
@dataclass(frozen=True, eq=False)
class SNS(Method):
    """Sinkhorn-Newton-Sparse: a warm-up, then Newton steps with the large entries of the plan.

    The dual ``<a, f> + <b, g> - eps sum P`` has the gradient ``(a - P 1, b - P' 1)`` and the
    Hessian ``-[diag(P 1), P; P', diag(P' 1)] / eps``. Its off-diagonal blocks keep the largest
    entries of P alone; conjugate gradients and a search with halving steps follow.

    Parameters
    ----------
    sinkhorn_steps : int, default 20
        Iterations of the warm-up. Problems with many nearly optimal plans need hundreds.
    density : float, default 8
        Entries kept, per row of a square plan. Doubled after a step that leaves more than half of
        the violation, up to 64.
    sparsify : {"largest", "mass"}, default "largest"
        "mass" drops from each column, then from each row, the smallest entries as long as their
        sum is at most 1 per cent of the gradient's norm, and regularises by a multiple of that
        norm that adapts to how well the quadratic model predicts. It needs n m numbers of memory.

    Notes
    -----
    At small eps the plan is nearly a vertex of the polytope: of the order of n entries carry all of
    its mass, and Newton's method costs O(n) a product. A few sparse Newton steps then replace
    thousands of Sinkhorn iterations. At large eps the plan is dense, the dropped mass is a large
    part of the Hessian, and `sinkhorn` is better.

    Rate: every step increases the dual value (a Newton step that does not is replaced by a
    Sinkhorn step), so that the method converges; locally it is linear, with the dropped share of
    the mass as factor. Convergence faster than that is observed, and not proven. For
    ``sparsify="mass"`` global convergence and a locally quadratic rate are proven [2]_.

    Cost per iteration: three passes over the costs, one of them with n m exponentials, a pass for
    each further trial step, and O(density n) for a product of conjugate gradients. Memory:
    O(density n) beside the cost. Work: a pass is four products with a stored kernel matrix.

    Entries are sorted into bins of their logarithm, of width 1/64: those next to the threshold are
    all kept.

    References
    ----------
    .. [1] X. Tang, M. Shavlovsky, H. Rahmanian, E. Tardini, K. Thekumparampil, T. Xiao, L. Ying
       (2024), Accelerating Sinkhorn algorithm with sparse Newton iterations, arXiv:2401.12253.
    .. [2] Z. Tang, Y. Qiu (2024), Safe and sparse Newton method for entropic-regularized optimal
       transport, NeurIPS.

    Examples
    --------
    >>> import fejer
    >>> problem = fejer.EntropicOT.random(eps_rel=1e-3)
    >>> few = fejer.minimize(problem, method="sns")
    >>> many = fejer.minimize(problem, method="sinkhorn")
    >>> few.success and few.nit * 10 < many.nit
    True
    """

    sinkhorn_steps: int = option(20, least=0, most=100_000, doc="iterations of the warm-up")
    density: float = option(8.0, above=0, most=1e9, doc="entries kept per row, at first")
    sparsify: str = option(
        "largest", choices=("largest", "mass"), doc="which entries of the Hessian are dropped"
    )

    name = "sns"
    solves = (EntropicOT,)
    cites = ("arXiv:2401.12253", "Tang and Qiu (NeurIPS 2024)")

    @property
    def rate(self) -> Rate:
        """Linear in the dropped mass."""
        if self.sparsify == "mass":
            return Rate(
                "||gradient_{k+1}|| <= c ||gradient_k||^2 near the solution (Tang and Qiu 2024)",
                "superlinear",
                2.0,
                assumptions="no forbidden arcs",
            )
        return Rate(
            "||gradient_{k+1}|| <= q ||gradient_k|| near the solution, with q about the dropped "
            "share of the mass; faster convergence is observed, not proven",
            "linear",
            assumptions="no forbidden arcs",
        )

    def supports(self, problem: EntropicOT) -> str | None:
        """The mass rule sorts a stored plan."""
        if self.sparsify == "mass" and problem.polytope.cost.dense is None:
            return "sparsify='mass' stores the plan, and this one is too large"
        return None

    def prepare(self, problem: EntropicOT, tol: float, rng: np.random.Generator) -> float:
        """Return the violation that is small enough."""
        return tol * problem.polytope.mass

    def begin(
        self, problem: EntropicOT, prep: float, start: Start, rng: np.random.Generator
    ) -> SNSState:
        """Start at the given potentials."""
        f, g = problem.polytope.reduced(start.x)
        shift = 1.0 if self.sparsify == "mass" else LEAST_SHIFT
        return SNSState(
            f, g, np.zeros(f.size), np.zeros(g.size), math.inf, prep, self.density, shift
        )

    def advance(self, problem: EntropicOT, prep: float, state: SNSState, n: int) -> bool:
        """Make up to n iterations; ask to be judged whenever the violation has halved."""
        dual = _Dual(problem)
        for _ in range(n):
            if state.violation <= FINISHED * dual.polytope.mass:
                return True
            # The first iteration brings any start into the range where the plan is finite.
            if state.nit < max(1, self.sinkhorn_steps):
                _sinkhorn(dual, state, last=state.nit + 1 >= self.sinkhorn_steps)
            elif not self._newton(dual, state):
                _sinkhorn(dual, state, last=True)
            state.nit += 1
            if state.violation <= state.ask:
                state.ask = 0.5 * state.violation
                return True
        return False

    def _newton(self, dual: _Dual, state: SNSState) -> bool:
        """Make a Newton step; False where no trial point was better."""
        a, b, violation = dual.polytope.a, dual.polytope.b, state.violation
        u, v = a - state.p, b - state.q
        norm = math.sqrt(float(u @ u + v @ v))
        mass_rule = self.sparsify == "mass"
        if mass_rule:
            sparse = dual.without_small(state, DROPPED * norm)
        else:
            sparse = dual.largest(state)
        state.kept = sparse[1].size
        df, dg = np.empty_like(u), np.empty_like(v)
        # A row or column with next to no mass would get steps without bound.
        p, q = np.maximum(state.p, 0.5 * a), np.maximum(state.q, 0.5 * b)
        if mass_rule:
            p += state.shift * norm
            q += state.shift * norm
        else:
            p *= 1.0 + state.shift * violation / dual.polytope.mass
            q *= 1.0 + state.shift * violation / dual.polytope.mass
        tol = 1e-8 if mass_rule else min(1e-2, max(1e-6, violation / dual.polytope.mass))
        state.products += newton_direction(*sparse, p, q, u, v, tol, 10 * a.size, df, dg)
        df *= dual.epsilon
        dg *= dual.epsilon
        slope = float(u @ df + v @ dg)
        if not (slope > 0.0 and math.isfinite(slope)):
            return False
        noise = 1e-14 * (float(a @ np.abs(df) + b @ np.abs(dg)) + dual.epsilon * dual.polytope.mass)
        total, step = float(state.p.sum()), 1.0
        for _ in range(HALVINGS):
            f, g = state.f + step * df, state.g + step * dg
            with np.errstate(over="ignore"):  # then the step is refused
                p, q = dual.marginals(f, g)
                found = float(np.abs(p - a).sum() + np.abs(q - b).sum())
                gained = step * float(a @ df + b @ dg) - dual.epsilon * (float(p.sum()) - total)
            state.work += dual.units
            if gained >= SUFFICIENT * step * slope - noise and found < 2.0 * violation:
                break
            step *= 0.5
        else:
            state.shift *= 10.0
            return False
        if not gained > noise and found >= violation:
            return False
        state.f, state.g, state.p, state.q = f, g, p, q
        dual.polytope.center(state.f, state.g)
        state.violation = found
        state.newton_steps += 1
        if mass_rule:
            model = step * slope * (1.0 - 0.5 * step)
            ratio = gained / model if model > noise else 1.0
            state.shift = 4.0 * state.shift if ratio < 0.25 else state.shift
            state.shift = max(0.5 * state.shift, 1e-3) if ratio > 0.75 else state.shift
            return True
        state.shift = 4.0 * state.shift if step < 0.25 else state.shift
        state.shift = max(0.25 * state.shift, LEAST_SHIFT) if step == 1.0 else state.shift
        if found > SLOW * violation:
            state.density = max(min(2.0 * state.density, 64.0), state.density)
        return True

    def point(self, problem: EntropicOT, prep: float, state: SNSState) -> Array:
        """Return the potentials."""
        return problem.polytope.packed(state.f, state.g)


def _sinkhorn(dual: _Dual, state: SNSState, last: bool) -> None:
    """Make a Sinkhorn iteration; a Newton step after it needs the marginals of the plan."""
    state.violation, _ = log_iteration(dual.polytope, dual.inverse, state.f, state.g)
    state.work += dual.units
    if last:
        state.p, state.q = dual.marginals(state.f, state.g)
        a, b = dual.polytope.a, dual.polytope.b
        state.violation = float(np.abs(state.p - a).sum() + np.abs(state.q - b).sum())
        state.work += dual.units


class _Dual:
    """Passes over the costs."""

    def __init__(self, problem: EntropicOT) -> None:
        self.polytope: Polytope = problem.polytope
        self.epsilon, self.inverse = problem.epsilon, 1.0 / problem.epsilon
        self.units = pass_units(self.polytope)

    def marginals(self, f: Array, g: Array) -> tuple[Array, Array]:
        """Return the sums of rows and of columns."""
        p, q = np.empty(f.size), np.zeros(g.size)
        for start, block in self.polytope.cost.blocks():
            marginals(block, start, self.polytope.shift, f, g, self.inverse, p, q)
        return p, q

    def largest(self, state: SNSState) -> tuple[Any, Any, Any]:
        """Return the largest entries in compressed rows."""
        cost, shift = self.polytope.cost, self.polytope.shift
        n, m = cost.shape
        wanted = min(state.density * max(n, m), float(n * m))
        log_scale = math.log(self.polytope.mass / max(n, m))
        counts = np.zeros(BINS, dtype=np.int64)
        given = shift, state.f, state.g, self.inverse
        for start, block in cost.blocks():
            count_logs(block, start, *given, log_scale, counts)
        place = int(np.searchsorted(np.cumsum(counts), wanted))
        least = log_scale + TOP - (min(place, BINS - 2) + 1) / BINS_PER_UNIT
        indptr = np.zeros(n + 1, dtype=np.int64)
        for start, block in cost.blocks():
            row_counts(block, start, *given, least, indptr)
        np.cumsum(indptr, out=indptr)
        indices, values = np.empty(indptr[-1], dtype=np.uint32), np.empty(indptr[-1])
        for start, block in cost.blocks():
            keep_entries(block, start, *given, least, indptr, indices, values)
        state.work += 2 * self.units
        return indptr, indices, values

    def without_small(self, state: SNSState, budget: float) -> tuple[Any, Any, Any]:
        """Return what the mass rule keeps, in compressed rows."""
        C = self.polytope.cost.dense
        assert C is not None
        P = np.empty(C.shape)
        gibbs_matrix(C, self.polytope.shift, state.f, state.g, self.inverse, P)
        drop_small(P, budget)
        rows, columns = np.nonzero(P)
        indptr = np.zeros(len(P) + 1, dtype=np.int64)
        np.cumsum(np.bincount(rows, minlength=len(P)), out=indptr[1:])
        state.work += 10 * self.units
        return indptr, columns.astype(np.uint32), P[rows, columns]
