"""The public names: loaded when asked for, found by file name, from any installation."""

import importlib
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import fejer
from fejer import _lazy

HOME = Path(__file__).resolve().parents[2]


def run(code, **options):
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        check=True,
        cwd=HOME,
        **options,
    ).stdout.strip()


@pytest.fixture
def empty_tables():
    """Let names be searched for anew, and forget what this test finds."""
    known = dict(vars(fejer))
    path = list(fejer.__path__)
    _lazy.stems.cache_clear()
    yield
    fejer.__path__[:] = path
    for name in set(vars(fejer)) - set(known):
        delattr(fejer, name)
    vars(fejer).update(known)
    for name in [name for name in sys.modules if name.startswith("fejer.problems.zoo")]:
        del sys.modules[name]
    _lazy.stems.cache_clear()


def test_import_loads_nothing_heavy():
    code = """
        import sys, fejer
        dir(fejer), fejer.__version__
        heavy = {"numpy", "scipy", "numba", "tqdm", "matplotlib", "sklearn", "cvxpy"}
        print(sorted(heavy & set(sys.modules)))
    """
    assert run(code) == "[]"


@pytest.mark.parametrize("name", sorted({*_lazy._TABLE, *_lazy._ALIASES, *_lazy.discovered()}))
def test_every_public_name_loads(name):
    assert getattr(fejer, name) is not None
    assert name in dir(fejer)


@pytest.mark.parametrize("name", _lazy.submodules())
def test_every_public_submodule_loads(name):
    """The module itself, or a public function that bears its name."""
    assert importlib.import_module(f"fejer.{name}").__doc__


def test_names_are_loaded_once():
    assert "minimize" in dir(fejer)
    assert fejer.minimize is fejer.minimize
    assert "minimize" in vars(fejer)


def test_prox_is_the_module_of_numerics():
    assert fejer.prox is importlib.import_module("fejer.numerics.prox")


def test_unknown_name_is_told_the_nearest():
    with pytest.raises(AttributeError, match=r"no attribute 'minimise'\. Did you mean 'minimize'"):
        fejer.minimise  # noqa: B018
    with pytest.raises(AttributeError, match="Did you mean 'Problem'"):
        fejer.problm  # noqa: B018
    assert not hasattr(fejer, "qqqqqqqqqq")


def test_private_names_are_not_searched_for(monkeypatch):
    monkeypatch.setattr(_lazy, "_find", lambda name: pytest.fail("searched"))
    assert not hasattr(fejer, "__wrapped__")


def test_names_are_found_by_file_name(tmp_path, empty_tables):
    zoo = tmp_path / "problems" / "zoo"
    zoo.mkdir(parents=True)
    (zoo / "__init__.py").touch()
    (zoo / "entropic_zebra.py").write_text("class EntropicZEBRA:\n    pass\n\nclass Other: ...\n")
    (zoo / "feed.py").write_text("def feed():\n    return 'fed'\n")
    (zoo / "keepers.py").write_text("def hire():\n    return 'hired'\n")
    (zoo / "_hidden.py").write_text("class Hidden: ...\n")
    (tmp_path / "problems" / "bare").mkdir()
    (tmp_path / "problems" / "bare" / "lost.py").write_text("class Lost: ...\n")
    fejer.__path__.insert(0, str(tmp_path))
    fejer.problems.__path__.append(str(tmp_path / "problems"))
    try:
        assert fejer.EntropicZEBRA.__module__ == "fejer.problems.zoo.entropic_zebra"
        assert fejer.feed() == "fed"  # a function in a file of its own name
        assert fejer.keepers.hire() == "hired"  # a file of functions is a module
        assert {"EntropicZEBRA", "feed", "keepers"} <= set(_lazy.discovered())
        for hidden in ("Hidden", "Lost", "Other", "entropic_zebra", "Entropiczebra"):
            assert not hasattr(fejer, hidden)
    finally:
        fejer.problems.__path__.pop()


def test_no_two_public_names_collide():
    """A name found by file name may not be hidden by the table or by a module of fejer/."""
    taken = {*_lazy._TABLE, *_lazy._ALIASES, *_lazy.submodules()}
    assert not taken & set(_lazy.discovered())


@pytest.mark.parametrize("folder", ["problems", "solvers", "benchmarks"])
def test_folders_refuse_a_second_name(folder):
    code = f"""
        try:
            import {folder}
        except ImportError as error:
            print(error)
    """
    assert run(code) == f"{folder}: this folder is the package fejer.{folder}"


def test_stub_is_current():
    stub = HOME / "fejer" / "__init__.pyi"
    assert stub.read_text(encoding="utf-8") == _lazy.stub(), "run: python -m fejer stub"


def test_stub_names_what_there_is():
    scope = {}
    for line in _lazy.stub().splitlines():
        if line.startswith("from "):
            exec(line, scope)
    names = set(scope) - {"__builtins__"}
    assert names == {name for name in _lazy.names() if not name.startswith("_")}
