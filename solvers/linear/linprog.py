"""The call of `scipy.optimize.linprog`, with a certificate."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fejer.errors import OptionError, ProblemError
from fejer.method import Method
from fejer.problems.linear.linear_program import LinearProgram

if TYPE_CHECKING:
    from fejer.result import Result

__all__ = ["linprog"]

# SciPy's names of the methods of HiGHS, and ours.
ALGORITHMS = {"highs-ds": "simplex", "highs-ipm": "interior-point"}
LIMITS = {"maxiter": "max_iter", "time_limit": "max_time"}


def linprog(
    c: npt.ArrayLike,
    A_ub: Any = None,
    b_ub: Any = None,
    A_eq: Any = None,
    b_eq: Any = None,
    bounds: Any = (0, None),
    method: str | Method | type[Method] = "auto",
    callback: Callable[..., Any] | None = None,
    options: Mapping[str, Any] | None = None,
    x0: npt.ArrayLike | Result | None = None,
    integrality: Any = None,
    *,
    tol: float = 1e-6,
    max_iter: int = 1_000_000,
    max_time: float = math.inf,
    rng: int | np.random.Generator = 0,
) -> Result:
    """Solve a linear program given as to `scipy.optimize.linprog`.

    min ``c'x``  subject to  ``A_ub x <= b_ub``, ``A_eq x = b_eq``, ``lower <= x <= upper``.

    Parameters
    ----------
    c : array_like, shape (n,)
        Costs.
    A_ub, b_ub : array_like, shapes (m_ub, n) and (m_ub,), optional
        Inequalities; the rows may be of scipy.sparse.
    A_eq, b_eq : array_like, shapes (m_eq, n) and (m_eq,), optional
        Equations, likewise.
    bounds : pair, sequence of n pairs, or None, default (0, None)
        ``(lower, upper)`` of all or of each variable; None is no bound.
    method : str, Method or type, default "auto"
        A name of `fejer.methods`; SciPy's "highs", "highs-ds" and "highs-ipm" are understood.
    callback : callable, optional
        As in `fejer.minimize`.
    options : mapping, optional
        Options of the method. SciPy's ``maxiter`` and ``time_limit`` set the limits below; ``disp``
        shows a bar.
    x0 : array_like or Result, optional
        Where to start; HiGHS ignores it.
    integrality : array_like, optional
        Must be zero: integer programs are not treated.
    tol, max_iter, max_time, rng
        As in `fejer.minimize`.

    Returns
    -------
    Result
        Of `fejer.minimize`, and SciPy's parts besides: ``slack`` and ``con`` (residuals of the
        rows), and ``ineqlin``, ``eqlin``, ``lower``, ``upper``, each with ``residual`` and
        ``marginals``: the derivative of the optimal value with respect to ``b_ub`` (<= 0),
        ``b_eq``, the lower (>= 0) and the upper bounds (<= 0). Marginals are nan where there is no
        dual. ``status`` is `fejer.Status`: 0 means solved, the other numbers are not SciPy's.

    Raises
    ------
    ProblemError
        Names the argument.

    Examples
    --------
    >>> import fejer
    >>> bounds = [(None, None), (-3, None)]
    >>> result = fejer.linprog([-1, 4], [[-3, 1], [1, 2]], [6, 4], bounds=bounds)
    >>> result.x, result.fun
    (array([10., -3.]), -22.0)
    >>> result.ineqlin.marginals, result.lower.marginals
    (array([ 0., -1.]), array([0., 6.]))
    """
    from scipy import optimize

    from fejer.front import minimize

    if integrality is not None and np.any(integrality):
        raise ProblemError("integrality: expected zeros, integer programs are not treated")
    problem = LinearProgram.from_linprog(c, A_ub, b_ub, A_eq, b_eq, bounds)
    own = dict(options or {})
    limits: dict[str, Any] = {"max_iter": max_iter, "max_time": max_time}
    for theirs, ours in LIMITS.items():
        if theirs in own:
            limits[ours] = own.pop(theirs)
    progress = bool(own.pop("disp", False))
    if isinstance(method, str) and method in ALGORITHMS:
        if "algorithm" in own:
            raise OptionError(f"options: algorithm is chosen by the method {method!r} already")
        own["algorithm"], method = ALGORITHMS[method], "highs"
    result = minimize(
        problem,
        x0,
        method=method,
        tol=tol,
        rng=rng,
        callback=callback,
        options=own,
        progress=progress,
        **limits,
    )
    x, m, n = result.x, problem.A.shape[0], problem.c.size
    n_eq = 0 if b_eq is None else np.size(b_eq)
    split = m - n_eq
    residual = problem.row_upper - problem.A.matvec(x)
    dual, reduced = result.dual, result.reduced_costs
    y = np.full(m, np.nan) if dual is None else dual
    z = np.full(n, np.nan) if reduced is None else reduced
    below, above = np.maximum(z, 0.0), np.minimum(z, 0.0)
    below[np.isneginf(problem.lower)] = 0.0
    above[np.isposinf(problem.upper)] = 0.0
    made: Any = optimize.OptimizeResult
    result["slack"], result["con"] = residual[:split], residual[split:]
    for name, rest, marginals in (
        ("ineqlin", residual[:split], y[:split]),
        ("eqlin", residual[split:], y[split:]),
        ("lower", x - problem.lower, below),
        ("upper", problem.upper - x, above),
    ):
        result[name] = made({"residual": rest, "marginals": marginals})
    return result
