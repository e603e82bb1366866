"""The Sinkhorn divergence of two samples."""

from __future__ import annotations

from typing import Any

import numpy as np

from fejer.evidence import Array
from fejer.problem import as_number
from fejer.problems.transport._clouds import cost_gradient
from fejer.problems.transport._polytope import as_weights
from fejer.problems.transport.point_cloud import PointCloud
from fejer.solvers.transport._self_transport import kl_value, self_value

__all__ = ["sinkhorn_divergence"]

TOL = 1e-10


def sinkhorn_divergence(
    x: Any, y: Any, eps: float, a: Any = None, b: Any = None, grad: bool = False
) -> Any:
    """Return the Sinkhorn divergence of two weighted sets of points, for the squared distance.

    ``S(a, b) = W(a, b) - W(a, a) / 2 - W(b, b) / 2`` with
    ``W(a, b) = min over plans P of sum_ij P_ij |x_i - y_j|^2 + eps KL(P | a b')``.

    Parameters
    ----------
    x : array_like, shape (n, d) or (n,)
        First points.
    y : array_like, shape (m, d) or (m,)
        Second points.
    eps : float
        Weight of the entropy, in units of the squared distance.
    a, b : array_like, shapes (n,) and (m,), optional
        Weights, uniform if not given; they are scaled to mass 1.
    grad : bool, default False
        Return the gradient with respect to `x`, too.

    Returns
    -------
    float, or pair of float and array of the shape of x

    Raises
    ------
    ProblemError
        Points or weights that are not numbers, different masses, ``eps`` that is not positive.

    Notes
    -----
    S is at least 0, and 0 for equal measures only; it is never clipped, so that rounding and the
    accuracy of the three problems (1e-10 each, of which the first is certified) can show as a tiny
    negative number. As eps falls it tends to the squared Wasserstein distance, as eps grows to the
    squared distance of the means.

    References
    ----------
    .. [1] J. Feydy, T. Séjourné, F.-X. Vialard, S. Amari, A. Trouvé, G. Peyré (2019), Interpolating
       between optimal transport and MMD using Sinkhorn divergences, arXiv:1810.08278.

    Examples
    --------
    >>> import fejer
    >>> x = [[0.0, 0.0], [1.0, 0.0]]
    >>> value, gradient = fejer.sinkhorn_divergence(x, [[0.0, 2.0], [1.0, 2.0]], 0.1, grad=True)
    >>> round(value, 6), gradient.round(4) + 0.0
    (4.0, array([[ 0., -2.],
           [ 0., -2.]]))
    """
    eps = as_number(eps, "eps", above=0)
    cross = PointCloud(x, y)
    a, b = as_weights(a, b, cross.shape)
    a, b = a / a.sum(), b / b.sum()
    within, beyond = PointCloud(cross.x, cross.x), PointCloud(cross.y, cross.y)
    between, P = kl_value(a, b, cross, eps, TOL)
    first, Q = self_value(a, within, eps, TOL)
    second, _ = self_value(b, beyond, eps, TOL)
    value = between - 0.5 * first - 0.5 * second
    if not grad:
        return float(value)
    # By symmetry half of the self term's two-sided gradient is its one-sided one.
    gradient: Array = cost_gradient(PointCloud(cross.y, cross.x), P.T) - cost_gradient(within, Q)
    return float(value), gradient.reshape(np.shape(x))
