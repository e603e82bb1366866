"""Krylov methods against dense linear algebra and the theorems on their rates."""

import numpy as np
import pytest
from scipy.sparse.linalg import minres as scipy_minres

from fejer.numerics import krylov


def spd(n, condition, seed=0):
    rng = np.random.default_rng(seed)
    Q = np.linalg.qr(rng.normal(size=(n, n)))[0]
    return Q * np.geomspace(1.0, condition, n) @ Q.T


@pytest.mark.parametrize("start", [None, np.linspace(-1.0, 1.0, 60)])
def test_cg_solves_within_the_bound(start):
    A, b = spd(60, 100.0), np.arange(60.0)
    exact = np.linalg.solve(A, b)
    result = krylov.cg(lambda v: A @ v, b, x0=start, tol=1e-12)
    assert result.reason == "converged"
    assert np.linalg.norm(b - A @ result.x) <= 2e-12 * np.linalg.norm(b)
    np.testing.assert_allclose(result.x, exact, rtol=1e-8)
    first = exact if start is None else exact - start
    for k in (5, 10, 20):
        error = krylov.cg(lambda v: A @ v, b, x0=start, tol=0.0, max_iter=k).x - exact
        bound = 2.0 * (9.0 / 11.0) ** k * np.sqrt(first @ A @ first)
        assert np.sqrt(error @ A @ error) <= bound


def test_cg_with_the_inverse_as_preconditioner_needs_one_step():
    A, b = spd(30, 1e6), np.ones(30)
    inverse = np.linalg.inv(A)
    result = krylov.cg(lambda v: A @ v, b, preconditioner=lambda v: inverse @ v, tol=1e-8)
    assert (result.nit, result.reason) == (1, "converged")


def test_cg_reports_negative_curvature():
    A = np.diag([3.0, 2.0, -1.0])
    result = krylov.cg(lambda v: A @ v, np.ones(3))
    assert result.reason == "curvature"
    assert result.direction @ A @ result.direction <= 0.0
    flat = krylov.cg(lambda v: 0.0 * v, np.ones(3))
    assert flat.reason == "curvature"


def test_zero_right_hand_side():
    for solve in (krylov.cg, krylov.minres):
        result = solve(lambda v: v, np.zeros(4))
        assert (result.nit, result.residual, result.reason) == (0, 0.0, "converged")


def test_limit_is_kept():
    A, b = spd(50, 1e4), np.ones(50)
    for solve in (krylov.cg, krylov.minres):
        calls = []
        result = solve(lambda v, calls=calls: calls.append(1) or A @ v, b, max_iter=7)
        assert result.reason == "limit" and result.nit == len(calls) == 7


@pytest.mark.parametrize("start", [None, np.linspace(-1.0, 1.0, 40)])
def test_minres_on_an_indefinite_matrix(start):
    A = spd(40, 50.0)
    A = A - 20.0 * np.eye(40)
    b = np.arange(40.0)
    result = krylov.minres(lambda v: A @ v, b, x0=start, tol=1e-11)
    assert result.reason == "converged"
    true = np.linalg.norm(b - A @ result.x)
    assert true <= 5e-11 * np.linalg.norm(b)
    theirs, _ = scipy_minres(A, b, rtol=1e-13)
    np.testing.assert_allclose(result.x, theirs, rtol=1e-6)
    norms = [krylov.minres(lambda v: A @ v, b, x0=start, tol=0.0, max_iter=k) for k in range(25)]
    for one in norms:
        assert one.residual == pytest.approx(np.linalg.norm(b - A @ one.x), rel=1e-8)
    assert np.all(np.diff([one.residual for one in norms]) <= 0.0)


def test_minres_on_a_singular_matrix():
    A = np.diag([2.0, 1.0, -1.0, 0.0])
    inside = krylov.minres(lambda v: A @ v, np.array([2.0, 1.0, 1.0, 0.0]))
    assert inside.reason == "converged"
    np.testing.assert_allclose(inside.x, [1.0, 1.0, -1.0, 0.0], atol=1e-12)
    outside = krylov.minres(lambda v: A @ v, np.array([2.0, 1.0, 1.0, 3.0]))
    assert outside.reason == "limit"
    assert outside.residual == pytest.approx(3.0, rel=1e-8)


def test_lanczos_relation_and_exhaustion():
    A, start = spd(25, 30.0), np.ones(25)
    diagonal, off, V = krylov.lanczos(lambda v: A @ v, start, 10)
    T = np.diag(diagonal) + np.diag(off[:-1], 1) + np.diag(off[:-1], -1)
    np.testing.assert_allclose(V.T @ V, np.eye(10), atol=1e-13)
    left = A @ V - V @ T
    np.testing.assert_allclose(left[:, :-1], 0.0, atol=1e-11)
    assert np.linalg.norm(left[:, -1]) == pytest.approx(off[-1], rel=1e-10)
    few, *_ = krylov.lanczos(lambda v: np.repeat([1.0, 4.0], 10) * v, np.ones(20), 10)
    assert few.size == 2


@pytest.mark.parametrize("n", [1, 2, 5, 200])
def test_largest_eigenvalue(n):
    A = spd(n, 1e3, seed=n) - 10.0 * np.eye(n)
    top = np.linalg.eigvalsh(A)[-1]
    value, error = krylov.largest_eigenvalue(lambda v: A @ v, n, tol=1e-6)
    assert value == pytest.approx(top, rel=1e-9)
    assert error <= 1e-6 * abs(top)
    assert krylov.largest_eigenvalue(lambda v: 0.0 * v, n) == (0.0, 0.0)


def test_power_iteration_takes_the_largest_modulus():
    A = np.diag([-5.0, 3.0, 1.0])
    value, vector = krylov.power_iteration(lambda v: A @ v, np.ones(3), tol=1e-10)
    assert value == pytest.approx(-5.0, rel=1e-12)
    np.testing.assert_allclose(np.abs(vector), [1.0, 0.0, 0.0], atol=1e-9)
    assert krylov.power_iteration(lambda v: 0.0 * v, np.ones(3))[0] == 0.0
