"""Fitting a map that moves one sample to another and pays as little as possible."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from fejer.errors import ProblemError, did_you_mean
from fejer.evidence import EMPTY, Array, Certificate, failed
from fejer.numerics.arrays import float_array
from fejer.problem import Problem, as_number
from fejer.problems.transport._map_objective import Fit
from fejer.problems.transport._maps import FAMILIES, Family
from fejer.problems.transport.point_cloud import PointCloud

__all__ = ["MapFit"]

KIND = "gradient norm"
AUTO = ("image-newton", "lbfgs", "adam")
MODERATE = 1000  # coordinates of images for which the first is the fastest


@dataclass(frozen=True, eq=False)
class MapFit(Problem):
    """Fit a map by the Sinkhorn divergence, regularised by the Monge gap.

    min over theta of ``S_eps(T(x), z) + lam M_eps(x, T(x))``: x the source, z the target, S the
    divergence of `fejer.sinkhorn_divergence` (of squared distances), M the gap of
    `fejer.monge_gap`. Without the second term any map of one sample to the other is a solution;
    with it those that are optimal for the cost of the gap are.

    The variable is theta.

    Parameters
    ----------
    source : array_like, shape (n, d)
        Sample that is moved.
    target : array_like, shape (m, d)
        Sample that it is moved to.
    map : {"affine", "rbf", "mlp"}, default "affine"
        ``A (x - mean) / s + b`` with s the spread of the source and theta = (A, b);
        ``x + sum_l w_l exp(-|x - c_l|^2 / (2 h^2))`` with up to 64 centres from the source and h
        the median distance; a perceptron with two hidden layers of 64 softplus units, added to x.
    lam : float, default 1.0
        Weight of the gap, at least 0.
    eps : float, optional
        Weight of the entropy in both terms; if not given, 0.05 of the mean of each term's cost
        between the samples.
    cost : {"sqeuclidean", "halfsq", "euclidean", "l1"} or float, default "sqeuclidean"
        Cost for which the map is to be optimal, as for `PointCloud`; only the gap knows it.

    Raises
    ------
    ProblemError
        Samples of different dimensions or with entries that are not finite; an unknown map or
        cost; a negative ``lam``; ``eps`` that is not positive.

    Notes
    -----
    The inner problems are solved by Sinkhorn's iterations from potentials 0, and by Newton's method
    where these are slow, to a violation of 1e-10 of the marginals; by the envelope theorem the
    plans then give the gradient in T(x), the adjoint of the map that in theta.

    Certificate: the gradient norm in theta, relative to the root mean square of the costs'
    gradients under the product of both samples at the point (not under a plan); for "rbf" and "mlp"
    relative to the larger of that and the gradient norm at the start. Never rigorous: the problem
    is not convex. For "euclidean" and "l1" the gap has kinks where images meet points of the
    source (for "l1": share a coordinate with them); the derivative is taken to be 0 there, one
    element of the generalised gradient, so that the value bounds the distance of that set from 0.

    Cost of an evaluation: three inner problems, a hundred products with an n by m matrix each and
    some solutions of m linear equations. Meant for up to some hundred points; memory
    O(n^2 + n m).

    References
    ----------
    .. [1] T. Uscidda, M. Cuturi (2023), The Monge gap: a regularizer to learn all transport maps,
       arXiv:2302.04953.

    Examples
    --------
    >>> import numpy as np, fejer
    >>> x = np.random.default_rng(0).normal(size=(30, 2))
    >>> result = fejer.minimize(fejer.MapFit(x, 2.0 * x + [3.0, 0.0]))
    >>> result.success, bool(np.abs(result.fitted_map(x) - 2 * x - [3.0, 0.0]).max() < 0.3)
    (True, True)
    """

    source: Any
    target: Any
    map: str = "affine"
    lam: float = 1.0
    eps: float | None = None
    cost: str | float = "sqeuclidean"

    views: ClassVar[tuple[str, ...]] = ("fitted_map", "gap", "divergence")

    bounds: ClassVar[None] = None
    difference_calls: ClassVar[int] = 0
    most_evaluations: ClassVar[int] = 1000  # in one call of an outside solver

    def __post_init__(self) -> None:
        source = float_array(self.source, "source", ndim=2)
        target = float_array(self.target, "target", ndim=2)
        if target.shape[1] != source.shape[1]:
            wanted, got = source.shape[1], target.shape[1]
            raise ProblemError(f"target: expected points of {wanted} coordinates, got {got}")
        if max(np.abs(source).max(), np.abs(target).max()) > 1e40:
            raise ProblemError("source, target: coordinates beyond 1e40 overflow; rescale the data")
        if not isinstance(self.map, str) or self.map not in FAMILIES:
            text = did_you_mean(self.map, FAMILIES) if isinstance(self.map, str) else ""
            raise ProblemError(f"map: unknown map {self.map!r:.80}. {text}")
        self.set(source=source, target=target, lam=as_number(self.lam, "lam", least=0))
        if self.eps is not None:
            as_number(self.eps, "eps", above=0)
            self.set(eps=as_number(self.eps, "eps", least=1e-100, most=1e100))
        self.set(cost=PointCloud(source[:1], target[:1], self.cost).cost)

    # ---- what depends on the data ----------------------------------------------------------
    @property
    def family(self) -> Family:
        """The family of maps."""
        return self.fact("family", ("source", "map"), lambda: FAMILIES[self.map](self.source))  # type: ignore[no-any-return]

    @property
    def epsilon(self) -> float:
        """Weight of the entropy."""
        if self.eps is not None:
            return self.eps
        return self.fact("epsilon", ("source", "target"), self._epsilon)  # type: ignore[no-any-return]

    def _epsilon(self) -> float:
        return 0.05 * float(PointCloud(self.source, self.target).toarray().mean()) or 1.0

    @property
    def gap_epsilon(self) -> float:
        """The same in the gap."""
        if self.eps is not None:
            return self.eps
        return self.fact("gap_epsilon", ("source", "target", "cost"), self._gap_epsilon)  # type: ignore[no-any-return]

    def _gap_epsilon(self) -> float:
        cloud = PointCloud(self.source, self.target, self.cost)
        return 0.05 * float(cloud.toarray().mean()) or 1.0

    @property
    def scale(self) -> float:
        """Gradients in the maximum norm below ``tol`` times this are small enough."""
        spread = float(np.sqrt(self.target.var(axis=0).sum()))
        return (2.0 * spread or 1.0) / math.sqrt(self.family.size)

    @property
    def judge_units(self) -> int:
        """Nothing: the last points are remembered."""
        return 0

    def initial_point(self) -> Array:
        """Return the identity, or (for "mlp") a map near to it."""
        return self.family.initial()

    def project(self, x: Array) -> Array:
        """Return a copy: there are no bounds.

        Parameters
        ----------
        x : array
            Any point.
        """
        return np.array(x)

    def auto(self) -> tuple[str, ...]:
        """Return method names, the first choice first."""
        return AUTO if self.source.size <= MODERATE else AUTO[1:]

    def evaluate(self, x: Array) -> Fit:
        """Return objective and gradient at ``x``."""
        return Fit(self, x)

    # ---- the certificate ---------------------------------------------------------------------
    def certificate(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> Certificate:
        """Judge parameters by the gradient; there is no witness."""
        fit: Fit = self.oracle(x)
        if fit.not_finite():
            return failed(KIND, "the map leaves the range of the numbers")
        norm, scale = float(np.linalg.norm(fit.grad)), fit.size or 1.0
        if self.map != "affine":
            scale = max(scale, self._slope_at_start())
        floor = fit.doubt / scale
        return Certificate(
            KIND,
            norm / scale + floor,
            fit.fun,
            scale=scale,
            details={
                "floor": floor,
                "projected_gradient": float(np.abs(fit.grad).max()),
                "divergence": fit.divergence,
                "gap": fit.gap,
            },
        )

    def _slope_at_start(self) -> float:
        data = ("source", "target", "map", "lam", "eps", "cost")
        start = self.initial_point
        return self.fact("slope", data, lambda: float(np.linalg.norm(self.evaluate(start()).grad)))  # type: ignore[no-any-return]

    # ---- views ---------------------------------------------------------------------------------
    def fitted_map(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> Callable[[Any], Array]:
        """Return the map as a function of points.

        Parameters
        ----------
        x : array
            The parameters.
        witness : mapping
            Not used.
        """
        return _Map(self, np.array(x))

    def gap(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> float:
        """Return the entropic Monge gap on the source.

        Parameters
        ----------
        x : array
            The parameters.
        witness : mapping
            Not used.
        """
        return float(self.oracle(np.asarray(x)).gap)

    def divergence(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> float:
        """Return the Sinkhorn divergence between images and target.

        Parameters
        ----------
        x : array
            The parameters.
        witness : mapping
            Not used.
        """
        return float(self.oracle(np.asarray(x)).divergence)

    # ---- instances -------------------------------------------------------------------------------
    @classmethod
    def random(
        cls, n: int = 12, dim: int = 2, map: str = "affine", lam: float = 1.0, *, seed: int = 0
    ) -> MapFit:
        """Draw two Gaussian samples, the target stretched and moved.

        Parameters
        ----------
        n : int, default 12
            Points of each sample.
        dim : int, default 2
            Coordinates.
        map : str, default "affine"
            Family of maps.
        lam : float, default 1
            Weight of the gap.
        seed : int, default 0
            Seed of the generator.
        """
        rng = np.random.default_rng(seed)
        x, z = rng.normal(size=(n, dim)), rng.normal(size=(n, dim))
        return cls(x, z * np.linspace(1.5, 0.7, dim) + 1.0, map, lam)


class _Map:
    """A fitted map."""

    def __init__(self, problem: MapFit, theta: Array) -> None:
        self.problem, self.theta = problem, theta

    def __call__(self, points: Any) -> Array:
        x = float_array(points, "points", ndim=2)
        if x.shape[1] != self.problem.source.shape[1]:
            wanted, got = self.problem.source.shape[1], x.shape[1]
            raise ProblemError(f"points: expected {wanted} coordinates, got {got}")
        return self.problem.family.apply(self.theta, x)

    def __repr__(self) -> str:
        return f"<{self.problem.map} map, {self.theta.size} parameters>"
