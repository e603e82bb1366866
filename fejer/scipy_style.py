"""fejer's methods inside `scipy.optimize.minimize`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import MethodError, did_you_mean
from .evidence import Array
from .front import minimize
from .method import registry
from .result import Result

__all__ = ["as_scipy_method"]


def as_scipy_method(name: str, **options: Any) -> Callable[..., Result]:
    """Return a callable that `scipy.optimize.minimize` accepts as ``method``.

    Parameters
    ----------
    name : str
        Name of a method for smooth or equality-constrained problems, or "auto".
    **options
        Options of the method.

    Returns
    -------
    callable
        Takes scipy's ``jac, hess, bounds, constraints, callback, tol, maxiter`` and returns a
        Result.

    Raises
    ------
    MethodError
        No method has that name.

    Examples
    --------
    >>> import fejer
    >>> from scipy.optimize import minimize, rosen, rosen_der
    >>> result = minimize(rosen, [0.0, 0.0], jac=rosen_der, method=fejer.as_scipy_method("lbfgs"))
    >>> result.success
    True
    """
    names = {m.name for m in registry()}
    if name != "auto" and name not in names:
        raise MethodError(f"unknown method {name!r}. {did_you_mean(name, names)}")

    def method(
        fun: Callable[..., Any],
        x0: npt.ArrayLike,
        args: tuple[Any, ...] = (),
        jac: Any = None,
        hess: Any = None,
        hessp: Any = None,
        bounds: Any = None,
        constraints: Any = (),
        callback: Callable[..., Any] | None = None,
        tol: float | None = None,
        maxiter: int | None = None,
        **more: Any,
    ) -> Result:
        if hessp is not None and hess is None:
            hess = _dense_hessian(hessp)
        return minimize(
            fun,
            x0,
            method=name,
            tol=1e-6 if tol is None else tol,
            max_iter=1_000_000 if maxiter is None else maxiter,
            callback=callback,
            options={**options, **more} or None,
            jac=jac,
            hess=hess,
            bounds=bounds,
            constraints=constraints,
            args=args,
        )

    return method


def _dense_hessian(hessp: Callable[..., Any]) -> Callable[..., Array]:
    """Turn scipy's Hessian-vector product into a Hessian, column by column."""

    def hess(x: Array, *args: Any) -> Array:
        return np.column_stack([hessp(x, e, *args) for e in np.eye(x.size)])

    return hess
