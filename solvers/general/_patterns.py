"""Where coefficients sit on a kink or a bound, and when that last changed."""

from __future__ import annotations

from fejer.jit import kernel

__all__ = ["note", "pattern_changed", "place"]


@kernel
def place(w, lower, upper):
    """0: inside, 1: at zero, 2: at the lower bound, 3: at the upper one."""
    if w == 0.0:
        return 1
    if w <= lower:
        return 2
    if w >= upper:
        return 3
    return 0


@kernel
def pattern_changed(old, new, lower, upper):
    """Whether some coefficient has come to, or left, a kink or a bound."""
    for j in range(old.size):
        if place(old[j], lower[j], upper[j]) != place(new[j], lower[j], upper[j]):
            return True
    return False


@kernel
def note(old, new, lower, upper, update, turned):
    """Remember the number of an update that changes the place of its coefficient."""
    if place(old, lower, upper) != place(new, lower, upper):
        turned[0] = update
