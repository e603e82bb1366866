"""The SciPy-style call: our front door with a callable, their minimize with our methods."""

import numpy as np
import pytest
import scipy.optimize as so
from scipy import sparse
from scipy.optimize import Bounds, LinearConstraint, NonlinearConstraint, rosen, rosen_der

import fejer
from fejer.errors import MethodError, OptionError, ProblemError
from fejer.problems.smooth_problem import from_callable

START = [-1.2, 1.0]


def test_plain_call():
    result = fejer.minimize(rosen, START, jac=rosen_der)
    assert result.success and isinstance(result.problem, fejer.SmoothProblem)
    np.testing.assert_allclose(result.x, [1, 1], atol=1e-5)
    assert result.method == "lbfgs"


@pytest.mark.parametrize("jac", [None, False, "2-point", "3-point", "cs"])
def test_missing_gradients(jac):
    result = fejer.minimize(rosen, START, jac=jac)
    assert result.success
    assert result.nfev > 5 * result.nit  # 2n + 1 calls at each point
    assert result.certificate.details["floor"] > 0


def test_pairs_args_scalars_and_results():
    both = fejer.minimize(lambda x, a: (a * rosen(x), a * rosen_der(x)), START, jac=True, args=(2,))
    assert both.success
    scalar = fejer.minimize(lambda x: (x[0] - 2) ** 2, 0)
    np.testing.assert_allclose(scalar.x, [2], atol=1e-6)
    again = fejer.minimize(rosen, fejer.minimize(rosen, START, jac=rosen_der), jac=rosen_der)
    assert again.success and again.nit == 0


def test_bounds():
    for bounds in ([(None, 0.5), (-2, 2)], Bounds([-np.inf, -2], [0.5, 2])):
        result = fejer.minimize(rosen, START, jac=rosen_der, bounds=bounds)
        theirs = so.minimize(rosen, START, jac=rosen_der, bounds=bounds, method="L-BFGS-B")
        assert result.success
        np.testing.assert_allclose(result.x, theirs.x, atol=1e-4)


# ---- constraints --------------------------------------------------------------------------------
def circle(x):
    return x @ x - 2


CONSTRAINTS = {
    "dict": {"type": "eq", "fun": circle, "jac": lambda x: 2 * x},
    "dict without jac": {"type": "EQ", "fun": circle},
    "dict with args": [
        {"type": "eq", "fun": lambda x, r: x @ x - r, "jac": lambda x, r: 2 * x, "args": (2,)}
    ],
    "object": NonlinearConstraint(lambda x: x @ x, 2, 2),
    "object with jac": NonlinearConstraint(lambda x: x @ x, 2, 2, jac=lambda x: 2 * x),
    "object with hess": NonlinearConstraint(
        lambda x: x @ x, 2, 2, jac=lambda x: [2 * x], hess=lambda x, v: 2 * v[0] * np.eye(2)
    ),
    "sparse jac": NonlinearConstraint(
        lambda x: [x @ x], [2], [2], jac=lambda x: sparse.csr_array([2 * x])
    ),
    "quasi-Newton hess": NonlinearConstraint(lambda x: x @ x, 2, 2, hess=so.BFGS()),
    "tuple": (NonlinearConstraint(lambda x: x @ x, 2.0, 2.0, jac="2-point"),),
}


@pytest.mark.parametrize("hess", [None, lambda x: np.zeros((2, 2))], ids=["no hess", "hess"])
@pytest.mark.parametrize("name", list(CONSTRAINTS))
def test_constraints(name, hess):
    result = fejer.minimize(
        np.sum, [-2.0, 0.5], jac=np.ones_like, hess=hess, constraints=CONSTRAINTS[name]
    )
    assert result.success, result.message
    assert isinstance(result.problem, fejer.EqualityNLP)
    np.testing.assert_allclose(result.x, [-1, -1], atol=1e-5)
    np.testing.assert_allclose(result.multipliers, [0.5], atol=1e-5)


MATRIX = np.array([[1.0, 1.0, 0.0], [0.0, 1.0, -1.0]])


@pytest.mark.parametrize(
    "kind", [np.asarray, sparse.csr_array, sparse.coo_matrix, np.ndarray.tolist]
)
def test_linear_constraints(kind):
    constraint = LinearConstraint(kind(MATRIX), [1.0, 0.5], [1.0, 0.5])
    result = fejer.minimize(
        lambda x: x @ x, np.zeros(3), jac=lambda x: 2 * x, constraints=constraint
    )
    assert result.success
    assert result.problem.linear is not None
    np.testing.assert_allclose(result.x, np.linalg.pinv(MATRIX) @ [1.0, 0.5], atol=1e-6)


@pytest.mark.parametrize("last", [{}, {"hess": lambda x: 2 * np.eye(3)}], ids=["no hess", "hess"])
@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_array])
def test_several_constraints(kind, last):
    curved = NonlinearConstraint(
        lambda x: x @ x, 4, 4, jac=lambda x: 2 * x, hess=lambda x, v: 2 * v[0] * np.eye(3)
    )
    given = [
        LinearConstraint(kind(MATRIX[:1]), 1, 1),
        {"type": "eq", "fun": lambda x: x[1] - x[2] - 0.5, "jac": lambda x: MATRIX[1]},
        curved,
    ]
    result = fejer.minimize(
        lambda x: x @ x + x[0],
        np.ones(3),
        jac=lambda x: 2 * x + [1, 0, 0],
        constraints=given,
        **last,
    )
    assert result.success, result.message
    np.testing.assert_allclose(MATRIX @ result.x, [1.0, 0.5], atol=1e-6)
    assert result.x @ result.x == pytest.approx(4, abs=1e-6)
    theirs = so.minimize(
        lambda x: x @ x + x[0],
        np.ones(3),
        method="trust-constr",
        constraints=[LinearConstraint(MATRIX, [1, 0.5], [1, 0.5]), curved],
    )
    assert result.fun == pytest.approx(theirs.fun, abs=1e-5)
    several = fejer.minimize(
        lambda x: x @ x,
        np.zeros(3),
        jac=lambda x: 2 * x,
        constraints=[
            LinearConstraint(kind(MATRIX[:1]), 1, 1),
            LinearConstraint(MATRIX[1], 0.5, 0.5),
        ],
    )
    assert several.problem.linear is not None and several.success


