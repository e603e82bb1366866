"""How time and memory grow with the size of an instance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from fejer.errors import ProblemError
from fejer.evidence import Array

__all__ = ["Growth", "fit_growth"]

FEWEST_SIZES = 3
SHARES = np.array([0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95])
GAIN = 10.0  # of the score, for which an overhead is believed


@dataclass(frozen=True)
class Growth:
    """The law ``cost = overhead + constant size^exponent``.

    Attributes
    ----------
    exponent : float
        nan where there are fewer than three sizes.
    low, high : float
        Range of the exponents when one size is left out.
    constant, overhead : float
        The rest of the law.
    """

    exponent: float
    low: float
    high: float
    constant: float
    overhead: float

    def curve(self, size: ArrayLike) -> Array:
        """Evaluate the law.

        Parameters
        ----------
        size : array_like
            Sizes.

        Returns
        -------
        array
            Costs.
        """
        grown = self.constant * np.asarray(size, dtype=float) ** self.exponent
        return np.asarray(self.overhead + grown)

    def __str__(self) -> str:
        return f"n^{self.exponent:.2f} [{self.low:.2f}, {self.high:.2f}]"


def fit_growth(size: ArrayLike, cost: ArrayLike) -> Growth:
    """Fit a power of the size to costs, with a fixed overhead where that explains far more.

    Parameters
    ----------
    size : (m,) array_like
        Sizes, > 0; several costs of one size (seeds) enter by their median.
    cost : (m,) array_like
        Costs, > 0; those that are not finite are left out.

    Returns
    -------
    Growth
        The law.

    Raises
    ------
    ProblemError
        Shapes differ, or a number is not positive.

    Notes
    -----
    Least squares for ln cost over ln size. An overhead of up to 95 % of the smallest cost is tried;
    with few sizes it could explain any curvature, so it must lower m log(square) by 10.

    Examples
    --------
    >>> fit_growth([10, 20, 40, 80], [3e2, 12e2, 48e2, 192e2]).exponent.__round__(6)
    2.0
    """
    n, y = np.asarray(size, dtype=float), np.asarray(cost, dtype=float)
    if n.ndim != 1 or n.shape != y.shape:
        raise ProblemError(f"cost: expected the shape of size, {n.shape}, got {y.shape}")
    n, y = n[np.isfinite(y)], y[np.isfinite(y)]
    if not ((n > 0).all() and (y > 0).all()):
        raise ProblemError("size, cost: expected numbers > 0")
    sizes = np.unique(n)
    medians = np.array([np.median(y[n == s]) for s in sizes])
    if len(sizes) < FEWEST_SIZES:
        return Growth(np.nan, np.nan, np.nan, np.nan, 0.0)
    exponent, constant, overhead = _fit(sizes, medians)
    keep = ~np.eye(len(sizes), dtype=bool)
    others = [_line(sizes[k], medians[k] - overhead)[0] for k in keep if k.sum() >= 2]
    low, high = min(exponent, *others), max(exponent, *others)
    return Growth(exponent, low, high, constant, overhead)


def _line(sizes: Array, cost: Array) -> tuple[float, float]:
    slope, offset = np.polyfit(np.log(sizes), np.log(cost), 1)
    return float(slope), float(np.exp(offset))


def _fit(sizes: Array, cost: Array) -> tuple[float, float, float]:
    tried = []
    for share in SHARES if len(sizes) > FEWEST_SIZES else SHARES[:1]:
        overhead = float(share * cost.min())
        exponent, constant = _line(sizes, cost - overhead)
        off = np.log(overhead + constant * sizes**exponent) - np.log(cost)
        score = len(sizes) * np.log(np.mean(off**2) + 1e-6) + (GAIN if share else 0.0)
        tried.append((score, exponent, constant, overhead))
    return min(tried)[1:]
