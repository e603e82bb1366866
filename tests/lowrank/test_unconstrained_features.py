"""Unconstrained features: the closed form, the global gap with and without anchor, collapse."""

import numpy as np
import pytest
from scipy.optimize import minimize

import fejer
from fejer import ProblemError, UnconstrainedFeatures
from fejer.driver import Run

TOL = 1e-6


def split(problem, x):
    K, D = problem.n_classes, problem.dim
    return np.asarray(x)[: K * D].reshape(K, D), np.asarray(x)[K * D :].reshape(-1, D).T


def labels(problem):
    return np.repeat(np.eye(problem.n_classes), problem.per_class, axis=1)


def objective(problem, x):
    W, H = split(problem, x)
    N = H.shape[1]
    fun = ((W @ H - labels(problem)) ** 2).sum() / (2 * N)
    fun += problem.reg_w / 2 * (W**2).sum() + problem.reg_h / 2 * (H**2).sum()
    if problem.beta > 0:
        fun += problem.beta / 2 * ((H - problem.anchor) ** 2).sum()
    return fun


def gradient(problem, x):
    W, H = split(problem, x)
    N = H.shape[1]
    R = (W @ H - labels(problem)) / N
    gH = W.T @ R + problem.reg_h * H
    if problem.beta > 0:
        gH = gH + problem.beta * (H - problem.anchor)
    return np.concatenate([(R @ H.T + problem.reg_w * W).ravel(), gH.T.ravel()])


def dual_value(problem, L):
    """min over W and H of the Lagrangian at L, by dense solves alone."""
    N = L.shape[1]
    value = (L * labels(problem)).sum() - N / 2 * (L**2).sum()
    if problem.beta == 0:
        return value
    M = (problem.reg_h + problem.beta) * np.eye(N) - L.T @ L / problem.reg_w
    H0 = problem.anchor
    value += problem.beta / 2 * (H0**2).sum()
    return value - problem.beta**2 / 2 * np.trace(H0 @ np.linalg.solve(M, H0.T))


SHAPES = [(2, 1, 2), (2, 5, 4), (3, 4, 3), (4, 10, 6), (5, 2, 9)]


@pytest.mark.parametrize(("K", "n", "D"), SHAPES)
@pytest.mark.parametrize("regs", [(5e-3, 1e-3), (1e-1, 1e-4), (1e-6, 1e-5), (1.0, 1.0)])
def test_closed_form_is_reached(K, n, D, regs):
    problem = UnconstrainedFeatures(K, n, D, *regs)
    result = fejer.minimize(problem, tol=1e-13, max_iter=20_000)
    best = problem.optimum()
    assert abs(result.fun - best) <= 1e-12 * max(best, 1e-6)
    assert result.certificate.rigorous and result.certificate.lower_bound <= best + 1e-15
    if best < 0.5 * (1 - 1e-9):  # otherwise the minimum is at 0
        assert result.nc1 < 1e-12 and result.nc2 < 1e-6


def test_closed_form_is_the_convex_optimum():
    problem = UnconstrainedFeatures(3, 4, 5, 2e-2, 5e-3)
    assert problem.to_cvxpy().solve(solver="CLARABEL") == pytest.approx(problem.optimum(), abs=1e-8)


def test_published_instance():
    problem = UnconstrainedFeatures(4, 10, 6, 5e-3, 1e-3)
    assert problem.optimum() == pytest.approx(0.0278842712474619, abs=1e-15)


@pytest.mark.parametrize("beta", [0.0, 1e-3, 1.0])
def test_lower_bound_is_a_value_of_the_dual(beta):
    """The clipped residual, made once more, and random dual points below every minimum."""
    problem = UnconstrainedFeatures.random(3, 4, 5, beta=beta, seed=1)
    N, mu = problem.samples, np.sqrt(problem.reg_w * (problem.reg_h + beta))
    rng = np.random.default_rng(0)
    x0 = fejer.minimize(problem, tol=1e-10).x
    for size in (1e-6, 1e-3, 1e-1, 1.0):
        x = x0 + size * rng.standard_normal(x0.size)
        W, H = split(problem, x)
        U, s, Vt = np.linalg.svd((labels(problem) - W @ H) / N, full_matrices=False)
        found = problem.judge(x)
        assert found.fun == pytest.approx(objective(problem, x), rel=1e-12)
        values = [
            dual_value(problem, (U * np.minimum(s, mu * (1 - d))) @ Vt)
            for d in ([0.0] if beta == 0 else [0.1, 1e-2, 1e-3])
        ]
        assert found.lower_bound >= max(values) - 1e-9
    # any other dual point is below the minimum, too
    for t in np.linspace(0.01, 0.999, 30) * mu:
        L = t * np.linalg.qr(rng.standard_normal((N, 3)))[0].T
        assert dual_value(problem, L) <= objective(problem, x0) + 1e-12


