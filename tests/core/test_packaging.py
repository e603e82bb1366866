"""What is installed is what lies in the folders, whichever way it is installed."""

import configparser
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

import fejer

HOME = Path(__file__).resolve().parents[2]
FOLDERS = ("fejer", "problems", "solvers", "benchmarks")


def setup():
    parser = configparser.ConfigParser()
    parser.read(HOME / "setup.cfg", encoding="utf-8")
    return parser


def python_folders(home):
    """Folders below the four that hold Python files, or folders that do."""
    files = [file for folder in FOLDERS for file in (home / folder).rglob("*.py")]
    return {
        parent.relative_to(home)
        for file in files
        for parent in file.parents
        if parent != home and parent.is_relative_to(home)
    }


def without_init(home):
    return sorted(str(f) for f in python_folders(home) if not (home / f / "__init__.py").is_file())


def import_name(folder):
    parts = folder.parts if folder.parts[0] == "fejer" else ("fejer", *folder.parts)
    return ".".join(parts)


def words(text):
    return text.split()


def test_setup_lists_every_package():
    listed = words(setup()["options"]["packages"])
    assert listed == sorted(import_name(folder) for folder in python_folders(HOME))


def test_every_folder_is_a_package():
    assert without_init(HOME) == []


def test_a_folder_without_init_is_noticed(tmp_path):
    nested = tmp_path / "solvers" / "zoo" / "zebras"
    nested.mkdir(parents=True)
    (tmp_path / "solvers" / "__init__.py").touch()
    (nested / "__init__.py").touch()
    assert without_init(tmp_path) == ["solvers/zoo"]


def test_folders_are_mapped():
    pairs = [line.split(" = ") for line in setup()["options"]["package_dir"].strip().splitlines()]
    assert pairs == [
        [f"fejer.{folder}", folder] for folder in ("problems", "solvers", "benchmarks")
    ]


def test_extras_refer_to_each_other_and_have_floors_for_what_we_call():
    extras = setup()["options.extras_require"]
    assert set(extras) == set(
        words("constrained plot bench demo oracle cutest cluster peers docs test dev")
    )
    for required in "\n".join(extras.values()).split():
        for name in re.findall(r"fejer\[([\w,]+)\]", required):
            assert set(name.split(",")) <= set(extras)
    for requirement in words(setup()["options"]["install_requires"]):
        assert ">=" in requirement


