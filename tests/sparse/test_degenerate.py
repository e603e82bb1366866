"""Data at the edge of what a problem is: one sample, one column, copies, zeros, large penalties."""

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse

import fejer
from fejer.numerics.prox import GroupEnvelope

RNG = np.random.default_rng(12)
N, P = 24, 6
X = RNG.standard_normal((N, P))
Y = X @ np.array([1.0, -2.0, 0, 0, 0.5, 0]) + 0.1 * RNG.standard_normal(N)
SIGNS = np.where(Y > np.median(Y), 1.0, -1.0)
CLASSES = np.digitize(Y, np.quantile(Y, (0.4, 0.7, 0.9))).astype(float)


def lasso(A, **more):
    return fejer.Lasso(A, Y[: len(A)], 1.0, **more)


def logistic(A, **more):
    return fejer.SparseLogistic(A, SIGNS, 1.0, **more)


def multinomial(A, **more):
    return fejer.SparseMultinomial(A, CLASSES, 1.0, **more)


def groups(A, **more):
    return fejer.GroupLasso(A, Y, 2, 1.0, **more)


def ordinal(A):
    return fejer.OrdinalRegression(A, CLASSES, 0.01)


def nonnegative(A, **more):
    return fejer.BoxLeastSquares(A, Y, 0.1, **more)


def machine(A):
    return fejer.SVMDual(A, SIGNS, 0.1)


METHODS = {
    lasso: ("bcd", "fista", "ista", "cd-anderson", "celer-like"),
    logistic: ("bcd", "fista", "prox-newton"),
    multinomial: ("bcd", "fista", "prox-newton"),
    groups: ("bcd", "fista"),
    ordinal: ("prox-newton",),
    nonnegative: ("bcd", "fista"),
    machine: ("bcd",),
}
PAIRS = [(make, method) for make, methods in METHODS.items() for method in methods]
PENALISED = [pair for pair in PAIRS if pair[0] not in (machine, nonnegative)]


@pytest.mark.parametrize("make, method", PAIRS)
def test_zero_columns_stay_zero_and_change_nothing(make, method):
    plain = fejer.minimize(make(X), method=method, tol=1e-8)
    result = fejer.minimize(make(np.hstack([X, np.zeros((N, 2))])), method=method, tol=1e-8)
    assert plain.success and result.success
    assert result.fun == pytest.approx(plain.fun, rel=1e-7)
    if make is not machine:  # whose coordinates are samples
        coef = np.asarray(result.psi.T if make is ordinal else result.coef)
        assert not coef[P:].any()


@pytest.mark.parametrize("make, method", PAIRS)
def test_identical_columns_share_a_coefficient_in_any_way(make, method):
    # The copies of a group lasso are whole groups; any split has the same objective.
    plain = fejer.minimize(make(X), method=method, tol=1e-8)
    result = fejer.minimize(make(np.hstack([X, X])), method=method, tol=1e-8)
    assert result.success
    if make is machine:
        scaled = fejer.minimize(make(np.sqrt(2) * X), method=method, tol=1e-8)
        assert result.fun == pytest.approx(scaled.fun, rel=1e-6)
    else:
        assert result.fun == pytest.approx(plain.fun, rel=1e-6)


@pytest.mark.parametrize("make, method", PENALISED)
def test_the_null_model_solves_from_lam_max_on_without_an_iteration(make, method):
    problem = make(X)
    for factor in (1 + 1e-9, 10.0):
        result = fejer.minimize(problem.replace(lam=factor * problem.lam_max()), method=method)
        assert result.success and result.nit == 0
        coef = result.psi if make is ordinal else result.coef
        assert not np.any(coef) and result.support.size == 0


@pytest.mark.parametrize("make, method", PAIRS)
def test_one_column(make, method):
    result = fejer.minimize(make(X[:, :1]), method=method, tol=1e-8)
    assert result.success
    if make is lasso:
        x, y = X[:, 0], Y
        c = x @ y
        np.testing.assert_allclose(result.x, np.sign(c) * max(abs(c) - 1, 0) / (x @ x), rtol=1e-6)
    elif make is logistic:
        loss = lambda w: np.log1p(np.exp(-SIGNS * X[:, 0] * w)).sum() + abs(w)  # noqa: E731
        best = scipy.optimize.minimize_scalar(loss, bracket=(-1, 1), tol=1e-14)
        assert result.fun == pytest.approx(best.fun, rel=1e-7)


