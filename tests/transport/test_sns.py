"""Sinkhorn-Newton-Sparse and Sinkhorn in the logarithmic domain."""

import itertools

import numpy as np
import pytest

import fejer
from fejer.benchmarks.instances.transport import instance
from fejer.driver import Run
from fejer.solvers.transport import _sparse_newton as kernels
from tests.transport import twin

ETA = 1200.0


def problem_of(kind, n, eta=ETA, seed=0):
    a, b, cost = instance(kind, n, seed)
    return fejer.EntropicOT(a, b, cost, eps=1 / eta)


def first(result, tol):
    """The first iteration whose plan violates the marginals by at most `tol`."""
    trace = result.trace
    return min(k for k, v in zip(trace.nit, trace.marginal, strict=True) if v <= tol)


# ---- the logarithmic domain -----------------------------------------------------------------


@pytest.mark.parametrize("eps_rel", [1.0, 0.05, 1e-3, 1e-6])
def test_log_iterates_equal_the_twin(eps_rel):
    problem = fejer.EntropicOT.random(9, 7, eps_rel=eps_rel)
    run = Run(problem, method="sinkhorn-log", tol=0.0)
    run.open()
    for k in range(1, 31):
        run.method.advance(problem, run.prep, run.state, 1)
        if run.state.nit < k:
            break
        x = run.method.point(problem, run.prep, run.state)
        difference = x - twin.sinkhorn(problem, k)
        assert np.ptp(difference[:9]) < 1e-11 and np.ptp(difference[9:]) < 1e-11


def test_both_kinds_of_sinkhorn_are_one_iteration():
    problem = fejer.EntropicOT.random(20, 15, eps_rel=0.01, seed=3)
    ends = [
        fejer.minimize(problem, method=name, tol=1e-9, trace="every")
        for name in ("sinkhorn", "sinkhorn-log")
    ]
    assert ends[0].nit == ends[1].nit and ends[0].x == pytest.approx(ends[1].x, abs=1e-11)


# ---- sparse Newton steps -----------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_assignment_of_the_paper(seed):
    """n = 500, eta = 1200 to machine accuracy in at most 40 iterations."""
    result = fejer.minimize(
        problem_of("lap", 500, seed=seed), method="sns", tol=1e-12, trace="every"
    )
    assert result.success and first(result, 1e-12) <= 40
    plan = result.plan
    assert np.abs(plan.marginals[0] - 1 / 500).sum() < 1e-13


def test_sinkhorn_needs_thousands_where_newton_needs_tens():
    problem = problem_of("lap", 200)
    newton = fejer.minimize(problem, method="sns", tol=1e-10)
    alternate = fejer.minimize(problem, method="sinkhorn", tol=1e-9, max_iter=50 * newton.nit)
    assert newton.success and newton.nit <= 60 and not alternate.success


@pytest.mark.parametrize("kind", ["lap", "pc2", "pc10", "grid"])
@pytest.mark.parametrize("rule", ["largest", "mass"])
def test_both_rules_solve_all_kinds(kind, rule):
    problem = problem_of(kind, 100, eta=300.0)
    result = fejer.minimize(
        problem, method="sns", tol=1e-10, max_iter=400, options={"sparsify": rule}
    )
    assert result.success, result
    assert twin.certificate(problem, result.x, result.plan.toarray())[0] < 1.1e-10


def test_large_eps_needs_no_newton_step():
    """Where Sinkhorn is fast the warm-up is enough."""
    problem = problem_of("lap", 60, eta=10.0)
    result = fejer.minimize(problem, method="sns", tol=1e-9, trace="every")
    assert result.success and result.nit <= 20 and result.stats["newton_steps"] == 0


def test_dual_value_never_falls():
    problem = problem_of("pc2", 80)
    bounds = [
        step.certificate.details["gap"] * -step.certificate.scale + step.certificate.fun
        for step in fejer.steps(problem, "sns", tol=1e-11, max_iter=120)
    ]
    assert np.diff(bounds[1:]).min() > -1e-12


@pytest.mark.parametrize("density", [0.01, 1.0, 1e9])
def test_any_density_works(density):
    """With one entry a row a step is poor, with all of them it is Newton's own."""
    problem = fejer.EntropicOT.random(25, 18, eps_rel=3e-3, seed=2)
    result = fejer.minimize(problem, method="sns", options={"density": density}, tol=1e-10)
    assert result.success, result


def test_mass_outside_the_vertex_obeys_the_theorem():
    """At most 6 n^2 exp(-eta Delta) outside the n largest entries, Delta the gap of vertices."""
    n = 5
    for seed in range(20):
        cost = np.random.default_rng(seed).random((n, n))
        values = sorted(
            sum(cost[i, p[i]] for i in range(n)) / n for p in itertools.permutations(range(n))
        )
        gap = values[1] - values[0]
        eta = 2 * (1 + 2 * np.log(n)) / gap
        problem = fejer.EntropicOT(None, None, cost, eps=1 / eta)
        result = fejer.minimize(problem, method="sns", tol=1e-10)
        assert result.success
        plan = np.sort(result.plan.toarray().ravel())
        assert plan[:-n].sum() <= 6 * n**2 * np.exp(-eta * gap) + 1e-9


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e6, 1e90])
@pytest.mark.parametrize("method", ["sns", "sinkhorn-log"])
def test_hostile_starts(scale, method):
    problem = fejer.EntropicOT.random(10, 10)
    x0 = scale * np.random.default_rng(0).normal(size=20)
    result = fejer.minimize(problem, x0, method=method, max_iter=2000)
    assert result.success and twin.certificate(problem, result.x)[0] < 1.01e-6


