"""TargetModel and target-surrogate: optimum, bound, independence of units, attacks, bad input."""

import numpy as np
import pytest
from scipy import sparse

import fejer
from fejer.solvers.constrained.target_surrogate import TargetSurrogate

NAME = "target-surrogate"


def solve(problem, tol=1e-7, max_iter=100_000, **options):
    return fejer.minimize(problem, method=NAME, tol=tol, max_iter=max_iter, options=options)


def test_squared_losses_are_least_squares_in_one_step():
    problem = fejer.TargetModel.random(loss="squared")
    expected = np.linalg.lstsq(problem.A.toarray(), problem.y, rcond=None)[0]
    result = solve(problem, 1e-10)
    assert result.nit == 1
    np.testing.assert_allclose(result.x, expected, atol=1e-10)
    near = solve(problem, 1e-8, inner=20)
    np.testing.assert_allclose(near.x, expected, atol=1e-5)


@pytest.mark.parametrize("store", [np.asarray, sparse.csr_array], ids=["dense", "sparse"])
def test_logistic_agrees_with_newtons_method(store):
    problem = fejer.TargetModel.random()
    problem = problem.replace(A=store(problem.A.toarray()))
    exact = fejer.minimize(fejer.SmoothComposite(problem.A.toarray(), problem.y), tol=1e-10)
    result = solve(problem, 1e-8)
    assert result.success
    np.testing.assert_allclose(result.x, exact.x, rtol=1e-4, atol=1e-5)


def test_full_steps_never_raise_f_and_obey_the_bound():
    problem = fejer.TargetModel.random(seed=3)
    best = solve(problem, 1e-10)
    rate = TargetSurrogate().rate
    values = []
    for step in fejer.steps(problem, NAME, tol=1e-9, max_iter=30):
        values.append(step.fun)
        assert rate.measure(problem, step.x, best.x) <= rate.bound(
            problem, np.zeros(8), best.x, step.nit
        )
    assert (np.diff(values) <= 1e-15).all()


def test_units_of_the_columns_do_not_matter():
    problem = fejer.TargetModel.random(seed=1)
    units = 10.0 ** np.arange(-4, 4)
    other = problem.replace(A=problem.A.toarray() * units)
    a, b = ([s.x for s in fejer.steps(p, NAME, tol=1e-9, max_iter=15)] for p in (problem, other))
    for x, y in zip(a, b, strict=True):
        np.testing.assert_allclose(x, y * units, rtol=1e-6, atol=1e-9)
    counts = [solve(p, 1e-6).nit for p in (problem, other)]
    assert counts[0] == counts[1]


def test_the_exact_surrogate_needs_far_fewer_gradients_than_gradient_descent():
    problem = fejer.TargetModel.random(2000, 20, seed=2)
    units = np.geomspace(1.0, 1e-2, 20)
    problem = problem.replace(A=problem.A.toarray() * units)
    ours = solve(problem, 1e-5)
    A, y = problem.A.toarray(), problem.y
    step = 4.0 / np.linalg.norm(A, 2) ** 2
    theta = np.zeros(20)
    for _ in range(20 * ours.nit):
        theta -= step * A.T @ problem.loss_slopes(A @ theta)[1]
    assert problem.judge(theta).value > 1e-3
    assert ours.success and len(y) == 2000


def test_batches():
    problem = fejer.TargetModel.random()
    options = {"batch": 40, "schedule": "root", "eta": 0.5}
    one, two = (solve(problem, 0.0, 400, **options) for _ in range(2))
    assert one.x.tobytes() == two.x.tobytes()
    start = problem.judge(np.zeros(8))
    assert one.fun < 0.8 * start.fun and one.certificate.value < 0.3 * start.value
    with pytest.raises(fejer.MethodError, match="batch of 301"):
        solve(problem, batch=301)


@pytest.mark.parametrize("loss", ["squared", "logistic"])
def test_attacks(loss):
    problem = fejer.TargetModel.random(loss=loss)
    wide = problem.replace(A=problem.A.toarray() * np.array([1e6] + [1.0] * 7))
    first = fejer.TargetModel(wide.A.toarray()[:, :1], wide.y, loss)
    x = np.zeros(8)
    x[0] = solve(first, 1e-10).x[0]
    assert wide.judge(x).value > 1e-2
    for size in (1e8, 1e200):
        assert not problem.judge(np.full(8, size)).holds(1e-3)
    result = solve(problem, 1e-9)
    rng = np.random.default_rng(0)
    for _ in range(10):
        moved = result.x + 1e-2 * rng.standard_normal(8) / np.geomspace(1.0, 0.1, 8)
        assert problem.judge(moved).value > 1e-5


A = np.eye(3)
BAD = {
    "A": (dict(A=np.full((3, 3), np.inf)), "A: "),
    "y": (dict(y=[1, -1]), "y: "),
    "labels": (dict(y=[0, 1, 1]), "y: "),
    "one label": (dict(y=[1, 1, 1]), "y: .*both"),
    "loss": (dict(loss="hinge"), "loss: "),
    "loss kind": (dict(loss=3), "loss: "),
}


@pytest.mark.parametrize("name", list(BAD))
def test_bad_input_is_named(name):
    fields, text = BAD[name]
    with pytest.raises(fejer.ProblemError, match=f"^{text}"):
        fejer.TargetModel(**{"A": A, "y": [1, -1, 1], **fields})
