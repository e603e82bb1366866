"""Alternating ridge regressions for unconstrained features."""

from __future__ import annotations

import math

import numpy as np

from fejer.evidence import Array
from fejer.problems.lowrank._factors import Spectrum, balanced
from fejer.problems.lowrank._features import ridge, sums
from fejer.problems.lowrank.unconstrained_features import UnconstrainedFeatures


def sweep(problem: UnconstrainedFeatures, x: Array) -> float:
    """Minimise over W, then over H, in place; without an anchor balance them. Length of the step.

    Both minima are exact and balancing minimises the penalties for the product that is there, so
    that none of the three steps raises the objective.
    """
    W, H = problem.parts(x)
    count, last = problem.samples, x.copy()
    W[:] = ridge(H, count * problem.reg_w, sums(H, problem.n_classes)).T
    c = problem.reg_h + problem.beta
    right = np.repeat(W.T, problem.per_class, axis=1)
    if problem.beta > 0:
        right += count * problem.beta * np.asarray(problem.anchor)
    H[:] = ridge(W.T, count * c, right)
    if problem.beta == 0:
        _balance(problem, W, H)
    return float(np.linalg.norm(x - last))


def _balance(problem: UnconstrainedFeatures, W: Array, H: Array) -> None:
    """Write the product in the factors of least penalty, in place."""
    Q, R = np.linalg.qr(H.T)
    A, s, Bt = np.linalg.svd(W @ R.T, full_matrices=False)
    U, V = balanced(Spectrum(A, s, Q @ Bt.T, 0.0))
    ratio = math.sqrt(math.sqrt(problem.reg_h / problem.reg_w))
    W[:], H[:] = 0.0, 0.0
    W[:, : s.size], H[: s.size] = ratio * U, V.T / ratio
