"""Halpern iteration of the resolvent, computed by a variance-reduced inner method."""

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
from ._vr_kernels import GO_ON, SOLVED, ahead, draw, sees, size_of, toward

LARGEST_CHANCE = 0.5
SAFETY = 0.5  # of the verified inner error
BOUND = 56.0  # of the theorem on inner steps
# Places in `scalars` and `counters`.
AT_ANCHOR = 0
OUTER, INNER, WORK, CALLS, REFRESHES, RESTARTS, SEEN = range(7)
# Places in `options`.
ETA, TAU, CHANCE, RESTART, FIXED, CAP = range(6)


class Plan(NamedTuple):
    """What does not change during a run.

    Attributes
    ----------
    inclusion : MonotoneInclusion
        The operators.
    batch : int
        Components of a batch.
    options : array
        Steps, chance of an exact evaluation, and the rules for the end of an inner loop.
    spent, calls : int
        Component evaluations and calls that the estimate of the constants cost.
    """

    inclusion: Any
    batch: int
    options: Array
    spent: int
    calls: int


@dataclass
class VRHalpernProximalState(State):
    """Outer iterate and anchor, inner iterate and snapshot, and the last resolvent."""

    x: Array  # the last approximate resolvent, which is judged
    outer: Array
    anchor: Array
    v: Array
    snapshot: Array
    exact: Array  # eta F(snapshot) + snapshot - outer
    before: Array  # the snapshot before
    field: Array  # F(snapshot)
    order: npt.NDArray[np.int64]
    words: npt.NDArray[np.uint64]
    pair: Array
    scalars: Array
    counters: npt.NDArray[np.int64]
    outer_iterations: int = 0
    refreshes: int = 0
    restarts: int = 0


@kernel
def start_inner(v, snapshot, before, exact, outer, field, eta):
    """Begin an inner loop at the outer iterate, where F is known."""
    for i in range(v.size):
        v[i] = outer[i]
        snapshot[i] = outer[i]
        before[i] = outer[i]
        exact[i] = eta * field[i]


@kernel
def pull(x, snapshot, before, exact, mean, eta, tau, chance, out):
    """The point whose resolvent is the next inner iterate."""
    for i in range(x.size):
        g = exact[i] + eta * mean[i] + (x[i] - before[i])
        out[i] = x[i] + chance * (snapshot[i] - x[i]) - tau * g


@kernel
def inner_error(v, outer, exact, argument, tau):
    """``||v - u + eta F(v) + eta g||`` with the g in G(v) that the resolvent of step tau found."""
    total = 0.0
    for i in range(v.size):
        total += (exact[i] + (argument[i] - v[i]) / tau) ** 2
    return math.sqrt(total)


@kernel
def iterate(
    F, component, J, difference,
    x, outer, anchor, v, snapshot, exact, before, field, order, words, pair,
    scalars, counters, options, batch, count,
):  # fmt: skip
    """Many inner iterations; J and difference may be None."""
    m = order.size
    eta, tau, chance = options[ETA], options[TAU], options[CHANCE]
    copy, mean, argument = np.empty_like(x), np.empty_like(x), np.empty_like(x)
    other, after = np.empty_like(x), np.empty_like(x)
    made = 0
    code = GO_ON
    while made < count:
        draw(words, order, batch)
        head = order[:batch].copy()
        mean[:] = 0.0
        if difference is None:
            other[:] = 0.0
            copy[:] = before
            component(copy, head.copy(), other)
            copy[:] = v
            component(copy, head, mean)
            ahead(mean, other, 1.0, mean)
            counters[CALLS] += 2
        else:
            copy[:] = v
            difference(copy, before.copy(), head, mean)
            counters[CALLS] += 1
        counters[WORK] += 2 * batch
        pull(v, snapshot, before, exact, mean, eta, tau, chance, argument)
        if J is None:
            v[:] = argument
        else:
            copy[:] = argument
            J(copy, tau * eta, v)
        before[:] = snapshot
        counters[INNER] += 1
        made += 1
        k = counters[OUTER] + 2.0
        fixed = options[FIXED] > 0.0
        limit = max(1.0, math.floor((options[FIXED] if fixed else options[CAP]) * math.log(k)))
        ended = counters[INNER] >= limit
        exactly = uniform(words) < chance
        if not (exactly or ended):
            continue
        error = 0.0
        moved = size_of(v, outer)
        # A fixed number of inner steps ends without a verdict, and without its price.
        if exactly or not fixed:
            copy[:] = v
            F(copy, after)
            counters[WORK] += m
            counters[CALLS] += 1
            counters[REFRESHES] += 1
            if counters[SEEN] == 0 and sees(v, after, snapshot, field):
                counters[SEEN] = 1
                pair[0] = v
                pair[1] = snapshot
            snapshot[:] = v
            field[:] = after
            for i in range(v.size):
                exact[i] = eta * field[i] + v[i] - outer[i]
            error = inner_error(v, outer, exact, argument, tau)
        if not fixed and error <= SAFETY * moved / (k * k):
            ended = True
        if not ended:
            continue
        # The end of an outer iteration: v is accepted as the resolvent of the outer iterate.
        x[:] = v
        if moved == 0.0 and error == 0.0:
            code = SOLVED
            break
        size = moved + error
        if counters[OUTER] == 0:
            scalars[AT_ANCHOR] = size
        if counters[OUTER] > 0 and size <= options[RESTART] * scalars[AT_ANCHOR]:
            anchor[:] = v
            outer[:] = v
            counters[OUTER] = 0
            counters[RESTARTS] += 1
        else:
            toward(v, anchor, 1.0 / k, outer)
            counters[OUTER] += 1
            copy[:] = outer
            F(copy, field)
            counters[WORK] += m
            counters[CALLS] += 1
        counters[INNER] = 0
        start_inner(v, snapshot, before, exact, outer, field, eta)
    return made, code


