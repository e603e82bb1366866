"""Sinkhorn's iterations on the potentials."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from fejer.evidence import Array
from fejer.method import Method, Rate, Start, State, option, register
from fejer.problems.transport.entropic_ot import EntropicOT
from fejer.solvers.transport._potentials import LogSteps
from fejer.solvers.transport.sinkhorn import Sinkhorn

__all__ = ["SinkhornLog"]


@dataclass
class SinkhornLogState(State):
    """Potentials of the atoms with weight, for costs less their minimum."""

    f: Array
    g: Array
    violation: float
    ask: float  # violation at which the run asks to be judged
    growth: float  # of base-2 exponents of the plan in the next pass, at most
    single: bool  # whether passes are made in float32


@register
@dataclass(frozen=True, eq=False)
class SinkhornLog(Method):
    """Alternate maximisation over the two potentials, in the logarithmic domain.

    ``f_i <- eps log a_i - eps log sum_j exp((g_j - C_ij) / eps)``, then the same for g. In exact
    arithmetic these are the iterates of `sinkhorn`.

    Parameters
    ----------
    precision : {"auto", "double", "mixed"}, default "auto"
        "mixed": passes in float32 until their rounding shows, in float64 from then on; "double":
        float64 throughout. "auto" is "mixed" for costs that are computed as they are used (a large
        `PointCloud`), and "double" for stored ones, of which a copy would be needed.

    Notes
    -----
    No kernel matrix is stored and nothing over- or underflows, whatever eps is. A row is summed
    under the shift that its previous potential gives, so that no maximum is sought; both half-steps
    share one pass over the costs. `sinkhorn` does the same work with one product where this method
    has one exponential: it is several times as fast where its matrix fits into memory.

    In float32 a pass costs between a third and a half. Its exponents ``(f_i + g_j - C_ij) / eps``
    are right to 6e-8 of their parts, and marginals therefore to about ``1e-6 <a, f> / eps``: as
    long as the violation is above a bound of that, fewer digits than float64 has are enough. All
    iterations after that, the potentials and every certificate are in float64, so that the result
    is as exact as without. Weights below 1e-9 of their mean rule float32 out.

    Rate: as for `sinkhorn`, linear in Hilbert's metric.

    Cost per iteration: n m exponentials (0.6 to 0.8 ns each, in float32 0.25 to 0.4). Memory:
    O(n + m) beside the cost, for "mixed" 4 n m bytes more where the cost is stored; a large
    `PointCloud` is computed as it is used. Work: an iteration is four products with a stored kernel
    matrix.

    References
    ----------
    .. [1] M. Cuturi (2013), Sinkhorn distances: lightspeed computation of optimal transport,
       arXiv:1306.0895.
    .. [2] G. Peyré, M. Cuturi (2019), Computational optimal transport, arXiv:1803.00567.

    Examples
    --------
    >>> import fejer
    >>> fejer.minimize(fejer.EntropicOT.random(), method="sinkhorn-log").success
    True
    """

    precision: str = option(
        "auto", choices=("auto", "double", "mixed"), doc="of the passes, before rounding shows"
    )

    name = "sinkhorn-log"
    solves = (EntropicOT,)
    cites = ("arXiv:1306.0895", "arXiv:1803.00567", "Franklin and Lorenz (1989)")

    @property
    def rate(self) -> Rate:
        """Contraction in Hilbert's metric."""
        return Sinkhorn().rate

    def prepare(self, problem: EntropicOT, tol: float, rng: np.random.Generator) -> Any:
        """Set up the passes."""
        stored = problem.polytope.cost.dense is not None
        mixed = self.precision == "mixed" or (self.precision == "auto" and not stored)
        return LogSteps(problem.polytope, problem.epsilon, mixed), tol * problem.polytope.mass

    def begin(
        self, problem: EntropicOT, prep: Any, start: Start, rng: np.random.Generator
    ) -> SinkhornLogState:
        """Start at the given potentials."""
        steps, ask = prep
        f, g = problem.polytope.reduced(start.x)
        return SinkhornLogState(f, g, math.inf, ask, math.inf, steps.mixed)

    def advance(self, problem: EntropicOT, prep: Any, state: SinkhornLogState, n: int) -> bool:
        """Make up to n iterations; ask to be judged whenever the violation has halved."""
        return prep[0].advance(state, n)  # type: ignore[no-any-return]

    def point(self, problem: EntropicOT, prep: Any, state: SinkhornLogState) -> Array:
        """Return the potentials."""
        return problem.polytope.packed(state.f, state.g)
