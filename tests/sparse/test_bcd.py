"""Coordinate descent: its rules against plain numpy, its theorems, its laws."""

import copy
import functools

import numpy as np
import pytest

import fejer
from fejer.driver import Run
from tests.sparse import twin
from tests.sparse.cases import LASSOS, lasso

RULES = ("cyclic", "permuted", "random", "lipschitz", "gs", "gs-q")
NAMES = ["plain", "elastic net", "all", "positive", "wide", "box without 0"]


def options(rule):
    return {"selection": rule, "block_size": 1}


def centred(problem):
    X, y, s, l1, l2, lower, upper, constant, _ = twin.parts(problem)
    if constant:
        X, y = X - s @ X / s.sum(), y - s @ y / s.sum()
    root = np.sqrt(s)
    return root[:, None] * X, root * y, l1, l2, lower, upper


def exact_steps(data, w):
    """Where each coefficient goes when it alone is minimised over."""
    Z, z, l1, l2, lower, upper = data
    q = np.sum(Z**2, axis=0)
    v = q * w + Z.T @ (z - Z @ w)
    return np.clip(np.sign(v) * np.maximum(abs(v) - l1, 0) / (q + l2), lower, upper)


def value(data, w):
    Z, z, l1, l2, *_ = data
    return 0.5 * np.sum((z - Z @ w) ** 2) + l1 @ abs(w) + 0.5 * l2 @ w**2


def smallest_subgradient(data, w):
    """Distance of 0 from the subdifferential, coordinate by coordinate."""
    Z, z, l1, l2, lower, upper = data
    g = -Z.T @ (z - Z @ w) + l2 * w
    low = g + np.where(w == 0, -l1, np.sign(w) * l1)
    high = g + np.where(w == 0, l1, np.sign(w) * l1)
    low[w <= lower], high[w >= upper] = -np.inf, np.inf  # the normal cone of the bounds
    return np.where(low > 0, low, np.where(high < 0, -high, 0.0))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("rule", RULES)
def test_each_update_is_an_exact_minimisation(name, sparse, rule):
    problem = lasso(name, sparse)
    p, data = problem.X.shape[1], centred(problem)
    before = None
    for step in fejer.steps(problem, "bcd", options=options(rule), max_iter=60, tol=1e-12):
        w = step.x[:p]
        if before is not None and (w != before).any():
            (j,) = np.flatnonzero(w != before)
            goal = exact_steps(data, before)
            assert w[j] == pytest.approx(goal[j], abs=1e-10)
            if rule == "cyclic":
                assert j == (step.nit - 1) % p
            if rule == "gs":
                scores = smallest_subgradient(data, before)
                assert scores[j] >= scores.max() * (1 - 1e-9) - 1e-10
            if rule == "gs-q":
                moved = [np.where(np.arange(p) == k, goal, before) for k in range(p)]
                least = min(value(data, one) for one in moved)
                assert value(data, w) <= least * (1 + 1e-12)
        before = w.copy()


@pytest.mark.parametrize("rule", RULES)
def test_the_objective_never_increases_and_falls_by_what_is_promised(rule):
    problem = lasso("all")
    X, _, s, _, l2, *_, per = twin.parts(problem)
    q = s @ (X - s @ X / s.sum()) ** 2 + l2
    last = None
    for step in fejer.steps(problem, "bcd", options=options(rule), max_iter=200, tol=0):
        if last is not None:
            moved = 0.5 * np.sum(q * (step.x[:-1] - last.x[:-1]) ** 2) / per
            assert last.fun - step.fun >= moved - 1e-12 * last.fun
        last = step


@functools.cache
def optimum(name):
    return fejer.minimize(lasso(name), method="bcd", tol=1e-14, max_iter=20_000).x


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("size", [None, 1])
@pytest.mark.parametrize("name", ["plain", "elastic net", "all", "wide", "box"])
def test_theorem_holds_pointwise(rule, size, name):
    problem, best = lasso(name), optimum(name)
    method = fejer.BCD(selection=rule, block_size=size)
    rate = method.rate
    start = problem.initial_point()
    seeds = 12 if rule in ("random", "lipschitz") else 1  # theirs speaks of the mean
    runs = [
        [
            rate.measure(problem, step.x, best)
            for step in fejer.steps(problem, method, max_iter=15 if size is None else 90, rng=seed)
        ]
        for seed in range(seeds)
    ]
    first = runs[0][0]
    for k in range(min(map(len, runs))):
        mean = np.mean([run[k] for run in runs])
        assert mean <= rate.bound(problem, start, best, k) + 1e-10 * first
    assert runs[0][-1] < first
    assert 0 < rate.factor(problem) <= 1


def test_theorem_is_nearly_reached_by_the_zigzag():
    rate = fejer.BCD().rate
    problem = rate.worst_case(50)
    best = np.array([1.0, -1.0])
    steps = list(fejer.steps(problem, "bcd", max_iter=50, tol=0))
    e = [rate.measure(problem, step.x, best) for step in steps[1:]]
    assert e[-1] / e[-2] == pytest.approx((1 - 1 / 50) ** 4, rel=1e-6)
    assert e[-1] / e[-2] <= rate.factor(problem) <= 1 - 1 / 60


