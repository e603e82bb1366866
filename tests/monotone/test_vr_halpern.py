"""Variance-reduced Halpern iteration: formula, counts, compiled functions, theorem."""

import math

import numpy as np
import pytest

import fejer
from fejer.driver import Run
from fejer.numerics.random import seed_state, uniform
from fejer.solvers.monotone._vr_kernels import draw, refreshes
from fejer.solvers.monotone.vr_halpern import VRHalpern


def box(v, eta):
    return np.clip(v, -0.5, 0.5)


def least_squares(m, d=30, seed=0):
    """Unit rows of N(0, I) diag(1/j): the constant in the mean is 1, that of F far below."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((m, d)) / np.arange(1, d + 1)
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    y = X @ rng.standard_normal(d) + 0.1 * rng.standard_normal(m)
    return fejer.MonotoneInclusion(
        lambda u: X.T @ (X @ u - y) / m,
        d,
        kind="cocoercive",
        component=lambda u, i: X[i].T @ (X[i] @ u - y[i]) / i.size,
        component_difference=lambda u, v, i: X[i].T @ (X[i] @ (u - v)) / i.size,
        n_components=m,
        lipschitz=float(np.linalg.norm(X, 2) ** 2 / m),
        lipschitz_average=1.0,
        lipschitz_max=1.0,
    )


def run_of(problem, seed=0, **options):
    run = Run(problem, method="vr-halpern", options=options, tol=0.0, rng=seed)
    run.open()
    return run


# ---- the formula -------------------------------------------------------------------------
@pytest.mark.parametrize("resolvent", [None, box])
@pytest.mark.parametrize("seed", range(3))
def test_iterates_follow_the_formula(resolvent, seed):
    """A plain loop with the same random numbers, without restarts and safeguards."""
    problem = fejer.MonotoneInclusion.random(6, 30, seed=seed).replace(resolvent=resolvent)
    J = resolvent or (lambda v, eta: v)
    eta, m, b = 0.05, 30, 6
    run = run_of(problem, seed, step=eta, restart=None)
    words, order = run.state.words.copy(), run.state.order.copy()
    u = u0 = problem.initial_point()
    before, estimate, counted = u, np.zeros(6), 0
    for k in range(120):
        p = 1 if k <= 1 else 4 / (k + 4) if k - 1 <= math.sqrt(m) else 4 / (math.sqrt(m) + 5)
        if p == 1 or uniform(words) < p:
            estimate = problem.F(u)
            counted += m
        else:
            draw(words, order, b)
            chosen = order[:b]
            estimate = estimate + problem.component(u, chosen) - problem.component(before, chosen)
            counted += 2 * b
        lam = 2 / (k + 4)
        before, u = u, J(lam * u0 + (1 - lam) * u - eta * estimate, eta)
        run.forward(k + 1)
        assert run.state.x == pytest.approx(u, abs=1e-12)
        assert run.state.work == counted


def test_full_batches_are_exact():
    """With b = m the estimate is F(u) all the time."""
    problem = fejer.MonotoneInclusion.random(5, 12)
    run = run_of(problem, batch=12, step=0.05, restart=None)
    for k in range(1, 60):
        run.forward(k)
        assert run.state.estimate == pytest.approx(problem.F(run.state.before), abs=1e-12)


def test_estimate_is_unbiased():
    """The mean over all components of the differences is the difference of F."""
    problem = fejer.MonotoneInclusion.random(5, 12)
    u, v = np.random.default_rng(0).standard_normal((2, 5))
    each = [problem.mean_difference(u, v, np.array([i])) for i in range(12)]
    assert np.mean(each, axis=0) == pytest.approx(problem.F(u) - problem.F(v), abs=1e-13)


def test_batches_are_uniform_without_replacement():
    words, order = seed_state(np.random.default_rng(0)), np.arange(10)
    counts = np.zeros(10)
    for _ in range(6000):
        draw(words, order, 3)
        assert len(set(order[:3].tolist())) == 3
        counts[order[:3]] += 1
    assert sorted(order.tolist()) == list(range(10))
    assert counts == pytest.approx(1800, rel=0.08)


@pytest.mark.parametrize("k", [2, 7, 12, 13, 200])
def test_chance_of_an_exact_evaluation(k):
    words, m = seed_state(np.random.default_rng(1)), 121
    expected = 4 / (k + 4) if k - 1 <= 11 else 4 / 16
    share = np.mean([refreshes(words, k, m) for _ in range(8000)])
    assert share == pytest.approx(expected, abs=0.02)
    assert refreshes(words, 0, m) and refreshes(words, 1, m)


# ---- counts ------------------------------------------------------------------------------
@pytest.mark.parametrize("difference", [False, True])
def test_component_calls_are_counted(difference):
    problem = fejer.MonotoneInclusion.random(5, 50)
    calls = {"F": 0, "component": 0, "difference": 0, "units": 0}

    def F(u):
        calls["F"] += 1
        calls["units"] += 50
        return problem.F(u)

    def component(u, indices):
        calls["component"] += 1
        calls["units"] += indices.size
        return problem.component(u, indices)

    def component_difference(u, v, indices):
        calls["difference"] += 1
        calls["units"] += 2 * indices.size
        return problem.component(u, indices) - problem.component(v, indices)

    counting = problem.replace(
        F=F,
        component=component,
        component_difference=component_difference if difference else None,
    )
    run = run_of(counting, restart=None)
    calls.update(dict.fromkeys(calls, 0))
    run.forward(200)
    state = run.state
    # The exact value at the start comes from the memo of the check that came first.
    assert calls["units"] in (state.work, state.work - 50)
    assert calls["F"] in (state.refreshes, state.refreshes - 1)
    total = calls["F"] + calls["component"] + calls["difference"]
    assert state.nfev - total in (0, 1)
    assert run.work == state.work / 50


# ---- compiled functions ------------------------------------------------------------------
@pytest.fixture(scope="module")
def compiled():
    numba = pytest.importorskip("numba")
    data = fejer.MonotoneInclusion.random(6, 40)
    X, y = data.F.X, data.F.y

    @numba.njit("void(f8[::1], f8[::1])")
    def F(u, out):
        out[:] = 0.0
        for i in range(X.shape[0]):
            t = -y[i]
            for j in range(X.shape[1]):
                t += X[i, j] * u[j]
            for j in range(X.shape[1]):
                out[j] += t * X[i, j] / X.shape[0]
        u[:] = 1e9  # rude

    @numba.njit("void(f8[::1], i8[::1], f8[::1])")
    def component(u, indices, out):
        for i in indices:
            t = -y[i]
            for j in range(X.shape[1]):
                t += X[i, j] * u[j]
            for j in range(X.shape[1]):
                out[j] += t * X[i, j] / indices.size
        u[:] = 1e9

    @numba.njit("void(f8[::1], f8[::1], i8[::1], f8[::1])")
    def component_difference(u, v, indices, out):
        for i in indices:
            t = 0.0
            for j in range(X.shape[1]):
                t += X[i, j] * (u[j] - v[j])
            for j in range(X.shape[1]):
                out[j] += t * X[i, j] / indices.size
        u[:] = v[:] = 1e9

    @numba.njit("void(f8[::1], f8, f8[::1])")
    def resolvent(v, eta, out):
        for j in range(v.size):
            out[j] = min(max(v[j], -0.5), 0.5)

    return data, {
        "F": F,
        "component": component,
        "component_difference": component_difference,
        "resolvent": resolvent,
    }


@pytest.mark.parametrize("optional", [(), ("component_difference", "resolvent")])
@pytest.mark.parametrize("restart", [None, 0.5])
def test_compiled_and_python_functions_take_the_same_steps(compiled, optional, restart):
    data, functions = compiled
    names = ("F", "component", *optional)
    fast = data.replace(**{name: functions[name] for name in names})
    plain = data.replace(resolvent=box if optional else None)
    if optional:
        plain = plain.replace(
            component_difference=lambda u, v, i: data.component(u, i) - data.component(v, i)
        )
    runs = [run_of(problem, restart=restart) for problem in (fast, plain)]
    for k in (1, 2, 10, 50):
        for run in runs:
            run.forward(k)
        a, b = (run.state for run in runs)
        assert a.x == pytest.approx(b.x, abs=1e-12)
        assert (a.nit, a.work, a.nfev, a.inner) == (b.nit, b.work, b.nfev, b.inner)
        assert (a.words == b.words).all() and (a.order == b.order).all()
    assert fast.judge(a.x).value == pytest.approx(plain.judge(a.x).value, rel=1e-9)


def test_partly_compiled_functions_work(compiled):
    data, functions = compiled
    mixed = data.replace(component=functions["component"], resolvent=box)
    plain = data.replace(resolvent=box)
    a, b = (fejer.minimize(p, method="vr-halpern", max_iter=50, tol=0.0) for p in (mixed, plain))
    assert a.x == pytest.approx(b.x, abs=1e-12)


# ---- the theorem -------------------------------------------------------------------------
@pytest.mark.parametrize("resolvent", [None, box])
def test_bound_in_the_mean(resolvent):
    """16 L R / (k + 4) with step 1/(4 L), over seeds."""
    problem = fejer.MonotoneInclusion.random(6, 40).replace(resolvent=resolvent)
    L = problem.lipschitz_average
    accurate = fejer.minimize(problem, method="anderson", tol=1e-12)
    R = np.linalg.norm(accurate.x)
    J = resolvent or (lambda v, eta: v)
    counts = [1, 2, 5, 10, 30, 100, 300]
    values = np.zeros(len(counts))
    for seed in range(10):
        run = run_of(problem, seed, step="theory", restart=None)
        for i, k in enumerate(counts):
            run.forward(k)
            x = run.state.x
            eta = 1 / (4 * L)
            values[i] += np.linalg.norm(x - J(x - eta * problem.F(x), eta)) / eta / 10
    assert (values <= 16 * L * R / (np.array(counts) + 4)).all()


def test_observed_rate():
    """Without restarts, once the iterations outnumber the inverse of the smallest eigenvalue."""
    problem = least_squares(400, d=8)
    run = run_of(problem, step="theory", restart=None)
    counts = np.unique(np.geomspace(1, 4000, 100).astype(int))
    errors = []
    for k in counts:
        run.forward(k)
        errors.append(np.linalg.norm(problem.F(run.state.x)))
    assert fejer.fit_rate(counts, errors).compare(VRHalpern().rate) != "slower"


def test_component_calls_grow_like_the_square_root():
    """Relative residual 1e-2: m^0.5 for variance reduction, m for Halpern's method."""
    sizes = np.array([100, 400, 1600])
    calls = {}
    for method, options in (("vr-halpern", {"restart": None}), ("halpern", {"restart": None})):
        calls[method] = []
        for m in sizes:
            problem = least_squares(int(m))
            result = fejer.minimize(problem, method=method, options=options, tol=1e-2, rng=1)
            assert result.success
            calls[method].append(result.work * m)
    slope = {k: np.polyfit(np.log(sizes), np.log(v), 1)[0] for k, v in calls.items()}
    assert slope["vr-halpern"] < 0.75 < 0.85 < slope["halpern"], (slope, calls)


