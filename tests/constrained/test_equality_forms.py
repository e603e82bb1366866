"""EqualityNLP: functions in every form, functions that misbehave, fields that are wrong."""

import pickle

import numpy as np
import pytest
from scipy import sparse
from scipy.sparse.linalg import LinearOperator, aslinearoperator

import fejer
from fejer.errors import OracleError, ProblemError
from tests.constrained.examples import circle, quadratic, solve


# ---- forms of the functions ---------------------------------------------------------------------
def jacobian_operator(x):
    return LinearOperator(
        (1, 2), matvec=lambda v: [2 * x @ v.ravel()], rmatvec=lambda w: 2 * x * w, dtype=float
    )


FORMS = {
    "plain": {},
    "pair": {"fun": lambda x: (x.sum(), np.ones(2)), "grad": True},
    "list pair": {"fun": lambda x: [x.sum(), [1, 1]], "grad": True},
    "no gradient": {"grad": None},
    "no Jacobian": {"constraint_jac": None},
    "no derivatives": {"grad": None, "constraint_jac": None},
    "array of one": {"fun": lambda x: np.array([[x.sum()]])},
    "float32": {"grad": lambda x: np.ones(2, dtype=np.float32)},
    "integers": {"grad": lambda x: [1, 1]},
    "column": {"grad": lambda x: np.ones((2, 1))},
    "scalar constraint": {"constraint": lambda x: x @ x - 2},
    "flat Jacobian": {"constraint_jac": lambda x: 2 * x},
    "sparse": {"constraint_jac": lambda x: sparse.csr_array([2 * x])},
    "coo matrix": {"constraint_jac": lambda x: sparse.coo_matrix([2 * x])},
    "operator": {"constraint_jac": jacobian_operator},
    "mutating": {"grad": lambda x: x.__setitem__(slice(None), 1.0) or x},
    "lag_hess": {"lag_hess": lambda x, l, sigma: 2 * l[0] * np.eye(2)},
    "sparse lag_hess": {"lag_hess": lambda x, l, sigma: 2 * l[0] * sparse.eye_array(2)},
    "lag_hessp": {"lag_hessp": lambda x, l, sigma, v: 2 * l[0] * v},
    "hess": {"hess": lambda x: np.zeros((2, 2))},
    "both": {"hess": lambda x: np.zeros((2, 2)), "constraint_hess": lambda x, l: 2 * l * np.eye(2)},
    "operator hess": {"hess": lambda x: aslinearoperator(np.zeros((2, 2)))},
    "integer start": {"x0": [-2, 1]},
    "read-only start": {"x0": np.frombuffer(np.array([-2.0, 0.5]).tobytes())},
    "strided start": {"x0": np.array([[-2.0, 0.0], [0.5, 0.0]])[:, 0]},
}


@pytest.mark.parametrize("name", list(FORMS))
def test_every_form_gives_the_same_answer(name):
    problem = circle(**FORMS[name])
    result = solve(problem, 1e-6)
    assert result.success, result.message
    np.testing.assert_allclose(result.x, [-1.0, -1.0], atol=1e-5)
    np.testing.assert_allclose(result.multipliers, [0.5], atol=1e-5)
    assert result.constraint_violation <= 1e-6


@pytest.mark.parametrize("name", [k for k in FORMS if "no " not in k and k != "mutating"])
def test_supplied_derivatives_are_found_right(name):
    assert fejer.check_derivatives(circle(**FORMS[name])).ok


WRONG = {
    "grad": {"grad": lambda x: np.array([1.0, 1.1])},
    "constraint_jac": {"constraint_jac": lambda x: [2.001 * x]},
    "constraint_jac adjoint": {
        "constraint_jac": lambda x: LinearOperator(
            (1, 2), matvec=lambda v: [2 * x @ v.ravel()], rmatvec=lambda w: 3 * x * w, dtype=float
        )
    },
    "lag_hess": {"lag_hess": lambda x, l, sigma: l[0] * np.eye(2)},
    "lag_hessp": {"lag_hessp": lambda x, l, sigma, v: v},
    "hess": {"hess": lambda x: np.eye(2)},
    "constraint_hess": {
        "hess": lambda x: np.zeros((2, 2)),
        "constraint_hess": lambda x, l: l * np.eye(2),
    },
}


@pytest.mark.parametrize("name", list(WRONG))
def test_wrong_derivatives_are_found(name):
    found = fejer.check_derivatives(circle(**WRONG[name]))
    assert not found.ok
    assert found[name].error > 1e-4