def test_greedy_rule_on_smooth_problems_has_its_rate():
    problem = fejer.BoxLeastSquares.random(lower=-np.inf)
    rate = fejer.BCD(selection="gs").rate
    best = np.linalg.lstsq(problem.X.dense, problem.y, rcond=None)[0]
    assert rate.factor(problem) < 1
    for step in fejer.steps(problem, "bcd", options=options("gs"), max_iter=300, tol=0):
        e = rate.measure(problem, step.x, best)
        assert e <= rate.bound(problem, np.zeros(30), best, step.nit) + 1e-10


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("size", [None, 1])
def test_split_law(sparse, rule, size):
    problem = lasso("all", sparse)
    method = fejer.BCD(selection=rule, block_size=size)
    runs = []
    for cuts in ([3000], [1, 2, 7, 990, 2000], [1500, 1500]):
        run = Run(problem, method=method, rng=4)
        run.open()
        for n in cuts:
            goal = run.state.nit + n
            while run.state.nit < goal:
                if method.advance(problem, run.prep, run.state, goal - run.state.nit):
                    break
        runs.append(run.state)
    for other in runs[1:]:
        assert other.nit == runs[0].nit and other.work == runs[0].work
        assert other.w.tobytes() == runs[0].w.tobytes()
        assert other.kept.tobytes() == runs[0].kept.tobytes()
        assert other.shift == runs[0].shift and other.updates == runs[0].updates


def test_a_long_iteration_is_cut_by_count(monkeypatch):
    from fejer.solvers.general import bcd

    problem = lasso("plain")
    whole = fejer.minimize(problem, method="bcd", tol=1e-10)
    monkeypatch.setattr(bcd, "CALL", 7 * 60)  # seven updates a call
    method = fejer.BCD()
    prep = method.prepare(problem, 0.0, np.random.default_rng(0))
    state = method.begin(problem, prep, fejer.Start(problem.initial_point()), None)
    assert method.advance(problem, prep, state, 3) is False
    assert state.nit == 0 and state.updates == 7
    assert fejer.minimize(problem, method="bcd", tol=1e-10).x.tobytes() == whole.x.tobytes()


@pytest.mark.parametrize("rule", RULES)
def test_ends_at_a_fixed_point(rule):
    problem = fejer.Lasso(np.eye(4), [3.0, -2.0, 0.5, 0.1], 1.0)
    result = fejer.minimize(problem, method="bcd", options=options(rule), tol=0)
    assert result.status is fejer.Status.STALLED and result.nit < 400
    np.testing.assert_array_equal(result.x, [2.0, -1.0, 0.0, 0.0])


@pytest.mark.parametrize("name", LASSOS)
def test_sparse_data_give_the_same_iterates(name):
    sparse = lasso(name, sparse=True)
    dense = sparse.replace(X=sparse.X.toarray())
    for rule in RULES:
        one = fejer.minimize(sparse, method="bcd", options=options(rule), max_iter=300, tol=0)
        two = fejer.minimize(dense, method="bcd", options=options(rule), max_iter=300, tol=0)
        scale = 1 + np.abs(two.x).max()
        if rule in ("gs", "gs-q"):  # rounding may break ties of the greedy rules
            assert one.fun == pytest.approx(two.fun, rel=1e-2)
        else:
            np.testing.assert_allclose(one.x, two.x, atol=1e-9 * scale)


def test_greedy_without_a_gram_matrix_is_the_same(monkeypatch):
    from fejer.solvers.general import _coordinates

    problem = lasso("all")
    kept = fejer.minimize(problem, method="bcd", options=options("gs"), tol=1e-9)
    monkeypatch.setattr(_coordinates, "LARGEST_GRAM", 10)
    anew = fejer.minimize(problem, method="bcd", options=options("gs"), tol=1e-9)
    assert kept.success and anew.fun == pytest.approx(kept.fun, rel=1e-8)


def test_greedy_beats_cyclic_per_update():
    problem = fejer.Lasso.random(200, 400, ratio=0.3, density=0.02)
    fun = {
        rule: fejer.minimize(problem, method="bcd", options=options(rule), max_iter=60, tol=0).fun
        for rule in ("cyclic", "random", "gs", "gs-q")
    }
    best = fejer.minimize(problem, method="bcd", tol=1e-10).fun
    for rule in ("gs", "gs-q"):
        assert fun[rule] - best < 0.2 * min(fun["cyclic"] - best, fun["random"] - best)


def test_state_is_made_of_separate_plain_values():
    problem = lasso("all", sparse=True)
    run = Run(problem, method="bcd", options={"selection": "random"})
    run.open()
    run.forward(5)
    arrays = [v for v in vars(run.state).values() if isinstance(v, np.ndarray)]
    for i, a in enumerate(arrays):
        assert not any(np.shares_memory(a, b) for b in arrays[:i])
    assert all(type(v) in (int, float, np.ndarray) for v in vars(run.state).values())
    assert copy.deepcopy(run.state).nit == 5


def test_warm_start_and_start_outside_the_box():
    problem = lasso("positive")
    cold = fejer.minimize(problem, method="bcd", tol=1e-8)
    warm = fejer.minimize(problem.replace(lam=0.9 * problem.lam), cold, method="bcd", tol=1e-8)
    assert warm.success and warm.nit <= cold.nit
    assert fejer.minimize(problem, -np.ones(40), method="bcd").success


def test_seed_decides_random_rules_only():
    problem = lasso("plain")
    for rule in RULES:
        runs = [
            fejer.minimize(problem, method="bcd", options=options(rule), rng=s, max_iter=50, tol=0)
            for s in (0, 0, 1)
        ]
        assert runs[0].x.tobytes() == runs[1].x.tobytes()
        chance = rule in ("permuted", "random", "lipschitz")
        assert (runs[0].x.tobytes() != runs[2].x.tobytes()) == chance


def test_other_losses_are_refused_by_name():
    class Other(fejer.Lasso):
        def form(self):
            from dataclasses import replace

            return replace(super().form(), loss="hinge")

    problem = Other([[1.0]], [1.0], 0.1)
    for method in ("bcd", "fista"):
        with pytest.raises(fejer.MethodError, match="sum of squares nor logistic"):
            fejer.minimize(problem, method=method)
