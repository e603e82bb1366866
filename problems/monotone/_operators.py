"""Operators as users give them: Python functions, compiled functions, affine maps.

Compiled functions have one of the signatures below and are handed to kernels as first-class
functions, so that a loop is compiled once for all of them.
"""

from __future__ import annotations

import hashlib
import math
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from fejer.errors import OracleError, ProblemError
from fejer.evidence import Array
from fejer.numerics.matrix import Matrix
from fejer.problem import as_vector

if TYPE_CHECKING:
    from .fixed_point import FixedPoint
    from .monotone_inclusion import MonotoneInclusion

__all__ = ["Affine", "FixedPointForm", "InclusionForm", "call", "first_class", "moved_by", "norm"]

ROUNDING = 4.0 * 2.0**-53

MAP = "void(f8[::1], f8[::1])"
RESOLVENT = "void(f8[::1], f8, f8[::1])"
COMPONENT = "void(f8[::1], i8[::1], f8[::1])"
DIFFERENCE = "void(f8[::1], f8[::1], i8[::1], f8[::1])"


class FixedPointForm:
    """Mixin of the classes whose solutions are the fixed points of a nonexpansive map."""

    def fixed_point(self) -> FixedPoint:
        """Return the map as a `FixedPoint`."""
        raise NotImplementedError

    def check_start(self, x: Array) -> None:
        """Refuse functions that fail at the start of a run."""
        raise NotImplementedError

    def no_map(self) -> str | None:
        """Return None, or why this instance has no nonexpansive map."""
        return None


class InclusionForm:
    """Mixin of the classes whose solutions are the zeros of a monotone operator.

    Attributes
    ----------
    split : int or None
        Where the variable of a saddle point problem is cut into the two players' parts.
    """

    split: int | None = None

    def inclusion(self) -> MonotoneInclusion:
        """Return the operator as a `MonotoneInclusion` with the same variable and unit."""
        raise NotImplementedError


class Affine:
    """The map ``x -> A x + b`` as an object that pickles.

    Parameters
    ----------
    A : array_like, sparse matrix, LinearOperator or Matrix, shape (n, n)
        Linear part.
    b : array_like, shape (n,)
        Constant part.
    """

    def __init__(self, A: Any, b: Any) -> None:
        self.A = Matrix.of(A, "A")
        rows, columns = self.A.shape
        if rows != columns:
            raise ProblemError(f"A: expected a square matrix, got shape {self.A.shape}")
        self.b = as_vector(b, "b", rows)

    def __call__(self, x: Array) -> Array:
        image = self.A.matvec(x)
        image += self.b
        return image

    def moduli(self, x: Array) -> Array:
        """Return ``|A| |x| + |b|``: the sizes of the terms that rounding errors are relative to."""
        return self.A.abs_matvec(x) + np.abs(self.b)

    def fingerprint(self) -> str:
        """Return a SHA-256 of the data."""
        return hashlib.sha256(self.A.fingerprint().encode() + self.b.tobytes()).hexdigest()

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.b.flags.writeable = False

    def __repr__(self) -> str:
        return f"Affine({self.A!r}, b)"


def call(function: Callable[..., Any], name: str, size: int, *arguments: Any) -> Array:
    """Call a user's Python function and check what it returns.

    Parameters
    ----------
    function : callable
        Returns a vector.
    name : str
        What errors call it.
    size : int
        Length of the vector.
    *arguments
        What it is called with; arrays are copied, since it may write into them.

    Returns
    -------
    array, shape (size,)
        A copy, which the function cannot change later.

    Raises
    ------
    OracleError
        The function returned something else than ``size`` real numbers.
    """
    copies = [a.copy() if isinstance(a, np.ndarray) else a for a in arguments]
    value = function(*copies)
    try:
        array = np.asarray(value)
    except Exception as error:
        raise OracleError(f"{name}: expected {size} numbers, got {value!r:.80}") from error
    if array.shape != (size,) or array.dtype.kind not in "fiub":
        got = f"shape {array.shape} of dtype {array.dtype}"
        raise OracleError(f"{name}: expected shape ({size},) of real numbers, got {got}")
    return np.array(array, dtype=np.float64)


def first_class(function: Any, signature: str) -> Any:
    """Wrap a function that numba compiled for a signature; None for any other function.

    Parameters
    ----------
    function : callable
        What the user gave.
    signature : str
        One of the signatures of this module.

    Returns
    -------
    object or None
        An argument for kernels, of a type that does not depend on the function: kernels take it
        without being compiled again.
    """
    numba = sys.modules.get("numba")
    # Where numba was never imported, nobody can hand over one of its functions.
    if numba is None or not hasattr(function, "overloads"):
        return None
    from numba.core.sigutils import normalize_signature

    arguments, returned = normalize_signature(signature)
    compiled = function.overloads.get(arguments)
    if compiled is None or compiled.signature.return_type != returned:
        return None
    address = compiled.library.get_pointer_to_function(compiled.fndesc.llvm_cfunc_wrapper_name)
    return _wrapper(numba)(address, compiled.signature, function)


def _wrapper(numba: Any) -> Any:
    class FirstClass(numba.types.WrapperAddressProtocol):  # type: ignore[misc]
        """The protocol by which numba takes an address as a function."""

        def __init__(self, address: int, signature: Any, function: Any) -> None:
            self._address, self._signature, self.function = address, signature, function

        def __wrapper_address__(self) -> int:
            return self._address

        def signature(self) -> Any:
            return self._signature

        def __call__(self, *arguments: Any) -> None:
            self.function(*arguments)

    return FirstClass


def norm(x: Array) -> float:
    """Return the Euclidean norm; faster on short vectors than numpy's."""
    return math.sqrt(np.dot(x, x))


def moved_by(operator: Callable[[Array], Array], pair: Array) -> Array | None:
    """Return the difference of an operator at two points of a witness.

    None where it cannot be evaluated there: nobody vouches for the points, and a user's function
    may not be defined at them.
    """
    try:
        return np.asarray(operator(pair[0]) - operator(pair[1]))
    except (ArithmeticError, ValueError):
        return None
