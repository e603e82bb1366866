"""Penalised logistic regression: the certificate, the attacks, and the methods on it."""

import functools

import numpy as np
import pytest
import scipy.sparse
from scipy.special import xlog1py, xlogy

import fejer

TOL = 1e-6
SAMPLES = np.random.default_rng(1).uniform(0.1, 4.0, 60)
WEIGHTS = np.where(np.arange(30) % 7 == 3, np.inf, np.linspace(0.5, 2, 30))
CASES = {
    "plain": {},
    "small lam": {"ratio": 0.003},
    "tiny lam": {"ratio": 1e-9},
    "elastic net": {"l1_ratio": 0.4},
    "nearly ridge": {"l1_ratio": 0.01, "ratio": 0.01},
    "excluded": {"weights": WEIGHTS},
    "intercept": {"fit_intercept": True},
    "sample weights": {"sample_weight": SAMPLES, "fit_intercept": True},
    "mean": {"scale": "mean"},
    "all": {
        "l1_ratio": 0.8,
        "weights": WEIGHTS,
        "fit_intercept": True,
        "sample_weight": SAMPLES,
        "scale": "mean",
    },
}
QUICK = [name for name in CASES if name != "tiny lam"]


def instance(name, sparse=False):
    problem = fejer.SparseLogistic.random(**CASES[name], seed=2)
    X = problem.X.toarray()
    if problem.fit_intercept:
        X = X + np.linspace(-1, 2, 30)
    if sparse:
        X = scipy.sparse.csc_array(np.where(np.abs(X) > 0.8, X, 0.0))
    return problem.replace(X=X)


@functools.cache
def solved(name, sparse=False):
    problem = instance(name, sparse)
    return problem, fejer.minimize(problem, method="bcd", tol=1e-12, max_iter=20_000)


def objective(problem, x):
    X, y = problem.X.toarray(), np.array(problem.y)
    s = np.ones(y.size) if problem.sample_weight is None else problem.sample_weight
    omega = np.ones(X.shape[1]) if problem.weights is None else problem.weights
    omega = np.where(np.isinf(omega), 0.0, omega)
    w, b = (x[:-1], x[-1]) if problem.fit_intercept else (x, 0.0)
    per = s.sum() if problem.scale == "mean" else 1.0
    loss = s @ np.logaddexp(0, -y * (X @ w + b)) / per
    rho = problem.l1_ratio
    return loss + problem.lam * (omega @ (rho * abs(w) + (1 - rho) / 2 * w * w))


def twin(problem, x):
    """The gap by the formulas, over its scale; one multiple of the dual point at a time."""
    X, y = problem.X.toarray(), np.array(problem.y)
    s = np.ones(y.size) if problem.sample_weight is None else np.array(problem.sample_weight)
    per = s.sum() if problem.scale == "mean" else 1.0
    w, b = (x[:-1], x[-1]) if problem.fit_intercept else (x, 0.0)
    omega = np.ones(30) if problem.weights is None else np.array(problem.weights)
    out = np.isinf(omega)
    omega = np.where(out, 0, omega)
    l1, l2 = (per * problem.lam * part * omega for part in (problem.l1_ratio, 1 - problem.l1_ratio))
    q = 1 / (1 + np.exp(y * (X @ w + b)))
    if problem.fit_intercept:
        up, down = (s * q)[y > 0].sum(), (s * q)[y < 0].sum()
        q[y > 0] *= min(1, down / up)
        q[y < 0] *= min(1, up / down)
    fun = objective(problem, x) * per
    c = X.T @ (s * q * y)
    bounds = [0.0]
    steep = np.max(np.abs(c - l2 * w)[l1 > 0] / l1[l1 > 0])
    for t in (1.0, min(1.0, 1 / steep)):
        over = np.maximum(np.abs(t * c) - l1, 0) * ~out
        with np.errstate(divide="ignore", invalid="ignore"):
            cut = np.minimum(fun / l1, np.sqrt(2 * fun / l2))
            best = np.where(over > 0, np.minimum(np.where(l2 > 0, over / l2, np.inf), cut), 0)
        loss = np.sum(over * best - l2 * best**2 / 2)
        p = t * q
        bounds.append(-s @ (xlogy(p, p) + xlog1py(1 - p, -p)) - loss)
    share = s[y > 0].sum() / s.sum() if problem.fit_intercept else 0.5
    null = -s[y > 0].sum() * np.log(share) - s[y < 0].sum() * np.log(1 - share)
    scale = min(null, max(fun, 1e-6 * null))
    return (fun - max(bounds)) / scale, max(bounds) / per, scale / per


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("sparse", [False, True])
def test_certificate_is_the_twin(name, sparse):
    problem, result = solved(name, sparse)
    rng = np.random.default_rng(0)
    out = np.isinf(WEIGHTS) if problem.weights is not None else np.zeros(30, bool)
    for size in (0, 1e-5, 1e-2, 1.0, 5.0):
        x = result.x + size * rng.standard_normal(result.x.size)
        x[:30][out] = 0.0
        certificate = problem.judge(x)
        value, bound, scale = twin(problem, x)
        assert certificate.rigorous and certificate.kind == "duality gap"
        assert certificate.value == pytest.approx(value, rel=1e-6, abs=2e-9)
        assert certificate.fun == pytest.approx(objective(problem, x), rel=1e-11)
        assert certificate.scale == pytest.approx(scale, rel=1e-9)
        assert certificate.lower_bound == pytest.approx(bound, rel=1e-7, abs=1e-8 * scale)


