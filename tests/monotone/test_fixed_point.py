"""FixedPoint: the certificate against a twin and closed forms, attacks, and what it refuses."""

import math

import numpy as np
import pytest
import scipy.optimize

import fejer
from fejer.errors import OracleError
from fejer.testing import hostile_witnesses
from tests.monotone import twin

A = np.array([[0.0, -0.5], [0.5, 0.0]])
B = np.array([1.0, 0.0])


def solution(problem):
    return np.linalg.solve(np.eye(problem.n) - problem.T.A.toarray(), problem.T.b)


# ---- the certificate ---------------------------------------------------------------------
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("size", [0.0, 1e-12, 1e-3, 1.0, 1e8])
def test_certificate_is_that_of_the_twin(seed, size):
    problem = fejer.FixedPoint.random(7, seed=seed)
    M, b = problem.T.A.toarray(), problem.T.b
    x = solution(problem) + size * np.random.default_rng(seed).standard_normal(7)
    expected = twin.fixed_point(lambda z: M @ z + b, x, A=M, b=b)
    # Below 1e-13 the residual is rounding, which differs between orders of summation.
    assert problem.judge(x).value == pytest.approx(expected, rel=1e-9, abs=1e-13 * (1 + size))
    general = fejer.FixedPoint(lambda z: M @ z + b, 7, scale=3.0)
    expected = twin.fixed_point(lambda z: M @ z + b, x, scale=3.0)
    assert general.judge(x).value == pytest.approx(expected, rel=1e-12)
    assert general.judge(x).scale == 3.0
    assert general.judge(x).fun == pytest.approx(3 * general.judge(x).value)


@pytest.mark.parametrize("seed", range(40))
def test_points_three_tol_away_fail(seed):
    """x moved until the twin's residual is 3 tol must not pass."""
    problem = fejer.FixedPoint.random(6, seed=seed)
    M, b = problem.T.A.toarray(), problem.T.b
    x, tol = solution(problem), 1e-6
    rng = np.random.default_rng(seed)
    for _ in range(4):
        d = rng.standard_normal(6)
        d *= 3 * tol / np.linalg.norm(d - M @ d)
        assert twin.fixed_point(lambda z: M @ z + b, x + d, A=M, b=b) > 2.9 * tol
        assert not fejer.verify(problem, x + d).holds(tol)
        assert fejer.verify(problem, x).holds(tol)


@pytest.mark.parametrize("gamma", [0.1, 0.9, 0.999])
def test_distance_of_a_contraction_is_bounded(gamma):
    problem = fejer.FixedPoint.random(8, "contraction", gamma)
    xstar = solution(problem)
    rng = np.random.default_rng(0)
    for size in (1e-9, 1e-3, 1.0, 1e3):
        x = xstar + size * rng.standard_normal(8)
        bound = problem.judge(x).details["distance"]
        assert np.linalg.norm(x - xstar) <= bound


def test_details_and_floor():
    problem = fejer.FixedPoint.affine(A, B, scale=2.0)
    certificate = problem.judge(np.array([0.8, 0.4]))
    assert set(certificate.details) == {"residual", "floor"}
    assert 0 < certificate.details["floor"] < 1e-15
    assert certificate.value >= certificate.details["floor"]
    assert not certificate.rigorous and certificate.kind == "fixed-point residual"


# ---- attacks -----------------------------------------------------------------------------
@pytest.mark.parametrize("size", [1e8, 1e17, 1e100, 1e200, 1e300])
def test_a_translation_has_no_fixed_point(size):
    """At 1e17 the computed residual of x -> x + 1 is exactly 0."""
    for problem in (
        fejer.FixedPoint(lambda x: x + 1.0, 2),
        fejer.FixedPoint.affine(np.eye(2), np.ones(2)),
    ):
        assert problem.judge(np.full(2, size)).value >= 1.0
        if size > 1e100:
            continue
        result = fejer.minimize(problem, np.full(2, size), max_iter=50, method="averaged")
        assert not result.success


@pytest.mark.parametrize("method", ["averaged", "halpern", "anderson"])
def test_translation_ends_without_success(method):
    problem = fejer.FixedPoint(lambda x: x + 1.0, 3)
    result = fejer.minimize(problem, method=method, max_iter=3000)
    assert not result.success and result.status.name in ("MAX_ITER", "STALLED")


