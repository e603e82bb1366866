"""Reading MPS files, free and fixed."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from fejer.errors import ProblemError
from fejer.evidence import Array

__all__ = ["read"]

SECTIONS = ("NAME", "OBJSENSE", "ROWS", "COLUMNS", "RHS", "RANGES", "BOUNDS", "ENDATA")
FIELDS = ((1, 3), (4, 12), (14, 22), (24, 36), (39, 47), (49, 61))
VALUED = ("UP", "LO", "FX")
INTEGER = ("BV", "LI", "UI", "SC", "SI")


class _File:
    """The sections of a file as they fill up."""

    def __init__(self, name: str) -> None:
        self.name, self.number = name, 0
        self.maximize = False
        self.objective: str | None = None
        self.ignored: set[str] = set()  # rows of type N behind the objective
        self.kinds: list[str] = []
        self.rows: dict[str, int] = {}
        self.columns: dict[str, int] = {}
        self.entries: list[tuple[int, int, float]] = []
        self.costs: dict[int, float] = {}
        self.sets: dict[str, str] = {}  # of RHS, RANGES and BOUNDS: the first one named
        self.rhs: dict[int, float] = {}
        self.ranges: dict[int, float] = {}
        self.constant = 0.0
        self.lower: dict[int, float] = {}
        self.upper: dict[int, float] = {}

    def fail(self, what: str) -> ProblemError:
        return ProblemError(f"{self.name}, line {self.number}: {what}")

    def number_of(self, token: str) -> float:
        try:
            value = float(token.upper().replace("D", "E"))
        except ValueError:
            raise self.fail(f"expected a number, got {token!r}") from None
        if math.isnan(value):
            raise self.fail(f"expected a number, got {token!r}")
        return value

    def pairs(self, tokens: list[str], named: bool, section: str) -> Iterator[tuple[str, float]]:
        """Yield names and values; in `named` sections the leading name may be left out."""
        if len(tokens) not in ((3, 5) if named else (2, 3, 4, 5)):
            wanted = "a name and one or two pairs of row and value"
            raise self.fail(f"{section}: expected {wanted}, got {' '.join(tokens)!r}")
        if len(tokens) % 2:
            if not named and tokens[0] != self.sets.setdefault(section, tokens[0]):
                return
            tokens = tokens[1:]
        for name, value in zip(tokens[::2], tokens[1::2], strict=True):
            if name != self.objective and name not in self.rows and name not in self.ignored:
                raise self.fail(f"{section}: unknown row {name!r}")
            yield name, self.number_of(value)

    # ---- one method for the lines of each section --------------------------------------------
    def objsense(self, tokens: list[str]) -> None:
        word = tokens[0].upper()
        if word not in ("MAX", "MAXIMIZE", "MAXIMISE", "MIN", "MINIMIZE", "MINIMISE"):
            raise self.fail(f"OBJSENSE: expected MAX or MIN, got {tokens[0]!r}")
        self.maximize = word.startswith("MAX")

    def row(self, tokens: list[str]) -> None:
        if len(tokens) != 2 or tokens[0].upper() not in ("N", "L", "G", "E"):
            raise self.fail(f"ROWS: expected N, L, G or E and a name, got {' '.join(tokens)!r}")
        kind, name = tokens[0].upper(), tokens[1]
        if name in self.rows or name == self.objective or name in self.ignored:
            raise self.fail(f"ROWS: a second row {name!r}")
        if kind != "N":
            self.rows[name] = len(self.rows)
            self.kinds.append(kind)
        elif self.objective is None:
            self.objective = name
        else:
            self.ignored.add(name)

    def column(self, tokens: list[str]) -> None:
        if len(tokens) > 1 and tokens[1].strip("'\"").upper() == "MARKER":
            raise self.fail("COLUMNS: integer variables are not treated")
        if not tokens:
            return
        pairs = list(self.pairs(tokens, True, "COLUMNS"))
        j = self.columns.setdefault(tokens[0], len(self.columns))
        for name, value in pairs:
            if name in self.rows:
                self.entries.append((self.rows[name], j, value))
            elif name == self.objective:
                self.costs[j] = self.costs.get(j, 0.0) + value

    def right_side(self, tokens: list[str]) -> None:
        for name, value in self.pairs(tokens, False, "RHS"):
            if name in self.rows:
                self.rhs[self.rows[name]] = value
            elif name == self.objective:
                self.constant = -value

    def range(self, tokens: list[str]) -> None:
        for name, value in self.pairs(tokens, False, "RANGES"):
            if name in self.rows:
                self.ranges[self.rows[name]] = value

    def bound(self, tokens: list[str]) -> None:
        kind = tokens[0].upper()
        if kind in INTEGER:
            raise self.fail(f"BOUNDS: {kind} is of an integer variable, which is not treated")
        if kind not in (*VALUED, "FR", "MI", "PL"):
            raise self.fail(f"BOUNDS: unknown type {tokens[0]!r}")
        rest = tokens[1:]
        least = 2 if kind in VALUED else 1
        value = math.nan
        if kind in VALUED or len(rest) == 3 or (len(rest) == 2 and rest[1] not in self.columns):
            value = self.number_of(rest[-1]) if len(rest) >= 2 else value
            rest = rest[:-1] if len(rest) >= 2 else rest
        if len(rest) not in (1, 2) or len(tokens) <= least:
            raise self.fail(
                f"BOUNDS: expected a set, a column and a value, got {' '.join(tokens)!r}"
            )
        if len(rest) == 2 and rest[0] != self.sets.setdefault("BOUNDS", rest[0]):
            return
        if rest[-1] not in self.columns:
            raise self.fail(f"BOUNDS: unknown column {rest[-1]!r}")
        j = self.columns[rest[-1]]
        if kind in ("LO", "FX"):
            self.lower[j] = value
        if kind in ("UP", "FX"):
            self.upper[j] = value
        if kind in ("FR", "MI"):
            self.lower[j] = -math.inf
        if kind in ("FR", "PL"):
            self.upper[j] = math.inf

    def handler(self, section: str) -> Callable[[list[str]], None]:
        return {
            "OBJSENSE": self.objsense,
            "ROWS": self.row,
            "COLUMNS": self.column,
            "RHS": self.right_side,
            "RANGES": self.range,
            "BOUNDS": self.bound,
        }[section]

    def finish(self) -> tuple[Array, Any, Array, Array, Array, Array, float]:
        from scipy.sparse import csc_array

        m, n = len(self.rows), len(self.columns)
        if n == 0:
            raise self.fail("expected at least one column")
        rhs = np.array([self.rhs.get(i, 0.0) for i in range(m)])
        kinds = np.array(self.kinds, dtype="U1")
        row_lower = np.where(kinds == "L", -np.inf, rhs)
        row_upper = np.where(kinds == "G", np.inf, rhs)
        for i, width in self.ranges.items():
            if kinds[i] == "L" or (kinds[i] == "E" and width < 0):
                row_lower[i] = rhs[i] - abs(width)
            else:
                row_upper[i] = rhs[i] + abs(width)
        upper = np.array([self.upper.get(j, math.inf) for j in range(n)])
        free = np.where(upper < 0, -np.inf, 0.0)  # the custom of a negative upper bound
        lower = np.array([self.lower.get(j, free[j]) for j in range(n)])
        places = np.array(self.entries).reshape(-1, 3)
        A = csc_array((places[:, 2], places[:, :2].astype(np.int32).T), shape=(m, n))
        sign = -1.0 if self.maximize else 1.0
        c = sign * np.array([self.costs.get(j, 0.0) for j in range(n)])
        return c, A, row_lower, row_upper, lower, upper, sign * self.constant


def read(path: str | os.PathLike[str]) -> tuple[Array, Any, Array, Array, Array, Array, float]:
    """Read the arguments of a `LinearProgram`, the offset included, from a file."""
    with open(path, encoding="utf-8", errors="replace") as file:
        text = file.read()
    name = os.path.basename(os.fspath(path))
    try:
        return _parse(text, name, str.split)
    except ProblemError as error:
        # Names with blanks make sense by their columns alone: then, and only then, it is fixed.
        try:
            return _parse(text, name, _by_columns)
        except ProblemError:
            raise error from None


def _by_columns(line: str) -> list[str]:
    cut = (line[begin:end].strip() for begin, end in FIELDS)
    return [token for token in cut if token]


def _parse(
    text: str, name: str, split: Callable[[str], list[str]]
) -> tuple[Array, Any, Array, Array, Array, Array, float]:
    file, section = _File(name), ""
    for file.number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("*"):
            continue
        if line[0] in " \t":
            if section in ("", "NAME"):
                raise file.fail(f"expected a section, got {line.strip()!r}")
            file.handler(section)(split(line))
            continue
        words = line.split()
        section = words[0].upper()
        if section not in SECTIONS:
            raise file.fail(f"unknown section {words[0]!r}; known: {', '.join(SECTIONS)}")
        if section == "ENDATA":
            return file.finish()
        if section == "OBJSENSE" and len(words) > 1:
            file.objsense(words[1:])
    raise file.fail("expected ENDATA, got the end of the file")
