"""Leave-one-out and GCV: refits without each row, scikit-learn, bounds against long doubles."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from sklearn.linear_model import Ridge, RidgeCV

import fejer
from tests.bilevel.twin import LONG, solve

DATA = {
    "tall": fejer.RidgeBilevel.random(25, 5, 8),
    "wide": fejer.RidgeBilevel.random(10, 5, 16, noise=5.0, seed=1),
    "square": fejer.RidgeBilevel.random(8, 5, 8, noise=3.0, seed=2),
}
PROBLEMS = {
    f"{name} {mode}": fejer.RidgeBilevel(p.X_train.dense, p.y_train, mode=mode)
    for name, p in DATA.items()
    for mode in ("loo", "gcv")
}
ALL = pytest.mark.parametrize("name", PROBLEMS)
TOL = 1e-6


def phi(problem, x):
    """In long doubles, from the hat matrix."""
    X, b = problem.X_train.toarray().astype(LONG), problem.y_train.astype(LONG)
    n, m = X.shape
    H = X.T @ X + n * np.exp(LONG(x)) * np.eye(m)
    hat = X @ solve(H, X.T)
    r = b - hat @ b
    h = np.diag(hat)
    if problem.mode == "gcv":
        h = np.full(n, h.mean())
    return ((r / (1 - h)) ** 2).mean() / 2


def slope(problem, x, h=1e-4):
    d = [phi(problem, x + k * h) - phi(problem, x - k * h) for k in (1, 2)]
    return float((8 * d[0] - d[1]) / (12 * h))


def twin_value(problem, x):
    s = float(np.median((problem.X_train.toarray() ** 2).mean(axis=0)))
    null = float((problem.y_train**2).mean()) / 2
    unit, p = min(null, max(float(phi(problem, x)), 1e-6 * null)), np.exp(x)
    low, high = (np.exp(b) / (np.exp(b) + s) for b in (problem.lower, problem.upper))
    t, g = p / (p + s), slope(problem, x) / p * (p + s) ** 2 / s / unit
    return abs(t - np.clip(t - g, low, high))


def test_leaving_out_each_row():
    problem = PROBLEMS["tall loo"]
    X, b = problem.X_train.dense, problem.y_train
    n = len(b)
    for x in (-6.0, -2.0, 1.0):
        errors = []
        for i in range(n):
            keep = np.arange(n) != i
            model = Ridge(alpha=n * np.exp(x), fit_intercept=False, solver="svd")
            errors.append(model.fit(X[keep], b[keep]).predict(X[[i]])[0] - b[i])
        assert problem.judge(np.array([x])).fun == pytest.approx(np.mean(np.square(errors)) / 2)


@ALL
def test_certificate_and_bounds(name):
    problem, rng = PROBLEMS[name], np.random.default_rng(0)
    for x in rng.uniform(-9, 3, 12):
        c, truth, z = problem.judge(np.array([x])), phi(problem, x), slope(problem, x)
        assert c.fun == pytest.approx(float(truth), rel=1e-9)
        value = twin_value(problem, x)
        assert value * (1 - 1e-6) - 1e-10 <= c.value
        if name.startswith("tall") or x > -4:  # where data interpolate, residuals vanish with p
            assert c.value <= value * (1 + 1e-3) + 1e-6
        y = problem.y(np.array([x]))
        for trial in range(10):
            inexact = y + 10.0 ** rng.uniform(-12, 0) * rng.standard_normal(y.size)
            a = problem.assess(np.array([x]), inexact)
            assert abs(a.gradient[0] - z) <= a.error + 1e-8 * abs(z) + 1e-11
            assert abs(a.fun - float(truth)) <= a.fun_error and a.error <= a.published_error
            rate = problem.chart_rate(np.array([x]))[0]
            b = problem.assess(np.array([x]), inexact, chart=True)
            assert b.gradient[0] == pytest.approx(rate * a.gradient[0], rel=1e-9)
            assert trial >= 0 and abs(b.gradient[0] - rate * z) <= b.error + 1e-8 * abs(rate * z)
            assert problem.judge(np.array([x]), {"y": inexact}).value >= value * (1 - 1e-6) - 1e-10


@ALL
@pytest.mark.parametrize("method", ["maid", "hoag"])
def test_optimum_is_that_of_a_search(name, method):
    problem = PROBLEMS[name]
    result = fejer.minimize(problem, method=method)
    assert result.success or (name == "wide gcv" and result.x[0] < -5)
    x = result.x[0]
    if result.success and -12 < x < 4:
        ends = max(x - 0.5, -12), min(x + 0.5, 4)
        found = minimize_scalar(
            lambda u: float(phi(problem, u)), bounds=ends, method="bounded", options={"xatol": 1e-9}
        )
        assert found.fun >= result.fun * (1 - 1e-10)


def test_scikit_learn_chooses_the_same():
    problem = PROBLEMS["tall loo"]
    grid = np.linspace(-8, 3, 400)
    n = len(problem.y_train)
    model = RidgeCV(alphas=n * np.exp(grid), fit_intercept=False)
    model.fit(problem.X_train.dense, problem.y_train)
    result = fejer.minimize(problem, method="hoag")
    assert abs(np.log(model.alpha_ / n) - result.x[0]) < 0.03
    assert -2 * result.fun == pytest.approx(model.best_score_, rel=1e-3)


@ALL
def test_points_away_and_flat_ends_fail(name):
    problem = PROBLEMS[name]
    best = fejer.minimize(problem, method="hoag", tol=1e-8)
    for step in (1e-5, 1e-4, 1e-2, 0.3, -1e-4, -1e-2, -0.3):
        x = np.clip(best.x + step, -12, 4)
        if twin_value(problem, x[0]) > 3 * TOL:
            assert not problem.judge(x).holds(TOL)
            assert not problem.judge(x, best.witness).holds(TOL)
    for end in (-12.0, 4.0):
        if float(phi(problem, end)) > best.fun * 1.001 and twin_value(problem, end) > 1e-5:
            assert not problem.judge(np.array([end])).holds(TOL)


@pytest.mark.parametrize("method", ["penalty", "soba", "bo-rep", "self-tuning"])
def test_other_methods_use_all_rows(method):
    problem = PROBLEMS["tall loo"]
    assert problem.sample_sizes() == (1, 1)
    result = fejer.minimize(problem, method=method, max_iter=300, tol=1e-2)
    assert result.fun <= problem.judge(problem.initial_point()).fun * (1 + 1e-9)


def test_bad_fields():
    p = DATA["tall"]
    X, b = p.X_train.dense, p.y_train
    with pytest.raises(fejer.ProblemError, match="X_val: expected None"):
        fejer.RidgeBilevel(X, b, X, b, "loo")
    with pytest.raises(fejer.ProblemError, match="y_val: expected None"):
        fejer.RidgeBilevel(X, b, None, b, "gcv")
    with pytest.raises(fejer.ProblemError, match="X_val"):
        fejer.RidgeBilevel(X, b)
    with pytest.raises(fejer.ProblemError, match="mode"):
        fejer.RidgeBilevel(np.ones((1501, 1501)), np.ones(1501), mode="loo")
    with pytest.raises(fejer.ProblemError, match="mode"):
        fejer.LogisticBilevel(X, np.sign(b), X, np.sign(b), "loo")
