"""FieldOfExperts: loops over pixels, differences, total variation, switched-off experts."""

import pickle

import numpy as np
import pytest
from scipy.optimize import minimize

import fejer
from fejer.problems.bilevel._experts import Windows

F = fejer.FieldOfExperts
SMALL = F.random(2, 5, 6, 2, 3, lower=-4.0, upper=2.0)
EVEN = F.random(1, 6, 5, 3, 2, lower=-4.0, upper=2.0, seed=1)
ALL = pytest.mark.parametrize("problem", [SMALL, EVEN, F.random()], ids=["3x3", "2x2", "1x1"])
TOL = 1e-6


def lower(problem, x, y):
    """f by loops over the pixels of one image after another."""
    k, s = problem.experts, problem.side
    a, b = x[1 : k + 1], x[k + 1 : 2 * k + 1]
    filters = x[2 * k + 1 :].reshape(k, s, s)
    before = (s - 1) // 2
    Y, noisy = y.reshape(problem.noisy.shape), problem.noisy
    total = 0.5 * ((Y - noisy) ** 2).sum()
    for image in Y:
        padded = np.pad(image, (before, s - 1 - before), mode="symmetric")
        for i in range(image.shape[0]):
            for j in range(image.shape[1]):
                t = (filters * padded[i : i + s, j : j + s]).sum(axis=(1, 2))
                total += 0.5 * np.exp(x[0]) * (np.exp(a) * np.sqrt(t**2 + np.exp(2 * b))).sum()
    return total / len(Y)


def draw(problem, rng, size=1.0):
    x = problem.initial_point() + size * 0.5 * rng.standard_normal(problem.size)
    return problem.project(x)[0]


def quotient(function, at, h=1e-5):
    return np.array([(function(at + e) - function(at - e)) / (2 * h) for e in h * np.eye(at.size)])


@ALL
def test_derivatives_of_the_lower_level(problem):
    rng = np.random.default_rng(0)
    x, y = draw(problem, rng), problem.noisy.ravel() + 0.3 * rng.standard_normal(problem.lower_size)
    found = quotient(lambda v: lower(problem, x, v), y)
    np.testing.assert_allclose(problem.lower_gradient(x, y), found, atol=1e-8)
    found = quotient(lambda u: lower(problem, u, y), x)
    np.testing.assert_allclose(problem.lower_in_x(x, y), found, atol=1e-8)
    q, h = rng.standard_normal(y.size), 1e-6
    ends = [problem.lower_gradient(x, y + s * h * q) for s in (1, -1)]
    np.testing.assert_allclose(problem.hessian(x, y)(q), (ends[0] - ends[1]) / (2 * h), atol=1e-7)
    found = quotient(lambda u: float(problem.lower_gradient(u, y) @ q), x, 1e-6)
    np.testing.assert_allclose(problem.cross(x, y, q).product, found, atol=1e-7)


@ALL
def test_constants_bound_what_they_name(problem):
    rng = np.random.default_rng(1)
    for _ in range(15):
        x = draw(problem, rng, 2.0)
        y = problem.noisy.ravel() + rng.standard_normal(problem.lower_size)
        c, m = problem.constants(x), y.size
        H = np.array([problem.hessian(x, y)(e) for e in np.eye(m)])
        values = np.linalg.eigvalsh(H)
        assert c.mu <= values[0] * (1 + 1e-12) and values[-1] <= c.lipschitz * (1 + 1e-12)
        other = y + 10.0 ** rng.uniform(-6, 0.5) * rng.standard_normal(m)
        distance = np.linalg.norm(other - y)
        q = rng.standard_normal(m)
        moved = np.linalg.norm(problem.hessian(x, other)(q) - H @ q)
        assert (
            moved
            <= problem.hessian_change(x, y, q, distance)
            <= 2 * c.lipschitz * np.linalg.norm(q)
        )
        assert moved <= c.hessian * distance * np.linalg.norm(q)
        for chart in (False, True):
            J = np.array([problem.cross(x, y, e, chart=chart).product for e in np.eye(m)])
            there = np.array([problem.cross(x, other, e, chart=chart).product for e in np.eye(m)])
            known = problem.cross(x, y, q, chart=chart)
            assert np.linalg.norm(J, 2) <= known.norm * (1 + 1e-12)
            assert np.linalg.norm(there - J, 2) <= known.lipschitz * distance
            assert np.linalg.norm((there - J).T @ q) <= known.change * distance


