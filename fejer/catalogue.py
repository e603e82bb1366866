"""The list of methods, as people read it."""

from __future__ import annotations

import contextlib
import importlib
import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

from . import _lazy
from .errors import MethodError, did_you_mean
from .method import Method, Rate, registry
from .problem import Problem

__all__ = ["Catalogue", "Entry", "methods", "problem_classes"]


def problem_classes() -> tuple[type[Problem], ...]:
    """Return every problem class of the library that can draw a random instance, by name.

    Examples
    --------
    >>> "FixedPoint" in [cls.__name__ for cls in problem_classes()]
    True
    """
    found = set()
    for module, _ in _lazy.files("problems"):
        for value in vars(importlib.import_module(module)).values():
            own = isinstance(value, type) and value.__module__ == module
            if own and issubclass(value, Problem) and "random" in vars(value):
                found.add(value)
    return tuple(sorted(found, key=lambda cls: cls.__name__))


@dataclass(frozen=True)
class Entry:
    """One line of `methods`.

    Attributes
    ----------
    name : str
        What ``method=`` is called with.
    solves : tuple of str
        Names of the problem classes.
    rate : Rate or None
        The theorem for the default options.
    options : dict
        Option name to (default, meaning).
    cites : tuple of str
        Sources.
    """

    name: str
    solves: tuple[str, ...]
    rate: Rate | None
    options: dict[str, tuple[Any, str]]
    cites: tuple[str, ...]
    method: type[Method]

    @classmethod
    def of(cls, method: type[Method]) -> Entry:
        options = {f.name: (f.default, f.metadata["doc"]) for f in fields(method)}  # type: ignore[arg-type]
        solves = tuple(cls.__name__ for cls in problem_classes() if method.treats(cls))
        return cls(method.name, solves, method().rate, options, method.cites, method)


class Catalogue(Sequence[Entry]):
    """What `methods` returns: a sequence of entries that prints as a table.

    Parameters
    ----------
    entries : sequence of Entry
        What to list.
    full : bool, default False
        Print each entry as a page instead of a line.
    """

    def __init__(self, entries: Sequence[Entry], full: bool = False) -> None:
        self._entries, self._full = tuple(entries), full

    def __getitem__(self, index: Any) -> Any:
        return self._entries[index]

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries)

    def __repr__(self) -> str:
        return "\n\n".join(map(_page, self)) if self._full else _table(self._entries)


def _table(entries: Sequence[Entry]) -> str:
    head = ("method", "solves", "theorem")
    rows = [(e.name, ", ".join(e.solves), e.rate.statement if e.rate else "-") for e in entries]
    wide = [max(len(r[i]) for r in (head, *rows)) for i in (0, 1)]
    lines = [f"{a:<{wide[0]}}  {b:<{wide[1]}}  {c}" for a, b, c in (head, *rows)]
    return "\n".join(line.rstrip() for line in lines)


def _page(entry: Entry) -> str:
    lines = [entry.name, "=" * len(entry.name), inspect.cleandoc(entry.method.__doc__ or ""), ""]
    lines.append(f"Solves: {', '.join(entry.solves)}")
    if entry.rate:
        lines.append(f"Theorem: {entry.rate.statement}")
        if entry.rate.assumptions:
            lines.append(f"Assumes: {entry.rate.assumptions}")
    lines.append("Options:" if entry.options else "Options: none")
    lines += [f"  {name} = {value!r}: {doc}" for name, (value, doc) in entry.options.items()]
    lines.append(f"Sources: {'; '.join(entry.cites) or '-'}")
    return "\n".join(lines)


def methods(of: Any = None) -> Catalogue:
    """List methods: all, those for a problem, or one in full.

    Parameters
    ----------
    of : Problem, type, str or None
        A problem: the methods that treat it, best first. A problem class or its name: those that
        treat problems of this class, some only for certain data. The name of a method: its
        formula, options and theorem.

    Returns
    -------
    Catalogue
        A sequence of entries with ``name, solves, rate, options, cites``; prints as a table.

    Raises
    ------
    MethodError
        A name that is neither a method nor a problem class.

    Examples
    --------
    >>> import fejer
    >>> fejer.methods("halpern")[0].name
    'halpern'
    """
    known = registry()
    if of is None:
        return Catalogue([Entry.of(m) for m in known])
    if isinstance(of, str):
        named = [m for m in known if m.name == of]
        if named:
            return Catalogue([Entry.of(m) for m in named], full=True)
        import fejer

        found = getattr(fejer, of, None)
        if not isinstance(found, type):
            raise MethodError(f"unknown method {of!r}. {did_you_mean(of, [m.name for m in known])}")
        of = found
    fitting = [m for m in known if (m.treats if isinstance(of, type) else m.suits)(of)]
    first: list[str] = []
    with contextlib.suppress(NotImplementedError):
        instance: Any = of.random() if isinstance(of, type) else of  # type: ignore[attr-defined]
        first = list(instance.auto())
    place = {name: i for i, name in enumerate(first)}
    fitting.sort(key=lambda m: (place.get(m.name, len(place)), m.name))
    return Catalogue([Entry.of(m) for m in fitting])