def test_supported_python_is_said_once():
    options, metadata = setup()["options"], setup()["metadata"]
    config = tomllib.loads((HOME / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    oldest = options["python_requires"].removeprefix(">=")
    assert config["mypy"]["python_version"] == oldest
    assert config["ruff"]["target-version"] == "py" + oldest.replace(".", "")
    classifiers = re.findall(r"Python :: (3\.\d+)", metadata["classifiers"])
    assert classifiers[0] == oldest


def test_version_and_license_agree():
    metadata = setup()["metadata"]
    assert metadata["version"] == "attr: fejer.__version__"
    citation = (HOME / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {fejer.__version__}\n" in citation
    assert f"\nlicense: {metadata['license']}\n" in citation
    assert (HOME / "LICENSE").read_text(encoding="utf-8").startswith(metadata["license"])


def test_types_are_shipped():
    assert (HOME / "fejer" / "py.typed").is_file()
    assert words(setup()["options.package_data"]["fejer"]) == ["py.typed,", "*.pyi"]


@pytest.mark.parametrize(("name", "module"), [("demo", "fejer demo"), ("test", "pytest")])
def test_readme_commands_set_up_everything_themselves(name, module):
    readme = (HOME / "README.md").read_text(encoding="utf-8")
    found = re.findall(rf"<!-- ci: {name} -->\n```\w*\n(.*?)\n```", readme, re.DOTALL)
    assert len(found) == 1
    assert found[0].startswith("python3 -m venv .venv && ")
    assert f'.venv/bin/pip install -q ".[{name}]"' in found[0]
    assert f".venv/bin/python -m {module}" in found[0]
    assert f"run_readme {name}" in (HOME / ".ci" / "run").read_text(encoding="utf-8")


# Building and installing ------------------------------------------------------------------------

UNWANTED = shutil.ignore_patterns(
    ".git", ".venv", "build", "dist", "*.egg-info", "__pycache__", ".*_cache", ".hypothesis"
)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A copy, since building writes into the folder."""
    copy = tmp_path_factory.mktemp("checkout") / "fejer"
    shutil.copytree(HOME, copy, ignore=UNWANTED)
    return copy


@pytest.fixture(scope="module")
def sdist(checkout, tmp_path_factory):
    target = tmp_path_factory.mktemp("sdist")
    call(sys.executable, "-m", "build", "--sdist", "--outdir", target, checkout)
    return one(target.glob("*.tar.gz"))


@pytest.fixture(scope="module")
def wheel(checkout, tmp_path_factory):
    return build_wheel(checkout, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def wheel_from_sdist(sdist, tmp_path_factory):
    return build_wheel(sdist, tmp_path_factory.mktemp("wheel_from_sdist"))


def build_wheel(source, target):
    call(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", target, source)
    return one(target.glob("*.whl"))


def one(found):
    (path,) = found
    return path


def call(*command, cwd=None):
    """Run in an environment from which neither this checkout nor its settings can be seen."""
    hidden = {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"}
    environment = {key: value for key, value in os.environ.items() if key not in hidden}
    done = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, cwd=cwd, env=environment
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


def members(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    return sorted(name for name in names if not name.endswith("/"))


def sources(home):
    """Where each source file lies in a wheel."""
    files = [f.relative_to(home) for folder in FOLDERS for f in (home / folder).rglob("*.py")]
    return {str(f if f.parts[0] == "fejer" else "fejer" / f) for f in files}


@pytest.mark.slow
def test_wheel_holds_all_sources_and_nothing_else(wheel, checkout):
    names = set(members(wheel))
    extra = {name for name in names - sources(checkout) if ".dist-info/" not in name}
    assert sources(checkout) <= names
    assert extra == {"fejer/py.typed", "fejer/__init__.pyi"}
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


@pytest.mark.slow
def test_wheel_from_sdist_is_the_same(wheel, wheel_from_sdist):
    assert members(wheel) == members(wheel_from_sdist)


@pytest.mark.slow
def test_sdist_holds_what_a_developer_needs(sdist, checkout):
    names = {name.partition("/")[2] for name in tarfile.open(sdist).getnames()}
    tests = {str(file.relative_to(checkout)) for file in (checkout / "tests").rglob("*.py")}
    files = "LICENSE README.md CHANGELOG.md CITATION.cff MANIFEST.in pyproject.toml setup.cfg"
    assert tests | set(words(files)) | {".ci/run", ".ci/typecheck"} <= names
    assert {name.removeprefix("fejer/") for name in sources(checkout)} <= {
        name.removeprefix("fejer/") for name in names
    }
    assert not [name for name in names if "__pycache__" in name or name.startswith(".venv")]


@pytest.fixture(scope="module", params=["wheel", "wheel_from_sdist", "editable"])
def installed(request, checkout, tmp_path_factory):
    """A Python that has the package installed, beside the dependencies of this one."""
    home = tmp_path_factory.mktemp(request.param)
    venv.create(home, symlinks=True)
    python = home / "bin" / "python"
    library = call(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))")
    (Path(library) / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    if request.param == "editable":
        source = ("-e", checkout)
    else:
        source = (request.getfixturevalue(request.param),)
    pip = (sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-deps")
    call(*pip, "--ignore-installed", *source)
    return python


WALK = """
import importlib, os, pkgutil
import fejer
count = 0
for folder in ("numerics", "problems", "solvers", "benchmarks"):
    package = importlib.import_module("fejer." + folder)
    for found in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        importlib.import_module(found.name)
        count += 1
fejer.registry()
print(count, os.path.dirname(fejer.__file__))
"""


@pytest.mark.slow
@pytest.mark.parametrize("inside", [False, True], ids=["outside", "inside"])
def test_installed_package_is_whole(installed, inside, checkout, tmp_path):
    count, home = call(installed, "-c", WALK, cwd=checkout if inside else tmp_path).split()
    here = [name for name in sources(checkout) if not re.fullmatch(r"fejer/[^/]*\.py", name)]
    assert int(count) == len(here) - len(("numerics", *FOLDERS[1:]))
    assert inside == Path(home).is_relative_to(checkout) or installed.parts[-3].startswith(
        "editable"
    )


@pytest.mark.slow
def test_command_is_installed(installed, tmp_path):
    script = installed.with_name("fejer")
    assert call(script, "--version", cwd=tmp_path) == fejer.__version__
    assert "numba" in call(script, "info", cwd=tmp_path)