def test_cancellation_in_the_data_is_seen():
    """Terms of 1e16 that cancel leave an error of order 1; the floor knows the terms."""
    big = 1e16
    problem = fejer.FixedPoint.affine([[0.0, 0.0, 1.0], [big, -big, 0.5], [0.0, 0.0, 0.0]], 0.0)
    assert problem.judge(np.array([1.0, 1.0, 0.0])).value >= 1.0


C, S = math.cos(1e-3), math.sin(1e-3)
HOSTILE = {
    "huge offset": (0.5 * np.eye(3), np.full(3, 1e12)),
    "tiny offset": (0.5 * np.eye(3), np.full(3, 1e-9)),
    "nearly parallel rows": (np.full((3, 3), 1 / 3) * (1 - 1e-9), np.array([1.0, -1.0, 0.0])),
    "identity but one": (np.diag([1.0, 1.0, -1.0]), np.array([0.0, 0.0, 2.0])),
    "slow rotation": (
        np.array([[C, -S, 0], [S, C, 0], [0, 0, 0]]),
        np.array([1e-3, 0, 1.0]),
    ),
    "mixed columns": (np.diag([1e-9, 0.999999, 0.5]), np.array([1.0, 1e-6, 1e6])),
}


@pytest.mark.parametrize("start", [0.0, 1.0, 1e8, 1e100])
@pytest.mark.parametrize("method", ["averaged", "halpern", "anderson"])
@pytest.mark.parametrize("name", list(HOSTILE))
def test_hostile_data_give_no_false_success(name, method, start):
    M, b = HOSTILE[name]
    problem = fejer.FixedPoint.affine(M, b)
    result = fejer.minimize(problem, np.full(3, start), method=method, max_iter=400)
    residual = np.linalg.norm(result.x - (M @ result.x + b))
    assert result.success == (result.certificate.value <= 1e-6)
    assert residual <= result.certificate.value * (1 + 1e-12)


def test_hostile_witnesses_change_nothing_but_details():
    problem = fejer.FixedPoint.random(4)
    honest = {"pair": np.random.default_rng(0).standard_normal((2, 4))}
    for x in (solution(problem), np.ones(4), np.full(4, 1e200)):
        value = problem.judge(x).value
        for witness in hostile_witnesses(honest):
            assert problem.judge(x, witness).value == value


# ---- a map that breaks its promise -------------------------------------------------------
def test_an_expanding_map_is_told():
    problem = fejer.FixedPoint.affine([[0.0, -1.5], [1.5, 0.0]], [1.0, 0.0])
    result = fejer.minimize(problem, method="halpern", max_iter=40, tol=1e-14)
    u, v = result.witness["pair"]
    expansion = result.certificate.details["expansion"]
    M = problem.T.A.toarray()
    assert expansion == pytest.approx(np.linalg.norm(M @ (u - v)) / np.linalg.norm(u - v))
    assert expansion == pytest.approx(1.5)


def test_a_pair_outside_the_domain_does_no_harm():
    """Nobody vouches for a witness: the map may refuse its points."""
    problem = fejer.FixedPoint(lambda x: np.array([math.log(2.0 + x[0])]), 1)
    x = fejer.minimize(problem, method="halpern").x
    assert problem.judge(x, {"pair": np.array([[-9.0], [1.0]])}).holds(1e-6)
    assert problem.judge(x, {"pair": np.array([[0.0], [0.0]])}).holds(1e-6)


def test_the_declared_kind_is_checked():
    for operator, factor in (("nonexpansive", None), ("averaged", 0.3), ("contraction", 0.9)):
        assert fejer.check_derivatives(fejer.FixedPoint.random(5, operator, factor)).ok
    rotation = fejer.FixedPoint.affine([[0.0, -1.0], [1.0, 0.0]], [1.0, 0.0])
    assert not fejer.check_derivatives(rotation.replace(operator="averaged", factor=0.5)).ok
    assert not fejer.check_derivatives(rotation.replace(operator="contraction", factor=0.9)).ok
    assert not fejer.check_derivatives(fejer.FixedPoint(lambda x: 2 * x, 2)).ok


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_not_finite_at_the_start(bad):
    problem = fejer.FixedPoint(lambda x: x * bad + bad, 2)
    for method in ("averaged", "halpern", "anderson"):
        with pytest.raises(OracleError, match="T"):
            fejer.minimize(problem, np.ones(2), method=method)


