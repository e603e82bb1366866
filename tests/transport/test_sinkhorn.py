"""Sinkhorn: its iterates against a twin, its theorem, and runs that are hard for it."""

import numpy as np
import pytest

import fejer
from fejer.benchmarks.instances.transport import fused_pass, instance
from fejer.driver import Run
from fejer.solvers.transport import _fused
from tests.transport import twin


def iterates(problem, count, x0=None, tol=0.0):
    """Points of the first iterations, without any judgement."""
    run = Run(problem, x0, method="sinkhorn", tol=tol)
    run.open()
    points = []
    while run.state.nit <= count:
        points.append(run.method.point(problem, run.prep, run.state))
        if run.method.advance(problem, run.prep, run.state, 1) and run.state.nit < len(points):
            break
    return points, run.state


@pytest.mark.parametrize(("n", "m"), [(5, 4), (17, 9), (16, 33), (1, 3)])
@pytest.mark.parametrize("eps_rel", [1.0, 0.05, 1e-3])
def test_iterates_equal_the_twin(n, m, eps_rel):
    problem = fejer.EntropicOT.random(n, m, eps_rel=eps_rel)
    points, _ = iterates(problem, 40)
    for k in {1, 2, 5, 40} & set(range(len(points))):
        expected = twin.sinkhorn(problem, k)
        difference = points[k] - expected
        assert np.ptp(difference[:n]) < 1e-11 and np.ptp(difference[n:]) < 1e-11
        assert difference[:n].mean() == pytest.approx(-difference[n:].mean(), abs=1e-11)


def test_absorption_changes_nothing(monkeypatch):
    problem = fejer.EntropicOT.random(20, 20, eps_rel=1e-3, seed=1)
    points, state = iterates(problem, 200)
    assert state.absorptions > 0
    expected = twin.sinkhorn(problem, 200)
    assert problem.judge(points[200]).fun == pytest.approx(problem.judge(expected).fun, rel=1e-9)
    assert np.ptp(points[200][20:] - expected[20:]) < 1e-10


def test_underflow_falls_back_on_potentials():
    """At eps of 1e-6 whole rows of the kernel matrix vanish, again and again."""
    problem = fejer.EntropicOT.random(12, 12, eps_rel=1e-6, seed=2)
    points, state = iterates(problem, 60)
    assert state.absorptions > 0
    expected = twin.sinkhorn(problem, 60)
    assert np.ptp(points[60][12:] - expected[12:]) < 1e-9


@pytest.mark.parametrize("cuts", [(1,) * 60, (7, 13, 40), (59, 1)])
def test_split_runs_are_the_same_bytes(cuts):
    problem = fejer.EntropicOT.random(11, 13, eps_rel=2e-3)

    def run_in(parts):
        run = Run(problem, method="sinkhorn", tol=1e-6)
        run.open()
        for part in parts:
            goal = run.state.nit + part
            while run.state.nit < goal:
                run.method.advance(problem, run.prep, run.state, goal - run.state.nit)
        return run

    ours, other = run_in(cuts), run_in((60,))
    for name, value in vars(other.state).items():
        assert np.array_equal(vars(ours.state)[name], value), name


def test_stop_and_resume(tmp_path):
    problem = fejer.EntropicOT.random(20, 20, eps_rel=2e-3)
    straight = fejer.minimize(problem, method="sinkhorn")
    file = tmp_path / "run.npz"
    fejer.minimize(problem, method="sinkhorn", max_iter=37, checkpoint=file)
    resumed = fejer.minimize(problem, method="sinkhorn", checkpoint=file)
    assert straight.success and resumed.x.tobytes() == straight.x.tobytes()
    assert resumed.nit == straight.nit and resumed.work == straight.work


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("eps_rel", [2.0, 0.3, 0.1])
def test_bound_holds_at_every_iteration(seed, eps_rel):
    problem = fejer.EntropicOT.random(8, 6, eps_rel=eps_rel, seed=seed)
    rate = fejer.methods("sinkhorn")[0].rate
    rng = np.random.default_rng(seed)
    x0 = rng.normal(size=14)
    points, _ = iterates(problem, 60, x0)
    best = twin.sinkhorn(problem, 3000)
    for k, x in enumerate(points):
        assert rate.measure(problem, x, best) <= rate.bound(problem, x0, best, k)
    C = problem.cost
    theta = max(
        C[i, l] + C[k, j] - C[i, j] - C[k, l]
        for i in range(8) for k in range(8) for j in range(6) for l in range(6)
    )  # fmt: skip
    assert rate.factor(problem) == pytest.approx(np.tanh(theta / problem.epsilon / 4) ** 2)


def test_worst_case_is_nearly_reached():
    rate = fejer.methods("sinkhorn")[0].rate
    problem = rate.worst_case(200)
    points, _ = iterates(problem, 200)
    best = twin.sinkhorn(problem, 3000)
    errors = [rate.measure(problem, x, best) for x in points]
    observed = (errors[150] / errors[50]) ** (1 / 100)
    assert 0.999 * rate.factor(problem) < observed <= rate.factor(problem) + 1e-9
    assert rate.factor(problem) == pytest.approx(1 - 4 / 200)


