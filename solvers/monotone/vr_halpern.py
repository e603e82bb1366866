"""Halpern iteration with variance reduction."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fejer.evidence import Array
from fejer.jit import kernel
from fejer.method import Method, Rate, Start, State, option, register
from fejer.numerics.random import seed_state
from fejer.problems.monotone._operators import InclusionForm

from ._components import constants, expected, in_place, unsupported
from ._vr_kernels import (
    GO_ON,
    SOLVED,
    absorb,
    ahead,
    copy,
    decide,
    draw,
    move,
    refreshes,
    sees,
    size_of,
)

LONGER = 2.0  # growth of the step at one anchor
LONGEST = 1e6  # growth in all
# Places in `scalars` and `counters`.
STEP, FIRST, AT_ANCHOR, SMALLEST, LOCAL, SQUARES, PRODUCTS, LEAST, MOST = range(9)
INNER, RESTARTS, HALVINGS, WORK, CALLS, REFRESHES, SEEN, TOTAL = range(8)


class Plan(NamedTuple):
    """What does not change during a run.

    Attributes
    ----------
    inclusion : MonotoneInclusion
        The operators.
    step : float
        The first eta.
    adapts : bool
        Whether eta follows the local constant, at restarts.
    batch : int
        Components of a batch.
    spent, calls : int
        Component evaluations and calls that the estimate of the constants cost.
    """

    inclusion: Any
    step: float
    adapts: bool
    batch: int
    spent: int
    calls: int


@dataclass
class VRHalpernState(State):
    """The iterate, its predecessor, the anchor, the estimate of F and the best refreshed point."""

    x: Array
    before: Array
    anchor: Array
    estimate: Array
    best: Array
    exact: Array  # F(best)
    order: npt.NDArray[np.int64]  # a permutation, of which each batch takes the head
    words: npt.NDArray[np.uint64]
    pair: Array
    scalars: Array
    counters: npt.NDArray[np.int64]
    step: float
    local_constant: float = 0.0  # as measured since the last anchor but one; 0 before it was
    inner: int = 0  # k, since the anchor
    restarts: int = 0
    halvings: int = 0
    refreshes: int = 0


@kernel
def adapted(numbers):
    """Forget the measurements since the last anchor; return the step that they allow."""
    if numbers[SQUARES] > 0.0:
        # No positive product: not even a step of length 0 is cocoercive, so take the least one.
        seen = numbers[SQUARES] / max(numbers[PRODUCTS], 1e-300)
        numbers[LOCAL] = min(seen, 1e300)
        numbers[SQUARES] = 0.0
        numbers[PRODUCTS] = 0.0
        longest = min(LONGER * numbers[STEP], numbers[MOST])
        return max(min(1.0 / numbers[LOCAL], longest), numbers[LEAST])
    return numbers[STEP]


@kernel
def gives_up(x, anchor, best, numbers, counters, m):
    """Halve a step with which half of all iterations brought no restart, for good."""
    longest = 0.5 * counters[TOTAL] + 0.5 * math.sqrt(m)
    if numbers[STEP] <= numbers[LEAST] or counters[INNER] <= longest:
        return
    numbers[STEP] = max(0.5 * numbers[STEP], numbers[LEAST])
    numbers[MOST] = numbers[STEP]
    numbers[AT_ANCHOR] = numbers[SMALLEST]
    numbers[SQUARES] = 0.0
    numbers[PRODUCTS] = 0.0
    x[:] = best
    anchor[:] = best
    counters[INNER] = 0


@kernel
def iterate(
    F, component, J, difference,
    x, before, anchor, estimate, best, exact, order, words, pair, numbers, counters,
    batch, restart, count,
):  # fmt: skip
    """Many iterations; J and difference may be None."""
    m = order.size
    given, other, image = np.empty_like(x), np.empty_like(x), np.empty_like(x)
    mean, change = np.empty_like(x), np.zeros_like(x)
    head = np.empty_like(order[:batch])
    adapts = numbers[LEAST] > 0.0 and restart > 0.0
    made = 0
    code = GO_ON
    while made < count:
        step = numbers[STEP]
        if refreshes(words, counters[INNER], m):
            given[:] = x
            F(given, estimate)
            counters[WORK] += m
            counters[CALLS] += 1
            counters[REFRESHES] += 1
            ahead(x, estimate, step, given)
            if J is not None:
                J(given, step, image)
                residual = size_of(x, image) / step
            else:
                image[:] = 0.0
                residual = size_of(estimate, image)
            if counters[SEEN] == 0 and numbers[SMALLEST] < np.inf:
                if sees(x, estimate, best, exact):
                    counters[SEEN] = 1
                    pair[0] = x
                    pair[1] = best
            restarts = counters[RESTARTS]
            (
                code, counters[INNER], numbers[STEP], numbers[FIRST], numbers[AT_ANCHOR],
                numbers[SMALLEST], counters[RESTARTS], halvings,
            ) = decide(
                x, anchor, estimate, best, exact, residual, restart,
                counters[INNER], step, numbers[FIRST], numbers[AT_ANCHOR], numbers[SMALLEST],
                counters[RESTARTS], counters[HALVINGS],
            )  # fmt: skip
            if halvings > counters[HALVINGS]:
                numbers[LEAST] = min(numbers[LEAST], numbers[STEP])
                numbers[SQUARES] = 0.0
                numbers[PRODUCTS] = 0.0
            counters[HALVINGS] = halvings
            if code == SOLVED:
                break
            if code != GO_ON:
                continue
            if adapts and counters[RESTARTS] > restarts:
                # The theorem wants one step from an anchor to the next.
                numbers[STEP] = adapted(numbers)
            elif adapts and counters[INNER] > 0:
                gives_up(x, anchor, best, numbers, counters, m)
                if counters[INNER] == 0:
                    continue
            move(x, before, anchor, estimate, numbers[STEP], counters[INNER], given)
            step = numbers[STEP]
        else:
            draw(words, order, batch)
            head[:] = order[:batch]
            copy(x, given)
            copy(before, other)
            if difference is None:
                mean[:] = 0.0
                component(other, head, mean)
                head[:] = order[:batch]
                component(given, head, change)
                ahead(change, mean, 1.0, change)
                counters[CALLS] += 2
            else:
                difference(given, other, head, change)
                counters[CALLS] += 1
            counters[WORK] += 2 * batch
            square, product = absorb(
                x, before, anchor, estimate, step, counters[INNER], change, given
            )
            numbers[SQUARES] += square
            numbers[PRODUCTS] += product
        if J is None:
            copy(given, x)
        else:
            J(given, step, x)
        counters[INNER] += 1
        counters[TOTAL] += 1
        made += 1
    return made, code


@register
@dataclass(frozen=True, eq=False)
class VRHalpern(Method):
    """Variance-reduced Halpern iteration for finite sums.

    ``u_{k+1} = J(l u_0 + (1 - l) u_k - eta v_k)``, ``l = 2 / (k + 4)``, J the resolvent of
    ``eta G``; v is F(u) with probability ``p_k`` and else the last v plus the mean of
    ``F_i(u_k) - F_i(u_{k-1})`` over a batch drawn without replacement. ``p_k`` is 1 for k <= 1,
    ``4 / (k + 4)`` up to ``k - 1 = sqrt(m)``, and ``4 / (sqrt(m) + 5)`` from there.

    Parameters
    ----------
    step : float, "auto" or "theory", default "auto"
        eta. Auto: first ``1 / L_b`` with the expected constant of a batch of b components,
        ``L_b = (m (b - 1) L + (m - b) L_max) / (b (m - 1))``, and from each restart on 1 over the
        local constant ``sum ||d||^2 / sum <d, u_k - u_{k-1}>``, d the differences over batches
        since the anchor before; never below the first step, and at most twice the last one.
        Where half of all iterations (and ``sqrt(m) / 2`` more) brought no restart, the step is
        halved, for good. ``stats`` has the last ``step`` and ``local_constant``. Theory:
        ``1 / (4 L_average)``, with which the theorem holds. Constants that the problem does not
        declare are estimated.
    batch : int or None, default None
        b; None: ``ceil(sqrt(m))``.
    restart : float or None, default 0.5
        A new anchor is set at an exact evaluation where the residual is at most ``restart`` times
        that at the anchor. None: never.

    Notes
    -----
    Rate (F cocoercive in the mean, step "theory", no restarts):
    ``E residual(u_k) <= 16 L ||u_0 - u*|| / (k + 4)``, so that accuracy eps costs
    ``O(m log m + sqrt(m) L R / eps)`` component calls. Monotone operators are accepted too; the
    step is halved whenever a residual is 20 times the first one.

    Cost per iteration: m component calls where F is exact, else 2 b, and four passes over x.
    Memory: ten vectors of length n, one of length m.

    Pitfalls: L is the constant in the mean; on problems with a linear regime restarts matter more
    than variance reduction.

    References
    ----------
    .. [1] Cai, Alacaoglu, Diakonikolas (2024), Variance reduced Halpern iteration for finite-sum
       monotone inclusions, ICLR, arXiv:2310.02987.
    .. [2] Li, Bao, Zhang, Richtarik (2021), PAGE: a simple and optimal probabilistic gradient
       estimator, ICML, arXiv:2008.10898.

    Examples
    --------
    >>> import fejer
    >>> problem = fejer.MonotoneInclusion.random(5, 100)
    >>> result = fejer.minimize(problem, method="vr-halpern")
    >>> result.success, result.stats["refreshes"] < result.nit
    (True, True)
    """

    step: float | str = option(
        "auto", above=0, choices=("auto", "theory"), doc="eta, or the rule for it"
    )
    batch: int | None = option(None, least=1, doc="components of a batch; None: sqrt(m)")
    restart: float | None = option(
        0.5, above=0, below=1, doc="decrease of the residual that moves the anchor; None: never"
    )

    name = "vr-halpern"
    solves = (InclusionForm,)
    cites = ("arXiv:2310.02987", "arXiv:2008.10898")

    @property
    def rate(self) -> Rate:
        """The theorem, which bounds the mean over seeds."""
        return Rate(
            "E ||x - J(x - eta F(x))|| / eta <= 16 L R / (k + 4) (arXiv:2310.02987)",
            "sublinear",
            1.0,
            assumptions="F cocoercive in the mean with constant L, step='theory', restart=None",
        )

    def supports(self, problem: Any) -> str | None:
        """Return None, or what is missing for a finite sum."""
        return unsupported(problem.inclusion())

    def prepare(self, problem: Any, tol: float, rng: np.random.Generator) -> Plan:
        """Choose batch and step, from declared constants or from estimates."""
        inclusion = problem.inclusion()
        m = inclusion.n_components
        batch = min(m, math.ceil(math.sqrt(m)) if self.batch is None else self.batch)
        if isinstance(self.step, float | int):
            return Plan(inclusion, float(self.step), False, batch, 0, 0)
        whole, each, spent, calls = constants(inclusion, rng)
        if self.step == "theory" or m == 1:
            each *= 4.0 if self.step == "theory" else 1.0
            return Plan(inclusion, 1.0 / each, False, batch, spent, calls)
        return Plan(inclusion, 1.0 / expected(whole, each, m, batch), True, batch, spent, calls)

    def begin(self, problem: Any, prep: Plan, start: Start, rng: np.random.Generator) -> Any:
        """Anchor at the start."""
        prep.inclusion.check_start(start.x)
        x = start.x
        order = np.arange(prep.inclusion.n_components, dtype=np.int64)
        copies = [x.copy() for _ in range(3)]
        zeros = [np.zeros_like(x) for _ in range(2)]
        numbers = np.array([prep.step, -1.0, math.inf, math.inf, 0.0, 0.0, 0.0, 0.0, 0.0])
        numbers[MOST] = LONGEST * prep.step
        numbers[LEAST] = prep.step if prep.adapts else 0.0
        return VRHalpernState(
            x,
            copies[0],
            copies[1],
            zeros[0],
            copies[2],
            zeros[1],
            order,
            seed_state(rng),
            np.zeros((2, x.size)),
            numbers,
            np.zeros(8, dtype=np.int64),
            prep.step,
            work=prep.spent,
            nfev=prep.calls,
        )

    def advance(self, problem: Any, prep: Plan, state: Any, n: int) -> bool:
        """Make n iterations; fewer where a zero is met exactly or no step is small enough."""
        compiled, functions = in_place(prep.inclusion)
        loop = iterate if compiled else iterate.py_func
        counters = state.counters
        work, calls = int(counters[WORK]), int(counters[CALLS])
        made, code = loop(
            *functions,
            *(state.x, state.before, state.anchor, state.estimate, state.best, state.exact),
            *(state.order, state.words, state.pair, state.scalars, counters),
            *(prep.batch, self.restart or 0.0, n),
        )
        state.nit += int(made)
        state.work += int(counters[WORK]) - work
        state.nfev += int(counters[CALLS]) - calls
        state.inner, state.refreshes = int(counters[INNER]), int(counters[REFRESHES])
        state.restarts, state.halvings = int(counters[RESTARTS]), int(counters[HALVINGS])
        state.step, state.local_constant = float(state.scalars[STEP]), float(state.scalars[LOCAL])
        return bool(code == SOLVED)

    def witness(self, problem: Any, prep: Any, state: Any) -> dict[str, Array]:
        """Hand over two points between which F is not monotone, if any were seen."""
        return {"pair": state.pair} if state.counters[SEEN] else {}
