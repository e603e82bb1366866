"""Newton's method with approximate Hessians, regularised by the norm of the gradient."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from fejer.evidence import Array
from fejer.method import Method, Rate, Start, State, option, register
from fejer.problems.constrained import _oracle as oracle
from fejer.problems.constrained._composite import APPROXIMATIONS
from fejer.problems.constrained.finite_sum_hessian import FiniteSumHessian
from fejer.problems.constrained.smooth_composite import SAMPLE, SmoothComposite
from fejer.problems.smooth_problem import SmoothProblem

LARGEST = 5000
SMALLEST_GAMMA = 1e-9
REJECTIONS = 40
MANY = 40  # samples for each variable from which "auto" begins with a row sketch
GROWTH = 8  # of that sketch, where its Hessian had a step rejected
GOOD = 0.25  # factor on the norm of the gradient after which gamma grows fourfold
FAIR = 0.5  # factor that is as good as the test, and lets a whole Hessian serve once more
FIRST_GAMMA = 4.0  # of "auto" with sketches; 1 as published otherwise
RIDGE = 1e-12
ROUNDING = 2.0**-44


class _Metric(NamedTuple):
    """B, and its Cholesky factor, None for the identity; moduli of a gradient worth judging."""

    B: Array | None
    factor: Array | None
    aim: Array | None

    def dual_square(self, g: Array) -> float:
        """Return ``g' B^-1 g``."""
        if self.factor is None:
            return float(g @ g)
        from scipy.linalg.lapack import dtrtrs

        half = dtrtrs(self.factor, g, lower=1)[0]
        return float(half @ half)


@dataclass
class GNSState(State):
    x: Array
    gamma: float = 1.0
    seed: int = 0
    edge: bool = False  # a trial of the last iteration was rejected
    sample: int = 0  # rows of the sketch, 0 for all
    kept: Array = field(default_factory=lambda: np.zeros((0, 0)))  # a Hessian for some more steps
    finished: bool = False


