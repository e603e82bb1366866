"""Constraints and bounds as `scipy.optimize.minimize` takes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fejer.errors import OracleError, ProblemError
from fejer.evidence import Array
from fejer.problem import as_vector

from . import _oracle as oracle

WAY_OUT = (
    "inequalities are not treated; write c(x) >= 0 as c(x) - s**2 = 0 with further variables s, "
    "or use scipy's 'SLSQP' or 'trust-constr'"
)


def bounds_array(bounds: Any, size: int | None) -> Array | None:
    """Turn a Bounds object, pairs or an (n, 2) array into a read-only (n, 2) array."""
    if bounds is None or (isinstance(bounds, list | tuple) and len(bounds) == 0):
        return None
    if hasattr(bounds, "lb") and hasattr(bounds, "ub"):
        n = size if size is not None else max(np.size(bounds.lb), np.size(bounds.ub))
        sides = [_spread(bounds.lb, "bounds.lb", n), _spread(bounds.ub, "bounds.ub", n)]
    else:
        try:
            pairs = [(low, high) for low, high in bounds]
        except (TypeError, ValueError) as error:
            text = "expected a Bounds object or one pair (lower, upper) for each variable"
            raise ProblemError(f"bounds: {text}, got {bounds!r:.80}") from error
        infinite = (-np.inf, np.inf)
        filled = [[infinite[k] if pair[k] is None else pair[k] for pair in pairs] for k in range(2)]
        if size is not None and len(pairs) != size:
            raise ProblemError(f"bounds: expected {size} pairs, got {len(pairs)}")
        sides = [as_vector(side, "bounds", finite=False) for side in filled]
    lower, upper = sides
    bad = np.flatnonzero(~(lower <= upper) | (lower == np.inf) | (upper == -np.inf))
    if bad.size:
        j = int(bad[0])
        raise ProblemError(
            f"bounds: expected lower <= upper, got ({lower[j]:g}, {upper[j]:g}) at [{j}]"
        )
    array = np.column_stack(sides)
    array.flags.writeable = False
    return array


def _spread(side: Any, name: str, n: int) -> Array:
    side = np.asarray(side, dtype=object).reshape(-1)
    return as_vector(side if side.size != 1 else side[0], name, n, finite=False)


@dataclass(frozen=True)
class Part:
    """One constraint ``fun(x) = target``."""

    fun: Callable[..., Any] | None
    jac: Callable[..., Any] | None
    hess: Callable[..., Any] | None
    target: Array
    matrix: Any = None

    def values(self, x: Array) -> Array:
        """Return ``fun(x) - target``."""
        if self.matrix is not None:
            return np.asarray(self.matrix @ x - self.target).reshape(-1)
        values = np.atleast_1d(oracle.numbers(self.fun(x), "constraint"))  # type: ignore[misc]
        if values.ndim != 1 or self.target.size not in (1, values.size):
            wanted, got = self.target.shape, values.shape
            raise OracleError(f"constraint: expected shape {wanted}, got {got}")
        return np.asarray(values - self.target)


@dataclass(frozen=True)
class Stacked:
    """All parts as one constraint."""

    parts: list[Part]

    def __call__(self, x: Array) -> Array:
        return np.concatenate([part.values(x.copy()) for part in self.parts])


@dataclass(frozen=True)
class StackedJacobian:
    """Their Jacobians, one over the other; sparse as soon as one of them is."""

    parts: list[Part]

    def __call__(self, x: Array) -> Any:
        blocks = [
            part.jac(x.copy()) if part.matrix is None else part.matrix  # type: ignore[misc]
            for part in self.parts
        ]
        if len(blocks) == 1:
            return blocks[0]
        if any(oracle.is_sparse(block) for block in blocks):
            from scipy.sparse import csr_array, vstack

            rows = [b if oracle.is_sparse(b) else np.atleast_2d(oracle.dense(b)) for b in blocks]
            return vstack([csr_array(b) for b in rows], format="csr")
        return np.vstack([np.atleast_2d(oracle.dense(block)) for block in blocks])


@dataclass(frozen=True)
class StackedHessian:
    """``sum l_i H_ci`` over all parts."""

    parts: list[Part]

    def __call__(self, x: Array, l: Array) -> Any:
        total = np.zeros((x.size, x.size))
        first = 0
        for part in self.parts:
            m = part.values(x.copy()).size
            if part.hess is not None:
                H = part.hess(x.copy(), l[first : first + m].copy())
                total += oracle.dense(oracle.as_matrix(H, "constraint_hess", total.shape))
            first += m
        return total


def constraint_fields(constraints: Any, n: int) -> dict[str, Any]:
    """Turn scipy's constraints into fields of `EqualityNLP`."""
    single = isinstance(constraints, Mapping) or not isinstance(constraints, list | tuple)
    given = [constraints] if single else list(constraints)
    parts = [_part(c, f"constraints[{i}]", n) for i, c in enumerate(given)]
    if all(part.matrix is not None for part in parts):
        target = np.concatenate([part.target for part in parts])
        return {"linear": (_stacked_matrix(parts), target)}
    fields: dict[str, Any] = {"constraint": Stacked(parts)}
    curved = [part for part in parts if part.matrix is None]
    if all(part.jac is not None for part in curved):
        fields["constraint_jac"] = StackedJacobian(parts)
    if all(part.hess is not None for part in curved):
        fields["constraint_hess"] = StackedHessian(parts)
    return fields


