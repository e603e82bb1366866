"""Games on simplices: exact gaps against a twin, attacks, closed forms, HiGHS and cvxpy."""

import math

import cvxpy
import numpy as np
import pytest
import scipy.sparse as sp
from scipy.optimize import linprog

import fejer
from fejer.errors import ProblemError
from fejer.testing import hostile_witnesses, moved
from tests.monotone import twin

METHODS = ("eag", "extragradient", "graal", "popov")


def value_by_highs(A):
    m, n = A.shape
    program = linprog(
        np.r_[np.zeros(n), 1.0],
        A_ub=np.c_[A, -np.ones(m)],
        b_ub=np.zeros(m),
        A_eq=np.r_[np.ones(n), 0.0][None],
        b_eq=[1.0],
        bounds=[(0, None)] * n + [(None, None)],
        method="highs",
    )
    return program.fun


def value_by_cvxpy(A, mu_x, mu_y):
    """The maximiser's best answer has the value min over t of t + |(Ap - t)_+|^2 / (2 mu_y)."""
    p, t = cvxpy.Variable(A.shape[1]), cvxpy.Variable()
    cost = mu_x / 2 * cvxpy.sum_squares(p) + t
    cost += cvxpy.sum_squares(cvxpy.pos(A @ p - t)) / (2 * mu_y)
    model = cvxpy.Problem(cvxpy.Minimize(cost), [p >= 0, cvxpy.sum(p) == 1])
    model.solve(solver="CLARABEL", tol_gap_abs=1e-11, tol_gap_rel=1e-11, tol_feas=1e-11)
    return model.value, p.value


def strategies(m, n, rng, sharp=1.0):
    p, q = rng.exponential(size=n) ** sharp, rng.exponential(size=m) ** sharp
    return np.r_[p / p.sum(), q / q.sum()]


# ---- the certificate ---------------------------------------------------------------------
@pytest.mark.parametrize("mu", [(0.0, 0.0), (0.3, 0.7), (1e-3, 50.0)])
@pytest.mark.parametrize("seed", range(6))
def test_certificate_is_that_of_the_twin(mu, seed):
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((5, 7)) * 10.0 ** (seed - 3)
    game = fejer.RegularizedGame(A, *mu) if mu[0] else fejer.MatrixGame(A)
    for sharp in (0.0, 1.0, 8.0):
        x = strategies(5, 7, rng, sharp)
        certificate = game.judge(x)
        expected = twin.game(A, *mu, x)
        assert certificate.value == pytest.approx(expected, rel=1e-9, abs=1e-12)
        p, q = x[:7], x[7:]
        fun = q @ A @ p + mu[0] / 2 * p @ p - mu[1] / 2 * q @ q
        assert certificate.fun == pytest.approx(fun, rel=1e-9, abs=1e-12 * abs(A).max())
        assert certificate.rigorous
        upper = certificate.details["upper_bound"]
        assert certificate.lower_bound <= fun + 1e-9 <= upper + 2e-9


@pytest.mark.parametrize("seed", range(5))
def test_bounds_enclose_the_value(seed):
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((6, 5))
    game, truth = fejer.MatrixGame(A), value_by_highs(A)
    for _ in range(20):
        certificate = game.judge(strategies(6, 5, rng, 3.0))
        assert certificate.lower_bound <= truth + 1e-12
        assert certificate.details["upper_bound"] >= truth - 1e-12
        assert certificate.value * certificate.scale >= abs(certificate.fun - truth) - 1e-12


@pytest.mark.parametrize("cls", [fejer.MatrixGame, fejer.RegularizedGame])
@pytest.mark.parametrize("seed", range(4))
def test_points_three_tol_away_fail(cls, seed):
    game = cls.random(5, 4, seed=seed)
    result = fejer.minimize(game, tol=1e-10)
    assert result.success
    for x, witness in moved(game, result, 12, seed):
        assert not game.judge(x, witness).holds(1e-6)


@pytest.mark.parametrize("cls", [fejer.MatrixGame, fejer.RegularizedGame])
def test_strategies_moved_inside_the_simplices_fail(cls):
    """Mass moved until the true regret is three tol, of either player."""
    game = cls.random(5, 6)
    result = fejer.minimize(game, tol=1e-12)
    rng, tested = np.random.default_rng(0), 0
    for _ in range(50):
        other = strategies(5, 6, rng, 4.0)
        share = 1e-10
        while share < 1.0 and twin.game(game.A.toarray(), game.mu_x, game.mu_y,
                                        (1 - share) * result.x + share * other) < 3e-6:  # fmt: skip
            share *= 1.3
        if share < 1.0:
            tested += 1
            assert not game.judge((1 - share) * result.x + share * other).holds(1e-6)
    assert tested > 40


