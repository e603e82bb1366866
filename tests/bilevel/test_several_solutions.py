"""Lower levels with several solutions: the pseudo-inverse formula, bias, the certificate of psi."""

import numpy as np
import pytest
from scipy.optimize import root

import fejer
from fejer.benchmarks.instances._several import SeveralSolutions
from fejer.benchmarks.instances.bilevel import several_solutions
from fejer.solvers.bilevel.penalty import Penalty

DATA = {name: SeveralSolutions.draw(3, 8, 5, name == "waves", 0) for name in ("quadratic", "waves")}
PROBLEMS = {name: fejer.Bilevel(**data.fields()) for name, data in DATA.items()}
BOTH = pytest.mark.parametrize("name", PROBLEMS)
TOL = 1e-6


def minimiser(data, x, s):
    """Of f + s F, by a root finder from the solution of the lower level."""

    def slope(y):
        return data.A2.T @ data.slope(data.residual(x, y)) + s * data.A1.T @ (data.A1 @ y - data.b1)

    y = data.solution(x)[2]
    for _ in range(3):
        y = root(slope, y, tol=1e-15).x
    assert np.linalg.norm(slope(y)) < 1e-12
    return y


def gradient(data, x, s):
    """Of psi: grad_x f vanishes at all solutions of the lower level."""
    y = minimiser(data, x, s)
    return 0.1 * x + data.A3.T @ data.slope(data.residual(x, y)) / s


@BOTH
def test_formula_with_the_pseudo_inverse(name):
    data, rng = DATA[name], np.random.default_rng(0)
    for _ in range(10):
        x, h = rng.standard_normal(3), 1e-5
        quotient = [
            (data.solution(x + e)[0] - data.solution(x - e)[0]) / (2 * h) for e in h * np.eye(3)
        ]
        np.testing.assert_allclose(data.solution(x)[1], quotient, atol=1e-8)


@BOTH
def test_bias_falls_like_s(name):
    data, x = DATA[name], np.array([0.5, -1.0, 0.3])
    truth = data.solution(x)[1]
    sizes = np.array([1e-2, 3e-3, 1e-3])
    errors = [np.linalg.norm(gradient(data, x, s) - truth) for s in sizes]
    np.testing.assert_allclose(np.diff(np.log(errors)) / np.diff(np.log(sizes)), 1.0, atol=0.1)
    Y = np.array([data.solution(x)[2], minimiser(data, x, 1e-2)])
    found = Penalty(order=1).gradient(PROBLEMS[name], x, Y, 1e-2)
    np.testing.assert_allclose(found, gradient(data, x, 1e-2), atol=1e-9)


@BOTH
def test_certificate_is_the_gradient_of_psi(name):
    problem, data = PROBLEMS[name], DATA[name]
    rng = np.random.default_rng(1)
    for _ in range(2):
        x = rng.standard_normal(3)
        truth = np.linalg.norm(gradient(data, x, problem.sigma))
        c = problem.judge(x)
        assert truth * (1 - 1e-7) <= c.value <= truth * 1.1 + 1e-6
        assert not c.rigorous and c.details["error_is_rigorous"] == 0.0
        low, high = problem.value_interval(x)
        assert low <= data.solution(x)[0] <= high
        y = minimiser(data, x, problem.sigma)
        for size in (1e-10, 1e-6, 1e-2, 1.0, 1e6):
            for witness in (
                {"y": y + size * rng.standard_normal(8)},
                {"y": y, "adjoint": size * rng.standard_normal(8)},
                {"y": y, "adjoint": np.full(8, np.inf)},
                {"y": "nonsense"},
            ):
                assert problem.judge(x, witness).value >= truth * (1 - 1e-6)


@BOTH
def test_optimum_and_points_away(name):
    problem, data = PROBLEMS[name].replace(sigma=0.05), DATA[name]
    result = fejer.minimize(problem, method="penalty", options={"inner": 30}, max_iter=3000)
    assert result.success and problem.auto() == ("penalty",)
    assert np.linalg.norm(gradient(data, result.x, problem.sigma)) <= TOL
    assert np.linalg.norm(data.solution(result.x)[1]) < 0.3  # bias
    np.testing.assert_allclose(result.y, minimiser(data, result.x, problem.sigma), atol=1e-7)
    rng = np.random.default_rng(2)
    for _ in range(8):
        x = result.x + 10.0 ** rng.uniform(-5, 0) * rng.standard_normal(3)
        if np.linalg.norm(gradient(data, x, problem.sigma)) > 3 * TOL:
            assert not problem.judge(x).holds(TOL)
            assert not problem.judge(x, result.witness).holds(TOL)


