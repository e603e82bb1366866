"""Exceptions of fejer, each also the standard exception that a caller would expect.

Bad input raises; an unlucky run does not: it ends with a status (see `fejer.Status`).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = [
    "CheckpointError",
    "FejerError",
    "MethodError",
    "MissingDependencyError",
    "OptionError",
    "OracleError",
    "ProblemError",
    "did_you_mean",
]


class FejerError(Exception):
    """Base of all exceptions that fejer raises on purpose."""


class ProblemError(FejerError, ValueError):
    """The data of a problem, or a start point, are not what the class expects."""


class MethodError(FejerError, ValueError):
    """No method of that name, or a method that does not treat this problem."""


class OptionError(FejerError, TypeError):
    """An unknown option, or a value outside what the option accepts."""


class OracleError(FejerError, ValueError):
    """A user's function returned a wrong shape or nan at the start, or belies its constants."""


class CheckpointError(FejerError, ValueError):
    """A checkpoint file that is broken, or belongs to another run."""


class MissingDependencyError(FejerError, ImportError):
    """An optional package is needed for this call."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Sentence that lists what is known, the nearest name first.

    Parameters
    ----------
    name : str
        What was asked for.
    known : iterable of str
        What exists.

    Returns
    -------
    str
        ``"Did you mean 'bcd'? Known: bcd, fista"``, without the question where nothing is near.

    Examples
    --------
    >>> did_you_mean("cdd", ["bcd", "fista"])
    "Did you mean 'bcd'? Known: bcd, fista"
    """
    names = sorted(set(known))
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    question = f"Did you mean {near[0]!r}? " if near else ""
    return f"{question}Known: {', '.join(names) or 'none'}"


def missing(package: str, what: str, extra: str) -> MissingDependencyError:
    """Build the error for an absent optional package."""
    return MissingDependencyError(f"{package} is needed for {what}: pip install fejer[{extra}]")
