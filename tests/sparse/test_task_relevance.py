"""Relevance of source tasks: as the Lasso, and in the limit of no penalty."""

import numpy as np
import pytest
from scipy.optimize import linprog

import fejer


def program(B, b):
    """The least 1-norm of an exact fit, by linear programming; the dual point too."""
    M = B.shape[1]
    found = linprog(np.ones(2 * M), A_eq=np.hstack([B, -B]), b_eq=b, bounds=(0, None))
    return found.x[:M] - found.x[M:], found.fun, found.eqlin.marginals


@pytest.mark.parametrize("method", ["bcd", "fista", "ista"])
def test_it_is_the_lasso(method):
    problem = fejer.TaskRelevance.random()
    lasso = fejer.Lasso(problem.heads, problem.target, problem.lam)
    result = fejer.minimize(problem, method=method)
    other = lasso.judge(result.x)
    assert result.success and other.value == result.certificate.value
    assert result.fun == pytest.approx(problem.to_cvxpy().solve(solver="CLARABEL"), rel=1e-5)
    assert problem.lam_max() == pytest.approx(lasso.lam_max())


@pytest.mark.parametrize("seed", range(5))
def test_the_limit_is_judged_by_linear_duality(seed):
    problem = fejer.TaskRelevance.random(seed=seed, ratio=0.0)
    B, b = problem.heads.dense, problem.target
    nu, norm, dual = program(B, b)
    certificate = problem.judge(nu, {"dual": dual})
    assert certificate.rigorous and certificate.value < 1e-9
    assert certificate.fun == pytest.approx(norm)
    result = fejer.minimize(problem)
    assert result.success and result.method == "highs"
    assert result.fun == pytest.approx(norm, rel=1e-9)
    least = np.linalg.pinv(B) @ b  # minimum 2-norm: the residual alone called it exact
    judged = problem.judge(least, {"dual": dual})
    assert judged.value >= (np.abs(least).sum() - norm) / np.abs(least).sum() * (1 - 1e-9)
    rng = np.random.default_rng(seed)
    null = np.linalg.svd(B)[2][B.shape[0] :]
    for size in (1e-5, 1e-3, 1.0):
        x = nu + size * null.T @ rng.standard_normal(null.shape[0])
        truth = (np.abs(x).sum() - norm) / np.abs(x).sum()
        for witness in ({"dual": dual}, {"dual": -dual}, {"dual": 1e9 * dual}, {}, {"dual": "x"}):
            assert problem.judge(x, witness).value >= truth * (1 - 1e-9)


def test_small_penalties_come_near_the_limit():
    problem = fejer.TaskRelevance.random(ratio=1e-5)
    result = fejer.minimize(problem, method="bcd", tol=1e-9)
    limit = problem.replace(lam=0.0)
    assert limit.judge(result.x).value < 1e-3
    assert np.abs(result.x).sum() <= program(problem.heads.dense, problem.target)[1] * (1 + 1e-6)
    with pytest.raises(fejer.MethodError, match="sum of squares"):
        fejer.minimize(limit, method="bcd")


def test_samples_follow_the_relevance():
    problem = fejer.TaskRelevance.random()
    result = fejer.minimize(problem, method="bcd")
    counts = result.samples(1000)
    assert (counts > 0).sum() == result.support.size
    np.testing.assert_array_equal(counts, np.ceil(1000 * result.relevance - 1e-9))
    assert counts.sum() >= 1000 and result.relevance.sum() == pytest.approx(1.0)
    squares = result.samples(1000, power=2)
    assert squares.max() > counts.max()


BAD = [
    ("heads", {"heads": np.full((3, 2), np.nan)}),
    ("heads", {"heads": [1.0, 2.0]}),
    ("heads", {"heads": "text"}),
    ("target", {"target": [1.0]}),
    ("target", {"target": [1.0, np.inf, 1.0]}),
    ("lam", {"lam": -1.0}),
    ("lam", {"lam": np.nan}),
    ("lam", {"lam": 0.0}),  # no exact fit
]


@pytest.mark.parametrize("field, bad", BAD)
def test_names_what_it_refuses(field, bad):
    heads = np.random.default_rng(0).standard_normal((3, 2))
    with pytest.raises(fejer.ProblemError, match=rf"^{field}"):
        fejer.TaskRelevance(**{"heads": heads, "target": [1.0, 2.0, 3.0], "lam": 0.1, **bad})
