"""Supervised dictionaries: gap against a dense twin and against the truth, methods, bad input."""

import numpy as np
import pytest
from scipy.special import logsumexp

import fejer
from fejer import ProblemError, SupervisedDictionary
from fejer.driver import Run

TOL = 1e-6
CASES = [
    {"model": model, "classes": classes} for model in ("filter", "feature") for classes in (2, 3)
]


def pieces(problem, x):
    (p, n), r, q, k = problem.X.shape, problem.rank, len(problem.aux), problem.n_classes - 1
    sizes = [p * r, r * n, r * k, q * k]
    W, H, beta, gamma = np.split(np.asarray(x), np.cumsum(sizes)[:-1])
    return W.reshape(p, r), H.reshape(r, n), beta.reshape(r, k), gamma.reshape(q, k)


def objective(problem, x):
    W, H, beta, gamma = pieces(problem, x)
    A = W @ beta if problem.model == "filter" else beta.T @ H
    a = (A.T @ problem.X if problem.model == "filter" else A) + gamma.T @ problem.aux
    full = np.vstack([np.zeros(a.shape[1]), a])
    loss = logsumexp(full, axis=0).sum() - full[problem.y, np.arange(full.shape[1])].sum()
    ridge = (A**2).sum() + (gamma**2).sum()
    return loss + problem.xi * ((problem.X - W @ H) ** 2).sum() + problem.nu * ridge


def gap(problem, x):
    """The bound of the lifted problem with a dense singular value decomposition."""
    W, H, beta, gamma = pieces(problem, x)
    filtering = problem.model == "filter"
    A = W @ beta if filtering else beta.T @ H
    a = (A.T @ problem.X if filtering else A) + gamma.T @ problem.aux
    full = np.vstack([np.zeros(a.shape[1]), a])
    P = np.exp(full - logsumexp(full, axis=0))
    P[problem.y, np.arange(full.shape[1])] -= 1
    error = P[1:]
    mA, mB = np.sqrt(2 * problem.nu), np.sqrt(2 * problem.xi)
    gA = (problem.X @ error.T if filtering else error) + 2 * problem.nu * A
    gB = 2 * problem.xi * (W @ H - problem.X)
    gG = problem.aux @ error.T + 2 * problem.nu * gamma
    join = (lambda u, v: np.hstack([u, v])) if filtering else (lambda u, v: np.vstack([u, v]))
    G, Z = join(gA / mA, gB / mB), join(mA * A, mB * W @ H)
    tail = np.linalg.svd(Z - G, compute_uv=False)[problem.rank :]
    return 0.5 * (G**2).sum() - 0.5 * (tail**2).sum() + (gG**2).sum() / (4 * problem.nu)


@pytest.mark.parametrize("case", CASES)
def test_value_is_the_dense_gap(case):
    problem = SupervisedDictionary.random(**case, covariates=2)
    scale = problem.y.size * np.log(problem.n_classes)
    x0 = fejer.minimize(problem, tol=1e-10).x
    rng = np.random.default_rng(0)
    for size in (1e-4, 1e-2, 1.0):
        x = x0 + size * rng.standard_normal(x0.size)
        certificate = problem.judge(x)
        assert certificate.fun == pytest.approx(objective(problem, x), rel=1e-12)
        assert certificate.details["gap"] == pytest.approx(gap(problem, x) / scale, rel=1e-6)


@pytest.mark.parametrize("case", CASES)
def test_gap_bounds_the_distance_from_the_optimum(case):
    problem = SupervisedDictionary.random(**case)
    result = fejer.minimize(problem, tol=1e-11)
    assert result.success and result.certificate.rigorous
    best, scale = result.fun, result.certificate.scale
    rng = np.random.default_rng(1)
    for i in range(60):
        x = result.x + 10.0 ** rng.uniform(-5, 1) * rng.standard_normal(problem.size)
        if i % 3 == 0:
            x = rng.standard_normal(problem.size)
        certificate = problem.judge(x)
        truth = (objective(problem, x) - best) / scale
        assert certificate.details["gap"] >= truth - 1e-10
        assert certificate.lower_bound <= best + 1e-9 * scale
        if truth > 3 * TOL:
            assert not certificate.holds(TOL) or not certificate.rigorous


