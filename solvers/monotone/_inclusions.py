"""What first-order methods for monotone inclusions share: state, safeguards, two drivers.

A method writes one loop. As a kernel it runs with compiled functions; with Python functions the
same source runs uncompiled, its vector work being done by the kernels of this file.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt

from fejer.evidence import Array
from fejer.jit import Kernel, kernel
from fejer.method import Start, State
from fejer.problems.monotone._operators import InclusionForm

from ._components import written

__all__ = ["InclusionState", "Plan", "Steps", "natural", "radius"]

GROWTH = 1e3  # of the residual over that at the anchor, at which the step is halved
MOST_GUARDS = 8
NOT_MONOTONE = -1e-8  # cosine of <F(u) - F(v), u - v> that rounding does not explain
SHORTEN = 2.0 / 3.0  # of a step that a Lipschitz test refuses

# What `decide` says of a point.
GO_ON, SOLVED, RESTORED = 0, 1, 2
# Places in `numbers`, `counters` and `options`; a method's own follow.
STEP, SMALLEST, AT_ANCHOR, FIRST, SECOND = range(5)
INNER, RESTARTS, GUARDS, CALLS, SEEN = range(5)
RESTART, ADAPTIVE, SHARE, RULE = range(4)


# ---- kernels -----------------------------------------------------------------------------
@kernel
def length(x):
    """Euclidean norm."""
    total = 0.0
    for i in range(x.size):
        total += x[i] * x[i]
    return math.sqrt(total)


@kernel
def apart(x, y):
    """Euclidean distance."""
    total = 0.0
    for i in range(x.size):
        total += (x[i] - y[i]) ** 2
    return math.sqrt(total)


@kernel(shared=True)
def ahead(x, value, step, out):
    """``out = x - step value``; out may be x."""
    for i in range(x.size):
        out[i] = x[i] - step * value[i]


@kernel(shared=True)
def anchored(x, anchor, share, value, step, out):
    """``out = x + share (anchor - x) - step value``; out may be x."""
    for i in range(x.size):
        out[i] = x[i] + share * (anchor[i] - x[i]) - step * value[i]


@kernel
def too_long(x, at_x, y, at_y, step, share):
    """Whether ``step ||F(x) - F(y)|| > share ||x - y||``, beyond rounding."""
    return step * apart(at_x, at_y) > (1.0 + 1e-8) * share * apart(x, y)


@kernel
def decide(x, value, anchor, best, exact, pair, numbers, counters, options, size):
    """Keep the best point, watch for lack of monotonicity, mend a divergence, set a new anchor."""
    if size == 0.0:
        return SOLVED
    if not size <= GROWTH * numbers[AT_ANCHOR]:
        if counters[GUARDS] >= MOST_GUARDS:
            return SOLVED
        counters[GUARDS] += 1
        counters[INNER] = 0
        numbers[STEP] *= 0.5
        numbers[AT_ANCHOR] = np.inf
        for i in range(x.size):
            x[i] = best[i]
            value[i] = exact[i]
        return RESTORED
    if counters[SEEN] == 0 and numbers[SMALLEST] < np.inf:
        product = moved = distance = 0.0
        for i in range(x.size):
            f = value[i] - exact[i]
            d = x[i] - best[i]
            product += f * d
            moved += f * f
            distance += d * d
        if product < NOT_MONOTONE * math.sqrt(moved * distance):
            counters[SEEN] = 1
            for i in range(x.size):
                pair[0, i] = x[i]
                pair[1, i] = best[i]
    if size < numbers[SMALLEST]:
        numbers[SMALLEST] = size
        for i in range(x.size):
            best[i] = x[i]
            exact[i] = value[i]
    if counters[INNER] > 0 and size <= options[RESTART] * numbers[AT_ANCHOR]:
        counters[INNER] = 0
        counters[RESTARTS] += 1
    if counters[INNER] == 0:
        numbers[AT_ANCHOR] = size
        for i in range(x.size):
            anchor[i] = x[i]
    return GO_ON


# ---- what the methods are made of----------------------------------------------------------
class Plan(NamedTuple):
    """What does not change during a run.

    Attributes
    ----------
    inclusion : MonotoneInclusion
        The operators.
    step : float
        The first step.
    options : array
        What the loop takes as ``options``.
    """

    inclusion: Any
    step: float
    options: Array


@dataclass
class InclusionState(State):
    """The iterate, F there, the best point so far, and the method's own vectors and numbers."""

    x: Array
    value: Array  # F(x)
    anchor: Array
    best: Array
    exact: Array  # F(best)
    vectors: Array
    pair: Array  # two points between which F is not monotone, once counters[SEEN] is 1
    scalars: Array
    counters: npt.NDArray[np.int64]
    step: float = 0.0
    restarts: int = 0


