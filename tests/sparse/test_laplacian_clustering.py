"""Clustering with a graph: fixed points, energy, attacks, and few-shot tasks on digits."""

import functools

import numpy as np
import pytest
from scipy.special import softmax

import fejer

CASES = {
    "plain": {},
    "no graph": {"lam": 0.0},
    "strong graph": {"lam": 3.0, "spread": 1.0},
    "modes": {"prototypes": "modes"},
    "five labels": {"shots": 5, "n_classes": 2},
}


@functools.cache
def solved(name):
    problem = fejer.LaplacianClustering.random(**CASES[name], seed=3)
    return problem, fejer.minimize(problem, tol=1e-9)


def graph(problem):
    """The graph by all distances, and the mean squared distance of neighbours."""
    X, k = problem.features, problem.neighbours
    D = np.sum((X[:, None] - X[None]) ** 2, axis=2)
    np.fill_diagonal(D, np.inf)
    near = np.argsort(D, axis=1, kind="stable")[:, :k]
    W = np.zeros_like(D)
    np.put_along_axis(W, near, 1.0, axis=1)
    return (W + W.T) / 2, np.take_along_axis(D, near, axis=1).mean()


def residual(problem, S, modes=None):
    W, variance = graph(problem)
    X, free = problem.features, problem.labels < 0
    centers = (S.T @ X) / S.sum(axis=0)[:, None] if modes is None else modes
    squares = np.sum((X[:, None] - centers[None]) ** 2, axis=2)
    costs = squares if modes is None else -np.exp(-squares / (2 * variance))
    R = softmax(problem.lam * W @ S - costs, axis=1)
    spread = np.median(np.ptp(R[free], axis=1))
    value = np.abs(S - R)[free].max() / min(1.0, spread)
    if modes is not None:
        near = S * np.exp(-squares / (2 * variance))
        moved = (near.T @ X) / near.sum(axis=0)[:, None]
        value = max(value, np.linalg.norm(moved - modes, axis=1).max() / np.sqrt(variance))
    return value


@pytest.mark.parametrize("name", CASES)
def test_certificate_is_the_twin(name):
    problem, result = solved(name)
    assert result.success and result.certificate.value <= 1e-9
    modes = result.witness.get("means")
    rng = np.random.default_rng(0)
    for size in (0.0, 1e-6, 1e-2, 1.0):
        S = np.array(result.assignment)
        noise = size * rng.random(S.shape) * (problem.labels < 0)[:, None]
        S = (S + noise) / (S + noise).sum(axis=1, keepdims=True)
        certificate = problem.judge(S.ravel(), result.witness)
        assert certificate.value == pytest.approx(residual(problem, S, modes), rel=1e-6, abs=1e-9)
        assert not certificate.rigorous


@pytest.mark.parametrize("name", ["plain", "no graph", "strong graph", "five labels"])
@pytest.mark.parametrize("inner", [1, 5])
def test_energy_never_increases(name, inner):
    problem, _ = solved(name)
    last = np.inf
    for step in fejer.steps(problem, "bound-optimiser", options={"inner": inner}, tol=1e-9):
        S = step.state.S
        energy = problem.energy(S, problem.costs(step.state.centers))
        assert energy <= last + 1e-10 * abs(last) if np.isfinite(last) else True
        last = energy


def test_damped_fixed_points_are_no_solutions():
    """With the damping in the residual every one-hot S passed: 1e-14 at delta = 50."""
    problem, _ = solved("plain")
    rng = np.random.default_rng(0)
    for _ in range(10):
        S = np.eye(3)[rng.integers(0, 3, 60)]
        S = problem.held(S)
        assert problem.judge(S.ravel()).value > 1e-2


def test_without_damping_the_published_iteration_is_available():
    problem, result = solved("plain")
    other = fejer.minimize(problem, method="bound-optimiser", options={"delta": 0.0}, tol=1e-9)
    assert other.nit < result.nit
    np.testing.assert_allclose(other.x, result.x, atol=1e-4)


