"""bo-rep and soba: plain loops over the whole data, lengths of steps, unbounded smoothness."""

from types import SimpleNamespace

import numpy as np
import pytest

import fejer
from fejer.problems.bilevel._sampling import Part
from fejer.solvers.bilevel.soba import Soba

BIG = 10_000  # a batch larger than any data set here: no sampling


def plain_soba(problem, k, rho, gamma, decay):
    x, y = problem.initial_point(), problem.lower_start()
    z = np.zeros_like(y)
    for i in range(k):
        falls = (i + 1) ** -decay
        s = rho * falls / problem.constants(x).lipschitz
        upper = problem.upper_level(x, y)
        slope, Hz = problem.lower_gradient(x, y), problem.hessian(x, y)(z)
        g = -problem.cross(x, y, z).product + (0 if upper.grad_x is None else upper.grad_x)
        x, y, z = (
            np.clip(x - gamma * falls * g, *problem.box()),
            y - s * slope,
            z - s * (Hz - upper.grad_y),
        )
    return x, y


def plain_bo_rep(problem, k, steps):
    x, y = problem.initial_point(), problem.lower_start()
    z, m = np.zeros_like(y), np.zeros_like(x)
    for i in range(k):
        L = problem.constants(x).lipschitz
        if i % 2 == 0:
            path = []
            for _ in range(3):
                y = y - 0.5 / L * problem.lower_gradient(x, y)
                path.append(y)
            y = np.mean(path, axis=0)
        upper = problem.upper_level(x, y)
        z = z - 0.5 / L * (problem.hessian(x, y)(z) - upper.grad_y)
        g = -problem.cross(x, y, z).product + (0 if upper.grad_x is None else upper.grad_x)
        m = 0.9 * m + 0.1 * g
        eta = 0.05 * np.sqrt(x.size) * (1 - i / steps)
        x = np.clip(x - eta * m / np.linalg.norm(m), *problem.box())
    return x, y


INSTANCES = [
    fejer.Bilevel.random(),
    fejer.RidgeBilevel.random(),
    fejer.MultinomialBilevel.random(mode="class"),
    fejer.DataHyperCleaning.random(),
]
ALL = pytest.mark.parametrize("problem", INSTANCES, ids=lambda p: type(p).__name__)


@ALL
@pytest.mark.parametrize("estimator", ["plain", "saga"])
@pytest.mark.parametrize("decay", [0.0, 0.5])
def test_soba_without_sampling_is_a_plain_loop(problem, decay, estimator):
    options = {"estimator": estimator, "batch": BIG, "decay": decay, "gamma": 0.2}
    for step in fejer.steps(problem, method="soba", options=options, max_iter=25, tol=0.0):
        x, y = plain_soba(problem, step.nit, 0.5, 0.2, decay)
        np.testing.assert_allclose(step.x, x, rtol=1e-11, atol=1e-12)
        np.testing.assert_allclose(step.state.y, y, rtol=1e-11, atol=1e-12)


def rows(part, x, y, z):
    """What a table holds of some samples."""
    upper = part.upper_level(x, y)
    along = np.zeros_like(x) if upper.grad_x is None else upper.grad_x
    lower = [part.lower_gradient(x, y), part.hessian(x, y)(z), -part.cross(x, y, z)]
    return np.concatenate(lower), np.concatenate([upper.grad_y, along])


@pytest.mark.parametrize(
    "problem",
    [
        fejer.RidgeBilevel.random(17, 9, 4, "feature"),
        fejer.MultinomialBilevel.random(23, 18),
        fejer.DataHyperCleaning.random(13, 10),
    ],
    ids=lambda p: type(p).__name__,
)
def test_tables_hold_what_blocks_said_and_directions_have_no_bias(problem):
    """Blocks of unequal sizes: 17, 23, 13 samples by 4."""
    method = Soba(estimator="saga", batch=4, gamma=0.05)
    rng = np.random.default_rng(0)
    state = method.begin(problem, None, SimpleNamespace(x=problem.initial_point(), witness={}), rng)
    method.advance(problem, None, state, 40)
    x, y, z = state.x, state.y, state.z
    blocks = method._blocks(problem)
    assert min(blocks) > 1
    sizes = [
        np.array([len(range(k, n, b)) for k in range(b)]) / n
        for n, b in zip(problem.sample_sizes(), blocks, strict=True)
    ]
    means = np.concatenate([sizes[0] @ state.lower, sizes[1] @ state.upper])
    np.testing.assert_allclose(state.means, means, rtol=1e-12, atol=1e-14)
    truth = np.concatenate(rows(Part(problem), x, y, z))
    total = 0.0
    for i in range(blocks[0]):
        for j in range(blocks[1]):
            new = rows(method._sample(problem, i, j), x, y, z)
            found = [
                b * s[k] * (r - t[k])
                for b, s, k, r, t in zip(
                    blocks, sizes, (i, j), new, (state.lower, state.upper), strict=True
                )
            ]
            total = total + np.concatenate(found) + means
    np.testing.assert_allclose(total / blocks[0] / blocks[1], truth, rtol=1e-10, atol=1e-12)


