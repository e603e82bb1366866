"""Line charts as SVG text: a few kilobytes each, in the colours of the page that holds them.

The colours of Okabe and Ito, which colour-blind readers tell apart, are variables of the page, so
that light and dark backgrounds get their own; lines differ in dashes, too.
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

WIDTH, HEIGHT = 380.0, 270.0
LEFT, RIGHT, TOP, BOTTOM = 54.0, 10.0, 8.0, 40.0
COLOURS = 7
DASHES = ("", "7 3", "8 3 2 3", "2 3")
DECIMALS = 1
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")

STYLE = """
:root { --c0: #0072b2; --c1: #d55e00; --c2: #009e73; --c3: #b0568a; --c4: #b07800; --c5: #2a8fc7;
  --c6: #8a8000; }
@media (prefers-color-scheme: dark) {
  :root { --c0: #4aa8e0; --c1: #ff8a3d; --c2: #2cc99b; --c3: #e29cc6; --c4: #f0b429; --c5: #8fd0f5;
    --c6: #f0e442; }
}
.charts { display: grid; gap: 1.25rem; margin: .75rem 0; align-items: start;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 20rem), 1fr)); }
.charts svg { display: block; width: 100%; height: auto; }
.charts svg text { font: 11px system-ui, sans-serif; fill: currentColor; stroke: none; }
.charts .grid { stroke: var(--line); stroke-width: .7; }
.charts .frame { stroke: currentColor; fill: none; }
.charts path { fill: none; }
.charts .band { stroke: none; opacity: .15; }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: 0 1rem; margin: .25rem 0;
  padding: 0; font-size: .8125rem; }
.legend svg { display: inline-block; width: 2rem; height: .75rem; vertical-align: middle;
  margin-right: .35rem; }
