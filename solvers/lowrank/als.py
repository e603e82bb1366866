"""Alternating least squares: one exact ridge regression for every row, then for every column."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np

from fejer.evidence import Array
from fejer.method import Method, Rate, Start, State, option, register
from fejer.numerics.compressed import Compressed
from fejer.problems.lowrank._factors import balanced, spectrum, unpack
from fejer.problems.lowrank._sweeps import half_sweep, workspace
from fejer.problems.lowrank.matrix_completion import MatrixCompletion
from fejer.problems.lowrank.unconstrained_features import UnconstrainedFeatures

from . import _features
from ._start import fill_components

STILL, SMALLEST_CHANGE = 3, 2.0**-50
Problem: TypeAlias = MatrixCompletion | UnconstrainedFeatures


class _Prep(NamedTuple):
    """What sweeps need: the smallest step that counts, both orderings, ridge weight, workspace."""

    smallest: float
    orders: tuple[Compressed, ...] = ()
    lam: float = 0.0
    work: tuple[Array, ...] = ()


@dataclass
class ALSState(State):
    """Packed factors; random columns for the components that the start lacks, until they are used;
    length of the last sweep's steps; sweeps in a row that moved nothing.
    """

    x: Array
    fill: Array | None
    change: float = np.inf
    still: int = 0


@register
@dataclass(frozen=True, eq=False)
class AlternatingLeastSquares(Method):
    """Exact alternating least squares for matrix completion and for unconstrained features.

    Completion: repeats ``U <- argmin F(., V)``, ``V <- argmin F(U, .)`` for
    ``F = 1/2 ||P(U V') - y||^2 + lam/2 (||U||_F^2 + ||V||_F^2)``, then balances the factors by the
    singular value decomposition of ``U V'``, which lowers F further.

    Features: ``W = T H' (H H' + N reg_w I)^-1``, then
    ``H = (W'W + N (reg_h + beta) I)^-1 (W'T + N beta H0)``; without an anchor the factors are then
    balanced in the same way.

    Parameters
    ----------
    start : {"spectral", "random"}, default "spectral"
        Where to begin if no start is given: the problem's initial point, or normal factors of its
        size.

    Attributes
    ----------
    name : str
        ``"als"``.

    Notes
    -----
    ``lam`` is the problem's reg; where that is 0, 1e-14 times the leading singular value of the
    entries, which decides only what the entries leave open.

    Rate: F never increases. With reg > 0 the partial gradients at the beginning of the sweeps obey
    ``sum over t < T of ||dF/dU (U_t, V_t)||_F^2 <= 2 L (F_0 - F_T)``, ``L = 2 F_0/reg + reg``: the
    half step is the exact minimum of a quadratic with curvature at most L. Near a strict local
    minimum the rate is linear.

    Cost of a sweep, completion: the k x k Gram matrix of every row and column, ``2 N k^2``
    multiplications, and a Cholesky factorisation for each. Memory: the two orderings, 24 bytes an
    entry. Features: ``4 N D^2`` multiplications.

    Completion: each row is corrected, ``u <- u + (G + delta I)^-1 (V'r - lam u)``, with
    ``delta = max(lam, 1e-12 tr(G)/k)``: the shift guards rows with fewer than k entries and leaves
    the fixed point alone.

    Pitfall, reg = 0: where singular values differ much or entries are few, sweeps can run towards
    an infimum at infinity: X grows, the fit stays poor, and the certificate does not fall
    (``details["spread"]``). A small reg helps.

    Components that the start lacks get random columns, since a factor that is 0 stays 0. A run ends
    STALLED if the steps of three sweeps are below 1e-6 tol: then the rank binds
    (``details["norm_over_reg"] > 1``), or tol is below rounding.

    References
    ----------
    .. [1] Zhou, Wilkinson, Schreiber, Pan (2008), Large-scale parallel collaborative filtering for
       the Netflix prize, AAIM.
    .. [2] Hastie, Mazumder, Lee, Zadeh (2015), Matrix completion and low-rank SVD via fast
       alternating least squares, JMLR 16, arXiv:1410.2596.
    .. [3] Jain, Netrapalli, Sanghavi (2013), Low-rank matrix completion using alternating
       minimization, STOC, arXiv:1212.0467.

    Examples
    --------
    >>> import fejer
    >>> fejer.minimize(fejer.MatrixCompletion.random(), method="als").success
    True
    """

    start: str = option("spectral", choices=("spectral", "random"), doc="start if none is given")

    name, solves = "als", (MatrixCompletion, UnconstrainedFeatures)
    cites = ("arXiv:1410.2596", "arXiv:1212.0467")

    @property
    def rate(self) -> Rate:
        """Monotone decrease, linear near a strict local minimum."""
        return Rate(
            "F does not increase: F(x_k) <= F(x_0); linear near a strict local minimum; "
            "sum of ||dF/dU||^2 <= 2 (2 F_0/reg + reg)(F_0 - F_T)",
            "linear",
            assumptions="linear part: a strict local minimum up to the choice of factors",
            measure=lambda problem, x, xstar: problem.objective(x),
            bound=lambda problem, x0, xstar, k: problem.objective(x0),
        )

    def prepare(self, problem: Problem, tol: float, rng: np.random.Generator) -> _Prep:
        """Take the orderings from the problem and make workspace."""
        smallest = max(1e-6 * tol, SMALLEST_CHANGE)
        if isinstance(problem, UnconstrainedFeatures):
            return _Prep(smallest)
        lam = problem.reg
        if lam == 0.0:
            lam = 1e-14 * float(problem.leading()[1][0])
        return _Prep(smallest, problem.orders(), lam, workspace(problem.rank))

    def begin(
        self, problem: Problem, prep: _Prep, start: Start, rng: np.random.Generator
    ) -> ALSState:
        """Start from the given factors; fill the components that they lack."""
        x = start.x
        if isinstance(problem, UnconstrainedFeatures):
            if self.start == "random" and not start.given:
                x = rng.standard_normal(x.size) / np.sqrt(problem.dim)
            return ALSState(x, None)
        if self.start == "random" and not start.given:
            spread = np.sqrt(np.abs(problem.values).max() / np.sqrt(problem.rank))
            x = spread * rng.standard_normal(problem.size)
        return ALSState(x, rng.standard_normal((problem.shape[1], problem.rank)))

    def advance(self, problem: Problem, prep: _Prep, state: ALSState, n: int) -> bool:
        """Make up to n sweeps."""
        for _ in range(n):
            if state.still >= STILL:
                return True
            size = float(np.linalg.norm(state.x))
            if isinstance(problem, UnconstrainedFeatures):
                moved = _features.sweep(problem, state.x)
                state.work += problem.dim * problem.unit
            else:
                moved = self._sweep(problem, prep, state)
                state.work += 2 * problem.unit
            state.change = moved / (size or 1.0)
            state.still = state.still + 1 if state.change <= prep.smallest else 0
            state.nit += 1
        return state.still >= STILL

    def _sweep(self, problem: MatrixCompletion, prep: _Prep, state: ALSState) -> float:
        """Solve for all rows, for all columns, and balance; the length of the steps."""
        U, V = unpack(state.x, problem.shape, problem.rank)
        if state.fill is not None:
            fill_components(U, V, state.fill)
            state.fill = None
        by_row, by_col = prep.orders
        moved = half_sweep(*by_row, V, U, prep.lam, *prep.work)[0]
        moved += half_sweep(*by_col, U, V, prep.lam, *prep.work)[0]
        found = spectrum(U, V)
        if found is not None:
            U[:], V[:] = balanced(found)
        return float(np.sqrt(moved))
