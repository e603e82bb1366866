"""Coordinate descent on working sets: cd-anderson and celer-like, against bcd and scikit-learn."""

import functools

import numpy as np
import pytest

import fejer
from fejer.solvers.sparse._working_sets import combination
from tests.sparse.cases import LASSOS, lasso

METHODS = ("cd-anderson", "celer-like")
PLAIN = [
    name
    for name, fields in LASSOS.items()
    if not {"l1_ratio", "positive", "lower"}.intersection(fields)
]


@functools.cache
def best(name, sparse):
    problem = lasso(name, sparse)
    return problem, fejer.minimize(problem, method="bcd", tol=1e-12)


@pytest.mark.parametrize("name", LASSOS)
@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("method", METHODS)
def test_optimum_is_that_of_bcd(name, sparse, method):
    problem, reference = best(name, sparse)
    if method == "celer-like" and name not in PLAIN and name != "huge box":
        with pytest.raises(fejer.MethodError, match=r"moduli alone|bounds"):
            fejer.minimize(problem, method=method)
        return
    if name == "huge box" and method == "celer-like":
        return
    result = fejer.minimize(problem, method=method, tol=1e-10, max_iter=5000)
    assert result.success
    assert result.fun == pytest.approx(reference.fun, rel=1e-9)
    assert 0 <= result.stats["identified_at"] <= result.nit


@pytest.mark.parametrize("method", METHODS)
def test_optimum_is_that_of_scikit_learn(method):
    from sklearn.linear_model import Lasso

    problem = fejer.Lasso.random(50, 120, ratio=0.02, scale="mean", fit_intercept=True)
    model = Lasso(alpha=problem.lam, tol=1e-12, max_iter=10**6)
    model.fit(problem.X.dense, problem.y)
    result = fejer.minimize(problem, method=method, tol=1e-12, max_iter=20_000)
    np.testing.assert_allclose(result.coef, model.coef_, atol=1e-6)
    assert result.intercept == pytest.approx(model.intercept_, abs=1e-6)


def test_extrapolation_never_raises_the_objective_and_saves_sweeps():
    problem = fejer.Lasso.random(100, 60, ratio=0.005, correlation=0.9)
    last, accepted = np.inf, 0
    for step in fejer.steps(problem, "cd-anderson", max_iter=2000):
        assert step.fun <= last * (1 + 1e-13)
        last, accepted = step.fun, step.state.accepted
    assert accepted > 0
    plain = fejer.minimize(problem, method="bcd").nit
    assert step.nit < 0.6 * plain


def test_without_working_sets_each_sweep_reads_all_columns():
    problem = fejer.Lasso.random(40, 100)
    all_of_them = fejer.minimize(problem, method="cd-anderson", options={"working_sets": False})
    some = fejer.minimize(problem, method="cd-anderson")
    assert all_of_them.success and some.success and some.work < 0.7 * all_of_them.work


def test_what_is_dropped_is_zero_at_the_solution():
    problem = fejer.Lasso.random(60, 300, ratio=0.3)
    solution = fejer.minimize(problem, method="bcd", tol=1e-13).x
    dropped = 0
    for step in fejer.steps(problem, "celer-like", tol=1e-12, max_iter=500):
        alive = step.state.alive
        assert not solution[~alive].any()
        assert step.state.bound <= problem.objective(solution) * (1 + 1e-12) or step.nit == 0
        dropped = int((~alive).sum())
    assert dropped > 150


def test_a_kept_dual_point_does_not_hide_what_is_missing():
    """An early dual point may stay the best for long; the working set must follow the residual."""
    problem = fejer.Lasso.random(100, 400, correlation=0.5, ratio=0.02)
    result = fejer.minimize(problem, method="celer-like", max_iter=5000, tol=1e-5)
    assert result.success


def test_degenerate_data():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((20, 6)), rng.standard_normal(20)
    X[:, 2] = 0.0
    X[:, 3] = X[:, 1]
    for method in METHODS:
        problem = fejer.Lasso(X, y, 0.5)
        result = fejer.minimize(problem, np.full(6, 1e3), method=method, tol=1e-10)
        assert result.success and result.x[2] == 0.0
        assert fejer.minimize(problem.replace(lam=1e3), method=method).nit == 0
        assert fejer.minimize(fejer.Lasso(X, np.zeros(20), 0.5), method=method).success


def test_weights_of_an_extrapolation():
    """A linear map contracts towards 0: two modes are gone after two steps."""
    points = np.array([[1.0, 1.0]]) * np.array([0.9, 0.3]) ** np.arange(4)[:, None]
    weights = combination(points)
    assert weights.sum() == pytest.approx(1.0)
    assert np.abs(weights @ points[1:]).max() < 1e-6
    assert np.array_equal(combination(np.ones((4, 2))), [0.0, 0.0, 1.0])
