"""SquaredHingeSVM: bounds and certificate against long doubles and scikit-learn, kinks, input."""

import pickle

import numpy as np
import pytest
import scipy.sparse
from scipy.optimize import minimize
from sklearn.svm import LinearSVC

import fejer
from tests.bilevel.twin import LONG, dense, solve

S = fejer.SquaredHingeSVM
PROBLEMS = {
    "small": S.random(),
    "wide box": S.random(15, 30, 3, reach=5.0, seed=1),
    "few samples": S.random(4, 10, 6, reach=3.0, seed=2),
    "offset free": S.random(reach=4.0, seed=3).replace(mu_b=0.1),
}
TOL = 1e-6


def rows(X, labels):
    X = dense(X)
    return np.asarray(labels, LONG)[:, None] * np.hstack([X, np.ones((len(X), 1), LONG)])


def truth(problem, x):
    """Phi, its gradients in x and in p, and y*: Newton's method in long doubles."""
    B, V = rows(problem.X_train, problem.y_train), rows(problem.X_val, problem.y_val)
    p = np.exp(np.asarray(x, LONG))
    ridge = np.ones(B.shape[1], LONG)
    ridge[-1] = problem.mu_b

    def value(y):
        return ridge @ (y * y) / 2 + p @ np.maximum(0, 1 - B @ y) ** 2 / 2

    y = np.zeros(len(ridge), LONG)
    for _ in range(200):
        on = B @ y < 1
        H = np.diag(ridge) + B[on].T @ (p[on, None] * B[on])
        step = solve(H, B[on].T @ p[on]) - y
        t = LONG(1)
        while value(y + t * step) > value(y) and t > 1e-18:
            t /= 2
        y = y + t * step
        if np.abs(step).max() < 1e-17:
            break
    on = B @ y < 1
    H = np.diag(ridge) + B[on].T @ (p[on, None] * B[on])
    margins = V @ y
    q = solve(H, -(V.T @ (1 / (1 + np.exp(margins)))) / len(V))
    by_weight = np.maximum(0, 1 - B @ y) * (B @ q)
    return np.log1p(np.exp(-margins)).mean(), p * by_weight, by_weight, y


def twin_value(problem, x):
    s = 1 / (rows(problem.X_train, problem.y_train).astype(float) ** 2).sum(axis=1)
    fun, _, slope, _ = truth(problem, x)
    unit = min(np.log(2), max(float(fun), 1e-6 * np.log(2)))
    p = np.exp(x)
    low, high = (np.exp(b) / (np.exp(b) + s) for b in (problem.lower, problem.upper))
    t = p / (p + s)
    moved = np.clip(t - (slope * (p + s) ** 2 / s).astype(float) / unit, low, high)
    return float(np.linalg.norm(t - moved))


@pytest.mark.parametrize("name", PROBLEMS)
def test_certificate_and_bounds(name):
    problem, rng = PROBLEMS[name], np.random.default_rng(0)
    ratios = []
    for _ in range(10):
        x = rng.uniform(problem.lower, problem.upper, problem.size)
        fun, gradient, by_weight, y = truth(problem, x)
        value, c = twin_value(problem, x), problem.judge(x)
        assert value * (1 - 1e-9) <= c.value <= value * (1 + 1e-5) + 1e-8
        assert c.fun == pytest.approx(float(fun), rel=1e-10)
        w = problem.chart_rate(x) * np.exp(x)
        for trial in range(12):
            chart = bool(trial % 2)
            size = 10.0 ** rng.uniform(-14, 0.5)
            inexact = y.astype(float) + size * rng.standard_normal(y.size)
            a = problem.assess(x, inexact, chart=chart)
            error = np.linalg.norm(
                (a.gradient - (w * by_weight if chart else gradient)).astype(float)
            )
            assert error <= a.error and a.rigorous
            assert np.linalg.norm((inexact - y).astype(float)) <= a.distance
            assert abs(float(a.fun - fun)) <= a.fun_error
            ratios.append(a.error / max(error, 1e-300))
            assert problem.judge(x, {"y": inexact}).value >= value * (1 - 1e-9)
    assert np.median(ratios) < 1e5


def test_lower_solution_is_that_of_scikit_learn():
    problem, rng = S.random(40, 30, 4, reach=2.0), np.random.default_rng(1)
    for _ in range(4):
        x = rng.uniform(problem.lower, problem.upper, problem.size)
        model = LinearSVC(
            loss="squared_hinge", C=0.5, tol=1e-10, max_iter=1_000_000, random_state=0
        )
        model.fit(problem.X_train.dense, problem.y_train, sample_weight=np.exp(x))
        np.testing.assert_allclose(
            problem.y(x), np.append(model.coef_, model.intercept_), atol=1e-5
        )


def test_hypergradient_is_the_difference_quotient():
    problem, rng = PROBLEMS["wide box"], np.random.default_rng(2)
    for _ in range(4):
        x = rng.uniform(problem.lower, problem.upper, problem.size)
        z = fejer.hypergradient(problem, x).value
        for j, h in enumerate(1e-6 * np.eye(x.size)):
            quotient = float(truth(problem, x + h)[0] - truth(problem, x - h)[0]) / 2e-6
            assert z[j] == pytest.approx(quotient, rel=1e-5, abs=1e-9)


