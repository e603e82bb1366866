"""maid: certified steps, its options, the split law inside a lower solve, the paper's instance."""

import numpy as np
import pytest

import fejer
from fejer.driver import Run
from fejer.solvers.bilevel import maid
from fejer.solvers.bilevel.maid import Maid
from tests.bilevel import twin

GROUPS = [0, 0, 1, 1, 1, 2, 2, 0]


def states(problem, method, count):
    """The state after each iteration."""
    run = Run(problem, method=method, tol=0.0)
    run.open()
    for k in range(count):
        run.forward(k + 1)
        yield run.state


@pytest.mark.parametrize("bound", ["sharp", "published"])
@pytest.mark.parametrize("inner", ["auto", "nesterov", "newton"])
def test_every_accepted_step_decreases_the_true_objective(bound, inner):
    quadratic = fejer.QuadraticBilevel.random(seed=3)
    ridge = fejer.RidgeBilevel.random(mode=GROUPS)
    for problem, phi in ((quadratic, twin.quadratic), (ridge, twin.ridge)):
        x, accepted = problem.initial_point(), 0
        for state in states(problem, Maid(bound=bound, inner=inner), 60):
            if state.accepted > accepted:
                moved = state.x - x
                gained = phi(problem, x)[0] - phi(problem, state.x)[0]
                assert gained >= -1e-15
                slope = -float(phi(problem, x)[1] @ moved)
                assert gained >= 1e-4 * 0.5 * slope  # z and grad Phi differ by half at most
                x, accepted = state.x.copy(), state.accepted
        assert accepted >= 5


def test_the_direction_is_certified():
    problem = fejer.RidgeBilevel.random(mode="feature")
    for state in states(problem, Maid(), 80):
        if state.searching and state.tried == 0:
            truth = twin.ridge(problem, state.x)[1].astype(float)
            assert np.linalg.norm(truth - state.gradient) <= 0.5 * np.linalg.norm(state.gradient)


@pytest.mark.parametrize("inner", ["cg", "nesterov"])
def test_accuracy_grows_only_as_needed(inner):
    """From any first tolerance the same accuracy is found."""
    problem = fejer.QuadraticBilevel.random(seed=1)
    work = []
    for eps in (10.0, 1e-1, 1e-3, 1e-6):
        options = {"eps0": eps, "delta0": eps, "inner": inner}
        result = fejer.minimize(problem, method="maid", options=options)
        assert result.success
        work.append(result.work)
    assert max(work) < 2.5 * min(work)


def test_without_adaption_the_tolerance_is_the_end():
    problem = fejer.QuadraticBilevel.random(seed=1)
    coarse = fejer.minimize(problem, method="maid", options={"fixed": True, "eps0": 0.1})
    fine = fejer.minimize(
        problem, method="maid", options={"fixed": True, "eps0": 1e-9, "delta0": 1e-9}
    )
    assert not coarse.success
    assert fine.certificate.value < 1e-3 * coarse.certificate.value


@pytest.mark.parametrize("inner", ["cg", "nesterov", "newton"])
def test_split_inside_a_lower_solve(inner, monkeypatch):
    from tests.bilevel.test_hoag import flat, run

    problem = fejer.QuadraticBilevel.random()
    whole = flat(run(problem, Maid(inner=inner), [40]))
    monkeypatch.setattr(maid, "SLICE", 3)
    assert flat(run(problem, Maid(inner=inner), [7, 1] * 5)) == whole


def test_the_instance_of_the_paper_is_improved_whatever_the_first_tolerance():
    """1000 x 10 uniform matrices, upper condition number 1e8: the gap falls alike, and slowly."""
    rng = np.random.default_rng(29)
    A1, A2, A3 = rng.uniform(size=(3, 1000, 10))
    x1, x2, theta = rng.uniform(size=(3, 10))
    b1 = A1 @ x1 + 0.01 * rng.standard_normal(1000)
    b2 = A2 @ x2 + A3 @ theta + 0.01 * rng.standard_normal(1000)
    problem = fejer.QuadraticBilevel(A1, b1, A2, A3, b2)
    best = problem.judge(twin.quadratic_solution(problem)[0]).fun
    gaps = []
    for eps in (1.0, 1e-3):
        options = {"eps0": eps, "delta0": eps, "alpha0": 1e-2, "inner": "nesterov"}
        result = fejer.minimize(
            problem, np.ones(10), method="maid", options=options, max_iter=400, tol=0.0
        )
        gaps.append(result.fun - best)
    start = problem.judge(np.ones(10)).fun - best
    assert max(gaps) < 0.2 * start
    assert max(gaps) < 1.3 * min(gaps)


def test_starts_at_the_solution_and_outside_the_box():
    problem = fejer.RidgeBilevel.random()
    first = fejer.minimize(problem, method="maid")
    again = fejer.minimize(problem, first, method="maid")
    assert again.success and again.nit <= 2
    outside = fejer.minimize(problem, [50.0], method="maid")
    assert outside.success and outside.x[0] <= problem.upper


@pytest.mark.parametrize(
    "options",
    [
        {"eta": 0.0},
        {"eta": 1.0},
        {"lam": 0.0},
        {"rho": 1.0},
        {"nu": 0.0},
        {"nu_up": 0.9},
        {"eps0": 0.0},
        {"delta0": -1.0},
        {"alpha0": 0.0},
        {"alpha0": "large"},
        {"max_bt": 0},
        {"bound": "none"},
        {"inner": "lbfgs"},
    ],
)
def test_options(options):
    with pytest.raises(fejer.OptionError, match="maid"):
        fejer.minimize(fejer.RidgeBilevel.random(), method="maid", options=options)


def test_lam_must_be_below_eta_and_cg_needs_a_quadratic():
    with pytest.raises(fejer.MethodError, match="is not below eta"):
        fejer.minimize(fejer.RidgeBilevel.random(), method="maid", options={"lam": 0.6})
    with pytest.raises(fejer.MethodError, match="not quadratic"):
        fejer.minimize(fejer.Bilevel.random(), method="maid", options={"inner": "cg"})
