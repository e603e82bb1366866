"""Fused cumulative logits: the certificate, the attacks, and Newton's method on them."""

import functools

import numpy as np
import pytest
import scipy.sparse
from scipy.optimize import minimize
from scipy.special import expit

import fejer

TOL = 1e-6
CASES = {
    "plain": {},
    "small lam": {"ratio": 0.003},
    "three classes": {"n_classes": 3, "p": 6},
    "six classes": {"n": 300, "n_classes": 6, "p": 3},
    "first free": {"first_weight": 0.0},
    "first heavy": {"first_weight": 3.0},
    "wide": {"n": 40, "p": 60, "n_classes": 3},
}


def instance(name, sparse=False):
    problem = fejer.OrdinalRegression.random(**CASES[name], seed=4)
    if not sparse:
        return problem
    X = problem.X.toarray()
    problem = problem.replace(X=scipy.sparse.csr_array(np.where(np.abs(X) > 0.8, X, 0.0)))
    return problem.replace(lam=0.1 * problem.lam_max())


@functools.cache
def solved(name, sparse=False):
    problem = instance(name, sparse)
    return problem, fejer.minimize(problem, tol=1e-12)


def unpacked(problem, x):
    X, y = problem.X.toarray(), np.array(problem.y).astype(int)
    steps = y.max()
    return X, y, x[:steps], x[steps:].reshape(steps, X.shape[1])


def objective(problem, x):
    """From the probabilities themselves; nan where one is not positive."""
    X, y, alpha, psi = unpacked(problem, x)
    below = expit(alpha + X @ np.cumsum(psi, axis=0).T)
    ends = np.zeros((y.size, 1))
    chance = np.diff(np.hstack([ends, below, ends + 1]), axis=1)[np.arange(y.size), y]
    with np.errstate(invalid="ignore"):
        loss = -np.mean(np.log(chance))
    weights = np.append(problem.first_weight, np.ones(psi.shape[0] - 1))
    return loss + problem.lam * weights @ np.abs(psi).sum(axis=1)


def twin(problem, x):
    """The gap over its scale: thresholds by scipy, gradients by differences of probabilities."""
    X, y, alpha, psi = unpacked(problem, x)
    n, steps = y.size, alpha.size
    slopes = X @ np.cumsum(psi, axis=0).T

    def parts(alpha, slopes):
        below = np.hstack([np.zeros((n, 1)), expit(alpha + slopes), np.ones((n, 1))])
        chance = np.diff(below, axis=1)[np.arange(n), y]
        loss = -np.mean(np.log(chance)) if (chance > 0).all() else np.inf
        d = below * (1 - below)
        G = np.zeros((n, steps + 2))
        G[np.arange(n), y + 1] -= d[np.arange(n), y + 1] / chance / n
        G[np.arange(n), y] += d[np.arange(n), y] / chance / n
        return loss, G[:, 1:-1]

    free = problem.first_weight == 0
    more = np.zeros(X.shape[1] if free else 0)

    def shifted(v):
        first = (X @ v[steps:])[:, None] if free else 0.0
        return parts(v[:steps], slopes + first)

    def fun(v):
        loss, G = shifted(v)
        return loss, np.append(G.sum(axis=0), X.T @ G.sum(axis=1) if free else [])

    v = minimize(fun, np.append(alpha, more), jac=True, method="BFGS", options={"gtol": 1e-11}).x
    loss, G = shifted(v)
    grad = np.cumsum((X.T @ G)[:, ::-1], axis=1)[:, ::-1].T  # row l: sum over k >= l
    weights = np.append(problem.first_weight, np.ones(steps - 1))
    rows = weights > 0
    t = min(1.0, 1 / np.max(np.abs(grad[rows]) / (problem.lam * weights[rows])[:, None]))
    held = X @ np.cumsum(psi * rows[:, None], axis=0).T
    dual = max(t * (loss - np.sum(G * held)), 0.0)
    share = np.bincount(y) / n
    null = -share @ np.log(share)
    value = objective(problem, x)
    return (value - dual) / min(null, max(value, 1e-6 * null)), dual


