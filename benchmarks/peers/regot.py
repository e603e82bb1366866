"""RegOT: second-order methods for entropic and quadratic transport, in C++.

``splr`` approximates the Hessian by a sparse matrix of low rank updates, ``ssns`` is the safe
sparse Newton method; ``grssn`` is a globalised semismooth Newton method.  Tolerances are 2-norms of
the gradient.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fejer.evidence import Array
from fejer.problems.transport.entropic_ot import EntropicOT
from fejer.problems.transport.point_cloud import PointCloud
from fejer.problems.transport.quadratic_ot import QuadraticOT

__all__ = ["grssn", "splr", "ssns"]

ITERATIONS = 2000

Solve = Callable[[float], Array]


def _data(problem: EntropicOT | QuadraticOT) -> tuple[Array, Array, Array]:
    cost = problem.cost.toarray() if isinstance(problem.cost, PointCloud) else problem.cost
    return np.array(cost, order="F"), np.array(problem.a), np.array(problem.b)


def _entropic(problem: EntropicOT, name: str) -> Solve:
    import regot

    data, eps = _data(problem), problem.epsilon
    method: Any = getattr(regot, name)

    def solve(tol: float) -> Array:
        found = method(*data, eps, tol=tol, max_iter=ITERATIONS)
        return np.append(found.dual, 0.0)  # the last potential is fixed

    return solve


def splr(problem: EntropicOT) -> Solve:
    """Prepare ``sinkhorn_splr``.

    Parameters
    ----------
    problem : EntropicOT
        Without atoms of weight 0.

    Returns
    -------
    callable
        ``solve(tol)``.
    """
    return _entropic(problem, "sinkhorn_splr")


def ssns(problem: EntropicOT) -> Solve:
    """Prepare ``sinkhorn_ssns``.

    Parameters
    ----------
    problem : EntropicOT
        Without atoms of weight 0.

    Returns
    -------
    callable
        ``solve(tol)``.
    """
    return _entropic(problem, "sinkhorn_ssns")


def grssn(problem: QuadraticOT) -> Solve:
    """Prepare ``qrot_grssn``.

    Parameters
    ----------
    problem : QuadraticOT
        Without atoms of weight 0.

    Returns
    -------
    callable
        ``solve(tol)``.
    """
    import regot

    data, gamma = _data(problem), problem.gamma

    def solve(tol: float) -> Array:
        found: Any = regot.qrot_grssn(*data, gamma, tol=tol, max_iter=ITERATIONS)
        return np.array(found.dual)

    return solve
