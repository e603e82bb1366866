"""Robust alternating minimisation for matrix completion: a path of ridge weights, warm starts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fejer.evidence import Array
from fejer.method import Method, Rate, Start, State, option, register
from fejer.numerics.anderson import AndersonMemory
from fejer.numerics.compressed import Compressed
from fejer.numerics.random import seed_state
from fejer.problems.lowrank import _sweeps
from fejer.problems.lowrank._factors import balanced, spectrum, unpack
from fejer.problems.lowrank.matrix_completion import MatrixCompletion

from . import _regressions
from ._start import fill_components

STILL, SMALLEST_CHANGE = 3, 2.0**-50
# Entries over degrees of freedom from which a rate serves; the rate; the sweep at which a run that
# does not fit goes back to the start with the next rate.
RATES = (
    (4.0, 0.3, 30),
    (2.7, 0.6, 30),
    (1.9, 0.8, 60),
    (0.0, 0.9, 400),
    (0, 0.95, 600),
    (0, 0.98, 0),
)
LAST_OF_MANY = 3  # with enough entries no slower rate than this one is tried
POOR_FIT, KNOWN_FIT, CLEAR_GAP = 1e-2, 1e-5, 5.0
EXACT_RANK = 24  # largest rank for which a Gram matrix of every row is worth its price;
MOST_EXACT = 64  # with reg > 0 it is for longer, since acceleration saves more sweeps than it costs
SINGLE_ENTRIES = 100_000
PATH_OVER = 1 << 30
TRIAL = 5  # sweeps after which a cut of the rank must have halved the fit


class _Prep(NamedTuple):
    """Both orderings over the largest modulus, in both precisions; what the path needs."""

    orders: dict[bool, tuple[Compressed, Compressed]]
    scale: float
    s0: float
    reg: float
    norm: float
    longest: int
    smallest: float
    rungs: tuple[int, ...]  # by rank


@dataclass
class AltMinState(State):
    """Packed factors over the square root of the scale; what the path and the memory know."""

    x: Array
    fill: Array | None
    words: NDArray[np.uint64]
    memory: AndersonMemory | None
    reference: Array
    rung: int
    lam: float
    age: int
    rank: int
    single: bool
    gap: int = 0
    saved: Array | None = None
    trial: int = 0
    fit_before: float = math.inf
    locked: bool = False
    fit: float = math.inf
    change: float = math.inf
    still: int = 0


@register
@dataclass(frozen=True, eq=False)
class RobustAlternatingMinimisation(Method):
    """Alternating minimisation for matrix completion, with regressions that may be inexact.

    Sweeps ``U <- U + step(U, V)``, ``V <- V + step(V, U)`` over the rows, where a step is an exact
    or approximate solution of the ridge regression with weight ``lam_t``, started at the row that
    is there; ``lam_t = max(0.3 s_0 decay^t, lam_end)`` falls along the run.

    Parameters
    ----------
    rows : {"auto", "exact", "pcg", "sketch"}, default "auto"
        How a row is corrected: Gram matrix and Cholesky; a few conjugate gradients with a diagonal
        preconditioner; or with that of a random sketch of the regression, as published.
        ``"auto"``: exact up to rank 24, or 64 where reg > 0, ``"pcg"`` above.
    steps : int, default 2
        Conjugate gradients a row.
    memory : int, default 5
        Sweeps that Anderson acceleration looks back on; 0: none. It needs exact rows.
    start : {"spectral", "random"}, default "spectral"
        Where to begin if no start is given.
    decay : float, optional
        Factor of the ridge weight from sweep to sweep; default: from the number of entries over the
        degrees of freedom, with a slower one where the fit stays poor.
    detect_rank : bool, default True
        Drop components that the path has separated from the others by a factor of 5. If the fit is
        not exact without them the run begins again and keeps them.
    precision : {"auto", "double"}, default "auto"
        ``"auto"``: early sweeps on more than 1e5 entries in single precision.

    Attributes
    ----------
    name : str
        ``"altmin"``.

    Notes
    -----
    The published method [1]_ solves each regression by sketch and precondition and proves that
    halving the distance per sweep survives such errors. What is kept of it is the correction of the
    row that is there: errors do not add up, not even those of single precision. A sketch has four
    times as many rows as the rank, and is about as dear as the Gram matrix that it approximates:
    ``rows="sketch"`` is there to be compared with. Clipping of rows and a fresh part of the entries
    for each half sweep, which the proof needs, change nothing measurable and are left out.

    The falling ridge weight is what finds the matrix: it lets components in one after the other,
    and with a fixed weight the same sweeps fail when entries are few. With ``s_0`` the leading
    singular value of the entries; ``lam_end`` is reg, or 1e-10 (single) to 1e-14 of ``s_0``.

    Rate: with incoherent factors and enough entries the distance of the column space to the true
    one falls at least by 1/2 a sweep. About 0.3 is seen with 8 entries a degree of freedom and 0.5
    with 4, whatever the condition number.

    Cost of a sweep: exact rows ``2 N k^2``, ``"pcg"`` 16 N k multiplications. Memory: the
    orderings, 16 bytes an entry in double and 16 more in single precision.

    Pitfalls: with less than about 1.5 entries a degree of freedom the matrix is rarely found; see
    ``recovery``. A run ends STALLED when the steps of three sweeps are below 1e-6 tol.

    References
    ----------
    .. [1] Gu, Song, Yin, Zhang (2023), Low rank matrix completion via robust alternating
       minimization in nearly linear time, arXiv:2302.11068.
    .. [2] Jain, Netrapalli, Sanghavi (2013), Low-rank matrix completion using alternating
       minimization, STOC, arXiv:1212.0467.

    Examples
    --------
    The true rank is 2, and 8 is asked for:

    >>> import fejer
    >>> problem = fejer.MatrixCompletion.random(60, 50, 2, count=1500).replace(rank=8)
    >>> result = fejer.minimize(problem, method="altmin")
    >>> result.success, result.found_rank, result.recovered
    (True, 2, True)
    """

    rows: str = option(
        "auto", choices=("auto", "exact", "pcg", "sketch"), doc="how a row is corrected"
    )
    steps: int = option(2, least=1, doc="conjugate gradients a row")
    memory: int = option(5, least=0, doc="memory of Anderson acceleration")
    start: str = option("spectral", choices=("spectral", "random"), doc="start if none is given")
    decay: float | None = option(None, above=0, below=1, doc="factor of the ridge weight a sweep")
    detect_rank: bool = option(True, doc="drop components that the data do not need")
    precision: str = option("auto", choices=("auto", "double"), doc="precision of early sweeps")

    name, solves = "altmin", (MatrixCompletion,)
    cites = ("arXiv:2302.11068", "arXiv:1212.0467")

    @property
    def rate(self) -> Rate:
        """Halving of the distance between column spaces, from the abstract of the source."""
        return Rate(
            "dist(V_t+1, V*) <= 1/2 dist(V_t, V*), also with inexact regressions",
            "linear",
            assumptions="incoherent factors, entries at random, of the order of n k log n poly(k, "
            "condition number) many; exact data",
        )

    def prepare(self, problem: MatrixCompletion, tol: float, rng: np.random.Generator) -> _Prep:
        """Scale the entries and copy them in single precision."""
        scale = float(np.abs(problem.values).max()) or 1.0
        double = tuple(order._replace(data=order.data / scale) for order in problem.orders())
        orders: dict[bool, Any] = {False: double}
        if self.precision == "auto" and problem.values.size >= SINGLE_ENTRIES:
            orders[True] = tuple(o._replace(data=o.data.astype(np.float32)) for o in double)
        shares = [
            problem.values.size / max(1, c * (sum(problem.shape) - c))
            for c in range(problem.rank + 1)
        ]
        rungs = (next(i for i, (least, _, _) in enumerate(RATES) if s >= least) for s in shares)
        if problem.reg > 0:  # convex but for the bound on the rank: no path has to find the way
            rungs = (0 for _ in shares)
        return _Prep(
            orders,
            scale,
            float(problem.leading()[1][0]) / scale or 1.0,
            problem.reg / scale,
            float(np.linalg.norm(double[0].data)) or 1.0,
            max(int(np.diff(order.indptr).max()) for order in double),
            max(1e-6 * tol, SMALLEST_CHANGE),
            tuple(rungs),
        )

    def begin(
        self, problem: MatrixCompletion, prep: _Prep, start: Start, rng: np.random.Generator
    ) -> AltMinState:
        """Start from the given factors, at the end of the path, or from the first factors."""
        n, k = problem.shape[1], problem.rank
        fill = rng.standard_normal((n, k))
        x = start.x / math.sqrt(prep.scale)
        if self.start == "random" and not start.given:
            x = rng.standard_normal(problem.size) / math.sqrt(k)
        age, lam = (PATH_OVER, 0.0) if start.given else (0, 0.3 * prep.s0)
        words, single = seed_state(rng), True in prep.orders
        reference = np.zeros((n, k))
        return AltMinState(x, fill, words, None, reference, prep.rungs[k], lam, age, k, single)

    def point(self, problem: MatrixCompletion, prep: _Prep, state: AltMinState) -> Array:
        """Return the factors in the units of the entries."""
        return math.sqrt(prep.scale) * state.x

    def advance(self, problem: MatrixCompletion, prep: _Prep, state: AltMinState, n: int) -> bool:
        """Make up to n sweeps."""
        for _ in range(n):
            if state.still >= STILL:
                return True
            self._sweep(problem, prep, state)
            state.nit += 1
            state.work += 2 * problem.unit
        return state.still >= STILL

    # ---- one sweep ---------------------------------------------------------------------------
    def _exact(self, prep: _Prep, rank: int) -> bool:
        most = MOST_EXACT if prep.reg > 0 and self.memory else EXACT_RANK
        return self.rows == "exact" or (self.rows == "auto" and rank <= most)

    def _weight(self, prep: _Prep, state: AltMinState) -> tuple[float, bool]:
        """Ridge weight of this sweep, and whether the path is over."""
        end = prep.reg or (1e-10 if state.single else 1e-14) * prep.s0
        # Where a gap shows, its rank tells how fast the path may fall.
        rung = min(state.rung, prep.rungs[state.gap or state.rank])
        rate = self.decay or RATES[rung][1]
        lam, state.lam = state.lam, rate * state.lam
        # Acceleration takes the rest of the path in one step, unless the path still separates.
        early = (2e-3 if rate <= 0.3 else 2e-4 if rate < 0.85 else 1e-10) * prep.s0
        if self.memory and self._exact(prep, state.rank) and not state.gap and lam <= early:
            lam = end
            state.lam = 0.0
        return max(lam, end), lam <= end

    def _sweep(self, problem: MatrixCompletion, prep: _Prep, state: AltMinState) -> None:
        """Correct all rows and all columns; accelerate; look at the singular values."""
        shape, rank = problem.shape, state.rank
        wide_U, wide_V = unpack(state.x, shape, problem.rank)
        if state.fill is not None:
            fill_components(wide_U, wide_V, state.fill)
            state.fill = None
        U, V = wide_U[:, :rank].copy(), wide_V[:, :rank].copy()
        lam, over = self._weight(prep, state)
        memory = state.memory
        if over and self.memory and self._exact(prep, rank) and memory is None:
            memory = state.memory = AndersonMemory.empty(V.size, self.memory)
        point = None
        if memory is not None:
            point = self._frame(problem, state, U, V)
        kind: Any = np.float32 if state.single else np.float64
        U, V = U.astype(kind), V.astype(kind)
        moved = np.array([np.vdot(U, U), np.vdot(V, V)], dtype=np.float64)
        before = np.sqrt(moved)
        by_row, by_col = prep.orders[state.single]
        moved[0] = self._half(by_row, V, U, lam, prep, state)[0]
        moved[1], square = self._half(by_col, U, V, lam, prep, state)
        after = np.array([np.linalg.norm(U), np.linalg.norm(V)])
        last, fit = state.change, math.sqrt(square) / prep.norm
        size = np.maximum(before, after)
        state.change = float(np.linalg.norm(np.sqrt(moved) / np.where(size > 0, size, 1.0)))
        state.fit = fit
        state.age += 1
        found = spectrum(U.astype(np.float64), V.astype(np.float64))
        if found is not None:
            wide_U[:, :rank], wide_V[:, :rank] = balanced(found)
            if memory is not None and point is not None:
                self._remember(problem, state, wide_V[:, :rank], found.values, point)
            self._follow(problem, prep, state, found.values, lam, over)
        if not over or state.single:
            settled = state.change <= 3e-6 or 0.5 * last < state.change < 1e-3
            state.single = state.single and not (over and settled)
            state.still = 0
        else:
            state.still = state.still + 1 if state.change <= prep.smallest else 0

    def _half(
        self,
        order: Compressed,
        fixed: Any,
        moving: Any,
        lam: float,
        prep: _Prep,
        state: AltMinState,
    ) -> tuple[float, float]:
        rank = state.rank
        if self._exact(prep, rank):
            work = _sweeps.workspace(rank, fixed.dtype)
            told = _sweeps.half_sweep(*order, fixed, moving, lam, *work)
        else:
            work = _regressions.workspace(rank, prep.longest, fixed.dtype)
            told = _regressions.inexact_sweep(
                *order, fixed, moving, lam, self.steps, self.rows == "sketch", state.words, *work
            )
        return float(told[0]), float(told[1])

    def _frame(self, problem: MatrixCompletion, state: AltMinState, U: Array, V: Array) -> Any:
        """Turn balanced factors to the window's first frame, and extrapolate V there."""
        memory = state.memory
        assert memory is not None
        s = np.einsum("ij,ij->j", V, V)
        if problem.reg == 0.0 and not s.min() > 1e-12 * s.max():
            memory.clear()
            return None
        length = 1.0
        if problem.reg == 0.0:  # orthonormal frames: the spaces alone matter
            root, length = np.sqrt(s), math.sqrt(V.shape[0])
            U *= root
            V /= root
        if memory.count:
            A, _, Bt = np.linalg.svd(V.T @ state.reference)
            turn = A @ Bt
            U[:], V[:] = U @ turn, V @ turn
            V[:] = memory.extrapolate().reshape(V.shape) / length
        else:
            state.reference = V.copy()
        U /= length
        V *= length
        return V.copy()

    def _remember(
        self, problem: MatrixCompletion, state: AltMinState, V: Array, s: Array, point: Array
    ) -> None:
        """Give the memory the frame that this sweep began with and its image."""
        memory = state.memory
        assert memory is not None
        if problem.reg == 0.0 and not s[-1] > 1e-12 * s[0]:
            memory.clear()
            return
        image = V if problem.reg > 0 else V * (math.sqrt(V.shape[0]) / np.sqrt(s))
        A, _, Bt = np.linalg.svd(image.T @ state.reference)
        image = (image @ (A @ Bt)).ravel()
        if memory.count and not np.linalg.norm(point.ravel() - image) <= 1.5 * memory.norm:
            memory.clear()
        else:
            memory.push(point.ravel(), image)

    def _follow(
        self,
        problem: MatrixCompletion,
        prep: _Prep,
        state: AltMinState,
        s: Array,
        lam: float,
        over: bool,
    ) -> None:
        """Cut the rank, put it back, or begin again with a slower path."""
        if prep.reg > 0:
            return
        if state.saved is not None and state.fit > KNOWN_FIT:
            state.trial += 1
            slow = state.trial == TRIAL and state.fit > 0.5 * state.fit_before
            if slow or (state.trial > TRIAL and state.change <= 1e-3):
                # The components that were dropped are needed: large gaps of their own, or noise.
                state.x, state.saved, state.rank = state.saved, None, problem.rank
                state.locked, state.memory = True, None
                return
        gap, state.gap = state.gap, 0
        if self.detect_rank and not state.locked and s.size > 1:
            ratio = s[:-1] / np.maximum(s[1:], 1e-300)
            if ratio.max() >= CLEAR_GAP:
                state.gap = int(ratio.argmax()) + 1
        if state.gap and state.gap == gap and (lam <= 2e-5 * prep.s0 or over):
            state.saved, state.fit_before, state.trial = state.x.copy(), state.fit, 0
            state.rank, state.gap, state.memory, state.locked = state.gap, 0, None, True
            for part in unpack(state.x, problem.shape, problem.rank):
                part[:, state.rank :] = 0.0
            return
        _, _, deadline = RATES[state.rung]
        few = prep.rungs[problem.rank] >= LAST_OF_MANY
        last = state.rung + 1 >= len(RATES) or (state.rung >= LAST_OF_MANY and not few)
        waiting = self.decay is None and not last and state.age < PATH_OVER // 2
        if waiting and state.age >= deadline and state.fit > POOR_FIT and state.change > 1e-5:
            self._restart(problem, prep, state, state.rung + 1)

    def _restart(
        self, problem: MatrixCompletion, prep: _Prep, state: AltMinState, rung: int
    ) -> None:
        state.x = problem.initial_point() / math.sqrt(prep.scale)
        state.rung, state.age, state.memory, state.rank = rung, 0, None, problem.rank
        state.lam = 0.3 * prep.s0
        state.gap = 0
        state.single = True in prep.orders
        state.change = math.inf
