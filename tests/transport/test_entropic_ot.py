"""EntropicOT: its certificate against a twin, against other solvers, and under attack."""

import numpy as np
import pytest
from scipy.optimize import linprog

import fejer
from tests.transport import twin

TOL = 1e-6


def solved(problem, tol=1e-11):
    result = fejer.minimize(problem, method="sinkhorn", tol=tol, max_iter=200_000)
    assert result.success, result
    return result


def shapes(seed):
    rng = np.random.default_rng(seed)
    n, m = rng.integers(2, 9, size=2)
    return fejer.EntropicOT.random(int(n), int(m), eps_rel=10 ** rng.uniform(-1.7, 1), seed=seed)


def linear_program(problem):
    n, m = problem.a.size, problem.b.size
    rows = np.kron(np.eye(n), np.ones(m))
    columns = np.kron(np.ones(n), np.eye(m))
    bounds = [(0, None if np.isfinite(c) else 0) for c in problem.cost.ravel()]
    costs = np.where(np.isfinite(problem.cost), problem.cost, 0).ravel()
    answer = linprog(
        costs,
        A_eq=np.vstack([rows, columns]),
        b_eq=np.concatenate([problem.a, problem.b]),
        bounds=bounds,
    )
    return answer.fun


# ---- the value -----------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(12))
def test_certificate_equals_the_twin(seed):
    problem = shapes(seed)
    rng = np.random.default_rng(seed)
    x = twin.sinkhorn(problem, int(rng.integers(1, 6)))
    for noise in (0.0, 1e-4, 1e-2, 0.3):
        point = x + noise * rng.normal(size=x.size)
        value, objective, dual = twin.certificate(problem, point)
        ours = problem.judge(point)
        assert ours.value == pytest.approx(value, rel=1e-7, abs=1e-11)
        assert ours.fun == pytest.approx(objective, rel=1e-9, abs=1e-11)
        assert ours.lower_bound == pytest.approx(dual, rel=1e-9, abs=1e-11)
        assert ours.lower_bound <= dual + 1e-12 and ours.rigorous


@pytest.mark.parametrize("seed", range(6))
def test_twin_with_the_routed_plan(seed):
    """Entries vanish here: the plan is not unique, so the twin judges the plan of the view."""
    problem = fejer.EntropicOT.random(20, 17, eps_rel=5e-4, seed=seed)
    x = fejer.minimize(problem, method="sinkhorn", max_iter=3000).x
    _, _, _, _, Z = twin.gibbs(problem, x)
    plan = problem.plan(x).toarray()
    assert (Z == 0).any() and not plan[Z < 1e-308].any()
    assert np.abs(plan.sum(axis=1) - problem.a).max() < 1e-15
    assert np.abs(plan.sum(axis=0) - problem.b).max() < 1e-15
    value, objective, _ = twin.certificate(problem, x, plan)
    ours = problem.judge(x)
    assert ours.value == pytest.approx(value, rel=1e-6)
    assert ours.fun == pytest.approx(objective, rel=1e-9)


def test_value_bounds_the_truth_and_wrong_points_fail():
    """At 160 points moved to a true suboptimality of 3 tol the certificate does not hold."""
    count = 0
    for seed in range(16):
        problem = shapes(seed)
        optimum = solved(problem, 1e-12)
        rng = np.random.default_rng(seed)
        for _ in range(10):
            direction = rng.normal(size=optimum.x.size)
            low, high = 0.0, 1.0
            for _ in range(50):  # to a plan whose objective is 3 tol above the optimum
                middle = 0.5 * (low + high)
                ours = problem.judge(optimum.x + middle * direction)
                excess = (ours.fun - optimum.fun) / ours.scale
                low, high = (middle, high) if excess < 3 * TOL else (low, middle)
            point = optimum.x + high * direction
            ours = problem.judge(point)
            excess = (ours.fun - optimum.fun) / ours.scale
            if excess >= 3 * TOL:
                assert ours.value >= excess - 1e-13 and not fejer.verify(problem, point).holds(TOL)
                count += 1
            far = problem.judge(optimum.x + 10 * direction)
            assert far.value >= (far.fun - optimum.fun) / far.scale or far.value == np.inf
    assert count >= 150


