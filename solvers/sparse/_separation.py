"""What the methods that separate two classes share: ``w = step Z' total``, one update at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fejer.evidence import Array
from fejer.jit import kernel
from fejer.method import Rate, State
from fejer.numerics.elementary import exp

if TYPE_CHECKING:
    from fejer.problem import Problem

__all__ = [
    "SeparationState",
    "bounded",
    "first_state",
    "iterate",
    "misclassified",
    "sigmoids",
    "weights",
]


@dataclass
class SeparationState(State):
    """The vector, its margins, and how often each point has pulled at it."""

    w: Array
    margins: Array
    total: Array
    place: int = 0


def first_state(problem: Any, x: Array) -> SeparationState:
    """Start at x; a start that is not 0 is not made of points."""
    return SeparationState(x, problem.margins(x), np.zeros(problem.labels.size))


def iterate(
    problem: Any, state: SeparationState, n: int, step: float, pull: Callable[[Array], Array]
) -> bool:
    """Make up to n updates ``w += step Z' pull(margins)``; True once all margins are positive."""
    for _ in range(n):
        if state.nit and state.margins.min() > 0.0:
            return True
        q = pull(state.margins)
        state.total += q
        state.w += step * problem.A.rmatvec(problem.labels * q)
        state.margins = problem.margins(state.w)
        state.nit += 1
        state.work += 2 * state.total.size
    return bool(state.nit and state.margins.min() > 0.0)


def weights(state: SeparationState) -> Mapping[str, Array]:
    """The witness: the weights of the points in w."""
    return {"weights": state.total / (state.total.sum() or 1.0)}


def sigmoids(margins: Array) -> Array:
    """``1 / (1 + exp(m))`` of each margin."""
    out = np.empty_like(margins)
    fill_sigmoids(margins, out)
    return out


@kernel
def fill_sigmoids(margins, out):
    """``out_i = 1 / (1 + exp(m_i))``."""
    for i in range(margins.size):
        out[i] = 1.0 / (1.0 + exp(margins[i]))


def misclassified(problem: Any, x: Array, xstar: Array) -> float:
    """Share of points that are not on their side of x."""
    return float(np.mean(problem.margins(x) <= 0.0))


def bounded(statement: str, limit: Callable[[float, float, int], float]) -> Rate:
    """Return a theorem "separated after at most this many updates".

    Parameters
    ----------
    statement : str
        The theorem.
    limit : callable
        ``limit(R, mu, n)``: largest norm of a point, margin of the solution, number of points.
    """

    def bound(problem: Any, x0: Array, xstar: Array, k: int) -> float:
        size = float(np.linalg.norm(xstar))
        margin = float(problem.margins(xstar).min()) / size if size > 0 else 0.0
        if margin <= 0.0 or np.any(x0):
            return math.inf
        R = math.sqrt(float(problem.A.row_sq_norms().max()))
        return 1.0 if k <= limit(R, margin, problem.labels.size) else 0.0

    return Rate(
        statement,
        "sublinear",
        0.5,
        assumptions="separable data, start at 0; mu may be the margin of any separating vector",
        measure=misclassified,
        bound=bound,
        worst_case=_outlier,
    )


def _outlier(k: int) -> Problem:
    """k equal points and one that is almost opposite to them."""
    from fejer.problems.sparse.separation import Separation

    n = max(2, k)
    A = np.tile([1.0, 0.2], (n, 1))
    A[-1] = (-0.5, 1.0)
    return Separation(A, np.ones(n))
