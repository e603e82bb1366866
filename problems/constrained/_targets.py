"""Models of targets: a matrix, or functions with products of their Jacobian."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np

from fejer.errors import ProblemError
from fejer.evidence import Array
from fejer.numerics.differences import derivative_errors
from fejer.problem import as_vector

from . import _oracle as oracle
from ._derivatives import Check, adjoint_error


class Nonlinear:
    """A model given by functions, checked at its start.

    Parameters
    ----------
    function : callable
        ``function(theta) -> (n,)``.
    jvp : callable
        ``jvp(theta, v) -> (n,)``, the Jacobian times v.
    vjp : callable
        ``vjp(theta, u) -> (d,)``, its transpose times u.
    x0 : array_like, shape (d,)
        Start.
    n : int
        Targets.
    """

    def __init__(self, function: Any, jvp: Any, vjp: Any, x0: Any, n: int) -> None:
        for name, given in (("jvp", jvp), ("vjp", vjp)):
            oracle.checked_callable(given, name, optional=False)
        if x0 is None:
            raise ProblemError("x0: expected a vector, got None; it fixes the dimension of theta")
        self.x0 = as_vector(x0, "x0")
        self.shape = (n, self.x0.size)
        self._function, self._jvp, self._vjp = function, jvp, vjp

    def __call__(self, theta: Array) -> Array:
        """Return the targets."""
        return oracle.as_shape(oracle.call(self._function, theta), "A", self.shape[:1])

    def jvp(self, theta: Array, v: Array) -> Array:
        """Return the Jacobian times v."""
        return oracle.as_shape(oracle.call(self._jvp, theta, v), "jvp", self.shape[:1])

    def vjp(self, theta: Array, u: Array) -> Array:
        """Return the transposed Jacobian times u."""
        return oracle.as_shape(oracle.call(self._vjp, theta, u), "vjp", self.shape[1:])

    def linearised(self, theta: Array) -> Any:
        """Return the Jacobian as an operator."""
        return SimpleNamespace(
            shape=self.shape, matvec=partial(self.jvp, theta), rmatvec=partial(self.vjp, theta)
        )

    def sizes(self, theta: Array) -> Array:
        """Return the mean modulus of each column of the Jacobian, by d products."""
        n, d = self.shape
        return np.array([np.abs(self.jvp(theta, unit)).sum() / n for unit in np.eye(d)])

    def checks(self, theta: Array) -> list[Check]:
        """Compare both products with differences, and with each other."""
        along = derivative_errors("jvp", theta, self, partial(self.jvp, theta))
        return [along, adjoint_error("vjp", self.linearised(theta))]
