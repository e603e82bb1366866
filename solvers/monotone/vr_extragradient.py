"""Extragradient method with variance reduction."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fejer.evidence import Array
from fejer.jit import kernel
from fejer.method import Method, Rate, Start, State, option, register
from fejer.numerics.random import seed_state, uniform
from fejer.problems.monotone._operators import InclusionForm

from ._components import constants, expected, in_place, unsupported
from ._vr_kernels import GO_ON, SOLVED, ahead, decide, draw, sees, size_of, toward

LARGEST_CHANCE = 0.5
FORGET = 0.5  # of the local constant, if the next period saw nothing as large
LONGER = 2.0  # growth of the step in one period
LONGEST = 1e6  # growth in all
# Places in `numbers` and `counters`.
STEP, FIRST, AT_ANCHOR, SMALLEST, LOCAL, SQUARES, LOOKED, LEAST = range(8)
HALVINGS, WORK, CALLS, REFRESHES, SEEN = range(5)


class Plan(NamedTuple):
    """What does not change during a run.

    Attributes
    ----------
    inclusion : MonotoneInclusion
        The operators.
    step : float
        The first step.
    adapts : bool
        Whether the step follows the local constant.
    batch : int
        Components of a batch.
    chance : float
        Probability of an exact evaluation.
    spent, calls : int
        Component evaluations and calls that the estimate of the constants cost.
    """

    inclusion: Any
    step: float
    adapts: bool
    batch: int
    chance: float
    spent: int
    calls: int


@dataclass
class VRExtragradientState(State):
    """The iterate, the snapshot with its exact F, the best snapshot, and the random numbers."""

    x: Array
    snapshot: Array
    exact: Array  # F(snapshot)
    best: Array
    at_best: Array  # F(best)
    order: npt.NDArray[np.int64]
    words: npt.NDArray[np.uint64]
    pair: Array
    scalars: Array
    counters: npt.NDArray[np.int64]
    refreshes: int = 0
    halvings: int = 0
    step: float = 0.0
    local_constant: float = 0.0  # in the mean of a batch, as measured; 0 before it was


@kernel
def adapted(numbers, chance):
    """Forget the measurements of the last period; return the step that they allow."""
    seen = math.sqrt(numbers[SQUARES] / numbers[LOOKED])
    numbers[SQUARES] = 0.0
    numbers[LOOKED] = 0.0
    numbers[LOCAL] = max(seen, FORGET * numbers[LOCAL])
    wanted = 0.99 * math.sqrt(chance) / max(numbers[LOCAL], 1e-300)
    longest = min(LONGER * numbers[STEP], LONGEST * numbers[LEAST])
    return max(min(wanted, longest), numbers[LEAST])


@kernel
def iterate(
    F, component, J, difference,
    x, snapshot, exact, best, at_best, order, words, pair, numbers, counters, batch, chance, count,
):  # fmt: skip
    """Many iterations; J and difference may be None."""
    m = order.size
    copy, half, mean = np.empty_like(x), np.empty_like(x), np.empty_like(x)
    base, nought = np.empty_like(x), np.zeros_like(x)
    made = 0
    code = GO_ON
    while made < count:
        step = numbers[STEP]
        toward(x, snapshot, chance, base)
        ahead(base, exact, step, half)
        if J is not None:
            copy[:] = half
            J(copy, step, half)
        draw(words, order, batch)
        head = order[:batch].copy()
        mean[:] = 0.0
        if difference is None:
            copy[:] = snapshot
            base_of = np.zeros_like(x)
            component(copy, head.copy(), base_of)
            copy[:] = half
            component(copy, head, mean)
            ahead(mean, base_of, 1.0, mean)
            counters[CALLS] += 2
        else:
            copy[:] = half
            difference(copy, snapshot.copy(), head, mean)
            counters[CALLS] += 1
        counters[WORK] += 2 * batch
        if numbers[LEAST] > 0.0:
            apart = size_of(half, snapshot)
            if apart > 0.0:
                seen = size_of(mean, nought) / apart
                if step * seen > 1.0 and step > numbers[LEAST]:
                    # Several times what chance explains: the region is new. Back to what is known.
                    numbers[SQUARES] = seen**2
                    numbers[LOOKED] = 1.0
                    numbers[STEP] = adapted(numbers, chance)
                    x[:] = snapshot
                    made += 1
                    continue
                numbers[SQUARES] += seen**2
                numbers[LOOKED] += 1.0
        ahead(base, exact, step, x)
        ahead(x, mean, step, x)
        if J is not None:
            copy[:] = x
            J(copy, step, x)
        made += 1
        if uniform(words) < chance:
            copy[:] = x
            F(copy, mean)
            counters[WORK] += m
            counters[CALLS] += 1
            counters[REFRESHES] += 1
            ahead(x, mean, step, half)
            if J is not None:
                copy[:] = half
                J(copy, step, half)
            residual = size_of(x, half) / step
            if counters[SEEN] == 0 and sees(x, mean, best, at_best):
                counters[SEEN] = 1
                pair[0] = x
                pair[1] = best
            snapshot[:] = x
            exact[:] = mean
            # Between two periods, so that no batch is drawn before its step is known.
            if numbers[LEAST] > 0.0 and numbers[LOOKED] * chance >= 1.0:
                step = adapted(numbers, chance)
            code, _, numbers[STEP], numbers[FIRST], _, numbers[SMALLEST], _, halvings = decide(
                x, snapshot, exact, best, at_best, residual, 0.0,
                1, step, numbers[FIRST], 0.0, numbers[SMALLEST], 0, counters[HALVINGS],
            )  # fmt: skip
            if halvings > counters[HALVINGS]:
                numbers[LEAST] = min(numbers[LEAST], numbers[STEP])
                exact[:] = at_best
                counters[HALVINGS] = halvings
            if code == SOLVED:
                break
    return made, code


@register
@dataclass(frozen=True, eq=False)
class VRExtragradient(Method):
    """Extragradient method with variance reduction, for finite sums.

    With a snapshot w, whose F(w) is exact, and ``c = (1 - p) z + p w``:
    ``h = J(c - t F(w))``, ``z <- J(c - t (F(w) + F_S(h) - F_S(w)))``, ``w <- z`` with probability
    p; S is a batch drawn without replacement, J the resolvent of ``t G``.

    Parameters
    ----------
    step : float, "auto" or "theory", default "auto"
        t. Theory: ``0.99 p^(1/2) / L_average``, with which the theorem holds. Auto: the first step
        is the same with the expected constant of a batch of b components,
        ``L_b^2 = (m (b - 1) L^2 + (m - b) L_average^2) / (b (m - 1))``; constants that the problem
        does not declare are estimated. Then the step is ``0.99 p^(1/2)`` over the local constant:
        the root mean square of ``||F_S(h) - F_S(w)|| / ||h - w||``, all of which are at hand, over
        the last 1/p iterations or more. It never falls below the first one, doubles at most, and is
        changed at snapshots alone, except that a batch with ``t ||F_S(h) - F_S(w)|| > ||h - w||``
        shortens it at once and leads back to w. ``stats`` has the last ``step`` and
        ``local_constant``.
    batch : int or None, default None
        b; None: ``ceil(sqrt(m))``.
    probability : float or None, default None
        p; None: ``2 b / m``, at most 1/2.

    Notes
    -----
    Rate (step "theory"): the iterates converge almost surely; the expected ergodic gap is O(1/k),
    so that accuracy eps costs ``O(m + sqrt(m) L_average / eps)`` component calls, and the rate is
    linear for strongly monotone operators and under an error bound.

    Cost per iteration: 2 b component calls and, with probability p, m more; two resolvents and
    about eight passes over x. Memory: ten vectors of length n, one of length m.

    The theorem allows steps that vary, if each is known before its batch is drawn and
    ``t^2 E ||F_S(h) - F_S(w)||^2 < p ||h - w||^2`` there: that is what auto measures.

    Pitfalls: the step is halved whenever an exact residual is 20 times the first one.

    References
    ----------
    .. [1] Alacaoglu, Malitsky (2022), Stochastic variance reduction for variational inequality
       methods, COLT, arXiv:2102.08352.

    Examples
    --------
    >>> import fejer
    >>> problem = fejer.MonotoneInclusion.random(5, 100)
    >>> result = fejer.minimize(problem, method="vr-extragradient")
    >>> result.success, result.stats["refreshes"] < result.nit
    (True, True)
    """

    step: float | str = option(
        "auto", above=0, choices=("auto", "theory"), doc="t, or the rule for it"
    )
    batch: int | None = option(None, least=1, doc="components of a batch; None: sqrt(m)")
    probability: float | None = option(
        None, above=0, below=1, doc="chance of an exact evaluation; None: 2 batch / m"
    )

    name = "vr-extragradient"
    solves = (InclusionForm,)
    cites = ("arXiv:2102.08352",)

    @property
    def rate(self) -> Rate:
        """The order of the ergodic gap, in the mean."""
        return Rate(
            "E gap of the averaged h is O(1/k) (arXiv:2102.08352)",
            "sublinear",
            1.0,
            assumptions="F monotone and L_average-Lipschitz in the mean, step='theory'",
        )

    def supports(self, problem: Any) -> str | None:
        """Return None, or what is missing for a finite sum."""
        return unsupported(problem.inclusion())

    def prepare(self, problem: Any, tol: float, rng: np.random.Generator) -> Plan:
        """Choose batch, chance and step, from declared constants or from estimates."""
        inclusion = problem.inclusion()
        m = inclusion.n_components
        batch = min(m, math.ceil(math.sqrt(m)) if self.batch is None else self.batch)
        chance = self.probability or min(LARGEST_CHANCE, 2.0 * batch / m)
        if isinstance(self.step, float | int):
            return Plan(inclusion, float(self.step), False, batch, chance, 0, 0)
        whole, each, spent, calls = constants(inclusion, rng)
        if self.step == "auto":
            each = math.sqrt(expected(whole**2, each**2, m, batch))
        first = 0.99 * math.sqrt(chance) / each
        return Plan(inclusion, first, self.step == "auto", batch, chance, spent, calls)

    def begin(self, problem: Any, prep: Plan, start: Start, rng: np.random.Generator) -> Any:
        """Take the start as the first snapshot."""
        inclusion, x = prep.inclusion, start.x
        inclusion.check_start(x)
        value = np.array(inclusion.apply(x))
        numbers, counters = np.zeros(8), np.zeros(5, dtype=np.int64)
        numbers[STEP], numbers[FIRST], numbers[SMALLEST] = prep.step, -1.0, math.inf
        numbers[LEAST] = prep.step if prep.adapts else 0.0
        return VRExtragradientState(
            x,
            x.copy(),
            value,
            x.copy(),
            value.copy(),
            np.arange(inclusion.n_components, dtype=np.int64),
            seed_state(rng),
            np.zeros((2, x.size)),
            numbers,
            counters,
            step=prep.step,
            work=prep.spent + inclusion.unit,
            nfev=prep.calls + 1,
        )

    def advance(self, problem: Any, prep: Plan, state: Any, n: int) -> bool:
        """Make n iterations; fewer where a zero is met exactly or no step is small enough."""
        compiled, functions = in_place(prep.inclusion)
        loop = iterate if compiled else iterate.py_func
        counters = state.counters
        work, calls = int(counters[WORK]), int(counters[CALLS])
        made, code = loop(
            *functions,
            state.x,
            state.snapshot,
            state.exact,
            state.best,
            state.at_best,
            state.order,
            state.words,
            state.pair,
            state.scalars,
            counters,
            prep.batch,
            prep.chance,
            n,
        )
        state.nit += int(made)
        state.work += int(counters[WORK]) - work
        state.nfev += int(counters[CALLS]) - calls
        state.refreshes, state.halvings = int(counters[REFRESHES]), int(counters[HALVINGS])
        state.step, state.local_constant = float(state.scalars[STEP]), float(state.scalars[LOCAL])
        return bool(code == SOLVED)

    def witness(self, problem: Any, prep: Any, state: Any) -> dict[str, Array]:
        """Hand over two points between which F is not monotone, if any were seen."""
        return {"pair": state.pair} if state.counters[SEEN] else {}
