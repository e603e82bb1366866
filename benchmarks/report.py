"""The report of a suite: one HTML page that needs no network."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence
from typing import Any

from fejer.rates import RateFit

from . import _charts as charts
from . import _page as document
from . import _svg
from . import records as tables
from .suite import Suite

__all__ = ["page"]

Record = dict[str, Any]

STYLE = (
    f"""<style>
{_svg.STYLE}"""
    + """
.runs th { padding: 0; vertical-align: bottom; }
.runs th button { all: unset; cursor: pointer; display: block; padding: .3rem .6rem;
  font-weight: 600; }
.runs th button:focus-visible { outline: 2px solid var(--first); outline-offset: -2px; }
.runs th[aria-sort=ascending] button::after { content: " \\25B2"; }
.runs th[aria-sort=descending] button::after { content: " \\25BC"; }
.runs .grey { opacity: .6; }
details { margin: .75rem 0; } summary { cursor: pointer; }
</style>"""
)

# Sorts by the attribute data-v of the cells: numbers as numbers, texts as texts, blanks last.
SCRIPT = """<script>
"use strict";
for (const head of document.querySelectorAll("table.runs th")) {
  head.querySelector("button").addEventListener("click", () => {
    const table = head.closest("table"), body = table.tBodies[0], place = head.cellIndex;
    const up = head.getAttribute("aria-sort") !== "ascending";
    for (const other of table.querySelectorAll("th")) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const value = row => row.cells[place].dataset.v;
    const rows = [...body.rows].sort((p, q) => {
      const a = value(p), b = value(q);
      if (a === "" || b === "") return (a === "") - (b === "");
      const order = isNaN(a) || isNaN(b) ? a.localeCompare(b) : a - b;
      return up ? order : -order;
    });
    body.append(...rows);
  });
}
</script>"""


def page(suite: Suite, records: Sequence[Record]) -> str:
    """Return the report as a document.

    Parameters
    ----------
    suite : Suite
        What was run.
    records : sequence of dict
        What came of it.

    Returns
    -------
    str
        HTML: profiles, convergence, scaling, a table that is sorted by a click or the Enter key.
    """
    parts = [STYLE, f"<h1>{html.escape(suite.title)}</h1>", *_introduction(suite, records)]
    groups = _groups(records)
    sections = (
        ("Profiles", charts.profiles),
        ("Convergence", charts.curves),
        ("Rates: theorem and observation", charts.rates),
        ("Growth with size", charts.scaling),
    )
    for title, draw in sections:
        drawn = []
        for name, found in groups.items():
            figures = list(draw(found, list(dict.fromkeys(map(tables.solver, found)))))
            if figures and name:
                drawn.append(f"<h3>{html.escape(name)}</h3>")
            if figures:
                drawn.append(f'<div class="charts">{"".join(figures)}</div>')
        if drawn:
            parts += [f"<h2>{title}</h2>", *drawn]
    parts += ["<h2>Runs</h2>", _table(records), *_failures(records), SCRIPT]
    return document.page(f"fejer: {suite.title}", parts)


def _introduction(suite: Suite, records: Sequence[Record]) -> Iterable[str]:
    certified = sum(map(tables.solved, records))
    problems = len({tables.problem(record) for record in records})
    yield document.paragraph(
        f"Suite {suite.name}: {len(records)} runs on {problems} problems, {certified} of them "
        f"certified to {suite.tol:g}. An answer counts as solved where our certificate, computed "
        "anew from its x and the problem's data, holds; of several timed runs the fastest is "
        "quoted. Times of ours include preparation, iterations and certificates, those of rivals "
        "their call alone. Compilation is in none."
    )
    if suite.notes:
        yield document.paragraph(suite.notes)
    if any(record["jobs"] != 1 for record in records):
        yield document.paragraph(
            "Runs in grey were made in parallel, and disturbed each other's times."
        )
    machines: dict[str, int] = {}
    for record in records:
        at = record["machine"]
        text = (
            f"fejer {record['fejer']}, Python {at['python']}, numpy {at['numpy']}, scipy "
            f"{at['scipy']}, numba {at['numba']}; {at['processor']}, {at['cores']} cores, "
            f"{at['system']}"
        )
        machines[text] = machines.get(text, 0) + 1
    for text, count in machines.items():
        yield document.paragraph(f"{text} ({count} runs).")
    loads = [record["load"] for record in records if math.isfinite(record["load"])]
    if loads:
        yield document.paragraph(
            f"Load of the machine while it ran: {min(loads):.1f} to {max(loads):.1f}."
        )


def _groups(records: Sequence[Record]) -> dict[str, list[Record]]:
    """The records by class, in suites whose solvers do not all meet; else all together."""
    if not any((r["job"].get("contender") or r["job"]["peer"]).get("problems") for r in records):
        return {"": list(records)}
    groups: dict[str, list[Record]] = {}
    for record in records:
        groups.setdefault(record["job"]["instance"]["problem"], []).append(record)
    return groups


HEADS = (
    "problem",
    "solver",
    "status",
    "certificate",
    "ms",
    "CPU ms",
    "iterations",
    "passes",
    "MB",
    "observed",
    "theorem",
    "verdict",
)
TEXTS = ("problem", "solver", "status", "observed", "theorem", "verdict")


def _table(records: Sequence[Record]) -> str:
    def kind(name: str) -> str:
        return ' class="text"' if name in TEXTS else ""

    heads = "".join(
        f'<th scope="col"{kind(name)}><button type="button">{name}</button></th>' for name in HEADS
    )
    rows = []
    for record in records:
        grey = ' class="grey"' if record["jobs"] != 1 else ""
        cells = zip(HEADS, _cells(record), strict=True)
        line = "".join(
            f'<td{kind(name)} data-v="{html.escape(str(value))}">{html.escape(shown)}</td>'
            for name, (value, shown) in cells
        )
        rows.append(f"<tr{grey}>{line}</tr>")
    return (
        '<div class="scroll" tabindex="0" role="region" aria-label="Table of all runs">'
        f'<table class="runs"><thead><tr>{heads}</tr></thead><tbody>{"".join(rows)}</tbody>'
        "</table></div>"
    )


def _cells(record: Record) -> list[tuple[Any, str]]:
    """Pairs (what is sorted by, what is shown), in the order of `HEADS`."""
    certificate = record["certificate"]
    fit, verdict = charts.observed(record)
    rate = charts.theorem(record)
    rigorous = "" if certificate["rigorous"] or not certificate["holds"] else " (necessary)"
    status = record["status"] + (f": {record['reason']}" if record["reason"] else "")
    texts = [tables.problem(record), tables.solver(record), status]
    cells: list[tuple[Any, str]] = [(text, text) for text in texts]
    value = certificate["value"]
    cells.append((value, f"{value:.1e}{rigorous}") if math.isfinite(value) else ("", ""))
    ours = "peer" not in record["job"] and not record["reason"]
    numbers = (
        (1e3 * tables.seconds(record), True),
        (1e3 * tables.seconds(record, "cpu"), True),
        (record["nit"], ours),
        (record["work"], ours),
        (record.get("memory", math.nan) / 1e6, True),
    )
    for number, known in numbers:
        good = known and math.isfinite(number)
        cells.append(
            (number, f"{number:,.4g}" if number < 1e4 else f"{number:,.0f}") if good else ("", "")
        )
    for text in (_shown(fit), "" if rate is None else _short(rate), verdict):
        cells.append((text, text))
    return cells


def _shown(fit: RateFit | None) -> str:
    if fit is None or fit.form == "undetermined":
        return ""
    if fit.form == "linear":
        return f"{fit.factor:.4g}^k"
    if fit.form == "sublinear":
        return f"k^-{fit.exponent:.2f} [{fit.low:.2f}, {fit.high:.2f}]"
    return f"order {fit.exponent:.2f}"


def _short(rate: Any) -> str:
    if rate.form == "sublinear":
        return f"k^-{rate.exponent:g}"
    factor = rate.factor(None) if rate.factor is not None else math.nan
    if rate.form == "linear":
        return f"{factor:.4g}^k" if math.isfinite(factor) else "q^k"
    return f"order {rate.exponent:g}" if math.isfinite(rate.exponent) else "superlinear"


def _failures(records: Sequence[Record]) -> Iterable[str]:
    named = [(f"{tables.solver(r)} on {tables.problem(r)}", r["reason"]) for r in records]
    lines = [f"<li>{html.escape(f'{name}: {why}')}</li>" for name, why in named if why]
    if lines:
        yield "<h2>Without an answer</h2>"
        yield f"<ul>{''.join(lines)}</ul>"
