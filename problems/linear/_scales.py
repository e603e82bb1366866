"""Scales of a linear program, from its data alone: what violations and gaps are measured by."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fejer.evidence import Array
from fejer.numerics.arrays import LARGEST
from fejer.numerics.compressed import frozen
from fejer.numerics.matrix import Matrix

__all__ = ["Scales", "scales"]


class Scales(NamedTuple):
    """Divisors of the entries, and the scale below which no objective is told from zero.

    Attributes
    ----------
    row_lower, row_upper : array, shape (m,)
        Modulus of each bound of a row, or the typical one where it is zero or absent.
    lower, upper, costs : array, shape (n,)
        The same of the bounds of the variables and of the costs.
    row_size, size : array
        Largest modulus of the finite bounds of each row and each variable, 0 where there is none.
    objective : float
        The smallest objective that bounds and costs suggest.
    rows, columns : float
        Euclidean norms of the finite bounds of the rows and of the costs.
    """

    row_lower: Array
    row_upper: Array
    lower: Array
    upper: Array
    costs: Array
    row_size: Array
    size: Array
    objective: float
    rows: float
    columns: float


def scales(
    c: Array, A: Matrix, row_lower: Array, row_upper: Array, lower: Array, upper: Array
) -> Scales:
    """Compute the scales.  Medians and minima: stand-ins for infinity cannot enter them."""
    row_moduli = _nonzero(row_lower, row_upper)
    moduli = row_moduli if row_moduli.size else _nonzero(lower, upper)
    costs = _nonzero(c)
    typical = float(np.median(moduli)) if moduli.size else 1.0
    typical_cost = float(np.median(costs)) if costs.size else 1.0
    largest = _largest(A) if row_moduli.size else 1.0
    least = float(moduli.min(initial=LARGEST)) if moduli.size else 1.0
    least_cost = float(costs.min(initial=LARGEST)) if costs.size else 1.0
    row_size, size = _size(row_lower, row_upper), _size(lower, upper)
    return Scales(
        row_lower=_divisors(row_lower, typical),
        row_upper=_divisors(row_upper, typical),
        lower=_divisors(lower, typical),
        upper=_divisors(upper, typical),
        costs=_divisors(c, typical_cost),
        row_size=row_size,
        size=size,
        objective=least * least_cost / largest or 1.0,
        rows=float(np.linalg.norm(row_size)),
        columns=float(np.linalg.norm(c)),
    )


def _nonzero(*arrays: Array) -> Array:
    joined = np.abs(np.concatenate(arrays))
    return joined[(joined > 0) & (joined < np.inf)]


def _divisors(values: Array, typical: float) -> Array:
    moduli = np.abs(values)
    return frozen(np.where((moduli > 0) & (moduli < np.inf), moduli, typical))


def _size(low: Array, high: Array) -> Array:
    sizes = [np.where(np.isfinite(bound), np.abs(bound), 0.0) for bound in (low, high)]
    return frozen(np.maximum(*sizes))


def _largest(A: Matrix) -> float:
    entries = A.csc.data if A.is_sparse else A.dense
    return float(max(entries.max(initial=0.0), -entries.min(initial=0.0))) or 1.0
