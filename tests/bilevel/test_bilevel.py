"""Bilevel from callables: certificate, audit, differences and bad input."""

import pickle

import numpy as np
import pytest
from scipy.optimize import minimize, root

import fejer
from fejer.problems.bilevel._example import Example

E = Example.draw(3, 5, 0)
PROBLEM = fejer.Bilevel.random()
FIELDS = E.fields()
REQUIRED = {k: FIELDS[k] for k in ("F", "grad_y_F", "grad_y_f", "x0", "y0")}


def solved(x):
    """y* by scipy, to rounding."""
    return root(
        lambda y: E.slope(x, y),
        np.zeros(5),
        jac=lambda y: E.Q + np.diag((1 + y * y) ** -1.5),
        tol=1e-15,
    ).x


def phi(x):
    return E.upper(x, solved(x))


def gradient(x):
    """By the formula, dense."""
    y = solved(x)
    H = E.Q + np.diag((1 + y * y) ** -1.5)
    return E.weight * x + E.B.T @ np.linalg.solve(H, y - E.c)


def test_certificate_is_the_twins():
    rng = np.random.default_rng(0)
    for size in (1e-3, 1.0, 30.0):
        for _ in range(10):
            x = size * rng.standard_normal(3)
            c = PROBLEM.judge(x)
            assert c.value == pytest.approx(np.linalg.norm(gradient(x)), rel=1e-6, abs=1e-9)
            assert c.value >= np.linalg.norm(gradient(x)) * (1 - 1e-12)
            assert c.fun == pytest.approx(phi(x), rel=1e-12)
            assert c.details["error_is_rigorous"] == 1.0
            assert PROBLEM.judge(x, c.witness).value == c.value


def test_the_bound_holds_at_inexact_lower_solutions():
    rng = np.random.default_rng(1)
    for _ in range(150):
        x = 3 * rng.standard_normal(3)
        y = solved(x) + 10.0 ** rng.uniform(-12, 1) * rng.standard_normal(5)
        q = PROBLEM.adjoint(x, y, E.upper_in_y(x, y))[0]
        q = q + 10.0 ** rng.uniform(-15, 0) * rng.standard_normal(5)
        a = PROBLEM.assess(x, y, adjoint=q)
        assert np.linalg.norm(a.gradient - gradient(x)) <= a.error <= a.published_error
        assert abs(a.fun - phi(x)) <= a.fun_error
        assert np.linalg.norm(y - solved(x)) <= a.distance


def test_solution_is_scipys():
    best = minimize(phi, np.zeros(3), jac=gradient, method="BFGS", options={"gtol": 1e-9})
    for method in ("maid", "hoag"):
        result = fejer.minimize(PROBLEM, method=method)
        assert result.success
        np.testing.assert_allclose(result.x, best.x, atol=1e-5)
        np.testing.assert_allclose(result.y, solved(result.x), atol=1e-7)


def test_a_box_that_binds():
    problem = PROBLEM.replace(lower=-0.1, upper=[0.1, 0.2, 0.3])
    result = fejer.minimize(problem, method="maid")
    best = minimize(phi, np.zeros(3), jac=gradient, bounds=[(-0.1, 0.1), (-0.1, 0.2), (-0.1, 0.3)])
    assert result.success
    np.testing.assert_allclose(result.x, best.x, atol=1e-4)


@pytest.mark.parametrize(
    "left_out",
    [
        ("grad_y_F",),
        ("hvp_yy",),
        ("jtv",),
        ("jtv", "grad_x_f"),
        ("mu", "L"),
        ("LgF", "LH", "LJ"),
        ("jnorm",),
        ("mu", "L", "LgF", "LH", "LJ", "LxF", "jnorm", "hvp_yy", "jtv", "grad_x_f", "f"),
    ],
)
def test_what_is_missing_is_replaced_and_said(left_out):
    problem = fejer.Bilevel(**{**FIELDS, **dict.fromkeys(left_out)})
    x = np.array([0.3, -0.2, 0.5])
    found = fejer.hypergradient(problem, x)
    assert np.linalg.norm(found.value - gradient(x)) <= found.error < 1e-5
    assert found.rigorous is (left_out == ("jnorm",))
    assert fejer.minimize(problem, method="hoag", tol=1e-4).success


def test_sharp_changes_of_the_hessian_and_dense_hessians():
    x = np.array([0.3, -0.2, 0.5])
    dense = fejer.Bilevel(
        **{
            **FIELDS,
            "hvp_yy": None,
            "hess_yy": lambda x, y: E.Q + np.diag((1 + y * y) ** -1.5),
            "LH": None,
            "dHq": lambda x, y, q, eps: min(0.8587 * eps, 1.0) * np.abs(q).max() * 5,
        }
    )
    found = fejer.hypergradient(dense, x)
    assert np.linalg.norm(found.value - gradient(x)) <= found.error < 1e-6


