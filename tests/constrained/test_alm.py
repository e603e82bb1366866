"""The augmented Lagrangian method against known minima, scipy, and degenerate problems."""

from itertools import pairwise

import numpy as np
import pytest
from scipy import sparse
from scipy.linalg import ldl
from scipy.linalg.lapack import dsytrf
from scipy.optimize import minimize as scipy_minimize

import fejer
from fejer.solvers.constrained._newton import factorised_step, inertia, truncated_step
from fejer.solvers.constrained.alm import ALM
from tests.constrained import hock_schittkowski as hs
from tests.constrained import twin
from tests.constrained.examples import circle, quadratic, solve

# HS47 has, besides the minimum 0 that the collection gives, a lower local one.
LOWER = {47: -0.026714182}


@pytest.mark.parametrize("derivatives", [True, False], ids=["exact", "differences"])
@pytest.mark.parametrize("number", list(hs.TABLE))
def test_hock_schittkowski(number, derivatives):
    problem = hs.problem(number, derivatives)
    tol = 1e-8 if derivatives else 1e-6
    result = solve(problem, tol, max_iter=300)
    assert result.success, result.message
    best = LOWER.get(number, hs.TABLE[number][3])
    assert result.fun == pytest.approx(best, abs=20 * tol, rel=20 * tol)
    f, c, *_ = hs.TABLE[number]
    g, G = hs.complex_step(f)(result.x), hs.complex_step(c)(result.x)
    assert twin.kkt(g, c(result.x), G, result.x, result.multipliers) <= 1.01 * tol + 1e-12


@pytest.mark.parametrize("number", [28, 39, 40, 42, 48, 51, 52, 77, 78, 79])
def test_agrees_with_scipy(number):
    f, c, x0, _ = hs.TABLE[number]
    constraint = {"type": "eq", "fun": c, "jac": hs.complex_step(c)}
    theirs = scipy_minimize(
        f, x0, jac=hs.complex_step(f), method="SLSQP", constraints=[constraint], tol=1e-10
    )
    ours = solve(hs.problem(number))
    assert ours.success and theirs.success
    assert ours.fun == pytest.approx(theirs.fun, rel=1e-6, abs=1e-6)
    np.testing.assert_allclose(ours.x, theirs.x, atol=2e-3)


def test_multipliers_have_the_sign_of_trust_constr():
    from scipy.optimize import LinearConstraint

    problem, _, l, (Q, b, A, r) = quadratic(seed=3)
    theirs = scipy_minimize(
        lambda y: 0.5 * y @ Q @ y - b @ y,
        np.zeros(6),
        jac=lambda y: Q @ y - b,
        hess=lambda y: Q,
        method="trust-constr",
        constraints=[LinearConstraint(A, r, r)],
        options={"gtol": 1e-10, "xtol": 1e-14},
    )
    np.testing.assert_allclose(theirs.v[0], l, atol=1e-5)
    np.testing.assert_allclose(solve(problem).multipliers, l, atol=1e-6)


def test_smallest_eigenvalue():
    """min 1/2 x'Mx on the sphere is lambda_min / 2; every eigenvector is stationary."""
    rng = np.random.default_rng(0)
    root = rng.standard_normal((12, 12))
    M = root + root.T
    problem = fejer.EqualityNLP(
        lambda x: 0.5 * x @ M @ x,
        lambda x: M @ x,
        lambda x: [x @ x - 1],
        lambda x: [2 * x],
        rng.standard_normal(12),
        lag_hess=lambda x, l, sigma: sigma * M + 2 * l[0] * np.eye(12),
    )
    result = solve(problem)
    assert result.success
    assert result.fun == pytest.approx(np.linalg.eigvalsh(M)[0] / 2, rel=1e-7)


def test_projection_on_the_sphere():
    p = np.array([1.0, 2.0, -2.0])
    problem = fejer.EqualityNLP(
        lambda x: (x - p) @ (x - p), lambda x: 2 * (x - p), lambda x: [x @ x - 1], None, np.ones(3)
    )
    np.testing.assert_allclose(solve(problem, 1e-7).x, p / 3, atol=1e-6)


