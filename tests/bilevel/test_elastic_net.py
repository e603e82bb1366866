"""ElasticNetBilevel: supports, hypergradients, kinks, the flat end; truth from scikit-learn."""

import pickle
from itertools import pairwise

import numpy as np
import pytest
import scipy.sparse
from sklearn.linear_model import ElasticNet

import fejer
from tests.bilevel.twin import LONG, dense, solve

E = fejer.ElasticNetBilevel
PROBLEMS = {
    "l1": E.random(seed=1),
    "both": E.random(mode="both", seed=2),
    "more columns than rows": E.random(12, 30, 20, "both", seed=3),
    "lasso": E.random(40, 30, 6, seed=4).replace(l2=0.0),
}
TOL = 1e-6


def penalties(problem, x):
    p = np.exp(np.asarray(x, dtype=float))
    return p[0], p[1] if problem.mode == "both" else problem.l2


def truth(problem, x):
    """Phi, its gradients in x and in the penalties, y*: scikit-learn's support, long doubles."""
    l1, l2 = penalties(problem, x)
    X, V = problem.X_train.toarray(), dense(problem.X_val)
    model = ElasticNet(l1 + l2, l1_ratio=l1 / (l1 + l2), fit_intercept=False)
    model.set_params(tol=1e-13, max_iter=1_000_000)
    y0 = model.fit(X, problem.y_train).coef_
    S, X = np.flatnonzero(y0), dense(problem.X_train)
    signs, n = np.sign(y0[S]), len(X)
    H = X[:, S].T @ X[:, S] / n + LONG(l2) * np.eye(len(S))
    y = np.zeros(len(y0), dtype=LONG)
    residual = V @ y - problem.y_val
    slope = np.zeros(2, dtype=LONG)
    if len(S):
        y[S] = solve(H, X[:, S].T @ problem.y_train / n - LONG(l1) * signs)
        assert (np.sign(y[S]) == signs).all()
        residual = V @ y - problem.y_val
        q = solve(H, V[:, S].T @ residual / len(V))
        slope = np.array([-(signs @ q), -(y[S] @ q)])
    off = np.delete(np.arange(len(y0)), S)
    assert (np.abs(X[:, off].T @ (problem.y_train - X @ y) / n) <= l1 * (1 + 1e-9)).all()
    fun = residual @ residual / (2 * len(V))
    return fun, (np.array([l1, l2]) * slope)[: len(x)], slope[: len(x)], y


def sizes(problem):
    X, n = problem.X_train.toarray(), len(problem.y_train)
    squares = (X**2).mean(axis=0)
    return np.array([np.abs(X.T @ problem.y_train).max() / n, np.median(squares)])[: problem.size]


def twin_value(problem, x):
    """The certificate on a smooth piece."""
    s, p = sizes(problem), np.exp(x)
    fun, _, slope, _ = truth(problem, x)
    null = float(problem.y_val @ problem.y_val) / (2 * len(problem.y_val))
    unit = min(null, max(float(fun), 1e-6 * null))
    low, high = (np.exp(b) / (np.exp(b) + s) for b in (problem.lower, problem.upper))
    t = p / (p + s)
    moved = np.clip(t - (slope * (p + s) ** 2 / s).astype(float) / unit, low, high)
    return float(np.linalg.norm(t - moved))


def draw(problem, rng):
    x = rng.uniform(-5.0, 0.0, problem.size)
    x[0] += np.log(sizes(problem)[0])
    return x


