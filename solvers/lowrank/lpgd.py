"""Projected gradient descent on the lifted problem of supervised dictionaries."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from fejer.evidence import Array
from fejer.method import Method, Rate, Start, State, option, register
from fejer.numerics.anderson import AndersonMemory
from fejer.problems.lowrank._dictionary import Lifted, lifted
from fejer.problems.lowrank.supervised_dictionary import SupervisedDictionary

from ._start import STILL, stillness


class _Prep(NamedTuple):
    """Square roots of the curvatures of A (and Gamma) and of B."""

    a: float
    b: float


@dataclass
class LiftedState(State):
    """Packed factors, and the memory over the scaled lifted point."""

    x: Array
    memory: AndersonMemory | None
    still: int = 0


@register
@dataclass(frozen=True, eq=False)
class LiftedProjectedGradient(Method):
    """Gradient step on (A, B, Gamma), then the best approximation of rank r of [A, B].

    Parameters
    ----------
    step : {"scaled", "plain"}, default "scaled"
        ``"scaled"``: A, Gamma and B in units of the roots of their own curvatures; ``"plain"``: one
        constant for all, as published.
    memory : int, default 8
        Of Anderson acceleration; 0: none, as published.

    Attributes
    ----------
    name : str
        ``"lpgd"``.

    Notes
    -----
    Rate: with mu and L the least and largest curvature of the lifted objective, if ``L/mu < 3``
    the distance to the global minimiser contracts by ``2 (1 - tau mu)`` a step of length tau in
    ``(1/(2 mu), 3/(2 L))``. Here tau is 1/L, so the factor is ``2 (1 - mu/L)`` where that is below
    1. Large weights, ``xi = nu >= ||[X; aux]||^2/8``, satisfy it; convergence to a closed gap is
    seen far beyond.

    Cost of an iteration: a singular value decomposition through the smaller Gram matrix,
    ``min(p, n)^2 max(p, n)``. Memory: ``2 memory p n`` numbers.

    References
    ----------
    .. [1] Lee, Lyu, Yao (2022), Supervised dictionary learning with auxiliary covariates,
       arXiv:2206.06774.

    Examples
    --------
    >>> import fejer
    >>> fejer.minimize(fejer.SupervisedDictionary.random(), method="lpgd").success
    True
    """

    step: str = option("scaled", choices=("scaled", "plain"), doc="scaling of the variables")
    memory: int = option(8, least=0, doc="memory of Anderson acceleration")

    name, solves = "lpgd", (SupervisedDictionary,)
    cites = ("arXiv:2206.06774",)

    @property
    def rate(self) -> Rate:
        """Linear to the global minimiser for well-conditioned lifted problems."""
        return Rate(
            "dist to the global minimiser <= (2 (1 - mu/L))^k times the first, if L/mu < 2",
            "linear",
            assumptions="curvatures mu <= L of the lifted objective with L/mu < 2, no memory",
        )

    def supports(self, problem: SupervisedDictionary) -> str | None:
        """Dictionaries of any sign: the lifted set is another one where they are nonnegative."""
        return "nonnegative dictionaries" if problem.nonnegative else None

    def prepare(self, problem: SupervisedDictionary, tol: float, rng: np.random.Generator) -> _Prep:
        """Bound the curvatures."""
        share = 0.25 if problem.n_classes == 2 else 0.5
        if problem.model == "filter":
            top = float(np.linalg.norm(np.vstack([problem.X, problem._aux]), 2)) ** 2
        else:
            aux = problem._aux
            top = 1.0 + (float(np.linalg.norm(aux, 2)) ** 2 if aux.size else 0.0)
        a, b = share * top + 2 * problem.nu, 2 * problem.xi
        if self.step == "plain":
            a = b = max(a, b)
        return _Prep(math.sqrt(a), math.sqrt(b))

    def begin(
        self,
        problem: SupervisedDictionary,
        prep: _Prep,
        start: Start,
        rng: np.random.Generator,
    ) -> LiftedState:
        """Start from the given point or the leading singular vectors."""
        p, n = problem.X.shape
        k = problem.n_classes - 1
        size = (p if problem.model == "filter" else n) * k + p * n + len(problem._aux) * k
        memory = AndersonMemory.empty(size, self.memory) if self.memory else None
        return LiftedState(start.x, memory)

    def advance(
        self, problem: SupervisedDictionary, prep: _Prep, state: LiftedState, n: int
    ) -> bool:
        """Make up to n steps."""
        for _ in range(n):
            if state.still >= STILL:
                return True
            last = state.x
            self._iterate(problem, prep, state)
            state.still = stillness(state.x, last, state.still)
            state.nit += 1
            state.work += (4 + min(problem.X.shape) // problem.rank) * problem.unit
        return state.still >= STILL

    def _iterate(self, problem: SupervisedDictionary, prep: _Prep, state: LiftedState) -> None:
        at = lifted(problem, problem.parts(state.x))
        a, b = prep
        A, B = at.A - at.slope_a / a**2, at.B - at.slope_b / b**2
        image = self._project(problem, prep, A, B, at.gamma - at.slope_gamma / a**2)
        if state.memory is not None:
            there = lifted(problem, problem.parts(image))
            z = state.memory.step(_scaled(at, prep), _scaled(there, prep))
            A, B, gamma = np.split(z, np.cumsum([at.A.size, at.B.size]))
            further = self._project(
                problem,
                prep,
                A.reshape(at.A.shape) / a,
                B.reshape(at.B.shape) / b,
                gamma.reshape(at.gamma.shape) / a,
            )
            if lifted(problem, problem.parts(further)).fun <= there.fun + 0.5 * abs(there.fun):
                image = further
            else:
                state.memory.clear()
        state.x = image

    def _project(
        self, problem: SupervisedDictionary, prep: _Prep, A: Array, B: Array, gamma: Array
    ) -> Array:
        """Best approximation of rank r in the scaled variables, as packed factors."""
        a, b = prep
        filtering, r, k = problem.model == "filter", problem.rank, problem.n_classes - 1
        Z = np.concatenate([a * A, b * B], axis=1 if filtering else 0)
        if Z.shape[0] <= Z.shape[1]:
            left = np.linalg.eigh(Z @ Z.T)[1][:, : -r - 1 : -1]
            right = left.T @ Z
        else:
            right = np.linalg.eigh(Z.T @ Z)[1][:, : -r - 1 : -1].T
            left = Z @ right.T
        if filtering:
            W, beta, H = left, right[:, :k] / a, right[:, k:] / b
        else:
            W, beta, H = left[k:] / b, left[:k].T / a, right
        return np.concatenate([W.ravel(), H.ravel(), beta.ravel(), gamma.ravel()])


def _scaled(at: Lifted, prep: _Prep) -> Array:
    """Return the lifted point in units of its curvatures, as one vector."""
    a, b = prep
    return np.concatenate([a * at.A.ravel(), b * at.B.ravel(), a * at.gamma.ravel()])
