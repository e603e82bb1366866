"""Small problems and methods that tests of the driver are played through with."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from fejer.evidence import EMPTY, Certificate
from fejer.method import Method, Rate, State, option
from fejer.problem import Problem, as_vector, witness_array


@dataclass(frozen=True, eq=False)
class Bowl(Problem):
    """min 1/2 |x - target|^2, witness ``dual`` = x - target."""

    target: Any
    proves: str = "solved"
    views = ("distance", "double")

    def __post_init__(self):
        self.set(target=as_vector(self.target, "target"))

    def initial_point(self):
        return np.zeros(self.target.size)

    def certificate(self, x, witness=EMPTY):
        value = float(np.linalg.norm(x - self.target))
        dual = witness_array(witness, "dual", x.size)
        kept = EMPTY if dual is None else {"dual": dual}
        details = {"distance": value, "floor": 1e-16}
        fun = 0.5 * value**2
        return Certificate(
            "distance", value, fun, proves=self.proves, details=details, witness=kept
        )

    def distance(self, x, witness):
        return float(np.linalg.norm(x - self.target))

    def double(self, x, witness):
        return 2 * x

    def auto(self):
        return ("toy-halving",)


@dataclass
class ToyState(State):
    x: Any
    step: float = 0.5
    history: Any = None
    inner: Any = None


@dataclass(frozen=True, eq=False)
class Halving(Method):
    """x <- x + rate (target - x); options make it misbehave."""

    name, solves = "toy-halving", (Bowl,)
    factor: float = option(0.5, above=0, most=1, doc="share of the distance that a step covers")
    ask_every: int = option(0, least=0, doc="ask to be judged every so many iterations")
    stop_at: int = option(0, least=0, doc="finish after so many iterations")
    nan_at: int = option(0, least=0, doc="produce nan at this iteration")
    raise_at: int = option(0, least=0, doc="raise at this iteration")

    @property
    def rate(self):
        return Rate("(1 - factor)^k", "linear", factor=lambda problem: 1 - self.factor)

    def begin(self, problem, prep, start, rng):
        return ToyState(start.x, inner=State())

    def advance(self, problem, prep, state, n):
        for _ in range(n):
            if self.stop_at and state.nit >= self.stop_at:
                return True
            state.x += self.factor * (problem.target - state.x)
            state.nit += 1
            state.work += 1
            if self.raise_at and state.nit == self.raise_at:
                raise ZeroDivisionError("the user's function failed")
            if self.nan_at and state.nit == self.nan_at:
                state.x[0] = np.nan
            if self.ask_every and state.nit % self.ask_every == 0:
                return True
        return False

    def witness(self, problem, prep, state):
        return {"dual": state.x - problem.target}
