"""EqualityNLP: the certificate against a twin, closed forms, attacks and hostile functions."""

import numpy as np
import pytest

import fejer
from fejer.errors import OracleError
from tests.constrained import hock_schittkowski as hs
from tests.constrained import twin
from tests.constrained.examples import quadratic, solve


# ---- the value ----------------------------------------------------------------------------------
@pytest.mark.parametrize("number", list(hs.TABLE))
def test_value_is_the_twins(number):
    f, c, x0, _ = hs.TABLE[number]
    problem = hs.problem(number, scale=2.0)
    grad, jac = hs.complex_step(f), hs.complex_step(c)
    rng = np.random.default_rng(number)
    for length in (0.0, 1e-6, 1.0):
        x = np.array(x0, dtype=float) + length * rng.standard_normal(len(x0))
        g, values, G = grad(x), c(x), jac(x)
        expected = twin.kkt(g, values, G, x, scale=2.0)
        assert problem.judge(x).value == pytest.approx(expected, rel=1e-9)
        l = rng.standard_normal(values.size)
        expected = twin.kkt(g, values, G, x, l, scale=2.0)
        assert problem.judge(x, {"multipliers": l}).value == pytest.approx(expected, rel=1e-9)


def test_solution_and_multipliers_of_a_quadratic():
    for seed in range(5):
        problem, x, l, _ = quadratic(seed=seed)
        certificate = problem.judge(x)
        assert certificate.value < 1e-12
        np.testing.assert_allclose(problem.multipliers(x), l, rtol=1e-8, atol=1e-9)
        result = solve(problem, 1e-10)
        assert result.success
        np.testing.assert_allclose(result.x, x, atol=1e-8)
        np.testing.assert_allclose(result.multipliers, l, atol=1e-7)


def test_moved_points_fail():
    """Points whose residual, by the twin, is 3 tol: 200 of them, with the old witness."""
    tol, count = 1e-6, 0
    for seed in range(20):
        problem, x, l, (Q, b, A, r) = quadratic(seed=seed)
        rng = np.random.default_rng(seed)
        for _ in range(10):
            direction = rng.standard_normal(x.size)

            def residual(t, d=direction, Q=Q, b=b, A=A, r=r, x=x):
                y = x + t * d
                return twin.kkt(Q @ y - b, A @ y - r, A, y)

            t = 3 * tol / residual(1.0)  # the residual of a quadratic is nearly linear in t
            t *= 3 * tol / residual(t)
            certificate = problem.judge(x + t * direction, {"multipliers": l})
            assert not certificate.holds(tol)
            assert certificate.value == pytest.approx(3 * tol, rel=0.05) or certificate.value > tol
            count += 1
    assert count == 200


def test_judging_again_with_its_witness_gives_the_same_value():
    rng = np.random.default_rng(0)
    problem = fejer.EqualityNLP.random()
    for _ in range(20):
        x = rng.standard_normal(problem.size)
        first = problem.judge(x, {"multipliers": rng.standard_normal(3)})
        again = problem.judge(x, first.witness)
        assert again.value == first.value
        assert problem.judge(x).value >= first.value


WITNESSES = {
    "none": {},
    "text": {"multipliers": "garbage"},
    "object": {"multipliers": object()},
    "short": {"multipliers": np.zeros(1)},
    "square": {"multipliers": np.zeros((3, 3))},
    "nan": {"multipliers": np.full(3, np.nan)},
    "inf": {"multipliers": np.full(3, np.inf)},
    "huge": {"multipliers": np.full(3, 1e9)},
    "huger": {"multipliers": np.full(3, 1e300)},
    "complex": {"multipliers": np.full(3, 1j)},
    "other": {"dual": np.ones(3), "ray": np.ones(3)},
    "noisy": {"multipliers": np.array([0.3, -2.0, 1.0])},
}


@pytest.mark.parametrize("name", list(WITNESSES))
def test_hostile_witnesses_buy_nothing(name):
    problem = fejer.EqualityNLP.random()
    rng = np.random.default_rng(1)
    for x in (rng.standard_normal(8), 1e8 * rng.standard_normal(8), np.zeros(8)):
        at = problem.at(x)
        # no multipliers make the 2-norm smaller than the least-squares ones do
        least = np.linalg.norm(at.lagrangian_gradient(at.multipliers)) / np.sqrt(8)
        truth = max(least, np.abs(at.constraint).max())
        assert problem.judge(x, WITNESSES[name]).value >= 0.999 * truth


