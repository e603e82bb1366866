"""The Lasso class: its certificate against a twin, against other solvers and against the truth."""

import functools
import pickle

import numpy as np
import pytest

import fejer
from tests.sparse import twin
from tests.sparse.cases import LASSOS, lasso

TOL = 1e-6
ALL = [(name, sparse) for name in LASSOS for sparse in (False, True)]
METHODS = ["bcd", "fista"]


@functools.cache
def solved(name, sparse=False):
    result = fejer.minimize(lasso(name, sparse), method="bcd", tol=1e-12)
    return result.problem, result


def noisy(problem, x, rng, size):
    """A feasible point near x, the constant moved too."""
    X, _, _, _, _, lower, upper, constant, _ = twin.parts(problem)
    moved = x + size * rng.standard_normal(x.size) * (rng.random(x.size) < 0.5)
    p = X.shape[1]
    moved[:p] = np.clip(moved[:p], lower, upper)
    if not constant:
        assert moved.size == p
    return moved


# ---- the certificate against its twin -----------------------------------------------------------
@pytest.mark.parametrize("name, sparse", ALL)
def test_certificate_is_the_twin(name, sparse):
    problem, result = solved(name, sparse)
    rng = np.random.default_rng(1)
    points = [problem.initial_point(), result.x]
    points += [noisy(problem, result.x, rng, size) for size in (1e-4, 1e-2, 1.0, 30.0)]
    for x in points:
        certificate = problem.judge(x)
        value, fun, bound, scale = twin.certificate(problem, x)
        assert certificate.rigorous and certificate.kind == "duality gap"
        assert certificate.value == pytest.approx(value, rel=1e-6, abs=1e-10)
        assert certificate.fun == pytest.approx(fun, rel=1e-12)
        assert certificate.lower_bound == pytest.approx(bound, rel=1e-8, abs=1e-10 * fun)
        assert certificate.scale == pytest.approx(scale, rel=1e-10)
        assert certificate.details["floor"] <= certificate.value
        assert certificate.fun == problem.objective(x)


@pytest.mark.parametrize("name, sparse", ALL)
def test_value_bounds_the_truth_and_three_tol_fails(name, sparse):
    problem, result = solved(name, sparse)
    rng = np.random.default_rng(2)
    least = twin.objective(problem, result.x)  # the minimum is not above it
    tested = 0
    for size in (1e-7, 1e-5, 1e-3, 1e-1, 10.0):
        for _ in range(3):
            x = noisy(problem, result.x, rng, size)
            certificate = problem.judge(x)
            excess = (twin.objective(problem, x) - least) / certificate.scale
            assert certificate.value >= excess - 1e-13
    for _ in range(8):
        direction = noisy(problem, result.x, rng, 1.0) - result.x
        low, high = 0.0, 1.0
        for _ in range(60):  # bisection for an excess of 3 tol
            t = 0.5 * (low + high)
            x = result.x + t * direction
            excess = (twin.objective(problem, x) - least) / problem.judge(x).scale
            low, high = (t, high) if excess < 3 * TOL else (low, t)
        x = result.x + high * direction
        if excess > 2.9 * TOL:
            tested += 1
            certificate = fejer.verify(problem, x)
            assert certificate.value >= 2.9 * TOL and not certificate.holds(TOL)
    assert tested >= 5


def test_the_pure_rounding_of_an_exact_solution_is_no_hindrance():
    _, result = solved("small lam")
    assert result.certificate.value < 1e-12
    assert result.certificate.details["floor"] < 1e-12


# ---- against other solvers ---------------------------------------------------------------------
@pytest.mark.parametrize("name, sparse", ALL)
@pytest.mark.parametrize("method", METHODS)
def test_reaches_the_optimum_of_cvxpy(name, sparse, method):
    problem = lasso(name, sparse)
    result = fejer.minimize(problem, method=method, tol=1e-9)
    assert result.success and fejer.verify(problem, result).value == result.certificate.value
    # Bounds of 1e9, which nothing reaches, ruin the accuracy of the oracle.
    model = (problem.replace(lower=None, upper=None) if name == "huge box" else problem).to_cvxpy()
    optimum = model.solve(solver="CLARABEL")
    assert result.fun == pytest.approx(optimum, rel=2e-6, abs=1e-9)
    assert result.certificate.lower_bound <= optimum * (1 + 1e-6)


@pytest.mark.parametrize("weights", [None, np.linspace(0.2, 3, 60)])
@pytest.mark.parametrize("ratio", [1.0, 0.5])
@pytest.mark.parametrize("constant", [False, True])
def test_mean_scaling_is_that_of_sklearn(weights, ratio, constant):
    from sklearn.linear_model import ElasticNet

    problem = lasso("intercept").replace(
        scale="mean",
        lam=0.05,
        l1_ratio=ratio,
        fit_intercept=constant,
        sample_weight=weights,
    )
    model = ElasticNet(0.05, l1_ratio=ratio, fit_intercept=constant, tol=1e-14, max_iter=10**6)
    model.fit(problem.X.dense, problem.y, sample_weight=weights)
    result = fejer.minimize(problem, method="bcd", tol=1e-12)
    np.testing.assert_allclose(result.coef, model.coef_, atol=1e-6)  # flat: sqrt of the tolerance
    assert result.intercept == pytest.approx(float(model.intercept_), abs=1e-6)
    assert set(result.support) == set(np.flatnonzero(model.coef_))


