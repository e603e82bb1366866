"""Sub-gradient method with small initialisation for robust matrix sensing."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from fejer.evidence import Array
from fejer.jit import kernel
from fejer.method import Method, Rate, Start, State, option, register
from fejer.problems.lowrank._factors import pack, spectrum, unpack
from fejer.problems.lowrank.matrix_sensing import MatrixSensing

MEAN_MODULUS = math.sqrt(2.0 / math.pi)
LOOK, CLEAR_GAP, SMALLEST = 25, 50.0, 1e-6
PATIENCE, PROGRESS, GROWTH, FALL = 60, 0.98, 1.3, 0.7


class _Prep(NamedTuple):
    """Measurements in the size of standard normal matrices."""

    rows: Array | None  # None where A is an operator
    y: Array
    unit: float
    sigma: float
    upper: tuple[Array, Array] | None


@dataclass
class SubGMState(State):
    """Factors of the last and of the best iterate; what is known of the rank.

    ``sigma`` estimates the distance of the best iterate from the truth, ``rank`` is the number of
    columns in use, ``seen`` the place of the gap at the last look.
    """

    x: Array
    best: Array
    sigma: float
    mark: float
    since: int = 0
    rank: int = 0
    seen: int = 0
    sigma_seen: float = math.inf
    tail: float = math.inf
    scaled: bool = False
    saved: Array | None = None
    locked: bool = False


@kernel
def signed_pass(rows, x, y, residual, out):
    """``residual = rows x - y`` and ``out = mean of sign(residual_i) rows_i``, in one pass."""
    out[:] = 0.0
    count, size = rows.shape
    for i in range(count):
        total = 0.0
        for j in range(size):
            total += rows[i, j] * x[j]
        total -= y[i]
        residual[i] = total
        if total > 0.0:
            for j in range(size):
                out[j] += rows[i, j]
        elif total < 0.0:
            for j in range(size):
                out[j] -= rows[i, j]
    for j in range(size):
        out[j] /= count


@register
@dataclass(frozen=True, eq=False)
class SubGradientMethod(Method):
    """Sub-gradient method with small initialisation for l1 matrix sensing.

    Repeats ``U <- U - 2 eta_t Q_t U`` (symmetric) or ``U <- U - eta_t Q_t V``,
    ``V <- V - eta_t Q_t' U``, with ``Q_t = 1/M sum sign(<A_i, X_t> - y_i) A_i``, from a start of
    size alpha.

    Parameters
    ----------
    schedule : {"quantile", "geometric"}, default "quantile"
        Step sizes. ``"quantile"``: ``step sigma_t / (s_1 sqrt(2/pi))`` with
        ``sigma_t = quantile_q(|residuals|) / z``, which for Gaussian measurements estimates the
        distance to the truth whatever the outliers are. ``"geometric"``, as published:
        ``step ratio^t / ||Q_t||``.
    step : float, default 0.25
        Step constant; 0.4 oscillates when measurements are few.
    ratio : float, default 0.99
        Decay of the geometric schedule; ``step / (1 - ratio)`` must exceed about ``ln(1/alpha)``.
    quantile : float, default 0.5
        Must be below the share of good measurements: 0.2 where half of them or more are wrong.
    alpha : float, default 1e-10
        Size of the start, of the size of the truth. The final error is proportional to it unless
        the rank is cut.
    finish : {"scaled", "none"}, default "scaled"
        ``"scaled"``: where a gap of 50 between singular values is seen twice while the distance
        falls, drop what is below and precondition by ``(U'U)^-1``, after which the condition number
        does not count.

    Attributes
    ----------
    name : str
        ``"subgm"``.

    Notes
    -----
    From a small start the true components grow first and the others stay of the size of the start:
    neither rate nor number of measurements depends on the rank that is asked for. In expectation a
    step is gradient descent on ``1/2 ||X - X*||_F^2`` with step ``step (1 - p) / s_1``, p the share
    of outliers.

    Rate: sign restricted isometry (Gaussian measurements: of the order of ``d r^2 / (1 - p)^2`` of
    them, r the true rank) gives an error of a power of alpha after ``O(kappa log(1/alpha))``
    iterations. Iterations are ``a + b log(1/alpha)``, 13 to 15 for a decade at condition number 1.

    Cost of an iteration: one pass over the measurements, half of A where symmetric, in which
    residual and signed sum are formed together.

    With noise in all measurements the last iterates over-fit when the rank is too large: the run
    ends when ``sigma_t`` has not fallen by 2 per cent in 60 iterations, and the iterate with the
    smallest one is returned (STALLED; its certificate cannot hold).

    Pitfall: the size of a step supposes measurements like Gaussian ones.

    References
    ----------
    .. [1] Ma, Fattahi (2022), Global convergence of sub-gradient method for robust matrix recovery:
       small initialization, noisy measurements, and over-parameterization, arXiv:2202.08788.

    Examples
    --------
    >>> import fejer
    >>> problem = fejer.MatrixSensing.random(d=8, rank=1, count=150, outliers=0.2)
    >>> fejer.minimize(problem.replace(rank=8), method="subgm").success
    True
    """

    schedule: str = option(
        "quantile", choices=("quantile", "geometric"), doc="rule for the step sizes"
    )
    step: float = option(0.25, above=0, doc="step constant")
    ratio: float = option(0.99, above=0, below=1, doc="decay of the geometric schedule")
    quantile: float = option(0.5, above=0, below=1, doc="quantile of the residuals")
    alpha: float = option(1e-10, above=0, most=1, doc="size of the start")
    finish: str = option("scaled", choices=("scaled", "none"), doc="what follows a clear gap")

    name, solves = "subgm", (MatrixSensing,)
    cites = ("arXiv:2202.08788",)

    @property
    def rate(self) -> Rate:
        """Linear after the time that the start needs to grow."""
        return Rate(
            "error below a power of alpha after O(kappa log(1/alpha)) iterations, whatever the "
            "rank asked for",
            "linear",
            assumptions="sign restricted isometry: Gaussian measurements, of the order of "
            "d r^2 / (1 - p)^2 many, a share p of outliers",
        )

    def supports(self, problem: MatrixSensing) -> str | None:
        """Loss "l1" alone."""
        return None if problem.loss == "l1" else "loss 'l2': scaled-gd treats it"

    def prepare(self, problem: MatrixSensing, tol: float, rng: np.random.Generator) -> _Prep:
        """Pack the measurements and estimate the size of the truth."""
        unit = problem.length() / math.sqrt(problem.shape[0] * problem.shape[1])
        y = problem.y / unit
        sigma = self._distance(np.abs(y)) or float(np.median(np.abs(y[y != 0]))) / 0.6745
        upper = np.triu_indices(problem.shape[0]) if problem.symmetric else None
        return _Prep(problem.packed(), problem.y, unit, sigma, upper)  # type: ignore[arg-type]

    def begin(
        self, problem: MatrixSensing, prep: _Prep, start: Start, rng: np.random.Generator
    ) -> SubGMState:
        """Shrink the leading part of the signed sum to size alpha, plus a little noise."""
        x = start.x
        if not start.given:
            x = x / (math.sqrt(float(np.abs(problem.singular_values(x)).max())) or 1.0)
            noise = 1e-3 * rng.standard_normal(x.size)
            x = self.alpha * math.sqrt(prep.sigma) * (x + noise)
        return SubGMState(x, x.copy(), math.inf, math.inf, rank=problem.rank)

    def point(self, problem: MatrixSensing, prep: _Prep, state: SubGMState) -> Array:
        """Return the iterate that the residuals say is nearest to the truth."""
        return state.best.copy()

    def advance(self, problem: MatrixSensing, prep: _Prep, state: SubGMState, n: int) -> bool:
        """Make up to n steps."""
        residual, out = np.empty(problem.y.size), np.empty(0)
        if prep.rows is not None:
            out = np.empty(prep.rows.shape[1])
        for _ in range(n):
            if state.since >= PATIENCE:
                return True
            self._step(problem, prep, state, residual, out)
            state.nit += 1
            state.work += problem.unit
        return state.since >= PATIENCE

    # ---- one step ----------------------------------------------------------------------------
    def _distance(self, moduli: Array) -> float:
        place = min(moduli.size - 1, int(self.quantile * moduli.size))
        z = NormalDist().inv_cdf(0.5 * (1.0 + self.quantile))
        return float(np.partition(moduli, place)[place]) / z

    def _step(
        self, problem: MatrixSensing, prep: _Prep, state: SubGMState, residual: Array, out: Array
    ) -> None:
        wide = self._parts(problem, state.x)
        parts = [part[:, : state.rank] for part in wide]
        U, V = parts[0], parts[-1]
        X = U @ V.T
        Q = self._signed(problem, prep, X, residual, out)
        sigma = self._distance(np.abs(residual)) / prep.unit
        top = float(np.linalg.norm(U, 2)) * float(np.linalg.norm(V, 2))
        self._watch(problem, prep, state, sigma, top)
        if state.nit % LOOK == LOOK - 1:
            self._look(problem, state)
            parts = [part[:, : state.rank] for part in self._parts(problem, state.x)]
            U, V = parts[0], parts[-1]
        if self.schedule == "geometric":
            norm = float(np.linalg.norm(Q, 2)) or 1.0
            eta = 0.5 * self.step * self.ratio**state.nit / norm
        else:
            eta = self.step * sigma / MEAN_MODULUS
            if not state.scaled:
                eta /= max(top, 0.5 * prep.sigma)
        moves = (Q @ V, Q.T @ U)
        if state.scaled:
            moves = (_right_solve(moves[0], V), _right_solve(moves[1], U))
        if problem.symmetric:
            U -= 2.0 * eta * moves[0]
        else:
            U -= 2.0 * eta * moves[0]
            V -= 2.0 * eta * moves[1]

    def _signed(
        self, problem: MatrixSensing, prep: _Prep, X: Array, residual: Array, out: Array
    ) -> Array:
        """Fill in the residuals; the signed mean of the measuring matrices over their unit."""
        if prep.rows is None:
            np.subtract(problem.measure(X), prep.y, out=residual)
            return problem.adjoint(np.sign(residual)) / (residual.size * prep.unit)
        flat = X.ravel() if prep.upper is None else X[prep.upper]
        signed_pass(prep.rows, flat, prep.y, residual, out)
        if prep.upper is None:
            return out.reshape(problem.shape) / prep.unit
        Q = np.zeros(problem.shape)
        Q[prep.upper] = out / (2.0 * prep.unit)
        return Q + Q.T

    def _parts(self, problem: MatrixSensing, x: Array) -> tuple[Array, ...]:
        if problem.symmetric:
            return (x.reshape(problem.shape[0], problem.rank),)
        return unpack(x, problem.shape, problem.rank)

    def _watch(
        self, problem: MatrixSensing, prep: _Prep, state: SubGMState, sigma: float, top: float
    ) -> None:
        """Keep the best iterate; count the iterations without progress once X has grown."""
        if sigma < state.sigma or not math.isfinite(state.sigma):
            state.sigma = sigma
            state.best = state.x.copy()
        grown = top > 0.1 * prep.sigma
        if sigma <= PROGRESS * state.mark or not grown:
            state.mark, state.since = min(sigma, state.mark), 0
        else:
            state.since += 1
        if state.since >= PATIENCE // 2 and state.saved is not None and sigma > 1e-9 * prep.sigma:
            state.x, state.saved, state.locked = state.saved, None, True  # a wrong cut
            state.rank, state.scaled, state.since = problem.rank, False, 0
            state.mark = math.inf

    def _look(self, problem: MatrixSensing, state: SubGMState) -> None:
        """Cut the rank where the same clear gap is seen twice and the distance falls meanwhile."""
        if state.scaled:
            return
        parts = self._parts(problem, state.x)
        found = spectrum(parts[0], parts[-1])
        if found is None or not found.values[0] > 0:
            return
        s = np.append(found.values, 0.0)
        ratio = s[:-1] / np.maximum(s[1:], SMALLEST * s[0])
        place = int(ratio.argmax()) + 1
        if s[place] > GROWTH * state.tail:
            state.since = 0  # a component is on its way
        falling = state.sigma <= FALL * state.sigma_seen
        state.tail, state.sigma_seen = float(s[place]), state.sigma
        if ratio[place - 1] < CLEAR_GAP or state.locked or self.finish == "none":
            state.seen = 0
        elif state.seen == place and falling:
            state.saved, state.scaled, state.rank = state.x.copy(), True, place
            root = np.sqrt(found.values)
            root[place:] = 0.0
            state.x = (
                np.ravel(found.left * root)
                if problem.symmetric
                else pack(found.left * root, found.right * root)
            )
        else:
            state.seen = place


def _right_solve(move: Array, factor: Array) -> Array:
    """``move (F'F)^-1``, with a shift that only rounding needs."""
    gram = factor.T @ factor
    gram[np.diag_indices(len(gram))] += 1e-14 * np.trace(gram)
    return np.asarray(np.linalg.solve(gram, move.T).T, dtype=np.float64)
