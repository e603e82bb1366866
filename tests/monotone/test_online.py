"""Online mirror descent: twins, exact comparators, proven bounds, known variances, bad input."""

import math

import cvxpy
import numpy as np
import pytest
from scipy.optimize import minimize as scipy_minimize

import fejer
from fejer import online
from fejer.errors import OptionError, OracleError, ProblemError
from fejer.solvers.monotone._mirror import barrier_weights


def into_ball(v, radius=1.0):
    return v * min(1.0, radius / max(np.linalg.norm(v), 1e-300))


# ---- twins -------------------------------------------------------------------------------
@pytest.mark.parametrize("hints", ["last", "none"])
@pytest.mark.parametrize("regime", ["convex", "strongly-convex"])
def test_points_follow_the_formula(hints, regime):
    stream = online.SEAStream(200, 4, "offset", sigma=0.7, drift=0.05)
    played = online.mirror_descent(stream, regime=regime, hints=hints)
    G, D, V = stream.gradient_bound, 2.0, 0.0
    y = last = np.zeros(4)
    for t in range(200):
        eta = D / math.sqrt(1.0 + 4 * G**2 + V) if regime == "convex" else 2.0 / (t + 1)
        hint = last if hints == "last" else np.zeros(4)
        x = into_ball(y - eta * hint)
        g = x - stream.b[t]
        assert played.x[t] == pytest.approx(x, abs=1e-12)
        y = into_ball(y - eta * g)
        V += np.sum((g - hint) ** 2)
        last = g
    assert played.variation == pytest.approx(V)


def test_lazy_steps_and_entropy():
    rng = np.random.default_rng(0)
    losses = rng.uniform(-1, 1, (100, 5))
    played = online.mirror_descent(online.LinearStream(losses))
    G, V, total, last = np.abs(losses).max(), 0.0, np.zeros(5), np.zeros(5)
    for t, g in enumerate(losses):
        eta = math.sqrt(math.log(5) / (1.0 + 4 * G**2 + V))
        p = np.exp(-eta * (total + last))
        assert played.x[t] == pytest.approx(p / p.sum(), abs=1e-12)
        V += np.abs(g - last).max() ** 2
        total, last = total + g, g
    stream = online.SEAStream(50, 3, "offset", sigma=0.5)
    played = online.mirror_descent(stream, lazy=True, step=0.1)
    total, last = np.zeros(3), np.zeros(3)
    for t in range(50):
        x = into_ball(-0.1 * (total + last))
        assert played.x[t] == pytest.approx(x, abs=1e-12)
        last = x - stream.b[t]
        total = total + last


def test_newton_steps_minimise_in_their_norm():
    stream = online.SEAStream(60, 3, "regression", sigma=1.0, radius=0.3)
    played = online.mirror_descent(stream, regime="exp-concave")
    G, D = stream.gradient_bound, 0.6
    beta = 0.5 * min(1 / (4 * G * D), stream.exp_concavity)
    H, y, last = (1 + beta * G**2 / 2) * np.eye(3), np.zeros(3), np.zeros(3)

    def nearest(v):
        x = cvxpy.Variable(3)
        root = np.linalg.cholesky(H).T
        goal = cvxpy.Minimize(cvxpy.sum_squares(root @ (x - v)))
        cvxpy.Problem(goal, [cvxpy.norm(x) <= 0.3]).solve(solver="CLARABEL")
        return x.value

    for t in range(60):
        x = nearest(y - np.linalg.solve(H, last))
        assert played.x[t] == pytest.approx(x, abs=1e-4)  # the cone solver's accuracy
        g = stream.grad(t, x)
        y = nearest(y - np.linalg.solve(H, g))
        H = H + beta / 2 * np.outer(g, g)
        last = g


@pytest.mark.parametrize("seed", range(5))
def test_barrier_weights_against_cvxpy(seed):
    rng = np.random.default_rng(seed)
    theta = rng.standard_normal(6) * 10.0 ** rng.uniform(-2, 2)
    p = cvxpy.Variable(6)
    goal = cvxpy.Minimize(theta @ p - cvxpy.sum(cvxpy.log(p)))
    cvxpy.Problem(goal, [cvxpy.sum(p) == 1]).solve(solver="CLARABEL")
    q = barrier_weights(theta)
    assert q == pytest.approx(p.value, abs=1e-4)
    assert np.ptp(1.0 / q - theta) <= 1e-9 * np.abs(theta).max()  # theta + nu = 1 / q
    for hostile in (theta * 1e6, np.r_[theta, -1e9], np.zeros(4), np.r_[0.0, 1e300]):
        q = barrier_weights(hostile)
        assert q.sum() == pytest.approx(1.0, abs=1e-12) and (q > 0).all()


