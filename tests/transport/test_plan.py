"""Point clouds and plans: what is computed on demand equals what is stored."""

import numpy as np
import pytest
from scipy import sparse
from scipy.spatial.distance import cdist

import fejer
from fejer.problems.transport import point_cloud
from tests.transport import twin

COSTS = {
    "sqeuclidean": lambda x, y: cdist(x, y, "sqeuclidean"),
    "halfsq": lambda x, y: cdist(x, y, "sqeuclidean") / 2,
    "euclidean": cdist,
    "l1": lambda x, y: cdist(x, y, "cityblock"),
    1.5: lambda x, y: cdist(x, y) ** 1.5,
}


@pytest.fixture
def lazy(monkeypatch):
    """Nothing is stored, and few rows are computed at a time."""
    monkeypatch.setattr(point_cloud, "STORED", 0)
    monkeypatch.setattr(point_cloud, "BLOCK", 64)


@pytest.mark.parametrize("cost", list(COSTS))
@pytest.mark.parametrize("dim", [1, 3])
def test_costs(cost, dim):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(6, dim)), rng.normal(size=(5, dim))
    cloud = fejer.PointCloud(x, y, cost)
    expected = COSTS[cost](x, y)
    assert cloud.shape == (6, 5) and cloud.toarray() == pytest.approx(expected, rel=1e-13)
    assert cloud.rows(2, 4) == pytest.approx(expected[2:4], rel=1e-13)
    assert cloud.take([0, 3], slice(1, None)).toarray() == pytest.approx(expected[[0, 3], 1:])
    if dim == 1:
        line = fejer.PointCloud(x[:, 0], y[:, 0], cost)
        assert (line.toarray() == cloud.toarray()).all()


def test_far_from_the_origin_small_distances_keep_their_digits():
    cloud = fejer.PointCloud([1e8], [1e8 + 2.0**-10])
    assert cloud.toarray().item() == 2.0**-20


@pytest.mark.parametrize("eps", [1.0, 0.1])
def test_lazy_clouds_give_what_stored_ones_give(lazy, eps):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(31, 2)), rng.normal(size=(23, 2)) + 0.5
    a = rng.random(31)
    a[4] = 0
    cloud = fejer.PointCloud(x, y)
    assert cloud.is_lazy
    problem = fejer.EntropicOT(a / a.sum(), None, cloud, eps=eps)
    stored = problem.replace(cost=cloud.toarray())
    result = fejer.minimize(problem, method="sinkhorn", tol=1e-9)
    other = fejer.minimize(stored, method="sinkhorn", tol=1e-9)
    assert result.success and other.success
    assert result.nit >= 10 and result.fun == pytest.approx(other.fun, abs=1e-9)
    assert problem.judge(other.x).value == pytest.approx(other.certificate.value, abs=1e-12)
    plan, expected = problem.plan(other.x), other.plan.toarray()
    assert plan.toarray() == pytest.approx(expected, abs=1e-14)
    assert plan @ y == pytest.approx(expected @ y, abs=1e-13)
    assert plan.row(7) == pytest.approx(expected[7], abs=1e-14)
    assert problem.bracket(other.x) == pytest.approx(other.bracket)
    assert problem.potentials(other.x)[0] == pytest.approx(other.potentials[0])


def test_lazy_and_vanishing_entries(lazy):
    """No array of n m entries is formed: what the marginals lack is spread as a product."""
    rng = np.random.default_rng(0)
    cloud = fejer.PointCloud(rng.normal(size=(20, 2)), rng.normal(size=(20, 2)))
    problem = fejer.EntropicOT(None, None, cloud, eps=0.005)
    x = fejer.minimize(problem, method="sinkhorn", tol=1e-4, max_iter=20_000).x
    assert problem.plan(x)._source.__class__.__name__ == "GibbsRows"
    value, _, _ = twin.certificate(problem, x, problem.plan(x).toarray())
    assert problem.judge(x).value == pytest.approx(value, rel=1e-6)


def test_scale_of_large_clouds_comes_from_a_sample(monkeypatch):
    from fejer.problems.transport import _cost

    rng = np.random.default_rng(0)
    cloud = fejer.PointCloud(rng.normal(size=(600, 2)), rng.normal(size=(500, 2)))
    whole = _cost.Cost(cloud)
    expected = np.median(cloud.matrix) - cloud.matrix.min()
    assert whole.spread == pytest.approx(expected, rel=1e-12)
    monkeypatch.setattr(_cost, "SAMPLED", 1000)
    monkeypatch.setattr(_cost, "SAMPLE_SIDE", 100)
    assert _cost.Cost(cloud).spread == pytest.approx(expected, rel=0.2)
    assert _cost.Cost(cloud).spread != whole.spread


