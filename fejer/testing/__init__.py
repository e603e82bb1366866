"""The laws that every problem and every method obeys, for contributors and for our own tests.

`check_problem` and `check_method` run all laws on one instance and raise AssertionError with the
broken law in the message.
"""

from __future__ import annotations

from ..catalogue import problem_classes
from ..method import Method, registry
from ..problem import Problem
from .method_laws import METHOD_LAWS, bad_options, check_options
from .problem_laws import PROBLEM_LAWS, hostile_witnesses, moved, solution

__all__ = [
    "METHOD_LAWS",
    "PROBLEM_LAWS",
    "bad_options",
    "check_method",
    "check_options",
    "check_problem",
    "hostile_witnesses",
    "moved",
    "pairs",
    "problem_classes",
    "solution",
]


def pairs() -> list[tuple[type[Method], type[Problem]]]:
    """Return every (method, problem class) that go together with default options."""
    return [
        (method, cls)
        for method in registry()
        for cls in problem_classes()
        if method.treats(cls) and method.suits(cls.random())
    ]


def check_method(method: str | Method | type[Method], problem: Problem | None = None) -> list[str]:
    """Run all laws of methods on one instance.

    Parameters
    ----------
    method : str, Method or type
        The method.
    problem : Problem, optional
        The instance; default: ``random()`` of each class that the method treats.

    Returns
    -------
    list of str
        Names of the laws that were checked.

    Raises
    ------
    AssertionError
        Names the broken law.

    Examples
    --------
    >>> import fejer
    >>> "splits" in check_method("averaged", fejer.FixedPoint.random())
    True
    """
    if isinstance(method, str):
        named = [m for m in registry() if m.name == method]
        named = [m for m in named if problem is None or m.treats(problem)]
        assert named, f"no method {method!r} treats this problem"
        method = named[0]
    made = method() if isinstance(method, type) else method
    instances = [problem] if problem else [c.random() for c in problem_classes() if made.treats(c)]
    check_options(type(made))
    for instance in instances:
        if made.supports(instance) is not None:
            continue
        for name, law in METHOD_LAWS.items():
            try:
                law(made, instance)
            except AssertionError as error:
                text = f"{made.name} on {type(instance).__name__} breaks '{name}': {error}"
                raise AssertionError(text) from error
    return list(METHOD_LAWS)


def check_problem(problem: Problem, method: str | Method | type[Method] = "auto") -> list[str]:
    """Run all laws of problems on one instance.

    Parameters
    ----------
    problem : Problem
        The instance.
    method : str, Method or type, default "auto"
        What solves it: the laws start from an accurate solution.

    Returns
    -------
    list of str
        Names of the laws that were checked.

    Raises
    ------
    AssertionError
        Names the broken law.

    Examples
    --------
    >>> import fejer
    >>> len(check_problem(fejer.FixedPoint.random())) > 4
    True
    """
    accurate = solution(problem, method)
    for name, law in PROBLEM_LAWS.items():
        try:
            law(problem, accurate)
        except AssertionError as error:
            text = f"{type(problem).__name__} breaks '{name}': {error}"
            raise AssertionError(text) from error
    return list(PROBLEM_LAWS)
