"""Penalised multinomial regression: the certificate, the attacks, and the methods on it."""

import functools

import numpy as np
import pytest
import scipy.sparse
from scipy.special import logsumexp, softmax, xlogy

import fejer

TOL = 1e-6
SAMPLES = np.random.default_rng(1).uniform(0.1, 4.0, 60)
WEIGHTS = np.where(np.arange(20) % 7 == 3, np.inf, np.linspace(0.5, 2, 20))
CASES = {
    "plain": {},
    "small lam": {"ratio": 0.01},
    "two classes": {"n_classes": 2},
    "five classes": {"n_classes": 5, "p": 8},
    "elastic net": {"l1_ratio": 0.4},
    "nearly ridge": {"l1_ratio": 0.01, "ratio": 0.01},
    "excluded": {"weights": WEIGHTS},
    "intercept": {"fit_intercept": True},
    "mean": {"scale": "mean"},
    "all": {
        "l1_ratio": 0.8,
        "weights": WEIGHTS,
        "fit_intercept": True,
        "sample_weight": SAMPLES,
        "scale": "mean",
    },
}


def instance(name, sparse=False):
    problem = fejer.SparseMultinomial.random(**CASES[name], seed=2)
    X = problem.X.toarray()
    if problem.fit_intercept:
        X = X + np.linspace(-1, 2, X.shape[1])
    if sparse:
        X = scipy.sparse.csc_array(np.where(np.abs(X) > 0.8, X, 0.0))
    return problem.replace(X=X)


@functools.cache
def solved(name, sparse=False):
    problem = instance(name, sparse)
    return problem, fejer.minimize(problem, method="prox-newton", tol=1e-12)


def parts(problem, x):
    X, y = problem.X.toarray(), np.array(problem.y).astype(int)
    K = y.max() + 1
    s = np.ones(y.size) if problem.sample_weight is None else np.array(problem.sample_weight)
    omega = np.ones(X.shape[1]) if problem.weights is None else np.array(problem.weights)
    out = np.repeat(np.isinf(omega), K)
    omega = np.where(out, 0.0, np.repeat(omega, K))
    per = s.sum() if problem.scale == "mean" else 1.0
    l1, l2 = (per * problem.lam * part * omega for part in (problem.l1_ratio, 1 - problem.l1_ratio))
    b = x[X.shape[1] * K :] if problem.fit_intercept else np.zeros(K)
    return X, y, K, s, out, l1, l2, per, x[: X.shape[1] * K], b


def objective(problem, x):
    X, y, K, s, _, l1, l2, per, w, b = parts(problem, x)
    Z = X @ w.reshape(-1, K) + b
    loss = s @ (logsumexp(Z, axis=1) - Z[np.arange(y.size), y])
    return (loss + l1 @ np.abs(w) + l2 @ w**2 / 2) / per


def twin(problem, x):
    """The gap by the formulas, over its scale; the best constants by fixed-point iteration."""
    X, y, K, s, out, l1, l2, per, w, b = parts(problem, x)
    Z, Y = X @ w.reshape(-1, K), np.eye(K)[y]
    share = np.full(K, 1 / K)
    if problem.fit_intercept:
        share = s @ Y / s.sum()
        for _ in range(3000):  # iterative proportional fitting
            b = b + np.log(s @ Y) - np.log(s @ softmax(Z + b, axis=1))
    P = softmax(Z + b, axis=1)
    c = (X.T @ (s[:, None] * (Y - P))).ravel()
    fun = objective(problem, x) * per
    bounds = [0.0]
    steep = np.max(np.abs(c - l2 * w)[l1 > 0] / l1[l1 > 0])
    for t in (1.0, min(1.0, 1 / steep)):
        Q = (1 - t) * Y + t * P
        over = np.maximum(np.abs(t * c) - l1, 0) * ~out
        with np.errstate(divide="ignore", invalid="ignore"):
            cut = np.minimum(fun / l1, np.sqrt(2 * fun / l2))
            best = np.where(over > 0, np.minimum(np.where(l2 > 0, over / l2, np.inf), cut), 0)
        bounds.append(-s @ xlogy(Q, Q).sum(axis=1) - np.sum(over * best - l2 * best**2 / 2))
    null = -s @ np.log(share)[y]
    scale = min(null, max(fun, 1e-6 * null))
    return (fun - max(bounds)) / scale, max(bounds) / per, scale / per


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("sparse", [False, True])
def test_certificate_is_the_twin(name, sparse):
    problem, result = solved(name, sparse)
    assert result.success
    rng = np.random.default_rng(0)
    out = np.flatnonzero(parts(problem, result.x)[4])
    for size in (0, 1e-5, 1e-2, 1.0):
        x = result.x + size * rng.standard_normal(result.x.size)
        x[out] = 0.0
        certificate = problem.judge(x)
        value, bound, scale = twin(problem, x)
        assert certificate.rigorous and certificate.kind == "duality gap"
        assert certificate.value == pytest.approx(value, rel=1e-5, abs=2e-9)
        assert certificate.fun == pytest.approx(objective(problem, x), rel=1e-11)
        assert certificate.scale == pytest.approx(scale, rel=1e-9)
        assert certificate.lower_bound == pytest.approx(bound, rel=1e-6, abs=1e-8 * scale)


