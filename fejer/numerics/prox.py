"""Proximal operators: prox, value and conjugate of the functions that problems are made of.

``p(v, t)`` is ``argmin_x t g(x) + ||x - v||^2 / 2`` for the convex function g of ``p``; so each of
these objects is also the resolvent ``(v, eta) -> J_{eta G}(v)`` of the subdifferential G of g.
For the indicator of a set, `t` plays no part and the prox is the projection.  Parameters of g are
keywords of a call, ``box(v, lower=0, upper=1)``, or bound once, ``Box(lower=0, upper=1)``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import ProblemError
from ..evidence import Array
from .groups import group_labels
from .prox_kernels import envelope_shares, project_l1_ball, project_simplex, tv_prox

__all__ = [
    "Box",
    "Fused",
    "Group",
    "GroupEnvelope",
    "L1Ball",
    "Prox",
    "Simplex",
    "SoftThreshold",
    "box",
    "fused",
    "group",
    "group_envelope",
    "l1_ball",
    "simplex",
    "soft_threshold",
]

SLACK = 1e-9  # a point this far from a set, relative to its size, counts as inside


@dataclass(frozen=True, eq=False)
class Prox:
    """Base of the proximal operators: a convex function g with its parameters.

    Notes
    -----
    Moreau's identity ``v = p(v, t) + t q(v / t, 1 / t)`` relates the prox of g to that of its
    conjugate, q; every prox is firmly nonexpansive.
    """

    def __call__(self, v: ArrayLike, t: float = 1.0, **parameters: Any) -> Array:
        """Return the prox of ``t g`` at v.

        Parameters
        ----------
        v : array_like
            The point.
        t : float, default 1.0
            Step, at least 0.
        **parameters
            Other parameters of g for this call.

        Raises
        ------
        ProblemError
            If v or t is nan or infinite, or t negative.
        """
        if not (0.0 <= t < math.inf):
            raise ProblemError(f"t: expected a finite number >= 0, got {t!r}")
        return (replace(self, **parameters) if parameters else self)._prox(_finite(v, "v"), t)

    def value(self, x: ArrayLike, **parameters: Any) -> float:
        """Return ``g(x)``; inf outside the domain."""
        return (replace(self, **parameters) if parameters else self)._value(_finite(x, "x"))

    def conjugate(self, y: ArrayLike, **parameters: Any) -> float:
        """Return ``g*(y) = sup_x <x, y> - g(x)``; inf outside its domain."""
        return (replace(self, **parameters) if parameters else self)._conjugate(_finite(y, "y"))

    def bind(self, **parameters: Any) -> Self:
        """Return the operator with other parameters."""
        return replace(self, **parameters)

    def _prox(self, v: Array, t: float) -> Array:
        raise TypeError(f"{type(self).__name__} has no prox")

    def _value(self, x: Array) -> float:
        raise TypeError(f"{type(self).__name__} has no value")

    def _conjugate(self, y: Array) -> float:
        raise TypeError(f"{type(self).__name__} has no conjugate")


@dataclass(frozen=True, eq=False)
class SoftThreshold(Prox):
    """The l1 norm, ``g(x) = sum_i weights_i |x_i|``.

    Parameters
    ----------
    weights : float or ndarray, default 1.0
        At least 0.

    Examples
    --------
    >>> from fejer.numerics.prox import soft_threshold
    >>> soft_threshold([3.0, -0.5, -2.0], 1.0)
    array([ 2., -0., -1.])
    """

    weights: Any = 1.0

    def _prox(self, v: Array, t: float) -> Array:
        return np.asarray(np.copysign(np.maximum(np.abs(v) - t * np.asarray(self.weights), 0.0), v))

    def _value(self, x: Array) -> float:
        return float(np.sum(np.asarray(self.weights) * np.abs(x)))

    def _conjugate(self, y: Array) -> float:
        return _indicator(np.all(np.abs(y) <= np.asarray(self.weights) * (1.0 + SLACK)))


@dataclass(frozen=True, eq=False)
class Group(Prox):
    """The group norm, ``g(x) = sum_g weights_g ||x_g||``.

    Parameters
    ----------
    groups : int, array of int, or sequence of index lists, optional
        Size of consecutive groups, or the label of each entry, or a partition of the indices; None
        is one group.
    weights : float or ndarray, optional
        One per group; the root of its size if not given.

    Examples
    --------
    >>> from fejer.numerics.prox import group
    >>> group([3.0, 4.0, 1.0, 0.0], 2.5, groups=2, weights=1.0)
    array([1.5, 2. , 0. , 0. ])
    """

    groups: Any = None
    weights: Any = None

    def _parts(self, v: Array) -> tuple[NDArray[np.intp], Array, Array]:
        """Labels, norms and weights of the groups."""
        labels = group_labels(self.groups, v.size)
        norms = np.sqrt(np.bincount(labels, v * v))
        weights = np.sqrt(np.bincount(labels)) if self.weights is None else self.weights
        return labels, norms, np.broadcast_to(weights, norms.shape)

    def _prox(self, v: Array, t: float) -> Array:
        labels, norms, weights = self._parts(v)
        factor = np.maximum(norms - t * weights, 0.0) / np.where(norms > 0.0, norms, 1.0)
        return np.asarray(v * factor[labels])

    def _value(self, x: Array) -> float:
        _, norms, weights = self._parts(x)
        return float(weights @ norms)

    def _conjugate(self, y: Array) -> float:
        _, norms, weights = self._parts(y)
        return _indicator(np.all(norms <= weights * (1.0 + SLACK)))


@dataclass(frozen=True, eq=False)
class Box(Prox):
    """The indicator of ``lower <= x <= upper``; by default of ``x >= 0``.

    Parameters
    ----------
    lower : float or ndarray, default 0.0
        Lower bounds; -inf where there is none.
    upper : float or ndarray, default inf
        Upper bounds; inf where there is none.

    Examples
    --------
    >>> from fejer.numerics.prox import box
    >>> box([-1.0, 0.5, 7.0], upper=2.0)
    array([0. , 0.5, 2. ])
    """

    lower: Any = 0.0
    upper: Any = math.inf

    def _prox(self, v: Array, t: float) -> Array:
        return np.asarray(np.minimum(np.maximum(v, self.lower), self.upper))

    def _value(self, x: Array) -> float:
        return _indicator(np.all(np.abs(x - self._prox(x, 1.0)) <= SLACK * (1.0 + np.abs(x))))

    def _conjugate(self, y: Array) -> float:
        bound = np.where(y > 0.0, self.upper, self.lower)
        return float(np.sum(np.multiply(y, bound, out=np.zeros_like(y), where=y != 0.0)))


@dataclass(frozen=True, eq=False)
class Simplex(Prox):
    """The indicator of ``{x >= 0, sum_i x_i = total}``, of each row where x is a matrix.

    Parameters
    ----------
    total : float, default 1.0
        Positive.

    Examples
    --------
    >>> from fejer.numerics.prox import simplex
    >>> simplex([0.5, 1.5, -3.0])
    array([0., 1., 0.])
    """

    total: float = 1.0

    def _prox(self, v: Array, t: float) -> Array:
        _positive(self.total, "total")
        out = np.empty(v.shape)
        for row, into in zip(np.atleast_2d(v), np.atleast_2d(out), strict=True):
            project_simplex(row, float(self.total), into)
        return out

    def _value(self, x: Array) -> float:
        gap = np.abs(x.sum(axis=-1) - self.total)
        return _indicator(x.min() >= -SLACK * self.total and np.all(gap <= SLACK * self.total))

    def _conjugate(self, y: Array) -> float:
        return float(self.total * np.sum(y.max(axis=-1)))


@dataclass(frozen=True, eq=False)
class L1Ball(Prox):
    """The indicator of ``{sum_i |x_i| <= radius}``.

    Parameters
    ----------
    radius : float, default 1.0
        Positive.

    Examples
    --------
    >>> from fejer.numerics.prox import l1_ball
    >>> l1_ball([3.0, -2.0], radius=2.0)
    array([ 1.5, -0.5])
    """

    radius: float = 1.0

    def _prox(self, v: Array, t: float) -> Array:
        _positive(self.radius, "radius")
        out = np.empty(v.shape)
        project_l1_ball(v, float(self.radius), out)
        return out

    def _value(self, x: Array) -> float:
        return _indicator(np.abs(x).sum() <= self.radius * (1.0 + SLACK))

    def _conjugate(self, y: Array) -> float:
        return float(self.radius * np.abs(y).max())


@dataclass(frozen=True, eq=False)
class Fused(Prox):
    """The total variation of a sequence, ``g(x) = sum_i |x_{i+1} - x_i|``.

    Notes
    -----
    Exact, in time proportional to the length, by dynamic programming over the derivative of the
    value function [1]_.

    References
    ----------
    .. [1] N. A. Johnson (2013). A dynamic programming algorithm for the fused lasso and
       L0-segmentation, Journal of Computational and Graphical Statistics 22(2).

    Examples
    --------
    >>> from fejer.numerics.prox import fused
    >>> fused([0.0, 0.0, 4.0, 4.0], 1.0)
    array([0.5, 0.5, 3.5, 3.5])
    """

    def _prox(self, v: Array, t: float) -> Array:
        out = np.empty(v.shape)
        tv_prox(v, float(t), out)
        return out

    def _value(self, x: Array) -> float:
        return float(np.abs(np.diff(x)).sum())

    def _conjugate(self, y: Array) -> float:
        sums = np.cumsum(y)
        rounding = SLACK + 1e-15 * float(np.abs(y).sum())
        return _indicator(np.all(np.abs(sums[:-1]) <= 1.0 + rounding) and abs(sums[-1]) <= rounding)


@dataclass(frozen=True, eq=False)
class GroupEnvelope(Prox):
    """The group-sparse envelope, the convex envelope of a squared norm of at most k groups.

    ``g = h**`` with ``h(x) = sum_g weights_g ||x_g||^2 / 2`` where at most k groups of x differ
    from 0, and inf elsewhere; equally ``g(x) = min sum_g weights_g ||x_g||^2 / (2 u_g)`` over
    ``0 <= u <= 1, sum_g u_g <= k``.

    Parameters
    ----------
    k : int, default 1
        Number of groups, at least 1.
    groups : int, array of int, or sequence of index lists, default 1
        As in `Group`; single entries if not given.
    weights : float or ndarray, default 1.0
        One per group, positive.

    References
    ----------
    .. [1] arXiv:2212.12921 (the weighted group-sparse envelope).
    .. [2] A. Beck, Y. Refael (2022). Sparse regularization via bidualization, Journal of Global
       Optimization 82.

    Examples
    --------
    >>> from fejer.numerics.prox import group_envelope
    >>> group_envelope([4.0, 0.0, 0.0], 1.0, k=1)
    array([2., 0., 0.])
    """

    k: int = 1
    groups: Any = 1
    weights: Any = 1.0

    def _parts(self, v: Array) -> tuple[NDArray[np.intp], Array, Array]:
        _positive(self.k, "k")
        labels = group_labels(self.groups, v.size)
        norms = np.sqrt(np.bincount(labels, v * v))
        return labels, norms, np.array(np.broadcast_to(self.weights, norms.shape), dtype=np.float64)

    def _prox(self, v: Array, t: float) -> Array:
        labels, norms, weights = self._parts(v)
        share = np.ones(norms.size)
        if np.count_nonzero(norms) > self.k and t > 0.0:
            envelope_shares(np.sqrt(weights) * norms, t * weights, float(self.k), share)
        return np.asarray(v * (share / (share + t * weights))[labels]) if t > 0.0 else v.copy()

    def _value(self, x: Array) -> float:
        _, norms, weights = self._parts(x)
        a = np.sort(np.sqrt(weights) * norms)[::-1]
        if self.k >= a.size:
            return float(0.5 * (a @ a))
        tails = np.cumsum(a[::-1])[::-1][: self.k]
        means = tails / np.arange(self.k, 0, -1)
        first = int(np.argmax(a[: self.k] <= means))  # the last one always is, up to rounding
        first = first if a[first] <= means[first] else self.k - 1
        return float(0.5 * (a[:first] @ a[:first] + tails[first] * means[first]))

    def _conjugate(self, y: Array) -> float:
        _, norms, weights = self._parts(y)
        return float(0.5 * np.sort(norms * norms / weights)[::-1][: self.k].sum())


soft_threshold = SoftThreshold()
group = Group()
box = Box()
simplex = Simplex()
l1_ball = L1Ball()
fused = Fused()
group_envelope = GroupEnvelope()


def _finite(v: ArrayLike, name: str) -> Array:
    array = np.ascontiguousarray(v, dtype=np.float64)
    if array.size == 0 or not np.isfinite(array).all():
        raise ProblemError(f"{name}: expected finite numbers")
    return array


def _positive(value: float, name: str) -> None:
    if not 0.0 < value < math.inf:
        raise ProblemError(f"{name}: expected a finite number > 0, got {value!r}")


def _indicator(inside: Any) -> float:
    return 0.0 if inside else math.inf
