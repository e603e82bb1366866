"""Plots show the data, the theorem and the fit on the right axes, and leave pyplot alone."""

import sys
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fejer.errors import MissingDependencyError, ProblemError
from fejer.plots import new_axes, plot_path, plot_rate, plot_trace
from fejer.rates import fit_rate
from fejer.result import Path, Trace

K = np.arange(500)
THEOREM = SimpleNamespace(
    statement="The squared distance falls like 1/k (a theorem with a long statement, which must be "
    "broken into lines to fit)",
    form="sublinear",
    exponent=1.0,
    factor=None,
)


def labels(ax):
    return "\n".join(text.get_text() for text in ax.get_legend().get_texts())


def drawn(ax, tmp_path):
    """Write the figure: whatever matplotlib does not like appears here."""
    ax.figure.savefig(tmp_path / "plot.svg")
    text = (tmp_path / "plot.svg").read_text(encoding="utf-8")
    assert "</svg>" in text
    return ax


def trace_of(certificate):
    trace = Trace()
    for k, value in enumerate(certificate):
        row = {"nit": k, "work": 2.0 * k, "time": 0.1 * (k // 2), "fun": 3.0 - value}
        trace.add(row | {"certificate": value})
    return trace


def test_trace_of_a_linear_run_is_a_line_on_semilog_axes(tmp_path):
    ax = drawn(plot_trace(trace_of(0.9 ** K[:50])), tmp_path)
    assert (ax.get_xscale(), ax.get_yscale()) == ("linear", "log")
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("iteration", "certificate")
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), 0.9 ** K[:50])


@pytest.mark.parametrize("x", ["nit", "work", "time"])
def test_trace_of_a_sublinear_run_is_a_line_on_loglog_axes(x, tmp_path):
    ax = drawn(plot_trace(trace_of(1 / (K + 1.0)), x=x), tmp_path)
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert ax.lines[0].get_xdata().min() > 0


def test_trace_of_a_column_with_a_sign_and_with_gaps(tmp_path):
    trace = trace_of([np.inf, 5.0, np.nan, 1.0])
    ax = drawn(plot_trace(trace, y="fun"), tmp_path)
    assert ax.get_yscale() == "linear"
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), [-2.0, 2.0])
    assert drawn(plot_trace(Trace()), tmp_path).get_xlabel() == "iteration"


def test_traces_overlay_in_different_colours():
    ax = trace_of(0.5 ** K[:20]).plot()
    assert trace_of(0.9 ** K[:20]).plot(ax) is ax
    first, second = ax.lines
    assert first.get_color() != second.get_color()


def test_rate_shows_data_bound_fit_and_interval(tmp_path):
    k = K[1:]
    ax = drawn(plot_rate(k, 1 / k, rate=THEOREM, bound=1.25 / k), tmp_path)
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    data, bound, fitted = ax.lines
    np.testing.assert_array_equal(data.get_ydata(), 1 / k)
    np.testing.assert_array_equal(bound.get_ydata(), 1.25 / k)
    np.testing.assert_allclose(fitted.get_ydata(), 1 / fitted.get_xdata(), rtol=1e-3)
    assert len(ax.collections) == 1
    text = labels(ax)
    assert "The squared distance falls like 1/k" in text
    assert "bound holds everywhere: error / bound up to 0.8, at k = " in text
    assert "p = 1 [" in text and "at least as fast as the theorem" in text
    assert max(map(len, text.split("\n"))) < 75


def test_rate_tells_a_violated_bound_and_a_slow_run():
    k = K[1:]
    ax = plot_rate(k, k**-0.5, rate=THEOREM, bound=lambda k: 2 / k)
    assert "BOUND VIOLATED" in labels(ax)
    assert "slower than the theorem" in labels(ax)
    noisy = k**-1.0 * np.exp(0.2 * np.random.default_rng(0).standard_normal(len(k)))
    fit = fit_rate(k, noisy)
    edge = SimpleNamespace(**vars(THEOREM) | {"exponent": (fit.low + fit.high) / 1.8})
    assert "undetermined" in labels(plot_rate(k, noisy, rate=edge))


