"""Iteratively reweighted least squares for the flag mean, in the Gram matrix of the directions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from fejer.evidence import Array
from fejer.method import Method, Rate, Start, State, option, register
from fejer.problems.lowrank._flag import distances
from fejer.problems.lowrank.flag_mean import FlagMean

from ._start import STILL, stillness

NEGLIGIBLE = 1e-14


class _Prep(NamedTuple):
    """Directions in coordinates of their own span, and the way back."""

    Z: Array
    back: Array


@dataclass
class FlagState(State):
    """Orthonormal columns in the coordinates, their projector, iterations that changed nothing."""

    y: Array
    projector: Array
    still: int = 0


@register
@dataclass(frozen=True, eq=False)
class FlagIRLS(Method):
    """Reweighted eigenvectors: weights 1/distance, then the leading part of the scatter.

    Parameters
    ----------
    start : {"spectral", "random"}, default "spectral"
        Where to begin if no start is given: leading singular vectors, or a random subspace.

    Attributes
    ----------
    name : str
        ``"flag-irls"``.

    Notes
    -----
    All iterations take place in the P x P Gram matrix of the directions, which is formed in one
    pass; the length of the directions counts only there and when a point is judged.

    Rate: the smoothed objective, with ``sqrt(. + eps)``, never increases: the weighted square
    majorises it. Near a local minimum the rate is linear.

    Cost of an iteration: ``P^3``. Memory: ``P^2`` numbers.

    Pitfall: where the subspace contains directions (colluders, with rank above 1) the weights are
    1/sqrt(eps) and convergence is slow.

    References
    ----------
    .. [1] Almasi, Mishra, Vamanan, Ravi (2023), Flag Aggregator: scalable distributed training
       under failures and augmented losses using convex optimization, arXiv:2302.05865.
    .. [2] Mankovich, King, Peterson, Kirby (2022), The flag median and FlagIRLS, CVPR,
       arXiv:2203.04437.

    Examples
    --------
    >>> import fejer
    >>> fejer.minimize(fejer.FlagMean.random(lam=1.0), method="flag-irls").success
    True
    """

    start: str = option("spectral", choices=("spectral", "random"), doc="start if none is given")

    name, solves = "flag-irls", (FlagMean,)
    cites = ("arXiv:2302.05865", "arXiv:2203.04437")

    @property
    def rate(self) -> Rate:
        """Monotone in the smoothed objective."""
        return Rate(
            "the smoothed objective does not increase; linear near a local minimum", "linear"
        )

    def prepare(self, problem: FlagMean, tol: float, rng: np.random.Generator) -> _Prep:
        """Take the eigenvectors of the Gram matrix from the problem."""
        values, vectors = problem.eigen()
        root = np.sqrt(values)
        kept = values > NEGLIGIBLE * values[0]
        back = vectors * np.where(kept, 1.0 / np.where(kept, root, 1.0), 0.0)
        return _Prep(np.ascontiguousarray((vectors * root).T), back)

    def begin(
        self, problem: FlagMean, prep: _Prep, start: Start, rng: np.random.Generator
    ) -> FlagState:
        """Write the start in the coordinates."""
        y = prep.back.T @ (problem.G.T @ start.x.reshape(-1, problem.rank))
        if self.start == "random" and not start.given:
            y = rng.standard_normal(y.shape)
        y = np.linalg.qr(y)[0]
        return FlagState(y, y @ y.T)

    def point(self, problem: FlagMean, prep: _Prep, state: FlagState) -> Array:
        """Return the orthonormal columns in the space of the directions."""
        return np.ravel(np.linalg.qr(problem.G @ (prep.back @ state.y))[0])

    def advance(self, problem: FlagMean, prep: _Prep, state: FlagState, n: int) -> bool:
        """Make up to n iterations."""
        Z = prep.Z
        for _ in range(n):
            if state.still >= STILL:
                return True
            rest = Z - state.y @ (state.y.T @ Z)
            found = distances(rest, problem.pair_weight(), problem.eps)
            vectors = np.linalg.eigh(Z @ found.laplacian @ Z.T)[1]
            state.y = np.ascontiguousarray(vectors[:, : -problem.rank - 1 : -1])
            last, state.projector = state.projector, state.y @ state.y.T
            state.still = stillness(state.projector, last, state.still)
            state.nit += 1
            state.work += 1 + problem.G.shape[1] ** 2
        return state.still >= STILL
