"""Saddle points: the certificate of each player, attacks, linear algebra, cvxpy, bad data."""

import math
import pickle

import cvxpy
import numpy as np
import pytest
import scipy.sparse as sp

import fejer
from fejer.errors import OracleError, ProblemError
from fejer.testing import hostile_witnesses

METHODS = ("extragradient", "eag", "popov", "graal")


def data(seed=0, n=5, m=3):
    rng = np.random.default_rng(seed)
    S, R, A = (rng.standard_normal(shape) for shape in ((n, n), (m, m), (m, n)))
    H, Q = S @ S.T / n + 0.2 * np.eye(n), R @ R.T / m + 0.2 * np.eye(m)
    return H, A, Q, rng.standard_normal(n), rng.standard_normal(m)


def box(v, eta):
    return np.clip(v, -0.4, 0.6)


def twin(F, proxes, split, step, z):
    """Both residuals of z, and the forward-backward step."""
    value = F(z)
    moved = z - step * value
    parts = [moved[:split], moved[split:]]
    image = np.concatenate(
        [p if prox is None else prox(p, step) for p, prox in zip(parts, proxes, strict=True)]
    )
    gap = (z - image) / step
    return np.array([np.linalg.norm(gap[:split]), np.linalg.norm(gap[split:])]), image


def twin_value(F, proxes, split, step, z):
    zero = np.zeros(z.size)
    origin = np.concatenate(
        [
            p if prox is None else prox(p, step)
            for p, prox in zip([zero[:split], zero[split:]], proxes, strict=True)
        ]
    )
    first, image = twin(F, proxes, split, step, origin)
    second, _ = twin(F, proxes, split, step, image)
    scales = np.where(first > 0, first, np.where(second > 0, second, 1 / step))
    return float(np.max(twin(F, proxes, split, step, z)[0] / scales))


