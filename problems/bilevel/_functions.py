"""The functions of a `Bilevel`: checked when they are given, and when they answer."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from fejer.errors import OracleError, ProblemError
from fejer.evidence import Array
from fejer.problem import as_number, as_vector
from fejer.problems.constrained import _oracle as oracle
from fejer.problems.sparse._checks import check_order

from . import _callables as callables
from ._smooth_lower import SmoothLower

__all__ = ["AT_LEAST_0", "Functions", "check_fields"]

FUNCTIONS = ("grad_x_F", "f", "grad_x_f", "hvp_yy", "hess_yy", "jtv", "dHq")
POSITIVE, AT_LEAST_0 = ("mu", "L"), ("LgF", "LH", "LJ", "LxF")
LEVELS = ("strongly-convex", "error-bound")


class Functions(SmoothLower):
    """Base of `Bilevel`: what its callables answer."""

    F: Any
    grad_y_F: Any  # noqa: N815
    grad_y_f: Any
    grad_x_F: Any  # noqa: N815
    grad_x_f: Any
    hvp_yy: Any
    hess_yy: Any
    jtv: Any

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


def check_fields(self: Any) -> None:
    """Check and store the fields of a `Bilevel`."""
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
    if not isinstance(self.lower_level, str) or self.lower_level not in LEVELS:
        names = " or ".join(f'"{name}"' for name in LEVELS)
        raise ProblemError(f"lower_level: expected {names}, got {self.lower_level!r:.80}")
    self.set(sigma=as_number(self.sigma, "sigma", above=0, most=1))
    if self.lower_level == "error-bound":
        if self.grad_x_f is None:
            raise ProblemError('grad_x_f: expected a callable for lower_level="error-bound"')
        if self.mu is None and m > callables.SMALL:
            raise ProblemError(f"mu: expected a modulus for m = {m} > {callables.SMALL}")
