"""Block coordinate descent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from fejer.evidence import Array
from fejer.method import Method, Rate, Start, option, register
from fejer.problems.forms import Blockwise, QuadraticForm

from ._bcd_rates import rate_of
from ._coordinates import GREEDY, RULES, BCDState, Engine, LogisticEngine, SquaredEngine
from ._groups import GroupEngine
from ._linear import Squared
from ._quadratics import ForestEngine, GraphEngine, is_free
from ._smooth import smooth, unsupported

__all__ = ["BCD", "BCDState"]

REFRESH = 50  # sweeps after which residual or gradient is computed anew
FOREST_RULES = {"variable": ("gs", "gs-q", "random"), "fixed": ("cyclic", "random", "gs")}
CALL = 40_000_000  # multiplications of one call of `advance`, about 20 ms


class _Prepared(NamedTuple):
    """Constants of a run."""

    engine: Engine
    each: int  # updates of one iteration
    refresh: int
    call: int


@register
@dataclass(frozen=True, eq=False)
class BCD(Method):
    """Block coordinate descent by exact minimisation over one coefficient after another.

    ``w_j <- clip(soft(q_j w_j + z_j'r, l1_j) / (q_j + l2_j), lower_j, upper_j)``, ``q_j =
    ||z_j||^2``, ``r = z - Z w``, for penalised least squares over a box; for penalised logistic
    regression the same step with a bound of the curvature in the place of ``q_j``; and under group
    norms a proximal gradient step on one group after another.

    Attributes
    ----------
    selection : str
        "cyclic", "permuted" (a fresh order in each sweep), "random" (uniform), "lipschitz"
        (probability proportional to ``q_j + l2_j``), "gs" (largest modulus of the smallest
        subgradient), "gs-q" (largest decrease of the objective).
    update : str
        For logistic regression. "newton": the curvature at the point times the factor by which it
        can grow along the step; "gradient": its bound ``1/4 sum_i s_i x_ij^2``. Squares know one.
        For a quadratic on a graph also "message-passing": an iteration minimises exactly over all
        nodes of a forest.
    partition : str
        For message passing. "variable": a maximal forest is grown anew in each iteration, from the
        nodes of the largest gradient ("gs"), of the largest promise ("gs-q") or in a random order;
        "order", "sort": the nodes, in their order or by descending diagonal, are put into fixed
        forests once, which take turns ("cyclic", "random", or "gs": largest gradient).
    block_size : int or None
        1: an iteration is the update of one block, here of one coefficient. None: an iteration
        is a sweep of d updates, except for the greedy rules "gs" and "gs-q", where it is one
        update.

    Notes
    -----
    Rate: see ``rate`` for each rule. With mu the least eigenvalue of the Hessian scaled to unit
    diagonal and U its strict upper triangle, one cyclic sweep shrinks ``F - F*`` by the factor
    ``c / (1 + c)``, ``c = ||U||^2 / mu``; a uniform random update in expectation by ``1 - 2 mu /
    (d (1 + mu))`` and one of "gs-q", for certain, by ``1 - mu / d``. Without curvature the bounds
    fall like 1/k. These are theorems on least squares; on logistic regression F never increases.

    Cost of an update: 2n flops for the product with the column, 2n more if the coefficient
    changes (as many as the column has entries where X is sparse). Greedy rules keep the gradient:
    2d flops for up to 2048 coefficients, whose Gram matrix is kept, else a product with X.
    On a graph a heap keeps the largest promise on top: an update costs its degree times log d. A
    forest is found and solved in time proportional to the number of edges, plus a sort.
    The Gram matrix costs d/2 passes once per matrix, which ``work`` leaves out.
    Memory: the residual, or the gradient. Both are computed anew every 50 sweeps, by count, so
    that rounding does not pile up. A constant is not a coordinate: all columns are centred,
    sparse ones without being made dense.

    Pitfall: on ill-conditioned data cyclic sweeps need a number of iterations proportional to the
    condition number.

    References
    ----------
    .. [1] J. Nutini, I. Laradji, M. Schmidt (2022). Let's make block coordinate descent converge
       faster, Journal of Machine Learning Research 23(131), arXiv:1712.08859.
    .. [2] J. Friedman, T. Hastie, R. Tibshirani (2010). Regularization paths for generalized
       linear models via coordinate descent, Journal of Statistical Software 33(1).
    .. [3] Z. Lu, L. Xiao (2015). On the complexity analysis of randomized block-coordinate descent
       methods, Mathematical Programming 152, arXiv:1305.4723.

    Examples
    --------
    >>> import fejer
    >>> problem = fejer.Lasso.random()
    >>> result = fejer.minimize(problem, method="bcd", options={"selection": "permuted"})
    >>> result.success
    True
    """

    selection: str = option("cyclic", choices=RULES, doc="rule that chooses the block")
    block_size: int | None = option(
        None, least=1, most=1, doc="coefficients of a block; None: iterations are sweeps"
    )

    update: str = option(
        "newton", choices=("newton", "gradient", "message-passing"), doc="how a block is updated"
    )
    partition: str = option(
        "variable", choices=("variable", "order", "sort"), doc="how forests are made"
    )

    name = "bcd"
    solves = (Blockwise,)
    cites = ("arXiv:1712.08859", "Friedman, Hastie, Tibshirani (2010)", "arXiv:1305.4723")

    @property
    def rate(self) -> Rate:
        """The theorem for the selection rule."""
        sweeps = self.block_size is None and RULES.index(self.selection) < GREEDY
        return rate_of(self.selection, sweeps)

    def supports(self, problem: Any) -> str | None:
        """Return None for least squares, logistic regression and quadratics, or the reason."""
        form: Any = problem.form()
        forest = self.update == "message-passing"
        if isinstance(form, QuadraticForm):
            if not forest:
                return None
            if not is_free(form):
                return "message passing takes no penalty and no bounds"
            known = FOREST_RULES["variable" if self.partition == "variable" else "fixed"]
            return None if self.selection in known else f"forests are chosen by {', '.join(known)}"
        if forest:
            return "message passing needs a quadratic on a graph"
        reason = unsupported(problem)
        if reason is None and RULES.index(self.selection) >= GREEDY:
            plain = form.loss == "squared" and form.groups is None
            reason = None if plain else f"selection {self.selection!r} with its loss or penalty"
        return reason

    def prepare(self, problem: Any, tol: float, rng: np.random.Generator) -> _Prepared:
        """Gather the arrays of the kernels."""
        engine = self._engine(problem)
        sweep = self.block_size is None and RULES.index(self.selection) < GREEDY
        sweep = sweep and self.update != "message-passing"
        call = max(1, CALL // engine.column)
        return _Prepared(engine, engine.sweep if sweep else 1, REFRESH * engine.sweep, call)

    def _engine(self, problem: Any) -> Engine:
        form: Any = problem.form()
        if isinstance(form, QuadraticForm):
            if self.update == "message-passing":
                return ForestEngine(form, self.selection, self.partition)
            return GraphEngine(form, self.selection)
        ready = smooth(problem, centred=not form.X.is_sparse)
        if form.groups is not None:
            return GroupEngine(ready, self.selection)
        if isinstance(ready, Squared):
            return SquaredEngine(ready, self.selection)
        return LogisticEngine(ready, self.selection, self.update == "newton")

    def begin(
        self, problem: Any, prep: _Prepared, start: Start, rng: np.random.Generator
    ) -> BCDState:
        """Start from the given coefficients, projected on the box."""
        return prep.engine.begin(start.x, rng)

    def advance(self, problem: Any, prep: _Prepared, state: BCDState, n: int) -> bool:
        """Make up to n iterations, or as many updates as fit into one call."""
        engine = prep.engine
        goal = min((state.nit + n) * prep.each, state.updates + prep.call)
        while state.updates < goal:
            if state.quiet >= engine.patience:
                return True
            into = state.updates % prep.refresh
            if into == 0 and state.updates:
                engine.refresh(state)
                state.work += 2 * len(state.w)
            made = engine.run(state, min(goal - state.updates, prep.refresh - into))
            state.updates += made
            state.nit = state.updates // prep.each
        return state.quiet >= engine.patience

    def point(self, problem: Any, prep: _Prepared, state: BCDState) -> Array:
        """Return the coefficients, and the constant behind them."""
        return prep.engine.leave(state.w)
