"""LogisticBilevel and MultinomialBilevel: oracles, attacks, layouts, bad input."""

import pickle

import numpy as np
import pytest
import scipy.sparse
from scipy.optimize import minimize_scalar
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

import fejer
from tests.bilevel.twin_losses import Classifier

L = fejer.LogisticBilevel.random()
M = fejer.MultinomialBilevel.random()
BOTH = pytest.mark.parametrize("problem", [L, M], ids=["logistic", "multinomial"])
TOL = 1e-6


def regression(problem, x):
    """scikit-learn's coefficients for one penalty."""
    C = 1.0 / (len(problem.y_train) * np.exp(x))
    model = LogisticRegression(C=C, fit_intercept=False, tol=1e-12, max_iter=10_000)
    return model.fit(problem.X_train.dense, problem.y_train)


@BOTH
def test_lower_solution_and_objective_are_sklearns(problem):
    for x in (-4.0, -1.0, 1.0):
        model = regression(problem, x)
        y = problem.y(np.array([x]))
        np.testing.assert_allclose(y, model.coef_.T.ravel(), atol=1e-5)
        loss = log_loss(problem.y_val, model.predict_proba(problem.X_val.dense))
        assert problem.judge(np.array([x])).fun == pytest.approx(loss, rel=1e-5)


@BOTH
@pytest.mark.parametrize("method", ["maid", "hoag"])
def test_optimum_is_that_of_a_scalar_search(problem, method):
    twin = Classifier(problem)
    best = minimize_scalar(
        lambda x: float(twin.truth([x])[0]),
        bounds=(-8, 3),
        method="bounded",
        options={"xatol": 1e-9},
    )
    result = fejer.minimize(problem, method=method)
    assert result.success
    assert result.fun <= best.fun + 1e-10
    assert result.x[0] == pytest.approx(best.x, abs=1e-4)


@BOTH
def test_points_three_tolerances_away_fail(problem):
    twin, exact = Classifier(problem), fejer.minimize(problem, tol=1e-9)
    for sign in (-1, 1):
        slope = twin.value(exact.x + sign * 1e-4) / 1e-4
        for size in (3.0, 10.0, 1e3):
            x = exact.x + sign * size * TOL / slope
            assert twin.value(x) > 2.9 * TOL
            assert not problem.judge(x).holds(TOL)
            assert not problem.judge(x, exact.witness).holds(TOL)
        assert problem.judge(exact.x + sign * 0.3 * TOL / slope).holds(TOL)


def test_flat_ends_do_not_pass():
    """Few rows and penalties of e^-12: the hypergradient in x is tiny, the loss far too large."""
    problem = fejer.LogisticBilevel.random(100, 60, 20, mode="feature", seed=5)
    x = np.full(20, -12.0)
    c = problem.judge(x)
    best = fejer.minimize(problem.replace(mode="scalar"))
    assert c.fun > 1.05 * best.fun
    assert c.details["grad_norm"] / c.scale < 1e-2
    assert c.value > 0.1
    assert problem.judge(np.full(20, 4.0)).value > 0.1


@BOTH
def test_hostile_witnesses_do_not_help(problem):
    twin, rng = Classifier(problem), np.random.default_rng(0)
    x = np.array([-1.0])
    truth, good = twin.value(x), dict(problem.judge(x).witness)
    y, q = good["y"], good["adjoint"]
    for witness in (
        {},
        {"y": "garbage"},
        {"y": y[:-1]},
        {"y": np.full(y.size, np.nan)},
        {"y": np.full(y.size, 1e9)},
        {"y": np.full(y.size, 1e200)},
        {"y": 0 * y},
        {"y": -y, "adjoint": q},
        {"y": y, "adjoint": 0 * q},
        {"y": y, "adjoint": np.full(q.size, 1e9)},
        {"y": y + rng.standard_normal(y.size)},
        {"y": q, "adjoint": y},
    ):
        assert problem.judge(x, witness).value >= truth * (1 - 1e-9)


