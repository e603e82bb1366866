"""Theorems on coordinate descent, for `bcd`.

One exact update of a coefficient decreases F by at least ``D_j step^2 / 2``.  Notation as in
`_rates`; U is the strict upper triangle of K, e_k the excess ``F(w_k) - F*``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from fejer.evidence import Array
from fejer.method import Rate
from fejer.problems.forms import LinearForm

from ._linear import squared
from ._rates import constants, distance, excess, radius, sublinear

if TYPE_CHECKING:
    from fejer.problem import Problem

__all__ = ["block_rate", "rate_of"]

LARGEST = 3000  # coefficients up to which eigenvalues are computed


def rate_of(selection: str, sweeps: bool) -> Rate:
    """Return the theorem of a selection rule.

    Parameters
    ----------
    selection : str
        The rule.
    sweeps : bool
        Whether an iteration is a sweep of d updates.
    """
    statement, assumptions, shrink, bound = _THEOREMS[selection]

    def per_iteration(problem: Any) -> float:
        if not is_squared(problem):
            return 1.0
        updates = constants(problem).d if sweeps else 1
        return float(shrink(problem) ** updates)

    def right_hand_side(problem: Any, x0: Array, xstar: Array, k: int) -> float:
        if not is_squared(problem):  # F never increases
            return excess(problem, x0, xstar)
        updates = k * (constants(problem).d if sweeps else 1)
        return float(bound(problem, x0, xstar, updates))

    return Rate(
        statement,
        "linear",
        factor=per_iteration,
        assumptions=assumptions,
        measure=excess,
        bound=right_hand_side,
        worst_case=_zigzag,
    )


def block_rate(method: Any) -> Rate:
    """Return the theorem for blocks of coefficients, by `method`, on squares without a penalty."""
    rules = {"random": "", "gs": "", "gsl": "", "lipschitz": ""}

    def factor(problem: Any) -> float:
        proven = method.selection in rules and method.norm == "l2"
        proven = proven and method.update in ("newton", "gradient", "matrix", "exact")
        if not proven or not is_squared(problem) or not _is_smooth(problem):
            return 1.0
        ready = squared(problem)
        d = ready.l1.size
        if d > LARGEST:
            return 1.0
        H = np.array(ready.design.gram()) + np.diag(ready.l2)
        values = np.linalg.eigvalsh(H)
        curved = values[values > 1e-12 * values[-1]]
        mu = float(curved[0]) - 1e-14 * d * float(values[-1]) if curved.size else 0.0
        engine = method.engine(problem)
        if engine.blocks is None:
            if method.selection not in ("random", "gs"):
                return 1.0
            return float(1.0 - mu * engine.size / (d * values[-1])) if values[-1] else 1.0
        largest = [float(np.linalg.eigvalsh(H[np.ix_(b, b)])[-1]) for b in engine.blocks]
        total = (
            sum(largest)
            if method.selection in ("gsl", "lipschitz")
            else max(largest) * len(largest)
        )
        return 1.0 - mu / total if total else 1.0

    def bound(problem: Any, x0: Array, xstar: Array, k: int) -> float:
        return float(excess(problem, x0, xstar) * factor(problem) ** k)

    return Rate(
        "e_k <= (1 - mu/(N max L_b))^k e_0 for gs, and in the mean for random; (1 - mu/sum L_b)^k "
        "for gsl, and in the mean for lipschitz; variable blocks: (1 - mu tau/(d ||H||))^k "
        "(Nutini, Laradji, Schmidt, arXiv:1712.08859)",
        "linear",
        factor=factor,
        assumptions="squares without l1 penalty and bounds, mu the least positive eigenvalue of H;"
        " else, and for the other rules, F never increases",
        measure=excess,
        bound=bound,
    )


def is_squared(problem: Any) -> bool:
    """Whether the theorems of this file speak of the problem."""
    form = problem.form()
    return isinstance(form, LinearForm) and form.loss == "squared" and form.groups is None


def _zigzag(k: int) -> Problem:
    """Two nearly parallel columns: a sweep shrinks the excess by the 4th power of their cosine.

    That is ``1 - 4/k`` to first order, the theorem's factor ``1 - 1/k``.
    """
    from fejer.problems.sparse.box_least_squares import BoxLeastSquares

    cosine = 1.0 - 1.0 / max(2, k)
    X = np.array([[1.0, cosine], [0.0, np.sqrt(1.0 - cosine**2)]])
    return BoxLeastSquares(X, X @ np.array([1.0, -1.0]), lower=-np.inf)


# ---- cyclic: F(w+) - F* <= <U step, w+ - w*> - mu/2 ||w+ - w*||^2 (norms scaled by D) ---------
def _sweep_factor(problem: Any, squared_norm: float) -> float:
    """``c / (1 + c)`` for one sweep, ``c = ||U||^2 / mu``."""
    mu = constants(problem).mu
    return squared_norm / (squared_norm + mu) if mu > 0 else 1.0


def _by_sweeps(norm: str) -> tuple[Callable[..., float], Callable[..., float]]:
    def shrink(problem: Any) -> float:
        return _sweep_factor(problem, getattr(constants(problem), norm)) ** (
            1.0 / constants(problem).d
        )

    def bound(problem: Any, x0: Array, xstar: Array, updates: int) -> float:
        sweeps, first = updates // constants(problem).d, excess(problem, x0, xstar)
        size = getattr(constants(problem), norm)
        factor = _sweep_factor(problem, size)
        each = max(4.0 * size * radius(problem, x0), first)
        return min(first * factor**sweeps, sublinear(first, each, sweeps))

    return shrink, bound


# ---- random: E[e + t] <= (1 - 2 p mu / (1 + mu)) (e + t) with t a distance, p the least chance --
def _chance(problem: Any, proportional: bool) -> float:
    known = constants(problem)
    if not known.D.size:
        return 1.0
    return float(known.D.min() / known.D.sum()) if proportional else 1.0 / known.d


def _by_chance(proportional: bool) -> tuple[Callable[..., float], Callable[..., float]]:
    def shrink(problem: Any) -> float:
        mu = constants(problem).mu
        return 1.0 - 2.0 * _chance(problem, proportional) * mu / (1.0 + mu)

    def bound(problem: Any, x0: Array, xstar: Array, updates: int) -> float:
        known = constants(problem)
        weights: Any = known.D
        if proportional and known.D.size:
            weights = float(known.D.min())
        first = excess(problem, x0, xstar) + distance(problem, x0, xstar, weights)
        chance = _chance(problem, proportional)
        return min(first * shrink(problem) ** updates, first / (1.0 + chance * updates))

    return shrink, bound


# ---- greedy -------------------------------------------------------------------------------------
def _decrease_factor(problem: Any) -> float:
    known = constants(problem)
    return 1.0 - known.mu / known.d


def _by_decrease(problem: Any, x0: Array, xstar: Array, updates: int) -> float:
    first, factor = excess(problem, x0, xstar), _decrease_factor(problem)
    each = 2.0 * constants(problem).d * max(radius(problem, x0), first)
    return min(first * factor**updates, sublinear(first, each, updates))


def _is_smooth(problem: Any) -> bool:
    form = squared(problem).form
    return not (form.l1.any() or np.isfinite(form.lower).any() or np.isfinite(form.upper).any())


def _gradient_factor(problem: Any) -> float:
    known = constants(problem)
    if not _is_smooth(problem) or not known.D.size:
        return 1.0
    return 1.0 - known.mu_plain / (known.d * float(known.D.max()))


def _by_gradient(problem: Any, x0: Array, xstar: Array, updates: int) -> float:
    return excess(problem, x0, xstar) * _gradient_factor(problem) ** updates


_CURVED = "mu > 0 (full column rank, or l2 > 0); else the bound falls like 1/k"
_THEOREMS: dict[str, tuple[str, str, Callable[..., float], Callable[..., float]]] = {
    "cyclic": (
        "e_k <= (c/(1+c))^k e_0 after k sweeps, c = ||U||^2 / mu",
        _CURVED,
        *_by_sweeps("upper"),
    ),
    "permuted": (
        "e_k <= (c/(1+c))^k e_0 after k sweeps, c = ||K - I||_F^2 / (2 mu)",
        _CURVED,
        *_by_sweeps("off"),
    ),
    "random": (
        "E e_k <= (1 - 2 mu/(d (1+mu)))^k (e_0 + 1/2 ||w_0 - w*||_D^2) after k updates, "
        "and the same over 1 + k/d (Lu, Xiao, arXiv:1305.4723)",
        "in expectation over the choices",
        *_by_chance(False),
    ),
    "lipschitz": (
        "E e_k <= (1 - 2 p mu/(1+mu))^k (e_0 + 1/2 min D ||w_0 - w*||^2) after k updates, "
        "p = min D / sum D, and the same over 1 + p k",
        "in expectation over the choices",
        *_by_chance(True),
    ),
    "gs": (
        "e_k <= (1 - mu(H)/(d max D))^k e_0 after k updates (Nutini et al., arXiv:1712.08859)",
        "no penalty and no bounds; else F never increases",
        _gradient_factor,
        _by_gradient,
    ),
    "gs-q": (
        "e_k <= (1 - mu/d)^k e_0 after k updates (Nutini et al., arXiv:1712.08859)",
        _CURVED,
        _decrease_factor,
        _by_decrease,
    ),
}
