"""Variance-reduced extragradient and proximal Halpern iteration."""

import math

import numpy as np
import pytest

import fejer
from fejer.driver import Run
from fejer.numerics.random import uniform
from fejer.solvers.monotone._vr_kernels import draw
from tests.monotone.test_vr_halpern import box, compiled, least_squares

METHODS = ("vr-extragradient", "vr-halpern-proximal")
__all__ = ["compiled"]


def run_of(problem, method, seed=0, **options):
    run = Run(problem, method=method, options=options, tol=0.0, rng=seed)
    run.open()
    return run


def bilinear(m=40, d=6, seed=0):
    """min over x in a box, max over y in a box, of y'(Ax - 1): rows of A are components."""
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((m, d))

    def component(z, indices):
        a = A[indices]
        out = np.zeros(d + m)
        out[:d] = m * a.T @ z[d + indices] / indices.size
        np.add.at(out, d + indices, -m * (a @ z[:d] - 1.0) / indices.size)
        return out

    return fejer.MonotoneInclusion(
        lambda z: component(z, np.arange(m)),
        d + m,
        resolvent=lambda v, eta: np.clip(v, -1.0, 1.0),
        component=component,
        n_components=m,
        lipschitz=float(np.linalg.norm(A, 2)),
        lipschitz_average=math.sqrt(m) * float(np.linalg.norm(A, axis=1).max()),
    )


# ---- the formulas ------------------------------------------------------------------------
@pytest.mark.parametrize("resolvent", [None, box])
@pytest.mark.parametrize("seed", range(3))
def test_extragradient_follows_the_formula(resolvent, seed):
    problem = fejer.MonotoneInclusion.random(6, 30, seed=seed).replace(resolvent=resolvent)
    J = resolvent or (lambda v, eta: v)
    run = run_of(problem, "vr-extragradient", seed, step=0.02, batch=3)
    words, order, t, p = run.state.words.copy(), run.state.order.copy(), 0.02, 0.2
    z = w = problem.initial_point()
    Fw, counted, exact = problem.F(w), 30, 1
    for k in range(100):
        c = (1 - p) * z + p * w
        h = J(c - t * Fw, t)
        draw(words, order, 3)
        S = order[:3]
        z = J(c - t * (Fw + problem.component(h, S) - problem.component(w, S)), t)
        counted += 6
        if uniform(words) < p:
            w, Fw, counted, exact = z, problem.F(z), counted + 30, exact + 1
        run.forward(k + 1)
        assert run.state.x == pytest.approx(z, abs=1e-11)
        assert run.state.snapshot == pytest.approx(w, abs=1e-11)
        assert run.state.work == counted and run.state.refreshes == exact - 1


def test_the_step_follows_the_local_constant():
    """At snapshots: the root mean square of what the batches showed; at once where it is large."""
    problem = least_squares(400)
    run = run_of(problem, "vr-extragradient")
    first, ratios, local, grown, broken = run.state.step, [], 0.0, [], 0
    for k in range(400):
        state = run.state
        x, w, step, exact = state.x.copy(), state.snapshot.copy(), state.step, state.refreshes
        run.forward(k + 1)
        h = 0.9 * x + 0.1 * w - step * problem.F(w)
        S = state.order[:20]
        d = problem.component(h, S) - problem.component(w, S)
        ratios.append(np.linalg.norm(d) / np.linalg.norm(h - w))
        if step * ratios[-1] > 1.0 and step > first:
            local = max(ratios[-1], 0.5 * local)
            assert state.step == pytest.approx(max(first, 0.99 * math.sqrt(0.1) / local), rel=1e-5)
            assert (state.x == w).all() and state.refreshes == exact
            ratios, broken = [], broken + 1
        elif state.refreshes == exact:
            assert state.step == step
        elif len(ratios) >= 10:
            local = max(np.sqrt(np.mean(np.square(ratios))), 0.5 * local)
            wanted = max(first, min(0.99 * math.sqrt(0.1) / local, 2 * step))
            assert state.step == pytest.approx(wanted, rel=1e-5)
            assert state.local_constant == pytest.approx(local, rel=1e-5)
            ratios = []
            grown.append(state.step / first)
    assert len(grown) > 20 and max(grown) > 1.2 and min(grown) >= 1.0 and broken > 0


def test_the_step_finds_out_that_constants_were_too_careful():
    """Group DRO, where the worst sample of the smallest group decides the declared constants."""
    problem = fejer.GroupDROLogistic.random(2000, 10)
    work = {}
    for step in ("auto", "theory"):
        options = {"step": step}
        result = fejer.minimize(
            problem, method="vr-extragradient", options=options, tol=1e-3, max_work=300
        )
        work[step] = result.work
        if step == "auto":
            assert result.success and result.step > 3 * result.trace["step"][0]
    assert work["auto"] < 0.3 * work["theory"]


