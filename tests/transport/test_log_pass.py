"""Passes over costs in the logarithmic domain, in float64 and in float32."""

import numpy as np
import pytest

import fejer
from fejer.driver import Run
from fejer.solvers.transport import _log_pass as kernels
from fejer.solvers.transport import _potentials
from tests.transport import twin
from tests.transport.test_plan import COSTS
from tests.transport.test_sns import Lazy, nasty

TYPES = [np.float64, np.float32]


@pytest.mark.parametrize(
    ("power", "kind", "low", "high", "rel"),
    [
        (kernels.power, np.float64, -900, 999, 6e-16),
        (kernels.power32, np.float32, -100, 119, 3e-7),
    ],
)
def test_powers_of_two(power, kind, low, high, rel):
    xs = np.concatenate([np.random.default_rng(0).uniform(low, high, 3000), [low, high, 0, 0.5]])
    xs = xs.astype(kind)
    ours = np.array([power(x) for x in xs], dtype=np.float64)
    assert ours == pytest.approx(np.exp2(xs.astype(np.float64)), rel=rel, abs=0)
    assert power(kind(0)) == pytest.approx(1.0, rel=rel)
    assert power(kind(-np.inf)) == power(kind(2 * low)) == pytest.approx(2.0**low, rel=rel)


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize(("n", "m"), [(1, 1), (3, 5), (66, 7), (64, 300), (129, 256), (5, 257)])
@pytest.mark.parametrize("stored", [True, False])
def test_a_pass_is_an_iteration(kind, n, m, stored):
    rng = np.random.default_rng(n)
    x, y, a = rng.normal(size=(n, 3)), rng.normal(size=(m, 3)) + 0.5, rng.random(n) + 0.1
    cloud = (fejer.PointCloud if stored else Lazy)(x, y)
    problem = fejer.EntropicOT(a / a.sum(), None, cloud, eps=0.7)
    start = twin.sinkhorn(problem, 1)
    single = kind is np.float32
    state = SimpleState(problem, start, single)
    made, violation, growth, noise = _potentials._Passes(
        problem.polytope, problem.epsilon, single
    ).run(state, _potentials.LIMITS_32 if single else _potentials.LIMITS, 0.0, 1)
    expected = twin.sinkhorn(problem, 2)
    found = problem.polytope.packed(state.f, state.g)
    difference = found - expected
    digits = 2e-5 if single else 1e-13
    assert made == 1 and abs(difference - difference[:n].mean() * state.signs).max() < digits
    assert (noise == 0.0) != single
    # The violation is that of the columns before g is renewed.
    halfway = np.concatenate([expected[:n], start[n:]])
    columns = twin.gibbs(problem, halfway)[4].sum(axis=0)
    assert violation == pytest.approx(np.abs(columns - problem.b).sum(), rel=1e-9, abs=digits)
    grown = np.max(expected[n:] - start[n:]) / problem.epsilon * np.log2(np.e)
    assert growth == pytest.approx(grown, abs=100 * digits)


class SimpleState:
    """What a pass asks of a state."""

    def __init__(self, problem, x, single):
        self.f, self.g = problem.polytope.reduced(x)
        self.growth, self.single = 1.0, single
        self.signs = np.concatenate([np.ones(self.f.size), -np.ones(self.g.size)])


@pytest.mark.parametrize("cost", list(COSTS))
@pytest.mark.parametrize("dim", [1, 2, 3, 4])
def test_mixed_precision_ends_where_float64_does(cost, dim):
    rng = np.random.default_rng(dim)
    x, y = rng.normal(size=(40, dim)), 0.7 * rng.normal(size=(30, dim)) + 1
    for offset in (0.0, 50.0):
        problem = fejer.EntropicOT(None, None, Lazy(x, y + offset, cost), eps=0.5)
        ends = [
            fejer.minimize(problem, method="sinkhorn-log", tol=1e-11, options={"precision": p})
            for p in ("double", "mixed")
        ]
        assert all(end.success for end in ends) and abs(ends[0].nit - ends[1].nit) <= 1
        assert ends[1].x == pytest.approx(ends[0].x, abs=1e-9 * (1 + offset))
        assert ends[1].certificate.value == problem.judge(ends[1].x).value


def test_what_auto_means():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(20, 2)), rng.normal(size=(20, 2))
    for cloud, given, expected in (
        (Lazy(x, y), "auto", True), (Lazy(x, y), "double", False), (Lazy(x, y), "mixed", True),
        (fejer.PointCloud(x, y), "auto", False), (fejer.PointCloud(x, y), "mixed", True),
    ):  # fmt: skip
        run = Run(fejer.EntropicOT(None, None, cloud, eps=1.0), method="sinkhorn-log",
                  options={"precision": given})  # fmt: skip
        run.open()
        assert run.state.single is expected
    with pytest.raises(fejer.OptionError, match="precision"):
        fejer.minimize(fejer.EntropicOT.random(), method="sinkhorn-log",
                       options={"precision": "single"})  # fmt: skip


