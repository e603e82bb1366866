"""Blocks of coefficients: partitions, rules, updates, identification and finite termination."""

import itertools

import numpy as np
import pytest
import scipy.sparse

import fejer
from fejer.driver import Run
from fejer.solvers.general import _partitions
from tests.sparse.cases import lasso

GREEDY = ("gs", "gsl", "gsd", "gsq", "gs-q")
RULES = ("cyclic", "permuted", "random", "lipschitz", *GREEDY)
PARTITIONS = _partitions.PARTITIONS
SMOOTH = ("newton", "gradient", "matrix", "exact", "lookahead")


def squares(n=50, p=20, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p)) * 10.0 ** rng.uniform(-1, 1, p)
    y = X @ rng.standard_normal(p) + rng.standard_normal(n)
    problem = fejer.BoxLeastSquares(X, y, lower=-np.inf)
    return problem, np.linalg.lstsq(X, y, rcond=None)[0]


def instances():
    yield "lasso", fejer.Lasso.random(ratio=0.05)
    yield "elastic net, sparse, constant", lasso("all", sparse=True)
    yield "logistic", fejer.SparseLogistic.random(fit_intercept=True)
    yield "logistic, no penalty", fejer.SparseLogistic.random(80, 6).replace(lam=0.0)
    yield "box", fejer.BoxLeastSquares.random()
    yield "svm", fejer.SVMDual.random()


INSTANCES = dict(instances())


@pytest.mark.parametrize("partition", [*PARTITIONS, tuple(np.arange(20).tolist()[::-1] * 1)])
@pytest.mark.parametrize("rule", RULES)
def test_theorem_and_descent_hold_for_every_partition_and_rule(partition, rule):
    problem, best = squares()
    if isinstance(partition, tuple):
        partition = tuple(i % 6 for i in partition)
    update = SMOOTH[(len(str(partition)) + len(rule)) % 5]
    method = fejer.BCD(partition=partition, selection=rule, update=update, block_size=4)
    rate, start = method.rate, np.zeros(20)
    assert 0 < rate.factor(problem) <= 1
    chance = rule in ("random", "lipschitz")
    runs = []
    for seed in range(6 if chance else 1):
        run = [
            rate.measure(problem, step.x, best)
            for step in fejer.steps(problem, method, max_iter=60, tol=0, rng=seed)
        ]
        assert all(b <= a * (1 + 1e-12) + 1e-9 for a, b in itertools.pairwise(run))
        runs.append(run)
    for k in range(min(map(len, runs))):
        assert np.mean([run[k] for run in runs]) <= rate.bound(problem, start, best, k) + 1e-8
    assert runs[0][-1] < 0.9 * runs[0][0]


@pytest.mark.parametrize("name", INSTANCES)
@pytest.mark.parametrize("rule", RULES)
def test_every_update_reaches_the_solution(name, rule):
    problem = INSTANCES[name]
    reference = fejer.minimize(problem, method="bcd", tol=1e-10).fun
    for update in (*SMOOTH, "two-metric", "projected-newton"):
        partition = "variable" if (len(update) + len(rule)) % 2 else "average"
        method = fejer.BCD(partition=partition, selection=rule, update=update, block_size=5)
        if method.supports(problem) is not None:
            continue
        if update not in ("newton", "projected-newton") and rule not in ("cyclic", "gs", "gsq"):
            continue  # the pairs that are left out differ in nothing that was not seen
        result = fejer.minimize(problem, method=method, max_iter=20_000)
        assert result.success, (update, partition)
        assert result.fun - reference <= 2e-6 * result.certificate.scale