class Steps:
    """Mixin of the methods: one loop, run compiled or not.

    Attributes
    ----------
    loop : Kernel
        ``loop(F, J, x, value, anchor, best, exact, vectors, pair, numbers, counters, options,
        count)`` makes ``count`` iterations and returns how many it made and the last verdict.
    n_vectors : int
        Vectors of length n that the method keeps for itself.
    share : float
        The default step times the Lipschitz constant.
    """

    loop: ClassVar[Kernel]
    n_vectors: ClassVar[int] = 0
    share: ClassVar[float] = 1.0

    def default_share(self, inclusion: Any) -> float:
        """Return the default step times the Lipschitz constant."""
        return self.share

    def first_step(self, problem: Any) -> float:
        """Return the step of the first iteration."""
        given = getattr(self, "step", None)
        if given is not None:
            return float(given)
        inclusion = problem.inclusion()
        return float(self.default_share(inclusion) * inclusion.reference.step)

    def rule(self, inclusion: Any) -> tuple[float, ...]:
        """Return the method's own options, as numbers."""
        return ()

    def prepare(self, problem: Any, tol: float, rng: np.random.Generator) -> Any:
        """Take the operators, and choose the first step."""
        inclusion = problem.inclusion()
        adaptive = getattr(self, "step", None) is None and inclusion.constant is None
        restart = getattr(self, "restart", None) or 0.0
        share = self.default_share(inclusion)
        options = np.array([restart, float(adaptive), share, *self.rule(inclusion)])
        return Plan(inclusion, self.first_step(problem), options)

    def begin(self, problem: Any, prep: Plan, start: Start, rng: np.random.Generator) -> Any:
        """Evaluate F at the start."""
        inclusion, x = prep.inclusion, start.x
        inclusion.check_start(x)
        value = np.array(inclusion.apply(x))
        numbers, counters = np.zeros(8), np.zeros(8, dtype=np.int64)
        numbers[STEP] = prep.step
        numbers[SMALLEST] = numbers[AT_ANCHOR] = math.inf
        vectors = np.zeros((self.n_vectors, x.size))
        return InclusionState(
            x,
            value,
            x.copy(),
            x.copy(),
            value.copy(),
            vectors,
            np.zeros((2, x.size)),
            numbers,
            counters,
            prep.step,
            work=inclusion.unit,
            nfev=1,
        )

    def advance(self, problem: Any, prep: Plan, state: Any, n: int) -> bool:
        """Make n iterations; fewer where a zero is met exactly or no step is small enough."""
        inclusion, calls = prep.inclusion, int(state.counters[CALLS])
        F = inclusion.first_class("F")
        given = inclusion.resolvent is not None
        J = inclusion.first_class("resolvent") if given else None
        loop: Callable[..., Any] = type(self).loop
        if F is None or (given and J is None):
            loop = type(self).loop.py_func
            F, J = written(inclusion.apply), written(inclusion.resolve) if given else None
        made, code = loop(
            F,
            J,
            state.x,
            state.value,
            state.anchor,
            state.best,
            state.exact,
            state.vectors,
            state.pair,
            state.scalars,
            state.counters,
            prep.options,
            n,
        )
        calls = int(state.counters[CALLS]) - calls
        state.nit += int(made)
        state.work += calls * inclusion.unit
        state.nfev += calls
        state.step = float(state.scalars[STEP])
        state.restarts = int(state.counters[RESTARTS])
        return bool(code == SOLVED)

    def witness(self, problem: Any, prep: Any, state: Any) -> dict[str, Array]:
        """Hand over two points between which F is not monotone, if any were seen."""
        return {"pair": state.pair} if state.counters[SEEN] else {}


# ---- what the theorems measure -----------------------------------------------------------
def natural(problem: InclusionForm, x: Array, xstar: Array) -> float:
    """Return ``||x - J(x - eta F(x))|| / eta``, the rounding floor left out."""
    inclusion = problem.inclusion()
    value, step = inclusion.apply(x), inclusion.reference.step
    if inclusion.resolvent is None:
        return float(np.linalg.norm(value))
    return float(np.linalg.norm(x - inclusion.resolve(x - step * value, step))) / step


def radius(x0: Array, xstar: Array) -> float:
    """Return the distance of the start to a solution."""
    return float(np.linalg.norm(np.asarray(x0) - xstar))


def rotation(size: float = 1.0, bound: float = 1.0) -> Any:
    """Return ``F(x, y) = size (y, -x)`` seen from (1, 0), declared to be ``bound``-Lipschitz."""
    from fejer.problems.monotone.monotone_inclusion import MonotoneInclusion

    return MonotoneInclusion(_Rotation(size), 2, lipschitz=bound)


@dataclass(frozen=True, eq=False)
class _Rotation:
    """The field whose flow turns about (1, 0)."""

    size: float

    def __call__(self, z: Array) -> Array:
        return self.size * np.array([z[1], 1.0 - z[0]])

    def fingerprint(self) -> str:
        """Return the size as a text."""
        return repr(self.size)
