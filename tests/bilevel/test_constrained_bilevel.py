"""ConstrainedBilevel: certificate, projections, hostile data and bad input."""

import pickle

import numpy as np
import pytest

import fejer
from fejer.benchmarks.claims._constrained_bilevel_x import lower_solution
from fejer.benchmarks.instances.constrained_bilevel import (
    CLASSICS,
    Quadratic,
    classic,
    coupled,
    coupled_solution,
    quadratic_bilevel,
)
from fejer.problems.bilevel import _stationarity
from fejer.problems.bilevel._constrained_example import ConstrainedExample
from tests.bilevel.twin_constrained import DISC, four_numbers

FIELDS = ConstrainedExample.draw(2, 3, 2, 0)
PROBLEM = fejer.ConstrainedBilevel(**FIELDS)
SOLVED = fejer.minimize(PROBLEM, method="kkt-implicit", tol=1e-11)
OPTIMA = {
    "falk-liu": ([0.75, 0.75, 0.75, 0.75],),
    "de-silva": ([0.5, 0.5, 0.5, 0.5],),
    "bard": ([1.0, 0.0], [5.0, 2.0]),
    "clark-westerberg": ([1.0, 3.0], [3.0, 5.0], [4.4, 4.8]),
    "aiyoshi-shimizu": (
        [0.0, 0.0, -10.0, -10.0],
        [0.0, 30.0, -10.0, 10.0],
        [25.0, 30.0, 5.0, 10.0],
    ),
}
KNOWN = [(name, w) for name, points in OPTIMA.items() for w in points]


# ---- certificate -----------------------------------------------------------------------------
@pytest.mark.parametrize(("name", "w"), KNOWN)
def test_known_solutions_are_certified(name, w):
    problem = classic(name)
    certificate = problem.judge(np.array(w))
    assert certificate.value < 1e-12
    assert not certificate.rigorous
    assert max(four_numbers(problem, np.array(w))) < 1e-7
    if w == OPTIMA[name][0]:
        assert certificate.fun == pytest.approx(CLASSICS[name]().optimum, abs=1e-12)


@pytest.mark.parametrize("name", list(OPTIMA))
def test_certificate_is_the_twins(name):
    problem, rng = classic(name), np.random.default_rng(0)
    low, high = (np.clip(bound, -12, 12) for bound in problem.box)
    points = [problem.project(rng.uniform(low, high)) for _ in range(12)]
    points += [problem.project(w + 1e-3 * rng.standard_normal(low.size)) for w in OPTIMA[name]]
    points += [np.clip(rng.uniform(low, high), *problem.box) for _ in range(12)]
    for w in points:
        certificate = problem.judge(w)
        wanted = four_numbers(problem, w)
        d = certificate.details
        found = [d[k] for k in ("lower_stationarity", "feasibility", "complementarity")]
        assert found == pytest.approx(wanted[:3], abs=1e-9)
        assert d["upper_stationarity"] == pytest.approx(wanted[3], rel=1e-3, abs=1e-6)
        assert certificate.value >= max(found)
        assert problem.judge(w, certificate.witness).value == certificate.value


def test_moved_points_fail():
    """At three times the tolerance in the twin's numbers, with honest and hostile witnesses."""
    rng = np.random.default_rng(1)
    hostile = list(fejer.testing.hostile_witnesses(SOLVED.witness))
    count = 0
    for seed in range(4):
        problem = fejer.ConstrainedBilevel(**ConstrainedExample.draw(2, 3, 2, seed))
        result = fejer.minimize(problem, method="kkt-implicit", tol=1e-10)
        assert result.success
        for i in range(20):
            direction = rng.standard_normal(5)
            step = 1e-9
            while max(four_numbers(problem, result.x + step * direction)) < 3e-6:
                step *= 1.3
            w = result.x + step * direction
            for witness in (result.witness, hostile[i % len(hostile)]):
                assert not problem.judge(w, witness).holds(1e-6)
                count += 1
    assert count == 160


@pytest.mark.parametrize("name", list(OPTIMA))
def test_witnesses_never_help_a_wrong_point(name):
    problem, rng = classic(name), np.random.default_rng(2)
    count = problem.constraint(problem.initial_point()).size
    low, high = (np.clip(bound, -12, 12) for bound in problem.box)
    for _ in range(5):
        w = problem.project(rng.uniform(low, high))
        if problem.judge(w).value < 1e-2:
            continue
        for bad in fejer.testing.hostile_witnesses({"multipliers": np.ones(count)}):
            certificate = problem.judge(w, bad)
            assert certificate.value > 1e-3
            assert certificate.value <= problem.judge(w).value


