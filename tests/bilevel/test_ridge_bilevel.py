"""RidgeBilevel: certificate against twins and scikit-learn, the flat ends, hostile data."""

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse

import fejer
from tests.bilevel import twin

GROUPS = [0, 0, 1, 1, 1, 2, 2, 0]
PROBLEMS = {
    "scalar": fejer.RidgeBilevel.random(),
    "groups": fejer.RidgeBilevel.random(mode=GROUPS, seed=1),
    "feature": fejer.RidgeBilevel.random(mode="feature", seed=2),
    "few rows": fejer.RidgeBilevel.random(6, 12, 8, mode=GROUPS, seed=3),
}
TOL = 1e-6


def optimum(problem, start=None):
    """A local minimiser by scipy, on Phi in long doubles."""

    def both(x):
        fun, gradient, _, _ = twin.ridge(problem, x)
        return float(fun), gradient.astype(float)

    start = problem.initial_point() if start is None else start
    bounds = [(problem.lower, problem.upper)] * problem.size
    options = {"ftol": 0.0, "gtol": 1e-13, "maxiter": 2000, "maxls": 50}
    return scipy.optimize.minimize(both, start, jac=True, bounds=bounds, options=options).x


OPTIMA = {name: optimum(problem) for name, problem in PROBLEMS.items()}


@pytest.mark.parametrize("name", PROBLEMS)
def test_certificate_is_the_twin(name):
    problem, rng = PROBLEMS[name], np.random.default_rng(0)
    for _ in range(15):
        x = rng.uniform(problem.lower, problem.upper, problem.size)
        x[rng.random(x.size) < 0.2] = problem.lower
        c = problem.judge(x)
        truth = twin.ridge_value(problem, x)
        assert c.kind == "hypergradient" and not c.rigorous
        assert truth * (1 - 1e-12) <= c.value <= truth * (1 + 2e-2) + 1e-6
        fun, gradient, _, _ = twin.ridge(problem, x)
        assert c.fun == pytest.approx(float(fun), rel=1e-9)
        step = np.clip(x - gradient.astype(float), problem.lower, problem.upper) - x
        assert c.details["grad_norm_upper"] >= np.linalg.norm(step) * (1 - 1e-9)
        assert c.details["grad_norm"] == pytest.approx(np.linalg.norm(step), rel=1e-6, abs=1e-9)
        assert problem.judge(x, c.witness).value <= c.value


@pytest.mark.parametrize("name", PROBLEMS)
def test_lower_solution_is_that_of_scikit_learn(name):
    from sklearn.linear_model import Ridge

    problem = PROBLEMS[name]
    X, V = problem.X_train.dense, problem.X_val.dense
    for x in (OPTIMA[name], np.full(problem.size, -2.0), np.linspace(-5, 2, problem.size)):
        size = np.exp(-np.asarray(x)[twin.groups(problem)] / 2)
        model = Ridge(alpha=len(X), fit_intercept=False, solver="svd").fit(
            X * size, problem.y_train
        )
        y = size * model.coef_
        np.testing.assert_allclose(problem.y(x), y, rtol=1e-7, atol=1e-10)
        loss = np.mean((V @ y - problem.y_val) ** 2) / 2
        assert problem.judge(x).fun == pytest.approx(loss, rel=1e-9)


def test_scalar_optimum_is_that_of_a_search_with_scikit_learn():
    from sklearn.linear_model import Ridge

    problem = PROBLEMS["scalar"]
    X, V = problem.X_train.dense, problem.X_val.dense

    def loss(x):
        model = Ridge(alpha=len(X) * np.exp(x), fit_intercept=False, solver="svd")
        return np.mean((V @ model.fit(X, problem.y_train).coef_ - problem.y_val) ** 2) / 2

    grid = np.linspace(problem.lower, problem.upper, 161)
    middle = grid[np.argmin([loss(x) for x in grid])]
    bounds = middle - 0.1, min(middle + 0.1, problem.upper)
    found = scipy.optimize.minimize_scalar(
        loss, bounds=bounds, method="bounded", options={"xatol": 1e-9}
    )
    result = fejer.minimize(problem, method="hoag")
    assert result.success and abs(result.x[0] - found.x) < 1e-4
    assert result.fun == pytest.approx(found.fun, rel=1e-10)
    low, high = result.value_interval
    assert low <= result.fun <= high and high - low < 1e-9


