"""The demonstration: every item in small, the page, and the exit code."""

import re
import sys
from html.parser import HTMLParser

import numpy as np
import pytest
from scipy.optimize import linprog

import fejer
from fejer.benchmarks import _demo_classics, _demo_items, _page, demo
from fejer.benchmarks._demo_items import Item, Row
from fejer.benchmarks._studies import Study, study
from fejer.benchmarks.instances import classics, pictures, tables

SMALL = {
    "colours": lambda: _demo_items.colours(eps=0.1, cells=3),
    "lasso": lambda: _demo_items.lasso(points=4),
    "completion": lambda: _demo_items.completion(reduce=8, rank=12, reg=2.0),
    "ridge": lambda: _demo_items.ridge(grid=5),
    "shipping": _demo_classics.shipping,
    "club": _demo_classics.club,
    "epidemic": lambda: _demo_classics.epidemic(per_day=1),
    "tumours": _demo_items.tumours,
}


@pytest.fixture(scope="module")
def items():
    return {name: make() for name, make in SMALL.items()}


class Checker(HTMLParser):
    """Collects marks and references, and complains of tags that are not closed."""

    EMPTY = ("meta", "img", "br", "link", "use", "path", "rect", "circle")

    def __init__(self):
        super().__init__()
        self.open, self.ids, self.links, self.sections = [], [], [], 0

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            self.ids += [value] if name == "id" else []
            self.links += [value] if name in ("src", "href", "xlink:href") else []
        self.sections += tag == "section"
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in self.EMPTY:
            self.open.pop()

    def handle_endtag(self, tag):
        if tag not in self.EMPTY:
            assert self.open.pop() == tag


