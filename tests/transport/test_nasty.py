"""Nasty data for every class beside `EntropicOT`, and what must not change a solution."""

import numpy as np
import pytest

import fejer
from fejer.benchmarks.instances.transport import instance

INF = np.inf


def data():
    """Weights and costs that peers fail on."""
    rng = np.random.default_rng(0)
    line = np.linspace(-9.0, 9.0, 41)
    bells = [np.exp(-((line - c) ** 2) / 2) for c in (1.0, -1.0)]  # down to 1e-22
    points = rng.integers(0, 3, (20, 2)).astype(float)
    forbidden = np.where(rng.random((8, 8)) < 0.4, INF, rng.random((8, 8)))
    np.fill_diagonal(forbidden, 0.5)
    huge = rng.random((5, 5))
    huge[0, 1:] = 1e32
    steep = np.exp(-np.arange(16.0))
    uniform = np.full(16, 1.0 / 16)
    return {
        "tiny weights": (*(w / w.sum() for w in bells), (line[:, None] - line) ** 2),
        "weights down to 1e-7": (steep / steep.sum(), uniform, rng.random((16, 16))),
        "duplicates": (None, None, fejer.PointCloud(points, points)),
        "constant": (None, None, np.full((7, 5), 3.0)),
        "zeros": (None, None, np.zeros((4, 4))),
        "negative": (None, None, -rng.random((4, 6))),
        "one row": (None, [0.2, 0.3, 0.5], rng.random((1, 3))),
        "one column": ([0.2, 0.8], None, rng.random((2, 1))),
        "one entry": (None, None, [[2.0]]),
        "zero weights": ([0, 0.5, 0.5], [0.25, 0, 0.75], rng.random((3, 3))),
        "forbidden": (None, None, forbidden),
        "stand-in for infinity": (None, None, huge),
        "tiny range": (None, None, 1 + 1e-12 * rng.random((6, 6))),
        "tiny costs": (None, None, 1e-12 * rng.random((6, 6))),
        "large costs": (None, None, 1e9 * rng.random((6, 6))),
        "masses": ([3e8, 1e8], [2e8, 2e8], [[0.0, 1.0], [1.0, 0.0]]),
        "a hundred to one": (None, None, rng.random((1, 100))),
    }


def typical(name):
    """The size of the costs, to which weights of regularisers are put in relation."""
    cost = data()[name][2]
    cost = cost.matrix if isinstance(cost, fejer.PointCloud) else np.asarray(cost)
    finite = cost[np.isfinite(cost)]
    return float(np.median(np.abs(finite))) or 1.0


