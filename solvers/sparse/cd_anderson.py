"""Coordinate descent on working sets, with extrapolation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fejer.evidence import Array
from fejer.method import Method, Rate, Start, option, register
from fejer.problems.sparse.lasso import Lasso
from fejer.problems.sparse.task_relevance import TaskRelevance
from fejer.solvers.general._greedy import greedy_scores
from fejer.solvers.general._linear import Squared, squared
from fejer.solvers.general._patterns import pattern_changed

from ._working_sets import (
    WorkingState,
    combination,
    epoch,
    first_working_state,
    residual,
    set_point,
    unsupported_squares,
)

__all__ = ["CDAnderson"]

SMALLEST_SET = 10
LOOK = 10  # sweeps between two looks at the violation
SHARE = 0.3  # of the violation of all coefficients, to which a working set is solved


@register
@dataclass(frozen=True, eq=False)
class CDAnderson(Method):
    """Cyclic coordinate descent on growing working sets, extrapolated by Anderson's method.

    A sweep minimises over each coefficient of the working set. After ``memory`` sweeps the point
    ``sum_k c_k w_k`` with ``c = argmin ||sum_k c_k (w_k - w_{k-1})||, sum c = 1`` replaces the last
    one if its objective is smaller.

    Attributes
    ----------
    memory : int
        Sweeps between two extrapolations.
    working_sets : bool
        False: every sweep goes over all coefficients.

    Notes
    -----
    Rate: that of coordinate descent at least, since an extrapolation must lower the objective;
    near the solution the sweeps are linear maps of the nonzero coefficients, and extrapolation
    replaces a condition number by about its root. The working set has the most violating
    coefficients, at least 10 and twice as many as are nonzero; it is given up when its violation
    is 0.3 of that of all when it was made.

    Cost of a sweep: two products with the columns of the working set. Memory: ``memory`` points
    of the working set. A baseline: this is the scheme of the library skglm.

    References
    ----------
    .. [1] Q. Bertrand, M. Massias (2021). Anderson acceleration of coordinate descent, AISTATS,
       arXiv:2011.10065.
    .. [2] Q. Bertrand, Q. Klopfenstein, P.-A. Bannier, G. Gidel, M. Massias (2022). Beyond L1:
       faster and better sparse models with skglm, NeurIPS, arXiv:2204.07826.

    Examples
    --------
    >>> import fejer
    >>> fejer.minimize(fejer.Lasso.random(), method="cd-anderson").success
    True
    """

    memory: int = option(5, least=2, most=50, doc="sweeps between two extrapolations")
    working_sets: bool = option(True, doc="whether sweeps go over a working set alone")

    name = "cd-anderson"
    solves = (Lasso, TaskRelevance)
    cites = ("arXiv:2011.10065", "arXiv:2204.07826")

    @property
    def rate(self) -> Rate:
        """What is known: as coordinate descent, and usually faster."""
        return Rate(
            "F never increases from one extrapolation to the next; linear where the columns of the "
            "nonzero coefficients are independent (Bertrand, Massias 2021)",
            "linear",
            assumptions="the pattern of the solution is identified",
        )

    def supports(self, problem: Any) -> str | None:
        """Return None for penalised least squares."""
        return unsupported_squares(problem)

    def prepare(self, problem: Any, tol: float, rng: np.random.Generator) -> Squared:
        """Take the prepared loss."""
        return squared(problem)

    def begin(
        self, problem: Any, prep: Squared, start: Start, rng: np.random.Generator
    ) -> WorkingState:
        """Start from the given coefficients, projected on the box."""
        return first_working_state(prep, start.x)

    def advance(self, problem: Any, prep: Squared, state: WorkingState, n: int) -> bool:
        """Make n sweeps."""
        for _ in range(n):
            if not state.finished and state.inner == 0:
                self._choose(prep, state)
            if state.finished:
                return True
            epoch(prep, state)
            self._extrapolate(prep, state)
            state.inner += 1
            state.nit += 1
            if state.inner % LOOK == 0:
                state.work += state.chosen.size
                steep = self._violation(prep, state, state.chosen)
                if float(steep.max()) <= state.goal:
                    state.inner = 0
        return state.finished

    def _violation(self, ready: Squared, state: WorkingState, chosen: Any) -> Array:
        """Moduli of the smallest subgradients of chosen coefficients."""
        design, w = ready.design, state.w[chosen]
        r = residual(ready, state)
        if chosen.size < state.w.size:
            matrix = design.matrix.columns(chosen)
            c = matrix.rmatvec(r)
            if design.implicit:
                c -= design.mean[chosen] * float(design.root @ r)  # type: ignore[index, operator]
        else:
            c = design.adjoint(r)
        l1, l2, lower, upper = (
            part[chosen] for part in (ready.l1, ready.l2, ready.lower, ready.upper)
        )
        return np.abs(greedy_scores(c, w, design.sq_norms[chosen], l1, l2, lower, upper, False))

    def _choose(self, ready: Squared, state: WorkingState) -> None:
        """Make a working set of the most violating coefficients and the nonzero ones."""
        d = state.w.size
        set_point(ready, state)  # rounding does not pile up
        steep = self._violation(ready, state, np.arange(d))
        state.work += d
        worst = float(steep.max())
        if worst == 0.0:
            state.finished = True
            return
        nonzero = (state.w != 0.0) & (ready.design.sq_norms > 0)
        size = max(SMALLEST_SET, 2 * int(nonzero.sum()))
        steep[nonzero] = np.inf
        if self.working_sets and size < d:
            order = np.argsort(-steep, kind="stable")[:size]
            state.chosen = np.sort(order[steep[order] > 0]).astype(np.int64)
        else:
            state.chosen = np.flatnonzero(ready.design.sq_norms > 0).astype(np.int64)
        state.goal = SHARE * worst
        state.past = np.zeros((self.memory + 1, state.chosen.size))
        state.past[0] = state.w[state.chosen]
        state.filled = 1
        state.sets += 1

    def _extrapolate(self, ready: Squared, state: WorkingState) -> None:
        """Remember the point; when there are enough, try the extrapolated one."""
        chosen = state.chosen
        state.past[state.filled] = state.w[chosen]
        state.filled += 1
        if state.filled <= self.memory:
            return
        lower, upper = ready.lower, ready.upper
        point = combination(state.past) @ state.past[1:]
        point = np.clip(point, lower[chosen], upper[chosen])
        r, before = residual(ready, state), state.w
        fun = 0.5 * float(r @ r) + ready.penalty(before)
        kept, shift = state.kept, state.shift
        state.w = before.copy()
        state.w[chosen] = point
        set_point(ready, state)
        r = residual(ready, state)
        if 0.5 * float(r @ r) + ready.penalty(state.w) < fun:
            if pattern_changed(before, state.w, lower, upper):
                state.turned[0] = state.identified_at = state.nit + 1
            state.accepted += 1
        else:
            state.w, state.kept, state.shift = before, kept, shift
        state.past[0] = state.w[chosen]
        state.filled = 1

    def point(self, problem: Any, prep: Squared, state: WorkingState) -> Array:
        """Return the coefficients, and the best constant behind them."""
        return np.array(prep.leave(state.w))
