"""Optimal control of an elliptic equation on a square."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from fejer.evidence import Array
from fejer.problem import as_number

from ._equality import Equality

COST = 0.1


@dataclass(frozen=True, eq=False)
class EllipticControl(Equality):
    """Control of an elliptic equation with a cubic term, by finite differences.

    ``min over w, z of 1/2 |w - t|^2 + 0.05 |z|^2  subject to  Lap w - s w^3 + z = 0`` on a grid of
    q x q inner points of a square of side 2, with w = 0 on the border, the 5-point Laplacian
    ``Lap`` of mesh width 2/(q + 1), and a smooth target t.

    Parameters
    ----------
    q : int, default 3
        Points along a side: 2 q^2 variables, q^2 equations.
    s : float, default 0.0
        Strength of the cubic term, >= 0; 0 makes it a quadratic program.

    Raises
    ------
    ProblemError
        q or s out of their range.

    Notes
    -----
    Variable: ``(w, z)``, each grid column by column. Witness: ``multipliers``, shape (q^2,), the
    adjoint state. Certificate and views: those of `EqualityNLP`; its scale is 1. The initial point
    is the vector of ones. Jacobian and Hessian are sparse, five entries a row and one.

    References
    ----------
    .. [1] Hong, Na, Mahoney, Kolar (2023), Constrained optimization via exact augmented Lagrangian
       and randomized iterative sketching, arXiv:2305.18379, section 5.3.

    Examples
    --------
    >>> import fejer
    >>> result = fejer.minimize(fejer.EllipticControl(5, s=10.0))
    >>> result.success, result.second_order
    (True, 'strict minimum')
    """

    q: int = 3
    s: float = 0.0

    def __post_init__(self) -> None:
        q = as_number(self.q, "q", least=1, most=1000, integer=True)
        self.set(q=q, s=as_number(self.s, "s", least=0.0, most=1e100))

    def initial_point(self) -> Array:
        """Return the vector of ones."""
        return np.ones(2 * self.q**2)

    @property
    def x0(self) -> Array:
        """The vector of ones."""
        return self.initial_point()

    @property
    def n_constraints(self) -> int:
        """Number of constraints."""
        return int(self.q**2)

    @property
    def target(self) -> Array:
        """The state that is wanted, shape (q^2,)."""
        grid = (np.arange(1.0, self.q + 1) - (self.q + 1) / 2) * 0.1 / np.sqrt(15.0)
        wanted = np.sin(4.0 + grid[:, None]) + np.cos(3.0 + grid[None, :])
        return np.asarray(wanted.ravel(order="F"))

    @property
    def laplacian(self) -> Any:
        """The 5-point Laplacian, a CSR array."""
        return self.fact("laplacian", ("q",), self._build_laplacian)

    def _build_laplacian(self) -> Any:
        from scipy.sparse import csr_array, diags_array, eye_array, kron

        q, h = self.q, 2.0 / (self.q + 1)
        line = diags_array([1.0, -2.0, 1.0], offsets=[-1, 0, 1], shape=(q, q)) / h**2
        return csr_array(kron(eye_array(q), line) + kron(line, eye_array(q)))

    def fun(self, x: Array) -> float:
        """Return the objective."""
        w, z = np.split(x, 2)
        off = w - self.target
        return float(0.5 * off @ off + 0.5 * COST * z @ z)

    def grad(self, x: Array) -> Array:
        """Return its gradient."""
        w, z = np.split(x, 2)
        return np.concatenate([w - self.target, COST * z])

    def constraint(self, x: Array) -> Array:
        """Return the residual of the equation."""
        w, z = np.split(x, 2)
        return np.asarray(self.laplacian @ w - self.s * w**3 + z)

    def constraint_jac(self, x: Array) -> Any:
        """Return ``[Lap - 3 s diag(w^2), I]``, a CSR array."""
        from scipy.sparse import diags_array, eye_array, hstack

        w = x[: x.size // 2]
        state = self.laplacian - diags_array(3.0 * self.s * w**2)
        return hstack([state, eye_array(w.size)], format="csr")

    def lag_hess(self, x: Array, l: Array, sigma: float) -> Any:
        """Return ``diag(sigma - 6 s l w, 0.1 sigma)``, a sparse array."""
        from scipy.sparse import diags_array

        w = x[: x.size // 2]
        cost = np.full(w.size, COST * sigma)
        return diags_array(np.concatenate([sigma - 6.0 * self.s * l * w, cost]), format="csr")

    @classmethod
    def random(cls, q: int = 3, s: float = 10.0, *, seed: int = 0) -> Self:
        """Return the instance of a size; the seed moves the strength of the cubic term.

        Parameters
        ----------
        q : int, default 3
            Points along a side.
        s : float, default 10.0
            Strength of the cubic term for seed 0; each further seed adds 1.
        seed : int, default 0
            A whole number, at least 0.

        Returns
        -------
        EllipticControl

        Examples
        --------
        >>> import fejer
        >>> fejer.EllipticControl.random(seed=2).s
        12.0
        """
        return cls(q, s + as_number(seed, "seed", least=0, integer=True))
