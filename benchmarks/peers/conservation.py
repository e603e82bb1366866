"""The projection on a conservation law in closed form."""

from __future__ import annotations

from collections.abc import Callable

from fejer.benchmarks.instances.conservation import of
from fejer.evidence import Array
from fejer.problems.constrained.equality_nlp import EqualityNLP
from fejer.problems.constrained.project_linear import project_linear

__all__ = ["closed_form"]


def closed_form(problem: EqualityNLP) -> Callable[[float], Array]:
    """Prepare `fejer.project_linear`.

    Parameters
    ----------
    problem : EqualityNLP
        Made by ``fejer.benchmarks.instances.conservation.conserved``.

    Returns
    -------
    callable
        ``solve(tol)``; a closed form has no tolerance.
    """
    known = of(problem)

    def solve(tol: float) -> Array:
        return project_linear(known.mean, known.variances, known.weights, known.mass).mean

    return solve
