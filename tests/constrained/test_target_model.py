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


def curved(n=60, loss="squared", seed=0, noise=0.1):
    """``z = exp(a t) sin(b t + c)``: three parameters, and targets made with them."""
    rng = np.random.default_rng(seed)
    t = np.linspace(0.0, 3.0, n)

    def model(x):
        return np.exp(x[0] * t) * np.sin(x[1] * t + x[2])

    def jacobian(x):
        grown, angle = np.exp(x[0] * t), x[1] * t + x[2]
        slope = grown * np.cos(angle)
        return np.column_stack([t * grown * np.sin(angle), t * slope, slope])

    z = model(np.array([-0.3, 2.0, 0.5])) + noise * rng.standard_normal(n)
    y = z if loss == "squared" else np.where(z > 0, 1.0, -1.0)
    products = {"jvp": lambda x, v: jacobian(x) @ v, "vjp": lambda x, u: jacobian(x).T @ u}
    return fejer.TargetModel(model, y, loss, **products, x0=[0.0, 1.7, 0.3])


def test_a_curved_model_is_fitted_like_scipy_fits_it():
    from scipy.optimize import least_squares

    problem = curved()
    result = solve(problem, 1e-9)
    expected = least_squares(lambda x: problem.A(x) - problem.y, problem.x0, xtol=1e-14, ftol=1e-14)
    assert result.success and result.nit <= 3
    np.testing.assert_allclose(result.x, expected.x, rtol=1e-6, atol=1e-7)
    assert result.fun == pytest.approx(expected.cost / problem.y.size, rel=1e-9)


@pytest.mark.parametrize("loss", ["squared", "logistic"])
@pytest.mark.parametrize("inner", [0, 1, 3])
def test_f_never_rises_for_a_curved_model(loss, inner):
    problem = curved(loss=loss, noise=0.3)
    steps = list(fejer.steps(problem, NAME, tol=0.0, max_iter=15, options={"inner": inner}))
    values = np.array([step.fun for step in steps])
    assert (np.diff(values) <= 1e-14 * values[:-1]).all() and values[-1] < 0.9 * values[0]
    assert steps[-1].state.gradients == problem.y.size * steps[-1].nit


def test_batches_of_a_curved_model():
    problem = curved()
    options = {"batch": 15, "inner": 2, "eta": 0.3, "schedule": "root"}
    one, two = (solve(problem, 0.0, 200, **options) for _ in range(2))
    assert one.x.tobytes() == two.x.tobytes()
    assert one.fun < 1.2 * solve(problem, 1e-9).fun


def test_products_of_a_curved_model_are_compared():
    problem = curved()
    assert fejer.check_derivatives(problem).ok
    wrong = problem.replace(vjp=lambda x, u: 2.0 * problem.vjp(x, u))
    assert not fejer.check_derivatives(wrong).ok


def test_a_curved_model_is_judged_in_the_units_of_its_parameters():
    problem = curved()
    units = np.array([1e6, 1.0, 1e-6])
    other = problem.replace(
        A=lambda x: problem.A(x * units),
        jvp=lambda x, v: problem.jvp(x * units, v * units),
        vjp=lambda x, u: units * problem.vjp(x * units, u),
        x0=problem.x0 / units,
    )
    best = solve(problem, 1e-9).x
    for moved in np.eye(3):
        x = best + 1e-2 * moved
        value = problem.judge(x).value
        assert value > 1e-4
        assert other.judge(x / units).value == pytest.approx(value, rel=1e-6)
    for x in (np.full(3, 1e8), np.full(3, 1e200), np.full(3, np.nan)):
        assert not problem.judge(x).holds(1e-6)


def test_answers_of_another_shape_are_named():
    problem = curved()
    for name, text in (("A", "A: "), ("jvp", "jvp: "), ("vjp", "vjp: ")):
        with pytest.raises(fejer.FejerError, match=f"^{text}expected shape"):
            solve(problem.replace(**{name: lambda *_: np.zeros(7)}))


A = np.eye(3)
PRODUCTS = {"jvp": lambda x, v: v, "vjp": lambda x, u: u}
BAD = {
    "jvp of a matrix": (dict(jvp=abs), "jvp: "),
    "x0 of a matrix": (dict(x0=[1, 2, 3]), "x0: "),
    "no jvp": (dict(A=lambda x: x, vjp=abs, x0=[0.0] * 3), "jvp: "),
    "no vjp": (dict(A=lambda x: x, jvp=abs, x0=[0.0] * 3), "vjp: "),
    "no x0": (dict(A=lambda x: x, **PRODUCTS), "x0: "),
    "x0 nan": (dict(A=lambda x: x, **PRODUCTS, x0=[np.nan] * 3), "x0: "),
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
