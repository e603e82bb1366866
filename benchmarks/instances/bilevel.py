"""Bilevel problems: the published quadratic one, handwritten digits, photographs."""

from __future__ import annotations

from typing import Any

import numpy as np

from fejer.errors import missing
from fejer.evidence import Array
from fejer.problems.bilevel.bilevel import Bilevel
from fejer.problems.bilevel.data_hyper_cleaning import DataHyperCleaning
from fejer.problems.bilevel.field_of_experts import FieldOfExperts
from fejer.problems.bilevel.multinomial_bilevel import MultinomialBilevel
from fejer.problems.bilevel.quadratic_bilevel import QuadraticBilevel
from fejer.problems.bilevel.tv_denoising import TVDenoising

from ._network import Network
from ._representation import Representation
from ._several import SeveralSolutions
from .pictures import photograph

__all__ = [
    "digits",
    "digits_cleaning",
    "digits_network",
    "digits_penalties",
    "photograph_denoising",
    "photograph_experts",
    "published_quadratic",
    "representation",
    "several_solutions",
]

GREY = np.array([0.299, 0.587, 0.114])


def published_quadratic(rows: int = 1000, n: int = 10, *, seed: int = 29) -> QuadraticBilevel:
    """Return the quadratic problem of arXiv 2308.10098: uniform matrices, condition number 1e8.

    Parameters
    ----------
    rows, n : int
        Shape of each of the three matrices.
    seed : int, default 29
        Seed of the generator.

    Examples
    --------
    >>> published_quadratic(50, 3).size
    3
    """
    rng = np.random.default_rng(seed)
    A1, A2, A3 = rng.uniform(size=(3, rows, n))
    x1, x2, theta = rng.uniform(size=(3, n))
    b1 = A1 @ x1 + 0.01 * rng.standard_normal(rows)
    b2 = A2 @ x2 + A3 @ theta + 0.01 * rng.standard_normal(rows)
    made: Any = (A1, b1, A2, A3, b2)
    return QuadraticBilevel(*made)


