"""The objective of a fitted map at one point, with its derivatives."""

from __future__ import annotations

import math
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from fejer.errors import ProblemError
from fejer.evidence import Array
from fejer.problems.transport._clouds import bends, cost_gradient, paired_gradient
from fejer.problems.transport._curvature import moving, moving_both
from fejer.problems.transport._inner import between, within
from fejer.problems.transport.point_cloud import PointCloud

if TYPE_CHECKING:
    from fejer.problems.transport.map_fit import MapFit

LARGEST = 1e60  # images beyond which nothing is computed


class Fit:
    """Objective, gradient and their parts at one point."""

    def __init__(self, problem: MapFit, x: Array) -> None:
        self.x = x.copy()
        self.lam, self.eps, self.gap_eps = problem.lam, problem.epsilon, problem.gap_epsilon
        self.fun, self.grad = np.inf, np.full(x.size, np.nan)
        self.divergence = np.inf
        self._pairs: PointCloud | None = None
        self.size, self.doubt = 1.0, np.inf
        with np.errstate(all="ignore"):  # plans between far images overflow
            self._compute(problem, x)

    def _compute(self, problem: MapFit, x: Array) -> None:
        source, target = problem.source, problem.target
        y = problem.family.apply(x, source)
        if not np.isfinite(y).all() or np.abs(y).max() > LARGEST:
            return
        self._cross, self._own = PointCloud(target, y), PointCloud(y, y)
        first, self._P, off = between(self._cross.matrix, self.eps)
        second, self._Q, other = within(self._own.matrix, self.eps)
        third = problem.fact("own", ("source", "target", "eps"), lambda: _own(target, self.eps))
        self.divergence = first - 0.5 * second - 0.5 * third
        self.images_grad = cost_gradient(self._cross, self._P) - cost_gradient(self._own, self._Q)
        self._pairs = PointCloud(source, y, problem.cost)
        self.fun = self.divergence
        # The root mean square of |2 (y_i - z_j)| over all pairs.
        self.size = 2.0 * float(np.sqrt(self._cross.matrix.mean()))
        self.doubt = self.size * (off + other)
        if self.lam > 0:
            value, self._R, off = between(self._pairs.matrix, self.gap_eps)
            self.gap = self._gap(value)
            self.fun += self.lam * self.gap
            paired = paired_gradient(self._pairs) / len(y)
            self.images_grad += self.lam * (paired - cost_gradient(self._pairs, self._R))
            self.doubt += self.lam * self._gap_size() * off
        self.grad = problem.family.pull(x, source, self.images_grad)

    def _gap_size(self) -> float:
        """Largest gradient of the gap's cost."""
        assert self._pairs is not None
        largest, cost = float(self._pairs.matrix.max()), self._pairs.cost
        if cost == "l1":
            return math.sqrt(self._pairs.x.shape[1])
        if cost == "sqeuclidean" or cost == "halfsq":
            return 2.0 * math.sqrt(largest)
        power = 1.0 if cost == "euclidean" else float(cost)
        return power * largest ** (1.0 - 1.0 / power)

    def curvature(self) -> Array:
        """Return the Hessian in the images, point by point."""
        assert self._pairs is not None
        H = moving(self._cross, self._P, self.eps) - 0.5 * moving_both(self._own, self._Q, self.eps)
        if self.lam > 0:
            n, d = self._pairs.y.shape
            H -= self.lam * moving(self._pairs, self._R, self.gap_eps)
            places = np.arange(n)
            whole = H.reshape(n, d, n, d)
            whole[places, :, places, :] += self.lam * bends(self._pairs, np.eye(n) / n)
        return H

    @cached_property
    def gap(self) -> float:
        """The entropic Monge gap; computed when it is asked for where it has no weight."""
        if self._pairs is None:
            return np.inf
        return self._gap(between(self._pairs.matrix, self.gap_eps)[0])

    def _gap(self, value: float) -> float:
        assert self._pairs is not None
        paired = float(np.diagonal(self._pairs.matrix).mean())
        return paired - value + 2 * self.gap_eps * math.log(len(self._pairs.x))

    def not_finite(self) -> bool:
        """Whether objective or gradient are not finite."""
        return not (np.isfinite(self.fun) and np.isfinite(self.grad).all())

    def require_finite(self) -> None:
        """Refuse a start where they are not."""
        if self.not_finite():
            raise ProblemError("x0: the map leaves the range of the numbers there")


def _own(target: Array, eps: float) -> float:
    return within(PointCloud(target, target).matrix, eps)[0]
