"""Least squares with the convex envelope of "at most k groups"."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from fejer.errors import ProblemError
from fejer.evidence import EMPTY, Array, Certificate, failed
from fejer.numerics.groups import group_labels
from fejer.numerics.matrix import Matrix
from fejer.numerics.prox import GroupEnvelope as Envelope
from fejer.problem import as_number
from fejer.problems.forms import LinearForm

from ._checks import as_data, as_groups, as_scale, as_weights
from ._design import frozen
from ._linear_models import LinearModel
from ._squares import FOUR_U

if TYPE_CHECKING:
    import cvxpy

__all__ = ["GroupEnvelope", "Selected"]


class Selected(NamedTuple):
    """The k groups that matter most, refitted without the penalty.

    Attributes
    ----------
    groups : array of int
        The groups, ascending.
    coef : array, shape (p,)
        The refitted coefficients; 0 in all other groups.
    fun : float
        Half the sum of squared residuals of the refit.
    """

    groups: NDArray[np.intp]
    coef: Array
    fun: float


@dataclass(frozen=True, eq=False, repr=False)
class GroupEnvelope(LinearModel):
    """Least squares with the weighted group-sparse envelope.

    ``min over w of 1/2 ||y - X w||^2 + lam S_k(w)``, S_k the convex envelope of ``1/2 sum_g
    weights_g ||w_g||^2`` over the w with at most k groups that are not 0.

    Parameters
    ----------
    X : array_like or sparse matrix, shape (n, p)
        Features; float64 in Fortran order, or CSC, is taken without a copy.
    y : array_like, shape (n,)
        Targets.
    groups : int, array_like of int, or sequence of index lists
        Size of consecutive groups, or the group of each feature, or a partition of the features.
    k : int
        Number of groups, from 1 to that of all.
    lam : float
        Weight of the penalty, above 0.
    weights : array_like, shape (number of groups,), optional
        Positive weights of the groups. Default: ones.
    scale : {"sum", "mean"}, default "sum"
        "mean" divides the loss by n.

    Raises
    ------
    ProblemError
        A field is not as described; the message names it.

    Notes
    -----
    Variable: w. The minimiser may have more than k groups that are not 0: the envelope is convex,
    "at most k" is not. The view ``selected`` keeps the k groups of the largest ``sqrt(weights_g)
    ||w_g||`` and fits them again; it is not a minimiser.

    Certificate: the duality gap at the residual r, rigorous, ``dual = y'r - 1/2 ||r||^2 - 1/(2 lam)
    sum of the k largest ||X_g'r||^2 / weights_g``: every r is feasible. Scale: ``min(null, max(F,
    1e-6 null))``, null the objective at 0.

    One pass over the data is p units of work, a certificate two passes.

    References
    ----------
    .. [1] arXiv:2212.12921 (the weighted group-sparse envelope).
    .. [2] A. Beck, Y. Refael (2022). Sparse regularization via bidualization, Journal of Global
       Optimization 82.

    Examples
    --------
    >>> import fejer
    >>> problem = fejer.GroupEnvelope.random()
    >>> result = fejer.minimize(problem)
    >>> result.success, result.selected.groups.size
    (True, 3)
    """

    X: Matrix | Any
    y: Array
    groups: NDArray[np.intp] | Any
    k: int
    lam: float
    weights: Array | None = None
    scale: str = "sum"

    views = ("support", "coef", "selected")

    def __post_init__(self) -> None:
        X, y = as_data(self.X, self.y)
        groups = as_groups(self.groups, X.shape[1])
        count = int(groups.max()) + 1
        self.set(
            X=X,
            y=y,
            groups=groups,
            k=as_number(self.k, "k", least=1, most=count, integer=True),
            lam=as_number(self.lam, "lam", above=0, least=1e-100, most=1e100),
            weights=as_weights(self.weights, "weights", count, finite=True),
            scale=as_scale(self.scale),
        )

    @property
    def _weights(self) -> Array:
        return np.ones(int(self.groups.max()) + 1) if self.weights is None else self.weights

    def envelope(self) -> Envelope:
        """Return S_k: calling it with t is its proximal map."""
        return self.fact(  # type: ignore[no-any-return]
            "envelope",
            ("groups", "k", "weights"),
            lambda: Envelope(k=self.k, groups=self.groups, weights=self._weights),
        )

    def _form(self) -> LinearForm:
        p = self.X.shape[1]
        return LinearForm(
            X=self.X,
            y=self.y,
            loss="squared",
            l1=frozen(np.zeros(p)),
            l2=frozen(np.zeros(p)),
            lower=frozen(np.full(p, -np.inf)),
            upper=frozen(np.full(p, np.inf)),
            prox=self.envelope(),
            prox_weight=self.lam * self._per,
        )

    def initial_point(self) -> Array:
        """Return 0."""
        return np.zeros(self.X.shape[1])

    def certificate(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> Certificate:
        """Judge ``x`` by a duality gap; no witness is needed, and none is looked at."""
        envelope, lam = self.envelope(), self.lam * self._per
        norms = np.sqrt(self.X.column_sq_norms())
        r = self.y - self.X.matvec(x)
        c = self.X.rmatvec(r)
        square = float(r @ r)
        if not (math.isfinite(square) and np.isfinite(c).all()):
            return failed("duality gap", "overflow")
        fun = 0.5 * square + lam * envelope.value(x)
        slack = FOUR_U * norms * math.sqrt(square)
        conjugate = envelope.conjugate(np.abs(c) + slack) / lam
        inner = float(self.y @ r)
        dual = max(inner - 0.5 * square - conjugate, 0.0)
        y_norm = float(np.linalg.norm(self.y))
        error = FOUR_U * (float(norms @ np.abs(x)) + y_norm)
        floor = math.sqrt(square) * error + 0.5 * error * error
        floor += FOUR_U * (fun + abs(inner) + conjugate)
        null = 0.5 * y_norm**2 or 1.0
        scale = min(null, max(fun, 1e-6 * null))
        gap = max(fun - dual, 0.0)
        value = (gap + floor) / scale if math.isfinite(scale) else math.inf
        per = self._per
        return Certificate(
            "duality gap",
            value,
            fun / per,
            True,
            scale=scale / per,
            reason="" if value < math.inf else "overflow",
            lower_bound=(dual - floor) / per,
            details={"gap": gap / per, "gap_over_null": gap / null, "floor": floor / scale},
        )

    def auto(self) -> tuple[str, ...]:
        """Return the accelerated proximal gradient method."""
        return ("fista", "prox-gradient")

    def selected(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> Selected:
        """Keep the k groups of the largest ``sqrt(weights_g) ||w_g||`` and fit them again."""
        sizes = self._weights * np.bincount(self.groups, x * x)
        chosen = np.sort(np.argsort(-sizes, kind="stable")[: self.k])
        columns = np.flatnonzero(np.isin(self.groups, chosen))
        part = self.X.columns(columns).toarray()
        coef = np.zeros(x.size)
        coef[columns] = np.linalg.lstsq(part, self.y, rcond=None)[0]
        r = self.y - part @ coef[columns]
        return Selected(chosen, coef, 0.5 * float(r @ r) / self._per)

    def to_cvxpy(self) -> cvxpy.Problem:
        """Return the same problem as a cvxpy model; its variable is "w"."""
        from ._models import oracle

        cvxpy = oracle()
        w = cvxpy.Variable(self.size, name="w")
        share = cvxpy.Variable(self._weights.size, name="u")
        objective = 0.5 * cvxpy.sum_squares(self.y - self.X.native @ w) / self._per
        for g, weight in enumerate(self._weights):
            part = w[np.flatnonzero(self.groups == g)]
            objective += 0.5 * self.lam * weight * cvxpy.quad_over_lin(part, share[g])
        return cvxpy.Problem(
            cvxpy.Minimize(objective), [share >= 0, share <= 1, cvxpy.sum(share) <= self.k]
        )

    @classmethod
    def random(
        cls,
        n: int = 60,
        p: int = 40,
        size: int = 4,
        k: int = 3,
        lam: float = 10.0,
        snr: float = 3.0,
        *,
        seed: int = 0,
        **fields: Any,
    ) -> Self:
        """Draw Gaussian features and a signal of k groups.

        Parameters
        ----------
        n, p : int
            Samples and features.
        size : int
            Of a group.
        k : int
            Groups of the signal, and of the problem.
        lam : float
            Weight of the penalty.
        snr : float, default 3
            Norm of the signal over the norm of the noise.
        seed : int, default 0
            Of the generator.
        **fields
            Other fields of the class.
        """
        rng = np.random.default_rng(seed)
        X = np.asfortranarray(rng.standard_normal((n, p)))
        labels = group_labels(size, p)
        count = int(labels.max()) + 1
        if not 1 <= k <= count:
            raise ProblemError(f"k: expected an integer from 1 to {count}, got {k!r}")
        chosen = rng.choice(count, k, replace=False)
        y = X @ np.where(np.isin(labels, chosen), rng.standard_normal(p), 0.0)
        noise = rng.standard_normal(n)
        y = y + noise * (np.linalg.norm(y) / (snr * np.linalg.norm(noise)))
        return cls(X, y, size, k, lam, **fields)
