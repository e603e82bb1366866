"""The theorems of averaged, Halpern and Anderson iteration; Python, affine and compiled maps."""

import math

import numpy as np
import pytest

import fejer
from fejer.driver import Run
from fejer.errors import MethodError
from fejer.method import registry
from fejer.rates import check_bound

METHODS = {m.name: m for m in registry() if m.name in ("averaged", "halpern", "anderson")}
CLASSIC = {"anchor": "classic", "restart": None}


def iterates(problem, method, options, counts, x0=None):
    """The points after the given numbers of iterations; nothing is judged."""
    run = Run(problem, x0, method=method, options=options, tol=0.0)
    run.open()
    for k in counts:
        run.forward(k)
        assert run.state.nit == k
        yield run.method.point(problem, run.prep, run.state).copy()


def residuals(problem, method, options, counts, x0=None):
    points = iterates(problem, method, options, counts, x0)
    return np.array([np.linalg.norm(x - problem.apply(x)) for x in points])


def solution(problem):
    return np.linalg.solve(np.eye(problem.n) - problem.T.A.toarray(), problem.T.b)


def theorem(problem, method, options, counts, x0=None):
    """Measured quantity and bound of the declared rate."""
    rate = METHODS[method](**options).rate
    start = problem.initial_point() if x0 is None else x0
    xstar = solution(problem)
    points = iterates(problem, method, options, counts, x0)
    measured = [rate.measure(problem, x, xstar) for x in points]
    return measured, [rate.bound(problem, start, xstar, k) for k in counts]


# ---- Halpern ------------------------------------------------------------------------------------
def test_classic_bound_is_reached_on_the_reflection():
    counts = list(range(2, 101, 2))
    problem = METHODS["halpern"](**CLASSIC).rate.worst_case(100)
    measured, bound = theorem(problem, "halpern", CLASSIC, counts)
    assert measured == pytest.approx([2 / (k + 1) for k in counts], rel=1e-12)
    assert bound == pytest.approx(measured, rel=1e-12)


def test_classic_residual_vanishes_at_odd_iterations_of_the_reflection():
    problem = METHODS["halpern"](**CLASSIC).rate.worst_case(9)
    assert residuals(problem, "halpern", CLASSIC, [1, 3, 5, 9]) == pytest.approx(0, abs=1e-15)


def test_classic_iterates_follow_their_formula():
    problem = fejer.FixedPoint.random(5)
    x0 = np.arange(5.0)
    expected = x0.copy()
    for k, x in enumerate(iterates(problem, "halpern", CLASSIC, range(1, 30), x0)):
        expected = x0 / (k + 2) + (k + 1) / (k + 2) * problem.T(expected)
        assert x == pytest.approx(expected, abs=1e-12)


def test_adaptive_iterates_follow_their_formula():
    problem = fejer.FixedPoint.random(5)
    x0 = np.arange(5.0)
    expected = x0.copy()
    options = {"restart": None}
    for k, x in enumerate(iterates(problem, "halpern", options, range(1, 20), x0)):
        f = expected - problem.T(expected)
        phi = 2 * f @ (x0 - expected) / (f @ f) + 1
        assert phi >= (k + 1) * (1 - 1e-9)
        expected = x0 / (phi + 1) + phi / (phi + 1) * problem.T(expected)
        assert x == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("options", [CLASSIC, {"restart": None}], ids=["classic", "adaptive"])
@pytest.mark.parametrize("seed", range(6))
def test_bound_holds_on_random_and_rotating_maps(options, seed):
    counts = [0, 1, 2, 3, 5, 8, 13, 21, 50, 100, 200]
    x0 = np.random.default_rng(seed).standard_normal(6)
    rotation = METHODS["averaged"]().rate.worst_case(10**seed)
    for problem, start in ((fejer.FixedPoint.random(6, seed=seed), x0), (rotation, x0[:2])):
        measured, bound = theorem(problem, "halpern", options, counts, start)
        ratio, where, holds = check_bound(counts, np.array(measured) - 1e-14, bound)
        assert holds, (ratio, where)


def test_bound_of_an_averaged_map_is_smaller():
    counts = [1, 4, 16, 64]
    problem = fejer.FixedPoint.random(6, "averaged", 0.25)
    measured, bound = theorem(problem, "halpern", CLASSIC, counts)
    R = np.linalg.norm(solution(problem))
    assert bound == pytest.approx([0.5 * R / (k + 1) for k in counts])
    assert (np.array(measured) <= np.array(bound) * (1 + 1e-12)).all()


@pytest.mark.parametrize("gamma", [0.5, 0.9, 0.99])
def test_contraction_anchor(gamma):
    """The bound of Park and Ryu, and their formula for the iterates."""
    options = {"anchor": "contraction", "restart": None}
    problem = fejer.FixedPoint.random(6, "contraction", gamma)
    counts = [0, 1, 2, 4, 8, 16, 30]
    measured, bound = theorem(problem, "halpern", options, counts)
    assert check_bound(counts, np.array(measured) - 1e-13, bound)[2]
    x0 = x = problem.initial_point()
    weight = 1.0
    for point in iterates(problem, "halpern", options, range(1, 20)):
        weight = 1 + weight / gamma**2
        x = (1 - 1 / weight) * problem.T(x) + x0 / weight
        assert point == pytest.approx(x, abs=1e-12)
    rate = METHODS["halpern"](**options).rate
    fit = fejer.fit_rate(range(31), residuals(problem, "halpern", options, range(31)), floor=1e-14)
    assert rate.factor(problem) == gamma
    assert fit.compare(rate, problem=problem) != "slower"


