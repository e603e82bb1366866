"""Linear programs: bounds on rows and variables, and a certificate in the user's own units."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from fejer.errors import ProblemError, missing
from fejer.evidence import EMPTY, Array, Certificate
from fejer.problem import Problem, as_number, as_vector, witness_array
from fejer.problems.forms import Program, ProgramForm

from ._checks import interval, rows_of
from ._kkt import farkas, gap_of, kept_signs, primal_of, recession
from ._scales import Scales, scales

if TYPE_CHECKING:
    import cvxpy

__all__ = ["LinearProgram"]

SOLVED = 1e-8  # rays are not looked at where point and dual are this good
DATA = ("c", "A", "row_lower", "row_upper", "lower", "upper")


@dataclass(frozen=True, eq=False)
class LinearProgram(Program, Problem):
    """Linear program with two-sided rows and bounds.

    min over x in R^n of ``c'x + offset``  subject to  ``row_lower <= A x <= row_upper``,
    ``lower <= x <= upper``. Any bound may be infinite, equal bounds make an equation.

    Parameters
    ----------
    c : array_like, shape (n,)
        Costs.
    A : array_like or scipy.sparse, shape (m, n)
        Rows; m may be 0.
    row_lower, row_upper : array_like, shape (m,)
        Bounds of the rows; a scalar is spread. -inf and inf are absent, and so is any bound of a
        modulus of 1e20 or more.
    lower, upper : array_like, shape (n,)
        Bounds of the variables, likewise.
    offset : float, default 0
        Constant of the objective; part of ``fun`` and of bounds, of no scale.

    Raises
    ------
    ProblemError
        Shapes that do not fit, entries that are nan or infinite where they must not be, a lower
        bound above its upper bound, or a matrix whose entries are not known (an operator).

    Notes
    -----
    Certificate: with the witness ``dual`` (y, one multiplier per row; positive ones push against
    ``row_lower``) and the reduced costs ``z = c - A'y``, the value is the largest of

    (i) violation / (modulus of the violated bound, or s_b where that is zero), over all rows and
    variables;

    (ii) ``|z_j| / (|c_j| or s_c)`` over the z_j that push against an infinite bound;

    (iii) (``|p - d|`` + sum of those ``|z_j x_j|`` + sum of ``|y_i|`` violation_i + sum of
    ``|z_j|`` violation_j) / max(``|p|``, ``|d|``, t) with the objective ``p = c'x``, the dual value
    d of y and z, and t = smallest nonzero row bound times smallest nonzero cost over the largest
    modulus in A.

    s_b and s_c are medians of the nonzero moduli of the row bounds (of the variables' bounds where
    there are none) and of the costs: a stand-in for infinity cannot stretch them. Each part
    includes its own rounding error (``details["floor"]``). The value bounds the relative
    suboptimality, and ``lower_bound`` is a number, where every reduced cost meets a finite bound;
    else both are measured, not proven. ``details`` also has the relative residuals with norms and
    "1 +" that first-order solvers stop by (``relative_primal, relative_dual, relative_gap``) and
    the absolute ones.

    The witness ``ray`` proves infeasibility (shape (m,), a Farkas ray) or unboundedness (shape
    (n,), a direction along which the objective falls for ever, with a feasible x). It is looked at
    only where point and ``dual`` give more than 1e-8. ``details["feasible_beyond"]`` of a Farkas
    ray is the sum of moduli below which there is no feasible point: infinite for an exact ray.

    Pitfalls: without ``dual`` the value is infinite. To maximise, negate c and ``fun``.

    Examples
    --------
    >>> import fejer
    >>> problem = fejer.LinearProgram([2.0, 3.0], [[1.0, 1.0]], 4.0, float("inf"), 0.0, 3.0)
    >>> result = fejer.minimize(problem)
    >>> result.x, result.fun
    (array([3., 1.]), 9.0)
    >>> result.dual, result.reduced_costs
    (array([3.]), array([-1.,  0.]))
    >>> result.dual_bound <= 9.0
    True
    """

    c: Any
    A: Any
    row_lower: Any
    row_upper: Any
    lower: Any
    upper: Any
    offset: float = 0.0

    views: ClassVar[tuple[str, ...]] = ("dual", "reduced_costs", "ray", "dual_bound")

    def __post_init__(self) -> None:
        c = as_vector(self.c, "c")
        A = rows_of(self.A, c.size)
        m, n = A.shape
        offset = as_number(self.offset, "offset")
        self.set(c=c, A=A, offset=offset)
        for low, high, size in (("row_lower", "row_upper", m), ("lower", "upper", n)):
            least, most = interval(getattr(self, low), getattr(self, high), low, high, size)
            self.set(**{low: least, high: most})

    # ---- other ways to state one ------------------------------------------------------------
    @classmethod
    def from_linprog(
        cls,
        c: npt.ArrayLike,
        A_ub: Any = None,
        b_ub: Any = None,
        A_eq: Any = None,
        b_eq: Any = None,
        bounds: Any = (0, None),
    ) -> Self:
        """Build the program that `scipy.optimize.linprog` takes.

        min ``c'x``  subject to  ``A_ub x <= b_ub``, ``A_eq x = b_eq`` and bounds. Rows of ``A_ub``
        come first.

        Parameters
        ----------
        c : array_like, shape (n,)
            Costs.
        A_ub, b_ub : array_like, shapes (m_ub, n) and (m_ub,), optional
            Inequalities; the rows may be of scipy.sparse.
        A_eq, b_eq : array_like, shapes (m_eq, n) and (m_eq,), optional
            Equations, likewise.
        bounds : pair, sequence of n pairs, or None, default (0, None)
            ``(lower, upper)`` of all or of each variable; None in a pair is no bound, None for the
            whole is ``(0, None)``.

        Examples
        --------
        >>> import fejer
        >>> fejer.LinearProgram.from_linprog([1, 1], A_eq=[[1, 2]], b_eq=[2]).row_upper
        array([2.])
        """
        from ._linprog import stack, unpack_bounds

        c = as_vector(c, "c")
        A, row_lower, row_upper = stack(c.size, A_ub, b_ub, A_eq, b_eq)
        return cls(c, A, row_lower, row_upper, *unpack_bounds(bounds, c.size))

    @classmethod
    def from_mps(cls, path: str | os.PathLike[str]) -> Self:
        """Read a linear program from an MPS file, free or fixed.

        Parameters
        ----------
        path : path
            A text file. Of several right-hand sides, ranges or sets of bounds the first is read;
            rows of type N behind the objective are ignored. The negated right-hand side of the
            objective is `offset`. ``OBJSENSE MAX`` negates costs and offset. A negative upper
            bound without a lower one takes the lower bound 0 away, as is the custom.

        Raises
        ------
        ProblemError
            Names the line: unknown sections, rows, columns or types of bounds, values that are no
            numbers, integer variables.

        Examples
        --------
        >>> import fejer, pathlib, tempfile
        >>> sections = "ROWS", " N cost", " G need", "COLUMNS", " x cost 2 need 1", "ENDATA"
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder) / "tiny.mps"
        ...     _ = path.write_text("\\n".join(sections))
        ...     problem = fejer.LinearProgram.from_mps(path)
        >>> problem.c, problem.row_lower
        (array([2.]), array([0.]))
        """
        from ._mps import read

        return cls(*read(path))

    @classmethod
    def random(
        cls,
        m: int = 20,
        n: int = 40,
        density: float = 0.25,
        upper: float = 10.0,
        *,
        seed: int = 0,
    ) -> Self:
        """Draw a sparse program whose optimal vertex and dual are known to the generator.

        The first half of the rows are equations, the others ``>=``. m of the variables lie in
        [0.1, 1.1], the others at 0 with reduced costs in [0.1, 1.1].

        Parameters
        ----------
        m, n : int, default 20, 40
            Rows and variables, ``m <= n``.
        density : float, default 0.25
            Share of nonzeros in A; each row has one more, of a modulus near 3.
        upper : float, default 10
            Bound of all variables, inactive from 1.2 on. With inf the certificate proves less.
        seed : int, default 0
            Seed of the generator.
        """
        from scipy.sparse import csc_array

        m, n = (as_number(v, name, least=1, integer=True) for v, name in ((m, "m"), (n, "n")))
        if m > n:
            raise ProblemError(f"m: expected at most n = {n}, got {m}")
        density = as_number(density, "density", above=0, most=1)
        upper = as_number(upper, "upper", least=1.2, finite=False)
        rng = np.random.default_rng(seed)
        entries = rng.standard_normal((m, n)) * (rng.random((m, n)) < density)
        x, slack = np.zeros(n), rng.uniform(0.1, 1.1, n)
        support = rng.permutation(n)[:m]
        entries[np.arange(m), support] += rng.choice([-3.0, 3.0], m)  # a basis far from singular
        x[support], slack[support] = rng.uniform(0.1, 1.1, m), 0.0
        y = rng.standard_normal(m)
        inequality = np.arange(m) >= m // 2
        y[inequality] = np.abs(y[inequality])
        b = entries @ x
        row_upper = np.where(inequality, np.inf, b)
        return cls(entries.T @ y + slack, csc_array(entries), b, row_upper, 0.0, upper)

    # ---- the contract ------------------------------------------------------------------------
    def initial_point(self) -> Array:
        """Return the feasible value of each variable that is nearest to zero."""
        return np.clip(np.zeros(self.c.size), self.lower, self.upper)

    def auto(self) -> tuple[str, ...]:
        """Return the order: the simplex and interior methods of HiGHS, then first-order."""
        return ("highs", "r2hpdhg", "pdhg")

    @property
    def judge_units(self) -> int:
        """Products with A in one certificate: of point and dual, entries and moduli."""
        return 4

    @property
    def scales(self) -> Scales:
        """Divisors of violations and gaps, from the data alone."""
        return self.fact("scales", DATA, lambda: scales(*(getattr(self, f) for f in DATA)))  # type: ignore[no-any-return]

    def certificate(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> Certificate:
        """Judge ``x`` with the multipliers ``dual`` and, where these fail, with ``ray``."""
        m = self.A.shape[0]
        y = witness_array(witness, "dual", m)
        if m == 0:
            y = np.zeros(0)
        primal = primal_of(self, x)
        fun = float(self.c @ x) + self.offset
        kept: dict[str, Array] = {} if y is None else {"dual": y}
        details = {
            "primal": primal.value,
            "absolute_primal": float(primal.rows.max(initial=primal.variables.max())),
            "relative_primal": math.hypot(
                float(np.linalg.norm(primal.rows)), float(np.linalg.norm(primal.variables))
            )
            / (1 + self.scales.rows),
            "floor": primal.floor,
        }
        value, scale, bound = math.inf, self.scales.objective, None
        if y is not None:
            gap = gap_of(self, x, kept_signs(self, y), primal)
            value, scale = max(primal.value, gap.dual, gap.gap), gap.scale
            bound = None if gap.proven is None else gap.proven + self.offset
            p = fun - self.offset
            details |= {
                "dual": gap.dual,
                "gap": gap.gap,
                "dual_value": gap.bound + self.offset,
                "absolute_dual": float(gap.infeasibilities.max(initial=0.0)),
                "absolute_gap": abs(p - gap.bound),
                "relative_dual": float(np.linalg.norm(gap.infeasibilities))
                / (1 + self.scales.columns),
                "relative_gap": abs(p - gap.bound) / (1 + abs(p) + abs(gap.bound)),
                "floor": max(primal.floor, gap.dual_floor, gap.gap_floor),
            }
        if not value <= SOLVED:
            proof = self._proof(x, primal.value, fun, witness, kept)
            if proof is not None:
                return proof
        finite = math.isfinite(value)
        return Certificate(
            "KKT residual",
            value if finite else math.inf,
            fun,
            rigorous=bound is not None and finite,
            scale=scale,
            reason="" if finite else "no dual of this shape" if y is None else "overflow",
            lower_bound=bound if finite else None,
            details=details,
            witness=kept,
        )

    def _proof(
        self,
        x: Array,
        violation: float,
        fun: float,
        witness: Mapping[str, Array],
        kept: dict[str, Array],
    ) -> Certificate | None:
        """Certify by a ray that there is no feasible point, or none that is optimal."""
        m, n = self.A.shape
        ray = witness_array(witness, "ray", m)
        found = None if ray is None else farkas(self, ray)
        if ray is not None and found is not None:
            value, beyond = found
            return Certificate(
                "Farkas ray",
                value,
                fun,
                proves="infeasible",
                details={"primal": violation, "feasible_beyond": beyond},
                witness={**kept, "ray": ray},
            )
        ray = witness_array(witness, "ray", n)
        falling = None if ray is None else recession(self, ray)
        if ray is None or falling is None:
            return None
        feasible = violation <= SOLVED
        return Certificate(
            "recession ray" if feasible else "dual infeasible",
            falling if feasible else math.inf,
            fun,
            proves="unbounded" if feasible else "solved",
            reason="" if feasible else "the ray lowers the objective, but x is not feasible",
            details={"primal": violation},
            witness={**kept, "ray": ray},
        )

    # ---- views -------------------------------------------------------------------------------
    def dual(self, x: Array, witness: Mapping[str, Array]) -> Array | None:
        """Return the multipliers of the rows; those that push against no bound are 0."""
        m = self.A.shape[0]
        y = np.zeros(0) if m == 0 else witness_array(witness, "dual", m)
        return None if y is None else kept_signs(self, y)

    def reduced_costs(self, x: Array, witness: Mapping[str, Array]) -> Array | None:
        """Return ``c - A'y``."""
        y = self.dual(x, witness)
        return None if y is None else self.c - self.A.rmatvec(y)

    def ray(self, x: Array, witness: Mapping[str, Array]) -> Array | None:
        """Return the proof of infeasibility (one entry per row) or unboundedness (per variable)."""
        m, n = self.A.shape
        found = witness_array(witness, "ray", m)
        return witness_array(witness, "ray", n) if found is None else found

    def dual_bound(self, x: Array, witness: Mapping[str, Array]) -> float | None:
        """Return a proven lower bound of the optimal value, or None."""
        return self.judge(x, witness).lower_bound

    # ---- forms -------------------------------------------------------------------------------
    def program(self) -> ProgramForm:
        """Return the data."""
        return ProgramForm(*(getattr(self, field) for field in DATA))

    def from_program(
        self, x: Array, dual: Array | None = None, ray: Array | None = None
    ) -> tuple[Array, Mapping[str, Any]]:
        """Return point and witness as they are."""
        given = {"dual": dual, "ray": ray}
        return x, {name: value for name, value in given.items() if value is not None}

    def to_cvxpy(self) -> cvxpy.Problem:
        """Return the cvxpy model; its variable is ``x``."""
        try:
            import cvxpy as cp
        except ImportError as error:
            raise missing("cvxpy", "to_cvxpy", "oracle") from error
        x = cp.Variable(self.c.size, name="x")
        constraints = []
        sides = [(x, self.lower, self.upper)]
        if self.A.shape[0]:
            sides.append((self.A.native @ x, self.row_lower, self.row_upper))
        for expression, low, high in sides:
            for bound, sign in ((low, 1), (high, -1)):
                there = np.flatnonzero(np.isfinite(bound))
                if there.size:
                    constraints.append(sign * (expression[there] - bound[there]) >= 0)
        return cp.Problem(cp.Minimize(self.c @ x + self.offset), constraints)