def test_factor_with_forbidden_arcs_and_of_large_problems(monkeypatch):
    from fejer.solvers.transport import sinkhorn

    problem = fejer.EntropicOT.random(6, 6)
    rate = fejer.methods("sinkhorn")[0].rate
    exact = rate.factor(problem)
    monkeypatch.setattr(sinkhorn, "EXACT_DIAMETER", 0)
    assert exact <= rate.factor(fejer.EntropicOT.random(6, 6)) < 1
    cost = problem.cost.copy()
    cost[0, 0] = np.inf
    assert rate.factor(problem.replace(cost=cost, eps=1.0, eps_rel=None)) == 1.0


@pytest.mark.parametrize(
    ("kind", "eps"), [("lap", 0.01), ("pc2", 0.01), ("pc10", 0.03), ("grid", 0.01)]
)
def test_observed_factor_is_the_second_singular_value(kind, eps):
    """Within 5 per cent, of Knight's local rate at the solution."""
    a, b, cost = instance(kind, 64)
    problem = fejer.EntropicOT(a, b, cost, eps=eps)
    result = fejer.minimize(problem, method="sinkhorn", tol=1e-11)
    plan = result.plan.toarray() / np.sqrt(np.outer(a, b))
    local = np.linalg.svd(plan, compute_uv=False)[1] ** 2
    points, _ = iterates(problem, 4000)
    columns = np.array([x[64:] - result.x[64:] for x in points])
    errors = np.ptp(columns, axis=1)
    window = np.flatnonzero((errors < 1e-3 * eps) & (errors > 1e-7 * eps))
    slope = np.polyfit(window, np.log(errors[window]), 1)[0]
    assert slope == pytest.approx(np.log(local), rel=0.05)


def test_grid_of_other_sizes_and_unknown_kinds():
    a, b, cost = instance("grid", 90)
    assert a.size == 81 and cost.shape == (81, 81)
    assert a.sum() == pytest.approx(1) and b.sum() == pytest.approx(1)
    with pytest.raises(ValueError, match="kind"):
        instance("cubes", 10)
    assert min(fused_pass(16, repeats=1)) > 0


@pytest.mark.parametrize("n", [1, 7, 8, 9, 30])
def test_fused_pass_equals_two_products(n):
    rng = np.random.default_rng(0)
    K, a, v = rng.random((n, 11)), rng.random(n), rng.random(11)
    u, w = np.empty(n), np.empty(11)
    least = _fused.fused_pass(K, a, u, v, w)
    assert u == pytest.approx(a / (K @ v)) and w == pytest.approx((a / (K @ v)) @ K)
    assert least == pytest.approx((K @ v).min())


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e6, 1e12, 1e90])
def test_hostile_starts(scale):
    problem = fejer.EntropicOT.random(10, 10)
    x0 = scale * np.random.default_rng(0).normal(size=20)
    result = fejer.minimize(problem, x0, method="sinkhorn", max_iter=2000)
    assert result.success and twin.certificate(problem, result.x)[0] < 1.01e-6


def test_warm_start_and_tolerance_zero():
    problem = fejer.EntropicOT.random(eps_rel=0.01)
    first = fejer.minimize(problem, method="sinkhorn", tol=1e-8)
    again = fejer.minimize(problem, first, method="sinkhorn", tol=1e-8)
    assert again.nit <= 1 < first.nit
    last = fejer.minimize(problem, method="sinkhorn", tol=0)
    assert last.status == fejer.Status.STALLED and last.certificate.value < 1e-13


def test_unreachable_accuracy_is_admitted():
    """Potentials of 5e8 have digits of 6e-8: too few for eps of 0.02."""
    cost = 1e9 + np.random.default_rng(0).random((30, 30))
    result = fejer.minimize(fejer.EntropicOT(None, None, cost, eps=0.02), method="sinkhorn")
    assert result.status == fejer.Status.STALLED and 1e-7 < result.certificate.value < 1e-4
    assert fejer.minimize(fejer.EntropicOT(None, None, cost, eps=0.5), method="sinkhorn").success


def test_arcs_that_no_plan_can_use():
    cost = np.where(np.tril(np.ones((5, 5))) > 0, 0.5, np.inf)
    problem = fejer.EntropicOT(None, None, cost, eps=0.1)
    result = fejer.minimize(problem, method="sinkhorn", tol=1e-3)
    assert result.success
    assert result.plan.toarray() == pytest.approx(np.eye(5) / 5, abs=1e-3)


def test_both_kinds_of_costs_of_a_path():
    problem = fejer.EntropicOT.random()
    path = fejer.path(problem, method="sinkhorn", eps_rel=[0.5, 0.1, 0.02])
    assert path.success and path.certificates.max() < 1e-6


@pytest.mark.parametrize("size", [1e8, 1e12, 1e20])
def test_costs_whose_rounding_exceeds_eps(size):
    """No warning, no nan, no success."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(20, 2)), size * rng.normal(size=(20, 2))
    problem = fejer.EntropicOT(None, None, fejer.PointCloud(x, y), eps=1e-3)
    with np.errstate(all="raise"):
        points, _ = iterates(problem, 60)
    assert all(np.isfinite(point).all() for point in points)
    assert not problem.judge(points[-1]).holds(1e-6)