@register
@dataclass(frozen=True, eq=False)
class GNS(Method):
    """Newton steps with an approximate Hessian H, regularised by ``|g|_* / gamma``.

    ``x <- x - (H + (|g|_*/gamma) B)^-1 g``, accepted where the new gradient g+ fulfils
    ``<g+, x - x+> >= |g+|_*^2 / (4 lam)`` or f falls by ``|g+|_*^2 / (8 lam)``, with
    ``lam = |g|_*/gamma``. gamma grows after a step, unless the one before was rejected first, and
    shrinks before another trial: it tracks the largest radius on which H explains the change of
    the gradient.

    Attributes
    ----------
    hessian : str
        "exact"; "gauss-newton": without the rank-one term of "logsumexp" and "power", the blocks
        of "softmax"; "fisher": the rank-one term of "power"; "sketch": 20 rows a variable of
        "logistic", "softmax" or a `FiniteSumHessian`, drawn anew each iteration; "none": 0,
        normalised gradient steps; "auto": exact, but where a sum has 40 rows a variable
        ("logistic", `FiniteSumHessian`) it begins with a sketch, takes eight times the rows
        where a step is hardly good enough, and in the end the whole Hessian once, followed by
        secant updates. The `hess` of a `SmoothProblem` may be approximate itself.
    metric : str
        "hessian": B = H at the initial point, which makes the method indifferent to the units of
        the variables; "identity".

    Notes
    -----
    Rate (convex f, D the diameter of the level set): linear, ``exp(-c k gamma/D)``, where gamma
    stays above a constant (logistic, softmax); ``O(1/k^(1+nu))`` for Hessians that are Hölder
    continuous of degree nu; ``O(1/k)`` for H = 0; ``min |g|`` is ``O(k^(-(1+nu)/(2+nu)))``
    without convexity [1]_. A sketch of s rows makes the end linear, with a factor of about
    ``sqrt(d/s)`` on the gradient.

    Iteration: one Hessian, if not kept; each trial one Cholesky factorisation and one gradient.
    The gradient is always exact, so sketches slow the end down and never bend the answer. A step
    is taken, too, that halves the norm of the gradient and does not raise f. Cost: the Hessian,
    ``n d^2`` flops, with the sketch ``20 d^3``; ``d^3/3`` a trial. Memory: ``3 d^2``.

    Pitfalls: an approximation that is too large in a direction of small curvature, as the blocks
    of "softmax" are for a shift of all classes, makes the rate that of the small curvature. An
    indefinite H is shifted by the next lam that makes it positive. Bounds are not treated.
    With fewer than some hundred rows a variable a sketch saves nothing.

    References
    ----------
    .. [1] Semenov, Doikov and Jaggi (2025), Gradient-normalized smoothness for optimization with
       approximate Hessians, arXiv:2506.13710.

    Examples
    --------
    >>> import fejer
    >>> fejer.minimize(fejer.SmoothComposite.random(), method="gns", tol=1e-8).success
    True
    """

    hessian: str = option(
        "auto", choices=("auto", *APPROXIMATIONS), doc="approximation of the Hessian"
    )
    metric: str = option("hessian", choices=("hessian", "identity"), doc="the norm of steps")

    name, solves = "gns", (SmoothComposite, SmoothProblem)
    cites = ("arXiv:2506.13710",)

    @property
    def rate(self) -> Rate:
        """The rate for a Hessian without information, or for one with."""
        if self.hessian == "none":
            return Rate(
                "f(x_k) - f* = O(L D^2 / k) for H = 0 (arXiv:2506.13710)",
                "sublinear",
                exponent=1.0,
                assumptions="f convex, gradient L-Lipschitz, level set of diameter D",
            )
        return Rate(
            "f(x_k) - f* <= exp(-c k gamma/D) (f(x_0) - f*) while gamma_k >= gamma "
            "(arXiv:2506.13710)",
            "linear",
            assumptions="f convex with gradient-normalised smoothness at least gamma, as for "
            "logistic and softmax losses; level set of diameter D",
        )

    def supports(self, problem: Any) -> str | None:
        """Refuse bounds, absent Hessians and approximations that a loss does not have."""
        if problem.size > LARGEST:
            return f"more than {LARGEST} variables"
        if isinstance(problem, SmoothProblem):
            if problem.bounds is not None and np.isfinite(problem.bounds).any():
                return "it has bounds"
            if problem.hess is None and self.hessian != "none":
                return "it has no hess, exact or approximate"
            if self.hessian == "sketch" and not isinstance(problem.hess, FiniteSumHessian):
                return "its hess is no FiniteSumHessian"
        elif self.hessian == "sketch" and problem.loss not in ("logistic", "softmax"):
            return "sketches are made of losses that are sums"
        elif self.hessian == "fisher" and problem.loss != "power":
            return "the Fisher term is that of a power of residuals"
        return None

    def prepare(self, problem: Any, tol: float, rng: np.random.Generator) -> _Metric:
        """Factorise the metric."""
        aim = tol * problem.units if isinstance(problem, SmoothComposite) else None
        if self.metric == "identity" or self.hessian == "none":
            return _Metric(None, None, aim)
        x, sample = problem.initial_point(), self._sample(problem)
        if self.hessian == "auto" and sample and isinstance(problem, SmoothComposite):
            B = problem.oracle(x).spaced_hessian(SAMPLE).copy()
        else:
            kind = "exact" if self.hessian in ("auto", "fisher", "sketch") else self.hessian
            B = _hessian(problem, x, kind, _rows(problem, sample, 0, 0)).copy()
        size = np.diagonal(B).copy()
        own = np.where(size > 0, size, max(float(np.mean(np.abs(size))), 1e-300))
        ridge = RIDGE  # a share of each entry, so that units do not matter
        for _ in range(REJECTIONS):
            if not np.isfinite(B).all():
                break
            B[np.diag_indices_from(B)] = size + ridge * own
            try:
                return _Metric(B, np.asfortranarray(np.linalg.cholesky(B)), aim)
            except np.linalg.LinAlgError:
                ridge *= 100.0
        return _Metric(None, None, aim)

    def begin(
        self, problem: Any, prep: _Metric, start: Start, rng: np.random.Generator
    ) -> GNSState:
        """Start at the given point."""
        if isinstance(problem, SmoothProblem):
            problem.oracle(start.x).require_finite()
        calls = getattr(problem, "difference_calls", 0)
        seed, sample = int(rng.integers(2**31)), self._sample(problem)
        gamma = FIRST_GAMMA if self.hessian == "auto" and sample else 1.0
        return GNSState(start.x, gamma, seed, sample=sample, work=1, nfev=1 + calls)

    def _sample(self, problem: Any) -> int:
        """Return the rows of the first sketch, 0 for an exact Hessian."""
        if isinstance(problem, SmoothProblem):
            if not isinstance(problem.hess, FiniteSumHessian):
                return 0
            n, automatic = problem.hess.shape[0], True
        else:
            n, automatic = problem.A.shape[0], problem.loss == "logistic"
        automatic = automatic and self.hessian == "auto" and n >= MANY * problem.size
        return min(n, SAMPLE * problem.size) if automatic or self.hessian == "sketch" else 0

    def _kind(self, problem: Any) -> str:
        """Return the approximation of an iteration that draws no rows."""
        if self.hessian == "auto" and self._sample(problem):
            return "single"  # what followed a sketch need not be more accurate than this
        return "exact" if self.hessian in ("auto", "sketch") else self.hessian

    def advance(self, problem: Any, prep: _Metric, state: GNSState, n: int) -> bool:
        """Take regularised Newton steps."""
        for _ in range(n):
            if state.finished:
                return True
            state.nit += 1
            at = problem.oracle(state.x)
            size = float(np.sqrt(prep.dual_square(at.grad)))
            if not size > 0:
                state.finished = True
                return True
            moved = False
            while not moved:
                rough = self.hessian == "auto" and (state.sample > 0 or state.kept.size > 0)
                H = self._matrix(problem, state)
                moved = self._step(problem, prep, state, at, size, H, 1 if rough else REJECTIONS)
                if not rough:
                    break
                if not moved:
                    state.kept = np.zeros((0, 0))
                if state.sample and (state.edge or not moved):
                    # H was too rough for this radius, not the radius too large
                    grown = GROWTH * state.sample
                    state.sample = grown if 2 * grown < _terms(problem) else 0
                    state.edge = False
            state.finished = not moved
            slopes = np.abs(problem.oracle(state.x).grad)
            if prep.aim is not None and (slopes <= prep.aim).all():
                return True
        return state.finished

    def _matrix(self, problem: Any, state: GNSState) -> Array:
        """Return the Hessian of this iteration."""
        if state.kept.size:
            return state.kept
        kind, first = self._kind(problem), self._sample(problem)
        if kind == "single" and state.sample == first and isinstance(problem, SmoothComposite):
            return np.asarray(problem.oracle(state.x).spaced_hessian(SAMPLE))
        H = _hessian(problem, state.x, kind, _rows(problem, state.sample, state.seed, state.nit))
        if kind == "single" and not state.sample:
            state.kept = H
        return H

    @staticmethod
    def _step(
        problem: Any,
        metric: _Metric,
        state: GNSState,
        at: Any,
        size: float,
        H: Array,
        trials: int,
    ) -> bool:
        """Try smaller and smaller gamma until a step is accepted."""
        noise = ROUNDING * abs(at.fun)
        gamma = state.gamma
        for trial in range(trials):
            lam = size / gamma
            h = _solve(H, metric.B, lam, at.grad)
            if h is not None:
                x = state.x + h
                new = problem.oracle(x) if np.isfinite(x).all() else None
                state.work += 1
                state.nfev += 1 + getattr(problem, "difference_calls", 0)
                if new is not None and np.isfinite(new.fun) and np.isfinite(new.grad).all():
                    square = metric.dual_square(new.grad)
                    forward = float(-(new.grad @ h)) >= square / (4 * lam)
                    shrunk = float(np.sqrt(square)) / size
                    passed = forward or at.fun - new.fun >= square / (8 * lam)
                    if new.fun <= at.fun + noise and (passed or shrunk <= FAIR):
                        if trial == 0 and not state.edge:
                            gamma *= 4.0 if shrunk <= GOOD else 2.0
                        elif state.sample:  # the error of H is relative: keep lam, not gamma
                            gamma *= shrunk
                        state.edge = trial > 0 or not passed
                        if state.kept.size:
                            y = new.grad - at.grad
                            state.kept = _secant(H, h, y) if shrunk <= FAIR else np.zeros((0, 0))
                        state.x, state.gamma = x, min(max(gamma, SMALLEST_GAMMA), 1e150)
                        return True
            gamma /= 2.0 if trial == 0 else 4.0
        return False