@ALL
def test_bounds_of_hypergradient_and_value(problem):
    rng = np.random.default_rng(2)
    for _ in range(4):
        x = draw(problem, rng)
        y = problem.lower_solution(x)
        truth = problem.assess(x, y)
        assert truth.error < 1e-6 * (1 + np.linalg.norm(truth.gradient))
        for trial in range(12):
            chart = bool(trial % 2)
            size = 10.0 ** rng.uniform(-8, 0)
            a = problem.assess(x, y + size * rng.standard_normal(y.size), chart=chart)
            exact = problem.assess(x, y, chart=chart)
            assert np.linalg.norm(a.gradient - exact.gradient) <= a.error + exact.error
            assert abs(a.fun - truth.fun) <= a.fun_error + truth.fun_error
            assert a.error <= a.published_error


@ALL
def test_hypergradient_is_the_difference_quotient(problem):
    rng = np.random.default_rng(3)
    x = draw(problem, rng)

    def phi(u):
        y = problem.lower_solution(u)
        return 0.5 * float(((y - problem.clean.ravel()) ** 2).sum()) / len(problem.clean)

    found = quotient(phi, x, 1e-5)
    z = fejer.hypergradient(problem, x, 1e-8)
    np.testing.assert_allclose(z.value, found, rtol=1e-5, atol=1e-7)


def test_lower_solution_is_that_of_a_general_solver():
    x = draw(SMALL, np.random.default_rng(4))
    found = minimize(
        lambda y: lower(SMALL, x, y),
        SMALL.noisy.ravel(),
        jac=lambda y: SMALL.lower_gradient(x, y),
        options={"gtol": 1e-8},
    )
    np.testing.assert_allclose(SMALL.lower_solution(x), found.x, atol=1e-5)


@pytest.mark.parametrize("side", [2, 3, 5])
def test_total_variation_is_two_experts(side):
    tv = fejer.TVDenoising.random(2, 7, 6)
    problem = F(tv.clean, tv.noisy, 4, side)
    for point in ([-1.0, -2.0], [0.5, -4.0]):
        x = problem.variation(*point)
        y = tv.lower_solution(np.array(point))
        # The experts that are off have weight exp(-12).
        np.testing.assert_allclose(problem.lower_solution(x), y, atol=2e-4)
        found, wanted = problem.judge(x), tv.judge(np.array(point))
        assert found.fun == pytest.approx(wanted.fun, rel=1e-3)


def test_windows_and_their_adjoint():
    rng = np.random.default_rng(5)
    for shape, side in (((2, 5, 6), 3), ((1, 4, 4), 4), ((1, 3, 7), 1)):
        W = Windows(shape, side)
        y, T = rng.standard_normal(np.prod(shape)), rng.standard_normal(W.index.shape)
        assert (W.take(y) * T).sum() == pytest.approx(y @ W.give(T))
        filters = rng.standard_normal((3, side * side))
        for k, bound in zip(filters, W.bounds(filters), strict=True):
            C = np.array([W.take(e) @ k for e in np.eye(y.size)]).T
            assert np.linalg.norm(C, 2) <= bound * (1 + 1e-12)


# Attacks ---------------------------------------------------------------------------------------


