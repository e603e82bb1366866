"""scipy.optimize: equations without derivatives, and equality constraints with all of them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from fejer.evidence import Array
from fejer.problems.constrained.equality_nlp import EqualityNLP
from fejer.problems.monotone.fixed_point import FixedPoint

__all__ = ["anderson", "df_sane", "equation", "fixed_point", "krylov", "slsqp", "trust_constr"]

ITERATIONS = 20_000

Solve = Callable[[float], Array]


def equation(problem: FixedPoint) -> tuple[Callable[[Array], Array], Array]:
    """Return the residual ``T(x) - x`` as a function, and the start.

    Parameters
    ----------
    problem : FixedPoint
        Any.

    Returns
    -------
    tuple
        For the solvers of equations.
    """

    def residual(x: Array) -> Array:
        return np.asarray(problem.T(x)) - x

    return residual, problem.initial_point()


def _root(problem: FixedPoint, name: str, **settings: Any) -> Solve:
    import scipy.optimize

    residual, x0 = equation(problem)
    method = getattr(scipy.optimize, name)

    def solve(tol: float) -> Array:
        try:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                return np.asarray(
                    method(
                        residual,
                        x0.copy(),
                        f_tol=tol * problem.scale,
                        tol_norm=np.linalg.norm,
                        maxiter=ITERATIONS,
                        **settings,
                    )
                )
        except scipy.optimize.NoConvergence as failure:
            return np.asarray(failure.args[0])

    return solve


def anderson(problem: FixedPoint) -> Solve:
    """Prepare ``scipy.optimize.anderson`` with ten differences, as ours has.

    Parameters
    ----------
    problem : FixedPoint
        Any.

    Returns
    -------
    callable
        ``solve(tol)``; tol bounds the residual in units of the problem's scale.
    """
    # alpha = 1: mixing that continues x <- x + (T(x) - x), which the default guess need not do
    return _root(problem, "anderson", M=10, alpha=1.0)


def fixed_point(problem: FixedPoint) -> Solve:
    """Prepare ``scipy.optimize.fixed_point``: Steffensen's method, entry by entry.

    Parameters
    ----------
    problem : FixedPoint
        Any.

    Returns
    -------
    callable
        ``solve(tol)``; tol bounds the relative change of an entry.
    """
    import scipy.optimize

    start = problem.initial_point()

    def solve(tol: float) -> Array:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            try:
                return np.asarray(
                    scipy.optimize.fixed_point(
                        problem.T, start.copy(), xtol=tol, maxiter=ITERATIONS // 2
                    )
                )
            except RuntimeError:  # it did not converge
                return start

    return solve


def krylov(problem: FixedPoint) -> Solve:
    """Prepare ``scipy.optimize.newton_krylov`` with LGMRES, its default.

    Parameters
    ----------
    problem : FixedPoint
        Any.

    Returns
    -------
    callable
        ``solve(tol)``; tol bounds the residual in units of the problem's scale.
    """
    return _root(problem, "newton_krylov")


def df_sane(problem: FixedPoint) -> Solve:
    """Prepare ``scipy.optimize.root(method="df-sane")``.

    Parameters
    ----------
    problem : FixedPoint
        Any.

    Returns
    -------
    callable
        ``solve(tol)``; tol bounds the residual in units of the problem's scale.
    """
    import scipy.optimize

    root: Any = scipy.optimize.root

    residual, x0 = equation(problem)

    def solve(tol: float) -> Array:
        options = {"fatol": tol * problem.scale, "ftol": 0.0, "maxfev": ITERATIONS}
        return np.asarray(root(residual, x0.copy(), method="df-sane", options=options).x)

    return solve


def _functions(problem: EqualityNLP) -> dict[str, Any]:
    return {"fun": problem.fun, "x0": np.array(problem.x0), "jac": problem.grad}


def slsqp(problem: EqualityNLP) -> Solve:
    """Prepare SLSQP with the problem's derivatives.

    Parameters
    ----------
    problem : EqualityNLP
        Any.

    Returns
    -------
    callable
        ``solve(tol)``; tol is ``ftol``, a change of the objective.
    """
    import scipy.optimize

    minimize: Any = scipy.optimize.minimize  # its stubs know no dicts of arguments

    constraints: list[dict[str, Any]] = []
    if problem.linear is not None:
        A, b = problem.linear[0].toarray(), problem.linear[1]
        constraints = [{"type": "eq", "fun": lambda x: A @ x - b, "jac": lambda x: A}]
    elif problem.constraint is not None:
        told = {"fun": problem.constraint, "jac": problem.constraint_jac}
        constraints = [{"type": "eq", **told}]

    def solve(tol: float) -> Array:
        options = {"ftol": tol, "maxiter": ITERATIONS}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = minimize(
                **_functions(problem), constraints=constraints, method="SLSQP", options=options
            )
        return np.asarray(found.x)

    return solve


def trust_constr(problem: EqualityNLP) -> Solve:
    """Prepare trust-constr with the problem's first derivatives, and the second where it has them.

    Parameters
    ----------
    problem : EqualityNLP
        Any.

    Returns
    -------
    callable
        ``solve(tol)``; tol is ``gtol``, the norm of the Lagrangian's gradient.
    """
    import scipy.optimize
    from scipy.optimize import LinearConstraint, NonlinearConstraint

    minimize: Any = scipy.optimize.minimize

    settings = _functions(problem)
    second: dict[str, Any] = {}
    exact = problem.lag_hess
    m = problem.n_constraints
    if exact is not None:
        settings["hess"] = lambda x: exact(x, np.zeros(m), 1.0)
        second["hess"] = lambda x, v: exact(x, v, 0.0)
    elif problem.hess is not None:
        settings["hess"] = problem.hess
    constraints: Any = ()
    if problem.linear is not None:
        A, b = problem.linear
        constraints = LinearConstraint(A.toarray(), b, b)
    elif problem.constraint is not None:
        zero = np.zeros(m)
        jacobian: Any = problem.constraint_jac or "2-point"
        constraints = NonlinearConstraint(problem.constraint, zero, zero, jac=jacobian, **second)

    def solve(tol: float) -> Array:
        options = {"gtol": tol, "xtol": 1e-16, "maxiter": ITERATIONS}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = minimize(
                **settings, constraints=constraints, method="trust-constr", options=options
            )
        return np.asarray(found.x)

    return solve
