"""The class BoxLeastSquares: its certificate against a twin, other solvers and the truth."""

import functools

import numpy as np
import pytest

import fejer
from tests.sparse import twin
from tests.sparse.cases import BOXES, box

TOL = 1e-6
ALL = [(name, sparse) for name in BOXES for sparse in (False, True)]
OPEN = [case for case in ALL if case[0] not in ("box", "penalty", "far")]


@functools.cache
def solved(name, sparse=False):
    problem = box(name, sparse)
    return problem, fejer.minimize(problem, method="bcd", tol=1e-12)


def bounds(problem):
    p = problem.X.shape[1]
    return np.broadcast_to(problem.lower, p), np.broadcast_to(problem.upper, p)


@pytest.mark.parametrize("name, sparse", ALL)
def test_certificate_is_the_twin(name, sparse):
    problem, result = solved(name, sparse)
    rng = np.random.default_rng(0)
    for size in (0.0, 1e-5, 1e-3, 0.1, 3.0):
        x = np.clip(result.x + size * rng.standard_normal(result.x.size), *bounds(problem))
        certificate = problem.judge(x)
        assert certificate.rigorous
        if problem.lam:
            expected = twin.certificate(problem, x)[0]
        else:
            expected = twin.projected(problem, x)
            if np.isfinite(np.subtract(*bounds(problem))).all():
                # The decomposition is left out where the plain bound is tight already.
                expected = min(expected, twin.certificate(problem, x)[0])
        assert certificate.value == pytest.approx(expected, rel=1e-6, abs=2e-10)


@pytest.mark.parametrize("name, sparse", OPEN)
def test_open_sides_are_judged_by_the_projected_dual(name, sparse):
    problem, result = solved(name, sparse)
    assert result.success
    assert abs(result.certificate.value - twin.projected(problem, result.x)) < 1e-12


@pytest.mark.parametrize("name, sparse", ALL)
@pytest.mark.parametrize("method", ["bcd", "fista"])
def test_reaches_the_optimum_of_scipy(name, sparse, method):
    from scipy.optimize import lsq_linear, nnls

    problem = box(name, sparse)
    result = fejer.minimize(problem, method=method, tol=1e-9)
    assert result.success
    X, y = problem.X.toarray(), problem.y
    if problem.lam:
        # w >= 0: the linear penalty is completed to a square in an extra row.
        shift = np.linalg.lstsq(X.T, np.full(X.shape[1], problem.lam), rcond=None)[0]
        w = nnls(X, y - shift)[0]
        optimum = twin.objective(problem, w)
    else:
        lower, upper = bounds(problem)
        w = lsq_linear(X, y, (lower, upper), method="bvls", tol=1e-15).x
        optimum = twin.objective(problem, w)
    null = problem.objective(problem.initial_point())
    assert abs(result.fun - optimum) <= 1e-8 * null
    assert result.certificate.lower_bound <= optimum + 1e-12 * null


def test_nonnegative_is_that_of_nnls():
    from scipy.optimize import nnls

    problem, result = solved("nonnegative")
    np.testing.assert_allclose(result.x, nnls(problem.X.dense, problem.y)[0], atol=1e-7)


@pytest.mark.parametrize("name, sparse", ALL)
def test_three_tol_fails(name, sparse):
    problem, result = solved(name, sparse)
    rng = np.random.default_rng(4)
    least = twin.objective(problem, result.x)
    tested = 0
    for _ in range(6):
        goal = np.clip(result.x + rng.standard_normal(result.x.size), *bounds(problem))
        low, high = 0.0, 1.0
        for _ in range(60):
            t = 0.5 * (low + high)
            x = result.x + t * (goal - result.x)
            excess = (twin.objective(problem, x) - least) / problem.judge(x).scale
            low, high = (t, high) if excess < 3 * TOL else (low, t)
        if excess > 2.9 * TOL:
            tested += 1
            x = result.x + high * (goal - result.x)
            certificate = fejer.verify(problem, x)
            assert certificate.value >= 2.9 * TOL and not certificate.holds(TOL)
    assert tested >= 5


def test_free_and_deficient_is_least_squares():
    rng = np.random.default_rng(2)
    A = rng.standard_normal((30, 4))
    X = np.hstack([A, A @ rng.standard_normal((4, 4))])  # rank 4 of 8
    y = rng.standard_normal(30)
    problem = fejer.BoxLeastSquares(X, y, lower=-np.inf)
    w = np.linalg.lstsq(X, y, rcond=None)[0]
    certificate = problem.judge(w)
    assert certificate.value < 1e-12 and certificate.rigorous
    assert fejer.minimize(problem, method="fista", tol=1e-9).success


def test_too_large_for_a_basis_is_not_called_rigorous(monkeypatch):
    from fejer.problems.sparse import _projected

    monkeypatch.setattr(_projected, "LARGEST", 100)
    problem, result = box("nonnegative"), solved("nonnegative")[1]
    certificate = problem.judge(result.x)
    assert certificate.kind == "projected residual" and not certificate.rigorous
    assert certificate.value < 1e-5
    away = problem.judge(np.clip(result.x + 0.01, 0, None))
    X, y = problem.X.dense, problem.y
    w = np.clip(result.x + 0.01, 0, None)
    norms = np.linalg.norm(X, axis=0)
    step = w - np.clip(w + X.T @ (y - X @ w) / norms**2, 0, None)
    assert away.value == pytest.approx(np.max(norms * abs(step)) / np.linalg.norm(y), rel=1e-9)


def test_views_scale_and_lam_max():
    problem, result = solved("nonnegative")
    assert result.intercept == 0.0 and (result.coef == result.x).all()
    np.testing.assert_array_equal(result.support, np.flatnonzero(result.x))
    mean = problem.replace(scale="mean", lam=0.1)
    total = problem.replace(lam=0.1 * 60)
    x = result.x
    assert mean.judge(x).value == pytest.approx(total.judge(x).value, rel=1e-12)
    assert mean.judge(x).fun * 60 == pytest.approx(total.judge(x).fun, rel=1e-12)
    assert mean.lam_max() * 60 == pytest.approx(total.lam_max())
    top = problem.replace(lam=problem.lam_max())
    assert top.judge(np.zeros(30)).value < 1e-12
    path = fejer.path(problem, lam=4, method="bcd")
    assert path.success


def test_penalised_box_is_a_lasso():
    problem, result = solved("penalty")
    same = fejer.Lasso(problem.X, problem.y, 3.0, positive=True)
    assert same.judge(result.x).value == result.certificate.value


@pytest.mark.parametrize("name, sparse", [("box", False), ("penalty", False), ("far", True)])
def test_cvxpy_agrees(name, sparse):
    problem, result = solved(name, sparse)
    if name == "far":
        problem = problem.replace(upper=np.inf)
    assert problem.to_cvxpy().solve(solver="CLARABEL") == pytest.approx(result.fun, rel=1e-6)
