"""`fejer.linprog` against `scipy.optimize.linprog`: points, residuals and marginals."""

import numpy as np
import pytest
import scipy.sparse as sp
from scipy import optimize

import fejer


def drawn(seed):
    """Random arguments of linprog, with a unique and non-degenerate solution (almost surely)."""
    rng = np.random.default_rng(seed)
    n, n_ub, n_eq = 8, 4, 2
    A_ub, A_eq = rng.standard_normal((n_ub, n)), rng.standard_normal((n_eq, n))
    x = rng.uniform(0.2, 0.8, n)
    bounds = [(0, 1), (0, None), (None, None), (None, 1), (0, 1), (-1, 1), (0, 2), (0.5, 0.5)]
    x[7] = 0.5
    y_ub, y_eq = -rng.uniform(0.1, 1, n_ub), rng.standard_normal(n_eq)
    y_ub[: n_ub // 2] = 0.0
    z = rng.standard_normal(n)
    z[1], z[2], z[3] = abs(z[1]), 0.0, -abs(z[3])
    c = A_ub.T @ y_ub + A_eq.T @ y_eq + z
    b_ub = A_ub @ x + np.where(y_ub == 0, 1.0, 0.0)
    return c, A_ub, b_ub, A_eq, A_eq @ x, bounds


@pytest.mark.parametrize("method", ["auto", "highs", "highs-ds", "highs-ipm", "pdhg"])
@pytest.mark.parametrize("seed", range(6))
def test_same_as_scipy(seed, method):
    arguments = drawn(seed)
    theirs = optimize.linprog(*arguments)
    tol = 1e-8 if method == "pdhg" else 1e-6
    ours = fejer.linprog(*arguments, method=method, tol=tol)
    assert ours.success and theirs.success
    close = {"rtol": 1e-5, "atol": 1e-5} if method == "pdhg" else {"rtol": 1e-7, "atol": 1e-8}
    assert ours.fun == pytest.approx(theirs.fun, rel=1e-6)
    for name in ("x", "slack", "con"):
        np.testing.assert_allclose(ours[name], theirs[name], **close)
    for name in ("ineqlin", "eqlin", "lower", "upper"):
        np.testing.assert_allclose(ours[name].marginals, theirs[name].marginals, **close)
        np.testing.assert_allclose(ours[name].residual, theirs[name].residual, **close)


def test_marginals_are_derivatives():
    c, A_ub, b_ub, A_eq, b_eq, bounds = drawn(0)
    result = fejer.linprog(c, A_ub, b_ub, A_eq, b_eq, bounds)
    h = 1e-5
    for i in range(b_ub.size):
        moved = fejer.linprog(c, A_ub, b_ub + h * (np.arange(4) == i), A_eq, b_eq, bounds)
        assert (moved.fun - result.fun) / h == pytest.approx(result.ineqlin.marginals[i], abs=1e-5)
    for i in range(b_eq.size):
        moved = fejer.linprog(c, A_ub, b_ub, A_eq, b_eq + h * (np.arange(2) == i), bounds)
        assert (moved.fun - result.fun) / h == pytest.approx(result.eqlin.marginals[i], abs=1e-5)
    moved = fejer.linprog(c, A_ub, b_ub, A_eq, b_eq, [(h, 1), *bounds[1:]])
    assert (moved.fun - result.fun) / h == pytest.approx(result.lower.marginals[0], abs=1e-5)


def test_sparse_and_single_blocks():
    c, A_ub, b_ub, A_eq, b_eq, _ = drawn(1)
    for blocks in ((sp.csr_array(A_ub), b_ub, A_eq, b_eq), (None, None, A_eq, b_eq)):
        box = (-2, 2)
        theirs = optimize.linprog(c, *blocks, box)
        ours = fejer.linprog(c, *blocks, box)
        assert ours.fun == pytest.approx(theirs.fun)
        assert ours.ineqlin.marginals.size == (4 if blocks[0] is not None else 0)
        assert ours.eqlin.residual.size == 2
    only = fejer.linprog(c, A_ub, b_ub, bounds=(-1, 1))
    assert only.eqlin.marginals.size == 0 and only.con.size == 0


def test_no_solution():
    nothing = fejer.linprog([1, 1], [[1, 1]], [-1])
    assert nothing.status is fejer.Status.INFEASIBLE and not nothing.success
    falling = fejer.linprog([-1, 1], [[-1, 1]], [1])
    assert falling.status is fejer.Status.UNBOUNDED
    assert np.isnan(falling.ineqlin.marginals).all() and np.isnan(falling.lower.marginals[0])


def test_scipy_s_options():
    c, *rest = drawn(2)
    short = fejer.linprog(c, *rest, method="pdhg", options={"maxiter": 3})
    assert short.status is fejer.Status.MAX_ITER and short.nit == 3
    late = fejer.linprog(c, *rest, method="pdhg", options={"time_limit": 0.0})
    assert late.status is fejer.Status.MAX_TIME
    quick = fejer.linprog(c, *rest, method="highs", options={"presolve": False})
    assert quick.success
    seen = []
    fejer.linprog(c, *rest, callback=lambda intermediate_result: seen.append(intermediate_result))
    assert seen and seen[-1].certificate.holds(1e-6)


def test_refusals():
    with pytest.raises(fejer.ProblemError, match="integrality"):
        fejer.linprog([1, 1], integrality=[1, 0])
    assert fejer.linprog([1, 1], integrality=[0, 0]).success
    with pytest.raises(fejer.OptionError, match="algorithm"):
        fejer.linprog([1], method="highs-ds", options={"algorithm": "simplex"})
    with pytest.raises(fejer.MethodError, match="unknown method"):
        fejer.linprog([1], method="revised simplex")
    with pytest.raises(fejer.ProblemError, match="b_ub"):
        fejer.linprog([1], [[1]], [1, 2])


def test_warm_start():
    c, *rest = drawn(3)
    first = fejer.linprog(c, *rest)
    again = fejer.linprog(c, *rest, method="pdhg", x0=first)
    assert again.success and again.nit == 0
