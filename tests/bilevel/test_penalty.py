"""penalty: bias of its gradient in s, derivatives of f in x, optimum, split law."""

import numpy as np
import pytest

import fejer
from fejer.solvers.bilevel.penalty import Penalty
from tests.bilevel import twin
from tests.bilevel.test_hoag import flat, run

CLASSES = [
    fejer.Bilevel,
    fejer.QuadraticBilevel,
    fejer.RidgeBilevel,
    fejer.LogisticBilevel,
    fejer.MultinomialBilevel,
    fejer.DataHyperCleaning,
    fejer.TVDenoising,
]


def minimisers(problem, x, weights):
    """Of f + w F, both quadratic in y."""
    A1, A2, A3 = (m.toarray() for m in (problem.A1, problem.A2, problem.A3))
    right = A2.T @ (problem.b2 - A3 @ x)
    return np.array(
        [np.linalg.solve(A2.T @ A2 + w * A1.T @ A1, right + w * A1.T @ problem.b1) for w in weights]
    )


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("seed", range(3))
def test_bias_falls_like_s_or_its_square(order, seed):
    problem = fejer.QuadraticBilevel.random(seed=seed)
    x = np.random.default_rng(seed).standard_normal(problem.size)
    truth = twin.quadratic(problem, x)[1].astype(float)
    sizes = np.array([1e-2, 3e-3, 1e-3])
    errors = []
    for s in sizes:
        weights = (0.0, s, -s)[: order + 1]
        g = Penalty(order=order).gradient(problem, x, minimisers(problem, x, weights), s)
        errors.append(np.linalg.norm(g - truth))
    slopes = np.diff(np.log(errors)) / np.diff(np.log(sizes))
    np.testing.assert_allclose(slopes, order, atol=0.1)


@pytest.mark.parametrize("cls", CLASSES, ids=lambda c: c.__name__)
def test_gradients_of_f_in_x_agree_with_the_cross_derivative(cls):
    """d/dt grad_x f(x, y + t v) = J'v."""
    problem, rng = cls.random(), np.random.default_rng(0)
    x = problem.initial_point() + 0.1 * rng.standard_normal(problem.size)
    x = problem.project(x)[0]
    y, v = problem.lower_start() + rng.standard_normal((2, problem.lower_size))
    h = 1e-6
    quotient = (problem.lower_in_x(x, y + h * v) - problem.lower_in_x(x, y - h * v)) / (2 * h)
    np.testing.assert_allclose(quotient, problem.cross(x, y, v).product, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("order", [1, 2])
def test_optimum(order):
    problem = fejer.QuadraticBilevel.random(seed=2)
    best, M, _ = twin.quadratic_solution(problem)
    options = {"order": order, "s_min": 1e-6 if order == 1 else 1e-4, "inner": 20}
    result = fejer.minimize(problem, method="penalty", options=options, tol=1e-3, max_iter=5000)
    assert result.success
    assert np.linalg.norm(M @ (result.x - best)) < 1e-2 * np.linalg.norm(M @ best)


def test_order_2_is_far_more_accurate_at_the_same_weight():
    problem = fejer.RidgeBilevel.random()
    values = []
    for order in (1, 2):
        options = {"order": order, "s0": 0.01, "s_min": 0.01, "decay": 0.0, "inner": 30}
        result = fejer.minimize(problem, method="penalty", options=options, max_iter=300, tol=0.0)
        values.append(result.certificate.value)
    assert values[1] < 0.1 * values[0]


@pytest.mark.parametrize("order", [1, 2])
def test_cuts_do_not_change_the_bits(order):
    problem = fejer.LogisticBilevel.random()
    whole = flat(run(problem, Penalty(order=order), [40]))
    assert flat(run(problem, Penalty(order=order), [1] * 40)) == whole
    assert flat(run(problem, Penalty(order=order), [7, 30, 3])) == whole


def test_what_it_needs():
    problem = fejer.Bilevel.random().replace(grad_x_f=None)
    with pytest.raises(fejer.MethodError, match="grad_x_f is missing"):
        fejer.minimize(problem, method="penalty")


@pytest.mark.parametrize(
    "options",
    [{"order": 3}, {"order": 0}, {"s0": 2.0}, {"s_min": 0.0}, {"inner": 0}, {"decay": -1}],
)
def test_options(options):
    with pytest.raises(fejer.OptionError, match="penalty"):
        fejer.minimize(fejer.RidgeBilevel.random(), method="penalty", options=options)


def test_proximal_steps_are_a_plain_loop():
    problem = fejer.QuadraticBilevel.random()
    options = {"order": 1, "proximal": 5.0, "average": 0.7, "inner": 6, "decay": 0.0, "s0": 0.1}
    x, Y = problem.initial_point(), np.zeros((2, problem.lower_size))
    c, total = problem.constants(x), 0.0
    A1, A2, A3 = (m.toarray() for m in (problem.A1, problem.A2, problem.A3))
    for step in fejer.steps(problem, method="penalty", options=options, max_iter=8, tol=0.0):
        np.testing.assert_allclose(step.x, x, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(step.state.Y, Y, rtol=1e-9, atol=1e-12)
        for i, w in enumerate((0.0, 0.1)):
            centre = Y[i]
            L = c.lipschitz + w * c.upper
            rho, root = 5.0 / L, np.sqrt((c.mu + L / 5) / (L + L / 5))
            y = before = centre
            for _ in range(6):
                slope = A2.T @ (A2 @ y + A3 @ x - problem.b2) + w * A1.T @ (A1 @ y - problem.b1)
                following = y - (slope + (y - centre) / rho) / (L + 1 / rho)
                y = following + (1 - root) / (1 + root) * (following - before)
                before = following
            Y[i] = 0.3 * centre + 0.7 * y
        g = A3.T @ A2 @ (Y[1] - Y[0]) / 0.1
        total += g @ g
        x = x - np.sqrt(x.size) * g / np.sqrt(total)


@pytest.mark.parametrize("proximal", [0.5, 20.0])
def test_proximal_steps_find_the_same_optimum(proximal):
    problem = fejer.QuadraticBilevel.random()
    options = {"proximal": proximal, "average": 0.8}
    result = fejer.minimize(problem, method="penalty", options=options, tol=1e-3)
    assert result.success
    with pytest.raises(fejer.MethodError, match="proximal"):
        fejer.minimize(problem, method="penalty", options={**options, "form": "momentum"})


def test_common_samples_keep_the_noise_of_quotients_small():
    """The weight s divides the difference of two minimisers: their noise must be the same."""
    problem = fejer.RidgeBilevel.random(200, 200, 5, "feature")
    x = problem.initial_point()
    spread = []
    for s in (1e-1, 1e-3):
        options = {"form": "stochastic", "order": 1, "s0": s, "s_min": s, "decay": 0.0}
        options |= {"batch": 8, "fade": 0.0, "radius": 1e-12}  # x stays
        found = []
        for step in fejer.steps(problem, method="penalty", options=options, max_iter=400):
            if step.nit >= 200:
                found.append((step.state.Y[1] - step.state.Y[0]) / s)
            np.testing.assert_allclose(step.x, x, atol=1e-9)
        spread.append(float(np.linalg.norm(np.std(found, axis=0))))
    assert spread[1] < 2 * spread[0]