def test_witnesses_and_points_that_are_wrong():
    problem, result = solved("modes")
    assert result.success
    for junk in ({}, {"means": "text"}, {"means": np.full((3, 2), np.nan)}, {"means": np.eye(2)}):
        assert problem.judge(result.x, junk).value == np.inf
    assert problem.judge(result.x, {"means": 1e9 * np.ones((3, 2))}).value == np.inf
    assert problem.judge(result.x, {"means": result.centers + 0.1}).value > 1e-3
    assert problem.judge(result.x + 1e-3).value == np.inf
    assert problem.judge(-result.x).value == np.inf
    moved = np.array(result.assignment)
    moved[0] = [0.2, 0.3, 0.5]  # a labelled point
    assert "labels" in problem.judge(moved.ravel(), result.witness).reason


def test_an_empty_cluster_keeps_its_labelled_mean():
    problem, _ = solved("plain")
    S = np.zeros((60, 3))
    S[:, 0] = 1.0
    centers = problem.means(S)
    np.testing.assert_allclose(centers[1:], problem.labelled_means()[1:])
    np.testing.assert_allclose(centers[0], problem.features.mean(axis=0))


def test_few_shots_on_digits():
    """One label for each of five digits: the graph helps the means, the means the prototypes."""
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    X = X / np.linalg.norm(X, axis=1, keepdims=True)
    rng = np.random.default_rng(0)
    right = {"prototype": [], "no graph": [], "graph": []}
    for _ in range(40):
        digits = rng.choice(10, 5, replace=False)
        drawn = [rng.choice(np.flatnonzero(y == digit), 16, replace=False) for digit in digits]
        chosen = np.concatenate([part[:1] for part in drawn] + [part[1:] for part in drawn])
        truth = np.append(np.arange(5), np.repeat(np.arange(5), 15))
        labels = np.where(np.arange(80) < 5, truth, -1)
        features = 5.0 * X[chosen]  # cosines are flat: sharper assignments
        for lam, name in ((0.0, "no graph"), (0.7, "graph")):
            problem = fejer.LaplacianClustering(features, labels, 5, lam=lam)
            result = fejer.minimize(problem, tol=1e-5, max_iter=500)
            right[name].append(np.mean(result.clusters[5:] == truth[5:]))
        nearest = problem.distances(problem.labelled_means()).argmin(axis=1)
        right["prototype"].append(np.mean(nearest[5:] == truth[5:]))
    mean = {name: np.mean(values) for name, values in right.items()}
    assert mean["prototype"] + 0.02 < mean["no graph"] < mean["graph"]


BAD = [
    ("features", {"features": np.full((5, 2), np.nan)}),
    ("features", {"features": "text"}),
    ("labels", {"labels": [0, 1, 2, -1, -1]}),
    ("labels", {"labels": [0, 0, -1, -1, -1]}),
    ("labels", {"labels": [0, 1, 0, 1, 0]}),
    ("labels", {"labels": [0, 1]}),
    ("labels", {"labels": [0, 0.5, 1, -1, -1]}),
    ("n_classes", {"n_classes": 1}),
    ("n_classes", {"n_classes": 2.5}),
    ("lam", {"lam": -0.1}),
    ("lam", {"lam": np.nan}),
    ("neighbours", {"neighbours": 0}),
    ("neighbours", {"neighbours": 5}),
    ("prototypes", {"prototypes": "medians"}),
]


@pytest.mark.parametrize("field, bad", BAD)
def test_names_what_it_refuses(field, bad):
    X = np.random.default_rng(0).standard_normal((5, 2))
    fields = {"features": X, "labels": [0, 1, -1, -1, -1], "n_classes": 2, **bad}
    with pytest.raises(fejer.ProblemError, match=rf"^{field}"):
        fejer.LaplacianClustering(**fields)
