"""Majorisation in the target space: one gradient of the loss, then work on the model alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from fejer.evidence import Array
from fejer.method import Method, Rate, Start, State, option, register
from fejer.problems.constrained._logistic import curved_gram
from fejer.problems.constrained.target_model import TargetModel

from ._gauss_newton import fit_targets

EXACT = 50  # Gauss-Newton steps of a surrogate that is to be solved exactly
RIDGE = 1e-12
ROUNDING = 2.0**-44


class _Part:
    """Some targets of a callable model."""

    def __init__(self, model: Any, rows: Array) -> None:
        self.model, self.rows = model, rows

    def __call__(self, theta: Array) -> Array:
        return np.asarray(self.model(theta)[self.rows])

    def jvp(self, theta: Array, v: Array) -> Array:
        return np.asarray(self.model.jvp(theta, v)[self.rows])

    def vjp(self, theta: Array, u: Array) -> Array:
        spread = np.zeros(self.model.shape[0])
        spread[self.rows] = u
        return np.asarray(self.model.vjp(theta, spread))


class _Solver(NamedTuple):
    """Least squares in the model, by an orthogonal factorisation of ``A'A``."""

    inverse: Array | None
    gram: Array


@dataclass
class SurrogateState(State):
    x: Array
    seed: int = 0
    gradients: int = 0  # of single losses
    inner: int = 0
    value: float = np.inf
    finished: bool = False


