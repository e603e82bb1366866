"""Fixed points of nonexpansive maps."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from fejer.errors import OracleError, ProblemError
from fejer.evidence import EMPTY, Array, Certificate, failed
from fejer.problem import Problem, as_number, witness_array

from ._operators import MAP, ROUNDING, Affine, FixedPointForm, call, first_class, moved_by, norm

__all__ = ["FixedPoint"]

KIND = "fixed-point residual"
OPERATORS = ("nonexpansive", "averaged", "contraction")


@dataclass(frozen=True, eq=False)
class FixedPoint(FixedPointForm, Problem):
    """Fixed point of a nonexpansive map.

    Find x in R^n with ``x = T(x)``, where ``||T x - T y|| <= ||x - y||`` for all x and y.

    Parameters
    ----------
    T : callable
        ``T(x)`` returns n numbers. A function that numba compiled for
        ``void(f8[::1], f8[::1])`` gets (x, out) and writes into out; whole loops then run
        compiled. Affine maps are better made by `FixedPoint.affine`.
    n : int
        Length of x.
    operator : {"nonexpansive", "averaged", "contraction"}, default "nonexpansive"
        What is known of T. Averaged: ``T = (1 - factor) I + factor N`` with N nonexpansive;
        methods then iterate N. Contraction: ``||T x - T y|| <= factor ||x - y||``.
    factor : float, optional
        A number in (0, 1), required unless the operator is "nonexpansive", where it must be left
        out.
    scale : float, default 1.0
        Divides the certificate's value: the size of ``x - T(x)`` that counts as 1.

    Raises
    ------
    ProblemError
        Names the field that is not as described.
    OracleError
        At the start of a run: T returns the wrong shape, or numbers that are not finite.

    Notes
    -----
    Certificate: ``(||x - T(x)|| + floor) / scale`` with ``floor = 4 u (||x|| + ||T(x)||)``, u the
    rounding unit (affine maps: ``||x|| + || |A| |x| + |b| ||``). Without the floor ``x -> x + 1``
    would have a fixed point at 1e17. A necessary condition only, hence not rigorous: a small
    residual does not bound the distance to a fixed point. For contractions
    ``details["distance"]`` does: ``residual / (1 - factor)``.

    A method that sees two points with ``||T u - T v|| > ||u - v||`` hands them over as witness
    ``pair``, shape (2, n); ``details["expansion"]`` is the quotient, computed anew.

    One unit of work is one evaluation of T.

    References
    ----------
    .. [1] Bauschke, Combettes (2017), Convex Analysis and Monotone Operator Theory in Hilbert
       Spaces, 2nd edition, Springer.

    Examples
    --------
    >>> import numpy as np
    >>> import fejer
    >>> problem = fejer.FixedPoint(np.cos, 1, operator="contraction", factor=0.85)
    >>> fejer.minimize(problem, tol=1e-10, method="averaged").x.round(6)
    array([0.739085])
    """

    T: Callable[..., Any]
    n: int
    operator: str = "nonexpansive"
    factor: float | None = None
    scale: float = 1.0

    def __post_init__(self) -> None:
        if not callable(self.T):
            raise ProblemError(f"T: expected a callable, got {type(self.T).__name__}")
        n = as_number(self.n, "n", least=1, integer=True)
        if isinstance(self.T, Affine) and self.T.b.size != n:
            raise ProblemError(f"n: expected {self.T.b.size}, the size of the map, got {n}")
        if not isinstance(self.operator, str) or self.operator not in OPERATORS:
            known = ", ".join(OPERATORS)
            raise ProblemError(f"operator: expected one of {known}, got {self.operator!r:.80}")
        factor = self.factor
        if self.operator == "nonexpansive":
            if factor is not None:
                raise ProblemError(f"factor: expected None for a nonexpansive map, got {factor!r}")
        else:
            if factor is None:
                raise ProblemError(f"factor: expected a number for operator {self.operator!r}")
            factor = as_number(factor, "factor", above=0.0)
            if factor >= 1.0:
                raise ProblemError(f"factor: expected a number > 0 and < 1, got {factor}")
        scale = as_number(self.scale, "scale", least=1e-100, most=1e100)
        self.set(n=n, factor=factor, scale=scale)

    @classmethod
    def affine(
        cls,
        A: Any,
        b: Any,
        operator: str = "nonexpansive",
        factor: float | None = None,
        scale: float = 1.0,
    ) -> Self:
        """Build the problem ``x = A x + b`` from its data.

        Parameters
        ----------
        A : array_like, sparse matrix or LinearOperator, shape (n, n)
            Linear part, of spectral norm at most 1.
        b : array_like, shape (n,)
            Constant part; a number is spread.
        operator, factor, scale
            As in the class.

        Returns
        -------
        FixedPoint
            With ``T.A`` (a Matrix) and ``T.b``; it pickles.

        Examples
        --------
        >>> import fejer
        >>> problem = fejer.FixedPoint.affine([[0.0, -1.0], [1.0, 0.0]], [1.0, 0.0])
        >>> fejer.minimize(problem, method="halpern").x.round(3)
        array([0.5, 0.5])
        """
        T = Affine(A, b)
        return cls(T, T.b.size, operator, factor, scale)

    # ---- the map -----------------------------------------------------------------------------
    @property
    def is_affine(self) -> bool:
        """Whether the map is known by its data ``T.A`` and ``T.b``."""
        return isinstance(self.T, Affine)

    @property
    def compiled(self) -> Any:
        """The map as an argument for kernels, or None if it is not compiled."""
        memo = self.__dict__
        if "_compiled" not in memo:
            memo["_compiled"] = first_class(self.T, MAP)
        return memo["_compiled"]

    @property
    def averagedness(self) -> float:
        """The number a with ``T = (1 - a) I + a N``, N nonexpansive."""
        return self.factor if self.operator == "averaged" and self.factor is not None else 1.0

    def fixed_point(self) -> FixedPoint:
        """Return the problem itself."""
        return self

    def apply(self, x: Array) -> Array:
        """Return ``T(x)``, which the caller must not write into.

        Parameters
        ----------
        x : array, shape (n,)
            The point.

        Returns
        -------
        array, shape (n,)

        Raises
        ------
        OracleError
            T returned another shape, or no real numbers.
        """
        return self.T(x) if isinstance(self.T, Affine) else self.oracle(x)

    def evaluate(self, x: Array) -> Array:
        """Call T at ``x``; `apply` remembers the last points."""
        if self.compiled is None:
            return call(self.T, "T", self.n, x)
        image = np.empty(self.n)
        self.T(x.copy(), image)
        return image

    def check_start(self, x: Array) -> None:
        """Refuse a map that fails at the start of a run.

        Parameters
        ----------
        x : array, shape (n,)
            The start.

        Raises
        ------
        OracleError
            T returned the wrong shape, or numbers that are not finite.
        """
        if self.is_affine:
            return
        image = self.apply(x)
        if not np.isfinite(image).all():
            raise OracleError("T: expected finite numbers at the start, got nan or inf")

    # ---- the contract --------------------------------------------------------------------------
    @property
    def judge_units(self) -> int:
        """Units of one certificate: none where the memo of `apply` has the image already."""
        return 0 if self.compiled is None and not self.is_affine else 1

    def initial_point(self) -> Array:
        """Return 0."""
        return np.zeros(self.n)

    def certificate(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> Certificate:
        """Measure ``||x - T(x)||`` and its rounding error; see the notes of the class.

        Parameters
        ----------
        x : array, shape (n,)
            The point.
        witness : mapping, optional
            ``pair``, shape (2, n): two points at which T expands.

        Returns
        -------
        Certificate
        """
        image = self.apply(x)
        if not np.isfinite(image).all():
            return failed(KIND, "T(x) is not finite", scale=self.scale)
        terms = self.T.moduli(x) if isinstance(self.T, Affine) else image
        rounding = ROUNDING * (norm(x) + norm(terms))
        residual = norm(x - image)
        total = residual + rounding
        details = {"residual": residual, "floor": rounding / self.scale}
        if self.operator == "contraction" and self.factor is not None:
            details["distance"] = total / (1.0 - self.factor)
        pair = witness_array(witness, "pair", (2, self.n)) if witness else None
        apart = 0.0 if pair is None else norm(pair[0] - pair[1])
        moved = moved_by(self.apply, pair) if pair is not None and apart > 0.0 else None
        if moved is not None:
            details["expansion"] = norm(moved) / apart
        value = total / self.scale
        return Certificate(
            KIND,
            value,
            total,
            reason="" if value < math.inf else "overflow",
            scale=self.scale,
            details=details,
            witness={} if pair is None else {"pair": pair},
        )

    def auto(self) -> tuple[str, ...]:
        """Return extrapolation first, then the method that cannot fail."""
        return ("anderson", "halpern")

    def derivative_checks(self, x: Array) -> Iterator[tuple[str, list[float], list[float]]]:
        """Yield what `fejer.check_derivatives` compares: the declared kind of T, at some points.

        Parameters
        ----------
        x : array, shape (n,)
            Where.

        Yields
        ------
        tuple
        """
        rng = np.random.default_rng(0)
        size = max(1.0, norm(x) / math.sqrt(self.n))
        allowed = self.factor if self.operator == "contraction" and self.factor else 1.0
        excess = []
        for k in range(6):
            d = size * 10.0**-k * rng.standard_normal(self.n)
            moved = self.apply(x + d) - self.apply(x)
            excess.append(norm(d + (moved - d) / self.averagedness) / norm(d) - allowed - 1e-9)
        yield f"{self.operator} T", [], [max(0.0, e) for e in excess]

    @classmethod
    def random(
        cls,
        n: int = 20,
        operator: str = "nonexpansive",
        factor: float | None = None,
        *,
        seed: int = 0,
    ) -> Self:
        """Draw an affine map with a fixed point of standard normal entries.

        Parameters
        ----------
        n : int, default 20
            Length of x.
        operator, factor
            As in the class.
        seed : int, default 0
            Seed of the generator.

        Returns
        -------
        FixedPoint
            Its linear part has singular values between 0.6 and 1 (times ``factor`` for a
            contraction).

        Examples
        --------
        >>> import fejer
        >>> fejer.FixedPoint.random(3).n
        3
        """
        rng = np.random.default_rng(seed)
        left, right = (np.linalg.qr(rng.standard_normal((n, n)))[0] for _ in range(2))
        A = (left * rng.uniform(0.6, 1.0, n)) @ right.T
        if operator == "contraction" and factor is not None:
            A *= factor
        if operator == "averaged" and factor is not None:
            A = (1.0 - factor) * np.eye(n) + factor * A
        solution = rng.standard_normal(n)
        return cls.affine(A, solution - A @ solution, operator, factor)
