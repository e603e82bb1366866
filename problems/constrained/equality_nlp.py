"""Smooth minimisation under equality constraints, from callables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

import numpy as np

from fejer.errors import OracleError, ProblemError
from fejer.evidence import EMPTY, Array, Certificate, failed
from fejer.numerics.matrix import Matrix
from fejer.problem import Problem, as_number, as_vector, witness_array

from . import _example as example
from . import _kkt as kkt
from . import _oracle as oracle
from ._derivatives import constrained_checks
from ._hessian import hessian_product, lagrangian_hessian
from ._point import ConstrainedPoint

KIND = "KKT residual"
PROVABLE = 1e-8  # a residual below this is no reason to look for a proof that none exists
STATIONARY = 1e-6  # |G'c| / |c| from which the violation counts as stationary


@dataclass(frozen=True, eq=False)
class EqualityNLP(Problem):
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
    ``scaled_stationarity``.

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

    views: ClassVar[tuple[str, ...]] = ("multipliers", "constraint_violation")

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

    # ---- the contract -------------------------------------------------------------------------
    def initial_point(self) -> Array:
        """Return ``x0``."""
        return np.array(self.x0)

    def auto(self) -> tuple[str, ...]:
        """Return the Newton methods first, the augmented Lagrangian as the one that falls last."""
        return ("filter-newton", "exact-al-newton", "alm")

    @property
    def judge_units(self) -> int:
        """Nothing with supplied derivatives, since the last points are remembered."""
        return int(self.difference_calls > 0)

    def evaluate(self, x: Array) -> ConstrainedPoint:
        """Return the functions at ``x``, each called when first asked for."""
        return ConstrainedPoint(
            x, self.fun, self.grad, self.constraint, self.constraint_jac, self.linear
        )

    def at(self, x: Array, *, remember: bool = True) -> ConstrainedPoint:
        """Return the functions at ``x``, the number of constraints checked.

        Parameters
        ----------
        x : array, shape (n,)
            The point.
        remember : bool, default True
            Keep them in the memo of six points; False: for points of difference quotients.

        Returns
        -------
        ConstrainedPoint
            With ``fun, grad, constraint, constraint_jac, multipliers``.

        Raises
        ------
        OracleError
            A function returned something of another shape.
        """
        point: ConstrainedPoint = self.oracle(x) if remember else self.evaluate(x)
        if point.constraint.size != self.n_constraints:
            wanted, got = (self.n_constraints,), point.constraint.shape
            raise OracleError(f"constraint: expected shape {wanted} as at x0, got {got}")
        return point

    @property
    def n_constraints(self) -> int:
        """Number of constraints, m."""
        if self.linear is not None:
            return int(self.linear[1].size)
        if self.constraint is None:
            return 0
        return int(
            self.fact("m", ("constraint", "x0"), lambda: self.oracle(self.x0).constraint.size)
        )

    @property
    def difference_calls(self) -> int:
        """Evaluations that the differences at one point take: 0, 2n or 4n."""
        lacking = (self.grad is None) + (self.constraint is not None and not self.constraint_jac)
        return 2 * int(self.x0.size) * int(lacking)

    def certificate(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> Certificate:
        """Judge the KKT conditions at ``x`` with the better of two vectors of multipliers."""
        at = self.at(x)
        bad = at.not_finite()
        if bad:
            return failed(KIND, f"{bad} is nan or infinite at x", at.fun, scale=self.scale)
        given = witness_array(witness, "multipliers", at.constraint.size)
        candidates = [at.multipliers] if given is None else [at.multipliers, given]
        judged = [(*self._stationarity(at, l), l) for l in candidates]
        stationarity, floor, l = min(judged, key=lambda j: np.nan_to_num(j[0] + j[1], nan=np.inf))
        floor = max(floor, self._constraint_floor(at))
        feasibility = float(np.abs(at.constraint).max(initial=0.0))
        value = (max(stationarity, feasibility) + floor) / self.scale
        multiplier_scale = max(100.0, float(np.abs(l).mean()) if l.size else 0.0) / 100
        violation = float(np.linalg.norm(at.constraint))
        back = float(np.linalg.norm(oracle.times_transposed(at.constraint_jac, at.constraint)))
        details = {
            "stationarity": stationarity,
            "feasibility": feasibility,
            "floor": floor / self.scale,
            "infeasibility": back / violation if violation else float("inf"),
            "multiplier_scale": multiplier_scale,
            "scaled_stationarity": stationarity / multiplier_scale,
        }
        fields: dict[str, Any] = {"scale": self.scale, "details": details}
        fields["witness"] = {"multipliers": l}
        if feasibility > PROVABLE * self.scale:
            proof = self._contradiction()
            if proof is not None:
                ray, wrong, beyond = proof
                details["feasible_beyond"] = beyond
                fields["witness"]["ray"] = ray
                return Certificate("Farkas ray", wrong, at.fun, proves="infeasible", **fields)
            if violation and back <= STATIONARY * violation:
                return Certificate("locally infeasible", value, at.fun, **fields)
        return Certificate(KIND, value, at.fun, **fields)

    def _stationarity(self, at: ConstrainedPoint, l: Array) -> tuple[float, float]:
        """Return ``||grad L||_inf`` and what rounding and differences can do to it."""
        G = at.constraint_jac
        residual = np.abs(at.lagrangian_gradient(l)).max()
        floor = kkt.ROUNDING * (np.abs(at.grad) + kkt.moduli_transposed(G, l)) + at.grad_doubt
        if at.jacobian_doubt is not None:
            floor = floor + at.jacobian_doubt.T @ np.abs(l)
        return float(residual), float(floor.max())

    def _constraint_floor(self, at: ConstrainedPoint) -> float:
        """Return what rounding does to c where its terms are as large as ``|G||x|``."""
        return kkt.ROUNDING * float(kkt.moduli(at.constraint_jac, at.x).max(initial=0.0))

    def _contradiction(self) -> tuple[Array, float, float] | None:
        if self.linear is None:
            return None
        A, b = self.linear
        found: tuple[Array, float, float] | None = self.fact(
            "contradiction", ("linear",), lambda: kkt.contradiction(A, b)
        )
        return found

    # ---- second derivatives --------------------------------------------------------------------
    @property
    def has_hessian(self) -> bool:
        """Whether the Hessian of the Lagrangian is supplied as a matrix, without differences."""
        exact = self.constraint_hess is not None or self.constraint is None
        return self.lag_hess is not None or (self.hess is not None and exact)

    def lagrangian_hessian(self, x: Array, l: Array) -> tuple[Any, int]:
        """Return ``H_f + sum l_i H_ci`` as a matrix.

        Parameters
        ----------
        x : array, shape (n,)
            The point.
        l : array, shape (m,)
            Multipliers.

        Returns
        -------
        hessian : array or CSR array
            Symmetric, shape (n, n).
        points : int
            Points at which functions were evaluated.
        """
        return lagrangian_hessian(self, x, l)

    def hessian_product(self, x: Array, l: Array, v: Array) -> tuple[Array, int]:
        """Return ``(H_f + sum l_i H_ci) v`` without the matrix where that is cheaper.

        Parameters
        ----------
        x : array, shape (n,)
            The point.
        l : array, shape (m,)
            Multipliers.
        v : array, shape (n,)
            The direction.

        Returns
        -------
        product : array, shape (n,)
            The product.
        points : int
            Points at which functions were evaluated.
        """
        return hessian_product(self, x, l, v)

    # ---- views and checks ----------------------------------------------------------------------
    def multipliers(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> Array:
        """Return the multipliers that the certificate at ``x`` used; signs as in ``f + l'c``."""
        found = self.judge(x, witness).witness.get("multipliers")
        return np.full(self.n_constraints, np.nan) if found is None else found

    def constraint_violation(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> float:
        """Return ``||c(x)||_inf``."""
        return float(np.abs(self.at(x).constraint).max(initial=0.0))

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
            an entry for each step. An operator's adjoint has no steps, and errors of random pairs.
        """
        return constrained_checks(self, x)

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