@pytest.mark.parametrize("beta", [0.0, 1e-4, 1e-3, 1e-2, 1.0])
def test_gap_bounds_the_truth(beta):
    """The best of many runs of scipy's L-BFGS stands for the truth."""
    problem = UnconstrainedFeatures.random(3, 3, 4, beta=beta, seed=2)
    rng = np.random.default_rng(5)
    starts = [rng.standard_normal(problem.size) for _ in range(8)]
    best = min(
        minimize(
            lambda x: objective(problem, x),
            start,
            jac=lambda x: gradient(problem, x),
            method="L-BFGS-B",
            options={"maxiter": 5000, "ftol": 1e-16, "gtol": 1e-10},
        ).fun
        for start in starts
    )
    result = fejer.minimize(problem, tol=1e-9)
    assert result.success and result.certificate.lower_bound <= best + 1e-10
    assert result.fun <= best + 1e-7 or not result.certificate.rigorous
    for i in range(60):
        x = result.x + 10.0 ** rng.uniform(-6, 1) * rng.standard_normal(problem.size)
        x = starts[i % 8] if i % 5 == 0 else x
        found = problem.judge(x)
        truth = (objective(problem, x) - best) / found.scale
        assert found.lower_bound <= best + 1e-10
        assert not found.rigorous or found.value >= truth - 1e-8
        if truth > 3 * TOL:
            assert not found.holds(TOL)


def test_gap_closes_for_strong_and_for_weak_anchors():
    for seed in range(4):
        for beta, closes in ((1.0, True), (1e-2, False), (1e-4, True)):
            problem = UnconstrainedFeatures.random(beta=beta, seed=seed)
            result = fejer.minimize(problem)
            assert result.success and result.certificate.rigorous is closes


def test_saddles_are_refused():
    """The origin, and stationary points that lack a class, with every kind of anchor."""
    for beta in (0.0, 1e-3, 1e-2):
        problem = UnconstrainedFeatures(3, 4, 5, 5e-3, 1e-3, np.zeros((5, 12)), beta)
        assert problem.judge(np.zeros(problem.size)).value > 0.1
        run = fejer.minimize(problem.replace(n_classes=2, dim=5, anchor=np.zeros((5, 8))))
        W, H = split(problem.replace(n_classes=2, anchor=np.zeros((5, 8))), run.x)
        x = np.zeros(problem.size)
        U, V = problem.parts(x)
        U[:2], V[:, :8] = W, H
        for size in (0.0, 1e-9, 1e-6):
            noise = size * np.random.default_rng(0).standard_normal(x.size)
            assert problem.judge(x + noise).value > 1e-2
    anchor = np.zeros((5, 12))
    anchor[0] = 1.0  # of rank 1: the first factors see one direction alone
    problem = UnconstrainedFeatures(3, 4, 5, 5e-3, 1e-3, anchor, 0.5)
    result = fejer.minimize(problem, max_iter=200)
    if result.success:
        rng = np.random.default_rng(1)
        for _ in range(20):
            moved = result.x + 1e-3 * rng.standard_normal(problem.size)
            assert objective(problem, moved) >= result.fun - 1e-10


def test_objective_never_rises():
    for beta in (0.0, 1e-2):
        problem = UnconstrainedFeatures.random(beta=beta)
        x0 = np.random.default_rng(3).standard_normal(problem.size)
        run = Run(problem, x0, method="als", tol=0.0)
        run.open()
        values = [problem.objective(x0)]
        for k in range(1, 25):
            run.forward(k)
            values.append(objective(problem, run.method.point(problem, run.prep, run.state)))
        assert (np.diff(values) <= 1e-15).all()


