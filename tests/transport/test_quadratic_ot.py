"""QuadraticOT and SparseOT: certificates, oracles, limits in k, and what may not be hidden."""

import itertools

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

import fejer
from fejer.benchmarks.instances.transport import instance
from fejer.problems.transport import _quadratic as kernels
from fejer.testing import hostile_witnesses
from tests.transport import twin
from tests.transport.test_input import REFUSED, A, C

TOL = 1e-6


def quadratic_twin(problem, x):
    """Value, objective and dual value in plain numpy, with rounding by a product."""
    a, b, cost, gamma = problem.a, problem.b, np.array(problem.cost), problem.gamma
    s = np.maximum(x[: a.size, None] + x[a.size :] - cost, 0)
    dual = a @ x[: a.size] + b @ x[a.size :] - (s**2).sum() / (2 * gamma)
    P = twin.rounded(a, b, np.maximum(s / gamma, 1e-300))
    low = cost.min()
    fun = (cost * P).sum() + gamma / 2 * (P**2).sum()
    spread = np.median(cost - low) or np.ptp(cost)
    null = a.sum() * spread + gamma * max(a @ a / b.size, b @ b / a.size)
    return (fun - dual) / min(fun - low * a.sum(), null), fun, dual


def draw(seed):
    rng = np.random.default_rng(seed)
    n, m = rng.integers(2, 9, size=2)
    gamma = 10 ** rng.uniform(-1, 2)
    return fejer.QuadraticOT.random(int(n), int(m), gamma=gamma, seed=seed)


# ---- QuadraticOT ---------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(10))
def test_certificate_equals_the_twin(seed):
    """Far from the solution, where nothing is routed."""
    problem = draw(seed)
    rng = np.random.default_rng(seed)
    x = rng.normal(size=problem.size) + 1.0
    ours, (value, fun, dual) = problem.judge(x), quadratic_twin(problem, x)
    assert ours.details["marginal"] > 1e-2
    assert ours.value == pytest.approx(value, rel=1e-9) and ours.fun == pytest.approx(fun)
    assert ours.lower_bound == pytest.approx(dual)


def test_value_bounds_the_truth_and_wrong_points_fail():
    count = 0
    for seed in range(16):
        problem = draw(seed)
        best = fejer.minimize(problem, tol=1e-11)
        assert best.success
        rng = np.random.default_rng(seed)
        for _ in range(10):
            direction = rng.normal(size=problem.size)
            low, high = 0.0, 1.0
            for _ in range(25):
                middle = 0.5 * (low + high)
                ours = problem.judge(best.x + middle * direction)
                off = (ours.fun - best.fun) / ours.scale
                low, high = (middle, high) if off < 3 * TOL else (low, middle)
            ours = problem.judge(best.x + high * direction)
            if (ours.fun - best.fun) / ours.scale >= 3 * TOL:
                assert not ours.holds(TOL)
                assert ours.value >= (ours.fun - best.fun) / ours.scale - 1e-12
                assert ours.lower_bound <= best.fun + 1e-12
                count += 1
    assert count >= 120


@pytest.mark.parametrize("seed", range(3))
def test_cvxpy_agrees(seed):
    cvxpy = pytest.importorskip("cvxpy")
    problem = fejer.QuadraticOT.random(12, 9, gamma=10.0 ** (seed - 1), seed=seed)
    model = problem.to_cvxpy()
    model.solve(solver=cvxpy.CLARABEL)
    result = fejer.minimize(problem, tol=1e-10)
    assert result.success and result.fun == pytest.approx(model.value, abs=1e-7)
    assert result.plan.toarray() == pytest.approx(model.variables()[0].value, abs=1e-5)


