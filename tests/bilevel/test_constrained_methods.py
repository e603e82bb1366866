"""lv-hba, lv-hba-anderson and kkt-implicit: known optima, brute force, the value function."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

import fejer
from fejer.benchmarks.claims._constrained_bilevel_x import descends, lower_solution
from fejer.benchmarks.instances.constrained_bilevel import (
    CLASSICS,
    coupled,
    coupled_solution,
    starts,
)
from fejer.driver import Run
from fejer.problems.bilevel._constrained_example import ConstrainedExample
from fejer.solvers.bilevel._pieces import LowerProgram, quadratic_program
from fejer.solvers.bilevel._value_function import Saddle
from tests.bilevel.twin_constrained import saddle_value

METHODS = ("kkt-implicit", "lv-hba-anderson")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", list(CLASSICS))
def test_classics(name, method):
    """Certified points are stationary by brute force, and the optimum is among them."""
    known = CLASSICS[name]()
    problem, rng, values = known.problem, np.random.default_rng(0), []
    count = 10
    for x0 in starts(problem, count, known.start):
        result = fejer.minimize(problem, x0, method=method, max_iter=2500)
        if not result.success:
            continue
        values.append(result.fun)
        y = lower_solution(problem, result.upper_variable)
        np.testing.assert_allclose(result.y, y, atol=2e-5)
        assert not descends(problem, result.x, rng)
        assert result.fun >= known.optimum - 1e-4
    assert len(values) >= 0.6 * count
    assert min(values) == pytest.approx(known.optimum, abs=1e-4)


def test_brute_force_finds_descent():
    problem = CLASSICS["clark-westerberg"]().problem
    for x in (0.5, 2.2, 4.0, 6.0):
        w = np.append(x, lower_solution(problem, np.array([x])))
        assert descends(problem, w, np.random.default_rng(0)) == (problem.judge(w).value > 1e-3)


@pytest.mark.parametrize("seed", range(6))
def test_random_problems_against_scipy(seed):
    """One upper variable: F(x, y*(x)) is minimised from both sides of a grid."""
    problem = fejer.ConstrainedBilevel(**ConstrainedExample.draw(1, 3, 4, seed))

    def phi(x):
        y = lower_solution(problem, np.array([x]))
        return 1e6 if y is None else problem.F(np.array([x]), y)

    result = fejer.minimize(problem, method="kkt-implicit", tol=1e-9)
    assert result.success
    x = result.upper_variable[0]
    low, high = max(-2.0, x - 0.05), min(2.0, x + 0.05)
    best = minimize_scalar(phi, bounds=(low, high), method="bounded", options={"xatol": 1e-9})
    assert result.fun <= best.fun + 1e-8
    other = fejer.minimize(problem, result.x, method="lv-hba-anderson", max_iter=4000)
    assert other.success
    assert problem.judge(other.x).holds(1e-6)


def test_quadratic_programs_are_scipys():
    rng = np.random.default_rng(0)
    for k in range(30):
        R, A = rng.standard_normal((4, 4)) + 2 * np.eye(4), rng.standard_normal((4, 4))
        slope, room = rng.standard_normal(4), rng.uniform(-0.2, 1.0, 4)
        equality = np.arange(4) < k % 3
        d, l = quadratic_program(R.T @ R, slope, A, room, equality)
        assert np.abs(R.T @ R @ d + slope + A.T @ l).max() < 1e-9
        assert np.max((A @ d - room)[~equality]) < 1e-10
        assert np.abs((A @ d - room)[equality]).max(initial=0) < 1e-10
        assert (l[~equality] >= 0).all()
        assert np.abs(l * (A @ d - room)).max() < 1e-9
    none = np.zeros(2, dtype=bool)
    opposed = np.array([[1.0], [-1.0]])
    assert quadratic_program(np.eye(1), np.zeros(1), opposed, np.array([-1.0, -1.0]), none) is None
    assert quadratic_program(-np.eye(1), np.zeros(1), opposed, np.ones(2), none) is None


def test_pieces_are_derivatives():
    problem = fejer.ConstrainedBilevel.random(seed=3)
    program = LowerProgram(problem)
    w, l, _ = program.solve(problem.initial_point() + 0.1)
    pieces = list(program.pieces(w, l))
    assert len(pieces) == 1
    for j in range(problem.n):
        for sign in (1.0, -1.0):
            moved = w.copy()
            moved[j] += sign * 1e-5
            other = program.solve(moved)
            slope = (other[0] - w)[problem.n :] / (sign * 1e-5)
            np.testing.assert_allclose(slope, pieces[0].y[:, j], atol=1e-6)


def test_lower_levels_that_are_not_quadratic():
    """f = sum cosh(y - x) under y1 + y2 <= 1."""
    problem = fejer.ConstrainedBilevel(
        F=lambda x, y: 0.5 * np.sum((y - [1.0, 0.5]) ** 2) + 0.05 * x @ x,
        grad_x_F=lambda x, y: 0.1 * x,
        grad_y_F=lambda x, y: y - [1.0, 0.5],
        f=lambda x, y: np.sum(np.cosh(y - x)),
        grad_x_f=lambda x, y: -np.sinh(y - x),
        grad_y_f=lambda x, y: np.sinh(y - x),
        x0=[2.0, -1.0],
        y0=[0.0, 0.0],
        Gx=np.zeros((1, 2)),
        Gy=np.ones((1, 2)),
        h=[1.0],
    )
    results = [fejer.minimize(problem, method=method) for method in METHODS]
    assert all(result.success for result in results)
    np.testing.assert_allclose(results[0].x, results[1].x, atol=1e-4)
    y = results[0].y
    assert y.sum() == pytest.approx(1.0)


# ---- the published example ---------------------------------------------------------------------
def test_coupled_example():
    """The lower level has an affine set of solutions; the optimum is known."""
    for n in (4, 100):
        problem, w = coupled(n), coupled_solution(n)
        assert problem.auto() == ("lv-hba-anderson",)
        result = fejer.minimize(problem)
        assert result.success and result.nit <= 250
        assert np.linalg.norm(result.x - w) <= 1e-6 * np.linalg.norm(w)
        assert result.nfev == 0 and "factor" not in result.stats


def test_another_upper_level_over_the_same_lower_one():
    n = 6
    problem = coupled(n).replace(
        F=lambda x, y: (y[:n] - 2) @ (x - 1) + np.sum((y[n:] + 3) ** 2),
        grad_x_F=lambda x, y: y[:n] - 2,
        grad_y_F=lambda x, y: np.append(x - 1, 2 * (y[n:] + 3)),
    )
    assert problem.judge(np.repeat([1.0, 2.0, -3.0], n)).value < 1e-12
    result = fejer.minimize(problem)
    np.testing.assert_allclose(result.x, np.repeat([1.0, 2.0, -3.0], n), atol=1e-4)


def test_plain_method_approaches_as_its_weight_grows():
    problem, w = coupled(20), coupled_solution(20)
    run = Run(problem, w, method="lv-hba", options={"decay": 0.3})
    run.open()
    errors = []
    for k in (1000, 4000):
        run.forward(k)
        x = run.method.point(problem, run.prep, run.state)
        errors.append(np.linalg.norm(x - w) / np.linalg.norm(w))
    assert errors[0] / errors[1] == pytest.approx(4**0.3, rel=0.05)
    assert errors[1] < 1e-2


def test_scaling_a_constraint_changes_no_iterate():
    problem = fejer.ConstrainedBilevel.random(seed=1)
    G = {k: np.asarray(getattr(problem, k)) for k in ("Gx", "Gy")}
    size = np.array([[1e4], [2.0**-20]])
    other = problem.replace(Gx=size * G["Gx"], Gy=size * G["Gy"], h=size[:, 0] * problem.h)
    for method in ("lv-hba", "lv-hba-anderson"):
        options = {"method": method, "tol": 1e-9, "max_iter": 60}
        a, b = (fejer.minimize(p, **options).x for p in (problem, other))
        np.testing.assert_allclose(a, b, atol=1e-9)


def test_gradient_of_the_value_function_and_its_bound():
    problem = fejer.ConstrainedBilevel.random(seed=2)
    prep = Saddle.of(problem, 1.0, 1.0, 1e4)
    rng = np.random.default_rng(0)
    for k in range(100):
        w = problem.project(rng.standard_normal(5))
        z = np.abs(rng.standard_normal(2)) * (k % 3)
        v, t, l = saddle_value(prep, w, z)
        assert problem.lower_value(w) - v >= -1e-10
        if k >= 4:
            continue
        d, d_z = prep.descent(w, t, l, z, 1e300)  # of f - v alone
        for j in range(5):
            e = np.eye(5)[j] * 1e-5
            up, down = (
                problem.lower_value(w + s * e) - saddle_value(prep, w + s * e, z)[0]
                for s in (1, -1)
            )
            assert d[j] == pytest.approx((up - down) / 2e-5, abs=1e-6)
        for i in range(2):
            e = np.eye(2)[i] * 1e-5
            up, down = (-saddle_value(prep, w, z + s * e)[0] for s in (1, -1))
            assert d_z[i] == pytest.approx((up - down) / 2e-5, abs=1e-6)
    w, l, _ = LowerProgram(problem).solve(problem.initial_point())
    z = np.linalg.solve(prep.T.T, l[:2] / problem.sizes(problem.linear[0])[0])
    v = saddle_value(prep, w, z)[0]
    assert abs(problem.lower_value(w) - v) < 1e-12


def test_what_methods_ask_for():
    with pytest.raises(fejer.MethodError, match="not strongly convex"):
        fejer.minimize(coupled(3), method="kkt-implicit")
    with pytest.raises(fejer.MethodError, match="maid does not treat"):
        fejer.minimize(coupled(3), method="maid")
    with pytest.raises(fejer.OptionError, match="decay"):
        fejer.minimize(coupled(3), method="lv-hba", options={"decay": 0.5})


def test_given_steps_are_used():
    problem = coupled(5)
    options = {"eta": 0.1, "alpha": 0.05, "beta": 0.1, "c0": 5.0, "decay": 0.3}
    result = fejer.minimize(problem, method="lv-hba", options=options, max_iter=300, tol=0.0)
    prep = Saddle.of(problem, 1.0, 1.0, 1e4)
    u = prep.start(problem.initial_point(), np.zeros(1))
    for k in range(300):
        u = prep.image(u, 5.0 * (k + 1) ** 0.3, (0.1, 0.05, 0.1))
    found = result.problem.judge(prep.split(u)[0])
    assert result.certificate.value <= found.value * (1 + 1e-6)