def test_noise_vanishes_with_tables():
    problem = fejer.RidgeBilevel.random(60, 40, 8, "feature")
    values = {}
    for estimator in ("plain", "saga"):
        options = {"steps": 8000, "batch": 4, "gamma": 2.0, "estimator": estimator}
        run = fejer.minimize(problem, method="soba", options=options, tol=1e-6)
        values[estimator] = run.certificate.value
    assert values["saga"] < 0.3 * values["plain"]


def test_runs_with_tables_can_be_split():
    problem = fejer.RidgeBilevel.random(60, 40, 8, "feature")
    method = Soba(estimator="saga", batch=7, steps=100)
    ends = []
    for parts in ([60], [1, 20, 39]):
        rng = np.random.default_rng(3)
        start = SimpleNamespace(x=problem.initial_point(), witness={})
        state = method.begin(problem, None, start, rng)
        for n in parts:
            method.advance(problem, None, state, n)
        ends.append(state)
    for name in ("x", "y", "z", "lower", "upper", "means"):
        assert np.array_equal(getattr(ends[0], name), getattr(ends[1], name)), name
    assert ends[0].work == ends[1].work == 4 * 60 + 4 * 9


@ALL
def test_bo_rep_without_sampling_is_a_plain_loop(problem):
    options = {"batch": BIG, "warm": 0, "steps": 40}
    for step in fejer.steps(problem, method="bo-rep", options=options, max_iter=25, tol=0.0):
        x, y = plain_bo_rep(problem, step.nit, 40)
        np.testing.assert_allclose(step.x, x, rtol=1e-11, atol=1e-12)
        np.testing.assert_allclose(step.state.y, y, rtol=1e-11, atol=1e-12)


def test_no_step_is_longer_than_announced():
    problem = fejer.UnboundedSmoothBilevel()
    before = problem.initial_point()
    options = {"batch": 5, "steps": 300}
    for step in fejer.steps(problem, method="bo-rep", options=options, max_iter=300):
        length = 0.05 * np.sqrt(10) * (1 - (step.nit - 1) / 300)
        assert np.linalg.norm(step.x - before) <= length * (1 + 1e-9)
        before = step.x


def test_the_ball_holds_lower_solutions():
    problem = fejer.RidgeBilevel.random()
    options = {"radius": 1e-3, "warm": 0, "period": 1}
    before = problem.lower_start()
    for step in fejer.steps(problem, method="bo-rep", options=options, max_iter=20):
        assert np.linalg.norm(step.state.y - before) <= 1e-3 * (1 + 1e-9)
        before = step.state.y


def test_unbounded_smoothness():
    """From a gradient of 2.6e4: steps of fixed length arrive, those that follow it do not."""
    problem = fejer.UnboundedSmoothBilevel()
    options = {"batch": 5, "steps": 2000}
    found = fejer.minimize(problem, method="bo-rep", options=options)
    assert found.certificate.value < 0.02
    for gamma in (1e-5, 1e-4, 1e-3):
        options = {"batch": 5, "steps": 2000, "gamma": gamma}
        run = fejer.minimize(problem, method="soba", options=options)
        assert run.certificate.value > 1


@pytest.mark.parametrize("method", ["bo-rep", "soba"])
def test_end_and_counts(method):
    problem = fejer.RidgeBilevel.random(60, 40, 8, "feature")
    result = fejer.minimize(problem, method=method, options={"steps": 60}, tol=0.0)
    assert result.nit == 60 and result.status in (fejer.Status.STALLED, fejer.Status.CONVERGED)
    assert result.work == 60 * 4 + (method == "bo-rep") * (30 * 3 + 100)
    other = fejer.minimize(problem, method=method, options={"steps": 60}, tol=0.0, rng=1)
    assert not np.array_equal(other.x, result.x)


@pytest.mark.parametrize("method", ["bo-rep", "soba"])
def test_a_lower_level_with_kinks_is_refused(method):
    with pytest.raises(fejer.MethodError, match="kinks"):
        fejer.minimize(fejer.ElasticNetBilevel.random(), method=method)
