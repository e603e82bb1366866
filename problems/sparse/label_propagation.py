"""Harmonic interpolation of labels on a graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from fejer.errors import ProblemError
from fejer.evidence import EMPTY, Array, Certificate, failed
from fejer.jit import kernel
from fejer.numerics.matrix import Matrix
from fejer.problem import Problem, as_vector
from fejer.problems.forms import Blockwise, QuadraticForm

from ._design import frozen

if TYPE_CHECKING:
    import cvxpy

__all__ = ["LabelPropagation"]

FOUR_U = 4.0 * 2.0**-53
SYMMETRY = 1e-8  # relative difference of mirrored weights that counts as rounding


@dataclass(frozen=True, eq=False, repr=False)
class LabelPropagation(Blockwise, Problem):
    """Spread known labels over a weighted graph so that each other node is its neighbours' mean.

    ``min over the unknown x of 1/2 sum_{ij} w_ij (x_i - x_j)^2`` (each edge once), the labelled
    nodes held at their labels; with the unknowns alone ``1/2 x'Ax - b'x``, A a part of the graph's
    Laplacian.

    Parameters
    ----------
    graph : array_like or sparse matrix, shape (n, n)
        Symmetric weights of the edges, at least 0; the diagonal does not matter.
    labels : array_like, shape (n,)
        A number for each labelled node, nan for the others.

    Raises
    ------
    ProblemError
        A negative weight, an asymmetric graph, no unlabelled node, or a node that is connected to
        no labelled one; the message names it.

    Notes
    -----
    Variable: the values of the unlabelled nodes, in their order; the view ``all_values`` is the
    vector of all nodes.

    Certificate: a rigorous bound of ``max_i |x_i - x*_i|``, over the spread of the labels (the
    median distance from their median, or where that is 0 their range, or their modulus). A is an
    M-matrix, so that ``|x - x*| <= u max_i |r_i| / (A u)_i`` for each ``u > 0`` with ``A u > 0``,
    r the residual; u is an approximate solution of ``A u = 1``, found once by conjugate gradients
    and checked. Residuals are summed edge by edge, ``r_i = sum_j w_ij (x_j - x_i)``, so that
    weights of any size and labels far from 0 lose no digits.

    One product with A is as many units of work as there are unknowns, as is a certificate.

    References
    ----------
    .. [1] X. Zhu, Z. Ghahramani, J. Lafferty (2003). Semi-supervised learning using Gaussian
       fields and harmonic functions, International Conference on Machine Learning.

    Examples
    --------
    >>> import fejer
    >>> chain = [[0, 1, 0, 0], [1, 0, 1, 0], [0, 1, 0, 1], [0, 0, 1, 0]]
    >>> problem = fejer.LabelPropagation(chain, [0.0, float("nan"), float("nan"), 3.0])
    >>> fejer.minimize(problem, method="conjugate-gradient").all_values.round(9)
    array([0., 1., 2., 3.])
    """

    graph: Matrix | Any
    labels: Array

    views = ("all_values",)

    def __post_init__(self) -> None:
        graph = Matrix.of(self.graph, "graph")
        n = graph.shape[0]
        if graph.is_operator or graph.shape != (n, n):
            raise ProblemError(f"graph: expected a square matrix of weights, got {graph!r}")
        graph = Matrix.of(_symmetric(graph), "graph")
        labels = as_vector(self.labels, "labels", n, finite=False, nan=True)
        if np.isinf(labels).any():
            i = int(np.argmax(np.isinf(labels)))
            raise ProblemError(f"labels: expected finite numbers or nan, got {labels[i]} at [{i}]")
        self.set(graph=graph, labels=labels)
        as_vector(labels[~self.unknown], "labels", empty=True)  # their magnitude
        if not self.unknown.any():
            raise ProblemError("labels: no node is unlabelled (nan)")
        _check_connected(graph, ~self.unknown)

    @property
    def unknown(self) -> np.ndarray:
        """Which nodes are unlabelled."""
        return np.isnan(self.labels)

    def _edges(self) -> tuple[Any, ...]:
        """Compressed columns of the graph at the unknown nodes, zeros and diagonal left out."""

        def build() -> tuple[Any, ...]:
            part = _native(self.graph)[:, np.flatnonzero(self.unknown)].tocsc()
            part.eliminate_zeros()
            return part.indptr, part.indices, part.data

        return self.fact("edges", ("graph", "labels"), build)  # type: ignore[no-any-return]

    def form(self) -> QuadraticForm:
        """Return the problem in its standard form."""
        return self.fact("form", ("graph", "labels"), self._form)  # type: ignore[no-any-return]

    def _form(self) -> QuadraticForm:
        from scipy.sparse import csc_array, diags_array

        unknown = np.flatnonzero(self.unknown)
        known = np.flatnonzero(~self.unknown)
        indptr, indices, data = self._edges()
        columns = csc_array((data, indices, indptr), shape=(self.labels.size, unknown.size))
        degrees = np.asarray(columns.sum(axis=0)).ravel()
        rows = columns.tocsr()
        A = csc_array(diags_array(degrees) - rows[unknown].tocsc())
        b = rows[known].T @ self.labels[known]
        d = unknown.size
        zero, infinite = frozen(np.zeros(d)), frozen(np.full(d, np.inf))
        return QuadraticForm(
            Matrix.of(A, "graph"), frozen(b), zero, zero, frozen(-np.array(infinite)), infinite
        )

    def _barrier(self) -> tuple[Array, Array, float]:
        """``u > 0``, ``A u > 0`` from below, and the scale of the values."""
        return self.fact(  # type: ignore[no-any-return]
            "barrier", ("graph", "labels"), self._build_barrier
        )

    def _build_barrier(self) -> tuple[Array, Array, float]:
        from fejer.numerics.krylov import cg

        A = self.form().matrix
        diagonal = A.tosparse().diagonal()
        ones = np.ones(diagonal.size)
        size = float(np.median(diagonal))
        u, tolerance = ones, 0.1
        image = A.matvec(u) - FOUR_U * A.abs_matvec(u)
        while not ((u > 0).all() and (image > 0).all()) and tolerance > 1e-15:
            solved = cg(A.matvec, size * ones, preconditioner=lambda v: v / diagonal, tol=tolerance)
            u = np.abs(solved.x)
            image = A.matvec(u) - FOUR_U * A.abs_matvec(u)
            tolerance *= 0.1
        known = self.labels[~self.unknown]
        deviations = np.abs(known - np.median(known))
        spread = float(np.median(deviations) or np.ptp(known) or np.abs(known).max() or 1.0)
        return frozen(u), frozen(image), spread

    def initial_point(self) -> Array:
        """Return 0."""
        return np.zeros(int(self.unknown.sum()))

    def certificate(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> Certificate:
        """Bound the distance to the solution; no witness is needed, and none is looked at."""
        u, image, spread = self._barrier()
        full = self.all_values(x)
        r, moduli = np.empty_like(x), np.empty_like(x)
        energy = residual(*self._edges(), full, x, self.unknown, r, moduli)
        if not (image > 0).all():
            kind = "maximum error"
            return failed(kind, "no vector proves that A is an M-matrix to rounding", energy)
        floors = FOUR_U * moduli
        error = float(u.max()) * float(((np.abs(r) + floors) / image).max())
        floor = float(u.max()) * float((floors / image).max())
        value = error / spread
        return Certificate(
            "maximum error",
            value,
            energy,
            True,
            scale=spread,
            reason="" if value < np.inf else "overflow",
            details={"error": error, "residual": float(np.abs(r).max()), "floor": floor / spread},
        )

    @property
    def unit(self) -> int:
        """Units of work in one pass: one for each unknown."""
        return self.size

    def auto(self) -> tuple[str, ...]:
        """Return conjugate gradients, then coordinate descent."""
        return ("conjugate-gradient", "bcd")

    def all_values(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> Array:
        """Return the values of all nodes."""
        full = np.array(self.labels)
        full[self.unknown] = x
        return full

    def to_cvxpy(self) -> cvxpy.Problem:
        """Return the same problem as a cvxpy model; its variable is "x"."""
        from ._models import oracle

        cvxpy = oracle()
        x = cvxpy.Variable(self.size, name="x")
        weights: Any = _native(self.graph).tocoo()
        row, column = weights.coords
        part = (row < column) & (self.unknown[row] | self.unknown[column])
        where = np.cumsum(self.unknown) - 1
        terms = []
        for i, j, weight in zip(row[part], column[part], weights.data[part], strict=True):
            ends = [x[where[k]] if self.unknown[k] else self.labels[k] for k in (i, j)]
            terms.append(0.5 * weight * cvxpy.square(ends[0] - ends[1]))
        return cvxpy.Problem(cvxpy.Minimize(cvxpy.sum(cvxpy.hstack(terms))))

    @classmethod
    def random(cls, n: int = 60, neighbours: int = 4, known: int = 6, *, seed: int = 0) -> Self:
        """Draw points in the plane, join each to its nearest, label some by their first coordinate.

        Parameters
        ----------
        n : int
            Nodes.
        neighbours : int
            Each node is joined to so many nearest ones, with weights ``exp(-distance^2)``.
        known : int
            Labelled nodes; one more in each part of the graph that would have none.
        seed : int, default 0
            Of the generator.
        """
        from scipy.sparse import csr_array
        from scipy.sparse.csgraph import connected_components
        from scipy.spatial import cKDTree

        rng = np.random.default_rng(seed)
        points = np.sqrt(n) * rng.random((n, 2))
        tree: Any = cKDTree(points)
        distance, index = tree.query(points, neighbours + 1)
        row = np.repeat(np.arange(n), neighbours)
        weight = np.exp(-(distance[:, 1:].ravel() ** 2))
        graph = csr_array((weight, (row, index[:, 1:].ravel())), shape=(n, n))
        graph = graph.maximum(graph.T)
        labels = np.full(n, np.nan)
        chosen = rng.choice(n, known, replace=False)
        labels[chosen] = points[chosen, 0]
        parts = connected_components(graph, directed=False)[1]
        for part in np.setdiff1d(parts, parts[chosen]):
            i = int(np.argmax(parts == part))
            labels[i] = points[i, 0]
        return cls(graph, labels)


def _native(graph: Matrix) -> Any:
    """The graph as an array of scipy.sparse."""
    from scipy.sparse import csc_array

    return csc_array(graph.native)


def _symmetric(graph: Matrix) -> Any:
    """The graph in compressed columns, or the reason why it is none."""
    weights = _native(graph)
    if weights.nnz and weights.data.min() < 0:
        k = int(np.argmin(weights.data))
        i = int(weights.indices[k])
        j = int(np.searchsorted(weights.indptr, k, side="right")) - 1
        raise ProblemError(f"graph: expected weights >= 0, got {weights.data[k]:g} at [{i}, {j}]")
    apart = abs(weights - weights.T).tocoo()
    largest = weights.data.max(initial=0.0)
    if apart.nnz and apart.data.max() > SYMMETRY * largest:
        k = int(np.argmax(apart.data))
        i, j = (int(index[k]) for index in apart.coords)
        raise ProblemError(f"graph: expected a symmetric one, [{i}, {j}] and [{j}, {i}] differ")
    if apart.nnz and apart.data.any():
        weights = ((weights + weights.T) * 0.5).tocsc()
    if weights.diagonal().any():
        weights = weights.copy()
        weights.setdiag(0.0)
        weights.eliminate_zeros()
    return weights


def _check_connected(graph: Matrix, known: np.ndarray) -> None:
    from scipy.sparse.csgraph import connected_components

    count, part = connected_components(_native(graph), directed=False)
    labelled = np.zeros(count, bool)
    labelled[part[known]] = True
    if not labelled.all():
        i = int(np.argmax(~labelled[part]))
        raise ProblemError(f"labels: node {i} is connected to no labelled node")


@kernel
def residual(indptr, indices, data, full, x, unknown, r, moduli):
    """``r_i = sum_j w_ij (x_j - x_i)`` and the sum of its moduli; returns the energy."""
    energy = 0.0
    for i in range(x.size):
        total = 0.0
        size = 0.0
        for k in range(indptr[i], indptr[i + 1]):
            j = indices[k]
            step = full[j] - x[i]
            total += data[k] * step
            size += data[k] * abs(step)
            energy += data[k] * step * step * (0.25 if unknown[j] else 0.5)
        r[i] = total
        moduli[i] = size
    return energy