@register
@dataclass(frozen=True, eq=False)
class VRHalpernProximal(Method):
    """Inexact Halpern iteration of the resolvent, for monotone finite sums.

    ``u_{k+1} = l u_0 + (1 - l) v_k``, ``l = 1 / (k + 2)``, where v_k is the resolvent of
    ``eta (F + G)`` at u_k up to an error that is verified. It is computed by a variance-reduced
    forward-reflected-backward method: with a snapshot w, whose F(w) is exact,
    ``v <- J(c - t (H(w) + H_S(v) - H_S(w_before)))``, ``c = (1 - p) v + p w``,
    ``H = eta F + I - u_k``, and ``w <- v`` with probability p. An iteration is one such step.

    Parameters
    ----------
    step : float or None, default None
        eta. None: ``sqrt(m) / L_average``; L_average is estimated where it is not declared.
    batch : int or None, default None
        Components of a batch b; None: ``ceil(sqrt(m))``.
    probability : float or None, default None
        p; None: ``2 b / m``, at most 1/2.
    inner_step : float or None, default None
        t. None: ``sqrt(p (1 - p)) / (2 (eta L_b + 1))``, L_b the constant in the mean of a batch.
    inner : float or None, default None
        Inner steps per ``m log(k + 2)``. None: until, at a snapshot, the error
        ``||v - u + eta (F(v) + g)||``, g the element of G(v) at hand, is at most
        ``||v - u|| / (2 (k + 2)^2)``; it bounds the distance to the exact resolvent.
    restart : float or None, default 0.5
        A new anchor is set where ``||v - u||`` plus the error is at most ``restart`` times that at
        the anchor. None: never.

    Notes
    -----
    Rate (no restarts): ``E ||u_k - J_{eta (F + G)} u_k|| <= 7 R / k``, so that accuracy eps costs
    ``O((m + sqrt(m) L_average R / eps) log)`` component calls. The point judged is v_k.

    Pitfalls: in practice it is the slowest of the variance-reduced methods, often ten times slower
    than ``vr-extragradient``; it is the one whose theorem covers operators that are only monotone.

    Cost per iteration: 2 b component calls, with probability p and at the end of an inner loop m
    more; one resolvent and about six passes over x. Memory: twelve vectors of length n, one of
    length m.

    References
    ----------
    .. [1] Cai, Alacaoglu, Diakonikolas (2024), Variance reduced Halpern iteration for finite-sum
       monotone inclusions, ICLR, arXiv:2310.02987.
    .. [2] Alacaoglu, Malitsky, Cevher (2021), Forward-reflected-backward method with variance
       reduction, Comput. Optim. Appl. 80.

    Examples
    --------
    >>> import fejer
    >>> problem = fejer.MonotoneInclusion.random(5, 100)
    >>> result = fejer.minimize(problem, method="vr-halpern-proximal")
    >>> result.success, result.stats["outer_iterations"] < result.nit
    (True, True)
    """

    step: float | None = option(None, above=0, doc="eta; None: sqrt(m) / L_average")
    batch: int | None = option(None, least=1, doc="components of a batch; None: sqrt(m)")
    probability: float | None = option(
        None, above=0, below=1, doc="chance of an exact evaluation; None: 2 batch / m"
    )
    inner_step: float | None = option(None, above=0, doc="step of the inner method; None: theory")
    inner: float | None = option(
        None, above=0, doc="inner steps per m log(k + 2); None: until the error is verified"
    )
    restart: float | None = option(
        0.5, above=0, below=1, doc="decrease of ||v - u|| that moves the anchor; None: never"
    )

    name = "vr-halpern-proximal"
    solves = (InclusionForm,)
    cites = ("arXiv:2310.02987",)
    reach = 1e-4

    @property
    def rate(self) -> Rate:
        """The theorem, which bounds the mean over seeds, by outer iterations."""
        return Rate(
            "E ||u_k - J(u_k)|| <= 7 R / k in outer iterations (arXiv:2310.02987)",
            "sublinear",
            1.0,
            assumptions="F monotone and L_average-Lipschitz in the mean, restart=None",
        )

    def supports(self, problem: Any) -> str | None:
        """Return None, or what is missing for a finite sum."""
        return unsupported(problem.inclusion())

    def prepare(self, problem: Any, tol: float, rng: np.random.Generator) -> Plan:
        """Choose steps, batch and chance, from declared constants or from estimates."""
        inclusion = problem.inclusion()
        m = inclusion.n_components
        batch = min(m, math.ceil(math.sqrt(m)) if self.batch is None else self.batch)
        chance = self.probability or min(LARGEST_CHANCE, 2.0 * batch / m)
        whole, each, spent, calls = constants(inclusion, rng)
        eta = self.step or math.sqrt(m) / each
        mixed = math.sqrt(expected(whole**2, each**2, m, batch))
        tau = self.inner_step
        if tau is None:
            tau = math.sqrt(chance * (1.0 - chance)) / (2.0 * (eta * mixed + 1.0))
        cap = BOUND * max(m, math.sqrt(m) * (eta * each + 1.0))
        fixed = (self.inner or 0.0) * m
        options = np.array([eta, tau, chance, self.restart or 0.0, fixed, cap])
        return Plan(inclusion, batch, options, spent, calls)

    def begin(self, problem: Any, prep: Plan, start: Start, rng: np.random.Generator) -> Any:
        """Anchor at the start and begin the first inner loop there."""
        inclusion, x = prep.inclusion, start.x
        inclusion.check_start(x)
        field = np.array(inclusion.apply(x))
        copies = [x.copy() for _ in range(5)]
        outer, anchor, v, snapshot, before = copies
        return VRHalpernProximalState(
            x,
            outer,
            anchor,
            v,
            snapshot,
            prep.options[ETA] * field,
            before,
            field,
            np.arange(inclusion.n_components, dtype=np.int64),
            seed_state(rng),
            np.zeros((2, x.size)),
            np.zeros(1),
            np.zeros(7, dtype=np.int64),
            work=prep.spent + inclusion.unit,
            nfev=prep.calls + 1,
        )

    def advance(self, problem: Any, prep: Plan, state: Any, n: int) -> bool:
        """Make n inner iterations; fewer where a zero is met exactly."""
        compiled, functions = in_place(prep.inclusion)
        loop = iterate if compiled else iterate.py_func
        counters = state.counters
        work, calls = int(counters[WORK]), int(counters[CALLS])
        made, code = loop(
            *functions,
            *(state.x, state.outer, state.anchor, state.v, state.snapshot, state.exact),
            *(state.before, state.field, state.order, state.words, state.pair),
            *(state.scalars, counters, prep.options, prep.batch, n),
        )
        state.nit += int(made)
        state.work += int(counters[WORK]) - work
        state.nfev += int(counters[CALLS]) - calls
        state.outer_iterations = int(counters[OUTER])
        state.refreshes, state.restarts = int(counters[REFRESHES]), int(counters[RESTARTS])
        return bool(code == SOLVED)

    def witness(self, problem: Any, prep: Any, state: Any) -> dict[str, Array]:
        """Hand over two points between which F is not monotone, if any were seen."""
        return {"pair": state.pair} if state.counters[SEEN] else {}
