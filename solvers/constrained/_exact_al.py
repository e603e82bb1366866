"""The exact augmented Lagrangian: values, slopes, its two penalties, and Newton matrices."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np

from fejer.evidence import Array
from fejer.method import State
from fejer.problems.constrained import _oracle as oracle
from fejer.problems.constrained._equality import Equality

from ._newton import inertia

LARGEST, SMALLEST = 1e8, 1e-8  # limits of the two penalties
GROWTH = 1.5  # the constant nu: first penalty times nu^2, second one over nu
FIRST, SECOND = 1.0, 0.1
HALVINGS = 40
DUAL_SHIFT = 1e-8
TRIES = 40
LARGEST_MULTIPLIER = 1e3
SPARSE = 300  # rows of a KKT matrix from which its sparsity is used
DENSITY = 0.1
FORMED = 3000  # rows up to which a dense one is factorised
DIFFERENCED = 50
REFINED = 1e-12
ROUNDING = 2.0**-50


@dataclass
class Penalised(State):
    """The part of a state that the exact augmented Lagrangian needs."""

    x: Array
    multipliers: Array
    feasibility_weight: float = FIRST
    stationarity_weight: float = SECOND
    length: float = 1.0  # of the last accepted step

    def reset(self) -> None:
        """Go back to the first penalties."""
        self.feasibility_weight, self.stationarity_weight = FIRST, SECOND

    def harden(self) -> bool:
        """Move both penalties one step; False where that would pass their limits."""
        if self.feasibility_weight > LARGEST or self.stationarity_weight < SMALLEST:
            return False
        self.feasibility_weight *= GROWTH**2
        self.stationarity_weight /= GROWTH
        return True


class Place:
    """Gradient of the Lagrangian, constraints and KKT residual at a point."""

    def __init__(self, problem: Equality, x: Array, l: Array) -> None:
        self.at = problem.at(x)
        self.x, self.l = x, l
        with np.errstate(all="ignore"):
            self.c = self.at.constraint
            self.gradient = self.at.lagrangian_gradient(l)
            self.F = np.concatenate([self.gradient, self.c])
            self.square = float(self.F @ self.F)

    @property
    def G(self) -> Any:
        """The Jacobian."""
        return self.at.constraint_jac

    def merit(self, state: Penalised) -> float:
        """Return ``f + l'c + e1/2 |c|^2 + e2/2 |grad L|^2``."""
        with np.errstate(all="ignore"):  # a trial point may be far away
            value = self.at.fun + float(self.l @ self.c)
            value += state.feasibility_weight / 2 * float(self.c @ self.c)
            return value + state.stationarity_weight / 2 * float(self.gradient @ self.gradient)

    def merit_gradient(self, state: Penalised, H: Any) -> Array:
        """Return the gradient of the merit function in (x, l), H the Hessian of the Lagrangian."""
        bent = self.gradient + state.stationarity_weight * oracle.times(H, self.gradient)
        bent = bent + state.feasibility_weight * oracle.times_transposed(self.G, self.c)
        lifted = self.c + state.stationarity_weight * oracle.times(self.G, self.gradient)
        return np.concatenate([bent, lifted])


def descends(state: Penalised, place: Place, H: Any, z: Array) -> tuple[bool, float]:
    """Whether z is steep enough for the present penalties, and its slope."""
    slope = float(place.merit_gradient(state, H) @ z)
    return slope <= -state.stationarity_weight / 2 * place.square, slope


def armijo(
    problem: Equality, state: Penalised, place: Place, z: Array, slope: float, beta: float
) -> bool:
    """Step along z by halving until the merit function has fallen; whether a length did.

    Near a solution rounding hides its fall: there a full step that halves the residual will do.
    """
    n = place.x.size
    value = place.merit(state)
    noise = ROUNDING * (abs(place.at.fun) + float(np.abs(place.l * place.c).sum()))
    length = 1.0
    for _ in range(HALVINGS):
        x, l = place.x + length * z[:n], place.l + length * z[n:]
        state.work += 1
        state.nfev += 1 + problem.difference_calls
        if np.isfinite(x).all() and np.isfinite(l).all():
            trial = Place(problem, x, l)
            reached = trial.merit(state)
            if not trial.at.not_finite() and np.isfinite(reached):
                fallen = reached <= value + length * beta * slope
                near = length == 1.0 and place.square < 1e-4
                hidden = -slope * length < 1e3 * noise and reached <= value + noise
                closer = trial.square < 0.25 * place.square
                if fallen or (closer and (near or hidden)):
                    state.x, state.multipliers, state.length = x, l, length
                    return True
        length /= 2
    return False


def first_multipliers(problem: Equality, x: Array) -> Array:
    """Return the multipliers of least squares, or zeros where they are far larger than grad f."""
    at = problem.at(x)
    l = at.multipliers.copy()
    if l.size and np.abs(l).max() > LARGEST_MULTIPLIER * max(1.0, float(np.abs(at.grad).max())):
        l = np.zeros_like(l)
    return l


def reason_against(problem: Equality) -> str | None:
    """Say why Newton steps on the KKT system cannot treat a problem, or None."""
    n = problem.size
    try:
        m = problem.n_constraints
    except Exception:  # the run itself will say it, with the values at its start
        return None
    if m > n:
        return f"{m} equality constraints and only {n} variables; use method='alm'"
    if not problem.has_hessian and problem.lag_hessp is None and n > DIFFERENCED:
        return f"no second derivatives and more than {DIFFERENCED} variables"
    return None


