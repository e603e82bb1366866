"""Sinkhorn divergence and Monge gap: closed forms, gradients, what they must be 0 for."""

import numpy as np
import pytest

import fejer
from tests.transport.test_exact_ot import truth

COSTS = ["sqeuclidean", "halfsq", "euclidean", "l1", 1.5]
RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 2))
Y = X + 0.7 * RNG.normal(size=(40, 2))


@pytest.mark.parametrize("cost", COSTS)
def test_gap_of_translations_is_zero(cost):
    assert abs(fejer.monge_gap(X, X + np.array([3.0, -1.0]), cost)) < 1e-12


def test_gap_of_gradients_of_convex_functions_is_zero():
    A = np.array([[2.0, 0.5], [0.5, 1.0]])
    for y in (X @ A, X * np.abs(X), np.tanh(X), X * (1 + (X**2).sum(axis=1, keepdims=True))):
        assert abs(fejer.monge_gap(X, y)) < 1e-12
    stretched = X * [3.0, 0.3]
    assert (
        abs(fejer.monge_gap(X, stretched))
        < 1e-12
        < 1e-3
        < fejer.monge_gap(X, stretched, "euclidean")
    )


def test_gap_of_a_rotation():
    """4 (1 - cos) in the population, for the squared distance; the sample is near to it."""
    x = np.random.default_rng(0).normal(size=(200, 2))
    c, s = np.cos(0.9), np.sin(0.9)
    gap = fejer.monge_gap(x, x @ np.array([[c, s], [-s, c]]))
    assert gap == pytest.approx(1.375, abs=1e-3) and 0.85 < gap / (4 * (1 - c)) < 1


@pytest.mark.parametrize("cost", COSTS)
def test_gap_against_its_definition(cost):
    cloud = fejer.PointCloud(X, Y, cost)
    expected = np.diagonal(cloud.toarray()).mean() - truth(fejer.ExactOT(None, None, cloud))
    assert fejer.monge_gap(X, Y, cost) == pytest.approx(expected, abs=1e-9)
    blurred = fejer.monge_gap(X, Y, cost, eps=0.2) - 0.2 * np.log(40)
    assert blurred > -1e-9


def slope(function, at, direction, h=1e-5):
    return (function(at + h * direction) - function(at - h * direction)) / (2 * h)


@pytest.mark.parametrize("cost", COSTS)
@pytest.mark.parametrize("eps", [None, 0.3])
def test_gradient_of_the_gap(cost, eps):
    _, gradient = fejer.monge_gap(X, Y, cost, eps, grad=True)
    direction = np.random.default_rng(1).normal(size=Y.shape)
    expected = slope(lambda y: fejer.monge_gap(X, y, cost, eps), Y, direction)
    assert (gradient * direction).sum() == pytest.approx(expected, rel=1e-6, abs=1e-7)
    assert np.isfinite(fejer.monge_gap(X, X, cost, eps, grad=True)[1]).all()


def test_divergence_and_its_gradient():
    x, a = X[:15], np.arange(1.0, 16.0)
    value, gradient = fejer.sinkhorn_divergence(x, Y, 0.3, a / a.sum(), grad=True)
    direction = np.random.default_rng(1).normal(size=x.shape)
    expected = slope(lambda x: fejer.sinkhorn_divergence(x, Y, 0.3, a / a.sum()), x, direction)
    assert (gradient * direction).sum() == pytest.approx(expected, rel=1e-6)
    assert value > 0 and abs(fejer.sinkhorn_divergence(X, X, 0.3)) < 1e-9
    assert fejer.sinkhorn_divergence(X, X[::-1], 0.3) == pytest.approx(0, abs=1e-9)


def test_divergence_between_its_limits():
    exact = fejer.transport(X, Y, tol=1e-10).fun
    small = fejer.sinkhorn_divergence(X, Y, 1e-3)
    assert small == pytest.approx(exact, abs=2e-3)
    means = ((X.mean(axis=0) - Y.mean(axis=0)) ** 2).sum()
    assert fejer.sinkhorn_divergence(X, Y, 1e5) == pytest.approx(means, abs=1e-3)
    assert fejer.sinkhorn_divergence(X, X + np.array([0.5, 0.0]), 0.2) == pytest.approx(
        0.25, abs=1e-8
    )


def test_divergence_by_an_independent_definition():
    """All three terms from the entropic problem itself, in the form with KL(P | a b')."""
    eps, n, values = 0.4, 40, []
    for x, y in ((X, Y), (X, X), (Y, Y)):
        problem = fejer.EntropicOT(None, None, fejer.PointCloud(x, y), eps=eps)
        P = fejer.minimize(problem, tol=1e-11).plan.toarray()
        values.append((P * problem.cost.matrix).sum() + eps * (P * np.log(P * n * n)).sum())
    expected = values[0] - values[1] / 2 - values[2] / 2
    assert fejer.sinkhorn_divergence(X, Y, eps) == pytest.approx(expected, abs=1e-8)


def test_single_points_and_lines():
    assert fejer.sinkhorn_divergence([1.0], [3.0], 0.1) == pytest.approx(4.0, abs=1e-9)
    assert fejer.sinkhorn_divergence([1.0, 2.0], [3.0], 0.1, grad=True)[1].shape == (2,)
    assert fejer.monge_gap([1.0], [3.0]) == 0.0
    assert fejer.monge_gap([0.0, 1.0], [1.0, 0.0]) == pytest.approx(1.0)
    # an atom without weight
    weighted = fejer.sinkhorn_divergence([1.0, 9.0], [3.0], 0.1, a=[1.0, 0.0])
    assert weighted == pytest.approx(4.0, abs=1e-9)


BAD = [
    ("x", lambda: fejer.monge_gap([[np.nan]], [[1.0]])),
    ("y", lambda: fejer.monge_gap([[1.0]], [[1.0], [2.0]])),
    ("y", lambda: fejer.monge_gap([[1.0]], [[1.0, 2.0]])),
    ("cost", lambda: fejer.monge_gap([1.0], [1.0], "manhattan")),
    ("eps", lambda: fejer.monge_gap([1.0], [1.0], eps=0.0)),
    ("eps", lambda: fejer.monge_gap([1.0], [1.0], eps=np.nan)),
    ("eps", lambda: fejer.sinkhorn_divergence([1.0], [1.0], -1.0)),
    ("eps", lambda: fejer.sinkhorn_divergence([1.0], [1.0], None)),
    ("a", lambda: fejer.sinkhorn_divergence([1.0], [1.0], 1.0, a=[-1.0])),
    ("a, b", lambda: fejer.sinkhorn_divergence([1.0], [1.0], 1.0, a=[1.0], b=[2.0])),
    ("x", lambda: fejer.sinkhorn_divergence("points", [1.0], 1.0)),
]


@pytest.mark.parametrize(("field", "call"), BAD)
def test_bad_input_is_refused_by_name(field, call):
    with pytest.raises(fejer.ProblemError, match=f"^{field}: "):
        call()
