"""DualNormComposite and Lion-K: gaps, every K against cvxpy, the phases, attacks, bad data."""

import math

import cvxpy
import numpy as np
import pytest
from scipy.optimize import lsq_linear

import fejer
from fejer.driver import Run
from fejer.errors import OracleError, ProblemError
from fejer.problems.monotone._dual_norms import KINDS, DualNorm
from fejer.testing import hostile_witnesses, moved

GROUPS, SHAPE = np.array([0, 0, 1, 1, 2, 2]), (2, 3)


def norm_of(kind):
    return DualNorm(kind, 0.3, GROUPS, SHAPE)


def by_cvxpy(p):
    """The optimum of the least-squares instances, from the table of conjugates."""
    x, X, y, lam = cvxpy.Variable(p.n), p.f.X, p.f.y, p.lam
    cost, rows = cvxpy.sum_squares(X @ x - y) / (2 * y.size), []
    if p.K in ("l1", "soft", "huber"):
        rows = [cvxpy.norm_inf(x) <= 1 / lam]
    if p.K == "l2":
        rows = [cvxpy.norm(x) <= 1 / lam]
    if p.K == "half-square":
        cost += lam / 2 * cvxpy.sum_squares(x)
    if p.K == "soft":
        cost += p.width * cvxpy.norm1(x)
    if p.K == "huber":
        cost += p.width * lam / 2 * cvxpy.sum_squares(x)
    if p.K == "group-l2":
        rows = [cvxpy.norm(x[p.groups == k]) <= 1 / lam for k in range(p.groups.max() + 1)]
    if p.K == "nuclear":
        rows = [cvxpy.sigma_max(cvxpy.reshape(x, p.shape, order="C")) <= 1 / lam]
    cvxpy.Problem(cvxpy.Minimize(cost), rows).solve(solver="CLARABEL")
    return float(cost.value)


# ---- the table ---------------------------------------------------------------------------
@pytest.mark.parametrize("kind", KINDS)
def test_conjugates_slopes_and_projections(kind):
    """Fenchel-Young, with equality at the slope; the slope is a subgradient."""
    K, rng = norm_of(kind), np.random.default_rng(0)
    assert (K.slope(np.zeros(6)) == 0).all()
    for _ in range(100):
        m, other = rng.standard_normal((2, 6)) * rng.exponential()
        z = K.slope(m)
        assert K.gauge(z) <= 1 + 1e-12
        assert K.value(m) + K.conjugate(z) == pytest.approx(m @ z, abs=1e-10)
        assert K.value(other) >= K.value(m) + z @ (other - m) - 1e-10
        inside = K.project(other)
        assert K.gauge(inside) <= 1 + 1e-12
        assert K.value(m) + K.conjugate(inside) >= m @ inside - 1e-10
        # the projection: <other - inside, z - inside> <= 0
        assert (other - inside) @ (z - inside) <= 1e-10


@pytest.mark.parametrize("kind", KINDS)
def test_proxes_minimise(kind):
    K, rng, lam, eta = norm_of(kind), np.random.default_rng(1), 0.7, 0.4

    def cost(x, v):
        return eta * K.conjugate(lam * x) / lam + np.sum((x - v) ** 2) / 2

    for _ in range(30):
        v = 3 * rng.standard_normal(6)
        x = K.prox(v, eta, lam)
        for _ in range(20):
            other = K.project(lam * (x + 0.1 * rng.standard_normal(6))) / lam
            assert cost(x, v) <= cost(other, v) + 1e-10


# ---- the certificate ---------------------------------------------------------------------
@pytest.mark.parametrize("kind", KINDS)
def test_the_gap_is_rigorous_and_solutions_agree(kind):
    problem = fejer.DualNormComposite.random(6, kind)
    best = by_cvxpy(problem)
    result = fejer.minimize(problem, tol=1e-8)
    assert result.success and result.fun == pytest.approx(best, abs=1e-6)
    rng = np.random.default_rng(0)
    for i in range(25):
        x = problem.norm.project(result.x + 10.0 ** (-i % 5) * rng.standard_normal(6))
        c = problem.judge(x)
        assert c.rigorous and c.value * c.scale >= c.fun - best - 1e-6
        g = problem.grad(x)
        K = problem.norm
        gap = K.value(-g) + K.conjugate(x) + g @ x
        assert c.details["gap"] == pytest.approx(gap, abs=1e-10)
        assert c.lower_bound <= best + 1e-6
    for x, witness in moved(problem, result, 8):
        assert not problem.judge(x, witness).holds(1e-6)


