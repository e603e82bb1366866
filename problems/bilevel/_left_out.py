"""Leave-one-out and generalised cross-validation of a ridge regression, in closed form.

With the hat matrix ``X (X'X + n p)^-1 X'``, its diagonal h and the residual r of all data, the
residual of a sample left out is ``r_i / (1 - h_i)`` [1]_; generalised cross-validation has the mean
of h in the place of h_i [2]_.

References
----------
.. [1] Allen (1974), The relationship between variable selection and data augmentation and a method
   for prediction, Technometrics 16.
.. [2] Golub, Heath, Wahba (1979), Generalized cross-validation as a method for choosing a good
   ridge parameter, Technometrics 21.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from fejer.evidence import Array

from ._assessment import ROUNDING, Upper, norm

__all__ = ["CRITERIA", "Factors", "decompose", "left_out"]

CRITERIA = ("loo", "gcv")


class Decomposition(NamedTuple):
    """Squares of the left singular vectors of ``X/sqrt(n)``, and of its singular values."""

    shares: Array
    squares: Array
    rest: Array  # what the shares of a row lack to 1


class Factors(NamedTuple):
    """Factors ``d = 1/(1 - h)``, their logarithmic derivative in x, and their relative error."""

    d: Array
    slope: Array
    error: float


def decompose(X: Array) -> Decomposition:
    """Return what depends on the data alone."""
    U, values, _ = np.linalg.svd(X / math.sqrt(len(X)), full_matrices=False)
    shares = U * U
    return Decomposition(shares, values**2, np.maximum(1 - shares.sum(axis=1), 0.0))


def factors(parts: Decomposition, p: float, criterion: str) -> Factors:
    """Return the factors at a penalty.

    Parameters
    ----------
    parts : Decomposition
        Of the data.
    p : float
        The penalty.
    criterion : {"loo", "gcv"}
        With a factor for each row, or one for all.

    Returns
    -------
    Factors
    """
    kept = p / (parts.squares + p)
    free = parts.shares @ kept + parts.rest  # 1 - h, a sum of positive terms
    slope = -(parts.shares @ (kept * (1 - kept)))  # of h in log p
    if criterion == "gcv":
        free, slope = np.full_like(free, free.mean()), np.full_like(slope, slope.mean())
    rounding = ROUNDING * (2 + sum(parts.shares.shape))
    least = float(free.min())
    error = rounding / least if least > 0 else math.inf
    return Factors(1 / free, slope / free, error)


def left_out(X: Any, residual: Array, known: Factors) -> tuple[Upper, float]:
    """Return the upper objective with its gradients, and the rounding error of ``grad_x F``.

    Parameters
    ----------
    X : Matrix
        Data.
    residual : array, shape (n,)
        ``X y - target``.
    known : Factors
        The factors.

    Returns
    -------
    tuple
    """
    n = residual.size
    scaled = known.d * residual
    fun = 0.5 * float(scaled @ scaled) / n
    along = float((scaled * known.slope) @ scaled) / n
    size = float((scaled * np.abs(known.slope)) @ scaled) / n
    grad_y = X.rmatvec(known.d * scaled) / n
    floor = (2 * known.error + ROUNDING) * fun
    return Upper(fun, grad_y, floor, np.array([along])), 4 * known.error * size


def change(known: Factors, residual: Array, moved: float) -> float:
    """Bound the change of ``grad_x F`` where the residual moves by at most `moved` in norm."""
    largest = float((known.d**2 * np.abs(known.slope)).max()) / residual.size
    return largest * moved * (2 * norm(residual) + moved)
