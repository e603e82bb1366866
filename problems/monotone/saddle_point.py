"""Saddle point problems given by gradients."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from fejer.errors import ProblemError
from fejer.evidence import Array
from fejer.problem import as_number, as_vector

from ._operators import call
from ._saddles import Pair, Saddle, checked_proxes
from .monotone_inclusion import MonotoneInclusion

__all__ = ["SaddlePoint"]


@dataclass(frozen=True, eq=False)
class _SaddleField:
    """``F(x, y) = (g_x, -g_y)`` of the two gradients."""

    gx: Callable[..., Any]
    gy: Callable[..., Any]
    n: int
    m: int

    def __call__(self, z: Array) -> Array:
        x, y = z[: self.n], z[self.n :]
        first = call(self.gx, "gx", self.n, x, y)
        return np.concatenate([first, -call(self.gy, "gy", self.m, x, y)])


@dataclass(frozen=True, eq=False)
class SaddlePoint(Saddle):
    """Saddle point of a function that is convex in x and concave in y.

    ``min over x in R^n, max over y in R^m, of f(x, y) + g_x(x) - g_y(y)``, f smooth and given by
    its gradients, g_x and g_y convex and given by their proximal operators.

    Parameters
    ----------
    gx : callable
        ``gx(x, y)`` returns the n derivatives of f with respect to x.
    gy : callable
        ``gy(x, y)`` returns the m derivatives of f with respect to y (not their negatives).
    n, m : int
        Lengths of x and y.
    prox_x, prox_y : callable, optional
        ``prox(v, eta)``: the proximal operators of ``eta g``; the objects of ``fejer.prox`` serve.
        None: g = 0.
    lipschitz : float, optional
        Constant of ``(gx, -gy)``. Left out, methods find a step by themselves.
    x0 : array_like, shape (n + m,), optional
        Default start; 0 if left out.

    Raises
    ------
    ProblemError
        Names the field that is not as described.
    OracleError
        A function returned the wrong shape or, at the start, numbers that are not finite.

    Notes
    -----
    The variable is ``(x, y)``, of length n + m; `result.primal` and `result.dual` are its parts.

    Certificate: the larger of the two players' natural residuals
    ``||x - prox_x(x - eta gx)|| / eta``, ``||y - prox_y(y + eta gy)|| / eta``, each divided by its
    own at the origin (projected), or, where that is 0, by its own after one forward-backward step.
    eta is ``1 / lipschitz``, or from a secant at the origin. A necessary condition. f itself is not
    known: ``fun`` is the larger residual.

    References
    ----------
    .. [1] Rockafellar (1970), Convex Analysis, Princeton University Press.

    Examples
    --------
    >>> import numpy as np
    >>> import fejer
    >>> problem = fejer.SaddlePoint(
    ...     lambda x, y: np.exp(x) + y, lambda x, y: x - y, 1, 1,
    ...     prox_x=lambda v, eta: np.maximum(v, -0.5))
    >>> fejer.minimize(problem, tol=1e-9).x.round(6)
    array([-0.5, -0.5])
    """

    gx: Callable[..., Any]
    gy: Callable[..., Any]
    n: int
    m: int
    prox_x: Callable[..., Any] | None = None
    prox_y: Callable[..., Any] | None = None
    lipschitz: float | None = None
    x0: npt.ArrayLike | None = None

    def __post_init__(self) -> None:
        for name in ("gx", "gy"):
            if not callable(value := getattr(self, name)):
                raise ProblemError(f"{name}: expected a callable, got {type(value).__name__}")
        n, m = (as_number(getattr(self, k), k, least=1, integer=True) for k in ("n", "m"))
        checked_proxes(self)
        if self.lipschitz is not None:
            constant = as_number(self.lipschitz, "lipschitz", least=1e-100, most=1e100)
            self.set(lipschitz=constant)
        x0 = None if self.x0 is None else as_vector(self.x0, "x0", n + m)
        self.set(n=n, m=m, x0=x0)

    @property
    def split(self) -> int:  # type: ignore[override]
        """Length of x."""
        return self.n

    def initial_point(self) -> Array:
        """Return x0, or 0."""
        return np.zeros(self.n + self.m) if self.x0 is None else self.x0  # type: ignore[return-value]

    def build_inclusion(self) -> MonotoneInclusion:
        """Build the inclusion."""
        free = self.prox_x is None and self.prox_y is None
        return MonotoneInclusion(
            _SaddleField(self.gx, self.gy, self.n, self.m),
            self.n + self.m,
            resolvent=None if free else Pair(self.n, self.prox_x, self.prox_y),
            lipschitz=self.lipschitz,
        )

    def derivative_checks(self, x: Array) -> Iterator[tuple[str, list[float], list[float]]]:
        """Yield what `fejer.check_derivatives` compares, of ``(gx, -gy)`` and both proxes.

        Parameters
        ----------
        x : array, shape (n + m,)
            Where.

        Yields
        ------
        tuple
        """
        return self.inclusion().derivative_checks(x)

    @classmethod
    def random(cls, n: int = 4, m: int = 3, *, seed: int = 0) -> Self:
        """Draw ``sum log cosh x + |x|^2 / 4 + y'(A x - b) - |y|^2 / 2`` with x at least -0.2.

        Parameters
        ----------
        n, m : int, default 4 and 3
            Lengths of x and y.
        seed : int, default 0
            Seed of the generator.

        Returns
        -------
        SaddlePoint
            It pickles.

        Examples
        --------
        >>> import fejer
        >>> fejer.SaddlePoint.random(3, 2).size
        5
        """
        rng = np.random.default_rng(seed)
        A, b = rng.standard_normal((m, n)), rng.standard_normal(m)
        size = float(np.linalg.norm(A, 2))
        constant = float(np.linalg.norm([[1.5, size], [size, 1.0]], 2))
        first, second = _Gradient(A, b, False), _Gradient(A, b, True)
        return cls(first, second, n, m, prox_x=_AtLeast(-0.2), lipschitz=constant)


@dataclass(frozen=True, eq=False)
class _Gradient:
    """A gradient of the random instances."""

    A: Array
    b: Array
    second: bool

    def __call__(self, x: Array, y: Array) -> Array:
        if self.second:
            return self.A @ x - self.b - y
        return np.tanh(x) + 0.5 * x + self.A.T @ y

    def fingerprint(self) -> str:
        """Return a SHA-256 of the data."""
        data = self.A.tobytes() + self.b.tobytes() + bytes([self.second])
        return hashlib.sha256(data).hexdigest()


@dataclass(frozen=True, eq=False)
class _AtLeast:
    """The projection on ``x >= least``."""

    least: float

    def __call__(self, v: Array, eta: float) -> Array:
        return np.maximum(v, self.least)

    def fingerprint(self) -> str:
        """Return the bound as a text."""
        return repr(self.least)
