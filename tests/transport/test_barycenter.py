"""Barycenter: certificate, oracle, attacks and bad input."""

import numpy as np
import pytest

import fejer
from fejer.testing import hostile_witnesses

TOL = 1e-6
LINE = np.linspace(0, 1, 12)
COST = (LINE[:, None] - LINE) ** 2


def twin(problem, q, g):
    """Objective of plans rounded to q, and the dual value, in plain numpy."""
    eps, w = problem.eps, problem.weights
    g = g - w @ g
    fun = dual = 0.0
    for k, p in enumerate(problem.measures):
        C = np.array(problem.cost_of(k))
        K = np.exp((g[k] - C) / eps)
        Z = K * (p / K.sum(axis=1))[:, None]
        f = eps * np.log(p / K.sum(axis=1))
        dual += w[k] * (p @ f - eps * p.sum())
        P = Z * np.minimum(1, q / Z.sum(axis=0))
        da, db = np.maximum(p - P.sum(axis=1), 0), np.maximum(q - P.sum(axis=0), 0)
        P = P + np.outer(da, db) / max(db.sum(), 1e-300)
        fun += w[k] * ((P * C).sum() + eps * (P * (np.log(np.maximum(P, 1e-300)) - 1)).sum())
    return fun, dual


@pytest.mark.parametrize("seed", range(6))
def test_certificate_equals_the_twin(seed):
    problem, rng = fejer.Barycenter.random(9, seed=seed), np.random.default_rng(seed)
    best = fejer.minimize(problem, tol=1e-11)
    assert best.success
    for size in (0.0, 1e-3, 0.3):
        q = best.x * np.exp(size * rng.normal(size=9))
        q /= q.sum()
        g = best.witness["potentials"] + size * problem.eps * rng.normal(size=(3, 9))
        ours, (fun, dual) = problem.judge(q, {"potentials": g}), twin(problem, q, g)
        assert ours.fun == pytest.approx(fun, rel=1e-9)
        assert ours.lower_bound == pytest.approx(dual, rel=1e-9)
        assert ours.value == pytest.approx((fun - dual) / ours.scale, rel=1e-6, abs=1e-10)
        assert ours.lower_bound <= best.fun + 1e-12 and ours.fun >= best.fun - 1e-12


def test_wrong_points_fail_and_hostile_witnesses_do_not_help():
    count = 0
    for seed in range(5):
        problem, rng = fejer.Barycenter.random(8, seed=seed), np.random.default_rng(seed)
        best = fejer.minimize(problem, tol=1e-10)
        hostile = list(hostile_witnesses(best.witness))
        for i in range(20):
            direction, low, high = rng.normal(size=8), 0.0, 1.0
            for _ in range(25):
                middle = 0.5 * (low + high)
                q = best.x * np.exp(middle * direction)
                # the least objective at q: transport from each measure
                ours = problem.judge(q / q.sum(), best.witness)
                far = (ours.fun - best.fun) / ours.scale >= 30 * TOL
                low, high = (low, middle) if far else (middle, high)
            q = best.x * np.exp(high * direction)
            assert not problem.judge(q / q.sum(), best.witness).holds(TOL)
            assert not problem.judge(q / q.sum(), hostile[i % len(hostile)]).holds(TOL)
            count += 2
    assert count == 200


@pytest.mark.parametrize("seed", range(2))
def test_cvxpy_agrees(seed):
    cvxpy = pytest.importorskip("cvxpy")
    problem = fejer.Barycenter.random(7, 2, 0.1, seed=seed)
    result = fejer.minimize(problem, tol=1e-9)
    model = problem.to_cvxpy()
    model.solve(solver=cvxpy.CLARABEL)
    assert result.fun == pytest.approx(model.value, abs=1e-6)
    for plan, p in zip(result.plans, problem.measures, strict=True):
        assert plan.marginals[0] == pytest.approx(p, abs=1e-15)
        assert plan.marginals[1] == pytest.approx(result.barycenter, abs=1e-15)


def test_one_measure_and_equal_measures():
    """Of one measure the barycenter is its blur, which costs least of all."""
    p = np.exp(-((LINE - 0.4) ** 2) / 0.02)
    p /= p.sum()
    single = fejer.minimize(fejer.Barycenter(p[None], COST, 0.05), tol=1e-10)
    K = np.exp(-COST / 0.05)
    assert single.barycenter == pytest.approx((p / K.sum(axis=1)) @ K, abs=1e-9)
    twice = fejer.minimize(fejer.Barycenter([p, p], [COST, COST], 0.05), tol=1e-10)
    assert twice.barycenter == pytest.approx(single.barycenter, abs=1e-7)


def test_small_eps_masses_and_zero_weights():
    ends = np.zeros((2, 12))
    ends[0, 0] = ends[1, 11] = 1.0
    for scale in (1e-7, 1.0, 1e7):
        for eps in (1e-3, 0.05):
            problem = fejer.Barycenter(scale * ends, COST, eps, [1.0, 2.0])
            result = fejer.minimize(problem, tol=1e-8)
            assert result.success
            assert result.barycenter @ LINE == pytest.approx(scale * 2 / 3, rel=0.1)
    # masses of 1e-7 buy nothing for the uniform distribution
    assert fejer.Barycenter(1e-7 * ends, COST, 1e-3).judge(np.full(12, 1e-7 / 12)).value > 0.1


def test_points_that_are_no_distributions():
    problem = fejer.Barycenter.random()
    best = fejer.minimize(problem, tol=1e-8)
    for x in (2 * best.x, -best.x, best.x + 1e-6, np.zeros_like(best.x), 1e300 * best.x):
        assert problem.judge(x, best.witness).value == np.inf
    assert problem.judge(best.x + 1e-14, best.witness).value < 1e-7


GOOD = {"measures": [[0.5, 0.5], [0.2, 0.8]], "costs": [[0.0, 1.0], [1.0, 0.0]], "eps": 0.1}
ROWS = [
    ("measures", dict(measures=[0.5, 0.5])),
    ("measures", dict(measures=[[0.5, np.nan]])),
    ("measures", dict(measures=[[0.5, 0.5], [-0.5, 1.5]])),
    ("measures", dict(measures=[[0.5, 0.5], [0.0, 0.0]])),
    ("measures", dict(measures=[[0.5, 0.5], [0.5, 0.6]])),
    ("measures", dict(measures=[[0.5, 0.5], [1.0]])),
    ("measures", dict(measures="text")),
    ("costs", dict(costs=[[0.0, 1.0]])),
    ("costs", dict(costs=[[0.0, np.inf], [1.0, 0.0]])),
    ("costs", dict(costs=[[0.0, np.nan], [1.0, 0.0]])),
    ("costs", dict(costs=[np.zeros((2, 2))])),
    ("costs", dict(costs=[np.eye(2), np.zeros((2, 3))])),
    ("costs", dict(costs=None)),
    ("costs", dict(costs=1.0)),
    ("eps", dict(eps=0.0)),
    ("eps", dict(eps=-1.0)),
    ("eps", dict(eps=np.nan)),
    ("eps", dict(eps=None)),
    ("weights", dict(weights=[1.0])),
    ("weights", dict(weights=[1.0, 0.0])),
    ("weights", dict(weights=[1.0, -1.0])),
    ("weights", dict(weights=[1.0, np.inf])),
]


@pytest.mark.parametrize(("field", "changed"), ROWS, ids=[repr(row)[:60] for row in ROWS])
def test_bad_input_is_refused_by_name(field, changed):
    with pytest.raises(fejer.ProblemError, match=f"^{field}: "):
        fejer.Barycenter(**{**GOOD, **changed})
