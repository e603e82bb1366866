"""Halpern iteration with variance reduction."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fejer.evidence import Array
from fejer.method import Method, Rate, Start, State, option, register
from fejer.numerics.random import seed_state
from fejer.problems.monotone._operators import InclusionForm

from ._components import constants, expected, unsupported
from ._vr_kernels import GO_ON, NOT_MONOTONE, SOLVED, decide, draw, iterate, move, refreshes


class Plan(NamedTuple):
    """What does not change during a run.

    Attributes
    ----------
    inclusion : MonotoneInclusion
        The operators.
    step : float
        The first eta.
    batch : int
        Components of a batch.
    spent, calls : int
        Component evaluations and calls that the estimate of the constants cost.
    """

    inclusion: Any
    step: float
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
    step: float
    pair: Array | None = None
    inner: int = 0  # k, since the anchor
    first: float = -1.0  # residual at the first refresh
    at_anchor: float = math.inf
    smallest: float = math.inf
    restarts: int = 0
    halvings: int = 0
    refreshes: int = 0


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
        eta. Auto: ``1 / L_b`` with the expected constant of a batch of b components,
        ``L_b = (m (b - 1) L + (m - b) L_max) / (b (m - 1))``. Theory: ``1 / (4 L_average)``, with
        which the theorem holds. Constants that the problem does not declare are estimated.
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

    Cost per iteration: m component calls where F is exact, else 2 b, and three passes over x.
    Memory: six vectors of length n, one of length m.

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
            return Plan(inclusion, float(self.step), batch, 0, 0)
        whole, each, spent, calls = constants(inclusion, rng)
        if self.step == "theory" or m == 1:
            each *= 4.0 if self.step == "theory" else 1.0
            return Plan(inclusion, 1.0 / each, batch, spent, calls)
        return Plan(inclusion, 1.0 / expected(whole, each, m, batch), batch, spent, calls)

    def begin(self, problem: Any, prep: Plan, start: Start, rng: np.random.Generator) -> Any:
        """Anchor at the start."""
        prep.inclusion.check_start(start.x)
        x = start.x
        order = np.arange(prep.inclusion.n_components, dtype=np.int64)
        copies = [x.copy() for _ in range(3)]
        zeros = [np.zeros_like(x) for _ in range(2)]
        return VRHalpernState(
            x,
            copies[0],
            copies[1],
            zeros[0],
            copies[2],
            zeros[1],
            order,
            seed_state(rng),
            prep.step,
            work=prep.spent,
            nfev=prep.calls,
        )

    def advance(self, problem: Any, prep: Plan, state: Any, n: int) -> bool:
        """Make n iterations; fewer where a zero is met exactly or no step is small enough."""
        problem = prep.inclusion
        names = ("F", "component")
        compiled = [problem.first_class(name) for name in names]
        optional = []
        for name in ("resolvent", "component_difference"):
            given = getattr(problem, name) is not None
            optional.append(problem.first_class(name) if given else None)
            compiled.append(optional[-1] if given else True)
        if all(part is not None for part in compiled):
            return self._compiled(problem, prep, state, n, (*compiled[:2], *optional))
        goal = state.nit + n
        while state.nit < goal:
            code = self._iterate(problem, prep, state)
            if code == SOLVED:
                return True
        return False

    def _iterate(self, problem: Any, prep: Plan, state: Any) -> int:
        m, b = problem.n_components, prep.batch
        if refreshes(state.words, state.inner, m):
            state.estimate[:] = problem.apply(state.x)
            state.work += m
            state.nfev += 1
            state.refreshes += 1
            if problem.resolvent is None:
                residual = float(np.linalg.norm(state.estimate))
            else:
                image = problem.resolve(state.x - state.step * state.estimate, state.step)
                residual = float(np.linalg.norm(state.x - image)) / state.step
            code = self._judge(state, residual)
            if code != GO_ON:
                return code
        else:
            draw(state.words, state.order, b)
            batch = state.order[:b]
            state.estimate += problem.mean_difference(state.x, state.before, batch)
            state.work += 2 * b
            state.nfev += 1 if problem.component_difference is not None else 2
        move(state.x, state.before, state.anchor, state.estimate, state.step, state.inner)
        if problem.resolvent is not None:
            state.x[:] = problem.resolve(state.x, state.step)
        state.inner += 1
        state.nit += 1
        return GO_ON

    def _judge(self, state: Any, residual: float) -> int:
        vectors = (state.x, state.anchor, state.estimate, state.best, state.exact)
        if state.pair is None and state.smallest < math.inf:
            f, d = state.estimate - state.exact, state.x - state.best
            size = float(np.linalg.norm(f) * np.linalg.norm(d))
            if float(f @ d) < NOT_MONOTONE * size:
                state.pair = np.array([state.x, state.best])
        code, *numbers = decide(*vectors, residual, self.restart or 0.0, *_numbers(state))
        _store(state, numbers)
        return int(code)

    def _compiled(
        self, problem: Any, prep: Plan, state: Any, n: int, functions: tuple[Any, ...]
    ) -> bool:
        pair = np.zeros((2, problem.n))
        made, code, seen, work, nfev, refreshed, *numbers = iterate(
            *functions,
            state.x,
            state.before,
            state.anchor,
            state.estimate,
            state.best,
            state.exact,
            state.order,
            state.words,
            pair,
            n,
            prep.batch,
            self.restart or 0.0,
            state.pair is None,
            *_numbers(state),
        )
        _store(state, numbers)
        state.nit += made
        state.work += work
        state.nfev += nfev
        state.refreshes += refreshed
        if seen:
            state.pair = pair
        return bool(code == SOLVED)

    def witness(self, problem: Any, prep: Any, state: Any) -> dict[str, Array]:
        """Hand over two points between which F is not monotone, if any were seen."""
        return {} if state.pair is None else {"pair": state.pair}


def _numbers(state: Any) -> tuple[Any, ...]:
    numbers = (state.inner, state.step, state.first, state.at_anchor, state.smallest)
    return (*numbers, state.restarts, state.halvings)


def _store(state: Any, numbers: Any) -> None:
    state.inner, state.step, state.first, state.at_anchor, state.smallest = numbers[:5]
    state.restarts, state.halvings = numbers[5:]