def _stacked_matrix(parts: list[Part]) -> Any:
    if len(parts) == 1:
        return parts[0].matrix
    if any(oracle.is_sparse(part.matrix) for part in parts):
        from scipy.sparse import csr_array, vstack

        return vstack([csr_array(part.matrix) for part in parts], format="csr")
    return np.vstack([part.matrix for part in parts])


def _part(constraint: Any, name: str, n: int) -> Part:
    if isinstance(constraint, Mapping):
        return _from_mapping(constraint, name)
    if not (hasattr(constraint, "lb") and hasattr(constraint, "ub")):
        wanted = "a NonlinearConstraint, a LinearConstraint or a dict of type 'eq'"
        raise ProblemError(f"{name}: expected {wanted}, got {type(constraint).__name__}")
    if not (hasattr(constraint, "A") or hasattr(constraint, "fun")):
        raise ProblemError(f"{name}: bounds go into bounds=, without constraints beside them")
    lower, upper = (np.atleast_1d(side) for side in (constraint.lb, constraint.ub))
    try:
        equal = bool(np.all(lower == upper))
    except ValueError:
        equal = False
    if not equal:
        raise ProblemError(f"{name}: {WAY_OUT}")
    target = as_vector(np.broadcast_arrays(lower, upper)[0], f"{name}.lb")
    if hasattr(constraint, "A"):
        A = constraint.A
        if oracle.is_sparse(A):
            from scipy.sparse import csr_array

            A = csr_array(A)
        else:
            A = np.atleast_2d(np.asarray(A))
        if A.ndim != 2 or A.shape[1] != n:
            raise ProblemError(f"{name}.A: expected shape (any, {n}), got {A.shape}")
        size = A.shape[0]
        if target.size not in (1, size):
            raise ProblemError(f"{name}.lb: expected shape ({size},), got {target.shape}")
        return Part(None, None, None, np.broadcast_to(target, size).copy(), A)
    oracle.checked_callable(constraint.fun, f"{name}.fun", optional=False)
    return Part(constraint.fun, _function(constraint.jac), _function(constraint.hess), target)


def _from_mapping(constraint: Mapping[str, Any], name: str) -> Part:
    kind = str(constraint.get("type", "")).lower()
    if kind == "ineq":
        raise ProblemError(f"{name}: {WAY_OUT}")
    if kind != "eq":
        raise ProblemError(f"{name}: expected type 'eq', got {constraint.get('type')!r:.80}")
    unknown = set(constraint) - {"type", "fun", "jac", "args"}
    if unknown:
        raise ProblemError(f"{name}: has no entry {sorted(map(str, unknown))[0]!r}")
    fun, jac = constraint.get("fun"), _function(constraint.get("jac"))
    oracle.checked_callable(fun, f"{name}['fun']", optional=False)
    args = as_args(constraint.get("args", ()))
    if args:
        fun = oracle.WithArgs(fun, args)  # type: ignore[arg-type]
        jac = None if jac is None else oracle.WithArgs(jac, args)
    return Part(fun, jac, None, np.zeros(1))


def as_args(args: Any) -> tuple[Any, ...]:
    """Return the further arguments as a tuple; a single one may come bare, as in scipy."""
    return args if isinstance(args, tuple) else (args,)


def _function(value: Any) -> Callable[..., Any] | None:
    """Return a derivative, or None for the names of difference schemes and quasi-Newton objects."""
    usable = callable(value) and not isinstance(value, type)
    return value if usable else None