def test_samples_that_change_sides_may_do_so_in_both_directions():
    """Two opposite rows: the sum of p_i |B_i q| B_i over the band is 0, and H changes."""
    problem = S(np.array([[1.0], [1.0]]), [1.0, -1.0], [[1.0]], [1.0])
    x, y, q = np.zeros(2), np.array([0.5, 0.5]), np.array([1.0, 0.0])
    inside, outside = (problem.hessian(x, y + d)(q) for d in (-0.01, 0.01))
    assert np.linalg.norm(inside - outside) > 1
    assert problem.hessian_change(x, y + 0.01, q, 0.1) >= np.linalg.norm(inside - outside)


@pytest.mark.parametrize("name", PROBLEMS)
def test_optimum_and_points_away_from_it(name):
    problem = PROBLEMS[name]
    result = fejer.minimize(problem, method="hoag", tol=1e-7)
    assert result.success

    def both(x):
        fun, gradient, _, _ = truth(problem, x)
        return float(fun), gradient.astype(float)

    bounds = [(problem.lower, problem.upper)] * problem.size
    found = minimize(both, result.x, jac=True, bounds=bounds, options={"ftol": 1e-15})
    assert found.fun >= result.fun - 1e-9
    rng, failed = np.random.default_rng(3), 0
    for _ in range(40):
        step = 10.0 ** rng.uniform(-6, 0) * rng.standard_normal(problem.size)
        x = np.clip(result.x + step, problem.lower, problem.upper)
        if twin_value(problem, x) >= 3 * TOL and truth(problem, x)[0] > result.fun + 1e-5:
            failed += 1
            assert not problem.judge(x).holds(TOL)
            assert not problem.judge(x, result.witness).holds(TOL)
    assert failed >= 5


def test_flat_ends_are_not_certified():
    problem = S.random(30, 30, 2, wrong=0.3).replace(lower=-12.0, upper=12.0)
    for x in (-12.0, 12.0):
        c = problem.judge(np.full(problem.size, x))
        assert c.value > 1e-2
    c = problem.judge(np.full(problem.size, -12.0))
    assert c.details["grad_norm_upper"] < 1e-3


def variants():
    p = PROBLEMS["wide box"]
    X, V = p.X_train.dense, p.X_val.dense
    factors = np.array([1e-6, 1.0, 30.0])
    return {
        "columns 1e-6 to 30": p.replace(X_train=X * factors, X_val=V * factors),
        "a column twice": p.replace(X_train=X[:, [0, 0, 1]], X_val=V[:, [0, 0, 1]]),
        "zero columns": p.replace(X_train=0 * X),
        "one label": p.replace(y_train=np.ones(15)),
        "one sample": p.replace(X_train=X[:1], y_train=[1.0]),
        "separable": p.replace(y_train=np.where(X[:, 1] > 0, 1.0, -1.0)),
    }


@pytest.mark.parametrize("name", variants())
def test_hostile_data_give_no_false_success(name):
    problem, rng = variants()[name], np.random.default_rng(0)
    result = fejer.minimize(problem, method="hoag", max_iter=60)
    points = [result.x] + [
        rng.uniform(problem.lower, problem.upper, problem.size) for _ in range(9)
    ]
    for x in points:
        c = problem.judge(x)
        if not c.holds(TOL):
            continue
        for direction in np.vstack([np.eye(problem.size), -np.eye(problem.size)]):
            other = np.clip(x + 1e-2 * direction, problem.lower, problem.upper)
            assert c.fun - float(truth(problem, other)[0]) <= 1e-5 * c.scale


def test_layouts():
    p = PROBLEMS["small"]
    X, V, x = p.X_train.dense, p.X_val.dense, np.full(p.size, -1.0)
    value = p.judge(x).value
    for make in (np.ndarray.tolist, np.asfortranarray, scipy.sparse.csr_array):
        other = S(
            make(np.array(X)), p.y_train.astype(int), make(np.array(V)), p.y_val, lower=p.lower
        )
        assert other.replace(upper=p.upper).judge(x).value == pytest.approx(value, rel=1e-9)
    assert pickle.loads(pickle.dumps(p)).judge(x).value == value


X, V = np.eye(3) + 0.1, np.ones((2, 3))
GOOD = {"X_train": X, "y_train": [1.0, -1.0, 1.0], "X_val": V, "y_val": [1.0, -1.0]}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("X_train", X * np.nan),
        ("X_train", X * 1j),
        ("X_train", "data"),
        ("y_train", [1.0, -1.0]),
        ("y_train", [1.0, 0.0, 1.0]),
        ("y_train", [1.0, 2.0, 1.0]),
        ("y_train", [1.0, np.nan, 1.0]),
        ("X_val", V[:, :2]),
        ("y_val", [1.0, 0.5]),
        ("y_val", None),
        ("mu_b", 0.0),
        ("mu_b", -1.0),
        ("mu_b", "small"),
        ("lower", 4.0),
        ("lower", np.nan),
        ("upper", -12.0),
        ("upper", 1e3),
        ("scale", -1.0),
    ],
)
def test_bad_fields(field, value):
    with pytest.raises(fejer.ProblemError, match=field.replace("lower", "lower|upper")):
        S(**{**GOOD, field: value})
