"""Points and data made to fool the certificates of the least-squares classes."""

import numpy as np
import pytest
import scipy.sparse
from scipy.optimize import lsq_linear

import fejer
from tests.sparse import twin
from tests.sparse.cases import box, lasso

TOL = 1e-6


def test_cancelling_giants():
    """The computed value was 7.5e-7 where .70 of the null objective was missing."""
    X = np.array([[1 / 3, np.nextafter(1 / 3, 1)]])
    problem = fejer.Lasso(X, [1.0], 1e-40)
    assert problem.judge(np.array([4.5e16, -4.5e16])).value > 0.5


def test_a_column_of_ones_beside_a_large_target():
    """Over the null objective alone one sweep was accepted, 1e-3 above the optimum."""
    rng = np.random.default_rng(0)
    X = np.column_stack([np.ones(200), rng.standard_normal((200, 5))])
    y = 1e4 + X[:, 1:] @ rng.standard_normal(5) + rng.standard_normal(200)
    problem = fejer.Lasso(X, y, 1e-3)
    result = fejer.minimize(problem, method="bcd", options={"block_size": 1}, max_iter=6)
    best = fejer.minimize(problem, method="bcd", tol=1e-9)
    truth = (result.fun - best.fun) / result.certificate.scale
    assert truth > 1e-4 and best.success
    assert result.certificate.value >= truth and not result.success
    assert result.certificate.details["gap_over_null"] < 1e-6


def test_one_sample_of_enormous_weight():
    weights = np.ones(60)
    weights[0] = 1e8
    problem = lasso("plain").replace(sample_weight=weights, lam=1.0)
    better = fejer.minimize(problem, method="bcd", max_iter=20_000)
    for x in (0.99 * better.x, fejer.minimize(problem, method="bcd", max_iter=3).x):
        certificate = problem.judge(x)
        truth = (twin.objective(problem, x) - better.fun) / certificate.scale
        assert truth > 0.01 and certificate.value >= truth
        assert certificate.details["gap_over_null"] < 0.01


@pytest.mark.parametrize("lam", [0.0, 1e-9])
def test_nearly_parallel_columns(lam):
    """Fitting one of two columns that differ by 1e-7 gave 8e-8 by the projected residual."""
    rng = np.random.default_rng(1)
    a, b = rng.standard_normal((2, 40))
    X = np.column_stack([a, a + 1e-7 * b])
    y = a + b
    problem = fejer.Lasso(X, y, lam)
    x = np.array([a @ y / (a @ a), 0.0])
    optimum = 0.5 * np.sum((y - X @ np.linalg.lstsq(X, y, rcond=None)[0]) ** 2)
    truth = (problem.objective(x) - optimum) / problem.judge(x).scale
    assert truth > 0.3
    if lam == 0.0:
        assert problem.judge(x).value >= truth * (1 - 1e-6)
    else:
        assert problem.judge(x).value > TOL
    result = fejer.minimize(problem, max_iter=2000)
    assert not result.success or (result.fun - optimum) / problem.judge(result.x).scale < 1e-5


def test_slow_nonnegative_least_squares():
    """A long run of FISTA on a hard instance gave 7.8e-7 where 2.6 % were missing."""
    rng = np.random.default_rng(3)
    n = 40
    t = np.linspace(0, 1, n)
    X = np.exp(-np.outer(t, np.linspace(0.1, 10, 25)))  # exponentials: condition about 1e17
    y = X @ rng.random(25) + 1e-6 * rng.standard_normal(n)
    problem = fejer.BoxLeastSquares(X, y)
    best = lsq_linear(X, y, (0, np.inf), method="bvls", tol=1e-15).x
    optimum = twin.objective(problem, np.clip(best, 0, None))
    for budget in (10, 300, 3000):
        result = fejer.minimize(problem, method="fista", max_iter=budget)
        truth = (twin.objective(problem, result.x) - optimum) / result.certificate.scale
        assert result.certificate.value >= truth * (1 - 1e-6) - 1e-12


@pytest.mark.parametrize("offset", [0.0, 7.3, 1e8, -1e-9])
def test_constant_target_and_wrong_constants(offset):
    """A constant y has no null objective to measure with; wrong constants passed."""
    rng = np.random.default_rng(4)
    X = rng.standard_normal((20, 3)) + 10.0
    problem = fejer.Lasso(X, np.full(20, offset), 0.1, fit_intercept=True)
    assert fejer.minimize(problem).nit == 0
    size = abs(offset) or 1.0
    for step in (1e-4, 1e-2, 1.0, 1e4):
        for sign in (-1, 1):
            x = np.array([0.0, 0.0, 0.0, offset + sign * step * size])
            assert not problem.judge(x).holds(TOL)
    assert not problem.judge(np.array([0.1 * size, 0.0, 0.0, offset])).holds(TOL)


def test_wrong_constants_on_random_data():
    rng = np.random.default_rng(5)
    problem = lasso("intercept")
    result = fejer.minimize(problem, method="bcd", tol=1e-12)
    for step in 10.0 ** rng.uniform(-9, 6, 300):
        x = result.x.copy()
        x[-1] += step * rng.choice([-1, 1])
        certificate = problem.judge(x)
        excess = (twin.objective(problem, x) - result.fun) / certificate.scale
        assert certificate.value >= excess * (1 - 1e-9) - 1e-13


