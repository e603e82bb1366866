"""ExactOT: certificate against a twin, the linear program and attacks; assignment and HiGHS."""

import itertools

import numpy as np
import pytest
from scipy.optimize import linprog

import fejer
from fejer.benchmarks.instances.transport import instance
from fejer.testing import hostile_witnesses
from tests.transport.test_input import REFUSED, A, C

TOL = 1e-6


def truth(problem):
    """Optimal value by linear programming, of plain data."""
    cost = problem.cost if isinstance(problem.cost, np.ndarray) else problem.cost.toarray()
    n, m = cost.shape
    rows, columns = np.kron(np.eye(n), np.ones(m)), np.kron(np.ones(n), np.eye(m))
    low = np.where(np.isfinite(cost), cost, 0).min()
    answer = linprog(
        np.where(np.isfinite(cost), cost - low, 0).ravel(),
        A_eq=np.vstack([rows, columns]),
        b_eq=np.concatenate([problem.a, problem.b]),
        bounds=[(0, None if np.isfinite(c) else 0) for c in cost.ravel()],
    )
    return answer.fun + low * problem.a.sum() if answer.status == 0 else None


def dense(witness, shape):
    P = np.zeros(shape)
    i, j, v = witness["plan"]
    np.add.at(P, (i.astype(int), j.astype(int)), v)
    return P


def sparse(P):
    i, j = np.nonzero(P)
    return {"plan": np.array([i, j, P[i, j]])}


def twin(problem, x, P):
    """The value in plain numpy, for finite costs and positive weights; and scale and objective."""
    a, b, cost = problem.a, problem.b, np.array(problem.cost)
    low = cost.min()
    cost = cost - low
    P = P * np.minimum(1, a / np.maximum(P.sum(axis=1), 1e-300))[:, None]
    P = P * np.minimum(1, b / np.maximum(P.sum(axis=0), 1e-300))
    da, db = np.maximum(a - P.sum(axis=1), 0), np.maximum(b - P.sum(axis=0), 0)
    P = P + np.outer(da, db) / max(db.sum(), 1e-300)
    g = x[a.size :]
    f = (cost + low - g).min(axis=1)
    gap = (P * cost).sum() + low * a.sum() - a @ f - b @ g
    steps = []
    for row in cost:
        distinct = np.unique(row)
        steps += [distinct[1] - distinct[0]] if distinct.size > 1 else []
    spread = np.median(cost) or np.ptp(cost) or 1.0
    least = 1e-6 * (np.median(steps) if steps else spread)
    scale = a.sum() * min(spread, max((P * cost).sum() / a.sum(), least))
    return gap / scale, scale, (P * cost).sum() + low * a.sum()


# ---- the value -----------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(10))
def test_certificate_equals_the_twin_and_bounds_the_truth(seed):
    rng = np.random.default_rng(seed)
    problem = fejer.ExactOT.random(int(rng.integers(1, 12)), int(rng.integers(1, 12)), seed=seed)
    result = fejer.minimize(problem, tol=1e-10)
    assert result.success and result.fun == pytest.approx(truth(problem), rel=1e-9, abs=1e-12)
    best = dense(result.witness, problem.cost.shape)
    for noise in (0.0, 1e-5, 1e-2, 1.0):
        x = result.x + noise * rng.normal(size=result.x.size)
        P = (1 - noise) * best + noise * rng.random(best.shape) / best.size
        ours = problem.judge(x, sparse(P))
        value, scale, objective = twin(problem, x, P)
        assert ours.value == pytest.approx(value, rel=1e-6, abs=1e-10)
        assert ours.scale == pytest.approx(scale) and ours.fun == pytest.approx(objective)
        assert ours.value >= (ours.fun - result.fun) / ours.scale - 1e-9
        assert ours.lower_bound <= result.fun + 1e-12


