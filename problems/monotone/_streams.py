"""Losses that come one by one, and the best point in hindsight."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fejer.errors import OracleError, ProblemError
from fejer.evidence import Array
from fejer.numerics.arrays import float_array
from fejer.problem import as_number

from ._domains import Ball, Simplex, secular
from ._operators import call

__all__ = ["Comparator", "LinearStream", "LossStream", "QuadraticStream", "Stream"]


class Comparator(NamedTuple):
    """The best fixed point in hindsight.

    Attributes
    ----------
    x : array
        The point.
    value : float
        Its total loss.
    lower : float
        A proven lower bound of the total loss of every point, None where there is none.
    """

    x: Array
    value: float
    lower: float


class Stream:
    """Base of the streams of losses f_1, ..., f_T on a convex set.

    Attributes
    ----------
    rounds : int
        T.
    domain : Ball or Simplex
        Where the learner plays.
    gradient_bound : float or None
        G with ``||grad f_t(x)|| <= G`` on the domain (on the simplex in the maximum norm). None:
        learners use the largest gradient so far.
    strong_convexity : float
        Of the losses in the mean; 0 where there is none.
    exp_concavity : float or None
        The a with which all ``exp(-a f_t)`` are concave.
    """

    rounds: int
    domain: Ball | Simplex
    gradient_bound: float | None = None
    strong_convexity: float = 0.0
    exp_concavity: float | None = None

    def loss(self, t: int, x: Array) -> float:
        """Return ``f_t(x)``, t from 0 to T - 1."""
        raise NotImplementedError

    def grad(self, t: int, x: Array) -> Array:
        """Return the gradient of ``f_t`` at x."""
        raise NotImplementedError

    def best(self, rounds: int) -> Comparator:
        """Return the best fixed point of the first rounds."""
        raise NotImplementedError


class QuadraticStream(Stream):
    """``f_t(x) = x'A_t x / 2 - b_t'x + c_t`` on a ball.

    Single losses may be nonconvex: the best point in hindsight is that of a trust-region problem,
    which is solved, and bounded below by its dual, whatever the signs of the curvatures.

    Parameters
    ----------
    A : array_like, shape (T, n, n) or (n, n)
        Symmetric; one matrix serves all rounds.
    b : array_like, shape (T, n)
        Linear terms.
    radius : float, default 1.0
        Of the ball.
    c : array_like, shape (T,), optional
        Constants.
    strong_convexity : float, default 0.0
        Of the losses in the mean.
    exp_concavity : float, optional
        Of every loss on the ball.

    Raises
    ------
    ProblemError
        Names the argument that is not as described.

    Examples
    --------
    >>> import numpy as np
    >>> from fejer import online
    >>> stream = online.QuadraticStream(np.eye(2), [[1.0, 0.0], [0.0, 1.0]])
    >>> stream.best(2).x, stream.best(2).value
    (array([0.5, 0.5]), -0.5)
    """

    def __init__(
        self,
        A: npt.ArrayLike,
        b: npt.ArrayLike,
        radius: float = 1.0,
        *,
        c: npt.ArrayLike | None = None,
        strong_convexity: float = 0.0,
        exp_concavity: float | None = None,
    ) -> None:
        self.b = float_array(b, "b", ndim=2)
        self.rounds, n = self.b.shape
        shape = np.shape(A)
        if shape not in ((n, n), (self.rounds, n, n)):
            raise ProblemError(
                f"A: expected shape ({n}, {n}) or ({self.rounds}, {n}, {n}), got {shape}"
            )
        self.A = float_array(A, "A", ndim=len(shape))
        if np.abs(self.A - np.swapaxes(self.A, -1, -2)).max() > 1e-12 * np.abs(self.A).max():
            raise ProblemError("A: expected symmetric matrices")
        self.c = np.zeros(self.rounds) if c is None else float_array(c, "c", ndim=1)
        if self.c.size != self.rounds:
            raise ProblemError(f"c: expected {self.rounds} numbers, got {self.c.size}")
        self.domain = Ball(n, radius)
        self.strong_convexity = as_number(strong_convexity, "strong_convexity", least=0)
        if exp_concavity is not None:
            self.exp_concavity = as_number(exp_concavity, "exp_concavity", above=0)
        norms = np.abs(np.linalg.eigvalsh(self.A)).max(axis=-1)
        self.gradient_bound = float(
            np.max(norms * self.domain.radius + np.linalg.norm(self.b, axis=1))
        )

    def _matrix(self, t: int) -> Array:
        return self.A if self.A.ndim == 2 else self.A[t]  # type: ignore[no-any-return]

    def loss(self, t: int, x: Array) -> float:
        """Return ``f_t(x)``."""
        return float(x @ (0.5 * (self._matrix(t) @ x) - self.b[t]) + self.c[t])

    def grad(self, t: int, x: Array) -> Array:
        """Return ``A_t x - b_t``."""
        return self._matrix(t) @ x - self.b[t]

    def best(self, rounds: int) -> Comparator:
        """Minimise the sum over the first rounds; the bound is the value of the dual problem."""
        A = rounds * self.A if self.A.ndim == 2 else self.A[:rounds].sum(axis=0)
        return least_on_ball(
            A,
            self.b[:rounds].sum(axis=0),
            float(self.c[:rounds].sum()),
            self.domain.radius,  # type: ignore[union-attr]
        )


def least_on_ball(A: Array, b: Array, c: float, radius: float) -> Comparator:
    """Minimise ``x'A x / 2 - b'x + c`` over a ball, A of any sign."""
    h, Q = np.linalg.eigh(A)
    q = Q.T @ b
    largest = float(np.abs(h).max())
    inner = np.where(q == 0.0, 0.0, q / np.where(h == 0.0, 1e-300, h))
    t = 0.0
    if not (h[0] > 0.0 and float(np.linalg.norm(inner)) <= radius):
        # Just right of the pole, so that the hard case has a finite dual value, too.
        t = max(secular(h, q, radius), -float(h[0]) + 1e-15 * largest, 0.0)
        inner = q / np.maximum(h + t, 1e-300)
        size = float(np.linalg.norm(inner))
        if t > 0.0 and size < radius:  # the hard case: any multiple of the lowest eigenvector fits
            along = inner[0]
            inner[0] = math.copysign(math.sqrt(radius**2 - size**2 + along**2), along or 1.0)
        elif size > radius:
            inner *= radius / size
    value = float(inner @ (0.5 * h * inner - q))
    shifted = h + t
    terms = np.where(q == 0.0, 0.0, q * q / np.maximum(shifted, 1e-300))
    lower = -0.5 * float(terms.sum()) - 0.5 * t * radius**2 if shifted[0] >= 0.0 else -math.inf
    return Comparator(Q @ inner, value + c, min(lower, value) + c)


class LinearStream(Stream):
    """``f_t(p) = l_t'p`` on the simplex: the advice of experts.

    Parameters
    ----------
    losses : array_like, shape (T, K)
        l_t, the losses of K experts.

    Examples
    --------
    >>> from fejer import online
    >>> online.LinearStream([[1.0, 0.0], [1.0, 0.5]]).best(2).value
    0.5
    """

    def __init__(self, losses: npt.ArrayLike) -> None:
        self.losses = float_array(losses, "losses", ndim=2)
        self.rounds = self.losses.shape[0]
        self.domain = Simplex(self.losses.shape[1])
        self.gradient_bound = float(np.abs(self.losses).max())

    def loss(self, t: int, x: Array) -> float:
        """Return ``l_t'x``."""
        return float(self.losses[t] @ x)

    def grad(self, t: int, x: Array) -> Array:
        """Return ``l_t``."""
        return self.losses[t]  # type: ignore[no-any-return]

    def best(self, rounds: int) -> Comparator:
        """Return the best expert."""
        x, value = self.domain.lowest(self.losses[:rounds].sum(axis=0))
        return Comparator(x, value, value)