def test_blocks_are_those_of_the_rules():
    problem, _ = squares()
    X = problem.X.dense
    H = X.T @ X
    L = np.diag(H)
    g = -X.T @ problem.y
    sums = np.abs(H).sum(axis=0)

    def first(**options):
        method = fejer.BCD(block_size=3, update="matrix", **options)
        engine = method.engine(problem)
        state = engine.begin(np.zeros(20), np.random.default_rng(0))
        c = engine.ready.adjoint(state.pull)
        return engine._choose(state, c).tolist(), engine

    def top(score):
        return sorted(np.argsort(-score, kind="stable")[:3].tolist())

    assert first(selection="gs")[0] == top(np.abs(g))
    assert first(selection="gsl")[0] == top(g**2 / sums)
    assert first(selection="gsd")[0] == top(g**2 / L)
    assert first(selection="gs-q")[0] == top(g**2 / L)
    for partition, order in (
        ("order", np.arange(20)),
        ("sort", np.argsort(L)),
        ("hessian-sort", np.argsort(sums)),
    ):
        blocks = [np.sort(order[i : i + 3]) for i in range(0, 20, 3)]
        for norm in ("l2", "l1"):
            power = 2 if norm == "l2" else 1
            largest = [np.linalg.eigvalsh(H[np.ix_(b, b)])[-1] for b in blocks]
            scores = {
                "gs": [np.sum(np.abs(g[b]) ** power) for b in blocks],
                "gsl": [np.sum(np.abs(g[b]) ** power) / l ** (power / 2)
                        for b, l in zip(blocks, largest, strict=True)],
                "gsd": [np.sum(np.abs(g[b]) ** power / L[b] ** (power / 2)) for b in blocks],
                "gsq": [g[b] @ np.linalg.solve(H[np.ix_(b, b)], g[b]) for b in blocks],
            }  # fmt: skip
            for rule, score in scores.items():
                got = first(selection=rule, partition=partition, norm=norm)[0]
                assert got == blocks[int(np.argmax(score))].tolist(), (rule, norm)
    average = first(selection="gs", partition="average")[1].blocks
    order = np.argsort(L)
    assert sorted(average[0]) == sorted([order[0], order[-1], order[1]])


def test_blocks_of_one_make_gsl_and_gsd_the_same():
    problem, _ = squares()
    runs = [
        fejer.minimize(
            problem, method="bcd", max_iter=50, tol=0,
            options={"selection": rule, "partition": "order", "block_size": 1},
        ).x
        for rule in ("gsl", "gsd", "gsq")
    ]  # fmt: skip
    np.testing.assert_allclose(runs[0], runs[1], atol=1e-12)
    np.testing.assert_allclose(runs[0], runs[2], atol=1e-9)


@pytest.mark.parametrize("update", ["matrix", "newton", "exact"])
def test_a_block_of_everything_ends_at_once(update):
    problem, best = squares()
    options = {"block_size": 20, "update": update}
    result = fejer.minimize(problem, method="bcd", options=options, max_iter=1, tol=0)
    np.testing.assert_allclose(result.x, best, rtol=1e-6)


def test_thresholded_blocks_promise_no_less_than_the_diagonal_rule():
    problem, _ = squares(seed=3)
    H = problem.X.dense.T @ problem.X.dense
    g = problem.X.dense.T @ problem.y
    engine = fejer.BCD(block_size=4, selection="gsq").engine(problem)
    block = engine._thresholded(g)
    promise = g[block] @ np.linalg.solve(H[np.ix_(block, block)], g[block])
    assert promise >= 0.5 * np.sort(g**2 / np.diag(H))[-4:].sum()


@pytest.mark.parametrize("update", ["two-metric", "projected-newton"])
def test_finite_termination_and_identification(update):
    rng = np.random.default_rng(1)
    X = rng.standard_normal((100, 200)) + 1.0
    w = rng.standard_normal(200) * (rng.random(200) < 0.1)
    problem = fejer.BoxLeastSquares(X, X @ w + rng.standard_normal(100), lam=200.0)
    options = {"selection": "gs-q", "update": update, "block_size": 40}
    supports, values = [], []
    for step in fejer.steps(problem, "bcd", options=options, max_iter=60, tol=1e-12):
        supports.append(tuple(np.flatnonzero(step.x)))
        values.append(step.certificate.value)
    assert values[-1] <= 1e-12 and len(values) < 40  # a few Newton steps after the last change
    identified = next(k for k in range(len(supports)) if len(set(supports[k:])) == 1)
    assert identified <= len(values) - 1
    slow = fejer.minimize(
        problem, method="bcd", options=options | {"update": "gradient"}, max_iter=40, tol=1e-12
    )
    assert slow.certificate.value > 1e-10


