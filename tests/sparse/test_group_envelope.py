"""The group-sparse envelope: gap, cvxpy, the refit, and its methods."""

import numpy as np
import pytest

import fejer

TOL = 1e-6
CASES = {
    "plain": {},
    "weights": {"weights": np.linspace(0.5, 2, 10)},
    "one": {"k": 1},
    "all": {"k": 10},
    "mean": {"scale": "mean", "lam": 0.3},
    "small lam": {"lam": 1e-3},
    "large lam": {"lam": 1e4},
}
METHODS = ["fista", "prox-gradient"]


def instance(name):
    return fejer.GroupEnvelope.random(**{"seed": 2, **CASES[name]})


def value_of(problem, w):
    """The definition: half the sum over groups of weights ||w_g||^2 / u_g, by bisection on u."""
    d = np.ones(problem.groups.max() + 1) if problem.weights is None else problem.weights
    a = np.sqrt(d * np.bincount(problem.groups, w * w))
    if np.count_nonzero(a) <= problem.k:
        u = (a > 0).astype(float)
    else:
        low, high = 0.0, 1e12
        for _ in range(200):
            eta = (low + high) / 2
            low, high = (eta, high) if np.minimum(1, eta * a).sum() < problem.k else (low, eta)
        u = np.minimum(1, high * a)
    kept = a > 0
    per = problem.X.shape[0] if problem.scale == "mean" else 1.0
    r = problem.y - problem.X.dense @ w
    return r @ r / 2 / per + problem.lam * 0.5 * np.sum(a[kept] ** 2 / u[kept])


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("method", METHODS)
def test_optimum_is_that_of_cvxpy(name, method):
    problem = instance(name)
    result = fejer.minimize(problem, method=method, tol=1e-9)
    assert result.success
    assert result.fun == pytest.approx(problem.to_cvxpy().solve(solver="CLARABEL"), rel=2e-6)


@pytest.mark.parametrize("name", CASES)
def test_value_bounds_the_truth_and_three_tol_fails(name):
    problem = instance(name)
    best = fejer.minimize(problem, tol=1e-12)
    rng = np.random.default_rng(0)
    for i in range(10):
        direction = rng.standard_normal(40) if i % 2 else best.x * rng.uniform(-1, 1, 40)
        low, high = 0.0, 1.0
        for _ in range(60):
            t = 0.5 * (low + high)
            w = best.x + t * direction
            truth = (value_of(problem, w) - best.fun) / problem.judge(w).scale
            low, high = (t, high) if truth < 3 * TOL else (low, t)
        assert fejer.verify(problem, best.x + high * direction).value >= 2.99 * TOL
        far = best.x + 10.0 ** rng.uniform(-8, 2) * direction
        certificate = problem.judge(far)
        assert certificate.fun == pytest.approx(value_of(problem, far), rel=1e-8)
        assert certificate.value >= (certificate.fun - best.fun) / certificate.scale - 1e-12


def test_all_groups_make_ridge_regression():
    problem = instance("all")
    X, y = problem.X.dense, problem.y
    exact = np.linalg.solve(X.T @ X + problem.lam * np.eye(40), X.T @ y)
    np.testing.assert_allclose(fejer.minimize(problem, tol=1e-12).x, exact, atol=1e-6)
    assert problem.judge(exact).value < 1e-12


def test_the_refit_finds_the_groups_of_the_signal():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200, 250))
    chosen = np.sort(rng.choice(50, 10, replace=False))
    w = np.where(np.isin(np.arange(250) // 5, chosen), rng.standard_normal(250), 0.0)
    y = X @ w + 0.3 * rng.standard_normal(200)
    counts = []
    for lam in (1.0, 10.0, 100.0, 1e3):
        problem = fejer.GroupEnvelope(X, y, 5, 10, lam)
        result = fejer.minimize(problem, tol=1e-8)
        assert result.success
        if lam <= 100.0:
            np.testing.assert_array_equal(result.selected.groups, chosen)
            part = np.isin(np.arange(250) // 5, chosen)
            r = y - X[:, part] @ np.linalg.lstsq(X[:, part], y, rcond=None)[0]
            assert result.selected.fun == pytest.approx(r @ r / 2)
            assert problem.judge(result.selected.coef).value > 1e-3  # no minimiser
        counts.append(len(set(result.support // 5)))
    assert counts[0] > 10  # the convex envelope does not give the level of sparsity itself


def test_proximal_gradient_keeps_its_rate_and_never_increases():
    problem = instance("plain")
    best = fejer.minimize(problem, tol=1e-13)
    method = fejer.ProxGradient(step=0.7)
    last = np.inf
    for step in fejer.steps(problem, method, max_iter=100, tol=0):
        e = method.rate.measure(problem, step.x, best.x)
        assert e <= method.rate.bound(problem, np.zeros(40), best.x, step.nit) + 1e-9
        assert step.fun <= last * (1 + 1e-13)
        last = step.fun


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_extreme_weights(scale):
    problem = fejer.GroupEnvelope.random(lam=scale)
    result = fejer.minimize(problem, tol=1e-7)
    assert result.success


BAD = [
    ("k", {"k": 0}),
    ("k", {"k": 3}),
    ("k", {"k": 1.5}),
    ("k", {"k": None}),
    ("lam", {"lam": 0.0}),
    ("lam", {"lam": np.nan}),
    ("groups", {"groups": [[0, 1]]}),
    ("groups", {"groups": None}),
    ("weights", {"weights": [1.0, -1.0]}),
    ("weights", {"weights": [1.0]}),
    ("scale", {"scale": 1}),
    ("y", {"y": [1.0]}),
    ("X", {"X": np.full((6, 4), np.nan)}),
]


@pytest.mark.parametrize("field, bad", BAD)
def test_names_what_it_refuses(field, bad):
    X = np.random.default_rng(0).standard_normal((6, 4))
    fields = {"X": X, "y": X[:, 0], "groups": 2, "k": 1, "lam": 0.1, **bad}
    with pytest.raises(fejer.ProblemError, match=rf"^{field}"):
        fejer.GroupEnvelope(**fields)


def test_coordinate_methods_refuse_it():
    with pytest.raises(fejer.MethodError, match="couples all"):
        fejer.minimize(instance("plain"), method="bcd")
