"""Electrons on a sphere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from fejer.evidence import Array
from fejer.problem import as_number

from ._equality import Equality


@dataclass(frozen=True, eq=False)
class Thomson(Equality):
    """Points on a sphere that repel each other.

    ``min over p_1, ..., p_q in R^3 of sum_{i<j} 1/|p_i - p_j|  subject to  |p_i|^2 = 1``.

    Parameters
    ----------
    q : int
        Points, at least 2.
    seed : int, default 0
        Seed of the initial points.

    Raises
    ------
    ProblemError
        q or seed out of their range.

    Notes
    -----
    Variable: ``(p_1, ..., p_q)``, 3 q numbers; the view ``points`` has them as rows. Witness:
    ``multipliers``, shape (q,). Certificate and views: those of `EqualityNLP`; its scale is 1.

    A rotation of the sphere changes nothing, so the Hessian is singular at every solution, the
    view ``second_order`` says "unknown", and Newton steps are shifted. For more than about ten
    points there are several local minima; which one is found depends on the start.

    References
    ----------
    .. [1] Thomson (1904), On the structure of the atom, Philosophical Magazine 7(39).

    Examples
    --------
    Four points form a tetrahedron, of energy 6 / sqrt(8/3):

    >>> import fejer
    >>> round(fejer.minimize(fejer.Thomson(4)).fun, 6)
    3.674235
    """

    q: int
    seed: int = 0

    views = ("multipliers", "constraint_violation", "inertia", "second_order", "points")

    def __post_init__(self) -> None:
        q = as_number(self.q, "q", least=2, most=1000, integer=True)
        self.set(q=q, seed=as_number(self.seed, "seed", least=0, integer=True))

    def initial_point(self) -> Array:
        """Return points drawn uniformly."""
        p = np.random.default_rng(self.seed).standard_normal((self.q, 3))
        return np.asarray((p / np.linalg.norm(p, axis=1, keepdims=True)).ravel())

    @property
    def x0(self) -> Array:
        """The initial point."""
        return self.initial_point()

    @property
    def n_constraints(self) -> int:
        """Number of constraints."""
        return self.q

    def _pairs(self, x: Array) -> tuple[Array, Array]:
        """Return differences of all points, and one over their distances (0 for a point itself)."""
        p = x.reshape(self.q, 3)
        apart = p[:, None, :] - p[None, :, :]
        squares = np.einsum("ijk,ijk->ij", apart, apart)
        squares[np.diag_indices(self.q)] = np.inf
        return apart, 1.0 / np.sqrt(squares)

    def fun(self, x: Array) -> float:
        """Return the energy."""
        return float(0.5 * self._pairs(x)[1].sum())

    def grad(self, x: Array) -> Array:
        """Return its gradient."""
        apart, inverse = self._pairs(x)
        return np.asarray(-np.einsum("ij,ijk->ik", inverse**3, apart).ravel())

    def constraint(self, x: Array) -> Array:
        """Return ``|p_i|^2 - 1``."""
        p = x.reshape(self.q, 3)
        return np.asarray(np.einsum("ik,ik->i", p, p) - 1.0)

    def constraint_jac(self, x: Array) -> Array:
        """Return the Jacobian, three entries a row."""
        G = np.zeros((self.q, self.q, 3))
        G[range(self.q), range(self.q)] = 2.0 * x.reshape(self.q, 3)
        return G.reshape(self.q, 3 * self.q)

    def lag_hess(self, x: Array, l: Array, sigma: float) -> Array:
        """Return the Hessian of the Lagrangian."""
        q = self.q
        apart, inverse = self._pairs(x)
        cubes = inverse**3
        blocks = (-3.0 * inverse**5)[:, :, None, None] * apart[..., :, None] * apart[..., None, :]
        blocks += cubes[:, :, None, None] * np.eye(3)
        own = blocks.sum(axis=1)
        H = blocks.transpose(0, 2, 1, 3).copy()
        H[range(q), :, range(q), :] = -own
        H = sigma * H.reshape(3 * q, 3 * q)
        H[np.diag_indices_from(H)] += np.repeat(2.0 * l, 3)
        return H

    def points(self, x: Array, witness: Any = None) -> Array:
        """Return the points as rows."""
        return x.reshape(self.q, 3).copy()

    @classmethod
    def random(cls, q: int = 5, *, seed: int = 0) -> Self:
        """Return a number of points with drawn initial places.

        Parameters
        ----------
        q : int, default 5
            Points.
        seed : int, default 0
            Seed of the initial points.

        Returns
        -------
        Thomson

        Examples
        --------
        >>> import fejer
        >>> fejer.Thomson.random(7).size
        21
        """
        return cls(q, seed)
