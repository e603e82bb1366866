"""The page in a browser: offline, by keyboard, on a phone, in the dark."""

import pytest

from fejer.benchmarks.report import page
from tests.benchmarks.browser import CHROMIUM, Browser
from tests.benchmarks.planted import record, suite

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")


def runs(problems=50, solvers=10):
    return [
        record(
            f"solver {s}",
            f"problem {i}",
            0.01 * (s + 1) * ((7 * i) % 50 + 1),
            size=i + 1.0,
            nit=10 + s + i,
        )
        for i in range(problems)
        for s in range(solvers)
    ]


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    opened = Browser(tmp_path_factory.mktemp("profile"))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "page.html"
    path.write_text(page(suite(), runs()), encoding="utf-8")
    return path


@pytest.fixture
def shown(browser, file):
    browser.resize(1200, 900)
    browser.open(file)
    return browser


def milliseconds(browser):
    """The last column that is read is the fifth, `ms`."""
    rows = "[...document.querySelectorAll('table.runs tbody tr')]"
    return browser.ask(f"{rows}.map(row => +row.cells[4].dataset.v)")


def test_it_opens_offline_without_a_complaint(shown, file):
    assert shown.complaints() == []
    assert file.stat().st_size < 5e6


@pytest.mark.slow
def test_it_opens_soon(shown):
    timing = "performance.getEntriesByType('navigation')[0].loadEventEnd"
    assert 0 < shown.ask(timing) < 2000


def test_plots_are_visible(shown):
    sizes = shown.ask(
        "[...document.querySelectorAll('figure > svg')].map(s => {"
        " const b = s.getBoundingClientRect(); return [b.width, b.height]; })"
    )
    assert len(sizes) > 10
    assert all(width > 200 and height > 100 for width, height in sizes)
    paths = shown.ask(
        "[...document.querySelectorAll('figure > svg path[stroke]')]"
        ".filter(p => p.getAttribute('d')).every(p => {"
        " const b = p.getBBox(), s = getComputedStyle(p);"
        " return (b.width + b.height > 0 || s.strokeLinecap === 'round') && s.stroke !== 'none'; })"
    )
    assert paths


def test_the_table_sorts_by_keyboard(shown):
    shown.ask("document.querySelectorAll('table.runs th button')[3].focus()")
    shown.press("Tab", 9)
    assert shown.ask("document.activeElement.textContent") == "ms"
    unsorted = milliseconds(shown)
    shown.press("Enter", 13)
    assert milliseconds(shown) == sorted(unsorted) != unsorted
    heads = "document.querySelectorAll('table.runs th')[4].getAttribute('aria-sort')"
    assert shown.ask(heads) == "ascending"
    shown.press("Enter", 13)
    assert milliseconds(shown) == sorted(unsorted, reverse=True)
    assert shown.ask(heads) == "descending"
    assert shown.ask("document.querySelectorAll('[aria-sort]').length") == 1


def test_the_table_sorts_by_mouse(shown):
    shown.ask("document.querySelectorAll('table.runs th button')[1].click()")
    names = shown.ask(
        "[...document.querySelectorAll('table.runs tbody tr')].map(r => r.cells[1].dataset.v)"
    )
    assert names == sorted(names)


@pytest.mark.parametrize("width", [320, 390])
def test_a_phone_does_not_scroll_sideways(shown, width):
    shown.resize(width, 800, mobile=True)
    assert shown.ask("document.documentElement.scrollWidth") <= width
    assert shown.ask("window.innerWidth") == width
    small = shown.ask(
        "Math.min(...[...document.querySelectorAll('figure > svg')]"
        ".map(s => 11 * s.getBoundingClientRect().width / s.viewBox.baseVal.width))"
    )
    assert small >= 8  # pixels of the letters


def test_the_dark_has_colours_of_its_own(shown):
    read = "getComputedStyle(document.querySelector('svg path[stroke^=\"var\"]')).stroke"
    light, features = shown.ask(read), [{"name": "prefers-color-scheme", "value": "dark"}]
    shown.call("Emulation.setEmulatedMedia", features=features)
    dark = shown.ask(read)
    ground = shown.ask("getComputedStyle(document.body).backgroundColor")
    shown.call("Emulation.setEmulatedMedia", features=[])
    assert light != dark
    assert max(int(n) for n in ground[4:-1].split(",")) < 60


def test_each_solver_has_a_colour_and_dashes_of_its_own(shown):
    styles = shown.ask(
        "[...document.querySelector('ul.legend').querySelectorAll('path')]"
        ".map(p => p.getAttribute('stroke') + p.getAttribute('stroke-dasharray'))"
    )
    assert len(styles) == len(set(styles)) == 10
