"""Logistic regression on a sphere under linear equations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from fejer.errors import ProblemError
from fejer.evidence import Array
from fejer.numerics.matrix import Matrix
from fejer.problem import as_number, as_vector

from ._equality import Equality
from ._logistic import checked_labels, curved_gram, logistic_pass


@dataclass(frozen=True, eq=False)
class ConstrainedLogistic(Equality):
    """Logistic regression whose coefficients obey linear equations and have unit length.

    ``min over w in R^d of 1/n sum_i log(1 + exp(-y_i x_i'w))  subject to  A w = b, w'w = 1``.

    Parameters
    ----------
    X : array_like or sparse matrix, shape (n, d)
        Data.
    y : array_like, shape (n,)
        Labels, -1 or +1.
    A : array_like, shape (k, d)
        Equations; ``|A^+ b| <= 1`` or nothing obeys all of them.
    b : array_like, shape (k,)
        Right-hand sides.

    Raises
    ------
    ProblemError
        A label other than -1 and +1, more equations than variables, fields of wrong shape or,
        where the least-norm solution of ``A w = b`` is longer than 1, equations without solution
        on the sphere.

    Notes
    -----
    Variable: w. Witness: ``multipliers``, shape (k + 1,), that of the sphere last. Certificate and
    views: those of `EqualityNLP`; its scale is 1. The initial point is the vector of ones.

    Cost: one pass over X for value and gradient, ``n d^2`` flops for the Hessian.

    References
    ----------
    .. [1] Hong, Na, Mahoney, Kolar (2023), Constrained optimization via exact augmented Lagrangian
       and randomized iterative sketching, arXiv:2305.18379, section 5.2.

    Examples
    --------
    >>> import fejer
    >>> result = fejer.minimize(fejer.ConstrainedLogistic.random())
    >>> result.success, result.second_order
    (True, 'strict minimum')
    """

    X: Any
    y: Any
    A: Any
    b: Any

    grad = True  # the value comes with the gradient

    def __post_init__(self) -> None:
        X = Matrix.of(self.X, "X")
        y = checked_labels(self.y, X.shape[0])
        A = Matrix.of(self.A, "A", shape=(-1, X.shape[1]))
        b = as_vector(self.b, "b", A.shape[0])
        if A.shape[0] >= X.shape[1]:
            raise ProblemError(f"A: expected fewer rows than {X.shape[1]}, got {A.shape[0]}")
        self.set(X=X, y=y, A=A, b=b)
        length = float(np.linalg.norm(np.linalg.lstsq(A.toarray(), b, rcond=None)[0]))
        if length > 1 + 1e-9:
            text = "expected A w = b to meet the unit sphere"
            raise ProblemError(f"b: {text}, got a least solution of length {length:.4g}")

    def initial_point(self) -> Array:
        """Return the vector of ones."""
        return np.ones(self.X.shape[1])

    @property
    def x0(self) -> Array:
        """The vector of ones."""
        return self.initial_point()

    @property
    def n_constraints(self) -> int:
        """Number of constraints."""
        return int(self.b.size) + 1

    def fun(self, w: Array) -> tuple[float, Array]:
        """Return objective and gradient at ``w``."""
        value, slope, _ = logistic_pass(self.X, self.y, w)
        return value / self.y.size, self.X.rmatvec(slope) / self.y.size

    def constraint(self, w: Array) -> Array:
        """Return ``(A w - b, w'w - 1)``."""
        return np.append(self.A.matvec(w) - self.b, w @ w - 1.0)

    def constraint_jac(self, w: Array) -> Array:
        """Return the Jacobian ``(A; 2 w')``."""
        return np.vstack([self.fact("rows", ("A",), self.A.toarray), 2.0 * w])

    def lag_hess(self, w: Array, l: Array, sigma: float) -> Array:
        """Return ``sigma H_f + 2 l_k I``, l_k the multiplier of the sphere."""
        _, _, curvature = logistic_pass(self.X, self.y, w)
        H = curved_gram(self.X, curvature * (sigma / self.y.size))
        H[np.diag_indices_from(H)] += 2.0 * l[-1]
        return H

    @classmethod
    def random(cls, n: int = 200, d: int = 20, k: int = 3, *, seed: int = 0) -> Self:
        """Draw uniform data, labels of a logistic model and equations that can be obeyed.

        Parameters
        ----------
        n, d : int
            Samples and features.
        k : int, default 3
            Equations; their least solution has a length below 1, drawn again until it has.
        seed : int, default 0
            Seed of the generator.

        Returns
        -------
        ConstrainedLogistic

        Examples
        --------
        >>> import fejer
        >>> fejer.ConstrainedLogistic.random().n_constraints
        4
        """
        n = as_number(n, "n", least=2, integer=True)
        d = as_number(d, "d", least=3, integer=True)
        k = as_number(k, "k", least=1, most=d - 2, integer=True)
        rng = np.random.default_rng(seed)
        X = rng.uniform(-1.0, 1.0, (n, d))
        score = (X - X.mean(axis=0)) @ rng.standard_normal(d)
        y = np.where(rng.random(n) < 1.0 / (1.0 + np.exp(-2.0 * score / score.std())), 1.0, -1.0)
        A = rng.standard_normal((k, d))
        b = rng.standard_normal(k)
        while np.linalg.norm(np.linalg.lstsq(A, b, rcond=None)[0]) > 0.9:
            b = b / 2
        return cls(X, y, A, b)
