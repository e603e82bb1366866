"""Suites: one file each, found by the name ``SUITE`` (a Suite, or a tuple of them)."""

from __future__ import annotations

import pkgutil
from importlib import import_module
from typing import TYPE_CHECKING

from fejer.errors import FejerError, did_you_mean

if TYPE_CHECKING:
    from fejer.benchmarks.suite import Suite

__all__ = ["load", "suites"]


def suites() -> dict[str, Suite]:
    """Return all suites by name.

    Returns
    -------
    dict of str to Suite
        In the order of the file names.

    Examples
    --------
    >>> "smoke" in suites()
    True
    """
    found: dict[str, Suite] = {}
    for module in pkgutil.iter_modules(__path__, f"{__name__}."):
        told = import_module(module.name).SUITE
        found.update(
            (suite.name, suite) for suite in (told if isinstance(told, tuple) else (told,))
        )
    return found


def load(name: str) -> Suite:
    """Return the suite of a name.

    Parameters
    ----------
    name : str
        As ``fejer bench list`` prints it.

    Returns
    -------
    Suite
        The suite.

    Raises
    ------
    FejerError
        There is none; the nearest name is suggested.

    Examples
    --------
    >>> load("smoke").name
    'smoke'
    """
    known = suites()
    if name not in known:
        raise FejerError(f"unknown suite {name!r}. {did_you_mean(name, known)}")
    return known[name]
