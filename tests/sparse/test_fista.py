"""FISTA: its iterates against plain numpy, its theorems, its laws."""

import numpy as np
import pytest

import fejer
from fejer.driver import Run
from tests.sparse import twin
from tests.sparse.cases import lasso

VARIANTS = [
    {"acceleration": acceleration, "restart": restart, "step": step}
    for acceleration in ("nesterov", "chambolle-dossal")
    for restart in ("gradient", "function", None)
    for step in (1.0, 0.5)
]


def plain(problem, iterations, acceleration, restart, step):
    """The method as it is printed, on the centred data."""
    X, y, s, l1, l2, lower, upper, constant, _ = twin.parts(problem)
    if constant:
        X, y = X - s @ X / s.sum(), y - s @ y / s.sum()
    Z, z = np.sqrt(s)[:, None] * X, np.sqrt(s) * y
    h = step / np.linalg.norm(Z, 2) ** 2

    def value(w):
        return 0.5 * np.sum((z - Z @ w) ** 2) + l1 @ abs(w) + 0.5 * l2 @ w**2

    w = v = np.clip(np.zeros(Z.shape[1]), lower, upper)
    t, k = 1.0, 1
    points = [w]
    for _ in range(iterations):
        u = v - h * Z.T @ (Z @ v - z)
        u = np.sign(u) * np.maximum(abs(u) - h * l1, 0) / (1 + h * l2)
        new = np.clip(u, lower, upper)
        again = (restart == "gradient" and (v - new) @ (new - w) > 0) or (
            restart == "function" and value(new) > value(w)
        )
        if again:
            t, k, v = 1.0, 1, new
        else:
            k += 1
            after = (1 + np.sqrt(1 + 4 * t * t)) / 2 if acceleration == "nesterov" else (k + 2) / 3
            v = new + (t - 1) / after * (new - w)
            t = after
        w = new
        points.append(w)
    return points


@pytest.mark.parametrize("name", ["plain", "all"])
@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("options", VARIANTS)
def test_iterates(name, sparse, options):
    problem = lasso(name, sparse, offset=not sparse)
    if sparse and problem.fit_intercept:
        problem = problem.replace(fit_intercept=False)  # there the step is smaller, see below
    expected = plain(problem, 40, **options)
    p = problem.X.shape[1]
    for step in fejer.steps(problem, "fista", options=options, max_iter=40, tol=0):
        np.testing.assert_allclose(step.x[:p], expected[step.nit], atol=1e-6)


def test_sparse_data_with_a_constant_take_the_step_of_the_raw_columns():
    problem = lasso("intercept", sparse=True)
    assert fejer.minimize(problem, method="fista", tol=1e-9).success


@pytest.mark.parametrize("acceleration", ["nesterov", "chambolle-dossal"])
@pytest.mark.parametrize("step", [1.0, 0.3])
@pytest.mark.parametrize("name", ["plain", "wide", "all", "box", "small lam"])
def test_theorem_holds_pointwise(acceleration, step, name):
    problem = lasso(name)
    best = fejer.minimize(problem, method="bcd", tol=1e-13, max_iter=30_000).x
    method = fejer.FISTA(acceleration=acceleration, step=step, restart=None)
    rate = method.rate
    assert rate.bound(problem, problem.initial_point(), best, 0) == np.inf
    for one in fejer.steps(problem, method, max_iter=200, tol=0):
        e = rate.measure(problem, one.x, best)
        bound = rate.bound(problem, problem.initial_point(), best, one.nit)
        assert e <= bound + 1e-10 * problem.objective(best)


def test_bound_has_the_textbook_constant():
    problem = lasso("plain")
    best = fejer.minimize(problem, method="bcd", tol=1e-13).x
    L = np.linalg.norm(problem.X.dense, 2) ** 2
    bound = fejer.FISTA(restart=None).rate.bound(problem, np.zeros(40), best, 9)
    assert bound == pytest.approx(2 * L * (best @ best) / 100, rel=1e-5)


def test_worst_case_is_within_a_small_factor_of_the_bound():
    k = 40
    method = fejer.FISTA(restart=None)
    problem = method.rate.worst_case(k)
    best = np.linalg.lstsq(problem.X.dense, problem.y, rcond=None)[0]
    result = fejer.minimize(problem, method=method, max_iter=k, tol=0)
    e = method.rate.measure(problem, result.x, best)
    bound = method.rate.bound(problem, np.zeros(problem.size), best, k)
    assert bound / 30 <= e <= bound


def test_acceleration_and_restart_pay():
    problem = fejer.Lasso.random(100, 60, ratio=0.001, correlation=0.9)
    runs = {
        restart: fejer.minimize(problem, method="fista", options={"restart": restart}, tol=1e-8)
        for restart in ("gradient", "function", None)
    }
    assert all(run.success for run in runs.values())
    assert runs["gradient"].nit < runs[None].nit and runs["function"].nit < runs[None].nit
    assert runs["gradient"].stats["restarts"] > 0 == runs[None].stats["restarts"]


@pytest.mark.parametrize("options", VARIANTS[::2])
def test_split_law(options):
    problem = lasso("all")
    method = fejer.FISTA(**options)
    states = []
    for cuts in ([120], [1, 19, 100], [60, 60]):
        run = Run(problem, method=method)
        run.open()
        for n in cuts:
            method.advance(problem, run.prep, run.state, n)
        states.append(run.state)
    for other in states[1:]:
        assert vars(other).keys() == vars(states[0]).keys()
        for name, value in vars(states[0]).items():
            mine = getattr(other, name)
            same = mine.tobytes() == value.tobytes() if name in ("w", "fit") else True
            assert same and (isinstance(value, np.ndarray) or mine == value)


def test_ends_at_a_fixed_point():
    problem = fejer.Lasso(np.eye(3), [0.5, 0.1, -0.2], 1.0)
    result = fejer.minimize(problem, np.zeros(3), method="fista", tol=0, max_iter=50)
    assert result.nit <= 1 and (result.x == 0).all()


def test_data_of_zeros():
    problem = fejer.Lasso(np.zeros((3, 2)), [1.0, 2.0, 3.0], 0.0, lower=-1, upper=1)
    for method in ("bcd", "fista"):
        assert fejer.minimize(problem, [0.5, 0.5], method=method).success
