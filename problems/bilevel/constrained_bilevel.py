"""Bilevel problems whose lower level has constraints."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from fejer.errors import OracleError, ProblemError
from fejer.evidence import EMPTY, Array, Certificate, failed
from fejer.numerics.differences import derivative_errors
from fejer.problem import as_number, as_vector
from fejer.problems.constrained import _oracle as oracle
from fejer.problems.sparse._checks import check_order

from ._constrained_example import ConstrainedExample
from ._constrained_form import INSIDE, ConstrainedForm
from ._linear_rows import checked_rows

__all__ = ["ConstrainedBilevel"]

KIND = "bilevel KKT"
LIMIT = 500  # upper variables, or lower ones with rows, up to which direct methods serve


@dataclass(frozen=True, eq=False)
class ConstrainedBilevel(ConstrainedForm):
    """Bilevel problem from callables, with constraints at both levels.

    min over (x, y) of ``F(x, y)`` where ``lower <= x <= upper``, ``Ux x + Uy y <= u`` and
    ``y in argmin over t in [y_lower, y_upper] of {f(x, t): Gx x + Gy t <= h, g(x, t) <= 0}``;
    f and g are convex in t, not necessarily strongly.

    Parameters
    ----------
    F : callable
        ``F(x, y) -> float``. All functions get copies that they may keep.
    grad_x_F, grad_y_F : callable
        Its gradients, of shapes (n,) and (m,).
    f : callable
        ``f(x, y) -> float``, convex in y.
    grad_x_f, grad_y_f : callable
        Its gradients.
    x0, y0 : array_like, shapes (n,) and (m,)
        Start; it is projected onto the constraints.
    Gx, Gy : array_like or sparse, shapes (p, n) and (p, m), optional
        Linear constraints of the lower level; None is 0.
    h : array_like, shape (p,), optional
        Their right-hand side.
    equality : bool or array_like of bool, shape (p,), default False
        Which of these rows are equations.
    g : callable, optional
        ``g(x, y) -> (q,)``, further constraints, convex in y. They need `project_C`.
    jac_x_g, jac_y_g : callable, optional
        Jacobians of g, of shapes (q, n) and (q, m).
    Ux, Uy : array_like or sparse, shapes (k, n) and (k, m), optional
        Linear constraints of the upper level.
    u : array_like, shape (k,), optional
        Their right-hand side.
    lower, upper : float or array_like, shape (n,)
        Box of x.
    y_lower, y_upper : float or array_like, shape (m,)
        Box of y, part of the lower level.
    hess_f : callable, optional
        ``hess_f(x, y) -> (m, n + m)``: derivatives of ``grad_y f`` in x and in y, side by side; an
        array, a sparse array or a LinearOperator. None: central differences.
    hess_g : callable, optional
        ``hess_g(x, y, l) -> (m, n + m)``: the same of ``l'g``. None: central differences.
    project_C : callable, optional
        ``project_C(x, y) -> (x, y)``, the nearest point that satisfies all constraints. None where
        all of them are linear.
    scale : float, default 1.0
        Divides the certificate's value: the size of a gradient of F that counts as 1.

    Raises
    ------
    ProblemError
        A field of the wrong kind; no point satisfies the constraints (when they are first used).
    OracleError
        In use: a function returns another shape, or is not finite at the start.

    Notes
    -----
    Variable: x and y, one after the other. Witness: ``multipliers`` of the rows of g, the linear
    ones first; the certificate computes its own, so they only help a warm start.

    Certificate: the largest of four numbers, over `scale`. (i) ``||grad_y f + grad_y g'l||`` of the
    lower level, bounds included; (ii) the largest violation of a constraint; (iii) the largest
    ``l_i |g_i|``; (iv) the residual of strong stationarity: the smallest
    ``||grad F + H'nu + g'a + U'b||``, H the derivative of the lower level's stationarity, where
    ``grad_y g_i nu = 0`` on rows with ``l_i > 0``, and ``grad_y g_i nu >= 0``, ``a_i >= 0`` on rows
    that are active with ``l_i = 0``. Rows of g are divided by the length of their gradient in y,
    and f by that of ``grad_y f`` at the projection of 0, so that no unit of the lower level buys
    tolerance. Where active gradients depend on each other, multipliers are not unique, and the
    worst of the extreme ones counts: stationarity for one choice of them proves nothing. Active
    are rows within 1e-6. Negative curvature of the lower level makes the value
    infinite. Stationarity is necessary under a constraint qualification only, so nothing is
    rigorous; a solution at which the active gradients depend on each other may not be certified.
    ``details["value_gap"]`` bounds f(x, y) minus its minimum over the lower level's constraints, by
    weak duality, where y satisfies them: ``sum l_i |g_i| + r^2 / (2 mu)``, r the number (i) in the
    units of f, mu the least curvature of the Lagrangian at y (exact where that is quadratic), or
    ``r`` times the diameter of the box of y; inf where mu is 0 or unknown and the box has none.

    Cost of a certificate: a singular value decomposition of (m, n + m), or LSMR where n + m > 400
    (1500 where inequalities are active above or weakly active below);
    without `hess_f` 2 (n + m) gradients.

    Pitfalls: distances from constraints are absolute, in units of y: choose units in which 1e-6 is
    little. A lower level that is not convex has KKT points that are no solutions; that is noticed
    only where its curvature is negative. Points with F lower than the optimum are common among
    points that are almost stationary below: trust `fun` to the accuracy of the certificate only.

    References
    ----------
    .. [1] Yao, Yin, Zeng, Zhang (2024), Constrained bi-level optimization: proximal Lagrangian
       value function approach and Hessian-free algorithm, ICLR, arXiv 2401.16164.
    .. [2] Scheel, Scholtes (2000), Mathematical programs with complementarity constraints, Math.
       Oper. Res. 25.

    Examples
    --------
    A leader moves x, a follower answers with the nearest y in [0, 1] to 2x:

    >>> import numpy as np
    >>> import fejer
    >>> problem = fejer.ConstrainedBilevel(
    ...     F=lambda x, y: 0.5 * np.sum((x - 1) ** 2) + 0.5 * np.sum((y - 0.5) ** 2),
    ...     grad_x_F=lambda x, y: x - 1,
    ...     grad_y_F=lambda x, y: y - 0.5,
    ...     f=lambda x, y: 0.5 * np.sum((y - 2 * x) ** 2),
    ...     grad_x_f=lambda x, y: 2 * (2 * x - y),
    ...     grad_y_f=lambda x, y: y - 2 * x,
    ...     x0=[0.0],
    ...     y0=[0.0],
    ...     y_lower=0.0,
    ...     y_upper=1.0,
    ... )
    >>> result = fejer.minimize(problem)
    >>> result.upper_variable.round(6), result.y.round(6)
    (array([0.4]), array([0.8]))
    """

    F: Callable[..., Any]
    grad_x_F: Callable[..., Any]  # noqa: N815
    grad_y_F: Callable[..., Any]  # noqa: N815
    f: Callable[..., Any]
    grad_x_f: Callable[..., Any]
    grad_y_f: Callable[..., Any]
    x0: Any
    y0: Any
    Gx: Any = None
    Gy: Any = None
    h: Any = None
    equality: Any = False
    g: Callable[..., Any] | None = None
    jac_x_g: Callable[..., Any] | None = None
    jac_y_g: Callable[..., Any] | None = None
    Ux: Any = None
    Uy: Any = None
    u: Any = None
    lower: Any = -math.inf
    upper: Any = math.inf
    y_lower: Any = -math.inf
    y_upper: Any = math.inf
    hess_f: Callable[..., Any] | None = None
    hess_g: Callable[..., Any] | None = None
    project_C: Callable[..., Any] | None = None  # noqa: N815
    scale: float = 1.0

    views = ("upper_variable", "y", "multipliers")

    def __post_init__(self) -> None:
        for name in ("F", "grad_x_F", "grad_y_F", "f", "grad_x_f", "grad_y_f"):
            oracle.checked_callable(getattr(self, name), name, optional=False)
        for name in ("g", "jac_x_g", "jac_y_g", "hess_f", "hess_g", "project_C"):
            oracle.checked_callable(getattr(self, name), name)
        self.set(x0=as_vector(self.x0, "x0"), y0=as_vector(self.y0, "y0"))
        checked_rows(self, "Gx", "Gy", "h")
        checked_rows(self, "Ux", "Uy", "u")
        self._check_kinds()
        for name in ("jac_x_g", "jac_y_g", "project_C"):
            if self.g is not None and getattr(self, name) is None:
                raise ProblemError(f"{name}: expected a callable beside g, got None")
        for name in ("jac_x_g", "jac_y_g", "hess_g"):
            if self.g is None and getattr(self, name) is not None:
                raise ProblemError(f"{name}: expected None without g")
        for low, high, size in (("lower", "upper", self.n), ("y_lower", "y_upper", self.m)):
            for name, wrong in ((low, math.inf), (high, -math.inf)):
                bound = as_vector(getattr(self, name), name, size=size, finite=False)
                if (bound == wrong).any():
                    raise ProblemError(f"{name}: expected numbers or {-wrong:g}, got {wrong:g}")
                self.set(**{name: bound})
            try:
                check_order(getattr(self, low), getattr(self, high))
            except ProblemError as error:
                raise ProblemError(
                    str(error).replace("lower", low).replace("upper", high)
                ) from None
        self.set(scale=as_number(self.scale, "scale", above=0))

    def _check_kinds(self) -> None:
        value = self.equality
        if value is None or isinstance(value, str):
            raise ProblemError(f"equality: expected True, False or a mask, got {value!r:.80}")
        if self.h is None:
            if np.size(value) != 1 or np.asarray(value).dtype.kind not in "biu" or np.any(value):
                raise ProblemError("equality: expected False without h")
            self.set(equality=False)
            return
        if isinstance(value, bool | np.bool_):
            value = np.full(self.h.size, float(value))
        mask = as_vector(value, "equality", size=self.h.size)
        if not np.isin(mask, (0.0, 1.0)).all():
            raise ProblemError("equality: expected True and False only")
        self.set(equality=mask)

    @classmethod
    def random(cls, n: int = 2, m: int = 3, p: int = 2, *, seed: int = 0) -> Self:
        """Draw a quadratic problem with linear constraints below and a box above.

        Parameters
        ----------
        n, m, p : int
            Numbers of upper variables, lower variables and rows.
        seed : int
            Seed of the generator.

        Returns
        -------
        ConstrainedBilevel
        """
        return cls(**ConstrainedExample.draw(n, m, p, seed))

    def initial_point(self) -> Array:
        """Return (x0, y0), projected onto the constraints of both levels."""

        def build() -> Array:
            w = self.project(np.concatenate([self.x0, self.y0]))
            for name, value in (
                ("F", self.upper_value),
                ("f", self.lower_value),
                ("grad_F", self.upper_gradient),
                ("grad_x_f", self.lower_in_x),
                ("grad_y_f", self.lower_in_y),
                ("g", self.constraint),
                ("jac_g", self.constraint_jac),
            ):
                if not np.isfinite(value(w)).all():
                    raise OracleError(f"{name}: expected finite numbers at the start, got nan")
            return w

        return np.array(self.fact("start", self._names(), build))

    @property
    def strongly_convex(self) -> bool:
        """Whether f is strongly convex in y at the start, and small enough for direct methods."""

        def build() -> bool:
            w = self.initial_point()
            if max(self.n, self.m + self.constraint(w).size) > LIMIT:
                return False
            H = oracle.dense(self.second(w, np.zeros(self.constraint(w).size)))[:, self.n :]
            if not np.isfinite(H).all():
                return False
            values = np.linalg.eigvalsh(0.5 * (H + H.T))
            return bool(values[0] > 1e-6 * max(values[-1], 0.0))

        return bool(self.fact("strongly_convex", self._names(), build))

    def auto(self) -> tuple[str, ...]:
        """Return the methods: outright solutions of the lower level where they are unique."""
        if self.strongly_convex:
            both = ("kkt-implicit", "lv-hba-anderson")
            return both if self.g is None else both[::-1]
        return ("lv-hba-anderson",)

    @property
    def judge_units(self) -> int:
        """Gradients in one certificate."""
        return 6 if self.hess_f is not None else 6 + 2 * self.size

    def certificate(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> Certificate:
        """Judge (x, y): four numbers, the largest counts."""
        far, w = self.outside(x)
        if far > INSIDE:
            return failed(KIND, "outside the bounds of x or y")
        fun = self.upper_value(x)
        if not math.isfinite(fun):
            return failed(KIND, "F is not finite here")
        found = self.assess(w)
        if isinstance(found, str):
            return failed(KIND, found, fun)
        details = {
            "lower_stationarity": found.stationarity,
            "feasibility": found.feasibility,
            "complementarity": found.complementarity,
            "upper_stationarity": found.upper,
            "weakly_active": float(found.weak),
            "choices_of_multipliers": float(found.choices),
            "value_gap": found.gap,
            "lower_unit": self.lower_unit,
            "floor": found.floor / self.scale,
        }
        return Certificate(
            KIND,
            (found.value + far + found.floor) / self.scale,
            fun,
            scale=self.scale,
            details=details,
            witness={"multipliers": found.multipliers},
        )

    def upper_variable(self, x: Array, witness: Mapping[str, Array]) -> Array:
        """Return the part of x that the upper level decides."""
        return x[: self.n].copy()

    def y(self, x: Array, witness: Mapping[str, Array]) -> Array:
        """Return the lower variable."""
        return x[self.n :].copy()

    def multipliers(self, x: Array, witness: Mapping[str, Array]) -> Array:
        """Return the lower level's multipliers of the rows of g, the linear ones first."""
        return np.array(witness["multipliers"])

    def derivative_checks(self, x: Array) -> list[tuple[str, Array, Array]]:
        """Compare the supplied derivatives with differences.

        Parameters
        ----------
        x : array, shape (n + m,)
            Where.

        Returns
        -------
        list of (str, array, array)
            For each piece its name, step lengths and relative errors.
        """
        n, start = self.n, x.copy()

        def piece(name: str, values: Callable[[Array], Any], J: Array, low: int, high: int) -> Any:
            def moved(v: Array) -> Any:
                w = start.copy()
                w[low:high] = v
                return values(w)

            return derivative_errors(name, start[low:high], moved, lambda v: J[..., low:high] @ v)

        upper, low = self.upper_gradient(x), self.lower_in_x(x)
        lower = np.concatenate([low, self.lower_in_y(x)])
        checks = [
            piece("grad_x_F", self.upper_value, upper, 0, n),
            piece("grad_y_F", self.upper_value, upper, n, x.size),
            piece("grad_x_f", self.lower_value, lower, 0, n),
            piece("grad_y_f", self.lower_value, lower, n, x.size),
        ]
        l = np.random.default_rng(0).uniform(0.5, 1.5, self.constraint(x).size)
        if self.g is not None:
            J = self.constraint_jac(x)
            checks.append(piece("jac_x_g", self.constraint, J, 0, n))
            checks.append(piece("jac_y_g", self.constraint, J, n, x.size))
        if self.hess_f is not None:
            H = oracle.dense(self.second(x, np.zeros_like(l)))
            checks.append(piece("hess_f", self.lower_in_y, H, 0, x.size))
        if self.hess_g is not None:
            H = oracle.dense(self.second(x, l)) - oracle.dense(self.second(x, np.zeros_like(l)))
            slope: Any = lambda w: self.constraint_jac(w)[:, n:].T @ l  # noqa: E731
            checks.append(piece("hess_g", slope, H, 0, x.size))
        return checks
