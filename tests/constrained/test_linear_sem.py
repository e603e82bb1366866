"""LinearSEM, owlqn, adam-path: kernels against numpy, gaps against the truth, attacks, recovery."""

import itertools

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

import fejer
from fejer.driver import Run
from fejer.problems.constrained._sem import acyclic, topological_order
from fejer.solvers.constrained._sem_path import SEMData

NOISES = ("equal", "unequal")


def score(X, W, lam, noise, least=0.0):
    """The objective in plain numpy, noise levels by their formula."""
    R = X - X @ W
    n, d = X.shape
    if noise == "equal":
        sigma = max(np.linalg.norm(R) / np.sqrt(n * d), least)
        return (R**2).sum() / (2 * n * sigma) + d * sigma / 2 + lam * np.abs(W).sum()
    total = lam * np.abs(W).sum()
    for r in R.T:
        sigma = max(np.linalg.norm(r) / np.sqrt(n), least)
        total += r @ r / (2 * n * sigma) + sigma / 2
    return total


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("seed", range(4))
def test_value_and_gradient_of_the_barrier(noise, seed):
    problem = fejer.LinearSEM.random(noise=noise, seed=seed)
    rng = np.random.default_rng(seed)
    W = 0.2 * rng.standard_normal((5, 5))
    np.fill_diagonal(W, 0.0)
    data, s, mu = SEMData.of(problem), 0.9, 0.3

    def value(w):
        V = w.reshape(5, 5)
        barrier = 5 * np.log(s) - np.linalg.slogdet(s * np.eye(5) - V * V)[1]
        return mu * score(problem.centred, V, 0.0, noise) + barrier

    point = np.empty((3, 25))
    assert data.barrier(W.ravel().copy(), mu, s, point) == pytest.approx(
        value(W.ravel()), rel=1e-10
    )
    quotient = [(value(W.ravel() + h) - value(W.ravel() - h)) / 2e-6 for h in 1e-6 * np.eye(25)]
    off = ~np.eye(5, dtype=bool).ravel()
    np.testing.assert_allclose(point[2][off], np.array(quotient)[off], rtol=1e-5, atol=1e-7)
    assert data.barrier(3 * np.ones(25), mu, s, point) == np.inf


def test_the_barrier_is_zero_just_for_graphs_without_cycles():
    data = SEMData.of(fejer.LinearSEM.random())
    point = np.empty((3, 25))
    rng = np.random.default_rng(0)
    for _ in range(20):
        W = np.triu(rng.standard_normal((5, 5)), 1)
        p = rng.permutation(5)
        W = W[np.ix_(p, p)]
        assert abs(data.barrier(W.ravel().copy(), 0.0, 1.0, point)) < 1e-12
        assert topological_order(W) is not None
        W[W != 0] *= 0.1
        i, j = np.argwhere(W)[0]
        W[j, i] = 0.3
        assert topological_order(W) is None
        assert data.barrier(W.ravel().copy(), 0.0, 1.0, point) > 1e-8
        assert topological_order(acyclic(W, 0.0)) is not None


def test_noise_levels_are_the_best_ones():
    problem = fejer.LinearSEM.random()
    r = problem.centred[:, 0]
    n = r.size
    best = minimize_scalar(
        lambda s: r @ r / (2 * n * s) + s / 2, bounds=(1e-3, 1e3), method="bounded"
    )
    one = np.linalg.norm(r) / np.sqrt(n)
    assert best.fun == pytest.approx(one, rel=1e-6)


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("method", ["owlqn", "adam-path"])
def test_the_refit_closes_the_gap(noise, method):
    problem = fejer.LinearSEM.random(noise=noise, seed=2)
    result = fejer.minimize(problem, method=method, tol=1e-10)
    assert result.success
    W = result.x.reshape(5, 5)
    assert result.fun == pytest.approx(score(problem.centred, W, 0.05, noise), rel=1e-12)
    assert result.certificate.details["dual"] <= result.fun * (1 + 1e-12)


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("lam", [0.0, 0.05])
def test_the_gap_bounds_the_truth(noise, lam):
    """The optimum on the order by cvxpy: a sum of square-root lassos where the order is given."""
    import cvxpy

    problem = fejer.LinearSEM.random(noise=noise, seed=1).replace(lam=lam)
    result = fejer.minimize(problem, tol=1e-10)
    order = result.order
    X, n = problem.centred, len(problem.X)
    mask = np.zeros((5, 5))
    for a, b in itertools.combinations(range(5), 2):
        mask[order[a], order[b]] = 1.0
    V = cvxpy.Variable((5, 5))
    R = X - X @ cvxpy.multiply(V, mask)
    if noise == "equal":
        fit = cvxpy.norm(R, "fro") * np.sqrt(5 / n)
    else:
        fit = sum(cvxpy.norm(R[:, j]) for j in range(5)) / np.sqrt(n)
    penalty = lam * cvxpy.sum(cvxpy.abs(cvxpy.multiply(V, mask)))
    best = cvxpy.Problem(cvxpy.Minimize(fit + penalty)).solve(solver="CLARABEL")
    assert result.fun == pytest.approx(best, rel=1e-6)
    rng = np.random.default_rng(0)
    witness = {"order": order.astype(float)}
    for size in np.geomspace(1e-4, 1.0, 20):
        W = result.x.reshape(5, 5) + size * rng.standard_normal((5, 5)) * mask
        found = problem.judge(W.ravel(), witness)
        assert found.rigorous and found.value * max(found.fun, 1e-9) >= found.fun - best - 1e-6
        assert found.value > 1e-10


