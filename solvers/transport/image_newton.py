"""Newton's method in the images of the points, pulled back to the parameters of a map."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from fejer.evidence import Array
from fejer.method import Method, Rate, Start, State, register
from fejer.problems.transport.map_fit import MapFit

__all__ = ["ImageNewton"]

LARGEST = 3000  # coordinates of all images
TRIALS = 40  # radii in one iteration
ROUNDING = 4e-15  # of the objective, relative
STEP = 0.1  # of the difference along a step that gives the map's curvature


@dataclass
class ImageNewtonState(State):
    x: Array
    radius: float
    finished: bool = False


@register
@dataclass(frozen=True, eq=False)
class ImageNewton(Method):
    """Newton steps on the objective as a function of the images, within a trust region.

    ``s = argmin over |s| <= r of g'J s + 1/2 s'J' H J s``: g and H are gradient and Hessian in the
    images of all points, J is the derivative of these in the parameters. What the map bends away
    from the line is taken back by half a step more, ``t = -1/2 (J' H J + mu I)^-1 J' H T''[s, s]``,
    where that is shorter than s / 2 [2]_.

    Notes
    -----
    H is exact: the response of the potentials to the images is one solution with the Laplacian of
    each plan. What is left out is the curvature of the map itself. There is none for "affine" and
    "rbf", where this is Newton's method; for "mlp" it is multiplied by g, which vanishes where the
    perceptron can move every image. Directions in which J nearly vanishes, on which first-order
    methods spend their iterations, cost nothing: the step is sought in the range of J'.

    Rate: the points' limits are stationary, and the convergence is quadratic where the Hessian is
    positive definite on that range and exact [1]_; where the map's curvature counts it is linear.

    Cost per iteration: the evaluations of the trials, and ``O(N^3 + N^2 p)`` with N the smaller of
    coordinates of the images and parameters p. Memory: the N by p matrix. At most 3000 coordinates.
    Work: evaluations, and one for each Hessian.

    References
    ----------
    .. [1] J. Nocedal, S. Wright (2006), Numerical optimization, Theorems 4.6 and 4.9.
    .. [2] M. Transtrum, J. Sethna (2012), Improvements to the Levenberg-Marquardt algorithm for
       nonlinear least-squares minimization, arXiv:1201.5885.

    Examples
    --------
    >>> import fejer
    >>> result = fejer.minimize(fejer.MapFit.random(map="rbf"), method="image-newton", tol=1e-8)
    >>> result.success
    True
    """

    name = "image-newton"
    solves = (MapFit,)
    cites = ("Nocedal and Wright (2006)", "arXiv:1201.5885")

    @property
    def rate(self) -> Rate:
        """Quadratic convergence to minimisers without curvature of the map."""
        return Rate(
            "|x_{k+1} - x*| <= c |x_k - x*|^2 near a minimiser with a positive definite Hessian "
            "(Nocedal and Wright 2006, Theorem 4.9)",
            "superlinear",
            assumptions="maps that are linear in their parameters; regular minimiser",
        )

    def supports(self, problem: Any) -> str | None:
        """Refuse samples whose Hessian would be too large."""
        if problem.source.size > LARGEST:
            return f"more than {LARGEST} coordinates of the images"
        return None

    def begin(
        self, problem: MapFit, prep: None, start: Start, rng: np.random.Generator
    ) -> ImageNewtonState:
        """Start at the given point, where the objective must be finite."""
        problem.oracle(start.x).require_finite()
        return ImageNewtonState(start.x, 0.0, work=1, nfev=1)

    def advance(self, problem: MapFit, prep: None, state: ImageNewtonState, n: int) -> bool:
        """Make one step and ask to be judged: the judge costs nothing beside it."""
        if n > 0 and not state.finished:
            state.finished = not self._step(problem, state)
            state.nit += 1
        return True

    @staticmethod
    def _step(problem: MapFit, state: ImageNewtonState) -> bool:
        at = problem.oracle(state.x)
        model = _Model(problem, at)
        state.work += 1
        if not model.finite:
            return False
        if state.radius == 0.0:  # images may move by their spread
            size = float(np.linalg.norm(problem.source - problem.source.mean(axis=0)))
            state.radius = size / (float(np.linalg.norm(model.J, 2)) or 1.0) or 1.0
        noise = ROUNDING * (abs(at.fun) + at.size**2)
        for _ in range(TRIALS):
            s, shift = minimize_in_ball(model.values, model.slope, state.radius)
            length = float(np.linalg.norm(s))
            predicted = -float(model.slope @ s + 0.5 * s @ (model.values * s))
            x = state.x + model.bent(s, shift)
            new = problem.oracle(x)
            state.work += 1
            state.nfev += 1
            decrease = at.fun - new.fun if not new.not_finite() else -math.inf
            good = decrease >= 0.05 * predicted
            if predicted <= noise:  # values tell nothing any more; gradients do
                good = np.linalg.norm(new.grad) < np.linalg.norm(at.grad) and decrease >= -noise
            if not good or (decrease < 0.25 * predicted and predicted > noise):
                state.radius = 0.25 * length
            elif decrease >= 0.75 * predicted and length > 0.8 * state.radius:
                state.radius *= 2.0
            if good:
                state.x = x
                return True
        return False


class _Model:
    """The quadratic model in eigenvectors of its Hessian on the range of J'."""

    def __init__(self, problem: MapFit, at: Any) -> None:
        from scipy.linalg import qr

        self.problem, self.at = problem, at
        J: Any = problem.family.jacobian(at.x, problem.source)
        self.reflections: Any = None
        if J.shape[1] > J.shape[0]:
            self.reflections, R = qr(J.T, mode="raw", check_finite=False)
            J = np.triu(R[: J.shape[0]]).T
        self.J = J
        with np.errstate(all="ignore"):
            self.HJ = at.curvature() @ J
            H = J.T @ self.HJ
        self.finite = bool(np.isfinite(H).all())
        if self.finite:
            self.values, self.vectors = np.linalg.eigh(H)
            self.slope = self.vectors.T @ (J.T @ at.images_grad.ravel())

    def whole(self, s: Array) -> Array:
        """The step in all parameters."""
        from scipy.linalg.lapack import dormqr

        step = self.vectors @ s
        if self.reflections is None:
            return step
        factors, tau = self.reflections
        column = np.zeros((factors.shape[0], 1))
        column[: step.size, 0] = step
        return np.asarray(dormqr("L", "N", factors, tau, column, lwork=64)[0])[:, 0]

    def bent(self, s: Array, shift: float) -> Array:
        """The step along which the images move on a line, to second order."""
        apply, source, x = self.problem.family.apply, self.problem.source, self.at.x
        step = self.whole(s)
        with np.errstate(all="ignore"):
            chord = (apply(x + STEP * step, source) - apply(x, source)).ravel() / STEP
            bend = (chord - self.J @ (self.vectors @ s)) / STEP  # half of T''[s, s]
            curvature = np.maximum(self.values + shift, _least(self.values))
            t = -(self.vectors.T @ (self.HJ.T @ bend)) / curvature
        return step + self.whole(t) if np.linalg.norm(t) < 0.5 * np.linalg.norm(s) else step


def _least(values: Array) -> float:
    return 1e-14 * float(np.abs(values).max()) + 1e-300


def minimize_in_ball(values: Array, slope: Array, radius: float) -> tuple[Array, float]:
    """Minimise ``slope's + 1/2 sum values s^2`` over ``|s| <= radius``; values ascend.

    Parameters
    ----------
    values, slope : array
        Eigenvalues of the quadratic function, and its gradient at 0 in eigenvectors.
    radius : float
        Of the ball.

    Returns
    -------
    array, float
        The minimiser, and the multiplier mu of the ball.

    Examples
    --------
    >>> import numpy as np
    >>> minimize_in_ball(np.array([1.0, 2.0]), np.array([2.0, 0.0]), 1.0)[0] + 0.0
    array([-1.,  0.])
    """
    from scipy.optimize import brentq

    least, floor = float(values[0]), _least(values)
    low = max(0.0, -least)
    base = values + low  # at least 0, and exactly so in the lowest direction: mu = low + t

    def at(t: float) -> Array:
        return -slope / np.maximum(base + t, floor)

    def size(s: Array) -> float:
        with np.errstate(over="ignore"):
            return float(np.linalg.norm(s))

    s = at(0.0)
    if not size(s) > radius:
        if least < 0:  # the gradient has no part in the lowest direction
            s[0] = math.copysign(math.sqrt(max(0.0, radius**2 - float(s[1:] @ s[1:]))), -slope[0])
        return s, low

    def excess(t: float) -> float:
        return 1.0 / radius - 1.0 / size(at(t))

    high = 2.0 * float(np.linalg.norm(slope)) / radius
    t = float(brentq(excess, 0.0, high, xtol=1e-14 * high, rtol=1e-12))
    return at(t), low + t
