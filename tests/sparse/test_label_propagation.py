"""Labels on graphs: the bound of the error, forests, heaps and conjugate gradients."""

import functools

import numpy as np
import pytest
import scipy.sparse
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import spsolve

import fejer
from fejer.solvers.general import _forests
from fejer.solvers.general._coordinates import BCDState
from fejer.solvers.general._quadratics import ForestEngine, GraphEngine

TOL = 1e-6
METHODS = [
    ("conjugate-gradient", {}),
    ("conjugate-gradient", {"preconditioner": None}),
    *(("bcd", {"selection": rule}) for rule in ("cyclic", "permuted", "random", "lipschitz")),
    *(("bcd", {"selection": rule}) for rule in ("gs", "gs-q")),
    *(
        ("bcd", {"update": "message-passing", "partition": partition, "selection": rule})
        for partition, rule in (
            ("variable", "gs"),
            ("variable", "gs-q"),
            ("variable", "random"),
            ("order", "cyclic"),
            ("sort", "gs"),
            ("sort", "random"),
        )
    ),
]


@functools.cache
def instance(n=80, seed=1):
    problem = fejer.LabelPropagation.random(n, seed=seed)
    form = problem.form()
    return problem, spsolve(form.matrix.tosparse(), form.b)


def lattice(size):
    line = scipy.sparse.diags_array([np.ones(size - 1), np.ones(size - 1)], offsets=[-1, 1])
    unit = scipy.sparse.eye_array(size)
    return (scipy.sparse.kron(unit, line) + scipy.sparse.kron(line, unit)).tocsc()


@pytest.mark.parametrize("method, options", METHODS)
def test_solution_is_that_of_the_linear_system(method, options):
    problem, best = instance(50, 0)
    result = fejer.minimize(problem, method=method, options=options, tol=1e-8)
    assert result.success and np.abs(result.x - best).max() <= 1e-8 * result.certificate.scale
    values = result.all_values
    np.testing.assert_array_equal(values[np.isnan(problem.labels)], result.x)


def test_form_is_the_laplacian():
    problem, best = instance()
    W = problem.graph.toarray()
    L = np.diag(W.sum(axis=0)) - W
    unknown = np.isnan(problem.labels)
    form = problem.form()
    np.testing.assert_allclose(form.matrix.toarray(), L[np.ix_(unknown, unknown)], atol=1e-15)
    values = problem.all_values(best)
    free = L @ values
    np.testing.assert_allclose(free[unknown], 0, atol=1e-12)
    known = np.flatnonzero(~unknown)
    energy = 0.5 * values @ L @ values
    inside = L[np.ix_(known, known)] - np.diag(L[np.ix_(known, known)].sum(axis=0))
    held = 0.5 * values[known] @ inside @ values[known]
    assert problem.judge(best).fun == pytest.approx(energy - held, rel=1e-10)
    assert problem.to_cvxpy().solve(solver="CLARABEL") == pytest.approx(energy - held, rel=1e-6)


@pytest.mark.parametrize("n, seed", [(30, 0), (80, 1), (150, 2)])
def test_value_bounds_the_error(n, seed):
    problem, best = instance(n, seed)
    rng = np.random.default_rng(0)
    known = problem.labels[~np.isnan(problem.labels)]
    spread = np.median(np.abs(known - np.median(known)))
    for size in (1e-12, 1e-9, 1e-6, 3e-6, 1e-3, 1.0, 1e9):
        for shape in (rng.standard_normal(best.size), np.ones(best.size), np.eye(best.size)[0]):
            x = best + size * spread * shape / np.abs(shape).max()
            certificate = problem.judge(x)
            assert certificate.rigorous and certificate.scale == pytest.approx(spread)
            assert certificate.value >= np.abs(x - best).max() / spread * (1 - 1e-3) - 1e-12
    assert problem.judge(best).value < 1e-10


def test_a_long_chain_with_one_label():
    """The residual over the right-hand side gave 9.9e-7 where the error was 50."""
    n = 4000
    chain = scipy.sparse.diags_array([np.ones(n - 1), np.ones(n - 1)], offsets=[-1, 1]).tocsc()
    labels = np.full(n, np.nan)
    labels[0] = 100.0
    problem = fejer.LabelPropagation(chain, labels)
    smooth = 50 + 50 * np.cos(np.pi * np.arange(1, n) / n)
    form = problem.form()
    assert np.abs(form.b - form.matrix.matvec(smooth)).max() < 1e-5 * np.abs(form.b).max()
    assert problem.judge(smooth).value > 0.5
    exact = np.full(n - 1, 100.0)
    assert problem.judge(exact).value < 1e-9
    result = fejer.minimize(
        problem, method="bcd", options={"update": "message-passing", "selection": "gs"}
    )
    assert result.success and result.nit <= 2  # a chain is a tree