@BOTH
def test_invariance(problem):
    """Permuted rows and columns, duplicated data, renamed classes: the same value."""
    rng = np.random.default_rng(0)
    x = np.array([-1.5])
    value = problem.judge(x).value
    A, b = problem.X_train.dense, problem.y_train
    rows = rng.permutation(len(b))
    columns = rng.permutation(A.shape[1])
    turned = problem.replace(
        X_train=A[rows][:, columns], y_train=b[rows], X_val=problem.X_val.dense[:, columns]
    )
    assert turned.judge(x).value == pytest.approx(value, rel=1e-8)
    twice = problem.replace(X_train=np.r_[A, A], y_train=np.r_[b, b])
    assert twice.judge(x).value == pytest.approx(value, rel=1e-8)
    if problem is M:
        named = problem.replace(y_train=5.0 - b, y_val=5.0 - problem.y_val)
        assert named.judge(x).value == pytest.approx(value, rel=1e-8)
    assert problem.replace(scale=4.0).judge(x).value == pytest.approx(value / 4, rel=1e-12)
    assert pickle.loads(pickle.dumps(problem)).judge(x).value == value


@BOTH
def test_layouts_and_types(problem):
    x = np.array([-1.0])
    value = problem.judge(x).value
    A, V = problem.X_train.dense, problem.X_val.dense
    for X, W in (
        (A.tolist(), V.tolist()),
        (np.ascontiguousarray(A), np.asfortranarray(V)),
        (scipy.sparse.csr_array(A), scipy.sparse.csc_matrix(V)),
        (np.repeat(A, 2, axis=0)[::2], V),
    ):
        other = type(problem)(X, problem.y_train.tolist(), W, problem.y_val.astype(int))
        assert other.judge(x).value == pytest.approx(value, rel=1e-9)
    single = type(problem)(
        A.astype(np.float32), problem.y_train, V.astype(np.float32), problem.y_val
    )
    assert single.judge(x).value == pytest.approx(value, rel=1e-3)


@BOTH
def test_a_column_of_zeros_and_separable_data(problem):
    A, V = problem.X_train.dense.copy(), problem.X_val.dense.copy()
    A[:, 1] = 0.0
    zeros = problem.replace(X_train=A, X_val=V, mode="feature")
    c = zeros.judge(zeros.initial_point())
    assert np.isfinite(c.value)
    assert (c.witness["y"].reshape(A.shape[1], -1)[1] == 0).all()
    separable = problem.replace(X_train=1e3 * np.sign(A) + A)
    for x in (-12.0, 4.0):
        assert separable.judge(np.array([x])).value >= 0


@pytest.mark.parametrize("cls", [fejer.LogisticBilevel, fejer.MultinomialBilevel])
@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("X_train", np.ones((3, 0)), "X_train"),
        ("X_train", np.full((3, 2), np.nan), "X_train"),
        ("X_train", np.ones((3, 2), complex), "X_train"),
        ("X_val", np.ones((2, 3)), "X_val"),
        ("X_val", np.ones((0, 2)), "X_val"),
        ("y_train", [1.0, -1.0], "y_train"),
        ("y_train", [1.0, np.nan, 1.0], "y_train"),
        ("y_train", ["a", "b", "a"], "y_train"),
        ("y_train", None, "y_train"),
        ("y_val", [1.0, 7.0], "y_val: expected labels"),
        ("y_val", [], "y_val"),
        ("mu0", -1.0, "mu0"),
        ("mu0", np.inf, "mu0"),
        ("mode", "column", "mode"),
        ("mode", [0, 2], "mode"),
        ("mode", [0], "mode"),
        ("lower", 5.0, "upper"),
        ("lower", -1e3, "lower"),
        ("upper", np.nan, "upper"),
        ("scale", 0.0, "scale"),
    ],
)
def test_bad_fields(cls, field, value, text):
    good = {"X_train": np.eye(3, 2), "y_train": [1, -1, 1], "X_val": np.eye(2), "y_val": [1, -1]}
    cls(**good)
    with pytest.raises(fejer.ProblemError, match=text):
        cls(**{**good, field: value})


def test_labels():
    good = {"X_train": np.eye(3, 2), "X_val": np.eye(2), "y_val": [1, -1]}
    with pytest.raises(fejer.ProblemError, match="y_train: expected labels 1 and -1, got 0"):
        fejer.LogisticBilevel(y_train=[1, 0, 1], **good)
    with pytest.raises(fejer.ProblemError, match="y_train: expected at least two"):
        fejer.MultinomialBilevel(y_train=[1, 1, 1], **good)
    with pytest.raises(fejer.ProblemError, match="mode"):
        fejer.LogisticBilevel(y_train=[1, -1, 1], mode="class", **good)