@pytest.mark.parametrize("name", PROBLEMS)
def test_points_three_tolerances_away_fail(name):
    problem, best = PROBLEMS[name], OPTIMA[name]
    rng = np.random.default_rng(1)
    old = problem.judge(best)
    assert old.holds(TOL / 5)
    free = (best > problem.lower + 1e-3) & (best < problem.upper - 1e-3)
    for _ in range(15):
        direction = rng.standard_normal(best.size) * free

        def excess(h, direction=direction):
            return twin.ridge_value(problem, best + h * direction) - 3 * TOL

        if not free.any():
            continue
        high = 1e-7
        while excess(high) < 0:
            high *= 2
        x = best + scipy.optimize.brentq(excess, 0, high, rtol=1e-6) * direction
        assert not problem.judge(x).holds(TOL)
        assert not problem.judge(x, old.witness).holds(TOL)


# The flat ends ---------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_the_flat_ends_are_not_certified(seed):
    """At x = -12 the gradient in x is 1e-6 of F, and Phi far from its minimum."""
    problem = fejer.RidgeBilevel.random(100, 100, 20, noise=6.0, seed=seed)
    for end in (-12.0, 4.0):
        x = np.array([end])
        grid = [float(twin.ridge(problem, [g])[0]) for g in np.linspace(-12, 4, 65)]
        fun = float(twin.ridge(problem, x)[0])
        if fun > 1.001 * min(grid):
            c = problem.judge(x)
            assert c.value > 1e-3
            if end < 0:
                assert c.details["grad_norm_upper"] / c.details["null"] < 1e-4


def test_one_column_each_at_the_flat_ends():
    problem = fejer.RidgeBilevel.random(40, 60, 10, mode="feature", noise=3.0)
    for x in (np.full(10, -12.0), np.full(10, 4.0), np.where(np.arange(10) % 2, -12.0, 4.0)):
        assert problem.judge(x).value > 1e-2


def test_outside_the_box():
    problem = PROBLEMS["scalar"]
    assert problem.judge(np.array([-12.0 - 1e-10])).value < np.inf
    for x in (-12.001, 4.1, 1e3, -1e8, 1e200):
        c = problem.judge(np.array([x]))
        assert c.value == np.inf and "box" in c.reason
    for x in (np.nan, np.inf):
        assert problem.judge(np.array([x])).value == np.inf


# Hostile data -----------------------------------------------------------------------------------


def variants():
    p = PROBLEMS["scalar"]
    X, V = p.X_train.dense, p.X_val.dense
    ones = np.ones((len(X), 1)), np.ones((len(V), 1))
    factors = np.logspace(-9, 6, 8)
    return {
        "tiny": p.replace(X_train=1e-3 * X, X_val=1e-3 * V),
        "columns 1e-9 to 1e6": p.replace(X_train=X * factors, X_val=V * factors),
        "offset, no column of ones": p.replace(y_train=p.y_train + 1e4, y_val=p.y_val + 1e4),
        "offset and a column of ones": p.replace(
            X_train=np.hstack([X, ones[0]]),
            X_val=np.hstack([V, ones[1]]),
            y_train=p.y_train + 1e4,
            y_val=p.y_val + 1e4,
        ),
        "a column twice": p.replace(X_train=X[:, [0, 0, 1, 2]], X_val=V[:, [0, 0, 1, 2]]),
        "columns of zeros": p.replace(X_train=X * (np.arange(8) < 3), X_val=V),
        "targets 1e30": p.replace(y_train=1e30 * p.y_train, y_val=1e30 * p.y_val),
        "targets 1e-30": p.replace(y_train=1e-30 * p.y_train, y_val=1e-30 * p.y_val),
        "no validation target": p.replace(y_val=0 * p.y_val),
        "no training target": p.replace(y_train=0 * p.y_train),
        "exact fit": p.replace(y_train=X[:, 0], y_val=V[:, 0]),
        "one sample": p.replace(X_train=X[:1], y_train=p.y_train[:1]),
    }