def test_contraction_anchor_needs_a_contraction():
    with pytest.raises(MethodError, match="contraction"):
        fejer.minimize(
            fejer.FixedPoint.random(), method="halpern", options={"anchor": "contraction"}
        )


def test_limit_is_the_nearest_fixed_point():
    """T projects onto a plane: Halpern's limit is the projection of the start."""
    normal = np.array([1.0, 2.0, 2.0]) / 3.0
    problem = fejer.FixedPoint.affine(np.eye(3) - np.outer(normal, normal), normal)
    x0 = np.array([3.0, -1.0, 0.5])
    expected = x0 - (normal @ x0 - 1.0) * normal
    for options in (CLASSIC, {"restart": None}):
        result = fejer.minimize(
            problem, x0, method="halpern", options=options, tol=1e-5, max_iter=10**6
        )
        assert result.success
        assert result.x == pytest.approx(expected, abs=1e-4)


def test_restarts_give_a_linear_rate_on_a_slow_rotation():
    problem = METHODS["averaged"]().rate.worst_case(10**4)
    with_restarts = fejer.minimize(problem, method="halpern", options={"anchor": "classic"})
    assert with_restarts.success and with_restarts.restarts > 3
    without = fejer.minimize(problem, method="halpern", options=CLASSIC, max_iter=with_restarts.nit)
    assert not without.success


def test_best_residual_with_restarts_is_bounded():
    """8 R / (k + 1), on rotations of all speeds and both rules."""
    for anchor in ("classic", "adaptive"):
        for k in (3, 30, 300, 3000):
            problem = METHODS["averaged"]().rate.worst_case(k)
            values = residuals(problem, "halpern", {"anchor": anchor}, range(400))
            best = np.minimum.accumulate(values)
            assert (best <= 8 / np.arange(1, 401) + 1e-14).all()


# ---- averaged -----------------------------------------------------------------------------------
@pytest.mark.parametrize("k", [1, 2, 4, 10, 32, 100])
def test_averaged_bound_is_reached_on_its_rotation(k):
    problem = METHODS["averaged"]().rate.worst_case(k)
    measured, bound = theorem(problem, "averaged", {}, [k])
    assert measured == pytest.approx(bound, rel=1e-12)
    assert bound == pytest.approx([2 * (k + 1) ** -0.5 * (k / (k + 1)) ** (k / 2)], rel=1e-12)


@pytest.mark.parametrize("weight", [0.1, 0.5, 0.8])
@pytest.mark.parametrize("seed", range(4))
def test_averaged_bound_holds(weight, seed):
    counts = [0, 1, 2, 3, 5, 8, 13, 21, 50, 100, 200]
    options = {"weight": weight}
    worst = METHODS["averaged"](**options).rate.worst_case(5 * 4**seed)
    for problem in (fejer.FixedPoint.random(6, seed=seed), worst):
        measured, bound = theorem(problem, "averaged", options, counts)
        assert check_bound(counts, np.array(measured) - 1e-14, bound)[2]


def test_averaged_residual_is_monotone():
    values = residuals(fejer.FixedPoint.random(8), "averaged", {}, range(60))
    assert (np.diff(values) <= 1e-15).all()


# ---- observed rates ----------------------------------------------------------------------------
def block_rotation(angles):
    """Rotations of many speeds side by side: no finite record shows a linear rate."""
    A = np.zeros((2 * len(angles), 2 * len(angles)))
    for i, angle in enumerate(angles):
        c, s = math.cos(angle), math.sin(angle)
        A[2 * i : 2 * i + 2, 2 * i : 2 * i + 2] = [[c, -s], [s, c]]
    centre = np.zeros(len(A))
    centre[::2] = 1.0
    return fejer.FixedPoint.affine(A, centre - A @ centre)


@pytest.mark.parametrize(
    ("method", "options"),
    [("averaged", {}), ("halpern", CLASSIC), ("halpern", {"restart": None}), ("halpern", {})],
    ids=["averaged", "classic", "adaptive", "restarted"],
)
def test_observed_rate_is_that_of_the_theorem(method, options):
    problem = block_rotation(np.geomspace(1e-4, 3.0, 40))
    counts = np.unique(np.geomspace(1, 3000, 120).astype(int))
    errors = residuals(problem, method, options, counts)
    fit = fejer.fit_rate(counts, errors)
    assert fit.compare(METHODS[method](**options).rate) != "slower", fit