# ---- options and safeguards --------------------------------------------------------------
def test_step_rules():
    problem = fejer.MonotoneInclusion.random(6, 49)
    m, b, L, single = 49, 7, problem.lipschitz, problem.lipschitz_average
    mixed = (m * (b - 1) * L + (m - b) * single) / (b * (m - 1))
    assert run_of(problem).state.step == pytest.approx(1 / mixed)
    assert run_of(problem, step="theory").state.step == pytest.approx(1 / (4 * single))
    assert run_of(problem, step=0.125).state.step == 0.125
    assert run_of(problem, batch=49).state.step == pytest.approx(1 / L)


def test_the_step_follows_the_local_constant():
    """At restarts alone: the differences over batches since the anchor, added up here."""
    problem = least_squares(400)
    run = run_of(problem)
    first = run.state.step
    square = product = 0.0
    changes = []
    for k in range(1500):
        state = run.state
        x, before, step = state.x.copy(), state.before.copy(), state.step
        exact, restarts = state.refreshes, state.restarts
        run.forward(k + 1)
        if state.refreshes == exact:
            S = state.order[:20]
            d = problem.component(x, S) - problem.component(before, S)
            square, product = square + d @ d, product + d @ (x - before)
            assert state.step == step
        elif state.restarts > restarts:
            if square > 0:
                local = square / product
                assert state.local_constant == pytest.approx(local, rel=1e-5)
                wanted = max(first, min(1 / local, 2 * step))
                assert state.step == pytest.approx(wanted, rel=1e-5)
                changes.append(state.step / first)
            square = product = 0.0
        elif state.refreshes > exact + 1:  # no restart for too long: half the step, from the best
            assert state.step == max(first, 0.5 * step) and state.inner == 1
            square = product = 0.0
    assert len(changes) >= 5 and max(changes) > 1.0


