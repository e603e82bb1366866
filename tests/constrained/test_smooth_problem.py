"""SmoothProblem: the certificate against a twin, differences, boxes, hostile functions."""

import pickle

import numpy as np
import pytest
from scipy import sparse
from scipy.optimize import Bounds, rosen, rosen_der, rosen_hess

import fejer
from fejer.errors import OracleError, ProblemError
from fejer.solvers.general.lbfgs import LBFGS
from tests.constrained import twin


def bowl(x):
    return float((x - 1) @ (x - 1))


def bowl_grad(x):
    return 2 * (x - 1)


def make(**fields):
    return fejer.SmoothProblem(**{"fun": bowl, "jac": bowl_grad, "x0": [0.0, 3.0]} | fields)


def test_value_is_the_twins():
    rng = np.random.default_rng(0)
    for _ in range(100):
        n = int(rng.integers(1, 6))
        lower = np.where(rng.random(n) < 0.3, -np.inf, -rng.random(n))
        upper = np.where(rng.random(n) < 0.3, np.inf, rng.random(n))
        problem = make(x0=np.zeros(n), bounds=Bounds(lower, upper), scale=3.0)
        x = np.clip(2 * rng.standard_normal(n), lower, upper)
        expected = twin.projected_gradient(bowl_grad(x), x, lower, upper, scale=3.0)
        assert problem.judge(x).value == pytest.approx(expected, rel=1e-12, abs=1e-15)


def test_moved_points_fail():
    """A hundred points whose projected gradient is 3 tol."""
    problem = make(x0=np.zeros(4), bounds=[(None, 0.5), (None, None), (2.0, None), (None, None)])
    solution = np.array([0.5, 1.0, 2.0, 1.0])
    assert problem.judge(solution).value == 0.0
    rng = np.random.default_rng(0)
    for _ in range(100):
        direction = np.zeros(4)
        direction[[1, 3]] = rng.standard_normal(2)
        direction[[0, 2]] = rng.random(2) * [-1, 1]
        x = solution + 3e-6 / np.abs(direction).max() * direction
        certificate = problem.judge(x, {"multipliers": np.zeros(4)})
        assert certificate.value >= 2e-6
        assert not certificate.holds(1e-6)


def test_points_outside():
    problem = make(bounds=[(0, 0.5), (0, 4)])
    assert problem.judge(np.array([0.5, 1.0])).value == 0.0
    assert 0 < problem.judge(np.array([0.5 + 1e-10, 1.0])).value < 1e-9
    outside = problem.judge(np.array([0.5 + 1e-8, 1.0]))
    assert outside.value == np.inf
    assert "bounds" in outside.reason


@pytest.mark.parametrize("size", [1e8, 1e17, 1e90, 1e200])
def test_no_false_success_far_away(size):
    problem = make(x0=np.zeros(2), jac=bowl_grad)
    assert not problem.judge(np.full(2, size)).holds(1e-3)
    assert not problem.replace(jac=None).judge(np.full(2, size)).holds(1e-3)


DIFFERENCED = {
    "cubic": (lambda x: np.sum(x**3), lambda x: 3 * x**2),
    "exponential": (lambda x: np.exp(x).sum(), np.exp),
    "huge": (lambda x: 1e9 + x @ x, lambda x: 2 * x),
    "rough": (lambda x: np.sin(1e4 * x).sum(), lambda x: 1e4 * np.cos(1e4 * x)),
    "aliased": (lambda x: np.cos(np.pi * 2 ** (52 / 3) * x).sum(), None),
    "kink": (lambda x: np.abs(x - 0.3).sum(), lambda x: np.sign(x - 0.3)),
}