@pytest.mark.parametrize("form", ["dense", "sparse", "operator"])
def test_linear_constraints_in_every_form(form):
    problem, x, _, (_, _, A, r) = quadratic()
    matrix = {"dense": A, "sparse": sparse.csr_matrix(A), "operator": aslinearoperator(A)}[form]
    other = problem.replace(linear=(matrix, r))
    assert other.judge(x).value < 1e-11
    np.testing.assert_allclose(solve(other, 1e-9).x, x, atol=1e-7)
    assert fejer.check_derivatives(other).ok


def test_without_constraints_it_is_plain_minimisation():
    problem = fejer.EqualityNLP(
        lambda x: (x[0] - 1) ** 2 + 1, lambda x: 2 * (x - 1), x0=[9.0], linear=None
    )
    result = solve(problem)
    assert result.success
    assert result.multipliers.shape == (0,)
    np.testing.assert_allclose(result.x, [1.0])


def test_large_sparse_jacobians_take_the_iterative_multipliers():
    n, m = 3000, 1500
    A = sparse.random_array((m, n), density=0.002, rng=np.random.default_rng(0), format="csr")
    A = A + sparse.eye_array(m, n)
    x = np.random.default_rng(1).standard_normal(n)
    l = np.random.default_rng(2).standard_normal(m)
    p = x + A.T @ l  # x minimises 1/2 |x - p|^2 on A x = b
    problem = fejer.EqualityNLP(
        lambda y: 0.5 * (y - p) @ (y - p), lambda y: y - p, x0=np.zeros(n), linear=(A, A @ x)
    )
    certificate = problem.judge(x)
    assert certificate.value < 1e-9
    np.testing.assert_allclose(certificate.witness["multipliers"], l, atol=1e-7)


# ---- functions that misbehave -------------------------------------------------------------------
BAD_AT_START = {
    "nan": {"fun": lambda x: np.nan},
    "inf": {"fun": lambda x: np.inf},
    "huge integer": {"fun": lambda x: 10**400},
    "vector": {"fun": lambda x: x},
    "nothing": {"fun": lambda x: None},
    "text": {"fun": lambda x: "one"},
    "complex": {"fun": lambda x: 1j},
    "no pair": {"fun": lambda x: 1.0, "grad": True},
    "gradient shape": {"grad": lambda x: np.ones(3)},
    "gradient nan": {"grad": lambda x: [1.0, np.nan]},
    "ragged": {"constraint": lambda x: [[1.0], [1.0, 2.0]]},
    "constraint matrix": {"constraint": lambda x: np.ones((2, 2))},
    "constraint nan": {"constraint": lambda x: [np.nan]},
    "Jacobian shape": {"constraint_jac": lambda x: np.ones((2, 3))},
    "Jacobian inf": {"constraint_jac": lambda x: [[np.inf, 1.0]]},
    "sparse shape": {"constraint_jac": lambda x: sparse.eye_array(3)},
    "operator shape": {"constraint_jac": lambda x: aslinearoperator(np.eye(3))},
    "hessian shape": {"lag_hess": lambda x, l, sigma: np.eye(3)},
}


@pytest.mark.parametrize("name", list(BAD_AT_START))
def test_bad_answers_at_the_start_are_named(name):
    fields = BAD_AT_START[name]
    with pytest.raises(OracleError, match="|".join(["fun", *fields])):
        solve(circle(**fields))


def test_changing_number_of_constraints():
    problem = circle(constraint=lambda x: [x @ x - 2] * (1 + (x[0] != -2.0)), constraint_jac=None)
    with pytest.raises(OracleError, match="constraint: expected shape"):
        solve(problem)


def test_nan_later_is_a_failed_step():
    """log is nan beyond the wall; the line search turns back."""
    problem = fejer.EqualityNLP(
        lambda x: -np.log(x).sum(),
        lambda x: -1 / x,
        lambda x: [x.sum() - 1],
        lambda x: np.ones((1, 3)),
        x0=[0.9, 0.05, 0.05],
    )
    result = solve(problem)
    assert result.success
    np.testing.assert_allclose(result.x, np.full(3, 1 / 3), atol=1e-7)
    assert problem.judge(-np.ones(3)).value == np.inf
    assert "fun" in problem.judge(-np.ones(3)).reason


def test_exceptions_carry_the_best_point():
    calls = []

    def fun(x):
        calls.append(1)
        if len(calls) > 4:
            raise ZeroDivisionError("sensor unplugged")
        return x.sum()

    with pytest.raises(ZeroDivisionError, match="unplugged") as caught:
        solve(circle(fun=fun))
    assert np.isfinite(caught.value.result.x).all()


