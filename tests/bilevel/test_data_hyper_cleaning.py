"""DataHyperCleaning: it finds wrong labels; flat ends do not pass; bad input."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

import fejer
from tests.bilevel.twin_losses import Cleaning

PROBLEM = fejer.DataHyperCleaning.random()


def test_lower_solution_is_sklearns():
    problem = PROBLEM
    x = np.random.default_rng(0).uniform(-2, 2, problem.size)
    weights = 1 / (1 + np.exp(-x)) / problem.size
    model = LogisticRegression(C=2 / problem.mu0, fit_intercept=False, tol=1e-12, max_iter=10**4)
    # For two classes scikit-learn has the difference of the coefficients, with half the penalty.
    model.fit(problem.X_train.dense, problem.y_train, sample_weight=weights)
    Y = problem.y(x).reshape(-1, 2)
    np.testing.assert_allclose(Y[:, 1] - Y[:, 0], model.coef_[0], atol=1e-5)


def test_wrong_labels_lose_their_weight():
    problem = fejer.DataHyperCleaning.random(60, 200, wrong=0.25, mu0=0.02, reach=4.0, seed=3)
    right = np.arange(60) % 2
    wrong = problem.y_train != right
    start = problem.judge(problem.initial_point()).fun
    result = fejer.minimize(problem, method="maid", tol=1e-3, max_iter=400)
    assert result.fun < start
    assert np.median(result.x[wrong]) < np.median(result.x[~wrong])
    clean = fejer.minimize(problem.replace(y_train=right), method="maid", tol=1e-3, max_iter=400)
    assert result.fun < 0.5 * (start + clean.fun)


@pytest.mark.parametrize("end", [-40.0, 40.0])
def test_saturated_weights_do_not_pass(end):
    problem = fejer.DataHyperCleaning.random(30, 60, 5, 3, mu0=1e-2, reach=40.0)
    x = np.full(30, end)
    c = problem.judge(x)
    best = fejer.minimize(problem, method="maid", max_iter=60)
    assert c.fun > 1.03 * best.fun
    assert c.details["grad_norm"] < 1e-15
    assert c.value > 1e-2


@pytest.mark.parametrize("seed", range(3))
def test_points_away_from_the_solution_fail(seed):
    problem = fejer.DataHyperCleaning.random(10, 30, seed=seed)
    twin, rng = Cleaning(problem), np.random.default_rng(seed)
    exact = fejer.minimize(problem, method="maid", tol=1e-8)
    assert exact.success
    for _ in range(15):
        direction = rng.standard_normal(problem.size)
        for size in 10.0 ** np.arange(-5, 1):
            x = np.clip(exact.x + size * direction, problem.lower, problem.upper)
            truth = twin.value(x)
            for witness in ({}, exact.witness):
                assert problem.judge(x, witness).value >= truth * (1 - 1e-9)
                assert not (truth > 1e-6 and problem.judge(x, witness).holds(1e-6))


def test_samples_and_features_may_be_permuted():
    rng = np.random.default_rng(0)
    x = rng.uniform(-2, 2, PROBLEM.size)
    rows, columns = rng.permutation(PROBLEM.size), rng.permutation(4)
    other = PROBLEM.replace(
        X_train=PROBLEM.X_train.dense[rows][:, columns],
        y_train=PROBLEM.y_train[rows],
        X_val=PROBLEM.X_val.dense[:, columns],
    )
    assert other.judge(x[rows]).value == pytest.approx(PROBLEM.judge(x).value, rel=1e-8)


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("X_train", np.full((3, 2), np.inf), "X_train"),
        ("X_train", [1.0, 2.0], "X_train"),
        ("X_val", np.ones((2, 3)), "X_val"),
        ("X_val", np.ones((0, 2)), "X_val"),
        ("y_train", [0, 1], "y_train"),
        ("y_train", [1, 1, 1], "y_train: expected at least two"),
        ("y_train", [1j, 1, 0], "y_train"),
        ("y_val", [0, 2], "y_val: expected labels"),
        ("y_val", [0], "y_val"),
        ("mu0", 0.0, "mu0"),
        ("mu0", np.nan, "mu0"),
        ("mu0", None, "mu0"),
        ("lower", 8.0, "upper"),
        ("lower", -np.inf, "lower"),
        ("upper", 301.0, "upper"),
        ("upper", "high", "upper"),
        ("scale", -1.0, "scale"),
    ],
)
def test_bad_fields(field, value, text):
    good = {"X_train": np.eye(3, 2), "y_train": [1, 0, 1], "X_val": np.eye(2), "y_val": [1, 0]}
    fejer.DataHyperCleaning(**good)
    with pytest.raises(fejer.ProblemError, match=text):
        fejer.DataHyperCleaning(**{**good, field: value})
