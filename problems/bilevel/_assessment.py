"""What is known of a bilevel problem at one point: constants, products and what follows of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from fejer.evidence import Array

__all__ = ["ROUNDING", "Assessment", "Constants", "Cross", "Upper", "norm"]

ROUNDING = 4 * 2.0**-53  # of a computed sum, times the moduli of its terms


class Constants(NamedTuple):
    """Constants that bound the lower and the upper level at one x, for all y.

    Attributes
    ----------
    mu : float
        Modulus of strong convexity of ``f(x, .)``: a lower bound.
    lipschitz : float
        Lipschitz constant of ``grad_y f(x, .)``.
    upper : float
        Lipschitz constant of ``grad_y F(x, .)``.
    hessian : float
        Lipschitz constant of ``H(x, .)``; 0 where f is quadratic in y.
    upper_cross : float
        Lipschitz constant of ``grad_x F(x, .)``.
    estimated : bool
        Whether one of them is no proven bound.
    """

    mu: float
    lipschitz: float
    upper: float
    hessian: float = 0.0
    upper_cross: float = 0.0
    estimated: bool = False


class Upper(NamedTuple):
    """The upper objective at (x, y), its gradients, and the rounding error of its value."""

    fun: float
    grad_y: Array
    floor: float
    grad_x: Array | None = None


class Cross(NamedTuple):
    """Products with J at (x, y), in the coordinates that were asked for.

    Attributes
    ----------
    product : array
        ``J' q``.
    norm : float
        At least ``||J||``.
    lipschitz : float
        Lipschitz constant of J in y.
    change : float
        ``||(J(y') - J(y))' q|| <= change ||y' - y||``.
    floor : float
        Rounding error of the product.
    """

    product: Array
    norm: float
    lipschitz: float
    change: float
    floor: float


@dataclass(frozen=True, eq=False)
class Assessment:
    """What is known of ``Phi`` at x from an approximate lower solution.

    Attributes
    ----------
    y, adjoint : array
        Lower solution and adjoint that were used.
    gradient : array
        The approximate hypergradient, in the coordinates that were asked for.
    error : float
        Bound of its distance from the true one.
    floor : float
        Share of `error` that rounding alone can cause.
    distance : float
        Bound of ``||y - y*(x)||``.
    residual : float
        ``||grad_y f||``.
    fun, fun_error : float
        The value ``F - q' grad_y f`` of second order, and the bound of its distance from Phi.
    fun_floor : float
        Share of `fun_error` that rounding alone can cause.
    rigorous : bool
        Whether no constant was estimated.
    adjoint_error : float
        Share of `error` that the adjoint's residual alone causes.
    published_error : float
        The bound of Theorem 2.1 of arXiv 2308.10098, rounding added; `error` is never larger.
    shift : float
        Distance from the hypergradient after a Newton step, an estimate of the error; nan where
        it was not asked for.
    """

    y: Array
    adjoint: Array
    gradient: Array
    error: float
    floor: float
    distance: float
    residual: float
    fun: float
    fun_error: float
    fun_floor: float
    rigorous: bool
    adjoint_error: float
    published_error: float
    shift: float = math.nan


def norm(v: Array) -> float:
    """Return the Euclidean norm without overflow of the squares."""
    largest = float(np.abs(v).max(initial=0.0))
    if not 1e-140 < largest < 1e140:
        if largest == 0.0 or not math.isfinite(largest):
            return largest
        return largest * float(np.linalg.norm(v / largest))
    return float(np.linalg.norm(v))
