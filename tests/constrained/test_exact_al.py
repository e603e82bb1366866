"""Newton's method on the exact augmented Lagrangian: merit function, inertia, rates, failures."""

import warnings
from itertools import pairwise

import numpy as np
import pytest
from scipy import sparse
from scipy.optimize import minimize as scipy_minimize

import fejer
from fejer.solvers.constrained import _exact_al
from fejer.solvers.constrained._exact_al import Factor, Penalised, Place, descends
from fejer.solvers.constrained.exact_al_newton import ExactALNewton
from tests.constrained import hock_schittkowski as hs
from tests.constrained.examples import circle, quadratic

NAME = "exact-al-newton"
LOWER = {47: -0.026714182}
SINGULAR = {26, 27, 46, 47, 49}  # the Hessian is singular at the solution: no quadratic rate


def solve(problem, tol=1e-8, **more):
    return fejer.minimize(problem, method=NAME, tol=tol, **more)


@pytest.mark.parametrize("derivatives", [True, False], ids=["exact", "differences"])
@pytest.mark.parametrize("number", list(hs.TABLE))
def test_hock_schittkowski(number, derivatives):
    tol = 1e-8 if derivatives else 1e-6
    result = solve(hs.problem(number, derivatives), tol, max_iter=200)
    assert result.success, result.message
    best = [hs.TABLE[number][3], LOWER.get(number, np.inf)]
    assert min(abs(result.fun - b) / max(1, abs(b)) for b in best) <= 20 * tol
    assert result.second_order != "saddle"


@pytest.mark.parametrize("number", sorted(set(hs.TABLE) - SINGULAR))
def test_the_residual_falls_quadratically_and_the_last_step_is_full(number):
    norms, lengths = [], []
    for step in fejer.steps(hs.problem(number), NAME, tol=1e-10, max_iter=60):
        norms.append(step.certificate.details["F_norm"])
        lengths.append(step.state.length)
    assert lengths[-1] == 1.0
    pairs = [(a, b) for a, b in pairwise(norms) if 1e-7 < a < 1e-1]
    assert all(b <= 1e3 * a**2 + 1e-12 for a, b in pairs[-2:])


def cubic(seed):
    rng = np.random.default_rng(seed)
    n, m = 5, 2
    Q, A = rng.standard_normal((n, n)), rng.standard_normal((m, n))
    Q = Q + Q.T
    return fejer.EqualityNLP(
        lambda x: 0.5 * x @ Q @ x + np.sum(x**3),
        lambda x: Q @ x + 3 * x**2,
        lambda x: A @ x + x @ x,
        lambda x: A + 2 * x,
        rng.standard_normal(n),
        lag_hess=lambda x, l, s: s * (Q + np.diag(6 * x)) + 2 * l.sum() * np.eye(n),
    )