@pytest.mark.parametrize(
    ("kind", "gamma"), [("pc2", 1.0), ("pc2", 0.1), ("lap", 0.1), ("grid", 10.0), ("grid", 1.0)]
)
def test_kinds_within_the_evaluations(kind, gamma):
    problem = fejer.QuadraticOT(*instance(kind, 100), gamma=gamma)
    result = fejer.minimize(problem, method="lbfgs-dual", max_work=5000)
    assert result.success, result
    p, q = result.plan.marginals
    assert np.abs(p - problem.a).max() < 1e-15 and np.abs(q - problem.b).max() < 1e-15
    lower, upper = result.bracket
    assert lower <= result.transport_cost <= upper + 1e-15


def test_large_gamma_does_not_flatter():
    """n = 200, gamma = 1e4: the objective is nearly constant in relative terms."""
    problem = fejer.QuadraticOT(*instance("pc2", 50), gamma=1e4)
    result = fejer.minimize(problem, tol=1e-11)
    assert result.success
    P = result.plan.toarray()
    assert (P > 0).all()  # then the plan is an affine function of the cost
    cost = np.array(problem.cost)
    centred = cost - cost.mean(axis=1, keepdims=True) - cost.mean(axis=0) + cost.mean()
    assert 1 / 2500 - centred / 1e4 == pytest.approx(P, abs=1e-10)


def test_forbidden_arcs_and_their_cut():
    cost = np.array([[1, np.inf, 2], [2, 1, np.inf], [1, 1, 1.0]])
    result = fejer.minimize(fejer.QuadraticOT(None, None, cost, 1.0), tol=1e-9)
    assert result.success and result.plan.toarray()[~np.isfinite(cost)].max() == 0
    none = np.array([[1, np.inf, np.inf], [2, np.inf, np.inf], [1, 1, 1.0]])
    result = fejer.minimize(fejer.QuadraticOT(None, None, none, 1.0), max_iter=2000)
    assert result.status == fejer.Status.INFEASIBLE


@pytest.mark.parametrize("scale", [1e-8, 1e6, 1e90])
def test_hostile_starts(scale):
    problem = fejer.QuadraticOT.random(8)
    x0 = scale * np.random.default_rng(0).normal(size=16)
    result = fejer.minimize(problem, x0, max_iter=3000)
    assert result.success or (scale > 1e80 and result.status != fejer.Status.CONVERGED)


def test_zero_weights_huge_costs_and_one_atom():
    rng = np.random.default_rng(0)
    cost = rng.random((4, 3))
    result = fejer.minimize(fejer.QuadraticOT([0, 0.5, 0.2, 0.3], [0.5, 0.5, 0], cost, 1.0))
    assert result.success and result.plan.toarray()[0].max() == 0
    assert result.plan.toarray()[:, 2].max() == 0
    cost[0, 0] = 1e32
    assert fejer.minimize(fejer.QuadraticOT(None, None, cost, 1.0)).success
    for shape in ((1, 5), (5, 1), (1, 1)):
        assert fejer.minimize(fejer.QuadraticOT(None, None, rng.random(shape), 1.0)).success


# ---- SparseOT ------------------------------------------------------------------------------------


@pytest.mark.parametrize("axis", ["row", "column"])
def test_both_limits_of_k(axis):
    """k = 1 is transport without regularisation, large k is QuadraticOT."""
    a, b, cost = instance("pc2", 30)
    exact = fejer.minimize(fejer.ExactOT(a, b, cost), tol=1e-10)
    one = fejer.minimize(fejer.SparseOT(a, b, cost, 1.0, 1, axis), max_iter=3000, tol=1e-9)
    assert one.success
    assert one.certificate.lower_bound == pytest.approx(exact.fun + 0.5 / 30, abs=1e-8)
    full = fejer.minimize(fejer.QuadraticOT(a, b, cost, 1.0), tol=1e-10)
    plan = full.plan.toarray()
    counts = (plan > 1e-9).sum(axis=1 if axis == "row" else 0)
    same = fejer.minimize(fejer.SparseOT(a, b, cost, 1.0, int(counts.max()) + 1, axis), tol=1e-9)
    assert same.success and same.fun == pytest.approx(full.fun, abs=1e-8)
    assert same.plan.toarray() == pytest.approx(plan, abs=1e-6)


