"""Derivatives of costs between points."""

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
        gradient += (part * slopes(cloud, start, start + height)).sum(axis=0)
    return gradient


def slopes(cloud: PointCloud, start: int = 0, stop: int | None = None) -> Array:
    """``grad_y c(x_i, y_j)`` for some i and all j; 0 where the cost has a kink."""
    return _slopes(cloud, cloud.y - cloud.x[start:stop, None, :])


def _slopes(cloud: PointCloud, differences: Array) -> Array:
    if cloud.cost == "l1":
        return np.sign(differences)
    power = _power(cloud)
    if power == 2.0:
        return (1.0 if cloud.cost == "halfsq" else 2.0) * differences
    lengths = np.sqrt((differences**2).sum(axis=-1, keepdims=True))
    with np.errstate(divide="ignore", invalid="ignore"):
        found = power * lengths ** (power - 2.0) * differences
    return np.where(lengths > 0, found, 0.0)


def bends(cloud: PointCloud, plan: Array) -> Array:
    """``sum_i P_ij`` times the Hessian of ``c(x_i, y)`` in y at y_j; 0 where it has a kink."""
    x, y = cloud.x, cloud.y
    m, d = y.shape
    if cloud.cost == "l1":
        return np.zeros((m, d, d))
    power = _power(cloud)
    if power == 2.0:
        weights = plan.sum(axis=0) * (1.0 if cloud.cost == "halfsq" else 2.0)
        return np.asarray(weights[:, None, None] * np.eye(d))
    differences = y - x[:, None, :]
    lengths = np.sqrt((differences**2).sum(axis=2))
    with np.errstate(divide="ignore", invalid="ignore"):
        radial = np.where(lengths > 0, plan * power * lengths ** (power - 2.0), 0.0)
        units = np.where(lengths[:, :, None] > 0, differences / lengths[:, :, None], 0.0)
    turned = np.einsum("ij,ijk,ijl->jkl", radial, units, units, optimize=True)
    return np.asarray(radial.sum(axis=0)[:, None, None] * np.eye(d) + (power - 2.0) * turned)


def _power(cloud: PointCloud) -> float:
    """The power of the distance that the cost is, up to a factor."""
    if isinstance(cloud.cost, str):
        return 1.0 if cloud.cost == "euclidean" else 2.0
    return float(cloud.cost)


def paired_gradient(cloud: PointCloud) -> Array:
    """``grad_y c(x_i, y_i)`` for each i."""
    return _slopes(cloud, cloud.y - cloud.x)


def paired_costs(cloud: PointCloud) -> Array:
    """``c(x_i, y_i)`` for each i."""
    if len(cloud.x) != len(cloud.y):
        raise ProblemError(f"y: expected {len(cloud.x)} points, one for each x, got {len(cloud.y)}")
    parts = [
        np.diagonal(PointCloud(cloud.x[i : i + 64], cloud.y[i : i + 64], cloud.cost).matrix)
        for i in range(0, len(cloud.x), 64)
    ]
    return np.concatenate(parts)
