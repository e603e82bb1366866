"""The learners behind `fejer.online`: where to play next, and what is proven of the regret."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fejer.errors import OptionError
from fejer.evidence import Array
from fejer.problems.monotone._domains import Ball, Simplex

__all__ = ["Eager", "Experts", "Lazy", "Newton", "barrier_weights"]


class Learner:
    """Base: asked for a point with a hint of the next gradient, then told the gradient.

    `price` is the proven bound of ``sum over t of <g_t, x_t - u>`` so far, up to the terms that the
    regime subtracts.
    """

    def __init__(self, domain: Any, step: Any) -> None:
        self.domain, self.step = domain, step
        self.price = 0.0

    def play(self, hint: Array) -> Array:
        """Return the point of the next round."""
        raise NotImplementedError

    def learn(self, gradient: Array, error: Array) -> None:
        """Take the gradient of that round, and by how much the hint was wrong."""
        raise NotImplementedError

    def bound(self) -> float:
        """Return the proven bound of the regret."""
        raise NotImplementedError


class Eager(Learner):
    """Mirror descent in the Euclidean norm, from one point to the next."""

    def __init__(self, domain: Any, step: Any, strong: float = 0.0) -> None:
        super().__init__(domain, step)
        self.y = domain.centre()
        self.strong, self.first, self.last = strong, 0.0, 0.0

    def play(self, hint: Array) -> Array:
        """One step along the hint, from the point that the true gradients lead to."""
        self.last = self.step.next()
        self.first = self.first or self.last
        x: Array = self.domain.project(self.y - self.last * hint)
        return x

    def learn(self, gradient: Array, error: Array) -> None:
        """One step along the gradient from the same point."""
        self.y = self.domain.project(self.y - self.last * gradient)
        self.price += 0.5 * self.last * (1.0 + self.strong * self.last) * float(error @ error)

    def bound(self) -> float:
        """The distance paid once (convex: for the last step), and half the squared errors."""
        widest = self.first if self.strong else self.last
        return self.domain.diameter**2 / (2.0 * widest) + self.price  # type: ignore[no-any-return]


class Lazy(Learner):
    """Follow the regularised leader: all gradients so far, seen from the first point."""

    def __init__(self, domain: Any, step: Any, mirror: str) -> None:
        super().__init__(domain, step)
        self.mirror = mirror
        self.sum = np.zeros(domain.n)
        self.last, self.rounds = 0.0, 0

    def _leader(self, slope: Array) -> Array:
        eta = self.last
        if self.mirror == "euclidean":
            return self.domain.project(self.domain.centre() - eta * slope)  # type: ignore[no-any-return]
        if self.mirror == "entropy":
            weights = np.exp(-eta * (slope - slope.min()))
            return weights / weights.sum()  # type: ignore[no-any-return]
        return barrier_weights(eta * slope)

    def play(self, hint: Array) -> Array:
        """The leader if the hint were the gradient."""
        self.last = self.step.next()
        self.x = self._leader(self.sum + hint)
        return self.x

    def learn(self, gradient: Array, error: Array) -> None:
        """Add the gradient, and what the step from the hinted to the true leader may cost."""
        self.sum = self.sum + gradient
        self.rounds += 1
        leader = self._leader(self.sum)
        moved = self.x - leader
        if self.mirror == "euclidean":
            apart = 0.5 * float(moved @ moved)
        elif self.mirror == "entropy":
            with np.errstate(divide="ignore", invalid="ignore"):
                terms = np.where(leader > 0.0, leader * np.log(leader / self.x), 0.0)
            apart = float(terms.sum())
        else:
            ratio = leader / self.x
            apart = float(np.sum(ratio - 1.0 - np.log(ratio)))
        self.price += max(0.0, float(error @ moved) - apart / self.last)

    def bound(self) -> float:
        """How much the regulariser varies, over the last step, and the price."""
        K = self.domain.n
        extra = 0.0
        if self.mirror == "euclidean":
            width = self.domain.diameter**2 / (8.0 if isinstance(self.domain, Ball) else 4.0)
        elif self.mirror == "entropy":
            width = math.log(K)
        else:
            # against the best expert, mixed with 1/T of the uniform weights
            width = K * math.log(max(self.rounds, 2))
            extra = float(self.sum.mean() - self.sum.min()) / max(self.rounds, 2)
        return width / self.last + self.price + extra


class Newton(Learner):
    """Optimistic online Newton steps, for exp-concave losses on a ball."""

    def __init__(self, domain: Any, beta: float, gradient_bound: float) -> None:
        super().__init__(domain, None)
        self.beta = beta
        start = 1.0 + 0.5 * beta * gradient_bound**2
        self.H, self.inverse = start * np.eye(domain.n), np.eye(domain.n) / start
        self.y = domain.centre()
        self.paid = 0.5 * start * domain.diameter**2

    def play(self, hint: Array) -> Array:
        """A Newton step along the hint."""
        x: Array = self.domain.nearest_in(self.H, self.y - self.inverse @ hint)
        return x

    def learn(self, gradient: Array, error: Array) -> None:
        """A Newton step along the gradient, which then joins the matrix."""
        turned = self.inverse @ gradient
        self.y = self.domain.nearest_in(self.H, self.y - turned)
        weight = float(gradient @ turned)
        self.price += (0.5 + 0.5 * self.beta * weight) * float(error @ (self.inverse @ error))
        half = 0.5 * self.beta
        self.H += half * np.outer(gradient, gradient)
        self.inverse -= np.outer(turned, turned) * (half / (1.0 + half * weight))

    def bound(self) -> float:
        """The distance in the first matrix, and the errors in the inverses."""
        return self.paid + self.price  # type: ignore[no-any-return]


class Experts(Learner):
    """Mirror descent with several steps at once, weighed by optimistic exponential weights."""

    def __init__(self, domain: Any, steps: Array, scale: float) -> None:
        super().__init__(domain, None)
        self.steps = steps
        self.y = np.tile(domain.centre(), (steps.size, 1))
        self.losses = np.zeros(steps.size)
        self.scale, self.spread, self.last = scale, 0.0, 0.0
        self.squares = 0.0

    def _moved(self, direction: Array) -> Array:
        moved = self.y - self.steps[:, None] * direction
        if isinstance(self.domain, Ball):
            sizes = np.sqrt(np.einsum("ij,ij->i", moved, moved))
            return moved * np.minimum(1.0, self.domain.radius / np.maximum(sizes, 1e-300))[:, None]  # type: ignore[no-any-return]
        return np.array([self.domain.project(row) for row in moved])

    def play(self, hint: Array) -> Array:
        """The mean of the experts, who all trust the hint."""
        self.points = self._moved(hint)
        self.last = math.sqrt(math.log(self.steps.size) / (self.scale**2 + self.spread))
        told = self.losses + self.points @ hint
        weights = np.exp(-self.last * (told - told.min()))
        self.weights = weights / weights.sum()
        x: Array = self.weights @ self.points
        return x

    def learn(self, gradient: Array, error: Array) -> None:
        """Move the experts, and weigh them by their linear losses."""
        wrong = self.points @ error
        # Adding a constant to the losses of all experts changes nothing.
        wrong = wrong - 0.5 * (wrong.max() + wrong.min())
        size = float(np.abs(wrong).max())
        self.spread += size**2
        self.price += self.last * size**2
        self.squares += float(error @ error)
        self.losses += self.points @ gradient
        self.y = self._moved(gradient)

    def bound(self, path: float = 0.0) -> float:
        """The price of weighing, and the best expert's bound for a comparator's path length."""
        D = self.domain.diameter
        each = (0.5 * D * D + D * path) / self.steps + 0.5 * self.steps * self.squares
        return math.log(self.steps.size) / self.last + self.price + float(each.min())


def barrier_weights(theta: Array) -> Array:
    """Minimise ``theta'p - sum log p`` over the simplex: ``p = 1 / (theta + nu)``.

    Newton's method for ``sum 1 / (theta_i + nu) = 1``, convex and decreasing in nu, increases nu
    from a point where the largest weight alone is 1, so that it never overshoots.
    """
    shifted = theta - theta.min() + 1.0
    nu = 0.0
    for _ in range(100):
        p = 1.0 / (shifted + nu)
        excess = float(p.sum()) - 1.0
        better = nu + excess / float(p @ p)
        if not (excess > 0.0 and better > nu):
            break
        nu = better
    p = 1.0 / (shifted + nu)
    return p / p.sum()  # type: ignore[no-any-return]


def checked_domain(mirror: str | None, domain: Any) -> str:
    """Return the mirror map for a domain, or refuse it."""
    if mirror is None:
        return "entropy" if isinstance(domain, Simplex) else "euclidean"
    if mirror not in ("euclidean", "entropy", "log-barrier"):
        raise OptionError(
            f"mirror: expected 'euclidean', 'entropy' or 'log-barrier', got {mirror!r:.80}"
        )
    if mirror != "euclidean" and not isinstance(domain, Simplex):
        raise OptionError(f"mirror: {mirror!r} is a map of the simplex, got a ball")
    return mirror