"""


def dash(index: int) -> str:
    """Return the dashes of a solver's lines: no two of the first 28 share both these and colour."""
    return DASHES[(index + 2 * (index // COLOURS)) % len(DASHES)]


class Chart:
    """One chart that is filled with lines and then written."""

    def __init__(self, xlabel: str, ylabel: str, *, xlog: bool = True, ylog: bool = True) -> None:
        self.labels = xlabel, ylabel
        self.logs = xlog, ylog
        self.parts: list[tuple[str, list[Array], list[Array], str]] = []
        self.legend: list[tuple[str, str]] = []
        self.limits: list[tuple[float, float]] = []

    def line(
        self,
        x: ArrayLike,
        y: ArrayLike,
        name: str = "",
        *,
        colour: int = -1,
        dashes: str = "",
        step: bool = False,
        points: bool = False,
    ) -> None:
        """Add a line (colour -1: that of the text), or points; a name goes into the legend."""
        x, y = self._shown(x, y)
        points = points or np.unique(x).size == 1
        if step and x.size:
            x, y = np.repeat(x, 2)[1:], np.repeat(y, 2)[:-1]
        paint = f"var(--c{colour % COLOURS})" if colour >= 0 else "currentColor"
        style = f'stroke="{paint}" stroke-width="2"'
        style += f' stroke-dasharray="{dashes}"' if dashes and not points else ""
        if points:
            style = f'stroke="{paint}" stroke-width="6" stroke-linecap="round"'
        self.parts.append(("points" if points else "line", [x], [y], style))
        if name:
            self.legend.append((name, style))

    def band(self, x: ArrayLike, low: ArrayLike, high: ArrayLike, colour: int) -> None:
        """Shade what lies between two step functions."""
        left, low = self._shown(x, low)
        right, high = self._shown(x, high)
        if left.size and right.size:
            stairs = [np.repeat(left, 2)[1:], np.repeat(right, 2)[1:][::-1]]
            heights = [np.repeat(low, 2)[:-1], np.repeat(high, 2)[:-1][::-1]]
            paint = f'class="band" style="fill: var(--c{colour % COLOURS})"'
            self.parts.append(("band", stairs, heights, paint))

    def bound_y(self, low: float, high: float) -> None:
        """Set the limits of the vertical axis; the data decide otherwise."""
        self.limits = [(low, high)]

    def _shown(self, x: ArrayLike, y: ArrayLike) -> tuple[Array, Array]:
        x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
        good = np.isfinite(x) & np.isfinite(y)
        for values, log in zip((x, y), self.logs, strict=True):
            good &= (values > 0) | (not log)
        return x[good], y[good]

    def _range(self, axis: int) -> tuple[float, float]:
        arrays = [part[1] if axis == 0 else part[2] for part in self.parts]
        found = [values for several in arrays for values in several if values.size]
        low = min((v.min() for v in found), default=1.0)
        high = max((v.max() for v in found), default=10.0)
        if axis and self.limits:
            low, high = self.limits[0]
        if self.logs[axis]:
            low, high = math.log10(low), math.log10(high)
        if high - low < 1e-9:
            low, high = low - 0.5, high + 0.5
        room = 0.02 * (high - low)
        return float(low - room), float(high + room)

    def svg(self, title: str) -> str:
        """Return the chart; ``title`` is what a reader hears who does not see it."""
        ranges = self._range(0), self._range(1)
        across, down = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

        def place(values: Array, axis: int) -> Array:
            low, high = ranges[axis]
            values = np.log10(values) if self.logs[axis] else values
            share = (np.asarray(values) - low) / (high - low)
            return LEFT + across * share if axis == 0 else TOP + down * (1.0 - share)

        out = [
            f'<svg role="img" aria-label="{html.escape(title)}" viewBox="0 0 {WIDTH:g} {HEIGHT:g}">'
        ]
        for value, text in _ticks(*ranges[0], self.logs[0], 6):
            at = LEFT + across * (value - ranges[0][0]) / (ranges[0][1] - ranges[0][0])
            out.append(f'<path class="grid" d="M{at:.1f} {TOP:g}v{down:g}"/>')
            out.append(
                f'<text x="{at:.1f}" y="{TOP + down + 15:g}" text-anchor="middle">{text}</text>'
            )
        for value, text in _ticks(*ranges[1], self.logs[1], 7):
            at = TOP + down * (ranges[1][1] - value) / (ranges[1][1] - ranges[1][0])
            out.append(f'<path class="grid" d="M{LEFT:g} {at:.1f}h{across:g}"/>')
            out.append(f'<text x="{LEFT - 5:g}" y="{at + 4:.1f}" text-anchor="end">{text}</text>')
        out.append(f'<path class="frame" d="M{LEFT:g} {TOP:g}v{down:g}h{across:g}"/>')
        middle = TOP + down / 2
        x_label, y_label = map(html.escape, self.labels)
        out.append(
            f'<text x="{LEFT + across / 2:g}" y="{HEIGHT - 6:g}" text-anchor="middle">'
            f"{x_label}</text>"
            f'<text transform="translate(11 {middle:g}) rotate(-90)" text-anchor="middle">'
            f"{y_label}</text>"
        )
        for kind, xs, ys, style in self.parts:
            x = place(np.concatenate(xs), 0)
            y = np.clip(place(np.concatenate(ys), 1), TOP - 1, TOP + down + 1)
            out.append(f'<path d="{_path(kind, x, y)}" {style}/>')
        out.append("</svg>")
        return "".join(out)

    def figure(self, *lines: str) -> str:
        """Return the chart with its legend and caption; the first line also is its title."""
        names = "".join(
            f'<li><svg viewBox="0 0 32 12" aria-hidden="true"><path d="M2 6h28" {style}/></svg>'
            f"{html.escape(name)}</li>"
            for name, style in self.legend
        )
        legend = f'<ul class="legend">{names}</ul>' if names else ""
        caption = "".join(f"<p>{html.escape(line)}</p>" for line in lines)
        title = lines[0] if lines else self.labels[1]
        return f"<figure>{self.svg(title)}{legend}<figcaption>{caption}</figcaption></figure>"


def _path(kind: str, x: Array, y: Array) -> str:
    # a tenth of a pixel is more than a screen shows: what moves less is left out
    x, y = np.round(x, DECIMALS), np.round(y, DECIMALS)
    kept = np.ones(x.size, dtype=bool)
    kept[1:] = (np.diff(x) != 0) | (np.diff(y) != 0)
    pairs = [f"{a:g} {b:g}" for a, b in zip(x[kept], y[kept], strict=True)]
    if kind == "points":
        return "".join(f"M{pair}h0" for pair in pairs)
    return ("M" + "L".join(pairs) if pairs else "") + ("Z" if kind == "band" else "")


def _ticks(low: float, high: float, log: bool, most: int) -> Sequence[tuple[float, str]]:
    """Pairs (position, text); positions are exponents on a logarithmic axis."""
    if log and high - low >= 1.5:
        step = max(1, math.ceil((high - low) / most))
        first = math.ceil(low / step) * step
        return [(float(e), _power(e)) for e in range(first, math.floor(high) + 1, step)]
    if log:
        steps = (1, 2, 5) if high - low > 0.6 else (1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9)
        decades = range(math.floor(low), math.ceil(high) + 1)
        values = [math.log10(s) + e for e in decades for s in steps]
        shown = [v for v in values if low <= v <= high]
        return [(v, f"{10**v:.3g}") for v in shown[:: max(1, math.ceil(len(shown) / most))]]
    raw = (high - low) / most
    size = 10.0 ** math.floor(math.log10(raw))
    apart = next(s * size for s in (1, 2, 5, 10) if s * size >= raw)
    first = math.ceil(low / apart)
    return [(k * apart, f"{k * apart:.6g}") for k in range(first, math.floor(high / apart) + 1)]


def _power(exponent: int) -> str:
    if -3 <= exponent <= 4:
        return f"{10.0**exponent:g}"
    return "10" + str(exponent).translate(SUPERSCRIPTS)


def sample(values: Any, most: int = 150) -> list[int]:
    """Return indices of at most so many entries, the first and the last among them."""
    count = len(values)
    return sorted({int(i) for i in np.linspace(0, count - 1, min(count, most)).round()})
