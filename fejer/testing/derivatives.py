"""Check what the user supplied: derivatives, adjoints, resolvents, declared constants."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import ProblemError
from ..evidence import Array
from ..problem import Problem, as_vector

__all__ = ["Check", "Derivatives", "check_derivatives"]

ENOUGH = 1e-5


class Check(NamedTuple):
    """One supplied piece compared with what it must agree with.

    Attributes
    ----------
    name : str
        What was checked.
    steps : array
        Step lengths of the difference quotients; empty where the check needs none.
    errors : array
        Relative errors: one for each step, or the errors at several points.
    """

    name: str
    steps: Array
    errors: Array

    @property
    def error(self) -> float:
        """The error that counts: the smallest over the steps, or the largest over the points."""
        finite = self.errors[np.isfinite(self.errors)]
        if finite.size == 0 or (self.steps.size == 0 and finite.size < self.errors.size):
            return math.inf
        return float(finite.min() if self.steps.size else finite.max())

    @property
    def slope(self) -> float:
        """Order of the difference quotient: its steepest fall; 2 for a right gradient."""
        good = np.isfinite(self.errors) & (self.errors > 0)
        if self.steps.size < 2 or good.sum() < 2:
            return math.nan
        order = np.argsort(self.steps[good])
        h, e = np.log(self.steps[good][order]), np.log(self.errors[good][order])
        return float(np.max(np.diff(e) / np.diff(h)))


@dataclass(frozen=True)
class Derivatives:
    """What `check_derivatives` found; prints as a table.

    Attributes
    ----------
    checks : tuple of Check
        One for each supplied piece.
    """

    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        """Whether every piece agrees to within 1e-5."""
        return all(check.error <= ENOUGH for check in self.checks)

    def __getitem__(self, name: str) -> Check:
        for check in self.checks:
            if check.name == name:
                return check
        raise KeyError(name)

    def __repr__(self) -> str:
        wide = max(len(check.name) for check in self.checks)
        lines = [f"{'piece':<{wide}}  {'error':>9}  {'slope':>5}  verdict"]
        for check in self.checks:
            verdict = "ok" if check.error <= ENOUGH else "WRONG"
            slope = "-" if math.isnan(check.slope) else f"{check.slope:.1f}"
            lines.append(f"{check.name:<{wide}}  {check.error:9.2e}  {slope:>5}  {verdict}")
        return "\n".join(lines)

    def plot(self, ax: Any = None) -> Any:
        """Plot error against step of every difference quotient; return the matplotlib axes."""
        from ..plots import new_axes

        ax = new_axes(ax)
        for check in self.checks:
            if check.steps.size:
                ax.loglog(check.steps, check.errors, "o-", label=check.name)
        ax.set_xlabel("step")
        ax.set_ylabel("relative error")
        ax.legend()
        return ax


def check_derivatives(problem: Problem, x0: npt.ArrayLike | None = None) -> Derivatives:
    """Compare the pieces that the user supplied with differences, adjoints and declared constants.

    Parameters
    ----------
    problem : Problem
        A problem made of callables.
    x0 : array_like, optional
        Where; default: the problem's initial point, moved a little, since symmetric points hide
        errors.

    Returns
    -------
    Derivatives
        ``ok``, one `Check` for each piece, a table when printed, ``plot()`` for the slopes.

    Raises
    ------
    ProblemError
        The problem has no user-supplied pieces, or ``x0`` has another shape.

    Examples
    --------
    >>> import fejer
    >>> from scipy.optimize import rosen, rosen_der
    >>> fejer.check_derivatives(fejer.SmoothProblem(rosen, rosen_der, x0=[0.5, 2.0])).ok
    True
    >>> wrong = fejer.SmoothProblem(rosen, lambda x: -rosen_der(x), x0=[0.5, 2.0])
    >>> fejer.check_derivatives(wrong).ok
    False
    """
    checks = getattr(problem, "derivative_checks", None)
    if checks is None:
        raise ProblemError(f"{type(problem).__name__} has no user-supplied pieces to check")
    if x0 is None:
        x = np.array(problem.initial_point())
        x += 0.01 * np.maximum(1.0, np.abs(x)) * np.random.default_rng(0).standard_normal(x.size)
    else:
        x = np.array(as_vector(x0, "x0", problem.size))
    return Derivatives(tuple(Check(name, np.asarray(h), np.asarray(e)) for name, h, e in checks(x)))
