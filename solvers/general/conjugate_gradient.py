"""Conjugate gradients."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fejer.evidence import Array
from fejer.method import Method, Rate, Start, State, option, register
from fejer.problems.forms import Blockwise, QuadraticForm

from ._quadratics import is_free
from ._rates import excess

if TYPE_CHECKING:
    from fejer.problem import Problem

__all__ = ["ConjugateGradient", "ConjugateGradientState"]

REFRESH = 100  # iterations after which the residual is computed anew
LARGEST = 3000  # unknowns up to which the condition number is computed


@dataclass
class ConjugateGradientState(State):
    """Point, residual, direction."""

    x: Array
    r: Array
    p: Array
    rz: float
    least: float = math.inf  # smallest residual so far, by the preconditioner's norm
    quiet: int = 0  # iterations without a smaller one


class _Prepared(NamedTuple):
    """Constants of a run."""

    form: QuadraticForm
    inverse: Array | float


@register
@dataclass(frozen=True, eq=False)
class ConjugateGradient(Method):
    """Conjugate gradients for ``1/2 x'Ax - b'x``, preconditioned by the diagonal of A.

    ``x+ = x + (r'z / p'Ap) p``, ``r+ = r - (r'z / p'Ap) A p``, ``z = D^-1 r``, ``p+ = z+ + (r+'z+ /
    r'z) p``.

    Attributes
    ----------
    preconditioner : str or None
        "jacobi": D is the diagonal of A; None: D = I.

    Notes
    -----
    Rate: ``f(x_k) - f* <= 4 q^(2k) (f(x_0) - f*)``, ``q = (sqrt(kappa) - 1)/(sqrt(kappa) + 1)``,
    kappa the condition number of ``D^-1/2 A D^-1/2``; in exact arithmetic it ends after at most as
    many iterations as that has distinct eigenvalues.

    Cost per iteration: one product with A. Memory: four vectors. The residual is computed anew
    every 100 iterations, so that rounding does not pile up.

    References
    ----------
    .. [1] M. Hestenes, E. Stiefel (1952). Methods of conjugate gradients for solving linear
       systems, Journal of Research of the National Bureau of Standards 49.

    Examples
    --------
    >>> import fejer
    >>> problem = fejer.LabelPropagation.random()
    >>> fejer.minimize(problem, method="conjugate-gradient").success
    True
    """

    preconditioner: str | None = option(
        "jacobi", choices=("jacobi",), doc="scaling of the unknowns"
    )

    name = "conjugate-gradient"
    solves = (Blockwise,)
    cites = ("Hestenes, Stiefel (1952)",)

    @property
    def rate(self) -> Rate:
        """The theorem on the energy."""

        def factor(problem: Any) -> float:
            return _factor(problem, self.preconditioner) ** 2

        def bound(problem: Any, x0: Array, xstar: Array, k: int) -> float:
            return 4.0 * factor(problem) ** k * excess(problem, x0, xstar)

        return Rate(
            "e_k <= 4 q^(2k) e_0, q = (sqrt(kappa)-1)/(sqrt(kappa)+1) (Hestenes, Stiefel 1952)",
            "linear",
            factor=factor,
            assumptions="A positive definite; exact arithmetic",
            measure=excess,
            bound=bound,
            worst_case=_chain,
        )

    def supports(self, problem: Any) -> str | None:
        """Return None for a quadratic without penalty and bounds."""
        form = problem.form()
        if not isinstance(form, QuadraticForm):
            return "it is not a quadratic with its matrix"
        return None if is_free(form) else "it has a penalty or bounds"

    def prepare(self, problem: Any, tol: float, rng: np.random.Generator) -> _Prepared:
        """Take the diagonal of A."""
        form = problem.form()
        if self.preconditioner is None:
            return _Prepared(form, 1.0)
        return _Prepared(form, 1.0 / form.matrix.native.diagonal())

    def begin(
        self, problem: Any, prep: _Prepared, start: Start, rng: np.random.Generator
    ) -> ConjugateGradientState:
        """Start along the scaled residual."""
        r = prep.form.b - prep.form.matrix.matvec(start.x)
        p = prep.inverse * r
        return ConjugateGradientState(start.x, r, p, float(r @ p))

    def advance(self, problem: Any, prep: _Prepared, state: ConjugateGradientState, n: int) -> bool:
        """Make n iterations."""
        size = state.x.size
        for _ in range(n):
            if state.rz <= 0.0 or state.quiet > 3 * REFRESH:
                return True
            if state.nit % REFRESH == 0 and state.nit:
                state.r = prep.form.b - prep.form.matrix.matvec(state.x)
                state.work += size
            q = prep.form.matrix.matvec(state.p)
            curvature = float(state.p @ q)
            state.work += size
            state.nit += 1
            if curvature <= 0.0:  # rounding alone is left
                state.rz = 0.0
                return True
            step = state.rz / curvature
            state.x += step * state.p
            state.r -= step * q
            z = prep.inverse * state.r
            previous, state.rz = state.rz, float(state.r @ z)
            state.p *= state.rz / previous
            state.p += z
            smaller = state.rz < 0.99 * state.least
            state.quiet = 0 if smaller else state.quiet + 1
            state.least = min(state.least, state.rz)
        return False

    def point(self, problem: Any, prep: _Prepared, state: ConjugateGradientState) -> Array:
        """Return the point."""
        return state.x


def _factor(problem: Any, preconditioner: str | None) -> float:
    """``(sqrt(kappa) - 1)/(sqrt(kappa) + 1)``, rounded up; 1 for large problems."""
    form = problem.form()
    if form.b.size > LARGEST:
        return 1.0
    A = np.asarray(form.matrix.toarray())
    if preconditioner is not None:
        root = np.sqrt(np.diag(A))
        A = A / np.outer(root, root)
    values = np.linalg.eigvalsh(A)
    rounding = 1e-14 * values.size * values[-1]
    least = values[0] - rounding
    if least <= 0.0:
        return 1.0
    root_of_condition = math.sqrt((values[-1] + rounding) / least)
    return (root_of_condition - 1.0) / (root_of_condition + 1.0)


def _chain(k: int) -> Problem:
    """A chain with labels at one end, 2k unknowns long: news travels one node per iteration."""
    from scipy.sparse import csc_array

    from fejer.problems.sparse.label_propagation import LabelPropagation

    d = 2 * max(1, k) + 1
    labels = np.full(d, np.nan)
    labels[0], labels[-1] = 1.0, 0.0
    here, there = np.arange(d - 1), np.arange(1, d)
    ends = (np.append(here, there), np.append(there, here))
    return LabelPropagation(csc_array((np.ones(2 * d - 2), ends), shape=(d, d)), labels)
