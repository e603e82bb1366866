"""Forests in sparse matrices: their selection, and exact solutions on them by message passing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fejer.evidence import Array
from fejer.jit import kernel

__all__ = ["forest_partition", "forest_step", "greedy_forest"]


@kernel
def root_of(parent, i):
    """The root of i in its tree; paths are halved on the way."""
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


@kernel
def greedy_forest(indptr, indices, order, parent, member, mark, stamp):
    """Take nodes in the given order unless they close a cycle; returns the last stamp used.

    A node is taken where its neighbours that are members lie in different trees.  `member` is 1
    for those that were taken, `mark` and `stamp` remember which roots a node has met.
    """
    for i in range(parent.size):
        parent[i] = i
        member[i] = 0
    for at in range(order.size):
        i = order[at]
        stamp += 1
        fits = True
        for k in range(indptr[i], indptr[i + 1]):
            j = indices[k]
            if j != i and member[j] == 1:
                root = root_of(parent, j)
                if mark[root] == stamp:
                    fits = False
                    break
                mark[root] = stamp
        if fits:
            member[i] = 1
            for k in range(indptr[i], indptr[i + 1]):
                j = indices[k]
                if j != i and member[j] == 1:
                    parent[root_of(parent, j)] = i
    return stamp


@kernel
def partition_kernel(indptr, indices, order, label, parent, seen, mark):
    """Put each node into the first forest in which it closes no cycle; returns their number.

    One union-find serves all forests, because the edges inside them never join two of them.
    `seen[f]` is the last node that met forest f in a way that forbids it.
    """
    count = 0
    for at in range(order.size):
        i = order[at]
        for k in range(indptr[i], indptr[i + 1]):
            j = indices[k]
            if j != i and label[j] >= 0:
                root = root_of(parent, j)
                if mark[root] == i:
                    seen[label[j]] = i
                mark[root] = i
        choice = 0
        while choice < count and seen[choice] == i:
            choice += 1
        count = max(count, choice + 1)
        label[i] = choice
        for k in range(indptr[i], indptr[i + 1]):
            j = indices[k]
            if j != i and label[j] == choice:
                parent[root_of(parent, j)] = i
    return count


def forest_partition(
    indptr: NDArray[np.int32], indices: NDArray[np.int32], order: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Split all nodes into forests; returns the forest of each node."""
    d = order.size
    label, parent = np.full(d, -1), np.arange(d)
    seen, mark = np.full(d + 1, -1), np.full(d, -1)
    partition_kernel(indptr, indices, order, label, parent, seen, mark)
    return label


@kernel
def solve_forest(
    indptr, indices, data, diagonal, member, chosen, r, x, work, queue, parent, weight
):
    """Minimise exactly over the chosen nodes, which form a forest, and keep ``r = b - A x``.

    Leaves are eliminated one after another, then the values go back from the roots.  `work` has
    three rows: pivots, right-hand sides, steps.  `member` is 0 outside the forest before and
    everywhere after.  Returns the largest step that was made.
    """
    pivot = work[0]
    h = work[1]
    z = work[2]
    # The number of members among the neighbours is kept in `parent` until a node is eliminated.
    for at in range(chosen.size):
        member[chosen[at]] = 1
    for at in range(chosen.size):
        i = chosen[at]
        pivot[i] = diagonal[i]
        h[i] = r[i]
        degree = 0
        for k in range(indptr[i], indptr[i + 1]):
            j = indices[k]
            if j != i and member[j] == 1:
                degree += 1
        parent[i] = degree
    # Each leaf is eliminated, then at once the node it hung on if that has become a leaf: walking
    # along paths stays among neighbours in memory.
    tail = 0
    for at in range(chosen.size):
        i = chosen[at]
        while member[i] == 1 and parent[i] <= 1:
            queue[tail] = i
            tail += 1
            member[i] = 2  # eliminated
            found = -1
            a = 0.0
            for k in range(indptr[i], indptr[i + 1]):
                j = indices[k]
                if j != i and member[j] == 1:
                    found = j
                    a = data[k]
            weight[i] = a
            parent[i] = found
            if found < 0:
                break
            pivot[found] -= a * a / pivot[i]
            h[found] -= a / pivot[i] * h[i]
            parent[found] -= 1
            i = found
    for at in range(tail - 1, -1, -1):
        i = queue[at]
        value = h[i]
        if parent[i] >= 0:
            value -= weight[i] * z[parent[i]]
        z[i] = value / pivot[i]
    largest = 0.0
    for at in range(chosen.size):
        i = chosen[at]
        member[i] = 0
        old = x[i]
        x[i] += z[i]
        step = x[i] - old
        largest = max(largest, abs(step))
        for k in range(indptr[i], indptr[i + 1]):
            r[indices[k]] -= step * data[k]
    return largest


def forest_step(
    A: tuple[Array, ...],
    diagonal: Array,
    member: NDArray[np.int64],
    chosen: NDArray[np.int64],
    r: Array,
    x: Array,
) -> float:
    """Call `solve_forest` with fresh work space; returns the largest step."""
    d = x.size
    work, whole = np.empty((3, d)), np.empty((2, d), np.int64)
    weight = np.empty(d)
    return float(solve_forest(*A, diagonal, member, chosen, r, x, work, whole[0], whole[1], weight))