def test_a_column_of_small_entries_is_not_left_out():
    """Least squares with one column of size 1e-5, whose coefficient may be large."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((30, 5))
    X[:, 4] *= 1e-5
    truth = np.array([1e-5, -1e-5, 1e-5, 0, 1.0])
    y = X @ truth
    problem = fejer.DualNormComposite(
        lambda x: 0.5 * np.sum((X @ x - y) ** 2), lambda x: X.T @ (X @ x - y), 5, 1e-3
    )
    left = np.r_[np.linalg.lstsq(X[:, :4], y, rcond=None)[0], 0.0]
    suboptimal = (problem.f(left) - 0.0) / problem.scale
    assert problem.judge(left).value >= suboptimal
    assert problem.judge(left).value > 1e-2


def test_outside_the_domain():
    problem = fejer.DualNormComposite.random()
    x = fejer.minimize(problem, tol=1e-8).x
    assert np.abs(x).max() == pytest.approx(1.0)
    assert problem.judge(x * (1 + 1e-11)).value < 1e-6
    assert problem.judge(x * (1 + 1e-6)).value == math.inf
    assert "outside" in problem.judge(10 * x).reason
    honest = problem.judge(x).value
    for witness in hostile_witnesses({"pair": np.zeros((2, 6))}):
        assert problem.judge(x, witness).value == honest


def test_nonconvex_functions_are_not_called_rigorous():
    problem = fejer.DualNormComposite(
        lambda x: float(np.sum(np.cos(3 * x))), lambda x: -3 * np.sin(3 * x), 2, 1.0,
        convex=False, x0=[0.4, -0.2],
    )  # fmt: skip
    result = fejer.minimize(problem, method="lion-k", tol=1e-2)
    assert result.success and not result.certificate.rigorous
    assert result.certificate.lower_bound is None


# ---- the method --------------------------------------------------------------------------
@pytest.mark.parametrize("implicit", [True, False])
def test_iterates_follow_the_formula(implicit):
    problem = fejer.DualNormComposite.random()
    options = {"implicit": implicit, "step": 0.05}
    run = Run(problem, method="lion-k", options=options, tol=0.0)
    run.open()
    x, m = np.zeros(6), np.zeros(6)
    for k in range(60):
        e, g = 0.05 / (1 + k / 10), problem.grad(x)
        move = np.sign(0.9 * m - 0.1 * g)
        x = (x + e * move) / (1 + e) if implicit else (1 - e) * x + e * move
        m = 0.99 * m - 0.01 * g
        run.forward(k + 1)
        assert run.state.x == pytest.approx(x, abs=1e-12)


@pytest.mark.parametrize("kind", [k for k in KINDS if k != "half-square"])
def test_first_phase(kind):
    """The distance to the domain falls by 1 / (1 + e lam), from far outside."""
    problem = fejer.DualNormComposite.random(6, kind)
    far = problem.replace(x0=20 * np.random.default_rng(0).standard_normal(6))
    run = Run(far, method="lion-k", options={"step": 0.05, "decay": None}, tol=0.0)
    run.open()
    before = math.inf
    for k in range(1, 100):
        run.forward(k)
        x = run.state.x
        distance = float(np.linalg.norm(x - far.norm.project(x)))
        assert distance <= before / 1.05 + 1e-12
        before = distance


def test_lyapunov_function_of_the_flow():
    """H never increases along the differential equation (Euler steps, smooth K)."""
    problem = fejer.DualNormComposite.random(6, "half-square")
    K, lam, a, c, e = problem.norm, 1.0, 1.0, 0.5, 0.4
    rng = np.random.default_rng(0)
    x, m, h = *rng.standard_normal((2, 6)), 1e-4

    def lyapunov(x, m):
        rest = K.conjugate(lam * x) + K.value(m) - lam * m @ x
        value = a * problem.f(x) + c / lam * K.conjugate(lam * x)
        return value + (1 - e * c) / (1 + e * lam) * rest

    before = lyapunov(x, m)
    for _ in range(400):
        for _ in range(50):
            g = problem.grad(x)
            x, m = x + h * (K.slope(m - e * (a * g + c * m)) - lam * x), m - h * (a * g + c * m)
        after = lyapunov(x, m)
        assert after <= before + 1e-9
        before = after


@pytest.mark.parametrize("kind", KINDS)
def test_lyapunov_function_of_the_steps(kind):
    """The formula, written again; it falls, up to the order of the step, to the optimum."""
    problem = fejer.DualNormComposite.random(6, kind)
    K, lam = problem.norm, problem.lam
    e, b1, b2 = 1e-3, 0.9, 0.99
    run = Run(problem, method="lion-k", options={"step": e, "decay": None}, tol=0.0)
    run.open()
    values = []
    for k in range(0, 6000, 50):
        run.forward(k)
        x, m = run.state.x, run.state.momentum
        inside = K.project(lam * x)
        c = (1 - b2) / e  # a = c, and eps c = 1 - b1
        rest = K.conjugate(inside) + K.value(m) - m @ inside
        H = c * problem.f(x) + c / lam * K.conjugate(inside)
        H += b1 / (1 + (1 - b1) / c * lam) * rest
        assert run.state.lyapunov == pytest.approx(H / c, rel=1e-9)
        values.append(H / c)
    assert np.diff(values).max() <= 2e-3
    assert values[-1] == pytest.approx(by_cvxpy(problem), abs=3e-2)
    result = fejer.minimize(problem, method="lion-k", max_iter=50, tol=0.0)
    assert result.trace["lyapunov"][-1] == result.stats["lyapunov"]


def test_lyapunov_function_is_infinite_outside():
    problem = fejer.DualNormComposite.random().replace(x0=np.full(6, 3.0))
    run = Run(problem, method="lion-k", options={"step": 0.01, "decay": None}, tol=0.0)
    run.open()
    assert run.state.lyapunov == math.inf
    run.forward(4000)
    assert run.state.lyapunov < math.inf


def test_the_box_against_scipy():
    """f - f* at most 1e-6 after 20 000 iterations; the gap lags behind, as documented."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200, 30))
    y = X @ (1.5 * rng.standard_normal(30)) + 0.3 * rng.standard_normal(200)
    problem = fejer.DualNormComposite(
        lambda x: 0.5 * float(np.mean((X @ x - y) ** 2)), lambda x: X.T @ (X @ x - y) / 200, 30, 1.0
    )
    best = lsq_linear(X, y, (-1, 1), tol=1e-14).cost / 200
    run = Run(problem, method="lion-k", tol=0.0)
    run.open()
    run.forward(20_000)
    x = run.method.point(problem, run.prep, run.state)
    assert problem.f(x) - best <= 1e-6
    assert problem.judge(x).value > 10 * (problem.f(x) - best)


