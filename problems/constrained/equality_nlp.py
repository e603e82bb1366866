"""Smooth minimisation under equality constraints, from callables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np

from fejer.errors import ProblemError
from fejer.evidence import Array
from fejer.numerics.matrix import Matrix
from fejer.problem import as_number, as_vector

from . import _example as example
from . import _oracle as oracle
from ._equality import Equality


@dataclass(frozen=True, eq=False)
class EqualityNLP(Equality):
    """Smooth objective under smooth equality constraints.

    ``min over x in R^n of f(x)  subject to  c(x) = 0,  c: R^n -> R^m``, with the Lagrangian
    ``L(x, l) = f(x) + l'c(x)`` and the Jacobian ``G(x) = dc/dx`` of shape (m, n).

    Parameters
    ----------
    fun : callable
        ``fun(x) -> float``; with ``grad=True`` it returns ``(f, g)``. Every function gets a copy of
        ``x``, a C-contiguous float64 vector, which it may keep or change.
    grad : callable, True or None
        ``grad(x) -> (n,)``. None: central differences, 2n calls of `fun`.
    constraint : callable or None
        ``constraint(x) -> (m,)``. None: constraints are in `linear`, or there are none.
    constraint_jac : callable or None
        ``constraint_jac(x) -> (m, n)``, an array, a scipy.sparse array or a LinearOperator. None:
        central differences, 2n calls of `constraint`.
    x0 : array_like, shape (n,)
        Start, and the dimension; required.
    lag_hess : callable, optional
        ``lag_hess(x, l, sigma) -> (n, n)``: ``sigma H_f + sum l_i H_ci``, an array or sparse.
    lag_hessp : callable, optional
        ``lag_hessp(x, l, sigma, v) -> (n,)``: its product with v, for large n.
    hess : callable, optional
        ``hess(x) -> (n, n)``: the Hessian of f alone, in place of `lag_hess`.
    constraint_hess : callable, optional
        ``constraint_hess(x, l) -> (n, n)``: ``sum l_i H_ci``, beside `hess`. None: differences of
        ``G'l``, unless the constraints are linear.
    linear : tuple, optional
        ``(A, b)``: the constraints are ``A x = b`` and A, dense, sparse or an operator, is never
        evaluated again; `constraint` and `constraint_jac` are None then.
    scale : float, default 1.0
        Divides the certificate's value: what residuals are compared with, in the units of
        ``grad f`` and c. It is yours to choose, since functions do not tell their units.

    Raises
    ------
    ProblemError
        A field of the wrong kind or shape; it is named.

    Notes
    -----
    Variable: x. Witness: ``multipliers``, shape (m,), with the sign of L above.

    Certificate: ``(max(||grad f + G'l||_inf, ||c||_inf) + floor) / scale`` with the witness or the
    least-squares multipliers, whichever is better. The multipliers are in no scale: a nearly
    dependent row makes them 1e8, and a residual divided by them would pass anything. The floor is
    ``2.2e-16 max((|grad f| + |G|'|l|)_inf, (|G||x|)_inf)``, plus what differences may be off by,
    measured with a second step length; a Jacobian given as operator with more than 4e6 entries
    has ``|G'l|`` and ``|Gx|`` in the place of the moduli. First-order conditions are necessary for
    a local minimum under a constraint qualification, so nothing here is rigorous.

    Infeasibility is proven for `linear` constraints alone, by a combination of rows that reads
    ``0 = 1`` up to rounding. Elsewhere a point at which ``|G'c| <= 1e-6 |c|`` has the kind
    "locally infeasible". ``details`` has ``stationarity``, ``feasibility`` (both unscaled),
    ``floor``, ``infeasibility`` (``|G'c|/|c|``), and for comparison with other packages
    ``multiplier_scale`` (``max(100, mean|l|)/100``) and the residual divided by it,
    ``scaled_stationarity``, and ``F_norm``, the 2-norm of ``(grad L, c)``
    with the multipliers of the witness. The views ``inertia``
    and ``second_order`` tell a minimum from a saddle.

    Work is counted in points at which functions are evaluated. Memory: six points with gradient
    and Jacobian.

    Pitfalls: inequalities and bounds have no place here; ``x >= 0`` can be written as ``x = y**2``
    at the price of stationary points with y = 0. Flat functions pass at any tolerance: scale them.

    References
    ----------
    .. [1] Nocedal and Wright (2006), Numerical Optimization, chapters 12 and 18.

    Examples
    --------
    The point of the unit circle that is furthest down a slope:

    >>> import numpy as np
    >>> import fejer
    >>> slope = np.array([3.0, 4.0])
    >>> problem = fejer.EqualityNLP(
    ...     fun=lambda x: slope @ x,
    ...     grad=lambda x: slope,
    ...     constraint=lambda x: [x @ x - 1],
    ...     constraint_jac=lambda x: [2 * x],
    ...     x0=[1.0, 0.0],
    ... )
    >>> result = fejer.minimize(problem)
    >>> result.x.round(4)
    array([-0.6, -0.8])
    >>> result.multipliers.round(4)
    array([2.5])
    """

    fun: Callable[..., Any]
    grad: Callable[..., Any] | Literal[True] | None = None
    constraint: Callable[..., Any] | None = None
    constraint_jac: Callable[..., Any] | None = None
    x0: Any = None
    lag_hess: Callable[..., Any] | None = None
    lag_hessp: Callable[..., Any] | None = None
    hess: Callable[..., Any] | None = None
    constraint_hess: Callable[..., Any] | None = None
    linear: Any = None
    scale: float = 1.0

    def __post_init__(self) -> None:
        oracle.checked_callable(self.fun, "fun", optional=False)
        oracle.checked_callable(self.grad, "grad", also=(True,))
        for name in ("constraint", "constraint_jac", "lag_hess", "lag_hessp", "hess"):
            oracle.checked_callable(getattr(self, name), name)
        oracle.checked_callable(self.constraint_hess, "constraint_hess")
        if self.x0 is None:
            raise ProblemError("x0: expected a vector, got None; it fixes the dimension")
        self.set(x0=as_vector(self.x0, "x0"), scale=as_number(self.scale, "scale", above=0))
        if self.constraint is None and self.constraint_jac is not None:
            raise ProblemError("constraint_jac: expected None without constraint")
        if self.hess is not None and self.lag_hess is not None:
            raise ProblemError("hess: expected None beside lag_hess, which contains it")
        if self.constraint_hess is not None and (self.hess is None or self.constraint is None):
            raise ProblemError("constraint_hess: expected None without hess and constraint")
        if self.linear is not None:
            self.set(linear=self._checked_linear())

    def _checked_linear(self) -> tuple[Matrix, Array]:
        if self.constraint is not None:
            raise ProblemError("linear: expected None beside constraint; put its rows in there")
        if not isinstance(self.linear, tuple | list) or len(self.linear) != 2:
            raise ProblemError(f"linear: expected a pair (A, b), got {self.linear!r:.80}")
        A = Matrix.of(self.linear[0], "linear[0]", shape=(-1, self.x0.size))
        return A, as_vector(self.linear[1], "linear[1]", A.shape[0])

    def initial_point(self) -> Array:
        """Return ``x0``."""
        return np.array(self.x0)

    @classmethod
    def random(cls, n: int = 8, m: int = 3, *, seed: int = 0) -> Self:
        """Draw an instance with a strictly convex objective and curved constraints.

        ``f(x) = 1/2 x'Qx - b'x + 1/4 sum x_j^4``, ``c(x) = A x + 0.1 (x'x) 1 - r`` with r such
        that a standard normal point is feasible.

        Parameters
        ----------
        n : int, default 8
            Variables.
        m : int, default 3
            Constraints.
        seed : int, default 0
            Seed of the generator.

        Returns
        -------
        EqualityNLP
            With gradient, Jacobian and Hessian of the Lagrangian.

        Examples
        --------
        >>> import fejer
        >>> fejer.minimize(fejer.EqualityNLP.random()).success
        True
        """
        n = as_number(n, "n", least=1, integer=True)
        m = as_number(m, "m", least=0, most=n, integer=True)
        return cls(**example.draw(n, m, seed), x0=np.zeros(n))
