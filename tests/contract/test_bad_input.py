"""Bad inputs made from the declarations: each gets one of our errors, and it names the argument."""

from dataclasses import fields

import numpy as np
import pytest

import fejer
from fejer import testing
from fejer.method import registry

CLASSES = testing.problem_classes()


class Odd:
    """An object that is no data at all."""

    def __repr__(self):
        return "<odd>"


# No field of any class can mean any of these.
NEVER = {
    "an object": Odd(),
    "a text": "no such thing",
    "complex": np.array([1.0 + 2.0j, 3.0]),
    "a set": {1, 2},
    "text in an array": np.array(["a", "b"]),
    "three dimensions": np.full((1, 1, 0), 1.0),
    "ragged": [[1.0, 2.0], [3.0]],
    "not a number": np.array([np.nan, np.nan]),
}
# ... except where a field hands anything on to the user's own function.
FIELDS = [
    (cls, spec.name, what)
    for cls in CLASSES
    for spec in fields(cls)
    for what in NEVER
    if spec.name != "args"
]


@pytest.mark.parametrize(("cls", "name", "what"), FIELDS)
def test_field(cls, name, what):
    with pytest.raises(fejer.FejerError, match=name) as caught:
        cls.random().replace(**{name: NEVER[what]})
    assert isinstance(caught.value, ValueError | TypeError)


OPTIONS = [(method, *pair) for method in registry() for pair in testing.bad_options(method)]


@pytest.mark.parametrize(("method", "name", "value"), OPTIONS)
def test_option(method, name, value):
    with pytest.raises(fejer.OptionError, match=rf"{method.name}: {name} must be"):
        method.make({name: value})


@pytest.mark.parametrize("method", registry(), ids=lambda m: m.__qualname__)
def test_unknown_option(method):
    with pytest.raises(fejer.OptionError, match="unknown option 'no_such'"):
        method.make({"no_such": 1})


@pytest.mark.parametrize("cls", CLASSES, ids=lambda c: c.__name__)
def test_unknown_field(cls):
    with pytest.raises(fejer.ProblemError, match="no field 'no_such'"):
        cls.random().replace(no_such=1)


@pytest.mark.parametrize("cls", CLASSES, ids=lambda c: c.__name__)
@pytest.mark.parametrize("bad", [np.nan, np.inf, "text", [], [[0.0]], Odd(), 1j])
def test_start(cls, bad):
    problem = cls.random()
    x0 = np.full(problem.size, bad) if isinstance(bad, float) else bad
    with pytest.raises(fejer.ProblemError, match="x0"):
        fejer.minimize(problem, x0)


@pytest.mark.parametrize("cls", CLASSES, ids=lambda c: c.__name__)
@pytest.mark.parametrize("bad", ["text", [], [[0.0]], Odd(), 1j])
def test_verified_point(cls, bad):
    with pytest.raises(fejer.ProblemError, match="x: expected"):
        fejer.verify(cls.random(), bad)


@pytest.mark.parametrize("cls", CLASSES, ids=lambda c: c.__name__)
def test_methods(cls):
    problem = cls.random()
    with pytest.raises(fejer.MethodError, match="unknown method 'no such'"):
        fejer.minimize(problem, method="no such")
    strangers = [m for m in registry() if not m.treats(cls)]
    for method in strangers:
        if any(m.name == method.name and m.treats(cls) for m in registry()):
            continue
        with pytest.raises(fejer.MethodError, match=f"{method.name} does not treat {cls.__name__}"):
            fejer.minimize(problem, method=method.name)
    suited = [entry.name for entry in fejer.methods(problem)]
    for method in registry():
        if method.treats(cls) and method.name not in suited:
            told = ", ".join(sorted(set(suited)))
            with pytest.raises(fejer.MethodError, match=f"; methods that do: {told or 'none'}$"):
                fejer.minimize(problem, method=method.name)
    for bad in (3, Odd(), None, Odd):
        with pytest.raises(fejer.MethodError, match="method"):
            fejer.minimize(problem, method=bad)
    with pytest.raises(fejer.OptionError, match="options"):
        fejer.minimize(problem, options={"step": 1.0})


@pytest.mark.parametrize("bad", [3, "text", None, Odd(), fejer.Lasso, [1.0]])
def test_problem(bad):
    with pytest.raises(fejer.ProblemError, match="problem"):
        fejer.minimize(bad)
    with pytest.raises(fejer.ProblemError, match="problem"):
        fejer.verify(bad, [1.0])


@pytest.mark.parametrize("name", ["jac", "hess", "bounds", "constraints", "args"])
def test_what_goes_with_a_callable(name):
    with pytest.raises(fejer.OptionError, match=name):
        fejer.minimize(fejer.Lasso.random(), **{name: (1,)})


def test_path():
    problem = fejer.Lasso.random()
    for arguments, said in (
        ({}, "exactly one field"),
        ({"lam": 3, "y": 3}, "exactly one field"),
        ({"no_such": 3}, "no field 'no_such'"),
        ({"l1_ratio": 3}, "l1_ratio"),
        ({"lam": 0}, "lam"),
        ({"lam": 3, "ratio": 2.0}, "lam"),
    ):
        with pytest.raises(fejer.ProblemError, match=said):
            fejer.path(problem, **arguments)


def test_there_are_hundreds():
    assert len(FIELDS) + len(OPTIONS) >= 300