def test_plans_moved_away_fail():
    """150 plans whose true suboptimality is 3 tol do not hold, whatever the potentials are."""
    count = 0
    for seed in range(15):
        problem = fejer.ExactOT.random(9, 8, seed=seed)
        result = fejer.minimize(problem, tol=1e-10)
        best = dense(result.witness, problem.cost.shape)
        rng = np.random.default_rng(seed)
        product = np.outer(problem.a, problem.b)
        for _ in range(10):
            other = rng.random(best.shape) * product
            low, high = 0.0, 1.0
            for _ in range(50):
                middle = 0.5 * (low + high)
                ours = problem.judge(result.x, sparse((1 - middle) * best + middle * other))
                off = (ours.fun - result.fun) / ours.scale
                low, high = (middle, high) if off < 3 * TOL else (low, middle)
            witness = sparse((1 - high) * best + high * other)
            noise = 10.0 ** rng.uniform(-9, 3) * rng.normal(size=result.x.size)
            for x in (result.x, result.x + noise, np.zeros_like(result.x)):
                assert not fejer.verify(problem.replace(), x).holds(TOL)  # without a plan
                assert not problem.judge(x, witness).holds(TOL)
            count += 1
    assert count == 150


def test_hostile_witnesses_never_pass():
    problem = fejer.ExactOT.random(7, 6)
    result = fejer.minimize(problem)
    wrong = result.x + 1e-3 * np.random.default_rng(0).normal(size=13)
    for witness in hostile_witnesses(result.witness):
        for x in (result.x, wrong):
            ours = problem.judge(x, witness)
            if ours.value <= TOL:
                assert (ours.fun - result.fun) / ours.scale <= TOL
    for plan in ([[0.5], [0], [1]], [[7], [0], [1]], [[0], [-1], [1]], [[0], [0], [-1]]):
        assert problem.judge(result.x, {"plan": np.array(plan, dtype=float)}).value == np.inf
    assert problem.judge(result.x, {"plan": np.zeros((3, 0))}).value > 0.1


@pytest.mark.parametrize("big", [1e6, 1e9, 1e32])
def test_a_stand_in_for_infinity_buys_nothing(big):
    """85 per cent of the costs are huge; the diagonal plan costs five times the optimum."""
    rng = np.random.default_rng(0)
    cost = rng.random((100, 100))
    cost[rng.random((100, 100)) < 0.85] = big
    np.fill_diagonal(cost, 1.0)
    problem = fejer.ExactOT(None, None, cost)
    best = fejer.minimize(problem, method="assignment", tol=1e-9)
    assert best.success
    diagonal = problem.judge(best.x, sparse(np.eye(100) / 100))
    assert diagonal.value > 0.5


