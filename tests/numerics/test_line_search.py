"""Line searches: their conditions on hard functions, and exact minima against scipy."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from fejer.numerics.line_search import armijo, piecewise_quadratic, wolfe


def more_thuente_1(t):
    b = 2.0
    return -t / (t * t + b), (t * t - b) / (t * t + b) ** 2


def more_thuente_2(t):
    b = 0.004
    return (t + b) ** 5 - 2.0 * (t + b) ** 4, 5.0 * (t + b) ** 4 - 8.0 * (t + b) ** 3


def yanai(beta1, beta2):
    g1, g2 = (math.sqrt(1.0 + b * b) - b for b in (beta1, beta2))

    def phi(t):
        left, right = math.hypot(1.0 - t, beta2), math.hypot(t, beta1)
        return g1 * left + g2 * right, g1 * (t - 1.0) / left + g2 * t / right

    return phi


def barrier(t):
    return (
        (-math.log(1.0 - t) - 3.0 * t, 1.0 / (1.0 - t) - 3.0) if t < 1.0 else (math.nan, math.nan)
    )


FUNCTIONS = {
    "rational": more_thuente_1,
    "quintic": more_thuente_2,
    "yanai 1": yanai(0.001, 0.001),
    "yanai 2": yanai(0.01, 0.001),
    "yanai 3": yanai(0.001, 0.01),
    "barrier": barrier,
    "quartic": lambda t: ((t - 5.0) ** 4 + t, 4.0 * (t - 5.0) ** 3 + 1.0),
}


@pytest.mark.parametrize("step", [1e-3, 1e-1, 1.0, 10.0, 1e3])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_wolfe_conditions(name, step):
    phi = FUNCTIONS[name]
    value, slope = phi(0.0)
    calls = []
    found = wolfe(
        lambda t: calls.append(t) or phi(t), value, slope, step=step, curvature=0.1, max_iter=40
    )
    assert found.success and found.nfev == len(calls)
    assert (found.value, found.slope) == phi(found.step)
    assert found.value <= value + 1e-4 * found.step * slope
    assert abs(found.slope) <= -0.1 * slope


def test_wolfe_at_the_longest_step():
    found = wolfe(lambda t: (-t, -1.0), 0.0, -1.0, max_step=7.0)
    assert (found.step, found.success) == (7.0, False)


def test_wolfe_where_values_are_rounding():
    def phi(t):
        return 1e8 + 0.0 * t, 2e-9 * (t - 1.0)  # (t - 1)^2 1e-9, lost beside 1e8

    found = wolfe(phi, *phi(0.0), step=10.0, curvature=0.1)
    assert found.success and abs(found.step - 1.0) <= 0.1


def test_wolfe_gives_up_with_the_best_step():
    assert wolfe(lambda t: (math.nan, math.nan), 0.0, -1.0).step == 0.0
    assert wolfe(lambda t: (1.0, 1.0), 0.0, 1.0).nfev == 0
    bad = wolfe(lambda t: (-t if t < 0.3 else 5.0, -1.0), 0.0, -1.0)  # no such step exists
    assert not bad.success and 0.2 < bad.step < 0.3


@pytest.mark.parametrize("name", FUNCTIONS)
def test_armijo_condition(name):
    phi = FUNCTIONS[name]
    value, slope = phi(0.0)
    found = armijo(lambda t: phi(t)[0], value, slope, step=50.0)
    assert found.success
    assert found.value == phi(found.step)[0] <= value + 1e-4 * found.step * slope


def test_armijo_gives_up():
    found = armijo(lambda t: math.inf, 0.0, -1.0, max_iter=7)
    assert (found.step, found.value, found.nfev, found.success) == (0.0, 0.0, 7, False)
    assert armijo(lambda t: t, 0.0, 1.0).nfev == 0


@settings(derandomize=True, deadline=None, max_examples=150)
@given(
    slope=st.floats(-20.0, 5.0),
    curvature=st.sampled_from([0.0, 0.5, 3.0]),
    pieces=st.lists(
        st.tuples(
            st.one_of(st.sampled_from([0.0, 1.0, math.inf]), st.floats(0.0, 10.0)),
            st.floats(0.0, 5.0),
            st.floats(0.0, 5.0),
        ),
        max_size=8,
    ),
)
def test_piecewise_quadratic_has_zero_in_its_subdifferential(slope, curvature, pieces):
    knots, jumps, bends = (np.array([p[i] for p in pieces]) for i in range(3))
    t = piecewise_quadratic(slope, curvature, knots, jumps, bends)

    def derivative(t, side):
        on = knots <= t if side > 0 else knots < t
        distance = np.where(on, t - np.where(on, knots, 0.0), 0.0)
        return slope + curvature * t + jumps @ on + bends @ distance

    if t == math.inf:
        finite = np.isfinite(knots)
        far = 1e9
        assert curvature + bends[finite].sum() == 0.0
        assert derivative(far, 1) < 0.0
        return
    slack = 1e-10 * (1.0 + abs(slope) + jumps.sum() + 10 * bends.sum())
    assert derivative(t, 1) >= -slack
    assert t == 0.0 or derivative(t * (1 - 1e-12), -1) <= slack


def test_piecewise_quadratic_of_a_lasso_ray():
    rng = np.random.default_rng(0)
    A, b, x, d = rng.normal(size=(9, 6)), rng.normal(size=9), rng.normal(size=6), rng.normal(size=6)
    x[2] = 0.0

    def phi(t):
        r = A @ (x + t * d) - b
        return 0.5 * r @ r + 2.0 * np.abs(x + t * d).sum()

    if phi(1e-6) > phi(0.0):
        d = -d
    Ad, r = A @ d, A @ x - b
    sign = np.where(x != 0.0, np.sign(x), np.sign(d))
    crosses = x * d < 0.0
    knots = np.where(crosses, -x / d, np.inf)
    t = piecewise_quadratic(Ad @ r + 2.0 * sign @ d, Ad @ Ad, knots, 4.0 * np.abs(d))
    best = minimize_scalar(phi, bounds=(0.0, 5.0), method="bounded", options={"xatol": 1e-12})
    assert phi(t) <= best.fun + 1e-12
    assert t == pytest.approx(best.x, abs=1e-6)


def test_piecewise_quadratic_with_negative_bends():
    """A squared hinge that ends: the curvature falls from 3 to 1 at t = 1."""
    assert piecewise_quadratic(-4.0, 3.0, np.array([1.0]), 0.0, -2.0) == pytest.approx(2.0)
