"""self-tuning: exact gates, learnt responses and their derivatives, optima, problems without J."""

import numpy as np
import pytest

import fejer
from fejer.driver import Run
from fejer.solvers.bilevel.self_tuning import draw_normals
from tests.bilevel import twin


def after(problem, steps, **options):
    """The state after a number of steps."""
    run = Run(problem, method="self-tuning", options={"steps": steps, **options}, tol=0.0)
    run.open()
    while run.state.nit < steps:
        run.forward(steps)
    return run


def test_exact_gates_contain_every_lower_solution():
    problem = fejer.RidgeBilevel.random()
    run = after(problem, 1, gate="exact")
    X, n = problem.X_train.dense, len(problem.y_train)
    U, s, _ = np.linalg.svd(X / np.sqrt(n), full_matrices=False)
    state = run.state
    state.base = np.sign(np.sum(run.prep.V * np.linalg.svd(X)[2].T[:, : s.size], axis=0)) * (
        U.T @ problem.y_train / np.sqrt(n) / s
    )
    for x in np.linspace(-8, 3, 12):
        y = twin.ridge(problem, [x])[3].astype(float)
        found = run.method.response(run.prep, state, np.array([x]), np.zeros(1))
        np.testing.assert_allclose(found, y, atol=1e-10)


@pytest.mark.parametrize("problem", [fejer.RidgeBilevel.random(), fejer.Bilevel.random()])
def test_affine_response_is_the_tangent(problem):
    run = after(problem, 3000, warm=3000, s0=0.01, lower_step=1.0)
    x = problem.initial_point()
    np.testing.assert_array_equal(run.state.x, x)
    y = problem.lower_solution(x)
    np.testing.assert_allclose(run.state.base, y, atol=5e-3)
    h = 1e-5
    for j, e in enumerate(h * np.eye(x.size)):
        slope = (problem.lower_solution(x + e) - problem.lower_solution(x - e)) / (2 * h)
        np.testing.assert_allclose(run.state.slopes[:, j], slope, atol=0.05 * np.abs(slope).max())


@pytest.mark.parametrize("gate", ["exact", "affine"])
def test_optimum_of_ridge(gate):
    problem = fejer.RidgeBilevel.random()
    best = fejer.minimize(problem, method="hoag")
    run = after(problem, 3000, gate=gate, entropy=1e-5)
    assert abs(run.state.x[0] - best.x[0]) < 2e-2
    assert problem.judge(run.state.x).fun < best.fun * (1 + 1e-4)


class Rounded:
    """``f = 1/2 |y - round(x) c|^2``: nothing can be differentiated in x."""

    c = np.array([1.0, -0.5, 0.25])

    def upper(self, x, y):
        return 0.5 * np.sum((y - 3.2 * self.c) ** 2)

    def upper_in_y(self, x, y):
        return y - 3.2 * self.c

    def slope(self, x, y):
        return y - np.round(x[0]) * self.c


def test_integers_inside_f():
    data = Rounded()
    known = {"mu": 1.0, "L": 1.0, "LgF": 1.0, "LH": 0.0, "LJ": 0.0}
    problem = fejer.Bilevel(data.upper, data.upper_in_y, data.slope, [0.0], np.zeros(3), **known)
    run = after(problem, 4000, s0=1.0, upper_step=0.03, tune=False)
    assert round(run.state.x[0]) == 3


def test_where_it_ends():
    problem = fejer.RidgeBilevel.random()
    result = fejer.minimize(problem, method="self-tuning", options={"steps": 40}, tol=0.0)
    assert result.nit == 40 and result.work == 40 * 2
    later = fejer.minimize(
        problem, method="self-tuning", options={"steps": 40, "warm": 10}, tol=0.0
    )
    assert later.work == 40 * 2 + 30


@pytest.mark.parametrize(
    ("problem", "options"),
    [
        (fejer.RidgeBilevel.random(mode="feature"), {"gate": "exact"}),
        (fejer.LogisticBilevel.random(), {"gate": "exact"}),
        (fejer.ElasticNetBilevel.random(), {}),
    ],
)
def test_what_it_does_not_treat(problem, options):
    with pytest.raises(fejer.MethodError, match=r"one penalty|kinks"):
        fejer.minimize(problem, method="self-tuning", options=options)


@pytest.mark.parametrize("gate", ["exact", "affine"])
def test_mirrored_perturbations(gate):
    """One upper gradient more per iteration; the steps in x are the means over e and -e."""
    problem = fejer.RidgeBilevel.random()
    options = {"gate": gate, "warm": 5, "mirrored": True}
    runs = [after(problem, k, **{**options, "fall": 0.0}) for k in (5, 6)]
    before, state = (run.state for run in runs)
    assert state.work == before.work + 2 + 2
    # Adam's first step has the length 0.01 whatever the gradient is; its moments tell it.
    prep, noise = runs[1].prep, np.empty(1)
    middle = after(problem, 6, **{**options, "fall": 0.0, "warm": 6}).state
    draw_normals(middle.words.copy(), noise)
    s = np.exp(middle.spread)
    slopes = []
    for z in (noise, -noise):
        x = middle.x + s * z
        h = 1e-6
        values = [
            problem.upper_level(x, runs[1].method.response(prep, middle, x + d, s * z + d)).fun
            for d in (h, -h)
        ]
        slopes.append((values[0] - values[1]) / (2 * h) / problem.null_value())
    found = state.first / 0.1
    assert found[0, 0] == pytest.approx(np.mean(slopes), rel=1e-4)
    spread = np.mean([slopes[0] * noise * s, -slopes[1] * noise * s]) - 1e-3
    assert found[1, 0] == pytest.approx(spread, rel=1e-4)


@pytest.mark.parametrize("seed", [0, 1])
def test_mirrored_exact_gates_come_within_five_thousandths(seed):
    problem = fejer.RidgeBilevel.random(seed=4)
    best = fejer.minimize(problem, method="hoag", tol=1e-8)
    options = {"gate": "exact", "entropy": 1e-5, "mirrored": True, "steps": 6000}
    result = fejer.minimize(problem, method="self-tuning", options=options, tol=0.0, rng=seed)
    assert abs(result.x - best.x)[0] <= 5e-3