@pytest.mark.parametrize("name", PROBLEMS)
def test_certificate_and_bounds_on_smooth_pieces(name):
    problem, rng = PROBLEMS[name], np.random.default_rng(0)
    for _ in range(12):
        x = draw(problem, rng)
        fun, gradient, _, y = truth(problem, x)
        c = problem.judge(x)
        value = twin_value(problem, x)
        assert value * (1 - 1e-9) <= c.value <= value * (1 + 1e-6) + 1e-7
        assert c.fun == pytest.approx(float(fun), rel=1e-10)
        np.testing.assert_allclose(problem.y(x), y.astype(float), atol=1e-9)
        for _ in range(6):
            noise = 10.0 ** rng.uniform(-15, 0) * rng.standard_normal(y.size)
            inexact = y.astype(float) + noise * ((y != 0) | (rng.random() < 0.3))
            a = problem.assess(x, inexact)
            assert np.linalg.norm((inexact - y).astype(float)) <= a.distance
            assert np.linalg.norm((a.gradient - gradient).astype(float)) <= a.error
            assert abs(float(a.fun - fun)) <= a.fun_error and a.error <= a.published_error
            if np.array_equal(np.sign(inexact), np.sign(y)) and np.abs(noise).max() < 1e-10:
                assert a.error < 1e-5
            witness = {"y": inexact}
            assert problem.judge(x, witness).value >= value * (1 - 1e-9)


@pytest.mark.parametrize("name", PROBLEMS)
def test_hypergradient_is_the_difference_quotient(name):
    problem, rng = PROBLEMS[name], np.random.default_rng(1)
    for _ in range(6):
        x = draw(problem, rng)
        z = fejer.hypergradient(problem, x)
        for j, h in enumerate(1e-6 * np.eye(x.size)):
            up, down = truth(problem, x + h), truth(problem, x - h)
            if np.array_equal(np.sign(up[3]), np.sign(down[3])):
                assert z.value[j] == pytest.approx(
                    float(up[0] - down[0]) / 2e-6, rel=1e-5, abs=1e-9
                )


# Kinks -------------------------------------------------------------------------------------------


def kinks(problem):
    """Brackets of x between which the support changes, by bisection, for one logarithm."""
    grid = np.log(sizes(problem)[0]) + np.linspace(-4, -0.01, 40)
    for a, b in pairwise(grid):
        low, high = a, b
        before = problem.y(np.array([low])) != 0
        if np.array_equal(before, problem.y(np.array([high])) != 0):
            continue
        while high - low > 2e-9:
            middle = 0.5 * (low + high)
            same = np.array_equal(problem.y(np.array([middle])) != 0, before)
            low, high = (middle, high) if same else (low, middle)
        yield low, high


def test_only_kinks_that_bend_upwards_with_slopes_of_both_signs_are_certified():
    seen = {True: 0, False: 0}
    for seed in (0, 3, 4, 5, 6, 7, 12, 15, 16, 17):
        problem = E.random(seed=seed)
        for low, high in kinks(problem):
            slopes = [float(truth(problem, [end])[1][0]) for end in (low, high)]
            minimum = slopes[0] < 0 < slopes[1]
            seen[minimum] += 1
            for end, slope in zip((low, high), slopes, strict=True):
                c = problem.judge(np.array([end]))
                assert c.holds(TOL) == minimum or abs(slope) < 1e-5
                if minimum:
                    assert c.details["pieces"] == 2.0
    assert seen[True] >= 2 and seen[False] >= 10


def test_points_away_from_a_kink_fail():
    for seed in (0, 3, 4, 5):
        problem = E.random(seed=seed)
        exact = fejer.minimize(problem)
        assert exact.success
        for sign in (-1, 1):
            for distance in (1e-7, 1e-6, 1e-4, 1e-2):
                x = exact.x + sign * distance
                if twin_value(problem, x) > 3 * TOL:
                    assert not problem.judge(x).holds(TOL)
                    assert not problem.judge(x, exact.witness).holds(TOL)


def test_optimum_is_that_of_a_scan():
    for seed in range(3):
        problem = E.random(seed=seed)
        result = fejer.minimize(problem)
        assert result.success
        near = result.x + np.linspace(-0.2, 0.2, 80)[:, None]
        assert min(float(truth(problem, x)[0]) for x in near) >= result.fun - 1e-9