@pytest.mark.parametrize("name", list(DIFFERENCED))
def test_what_differences_may_be_off_by_is_in_the_value(name):
    fun, jac = DIFFERENCED[name]
    problem = make(fun=fun, jac=None, x0=np.zeros(2))
    rng = np.random.default_rng(0)
    for _ in range(20):
        x = rng.standard_normal(2)
        certificate = problem.judge(x)
        assert 0 < certificate.details["floor"] <= certificate.value
        if jac is None:
            assert not certificate.holds(1e-3)
        else:
            assert certificate.value >= np.abs(jac(x)).max() * (1 - 1e-9)


BOXES = {
    "inside": (-9.0, 9.0),
    "lower": (0.25, 9.0),
    "upper": (-9.0, 0.25),
    "narrow": (0.25 - 1e-6, 0.25 + 2e-6),
    "narrow left": (0.25, 0.25 + 1e-9),
    "fixed": (0.25, 0.25),
}


@pytest.mark.parametrize("name", list(BOXES))
def test_differences_stay_inside_the_bounds(name):
    lower, upper = BOXES[name]
    seen = []

    def fun(x):
        seen.append(x[0])
        return np.exp(x[0])

    problem = fejer.SmoothProblem(fun, x0=[0.25], bounds=[(lower, upper)])
    gradient = problem.oracle(np.array([0.25])).grad
    assert lower <= min(seen) and max(seen) <= upper
    if name != "fixed":
        assert gradient[0] == pytest.approx(np.exp(0.25), rel=1e-5)
    assert not problem.judge(np.array([0.25])).value > 2


def test_nan_and_infinite_values():
    problem = make(fun=lambda x: np.nan if x[0] > 1 else bowl(x))
    assert problem.judge(np.array([2.0, 1.0])).value == np.inf
    assert "fun" in problem.judge(np.array([2.0, 1.0])).reason
    problem = make(jac=lambda x: np.full(2, np.inf))
    assert "jac" in problem.judge(np.ones(2)).reason


FORMS = {
    "plain": {},
    "pair": {"fun": lambda x: (bowl(x), bowl_grad(x)), "jac": True},
    "differences": {"jac": None},
    "integers": {"fun": lambda x: np.int64(0) + bowl(x), "x0": [0, 3]},
    "float32": {"jac": lambda x: bowl_grad(x).astype(np.float32)},
    "list": {"jac": lambda x: bowl_grad(x).tolist()},
    "row": {"jac": lambda x: bowl_grad(x)[None, :]},
    "mutating": {"fun": lambda x: bowl(x) + 0 * (x.fill(0.0) or 0)},
    "args": {
        "fun": lambda x, a, b: a * bowl(x) + b,
        "jac": lambda x, a, b: a * bowl_grad(x),
        "args": (1.0, 2.0),
    },
    "one bare argument": {
        "fun": lambda x, a: a * bowl(x),
        "jac": lambda x, a: a * bowl_grad(x),
        "args": 2.0,
    },
    "Bounds": {"bounds": Bounds([-5, -5], 5)},
    "scalar Bounds": {"bounds": Bounds()},
    "pairs": {"bounds": [(None, None), (-np.inf, 4)]},
    "array of bounds": {"bounds": np.array([[-5, 5], [-5, 5]])},
    "no start": {"x0": None, "bounds": [(-5, 5)] * 2},
    "start outside": {"x0": [-9.0, 9.0], "bounds": [(-5, 5)] * 2},
    "empty bounds": {"bounds": []},
    "sparse Hessian": {"hess": lambda x: 2 * sparse.eye_array(2)},
}


@pytest.mark.parametrize("name", list(FORMS))
def test_every_form_gives_the_same_answer(name):
    problem = make(**FORMS[name])
    result = fejer.minimize(problem, method=LBFGS(), tol=1e-6)
    assert result.success, result.message
    np.testing.assert_allclose(result.x, np.ones(2), atol=1e-6)
    again = problem.replace(scale=2.0)
    assert again.judge(np.zeros(2)).value == pytest.approx(problem.judge(np.zeros(2)).value / 2)