def test_two_nodes_against_a_grid():
    problem, truth = fejer.LinearSEM.random_graph(500, 2, 1, seed=3)
    if not truth.any():
        truth = np.array([[0.0, 1.0], [0.0, 0.0]])
    result = fejer.minimize(problem, tol=1e-9)
    X = problem.centred
    grid = np.linspace(-3, 3, 601)
    values = [score(X, np.array([[0, w], [0, 0]]), 0.05, "equal") for w in grid]
    values += [score(X, np.array([[0, 0], [w, 0]]), 0.05, "equal") for w in grid]
    assert result.fun <= min(values) + 1e-3


@pytest.mark.parametrize("noise", NOISES)
def test_graphs_are_recovered_and_owlqn_is_not_worse(noise):
    for seed in range(3):
        problem, truth = fejer.LinearSEM.random_graph(d=10, edges=10, noise=noise, seed=seed)
        fast = fejer.minimize(problem, method="owlqn", tol=1e-9)
        slow = fejer.minimize(problem, method="adam-path", tol=1e-9)
        assert fast.success and slow.success
        assert fast.fun <= slow.fun * 1.002
        assert fejer.dag_metrics(fast.graph_weights, truth).shd <= 2


def test_units_of_all_columns_together():
    """All of X times k is the same graph for lam over k... and noise levels times k."""
    problem = fejer.LinearSEM.random(seed=4)
    other = problem.replace(X=problem.X * 8.0, lam=problem.lam * 8.0)
    W = fejer.minimize(problem, tol=1e-11).x
    one, two = problem.judge(W), other.judge(W)
    assert two.fun == pytest.approx(8 * one.fun, rel=1e-9)
    assert two.value == pytest.approx(one.value, abs=1e-12)


def test_attacks():
    problem = fejer.LinearSEM.random(noise="unequal", seed=1)
    result = fejer.minimize(problem, tol=1e-10)
    # a column of huge numbers hides no other one
    wide = problem.replace(X=problem.X * np.array([1e8, 1, 1, 1, 1]))
    found = fejer.minimize(wide, tol=1e-8)
    alone = np.zeros((5, 5))
    alone[:, 0] = found.x.reshape(5, 5)[:, 0]
    if topological_order(alone) is not None and np.count_nonzero(found.x) > 1:
        assert wide.judge(alone.ravel()).value > 1e-3
    # small units are no excuse for the empty graph
    small = problem.replace(X=problem.X * 1e-9, lam=problem.lam * 1e-9)
    assert small.judge(np.zeros(25)).value > 1e-2
    # cycles, loops, orders that are none
    W = result.x.reshape(5, 5).copy()
    i, j = np.argwhere(W)[0]
    W[j, i] = 1e-300
    assert problem.judge(W.ravel()).value == np.inf
    loop = result.x.reshape(5, 5).copy()
    loop[0, 0] = 1e-9
    assert problem.judge(loop.ravel()).value == np.inf
    for order in (np.zeros(5), np.arange(5) + 0.5, np.full(5, np.nan), "order", np.arange(6)):
        assert problem.judge(result.x, {"order": order}).value < np.inf
    for size in (1e8, 1e150):
        assert not problem.judge(np.triu(np.full((5, 5), size), 1).ravel()).holds(1e-3)