# The flat end ------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(10))
def test_without_coefficients_the_derivative_from_below_decides(seed):
    for mode in ("l1", "both"):
        problem = E.random(mode=mode, seed=seed)
        edge = np.log(sizes(problem)[0])
        rest = [-2.0] * (problem.size - 1)
        null = float(truth(problem, [edge + 1, *rest])[0])
        below = float(truth(problem, [edge - 1e-5, *rest])[0])
        for over in (1e-9, 0.1, 1.0, 3.0):
            c = problem.judge(np.array([edge + over, *rest]))
            assert c.holds(TOL) == (below > null) and c.fun == pytest.approx(null)
            if below < null:  # the slope in t, dt = 1/4 dlog l1 there
                slope = 4 * (null - below) / 1e-5 / null
                assert c.value == pytest.approx(min(slope, c.value), rel=1e-3)
                assert c.value > min(0.4, slope * 0.99)


# Hostile data, layouts, input --------------------------------------------------------------------


def variants():
    p = PROBLEMS["both"]
    X, V = p.X_train.dense, p.X_val.dense
    factors = np.logspace(-6, 4, X.shape[1])
    return {
        "a column twice": p.replace(X_train=X[:, [0, 0, 1, 2]], X_val=V[:, [0, 0, 1, 2]]),
        "columns 1e-6 to 1e4": p.replace(X_train=X * factors, X_val=V * factors),
        "columns of zeros": p.replace(X_train=X * (np.arange(8) < 3)),
        "targets 1e30": p.replace(y_train=1e30 * p.y_train, y_val=1e30 * p.y_val),
        "no training target": p.replace(y_train=0 * p.y_train),
        "no validation target": p.replace(y_val=0 * p.y_val),
        "one sample": p.replace(X_train=X[:1], y_train=p.y_train[:1]),
        "exact fit": p.replace(y_train=X[:, 0], y_val=V[:, 0]),
    }


@pytest.mark.parametrize("name", variants())
def test_hostile_data_give_no_false_success(name):
    problem, rng = variants()[name], np.random.default_rng(0)
    for _ in range(25):
        x = rng.uniform(-12, 4, 2)
        c = problem.judge(x)
        if not c.holds(TOL):
            continue
        fun = problem.judge(x).fun
        for direction in np.vstack([np.eye(2), -np.eye(2)]):
            other = np.clip(x + 1e-2 * direction, -12, 4)
            there = problem.upper_level(other, problem.lower_solution(other)).fun
            assert fun - there <= 1e-5 * c.scale


def test_a_wrong_support_is_not_certified():
    problem = PROBLEMS["l1"]
    x = np.array([-2.0])
    y = problem.y(x)
    for wrong in (0 * y, -y, np.where(np.abs(y) == np.abs(y).max(), 0.0, y), y + 1e-3):
        assert problem.assess(x, wrong).error == np.inf
        assert problem.judge(x, {"y": wrong}).value >= twin_value(problem, x) * (1 - 1e-9)


def test_layouts():
    p = PROBLEMS["both"]
    X, V, x = p.X_train.dense, p.X_val.dense, np.array([-2.5, -3.0])
    value = p.judge(x).value
    for make in (np.ndarray.tolist, np.asfortranarray, scipy.sparse.csr_array):
        other = E(make(np.array(X)), p.y_train, make(np.array(V)), p.y_val)
        assert other.judge(x).value == pytest.approx(value, rel=1e-9)
    assert pickle.loads(pickle.dumps(p)).judge(x).value == value


X, V = np.eye(3) + 0.1, np.ones((2, 3))
GOOD = {"X_train": X, "y_train": [1.0, 2.0, 3.0], "X_val": V, "y_val": [1.0, 2.0]}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("X_train", "data"),
        ("X_train", X + 1j),
        ("X_train", X * np.nan),
        ("X_train", X[:0]),
        ("y_train", [1.0, 2.0]),
        ("y_train", [1.0, np.inf, 3.0]),
        ("y_train", None),
        ("X_val", V[:, :2]),
        ("X_val", V * np.inf),
        ("y_val", [1.0]),
        ("y_val", "ab"),
        ("mode", "l2"),
        ("mode", None),
        ("mode", 1),
        ("l2", -1.0),
        ("l2", np.nan),
        ("l2", "small"),
        ("lower", 5.0),
        ("lower", -1e3),
        ("upper", -12.0),
        ("upper", np.inf),
        ("scale", 0.0),
        ("scale", True),
    ],
)
def test_bad_fields(field, value):
    with pytest.raises(fejer.ProblemError, match=field.replace("lower", "lower|upper")):
        E(**{**GOOD, field: value})


