"""Certificates of matrix completion against a dense twin, cvxpy, softImpute and closed forms."""

import numpy as np
import pytest

import fejer
from fejer import MatrixCompletion
from fejer.problems.lowrank import _completion, _entries
from fejer.testing import check_problem, hostile_witnesses, moved
from tests.lowrank import twin

TOL = 1e-6
REGULARISED = [
    MatrixCompletion.random(12, 10, 6, 70, noise=0.5, reg=1.0, seed=0),
    MatrixCompletion.random(9, 14, 5, 60, noise=0.3, reg=3.0, seed=1),
    MatrixCompletion.random(25, 20, 8, 200, noise=1.0, reg=5.0, seed=2),
]
BOUNDED = [
    MatrixCompletion.random(seed=3),
    MatrixCompletion.random(25, 20, 2, 250, noise=0.3, seed=4),
    MatrixCompletion.random(8, 40, 2, 200, noise=0.1, kappa=5, seed=5),
]


def accurate(problem):
    result = fejer.minimize(problem, method="als", tol=1e-11, max_iter=5000)
    assert result.success, result.message
    return result


def points(problem, seed):
    """A random point, the start, and points of runs that were cut."""
    rng = np.random.default_rng(seed)
    yield rng.standard_normal(problem.size)
    yield 1e3 * rng.standard_normal(problem.size)
    yield problem.initial_point()
    for sweeps in (1, 4, 30):
        yield fejer.minimize(problem, method="als", tol=0.0, max_iter=sweeps).x


@pytest.mark.parametrize("seed", range(25))
def test_certificate_agrees_with_the_twin(seed):
    rng = np.random.default_rng(seed)
    m, n = (int(side) for side in rng.integers(2, 31, 2))
    rank = int(rng.integers(1, min(m, n) + 1))
    count = int(rng.integers(1, m * n + 1))
    reg = (0.0, 0.0, 0.5, 3.0)[seed % 4]
    problem = MatrixCompletion.random(m, n, rank, count, noise=0.1, reg=reg, seed=seed)
    for x in points(problem, seed):
        certificate = problem.judge(x)
        assert certificate.value == pytest.approx(twin.value(problem, x), rel=1e-7, abs=1e-11)
        assert certificate.fun == pytest.approx(twin.objective(problem, x), rel=1e-10, abs=1e-12)
        assert 0 < certificate.details["floor"] <= certificate.value


@pytest.mark.parametrize("problem", REGULARISED)
def test_nuclear_norm_problem_against_cvxpy(problem):
    result = accurate(problem)
    model = problem.to_cvxpy()
    model.solve(solver="CLARABEL")
    assert result.fun == pytest.approx(model.value, rel=1e-6)
    assert result.certificate.lower_bound <= model.value * (1 + 1e-6)
    X = model.variables()[0].value
    np.testing.assert_allclose(np.asarray(result.matrix), X, atol=2e-3 * np.abs(X).max())


def test_nuclear_norm_problem_against_soft_impute():
    problem = MatrixCompletion.random(60, 50, 4, 1200, noise=0.5, reg=4.0, seed=7).replace(rank=30)
    X = twin.soft_impute(problem, problem.reg)
    result = accurate(problem)
    np.testing.assert_allclose(np.asarray(result.matrix), X, atol=1e-6 * np.abs(X).max())
    # The certificate of the other method's answer is as good as ours.
    assert problem.judge(twin.packed(problem, X)).holds(1e-9)


@pytest.mark.parametrize("reg", [0.0, 6.0])
def test_all_entries_observed(reg):
    Y = np.random.default_rng(0).standard_normal((12, 9)) * 4
    rank = 3 if reg == 0 else 9
    problem = MatrixCompletion.from_masked(Y, rank, reg)
    A, s, Bt = np.linalg.svd(Y, full_matrices=False)
    s = np.maximum(s - reg, 0) if reg else np.where(np.arange(9) < rank, s, 0)
    result = accurate(problem)
    np.testing.assert_allclose(np.asarray(result.matrix), (A * s) @ Bt, atol=1e-7)
    np.testing.assert_allclose(result.singular_values, s[:rank], atol=1e-7)


@pytest.mark.parametrize("problem", REGULARISED)
def test_gap_bounds_the_truth(problem):
    best = accurate(problem).fun
    for x in points(problem, 0):
        certificate = problem.judge(x)
        assert certificate.rigorous
        truth = (certificate.fun - best) / certificate.scale
        assert certificate.value >= truth
        assert certificate.lower_bound <= best * (1 + 1e-9)


