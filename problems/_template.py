"""Ridge regression, as a template: copy this file to ``problems/<family>/<class_name>.py``.

The class is public under its name as soon as the file exists (``RidgeTemplate`` would stand in
``ridge_template.py``), and the laws of `fejer.testing` are run over it with no list to extend.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from fejer.evidence import EMPTY, Array, Certificate
from fejer.numerics.matrix import Matrix
from fejer.problem import Problem, as_number, as_vector

__all__ = ["RidgeTemplate"]

ROUNDING = 2.0**-53


@dataclass(frozen=True, eq=False)
class RidgeTemplate(Problem):
    """Least squares with a quadratic penalty.

    min over w in R^d of ``1/2 ||X w - y||^2 + lam/2 ||w||^2``, X of shape (n, d), lam > 0.

    Parameters
    ----------
    X : array_like or sparse matrix, shape (n, d)
        Data.
    y : array_like, shape (n,)
        Targets.
    lam : float
        Penalty, > 0: it makes the optimum unique and the certificate rigorous.

    Raises
    ------
    ProblemError
        Names the field, what was expected and what came.

    Notes
    -----
    Certificate: duality gap over the objective of w = 0. With the residual ``r = X w - y`` the
    dual point ``-r`` gives the gap ``||X'r + lam w||^2 / (2 lam)``, which bounds the
    suboptimality. Rigorous.

    Examples
    --------
    >>> import numpy as np
    >>> problem = RidgeTemplate(np.eye(2), [1.0, 2.0], 1.0)
    >>> problem.judge(np.array([0.5, 1.0])).holds(1e-12)
    True
    """

    X: Any
    y: Any
    lam: float

    def __post_init__(self) -> None:
        X = Matrix.of(self.X, "X")
        y = as_vector(self.y, "y", X.shape[0])
        self.set(X=X, y=y, lam=as_number(self.lam, "lam", above=0))

    def initial_point(self) -> Array:
        """Return zero."""
        return np.zeros(self.X.shape[1])

    def certificate(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> Certificate:
        """Compute the duality gap at ``x``, over the objective at 0."""
        r = self.X.matvec(x) - self.y
        slope = self.X.rmatvec(r) + self.lam * x
        # what rounding alone can make of the slope
        error = 4 * ROUNDING * (self.X.abs_rmatvec(np.abs(r)) + self.lam * np.abs(x))
        gap = float(np.sum((np.abs(slope) + error) ** 2)) / (2 * self.lam)
        floor = float(np.sum(error**2)) / (2 * self.lam)
        scale = 0.5 * float(self.y @ self.y) or 1.0
        fun = 0.5 * float(r @ r) + 0.5 * self.lam * float(x @ x)
        details = {"floor": floor / scale, "slope": float(np.linalg.norm(slope))}
        return Certificate(
            "duality gap",
            gap / scale,
            fun,
            rigorous=True,
            scale=scale,
            lower_bound=fun - gap,
            details=details,
        )

    def auto(self) -> tuple[str, ...]:
        """Return the one method there is."""
        return ("gradient-template",)

    @classmethod
    def random(cls, n: int = 20, d: int = 5, *, lam: float = 1.0, seed: int = 0) -> Self:
        """Draw Gaussian data.

        Parameters
        ----------
        n, d : int
            Shape of X.
        lam : float, default 1.0
            Penalty.
        seed : int, default 0
            Seed.

        Returns
        -------
        RidgeTemplate
        """
        rng = np.random.default_rng(seed)
        return cls(rng.standard_normal((n, d)), rng.standard_normal(n), lam)
