"""Steps along kinks, for objectives whose gradient jumps.

At a kink that bends upwards a gradient step crosses the valley, and halved steps end ever nearer
to the kink, without a way along it. Where two refused steps of different lengths end at nearly the
same gradient, that gradient is the one of the other side: the shortest vector between those of
both sides points along the valley [1]_. Plain steps, which bring the point nearer to the kink, and
steps along it take turns.

References
----------
.. [1] Goldstein (1977), Optimization of Lipschitz continuous functions, Mathematical
   Programming 13.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fejer.evidence import Array
from fejer.problems.bilevel._assessment import norm
from fejer.problems.bilevel._kinks import shortest
from fejer.state import State

__all__ = ["Valley", "accepted", "direction", "enters", "refused"]

SAME = 0.3  # of a gradient's jump: what it may change between two steps on one side
MOST_PIECES = 4
MOST_REFUSALS = 8  # of steps along a valley
LONGER = 0.5  # factor of the inverse step after one that was not refused


@dataclass
class Valley(State):
    """What is known of the kink nearby.

    Attributes
    ----------
    pieces : array, shape (k, n)
        Gradients of other pieces.
    across : array, shape (n,)
        The gradient where the last refused step ended.
    curvature : float
        The inverse of the step along valleys.
    along : bool
        Whether the trial is such a step.
    jumps : bool
        Whether refused steps met the other side of a kink.
    refusals : int
        Steps refused since the base point or the kind of step changed.
    stuck : bool
        Plain steps do not help at this base point.
    """

    pieces: Array
    across: Array
    curvature: float
    along: bool = False
    jumps: bool = False
    refusals: int = 0
    stuck: bool = False


def direction(v: Valley, gradient: Array) -> Array:
    """Return the gradient, or the shortest vector between those of the pieces.

    Parameters
    ----------
    v : Valley
        The kink.
    gradient : array, shape (n,)
        At the base point.

    Returns
    -------
    array, shape (n,)
    """
    if not v.along:
        return gradient
    G = np.vstack([gradient, v.pieces])
    return np.asarray(shortest(G) @ G)


def accepted(v: Valley, curvature: float, old: Array) -> float:
    """Choose the next kind of step, and return the inverse of the plain step.

    Parameters
    ----------
    v : Valley
        The kink; changed.
    curvature : float
        The inverse of the plain step.
    old : array, shape (n,)
        The gradient where the step began.

    Returns
    -------
    float
    """
    factor = 1.0 if v.refusals else LONGER
    if v.along:
        v.curvature *= factor
        curvature = v.curvature if v.stuck else curvature
        v.along = False
    else:
        curvature *= factor
        if v.jumps:
            v.along, v.pieces = True, np.array([old, v.across])
        else:
            v.curvature = min(v.curvature, curvature)
    v.refusals, v.jumps, v.stuck = 0, False, False
    return curvature


def refused(v: Valley, curvature: float, gradient: Array, end: Array) -> float:
    """Learn from a step that was too long; return the inverse of the plain step.

    Parameters
    ----------
    v : Valley
        The kink; changed.
    curvature : float
        The inverse of the plain step.
    gradient, end : array, shape (n,)
        The gradients at the base point and where the step ended.

    Returns
    -------
    float
    """
    v.refusals += 1
    if v.along:
        v.curvature *= 2
        if len(v.pieces) < MOST_PIECES:
            v.pieces = np.vstack([v.pieces, end])
        if v.refusals >= MOST_REFUSALS:
            v.along, v.refusals = False, 0
        return curvature
    if v.refusals > 1:
        v.jumps = norm(end - v.across) <= SAME * norm(end - gradient)
    v.across = end.copy()
    return 2 * curvature


def enters(v: Valley) -> bool:
    """Change the kind of step where the present one has become too short; False if both are.

    Parameters
    ----------
    v : Valley
        The kink; changed.

    Returns
    -------
    bool
    """
    if v.stuck:
        return False
    v.stuck = True
    if v.along or not v.refusals:
        v.along = False
    else:
        v.along, v.pieces = True, v.across[None].copy()
    v.refusals = 0
    return True