def test_derivative_checks():
    right = fejer.SmoothProblem(rosen, rosen_der, [0.5, 2.0, 1.0], rosen_hess)
    found = fejer.check_derivatives(right)
    assert found.ok and [check.name for check in found.checks] == ["jac", "hess"]
    assert found["jac"].slope > 1.7
    wrong = right.replace(hess=lambda x: rosen_hess(x) + np.diag([0.0, 0.0, 1.0]))
    assert not fejer.check_derivatives(wrong).ok
    # one small entry beside large ones
    wrong = make(fun=lambda x: 1e6 * x[0] + x[1], jac=lambda x: np.array([1e6, 2.0]))
    assert not fejer.check_derivatives(wrong).ok
    # many variables: random directions
    large = fejer.SmoothProblem(rosen, rosen_der, np.linspace(-1, 1, 200))
    assert fejer.check_derivatives(large).ok


def test_pickling_and_read_only():
    problem = fejer.SmoothProblem.random()
    copy = pickle.loads(pickle.dumps(problem))
    x = np.linspace(-0.4, 0.4, problem.size)
    assert copy.judge(x).value == problem.judge(x).value
    assert not copy.bounds.flags.writeable and not copy.x0.flags.writeable
    assert copy.fingerprint() == problem.fingerprint()


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"fun": lambda x: x}, "fun"),
        ({"fun": lambda x: None}, "fun"),
        ({"fun": lambda x: "a"}, "fun"),
        ({"fun": lambda x: 1j}, "fun"),
        ({"fun": lambda x: np.nan}, "fun"),
        ({"fun": lambda x: -np.inf}, "fun"),
        ({"fun": lambda x: 10**400}, "fun"),
        ({"jac": True}, "fun"),
        ({"jac": lambda x: np.ones(3)}, "jac"),
        ({"jac": lambda x: [1.0, np.nan]}, "jac"),
        ({"jac": lambda x: np.ones((2, 2))}, "jac"),
    ],
)
def test_bad_answers_at_the_start_are_named(fields, name):
    with pytest.raises(OracleError, match=name):
        fejer.minimize(make(**fields), method=LBFGS())


BAD_FIELDS = [
    ("fun", {"fun": None}),
    ("fun", {"fun": 1.0}),
    ("fun", {"fun": dict}),
    ("jac", {"jac": "3-point"}),
    ("jac", {"jac": False}),
    ("jac", {"jac": np.ones(2)}),
    ("hess", {"hess": True}),
    ("hess", {"hess": np.eye(2)}),
    ("x0", {"x0": None}),
    ("x0", {"x0": []}),
    ("x0", {"x0": np.ones((2, 2))}),
    ("x0", {"x0": [np.nan, 1]}),
    ("x0", {"x0": [1j, 1]}),
    ("x0", {"x0": "start"}),
    ("bounds", {"bounds": 3}),
    ("bounds", {"bounds": [(0, 1)]}),
    ("bounds", {"bounds": [(0, 1, 2)] * 2}),
    ("bounds", {"bounds": [(1, 0)] * 2}),
    ("bounds", {"bounds": [(np.nan, 1)] * 2}),
    ("bounds", {"bounds": [(np.inf, np.inf)] * 2}),
    ("bounds", {"bounds": [(-np.inf, -np.inf)] * 2}),
    ("bounds", {"bounds": [("a", 1)] * 2}),
    ("bounds", {"bounds": [(1j, 1)] * 2}),
    ("bounds", {"bounds": Bounds(0, [1, 1, 1])}),
    ("scale", {"scale": 0}),
    ("scale", {"scale": np.inf}),
    ("scale", {"scale": None}),
]


@pytest.mark.parametrize(("name", "fields"), BAD_FIELDS)
def test_bad_fields_are_named(name, fields):
    with pytest.raises(ProblemError, match=name):
        make(**fields)


def test_bad_size_of_random():
    with pytest.raises(ProblemError, match="n"):
        fejer.SmoothProblem.random(0)