def test_one_sweep_is_two_ridge_regressions():
    from sklearn.linear_model import Ridge

    problem = UnconstrainedFeatures.random(beta=0.1)
    x0 = np.random.default_rng(0).standard_normal(problem.size)
    x = fejer.minimize(problem, x0, method="als", tol=0.0, max_iter=1).x
    H = split(problem, x0)[1]
    T, N = labels(problem), problem.samples
    W = Ridge(alpha=N * problem.reg_w, fit_intercept=False, solver="svd").fit(H.T, T.T).coef_
    np.testing.assert_allclose(split(problem, x)[0], W, atol=1e-12)
    # minimise over H: labels and anchor are both regressed on
    rows = np.vstack([W / np.sqrt(N), np.sqrt(problem.beta) * np.eye(6)])
    both = np.vstack([T / np.sqrt(N), np.sqrt(problem.beta) * problem.anchor])
    H = Ridge(alpha=problem.reg_h, fit_intercept=False, solver="svd").fit(rows, both).coef_.T
    np.testing.assert_allclose(split(problem, x)[1], H, atol=1e-12)


def test_variation_within_classes_against_its_definition():
    problem = UnconstrainedFeatures.random(3, 5, 4, noise=0.7)
    H = problem.anchor
    groups = H.reshape(4, 3, 5)
    means = groups.mean(axis=2)
    within = sum(np.cov(groups[:, k], bias=True) for k in range(3)) / 3
    between = np.cov(means, bias=True)
    expected = np.trace(within @ np.linalg.pinv(between, rcond=1e-8)) / 3
    assert problem.variation(H) == pytest.approx(expected, rel=1e-9)
    assert problem.variation(1e80 * H) == pytest.approx(expected, rel=1e-9)
    assert problem.variation(np.ones_like(H)) == np.inf


def test_anchored_features_collapse_further_the_weaker_the_anchor():
    for seed in range(5):
        base = UnconstrainedFeatures.random(seed=seed)
        values = [base.variation(base.anchor)]
        values += [fejer.minimize(base.replace(beta=beta)).nc1 for beta in (1.0, 0.1, 0.01)]
        assert (np.diff(values) < 0).all()


def test_hostile_points():
    problem = UnconstrainedFeatures.random(beta=0.1)
    for size in (1e8, 1e100, 1e200):
        found = problem.judge(np.full(problem.size, size))
        assert found.value > 1 and (np.isfinite(found.value) or found.reason)
    x = fejer.minimize(problem).x
    assert not problem.judge(np.roll(x, 1)).holds(TOL)
    for witness in ({"dual": "abc"}, {"dual": np.nan}, {"x": 1e9}):
        assert problem.judge(x, witness).value == problem.judge(x).value
    small = UnconstrainedFeatures(2, 3, 2, 1e-9, 1e-9)
    assert not small.judge(small.initial_point()).holds(TOL)


GOOD = {"n_classes": 2, "per_class": 3, "dim": 2, "reg_w": 0.1, "reg_h": 0.1}
NAN = float("nan")
BAD = [
    ("n_classes", 1),
    ("n_classes", 2.5),
    ("n_classes", None),
    ("n_classes", "2"),
    ("per_class", 0),
    ("per_class", NAN),
    ("dim", 1),
    ("dim", -2),
    ("reg_w", 0),
    ("reg_w", -1),
    ("reg_w", NAN),
    ("reg_h", 0.0),
    ("reg_h", float("inf")),
    ("reg_h", [1, 2]),
    ("beta", -1),
    ("beta", NAN),
    ("anchor", np.ones((2, 5))),
    ("anchor", np.ones(12)),
    ("anchor", np.full((2, 6), NAN)),
    ("anchor", "abc"),
]


@pytest.mark.parametrize(("field", "value"), BAD)
def test_bad_field(field, value):
    with pytest.raises(ProblemError, match=rf"^{field}:"):
        UnconstrainedFeatures(**{**GOOD, field: value})


def test_an_anchor_is_needed_for_beta():
    with pytest.raises(ProblemError, match=r"^anchor:"):
        UnconstrainedFeatures(**GOOD, beta=1.0)
    with pytest.raises(ProblemError, match=r"^beta:"):
        UnconstrainedFeatures.random(beta=1.0).optimum()


@pytest.mark.parametrize("kind", [np.asfortranarray, np.float32, lambda a: a.tolist()])
def test_layouts_of_the_anchor(kind):
    base = UnconstrainedFeatures.random(beta=0.1)
    given = np.round(base.anchor, 2)
    before = given.copy()
    problem = base.replace(anchor=kind(given))
    assert fejer.minimize(problem).success
    np.testing.assert_array_equal(given, before)