def test_typical_size_of_costs():
    from fejer.problems.transport._cost import Cost

    assert Cost(np.array([[1.0, 2.0, np.inf, 9.0]])).spread == 1.0
    assert Cost(np.array([[1.0, 2.0], [3.0, 1e9]])).spread == 1.5
    assert Cost(np.array([[1.0, 1.0], [1.0, 3.0]])).spread == 2.0  # more than half are equal
    assert Cost(np.ones((2, 2))).spread == 0.0
    assert Cost(np.array([[np.inf, 2.0], [-3.0, np.inf]])).largest == 2.0


@pytest.mark.parametrize("size", [1, 2, 7, 2001, 2000])
def test_median_of_many_entries(monkeypatch, size):
    from fejer.problems.transport import _cost

    monkeypatch.setattr(_cost, "SAMPLED", 100)
    monkeypatch.setattr(_cost, "SAMPLE_SIDE", 50)
    rng = np.random.default_rng(0)
    for entries in (rng.random(size), np.sort(rng.random(size)), rng.integers(0, 3, size) * 1.0):
        assert _cost._median(entries) == np.median(entries)


def test_logarithm():
    from fejer.problems.transport._gibbs import log

    rng = np.random.default_rng(0)
    values = np.concatenate([10.0 ** rng.uniform(-307, 307, 2000), 1 + rng.uniform(-0.5, 1, 2000)])
    ours = np.array([log(x) for x in values])
    assert ours == pytest.approx(np.log(values), rel=1e-15, abs=0)
    assert log(1.0) == 0.0 and np.isfinite(log(0.0))


# ---- plans ---------------------------------------------------------------------------------------


def sources():
    rng = np.random.default_rng(0)
    dense = rng.random((6, 4)) * (rng.random((6, 4)) < 0.6)
    problem = fejer.EntropicOT.random(6, 4)
    computed = problem.plan(fejer.minimize(problem).x)
    inner = dense[:3, :2]
    whole = np.zeros((6, 4))
    whole[np.ix_([1, 2, 5], [0, 3])] = inner
    return {
        "dense": (fejer.Plan(dense), dense),
        "sparse": (fejer.Plan(sparse.csr_array(dense)), dense),
        "computed": (computed, computed.toarray()),
        "part": (fejer.Plan(inner, (6, 4), np.array([1, 2, 5]), np.array([0, 3])), whole),
        "rows": (
            fejer.Plan(dense[:3], (6, 4), np.arange(3)),
            np.vstack([dense[:3], 0 * dense[3:]]),
        ),
    }


@pytest.mark.parametrize("name", ["dense", "sparse", "computed", "part", "rows"])
def test_everything_a_plan_does(name):
    plan, expected = sources()[name]
    rng = np.random.default_rng(1)
    V, U = rng.random((4, 3)), rng.random((6, 2))
    assert plan.shape == (6, 4) and plan.T.shape == (4, 6)
    assert np.asarray(plan) == pytest.approx(expected, abs=0)
    assert np.asarray(plan, dtype=np.float32).dtype == np.float32
    assert np.asarray(plan.T) == pytest.approx(expected.T, abs=0)
    assert plan.T.toarray() == pytest.approx(expected.T, abs=0)
    assert plan.tosparse().format == "csr" and plan.tosparse().nnz == np.count_nonzero(expected)
    assert plan.tosparse().toarray() == pytest.approx(expected, abs=0)
    assert plan @ V == pytest.approx(expected @ V) and plan @ V[:, 0] == pytest.approx(
        expected @ V[:, 0]
    )
    assert plan.T @ U == pytest.approx(expected.T @ U)
    assert U.T @ plan == pytest.approx(U.T @ expected)
    assert V.T @ plan.T == pytest.approx(V.T @ expected.T)
    assert plan.T.T is plan
    for i in (0, 3, -1):
        assert plan.row(i) == pytest.approx(expected[i])
    rows, columns = plan.marginals
    assert rows == pytest.approx(expected.sum(axis=1))
    assert columns == pytest.approx(expected.sum(axis=0))
    assert "6 x 4" in repr(plan) and "transposed" in repr(plan.T)
    with pytest.raises(IndexError):
        plan.row(6)
    with pytest.raises(fejer.ProblemError):
        plan @ np.ones(6)
