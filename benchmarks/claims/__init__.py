"""What was published, said beside what is measured here: one file for each family.

``python -m fejer.benchmarks.claims [FAMILY [CLAIM ...]]`` measures the claims of a family, or those
whose names are given, and prints for each what was said, what came out here and whether it holds.
A claim that does not hold is printed as it fell.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

__all__ = ["Claim", "Found", "claim", "claims", "families", "main"]

Found: TypeAlias = Iterator[tuple[str, bool | None]]


@dataclass(frozen=True)
class Claim:
    """A sentence that a measurement can confirm or refute.

    Attributes
    ----------
    name : str
        Its name at the command line.
    said : str
        What was published or is wanted.
    measure : callable
        ``measure()`` yields pairs ``(what came out, whether it holds)``; None instead of a truth
        value marks a figure that nothing was claimed about.
    """

    name: str
    said: str
    measure: Callable[[], Found]


def claim(said: str) -> Callable[[Callable[[], Found]], Claim]:
    """Make a claim of a generator function, whose name it takes.

    Parameters
    ----------
    said : str
        What was published or is wanted.

    Returns
    -------
    callable
        A decorator.

    Examples
    --------
    >>> @claim("the square root of 4 is 2")
    ... def square_root():
    ...     yield f"{4**0.5:g}", 4**0.5 == 2
    >>> square_root.name, list(square_root.measure())
    ('square-root', [('2', True)])
    """

    def decorate(measure: Callable[[], Found]) -> Claim:
        return Claim(measure.__name__.replace("_", "-"), said, measure)

    return decorate


def families() -> list[str]:
    """Return the names of the files of claims.

    Returns
    -------
    list of str
        Names for the command line.
    """
    names = (entry.name for entry in pkgutil.iter_modules(__path__))
    return sorted(name for name in names if not name.startswith("_"))


def claims(family: str) -> list[Claim]:
    """Return the claims of one family.

    Parameters
    ----------
    family : str
        One of `families`.

    Returns
    -------
    list of Claim
        In the order of the file.
    """
    module = importlib.import_module(f"{__name__}.{family}")
    return [value for value in vars(module).values() if isinstance(value, Claim)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print.

    Parameters
    ----------
    arguments : sequence of str, optional
        A family and names of claims; by default the command line's.

    Returns
    -------
    int
        0, or 2 for an unknown name.
    """
    family, *wanted = (sys.argv[1:] if arguments is None else list(arguments)) or [""]
    if family not in families():
        print("families:", ", ".join(families()))
        return 2
    known = claims(family)
    unknown = set(wanted) - {entry.name for entry in known}
    if unknown:
        print("claims of", family + ":", ", ".join(entry.name for entry in known))
        return 2
    held = fallen = 0
    for entry in known:
        if wanted and entry.name not in wanted:
            continue
        print(f"{entry.name}: {entry.said}", flush=True)
        begun = time.perf_counter()
        for text, holds in entry.measure():
            mark = {True: "holds", False: "FALLS", None: "-"}[
                None if holds is None else bool(holds)
            ]
            print(f"  {mark:6}{text}", flush=True)
            held += mark == "holds"
            fallen += mark == "FALLS"
        print(f"        ({time.perf_counter() - begun:.1f} s)")
    print(f"{held} hold, {fallen} fall")
    return 0