def test_every_item_is_shown(items, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(demo, "ITEMS", {n: (lambda item=i: item) for n, i in items.items()})
    target = tmp_path / "page.html"
    assert demo.main(["--out", str(target)]) == 0
    printed = capsys.readouterr().out
    rows = [row for item in items.values() for row in item.rows]
    assert len(rows) == 13 and printed.count("holds") >= len(rows)
    assert "VIOLATED" not in printed and "all hold" in printed
    for row in rows:
        assert re.search(rf"^{re.escape(row.label)} +{row.results[0].method} ", printed, re.M)

    text = target.read_text(encoding="utf-8")
    checker = Checker()
    checker.feed(text)
    assert not checker.open and checker.sections == len(items)
    assert len(checker.ids) == len(set(checker.ids)), "two plots share a mark"
    assert all(link.startswith(("#", "data:")) for link in checker.links), "needs a network"
    assert {link[1:] for link in checker.links if link[0] == "#"} <= set(checker.ids)
    assert text.count("data:image/jpeg") == 3 and text.count("data:image/png") == 3
    assert 'name="viewport"' in text and "color-scheme: light dark" in text
    assert _page.INK not in text
    assert "daniel" in text.lower() and "CC BY 2.0" in text


@pytest.mark.parametrize("name", list(SMALL))
def test_bounds_hold_and_code_repeats(items, name):
    item = items[name]
    for row in item.rows:
        assert all(result.success for result in row.results)
        if row.study is not None and row.study.bound is not None:
            assert row.study.verdict().startswith("holds")
    code = item.code.replace("damaged_photograph()", "damaged_photograph(reduce=8)")
    scope = {"fejer": fejer, "np": np}
    exec(code, scope)
    assert scope.get("models", scope.get("result")).success
    assert len(code.replace(",\n", ",").splitlines()) <= 4


def test_a_certificate_that_fails_is_told(monkeypatch, tmp_path, capsys):
    good = fejer.minimize(classics.shipping())
    bad = fejer.minimize(classics.shipping())
    bad["x"] = bad["x"] * 1.01
    item = Item("title", [Row("good", [good]), Row("bad", [good, bad])], [], "", "")
    monkeypatch.setattr(demo, "ITEMS", {"one": lambda: item})
    assert demo.main(["--out", str(tmp_path / "page.html")]) == 1
    printed = capsys.readouterr().out
    assert re.search(r"^good .* holds ", printed, re.M) and re.search(
        r"^bad .* fails ", printed, re.M
    )
    assert "NOT ALL HOLD" in printed
    assert ">fails<" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_one_item_from_the_command_line(tmp_path, monkeypatch, capsys):
    from fejer import cli

    monkeypatch.chdir(tmp_path)
    assert cli.main(["demo", "--only", "shipping"]) == 0
    assert (tmp_path / "fejer-demo.html").exists()
    assert "2 certificates computed again" in capsys.readouterr().out


@pytest.mark.parametrize("words", [["--only", "nothing"], ["--colour"]])
def test_unknown_words(words, capsys):
    with pytest.raises(SystemExit):
        demo.main(words)
    assert "fejer demo" in capsys.readouterr().err


def test_no_folder(tmp_path):
    with pytest.raises(fejer.ProblemError, match="no folder"):
        demo.main(["--only", "shipping", "--out", str(tmp_path / "no" / "page.html")])


@pytest.mark.parametrize(
    ("module", "package"),
    [("sklearn", "scikit-learn"), ("PIL", "pillow"), ("matplotlib", "matplotlib")],
)
def test_missing_packages_are_named(module, package, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(fejer.MissingDependencyError, match=rf"{package} .*fejer\[demo\]"):
        demo.main([])


def test_studies_compare_with_the_theorem():
    k = np.arange(1, 200)
    rate = fejer.Rate("", "sublinear", 1.0)
    fit = fejer.fit_rate(k, 1 / k)
    kept = Study(None, "m", rate, k, 1 / k, 2 / k, fit)
    assert (kept.observed(), kept.theorem(), kept.verdict()) == ("k^-1.00", "k^-1", "holds (0.5)")
    broken = Study(None, "m", None, k, 1 / k, 0.5 / k, fit)
    assert (broken.theorem(), broken.verdict()) == ("-", "VIOLATED (2)")
    linear = fejer.Rate("", "linear", factor=lambda problem: 0.5)
    assert Study(None, "m", linear, k, 0.5**k, None, fejer.fit_rate(k, 0.5**k)).theorem() == "0.5^k"


def test_a_study_repeats_the_run():
    result = fejer.minimize(classics.page_rank(), method="averaged", tol=1e-9)
    seen = study(result)
    assert seen.nit[0] == 0 and seen.nit[-1] == result.nit
    assert seen.error[-1] == pytest.approx(result.certificate.value, rel=1e-6)
    assert not np.diff(seen.nit)[1:].any() or (np.diff(seen.nit) == 1).all()


# The data, against something independent -----------------------------------------------------


def test_shipping_against_scipy():
    supply = np.kron(np.eye(2), np.ones(3))
    demand = np.kron(np.ones(2), np.eye(3))
    known = linprog(
        [0.225, 0.153, 0.162, 0.225, 0.162, 0.126],
        np.vstack([supply, -demand]),
        [350, 600, -325, -300, -275],
    )
    assert fejer.minimize(classics.shipping()).fun == pytest.approx(known.fun) == 153.675


def test_page_rank_against_power_iteration():
    A = classics.karate_club()
    assert (A == A.T).all() and A.sum() == 2 * 78
    assert sorted(A.sum(axis=0).astype(int))[-4:] == [10, 12, 16, 17]
    p = np.full(34, 1 / 34)
    for _ in range(300):
        p = 0.85 * A @ (p / A.sum(axis=0)) + 0.15 / 34
    result = fejer.minimize(classics.page_rank(), tol=1e-12)
    np.testing.assert_allclose(classics.scores(result.x), p, atol=1e-11)


def test_epidemic_derivatives_by_differences():
    model = classics.Epidemic(per_day=2)
    rng = np.random.default_rng(0)
    x = model.start() + 0.01 * rng.standard_normal(model.start().size)
    d, v = rng.standard_normal(x.size), rng.standard_normal(model.equations(x).size)

    def slope(function):
        return (function(x + 1e-6 * d) - function(x - 1e-6 * d)) / 2e-6

    assert slope(model.misfit) == pytest.approx(model.slope(x) @ d, abs=1e-8)
    np.testing.assert_allclose(slope(model.slope), model.curvature(x) @ d, atol=1e-8)
    np.testing.assert_allclose(slope(model.equations), model.jacobian(x) @ d, atol=1e-8)
    bent = slope(lambda z: model.jacobian(z).T @ v)
    np.testing.assert_allclose(bent, model.bending(x, v) @ d, atol=1e-8)
    assert np.abs(model.equations(model.course(2.0, 0.4, 0.01))).max() < 1e-14


def test_epidemic_both_ways_agree():
    model = classics.Epidemic(per_day=1)
    whole, short = (row.results[0] for row in _demo_classics.epidemic(per_day=1).rows)
    np.testing.assert_allclose(np.exp(short.x[:2]), whole.x[:2], rtol=1e-4)
    assert whole.fun == pytest.approx(model.misfit(model.course(*np.exp(short.x))), rel=1e-5)


def test_palette_and_map():
    picture = pictures.photograph("china")[::8, ::8]
    shades, shares = pictures.palette(picture, cells=3)
    np.testing.assert_allclose(shares @ shades, picture.reshape(-1, 3).mean(axis=0) / 255.0)
    problem = pictures.colour_transport(eps=0.5, cells=3)
    x = fejer.minimize(problem, tol=1e-9).x
    # At colours of the palette the map is the barycentre of the plan's row.
    plan = fejer.minimize(problem, x, tol=1e-9).plan
    wanted = (plan.toarray() / problem.a[:, None]) @ problem.cost.y
    pixels = np.rint(255 * problem.cost.x).astype(np.uint8)[None]
    moved = pictures.recoloured(problem, x, pixels)[0] / 255.0
    assert np.abs(moved - wanted).max() < 0.01  # colours are taken in steps of 4 / 255
    with pytest.raises(fejer.ProblemError, match="'china' or 'flower'"):
        pictures.photograph("cat")


def test_damage():
    problem, picture, known = pictures.damaged_photograph(reduce=8, return_picture=True)
    assert abs(known.mean() - 0.5) < 0.02 and problem.values.size == known.sum()
    np.testing.assert_allclose(
        problem.values - problem.values[0], picture[known] - picture[known][0], atol=1e-12
    )
    grey = pictures.photograph("flower")[:8, :8].mean() / 255
    assert picture[0, 0] == pytest.approx(grey)


def test_tables():
    X, y, names = tables.diabetes()
    assert X.shape == (442, 64) == (y.size, len(set(names))) and "sex²" not in names
    np.testing.assert_allclose(X.mean(axis=0), 0.0, atol=1e-12)
    np.testing.assert_allclose(X.std(axis=0), 1.0)
    assert np.linalg.matrix_rank(X) == 64
    assert tables.diabetes(products=False).X.shape == (442, 10)
    ridge = tables.diabetes_ridge()
    assert np.bincount(ridge.mode).tolist() == [10, 54]


def test_tumour_operators():
    problem = tables.tumour_classifier(l1=0.02, l2=0.1)
    X, y, _ = tables.tumours()
    rng = np.random.default_rng(0)
    u, v, some = rng.standard_normal(30), rng.standard_normal(30), np.array([3, 77, 400])

    def loss(w):
        return np.logaddexp(0.0, -y * (X @ w)).mean() + 0.05 * w @ w

    d = rng.standard_normal(30)
    assert problem.F(u) @ d == pytest.approx((loss(u + 1e-6 * d) - loss(u - 1e-6 * d)) / 2e-6)
    every = [problem.component(u, np.array([i])) for i in range(569)]
    np.testing.assert_allclose(np.mean(every, axis=0), problem.F(u))
    apart = problem.component(u, some) - problem.component(v, some)
    np.testing.assert_allclose(problem.component_difference(u, v, some), apart)

    w = fejer.minimize(problem, method="anderson", tol=1e-9).x
    gradient, zero = problem.F(w), np.abs(w) < 1e-9
    assert 0 < zero.sum() < 30 and np.abs(gradient[zero]).max() <= 0.02 + 1e-9
    np.testing.assert_allclose(gradient[~zero], -0.02 * np.sign(w[~zero]), atol=1e-7)