DEGENERATE = {
    # more constraints than variables, but consistent
    "m > n": (lambda x: x @ x, lambda x: [x[0] - 1, x[1] - 2, x.sum() - 3], [5.0, 5.0], [1, 2]),
    # a row twice
    "duplicated": (lambda x: x @ x, lambda x: [x[0] - 1, x[0] - 1], [5.0, 5.0], [1, 0]),
    # the Jacobian vanishes at the start
    "vanishing": (
        lambda x: (x[0] - 20) ** 2 + (x[1] + 20) ** 2,
        lambda x: [x[0] ** 2 / 100 + x[1] ** 2 / 100 - 1],
        [0.0, 0.0],
        [10 / np.sqrt(2), -10 / np.sqrt(2)],
    ),
    # feasibility alone
    "no objective": (lambda x: 0.0, lambda x: [x[0] ** 2 - 2, x[1] - x[0]], [1.0, 1.0], None),
    # all of it at 1e8
    "scaled": (lambda x: 1e8 * x @ x, lambda x: [x.sum() - 2], [5.0, 0.0], [1, 1]),
    "one variable": (lambda x: (x[0] - 3) ** 2, lambda x: [x[0] - 1], [9.0], [1]),
    "square system": (
        lambda x: 0.0,
        lambda x: [x[0] + x[1] - 3, x[0] - x[1] - 1],
        [0.0, 0.0],
        [2, 1],
    ),
}


@pytest.mark.parametrize("name", list(DEGENERATE))
def test_degenerate(name):
    f, c, x0, solution = DEGENERATE[name]

    def jac(x):
        return hs.complex_step(lambda y: np.array(c(y)))(x)

    problem = fejer.EqualityNLP(f, hs.complex_step(lambda x: f(x) + 0j), c, jac, x0)
    result = solve(problem, 1e-7 if name != "scaled" else 1e-6)
    assert result.success, result.message
    if solution is not None:
        np.testing.assert_allclose(result.x, solution, atol=1e-5)
    assert result.constraint_violation <= 1e-6


def test_the_unbounded_stage_is_left():
    """f falls faster than the first penalty rises: without a way back x runs to infinity."""
    problem = fejer.EqualityNLP(
        lambda x: -50 * x @ x + x[1],
        lambda x: -100 * x + [0, 1],
        lambda x: [x @ x - 1],
        lambda x: [2 * x],
        [0.1, 0.3],
    )
    result = solve(problem)
    assert result.success
    np.testing.assert_allclose(result.x, [0, -1], atol=1e-5)


@pytest.mark.parametrize("kind", ["sparse", "product", "differences"])
def test_large_problems_take_conjugate_gradients(kind):
    n, m = 1500, 40
    rng = np.random.default_rng(0)
    d = 1 + rng.random(n)
    A = sparse.random_array((m, n), density=0.02, rng=rng, format="csr")
    r = A @ rng.standard_normal(n)
    hessians = {
        "sparse": {"lag_hess": lambda x, l, sigma: sparse.diags_array(sigma * d)},
        "product": {"lag_hessp": lambda x, l, sigma, v: sigma * d * v},
        "differences": {},
    }
    problem = fejer.EqualityNLP(
        lambda x: 0.5 * d @ x**2 - x.sum(),
        lambda x: d * x - 1,
        lambda x: A @ x - r,
        lambda x: A,
        np.zeros(n),
        **hessians[kind],
    )
    result = solve(problem, 1e-6)
    assert result.success, result.message
    AD = (A / d).toarray()
    l = np.linalg.solve(AD @ A.toarray().T, AD @ np.ones(n) - r)
    np.testing.assert_allclose(result.x, (1 - A.T @ l) / d, atol=1e-5)


