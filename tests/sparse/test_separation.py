"""Separation: margins both ways, the published counts of iterations, and proofs of the contrary."""

import numpy as np
import pytest
import scipy.sparse

import fejer

METHODS = ["nlr-gd", "lr-gd", "batch-perceptron", "n-batch-perceptron", "perceptron"]


def outlier(n, far=(-1.0, 0.5)):
    A = np.tile([1.0, 0.2], (n, 1))
    A[-1] = far
    return fejer.Separation(A, np.ones(n))


def count(problem, method, limit=20_000, **options):
    result = fejer.minimize(problem, method=method, options=options, max_iter=limit)
    assert result.success
    return result.nit


@pytest.mark.parametrize("n, plain, large, normal", [(10, 78, 4, 13), (100, 1232, 37, 24)])
def test_published_shape_of_the_counts(n, plain, large, normal):
    problem = outlier(n)
    assert count(problem, "lr-gd") == plain
    assert count(problem, "lr-gd", step=1e6) == large
    assert count(problem, "batch-perceptron") == large
    assert count(problem, "nlr-gd") == normal
    assert count(problem, "nlr-gd", step=100.0) <= 4


def test_huge_steps_of_gradient_descent_are_the_batch_perceptron():
    problem = outlier(10)
    ours = [step.x for step in fejer.steps(problem, "lr-gd", options={"step": 1e8})]
    limit = [step.x for step in fejer.steps(problem, "batch-perceptron")]
    assert len(ours) == len(limit) == 5
    for a, b in zip(ours, limit, strict=True):
        np.testing.assert_allclose(a / 1e8, b, atol=1e-12)


def online_perceptron(Z):
    """One point after another, as it was first written."""
    w, updates, clean = np.zeros(Z.shape[1]), 0, 0
    while True:
        for z in Z:
            if z @ w <= 0:
                w, updates, clean = w + z, updates + 1, 0
            else:
                clean += 1
            if clean >= len(Z):
                return w, updates


@pytest.mark.parametrize("seed", range(4))
def test_perceptron_is_the_online_one(seed):
    problem = fejer.Separation.random(seed=seed)
    result = fejer.minimize(problem, method="perceptron")
    w, updates = online_perceptron(problem.labels[:, None] * problem.A.dense)
    assert result.nit == updates
    np.testing.assert_allclose(result.x, w, atol=1e-12)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("method", METHODS)
def test_margins_bracket_the_true_margin_and_the_bound_holds(seed, method):
    rng = np.random.default_rng(seed)
    problem = fejer.Separation.random(
        n=int(rng.integers(5, 60)), d=int(rng.integers(2, 6)), margin=0.3, seed=seed
    )
    model = problem.to_cvxpy()
    mu = -model.solve(solver="CLARABEL")
    best = next(v.value for v in model.variables() if v.name() == "w")
    result = fejer.minimize(problem, method=method, max_iter=20_000)
    details = result.certificate.details
    assert result.success and (result.margins > 0).all()
    assert details["margin_lower"] <= mu * (1 + 1e-6) <= details["margin_upper"] * (1 + 2e-6)
    rate = fejer.methods(problem)
    rate = next(entry for entry in rate if entry.name == method).rate
    if rate is not None and rate.bound is not None:
        zero = np.zeros(problem.size)
        assert rate.bound(problem, zero, best, result.nit - 1) == 1.0
        assert rate.bound(problem, zero, best, 10**9) == 0.0
        assert rate.bound(problem, zero, zero, 10**9) == np.inf


def test_normalised_weights_give_the_upper_bound_by_the_length_of_w():
    problem = fejer.Separation.random(margin=0.02)
    for step in fejer.steps(problem, "nlr-gd", options={"step": 2.0}):
        if step.nit:
            length = np.linalg.norm(step.x) / (2.0 * step.nit)
            upper = step.certificate.details["margin_upper"]
            assert upper <= length * (1 + 1e-9) + 1e-12


@pytest.mark.parametrize("method", METHODS)
def test_the_contrary_is_proven(method):
    A = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    result = fejer.minimize(fejer.Separation(A, np.ones(4)), method=method, max_iter=500)
    assert result.status is fejer.Status.INFEASIBLE
    assert result.certificate.proves == "infeasible"
    zero = fejer.Separation([[0.0, 0.0], [1.0, 1.0]], [1, 1])
    assert fejer.minimize(zero, method=method, max_iter=5).status is fejer.Status.INFEASIBLE


