"""Second derivatives of a fitted map's objective, and Newton's method on the images."""

import numpy as np
import pytest

import fejer
from fejer.benchmarks.instances import monge
from fejer.solvers.transport.image_newton import minimize_in_ball

X = np.random.default_rng(0).normal(size=(11, 3))
Z = np.random.default_rng(1).normal(size=(9, 3)) * [1.5, 0.5, 1.0] + 1.0
COSTS = ("sqeuclidean", "halfsq", "euclidean", "l1", 1.5)


@pytest.mark.parametrize("cost", COSTS)
@pytest.mark.parametrize("lam", [0.0, 0.7])
@pytest.mark.parametrize("kind", ["affine", "rbf", "mlp"])
def test_curvature_against_differences(cost, lam, kind):
    """Along random directions; the exact response of all potentials included."""
    problem = fejer.MapFit(X, Z, kind, lam, eps=0.5, cost=cost)
    rng = np.random.default_rng(2)
    theta = problem.initial_point() + 0.1 * rng.normal(size=problem.family.size)
    direction, h = rng.normal(size=theta.size), 1e-5
    fit = problem.evaluate(theta)
    ends = [problem.evaluate(theta + s * h * direction) for s in (1, -1)]
    moved = fit.curvature() @ (problem.family.jacobian(theta, X) @ direction)
    expected = (ends[0].images_grad - ends[1].images_grad).ravel() / (2 * h)
    assert moved == pytest.approx(expected, abs=1e-7 * np.abs(expected).max())
    slope = (ends[0].fun - ends[1].fun) / (2 * h)
    assert fit.grad @ direction == pytest.approx(slope, rel=1e-6)


