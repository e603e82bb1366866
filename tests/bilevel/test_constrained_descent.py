"""Descent of the value function's merit, curved constraints below, and several starts."""

import pickle

import numpy as np
import pytest

import fejer
from fejer.benchmarks.instances.constrained_bilevel import (
    CLASSICS,
    cleaning_machine,
    linear_response,
)
from fejer.driver import Run
from fejer.solvers.bilevel._pieces import LowerProgram
from fejer.solvers.bilevel._value_descent import descend, enter
from fejer.solvers.bilevel._value_function import Saddle
from tests.bilevel.twin_constrained import saddle_value

METHODS = ("kkt-implicit", "lv-hba-anderson")


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


# ---- curved constraints and several starts -------------------------------------------------------
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
