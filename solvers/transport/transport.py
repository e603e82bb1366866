"""Optimal transport in one line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fejer.errors import ProblemError
from fejer.front import minimize
from fejer.problems.transport.entropic_ot import EntropicOT
from fejer.problems.transport.exact_ot import ExactOT
from fejer.problems.transport.point_cloud import PointCloud

if TYPE_CHECKING:
    from fejer.result import Result

__all__ = ["transport"]


def transport(
    x: Any,
    y: Any = None,
    *,
    a: Any = None,
    b: Any = None,
    cost: str | float = "sqeuclidean",
    eps: float | None = None,
    eps_rel: float | None = None,
    tol: float = 1e-6,
) -> Result:
    """Find the cheapest plan between two weighted sets of points.

    min over ``P >= 0`` with ``P 1 = a``, ``P' 1 = b`` of ``<C, P>``, with an entropy term if `eps`
    or `eps_rel` is given.

    Parameters
    ----------
    x : array_like, shape (n, d) or (n,); or (n, m)
        Points that mass leaves; without `y` a matrix of costs.
    y : array_like, shape (m, d) or (m,), optional
        Points where it arrives.
    a, b : array_like, shapes (n,) and (m,), optional
        Weights; uniform if not given.
    cost : {"sqeuclidean", "halfsq", "euclidean", "l1"} or float, default "sqeuclidean"
        Cost between points, as for `PointCloud`. With a matrix it has no meaning.
    eps : float, optional
        Weight of the entropy, in units of the cost.
    eps_rel : float, optional
        The same as a share of the largest cost.
    tol : float, default 1e-6
        Accuracy of the certificate.

    Returns
    -------
    Result
        Of `fejer.minimize`, with ``plan``, ``transport_cost``, ``potentials`` and ``bracket``.

    Raises
    ------
    ProblemError
        Data that do not fit, or both `eps` and `eps_rel`.

    Notes
    -----
    Without entropy the linear program is solved, with entropy `EntropicOT`; both choose their
    method themselves. A relative `eps` of 0.01 to 0.1 is a common choice for large sets.

    Examples
    --------
    >>> import fejer
    >>> result = fejer.transport([0.0, 1.0, 4.0], [5.0, 1.0, 2.0])
    >>> round(result.transport_cost, 6), result.success
    (1.0, True)
    >>> fejer.transport([[0.0, 2.0], [1.0, 0.0]], eps_rel=0.05).plan.shape
    (2, 2)
    """
    if y is None:
        if isinstance(x, PointCloud) or np.ndim(x) == 2:
            costs = x
        else:
            raise ProblemError("y: expected points where mass arrives, or a matrix of costs as x")
    else:
        costs = PointCloud(x, y, cost)
    if eps is None and eps_rel is None:
        return minimize(ExactOT(a, b, costs), tol=tol)
    return minimize(EntropicOT(a, b, costs, eps=eps, eps_rel=eps_rel), tol=tol)
