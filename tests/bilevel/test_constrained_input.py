"""ConstrainedBilevel: projections, empty sets, bad fields and bad answers."""

import numpy as np
import pytest
from scipy.optimize import lsq_linear, nnls

import fejer
from fejer.problems.bilevel import _polyhedron
from fejer.problems.bilevel._constrained_example import ConstrainedExample
from fejer.problems.bilevel._polyhedron import Polyhedron
from fejer.problems.bilevel._shortest import shortest
from tests.bilevel.twin_constrained import DISC

FIELDS = ConstrainedExample.draw(2, 3, 2, 0)
PROBLEM = fejer.ConstrainedBilevel(**FIELDS)
SOLVED = fejer.minimize(PROBLEM, method="kkt-implicit", tol=1e-11)


# ---- projections -----------------------------------------------------------------------------
def by_cvxpy(G, h, equality, lower, upper, w):
    cp = pytest.importorskip("cvxpy")
    v = cp.Variable(w.size)
    constraints = [G[equality] @ v == h[equality]] if equality.any() else []
    constraints += [G[~equality] @ v <= h[~equality]] if (~equality).any() else []
    finite = lower > -np.inf
    constraints += [v[finite] >= lower[finite]] if finite.any() else []
    finite = upper < np.inf
    constraints += [v[finite] <= upper[finite]] if finite.any() else []
    precision = {"tol_gap_abs": 1e-10, "tol_gap_rel": 1e-10, "tol_feas": 1e-10}
    cp.Problem(cp.Minimize(cp.sum_squares(v - w)), constraints).solve(
        solver=cp.CLARABEL, **precision
    )
    return v.value


@pytest.mark.parametrize(
    ("rows", "equations", "bounds", "kind"),
    [
        (3, 3, False, "equations"),
        (5, 0, False, "rows"),
        (6, 2, True, "rows"),
        (4, 2, False, "rows"),
        (230, 0, False, "rows"),
        (400, 2, True, "rows"),
        (0, 0, True, ""),
    ],
)
def test_projection_is_the_nearest_point(rows, equations, bounds, kind):
    rng = np.random.default_rng(4)
    N = 8
    G, inner = rng.standard_normal((rows, N)), rng.uniform(-0.5, 0.5, N)
    equality = np.arange(rows) < equations
    h = G @ inner + np.where(equality, 0.0, rng.uniform(0, 0.3, rows))
    lower = np.where(rng.random(N) < 0.5, -0.5, -np.inf) if bounds else np.full(N, -np.inf)
    upper = np.where(rng.random(N) < 0.5, 0.5, np.inf) if bounds else np.full(N, np.inf)
    made = Polyhedron(G, h, equality, lower, upper)
    assert not kind or made.kind == kind
    for size in (0.1, 1.0, 100.0):
        w = inner + size * rng.standard_normal(N)
        p = made.project(w)
        close = 1e-9
        if rows:
            assert np.max((G @ p - h)[~equality], initial=0) <= close * (1 + size)
            assert np.abs((G @ p - h)[equality]).max(initial=0) <= close
        assert ((lower <= p) & (p <= upper)).all()
        np.testing.assert_allclose(p, by_cvxpy(G, h, equality, lower, upper, w), atol=1e-6 * size)
        np.testing.assert_allclose(made.project(p), p, atol=close * (1 + size))


