"""Bilevel problems with constraints: small ones with known optima, and published examples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fejer.evidence import Array
from fejer.problems.bilevel.constrained_bilevel import ConstrainedBilevel

__all__ = ["CLASSICS", "Classic", "classic", "coupled", "coupled_solution", "starts"]


@dataclass(frozen=True)
class Quadratic:
    """The function ``1/2 w'Pw + q'w + c`` of w = (x, y), with its derivatives, as one object."""

    P: Any
    q: Any
    c: float = 0.0

    def value(self, x, y):
        """Return the value."""
        w = np.append(x, y)
        return 0.5 * w @ self.P @ w + self.q @ w + self.c

    def in_x(self, x, y):
        """Return the gradient in x."""
        return (self.P @ np.append(x, y) + self.q)[: x.size]

    def in_y(self, x, y):
        """Return the gradient in y."""
        return (self.P @ np.append(x, y) + self.q)[x.size :]

    def second(self, x, y):
        """Return the derivatives of the gradient in y."""
        return self.P[x.size :]


def quadratic_bilevel(above: Quadratic, below: Quadratic, n: int, **fields: Any) -> Any:
    """Return the problem of two quadratic functions."""
    return ConstrainedBilevel(
        F=above.value,
        grad_x_F=above.in_x,
        grad_y_F=above.in_y,
        f=below.value,
        grad_x_f=below.in_x,
        grad_y_f=below.in_y,
        hess_f=below.second,
        **{"x0": np.zeros(n), "y0": np.zeros(above.q.size - n), **fields},
    )


@dataclass(frozen=True)
class Classic:
    """A problem of the literature.

    Attributes
    ----------
    problem : ConstrainedBilevel
        The problem.
    optimum : float
        The global optimum of F.
    start : float
        Starts are drawn from ``[-start, start]``, or from the boxes where these are smaller.
    """

    problem: ConstrainedBilevel
    optimum: float
    start: float = 10.0


def _falk_liu(linear: float) -> ConstrainedBilevel:
    above = Quadratic(2 * np.eye(4), np.array([linear, linear, 0.0, 0.0]))
    I = np.eye(2)
    below = Quadratic(2 * np.block([[I, -I], [-I, I]]), np.zeros(4))
    return quadratic_bilevel(above, below, 2, y_lower=0.5, y_upper=1.5)


def _bard() -> ConstrainedBilevel:
    above = Quadratic(np.diag([2.0, 8.0]), np.array([-10.0, 4.0]), 26.0)
    below = Quadratic(np.array([[0.0, -1.5], [-1.5, 2.0]]), np.array([0.0, -2.0]), 1.0)
    return quadratic_bilevel(
        above,
        below,
        1,
        Gx=[[-3.0], [1.0], [1.0]],
        Gy=[[1.0], [-0.5], [1.0]],
        h=[-3.0, 4.0, 7.0],
        y_lower=0.0,
    )


def _clark_westerberg() -> ConstrainedBilevel:
    above = Quadratic(2 * np.eye(2), np.array([-6.0, -4.0]), 13.0)
    below = Quadratic(np.diag([0.0, 2.0]), np.array([0.0, -10.0]), 25.0)
    return quadratic_bilevel(
        above,
        below,
        1,
        Gx=[[-2.0], [1.0], [1.0]],
        Gy=[[1.0], [-2.0], [2.0]],
        h=[1.0, -2.0, 14.0],
        lower=0.0,
        upper=8.0,
        y_lower=0.0,
    )


def _aiyoshi_shimizu() -> ConstrainedBilevel:
    above = Quadratic(np.zeros((4, 4)), np.array([2.0, 2.0, -3.0, -3.0]), -60.0)
    I = np.eye(2)
    shift = np.full(2, 40.0)
    below = Quadratic(2 * np.block([[I, -I], [-I, I]]), np.append(-shift, shift), 800.0)
    return quadratic_bilevel(
        above,
        below,
        2,
        Gx=-I,
        Gy=2 * I,
        h=[-10.0, -10.0],
        Ux=[[1.0, 1.0]],
        Uy=[[1.0, -2.0]],
        u=[40.0],
        lower=0.0,
        upper=50.0,
        y_lower=-10.0,
        y_upper=20.0,
    )


CLASSICS = {
    "falk-liu": lambda: Classic(_falk_liu(-3.0), -2.25),
    "de-silva": lambda: Classic(_falk_liu(-2.0), -1.0),
    "bard": lambda: Classic(_bard(), 17.0),
    "clark-westerberg": lambda: Classic(_clark_westerberg(), 5.0),
    "aiyoshi-shimizu": lambda: Classic(_aiyoshi_shimizu(), 0.0, 50.0),
}


def classic(name: str = "bard") -> ConstrainedBilevel:
    """Return a small problem with a known optimum.

    Parameters
    ----------
    name : str
        A key of `CLASSICS`.

    Examples
    --------
    >>> classic("falk-liu").size
    4
    """
    return CLASSICS[name]().problem


def starts(problem: ConstrainedBilevel, count: int, size: float = 10.0, seed: int = 0) -> Array:
    """Draw starts uniformly from the boxes, cut to ``[-size, size]``.

    Parameters
    ----------
    problem : ConstrainedBilevel
        The problem.
    count : int
        Number of starts.
    size : float, default 10
        Where the boxes are cut.
    seed : int, default 0
        Seed of the generator.

    Returns
    -------
    array, shape (count, n + m)
    """
    low, high = (np.clip(bound, -size, size) for bound in problem.box)
    return np.random.default_rng(seed).uniform(low, high, (count, low.size))


@dataclass(frozen=True)
class Coupled:
    """The functions of `coupled`, as one object."""

    n: int

    def upper(self, x, y):
        """Return F."""
        return 0.5 * np.sum((x - y[self.n :]) ** 2) + 0.5 * np.sum((y[: self.n] - 1) ** 2)

    def upper_in_x(self, x, y):
        """Return its gradient in x."""
        return x - y[self.n :]

    def upper_in_y(self, x, y):
        """Return its gradient in y."""
        return np.append(y[: self.n] - 1, y[self.n :] - x)

    def lower(self, x, y):
        """Return f."""
        return 0.5 * np.sum(y[: self.n] ** 2) - x @ y[: self.n] + np.sum(y[self.n :])

    def lower_in_x(self, x, y):
        """Return its gradient in x."""
        return -y[: self.n]

    def lower_in_y(self, x, y):
        """Return its gradient in y."""
        return np.append(y[: self.n] - x, np.ones(self.n))

    def second(self, x, y):
        """Return the derivatives of the gradient in y."""
        from scipy.sparse import coo_array

        i = np.arange(self.n)
        values = np.repeat([-1.0, 1.0], self.n)
        return coo_array(
            (values, (np.append(i, i), np.append(i, i + self.n))), (2 * self.n, 3 * self.n)
        )


def coupled(n: int = 100, *, seed: int = 0) -> ConstrainedBilevel:
    """Return the synthetic example of arXiv 2401.16164 with a coupled linear constraint.

    ``F = 1/2 ||x - y2||^2 + 1/2 ||y1 - 1||^2``, ``f = 1/2 ||y1||^2 - x'y1 + 1'y2`` subject to
    ``1'(x + y1 + y2) = 0``. The lower level is convex; its solutions are an affine set of
    dimension n - 1.

    Parameters
    ----------
    n : int
        Length of x, y1 and y2.
    seed : int, default 0
        Seed of the normal start, of standard deviation 10.

    Examples
    --------
    >>> coupled(5).size
    15
    """
    made = Coupled(n)
    start = 10 * np.random.default_rng(seed).standard_normal(3 * n)
    return ConstrainedBilevel(
        F=made.upper,
        grad_x_F=made.upper_in_x,
        grad_y_F=made.upper_in_y,
        f=made.lower,
        grad_x_f=made.lower_in_x,
        grad_y_f=made.lower_in_y,
        x0=start[:n],
        y0=start[n:],
        Gx=np.ones((1, n)),
        Gy=np.ones((1, 2 * n)),
        h=[0.0],
        equality=True,
        hess_f=made.second,
    )


def coupled_solution(n: int) -> Array:
    """Return the solution of `coupled`: x = -0.3, y1 = 0.7, y2 = -0.4.

    Parameters
    ----------
    n : int
        As there.
    """
    return np.repeat([-0.3, 0.7, -0.4], n)