def test_constants_are_estimated_where_none_is_declared():
    declared = fejer.MonotoneInclusion.random(6, 60)
    problem = declared.replace(lipschitz=None, lipschitz_max=None, lipschitz_average=None)
    run = run_of(problem)
    assert run.state.work > 0 and run.state.nfev > 0
    assert 0.2 < run.state.step * declared.lipschitz_max < 3
    assert fejer.minimize(problem, method="vr-halpern").success


@pytest.mark.parametrize("step", [3.0, 1e3, 1e9])
def test_a_step_far_too_long_is_mended(step):
    problem = fejer.MonotoneInclusion.random()
    result = fejer.minimize(problem, method="vr-halpern", options={"step": step})
    assert result.success and result.halvings > 0


def test_an_operator_that_is_not_monotone_is_told():
    problem = fejer.MonotoneInclusion(
        lambda x: -x, 2, component=lambda x, i: -x, n_components=4, lipschitz_max=1.0, x0=[1.0, 2.0]
    )
    result = fejer.minimize(problem, method="vr-halpern", max_iter=200, tol=1e-9)
    assert not result.success
    certificate = problem.judge(result.x, {"pair": np.array([[1.0, 2.0], [0.0, 1.0]])})
    assert certificate.details["monotonicity"] == pytest.approx(-1.0)


