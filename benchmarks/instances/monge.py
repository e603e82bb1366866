"""Samples between which a map is to be learnt, and maps that are not learnt with a gap."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fejer.evidence import Array
from fejer.problems.transport._maps import Family
from fejer.problems.transport.entropic_ot import EntropicOT
from fejer.problems.transport.map_fit import MapFit
from fejer.problems.transport.point_cloud import PointCloud

__all__ = ["ConvexPotential", "barycentric", "blobs", "convex_fit", "gaussians", "map_fit"]

Map = Callable[[Array], Array]

UNITS = 32  # of the convex potential


def gaussians(n: int, dim: int, seed: int = 0) -> tuple[Array, Array, Map]:
    """Return samples of two normal distributions, and the optimal map between these.

    The second has an off-centre mean and a covariance with eigenvalues from 1/4 to 4, so that the
    optimal map for the squared distance is ``x -> mean + A x`` with A symmetric and definite.

    Parameters
    ----------
    n : int
        Points of each sample.
    dim : int
        Coordinates.
    seed : int, default 0
        Seed of the generator.

    Examples
    --------
    >>> x, z, optimal = gaussians(5, 2)
    >>> optimal(x).shape == z.shape
    True
    """
    rng = np.random.default_rng(seed)
    turn = np.linalg.qr(rng.normal(size=(dim, dim)))[0]
    A = (turn * np.geomspace(0.5, 2.0, dim)) @ turn.T
    mean = np.ones(dim)
    x = rng.normal(size=(n, dim))
    z = rng.normal(size=(n, dim)) @ A + mean
    return x, z, lambda points: points @ A + mean


def blobs(n: int, seed: int = 0) -> tuple[Array, Array, None]:
    """Return samples of one blob and of four around it, in the plane.

    Parameters
    ----------
    n : int
        Points of each sample.
    seed : int, default 0
        Seed of the generator.

    Examples
    --------
    >>> blobs(6)[1].shape
    (6, 2)
    """
    rng = np.random.default_rng(seed)
    x = 0.5 * rng.normal(size=(n, 2))
    corners = np.array([[2.0, 0.0], [0.0, 2.0], [-2.0, 0.0], [0.0, -2.0]])
    z = corners[rng.integers(0, 4, n)] + 0.3 * rng.normal(size=(n, 2))
    return x, z, None


def map_fit(
    kind: str, n: int, map: str = "mlp", lam: float = 1.0, dim: int = 2, seed: int = 0
) -> MapFit:
    """Return the problem of fitting a map between two such samples.

    Parameters
    ----------
    kind : {"gaussians", "blobs"}
        Which samples.
    n : int
        Points of each.
    map : str, default "mlp"
        Family of maps.
    lam : float, default 1
        Weight of the gap.
    dim : int, default 2
        Coordinates of the Gaussian samples.
    seed : int, default 0
        Seed of the generator.

    Examples
    --------
    >>> map_fit("blobs", 8, "affine").lam
    1.0
    """
    x, z, _ = blobs(n, seed) if kind == "blobs" else gaussians(n, dim, seed)
    return MapFit(x, z, map, lam)


def barycentric(x: Array, z: Array, eps: float, cost: str = "sqeuclidean") -> Map:
    """Return the barycentric map of the entropic plan, extended by its second potential.

    ``T(y) = sum_j z_j p_j(y)`` with ``p_j(y)`` proportional to ``exp((g_j - c(y, z_j)) / eps)``.

    Parameters
    ----------
    x, z : array
        The samples.
    eps : float
        Weight of the entropy.
    cost : str, default "sqeuclidean"
        As for `PointCloud`.

    Examples
    --------
    >>> import numpy as np
    >>> line = np.linspace(0.0, 1.0, 4)[:, None]
    >>> moved = barycentric(line, line + 3.0, 1e-3)(line)
    >>> bool(np.abs(moved - line - 3.0).max() < 1e-6)
    True
    """
    from fejer.front import minimize

    problem = EntropicOT(None, None, PointCloud(x, z, cost), eps=eps)
    g = minimize(problem, tol=1e-8).x[len(x) :]

    def apply(points: Array) -> Array:
        t = (g - PointCloud(points, z, cost).toarray()) / eps
        p = np.exp(t - t.max(axis=1, keepdims=True))
        return np.asarray((p / p.sum(axis=1, keepdims=True)) @ z)

    return apply


class ConvexPotential:
    """Gradients of convex functions of one hidden layer.

    ``T(x) = mean + s (sum_j c_j^2 h'(w_j . y + b_j) w_j + d^2 y + v)`` with y = (x - mean) / s
    and h the softplus: for the squared distance every such map is optimal.

    Parameters
    ----------
    source : array, shape (n, d)
        The sample that sets mean and s.
    """

    def __init__(self, source: Array) -> None:
        self.mean, self.d = source.mean(axis=0), source.shape[1]
        self.spread = float(np.sqrt(((source - self.mean) ** 2).sum(axis=1).mean())) or 1.0
        self.size = UNITS * (self.d + 2) + 1 + self.d

    def _parts(self, theta: Array) -> tuple[Array, Array, Array, float, Array]:
        k, d = UNITS, self.d
        W = theta[: k * d].reshape(k, d)
        b, c = theta[k * d : k * d + k], theta[k * d + k : k * (d + 2)]
        return W, b, c, float(theta[k * (d + 2)]), theta[k * (d + 2) + 1 :]

    def initial(self) -> Array:
        """Return a map near to the identity."""
        rng = np.random.default_rng(0)
        W, b = rng.normal(size=UNITS * self.d), rng.normal(size=UNITS)
        return np.concatenate([W, b, np.full(UNITS, 0.1), [1.0], np.zeros(self.d)])

    def apply(self, theta: Array, x: Array) -> Array:
        """Return the images of points.

        Parameters
        ----------
        theta : array
            The parameters.
        x : array
            Points.
        """
        W, b, c, root, v = self._parts(theta)
        y = (x - self.mean) / self.spread
        s = 1.0 / (1.0 + np.exp(-np.clip(y @ W.T + b, -700, 700)))
        return np.asarray(self.mean + self.spread * ((s * c**2) @ W + root**2 * y + v))

    def pull(self, theta: Array, x: Array, gradient: Array) -> Array:
        """Return the gradient in the parameters.

        Parameters
        ----------
        theta : array
            The parameters.
        x : array
            Points.
        gradient : array
            That in their images.
        """
        W, b, c, root, _ = self._parts(theta)
        y, G = (x - self.mean) / self.spread, self.spread * gradient
        s = 1.0 / (1.0 + np.exp(-np.clip(y @ W.T + b, -700, 700)))
        along = G @ W.T
        bend = s * (1.0 - s) * along * c**2
        parts = (
            ((s * c**2).T @ G + bend.T @ y).ravel(),
            bend.sum(axis=0),
            2.0 * c * (s * along).sum(axis=0),
            np.array([2.0 * root * (y * G).sum()]),
            G.sum(axis=0),
        )
        return np.concatenate(parts)

    def jacobian(self, theta: Array, x: Array) -> Array:
        """Return the derivative of the images in the parameters.

        Parameters
        ----------
        theta : array
            The parameters.
        x : array
            Points.
        """
        rows = np.eye(x.size).reshape(x.size, *x.shape)
        return np.array([self.pull(theta, x, row) for row in rows])


@dataclass(frozen=True, eq=False)
class _ConvexFit(MapFit):
    """The fit of such a gradient: optimal by construction, so that there is no gap to pay for."""

    @property
    def family(self) -> Family:
        return self.fact("convex", ("source",), lambda: ConvexPotential(self.source))  # type: ignore[no-any-return]


def convex_fit(x: Array, z: Array) -> MapFit:
    """Return the problem of fitting the gradient of a convex function by the divergence alone.

    Parameters
    ----------
    x, z : array
        The samples.

    Examples
    --------
    >>> problem = convex_fit([[0.0], [1.0]], [[1.0], [2.0]])
    >>> problem.lam
    0.0
    """
    return _ConvexFit(x, z, "mlp", 0.0)