def test_positive_is_that_of_sklearn():
    from sklearn.linear_model import Lasso

    problem = lasso("positive").replace(scale="mean", lam=0.1)
    model = Lasso(0.1, positive=True, fit_intercept=False, tol=1e-14, max_iter=10**6)
    model.fit(problem.X.dense, problem.y)
    result = fejer.minimize(problem, method="fista", tol=1e-11)
    np.testing.assert_allclose(result.coef, model.coef_, atol=1e-6)


# ---- invariances -------------------------------------------------------------------------------
def test_orthonormal_columns_give_the_soft_threshold():
    rng = np.random.default_rng(0)
    Q = np.linalg.qr(rng.standard_normal((30, 8)))[0]
    y = rng.standard_normal(30)
    c = Q.T @ y
    expected = np.sign(c) * np.maximum(np.abs(c) - 0.3, 0)
    result = fejer.minimize(fejer.Lasso(Q, y, 0.3), method="bcd", tol=1e-13)
    np.testing.assert_allclose(result.x, expected, atol=1e-12)


def test_scaling_signs_and_order_of_columns():
    problem, result = solved("elastic net")
    X, y, t = problem.X.dense, problem.y, 1e3
    scaled = problem.replace(X=t * X, y=t * y, lam=t * t * problem.lam)
    assert scaled.judge(result.x).value == pytest.approx(result.certificate.value, abs=1e-13)
    order = np.random.default_rng(0).permutation(X.shape[1])
    signs = np.where(order % 2 == 0, -1.0, 1.0)
    moved = problem.replace(X=X[:, order] * signs)
    again = moved.judge(result.x[order] * signs)
    assert again.fun == pytest.approx(result.fun, rel=1e-12)
    assert again.value < 1e-11


def test_weights_are_scaled_columns_and_infinite_ones_exclude():
    problem, result = solved("weights")
    other = fejer.Lasso(problem.X.dense / problem.weights, problem.y, problem.lam)
    plain = fejer.minimize(other, method="bcd", tol=1e-12)
    np.testing.assert_allclose(result.x * problem.weights, plain.x, atol=1e-8)
    problem, result = solved("excluded")
    out = np.isinf(problem.weights)
    assert out.any() and not result.x[out].any()
    kept = fejer.Lasso(
        problem.X.dense[:, ~out], problem.y, problem.lam, weights=problem.weights[~out]
    )
    assert fejer.minimize(kept, method="bcd", tol=1e-12).fun == pytest.approx(result.fun, rel=1e-11)


def test_twice_the_samples_at_half_weight():
    problem, result = solved("intercept")
    X, y = problem.X.dense, problem.y
    twice = problem.replace(
        X=np.vstack([X, X]), y=np.append(y, y), sample_weight=np.full(2 * y.size, 0.5)
    )
    certificate = twice.judge(result.x)
    assert certificate.value < 1e-11 and certificate.fun == pytest.approx(result.fun, rel=1e-12)


# ---- lam_max, path, views ------------------------------------------------------------------------
@pytest.mark.parametrize("name, sparse", ALL)
def test_lam_max_is_where_the_null_model_ends(name, sparse):
    problem = lasso(name, sparse)
    top = problem.lam_max()
    at = fejer.minimize(problem.replace(lam=top * (1 + 1e-9)), method="bcd")
    assert at.nit == 0 and at.success and at.certificate.value < 1e-9
    below = problem.replace(lam=0.9 * top)
    assert below.judge(below.initial_point()).value > 1e-5


def test_path_starts_at_lam_max():
    path = fejer.path(lasso("all"), lam=6, method="bcd")
    assert path.success and path.values[0] == pytest.approx(lasso("all").lam_max())
    assert len(path.results[0].support) == 0 < len(path.results[-1].support)


def test_ridge_has_no_lam_max():
    problem = fejer.Lasso.random(l1_ratio=0.0)
    with pytest.raises(fejer.ProblemError, match="lam"):
        problem.lam_max()
    X, y = problem.X.dense, problem.y
    exact = np.linalg.solve(X.T @ X + problem.lam * np.eye(X.shape[1]), X.T @ y)
    result = fejer.minimize(problem, method="bcd", tol=1e-13)
    np.testing.assert_allclose(result.x, exact, atol=1e-7)


def test_views():
    problem, result = solved("all")
    assert result.intercept == result.x[-1] and result.coef.size == problem.X.shape[1]
    np.testing.assert_array_equal(result.support, np.flatnonzero(result.x[:-1]))
    assert solved("plain")[1].intercept == 0.0


def test_pickle_and_replace_keep_what_they_should():
    problem, result = solved("all")
    copy = pickle.loads(pickle.dumps(problem))
    assert copy.judge(result.x).value == result.certificate.value
    assert copy.fingerprint() == problem.fingerprint()
    other = problem.replace(lam=2 * problem.lam)
    assert other.X is problem.X and other.y is problem.y
    assert other.judge(result.x).value > 1e-4
    assert other.replace(lam=problem.lam).judge(result.x).value == result.certificate.value
    assert "Lasso(X=<Matrix 60 x 40, dense>" in repr(problem)


def test_hostile_witnesses_change_nothing():
    problem, result = solved("plain")
    x = result.x + 0.01
    honest = problem.judge(x)
    for junk in ("garbage", np.full(60, np.nan), np.zeros(3), 1e9 * np.ones(60), None, [[1]]):
        certificate = problem.judge(x, {"dual": junk, "theta": junk})
        assert certificate.value == honest.value