def test_lasso_without_full_rank():
    with pytest.raises(fejer.ProblemError, match="l2: expected > 0"):
        E(np.ones((3, 3)), [1, 2, 3], V, [1, 2], "l1", 0.0)


@pytest.mark.parametrize("method", ["maid", "hoag"])
def test_methods_that_need_a_smooth_lower_level(method):
    problem = PROBLEMS["l1"]
    with pytest.raises(fejer.MethodError, match="kinks"):
        fejer.minimize(problem, method=method, options={"inner": "nesterov"})
    with pytest.raises(fejer.MethodError, match="kinks"):
        fejer.minimize(problem, method="penalty")


@pytest.mark.parametrize("seed", [0, 2, 3, 4, 5, 7, 8, 9])
def test_both_penalties_end_at_a_certified_local_minimum(seed):
    """Plain gradient steps zigzag between the sides of a kink; hoag goes along it."""
    problem = fejer.ElasticNetBilevel.random(mode="both", seed=seed)
    result = fejer.minimize(problem, method="hoag", max_iter=3000)
    assert result.success
    lower, upper = problem.box()
    rng = np.random.default_rng(seed)
    for _ in range(100):
        step = rng.standard_normal(2)
        step *= 10.0 ** rng.uniform(-5, -1.5) / np.linalg.norm(step)
        x = np.clip(result.x + step, lower, upper)
        y = problem.lower_solution(x)
        assert problem.upper_level(x, y).fun >= result.fun - 1e-9


def test_a_point_on_a_kink_is_judged_by_its_pieces():
    """The support changes between two neighbouring numbers: it is certain at neither."""
    problem = fejer.ElasticNetBilevel.random(seed=3)
    best = fejer.minimize(problem, method="hoag")

    def support(x):
        return tuple(np.flatnonzero(problem.lower_solution(np.array([x]))))

    low, high = best.x[0] - 1e-6, best.x[0] + 1e-6
    first = support(low)
    assert first != support(high)
    while low < (middle := 0.5 * (low + high)) < high:
        low, high = (middle, high) if support(middle) == first else (low, middle)
    for x in (low, high):
        y = problem.lower_solution(np.array([x]))
        assert problem.assess(np.array([x]), y).error == np.inf
        c = problem.judge(np.array([x]), {"y": y})
        assert c.value <= 1e-6 and c.details["pieces"] == 2.0
        assert c.fun == pytest.approx(best.fun, rel=1e-6)
    away = problem.judge(np.array([low + 1e-4]))
    assert away.value > 1e-3


@pytest.mark.parametrize("y", [[0.0, 0.0], [0.5, 0.0], [1e-2, 0.0], [1e-3, -1e-3]])
def test_distances_do_not_trust_the_curvature_of_a_wrong_support(y):
    """Nearly parallel columns: tiny residuals far from y*, where H on the support is large."""
    rng = np.random.default_rng(0)
    u, v = rng.normal(size=(2, 50))
    v -= u * (u @ v) / (u @ u)
    u, v = u / np.std(u), 0.02 * v / np.std(v)
    validation = rng.normal(size=(10, 2)), rng.normal(size=10)
    problem = fejer.ElasticNetBilevel(np.c_[u + v, u - v], 2 * v, *validation)
    x = np.full(problem.size, -11.5)
    best = problem.lower_solution(x)
    found = problem.assess(x, np.array(y))
    assert np.linalg.norm(best - y) <= found.distance * (1 + 1e-6)
    assert abs(problem.upper_level(x, best).fun - found.fun) <= found.fun_error
