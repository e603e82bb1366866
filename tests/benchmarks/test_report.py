"""The page: what it says, what it leaves out, and that it stands alone."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest

from fejer.benchmarks import _charts as charts
from fejer.benchmarks import records
from fejer.benchmarks._svg import Chart, _ticks
from fejer.benchmarks.report import page
from tests.benchmarks.planted import record, suite

VOID = {"meta", "link", "img", "br", "hr", "input", "path"}


class Outline(HTMLParser):
    """Fails on tags that do not close; collects tables, figures and what would be loaded."""

    def __init__(self, text):
        super().__init__()
        self.stack, self.figures, self.cells, self.loaded, self.ids = [], 0, [], [], []
        self.feed(text)
        assert self.stack == []

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.loaded += [given[name] for name in ("src", "href", "xlink:href") if name in given]
        self.ids += [given["id"]] if "id" in given else []
        self.figures += tag == "figure"
        if tag == "td":
            self.cells.append(given["data-v"])
        if tag not in VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag, attributes):
        pass

    def handle_endtag(self, tag):
        assert self.stack.pop() == tag


def runs():
    found = []
    for i, name in enumerate(("one", "two", "three")):
        for seed in (0, 1):
            found.append(record("bcd", name, 0.01 * (i + 1), seed=seed, size=10.0 * 2**i))
            found.append(record("fista", name, 0.02 * (i + 1), seed=seed, size=10.0 * 2**i))
            found.append(record("wrong", name, 1e-6, holds=False, peer=True, seed=seed))
    skipped = {"status": "SKIPPED", "reason": "not installed: nobody"}
    skipped["times"] = {"wall": [], "cpu": []}
    skipped["certificate"] = {"value": float("inf"), "holds": False, "rigorous": False}
    found.append(record("away", "one", 1.0, peer=True, **skipped))
    return found


def test_the_page_stands_alone_and_is_well_formed():
    text = page(suite(), runs())
    outline = Outline(text)
    assert outline.loaded == []
    assert not re.search(r"https?:|url\(|@import|<link", text)
    assert len(outline.ids) == len(set(outline.ids))


def test_the_table_has_a_row_for_each_run():
    outline = Outline(page(suite(), runs()))
    assert len(outline.cells) == 12 * len(runs())
    assert "SKIPPED: not installed: nobody" in outline.cells


def test_who_is_not_certified_has_no_curve_and_is_named():
    text = page(suite(), runs())
    performance = text[text.index("Performance profile") :]
    assert "wrong: without a certificate anywhere" in performance
    assert "away: not installed: nobody" in performance
    legends = re.findall(r'<ul class="legend">(.*?)</ul>', text)
    assert legends and not any("wrong" in names or "away" in names for names in legends)
    assert re.search(r"Area under the curve: bcd 1.00, fista 0.\d\d\.", performance)


def test_who_is_not_certified_only_sometimes_pays_for_it():
    found = [one for one in runs() if one["job"].get("contender")]
    found[0] = record("bcd", "one", 0.01, holds=False, size=10.0)
    text = page(suite(), found)
    assert re.search(r"Area under the curve: bcd 0.83, fista 0.\d\d\.", text)


def test_growth_is_fitted():
    text = page(suite(), runs())
    growth = text[text.index("Growth with size") :]
    assert "Fitted: bcd n^0.79 [" in growth


def test_theorem_bound_and_fit_are_shown():
    k = np.arange(1, 60)
    theorem = {
        "statement": "error <= 2/k <&>",
        "form": "sublinear",
        "exponent": 1.0,
        "assumptions": "",
        "of_certificate": False,
        "nit": k.tolist(),
        "error": (1.0 / k).tolist(),
        "bound": (2.0 / k).tolist(),
    }
    one = record("halpern", "one", 0.1, theorem=theorem)
    fit, verdict = charts.observed(one)
    assert fit.form == "sublinear" and verdict == "at least as fast; bound holds"
    text = page(suite(), [one])
    assert "Theorem: error &lt;= 2/k &lt;&amp;&gt;." in text
    assert "It holds everywhere: error / bound up to 0.5, at k = 1." in text
    assert "k^-1.00 [1.00, 1.00]" in text
    theorem["bound"] = (0.5 / k).tolist()
    assert "BOUND VIOLATED 2 x" in charts.observed(one)[1]
    assert "IT IS VIOLATED" in page(suite(), [one])


def test_a_theorem_about_what_was_not_measured_gets_no_verdict():
    theorem = {"statement": "s", "form": "linear", "exponent": float("nan"), "assumptions": ""}
    one = record("bcd", "one", 0.1, theorem=theorem | {"of_certificate": False})
    assert charts.observed(one)[1] == ""
    one["theorem"]["of_certificate"] = True
    assert charts.observed(one)[1] == "at least as fast"


def test_parallel_runs_are_grey():
    text = page(suite(), [record("bcd", "one", 1.0, jobs=2)])
    assert '<tr class="grey">' in text and "made in parallel" in text


def test_names_are_escaped():
    text = page(suite(), [record("<b>&", 'a "quoted" <i>', 1.0)])
    assert "<b>&" not in text and "<i>" not in text
    Outline(text)


def test_failures_alone_make_a_page():
    failed = record("bcd", "one", 1.0, holds=False, status="FAILED", reason="no")
    failed["times"] = {"wall": [], "cpu": []}
    failed["trace"] = {}
    assert "bcd on one, seed 0: no" in page(suite(), [failed])


def test_five_hundred_runs_are_a_small_page():
    names = [f"problem {i}" for i in range(50)]
    found = [
        record(f"solver {s}", name, 0.01 * (s + 1) * (i + 1), size=float(i + 1))
        for i, name in enumerate(names)
        for s in range(10)
    ]
    assert len(page(suite(), found).encode()) < 5e6


# ---- charts --------------------------------------------------------------------------------------


def coordinates(svg, which):
    path = re.findall(r'<path d="([^"]*)"', svg)[which].replace("h0", "")
    return np.array([[float(n) for n in pair.split()] for pair in re.split("[ML]", path) if pair])


def test_points_are_placed_on_logarithmic_axes():
    chart = Chart("x", "y")
    chart.line([1, 10, 100], [1, 1e-3, 1e-6])
    points = coordinates(chart.svg("t"), 0)
    np.testing.assert_allclose(np.diff(points[:, 0])[0], np.diff(points[:, 0])[1], atol=0.2)
    np.testing.assert_allclose(np.diff(points[:, 1])[0], np.diff(points[:, 1])[1], atol=0.2)
    assert points[0, 1] < points[-1, 1]  # down the page


def test_what_cannot_be_shown_is_left_out():
    chart = Chart("x", "y")
    chart.line([0, 1, 2, 3, np.nan], [1, -1, np.inf, 2.0, 1])
    assert coordinates(chart.svg("t"), 0).shape == (1, 2)
    Chart("x", "y").svg("empty")


def test_steps_are_constant_to_the_right():
    chart = Chart("x", "y", xlog=False, ylog=False)
    chart.line([0, 1, 2], [0, 1, 1], step=True)
    points = coordinates(chart.svg("t"), 0)
    assert points[0, 1] == points[1, 1] and points[1, 0] == points[2, 0]


@pytest.mark.parametrize("log", [True, False])
@pytest.mark.parametrize(("low", "high"), [(0, 1), (-9.3, 2.1), (2.0, 2.3), (-300, 300), (5, 5.01)])
def test_axes_have_a_few_ticks_within(low, high, log):
    ticks = _ticks(low, high, log, 6)
    assert 1 <= len(ticks) <= 7
    assert all(low - 1e-9 <= value <= high + 1e-9 and text for value, text in ticks)
    assert len({text for _, text in ticks}) == len(ticks)


def test_what_was_not_run_is_no_failure():
    found = [one for one in runs() if one["job"].get("contender")]
    costs = records.costs([one for one in found if one is not found[1]])
    assert costs.solvers == ("bcd", "fista") and len(costs.problems) == 5
    assert np.isfinite(costs.cost).all()


def test_suites_that_mix_classes_are_shown_by_class():
    found = runs()
    for one in found:
        who = one["job"].get("contender") or one["job"]["peer"]
        who["problems"] = ["FixedPoint"]
    assert "<h3>FixedPoint</h3>" in page(suite(), found)
    assert "<h3>" not in page(suite(), runs())
