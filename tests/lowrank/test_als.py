"""Alternating least squares: exact half sweeps, monotone decrease, rates, starts."""

import numpy as np
import pytest

import fejer
from fejer import MatrixCompletion
from fejer.driver import Run
from fejer.problems.lowrank._sweeps import half_sweep, workspace
from tests.lowrank import twin


def half(problem, fixed, moving, lam, by_row=True):
    ordering = problem.orders()[0 if by_row else 1]
    return half_sweep(*ordering, fixed, moving, lam, *workspace(problem.rank))[0]


def objective(problem, U, V, lam):
    r = problem.values - np.einsum("ij,ij->i", U[problem.rows], V[problem.cols])
    return 0.5 * r @ r + 0.5 * lam * (np.vdot(U, U) + np.vdot(V, V))


@pytest.mark.parametrize("rank", [1, 3, 8])
@pytest.mark.parametrize("lam", [1e-9, 0.5, 40.0])
def test_half_sweep_is_dense_ridge_regression(rank, lam):
    problem = MatrixCompletion.random(40, 300, rank, 9000, noise=0.5, seed=rank)
    rng = np.random.default_rng(0)
    U, V = rng.standard_normal((40, rank)), rng.standard_normal((300, rank))
    before = U.copy()
    moved = half(problem, V, U, lam)
    for i in range(40):  # rows have about 225 entries, some more than one block of 256
        seen = problem.rows == i
        G, y = V[problem.cols[seen]], problem.values[seen]
        exact = np.linalg.solve(G.T @ G + lam * np.eye(rank), G.T @ y)
        np.testing.assert_allclose(U[i], exact, rtol=1e-10, atol=1e-11)
    assert moved == pytest.approx(np.sum((U - before) ** 2))


def test_rows_without_and_with_too_few_entries():
    problem = MatrixCompletion([0, 0, 0, 2], [0, 1, 2, 0], [1.0, 2, 3, 4], (3, 3), 2)
    V = np.random.default_rng(0).standard_normal((3, 2))
    U = np.ones((3, 2))
    for _ in range(3):
        half(problem, V, U, 1e-14)
    assert (U[1] == 0).all()
    assert U[2] @ V[0] == pytest.approx(4.0, abs=1e-8)
    assert np.isfinite(U).all()


@pytest.mark.parametrize("reg", [1e-9, 0.3, 5.0])
def test_objective_never_increases(reg):
    problem = MatrixCompletion.random(25, 20, 4, 260, noise=0.5, reg=reg, seed=3)
    rng = np.random.default_rng(1)
    U, V = rng.standard_normal((25, 4)), rng.standard_normal((20, 4))
    last = objective(problem, U, V, reg)
    for _ in range(40):
        half(problem, V, U, reg)
        middle = objective(problem, U, V, reg)
        half(problem, U, V, reg, by_row=False)
        end = objective(problem, U, V, reg)
        assert end <= middle * (1 + 1e-12) and middle <= last * (1 + 1e-12)
        last = end


@pytest.mark.parametrize("reg", [0.0, 2.0])
def test_recorded_objective_never_increases(reg):
    problem = MatrixCompletion.random(25, 20, 4, 260, noise=0.5, reg=reg, seed=3)
    result = fejer.minimize(problem, method="als", tol=0.0, max_iter=60, trace="every")
    fun = result.trace.fun
    assert (np.diff(fun) <= 1e-12 * fun[:-1]).all()


def test_partial_gradients_obey_their_bound():
    reg = 0.5
    for seed in range(5):
        problem = MatrixCompletion.random(15, 12, 3, 100, noise=0.5, reg=reg, seed=seed)
        run = Run(problem, method="als", options={"start": "random"}, tol=0.0)
        run.open()
        total, first, curvature = 0.0, None, None
        for k in range(1, 60):
            U, V = problem.factors(run.state.x) if k > 1 else twin.split(problem, run.state.x)
            value = objective(problem, U, V, reg)
            if first is None:
                first, curvature = value, 2 * value / reg + reg
            assert total <= 2 * curvature * (first - value) * (1 + 1e-9)
            R = twin.dense(problem, problem.values - (U @ V.T)[problem.rows, problem.cols])
            total += np.sum((reg * U - R @ V) ** 2)
            run.forward(k)


def test_observed_rate_is_linear():
    problem = MatrixCompletion.random(60, 50, 3, 2000, noise=0.1, seed=0)
    result = fejer.minimize(problem, method="als", tol=0.0, max_iter=60, trace="every")
    fit = result.trace.rate(floor=1e-14)
    assert fit.form == "linear" and fit.factor < 0.9


@pytest.mark.parametrize("start", ["spectral", "random"])
def test_recovers_the_planted_matrix(start):
    rng = np.random.default_rng(5)
    X = rng.standard_normal((80, 3)) @ rng.standard_normal((3, 60))
    M = np.where(rng.random(X.shape) < 0.4, X, np.nan)
    problem = MatrixCompletion.from_masked(M, 3)
    result = fejer.minimize(problem, method="als", tol=1e-11, options={"start": start})
    assert result.success
    np.testing.assert_allclose(np.asarray(result.matrix), X, atol=1e-7)


def test_warm_start_from_another_reg_and_from_the_answer():
    problem = MatrixCompletion.random(30, 25, 3, 400, noise=0.5, reg=2.0, seed=1).replace(rank=20)
    result = fejer.minimize(problem, method="als", tol=1e-9)
    assert fejer.minimize(problem, result, method="als", tol=1e-9).nit == 0
    near = problem.replace(reg=1.95)
    cold = fejer.minimize(near, method="als", tol=1e-9)
    warm = fejer.minimize(near, result, method="als", tol=1e-9)
    assert warm.success and warm.nit <= cold.nit


def test_components_that_the_start_lacks_are_found():
    problem = MatrixCompletion.random(seed=1)
    low = fejer.minimize(problem.replace(rank=1), method="als")
    x0 = np.zeros(problem.size)
    U, V = twin.split(problem, x0)
    U[:, :1], V[:, :1] = low.factors
    result = fejer.minimize(problem, x0, method="als")
    assert result.success and result.certificate.details["fit"] < 1e-5


def test_work_is_counted_in_passes():
    problem = MatrixCompletion.random()
    result = fejer.minimize(problem, method="als", tol=0.0, max_iter=7)
    assert result.work == 14 and result.nfev == 0
