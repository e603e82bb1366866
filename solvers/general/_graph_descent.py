"""Kernels of coordinate descent on ``1/2 x'Ax - b'x`` with few entries in a column of A.

``r = b - A x`` is kept.  A step on x_i changes r at the neighbours of i alone, so that the largest
score can be kept on top of a heap.
"""

from __future__ import annotations

from fejer.jit import kernel

from ._descent import minimiser, pick
from ._greedy import score
from ._patterns import note

__all__ = ["fill_heap", "heap_descent", "sweep_graph"]


@kernel
def move(indptr, indices, data, i, new, x, r):
    """Set ``x_i = new`` and keep r."""
    step = new - x[i]
    x[i] = new
    for k in range(indptr[i], indptr[i + 1]):
        r[indices[k]] -= step * data[k]


@kernel
def sweep_graph(
    indptr, indices, data, q, l1, l2, lower, upper, x, r, turned,
    rule, order, cumulative, words, update, count, quiet, patience
):  # fmt: skip
    """Up to `count` updates by a rule that does not look at the gradient."""
    made = 0
    changed = 0
    place = update % x.size
    while made < count and quiet < patience:
        i = pick(rule, place, order, cumulative, words)
        place = place + 1 if place + 1 < x.size else 0
        made += 1
        new = minimiser(r[i], x[i], q[i], l1[i], l2[i], lower[i], upper[i])
        quiet += 1
        if new != x[i]:
            note(x[i], new, lower[i], upper[i], update + made, turned)
            move(indptr, indices, data, i, new, x, r)
            changed += 1
            quiet = 0
    return made, changed, quiet


@kernel
def promise(rule, i, x, r, q, l1, l2, lower, upper):
    """The score of a coordinate; 0 where an update would not change it."""
    new = minimiser(r[i], x[i], q[i], l1[i], l2[i], lower[i], upper[i])
    if new == x[i]:
        return 0.0
    return score(rule, r[i], x[i], new, q[i], l1[i], l2[i], lower[i], upper[i])


@kernel
def sift_up(heap, place, keys, at):
    """Move an entry of the heap towards the top."""
    i = heap[at]
    while at > 0:
        above = (at - 1) // 2
        j = heap[above]
        if keys[j] >= keys[i]:
            break
        heap[at] = j
        place[j] = at
        at = above
    heap[at] = i
    place[i] = at


@kernel
def sift_down(heap, place, keys, at):
    """Move an entry of the heap towards the bottom."""
    i = heap[at]
    d = heap.size
    while True:
        below = 2 * at + 1
        if below >= d:
            break
        if below + 1 < d and keys[heap[below + 1]] > keys[heap[below]]:
            below += 1
        j = heap[below]
        if keys[j] <= keys[i]:
            break
        heap[at] = j
        place[j] = at
        at = below
    heap[at] = i
    place[i] = at


@kernel
def fill_heap(rule, q, l1, l2, lower, upper, x, r, heap, place, keys):
    """Compute all scores anew and put the heap in order."""
    for i in range(x.size):
        heap[i] = i
        place[i] = i
        keys[i] = promise(rule, i, x, r, q, l1, l2, lower, upper)
    for at in range(x.size // 2, -1, -1):
        sift_down(heap, place, keys, at)


@kernel
def rescore(rule, i, x, r, q, l1, l2, lower, upper, heap, place, keys):
    """Give one coordinate its new place."""
    key = promise(rule, i, x, r, q, l1, l2, lower, upper)
    old = keys[i]
    keys[i] = key
    if key > old:
        sift_up(heap, place, keys, place[i])
    else:
        sift_down(heap, place, keys, place[i])


@kernel
def heap_descent(
    indptr, indices, data, q, l1, l2, lower, upper, x, r, turned, rule, heap, place, keys, update,
    count
):  # fmt: skip
    """Up to `count` updates, each of the coordinate with the largest score; returns how many."""
    for made in range(count):
        i = heap[0]
        if keys[i] <= 0.0:
            return made
        new = minimiser(r[i], x[i], q[i], l1[i], l2[i], lower[i], upper[i])
        step = new - x[i]
        note(x[i], new, lower[i], upper[i], update + made + 1, turned)
        x[i] = new
        for k in range(indptr[i], indptr[i + 1]):
            j = indices[k]
            r[j] -= step * data[k]
            rescore(rule, j, x, r, q, l1, l2, lower, upper, heap, place, keys)
        rescore(rule, i, x, r, q, l1, l2, lower, upper, heap, place, keys)
    return count