def test_inertia_is_that_of_the_eigenvalues():
    rng = np.random.default_rng(0)
    for n in (1, 2, 3, 8, 20):
        for _ in range(10):
            M = rng.standard_normal((n, n))
            M = M + M.T
            if n > 2:
                M[range(n), range(n)] = 0.0  # zero diagonals force pivots of size two
            factor, pivots, _ = dsytrf(M, lower=1)
            values = np.linalg.eigvalsh(M)
            assert inertia(factor, pivots) == (np.sum(values > 0), np.sum(values < 0), 0)
            blocks = ldl(M)[1]
            assert np.sum(np.linalg.eigvalsh(blocks) > 0) == np.sum(values > 0)


def test_both_steps_solve_the_newton_system():
    problem, x, l, (Q, b, A, r) = quadratic()
    y, penalty = x + 1.0, 7.0
    g = Q @ y - b + A.T @ (l + penalty * (A @ y - r))
    expected = np.linalg.solve(Q + penalty * A.T @ A, -g)
    step = factorised_step(problem, y, l, g, penalty, 0.0)
    assert step.shift == 0.0
    np.testing.assert_allclose(step.step, expected, rtol=1e-10)
    rough = truncated_step(problem, y, l, g, penalty).step
    assert g @ rough < 0
    matrix = Q + penalty * A.T @ A
    assert np.linalg.norm(matrix @ rough + g) <= 0.1 * np.linalg.norm(g)


@pytest.mark.parametrize("penalty", [1e-2, 1.0, 1e10])
def test_every_step_is_one_of_descent(penalty):
    rng = np.random.default_rng(1)
    for number in (27, 40, 47, 78):
        problem = hs.problem(number)
        x = np.array(hs.TABLE[number][2], dtype=float)
        at = problem.at(x)
        l = rng.standard_normal(at.constraint.size)
        g = at.lagrangian_gradient(l)
        for step in (
            factorised_step(problem, x, l, g, penalty, 0.0).step,
            truncated_step(problem, x, l, g, penalty).step,
        ):
            assert g @ step < 0


def test_multipliers_converge_faster_with_a_larger_penalty():
    """On a quadratic one Newton step ends a stage: the error of l falls by 1 / (1 + rho s)."""
    problem, _, l, (Q, _, A, _) = quadratic(seed=5)
    s = np.linalg.eigvalsh(A @ np.linalg.solve(Q, A.T))[0]
    for penalty in (1.0, 10.0):
        errors = []
        method = ALM(penalty=penalty, stationarity=1e-9, feasibility=1e9)
        for step in fejer.steps(problem, method, tol=1e-9, max_iter=12):
            errors.append(np.linalg.norm(step.state.multipliers - l))
        factors = [b / a for a, b in pairwise(errors[1:]) if b > 1e-10]
        assert factors and max(factors) <= 1 / (1 + penalty * s) + 1e-4


def test_invariances():
    problem, x, l, (_, _, A, r) = quadratic(seed=2)
    order = np.array([1, 0])
    permuted = solve(problem.replace(linear=(A[order], r[order])), 1e-10)
    np.testing.assert_allclose(permuted.x, x, atol=1e-8)
    np.testing.assert_allclose(permuted.multipliers, l[order], atol=1e-7)
    scaled = solve(problem.replace(linear=(1e3 * A, 1e3 * r)), 1e-9)
    np.testing.assert_allclose(scaled.multipliers, 1e-3 * l, atol=1e-8)


def test_warm_start_takes_the_multipliers():
    problem, *_ = quadratic(seed=4)
    first = solve(problem, 1e-9)
    assert fejer.minimize(problem, first, method=ALM(), tol=1e-9).nit == 0
    _, _, _, (_, _, A, r) = quadratic(seed=4)
    other = problem.replace(linear=(A, r + 1e-3))
    warm = fejer.minimize(other, first, method=ALM(), tol=1e-9)
    cold = solve(other, 1e-9)
    assert warm.success and warm.nit <= cold.nit


def test_counts():
    result = solve(circle())
    assert result.work >= result.nit
    assert result.nfev == result.work
    differenced = solve(circle(grad=None, constraint_jac=None), 1e-6)
    assert differenced.nfev > 4 * 2 * differenced.nit