def test_metrics():
    truth = np.array([[0, 1, 1], [0, 0, 1], [0, 0, 0]])
    assert fejer.dag_metrics(truth, truth) == (0, 1.0, 0.0)
    assert fejer.dag_metrics(np.zeros((3, 3)), truth) == (3, 0.0, 0.0)
    turned = truth.T
    assert fejer.dag_metrics(turned, truth).shd == 3
    assert fejer.dag_metrics(np.zeros((3, 3)), np.zeros((3, 3))) == (0, 1.0, 0.0)
    with pytest.raises(fejer.ProblemError, match="found: "):
        fejer.dag_metrics(np.zeros((2, 3)), truth)


X = np.random.default_rng(0).standard_normal((20, 3))
BAD = {
    "nan": (dict(X=X * np.nan), "X: "),
    "text": (dict(X="X"), "X: "),
    "vector": (dict(X=X[:, 0]), "X: "),
    "one column": (dict(X=X[:, :1]), "X: "),
    "one row": (dict(X=X[:1]), "X: "),
    "constant": (dict(X=np.column_stack([X, np.full(20, 3.1)])), "X: .*constant one, 3"),
    "complex": (dict(X=X * 1j), "X: "),
    "noise": (dict(X=X, noise="some"), "noise: "),
    "lam": (dict(X=X, lam=-0.1), "lam: "),
    "lam nan": (dict(X=X, lam=np.nan), "lam: "),
    "lam text": (dict(X=X, lam="0.1"), "lam: "),
}


@pytest.mark.parametrize("name", list(BAD))
def test_bad_input_is_named(name):
    fields, text = BAD[name]
    with pytest.raises(fejer.ProblemError, match=f"^{text}"):
        fejer.LinearSEM(**fields)


@pytest.mark.parametrize("penalty", [0.0, 0.01, 0.3, 5.0])
def test_active_sets_solve_a_lasso(penalty):
    from fejer.solvers.constrained._active_sets import lasso_column

    rng = np.random.default_rng(1)
    for _ in range(20):
        X = rng.standard_normal((40, 12)) * 10.0 ** rng.uniform(-1, 1, 12)
        X[:, 1] = X[:, 0] + 1e-2 * rng.standard_normal(40)
        C, c = X.T @ X, X.T @ rng.standard_normal(40)
        start = rng.standard_normal(12) * (rng.random(12) < 0.5)
        w = lasso_column(C, c, start, penalty)
        slope = C @ w - c
        allowed = 1e-9 * (np.abs(C) @ np.abs(w) + np.abs(c))
        assert (np.abs(slope) <= penalty + allowed).all()
        assert (np.abs(slope + penalty * np.sign(w))[w != 0] <= allowed[w != 0]).all()
        np.testing.assert_array_equal(lasso_column(C, c, w, penalty), w)


def test_the_refit_of_a_dense_graph_takes_few_sweeps():
    problem, _ = fejer.LinearSEM.random_graph(d=20, edges=80, noise="unequal", seed=0)
    assert np.linalg.cond(problem.covariance) > 1e5
    run = Run(problem, method="owlqn", tol=1e-9)
    run.open()
    while run.state.order is None:
        run.method.advance(problem, run.prep, run.state, 100)
    run.method.advance(problem, run.prep, run.state, 100)
    assert problem.judge(run.state.x, {"order": run.state.order}).value <= 1e-9


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("seed", range(3))
def test_steps_of_columns_are_newton_steps(noise, seed):
    """Against second differences of the barrier in one column, with signs that leave it alone."""
    from fejer.solvers.constrained._sem_kernels import column_steps

    problem = fejer.LinearSEM.random(noise=noise, seed=seed)
    data, s, mu, d = SEMData.of(problem), 0.9, 0.3, 5
    rng = np.random.default_rng(seed)
    W = 0.2 * rng.standard_normal((d, d)) + 0.1
    W[rng.random((d, d)) < 0.3] = 0.0
    np.fill_diagonal(W, 0.0)
    point = np.empty((3, d * d))

    def gradient(V):
        data.barrier(V.ravel().copy(), mu, s, point)
        return point[2].reshape(d, d).copy()

    slopes = np.where(W != 0, gradient(W) + mu * data.lam * np.sign(W), 0.0)
    M, inverse = point[0].reshape(d, d).copy(), point[1].reshape(d, d).copy()
    step, B, r, free = np.empty((d, d)), np.empty((d, d)), np.empty(d), np.empty(d, np.int64)
    rest = mu, data.equal, data.least, slopes, step, B, r, free
    column_steps(data.C, W, M, inverse, *rest)
    for j in range(d):
        A = np.flatnonzero(W[:, j])
        H = np.empty((A.size, A.size))
        for k, i in enumerate(A):
            h = np.zeros((d, d))
            h[i, j] = 1e-5
            H[:, k] = ((gradient(W + h) - gradient(W - h))[A, j]) / 2e-5
        assert np.linalg.eigvalsh(H).min(initial=1.0) > 0
        np.testing.assert_allclose(step[A, j], -np.linalg.solve(H, slopes[A, j]), rtol=1e-5)
        assert not step[np.setdiff1d(np.arange(d), A), j].any()


