"""Kernels of coordinate descent on penalised least squares over a box.

All minimise over one coefficient exactly.  With ``c_j = Z_j'(z - Z w)`` and ``q_j = ||Z_j||^2`` the
minimiser is ``clip(soft(q_j w_j + c_j, l1_j) / (q_j + l2_j), lower_j, upper_j)``.
"""

from __future__ import annotations

from fejer.jit import kernel
from fejer.numerics.random import below, permute, uniform

from ._patterns import note

__all__ = ["minimiser", "pick", "sweep_dense", "sweep_sparse"]

CYCLIC, PERMUTED, RANDOM, LIPSCHITZ = 0, 1, 2, 3


@kernel
def minimiser(c, w, q, l1, l2, lower, upper):
    """The best value of one coefficient; unchanged where its column is zero."""
    if q == 0.0 or lower == upper:
        return w
    v = q * w + c
    if v > l1:
        v -= l1
    elif v < -l1:
        v += l1
    else:
        v = 0.0
    return min(max(v / (q + l2), lower), upper)


@kernel
def pick(rule, place, order, cumulative, words):
    """The coordinate of an update, by a rule that does not look at the gradient.

    `place` is the number of the update in its sweep.
    """
    d = cumulative.size
    if rule == PERMUTED:
        if place == 0:
            permute(words, order)
        return order[place]
    if rule == RANDOM:
        return below(words, d)
    if rule == LIPSCHITZ:
        mark = uniform(words) * cumulative[d - 1]
        low = 0
        high = d - 1
        while low < high:
            middle = (low + high) // 2
            if cumulative[middle] > mark:
                high = middle
            else:
                low = middle + 1
        return low
    return place


@kernel
def sweep_dense(
    X, q, l1, l2, lower, upper, w, r, turned, rule, order, cumulative, words, update, count, quiet,
    patience
):  # fmt: skip
    """Up to `count` updates with the residual r kept; stop after `patience` without a change.

    Returns the updates made, how many of them changed a coefficient, and the updates since then;
    `turned` gets the number of the last one that changed the place of its coefficient.

    Columns come from far memory.  What a change does to r is carried out while the next column is
    read, so that the reading does not pause.  After a change the products are always added up in
    that loop, here even if the last call has carried it out: sums must not depend on where calls
    end.
    """
    n = r.size
    made = 0
    changed = 0
    last = 0
    step = 0.0
    place = update % w.size
    while made < count and quiet < patience:
        j = pick(rule, place, order, cumulative, words)
        place = place + 1 if place + 1 < w.size else 0
        made += 1
        c = 0.0
        if quiet == 0:
            for i in range(n):
                r[i] -= step * X[i, last]
                c += X[i, j] * r[i]
        else:
            for i in range(n):
                c += X[i, j] * r[i]
        new = minimiser(c, w[j], q[j], l1[j], l2[j], lower[j], upper[j])
        step = new - w[j]
        quiet += 1
        if step != 0.0:
            note(w[j], new, lower[j], upper[j], update + made, turned)
            w[j] = new
            last = j
            changed += 1
            quiet = 0
    if quiet == 0:
        for i in range(n):
            r[i] -= step * X[i, last]
    return made, changed, quiet


@kernel
def sweep_sparse(
    indptr,
    indices,
    data,
    mean,
    total,
    q,
    l1,
    l2,
    lower,
    upper,
    w,
    r,
    turned,
    shift,
    rule,
    order,
    cumulative,
    words,
    update,
    count,
    quiet,
    patience,
):
    """As `sweep_dense` for compressed columns; the residual is ``r + shift root``.

    The columns are those of the data less ``root mean_j``, and the residual is orthogonal to root
    throughout.  ``total = root'root``; without a constant mean is 0.  Returns the shift too.
    """
    made = 0
    changed = 0
    place = update % w.size
    while made < count and quiet < patience:
        j = pick(rule, place, order, cumulative, words)
        place = place + 1 if place + 1 < w.size else 0
        made += 1
        c = shift * total * mean[j]
        for k in range(indptr[j], indptr[j + 1]):
            c += data[k] * r[indices[k]]
        new = minimiser(c, w[j], q[j], l1[j], l2[j], lower[j], upper[j])
        step = new - w[j]
        quiet += 1
        if step != 0.0:
            note(w[j], new, lower[j], upper[j], update + made, turned)
            w[j] = new
            for k in range(indptr[j], indptr[j + 1]):
                r[indices[k]] -= step * data[k]
            shift += step * mean[j]
            changed += 1
            quiet = 0
    return made, changed, quiet, shift
