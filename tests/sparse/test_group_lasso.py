"""Group lasso: the gap, cvxpy, closed forms and its methods."""

import functools

import numpy as np
import pytest
import scipy.sparse
from scipy.special import xlog1py, xlogy

import fejer

TOL = 1e-6
MIXED = [list(range(i, 40, 7)) for i in range(7)]
CASES = {
    "plain": {},
    "small lam": {"ratio": 0.01},
    "sparse groups": {"l1": 2.0},
    "weights": {"weights": np.linspace(0.5, 2, 10)},
    "mean": {"scale": "mean"},
    "wide": {"n": 25, "ratio": 0.05},
    "logistic": {"loss": "logistic"},
    "logistic both": {"loss": "logistic", "l1": 0.3, "ratio": 0.1},
    "moduli alone": {"l1": 5.0, "ratio": 0.0},
}


def instance(name, sparse=False):
    problem = fejer.GroupLasso.random(**CASES[name], seed=3)
    if sparse:
        X = problem.X.toarray()
        problem = problem.replace(X=scipy.sparse.csc_array(np.where(np.abs(X) > 0.7, X, 0.0)))
    return problem


@functools.cache
def solved(name, sparse=False):
    problem = instance(name, sparse)
    return problem, fejer.minimize(problem, method="bcd", tol=1e-11, max_iter=50_000)


def parts(problem):
    per = problem.X.shape[0] if problem.scale == "mean" else 1.0
    sizes = np.sqrt(np.bincount(problem.groups))
    weights = sizes if problem.weights is None else problem.weights
    return problem.X.toarray(), np.array(problem.y), weights * problem.lam * per, problem.l1 * per


def norms(problem, v):
    return np.array(
        [np.linalg.norm(v[problem.groups == g]) for g in range(problem.groups.max() + 1)]
    )


def objective(problem, w):
    X, y, a, l1 = parts(problem)
    fit = X @ w
    logistic = problem.loss == "logistic"
    loss = np.logaddexp(0, -y * fit).sum() if logistic else 0.5 * np.sum((y - fit) ** 2)
    per = X.shape[0] if problem.scale == "mean" else 1.0
    return (loss + a @ norms(problem, w) + l1 * np.abs(w).sum()) / per


def twin(problem, w):
    """The gap at the largest feasible multiple of the residual, over the scale."""
    X, y, a, l1 = parts(problem)
    logistic = problem.loss == "logistic"
    r = y / (1 + np.exp(y * (X @ w))) if logistic else y - X @ w
    c = X.T @ r
    top = 1.0 if logistic else max(y @ r / (r @ r), 0)

    def over(t):
        return (norms(problem, np.maximum(np.abs(t * c) - l1, 0)) - a).max()

    low, high = 0.0, top
    if over(top) > 0:
        for _ in range(80):
            t = (low + high) / 2
            low, high = (t, high) if over(t) <= 0 else (low, t)
        top = low
    q = np.abs(top * r)
    dual = (
        -np.sum(xlogy(q, q) + xlog1py(1 - q, -q))
        if logistic
        else top * (y @ r) - top**2 * (r @ r) / 2
    )
    per = X.shape[0] if problem.scale == "mean" else 1.0
    null = y.size * np.log(2) if logistic else y @ y / 2
    fun = objective(problem, w) * per
    return (fun - max(dual, 0)) / min(null, max(fun, 1e-6 * null))


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("sparse", [False, True])
def test_certificate_is_the_twin_and_bounds_the_truth(name, sparse):
    problem, result = solved(name, sparse)
    assert result.success
    rng = np.random.default_rng(0)
    for size in (0, 1e-6, 1e-3, 0.1, 3.0):
        w = result.x + size * rng.standard_normal(result.x.size)
        certificate = problem.judge(w)
        assert certificate.rigorous
        assert certificate.fun == pytest.approx(objective(problem, w), rel=1e-11)
        assert certificate.value <= twin(problem, w) * (1 + 1e-6) + 1e-9  # better of two points
        truth = (objective(problem, w) - result.fun) / certificate.scale
        assert certificate.value >= truth - 1e-12
        if size <= 1e-3:
            assert certificate.value >= 0.1 * twin(problem, w) - 1e-9


@pytest.mark.parametrize("name", CASES)
def test_three_tol_off_fails(name):
    problem, result = solved(name)
    rng = np.random.default_rng(2)
    for i in range(6):
        direction = rng.standard_normal(40) if i % 2 else result.x * rng.uniform(-1, 1, 40)
        low, high = 0.0, 1.0
        for _ in range(60):
            t = 0.5 * (low + high)
            w = result.x + t * direction
            truth = (objective(problem, w) - result.fun) / problem.judge(w).scale
            low, high = (t, high) if truth < 3 * TOL else (low, t)
        assert fejer.verify(problem, result.x + high * direction).value >= 2.99 * TOL


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("method", ["bcd", "fista"])
def test_optimum_is_that_of_cvxpy(name, method):
    problem = instance(name)
    result = fejer.minimize(problem, method=method, tol=1e-9)
    assert result.success
    optimum = problem.to_cvxpy().solve(solver="CLARABEL")
    assert result.fun == pytest.approx(optimum, rel=2e-6)


