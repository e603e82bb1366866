"""Smooth minimisation in a box, from callables; and the SciPy-style call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, Self

import numpy as np

from fejer.errors import ProblemError
from fejer.evidence import EMPTY, Array, Certificate, failed
from fejer.numerics.differences import derivative_errors
from fejer.problem import Problem, as_number, as_vector

from .constrained import _kkt as kkt
from .constrained import _oracle as oracle
from .constrained._point import Point
from .constrained._scipy_call import as_args, bounds_array, constraint_fields

KIND = "projected gradient"
OUTSIDE = 1e-9
DIFFERENCES = ("2-point", "3-point", "cs", False)  # scipy's words; one scheme serves them all


@dataclass(frozen=True, eq=False)
class SmoothProblem(Problem):
    """Smooth objective on a box.

    ``min over x in R^n of f(x)  subject to  lower <= x <= upper``.

    Parameters
    ----------
    fun : callable
        ``fun(x, *args) -> float``; with ``jac=True`` it returns ``(f, g)``. It gets a copy of
        ``x``, a C-contiguous float64 vector, which it may keep or change.
    jac : callable, True or None
        ``jac(x, *args) -> (n,)``, the gradient. None: central differences, 2n calls of `fun`
        inside the bounds.
    x0 : array_like, shape (n,), optional
        Start; projected on the box. May be left out where `bounds` fix n: then the projection
        of 0.
    hess : callable, optional
        ``hess(x, *args) -> (n, n)``, for methods of second order.
    bounds : Bounds or sequence of pairs, optional
        scipy's Bounds, or one ``(lower, upper)`` for each variable, None for no bound. Kept as an
        (n, 2) array.
    args : tuple, default ()
        Further arguments of the functions.
    scale : float, default 1.0
        Divides the certificate's value: what gradients are compared with, in units of f over
        units of x. It is yours to choose, since functions do not tell their units.

    Raises
    ------
    ProblemError
        A field of the wrong kind or shape; it is named.

    Notes
    -----
    Variable: x. No witness.

    Certificate: ``||x - P(x - grad f(x))||_inf / scale``, P the projection on the box, plus
    ``details["floor"]``: 2.2e-16 of the gradient, and with differences what they may be off by,
    measured with a second step length. It is a necessary condition, never rigorous. A point
    outside the box by more than 1e-9 (relative) has the value inf.

    Work is counted in points at which functions are evaluated; ``nfev`` adds 2n for a difference.

    Pitfalls: flat ends and small units pass at any tolerance, so choose `scale`; and close to a
    bound the value is at most the distance to it, however steep f is.

    Examples
    --------
    >>> import fejer
    >>> from scipy.optimize import rosen, rosen_der
    >>> problem = fejer.SmoothProblem(rosen, rosen_der, x0=[-1.2, 1.0], bounds=[(None, 0.5)] * 2)
    >>> fejer.minimize(problem).x.round(4)
    array([0.5 , 0.25])
    """

    fun: Callable[..., Any]
    jac: Callable[..., Any] | Literal[True] | None = None
    x0: Any = None
    hess: Callable[..., Any] | None = None
    bounds: Any = None
    args: tuple[Any, ...] = ()
    scale: float = 1.0

    def __post_init__(self) -> None:
        oracle.checked_callable(self.fun, "fun", optional=False)
        oracle.checked_callable(self.jac, "jac", also=(True,))
        oracle.checked_callable(self.hess, "hess")
        x0 = None if self.x0 is None else as_vector(self.x0, "x0")
        bounds = bounds_array(self.bounds, None if x0 is None else x0.size)
        if x0 is None and bounds is None:
            raise ProblemError("x0: expected a vector, got None; without bounds it fixes n")
        scale = as_number(self.scale, "scale", above=0)
        self.set(x0=x0, bounds=bounds, args=as_args(self.args), scale=scale)

    # ---- the contract -------------------------------------------------------------------------
    def initial_point(self) -> Array:
        """Return the projection of ``x0``, or of 0, on the box."""
        if self.x0 is not None:
            return self.project(self.x0)
        return self.project(np.zeros(len(self.bounds)))

    def project(self, x: Array) -> Array:
        """Return the nearest point of the box.

        Parameters
        ----------
        x : array, shape (n,)
            Any point.

        Returns
        -------
        array, shape (n,)
            A new array.
        """
        if self.bounds is None:
            return np.array(x)
        return np.clip(x, self.bounds[:, 0], self.bounds[:, 1])

    def auto(self) -> tuple[str, ...]:
        """Return L-BFGS first, then the regularised Newton method."""
        return ("lbfgs", "gns")

    @property
    def judge_units(self) -> int:
        """Nothing with a supplied gradient, since the last points are remembered."""
        return int(self.jac is None)

    @property
    def difference_calls(self) -> int:
        """Evaluations that the differences at one point take: 0 or 2n."""
        return 2 * self.size if self.jac is None else 0

    def evaluate(self, x: Array) -> Point:
        """Return the functions at ``x``, each called when first asked for."""
        fun, jac = self._bound(self.fun), self._bound(self.jac)
        lower, upper = (None, None) if self.bounds is None else self.bounds.T
        return Point(x, fun, jac, ("fun", "jac"), lower, upper)

    def _bound(self, function: Any) -> Any:
        return oracle.WithArgs(function, self.args) if callable(function) else function

    def certificate(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> Certificate:
        """Judge ``x`` by its projected gradient."""
        inside = self.project(x)
        outside = float(np.max(np.abs(x - inside) / np.maximum(1.0, np.abs(inside))))
        if outside > OUTSIDE:
            return failed(KIND, "x leaves its bounds", scale=self.scale)
        at: Point = self.oracle(inside)
        bad = at.not_finite()
        if bad:
            return failed(KIND, f"{bad} is nan or infinite at x", at.fun, scale=self.scale)
        doubt = at.grad_doubt + kkt.ROUNDING * np.abs(at.grad)
        moves = [self._move(inside, at.grad + sign * doubt) for sign in (0.0, 1.0, -1.0)]
        largest = max(moves)
        details = {"projected_gradient": moves[0], "floor": (largest - moves[0]) / self.scale}
        value = largest / self.scale + outside
        return Certificate(KIND, value, at.fun, scale=self.scale, details=details)

    def _move(self, x: Array, g: Array) -> float:
        """Return ``||x - P(x - g)||_inf`` without the cancellation of the formula."""
        if self.bounds is not None:
            g = np.clip(g, x - self.bounds[:, 1], x - self.bounds[:, 0])
        return float(np.abs(g).max())

    def derivative_checks(self, x: Array) -> list[tuple[str, Array, Array]]:
        """Compare the supplied derivatives with differences.

        Parameters
        ----------
        x : array, shape (n,)
            Where; best not a symmetric point.

        Returns
        -------
        list of (str, array, array)
            For each supplied derivative its name, step lengths, and the largest relative error of
            an entry for each step.
        """
        point, checks = self.evaluate(x), []
        if self.jac is not None:
            checks.append(
                derivative_errors("jac", x, lambda y: self.evaluate(y).fun, point.grad.dot)
            )
        if self.hess is not None:
            answer = oracle.call(self._bound(self.hess), x)
            H = oracle.as_matrix(answer, "hess", (x.size, x.size))
            product = partial(oracle.times, H)
            checks.append(derivative_errors("hess", x, lambda y: self.evaluate(y).grad, product))
        return checks

    @classmethod
    def random(cls, n: int = 10, *, seed: int = 0) -> Self:
        """Draw a strongly convex logistic fit whose coefficients are bounded.

        Parameters
        ----------
        n : int, default 10
            Variables; there are 4n samples, and each coefficient lies in [-0.5, 0.5].
        seed : int, default 0
            Seed of the generator.

        Returns
        -------
        SmoothProblem
            With gradient and Hessian.

        Examples
        --------
        >>> import fejer
        >>> fejer.minimize(fejer.SmoothProblem.random()).success
        True
        """
        n = as_number(n, "n", least=1, integer=True)
        rng = np.random.default_rng(seed)
        A = rng.standard_normal((4 * n, n))
        A *= np.sign(A @ rng.standard_normal(n) + rng.standard_normal(4 * n))[:, None]
        A.flags.writeable = False
        bounds = np.tile([-0.5, 0.5], (n, 1))
        return cls(_logistic, _logistic_grad, np.zeros(n), _logistic_hess, bounds, (A,))


def _logistic(x: Array, A: Array) -> float:
    return float(np.logaddexp(0.0, -(A @ x)).mean() + 0.05 * x @ x)


def _probability(x: Array, A: Array) -> Array:
    return 0.5 - 0.5 * np.tanh(0.5 * (A @ x))  # 1 / (1 + exp(a'x)), without overflow


def _logistic_grad(x: Array, A: Array) -> Array:
    return -(A.T @ _probability(x, A)) / len(A) + 0.1 * x


def _logistic_hess(x: Array, A: Array) -> Array:
    p = _probability(x, A)
    return (A.T * (p * (1 - p))) @ A / len(A) + 0.1 * np.eye(x.size)


def from_callable(
    fun: Callable[..., Any],
    x0: Any,
    *,
    jac: Any = None,
    hess: Any = None,
    bounds: Any = None,
    constraints: Any = (),
    args: Any = (),
) -> Problem:
    """Build the problem that the SciPy-style call of `fejer.minimize` means.

    Parameters
    ----------
    fun : callable
        ``fun(x, *args)``.
    x0 : array_like or Result
        Start.
    jac : callable, True, str or None
        The gradient; scipy's names of difference schemes mean central differences.
    hess : callable, str, HessianUpdateStrategy or None
        The Hessian; what is not callable is left to the method.
    bounds : Bounds or sequence of pairs, optional
        Only without constraints.
    constraints : object, dict or sequence of them
        NonlinearConstraint or LinearConstraint with equal bounds, dicts of type "eq".
    args : tuple
        Further arguments of ``fun, jac, hess``.

    Returns
    -------
    SmoothProblem or EqualityNLP
        The latter with constraints.

    Raises
    ------
    ProblemError
        Inequalities, bounds beside constraints, or fields of the wrong kind.

    Examples
    --------
    >>> from fejer.problems.smooth_problem import from_callable
    >>> type(from_callable(lambda x: x @ x, [1.0, 2.0])).__name__
    'SmoothProblem'
    """
    start = x0["x"] if isinstance(x0, Mapping) and "x" in x0 else x0
    if start is None:
        raise ProblemError("x0: expected a vector, got None; a callable does not tell its size")
    if np.ndim(start) == 0 and not isinstance(start, str):
        start = [start]
    named = isinstance(jac, str | bool) and any(jac is d or jac == d for d in DIFFERENCES)
    gradient = None if named and jac is not True else jac
    usable = callable(hess) and not isinstance(hess, type)
    hessian = hess if usable else None
    if constraints is None or (isinstance(constraints, list | tuple) and not len(constraints)):
        return SmoothProblem(fun, gradient, start, hessian, bounds, as_args(args))
    from .constrained.equality_nlp import EqualityNLP

    x = as_vector(start, "x0")
    box = bounds_array(bounds, x.size)
    if box is not None and np.isfinite(box).any():
        raise ProblemError(
            "bounds: not treated beside constraints; substitute them (x = lower + y**2), or use "
            "scipy's 'SLSQP' or 'trust-constr'"
        )
    oracle.checked_callable(fun, "fun", optional=False)
    oracle.checked_callable(gradient, "jac", also=(True,))
    fields = constraint_fields(constraints, x.size)
    further = as_args(args)
    if further:
        fun = oracle.WithArgs(fun, further)
        gradient = oracle.WithArgs(gradient, further) if callable(gradient) else gradient
        hessian = oracle.WithArgs(hessian, further) if hessian is not None else None
    if hessian is None:
        fields.pop("constraint_hess", None)
    return EqualityNLP(fun, gradient, x0=x, hess=hessian, **fields)