def test_functions_are_called_once_for_each_point():
    calls = []
    problem = circle(fun=lambda x: calls.append(x.tobytes()) or x.sum())
    result = solve(problem)
    assert result.success
    assert len(calls) == len(set(calls)) <= result.nfev


def test_pickling_and_replace():
    problem = fejer.EqualityNLP.random()
    copy = pickle.loads(pickle.dumps(problem))
    x = np.linspace(-1, 1, problem.size)
    assert copy.judge(x).value == problem.judge(x).value
    assert not copy.x0.flags.writeable
    assert problem.replace(scale=10.0).judge(x).value == pytest.approx(problem.judge(x).value / 10)
    assert problem.replace(x0=x).initial_point().tolist() == x.tolist()


# ---- construction -------------------------------------------------------------------------------
BAD_FIELDS = [
    ("fun", {"fun": None}),
    ("fun", {"fun": 3.0}),
    ("fun", {"fun": np.ndarray}),
    ("grad", {"grad": "2-point"}),
    ("grad", {"grad": False}),
    ("grad", {"grad": np.ones(2)}),
    ("constraint", {"constraint": [1.0]}),
    ("constraint", {"constraint": True}),
    ("constraint_jac", {"constraint_jac": np.ones((1, 2))}),
    ("constraint_jac", {"constraint": None}),
    ("lag_hess", {"lag_hess": np.eye(2)}),
    ("lag_hessp", {"lag_hessp": "no"}),
    ("hess", {"hess": "cs"}),
    ("hess", {"hess": np.eye, "lag_hess": np.eye}),
    ("constraint_hess", {"constraint_hess": 1}),
    ("constraint_hess", {"constraint_hess": np.eye}),
    ("x0", {"x0": None}),
    ("x0", {"x0": []}),
    ("x0", {"x0": [[1.0, 2.0]]}),
    ("x0", {"x0": [1.0, np.nan]}),
    ("x0", {"x0": [1.0, np.inf]}),
    ("x0", {"x0": [1.0, 2j]}),
    ("x0", {"x0": ["a", "b"]}),
    ("x0", {"x0": [1e150, 1.0]}),
    ("scale", {"scale": 0.0}),
    ("scale", {"scale": -1.0}),
    ("scale", {"scale": np.nan}),
    ("scale", {"scale": True}),
    ("scale", {"scale": "1"}),
    ("linear", {"linear": ([[1.0, 1.0]], [1.0])}),
    ("linear", {"constraint": None, "constraint_jac": None, "linear": 3}),
    ("linear", {"constraint": None, "constraint_jac": None, "linear": ([[1.0, 1.0]],)}),
    ("linear", {"constraint": None, "constraint_jac": None, "linear": (np.eye(3), np.ones(3))}),
    ("linear", {"constraint": None, "constraint_jac": None, "linear": (np.eye(2), np.ones(3))}),
    ("linear", {"constraint": None, "constraint_jac": None, "linear": ([[1, np.nan]], [1.0])}),
    ("linear", {"constraint": None, "constraint_jac": None, "linear": (np.eye(2), [np.inf, 0])}),
    ("linear", {"constraint": None, "constraint_jac": None, "linear": ([[1j, 1]], [1.0])}),
]


@pytest.mark.parametrize(("name", "fields"), BAD_FIELDS)
def test_bad_fields_are_named(name, fields):
    with pytest.raises(ProblemError, match=name):
        circle(**fields)


@pytest.mark.parametrize("arguments", [{"n": 0}, {"n": 2.5}, {"m": -1}, {"n": 2, "m": 3}])
def test_bad_sizes_of_random(arguments):
    with pytest.raises(ProblemError):
        fejer.EqualityNLP.random(**arguments)


def test_multipliers_of_large_sparse_jacobians_are_those_of_least_squares():
    """Also where rows repeat: then the residual counts, not the multipliers."""
    from fejer.problems.constrained._kkt import least_squares_multipliers

    rng = np.random.default_rng(0)
    G = sparse.random_array((300, 500), density=0.02, rng=rng, format="csr")
    G = sparse.csr_array(G + sparse.eye_array(300, 500))
    g = rng.standard_normal(500)
    found = least_squares_multipliers(G, g)
    dense = least_squares_multipliers(G.toarray(), g)
    np.testing.assert_allclose(found, dense, rtol=1e-8, atol=1e-10)
    twice = sparse.csr_array(sparse.vstack([G, G[:5]]))
    best = np.linalg.norm(g + G.T @ dense)
    assert np.linalg.norm(g + twice.T @ least_squares_multipliers(twice, g)) <= best * (1 + 1e-6)