def matrices(problem: Equality, place: Place) -> tuple[Any, Any, int]:
    """Return H and G, both sparse or both arrays, and the points visited."""
    H, points = problem.lagrangian_hessian(place.x, place.l)
    G = place.G
    N = H.shape[0] + G.shape[0]
    # SuperLU knows no signs: without qdldl it is for sizes at which nothing else is left
    least = SPARSE if has_qdldl() else FORMED
    if oracle.is_sparse(H) and oracle.is_sparse(G) and N >= least:
        if H.nnz + 2 * G.nnz < DENSITY * N * N:
            return H, G, points
    return oracle.dense(H), oracle.dense(G), points


class Factor:
    """A factorisation of ``[[H + t I, G'], [G, -d I]]`` with n positive and m negative eigenvalues.

    Parameters
    ----------
    H, G : array or CSR array
        Hessian of the Lagrangian, Jacobian.
    last : float
        The last shift that was needed.
    least : float
        A shift to begin with.

    Attributes
    ----------
    shift : float
        t, 0 where H is positive definite on the null space of G; inf where none was found.
    """

    def __init__(self, H: Any, G: Any, last: float = 0.0, least: float = 0.0) -> None:
        self.H, self.G = H, G
        self.n, self.m = H.shape[0], G.shape[0]
        self.sparse = oracle.is_sparse(H)
        entries = H.data if self.sparse else H
        self.size = float(np.abs(entries).max(initial=0.0)) or 1.0
        self.shift = np.inf
        self.K: Any = None
        if not (np.isfinite(self.size) and oracle.is_finite(G)):
            return
        shift, dual = least, DUAL_SHIFT if self.sparse else 0.0
        for _ in range(TRIES):
            signs = self._factorise(shift, dual)
            if signs == (self.n, self.m, 0):
                self.shift = shift
                return
            if dual == 0.0 and (signs[2] > 0 or signs[1] < self.m):
                dual = DUAL_SHIFT
            else:
                shift = max(1e-4 * min(self.size, 1.0), last / 3) if shift == 0.0 else 8.0 * shift

    def _factorise(self, shift: float, dual: float) -> tuple[int, int, int]:
        if self.sparse:
            return self._factorise_sparse(shift, dual)
        from scipy.linalg.lapack import dsytrf

        n, m = self.n, self.m
        K = np.zeros((n + m, n + m), order="F")
        K[:n, :n], K[n:, :n], K[:n, n:] = self.H, self.G, self.G.T
        K[range(n), range(n)] += shift
        K[range(n, n + m), range(n, n + m)] = -dual
        factor, pivots, info = dsytrf(K, lower=1)
        self.K, self._factor, self._pivots = K, factor, pivots
        if info < 0:
            return 0, 0, n + m
        return inertia(factor, pivots)

    def _factorise_sparse(self, shift: float, dual: float) -> tuple[int, int, int]:
        """Factorise with signs by ``qdldl`` if it is installed, else by SuperLU and curvature."""
        from scipy.sparse import block_array, eye_array

        n, m = self.n, self.m
        H = self.H + shift * eye_array(n) if shift else self.H
        self.K = block_array([[H, self.G.T], [self.G, -dual * eye_array(m)]], format="csc")
        try:
            self._solver = _ldl(self.K)
            if self._solver is not None:
                D = np.asarray(self._solver.factors()[1])
                return int((D > 0).sum()), int((D < 0).sum()), int((D == 0).sum())
            from scipy.sparse.linalg import splu

            self._lu = splu(self.K, permc_spec="COLAMD")
        except (RuntimeError, ValueError):  # a pivot that is zero
            return 0, 0, n + m
        # without signs a direction of negative curvature has to be met by chance
        probe = self.solve(np.concatenate([np.cos(np.arange(n)), np.zeros(m)]))[:n]
        curved = float(probe @ (H @ probe)) > 0
        return (n, m, 0) if curved else (n - 1, m + 1, 0)

    def _apply(self, right: Array) -> Array:
        if not self.sparse:
            from scipy.linalg.lapack import dsytrs

            return np.asarray(dsytrs(self._factor, self._pivots, right, lower=1)[0])
        solver = self._solver
        return np.asarray(self._lu.solve(right) if solver is None else solver.solve(right))

    def solve(self, right: Array) -> Array:
        """Return the solution for a right-hand side, refined up to three times."""
        with np.errstate(all="ignore"):
            z = self._apply(right)
            goal = REFINED * float(np.abs(right).max(initial=0.0))
            for _ in range(3 if self.sparse else 1):
                rest = right - self.K @ z
                if not np.abs(rest).max(initial=0.0) > goal:
                    break
                z = z + self._apply(rest)
        return z


def has_qdldl() -> bool:
    """Whether the optional factorisation is installed."""
    return find_spec("qdldl") is not None


def _ldl(K: Any) -> Any:
    """Return a factorisation by ``qdldl``, None where it is not installed."""
    if not has_qdldl():
        return None
    import qdldl
    from scipy.sparse import csc_matrix

    return qdldl.Solver(csc_matrix(K))