# ---- other solvers -------------------------------------------------------------------------------


def test_two_by_two_in_closed_form():
    problem = fejer.EntropicOT([0.5, 0.5], [0.5, 0.5], [[0, 1], [1, 0]], eps=1)
    assert solved(problem, 1e-13).transport_cost == pytest.approx(1 / (1 + np.e), abs=1e-13)


@pytest.mark.parametrize("seed", range(3))
def test_cvxpy_agrees(seed):
    cvxpy = pytest.importorskip("cvxpy")
    problem = fejer.EntropicOT.random(6, 5, eps_rel=0.2, seed=seed)
    model = problem.to_cvxpy()
    model.solve(solver=cvxpy.CLARABEL)
    ours = solved(problem)
    assert ours.fun == pytest.approx(model.value, abs=1e-6)
    assert ours.plan.toarray() == pytest.approx(model.variables()[0].value, abs=1e-4)


@pytest.mark.parametrize("seed", range(6))
def test_bracket_holds_the_linear_program(seed):
    problem = fejer.EntropicOT.random(12, 9, eps_rel=10 ** -(1 + seed / 3), seed=seed)
    truth = linear_program(problem)
    for x in (problem.initial_point(), twin.sinkhorn(problem, 2), solved(problem, 1e-8).x):
        lower, upper = problem.bracket(x)
        assert lower <= truth + 1e-12 and truth <= upper + 1e-12
    bias = problem.epsilon * np.log(problem.a.size * problem.b.size)
    assert solved(problem).transport_cost - truth <= bias


def test_bracket_with_forbidden_arcs():
    rng = np.random.default_rng(0)
    cost = np.where(rng.random((8, 8)) < 0.4, np.inf, rng.random((8, 8)))
    np.fill_diagonal(cost, 0.5)
    problem = fejer.EntropicOT(None, None, cost, eps=0.02)
    result = fejer.minimize(problem, method="sinkhorn", tol=1e-8)
    lower, upper = result.bracket
    assert result.success and lower <= linear_program(problem) <= upper


# ---- invariance ----------------------------------------------------------------------------------


def test_symmetries():
    problem = fejer.EntropicOT.random(7, 6, seed=3)
    a, b, C, eps = problem.a, problem.b, problem.cost, problem.epsilon
    base = solved(problem)
    swapped = solved(fejer.EntropicOT(b, a, C.T, eps=eps))
    assert swapped.fun == pytest.approx(base.fun, abs=1e-12)
    rng = np.random.default_rng(0)
    alpha, beta = rng.normal(size=7), rng.normal(size=6)
    moved = solved(fejer.EntropicOT(a, b, C + alpha[:, None] + beta, eps=eps))
    assert moved.fun == pytest.approx(base.fun + a @ alpha + b @ beta, abs=1e-9)
    assert moved.plan.toarray() == pytest.approx(base.plan.toarray(), abs=1e-9)
    larger = solved(fejer.EntropicOT(a, b, 1e7 * C, eps=1e7 * eps))
    assert larger.fun == pytest.approx(1e7 * base.fun, rel=1e-9)
    assert larger.certificate.scale == pytest.approx(1e7 * base.certificate.scale, rel=1e-9)
    order = rng.permutation(7)
    permuted = solved(fejer.EntropicOT(a[order], b, C[order], eps=eps))
    assert permuted.plan.toarray() == pytest.approx(base.plan.toarray()[order], abs=1e-9)
    heavier = solved(fejer.EntropicOT(1e5 * a, 1e5 * b, C, eps=eps))
    assert heavier.plan.toarray() == pytest.approx(1e5 * base.plan.toarray(), rel=1e-8)


