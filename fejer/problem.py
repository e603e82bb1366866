"""The contract of a problem: validated data plus a certificate computed from nothing else."""

from __future__ import annotations

import contextlib
import hashlib
import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields as dataclass_fields
from dataclasses import replace as dataclass_replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from .errors import ProblemError
from .evidence import EMPTY, Array, Certificate, failed
from .numerics.arrays import float_array

if TYPE_CHECKING:
    import cvxpy

__all__ = ["Problem", "as_number", "as_vector", "witness_array"]

ORACLE_MEMO = 6
_trust = threading.local()


def as_vector(data: Any, name: str, size: int | None = None, **checks: Any) -> Array:
    """Check a vector at the border and return it as read-only float64.

    Parameters
    ----------
    data : array_like, shape (size,)
        A scalar is spread over ``size`` entries where a size is given.
    name : str
        What the error calls it.
    size : int, optional
        The required length.
    **checks
        Passed to `fejer.numerics.arrays.float_array` (``finite``, ``empty``, ``copy``).

    Raises
    ------
    ProblemError
        Names the vector, what was expected and what came.

    Examples
    --------
    >>> as_vector([1, 2, 3], "y", size=3)
    array([1., 2., 3.])
    """
    if id(data) in getattr(_trust, "arrays", ()) and (size is None or data.size == size):
        return data  # type: ignore[no-any-return]
    if size is not None and (np.isscalar(data) or getattr(data, "ndim", 1) == 0):
        data = np.full(size, as_number(data, name, finite=checks.get("finite", True)))
    return float_array(data, name, shape=None if size is None else (size,), **checks)


def as_number(
    value: Any,
    name: str,
    *,
    above: float | None = None,
    least: float | None = None,
    most: float | None = None,
    finite: bool = True,
    integer: bool = False,
) -> Any:
    """Check a scalar field and return it as float (or int).

    Parameters
    ----------
    value : float or int
        The value; booleans and strings are refused.
    name : str
        What the error calls it.
    above, least, most : float, optional
        ``value > above``, ``value >= least``, ``value <= most``.
    finite : bool, default True
        Refuse infinities; nan is always refused.
    integer : bool, default False
        Ask for a whole number.

    Raises
    ------
    ProblemError
        Names the field, what was expected and what came.

    Examples
    --------
    >>> as_number(3, "lam", above=0)
    3.0
    """
    bounds = ((">", above), (">=", least), ("<=", most))
    wanted = " and ".join(f"{sign} {bound:g}" for sign, bound in bounds if bound is not None)
    wanted = f"{'an integer' if integer else 'a number'} {wanted}".rstrip()
    array = value if isinstance(value, int | float | np.ndarray | np.generic) else np.array("")
    array = np.asarray("" if isinstance(value, bool) else array)
    good = array.ndim == 0 and array.dtype.kind in "fiu"
    if good:
        number = float(array)
        good = not (
            math.isnan(number)
            or (finite and math.isinf(number))
            or (integer and number != math.floor(number))
            or (above is not None and not number > above)
            or (least is not None and not number >= least)
            or (most is not None and not number <= most)
        )
    if not good:
        raise ProblemError(f"{name}: expected {wanted}, got {value!r:.80}")
    return int(number) if integer else number


def witness_array(
    witness: Mapping[str, Any], name: str, shape: int | tuple[int, ...]
) -> Array | None:
    """Take one array out of a witness that nobody vouches for.

    Parameters
    ----------
    witness : mapping
        What a method or a user handed over.
    name : str
        The entry.
    shape : int or tuple of int
        The shape it must have.

    Returns
    -------
    array or None
        A finite float64 array of that shape, or None where the entry is missing or malformed.

    Examples
    --------
    >>> witness_array({"dual": [1.0, float("nan")]}, "dual", 2) is None
    True
    """
    value = witness.get(name)
    if value is None:
        return None
    try:
        # "unsafe" would read texts and drop imaginary parts
        array = np.asarray(value).astype(np.float64, casting="same_kind")
    except (TypeError, ValueError):
        return None
    wanted = (shape,) if isinstance(shape, int) else shape
    if array.shape != wanted or not np.isfinite(array).all():
        return None
    return np.ascontiguousarray(array)


