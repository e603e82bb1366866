"""The suites that come with the package."""

import pytest

import fejer
from fejer.benchmarks import records
from fejer.benchmarks.engine import run
from fejer.benchmarks.store import Store
from fejer.benchmarks.suites import load, suites
from fejer.method import find

SUITES = suites()
FAMILIES = {"transport", "lasso", "fixed-point", "linear", "completion", "bilevel-quadratic"}


def test_the_families_have_a_suite():
    assert FAMILIES | {"constrained", "smoke"} <= set(SUITES)


@pytest.mark.parametrize("name", SUITES)
def test_names_are_unique_and_told(name):
    suite = SUITES[name]
    for things in (suite.instances, suite.contenders, suite.peers):
        names = [thing.name for thing in things]
        assert len(names) == len(set(names))
    assert suite.title and suite.instances and suite.contenders


@pytest.mark.parametrize("name", SUITES)
def test_sizes_of_a_family_differ(name):
    sized = [(i.family, i.size) for i in SUITES[name].instances if i.size]
    assert len(sized) == len(set(sized))


def instances():
    """All instances; beyond the first of each suite they are built in slow runs alone."""
    for name, suite in SUITES.items():
        for place, instance in enumerate(suite.instances):
            marks = [pytest.mark.slow] if place and name != "smoke" else []
            yield pytest.param(suite, instance, id=f"{name}: {instance.name}", marks=marks)


@pytest.mark.parametrize(("suite", "instance"), list(instances()))
def test_instances_are_built_alike_and_can_be_treated(suite, instance):
    seed = suite.seeds[0]
    try:
        problem, again = instance.build(seed), instance.build(seed)
    except fejer.MissingDependencyError as error:
        pytest.skip(str(error))  # an optional collection of problems
    assert isinstance(problem, getattr(fejer, instance.problem))
    assert problem.fingerprint() == again.fingerprint()
    for contender in suite.contenders:
        if instance.problem in (contender.problems or (instance.problem,)):
            method = find(contender.method, problem, contender.options)
            assert method.name == contender.method


def test_linear_reads_a_folder(tmp_path, monkeypatch):
    from importlib import reload

    from fejer.benchmarks.suites import linear

    rows = "ROWS", " N cost", " G need", "COLUMNS", " x cost 2 need 1", "RHS", " r need 3", "ENDATA"
    (tmp_path / "tiny.MPS").write_text("\n".join(rows))
    (tmp_path / "notes.txt").write_text("nothing")
    monkeypatch.setenv("FEJER_MPS", str(tmp_path))
    try:
        suite = reload(linear).SUITE
        assert [instance.name for instance in suite.instances] == ["tiny"]
        problem = suite.instances[0].build(0)
        assert problem.c.tolist() == [2.0] and problem.row_lower.tolist() == [3.0]
        (tmp_path / "tiny.MPS").write_text("\n".join(rows).replace("3", "4"))
        with pytest.raises(fejer.FejerError, match="has changed"):
            suite.instances[0].build(0)
    finally:
        monkeypatch.delenv("FEJER_MPS")
        reload(linear)


@pytest.mark.peers
@pytest.mark.parametrize("peer", load("smoke").peers, ids=lambda peer: peer.name)
def test_every_rival_solves_a_small_instance_of_its_class(tmp_path, peer):
    from dataclasses import replace

    pytest.importorskip(peer.requires)
    smoke = load("smoke")
    fitting = tuple(i for i in smoke.instances if i.problem in peer.problems)
    alone = replace(smoke, instances=fitting, contenders=(), peers=(peer,), seeds=(0,), repeats=2)
    with Store(tmp_path / "r") as store:
        (found,) = run(alone, store, peers=True, progress=False)
    assert records.solved(found), found["reason"] or found["certificate"]