def digits() -> tuple[Array, Array]:
    """Return 1797 handwritten digits of 8 x 8 pixels with a column of ones, and what they are.

    Examples
    --------
    >>> digits()[0].shape
    (1797, 65)
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise missing("scikit-learn", "handwritten digits", "demo") from None
    data = load_digits()
    X = np.c_[data.data / 16.0, np.ones(len(data.target))]
    return X, data.target.astype(np.float64)


def digits_cleaning(
    n_train: int = 900, n_val: int = 400, *, wrong: float = 0.5, seed: int = 0
) -> DataHyperCleaning:
    """Return digits of which a share was relabelled at random.

    Parameters
    ----------
    n_train, n_val : int
        Sizes of the two parts.
    wrong : float, default 0.5
        Share of training labels drawn anew among the ten.
    seed : int, default 0
        Seed of split and labels.

    Examples
    --------
    >>> digits_cleaning(50, 40).size
    50
    """
    X, y = digits()
    rng = np.random.default_rng(seed)
    order = rng.permutation(y.size)
    train, held = order[:n_train], order[n_train : n_train + n_val]
    given = y[train].copy()
    which = rng.permutation(n_train)[: round(wrong * n_train)]
    given[which] = rng.integers(0, 10, which.size)
    return DataHyperCleaning(X[train], given, X[held], y[held], 2e-3)


def digits_penalties(mode: str = "class", *, mu0: float = 1e-4, seed: int = 0) -> Any:
    """Return the choice of penalties of multinomial regression on digits.

    Parameters
    ----------
    mode : str, default "class"
        As in `fejer.MultinomialBilevel`.
    mu0 : float, default 1e-4
        Penalty in any case.
    seed : int, default 0
        Seed of the split into 898 and 450.

    Examples
    --------
    >>> digits_penalties().size
    10
    """
    X, y = digits()
    order = np.random.default_rng(seed).permutation(y.size)
    train, held = order[:898], order[898:1348]
    X = X[:, :64]
    return MultinomialBilevel(X[train], y[train], X[held], y[held], mode, mu0, -8.0, 8.0)


def photograph_denoising(
    images: int = 24, size: int = 96, *, noise: float = 0.1, seed: int = 0
) -> TVDenoising:
    """Return patches of two photographs in grey, with noise.

    Parameters
    ----------
    images, size : int
        Number of patches, half of them from each photograph, and their side in pixels.
    noise : float, default 0.1
        Standard deviation of the noise; white is 1.
    seed : int, default 0
        Seed of the places; the noise has the next one.

    Examples
    --------
    >>> photograph_denoising(2, 8).clean.shape
    (2, 8, 8)
    """
    rng = np.random.default_rng(seed)
    pictures = [photograph(name) @ GREY / 255.0 for name in ("china", "flower")]
    patches = []
    for k in range(images):
        picture = pictures[k % 2]
        i, j = (int(rng.integers(0, side - size + 1)) for side in picture.shape)
        patches.append(picture[i : i + size, j : j + size])
    clean = np.array(patches)
    noisy = clean + noise * np.random.default_rng(seed + 1).standard_normal(clean.shape)
    return TVDenoising(clean, noisy)


def several_solutions(
    n: int = 3, m: int = 8, rows: int = 5, *, nonconvex: bool = False, seed: int = 0
) -> Bilevel:
    """Return a lower level with an affine set of solutions, of which F chooses.

    Parameters
    ----------
    n, m, rows : int
        Sizes of x and y, and of the lower residual; ``rows < m``.
    nonconvex : bool, default False
        Whether the lower loss is ``t^2 + 3 sin(t)^2`` of each residual, or ``t^2/2``.
    seed : int, default 0
        Seed of the generator.

    Examples
    --------
    >>> several_solutions().lower_level
    'error-bound'
    """
    return Bilevel(**SeveralSolutions.draw(n, m, rows, nonconvex, seed).fields())


def digits_network(
    n_train: int = 300, n_val: int = 400, *, batch: int = 32, seed: int = 0
) -> Bilevel:
    """Return a network for digits: dropout rates, noise and an integer shift are to be chosen.

    Parameters
    ----------
    n_train, n_val : int
        Sizes of the two parts.
    batch : int, default 32
        Samples of a training gradient.
    seed : int, default 0
        Seed of split and disturbances. The training gradient is random: a run is not resumed to
        the bit, and what `fejer.minimize` says of the lower solution is an estimate.

    Examples
    --------
    >>> digits_network(50, 40).size
    4
    """
    X, y = digits()
    rng = np.random.default_rng(seed)
    order = rng.permutation(y.size)
    train, held = order[:n_train], order[n_train : n_train + n_val]
    labels = y.astype(np.intp)
    return Bilevel(**Network(X[train], labels[train], X[held], labels[held], batch, rng).fields())


def photograph_experts(
    images: int = 4, size: int = 96, experts: int = 8, side: int = 5, *, seed: int = 0
) -> FieldOfExperts:
    """Return the patches of `photograph_denoising` for filters that are to be learnt.

    Parameters
    ----------
    images, size : int
        Number and side of the patches.
    experts, side : int
        Number and side of the filters.
    seed : int, default 0
        Seed of places and noise.

    Examples
    --------
    >>> photograph_experts(2, 8, 2, 3).size
    23
    """
    drawn = photograph_denoising(images, size, seed=seed)
    return FieldOfExperts(drawn.clean, drawn.noisy, experts, side)


def representation(
    tasks: int = 20, words: int = 30, depth: int = 4, rows: int = 25, *, seed: int = 0
) -> Bilevel:
    """Return tasks on text-like data that share an embedding, with a ridge regression each.

    Parameters
    ----------
    tasks, words, depth, rows : int
        Number of tasks, of words, of columns of the embedding, of documents for training and for
        validation of each task.
    seed : int, default 0
        Seed of the generator.

    Examples
    --------
    >>> representation().size
    120
    """
    return Bilevel(**Representation.draw(tasks, words, depth, rows, seed).fields())
