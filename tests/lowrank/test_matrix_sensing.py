"""Matrix sensing: certificates against dense twins, attacks, bad input."""

import numpy as np
import pytest
from scipy.optimize import linprog

import fejer
from fejer import MatrixSensing, ProblemError

TOL = 1e-6


def planted(d=12, rank=2, count=300, columns=None, kappa=1.0, seed=0, **kwargs):
    problem = MatrixSensing.random(
        d, rank, count, columns=columns, kappa=kappa, seed=seed, **kwargs
    )
    rng = np.random.default_rng(seed)
    V = np.linalg.qr(rng.standard_normal((d, rank)))[0]
    W = V if columns is None else np.linalg.qr(rng.standard_normal((columns, rank)))[0]
    values = np.linspace(1, 1 / kappa, rank)
    x = (V * np.sqrt(values)).ravel()
    if columns is not None:
        x = np.concatenate([x, (W * np.sqrt(values)).ravel()])
    return problem, x, (V * values) @ W.T


def tangent_projection(X, rank, Z):
    A, _, Bt = np.linalg.svd(X)
    P, Q = A[:, :rank] @ A[:, :rank].T, Bt[:rank].T @ Bt[:rank]
    return P @ Z + Z @ Q - P @ Z @ Q


def smallest_largest_multiplier(problem, x, X, rank):
    """min max |s_I| subject to balance on the tangent space, by linear programming."""
    A = problem.A
    if problem.symmetric:
        A = 0.5 * (A + A.transpose(0, 2, 1))
    T = np.array([tangent_projection(X, rank, M).ravel() for M in A])
    r = problem.y - np.tensordot(problem.A, X, 2)
    inside = np.abs(r) <= 1e-6 * np.median(np.abs(problem.y))
    g = T[~inside].T @ np.sign(r[~inside])
    basis = np.linalg.svd(T.T, full_matrices=False)[0]
    basis = basis[:, : np.linalg.matrix_rank(T)]
    E, b = basis.T @ T[inside].T, -basis.T @ g
    n = E.shape[1]
    cost = np.append(np.zeros(n), 1.0)
    bounds = np.vstack([np.c_[np.eye(n), -np.ones(n)], np.c_[-np.eye(n), -np.ones(n)]])
    done = linprog(
        cost, bounds, np.zeros(2 * n), np.c_[E, np.zeros(len(b))], b, bounds=(None, None)
    )
    assert done.status == 0
    return done.fun


@pytest.mark.parametrize("columns", [None, 9])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.3])
def test_sharpness_at_the_truth_against_a_linear_programme(columns, share):
    problem, x, X = planted(10, 1, 150, columns, outliers=share)
    certificate = problem.judge(x)
    assert certificate.holds(1e-9) and certificate.kind == "sharpness"
    best = smallest_largest_multiplier(problem, x, X, 1)
    assert best < 1
    assert certificate.details["sharpness"] <= 1 - best + 1e-6


@pytest.mark.parametrize("columns", [None, 15])
def test_no_direction_descends_from_a_certified_point(columns):
    problem, x, X = planted(12, 2, 400, columns, outliers=0.2)
    assert problem.judge(x).holds(1e-9)
    rng = np.random.default_rng(1)
    now = np.abs(problem.y - np.tensordot(problem.A, X, 2)).mean()
    for size in (1e-5, 1e-3, 1e-2):
        for _ in range(20):
            moved = x + size * rng.standard_normal(x.size)
            assert problem.objective(moved) > now


@pytest.mark.parametrize("columns", [None, 15])
def test_l2_against_finite_differences_and_dense_conditions(columns):
    problem, x, _ = planted(12, 2, 400, columns, loss="l2", noise=0.1)
    result = fejer.minimize(problem, tol=1e-9)
    assert result.success
    grad = np.zeros(x.size)
    for i in range(x.size):
        e = 1e-5 * (np.arange(x.size) == i)
        grad[i] = (problem.objective(result.x + e) - problem.objective(result.x - e)) / 2e-5
    assert np.abs(grad).max() < 1e-7
    rng = np.random.default_rng(0)
    for _ in range(30):
        moved = result.x + 1e-3 * rng.standard_normal(x.size)
        assert problem.objective(moved) >= result.fun * (1 - 1e-12)
        Z = problem.matrix(moved)
        X = np.asarray(Z)
        G = problem.adjoint(problem.y - np.tensordot(problem.A, X, 2))
        size = np.linalg.norm(problem.adjoint(problem.y))
        tangent = np.linalg.norm(tangent_projection(X, 2, G)) / size
        certificate = problem.judge(moved)
        assert certificate.details["tangent"] == pytest.approx(tangent, rel=1e-8)
        assert certificate.value >= tangent and not certificate.holds(TOL)


@pytest.mark.parametrize("loss", ["l1", "l2"])
@pytest.mark.parametrize("columns", [None, 9])
@pytest.mark.parametrize("size", [0.0, 1e-200, 1e-9, 1e-6])
def test_points_that_lack_a_component(loss, columns, size):
    problem, x, _ = planted(10, 2, 300, columns, loss=loss)
    parts = [x[:20].reshape(10, 2).copy(), x[20:].reshape(-1, 2).copy()]
    for part in parts:
        part[:, 1] *= size
    assert problem.judge(np.concatenate([p.ravel() for p in parts])).value > 0.1
    for part in parts:
        part[:, 0] *= size
    assert problem.judge(np.concatenate([p.ravel() for p in parts])).value > 0.1