# ---- attacks ------------------------------------------------------------------------------------
def test_huge_multipliers_enter_no_scale():
    """A nearly dependent row has multipliers of 1e8; mean |l| / 100 would divide by 1e6."""
    A = np.array([[1.0, 0.0, 0.0], [1.0, 1e-8, 0.0]])
    problem = fejer.EqualityNLP(
        lambda x: x[1] + 0.5 * x[2] ** 2,
        lambda x: np.array([0.0, 1.0, x[2]]),
        x0=np.ones(3),
        linear=(A, np.zeros(2)),
    )
    certificate = problem.judge(np.array([0.0, 0.0, 1e-2]))
    assert np.abs(certificate.witness["multipliers"]).max() > 1e7
    assert certificate.value >= 1e-2
    assert certificate.details["scaled_stationarity"] < 1e-6  # the residual that was fooled


def test_rounding_at_large_points_is_in_the_value():
    """x_1 + 1 = x_2 holds in float64 at 1e17."""
    problem = fejer.EqualityNLP(
        lambda x: 0.0,
        lambda x: np.zeros(2),
        lambda x: [(x[0] + 1.0) - x[1]],
        lambda x: [[1.0, -1.0]],
        x0=[0.0, 0.0],
    )
    certificate = problem.judge(np.full(2, 1e17))
    assert certificate.details["feasibility"] == 0.0
    assert certificate.value > 1.0
    assert not problem.judge(np.full(2, 1e200)).holds(1e-6)


def test_multipliers_beyond_rounding_are_in_the_value():
    """G'l cancels g only in float64: terms of 1e17, whose rounding exceeds any tol."""
    problem = fejer.EqualityNLP(
        lambda x: x[0],
        lambda x: np.array([1.0, 0.0]),
        lambda x: np.zeros(2),
        lambda x: np.array([[1.0, 0.0], [1.0, 0.0]]) * 1e-10,
        x0=[0.0, 0.0],
    )
    wrong = {"multipliers": np.array([1e27, -1e27])}
    assert problem.judge(np.zeros(2), wrong).value < 1e-12  # the own multipliers serve
    assert np.abs(problem.judge(np.zeros(2), wrong).witness["multipliers"]).max() < 1e11


def test_differences_that_see_nothing_do_not_pass():
    """cos(k x), whose period is the step of the difference quotient: they are 0 everywhere."""
    step = 2.0 ** (-52 / 3)
    problem = fejer.EqualityNLP(lambda x: np.cos(np.pi / step * x[0]), x0=[0.3])
    certificate = problem.judge(np.array([0.3]))
    assert not certificate.holds(1e-2)


def test_contradicting_rows_are_proven():
    rng = np.random.default_rng(0)
    for scale in (1.0, 1e9, 1e-9):
        A = rng.standard_normal((3, 5))
        A[2] = A[0] - 2 * A[1]
        b = np.array([1.0, 2.0, -3.0 + 0.01])
        A[2] *= scale
        b[2] *= scale
        problem = fejer.EqualityNLP(lambda x: x @ x, lambda x: 2 * x, x0=np.ones(5), linear=(A, b))
        result = solve(problem)
        assert result.status is fejer.Status.INFEASIBLE
        ray = result.witness["ray"]
        assert b @ ray > 0
        assert np.abs(A.T @ ray).max() <= 1e-12 * (np.abs(A).T @ np.abs(ray)).max()
        assert fejer.verify(problem, result).proves == "infeasible"


@pytest.mark.parametrize("gap", [1e-3, 1e-6, 1e-9])
def test_nearly_parallel_rows_are_not_called_infeasible(gap):
    A = np.array([[1.0, 1.0, 0.0], [1.0, 1.0 + gap, 0.0]])
    b = np.array([1.0, 2.0])
    problem = fejer.EqualityNLP(
        lambda x: 0.5 * x @ x, lambda x: x, x0=np.zeros(3), linear=(A, b), hess=lambda x: np.eye(3)
    )
    assert problem.judge(np.zeros(3)).proves == "solved"
    result = solve(problem, 1e-6)
    assert result.status is not fejer.Status.INFEASIBLE
    if result.success:
        assert np.abs(A @ result.x - b).max() <= 1e-6