@pytest.mark.parametrize("case", CASES)
def test_gap_bounds_the_distance_from_the_best_of_many_starts(case):
    """scipy's L-BFGS with finite differences of the twin: another method, another objective."""
    from scipy.optimize import minimize

    problem = SupervisedDictionary.random(3, 8, 1, **case, covariates=1)
    rng = np.random.default_rng(7)
    best = min(
        minimize(lambda x: objective(problem, x), rng.standard_normal(problem.size)).fun
        for _ in range(4)
    )
    scale = problem.y.size * np.log(problem.n_classes)
    result = fejer.minimize(problem, tol=1e-10)
    assert result.certificate.rigorous and result.fun <= best + 1e-7 * scale
    assert result.certificate.lower_bound <= best + 1e-12 * scale
    rigorous = 0
    for i in range(120):
        x = result.x + 10.0 ** rng.uniform(-4, 0.5) * rng.standard_normal(problem.size)
        x = rng.standard_normal(problem.size) if i % 4 == 0 else x
        certificate = problem.judge(x)
        truth = (objective(problem, x) - best) / scale
        rigorous += certificate.rigorous
        assert certificate.value >= truth - 1e-9 or not certificate.rigorous
        assert certificate.lower_bound <= best + 1e-9 * scale
    assert rigorous > 60  # the weaker condition is the exception


@pytest.mark.parametrize("model", ["filter", "feature"])
def test_gap_bounds_the_distance_from_the_convex_optimum(model):
    """With the largest rank the lifted problem is convex: Clarabel solves it."""
    import cvxpy as cp

    rank = 5 if model == "filter" else 6  # of [A, B], or of A above B
    problem = SupervisedDictionary.random(5, 8, rank, model=model, covariates=1)
    p, n = problem.X.shape
    A = cp.Variable((p, 1) if model == "filter" else (1, n))
    B, gamma = cp.Variable((p, n)), cp.Variable((1, 1))
    a = (A.T @ problem.X if model == "filter" else A) + gamma.T @ problem.aux
    loss = cp.sum(cp.logistic(a)) - cp.sum(cp.multiply(a, problem.y[None, :]))
    ridge = cp.sum_squares(A) + cp.sum_squares(gamma)
    cost = loss + problem.xi * cp.sum_squares(problem.X - B) + problem.nu * ridge
    best = cp.Problem(cp.Minimize(cost)).solve(solver="CLARABEL")
    scale = n * np.log(2)
    rng = np.random.default_rng(3)
    for _ in range(60):
        x = 10.0 ** rng.uniform(-3, 0.5) * rng.standard_normal(problem.size)
        certificate = problem.judge(problem.initial_point() + x)
        truth = (certificate.fun - best) / scale
        assert certificate.value >= truth - 1e-7 or not certificate.rigorous
        assert certificate.lower_bound <= best + 1e-7 * scale


def test_moved_points_keep_the_rigorous_value():
    """Where the gap can close it is the value, even where the other condition is smaller."""
    for case in CASES:
        problem = SupervisedDictionary.random(**case)
        result = fejer.minimize(problem, tol=1e-11)
        rng = np.random.default_rng(2)
        for step in np.repeat([1e-4, 1e-3, 1e-2], 10):
            x = result.x + step * np.abs(result.x).max() * rng.standard_normal(problem.size)
            certificate = problem.judge(x)
            truth = (objective(problem, x) - result.fun) / certificate.scale
            assert certificate.rigorous and certificate.value >= truth


