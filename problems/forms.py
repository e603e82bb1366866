"""Standard forms, for methods that serve several problem classes.

A class that can be written in a form says so by a mixin (`Blockwise`, `Program`); a method names
the mixin in ``solves`` and asks the problem for its form.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fejer.evidence import Array
from fejer.numerics.matrix import Matrix

__all__ = ["Blockwise", "LinearForm", "Program", "ProgramForm", "QuadraticForm"]


@dataclass(frozen=True, eq=False)
class LinearForm:
    """``min over w in [lower, upper] of loss(X w; y) + sum l1_j |w_j| + 1/2 sum l2_j w_j^2``.

    Attributes
    ----------
    X : Matrix, shape (n, d)
        The data.
    y : array, shape (n,)
        Targets or labels.
    loss : str
        ``"squared"`` (1/2 sum of squares), ``"logistic"``, ``"multinomial"``.
    l1, l2, lower, upper : array, shape (d,)
        Penalty weights and bounds of each coordinate. A negative l1 over ``w >= 0`` is a linear
        term.
    groups : array of int, shape (d,), optional
        Group of each coordinate; the penalty then has ``sum_g group_weights_g ||w_g||`` too.
    group_weights : array, shape (number of groups,), optional
        Weights of the group norms.
    prox : Prox, optional
        A further penalty, by its proximal map.
    prox_weight : float
        Its weight.
    n_classes : int
        Number of classes of the multinomial loss; coordinate ``j n_classes + k`` is that of
        column j and class k, and as many constants follow where there are any.
    intercept : bool
        Whether the variable has a free constant term behind w.
    sample_weight : array, shape (n,), optional
        Weights of the samples.
    """

    X: Matrix
    y: Array
    loss: str
    l1: Array
    l2: Array
    lower: Array
    upper: Array
    groups: np.ndarray | None = None
    group_weights: Array | None = None
    prox: Any = None
    prox_weight: float = 0.0
    n_classes: int = 1
    intercept: bool = False
    sample_weight: Array | None = None


@dataclass(frozen=True, eq=False)
class QuadraticForm:
    """``min over x in [lower, upper] of 1/2 x'Ax - b'x + sum l1_j |x_j| + 1/2 sum l2_j x_j^2``.

    Attributes
    ----------
    matrix : Matrix, shape (n, n)
        A, symmetric positive semidefinite.
    b, l1, l2, lower, upper : array, shape (n,)
        Linear term, penalty weights and bounds.
    """

    matrix: Matrix
    b: Array
    l1: Array
    l2: Array
    lower: Array
    upper: Array


class Blockwise:
    """Mixin of problem classes that block coordinate and proximal methods treat."""

    def form(self) -> LinearForm | QuadraticForm:
        """Return the problem in its standard form."""
        raise NotImplementedError


@dataclass(frozen=True, eq=False)
class ProgramForm:
    """``min c'x  subject to  row_lower <= A x <= row_upper,  lower <= x <= upper``.

    Attributes
    ----------
    c, lower, upper : array, shape (n,)
        Costs and bounds; infinite bounds are absent.
    A : Matrix, shape (m, n)
        Rows.
    row_lower, row_upper : array, shape (m,)
        Bounds of the rows.
    """

    c: Array
    A: Matrix
    row_lower: Array
    row_upper: Array
    lower: Array
    upper: Array


class Program:
    """Mixin of problem classes that are linear programs underneath."""

    def program(self) -> ProgramForm | None:
        """Return the problem as a linear program, or None where its fields make it another one."""
        raise NotImplementedError

    def from_program(
        self, x: Array, dual: Array | None = None, ray: Array | None = None
    ) -> tuple[Array, Mapping[str, Any]]:
        """Turn a solution of the program into point and witness of this problem."""
        raise NotImplementedError
