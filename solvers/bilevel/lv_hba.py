"""First-order descent on the proximal Lagrangian value function."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fejer.evidence import Array
from fejer.method import Method, Rate, Start, State, option, register
from fejer.problems.bilevel.constrained_bilevel import ConstrainedBilevel

from ._value_function import Saddle

__all__ = ["LVHBA"]


@dataclass
class LVHBAState(State):
    """The packed iterate (x, y, t, l, z).

    Attributes
    ----------
    u : array
        The iterate.
    weight : float
        The last c.
    finished : bool
        Not finite.
    """

    u: Array
    weight: float = 0.0
    finished: bool = False


@register
@dataclass(frozen=True, eq=False)
class LVHBA(Method):
    """Bilevel optimisation under constraints, from first derivatives, in a single loop.

    With ``v(x, y, z) = min over t max over l of f(x, t) + l'g(x, t) + ||t - y||^2/(2 gamma1)
    - ||l - z||^2/(2 gamma2)``, l in ``[0, radius]^p``, the lower level is solved by y with
    multipliers z exactly where ``f - v <= 0``; ``F + c (f - v)`` is decreased while c grows.

    Parameters
    ----------
    c0 : float, default 10.0
        First weight.
    decay : float, default 0.49
        ``c_k = c0 (k + 1)^decay``.
    gamma1, gamma2 : float, default 1.0
        Proximal parameters.
    radius : float, default 1e4
        Bound of the multipliers.
    eta, alpha, beta : float or "auto"
        Steps of (t, l), of (x, y) and of z.

    Notes
    -----
    One iteration: a step on the saddle function in (t, l), then a projected step of (x, y) onto
    the set C of both levels' constraints along ``grad F/c + grad f - grad v``, and one of z. Rows
    of g are scaled to gradients of length 1 in y, equations made orthonormal: otherwise the step
    eta is O(1/m). Automatic steps are ``eta = 1/(Lf + 1/gamma1 + gamma2 s^2)``,
    ``alpha = 1/(LF/c + Lf + 1/eta)``, ``beta = 0.3 gamma2``, s the norm of the scaled rows; Lf and
    LF are estimated by differences of gradients at three points.

    Rate: ``min over k <= K of R_k = O(K^-(1 - 2 decay)/2)``, R_k the residual of
    ``F + c_k (f - v)`` times its weight, and ``f - v = O(K^-decay)`` [1]_. The distance from the
    solution behaves like ``1/c_k``: with the default, 4 times the iterations halve it.
    Cost per iteration: two gradients of f in y and two in x, one of F, a projection onto C.
    Memory: O(n + m + p).
    Certificate: of the problem; since ``y`` is stationary below to about ``1/c_k`` only, values of
    1e-2 to 1e-4 are within reach, no less. `lv-hba-anderson` removes that error.
    Pitfall: a multiplier that ends at `radius` was cut off.

    References
    ----------
    .. [1] Yao, Yin, Zeng, Zhang (2024), Constrained bi-level optimization: proximal Lagrangian
       value function approach and Hessian-free algorithm, ICLR, arXiv 2401.16164.

    Examples
    --------
    >>> import fejer
    >>> problem = fejer.ConstrainedBilevel.random()
    >>> fejer.minimize(problem, method="lv-hba", tol=2e-2).success
    True
    """

    c0: float = option(10.0, above=0, doc="first weight of the lower level")
    decay: float = option(0.49, above=0, below=0.5, doc="c_k = c0 (k+1)^decay")
    gamma1: float = option(1.0, above=0, doc="proximal parameter of t")
    gamma2: float = option(1.0, above=0, doc="proximal parameter of l")
    radius: float = option(1e4, above=0, doc="bound of the multipliers")
    eta: float | str = option("auto", above=0, choices=("auto",), doc="step of (t, l)")
    alpha: float | str = option("auto", above=0, choices=("auto",), doc="step of (x, y)")
    beta: float | str = option("auto", above=0, choices=("auto",), doc="step of z")

    name, solves = "lv-hba", (ConstrainedBilevel,)
    cites = ("Yao, Yin, Zeng, Zhang (2024), arXiv 2401.16164",)
    reach = 2e-2

    @property
    def rate(self) -> Rate:
        """The theorem for this growth of the weight."""
        return Rate(
            "min over k <= K of R_k = O(K^-(1 - 2p)/2), c_k = c0 (k+1)^p, R_k the residual of "
            "F + c_k (f - v) (Yao et al. 2024)",
            "sublinear",
            (1 - 2 * self.decay) / 2,
            assumptions="f, g convex in y; F, f, g smooth; F bounded below; steps bounded away "
            "from 0",
        )

    def prepare(self, problem: Any, tol: float, rng: np.random.Generator) -> Saddle:
        """Scale the constraints and estimate Lipschitz constants."""
        return Saddle.of(problem, self.gamma1, self.gamma2, self.radius)

    def begin(
        self, problem: Any, prep: Saddle, start: Start, rng: np.random.Generator
    ) -> LVHBAState:
        """Project the start; t = y, z = l."""
        return LVHBAState(prep.start(problem.project(start.x), prep.first(start.witness)))

    def advance(self, problem: Any, prep: Saddle, state: LVHBAState, n: int) -> bool:
        """Make up to n iterations."""
        given = (self.eta, self.alpha, self.beta)
        with np.errstate(all="ignore"):
            for _ in range(n):
                if state.finished:
                    return True
                c = self.c0 * (state.nit + 1) ** self.decay
                auto = prep.steps(c)
                steps = [a if isinstance(s, str) else s for s, a in zip(given, auto, strict=True)]
                u = prep.image(state.u, c, (steps[0], steps[1], steps[2]))
                state.finished = not np.isfinite(u).all()
                if not state.finished:
                    state.u, state.weight = u, float(c)
                state.nit += 1
                state.work += prep.units
        return False

    def point(self, problem: Any, prep: Saddle, state: LVHBAState) -> Array:
        """Return x and y."""
        return prep.split(state.u)[0].copy()

    def witness(self, problem: Any, prep: Saddle, state: LVHBAState) -> dict[str, Array]:
        """Return the multipliers."""
        return {"multipliers": prep.user_multipliers(state.u)}