@pytest.mark.parametrize(
    ("wrong", "piece"),
    [
        ({"hvp_yy": lambda x, y: lambda v: -E.product(x, y)(v)}, "hvp_yy"),
        ({"grad_y_F": lambda x, y: E.c - y}, "grad_y_F"),
        ({"grad_x_F": lambda x, y: -E.upper_in_x(x, y)}, "grad_x_F"),
        ({"grad_x_f": lambda x, y: -E.slope_in_x(x, y)}, "grad_x_f"),
        ({"jtv": lambda x, y, v: E.B.T @ v}, "jtv"),
        ({"grad_y_f": lambda x, y: E.slope(x, y) + 0.1 * y}, "grad_y_f"),
        ({"hess_yy": lambda x, y: E.Q + np.tri(5)}, "hess_yy symmetric"),
        ({"mu": 10.0, "L": 30.0}, "mu"),
        ({"L": 1.01}, "L"),
    ],
)
def test_derivative_audit(wrong, piece):
    assert fejer.check_derivatives(PROBLEM).ok
    found = fejer.check_derivatives(fejer.Bilevel(**{**FIELDS, **wrong}))
    assert not found.ok
    assert found[piece].error > 1e-3


def test_a_transposed_cross_derivative_is_caught():
    square = Example.draw(4, 4, 1)
    fields = {**square.fields(), "jtv": lambda x, y, v: -(square.B @ v)}
    assert fejer.check_derivatives(fejer.Bilevel(**fields))["jtv"].error > 1e-3


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"mu": 10.0, "L": 30.0}, "mu: declared 10, but curvature"),
        ({"L": 0.3, "mu": 0.01}, "L: declared 0.3, but curvature"),
        ({"hvp_yy": lambda x, y: lambda v: -E.product(x, y)(v)}, "not strongly convex"),
        ({"hvp_yy": lambda x, y: E.Q}, "hvp_yy: expected a callable"),
        ({"F": lambda x, y: np.nan}, "F: expected a finite"),
        ({"F": lambda x, y: "a"}, "F: expected real"),
        ({"F": lambda x, y: y}, "F: expected one number"),
        ({"grad_y_F": lambda x, y: y[:-1]}, r"grad_y_F: expected shape \(5,\)"),
        ({"grad_y_f": lambda x, y: np.full(5, np.nan)}, "grad_y_f: expected finite"),
        ({"grad_y_f": lambda x, y: x}, r"grad_y_f: expected shape"),
        ({"jtv": lambda x, y, v: v}, r"jtv: expected shape \(3,\)"),
        ({"grad_x_F": lambda x, y: y}, r"grad_x_F: expected shape \(3,\)"),
    ],
)
@pytest.mark.parametrize("method", ["maid", "hoag"])
def test_functions_that_lie_are_caught_in_use(wrong, text, method):
    with pytest.raises(fejer.OracleError, match=text):
        fejer.minimize(fejer.Bilevel(**{**FIELDS, **wrong}), method=method)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("F", None),
        ("F", 3.0),
        ("grad_y_F", "text"),
        ("grad_y_f", None),
        ("hvp_yy", np.eye(5)),
        ("x0", None),
        ("x0", [np.nan]),
        ("x0", [[1.0]]),
        ("y0", None),
        ("y0", [1j]),
        ("mu", 0.0),
        ("mu", -1.0),
        ("mu", np.nan),
        ("mu", 4.0),
        ("L", 0.0),
        ("L", "large"),
        ("LH", -1.0),
        ("LJ", np.inf),
        ("jnorm", [1.0]),
        ("lower", [0.0]),
        ("lower", np.inf),
        ("upper", -np.inf),
        ("lower", [1.0, 2.0, 9.0]),
        ("upper", [np.nan] * 3),
        ("scale", 0.0),
    ],
)
def test_bad_fields(field, value):
    with pytest.raises(fejer.ProblemError, match=field):
        fejer.Bilevel(**{**FIELDS, "upper": 5.0, field: value})


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"grad_y_F": None, "y0": np.zeros(201)}, "grad_y_F: expected a callable"),
        ({"x0": np.zeros(201)}, "jtv: expected a callable"),
        ({"x0": np.zeros(201), "y0": np.zeros(201), "jtv": E.transposed}, "jnorm"),
    ],
)
def test_what_large_sizes_need(changes, text):
    with pytest.raises(fejer.ProblemError, match=text):
        fejer.Bilevel(**{**REQUIRED, **changes})


def test_functions_may_keep_and_change_what_they_get():
    def slope(x, y):
        answer = E.slope(x, y)
        x[:] = y[:] = np.nan
        return answer

    assert fejer.minimize(fejer.Bilevel(**{**FIELDS, "grad_y_f": slope}), method="maid").success


def test_pickle_and_scale():
    x = np.ones(3)
    value = PROBLEM.judge(x).value
    assert pickle.loads(pickle.dumps(PROBLEM)).judge(x).value == value
    assert PROBLEM.replace(scale=4.0).judge(x).value == pytest.approx(value / 4, rel=1e-12)
