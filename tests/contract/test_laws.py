"""The laws, over everything registered: nothing here is extended by hand."""

from functools import cache

import pytest

from fejer import testing
from fejer.method import registry

PAIRS = testing.pairs()


@pytest.mark.parametrize("law", list(testing.METHOD_LAWS))
@pytest.mark.parametrize(("method", "cls"), PAIRS, ids=[f"{m.name}-{c.__name__}" for m, c in PAIRS])
def test_method(method, cls, law):
    testing.METHOD_LAWS[law](method(), cls.random())


@cache
def solution(cls):
    return testing.solution(cls.random())


@pytest.mark.parametrize("law", list(testing.PROBLEM_LAWS))
@pytest.mark.parametrize("cls", testing.problem_classes(), ids=lambda c: c.__name__)
def test_problem(cls, law):
    testing.PROBLEM_LAWS[law](cls.random(), solution(cls))


@pytest.mark.parametrize("method", registry(), ids=lambda m: f"{m.__qualname__}")
def test_options(method):
    testing.check_options(method)


def test_every_method_meets_a_problem():
    met = {method for method, _ in PAIRS}
    assert met == set(registry())


def test_every_problem_meets_a_method():
    assert {cls for _, cls in PAIRS} == set(testing.problem_classes())
