"""Hostile points and data: no value of matrix completion may be bought cheaply."""

import numpy as np
import pytest

import fejer
from fejer import MatrixCompletion, Status
from fejer.driver import Run
from tests.lowrank import twin

TOL = 1e-6


def factors(*parts):
    return np.concatenate([np.asarray(part, dtype=float).ravel() for part in parts])


def with_empty_border(Y):
    """The entries of Y, and one row and one column more without any."""
    M = np.full((Y.shape[0] + 1, Y.shape[1] + 1), np.nan)
    M[:-1, :-1] = Y
    return M


Y = np.random.default_rng(0).standard_normal((6, 5))


@pytest.mark.parametrize("junk", [1e4, 1e8, 1e50])
def test_junk_where_nothing_is_observed(junk):
    problem = MatrixCompletion.from_masked(with_empty_border(Y), 1)
    U, V = np.zeros((7, 1)), np.zeros((6, 1))
    U[6], V[5] = junk, 1.0
    assert problem.judge(factors(U, V)).value > 0.1


@pytest.mark.parametrize("junk", [1.0, 1e4, 1e8])
def test_best_approximation_of_too_low_rank_beside_junk(junk):
    problem = MatrixCompletion.from_masked(with_empty_border(Y), 2)
    A, s, Bt = np.linalg.svd(Y)
    U, V = np.zeros((7, 2)), np.zeros((6, 2))
    U[6, 0], V[5, 0] = junk, 1.0
    U[:6, 1], V[:5, 1] = A[:, 0] * s[0], Bt[0]
    certificate = problem.judge(factors(U, V))
    assert certificate.value > 0.1
    assert certificate.details["tangent"] < 1e-12  # the first order condition alone sees nothing


@pytest.mark.parametrize("size", [0.0, 1e-300, 1e-12, 1e-6])
def test_point_that_lacks_a_component(size):
    problem = MatrixCompletion.from_masked(np.diag([3.0, 2.0, 0.0]), 2)
    U, V = np.zeros((3, 2)), np.zeros((3, 2))
    U[0, 0], V[0, 0], U[2, 1], V[2, 1] = 3.0, 1.0, size, 1.0
    assert problem.judge(factors(U, V)).value > 0.5


@pytest.mark.parametrize("reg", [0.0, 0.1])
def test_zero_is_no_solution(reg):
    problem = MatrixCompletion.random(reg=reg)
    assert problem.judge(np.zeros(problem.size)).value > 0.1


def test_saddle_point_is_left():
    # The second singular pair alone is a critical point of the rank 1 problem.
    problem = MatrixCompletion.from_masked(np.diag([3.0, 2.0]), 1)
    saddle = factors([0.0, 2.0], [0.0, 1.0])
    assert problem.judge(saddle).value > 0.2
    assert not fejer.minimize(problem, saddle, method="als", max_iter=50).success


@pytest.mark.parametrize("seed", range(40))
def test_second_order_condition_is_silent_at_limits(seed):
    problem = MatrixCompletion.random(25, 20, 2, 250, noise=0.3, seed=seed)
    result = fejer.minimize(problem, method="als", tol=1e-8, max_iter=3000)
    assert result.success
    assert result.certificate.details["excess"] <= 1e-8


def test_dual_point_is_clipped_on_both_sides():
    problem = MatrixCompletion.random(8, 7, 3, 30, reg=0.5)
    X = twin.dense(problem, problem.values)
    certificate = problem.judge(twin.packed(problem, 50 * X))  # <y, r> < 0
    best = fejer.minimize(problem.replace(rank=7), tol=1e-9).fun
    assert certificate.lower_bound <= best
    assert certificate.value >= (certificate.fun - best) / certificate.scale


@pytest.mark.parametrize("scale", [1e-90, 1e-9, 1.0, 1e9, 1e90])
@pytest.mark.parametrize("reg", [0.0, 0.5])
def test_scale_of_the_data(scale, reg):
    plain = MatrixCompletion.random(noise=0.1, reg=reg, seed=1)
    problem = plain.replace(values=scale * plain.values, reg=scale * reg, rank=20 if reg else 2)
    result = fejer.minimize(problem, method="als", max_iter=3000)
    assert result.success
    far = problem.judge(2 * result.x)
    assert far.value > 0.1 and np.isfinite(far.value)
    unit = fejer.minimize(plain.replace(rank=problem.rank), method="als", max_iter=3000)
    assert result.fun / scale / scale == pytest.approx(unit.fun, rel=1e-4)


@pytest.mark.parametrize("reg", [0.0, 0.5])
@pytest.mark.parametrize("size", [1e8, 1e50, 1e100, 1e160, 1e200, 1e308])
def test_huge_points(size, reg):
    problem = MatrixCompletion.random(reg=reg)
    rng = np.random.default_rng(0)
    for x in (size * rng.standard_normal(problem.size).clip(-1, 1), np.full(problem.size, size)):
        certificate = problem.judge(x)
        assert certificate.value > 0.1
        assert certificate.value < np.inf or certificate.reason