def test_units_of_the_lower_level_buy_no_tolerance():
    """Rows times 1e-7 passed at F = 45 against 17; f times 1e-9 likewise."""
    wrong = np.array([3.0, 0.0])  # lower stationarity is violated: y* = 2.5 there
    plain = classic("bard")
    value = plain.judge(wrong).value
    assert plain.judge(wrong).fun > 4 and value > 0.1
    for size in (1e-7, 1e-3, 1e7):
        rows = plain.replace(
            Gx=size * np.asarray(plain.Gx), Gy=size * np.asarray(plain.Gy), h=size * plain.h
        )
        assert rows.judge(wrong).value == pytest.approx(value, rel=1e-9)
        below = Quadratic(
            size * np.array([[0.0, -1.5], [-1.5, 2.0]]), size * np.array([0.0, -2.0]), size
        )
        fields = {"f": below.value, "grad_x_f": below.in_x, "grad_y_f": below.in_y}
        scaled = plain.replace(**fields, hess_f=below.second)
        assert scaled.judge(wrong).value == pytest.approx(value, rel=1e-6)
        assert scaled.judge(np.array([1.0, 0.0])).value < 1e-9


def test_scale_divides_and_redundant_rows_change_nothing():
    w = SOLVED.x + 1e-3
    value = PROBLEM.judge(w).value
    assert PROBLEM.replace(scale=10.0).judge(w).value == pytest.approx(value / 10)
    G = {k: np.asarray(getattr(PROBLEM, k)) for k in ("Gx", "Gy")}
    more = {k: np.vstack([v, v[:1]]) for k, v in G.items()}
    doubled = PROBLEM.replace(**more, h=np.append(PROBLEM.h, PROBLEM.h[0] + 5), equality=False)
    assert doubled.judge(w).value == pytest.approx(value)
    assert doubled.judge(SOLVED.x).value < 1e-9
    order = [1, 0]
    turned = PROBLEM.replace(Gx=G["Gx"][order], Gy=G["Gy"][order], h=PROBLEM.h[order])
    assert turned.judge(w).value == pytest.approx(value)


def test_differences_replace_second_derivatives():
    for name, w in KNOWN:
        problem = classic(name).replace(hess_f=None)
        assert problem.judge(np.array(w)).value < 1e-6
    plain = PROBLEM.replace(hess_f=None)
    for w in (SOLVED.x, SOLVED.x + 0.1, PROBLEM.initial_point()):
        assert plain.judge(w).value == pytest.approx(PROBLEM.judge(w).value, rel=1e-5, abs=1e-6)


def test_noise_of_differences_is_no_curvature():
    """A linear lower level: y = x, and F falls along the line."""
    problem = fejer.ConstrainedBilevel(
        F=lambda x, y: np.sum((x - 1) ** 2 + (y - 1) ** 2),
        grad_x_F=lambda x, y: 2 * (x - 1),
        grad_y_F=lambda x, y: 2 * (y - 1),
        f=lambda x, y: 1.7 * np.sum(y),
        grad_x_f=lambda x, y: 0 * x,
        grad_y_f=lambda x, y: np.full(y.size, 1.7),
        x0=[0.3, 0.4],
        y0=[0.3, 0.4],
        Gx=np.eye(2),
        Gy=-np.eye(2),
        h=np.zeros(2),
    )
    assert problem.judge(np.full(4, 0.3)).value > 1
    assert problem.judge(np.ones(4)).value < 1e-9
    assert "kkt-implicit" not in problem.auto()
    result = fejer.minimize(problem)
    np.testing.assert_allclose(result.x, np.ones(4), atol=1e-5)
    assert result.success