REFUSED = [
    ({"type": "ineq", "fun": circle}, "trust-constr"),
    (NonlinearConstraint(circle, 0, 1), "SLSQP"),
    (NonlinearConstraint(circle, 0, np.inf), "inequalities"),
    (LinearConstraint([[1, 1]], [0], [np.inf]), "inequalities"),
    (LinearConstraint([[1, 1]], -np.inf, np.inf), "inequalities"),
    (LinearConstraint([[1, 1, 1]], 0, 0), "A: expected shape"),
    (NonlinearConstraint(circle, np.nan, np.nan), "inequalities"),
    (NonlinearConstraint(circle, np.inf, np.inf), "lb"),
    (NonlinearConstraint(3, 0, 0), "fun"),
    ({"type": "equal", "fun": circle}, "type"),
    ({"fun": circle}, "type"),
    ({"type": "eq"}, "fun"),
    ({"type": "eq", "fun": circle, "jacobian": circle}, "jacobian"),
    (Bounds(0, 1), "bounds"),
    (7, "constraints"),
    ([circle], "constraints"),
    ([{"type": "eq", "fun": circle}, {"type": "ineq", "fun": circle}], r"constraints\[1\]"),
]


@pytest.mark.parametrize(("constraints", "text"), REFUSED)
def test_what_is_not_treated_names_the_way_out(constraints, text):
    with pytest.raises(ProblemError, match=text):
        fejer.minimize(np.sum, [-2.0, 0.5], constraints=constraints)


def test_bounds_beside_constraints():
    equal = {"type": "eq", "fun": circle}
    with pytest.raises(ProblemError, match=r"bounds.*trust-constr"):
        fejer.minimize(np.sum, [-2.0, 0.5], bounds=[(0, 1)] * 2, constraints=equal)
    free = fejer.minimize(np.sum, [-2.0, 0.5], bounds=[(None, None)] * 2, constraints=equal)
    assert free.success


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"x0": None}, "x0"),
        ({"x0": "a"}, "x0"),
        ({"x0": [[1, 2]]}, "x0"),
        ({"jac": "4-point"}, "jac"),
        ({"jac": 3}, "jac"),
        ({"bounds": [(0, 1)]}, "bounds"),
        ({"bounds": [(1, 0)] * 2}, "bounds"),
    ],
)
def test_bad_arguments_are_named(arguments, text):
    with pytest.raises(ProblemError, match=text):
        from_callable(**{"fun": rosen, "x0": START} | arguments)


def test_derivatives_go_with_callables_only():
    with pytest.raises(OptionError, match="jac"):
        fejer.minimize(fejer.SmoothProblem.random(), jac=rosen_der)


def test_what_scipy_calls_hess_by_other_names_is_left_out():
    for hess in ("2-point", so.BFGS(), None):
        assert from_callable(rosen, START, hess=hess).hess is None


# ---- our methods inside scipy's minimize --------------------------------------------------------
def test_lbfgs_inside_scipy():
    result = so.minimize(rosen, START, jac=rosen_der, method=fejer.as_scipy_method("lbfgs"))
    assert isinstance(result, so.OptimizeResult)
    assert result.success and result.status == 0
    np.testing.assert_allclose(result.x, [1, 1], atol=1e-5)
    assert result.certificate.value <= 1e-6


def test_scipys_arguments_arrive():
    seen = []
    result = so.minimize(
        lambda x, a: a * rosen(x),
        START,
        args=(2.0,),
        jac=lambda x, a: a * rosen_der(x),
        bounds=[(None, 0.5), (None, None)],
        callback=lambda x: seen.append(x),
        tol=1e-8,
        method=fejer.as_scipy_method("lbfgs", memory=5),
        options={"maxiter": 1000},
    )
    assert result.success and result.certificate.value <= 1e-8
    assert result.options["memory"] == 5
    assert seen and result.x[0] == 0.5
    pair = so.minimize(
        lambda x: (rosen(x), rosen_der(x)), START, jac=True, method=fejer.as_scipy_method("auto")
    )
    assert pair.success


@pytest.mark.parametrize("name", list(CONSTRAINTS))
def test_alm_inside_scipy(name):
    result = so.minimize(
        np.sum,
        [-2.0, 0.5],
        jac=np.ones_like,
        constraints=CONSTRAINTS[name],
        method=fejer.as_scipy_method("alm"),
    )
    assert result.success
    np.testing.assert_allclose(result.x, [-1, -1], atol=1e-5)


def test_hessian_products_become_a_hessian():
    result = so.minimize(
        lambda x: x @ x,
        [3.0, 4.0],
        jac=lambda x: 2 * x,
        hessp=lambda x, p: 2 * p,
        constraints=LinearConstraint([[1, 1]], 1, 1),
        method=fejer.as_scipy_method("alm"),
    )
    assert result.success
    np.testing.assert_allclose(result.problem.hess(np.zeros(2)), 2 * np.eye(2))


def test_unknown_methods():
    with pytest.raises(MethodError, match="lbfgs"):
        fejer.as_scipy_method("lbfg")
    with pytest.raises(MethodError, match="alm"):
        fejer.minimize(rosen, START, method="alm")