@pytest.mark.parametrize("problem", REGULARISED)
def test_moved_points_fail_with_every_witness(problem):
    result = fejer.minimize(problem, method="als", tol=1e-10, max_iter=5000)
    seen = 0
    for x, witness in moved(problem, result, 20):
        assert not problem.judge(x, witness).holds(TOL)
        seen += 1
    assert seen >= 38


@pytest.mark.parametrize("problem", BOUNDED)
def test_points_moved_to_three_tol_fail(problem):
    result = accurate(problem)
    rng = np.random.default_rng(1)
    for _ in range(20):
        direction = rng.standard_normal(problem.size)
        low, high = 0.0, 1.0
        for _ in range(60):
            middle = 0.5 * (low + high)
            far = twin.stationarity(problem, result.x + middle * direction) >= 3 * TOL
            low, high = (low, middle) if far else (middle, high)
        assert not problem.judge(result.x + high * direction).holds(TOL)


@pytest.mark.parametrize("problem", [REGULARISED[0], BOUNDED[1]])
def test_witnesses_change_nothing(problem):
    for x in points(problem, 2):
        value = problem.judge(x).value
        for witness in hostile_witnesses({"dual": np.ones(problem.values.size), "x": x}):
            assert problem.judge(x, witness).value == value


@pytest.mark.parametrize("problem", [*REGULARISED, BOUNDED[0]])
def test_laws(problem):
    check_problem(problem)


# The bound of the spectral norm on large data --------------------------------------------------


