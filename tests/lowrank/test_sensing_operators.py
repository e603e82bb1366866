"""Sensing by operators and sparse matrices: the same certificates and answers as by arrays."""

import numpy as np
import pytest
from scipy.sparse import csr_array
from scipy.sparse.linalg import LinearOperator, aslinearoperator

import fejer
from fejer import MatrixSensing, ProblemError

CASES = [
    {"loss": loss, "columns": columns, "outliers": outliers}
    for loss, outliers in (("l1", 0.1), ("l2", 0.0))
    for columns in (None, 6)
]


def forms(problem):
    flat = problem.A.reshape(len(problem.A), -1)
    return problem.replace(A=aslinearoperator(flat)), problem.replace(A=csr_array(flat))


@pytest.mark.parametrize("case", CASES)
def test_certificates_agree(case):
    problem = MatrixSensing.random(d=7, rank=2, count=160, **case)
    x0 = fejer.minimize(problem).x
    rng = np.random.default_rng(0)
    for other in forms(problem):
        assert other.length() == pytest.approx(problem.length(), rel=1e-12)
        np.testing.assert_allclose(other.initial_point(), problem.initial_point(), atol=1e-10)
        for size in (0.0, 1e-9, 1e-3, 1.0):
            x = x0 + size * rng.standard_normal(x0.size)
            ours, theirs = problem.judge(x), other.judge(x)
            assert theirs.fun == pytest.approx(ours.fun, rel=1e-9, abs=1e-12)
            assert theirs.value == pytest.approx(ours.value, rel=1e-5, abs=1e-9)
            assert theirs.holds(1e-6) == ours.holds(1e-6)


@pytest.mark.parametrize("case", CASES)
def test_methods_reach_the_truth(case):
    problem = MatrixSensing.random(d=7, rank=2, count=160, **case)
    truth = np.asarray(fejer.minimize(problem, tol=1e-9).matrix)
    for other in forms(problem):
        result = fejer.minimize(other)
        assert result.success
        np.testing.assert_allclose(np.asarray(result.matrix), truth, atol=1e-5)


def test_rank_may_be_too_large_and_memory_is_never_dense():
    """Entries of X in random groups with random signs: an operator that has no matrix."""
    rng = np.random.default_rng(1)
    d, count = 10, 400
    places = rng.integers(0, d * d, (count, 40))
    weights = rng.standard_normal((count, 40))

    def matvec(x):
        return (weights * np.ravel(x)[places]).sum(axis=1)

    def rmatvec(r):
        return np.bincount(places.ravel(), (weights * np.ravel(r)[:, None]).ravel(), d * d)

    A = LinearOperator((count, d * d), matvec=matvec, rmatvec=rmatvec, dtype=np.float64)
    U = rng.standard_normal((d, 1))
    y = matvec(U @ U.T)
    wrong = rng.random(count) < 0.1
    y[wrong] += 50 * rng.standard_normal(int(wrong.sum()))
    problem = MatrixSensing(A, y, (d, d), rank=3)
    result = fejer.minimize(problem)
    assert result.success and problem.packed() is None
    np.testing.assert_allclose(np.asarray(result.matrix), U @ U.T, atol=1e-5)
    np.testing.assert_array_equal(result.outliers, wrong)


@pytest.mark.parametrize(
    "A",
    [
        aslinearoperator(np.ones((5, 3))),
        aslinearoperator(np.zeros((5, 4))),
        csr_array(np.ones((5, 5))),
        csr_array((5, 4)),
        csr_array(np.full((5, 4), np.nan)),
    ],
)
def test_bad_operator(A):
    with pytest.raises(ProblemError, match=r"^A"):
        MatrixSensing(A, np.ones(5), (2, 2), 1)


def test_length_of_y():
    with pytest.raises(ProblemError, match=r"^y:"):
        MatrixSensing(csr_array(np.eye(4)), np.ones(5), (2, 2), 1)