def test_rate_without_a_bound_shows_the_slope_of_the_theorem(tmp_path):
    k = K[1:]
    ax = drawn(plot_rate(k, k**-2.0, rate=THEOREM), tmp_path)
    slope = ax.lines[1]
    ratio = slope.get_ydata()[0] / slope.get_ydata()[-1]
    assert ratio == pytest.approx(k[-1] / k[0])
    linear = SimpleNamespace(statement="q^k", form="linear", exponent=np.nan, factor=None)
    assert "q^k" in labels(drawn(plot_rate(k, 0.9**k, rate=linear), tmp_path))


@pytest.mark.parametrize(
    ("nit", "error"),
    [
        (K, 0.97**K),
        (K, 3 * 0.97**K + 1e-3),
        (K, 1 / (K + 5.0)),
        (K, 1 / (K + 5.0) * np.exp(0.2 * np.random.default_rng(0).standard_normal(len(K)))),
        (np.arange(7), 0.5 ** (2.0 ** np.arange(7))),
        (np.arange(5), 0.9 ** np.arange(5)),
        (K, np.where(K % 5, 0.97**K, np.nan)),
        ([], []),
    ],
)
def test_rate_interval_encloses_the_fit(nit, error, tmp_path):
    fit = fit_rate(nit, error)
    ax = drawn(plot_rate(nit, error, fit=fit), tmp_path)
    assert (ax.get_xscale() == "log") == (fit.form == "sublinear")
    if fit.form == "undetermined":
        assert len(ax.lines) == 1 and not ax.collections
        return
    middle = ax.lines[-1]
    corners = ax.collections[0].get_paths()[0].vertices
    for k, value in zip(*middle.get_data(), strict=True):
        band = corners[corners[:, 0] == k, 1]
        assert band.min() <= value * (1 + 1e-9) and value <= band.max() * (1 + 1e-9)
    low, high = ax.get_ylim()
    shown = middle.get_ydata()
    assert (shown >= low).all() and (shown <= high).all()


def test_a_loose_bound_does_not_squeeze_the_data():
    k = K[1:]
    ax = plot_rate(k, 1 / k, bound=1e12 / k)
    assert ax.get_ylim()[1] <= 100 * 3


def test_rate_bad_input():
    with pytest.raises(ProblemError, match="bound"):
        plot_rate(K, 0.9**K, bound=[1.0])
    with pytest.raises(ProblemError, match="error"):
        plot_rate(K, [1.0])


def path_of(values, x):
    certificate = SimpleNamespace(value=0.0)
    results = [SimpleNamespace(x=np.asarray(row), certificate=certificate) for row in x]
    return Path("lam", values, results)


def test_path(tmp_path):
    rng = np.random.default_rng(0)
    x = np.outer(np.arange(6), np.r_[np.zeros(2), rng.uniform(0.1, 1, 10)])
    ax = drawn(path_of(np.geomspace(10, 0.1, 6), x).plot(), tmp_path)
    assert (ax.get_xscale(), ax.get_xlabel()) == ("log", "lam")
    assert len(ax.lines) == 12
    named = {text.get_text() for text in ax.get_legend().get_texts()}
    assert named == {f"x[{i}]" for i in np.argsort(-x[-1])[:7]}


def test_path_of_few_close_or_no_values(tmp_path):
    ax = drawn(plot_path(path_of([0.0, 1.0], [[0.0], [0.0]])), tmp_path)
    assert ax.get_xscale() == "linear" and len(ax.lines) == 1
    assert not drawn(plot_path(path_of([], [])), tmp_path).lines


def test_path_of_a_field_without_numbers():
    with pytest.raises(ProblemError, match="lam: expected numbers"):
        plot_path(path_of(["l1", "l2"], [[0.0], [1.0]]))


def test_own_figure_or_given_axes():
    ax = new_axes()
    assert isinstance(ax, Axes) and isinstance(ax.figure, Figure)
    assert plot_rate(K, 0.9**K, ax=ax) is ax
    assert plt.get_fignums() == []


def test_without_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingDependencyError, match=r"pip install fejer\[plot\]"):
        plot_rate(K, 0.9**K)