@pytest.mark.parametrize("offset", [1e3, 1e9, -1e6])
def test_an_offset_of_all_costs_changes_no_value(offset):
    problem = fejer.EntropicOT.random(10, 8, eps_rel=0.5)
    moved = problem.replace(cost=problem.cost + offset, eps=problem.epsilon, eps_rel=None)
    base, other = problem.judge(solved(problem).x), moved.judge(solved(problem).x + offset / 2)
    assert other.scale == pytest.approx(base.scale, rel=1e-6)
    assert other.value < TOL
    assert fejer.minimize(moved, method="sinkhorn").success


# ---- atoms, masses, forbidden arcs ---------------------------------------------------------------


def test_atoms_without_weight():
    rng = np.random.default_rng(0)
    C = rng.random((5, 4))
    a, b = np.array([0.3, 0, 0.2, 0, 0.5]), np.array([0, 0.6, 0.4, 0])
    result = solved(fejer.EntropicOT(a, b, C, eps=0.1))
    inner = solved(fejer.EntropicOT(a[a > 0], b[b > 0], C[a > 0][:, b > 0], eps=0.1))
    plan = result.plan.toarray()
    assert not plan[a == 0].any() and not plan[:, b == 0].any()
    assert plan[a > 0][:, b > 0] == pytest.approx(inner.plan.toarray(), abs=1e-11)
    assert result.fun == pytest.approx(inner.fun)
    f, g = result.potentials
    assert f[a == 0] == pytest.approx((C - g)[a == 0][:, b > 0].min(axis=1))
    assert g[b == 0] == pytest.approx((C - f[:, None])[a > 0][:, b == 0].min(axis=0))
    assert a @ f == pytest.approx(b @ g)
    changed = result.x.copy()
    changed[1] = 77.0  # an atom without weight takes no part
    assert result.problem.judge(changed).value == result.certificate.value
    assert result.plan.row(1).sum() == 0 and result.plan.row(-1) == pytest.approx(plan[4])
    sparse = result.plan.tosparse()
    assert sparse.toarray() == pytest.approx(plan) and result.plan @ np.eye(4) == pytest.approx(
        plan
    )
    assert result.plan.T @ np.ones(5) == pytest.approx(b)


@pytest.mark.parametrize(("n", "m"), [(1, 1), (1, 5), (4, 1)])
def test_single_atoms(n, m):
    rng = np.random.default_rng(0)
    a, b = rng.random(n), rng.random(m)
    result = solved(fejer.EntropicOT(a / a.sum(), b / b.sum(), rng.random((n, m)), eps=0.01))
    assert result.plan.toarray() == pytest.approx(np.outer(a / a.sum(), b / b.sum()))


def test_small_mismatch_is_scaled_away():
    problem = fejer.EntropicOT([0.5, 0.5], [0.5, 0.5 + 1e-10], np.eye(2), eps=1)
    assert problem.b.sum() == pytest.approx(1, abs=1e-15)
    assert problem.replace(eps=2).b is problem.b


def test_none_is_uniform_with_the_mass_of_the_other():
    problem = fejer.EntropicOT([1, 2, 3], None, np.ones((3, 2)), eps=1)
    assert problem.b.tolist() == [3, 3]


@pytest.mark.parametrize("seed", range(4))
def test_no_plan_avoids_the_forbidden_arcs(seed):
    rng = np.random.default_rng(seed)
    cost = rng.random((9, 9))
    cost[:4, 3:] = np.inf  # four rows of 4/9, three columns of 3/9
    order = rng.permutation(9)
    problem = fejer.EntropicOT(None, None, cost[order], eps=0.1)
    result = fejer.minimize(problem)
    assert result.status == fejer.Status.INFEASIBLE and not result.success
    assert result.certificate.proves == "infeasible"
    assert result.certificate.details["deficit"] == pytest.approx(1 / 9)
    assert linear_program(problem) is None
    assert not fejer.verify(problem, result).holds(1e3)


def test_narrow_bands_are_routed_by_augmenting_paths():
    """What one end of the band lacks and the other has too much of must move along all of it."""
    n = 40
    i = np.arange(n)
    band = np.abs(i[:, None] - i) <= 1
    rng = np.random.default_rng(0)
    problem = fejer.EntropicOT(None, None, np.where(band, rng.random((n, n)), np.inf), eps=0.5)
    x = problem.initial_point()
    x[:n] = 1e-3 * i  # neither marginal is right
    plan = problem.plan(x).toarray()
    assert not plan[~band].any() and plan.min() >= 0
    assert np.abs(plan.sum(axis=0) - 1 / n).max() < 1e-14
    assert np.abs(plan.sum(axis=1) - 1 / n).max() < 1e-14


