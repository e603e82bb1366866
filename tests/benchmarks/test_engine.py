"""Running suites: what is resumed, what rivals may do, what is refused."""

import json
from importlib import import_module

import pytest

from fejer.benchmarks import engine, records, servers
from fejer.benchmarks.engine import OTHERS, main, run
from fejer.benchmarks.store import Store
from fejer.benchmarks.suite import Contender, Instance
from fejer.benchmarks.suites import load
from fejer.errors import FejerError
from tests.benchmarks.planted import install, rival, suite, worker


def played(tmp_path, of, **settings):
    with Store(tmp_path / "r.jsonl") as store:
        return run(of, store, progress=False, **settings)


def by_solver(found):
    return {records.solver(record): record for record in found}


# ---- our own runs --------------------------------------------------------------------------------


def test_a_record_says_what_was_run_and_what_came_of_it(tmp_path):
    found = played(tmp_path, suite())
    assert len(found) == 2
    for seed, record in enumerate(found):
        assert record["job"]["seed"] == seed
        assert record["status"] == "CONVERGED" and record["claims"]
        assert record["certificate"]["holds"] and record["certificate"]["value"] <= 1e-6
        times = record["times"]
        assert len(times["wall"]) == len(times["cpu"]) == len(times["reference"]) >= 2
        assert record["nit"] == record["trace"]["nit"][-1] > 0
        assert record["trace"]["certificate"][-1] == record["certificate"]["value"]
        assert record["theorem"]["form"] == "sublinear"
    assert json.loads(json.dumps(found)) == found


def test_what_is_there_is_not_run_again(tmp_path, monkeypatch):
    first = played(tmp_path, suite())
    monkeypatch.setattr(engine, "run_unit", lambda unit: pytest.fail("run again"))
    assert played(tmp_path, suite()) == first


def test_only_what_lacks_is_run(tmp_path):
    small, whole = suite(seeds=(0,)), suite(seeds=(0, 1))
    played(tmp_path, small)
    with Store(tmp_path / "r.jsonl") as store:
        assert len(engine.units(whole, store)) == 1
    assert len(played(tmp_path, whole)) == 2
    assert len((tmp_path / "r.jsonl").read_bytes().splitlines()) == 2


def test_data_that_were_measured_have_one_seed():
    jobs = list(load("lasso").jobs(peers=True))
    measured = {j["seed"] for j in jobs if j["instance"]["make"].endswith("diabetes_lasso")}
    drawn = {j["seed"] for j in jobs if j["instance"]["make"] == "random"}
    assert measured == {0} and drawn == {0, 1}


def test_contenders_and_rivals_run_on_their_classes_alone():
    for job in load("smoke").jobs(peers=True):
        who = job.get("contender") or job["peer"]
        assert job["instance"]["problem"] in who["problems"]


def test_bounds_of_theorems_are_measured_where_asked(tmp_path):
    classic = Contender("halpern", {"anchor": "classic", "restart": None})
    found = played(tmp_path, suite(contenders=(classic,), seeds=(0,), max_time=0.3, rates=True))
    told = found[0]["theorem"]
    assert len(told["nit"]) == len(told["error"]) == len(told["bound"]) > 5
    assert all(e <= b * (1 + 1e-9) for e, b in zip(told["error"], told["bound"], strict=True))


def test_peak_memory_is_that_of_the_run(tmp_path):
    lasso = Instance("Lasso", params={"n": 400, "p": 1000}, size=1000.0)
    bcd = (Contender("bcd"),)
    found = played(
        tmp_path, suite(instances=(lasso,), contenders=bcd, seeds=(0,), repeats=1, memory=True)
    )
    data = 8 * 400 * 1000
    assert 0 <= found[0]["memory"] < 3 * data


@pytest.mark.parametrize(
    ("contender", "reason"),
    [
        (Contender("no-such-method"), "unknown method"),
        (Contender("bcd"), "does not treat FixedPoint"),
        (Contender("halpern", {"speed": 3}), "unknown option 'speed'"),
    ],
)
def test_a_contender_that_cannot_run_is_recorded(tmp_path, contender, reason):
    found = played(tmp_path, suite(contenders=(contender, Contender("halpern")), seeds=(0,)))
    assert found[0]["status"] == "FAILED" and reason in found[0]["reason"]
    assert found[1]["certificate"]["holds"]
    assert len(records.broken(found)) == 1