# ---- comparators -------------------------------------------------------------------------
@pytest.mark.parametrize("seed", range(8))
def test_best_point_of_indefinite_quadratics(seed):
    rng = np.random.default_rng(seed)
    G = rng.standard_normal((20, 4, 4))
    b = rng.standard_normal((20, 4)) * (seed % 2)
    stream = online.QuadraticStream(G + np.swapaxes(G, 1, 2), b, 1.5)
    best = stream.best(20)
    total = sum(stream.loss(t, best.x) for t in range(20))
    assert total == pytest.approx(best.value, abs=1e-9)
    assert best.lower <= best.value <= best.lower + 1e-9
    assert np.linalg.norm(best.x) <= 1.5 * (1 + 1e-12)
    for start in rng.standard_normal((10, 4)):
        found = scipy_minimize(
            lambda v: sum(stream.loss(t, into_ball(v, 1.5)) for t in range(20)), start
        )
        assert found.fun >= best.lower - 1e-9


@pytest.mark.parametrize(
    ("A", "b", "value"),
    [
        (np.diag([-1.0, 2.0]), [0.0, 0.0], -0.5),  # no linear term: the lowest eigenvector
        (np.diag([-1.0, 2.0]), [0.0, 1.0], -0.5 - 1 / 6),  # the hard case
        (np.zeros((2, 2)), [3.0, 4.0], -5.0),
        (np.zeros((2, 2)), [0.0, 0.0], 0.0),
        (np.eye(2), [0.3, 0.4], -0.125),
        (1e-9 * np.eye(2), [3.0, 4.0], -5.0),
        (1e9 * np.eye(2), [3.0, 4.0], -1.25e-8),
    ],
)
def test_hard_cases_of_the_ball(A, b, value):
    best = online.QuadraticStream(A, [b]).best(1)
    assert best.value == pytest.approx(value, rel=1e-7, abs=1e-12)
    assert value * (1 + 1e-7) - 1e-7 <= best.lower <= best.value


def test_best_point_of_functions():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((30, 4)), rng.choice((-1.0, 1.0), 30)

    def loss(t, x):
        return float(np.logaddexp(0.0, -y[t] * (X[t] @ x)))

    def grad(t, x):
        return -y[t] * X[t] / (1.0 + math.exp(y[t] * (X[t] @ x)))

    for domain in (online.Ball(4, 0.5), online.Simplex(4)):
        stream = online.LossStream(loss, grad, 30, domain)
        played = online.mirror_descent(stream)
        assert played.at() <= played.bound
        x = cvxpy.Variable(4)
        rows = [cvxpy.norm(x) <= 0.5]
        if isinstance(domain, online.Simplex):
            rows = [x >= 0, cvxpy.sum(x) == 1]
        goal = cvxpy.sum(cvxpy.logistic(cvxpy.multiply(-y, X @ x)))
        cvxpy.Problem(cvxpy.Minimize(goal), rows).solve(solver="CLARABEL")
        assert played.best.lower <= goal.value + 1e-6
        assert played.best.value == pytest.approx(goal.value, abs=1e-6)
        c = played.certificate
        assert c.rigorous and c.details["comparator_gap"] <= 1e-6
        assert c.fun - c.lower_bound == pytest.approx(c.value * c.scale)


# ---- what is proven ----------------------------------------------------------------------
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("drift", [0.0, 0.05])
@pytest.mark.parametrize("kind", ["offset", "regression"])
def test_bounds_hold(kind, drift, seed):
    stream = online.SEAStream(300, 4, kind, sigma=0.5, drift=drift, seed=seed)
    for hints in ("last", "none"):
        for lazy in (False, True):
            played = online.mirror_descent(stream, hints=hints, lazy=lazy)
            assert played.at() <= played.linear() + 1e-9 <= played.bound
            root = math.sqrt(1.0 + 4.0 * stream.gradient_bound**2 + played.variation)
            assert played.bound <= 1.5 * 2.0 * root + 1e-9
        regimes = ["exp-concave"] if kind == "regression" else ["strongly-convex"]
        for regime in regimes:
            played = online.mirror_descent(stream, hints=hints, regime=regime)
            assert played.at() <= played.bound
        played = online.mirror_descent(stream, hints=hints, regime="dynamic")
        assert played.at() <= played.bound
        regret, bound = played.dynamic(stream.minimizers)
        assert regret <= bound
        still, same = played.dynamic(np.tile(played.best.x, (300, 1)))
        assert still == pytest.approx(played.at()) and same == pytest.approx(played.bound)


