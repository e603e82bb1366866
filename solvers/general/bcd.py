"""Block coordinate descent."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fejer.evidence import Array
from fejer.method import Method, Rate, Start, State, option, register
from fejer.numerics.random import seed_state
from fejer.problems.forms import Blockwise
from fejer.problems.sparse._design import frozen

from ._bcd_rates import rate_of
from ._descent import sweep_dense, sweep_sparse
from ._greedy import greedy_dense, greedy_gram, greedy_sparse
from ._linear import Squared, squared, unsupported

__all__ = ["BCD", "BCDState"]

RULES = ("cyclic", "permuted", "random", "lipschitz", "gs", "gs-q")
GREEDY = RULES.index("gs")  # this rule and those behind it look at the gradient
LARGEST_GRAM = 2048  # coefficients up to which greedy rules keep the Gram matrix (33 MB)
REFRESH = 50  # sweeps after which residual or gradient is computed anew
CALL = 40_000_000  # multiplications of one call of `advance`, about 20 ms


@dataclass
class BCDState(State):
    """Coefficients, what is kept of the residual, and the place in the sequence of updates."""

    w: Array
    kept: Array  # the residual; the negative gradient for greedy rules
    order: NDArray[np.int64]
    words: NDArray[np.uint64]
    shift: float = 0.0
    updates: int = 0
    quiet: int = 0  # updates since a coefficient last changed


class _Prepared(NamedTuple):
    """Constants of a run."""

    ready: Squared
    arrays: tuple[Any, ...]  # leading arguments of the kernel
    greedy: Any  # the kernel of a greedy rule
    mean: Array
    cumulative: Array
    rule: int
    each: int  # updates of one iteration
    refresh: int
    call: int
    patience: int
    cost: int  # units of one greedy update


@register
@dataclass(frozen=True, eq=False)
class BCD(Method):
    """Block coordinate descent by exact minimisation over one coefficient after another.

    ``w_j <- clip(soft(q_j w_j + z_j'r, l1_j) / (q_j + l2_j), lower_j, upper_j)``, ``q_j =
    ||z_j||^2``, ``r = z - Z w``, for penalised least squares over a box.

    Attributes
    ----------
    selection : str
        "cyclic", "permuted" (a fresh order in each sweep), "random" (uniform), "lipschitz"
        (probability proportional to ``q_j + l2_j``), "gs" (largest modulus of the smallest
        subgradient), "gs-q" (largest decrease of the objective).
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
    fall like 1/k.

    Cost of an update: 2n flops for the product with the column, 2n more if the coefficient
    changes (as many as the column has entries where X is sparse). Greedy rules keep the gradient:
    2d flops for up to 2048 coefficients, whose Gram matrix is kept, else a product with X.
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

    name = "bcd"
    solves = (Blockwise,)
    cites = ("arXiv:1712.08859", "Friedman, Hastie, Tibshirani (2010)", "arXiv:1305.4723")

    @property
    def rate(self) -> Rate:
        """The theorem for the selection rule."""
        sweeps = self.block_size is None and RULES.index(self.selection) < GREEDY
        return rate_of(self.selection, sweeps)

    def supports(self, problem: Any) -> str | None:
        """Return None for penalised least squares over a box."""
        return unsupported(problem)

    def prepare(self, problem: Any, tol: float, rng: np.random.Generator) -> _Prepared:
        """Gather the arrays of the kernels."""
        ready = squared(problem)
        form, design, matrix = ready.form, ready.design, ready.design.matrix
        n, d = matrix.shape
        rule = RULES.index(self.selection)
        fields = (design.sq_norms, form.l1, form.l2, form.lower, form.upper)
        mean = design.mean if design.implicit and design.mean is not None else frozen(np.zeros(d))
        kernel: Any = None
        arrays: tuple[Any, ...]
        column = max(1, matrix.nnz // d)
        cost, arrays = 0, (matrix.csc if matrix.is_sparse else (matrix.dense,))
        if rule >= GREEDY:
            if not matrix.is_sparse:
                gram = d <= LARGEST_GRAM
                kernel = greedy_gram if gram else greedy_dense
                arrays = (design.gram(),) if gram else (matrix.dense,)
                cost = -(-d // n) if gram else d
                column = d if gram else matrix.nnz
            else:
                kernel, arrays = greedy_sparse, (*matrix.csc, *matrix.csr)
                cost = column = d + 1
        weights = np.where(form.lower < form.upper, ready.curvature, 0.0)
        lipschitz = self.selection == "lipschitz"
        likely = d if not lipschitz else _expected(weights)
        sweep = self.block_size is None and rule < GREEDY
        return _Prepared(
            ready,
            arrays + fields if not matrix.is_sparse else (*arrays, mean, design.total, *fields),
            kernel,
            mean,
            np.cumsum(weights) if lipschitz else weights,
            rule,
            d if sweep else 1,
            REFRESH * d,
            max(1, CALL // column),
            # A random rule has then met each coordinate with probability 1 - exp(-20).
            min(2**62, math.ceil((1 if rule == 0 else 2 if rule == 1 else 20) * likely)),
            cost,
        )

    def begin(
        self, problem: Any, prep: _Prepared, start: Start, rng: np.random.Generator
    ) -> BCDState:
        """Start from the given coefficients, projected on the box."""
        ready = prep.ready
        w = ready.enter(start.x)
        unseen = (ready.design.sq_norms == 0.0) & ((ready.curvature > 0) | (ready.form.l1 > 0))
        if unseen.any():  # zero columns: the penalty alone decides
            w[unseen] = np.clip(0.0, ready.form.lower, ready.form.upper)[unseen]
        chance = RULES[prep.rule] in ("permuted", "random", "lipschitz")
        words = seed_state(rng) if chance else np.zeros(4, np.uint64)
        order = np.arange(w.size if RULES[prep.rule] == "permuted" else 1)
        state = BCDState(w, np.empty(0), order, words)
        self._refresh(prep, state)
        return state

    def _refresh(self, prep: _Prepared, state: BCDState) -> None:
        """Compute the residual, or the gradient, from the coefficients."""
        ready = prep.ready
        if prep.rule >= GREEDY:
            state.kept = ready.design.adjoint(ready.z - ready.design.product(state.w))
            return
        state.kept = ready.z - ready.design.matrix.matvec(state.w)
        if ready.design.implicit:
            state.shift = float(prep.mean @ state.w)

    def advance(self, problem: Any, prep: _Prepared, state: BCDState, n: int) -> bool:
        """Make up to n iterations, or as many updates as fit into one call."""
        goal = min((state.nit + n) * prep.each, state.updates + prep.call)
        while state.updates < goal:
            if state.quiet >= prep.patience:
                return True
            into = state.updates % prep.refresh
            if into == 0 and state.updates:
                self._refresh(prep, state)
                state.work += 2 * len(state.w)
            count = min(goal - state.updates, prep.refresh - into)
            if prep.rule >= GREEDY:
                made = prep.greedy(*prep.arrays, state.w, state.kept, prep.rule, count)
                state.work += made * prep.cost
                state.quiet = 0 if made == count else prep.patience
            else:
                made = self._sweep(prep, state, count)
            state.updates += made
            state.nit = state.updates // prep.each
        return state.quiet >= prep.patience

    def _sweep(self, prep: _Prepared, state: BCDState, count: int) -> int:
        """Run the kernel of a rule that does not look at the gradient."""
        rule = (prep.rule, state.order, prep.cumulative, state.words, state.updates, count)
        rest = (state.quiet, prep.patience)
        if prep.ready.design.matrix.is_sparse:
            made, changed, state.quiet, state.shift = sweep_sparse(
                *prep.arrays, state.w, state.kept, state.shift, *rule, *rest
            )
        else:
            made, changed, state.quiet = sweep_dense(
                *prep.arrays, state.w, state.kept, *rule, *rest
            )
        state.work += made + changed
        return int(made)

    def point(self, problem: Any, prep: _Prepared, state: BCDState) -> Array:
        """Return the coefficients, and the best constant behind them."""
        return prep.ready.leave(state.w)


def _expected(weights: Array) -> float:
    """Number of draws after which each coordinate of positive weight has come once on average."""
    positive = weights[weights > 0]
    return float(weights.sum() / positive.min()) if positive.size else 1.0