@pytest.mark.parametrize(
    ("instance", "reason"),
    [
        (Instance("FixedPoint", params={"n": 0}), "n"),
        (Instance("FixedPoint", params={"m": 3}), "unexpected keyword"),
        (Instance("FixedPoint", "no_such_maker"), "no_such_maker"),
        (Instance("FixedPoint", "no_such_module:make"), "No module named"),
        (Instance("Lasso", "fejer.benchmarks.instances.maps:rotations"), "expected Lasso"),
    ],
)
def test_an_instance_that_cannot_be_built_is_recorded(tmp_path, instance, reason):
    tiny = Instance("FixedPoint", params={"n": 4})
    found = played(tmp_path, suite(instances=(instance, tiny), seeds=(0,)))
    assert found[0]["status"] == "FAILED"
    assert "the instance cannot be built" in found[0]["reason"] and reason in found[0]["reason"]
    assert found[1]["certificate"]["holds"]


def test_an_interrupt_ends_the_run_and_leaves_no_record(tmp_path, monkeypatch):
    def interrupted(n):
        raise KeyboardInterrupt

    install(monkeypatch, worker(interrupted))
    with pytest.raises(KeyboardInterrupt):
        played(tmp_path, suite(contenders=(Contender("worker"),)))
    assert not (tmp_path / "r.jsonl").read_bytes()


# ---- rivals --------------------------------------------------------------------------------------


def test_a_right_rival_is_certified_and_timed(tmp_path, rivals):
    found = by_solver(played(tmp_path, suite(rival("right"), seeds=(0,)), peers=True))
    record = found["right"]
    assert record["status"] == "CONVERGED" and record["certificate"]["holds"]
    assert len(record["times"]["wall"]) >= 2 and record["rung"] == 1e-6


def test_the_first_rung_that_is_certified_counts(tmp_path, rivals):
    steps = rival("ladder", ladder=(1e-4, 1e-6, 1e-8, 1e-10))
    record = played(tmp_path, suite(steps, seeds=(0,), contenders=()), peers=True)[0]
    assert record["rung"] == 1e-8 and record["certificate"]["holds"]
    assert len(record["times"]["wall"]) >= 2


def test_a_wrong_rival_is_not_called_faster(tmp_path, rivals):
    found = played(tmp_path, suite(rival("wrong")), peers=True)
    record = by_solver(found)["wrong"]
    assert record["status"] == "INACCURATE" and not record["certificate"]["holds"]
    for found_record in found:  # the rival's runs took no time, whatever the clock said
        took = 1e-6 if found_record is record else 1.0
        found_record["times"]["wall"] = [took for _ in found_record["times"]["wall"]]
    assert records.seconds(record) < records.seconds(by_solver(found)["halpern"])
    costs = records.costs(found)
    assert costs.solvers == ("halpern",)
    assert costs.left_out == {"wrong": "without a certificate anywhere"}


def test_a_missing_rival_is_skipped_with_its_reason_and_not_counted_as_slow(tmp_path, rivals):
    from dataclasses import replace

    away = replace(rival("right"), requires="a_library_that_nobody_wrote", name="away")
    found = played(tmp_path, suite(away), peers=True)
    record = by_solver(found)["away"]
    assert record["status"] == "SKIPPED"
    assert record["reason"] == "not installed: a_library_that_nobody_wrote"
    costs = records.costs(found)
    assert "away" not in costs.solvers and costs.left_out["away"] == record["reason"]
    assert not records.broken(found)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("nan", "returned nan or infinite entries"),
        ("shape", "returned shape (7,), expected (6,)"),
        ("text", "returned str, expected a vector"),
        ("raises", "ArithmeticError: cannot"),
        ("refuses", "ValueError: not this one"),
        ("crashes", "crashed"),
        ("no_such_function", "no_such_function"),
    ],
)
def test_a_rival_that_fails_is_recorded_as_such(tmp_path, rivals, name, reason):
    found = by_solver(played(tmp_path, suite(rival(name), rival("right"), seeds=(0,)), peers=True))
    assert found[name]["status"] == "FAILED" and reason in found[name]["reason"]
    assert found["right"]["certificate"]["holds"] and found["halpern"]["certificate"]["holds"]


