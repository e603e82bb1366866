"""Self-tuning: the lower solution as a learnt function of the hyperparameters around them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from fejer.evidence import Array
from fejer.jit import kernel
from fejer.method import Method, Start, State, option, register
from fejer.numerics.random import normal, seed_state
from fejer.problem import witness_array
from fejer.problems.bilevel._lower_level import LowerLevel
from fejer.problems.bilevel._sampling import Part
from fejer.problems.bilevel.ridge_bilevel import RidgeBilevel
from fejer.solvers.bilevel._lower import unfit
from fejer.solvers.bilevel._samples import part

__all__ = ["SelfTuning"]

FIRST, SECOND, SMALL = 0.9, 0.999, 1e-8  # Adam
FLAT = 1e-12  # singular values, relative, whose gate is 0


class _Gates(NamedTuple):
    V: Array  # X_train / sqrt(n_t) = U S V'
    squares: Array  # of S


@dataclass
class SelfTuningState(State):
    """The hyperparameters, their spread, and the response that is learnt.

    Attributes
    ----------
    x, spread : array, shape (n,)
        Hyperparameters, and the logarithms of the standard deviations of their perturbations.
    base : array, shape (m,)
        The response at x; with exact gates its coefficients.
    slopes : array, shape (m, n)
        Its derivative in x; with exact gates not used.
    push, tilt : array
        Averages of the steps of `base` and `slopes`.
    first, second : array, shape (2, n)
        Moments of Adam for x and for the spread.
    words : array of uint64, shape (4,)
        State of the generator.
    finished : bool
        Something is not finite.
    """

    x: Array
    spread: Array
    base: Array
    slopes: Array
    push: Array
    tilt: Array
    first: Array
    second: Array
    words: Any
    finished: bool = False


@kernel
def draw_normals(state, out):
    """Fill an array with standard normal numbers."""
    for i in range(out.size):
        out[i] = normal(state)


@register
@dataclass(frozen=True, eq=False)
class SelfTuning(Method):
    """Training and tuning at once: lower solutions are a learnt function of the hyperparameters.

    Notes
    -----
    The response ``y(x + e) = w + U e`` approximates ``y*(x + e)`` for normal perturbations e with
    standard deviations s. Each iteration, after `warm` of them without the second part,

    * descends twice on ``E f(x + e, y(x + e))`` in (w, U): with ``g = grad_y f`` the steps are
      ``g/(1 + |u|^2)`` and ``g (u/s0)'/(1 + |u|^2)``, ``u = e/s0``, times ``lower_step/L`` or
      `absolute_step`, and averaged (in units of s0, so that a small one does not end the learning);
    * makes a step of Adam on ``E F(x + e, y(x + e)) - entropy sum log s`` in x and log s, where
      the derivative in x is ``grad_x F + U'grad_y F``; w moves along with x.

    Neither derivatives of f in x nor second derivatives are used: hyperparameters may be rates of
    dropout, noise or integers that f rounds.

    ``gate="exact"`` is the response of a ridge regression with one penalty: with
    ``X_train/sqrt(n_t) = U S V'`` it is ``V diag(sigma(log s_i^2 - x)) c``, c learnt, which
    contains ``y*(x)`` for every x. ``mirrored=True`` takes each upper step over e and -e, whose
    noise cancels to first order.

    Rate: none is known. Cost per iteration: 2 lower gradients and one upper (two if mirrored), over
    batches. Memory: m n numbers for U.
    Certificate: of the problem, which solves the lower level at x itself.
    Pitfalls: an affine response is that of a neighbourhood: its error does not vanish with time,
    and x ends where the smoothed and not the true objective is stationary. The spread is tuned
    against an entropy: the more of it, the smoother.

    References
    ----------
    .. [1] MacKay, Vicol, Lorraine, Duvenaud, Grosse (2019), Self-tuning networks: bilevel
       optimization of hyperparameters using structured best-response functions, arXiv 1903.03088.

    Examples
    --------
    >>> import fejer
    >>> problem = fejer.RidgeBilevel.random()
    >>> options = {"gate": "exact", "steps": 2000}
    >>> result = fejer.minimize(problem, method="self-tuning", options=options)
    >>> best = fejer.minimize(problem, method="hoag")
    >>> bool(abs(result.x - best.x)[0] < 0.05)
    True
    """

    gate: str = option(
        "affine", choices=("affine", "exact"), doc="form of the response; exact: ridge, one penalty"
    )
    batch: int = option(1000, least=1, doc="samples of each level")
    steps: int = option(500, least=1, doc="iterations in all")
    warm: int = option(100, least=0, doc="of them without steps in x")
    lower_step: float = option(0.5, above=0, below=2, doc="step in y, times L")
    absolute_step: float | None = option(None, above=0, doc="step in y where L is not to be used")
    momentum: float = option(0.9, least=0, below=1, doc="share of the old step in y")
    upper_step: float = option(0.01, above=0, doc="step of Adam in x and in log s")
    fall: float = option(
        1.0, least=0, most=1, doc="share of the upper step that is lost to the end"
    )
    s0: float = option(0.5, above=0, doc="first standard deviation of the perturbations")
    mirrored: bool = option(
        False, doc="take the mean over e and -e in steps in x: twice the work, less noise"
    )
    tune: bool = option(True, doc="tune the standard deviations")
    entropy: float = option(1e-3, least=0, doc="weight of sum log s, in units of F")
    inner: int = option(2, least=1, doc="lower steps per iteration")

    name, solves = "self-tuning", (LowerLevel,)
    cites = ("MacKay, Vicol, Lorraine, Duvenaud, Grosse (2019), arXiv 1903.03088",)
    reach = None

    def supports(self, problem: Any) -> str | None:
        """Exact gates are those of a ridge regression with one penalty."""
        ridge = isinstance(problem, RidgeBilevel) and problem.size == 1
        if self.gate == "exact" and not ridge:
            return "gate='exact' is for ridge regression with one penalty"
        return unfit(problem)

    def prepare(self, problem: LowerLevel, tol: float, rng: np.random.Generator) -> _Gates | None:
        """Return the singular value decomposition that exact gates need."""
        if self.gate == "affine":
            return None
        X = problem.X_train.toarray()  # type: ignore[attr-defined]
        _, values, V = np.linalg.svd(X / math.sqrt(len(X)), full_matrices=False)
        kept = values > FLAT * values[0]
        return _Gates(np.ascontiguousarray(V[kept].T), values[kept] ** 2)

    def begin(
        self, problem: LowerLevel, prep: Any, start: Start, rng: np.random.Generator
    ) -> SelfTuningState:
        """Start from the lower start, with a response that does not move."""
        x = problem.project(start.x)[0]
        y = witness_array(start.witness, "y", problem.lower_size)
        base = np.array(problem.lower_start() if y is None else y)
        if prep is not None:
            base = np.zeros(prep.squares.size)
        slopes = np.zeros((base.size, x.size))
        return SelfTuningState(
            x=x,
            spread=np.full(x.size, math.log(self.s0)),
            base=base,
            slopes=slopes,
            push=np.zeros_like(base),
            tilt=slopes.copy(),
            first=np.zeros((2, x.size)),
            second=np.zeros((2, x.size)),
            words=seed_state(rng),
        )

    def advance(self, problem: LowerLevel, prep: Any, state: SelfTuningState, n: int) -> bool:
        """Make up to n iterations."""
        with np.errstate(all="ignore"):
            for _ in range(n):
                if state.finished or state.nit >= self.steps:
                    return True
                for _ in range(self.inner):
                    self._train(problem, prep, state)
                if state.nit >= self.warm:
                    self._tune(problem, prep, state)
                state.nit += 1
        return state.nit >= self.steps

    def witness(self, problem: LowerLevel, prep: Any, state: SelfTuningState) -> dict[str, Array]:
        """Return the response at x."""
        return {"y": self.response(prep, state, state.x, np.zeros_like(state.x))}

    # ---- the response --------------------------------------------------------------------------
    def response(self, prep: Any, state: SelfTuningState, x: Array, e: Array) -> Array:
        """Return the learnt lower solution at a perturbation of x.

        Parameters
        ----------
        prep : object
            What `prepare` made.
        state : SelfTuningState
            The state.
        x : array, shape (n,)
            The perturbed point.
        e : array, shape (n,)
            Its distance from the state's x.

        Returns
        -------
        array, shape (m,)
        """
        if prep is None:
            return np.asarray(state.base + state.slopes @ e)
        return np.asarray(prep.V @ (_gate(prep, x) * state.base))

    def _noise(self, state: SelfTuningState) -> Array:
        noise = np.empty(state.x.size)
        draw_normals(state.words, noise)
        return noise

    def _perturbed(
        self, problem: LowerLevel, state: SelfTuningState, noise: Array
    ) -> tuple[Array, Array]:
        x = problem.project(state.x + np.exp(state.spread) * noise)[0]
        return x, x - state.x

    def _train(self, problem: LowerLevel, prep: Any, state: SelfTuningState) -> None:
        x, e = self._perturbed(problem, state, self._noise(state))
        y = self.response(prep, state, x, e)
        g = part(problem, state.words, self.batch).lower_gradient(x, y)
        state.work += 1
        if prep is not None:
            gate = _gate(prep, x)
            # The gradient in c over its curvature sigma^2 (s^2 + p) = sigma s^2.
            step = self.lower_step * (prep.V.T @ g) / prep.squares
            state.push = self.momentum * state.push + (1 - self.momentum) * step
            state.base = state.base - state.push
            state.finished = not np.isfinite(gate).all()
            return
        length = self.absolute_step or self.lower_step / problem.constants(x).lipschitz
        u = e / self.s0
        length /= 1 + float(u @ u)
        state.push = self.momentum * state.push + length * g
        state.tilt = self.momentum * state.tilt + length * np.outer(g, u / self.s0)
        state.base = state.base - (1 - self.momentum) * state.push
        state.slopes = state.slopes - (1 - self.momentum) * state.tilt

    def _tune(self, problem: LowerLevel, prep: Any, state: SelfTuningState) -> None:
        noise, data = self._noise(state), part(problem, state.words, self.batch)
        unit, spread = problem.null_value() or 1.0, np.exp(state.spread)
        steps = np.zeros((2, state.x.size))
        for z in (noise, -noise) if self.mirrored else (noise,):
            slope = self._slope(problem, prep, state, data, z) / unit
            steps += np.array([slope, slope * z * spread])
        steps = steps / (2 if self.mirrored else 1) - np.array([[0.0], [self.entropy]])
        k = state.nit - self.warm + 1
        state.first = FIRST * state.first + (1 - FIRST) * steps
        state.second = SECOND * state.second + (1 - SECOND) * steps**2
        sizes = np.sqrt(state.second / (1 - SECOND**k)) + SMALL
        length = self.upper_step * (1 - self.fall * state.nit / self.steps)
        move = length * state.first / (1 - FIRST**k) / sizes
        moved = problem.project(state.x - move[0])[0]
        if not np.isfinite(moved).all():
            state.finished = True
            return
        if prep is None:
            state.base = state.base + state.slopes @ (moved - state.x)
        state.x = moved
        if self.tune:
            state.spread = np.clip(state.spread - move[1], math.log(1e-3), math.log(10.0))

    def _slope(
        self, problem: LowerLevel, prep: Any, state: SelfTuningState, data: Part, noise: Array
    ) -> Array:
        """Return the derivative in x of ``F(x + e, y(x + e))``."""
        x, e = self._perturbed(problem, state, noise)
        upper = data.upper_level(x, self.response(prep, state, x, e))
        state.work += 1
        if prep is None:
            slope = state.slopes.T @ upper.grad_y
        else:
            gate = _gate(prep, x)
            slope = np.array([-float((prep.V.T @ upper.grad_y) @ (gate * (1 - gate) * state.base))])
        return slope if upper.grad_x is None else slope + upper.grad_x


def _gate(gates: _Gates, x: Array) -> Array:
    """Share of each singular direction that a penalty leaves: ``s^2/(s^2 + p)``."""
    return gates.squares / (gates.squares + math.exp(x[0]))