def test_a_flat_region_before_a_steep_one():
    """Nothing bounds the step where F is constant; what comes then must be mended."""

    def slope(x):
        return np.where(x > 0, 1.0, 1e3 * x + 1.0)

    weights = np.linspace(0.5, 1.5, 64)
    problem = fejer.MonotoneInclusion(
        slope, 2, kind="cocoercive", lipschitz=1e3, n_components=64, lipschitz_average=1.5e3,
        component=lambda x, i: np.mean(weights[i]) * slope(x), lipschitz_max=1.5e3, x0=[9.0, 1.0],
    )  # fmt: skip
    result = fejer.minimize(problem, method="vr-extragradient", tol=1e-6, max_iter=20_000)
    assert result.success and result.x == pytest.approx([-1e-3, -1e-3], abs=1e-8)


@pytest.mark.parametrize("resolvent", [None, box])
@pytest.mark.parametrize("inner", [None, 0.2])
def test_proximal_follows_the_formula(resolvent, inner):
    problem = fejer.MonotoneInclusion.random(4, 20, seed=1).replace(resolvent=resolvent)
    J = resolvent or (lambda v, eta: v)
    eta, tau, p, m = 0.5, 0.05, 0.2, 20
    run = run_of(
        problem, "vr-halpern-proximal", step=eta, inner_step=tau, probability=p, batch=2,
        inner=inner, restart=None,
    )  # fmt: skip
    words, order = run.state.words.copy(), run.state.order.copy()
    u0 = u = v = w = before = problem.initial_point()
    H, k, steps, counted, made, ends = eta * problem.F(u), 0, 0, m, 0, 0
    while made < 600:
        draw(words, order, 2)
        S = order[:2]
        difference = problem.component(v, S) - problem.component(before, S)
        argument = (1 - p) * v + p * w - tau * (H + eta * difference + v - before)
        v, before, steps, made, counted = (
            J(argument, tau * eta),
            w,
            steps + 1,
            made + 1,
            counted + 4,
        )
        limit = max(1, math.floor(inner * m * math.log(k + 2))) if inner else 10**9
        coin = uniform(words) < p
        if coin or steps >= limit:
            if coin or not inner:
                w, H, counted = v, eta * problem.F(v) + v - u, counted + m
            error = np.linalg.norm(H + (argument - v) / tau)
            moved = np.linalg.norm(v - u)
            if steps >= limit or (not inner and error <= 0.5 * moved / (k + 2) ** 2):
                u = u0 / (k + 2) + (1 - 1 / (k + 2)) * v
                k, steps, ends, x = k + 1, 0, ends + 1, v
                v = w = before = u
                H, counted = eta * problem.F(u), counted + m
                run.forward(made)
                assert run.state.x == pytest.approx(x, abs=1e-10)
                assert run.state.outer == pytest.approx(u, abs=1e-10)
                assert run.state.work == counted and run.state.outer_iterations == k
    assert ends >= 5


# ---- counts, drivers ---------------------------------------------------------------------
@pytest.mark.parametrize("method", METHODS)
def test_component_calls_are_counted(method):
    problem = fejer.MonotoneInclusion.random(5, 50)
    units = [0]

    def F(u):
        units[0] += 50
        return problem.F(u)

    def component(u, indices):
        units[0] += indices.size
        return problem.component(u, indices)

    counting = problem.replace(F=F, component=component)
    run = run_of(counting, method)
    units[0] = run.state.work
    run.forward(300)
    # The memo of F spares points that were visited just before.
    assert 0 <= run.state.work - units[0] <= 50 * (run.state.refreshes + 1) // 2
    assert (run.state.work - units[0]) % 50 == 0


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("optional", [(), ("component_difference", "resolvent")])
def test_compiled_and_python_functions_take_the_same_steps(compiled, method, optional):
    data, functions = compiled
    fast = data.replace(**{name: functions[name] for name in ("F", "component", *optional)})
    plain = data.replace(resolvent=box if optional else None)
    if optional:
        plain = plain.replace(
            component_difference=lambda u, v, i: data.component(u, i) - data.component(v, i)
        )
    runs = [run_of(problem, method) for problem in (fast, plain)]
    for k in (1, 2, 10, 50):
        for run in runs:
            run.forward(k)
        a, b = (run.state for run in runs)
        assert a.x == pytest.approx(b.x, abs=1e-12)
        assert (a.nit, a.work, a.nfev, a.refreshes) == (b.nit, b.work, b.nfev, b.refreshes)
        assert (a.words == b.words).all() and (a.order == b.order).all()


