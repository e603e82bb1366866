"""dagma: Adam on a path of barriers with the score of least squares.

Its linear models need no torch: ``pip install --no-deps dagma`` is enough.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable

import numpy as np

import fejer
from fejer.evidence import Array
from fejer.problems.constrained.linear_sem import LinearSEM

__all__ = ["graph", "refitted"]

WARM, LAST = 20_000, 70_000  # steps of Adam that were published for the concomitant scores


def graph(problem: LinearSEM) -> Array:
    """Return the library's weights with the problem's penalty, 0 up to 0.3.

    Parameters
    ----------
    problem : LinearSEM
        Observations; the noise of the problem plays no part.

    Returns
    -------
    array, shape (d, d)
        Weights; the library does not promise that they have no cycle.
    """
    from dagma.linear import DagmaLinear

    model = DagmaLinear(loss_type="l2")
    with contextlib.redirect_stderr(io.StringIO()):  # a bar of its progress
        found = model.fit(
            np.array(problem.X),
            lambda1=problem.lam,
            T=4,
            s=[1.0, 0.9, 0.8, 0.7],
            warm_iter=WARM,
            max_iter=LAST,
        )
    return np.asarray(found)


def refitted(problem: LinearSEM) -> Callable[[float], Array]:
    """Prepare the library, and after it our refit of the weights on the order that it found.

    Parameters
    ----------
    problem : LinearSEM
        Observations.

    Returns
    -------
    callable
        ``solve(tol)``; tol is that of the refit.
    """

    def solve(tol: float) -> Array:
        start = problem.graph_weights(graph(problem).ravel()).ravel()
        return np.asarray(fejer.minimize(problem, start, method="owlqn", tol=tol).x)

    return solve