def _secant(H: Array, h: Array, y: Array) -> Array:
    """Return the BFGS update of H, which takes h to the change y of the gradient."""
    image, curved = H @ h, float(y @ h)
    bent = float(h @ image)
    if not (curved > 0 and bent > 0):
        return H
    return np.asarray(H + np.outer(y, y / curved) - np.outer(image, image / bent))


def _terms(problem: Any) -> int:
    """Return the number of terms of the loss."""
    terms = problem.A if isinstance(problem, SmoothComposite) else problem.hess
    return int(terms.shape[0])


def _rows(problem: Any, sample: int, seed: int, nit: int) -> Any:
    """Draw the rows of a sketch."""
    if not sample:
        return None
    rng = np.random.default_rng([seed, nit])
    return np.sort(rng.choice(_terms(problem), sample, replace=False, shuffle=False))


def _hessian(problem: Any, x: Array, kind: str, rows: Any) -> Array:
    if not isinstance(problem, SmoothProblem):
        return np.asarray(problem.oracle(x).hessian("sketch" if rows is not None else kind, rows))
    if kind == "none" or problem.hess is None:
        return np.zeros((x.size, x.size))
    if rows is not None and isinstance(problem.hess, FiniteSumHessian):
        return problem.hess.sampled(x, rows, *problem.args)
    answer = oracle.call(problem.hess, x, *problem.args)
    matrix = oracle.dense(oracle.as_matrix(answer, "hess", (x.size, x.size)))
    return np.array(matrix + matrix.T) / 2


def _solve(H: Array, B: Array | None, lam: float, g: Array) -> Array | None:
    """Return ``-(H + lam B)^-1 g``, or None where the matrix is not positive definite."""
    from scipy.linalg.lapack import dposv

    K = H + lam * B if B is not None else H.copy()
    if B is None:
        K[np.diag_indices_from(K)] += lam
    if not np.isfinite(K).all():
        return None
    _, h, info = dposv(K, -g, lower=1, overwrite_a=1)
    return np.asarray(h) if info == 0 and np.isfinite(h).all() else None
