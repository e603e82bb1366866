"""Flag mean: certificate against a dense twin, monotone descent, honest robustness, bad input."""

import numpy as np
import pytest

import fejer
from fejer import FlagMean, ProblemError
from fejer.driver import Run


def objective(problem, Y, eps=0.0):
    G, P = problem.G, problem.G.shape[1]
    total = 0.0
    for i in range(P):
        r = G[:, i] - Y @ (Y.T @ G[:, i])
        total += np.sqrt(r @ r + eps)
        for j in range(i):
            d = G[:, i] - G[:, j]
            d = d - Y @ (Y.T @ d)
            total += 2 * problem.lam / (P * (P - 1)) * np.sqrt(d @ d + eps)
    return total


def gradient_norm(problem, Y):
    """Riemannian gradient of the smoothed objective, by its formula, entry by entry."""
    G, P = problem.G, problem.G.shape[1]
    w = 2 * problem.lam / (P * (P - 1))
    S, size = np.zeros((len(G), len(G))), float(P)
    N = np.eye(len(G)) - Y @ Y.T
    for i in range(P):
        S += np.outer(G[:, i], G[:, i]) / np.sqrt(np.sum((N @ G[:, i]) ** 2) + problem.eps)
        for j in range(i):
            d = G[:, i] - G[:, j]
            S += w * np.outer(d, d) / np.sqrt(np.sum((N @ d) ** 2) + problem.eps)
            size += w * np.linalg.norm(d)
    return np.linalg.norm(N @ S @ Y) / size


@pytest.mark.parametrize("lam", [0.0, 2.0])
@pytest.mark.parametrize("rank", [1, 3])
def test_value_and_objective_against_the_dense_twin(rank, lam):
    problem = FlagMean.random(rank=rank, lam=lam)
    rng = np.random.default_rng(0)
    for _ in range(30):
        Y = np.linalg.qr(rng.standard_normal((30, rank)))[0]
        certificate = problem.judge(Y.ravel())
        assert certificate.fun == pytest.approx(objective(problem, Y), rel=1e-12)
        assert certificate.value == pytest.approx(gradient_norm(problem, Y), rel=1e-9)
    result = fejer.minimize(problem, tol=1e-8)
    assert result.success
    assert gradient_norm(problem, result.subspace) <= 1.1e-8


@pytest.mark.parametrize("lam", [0.0, 2.0])
@pytest.mark.parametrize("rank", [1, 2])
def test_answer_is_a_local_minimum(rank, lam):
    problem = FlagMean.random(12, 6, rank, lam=lam, attackers=1)
    result = fejer.minimize(problem, tol=1e-8)
    assert result.success
    rng = np.random.default_rng(1)
    for size in (1e-4, 1e-2):
        for _ in range(40):
            moved = result.subspace + size * rng.standard_normal((12, rank))
            Y = np.linalg.qr(moved)[0]
            assert objective(problem, Y) >= result.fun - 1e-9


def test_circle_by_search():
    rng = np.random.default_rng(2)
    problem = FlagMean(rng.standard_normal((2, 5)), 1, 1.0)
    angles = np.linspace(0, np.pi, 20001)
    values = [objective(problem, np.array([[np.cos(a)], [np.sin(a)]])) for a in angles[::10]]
    result = fejer.minimize(problem)
    assert result.fun <= np.sort(values)[0] + 0.5  # a local minimum
    near = angles[::10][int(np.argmin(values))]
    best = fejer.minimize(problem, np.array([np.cos(near), np.sin(near)]))
    assert best.fun <= min(values) + 1e-5


@pytest.mark.parametrize("lam", [0.0, 3.0])
@pytest.mark.parametrize("start", ["spectral", "random"])
def test_smoothed_objective_never_increases(lam, start):
    for seed in range(5):
        problem = FlagMean.random(rank=2, lam=lam, seed=seed)
        run = Run(problem, method="flag-irls", options={"start": start}, tol=0.0, rng=seed)
        run.open()
        last = np.inf
        for k in range(1, 25):
            Y = run.method.point(problem, run.prep, run.state).reshape(-1, 2)
            now = objective(problem, Y, problem.eps)
            assert now <= last * (1 + 1e-12)
            last = now
            run.forward(k)


