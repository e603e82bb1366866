"""Least squares and logistic regression with whole groups of coefficients switched off."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from fejer.errors import ProblemError
from fejer.evidence import Array
from fejer.numerics.groups import group_labels
from fejer.numerics.matrix import Matrix
from fejer.problem import as_number
from fejer.problems.forms import LinearForm

from ._checks import as_data, as_groups, as_labels, as_scale, as_weights
from ._design import frozen
from ._grouped import Grouped
from ._linear_models import LinearModel

if TYPE_CHECKING:
    import cvxpy

__all__ = ["GroupLasso"]


@dataclass(frozen=True, eq=False, repr=False)
class GroupLasso(LinearModel):
    """Group lasso and sparse group lasso.

    ``min over w of loss(X w; y) + lam sum_g weights_g ||w_g|| + l1 sum_j |w_j|``, the loss ``1/2
    ||y - X w||^2`` or ``sum_i log(1 + exp(-y_i x_i'w))``.

    Parameters
    ----------
    X : array_like or sparse matrix, shape (n, p)
        Features; float64 in Fortran order, or CSC, is taken without a copy.
    y : array_like, shape (n,)
        Targets; labels -1 and +1 for the logistic loss.
    groups : int, array_like of int, or sequence of index lists
        Size of consecutive groups, or the group of each feature, or a partition of the features.
    lam : float
        Weight of the group norms, at least 0.
    loss : {"squared", "logistic"}, default "squared"
        The loss.
    l1 : float, default 0
        Weight of the moduli, at least 0: above 0 it is the sparse group lasso.
    weights : array_like, shape (number of groups,), optional
        Positive weights of the groups. Default: the root of their sizes, so that large groups are
        not preferred.
    scale : {"sum", "mean"}, default "sum"
        "mean" divides the loss by n.

    Raises
    ------
    ProblemError
        A field is not as described; the message names it.

    Notes
    -----
    Variable: w.

    Certificate: the duality gap, rigorous, at the better of two multiples of the residual; one is
    feasible, the other is charged for what it exceeds, over the sublevel set. Scale: ``min(null,
    max(F, 1e-6 null))``, null the objective at 0. With ``lam = l1 = 0`` it is that of least squares
    or logistic regression without a penalty.

    One pass over the data is p units of work, a certificate two passes.

    References
    ----------
    .. [1] M. Yuan, Y. Lin (2006). Model selection and estimation in regression with grouped
       variables, Journal of the Royal Statistical Society B 68, 49-67.
    .. [2] N. Simon, J. Friedman, T. Hastie, R. Tibshirani (2013). A sparse-group lasso, Journal of
       Computational and Graphical Statistics 22, 231-245.

    Examples
    --------
    >>> import fejer
    >>> problem = fejer.GroupLasso([[1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0]], [3, 4, 0.5],
    ...                            groups=[[0, 1], [2]], lam=1.0, weights=[1.0, 1.0])
    >>> fejer.minimize(problem, method="bcd").x.round(6)
    array([2.4, 3.2, 0. ])
    """

    X: Matrix | Any
    y: Array
    groups: NDArray[np.intp] | Any
    lam: float
    loss: str = "squared"
    l1: float = 0.0
    weights: Array | None = None
    scale: str = "sum"

    _judge_class = Grouped

    def __post_init__(self) -> None:
        X, y = as_data(self.X, self.y)
        if not isinstance(self.loss, str) or self.loss not in ("squared", "logistic"):
            raise ProblemError(f"loss: expected 'squared' or 'logistic', got {self.loss!r:.80}")
        groups = as_groups(self.groups, X.shape[1])
        self.set(
            X=X,
            y=as_labels(y) if self.loss == "logistic" else y,
            groups=groups,
            lam=as_number(self.lam, "lam", least=0, most=1e100),
            l1=as_number(self.l1, "l1", least=0, most=1e100),
            weights=as_weights(self.weights, "weights", int(groups.max()) + 1, finite=True),
            scale=as_scale(self.scale),
        )

    @property
    def _weights(self) -> Array:
        sizes = np.sqrt(np.bincount(self.groups))
        return sizes if self.weights is None else self.weights

    def _form(self) -> LinearForm:
        p = self.X.shape[1]
        return LinearForm(
            X=self.X,
            y=self.y,
            loss=self.loss,
            l1=frozen(np.full(p, self.l1 * self._per)),
            l2=frozen(np.zeros(p)),
            lower=frozen(np.full(p, -np.inf)),
            upper=frozen(np.full(p, np.inf)),
            groups=self.groups,
            group_weights=frozen(self.lam * self._per * self._weights),
        )

    def initial_point(self) -> Array:
        """Return 0."""
        return np.zeros(self.X.shape[1])

    def lam_max(self) -> float:
        """Return the smallest ``lam`` for which 0 is the solution."""
        judge = self._judge()
        left = np.maximum(np.abs(judge.null_corr) - self.l1 * self._per, 0.0)
        return float((judge.norms_of(left) / self._weights).max()) / self._per

    def auto(self) -> tuple[str, ...]:
        """Return Newton's method on the active groups, then block coordinate descent."""
        return ("group-newton", "bcd", "fista")

    @property
    def _free(self) -> bool:
        return self.lam == 0 and self.l1 == 0

    def to_cvxpy(self) -> cvxpy.Problem:
        """Return the same problem as a cvxpy model; its variable is "w"."""
        from ._models import group_model

        return group_model(self.form(), self._per)

    @classmethod
    def random(
        cls,
        n: int = 60,
        p: int = 40,
        size: int = 4,
        ratio: float = 0.2,
        active: int = 3,
        snr: float = 3.0,
        *,
        seed: int = 0,
        **fields: Any,
    ) -> Self:
        """Draw Gaussian features and a signal of a few groups.

        Parameters
        ----------
        n, p : int
            Samples and features.
        size : int
            Of a group.
        ratio : float, default 0.2
            ``lam`` over ``lam_max()``.
        active : int
            Groups that the signal has.
        snr : float, default 3
            Norm of the signal over the norm of the noise.
        seed : int, default 0
            Of the generator.
        **fields
            Other fields of the class; with ``loss="logistic"`` the targets become their signs.
        """
        rng = np.random.default_rng(seed)
        X = np.asfortranarray(rng.standard_normal((n, p)))
        labels = group_labels(size, p)
        chosen = rng.choice(labels.max() + 1, min(active, labels.max() + 1), replace=False)
        y = X @ np.where(np.isin(labels, chosen), rng.standard_normal(p), 0.0)
        noise = rng.standard_normal(n)
        y = y + noise * (np.linalg.norm(y) / (snr * np.linalg.norm(noise)))
        if fields.get("loss") == "logistic":
            y = np.where(y > np.median(y), 1.0, -1.0)
        problem = cls(X, y, size, 1.0, **fields)
        return problem.replace(lam=ratio * problem.lam_max())
