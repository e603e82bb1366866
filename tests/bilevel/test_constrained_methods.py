"""lv-hba, lv-hba-anderson and kkt-implicit: known optima, brute force, the value function."""

import pickle

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

import fejer
from fejer.benchmarks.claims._constrained_bilevel_x import descends, lower_solution
from fejer.benchmarks.instances.constrained_bilevel import (
    CLASSICS,
    cleaning_machine,
    coupled,
    coupled_solution,
    linear_response,
    starts,
)
from fejer.driver import Run
from fejer.problems.bilevel._constrained_example import ConstrainedExample
from fejer.solvers.bilevel._pieces import LowerProgram, quadratic_program
from fejer.solvers.bilevel._value_descent import descend, enter
from fejer.solvers.bilevel._value_function import Saddle

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


def ellipse(seed):
    """f = 1/2 ||y - Bx - r||^2 over ``y'Dy <= 1 + x^2/4`` and ``y1 + y2 <= 1``; one x."""
    rng = np.random.default_rng(seed)
    B, r, c = rng.standard_normal((3, 3))
    D = np.diag(rng.uniform(0.5, 2.0, 3))

    def nearest(x, y):
        from scipy.optimize import minimize

        found = minimize(
            lambda w: 0.5 * np.sum((w - np.append(x, y)) ** 2),
            np.zeros(4),
            jac=lambda w: w - np.append(x, y),
            bounds=[(-2, 2)] + 3 * [(None, None)],
            constraints=[
                {"type": "ineq", "fun": lambda w: 1 + 0.25 * w[0] ** 2 - w[1:] @ D @ w[1:]},
                {"type": "ineq", "fun": lambda w: 1 - w[1] - w[2]},
            ],
            options={"ftol": 1e-14, "maxiter": 500},
        )
        return found.x[:1], found.x[1:]

    return fejer.ConstrainedBilevel(
        F=lambda x, y: 0.5 * np.sum((y - c) ** 2) + 0.1 * x @ x,
        grad_x_F=lambda x, y: 0.2 * x,
        grad_y_F=lambda x, y: y - c,
        f=lambda x, y: 0.5 * np.sum((y - B * x - r) ** 2),
        grad_x_f=lambda x, y: [-B @ (y - B * x - r)],
        grad_y_f=lambda x, y: y - B * x - r,
        x0=[0.3],
        y0=[0.0, 0.0, 0.0],
        Gx=[[0.0]],
        Gy=[[1.0, 1.0, 0.0]],
        h=[1.0],
        g=lambda x, y: [y @ D @ y - 1 - 0.25 * x[0] ** 2],
        jac_x_g=lambda x, y: [-0.5 * x],
        jac_y_g=lambda x, y: [2 * D @ y],
        lower=-2.0,
        upper=2.0,
        hess_f=lambda x, y: np.column_stack([-B, np.eye(3)]),
        hess_g=lambda x, y, l: np.hstack([np.zeros((3, 1)), 2 * l[0] * D]),
        project_C=nearest,
    )