def test_a_bilinear_game_is_treated():
    """Monotone but not cocoercive: the authors' own experiments."""
    rng = np.random.default_rng(0)
    A = rng.standard_normal((30, 5))

    def component(z, indices):
        a, i = A[indices], indices
        out = np.zeros(35)
        out[:5] = 30 * a.T @ z[5 + i] / i.size
        np.add.at(out, 5 + i, -30 * (a @ z[:5] - 1.0) / i.size)
        return out

    def project(v, eta):
        return np.concatenate([np.clip(v[:5], -1, 1), np.clip(v[5:], -1, 1)])

    every = np.arange(30)
    problem = fejer.MonotoneInclusion(
        lambda z: component(z, every), 35, resolvent=project, component=component,
        n_components=30, lipschitz=float(np.linalg.norm(A, 2)),
        lipschitz_average=float(np.linalg.norm(A)) * math.sqrt(30),
    )  # fmt: skip
    before = problem.judge(problem.initial_point()).value
    result = fejer.minimize(problem, method="vr-halpern", max_iter=5000, tol=0.2 * before)
    assert result.success


def test_same_seed_same_bytes_and_other_seeds_differ():
    problem = fejer.MonotoneInclusion.random()
    a, b, c = (
        fejer.minimize(problem, method="vr-halpern", max_iter=30, tol=0.0, rng=rng).x
        for rng in (3, 3, 4)
    )
    assert a.tobytes() == b.tobytes() != c.tobytes()


def test_exact_zero_ends_the_run():
    problem = fejer.MonotoneInclusion.random()
    flat = problem.replace(F=lambda x: 0 * x, component=lambda x, i: 0 * x)
    result = fejer.minimize(flat, method="vr-halpern", tol=0.0)
    assert result.success and result.certificate.value == 0.0
