"""Parts of `fejer.fit_rate` that look at a decreasing curve: plateau, thinning, noise, lines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import ProblemError

Array = NDArray[np.float64]

# A stretch with fewer points, or over which the error does not even halve, shows no rate.
FEWEST_POINTS = 6
LEAST_FALL = np.log(2.0)

# What the mesh of shifts and floors resolves, in ln(error): below, a score would judge the mesh.
RESOLUTION = 1e-3


def before_plateau(k: Array, best: Array) -> slice:
    """Step (b): the part of the curve before the plateau at its end, if there is one."""
    if not len(k):
        return slice(0)
    end = len(k)
    while end and k[end - 1] >= 2:
        half = int(np.searchsorted(k, k[end - 1] / 2, side="right")) - 1
        # Without a point at or before k/2 the octave is not covered and nothing is known of it.
        if half < 0:
            break
        octaves = np.log(k[end - 1] / max(k[half], 1.0))
        if np.log(best[half] / best[end - 1]) >= 0.15 * octaves:
            break
        end = half + 1
    if end == len(k):
        return slice(end)
    return slice(min(end, int(np.searchsorted(-best, -3 * best[-1], side="left"))))


def fast_run(k: Array, best: Array) -> tuple[int, int]:
    """Step (c): first and last index of the longest run of iterates that halve the error."""
    fast = (np.diff(k) == 1) & (best[1:] <= 0.5 * best[:-1])
    edges = np.flatnonzero(np.diff(np.concatenate(([False], fast, [False])).astype(int)))
    if not len(edges):
        return 0, 0
    longest = int(np.argmax(edges[1::2] - edges[::2]))
    start, stop = (int(edge) for edge in edges[2 * longest : 2 * longest + 2])
    # Thirty halvings show the order as well as three hundred; all pairs of pairs would be slow.
    start = max(start, stop - 30)
    # The last steps of a superlinear run end in rounding errors: they gain less than those before.
    gain = np.log(best[start:stop] / best[start + 1 : stop + 1])
    while stop - start > 3 and gain[stop - start - 1] < gain[stop - start - 2]:
        stop -= 1
    return start, stop


class Thinned(NamedTuple):
    """One point for each bin of k."""

    last: Array  # last iteration of the bin, and the best error so far there
    best: Array
    middle: Array  # medians over the bin of k and of the error itself
    error: Array

    def after(self, k: float) -> Thinned:
        """Return the points after iteration k."""
        return Thinned(*(column[self.last > k] for column in self))


def thin(k: Array, raw: Array, best: Array, bins: Array) -> Thinned:
    """Step (d); bins do not decrease."""
    last = np.flatnonzero(np.diff(bins, append=np.inf) > 0)
    if np.array_equal(raw, best):
        # Nothing to average out, and an average over a curved piece would be off by its curvature.
        return Thinned(k[last], best[last], k[last], best[last])
    pieces = (slice(i, j) for i, j in zip([0, *(last[:-1] + 1)], last + 1, strict=True))
    middle = [(np.median(k[s]), np.exp(np.median(np.log(raw[s])))) for s in pieces]
    return Thinned(k[last], best[last], *np.array(middle).T)


def axis_of(form: str, k: Array) -> Array:
    """Return the axis on which the form is a line."""
    return np.log(k) if form == "sublinear" else k


def noise_of(k: Array, raw: Array, records: Mapping[Any, Thinned]) -> float:
    """Step (e): standard deviation of ln(error) about a smooth curve.

    Both between neighbours and between bins, for an oscillation is smooth at its own scale. On the
    wrong axis a smooth curve is bent, so the smaller value of the two axes counts.
    """
    fine = min(_roughness(axis, np.log(raw)) for axis in (k, np.log(k + 1)))
    coarse = []
    for form, record in records.items():
        axis, value = axis_of(form, record.middle), np.log(record.error)
        strides = (1, 2, 4, 8)
        coarse.append(max(_roughness(axis, value, d) for d in strides if d <= 1 + len(axis) // 8))
    return max(fine, min(coarse))


def _roughness(axis: Array, value: Array, stride: int = 1) -> float:
    """Robust size of the deviations from the chord between the neighbours at a distance."""
    if len(axis) < 2 * stride + 3:
        return 0.0
    left, right = axis[: -2 * stride], axis[2 * stride :]
    weight = (axis[stride:-stride] - left) / (right - left)
    chord = (1 - weight) * value[: -2 * stride] + weight * value[2 * stride :]
    size = np.abs(value[stride:-stride] - chord) / np.sqrt(1 + weight**2 + (1 - weight) ** 2)
    return float(1.4826 * np.median(size))


def longest_line(x: Array, y: Array, noise: float) -> NDArray[np.intp]:
    """Step (f): indices of the line-shaped stretch over which y falls furthest."""
    first, last = np.triu_indices(len(x), FEWEST_POINTS - 1)
    fall = y[first] - y[last]
    order = np.argsort(-fall, kind="stable")
    order = order[fall[order] >= LEAST_FALL]
    index = np.arange(len(x))
    # Largest falls first, in blocks: as a rule one of the first blocks holds the answer.
    for block in np.split(order, range(128, len(order), 128)):
        inside = (index >= first[block, None]) & (index <= last[block, None])
        slope, offset = fit_lines(inside, x, y, np.ones_like(x))
        deviation = (np.abs(y - slope * x - offset) * inside).max(axis=1)
        straight = deviation <= np.maximum(0.02 * fall[block], max(2 * noise, 0.02))
        if straight.any():
            return np.flatnonzero(inside[np.argmax(straight)])
    return index[:0]


def fit_lines(windows: NDArray[Any], x: Array, y: Array, weight: Array) -> tuple[Array, Array]:
    """Return slopes and offsets of weighted least-squares lines.

    One for each row of ``windows`` (w, n) and each row of x, y and weight (m, n): shape (w, m).
    """
    x, y, weight = np.atleast_2d(x, y, weight)
    middle_x, middle_y = x.mean(), y.mean()
    x, y = x - middle_x, y - middle_y
    columns = (weight, weight * x, weight * y, weight * x * x, weight * x * y)
    total, wx, wy, wxx, wxy = (windows @ column.T for column in columns)
    slope = (total * wxy - wx * wy) / (total * wxx - wx**2)
    return slope, (wy - slope * wx) / total + middle_y - slope * middle_x


class Grid(NamedTuple):
    """Weighted lines y = slope x + offset, one for each pair of shift and plateau."""

    score: Array
    slope: Array
    offset: Array
    shift: Array
    plateau: Array
    square: Array  # mean square deviation of ln(error)
    x: Array
    y: Array
    weight: Array


def score_grid(k: Array, error: Array, linear: bool, shift: Array, plateau: Array) -> Grid:
    """Fit and score (BIC) every pair of a shift and a plateau: step (g)."""
    s, f = (mesh.reshape(-1, 1) for mesh in np.meshgrid(shift, plateau))
    x = np.tile(k, (len(s), 1)) if linear else np.log(k + s)
    y = np.log(error - f)
    # A deviation of ln(e - f) is one of ln e magnified by e / (e - f).
    weight = ((error - f) / error) ** 2
    slope, offset = (line.T for line in fit_lines(np.ones((1, len(k))), x, y, weight))
    square = np.mean((np.log(np.exp(slope * x + offset) + f) - np.log(error)) ** 2, axis=1)
    s, f = s[:, 0], f[:, 0]
    parameters = 2 + (s > 0) + (f > 0)
    score = len(k) * np.log(square + RESOLUTION**2) + parameters * np.log(len(k))
    return Grid(score, slope[:, 0], offset[:, 0], s, f, square, x, y, weight)


def sub_windows(x: Array, rng: np.random.Generator) -> Array:
    """Return 200 random stretches of at least a third of the range of x, as rows of 0 and 1."""
    span = x[-1] - x[0]
    length = span * rng.uniform(1 / 3, 1, size=(200, 1))
    start = x[0] + (span - length) * rng.uniform(size=(200, 1))
    inside = (x >= start) & (x <= start + length)
    inside[inside.sum(axis=1) < 4] = True
    return np.asarray(inside, dtype=np.float64)


def checked_record(nit: ArrayLike, error: ArrayLike) -> tuple[Array, Array]:
    """Return the entries with a usable error; -inf and negative errors stay, to end the record."""
    try:
        k, e = np.asarray(nit, dtype=float), np.asarray(error, dtype=float)
    except (TypeError, ValueError) as failure:
        raise ProblemError(f"nit and error: expected numbers, {failure}") from None
    if k.ndim != 1 or e.shape != k.shape:
        raise ProblemError(
            f"error: expected a vector as long as nit, got shapes {k.shape} and {e.shape}"
        )
    if not np.isfinite(k).all() or (k < 0).any() or (np.diff(k) <= 0).any():
        raise ProblemError("nit: expected finite, strictly increasing numbers >= 0")
    usable = ~(np.isnan(e) | np.isposinf(e))
    return k[usable], e[usable]
