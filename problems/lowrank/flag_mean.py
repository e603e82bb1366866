"""Flag mean: the subspace nearest to given directions, a robust mean of gradients."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np

from fejer.errors import ProblemError
from fejer.evidence import EMPTY, Array, Certificate, failed
from fejer.numerics.arrays import float_array
from fejer.problem import Problem, as_number

from ._flag import distances, pair_squares
from ._observed import validated

__all__ = ["FlagMean"]

PLANE = 1e-9  # how far Y'Y may be from the identity


@dataclass(frozen=True, eq=False)
class FlagMean(Problem):
    """The subspace with the smallest sum of distances to given directions.

    min over Y (dim, rank) with ``Y' Y = I`` of ``sum_i sqrt(1 - ||Y' g_i||^2) + 2 lam/(P (P - 1))
    sum_{i<j} sqrt(||g_i - g_j||^2 - ||Y' (g_i - g_j)||^2)``.

    Parameters
    ----------
    G : array_like, shape (dim, P)
        One direction in each column, a gradient of one worker for instance; normalised once.
    rank : int
        Dimension of the subspace, at most ``min(dim, P)``.
    lam : float, default 0.0
        Weight of the differences.
    eps : float, default 1e-12
        Added to the squares under the roots: distances of 0 have no derivative.

    Attributes
    ----------
    views : tuple of str
        ``subspace`` Y, ``aggregate`` (``Y Y' sum g_i / P``), ``ratios`` (``||Y' g_i||^2``).

    Raises
    ------
    ProblemError
        Names the field.

    Notes
    -----
    Variable: Y, row by row; a point whose columns are not orthonormal to 1e-9 is refused.

    Certificate: ``||(I - Y Y') S Y||_F`` over the number of directions plus the weights of the
    differences, with S the scatter of the weighted directions and differences: the gradient on the
    Grassmannian. Not rigorous, and not global: the problem has many local minima.

    How robust is it? With rank 1 and lam 0 the subspace resists a fifth of attackers that are
    uniform noise, sign flips or colluders, if the noise of honest directions is not larger than
    what they share; with two or three times that noise colluders capture it. With 3 dimensions it
    contains them, and is no better than the mean. Large lam favors colluders: their differences
    vanish. Attackers that send the mean of the others with its sign turned lose nothing against
    it: the subspace knows no signs, and its aggregate is as good as the mean.

    References
    ----------
    .. [1] Almasi, Mishra, Vamanan, Ravi (2023), Flag Aggregator: scalable distributed training
       under failures and augmented losses using convex optimization, arXiv:2302.05865.
    .. [2] Mankovich, King, Peterson, Kirby (2022), The flag median and FlagIRLS, CVPR,
       arXiv:2203.04437.

    Examples
    --------
    >>> import fejer
    >>> result = fejer.minimize(fejer.FlagMean.random())
    >>> result.success, result.aggregate.shape
    (True, (30,))
    """

    G: Array
    rank: int
    lam: float = 0.0
    eps: float = 1e-12

    views = ("subspace", "aggregate", "ratios")

    def __post_init__(self) -> None:
        G = self.G
        if not validated(G):
            raw = float_array(G, "G", ndim=2)
            largest = np.abs(raw).max(axis=0)
            if (largest == 0).any():
                column = int((largest == 0).argmax())
                raise ProblemError(
                    f"G: expected columns other than 0, got zeros in column {column}"
                )
            G = raw / largest
            G /= np.linalg.norm(G, axis=0)
            G.flags.writeable = False
        if G.shape[1] < 2:
            raise ProblemError(f"G: expected at least 2 columns, got {G.shape[1]}")
        rank = as_number(self.rank, "rank", least=1, most=min(G.shape), integer=True)
        lam = as_number(self.lam, "lam", least=0)
        eps = as_number(self.eps, "eps", above=0)
        self.set(G=G, rank=rank, lam=lam, eps=eps)

    @classmethod
    def random(
        cls,
        dim: int = 30,
        workers: int = 9,
        rank: int = 1,
        *,
        attackers: int = 2,
        attack: str = "uniform",
        noise: float = 1.0,
        lam: float = 0.0,
        seed: int = 0,
    ) -> Self:
        """Draw gradients around one direction, some of them replaced by an attack.

        Parameters
        ----------
        dim : int, default 30
            Length of a gradient.
        workers : int, default 9
            Number of gradients.
        rank : int, default 1
            Dimension of the subspace.
        attackers : int, default 2
            How many of the first gradients are replaced.
        attack : {"uniform", "sign", "collude", "inner"}, default "uniform"
            Uniform noise; the gradient times -10; one random vector for all; the mean of the honest
            gradients with its sign turned.
        noise : float, default 1.0
            Size of the noise of an honest gradient over that of the true direction.
        lam : float, default 0.0
            Weight of the differences.
        seed : int, default 0
            Seed.

        Examples
        --------
        >>> import fejer
        >>> fejer.FlagMean.random(workers=5).G.shape
        (30, 5)
        """
        rng = np.random.default_rng(seed)
        truth = rng.standard_normal(dim) / math.sqrt(dim)
        G = truth[:, None] + noise * rng.standard_normal((dim, workers)) / math.sqrt(dim)
        if attack == "uniform":
            G[:, :attackers] = rng.uniform(-1, 1, (dim, attackers))
        elif attack == "sign":
            G[:, :attackers] *= -10
        elif attack == "collude":
            G[:, :attackers] = rng.standard_normal(dim)[:, None]
        elif attack == "inner":
            G[:, :attackers] = -G[:, attackers:].mean(axis=1)[:, None]
        else:
            known = "uniform, sign, collude or inner"
            raise ProblemError(f"attack: expected {known}, got {attack!r:.80}")
        return cls(G, rank, lam)

    # ---- the contract ----------------------------------------------------------------------
    @property
    def size(self) -> int:
        """Number of entries of Y."""
        return self.G.shape[0] * self.rank

    @property
    def unit(self) -> int:
        """Units of work in one pass: the entries of G."""
        return int(self.G.size)

    @property
    def judge_units(self) -> int:
        """Units of work of a certificate."""
        return self.unit * (4 + 4 * self.rank)

    def gram(self) -> Array:
        """Return ``G' G``."""
        found: Array = self.fact("gram", ("G",), lambda: self.G.T @ self.G)
        return found

    def eigen(self) -> tuple[Array, Array]:
        """Return eigenvalues, descending, and eigenvectors of ``G' G``."""

        def build() -> tuple[Array, Array]:
            values, vectors = np.linalg.eigh(self.gram())
            return np.maximum(values[::-1], 0.0), np.ascontiguousarray(vectors[:, ::-1])

        found: tuple[Array, Array] = self.fact("eigen", ("G",), build)
        return found

    def pair_weight(self) -> float:
        """Return ``2 lam/(P (P - 1))``."""
        P = self.G.shape[1]
        return 2.0 * self.lam / (P * (P - 1))

    def initial_point(self) -> Array:
        """Return the leading left singular vectors of G."""

        def build() -> Array:
            vectors = self.eigen()[1]
            Y = self.G @ vectors[:, : self.rank]
            return np.ravel(np.linalg.qr(Y)[0])

        found: Array = self.fact("start", ("G", "rank"), build)
        return found.copy()

    def certificate(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> Certificate:
        """Judge by the gradient on the Grassmannian.

        Parameters
        ----------
        x : array, shape (dim rank,)
            The orthonormal columns.
        witness : mapping, optional
            Not needed and not used.
        """
        kind = "stationarity"
        Y = np.array(x).reshape(-1, self.rank)
        off = Y.T @ Y - np.eye(self.rank)
        if not float(np.abs(off).max()) <= PLANE:
            return failed(kind, "the columns are not orthonormal")
        G, P = self.G, self.G.shape[1]
        inner = Y.T @ G
        rest = G - Y @ inner  # direct: 1 - ||Y'g||^2 cancels where the distance is small
        found = distances(rest, self.pair_weight(), self.eps)
        moved = rest @ (found.laplacian @ inner.T)
        size = P + self.pair_weight() * float(np.sqrt(pair_squares(self.gram())).sum()) / 2.0
        value = float(np.linalg.norm(moved)) / size
        fun = float(found.own.sum() + 0.5 * self.pair_weight() * found.pairs.sum())
        return Certificate(
            kind,
            value,
            fun,
            scale=size,
            details={"largest_ratio": float((inner**2).sum(axis=0).max())},
        )

    def auto(self) -> tuple[str, ...]:
        """Return the methods, first choice first."""
        return ("flag-irls",)

    # ---- views -----------------------------------------------------------------------------
    def subspace(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> Array:
        """Return Y, the largest entry of each column positive."""
        Y = np.array(x).reshape(-1, self.rank)
        largest = Y[np.abs(Y).argmax(axis=0), np.arange(self.rank)]
        return np.asarray(Y * np.where(largest < 0, -1.0, 1.0))

    def aggregate(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> Array:
        """Return the projection of the mean direction on the subspace."""
        Y = np.array(x).reshape(-1, self.rank)
        return np.asarray(Y @ (Y.T @ self.G.mean(axis=1)))

    def ratios(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> Array:
        """Return which share of each direction lies in the subspace, from 0 to 1."""
        Y = np.array(x).reshape(-1, self.rank)
        return np.asarray(((Y.T @ self.G) ** 2).sum(axis=0))
