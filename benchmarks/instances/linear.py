"""Linear programs for benchmarks: transport, random programs with a known vertex, MPS files."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from fejer.errors import ProblemError
from fejer.problems.linear.linear_program import LinearProgram

__all__ = ["folder", "randlp", "transport"]


def transport(m: int, n: int, seed: int = 0, kind: str = "euclid") -> LinearProgram:
    """Draw a transport problem of m suppliers and n customers as a linear program.

    Parameters
    ----------
    m, n : int
        Suppliers and customers; the program has m + n equations and m n variables.
    seed : int, default 0
        Seed of the generator.
    kind : {"euclid", "int", "rand"}, default "euclid"
        Costs: distances of points in the unit square, integers from 1 to 1000, or uniform numbers.

    Returns
    -------
    LinearProgram

    Raises
    ------
    ProblemError
        Another kind.

    Examples
    --------
    >>> transport(2, 3).A.shape
    (5, 6)
    """
    from scipy.sparse import csc_array, eye_array, kron, vstack

    rng = np.random.default_rng(seed)
    if kind == "euclid":
        P, Q = rng.random((m, 2)), rng.random((n, 2))
        cost = np.hypot(*(P[:, None] - Q).transpose(2, 0, 1))
    elif kind == "int":
        cost = rng.integers(1, 1001, (m, n)).astype(np.float64)
    elif kind == "rand":
        cost = rng.random((m, n))
    else:
        raise ProblemError(f"kind: expected euclid, int or rand, got {kind!r}")
    a, b = rng.random(m) + 0.1, rng.random(n) + 0.1
    rows = kron(eye_array(m), np.ones((1, n)))
    columns = kron(np.ones((1, m)), eye_array(n))
    sides = np.concatenate([a / a.sum(), b / b.sum()])
    A = csc_array(vstack([rows, columns]))
    return LinearProgram(cost.ravel(), A, sides, sides, 0.0, np.inf)


def randlp(m: int, n: int, density: float, seed: int = 0) -> LinearProgram:
    """Draw a sparse program with a known optimal vertex, often badly conditioned.

    Parameters
    ----------
    m, n : int
        Rows, of which the first half are equations and the others ``>=``, and variables.
    density : float
        Share of nonzeros, normal; each row has one more.
    seed : int, default 0
        Seed of the generator.

    Returns
    -------
    LinearProgram
        Its optimum has m positive variables; it is unique unless their columns are singular.

    Examples
    --------
    >>> randlp(10, 20, 0.1).A.shape
    (10, 20)
    """
    from scipy.sparse import csc_array

    rng = np.random.default_rng(seed)
    i, j = np.divmod(rng.choice(m * n, round(density * m * n), replace=False), n)
    places = np.concatenate([i, np.arange(m)]), np.concatenate([j, rng.integers(n, size=m)])
    A = csc_array((rng.standard_normal(places[0].size), places), shape=(m, n))
    x, slack = np.zeros(n), rng.uniform(0.1, 1.1, n)
    support = rng.permutation(n)[:m]
    x[support], slack[support] = rng.uniform(0.1, 1.1, m), 0.0
    y = rng.standard_normal(m)
    inequality = np.arange(m) >= m - m // 2
    y[inequality] = np.abs(y[inequality])
    b = np.asarray(A @ x)
    return LinearProgram(A.T @ y + slack, A, b, np.where(inequality, np.inf, b), 0.0, np.inf)


def folder(path: str | os.PathLike[str]) -> dict[str, LinearProgram]:
    """Read all MPS files of a folder.

    Parameters
    ----------
    path : path
        The folder; files of other types are ignored.

    Returns
    -------
    dict of str to LinearProgram
        By name of the file, without its ending, in order.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as empty:
    ...     folder(empty)
    {}
    """
    files = sorted(file for file in Path(path).iterdir() if file.suffix.lower() == ".mps")
    return {file.stem: LinearProgram.from_mps(file) for file in files}