@pytest.mark.parametrize("mirror", ["entropy", "log-barrier", "euclidean"])
@pytest.mark.parametrize("hints", ["last", "none"])
def test_bounds_hold_against_adversaries(mirror, hints):
    """Alternating, late and lopsided losses; also where no bound of the gradients is known."""
    rng = np.random.default_rng(1)
    alternating = np.tile([[1.0, -1.0, 0.0], [-1.0, 1.0, 0.0]], (100, 1))
    late = np.r_[np.tile([0.0, 0.1, 1.0], (100, 1)), np.tile([5.0, 0.1, 0.0], (100, 1))]
    negative = -(rng.exponential(size=(200, 3)) ** 4)
    for losses in (alternating, late, negative, rng.standard_normal((200, 3))):
        stream = online.LinearStream(losses)
        for declared in (stream.gradient_bound, None):
            stream.gradient_bound = declared
            played = online.mirror_descent(stream, mirror=mirror, hints=hints)
            assert played.at() <= played.bound
            assert (played.x >= 0).all() and played.x.sum(1) == pytest.approx(np.ones(200))


def test_log_barrier_with_bounded_losses():
    """5000 rounds, 10 experts: the regret is far below K log T / e + e sum p^2 l^2."""
    rng = np.random.default_rng(0)
    losses = rng.uniform(0, 1, (5000, 10))
    losses[:, 3] -= 0.05
    played = online.mirror_descent(online.LinearStream(losses), mirror="log-barrier", hints="none")
    eta = math.sqrt(10 * math.log(5000) / 5000) / np.abs(losses).max()
    bound = 10 * math.log(5000) / eta + eta * np.sum((played.x * losses) ** 2)
    assert 0 < played.at() < bound


def test_fixed_losses_cost_a_constant():
    """Without noise and drift nothing is regretted after the first rounds."""
    regrets = [online.mirror_descent(online.SEAStream(T, 5, sigma=0.0)).at() for T in (200, 2000)]
    assert regrets[1] <= regrets[0] + 1e-6 < 1.0


def test_variances_are_those_of_the_draws():
    for kind in ("curvature", "offset", "regression"):
        stream = online.SEAStream(20_000, 3, kind, sigma=0.8, radius=2.0)
        far = -2.0 * stream.minimizers[0] / np.linalg.norm(stream.minimizers[0])
        g = np.array([stream.grad(t, far) for t in range(stream.rounds)])
        mean = stream.strong_convexity * (far - stream.minimizers[0])
        assert g.mean(0) == pytest.approx(mean, abs=0.05)
        assert np.mean(np.sum((g - mean) ** 2, 1)) == pytest.approx(stream.sigma2[0], rel=0.05)
    stream = online.SEAStream(100, 4, "regression", drift=0.1)
    moves = np.linalg.norm(np.diff(stream.minimizers, axis=0), axis=1)
    assert moves == pytest.approx(np.full(99, 0.1))
    assert stream.drift2[1:] == pytest.approx(np.full(99, (0.1 / 4) ** 2))
    assert stream.mean_loss(0, stream.minimizers[0]) == 0.0
    assert stream.risk(stream.minimizers.mean(0)) == 0.0


def test_curves_and_averages():
    stream = online.SEAStream(100, 3, "offset")
    played = online.mirror_descent(stream)
    assert played.curve([10, 100])[1] == pytest.approx(played.at())
    first = online.mirror_descent(online.QuadraticStream(stream.A, stream.b[:10]))
    assert first.rounds == 10
    assert played.average == pytest.approx(played.x.mean(0))
    c = played.certificate
    assert c.kind == "regret" and c.holds(c.value) and c.details["bound"] == played.bound
    assert "regret" in fejer.online.__doc__


# ---- what is refused ---------------------------------------------------------------------
def quadratics(**fields):
    return online.QuadraticStream(**{"A": np.eye(2), "b": np.zeros((3, 2)), **fields})