def test_uneven_weights_need_all_digits():
    a = np.array([1e-12, 0.5, 0.5 - 1e-12])
    problem = fejer.EntropicOT(a, None, np.random.default_rng(0).random((3, 4)), eps=0.1)
    run = Run(problem, method="sinkhorn-log", options={"precision": "mixed"})
    run.open()
    assert run.state.single is False


def structured():
    """Costs whose rounding errors do not average out: equal along rows or columns, and large."""
    rng = np.random.default_rng(3)
    for size in (1.0, 10.0, 100.0, 1000.0):
        u, v = size * rng.normal(size=(2, 40))
        small = 0.1 * rng.random((40, 40))
        yield u[:, None] + v + small
        yield u[:, None] + small
        yield v + small
        yield np.tile(v, (40, 1))


@pytest.mark.parametrize("cost", list(structured()))
def test_violations_in_float32_come_down_to_the_noise(cost):
    """Otherwise float32 would not be left: with 300 iterations there is room to spare."""
    problem = fejer.EntropicOT(None, None, cost, eps=0.05)
    run = Run(problem, method="sinkhorn-log", tol=0.0, options={"precision": "mixed"})
    run.open()
    run.method.advance(problem, run.prep, run.state, 300)
    assert not run.state.single or run.state.violation <= 2.0**-47
    double = fejer.minimize(problem, method="sinkhorn-log", tol=1e-9)
    mixed = fejer.minimize(problem, method="sinkhorn-log", tol=1e-9, options={"precision": "mixed"})
    assert double.success and mixed.success


@pytest.mark.parametrize("name", list(nasty()))
def test_nasty_instances_in_mixed_precision(name):
    problem = nasty()[name]
    ends = [
        fejer.minimize(problem, method="sinkhorn-log", tol=1e-7, max_iter=3000,
                       options={"precision": p})
        for p in ("double", "mixed")
    ]  # fmt: skip
    assert ends[0].status == ends[1].status
    assert np.isfinite(ends[1].x).all() and ends[1].certificate.value >= 0


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e6, 1e90])
def test_hostile_starts_in_mixed_precision(scale):
    problem = fejer.EntropicOT.random(10, 10)
    x0 = scale * np.random.default_rng(0).normal(size=20)
    result = fejer.minimize(
        problem, x0, method="sinkhorn-log", max_iter=2000, options={"precision": "mixed"}
    )
    assert result.success and twin.certificate(problem, result.x)[0] < 1.01e-6


@pytest.mark.parametrize("precision", ["double", "mixed"])
@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize("cuts", [(1,) * 90, (7, 13, 70), (89, 1)])
def test_split_runs_are_the_same_bytes(precision, lazy, cuts):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(23, 2)), rng.normal(size=(31, 2))
    cloud = (Lazy if lazy else fejer.PointCloud)(x, y)
    problem = fejer.EntropicOT(None, None, cloud, eps_rel=5e-3)

    def run_in(parts):
        run = Run(problem, method="sinkhorn-log", tol=1e-6, options={"precision": precision})
        run.open()
        for part in parts:
            goal = run.state.nit + part
            while run.state.nit < goal:
                run.method.advance(problem, run.prep, run.state, goal - run.state.nit)
        return run.state

    one, many = run_in((90,)), run_in(cuts)
    assert vars(one).keys() == vars(many).keys()
    for key, value in vars(one).items():
        other = getattr(many, key)
        same = value.tobytes() == other.tobytes() if hasattr(value, "tobytes") else value == other
        assert same, key


def test_sums_out_of_range_change_nothing():
    """A pass that cannot be used leaves the potentials, and the iteration is made safely."""
    problem = fejer.EntropicOT.random(12, 9, eps_rel=1e-2)
    start = twin.sinkhorn(problem, 3)
    start[:12] -= 1000 * problem.epsilon  # all sums are about exp(-1000)
    for single in (False, True):
        state = SimpleState(problem, start, single)
        state.violation, state.ask, state.nit, state.work = np.inf, 0.0, 0, 0
        f = state.f.copy()
        steps = _potentials.LogSteps(problem.polytope, problem.epsilon, single)
        assert steps._fast(state, 1) == 0 and (state.f == f).all() and state.single is False
        state.single = single
        steps.advance(state, 1)
        difference = problem.polytope.packed(state.f, state.g) - twin.sinkhorn(
            problem, 1, start[12:]
        )
        assert state.nit == 1 and np.ptp(difference[:12]) < 1e-11
