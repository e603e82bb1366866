"""CrossValidated: against its folds, a closed form and scikit-learn; bad input."""

import pickle

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

import fejer
from tests.bilevel import twin
from tests.bilevel.twin_losses import Classifier

RNG = np.random.default_rng(0)
X = RNG.standard_normal((42, 4))
TARGET = X @ [1.0, 0.5, 0.2, 0.0] + RNG.standard_normal(42)
LABEL = np.where(TARGET > 0.3, 1.0, -1.0)
RIDGE = fejer.CrossValidated.of(fejer.RidgeBilevel, X, TARGET, folds=4)
GROUPED = fejer.CrossValidated.of(fejer.RidgeBilevel, X, TARGET, folds=3, mode=[0, 0, 1, 1])
LOGISTIC = fejer.CrossValidated.of(fejer.LogisticBilevel, X, LABEL, folds=3)
MULTI = fejer.CrossValidated.of(fejer.MultinomialBilevel, X, LABEL, folds=3, mode="class", mu0=1e-2)
ALL = pytest.mark.parametrize("problem", [RIDGE, GROUPED, LOGISTIC, MULTI])


def truth(problem, x):
    """Mean value and gradient over the folds, and all y*."""
    ridge = isinstance(problem.parts[0], fejer.RidgeBilevel)
    found = [twin.ridge(p, x) if ridge else Classifier(p).truth(x) for p in problem.parts]
    fun, gradient = (sum(f[i] for f in found) / len(found) for i in (0, 1))
    return fun, gradient, np.concatenate([f[3] for f in found])


@ALL
def test_the_bound_is_never_violated(problem):
    rng = np.random.default_rng(1)
    for _ in range(6):
        x = rng.uniform(-5.0, 2.0, problem.size)
        fun, gradient, y = truth(problem, x)
        for _ in range(8):
            inexact = y.astype(float) + 10.0 ** rng.uniform(-14, 0) * rng.standard_normal(y.size)
            slope = problem.upper_level(x, inexact).grad_y
            q = problem.adjoint(x, inexact, slope, tol=10.0 ** rng.uniform(-14, -1))[0]
            a = problem.assess(x, inexact, adjoint=q)
            assert np.linalg.norm((a.gradient - gradient).astype(float)) <= a.error
            assert abs(a.fun - fun) <= a.fun_error
        c = problem.judge(x)
        assert c.fun == pytest.approx(float(fun), rel=1e-10)
        assert c.details["hypergradient_error"] < 1e-8
        assert problem.judge(x, c.witness).value == c.value
        hidden = problem.hypergradient(x)
        np.testing.assert_allclose(hidden, gradient.astype(float), rtol=1e-7, atol=1e-10)


def test_the_value_is_that_of_the_twin_in_the_first_folds_coordinates():
    x = np.array([-1.0, 0.5])
    first = GROUPED.parts[0]
    s, p = twin.ridge_sizes(first), np.exp(x)
    fun = float(truth(GROUPED, x)[0])
    slope = sum(twin.ridge(part, x)[2] for part in GROUPED.parts).astype(float) / 3
    null = np.mean([(part.y_val**2).mean() / 2 for part in GROUPED.parts])
    g = slope * (p + s) ** 2 / s / min(null, max(fun, 1e-6 * null))
    low, high = (np.exp(b) / (np.exp(b) + s) for b in (first.lower, first.upper))
    t = p / (p + s)
    expected = np.linalg.norm(t - np.clip(t - g, low, high))
    assert GROUPED.judge(x).value == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("method", ["maid", "hoag"])
@pytest.mark.parametrize("problem", [RIDGE, LOGISTIC])
def test_optimum_is_that_of_a_scalar_search(problem, method):
    best = minimize_scalar(
        lambda x: float(truth(problem, np.array([x]))[0]),
        bounds=(-8, 3),
        method="bounded",
        options={"xatol": 1e-8},
    )
    result = fejer.minimize(problem, method=method)
    assert result.success
    assert result.fun <= best.fun + 1e-9


def test_the_objective_is_the_cross_validation_loss_of_sklearn():
    x = np.array([-2.0])
    losses = []
    for part in LOGISTIC.parts:
        C = 1 / (len(part.y_train) * np.exp(-2.0))
        model = LogisticRegression(C=C, fit_intercept=False, tol=1e-12, max_iter=10**4)
        model.fit(part.X_train.dense, part.y_train)
        losses.append(log_loss(part.y_val, model.predict_proba(part.X_val.dense)))
    assert LOGISTIC.judge(x).fun == pytest.approx(np.mean(losses), rel=1e-5)


def test_folds_are_a_partition_with_even_labels():
    sizes = [len(part.y_val) for part in RIDGE.parts]
    assert sum(sizes) == 42 and max(sizes) - min(sizes) <= 1
    rows = np.concatenate([part.X_val.dense for part in RIDGE.parts])
    assert {row.tobytes() for row in rows} == {row.tobytes() for row in X}
    ones = [(part.y_val == 1).sum() for part in LOGISTIC.parts]
    assert max(ones) - min(ones) <= 1


def test_pickle_and_scale():
    x = np.array([-1.0])
    value = RIDGE.judge(x).value
    assert pickle.loads(pickle.dumps(RIDGE)).judge(x).value == value
    assert RIDGE.replace(scale=2.0).judge(x).value == pytest.approx(value / 2, rel=1e-12)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"factory": 3}, "factory"),
        ({"factory": None}, "factory"),
        ({"factory": fejer.RidgeBilevel}, "factory"),
        ({"factory": lambda k: k}, "factory: expected a problem"),
        ({"factory": lambda k: fejer.QuadraticBilevel.random()}, "factory: expected a problem"),
        (
            {"factory": lambda k: fejer.RidgeBilevel.random(mode=["scalar", "feature"][k % 2])},
            "factory: expected the penalties",
        ),
        ({"factory": RIDGE.factory, "folds": 0}, "folds"),
        ({"factory": RIDGE.factory, "folds": 2.5}, "folds"),
        ({"factory": RIDGE.factory, "folds": "two"}, "folds"),
        ({"factory": RIDGE.factory, "folds": 4, "scale": 0}, "scale"),
    ],
)
def test_bad_fields(arguments, text):
    with pytest.raises(fejer.ProblemError, match=text):
        fejer.CrossValidated(**arguments)


@pytest.mark.parametrize(
    ("arguments", "fields", "text"),
    [
        ((fejer.Lasso, X, TARGET), {}, "kind"),
        (("ridge", X, TARGET), {}, "kind"),
        ((fejer.RidgeBilevel, X[0], TARGET), {}, "y: expected"),
        ((fejer.RidgeBilevel, X, TARGET[:-1]), {}, "y: expected"),
        ((fejer.RidgeBilevel, X, TARGET), {"folds": 1}, "folds"),
        ((fejer.RidgeBilevel, X, TARGET), {"folds": 43}, "folds"),
        ((fejer.RidgeBilevel, X, TARGET), {"mode": "row"}, "mode"),
        ((fejer.LogisticBilevel, X, TARGET), {}, "y_train"),
    ],
)
def test_bad_data(arguments, fields, text):
    with pytest.raises(fejer.ProblemError, match=text):
        fejer.CrossValidated.of(*arguments, **fields)
