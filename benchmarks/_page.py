"""Parts of a self-contained HTML page: text, tables, pictures and plots, nothing from a network."""

from __future__ import annotations

import base64
import html
import io
import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fejer.errors import missing
from fejer.plots import BLACK, PALETTE, VERDICTS, plot_rate

from ._studies import Study

__all__ = [
    "axes",
    "beside",
    "code",
    "page",
    "paragraph",
    "pictures",
    "plot",
    "rate_plot",
    "table",
]

INK = "#010203"
# What plots are drawn with, and what the page makes of it: colours that suit its background.
COLOURS = {
    INK: "currentColor",
    BLACK: "currentColor",
    "#dddddd": "var(--line)",
    PALETTE[0]: "var(--first)",
    PALETTE[1]: "var(--second)",
    PALETTE[2]: "var(--third)",
}

STYLE = """
:root { color-scheme: light dark; --line: #8886; --soft: #8881;
  --first: #0072b2; --second: #d55e00; --third: #009e73; }
@media (prefers-color-scheme: dark) {
  :root { --first: #56a9e6; --second: #ff8c42; --third: #2cc99b; }
}
* { box-sizing: border-box; }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 70rem; margin: 0 auto; padding: 1rem;
  background: Canvas; color: CanvasText; overflow-wrap: break-word; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 1rem 0; }
h2 { font-size: 1.3rem; line-height: 1.25; margin: 2.5rem 0 .5rem; padding-top: 1rem;
  border-top: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 1.25rem 0 .25rem; }
p { margin: .5rem 0; }
body > p, section > p { max-width: 46rem; }
.scroll { overflow-x: auto; margin: .75rem 0; }
table { border-collapse: collapse; font-size: .8125rem; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .45rem; text-align: right; border-bottom: 1px solid var(--line);
  white-space: nowrap; }
th:first-child, td:first-child, .text { text-align: left; }
.holds { color: var(--first); font-weight: 600; } .fails { color: var(--second); font-weight: 600; }
pre { overflow-x: auto; background: var(--soft); padding: .75rem; border-radius: .4rem;
  font-size: .8125rem; line-height: 1.5; max-width: 46rem; }
.row { display: grid; gap: .75rem; grid-template-columns: repeat(auto-fit, minmax(15rem, 1fr));
  max-width: 66rem;
  margin: .75rem 0; align-items: start; }
.plots { grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr)); }
figure { margin: 0; min-width: 0; }
figure svg { display: block; width: 100%; height: auto; max-width: 34rem; }
figure img { display: block; width: 100%; height: auto; }
figcaption { font-size: .8125rem; line-height: 1.4; margin-top: .25rem; }
figcaption p { margin: .25rem 0; }
"""


def paragraph(text: str) -> str:
    """Return a paragraph of plain text."""
    return f"<p>{html.escape(text, quote=False)}</p>"


def code(text: str) -> str:
    """Return lines of code."""
    return f"<pre><code>{html.escape(text, quote=False)}</code></pre>"


def table(head: Sequence[str], rows: Iterable[Sequence[str]], text: Sequence[int] = (0,)) -> str:
    """Return a table that scrolls within itself; ``text`` are the columns set to the left."""

    def line(cells: Sequence[str], tag: str) -> str:
        parts = []
        for place, cell in enumerate(cells):
            classes = ["text"] if place in text else []
            classes += [name for name in ("holds", "fails") if cell == name]
            kind = f' class="{" ".join(classes)}"' if classes else ""
            parts.append(f"<{tag}{kind}>{html.escape(cell, quote=False)}</{tag}>")
        return f"<tr>{''.join(parts)}</tr>"

    body = "".join(line(row, "td") for row in rows)
    inner = f"<thead>{line(head, 'th')}</thead><tbody>{body}</tbody>"
    return f'<div class="scroll" tabindex="0"><table>{inner}</table></div>'


def pictures(shown: Iterable[tuple[NDArray[Any], str]]) -> str:
    """Return pictures beside each other: arrays of uint8, or grey ones from 0 to 1."""
    figures = (f"<figure>{_image(a, text)}{_caption([text])}</figure>" for a, text in shown)
    return f'<div class="row">{"".join(figures)}</div>'