def test_halpern_beats_averaging_on_a_rotation():
    problem = METHODS["averaged"]().rate.worst_case(10**4)
    averaged, halpern = (
        residuals(problem, m, o, [10**4])[0] for m, o in (("averaged", {}), ("halpern", CLASSIC))
    )
    assert halpern < 0.05 * averaged


# ---- Anderson ----------------------------------------------------------------------------------
def test_anderson_ends_after_n_steps_on_an_affine_map():
    problem = fejer.FixedPoint.random(8)
    assert fejer.minimize(problem, method="anderson", tol=1e-9).nit <= 14


def test_anderson_against_plain_numpy():
    """Type II from its normal equations, without the ring of the memory."""
    problem = fejer.FixedPoint.random(12, "contraction", 0.99)
    xs, fs = [], []
    x = problem.initial_point()
    for point in iterates(problem, "anderson", {"memory": 4}, range(1, 12)):
        f = x - problem.T(x)
        xs.append(x)
        fs.append(f)
        dX, dF = (np.diff(np.array(v[-5:]), axis=0).T for v in (xs, fs))
        x = x - f
        if len(xs) > 1:
            x = x - (dX - dF) @ np.linalg.lstsq(dF, f, rcond=None)[0]
        assert point == pytest.approx(x, abs=1e-5)
        x = point


def bilinear(n, seed=0):
    """Reflected resolvent of a saddle point x'A y: averaging stalls, restarts converge."""
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((n, n)) / math.sqrt(n)
    M = np.block([[np.zeros((n, n)), A.T], [-A, np.zeros((n, n))]])
    J = np.linalg.inv(np.eye(2 * n) + M)
    return fejer.FixedPoint.affine(2 * J - np.eye(2 * n), -2 * J @ rng.standard_normal(2 * n))


@pytest.mark.parametrize("memory", [1, 3, 10])
def test_anderson_is_rescued(memory):
    problem = bilinear(50)
    result = fejer.minimize(problem, method="anderson", options={"memory": memory}, max_iter=12000)
    assert result.success and result.rescues >= 1
    assert not fejer.minimize(problem, method="averaged", max_iter=12000).success


def test_restarted_halpern_solves_the_reflected_resolvent():
    assert fejer.minimize(bilinear(50), method="halpern", tol=1e-8, max_iter=12000).success


def test_value_iteration_is_accelerated():
    """gamma = 0.995: plain iteration needs thousands of evaluations."""
    rng = np.random.default_rng(0)
    P = rng.random((2, 100, 100)) ** 8
    P /= P.sum(axis=2, keepdims=True)
    r = rng.random((2, 100))
    problem = fejer.FixedPoint(
        lambda v: (r + 0.995 * P @ v).max(axis=0), 100, operator="contraction", factor=0.995
    )
    result = fejer.minimize(problem, tol=1e-8)
    assert result.method == "anderson" and result.success and result.nfev < 40
    v = np.zeros(100)
    for _ in range(6000):
        v = (r + 0.995 * P @ v).max(axis=0)
    assert result.x == pytest.approx(v, abs=1e-5)


# ---- compiled maps -----------------------------------------------------------------------------
@pytest.fixture(scope="module")
def compiled():
    numba = pytest.importorskip("numba")

    @numba.njit("void(f8[::1], f8[::1])")
    def rotate(x, out):
        out[0] = 1.0 - 0.9 * x[1]
        out[1] = 0.9 * x[0]
        x[:] = 1e9  # rude: writes into its argument

    return rotate


@pytest.mark.parametrize(
    ("method", "options"),
    [("averaged", {}), ("halpern", {}), ("halpern", CLASSIC), ("anderson", {"memory": 1})],
)
def test_compiled_map_takes_the_same_steps(compiled, method, options):
    plain = fejer.FixedPoint(lambda x: np.array([1.0 - 0.9 * x[1], 0.9 * x[0]]), 2)
    fast = fejer.FixedPoint(compiled, 2)
    assert fast.compiled is not None and plain.compiled is None
    runs = [Run(p, method=method, options=options, tol=0.0) for p in (fast, plain)]
    for run in runs:
        run.open()
    for k in (1, 2, 7, 20):
        for run in runs:
            run.forward(k)
        a, b = (run.state for run in runs)
        assert a.x == pytest.approx(b.x, abs=1e-12)
        assert (a.nit, a.nfev, a.work) == (k, k, k) == (b.nit, b.nfev, b.work)


def test_one_machine_code_for_all_compiled_maps(compiled):
    import numba

    from fejer.solvers.monotone.averaged import iterate

    @numba.njit("void(f8[::1], f8[::1])")
    def other(x, out):
        for i in range(x.size):
            out[i] = 0.5 * x[i] + 1.0

    for function in (compiled, other):
        assert fejer.minimize(fejer.FixedPoint(function, 2), method="averaged").success
    assert len(iterate.signatures) == 1


def test_lazily_compiled_map_is_called_like_a_python_function():
    import numba

    @numba.njit
    def T(x):
        return 0.5 * x + 1.0

    problem = fejer.FixedPoint(T, 3)
    assert problem.compiled is None
    assert fejer.minimize(problem, method="halpern").x == pytest.approx(np.full(3, 2.0), abs=1e-5)
