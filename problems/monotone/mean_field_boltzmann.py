"""Mean-field equations of Boltzmann machines."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from fejer.errors import ProblemError
from fejer.evidence import EMPTY, Array, Certificate, failed
from fejer.numerics.matrix import Matrix
from fejer.problem import Problem, as_vector

from ._mean_field import EntropyProx, MeanField, group_softmax
from ._operators import ROUNDING, FixedPointForm, InclusionForm
from .fixed_point import FixedPoint
from .monotone_inclusion import MonotoneInclusion

__all__ = ["MeanFieldBoltzmann"]

KIND = "mean-field residual"
SYMMETRY = 1e-10  # relative


@dataclass(frozen=True, eq=False)
class MeanFieldBoltzmann(InclusionForm, FixedPointForm, Problem):
    """Mean-field equations of a Boltzmann machine with groups of exclusive states.

    Find q, in each group a probability vector, with ``q = softmax(Phi q + b)``, the softmax being
    that of each group.

    Parameters
    ----------
    Phi : array_like or sparse matrix, shape (n, n)
        Symmetric, zero within each group.
    b : array_like, shape (n,)
        Biases.
    groups : array_like of int, shape (n,)
        Group of each entry: 0, ..., 0, 1, ..., 1, and so on.

    Raises
    ------
    ProblemError
        Names the field that is not as described.

    Notes
    -----
    Certificate: ``max_i |q - softmax(Phi q + b)|_i`` plus rounding floor; a necessary condition.

    With ``f(q) = sum q log q - |q|^2 / 2`` on the simplices, which is convex, the equations are
    ``0 in (I - Phi) q - b + df(q)`` [1]_. Where the smallest eigenvalue of ``I - Phi`` is positive
    the solution is unique, and the methods for cocoercive inclusions and for fixed points find it,
    though ``q <- softmax(Phi q + b)`` itself may cycle. Where it is negative no method of this
    family applies; `random` draws the first kind.

    References
    ----------
    .. [1] Feng, Winston, Kolter (2023), Monotone deep Boltzmann machines, TMLR, arXiv:2307.04990.

    Examples
    --------
    >>> import fejer
    >>> problem = fejer.MeanFieldBoltzmann.random(4, 3)
    >>> result = fejer.minimize(problem, tol=1e-9)
    >>> result.success, result.x.reshape(4, 3).sum(axis=1).round(6)
    (True, array([1., 1., 1., 1.]))
    """

    Phi: npt.ArrayLike
    b: npt.ArrayLike
    groups: npt.ArrayLike

    views = ("modes",)

    def __post_init__(self) -> None:
        Phi = Matrix.of(self.Phi, "Phi")
        n = Phi.shape[0]
        if Phi.is_operator or Phi.shape[1] != n:
            raise ProblemError(f"Phi: expected a square matrix with entries, got {Phi!r:.80}")
        b, given = as_vector(self.b, "b", n), as_vector(self.groups, "groups", n)
        steps = np.diff(given, prepend=0.0)
        if given[0] != 0.0 or not np.isin(steps, (0.0, 1.0)).all():
            raise ProblemError("groups: expected 0, ..., 0, 1, ..., 1, and so on")
        groups = given.astype(np.int64)
        groups.flags.writeable = False
        entries = Phi.tosparse().tocoo() if Phi.is_sparse else None
        plain = Phi.toarray() if entries is None else Phi.tosparse()
        if float(abs(plain - plain.T).max()) > SYMMETRY * Phi.norm_bound():
            raise ProblemError("Phi: expected a symmetric matrix")
        if entries is None:
            within = plain[groups[:, None] == groups]
        else:
            within = entries.data[groups[entries.row] == groups[entries.col]]
        if np.any(within):
            raise ProblemError("Phi: expected zeros within each group")
        self.set(Phi=Phi, b=b, groups=groups)

    def _starts(self) -> npt.NDArray[np.int64]:
        counts = np.bincount(self.groups)  # type: ignore[arg-type]
        return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)

    def initial_point(self) -> Array:
        """Return the uniform distributions."""
        counts = np.bincount(self.groups)  # type: ignore[arg-type]
        return np.asarray(1.0 / counts[self.groups])  # type: ignore[index]

    def modes(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> npt.NDArray[np.int64]:
        """Return the likeliest state of each group, counted from 0."""
        starts = self._starts()
        return np.array([np.argmax(x[a:b]) for a, b in pairwise(starts)])

    def certificate(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> Certificate:
        """Measure how far the mean-field equations are from being solved.

        Parameters
        ----------
        x : array, shape (n,)
            The distributions, group by group.
        witness : mapping, optional
            Not needed.

        Returns
        -------
        Certificate
        """
        Phi: Any = self.Phi
        argument = Phi.matvec(x) + self.b
        if not np.isfinite(argument).all():
            return failed(KIND, "overflow")
        image = np.empty_like(argument)
        group_softmax(argument, self._starts(), image)
        residual = float(np.abs(x - image).max())
        terms = float((Phi.abs_matvec(np.abs(x)) + np.abs(self.b)).max())  # type: ignore[arg-type]
        floor = ROUNDING * (1.0 + terms)
        total = residual + floor
        if not total < math.inf:
            return failed(KIND, "overflow")
        return Certificate(KIND, total, total, details={"residual": residual, "floor": floor})

    def auto(self) -> tuple[str, ...]:
        """Return extrapolation with its safeguard, then splitting."""
        return ("anderson", "forward-backward", "halpern")

    # ---- other forms -------------------------------------------------------------------------
    def inclusion(self) -> MonotoneInclusion:
        """Return the equations as a monotone inclusion."""

        def build() -> MonotoneInclusion:
            Phi: Any = self.Phi
            values = np.linalg.eigvalsh(np.eye(Phi.shape[0]) - Phi.toarray())
            weak = values[0] < -1e-12 * abs(values[-1])
            return MonotoneInclusion(
                MeanField(Phi, self.b),  # type: ignore[arg-type]
                Phi.shape[0],
                kind="comonotone" if weak else "cocoercive",
                comonotonicity=1.0 / float(values[0]) if weak else 0.0,
                resolvent=EntropyProx(self._starts()),
                lipschitz=float(np.abs(values).max()),
                x0=self.initial_point(),
            )

        return self.fact("inclusion", ("Phi", "b", "groups"), build)  # type: ignore[no-any-return]

    def no_map(self) -> str | None:
        """Return None, or why there is no nonexpansive map."""
        return self.inclusion().no_map()

    def check_start(self, x: Array) -> None:
        """Check the operators at the start."""
        self.inclusion().check_start(x)

    def fixed_point(self) -> FixedPoint:
        """Return the forward-backward map."""
        return self.inclusion().fixed_point()

    @classmethod
    def random(cls, n_groups: int = 5, states: int = 3, *, seed: int = 0) -> Self:
        """Draw a monotone machine: the smallest eigenvalue of ``I - Phi`` is at least 0.15.

        Parameters
        ----------
        n_groups, states : int, default 5 and 3
            Groups, and states of each.
        seed : int, default 0
            Seed of the generator.

        Returns
        -------
        MeanFieldBoltzmann

        Examples
        --------
        >>> import fejer
        >>> fejer.MeanFieldBoltzmann.random(3, 2).size
        6
        """
        rng = np.random.default_rng(seed)
        A = rng.standard_normal((n_groups, n_groups + states, states))
        A *= math.sqrt(0.85) / np.linalg.norm(A, 2, axis=(1, 2))[:, None, None]
        n = n_groups * states
        stacked = np.moveaxis(A, 1, 0).reshape(-1, n)
        groups = np.repeat(np.arange(n_groups), states)
        Phi = np.where(groups[:, None] == groups, 0.0, -stacked.T @ stacked)
        return cls(0.5 * (Phi + Phi.T), rng.standard_normal(n), groups)
