"""UnbalancedOT: certificate, attacks, its method; and the one-line functions."""

import numpy as np
import pytest
from scipy.stats import wasserstein_distance

import fejer
from fejer.driver import Run
from tests.transport.test_exact_ot import truth
from tests.transport.test_input import REFUSED, A, C

TOL, INF = 1e-6, np.inf


def divergence(p, q):
    return float((p * np.log(np.maximum(p, 1e-300) / q) - p + q).sum())


def twin(problem, x):
    """Objective and dual value, for finite tau and positive weights, as they are defined."""
    a, b, cost, eps = problem.a, problem.b, np.array(problem.cost), problem.eps
    f, g = x[: a.size], x[a.size :]
    P = np.outer(a, b) * np.exp((f[:, None] + g - cost) / eps)
    fun = (P * cost).sum() + eps * divergence(P, np.outer(a, b))
    dual = -eps * (P.sum() - a.sum() * b.sum())
    for tau, p, w, y in ((problem.tau_a, P.sum(1), a, f), (problem.tau_b, P.sum(0), b, g)):
        fun += tau * divergence(p, w)
        dual += tau * (w * (1 - np.exp(-y / tau))).sum()
    null = eps * a.sum() * b.sum() + problem.tau_a * a.sum() + problem.tau_b * b.sum()
    return fun, dual, (fun - dual) / min(null, max(abs(fun), 1e-6 * null))


def draw(seed):
    rng = np.random.default_rng(seed)
    n, m = (int(k) for k in rng.integers(1, 9, size=2))
    eps, tau_a, tau_b = 10 ** rng.uniform(-1.5, 1, size=3)
    return fejer.UnbalancedOT.random(n, m, eps, tau_a, tau_b, seed=seed)


@pytest.mark.parametrize("seed", range(10))
def test_certificate_equals_the_twin(seed):
    problem, rng = draw(seed), np.random.default_rng(seed)
    best = fejer.minimize(problem, tol=1e-10)
    assert best.success
    for size in (0.0, 1e-3, 0.1, 1.0):
        x = best.x + size * problem.eps * rng.normal(size=problem.size)
        ours, (fun, dual, value) = problem.judge(x), twin(problem, x)
        assert ours.fun == pytest.approx(fun, rel=1e-10, abs=1e-12)
        assert ours.lower_bound == pytest.approx(dual, rel=1e-9, abs=1e-10)
        assert ours.value == pytest.approx(value, rel=1e-6, abs=1e-9)
        assert ours.value >= (ours.fun - best.fun) / ours.scale - 1e-12


def test_wrong_points_fail():
    count = 0
    for seed in range(15):
        problem, rng = draw(seed), np.random.default_rng(seed)
        best = fejer.minimize(problem, tol=1e-11)
        for _ in range(10):
            direction, low, high = problem.eps * rng.normal(size=problem.size), 0.0, 3.0
            for _ in range(40):
                middle = 0.5 * (low + high)
                ours = problem.judge(best.x + middle * direction)
                off = (ours.fun - best.fun) / ours.scale
                low, high = (middle, high) if off < 3 * TOL else (low, middle)
            ours = problem.judge(best.x + high * direction)
            if (ours.fun - best.fun) / ours.scale >= 3 * TOL:
                assert not ours.holds(TOL)
                count += 1
    assert count >= 120


@pytest.mark.parametrize("taus", [(1, 2), (INF, 2), (0.5, INF), (INF, INF), (1e-3, 1e3)])
def test_cvxpy_agrees(taus):
    cvxpy = pytest.importorskip("cvxpy")
    given = fejer.UnbalancedOT.random(7, 6, 0.2)
    b = given.b / 1.5 if taus == (INF, INF) else given.b
    problem = fejer.UnbalancedOT(given.a, b, given.cost, 0.2, *taus)
    result = fejer.minimize(problem, tol=1e-9)
    model = problem.to_cvxpy()
    model.solve(solver=cvxpy.CLARABEL)
    assert result.success and result.fun == pytest.approx(model.value, abs=1e-6)
    assert result.plan.toarray() == pytest.approx(model.variables()[0].value, abs=1e-4)
    p, q = result.plan.marginals
    if taus[0] == INF:
        assert p == pytest.approx(problem.a, abs=1e-14)
    if taus[1] == INF:
        assert q == pytest.approx(problem.b, abs=1e-14)