@pytest.mark.parametrize("case", CASES)
def test_answer_is_a_minimum_by_finite_differences(case):
    problem = SupervisedDictionary.random(6, 14, 2, **case, nu=0.3)
    result = fejer.minimize(problem, tol=1e-11)
    assert result.success
    for i in range(problem.size):
        e = 1e-5 * (np.arange(problem.size) == i)
        slope = (objective(problem, result.x + e) - objective(problem, result.x - e)) / 2e-5
        assert abs(slope) < 1e-4
    rng = np.random.default_rng(0)
    for _ in range(30):
        moved = result.x + 1e-3 * rng.standard_normal(problem.size)
        assert objective(problem, moved) >= result.fun - 1e-9


@pytest.mark.parametrize("case", CASES)
def test_methods_agree(case):
    problem = SupervisedDictionary.random(20, 80, 3, **case, covariates=2, seed=4)
    values = []
    for method, options in (
        ("bcd-dictionary", {}),
        ("bcd-dictionary", {"radius": 50.0}),
        ("lpgd", {}),
        ("lpgd", {"memory": 0}),
        ("lpgd", {"step": "plain"}),
    ):
        result = fejer.minimize(problem, method=method, options=options, tol=1e-7, max_iter=5000)
        assert result.success and result.certificate.rigorous, (method, options)
        values.append(result.fun)
    assert np.ptp(values) <= 2e-7 * problem.y.size * np.log(problem.n_classes)


@pytest.mark.parametrize("model", ["filter", "feature"])
def test_few_iterations_certify_the_global_minimum(model):
    for p, n in ((50, 300), (100, 400)):
        problem = SupervisedDictionary.random(p, n, 5, covariates=2, model=model)
        result = fejer.minimize(problem, method="bcd-dictionary", trace="every")
        assert result.success and result.certificate.rigorous and result.nit <= 7


def test_descent_is_monotone():
    for case in CASES:
        problem = SupervisedDictionary.random(**case, nu=0.05, xi=0.05)
        x0 = problem.initial_point() + np.random.default_rng(0).standard_normal(problem.size)
        result = fejer.minimize(
            problem, x0, method="bcd-dictionary", tol=0.0, max_iter=30, trace="every"
        )
        assert (np.diff(result.trace.fun) <= 1e-10 * abs(result.trace.fun[0])).all()


def test_no_global_claim_where_the_gap_stays_open():
    problem = SupervisedDictionary.random(50, 300, 5, covariates=2, xi=0.1, nu=0.1)
    result = fejer.minimize(problem)
    assert result.success and not result.certificate.rigorous
    assert result.certificate.kind == "stationarity" and result.certificate.details["gap"] > 0.5


def test_contraction_of_the_published_step():
    problem = SupervisedDictionary.random(8, 30, 2)
    top = np.linalg.norm(np.vstack([problem.X, problem.aux]), 2) ** 2
    weight = top / 4  # mu = 2 weight, L = top/4 + 2 weight: L/mu = 1.5
    problem = problem.replace(xi=weight, nu=weight)
    best = fejer.minimize(problem, method="lpgd", tol=1e-14, max_iter=3000).x
    run = Run(problem, method="lpgd", options={"step": "plain", "memory": 0}, tol=0.0)
    run.open()

    def lifted(x):
        W, H, beta, gamma = pieces(problem, x)
        return np.concatenate([(W @ beta).ravel(), (W @ H).ravel(), gamma.ravel()])

    mu, L = 2 * weight, top / 4 + 2 * weight
    factor = 2 * (1 - mu / L)
    first = np.linalg.norm(lifted(run.state.x) - lifted(best))
    for k in range(1, 25):
        run.forward(k)
        distance = np.linalg.norm(lifted(run.state.x) - lifted(best))
        assert distance <= factor**k * first + 1e-7 * first
    assert factor < 1


@pytest.mark.parametrize("size", [0.0, 1e-12])
def test_points_that_lack_an_atom(size):
    for case in CASES:
        problem = SupervisedDictionary.random(**case, xi=0.1, nu=0.1)
        x = fejer.minimize(problem, tol=1e-9).x.copy()
        parts = problem.parts(x)
        parts.W[:, 0] *= size
        assert problem.judge(x).value > 1e-3