@pytest.mark.parametrize("name", CASES)
def test_optimum_is_that_of_cvxpy(name):
    problem, result = solved(name)
    optimum = problem.to_cvxpy().solve(solver="CLARABEL")
    assert result.fun == pytest.approx(optimum, rel=2e-6)
    assert result.certificate.lower_bound <= optimum * (1 + 1e-6)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("method", ["bcd", "fista"])
def test_methods_agree(name, sparse, method):
    problem, best = solved(name, sparse)
    result = fejer.minimize(problem, method=method, tol=1e-8)
    assert result.success
    assert result.fun == pytest.approx(best.fun, rel=3e-8)


OPTIONS = [
    {"update": "gradient", "selection": "permuted"},
    {"selection": "random"},
    {"selection": "lipschitz"},
    {"selection": "gs", "update": "exact"},
    {"selection": "gs-q", "block_size": 5, "update": "gradient"},
    {"selection": "gsl", "block_size": 5},
    {"selection": "gsd", "block_size": 3, "partition": "average", "update": "lookahead"},
    {"selection": "gsq", "block_size": 4},
    {"selection": "gsq", "block_size": 4, "partition": "sort"},
    {"selection": "cyclic", "block_size": 6, "partition": "hessian-sort"},
]


@pytest.mark.parametrize("options", OPTIONS, ids=lambda o: "-".join(map(str, o.values())))
@pytest.mark.parametrize("name", ["plain", "intercept"])
def test_rules_of_blocks_never_go_up(name, options):
    problem, best = solved(name)
    last = np.inf
    for step in fejer.steps(problem, "bcd", options=options, max_iter=1000, tol=1e-5):
        assert step.fun <= last * (1 + 1e-13) if last < np.inf else True
        last = step.fun
    assert last <= best.fun * (1 + 1e-3)


def test_two_classes_are_logistic_regression():
    """With ridge alone B is antisymmetric: half the penalty of one logistic coefficient."""
    X = fejer.SparseLogistic.random(seed=1).X.toarray()
    y = np.array(fejer.SparseLogistic.random(seed=1).y)
    one = fejer.minimize(fejer.SparseLogistic(X, y, 1.0, l1_ratio=0.0), method="bcd", tol=1e-12)
    two = fejer.minimize(
        fejer.SparseMultinomial(X, (y + 1) / 2, 2.0, l1_ratio=0.0), method="prox-newton", tol=1e-12
    )
    np.testing.assert_allclose(two.coef[:, 1] - two.coef[:, 0], one.x, atol=1e-6)
    assert two.fun == pytest.approx(one.fun, rel=1e-9)


@pytest.mark.parametrize("name", CASES)
def test_value_bounds_the_truth_and_three_tol_fails(name):
    problem, result = solved(name)
    rng = np.random.default_rng(3)
    out = np.flatnonzero(parts(problem, result.x)[4])
    for _ in range(8):
        direction = rng.standard_normal(result.x.size)
        direction[out] = 0.0
        low, high = 0.0, 1.0
        for _ in range(60):
            t = 0.5 * (low + high)
            x = result.x + t * direction
            excess = (objective(problem, x) - result.fun) / problem.judge(x).scale
            low, high = (t, high) if excess < 3 * TOL else (low, t)
        assert fejer.verify(problem, result.x + high * direction).value >= 2.99 * TOL
        far = problem.judge(result.x + 30 * direction)
        truth = objective(problem, result.x + 30 * direction) - result.fun
        assert far.value >= truth / far.scale * (1 - 1e-12)


