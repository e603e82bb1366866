"""Newton's method with approximate Hessians, regularised by the norm of the gradient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from fejer.evidence import Array
from fejer.method import Method, Rate, Start, State, option, register
from fejer.problems.constrained import _oracle as oracle
from fejer.problems.constrained._composite import APPROXIMATIONS
from fejer.problems.constrained.smooth_composite import SmoothComposite
from fejer.problems.smooth_problem import SmoothProblem

LARGEST = 5000
SMALLEST_GAMMA = 1e-9
REJECTIONS = 40
SAMPLE = 20
MANY = 40  # samples for each variable from which "auto" begins with a row sketch
GROWTH = 8  # of that sketch, where its Hessian had a step rejected
RIDGE = 1e-12
ROUNDING = 2.0**-44


class _Metric(NamedTuple):
    """B, and its Cholesky factor, None for the identity."""

    B: Array | None
    factor: Array | None

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
        of "softmax"; "fisher": the rank-one term of "power"; "sketch": 20 d rows of "logistic",
        drawn anew each iteration; "none": 0, normalised gradient steps; "auto": exact, but for
        "logistic" with 40 d rows a sketch that grows eightfold at each rejection, and in the end is
        the whole in single precision. A
        `SmoothProblem` says by its `hess` what H is.
    metric : str
        "hessian": B = H at the initial point, which makes the method indifferent to the units of
        the variables; "identity".

    Notes
    -----
    Rate (convex f, D the diameter of the level set): linear, ``exp(-c k gamma/D)``, where gamma
    stays above a constant (logistic, softmax); ``O(1/k^(1+nu))`` for Hessians that are Hölder
    continuous of degree nu; ``O(1/k)`` for H = 0; ``min |g|`` is ``O(k^(-(1+nu)/(2+nu)))``
    without convexity [1]_.

    Iteration: one Hessian; each trial one Cholesky factorisation and one gradient. The gradient is
    always exact, so sketches slow the end down and never bend the answer. Cost: the Hessian,
    ``n d^2`` flops, with the sketch ``20 d^3``; ``d^3/3`` a trial. Memory: ``2 d^2``.

    Pitfalls: an approximation that is too large in a direction of small curvature, as the blocks
    of "softmax" are for a shift of all classes, makes the rate that of the small curvature. An
    indefinite H is shifted by the next lam that makes it positive. Bounds are not treated.

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
        elif self.hessian == "sketch" and problem.loss != "logistic":
            return "sketches are made of logistic losses alone"
        elif self.hessian == "fisher" and problem.loss != "power":
            return "the Fisher term is that of a power of residuals"
        return None

    def prepare(self, problem: Any, tol: float, rng: np.random.Generator) -> _Metric:
        """Factorise the metric."""
        x = problem.initial_point()
        if self.metric == "identity" or self.hessian == "none":
            return _Metric(None, None)
        kind = "exact" if self.hessian in ("auto", "fisher", "sketch") else self.hessian
        B = _hessian(problem, x, kind, _rows(problem, self._sample(problem), 0, 0))
        size = np.diagonal(B).copy()
        own = np.where(size > 0, size, max(float(np.mean(np.abs(size))), 1e-300))
        ridge = RIDGE  # a share of each entry, so that units do not matter
        for _ in range(REJECTIONS):
            if not np.isfinite(B).all():
                break
            B[np.diag_indices_from(B)] = size + ridge * own
            try:
                return _Metric(B, np.asfortranarray(np.linalg.cholesky(B)))
            except np.linalg.LinAlgError:
                ridge *= 100.0
        return _Metric(None, None)

    def begin(
        self, problem: Any, prep: _Metric, start: Start, rng: np.random.Generator
    ) -> GNSState:
        """Start at the given point."""
        if isinstance(problem, SmoothProblem):
            problem.oracle(start.x).require_finite()
        calls = getattr(problem, "difference_calls", 0)
        seed, sample = int(rng.integers(2**31)), self._sample(problem)
        return GNSState(start.x, seed=seed, sample=sample, work=1, nfev=1 + calls)

    def _sample(self, problem: Any) -> int:
        """Return the rows of the first sketch, 0 for an exact Hessian."""
        if isinstance(problem, SmoothProblem) or problem.loss != "logistic":
            return 0
        n, d = problem.A.shape
        wanted = self.hessian == "sketch" or (self.hessian == "auto" and n >= MANY * d)
        return min(n, SAMPLE * d) if wanted else 0

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
            rows = _rows(problem, state.sample, state.seed, state.nit)
            H = _hessian(problem, state.x, self._kind(problem), rows)
            gamma = state.gamma
            state.finished = not self._step(problem, prep, state, at, size, H)
            if self.hessian == "auto" and state.sample and state.edge:
                # the sketch was too rough for this radius, not the radius too large
                grown = GROWTH * state.sample
                state.sample = grown if 2 * grown < problem.A.shape[0] else 0
                state.gamma, state.edge = gamma, False
        return state.finished

    @staticmethod
    def _step(
        problem: Any,
        metric: _Metric,
        state: GNSState,
        at: Any,
        size: float,
        H: Array,
    ) -> bool:
        """Try smaller and smaller gamma until a step is accepted."""
        noise = ROUNDING * abs(at.fun)
        gamma = state.gamma
        for trial in range(REJECTIONS):
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
                    if new.fun <= at.fun + noise and (
                        forward or at.fun - new.fun >= square / (8 * lam)
                    ):
                        shrunk = float(np.sqrt(square)) / size
                        if trial == 0 and not state.edge:
                            gamma *= 4.0 if shrunk <= 0.25 else 2.0
                        elif state.sample:  # the error of H is relative: keep lam, not gamma
                            gamma *= shrunk
                        state.edge = trial > 0
                        state.x, state.gamma = x, min(max(gamma, SMALLEST_GAMMA), 1e150)
                        return True
            gamma /= 2.0 if trial == 0 else 4.0
        return False


def _rows(problem: Any, sample: int, seed: int, nit: int) -> Any:
    """Draw the rows of a sketch."""
    if not sample:
        return None
    rng = np.random.default_rng([seed, nit])
    return np.sort(rng.choice(problem.A.shape[0], sample, replace=False, shuffle=False))


def _hessian(problem: Any, x: Array, kind: str, rows: Any) -> Array:
    if isinstance(problem, SmoothProblem):
        if kind == "none" or problem.hess is None:
            return np.zeros((x.size, x.size))
        answer = oracle.call(problem.hess, x, *problem.args)
        matrix = oracle.dense(oracle.as_matrix(answer, "hess", (x.size, x.size)))
        return np.array(matrix + matrix.T) / 2
    return np.asarray(problem.oracle(x).hessian("sketch" if rows is not None else kind, rows))


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