def test_hostile_witnesses_change_nothing():
    game = fejer.MatrixGame.random()
    x = game.initial_point()
    honest = game.judge(x).value
    for witness in hostile_witnesses({"pair": np.zeros((2, 9))}):
        assert game.judge(x, witness).value == honest


@pytest.mark.parametrize("size", [1e8, 1e100, 1e200, 1e308])
def test_values_are_defined_everywhere(size):
    for game in (fejer.MatrixGame.random(), fejer.RegularizedGame.random()):
        x = size * np.random.default_rng(0).standard_normal(9).clip(-1, 1)
        assert game.judge(x).value == math.inf
        assert game.judge(x).reason


# ---- attacks -----------------------------------------------------------------------------
def test_a_constant_added_to_the_payoffs_hides_nothing():
    A = np.random.default_rng(0).standard_normal((6, 6))
    near, far = fejer.MatrixGame(A), fejer.MatrixGame(A + 1e7)
    x = near.initial_point()
    assert far.judge(x).value == pytest.approx(near.judge(x).value, rel=1e-6)
    assert far.judge(x).value > 0.1
    result = fejer.minimize(far, tol=1e-8)
    assert result.success
    assert result.fun - 1e7 == pytest.approx(value_by_highs(A), abs=1e-6)


def test_each_player_has_a_scale_of_its_own():
    """A huge penalty of one player must not excuse the other one."""
    A = np.random.default_rng(1).standard_normal((5, 5))
    game = fejer.RegularizedGame(A, 1e9, 1e-3)
    p = np.full(5, 0.2)
    worst = int(np.argmin(A @ p))
    wrong = np.r_[p, np.eye(5)[worst]]
    true_loss = (A @ p).max() - (A @ p)[worst]
    assert true_loss > 0.1
    assert game.judge(wrong).value > 0.03


def test_points_off_the_simplices():
    """A raw gap off the simplex can be negative."""
    game = fejer.MatrixGame([[1.0, -1.0], [-1.0, 1.0]])
    best = np.full(4, 0.5)
    assert game.judge(best).value < 1e-14
    for shift in (1e-12, 1e-10):
        off = best + np.array([shift, 0.0, 0.0, 0.0])
        assert 0 < game.judge(off).value < 10 * shift
    for shift in (1e-8, 1e-3, -1e-8):
        assert game.judge(best + shift).value == math.inf
    assert game.judge(0.9 * best).value == math.inf


def test_games_without_stakes():
    game = fejer.MatrixGame(np.full((3, 4), 7.0))
    certificate = game.judge(game.initial_point())
    assert certificate.value < 1e-14 and certificate.fun == 7.0
    assert fejer.minimize(game).success


# ---- closed forms ------------------------------------------------------------------------
def grid(n):
    i = np.arange(1, n + 1)
    return i[:, None], i[None]


CLOSED = {
    "rock paper scissors": (np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]), 0.0),
    "diagonal": (np.diag([1.0, 2.0, 4.0]), 1 / (1 + 0.5 + 0.25)),
    "sums": ((grid(8)[0] + grid(8)[1] - 1) / 15, 8 / 15),
    "distances": ((abs(grid(8)[0] - grid(8)[1]) + 1) / 15, 9 / 30),
    "interval": (abs(np.linspace(0, 1, 9)[:, None] - np.linspace(0, 1, 9)[None]), 0.5),
    "saddle point": (np.array([[3.0, 5.0], [2.0, 9.0]]), 3.0),
}


@pytest.mark.parametrize("name", CLOSED)
@pytest.mark.parametrize("method", ["eag", "graal"])
def test_closed_forms(name, method):
    A, value = CLOSED[name]
    result = fejer.minimize(fejer.MatrixGame(A), method=method, tol=1e-8)
    assert result.success
    assert result.fun == pytest.approx(value, abs=1e-7)

    assert result.certificate.lower_bound <= value + 1e-12


@pytest.mark.parametrize("seed", range(5))
def test_symmetries(seed):
    """val(-A') = -val(A); a skew-symmetric game is fair; order of the strategies is free."""
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((5, 4))
    value = fejer.minimize(fejer.MatrixGame(A), tol=1e-9).fun
    assert fejer.minimize(fejer.MatrixGame(-A.T), tol=1e-9).fun == pytest.approx(-value, abs=1e-8)
    shuffled = A[rng.permutation(5)][:, rng.permutation(4)]
    assert fejer.minimize(fejer.MatrixGame(shuffled), tol=1e-9).fun == pytest.approx(
        value, abs=1e-8
    )
    K = rng.standard_normal((5, 5))
    assert fejer.minimize(fejer.MatrixGame(K - K.T), tol=1e-9).fun == pytest.approx(0, abs=1e-8)