@pytest.mark.parametrize("gamma", [0.1, 1.0, 10.0])
def test_no_hidden_violation(gamma):
    """Whatever k is, a plan that counts is k-sparse and meets its marginals."""
    a, b, cost = instance("pc2", 24)
    bounds = []
    for k in (1, 2, 3, 5, 24):
        problem = fejer.SparseOT(a, b, cost, gamma, k)
        result = fejer.minimize(problem, max_iter=600)
        bounds.append(result.certificate.lower_bound)
        if np.isfinite(result.certificate.value):
            P = result.plan.toarray()
            assert (P > 0).sum(axis=1).max() <= k and result.marginal_violation < 1e-9
            fun = (P * cost).sum() + gamma / 2 * (P**2).sum()
            assert result.fun == pytest.approx(fun, rel=1e-9)
            assert result.fun >= bounds[-1] - 1e-12
        else:
            assert result.certificate.kind == "relaxed" and not result.success
    assert np.diff(bounds).max() < 1e-6  # the dual value falls as k grows


def test_small_instances_by_enumeration():
    """The best k-sparse plan over all supports lies between dual value and objective."""
    cvxpy = pytest.importorskip("cvxpy")
    rng = np.random.default_rng(0)
    cost = rng.random((3, 3))
    b = np.array([0.3, 0.4, 0.3])
    problem = fejer.SparseOT(None, b, cost, 0.5, 2)
    result = fejer.minimize(problem, max_iter=500)
    values = []
    for holes in itertools.product(range(3), repeat=3):
        P = cvxpy.Variable((3, 3), nonneg=True)
        rules = [cvxpy.sum(P, axis=1) == problem.a, cvxpy.sum(P, axis=0) == b]
        rules += [P[i, j] == 0 for i, j in enumerate(holes)]
        objective = cvxpy.sum(cvxpy.multiply(cost, P)) + 0.25 * cvxpy.sum_squares(P)
        model = cvxpy.Problem(cvxpy.Minimize(objective), rules)
        try:
            value = model.solve(solver=cvxpy.CLARABEL)
        except cvxpy.error.SolverError:  # so it says of some supports that carry no plan
            value = None
        values.append(np.inf if value is None else value)
    assert result.certificate.lower_bound <= min(values) + 1e-7
    assert result.fun >= min(values) - 1e-7


def test_experts_get_their_share():
    """With k = tokens per expert every feasible plan is a balanced assignment."""
    rng = np.random.default_rng(0)
    cost = rng.random((4, 32))  # experts, tokens
    problem = fejer.SparseOT(np.full(4, 8.0), np.ones(32), cost, 0.1, 8)
    result = fejer.minimize(problem, tol=1e-4, max_iter=3000)
    assert result.success
    P = result.plan.toarray()
    assert (P > 0).sum(axis=1).tolist() == [8] * 4
    rows, columns = linear_sum_assignment(np.repeat(cost, 8, axis=0))
    best = np.repeat(cost, 8, axis=0)[rows, columns].sum() + 0.05 * 32
    assert result.fun == pytest.approx(best, rel=1e-9)