@pytest.mark.parametrize(
    ("make", "fields", "said"),
    [
        (quadratics, {"A": np.eye(3)}, "A: expected shape"),
        (quadratics, {"A": [[1.0, 2.0], [0.0, 1.0]]}, "A: expected symmetric"),
        (quadratics, {"A": np.full((2, 2), math.nan)}, "A"),
        (quadratics, {"b": np.zeros(2)}, "b"),
        (quadratics, {"b": [[math.inf, 0.0]]}, "b"),
        (quadratics, {"radius": 0.0}, "radius"),
        (quadratics, {"radius": math.nan}, "radius"),
        (quadratics, {"c": [1.0]}, "c: expected 3"),
        (quadratics, {"strong_convexity": -1.0}, "strong_convexity"),
        (quadratics, {"exp_concavity": 0.0}, "exp_concavity"),
        (online.SEAStream, {"rounds": 0}, "rounds"),
        (online.SEAStream, {"rounds": 2.5}, "rounds"),
        (online.SEAStream, {"rounds": 9, "n": 1}, "n"),
        (online.SEAStream, {"rounds": 9, "kind": "other"}, "kind: expected one of"),
        (online.SEAStream, {"rounds": 9, "sigma": -1.0}, "sigma"),
        (online.SEAStream, {"rounds": 9, "sigma": [1.0]}, "sigma"),
        (online.SEAStream, {"rounds": 9, "drift": 1.5}, "drift"),
        (online.SEAStream, {"rounds": 9, "drift": math.nan}, "drift"),
        (online.LinearStream, {"losses": [1.0]}, "losses"),
        (online.LinearStream, {"losses": [[1.0]]}, "n"),
        (online.LinearStream, {"losses": [[math.nan, 1.0]]}, "losses"),
        (online.Ball, {"n": 0}, "n"),
        (online.Ball, {"n": 2, "radius": -1.0}, "radius"),
        (online.Simplex, {"n": 1}, "n"),
    ],
)
def test_bad_data(make, fields, said):
    with pytest.raises(ProblemError, match=said):
        make(**fields)


def functions(**fields):
    given = {"loss": lambda t, x: 0.0, "grad": lambda t, x: 0 * x, "rounds": 3}
    return online.LossStream(**{**given, "domain": online.Ball(2), **fields})


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"loss": 1.0}, "loss: expected a callable"),
        ({"grad": None}, "grad: expected a callable"),
        ({"rounds": 0}, "rounds"),
        ({"domain": 2}, "domain: expected a Ball"),
        ({"gradient_bound": 0.0}, "gradient_bound"),
        ({"strong_convexity": -1.0}, "strong_convexity"),
        ({"exp_concavity": -1.0}, "exp_concavity"),
    ],
)
def test_bad_functions(fields, said):
    with pytest.raises(ProblemError, match=said):
        functions(**fields)


@pytest.mark.parametrize(
    "fields",
    [
        {"loss": lambda t, x: "text"},
        {"loss": lambda t, x: math.nan},
        {"grad": lambda t, x: [1.0]},
        {"grad": lambda t, x: np.full(2, math.inf)},
    ],
)
def test_bad_answers(fields):
    with pytest.raises(OracleError):
        online.mirror_descent(functions(**fields))


@pytest.mark.parametrize(
    ("stream", "options", "said"),
    [
        (quadratics(), {"regime": "other"}, "regime: expected one of"),
        (quadratics(), {"hints": "next"}, "hints: expected one of"),
        (quadratics(), {"mirror": "other"}, "mirror: expected"),
        (quadratics(), {"mirror": "entropy"}, "mirror: .* simplex"),
        (quadratics(), {"regime": "strongly-convex"}, "strong_convexity"),
        (quadratics(), {"regime": "exp-concave"}, "exp_concavity"),
        (functions(), {"regime": "dynamic"}, "gradient_bound"),
        (functions(exp_concavity=1.0), {"regime": "exp-concave"}, "gradient_bound"),
        (
            functions(exp_concavity=1.0, gradient_bound=1.0, domain=online.Simplex(2)),
            {"regime": "exp-concave", "mirror": "euclidean"},
            "needs a ball",
        ),
        (online.LinearStream([[1.0, 0.0]]), {"regime": "strongly-convex"}, "needs mirror"),
        ([1.0], {}, "stream: expected a Stream"),
        (quadratics(), {"step": 0.0}, "step"),
        (quadratics(), {"delta": 0.0}, "delta"),
    ],
)
def test_bad_options(stream, options, said):
    with pytest.raises((OptionError, ProblemError), match=said):
        online.mirror_descent(stream, **options)


def test_dynamic_regret_checks_its_points():
    played = online.mirror_descent(quadratics())
    assert played.dynamic(np.zeros((3, 2)))[1] == math.inf
    with pytest.raises(OptionError, match="points"):
        played.dynamic(np.zeros((2, 2)))