@pytest.mark.parametrize("size", [1e-3, 0.1, 3.0])
def test_a_neighbour_changes_no_projection(size):
    """A walk in small and large steps: guesses that are right, nearly right and wrong."""
    rng = np.random.default_rng(8)
    N, k = 30, 260
    G, inner = rng.standard_normal((k, N)), rng.uniform(-0.5, 0.5, N)
    h = G @ inner + rng.uniform(0, 0.3, k)
    h[40:60] = (G @ inner + 0.1)[40:60]
    G[50:60], h[50:60] = 2 * G[40:50], 2 * h[40:50]  # the same rows twice
    made = Polyhedron(
        G, h, np.zeros(k, dtype=bool), np.full(N, -0.8), np.append(np.full(9, 0.6), [np.inf] * 21)
    )
    near = made.project(inner + rng.standard_normal(N))
    for _ in range(12):
        w = near + size * rng.standard_normal(N)
        alone, helped = made.project(w), made.project(w, near)
        np.testing.assert_allclose(alone, helped, atol=1e-12 * (1 + size))
        assert np.max(G @ helped - h) <= 1e-11
        assert (made.project(w, near) == helped).all()
        wrong = made.project(w, inner + 10 * rng.standard_normal(N))
        np.testing.assert_allclose(alone, wrong, atol=1e-11 * (1 + size))
        near = helped


def test_shortest_vectors():
    """Optimality conditions, dependent rows, sets without a point."""
    rng = np.random.default_rng(2)
    for k in range(20):
        A = rng.standard_normal((12, 5))
        A /= np.linalg.norm(A, axis=1)[:, None]
        room = A @ rng.standard_normal(5) + rng.uniform(0, 0.2, 12)
        for guess in (None, np.arange(k % 5), np.arange(12)):
            d = shortest(A, room, 1e-12, guess)
            assert np.max(A @ d - room) <= 1e-12
            active = np.abs(A @ d - room) <= 1e-10
            l = nnls(A[active].T, -d)[1] if active.any() else np.linalg.norm(d)
            assert l < 1e-10
    A = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0]])
    assert shortest(A, np.array([-1.0, 0.5, 0.0]), 1e-12) is None
    assert shortest(A, np.array([-1.0, 0.5, 0.0]), 1e-12, np.array([0, 1])) is None
    np.testing.assert_allclose(shortest(A, np.array([-1.0, 1.0, 0.0]), 1e-12), [-1.0, 0.0])


def test_an_interior_point_method_answers_where_the_others_cannot(monkeypatch):
    rng = np.random.default_rng(3)
    G, none = rng.standard_normal((40, 6)), np.zeros(40, dtype=bool)
    wide = np.full(6, np.inf)
    w = rng.standard_normal(6)
    exact = Polyhedron(G, np.full(40, 0.1), none, -wide, wide).project(w)

    def cycling(*args, **kwargs):
        raise RuntimeError("cycles")

    with monkeypatch.context() as patch:
        patch.setattr("scipy.optimize.nnls", cycling)
        other = Polyhedron(G, np.full(40, 0.1), none, -wide, wide).project(w)
    np.testing.assert_allclose(other, exact, atol=1e-6)
    monkeypatch.setattr(_polyhedron, "LARGEST", 10)
    made = Polyhedron(G, np.full(40, 0.1), none, -wide, wide)
    assert made.kind == "cone"
    np.testing.assert_allclose(made.project(w), exact, atol=1e-6)


def test_projection_with_a_slack_in_each_row():
    rng = np.random.default_rng(5)
    k, d = 60, 7
    B = rng.standard_normal((k, d))
    G = np.hstack([np.zeros((k, 2)), -B, -np.diag(rng.uniform(0.5, 2, k))])
    N = 2 + d + k
    free = np.full(N, np.inf)
    low = np.append(np.full(2, -1.0), np.full(N - 2, -np.inf))
    made = Polyhedron(G, -np.ones(k), np.zeros(k, dtype=bool), low, free)
    assert made.kind == "slacks"
    for _ in range(3):
        w = rng.standard_normal(N) * 2
        p = made.project(w)
        assert np.max(G @ p + 1) < 1e-12
        wanted = by_cvxpy(G, -np.ones(k), np.zeros(k, dtype=bool), low, free, w)
        np.testing.assert_allclose(p, wanted, atol=1e-7)


