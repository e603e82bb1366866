"""The certificate of linear programs: twin, oracles, moved points, hostile witnesses, rays."""

import copy

import numpy as np
import pytest
import scipy.sparse as sp

import fejer
from fejer.testing import hostile_witnesses
from tests.linear.twin import entries, general, judge, oracle

TOL = 1e-6
INF = np.inf
SEEDS = range(12)


@pytest.fixture(scope="module")
def solved():
    found = []
    for seed in SEEDS:
        lp, optimum = general(seed)
        found.append((lp, optimum, fejer.minimize(lp, method="highs", tol=1e-10)))
    return found


# The certificate against the twin and the truth ----------------------------------------------


@pytest.mark.parametrize("seed", range(40))
def test_certificate_equals_twin(seed):
    lp, _ = general(seed)
    rng = np.random.default_rng(seed)
    for size in (1e-9, 1e-3, 1.0, 1e4):
        x = lp.initial_point() + size * rng.standard_normal(lp.size)
        y = size * rng.standard_normal(lp.A.shape[0])
        certificate = lp.judge(x, {"dual": y})
        value, scale, floor = judge(lp, x, y)
        assert certificate.value == pytest.approx(value, rel=1e-9)
        assert certificate.scale == pytest.approx(scale, rel=1e-9)
        assert certificate.details["floor"] >= floor * 0.999
        assert certificate.details["floor"] <= certificate.value


def test_solutions(solved):
    for lp, optimum, result in solved:
        assert result.success and result.certificate.value < 1e-10
        assert judge(lp, result.x, result.dual)[0] < 1e-10
        assert result.fun == pytest.approx(optimum, rel=1e-9, abs=1e-9)
        status, fun = oracle(lp)
        assert status == 0 and result.fun == pytest.approx(fun, rel=1e-7, abs=1e-7)
        bound = result.dual_bound
        assert bound is None or bound <= optimum + 1e-12 * (1 + abs(optimum))


@pytest.mark.parametrize("seed", range(10))
def test_rigorous_value_bounds_the_suboptimality(seed):
    lp = fejer.LinearProgram.random(8, 15, seed=seed)
    best = fejer.minimize(lp, method="highs", tol=1e-10)
    rng, checked = np.random.default_rng(seed), 0
    for size in np.logspace(-9, 1, 11):
        x = best.x + size * rng.standard_normal(lp.size)
        for y in (best.dual, best.dual + size * rng.standard_normal(lp.A.shape[0])):
            certificate = lp.judge(x, {"dual": y})
            if certificate.rigorous:
                checked += 1
                assert certificate.value >= (certificate.fun - best.fun) / certificate.scale - 1e-12
                assert certificate.lower_bound <= best.fun + 1e-10 * (1 + abs(best.fun))
    assert checked > 15


def test_moved_points_fail(solved):
    """Where the twin says 3 tol, the certificate does not hold, with whatever witness."""
    count = 0
    for lp, _, result in solved:
        rng = np.random.default_rng(3)
        hostile = list(hostile_witnesses({"dual": result.dual}))
        for trial in range(15):
            direction = rng.standard_normal(lp.size) * (rng.random(lp.size) < 0.4)
            if trial % 3 == 1:
                direction = result.x * rng.uniform(-1, 1, lp.size)
            low, far = 0.0, 1e-9
            while judge(lp, result.x + far * direction, result.dual)[0] < 3 * TOL and far < 1e6:
                low, far = far, 8 * far
            if far >= 1e6:
                continue
            for _ in range(6):
                middle = (low + far) / 2
                less = judge(lp, result.x + middle * direction, result.dual)[0] < 3 * TOL
                low, far = (middle, far) if less else (low, middle)
            x = result.x + far * direction
            moved_dual = result.dual + far * rng.standard_normal(result.dual.size)
            for witness in (
                {"dual": result.dual},
                {"dual": moved_dual},
                hostile[trial % len(hostile)],
            ):
                certificate = lp.judge(x, witness)
                # another dual may show that the move did no harm: then the twin agrees
                if certificate.holds(TOL):
                    assert judge(lp, x, witness["dual"])[0] <= TOL
                    assert witness is not hostile[trial % len(hostile)]
                    assert not lp.judge(x, {"dual": result.dual}).holds(TOL)
                count += 1
    assert count >= 300


