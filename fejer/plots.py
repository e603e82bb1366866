"""Plots of traces, rates and paths, readable from the last row of a lecture hall.

matplotlib is imported when something is drawn. Without ``ax`` a plot gets a figure of its own that
pyplot does not know: nothing to close, no global state; ``ax.figure.savefig`` writes it. Colours
are those of Okabe and Ito, which colour-blind readers tell apart, and lines also differ in style.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import ProblemError, missing
from .rates import RateFit, check_bound, fit_rate

if TYPE_CHECKING:
    from .method import Rate
    from .result import Path, Trace

Array = NDArray[np.float64]

BLACK, GREY = "#000000", "#999999"
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442")
"""Colours for as many curves, the most legible first."""

LABELS = {
    "nit": "iteration",
    "work": "passes over the data",
    "time": "seconds",
    "fun": "objective",
    "certificate": "certificate",
}

VERDICTS = {
    "at least as fast": "at least as fast as the theorem",
    "slower": "slower than the theorem",
    "undetermined": "as fast as the theorem or slower: undetermined",
}


def new_axes(ax: Any = None) -> Any:
    """Return ``ax``, or the axes of a new figure outside pyplot.

    Parameters
    ----------
    ax : matplotlib.axes.Axes, optional
        Axes to draw on.

    Returns
    -------
    matplotlib.axes.Axes
        With a light grid.

    Raises
    ------
    MissingDependencyError
        If matplotlib is not installed.

    Examples
    --------
    >>> new_axes().figure.axes
    [<Axes: >]
    """
    if ax is None:
        try:
            from matplotlib.figure import Figure
        except ImportError:
            raise missing("matplotlib", "plots", "plot") from None
        ax = Figure(figsize=(7.2, 4.6), layout="constrained").subplots()
    ax.grid(True, which="major", color="#DDDDDD", linewidth=0.8)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def plot_trace(trace: Trace, ax: Any = None, *, x: str = "nit", y: str = "certificate") -> Any:
    """Plot one column of a trace against another.

    Parameters
    ----------
    trace : Trace
        ``result.trace``.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; a new figure by default. Repeated calls overlay runs.
    x : str, default "nit"
        Column on the horizontal axis, as a rule "nit", "work" or "time".
    y : str, default "certificate"
        Column on the vertical axis. It is logarithmic if all finite values are positive; the
        horizontal one too if these fall sublinearly.

    Returns
    -------
    matplotlib.axes.Axes
        What was drawn on.

    Raises
    ------
    MissingDependencyError
        If matplotlib is not installed.

    Examples
    --------
    >>> from fejer.result import Trace
    >>> trace = Trace()
    >>> for k in range(5):
    ...     trace.add({"nit": k, "work": k, "time": k, "fun": 1.0, "certificate": 0.5**k})
    >>> plot_trace(trace).get_yscale()
    'log'
    """
    ax = new_axes(ax)
    across, up = (np.asarray(getattr(trace, name), dtype=float) for name in (x, y))
    shown = np.isfinite(across) & np.isfinite(up)
    across, up = across[shown], up[shown]
    if len(up) and (up > 0).all():
        ax.set_yscale("log")
        # Any monotone column may stand across; of equal entries (a coarse clock) one is enough.
        forward = np.flatnonzero(np.diff(across, prepend=-1.0) > 0)
        monotone = (np.diff(across) >= 0).all() and (across >= 0).all()
        if monotone and fit_rate(across[forward], up[forward]).form == "sublinear":
            ax.set_xscale("log")
            across, up = across[across > 0], up[across > 0]
    colour = PALETTE[len(ax.lines) % len(PALETTE)]
    ax.plot(across, up, color=colour, linewidth=2, marker="." if len(up) < 40 else None)
    ax.set_xlabel(LABELS.get(x, x))
    ax.set_ylabel(LABELS.get(y, y))
    return ax


def plot_rate(
    nit: ArrayLike,
    error: ArrayLike,
    *,
    rate: Rate | None = None,
    bound: ArrayLike | Callable[[Array], ArrayLike] | None = None,
    fit: RateFit | None = None,
    ax: Any = None,
) -> Any:
    """Plot errors with the theorem's bound, the fitted rate and its interval.

    Both axes are logarithmic for sublinear rates, the vertical one alone for the others: each form
    is a straight line where it can be.

    Parameters
    ----------
    nit : (m,) array_like
        Iteration numbers.
    error : (m,) array_like
        Errors; those that are not positive and finite are not shown.
    rate : fejer.Rate, optional
        The theorem; its statement goes into the legend. Without ``bound`` a dotted line shows the
        slope of a sublinear theorem, whose height means nothing.
    bound : (m,) array_like or callable, optional
        The theorem's right-hand side at ``nit``, or a function of k. The legend says whether it
        holds at every point, and how nearly it is reached.
    fit : RateFit, optional
        By default ``fejer.fit_rate(nit, error)``.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        What was drawn on.

    Raises
    ------
    ProblemError
        If shapes differ or nit does not increase.
    MissingDependencyError
        If matplotlib is not installed.

    Examples
    --------
    >>> k = np.arange(1, 200)
    >>> ax = plot_rate(k, 1 / k, bound=2 / k)
    >>> ax.get_xscale(), len(ax.lines)
    ('log', 3)
    """
    fit = fit_rate(nit, error) if fit is None else fit
    k, e = np.asarray(nit, dtype=float), np.asarray(error, dtype=float)
    limit = None if bound is None else np.asarray(bound(k) if callable(bound) else bound, float)
    verdict = "" if limit is None else _bound_verdict(k, e, limit)
    ax = new_axes(ax)

    form = rate.form if fit.form == "undetermined" and rate is not None else fit.form
    ax.set_yscale("log")
    shown = np.isfinite(e) & (e > 0)
    if form == "sublinear":
        ax.set_xscale("log")
        shown &= k > 0
    k, e = k[shown], e[shown]
    few = len(k) < 60
    style = {"marker": "o", "markersize": 4, "linestyle": "none"} if few else {"linewidth": 1.5}
    ax.plot(k, e, color=PALETTE[0], label="observed", **style)

    statement = "" if rate is None else textwrap.fill(rate.statement, 60)
    if limit is not None:
        label = "\n".join(filter(None, [statement, verdict]))
        ax.plot(k, limit[shown], color=BLACK, linewidth=2, linestyle="--", label=label)
    elif rate is not None and len(k):
        slope = np.full(len(k), np.nan)
        if rate.form == "sublinear" == form:
            slope = e[-1] * (k / k[-1]) ** -rate.exponent
        ax.plot(k, slope, color=BLACK, linewidth=2, linestyle=":", label=statement)
    if fit.form != "undetermined":
        label = repr(fit).removeprefix("RateFit(").removesuffix(")")
        label += "" if rate is None else "\n" + VERDICTS[fit.compare(rate)]
        inside = (k >= fit.window[0]) & (k <= fit.window[1])
        middle, low, high = _fitted_curves(fit, k[inside], e[inside])
        ax.plot(k[inside], middle, color=PALETTE[1], linewidth=2.5, linestyle="-.", label=label)
        ax.fill_between(k[inside], low, high, color=PALETTE[1], alpha=0.2, linewidth=0)
    if len(e):
        # The data set the scale: a loose bound or a wide interval must not squeeze them.
        ax.set_ylim(e.min() / 3, max(e.max() * 3, 0.0 if limit is None else _top(limit, e)))
    ax.set_xlabel("iteration")
    ax.set_ylabel("error")
    ax.legend(frameon=False)
    return ax


def _top(limit: Array, error: Array) -> float:
    """Return the height that shows a bound, as far as it lies within 100 times the data."""
    low = limit[np.isfinite(limit) & (limit <= 100 * error.max())]
    return 1.5 * float(low.max(initial=0.0))


def _bound_verdict(k: Array, error: Array, limit: Array) -> str:
    """Say whether the bound holds."""
    ratio, where, holds = check_bound(k, error, limit)
    text = "bound holds everywhere" if holds else "BOUND VIOLATED"
    return f"{text}: error / bound up to {ratio:.3g}, at k = {where}"


def _fitted_curves(fit: RateFit, k: Array, error: Array) -> tuple[Array, Array, Array]:
    """Return the fitted curve, and the slowest and fastest one of the interval.

    These two turn about the middle of the window, where the fit is surest.
    """
    if fit.form == "superlinear":
        return tuple(_recursion(fit, order, error) for order in (fit.exponent, fit.low, fit.high))  # type: ignore[return-value]
    middle = fit.curve(k)
    speed = k if fit.form == "linear" else -np.log(k + fit.shift)
    speed = speed - (speed[0] + speed[-1]) / 2
    if fit.form == "linear":
        low, high = np.log(fit.low / fit.factor), np.log(fit.high / fit.factor)
    else:
        low, high = fit.low - fit.exponent, fit.high - fit.exponent
    pure = middle - fit.plateau
    one, other = (pure * np.exp(speed * extra) + fit.plateau for extra in (low, high))
    return middle, np.minimum(one, other), np.maximum(one, other)


def _recursion(fit: RateFit, order: float, error: Array) -> Array:
    """Iterate e+ = c e^order, with the c that fits the first step whatever the order."""
    power = np.log(fit.constant) + (fit.exponent - order) * np.log(error[0])
    value = [np.log(error[0])]
    for _ in error[1:]:
        value.append(max(power + order * value[-1], -700.0))
    return np.exp(np.minimum(value, 700.0))


def plot_path(path: Path, ax: Any = None) -> Any:
    """Plot the entries of the solutions along a path.

    Parameters
    ----------
    path : fejer.Path
        What ``fejer.path`` returned.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        One line for each entry: coloured and named for the seven that become largest, grey for the
        others. The horizontal axis is logarithmic where the values span a factor of 10.

    Raises
    ------
    ProblemError
        If the values of the field are no numbers.
    MissingDependencyError
        If matplotlib is not installed.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> path = SimpleNamespace(field="lam", values=[10.0, 1.0, 0.1], x=[[0, 0], [1, 0], [2, 1]])
    >>> ax = plot_path(path)
    >>> ax.get_xlabel(), len(ax.lines)
    ('lam', 2)
    """
    values, x = np.asarray(path.values), np.asarray(path.x, dtype=float)
    if values.ndim != 1 or (values.size and values.dtype.kind not in "fiu"):
        raise ProblemError(f"{path.field}: expected numbers to plot the path against")
    ax = new_axes(ax)
    size = np.abs(x).max(axis=0, initial=0.0)
    largest = [int(i) for i in np.argsort(-size, kind="stable")[: len(PALETTE)] if size[i] > 0]
    others = np.delete(x, largest, axis=1)
    if others.shape[1]:
        ax.plot(values, others, color=GREY, linewidth=1)
    for rank, i in enumerate(largest):
        style = ("-", "--")[rank % 2]
        ax.plot(values, x[:, i], style, color=PALETTE[rank], linewidth=2, label=f"x[{i}]")
    if values.size and values.min() > 0 and values.max() >= 10 * values.min():
        ax.set_xscale("log")
    ax.set_xlabel(path.field)
    ax.set_ylabel("x")
    if largest:
        ax.legend(frameon=False, ncols=2)
    return ax