@pytest.mark.parametrize("size", [1e-200, 1e-30, 1e30, 1e200])
def test_unbalanced_factors_of_the_solution(size):
    problem = MatrixCompletion.random(seed=1)
    result = fejer.minimize(problem, tol=1e-12)
    U, V = twin.split(problem, result.x)
    assert problem.judge(factors(size * U, V / size)).holds(1e-10)


@pytest.mark.parametrize("reg", [0.0, 0.5])
def test_factors_that_cancel_carry_their_rounding(reg):
    # U V' is a solution plus c - c, c huge: the floor says that it cannot be known.
    problem = MatrixCompletion.random(reg=reg, seed=1).replace(rank=4)
    U, V = (part.copy() for part in twin.split(problem, fejer.minimize(problem).x))
    U[:, 2], U[:, 3], V[:, 2], V[:, 3] = 1e8, -1e8, 1e8, 1e8
    certificate = problem.judge(factors(U, V))
    assert certificate.details["floor"] > 1e-2
    assert not certificate.holds(TOL)


HOSTILE = {
    "one value of 1e9": lambda p: np.where(np.arange(p.values.size) == 7, 1e9, p.values),
    "values of 1e-9 among others": lambda p: np.where(p.rows == 3, 1e-9 * p.values, p.values),
    "equal values": lambda p: np.full(p.values.size, 2.5),
    "near-parallel rows": lambda p: 1.0 + 1e-9 * p.values,
    "zeros": lambda p: np.zeros(p.values.size),
    "one entry that is not 0": lambda p: np.where(np.arange(p.values.size) == 7, 1.0, 0.0),
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("reg", [0.0, 0.5])
def test_hostile_data_give_no_false_success(name, reg):
    plain = MatrixCompletion.random(12, 10, 2, 70, reg=reg, seed=3)
    problem = plain.replace(values=HOSTILE[name](plain))
    result = fejer.minimize(problem, method="als", max_iter=2000)
    assert np.isfinite(result.x).all() and result.status in set(Status)
    value = twin.value(problem, result.x)
    if result.success:
        assert value <= 1.01 * TOL
    else:
        assert result.certificate.value >= 0.9 * value


@pytest.mark.parametrize("start", ["zero", "rank 1", "huge", "tiny", "constant"])
def test_hostile_starts(start):
    problem = MatrixCompletion.random(seed=2)
    rng = np.random.default_rng(0)
    x0 = {
        "zero": np.zeros(problem.size),
        "rank 1": np.repeat(rng.standard_normal(problem.size // 2), 2),
        "huge": 1e8 * rng.standard_normal(problem.size),
        "tiny": 1e-90 * rng.standard_normal(problem.size),
        "constant": np.ones(problem.size),
    }[start]
    result = fejer.minimize(problem, x0, method="als", max_iter=3000)
    assert result.success or start in ("constant", "rank 1")
    assert not result.success or twin.stationarity(problem, result.x) <= 1.01 * TOL


def test_infimum_at_infinity():
    # From here the objective falls for ever, X grows for ever, and the gradient vanishes.
    problem = MatrixCompletion.random(seed=3)
    low = fejer.minimize(problem.replace(rank=1), method="als")
    U, V = np.zeros((30, 2)), np.zeros((20, 2))
    U[:, :1], V[:, :1] = low.factors
    run = Run(problem, factors(U, V), method="als", tol=0.0)
    run.open()
    for sweeps in (100, 1000, 3000):
        run.forward(sweeps)
        certificate = problem.judge(run.state.x)
        assert problem.singular_values(run.state.x)[0] > 30 * sweeps
        assert certificate.details["fit"] > 0.3 and certificate.details["tangent"] < 0.1 / sweeps
        assert certificate.value > 1e-2


def test_degenerate_shapes():
    for m, n, rank, count in (
        (1, 1, 1, 1),
        (1, 9, 1, 5),
        (9, 1, 1, 9),
        (4, 4, 4, 16),
        (5, 6, 3, 1),
    ):
        for reg in (0.0, 0.3):
            problem = MatrixCompletion.random(m, n, rank, count, reg=reg)
            result = fejer.minimize(problem, method="als", max_iter=3000)
            assert result.success, (m, n, rank, count, reg, result.message)


def test_bound_on_the_rank_is_reported():
    problem = MatrixCompletion.random(20, 15, 8, 250, noise=0.5, reg=0.5).replace(rank=2)
    result = fejer.minimize(problem, method="als")
    assert result.status is Status.STALLED
    assert result.certificate.details["norm_over_reg"] > 1.1


def test_large_condition_number():
    problem = MatrixCompletion.random(60, 50, 3, kappa=10, seed=1)
    result = fejer.minimize(problem, method="als", tol=1e-12, max_iter=5000)
    assert result.success
    s = result.singular_values
    assert s[0] / s[2] == pytest.approx(10, rel=0.3)
    # Beyond, the fit is found among the large components: nothing is claimed of the small ones.
    problem = MatrixCompletion.random(60, 50, 3, kappa=1e8, seed=1)
    result = fejer.minimize(problem, method="als", tol=1e-12, max_iter=200)
    assert result.certificate.value >= twin.stationarity(problem, result.x) * (1 - 1e-6)
