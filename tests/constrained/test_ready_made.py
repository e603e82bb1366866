"""The ready-made problems: derivatives, published numbers, other solvers, views, bad input."""

import numpy as np
import pytest
from scipy import sparse
from scipy.optimize import minimize as scipy_minimize

import fejer
from tests.constrained import twin

ALL = {
    "logistic": lambda: fejer.ConstrainedLogistic.random(),
    "sparse logistic": lambda: fejer.ConstrainedLogistic(
        sparse.random_array((80, 10), density=0.4, rng=np.random.default_rng(0)),
        np.where(np.arange(80) % 3, 1.0, -1.0),
        np.eye(10)[:2],
        [0.3, -0.2],
    ),
    "control": lambda: fejer.EllipticControl(3),
    "cubic control": lambda: fejer.EllipticControl(4, s=10.0),
    "Thomson": lambda: fejer.Thomson(5),
}


def arrays(problem, x):
    f = problem.fun(x)
    g = f[1] if problem.grad is True else problem.grad(x)
    G = problem.constraint_jac(x)
    return g, problem.constraint(x), G.toarray() if sparse.issparse(G) else G


@pytest.mark.parametrize("name", list(ALL))
def test_derivatives_and_certificate(name):
    problem = ALL[name]()
    rng = np.random.default_rng(1)
    x = problem.initial_point() + 0.3 * rng.standard_normal(problem.size)
    assert fejer.check_derivatives(problem, x).ok
    g, c, G = arrays(problem, x)
    for _ in range(10):
        l = rng.standard_normal(c.size)
        value = problem.judge(x, {"multipliers": l}).value
        assert value == pytest.approx(twin.kkt(g, c, G, x, l), rel=1e-9)


@pytest.mark.parametrize("name", list(ALL))
@pytest.mark.parametrize("method", ["exact-al-newton", "alm", "adasketch"])
def test_every_method_finds_the_same(name, method):
    problem = ALL[name]()
    reference = fejer.minimize(problem, tol=1e-9)
    result = fejer.minimize(problem, method=method, tol=1e-7)
    assert reference.success and result.success
    assert result.fun == pytest.approx(reference.fun, rel=1e-6)


@pytest.mark.parametrize("name", list(ALL))
def test_points_off_the_solution_fail(name):
    problem = ALL[name]()
    result = fejer.minimize(problem, tol=1e-9)
    rng = np.random.default_rng(0)
    for _ in range(15):
        x = result.x + 1e-4 * rng.standard_normal(result.x.size)
        g, c, G = arrays(problem, x)
        value = fejer.verify(problem, x).value
        assert value >= 0.99 * twin.kkt(g, c, G, x)
        assert value > 1e-6


def test_logistic_against_scipy():
    problem = fejer.ConstrainedLogistic.random(d=12, seed=4)
    ours = fejer.minimize(problem, tol=1e-8)
    theirs = scipy_minimize(
        problem.fun,
        problem.x0,
        jac=True,
        method="SLSQP",
        constraints=[{"type": "eq", "fun": problem.constraint, "jac": problem.constraint_jac}],
        options={"ftol": 1e-14, "maxiter": 300},
    )
    assert ours.fun == pytest.approx(theirs.fun, rel=1e-7)
    assert ours.second_order == "strict minimum"


def test_control_starts_where_the_paper_starts_and_takes_one_exact_step():
    problem = fejer.EllipticControl(3)
    start = problem.judge(np.ones(18), {"multipliers": np.ones(9)})
    assert start.details["F_norm"] == pytest.approx(19.19, abs=0.005)
    assert fejer.minimize(problem, method="exact-al-newton", tol=1e-9).nit == 1


def test_control_solves_its_equation():
    problem = fejer.EllipticControl(6, s=2.0)
    w, z = np.split(fejer.minimize(problem, tol=1e-10).x, 2)
    q, h = 6, 2 / 7
    grid = np.zeros((q + 2, q + 2))
    grid[1:-1, 1:-1] = w.reshape(q, q, order="F")
    inner = grid[1:-1, 1:-1]
    laplacian = (
        grid[2:, 1:-1] + grid[:-2, 1:-1] + grid[1:-1, 2:] + grid[1:-1, :-2] - 4 * inner
    ) / h**2
    residual = laplacian - 2.0 * inner**3 + z.reshape(q, q, order="F")
    assert np.abs(residual).max() < 1e-9


# energies of the best known configurations
@pytest.mark.parametrize(
    ("q", "energy"), [(2, 0.5), (3, 1.732050808), (4, 3.674234614), (6, 9.985281374)]
)
def test_thomson(q, energy):
    result = fejer.minimize(fejer.Thomson(q), tol=1e-9)
    assert result.fun == pytest.approx(energy, rel=1e-8)
    np.testing.assert_allclose(np.linalg.norm(result.points, axis=1), 1.0, atol=1e-8)


X = np.eye(4)
Y = [1, -1, 1, -1]
BAD = {
    "labels": (lambda: fejer.ConstrainedLogistic(X, [0, 1, 0, 1], X[:1], [0.0]), "y: .*-1 or"),
    "length": (lambda: fejer.ConstrainedLogistic(X, [1, -1], X[:1], [0.0]), "y: "),
    "nan": (lambda: fejer.ConstrainedLogistic(X * np.nan, Y, X[:1], [0.0]), "X: "),
    "columns": (lambda: fejer.ConstrainedLogistic(X, Y, np.eye(3)[:1], [0.0]), "A: "),
    "right side": (lambda: fejer.ConstrainedLogistic(X, Y, X[:1], [0.0, 1.0]), "b: "),
    "rows": (lambda: fejer.ConstrainedLogistic(X, Y, X, [0.0] * 4), "A: expected fewer"),
    "too far": (lambda: fejer.ConstrainedLogistic(X, Y, X[:1], [1.5]), "b: .*unit sphere"),
    "text": (lambda: fejer.ConstrainedLogistic("X", Y, X[:1], [0.0]), "X: "),
    "complex": (lambda: fejer.ConstrainedLogistic(X * 1j, Y, X[:1], [0.0]), "X: "),
    "q": (lambda: fejer.EllipticControl(0), "q: "),
    "q float": (lambda: fejer.EllipticControl(2.5), "q: "),
    "s": (lambda: fejer.EllipticControl(3, -1.0), "s: "),
    "s inf": (lambda: fejer.EllipticControl(3, np.inf), "s: "),
    "points": (lambda: fejer.Thomson(1), "q: "),
    "points text": (lambda: fejer.Thomson("five"), "q: "),
    "seed": (lambda: fejer.Thomson(5, -1), "seed: "),
}


@pytest.mark.parametrize("name", list(BAD))
def test_bad_input_is_named(name):
    build, text = BAD[name]
    with pytest.raises(fejer.ProblemError, match=f"^{text}"):
        build()


@pytest.mark.parametrize("name", list(ALL))
def test_hostile_points_and_witnesses(name):
    problem = ALL[name]()
    n, m = problem.size, problem.n_constraints
    for size in (0.0, 1e8, 1e200):
        assert not problem.judge(np.full(n, size), {"multipliers": np.zeros(m)}).holds(1e-6)
    x = fejer.minimize(problem, tol=1e-8).x + 0.01
    for witness in (np.full(m, np.nan), np.full(m, 1e9), "text", np.ones(m + 1), None):
        found = problem.judge(x, {"multipliers": witness})
        assert 1e-6 < found.value < np.inf