def test_translation_saves_iterations():
    """n = 40, m = 50, eps = 0.02, tau = (1, 2): 789 plain iterations against 169 to 1e-12."""
    problem = fejer.UnbalancedOT.random(40, 50, 0.02, 1.0, 2.0)
    translated = fejer.minimize(problem, tol=1e-11)
    plain = fejer.minimize(problem, tol=1e-11, options={"translate": False}, method=NAME)
    assert translated.success and plain.success and 3 * translated.nit < plain.nit
    assert plain.fun == pytest.approx(translated.fun, rel=1e-11)


NAME = "sinkhorn-unbalanced"


def test_plain_iterations_obey_their_bound():
    problem = fejer.UnbalancedOT.random(6, 5, 0.3, 1.0, 0.5)
    best = fejer.minimize(problem, tol=1e-14).x
    run = Run(problem, method=NAME, options={"translate": False}, tol=0.0)
    run.open()
    rate = run.method.rate
    x0 = run.method.point(problem, run.prep, run.state)
    for k in range(40):
        x = run.method.point(problem, run.prep, run.state)
        assert rate.measure(problem, x, best) <= rate.bound(problem, x0, best, k)
        run.method.advance(problem, run.prep, run.state, 1)


def test_balanced_in_the_limit():
    """The distance from balanced transport falls as 1 / tau."""
    given = fejer.UnbalancedOT.random(10, 9, 0.1)
    balanced = fejer.EntropicOT(given.a, given.b / 1.5, given.cost, eps=0.1)
    best = fejer.minimize(balanced, tol=1e-11).plan.toarray()
    errors = []
    for tau in (1e2, 1e3, 1e4):
        problem = fejer.UnbalancedOT(given.a, given.b / 1.5, given.cost, 0.1, tau, tau)
        errors.append(np.abs(fejer.minimize(problem, tol=1e-12).plan.toarray() - best).max())
    assert 8 < errors[0] / errors[1] < 12 and 8 < errors[1] / errors[2] < 12


def test_attacks():
    cost = np.random.default_rng(0).random((10, 10))
    cost[0, 0] = 1e9
    problem = fejer.UnbalancedOT(None, None, cost, 0.1, 1.0, 1.0)
    best = fejer.minimize(problem, tol=1e-9)
    assert best.success
    start = problem.judge(np.zeros(20))
    assert start.value >= (start.fun - best.fun) / start.scale > 0.1
    cheap = fejer.UnbalancedOT(None, None, cost[1:, 1:], 1e-9, 1e-7, 1e-7)
    result, zero = fejer.minimize(cheap, tol=1e-8), cheap.judge(np.zeros(18))
    assert result.success and zero.value > 1e-3


def test_zero_weights_forbidden_arcs_and_starts():
    cost = np.random.default_rng(0).random((4, 5))
    cost[1, 2:] = INF
    problem = fejer.UnbalancedOT([0, 1, 2, 1], [1, 1, 0, 3, 1], cost, 0.05, 1.0, 0.3)
    result = fejer.minimize(problem, tol=1e-9)
    P = result.plan.toarray()
    assert result.success and not P[0].any() and not P[:, 2].any() and not P[1, 2:].any()
    for size in (1e-6, 1e3, 1e90):
        x0 = size * np.random.default_rng(1).normal(size=9)
        again = fejer.minimize(problem, x0, max_iter=2000)
        assert again.success and again.fun == pytest.approx(result.fun, rel=1e-5)
    tiny = fejer.UnbalancedOT.random(8, 8, 1e-4)
    assert fejer.minimize(tiny, max_iter=100_000).success


ROWS = [row for row in REFUSED if not row[0].startswith(("eps", "a, b"))] + [
    (name, {name: bad})
    for name in ("eps", "tau_a", "tau_b")
    for bad in (0, -1.0, float("nan"), "1", None, True, [1.0])
]
ROWS += [("eps", dict(eps=INF)), ("a, b", dict(tau_a=INF, tau_b=INF, a=[1.0, 2.0]))]


