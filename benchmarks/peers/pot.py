"""POT: Python Optimal Transport.

``ot.sinkhorn`` multiplies matrices and is the fastest while ``exp(-C / eps)`` does not underflow;
``sinkhorn_log`` is safe for any eps. Both check their marginals every ten iterations.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fejer.evidence import Array
from fejer.problems.transport.entropic_ot import EntropicOT
from fejer.problems.transport.point_cloud import PointCloud

__all__ = ["sinkhorn", "sinkhorn_log"]

ITERATIONS = 1_000_000

Solve = Callable[[float], Array]


def _data(problem: EntropicOT) -> tuple[Array, Array, Array, float]:
    cost = problem.cost.toarray() if isinstance(problem.cost, PointCloud) else problem.cost
    return problem.a, problem.b, np.array(cost), problem.epsilon


def sinkhorn(problem: EntropicOT) -> Solve:
    """Prepare ``ot.sinkhorn`` with scalings of the kernel matrix.

    Parameters
    ----------
    problem : EntropicOT
        With a dense cost.

    Returns
    -------
    callable
        ``solve(tol)``; tol is the 2-norm of the error of the marginals.
    """
    import ot

    a, b, cost, eps = _data(problem)

    def solve(tol: float) -> Array:
        told: dict[str, Any]
        _, told = ot.sinkhorn(
            a, b, cost, eps, stopThr=tol, numItermax=ITERATIONS, log=True, warn=False
        )
        with np.errstate(divide="ignore"):
            return eps * np.log(np.concatenate([told["u"].ravel(), told["v"].ravel()]))

    return solve


def sinkhorn_log(problem: EntropicOT) -> Solve:
    """Prepare ``ot.sinkhorn`` in the logarithmic domain.

    Parameters
    ----------
    problem : EntropicOT
        With a dense cost.

    Returns
    -------
    callable
        ``solve(tol)``; tol is the 2-norm of the error of the marginals.
    """
    import ot

    a, b, cost, eps = _data(problem)

    def solve(tol: float) -> Array:
        told: dict[str, Any]
        _, told = ot.bregman.sinkhorn_log(
            a, b, cost, eps, stopThr=tol, numItermax=ITERATIONS, log=True, warn=False
        )
        return eps * np.concatenate([told["log_u"].ravel(), told["log_v"].ravel()])

    return solve