def feasible_moves(problem, x, size, count, seed=0):
    rng = np.random.default_rng(seed)
    while count:
        moved = x + size * rng.standard_normal(x.size)
        if np.isfinite(objective(problem, moved)):
            count -= 1
            yield moved
        else:
            size *= 0.7


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("sparse", [False, True])
def test_certificate_is_the_twin(name, sparse):
    problem, result = solved(name, sparse)
    for size in (1e-4, 1e-2, 0.3):
        for x in feasible_moves(problem, result.x, size, 1):
            certificate = problem.judge(x)
            value, bound = twin(problem, x)
            assert certificate.rigorous and certificate.kind == "duality gap"
            assert certificate.value == pytest.approx(value, rel=1e-4, abs=1e-6)
            assert certificate.fun == pytest.approx(objective(problem, x), rel=1e-10)
            assert certificate.lower_bound == pytest.approx(bound, rel=1e-5, abs=1e-7)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("sparse", [False, True])
def test_optimum_is_that_of_cvxpy(name, sparse):
    problem, result = solved(name, sparse)
    assert result.success
    optimum = problem.to_cvxpy().solve(solver="CLARABEL")
    assert result.fun == pytest.approx(optimum, rel=1e-6)
    assert result.certificate.lower_bound <= optimum * (1 + 1e-6)


@pytest.mark.parametrize("name", CASES)
def test_value_bounds_the_truth_and_three_tol_fails(name):
    problem, result = solved(name)
    for k, x in enumerate(feasible_moves(problem, result.x, 0.1, 12, seed=5)):
        low, high = 0.0, 1.0
        for _ in range(60):
            t = 0.5 * (low + high)
            at = result.x + t * (x - result.x)
            excess = (objective(problem, at) - result.fun) / problem.judge(at).scale
            low, high = (t, high) if excess < 3 * TOL else (low, t)
        assert fejer.verify(problem, result.x + high * (x - result.x)).value >= 2.99 * TOL, k
        far = problem.judge(x)
        assert far.value >= (objective(problem, x) - result.fun) / far.scale * (1 - 1e-12)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("sparse", [False, True])
def test_lam_max_is_where_slopes_vanish(name, sparse):
    problem = instance(name, sparse)
    top = problem.lam_max()
    held = fejer.minimize(problem.replace(lam=1.001 * top), tol=1e-10)
    assert held.success and not held.psi[problem.first_weight == 0 :].any()
    assert fejer.minimize(problem.replace(lam=0.9 * top), tol=1e-10).support.size > 0