# ---- attacks -------------------------------------------------------------------------------------


def big_m(large, seed=0, n=100):
    rng = np.random.default_rng(seed)
    cost = np.where(rng.random((n, n)) < 0.85, large, rng.random((n, n)))
    np.fill_diagonal(cost, rng.random(n))
    weights = rng.random((2, n)) + 0.1
    return fejer.EntropicOT(*(weights / weights.sum(axis=1, keepdims=True)), cost, eps=0.02)


@pytest.mark.parametrize("large", [1e6, 1e9, 1e32])
def test_a_stand_in_for_infinity_buys_no_tolerance(large):
    problem = big_m(large)
    forbidden = problem.replace(cost=np.where(problem.cost == large, np.inf, problem.cost))
    truth = solved(forbidden, 1e-9)
    assert fejer.minimize(problem, method="sinkhorn").fun == pytest.approx(truth.fun, abs=1e-6)
    rng = np.random.default_rng(1)
    for noise in np.logspace(-9, 0, 40):
        point = truth.x + noise * rng.normal(size=truth.x.size)
        ours = problem.judge(point)
        excess = (ours.fun - truth.fun) / max(truth.transport_cost, problem.eps)
        assert ours.value >= min(0.3 * excess, 0.5) - 1e-8  # at a cost beyond the optimum's: 1
        assert ours.value > TOL or excess < 1e-5


