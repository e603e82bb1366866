"""Halpern iteration."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from fejer.evidence import Array
from fejer.jit import kernel
from fejer.method import Method, Rate, Start, State, option, register
from fejer.problems.monotone._operators import FixedPointForm

from ._rates import distance, plane_rotation, reflection, residual

RULES = {"adaptive": 0, "classic": 1, "contraction": 2}
LARGEST_PHI, LARGEST_SUM = 1e12, 1e300
EXPANSION = 1.0 + 1e-6  # of the distance of two points, beyond what rounding explains

# What ends a loop of `step` early.
GO_ON, SOLVED, EXPANDING = 0, 1, 2


@dataclass
class HalpernState(State):
    """The iterate, its anchor and the numbers of the present epoch."""

    x: Array
    anchor: Array
    image: Array  # T(anchor)
    pair: Array | None = None  # two points that T drives apart, once seen
    inner: int = 0  # iterations since the anchor
    size: float = 0.0  # ||x - N x|| at the anchor
    weight: float = 1.0  # sum of gamma^(-2i), i = 0..inner
    restarts: int = 0


@register
@dataclass(frozen=True, eq=False)
class Halpern(Method):
    """Halpern iteration with adaptive anchoring and restarts.

    ``x_{k+1} = l_k x_0 + (1 - l_k) N(x_k)``, N the nonexpansive map: T itself, or, where T is
    declared to be a-averaged, ``N = I + (T - I) / a``.

    Parameters
    ----------
    anchor : {"adaptive", "classic", "contraction"}, default "adaptive"
        The weights. Adaptive [3]_: ``l_k = 1 / (phi_k + 1)`` with
        ``phi_k = 1 + 2 <f, x_0 - x_k> / ||f||^2``, ``f = x_k - N x_k``; never below the classic
        ``k + 1``, so never worse, and often much better. Classic: ``l_k = 1 / (k + 2)``.
        Contraction [4]_: ``l_k = 1 / (1 + g^-2 + ... + g^-2(k+1))`` for contractions with factor g.
    restart : float or None, default 0.3
        A new anchor is set where ``||x - N x||`` is at most ``restart`` times that at the anchor,
        or where the anchor is as old as half of all iterations. None: never.

    Notes
    -----
    Rate without restarts: ``||x - N x|| <= 2 R / (k + 1)``, R the distance of the start to a fixed
    point; ``T = -I`` attains it at even k [2]_. Contraction:
    ``(1 + 1/g) R / (1 + g^-1 + ... + g^-k)`` for the residual at k. With restarts the best residual
    so far is at most ``8 R / (k + 1)``, and the rate is linear where the residual bounds the
    distance to the solutions (linear and polyhedral maps).

    Cost: one evaluation of T and two passes over x. Memory: five vectors.

    Pitfalls: without restarts the iterates go to the fixed point nearest to the start; with
    restarts, to some fixed point. If T is not nonexpansive, two points that show it become the
    witness ``pair``.

    References
    ----------
    .. [1] Halpern (1967), Fixed points of nonexpanding maps, Bull. Amer. Math. Soc. 73.
    .. [2] Lieder (2021), On the convergence rate of the Halpern-iteration, Optim. Lett. 15.
    .. [3] He, Xu, Dong, Mei (2025), adaptive anchoring, arXiv:2505.10807.
    .. [4] Park, Ryu (2022), Exact optimal accelerated complexity for fixed-point iterations, ICML,
       arXiv:2201.11413.

    Examples
    --------
    >>> import fejer
    >>> rotation = fejer.FixedPoint.affine([[0.0, -1.0], [1.0, 0.0]], [1.0, 0.0])
    >>> result = fejer.minimize(rotation, method="halpern", tol=1e-9)
    >>> result.success, result.x.round(6)
    (True, array([0.5, 0.5]))
    """

    anchor: str = option("adaptive", choices=tuple(RULES), doc="the rule for the anchor's weights")
    restart: float | None = option(
        0.3, above=0, below=1, doc="decrease of the residual that moves the anchor; None: never"
    )

    name = "halpern"
    solves = (FixedPointForm,)
    cites = ("Halpern (1967)", "Lieder (2021)", "arXiv:2505.10807", "arXiv:2201.11413")

    @property
    def rate(self) -> Rate:
        """The theorem for this anchor, with and without restarts."""
        if self.restart is not None:
            return Rate(
                "min over j <= k of ||x_j - Tx_j|| <= 8 R / (k + 1), with restarts",
                "sublinear",
                1.0,
                assumptions="T nonexpansive, a fixed point exists",
                measure=residual,
                worst_case=lambda k: plane_rotation(2 * math.asin(1 / math.sqrt(k + 1))),
            )
        if self.anchor == "contraction":
            return Rate(
                "||x - Tx|| <= (1 + 1/g) R / (1 + g^-1 + ... + g^-k) (Park, Ryu 2022)",
                "linear",
                factor=lambda problem: float(problem.fixed_point().factor),
                assumptions="T a contraction with factor g",
                measure=residual,
                bound=_contraction_bound,
            )
        return Rate(
            "||x - Tx|| <= 2 R / (k + 1) (Lieder 2021)",
            "sublinear",
            1.0,
            assumptions="T nonexpansive, a fixed point exists",
            measure=residual,
            bound=lambda problem, x0, xstar, k: 2 * distance(problem, x0, xstar) / (k + 1),
            worst_case=(lambda k: reflection()) if self.anchor == "classic" else None,
        )

    def supports(self, problem: Any) -> str | None:
        """Return None, or why the problem has no nonexpansive map or no known factor."""
        reason: str | None = problem.no_map()
        if reason is None and self.anchor == "contraction":
            form = problem.fixed_point()
            if form.operator != "contraction":
                return "anchor='contraction' needs operator='contraction' and its factor"
        return reason

    def prepare(self, problem: Any, tol: float, rng: np.random.Generator) -> Any:
        """Take the map."""
        return problem.fixed_point()

    def begin(self, problem: Any, prep: Any, start: Start, rng: np.random.Generator) -> Any:
        """Anchor at the start."""
        problem.check_start(start.x)
        return HalpernState(start.x, start.x.copy(), np.zeros_like(start.x))

    def advance(self, problem: Any, prep: Any, state: Any, n: int) -> bool:
        """Make n iterations, fewer where a fixed point is met exactly."""
        left, compiled = n, prep.compiled
        gamma = prep.factor if self.anchor == "contraction" else 1.0
        options = (1.0 / prep.averagedness, RULES[self.anchor], gamma, self.restart or 0.0)
        copy, image = (np.empty_like(state.x) for _ in range(2)) if compiled else (None, None)
        code = GO_ON
        while left > 0 and code != SOLVED:
            numbers = (state.nit, state.inner, state.size, state.weight, state.restarts)
            vectors = (state.x, state.anchor, state.image)
            watch = state.pair is None
            if compiled is not None:
                made, code, *numbers = iterate(
                    compiled, *vectors, copy, image, *options, watch, left, *numbers
                )
            else:
                code, *numbers = step(prep.apply(state.x), *vectors, *options, watch, *numbers)
                made = int(code == GO_ON)
            left -= made
            state.nit, state.inner, state.size, state.weight, state.restarts = numbers
            state.work += made * problem.unit
            state.nfev += 0 if prep.is_affine else made
            if code == EXPANDING:
                state.pair = np.array([state.anchor, state.x])
        return code == SOLVED

    def witness(self, problem: Any, prep: Any, state: Any) -> dict[str, Array]:
        """Hand over two points that the map drives apart, if any were seen."""
        return {} if state.pair is None else {"pair": state.pair}


def _contraction_bound(problem: Any, x0: Array, xstar: Array, k: int) -> float:
    gamma: float = problem.fixed_point().factor
    total: float = sum(gamma**-i for i in range(k + 1))
    return (1 + 1 / gamma) * distance(problem, x0, xstar) / total


@kernel
def step(Tx, x, anchor, image, relax, rule, gamma, beta, watch, nit, inner, size, weight, restarts):
    """One iteration, from T(x). Returns the code and the numbers of the state."""
    square = 0.0  # ||f||^2, f = x - N x
    product = 0.0  # <f, anchor - x>
    moved = 0.0  # ||T x - T anchor||^2
    apart = 0.0  # ||x - anchor||^2
    length = 0.0
    for i in range(x.size):
        f = relax * (x[i] - Tx[i])
        back = anchor[i] - x[i]
        square += f * f
        product += f * back
        moved += (Tx[i] - image[i]) ** 2
        apart += back * back
        length += x[i] * x[i]
    norm = math.sqrt(square)
    if square == 0.0 and (rule == 0 or beta > 0.0):
        return SOLVED, nit, inner, size, weight, restarts
    if watch and inner > 0:
        # Distances below 1e-6 of the points are too uncertain for a verdict on T.
        if apart > 1e-12 * length and moved > EXPANSION * EXPANSION * apart:
            return EXPANDING, nit, inner, size, weight, restarts
    if inner > 0 and beta > 0.0 and (norm <= beta * size or 2 * inner >= nit):
        inner = 0
        restarts += 1
        product = 0.0
        anchor[:] = x
    if inner == 0:
        size = norm
        weight = 1.0
        image[:] = Tx
    if rule == 0:
        phi = 1.0 + 2.0 * product / square
        if not phi >= inner + 1.0:  # rounding, or a map that is not nonexpansive
            phi = inner + 1.0
        share = 1.0 / (min(phi, LARGEST_PHI) + 1.0)
    elif rule == 1:
        share = 1.0 / (inner + 2.0)
    else:
        weight = min(1.0 + weight / (gamma * gamma), LARGEST_SUM)
        share = 1.0 / weight
    for i in range(x.size):
        moved_to = x[i] - relax * (x[i] - Tx[i])
        x[i] = share * anchor[i] + (1.0 - share) * moved_to
    return GO_ON, nit + 1, inner + 1, size, weight, restarts


@kernel
def iterate(
    T,
    x,
    anchor,
    image,
    copy,
    Tx,
    relax,
    rule,
    gamma,
    beta,
    watch,
    count,
    nit,
    inner,
    size,
    weight,
    restarts,
):
    """Many iterations with a compiled map, which gets a copy of x."""
    code = GO_ON
    made = 0
    while made < count and code == GO_ON:
        copy[:] = x
        T(copy, Tx)
        code, nit, inner, size, weight, restarts = step(
            Tx,
            x,
            anchor,
            image,
            relax,
            rule,
            gamma,
            beta,
            watch,
            nit,
            inner,
            size,
            weight,
            restarts,
        )
        if code == GO_ON:
            made += 1
    return made, code, nit, inner, size, weight, restarts
