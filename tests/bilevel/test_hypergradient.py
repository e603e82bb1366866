"""The bound of the hypergradient's error, against the truth in long doubles."""

import numpy as np
import pytest

import fejer
from tests.bilevel import twin


def instances():
    groups = [0, 0, 1, 1, 1, 2, 2, 0]
    return {
        "quadratic": fejer.QuadraticBilevel.random(),
        "quadratic wide": fejer.QuadraticBilevel.random(3, 9, 12, seed=3),
        "ridge scalar": fejer.RidgeBilevel.random(),
        "ridge feature": fejer.RidgeBilevel.random(mode="feature", seed=1),
        "ridge groups": fejer.RidgeBilevel.random(mode=groups, seed=2),
        "ridge few rows": fejer.RidgeBilevel.random(5, 9, 8, mode="feature", seed=3),
    }


INSTANCES = instances()


def truth(problem, x, chart):
    """Phi, its gradient in x or t, and y*."""
    if isinstance(problem, fejer.QuadraticBilevel):
        fun, gradient, y = twin.quadratic(problem, x)
        return fun, problem._chart().W @ gradient if chart else gradient, y
    fun, gradient, slope, y = twin.ridge(problem, x)
    return fun, twin.ridge_weights(problem, x) * slope if chart else gradient, y


def point(problem, rng):
    lower, upper = problem.box()
    if np.isfinite(lower).all():
        return rng.uniform(lower, upper)
    return 3 * rng.standard_normal(problem.size)


@pytest.mark.parametrize("name", INSTANCES)
def test_the_bound_holds_at_inexact_lower_solutions(name):
    problem, rng = INSTANCES[name], np.random.default_rng(7)
    ratios = []
    for trial in range(60):
        x, chart = point(problem, rng), bool(trial % 2)
        fun, gradient, y = truth(problem, x, chart)
        noise = 10.0 ** rng.uniform(-15, 1)
        inexact = y.astype(float) + noise * rng.standard_normal(problem.lower_size)
        q = problem.adjoint(x, inexact, problem.upper_level(x, inexact).grad_y)[0]
        if trial % 3:
            q = q + 10.0 ** rng.uniform(-15, 0) * rng.standard_normal(q.size)
        a = problem.assess(x, inexact, adjoint=q, chart=chart)
        error = float(np.linalg.norm(a.gradient - gradient))
        assert error <= a.error
        assert abs(a.fun - fun) <= a.fun_error
        assert np.linalg.norm(inexact - y) <= a.distance
        assert a.rigorous and a.floor <= a.error
        ratios.append(a.error / max(error, 1e-300))
    if name != "ridge few rows":  # there mu is the smallest penalty, down to 6e-6
        assert np.median(ratios) < 1e6


@pytest.mark.parametrize("name", INSTANCES)
def test_views_and_function_against_differences(name):
    problem, rng = INSTANCES[name], np.random.default_rng(1)
    for _ in range(5):
        x = point(problem, rng)
        found = fejer.hypergradient(problem, x, 1e-9)
        assert found.rigorous is True and found.error >= 0
        h = 1e-5
        for j in range(x.size):
            step = h * (np.arange(x.size) == j)
            up, down = truth(problem, x + step, False)[0], truth(problem, x - step, False)[0]
            slope = float((up - down) / (2 * h))
            assert abs(found.value[j] - slope) <= 1e-7 * (1 + abs(slope)) + found.error
        fun, gradient, y = truth(problem, x, False)
        np.testing.assert_allclose(problem.y(x), y.astype(float), rtol=1e-9, atol=1e-12)
        error = problem.hypergradient_error(x)
        assert np.linalg.norm(problem.hypergradient(x) - gradient) <= error
        low, high = problem.value_interval(x)
        assert low <= fun <= high


def test_without_a_factorisation_the_tolerance_decides(monkeypatch):
    problem = fejer.RidgeBilevel.random(30, 20, 8, mode="feature")
    monkeypatch.setattr(type(problem), "solver", lambda self, x: None)
    x = np.linspace(-3.0, 1.0, 8)
    gradient = twin.ridge(problem, x)[1]
    errors = []
    for tol in (1e-1, 1e-5, 1e-9):
        found = fejer.hypergradient(problem, x, tol)
        assert np.linalg.norm(found.value - gradient) <= found.error <= tol
        errors.append(found.error)
    assert errors[0] > errors[2]
    certificate = problem.judge(x)  # conjugate gradients inside the judge
    assert certificate.value == pytest.approx(twin.ridge_value(problem, x), rel=1e-9)


@pytest.mark.parametrize(
    ("problem", "x", "tol", "text"),
    [
        (
            fejer.FixedPoint.affine([[0.5]], [1.0]) if hasattr(fejer, "FixedPoint") else 3,
            [1.0],
            1e-6,
            "problem",
        ),
        (None, [1.0], 1e-6, "problem"),
        (INSTANCES["quadratic"], [1.0], 1e-6, "x"),
        (INSTANCES["quadratic"], [np.nan] * 4, 1e-6, "x"),
        (INSTANCES["quadratic"], [[1.0] * 4], 1e-6, "x"),
        (INSTANCES["quadratic"], "abcd", 1e-6, "x"),
        (INSTANCES["quadratic"], [1.0] * 4, -1.0, "tol"),
        (INSTANCES["quadratic"], [1.0] * 4, "small", "tol"),
    ],
)
def test_bad_arguments(problem, x, tol, text):
    with pytest.raises(fejer.ProblemError, match=f"^{text}: (expected|has)"):
        fejer.hypergradient(problem, x, tol)
