"""Instances of optimal transport, and the clock of one Sinkhorn iteration."""

from __future__ import annotations

import contextlib
import time
from typing import Any

import numpy as np

from fejer.evidence import Array
from fejer.problems.transport.entropic_ot import EntropicOT
from fejer.solvers.transport._fused import fused_pass as one_pass

__all__ = ["entropic", "fused_pass", "instance"]


def instance(kind: str, n: int, seed: int = 0) -> tuple[Array, Array, Array]:
    """Return weights a, b and a cost with largest entry 1.

    Parameters
    ----------
    kind : str
        ``"lap"``: independent uniform costs. ``"pc2"``, ``"pc10"``, ...: squared distances of two
        Gaussian clouds in that dimension. ``"grid"``: two images of five bumps on the unit square,
        n rounded to a square number.
    n : int
        Number of atoms on each side.
    seed : int, default 0
        Seed of the generator.

    Examples
    --------
    >>> from fejer.benchmarks.instances.transport import instance
    >>> a, b, cost = instance("grid", 100)
    >>> cost.shape, bool(cost.max() == 1.0)
    ((100, 100), True)
    """
    rng = np.random.default_rng(seed)
    uniform = np.full(n, 1.0 / n)
    if kind == "lap":
        return uniform, uniform, rng.random((n, n))
    if kind.startswith("pc"):
        dim = int(kind[2:])
        x, y = rng.normal(size=(n, dim)), 0.7 * rng.normal(size=(n, dim)) + 1.0
        return uniform, uniform, _squared(x, y)
    if kind != "grid":
        raise ValueError(f"kind: expected 'lap', 'pc' and a number, or 'grid', got {kind!r}")
    side = round(np.sqrt(n))
    axis = np.linspace(0.0, 1.0, side)
    points = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
    images = []
    for _ in range(2):
        image = np.full(side * side, 1e-3)
        for _ in range(5):
            center, width = rng.random(2), rng.uniform(0.03, 0.15)
            distances = ((points - center) ** 2).sum(axis=1)
            image += rng.random() * np.exp(-distances / (2 * width**2))
        images.append(image / image.sum())
    return images[0], images[1], _squared(points, points)


def entropic(kind: str, n: int, eps_rel: float = 0.02, *, seed: int = 0) -> EntropicOT:
    """Return an instance as a problem.

    Parameters
    ----------
    kind, n
        As in `instance`.
    eps_rel : float, default 0.02
        Weight of the entropy, as a share of the largest cost.
    seed : int, default 0
        Seed of the generator.

    Returns
    -------
    EntropicOT
        With a dense cost.

    Examples
    --------
    >>> from fejer.benchmarks.instances.transport import entropic
    >>> entropic("lap", 20).epsilon < 0.02
    True
    """
    return EntropicOT(*instance(kind, n, seed), eps_rel=eps_rel)


def _squared(x: Array, y: Array) -> Array:
    squares = ((x[:, None, :] - y[None, :, :]) ** 2).sum(axis=-1)
    return squares / squares.max()


def fused_pass(n: int, repeats: int = 21) -> tuple[float, float]:
    """Time one full Sinkhorn iteration on an n by n kernel matrix, against two products by BLAS.

    The two alternate, with one thread each; the kernel matrix is the one of uniform random costs.

    Parameters
    ----------
    n : int
        Size. Beyond about 2000 the matrix leaves the caches, and memory alone decides.
    repeats : int, default 21
        Timings of each.

    Returns
    -------
    ours, blas : float
        Medians, in seconds of wall time.

    Examples
    --------
    >>> from fejer.benchmarks.instances.transport import fused_pass
    >>> ours, blas = fused_pass(64, repeats=3)
    >>> ours > 0 and blas > 0
    True
    """
    a, b, cost = instance("lap", n)
    K = np.exp(-cost / 0.1)
    u, v, w = np.ones(n), np.ones(n), np.empty(n)

    def ours() -> None:
        one_pass(K, a, u, v, w)
        np.divide(b, w, out=v)

    def blas() -> None:
        np.divide(a, K @ v, out=u)
        np.divide(b, u @ K, out=v)

    times: dict[Any, list[float]] = {ours: [], blas: []}
    with _one_thread():
        for step in (ours, blas):
            step()
        for _ in range(repeats):
            for step, found in times.items():
                begun = time.perf_counter()
                step()
                found.append(time.perf_counter() - begun)
    return float(np.median(times[ours])), float(np.median(times[blas]))


def _one_thread() -> Any:
    try:
        from threadpoolctl import threadpool_limits
    except ImportError:  # the caller sets OPENBLAS_NUM_THREADS
        return contextlib.nullcontext()
    return threadpool_limits(1)