@pytest.mark.parametrize("eps", [0.01, 0.1, 10.0])
def test_curvature_where_plans_are_nearly_permutations(eps):
    problem = fejer.MapFit(X, Z[:, ::-1], "affine", 1.0, eps=eps)
    theta, h = problem.initial_point() + 0.1, 1e-6
    H, J = problem.evaluate(theta).curvature(), problem.family.jacobian(theta, X)
    direction = np.random.default_rng(3).normal(size=theta.size)
    ends = [problem.evaluate(theta + s * h * direction).images_grad for s in (1, -1)]
    expected = (ends[0] - ends[1]).ravel() / (2 * h)
    assert H @ (J @ direction) == pytest.approx(expected, abs=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("make", ["affine", "rbf", "mlp", "convex"])
def test_jacobians_are_adjoint_to_pulls(make):
    problem = monge.convex_fit(X, Z) if make == "convex" else fejer.MapFit(X, Z, make)
    rng = np.random.default_rng(4)
    theta = problem.initial_point() + 0.1 * rng.normal(size=problem.family.size)
    G = rng.normal(size=X.shape)
    J = problem.family.jacobian(theta, X)
    assert J.T @ G.ravel() == pytest.approx(problem.family.pull(theta, X, G), abs=1e-10)


@pytest.mark.parametrize("kind", ["affine", "rbf", "mlp"])
@pytest.mark.parametrize("lam", [0.0, 1.0])
def test_gradients_that_other_methods_do_not_reach(kind, lam):
    x, z, _ = monge.gaussians(24, 2, 3)
    problem = fejer.MapFit(x, z, kind, lam)
    result = fejer.minimize(problem, tol=1e-7, max_iter=600)
    assert result.method == "image-newton" and result.success
    # the value is the gradient's, told independently of the method
    h = 1e-6
    rng = np.random.default_rng(5)
    for _ in range(3):
        d = rng.normal(size=result.x.size)
        d /= np.linalg.norm(d)
        ends = [problem.objective(result.x + s * h * d) for s in (1, -1)]
        assert abs(ends[0] - ends[1]) / (2 * h) <= 1e-6 * result.certificate.scale


def test_values_fall_and_limits_of_size_are_named():
    x, z, _ = monge.gaussians(20, 2, 1)
    problem = fejer.MapFit(x, z, "mlp", 1.0)
    values = [step.fun for step in fejer.steps(problem, method="image-newton", max_iter=15)]
    assert np.all(np.diff(values) <= 1e-12)
    large = fejer.MapFit(np.zeros((1600, 2)), np.ones((3, 2)))
    with pytest.raises(fejer.FejerError, match="coordinates of the images"):
        fejer.minimize(large, method="image-newton")
    assert large.auto()[0] == "lbfgs"


def test_step_in_a_ball_against_a_search():
    rng = np.random.default_rng(6)
    for trial in range(30):
        values, slope = np.sort(rng.normal(size=3)), rng.normal(size=3)
        if trial % 3 == 0:
            slope[0] = 0.0  # the hard case
        radius = float(rng.uniform(0.1, 3.0))
        s, shift = minimize_in_ball(values, slope, radius)
        assert np.linalg.norm(s) <= radius * (1 + 1e-9) and shift >= max(0.0, -values[0]) - 1e-12
        points = rng.normal(size=(20_000, 3))
        points *= (radius * rng.random((20_000, 1)) ** 0.2) / np.linalg.norm(points, axis=1)[
            :, None
        ]
        model = points @ slope + 0.5 * (points**2) @ values
        assert slope @ s + 0.5 * (s * s) @ values <= model.min() + 1e-9


def test_step_in_a_ball_at_its_edges():
    """A gradient in the lowest direction alone; curvature that hides the gradient by rounding."""
    s, _ = minimize_in_ball(np.array([-1.0, 2.0]), np.array([1e-3, 0.0]), 0.5)
    assert s == pytest.approx([-0.5, 0.0])
    s, shift = minimize_in_ball(np.array([-1e8, -1.0, 3.0]), np.array([1e-12, 1.0, -1.0]), 1.0)
    assert np.linalg.norm(s) == pytest.approx(1.0) and shift >= 1e8
    for values in ([-2.0, -2.0], [0.0, 0.0], [1e-300, 1.0]):
        s, _ = minimize_in_ball(np.array(values), np.array([3.0, 4.0]), 2.0)
        assert np.linalg.norm(s) <= 2.0 * (1 + 1e-9)


@pytest.mark.parametrize("scale", [1e-8, 1e3, 1e8, 1e25])
@pytest.mark.parametrize("kind", ["affine", "rbf", "mlp"])
def test_hostile_starts(kind, scale):
    problem = fejer.MapFit.random(map=kind)
    x0 = scale * np.random.default_rng(8).normal(size=problem.family.size)
    if problem.evaluate(x0).not_finite():
        with pytest.raises(fejer.ProblemError, match=r"^x0: "):
            fejer.minimize(problem, x0, method="image-newton")
        return
    result = fejer.minimize(problem, x0, method="image-newton", max_iter=60)
    assert np.isfinite(result.x).all() and result.fun <= problem.objective(x0)
    assert result.success == (result.certificate.value <= 1e-6)


def test_the_cost_of_the_gap_decides_which_map_is_learnt():
    """For the distance diag(3, .3) is not optimal; the map for it pays less in that cost."""
    cost = "euclidean"
    x = np.random.default_rng(7).normal(size=(30, 2))
    z = x * [3.0, 0.3] + [4.0, 0.0]
    squared = fejer.minimize(fejer.MapFit(x, z, lam=20.0), tol=1e-6)
    other = fejer.minimize(fejer.MapFit(x, z, lam=20.0, cost=cost), tol=1e-6)
    assert squared.success and other.success
    gaps = [fejer.monge_gap(x, r.fitted_map(x), cost) for r in (other, squared)]
    assert gaps[0] < 0.7 * gaps[1]
    assert fejer.monge_gap(x, squared.fitted_map(x)) < 1e-6


def test_translation_is_optimal_for_every_cost():
    target = X + np.array([5.0, -4.0, 3.0])
    for cost in COSTS:
        problem = fejer.MapFit(X, target, lam=1.0, eps=0.5, cost=cost)
        result = fejer.minimize(problem, tol=1e-8)
        assert result.success
        moved = result.fitted_map(X).mean(axis=0) - X.mean(axis=0)
        assert moved == pytest.approx([5.0, -4.0, 3.0], abs=0.02)  # the entropy bends a little


@pytest.mark.parametrize("cost", ["distance", None, 0.5, 3.0, np.nan])
def test_bad_costs_are_refused_by_name(cost):
    with pytest.raises(fejer.ProblemError, match=r"^cost: "):
        fejer.MapFit([[0.0], [1.0]], [[2.0]], cost=cost)
