"""What is claimed of unseen entries: never too much, and enough where there is enough data."""

import numpy as np
import pytest

import fejer
from fejer import MatrixCompletion
from fejer.problems.lowrank import _recovery
from tests.lowrank import twin


def planted(m, n, rank, count, seed):
    """A matrix, and the problem of completing it from entries at random places."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((m, rank)) @ rng.standard_normal((rank, n))
    rows, cols = np.divmod(rng.permutation(m * n)[:count], n)
    return X, MatrixCompletion(rows, cols, X[rows, cols], (m, n), rank)


def solve(problem, **options):
    return fejer.minimize(problem, method="als", tol=1e-10, max_iter=300, **options)


def error(result, X):
    return np.linalg.norm(np.asarray(result.matrix) - X) / np.linalg.norm(X)


def grid(problem):
    return np.divmod(np.arange(problem.shape[0] * problem.shape[1]), problem.shape[1])


def test_random_instances_around_the_threshold():
    recovered = enough = 0
    for seed in range(70):
        rng = np.random.default_rng([7, seed])
        m, n = (int(side) for side in rng.integers(20, 61, 2))
        rank, osr = int(rng.integers(1, 5)), rng.uniform(0.5, 6)
        count = int(min(m * n, osr * rank * (m + n - rank)))
        X, problem = planted(m, n, rank, count, seed)
        result = solve(problem)
        degrees = [np.bincount(problem.rows, minlength=m), np.bincount(problem.cols, minlength=n)]
        known = result.identified(*grid(problem)).reshape(m, n)
        wrong = np.abs(np.asarray(result.matrix) - X)[known].max(initial=0.0)
        assert wrong <= 1e-5 * np.abs(X).max()
        if result.recovered:
            assert error(result, X) <= 1e-6 and known.all()
        if osr >= 4 and min(map(np.min, degrees)) >= rank and error(result, X) <= 1e-6:
            enough += 1
            recovered += result.recovered
    assert enough >= 12 and recovered >= 0.95 * enough


def test_rigidity_is_the_singular_value_of_the_tangent_map():
    for seed in range(8):
        X, problem = planted(9, 8, 2, 45, seed)
        A, _, Bt = np.linalg.svd(X)
        left, right = A[:, :2], Bt[:2].T
        rows, cols = problem.rows.astype(int), problem.cols.astype(int)
        # The tangent map in the coordinates (dU, dV), both Gram blocks scaled to the identity.
        J = np.zeros((45, 2 * (9 + 8)))
        for t, (i, j) in enumerate(zip(rows, cols, strict=True)):
            J[t, 2 * i : 2 * i + 2] = right[j]
            J[t, 18 + 2 * j : 20 + 2 * j] = left[i]
        G = J.T @ J
        for start in range(0, 34, 2):
            block = slice(start, start + 2)
            values, vectors = np.linalg.eigh(G[block, block])
            J[:, block] = J[:, block] @ vectors / np.sqrt(np.maximum(values, 1e-300))
        degenerate = min(np.bincount(rows, minlength=9).min(), np.bincount(cols, minlength=8).min())
        if degenerate < 2:
            continue
        s = np.linalg.svd(J, compute_uv=False)[-5]  # behind the 2 x 2 directions of gauge
        sigma = 1 - s * s
        expected = 1 - sigma * sigma >= 1e-3
        everything = np.ones(9, bool), np.ones(8, bool)
        assert _recovery.rigid(rows, cols, *everything, left, right) == expected


@pytest.mark.parametrize("joints", [0, 1, 5, 8])
def test_two_communities_with_too_few_joints(joints):
    # Rank 3: fewer than 9 entries between the blocks leave their gauge open.
    rng = np.random.default_rng(joints)
    X = rng.standard_normal((40, 3)) @ rng.standard_normal((3, 40))
    mask = np.zeros((40, 40), bool)
    mask[:20, :20] = rng.random((20, 20)) < 0.8
    mask[20:, 20:] = rng.random((20, 20)) < 0.8
    mask[rng.integers(0, 20, joints), 20 + np.arange(joints)] = True
    problem = MatrixCompletion.from_masked(np.where(mask, X, np.nan), 3)
    result = solve(problem, options={"start": "random"})
    assert not result.recovered
    known = result.identified(*grid(problem)).reshape(40, 40)
    assert np.abs(np.asarray(result.matrix) - X)[known].max(initial=0.0) <= 1e-5
    assert not known[:20, 20:].any() and not known[20:, :20].any()
    if joints == 0:
        assert result.recovery == 0
        assert known[:20, :20].all() and known[20:, 20:].all()


def test_a_row_with_too_few_entries():
    X, problem = planted(30, 25, 3, 500, 1)
    kept = (problem.rows != 4) | (np.cumsum(problem.rows == 4) <= 2)
    problem = MatrixCompletion(
        problem.rows[kept], problem.cols[kept], problem.values[kept], (30, 25), 3
    )
    result = solve(problem)
    assert result.certificate.details["fit"] < 1e-8
    assert result.recovery == 0 and not result.recovered
    known = result.identified(*grid(problem)).reshape(30, 25)
    assert not known[4].any() and known[np.arange(30) != 4].all()
    assert np.abs(np.asarray(result.matrix) - X)[known].max() <= 1e-6
    assert np.abs(np.asarray(result.matrix) - X)[4].max() > 0.1


@pytest.mark.parametrize(
    ("rows", "cols", "shape", "rank"),
    [
        ([0], [0], (5, 4), 1),
        ([0], [0], (5, 4), 3),
        ([0, 1], [0, 1], (2, 2), 1),
        ([0, 0, 1, 1], [0, 1, 0, 1], (2, 3), 1),
        ([0, 0, 1], [0, 1, 0], (2, 2), 2),
    ],
)
def test_too_little_is_level_0(rows, cols, shape, rank):
    problem = MatrixCompletion(rows, cols, np.arange(1.0, len(rows) + 1), shape, rank)
    result = solve(problem)
    assert result.recovery == 0 and result.recovered is False
    assert np.isfinite(result.x).all()


def test_noise_claims_nothing():
    problem = MatrixCompletion.random(noise=0.1, seed=3)
    result = solve(problem)
    assert result.success and result.recovery == 1
    assert not result.identified(*grid(problem)).any()


def test_bad_points_claim_nothing():
    problem = MatrixCompletion.random(seed=1)
    rng = np.random.default_rng(0)
    for x in (np.zeros(problem.size), rng.standard_normal(problem.size), np.full(100, 1e200)):
        assert problem.recovery(x) <= 1 and not problem.recovered(x)
        assert not problem.identified(x)([0, 1], [1, 1]).any()


def test_excessive_rank():
    X, problem = planted(60, 50, 3, 2400, 0)
    generous = problem.replace(rank=6)
    x = twin.packed(generous, X)
    assert generous.found_rank(x) == 3 and generous.recovered(x)
    # A method may as well end at X plus a component between the entries, which fits as well.
    i, j = np.argwhere(twin.dense(problem, np.ones(2400)) == 0)[0]
    X[i, j] += 5.0
    x = twin.packed(generous, X)
    assert generous.judge(x).holds(1e-9)
    assert generous.found_rank(x) == 4 and not generous.recovered(x)


def test_least_nuclear_norm_against_soft_impute():
    levels = []
    for count in (90, 700):
        X, problem = planted(30, 28, 1, count, 2)
        result = solve(problem)
        levels.append(result.recovery)
        # The limit of the convex problem for reg -> 0 is the matrix of least nuclear norm.
        convex = twin.soft_impute(problem, 1e-2, sweeps=400)
        assert (np.abs(convex - X).max() <= 0.05) == (result.recovery == 3)
    assert levels[1] == 3 and levels[0] < 3


def test_all_entries_observed_is_level_3():
    _, problem = planted(12, 10, 2, 120, 0)
    assert solve(problem).recovery == 3


def test_identified_checks_positions():
    result = solve(MatrixCompletion.random())
    with pytest.raises(fejer.ProblemError, match=r"^rows:"):
        result.identified([99], [0])
    assert result.found_rank == 2 and result.recovered is True
