"""Linear structural equations: a directed acyclic graph from observations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from fejer.errors import ProblemError
from fejer.evidence import EMPTY, Array, Certificate, failed
from fejer.numerics.arrays import float_array
from fejer.problem import Problem, as_number, witness_array

from ._sem import SMALLEST, acyclic, before, conditional_gap, is_order, topological_order

KIND = "conditional duality gap"
ROUNDING = 2.0**-52
NOISES = ("equal", "unequal")


@dataclass(frozen=True, eq=False)
class LinearSEM(Problem):
    """Weights of a directed acyclic graph whose nodes are linear in their parents.

    Each column is ``x_j = sum_i W_ij x_i + noise_j``. min over W without cycles and noise levels
    ``s_j >= s_0`` of ``sum_j (|x_j - X w_j|^2 / (2 n s_j) + s_j/2) + lam sum |W_ij|``, where all
    ``s_j`` are one for equal noise.

    Parameters
    ----------
    X : array_like, shape (n, d)
        Observations of d >= 2 nodes. Columns are centred, and never scaled: with equal noise the
        units tell the direction of the edges.
    noise : {"equal", "unequal"}, default "equal"
        Whether all nodes have one noise level.
    lam : float, default 0.05
        Penalty, >= 0, in units of X. It needs no tuning to the noise, since its level is
        estimated; but all of X times k is as lam over k.

    Raises
    ------
    ProblemError
        Too few rows or columns, a constant column, a field out of its range.

    Notes
    -----
    Variable: W row by row, d^2 numbers; the view ``graph_weights`` is the matrix without weights up
    to 0.3, ``order`` the order of its nodes. Witness: ``order``, shape (d,).

    Certificate: W must have no cycle, else the value is inf. Given an order of its nodes (the
    witness, checked, or the one that takes the first free node), the problem falls apart into
    convex ones, whose duality gap is computed; the value is the largest gap of a column over its
    scale, for equal noise that of the sum. It is rigorous for the given order, and says nothing
    about other orders: which one is best is a combinatorial question. s_0 is 1e-6 of the smallest
    deviation of a column.

    References
    ----------
    .. [1] Saboksayr, Mateos, Tepper (2024), CoLiDE: concomitant linear DAG estimation,
       arXiv:2310.02895.

    Examples
    --------
    >>> import fejer
    >>> problem, W = fejer.LinearSEM.random_graph(d=6, edges=6)
    >>> result = fejer.minimize(problem)
    >>> result.success, fejer.dag_metrics(result.graph_weights, W).shd
    (True, 0)
    """

    X: Any
    noise: str = "equal"
    lam: float = 0.05

    views = ("graph_weights", "order")

    def __post_init__(self) -> None:
        X = float_array(self.X, "X", ndim=2)
        if X.shape[0] < 2 or X.shape[1] < 2:
            raise ProblemError(f"X: expected 2 rows and 2 columns at least, got shape {X.shape}")
        if not isinstance(self.noise, str) or self.noise not in NOISES:
            raise ProblemError(f"noise: expected 'equal' or 'unequal', got {self.noise!r:.80}")
        self.set(X=X, lam=as_number(self.lam, "lam", least=0.0))
        flat = np.flatnonzero(self.deviations <= 1e-14 * np.abs(X).max(axis=0))
        if flat.size:
            raise ProblemError(f"X: expected columns that vary, got a constant one, {flat[0]}")

    def initial_point(self) -> Array:
        """Return the graph without edges."""
        return np.zeros(self.X.shape[1] ** 2)

    def auto(self) -> tuple[str, ...]:
        """Return the fast method, then the published one."""
        return ("owlqn", "adam-path")

    @property
    def centred(self) -> Array:
        """X with means removed."""
        return self.fact("centred", ("X",), lambda: self.X - self.X.mean(axis=0))  # type: ignore[no-any-return]

    @property
    def covariance(self) -> Array:
        """``X'X / n`` of the centred data."""
        n = len(self.X)
        return self.fact(  # type: ignore[no-any-return]
            "covariance", ("X",), lambda: np.ascontiguousarray(self.centred.T @ self.centred / n)
        )

    @property
    def deviations(self) -> Array:
        """Standard deviations of the columns."""
        return np.asarray(np.linalg.norm(self.centred, axis=0) / np.sqrt(len(self.X)))

    @property
    def least(self) -> float:
        """The smallest noise level."""
        return float(SMALLEST * self.deviations.min())

    def certificate(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> Certificate:
        """Judge the weights on their own order."""
        W = x.reshape(self.X.shape[1], -1)
        order = self._order(W, witness)
        if order is None:
            return failed(KIND, "the graph has a cycle")
        equal = self.noise == "equal"
        gap = conditional_gap(self.centred, W, before(order), self.lam, self.least, equal)
        sizes = float(np.abs(self.covariance).max()) * (1 + float(np.abs(W).sum(axis=0).max())) ** 2
        floor = 8 * ROUNDING * (1.0 + float(np.sqrt(sizes) / self.deviations.min()))
        value = max(gap.relative, 0.0) + floor
        details = {"floor": floor, "primal": gap.primal, "dual": gap.dual}
        return Certificate(
            KIND,
            value,
            gap.primal,
            rigorous=True,
            details=details,
            witness={"order": order.astype(np.float64)},
        )

    @staticmethod
    def _order(W: Array, witness: Mapping[str, Array]) -> np.ndarray | None:
        if np.diagonal(W).any():
            return None
        given = witness_array(witness, "order", len(W))
        if given is not None and is_order(given, W):
            return given.astype(np.int64)
        return topological_order(W)

    def graph_weights(
        self, x: Array, witness: Mapping[str, Array] = EMPTY, threshold: float = 0.3
    ) -> Array:
        """Return the matrix of weights, 0 where they are not above the threshold."""
        return acyclic(x.reshape(self.X.shape[1], -1), threshold)

    def order(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> np.ndarray | None:
        """Return the order of the nodes, parents first; None for a cyclic graph."""
        return self._order(x.reshape(self.X.shape[1], -1), witness)

    @classmethod
    def random_graph(
        cls,
        n: int = 1000,
        d: int = 20,
        edges: int = 40,
        *,
        noise: str = "equal",
        lam: float = 0.05,
        variance: tuple[float, float] = (0.5, 10.0),
        seed: int = 0,
    ) -> tuple[Self, Array]:
        """Draw a graph, and observations of it.

        Parameters
        ----------
        n, d : int
            Observations and nodes.
        edges : int, default 40
            Expected number of edges of the Erdős-Rényi graph; weights are 0.5 to 2 in modulus.
        noise : {"equal", "unequal"}, default "equal"
            Unit variances, or uniform ones.
        lam : float, default 0.05
            Penalty.
        variance : tuple of float, default (0.5, 10.0)
            Range of unequal variances.
        seed : int, default 0
            Seed of the generator.

        Returns
        -------
        problem : LinearSEM
            The problem.
        W : array, shape (d, d)
            The weights of the graph.
        """
        n = as_number(n, "n", least=2, integer=True)
        d = as_number(d, "d", least=2, integer=True)
        edges = as_number(edges, "edges", least=0, integer=True)
        rng = np.random.default_rng(seed)
        upper = np.triu(rng.random((d, d)) < 2 * edges / (d * (d - 1)), 1)
        p = rng.permutation(d)
        W = np.zeros((d, d))
        W[np.ix_(p, p)] = upper * rng.uniform(0.5, 2.0, (d, d)) * rng.choice([-1.0, 1.0], (d, d))
        deviation = np.ones(d) if noise == "equal" else np.sqrt(rng.uniform(*variance, d))
        X = np.linalg.solve((np.eye(d) - W).T, (rng.standard_normal((n, d)) * deviation).T).T
        return cls(X - X.mean(axis=0), noise, lam), W

    @classmethod
    def random(cls, n: int = 200, d: int = 5, *, noise: str = "equal", seed: int = 0) -> Self:
        """Draw observations of a random graph with d edges.

        Parameters
        ----------
        n, d : int
            Observations and nodes.
        noise : {"equal", "unequal"}, default "equal"
            Unit variances, or uniform ones.
        seed : int, default 0
            Seed of the generator.

        Returns
        -------
        LinearSEM

        Examples
        --------
        >>> import fejer
        >>> fejer.minimize(fejer.LinearSEM.random(noise="unequal")).success
        True
        """
        return cls.random_graph(n, d, d, noise=noise, seed=seed)[0]