@pytest.mark.parametrize("name", QUICK)
@pytest.mark.parametrize("method", ["bcd", "fista", "prox-newton"])
def test_optimum_is_that_of_cvxpy(name, method):
    problem = instance(name)
    result = fejer.minimize(problem, method=method, tol=1e-9)
    assert result.success
    optimum = problem.to_cvxpy().solve(solver="CLARABEL")
    assert result.fun == pytest.approx(optimum, rel=2e-6)
    assert result.certificate.lower_bound <= optimum * (1 + 1e-6)


@pytest.mark.parametrize("constant", [False, True])
def test_optimum_is_that_of_scikit_learn(constant):
    from sklearn.linear_model import LogisticRegression

    problem = instance("intercept").replace(fit_intercept=constant)
    model = LogisticRegression(
        C=1 / problem.lam, l1_ratio=1.0, solver="saga", tol=1e-9, max_iter=10**6,
        fit_intercept=constant,
    )  # fmt: skip
    model.fit(problem.X.dense, problem.y)
    result = fejer.minimize(problem, method="bcd", tol=1e-12)
    np.testing.assert_allclose(result.coef, model.coef_[0], atol=1e-5)
    assert result.intercept == pytest.approx(float(np.squeeze(model.intercept_)), abs=1e-5)


@pytest.mark.parametrize("name", QUICK)
@pytest.mark.parametrize("sparse", [False, True])
def test_value_bounds_the_truth_and_three_tol_fails(name, sparse):
    problem, result = solved(name, sparse)
    rng = np.random.default_rng(3)
    out = np.isinf(WEIGHTS) if problem.weights is not None else np.zeros(30, bool)
    for _ in range(8):
        direction = rng.standard_normal(result.x.size)
        direction[:30][out] = 0.0
        low, high = 0.0, 1.0
        for _ in range(60):
            t = 0.5 * (low + high)
            x = result.x + t * direction
            excess = (objective(problem, x) - result.fun) / problem.judge(x).scale
            low, high = (t, high) if excess < 3 * TOL else (low, t)
        certificate = fejer.verify(problem, result.x + high * direction)
        assert certificate.value >= 2.99 * TOL
        far = problem.judge(result.x + 30 * direction)
        truth = objective(problem, result.x + 30 * direction) - result.fun
        assert far.value >= truth / far.scale * (1 - 1e-12)


@pytest.mark.parametrize("name", QUICK)
@pytest.mark.parametrize("sparse", [False, True])
def test_lam_max_is_where_the_null_model_ends(name, sparse):
    problem = instance(name, sparse)
    top = problem.lam_max()
    for method in ("bcd", "fista"):
        assert fejer.minimize(problem.replace(lam=top * (1 + 1e-9)), method=method).nit == 0
    below = problem.replace(lam=0.9 * top)
    assert below.judge(below.initial_point()).value > 1e-5


@pytest.mark.parametrize("update", ["newton", "gradient"])
@pytest.mark.parametrize("rule", ["cyclic", "permuted", "random", "lipschitz"])
@pytest.mark.parametrize("sparse", [False, True])
def test_the_objective_never_increases(update, rule, sparse):
    problem = instance("all", sparse)
    options = {"update": update, "selection": rule, "block_size": 1}
    start = np.full(31, 3.0) * np.append(np.isfinite(WEIGHTS), True)  # far off: saturated
    last = np.inf
    for step in fejer.steps(problem, "bcd", start, options=options, max_iter=300, tol=0):
        assert step.fun <= last + 1e-12 * abs(last) if last < np.inf else True
        last = step.fun
    assert last < 0.6 * problem.objective(start)


def test_newton_needs_fewer_sweeps_than_the_bound_of_the_curvature():
    problem = instance("small lam")
    sweeps = {
        update: fejer.minimize(problem, method="bcd", options={"update": update}).nit
        for update in ("newton", "gradient")
    }
    assert sweeps["newton"] < 0.6 * sweeps["gradient"]


@pytest.mark.parametrize("size", [1e2, 1e8, 1e90])
def test_newton_from_far_starts(size):
    problem, best = solved("plain")
    start = size * np.random.default_rng(0).standard_normal(30)
    result = fejer.minimize(problem, start, method="prox-newton")
    assert result.success and result.nit < 15
    assert result.fun <= best.fun * (1 + 1e-6)


def test_the_pattern_is_identified_before_the_end():
    problem, best = solved("plain")
    for method in ("bcd", "fista", "ista", "prox-newton"):
        steps = list(fejer.steps(problem, method, tol=1e-8, max_iter=5000))
        zero = [step.x == 0.0 for step in steps]
        at = steps[-1].state.identified_at
        assert all(np.array_equal(z, zero[-1]) for z in zero[at:])
        assert at == 0 or not np.array_equal(zero[at - 1], zero[at])
        assert np.array_equal(zero[-1], best.x == 0.0)