@pytest.mark.parametrize("name", CASES)
def test_derivatives_are_those_of_differences(name):
    problem, result = solved(name)
    model = problem.model()
    x = next(feasible_moves(problem, result.x, 0.05, 1))
    gradient = lambda x: -model.adjoint(model.pull(model.product(x)))  # noqa: E731
    fun = lambda x: model.loss(model.product(x))  # noqa: E731
    chosen = np.sort(np.random.default_rng(0).permutation(x.size)[: max(5, x.size // 3)])
    moves = 1e-5 * np.eye(x.size)[chosen]
    slope = np.array([fun(x + e) - fun(x - e) for e in moves]) / 2e-5
    np.testing.assert_allclose(gradient(x)[chosen], slope, atol=1e-8)
    H = np.array([gradient(x + e) - gradient(x - e) for e in moves])[:, chosen] / 2e-5
    np.testing.assert_allclose(model.hessian(model.product(x), chosen), H, atol=1e-7)


def test_hyperplanes_that_cross_at_a_sample():
    problem, result = solved("plain")
    middle = int(np.flatnonzero(problem.y == 1)[0])
    x = result.x.copy()
    row = problem.X.toarray()[middle]
    x[3 + row.size : 3 + 2 * row.size] -= 5 * row / (row @ row)  # psi_2, against this sample
    certificate = problem.judge(x)
    assert certificate.value == np.inf and "cross" in certificate.reason
    again = fejer.minimize(problem, x)  # a start that is no point at all
    assert again.success


def test_columns_of_very_different_size():
    """Gradients at one scale of lam were fooled by a column of 1e6."""
    problem = fejer.OrdinalRegression.random(n=150, p=3, seed=1)
    X = problem.X.toarray() * np.array([1.0, 1.0, 1e6])
    problem = problem.replace(X=X, lam=1e-3)
    best = fejer.minimize(problem, tol=1e-12)
    # The gradient of 1e6 x is known to 1e-10 and compared with lam: no better value can be proven.
    assert 1e-8 < best.certificate.value < 1e-6
    rng = np.random.default_rng(0)
    low_value = np.inf
    for size in 10.0 ** rng.uniform(-12, -2, 40):
        x = best.x + size * rng.standard_normal(best.x.size) * np.append(
            np.ones(3), np.tile([1, 1, 1e-6], 3)
        )
        certificate = problem.judge(x)
        truth = (objective(problem, x) - best.fun) / certificate.scale
        assert certificate.value >= truth * (1 - 1e-9) - 1e-12
        low_value = min(low_value, certificate.value)
    assert low_value < 1e-6


def test_proportional_odds_and_no_slopes_at_all():
    problem = instance("first free")
    odds = fejer.minimize(problem.replace(lam=1e3), tol=1e-10)
    assert odds.success and not odds.psi[1:].any() and odds.psi[0].any()
    none = fejer.minimize(instance("plain").replace(lam=1e3))
    assert none.success and none.nit == 0 and not none.support.size
    p = problem.X.shape[1]

    def loss(v):  # of proportional odds: thresholds and one slope
        return objective(problem.replace(lam=0.0), np.concatenate([v, np.zeros(2 * p)]))

    best = odds.x[: 3 + p]
    for e in np.eye(3 + p):
        assert loss(best) < min(loss(best + 1e-3 * e), loss(best - 1e-3 * e))


def test_a_separating_hyperplane_without_a_penalty_has_no_optimum():
    X = np.linspace(-1, 1, 12)[:, None]
    y = np.repeat([0, 1, 2], 4)
    problem = fejer.OrdinalRegression(X, y, 1.0, first_weight=0.0)
    for size in (1.0, 10.0, 30.0):  # the infimum is 0: so is the bound
        certificate = problem.judge(np.array([-0.35 * size, 0.35 * size, -size, 0.0]))
        assert certificate.lower_bound == 0.0 and not certificate.holds(1e-3)
    assert fejer.minimize(problem.replace(first_weight=1.0)).success


def test_probabilities_sum_to_one_and_tell_of_crossings():
    problem, result = solved("small lam")
    inside = result.probabilities(problem.X.toarray())
    assert not inside.crossing[np.isin(problem.y, (1, 2))].any() or inside.values.min() == 0
    far = result.probabilities(1e3 * np.random.default_rng(0).standard_normal((50, 4)))
    assert far.crossing.any() and (far.values >= 0).all()
    np.testing.assert_allclose(far.values.sum(axis=1), 1.0)
    np.testing.assert_allclose(result.coef, np.cumsum(result.psi, axis=0))


def test_newton_is_quadratic_in_the_end():
    problem, best = solved("six classes")
    errors = [np.linalg.norm(s.x - best.x) for s in fejer.steps(problem, tol=1e-11)]
    late = [e for e in errors if 1e-7 < e < 1e-1]
    assert len(late) >= 2 and late[-1] < 0.2 * late[-2]
    assert len(errors) <= 12


BAD = [
    ("y", {"y": [0, 1, 2, 3, 5, 1]}),
    ("y", {"y": [0, 1, 0, 1, 0, 1]}),
    ("y", {"y": [1, 2, 3, 1, 2, 3]}),
    ("y", {"y": [0, 1, 2, 0.5, 1, 2]}),
    ("y", {"y": [0, 1, 2]}),
    ("y", {"y": [0, 1, 2, -1, 0, 1]}),
    ("y", {"y": [0, 1, 2, np.nan, 0, 1]}),
    ("y", {"y": ["a"] * 6}),
    ("X", {"X": np.full((6, 2), np.nan)}),
    ("X", {"X": np.zeros((0, 2))}),
    ("X", {"X": np.zeros(6)}),
    ("lam", {"lam": -1}),
    ("lam", {"lam": np.nan}),
    ("lam", {"lam": "large"}),
    ("first_weight", {"first_weight": -0.5}),
    ("first_weight", {"first_weight": np.inf}),
]


@pytest.mark.parametrize("field, bad", BAD)
def test_names_what_it_refuses(field, bad):
    X = np.random.default_rng(0).standard_normal((6, 2))
    with pytest.raises(fejer.ProblemError, match=rf"^{field}"):
        fejer.OrdinalRegression(**{"X": X, "y": [0, 1, 2, 0, 1, 2], "lam": 0.1, **bad})


def test_layouts_and_degenerate_columns():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((40, 4)), np.arange(40) % 3
    X[:, 2] = 0.0
    X[:, 3] = X[:, 1]
    base = fejer.minimize(fejer.OrdinalRegression(X, y, 0.01), tol=1e-10)
    assert base.success and not base.psi[:, 2].any()
    for other in (np.asfortranarray(X), X[::-1][::-1], X.tolist(), scipy.sparse.coo_array(X)):
        result = fejer.minimize(fejer.OrdinalRegression(other, y.tolist(), 0.01), tol=1e-10)
        assert result.success and result.fun == pytest.approx(base.fun, rel=1e-8)