@pytest.mark.parametrize("weight", [1e-90, 1e-9, 1e9, 1e90])
@pytest.mark.parametrize("offset", [0.0, 1e9])
def test_scaled_weights_and_shifted_labels(weight, offset):
    problem, best = instance()
    scaled = fejer.LabelPropagation(problem.graph.toarray() * weight, problem.labels + offset)
    assert scaled.judge(best + offset).value < (1e-10 if offset == 0 else 1e-5)
    assert scaled.judge(best + offset + 1e-3).value > 1e-5


def test_weights_of_many_sizes():
    problem, _ = instance(40, 3)
    rng = np.random.default_rng(0)
    W = problem.graph.toarray() * 10.0 ** rng.uniform(-6, 6, (40, 40))
    W = np.maximum(W, W.T)
    hard = fejer.LabelPropagation(W, problem.labels)
    result = fejer.minimize(hard, method="conjugate-gradient", max_iter=5000)
    form = hard.form()
    best = np.linalg.solve(form.matrix.toarray(), form.b)
    error = np.abs(result.x - best).max() / result.certificate.scale
    assert result.certificate.value >= error * (1 - 1e-3) - 1e-9


# ---- forests -----------------------------------------------------------------------------------
def graphs():
    yield lattice(12)
    yield instance(150, 2)[0].graph.tosparse()
    yield scipy.sparse.csc_array(np.ones((9, 9)) - np.eye(9))


@pytest.mark.parametrize("W", list(graphs()))
@pytest.mark.parametrize("seed", [0, 1])
def test_greedy_forest_is_acyclic_and_maximal(W, seed):
    n = W.shape[0]
    order = np.random.default_rng(seed).permutation(n)
    member = np.zeros(n, np.int64)
    _forests.greedy_forest(
        W.indptr, W.indices, order, np.zeros(n, np.int64), member, np.full(n, -1), -1
    )
    dense = W.toarray() != 0

    def acyclic(chosen):
        part = dense[np.ix_(chosen, chosen)]
        trees = connected_components(part, directed=False)[0]
        return part.sum() // 2 == chosen.size - trees

    chosen = np.flatnonzero(member)
    assert acyclic(chosen)
    for i in np.flatnonzero(member == 0):
        assert not acyclic(np.append(chosen, i))
    label = _forests.forest_partition(W.indptr, W.indices, order)
    assert label.min() == 0
    for forest in range(label.max() + 1):
        assert acyclic(np.flatnonzero(label == forest))


