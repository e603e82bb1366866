"""Bilevel problems from callables."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from fejer.errors import OracleError
from fejer.evidence import Array
from fejer.problems.constrained import _oracle as oracle

from . import _callables as callables
from . import _relaxed as relaxed
from ._assessment import ROUNDING, Assessment, Constants, Cross, Upper, norm
from ._example import Example
from ._functions import AT_LEAST_0, Functions, check_fields

__all__ = ["Bilevel"]

NOISE = 1e-9  # of a product with H by differences, relative to L


@dataclass(frozen=True, eq=False)
class Bilevel(Functions):
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
    lower_level : {"strongly-convex", "error-bound"}, default "strongly-convex"
        With ``"error-bound"`` the lower level may have several solutions and may be nonconvex, as
        long as ``||grad_y f||`` is at least `mu` times the distance from them (near them); `mu` is
        then that modulus, y is chosen among them by F, and only `penalty` treats the problem.
    sigma : float, default 1e-2
        Weight s of F in ``f + s F`` in that case.
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

    With ``lower_level="error-bound"`` the value is the gradient norm of
    ``psi(x) = (min_y (f + sigma F) - min_y f)/sigma`` [2]_ plus an estimate of its error, never
    rigorous; psi differs from Phi by O(sigma), and curvatures are not compared with constants.

    Cost: Newton's method with conjugate gradients for the lower level. Memory: O(m + n).

    Pitfalls: a hypergradient from an unconverged lower solve is wrong without a sign of it; here
    the error tells. `fejer.check_derivatives` finds wrong signs, transposes and constants.

    References
    ----------
    .. [1] Salehi, Mukherjee, Roberts, Ehrhardt (2023), An adaptively inexact first-order method
       for bilevel optimization, arXiv 2308.10098.
    .. [2] Kwon, Kwon, Wright, Nowak (2023), On penalty methods for nonconvex bilevel optimization
       and first-order stochastic approximation, arXiv 2309.01753.

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
    lower_level: str = "strongly-convex"
    sigma: float = 1e-2
    scale: float = 1.0

    assembled: ClassVar[int] = 0  # functions of unknown cost

    def __post_init__(self) -> None:
        check_fields(self)

    @property
    def relaxed(self) -> bool:
        """Whether the lower level may have several solutions."""
        return self.lower_level == "error-bound"

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
        """Return the methods, quasi-Newton first; of several lower solutions penalty alone."""
        return ("penalty",) if self.relaxed else ("inexact-quasi-newton", "maid", "hoag")

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
        product = self.product(x, y)
        return product if self.relaxed else callables.audited(self, self.constants(x), product)

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

    # ---- several lower solutions -----------------------------------------------------------------
    def lower_solution(
        self, x: Array, accuracy: float = 1e-14, start: Array | None = None
    ) -> Array:
        """Solve the lower level, or minimise ``f + sigma F``; parameters as in the family."""
        if not self.relaxed:
            return super().lower_solution(x, accuracy, start)
        y = self.lower_start() if start is None else start
        return relaxed.descend(self, x, y, self.sigma, accuracy)

    def adjoint(
        self, x: Array, y: Array, grad_y: Array, *, tol: float = 1e-14, **more: Any
    ) -> tuple[Array, int]:
        """Solve ``H q = grad_y F``, or return ``(y_0 - y)/sigma``; parameters as in the family."""
        if not self.relaxed:
            return super().adjoint(x, y, grad_y, tol=tol, **more)
        return relaxed.adjoint(self, x, y, tol), 1

    def assess(
        self,
        x: Array,
        y: Array,
        *,
        adjoint: Array | None = None,
        chart: bool = False,
        allowed: float = 0.0,
    ) -> Assessment:
        """Assess the hypergradient, or the gradient of psi; parameters as in the family."""
        if not self.relaxed:
            return super().assess(x, y, adjoint=adjoint, chart=chart, allowed=allowed)
        return relaxed.assess(self, x, y, adjoint)

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
