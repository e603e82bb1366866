"""Real problems of every family, solved, judged again and shown: ``python -m fejer demo``."""

from __future__ import annotations

import argparse
import importlib
import platform
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import fejer
from fejer.errors import missing

from . import _demo_classics, _demo_items, _page
from ._demo_items import Item, Row

__all__ = ["ITEMS", "main"]

ITEMS: dict[str, Callable[[], Item]] = {
    "colours": _demo_items.colours,
    "lasso": _demo_items.lasso,
    "completion": _demo_items.completion,
    "ridge": _demo_items.ridge,
    "shipping": _demo_classics.shipping,
    "club": _demo_classics.club,
    "epidemic": _demo_classics.epidemic,
    "tumours": _demo_items.tumours,
}
"""What is solved, in this order."""

NEEDED = {"matplotlib": "matplotlib", "sklearn": "scikit-learn", "PIL": "pillow"}
HEAD = tuple(
    "problem method certificate value tol again seconds compile observed theorem bound".split()
)


def main(words: Sequence[str] = ()) -> int:
    """Solve all items, print one table and write the page.

    Parameters
    ----------
    words : sequence of str
        Arguments of the command line: ``--out FILE``, ``--only NAME`` (may be repeated).

    Returns
    -------
    int
        0, or 1 where a certificate does not hold when it is computed again.

    Raises
    ------
    MissingDependencyError
        Names the package to be installed.
    """
    chosen = _parser().parse_args(words)
    target = Path(chosen.out)
    if not target.absolute().parent.is_dir():
        raise fejer.ProblemError(f"--out: there is no folder {target.absolute().parent}")
    for module, package in NEEDED.items():
        try:
            importlib.import_module(module)
        except ImportError:
            raise missing(package, "the demo", "demo") from None
    begun = time.perf_counter()
    items = _solved(chosen.only or list(ITEMS))
    lines, good = [], True
    for item in items:
        for row in item.rows:
            line, holds = _line(row)
            lines.append(line)
            good &= holds
    print(_text(lines))
    seconds = time.perf_counter() - begun
    target.write_text(_document(items, lines, seconds), encoding="utf-8")
    count = sum(len(row.results) for item in items for row in item.rows)
    verdict = "all hold" if good else "NOT ALL HOLD"
    print(f"\n{count} certificates computed again: {verdict}. {seconds:.0f} s; wrote {target}")
    return 0 if good else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="fejer demo", description="Solve real problems of every family; write one HTML page."
    )
    parser.add_argument("--out", default="fejer-demo.html", metavar="FILE", help="the page")
    parser.add_argument(
        "--only", action="append", choices=list(ITEMS), metavar="NAME",
        help=f"solve this one alone; may be repeated: {', '.join(ITEMS)}",
    )  # fmt: skip
    return parser


def _solved(names: Sequence[str]) -> list[Item]:
    from threadpoolctl import threadpool_limits  # scikit-learn needs it, too
    from tqdm import tqdm

    items = []
    # The matrices are small: more threads of the BLAS would cost more than they bring.
    with threadpool_limits(1), tqdm(names, file=sys.stderr, leave=False) as bar:
        for name in bar:
            bar.set_description(name)
            items.append(ITEMS[name]())
    return items


def _line(row: Row) -> tuple[list[str], bool]:
    """Return the cells of a row, and whether its certificates hold when computed again."""
    certificate = row.judged_again()
    holds = certificate.holds(row.tol)
    study = row.study
    seen = (study.observed(), study.theorem(), study.verdict()) if study else ("-", "-", "-")
    return [
        row.label,
        row.results[-1].method,
        certificate.kind + (" (proof)" if certificate.rigorous else ""),
        f"{certificate.value:.1e}",
        f"{row.tol:.0e}",
        "holds" if holds else "fails",
        f"{row.seconds():.2f}",
        f"{row.seconds('compile'):.2f}",
        *seen,
    ], holds


def _text(lines: Sequence[Sequence[str]]) -> str:
    """Return the table in columns."""
    cells = [HEAD, *lines]
    widths = [max(len(row[place]) for row in cells) for place in range(len(HEAD))]
    left = (0, 1, 2, 5)
    return "\n".join(
        "  ".join(
            cell.ljust(width) if place in left else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    )


def _document(items: Sequence[Item], lines: Sequence[Sequence[str]], seconds: float) -> str:
    parts = [
        "<h1>fejer: real problems, solved and judged again</h1>",
        _page.paragraph(
            "Every line below is one run. Its certificate was computed by the problem from its own "
            "data, from the point that the method returned; after all runs it was computed again, "
            "and that is the value shown. A run counts as solved if it is at most tol. (proof) "
            "marks certificates that bound the distance to the optimal value; the others measure a "
            "necessary condition of optimality."
        ),
        _page.table(HEAD, lines, text=(0, 1, 2, 5)),
        _page.paragraph(
            "seconds: preparing, iterating and judging. compile: translating the kernels, at the "
            "first use on a machine only; later runs load them. observed: the fitted rate of what "
            "the theorem bounds, k the iteration. theorem: what is promised, as k^-p, as q^k, or "
            "the form alone. bound: whether the promise with all its constants holds at every "
            "iteration, and the largest share of it that was reached. A dash: there is none."
        ),
    ]
    for item in items:
        parts += [
            f"<section><h2>{item.title}</h2>",
            *item.parts,
            "<h3>What is certified</h3>",
            _page.paragraph(item.certified),
            "<h3>Do it yourself</h3>",
            _page.code(f"import fejer, numpy as np\n{item.code}"),
            "</section>",
        ]
    versions: dict[str, str] = {}
    for item in items:
        for row in item.rows:  # numba is known to those that used it
            versions |= {k: v for k, v in row.results[-1].versions.items() if v}
    made_by = ", ".join(f"{name} {version}" for name, version in versions.items())
    parts += [
        "<h2>About this page</h2>",
        _page.paragraph(
            f"Made in {seconds:.0f} s by python -m fejer demo ({made_by}; Python "
            f"{platform.python_version()}, {platform.machine()}). Nothing was downloaded: pictures "
            "and medical data come with scikit-learn, the other data are written out in the "
            "package. The same data, options and seed give the same numbers, times excepted."
        ),
    ]
    return _page.page("fejer: real problems, solved and judged again", parts)