@pytest.mark.parametrize("loss", ["l1", "l2"])
@pytest.mark.parametrize("scale", [1e-90, 1e-9, 1.0, 1e9, 1e90])
def test_scale_of_the_data(loss, scale):
    problem, x, _ = planted(8, 1, 120, outliers=0.1 if loss == "l1" else 0.0, loss=loss)
    for scaled, y in ((problem.replace(A=scale * problem.A), 1.0), (problem, scale)):
        # X scales with y over A: stretch the measurements, or what is measured.
        scaled = scaled.replace(y=y * problem.y)
        root = np.sqrt(y if scaled is not problem and y != 1.0 else 1 / scale if y == 1.0 else y)
        assert scaled.judge(root * x).holds(1e-9)
        assert scaled.judge(1.1 * root * x).value > 1e-2
        assert scaled.judge(0 * x).value > 0.1


@pytest.mark.parametrize("loss", ["l1", "l2"])
@pytest.mark.parametrize("size", [1e8, 1e50, 1e100, 1e200])
def test_huge_points(loss, size):
    problem, x, _ = planted(8, 1, 120, loss=loss)
    rng = np.random.default_rng(0)
    certificate = problem.judge(size * rng.standard_normal(x.size))
    assert certificate.value > 0.05
    assert certificate.value < np.inf or certificate.reason


def test_points_on_a_ray_and_beside_the_truth_fail():
    for columns in (None, 9):
        for loss in ("l1", "l2"):
            problem, x, _ = planted(10, 2, 300, columns, loss=loss, outliers=0.1 * (loss == "l1"))
            rng = np.random.default_rng(2)
            for size in (1e-5, 1e-3, 0.1, 1.0):
                for _ in range(5):
                    assert not problem.judge(x + size * rng.standard_normal(x.size)).holds(TOL)
                assert not problem.judge((1 + size) * x).holds(TOL)


def test_too_few_measurements_claim_nothing_sharp():
    # 30 measurements of 19 unknowns, half of them wrong: the truth is no minimum.
    problem, x, _ = planted(10, 2, 30, outliers=0.6, seed=3)
    assert not problem.judge(x).holds(TOL)


GOOD = {"A": np.ones((3, 2, 2)) + np.eye(2), "y": [1.0, 2.0, 3.0], "shape": (2, 2), "rank": 1}
NAN = float("nan")
BAD = [
    ("A", np.ones((3, 3))),
    ("A", np.ones((3, 2, 3))),
    ("A", np.ones(4)),
    ("A", np.zeros((3, 2, 2))),
    ("A", np.full((3, 2, 2), NAN)),
    ("A", np.full((3, 2, 2), 1e101)),
    ("A", "abc"),
    ("A", None),
    ("A", []),
    ("A", 1j * np.ones((3, 2, 2))),
    ("y", [1.0, 2.0]),
    ("y", [1.0, NAN, 2.0]),
    ("y", [0.0, 0.0, 0.0]),
    ("y", []),
    ("y", None),
    ("y", "abc"),
    ("y", [[1.0, 2.0, 3.0]]),
    ("shape", (2,)),
    ("shape", (2, 0)),
    ("shape", None),
    ("rank", 0),
    ("rank", 3),
    ("rank", 1.5),
    ("rank", None),
    ("rank", True),
    ("loss", "huber"),
    ("loss", None),
    ("symmetric", "yes"),
    ("symmetric", 1.0),
]


@pytest.mark.parametrize(("field", "value"), BAD)
def test_bad_field(field, value):
    with pytest.raises(ProblemError, match=rf"^{field}:"):
        MatrixSensing(**{**GOOD, field: value})


def test_symmetric_needs_a_square():
    with pytest.raises(ProblemError, match=r"^symmetric:"):
        MatrixSensing(np.ones((3, 6)), [1, 2, 3], (2, 3), 1, symmetric=True)


def test_layouts_are_taken_and_left_alone():
    rng = np.random.default_rng(0)
    A = rng.integers(-5, 6, (30, 3, 4))
    y = rng.standard_normal(30)
    base = MatrixSensing(A, y, (3, 4), 1)
    x = rng.standard_normal(base.size)
    value = base.judge(x).value
    for other in (A.reshape(30, 12), A.tolist(), np.asfortranarray(A.astype(float)), A[::1]):
        kept = np.array(other)
        assert MatrixSensing(other, y, [3, 4], 1).judge(x).value == value
        np.testing.assert_array_equal(np.array(other), kept)
    assert not base.symmetric and MatrixSensing(A[:, :, :3], y, (3, 3), 1).symmetric


def test_not_errors():
    for loss in ("l1", "l2"):
        problem = MatrixSensing(np.eye(2)[None], [3.0], (2, 2), 2, loss)  # one measurement
        result = fejer.minimize(problem, max_iter=500)
        assert np.isfinite(result.x).all()
    zero = MatrixSensing.random(loss="l2").replace(y=np.zeros(80))
    result = fejer.minimize(zero)
    assert result.success and not result.x.any()


def test_views():
    problem, x, X = planted(10, 2, 300, 7)
    U, V = problem.factors(x)
    np.testing.assert_allclose(U @ V.T, X, atol=1e-12)
    np.testing.assert_allclose(problem.singular_values(x), [1, 1], atol=1e-12)
    np.testing.assert_allclose(np.asarray(problem.matrix(x)), X, atol=1e-12)
    spoiled = problem.replace(y=np.where(np.arange(300) == 5, 9.0, problem.y))
    assert np.flatnonzero(spoiled.outliers(x)).tolist() == [5]
