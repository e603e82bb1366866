"""Documentation of everything public: docstrings are complete, their examples run."""

import doctest
import importlib
import inspect
import pkgutil
import re
from pathlib import Path

import pytest
from numpydoc.docscrape import get_doc_object
from numpydoc.validate import validate

import fejer
from fejer import _lazy, jit, testing

HOME = Path(__file__).resolve().parents[2]
EXAMPLE_FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE

# numpydoc's codes: GL layout and sections, SS summary line, PR parameters.
CHECKED = set("GL03 GL05 GL06 GL07 GL08 GL10 SS01 SS02 SS03 SS04 SS06".split())
CHECKED |= set("PR01 PR02 PR03 PR04 PR05 PR06 PR07 PR10".split())


def walk():
    yield "fejer"
    for name in _lazy.submodules():
        yield f"fejer.{name}"
        module = importlib.import_module(f"fejer.{name}")
        if hasattr(module, "__path__"):
            for found in pkgutil.walk_packages(module.__path__, f"fejer.{name}."):
                yield found.name


MODULES = list(walk())


def is_public(module):
    return not any(part.startswith("_") for part in module.split("."))


def members(module):
    """The public classes and functions that a module defines.

    A module says in ``__all__`` what others may use; problems and methods are public anyway.
    """
    listed = {name for name, home in _lazy._TABLE.items() if home == module.__name__}
    listed |= set(getattr(module, "__all__", ()))
    if module.__name__.startswith(("fejer.problems.", "fejer.solvers.")):
        listed |= {name for name in vars(module) if not name.startswith("_")}
    for name in sorted(listed):
        thing = vars(module).get(name)
        if getattr(thing, "__module__", "") == module.__name__:
            if inspect.isclass(thing) or inspect.isfunction(thing):
                yield name, thing


def public():
    for name in filter(is_public, MODULES):
        module = importlib.import_module(name)
        for member, thing in members(module):
            yield f"{name}:{member}", thing


PUBLIC = dict(public())


def complaints(path, thing):
    """What numpydoc's validator finds, without what does not apply to this kind of thing."""
    found = validate(path.replace(":", "."))["errors"]
    wrong = [(code, text) for code, text in found if code in CHECKED]
    if inspect.isfunction(thing) and thing.__annotations__:
        # The annotation is the type, and mypy checks it.
        wrong = [(code, text) for code, text in wrong if code != "PR04"]
    if inspect.isclass(thing):
        # States are private to their method; an option has its text beside its bounds.
        if issubclass(thing, fejer.State) and thing is not fejer.State:
            return []
        described = bool(get_doc_object(thing)["Attributes"])
        if issubclass(thing, fejer.Method) or (described and not issubclass(thing, fejer.Problem)):
            wrong = [(code, text) for code, text in wrong if code != "PR01"]
    return wrong


@pytest.mark.parametrize("name", MODULES)
def test_module_is_described(name):
    assert importlib.import_module(name).__doc__


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name):
    module = importlib.import_module(name)
    report = []
    runner = doctest.DocTestRunner(optionflags=EXAMPLE_FLAGS)
    for test in doctest.DocTestFinder(exclude_empty=True).find(module):
        runner.run(test, out=report.append)
    assert runner.failures == 0, "".join(report)


@pytest.mark.parametrize("path", list(PUBLIC))
def test_docstring(path):
    assert not complaints(path, PUBLIC[path])


@pytest.mark.parametrize("path", [path for path in PUBLIC if inspect.isclass(PUBLIC[path])])
def test_public_methods_are_described(path):
    for name, member in vars(PUBLIC[path]).items():
        if not name.startswith("_") and (
            inspect.isfunction(member) or isinstance(member, property)
        ):
            # getdoc finds what a base class says of the same method
            assert inspect.getdoc(getattr(PUBLIC[path], name)), name


@pytest.mark.parametrize("name", [name for name in MODULES if name.startswith("fejer.numerics")])
def test_shared_kernels_are_described(name):
    for member, thing in vars(importlib.import_module(name)).items():
        if isinstance(thing, jit.Kernel) and not member.startswith("_"):
            assert thing.__doc__, member


@pytest.mark.parametrize("name", sorted(_lazy.discovered()))
def test_problems_methods_and_functions_have_an_example(name):
    thing = getattr(fejer, name)
    if inspect.isclass(thing) or inspect.isfunction(thing):
        assert ">>>" in inspect.getdoc(thing)


def test_readme_lists_every_class_and_method():
    readme = (HOME / "README.md").read_text(encoding="utf-8")
    table = readme.partition("## Families")[2]
    names = {cls.__name__ for cls in testing.problem_classes()} | {m.name for m in fejer.registry()}
    assert not {name for name in names if f"`{name}`" not in table}


def test_readme_examples_run():
    readme = (HOME / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```(?:python|pycon)\n(.*?)```", readme, re.DOTALL)
    assert all(">>>" in block for block in blocks), "sessions, so that their output is checked"
    report = []
    runner = doctest.DocTestRunner(optionflags=EXAMPLE_FLAGS)
    session = "\n".join(blocks)  # a reader goes from top to bottom
    test = doctest.DocTestParser().get_doctest(session, {}, "README.md", "README.md", 0)
    runner.run(test, out=report.append)
    assert runner.failures == 0, "".join(report)


def test_the_checks_notice(monkeypatch):
    def shape(x, y):
        """shape of it

        Parameters
        ----------
        x : array
            Any.
        """

    monkeypatch.setattr(fejer.errors, "shape", shape, raising=False)
    codes = {code for code, _ in complaints("fejer.errors:shape", shape)}
    assert {"SS02", "SS03", "PR01"} <= codes
