"""The dual support vector machine: its gap, scikit-learn, and the attacks."""

import functools

import numpy as np
import pytest
import scipy.sparse

import fejer

TOL = 1e-6
CASES = {
    "plain": {},
    "small C": {"C": 1e-3},
    "large C": {"C": 10.0},
    "wide": {"n": 20, "p": 40, "C": 1.0},
    "each": {"C": None},
}


def instance(name, sparse=False):
    fields = dict(CASES[name])
    each = "C" in fields and fields.pop("C") is None
    problem = fejer.SVMDual.random(**(CASES[name] if not each else {}), seed=4)
    X = problem.X.toarray()
    C = np.random.default_rng(0).uniform(0.01, 1, X.shape[0]) if each else problem.C
    if sparse:
        X = scipy.sparse.csr_array(np.where(np.abs(X) > 0.5, X, 0.0))
    return fejer.SVMDual(X, problem.y, C)


@functools.cache
def solved(name, sparse=False):
    problem = instance(name, sparse)
    return problem, fejer.minimize(problem, method="bcd", tol=1e-11, max_iter=100_000)


def gap(problem, alpha):
    X, y = problem.X.toarray(), problem.y
    w = X.T @ (alpha * y)
    primal = 0.5 * w @ w + np.sum(problem.C * np.maximum(0, 1 - y * (X @ w)))
    dual = alpha.sum() - 0.5 * w @ w
    return (primal - dual) / dual, -dual


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("sparse", [False, True])
def test_certificate_is_the_gap_and_bounds_the_truth(name, sparse):
    problem, result = solved(name, sparse)
    assert result.success
    rng = np.random.default_rng(1)
    for size in (0.0, 1e-7, 1e-4, 1e-2, 0.5):
        alpha = result.x + size * rng.standard_normal(result.x.size) * problem.C
        alpha = np.clip(alpha, 0, problem.C)
        certificate = problem.judge(alpha)
        value, fun = gap(problem, alpha)
        if fun >= 0:
            assert certificate.value == np.inf
            continue
        assert certificate.value <= value * (1 + 1e-3) + 1e-9  # w may be lengthened
        assert certificate.value >= 0.5 * value - 1e-9
        assert certificate.value >= (fun - result.fun) / certificate.scale - 1e-12
        assert certificate.fun == pytest.approx(fun, rel=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_three_tol_off_fails(name):
    problem, result = solved(name)
    rng = np.random.default_rng(2)
    tested = 0
    for _ in range(8):
        low, high = 0.0, 1.0
        direction = rng.standard_normal(result.x.size) * problem.C
        for _ in range(60):
            t = 0.5 * (low + high)
            alpha = np.clip(result.x + t * direction, 0, problem.C)
            value = gap(problem, alpha)[1]
            far = value >= 0 or (value - result.fun) / -value >= 3 * TOL
            low, high = (low, t) if far else (t, high)
        alpha = np.clip(result.x + high * direction, 0, problem.C)
        if (gap(problem, alpha)[1] - result.fun) / abs(result.fun) > 2.9 * TOL:
            tested += 1
            assert not fejer.verify(problem, alpha).holds(TOL)
    assert tested >= 6


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("method", ["bcd", "fista"])
def test_optimum_is_that_of_cvxpy(name, method):
    problem = instance(name)
    result = fejer.minimize(problem, method=method, tol=1e-8)
    assert result.success
    optimum = problem.to_cvxpy().solve(solver="CLARABEL")
    assert result.fun == pytest.approx(optimum, rel=1e-6)


def test_solution_is_that_of_liblinear():
    from sklearn.svm import LinearSVC

    problem, result = solved("plain")
    model = LinearSVC(C=0.1, loss="hinge", fit_intercept=False, tol=1e-10, max_iter=10**6)
    model.fit(problem.X.dense, problem.y)
    np.testing.assert_allclose(result.coef, model.coef_[0], atol=1e-4)
    np.testing.assert_array_equal(result.support, np.flatnonzero(result.x))


@pytest.mark.parametrize("rule", ["cyclic", "permuted", "random", "lipschitz", "gs", "gs-q"])
def test_every_rule_of_coordinate_descent(rule):
    problem, result = solved("plain")
    other = fejer.minimize(problem, method="bcd", options={"selection": rule}, tol=1e-8)
    assert other.success and other.fun == pytest.approx(result.fun, rel=1e-7)


def test_separable_data_and_an_enormous_bound():
    """An exact alpha was given 3.8e-4 at C = 1e12: the hinge of rounding times C."""
    X = np.array([[1.0, 0.3], [1.0, -0.7], [-1.0, 0.1], [-1.1, 0.9], [-3.0, 0.0]])
    y = np.array([1.0, 1, -1, -1, -1])
    for C in (1e3, 1e8, 1e12):
        problem = fejer.SVMDual(X, y, C)
        result = fejer.minimize(problem, method="bcd", tol=1e-9)
        assert result.success and result.fun == pytest.approx(-0.5 * result.coef @ result.coef)


def test_zero_and_outside():
    problem, result = solved("plain")
    assert problem.judge(np.zeros(result.x.size)).value == np.inf
    x = result.x.copy()
    x[0] = -1e-3
    assert problem.judge(x).value == np.inf
    x[0] = 2 * problem.C
    assert "bounds" in problem.judge(x).reason
    assert problem.judge(np.full(result.x.size, 1e200)).value == np.inf


BAD = [
    ("y", {"y": np.arange(6.0)}),
    ("y", {"y": np.ones(6)}),
    ("y", {"y": [1, -1]}),
    ("y", {"y": [[1.0], [1.0, -1.0]]}),
    ("X", {"X": np.full((6, 2), np.inf)}),
    ("X", {"X": np.zeros((0, 2))}),
    ("C", {"C": 0.0}),
    ("C", {"C": -1.0}),
    ("C", {"C": np.nan}),
    ("C", {"C": [1.0, 2.0]}),
    ("C", {"C": [1.0, 1, 1, 1, 1, 0]}),
    ("C", {"C": "one"}),
    ("C", {"C": None}),
]


@pytest.mark.parametrize("field, bad", BAD)
def test_names_what_it_refuses(field, bad):
    X = np.random.default_rng(0).standard_normal((6, 2))
    with pytest.raises(fejer.ProblemError, match=rf"^{field}"):
        fejer.SVMDual(**{"X": X, "y": [1, -1, 1, -1, 1, -1], "C": 0.1, **bad})
