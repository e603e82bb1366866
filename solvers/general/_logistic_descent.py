"""Kernels of coordinate descent on penalised logistic regression.

With ``t_i = s_i y_i / (1 + exp(y_i z_i))`` and ``h_i = |t_i| (1 - |t_i|/s_i)`` the loss along
coordinate j is, for a step of modulus at most a step with ``a = max_i |Z_ij| |step|``, below its
quadratic model with the curvature ``e^a sum h_i Z_ij^2``, because h changes by at most the factor
``e^|dz|``; and always below that with ``q_j = 1/4 sum s_i Z_ij^2``.  The rule "newton" takes the
smaller of the two, for the step that the curvature at the point alone would give: F never
increases, no logarithm is taken, and near the solution the step is Newton's.
"""

from __future__ import annotations

from fejer.jit import kernel
from fejer.numerics.elementary import exp

from ._descent import minimiser, pick
from ._patterns import note

__all__ = ["logistic_dense", "logistic_sparse"]


@kernel
def majorised(c, curvature, reach, w, q, l1, l2, lower, upper):
    """Where the coefficient goes: curvature is that at the point, reach the largest ``|Z_ij|``."""
    if q == 0.0 or lower == upper:
        return w
    if curvature < q:
        far = minimiser(c, w, max(curvature, 1e-12 * q), l1, l2, lower, upper)
        q = min(q, max(curvature, 1e-12 * q) * exp(min(reach * abs(far - w), 700.0)))
    return minimiser(c, w, q, l1, l2, lower, upper)


@kernel
def logistic_dense(
    X, y, s, q, l1, l2, lower, upper, w, z, t, turned, newton,
    rule, order, cumulative, words, update, count, quiet, patience
):  # fmt: skip
    """Up to `count` updates with margins z and pull t kept; the column behind X is of ones.

    Returns the updates made, how many of them changed a coefficient, and the updates since then.
    """
    n = z.size
    p = X.shape[1]
    made = 0
    changed = 0
    while made < count and quiet < patience:
        j = pick(rule, (update + made) % cumulative.size, order, cumulative, words)
        made += 1
        c = 0.0
        curvature = q[j]
        reach = 0.0
        if j == p:
            for i in range(n):
                c += t[i]
            if newton:
                curvature = 0.0
                reach = 1.0
                for i in range(n):
                    m = abs(t[i])
                    curvature += m * (1.0 - m / s[i])
        else:
            for i in range(n):
                c += X[i, j] * t[i]
            # A coefficient that stays 0 whatever the curvature needs none.
            if newton and (w[j] != 0.0 or abs(c) > l1[j]):
                curvature = 0.0
                for i in range(n):
                    m = abs(t[i])
                    curvature += X[i, j] * X[i, j] * m * (1.0 - m / s[i])
                for i in range(n):
                    reach = max(reach, abs(X[i, j]))
        new = majorised(c, curvature, reach, w[j], q[j], l1[j], l2[j], lower[j], upper[j])
        step = new - w[j]
        quiet += 1
        if step != 0.0:
            note(w[j], new, lower[j], upper[j], update + made, turned)
            w[j] = new
            if j == p:
                for i in range(n):
                    z[i] += step
            else:
                for i in range(n):
                    z[i] += step * X[i, j]
            for i in range(n):
                t[i] = s[i] * y[i] / (1.0 + exp(y[i] * z[i]))
            changed += 1
            quiet = 0
    return made, changed, quiet


@kernel
def logistic_sparse(
    indptr, indices, data, y, s, q, l1, l2, lower, upper, w, z, t, turned, newton,
    rule, order, cumulative, words, update, count, quiet, patience
):  # fmt: skip
    """As `logistic_dense` for compressed columns, which are not centred."""
    n = z.size
    p = indptr.size - 1
    made = 0
    changed = 0
    while made < count and quiet < patience:
        j = pick(rule, (update + made) % cumulative.size, order, cumulative, words)
        made += 1
        c = 0.0
        curvature = q[j]
        reach = 0.0
        if j == p:
            for i in range(n):
                c += t[i]
            if newton:
                curvature = 0.0
                reach = 1.0
                for i in range(n):
                    m = abs(t[i])
                    curvature += m * (1.0 - m / s[i])
        else:
            for k in range(indptr[j], indptr[j + 1]):
                c += data[k] * t[indices[k]]
            if newton and (w[j] != 0.0 or abs(c) > l1[j]):
                curvature = 0.0
                for k in range(indptr[j], indptr[j + 1]):
                    i = indices[k]
                    m = abs(t[i])
                    curvature += data[k] * data[k] * m * (1.0 - m / s[i])
                    reach = max(reach, abs(data[k]))
        new = majorised(c, curvature, reach, w[j], q[j], l1[j], l2[j], lower[j], upper[j])
        step = new - w[j]
        quiet += 1
        if step != 0.0:
            note(w[j], new, lower[j], upper[j], update + made, turned)
            w[j] = new
            if j == p:
                for i in range(n):
                    z[i] += step
                    t[i] = s[i] * y[i] / (1.0 + exp(y[i] * z[i]))
            else:
                for k in range(indptr[j], indptr[j + 1]):
                    i = indices[k]
                    z[i] += step * data[k]
                    t[i] = s[i] * y[i] / (1.0 + exp(y[i] * z[i]))
            changed += 1
            quiet = 0
    return made, changed, quiet
