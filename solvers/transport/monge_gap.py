"""The Monge gap of a map, from samples."""

from __future__ import annotations

from typing import Any

import numpy as np

from fejer.front import minimize
from fejer.problem import as_number
from fejer.problems.transport._clouds import cost_gradient, paired_costs, paired_gradient
from fejer.problems.transport.entropic_ot import EntropicOT
from fejer.problems.transport.exact_ot import ExactOT
from fejer.problems.transport.point_cloud import PointCloud

__all__ = ["monge_gap"]

TOL = 1e-10


def monge_gap(
    x: Any, y: Any, cost: str | float = "sqeuclidean", eps: float | None = None, grad: bool = False
) -> Any:
    """Return how much dearer the pairing ``x_i -> y_i`` is than the cheapest one.

    ``(1/n) sum_i c(x_i, y_i) - W(x, y)``, W the cost of optimal transport between the samples.

    Parameters
    ----------
    x : array_like, shape (n, d) or (n,)
        Points.
    y : array_like, shape (n, d) or (n,)
        Their images ``T(x_i)``.
    cost : {"sqeuclidean", "halfsq", "euclidean", "l1"} or float, default "sqeuclidean"
        Cost between points, as for `PointCloud`.
    eps : float, optional
        Weight of an entropy: then ``W = min over P of <P, C> + eps sum P log P``. None: exact.
    grad : bool, default False
        Return the gradient with respect to `y`, too.

    Returns
    -------
    float, or pair of float and array of the shape of y

    Raises
    ------
    ProblemError
        Points that do not fit or are not finite, an unknown cost, ``eps`` that is not positive.

    Notes
    -----
    The exact gap is at least 0, and 0 if and only if the pairing is optimal on the sample: a
    certificate for the map that nothing else gives. For the squared distance that holds for all
    gradients of convex functions, for every cost ``h(x - y)`` with h convex for translations.

    With an entropy the gap is that of the published regulariser. It is at least ``eps log n`` for
    different points; subtract that to compare with the exact one.

    The gradient is that of the envelope theorem, with the optimal plan held fixed; the exact gap
    has kinks where the optimal plan changes.

    Cost: exact O(n^3) at worst, memory n^2.

    References
    ----------
    .. [1] T. Uscidda, M. Cuturi (2023), The Monge gap: a regularizer to learn all transport maps,
       arXiv:2302.04953.

    Examples
    --------
    >>> import numpy as np, fejer
    >>> x = np.random.default_rng(0).normal(size=(50, 2))
    >>> abs(fejer.monge_gap(x, x + 3.0, cost="euclidean")) < 1e-12
    True
    >>> round(fejer.monge_gap(x, -x), 6)
    7.151187
    """
    cloud = PointCloud(x, y, cost)
    paired = float(paired_costs(cloud).mean())
    if eps is None:
        result = minimize(ExactOT(None, None, cloud), tol=TOL)
        value = paired - result.fun
    else:
        eps = as_number(eps, "eps", above=0)
        result = minimize(EntropicOT(None, None, cloud, eps=eps), tol=TOL)
        # fun has sum P (log P - 1)
        value = paired - (result.fun + eps)
    if not grad:
        return float(value)
    gradient = paired_gradient(cloud) / len(cloud.x) - cost_gradient(cloud, result.plan.toarray())
    return float(value), gradient.reshape(np.shape(y))
