"""Exponents of known laws."""

import numpy as np
import pytest

from fejer.benchmarks import records
from fejer.benchmarks.engine import run
from fejer.benchmarks.scaling import fit_growth
from fejer.benchmarks.store import Store
from fejer.benchmarks.suite import Contender, Instance
from fejer.errors import ProblemError
from tests.benchmarks.planted import install, suite, worker

SIZES = np.array([50.0, 100.0, 200.0, 400.0, 800.0])


@pytest.mark.parametrize("exponent", [0.5, 1.0, 2.0, 3.0])
def test_pure_powers(exponent):
    law = fit_growth(SIZES, 3e-6 * SIZES**exponent)
    assert law.exponent == pytest.approx(exponent, abs=1e-6)
    assert law.low <= law.exponent <= law.high
    np.testing.assert_allclose(law.curve(SIZES), 3e-6 * SIZES**exponent, rtol=1e-6)


@pytest.mark.parametrize("exponent", [1.0, 2.0])
def test_powers_with_noise_and_a_fixed_overhead(exponent):
    for seed in range(20):
        noise = np.exp(0.03 * np.random.default_rng(seed).standard_normal(SIZES.size))
        law = fit_growth(SIZES, 1e-6 * SIZES**exponent * noise)
        assert law.exponent == pytest.approx(exponent, abs=0.1)
        grown = 1e-6 * SIZES**exponent
        law = fit_growth(SIZES, grown + 3 * grown[0])
        assert law.exponent == pytest.approx(exponent, abs=0.1)


def test_several_seeds_enter_by_their_median():
    sizes, costs = np.repeat(SIZES, 3), np.repeat(SIZES**2, 3)
    costs[1::3] *= 50
    assert fit_growth(sizes, costs).exponent == pytest.approx(2.0)


def test_failures_are_left_out():
    costs = SIZES**2
    costs[1] = np.inf
    assert fit_growth(SIZES, costs).exponent == pytest.approx(2.0)


def test_too_few_sizes_have_no_exponent():
    assert np.isnan(fit_growth([1, 2, 2], [1.0, 2.0, 2.1]).exponent)
    assert np.isnan(fit_growth([], []).exponent)


@pytest.mark.parametrize(
    ("size", "cost"), [([1, 2], [1.0]), ([0, 1, 2], [1, 1, 1]), ([1, 2, 3], [1, -1, 1])]
)
def test_bad_input(size, cost):
    with pytest.raises(ProblemError):
        fit_growth(size, cost)


@pytest.mark.slow
@pytest.mark.parametrize("exponent", [1, 2])
def test_planted_work_has_its_exponent(tmp_path, monkeypatch, exponent):
    """Measured through the whole harness: n or n^2 additions."""
    install(monkeypatch, worker(lambda n: (60_000 * n) if exponent == 1 else 6_000 * n * n))
    sizes = (4, 8, 16, 32)
    instances = tuple(Instance("FixedPoint", params={"n": n}, size=float(n)) for n in sizes)
    of = suite(instances=instances, contenders=(Contender("worker"),), seeds=(0,), repeats=3)
    with Store(tmp_path / "r") as store:
        found = run(of, store, progress=False)
    law = fit_growth(sizes, [records.seconds(one, "cpu") for one in found])
    assert law.exponent == pytest.approx(exponent, abs=0.1)
