"""Robust alternating minimisation: regressions, path, rank detection, acceleration, robustness."""

import numpy as np
import pytest

import fejer
from fejer import MatrixCompletion
from fejer.numerics.random import seed_state
from fejer.problems.lowrank._sweeps import half_sweep, workspace
from fejer.solvers.lowrank import _regressions
from tests.lowrank import twin


def planted(m, n, rank, count, kappa=1.0, seed=0):
    """The instance of `random`, and its matrix."""
    rng = np.random.default_rng(seed)
    A, B = rng.standard_normal((m, rank)), rng.standard_normal((n, rank))
    if kappa != 1:
        A = np.linalg.qr(A)[0] * (np.sqrt(m) * np.geomspace(1, 1 / kappa, rank))
        B = np.linalg.qr(B)[0] * np.sqrt(n)
    problem = MatrixCompletion.random(m, n, rank, count, kappa=kappa, seed=seed)
    X = A @ B.T
    np.testing.assert_allclose(problem.values, X[problem.rows, problem.cols], atol=1e-10)
    return problem, X


def error(result, X):
    return np.linalg.norm(np.asarray(result.matrix) - X) / np.linalg.norm(X)


@pytest.mark.parametrize("sketched", [False, True])
def test_enough_conjugate_gradients_are_ridge_regression(sketched):
    problem = MatrixCompletion.random(30, 200, 4, 4000, noise=0.5, seed=1)
    rng = np.random.default_rng(0)
    U, V = rng.standard_normal((30, 4)), rng.standard_normal((200, 4))
    work = _regressions.workspace(4, 200, np.float64)
    words = seed_state(rng)
    order = problem.orders()[0]
    moved, square = _regressions.inexact_sweep(
        *order, V, (new := U.copy()), 0.3, 12, sketched, words, *work
    )
    for i in range(30):
        seen = problem.rows == i
        G, y = V[problem.cols[seen]], problem.values[seen]
        exact = np.linalg.solve(G.T @ G + 0.3 * np.eye(4), G.T @ y)
        np.testing.assert_allclose(new[i], exact, rtol=1e-9, atol=1e-10)
    assert moved == pytest.approx(np.sum((new - U) ** 2))
    assert square == pytest.approx(
        np.sum((problem.values - (U @ V.T)[problem.rows, problem.cols]) ** 2)
    )


@pytest.mark.parametrize("rows", ["auto", "exact", "pcg", "sketch"])
@pytest.mark.parametrize("kappa", [1, 30])
def test_recovers_the_planted_matrix(rows, kappa):
    problem, X = planted(200, 150, 4, 8 * 4 * 346, kappa)
    result = fejer.minimize(problem, method="altmin", tol=1e-10, options={"rows": rows})
    assert result.success and result.nit <= 60
    assert error(result, X) < 1e-8


@pytest.mark.parametrize("kappa", [1, 10, 30])
def test_finds_rank_10_of_40(kappa):
    problem, X = planted(400, 300, 10, 8 * 10 * 690, kappa)
    result = fejer.minimize(problem.replace(rank=40), method="altmin", tol=1e-9)
    assert result.success and result.found_rank == 10 and result.recovered
    assert error(result, X) < 1e-8 and result.nit <= 60


def test_keeps_components_behind_a_gap_of_their_own():
    problem, X = planted(80, 60, 2, 2000, kappa=100)
    result = fejer.minimize(problem, method="altmin", tol=1e-11)
    assert result.success and result.found_rank == 2
    assert error(result, X) < 1e-9


def test_noise_needs_all_components():
    problem = MatrixCompletion.random(60, 50, 3, 2400, noise=0.1, seed=2).replace(rank=5)
    result = fejer.minimize(problem, method="altmin", tol=1e-8, max_iter=3000)
    assert result.success
    assert twin.stationarity(problem, result.x) <= 1.1e-8
    assert (result.singular_values > 1e-3).all()


@pytest.mark.parametrize("seed", range(4))
def test_few_entries(seed):
    problem, X = planted(150, 140, 3, int(2.4 * 3 * 287), seed=seed)
    result = fejer.minimize(problem, method="altmin", tol=1e-10)
    assert result.success
    wrong = np.abs(np.asarray(result.matrix) - X) > 1e-5
    rows, cols = np.nonzero(wrong)
    assert not result.identified(rows, cols).any()