def test_worse_points_fail_whatever_the_dual(solved):
    """True suboptimality of 3 tol, within the rows and bounds: no dual can hide it."""
    count = 0
    for lp, optimum, result in solved:
        rng = np.random.default_rng(4)
        other = [
            fejer.minimize(lp.replace(c=rng.standard_normal(lp.size)), method="highs")
            for _ in range(4)
        ]
        hostile = list(hostile_witnesses({"dual": result.dual}))
        for vertex in other:
            if not vertex.success or lp.objective(vertex.x) - optimum < 1e-3:
                continue
            gap = lp.objective(vertex.x) - optimum
            scale = lp.judge(result.x, {"dual": result.dual}).scale
            x = result.x + min(1.0, 3 * TOL * scale / gap) * (vertex.x - result.x)
            for witness in [{"dual": result.dual}, *hostile]:
                assert not lp.judge(x, witness).holds(TOL)
                count += 1
    assert count > 150


def test_hostile_witnesses_prove_nothing(solved):
    for lp, optimum, result in solved:
        wrong = lp.initial_point()
        true = max(judge(lp, wrong, np.zeros(lp.A.shape[0]))[0], 0)
        off = abs(lp.objective(wrong) - optimum)
        for witness in hostile_witnesses({"dual": result.dual, "ray": result.dual}):
            certificate = lp.judge(wrong, witness)
            assert certificate.proves == "solved"
            if off > 1e-3 or true > 1e-3:
                assert not certificate.holds(TOL)
            assert lp.judge(result.x, witness).proves == "solved"


def test_no_dual_no_value():
    lp = fejer.LinearProgram.random()
    certificate = lp.judge(lp.initial_point())
    assert certificate.value == INF and "dual" in certificate.reason
    assert np.isfinite(certificate.fun)
    assert lp.dual(lp.initial_point(), {}) is None
    assert lp.reduced_costs(lp.initial_point(), {}) is None
    assert lp.dual_bound(lp.initial_point(), {}) is None
    assert lp.ray(lp.initial_point(), {}) is None


def test_invariances(solved):
    """Permutations change nothing; scaling objective, rows and variables changes nothing much."""
    rng = np.random.default_rng(0)
    for lp, _, result in solved:
        A, m, n = entries(lp), *lp.A.shape
        x, y = result.x + 1e-4 * rng.standard_normal(n), result.dual + 1e-4
        value = lp.judge(x, {"dual": y}).value
        rows, columns = rng.permutation(m), rng.permutation(n)
        permuted = fejer.LinearProgram(
            lp.c[columns],
            A[rows][:, columns],
            lp.row_lower[rows],
            lp.row_upper[rows],
            lp.lower[columns],
            lp.upper[columns],
        )
        assert permuted.judge(x[columns], {"dual": y[rows]}).value == pytest.approx(value, rel=1e-9)
        units = fejer.LinearProgram(
            8 * lp.c, A, 4 * lp.row_lower, 4 * lp.row_upper, 4 * lp.lower, 4 * lp.upper
        )
        assert units.judge(4 * x, {"dual": 8 * y}).value == pytest.approx(value, rel=1e-12)
        sparse = lp.replace(A=sp.csr_array(A))
        assert sparse.judge(x, {"dual": y}).value == pytest.approx(value, rel=1e-9)


def test_offset_is_part_of_the_objective_alone():
    lp = fejer.LinearProgram.random()
    shifted = lp.replace(offset=1e12)
    a, b = fejer.minimize(lp), fejer.minimize(shifted)
    assert b.fun == pytest.approx(a.fun + 1e12) and b.certificate.value == a.certificate.value
    assert b.dual_bound == pytest.approx(a.dual_bound + 1e12)


# Attacks --------------------------------------------------------------------------------------


