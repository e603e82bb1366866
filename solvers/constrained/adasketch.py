"""Newton's method whose linear systems are solved by random sketches, only as far as needed."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from fejer.evidence import Array
from fejer.method import Method, Rate, Start, option, register
from fejer.numerics.random import seed_state
from fejer.problem import witness_array
from fejer.problems.constrained import _oracle as oracle
from fejer.problems.constrained._equality import Equality

from ._exact_al import (
    FORMED,
    GROWTH,
    LARGEST,
    SMALLEST,
    Factor,
    Penalised,
    Place,
    armijo,
    descends,
    first_multipliers,
    reason_against,
)
from ._sketch import Sketched

ARMIJO = 0.1
# constants of the published rule
DELTA, LEAST_DELTA, CURVATURE, THETA = 0.1, 1e-6, 0.1, 1.0
SINGULAR = 1e-2
SHARPEST = 1e-3  # share of omega down to which a step is sharpened before penalties move
CHECKS = 4  # an approximate solution is looked at each 4 (n + m) steps, or 4 of a count sketch


@dataclass
class AdaSketchState(Penalised):
    random: np.ndarray = field(default_factory=lambda: np.zeros(4, dtype=np.uint64))
    delta: float = DELTA
    shift: float = 0.0
    row_actions: int = 0
    flops: int = 0
    finished: bool = False


@register
@dataclass(frozen=True, eq=False)
class AdaSketch(Method):
    """AdaSketch-Newton: sketched Newton steps on the exact augmented Lagrangian.

    The system ``K z = -(grad L, c)`` with ``K = [[B, G'], [G, 0]]`` is solved by
    sketch-and-project steps ``z <- z - K's (s'(K z + F)) / |K's|^2``, s random, until z descends on
    ``L + e1/2 |c|^2 + e2/2 |grad L|^2`` and is as accurate as the rule asks for. A line search
    ends the iteration.

    Attributes
    ----------
    accuracy : str
        "descent": ``|K z + F| <= omega min(1, |F|^power) |F|`` and enough descent, which sharpens z
        before it moves e1 and e2; B is shifted by inertia and K is balanced, its rows drawn in
        proportion to their squared norms. "worst-case": the published rule with its constants,
        whose tolerance bounds ``|z - z*|`` by the worst case over all matrices of these norms.
    inner : str
        "kaczmarz" (one row a step), "gaussian" (a normal combination of all rows),
        "count-sketch" (16 signed sums of rows), "minres" (no sketch: the deterministic rival).
    omega, power : float
        Accuracy of rule "descent": with power 0 the residual falls about by omega an iteration,
        with power 1 superlinearly.
    cap : int
        Sketch steps in one iteration, after which z is taken as it is.
    curvature : float
        Rule "worst-case": smallest eigenvalue of H on the null space of G below which H is
        shifted; 1e-6 was published for CUTEst, 1e-2 for logistic regression.
    multipliers : str
        The first l: "least-squares", "zeros" or "ones", where the start brings none.

    Notes
    -----
    Rate: ``|F_k|`` converges linearly with a factor about omega, superlinearly for power > 0; the
    inner error falls in expectation by ``1 - smin(K)^2/|K|_F^2`` a row action of "kaczmarz".

    Iteration: one linear system. Cost of a step: 4 (n + m) flops for "kaczmarz", ``2 (n + m)^2``
    for "gaussian" and "count-sketch". The state counts ``row_actions`` and ``flops``.
    Memory: ``(n + m)^2`` numbers.

    Witness: the multipliers l.

    Pitfalls: at every size that was tried with K in memory a factorisation (`exact-al-newton`) or
    MINRES was faster than any sketch. Row actions pay where rows can be streamed and not stored.
    The rule "worst-case" asks for nearly exact solutions, and stops at ``lambda_min(GG') < 0.01``.

    References
    ----------
    .. [1] Hong, Na, Mahoney, Kolar (2023), Constrained optimization via exact augmented Lagrangian
       and randomized iterative sketching, arXiv:2305.18379.
    .. [2] Strohmer and Vershynin (2009), A randomized Kaczmarz algorithm with exponential
       convergence, arXiv:math/0702226.

    Examples
    --------
    >>> import fejer
    >>> fejer.minimize(fejer.EqualityNLP.random(), method="adasketch").success
    True
    """

    accuracy: str = option(
        "descent", choices=("descent", "worst-case"), doc="when a step is good enough"
    )
    inner: str = option(
        "kaczmarz",
        choices=("kaczmarz", "gaussian", "count-sketch", "minres"),
        doc="how the systems are solved",
    )
    omega: float = option(0.1, above=0, below=1, doc="relative residual of a step")
    power: float = option(0.0, least=0, most=2, doc="power of |F| that omega is multiplied by")
    cap: int = option(1_000_000, least=1, doc="sketch steps in one iteration")
    curvature: float = option(1e-6, above=0, doc="eigenvalue below which H is shifted")
    multipliers: str = option(
        "least-squares", choices=("least-squares", "zeros", "ones"), doc="first multipliers"
    )

    name, solves = "adasketch", (Equality,)
    cites = ("arXiv:2305.18379",)

    @property
    def rate(self) -> Rate:
        """Linear convergence with a factor that the accuracy sets, or superlinear convergence."""
        if self.power > 0:
            return Rate(
                "|F_{k+1}| = O(|F_k|^(1 + min(power, 1))) near a solution",
                "superlinear",
                exponent=1.0 + min(self.power, 1.0),
                assumptions="as for exact-al-newton; almost surely over the sketches",
            )
        return Rate(
            "|F_{k+1}| <= (omega + o(1)) |F_k| near a solution (arXiv:2305.18379)",
            "linear",
            assumptions="as for exact-al-newton; almost surely over the sketches",
        )

    def supports(self, problem: Equality) -> str | None:
        """Refuse more constraints than variables, and what would take too large a matrix."""
        reason = reason_against(problem)
        if reason is None and problem.size + problem.n_constraints > FORMED:
            reason = f"more than {FORMED} variables and constraints"
        return reason

    def begin(
        self, problem: Equality, prep: None, start: Start, rng: np.random.Generator
    ) -> AdaSketchState:
        """Start with the multipliers of the result given as start, or with those of the option."""
        at = problem.at(start.x)
        at.require_finite()
        l = witness_array(start.witness, "multipliers", at.constraint.size)
        if l is None and self.multipliers == "least-squares":
            l = first_multipliers(problem, start.x)
        elif l is None:
            l = np.full(at.constraint.size, float(self.multipliers == "ones"))
        return AdaSketchState(
            start.x, np.array(l), random=seed_state(rng), work=1, nfev=1 + problem.difference_calls
        )

    def witness(self, problem: Equality, prep: None, state: AdaSketchState) -> dict[str, Array]:
        """Return the multipliers."""
        return {"multipliers": state.multipliers}

    def advance(self, problem: Equality, prep: None, state: AdaSketchState, n: int) -> bool:
        """Take sketched Newton steps."""
        step = self._practical if self.accuracy == "descent" else self._published
        for _ in range(n):
            if state.finished:
                return True
            state.nit += 1
            place = Place(problem, state.x, state.multipliers)
            if place.square == 0.0:
                state.finished = True
                return True
            hessian, points = problem.lagrangian_hessian(state.x, state.multipliers)
            state.work += points
            state.nfev += points * (1 + problem.difference_calls)
            H, G = oracle.dense(hessian), oracle.dense(place.G)
            found = (
                step(state, place, H, G) if oracle.is_finite(H) and oracle.is_finite(G) else None
            )
            moved = False
            if found is not None and np.isfinite(found).all():
                slope = descends(state, place, H, found)[1]
                moved = slope < 0 and armijo(problem, state, place, found, slope, ARMIJO)
            state.finished = not moved
        return state.finished

    def _practical(self, state: AdaSketchState, place: Place, H: Array, G: Array) -> Array | None:
        """Solve until the step is accurate to omega and descends."""
        factor = Factor(H, G, state.shift)
        if not np.isfinite(factor.shift):
            return None
        state.shift = factor.shift or state.shift
        size = float(np.sqrt(place.square))
        solver = Sketched(_kkt(H, G, factor.shift), -place.F, self.inner, state.random)
        omega = self.omega * min(1.0, size**self.power)
        rows = 1 if self.inner == "count-sketch" else place.F.size  # that one touches all of them
        aim, done, chunk = omega, 0, CHECKS * rows
        while True:
            solver.run(min(chunk, self.cap - done), aim * size)
            done += chunk
            capped = done >= self.cap or self.inner == "minres"
            if solver.residual() <= aim * size or capped:
                z = solver.z
                steep, slope = descends(state, place, H, z)
                if steep:
                    break
                if aim > SHARPEST * omega and done < self.cap:
                    aim /= 4
                elif not state.harden():
                    break
                elif done >= self.cap and not slope < 0:
                    break
        state.row_actions += solver.rows
        state.flops += solver.flops
        return solver.z

    def _published(self, state: AdaSketchState, place: Place, H: Array, G: Array) -> Array | None:
        """Solve until the worst case over all matrices of these norms is accurate to delta."""
        m, n = G.shape
        smallest = float(np.linalg.eigvalsh(G @ G.T)[0]) if m else 1.0
        if smallest < SINGULAR:
            return None
        B = H
        if m < n:
            null = np.linalg.qr(G.T, mode="complete")[0][:, m:]
            if float(np.linalg.eigvalsh(null.T @ H @ null)[0]) < self.curvature:
                B = H + (CURVATURE + float(np.linalg.norm(H))) * np.eye(n)
        K, b = _kkt(B, G, 0.0), -place.F
        inverse = 20 * max(float(np.linalg.norm(B)) ** 2, 1.0)
        inverse /= min(smallest, 1.0) * min(CURVATURE, 1.0)
        largest = max(float(np.linalg.norm(G)), float(np.linalg.norm(H)), 1.0)

        def trusted() -> float:
            e1, e2 = state.feasibility_weight, state.stationarity_weight
            return (0.5 - ARMIJO) * e2 / ((1 + e1 + e2) * largest**2 * inverse**2)

        state.delta = max(min(state.delta, trusted()), LEAST_DELTA)
        solver = Sketched(K, b, self.inner, state.random, balanced=False)
        worst = float(np.linalg.norm(K)) * inverse
        done, size = 0, float(np.linalg.norm(b))
        chunk = 1 if self.inner == "count-sketch" else b.size
        while True:
            goal = THETA * state.delta * size / worst
            while done < self.cap and solver.residual() > goal:
                solver.run(min(chunk, self.cap - done), goal)
                done = self.cap if self.inner == "minres" else done + chunk
            z = solver.z
            e1, e2 = state.feasibility_weight, state.stationarity_weight
            if e1 > LARGEST or e2 < SMALLEST or descends(state, place, H, z)[0]:
                break
            state.harden()
            state.delta = max(min(state.delta / GROWTH**4, trusted()), LEAST_DELTA)
        state.row_actions += solver.rows
        state.flops += solver.flops
        return z


def _kkt(B: Array, G: Array, shift: float) -> Array:
    m, n = G.shape
    K = np.zeros((n + m, n + m))
    K[:n, :n], K[n:, :n], K[:n, n:] = B, G, G.T
    K[range(n), range(n)] += shift
    return K