def test_curved_contradiction_is_only_local():
    """x^2 + 1 = 0: a stationary violation, and no proof."""
    problem = fejer.EqualityNLP(
        lambda x: x[0],
        lambda x: np.ones(1),
        lambda x: [x[0] ** 2 + 1],
        lambda x: [[2 * x[0]]],
        x0=[1.0],
    )
    certificate = problem.judge(np.zeros(1))
    assert certificate.kind == "locally infeasible"
    assert certificate.proves == "solved"
    assert certificate.value >= 1.0
    assert certificate.details["infeasibility"] <= 1e-6
    result = solve(problem)
    assert result.status is fejer.Status.STALLED


HOSTILE = {
    "huge objective": lambda x: (1e12 * x @ x, 2e12 * x),
    "tiny objective": lambda x: (1e-9 * x @ x, 2e-9 * x),
    "unbounded": lambda x: (-((x @ x) ** 2), -4 * (x @ x) * x),
    "nan off the start": lambda x: (np.nan, x) if abs(x[0]) > 3 else (x @ x, 2 * x),
    "kink": lambda x: (np.abs(x).sum(), np.sign(x)),
}


@pytest.mark.parametrize("start", [0.5, 1e8, 1e90])
@pytest.mark.parametrize("name", list(HOSTILE))
def test_no_false_success_on_hostile_functions(name, start):
    x0 = np.array([start, 1.0, -1.0])
    A, b = np.array([[1.0, 2.0, 3.0]]), np.ones(1)
    problem = fejer.EqualityNLP(HOSTILE[name], True, x0=x0, linear=(A, b))
    try:
        result = solve(problem, 1e-6, max_iter=200)
    except OracleError:
        with np.errstate(all="ignore"):
            assert not np.isfinite(HOSTILE[name](x0)[0])
        return
    if result.success:
        g = HOSTILE[name](result.x)[1]
        value = twin.kkt(g, A @ result.x - b, A, result.x, result.multipliers)
        assert value <= 1.01e-6


@pytest.mark.parametrize("method", ["exact-al-newton", "alm"])
def test_derivatives_of_the_solution_are_those_of_differences(method):
    """min |x - p|^2/2 + p1 x1^4 on the sphere of radius r and a plane that p shifts."""

    def solved(p):
        return fejer.EqualityNLP(
            lambda x: 0.5 * (x - p[:3]) @ (x - p[:3]) + p[0] * x[0] ** 4,
            lambda x: x - p[:3] + [4 * p[0] * x[0] ** 3, 0, 0],
            lambda x: np.array([x @ x - p[3] ** 2, x.sum() - p[1]]),
            lambda x: np.vstack([2 * x, np.ones(3)]),
            [1.0, 0.5, -0.5],
            lag_hess=lambda x, l, sigma: (
                sigma * (np.eye(3) + np.diag([12 * p[0] * x[0] ** 2, 0, 0])) + 2 * l[0] * np.eye(3)
            ),
        )

    p, v = np.array([1.0, 0.3, -0.7, 1.2]), np.array([0.4, -1.0, 2.0])

    def found(p):
        return fejer.minimize(solved(p), method=method, tol=1e-11)

    result = found(p)
    u, r = solved(p).vjp(result.x, v, result.witness)
    by_p = np.zeros((5, 4))  # the derivative of (grad L, c) by p
    by_p[:3, :3] = -np.eye(3)
    by_p[0, 0] += 4 * result.x[0] ** 3
    by_p[3, 3], by_p[4, 1] = -2 * p[3], -1.0
    slopes = -np.append(u, r) @ by_p
    h = 1e-5
    quotient = [v @ (found(p + h * e).x - found(p - h * e).x) / (2 * h) for e in np.eye(4)]
    np.testing.assert_allclose(slopes, quotient, rtol=1e-5, atol=1e-6)


def test_no_derivative_of_what_is_not_isolated():
    flat = fejer.EqualityNLP(
        lambda x: 0.0,
        lambda x: np.zeros(2),
        lambda x: np.array([x[0] - 1]),
        lambda x: np.array([[1.0, 0.0]]),
        [1.0, 0.0],
        lag_hess=lambda x, l, sigma: np.zeros((2, 2)),
    )
    with pytest.raises(fejer.ProblemError, match=r"^x: .*regular"):
        flat.vjp(np.array([1.0, 0.0]), np.ones(2))
    with pytest.raises(fejer.ProblemError, match=r"^v: "):
        flat.vjp(np.array([1.0, 0.0]), np.ones(3))