@pytest.mark.parametrize("rule", ["cyclic", "permuted", "random", "lipschitz"])
def test_rules_never_increase_the_objective(rule):
    for name in ("sparse groups", "logistic both"):
        problem, result = solved(name)
        last = np.inf
        options = {"selection": rule, "block_size": 1}
        for step in fejer.steps(problem, "bcd", options=options, max_iter=200, tol=0):
            assert step.fun <= last * (1 + 1e-13)
            last = step.fun
        assert last - result.fun < 0.05 * result.fun


def test_orthonormal_columns_give_the_block_threshold():
    rng = np.random.default_rng(0)
    Q = np.linalg.qr(rng.standard_normal((30, 6)))[0]
    y = rng.standard_normal(30)
    problem = fejer.GroupLasso(Q, y, [[0, 3], [1, 2, 4], [5]], 0.4)
    c = Q.T @ y
    expected = np.zeros(6)
    for part in ([0, 3], [1, 2, 4], [5]):
        size = np.linalg.norm(c[part])
        expected[part] = max(0, 1 - 0.4 * np.sqrt(len(part)) / size) * c[part]
    for method in ("bcd", "fista"):
        result = fejer.minimize(problem, method=method, tol=1e-13)
        np.testing.assert_allclose(result.x, expected, atol=1e-10)


def test_groups_of_one_are_the_lasso():
    lasso = fejer.Lasso.random(seed=2)
    problem = fejer.GroupLasso(lasso.X, lasso.y, 1, lasso.lam)
    result = fejer.minimize(problem, method="bcd", tol=1e-11)
    assert result.fun == pytest.approx(fejer.minimize(lasso, tol=1e-11).fun, rel=1e-10)
    assert problem.lam_max() == pytest.approx(lasso.lam_max())


@pytest.mark.parametrize("name", CASES)
def test_lam_max_is_where_0_ends(name):
    problem = instance(name)
    top = problem.lam_max()
    for method in ("bcd", "fista"):
        assert fejer.minimize(problem.replace(lam=top * (1 + 1e-9)), method=method).nit == 0
    assert problem.replace(lam=0.9 * top).judge(np.zeros(40)).value > 1e-6


def test_without_a_penalty_and_mixed_groups():
    problem = fejer.GroupLasso.random()
    free = problem.replace(lam=0.0)
    result = fejer.minimize(free, method="bcd", tol=1e-9)
    best = np.linalg.lstsq(problem.X.dense, problem.y, rcond=None)[0]
    assert result.success and result.fun == pytest.approx(objective(free, best), rel=1e-6)
    mixed = problem.replace(groups=MIXED)
    labels = np.arange(40) % 7
    np.testing.assert_array_equal(mixed.groups, labels)
    assert fejer.minimize(mixed, method="bcd").success


BAD = [
    ("groups", {"groups": 0}),
    ("groups", {"groups": 1.5}),
    ("groups", {"groups": None}),
    ("groups", {"groups": "all"}),
    ("groups", {"groups": [0, 0, 1]}),
    ("groups: index 1 is in two groups", {"groups": [[0, 1], [1, 2, 3]]}),
    ("groups: index 3 is in no group", {"groups": [[0, 1], [2]]}),
    ("groups", {"groups": [[0, 1], [2, 9]]}),
    ("groups", {"groups": [[0.5, 1], [2, 3]]}),
    ("loss", {"loss": "hinge"}),
    ("loss", {"loss": None}),
    ("l1", {"l1": -1}),
    ("l1", {"l1": np.nan}),
    ("lam", {"lam": -1}),
    ("weights", {"weights": [1.0]}),
    ("weights", {"weights": [1.0, 0.0]}),
    ("weights", {"weights": [1.0, np.inf]}),
    ("scale", {"scale": "max"}),
    ("y", {"y": [1, 2, 3, 4, 5, 6], "loss": "logistic"}),
    ("y", {"y": [1]}),
    ("X", {"X": np.full((6, 4), np.nan)}),
]


@pytest.mark.parametrize("field, bad", BAD)
def test_names_what_it_refuses(field, bad):
    X = np.random.default_rng(0).standard_normal((6, 4))
    with pytest.raises(fejer.ProblemError, match=rf"^{field}"):
        fejer.GroupLasso(**{"X": X, "y": X[:, 0], "groups": 2, "lam": 0.1, **bad})