def test_points_without_effect_are_refused():
    problem = F.random(2, 8, 8, 2, 3, noise=1.0, lower=-12.0, upper=4.0)
    x, rng = problem.initial_point(), np.random.default_rng(6)
    filters = problem.unpack(x)[2]
    low, k = np.full(2, -12.0), 2
    hostile = [
        problem.pack(-12.0, low, np.zeros(k), filters),  # both weights off
        problem.pack(-12.0, low, np.full(k, -8.0), 100 * np.abs(filters)),  # and bad filters
        problem.pack(0.0, np.zeros(k), np.zeros(k), 0 * filters),  # no filters
        problem.pack(0.0, np.zeros(k), np.zeros(k), 1e-9 * filters),
        problem.pack(0.0, np.zeros(k), np.full(k, 4.0), 1e-4 * filters),
        problem.pack(4.0, np.full(k, 4.0), low, filters),  # constant images
        problem.pack(4.0, np.full(k, 4.0), np.full(k, 4.0), 100 * filters),
        problem.pack(4.0, np.full(k, 4.0), low, 1e6 * filters),
        problem.pack(-12.0, low, np.zeros(k), 1e6 * rng.standard_normal(filters.shape)),
        np.zeros(problem.size),
    ]
    best = fejer.minimize(problem, method="hoag", max_iter=30).fun
    for x in hostile:
        c = problem.judge(x)
        assert c.value > 1e-3
        assert c.fun > 1.05 * best or c.value > 1e3
        clean, zero = problem.clean.ravel(), np.zeros(problem.lower_size)
        if np.isfinite(c.value) and c.value < 100:  # elsewhere the lower level is a long solve
            for adjoint in (zero, problem.clean.ravel() - problem.noisy.ravel()):
                for y in (clean, c.witness["y"]):
                    assert problem.judge(x, {"y": y, "adjoint": adjoint}).value > 1e-3


def test_a_filter_may_be_scaled_without_tolerance():
    """Ten thousand times the filter, smoothing and weight to match: the same Phi and value."""
    problem = F.random(2, 8, 8, 1, 2, lower=-40.0, upper=40.0)
    x = draw(problem, np.random.default_rng(7))
    value = problem.judge(x)
    scaled = x.copy()
    scaled[1] -= np.log(1e4)
    scaled[2] += np.log(1e4)
    scaled[3:] *= 1e4
    other = problem.judge(scaled)
    assert other.fun == pytest.approx(value.fun, rel=1e-9)
    assert other.value > 0.1 * value.value


def test_optimum_and_points_away():
    problem = F.random()
    result = fejer.minimize(problem, method="maid", tol=1e-7)
    assert result.success
    rng, failed = np.random.default_rng(8), 0
    for _ in range(60):
        step = 10.0 ** rng.uniform(-6, 0) * rng.standard_normal(problem.size)
        x = problem.project(result.x + step)[0]
        exact = problem.judge(x)
        step_alone = exact.details["step"]
        if step_alone >= 3 * TOL:
            failed += 1
            assert not exact.holds(TOL) and not problem.judge(x, result.witness).holds(TOL)
            for witness in ({"y": "text"}, {"y": np.full(problem.lower_size, 1e9)}):
                assert not problem.judge(x, witness).holds(TOL)
    assert failed >= 30


def test_pickling_and_layouts():
    p = SMALL
    x = draw(p, np.random.default_rng(9))
    value = p.judge(x).value
    assert pickle.loads(pickle.dumps(p)).judge(x).value == value
    other = F(p.clean.tolist(), np.asfortranarray(p.noisy), 2, 3, -4, 2)
    assert other.judge(x).value == pytest.approx(value, rel=1e-9)


IMAGE = np.arange(12.0).reshape(3, 4)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("clean", IMAGE[0]),
        ("clean", IMAGE * np.nan),
        ("clean", "image"),
        ("clean", IMAGE + 1j),
        ("noisy", IMAGE.T),
        ("noisy", IMAGE[:, :3]),
        ("noisy", None),
        ("noisy", np.full((3, 4), np.inf)),
        ("experts", 0),
        ("experts", 2.5),
        ("experts", "many"),
        ("side", 0),
        ("side", 4),
        ("side", None),
        ("lower", 5.0),
        ("lower", np.nan),
        ("upper", -12.0),
        ("upper", 1e3),
        ("scale", 0.0),
    ],
)
def test_bad_fields(field, value):
    good = {"clean": IMAGE, "noisy": IMAGE + 1, "side": 2, "experts": 2}
    with pytest.raises(fejer.ProblemError, match=field.replace("lower", "lower|upper")):
        F(**{**good, field: value})


def test_variation_needs_two_experts():
    with pytest.raises(fejer.ProblemError, match="experts: expected two"):
        F.random().variation(0.0, 0.0)
