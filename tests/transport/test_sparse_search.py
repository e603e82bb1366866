"""Plans on chosen arcs, and the search over which these are, for sparsity-constrained transport."""

import itertools

import numpy as np
import pytest

import fejer
from fejer.benchmarks.instances.plans import sparse
from fejer.solvers.transport import _supports
from fejer.solvers.transport._repair import repaired
from fejer.solvers.transport._supports import best_on, exchanged


def objective(entries, gamma):
    return float(entries.values @ entries.costs + 0.5 * gamma * (entries.values @ entries.values))


@pytest.mark.parametrize("dense", [0, 300])
@pytest.mark.parametrize("gamma", [0.1, 10.0])
def test_programs_on_arcs_against_an_interior_point_method(gamma, dense, monkeypatch):
    monkeypatch.setattr(_supports, "DENSE", dense)
    cvxpy = pytest.importorskip("cvxpy")
    rng = np.random.default_rng(0)
    a = rng.random(6) + 0.5
    a /= a.sum()
    problem = fejer.SparseOT(a, None, rng.random((6, 6)), gamma, 3)
    mask = np.eye(6, dtype=bool) | (rng.random((6, 6)) < 0.5)
    polytope = problem.oriented
    found = best_on(polytope, gamma, np.zeros(12), *np.nonzero(mask))
    P = cvxpy.Variable((6, 6), nonneg=True)
    rules = [cvxpy.sum(P, axis=1) == problem.a, cvxpy.sum(P, axis=0) == problem.b, P[~mask] == 0]
    value = cvxpy.sum(cvxpy.multiply(problem.cost, P)) + gamma / 2 * cvxpy.sum_squares(P)
    model = cvxpy.Problem(cvxpy.Minimize(value), rules)
    try:
        expected = model.solve(solver=cvxpy.CLARABEL)
    except cvxpy.error.SolverError:
        expected = np.inf
    if not np.isfinite(expected):
        assert found is None
        return
    assert found.value + polytope.shift == pytest.approx(expected, rel=1e-6)
    rows, columns = found.entries.sums(polytope)
    assert rows == pytest.approx(problem.a, rel=1e-10)
    assert columns == pytest.approx(problem.b, rel=1e-10)
    assert best_on(polytope, gamma, np.zeros(12), *np.nonzero(mask), found.value - 1e-6) is None


def test_arcs_that_carry_no_plan():
    problem = sparse("pc2", 6, 1.0, 2)
    mask = np.zeros((6, 6), dtype=bool)
    mask[:, 0] = True
    assert best_on(problem.oriented, 1.0, np.zeros(12), *np.nonzero(mask)) is None


@pytest.mark.parametrize("gamma", [0.1, 1.0])
@pytest.mark.parametrize("seed", range(3))
def test_small_instances_are_solved(gamma, seed):
    """All supports of two entries a row, four rows; the search ends at the best of them."""
    problem = sparse("pc2", 4, gamma, 2, seed)
    polytope, best = problem.oriented, np.inf
    pairs = list(itertools.combinations(range(4), 2))
    for chosen in itertools.product(pairs, repeat=4):
        columns = np.concatenate(chosen).astype(int)
        if np.unique(columns).size == 4:
            found = best_on(polytope, gamma, np.zeros(8), np.repeat(range(4), 2), columns, best)
            best = best if found is None else min(best, found.value)
    result = fejer.minimize(problem, max_iter=2000)
    off = (result.fun - best - polytope.shift * polytope.mass) / result.certificate.scale
    assert abs(off) < 1e-9
    assert result.certificate.lower_bound <= best + polytope.shift * polytope.mass + 1e-9


@pytest.mark.parametrize("axis", ["row", "column"])
@pytest.mark.parametrize(("gamma", "k"), [(0.1, 2), (1.0, 2), (1.0, 3), (10.0, 3), (10.0, 5)])
def test_searches_only_improve(gamma, k, axis):
    problem = sparse("pc2", 24, gamma, k).replace(axis=axis)
    x = fejer.minimize(problem, max_iter=40).x
    f, g = problem._reduced(x)
    start, _ = repaired(problem.oriented, gamma, k, f, g)
    assert start is not None
    found, programs = exchanged(problem.oriented, gamma, k, start, f, g)
    assert 1 <= programs <= _supports.PROGRAMS
    assert objective(found, gamma) <= objective(start, gamma) * (1 + 1e-12)
    assert np.bincount(found.rows).max() <= k
    value = problem.plan_value({"plan": problem.turned(found)})  # inf where it is not feasible
    assert value == pytest.approx(objective(found, gamma), rel=1e-9)


def test_the_gap_where_the_limit_binds():
    """Without the search it was 7.5e-2."""
    result = fejer.minimize(sparse("pc2", 60, 10.0, 2), max_iter=300)
    assert result.certificate.value < 1e-2 and not result.success
    P = result.plan.toarray()
    assert (P > 0).sum(axis=1).max() <= 2 and result.marginal_violation < 1e-12