def test_wrong_constants_do_not_pass():
    """B = 0, b = 0 with rare classes: the dual point must be taken at the best constants."""
    rng = np.random.default_rng(0)
    y = np.where(rng.random(300) < 0.95, 0.0, 1.0)
    y[:3] = 2.0
    problem = fejer.SparseMultinomial(rng.standard_normal((300, 4)), y, 100.0, fit_intercept=True)
    certificate = problem.judge(np.zeros(15))
    null = problem.objective(problem.initial_point())
    assert certificate.value * certificate.scale >= (certificate.fun - null) * (1 - 1e-12)
    assert certificate.value > 0.5
    assert problem.judge(problem.initial_point()).value < 1e-9
    shifted = problem.initial_point() + np.append(np.zeros(12), np.full(3, 7.0))  # of no matter
    assert problem.judge(shifted).value < 1e-9


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("sparse", [False, True])
def test_lam_max_is_where_the_null_model_ends(name, sparse):
    problem = instance(name, sparse)
    top = problem.lam_max()
    for method in ("bcd", "fista", "prox-newton"):
        assert fejer.minimize(problem.replace(lam=top * (1 + 1e-9)), method=method).nit == 0
    below = problem.replace(lam=0.9 * top)
    assert below.judge(below.initial_point()).value > 1e-5


def test_without_a_penalty():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((80, 3))
    y = np.argmax(X + 2 * rng.standard_normal((80, 3)), axis=1)
    problem = fejer.SparseMultinomial(X, y, 0.0, fit_intercept=True)
    result = fejer.minimize(problem, method="prox-newton", tol=1e-10)
    assert result.success and result.certificate.kind == "projected decrement"
    moved = result.x + np.append(1e-2, np.zeros(11))
    truth = (problem.objective(moved) - result.fun) / result.certificate.scale
    assert problem.judge(moved).value == pytest.approx(2 * truth, rel=0.1)
    separable = fejer.SparseMultinomial(X, np.argmax(X, axis=1), 0.0)
    for size in (0.0, 1.0, 3.0):
        assert not separable.judge(size * np.eye(3).ravel()).holds(1e-3)


@pytest.mark.parametrize("scale", [1e-80, 1e-9, 1e9, 1e80])
@pytest.mark.parametrize("method", ["bcd", "prox-newton"])
def test_scaled_columns_change_nothing(scale, method):
    problem = instance("plain")
    scaled = problem.replace(X=problem.X.toarray() * scale, lam=problem.lam * scale)
    result = fejer.minimize(scaled, method=method, tol=1e-9)
    assert result.success and result.fun == pytest.approx(solved("plain")[1].fun, rel=1e-8)


@pytest.mark.parametrize("size", [1e2, 1e8, 1e90])
@pytest.mark.parametrize("method", ["bcd", "fista", "prox-newton"])
def test_far_starts_give_no_false_success(method, size):
    problem, best = solved("plain")
    start = size * np.random.default_rng(0).standard_normal(best.x.size)
    result = fejer.minimize(problem, start, method=method, max_iter=300)
    if result.success:
        assert result.fun <= best.fun * (1 + 1e-6)


BAD = [
    ("y", {"y": np.arange(6.0) + 1}),
    ("y", {"y": [0, 2, 0, 2, 0, 2]}),
    ("y", {"y": np.zeros(6)}),
    ("y", {"y": [0, 1, 0.5, 1, 0, 1]}),
    ("y", {"y": [-1, 1, -1, 1, -1, 1]}),
    ("y", {"y": [0, 1]}),
    ("y", {"y": ["a"] * 6}),
    ("X", {"X": np.full((6, 2), np.nan)}),
    ("X", {"X": np.zeros((0, 2))}),
    ("lam", {"lam": -1}),
    ("lam", {"lam": np.inf}),
    ("l1_ratio", {"l1_ratio": -0.1}),
    ("weights", {"weights": [1.0, 0.0]}),
    ("weights", {"weights": [1.0, 1.0, 1.0]}),
    ("sample_weight", {"sample_weight": np.zeros(6)}),
    ("fit_intercept", {"fit_intercept": "yes"}),
    ("scale", {"scale": "max"}),
]


@pytest.mark.parametrize("field, bad", BAD)
def test_names_what_it_refuses(field, bad):
    X = np.random.default_rng(0).standard_normal((6, 2))
    with pytest.raises(fejer.ProblemError, match=rf"^{field}"):
        fejer.SparseMultinomial(**{"X": X, "y": [0, 1, 2, 0, 1, 2], "lam": 0.1, **bad})


def test_layouts_and_degenerate_columns():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((20, 4)), np.arange(20) % 3
    X[:, 2] = 0.0
    X[:, 3] = X[:, 1]
    base = fejer.minimize(fejer.SparseMultinomial(X, y, 0.3), tol=1e-10)
    assert base.success and not base.coef[2].any()
    for other in (np.asfortranarray(X), X[::-1][::-1], X.tolist(), scipy.sparse.coo_array(X)):
        result = fejer.minimize(fejer.SparseMultinomial(other, y.tolist(), 0.3), tol=1e-10)
        assert result.success and result.fun == pytest.approx(base.fun, rel=1e-8)
