"""Plans that somebody hands over as a list of entries: checked, and rounded to the polytope."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fejer.evidence import Array
from fejer.problems.transport._gibbs import ROUNDING
from fejer.problems.transport._polytope import Polytope
from fejer.problems.transport._routing import route

FINITE = -1.7e308  # costs of arcs that are not forbidden, negated, are above it
DROPPED = 1e-12  # share of the mass that may be left over by rounding


@dataclass
class Entries:
    """Entries of a plan between the atoms with weight, in the order of rows.

    Attributes
    ----------
    rows, columns : array of int
        Places.
    values : array
        Entries, positive.
    costs : array
        Costs less the polytope's shift.
    """

    rows: np.ndarray
    columns: np.ndarray
    values: Array
    costs: Array

    def sums(self, polytope: Polytope) -> tuple[Array, Array]:
        """Return the sums of rows and of columns."""
        n, m = polytope.cost.shape
        return summed(self.rows, self.values, n), summed(self.columns, self.values, m)


def summed(places: Any, values: Array, size: int) -> Array:
    """Return the sums of the values that share a place."""
    sums: Any = np.bincount(places, values, size)
    return sums  # type: ignore[no-any-return]


def packed_plan(rows: Any, columns: Any, values: Any) -> Array:
    """Return the witness ``plan``, shape (3, k): row numbers, column numbers, entries."""
    return np.array([rows, columns, values], dtype=np.float64)


def read_plan(polytope: Polytope, witness: Mapping[str, Any]) -> Entries | str:
    """Read the witness ``plan``; a text says what is wrong with it."""
    given = witness.get("plan")
    if given is None:
        return "there is no witness 'plan'"
    try:
        table = np.asarray(given).astype(np.float64, casting="same_kind")
    except (TypeError, ValueError):
        return "the witness 'plan' is not an array of numbers"
    if table.ndim != 2 or len(table) != 3 or not np.isfinite(table).all():
        return "the witness 'plan' is not a finite array of shape (3, k)"
    n, m = polytope.whole.shape
    rows, columns, values = table
    inside = (rows >= 0) & (rows < n) & (columns >= 0) & (columns < m)
    if not inside.all() or (rows != np.floor(rows)).any() or (columns != np.floor(columns)).any():
        return "the witness 'plan' has places outside of the cost"
    if values.size and values.min() < 0:
        return "the witness 'plan' has negative entries"
    kept = values > 0
    rows, columns = rows[kept].astype(np.int64), columns[kept].astype(np.int64)
    return _merged(polytope, rows, columns, values[kept])


def _merged(polytope: Polytope, rows: Any, columns: Any, values: Array) -> Entries | str:
    """Leave out atoms without weight, sort by rows, and add up what stands at one place."""
    if polytope.rows is not None:
        rows, columns, values = _renumbered(polytope.rows, rows, columns, values)
    if polytope.columns is not None:
        columns, rows, values = _renumbered(polytope.columns, columns, rows, values)
    places, where = np.unique(rows * polytope.cost.shape[1] + columns, return_inverse=True)
    values = summed(where, values, places.size)
    rows, columns = np.divmod(places, polytope.cost.shape[1])
    costs = polytope.cost.entries(rows, columns) - polytope.shift
    if costs.size and not costs.max() < np.inf:
        return "the witness 'plan' uses a forbidden arc"
    return Entries(rows, columns, values, costs)


def _renumbered(kept: Any, places: Any, others: Any, values: Array) -> tuple[Any, Any, Array]:
    number = np.minimum(np.searchsorted(kept, places), kept.size - 1)
    there = kept[number] == places
    return number[there], others[there], values[there]


@dataclass
class Feasible:
    """A feasible plan: entries, and what they lacked, added as a product.

    Attributes
    ----------
    entries : Entries
        The sparse part.
    da, db : array
        The product part is ``da db' / sum(db)``.
    left : float
        Mass that could not be routed.
    cut : tuple of arrays of bool, or None
        Rows and columns of a cut that shows that no plan exists, where none does.
    """

    entries: Entries
    da: Array
    db: Array
    left: float = 0.0
    cut: tuple[Any, Any] | None = None

    def product(self, polytope: Polytope) -> tuple[Any, Any, Array, Array]:
        """Return rows, columns, entries and costs of the product part."""
        rows, columns = np.flatnonzero(self.da), np.flatnonzero(self.db)
        if not rows.size or not columns.size:
            return rows, columns, np.zeros((0, 0)), np.zeros((0, 0))
        part = polytope.cost.take(rows, columns)
        costs = np.concatenate([np.array(block) for _, block in part.blocks()]) - polytope.shift
        share = self.db[columns] / self.db.sum()
        return rows, columns, np.multiply.outer(self.da[rows], share), costs


def scaled_down(polytope: Polytope, entries: Entries) -> tuple[Entries, Array, Array]:
    """Scale rows, then columns, down to their weights; return what rows and columns lack."""
    a, b = polytope.a, polytope.b
    sums, _ = entries.sums(polytope)
    values = entries.values * np.minimum(1.0, a / np.maximum(sums, 1e-300))[entries.rows]
    part = Entries(entries.rows, entries.columns, values, entries.costs)
    _, sums = part.sums(polytope)
    part.values = values * np.minimum(1.0, b / np.maximum(sums, 1e-300))[part.columns]
    p, q = part.sums(polytope)
    da, db = a - p, b - q
    da[da <= 8.0 * ROUNDING * a] = 0.0
    db[db <= 8.0 * ROUNDING * b] = 0.0
    return part, da, db


def rounded_plan(polytope: Polytope, entries: Entries) -> Feasible:
    """Round entries to the polytope; what is lacking avoids forbidden arcs."""
    part, da, db = scaled_down(polytope, entries)
    if not (da.any() and db.any()):
        return Feasible(part, np.zeros_like(da), np.zeros_like(db))
    if polytope.cost.finite:
        return Feasible(part, da, db)
    C = polytope.cost.dense
    assert C is not None  # forbidden arcs are marked in matrices alone
    P = np.zeros(C.shape)
    P[part.rows, part.columns] = part.values
    nothing = np.zeros(da.size), np.zeros(db.size)
    rows, columns = route(C, polytope.shift, *nothing, 1.0, FINITE, P, da, db)
    left = float(min(da.sum(), db.sum()))
    cut = None
    if left > DROPPED * polytope.mass and not (C[np.ix_(rows, ~columns)] < np.inf).any():
        cut = rows, columns
    i, j = np.nonzero(P)
    part = Entries(i, j, P[i, j], C[i, j] - polytope.shift)
    return Feasible(part, nothing[0], nothing[1], left, cut)