@pytest.mark.parametrize("mode", ["scalar", "feature"])
@pytest.mark.parametrize("name", variants())
def test_hostile_data_give_no_false_success(name, mode):
    problem = variants()[name].replace(mode=mode)
    rng = np.random.default_rng(0)
    grid = np.linspace(-12, 4, 33)
    base = problem.initial_point()
    points = [np.clip(base + g - base[0], -12, 4) for g in grid]
    points += [rng.uniform(-12, 4, problem.size) for _ in range(10)]
    for x in points:
        c = problem.judge(x)
        truth = twin.ridge_value(problem, x)
        assert c.value >= truth * (1 - 1e-9) - 1e-12
        if c.holds(TOL):  # Phi does not fall nearby by more than the step in t allows
            for j in range(problem.size):
                for h in (-0.5, 0.5):
                    other = np.clip(x + h * (np.arange(x.size) == j), -12, 4)
                    fall = float(twin.ridge(problem, x)[0] - twin.ridge(problem, other)[0])
                    assert fall <= 1e-5 * c.scale


def test_an_offset_does_not_buy_tolerance():
    """F0 is 5e7 there; every other penalty changes F by at most 1."""
    problem = variants()["offset and a column of ones"].replace(mode="feature")
    x = np.full(problem.size, -1.0)
    x[-1] = -12.0
    c = problem.judge(x)
    assert c.details["null"] > 1e7 and c.scale < 1e-3 * c.details["null"]
    assert c.value > 1e-5


def test_layouts_and_types():
    p = PROBLEMS["feature"]
    X, V = np.array(p.X_train.dense), np.array(p.X_val.dense)
    x = np.full(8, -2.0)
    value = p.judge(x).value
    for X_train, X_val in (
        (X.tolist(), V.tolist()),
        (np.asfortranarray(X), np.repeat(V, 2, axis=1)[:, ::2]),
        (scipy.sparse.csr_array(X), scipy.sparse.csc_array(V)),
        (scipy.sparse.coo_matrix(X), V),
        (scipy.sparse.linalg.aslinearoperator(X), scipy.sparse.linalg.aslinearoperator(V)),
    ):
        problem = fejer.RidgeBilevel(X_train, p.y_train, X_val, p.y_val, mode="feature")
        assert problem.judge(x).value == pytest.approx(value, rel=1e-9)
    numbers = fejer.RidgeBilevel(X, p.y_train, V, p.y_val, mode=list(range(8)))
    assert numbers.judge(x).value == pytest.approx(value, rel=1e-12)
    one = numbers.replace(mode=np.zeros(8, int))
    assert one.size == 1
    assert one.judge(x[:1]).value == pytest.approx(p.replace(mode="scalar").judge(x[:1]).value)
    assert numbers.replace(scale=3.0).mode is numbers.mode


def test_permutations():
    p, rng = PROBLEMS["feature"], np.random.default_rng(0)
    rows, columns = rng.permutation(p.X_train.shape[0]), rng.permutation(8)
    other = p.replace(
        X_train=p.X_train.dense[np.ix_(rows, columns)],
        y_train=p.y_train[rows],
        X_val=p.X_val.dense[:, columns],
    )
    x = rng.uniform(-5, 2, 8)
    assert other.judge(x[columns]).value == pytest.approx(p.judge(x).value, rel=1e-9)