class Problem:
    """Base of all problem classes: data checked once, and a certificate.

    A subclass is a ``@dataclass(frozen=True, eq=False)`` whose ``__post_init__`` checks its fields
    (`as_vector`, `as_number`, ``Matrix.of``) and stores them read-only through `set`. It writes
    `initial_point`, `certificate`, `auto` and the class method ``random``. The decision variable
    is one float64 vector; its packing stands in the docstring of the class.

    Attributes
    ----------
    views : tuple of str
        Names of the result's views: each is a method ``view(x, witness)``.

    Notes
    -----
    `judge`, not `certificate`, is what driver, `fejer.verify` and tests call.
    """

    views: ClassVar[tuple[str, ...]] = ()

    # ---- what a class writes ---------------------------------------------------------------
    def initial_point(self) -> Array:
        """Return the deterministic start that is used where the user gives none."""
        raise NotImplementedError

    def certificate(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> Certificate:
        """Judge ``x`` exactly as given; the witness is checked, never trusted."""
        raise NotImplementedError

    def auto(self) -> tuple[str, ...]:
        """Return method names, the first choice first, decided from the data."""
        return ()

    @classmethod
    def random(cls, *args: Any, **kwargs: Any) -> Self:
        """Draw an instance."""
        raise NotImplementedError

    def to_cvxpy(self) -> cvxpy.Problem:
        """Return the same problem as a cvxpy model, where cvxpy can state it."""
        raise NotImplementedError

    @property
    def unit(self) -> int:
        """Units of work in one pass over the data."""
        return 1

    @property
    def judge_units(self) -> int:
        """Units of work that one certificate costs."""
        return self.unit

    # ---- what every class gets ---------------------------------------------------------------
    @property
    def size(self) -> int:
        """Number of entries of the decision variable."""
        memo = self.__dict__
        if "_size" not in memo:
            memo["_size"] = int(self.initial_point().size)
        return int(memo["_size"])

    def judge(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> Certificate:
        """Compute the certificate of a point, whatever the point and the witness are.

        Parameters
        ----------
        x : array, shape (size,)
            The point; it is never changed.
        witness : mapping of str to array, optional
            Duals, multipliers, a plan: checked, never trusted.

        Returns
        -------
        Certificate
            With a value that is at least 0 and never nan.
        """
        if not np.isfinite(x).all():
            return failed("none", "x is not finite")
        with np.errstate(all="ignore"):
            certificate = self.certificate(x, witness)
        value = certificate.value
        if math.isnan(value) or (value == math.inf and not certificate.reason):
            reason = certificate.reason or "overflow"
            return dataclass_replace(certificate, value=math.inf, reason=reason)
        return certificate if value >= 0 else dataclass_replace(certificate, value=0.0)

    def objective(self, x: Array) -> float:
        """Return the objective at ``x``."""
        return self.judge(np.asarray(x, dtype=np.float64)).fun

    def set(self, **values: Any) -> None:
        """Store checked values of frozen fields; for ``__post_init__`` alone."""
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def fact(self, key: str, fields: Iterable[str], build: Callable[[], Any]) -> Any:
        """Return the memo ``key``, built once from the named fields alone.

        Parameters
        ----------
        key : str
            Name of the fact.
        fields : iterable of str
            The fields it depends on. `replace` hands the fact on while these are unchanged.
        build : callable
            Computes it.
        """
        facts: dict[str, tuple[tuple[str, ...], Any]] = self.__dict__.setdefault("_facts", {})
        if key not in facts:
            facts[key] = (tuple(fields), build())
        return facts[key][1]

    def oracle(self, x: Array) -> Any:
        """Call the user's functions at ``x`` through a memo of six points.

        For classes made of callables, which write ``evaluate(x)``: so the judge costs nothing at
        points that the method has just visited.
        """
        memo: OrderedDict[bytes, Any] = self.__dict__.setdefault("_oracle", OrderedDict())
        key = x.tobytes()
        if key in memo:
            memo.move_to_end(key)
            return memo[key]
        value = self.evaluate(x)
        memo[key] = value
        if len(memo) > ORACLE_MEMO:
            memo.popitem(last=False)
        return value

    def evaluate(self, x: Array) -> Any:
        """Call the user's functions at ``x``; written by classes made of callables."""
        raise NotImplementedError

    def replace(self, **fields: Any) -> Self:
        """Return the problem with other values of some fields.

        Unchanged data are not validated again and keep their facts.

        Parameters
        ----------
        **fields
            New values, as the constructor takes them.

        Raises
        ------
        ProblemError
            A name that is not a field, or a value that the class refuses.
        """
        names = [f.name for f in dataclass_fields(self)]  # type: ignore[arg-type]
        for name in fields:
            if name not in names:
                known = ", ".join(names)
                raise ProblemError(f"{type(self).__name__} has no field {name!r}. Known: {known}")
        kept = {name: getattr(self, name) for name in names if name not in fields}
        with _trusted(kept.values()):
            other = type(self)(**{**kept, **fields})
        same = {name for name in kept if getattr(other, name) is kept[name]}
        facts = {k: v for k, v in self.__dict__.get("_facts", {}).items() if same.issuperset(v[0])}
        other.__dict__.setdefault("_facts", {}).update(facts)
        return other

    def fingerprint(self) -> str:
        """Return a SHA-256 over all fields that are arrays, matrices, numbers or texts."""
        digest = hashlib.sha256(type(self).__qualname__.encode())
        for field in dataclass_fields(self):  # type: ignore[arg-type]
            digest.update(field.name.encode())
            digest_value(digest, getattr(self, field.name))
        return digest.hexdigest()

    def __getstate__(self) -> dict[str, Any]:
        return {f.name: getattr(self, f.name) for f in dataclass_fields(self)}  # type: ignore[arg-type]

    def __setstate__(self, state: dict[str, Any]) -> None:
        for value in state.values():
            for array in value if isinstance(value, tuple | list) else (value,):
                if isinstance(array, np.ndarray):
                    array.flags.writeable = False
        self.set(**state)

    def __repr__(self) -> str:
        parts = []
        for field in dataclass_fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            if isinstance(value, np.ndarray) and value.size > 6:
                value = f"<array {value.shape}>"
            elif isinstance(value, np.ndarray):
                value = np.array2string(value, precision=4)
            parts.append(f"{field.name}={value if isinstance(value, str) else repr(value)}")
        return f"{type(self).__name__}({', '.join(parts)})"


@contextlib.contextmanager
def _trusted(values: Iterable[Any]) -> Any:
    """Let `as_vector` pass arrays that this very problem has validated before."""
    before: frozenset[int] = getattr(_trust, "arrays", frozenset())
    _trust.arrays = before | {id(v) for v in values if isinstance(v, np.ndarray)}
    try:
        yield
    finally:
        _trust.arrays = before


def digest_value(digest: Any, value: Any) -> None:
    """Feed arrays, matrices, numbers, texts and nests of them to a hash; skip all else."""
    if isinstance(value, np.ndarray):
        digest.update(f"{value.dtype}{value.shape}".encode())
        digest.update(value.tobytes("A") if value.dtype != object else b"")
    elif hasattr(value, "fingerprint"):
        digest.update(str(value.fingerprint()).encode())
    elif isinstance(value, bool | int | float | str | bytes | None):
        digest.update(repr(value).encode())
    elif isinstance(value, tuple | list):
        digest.update(str(len(value)).encode())
        for part in value:
            digest_value(digest, part)
    elif isinstance(value, Mapping):
        for key in value:
            digest.update(repr(key).encode())
            digest_value(digest, value[key])
