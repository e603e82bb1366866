"""Sub-gradient method and scaled gradient descent on matrix sensing and completion."""

import numpy as np
import pytest

import fejer
from fejer import MatrixCompletion, MatrixSensing
from fejer.driver import Run
from fejer.solvers.lowrank.subgm import signed_pass
from tests.lowrank.test_matrix_sensing import planted


def error(matrix, X):
    return np.linalg.norm(np.asarray(matrix) - X) / np.linalg.norm(X)


def test_pass_is_two_products():
    rng = np.random.default_rng(0)
    A, x, y = rng.standard_normal((50, 17)), rng.standard_normal(17), rng.standard_normal(50)
    r, out = np.empty(50), np.empty(17)
    signed_pass(A, x, y, r, out)
    np.testing.assert_allclose(r, A @ x - y, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(out, np.sign(A @ x - y) @ A / 50, rtol=1e-12, atol=1e-12)


def test_packed_rows_measure_symmetric_matrices():
    problem, _, X = planted(9, 2, 40)
    upper = np.triu_indices(9)
    np.testing.assert_allclose(problem.packed() @ X[upper], problem.measure(X), atol=1e-12)


@pytest.mark.parametrize(
    ("count", "share", "quantile"), [(600, 0.1, 0.5), (1000, 0.3, 0.5), (2400, 0.5, 0.2)]
)
def test_iterations_do_not_depend_on_the_rank_asked_for(count, share, quantile):
    problem, _, X = planted(20, 2, count, outliers=share)
    taken = []
    for rank in (2, 4, 8, 20):
        run = Run(
            problem.replace(rank=rank),
            method="subgm",
            options={"quantile": quantile, "finish": "none", "alpha": 1e-10},
            tol=0.0,
        )
        run.open()
        while error(run.problem.matrix(run.state.x), X) > 1e-8:
            run.forward(run.nit + 1)
            assert run.nit < 400
        taken.append(run.nit)
    assert max(taken) <= 1.05 * min(taken) + 1, taken


@pytest.mark.parametrize("share", [0.1, 0.3])
@pytest.mark.parametrize("rank", [2, 8, 20])
def test_recovers_exactly(share, rank):
    problem, _, X = planted(20, 2, 1000, outliers=share)
    result = fejer.minimize(problem.replace(rank=rank), method="subgm")
    assert result.success and error(result.matrix, X) < 1e-8
    wrong = np.abs(problem.measure(X) - problem.y) > 1e-3
    assert (wrong == result.outliers).mean() > 0.999


def test_rectangular_and_ill_conditioned():
    problem, _, X = planted(15, 2, 900, 20, outliers=0.2)
    result = fejer.minimize(problem.replace(rank=5), method="subgm")
    assert result.success and error(result.matrix, X) < 1e-7
    problem, _, X = planted(20, 2, 900, kappa=5, outliers=0.1)
    result = fejer.minimize(problem.replace(rank=6), method="subgm")
    assert result.success and error(result.matrix, X) < 1e-7


def test_floor_is_proportional_to_the_size_of_the_start():
    problem, _, X = planted(20, 2, 600, outliers=0.1)
    problem = problem.replace(rank=20)
    floors = []
    sizes = (1e-2, 1e-4, 1e-6, 1e-8)
    for alpha in sizes:
        options = {"alpha": alpha, "finish": "none"}
        run = Run(problem, method="subgm", options=options, tol=0.0)
        run.open()
        run.forward(300)
        floors.append(error(problem.matrix(run.state.best), X))
    slope = np.polyfit(np.log(sizes), np.log(floors), 1)[0]
    assert 0.85 < slope < 1.15, floors


def test_sigma_estimates_the_distance():
    problem, _, X = planted(20, 2, 1200, outliers=0.1)
    run = Run(problem, method="subgm", options={"finish": "none"}, tol=0.0)
    run.open()
    for k in range(10, 110, 10):
        run.forward(k)
        distance = error(run.problem.matrix(run.state.best), X) * np.linalg.norm(X)
        assert 0.7 < run.state.sigma / distance < 1.3


def test_geometric_schedule():
    problem, _, X = planted(12, 1, 400, outliers=0.1)
    options = {"schedule": "geometric", "step": 0.6, "ratio": 0.98, "alpha": 1e-4, "finish": "none"}
    result = fejer.minimize(problem, method="subgm", options=options, tol=0.0, max_iter=800)
    assert error(result.matrix, X) < 1e-3


def test_noise_in_all_measurements():
    problem, _, X = planted(20, 2, 2400, noise=0.1)
    result = fejer.minimize(problem.replace(rank=6), method="subgm", max_iter=3000)
    assert not result.success and np.isfinite(result.x).all()
    run = Run(problem.replace(rank=6), method="subgm", tol=0.0, max_iter=1000)
    found = run.solve()
    assert error(run.problem.matrix(run.state.best), X) < 0.05 and found is not None


def test_loss_decides_the_method():
    with pytest.raises(fejer.errors.MethodError, match="scaled-gd"):
        fejer.minimize(MatrixSensing.random(loss="l2"), method="subgm")
    with pytest.raises(fejer.errors.MethodError, match="l1"):
        fejer.minimize(MatrixSensing.random(), method="scaled-gd")


@pytest.mark.parametrize("kappa", [1, 5, 20])
def test_scaled_descent_does_not_feel_the_condition_number(kappa):
    problem, _, X = planted(15, 2, 900, 12, kappa=kappa, loss="l2")
    result = fejer.minimize(problem, method="scaled-gd", tol=1e-10, max_iter=120)
    assert result.success and error(result.matrix, X) < 1e-8
    plain = fejer.minimize(
        problem, method="scaled-gd", tol=1e-10, max_iter=120, options={"scaled": False}
    )
    assert plain.success == (kappa == 1)


def test_contraction_of_scaled_descent():
    problem, _, X = planted(15, 2, 2000, kappa=10, loss="l2")
    run = Run(problem, method="scaled-gd", tol=0.0)
    run.open()
    last = error(problem.matrix(run.state.x), X)
    for k in range(1, 15):
        run.forward(k)
        now = error(problem.matrix(run.state.x), X)
        assert now <= (1 - 0.6 * 0.5) * last * 1.1
        last = now


def test_scaled_descent_completes_matrices():
    problem = MatrixCompletion.random(100, 80, 3, 5000, kappa=5)
    result = fejer.minimize(problem, method="scaled-gd", tol=1e-8, max_iter=3000)
    assert result.success and result.recovered
    over = fejer.minimize(
        MatrixSensing.random(12, 1, 400, loss="l2").replace(rank=4),
        method="scaled-gd",
        options={"damping": 0.1},
    )
    assert over.success