# ---- what is refused ---------------------------------------------------------------------
GOOD = {"f": lambda x: 0.0, "grad": lambda x: 0 * x, "n": 6, "lam": 1.0}
BAD = [
    ({"f": 1.0}, "f: expected a callable"),
    ({"grad": None}, "grad: expected a callable"),
    ({"n": 0}, "n"),
    ({"n": 2.5}, "n"),
    ({"lam": 0.0}, "lam"),
    ({"lam": -1.0}, "lam"),
    ({"lam": math.nan}, "lam"),
    ({"K": "l3"}, "K: expected one of"),
    ({"K": 1}, "K: expected one of"),
    ({"width": 0.0}, "width"),
    ({"K": "group-l2"}, "groups: expected one group"),
    ({"groups": [0, 1]}, "groups"),
    ({"groups": [0, 0, 0, 2, 2, 2]}, "groups"),
    ({"groups": [0, 0, 0, 1, 1, 1.5]}, "groups"),
    ({"K": "nuclear"}, "shape"),
    ({"shape": (2, 2)}, "shape"),
    ({"shape": (0, 6)}, "shape"),
    ({"shape": 6}, "shape"),
    ({"convex": 1}, "convex"),
    ({"lipschitz": 0.0}, "lipschitz"),
    ({"x0": [1.0]}, "x0"),
]


@pytest.mark.parametrize(("fields", "said"), BAD)
def test_bad_data(fields, said):
    with pytest.raises(ProblemError, match=said):
        fejer.DualNormComposite(**{**GOOD, **fields})


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"f": lambda x: "text"}, "f: expected a number"),
        ({"f": lambda x: [1.0, 2.0]}, "f: expected a number"),
        ({"grad": lambda x: [1.0]}, "grad"),
        ({"grad": lambda x: np.full(6, math.nan)}, "finite"),
    ],
)
def test_bad_answers(fields, said):
    with pytest.raises(OracleError, match=said):
        fejer.minimize(fejer.DualNormComposite(**{**GOOD, **fields}))


def test_the_gradient_is_checked():
    problem = fejer.DualNormComposite.random()
    assert fejer.check_derivatives(problem).ok
    wrong = problem.replace(grad=lambda x: 1.01 * problem.grad(x))
    assert not fejer.check_derivatives(wrong).ok