def test_dense_and_sparse_agree():
    problem, result = solved("all", sparse=True)
    dense = problem.replace(X=problem.X.toarray())
    assert dense.judge(result.x).value < 1e-11
    for method in ("bcd", "fista", "prox-newton"):
        other = fejer.minimize(dense, method=method, tol=1e-12)
        np.testing.assert_allclose(other.x, result.x, atol=1e-6)


def test_separable_data_without_a_penalty():
    X = np.array([[1.0, 0.2], [2.0, -0.1], [-1.0, 0.3], [-1.5, 0.0]])
    problem = fejer.SparseLogistic(X, [1, 1, -1, -1], 0.0)
    for size in (0.0, 1.0, 5.0, 10.0):  # no minimiser: the infimum 0 is the truth
        certificate = problem.judge(np.array([size, 0.0]))
        assert not certificate.rigorous and not certificate.holds(1e-3)
    X = np.random.default_rng(0).standard_normal((40, 3))
    y = np.sign(X[:, 0] + np.random.default_rng(1).standard_normal(40) * 2)
    problem = fejer.SparseLogistic(X, y, 0.0, fit_intercept=True)
    result = fejer.minimize(problem, method="bcd", tol=1e-9)
    assert result.success and result.certificate.kind == "projected decrement"
    moved = result.x + np.array([1e-2, 0, 0, 0])
    truth = (problem.objective(moved) - result.fun) / result.certificate.scale
    assert problem.judge(moved).value == pytest.approx(2 * truth, rel=0.1)


def test_nearly_parallel_columns_without_a_penalty():
    rng = np.random.default_rng(1)
    a, b = rng.standard_normal((2, 60))
    y = np.sign(b + 0.5 * rng.standard_normal(60))
    problem = fejer.SparseLogistic(np.column_stack([a, a + 1e-7 * b]), y, 0.0)
    one = fejer.minimize(fejer.SparseLogistic(a[:, None], y, 0.0), method="bcd", tol=1e-10).x
    assert problem.judge(np.append(one, 0.0)).value > 1e-2


def test_outside_what_is_excluded():
    problem, result = solved("excluded")
    x = result.x.copy()
    x[np.isinf(WEIGHTS)] = 1e-3
    assert problem.judge(x).value == np.inf


BAD = [
    ("y", {"y": np.arange(6.0)}),
    ("y", {"y": [0, 1, 0, 1, 0, 1]}),
    ("y", {"y": np.ones(6)}),
    ("y", {"y": -np.ones(6)}),
    ("y", {"y": [1, -1]}),
    ("y", {"y": ["a"] * 6}),
    ("y", {"y": [[1.0], [1.0, -1.0]]}),
    ("X", {"X": np.full((6, 2), np.nan)}),
    ("X", {"X": np.zeros((0, 2))}),
    ("lam", {"lam": -1}),
    ("lam", {"lam": np.nan}),
    ("l1_ratio", {"l1_ratio": 2}),
    ("weights", {"weights": [1.0, 0.0]}),
    ("weights", {"weights": [1.0, np.nan]}),
    ("sample_weight", {"sample_weight": np.zeros(6)}),
    ("fit_intercept", {"fit_intercept": 1}),
    ("scale", {"scale": "max"}),
]


@pytest.mark.parametrize("field, bad", BAD)
def test_names_what_it_refuses(field, bad):
    X = np.random.default_rng(0).standard_normal((6, 2))
    with pytest.raises(fejer.ProblemError, match=rf"^{field}"):
        fejer.SparseLogistic(**{"X": X, "y": [1, -1, 1, -1, 1, -1], "lam": 0.1, **bad})


def test_layouts_degenerate_data_and_labels_found():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((20, 4)), np.where(rng.random(20) < 0.5, -1, 1)
    X[:, 2] = 0.0
    X[:, 3] = X[:, 1]
    base = fejer.minimize(fejer.SparseLogistic(X, y, 0.3), method="bcd", tol=1e-10)
    assert base.success and base.x[2] == 0.0
    for other in (X.astype(np.float32), np.asfortranarray(X), X[::-1][::-1], X.tolist()):
        problem = fejer.SparseLogistic(other, y.tolist(), 0.3)
        assert fejer.minimize(problem, method="bcd").success
    with pytest.raises(fejer.ProblemError, match="got 0, 1"):
        fejer.SparseLogistic(X, (y + 1) // 2, 0.3)


@pytest.mark.parametrize("scale", [1e-80, 1e-9, 1e9, 1e80])
def test_scaled_columns_change_nothing(scale):
    problem = instance("plain")
    scaled = problem.replace(X=problem.X.toarray() * scale, lam=problem.lam * scale)
    result = fejer.minimize(scaled, method="bcd", tol=1e-9)
    assert result.success and result.fun == pytest.approx(solved("plain")[1].fun, rel=1e-8)