def test_invariant_to_rotation_and_to_lengths():
    problem = FlagMean.random(rank=2, lam=1.0)
    rng = np.random.default_rng(0)
    Q = np.linalg.qr(rng.standard_normal((30, 30)))[0]
    turned = FlagMean(Q @ problem.G * rng.uniform(0.1, 10, 9), 2, 1.0)
    first, second = fejer.minimize(problem, tol=1e-10), fejer.minimize(turned, tol=1e-10)
    assert first.fun == pytest.approx(second.fun, rel=1e-9)
    A = Q @ first.subspace
    np.testing.assert_allclose(A @ A.T, second.subspace @ second.subspace.T, atol=1e-6)


def cosine(vector, truth):
    return vector @ truth / np.linalg.norm(vector) / np.linalg.norm(truth)


@pytest.mark.parametrize("attack", ["uniform", "sign", "collude"])
def test_rank_1_resists_attackers_better_than_the_mean(attack):
    for seed in range(5):
        problem = FlagMean.random(
            2000, 15, attackers=3, attack=attack, noise=1.0, lam=0.0, seed=seed
        )
        truth = np.random.default_rng(seed).standard_normal(2000)
        result = fejer.minimize(problem)
        assert result.success
        mean = cosine(problem.G.mean(axis=1), truth)
        assert cosine(result.aggregate, truth) > mean


def test_more_dimensions_and_large_weights_of_differences_fail():
    # What the model does not do: with 3 dimensions it contains the colluders; with one it follows
    # them as soon as honest gradients are noisy.
    problem = FlagMean.random(2000, 15, attackers=3, attack="collude", noise=1.0)
    truth = np.random.default_rng(0).standard_normal(2000)
    result = fejer.minimize(problem)
    assert result.ratios[:3].max() < 0.01
    assert fejer.minimize(problem.replace(rank=3), max_iter=300).ratios[:3].min() > 0.99
    assert fejer.minimize(problem.replace(lam=10.0)).ratios[:3].min() > 0.2
    noisy = FlagMean.random(2000, 15, attackers=3, attack="collude", noise=3.0)
    assert cosine(fejer.minimize(noisy).aggregate, truth) < 0.3


def test_points_that_buy_nothing():
    problem = FlagMean.random(rank=1)
    for i in range(9):
        assert problem.judge(problem.G[:, i].copy()).value > 1e-3
    good = fejer.minimize(problem).x
    for bad in (0 * good, 1.001 * good, 1e8 * good, 1e200 * good, 1e-8 * good):
        certificate = problem.judge(bad)
        assert certificate.value == np.inf and certificate.reason


def test_degenerate_directions():
    rng = np.random.default_rng(0)
    g = rng.standard_normal(6)
    same = np.repeat(g[:, None], 4, axis=1)
    for G, rank in ((same, 1), (same, 2), (same[:, :2], 1), (np.eye(6)[:, :2], 2), (np.eye(3), 3)):
        result = fejer.minimize(FlagMean(G, rank, 1.0))
        assert np.isfinite(result.x).all() and result.success
    two = FlagMean(np.array([[1.0, 0.0], [0.0, 1.0]]), 1)
    assert np.isfinite(fejer.minimize(two, max_iter=1000).x).all()


NAN = float("nan")
BAD = [
    ("G", np.ones((3, 1))),
    ("G", [[1.0, 0.0], [1.0, 0.0]]),
    ("G", np.ones(3)),
    ("G", np.full((3, 2), NAN)),
    ("G", np.full((3, 2), float("inf"))),
    ("G", "abc"),
    ("G", None),
    ("G", np.zeros((3, 0))),
    ("rank", 0),
    ("rank", 3),
    ("rank", 1.5),
    ("rank", None),
    ("lam", -1),
    ("lam", NAN),
    ("lam", "1"),
    ("eps", 0),
    ("eps", -1e-9),
    ("eps", None),
]


@pytest.mark.parametrize(("field", "value"), BAD)
def test_bad_field(field, value):
    good = {"G": np.arange(1.0, 7.0).reshape(3, 2), "rank": 1}
    with pytest.raises(ProblemError, match=rf"^{field}:"):
        FlagMean(**{**good, field: value})


def test_the_turned_mean_is_no_better_resisted_than_by_the_mean():
    for seed in range(3):
        problem = FlagMean.random(2000, 15, attackers=3, attack="inner", seed=seed)
        truth = np.random.default_rng(seed).standard_normal(2000)
        mean = problem.G.mean(axis=1)
        found = fejer.minimize(problem).aggregate
        cosines = [v @ truth / np.linalg.norm(v) / np.linalg.norm(truth) for v in (found, mean)]
        assert cosines[0] > 0.9 and abs(cosines[0] - cosines[1]) < 0.01


def test_bad_attack():
    with pytest.raises(ProblemError, match="attack"):
        FlagMean.random(attack="flood")
