"""Distances of directions to a subspace, and the weights that make their sum a weighted square."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fejer.evidence import Array


class Distances(NamedTuple):
    """Distances of the directions and of their differences, and the weighted Laplacian.

    ``laplacian`` (P, P): the weighted scatter is ``G laplacian G'``.
    """

    own: Array
    pairs: Array
    laplacian: Array


def distances(rest: Array, pair_weight: float, eps: float) -> Distances:
    """Measure from the parts of the directions outside the subspace, one in each column."""
    squares = np.einsum("ij,ij->j", rest, rest)
    weights = 1.0 / np.sqrt(squares + eps)
    laplacian = np.diag(weights)
    pairs = np.zeros((rest.shape[1],) * 2)
    if pair_weight > 0.0:
        apart = pair_squares(rest.T @ rest)
        pairs = np.sqrt(apart)
        joint = pair_weight / np.sqrt(apart + eps)
        laplacian += np.diag(joint.sum(axis=1)) - joint
    return Distances(np.sqrt(squares), pairs, laplacian)


def pair_squares(gram: Array) -> Array:
    """Squared distances between vectors, from their Gram matrix."""
    square = gram.diagonal()
    return np.asarray(np.maximum(square[:, None] + square - 2.0 * gram, 0.0))
