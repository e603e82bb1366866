"""Group distributionally robust logistic regression."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from fejer.errors import ProblemError
from fejer.evidence import EMPTY, Array, Certificate, failed
from fejer.numerics.arrays import float_array
from fejer.numerics.prox_kernels import project_simplex
from fejer.problem import as_number, as_vector

from ._operators import ROUNDING
from ._sampled import Sampled, Samples, finite_sum, group_logistic, into_ball, saddle_norm
from .monotone_inclusion import MonotoneInclusion

__all__ = ["GroupDROLogistic"]

KIND = "duality gap"
OUTSIDE = 1e-9


@dataclass(frozen=True, eq=False)
class _BallAndSimplex:
    """The projection on a ball and a simplex."""

    split: int
    radius: float

    def __call__(self, v: Array, eta: float) -> Array:
        out = v.copy()
        out[: self.split] = into_ball(v[: self.split], self.radius)
        project_simplex(v[self.split :], 1.0, out[self.split :])
        return out


@dataclass(frozen=True, eq=False)
class GroupDROLogistic(Sampled):
    """Logistic regression for the group that fares worst.

    ``min over ||w|| <= radius of max_k f_k(w)``, f_k the mean logistic loss
    ``log(1 + exp(-y_i x_i'w))`` of group k; as a saddle point, max over q in the simplex of
    ``sum_k q_k f_k(w)``.

    Parameters
    ----------
    X : array_like, shape (n, d)
        Samples.
    y : array_like, shape (n,)
        Labels, -1 or 1.
    groups : array_like of int, shape (n,)
        Group of each sample, 0 to K - 1, each with at least one sample.
    radius : float
        Positive bound of ``||w||``.

    Raises
    ------
    ProblemError
        Names the field that is not as described.

    Notes
    -----
    The variable is ``(w, q)``, of length d + K; `result.coefficients`, `result.mixture` and
    `result.group_losses` are the parts and the f_k.

    Certificate, rigorous: with ``g = sum_k q_k grad f_k(w)`` the gap
    ``max_k f_k - q'f + g'w + radius ||g||`` bounds how far ``max_k f_k(w)`` is from optimal, since
    f is convex; it is divided by log 2, the loss of w = 0. Points off ball or simplex by up to 1e-9
    (relative) are projected first and pay the distance; beyond, the value is infinite.

    One unit of work is the loss and gradient of one sample.

    References
    ----------
    .. [1] Sagawa, Koh, Hashimoto, Liang (2020), Distributionally robust neural networks for group
       shifts, ICLR, arXiv:1911.08731.

    Examples
    --------
    >>> import fejer
    >>> problem = fejer.GroupDROLogistic.random()
    >>> result = fejer.minimize(problem, tol=1e-4)
    >>> result.success, bool(result.group_losses.max() <= result.fun + 1e-9)
    (True, True)
    """

    X: npt.ArrayLike
    y: npt.ArrayLike
    groups: npt.ArrayLike
    radius: float

    views = ("coefficients", "mixture", "group_losses")

    def __post_init__(self) -> None:
        X = float_array(self.X, "X", ndim=2, order="C")
        n = X.shape[0]
        y = as_vector(self.y, "y", n)
        if not np.isin(y, (-1.0, 1.0)).all():
            raise ProblemError("y: expected labels -1 and 1")
        given = as_vector(self.groups, "groups", n)
        groups = given.astype(np.int64)
        counts = np.bincount(groups) if groups.min() >= 0 and groups.max() < n else np.zeros(1)
        if (groups != given).any() or not counts.all():
            raise ProblemError("groups: expected each of the integers 0 to K - 1")
        groups.flags.writeable = False
        radius = as_number(self.radius, "radius", above=0, least=1e-100, most=1e100)
        self.set(X=X, y=y, groups=groups, radius=radius)

    @property
    def split(self) -> int:  # type: ignore[override]
        """Length of w."""
        return int(self.X.shape[1])  # type: ignore[union-attr]

    def _counts(self) -> Array:
        return np.bincount(self.groups).astype(np.float64)  # type: ignore[arg-type]

    def initial_point(self) -> Array:
        """Return w = 0 and the uniform mixture."""
        K = self._counts().size
        return np.concatenate([np.zeros(self.split), np.full(K, 1.0 / K)])

    def build_inclusion(self) -> MonotoneInclusion:
        """Build the finite sum with bounds of its constants."""
        X: Any = self.X
        counts, n = self._counts(), X.shape[0]
        shares = n / counts
        samples = Samples(group_logistic, self.initial_point().size, X, self.y, self.groups, shares)  # type: ignore[arg-type]
        tops = np.array(
            [
                np.linalg.norm(X[self.groups == k], 2) ** 2 / counts[k]  # type: ignore[comparison-overlap]
                for k in range(counts.size)
            ]
        )
        whole = saddle_norm(tops.max() / 4.0, float(np.sqrt(tops.sum())))
        sizes = np.linalg.norm(X, axis=1)
        weights = shares[self.groups]  # type: ignore[index]
        each = [w * saddle_norm(s * s / 4.0, s) for w, s in zip(weights, sizes, strict=True)]
        constant = float(np.sqrt(np.mean(np.square(each))))
        project = _BallAndSimplex(self.split, self.radius)
        return finite_sum(samples, samples.size, whole, constant, project)

    def _losses(self, w: Array) -> tuple[Array, Array, Array]:
        """Mean loss of each group, and per sample slope and rounding error of the loss."""
        X: Any = self.X
        y: Any = self.y
        groups: Any = self.groups
        margins = y * (X @ w)
        losses = np.logaddexp(0.0, -margins)
        slopes = -y * 0.5 * (1.0 - np.tanh(0.5 * margins))
        errors = ROUNDING * (np.abs(X) @ np.abs(w) + losses)
        means = np.bincount(groups, losses) / self._counts()
        return means, slopes, errors

    def coefficients(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> Array:
        """Return w."""
        return into_ball(x[: self.split], self.radius).copy()

    def mixture(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> Array:
        """Return the weights of the groups."""
        q = np.empty(x.size - self.split)
        project_simplex(x[self.split :], 1.0, q)
        return q

    def group_losses(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> Array:
        """Return the mean loss of each group."""
        return self._losses(self.coefficients(x))[0]

    def certificate(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> Certificate:
        """Bound how far the worst group's loss is from optimal.

        Parameters
        ----------
        x : array, shape (d + K,)
            Coefficients and mixture.
        witness : mapping, optional
            Not needed.

        Returns
        -------
        Certificate
        """
        w, q = self.coefficients(x), x[self.split :]
        scale = float(np.log(2.0))
        if not np.abs(q).max() <= 2.0:
            return failed(KIND, "the mixture is not in the simplex", scale=scale)
        q = self.mixture(x)
        off = [
            float(np.linalg.norm(w - x[: self.split])) / self.radius,
            float(np.linalg.norm(q - x[self.split :])),
        ]
        if not max(off) <= OUTSIDE:
            return failed(KIND, f"x is {max(off):.2g} outside ball and simplex", scale=scale)
        means, slopes, errors = self._losses(w)
        weights = (q / self._counts())[self.groups]  # type: ignore[index]
        g = self.X.T @ (weights * slopes)  # type: ignore[union-attr]
        size = float(np.linalg.norm(g))
        worst = float(means.max())
        gap = worst - float(q @ means) + float(g @ w) + self.radius * size
        terms = worst + float(np.abs(g) @ np.abs(w)) + self.radius * size
        moduli = np.abs(self.X).T @ (weights * np.abs(slopes))  # type: ignore[arg-type,union-attr]
        terms += self.radius * float(np.linalg.norm(moduli))
        floor = (2.0 * float(errors.max()) + ROUNDING * terms) / scale + sum(off)
        return Certificate(
            KIND,
            max(gap, 0.0) / scale + floor,
            worst,
            rigorous=True,
            scale=scale,
            lower_bound=worst - gap,
            details={"gap": gap, "floor": floor},
        )

    @classmethod
    def random(
        cls, n: int = 60, d: int = 3, n_groups: int = 3, radius: float = 5.0, *, seed: int = 0
    ) -> Self:
        """Draw groups of falling size, each with a direction and a bias of its own.

        Parameters
        ----------
        n, d, n_groups : int, default 60, 3 and 3
            Samples, features, groups.
        radius : float, default 5.0
            Bound of the norm.
        seed : int, default 0
            Seed of the generator.

        Returns
        -------
        GroupDROLogistic

        Examples
        --------
        >>> import fejer
        >>> fejer.GroupDROLogistic.random(40, 2, 2).size
        4
        """
        rng = np.random.default_rng(seed)
        shares = 0.5 ** np.arange(n_groups)
        groups = np.r_[
            np.arange(n_groups), rng.choice(n_groups, n - n_groups, p=shares / shares.sum())
        ]
        common, own = rng.standard_normal(d), rng.standard_normal((n_groups, d))
        X = rng.standard_normal((n, d))
        score = np.einsum("ij,ij->i", X, common + 0.7 * own[groups]) + rng.logistic(size=n)
        return cls(X, np.where(score > 0, 1.0, -1.0), groups, radius)
