"""Random instances, and models for cvxpy, that the classes of the family share."""

from __future__ import annotations

from typing import Any

import numpy as np

from fejer.errors import missing
from fejer.evidence import Array
from fejer.problems.transport.point_cloud import PointCloud


def clouds(n: int, m: int | None, dim: int, seed: int) -> tuple[Array, Array, Array]:
    """Draw random weights of two Gaussian clouds, and squared distances with maximum 1."""
    rng = np.random.default_rng(seed)
    m = n if m is None else m
    x, y = rng.normal(size=(n, dim)), 0.7 * rng.normal(size=(m, dim)) + 1.0
    a, b = rng.uniform(0.5, 1.5, n), rng.uniform(0.5, 1.5, m)
    cost = PointCloud(x, y).toarray()
    return a / a.sum(), b / b.sum(), cost / cost.max()


def transport_model(a: Array, b: Array, cost: Any) -> tuple[Any, Any, Any, list[Any]]:
    """Return cvxpy, the plan, <C, P> and the constraints."""
    try:
        import cvxpy
    except ImportError as error:
        raise missing("cvxpy", "to_cvxpy", "oracle") from error
    model: Any = cvxpy  # its names have no types
    C = cost.toarray() if isinstance(cost, PointCloud) else cost
    P = model.Variable(C.shape, nonneg=True)
    allowed = np.isfinite(C)
    costs = model.sum(model.multiply(np.where(allowed, C, 0.0), P))
    constraints = [model.sum(P, axis=1) == a, model.sum(P, axis=0) == b]
    if not allowed.all():
        constraints.append(model.multiply(~allowed, P) == 0)
    return model, P, costs, constraints
