"""UnboundedSmoothBilevel and samples of all classes: closed forms, bounds, unbiased parts."""

import pickle

import numpy as np
import pytest
import scipy.sparse

import fejer
from fejer.problems.bilevel._lower_level import LowerLevel

U = fejer.UnboundedSmoothBilevel
TOL = 1e-6


def truth(problem, x):
    """Phi = mean cosh(Bx) in long doubles."""
    B = problem._B().astype(np.longdouble)
    y = B @ np.asarray(x, np.longdouble)
    return np.cosh(y).mean(), B.T @ np.sinh(y) / len(y), y


@pytest.mark.parametrize("n", [1, 4, 10])
def test_certificate_and_bounds(n):
    problem, rng = U(n), np.random.default_rng(0)
    assert np.allclose(problem._B() @ problem._B().T, np.eye(n))
    for trial in range(60):
        x = 10.0 ** rng.uniform(-3, 1.2) * rng.standard_normal(n)
        fun, gradient, y = truth(problem, x)
        size = 10.0 ** rng.uniform(-14, 0.5)
        inexact = y.astype(float) + size * rng.standard_normal(n)
        q = problem.adjoint(x, inexact, problem.upper_level(x, inexact).grad_y)[0]
        if trial % 3:
            q = q * (1 + 10.0 ** rng.uniform(-14, 0) * rng.standard_normal(n))
        a = problem.assess(x, inexact, adjoint=q)
        assert np.linalg.norm((a.gradient - gradient).astype(float)) <= a.error <= a.published_error
        assert abs(float(a.fun - fun)) <= a.fun_error and a.rigorous
        assert np.linalg.norm((inexact - y).astype(float)) <= a.distance
        c = problem.judge(x)
        value = float(np.linalg.norm(gradient.astype(float)))
        assert value * (1 - 1e-12) <= c.value <= value * (1 + 1e-9) + 1e-12
        assert problem.judge(x, {"y": inexact}).value >= value * (1 - 1e-12)
        assert c.holds(TOL) == (value <= TOL)


def test_points_three_tolerances_away_fail():
    problem, rng = U(6), np.random.default_rng(1)
    for _ in range(50):
        x = rng.standard_normal(6)
        x *= 3 * TOL * 6 / np.linalg.norm(x)  # the curvature at 0 is 1/n
        assert not problem.judge(x).holds(TOL)
        assert problem.judge(x / 4).holds(TOL)


def test_far_points_are_defined():
    problem = U(3)
    for size in (1e2, 710.0, 1e4, 1e8, 1e200):
        assert problem.judge(np.full(3, size)).value > 1e10
    assert U(10, start=300.0).judge(U(10, start=300.0).initial_point()).value > 1e100


@pytest.mark.parametrize("method", ["maid", "hoag"])
def test_descent_from_far(method):
    result = fejer.minimize(U(5), method=method)
    assert result.success and abs(result.fun - 1) < 1e-9


SAMPLED = [
    fejer.RidgeBilevel.random(mode="feature"),
    fejer.LogisticBilevel.random(),
    fejer.MultinomialBilevel.random(mode="class"),
    fejer.DataHyperCleaning.random(),
    U(4),
    fejer.TVDenoising.random(),
]


@pytest.mark.parametrize("problem", SAMPLED, ids=lambda p: type(p).__name__)
def test_means_over_single_samples_are_the_whole(problem):
    rng = np.random.default_rng(2)
    x = problem.project(problem.initial_point() + 0.1 * rng.standard_normal(problem.size))[0]
    y, q = rng.standard_normal((2, problem.lower_size))
    n, k = problem.sample_sizes()
    lower = [problem.part(np.array([i]), np.array([0])) for i in range(n)]
    upper = [problem.part(np.array([0]), np.array([j])) for j in range(k)]
    for found, wanted in (
        ([p.lower_gradient(x, y) for p in lower], problem.lower_gradient(x, y)),
        ([p.hessian(x, y)(q) for p in lower], problem.hessian(x, y)(q)),
        ([p.cross(x, y, q) for p in lower], problem.cross(x, y, q).product),
        ([p.lower_in_x(x, y) for p in lower], problem.lower_in_x(x, y)),
        ([p.upper_level(x, y).grad_y for p in upper], problem.upper_level(x, y).grad_y),
        ([p.upper_level(x, y).fun for p in upper], problem.upper_level(x, y).fun),
    ):
        np.testing.assert_allclose(np.mean(found, axis=0), wanted, rtol=1e-9, atol=1e-10)
    rows = rng.integers(0, n, 7)
    batch = problem.part(rows, rows % k)
    mean = np.mean([lower[i].lower_gradient(x, y) for i in rows], axis=0)
    np.testing.assert_allclose(batch.lower_gradient(x, y), mean, rtol=1e-9, atol=1e-10)


def test_samples_of_sparse_data_and_of_operators():
    p = fejer.RidgeBilevel.random()
    sparse = p.replace(X_train=scipy.sparse.csr_array(p.X_train.dense))
    rows, y = np.array([3, 1, 1]), np.arange(8.0)
    x = p.initial_point()
    a, b = (q.part(rows, rows).lower_gradient(x, y) for q in (p, sparse))
    np.testing.assert_allclose(a, b, rtol=1e-12)
    operator = p.replace(X_train=scipy.sparse.linalg.aslinearoperator(p.X_train.dense))
    assert operator.sample_sizes() == (1, 40)
    found = operator.part(np.array([0]), rows).lower_gradient(x, y)
    np.testing.assert_allclose(found, p.lower_gradient(x, y), rtol=1e-12)


def test_pickling():
    other = pickle.loads(pickle.dumps(U(3, seed=5)))
    assert np.array_equal(other._B(), U(3, seed=5)._B())
    assert isinstance(other, LowerLevel)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("n", 0),
        ("n", 2.5),
        ("n", "many"),
        ("n", 10**6),
        ("noise", -0.1),
        ("noise", np.nan),
        ("noise", None),
        ("seed", -1),
        ("seed", 0.5),
        ("start", 1e3),
        ("start", "far"),
        ("scale", 0.0),
        ("scale", np.inf),
    ],
)
def test_bad_fields(field, value):
    with pytest.raises(fejer.ProblemError, match=field):
        U(**{field: value})
