"""Profiles against values counted by hand, and the properties that every profile has."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from fejer.benchmarks.profiles import data_profile, pairwise_profiles, performance_profile
from fejer.errors import ProblemError

INF = np.inf
# Ratios to the best: (1, 2, inf), (4, 1, 1), (inf, 1, 1.5), and nobody solves the last.
COST = np.array([[1.0, 2.0, INF], [8.0, 2.0, 2.0], [INF, 4.0, 6.0], [INF, INF, INF]])
NAMES = ("a", "b", "c")


def test_performance_profile_by_hand():
    profile = performance_profile(COST, NAMES, tau_max=16.0)
    np.testing.assert_array_equal(profile.tau, [1, 1.5, 2, 4, 16])
    np.testing.assert_array_equal(
        profile.share,
        [
            [0.25, 0.5, 0.25],
            [0.25, 0.5, 0.5],
            [0.25, 0.75, 0.5],
            [0.5, 0.75, 0.5],
            [0.5, 0.75, 0.5],
        ],
    )
    # Areas between 1 and 16 in units of log 2: four of them in all.
    half = np.log2(1.5)
    score = profile.score()
    assert score["a"] == pytest.approx((2 * 0.25 + 2 * 0.5) / 4)
    assert score["b"] == pytest.approx((1 * 0.5 + 3 * 0.75) / 4)
    assert score["c"] == pytest.approx((half * 0.25 + (4 - half) * 0.5) / 4)
    assert profile.solvers == NAMES


def test_ratios_beyond_tau_max_are_cut():
    profile = performance_profile([[1.0, 1000.0], [1.0, 2.0]], ["a", "b"])
    np.testing.assert_array_equal(profile.tau, [1, 2, 100])
    np.testing.assert_array_equal(profile.share[-1], [1.0, 0.5])


def test_ties_count_for_all():
    profile = performance_profile(np.ones((3, 2)), ["a", "b"])
    np.testing.assert_array_equal(profile.share, 1.0)
    assert profile.score() == {"a": 1.0, "b": 1.0}


def test_data_profile_by_hand():
    profile = data_profile([[10.0, 20.0], [40.0, INF], [30.0, 240.0]], [10, 20, 30], ["a", "b"])
    np.testing.assert_array_equal(profile.tau, [1, 2, 8])
    np.testing.assert_allclose(profile.share, np.array([[2, 0], [3, 1], [3, 2]]) / 3)
    assert profile.score() == pytest.approx({"a": (2 / 3 + 2) / 3, "b": 2 / 9})
    one = data_profile([[10.0, 20.0], [40.0, INF]], 10.0, ["a", "b"])
    np.testing.assert_array_equal(one.tau, [1, 2, 4])


def test_data_profile_where_nothing_is_solved():
    profile = data_profile([[INF, INF]], 1.0, ["a", "b"])
    np.testing.assert_array_equal(profile.share, 0.0)
    assert profile.score() == {"a": 0.0, "b": 0.0}


def test_data_profile_does_not_depend_on_other_solvers():
    both = data_profile(COST, 2.0, NAMES)
    alone = data_profile(COST[:, :1], 2.0, NAMES[:1])
    for tau, share in zip(alone.tau, alone.share[:, 0], strict=True):
        assert both.share[np.searchsorted(both.tau, tau), 0] == share


def test_pairwise_profiles_leave_third_solvers_out():
    # On every problem c is far ahead, so that b falls beyond a in the common profile alone.
    cost = [[2.0, 3.0, 1.0], [2.0, 3.0, 1.0], [9.0, 3.0, 0.01]]
    pairs = pairwise_profiles(cost, NAMES)
    assert list(pairs) == [("a", "b"), ("a", "c"), ("b", "c")]
    np.testing.assert_allclose(pairs["a", "b"].share[0], [2 / 3, 1 / 3])
    assert pairs["a", "b"].solvers == ("a", "b")
    np.testing.assert_array_equal(performance_profile(cost, NAMES).share[0], [0, 0, 1])


COSTS = arrays.arrays(
    float,
    st.tuples(st.integers(1, 6), st.integers(1, 4)),
    elements=st.one_of(st.just(INF), st.floats(1e-3, 1e6)),
)


@given(COSTS)
def test_properties(cost):
    names = [f"s{i}" for i in range(cost.shape[1])]
    profiles = [performance_profile(cost, names, boot=20), data_profile(cost, 3.0, names, boot=20)]
    for profile in profiles:
        assert (np.diff(profile.tau) > 0).all()
        for curve in (profile.share, profile.low, profile.high):
            assert curve.shape == (len(profile.tau), len(names))
            assert (curve >= 0).all() and (curve <= 1 + 1e-12).all()
            assert (np.diff(curve, axis=0) >= -1e-12).all()
        assert (profile.low <= profile.high).all()
        assert all(0 <= value <= 1 + 1e-12 for value in profile.score().values())
    # Someone is best on each problem that is solved at all, and failures are never counted.
    solved = np.isfinite(cost)
    assert profiles[0].share[0].sum() >= solved.any(axis=1).mean() - 1e-12
    np.testing.assert_allclose(profiles[1].share[-1], solved.mean(axis=0))


def test_performance_profile_is_free_of_units():
    cost = np.random.default_rng(0).uniform(1, 9, size=(8, 3))
    factors = 2.0 ** np.arange(8)[:, None]
    first, second = (performance_profile(c, NAMES) for c in (cost, factors * cost))
    np.testing.assert_array_equal(first.share, second.share)


def test_bands():
    cost = np.random.default_rng(0).uniform(1, 9, size=(40, 2))
    profile = performance_profile(cost, ["a", "b"])
    again = performance_profile(cost, ["a", "b"])
    np.testing.assert_array_equal(profile.low, again.low)
    # A share of p on 40 problems has a standard deviation of sqrt(p (1 - p) / 40), and 5 to 95 %
    # of a normal distribution are 3.29 of them.
    p = profile.share[0, 0]
    width = profile.high[0, 0] - profile.low[0, 0]
    assert width == pytest.approx(3.29 * np.sqrt(p * (1 - p) / 40), rel=0.25)
    bare = performance_profile(cost, ["a", "b"], boot=0)
    np.testing.assert_array_equal(bare.low, bare.share)
    np.testing.assert_array_equal(bare.high, bare.share)


@pytest.mark.parametrize(
    ("cost", "solvers", "field"),
    [
        ([1.0, 2.0], ["a", "b"], "cost"),
        ([[1.0, 2.0]], ["a"], "cost"),
        (np.empty((0, 2)), ["a", "b"], "cost"),
        ([[1.0, np.nan]], ["a", "b"], "cost"),
        ([[1.0, 0.0]], ["a", "b"], "cost"),
        ([[1.0, -INF]], ["a", "b"], "cost"),
        ([[1.0, 2.0]], ["a", "a"], "solvers"),
    ],
)
@pytest.mark.parametrize("make", [performance_profile, pairwise_profiles])
def test_bad_input(make, cost, solvers, field):
    with pytest.raises(ProblemError, match=f"{field}: expected"):
        make(cost, solvers)
    with pytest.raises(ProblemError, match=f"{field}: expected"):
        data_profile(cost, 1.0, solvers)


def test_bad_parameters():
    for tau_max in (1.0, INF, np.nan):
        with pytest.raises(ProblemError, match="tau_max"):
            performance_profile(COST, NAMES, tau_max=tau_max)
    with pytest.raises(ProblemError, match="boot"):
        performance_profile(COST, NAMES, boot=-1)
    for unit in (0.0, [1.0, 2.0], INF, np.nan):
        with pytest.raises(ProblemError, match="unit"):
            data_profile(COST, unit, NAMES)
