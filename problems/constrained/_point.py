"""What the user's functions say at one point: each asked at most once, and only when needed."""

from __future__ import annotations

from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from fejer.errors import OracleError
from fejer.evidence import Array

from . import _oracle as oracle
from ._kkt import least_squares_multipliers


class Point:
    """Objective and gradient at a point.

    Parameters
    ----------
    x : array, shape (n,)
        The point; copied.
    fun : callable
        The objective; it returns ``(f, g)`` where `grad` is True.
    grad : callable, True or None
        The gradient; None: central differences.
    names : tuple of str
        What errors call the two.
    lower, upper : array, optional
        Differences stay inside these.
    """

    def __init__(
        self,
        x: Array,
        fun: Any,
        grad: Any,
        names: tuple[str, str] = ("fun", "grad"),
        lower: Array | None = None,
        upper: Array | None = None,
    ) -> None:
        self.x = x.copy()
        self._fun, self._grad, self._names = fun, grad, names
        self._box: dict[str, Any] = {"lower": lower, "upper": upper}

    @cached_property
    def _pair(self) -> tuple[float, Array]:
        answer = oracle.call(self._fun, self.x)
        if not isinstance(answer, tuple | list) or len(answer) != 2:
            text = f"expected a pair (f, g), as {self._names[1]}=True promises, got {answer!r:.80}"
            raise OracleError(f"{self._names[0]}: {text}")
        f = oracle.as_value(answer[0], self._names[0])
        return f, oracle.as_shape(answer[1], self._names[1], self.x.shape)

    def _value(self, x: Array) -> float:
        return oracle.as_value(oracle.call(self._fun, x), self._names[0])

    @cached_property
    def fun(self) -> float:
        """The objective."""
        return self._pair[0] if self._grad is True else self._value(self.x)

    @cached_property
    def grad(self) -> Array:
        """Its gradient, supplied or by central differences."""
        if self._grad is True:
            return self._pair[1]
        if self._grad is None:
            return oracle.central(self._value, self.x, **self._box)[0]
        return oracle.as_shape(oracle.call(self._grad, self.x), self._names[1], self.x.shape)

    @cached_property
    def grad_doubt(self) -> Array:
        """How far the gradient may be off: zero where it was supplied."""
        if self._grad is not None:
            return np.zeros_like(self.x)
        return oracle.differences(self._value, self.x, **self._box)[1]

    parts: ClassVar[tuple[str, ...]] = ("fun", "grad")

    def not_finite(self) -> str:
        """Name what is nan or infinite here; the empty text where all is finite."""
        names = {"fun": self._names[0], "grad": self._names[1]}
        for part in self.parts:
            if not oracle.is_finite(getattr(self, part)):
                return names.get(part, part)
        return ""

    def require_finite(self) -> None:
        """Raise OracleError where something is nan or infinite at the start of a run."""
        name = self.not_finite()
        if name:
            raise OracleError(f"{name}: nan or infinite at the start, x0 = {self.x!r:.200}")


class ConstrainedPoint(Point):
    """The same with constraints, their Jacobian and least-squares multipliers."""

    parts: ClassVar[tuple[str, ...]] = ("fun", "constraint", "grad", "constraint_jac")

    def __init__(
        self, x: Array, fun: Any, grad: Any, constraint: Any, jacobian: Any, linear: Any
    ) -> None:
        super().__init__(x, fun, grad)
        self._constraint, self._jacobian, self._linear = constraint, jacobian, linear

    def _values(self, x: Array) -> Array:
        c = oracle.numbers(oracle.call(self._constraint, x), "constraint")
        if c.ndim > 1 and c.size != max(c.shape):
            raise OracleError(f"constraint: expected a vector, got shape {c.shape}")
        return c.reshape(-1)

    def _neighbour(self, x: Array) -> Array:
        """Return the constraints near this point, of which there must be as many."""
        c = self._values(x)
        if c.size != self.constraint.size:
            wanted, got = self.constraint.shape, c.shape
            raise OracleError(f"constraint: expected shape {wanted} everywhere, got {got}")
        return c

    @cached_property
    def constraint(self) -> Array:
        """Values of the constraints, shape (m,)."""
        if self._linear is not None:
            A, b = self._linear
            with np.errstate(all="ignore"):
                return np.asarray(A.matvec(self.x) - b)
        return np.zeros(0) if self._constraint is None else self._values(self.x)

    @cached_property
    def constraint_jac(self) -> Any:
        """Their Jacobian, shape (m, n): an array, CSR, or an operator."""
        if self._linear is not None:
            return self._linear[0].native
        shape = (self.constraint.size, self.x.size)
        if self._constraint is None:
            return np.zeros(shape)
        if self._jacobian is None:
            return np.ascontiguousarray(oracle.central(self._neighbour, self.x)[0].T)
        return oracle.as_matrix(oracle.call(self._jacobian, self.x), "constraint_jac", shape)

    @cached_property
    def jacobian_doubt(self) -> Array | None:
        """How far its entries may be off; None where it was supplied."""
        if self._linear is not None or self._constraint is None or self._jacobian is not None:
            return None
        return oracle.differences(self._neighbour, self.x)[1].T

    @cached_property
    def multipliers(self) -> Array:
        """The multipliers that make the gradient of the Lagrangian smallest in the 2-norm."""
        return least_squares_multipliers(self.constraint_jac, self.grad)

    def lagrangian_gradient(self, multipliers: Array) -> Array:
        """Return ``grad f + G' l``."""
        with np.errstate(all="ignore"):
            return np.asarray(self.grad + oracle.times_transposed(self.constraint_jac, multipliers))