def test_another_lower_solution_is_not_taken_for_the_one_that_F_chooses():
    problem, data = PROBLEMS["quadratic"], DATA["quadratic"]
    x = np.array([0.5, -1.0, 0.3])
    N = np.linalg.svd(data.A2)[2][5:].T
    y = data.solution(x)[2] + N @ [3.0, -2.0, 1.0]
    assert np.linalg.norm(problem.lower_gradient(x, y)) < 1e-12
    c, truth = problem.judge(x, {"y": y}), data.solution(x)[0]
    assert c.fun == pytest.approx(truth, rel=1e-2)
    assert abs(problem.upper_value(x, y) - truth) > 1


@pytest.mark.parametrize("method", ["maid", "hoag", "bo-rep", "soba"])
def test_only_penalty_treats_it(method):
    with pytest.raises(fejer.MethodError, match="several solutions"):
        fejer.minimize(PROBLEMS["quadratic"], method=method)
    with pytest.raises(fejer.MethodError, match="order=1"):
        fejer.minimize(PROBLEMS["quadratic"], method="penalty", options={"order": 2})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("lower_level", "convex"),
        ("lower_level", None),
        ("lower_level", 1),
        ("sigma", 0.0),
        ("sigma", 2.0),
        ("sigma", "small"),
        ("grad_x_f", None),
    ],
)
def test_bad_fields(field, value):
    with pytest.raises(fejer.ProblemError, match=field):
        several_solutions().replace(**{field: value})


def test_many_variables_need_a_modulus():
    problem = fejer.Bilevel(**SeveralSolutions.draw(3, 250, 5, False, 0).fields())
    with pytest.raises(fejer.ProblemError, match="mu: expected a modulus"):
        problem.replace(mu=None)


def test_estimated_modulus():
    problem = PROBLEMS["quadratic"].replace(mu=None, L=None)
    c = problem.constants(np.zeros(3))
    assert c.mu == pytest.approx(1.0) and c.lipschitz == pytest.approx(4.0)
    assert fejer.minimize(problem, tol=1e-2).success


@pytest.mark.parametrize("form", ["stochastic", "momentum"])
def test_forms_over_samples(form):
    problem = fejer.RidgeBilevel.random(60, 80, 5, "feature")
    options = {"form": form, "batch": 20, "order": 1, "s0": 0.5, "decay": 0.0}
    run = fejer.minimize(problem, method="penalty", options=options, max_iter=1000, tol=1e-3)
    assert run.certificate.value < 0.3 * problem.judge(problem.initial_point()).value
    whole, again = (
        fejer.minimize(problem, method="penalty", options={**options, "batch": b}, max_iter=50)
        for b in (80, 1000)
    )
    assert np.array_equal(whole.x, again.x)


def test_momentum_without_sampling_is_a_plain_loop():
    problem = fejer.RidgeBilevel.random()
    options = {"form": "momentum", "order": 1, "batch": 1000, "s0": 0.5, "decay": 0.0}
    x, Y, total = problem.initial_point(), np.zeros((2, 8)), 0.0
    for step in fejer.steps(problem, method="penalty", options=options, max_iter=20):
        np.testing.assert_allclose(step.x, x, rtol=1e-10)
        # Averages of exact gradients are the gradients.
        c = problem.constants(x)
        g = (problem.lower_in_x(x, Y[1]) - problem.lower_in_x(x, Y[0])) / 0.5
        slopes = [problem.lower_gradient(x, y) for y in Y]
        slopes[1] = slopes[1] + 0.5 * problem.upper_level(x, Y[1]).grad_y
        falls = (step.nit + 1) ** -0.33
        Y = np.array(
            [
                y - falls * d / (c.lipschitz + w * c.upper)
                for y, d, w in zip(Y, slopes, (0, 0.5), strict=True)
            ]
        )
        total += g @ g
        x = np.clip(x - (g / np.sqrt(total) if total else 0 * g), problem.lower, problem.upper)
