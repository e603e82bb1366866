"""Samples of bilevel problems: the same oracles over some rows of the data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from fejer.evidence import Array
from fejer.numerics.matrix import Matrix
from fejer.problem import as_vector

from ._assessment import Constants, Upper

__all__ = ["Part", "SampledData", "Splits"]


class Part:
    """The oracles of stochastic methods, over a part of the data.

    Parameters
    ----------
    problem : LowerLevel
        A problem with the data of that part alone.
    rows : array of int, optional
        The entries of x that it has, where there is one for each row of the training data.
    size : int, default 0
        Entries of the whole x in that case.
    """

    def __init__(self, problem: Any, rows: Any = None, size: int = 0) -> None:
        self.problem, self.rows, self.size = problem, rows, size

    def _pick(self, x: Array) -> Array:
        return x if self.rows is None else x[self.rows]

    def _spread(self, v: Array) -> Array:
        if self.rows is None:
            return v
        return np.asarray(np.bincount(self.rows, weights=v, minlength=self.size), dtype=float)

    def constants(self, x: Array) -> Constants:
        """Return the constants."""
        return self.problem.constants(self._pick(x))  # type: ignore[no-any-return]

    def lower_gradient(self, x: Array, y: Array) -> Array:
        """Return ``grad_y f``."""
        return self.problem.lower_gradient(self._pick(x), y)  # type: ignore[no-any-return]

    def hessian(self, x: Array, y: Array) -> Callable[[Array], Array]:
        """Return ``v -> H v``."""
        return self.problem.hessian(self._pick(x), y)  # type: ignore[no-any-return]

    def upper_level(self, x: Array, y: Array) -> Upper:
        """Return F and its gradients."""
        return self.problem.upper_level(self._pick(x), y)  # type: ignore[no-any-return]

    def cross(self, x: Array, y: Array, q: Array) -> Array:
        """Return ``J'q``."""
        return self._spread(self.problem.cross(self._pick(x), y, q).product)

    def lower_in_x(self, x: Array, y: Array) -> Array:
        """Return ``grad_x f``."""
        return self._spread(np.asarray(self.problem.lower_in_x(self._pick(x), y)))


class Splits:
    """Mixin of classes with training and validation data."""

    X_train: Any
    y_train: Any
    X_val: Any
    y_val: Any

    def set_data(self, labels: Callable[[Any, str, int], Array] | None = None) -> None:
        """Check and store both data sets.

        Parameters
        ----------
        labels : callable, optional
            ``labels(value, name, size)`` checks labels; default: any numbers.
        """
        columns = -1
        for part in ("train", "val"):
            X = Matrix.of(getattr(self, f"X_{part}"), f"X_{part}", shape=(-1, columns))
            name, (rows, columns) = f"y_{part}", X.shape
            value = getattr(self, name)
            y = labels(value, name, rows) if labels else as_vector(value, name, size=rows)
            self.set(**{f"X_{part}": X, name: y})  # type: ignore[attr-defined]


class SampledData(Splits):
    """Mixin of classes whose levels are means over rows of training and validation data."""

    per_row: ClassVar[bool] = False  # an entry of x for each row of the training data

    def sample_sizes(self) -> tuple[int, int]:
        """Return the rows of both data sets; an operator has one row, the whole."""
        sets = self.X_train, self.X_val
        rows = [1 if X.is_operator else int(X.shape[0]) for X in sets]
        return rows[0], rows[1]

    def part(self, lower: Any, upper: Any) -> Part:
        """Return the problem that has these rows of the two data sets alone."""
        other = object.__new__(type(self))
        other.__dict__.update(vars(self))
        facts = dict(self.__dict__.get("_facts", {}))
        for name, rows in (("train", lower), ("val", upper)):
            X, y = getattr(self, f"X_{name}"), getattr(self, f"y_{name}")
            label = facts.pop(f"class of y_{name}", None)
            if X.is_operator:
                rows = slice(None)
            else:
                X = _taken(X, rows)
            other.__dict__[f"X_{name}"], other.__dict__[f"y_{name}"] = X, y[rows]
            if label is not None:
                facts[f"class of y_{name}"] = (), label[1][rows]
        other.__dict__["_facts"] = facts
        other.__dict__.pop("_oracle", None)
        return Part(other, lower, int(self.X_train.shape[0])) if self.per_row else Part(other)


def _taken(X: Matrix, rows: Any) -> Matrix:
    if X.is_sparse:
        return Matrix.of(X.fact("csr_array", lambda: X.tosparse().tocsr())[rows])
    dense = X.dense[rows]
    return Matrix(dense.shape, dense=dense)