@pytest.mark.parametrize("method", ["averaged", "halpern", "anderson"])
def test_not_finite_later_keeps_the_last_good_point(method):
    calls = []

    def T(x):
        calls.append(1)
        return np.full(2, np.nan) if len(calls) > 12 else np.array([1.0 - x[1], x[0]])

    result = fejer.minimize(fejer.FixedPoint(T, 2), method=method, tol=0.0, max_iter=100)
    assert np.isfinite(result.x).all() and not result.success
    assert result.certificate.value < math.inf


@pytest.mark.parametrize("value", [np.ones(3), 1.0, "text", np.ones((2, 1)), None, 1j * np.ones(2)])
def test_a_wrong_shape_is_named(value):
    with pytest.raises(OracleError, match="T: expected"):
        fejer.minimize(fejer.FixedPoint(lambda x: value, 2), method="averaged")


def test_exceptions_of_the_map_propagate():
    def T(x):
        raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        fejer.minimize(fejer.FixedPoint(T, 2), method="averaged")


def test_the_map_cannot_change_the_iterate():
    def rude(x):
        x[:] = 1e9
        return np.array([1.0, 2.0])

    x0 = np.zeros(2)
    result = fejer.minimize(fejer.FixedPoint(rude, 2), x0, method="halpern")
    assert result.success and result.x.round(5).tolist() == [1.0, 2.0]
    assert (x0 == 0).all()


def test_the_map_may_return_the_same_array_each_time():
    kept = np.zeros(2)

    def T(x):
        kept[:] = (1.0 - x[1], x[0])
        return kept

    fresh = fejer.FixedPoint(lambda x: np.array([1.0 - x[1], x[0]]), 2)
    for method in ("averaged", "halpern", "anderson"):
        a = fejer.minimize(fejer.FixedPoint(T, 2), method=method, max_iter=9, tol=0.0)
        b = fejer.minimize(fresh, method=method, max_iter=9, tol=0.0)
        assert (a.x == b.x).all()


# ---- independent answers -----------------------------------------------------------------
@pytest.mark.parametrize("method", ["averaged", "halpern", "anderson", "auto"])
def test_kepler_against_scipy(method):
    """Kepler's equation E = M + e sin E, by bracketing."""
    for e, M in ((0.1, 1.0), (0.6, 2.0), (0.95, 0.3)):
        expected = scipy.optimize.brentq(lambda E, e=e, M=M: E - e * math.sin(E) - M, 0, 10)
        problem = fejer.FixedPoint(
            lambda E, e=e, M=M: M + e * np.sin(E), 1, operator="contraction", factor=e
        )
        result = fejer.minimize(problem, method=method, tol=1e-10)
        assert result.success
        assert abs(result.x[0] - expected) <= result.certificate.details["distance"] + 1e-11


@pytest.mark.parametrize("operator", ["nonexpansive", "averaged", "contraction"])
@pytest.mark.parametrize("method", ["averaged", "halpern", "anderson", "auto"])
def test_random_instances_against_a_linear_solve(method, operator):
    problem = fejer.FixedPoint.random(12, operator, None if operator == "nonexpansive" else 0.7)
    result = fejer.minimize(problem, method=method, tol=1e-9)
    assert result.success
    assert result.x == pytest.approx(solution(problem), abs=1e-6)


def test_callable_and_affine_agree():
    problem = fejer.FixedPoint.random(9)
    M, b = problem.T.A.dense, problem.T.b
    general = fejer.FixedPoint(lambda x: M @ x + b, 9)
    for method in ("averaged", "halpern", "anderson"):
        runs = [fejer.minimize(p, method=method, max_iter=40, tol=0.0) for p in (problem, general)]
        assert runs[0].x == pytest.approx(runs[1].x, abs=1e-12)
        assert runs[0].nfev == 0 and runs[1].nfev == runs[1].nit


def test_evaluations_are_shared_with_the_judge():
    calls = []

    def T(x):
        calls.append(1)
        return np.array([1.0 - x[1], x[0]])

    result = fejer.minimize(
        fejer.FixedPoint(T, 2), method="averaged", max_iter=30, tol=0.0, trace="every"
    )
    assert result.nfev == 30 and len(calls) == 31
