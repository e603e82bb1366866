"""Zeros of monotone operators."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from fejer.errors import ProblemError
from fejer.evidence import EMPTY, Array, Certificate, failed
from fejer.problem import Problem, as_number, as_vector, witness_array

from ._finite_sum import LeastSquaresComponents, LeastSquaresGradient
from ._inclusion import FUNCTIONS, Oracles
from ._operators import ROUNDING, FixedPointForm, InclusionForm, moved_by, norm
from .fixed_point import FixedPoint

__all__ = ["MonotoneInclusion"]

KIND = "natural residual"
KINDS = ("monotone", "cocoercive", "comonotone")
CONSTANTS = ("lipschitz", "lipschitz_max", "lipschitz_average")


class Reference(NamedTuple):
    """What the residual is measured with and divided by; from the operators alone.

    Attributes
    ----------
    step : float
        eta of the forward-backward step.
    scale : float
        What the residual is divided by.
    """

    step: float
    scale: float


@dataclass(frozen=True, eq=False)
class MonotoneInclusion(Oracles, FixedPointForm, InclusionForm, Problem):
    """Zero of a monotone operator, of which a part may be given by its resolvent.

    Find x in R^n with ``0 in F(x) + G(x)``, F single-valued, G maximally monotone; optionally
    ``F = (1/m) sum_i F_i`` with components of their own.

    Parameters
    ----------
    F : callable
        ``F(x)`` returns n numbers. Compiled by numba for ``void(f8[::1], f8[::1])`` it gets
        (x, out) and writes into out.
    n : int
        Length of x.
    kind : {"monotone", "cocoercive", "comonotone"}, default "monotone"
        What is known of F. Monotone: ``<F(u) - F(v), u - v> >= 0``. Cocoercive:
        ``>= ||F(u) - F(v)||^2 / L``, L the constants below (gradients of convex functions are).
        Comonotone: ``>= comonotonicity ||F(u) - F(v)||^2``.
    resolvent : callable, optional
        ``resolvent(v, eta)`` returns ``(I + eta G)^{-1} v``, for a set the projection; the objects
        of ``fejer.prox`` are resolvents. Compiled: ``void(f8[::1], f8, f8[::1])``. None: G = 0.
    lipschitz : float, optional
        L of F.
    comonotonicity : float, default 0.0
        Negative for kind "comonotone", else 0.
    x0 : array_like, shape (n,), optional
        Default start; 0 if left out.
    component : callable, optional
        ``component(x, indices)`` returns the mean of ``F_i(x)`` over the indices (int64). Compiled:
        ``void(f8[::1], i8[::1], f8[::1])`` gets (x, indices, out) and adds the mean to out.
    component_difference : callable, optional
        ``component_difference(x, y, indices)``: the mean of ``F_i(x) - F_i(y)`` in one pass.
        Compiled: ``void(f8[::1], f8[::1], i8[::1], f8[::1])`` adds it to the last argument.
    n_components : int, optional
        m; goes with ``component``.
    lipschitz_max : float, optional
        Constant of every component.
    lipschitz_average : float, optional
        Constant in the mean: ``mean_i ||F_i(u) - F_i(v)||^2`` is at most its square times
        ``||u - v||^2`` (cocoercive: at most it times ``<F(u) - F(v), u - v>``).

    Raises
    ------
    ProblemError
        Names the field that is not as described.
    OracleError
        At the start of a run: a function returned the wrong shape or numbers that are not finite,
        or the mean of all components is not F.

    Notes
    -----
    Certificate: ``(||x - J(x - eta F(x))|| / eta + floor) / scale`` with the resolvent J of step
    eta (G = 0: ``||F(x)||``), ``floor = 4 u (||x|| + ||J||) / eta``. Step and scale come from the
    operators alone, never from a start: eta is 1 over the declared constant, or over a secant of F
    at J(0); scale is the same residual at J(0), ``1 / eta`` where that is 0, and 1 where F(J(0)) is
    not finite. A necessary condition: rigorous is False.

    A method that sees two points with ``<F(u) - F(v), u - v> < 0`` hands them over as witness
    ``pair``, shape (2, n); ``details["monotonicity"]`` is the cosine, computed anew.

    One unit of work is one evaluation of a component: a full F is m units, a difference over b
    components 2b.

    References
    ----------
    .. [1] Bauschke, Combettes (2017), Convex Analysis and Monotone Operator Theory in Hilbert
       Spaces, 2nd edition, Springer.
    .. [2] Cai, Alacaoglu, Diakonikolas (2024), Variance reduced Halpern iteration for finite-sum
       monotone inclusions, ICLR, arXiv:2310.02987.

    Examples
    --------
    >>> import numpy as np
    >>> import fejer
    >>> A = np.array([[2.0, 1.0], [1.0, 3.0]])
    >>> problem = fejer.MonotoneInclusion(
    ...     lambda x: A @ x - 1.0, 2, kind="cocoercive", lipschitz=4.0,
    ...     resolvent=lambda v, eta: np.clip(v, 0.0, 0.3))
    >>> fejer.minimize(problem, method="halpern", tol=1e-9).x.round(6)
    array([0.3      , 0.233333])
    """

    F: Callable[..., Any]
    n: int
    kind: str = "monotone"
    resolvent: Callable[..., Any] | None = None
    lipschitz: float | None = None
    comonotonicity: float = 0.0
    x0: npt.ArrayLike | None = None
    component: Callable[..., Any] | None = None
    component_difference: Callable[..., Any] | None = None
    n_components: int | None = None
    lipschitz_max: float | None = None
    lipschitz_average: float | None = None

    def __post_init__(self) -> None:
        for name in FUNCTIONS:
            value = getattr(self, name)
            if not callable(value) and (name == "F" or value is not None):
                raise ProblemError(f"{name}: expected a callable, got {type(value).__name__}")
        n = as_number(self.n, "n", least=1, integer=True)
        if not isinstance(self.kind, str) or self.kind not in KINDS:
            raise ProblemError(f"kind: expected one of {', '.join(KINDS)}, got {self.kind!r:.80}")
        for name in CONSTANTS:
            if (value := getattr(self, name)) is not None:
                self.set(**{name: as_number(value, name, least=1e-100, most=1e100)})
        rho = as_number(self.comonotonicity, "comonotonicity", most=0.0)
        if (rho < 0.0) != (self.kind == "comonotone"):
            wanted = "a number < 0" if self.kind == "comonotone" else "0"
            raise ProblemError(f"comonotonicity: expected {wanted} for kind {self.kind!r}")
        count = self.n_components
        if (count is None) != (self.component is None):
            missing = "n_components" if count is None else "component"
            raise ProblemError(f"{missing}: expected, since n_components and component go together")
        if self.component is None:
            for name in ("component_difference", "lipschitz_max", "lipschitz_average"):
                if getattr(self, name) is not None:
                    raise ProblemError(f"{name}: goes with component, which is missing")
        else:
            count = as_number(count, "n_components", least=1, integer=True)
        x0 = None if self.x0 is None else as_vector(self.x0, "x0", n)
        self.set(n=n, comonotonicity=rho, n_components=count, x0=x0)

    # ---- constants ------------------------------------------------------------------------------
    @property
    def constant(self) -> float | None:
        """A declared constant of F: ``lipschitz``, or one of the components, which is larger."""
        given = (self.lipschitz, self.lipschitz_average, self.lipschitz_max)
        return next((value for value in given if value is not None), None)

    @cached_property
    def reference(self) -> Reference:
        """Step and scale of the certificate; see the notes of the class."""
        with np.errstate(all="ignore"):
            declared = self.constant
            step = 1.0 / (self._secant() if declared is None else declared)
            origin = self.resolve(np.zeros(self.n), step)
            value = self.apply(origin)
            if not np.isfinite(value).all():
                return Reference(step, 1.0)
            scale = self._residual(origin, value, step)[0]
            return Reference(step, scale if 0.0 < scale < math.inf else 1.0 / step)

    def _secant(self) -> float:
        origin = self.resolve(np.zeros(self.n), 1.0)
        value = self.apply(origin)
        size = norm(value)
        length = 1e-3 * max(1.0, norm(origin))
        if not 0.0 < size < math.inf:
            return 1.0
        slope = norm(self.apply(origin + (length / size) * value) - value) / length
        return slope if 1e-100 < slope < 1e100 else 1.0

    def _residual(self, x: Array, value: Array, step: float) -> tuple[float, float]:
        """The natural residual and its rounding error, both divided by the step."""
        moved = x - step * value
        image = self.resolve(moved, step) if np.isfinite(moved).all() else moved
        residual = norm(value) if self.resolvent is None else norm(x - image) / step
        return residual, ROUNDING * (norm(x) + norm(image)) / step

    # ---- the contract ---------------------------------------------------------------------------
    @property
    def unit(self) -> int:
        """Units of work in one evaluation of F: the number of components."""
        return self.n_components or 1

    @property
    def judge_units(self) -> int:
        """Units of one certificate: none where the memo of `apply` has F(x) already."""
        free = self.n_components is None and self.first_class("F") is None
        return 0 if free else self.unit

    def initial_point(self) -> Array:
        """Return x0, or 0."""
        return np.zeros(self.n) if self.x0 is None else self.x0  # type: ignore[return-value]

    def certificate(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> Certificate:
        """Measure the natural residual at ``x``; see the notes of the class.

        Parameters
        ----------
        x : array, shape (n,)
            The point.
        witness : mapping, optional
            ``pair``, shape (2, n): two points between which F is not monotone.

        Returns
        -------
        Certificate
        """
        step, scale = self.reference
        value = self.apply(x)
        if not np.isfinite(value).all():
            return failed(KIND, "F(x) is not finite", scale=scale)
        residual, floor = self._residual(x, value, step)
        total = residual + floor
        if not total < math.inf:
            return failed(KIND, "overflow", scale=scale)
        details = {"residual": residual, "floor": floor / scale}
        pair = witness_array(witness, "pair", (2, self.n)) if witness else None
        moved = None if pair is None else moved_by(self.apply, pair)
        if pair is not None and moved is not None:
            apart = pair[0] - pair[1]
            size = norm(moved) * norm(apart)
            details["monotonicity"] = float(moved @ apart) / size if size > 0.0 else 0.0
        return Certificate(
            KIND,
            total / scale,
            total,
            scale=scale,
            details=details,
            witness={} if pair is None else {"pair": pair},
        )

    def auto(self) -> tuple[str, ...]:
        """Return variance reduction for finite sums, else what the kind of F allows."""
        if self.kind == "cocoercive":
            many = self.n_components is not None and self.n_components >= 100
            return ("vr-halpern", "halpern") if many else ("anderson", "halpern", "vr-halpern")
        if self.n_components is not None and self.kind == "monotone":
            return ("vr-extragradient", "vr-halpern")
        return ("feg", "graal", "extragradient")

    # ---- the same in other forms -------------------------------------------------------------
    def inclusion(self) -> Self:
        """Return the problem itself."""
        return self

    def no_map(self) -> str | None:
        """Return None, or what is missing for a forward-backward step."""
        if self.kind != "cocoercive":
            return "a forward-backward step is nonexpansive for kind='cocoercive' only"
        return "the step needs lipschitz" if self.constant is None else None

    def fixed_point(self) -> FixedPoint:
        """Return the forward-backward map ``J(x - F(x) / L)``, which is 2/3-averaged.

        With G = 0 it is ``x - F(x) / L`` and 1/2-averaged.
        """
        step = self.reference.step

        def T(x: Array) -> Array:
            return self.resolve(x - step * self.apply(x), step)

        return FixedPoint(T, self.n, "averaged", 0.5 if self.resolvent is None else 2.0 / 3.0)

    @classmethod
    def random(cls, n: int = 10, n_components: int = 60, *, seed: int = 0) -> Self:
        """Draw the gradient of a least-squares problem as a finite sum.

        Parameters
        ----------
        n : int, default 10
            Length of x.
        n_components : int, default 60
            Number of samples.
        seed : int, default 0
            Seed of the generator.

        Returns
        -------
        MonotoneInclusion
            Cocoercive, with all constants declared; it pickles.

        Examples
        --------
        >>> import fejer
        >>> fejer.MonotoneInclusion.random(3).kind
        'cocoercive'
        """
        rng = np.random.default_rng(seed)
        X = rng.standard_normal((n_components, n))
        y = X @ rng.standard_normal(n) + 0.1 * rng.standard_normal(n_components)
        squares = np.einsum("ij,ij->i", X, X)
        # On the range, with coordinates U, the constant in the mean is that of U' diag(squares) U.
        U, sizes, _ = np.linalg.svd(X, full_matrices=False)
        average = np.linalg.eigvalsh((U.T * squares) @ U)[-1]
        return cls(
            LeastSquaresGradient(X, y),
            n,
            kind="cocoercive",
            lipschitz=float(sizes[0] ** 2 / n_components),
            component=LeastSquaresComponents(X, y),
            n_components=n_components,
            lipschitz_max=float(squares.max()),
            lipschitz_average=float(average),
        )
