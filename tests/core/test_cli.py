"""The command line."""

import subprocess
import sys
import types
from dataclasses import dataclass
from pathlib import Path

import pytest

import fejer
from fejer import _lazy, cli

HOME = Path(__file__).resolve().parents[2]


def run(capsys, *words):
    code = cli.main(words)
    return code, capsys.readouterr()


def test_module_runs():
    command = [sys.executable, "-m", "fejer", "--version"]
    done = subprocess.run(command, cwd=HOME, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == fejer.__version__


def test_unknown_words_are_refused(capsys):
    for words in (["fly"], [], ["info", "--fast"]):
        with pytest.raises(SystemExit) as stop:
            cli.main(words)
        assert stop.value.code == 2
    assert "unrecognized arguments: --fast" in capsys.readouterr().err


def test_methods_lists_all_or_describes_one(capsys):
    code, out = run(capsys, "methods")
    assert code == 0
    for method in fejer.registry():
        assert method.name in out.out
        assert f"\n{method.__doc__.splitlines()[0]}" in run(capsys, "methods", method.name)[1].out


def test_unknown_method_is_an_error_with_a_sentence(capsys):
    code, out = run(capsys, "methods", "no-such-method")
    assert code == 2
    assert out.err.startswith("fejer: unknown method 'no-such-method'")
    assert not out.out


def test_info_names_versions_cache_and_threads(capsys):
    code, out = run(capsys, "info")
    rows = dict(line.split(maxsplit=1) for line in out.out.splitlines())
    assert code == 0
    assert {"fejer", "python", "kernels", "methods", "blas", *cli.REQUIRED} <= set(rows)
    assert rows["numpy"] == __import__("numpy").__version__
    assert int(rows["methods"]) == len(fejer.registry())


def test_info_knows_what_is_absent():
    assert cli._version("a-package-that-nobody-made") == "not installed"


def test_stub_writes_the_public_names(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(_lazy, "__file__", str(tmp_path / "_lazy.py"))
    monkeypatch.setattr(_lazy, "stub", lambda: "names")
    code, _ = run(capsys, "stub")
    assert code == 0
    assert (tmp_path / "__init__.pyi").read_text() == "names"


@pytest.mark.parametrize("command", ["demo", "bench"])
def test_commands_with_their_own_parser(command, monkeypatch):
    seen = []
    module = types.ModuleType("fejer.benchmarks.stand_in")
    module.main = lambda words: seen.append(words) or 3
    targets = {"demo": "fejer.benchmarks.demo", "bench": "fejer.benchmarks.engine"}
    monkeypatch.setitem(sys.modules, targets[command], module)
    monkeypatch.setattr(cli, "find_spec", lambda name: True)
    assert cli.main([command, "run", "--out", "folder", "--help"]) == 3
    assert seen == [["run", "--out", "folder", "--help"]]


def test_bench_exists_only_with_the_engine(monkeypatch, capsys):
    monkeypatch.setattr(cli, "find_spec", lambda name: None)
    with pytest.raises(SystemExit):
        cli.main(["bench", "list"])
    assert "invalid choice: 'bench'" in capsys.readouterr().err


def test_warmup_solves_a_small_instance_with_every_method(monkeypatch, capsys):
    class Plain(fejer.Problem):
        @classmethod
        def random(cls, *, seed=0):
            return cls()

    @dataclass(frozen=True, eq=False)
    class Able(fejer.Method):
        name, solves = "able", (Plain,)

    calls = []
    monkeypatch.setattr(fejer.testing, "pairs", lambda: [(Able, Plain)])
    monkeypatch.setattr(
        fejer,
        "minimize",
        lambda problem, **options: calls.append((type(problem), options)),
        raising=False,
    )
    code, out = run(capsys, "warmup")
    assert code == 0
    assert calls == [(Plain, {"method": Able, "max_iter": 3})]
    assert "able" in out.out
    assert "kernels" in out.out
