"""The gate between two revisions."""

import pytest

from fejer.benchmarks.compare import FEWEST_JOBS, compare
from fejer.benchmarks.engine import main, run
from fejer.benchmarks.store import Store
from fejer.benchmarks.suite import Contender, Instance
from fejer.errors import FejerError
from tests.benchmarks.planted import install, record, suite, worker


def runs(factor=1.0, count=24, **changed):
    """Runs with times from 1 ms to 10 s; the first one may be changed."""
    found = [record("bcd", f"p{i}", factor * 10 ** (i % 5 - 3)) for i in range(count)]
    found[0] |= changed
    return found


def test_equal_runs_pass():
    comparison = compare(runs(), runs())
    assert comparison.passed and comparison.timed
    assert comparison.ratio == pytest.approx(1.0)
    assert str(comparison).endswith("passed")


def test_work_of_ten_per_cent_fails():
    assert not compare(runs(), runs(1.1)).passed
    assert compare(runs(), runs(1.04)).passed
    assert compare(runs(1.1), runs()).passed


def test_one_noisy_job_does_not_fail():
    noisy = runs()
    noisy[3]["times"]["cpu"] = [2 * noisy[3]["times"]["cpu"][0]]
    assert compare(runs(), noisy).passed


def test_a_machine_that_others_slow_down_is_no_slower_revision():
    slower = runs(1.5)
    for one in slower:
        one["times"]["reference"] = [1.5e-3]
    assert compare(runs(), slower).ratio == pytest.approx(1.0)


def test_the_fastest_of_the_repeats_counts():
    slower = runs()
    for one in slower:
        one["times"]["cpu"] = [5.0 * one["times"]["cpu"][0], one["times"]["cpu"][0]]
    assert compare(runs(), slower).ratio == pytest.approx(1.0)


@pytest.mark.parametrize("change", [{"nit": 11}, {"work": 11.0}, {"nit": 9}])
def test_one_extra_iteration_fails(change):
    comparison = compare(runs(), runs(**change))
    assert not comparison.passed and len(comparison.counts) == 1
    assert "10 -> " in comparison.counts[0]


def test_a_lost_certificate_fails():
    lost = record("bcd", "p0", 1e-3, holds=False)
    comparison = compare(runs(), [lost, *runs()[1:]])
    assert not comparison.passed and "MAX_ITER" in comparison.lost[0]
    assert compare([lost, *runs()[1:]], runs()).lost == []


def test_an_exception_in_the_later_one_fails():
    broken = {"status": "FAILED", "reason": "ValueError", "times": {"wall": [], "cpu": []}}
    broken["certificate"] = {"holds": False, "value": float("inf")}
    comparison = compare(runs(), runs(**broken))
    assert not comparison.passed and "ValueError" in comparison.lost[0]


def test_counts_of_runs_that_the_clock_ended_are_not_compared():
    late = {"status": "MAX_TIME", "nit": 12}
    assert compare(runs(**late), runs(**(late | {"nit": 15}))).passed


def test_few_jobs_are_judged_by_counts_alone():
    comparison = compare(runs(count=FEWEST_JOBS - 1), runs(2.0, count=FEWEST_JOBS - 1))
    assert comparison.passed and not comparison.timed
    assert "not judged: fewer than 20 jobs" in str(comparison)


def test_rivals_and_keys_do_not_matter():
    other = [*runs(), record("rival", "p0", 1.0, peer=True)]
    for one in other:
        one["key"] = "another revision"
    assert compare(runs(), other).passed


def test_jobs_in_one_alone_are_counted_and_said():
    comparison = compare(runs(), runs(count=30))
    assert comparison.passed and comparison.only == (0, 6)
    assert "in B alone: 6" in str(comparison)


def test_parallel_times_come_with_a_caution():
    assert "caution" in str(compare(runs(), runs(jobs=2)))


def test_nothing_in_common_is_an_error():
    with pytest.raises(FejerError, match="no job of ours in common"):
        compare(runs(), [record("bcd", "another", 1.0)])


def test_the_command_returns_the_verdict(tmp_path, capsys):
    for name, found in (("a", runs()), ("b", runs(1.2))):
        with Store(tmp_path / name) as store:
            for one in found:
                store.add(one | {"key": one["job"]["instance"]["label"]})
    a, b = str(tmp_path / "a"), str(tmp_path / "b")
    assert main(["compare", a, a]) == 0
    assert main(["compare", a, b]) == 1
    assert "geometric mean 1.2000" in capsys.readouterr().out
    with pytest.raises(FejerError, match="no such file"):
        main(["compare", a, str(tmp_path / "c")])


def test_an_iteration_planted_in_a_method_is_found(tmp_path, monkeypatch):
    """Through the whole harness: the same recipe, other code."""
    of = suite(contenders=(Contender("worker"),), seeds=(0,))
    for name, iterations in (("a", 4), ("b", 4), ("c", 5)):
        install(monkeypatch, worker(lambda n: 10, iterations))
        with Store(tmp_path / name) as store:
            run(of, store, progress=False)
    assert main(["compare", str(tmp_path / "a"), str(tmp_path / "b")]) == 0
    assert main(["compare", str(tmp_path / "a"), str(tmp_path / "c")]) == 1


@pytest.mark.slow
def test_work_planted_in_a_method_is_found(tmp_path, monkeypatch):
    """Measured: 24 jobs of a few milliseconds, the same and with a tenth more to do."""
    tiny = Instance("FixedPoint", params={"n": 4})
    of = suite(
        instances=(tiny,), contenders=(Contender("worker"),), seeds=tuple(range(24)), repeats=7
    )
    for name, work in (("a", 100_000), ("b", 100_000), ("c", 110_000)):
        install(monkeypatch, worker(lambda n, work=work: work))
        with Store(tmp_path / name) as store:
            run(of, store, progress=False)
    assert main(["compare", str(tmp_path / "a"), str(tmp_path / "b")]) == 0
    assert main(["compare", str(tmp_path / "a"), str(tmp_path / "c")]) == 1