def test_block_bound_covers_the_norm(monkeypatch):
    monkeypatch.setattr(_entries, "DENSE_SIDE", 0)
    rng = np.random.default_rng(0)
    for seed in range(60):
        m, n = (int(side) for side in rng.integers(3, 40, 2))
        rank = int(rng.integers(1, min(m, n) + 1))
        problem = MatrixCompletion.random(m, n, rank, (m * n + 1) // 2, noise=0.3, seed=seed)
        by_row = problem.orders()[0]
        R = _entries.Residual(by_row, rng.standard_normal(by_row.data.size), problem.shape)
        frame = [np.linalg.qr(rng.standard_normal((side, rank)))[0] for side in (m, n)]
        _, bound, failure = _completion.residual_norm(R, *frame)
        assert bound >= np.linalg.norm(R.toarray(), 2) * (1 - 1e-13)
        assert failure <= 1e-13


def test_large_data_give_the_same_gap(monkeypatch):
    problem = MatrixCompletion.random(120, 90, 5, 4000, noise=1.0, reg=15.0, seed=3).replace(
        rank=40
    )
    result = fejer.minimize(problem, method="als", tol=1e-10, max_iter=5000)
    assert result.success
    monkeypatch.setattr(_entries, "DENSE_SIDE", 0)
    certificate = problem.judge(result.x)
    assert certificate.value <= 1e-8, certificate.details
    assert certificate.value >= twin.gap(problem, result.x) - 1e-12
    assert certificate.rigorous and 0 <= certificate.details["failure_probability"] <= 1e-13


# Views and equivalent data ------------------------------------------------------------------


def test_views():
    problem = MatrixCompletion.random(noise=0.1, seed=2)
    result = accurate(problem)
    X = twin.product(problem, result.x)
    U, V = result.factors
    np.testing.assert_allclose(U @ V.T, X, atol=1e-12)
    np.testing.assert_allclose(U.T @ U, V.T @ V, atol=1e-12)
    assert (U[np.abs(U).argmax(axis=0), [0, 1]] > 0).all()
    s = np.linalg.svd(X, compute_uv=False)
    np.testing.assert_allclose(result.singular_values, s[:2], rtol=1e-12)
    np.testing.assert_array_equal(np.asarray(result.matrix), X)
    np.testing.assert_allclose(result.matrix @ np.ones(20), X.sum(axis=1))
    np.testing.assert_allclose(result.matrix.T @ np.ones(30), X.sum(axis=0))
    np.testing.assert_allclose(result.matrix.rmatvec(np.ones(30)), X.sum(axis=0))
    rows, cols = np.divmod(np.arange(600), 20)
    np.testing.assert_allclose(result.predict(rows, cols), X.ravel(), atol=1e-13)
    for rows, cols in (([30], [0]), ([0], [-1]), ([0, 1], [0]), ([0.5], [0])):
        with pytest.raises(fejer.ProblemError, match=r"^(rows|cols):"):
            result.predict(rows, cols)


def test_matrix_is_a_linear_operator_of_scipy():
    from scipy.sparse.linalg import aslinearoperator

    result = fejer.minimize(MatrixCompletion.random())
    operator = aslinearoperator(result.matrix)
    np.testing.assert_allclose(operator @ np.eye(20), np.asarray(result.matrix), atol=1e-13)


def test_x_is_canonical():
    problem = MatrixCompletion.random(noise=0.1, seed=5)
    result = fejer.minimize(problem, method="als", tol=1e-12)
    rotation = np.random.default_rng(0).standard_normal((2, 2))
    U, V = twin.split(problem, result.x)
    other = np.concatenate([(U @ rotation).ravel(), (V @ np.linalg.inv(rotation).T).ravel()])
    again = fejer.minimize(problem, other, method="als", tol=0.0, max_iter=1)
    np.testing.assert_allclose(again.problem.factors(other)[0], U, atol=1e-12)
    assert problem.judge(other).fun == pytest.approx(result.fun, rel=1e-12)


@pytest.mark.parametrize("reg", [0.0, 1.0])
def test_permuted_transposed_and_scaled_data(reg):
    problem = MatrixCompletion.random(15, 12, 3, noise=0.2, reg=reg, seed=6)
    problem = problem.replace(rank=12 if reg else 3)
    X = np.asarray(accurate(problem).matrix)
    rng = np.random.default_rng(0)
    order = rng.permutation(problem.values.size)
    rows, cols, values = problem.rows[order], problem.cols[order], problem.values[order]
    same = MatrixCompletion(rows, cols, values, (15, 12), problem.rank, reg)
    np.testing.assert_array_equal(accurate(same).x, accurate(problem).x)
    p, q = rng.permutation(15), rng.permutation(12)
    moved_problem = MatrixCompletion(p[rows], q[cols], values, (15, 12), problem.rank, reg)
    moved_X = np.asarray(accurate(moved_problem).matrix)
    np.testing.assert_allclose(moved_X[np.ix_(p, q)], X, atol=1e-7)
    flipped = MatrixCompletion(cols, rows, values, (12, 15), problem.rank, reg)
    np.testing.assert_allclose(np.asarray(accurate(flipped).matrix).T, X, atol=1e-7)
    large = MatrixCompletion(rows, cols, 1e9 * values, (15, 12), problem.rank, 1e9 * reg)
    np.testing.assert_allclose(np.asarray(accurate(large).matrix) / 1e9, X, atol=1e-7)


def test_entries_given_twice():
    problem = MatrixCompletion.random(seed=1)
    twice = MatrixCompletion(
        np.tile(problem.rows, 2), np.tile(problem.cols, 2), np.tile(problem.values, 2), (30, 20), 2
    )
    np.testing.assert_array_equal(twice.rows, problem.rows)
    np.testing.assert_array_equal(twice.values, problem.values)
    # Different values are different terms: their mean is fitted, and the rest stays.
    contrary = MatrixCompletion([0, 0], [0, 0], [1.0, 3.0], (1, 1), 1)
    result = accurate(contrary)
    assert result.predict([0], [0])[0] == pytest.approx(2.0)
    assert result.fun == pytest.approx(1.0)


def test_replace_keeps_what_is_known():
    problem = MatrixCompletion.random(40, 30, 2, seed=1)
    orders = problem.orders()
    for other in (problem.replace(reg=1.0), problem.replace(rank=3), problem.replace()):
        assert other.orders() is orders and other.rows is problem.rows
    halved = problem.replace(values=problem.values / 2)
    assert halved.orders()[0].data == pytest.approx(orders[0].data / 2)
    with pytest.raises(fejer.ProblemError, match="rows"):
        problem.replace(shape=(5, 30))


def test_path_over_reg():
    problem = MatrixCompletion.random(20, 15, 10, 150, noise=0.5, reg=1.0, seed=3)
    S = twin.dense(problem, problem.values)
    assert problem.reg_max() == pytest.approx(np.linalg.norm(S, 2), rel=1e-9)
    path = fejer.path(problem, reg=4, method="als")
    assert path.success
    ranks = [(r.singular_values > 1e-6).sum() for r in path.results]
    assert ranks[0] <= 1 < ranks[-1]
    zero = fejer.minimize(problem.replace(reg=1.01 * problem.reg_max()), method="als")
    assert zero.success and zero.nit == 0 and not zero.x.any()


def test_cvxpy_is_for_the_nuclear_norm():
    with pytest.raises(fejer.ProblemError, match=r"^reg:"):
        MatrixCompletion.random().to_cvxpy()
