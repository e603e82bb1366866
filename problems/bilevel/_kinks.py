"""Stationarity where the objective has kinks: gradients of several pieces that meet.

At a local minimum on a kink no gradient nearby is small, but 0 lies between the gradients of the
pieces [1]_. They are found by walking the smallest radius against the shortest vector between
those that are known: where the objective still falls there, the point is no minimum, and nothing
is gained; where it rises, the walk has crossed a kink that bends upwards.

References
----------
.. [1] Goldstein (1977), Optimization of Lipschitz continuous functions, Mathematical
   Programming 13.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from fejer.evidence import Array

from ._assessment import Assessment, norm

if TYPE_CHECKING:
    from ._lower_level import LowerLevel

__all__ = ["around", "beside", "shortest"]

RADIUS = 1e-8  # of the walk, in x
MOST = 8  # pieces that may meet, beyond one for each coordinate up to this
GAIN = 1e-3  # a piece must shorten the vector by this share


def shortest(G: Array) -> Array:
    """Return the weights of the shortest vector in the convex hull of the rows of G.

    Parameters
    ----------
    G : array, shape (pieces, n)
        Vectors.

    Returns
    -------
    array, shape (pieces,)
        Not negative, of sum 1.

    Examples
    --------
    >>> import numpy as np
    >>> shortest(np.array([[1.0], [-3.0]]))
    array([0.75, 0.25])
    """
    from scipy.optimize import nnls

    unit = float(np.abs(G).max())
    if not 0.0 < unit < math.inf:
        return np.eye(len(G))[0]
    E = np.vstack([G.T / unit, np.ones(len(G))])
    u = nnls(E, np.eye(len(E))[-1])[0]
    total = float(u.sum())
    return np.asarray(u / total) if total > 0 else np.eye(len(G))[0]


def beside(problem: LowerLevel, x: Array, y: Array) -> tuple[Array, Assessment] | None:
    """Look for a point within `RADIUS` of x that lies on one piece: x itself may lie on a kink.

    Parameters
    ----------
    problem : LowerLevel
        The problem.
    x : array
        The point, inside the box.
    y : array
        An approximate lower solution.

    Returns
    -------
    tuple or None
        The point, and what is known there in the coordinates t; None if none was found.
    """
    for step in RADIUS * np.vstack([np.eye(x.size), -np.eye(x.size)])[: 2 * MOST]:
        point = problem.project(x + step)[0]
        a = problem.assess(point, problem.lower_solution(point, 1e-14, y), chart=True)
        if math.isfinite(a.error):
            return point, a
    return None


def around(
    problem: LowerLevel,
    x: Array,
    a: Assessment,
    unit: float,
    value: float,
    parts: dict[str, float],
) -> tuple[float, dict[str, float]]:
    """Judge x by the hypergradients of the pieces of Phi within `RADIUS` of it.

    Parameters
    ----------
    problem : LowerLevel
        The problem.
    x : array
        The point, inside the box.
    a : Assessment
        What is known there, or within the same radius, in the coordinates t.
    unit : float
        Unit of the certificate.
    value : float
        Its value from x alone.
    parts : dict
        Details that go with that.

    Returns
    -------
    tuple
        Value and details; those given where the pieces do not help.
    """
    factor = problem.chart_size(unit) / unit
    down, up = problem.steps_to_box(x)
    rows, errors, y = [a.gradient * factor], [a.error * factor], a.y
    z = rows[0]
    for _ in range(min(x.size + 1, MOST)):
        moves = np.clip(-z, down, up) != 0  # elsewhere the box holds the point
        if not moves.any():
            break
        z = shortest(np.array(rows)[:, moves]) @ np.array(rows)
        step = norm(np.clip(-z, down, up))
        found = (step + max(errors)) / problem.scale
        if found < value and len(rows) > 1:
            value = found
            parts = {**parts, "step": step / problem.scale, "pieces": float(len(rows))}
        walk = np.where(moves, -z, 0.0) * problem.chart_rate(x)
        length = norm(walk)
        if step <= max(errors) or not 0.0 < length < math.inf:
            break
        point = problem.project(x + RADIUS / length * walk)[0]
        y = problem.lower_solution(point, 1e-14, y)
        b = problem.assess(point, y, chart=True)
        row = b.gradient * factor
        before = z[moves]
        if not math.isfinite(b.error) or float(row[moves] @ before) > (1 - GAIN) * before @ before:
            break
        rows.append(row)
        errors.append(b.error * factor)
    return value, parts