@pytest.mark.parametrize("n, seed", [(60, 0), (150, 2), (300, 4)])
def test_forest_step_is_the_dense_solution(n, seed):
    problem, _ = instance(n, seed)
    form = problem.form()
    A = form.matrix.toarray()
    engine = ForestEngine(form, "gs", "variable")
    rng = np.random.default_rng(seed)
    state = engine.begin(rng.standard_normal(form.b.size), rng)
    for _ in range(4):
        member = np.zeros(form.b.size, np.int64)
        chosen = engine._block(state, member)
        goal = state.w.copy()
        goal[chosen] += np.linalg.solve(A[np.ix_(chosen, chosen)], (form.b - A @ goal)[chosen])
        engine.forests.step(chosen, state.kept, state.w)
        np.testing.assert_allclose(state.w, goal, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(state.kept, form.b - A @ state.w, atol=1e-12)
        assert not member.any() and (engine.forests.place == -1).all()


@pytest.mark.parametrize("rule", ["gs", "gs-q"])
def test_heap_takes_the_largest_score(rule):
    problem, _ = instance()
    form = problem.form()
    A, d = form.matrix.toarray(), form.b.size
    engine = GraphEngine(form, rule)
    state: BCDState = engine.begin(np.zeros(d), np.random.default_rng(0))
    for _ in range(200):
        r = form.b - A @ state.w
        score = np.abs(r) if rule == "gs" else r * r / np.diag(A)
        before = state.w.copy()
        engine.run(state, 1)
        (i,) = np.flatnonzero(state.w != before)
        assert score[i] >= score.max() * (1 - 1e-9)
        assert state.w[i] == pytest.approx(before[i] + r[i] / A[i, i], rel=1e-9)
        keys = state.pull[state.order]
        assert (keys[(np.arange(1, d) - 1) // 2] >= keys[1:]).all()
        np.testing.assert_array_equal(state.places[state.order], np.arange(d))


def test_greedy_needs_fewer_updates_and_forests_far_fewer_iterations():
    W = lattice(30)
    labels = np.full(900, np.nan)
    rng = np.random.default_rng(0)
    labels[rng.choice(900, 40, replace=False)] = 10 * rng.standard_normal(40)
    problem = fejer.LabelPropagation(W, labels)
    best = fejer.minimize(problem, tol=1e-12)

    def excess(count, **options):
        return fejer.minimize(problem, method="bcd", options=options, max_iter=count, tol=0).fun

    d = problem.size
    left = {
        rule: excess(2 * d, selection=rule, block_size=1) - best.fun
        for rule in ("cyclic", "random", "gs")
    }
    assert left["gs"] < left["cyclic"] < left["random"]
    forest = excess(100, update="message-passing", selection="gs") - best.fun
    fixed = excess(100, update="message-passing", partition="sort") - best.fun
    chance = excess(100, update="message-passing", selection="random") - best.fun
    assert forest < 0.1 * chance and fixed < chance


def test_conjugate_gradients_end_and_keep_their_rate():
    problem, best = instance()
    method = fejer.ConjugateGradient()
    rate = method.rate
    first = None
    for step in fejer.steps(problem, method, tol=1e-14, max_iter=90):
        e = rate.measure(problem, step.x, best)
        first = e if first is None else first
        assert e <= rate.bound(problem, np.zeros(best.size), best, step.nit) + 1e-12 * first
    result = fejer.minimize(problem, method=method, tol=0)
    assert result.status is fejer.Status.STALLED and result.nit < 2000


def test_other_problems_are_refused_by_name():
    for method, problem, said in (
        ("conjugate-gradient", fejer.Lasso.random(), "quadratic"),
        ("bcd", fejer.Lasso.random(), "graph"),
    ):
        options = {"update": "message-passing"} if method == "bcd" else {}
        with pytest.raises(fejer.MethodError, match=said):
            fejer.minimize(problem, method=method, options=options)
    with pytest.raises(fejer.MethodError, match="forests are chosen by"):
        options = {"update": "message-passing", "selection": "cyclic"}
        fejer.minimize(instance()[0], method="bcd", options=options)


NAN = float("nan")
TRIANGLE = [[0, 1, 2], [1, 0, 3], [2, 3, 0]]
BAD = [
    ("graph", [[0, -1], [-1, 0]], [1, NAN], "graph.*>= 0"),
    ("graph", [[0, 1], [2, 0]], [1, NAN], "graph.*symmetric"),
    ("graph", [[0, 1, 2], [1, 0, 1]], [1, NAN], "graph.*square"),
    ("graph", [[0, NAN], [NAN, 0]], [1, NAN], "graph"),
    ("graph", "text", [1, NAN], "graph"),
    ("graph", [[0.0]], [1.0], "graph|labels"),
    ("labels", TRIANGLE, [1, NAN], "labels"),
    ("labels", TRIANGLE, [1, 2, 3], "labels: no node"),
    ("labels", TRIANGLE, [NAN, NAN, NAN], "labels: node 0"),
    ("labels", TRIANGLE, [np.inf, NAN, 1], "labels: expected finite"),
    ("labels", TRIANGLE, [1e200, NAN, 1], "labels"),
    ("labels", TRIANGLE, ["a", "b", "c"], "labels"),
    ("labels", [[0, 1, 0], [1, 0, 0], [0, 0, 0]], [1, NAN, NAN], "labels: node 2"),
]


@pytest.mark.parametrize("field, graph, labels, said", BAD)
def test_names_what_it_refuses(field, graph, labels, said):
    with pytest.raises(fejer.ProblemError, match=said):
        fejer.LabelPropagation(graph, labels)


def test_layouts_and_diagonals():
    labels = np.array([1.0, NAN, 4.0])
    expected = (1 * 1.0 + 3 * 4.0) / 4
    for graph in (
        TRIANGLE,
        np.array(TRIANGLE, np.int32),
        np.array(TRIANGLE, np.float32, order="F"),
        scipy.sparse.csr_array(np.array(TRIANGLE, float)),
        scipy.sparse.coo_matrix(np.array(TRIANGLE)),
        np.array(TRIANGLE) + 5 * np.eye(3),
    ):
        for method in ("bcd", "conjugate-gradient"):
            result = fejer.minimize(fejer.LabelPropagation(graph, labels), method=method)
            assert result.success and result.x == pytest.approx([expected], rel=1e-9)
    assert np.isnan(labels[1])
