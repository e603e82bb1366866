"""FiniteSumHessian: against numpy, in gns whole and sampled, through scipy's call, bad input."""

import numpy as np
import pytest
from scipy import sparse
from scipy.optimize import minimize as scipy_minimize

import fejer

N, D = 3000, 6
RNG = np.random.default_rng(0)
A = RNG.standard_normal((N, D)) * np.geomspace(1.0, 1e-2, D)
C = np.geomspace(0.1, 1.0, D) * 1e-2


def fun(x):
    """A sum of softplus terms, a linear term and a quartic that is not sampled."""
    return np.logaddexp(0, A @ x).mean() - 0.3 * (A.mean(axis=0) @ x) + (C * x**4).sum() / 12


def grad(x):
    return A.T @ (0.5 + 0.5 * np.tanh(A @ x / 2) - 0.3) / N + C * x**3 / 3


def weights(x):
    return 0.25 / np.cosh(A @ x / 2) ** 2 / N


def rest(x):
    return np.diag(C * x**2)


def problem(store=np.asarray, add=rest):
    hess = fejer.FiniteSumHessian(store(A), weights, add)
    return fejer.SmoothProblem(fun, grad, np.ones(D), hess)


def twin(x, rows=slice(None)):
    return (A[rows].T * weights(x)[rows]) @ A[rows] * (N / len(A[rows])) + rest(x)


STORES = {"dense": np.asarray, "sparse": sparse.csr_array, "fortran": np.asfortranarray}


@pytest.mark.parametrize("store", STORES.values(), ids=STORES.keys())
def test_sums_are_those_of_numpy(store):
    hess = problem(store).hess
    x = np.linspace(-1, 1, D)
    np.testing.assert_allclose(hess(x), twin(x), rtol=1e-12)
    rows = np.sort(RNG.choice(N, 100, replace=False))
    scale = np.abs(twin(x, rows)).max()
    np.testing.assert_allclose(hess.sampled(x, rows), twin(x, rows), rtol=1e-5, atol=1e-6 * scale)
    assert hess.shape == (N, D)
    (check,) = [c for c in problem(store).derivative_checks(x) if c[0] == "hess"]
    assert min(check[2]) < 1e-6


@pytest.mark.parametrize("add", [None, 0.5, 0.5 * np.eye(D), lambda x: 0.5, lambda x: None])
def test_all_kinds_of_rests(add):
    x = np.ones(D)
    known = add(x) if callable(add) else add
    expected = twin(x) - rest(x) + (0.0 if known is None else 0.5 * np.eye(D))
    np.testing.assert_allclose(fejer.FiniteSumHessian(A, weights, add)(x), expected, rtol=1e-12)


@pytest.mark.parametrize("hessian", ["auto", "exact", "sketch"])
def test_sampled_and_whole_hessians_reach_one_minimum(hessian):
    best = scipy_minimize(fun, np.ones(D), jac=grad, hess=twin, method="trust-exact", tol=1e-12)
    result = fejer.minimize(problem(), method="gns", options={"hessian": hessian}, tol=1e-8)
    assert result.success
    assert result.fun == pytest.approx(best.fun, abs=1e-11)
    again = fejer.minimize(problem(), method="gns", options={"hessian": hessian}, tol=1e-8)
    assert again.x.tobytes() == result.x.tobytes()


def test_scipys_call_and_further_arguments():
    hess = fejer.FiniteSumHessian(A, lambda x, k: k * weights(x), lambda x, k: k * rest(x))
    result = fejer.minimize(
        lambda x, k: k * fun(x),
        np.ones(D),
        args=(2.0,),
        jac=lambda x, k: k * grad(x),
        hess=hess,
        method="gns",
        tol=1e-9,
    )
    assert result.success
    assert result.fun == pytest.approx(2 * fejer.minimize(problem(), method="gns", tol=1e-9).fun)


def test_few_whole_hessians_are_made():
    made = []

    class Counted(fejer.FiniteSumHessian):
        def __call__(self, x, *args):
            made.append(x)
            return super().__call__(x, *args)

    counted = fejer.SmoothProblem(fun, grad, np.ones(D), Counted(A, weights, rest))
    assert fejer.minimize(counted, method="gns", tol=1e-9).success
    assert len(made) <= 3


def test_the_error_of_a_sketch_is_the_root_of_variables_over_rows():
    """Newton steps with a sketch contract the gradient by about sqrt(n/s)."""
    data = np.random.default_rng(1).standard_normal((20_000, 10))
    hess = fejer.FiniteSumHessian(data, lambda x: np.full(20_000, 1 / 20_000))
    H, found = hess(np.zeros(10)), []
    for s in (100, 400, 1600):
        errors = []
        for seed in range(30):
            rows = np.sort(np.random.default_rng(seed).choice(20_000, s, replace=False))
            g = np.random.default_rng(seed).standard_normal(10)
            left = g - H @ np.linalg.solve(hess.sampled(np.zeros(10), rows), g)
            errors.append(np.linalg.norm(left) / np.linalg.norm(g))
        found.append(np.mean(errors) / np.sqrt(10 / s))
    assert all(0.5 < ratio < 1.5 for ratio in found)


BAD = {
    "A nan": (dict(A=A * np.nan), "A: "),
    "A text": (dict(A="A"), "A: "),
    "A operator": (dict(A=sparse.linalg.aslinearoperator(A)), "A: expected rows"),
    "weights": (dict(weights=np.ones(N)), "weights: expected a callable"),
    "weights None": (dict(weights=None), "weights: expected a callable"),
    "add shape": (dict(add=np.eye(D + 1)), "add: expected shape"),
    "add text": (dict(add="rest"), "add: expected real numbers"),
}


@pytest.mark.parametrize("name", list(BAD))
def test_bad_input_is_named(name):
    fields, text = BAD[name]
    with pytest.raises(fejer.ProblemError, match=f"^{text}"):
        fejer.FiniteSumHessian(**{"A": A, "weights": weights, **fields})


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (np.ones(N - 1), "expected shape"),
        (-np.ones(N), "expected finite numbers >= 0, got -1"),
        (np.full(N, np.nan), "expected finite numbers >= 0, got nan"),
        (np.full(N, 1j), "expected real numbers"),
        ("many", "expected real numbers"),
    ],
)
def test_wrong_weights_are_named_when_asked_for(answer, text):
    hess = fejer.FiniteSumHessian(A, lambda x: answer)
    with pytest.raises(fejer.OracleError, match=f"^weights: {text}"):
        hess(np.zeros(D))


def test_a_hess_without_rows_has_no_sketch():
    plain = fejer.SmoothProblem(fun, grad, np.ones(D), twin)
    with pytest.raises(fejer.MethodError, match="no FiniteSumHessian"):
        fejer.minimize(plain, method="gns", options={"hessian": "sketch"})