@pytest.mark.parametrize("method", METHODS[lasso])
def test_one_sample_and_more_columns_than_samples(method):
    one = fejer.minimize(lasso(X[:1]), method=method, tol=1e-10)
    x, y = X[0], Y[0]
    top = np.abs(x).max()
    if top * abs(y) > 1:
        assert one.fun == pytest.approx(abs(y) / top - 0.5 / top**2, rel=1e-7)
    else:
        assert one.fun == pytest.approx(0.5 * y * y)
    few = fejer.minimize(lasso(X[:3]).replace(lam=1e-3), method=method, tol=1e-6)
    assert few.success


@pytest.mark.parametrize("make, method", [pair for pair in PAIRS if pair[0] in (lasso, groups)])
def test_a_zero_target_is_fitted_by_zero(make, method):
    result = fejer.minimize(make(X).replace(y=np.zeros(N)), method=method)
    assert result.success and result.nit == 0 and result.fun == 0.0 and not result.x.any()


def test_a_constant_target_under_a_constant_and_signs():
    problem = lasso(X, fit_intercept=True, positive=True).replace(y=np.full(N, 1e4))
    result = fejer.minimize(problem, method="bcd")
    assert result.success and not result.coef.any()
    assert result.intercept == pytest.approx(1e4, rel=1e-12)


@pytest.mark.parametrize("method", ["bcd", "cd-anderson", "celer-like"])
def test_diagonal_designs_of_six_decades_have_their_closed_form(method):
    d = 10.0 ** -np.arange(3.0, 9.0)
    for n in (6, 60):
        A = scipy.sparse.csc_array((d / n, (np.arange(6), np.arange(6))), shape=(n, 6))
        y = np.append(np.linspace(1, 2, 6), np.zeros(n - 6))
        for data in (A, A.toarray()):
            for ratio in (0.5, 1e-2, 1e-4, 1e-7):
                lam = ratio * np.abs(A.T @ y).max()
                problem = fejer.Lasso(data, y, lam)
                result = fejer.minimize(problem, method=method, tol=1e-8, max_iter=1000)
                exact = np.maximum(A.T @ y - lam, 0) * n**2 / d**2
                assert result.success
                assert problem.objective(exact) <= result.fun * (1 + 1e-12)
                assert result.fun <= problem.objective(exact) * (1 + 1e-9)


@pytest.mark.parametrize("rule", ["cyclic", "permuted", "random", "lipschitz", "gs", "gs-q"])
def test_the_order_of_the_columns_does_not_matter(rule):
    order = RNG.permutation(P)
    one, two = (
        fejer.minimize(lasso(A), method="bcd", options={"selection": rule}, tol=1e-12, rng=3)
        for A in (X, X[:, order])
    )
    np.testing.assert_allclose(one.x[order], two.x, atol=1e-9)


@pytest.mark.parametrize("make", [lasso, logistic, groups])
def test_a_path_ends_where_cold_solves_end(make):
    problem = make(X)
    path = fejer.path(problem, lam=6, method="bcd", tol=1e-9)
    assert path.success
    for lam, result in zip(path.values, path.results, strict=True):
        cold = fejer.minimize(problem.replace(lam=lam), method="bcd", tol=1e-9)
        assert result.fun == pytest.approx(cold.fun, rel=1e-7)
        np.testing.assert_allclose(result.x, cold.x, atol=1e-3)


def test_the_envelope_falls_with_k_from_the_squared_sum_to_ridge():
    w = RNG.standard_normal(12)
    sizes = np.sqrt(np.bincount(np.arange(12) // 2, w * w))
    values = [GroupEnvelope(k=k, groups=2).value(w) for k in range(1, 7)]
    assert values[0] == pytest.approx(0.5 * sizes.sum() ** 2)
    assert values[-1] == pytest.approx(0.5 * (sizes**2).sum())
    assert (np.diff(values) <= 1e-15).all()
