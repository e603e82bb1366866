"""Minimisation with the conjugate of a convex function as penalty or constraint."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from fejer.errors import OracleError, ProblemError
from fejer.evidence import EMPTY, Array, Certificate, failed
from fejer.numerics.differences import derivative_errors
from fejer.problem import Problem, as_number, as_vector

from ._dual_norms import KINDS, DualNorm
from ._operators import ROUNDING, InclusionForm, call
from .monotone_inclusion import MonotoneInclusion

__all__ = ["DualNormComposite"]

KIND = "Fenchel-Young gap"
OUTSIDE = 1e-9  # relative distance from the domain beyond which the value is infinite
SCALES = 80  # halvings of the two directions that the scale is measured along


@dataclass(frozen=True, eq=False)
class DualNormComposite(InclusionForm, Problem):
    """Smooth function plus the conjugate of K: what sign and momentum methods with decay solve.

    ``min over x of f(x) + K*(lam x) / lam``, K one of the convex functions below, K* its conjugate.

    Parameters
    ----------
    f : callable
        ``f(x)`` returns a number.
    grad : callable
        ``grad(x)`` returns the n derivatives.
    n : int
        Length of x.
    lam : float
        Positive; the weight decay of the methods.
    K : str, default "l1"
        ``"l1"``: x in the box ``||x||_inf <= 1/lam``. ``"l2"``: in the ball ``||x|| <= 1/lam``.
        ``"half-square"``: ridge, ``lam/2 ||x||^2``. ``"soft"`` (sum of ``max(|m| - e, 0)``): box
        and ``e ||x||_1``. ``"huber"`` (slope ``clip(m/e, -1, 1)``): box and ``e lam/2 ||x||^2``.
        ``"group-l2"``: each group in the ball of radius 1/lam. ``"nuclear"``: x as a matrix has
        singular values of at most 1/lam.
    width : float, default 1.0
        e of "soft" and "huber".
    groups : array_like of int, shape (n,), optional
        Group of each entry, 0 to G - 1, for "group-l2".
    shape : tuple of int, optional
        Rows and columns of x, for "nuclear".
    convex : bool, default True
        Whether f is convex, which makes the certificate rigorous.
    lipschitz : float, optional
        Constant of grad. Left out, methods find a step by themselves.
    x0 : array_like, shape (n,), optional
        Default start; 0 if left out.

    Raises
    ------
    ProblemError
        Names the field that is not as described.
    OracleError
        f or grad returned something else than numbers.

    Notes
    -----
    Certificate: ``(K(-g) + K*(lam x) + lam g'x) / lam``, g = grad f(x), bounds the suboptimality
    where f is convex; for "l1" it is ``g'x + ||g||_1 / lam``, the Frank-Wolfe gap. It is divided by
    the largest decrease of the objective from 0 that is seen along the vertex at the first
    gradient and along its negative, each halved 80 times. x outside the domain of K* by up to 1e-9
    (relative) is projected and pays the distance, beyond it the value is infinite.

    References
    ----------
    .. [1] Chen, Liu, Liang, Liu (2024), Lion secretly solves constrained optimization: as Lyapunov
       predicts, ICLR, arXiv:2310.05898.

    Examples
    --------
    >>> import numpy as np
    >>> import fejer
    >>> target = np.array([2.0, -0.3])
    >>> problem = fejer.DualNormComposite(
    ...     lambda x: 0.5 * np.sum((x - target) ** 2), lambda x: x - target, 2, lam=1.0)
    >>> fejer.minimize(problem, tol=1e-9).x.round(6)
    array([ 1. , -0.3])
    """

    f: Callable[..., Any]
    grad: Callable[..., Any]
    n: int
    lam: float
    K: str = "l1"
    width: float = 1.0
    groups: npt.ArrayLike | None = None
    shape: tuple[int, int] | None = None
    convex: bool = True
    lipschitz: float | None = None
    x0: npt.ArrayLike | None = None

    def __post_init__(self) -> None:
        for name in ("f", "grad"):
            if not callable(value := getattr(self, name)):
                raise ProblemError(f"{name}: expected a callable, got {type(value).__name__}")
        n = as_number(self.n, "n", least=1, integer=True)
        lam = as_number(self.lam, "lam", above=0, least=1e-100, most=1e100)
        if not isinstance(self.K, str) or self.K not in KINDS:
            raise ProblemError(f"K: expected one of {', '.join(KINDS)}, got {self.K!r:.80}")
        width = as_number(self.width, "width", above=0, least=1e-100, most=1e100)
        if not isinstance(self.convex, bool | np.bool_):
            raise ProblemError(f"convex: expected True or False, got {self.convex!r:.80}")
        if self.lipschitz is not None:
            constant = as_number(self.lipschitz, "lipschitz", least=1e-100, most=1e100)
            self.set(lipschitz=constant)
        groups, shape = self._checked_groups(n), self._checked_shape(n)
        x0 = None if self.x0 is None else as_vector(self.x0, "x0", n)
        self.set(n=n, lam=lam, width=width, groups=groups, shape=shape, x0=x0)
        self.set(convex=bool(self.convex))

    def _checked_groups(self, n: int) -> Any:
        if self.groups is None and self.K == "group-l2":
            raise ProblemError("groups: expected one group for each entry, got None")
        if self.groups is None:
            return None
        given = as_vector(self.groups, "groups", n)
        groups = given.astype(np.int64)
        known = 0 <= groups.min() and groups.max() < n and (groups == given).all()
        if not (known and np.bincount(groups).all()):
            raise ProblemError("groups: expected each of the integers 0 to G - 1")
        groups.flags.writeable = False
        return groups

    def _checked_shape(self, n: int) -> Any:
        if self.shape is None and self.K != "nuclear":
            return None
        pair = self.shape if isinstance(self.shape, tuple | list) and len(self.shape) == 2 else ()
        sides = tuple(as_number(k, "shape", least=1, integer=True) for k in pair)
        if math.prod(sides) != n or not sides:
            raise ProblemError(f"shape: expected rows and columns of {n} entries in all")
        return sides

    # ---- the pieces --------------------------------------------------------------------------
    @cached_property
    def norm(self) -> DualNorm:
        """The function K."""
        return DualNorm(self.K, self.width, self.groups, self.shape)  # type: ignore[arg-type]

    def evaluate(self, x: Array) -> tuple[float, Array]:
        """Call f and its gradient at ``x``; `oracle` remembers the last points."""
        value = self.f(x.copy())
        try:
            number = float(np.asarray(value, dtype=np.float64).reshape(()))
        except (TypeError, ValueError) as error:
            raise OracleError(f"f: expected a number, got {value!r:.80}") from error
        return number, call(self.grad, "grad", self.n, x)

    def penalty(self, x: Array) -> float:
        """Return ``K*(lam x) / lam`` at a point of the domain."""
        return self.norm.conjugate(self.lam * x) / self.lam

    def initial_point(self) -> Array:
        """Return x0, or 0."""
        return np.zeros(self.n) if self.x0 is None else self.x0  # type: ignore[return-value]

    @cached_property
    def scale(self) -> float:
        """What the gap is divided by; see the notes of the class."""
        with np.errstate(all="ignore"):
            value, g = self.oracle(np.zeros(self.n))
            gauge = self.norm.gauge(self.lam * g)
            down = -g / gauge if gauge > 0.0 else -g / self.lam
            best = 0.0
            for direction in (self.norm.slope(-g) / self.lam, down):
                for k in range(SCALES):
                    x = direction * 0.5**k
                    decrease = value - float(self.f(x.copy())) - self.penalty(x)
                    best = max(best, decrease) if decrease < math.inf else best
        return best or 1.0

    def certificate(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> Certificate:
        """Compute the Fenchel-Young gap; see the notes of the class.

        Parameters
        ----------
        x : array, shape (n,)
            The point.
        witness : mapping, optional
            Not needed.

        Returns
        -------
        Certificate
        """
        z = self.lam * x
        if not np.isfinite(z).all():
            return failed(KIND, "overflow", scale=self.scale)
        inside = self.norm.project(z)
        off = float(np.linalg.norm(z - inside)) / max(1.0, float(np.linalg.norm(inside)))
        if not off <= OUTSIDE:
            return failed(KIND, f"x is {off:.2g} outside the domain", scale=self.scale)
        point = inside / self.lam if off > 0.0 else x
        value, g = self.oracle(point)
        if not (math.isfinite(value) and np.isfinite(g).all()):
            return failed(KIND, "f is not finite at x", scale=self.scale)
        parts = self.norm.value(-g), self.norm.conjugate(inside), float(g @ inside)
        terms = parts[0] + parts[1] + float(np.abs(g) @ np.abs(inside))
        floor = ROUNDING * terms / self.lam / self.scale + off
        gap = max(sum(parts), 0.0) / self.lam
        fun = value + parts[1] / self.lam
        if not gap < math.inf:
            return failed(KIND, "overflow", fun, scale=self.scale)
        return Certificate(
            KIND,
            gap / self.scale + floor,
            fun,
            rigorous=self.convex,
            scale=self.scale,
            lower_bound=fun - gap if self.convex else None,
            details={"gap": gap, "floor": floor},
        )

    def derivative_checks(self, x: Array) -> list[tuple[str, Array, Array]]:
        """Return what `fejer.check_derivatives` compares: grad with differences of f.

        Parameters
        ----------
        x : array, shape (n,)
            Where.

        Returns
        -------
        list of tuple
        """
        grad = self.evaluate(x)[1]
        return [derivative_errors("grad", x, lambda y: self.evaluate(y)[0], grad.dot)]

    def auto(self) -> tuple[str, ...]:
        """Return splitting methods for convex f, else the method with momentum."""
        return ("forward-backward", "graal", "lion-k") if self.convex else ("lion-k",)

    def inclusion(self) -> MonotoneInclusion:
        """Return ``0 in grad f(x) + subdifferential of K*(lam x) / lam``."""
        return self._inclusion

    @cached_property
    def _inclusion(self) -> MonotoneInclusion:
        norm, lam = self.norm, self.lam

        def gradient(x: Array) -> Array:
            return self.oracle(x)[1]  # type: ignore[no-any-return]

        return MonotoneInclusion(
            gradient,
            self.n,
            kind="cocoercive" if self.convex else "monotone",
            resolvent=lambda v, eta: norm.prox(v, eta, lam),
            lipschitz=self.lipschitz,
            x0=self.x0,
        )

    @classmethod
    def random(cls, n: int = 6, K: str = "l1", *, seed: int = 0) -> Self:
        """Draw a least-squares problem, with half of the box active.

        Parameters
        ----------
        n : int, default 6
            Length of x; an even number for "nuclear", which takes two rows, and for "group-l2".
        K : str, default "l1"
            As in the class.
        seed : int, default 0
            Seed of the generator.

        Returns
        -------
        DualNormComposite
            It pickles.

        Examples
        --------
        >>> import fejer
        >>> fejer.DualNormComposite.random(4).n
        4
        """
        rng = np.random.default_rng(seed)
        X = rng.standard_normal((3 * n, n))
        y = X @ (1.5 * rng.standard_normal(n)) + 0.5 * rng.standard_normal(3 * n)
        return cls(
            _Squares(X, y),
            _Slopes(X, y),
            n,
            1.0,
            K,
            0.1,
            np.arange(n) // 2 if K == "group-l2" else None,
            (2, n // 2) if K == "nuclear" else None,
            lipschitz=float(np.linalg.norm(X, 2) ** 2 / y.size),
        )


@dataclass(frozen=True, eq=False)
class _Squares:
    """Half the mean squared residual."""

    X: Array
    y: Array

    def __call__(self, x: Array) -> float:
        return 0.5 * float(np.mean((self.X @ x - self.y) ** 2))

    def fingerprint(self) -> str:
        """Return a SHA-256 of the data."""
        return hashlib.sha256(self.X.tobytes() + self.y.tobytes()).hexdigest()


@dataclass(frozen=True, eq=False)
class _Slopes(_Squares):
    """Its gradient."""

    def __call__(self, x: Array) -> Array:  # type: ignore[override]
        return self.X.T @ (self.X @ x - self.y) / self.y.size