def nasty():
    rng = np.random.default_rng(0)
    line = np.linspace(-9, 9, 201)
    bell = np.exp(-((line - 1) ** 2) / 2), np.exp(-((line + 1) ** 2) / 2)
    bell = [w / w.sum() for w in bell]
    forbidden = np.where(rng.random((8, 8)) < 0.4, np.inf, rng.random((8, 8)))
    np.fill_diagonal(forbidden, 0.5)
    points = rng.integers(0, 3, (30, 2)).astype(float)
    huge = rng.random((5, 5))
    huge[0, 1:] = 1e32
    return {
        "tiny weights": fejer.EntropicOT(*bell, fejer.PointCloud(line, line), eps=0.5),
        "forbidden": fejer.EntropicOT(None, None, forbidden, eps=0.02),
        "duplicates": fejer.EntropicOT(None, None, fejer.PointCloud(points, points), eps=0.1),
        "constant": fejer.EntropicOT(None, None, np.full((7, 5), 3.0), eps=0.1),
        "one row": fejer.EntropicOT(None, None, rng.random((1, 6)), eps=0.01),
        "one column": fejer.EntropicOT(None, None, rng.random((6, 1)), eps=0.01),
        "zero weights": fejer.EntropicOT([0, 0.5, 0.5], [0.25, 0, 0.75], rng.random((3, 3)), 0.01),
        "stand-in for infinity": fejer.EntropicOT(None, None, huge, eps=0.01),
        "tiny range": fejer.EntropicOT(None, None, 1 + 1e-12 * rng.random((6, 6)), eps=1e-2),
        "disconnected": problem_of("lap", 100, eta=1e4),
        "masses": fejer.EntropicOT([3e8, 1e8], [2e8, 2e8], [[0, 1], [1, 0]], eps=0.05),
    }


@pytest.mark.parametrize("name", list(nasty()))
@pytest.mark.parametrize("method", ["sns", "sinkhorn-log"])
def test_nasty_instances(name, method):
    problem = nasty()[name]
    result = fejer.minimize(problem, method=method, tol=1e-7, max_iter=3000)
    assert np.isfinite(result.x).all() and result.certificate.value >= 0
    if method == "sns":
        assert result.success, result
    if result.success:
        plan = result.plan
        assert plan.toarray().min() >= 0
        assert np.abs(plan.marginals[0] - problem.a).max() <= 1e-13 * problem.a.sum()
        assert np.abs(plan.marginals[1] - problem.b).max() <= 1e-13 * problem.a.sum()


def test_lazy_clouds():
    """A cloud that is not stored gives the points of one that is."""
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(60, 2)), rng.normal(size=(50, 2))
    stored = fejer.EntropicOT(None, None, fejer.PointCloud(x, y), eps=0.1)
    lazy = fejer.EntropicOT(None, None, Lazy(x, y), eps=0.1)
    for method in ("sns", "sinkhorn-log", "sinkhorn"):
        ends = [fejer.minimize(p, method=method, tol=1e-9) for p in (stored, lazy)]
        assert ends[1].success and ends[0].x == pytest.approx(ends[1].x, abs=1e-9)
    reason = fejer.solvers.transport.sns.SNS(sparsify="mass").supports(lazy)
    assert reason and "too large" in reason


class Lazy(fejer.PointCloud):
    """A small cloud that behaves as a large one."""

    is_lazy = True


# ---- kernels -----------------------------------------------------------------


@pytest.mark.parametrize("tol", [1e-3, 1e-12])
def test_direction_solves_the_sparse_system(tol):
    rng = np.random.default_rng(0)
    n, m = 12, 9
    S = np.where(rng.random((n, m)) < 0.4, rng.random((n, m)), 0)
    p, q = S.sum(axis=1) + 0.1, S.sum(axis=0) + 0.1
    u, v = rng.normal(size=n), rng.normal(size=m)
    rows, columns = np.nonzero(S)
    indptr = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=n))])
    df, dg = np.empty(n), np.empty(m)
    kernels.newton_direction(
        indptr, columns.astype(np.uint32), S[rows, columns], p, q, u, v, tol, 100, df, dg
    )
    M = np.block([[np.diag(p), S], [S.T, np.diag(q)]])
    assert M @ np.concatenate([df, dg]) == pytest.approx(np.concatenate([u, v]), abs=10 * tol)


def test_mass_rule_drops_the_smallest():
    P = np.array([[0.5, 0.01, 0.02], [0.03, 0.6, 0.2], [0.01, 0.04, 0.4]])
    kept = P.copy()
    kernels.drop_small(kept, 0.025)
    # Of column 0 .01 is dropped, of column 1 .01, of column 2 .02; then nothing of the rows.
    assert np.array_equal(kept, np.where(P > 0.025, P, 0.0))
    kernels.drop_small(kept, 10.0)
    assert not kept.any()