def make(kind, name):
    a, b, cost = data()[name]
    size = typical(name)
    mass = 1.0 if a is None or kind != "QuadraticOT" else float(np.sum(a))
    if kind == "ExactOT":
        return fejer.ExactOT(a, b, cost)
    if kind == "QuadraticOT":
        return fejer.QuadraticOT(a, b, cost, gamma=size / mass)
    if kind == "SparseOT":
        return fejer.SparseOT(a, b, cost, gamma=size, k=max(1, np.shape(cost)[1] // 2))
    return fejer.UnbalancedOT(a, b, cost, 0.1 * size, size, size)


@pytest.mark.parametrize("name", list(data()))
@pytest.mark.parametrize("kind", ["ExactOT", "QuadraticOT", "SparseOT", "UnbalancedOT"])
def test_every_class_solves_them_or_says_that_it_did_not(kind, name):
    problem = make(kind, name)
    result = fejer.minimize(problem, max_iter=3000)
    certificate = result.certificate
    assert np.isfinite(result.x).all() and certificate.value >= 0
    assert result.success == (certificate.value <= 1e-6)
    if kind != "SparseOT":
        assert result.success, result
    elif not np.isfinite(certificate.value):
        assert certificate.kind == "relaxed"
        return
    P = result.plan.toarray()
    assert np.isfinite(P).all() and P.min() >= 0
    cost = data()[name][2]
    matrix = cost.matrix if isinstance(cost, fejer.PointCloud) else np.asarray(cost)
    assert not P[~np.isfinite(matrix)].any()
    if kind != "UnbalancedOT":
        tiny = 1e-15 * problem.a.sum()
        assert P.sum(axis=1) == pytest.approx(problem.a, rel=1e-9, abs=tiny)
        assert P.sum(axis=0) == pytest.approx(problem.b, rel=1e-9, abs=tiny)
    if kind == "SparseOT":
        assert (P > 0).sum(axis=1).max() <= problem.k


MAKERS = {
    "ExactOT": lambda a, b, C, unit=1.0: fejer.ExactOT(a, b, C),
    "EntropicOT": lambda a, b, C, unit=1.0: fejer.EntropicOT(a, b, C, eps=0.05 * unit),
    "QuadraticOT": lambda a, b, C, unit=1.0: fejer.QuadraticOT(a, b, C, gamma=unit),
    "SparseOT": lambda a, b, C, unit=1.0: fejer.SparseOT(a, b, C, gamma=unit, k=9),
    "UnbalancedOT": lambda a, b, C, unit=1.0: fejer.UnbalancedOT(
        a, b, C, 0.05 * unit, 0.7 * unit, 0.7 * unit
    ),
}


def solved(problem):
    result = fejer.minimize(problem, tol=1e-10, max_iter=20_000)
    assert result.success, result
    return result


@pytest.mark.parametrize("kind", list(MAKERS))
def test_symmetries(kind):
    """Swapped sides, other orders, other units, and constants of rows and columns."""
    make, rng = MAKERS[kind], np.random.default_rng(0)
    a, b = rng.random(9) + 0.5, rng.random(9) + 0.5
    a, b, C = a / a.sum(), b / b.sum(), rng.random((9, 9))
    plain = solved(make(a, b, C))
    P = plain.plan.toarray()
    rows, columns = rng.permutation(9), rng.permutation(9)
    mixed = solved(make(a[rows], b[columns], C[np.ix_(rows, columns)]))
    assert mixed.plan.toarray() == pytest.approx(P[np.ix_(rows, columns)], abs=1e-5)
    assert solved(make(b, a, C.T)).plan.toarray() == pytest.approx(P.T, abs=1e-5)
    scaled = solved(make(a, b, 1e3 * C, 1e3))
    assert scaled.plan.toarray() == pytest.approx(P, abs=1e-5)
    assert scaled.fun == pytest.approx(1e3 * plain.fun, rel=1e-6)
    if kind != "UnbalancedOT":
        alpha, beta = rng.random(9), rng.random(9)
        moved = solved(make(a, b, C + alpha[:, None] + beta))
        assert moved.plan.toarray() == pytest.approx(P, abs=1e-5)
        assert moved.fun - plain.fun == pytest.approx(a @ alpha + b @ beta, abs=1e-7)


@pytest.mark.parametrize("gamma", [0.1, 10.0])
def test_duals_fall_towards_the_quadratic_one(gamma):
    """More entries allowed is a smaller optimum, bounded by the problem without a limit."""
    a, b, C = instance("pc2", 16)
    bounds = [
        fejer.minimize(fejer.SparseOT(a, b, C, gamma, k), max_iter=2000).certificate.lower_bound
        for k in (1, 2, 4, 8, 16)
    ]
    full = fejer.minimize(fejer.QuadraticOT(a, b, C, gamma), tol=1e-10).fun
    assert np.diff(bounds).max() <= 1e-6 and min(bounds) >= full - 1e-6


@pytest.mark.parametrize("name", ["one support", "sharp", "constant", "duplicates"])
def test_nasty_barycenters(name):
    rng = np.random.default_rng(1)
    line = np.linspace(0.0, 1.0, 8)
    cost = (line[:, None] - line) ** 2
    measures = rng.random((3, 8)) + 0.1
    eps = 0.05
    if name == "one support":
        measures[:] = np.eye(8)[2]
    elif name == "sharp":
        eps = 1e-3
    elif name == "constant":
        cost = np.full((8, 8), 2.0)
    else:
        cost = np.abs(np.repeat(line[::2], 2)[:, None] - np.repeat(line[::2], 2))
    measures /= measures.sum(axis=1, keepdims=True)
    result = fejer.minimize(fejer.Barycenter(measures, cost, eps), tol=1e-7, max_iter=20_000)
    assert result.success, result
    q = result.barycenter
    assert q.min() >= 0 and q.sum() == pytest.approx(1.0)