def test_far_points_and_parallel_rows():
    G = np.array([[1.0, 0.0], [1.0, 1e-9], [-1.0, 1.0]])
    made = Polyhedron(
        G,
        np.array([1.0, 1.0, 0.0]),
        np.zeros(3, dtype=bool),
        *np.array([[-np.inf] * 2, [np.inf] * 2]),
    )
    for w in ([1e8, 0.0], [1e4, 1e4], [-3.0, 5.0], [0.3, 0.2]):
        p = made.project(np.array(w))
        assert np.max(G @ p - [1.0, 1.0, 0.0]) < 1e-7
        best = lsq_linear(np.eye(2), np.array(w), (-np.inf, [1.0, np.inf])).x
        assert np.linalg.norm(p - w) >= np.linalg.norm(best - w) * (1 - 1e-9)


@pytest.mark.parametrize(
    "fields",
    [
        {"h": [-9.0, -9.0], "Gx": np.zeros((2, 2)), "Gy": [[1, 0, 0], [-1, 0, 0]]},
        {"h": [0.0, 1.0], "Gx": np.zeros((2, 2)), "Gy": np.ones((2, 3)), "equality": True},
        {"h": [0.0, -1.0], "Gx": np.zeros((2, 2)), "Gy": np.array([[1, 0, 0], [0, 0, 0]])},
        {"h": [-9.0, 0.0], "Gx": np.ones((2, 2)), "Gy": np.zeros((2, 3))},
        {"u": [-5.0], "Ux": [[1.0, 1.0]], "Uy": np.zeros((1, 3))},
    ],
)
def test_an_empty_set_is_said(fields):
    problem = PROBLEM.replace(**fields)
    with pytest.raises(fejer.ProblemError, match="no \\(x, y\\) satisfies"):
        fejer.minimize(problem)


# ---- bad input -------------------------------------------------------------------------------
FUNCTIONS = ("F", "grad_x_F", "grad_y_F", "f", "grad_x_f", "grad_y_f")
BAD = [
    *[({name: bad}, name) for name in FUNCTIONS for bad in (None, 1.0, "f", float)],
    *[({name: 1.0}, name) for name in ("g", "jac_x_g", "jac_y_g", "hess_f", "hess_g", "project_C")],
    ({"g": DISC["g"]}, "jac_x_g"),
    ({"g": DISC["g"], "jac_x_g": DISC["jac_x_g"]}, "jac_y_g"),
    ({"g": DISC["g"], "jac_x_g": DISC["jac_x_g"], "jac_y_g": DISC["jac_y_g"]}, "project_C"),
    ({"jac_y_g": DISC["jac_y_g"]}, "jac_y_g"),
    ({"hess_g": DISC["hess_g"]}, "hess_g"),
    ({"x0": [np.nan, 0.0]}, "x0"),
    ({"x0": [[0.0, 0.0]]}, "x0"),
    ({"x0": []}, "x0"),
    ({"y0": [np.inf, 0.0, 0.0]}, "y0"),
    ({"y0": [1j, 0.0, 0.0]}, "y0"),
    ({"Gx": np.ones((2, 3))}, "Gx"),
    ({"Gx": np.ones((3, 2))}, "Gx"),
    ({"Gy": np.ones((2, 2))}, "Gy"),
    ({"Gy": np.full((2, 3), np.nan)}, "Gy"),
    ({"Gy": np.ones((2, 3), dtype=complex)}, "Gy"),
    ({"Gy": np.full((2, 3), 1e150)}, "Gy"),
    ({"h": [1.0]}, "Gx"),
    ({"h": [1.0, np.inf]}, "h"),
    ({"h": "h"}, "h"),
    ({"h": None}, "Gx"),
    ({"h": None, "Gx": None}, "Gy"),
    ({"h": None, "Gx": None, "Gy": None, "equality": True}, "equality"),
    ({"equality": [True]}, "equality"),
    ({"equality": [0.5, 1.0]}, "equality"),
    ({"equality": None}, "equality"),
    ({"Ux": np.ones((1, 2))}, "Ux"),
    ({"u": [1.0], "Ux": np.ones((2, 2))}, "Ux"),
    ({"u": [1.0], "Uy": np.ones((1, 2))}, "Uy"),
    ({"u": [np.nan]}, "u"),
    ({"lower": 3.0}, "lower"),
    ({"lower": np.inf}, "lower"),
    ({"upper": -np.inf}, "upper"),
    ({"upper": [1.0, 2.0, 3.0]}, "upper"),
    ({"lower": [np.nan, 0.0]}, "lower"),
    ({"y_lower": 1.0, "y_upper": 0.0}, "y_lower"),
    ({"y_upper": [1.0]}, "y_upper"),
    ({"y_lower": "low"}, "y_lower"),
    ({"scale": 0.0}, "scale"),
    ({"scale": -1.0}, "scale"),
    ({"scale": np.nan}, "scale"),
    ({"scale": [1.0, 2.0]}, "scale"),
]


