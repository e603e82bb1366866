"""The benchopt benchmark that a suite becomes."""

import subprocess
import sys

import pytest

from fejer.benchmarks.engine import main
from fejer.benchmarks.export import export
from fejer.benchmarks.suites import suites
from fejer.errors import FejerError


@pytest.mark.parametrize("suite", suites().values(), ids=lambda suite: suite.name)
def test_files_are_python_and_solvers_have_names_of_their_own(tmp_path, suite):
    written = export(suite, tmp_path / "made")
    solvers = [path for path in written if path.parent.name == "solvers"]
    assert len(set(solvers)) == len(suite.contenders) + len(suite.peers)
    for path in written:
        if path.suffix == ".py":
            compile(path.read_text(), str(path), "exec")


def test_recipes_come_back(tmp_path):
    suite = suites()["lasso"]
    export(suite, tmp_path / "made")
    source = (tmp_path / "made" / "datasets" / "lasso.py").read_text()
    scope = {}
    exec(source[source.index("RECIPES") : source.index("class Dataset")], scope)
    assert [r["label"] for r in scope["RECIPES"].values()] == [i.label for i in suite.instances]


def test_a_folder_that_holds_something_is_refused(tmp_path):
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(FejerError, match="expected a new or an empty folder"):
        export(suites()["smoke"], tmp_path)
    with pytest.raises(FejerError, match="expected a new or an empty folder"):
        export(suites()["smoke"], tmp_path / "mine.txt")


def test_the_command_says_what_it_wrote(tmp_path, capsys):
    assert main(["export", "constrained", str(tmp_path / "made")]) == 0
    assert "objective.py" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.peers
def test_benchopt_runs_it(tmp_path):
    pytest.importorskip("benchopt")
    folder = tmp_path / "made"
    export(suites()["smoke"], folder)
    dataset = "smoke[instance=lasso_100_x_200,draw=0]"
    command = [sys.executable, "-m", "benchopt", "run", str(folder), "-d", dataset]
    settings = ["-n", "3", "-r", "1", "--timeout", "20", "--no-display", "--no-plot", "--no-cache"]
    solvers = ["-s", "fejer_bcd", "-s", "fejer_fista"]
    done = subprocess.run(
        command + settings + solvers, capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert list((folder / "outputs").glob("*.parquet")), done.stdout
