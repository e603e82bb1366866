"""Few-shot clustering with a graph that asks neighbours to agree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from fejer.errors import ProblemError
from fejer.evidence import EMPTY, Array, Certificate, failed
from fejer.jit import kernel
from fejer.numerics.matrix import Matrix
from fejer.problem import Problem, as_number, as_vector, witness_array

from ._design import frozen

__all__ = ["LaplacianClustering"]

U = 2.0**-53
OUTSIDE = 1e-9  # distance of a row from the simplex beyond which a point is refused


@dataclass(frozen=True, eq=False, repr=False)
class LaplacianClustering(Problem):
    """Cluster points around prototypes, with neighbours in the same cluster, from a few labels.

    ``min over S of sum_i s_i'log s_i + sum_ik s_ik a_ik - (lam/2) sum_ij W_ij s_i's_j`` over rows
    s_i in the simplex, the rows of labelled points being held. With ``prototypes="means"`` a_ik is
    the squared distance of point i from the mean of cluster k; with "modes" it is ``-exp(-d^2 / (2
    sigma^2))``, d the distance from a mode of the density of the cluster. Prototypes are part of
    the solution: they are made from S.

    Parameters
    ----------
    features : array_like, shape (n, d)
        One point in each row.
    labels : array_like, shape (n,)
        Cluster 0, 1, ... of a labelled point, -1 for the others; each cluster needs a labelled one.
    n_classes : int
        Clusters.
    lam : float, default 0.7
        Weight of the agreement of neighbours, at least 0.
    neighbours : int, default 3
        Each point is joined to so many nearest ones, with weight 1; the graph is made symmetric by
        the average.
    prototypes : {"means", "modes"}, default "means"
        How clusters are represented.

    Raises
    ------
    ProblemError
        A field is not as described; the message names it.

    Notes
    -----
    Variable: S, row by row. The problem is convex neither in S nor in the prototypes: the value is
    a residual.

    Certificate: ``||S - R||_inf / min(1, spread)``, ``R = softmax(-a + lam W S)`` over the
    unlabelled rows, spread the median range of the rows of R; the prototypes are computed from S:
    the means weighted by S, an empty cluster keeping the mean of its labelled points. With "modes"
    the witness ``means`` has the modes, and the residual of each mode counts too: ``||m_k - sum_i
    s_ik K_ik x_i / sum_i s_ik K_ik|| / sigma``. A damping of the method does not enter, or every
    one-hot S would be a solution. It is not rigorous about the
    objective: fixed points need not be minimisers.

    A product with W is n units of work, as is a certificate.

    References
    ----------
    .. [1] I. M. Ziko, J. Dolz, E. Granger, I. Ben Ayed (2020). Laplacian regularized few-shot
       learning, International Conference on Machine Learning.
    .. [2] I. M. Ziko, M. Boudiaf, J. Dolz, E. Granger, I. Ben Ayed (2021). Transductive few-shot
       learning: clustering is all you need?, arXiv:2106.09516.

    Examples
    --------
    >>> import fejer
    >>> problem = fejer.LaplacianClustering.random()
    >>> result = fejer.minimize(problem)
    >>> result.success, result.clusters.shape
    (True, (60,))
    """

    features: Array
    labels: Array
    n_classes: int
    lam: float = 0.7
    neighbours: int = 3
    prototypes: str = "means"

    views = ("clusters", "assignment", "centers")

    def __post_init__(self) -> None:
        features = np.asarray(Matrix.of(self.features, "features").toarray(), order="C")
        n = features.shape[0]
        count = as_number(self.n_classes, "n_classes", least=2, most=n, integer=True)
        labels = as_vector(self.labels, "labels", n)
        if not np.isin(labels, np.arange(-1, count)).all():
            wrong = labels[~np.isin(labels, np.arange(-1, count))]
            raise ProblemError(f"labels: expected -1 or 0..{count - 1}, got {wrong[0]:g}")
        missing = np.setdiff1d(np.arange(count), labels)
        if missing.size:
            raise ProblemError(f"labels: cluster {missing[0]} has no labelled point")
        if (labels >= 0).all():
            raise ProblemError("labels: no point is unlabelled (-1)")
        if not isinstance(self.prototypes, str) or self.prototypes not in ("means", "modes"):
            raise ProblemError(
                f"prototypes: expected 'means' or 'modes', got {self.prototypes!r:.80}"
            )
        self.set(
            features=frozen(features),
            labels=labels,
            n_classes=count,
            lam=as_number(self.lam, "lam", least=0, most=1e6),
            neighbours=as_number(self.neighbours, "neighbours", least=1, most=n - 1, integer=True),
        )

    @property
    def shape(self) -> tuple[int, int]:
        """Points and clusters."""
        return self.labels.size, self.n_classes

    @property
    def free(self) -> NDArray[np.bool_]:
        """Which points are unlabelled."""
        return self.labels < 0

    def graph(self) -> tuple[Any, float]:
        """Return W in compressed rows, and the mean squared distance of neighbours."""
        return self.fact(  # type: ignore[no-any-return]
            "graph", ("features", "neighbours"), self._build_graph
        )

    def _build_graph(self) -> tuple[Any, float]:
        from scipy.sparse import csr_array
        from scipy.spatial import cKDTree

        n, k = self.labels.size, self.neighbours
        tree: Any = cKDTree(self.features)
        distance, index = tree.query(self.features, k + 1)
        own = index == np.arange(n)[:, None]  # equal points may hide a point from itself
        own[~own.any(axis=1), -1] = True
        column, length = index[~own], distance[~own]
        rows, column = (np.asarray(v, np.int32) for v in (np.repeat(np.arange(n), k), column))
        W = csr_array((np.ones(n * k), (rows, column)), shape=(n, n))
        return ((W + W.T) * 0.5).tocsr(), float(np.mean(length**2)) or 1.0

    def labelled_means(self) -> Array:
        """Return the means of the labelled points of each cluster."""
        return self._labelled()[1]

    def _labelled(self) -> tuple[NDArray[np.intp], Array]:
        """Labelled points, and their means."""
        fields = ("features", "labels", "n_classes")
        return self.fact("labelled", fields, self._find_labelled)  # type: ignore[no-any-return]

    def _find_labelled(self) -> tuple[NDArray[np.intp], Array]:
        means = [self.features[self.labels == k].mean(axis=0) for k in range(self.n_classes)]
        return np.flatnonzero(~self.free), frozen(np.array(means))

    def means(self, S: Array) -> Array:
        """Return the means weighted by S; a cluster without weight keeps its labelled mean."""
        weight = S.sum(axis=0)
        out = self.labelled_means().copy()
        there = weight > 0
        out[there] = (S.T @ self.features)[there] / weight[there, None]
        return out

    def kernel_means(self, S: Array, modes: Array) -> Array | None:
        """Return one mean-shift step of all modes; None where nothing is near one of them."""
        _, variance = self.graph()
        near = S * np.exp(-0.5 * self.distances(modes) / variance)
        weight = near.sum(axis=0)
        if not (weight > 1e-300).all():
            return None
        return np.asarray((near.T @ self.features) / weight[:, None])

    def distances(self, centers: Array) -> Array:
        """Return the squared distances of the points from the centers."""
        out = np.empty((self.labels.size, len(centers)))
        squared_distances(self.features, np.ascontiguousarray(centers), out)
        return out

    def costs(self, centers: Array) -> Array:
        """Return a_ik for these prototypes."""
        squares = self.distances(centers)
        if self.prototypes == "means":
            return squares
        return np.asarray(-np.exp(-0.5 * squares / self.graph()[1]))

    def held(self, S: Array) -> Array:
        """Set the rows of labelled points to their labels, in place."""
        known = self._labelled()[0]
        S[known] = 0.0
        S[known, self.labels[known].astype(np.intp)] = 1.0
        return S

    def energy(self, S: Array, costs: Array) -> float:
        """Return the objective for these costs."""
        W, _ = self.graph()
        logs = np.log(np.where(S > 0, S, 1.0))
        agreement = float(np.sum(S * (W @ S)))
        return float(np.sum(S * logs) + np.sum(S * costs)) - 0.5 * self.lam * agreement

    def softmax(self, S: Array, costs: Array) -> Array:
        """Return the rows ``softmax(-a + lam W S)``, labelled ones held."""
        W, _ = self.graph()
        return self.held(rows_softmax(self.lam * (W @ S) - costs))

    def initial_point(self) -> Array:
        """Return the softmax of the distances from the labelled means."""
        return self.held(rows_softmax(-self.costs(self.labelled_means()))).ravel()

    def certificate(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> Certificate:
        """Judge S by how far it is from a fixed point; modes come as the witness ``means``."""
        kind, S = "fixed point", np.array(x.reshape(self.shape))
        clipped = np.maximum(S, 0.0)
        outside = max(float((clipped - S).max()), float(np.abs(S.sum(axis=1) - 1.0).max()))
        known = self.held(clipped.copy())
        outside = max(outside, float(np.abs(known - S)[~self.free].max()))
        if not outside <= OUTSIDE:
            return failed(kind, f"rows leave the simplex or their labels by {outside:.3g}")
        S = self.held(clipped / clipped.sum(axis=1, keepdims=True))
        shift, modes = 0.0, None
        if self.prototypes == "modes":
            modes = witness_array(witness, "means", (self.n_classes, self.features.shape[1]))
            if modes is None:
                return failed(kind, "the witness has no modes")
            moved = self.kernel_means(S, modes)
            if moved is None:
                return failed(kind, "a mode has no point near it")
            lengths = np.linalg.norm(moved - modes, axis=1)
            shift = float(lengths.max()) / float(np.sqrt(self.graph()[1]))
        costs = self.costs(self.means(S) if modes is None else modes)
        R = self.softmax(S, costs)
        spread = min(1.0, float(np.median(np.ptp(R[self.free], axis=1))))
        residual = float(np.abs(S - R).max())
        value = max(residual / spread if spread > 0 else np.inf, shift) + outside
        return Certificate(
            kind,
            value,
            self.energy(S, costs),
            False,
            scale=spread or 1.0,
            reason="" if value < np.inf else "overflow",
            details={"residual": residual, "spread": spread, "shift": shift},
            witness={} if modes is None else {"means": modes},
        )

    def auto(self) -> tuple[str, ...]:
        """Return the bound optimiser."""
        return ("bound-optimiser",)

    @property
    def unit(self) -> int:
        """Units of work in one pass: one for each point."""
        return self.labels.size

    def clusters(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> NDArray[np.intp]:
        """Return the cluster of the largest weight of each point."""
        return np.asarray(x.reshape(self.shape).argmax(axis=1))

    def assignment(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> Array:
        """Return S, one row for each point."""
        return x.reshape(self.shape)

    def centers(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> Array:
        """Return the prototypes."""
        shape = (self.n_classes, self.features.shape[1])
        modes = witness_array(witness, "means", shape) if self.prototypes == "modes" else None
        return self.means(x.reshape(self.shape)) if modes is None else modes

    @classmethod
    def random(
        cls,
        n: int = 60,
        d: int = 2,
        n_classes: int = 3,
        shots: int = 1,
        spread: float = 0.5,
        *,
        seed: int = 0,
        **fields: Any,
    ) -> Self:
        """Draw points around random centers, and label the first ones of each cluster.

        Parameters
        ----------
        n, d : int
            Points and dimensions.
        n_classes : int
            Clusters.
        shots : int
            Labelled points of each cluster.
        spread : float, default 0.5
            Standard deviation of the points around their centers, whose own is 1.
        seed : int, default 0
            Of the generator.
        **fields
            Other fields of the class.
        """
        rng = np.random.default_rng(seed)
        centers = rng.standard_normal((n_classes, d))
        owner = np.arange(n) % n_classes
        features = centers[owner] + spread * rng.standard_normal((n, d))
        labels = np.where(np.arange(n) < shots * n_classes, owner, -1)
        return cls(features, labels, n_classes, **fields)


@kernel
def squared_distances(points, centers, out):
    """``||x_i - m_k||^2``, from differences: nothing cancels where points are far from 0."""
    for i in range(points.shape[0]):
        for k in range(centers.shape[0]):
            total = 0.0
            for a in range(points.shape[1]):
                away = points[i, a] - centers[k, a]
                total += away * away
            out[i, k] = total


def rows_softmax(logits: Array) -> Array:
    """Return the softmax of each row, without overflow.

    Parameters
    ----------
    logits : array, shape (n, K)
        The rows.

    Examples
    --------
    >>> rows_softmax(np.zeros((1, 2)))
    array([[0.5, 0.5]])
    """
    out = logits - logits.max(axis=1, keepdims=True)
    np.exp(out, out=out)
    out /= out.sum(axis=1, keepdims=True)
    return np.asarray(out)