def beside(*parts: str) -> str:
    """Return plots or tables beside each other, below each other on a narrow screen."""
    return f'<div class="row plots">{"".join(parts)}</div>'


def _image(array: NDArray[Any], text: str) -> str:
    try:
        from PIL import Image
    except ImportError:
        raise missing("pillow", "pictures", "demo") from None
    if array.dtype != np.uint8:
        array = np.rint(255.0 * np.clip(array, 0.0, 1.0)).astype(np.uint8)
    file = io.BytesIO()
    # Colour photographs came as JPEG; the grey ones have pixels that must stay what they are.
    kind = "PNG" if array.ndim == 2 else "JPEG"
    Image.fromarray(array).save(file, kind, quality=85, optimize=True)
    data = base64.b64encode(file.getvalue()).decode()
    height, width = array.shape[:2]
    alt = html.escape(text)
    return (
        f'<img src="data:image/{kind.lower()};base64,{data}" width="{width}" height="{height}" '
        f'alt="{alt}">'
    )


def _caption(lines: Iterable[str]) -> str:
    return f"<figcaption>{''.join(map(paragraph, lines))}</figcaption>"


def axes(width: float = 5.0, height: float = 3.5) -> Any:
    """Return new axes that `plot` can show; sizes in inches, text in the page's colour."""
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError:
        raise missing("matplotlib", "plots", "demo") from None
    names = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color")
    settings: dict[Any, Any] = {**dict.fromkeys(names, INK), "font.size": 11.0}
    with matplotlib.rc_context(settings):
        ax = Figure(figsize=(width, height), layout="constrained").subplots()
    ax.grid(True, color="#dddddd", linewidth=0.8)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def plot(ax: Any, name: str, *lines: str) -> str:
    """Return a figure with its caption; ``name`` sets its marks apart from other plots'."""
    import matplotlib

    if ax.get_legend() is not None:
        for text in ax.get_legend().get_texts():
            text.set_color(INK)
    file = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": name}):
        meta = dict.fromkeys(("Date", "Creator", "Type", "Format"))
        ax.figure.savefig(file, format="svg", transparent=True, metadata=meta)
    svg = file.getvalue()
    svg = svg[svg.index("<svg") :]
    for drawn, shown in COLOURS.items():
        svg = svg.replace(drawn.lower(), shown)
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    # Plots of one page would share their marks otherwise.
    svg = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{name}-", svg)
    label = html.escape(lines[0] if lines else name)
    svg = svg.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1)
    return f"<figure>{svg}{_caption(lines)}</figure>"


def rate_plot(shown: Study, name: str, title: str, quantity: str = "certificate") -> str:
    """Return the plot of a study; what `fejer.plots` writes into the legend goes to the caption."""
    rate, fit = shown.rate, shown.fit
    ax = plot_rate(shown.nit, shown.error, rate=rate, bound=shown.bound, fit=fit, ax=axes())
    names = ["observed"]
    lines = [title]
    if rate is not None:
        names.append("bound of the theorem" if shown.bound is not None else "slope of the theorem")
        lines.append(f"Theorem: {rate.statement}.")
    if shown.bound is not None:
        lines.append(f"Bound, largest share of it that was reached: {shown.verdict()}.")
    if fit.form != "undetermined":
        names.append("fitted")
        says = "" if rate is None else f"; {VERDICTS[fit.compare(rate, problem=shown.problem)]}"
        lines.append(f"Fit: {repr(fit).removeprefix('RateFit(').removesuffix(')')}{says}.")
    for line, label in zip(ax.lines, names, strict=True):
        seen = np.isfinite(np.asarray(line.get_ydata(), dtype=float)).any()
        line.set_label(label if seen else "_nothing to see")
    ax.legend(frameon=False)
    ax.set_ylabel(quantity)
    return plot(ax, name, *lines)


def page(title: str, parts: Iterable[str]) -> str:
    """Return the whole document."""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(parts)
        + "\n</body>\n</html>\n"
    )
