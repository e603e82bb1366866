"""SmoothComposite and gns: twins, scikit-learn, invariance, rates, attacks, bad input."""

import numpy as np
import pytest
from scipy import sparse
from scipy.optimize import minimize as scipy_minimize
from scipy.optimize import rosen, rosen_der, rosen_hess
from scipy.special import logsumexp

import fejer
from fejer.problems.constrained._composite import LOSSES, spaced_rows


def value(problem, x):
    """The objective in plain numpy."""
    A, y = problem.A.toarray(), problem.y
    penalty = 0.5 * problem.l2 * x @ x
    if problem.loss == "logistic":
        return np.logaddexp(0, -y * (A @ x)).mean() + penalty
    if problem.loss == "softmax":
        t = A @ x.reshape(problem.classes, -1).T
        return (logsumexp(t, axis=1) - t[np.arange(len(y)), y.astype(int)]).mean() + penalty
    u = A @ x - y
    if problem.loss == "logsumexp":
        return problem.smoothing * logsumexp(u / problem.smoothing) + penalty
    return np.linalg.norm(u) ** problem.power / problem.power + penalty


def quotient(function, x, h=1e-5):
    return np.array([(function(x + h * e) - function(x - h * e)) / (2 * h) for e in np.eye(x.size)])


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("store", [np.asarray, sparse.csr_array], ids=["dense", "sparse"])
def test_values_and_derivatives(loss, store):
    drawn = fejer.SmoothComposite.random(40, 4, loss=loss, seed=1)
    problem = drawn.replace(A=store(drawn.A.toarray()))
    x = 0.3 * np.random.default_rng(0).standard_normal(problem.size)
    at = problem.evaluate(x)
    assert at.fun == pytest.approx(value(problem, x), rel=1e-12)
    g = quotient(lambda v: value(problem, v), x)
    np.testing.assert_allclose(at.grad, g, rtol=1e-6, atol=1e-6 * np.abs(g).max())
    H = quotient(lambda v: problem.evaluate(v).grad, x)
    np.testing.assert_allclose(at.hessian("exact"), H, rtol=1e-5, atol=1e-6 * np.abs(H).max())


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("hessian", ["exact", "gauss-newton", "none"])
def test_all_approximations_reach_the_minimum(loss, hessian):
    problem = fejer.SmoothComposite.random(60, 5, loss=loss)
    if loss == "softmax":
        problem = problem.replace(l2=0.3)
    theirs = scipy_minimize(
        lambda v: value(problem, v),
        np.zeros(problem.size),
        jac=lambda v: problem.evaluate(v).grad,
        method="BFGS",
        options={"gtol": 1e-9},
    )
    result = fejer.minimize(problem, method="gns", options={"hessian": hessian}, tol=1e-7)
    assert result.success
    assert result.fun <= theirs.fun + 1e-9 * max(1.0, abs(theirs.fun))


def test_agrees_with_scikit_learn():
    from sklearn.linear_model import LogisticRegression

    problem = fejer.SmoothComposite.random(500, 8, seed=3)
    C = 1 / (problem.l2 * 500)
    model = LogisticRegression(C=C, fit_intercept=False, tol=1e-10, solver="newton-cholesky")
    model.fit(problem.A.toarray(), problem.y)
    ours = fejer.minimize(problem, method="gns", tol=1e-9)
    np.testing.assert_allclose(ours.x, model.coef_.ravel(), atol=1e-7)


def test_accepted_steps_never_raise_f_and_units_do_not_matter():
    problem = fejer.SmoothComposite.random(seed=2)
    units = 10.0 ** np.arange(-5, 5)
    other = problem.replace(A=problem.A.toarray() * units, l2=0.0)
    problem = problem.replace(l2=0.0)
    runs = [
        [step for step in fejer.steps(p, "gns", tol=1e-9, max_iter=5)] for p in (problem, other)
    ]
    for a, b in zip(*runs, strict=True):
        np.testing.assert_allclose(a.x, b.x * units, rtol=1e-6, atol=1e-9)
    values = [step.fun for step in runs[0]]
    assert (np.diff(values) <= 1e-14).all()


