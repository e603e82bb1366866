"""What the two classes of games on simplices share: certificate, operator, strategies."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fejer.errors import ProblemError
from fejer.evidence import EMPTY, Array, Certificate, failed
from fejer.numerics.matrix import Matrix
from fejer.numerics.prox_kernels import project_simplex
from fejer.problem import Problem

from ._operators import ROUNDING, InclusionForm
from .monotone_inclusion import MonotoneInclusion

__all__ = ["Game"]

KIND = "duality gap"
OUTSIDE = 1e-9  # distance from the simplices beyond which a point is no pair of strategies


def projected(v: Array, split: int) -> Array:
    """Return the projection of both parts on their simplices."""
    out = np.empty(v.size)
    project_simplex(v[:split], 1.0, out[:split])
    project_simplex(v[split:], 1.0, out[split:])
    return out


@dataclass(frozen=True, eq=False)
class Simplices:
    """The projection on two simplices, a resolvent for every step."""

    split: int

    def __call__(self, v: Array, eta: float) -> Array:
        return projected(v, self.split)


@dataclass(frozen=True, eq=False)
class GameField:
    """``F(x, y) = (A'y + mu_x x, -A x + mu_y y)``, each part of the products without its mean.

    Means change neither a projection on a simplex nor a product with a difference of strategies,
    and without them the field is as flat as A allows: constants added to rows or columns of A do
    not count.
    """

    A: Matrix
    mu_x: float
    mu_y: float

    def __call__(self, z: Array) -> Array:
        n = self.A.shape[1]
        x, y = z[:n], z[n:]
        value = np.empty(z.size)
        pull, push = self.A.rmatvec(y), self.A.matvec(x)
        np.subtract(pull, pull.mean(), out=value[:n])
        np.subtract(push.mean(), push, out=value[n:])
        if self.mu_x > 0.0:
            value[:n] += self.mu_x * x
        if self.mu_y > 0.0:
            value[n:] += self.mu_y * y
        return value

    def fingerprint(self) -> str:
        """Return a SHA-256 of the data."""
        text = f"{self.A.fingerprint()}{self.mu_x}{self.mu_y}"
        return hashlib.sha256(text.encode()).hexdigest()

    def constant(self) -> float:
        """Return the Lipschitz constant on pairs of strategies."""
        coupling = Matrix.of(Centred(self.A)).spectral_norm()
        block = [[self.mu_x, -coupling], [coupling, self.mu_y]]
        return float(np.linalg.norm(block, 2))


class Centred:
    """``P A P`` with the projections P on vectors of mean 0, for the norm alone."""

    def __init__(self, A: Matrix) -> None:
        self.A, self.shape, self.dtype = A, A.shape, np.dtype(np.float64)

    def matvec(self, x: Array) -> Array:
        """Multiply by a vector."""
        image = self.A.matvec(x - x.mean())
        return image - image.mean()

    def rmatvec(self, y: Array) -> Array:
        """Multiply the transpose by a vector."""
        image = self.A.rmatvec(y - y.mean())
        return image - image.mean()


class Game(InclusionForm, Problem):
    """Base of the games; ``mu_x`` and ``mu_y`` are 0 where there is no regularisation."""

    A: Any
    mu_x: float
    mu_y: float

    views = ("minimizer", "maximizer")

    @property
    def split(self) -> int:  # type: ignore[override]
        """Number of pure strategies of the minimiser."""
        return int(self.A.shape[1])

    def checked_matrix(self) -> Matrix:
        """Return the payoffs as a Matrix with entries."""
        A = Matrix.of(self.A, "A")
        if A.is_operator:
            raise ProblemError("A: expected a matrix with entries, got an operator")
        return A

    def _shifted(self) -> tuple[Matrix, float, float]:
        """A without the median of its entries, the median, and the median modulus of the rest."""

        def build() -> tuple[Matrix, float, float]:
            A = self.A
            if A.is_sparse and 2 * A.nnz < A.shape[0] * A.shape[1]:
                B, middle, entries = A, 0.0, A.tosparse().data
            else:
                entries = A.toarray()
                middle = float(np.median(entries))
                entries = entries - middle
                B = A if middle == 0.0 else Matrix.of(np.asfortranarray(entries), "A")
            moduli = np.abs(entries[entries != 0.0])
            return B, middle, float(np.median(moduli)) if moduli.size else 0.0

        return self.fact("shifted", ("A",), build)  # type: ignore[no-any-return]

    def initial_point(self) -> Array:
        """Return the uniform strategies."""
        m, n = self.A.shape
        return np.concatenate([np.full(n, 1.0 / n), np.full(m, 1.0 / m)])

    def minimizer(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> Array:
        """Return the strategy of the minimiser, who chooses columns."""
        return projected(x, self.split)[: self.split]

    def maximizer(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> Array:
        """Return the strategy of the maximiser, who chooses rows."""
        return projected(x, self.split)[self.split :]

    def certificate(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> Certificate:
        """Compute both players' regrets exactly.

        Parameters
        ----------
        x : array, shape (n + m,)
            The strategies of the minimiser and of the maximiser.
        witness : mapping, optional
            Not needed.

        Returns
        -------
        Certificate
        """
        B, middle, size = self._shifted()
        n = self.split
        if not np.abs(x).max() <= 2.0:
            return failed(KIND, "x is no pair of strategies")
        z = projected(x, n)
        distance = float(np.linalg.norm(x - z))
        if not distance <= OUTSIDE:
            return failed(KIND, f"x is {distance:.2g} away from the simplices")
        p, q = z[:n], z[n:]
        push, pull = B.matvec(p), B.rmatvec(q)
        payoff = float(q @ push)
        units = [size + self.mu_x or 1.0, size + self.mu_y or 1.0]
        regret_x, at_x = _regret(-pull, p, self.mu_x)
        regret_y, at_y = _regret(push, q, self.mu_y)
        terms = float(B.abs_matvec(p).max()) + self.mu_y, float(B.abs_rmatvec(q).max()) + self.mu_x
        floor = ROUNDING * (terms[1] / units[0] + terms[0] / units[1]) + 2.0 * distance
        fun = payoff + 0.5 * self.mu_x * float(p @ p) - 0.5 * self.mu_y * float(q @ q)
        return Certificate(
            KIND,
            regret_x / units[0] + regret_y / units[1] + floor,
            fun + middle,
            rigorous=True,
            scale=max(units),
            lower_bound=-at_x - 0.5 * self.mu_y * float(q @ q) + middle,
            details={
                "regret_minimizer": regret_x,
                "regret_maximizer": regret_y,
                "upper_bound": at_y + 0.5 * self.mu_x * float(p @ p) + middle,
                "floor": floor,
            },
        )

    def inclusion(self) -> MonotoneInclusion:
        """Return the optimality conditions as a monotone inclusion on the two simplices."""

        def build() -> MonotoneInclusion:
            field = GameField(self._shifted()[0], self.mu_x, self.mu_y)
            constant = field.constant()
            m, n = self.A.shape
            return MonotoneInclusion(
                field,
                m + n,
                resolvent=Simplices(n),
                lipschitz=constant if constant > 1e-100 else 1.0,
                x0=self.initial_point(),
            )

        return self.fact("inclusion", ("A", "mu_x", "mu_y"), build)  # type: ignore[no-any-return]

    def auto(self) -> tuple[str, ...]:
        """Return the fastest first-order methods on small games."""
        return ("eag", "extragradient", "graal")


def _regret(v: Array, p: Array, mu: float) -> tuple[float, float]:
    """Loss of the strategy p against the best answer to ``max v'p - mu/2 |p|^2``, and the best."""
    if mu == 0.0:
        best = float(v.max())
        return float((best - v) @ p), best
    answer = np.empty(v.size)
    # Entries so far apart that v / mu overflows have the vertex as the answer.
    scaled = np.maximum((v - v.max()) / mu, -1e300)
    project_simplex(scaled, 1.0, answer)
    best = float(v @ answer) - 0.5 * mu * float(answer @ answer)
    moved = answer - p
    # v'(a - p) - mu/2 (|a|^2 - |p|^2) without the cancellation of the two squares.
    return max(0.0, float(v @ moved) - 0.5 * mu * float(moved @ (answer + p))), best
