"""The gradient of a bilevel objective at one point, with a bound of its error."""

from __future__ import annotations

from typing import NamedTuple

from numpy.typing import ArrayLike

from fejer.errors import ProblemError
from fejer.evidence import Array
from fejer.problem import Problem, as_number, as_vector

from ._lower_level import LowerLevel

__all__ = ["Hypergradient", "hypergradient"]

ACCURACIES = (1e-3, 1e-6, 1e-9, 1e-12, 1e-14)


class Hypergradient(NamedTuple):
    """What `hypergradient` returns.

    Attributes
    ----------
    value : array, shape (n,)
        The approximate gradient of ``Phi(x) = F(x, y*(x))``.
    error : float
        Bound of its Euclidean distance from the true gradient.
    rigorous : bool
        Whether no constant in that bound was estimated.

    Examples
    --------
    >>> import fejer
    >>> problem = fejer.QuadraticBilevel.random()
    >>> fejer.hypergradient(problem, problem.initial_point())._fields
    ('value', 'error', 'rigorous')
    """

    value: Array
    error: float
    rigorous: bool


def hypergradient(problem: Problem, x: ArrayLike, tol: float = 1e-6) -> Hypergradient:
    """Compute the gradient of a bilevel objective, with a bound of its error.

    Parameters
    ----------
    problem : Problem
        A bilevel problem whose lower level is strongly convex.
    x : array_like, shape (n,)
        Upper variable.
    tol : float, default 1e-6
        The lower level and the adjoint system are solved until the error is at most this, or
        rounding allows no better; the error returned tells.

    Returns
    -------
    Hypergradient
        With ``value``, ``error`` and ``rigorous``.

    Raises
    ------
    ProblemError
        A problem of another kind, or x of another shape.

    Examples
    --------
    >>> import fejer
    >>> problem = fejer.QuadraticBilevel([[1.0]], [3.0], [[2.0]], [[-2.0]], [0.0])  # y* = x
    >>> gradient = fejer.hypergradient(problem, [1.0])
    >>> gradient.value, gradient.error < 1e-12, gradient.rigorous
    (array([-2.]), True, True)
    """
    if not isinstance(problem, LowerLevel):
        kind = type(problem).__name__
        raise ProblemError(f"problem: expected a bilevel problem with a lower level, got {kind}")
    tol = as_number(tol, "tol", least=0)
    point = as_vector(x, "x", size=problem.size)
    best = None
    start = adjoint = None
    for accuracy in ACCURACIES if problem.solver(point) is None else ACCURACIES[-1:]:
        start = problem.lower_solution(point, accuracy, start)
        upper = problem.upper_level(point, start)
        adjoint = problem.adjoint(point, start, upper.grad_y, tol=accuracy, start=adjoint)[0]
        found = problem.assess(point, start, adjoint=adjoint)
        if best is None or found.error < best.error:
            best = found
        if best.error <= tol:
            break
    assert best is not None
    return Hypergradient(best.gradient, best.error, best.rigorous)