def test_hostile_plans():
    problem = fejer.SparseOT.random()
    result = fejer.minimize(problem, tol=1e-8)
    assert result.success
    wrong = result.x + 1e-2 * np.random.default_rng(0).normal(size=problem.size)
    assert not problem.judge(wrong, result.witness).holds(TOL)
    for witness in hostile_witnesses(result.witness):
        ours = problem.judge(result.x, witness)
        if ours.value <= TOL:
            assert (ours.fun - result.fun) / ours.scale < TOL
        assert ours.lower_bound is None or ours.lower_bound <= result.fun + 1e-12
    i, j, v = result.witness["plan"]
    light = v.copy()
    light[0] = 0.0  # a small entry left out is a marginal of its own that is missed
    ours = problem.judge(result.x, {"plan": np.array([i, j, light])})
    assert ours.value == np.inf and ours.kind == "relaxed"
    product = np.outer(problem.a, problem.b)
    places = np.indices(product.shape).reshape(2, -1)
    ours = problem.judge(result.x, {"plan": np.vstack([places, product.ravel()])})
    assert ours.value == np.inf and "more than 8" in ours.reason


def test_a_light_row_with_a_huge_cost():
    """Leaving it out would change the objective by a fifth of the scale."""
    cost = np.random.default_rng(0).random((5, 5))
    cost[0] += 1e9
    a = np.array([1e-10, 0.25, 0.25, 0.25, 0.25 - 1e-10])
    problem = fejer.SparseOT(a, None, cost, 0.5, 4)
    result = fejer.minimize(problem, max_iter=500)
    if result.certificate.value < np.inf:
        i, j, v = result.witness["plan"]
        kept = i > 0
        ours = problem.judge(result.x, {"plan": np.array([i, j, v])[:, kept]})
        assert ours.value == np.inf


ROWS = [row for row in REFUSED if not row[0].startswith("eps")] + [
    ("gamma", dict(gamma=bad)) for bad in (0, -1.0, float("nan"), float("inf"), "1", None, True)
]
SPARSE = [("k", dict(k=bad)) for bad in (0, -1, 3, 1.5, float("nan"), "2", None, True, [1])]
SPARSE += [("axis", dict(axis=bad)) for bad in ("rows", 0, None)]


@pytest.mark.parametrize(("field", "changed"), ROWS, ids=[repr(row)[:60] for row in ROWS])
def test_bad_input_is_refused_by_name(field, changed):
    given = {"a": A, "b": A, "cost": C, "gamma": 1.0, **changed}
    for make in (fejer.QuadraticOT, fejer.SparseOT):
        with pytest.raises(fejer.ProblemError, match=f"^{field}: "):
            make(**given, **({"k": 1} if make is fejer.SparseOT else {}))


@pytest.mark.parametrize(("field", "changed"), SPARSE, ids=[repr(row)[:60] for row in SPARSE])
def test_bad_limits_are_refused_by_name(field, changed):
    with pytest.raises(fejer.ProblemError, match=f"^{field}: "):
        fejer.SparseOT(**{"a": A, "b": A, "cost": C, "gamma": 1.0, "k": 1, **changed})


# ---- kernels -------------------------------------------------------------------------------------


@pytest.mark.parametrize("k", [1, 3, 10])
def test_rows_are_projections_on_the_simplex(k):
    rng = np.random.default_rng(k)
    cost, g, a, gamma = rng.random((6, 10)), rng.normal(size=10), rng.random(6) + 0.1, 0.7
    f, q = rng.normal(size=6) * 100, np.zeros(10)
    value = kernels.dual_rows(
        cost, 0, 0.0, gamma, a, g, f, q, np.empty(10), np.empty(k), np.empty(k, dtype=np.int64)
    )
    total, sums = 0.0, np.zeros(10)
    for i in range(6):
        v = g - cost[i]
        top = np.sort(v)[::-1][:k]
        counts = np.arange(1, k + 1)
        taus = (np.cumsum(top) - gamma * a[i]) / counts
        tau = taus[np.flatnonzero(top > taus)[-1]]
        assert f[i] == pytest.approx(-tau)
        P = np.where(np.isin(v, top), np.maximum(v - tau, 0) / gamma, 0)
        assert P.sum() == pytest.approx(a[i])
        total += (v @ P) - gamma / 2 * P @ P
        sums += P
    assert value == pytest.approx(-total, rel=1e-12) and q == pytest.approx(sums)
