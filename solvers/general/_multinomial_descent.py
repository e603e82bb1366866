"""Kernels of coordinate descent on penalised multinomial regression.

The probabilities P, shape (K, n), are kept.  Along one coefficient of class k the loss is logistic
in ``z_ik``, so that the majorising steps of `_logistic_descent` hold.  A step of ``d`` in ``z_ik``
multiplies ``p_ik`` by ``e^d`` and divides the column by ``e^d p_ik + sum of the others``: sums of
positive numbers, which do not cancel.
"""

from __future__ import annotations

import numpy as np

from fejer.jit import kernel
from fejer.numerics.elementary import exp

from ._descent import pick
from ._logistic_descent import majorised
from ._patterns import note

__all__ = ["multinomial_dense", "multinomial_sparse"]


@kernel
def multinomial_dense(
    X, y, s, q, l1, l2, lower, upper, w, P, turned, newton,
    rule, order, cumulative, words, update, count, quiet, patience
):  # fmt: skip
    """Up to `count` updates; the column behind X is of ones.

    Returns the updates made, how many of them changed a coefficient, and the updates since then.
    """
    n = y.size
    p = X.shape[1]
    K = P.shape[0]
    rest = np.empty(n)
    grown = np.empty(n)
    made = 0
    changed = 0
    while made < count and quiet < patience:
        j = pick(rule, (update + made) % cumulative.size, order, cumulative, words)
        made += 1
        column = j // K
        k = j % K
        c = 0.0
        curvature = q[j]
        reach = 1.0
        if column == p:
            for i in range(n):
                c += s[i] * ((1.0 if y[i] == k else 0.0) - P[k, i])
            if newton:
                curvature = 0.0
                for i in range(n):
                    curvature += s[i] * P[k, i] * (1.0 - P[k, i])
        else:
            for i in range(n):
                c += X[i, column] * s[i] * ((1.0 if y[i] == k else 0.0) - P[k, i])
            # A coefficient that stays 0 whatever the curvature needs none.
            if newton and (w[j] != 0.0 or abs(c) > l1[j]):
                curvature = 0.0
                reach = 0.0
                for i in range(n):
                    curvature += X[i, column] * X[i, column] * s[i] * P[k, i] * (1.0 - P[k, i])
                for i in range(n):
                    reach = max(reach, abs(X[i, column]))
        new = majorised(c, curvature, reach, w[j], q[j], l1[j], l2[j], lower[j], upper[j])
        step = new - w[j]
        quiet += 1
        if step != 0.0:
            note(w[j], new, lower[j], upper[j], update + made, turned)
            w[j] = new
            for i in range(n):
                rest[i] = 0.0
            for other in range(K):
                if other != k:
                    for i in range(n):
                        rest[i] += P[other, i]
            if column == p:
                for i in range(n):
                    grown[i] = exp(step)
            else:
                for i in range(n):
                    grown[i] = exp(step * X[i, column])
            for i in range(n):
                P[k, i] *= grown[i]
                rest[i] = 1.0 / (rest[i] + P[k, i])
            for other in range(K):
                for i in range(n):
                    P[other, i] *= rest[i]
            changed += 1
            quiet = 0
    return made, changed, quiet


@kernel
def multinomial_sparse(
    indptr, indices, data, y, s, q, l1, l2, lower, upper, w, P, turned, newton,
    rule, order, cumulative, words, update, count, quiet, patience
):  # fmt: skip
    """As `multinomial_dense` for compressed columns, which are not centred."""
    n = y.size
    p = indptr.size - 1
    K = P.shape[0]
    made = 0
    changed = 0
    while made < count and quiet < patience:
        j = pick(rule, (update + made) % cumulative.size, order, cumulative, words)
        made += 1
        column = j // K
        k = j % K
        first = 0 if column == p else indptr[column]
        last = n if column == p else indptr[column + 1]
        c = 0.0
        for a in range(first, last):
            i = a if column == p else indices[a]
            x = 1.0 if column == p else data[a]
            c += x * s[i] * ((1.0 if y[i] == k else 0.0) - P[k, i])
        curvature = q[j]
        reach = 0.0
        if newton and (w[j] != 0.0 or abs(c) > l1[j] or column == p):
            curvature = 0.0
            for a in range(first, last):
                i = a if column == p else indices[a]
                x = 1.0 if column == p else data[a]
                curvature += x * x * s[i] * P[k, i] * (1.0 - P[k, i])
                reach = max(reach, abs(x))
        new = majorised(c, curvature, reach, w[j], q[j], l1[j], l2[j], lower[j], upper[j])
        step = new - w[j]
        quiet += 1
        if step != 0.0:
            note(w[j], new, lower[j], upper[j], update + made, turned)
            w[j] = new
            for a in range(first, last):
                i = a if column == p else indices[a]
                x = 1.0 if column == p else data[a]
                P[k, i] *= exp(step * x)
                total = 0.0
                for other in range(K):
                    total += P[other, i]
                for other in range(K):
                    P[other, i] /= total
            changed += 1
            quiet = 0
    return made, changed, quiet