def test_near_misses_are_not_called_infeasible():
    A = np.array([[1.0, 1e-7], [-1.0, 1e-7]])
    problem = fejer.Separation(A, np.ones(2))
    half = {"weights": np.array([0.5, 0.5])}
    assert problem.judge(np.zeros(2), half).proves == "solved"
    separating = np.array([0.0, 1.0])
    assert problem.judge(separating, half).value == 0.0
    hopeless = fejer.Separation([[1.0, 1e-12], [-1.0, 1e-12]], [1, 1])
    assert hopeless.judge(np.zeros(2), half).proves == "solved"  # column 2 does not cancel


def test_rounding_is_no_margin():
    A = np.array([[1.0, -1.0], [1.0, -1.0 + 2.0**-52], [3.0, -2.0]])
    problem = fejer.Separation(A, np.ones(3))
    assert problem.judge(np.array([1.0, 1.0])).value == 1.0
    assert problem.judge(np.array([1.0, 1.0 - 1e-9])).value == 0.0
    for size in (1e-300, 1e-100, 1e100, 1e300):
        assert problem.judge(size * np.array([2.0, 1.0])).value == 0.0
        assert problem.judge(-size * np.array([2.0, 1.0])).value == 1.0


def test_hostile_weights():
    problem = fejer.Separation.random()
    n = problem.labels.size
    x = -fejer.minimize(problem).x
    honest = problem.judge(x).details["margin_upper"]
    for junk in (
        np.full(n, np.nan), -np.ones(n), np.zeros(n), np.ones(3), "text", None, 1e200 * np.ones(n),
        np.ones((n, 1)),
    ):  # fmt: skip
        certificate = problem.judge(x, {"weights": junk})
        assert certificate.value == 1.0 and certificate.proves == "solved"
        assert certificate.details["margin_upper"] == honest


def test_contrary_case_normalisation_is_often_slower():
    rng = np.random.default_rng(0)
    w = rng.standard_normal(20)
    A = rng.standard_normal((300, 20))
    labels = np.sign(A @ w)
    A += 0.15 * np.outer(labels, w / np.linalg.norm(w))
    problem = fejer.Separation(A, labels)
    assert count(problem, "lr-gd", step=1e4) < count(problem, "nlr-gd", step=1e4)


def test_sparse_data_and_digits():
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    chosen = np.isin(y, (3, 8))
    A = np.column_stack([X[chosen] / 16, np.ones(chosen.sum())])
    labels = np.where(y[chosen] == 3, 1.0, -1.0)
    counts = {}
    for method, options in (
        ("lr-gd", {}), ("lr-gd", {"step": 100.0}), ("nlr-gd", {}), ("nlr-gd", {"step": 10.0}),
        ("n-batch-perceptron", {}), ("perceptron", {}),
    ):  # fmt: skip
        dense = count(fejer.Separation(A, labels), method, **options)
        sparse = count(fejer.Separation(scipy.sparse.csr_array(A), labels), method, **options)
        assert dense == sparse
        counts[method, options.get("step")] = dense
    assert counts["lr-gd", None] == 278 and counts["lr-gd", 100.0] == 69
    assert counts["nlr-gd", None] == 75 and counts["nlr-gd", 10.0] == 52
    assert counts["n-batch-perceptron", None] == 43 and counts["perceptron", None] == 78


BAD = [
    ("A", {"A": np.full((2, 2), np.nan)}),
    ("A", {"A": np.zeros((0, 2))}),
    ("A", {"A": "text"}),
    ("A", {"A": [1.0, 2.0]}),
    ("labels", {"labels": [1.0, 0.0]}),
    ("labels", {"labels": [1.0, 2.0]}),
    ("labels", {"labels": [1.0]}),
    ("labels", {"labels": [1.0, np.nan]}),
    ("labels", {"labels": None}),
]


@pytest.mark.parametrize("field, bad", BAD)
def test_names_what_it_refuses(field, bad):
    with pytest.raises(fejer.ProblemError, match=rf"^{field}"):
        fejer.Separation(**{"A": [[1.0, 2.0], [2.0, 1.0]], "labels": [1, -1], **bad})
