"""Newton steps on the KKT system, with the exact augmented Lagrangian as merit function."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fejer.evidence import Array
from fejer.method import Method, Rate, Start, option, register
from fejer.problem import witness_array
from fejer.problems.constrained._equality import Equality

from ._exact_al import (
    FORMED,
    Factor,
    Penalised,
    Place,
    armijo,
    descends,
    first_multipliers,
    matrices,
    reason_against,
)
from ._restoration import damping, kicked, restoring_step

KICKS = 3
RESTORED = 0.1
SHIFTS = 8


@dataclass
class ExactALState(Penalised):
    shift: float = 0.0
    seed: int = 0
    goal: float = -1.0  # violation that ends the restoration; below 0 outside of it
    damping: float = 0.0
    stuck: Array | None = None  # the least violated point at which a restoration ended
    kicks: int = 0
    fresh: bool = True  # the multipliers are those of least squares, the penalties the first ones
    finished: bool = False


@register
@dataclass(frozen=True, eq=False)
class ExactALNewton(Method):
    """Newton's method on the KKT system, guarded by the exact augmented Lagrangian.

    Steps ``[[H + t I, G'], [G, 0]] z = -(grad L, c)`` are shortened until they lower
    ``L(x, l) + e1/2 |c|^2 + e2/2 |grad L|^2``, a function of x and l whose stationary points are
    KKT points for e1 large and e2 small enough. t is the first shift at which the matrix has n
    positive and m negative eigenvalues, so that saddles repel.

    Attributes
    ----------
    armijo : float
        Share of the predicted decrease that a step must reach.

    Notes
    -----
    Rate: quadratic where the gradients of the constraints are independent and the Hessian of the
    Lagrangian is positive definite on their null space [1]_.

    Iteration: one factorisation. If z does not descend by ``e2/2 |(grad L, c)|^2`` at least, e1 is
    multiplied by 2.25 and e2 divided by 1.5. If no step length helps, multipliers and penalties are
    set anew, and after that Levenberg-Marquardt steps (one an iteration) lower ``|c|`` tenfold; a
    point where the Jacobian vanishes is left by a small random step, three times at most.

    Cost: ``(n + m)^3 / 3`` flops, or a sparse factorisation by ``qdldl``, where it is installed and
    both matrices are sparse with 300 rows and up to 10 % of the entries. Beyond 3000 rows SuperLU
    stands in for it, which tells no signs: there a single direction is asked for its curvature.
    Memory: that of the factor.

    Witness: the multipliers l.

    Pitfalls: nearly dependent constraints make the steps short; `alm` is better there. Without
    second derivatives they are formed by differences, for n up to 50.

    References
    ----------
    .. [1] Bertsekas (1982), Constrained optimization and Lagrange multiplier methods, section 4.3.
    .. [2] Hong, Na, Mahoney, Kolar (2023), Constrained optimization via exact augmented Lagrangian
       and randomized iterative sketching, arXiv:2305.18379.

    Examples
    --------
    >>> import fejer
    >>> problem = fejer.EqualityNLP.random()
    >>> fejer.minimize(problem, method="exact-al-newton", tol=1e-10).success
    True
    """

    armijo: float = option(1e-4, above=0, below=0.5, doc="share of the predicted decrease")

    name, solves = "exact-al-newton", (Equality,)
    cites = ("Bertsekas (1982)", "arXiv:2305.18379")

    @property
    def rate(self) -> Rate:
        """Quadratic convergence near a solution."""
        return Rate(
            "|w_{k+1} - w*| <= C |w_k - w*|^2 for w = (x, l) near w* (Bertsekas 1982)",
            "superlinear",
            exponent=2.0,
            assumptions="independent gradients of the constraints, second-order sufficiency, "
            "Lipschitz second derivatives",
        )

    def supports(self, problem: Equality) -> str | None:
        """Refuse more constraints than variables, and what would take too large a matrix."""
        reason = reason_against(problem)
        if reason is None and problem.size > FORMED and not problem.has_hessian:
            reason = f"more than {FORMED} variables and no Hessian as a matrix"
        return reason

    def begin(
        self, problem: Equality, prep: None, start: Start, rng: np.random.Generator
    ) -> ExactALState:
        """Start with the multipliers of the result given as start, or those of least squares."""
        at = problem.at(start.x)
        at.require_finite()
        l = witness_array(start.witness, "multipliers", at.constraint.size)
        fresh = l is None
        state = ExactALState(
            start.x,
            first_multipliers(problem, start.x) if l is None else np.array(l),
            seed=int(rng.integers(2**31)),
            fresh=fresh,
            work=1,
            nfev=1 + problem.difference_calls,
        )
        return state

    def witness(self, problem: Equality, prep: None, state: ExactALState) -> dict[str, Array]:
        """Return the multipliers."""
        return {"multipliers": state.multipliers}

    def advance(self, problem: Equality, prep: None, state: ExactALState, n: int) -> bool:
        """Take Newton steps, or steps of the restoration."""
        for _ in range(n):
            if state.finished:
                return True
            state.nit += 1
            if state.goal >= 0:
                self._restore(problem, state)
            elif not self._newton(problem, state):
                self._rescue(problem, state)
        return state.finished

    def _newton(self, problem: Equality, state: ExactALState) -> bool:
        """Take one Newton step; whether the merit function fell."""
        place = Place(problem, state.x, state.multipliers)
        if place.square == 0.0:
            state.finished = True
            return True
        H, G, points = matrices(problem, place)
        state.work += points
        state.nfev += points * (1 + problem.difference_calls)
        least = 0.0
        for _ in range(SHIFTS):
            factor = Factor(H, G, state.shift, least)
            if not np.isfinite(factor.shift):
                return False
            z = factor.solve(-place.F)
            if not np.isfinite(z).all():
                return False
            state.shift = factor.shift or state.shift
            steep, slope = descends(state, place, H, z)
            while not steep and state.harden():
                steep, slope = descends(state, place, H, z)
            if steep:
                return armijo(problem, state, place, z, slope, self.armijo)
            state.reset()
            least = 8 * max(factor.shift, 1e-4 * min(factor.size, 1.0))
        return False

    def _rescue(self, problem: Equality, state: ExactALState) -> None:
        """Set multipliers and penalties anew; if that was done before, restore the constraints."""
        place = Place(problem, state.x, state.multipliers)
        violation = float(np.linalg.norm(place.c))
        level = 1e-12 * max(1.0, float(np.abs(state.x).max()))
        if not state.fresh:
            state.multipliers = first_multipliers(problem, state.x)
            state.reset()
            state.fresh = True
            if np.sqrt(place.square) <= 1e-6:  # rounding stopped the search: no reason to restart
                state.finished = True
                state.multipliers = place.l.copy()
        elif violation <= level or state.kicks > KICKS:
            state.finished = True
        else:
            state.goal = RESTORED * violation
            state.damping = damping(place.G)

    def _restore(self, problem: Equality, state: ExactALState) -> None:
        """Take one step towards the constraints."""
        x, state.damping, stuck = restoring_step(problem, state.x, state.damping)
        state.work += 1
        state.nfev += 1 + problem.difference_calls
        state.x = x
        violation = float(np.linalg.norm(problem.at(x).constraint))
        if stuck:
            old = state.stuck
            best = old is None or violation < np.linalg.norm(problem.at(old).constraint)
            state.stuck = x.copy() if best or old is None else old
            state.kicks += 1
            if state.kicks > KICKS:
                state.x = state.stuck.copy()
                state.finished = True
            else:
                state.x = kicked(x, state.seed, state.kicks)
                state.damping = damping(problem.at(state.x).constraint_jac)
        if state.finished or (violation <= state.goal and not stuck):
            state.goal = -1.0
            state.multipliers = first_multipliers(problem, state.x)
            state.reset()
            state.fresh = True
