"""Policy evaluation with linear features."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from fejer.errors import ProblemError
from fejer.evidence import EMPTY, Array, Certificate, failed
from fejer.numerics.arrays import float_array
from fejer.problem import as_number, as_vector

from ._operators import ROUNDING
from ._sampled import Sampled, Samples, finite_sum, temporal_differences
from .monotone_inclusion import MonotoneInclusion

__all__ = ["PolicyEvaluation"]

KIND = "duality gap"
RANK = 1e-12  # singular value over the largest one, below which a direction is left out


@dataclass(frozen=True, eq=False)
class PolicyEvaluation(Sampled):
    """Projected Bellman error of a linear value function, as a saddle point.

    ``min over t of max over w of w'(b - A t) - 1/2 w'C w`` with the means over observed steps
    ``A = mean p (p - gamma p')'``, ``b = mean r p``, ``C = mean p p'``: p the features of a state,
    p' those of the next one, r the reward. Its value is half the mean squared projected Bellman
    error of ``t``.

    Parameters
    ----------
    Phi : array_like, shape (n, d)
        Features of the visited states.
    Phi2 : array_like, shape (n, d)
        Features of their successors.
    r : array_like, shape (n,)
        Rewards.
    gamma : float, default 0.95
        Discount, in [0, 1].

    Raises
    ------
    ProblemError
        Names the field that is not as described.

    Notes
    -----
    The variable is ``(t, w)``, of length 2 d; `result.coefficients` is t.

    Certificate, rigorous: with an orthonormal basis Q of the span of Phi's columns,
    ``B = Q'(Phi - gamma Phi2)``, ``c = Q'r``, ``v = Q'Phi w`` and v' the projection of v on the
    null space of B', it is
    ``(|c - B t|^2 / 2 - v''c + |v'|^2 / 2) / (|c|^2 / 2) + |v - v'| / |c|``.

    One unit of work is one observed step.

    References
    ----------
    .. [1] Du, Chen, Li, Xiao, Zhou (2017), Stochastic variance reduction methods for policy
       evaluation, ICML, arXiv:1702.07944.

    Examples
    --------
    >>> import fejer
    >>> problem = fejer.PolicyEvaluation.random()
    >>> fejer.minimize(problem, tol=1e-8).success
    True
    """

    Phi: npt.ArrayLike
    Phi2: npt.ArrayLike
    r: npt.ArrayLike
    gamma: float = 0.95

    views = ("coefficients",)

    def __post_init__(self) -> None:
        Phi, Phi2 = (float_array(getattr(self, k), k, ndim=2, order="C") for k in ("Phi", "Phi2"))
        if Phi.shape != Phi2.shape:
            raise ProblemError(f"Phi2: expected shape {Phi.shape} as Phi has, got {Phi2.shape}")
        r = as_vector(self.r, "r", Phi.shape[0])
        gamma = as_number(self.gamma, "gamma", least=0.0, most=1.0)
        self.set(Phi=Phi, Phi2=Phi2, r=r, gamma=gamma)

    @property
    def split(self) -> int:  # type: ignore[override]
        """Number of features."""
        return int(self.Phi.shape[1])  # type: ignore[union-attr]

    def initial_point(self) -> Array:
        """Return 0."""
        return np.zeros(2 * self.split)

    def _parts(self) -> tuple[Array, Array, Array, Array, float]:
        """Q'Phi, B, c, an orthonormal basis of the range of B, and the size of the errors of B."""

        def build() -> tuple[Array, Array, Array, Array, float]:
            Phi: Any = self.Phi
            r: Any = self.r
            U, sizes, V = np.linalg.svd(Phi, full_matrices=False)
            kept = sizes > RANK * sizes[0]
            Q = U[:, kept]
            difference = Phi - self.gamma * self.Phi2  # type: ignore[operator]
            B = Q.T @ difference
            W, widths, _ = np.linalg.svd(B, full_matrices=False)
            W = W[:, widths > RANK * widths[0]]
            error = float(np.linalg.norm(difference)) + float(np.linalg.norm(Phi))
            return sizes[kept, None] * V[kept], B, Q.T @ r, W, error

        return self.fact("parts", ("Phi", "Phi2", "r", "gamma"), build)  # type: ignore[no-any-return]

    def build_inclusion(self) -> MonotoneInclusion:
        """Build the finite sum with its constants."""
        Phi: Any = self.Phi
        n, d = Phi.shape
        D = Phi - self.gamma * self.Phi2  # type: ignore[operator]
        stacked = np.ascontiguousarray(np.hstack([Phi, D]))
        empty = np.zeros(0, dtype=np.int64), np.zeros(0)
        samples = Samples(temporal_differences, 2 * d, stacked, self.r, *empty)  # type: ignore[arg-type]
        A, C, Z = Phi.T @ D / n, Phi.T @ Phi / n, np.zeros((d, d))
        whole = float(np.linalg.norm(np.block([[Z, -A.T], [A, C]]), 2))
        p2, e2 = np.einsum("ij,ij->i", Phi, Phi), np.einsum("ij,ij->i", D, D)
        # The mean of M_i'M_i for the linear parts M_i of the components.
        cross = (Phi.T * p2) @ D / n
        square = np.block([[(D.T * p2) @ D, n * cross.T], [n * cross, (Phi.T * (p2 + e2)) @ Phi]])
        each = math.sqrt(max(float(np.linalg.eigvalsh(square / n)[-1]), 0.0))
        return finite_sum(samples, 2 * d, whole, each)

    def coefficients(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> Array:
        """Return the weights of the features in the value function."""
        return x[: self.split].copy()

    def certificate(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> Certificate:
        """Bound how far the projected Bellman error is from its minimum.

        Parameters
        ----------
        x : array, shape (2 d,)
            Weights of the value function, and of the dual.
        witness : mapping, optional
            Not needed.

        Returns
        -------
        Certificate
        """
        R, B, c, W, error = self._parts()
        n = self.r.size  # type: ignore[union-attr]
        t, w = x[: self.split], x[self.split :]
        size = float(np.linalg.norm(c))
        rest = c - B @ t
        v = R @ w
        inside = v - W @ (W.T @ v)
        inside -= W @ (W.T @ inside)
        away = float(np.linalg.norm(v - inside))
        primal = 0.5 * float(rest @ rest)
        dual = float(inside @ c) - 0.5 * float(inside @ inside)
        e = ROUNDING * (error * (math.hypot(*t) + math.hypot(*w)) + float(np.linalg.norm(self.r)))  # type: ignore[arg-type]
        floor = e * (math.sqrt(2.0 * primal) + float(np.linalg.norm(inside)) + e)
        floor += ROUNDING * (primal + abs(dual))
        unit = 0.5 * size * size or 1.0
        floor = floor / unit + e / (size or 1.0)
        total = max(primal - dual, 0.0) / unit + away / (size or 1.0) + floor
        if not total < math.inf:
            return failed(KIND, "overflow", scale=unit / n)
        return Certificate(
            KIND,
            total,
            primal / n,
            rigorous=True,
            scale=unit / n,
            lower_bound=dual / n,
            details={"gap": (primal - dual) / n, "range_part": away, "floor": floor},
        )

    @classmethod
    def random(cls, n: int = 40, d: int = 3, gamma: float = 0.9, *, seed: int = 0) -> Self:
        """Draw steps between states with random features.

        Parameters
        ----------
        n, d : int, default 40 and 3
            Steps and features.
        gamma : float, default 0.9
            The discount.
        seed : int, default 0
            Seed of the generator.

        Returns
        -------
        PolicyEvaluation

        Examples
        --------
        >>> import fejer
        >>> fejer.PolicyEvaluation.random(20, 2).size
        4
        """
        rng = np.random.default_rng(seed)
        Phi = rng.standard_normal((n, d))
        Phi2 = 0.5 * Phi + 0.7 * rng.standard_normal((n, d))
        return cls(Phi, Phi2, Phi @ rng.standard_normal(d) + rng.standard_normal(n), gamma)
