"""Forests in sparse matrices: their selection, and exact solutions on them by message passing."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fejer.evidence import Array
from fejer.jit import kernel

__all__ = ["Forests", "forest_partition", "greedy_forest"]

TIE = 1 << 40  # above it neighbours are counted, below it are their numbers
PATHS = (
    256  # leaves under way at a time: enough to wait for memory together, few enough to stay near
)


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
def gather(indptr, indices, data, place, chosen, r, node, word, leaves):
    """Write down each node of the forest as if alone: see `solve_forest`; returns the leaves."""
    count = 0
    for at in range(chosen.size):
        i = chosen[at]
        ties = 0
        names = 0
        bits = 0
        pivot = 0.0
        for k in range(indptr[i], indptr[i + 1]):
            j = place[indices[k]]
            own = j == at
            inside = np.int64((j >= 0) & (not own))
            ties += inside
            names ^= j * inside
            bits ^= np.float64(data[k]).view(np.int64) * inside
            pivot += data[k] * own
        node[at, 0] = pivot
        node[at, 1] = r[i]
        word[at, 2] = ties * TIE + names
        word[at, 3] = bits
        leaves[count] = at
        count += ties <= 1
    return count


@kernel(shared=True)
def eliminate(m, count, node, word, leaves, queue, parent, sent):
    """Eliminate m nodes towards the roots: leaves, and what becomes a leaf.

    `queue` gets the order of elimination, and beside it the node that each hung on and what it
    takes from it: ``z_i = sent_1 - sent_0 z_parent``.
    """
    tail = 0
    head = 0
    fed = 0
    while head < m:
        while fed < count and tail - head < PATHS:
            queue[tail] = leaves[fed]
            tail += 1
            fed += 1
        stop = tail
        for at in range(head, stop):
            i = queue[at]
            j = word[i, 2] - TIE
            sent[at, 1] = node[i, 1] / node[i, 0]
            if j < 0:  # a root
                parent[at] = i
                sent[at, 0] = 0.0
                continue
            ratio = node[i, 3] / node[i, 0]
            parent[at] = j
            sent[at, 0] = ratio
            node[j, 0] -= ratio * node[i, 3]
            node[j, 1] -= ratio * node[i, 1]
            left = (word[j, 2] - TIE) ^ i
            word[j, 2] = left
            word[j, 3] ^= word[i, 3]
            queue[tail] = j
            tail += (left >= TIE) & (left < 2 * TIE)
        head = stop


@kernel(shared=True)
def solve_forest(
    indptr, indices, data, place, chosen, r, x, node, word, leaves, queue, parent, sent, z
):
    """Minimise exactly over the chosen nodes, which form a forest, and keep ``r = b - A x``.

    Leaves are eliminated, then the values go back from the roots.  `place` is -1 before and after,
    between them the number of a chosen node among the chosen.  `node` and `word` are one table:
    pivot, right-hand side, ``TIE`` for each neighbour that is left plus the exclusive or of their
    numbers, and the exclusive or of their entries of A, bit for bit.  Where one is left these are
    its number and its entry, without a search or a branch, which would cost more than the
    arithmetic.  For that A is symmetric to the last bit.  Returns the largest step.
    """
    for at in range(chosen.size):
        place[chosen[at]] = at
    count = gather(indptr, indices, data, place, chosen, r, node, word, leaves)
    eliminate(chosen.size, count, node, word, leaves, queue, parent, sent)
    for at in range(chosen.size - 1, -1, -1):
        z[queue[at]] = sent[at, 1] - sent[at, 0] * z[parent[at]]
    largest = 0.0
    for at in range(chosen.size):
        i = chosen[at]
        place[i] = -1
        old = x[i]
        x[i] += z[at]
        step = x[i] - old
        largest = max(largest, abs(step))
        for k in range(indptr[i], indptr[i + 1]):
            r[indices[k]] -= step * data[k]
    return largest


class Forests:
    """Room for the solution on forests in one matrix, which is kept between them.

    Parameters
    ----------
    A : tuple of ndarray
        A symmetric matrix in compressed columns; the average with its transpose is taken, so that
        it is symmetric to the last bit.
    """

    def __init__(self, A: tuple[Any, ...]) -> None:
        from scipy.sparse import csc_array

        d = A[0].size - 1
        matrix: Any = csc_array(A[::-1], (d, d))
        mean = ((matrix + matrix.T) * 0.5).tocsc()
        self.A = (mean.indptr, mean.indices, mean.data)
        self.place = np.full(d, -1, np.int32)
        self.room: tuple[Any, ...] = ()

    def step(self, chosen: NDArray[np.int64], r: Array, x: Array) -> float:
        """Minimise over the chosen nodes; returns the largest step."""
        m = chosen.size
        if not self.room or self.room[-1].size < m:
            lists = np.empty((3, m + 1), np.int32)  # one place is written beyond the last
            self.room = (np.empty((m, 4)), *lists, np.empty((m, 2)), np.zeros(m))
        node, *rest = self.room
        word = node.view(np.int64)
        return float(solve_forest(*self.A, self.place, chosen, r, x, node, word, *rest))
