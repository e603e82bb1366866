"""What all problems with equality constraints share: points, certificate, second derivatives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np

from fejer.errors import OracleError, ProblemError
from fejer.evidence import EMPTY, Array, Certificate, failed
from fejer.problem import Problem, as_vector, witness_array

from . import _kkt as kkt
from . import _oracle as oracle
from ._derivatives import constrained_checks
from ._hessian import hessian_product, lagrangian_hessian
from ._point import ConstrainedPoint
from ._second_order import kkt_inertia, kkt_matrix, verdict

KIND = "KKT residual"
PROVABLE = 1e-8  # a residual below this is no reason to look for a proof that none exists
STATIONARY = 1e-6  # |G'c| / |c| from which the violation counts as stationary
VERDICT = 1e-3  # a first-order residual above this has no second-order verdict


class Equality(Problem):
    """Base of the classes ``min f(x) subject to c(x) = 0``.

    A class has the functions of `EqualityNLP`, as fields or as methods of these names; what it
    does not have is None.
    """

    fun: Callable[..., Any]
    grad: Any = None
    constraint: Callable[..., Any] | None = None
    constraint_jac: Callable[..., Any] | None = None
    x0: Any = None
    lag_hess: Callable[..., Any] | None = None
    lag_hessp: Callable[..., Any] | None = None
    hess: Callable[..., Any] | None = None
    constraint_hess: Callable[..., Any] | None = None
    linear: Any = None
    scale: float = 1.0

    views: ClassVar[tuple[str, ...]] = (
        "multipliers",
        "constraint_violation",
        "inertia",
        "second_order",
    )

    # ---- the contract -------------------------------------------------------------------------
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
        own = l if given is None else given
        back = float(np.linalg.norm(oracle.times_transposed(at.constraint_jac, at.constraint)))
        details = {
            "stationarity": stationarity,
            "feasibility": feasibility,
            "floor": floor / self.scale,
            "infeasibility": back / violation if violation else float("inf"),
            "multiplier_scale": multiplier_scale,
            "scaled_stationarity": stationarity / multiplier_scale,
            "F_norm": float(np.hypot(np.linalg.norm(at.lagrangian_gradient(own)), violation)),
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

    def inertia(
        self, x: Array, witness: Mapping[str, Array] = EMPTY
    ) -> tuple[int, int, int] | None:
        """Return the numbers of positive, negative and zero eigenvalues of ``[[H, G'], [G, 0]]``.

        H is the Hessian of the Lagrangian at the multipliers of the certificate. None beyond 2000
        rows.
        """
        return kkt_inertia(self, x, self.multipliers(x, witness))

    def second_order(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> str:
        """Return "strict minimum", "saddle" or "unknown".

        Of a point whose certificate is at most 1e-3: the inertia is (n, m, 0) just when H is
        positive definite on the null space of a G of full rank. "saddle" says that H has a
        negative eigenvalue there; anything singular is unknown.
        """
        if not self.judge(x, witness).value <= VERDICT:
            return "unknown"
        return verdict(self.inertia(x, witness), x.size, self.n_constraints)

    def vjp(self, x: Array, v: Array, witness: Mapping[str, Array] = EMPTY) -> tuple[Array, Array]:
        """Return what the derivative of the solution by parameters is made of.

        At a solution w = (x, l) with a regular ``K = [[H, G'], [G, 0]]`` the conditions
        ``F(w; p) = (grad_x L, c) = 0`` define x(p), and ``v' dx/dp = -(u, r)' dF/dp`` with
        ``K (u, r) = (v, 0)``: one linear system, however many parameters there are.

        Parameters
        ----------
        x : array, shape (n,)
            A solution.
        v : array, shape (n,)
            Derivative of a function of x.
        witness : mapping, optional
            That of the result.

        Returns
        -------
        u : array, shape (n,)
            To be multiplied with the derivative of ``grad_x L`` by the parameters.
        r : array, shape (m,)
            With that of c.

        Raises
        ------
        ProblemError
            v of another shape, or K is singular or not finite.
        """
        x, v = as_vector(x, "x", self.size), as_vector(v, "v", self.size)
        K = kkt_matrix(self, x, self.multipliers(x, witness))
        try:
            found = np.asarray(np.linalg.solve(K, np.append(v, np.zeros(len(K) - v.size))), float)
        except np.linalg.LinAlgError:
            found = np.full(len(K), np.nan)
        if not np.isfinite(found).all():
            raise ProblemError("x: expected a solution with a regular KKT matrix")
        u, r = np.split(found, [v.size])
        return u, r

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
