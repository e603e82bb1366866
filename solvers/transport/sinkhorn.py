"""Sinkhorn's matrix scaling."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from fejer.evidence import Array
from fejer.jit import kernel
from fejer.method import Method, Rate, Start, State, register
from fejer.problems.transport._cost import Cost
from fejer.problems.transport._gibbs import gibbs_matrix
from fejer.problems.transport.entropic_ot import EntropicOT
from fejer.solvers.transport._fused import ABSORB, FAILED, iterate
from fejer.solvers.transport._potentials import FINISHED, LogSteps, log_iteration

__all__ = ["Sinkhorn"]

EXACT_DIAMETER = 1 << 24  # multiplications up to which the projective diameter is computed


@dataclass
class SinkhornState(State):
    """Potentials less what the scalings u, v hold: f + eps log u, g + eps log v."""

    f: Array
    g: Array
    u: Array
    v: Array
    violation: float
    ask: float  # violation at which the run asks to be judged
    growth: float  # as in `sinkhorn-log`, which treats costs that are not stored
    single: bool
    absorptions: int = 0


class _Prepared:
    """The kernel matrix of the absorbed potentials, made when it is needed."""

    def __init__(self, problem: EntropicOT, tol: float) -> None:
        self.polytope, self.inverse, self.tol = problem.polytope, 1.0 / problem.epsilon, tol
        self.steps = LogSteps(problem.polytope, problem.epsilon, mixed=True)
        self.K: Array | None = None
        self.w = np.empty(self.polytope.b.size)
        self.made_for: tuple[Array, Array] | None = None

    def matrix(self, f: Array, g: Array) -> Array:
        """Return exp((f_i + g_j - C_ij) / eps), from the memo if f and g are the same."""
        made = self.made_for
        if self.K is None or made is None or (made[0] != f).any() or (made[1] != g).any():
            C = self.polytope.cost.dense
            assert C is not None
            self.K = np.empty(C.shape) if self.K is None else self.K
            gibbs_matrix(C, self.polytope.shift, f, g, self.inverse, self.K)
            self.made_for = f.copy(), g.copy()
        return self.K


@register
@dataclass(frozen=True, eq=False)
class Sinkhorn(Method):
    """Alternate scaling of rows and columns, in fused and stabilised form.

    ``u <- a / (K v)``, ``v <- b / (K' u)`` with ``K_ij = exp((f_i + g_j - C_ij) / eps)``: block
    coordinate ascent on the dual.

    Notes
    -----
    Both half-steps read K once: eight rows are multiplied by v, scaled and added to K'u while they
    are in the cache. Scalings beyond exp(+-40) are absorbed into f and g and K is formed anew; an
    iteration whose sums underflow is made on the potentials themselves, so that no eps is too
    small. A large `PointCloud` is treated by the passes of `sinkhorn-log` throughout.

    Rate: linear, in Hilbert's projective metric (bound with constants below); the observed factor
    is ``sigma_2(diag(a)^-1/2 P diag(b)^-1/2)^2`` at the solution. Both approach 1 as eps falls:
    thousands of iterations are normal at eps of 1e-3 of the cost.

    Cost per iteration: 4 n m flops and 8 n m bytes (lazy: n m exponentials and costs). Memory: K
    and the cost, 16 n m bytes (lazy: O(n + m)). Work: an iteration is two products with K.

    Pitfalls: with forbidden arcs some of which no plan can use, convergence is sublinear.

    References
    ----------
    .. [1] M. Cuturi (2013), Sinkhorn distances: lightspeed computation of optimal transport,
       arXiv:1306.0895.
    .. [2] J. Franklin, J. Lorenz (1989), On the scaling of multidimensional matrices, Linear
       Algebra and its Applications 114-115.
    .. [3] B. Schmitzer (2019), Stabilized sparse scaling algorithms for entropy regularized
       transport problems, arXiv:1610.06519.
    .. [4] P. Knight (2008), The Sinkhorn-Knopp algorithm: convergence and applications, SIAM
       Journal on Matrix Analysis and Applications 30.

    Examples
    --------
    >>> import fejer
    >>> result = fejer.minimize(fejer.EntropicOT.random(), method="sinkhorn")
    >>> result.success
    True
    """

    name = "sinkhorn"
    solves = (EntropicOT,)
    cites = ("arXiv:1306.0895", "arXiv:1610.06519", "Franklin and Lorenz (1989)", "Knight (2008)")

    @property
    def rate(self) -> Rate:
        """Contraction in Hilbert's metric."""
        return Rate(
            "osc(g_k - g*) <= tanh(Theta / 4)^(2k) osc(g_0 - g*), Theta = max over i, j, k, l of "
            "(C_il + C_kj - C_ij - C_kl) / eps (Birkhoff; Franklin and Lorenz 1989)",
            "linear",
            factor=_contraction,
            assumptions="no forbidden arcs (with some: factor 1)",
            measure=_distance,
            bound=_bound,
            worst_case=_two_by_two,
        )

    def prepare(self, problem: EntropicOT, tol: float, rng: np.random.Generator) -> Any:
        """Set up the memo of the kernel matrix."""
        return _Prepared(problem, tol)

    def begin(
        self, problem: EntropicOT, prep: Any, start: Start, rng: np.random.Generator
    ) -> SinkhornState:
        """Start at the given potentials."""
        polytope = problem.polytope
        f, g = polytope.reduced(start.x)
        n, m = polytope.cost.shape
        ask = prep.tol * polytope.mass
        given = math.inf, ask, math.inf, prep.steps.mixed
        return SinkhornState(f, g, np.ones(n), np.ones(m), *given)

    def advance(self, problem: EntropicOT, prep: Any, state: SinkhornState, n: int) -> bool:
        """Make up to n iterations; ask to be judged whenever the violation has halved."""
        polytope, goal = prep.polytope, state.nit + n
        if polytope.cost.dense is None:
            return prep.steps.advance(state, n)  # type: ignore[no-any-return]
        while state.nit < goal:
            if state.violation <= FINISHED * polytope.mass:
                return True
            # The first iteration brings any start into the range of the stored kernel.
            if state.nit == 0:
                self._on_potentials(prep, state)
            else:
                K = prep.matrix(state.f, state.g)
                made, violation, why = iterate(
                    K, polytope.a, polytope.b, state.u, state.v, prep.w, goal - state.nit, state.ask
                )
                state.nit += made
                state.work += 2 * made
                state.violation = violation if made else state.violation
                if why == ABSORB:
                    state.f += _logarithms(state.u) / prep.inverse
                if why in (ABSORB, FAILED):
                    state.g += _logarithms(state.v) / prep.inverse
                    state.u[:] = state.v[:] = 1.0
                    polytope.center(state.f, state.g)
                    state.absorptions += 1
                    state.work += 1
                if why == FAILED:
                    self._on_potentials(prep, state)
            if state.violation <= state.ask:
                state.ask = 0.5 * state.violation
                return True
        return False

    def _on_potentials(self, prep: Any, state: SinkhornState) -> None:
        state.violation, _ = log_iteration(prep.polytope, prep.inverse, state.f, state.g)
        state.nit += 1
        state.work += 2

    def point(self, problem: EntropicOT, prep: Any, state: SinkhornState) -> Array:
        """Return the potentials."""
        f = state.f + _logarithms(state.u) / prep.inverse
        g = state.g + _logarithms(state.v) / prep.inverse
        return prep.polytope.packed(f, g)  # type: ignore[no-any-return]


def _logarithms(scalings: Array) -> Array:
    """Logarithms, 0 where rounding of huge costs has left no scaling."""
    good = (scalings > 0.0) & (scalings < np.inf)
    return np.log(np.where(good, scalings, 1.0))


# ---- the theorem -------------------------------------------------------------------------------


def _contraction(problem: EntropicOT) -> float:
    """Factor of one iteration in Hilbert's metric, ``tanh(Theta / 4)^2``."""
    cost = problem.polytope.cost
    if not cost.finite:
        return 1.0
    diameter = problem.fact("projective diameter", ("a", "b", "cost"), lambda: _diameter(cost))
    return math.tanh(0.25 * diameter / problem.epsilon) ** 2


def _diameter(cost: Cost) -> float:
    """The projective diameter of the cost; for large ones a bound of it."""
    n, m = cost.shape
    if cost.dense is not None and n * n * m <= EXACT_DIAMETER:
        return float(projective_diameter(cost.dense))
    return 2.0 * (cost.largest - min(float(block.min()) for _, block in cost.blocks()))


@kernel
def projective_diameter(C):
    """``max over i, j, k, l of C_il + C_kj - C_ij - C_kl``."""
    widest = 0.0
    for i in range(C.shape[0]):
        for k in range(i):
            low, high = np.inf, -np.inf
            for j in range(C.shape[1]):
                difference = C[i, j] - C[k, j]
                low, high = min(low, difference), max(high, difference)
            widest = max(widest, high - low)
    return widest


def _distance(problem: EntropicOT, x: Array, xstar: Array) -> float:
    """Hilbert's metric between two column scalings, ``osc(g - g*) / eps``."""
    difference = problem.polytope.reduced(x)[1] - problem.polytope.reduced(xstar)[1]
    return float(np.ptp(difference)) / problem.epsilon


def _bound(problem: EntropicOT, x0: Array, xstar: Array, k: int) -> float:
    """Return the right-hand side after k iterations, with what rounding of x can add to it."""
    rounding = 2.0**-46 * float(np.abs(xstar).max()) / problem.epsilon
    factor = _contraction(problem)
    return factor**k * _distance(problem, x0, xstar) + 1e-12 + rounding


def _two_by_two(k: int) -> EntropicOT:
    """Return the symmetric problem of two points, where the bound is an equality in the limit."""
    # tanh(1 / (2 eps))^2 is the factor: about 1 - 4 / k here, so that k iterations show the slope.
    epsilon = 0.5 / math.atanh(math.sqrt(1.0 - 4.0 / max(k, 8)))
    return EntropicOT([0.50001, 0.49999], [0.49999, 0.50001], [[0.0, 1.0], [1.0, 0.0]], eps=epsilon)
