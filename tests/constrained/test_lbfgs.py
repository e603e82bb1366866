"""L-BFGS-B behind the front door: scipy's answers, walls of nan, limits of float64."""

import numpy as np
import pytest
from scipy.optimize import Bounds, rosen, rosen_der
from scipy.optimize import minimize as scipy_minimize

import fejer
from fejer.solvers.general.lbfgs import LBFGS


def solve(problem, tol=1e-6, **more):
    return fejer.minimize(problem, method=LBFGS(), tol=tol, **more)


@pytest.mark.parametrize("n", [2, 5, 30])
def test_rosenbrock(n):
    problem = fejer.SmoothProblem(rosen, rosen_der, np.full(n, -1.2))
    result = solve(problem, 1e-9)
    assert result.success
    grad = np.abs(rosen_der(result.x)).max()
    assert grad <= 1e-9
    assert result.nfev >= result.nit > 1


@pytest.mark.parametrize("seed", range(5))
def test_bounded_quadratics_agree_with_an_active_set(seed):
    """scipy's lsq_linear solves min 1/2 |Ax - b|^2 on a box by another algorithm."""
    from scipy.optimize import lsq_linear

    rng = np.random.default_rng(seed)
    A, b = rng.standard_normal((20, 8)), rng.standard_normal(20)
    problem = fejer.SmoothProblem(
        lambda x: 0.5 * np.sum((A @ x - b) ** 2),
        lambda x: A.T @ (A @ x - b),
        bounds=Bounds(np.full(8, -0.05), np.full(8, 0.1)),
    )
    result = solve(problem, 1e-6)
    assert result.success
    theirs = lsq_linear(A, b, (-0.05, 0.1), method="bvls", tol=1e-14)
    np.testing.assert_allclose(result.x, theirs.x, atol=1e-6)
    assert (result.x >= -0.05).all() and (result.x <= 0.1).all()


def test_logistic_fit_agrees_with_another_method():
    problem = fejer.SmoothProblem.random()
    result = solve(problem, 1e-9)
    theirs = scipy_minimize(
        lambda x: problem.fun(x, *problem.args),
        np.zeros(10),
        jac=lambda x: problem.jac(x, *problem.args),
        bounds=problem.bounds,
        method="trust-constr",
        options={"gtol": 1e-9, "xtol": 1e-12},
    )
    assert result.success
    np.testing.assert_allclose(result.x, theirs.x, atol=1e-4)
    assert result.fun <= theirs.fun + 1e-12


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_walls_turn_the_search_back(wrong):
    def fun(x):
        return wrong if (x <= 0).any() else x.sum() - np.log(x).sum()

    def jac(x):
        return np.full(x.size, np.nan) if (x <= 0).any() else 1 - 1 / x

    result = solve(fejer.SmoothProblem(fun, jac, [1e-3, 5.0, 40.0]), 1e-7)
    assert result.success, result.message
    np.testing.assert_allclose(result.x, np.ones(3), atol=1e-6)


def test_below_the_floor_it_stalls():
    result = solve(fejer.SmoothProblem(lambda x: 1e6 + x @ x, x0=[1.0, 2.0]), 1e-12)
    assert result.status is fejer.Status.STALLED
    assert result.certificate.value <= 100 * result.certificate.details["floor"]


def test_unbounded_functions_never_succeed():
    result = solve(fejer.SmoothProblem(lambda x: -(x @ x), lambda x: -2 * x, [1.0]), max_time=5)
    assert not result.success
    result = solve(fejer.SmoothProblem(lambda x: x[0], lambda x: [1.0], [0.0]), max_time=5)
    assert not result.success


def test_wrong_gradients_do_not_succeed():
    result = solve(fejer.SmoothProblem(rosen, lambda x: -rosen_der(x), [-1.2, 1.0]))
    assert not result.success


def test_exceptions_carry_the_best_point():
    def fun(x):
        if x[0] > 0:
            raise RuntimeError("sensor unplugged")
        return float((x - 1) @ (x - 1))

    problem = fejer.SmoothProblem(fun, lambda x: 2 * (x - 1), [-1.0, 0.0])
    with pytest.raises(RuntimeError, match="unplugged") as caught:
        solve(problem)
    assert caught.value.result.x.tolist() == [-1.0, 0.0]


def test_one_call_of_the_functions_for_each_point():
    calls = []
    problem = fejer.SmoothProblem(
        lambda x: calls.append(x.tobytes()) or rosen(x), rosen_der, [-1.2, 1.0]
    )
    result = solve(problem)
    assert len(calls) <= result.nfev + 1


def test_memory_is_an_option():
    problem = fejer.SmoothProblem(rosen, rosen_der, np.full(30, -1.0))
    counts = [fejer.minimize(problem, method=LBFGS(memory=k), tol=1e-6).nit for k in (1, 30)]
    assert counts[1] < counts[0]
