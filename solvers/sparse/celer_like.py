"""Coordinate descent on working sets chosen by an extrapolated dual point."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from fejer.evidence import Array
from fejer.method import Method, Rate, Start, option, register
from fejer.problems.sparse.lasso import Lasso
from fejer.problems.sparse.task_relevance import TaskRelevance
from fejer.solvers.general._linear import Squared, squared

from ._working_sets import (
    WorkingState,
    combination,
    epoch,
    first_working_state,
    residual,
    set_point,
    unsupported_squares,
)

__all__ = ["CelerLike"]

LOOK = 10  # sweeps between two residuals that are remembered
REMEMBERED = 6
ROUNDING = 1e-14


@register
@dataclass(frozen=True, eq=False)
class CelerLike(Method):
    """Working sets of the Lasso from dual points, with screening that is safe.

    A dual point theta (``|z_j'theta| <= l1_j``) gives each coefficient the distance ``(l1_j -
    |z_j'theta|) / ||z_j||`` from where it could be nonzero. Those farther than the radius ``sqrt(2
    gap)`` are zero at the solution and are dropped for good; of the others the nearest form the
    working set, on which cyclic coordinate descent runs.

    Attributes
    ----------
    first : int
        Size of the first working set; later ones have twice as many as are nonzero.
    accuracy : float
        Gap of a working set, over the gap of the whole, at which it is given up.

    Notes
    -----
    The dual point is the best of all seen so far: the residual, scaled, and the extrapolation
    ``sum_k c_k r_k`` of the last 6 residuals, 10 sweeps apart, with ``c = argmin ||sum_k c_k (r_k -
    r_{k-1})||, sum c = 1``, scaled.

    Rate: that of coordinate descent, once the working set holds the support of the solution.

    Cost of a sweep: two products with the columns of the working set; a working set costs a
    product with all columns that are left. A baseline: this is the scheme of the library celer.
    It takes no squares in the penalty and no bounds.

    References
    ----------
    .. [1] M. Massias, A. Gramfort, J. Salmon (2018). Celer: a fast solver for the Lasso with dual
       extrapolation, ICML, arXiv:1802.07481.
    .. [2] E. Ndiaye, O. Fercoq, A. Gramfort, J. Salmon (2017). Gap safe screening rules for
       sparsity enforcing penalties, Journal of Machine Learning Research 18, arXiv:1611.05780.

    Examples
    --------
    >>> import fejer
    >>> fejer.minimize(fejer.Lasso.random(), method="celer-like").success
    True
    """

    first: int = option(100, least=1, doc="size of the first working set")
    accuracy: float = option(0.3, above=0, below=1, doc="gap of a working set over that of all")

    name = "celer-like"
    solves = (Lasso, TaskRelevance)
    cites = ("arXiv:1802.07481", "arXiv:1611.05780")

    @property
    def rate(self) -> Rate:
        """What is known: as coordinate descent."""
        return Rate(
            "the gap falls by the accuracy of a working set from one set to the next, once the set "
            "holds the support (Massias, Gramfort, Salmon 2018)",
            "linear",
            assumptions="no ridge term and no bounds",
        )

    def supports(self, problem: Any) -> str | None:
        """Return None for least squares under moduli alone."""
        reason = unsupported_squares(problem)
        if reason is not None:
            return reason
        form = problem.form()
        moves = form.lower < form.upper
        if form.l2[moves].any() or not (form.l1[moves] > 0).all():
            return "its penalty is not of moduli alone"
        if np.isfinite(form.lower[moves]).any() or np.isfinite(form.upper[moves]).any():
            return "it has bounds"
        return None

    def prepare(self, problem: Any, tol: float, rng: np.random.Generator) -> Squared:
        """Take the prepared loss."""
        return squared(problem)

    def begin(
        self, problem: Any, prep: Squared, start: Start, rng: np.random.Generator
    ) -> WorkingState:
        """Start from the given coefficients."""
        state = first_working_state(prep, start.x)
        state.alive = (prep.design.sq_norms > 0) & (prep.lower < prep.upper)
        state.dual = np.zeros(prep.z.size)
        state.past = np.zeros((REMEMBERED, prep.z.size))
        return state

    def advance(self, problem: Any, prep: Squared, state: WorkingState, n: int) -> bool:
        """Make n sweeps."""
        for _ in range(n):
            if not state.finished and state.inner == 0:
                self._choose(prep, state)
            if state.finished:
                return True
            moved = epoch(prep, state)
            state.finished = not moved and state.inner == 0  # on a fresh working set
            state.inner += 1
            state.nit += 1
            if state.inner % LOOK == 0 and self._solved(prep, state):
                state.inner = 0
        return state.finished

    def _scaled(self, ready: Squared, theta: Array, chosen: Any) -> tuple[float, Array, float]:
        """Dual value of a multiple of theta that is feasible on the chosen columns.

        Returns the value, the products with the columns, and the multiple.
        """
        design = ready.design
        if chosen.size < design.norms.size:
            c = design.matrix.columns(chosen).rmatvec(theta)
            if design.implicit:
                c -= design.mean[chosen] * float(design.root @ theta)  # type: ignore[index, operator]
        else:
            c = design.adjoint(theta)
        worst = float((np.abs(c) / ready.l1[chosen]).max(initial=0.0))
        size = float(theta @ theta)
        best = float(ready.z @ theta) / size if size > 0.0 else 0.0
        s = min(max(best, -1.0 / worst), 1.0 / worst) if worst > 0.0 else best
        return s * float(ready.z @ theta) - 0.5 * s * s * size, s * c, s

    def _primal(self, ready: Squared, state: WorkingState, r: Array) -> float:
        return 0.5 * float(r @ r) + ready.penalty(state.w)

    def _choose(self, ready: Squared, state: WorkingState) -> None:
        """Update the dual point, screen, and make a working set."""
        set_point(ready, state)
        r, chosen = residual(ready, state), np.flatnonzero(state.alive)
        fun = self._primal(ready, state, r)
        candidates = [r]
        if state.filled == REMEMBERED:
            candidates.append(combination(state.past) @ state.past[1:])
        state.bound, products, now = -math.inf, np.empty(0), np.empty(0)
        for theta in (*candidates, state.dual):
            value, c, s = self._scaled(ready, theta, chosen)
            state.work += chosen.size
            now = now if now.size else c  # of the residual
            if value > state.bound:
                state.bound, products, state.dual = value, c, s * theta
        gap = fun - state.bound
        distance = (ready.l1[chosen] - np.abs(products)) / ready.design.norms[chosen]
        far = distance > math.sqrt(2.0 * max(gap, 0.0) + ROUNDING * fun)
        self._drop(ready, state, chosen[far])
        # The best dual point may be an old one, which does not know what is missing now.
        chosen, now = chosen[~far], now[~far]
        distance = (ready.l1[chosen] - np.abs(now)) / ready.design.norms[chosen]
        nonzero = state.w[chosen] != 0.0
        count = int(nonzero.sum())
        size = max(2 * count, self.first if state.sets == 0 else 1)
        distance[nonzero] = -1.0
        order = np.argsort(distance, kind="stable")[:size]
        state.chosen = np.sort(chosen[order]).astype(np.int64)
        state.finished = not state.chosen.size
        state.goal = self.accuracy * max(gap, 0.0)
        state.sets += 1

    def _drop(self, ready: Squared, state: WorkingState, gone: Any) -> None:
        """Leave out coefficients that are 0 at the solution."""
        state.alive[gone] = False
        if state.w[gone].any():
            state.w[gone] = 0.0
            state.turned[0] = state.identified_at = state.nit
            set_point(ready, state)

    def _solved(self, ready: Squared, state: WorkingState) -> bool:
        """Remember the residual; whether the working set is solved well enough."""
        r = residual(ready, state)
        if state.filled == REMEMBERED:
            state.past[:-1] = state.past[1:]
            state.filled -= 1
        state.past[state.filled] = r
        state.filled += 1
        value, _, _ = self._scaled(ready, r, state.chosen)
        state.work += state.chosen.size
        if state.filled == REMEMBERED:
            other = combination(state.past) @ state.past[1:]
            value = max(value, self._scaled(ready, other, state.chosen)[0])
            state.work += state.chosen.size
        fun = self._primal(ready, state, r)
        return fun - value <= max(state.goal, 0.1 * ROUNDING * fun)

    def point(self, problem: Any, prep: Squared, state: WorkingState) -> Array:
        """Return the coefficients, and the best constant behind them."""
        return np.array(prep.leave(state.w))
