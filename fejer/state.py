"""What a method carries from one iteration to the next."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["State"]


@dataclass
class State:
    """Everything that a method carries from one iteration to the next.

    Fields of subclasses are arrays, Python int, float, bool, None (a stage that does not exist
    yet) or another State. No two arrays share memory. The counters are exact integers.

    Attributes
    ----------
    nit : int
        Iterations made.
    work : int
        Units of the problem's oracle spent (``problem.unit`` of them are one pass over the data).
    nfev : int
        Evaluations of user's functions requested.
    """

    nit: int = field(default=0, kw_only=True)
    work: int = field(default=0, kw_only=True)
    nfev: int = field(default=0, kw_only=True)

    def numbers(self) -> dict[str, float]:
        """Return the method's own counters: its numbers, without the three that all states have."""
        return {
            key: value
            for key, value in vars(self).items()
            if key not in ("nit", "work", "nfev") and type(value) in (int, float, bool)
        }