# ---- theorems ----------------------------------------------------------------------------
def test_inner_error_bounds_the_distance_to_the_resolvent():
    """1-strong monotonicity, against the exact resolvent of an affine operator."""
    rng = np.random.default_rng(0)
    for _ in range(200):
        S, K = rng.standard_normal((2, 5, 5))
        M, b, u, v = S @ S.T + K - K.T, *rng.standard_normal((3, 5))
        eta = rng.exponential()
        exact = np.linalg.solve(np.eye(5) + eta * M, u - eta * b)
        error = v - u + eta * (M @ v + b)
        assert np.linalg.norm(v - exact) <= np.linalg.norm(error) * (1 + 1e-12)


def test_proximal_bound_in_the_mean():
    """E ||u_k - J(u_k)|| <= 7 R / k."""
    m, d = 20, 4
    problem = fejer.MonotoneInclusion.random(d, m)
    X, y = problem.F.X, problem.F.y
    zero = np.linalg.lstsq(X, y, rcond=None)[0]
    eta = math.sqrt(m) / problem.lipschitz_average
    shift = np.linalg.inv(np.eye(d) + eta * X.T @ X / m)
    sums, counts = np.zeros(8), np.zeros(8)
    for seed in range(4):
        run = run_of(problem, "vr-halpern-proximal", seed, restart=None)
        for _ in range(4000):
            run.forward(run.state.nit + 5)
            k = run.state.outer_iterations
            if k >= 8:
                break
            u = run.state.outer - zero
            sums[k] += np.linalg.norm(u - shift @ u)
            counts[k] += 1
    means = sums[1:] / np.maximum(counts[1:], 1)
    assert (counts[1:] > 0).all()
    assert (means <= 7 * np.linalg.norm(zero) / np.arange(1, 8)).all()


@pytest.mark.parametrize("method", METHODS)
def test_a_bilinear_game_is_solved(method):
    problem = bilinear()
    # The proximal method is the slower one by far, here as on the other problems of these tests.
    tol = 1e-4 if method == "vr-extragradient" else 0.05
    result = fejer.minimize(problem, method=method, tol=tol, max_iter=50_000)
    assert result.success
    assert problem.judge(problem.initial_point()).value > 0.2


def test_fewer_component_calls_than_without_variance_reduction():
    problem = least_squares(3600)
    fast = fejer.minimize(problem, method="vr-extragradient", tol=1e-2, rng=1)
    slow = fejer.minimize(problem, method="extragradient", tol=1e-2)
    assert fast.success and slow.success
    assert fast.work < 0.5 * slow.work


@pytest.mark.parametrize("method", METHODS)
def test_options_and_estimates(method):
    declared = fejer.MonotoneInclusion.random(6, 49)
    unknown = declared.replace(lipschitz=None, lipschitz_max=None, lipschitz_average=None)
    run = run_of(unknown, method)
    assert run.state.work > 49 and run.state.nfev > 1
    assert fejer.minimize(unknown, method=method).success
    small = run_of(declared, method, batch=1000, probability=0.25)
    assert small.prep.batch == 49
    theory = run_of(declared, "vr-extragradient", step="theory")
    expected = 0.99 * math.sqrt(2 * 7 / 49) / declared.lipschitz_average
    assert theory.prep.step == pytest.approx(expected)


@pytest.mark.parametrize("step", [1.0, 1e3])
def test_a_step_far_too_long_is_mended(step):
    problem = fejer.MonotoneInclusion.random()
    result = fejer.minimize(problem, method="vr-extragradient", options={"step": step})
    assert result.success and result.halvings > 0


@pytest.mark.parametrize("method", [*METHODS, "vr-halpern"])
def test_what_is_refused(method):
    plain = fejer.MonotoneInclusion(lambda z: z, 2, lipschitz=1.0)
    with pytest.raises(fejer.MethodError, match="component and n_components"):
        fejer.minimize(plain, method=method)
    weak = fejer.MonotoneInclusion.random().replace(kind="comonotone", comonotonicity=-0.1)
    with pytest.raises(fejer.MethodError, match="monotone or cocoercive"):
        fejer.minimize(weak, method=method)


@pytest.mark.parametrize("method", METHODS)
def test_an_operator_that_is_not_monotone_is_told(method):
    problem = fejer.MonotoneInclusion(
        lambda x: -x, 2, component=lambda x, i: -x, n_components=4, lipschitz_max=1.0,
        x0=[1.0, 2.0],
    )  # fmt: skip
    run = Run(problem, method=method, max_iter=300, tol=1e-9)
    result = run.solve()
    assert not result.success
    pair = run.method.witness(problem, run.prep, run.state)
    assert problem.judge(result.x, pair).details["monotonicity"] == pytest.approx(-1.0)


@pytest.mark.parametrize("method", METHODS)
def test_exact_zero_ends_the_run(method):
    flat = fejer.MonotoneInclusion.random().replace(F=lambda x: 0 * x, component=lambda x, i: 0 * x)
    result = fejer.minimize(flat, method=method, tol=0.0)
    assert result.success and result.certificate.value == 0.0
