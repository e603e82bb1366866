"""Sinkhorn's iterations for unbalanced transport, made invariant under translations."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from fejer.evidence import Array
from fejer.method import Method, Rate, Start, State, option, register
from fejer.problems.transport._gibbs import column_maxima, column_sums, log_rows
from fejer.problems.transport.unbalanced_ot import UnbalancedOT

__all__ = ["SinkhornUnbalanced"]

FINISHED = 2.0**-51  # change of the potentials, relative to their size, that is rounding


@dataclass
class SinkhornUnbalancedState(State):
    """Potentials, and the soft minima that they were made of, which serve as shifts."""

    f: Array
    g: Array
    soft_f: Array
    soft_g: Array
    change: float
    ask: float  # change of g, in units of eps, at which the run asks to be judged


@register
@dataclass(frozen=True, eq=False)
class SinkhornUnbalanced(Method):
    """Alternate maximisation over the potentials, and over the constant between them.

    ``f_i <- -(tau_a / (tau_a + eps)) eps log sum_j b_j exp((g_j - C_ij) / eps)``, then the constant
    that may be added to f and taken off g is chosen best, then the same for g.

    Parameters
    ----------
    translate : bool, default True
        Choose the constant. False gives the plain iterations, for comparison.

    Notes
    -----
    For large tau the plain iterations learn the mass of the plan slowly: by a factor of about
    ``1 - eps / tau`` each. The constant has a closed form, and with it the speed is that of
    balanced transport. Where one tau is inf its weights fix the constant; where both are there is
    nothing to choose.

    Rate: linear in the maximum norm; the factor below is that of the plain iterations.

    Cost per iteration: 2 n m exponentials; nothing over- or underflows. Memory: O(n + m) beside the
    cost. Work: passes, two each.

    References
    ----------
    .. [1] T. Séjourné, F.-X. Vialard, G. Peyré (2022), Faster unbalanced optimal transport:
       translation invariant Sinkhorn and 1-D Frank-Wolfe, arXiv:2201.00730.
    .. [2] L. Chizat, G. Peyré, B. Schmitzer, F.-X. Vialard (2018), Scaling algorithms for
       unbalanced transport problems, arXiv:1607.05816.

    Examples
    --------
    >>> import fejer
    >>> fejer.minimize(fejer.UnbalancedOT.random(), method="sinkhorn-unbalanced").success
    True
    """

    translate: bool = option(True, doc="choose the constant between the potentials")

    name = "sinkhorn-unbalanced"
    solves = (UnbalancedOT,)
    cites = ("arXiv:2201.00730", "arXiv:1607.05816")

    @property
    def rate(self) -> Rate:
        """Contraction in the maximum norm."""
        return Rate(
            "||g_k - g*||_inf <= q^k ||g_0 - g*||_inf, q = 1 / ((1 + eps/tau_a) (1 + eps/tau_b)), "
            "for the plain iterations (Chizat and others 2018)",
            "linear",
            factor=_contraction,
            assumptions="tau_a or tau_b finite",
            measure=None if self.translate else _distance,
            bound=None if self.translate else _bound,
        )

    def prepare(self, problem: UnbalancedOT, tol: float, rng: np.random.Generator) -> float:
        """Return the change of the potentials at which the run asks to be judged."""
        return math.sqrt(tol) * 0.1

    def begin(
        self, problem: UnbalancedOT, prep: float, start: Start, rng: np.random.Generator
    ) -> SinkhornUnbalancedState:
        """Start at the given potentials."""
        f, g = (np.array(part) for part in problem.inner(start.x))
        return SinkhornUnbalancedState(f, g, f.copy(), g.copy(), math.inf, prep)

    def advance(
        self, problem: UnbalancedOT, prep: float, state: SinkhornUnbalancedState, n: int
    ) -> bool:
        """Make up to n iterations; ask to be judged whenever the change has halved."""
        for _ in range(n):
            if state.change <= FINISHED * max(1.0, float(np.abs(state.g).max()) / problem.eps):
                return True
            self._iterate(problem, state)
            state.nit += 1
            state.work += 4
            if state.change <= state.ask:
                state.ask = 0.5 * state.change
                return True
        return False

    def _iterate(self, problem: UnbalancedOT, state: SinkhornUnbalancedState) -> None:
        polytope, eps, before = problem.polytope, problem.eps, state.g.copy()
        a, b, inverse = polytope.a, polytope.b, 1.0 / problem.eps
        G, ones, zeros = state.g + eps * np.log(b), np.ones(a.size), np.zeros(a.size)
        z, w = np.empty(b.size), np.zeros(b.size)
        for start, block in polytope.cost.blocks():
            log_rows(block, start, 0.0, state.soft_f, G, inverse, ones, zeros, z, w)
        state.f = state.soft_f / (1.0 + eps / problem.tau_a)
        self._translate(problem, state)
        F = state.f + eps * np.log(a)
        _soft_minima(problem, F, state.soft_g)
        state.g = state.soft_g / (1.0 + eps / problem.tau_b)
        self._translate(problem, state)
        state.change = float(np.abs(state.g - before).max()) / eps

    def _translate(self, problem: UnbalancedOT, state: SinkhornUnbalancedState) -> None:
        tau_a, tau_b = problem.tau_a, problem.tau_b
        if not self.translate or (math.isinf(tau_a) and math.isinf(tau_b)):
            return
        polytope = problem.polytope
        left = _log_sum(np.log(polytope.a) - state.f / tau_a)
        right = _log_sum(np.log(polytope.b) - state.g / tau_b)
        small, large = min(tau_a, tau_b), max(tau_a, tau_b)
        constant = small / (1.0 + small / large) * (left - right)
        state.f += constant
        state.g -= constant

    def point(self, problem: UnbalancedOT, prep: float, state: SinkhornUnbalancedState) -> Array:
        """Return the potentials."""
        return problem.outer(state.f, state.g)


def _log_sum(x: Array) -> float:
    top = float(x.max())
    return top + math.log(float(np.exp(x - top).sum()))


def _soft_minima(problem: UnbalancedOT, F: Array, soft: Array) -> None:
    """``soft_j <- -eps log sum_i exp((F_i - C_ij) / eps)``, shifted by what soft was before."""
    cost, inverse = problem.polytope.cost, 1.0 / problem.eps
    w = np.zeros(soft.size)
    for start, block in cost.blocks():
        column_sums(block, start, 0.0, F, soft, inverse, w)
    good = (w > 1e-200) & (w < 1e200)
    if not good.all():
        top, w_all = np.full(soft.size, -np.inf), np.zeros(soft.size)
        for start, block in cost.blocks():
            column_maxima(block, start, 0.0, F, top)
        for start, block in cost.blocks():
            column_sums(block, start, 0.0, F, -top, inverse, w_all)
        soft[~good] = -top[~good]
        w[~good] = w_all[~good]
    soft -= np.log(w) / inverse


def _contraction(problem: UnbalancedOT) -> float:
    eps = problem.eps
    return 1.0 / ((1.0 + eps / problem.tau_a) * (1.0 + eps / problem.tau_b))


def _distance(problem: UnbalancedOT, x: Array, xstar: Array) -> float:
    return float(np.abs(problem.inner(x)[1] - problem.inner(xstar)[1]).max())


def _bound(problem: UnbalancedOT, x0: Array, xstar: Array, k: int) -> float:
    rounding = 2.0**-46 * float(np.abs(xstar).max())
    return _contraction(problem) ** k * _distance(problem, x0, xstar) + 1e-12 + rounding