def test_a_rival_that_hangs_is_killed(tmp_path, rivals, monkeypatch):
    monkeypatch.setattr(servers, "GRACE_SECONDS", 0.2)
    of = suite(rival("hangs"), rival("right"), seeds=(0, 1), max_time=0.3)
    found = played(tmp_path, of, peers=True)
    hung = [record for record in found if records.solver(record) == "hangs"]
    assert [record["reason"] for record in hung] == ["no answer within 0.5 s: killed"] * 2
    assert sum(record["certificate"]["holds"] for record in found) == 4


def test_what_a_rival_prints_does_not_disturb(tmp_path, rivals):
    record = played(tmp_path, suite(rival("noisy"), seeds=(0,), contenders=()), peers=True)[0]
    assert record["status"] == "CONVERGED"


def test_servers_end_with_those_who_asked(rivals):
    server = servers.server_of("rivals:right")
    assert server.alive and servers.server_of("rivals:right") is server
    servers.close_all()
    assert not server.alive
    assert servers.server_of("rivals:right") is not server


# ---- the command line ----------------------------------------------------------------------------


def test_list_names_every_suite_and_what_is_not_installed(capsys):
    assert main(["list"]) == 0
    text = capsys.readouterr().out
    for name in "transport lasso fixed-point linear completion bilevel-quadratic".split():
        assert f"\n{name} " in f"\n{text}"
    for name in ("constrained", "smoke", "house"):
        assert f"\n{name} " in text


@pytest.mark.parametrize("command", ["run", "report"])
def test_an_unknown_suite_is_an_error_that_suggests(command):
    with pytest.raises(FejerError, match=r"unknown suite 'laso'. Did you mean 'lasso'\?"):
        main([command, "laso"])


def test_run_prints_a_table_writes_a_page_and_returns_0(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(engine, "load", lambda name: suite())
    assert main(["run", "tests", "--out", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "2/2 tiny, seed 1: 1 of 1 certified" in out
    assert "problem" in out and "CONVERGED" in out
    page = tmp_path / "tests.html"
    assert f"wrote {page}" in out
    before = page.read_text()
    page.unlink()
    assert main(["report", "tests", "--out", str(tmp_path)]) == 0
    assert page.read_text() == before


def test_run_returns_1_where_a_claim_is_not_confirmed(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(engine, "load", lambda name: suite(seeds=(0,)))
    from dataclasses import replace

    from fejer.benchmarks import unit

    verify = unit.fejer.verify
    monkeypatch.setattr(
        unit.fejer, "verify", lambda problem, result: replace(verify(problem, result), value=1.0)
    )
    assert main(["run", "tests", "--out", str(tmp_path)]) == 1
    assert "claims success, its certificate is 1.00e+00" in capsys.readouterr().out


def test_an_honest_failure_counts_only_where_all_must_be_solved(tmp_path, monkeypatch):
    hopeless = suite(seeds=(0,), max_iter=2)
    monkeypatch.setattr(engine, "load", lambda name: hopeless)
    assert main(["run", "tests", "--out", str(tmp_path)]) == 0
    strict = suite(seeds=(0,), max_iter=2, all_solved=True)
    monkeypatch.setattr(engine, "load", lambda name: strict)
    assert main(["run", "tests", "--out", str(tmp_path)]) == 1


def test_report_without_records_says_what_to_do(tmp_path):
    with pytest.raises(FejerError, match="run `fejer bench run smoke` first"):
        main(["report", "smoke", "--out", str(tmp_path)])
    (tmp_path / "smoke.jsonl").write_text("")
    with pytest.raises(FejerError, match="holds no record"):
        main(["report", "smoke", "--out", str(tmp_path)])


def test_a_store_that_is_written_is_refused(tmp_path):
    with Store(tmp_path / "smoke.jsonl"), pytest.raises(FejerError, match="another process"):
        main(["run", "smoke", "--out", str(tmp_path)])


def test_no_processes_are_refused(tmp_path):
    with pytest.raises(FejerError, match="--jobs"):
        main(["run", "smoke", "--jobs", "0", "--out", str(tmp_path)])


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_no_problem_and_method_is_run_as_a_suite(name, monkeypatch):
    monkeypatch.setattr(import_module(OTHERS[name][0]), "main", lambda: 7)
    assert main(["run", name]) == 7