@register
@dataclass(frozen=True, eq=False)
class TargetSurrogate(Method):
    """Descent in the targets, followed by a fit of the model to them.

    With z = A theta and g the gradient of the losses at z, theta minimises the surrogate
    ``<g, A theta - z> + 1/(2 eta) |A theta - z|^2``, a majorant of the loss where
    ``eta <= 1/L``, L the smoothness of a loss in its target.

    Attributes
    ----------
    eta : float
        Step in the target space, in units of 1/L.
    inner : int
        Steps on the surrogate, gradient steps for a matrix and Gauss-Newton steps for a callable
        model; 0 solves it exactly, a callable model's up to 50 steps.
    batch : int
        Samples drawn in each iteration; 0 takes all.
    schedule : str
        How eta falls for batches: "constant", or "root" (``eta / sqrt(t)``).

    Notes
    -----
    Rate: with all samples, eta <= 1 and the exact inner solution, f never rises and falls at
    ``L |z_0 - z*|^2 / (2 k n)``; the units and correlations of the columns of A do not matter.
    Batches: ``O(1/sqrt k)`` with the schedule "root".

    Iteration: one gradient of the loss in the targets, which is what an expensive oracle
    charges for (``gradients`` in the state counts single losses); then ``inner`` steps, or two
    products with A and d^2 flops. Cost of the exact solution: ``n d^2`` flops once, for batches
    ``b d^2`` an iteration. Memory: 2 d^2 numbers.

    A callable model is fitted to ``z - eta g`` by Gauss-Newton steps with a radius, whose systems
    take up to 50 products with the Jacobian each; f still never rises, and ends at a stationary
    point. Batches then evaluate the whole model and compare some of its targets.

    Pitfalls: on well-conditioned data plain stochastic gradients are as good per sample; with a
    batch of fewer samples than d the surrogate has many solutions, and the nearest is taken.

    References
    ----------
    .. [1] Lavington, Vaswani, Babanezhad, Schmidt, Le Roux (2023), Target-based surrogates for
       stochastic optimization, arXiv:2302.02607.

    Examples
    --------
    >>> import fejer
    >>> fejer.minimize(fejer.TargetModel.random(), method="target-surrogate").success
    True
    """

    eta: float = option(1.0, above=0, most=1e6, doc="step in the targets, in units of 1/L")
    inner: int = option(0, least=0, most=10**6, doc="steps on the surrogate; 0: exact")
    batch: int = option(0, least=0, doc="samples of an iteration; 0: all")
    schedule: str = option("constant", choices=("constant", "root"), doc="how eta falls")

    name, solves = "target-surrogate", (TargetModel,)
    cites = ("arXiv:2302.02607",)

    @property
    def rate(self) -> Rate:
        """Sublinear decrease that no unit of the model enters."""
        if self.batch or self.inner or self.eta > 1:
            return Rate(
                "O(1/sqrt k) for batches with the schedule 'root' (arXiv:2302.02607)",
                "sublinear",
                exponent=0.5,
                assumptions="convex losses, exact inner solutions",
            )

        def bound(problem: TargetModel, x0: Array, xstar: Array, k: int) -> float:
            if k == 0:
                return np.inf
            apart = problem.targets(x0) - problem.targets(xstar)
            return problem.smoothness * float(apart @ apart) / (2 * self.eta * k * len(problem.y))

        return Rate(
            "f(theta_k) - f* <= L |A theta_0 - A theta*|^2 / (2 eta k n) (projected gradient "
            "descent in the targets)",
            "sublinear",
            exponent=1.0,
            assumptions="convex losses, all samples, exact inner solutions, eta <= 1",
            measure=lambda problem, x, xstar: problem.objective(x) - problem.objective(xstar),
            bound=bound,
        )

    def supports(self, problem: TargetModel) -> str | None:
        """Refuse batches that are larger than the data."""
        n = problem.y.size
        return f"batch of {self.batch} samples, and only {n} there" if self.batch > n else None

    def prepare(self, problem: TargetModel, tol: float, rng: np.random.Generator) -> _Solver:
        """Factorise ``A'A``."""
        if not problem.is_linear:
            return _Solver(None, np.zeros((0, 0)))
        gram = curved_gram(problem.A, np.ones(problem.A.shape[0]))
        inverse = _inverse(gram) if not (self.batch or self.inner) else None
        return _Solver(inverse, gram)

    def begin(
        self, problem: TargetModel, prep: _Solver, start: Start, rng: np.random.Generator
    ) -> SurrogateState:
        """Start at the given parameters."""
        return SurrogateState(start.x, seed=int(rng.integers(2**31)))

    def advance(self, problem: TargetModel, prep: _Solver, state: SurrogateState, n: int) -> bool:
        """Take steps in the target space."""
        for _ in range(n):
            if state.finished:
                return True
            state.nit += 1
            eta = self.eta / problem.smoothness
            if self.schedule == "root":
                eta /= np.sqrt(state.nit)
            if not problem.is_linear:
                self._curved(problem, state, eta)
            elif self.batch:
                self._sampled(problem, state, eta)
            else:
                self._full(problem, prep, state, eta)
        return state.finished

    def _curved(self, problem: TargetModel, state: SurrogateState, eta: float) -> None:
        """Fit a callable model to targets that descended."""
        model, n = problem.model, problem.y.size
        z = model(state.x)
        rows = self._rows(state, n) if self.batch else np.arange(n)
        value, slopes = problem.loss_slopes(z[rows], rows)
        state.gradients += rows.size
        state.nfev = state.work = state.gradients // n
        goal = z.copy()
        goal[rows] -= eta * slopes
        part = model if not self.batch else _Part(model, rows)
        moved, made = fit_targets(part, state.x, z[rows], goal[rows], self.inner or EXACT)
        state.inner += made
        state.finished = bool(not self.batch and np.array_equal(moved, state.x))
        state.value, state.x = float(value), moved

    def _rows(self, state: SurrogateState, n: int) -> Array:
        rng = np.random.default_rng([state.seed, state.nit])
        return np.sort(rng.choice(n, self.batch, replace=False, shuffle=False))

    def _full(self, problem: TargetModel, prep: _Solver, state: SurrogateState, eta: float) -> None:
        value, slopes = problem.loss_slopes(problem.A.matvec(state.x))
        state.work += 1
        state.nfev += 1
        state.gradients += slopes.size
        back = problem.A.rmatvec(slopes)
        step = (
            self._inner(prep.gram, eta * back, state) if self.inner else prep.inverse @ back * eta
        )
        moved = state.x - step
        still = value >= state.value - ROUNDING * abs(value) and self.eta <= 1
        state.finished = bool(still and np.allclose(moved, state.x, rtol=1e-15, atol=0.0))
        state.value = float(value)
        if np.isfinite(moved).all():
            state.x = moved

    def _sampled(self, problem: TargetModel, state: SurrogateState, eta: float) -> None:
        n = problem.A.shape[0]
        rows = self._rows(state, n)
        A = problem.A.tosparse().tocsr()[rows].toarray() if problem.A.is_sparse else None
        A = problem.A.dense[rows] if A is None else A
        _, slopes = problem.loss_slopes(A @ state.x, rows)
        state.gradients += rows.size
        passes = state.gradients // n
        state.nfev, state.work = passes, passes
        if self.inner:
            step = self._inner(A.T @ A, eta * (A.T @ slopes), state)
        else:
            step = np.linalg.lstsq(A, eta * slopes, rcond=None)[0]
        if np.isfinite(step).all():
            state.x = state.x - step

    def _inner(self, gram: Array, right: Array, state: SurrogateState) -> Array:
        """Return the step after so many gradient steps of exact length on the surrogate."""
        step = np.zeros_like(right)
        for _ in range(self.inner):
            slope = gram @ step - right
            bent = float(slope @ (gram @ slope))
            if not bent > 0:
                break
            step = step - float(slope @ slope) / bent * slope
            state.inner += 1
        return step


def _inverse(gram: Array) -> Array:
    """Return the pseudoinverse, columns scaled to one unit before."""
    size = np.sqrt(np.maximum(np.diagonal(gram), 0.0))
    size[size == 0] = 1.0
    return np.asarray(np.linalg.pinv(gram / np.outer(size, size), rcond=RIDGE, hermitian=True)) / (
        np.outer(size, size)
    )