def test_outside_the_box():
    problem = lasso("positive")
    result = fejer.minimize(problem, method="bcd", tol=1e-12)
    j = int(np.flatnonzero(result.x == 0)[0])
    x = result.x.copy()
    for step in (1e-6, 1e-3, 1.0, 1e9):
        x[j] = -step
        certificate = problem.judge(x)
        assert certificate.value == np.inf and "bounds" in certificate.reason
    x[j] = -1e-14
    assert 0 < problem.judge(x).value < 1e-11
    x[j] = -1e-11 * np.abs(result.x).max()
    assert 1e-12 < problem.judge(x).value < 1e-8
    # A zero column shows no misfit, yet its bound counts.
    X = np.column_stack([problem.X.dense, np.zeros(60)])
    other = fejer.Lasso(X, problem.y, problem.lam, positive=True)
    assert other.judge(np.append(result.x, -1e-3)).value == np.inf


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_points_that_are_not_finite(bad):
    for problem in (lasso("all"), box("nonnegative")):
        x = problem.initial_point()
        x[0] = bad
        certificate = fejer.verify(problem, x)
        assert certificate.value == np.inf and certificate.reason


@pytest.mark.parametrize("size", [1e8, 1e50, 1e160, 1e200, 1e300])
def test_giant_points(size):
    for problem in (lasso("plain"), lasso("all"), lasso("huge box"), box("free")):
        x = size * np.ones(problem.size)
        certificate = problem.judge(x)
        assert certificate.value > 1e-3 and not np.isnan(certificate.value)
        assert certificate.value < np.inf or certificate.reason
        if problem.lam or size > 1e99:  # a start is refused beyond
            continue
        result = fejer.minimize(problem, x, method="bcd", max_iter=300)
        truth = result.fun - twin.objective(problem, fejer.minimize(problem, tol=1e-9).x)
        assert not result.success or truth <= 2e-6 * result.certificate.scale


HOSTILE = {
    "tiny coefficients": (1e-9, 1.0),
    "huge coefficients": (1e9, 1.0),
    "tiny target": (1.0, 1e-40),
    "huge target": (1.0, 1e60),
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("constant", [False, True])
def test_scaled_data_are_solved_alike(name, constant):
    a, b = HOSTILE[name]
    problem = lasso("intercept" if constant else "plain")
    other = problem.replace(X=a * problem.X.dense, y=b * problem.y, lam=a * b * problem.lam)
    assert other.lam_max() == pytest.approx(a * b * problem.lam_max())
    for method in ("bcd", "fista"):
        result = fejer.minimize(other, method=method)
        assert result.success
        assert problem.judge(result.x * _back(problem, a, b)).value < 1e-5


def _back(problem, a, b):
    factor = np.full(problem.size, a / b)
    if problem.fit_intercept:
        factor[-1] = 1 / b
    return factor


def test_columns_of_mixed_size():
    scales = 10.0 ** np.linspace(-4, 4, 40)
    problem = lasso("plain")
    mixed = fejer.Lasso(problem.X.dense * scales, problem.y, problem.lam, weights=scales)
    plain = fejer.minimize(problem, method="bcd", tol=1e-10)
    result = fejer.minimize(mixed, method="bcd", tol=1e-10)
    assert result.success and result.fun == pytest.approx(plain.fun, rel=1e-9)
    # One small column left out is noticed.
    j = plain.support[0]
    left = result.x.copy()
    left[j] = 0.0
    assert mixed.judge(left).value >= (twin.objective(mixed, left) - plain.fun) / plain.fun - 1e-9


def test_near_duplicates_zero_columns_and_single_entries():
    rng = np.random.default_rng(6)
    A = rng.standard_normal((30, 4))
    X = np.column_stack([A, A, A + 1e-9 * rng.standard_normal((30, 4)), np.zeros((30, 2))])
    y = rng.standard_normal(30)
    single = fejer.minimize(fejer.Lasso(A, y, 0.5), method="bcd", tol=1e-12)
    for method in ("bcd", "fista"):
        result = fejer.minimize(fejer.Lasso(X, y, 0.5), method=method, tol=1e-8)
        assert result.success and not result.x[12:].any()
        assert result.fun == pytest.approx(single.fun, rel=1e-6)
        one = fejer.minimize(fejer.Lasso([[2.0]], [3.0], 1.0), method=method)
        np.testing.assert_allclose(one.x, [1.25], rtol=1e-5)
        assert fejer.minimize(fejer.Lasso(A, np.zeros(30), 0.1), method=method).nit == 0
        assert fejer.minimize(fejer.Lasso(X[:1], y[:1], 0.01), method=method).success


def test_tiny_columns_do_not_overflow():
    problem = lasso("plain")
    X = np.array(problem.X.dense)
    X[:, 0] *= 1e-150
    X[:, 1] *= 1e-170
    other = problem.replace(X=X)
    for method in ("bcd", "fista"):
        result = fejer.minimize(other, method=method)
        assert result.success and np.abs(result.x).max() < 10


@pytest.mark.parametrize("lam", [1e-6, 1e-12, 1e-30])
def test_vanishing_penalties_are_never_falsely_certified(lam):
    problem = lasso("wide").replace(lam=lam)
    result = fejer.minimize(problem, max_iter=3000)
    # The minimum norm interpolant costs lam times its 1-norm: an upper bound of the optimum.
    w = np.linalg.lstsq(problem.X.dense, problem.y, rcond=None)[0]
    upper = twin.objective(problem, w)
    assert not result.success or result.fun <= upper * (1 + 1e-5) + 1.1e-6 * (
        result.certificate.scale
    )


def test_sparse_columns_nearly_constant_with_an_intercept():
    X = scipy.sparse.csc_array(np.column_stack([np.ones(50) / 3, np.arange(50.0) % 7]))
    y = np.cos(np.arange(50.0)) + 3
    for lam in (0.0, 0.1):
        problem = fejer.Lasso(X, y, lam, fit_intercept=True)
        dense = problem.replace(X=X.toarray())
        result = fejer.minimize(problem, method="bcd", tol=1e-10)
        assert result.success and abs(result.x[0]) < 1e3
        assert dense.judge(result.x).value < 1e-9