def test_constants_of_rows_and_columns_do_not_slow_down():
    """They cancel in the doubly centred matrix, which gives the step."""
    rng = np.random.default_rng(3)
    A = rng.standard_normal((20, 20))
    B = A + 100 * rng.standard_normal((20, 1)) + 100 * rng.standard_normal(20)
    steps = [fejer.minimize(fejer.MatrixGame(M), method="eag", max_iter=1).step for M in (A, B)]
    assert steps[0] == pytest.approx(steps[1], rel=1e-6)
    assert steps[0] > 0.99 / np.linalg.norm(A, 2)


# ---- oracles -----------------------------------------------------------------------------
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("seed", range(2))
def test_matrix_games_against_highs(method, seed):
    A = np.random.default_rng(seed).standard_normal((5, 6))
    result = fejer.minimize(fejer.MatrixGame(A), method=method, tol=1e-7)
    assert result.success
    assert result.fun == pytest.approx(value_by_highs(A), abs=3e-7)
    model = fejer.MatrixGame(A).to_cvxpy()
    assert model.solve() == pytest.approx(result.fun, abs=1e-6)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("mu", [(1.0, 1.0), (0.1, 2.0)])
def test_regularized_games_against_cvxpy(method, mu):
    A = np.random.default_rng(7).standard_normal((5, 6))
    result = fejer.minimize(fejer.RegularizedGame(A, *mu), method=method, tol=1e-9)
    value, p = value_by_cvxpy(A, *mu)
    assert result.success
    assert result.fun == pytest.approx(value, abs=1e-7)
    assert result.minimizer == pytest.approx(p, abs=1e-4)


@pytest.mark.parametrize("density", [0.2, 0.7])
def test_sparse_payoffs(density):
    A = sp.random(12, 9, density=density, random_state=0, format="csr")
    sparse, dense = fejer.MatrixGame(A), fejer.MatrixGame(A.toarray())
    x = strategies(12, 9, np.random.default_rng(0))
    assert sparse.judge(x).value == pytest.approx(dense.judge(x).value, rel=1e-12)
    z = sparse.inclusion()
    assert z.F(x) == pytest.approx(dense.inclusion().F(x), abs=1e-14)
    assert sparse.A.is_sparse


def test_descent_ascent_cycles():
    game = fejer.MatrixGame.random()
    for alternating in (False, True):
        result = fejer.minimize(game, method="gda", options={"alternating": alternating})
        assert not result.success
        assert result.status.name == "STALLED" and result.nit < 10_000


# ---- what is refused ---------------------------------------------------------------------
BAD = [
    ({"A": [1.0, 2.0]}, "A"),
    ({"A": np.zeros((0, 3))}, "A"),
    ({"A": [[1.0, math.nan]]}, "A"),
    ({"A": [[1.0, math.inf]]}, "A"),
    ({"A": [[1j, 0.0]]}, "A"),
    ({"A": [["a", "b"]]}, "A"),
    ({"A": [[1.0], [1.0, 2.0]]}, "A"),
    ({"A": [[1e200]]}, "A"),
    ({"A": sp.linalg.aslinearoperator(np.eye(2))}, "A"),
    ({"mu_x": 0.0}, "mu_x"),
    ({"mu_x": -1.0}, "mu_x"),
    ({"mu_x": math.nan}, "mu_x"),
    ({"mu_x": True}, "mu_x"),
    ({"mu_y": math.inf}, "mu_y"),
    ({"mu_y": "1"}, "mu_y"),
    ({"mu_y": 1e200}, "mu_y"),
    ({"mu_y": [1.0, 2.0]}, "mu_y"),
]


@pytest.mark.parametrize(("fields", "name"), BAD)
def test_bad_data(fields, name):
    with pytest.raises(ProblemError, match=name):
        fejer.RegularizedGame(**{"A": np.eye(2), "mu_x": 1.0, "mu_y": 1.0, **fields})
    if name == "A":
        with pytest.raises(ProblemError, match=name):
            fejer.MatrixGame(**fields)


class ArrayLike:
    def __array__(self, dtype=None, copy=None):
        return np.array([[1.0, 2.0], [3.0, 0.0]], dtype=dtype)


@pytest.mark.parametrize(
    "A",
    [
        [[1, 2], [3, 0]],
        np.array([[1, 2], [3, 0]], dtype=np.float32),
        np.asfortranarray([[1.0, 2.0], [3.0, 0.0]]),
        np.array([[1.0, 9, 2.0, 9], [3.0, 9, 0.0, 9]])[:, ::2],
        sp.csr_array([[1.0, 2.0], [3.0, 0.0]]),
        sp.coo_matrix([[1.0, 2.0], [3.0, 0.0]]),
        ArrayLike(),
    ],
)
def test_what_counts_as_a_matrix(A):
    result = fejer.minimize(fejer.MatrixGame(A), tol=1e-9)
    assert result.success and result.fun == pytest.approx(1.5, abs=1e-8)
