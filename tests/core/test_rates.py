"""fejer.fit_rate recovers known rates; RateFit.compare and check_bound judge as documented."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fejer.benchmarks.instances.synthetic_rates import (
    KINDS,
    examine,
    relative_order,
    synthetic_curve,
)
from fejer.errors import FejerError, ProblemError
from fejer.rates import check_bound, fit_rate

K = np.arange(1, 3000)


def theorem(form, exponent=np.nan, factor=None):
    return SimpleNamespace(form=form, exponent=exponent, factor=factor)


@pytest.mark.parametrize("kind", KINDS)
def test_recognises_synthetic_curves(kind):
    summary = examine(kind, runs=8)
    noisy = kind.endswith("noisy")
    assert summary.right == 8
    assert summary.median == pytest.approx(1, abs=0.08 if noisy else 0.01)
    assert summary.covered >= (0.8 if noisy else 0.99)


@pytest.mark.slow
def test_recognises_900_synthetic_curves():
    lines = [examine(kind) for kind in KINDS]
    assert sum(line.runs for line in lines) == 900
    assert sum(line.right for line in lines) >= 0.98 * 900
    for line in lines:
        noisy = line.kind.endswith("noisy")
        assert line.median == pytest.approx(1, abs=0.08 if noisy else 0.01), line
        assert line.covered >= (0.85 if noisy else 0.95), line


@pytest.mark.parametrize("kind", [kind for kind in KINDS if not kind.startswith("order")])
@pytest.mark.parametrize("seed", [100, 101])
def test_dense_and_sparse_records_agree(kind, seed):
    curve = synthetic_curve(kind, seed)
    kept = np.unique(np.floor(1.05 ** np.arange(300)).astype(int))
    kept = kept[kept < len(curve.nit)]
    dense = fit_rate(curve.nit, curve.error)
    sparse = fit_rate(curve.nit[kept], curve.error[kept])
    assert dense.form == sparse.form == curve.form
    if curve.noisy:
        # Different noise in the two records: the intervals must meet.
        assert dense.low <= sparse.high and sparse.low <= dense.high
    else:
        ratio = relative_order(dense, curve.truth) / relative_order(sparse, curve.truth)
        assert ratio == pytest.approx(1, abs=0.02)


def test_constants_of_the_curve():
    fit = fit_rate(K, 5 / (K + 7.0) ** 2)
    assert (fit.form, fit.plateau) == ("sublinear", 0.0)
    assert fit.constant == pytest.approx(5, rel=0.01)
    assert fit.shift == pytest.approx(7, rel=0.02)
    np.testing.assert_allclose(fit.curve(K), 5 / (K + 7.0) ** 2, rtol=0.01)
    fit = fit_rate(K, 3 * 0.99**K + 1e-4)
    assert fit.factor == pytest.approx(0.99, abs=1e-5)
    assert fit.constant == pytest.approx(3, rel=1e-3)
    assert np.isnan(fit.exponent)
    assert fit.window[1] > fit.window[0] and fit.error < 1e-2


def test_scale_changes_the_constant_alone():
    curve = synthetic_curve("k^-1 noisy", 4)
    fit, scaled = (fit_rate(curve.nit, c * curve.error) for c in (1.0, 1024.0))
    assert scaled.exponent == pytest.approx(fit.exponent, rel=1e-9)
    assert scaled.window == fit.window
    assert scaled.constant == pytest.approx(1024 * fit.constant, rel=1e-9)


def test_two_phases_the_larger_fall_wins():
    error = np.where(K < 100, 1 / K, 0.01 * 0.95 ** (K - 100.0))
    fit = fit_rate(K, error, floor=1e-14)
    assert fit.form == "linear"
    assert fit.factor == pytest.approx(0.95, abs=1e-3)


def test_late_superlinear_phase():
    error = np.concatenate([1 / np.arange(1, 101), [3e-3, 1e-4, 1e-8, 1e-16, 1e-16]])
    assert fit_rate(np.arange(len(error)), error).form == "superlinear"


def test_spikes_do_not_count():
    error = np.where(K % 97 < 3, 1e5, 1.0) / K
    assert fit_rate(K, error).exponent == pytest.approx(1, abs=0.01)


def test_the_record_may_be_dirty():
    error = 0.9**K
    error[::7] = np.nan
    error[3] = np.inf
    error[500:] = 0
    assert fit_rate(K, error).factor == pytest.approx(0.9, abs=1e-3)


def test_the_record_ends_at_the_floor_or_below_zero():
    error = 1 / K.astype(float)
    assert fit_rate(K, error, floor=1e-2).window[1] <= 33
    # f* was too large by 1e-3: what comes after the sign change is no error at all.
    shifted = np.where(K < 1000, error, -1.0)
    shifted[2000:] = 1e-9
    assert fit_rate(K, shifted).window[1] <= 999


@pytest.mark.parametrize(
    ("nit", "error"),
    [
        ([], []),
        ([3], [1.0]),
        ([1, 2, 3], [1.0, 0.5, 0.25]),
        (K, np.ones(len(K))),
        (K, K.astype(float)),
        (K, np.zeros(len(K))),
        (K, np.full(len(K), np.nan)),
        (K, K**-0.1),
        (K, np.exp(0.2 * np.random.default_rng(0).standard_normal(len(K)))),
    ],
)
def test_undetermined(nit, error):
    fit = fit_rate(nit, error)
    assert fit.form == "undetermined"
    assert np.isnan([fit.exponent, fit.factor, fit.low, fit.high, fit.error]).all()
    assert fit.window == (0, 0)
    assert repr(fit) == "RateFit(undetermined)"
    assert fit.compare(theorem("sublinear", 1.0)) == "undetermined"
    assert np.isnan(fit.curve([1, 2])).all()


@pytest.mark.parametrize(
    ("nit", "error", "floor", "text"),
    [
        ([1, 2], [1.0], 0.0, "as long as nit"),
        ([[1, 2]], [[1.0, 2.0]], 0.0, "expected a vector"),
        ([2, 1], [1.0, 0.5], 0.0, "strictly increasing"),
        ([1, 1], [1.0, 0.5], 0.0, "strictly increasing"),
        ([-1, 1], [1.0, 0.5], 0.0, ">= 0"),
        ([1, np.nan], [1.0, 0.5], 0.0, "finite"),
        ([1, 2], ["one", "two"], 0.0, "expected numbers"),
        ([1, 2], [1.0, 0.5], -1.0, "floor"),
        ([1, 2], [1.0, 0.5], np.nan, "floor"),
    ],
)
def test_bad_input(nit, error, floor, text):
    with pytest.raises(ProblemError, match=text) as raised:
        fit_rate(nit, error, floor=floor)
    assert isinstance(raised.value, FejerError) and isinstance(raised.value, ValueError)


@given(
    error=st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=30),
    step=st.integers(1, 5),
)
def test_any_record_gives_a_fit(error, step):
    fit = fit_rate(step * np.arange(len(error)), error)
    if fit.form != "undetermined":
        value = fit.factor if fit.form == "linear" else fit.exponent
        assert fit.low <= value <= fit.high
        assert fit.window[0] < fit.window[1]


def test_same_seed_same_fit():
    curve = synthetic_curve("k^-1 noisy", 3)
    assert fit_rate(curve.nit, curve.error) == fit_rate(curve.nit, curve.error)


SUBLINEAR, LINEAR = fit_rate(K, 1 / K), fit_rate(K, 0.99**K)
SUPERLINEAR = fit_rate(range(7), 0.5 ** (2.0 ** np.arange(7)))


@pytest.mark.parametrize(
    ("fit", "rate", "verdict"),
    [
        (SUBLINEAR, theorem("sublinear", 1.0), "at least as fast"),
        (SUBLINEAR, theorem("sublinear", 0.5), "at least as fast"),
        (SUBLINEAR, theorem("sublinear", 2.0), "slower"),
        (SUBLINEAR, theorem("linear"), "slower"),
        (SUBLINEAR, theorem("superlinear", 2.0), "slower"),
        (LINEAR, theorem("sublinear", 2.0), "at least as fast"),
        (LINEAR, theorem("linear"), "at least as fast"),
        (LINEAR, theorem("linear", factor=lambda problem: 0.995), "at least as fast"),
        (LINEAR, theorem("linear", factor=lambda problem: 0.98), "slower"),
        # 1/k over 3000 iterations falls further than the theorem's 0.9999^3000.
        (SUBLINEAR, theorem("linear", factor=lambda problem: 0.9999), "at least as fast"),
        (SUBLINEAR, theorem("linear", factor=lambda problem: 0.9), "slower"),
        (SUBLINEAR, theorem("linear", factor=lambda problem: 0.0), "slower"),
        (SUPERLINEAR, theorem("linear", factor=lambda problem: 0.1), "at least as fast"),
        (SUPERLINEAR, theorem("superlinear", 2.0), "at least as fast"),
        (SUPERLINEAR, theorem("superlinear"), "at least as fast"),
        (SUPERLINEAR, theorem("superlinear", 3.0), "slower"),
    ],
)
def test_compare(fit, rate, verdict):
    assert fit.compare(rate, problem="any") == verdict


def test_compare_is_undetermined_where_the_interval_holds_the_target():
    curve = synthetic_curve("k^-0.5 noisy", 2)
    fit = fit_rate(curve.nit, curve.error)
    middle = (fit.low + fit.high) / 2
    assert fit.low < middle < fit.high
    assert fit.compare(theorem("sublinear", middle), slack=0.0) == "undetermined"


@pytest.mark.parametrize(
    ("fit", "text"),
    [
        (SUBLINEAR, "RateFit(sublinear, p = 1 ["),
        (LINEAR, "RateFit(linear, q = 0.99 ["),
        (SUPERLINEAR, "RateFit(superlinear, order = 2 [2, 2], k = 0 to 6)"),
        (fit_rate(K, 0.9993**K), "RateFit(linear, q = 0.9993 ["),
    ],
)
def test_repr(fit, text):
    assert repr(fit).startswith(text)


def test_check_bound():
    assert check_bound([1, 2, 4], [0.9, 0.6, 0.1], [1.0, 0.5, 0.25]) == (1.2, 2, False)
    assert check_bound(K, 1 / K, 1 / K) == (1.0, 1, True)
    assert check_bound([0, 1], [np.inf, 1.0], [np.inf, 2.0]) == (0.5, 1, True)
    assert check_bound([0, 1], [0.0, 1.0], [0.0, 2.0]) == (0.5, 1, True)
    # A nan is no evidence that a bound holds.
    assert check_bound([0, 1], [np.nan, 1.0], [1.0, 2.0]) == (np.inf, 0, False)
    assert check_bound([0, 1], [1.0, 1.0], [1.0, np.nan]) == (np.inf, 1, False)
    assert check_bound([0, 1], [1.0, 1e-9], [1.0, 0.0]) == (np.inf, 1, False)
    assert check_bound([5], [1.0 + 1e-12], [1.0])[2]


@pytest.mark.parametrize(
    ("error", "bound", "field"), [([1.0], [1.0, 2.0], "error"), ([1.0, 2.0], [1.0], "bound")]
)
def test_check_bound_bad_input(error, bound, field):
    with pytest.raises(ProblemError, match=f"{field}: expected the shape"):
        check_bound([1, 2], error, bound)
    with pytest.raises(ProblemError):
        check_bound([], [], [])


def test_a_late_stretch_of_a_linear_law_is_no_huge_power():
    k = np.arange(150, 311)
    wiggle = 1 + 0.5 * np.sin(0.3 * k + 2)
    fit = fit_rate(k, 0.9**k * wiggle)
    assert fit.form == "linear" and fit.factor == pytest.approx(0.9, rel=0.02)