@pytest.mark.parametrize("seed", range(6))
def test_curved_constraints_against_scipy(seed):
    """Lower solutions are scipy's; no x nearby is better; differences do instead of Hessians."""
    from scipy.optimize import minimize

    problem = ellipse(seed)

    def answer(x):
        return minimize(
            lambda y: problem.f(np.array([x]), y),
            np.zeros(3),
            jac=lambda y: problem.grad_y_f(np.array([x]), y),
            constraints=[
                {"type": "ineq", "fun": lambda y: -problem.constraint(np.append(x, y))},
            ],
            options={"ftol": 1e-15, "maxiter": 500},
        ).x

    program = LowerProgram(problem)
    for x in (-1.5, 0.0, 1.0):
        w, l, _ = program.solve(np.append(x, np.zeros(3)))
        np.testing.assert_allclose(w[1:], answer(x), atol=2e-6)
        J = problem.constraint_jac(w)[:, 1:]
        user = program.user_multipliers(l)
        assert np.abs(problem.grad_y_f(w[:1], w[1:]) + J.T @ user).max() < 1e-10
        assert problem.constraint(w).max() < 1e-10 and (user >= 0).all()
    result = fejer.minimize(problem, method="kkt-implicit", tol=1e-8)
    assert result.success
    x = result.upper_variable[0]
    for other in np.clip([x - 1e-2, x - 1e-3, x + 1e-3, x + 1e-2], -2, 2):
        assert problem.F(np.array([other]), answer(other)) >= result.fun - 1e-6
    plain = problem.replace(hess_f=None, hess_g=None)
    again = fejer.minimize(plain, method="kkt-implicit", tol=1e-5)
    assert again.success
    assert again.fun == pytest.approx(result.fun, abs=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_several_starts_find_the_global_value(method):
    known = CLASSICS["clark-westerberg"]()
    start = np.array([3.0, 5.0])  # of the local solution with F = 9
    alone = fejer.minimize(known.problem, start + 0.1, method=method)
    assert alone.fun == pytest.approx(9.0, abs=1e-4)
    options = {"starts": 12, "spread": 2.0}
    found = fejer.minimize(known.problem, start + 0.1, method=method, options=options, rng=3)
    assert found.success
    assert found.fun == pytest.approx(known.optimum, abs=1e-4)
    again = fejer.minimize(known.problem, start + 0.1, method=method, options=options, rng=3)
    assert (again.x == found.x).all() and again.nit == found.nit
    with pytest.raises(fejer.OptionError, match="starts"):
        fejer.minimize(known.problem, method=method, options={"starts": 0})


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


def saddle_value(prep, w, z):
    """v by iterating to rounding."""
    t, l = problem_y(prep, w), z.copy()
    step = prep.steps(1.0)[0]
    for _ in range(20_000):
        old = t, l
        t, l = prep.inner(w, t, l, z, step)
        if max(np.abs(t - old[0]).max(), np.abs(l - old[1]).max(initial=0.0)) < 1e-15:
            break
    u = np.concatenate([w, t, l, z])
    c = 1.0
    problem = prep.problem
    v = problem.upper_value(w) / c + problem.lower_value(w) - prep.merit(u, c)
    return v, t, l


def problem_y(prep, w):
    return prep.problem.parts(w)[1].copy()


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


# ---- stages in which the single loop does not serve --------------------------------------------
def test_linear_response_against_its_closed_form():
    """F is flat far out, and accelerated zero finding runs away there."""
    n = 20
    problem = linear_response(n)
    k = round(0.9 * n)
    A, H = np.asarray(problem.Gy)[:k], np.asarray(problem.Gx)[:k]
    B = np.asarray(problem.Gx)[k:]
    inverse = np.linalg.pinv(A)
    S = np.eye(n) - inverse @ A - inverse @ H
    null = np.eye(n) - np.linalg.pinv(B) @ B
    result = fejer.minimize(problem, method="lv-hba-anderson", max_iter=4000)
    x = result.upper_variable
    slope = problem.grad_x_F(x, S @ x) + S.T @ problem.grad_y_F(x, S @ x)
    assert np.linalg.norm(null @ slope) < 1e-3
    np.testing.assert_allclose(result.y, S @ x, atol=1e-5)
    first = problem.initial_point()[:n]
    assert result.fun < problem.F(first, S @ first)
    assert result.nfev > 0  # the single loop has failed


def test_weights_of_mislabelled_samples_are_learnt():
    """Slacks make the saddle function stiff; the loss at the true lower solution falls."""
    problem = cleaning_machine(30, 30)
    result = fejer.minimize(
        problem, method="lv-hba-anderson", options={"c0": 1.0}, max_iter=500, tol=1e-9
    )
    program = LowerProgram(problem)
    before = program.solve(problem.initial_point())[0]
    after = program.solve(problem.project(result.x))[0]
    assert problem.upper_value(after) < 0.8 * problem.upper_value(before)


def test_descent_takes_back_what_makes_the_merit_worse():
    """The merit with v computed to rounding falls, and is never above what the method found."""
    problem = cleaning_machine(20, 20, seed=1)
    prep = Saddle.of(problem, 1.0, 1.0, 1e4)
    state = enter(prep, prep.start(problem.initial_point(), np.zeros(prep.rows.size)), 3.0, 10)
    found = []
    for k in range(100):
        descend(prep, state, 3.0)
        if k % 20 == 10:
            w = problem.project(state.kept_w)
            v = saddle_value(prep, w, state.kept_z)[0]
            found.append(problem.upper_value(w) / 3.0 + problem.lower_value(w) - v)
            if state.plain:
                assert found[-1] <= state.least + 1e-12
    assert (np.diff(found) < 0).all()
    assert found[-1] < 0.5 * found[0]
    assert state.work > 100 * 6 and state.nfev > 100 * 3


def test_a_fixed_point_that_is_no_minimum_is_left():
    """F = -x^2/2 has a maximum in the middle, where the method begins."""
    problem = fejer.ConstrainedBilevel(
        F=lambda x, y: -0.5 * x @ x + 0.1 * np.sum(x),
        grad_x_F=lambda x, y: -x + 0.1,
        grad_y_F=lambda x, y: 0 * y,
        f=lambda x, y: 0.5 * np.sum((y - x) ** 2),
        grad_x_f=lambda x, y: x - y,
        grad_y_f=lambda x, y: y - x,
        x0=[0.09],
        y0=[0.09],
        lower=-1.0,
        upper=1.0,
    )
    result = fejer.minimize(problem, method="lv-hba-anderson")
    assert result.success
    assert abs(result.upper_variable[0]) == pytest.approx(1.0)


def flattened(state):
    """All numbers of a state as bytes, by name."""
    found = {}
    for name, value in vars(state).items():
        if hasattr(value, "nit"):
            found |= {f"{name}.{k}": v for k, v in flattened(value).items()}
        else:
            found[name] = value.tobytes() if isinstance(value, np.ndarray) else value
    return found


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("starts", [1, 3])
def test_parts_of_a_run_are_the_whole(method, starts):
    """Bit for bit, through the descent and through several searches, and after pickling."""
    problem = CLASSICS["de-silva"]().problem
    w = np.array([0.9, 0.1, 1.2, 0.6])
    states = []
    for cuts in ((260,), (60, 101, 173, 260), (*range(7, 260, 23), 260)):
        options = {"starts": starts} if starts > 1 else {}
        run = Run(problem, w, method=method, options=options, tol=0.0)
        run.open()
        for k in cuts:
            while run.state.nit < k and not run.state.finished:
                run.forward(k)
            run.state = pickle.loads(pickle.dumps(run.state))
        states.append(flattened(run.state))
        if method == "lv-hba-anderson" and starts == 1:
            assert run.state.descent is not None
    assert states[0] == states[1] == states[2]