def test_sketches_repeat_and_reach_what_exact_hessians_reach():
    problem = fejer.SmoothComposite.random(4000, 12)
    exact = fejer.minimize(problem, method="gns", options={"hessian": "exact"}, tol=1e-9)
    options = {"hessian": "sketch"}
    one, two = (fejer.minimize(problem, method="gns", options=options, tol=1e-9) for _ in range(2))
    assert one.success and one.x.tobytes() == two.x.tobytes()
    assert one.fun == pytest.approx(exact.fun, abs=1e-13)
    assert one.nit <= 3 * exact.nit + 5
    small = fejer.SmoothComposite.random(60, 4)  # a sketch of all rows, in single precision
    a, b = (
        fejer.minimize(small, method="gns", options={"hessian": h}, max_iter=3, tol=0.0).x
        for h in ("exact", "sketch")
    )
    np.testing.assert_allclose(a, b, atol=1e-4)


def test_rosenbrock():
    result = fejer.minimize(
        rosen, [-2.0, 2.0], jac=rosen_der, hess=rosen_hess, method="gns", tol=1e-9
    )
    assert result.success
    np.testing.assert_allclose(result.x, 1.0, atol=1e-7)


def test_rates():
    """Linear for logistic losses; 1/k at most for H = 0 (convex, smooth)."""
    problem = fejer.SmoothComposite.random(300, 6)
    best = fejer.minimize(problem, method="gns", tol=1e-12).fun
    exact = [s.fun - best for s in fejer.steps(problem, "gns", tol=0.0, max_iter=12)]
    assert exact[8] < 1e-6 * exact[0]
    none = [
        s.fun - best
        for s in fejer.steps(problem, "gns", tol=0.0, max_iter=40, options={"hessian": "none"})
    ]
    k = np.arange(1, len(none))
    assert (k * np.array(none[1:]) <= 4 * none[0]).all()
    assert fejer.solvers.general.gns.GNS(hessian="none").rate.form == "sublinear"


def test_a_column_of_large_numbers_hides_no_other_one():
    """Only the wide column is fitted: every norm of the gradient is dominated by its unit."""
    rng = np.random.default_rng(0)
    A = rng.standard_normal((300, 5))
    y = np.where(A @ rng.standard_normal(5) + rng.standard_normal(300) > 0, 1.0, -1.0)
    wide = A.copy()
    wide[:, 0] *= 1e6
    problem = fejer.SmoothComposite(wide, y)
    alone = fejer.minimize(fejer.SmoothComposite(wide[:, :1], y), tol=1e-10)
    x = np.zeros(5)
    x[0] = alone.x[0]
    assert problem.judge(x).value > 0.05
    assert fejer.minimize(problem, tol=1e-8).success


@pytest.mark.parametrize("loss", LOSSES)
def test_points_off_the_minimum_fail(loss):
    problem = fejer.SmoothComposite.random(loss=loss)
    result = fejer.minimize(problem, tol=1e-9)
    rng = np.random.default_rng(0)
    for _ in range(10):
        x = result.x + 1e-2 * rng.standard_normal(result.x.size)
        assert not fejer.verify(problem, x).holds(1e-5)
    if problem.l2 > 0:
        assert fejer.verify(problem, x).lower_bound <= result.fun
    for size in (1e8, 1e200):
        assert not problem.judge(np.full(problem.size, size)).holds(1e-3)


A, Y = np.array([[1.0, 2.0], [0.0, 1.0], [1.0, 0.0]]), [1, -1, 1]
BAD = {
    "A nan": (dict(A=A * np.nan), "A: "),
    "A text": (dict(A="A"), "A: "),
    "y length": (dict(y=[1, -1]), "y: "),
    "y labels": (dict(y=[1, 2, 1]), "y: "),
    "one class": (dict(y=[1, 1, 1]), "y: .*two classes"),
    "loss": (dict(loss="hinge"), "loss: "),
    "l2": (dict(l2=-1.0), "l2: "),
    "l2 nan": (dict(l2=np.nan), "l2: "),
    "softmax labels": (dict(loss="softmax", y=[0.5, 1, 2]), "y: "),
    "softmax negative": (dict(loss="softmax", y=[-1, 1, 2]), "y: "),
    "smoothing": (dict(loss="logsumexp", smoothing=0.0), "smoothing: "),
    "power": (dict(loss="power", power=1.5), "power: "),
}


@pytest.mark.parametrize("name", list(BAD))
def test_bad_input_is_named(name):
    fields, text = BAD[name]
    with pytest.raises(fejer.ProblemError, match=f"^{text}"):
        fejer.SmoothComposite(**{"A": A, "y": Y, **fields})


