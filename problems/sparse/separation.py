"""Separation of two classes of points by a hyperplane through 0."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from fejer.errors import ProblemError
from fejer.evidence import EMPTY, Array, Certificate
from fejer.numerics.matrix import Matrix
from fejer.problem import Problem, as_vector, witness_array

from ._design import frozen

if TYPE_CHECKING:
    import cvxpy

__all__ = ["Separation"]

U = 2.0**-53
CANCELLED = 1e-9  # |Z'p| over |Z|'p below which the convex hull is said to contain 0


@dataclass(frozen=True, eq=False, repr=False)
class Separation(Problem):
    """Find w with ``labels_i a_i'w > 0`` for all i, or show that there is none.

    With ``z_i = labels_i a_i`` the margin of the data is ``mu = max over ||w|| = 1 of min_i
    z_i'w``; it is positive exactly where such a w exists, and else the convex hull of the z_i
    contains 0.

    Parameters
    ----------
    A : array_like or sparse matrix, shape (n, d)
        The points, one in each row. For a hyperplane off 0 add a column of ones.
    labels : array_like, shape (n,)
        -1 or +1; one class alone is allowed.

    Raises
    ------
    ProblemError
        A field is not as described; the message names it.

    Notes
    -----
    Variable: w, of any length.

    Certificate: ``fun`` is the share of points that are not on their side. The value is 0 where
    every ``z_i'w`` is above its own rounding error, and then w separates for certain; else 1.
    ``details["margin_lower"]`` is ``min_i z_i'w / ||w||``, a lower bound of mu, and
    ``details["margin_upper"]`` an upper bound, ``||Z'p||`` with weights p from the witness
    ``weights`` (checked: not negative; they are scaled to the sum 1), or the smallest ``||z_i||``.
    Where ``|Z'p|_j <= 1e-9 (|Z|'p)_j`` for each j, p proves that no w has a margin above that of
    rounding: the certificate proves "infeasible".

    A product with A is n units of work; a certificate is two.

    References
    ----------
    .. [1] F. Rosenblatt (1958). The perceptron, Psychological Review 65.
    .. [2] arXiv:2412.08424 (normalised logistic regression for separation).

    Examples
    --------
    >>> import fejer
    >>> problem = fejer.Separation([[1.0, 0.2], [-1.0, 0.4]], [1, -1])
    >>> result = fejer.minimize(problem, method="perceptron")
    >>> result.success, result.certificate.details["margin_lower"] > 0
    (True, True)
    """

    A: Matrix | Any
    labels: Array

    views = ("margins",)

    def __post_init__(self) -> None:
        A = Matrix.of(self.A, "A")
        if A.is_operator:
            raise ProblemError("A: expected a dense or sparse matrix, got an operator")
        labels = as_vector(self.labels, "labels", A.shape[0])
        wrong = ~np.isin(labels, (-1.0, 1.0))
        if wrong.any():
            shown = ", ".join(f"{value:g}" for value in np.unique(labels[wrong])[:5])
            raise ProblemError(f"labels: expected -1 and 1, got {shown}")
        self.set(A=A, labels=labels)

    def _sizes(self) -> Array:
        """Norms of the rows."""
        return self.fact(  # type: ignore[no-any-return]
            "sizes", ("A",), lambda: frozen(np.sqrt(self.A.row_sq_norms()))
        )

    def margins(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> Array:
        """Return ``z_i'w`` for each point."""
        return self.labels * self.A.matvec(x)

    def initial_point(self) -> Array:
        """Return 0."""
        return np.zeros(self.A.shape[1])

    def certificate(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> Certificate:
        """Judge whether ``x`` separates; a witness ``weights`` can show that nothing does."""
        kind = "margin"
        size = float(np.abs(x).max())
        w = x / size if size > 0 else x
        margins = self.labels * self.A.matvec(w)
        rounding = (w.size + 2) * U * self.A.abs_matvec(np.abs(w))
        separates = bool((margins > rounding).all()) and size > 0
        length = float(np.linalg.norm(w))
        lower = float(margins.min()) / length if length > 0 else -math.inf
        sizes = self._sizes()
        upper, proof = float(sizes.min()), False
        p = witness_array(witness, "weights", margins.size)
        if p is not None and (p >= 0).all() and 0 < p.max() < 1e100:
            p = p / p.max()
            p /= p.sum()
            image = self.A.rmatvec(self.labels * p)
            moduli = self.A.abs_rmatvec(p)
            upper = min(upper, float(np.linalg.norm(image + np.sign(image) * 4 * U * moduli)))
            proof = bool((np.abs(image) <= CANCELLED * moduli).all())
        if sizes.min() == 0.0:
            proof = True  # a point at 0 is on every hyperplane
        value = 0.0 if separates else 1.0
        return Certificate(
            kind,
            value,
            float(np.mean(margins <= rounding)),
            True,
            proves="infeasible" if proof and not separates else "solved",
            reason=""
            if separates
            else f"{int((margins <= rounding).sum())} points are not on their side",
            details={
                "margin_lower": lower if math.isfinite(lower) else 0.0,
                "margin_upper": upper,
                "misclassified": float((margins <= rounding).sum()),
            },
            witness={} if p is None else {"weights": p},
        )

    def auto(self) -> tuple[str, ...]:
        """Return normalised logistic regression, then the perceptrons."""
        return ("nlr-gd", "n-batch-perceptron", "perceptron")

    @property
    def unit(self) -> int:
        """Units of work in one pass: one for each point."""
        return self.A.shape[0]

    @property
    def judge_units(self) -> int:
        """Two passes."""
        return 2 * self.unit

    def to_cvxpy(self) -> cvxpy.Problem:
        """Return the search for the largest margin as a cvxpy model; its variable is "w"."""
        from ._models import oracle

        cvxpy = oracle()
        w, t = cvxpy.Variable(self.size, name="w"), cvxpy.Variable(name="t")
        margins = cvxpy.multiply(self.labels, self.A.native @ w)
        return cvxpy.Problem(cvxpy.Minimize(-t), [margins >= t, cvxpy.norm(w) <= 1])

    @classmethod
    def random(cls, n: int = 60, d: int = 4, margin: float = 0.1, *, seed: int = 0) -> Self:
        """Draw Gaussian points at least ``margin`` away from a random hyperplane.

        Parameters
        ----------
        n, d : int
            Points and dimensions.
        margin : float, default 0.1
            Points are pushed off the hyperplane until they have this distance.
        seed : int, default 0
            Of the generator.
        """
        rng = np.random.default_rng(seed)
        w = rng.standard_normal(d)
        w /= np.linalg.norm(w)
        A = rng.standard_normal((n, d))
        side = A @ w
        labels = np.where(side > 0, 1.0, -1.0)
        A += np.outer(labels * np.maximum(margin - np.abs(side), 0.0), w)
        return cls(A, labels)
