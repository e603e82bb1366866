"""Scaled gradient descent on the factors of a low-rank matrix."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from fejer.evidence import Array
from fejer.method import Method, Rate, Start, State, option, register
from fejer.problems.lowrank._entries import both_products, residual
from fejer.problems.lowrank._factors import pack, spectrum, unpack
from fejer.problems.lowrank.matrix_completion import MatrixCompletion
from fejer.problems.lowrank.matrix_sensing import MatrixSensing

from ._start import STILL, stillness

GROWTH = 2.0  # of the best residual: where it grows more, back to the best point with half the step


class _Prep(NamedTuple):
    """Weight that makes the gradient that of the distance to the truth, in expectation."""

    weight: float


@dataclass
class ScaledGDState(State):
    """Last and best factors; factor of the step; sum of squares of the best residual."""

    x: Array
    best: Array
    shrink: float = 1.0
    square: float = math.inf
    top: float = 0.0
    still: int = 0


@register
@dataclass(frozen=True, eq=False)
class ScaledGradientDescent(Method):
    """Gradient descent on factors U, V, preconditioned by the Gram matrix of the other factor.

    Repeats ``U <- U - eta G V (V'V)^-1``, ``V <- V - eta G' U (U'U)^-1`` simultaneously, with G the
    gradient of the least squares in X, divided by the share of the entries (or by the size of the
    measurements).

    Parameters
    ----------
    step : float, default 0.5
        The step eta.
    scaled : bool, default True
        False: plain gradient descent, ``U <- U - eta/s_1 G V``, for comparison.
    damping : float, default 0.0
        Multiple of the estimated distance that is added to the Gram matrices; about 0.1 where the
        rank asked for exceeds the true one.

    Attributes
    ----------
    name : str
        ``"scaled-gd"``.

    Notes
    -----
    Rate: from a spectral start, with incoherence and enough entries (or restricted isometry), the
    distance falls at least by ``1 - 0.6 eta`` an iteration whatever the condition number kappa is;
    plain gradient descent has ``1 - c/kappa``.

    Cost of an iteration: three passes over the entries with k products, or two over the measuring
    matrices; as dear as a sweep of altmin, of which fewer are needed. Where the residual doubles
    the step is halved for good and the run goes back to the best point. Memory: one number an
    entry.

    Pitfall: the rank must be the true one, or damping positive.

    References
    ----------
    .. [1] Tong, Ma, Chi (2021), Accelerating ill-conditioned low-rank matrix estimation via scaled
       gradient descent, JMLR 22, arXiv:2005.08898.

    Examples
    --------
    >>> import fejer
    >>> fejer.minimize(fejer.MatrixSensing.random(loss="l2"), method="scaled-gd").success
    True
    """

    step: float = option(0.5, above=0, doc="the step")
    scaled: bool = option(True, doc="False: plain gradient descent")
    damping: float = option(0.0, least=0, doc="multiple of the distance added to Gram matrices")

    name, solves = "scaled-gd", (MatrixCompletion, MatrixSensing)
    cites = ("arXiv:2005.08898",)

    @property
    def rate(self) -> Rate:
        """Linear, free of the condition number where scaled."""
        if not self.scaled:
            return Rate("dist(x_k+1) <= (1 - c/kappa) dist(x_k)", "linear", assumptions=ASSUMED)
        return Rate(
            "dist(x_k+1) <= (1 - 0.6 eta) dist(x_k)",
            "linear",
            factor=lambda problem: 1.0 - 0.6 * self.step,
            assumptions=ASSUMED,
        )

    def supports(self, problem: Any) -> str | None:
        """Least squares without a penalty."""
        if isinstance(problem, MatrixCompletion):
            return None if problem.reg == 0 else "reg > 0"
        return None if problem.loss == "l2" else "loss 'l1'"

    def prepare(self, problem: Any, tol: float, rng: np.random.Generator) -> _Prep:
        """Compute the weight of the gradient."""
        entries = problem.shape[0] * problem.shape[1]
        if isinstance(problem, MatrixCompletion):
            problem.orders()
            return _Prep(entries / problem.values.size)
        return _Prep(entries / (problem.y.size * problem.length() ** 2))

    def begin(self, problem: Any, prep: _Prep, start: Start, rng: np.random.Generator) -> Any:
        """Start from the given factors, or from the leading part of the data."""
        return ScaledGDState(start.x, start.x.copy())

    def point(self, problem: Any, prep: _Prep, state: ScaledGDState) -> Array:
        """Return the balanced factors of the best point."""
        if isinstance(problem, MatrixSensing) and problem.symmetric:
            return state.best.copy()
        return pack(*problem.factors(state.best))

    def advance(self, problem: Any, prep: _Prep, state: ScaledGDState, n: int) -> bool:
        """Make up to n steps."""
        for _ in range(n):
            if state.still >= STILL:
                return True
            last = state.x.copy()
            self._step(problem, prep, state)
            state.still = stillness(state.x, last, state.still)
            state.nit += 1
            state.work += (3 if isinstance(problem, MatrixCompletion) else 2) * problem.unit
        return state.still >= STILL

    def _step(self, problem: Any, prep: _Prep, state: ScaledGDState) -> None:
        symmetric = isinstance(problem, MatrixSensing) and problem.symmetric
        if symmetric:
            U = V = state.x.reshape(problem.shape[0], problem.rank)
        else:
            U, V = unpack(state.x, problem.shape, problem.rank)
        square, right, left = _gradient(problem, U, V)
        if not square <= GROWTH * state.square:
            state.x, state.shrink = state.best.copy(), 0.5 * state.shrink
            return
        if square < state.square:
            state.square, state.best = square, state.x.copy()
        if state.top == 0.0:
            found = spectrum(U, V)
            state.top = float(found.values[0]) if found is not None else 0.0
        eta = self.step * state.shrink * prep.weight
        if self.scaled:
            shift = self.damping * math.sqrt(square * prep.weight)
            right, left = _divide(right, V, shift), _divide(left, U, shift)
        elif state.top > 0.0:
            eta /= state.top
        new = U + eta * right
        if not symmetric:
            V += eta * left
        U[:] = new


ASSUMED = (
    "spectral start; incoherent factors and enough entries, or restricted isometry; exact data"
)


def _gradient(problem: Any, U: Array, V: Array) -> tuple[float, Array, Array]:
    """Square of the residual R, and ``R V``, ``R' U`` for what R pulls back to."""
    if isinstance(problem, MatrixCompletion):
        by_row = problem.orders()[0]
        r = np.empty(by_row.data.size)
        square = residual(*by_row, U, V, r)[0]
        right, left = np.empty_like(U), np.empty_like(V)
        both_products(by_row.indptr, by_row.indices, r, np.ascontiguousarray(U), V, right, left)
        return float(square), right, left
    r = problem.y - problem.measure(U @ V.T)
    G = problem.adjoint(r)
    return float(r @ r), G @ V, G.T @ U


def _divide(move: Array, factor: Array, shift: float) -> Array:
    """``move (F'F + shift I)^-1``."""
    gram = factor.T @ factor
    size = float(np.trace(gram))
    if not 0.0 < size < math.inf:
        return np.zeros_like(move)
    gram[np.diag_indices(len(gram))] += shift + 1e-14 * size
    return np.asarray(np.linalg.solve(gram, move.T).T, dtype=np.float64)
