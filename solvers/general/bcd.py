"""Block coordinate descent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from fejer.evidence import Array
from fejer.method import Method, Rate, Start, option, register
from fejer.problems.forms import Blockwise, QuadraticForm

from ._bcd_rates import block_rate, rate_of
from ._blocks import BLOCK_RULES, BlockEngine
from ._coordinates import (
    GREEDY,
    RULES,
    BCDState,
    Engine,
    LogisticEngine,
    MultinomialEngine,
    SquaredEngine,
)
from ._groups import GroupEngine
from ._linear import Squared
from ._partitions import PARTITIONS
from ._quadratics import ForestEngine, GraphEngine, is_free
from ._smooth import Logit, smooth, unsupported

__all__ = ["BCD", "BCDState"]

REFRESH = 50  # sweeps after which residual or gradient is computed anew
UPDATES = (
    "newton",
    "gradient",
    "matrix",
    "exact",
    "lookahead",
    "two-metric",
    "projected-newton",
    "message-passing",
)
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
    and multinomial regression the same step with a bound of the curvature in the place of ``q_j``;
    and under group norms a proximal gradient step on one group after another.

    Attributes
    ----------
    selection : str
        "cyclic", "permuted" (a fresh order in each sweep), "random" (uniform), "lipschitz"
        (probability proportional to the curvature), or greedy, with g the smallest subgradient:
        "gs" (largest ``||g_b||``), "gsl" (largest ``||g_b||^2 / L_b``), "gsd" (largest ``sum g_i^2
        / L_i``), "gsq" (largest ``g_b' H_b^-1 g_b``), "gs-q" (largest decrease that single steps
        promise).
    block_size : int or None
        Coefficients of a block. None: 1, and an iteration is a sweep, except for the greedy rules,
        where it is one update.
    update : str
        "newton": the minimiser of the model with the Hessian at the point, plus penalty and bounds,
        then a line search (for one coefficient of logistic regression: the curvature at the point
        times the factor by which it can grow along the step, without a search); "gradient": a
        proximal step with the largest curvature of the block; "matrix": ``H_b^-1 g_b`` with the
        bound of the Hessian, without penalty and bounds; "exact": the minimiser over the block;
        "lookahead": a proximal step with the smallest curvature that has proved to be enough, found
        by doubling; "two-metric": Newton's step on the coefficients off their bounds, a scaled
        gradient step on the others; "projected-newton": the model's minimiser over the bounds, by
        pivoting; "message-passing", for quadratics on graphs: an iteration minimises exactly over
        the nodes of a forest. Squares know no difference between "newton" and "exact".
    partition : str or tuple of int
        "variable": a block is any ``block_size`` coefficients, chosen anew each time; else it is
        one of fixed blocks, made once: in the "order" of the coefficients, at "random", by "sort"
        (ascending curvature), by "average" (the smallest beside the largest), both also by the row
        sums of the Hessian's moduli ("hessian-sort", "hessian-average"), or by the labels of a
        tuple. Forests are grown anew ("variable", from the largest gradient "gs", the largest
        promise "gs-q" or in a random order), or made once, in the "order" of the nodes or by
        descending diagonal ("sort"), and then taken in turns, at random or by the largest gradient.
    norm : str
        Norm of g in the scores of fixed blocks for "gs", "gsl", "gsd".

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
    that rounding does not pile up. ``identified_at`` in ``stats`` is the last iteration that moved
    a coefficient to or off 0 or a bound. A constant is not a coordinate: all columns are centred,
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

    selection: str = option("cyclic", choices=BLOCK_RULES, doc="rule that chooses the block")
    block_size: int | None = option(
        None, least=1, doc="coefficients of a block; None: 1, and iterations are sweeps"
    )

    update: str = option("newton", choices=UPDATES, doc="how a block is updated")
    partition: str | tuple = option("variable", choices=PARTITIONS, doc="how blocks are made")  # type: ignore[type-arg]
    norm: str = option("l2", choices=("l2", "l1"), doc="norm in the scores of fixed blocks")

    name = "bcd"
    solves = (Blockwise,)
    cites = ("arXiv:1712.08859", "Friedman, Hastie, Tibshirani (2010)", "arXiv:1305.4723")

    @property
    def rate(self) -> Rate:
        """The theorem for the selection rule."""
        if self._single:
            sweeps = self.block_size is None and self.selection in RULES[:GREEDY]
            return rate_of(self.selection, sweeps)
        return block_rate(self)

    def supports(self, problem: Any) -> str | None:
        """Return None for least squares, logistic regression and quadratics, or the reason."""
        form: Any = problem.form()
        if isinstance(form, QuadraticForm):
            return self._quadratic_reason(form)
        reason = unsupported(problem)
        if reason is not None:
            return reason
        if self.update == "message-passing":
            return "message passing needs a quadratic on a graph"
        if form.groups is not None:
            plain = self.selection in RULES[:GREEDY] and self.update in ("newton", "gradient")
            whole = self.partition == "variable" and self.block_size in (None, 1)
            return None if plain and whole else "its groups are the blocks, in turns or at random"
        bounded = np.isfinite(form.lower).any() or np.isfinite(form.upper).any()
        if self.update == "matrix" and (bounded or form.l1.any()):
            return "update 'matrix' takes no l1 penalty and no bounds"
        if self.update in ("two-metric", "projected-newton") and form.l1[form.lower < 0].any():
            return f"update {self.update!r} takes moduli of coefficients >= 0 only"
        return None

    def _quadratic_reason(self, form: QuadraticForm) -> str | None:
        if self.update == "message-passing":
            if not is_free(form):
                return "message passing takes no penalty and no bounds"
            known = FOREST_RULES["variable" if self.partition == "variable" else "fixed"]
            if self.partition not in ("variable", "order", "sort"):
                return "forests are made in the order 'variable', 'order' or 'sort'"
            return None if self.selection in known else f"forests are chosen by {', '.join(known)}"
        if self.selection not in RULES or self.block_size not in (None, 1):
            return "its blocks are single nodes by the rules of single ones, or forests"
        if self.partition != "variable" or self.update not in ("newton", "gradient", "exact"):
            return "its blocks are single nodes or forests"
        return None

    @property
    def _single(self) -> bool:
        """Whether blocks are single coefficients that the compiled loops know."""
        single = self.block_size in (None, 1) and self.partition == "variable"
        return single and self.selection in RULES and self.update in ("newton", "gradient", "exact")

    def prepare(self, problem: Any, tol: float, rng: np.random.Generator) -> _Prepared:
        """Gather the arrays of the kernels."""
        engine = self.engine(problem)
        sweep = self.block_size is None and self.selection in RULES[:GREEDY]
        sweep = sweep and self.update != "message-passing"
        call = max(1, CALL // engine.column)
        return _Prepared(engine, engine.sweep if sweep else 1, REFRESH * engine.sweep, call)

    def engine(self, problem: Any) -> Engine:
        """Return the code for this kind of problem and these options."""
        form: Any = problem.form()
        if isinstance(form, QuadraticForm):
            if self.update == "message-passing":
                return ForestEngine(form, self.selection, str(self.partition))
            return GraphEngine(form, self.selection)
        ready = smooth(problem, centred=not form.X.is_sparse)
        if form.groups is not None:
            return GroupEngine(ready, self.selection)
        if self._single and isinstance(ready, Squared):
            return SquaredEngine(ready, self.selection)
        greedy = self.selection not in RULES[:GREEDY]
        if (
            self._single
            and not isinstance(ready, Squared)
            and not greedy
            and self.update != "exact"
        ):
            engine = LogisticEngine if isinstance(ready, Logit) else MultinomialEngine
            return engine(ready, self.selection, self.update == "newton")
        size = self.block_size or 1
        rules = (self.selection, self.update, self.norm)
        return BlockEngine(ready, *rules, self.partition, size)

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
            state.identified_at = -(-int(state.turned[0]) // prep.each)
        return state.quiet >= engine.patience

    def point(self, problem: Any, prep: _Prepared, state: BCDState) -> Array:
        """Return the coefficients, and the constant behind them."""
        return prep.engine.leave(state.w)
