"""What a problem says of a point: the certificate, and what a run says of itself: the status.

Needs numpy alone, so that building a problem loads nothing of scipy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Literal, NoReturn

import numpy as np
import numpy.typing as npt

__all__ = ["EMPTY", "Array", "Certificate", "Status"]

Array = npt.NDArray[np.float64]


class _Empty(dict[str, Any]):
    """The empty mapping that nobody can write into; a valid default, pickled by name."""

    def _refuse(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError("this mapping is empty and stays so")

    __setitem__ = __delitem__ = update = setdefault = clear = pop = popitem = _refuse
    __ior__ = _refuse

    def __hash__(self) -> int:  # type: ignore[override]
        return 0

    def __reduce__(self) -> str:
        return "EMPTY"

    def __copy__(self) -> _Empty:
        return self

    def __deepcopy__(self, memo: Any) -> _Empty:
        return self


EMPTY: Mapping[str, Any] = _Empty()


class Status(IntEnum):
    """How a run ended. The message of a result says what it means and what helps."""

    CONVERGED = 0
    MAX_ITER = 1
    MAX_TIME = 2
    STALLED = 3
    NUMERICAL_ERROR = 4
    INFEASIBLE = 5
    UNBOUNDED = 6
    MAX_WORK = 7
    INTERRUPTED = 98
    CALLBACK_STOP = 99


@dataclass(frozen=True, eq=False)
class Certificate:
    """What a problem computed about one point from its own data.

    Attributes
    ----------
    kind : str
        What was measured: ``"duality gap"``, ``"KKT residual"``, ``"fixed-point residual"``, ...
    value : float
        At least 0, never nan; the one number that ``tol`` is compared with. Scale-free wherever
        the data fix a scale.
    fun : float
        The objective at the point.
    rigorous : bool
        True: ``value`` bounds the (relative) suboptimality. False: it measures a necessary
        condition.
    proves : {"solved", "infeasible", "unbounded"}
        What the point and its witness prove. The last two hold at the problem's own threshold and
        do not depend on ``tol``.
    scale : float
        ``value * scale`` is in the user's units.
    reason : str
        Why ``value`` is infinite, where it is.
    lower_bound : float or None
        A proven lower bound of the optimal value, where there is one.
    details : mapping of str to float
        The parts of ``value``. ``floor`` is the share of it that rounding alone can cause.
    witness : mapping of str to array
        What the certificate was built on; judging the point again with it gives the same value.

    Examples
    --------
    >>> import fejer
    >>> c = fejer.Certificate("duality gap", 1e-8, 1.5, rigorous=True)
    >>> c.holds(1e-6), c.holds(1e-9)
    (True, False)
    """

    kind: str
    value: float
    fun: float
    rigorous: bool = False
    proves: Literal["solved", "infeasible", "unbounded"] = "solved"
    scale: float = 1.0
    reason: str = ""
    lower_bound: float | None = None
    details: Mapping[str, float] = EMPTY
    witness: Mapping[str, Array] = EMPTY

    def holds(self, tol: float) -> bool:
        """Whether the certificate proves "solved" to within ``tol``."""
        return self.proves == "solved" and self.value <= tol

    def __str__(self) -> str:
        text = f"{self.kind} {self.value:.3g}"
        if self.proves != "solved":
            text += f", proves {self.proves}"
        elif self.rigorous:
            text += ", rigorous"
        return f"{text} ({self.reason})" if self.reason else text


def failed(kind: str, reason: str, fun: float = float("nan"), **fields: Any) -> Certificate:
    """Build the certificate of a point that proves nothing: value inf, and the reason."""
    return Certificate(kind, float("inf"), fun, reason=reason, **fields)


@dataclass(frozen=True, eq=False)
class Best:
    """A judged point: copies that nobody else holds."""

    x: Array
    certificate: Certificate
    nit: int
