"""Bilevel problems with constraints: small ones with known optima, and published examples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fejer.errors import missing
from fejer.evidence import Array
from fejer.problems.bilevel.constrained_bilevel import ConstrainedBilevel

from ._support_vectors import SupportVectors
from ._two_levels import Coupled, Quadratic, Response

__all__ = [
    "CLASSICS",
    "Classic",
    "classic",
    "cleaning_machine",
    "coupled",
    "coupled_solution",
    "linear_response",
    "starts",
    "tumours",
]


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


def linear_response(n: int = 100, *, seed: int = 0) -> ConstrainedBilevel:
    """Return the second synthetic example of arXiv 2401.16164: y is a linear function of x.

    ``F = sin(c'x + d'y) + log(||x + y||^2 + 1)``, ``f = 1/2 ||x - y||^2`` subject to
    ``Ay + Hx = 0``, and ``Bx = 0``; all data are uniform in [0, 1]. Then
    ``y* = (I - A+ A) x - A+ H x``.

    Parameters
    ----------
    n : int
        Length of x and y; A and H have 0.9 n rows, B has 0.45 n.
    seed : int, default 0
        Seed of the data and of the normal start.

    Examples
    --------
    >>> linear_response(10).size
    20
    """
    rng = np.random.default_rng(seed)
    k, q = round(0.9 * n), round(0.45 * n)
    A, H = rng.uniform(size=(2, k, n))
    B = rng.uniform(size=(q, n))
    made = Response(rng.uniform(size=n), rng.uniform(size=n))
    start = rng.standard_normal(2 * n)
    return ConstrainedBilevel(
        F=made.upper,
        grad_x_F=made.upper_in_x,
        grad_y_F=made.upper_in_y,
        f=made.lower,
        grad_x_f=made.lower_in_x,
        grad_y_f=made.lower_in_y,
        x0=start[:n],
        y0=start[n:],
        Gx=np.vstack([H, B]),
        Gy=np.vstack([A, np.zeros((q, n))]),
        h=np.zeros(k + q),
        equality=True,
        hess_f=made.second,
    )


def tumours(
    n_train: int = 300, n_val: int = 150, *, flipped: float = 0.4, seed: int = 0
) -> tuple[SupportVectors, Array, Array]:
    """Split the breast cancer data, standardised, and flip training labels.

    Parameters
    ----------
    n_train, n_val : int
        Sizes; what is left is the test set.
    flipped : float, default 0.4
        Share of training labels that are flipped.
    seed : int, default 0
        Seed of split and flips.

    Returns
    -------
    functions : SupportVectors
        Of the bilevel problem.
    X, labels : array
        Test samples with a column of ones, and their labels.
    """
    try:
        from sklearn.datasets import load_breast_cancer
    except ImportError:
        raise missing("scikit-learn", "the breast cancer data", "demo") from None
    data = load_breast_cancer()
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(data.target))
    train, val = order[:n_train], order[n_train : n_train + n_val]
    mean, std = data.data[train].mean(axis=0), data.data[train].std(axis=0)
    X = np.c_[(data.data - mean) / std, np.ones(len(order))]
    labels = 2.0 * data.target - 1
    given = labels[train].copy()
    given[rng.permutation(n_train)[: round(flipped * n_train)]] *= -1
    made = SupportVectors(X[train], given, X[val], labels[val])
    test = order[n_train + n_val :]
    return made, X[test], labels[test]


def cleaning_machine(
    n_train: int = 300, n_val: int = 150, *, flipped: float = 0.4, seed: int = 0
) -> ConstrainedBilevel:
    """Return the choice of sample weights of a support vector machine on mislabelled data.

    The lower level has a slack and a constraint for each training sample; the upper level is the
    logistic loss of validation samples, over the logarithms of the weights in [-5, 2].

    Parameters
    ----------
    n_train, n_val, flipped, seed : int or float
        As in `tumours`.

    Examples
    --------
    >>> cleaning_machine(20, 20).size
    71
    """
    made = tumours(n_train, n_val, flipped=flipped, seed=seed)[0]
    n, d = made.t.size, made.d
    return ConstrainedBilevel(
        F=made.upper,
        grad_x_F=made.upper_in_x,
        grad_y_F=made.upper_in_y,
        f=made.lower,
        grad_x_f=made.lower_in_x,
        grad_y_f=made.lower_in_y,
        x0=np.full(n, -2.0),
        y0=np.append(np.zeros(d), np.ones(n)),
        Gy=np.hstack([-made.t[:, None] * made.Z, -np.eye(n)]),
        h=-np.ones(n),
        lower=-5.0,
        upper=2.0,
        hess_f=made.second,
    )
