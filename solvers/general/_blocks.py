"""Descent over blocks of coordinates: every partition, selection and update."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fejer.evidence import Array
from fejer.numerics.random import below, permute, uniform

from ._block_updates import (
    Penalty,
    exact_box,
    model_step,
    prox_step,
    search,
    two_metric,
)
from ._coordinates import BCDState, first_state
from ._greedy import greedy_scores
from ._linear import Squared
from ._partitions import fixed_blocks
from ._patterns import pattern_changed
from ._smooth import Smooth

__all__ = ["BLOCK_RULES", "GREEDY_RULES", "BlockEngine"]

GREEDY_RULES = ("gs", "gsl", "gsd", "gsq", "gs-q")
BLOCK_RULES = ("cyclic", "permuted", "random", "lipschitz", *GREEDY_RULES)
HARD_THRESHOLDS = 10
ROUNDING = 4e-16  # relative, of a loss
Block = NDArray[np.intp]


class BlockEngine:
    """One block after another on ``loss(Z w) + penalty`` over a box, the product kept.

    Parameters
    ----------
    ready : Squared, Logit or Multinomial
        The loss.
    selection, update, norm : str
        The rules.
    partition : str or tuple of int
        The partition, or "variable".
    size : int
        Coordinates of a block.
    """

    def __init__(
        self,
        ready: Smooth,
        selection: str,
        update: str,
        norm: str,
        partition: str | tuple[int, ...],
        size: int,
    ) -> None:
        self.ready, self.rule, self.update, self.norm = ready, selection, update, norm
        self.squares = isinstance(ready, Squared)
        self.d = d = ready.l1.size
        self.size = min(size, d)
        if isinstance(ready, Squared):
            self.lipschitz = np.array(ready.design.sq_norms)
        else:
            self.lipschitz = np.array(ready.curvature())
        self.penalty = Penalty(ready.l1, ready.l2, ready.lower, ready.upper)
        self.blocks: list[Block] | None = None
        if partition != "variable":
            self.blocks = fixed_blocks(partition, self.size, self.lipschitz, self.ready.row_sums)
        self.sweep = len(self.blocks) if self.blocks else -(-d // self.size)
        entries = 2 * ready.design.matrix.nnz
        self.column = entries if selection in GREEDY_RULES else max(1, entries * self.size // d)
        self.patience = (1 if selection in GREEDY_RULES else 20) * self.sweep
        self.scores: Array = self.lipschitz
        self.factors: list[Array] = []
        if selection in ("gsl", "lipschitz", "gsq") or update == "gradient":
            self._prepare_blocks()
        if selection == "gsl" and self.blocks is None:
            self.scores = self.ready.row_sums()
        if selection == "gsq" and self.blocks is None:
            self.step = 1.0 / (ready.bound or 1.0)

    # ---- the data --------------------------------------------------------------------------
    def _bound(self, b: Block) -> Array:
        """Bound of the Hessian of the loss over a block."""
        return self.ready.block_bound(b, self.ready.columns(b))

    def _prepare_blocks(self) -> None:
        """Largest eigenvalue, and the inverse, of the Hessian's bound over each fixed block."""
        if self.blocks is None:
            return
        largest = []
        for block in self.blocks:
            H = self._bound(block)
            largest.append(float(np.linalg.eigvalsh(H)[-1]) if H.size else 0.0)
            if self.rule == "gsq":
                scale = float(np.trace(H)) / block.size or 1.0
                inverse: Any = np.linalg.inv(H + 1e-10 * scale * np.eye(block.size))
                self.factors.append(inverse)
        self.block_lipschitz = np.array(largest)

    # ---- the engine ------------------------------------------------------------------------
    def begin(self, x: Array, rng: np.random.Generator) -> BCDState:
        """Start from the given point, projected on the box."""
        w = self.ready.enter(x)
        w[self.lipschitz == 0.0] = np.clip(0.0, self.penalty.lower, self.penalty.upper)[
            self.lipschitz == 0.0
        ]
        count = self.sweep if self.blocks else self.d
        state = first_state(self.rule, w, count, rng)
        if self.update == "lookahead":
            state.stored = np.ones(self.d)
        self.refresh(state)
        return state

    def refresh(self, state: BCDState) -> None:
        """Compute product and pull from the coefficients."""
        state.kept = self.ready.product(state.w)
        state.pull = self.ready.pull(state.kept)

    def leave(self, w: Array) -> Array:
        """Return the point of these coefficients."""
        return self.ready.leave(w)

    def run(self, state: BCDState, count: int) -> int:
        """Update up to ``count`` blocks."""
        first = state.updates
        for made in range(count):
            if state.quiet >= self.patience:
                state.updates = first
                return made
            state.updates = first + made
            c = None
            if self.rule in GREEDY_RULES:
                c = self.ready.adjoint(state.pull)
                state.work += self.d
            block = self._choose(state, c)
            X = self.ready.columns(block)
            state.work += 2 * block.size
            moved = self._move(state, block, X, X.T @ state.pull)
            state.quiet = 0 if moved else state.quiet + 1
        state.updates = first
        return count

    def _move(self, state: BCDState, b: Block, X: Array, c: Array) -> bool:
        w, penalty = state.w[b], Penalty(*(part[b] for part in self.penalty))
        ready, fit = self.ready, state.kept
        start = ready.loss(fit) if not self.squares else 0.0

        def change(new: Array) -> float:
            """By how much the objective grows."""
            step = new - w
            more = penalty.value(new) - penalty.value(w)
            if self.squares:
                moved = X @ step
                return 0.5 * float(moved @ moved) - float(c @ step) + more
            return ready.loss(fit + X @ step) - start + more

        new = self._goal(state, b, X, c, w, penalty, change)
        if self.update == "exact" and not self.squares:
            new = self._to_the_end(b, X, fit, w, penalty)
        new = np.where(self.lipschitz[b] > 0, new, w)
        step = new - w
        if not step.any() or not np.isfinite(new).all():
            return False
        if pattern_changed(w, new, penalty.lower, penalty.upper):
            state.turned[0] = state.updates + 1
        state.w[b] = new
        state.kept = fit + X @ step
        state.pull = ready.pull(state.kept)
        return True

    def _goal(
        self, state: BCDState, b: Block, X: Array, c: Array, w: Array, penalty: Penalty, change: Any
    ) -> Array:
        """Where the block goes."""
        ready = self.ready
        if self.update == "gradient":
            if self.blocks is not None:
                largest = self.block_lipschitz[self._index(b)]
            else:
                largest = float(np.linalg.eigvalsh(ready.block_bound(b, X))[-1])
            return prox_step(w, c, largest * (1.0 + 1e-12) or 1.0, penalty)
        if self.update == "lookahead":
            estimate = float(state.stored[b].max())
            enough = float(self.lipschitz[b].sum())  # not below the largest curvature
            while True:
                new = prox_step(w, c, estimate, penalty)
                step = new - w
                more = penalty.value(new) - penalty.value(w)
                model = -float(c @ step) + 0.5 * estimate * float(step @ step) + more
                rounding = 1e-14 * abs(float(c @ step))
                if change(new) <= model + rounding or estimate >= enough:
                    state.stored[b] = estimate
                    return new
                estimate = min(2.0 * estimate, enough)
        if self.update == "matrix":
            return model_step(w, c, ready.block_bound(b, X), penalty)
        H = ready.hessian(state.kept, b)
        if self.update == "two-metric":
            return two_metric(w, c, H, penalty, change)
        step_to = exact_box if self.update == "projected-newton" else model_step
        goal = step_to(w, c, H, penalty)
        if self.squares:
            return goal
        return search(w, goal, c, penalty, change, ROUNDING * ready.loss(state.kept))

    def _to_the_end(self, b: Block, X: Array, fit: Array, w: Array, penalty: Penalty) -> Array:
        """Minimise over the block by Newton's method, to rounding."""
        ready = self.ready

        def change_from(point: Array) -> Any:
            here = fit + X @ (point - w)
            start = ready.loss(here) + penalty.value(point)
            return lambda new: ready.loss(here + X @ (new - point)) + penalty.value(new) - start

        point = w
        for _ in range(50):
            here = fit + X @ (point - w)
            H, c = ready.hessian(here, b), X.T @ ready.pull(here)
            goal = model_step(point, c, H, penalty)
            rounding = ROUNDING * ready.loss(here)
            new = search(point, goal, c, penalty, change_from(point), rounding)
            if np.abs(new - point).max() <= 1e-10 * np.abs(new).max():
                return new
            point = new
        return point

    # ---- which block -----------------------------------------------------------------------
    def _index(self, b: Block) -> int:
        return self._starts[int(b[0])]

    @property
    def _starts(self) -> dict[int, int]:
        memo = self.__dict__
        if "_first" not in memo:
            memo["_first"] = {int(block[0]): k for k, block in enumerate(self.blocks or [])}
        return memo["_first"]  # type: ignore[no-any-return]

    def _choose(self, state: BCDState, c: Array | None) -> Block:
        """The next block, its coordinates ascending."""
        if c is not None:
            g = greedy_scores(c, state.w, self.lipschitz, *self.penalty, self.rule == "gs-q")
            return self._greedy(g)
        at = state.updates % self.sweep
        if self.rule == "permuted" and at == 0:
            permute(state.words, state.order)
        if self.blocks is not None:
            if self.rule == "permuted":
                at = int(state.order[at])
            elif self.rule == "random":
                at = int(below(state.words, self.sweep))
            elif self.rule == "lipschitz":
                total = np.cumsum(self.block_lipschitz)
                at = int(np.searchsorted(total, uniform(state.words) * total[-1], side="right"))
            return self.blocks[min(at, self.sweep - 1)]
        if self.rule == "permuted":
            return np.sort(state.order[at * self.size : (at + 1) * self.size])
        if self.rule == "cyclic":
            return np.arange(at * self.size, min((at + 1) * self.size, self.d))
        # Without replacement and p_i proportional to L_i: the largest log(u_i) / L_i.
        u = np.array([uniform(state.words) for _ in range(self.d)])
        weight = self.lipschitz if self.rule == "lipschitz" else np.ones(self.d)
        with np.errstate(divide="ignore"):
            keys = np.where(weight > 0, np.log(u) / np.where(weight > 0, weight, 1.0), -np.inf)
        return self._largest(keys)

    def _largest(self, keys: Array) -> Block:
        """Indices of the largest keys, the lowest indices where keys tie."""
        if self.size >= self.d:
            return np.arange(self.d)
        border = np.partition(keys, self.d - self.size)[self.d - self.size]
        above = np.flatnonzero(keys > border)
        ties = np.flatnonzero(keys == border)[: self.size - above.size]
        return np.sort(np.append(above, ties))

    def _greedy(self, g: Array) -> Block:
        """The block of the largest score; g is the smallest subgradient, or the promises."""
        if self.blocks is None:
            if self.rule == "gsq":
                return self._thresholded(g)
            if self.rule in ("gs", "gs-q"):
                return self._largest(np.abs(g))
            per = self.scores  # row sums of the Hessian for "gsl", else its diagonal
            return self._largest(g * g / np.where(per > 0, per, np.inf))
        one = self.norm == "l1" and self.rule in ("gs", "gsl", "gsd")
        root = 0.5 if one else 1.0
        size = np.abs(g) if one or self.rule == "gs-q" else g * g
        if self.rule == "gsd":
            per = np.where(self.lipschitz > 0, self.lipschitz, np.inf)
            size = size / per**root
        scores = np.array([float(size[block].sum()) for block in self.blocks])
        if self.rule == "gsl":
            per = np.where(self.block_lipschitz > 0, self.block_lipschitz, np.inf)
            scores = scores / per**root
        if self.rule == "gsq":
            pairs = zip(self.blocks, self.factors, strict=True)
            scores = np.array([float(g[b] @ inverse @ g[b]) for b, inverse in pairs])
        return self.blocks[int(np.argmax(scores))]

    def _thresholded(self, g: Array) -> Block:
        """Iterative hard thresholding for the block of the largest ``g_b'H_b^-1 g_b``.

        The support may promise less than that of the diagonal rule, which is then taken.
        """
        safe = np.where(self.lipschitz > 0, self.lipschitz, np.inf)
        plain = self._largest(g * g / safe)
        d = g / np.sqrt(safe)
        for _ in range(HARD_THRESHOLDS):
            fit = self.ready.product(d)
            new = d - self.step * (self.ready.adjoint(self.ready.bounded(fit)) - g)
            kept = self._largest(np.abs(new))
            mask = np.zeros(self.d)
            mask[kept] = 1.0
            new *= mask
            moved = float(np.linalg.norm(new - d))
            d = new
            if moved < 1e-10:
                break
        chosen = self._largest(np.abs(d))
        promises = []
        for block in (chosen, plain):
            H = self._bound(block)
            inverse = np.linalg.pinv(H, hermitian=True)
            promises.append(float(g[block] @ inverse @ g[block]))
        diagonal = float(np.sum(g[plain] ** 2 / safe[plain])) * 0.5
        return plain if math.isnan(promises[0]) or promises[0] < diagonal else chosen
