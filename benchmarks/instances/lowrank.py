"""Instances with low-rank answers: sensing with a rank that is too large, and digits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fejer.problems.lowrank.matrix_completion import MatrixCompletion
from fejer.problems.lowrank.matrix_sensing import MatrixSensing
from fejer.problems.lowrank.supervised_dictionary import SupervisedDictionary

__all__ = ["digits", "hidden_digits", "hidden_pixels", "sensing"]


def sensing(
    d: int,
    rank: int,
    asked: int,
    count: int,
    outliers: float,
    kappa: float = 1.0,
    seed: int = 0,
) -> MatrixSensing:
    """Measure a matrix of one rank and ask for another one.

    Parameters
    ----------
    d : int
        Side of the matrix.
    rank : int
        Its rank.
    asked : int
        The rank asked for.
    count : int
        Number of measurements.
    outliers : float
        Share of wrong measurements.
    kappa : float, default 1.0
        Condition number.
    seed : int, default 0
        Seed.

    Returns
    -------
    MatrixSensing
        The problem.
    """
    problem = MatrixSensing.random(d, rank, count, outliers=outliers, kappa=kappa, seed=seed)
    return problem.replace(rank=asked)


def digits(first: int, second: int, rank: int, model: str, xi: float) -> SupervisedDictionary:
    """Two digits of scikit-learn's pictures, of 8 x 8 pixels between 0 and 1.

    Parameters
    ----------
    first, second : int
        The digits.
    rank : int
        Number of atoms.
    model : {"filter", "feature"}
        The model.
    xi : float
        Weight of the reconstruction.

    Returns
    -------
    SupervisedDictionary
        The problem, with a constant covariate as intercept.
    """
    from sklearn.datasets import load_digits

    data = load_digits()
    chosen = (data.target == first) | (data.target == second)
    X = data.data[chosen].T / 16.0
    y = (data.target[chosen] == second).astype(int)
    return SupervisedDictionary(X, y, rank, np.ones((1, y.size)), model, xi)


def hidden_digits(reg: float, rank: int = 40, seed: int = 0) -> MatrixCompletion:
    """All of scikit-learn's digits, a picture in each row, half of the pixels hidden.

    Parameters
    ----------
    reg : float
        Weight of the nuclear norm; pixels are between 0 and 16.
    rank : int, default 40
        The rank asked for.
    seed : int, default 0
        Seed of what is hidden.

    Returns
    -------
    MatrixCompletion
        The problem, 1797 x 64.
    """
    from sklearn.datasets import load_digits

    pictures = np.where(hidden_pixels(seed), np.nan, load_digits().data)
    return MatrixCompletion.from_masked(pictures, rank, reg)


def hidden_pixels(seed: int = 0) -> NDArray[np.bool_]:
    """Return which pixels `hidden_digits` hides, shape (1797, 64).

    Parameters
    ----------
    seed : int, default 0
        Seed.
    """
    return np.random.default_rng(seed).random((1797, 64)) < 0.5