def test_large_problems_are_judged_by_products():
    n = 200
    problem, w = coupled(n), coupled_solution(n)
    assert problem.judge(w).value < 1e-11
    for fields in ({}, {"hess_f": None}):
        other = problem.replace(**fields)
        assert other.judge(w).value < 1e-6
        for size in (1e-5, 1e-2):
            moved = w.copy()
            moved[: n // 2] += size
            moved[2 * n : 2 * n + n // 2] -= size
            assert other.judge(moved).value > 0.1 * size
    small, v = coupled(5), coupled_solution(5) + 0.01 * np.arange(15)
    wanted = four_numbers_with_equation(small, v)
    assert small.judge(v).value == pytest.approx(wanted, rel=1e-4)
    bound = problem.replace(lower=-0.3)  # active, with multiplier 0
    assert bound.judge(w).value < 1e-9


def four_numbers_with_equation(problem, w):
    return max(four_numbers(problem, w))


def test_rounding_is_no_curvature_either():
    """Three active rows fix the three lower variables: nu = 0, and F still falls with x."""
    problem = fejer.ConstrainedBilevel(**ConstrainedExample.draw(1, 3, 4, 0))
    w = np.array([0.0, -0.70433022, -0.3344813, -0.0451608])
    w = problem.project(w)
    assert problem.judge(w).value > 1e-2
    A = np.hstack([np.asarray(problem.Gx), np.asarray(problem.Gy)])[:3]
    target = np.append(problem.grad_x_F(w[:1], w[1:]), problem.grad_y_F(w[:1], w[1:]))
    nearest = np.linalg.lstsq(A.T, -target, rcond=None)[0]
    wanted = np.linalg.norm(target + A.T @ nearest)
    assert problem.judge(w).details["upper_stationarity"] == pytest.approx(wanted, rel=1e-6)
    twice = problem.replace(  # an equation and the same row as an inequality
        Gx=np.vstack([A[:1, :1]] * 2 + [A[1:, :1]]),
        Gy=np.vstack([A[:1, 1:]] * 2 + [A[1:, 1:]]),
        h=np.concatenate([problem.h[:1], problem.h[:1], problem.h[1:3]]),
        equality=[True, False, False, False],
    )
    assert twice.judge(w).value > 1e-2


def test_a_lower_level_that_is_not_convex_is_refused():
    below = Quadratic(np.array([[0.0, -1.0], [-1.0, -2.0]]), np.zeros(2))
    above = Quadratic(np.eye(2), np.zeros(2))
    for fields in ({}, {"hess_f": None}):
        problem = quadratic_bilevel(above, below, 1, y_lower=-1.0, y_upper=1.0).replace(**fields)
        certificate = problem.judge(np.zeros(2))
        assert certificate.value == np.inf
        assert "not convex" in certificate.reason
        assert not fejer.minimize(problem, max_iter=50).success


def test_points_outside_the_boxes():
    w = np.array([0.75, 0.75, 0.75, 0.75])
    problem = classic("falk-liu")
    assert problem.judge(w - [0, 0, 0.3, 0]).reason.startswith("outside")
    edge = classic("de-silva")
    at = np.array(OPTIMA["de-silva"][0])
    near = edge.judge(at - [0, 0, 1e-11, 0])
    assert 0 < near.value < 1e-9


def test_data_of_extreme_size():
    rng = np.random.default_rng(3)
    for size in (1e8, 1e100, 1e200):
        w = size * rng.standard_normal(5)
        assert not PROBLEM.replace(lower=-np.inf, upper=np.inf).judge(w).holds(1e-6)
    big = PROBLEM.replace(
        Gx=1e9 * np.asarray(PROBLEM.Gx), Gy=1e9 * np.asarray(PROBLEM.Gy), h=1e9 * PROBLEM.h
    )
    assert big.judge(SOLVED.x).value < 1e-8
    twins = {
        k: np.vstack([np.asarray(getattr(PROBLEM, k))[:1]] * 2) * [[1.0], [1 + 1e-9]]
        for k in ("Gx", "Gy")
    }
    parallel = PROBLEM.replace(**twins, h=np.full(2, PROBLEM.h[0]))
    result = fejer.minimize(parallel, method="kkt-implicit")
    assert result.success
    assert max(four_numbers(parallel, result.x)) < 1e-5


def test_views_and_pickling():
    assert SOLVED.upper_variable.shape == (2,)
    assert SOLVED.y.shape == (3,)
    Q, r = FIELDS["hess_f"](None, None)[:, 2:], FIELDS["grad_y_f"](SOLVED.upper_variable, SOLVED.y)
    assert Q.shape == (3, 3)
    assert np.linalg.norm(r + FIELDS["Gy"].T @ SOLVED.multipliers) < 1e-9
    assert (SOLVED.multipliers >= 0).all()
    other = pickle.loads(pickle.dumps(PROBLEM))
    assert other.judge(SOLVED.x).value == PROBLEM.judge(SOLVED.x).value


def test_nonlinear_constraints():
    """y is the projection of (x, x) on the unit disc."""
    problem = fejer.ConstrainedBilevel(**DISC)
    root = np.sqrt(0.5)
    w = np.array([1.0, root, root])
    certificate = problem.judge(w)
    assert certificate.value < 1e-7
    assert certificate.witness["multipliers"] == pytest.approx([(1 / root - 1) / 2], rel=1e-6)
    assert problem.replace(hess_g=None).judge(w).value < 1e-6
    assert problem.judge(np.array([1.2, root, root])).value > 0.1
    assert fejer.check_derivatives(problem, [1.1, 0.2, 0.3]).ok
    result = fejer.minimize(problem)
    assert result.success and result.method == "lv-hba-anderson"
    np.testing.assert_allclose(result.x, w, atol=1e-5)
    assert problem.auto() == ("lv-hba-anderson", "kkt-implicit")
    other = fejer.minimize(problem, method="kkt-implicit", tol=1e-7)
    assert other.success
    np.testing.assert_allclose(other.x, w, atol=1e-7)


def test_value_gap_bounds_the_true_one():
    """Against the lower level's minimum: at feasible points, strongly convex or in a box."""
    rng = np.random.default_rng(9)
    for name in ("falk-liu", "bard", "clark-westerberg", "aiyoshi-shimizu"):
        problem = classic(name)
        low, high = (np.clip(bound, -12, 12) for bound in problem.box)
        for _ in range(10):
            w = problem.project(rng.uniform(low, high))
            y = lower_solution(problem, w[: problem.n])
            least = problem.f(w[: problem.n], y)
            gap = problem.judge(w).details["value_gap"]
            assert gap >= problem.f(*problem.parts(w)) - least - 1e-7
            solved = problem.judge(np.append(w[: problem.n], y)).details["value_gap"]
            assert solved <= 1e-5
    # f is linear here: the box alone bounds it.
    flat = coupled(2)
    assert flat.judge(flat.initial_point()).details["value_gap"] == np.inf
    boxed = flat.replace(y_lower=-50.0, y_upper=50.0)
    assert 0 < boxed.judge(boxed.initial_point()).details["value_gap"] < np.inf


def test_least_squares_by_products_agree_with_the_direct_ones(monkeypatch):
    rng = np.random.default_rng(6)
    cases = []
    for name, points in OPTIMA.items():
        problem = classic(name)
        low, high = (np.clip(bound, -12, 12) for bound in problem.box)
        cases += [(problem, np.array(w)) for w in points]
        cases += [(problem, problem.project(rng.uniform(low, high))) for _ in range(8)]
    for seed in range(5):
        problem = fejer.ConstrainedBilevel(**ConstrainedExample.draw(2, 3, 2, seed))
        cases += [(problem, problem.project(rng.uniform(-2, 2, 5))) for _ in range(8)]
    direct = [problem.judge(w) for problem, w in cases]
    monkeypatch.setattr(_stationarity, "DIRECT", 0)
    monkeypatch.setattr(_stationarity, "DIRECT_SIGNED", 0)
    equal = 0
    for (problem, w), one in zip(cases, direct, strict=True):
        other = problem.judge(w).details["upper_stationarity"]
        wanted = one.details["upper_stationarity"]
        assert other >= wanted * (1 - 1e-4) - 1e-6
        if one.details["weakly_active"] == 0:
            assert other == pytest.approx(wanted, rel=1e-5, abs=1e-7)
            equal += 1
    assert equal > 40


def test_multipliers_that_are_not_unique():
    """Of 4 active rows in 3 variables every extreme choice counts, and no witness helps."""
    problem = fejer.ConstrainedBilevel(**ConstrainedExample.draw(1, 3, 4, 3))
    w = fejer.minimize(problem, [1.11185588, 0, 0, 0], method="kkt-implicit").x
    assert problem.judge(w).value < 1e-6
    corner = problem.project(np.array([1.11185588, 0.02970742, 0.09167709, -0.34288863]))
    exact = np.linalg.solve(np.hstack([np.asarray(problem.Gx), np.asarray(problem.Gy)]), problem.h)
    np.testing.assert_allclose(exact, corner, atol=1e-6)
    certificate = problem.judge(exact)
    assert certificate.details["choices_of_multipliers"] == 2
    assert certificate.value > 1e-2
    # This choice alone is stationary there, while F falls to the right.
    lucky = np.array([5.7599952, 0.90236026, 0.0, 0.55439793])
    assert not problem.judge(exact, {"multipliers": lucky}).holds(1e-2)
    rows = np.random.default_rng(7).standard_normal((40, 3))
    many = problem.replace(Gx=np.zeros((40, 1)), Gy=rows, h=np.zeros(40), equality=False)
    assert "too many multipliers" in many.judge(np.zeros(4)).reason