def test_the_path_of_stages_goes_down_and_takes_tens_of_steps():
    problem, _ = fejer.LinearSEM.random_graph(d=20, edges=80, noise="unequal", seed=3)
    run = Run(problem, method="owlqn", tol=1e-9)
    run.open()
    values, stages = [np.inf], [0]
    while run.state.order is None:
        run.method.advance(problem, run.prep, run.state, 1)
        values.append(run.state.progress[0] if run.state.open else np.inf)
        stages.append(run.state.stage)
    pairs = [k for k in range(2, len(values)) if stages[k] == stages[k - 1]]
    assert all(values[k] <= values[k - 1] for k in pairs if np.isfinite(values[k - 1]))
    assert run.state.nit < 1000 and run.state.work >= run.state.nit


def refined(problem, W):
    """The objective of the optimum with the signs of W, in extended precision."""
    X = problem.centred.astype(np.longdouble)
    C, total = X.T @ X / len(X), np.longdouble(0)
    for j, w in enumerate(W.T):
        A = np.flatnonzero(w)
        signs = np.sign(w[A]).astype(np.longdouble)
        right = np.column_stack([C[A, j], signs])
        K = C[np.ix_(A, A)]
        both = np.zeros_like(right)
        for _ in range(8 if A.size else 0):
            left = (right - K @ both).astype(float)
            both += np.linalg.solve(K.astype(float), left)
        square = C[j, j] - C[A, j] @ both[:, 0]
        sigma = np.sqrt(square / (1 - problem.lam**2 * (signs @ both[:, 1])))
        v = both[:, 0] - problem.lam * sigma * both[:, 1]
        variance = C[j, j] - 2 * (C[A, j] @ v) + v @ K @ v
        total += variance / (2 * sigma) + sigma / 2 + problem.lam * np.abs(v).sum()
    return total


@pytest.mark.parametrize("seed", [2, 9])
def test_rounding_of_strong_weights_hardly_opens_the_gap(seed):
    """Variances of 1e5: slopes of rounded weights are off by 1e-9 of the penalty."""
    problem, _ = fejer.LinearSEM.random_graph(d=20, edges=80, noise="unequal", seed=seed)
    assert problem.covariance.max() > 1e5
    result = fejer.minimize(problem, tol=1e-10)
    assert result.success
    best = refined(problem, result.x.reshape(20, 20))
    details = result.certificate.details
    assert details["dual"] <= float(best) * (1 + 1e-12) <= result.fun * (1 + 2e-12)
    # a point that is worse by more than the tolerance is not let through by the projection
    rng = np.random.default_rng(0)
    for size in np.geomspace(1e-6, 1e-1, 30):
        W = result.x.reshape(20, 20) * (1 + size * rng.standard_normal((20, 20)))
        found = problem.judge(W.ravel(), {"order": result.order.astype(float)})
        assert details["primal"] - best < 1e-9 and found.details["dual"] <= float(best) + 1e-10
        assert found.value >= (found.fun - float(best)) / 20 / found.fun


def test_a_refit_that_gains_nothing_ends():
    problem, _ = fejer.LinearSEM.random_graph(d=20, edges=80, noise="unequal", seed=2)
    result = fejer.minimize(problem, tol=0.0, max_iter=10_000)
    assert not result.success and result.nit < 2000
    assert result.certificate.value < 1e-10


@pytest.mark.parametrize("noise", NOISES)
def test_units_and_no_penalty_and_no_edges(noise):
    """Without a penalty all of X times k leaves the weights; independent columns have no edges."""
    problem = fejer.LinearSEM.random(noise=noise, seed=4).replace(lam=0.0)
    result = fejer.minimize(problem, tol=1e-9)
    other = problem.replace(X=8.0 * problem.X)
    again = fejer.minimize(other, result.x, tol=1e-9)
    np.testing.assert_allclose(again.x, result.x, atol=1e-7)
    assert again.fun == pytest.approx(8 * result.fun, rel=1e-9)
    alone = fejer.LinearSEM(np.random.default_rng(0).standard_normal((500, 6)), noise, lam=0.2)
    empty = fejer.minimize(alone, tol=1e-9)
    assert empty.success and not empty.graph_weights.any() and not empty.x.any()