@pytest.mark.parametrize("h", [1e-3, 1e-4])
def test_nearly_equal_clouds(h):
    """A millionth of the product plan costs many times the optimum here."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(100, 2))
    cloud = fejer.PointCloud(x, x + h * rng.normal(size=x.shape))
    problem = fejer.EntropicOT(None, None, cloud, eps=0.1 * h * h)
    truth = solved(problem, 1e-8)
    shares = np.array([1e-8, 1e-6, 1e-4])
    for share in shares:
        point = truth.x.copy()
        # potentials of a plan in which every entry is at least that share of the product
        point[:100] += problem.epsilon * np.log1p(share * rng.random(100))
        ours = problem.judge(point)
        assert ours.value >= (ours.fun - truth.fun) / truth.certificate.scale - 1e-8
    above = truth.transport_cost - cloud.toarray().min()
    assert truth.certificate.scale == pytest.approx(above, rel=1e-6)


def test_shifts_and_garbage():
    problem = fejer.EntropicOT.random(8, 7)
    x = solved(problem, 1e-12).x
    side = np.concatenate([np.ones(8), -np.ones(7)])
    for shift in (1.0, 1e6, 1e12, 1e100, 1e200, 1e307):
        point = x + shift * side
        ours = problem.judge(point)
        assert ours.value >= 0 and (shift > 1e7 or ours.value < 1e-9 * shift)
        assert shift < 1e13 or ours.value > TOL  # no digit of the potentials is left
    rng = np.random.default_rng(0)
    for scale in (1e-3, 1.0, 1e3, 1e9, 1e150, 1e308):
        for _ in range(5):
            ours = problem.judge(scale * rng.uniform(-1, 1, size=15))
            assert ours.value > TOL
    swapped = np.concatenate([x[8:], x[:8]])
    assert problem.judge(swapped).value > TOL
    for wrong in ({"plan": "?"}, {"plan": np.full(3, np.nan)}, {"dual": 1e9 * np.ones(15)}):
        assert problem.judge(x, wrong).value == problem.judge(x).value
    assert problem.judge(np.full(15, np.nan)).value == np.inf


@pytest.mark.parametrize("eps_rel", [1e-3, 1e-2, 1.0, 1e2, 1e4])
def test_all_sizes_of_epsilon(eps_rel):
    problem = fejer.EntropicOT.random(10, 12, eps_rel=eps_rel)
    result = fejer.minimize(problem, method="sinkhorn")
    truth = solved(problem, 1e-10)
    excess = (result.fun - truth.fun) / result.certificate.scale
    assert result.success and excess <= result.certificate.value + 1e-9


@pytest.mark.parametrize(
    "problem",
    [
        fejer.EntropicOT(None, None, 1e-12 * np.random.default_rng(0).random((5, 5)), eps=1e-13),
        fejer.EntropicOT(None, None, 1e9 * np.random.default_rng(0).random((5, 5)), eps_rel=0.01),
        fejer.EntropicOT(None, None, np.ones((4, 6)), eps=1e-3),
        fejer.EntropicOT(None, None, np.zeros((4, 6)), eps=1),
        fejer.EntropicOT([1e-20, 1 - 1e-20], [0.5, 0.5], [[0, 1], [1, 0]], eps=0.1),
        fejer.EntropicOT([1e-90, 1e-90], [1e-90, 1e-90], [[0, 1], [1, 0]], eps=0.1),
        fejer.EntropicOT([1e90, 1e90], [1e90, 1e90], [[0, 1], [1, 0]], eps=0.1),
        fejer.EntropicOT(None, None, fejer.PointCloud(np.zeros((5, 2)), np.ones((4, 2))), eps=1),
        fejer.EntropicOT(None, None, np.full((3, 3), -7.0), eps=0.1),
    ],
    ids=repr,
)
def test_unusual_data_are_solved(problem):
    result = fejer.minimize(problem, method="sinkhorn")
    assert result.success, result
    value, _, _ = twin.certificate(problem, result.x)
    assert value <= 1.01 * TOL
    rows, columns = result.plan.marginals
    assert rows == pytest.approx(problem.a, rel=1e-9) and columns == pytest.approx(problem.b)


def test_weights_over_twenty_decades_end_honestly():
    grid = np.linspace(-9, 9, 201)
    weights = [np.exp(-s * (grid - c) ** 2) for s, c in ((0.5, 1.0), (1.0, -1.0))]
    a, b = (w / w.sum() for w in weights)
    for eps in (0.1, 0.02):
        problem = fejer.EntropicOT(a, b, fejer.PointCloud(grid, grid), eps=eps)
        result = fejer.minimize(problem, method="sinkhorn", max_iter=5000)
        assert a.min() < 1e-20 and b.min() < 1e-40
        assert result.success == (
            twin.certificate(problem, result.x, result.plan.toarray())[0] < TOL
        )


def test_routing_succeeds_exactly_where_a_linear_program_does():
    """60 random patterns of forbidden arcs, judged far from any optimum."""
    outcomes = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        n, m = rng.integers(2, 8, size=2)
        allowed = rng.random((n, m)) < 0.45
        allowed[np.arange(n), rng.integers(m, size=n)] = True
        allowed[rng.integers(n, size=m), np.arange(m)] = True
        a, b = rng.random(n) + 0.05, rng.random(m) + 0.05
        cost = np.where(allowed, rng.random((n, m)), np.inf)
        problem = fejer.EntropicOT(a / a.sum(), b / b.sum(), cost, eps=0.3)
        x = rng.normal(size=n + m)
        ours = problem.judge(x)
        feasible = linear_program(problem) is not None
        assert (ours.proves == "infeasible") == (not feasible), seed
        outcomes.append(feasible)
        if feasible:
            plan = problem.plan(x).toarray()
            assert not plan[~allowed].any() and plan.min() >= 0
            assert np.abs(plan.sum(axis=1) - problem.a).max() < 1e-14
            assert np.abs(plan.sum(axis=0) - problem.b).max() < 1e-14
            assert ours.fun == pytest.approx(twin.certificate(problem, x, plan)[1], rel=1e-9)
            lower, upper = problem.bracket(x)
            assert lower <= linear_program(problem) <= upper
        else:
            with pytest.raises(fejer.ProblemError, match="plan"):
                problem.plan(x)
    assert 10 < sum(outcomes) < 50
