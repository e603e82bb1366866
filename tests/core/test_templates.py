"""A problem and a method dropped into a copy of the tree are found, listed and tested."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fejer import testing
from fejer.problems._template import RidgeTemplate
from fejer.solvers._template import GradientTemplate

HOME = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """The tree with the two templates as public files, and nothing else changed."""
    root = tmp_path_factory.mktemp("copy")
    for folder in ("fejer", "problems", "solvers", "benchmarks", "tests"):
        shutil.copytree(HOME / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("pyproject.toml", "setup.cfg"):
        shutil.copy(HOME / file, root / file)
    shutil.copy(HOME / "problems/_template.py", root / "problems/sparse/ridge_template.py")
    method = (HOME / "solvers/_template.py").read_text(encoding="utf-8")
    method = method.replace("fejer.problems._template", "fejer.problems.sparse.ridge_template")
    (root / "solvers/sparse/gradient_template.py").write_text(method, encoding="utf-8")
    return root


def python(root, *words):
    environment = os.environ | {"PYTHONPATH": str(root)}
    command = [sys.executable, *words]
    done = subprocess.run(
        command, cwd=root, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


def test_templates_obey_the_laws():
    problem = RidgeTemplate.random()
    assert testing.check_problem(problem, GradientTemplate)
    assert testing.check_method(GradientTemplate, problem)


def test_templates_are_not_public():
    assert RidgeTemplate not in testing.problem_classes()
    assert GradientTemplate not in [method for method, _ in testing.pairs()]


def test_a_dropped_method_is_listed(copy):
    assert "gradient-template" in python(copy, "-m", "fejer", "methods", "RidgeTemplate")
    assert "step = 1.0" in python(copy, "-m", "fejer", "methods", "gradient-template")


def test_a_dropped_problem_is_public_and_solved(copy):
    code = "import fejer; print(fejer.minimize(fejer.RidgeTemplate.random()).success)"
    assert python(copy, "-c", code) == "True\n"


def test_the_laws_find_them(copy):
    words = ["-m", "pytest", "-q", "tests/contract/test_laws.py", "-k", "RidgeTemplate"]
    assert " passed" in python(copy, *words, "-p", "no:cacheprovider")


def test_the_stub_is_the_only_edit(copy):
    stub = copy / "fejer" / "__init__.pyi"
    before = stub.read_text(encoding="utf-8")
    python(copy, "-m", "fejer", "stub")
    after = stub.read_text(encoding="utf-8")
    assert "RidgeTemplate" in after and "RidgeTemplate" not in before