@pytest.mark.parametrize(
    ("options", "text"),
    [({"hessian": "sketch"}, "that are sums"), ({"hessian": "fisher"}, "power of residuals")],
)
def test_approximations_that_a_loss_does_not_have(options, text):
    problem = fejer.SmoothComposite.random(loss="logsumexp")
    with pytest.raises(fejer.MethodError, match=text):
        fejer.minimize(problem, method="gns", options=options)
    with pytest.raises(fejer.MethodError, match="no hess"):
        fejer.minimize(rosen, [0.0, 0.0], method="gns")
    with pytest.raises(fejer.MethodError, match="bounds"):
        fejer.minimize(rosen, [0.0, 0.0], hess=rosen_hess, bounds=[(0, 1)] * 2, method="gns")


@pytest.mark.parametrize("store", [np.asarray, sparse.csr_array], ids=["dense", "sparse"])
def test_sampled_hessians_are_those_of_their_rows(store):
    rng = np.random.default_rng(0)
    A = rng.standard_normal((900, 4))
    y = np.where(rng.random(900) < 0.5, 1.0, -1.0)
    problem = fejer.SmoothComposite(store(A), y, l2=0.1)
    x = rng.standard_normal(4)
    at = problem.oracle(x)
    q = 1 / (1 + np.exp(-(A @ x)))

    def expected(rows):
        weights = (q * (1 - q))[rows] / rows.size
        return (A[rows].T * weights) @ A[rows] + 0.1 * np.eye(4)

    some, spaced, every = np.sort(rng.choice(900, 80)), spaced_rows(900, 11), np.arange(900)
    assert (spaced // 11 == np.arange(82)).all() and np.unique(spaced % 11).size > 5
    np.testing.assert_allclose(at.hessian("sketch", some), expected(some), rtol=1e-5)
    np.testing.assert_allclose(at.spaced_hessian(20), expected(spaced), rtol=1e-5)
    np.testing.assert_allclose(at.hessian("single"), expected(every), rtol=1e-5)
    np.testing.assert_allclose(at.hessian("exact"), expected(every), rtol=1e-12)


def test_sampled_softmax_hessians_are_those_of_their_rows():
    problem = fejer.SmoothComposite.random(500, 4, loss="softmax", seed=1)
    x = 0.3 * np.random.default_rng(0).standard_normal(problem.size)
    rows = np.sort(np.random.default_rng(1).choice(500, 60, replace=False))
    rows[0] = np.flatnonzero(problem.y == 2)[0]  # all classes are there
    part = problem.replace(A=problem.A.toarray()[rows], y=problem.y[rows])
    found = problem.oracle(x).hessian("sketch", rows)
    np.testing.assert_allclose(found, part.oracle(x).hessian("exact"), rtol=1e-9, atol=1e-12)
    options = {"hessian": "sketch"}
    result = fejer.minimize(problem, method="gns", options=options, tol=1e-8)
    exact = fejer.minimize(problem, method="gns", tol=1e-8)
    assert result.success and result.fun == pytest.approx(exact.fun, abs=1e-12)


def test_secant_updates_keep_positive_matrices_positive():
    from fejer.solvers.general.gns import _secant

    rng = np.random.default_rng(0)
    for _ in range(20):
        M, h, y = rng.standard_normal((6, 6)), rng.standard_normal(6), rng.standard_normal(6)
        H = M @ M.T + 1e-3 * np.eye(6)
        new = _secant(H, h, y)
        if y @ h > 0:
            np.testing.assert_allclose(new @ h, y, rtol=1e-9, atol=1e-9)
            assert np.linalg.eigvalsh(new).min() > 0
        else:
            assert new is H


def test_one_whole_hessian_follows_the_sketches():
    problem = fejer.SmoothComposite.random(4000, 12)
    kinds = []

    class Watched(type(problem.evaluate(problem.initial_point()))):
        def hessian(self, approximation, rows=None):
            kinds.append(approximation)
            return super().hessian(approximation, rows)

    class Problem(fejer.SmoothComposite):
        def evaluate(self, x):
            return Watched(self, x.copy())

    watched = Problem(problem.A, problem.y, l2=problem.l2)
    result = fejer.minimize(watched, method="gns", tol=1e-10)
    assert result.success and 1 <= kinds.count("single") <= 2
    assert result.work <= 12
