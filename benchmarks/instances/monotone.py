"""Monotone inclusions of published experiments; the two large ones have compiled operators."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np

from fejer.evidence import Array
from fejer.numerics.prox_kernels import project_simplex
from fejer.problems.monotone.group_dro_logistic import GroupDROLogistic
from fejer.problems.monotone.monotone_inclusion import MonotoneInclusion

__all__ = ["compiled_rows", "group_dro", "least_squares_rows", "policeman_burglar", "slow_saddle"]

MAP = "void(f8[::1], f8[::1])"
RESOLVENT = "void(f8[::1], f8, f8[::1])"
COMPONENT = "void(f8[::1], i8[::1], f8[::1])"
DIFFERENCE = "void(f8[::1], f8[::1], i8[::1], f8[::1])"


def _pairs(A: Array, linear: Array, H: Array, simplices: bool) -> dict[str, Any]:
    """Compile ``F(x, y) = (H x + A'y, -A x) + linear`` as a sum over pairs of a row and a column.

    Component i holds n times the i-th rows and columns: of A y_i, of A x_i and of H x_i.
    """
    import numba

    n = A.shape[0]
    rows, columns, curved = A.copy(), np.ascontiguousarray(A.T), np.ascontiguousarray(H)
    has_curvature = bool(H.any())

    @numba.njit(DIFFERENCE, fastmath={"reassoc", "contract", "nsz"}, boundscheck=False)
    def difference(z: Any, w: Any, indices: Any, out: Any) -> None:
        each = n / indices.size
        for i in indices:
            p, q = each * (z[i] - w[i]), each * (z[n + i] - w[n + i])
            for j in range(n):
                out[j] += q * rows[i, j]
                out[n + j] -= p * columns[i, j]
            if has_curvature:
                for j in range(n):
                    out[j] += p * curved[i, j]

    @numba.njit(COMPONENT)
    def component(z: Any, indices: Any, out: Any) -> None:
        difference(z, np.zeros(2 * n), indices, out)
        for j in range(2 * n):
            out[j] += linear[j]

    @numba.njit(MAP)
    def F(z: Any, out: Any) -> None:
        out[:n] = np.dot(columns, z[n:])
        out[n:] = -np.dot(rows, z[:n])
        if has_curvature:
            out[:n] += np.dot(curved, z[:n])
        out += linear

    @numba.njit(RESOLVENT)
    def resolvent(v: Any, eta: float, out: Any) -> None:
        project_simplex(v[:n], 1.0, out[:n])
        project_simplex(v[n:], 1.0, out[n:])

    made = {"F": F, "component": component, "component_difference": difference}
    return made | ({"resolvent": resolvent} if simplices else {})


def _sum_over_pairs(A: Array, linear: Array, H: Array, simplices: bool) -> MonotoneInclusion:
    n = A.shape[0]
    squares = (A**2).sum(1) + 0.0, (A**2).sum(0) + (H**2).sum(0)
    start = np.full(2 * n, 1.0 / n)
    # A skew block matrix has the norm of its block.
    whole = np.block([[H, A.T], [-A, np.zeros((n, n))]]) if H.any() else A
    return MonotoneInclusion(
        n=2 * n,
        lipschitz=float(np.linalg.norm(whole, 2)),
        lipschitz_average=math.sqrt(2.0 * n * max(float(s.max()) for s in squares)),
        n_components=n,
        x0=start,
        **_pairs(A, linear, H, simplices),
    )


@cache
def policeman_burglar(n: int = 500, *, seed: int = 1) -> MonotoneInclusion:
    """Return the game of the policeman and the burglar, as a finite sum.

    ``A_ij = w_j (1 - exp(-0.8 |i - j|))``, w the moduli of normal numbers: the burglar chooses the
    house j, whose wealth is w_j, and the policeman a house i to watch.

    Parameters
    ----------
    n : int, default 500
        Houses.
    seed : int, default 1
        Of the legacy generator, as published.

    Returns
    -------
    MonotoneInclusion
        On two simplices, compiled.

    Examples
    --------
    >>> policeman_burglar(5).n
    10
    """
    w = np.abs(np.random.RandomState(seed).randn(n))
    i = np.arange(n)
    A = np.asarray(w * (1.0 - np.exp(-0.8 * np.abs(i[:, None] - i))))
    # The burglar maximises over columns: he is the second player, so the game is that of A'.
    return _sum_over_pairs(A, np.zeros(2 * n), np.zeros((n, n)), True)


@cache
def slow_saddle(n: int = 200) -> MonotoneInclusion:
    """Return the saddle point with the slowest possible first-order methods, as a finite sum.

    ``min over x, max over y, of x'H x / 2 - h'x - y'(A x - b)``, ``H = 2 A'A``, A with 1/4 and -1/4
    on two antidiagonals, b = 1/4, ``h = e_n / 4``.

    Parameters
    ----------
    n : int, default 200
        Length of x and of y.

    Returns
    -------
    MonotoneInclusion
        Without resolvent, compiled.

    Examples
    --------
    >>> slow_saddle(4).resolvent is None
    True
    """
    A = np.zeros((n, n))
    i = np.arange(n)
    A[i, n - 1 - i] = 0.25
    A[i[:-1], n - 2 - i[:-1]] = -0.25
    linear = np.concatenate([-np.eye(n)[-1] / 4.0, np.full(n, -0.25)])
    # In the variable -y the operator is (H x + A'y - h, -(A x - b)), that of the class above.
    linear[n:] *= -1.0
    return _sum_over_pairs(A, linear, 2.0 * A.T @ A, False)


def least_squares_rows(m: int = 400, d: int = 30, *, seed: int = 0) -> MonotoneInclusion:
    """Draw the gradient of a least-squares problem with unit rows, as a finite sum.

    Rows of N(0, I) diag(1/j), normalised: the constant in the mean is 1, that of F far below.

    Parameters
    ----------
    m, d : int, default 400 and 30
        Rows and columns.
    seed : int, default 0
        Seed of the generator.

    Returns
    -------
    MonotoneInclusion
        Cocoercive.

    Examples
    --------
    >>> least_squares_rows(10, 3).kind
    'cocoercive'
    """
    X, y = _unit_rows(m, d, seed)
    return MonotoneInclusion(
        lambda u: np.asarray(X.T @ (X @ u - y) / m),
        component=lambda u, i: X[i].T @ (X[i] @ u - y[i]) / i.size,
        component_difference=lambda u, v, i: X[i].T @ (X[i] @ (u - v)) / i.size,
        **_constants(X),
    )


def _unit_rows(m: int, d: int, seed: int) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((m, d)) / np.arange(1, d + 1)
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    return X, X @ rng.standard_normal(d) + 0.1 * rng.standard_normal(m)


def _constants(X: Array) -> dict[str, Any]:
    """Fields of a sum over unit rows."""
    m, d = X.shape
    norm = float(np.linalg.norm(X, 2) ** 2 / m)
    each = {"lipschitz": norm, "lipschitz_average": 1.0, "lipschitz_max": 1.0}
    return {"n": d, "kind": "cocoercive", "n_components": m, **each}


@cache
def compiled_rows(m: int = 10_000, d: int = 100, *, seed: int = 0) -> MonotoneInclusion:
    """Return a least-squares problem as `least_squares_rows` draws it, with compiled functions.

    Parameters
    ----------
    m, d : int, default 10000 and 100
        Rows and columns.
    seed : int, default 0
        Seed of the generator.

    Returns
    -------
    MonotoneInclusion
        Cocoercive.

    Examples
    --------
    >>> compiled_rows(10, 3).n_components
    10
    """
    import numba

    X, y = _unit_rows(m, d, seed)

    @numba.njit(DIFFERENCE, fastmath={"reassoc", "contract", "nsz"}, boundscheck=False)
    def difference(u: Any, v: Any, indices: Any, out: Any) -> None:
        each = 1.0 / indices.size
        for i in indices:
            t = 0.0
            for j in range(d):
                t += X[i, j] * (u[j] - v[j])
            t *= each
            for j in range(d):
                out[j] += t * X[i, j]

    @numba.njit(COMPONENT)
    def component(u: Any, indices: Any, out: Any) -> None:
        difference(u, np.zeros(d), indices, out)
        for i in indices:
            for j in range(d):
                out[j] -= y[i] * X[i, j] / indices.size

    @numba.njit(MAP)
    def F(u: Any, out: Any) -> None:
        out[:] = np.dot(np.dot(X, u) - y, X) / m

    return MonotoneInclusion(
        F, component=component, component_difference=difference, **_constants(X)
    )


def group_dro(n: int = 10_000, d: int = 20, *, seed: int = 0) -> GroupDROLogistic:
    """Draw logistic regression for the worst of five groups of very different sizes.

    Parameters
    ----------
    n, d : int, default 10000 and 20
        Samples and features.
    seed : int, default 0
        Seed of the generator.

    Returns
    -------
    GroupDROLogistic
        With radius 10.

    Examples
    --------
    >>> group_dro(100, 3).size
    8
    """
    rng = np.random.default_rng(seed)
    groups = np.r_[np.arange(5), rng.choice(5, n - 5, p=(0.5, 0.25, 0.15, 0.07, 0.03))]
    common, own = rng.standard_normal(d), rng.standard_normal((5, d))
    X = rng.standard_normal((n, d))
    score = np.einsum("ij,ij->i", X, common + 0.7 * own[groups]) + rng.logistic(size=n)
    return GroupDROLogistic(X, np.where(score > 0, 1.0, -1.0), groups, 10.0)
