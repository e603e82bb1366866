"""Which source tasks explain a target task."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from fejer.errors import ProblemError
from fejer.evidence import EMPTY, Array, Certificate
from fejer.numerics.matrix import Matrix
from fejer.problem import Problem, as_number, as_vector, witness_array
from fejer.problems.forms import Blockwise, LinearForm, Program, ProgramForm

from ._checks import as_data
from ._design import frozen
from ._squares import FOUR_U, Squares

if TYPE_CHECKING:
    import cvxpy

__all__ = ["TaskRelevance"]

FITTED = 1e-8  # relative residual of least squares beyond which lam = 0 has no feasible point


@dataclass(frozen=True, eq=False, repr=False)
class TaskRelevance(Blockwise, Program, Problem):
    """Explain the head of a target task by as few heads of source tasks as possible.

    ``min over nu of 1/2 ||heads nu - target||^2 + lam ||nu||_1``; with ``lam=0`` its limit,
    ``min ||nu||_1 subject to heads nu = target``.

    Parameters
    ----------
    heads : array_like or sparse matrix, shape (d, M)
        One column for each source task: the vector of its linear model.
    target : array_like, shape (d,)
        That of the target task.
    lam : float
        Weight of the penalty, at least 0.

    Raises
    ------
    ProblemError
        A field is not as described, or ``lam=0`` and no nu fits the target; the message names it.

    Notes
    -----
    Variable: nu, one number for each source task.

    Certificate: that of the Lasso, rigorous. With ``lam=0`` the larger of the relative residual
    ``||heads nu - target|| / ||target||`` and of ``(||nu||_1 - target'theta) / ||nu||_1``, theta a
    dual point scaled to ``||heads'theta||_inf <= 1``: the witness ``dual``, or without it the least
    squares solution of ``heads'theta = sign(nu)`` over the support of nu.

    The view ``samples`` divides a budget among the source tasks in proportion to ``|nu|``.

    One pass over the data is M units of work, a certificate two passes.

    References
    ----------
    .. [1] Y. Wang, Y. Chen, K. Jamieson, S. Du (2023). Improved active multi-task representation
       learning via Lasso, International Conference on Machine Learning, arXiv:2306.02556.

    Examples
    --------
    >>> import fejer
    >>> problem = fejer.TaskRelevance([[1.0, 0.0, 1.0], [0.0, 1.0, 1.0]], [1.0, 1.0], lam=0.01)
    >>> result = fejer.minimize(problem, method="bcd")
    >>> result.support, result.samples(100)
    (array([2]), array([  0,   0, 100]))
    """

    heads: Matrix | Any
    target: Array
    lam: float

    views = ("support", "relevance", "samples")

    def __post_init__(self) -> None:
        heads = Matrix.of(self.heads, "heads")
        if heads.is_operator:
            raise ProblemError("heads: expected a dense or sparse matrix, got an operator")
        target = as_vector(self.target, "target", heads.shape[0])
        self.set(heads=heads, target=target, lam=as_number(self.lam, "lam", least=0, most=1e100))
        if self.lam == 0.0 and not self._consistent():
            raise ProblemError("lam: 0 asks for an exact fit of the target, and there is none")

    def _consistent(self) -> bool:
        B = self.heads.toarray()
        r = self.target - B @ np.linalg.lstsq(B, self.target, rcond=None)[0]
        return float(np.linalg.norm(r)) <= FITTED * float(np.linalg.norm(self.target))

    def form(self) -> LinearForm:
        """Return the problem in its standard form; with ``lam=0`` it is not one."""
        return self.fact("form", _FIELDS, self._form)  # type: ignore[no-any-return]

    def _form(self) -> LinearForm:
        X, y = as_data(self.heads, self.target)
        M = X.shape[1]
        return LinearForm(
            X=X,
            y=y,
            loss="squared" if self.lam > 0 else "exact fit",
            l1=frozen(np.full(M, self.lam)),
            l2=frozen(np.zeros(M)),
            lower=frozen(np.full(M, -np.inf)),
            upper=frozen(np.full(M, np.inf)),
        )

    def program(self) -> ProgramForm | None:
        """Return the limit ``lam=0`` as a linear program in the two parts of nu."""
        if self.lam > 0.0:
            return None
        B = self.heads.toarray()
        M = B.shape[1]
        return ProgramForm(
            c=np.ones(2 * M),
            A=Matrix.of(np.hstack([B, -B]), "heads"),
            row_lower=self.target,
            row_upper=self.target,
            lower=np.zeros(2 * M),
            upper=np.full(2 * M, np.inf),
        )

    def from_program(
        self, x: Array, dual: Array | None = None, ray: Array | None = None
    ) -> tuple[Array, Mapping[str, Any]]:
        """Join the two parts of nu; the dual solution is the witness."""
        M = self.heads.shape[1]
        return x[:M] - x[M:], {} if dual is None else {"dual": dual}

    def initial_point(self) -> Array:
        """Return 0."""
        return np.zeros(self.heads.shape[1])

    def certificate(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> Certificate:
        """Judge ``x`` by a duality gap; with ``lam=0`` a witness ``dual`` may help."""
        if self.lam == 0.0:
            return self._exact(x, witness)
        squares: Squares = self.fact("squares", _FIELDS, lambda: Squares(self.form()))
        return squares.certificate(x)

    def _exact(self, x: Array, witness: Mapping[str, Array]) -> Certificate:
        norm = float(np.abs(x).sum())
        size = float(np.linalg.norm(self.target)) or 1.0
        residual = float(np.linalg.norm(self.heads.matvec(x) - self.target)) / size
        best, chosen = 0.0, None
        candidates = [witness_array(witness, "dual", self.target.size)]
        support = np.flatnonzero(np.abs(x) > 1e-9 * np.abs(x).max(initial=0.0))
        if support.size and math.isfinite(norm):
            part = self.heads.columns(support).toarray()
            candidates.append(np.linalg.lstsq(part.T, np.sign(x[support]), rcond=1e-12)[0])
        norms = np.sqrt(self.heads.column_sq_norms())
        for theta in candidates:
            if theta is None:
                continue
            length = float(np.linalg.norm(theta))
            steep = float((np.abs(self.heads.rmatvec(theta)) + FOUR_U * norms * length).max())
            value = abs(float(self.target @ theta)) / steep if steep > 0 else 0.0
            value -= FOUR_U * size * length / steep if steep > 0 else 0.0
            if value > best:
                best, chosen = value, theta
        gap = max(norm - best, 0.0) / norm if norm > 0 else float(self.target.any())
        value = max(residual, gap + FOUR_U * x.size)
        return Certificate(
            "fit and duality gap",
            value,
            norm,
            True,
            scale=norm or 1.0,
            reason="" if value < math.inf else "overflow",
            lower_bound=best,
            details={"residual": residual, "gap": gap, "floor": FOUR_U * x.size},
            witness={} if chosen is None else {"dual": chosen},
        )

    def lam_max(self) -> float:
        """Return the smallest ``lam`` for which 0 is the solution."""
        return float(np.abs(self.heads.rmatvec(self.target)).max())

    def auto(self) -> tuple[str, ...]:
        """Return working sets by Newton, then coordinate descent."""
        return ("working-set-newton", "bcd", "fista") if self.lam > 0 else ("highs",)

    @property
    def unit(self) -> int:
        """Units of work in one pass: one for each column."""
        return self.heads.shape[1]

    @property
    def judge_units(self) -> int:
        """Two passes."""
        return 2 * self.unit

    def support(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> NDArray[np.intp]:
        """Return the indices of the source tasks that are used."""
        return np.flatnonzero(x)

    def relevance(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> Array:
        """Return ``|nu| / ||nu||_1``."""
        total = float(np.abs(x).sum())
        return np.abs(x) / (total or 1.0)

    def samples(self, x: Array, witness: Mapping[str, Array] = EMPTY) -> Any:
        """Return a function of a budget: how many samples to draw from each source task.

        ``ceil(budget |nu_m| / ||nu||_1)``; with ``power=2`` in proportion to the squares.
        """

        def divide(budget: int, power: int = 1) -> NDArray[np.int64]:
            shares = np.abs(x) ** power
            total = float(shares.sum()) or 1.0
            return np.ceil(budget * shares / total - 1e-9).astype(np.int64)

        return divide

    def to_cvxpy(self) -> cvxpy.Problem:
        """Return the same problem as a cvxpy model; its variable is "nu"."""
        from ._models import oracle

        cvxpy = oracle()
        nu = cvxpy.Variable(self.size, name="nu")
        fit = self.heads.native @ nu
        if self.lam == 0.0:
            return cvxpy.Problem(cvxpy.Minimize(cvxpy.norm1(nu)), [fit == self.target])
        objective = 0.5 * cvxpy.sum_squares(fit - self.target) + self.lam * cvxpy.norm1(nu)
        return cvxpy.Problem(cvxpy.Minimize(objective))

    @classmethod
    def random(
        cls, d: int = 20, M: int = 50, used: int = 4, ratio: float = 0.05, *, seed: int = 0
    ) -> Self:
        """Draw Gaussian heads and a target made of a few of them.

        Parameters
        ----------
        d, M : int
            Length of a head, and number of source tasks.
        used : int
            Source tasks that make the target.
        ratio : float, default 0.05
            ``lam`` over ``lam_max()``; 0 asks for an exact fit.
        seed : int, default 0
            Of the generator.
        """
        rng = np.random.default_rng(seed)
        heads = np.asfortranarray(rng.standard_normal((d, M)) / math.sqrt(d))
        nu = np.zeros(M)
        nu[rng.choice(M, used, replace=False)] = rng.standard_normal(used)
        problem = cls(heads, heads @ nu, 1.0)
        return problem.replace(lam=ratio * problem.lam_max())


_FIELDS = ("heads", "target", "lam")