@pytest.mark.parametrize("perturbation", [0.05, 0.2, 0.4])
def test_contracts_with_perturbed_regressions(perturbation):
    # Every correction gets a random vector of this share of its length on top.
    problem, X = planted(300, 200, 5, 8 * 5 * 495)
    rng = np.random.default_rng(1)
    x = problem.initial_point()
    U, V = (part.copy() for part in twin.split(problem, x))
    errors = []
    for _ in range(14):
        for order, fixed, moving in ((0, V, U), (1, U, V)):
            before = moving.copy()
            half_sweep(*problem.orders()[order], fixed, moving, 1e-12, *workspace(5))
            noise = rng.standard_normal(moving.shape)
            noise *= np.linalg.norm(moving - before, axis=1)[:, None]
            moving += (
                perturbation
                * noise
                / np.linalg.norm(
                    noise / np.maximum(np.linalg.norm(moving - before, axis=1), 1e-300)[:, None],
                    axis=1,
                )[:, None]
            )
        errors.append(np.linalg.norm(U @ V.T - X) / np.linalg.norm(X))
    factor = (errors[-1] / errors[3]) ** (1 / 10)
    assert factor < 0.5, errors


@pytest.mark.parametrize("seed", range(3))
def test_regularised_solution_is_softimputes(seed):
    problem = MatrixCompletion.random(30, 25, 3, 400, noise=0.5, reg=2.0, seed=seed).replace(
        rank=20
    )
    result = fejer.minimize(problem, method="altmin", tol=1e-9)
    assert result.success
    np.testing.assert_allclose(np.asarray(result.matrix), twin.soft_impute(problem, 2.0), atol=1e-3)


def test_single_precision_first_agrees_with_double():
    problem, X = planted(700, 600, 3, 120_000)
    runs = [
        fejer.minimize(problem, method="altmin", tol=1e-12, options={"precision": precision})
        for precision in ("auto", "double")
    ]
    assert all(run.success and error(run, X) < 1e-10 for run in runs)


def test_warm_start_skips_the_path():
    problem, _ = planted(100, 80, 3, 4000)
    result = fejer.minimize(problem, method="altmin", tol=1e-4)
    near = fejer.minimize(problem, result, method="altmin", tol=1e-10)
    cold = fejer.minimize(problem, method="altmin", tol=1e-10)
    assert near.success and near.nit < cold.nit


@pytest.mark.parametrize("scale", [1e-90, 1e-9, 1e9, 1e90])
def test_scale_of_the_data(scale):
    plain, X = planted(60, 50, 2, 1200)
    result = fejer.minimize(plain.replace(values=scale * plain.values), method="altmin", tol=1e-9)
    assert result.success
    np.testing.assert_allclose(np.asarray(result.matrix) / scale, X, atol=1e-6)


def test_degenerate_data_give_finite_answers():
    for m, n, rank, count in (
        (1, 1, 1, 1),
        (1, 9, 1, 5),
        (4, 4, 4, 16),
        (5, 6, 3, 1),
        (9, 8, 4, 12),
    ):
        for reg in (0.0, 0.3):
            problem = MatrixCompletion.random(m, n, rank, count, reg=reg)
            result = fejer.minimize(problem, method="altmin", max_iter=3000)
            assert result.success, (m, n, rank, count, reg, result.message)
    problem = MatrixCompletion.random(12, 10, 2, 70)
    for values in (
        np.zeros(70),
        np.full(70, 2.5),
        np.where(np.arange(70) == 7, 1e9, problem.values),
    ):
        result = fejer.minimize(problem.replace(values=values), method="altmin", max_iter=2000)
        assert np.isfinite(result.x).all()
        assert not result.success or twin.stationarity(result.problem, result.x) <= 1.01e-6


@pytest.mark.parametrize("share", [0.05, 0.2])
def test_regularised_data_of_full_rank_need_no_slow_path(share):
    """Noise everywhere and a generous cap: convex, so that the path may fall at once.

    Acceleration must not mind the components that die.
    """
    problem = MatrixCompletion.random(120, 60, 5, count=3600, noise=1.0)
    problem = problem.replace(rank=40, reg=share * problem.reg_max())
    exact = fejer.minimize(problem, method="als", max_iter=400)
    result = fejer.minimize(problem, method="altmin", max_iter=100)
    assert exact.success and result.success and result.nit <= 0.6 * exact.nit
    assert abs(result.fun - exact.fun) <= 2e-6 * result.certificate.scale