def test_huge_weights_and_samples_buy_nothing():
    base = SupervisedDictionary.random()
    problem = base.replace(X=1000 * base.X, nu=1e10)
    assert (
        problem.judge(problem.initial_point()).value > 1e-5
        or problem.judge(problem.initial_point()).details["gap"] * problem.y.size * np.log(2) < 1e-4
    )
    for size in (1e8, 1e100, 1e200):
        certificate = base.judge(size * np.ones(base.size))
        assert certificate.value > 1e-3
        assert certificate.value < np.inf or certificate.reason


def test_separable_labels_stay_finite():
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], 20)
    X = rng.standard_normal((5, 40)) + 50 * np.outer(np.ones(5), 2 * y - 1)
    for model in ("filter", "feature"):
        problem = SupervisedDictionary(X, y, 2, model=model, nu=1e-3)
        result = fejer.minimize(problem, max_iter=3000)
        assert np.isfinite(result.x).all() and np.isfinite(result.fun)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("nonnegative", [False, True])
def test_huge_starts_end_quietly(nonnegative):
    for case in CASES:
        problem = SupervisedDictionary.random(**case, nonnegative=nonnegative)
        x0 = np.random.default_rng(0).standard_normal(problem.size)
        for size in (1e8, 1e80):
            result = fejer.minimize(problem, size * x0, method="bcd-dictionary", max_iter=20)
            assert np.isfinite(result.x).all()


NAN = float("nan")
GOOD = {"X": np.arange(12.0).reshape(3, 4), "y": [0, 1, 0, 1], "rank": 1}
BAD = [
    ("X", np.zeros((3, 4))),
    ("X", np.full((3, 4), NAN)),
    ("X", np.ones(4)),
    ("X", np.ones((3, 4, 1))),
    ("X", "abc"),
    ("X", None),
    ("X", np.full((3, 4), 1e101)),
    ("X", [[]]),
    ("y", [0, 1, 0]),
    ("y", [0, 0, 0, 0]),
    ("y", [0, 2, 0, 2]),
    ("y", [1, 2, 1, 2]),
    ("y", [0, 1, 0.5, 1]),
    ("y", [0, -1, 0, 1]),
    ("y", [0, NAN, 0, 1]),
    ("y", [0, 1e15, 0, 1]),
    ("y", None),
    ("y", ["a", "b", "a", "b"]),
    ("rank", 0),
    ("rank", 4),
    ("rank", 1.5),
    ("rank", None),
    ("aux", np.ones((2, 3))),
    ("aux", np.ones(4)),
    ("aux", np.full((1, 4), NAN)),
    ("aux", "abc"),
    ("model", "both"),
    ("model", None),
    ("xi", 0),
    ("xi", -1),
    ("xi", NAN),
    ("xi", "1"),
    ("nu", 0),
    ("nu", None),
    ("nu", float("inf")),
]


@pytest.mark.parametrize(("field", "value"), BAD)
def test_bad_field(field, value):
    with pytest.raises(ProblemError, match=rf"^{field}:"):
        SupervisedDictionary(**{**GOOD, field: value})


def test_views_and_layouts():
    problem = SupervisedDictionary.random(classes=3)
    result = fejer.minimize(problem)
    W, H = result.dictionary, result.code
    beta, gamma = result.coefficients
    assert W.shape == (12, 2) and H.shape == (2, 40) and beta.shape == (2, 2)
    assert gamma.shape == (1, 2)
    np.testing.assert_allclose(result.probabilities.sum(axis=0), 1)
    same = SupervisedDictionary(
        np.asfortranarray(problem.X), problem.y.tolist(), 2, problem.aux.tolist()
    )
    assert same.judge(result.x).value == pytest.approx(result.certificate.value)
