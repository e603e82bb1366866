"""What a run returns: the result, and the record of how it got there."""

from __future__ import annotations

import copy as copying
import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy.optimize import OptimizeResult

from .errors import FejerError
from .evidence import Array, Status

if TYPE_CHECKING:
    from .rates import RateFit

__all__ = ["Path", "Result", "Trace"]

COLUMNS = ("nit", "work", "time", "fun", "certificate")


class Trace:
    """One row for each judgement of a run, in columns.

    Attributes
    ----------
    nit, work, time, fun, certificate : array
        Iterations, passes over the data, seconds (prepare and iterate: neither judging nor
        callbacks nor compilation), objective, value of the certificate. Every number of the
        method's state and of the certificate's details is a column too, by its name (nan where a
        row lacks it).

    Examples
    --------
    >>> trace = Trace()
    >>> trace.add({"nit": 0, "work": 0.0, "time": 0.0, "fun": 2.0, "certificate": 1.0})
    >>> trace.certificate
    array([1.])
    """

    def __init__(self) -> None:
        self._rows: list[dict[str, float]] = []

    def add(self, row: dict[str, float]) -> None:
        """Append a row; a second one of the same iteration replaces the first."""
        if self._rows and self._rows[-1]["nit"] == row["nit"]:
            self._rows[-1] = row
        else:
            self._rows.append(row)

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[dict[str, float]]:
        return iter(self._rows)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of all columns."""
        names = dict.fromkeys(COLUMNS)
        for row in self._rows:
            names.update(dict.fromkeys(row))
        return tuple(names)

    def __getitem__(self, name: str) -> Array:
        if name not in self.columns:
            raise KeyError(name)
        return np.array([row.get(name, math.nan) for row in self._rows], dtype=np.float64)

    def __getattr__(self, name: str) -> Array:
        if name.startswith("_"):
            raise AttributeError(name)
        try:
            return self[name].astype(np.int64) if name == "nit" else self[name]
        except KeyError:
            text = f"the trace has no column {name!r}; it has {', '.join(self.columns)}"
            raise AttributeError(text) from None

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self.columns]

    def rate(self, column: str = "certificate", *, floor: float = 0.0) -> RateFit:
        """Fit the observed rate of a column against the iterations (see `fejer.fit_rate`)."""
        from .rates import fit_rate

        return fit_rate(self.nit, self[column], floor=floor)

    def plot(self, ax: Any = None, *, x: str = "nit", y: str = "certificate") -> Any:
        """Plot a column against another and return the matplotlib axes."""
        from .plots import plot_trace

        return plot_trace(self, ax, x=x, y=y)

    def save(self) -> dict[str, Array]:
        """Return the columns as arrays."""
        return {name: self[name] for name in self.columns}

    @classmethod
    def load(cls, columns: Mapping[str, Array]) -> Trace:
        """Build the trace that `save` gave away."""
        trace = cls()
        for values in zip(*columns.values(), strict=True):
            pairs = zip(columns, values, strict=True)
            row = {name: float(v) for name, v in pairs if name in COLUMNS or not math.isnan(v)}
            trace._rows.append(row)
        return trace

    def __repr__(self) -> str:
        if not self._rows:
            return "Trace(empty)"
        last = self._rows[-1]
        return (
            f"Trace({len(self)} rows, nit {last['nit']:.0f}, certificate {last['certificate']:.3g})"
        )


class Result(OptimizeResult):
    """Result of `fejer.minimize`: always the same fields, always of the same types.

    Attributes
    ----------
    x : array
        The best point that was judged.
    fun : float
        The objective at ``x``.
    success : bool
        True exactly when ``status`` is ``CONVERGED``: the certificate holds within ``tol``.
    status : Status
        How the run ended.
    message : str
        The same in a sentence, with causes and cures.
    nit, nfev : int
        Iterations; requested evaluations of user's functions (0 where the data are arrays).
    work : float
        Passes over the data.
    time : float
        Seconds: prepare, iterate and judge; neither callbacks nor compilation.
    times : dict
        Seconds by part: ``prepare, iterate, judge, compile, callback``.
    certificate : Certificate
        The problem's own verdict on ``x``.
    witness : mapping
        What the certificate was built on.
    trace : Trace
        The record of all judgements.
    stats : dict
        The method's own counters.
    method : str
        Name of the (last) method.
    options : dict
        Its options.
    problem : Problem
        What was solved.
    rng : int
        The seed.
    versions : dict
        Versions of fejer, numpy, scipy and numba.

    Notes
    -----
    Names are looked up among the fields, then among the problem's views (``result.plan`` calls
    ``problem.plan(result.x, result.witness)``, once), then in ``stats``.
    """

    if TYPE_CHECKING:  # the fields are given by name

        def __init__(self, *args: Any, **fields: Any) -> None: ...

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if name in self:
            return self[name]
        dropped = self.__dict__.get("_dropped", {})
        if name in dropped:
            raise AttributeError(f"{name} did not survive pickling: {dropped[name]}")
        problem = self.get("problem")
        if problem is not None and name in problem.views:
            view = getattr(problem, name)(self["x"], self["witness"])
            self.__dict__[name] = view
            return view
        stats = self.get("stats", {})
        if name in stats:
            return stats[name]
        if problem is None and "problem" in dropped:
            raise AttributeError(f"{name}: the problem did not survive pickling")
        raise AttributeError(f"the result has no {name!r}; it has {', '.join(dir(self))}")

    def raise_if_failed(self) -> Result:
        """Return the result itself, or raise FejerError with the message of an unsuccessful run."""
        if not self.success:
            error = FejerError(f"{self.status.name}: {self.message}")
            error.result = self  # type: ignore[attr-defined]
            raise error
        return self

    def __reduce__(self) -> Any:
        import pickle

        items, dropped = [], dict(self.__dict__.get("_dropped", {}))
        for name, value in self.items():
            try:
                pickle.dumps(value)
                items.append((name, value))
            except Exception as error:
                dropped[name] = f"{type(error).__name__}: {error}"
        return _rebuild, (type(self), dropped, items)

    def __copy__(self) -> Result:
        other = type(self)(dict(self))
        other.__dict__.update(self.__dict__)
        return other

    def __deepcopy__(self, memo: Any) -> Result:
        kept = ("problem", "certificate")
        parts = {k: v if k in kept else copying.deepcopy(v, memo) for k, v in self.items()}
        return type(self)(parts)

    def __dir__(self) -> list[str]:
        problem = self.get("problem")
        views = problem.views if problem is not None else ()
        return sorted({*self.keys(), *views, *self.get("stats", {}), "raise_if_failed"})

    def __eq__(self, other: object) -> bool:
        return self is other

    def __ne__(self, other: object) -> bool:
        return self is not other

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        rows: list[tuple[str, str]] = []
        for name in (
            "success",
            "status",
            "message",
            "fun",
            "nit",
            "nfev",
            "work",
            "time",
            "method",
        ):
            if name not in self:
                continue
            value = self[name]
            if isinstance(value, Status):
                value = f"{value.name} ({int(value)})"
            rows.append((name, f"{value:.6g}" if isinstance(value, float) else str(value)))
        if "certificate" in self:
            rows.append(("certificate", str(self["certificate"])))
        if "x" in self:
            text = np.array2string(self["x"], precision=4, threshold=8, edgeitems=3)
            rows.append(("x", text))
        problem = self.get("problem")
        if problem is not None and problem.views:
            rows.append(("views", ", ".join(problem.views)))
        return "\n".join(f"{name:>12}: {text}" for name, text in rows)

    __str__ = __repr__


def _rebuild(cls: type[Result], dropped: dict[str, str], items: list[tuple[str, Any]]) -> Result:
    result = cls(dict(items))
    if dropped:
        result.__dict__["_dropped"] = dropped
    return result


class Path:
    """Solutions along a sequence of values of one field, each started from the one before.

    Attributes
    ----------
    field : str
        Name of the field.
    values : array
        Its values, as far as the path came.
    x : array, shape (len(values), n)
        One solution a row.
    results : list of Result
        The whole results.
    certificates : array
        Values of the certificates.
    """

    def __init__(self, field: str, values: list[Any], results: list[Result]) -> None:
        self.field, self.results = field, results
        self.values = np.asarray(values)
        self.x = np.array([r.x for r in results]) if results else np.empty((0, 0))
        self.certificates = np.array([r.certificate.value for r in results], dtype=np.float64)

    @property
    def success(self) -> bool:
        """Whether there are solutions and every certificate holds."""
        return bool(self.results) and all(r.success for r in self.results)

    def plot(self, ax: Any = None) -> Any:
        """Plot every entry of ``x`` against the values and return the matplotlib axes."""
        from .plots import plot_path

        return plot_path(self, ax)

    def __len__(self) -> int:
        return len(self.results)

    def __repr__(self) -> str:
        worst: float | Literal["-"] = self.certificates.max() if len(self) else "-"
        return f"Path({self.field}: {len(self)} values, largest certificate {worst})"
