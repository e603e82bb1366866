"""Unconstrained features: the last layer of a classifier and its inputs, both free."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from fejer.errors import ProblemError, missing
from fejer.evidence import EMPTY, Array, Certificate
from fejer.numerics.arrays import float_array
from fejer.problem import Problem, as_number

from . import _features
from ._factors import unpack
from ._observed import validated

if TYPE_CHECKING:
    import cvxpy

__all__ = ["UnconstrainedFeatures"]


@dataclass(frozen=True, eq=False)
class UnconstrainedFeatures(Problem):
    """A linear classifier and the features it is given, trained together: neural collapse.

    min over W (K, D), H (D, N) of ``||W H - T||_F^2/(2 N) + reg_w/2 ||W||_F^2 + reg_h/2 ||H||_F^2 +
    beta/2 ||H - H0||_F^2`` with N = K n samples, n of each class, and labels
    ``T = [e_1 ... e_1, e_2 ... e_2, ...]`` (K, N).

    Parameters
    ----------
    n_classes : int
        Number of classes K, at least 2.
    per_class : int
        Samples n of each class.
    dim : int
        Length D of a feature, at least K.
    reg_w, reg_h : float
        Ridge weights, positive.
    anchor : array_like, shape (D, N), optional
        Features H0 that the earlier layers deliver, class after class; needed if beta > 0.
    beta : float, default 0.0
        Weight of the distance to them.

    Attributes
    ----------
    views : tuple of str
        ``weights`` W, ``features`` H, ``nc1`` (variation within the classes, relative to that
        between them) and ``nc2`` (distance of the class means from an orthogonal frame).

    Raises
    ------
    ProblemError
        Names the field.

    Notes
    -----
    Variable: W and H', one after the other, row by row: the features of a sample are together.

    The problem is not convex, but for beta = 0 it is ``||X - T||^2/(2 N) + mu ||X||_*``,
    ``mu = sqrt(reg_w reg_h)``, over X = W H: its minimum is known (`optimum`), the features of a
    class coincide there (``nc1`` is 0) and the class means are orthogonal and equally long
    (``nc2`` is 0).

    Certificate: gap to a lower bound of the global minimum, from the residual ``(T - W H)/N`` with
    its singular values clipped at ``sqrt(reg_w (reg_h + beta))``, over ``min(F_0, max(F(x), 1e-6
    F_0))``, F_0 the objective at 0; rigorous. The bound holds with an anchor, too: a stationary
    point is a global minimum if nothing had to be clipped
    (``details["norm_over_limit"] <= 1``). Where it is above 1 and an anchor is given, what exact
    steps of W and of H would gain (its root, over that of F_0), and by how much a second order
    condition is violated, may be smaller: then that is the value, and it is not rigorous.

    Cost of a certificate: a thin singular value decomposition of a K x N matrix.

    References
    ----------
    .. [1] Tirer, Huang, Niles-Weed (2022), Perturbation analysis of neural collapse,
       arXiv:2210.16658.
    .. [2] Mixon, Parshall, Pi (2020), Neural collapse with unconstrained features,
       arXiv:2011.11619.

    Examples
    --------
    >>> import fejer
    >>> problem = fejer.UnconstrainedFeatures(4, 10, 6, reg_w=5e-3, reg_h=1e-3)
    >>> result = fejer.minimize(problem, tol=1e-10)
    >>> result.success, round(result.fun, 10), round(problem.optimum(), 10)
    (True, 0.0278842712, 0.0278842712)
    >>> result.nc1 < 1e-9, result.nc2 < 1e-4
    (True, True)
    """

    n_classes: int
    per_class: int
    dim: int
    reg_w: float
    reg_h: float
    anchor: Array | None = None
    beta: float = 0.0

    views = ("weights", "features", "nc1", "nc2")

    def __post_init__(self) -> None:
        most = 2**31 - 1
        K = as_number(self.n_classes, "n_classes", least=2, most=most, integer=True)
        n = as_number(self.per_class, "per_class", least=1, most=most, integer=True)
        dim = as_number(self.dim, "dim", least=K, most=most, integer=True)
        reg_w = as_number(self.reg_w, "reg_w", above=0)
        reg_h = as_number(self.reg_h, "reg_h", above=0)
        beta = as_number(self.beta, "beta", least=0)
        anchor = self.anchor
        if anchor is not None:
            if not validated(anchor):
                anchor = float_array(anchor, "anchor", ndim=2)
            if anchor.shape != (dim, K * n):
                wanted = f"({dim}, {K * n}) as dim and the samples say"
                raise ProblemError(f"anchor: expected shape {wanted}, got {anchor.shape}")
        elif beta > 0:
            raise ProblemError("anchor: expected features for beta > 0, got None")
        fields: dict[str, Any] = {"n_classes": K, "per_class": n, "dim": dim, "anchor": anchor}
        self.set(**fields, reg_w=reg_w, reg_h=reg_h, beta=beta)

    @classmethod
    def random(
        cls,
        n_classes: int = 4,
        per_class: int = 10,
        dim: int = 6,
        *,
        reg_w: float = 5e-3,
        reg_h: float = 1e-3,
        beta: float = 0.0,
        noise: float = 0.3,
        seed: int = 0,
    ) -> Self:
        """Draw an anchor: normal class means, and normal noise around them.

        Parameters
        ----------
        n_classes, per_class, dim : int, default 4, 10 and 6
            Numbers of classes and of samples of each, length of a feature.
        reg_w, reg_h : float, default 5e-3 and 1e-3
            Ridge weights.
        beta : float, default 0.0
            Weight of the distance to the anchor; 0: nothing depends on the draw.
        noise : float, default 0.3
            Standard deviation of the noise; that of the means is 1.
        seed : int, default 0
            Seed.

        Examples
        --------
        >>> import fejer
        >>> fejer.UnconstrainedFeatures.random(beta=0.1).anchor.shape
        (6, 40)
        """
        rng = np.random.default_rng(seed)
        means = np.repeat(rng.standard_normal((dim, n_classes)), per_class, axis=1)
        anchor = means + noise * rng.standard_normal(means.shape)
        return cls(n_classes, per_class, dim, reg_w, reg_h, anchor, beta)

    # ---- the contract ----------------------------------------------------------------------
    @property
    def samples(self) -> int:
        """Number N of samples."""
        return self.n_classes * self.per_class

    @property
    def size(self) -> int:
        """Number of entries of both factors."""
        return self.dim * (self.n_classes + self.samples)

    @property
    def unit(self) -> int:
        """Units of work in one pass: the entries of the labels."""
        return self.n_classes * self.samples

    @property
    def judge_units(self) -> int:
        """Units of work of a certificate."""
        return (self.dim + 4 * self.n_classes) * self.unit

    def parts(self, x: Array) -> tuple[Array, Array]:
        """Return views of W (K, D) and H (D, N)."""
        W, columns = unpack(x, (self.n_classes, self.samples), self.dim)
        return W, columns.T

    def null(self) -> float:
        """Return the objective at 0."""

        def build() -> float:
            if self.beta == 0 or self.anchor is None:
                return 0.5
            return 0.5 + 0.5 * self.beta * float(np.vdot(self.anchor, self.anchor))

        return float(self.fact("null", ("n_classes", "per_class", "anchor", "beta"), build))

    def optimum(self) -> float:
        """Return the global minimum in closed form, for beta = 0.

        ``K ((z - sqrt n)^2/(2 N) + mu z)`` with ``z = max(sqrt n - N mu, 0)``.

        Examples
        --------
        >>> import fejer
        >>> round(fejer.UnconstrainedFeatures.random().optimum(), 12)
        0.027884271247
        """
        if self.beta > 0:
            raise ProblemError(f"beta: expected 0 for the closed form, got {self.beta:g}")
        mu, root = math.sqrt(self.reg_w * self.reg_h), math.sqrt(self.per_class)
        z = max(root - self.samples * mu, 0.0)
        return self.n_classes * ((z - root) ** 2 / (2 * self.samples) + mu * z)

    def initial_point(self) -> Array:
        """Return fixed normal factors, or W = 0 and the anchor: at W = H = 0 nothing moves."""
        if self.beta > 0 and self.anchor is not None and self.anchor.any():
            W = np.zeros((self.n_classes, self.dim))
            return np.concatenate([W.ravel(), self.anchor.T.ravel()])
        rng = np.random.default_rng(0)
        return rng.standard_normal(self.size) / math.sqrt(self.dim)

    def certificate(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> Certificate:
        """Judge by the gap to the global minimum, or by conditions of a local one.

        Parameters
        ----------
        x : array
            Both factors.
        witness : mapping, optional
            Not needed and not used.
        """
        return _features.judge(self, *self.parts(np.array(x)))

    def auto(self) -> tuple[str, ...]:
        """Return the methods, first choice first."""
        return ("als",)

    def to_cvxpy(self) -> cvxpy.Problem:
        """Return the convex problem over X = W H, for beta = 0."""
        if self.beta > 0:
            raise ProblemError(f"beta: expected 0 for to_cvxpy, got {self.beta:g}")
        try:
            import cvxpy
        except ImportError as error:
            raise missing("cvxpy", "to_cvxpy", "oracle") from error
        cp: Any = cvxpy  # its names are not declared for type checkers
        T = np.repeat(np.eye(self.n_classes), self.per_class, axis=1)
        X = cp.Variable(T.shape)
        mu = math.sqrt(self.reg_w * self.reg_h)
        loss = cp.sum_squares(X - T) / (2 * self.samples)
        return cp.Problem(cp.Minimize(loss + mu * cp.normNuc(X)))

    # ---- views -----------------------------------------------------------------------------
    def weights(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> Array:
        """Return W, the classifier, one class in each row."""
        return self.parts(np.array(x))[0]

    def features(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> Array:
        """Return H, one sample in each column."""
        return self.parts(np.array(x))[1]

    def nc1(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> float:
        """Return ``tr(S_W S_B^+)/K`` of the features; inf where the class means coincide."""
        return self.variation(self.parts(x)[1])

    def nc2(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> float:
        """Return ``||M'M/||M'M||_F - I/sqrt K||_F``, M the class means; inf where they are 0."""
        M = _features.sums(self.parts(x)[1], self.n_classes) / self.per_class
        size = float(np.abs(M).max())
        if not size > 0:
            return math.inf
        gram = (M.T / size) @ (M / size)
        frame = np.eye(self.n_classes) / math.sqrt(self.n_classes)
        return float(np.linalg.norm(gram / np.linalg.norm(gram) - frame))

    def variation(self, H: Array) -> float:
        """Return ``tr(S_W S_B^+)/K`` of any features (D, N), as ``nc1`` does for a result's.

        S_W is the covariance within the classes, S_B that of their means.

        Parameters
        ----------
        H : array, shape (D, N)
            Features, class after class.

        Examples
        --------
        >>> import fejer
        >>> problem = fejer.UnconstrainedFeatures.random(noise=0.5)
        >>> 0.1 < problem.variation(problem.anchor) < 10
        True
        """
        H = np.asarray(H) / (float(np.abs(H).max()) or 1.0)
        M = _features.sums(H, self.n_classes) / self.per_class
        within = H - np.repeat(M, self.per_class, axis=1)
        between = M - M.mean(axis=1, keepdims=True)
        left, s, _ = np.linalg.svd(between, full_matrices=False)
        kept = s > 1e-10 * (np.linalg.norm(H) or 1.0)
        if not kept.any():
            return math.inf
        turned = (left[:, kept] / s[kept]).T @ within
        # S_W over N samples, S_B over K means: K/N tr, over K.
        return float(np.vdot(turned, turned)) / self.samples
