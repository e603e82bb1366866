"""Problems made of two photographs that come with scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fejer.errors import ProblemError, missing
from fejer.evidence import Array
from fejer.problems.lowrank.matrix_completion import MatrixCompletion
from fejer.problems.transport.entropic_ot import EntropicOT
from fejer.problems.transport.point_cloud import PointCloud

__all__ = [
    "CREDIT",
    "colour_transport",
    "damaged_photograph",
    "grey_photograph",
    "palette",
    "photograph",
    "recoloured",
]

CREDIT = (
    "Photographs: china.jpg by danielbuechele and flower.jpg by vultilion (Flickr), licence "
    "CC BY 2.0, as distributed with scikit-learn; reduced in size and altered here."
)
"""Who made the photographs."""


def photograph(name: str) -> NDArray[np.uint8]:
    """Return a photograph of scikit-learn.

    Parameters
    ----------
    name : {"china", "flower"}
        Which one.

    Returns
    -------
    array of uint8, shape (427, 640, 3)
        Red, green and blue.

    Raises
    ------
    ProblemError
        There is no such photograph.
    MissingDependencyError
        scikit-learn or pillow is not installed.

    Examples
    --------
    >>> photograph("flower").shape
    (427, 640, 3)
    """
    if name not in ("china", "flower"):
        raise ProblemError(f"name: expected 'china' or 'flower', got {name!r}")
    try:
        import PIL  # noqa: F401  (scikit-learn reads pictures with it)
    except ImportError:
        raise missing("pillow", "photographs", "demo") from None
    try:
        from sklearn.datasets import load_sample_image
    except ImportError:
        raise missing("scikit-learn", "photographs", "demo") from None
    return np.asarray(load_sample_image(f"{name}.jpg"))


def palette(picture: NDArray[np.uint8], cells: int = 12) -> tuple[Array, Array]:
    """Return the colours of a picture and how much of it each one covers.

    The cube of all colours is cut into equal cells; each cell that occurs gives the mean colour of
    its pixels.

    Parameters
    ----------
    picture : array of uint8, shape (height, width, 3)
        Red, green and blue.
    cells : int, default 12
        Cells along each edge of the cube.

    Returns
    -------
    colours : array, shape (n, 3)
        Between 0 and 1.
    shares : array, shape (n,)
        They sum to 1.

    Examples
    --------
    >>> colours, shares = palette(np.array([[[0, 0, 0], [255, 255, 255]]], dtype=np.uint8))
    >>> shares
    array([0.5, 0.5])
    """
    pixels = picture.reshape(-1, 3) / 255.0
    cell = np.minimum((pixels * cells).astype(int), cells - 1) @ [cells * cells, cells, 1]
    _, where, count = np.unique(cell, return_inverse=True, return_counts=True)
    totals = [np.bincount(where, weights=pixels[:, channel]) for channel in range(3)]
    return np.column_stack(totals) / count[:, None], count / count.sum()


def colour_transport(
    source: str = "china", target: str = "flower", eps: float = 0.005, cells: int = 12
) -> EntropicOT:
    """Return the transport of the colours of one photograph onto those of another.

    Parameters
    ----------
    source, target : {"china", "flower"}
        The photographs.
    eps : float, default 0.005
        Weight of the entropy; distances are squared, in a cube of edge 1.
    cells : int, default 12
        As in `palette`.

    Returns
    -------
    EntropicOT
        Its cost is a `PointCloud` of the two palettes.

    Examples
    --------
    >>> colour_transport(cells=4).cost.shape
    (37, 29)
    """
    (x, a), (y, b) = (palette(photograph(name), cells) for name in (source, target))
    return EntropicOT(a, b, PointCloud(x, y), eps=eps)


def recoloured(problem: EntropicOT, x: Array, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Move every colour of a picture as the plan moves the palette.

    A colour z goes to the mean of the target's colours y_j, weighted by
    ``exp((g_j - |z - y_j|^2) / eps)``: at the colours of the palette this is the barycentre of the
    plan's row, and it is smooth in between.

    Parameters
    ----------
    problem : EntropicOT
        Made by `colour_transport`.
    x : array
        Its solution.
    picture : array of uint8, shape (height, width, 3)
        What to colour anew.

    Returns
    -------
    array of uint8, shape (height, width, 3)

    Examples
    --------
    >>> problem = colour_transport(cells=4)
    >>> recoloured(problem, problem.initial_point(), np.zeros((2, 2, 3), dtype=np.uint8)).shape
    (2, 2, 3)
    """
    g, y = problem.potentials(x)[1], problem.cost.y
    # Colours in steps of 4 / 255: the eye does not see them, and there are far fewer.
    colours, where = np.unique(picture.reshape(-1, 3) // 4, axis=0, return_inverse=True)
    moved = np.empty(colours.shape)
    for start in range(0, len(colours), 2048):
        block = (4.0 * colours[start : start + 2048] + 1.5) / 255.0
        score = (g - PointCloud(block, y).toarray()) / problem.epsilon
        weight = np.exp(score - score.max(axis=1, keepdims=True))
        moved[start : start + 2048] = (weight @ y) / weight.sum(axis=1, keepdims=True)
    result = np.clip(np.rint(255.0 * moved), 0, 255).astype(np.uint8)
    return result[where.ravel()].reshape(picture.shape)


def grey_photograph(name: str = "flower", reduce: int = 2) -> Array:
    """Return a photograph in grey, made smaller.

    Parameters
    ----------
    name : {"china", "flower"}
        Which one.
    reduce : int, default 2
        Squares of that many pixels become one.

    Returns
    -------
    array, shape (427 // reduce, 640 // reduce)
        0 is black and 1 is white.

    Examples
    --------
    >>> grey_photograph(reduce=4).shape
    (106, 160)
    """
    grey = photograph(name).mean(axis=2) / 255.0
    height, width = grey.shape[0] // reduce, grey.shape[1] // reduce
    whole = grey[: height * reduce, : width * reduce]
    return np.asarray(whole.reshape(height, reduce, width, reduce).mean(axis=(1, 3)))


def damaged_photograph(
    name: str = "flower",
    reduce: int = 2,
    *,
    missing_share: float = 0.5,
    rank: int = 36,
    reg: float = 1.0,
    seed: int = 0,
    return_picture: bool = False,
) -> Any:
    """Return the completion of a photograph from which random pixels were removed.

    Parameters
    ----------
    name, reduce
        As in `grey_photograph`.
    missing_share : float, default 0.5
        Chance of each pixel to be missing.
    rank : int, default 36
        Cap of the rank, above that of the solution.
    reg : float, default 1.0
        Weight of the nuclear norm.
    seed : int, default 0
        Seed of the damage.
    return_picture : bool, default False
        Return the picture and the mask, too.

    Returns
    -------
    problem : MatrixCompletion
        Of the known pixels minus their mean.
    picture : array
        The undamaged picture, if ``return_picture``.
    known : array of bool
        Where pixels are known, if ``return_picture``.

    Examples
    --------
    >>> damaged_photograph(reduce=8, rank=5).shape
    (53, 80)
    """
    picture = grey_photograph(name, reduce)
    known = np.random.default_rng(seed).random(picture.shape) >= missing_share
    rows, cols = (index.astype(np.int32) for index in np.nonzero(known))
    values = picture[known] - picture[known].mean()
    problem = MatrixCompletion(rows, cols, values, picture.shape, min(rank, *picture.shape), reg)
    return (problem, picture, known) if return_picture else problem