@pytest.mark.parametrize(("field", "changed"), ROWS, ids=[repr(row)[:60] for row in ROWS])
def test_bad_input_is_refused_by_name(field, changed):
    given = {"a": A, "b": A, "cost": C, "eps": 0.1, "tau_a": 1.0, "tau_b": 1.0, **changed}
    with pytest.raises(fejer.ProblemError, match=f"^{field}: "):
        fejer.UnbalancedOT(**given)


# ---- functions -----------------------------------------------------------------


@pytest.mark.parametrize("p", [1, 1.5, 2, 3])
@pytest.mark.parametrize("seed", range(4))
def test_the_line_against_linear_programs(p, seed):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=7), rng.integers(-2, 3, size=9).astype(float)
    a, b = rng.random(7), rng.random(9)
    b *= a.sum() / b.sum()
    problem = fejer.ExactOT(a, b, np.abs(x[:, None] - y) ** p)
    ours = fejer.wasserstein_1d(x, y, p, a, b)
    assert ours == pytest.approx((truth(problem) / a.sum()) ** (1 / p), rel=1e-9)
    if p == 1:
        assert ours == pytest.approx(wasserstein_distance(x, y, a, b), rel=1e-12)


def test_the_line_at_its_ends():
    rng = np.random.default_rng(0)
    x = rng.normal(size=1000)
    for p in (1, 2, 7.5, INF):
        assert fejer.wasserstein_1d(x, x + 3.0, p) == pytest.approx(3.0, rel=1e-9)
        assert fejer.wasserstein_1d(x, x[::-1], p) == 0.0
        assert fejer.wasserstein_1d(1e90 * x, 2e90 * x, p) > 0
    assert fejer.wasserstein_1d([0.0], [1.0, 5.0], INF, b=[1.0, 0.0]) == 1.0
    mean = fejer.wasserstein_1d(x, 2 * np.sort(x), 2)  # x and 2 x: the mean of x^2
    assert mean == pytest.approx(np.sqrt((x**2).mean()))
    for field, given in (("x", ([np.nan], [1.0])), ("p", ([1.0], [1.0], 0.5)), ("y", ([1.0], []))):
        with pytest.raises(fejer.ProblemError, match=f"^{field}: "):
            fejer.wasserstein_1d(*given)


def test_transport_in_one_line():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(12, 2)), rng.normal(size=(12, 2))
    result = fejer.transport(x, y, cost="euclidean")
    cost = fejer.PointCloud(x, y, "euclidean")
    assert result.success and result.fun == pytest.approx(truth(fejer.ExactOT(None, None, cost)))
    blurred = fejer.transport(x, y, eps_rel=0.1, tol=1e-8)
    assert blurred.success and blurred.certificate.value <= 1e-8
    same = fejer.transport(cost.toarray(), a=np.full(12, 0.25), b=np.full(12, 0.25))
    assert same.fun == pytest.approx(3 * result.fun)
    with pytest.raises(fejer.ProblemError, match=r"^y: "):
        fejer.transport(x[:, 0])
    with pytest.raises(fejer.ProblemError, match=r"^eps, eps_rel: "):
        fejer.transport(x, y, eps=0.1, eps_rel=0.1)


def test_gaussians_in_closed_form():
    """Squared distance of two samples with the exact quantiles, and of the laws themselves."""
    from scipy.stats import norm

    levels = (np.arange(20_000) + 0.5) / 20_000
    x, y = norm.ppf(levels), 1.0 + 2.0 * norm.ppf(levels)
    assert fejer.wasserstein_1d(x, y) ** 2 == pytest.approx(1.0 + 1.0, rel=1e-3)
    # entropic: |m|^2 + A + B - D + s (1 - log 2s) + s log(D + s), s = eps / 2, D^2 = 4 A B + s^2
    line, eps = np.linspace(-7, 7, 201), 0.5
    a, b = np.exp(-(line**2) / 2), np.exp(-((line - 0.5) ** 2) / 1.0)
    a, b = a / a.sum(), b / b.sum()
    problem = fejer.UnbalancedOT(a, b, fejer.PointCloud(line, line), eps, INF, INF)
    s, A2, B2 = eps / 2, 1.0, 0.5
    D = np.sqrt(4 * A2 * B2 + s**2)
    expected = 0.25 + A2 + B2 - D + s * (1 - np.log(2 * s)) + s * np.log(D + s)
    assert fejer.minimize(problem, tol=1e-9).fun == pytest.approx(expected, abs=1e-6)