@pytest.mark.parametrize("h", [1e-3, 1e-4])
def test_nearly_equal_clouds(h):
    """The plan between X and X + h noise, mixed with 1e-6 of the product, is far off."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(100, 2))
    problem = fejer.ExactOT(None, None, fejer.PointCloud(x, x + h * rng.normal(size=(100, 2))))
    best = fejer.minimize(problem, method="assignment", tol=1e-9)
    assert best.success
    P = (1 - 1e-6) * dense(best.witness, (100, 100)) + 1e-6 / 100**2
    ours = problem.judge(best.x, sparse(P))
    assert ours.value >= 0.99 * (1 - best.fun / ours.fun) > 0.05


def test_large_constant_costs():
    cost = 1e9 + np.random.default_rng(0).random((20, 20))
    result = fejer.minimize(fejer.ExactOT(None, None, cost), method="assignment")
    assert result.success or result.certificate.details["floor"] > 1e-7


# ---- methods -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["lap", "pc2", "pc10", "grid"])
def test_both_methods_agree(kind):
    a, b, cost = instance(kind, 36)
    problem = fejer.ExactOT(a, b, cost)
    result = fejer.minimize(problem, method="highs", tol=1e-10)
    assert result.success and result.fun == pytest.approx(truth(problem), abs=1e-12)
    if kind != "grid":
        other = fejer.minimize(problem, method="assignment", tol=1e-12)
        assert other.success and other.fun == pytest.approx(result.fun, rel=1e-12)
    f, g = result.potentials
    assert (f[:, None] + g <= cost + 1e-12).all() and result.marginal_violation < 1e-12
    assert result.bracket[0] <= result.fun <= result.bracket[1] + 1e-15
    assert problem.a @ f == pytest.approx(problem.b @ g, abs=1e-14)


@pytest.mark.parametrize("n", [1, 2, 5])
def test_assignment_by_enumeration(n):
    for seed in range(5):
        cost = np.random.default_rng(seed).integers(0, 4, (n, n)).astype(float)  # ties
        result = fejer.minimize(fejer.ExactOT(None, None, cost), method="assignment", tol=1e-12)
        best = min(sum(cost[i, p[i]] for i in range(n)) for p in itertools.permutations(range(n)))
        assert result.success and n * result.fun == pytest.approx(best, abs=1e-12)


def test_what_assignment_does_not_treat():
    for problem in (fejer.ExactOT.random(6, 6), fejer.ExactOT(None, None, np.ones((2, 3)))):
        with pytest.raises(fejer.MethodError, match=r"weights are not equal|atoms differ"):
            fejer.minimize(problem, method="assignment")


def test_zero_weights_and_their_potentials():
    rng = np.random.default_rng(0)
    cost = rng.random((4, 5))
    problem = fejer.ExactOT([0, 0.5, 0.25, 0.25], [0.4, 0.3, 0.3, 0, 0], cost)
    result = fejer.minimize(problem, tol=1e-10)
    assert result.success and result.fun == pytest.approx(truth(problem), abs=1e-12)
    assert result.plan.toarray()[0].max() == 0 == result.plan.toarray()[:, 3:].max()
    f, g = result.potentials
    assert (f[:, None] + g <= cost + 1e-12).all()
    permutation = fejer.ExactOT([0, 0.5, 0, 0.5], [0.5, 0.5, 0, 0, 0], cost)
    result = fejer.minimize(permutation, method="assignment", tol=1e-10)
    assert result.success and result.fun == pytest.approx(truth(permutation), abs=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_forbidden_arcs(seed):
    rng = np.random.default_rng(seed)
    cost = np.where(rng.random((7, 7)) < 0.6, np.inf, rng.random((7, 7)))
    cost[np.isinf(cost).all(axis=1), 0] = 1.0
    cost[0, np.isinf(cost).all(axis=0)] = 1.0
    problem = fejer.ExactOT(None, None, cost)
    expected = truth(problem)
    for method in ("assignment", "highs"):
        result = fejer.minimize(problem, method=method, tol=1e-9)
        if expected is None:
            assert result.status == fejer.Status.INFEASIBLE
            assert fejer.verify(problem, result).proves == "infeasible"
        else:
            assert result.success and result.fun == pytest.approx(expected, abs=1e-10)
    if expected is not None:
        noisy = dense(result.witness, (7, 7)) * rng.uniform(0.9, 1.1, (7, 7))
        ours = problem.judge(result.x, sparse(noisy))  # rounding has to route
        assert ours.fun >= expected - 1e-12
        ray = np.concatenate([np.ones(7), -np.ones(7)])
        assert problem.judge(result.x, {"ray": ray}).proves == "solved"


def test_masses_and_tiny_ranges():
    for scale in (1e-9, 1.0, 1e9):
        problem = fejer.ExactOT([3 * scale, scale], [2 * scale, 2 * scale], [[0, 1], [1, 0]])
        result = fejer.minimize(problem)
        assert result.success and result.fun == pytest.approx(scale)
    tiny = 1e-12 * np.random.default_rng(0).random((5, 5))
    assert fejer.minimize(fejer.ExactOT(None, None, tiny), method="assignment").success
    assert fejer.minimize(fejer.ExactOT(None, None, np.full((3, 4), 7.0))).success


def test_cvxpy_agrees():
    cvxpy = pytest.importorskip("cvxpy")
    problem = fejer.ExactOT.random(6, 5)
    model = problem.to_cvxpy()
    model.solve(solver=cvxpy.CLARABEL)
    assert fejer.minimize(problem).fun == pytest.approx(model.value, abs=1e-7)


def test_directions_of_flows_are_no_proof():
    """HiGHS may take huge costs for an unbounded program, and gives a ray of another size."""
    problem = fejer.ExactOT(A, A, C)
    arcs = problem.program().c.size
    _, witness = problem.from_program(np.zeros(arcs), ray=np.ones(7))
    assert "ray" not in witness
    _, witness = problem.from_program(np.zeros(arcs), ray=np.ones(sum(np.shape(C))))
    assert witness["ray"].size == sum(np.shape(C))


ROWS = [row for row in REFUSED if not row[0].startswith("eps")]


@pytest.mark.parametrize(("field", "changed"), ROWS, ids=[repr(row)[:60] for row in ROWS])
def test_bad_input_is_refused_by_name(field, changed):
    with pytest.raises(fejer.ProblemError, match=f"^{field}: "):
        fejer.ExactOT(**{"a": A, "b": A, "cost": C, **changed})