@pytest.mark.parametrize("seed", range(8))
def test_the_merit_gradient_is_that_of_differences(seed):
    problem = cubic(seed)
    rng = np.random.default_rng(seed)
    w = rng.standard_normal(7)
    state = Penalised(w[:5], w[5:], 2.0, 0.3)

    def merit(v):
        return Place(problem, v[:5], v[5:]).merit(state)

    quotient = [(merit(w + 1e-6 * e) - merit(w - 1e-6 * e)) / 2e-6 for e in np.eye(7)]
    place = Place(problem, w[:5], w[5:])
    H = problem.lagrangian_hessian(w[:5], w[5:])[0]
    np.testing.assert_allclose(place.merit_gradient(state, H), quotient, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("seed", range(20))
def test_the_exact_step_descends_for_extreme_penalties(seed):
    problem = cubic(seed)
    w = np.random.default_rng(100 + seed).standard_normal(7)
    place = Place(problem, w[:5], w[5:])
    H = problem.lagrangian_hessian(w[:5], w[5:])[0]
    G = place.G
    factor = Factor(H, G)
    null = np.linalg.svd(G)[2][2:]
    curved = np.linalg.eigvalsh(null @ H @ null.T)[0]
    assert (factor.shift == 0.0) == (curved > 0)
    if factor.shift == 0.0:
        z = factor.solve(-place.F)
        assert any(
            descends(Penalised(w[:5], w[5:], 10.0**i, 10.0**-j), place, H, z)[0]
            for i in range(8)
            for j in range(8)
        )
    shifted = H + factor.shift * np.eye(5)
    assert np.linalg.eigvalsh(null @ shifted @ null.T)[0] > 0


@pytest.mark.parametrize("qdldl", [True, False], ids=["qdldl", "superlu"])
def test_sparse_systems(qdldl, monkeypatch):
    if not qdldl:
        monkeypatch.setattr(_exact_al, "has_qdldl", lambda: False)
        monkeypatch.setattr(_exact_al, "FORMED", 300)
    problem = fejer.EllipticControl(14, s=10.0)
    result = solve(problem)
    assert result.success and result.nit <= 12
    x, l = result.x, result.multipliers
    H, G = problem.lag_hess(x, l, 1.0), problem.constraint_jac(x)
    right = np.random.default_rng(0).standard_normal(588)
    factor = Factor(sparse.csr_array(H), G)
    K = np.block([[H.toarray(), G.toarray().T], [G.toarray(), np.zeros((196, 196))]])
    np.testing.assert_allclose(factor.solve(right), np.linalg.solve(K, right), rtol=1e-4, atol=1e-6)
    values = np.linalg.eigvalsh(K)
    assert result.inertia == ((values > 0).sum(), (values < 0).sum(), 0)


def test_sparse_saddles_are_left():
    """f is concave along a third of the coordinates; only the sphere keeps it from falling."""
    n = 400
    d = np.where(np.arange(n) % 3, 1.0, -1.0)
    problem = fejer.EqualityNLP(
        lambda x: 0.5 * d @ x**2 + 0.1 * x.sum(),
        lambda x: d * x + 0.1,
        lambda x: [x @ x - 1],
        lambda x: sparse.csr_array(2 * x[None, :]),
        np.full(n, 1 / np.sqrt(n)),
        lag_hess=lambda x, l, s: sparse.diags_array(s * d + 2 * l[0], format="csr"),
    )
    result = solve(problem, 1e-7)
    assert result.success
    start = problem.fun(problem.x0)
    assert result.fun < start - 0.5
    assert result.second_order == "strict minimum"


def test_agrees_with_scipy_on_spheres():
    problem = fejer.Thomson(7)
    ours = solve(problem)
    theirs = scipy_minimize(
        problem.fun,
        problem.x0,
        jac=problem.grad,
        method="SLSQP",
        constraints=[{"type": "eq", "fun": problem.constraint, "jac": problem.constraint_jac}],
        options={"ftol": 1e-13, "maxiter": 500},
    )
    assert ours.fun == pytest.approx(theirs.fun, rel=1e-8)


def test_a_vanishing_jacobian_is_left():
    problem = fejer.EqualityNLP(
        lambda x: (x[0] - 20) ** 2 + (x[1] + 20) ** 2,
        lambda x: 2 * (x - [20, -20]),
        lambda x: [x @ x / 100 - 1],
        lambda x: [x / 50],
        [0.0, 0.0],
    )
    result = solve(problem)
    assert result.success
    np.testing.assert_allclose(result.x, [10 / np.sqrt(2), -10 / np.sqrt(2)], atol=1e-6)


def test_what_cannot_be_obeyed_is_said_to_be_so():
    problem = fejer.EqualityNLP(
        lambda x: x[0], lambda x: [1.0], lambda x: x**2 + 1, lambda x: [2 * x], [1.3]
    )
    result = solve(problem)
    assert not result.success
    assert result.certificate.kind == "locally infeasible"
    assert result.certificate.details["infeasibility"] <= 1e-6


def test_bad_points_on_the_way_are_failed_steps():
    """log is nan to the left of 0, where the first full step ends."""

    def fun(x):
        with np.errstate(all="ignore"):
            return float(-np.log(x[0]) + x[0] * 0.1 + x[1] ** 2)

    problem = fejer.EqualityNLP(
        fun,
        lambda x: [-1 / x[0] + 0.1, 2 * x[1]],
        lambda x: [x[1] - 1],
        lambda x: [[0.0, 1.0]],
        [30.0, 0.0],
        lag_hess=lambda x, l, s: np.diag([s / x[0] ** 2, 2 * s]),
    )
    result = solve(problem)
    assert result.success
    np.testing.assert_allclose(result.x, [10, 1], rtol=1e-6)


def test_more_constraints_than_variables_are_refused_with_the_way_out():
    problem = fejer.EqualityNLP(lambda x: x @ x, None, lambda x: [x[0], x[0]], None, [1.0])
    with pytest.raises(fejer.MethodError, match="use method='alm'"):
        solve(problem)
    assert fejer.minimize(problem, tol=1e-5).success  # auto knows it


def test_invariances():
    problem, x, l, (_, _, A, r) = quadratic(seed=2)
    order = np.array([1, 0])
    permuted = solve(problem.replace(linear=(A[order], r[order])), 1e-10)
    np.testing.assert_allclose(permuted.x, x, atol=1e-8)
    np.testing.assert_allclose(permuted.multipliers, l[order], atol=1e-7)
    scaled = solve(problem.replace(linear=(1e3 * A, 1e3 * r)), 1e-9)
    np.testing.assert_allclose(scaled.multipliers, 1e-3 * l, atol=1e-8)
    doubled = problem.replace(linear=(np.vstack([A, A]), np.concatenate([r, r])))
    np.testing.assert_allclose(solve(doubled, 1e-7).x, x, atol=1e-6)


def test_without_constraints_it_is_newtons_method():
    Q = np.diag([1.0, 10.0])
    problem = fejer.EqualityNLP(
        lambda x: 0.5 * x @ Q @ x - x.sum(),
        lambda x: Q @ x - 1,
        None,
        None,
        [3.0, 4.0],
        hess=lambda x: Q,
    )
    result = solve(problem, 1e-12)
    assert result.nit == 1
    np.testing.assert_allclose(result.x, [1.0, 0.1], atol=1e-12)
    assert result.inertia == (2, 0, 0)


def test_a_saddle_is_called_one():
    problem = circle(lag_hess=lambda x, l, s: 2 * l[0] * np.eye(2))
    maximum = np.array([1.0, 1.0])
    assert problem.judge(maximum).value < 1e-12
    assert problem.second_order(maximum) == "saddle"
    assert problem.second_order(-maximum) == "strict minimum"
    assert problem.second_order(np.array([1.0, 0.0])) == "unknown"
    assert problem.inertia(-maximum) == (2, 1, 0)


def test_warm_start_and_counts():
    problem, *_ = quadratic(seed=4)
    first = solve(problem)
    assert fejer.minimize(problem, first, method=NAME).nit == 0
    differenced = solve(circle(grad=None, constraint_jac=None), 1e-6)
    assert differenced.nfev > 8 * differenced.nit
    assert isinstance(ExactALNewton().rate, fejer.Rate)


def test_merits_that_overflow_are_infinite_without_a_warning():
    problem = fejer.EqualityNLP(
        lambda x: 1e180 * x[1],
        lambda x: np.array([0.0, 1e180]),
        lambda x: x[:1],
        lambda x: np.eye(1, 2),
        np.ones(2),
    )
    place = Place(problem, np.ones(2), np.zeros(1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert place.merit(Penalised(np.ones(2), np.zeros(1))) == np.inf