@pytest.mark.parametrize(("fields", "name"), BAD)
def test_bad_fields_are_named(fields, name):
    with pytest.raises(fejer.ProblemError, match=name):
        PROBLEM.replace(**fields)


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"F": lambda x, y: np.nan}, "F"),
        ({"F": lambda x, y: y}, "F"),
        ({"F": lambda x, y: 1j}, "F"),
        ({"f": lambda x, y: np.inf}, "f"),
        ({"grad_x_F": lambda x, y: x[:1]}, "grad_x_F"),
        ({"grad_y_F": lambda x, y: np.full(3, np.nan)}, "grad_F"),
        ({"grad_y_f": lambda x, y: "slope"}, "grad_y_f"),
        ({"grad_x_f": lambda x, y: [np.nan, 0.0]}, "grad_x_f"),
        ({"hess_f": lambda x, y: np.eye(3)}, "hess_f"),
        ({"project_C": lambda x, y: x}, "project_C"),
        ({"project_C": lambda x, y: (x, x)}, "project_C"),
    ],
)
def test_bad_answers_are_named(fields, name):
    with pytest.raises(fejer.OracleError, match=name):
        fejer.minimize(PROBLEM.replace(**fields))


@pytest.mark.parametrize(
    ("fields", "piece"),
    [
        ({"grad_x_F": lambda x, y: -FIELDS["grad_x_F"](x, y)}, "grad_x_F"),
        ({"grad_y_F": lambda x, y: -FIELDS["grad_y_F"](x, y)}, "grad_y_F"),
        ({"grad_x_f": lambda x, y: -FIELDS["grad_x_f"](x, y)}, "grad_x_f"),
        ({"grad_y_f": lambda x, y: FIELDS["grad_y_f"](x, y) + 0.1 * y}, "grad_y_f"),
        ({"hess_f": lambda x, y: -FIELDS["hess_f"](x, y)}, "hess_f"),
    ],
)
def test_wrong_derivatives_are_found(fields, piece):
    checks = fejer.check_derivatives(PROBLEM.replace(**fields), SOLVED.x + 0.3)
    assert checks[piece].error > 1e-3
    assert fejer.check_derivatives(PROBLEM, SOLVED.x + 0.3).ok


def test_forms_of_data_that_work():
    from scipy.sparse import coo_matrix, csr_array

    value = PROBLEM.judge(SOLVED.x + 0.1).value
    Gx, Gy = np.asarray(PROBLEM.Gx), np.asarray(PROBLEM.Gy)
    wide = np.repeat(Gy, 2, axis=1)
    for fields in (
        {"Gx": csr_array(Gx), "Gy": coo_matrix(Gy)},
        {"Gx": np.asfortranarray(Gx), "Gy": wide[:, ::2]},
        {"Gx": Gx.tolist(), "h": PROBLEM.h.tolist()},
        {"equality": [False, False]},
        {"equality": np.zeros(2)},
        {"lower": [-2, -2], "upper": 2},
    ):
        assert PROBLEM.replace(**fields).judge(SOLVED.x + 0.1).value == pytest.approx(value)
