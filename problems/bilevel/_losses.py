"""Logistic losses of the family, fused: one pass over the predictors."""

from __future__ import annotations

import math

from fejer.jit import kernel
from fejer.numerics.elementary import sigmoid, softmax, softplus

__all__ = ["binary", "multinomial", "multinomial_product"]


@kernel
def binary(t, sign, residual, weight):
    """Return the sum of ``log(1 + exp(-b t))``; its first two derivatives are written."""
    total = 0.0
    for i in range(t.size):
        s = sigmoid(-sign[i] * t[i])
        residual[i] = -sign[i] * s
        weight[i] = s * (1.0 - s)
        total += softplus(-sign[i] * t[i])
    return total


@kernel
def multinomial(T, label, P, residual):
    """Return the sum of the cross entropies; probabilities and first derivative are written."""
    total = 0.0
    n, classes = T.shape
    for i in range(n):
        total += softmax(T[i], P[i]) - T[i, label[i]]
        for k in range(classes):
            residual[i, k] = P[i, k]
        residual[i, label[i]] -= 1.0
    return total


@kernel
def multinomial_product(P, M, out):
    """``out = P * (M - sum_k P_k M_k)``, row by row: the second derivative times M."""
    n, classes = P.shape
    for i in range(n):
        mean = 0.0
        for k in range(classes):
            mean += P[i, k] * M[i, k]
        for k in range(classes):
            out[i, k] = P[i, k] * (M[i, k] - mean)


@kernel
def largest_range(U):
    """Largest difference of two entries of a row."""
    found = 0.0
    for i in range(U.shape[0]):
        low, high = math.inf, -math.inf
        for k in range(U.shape[1]):
            low = min(low, U[i, k])
            high = max(high, U[i, k])
        found = max(found, high - low)
    return found
