"""Second derivatives of entropic transport in points that move."""

from __future__ import annotations

import numpy as np

from fejer.evidence import Array
from fejer.problems.transport._clouds import bends, slopes
from fejer.problems.transport.point_cloud import PointCloud

RIDGE = 1e-13  # relative: cures nearly disconnected plans, whose Laplacians are nearly singular


def moving(cloud: PointCloud, plan: Array, eps: float) -> Array:
    """Hessian of the optimal value in the points y of a cloud, for the optimal plan.

    The envelope theorem holds the potentials; their response to the points is one solution with
    ``M = [[diag(P 1), P], [P', diag(P' 1)]]``.
    """
    G = slopes(cloud)
    n, m, d = G.shape
    weighted = plan[:, :, None] * G
    own = bends(cloud, plan) - np.einsum("ijk,ijl->jkl", weighted, G) / eps
    B = np.zeros((n + m, m, d))
    B[:n] = weighted
    B[n + np.arange(m), np.arange(m)] = weighted.sum(axis=0)
    B = B.reshape(n + m, m * d)
    M = np.empty((n + m, n + m))
    M[:n, :n], M[n:, n:] = np.diag(plan.sum(axis=1)), np.diag(plan.sum(axis=0))
    M[:n, n:], M[n:, :n] = plan, plan.T
    # (1, -1) is in the kernel of M and orthogonal to B: what is added there changes nothing.
    kernel = np.append(np.ones(n), -np.ones(m)) / (n + m)
    M += np.outer(kernel, kernel)
    H = np.zeros((m, d, m, d))
    H[np.arange(m), :, np.arange(m), :] = own
    return H.reshape(m * d, m * d) + _response(M, B) / eps


def moving_both(cloud: PointCloud, plan: Array, eps: float) -> Array:
    """The same for a sample y and itself, squared distances and a symmetric plan."""
    G = slopes(cloud)
    n, _, d = G.shape
    weighted = plan[:, :, None] * G
    pairs = (2.0 / eps) * np.einsum("ijk,ijl->ijkl", weighted, G)
    pairs -= 4.0 * plan[:, :, None, None] * np.eye(d)
    places = np.arange(n)
    pairs[places, places] -= pairs.sum(axis=1)
    B = weighted.copy()  # slopes in y_j; those in y_i are the negative ones
    B[places, places] -= weighted.sum(axis=1)
    M = np.diag(plan.sum(axis=1)) + plan
    H = pairs.transpose(0, 2, 1, 3).reshape(n * d, n * d)
    return H + (2.0 / eps) * _response(M, B.reshape(n, n * d))


def _response(M: Array, B: Array) -> Array:
    """``B' M^-1 B`` for a symmetric M without negative eigenvalues."""
    from scipy.linalg import cho_factor, cho_solve

    diagonal = np.diagonal(M)
    M = M + RIDGE * float(diagonal.mean()) * np.eye(len(M))
    return np.asarray(B.T @ cho_solve(cho_factor(M, lower=True, check_finite=False), B))