class LossStream(Stream):
    """Losses given by functions.

    Parameters
    ----------
    loss : callable
        ``loss(t, x)`` returns ``f_t(x)``, t from 0 to T - 1.
    grad : callable
        ``grad(t, x)`` returns its gradient, n numbers.
    rounds : int
        T.
    domain : Ball or Simplex
        Where the learner plays.
    convex : bool, default True
        Whether sums of losses are convex. The best point in hindsight is then found to a duality
        gap of about 1e-9 of the range of the linearised sum; else there is no lower bound.
    gradient_bound : float, optional
        Largest gradient (Euclidean norm on the ball, maximum norm on the simplex).
    strong_convexity : float, default 0.0
        Of every loss.
    exp_concavity : float, optional
        Of every loss.

    Examples
    --------
    >>> import numpy as np
    >>> from fejer import online
    >>> stream = online.LossStream(
    ...     lambda t, x: float(np.cosh(x[0] - t)), lambda t, x: np.sinh(x - t), 2, online.Ball(1))
    >>> stream.best(2).x.round(6)
    array([0.5])
    """

    def __init__(
        self,
        loss: Callable[..., Any],
        grad: Callable[..., Any],
        rounds: int,
        domain: Ball | Simplex,
        *,
        convex: bool = True,
        gradient_bound: float | None = None,
        strong_convexity: float = 0.0,
        exp_concavity: float | None = None,
    ) -> None:
        for name, function in (("loss", loss), ("grad", grad)):
            if not callable(function):
                raise ProblemError(f"{name}: expected a callable, got {type(function).__name__}")
        if not isinstance(domain, Ball | Simplex):
            raise ProblemError(f"domain: expected a Ball or a Simplex, got {domain!r:.80}")
        self._loss, self._grad, self.convex = loss, grad, bool(convex)
        self.rounds = as_number(rounds, "rounds", least=1, integer=True)
        self.domain = domain
        if gradient_bound is not None:
            self.gradient_bound = as_number(gradient_bound, "gradient_bound", above=0)
        self.strong_convexity = as_number(strong_convexity, "strong_convexity", least=0)
        if exp_concavity is not None:
            self.exp_concavity = as_number(exp_concavity, "exp_concavity", above=0)

    def loss(self, t: int, x: Array) -> float:
        """Call the loss."""
        value = self._loss(t, x.copy())
        try:
            return float(np.asarray(value, dtype=np.float64).reshape(()))
        except (TypeError, ValueError) as error:
            raise OracleError(f"loss: expected a number, got {value!r:.80}") from error

    def grad(self, t: int, x: Array) -> Array:
        """Call the gradient."""
        return call(lambda z: self._grad(t, z), "grad", self.domain.n, x)

    def best(self, rounds: int) -> Comparator:
        """Minimise the sum; the bound is its tangent's minimum."""
        from fejer.front import minimize

        from .monotone_inclusion import MonotoneInclusion

        def slope(x: Array) -> Array:
            return np.sum([self.grad(t, x) for t in range(rounds)], axis=0) / rounds

        problem = MonotoneInclusion(
            slope, self.domain.n, resolvent=lambda v, eta: self.domain.project(v),
            x0=self.domain.centre(),
        )  # fmt: skip
        found = minimize(problem, method="graal", tol=1e-10, max_iter=20_000)
        x = self.domain.project(found.x)
        value = sum(self.loss(t, x) for t in range(rounds))
        g = rounds * slope(x)
        gap = float(g @ x) - self.domain.lowest(g)[1]
        return Comparator(x, value, value - max(gap, 0.0) if self.convex else -math.inf)
