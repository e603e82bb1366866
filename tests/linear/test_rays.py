"""Proofs by rays: infeasible and unbounded programs, and rays that prove nothing."""

import numpy as np
import pytest

import fejer
from tests.linear.twin import entries, general, oracle

INF = np.inf


def infeasible(seed):
    """A program with a contradiction hidden in a combination of its rows."""
    lp, _ = general(seed)
    rng = np.random.default_rng(seed)
    A, y = entries(lp), rng.choice([-2.0, -1, 1, 2], 6)
    low = np.where(y > 0, lp.row_lower, lp.row_upper)
    b = np.where(np.isfinite(low), low, 0.0)
    rows = np.vstack([A, y @ A])
    row_lower = np.where(y > 0, b, -INF), np.where(y < 0, b, INF)
    box = np.clip(lp.lower, -5, 5), np.clip(lp.upper, -5, 5)
    return fejer.LinearProgram(
        lp.c, rows, np.append(row_lower[0], -INF), np.append(row_lower[1], y @ b - 1), *box
    )


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("method", ["highs", "pdhg"])
def test_infeasible(seed, method):
    lp = infeasible(seed)
    assert oracle(lp)[0] == 2
    result = fejer.minimize(lp, method=method, max_iter=30_000)
    assert result.status is fejer.Status.INFEASIBLE and not result.success
    certificate = result.certificate
    assert certificate.kind == "Farkas ray" and certificate.value <= 1e-9
    assert certificate.details["feasible_beyond"] > 1e8
    assert fejer.verify(lp, result).proves == "infeasible"
    # by hand: y'Ax <= y'b for all feasible x, and the box cannot reach it
    y, A = result.ray, entries(lp)
    bound = np.where(y > 0, lp.row_lower, np.where(y < 0, lp.row_upper, 0.0))
    bound[~np.isfinite(bound)] = 0.0
    most = np.maximum(A.T @ y * lp.lower, A.T @ y * lp.upper).sum()
    assert y @ bound > most


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("method", ["highs", "pdhg"])
def test_unbounded(seed, method):
    rng = np.random.default_rng(seed)
    A = rng.integers(-3, 4, (4, 7)).astype(float)
    ray = np.abs(rng.integers(1, 4, 7)).astype(float)
    low = np.where(A @ ray >= 0, -1.0, -INF)
    high = np.where(A @ ray <= 0, 1.0, INF)
    lp = fejer.LinearProgram(-ray + 0.1 * rng.standard_normal(7), A, low, high, 0, INF)
    assert oracle(lp)[0] in (3, 4)
    result = fejer.minimize(lp, method=method, max_iter=30_000)
    assert result.status is fejer.Status.UNBOUNDED
    d = result.ray
    assert lp.c @ d < 0 and (d >= 0).all()
    assert (A @ d)[np.isfinite(low)].min(initial=0) >= -1e-8 * np.abs(d).max()
    assert (A @ d)[np.isfinite(high)].max(initial=0) <= 1e-8 * np.abs(d).max()
    assert fejer.verify(lp, result).proves == "unbounded"


def test_false_rays_prove_nothing():
    rng = np.random.default_rng(1)
    for seed in range(12):
        lp, _ = general(seed)
        result = fejer.minimize(lp, tol=1e-9)
        m, n = lp.A.shape
        far = lp.initial_point() + 3.0
        for size in (1e-300, 1e-9, 1.0, 1e9, 1e300):
            for ray in (rng.standard_normal(m), rng.standard_normal(n), np.zeros(m), result.dual):
                certificate = lp.judge(far, {"dual": result.dual * 2, "ray": size * ray})
                assert certificate.proves == "solved"


def test_ray_of_a_dual_infeasible_program_without_feasible_point():
    lp = fejer.LinearProgram([-1.0, 0], [[0, 1.0]], 5, INF, 0, [INF, 1])
    at = lp.judge(np.array([1.0, 0.0]), {"ray": np.array([1.0, 0.0])})
    assert at.kind == "dual infeasible" and at.value == INF and at.proves == "solved"
    assert fejer.minimize(lp).status is fejer.Status.INFEASIBLE


def test_a_ray_is_not_looked_at_beside_a_solution():
    lp = fejer.LinearProgram.random()
    result = fejer.minimize(lp, tol=1e-9)
    ray = np.ones(lp.A.shape[0])
    certificate = lp.judge(result.x, {"dual": result.dual, "ray": ray})
    assert certificate.holds(1e-9)


def test_nearly_infeasible_is_told_apart():
    """Rows that miss each other by a share of 1e-12 are no proof, by 1e-3 they are."""
    for off, proven in ((1e-3, True), (1e-12, False)):
        lp = fejer.LinearProgram([1.0], [[1.0], [1.0]], [1 + off, -INF], [INF, 1.0], 0, INF)
        certificate = lp.judge(np.array([0.0]), {"ray": np.array([1.0, -1.0])})
        assert (certificate.proves == "infeasible") == proven
