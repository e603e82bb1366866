"""Bilevel problems from callables."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from fejer.errors import OracleError, ProblemError
from fejer.evidence import Array
from fejer.problem import as_number, as_vector
from fejer.problems.constrained import _oracle as oracle
from fejer.problems.sparse._checks import check_order

from . import _callables as callables
from ._assessment import ROUNDING, Constants, Cross, Upper, norm
from ._example import Example
from ._smooth_lower import SmoothLower

__all__ = ["Bilevel"]

FUNCTIONS = ("grad_x_F", "f", "grad_x_f", "hvp_yy", "hess_yy", "jtv", "dHq")
POSITIVE, AT_LEAST_0 = ("mu", "L"), ("LgF", "LH", "LJ", "LxF")
NOISE = 1e-9  # of a product with H by differences, relative to L


@dataclass(frozen=True, eq=False)
class Bilevel(SmoothLower):
    """Bilevel problem from callables, with a strongly convex lower level.

    min over x in [lower, upper] of ``Phi(x) = F(x, y*(x))`` where
    ``y*(x) = argmin over y of f(x, y)``.

    Parameters
    ----------
    F : callable
        ``F(x, y) -> float``, the upper objective. All functions get copies that they may keep.
    grad_y_F : callable or None
        ``grad_y_F(x, y) -> (m,)``. None: central differences, for m up to 200.
    grad_y_f : callable
        ``grad_y_f(x, y) -> (m,)``, the gradient of the lower objective.
    x0 : array_like, shape (n,)
        Start.
    y0 : array_like, shape (m,)
        A lower vector near which constants that are not declared are estimated; where a lower
        solve begins.
    grad_x_F : callable, optional
        ``grad_x_F(x, y) -> (n,)``; None where F does not depend on x.
    f : callable, optional
        ``f(x, y) -> float``: lets `fejer.check_derivatives` check its gradients.
    grad_x_f : callable, optional
        ``grad_x_f(x, y) -> (n,)``: gives ``J'v`` by differences where `jtv` is missing.
    hvp_yy : callable, optional
        ``hvp_yy(x, y)`` returns the function ``v -> H v``, so that what depends on the point alone
        is computed once. None: `hess_yy`, or central differences of `grad_y_f`.
    jtv : callable, optional
        ``jtv(x, y, v) -> (n,)``, the product ``J'v`` with ``J = d2f/dy dx``, shape (m, n). None:
        differences of `grad_x_f`, or of `grad_y_f` for n up to 200.
    hess_yy : callable, optional
        ``hess_yy(x, y) -> (m, m)``.
    mu, L : float or callable, optional
        Modulus of strong convexity of ``f(x, .)`` and Lipschitz constant of its gradient, for
        all y; a callable gets x. This and all below: None is estimated, and nothing is rigorous.
    LgF, LH, LJ, LxF : float or callable, optional
        Lipschitz constants in y of ``grad_y F``, of H, of J and of ``grad_x F``.
    jnorm : float or callable, optional
        At least ``||J||``; a callable gets (x, y). None: computed where m or n is at most 200.
    dHq : callable, optional
        ``dHq(x, y, q, eps)``, at least ``||(H(y') - H(y)) q||`` over ``||y' - y|| <= eps``;
        sharper than `LH` where the curvature varies.
    lower, upper : float or array_like, shape (n,)
        Box of x.
    scale : float, default 1.0
        Divides the certificate's value: the size of a hypergradient that counts as 1. It is yours
        to choose, since functions do not tell their units.

    Raises
    ------
    ProblemError
        A field of the wrong kind; an oracle is missing that the sizes do not allow to replace.
    OracleError
        In use: a function returns another shape, is not finite at the start, or a curvature
        contradicts `mu` or `L`.

    Notes
    -----
    Hypergradient: ``grad Phi = grad_x F - J'q`` where ``H q = grad_y F``, at ``y*(x)``.

    Certificate: ``(||x - P(x - z)|| + error)/scale``, z the computed hypergradient and `error`
    the bound of its distance from the true one; see `hypergradient`. It holds for the declared
    constants, which are compared with every curvature that conjugate gradients meet.
    ``details["error_is_rigorous"]`` is 0.0 where a constant was estimated or a difference taken.
    Rounding inside the functions is unknown, and taken as that of ``L ||y|| + ||grad_y f||``.

    Cost: Newton's method with conjugate gradients for the lower level. Memory: O(m + n).

    Pitfalls: a hypergradient from an unconverged lower solve is wrong without a sign of it; here
    the error tells. `fejer.check_derivatives` finds wrong signs, transposes and constants.

    References
    ----------
    .. [1] Salehi, Mukherjee, Roberts, Ehrhardt (2023), An adaptively inexact first-order method
       for bilevel optimization, arXiv 2308.10098.

    Examples
    --------
    The weight of a quadratic penalty, chosen by a second loss:

    >>> import numpy as np
    >>> import fejer
    >>> problem = fejer.Bilevel(
    ...     F=lambda x, y: 0.5 * np.sum((y - [1.0, 0.5]) ** 2),
    ...     grad_y_F=lambda x, y: y - [1.0, 0.5],
    ...     grad_y_f=lambda x, y: y - [2.0, 1.0] + np.exp(x[0]) * y,
    ...     x0=[0.5],
    ...     y0=[0.0, 0.0],
    ...     jtv=lambda x, y, v: [np.exp(x[0]) * (y @ v)],
    ... )
    >>> result = fejer.minimize(problem)
    >>> bool(abs(result.x[0]) < 1e-5), result.y.round(4)
    (True, array([1. , 0.5]))
    """

    F: Callable[..., Any]
    grad_y_F: Callable[..., Any] | None  # noqa: N815
    grad_y_f: Callable[..., Any]
    x0: Any
    y0: Any
    grad_x_F: Callable[..., Any] | None = None  # noqa: N815
    f: Callable[..., Any] | None = None
    grad_x_f: Callable[..., Any] | None = None
    hvp_yy: Callable[..., Any] | None = None
    jtv: Callable[..., Any] | None = None
    hess_yy: Callable[..., Any] | None = None
    mu: Any = None
    L: Any = None
    LgF: Any = None
    LH: Any = None
    LJ: Any = None
    LxF: Any = None
    jnorm: Any = None
    dHq: Callable[..., Any] | None = None  # noqa: N815
    lower: Any = -math.inf
    upper: Any = math.inf
    scale: float = 1.0

    def __post_init__(self) -> None:
        oracle.checked_callable(self.F, "F", optional=False)
        oracle.checked_callable(self.grad_y_F, "grad_y_F")
        oracle.checked_callable(self.grad_y_f, "grad_y_f", optional=False)
        for name in FUNCTIONS:
            oracle.checked_callable(getattr(self, name), name)
        self.set(x0=as_vector(self.x0, "x0"), y0=as_vector(self.y0, "y0"))
        for name in (*POSITIVE, *AT_LEAST_0, "jnorm"):
            value = getattr(self, name)
            if value is not None and not callable(value):
                positive = name in POSITIVE
                number = as_number(
                    value, name, above=0 if positive else None, least=None if positive else 0
                )
                self.set(**{name: number})
        if isinstance(self.mu, float) and isinstance(self.L, float) and self.mu > self.L:
            raise ProblemError(f"mu: expected at most L = {self.L:g}, got {self.mu:g}")
        n, m = self.x0.size, self.y0.size
        for name, infinite in (("lower", -math.inf), ("upper", math.inf)):
            bound = as_vector(getattr(self, name), name, size=n, finite=False)
            if (bound == -infinite).any():
                raise ProblemError(f"{name}: expected numbers or {infinite:g}, got {-infinite:g}")
            self.set(**{name: bound})
        check_order(*self.box())
        self.set(scale=as_number(self.scale, "scale", above=0))
        if self.grad_y_F is None and m > callables.SMALL:
            raise ProblemError(f"grad_y_F: expected a callable for m = {m} > {callables.SMALL}")
        if self.jtv is None and self.grad_x_f is None and n > callables.SMALL:
            text = f"expected a callable, or grad_x_f, for n = {n} > {callables.SMALL}"
            raise ProblemError(f"jtv: {text}")
        if self.jnorm is None and min(n, m) > callables.SMALL:
            text = f"expected a bound of ||J|| for m = {m}, n = {n} > {callables.SMALL}"
            raise ProblemError(f"jnorm: {text}")

    @classmethod
    def random(cls, n: int = 3, m: int = 5, *, seed: int = 0) -> Self:
        """Draw a strongly convex lower level that is not quadratic, with all its constants.

        Parameters
        ----------
        n, m : int
            Sizes of x and y.
        seed : int
            Seed of the generator.

        Returns
        -------
        Bilevel
        """
        return cls(**Example.draw(n, m, seed).fields())

    def initial_point(self) -> Array:
        """Return ``x0``, moved into the box."""
        return np.clip(self.x0, *self.box())

    def lower_start(self) -> Array:
        """Return ``y0``."""
        return np.array(self.y0)

    def auto(self) -> tuple[str, ...]:
        """Return the methods, quasi-Newton first."""
        return ("inexact-quasi-newton", "maid", "hoag")

    @property
    def judge_units(self) -> int:
        """Products and gradients in one certificate from an accurate witness."""
        return 6 + (min(self.size, self.lower_size) if self.jnorm is None else 0)

    def unit_of(self, fun: float) -> float:
        """Return 1: the unit is `scale`."""
        return 1.0

    def null_value(self) -> float:
        """Return F at (x0, y0); what is not finite there is the user's error."""

        def build() -> float:
            x, y = self.initial_point(), self.lower_start()
            for name, value in (("grad_y_F", self.upper_in_y), ("grad_y_f", self.lower_gradient)):
                if not np.isfinite(value(x, y)).all():
                    raise OracleError(f"{name}: expected finite numbers at (x0, y0), got nan")
            return self.upper_value(x, y)

        value = float(self.fact("null_value", self._data_fields(), build))
        if not math.isfinite(value):
            raise OracleError(f"F: expected a finite number at (x0, y0), got {value}")
        return value

    # ---- the functions, checked ------------------------------------------------------------------
    def upper_value(self, x: Array, y: Array) -> float:
        """Return F."""
        return oracle.as_value(oracle.call(self.F, x, y), "F")

    def upper_in_y(self, x: Array, y: Array) -> Array:
        """Return ``grad_y F``."""
        if self.grad_y_F is None:
            return oracle.central(lambda v: self.upper_value(x, v), y)[0]
        return oracle.as_shape(oracle.call(self.grad_y_F, x, y), "grad_y_F", y.shape)

    def upper_in_x(self, x: Array, y: Array) -> Array:
        """Return ``grad_x F``."""
        if self.grad_x_F is None:
            return np.zeros_like(x)
        return oracle.as_shape(oracle.call(self.grad_x_F, x, y), "grad_x_F", x.shape)

    def lower_gradient(self, x: Array, y: Array) -> Array:
        """Return ``grad_y f``."""
        return oracle.as_shape(oracle.call(self.grad_y_f, x, y), "grad_y_f", y.shape)

    def lower_in_x(self, x: Array, y: Array) -> Array | None:
        """Return ``grad_x f``; None where it is not supplied."""
        if self.grad_x_f is None:
            return None
        return oracle.as_shape(oracle.call(self.grad_x_f, x, y), "grad_x_f", x.shape)

    def product(self, x: Array, y: Array, source: str = "") -> Callable[[Array], Array]:
        """Return ``v -> H v`` as supplied, or by differences; nothing is audited.

        Parameters
        ----------
        x, y : array
            The point.
        source : str, default ""
            The field that is asked; default: the first there is.

        Returns
        -------
        callable
        """
        if self.hvp_yy is not None and source != "hess_yy":
            product = oracle.call(self.hvp_yy, x, y)
            if not callable(product):
                got = type(product).__name__
                raise OracleError(f"hvp_yy: expected a callable v -> H v, got {got}")
            return lambda v: oracle.as_shape(oracle.call(product, v), "hvp_yy", v.shape)
        if self.hess_yy is not None:
            shape = (y.size, y.size)
            H = oracle.as_matrix(oracle.call(self.hess_yy, x, y), "hess_yy", shape)
            return lambda v: oracle.times(H, v)
        return lambda v: callables.differences(lambda w: self.lower_gradient(x, w), y, v)

    def transposed(self, x: Array, y: Array, v: Array) -> Array:
        """Return ``J'v``."""
        if self.jtv is not None:
            return oracle.as_shape(oracle.call(self.jtv, x, y, v), "jtv", x.shape)
        if self.grad_x_f is not None:
            return callables.differences(lambda w: np.asarray(self.lower_in_x(x, w)), y, v)
        return oracle.central(lambda u: float(v @ self.lower_gradient(u, y)), x)[0]

    # ---- the oracles of the family ---------------------------------------------------------------
    def box(self) -> tuple[Array, Array]:
        """Return the bounds of x."""
        return self.lower, self.upper

    @property
    def lower_size(self) -> int:
        """Number of entries of y."""
        return int(self.y0.size)

    def steps_to_box(self, x: Array) -> tuple[Array, Array]:
        """Return the distances to the bounds."""
        lower, upper = self.box()
        return lower - x, upper - x

    def constants(self, x: Array) -> Constants:
        """Return the declared constants, estimated where there is none."""
        return self.oracle(x)  # type: ignore[no-any-return]

    def evaluate(self, x: Array) -> Constants:
        """Compute the constants at x."""
        names = ["mu", "L", "LgF", "LH", "LJ"] + ["LxF"] * (self.grad_x_F is not None)
        declared = {name: self._declared(name, x) for name in names}
        by_differences = self.grad_y_F is None or (self.hvp_yy is None and self.hess_yy is None)
        estimated = by_differences or self.jtv is None or None in declared.values()
        if None in declared.values():
            guessed = callables.estimate(self, x)
            declared = {k: guessed.get(k, 0.0) if v is None else v for k, v in declared.items()}
        mu, L = float(declared["mu"]), float(declared["L"])  # type: ignore[arg-type]
        rest = [float(declared.get(name) or 0.0) for name in AT_LEAST_0]
        return Constants(mu, max(mu, L), rest[0], rest[1], rest[3], estimated)

    def _declared(self, name: str, x: Array) -> float | None:
        value = getattr(self, name)
        return oracle.as_value(oracle.call(value, x), name) if callable(value) else value

    def hessian(self, x: Array, y: Array) -> Callable[[Array], Array]:
        """Return ``v -> H v``, each curvature compared with `mu` and `L`."""
        return callables.audited(self, self.constants(x), self.product(x, y))  # type: ignore[no-any-return]

    def upper_level(self, x: Array, y: Array) -> Upper:
        """Return F and its gradients."""
        fun = self.upper_value(x, y)
        along = None if self.grad_x_F is None else self.upper_in_x(x, y)
        return Upper(fun, self.upper_in_y(x, y), ROUNDING * abs(fun), along)

    def cross(self, x: Array, y: Array, q: Array, *, chart: bool = False) -> Cross:
        """Return ``J'q`` and the bounds that go with it."""
        product = self.transposed(x, y, q)
        declared = self._declared("LJ", x)
        lipschitz = callables.estimate(self, x)["LJ"] if declared is None else declared
        if callable(self.jnorm):
            size = oracle.as_value(oracle.call(self.jnorm, x, y), "jnorm")
        elif self.jnorm is not None:
            size = float(self.jnorm)
        else:
            J = callables.jacobian(self, x, y)
            good = J is not None and np.isfinite(J).all()
            size = float(np.linalg.norm(J, 2)) if good else math.inf  # type: ignore[arg-type]
        floor = ROUNDING * size * norm(q)
        if self.jtv is None:
            floor += NOISE * size * norm(q)
        return Cross(product, size, lipschitz, lipschitz * norm(q), floor)

    def hessian_change(self, x: Array, y: Array, q: Array, distance: float) -> float:
        """Return `dHq`, or what the Lipschitz constant of H says."""
        plain = super().hessian_change(x, y, q, distance)
        if self.dHq is None:
            return plain
        answer = oracle.as_value(oracle.call(self.dHq, x, y, q, distance), "dHq")
        return min(plain, answer) if self.LH is not None else answer

    def rounding(self, x: Array, y: Array, q: Array) -> tuple[float, float]:
        """Estimate the rounding errors of the two residuals."""
        L = self.constants(x).lipschitz
        lower = ROUNDING * (L * norm(y) + norm(self.lower_gradient(x, y)))
        upper = ROUNDING * (L * norm(q) + norm(self.upper_in_y(x, y)))
        if self.hvp_yy is None and self.hess_yy is None:
            upper += NOISE * L * norm(q)
        return lower, upper

    def derivative_checks(self, x: Array) -> list[tuple[str, Array, Array]]:
        """Compare the supplied derivatives and constants with differences.

        Parameters
        ----------
        x : array, shape (n,)
            Where; y is taken near y0.

        Returns
        -------
        list of (str, array, array)
            For each piece its name, step lengths and relative errors; pieces without steps have
            the excess of a declared constant, or the errors of random pairs.
        """
        return callables.checks(self, x)