@pytest.mark.parametrize("proxes", [(None, None), (box, None), (None, box), (box, box)])
@pytest.mark.parametrize("seed", range(5))
def test_certificate_is_that_of_the_twin(proxes, seed):
    H, A, Q, h, b = data(seed)
    if seed == 4:
        b = 0 * b  # a scale that is 0 at the origin
    problem = fejer.QuadraticSaddle(H, A, Q, h, b, *proxes)
    step = 1 / problem.inclusion().lipschitz

    def F(z):
        x, y = z[:5], z[5:]
        return np.r_[H @ x - h - A.T @ y, A @ x - b + Q @ y]

    assert problem.inclusion().lipschitz >= np.linalg.norm(np.block([[H, -A.T], [A, Q]]), 2) - 1e-9
    rng = np.random.default_rng(seed)
    for size in (0.0, 1e-3, 1.0, 1e4):
        z = size * rng.standard_normal(8)
        expected = twin_value(F, proxes, 5, step, z)
        assert problem.judge(z).value == pytest.approx(expected, rel=1e-9, abs=1e-14)
        x, y = z[:5], z[5:]
        fun = x @ H @ x / 2 - h @ x - y @ (A @ x - b) - y @ Q @ y / 2
        assert problem.judge(z).fun == pytest.approx(fun, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("seed", range(20))
def test_points_three_tol_away_fail(seed):
    problem = fejer.QuadraticSaddle(*data(seed))
    H, A, Q, h, b = data(seed)
    M = np.block([[H, -A.T], [A, Q]])
    zero = np.linalg.solve(M, np.r_[h, b])
    assert problem.judge(zero).holds(1e-6)
    rng = np.random.default_rng(seed)
    for _ in range(5):
        d = rng.standard_normal(8)
        gap = M @ d
        sizes = np.array([np.linalg.norm(gap[:5]), np.linalg.norm(gap[5:])]) / problem.scales
        assert not problem.judge(zero + 3e-6 / sizes.max() * d).holds(1e-6)


def test_a_huge_linear_term_does_not_hide_a_violated_constraint():
    """h of size 1e9, b of size 1: a point off by ten |b| must fail."""
    rng = np.random.default_rng(0)
    A, b = rng.standard_normal((2, 4)), np.array([1.0, -1.0])
    problem = fejer.QuadraticSaddle(np.eye(4), A, None, np.full(4, 1e9), b)
    M = np.block([[np.eye(4), -A.T], [A, np.zeros((2, 2))]])
    off = np.linalg.solve(M, np.r_[np.full(4, 1e9), 11 * b])
    assert np.linalg.norm(A @ off[:4] - b) > 9 * np.linalg.norm(b)
    assert problem.judge(off).value > 1e-6


def test_hostile_points_and_witnesses():
    for problem in (fejer.QuadraticSaddle(*data()), fejer.SaddlePoint.random()):
        honest = problem.judge(problem.initial_point()).value
        for witness in hostile_witnesses({"pair": np.zeros((2, problem.size))}):
            assert problem.judge(problem.initial_point(), witness).value == honest
        for size in (1e8, 1e100, 1e200, 1e308):
            certificate = problem.judge(np.full(problem.size, size))
            assert certificate.value > 1e-3
            assert certificate.value < math.inf or certificate.reason


# ---- oracles -----------------------------------------------------------------------------
@pytest.mark.parametrize("method", [*METHODS, "feg", "auto"])
@pytest.mark.parametrize("seed", range(2))
def test_against_the_linear_system(method, seed):
    H, A, Q, h, b = data(seed)
    exact = np.linalg.solve(np.block([[H, -A.T], [A, Q]]), np.r_[h, b])
    result = fejer.minimize(fejer.QuadraticSaddle(H, A, Q, h, b), method=method, tol=1e-9)
    assert result.success
    assert result.x == pytest.approx(exact, abs=1e-7)
    assert np.r_[result.primal, result.dual] == pytest.approx(result.x, abs=0)


@pytest.mark.parametrize("method", METHODS)
def test_a_constrained_quadratic_program_against_cvxpy(method):
    """y is the multiplier of A x = b where Q = 0 and y is free."""
    H, A, _, h, _ = data(3)
    b = A @ np.array([0.3, -0.2, 0.5, 0.1, -0.3])
    x = cvxpy.Variable(5)
    rows = A @ x == b
    cost = cvxpy.quad_form(x, cvxpy.psd_wrap(H)) / 2 - h @ x
    model = cvxpy.Problem(cvxpy.Minimize(cost), [rows, x >= -0.4, x <= 0.6])
    model.solve(solver="CLARABEL", tol_gap_abs=1e-12, tol_gap_rel=1e-12, tol_feas=1e-12)
    problem = fejer.QuadraticSaddle(H, A, None, h, b, prox_x=fejer.prox.Box(-0.4, 0.6))
    result = fejer.minimize(problem, method=method, tol=1e-8)
    assert result.success
    assert result.primal == pytest.approx(x.value, abs=1e-5)
    assert result.dual == pytest.approx(-rows.dual_value, abs=1e-4)


@pytest.mark.parametrize("declared", [True, False])
@pytest.mark.parametrize("method", METHODS)
def test_the_callable_class_agrees_with_the_quadratic_one(declared, method):
    H, A, Q, h, b = data(1)
    quadratic = fejer.QuadraticSaddle(H, A, Q, h, b, box, None)
    L = quadratic.inclusion().lipschitz
    problem = fejer.SaddlePoint(
        lambda x, y: H @ x - h - A.T @ y,
        lambda x, y: b - A @ x - Q @ y,
        5,
        3,
        prox_x=box,
        lipschitz=L if declared else None,
    )
    one, two = (fejer.minimize(p, method=method, tol=1e-9) for p in (problem, quadratic))
    assert one.success and two.success
    assert one.x == pytest.approx(two.x, abs=1e-7)
    if declared:
        z = np.random.default_rng(0).standard_normal(8)
        assert problem.judge(z).value == pytest.approx(quadratic.judge(z).value, rel=1e-9)


def test_sparse_couplings_and_operators():
    H, A, Q, h, b = data()
    dense = fejer.QuadraticSaddle(H, A, Q, h, b)
    for B in (sp.csr_array(A), sp.linalg.aslinearoperator(A)):
        other = fejer.QuadraticSaddle(sp.csc_array(H), B, sp.csr_array(Q), h, b)
        z = np.random.default_rng(0).standard_normal(8)
        assert other.judge(z).value == pytest.approx(dense.judge(z).value, rel=1e-9)


def test_the_known_slow_instance():
    """Restarted anchoring enters a linear regime where extragradient crawls."""
    n = 20
    A = np.zeros((n, n))
    A[np.arange(n), n - 1 - np.arange(n)] = 0.25
    A[np.arange(n - 1), n - 2 - np.arange(n - 1)] = -0.25
    problem = fejer.QuadraticSaddle(2 * A.T @ A, A, None, np.eye(n)[-1] / 4, np.full(n, 0.25))
    fast = fejer.minimize(problem, method="feg", tol=1e-5, max_iter=20_000)
    slow = fejer.minimize(problem, method="extragradient", tol=1e-5, max_iter=2 * fast.nit)
    assert fast.success and not slow.success


# ---- what is refused ---------------------------------------------------------------------
BAD = [
    ({"H": [[1.0, 2.0], [0.0, 1.0]]}, "H: expected a symmetric"),
    ({"H": -np.eye(2)}, "H: expected a positive semidefinite"),
    ({"H": np.eye(3)}, "H"),
    ({"H": [[math.nan, 0], [0, 1.0]]}, "H"),
    ({"H": sp.linalg.aslinearoperator(np.eye(2))}, "H"),
    ({"Q": sp.csr_array([[0.0, 1.0], [2.0, 0.0]])}, "Q: expected a symmetric"),
    ({"Q": [[0.0, 1.0], [1.0, 0.0]]}, "Q: expected a positive semidefinite"),
    ({"A": [1.0, 2.0]}, "A"),
    ({"A": [[math.inf, 0], [0, 1.0]]}, "A"),
    ({"A": np.zeros((0, 2))}, "A"),
    ({"A": [[1j, 0], [0, 1]]}, "A"),
    ({"h": [1.0]}, "h"),
    ({"h": [1.0, math.nan]}, "h"),
    ({"b": [1.0, 2.0, 3.0]}, "b"),
    ({"b": "text"}, "b"),
    ({"prox_x": 3}, "prox_x: expected a callable"),
    ({"prox_y": "box"}, "prox_y: expected a callable"),
]


@pytest.mark.parametrize(("fields", "said"), BAD)
def test_bad_quadratic_data(fields, said):
    with pytest.raises(ProblemError, match=said):
        fejer.QuadraticSaddle(**{"H": np.eye(2), "A": np.eye(2), "Q": None, **fields})


CALLABLES = [
    ({"gx": 3}, "gx: expected a callable"),
    ({"gy": None}, "gy: expected a callable"),
    ({"n": 0}, "n"),
    ({"m": 1.5}, "m"),
    ({"lipschitz": 0.0}, "lipschitz"),
    ({"lipschitz": math.nan}, "lipschitz"),
    ({"x0": [1.0, 2.0, 3.0]}, "x0"),
    ({"prox_x": 1}, "prox_x"),
]


@pytest.mark.parametrize(("fields", "said"), CALLABLES)
def test_bad_callables(fields, said):
    good = {"gx": lambda x, y: y, "gy": lambda x, y: x, "n": 1, "m": 1}
    with pytest.raises(ProblemError, match=said):
        fejer.SaddlePoint(**{**good, **fields})


@pytest.mark.parametrize(
    ("gx", "said"),
    [
        (lambda x, y: np.zeros(3), "gx: expected 1 numbers|gx: expected shape"),
        (lambda x, y: "text", "gx"),
        (lambda x, y: np.array([math.nan]), "finite"),
    ],
)
def test_bad_answers(gx, said):
    problem = fejer.SaddlePoint(gx, lambda x, y: x, 1, 1, lipschitz=1.0)
    with pytest.raises(OracleError, match=said):
        fejer.minimize(problem)


def test_it_pickles():
    for problem in (fejer.SaddlePoint.random(), fejer.QuadraticSaddle.random()):
        other = pickle.loads(pickle.dumps(problem))
        assert other.fingerprint() == problem.fingerprint()
        assert fejer.minimize(other).x.tobytes() == fejer.minimize(problem).x.tobytes()


def test_supplied_pieces_are_checked():
    problem = fejer.SaddlePoint.random()
    assert fejer.check_derivatives(problem).ok
    wrong = problem.replace(gy=lambda x, y: -problem.gy(x, y))
    assert fejer.check_derivatives(wrong)["monotone F"].error > 1e-3
    far = problem.replace(prox_x=lambda v, eta: 3 * v)
    assert fejer.check_derivatives(far)["resolvent, firmly nonexpansive"].error > 1
    assert not fejer.check_derivatives(problem.replace(lipschitz=1e-3)).ok