def test_stand_ins_for_infinity_buy_nothing():
    """Bounds of 1e9 and costs of 1e7 on idle rows and variables must not stretch the scales."""
    A = np.array([[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    lp = fejer.LinearProgram([1, 2, 1e7], A, [3, -1e9], [INF, 1e9], 0, [INF, INF, 1e9])
    right, dual = np.array([3.0, 0, 0]), np.array([1.0, 0])
    assert lp.judge(right, {"dual": dual}).holds(1e-12)
    short = np.array([3.0 - 1e-4, 0, 0])
    assert lp.judge(short, {"dual": dual}).value > 3e-5
    assert lp.judge(np.array([3.01, 0, 0]), {"dual": dual}).value > 3e-3
    assert lp.judge(right, {"dual": dual * 1.001}).value > 9e-4


def test_cancelling_errors_are_seen():
    """p = d although rows are violated and reduced costs push against infinity."""
    lp = fejer.LinearProgram([1, 1], np.eye(2), [1, 1], INF, 0, INF)
    x = np.array([1 - 1e-9, 1 + 1e-9])
    huge = lp.judge(x, {"dual": np.array([1e6, 1.0])})
    assert huge.value > 1e5
    boxed = fejer.LinearProgram([0.0, 0], np.ones((1, 2)), 2, 2, [1, 1], [3, 3])
    outside = np.array([1 - 1e-7, 1 + 1e-7])
    assert boxed.judge(outside, {"dual": np.array([1e6])}).value > 1e-3


def test_rounding_is_part_of_the_value():
    lp = fejer.LinearProgram([0.0, 0], [[1.0, -1]], 1.0, 1.0, -INF, INF)
    x = np.array([1e17, 1e17])  # true residual 1, computed from numbers that cannot show it
    assert lp.judge(x + np.array([16, 0]), {"dual": np.zeros(1)}).value > 1
    assert lp.judge(x, {"dual": np.zeros(1)}).value >= 1


def test_huge_points():
    lp = fejer.LinearProgram.random()
    for size in (1e8, 1e100, 1e200, 1e308):
        certificate = lp.judge(np.full(lp.size, size), {"dual": np.full(lp.A.shape[0], size)})
        assert certificate.value > 1 and (certificate.value < INF or certificate.reason)


# Hostile data: a result is right, or does not claim success --------------------------------------

HOSTILE = {  # c, A, bounds of rows and variables, optimal value
    "big M": ([1, 1, 1e6], [[1, 0, 1], [0, 1, 1]], [1, 2], [INF, INF], 0, [1e9, 1e9, INF], 3),
    "tiny coefficient": ([1, 1], [[1e-9, 1]], [1], [INF], 0, [INF, 0.5], 5e8 + 0.5),
    "near-parallel rows": ([1, 2], [[1, 1], [1, 1 + 1e-9]], [1, 1], [INF, INF], 0, INF, 1),
    "twin equations": ([1, 2, 3], [[1, 1, 1], [1, 1, 1]], [1, 1], [1, 1], 0, INF, 1),
    "contradiction by 1e-7": ([1, 1], [[1, 1], [1, 1]], [1, 1 + 1e-7], [1, 1 + 1e-7], 0, INF, 1),
    "degenerate vertex": (
        [-1, -1],
        [[1, 1], [1, 0], [0, 1], [2, 1]],
        -INF,
        [1, 1, 1, 2],
        0,
        INF,
        -1,
    ),
    "all zero": ([0, 0], [[0, 0]], [0], [0], 0, INF, 0),
    "fixed": ([1, -1], [[1, 1]], [3], [3], [1, 2], [1, 2], -1),
    "wide range": ([1e-6, 1e6], [[1e6, 1e-6]], [1], [INF], 0, INF, 1e-12),
    "huge costs": ([1e50, 1e50], [[1, 1]], [1], [INF], 0, INF, 1e50),
    "tiny bounds": ([1, 2], [[1, 1]], [1e-12], [INF], 0, INF, 1e-12),
    "free and empty": ([0, 1], [[0, 1]], [-3], [INF], -INF, INF, -3),
}


@pytest.mark.parametrize("name", list(HOSTILE))
@pytest.mark.parametrize("method", ["highs", "pdhg"])
def test_hostile_data(name, method):
    *data, optimum = HOSTILE[name]
    lp = fejer.LinearProgram(*data)
    result = fejer.minimize(lp, method=method, max_iter=3000)
    if result.success:
        assert judge(lp, result.x, result.dual)[0] <= TOL
        assert result.fun == pytest.approx(optimum, rel=1e-5, abs=1e-5 * result.certificate.scale)
    elif result.status is fejer.Status.INFEASIBLE:
        assert name == "contradiction by 1e-7"
    else:
        assert method == "pdhg" and result.certificate.value > TOL, result.message


def test_hostile_starts():
    lp = fejer.LinearProgram.random(5, 9)
    optimum = fejer.minimize(lp).fun
    for size in (1e8, -1e8, 1e100, -1e100):
        for method in ("highs", "pdhg"):
            result = fejer.minimize(lp, np.full(lp.size, size), method=method, max_iter=50_000)
            assert result.success and result.fun == pytest.approx(optimum, rel=1e-5)


# Known answers ----------------------------------------------------------------------------------


def test_diet():
    """Stigler's question in small: 2000 kcal and 55 g of protein from bread, milk and beans."""
    cost = [0.5, 0.8, 1.2]  # of a portion
    A = [[300, 150, 250], [8, 8, 15]]
    lp = fejer.LinearProgram(cost, A, [2000, 55], INF, 0, [10, 10, 10])
    result = fejer.minimize(lp)
    # bread alone: 2000 / 300 portions give 53.3 g; milk or beans must add the rest
    values = []
    for other in (1, 2):
        pair = np.array(A, dtype=float)[:, [0, other]]
        portions = np.linalg.solve(pair, [2000, 55])
        if (portions >= 0).all():
            values.append(portions @ np.array(cost)[[0, other]])
    values.append(max(2000 / 300, 55 / 8) * 0.5)
    assert result.fun == pytest.approx(min(values), rel=1e-12)
    assert result.dual @ [2000, 55] == pytest.approx(result.fun)


def test_knapsack_relaxation_in_closed_form():
    rng = np.random.default_rng(0)
    value, weight = rng.uniform(1, 2, 30), rng.uniform(1, 2, 30)
    order, left, best = np.argsort(-value / weight), 10.0, 0.0
    for j in order:
        take = min(1.0, left / weight[j])
        best, left = best + take * value[j], left - take * weight[j]
    lp = fejer.LinearProgram(-value, weight[None], -INF, 10.0, 0, 1)
    result = fejer.minimize(lp, tol=1e-9)
    assert -result.fun == pytest.approx(best, rel=1e-12)
    assert result.certificate.rigorous


def test_assignment_and_absolute_values():
    cost = np.random.default_rng(1).integers(1, 20, (5, 5)).astype(float)
    from scipy.optimize import linear_sum_assignment

    A = np.vstack([np.kron(np.eye(5), np.ones(5)), np.kron(np.ones(5), np.eye(5))])
    rows, columns = linear_sum_assignment(cost)
    lp = fejer.LinearProgram(cost.ravel(), A, 1, 1, 0, INF)
    for method in ("highs", "pdhg"):
        result = fejer.minimize(lp, method=method)
        assert result.fun == pytest.approx(cost[rows, columns].sum(), rel=1e-5)
    data = np.array([3.0, -1, 4, 1, 5])  # median by least absolute deviations
    A = np.hstack([np.ones((5, 1)), np.eye(5), -np.eye(5)])
    lp = fejer.LinearProgram([0.0] + 10 * [1], A, data, data, [-INF] + 10 * [0], INF)
    result = fejer.minimize(lp)
    assert result.x[0] == pytest.approx(3.0) and result.fun == pytest.approx(9.0)


def test_cvxpy_agrees(solved):
    for lp, optimum, _ in solved[:3]:
        model = lp.to_cvxpy()
        assert model.solve(solver="CLARABEL") == pytest.approx(optimum, rel=1e-6, abs=1e-6)


def test_cvxpy_without_rows():
    lp = fejer.LinearProgram([1.0, -1], np.zeros((0, 2)), [], [], 0, 3, offset=2.0)
    assert lp.to_cvxpy().solve(solver="CLARABEL") == pytest.approx(-1.0, abs=1e-6)


def test_copies_judge_alike():
    lp = fejer.LinearProgram.random()
    x, y = lp.initial_point() + 0.3, np.ones(lp.A.shape[0])
    value = lp.judge(x, {"dual": y}).value
    assert copy.deepcopy(lp).judge(x, {"dual": y}).value == value
