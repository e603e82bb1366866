"""Gradients of costs between points."""

from __future__ import annotations

import numpy as np

from fejer.errors import ProblemError
from fejer.evidence import Array
from fejer.problems.transport.point_cloud import PointCloud

SQUARED_BLOCK = 1 << 22  # numbers of the buffer of differences


def cost_gradient(cloud: PointCloud, plan: Array) -> Array:
    """``sum_i P_ij grad_y c(x_i, y_j)`` for each j; 0 where the cost has a kink."""
    x, y, cost = cloud.x, cloud.y, cloud.cost
    if cost == "sqeuclidean" or cost == "halfsq":
        factor = 2.0 if cost == "sqeuclidean" else 1.0
        return factor * (plan.sum(axis=0)[:, None] * y - plan.T @ x)  # type: ignore[no-any-return]
    gradient = np.zeros(y.shape)
    height = max(1, SQUARED_BLOCK // y.size)
    for start in range(0, len(x), height):
        part = plan[start : start + height, :, None]
        differences = y - x[start : start + height, None, :]
        if cost == "l1":
            gradient += (part * np.sign(differences)).sum(axis=0)
            continue
        lengths = np.sqrt((differences**2).sum(axis=2, keepdims=True))
        power = 1.0 if cost == "euclidean" else float(cost)
        with np.errstate(divide="ignore", invalid="ignore"):
            slopes = power * lengths ** (power - 2.0) * differences
        gradient += np.where(lengths > 0, part * slopes, 0.0).sum(axis=0)
    return gradient


def paired_gradient(cloud: PointCloud) -> Array:
    """``grad_y c(x_i, y_i)`` for each i."""
    n = len(cloud.x)
    rows = [cost_gradient(PointCloud(cloud.x[i : i + 1], cloud.y[i : i + 1], cloud.cost),
                          np.ones((1, 1))) for i in range(n)]  # fmt: skip
    return np.concatenate(rows)


def paired_costs(cloud: PointCloud) -> Array:
    """``c(x_i, y_i)`` for each i."""
    if len(cloud.x) != len(cloud.y):
        raise ProblemError(f"y: expected {len(cloud.x)} points, one for each x, got {len(cloud.y)}")
    parts = [
        np.diagonal(PointCloud(cloud.x[i : i + 64], cloud.y[i : i + 64], cloud.cost).matrix)
        for i in range(0, len(cloud.x), 64)
    ]
    return np.concatenate(parts)