def test_pattern_is_kept_in_the_ball_of_the_theorem():
    """Within delta/(2L) of the solution no later step changes which coefficients are 0."""
    checked = 0
    for seed in range(50):
        problem = fejer.Lasso.random(40, 20, ratio=0.3, seed=seed)
        best = fejer.minimize(problem, method="bcd", tol=1e-14, max_iter=20_000).x
        L = np.linalg.norm(problem.X.dense, 2) ** 2
        c = problem.X.dense.T @ (problem.y - problem.X.dense @ best)
        off = best == 0
        delta = (problem.lam - np.abs(c[off])).min()
        ball, pattern = delta / (2 * L), None
        if delta <= 0:
            continue
        steps = fejer.steps(
            problem, "fista", max_iter=400, options={"restart": "function"}, tol=1e-11
        )
        for step in steps:
            if pattern is None and np.linalg.norm(step.x - best) <= 0.5 * ball:
                pattern = step.x != 0
            elif pattern is not None:
                assert not (step.x[off] != 0).any()
        checked += pattern is not None
    assert checked >= 40


def test_newton_blocks_are_superlinear_after_identification():
    problem = fejer.SparseLogistic.random(200, 30, ratio=0.1)
    best = fejer.minimize(problem, method="bcd", tol=1e-14, max_iter=20_000)
    options = {"selection": "gs-q", "update": "newton", "block_size": 30}
    e = [
        np.linalg.norm(step.x - best.x)
        for step in fejer.steps(problem, "bcd", options=options, max_iter=20, tol=1e-14)
    ]
    e = [x for x in e if x > 1e-11]
    orders = [np.log(c / b) / np.log(b / a) for a, b, c in zip(e, e[1:], e[2:], strict=False)]
    assert max(orders[-2:]) >= 1.5


@pytest.mark.parametrize(
    "options",
    [
        {"selection": "permuted", "update": "exact"},
        {"selection": "random", "partition": "random", "update": "lookahead"},
        {"selection": "lipschitz", "update": "gradient"},
        {"selection": "gsq", "partition": "sort", "update": "newton"},
    ],
)
@pytest.mark.parametrize("name", ["elastic net, sparse, constant", "logistic"])
def test_split_law(options, name):
    problem = INSTANCES[name]
    method = fejer.BCD(block_size=7, **options)
    states = []
    for cuts in ([150], [1, 2, 47, 100]):
        run = Run(problem, method=method, rng=4)
        run.open()
        for n in cuts:
            goal = run.state.nit + n
            while run.state.nit < goal:
                if method.advance(problem, run.prep, run.state, goal - run.state.nit):
                    break
        states.append(run.state)
    a, b = states
    assert (a.nit, a.work, a.updates) == (b.nit, b.work, b.updates)
    assert a.w.tobytes() == b.w.tobytes() and a.kept.tobytes() == b.kept.tobytes()


def test_sparse_data_give_the_same_blocks():
    sparse = lasso("elastic net", sparse=True)
    dense = sparse.replace(X=sparse.X.toarray())
    for rule in RULES:
        options = {"selection": rule, "partition": "sort", "block_size": 6}
        one, two = (
            fejer.minimize(problem, method="bcd", options=options, max_iter=25, tol=0).x
            for problem in (sparse, dense)
        )
        np.testing.assert_allclose(one, two, atol=1e-8)
    assert scipy.sparse.issparse(sparse.X.native)


REFUSED = [
    (fejer.Lasso.random(), {"update": "matrix"}, "matrix"),
    (fejer.Lasso.random(), {"update": "two-metric"}, "two-metric"),
    (fejer.Lasso.random(), {"update": "projected-newton", "block_size": 3}, "projected-newton"),
    (fejer.LabelPropagation.random(), {"block_size": 3}, "single nodes"),
    (fejer.LabelPropagation.random(), {"partition": "sort"}, "single nodes"),
    (fejer.LabelPropagation.random(), {"update": "lookahead"}, "single nodes"),
    (fejer.GroupLasso.random(), {"block_size": 3}, "groups are the blocks"),
    (fejer.GroupLasso.random(), {"selection": "gs"}, "groups are the blocks"),
]


@pytest.mark.parametrize("problem, options, said", REFUSED)
def test_combinations_that_mean_nothing_are_refused(problem, options, said):
    with pytest.raises(fejer.MethodError, match=said):
        fejer.minimize(problem, method="bcd", options=options)


def test_wrong_labels_are_named():
    for labels in ((0, 1), (0.5,) * 30, ("a",) * 30):
        with pytest.raises(fejer.OptionError, match="partition"):
            fejer.minimize(
                fejer.BoxLeastSquares.random(), method="bcd", options={"partition": labels}
            )
