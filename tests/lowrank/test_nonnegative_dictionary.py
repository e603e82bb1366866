"""Nonnegative dictionaries: conditions of a minimum against scipy, saddles, points outside."""

import numpy as np
import pytest
from scipy.optimize import approx_fprime, minimize

import fejer
from fejer import ProblemError, SupervisedDictionary
from fejer.problems.lowrank import _nonnegative
from tests.lowrank.test_supervised_dictionary import objective

CASES = [
    {"model": model, "classes": classes} for model in ("filter", "feature") for classes in (2, 3)
]
SMALL = {"p": 6, "n": 14, "rank": 2, "nonnegative": True}


def free(problem):
    """Number of entries of W and H, which come first."""
    return problem.rank * sum(problem.X.shape)


def scipys(problem, x0):
    """L-BFGS-B on the twin's objective; the gradients are tested by finite differences below."""
    bounds = [(0, None)] * free(problem) + [(None, None)] * (problem.size - free(problem))

    def gradient(x):
        slopes = _nonnegative.slopes(problem, problem.parts(x))[1:]
        return np.concatenate([slope.ravel() for slope in slopes])

    return minimize(
        lambda x: objective(problem, x), x0, jac=gradient, method="L-BFGS-B", bounds=bounds
    ).fun


@pytest.mark.parametrize("case", CASES)
def test_gradients_by_finite_differences(case):
    problem = SupervisedDictionary.random(**SMALL, **case)
    x = np.abs(np.random.default_rng(0).standard_normal(problem.size))
    fun, *slopes = _nonnegative.slopes(problem, problem.parts(x))
    assert fun == pytest.approx(objective(problem, x), rel=1e-12)
    ours = np.concatenate([slope.ravel() for slope in slopes])
    np.testing.assert_allclose(ours, approx_fprime(x, lambda z: objective(problem, z)), atol=1e-4)


@pytest.mark.parametrize("case", CASES)
def test_scipy_finds_nothing_better_nearby(case):
    problem = SupervisedDictionary.random(**SMALL, **case)
    result = fejer.minimize(problem, max_iter=5000)
    assert result.success and not result.certificate.rigorous
    assert (result.x[: free(problem)] >= 0).all()
    assert scipys(problem, result.x) >= result.fun - 1e-6 * result.certificate.scale
    rng = np.random.default_rng(1)
    best = min(scipys(problem, np.abs(rng.standard_normal(problem.size))) for _ in range(3))
    assert result.fun <= best + 0.05 * abs(best)  # a local minimum, and not a bad one


@pytest.mark.parametrize("case", CASES)
def test_moved_points_fail(case):
    problem = SupervisedDictionary.random(**SMALL, **case)
    result = fejer.minimize(problem, tol=1e-8, max_iter=20_000)
    rng = np.random.default_rng(2)
    for _ in range(20):
        direction = rng.standard_normal(problem.size)
        direction[: free(problem)] *= result.x[: free(problem)] > 0
        step = 1e-7
        x = result.x
        while (objective(problem, x) - result.fun) / result.certificate.scale < 3e-6:
            step *= 1.5
            x = result.x + step * direction
            x[: free(problem)] = np.maximum(x[: free(problem)], 0)
        assert not problem.judge(x).holds(1e-6)


def test_lacking_atoms_and_points_outside_are_refused():
    for case in CASES:
        problem = SupervisedDictionary.random(**SMALL, **case)
        assert problem.judge(np.zeros(problem.size)).value > 0.01
        result = fejer.minimize(problem, max_iter=5000)
        for size in (0.0, 1e-12):
            x = result.x.copy()
            parts = problem.parts(x)
            parts.W[:, 0] *= size
            assert problem.judge(x).value > 1e-3
        x = result.x.copy()
        problem.parts(x).H[0, :3] = -1e-3
        assert problem.judge(x).value > 1e-5
        # the same products with other lengths of the atoms
        parts = problem.parts(x := result.x.copy())
        parts.W[:] *= 1e3
        parts.H[:] /= 1e3
        parts.beta[:] *= 1e-3 if problem.model == "filter" else 1e3
        assert problem.judge(x).value == pytest.approx(result.certificate.value, rel=1e-2)


def test_objective_never_rises():
    for case in CASES:
        problem = SupervisedDictionary.random(**SMALL, **case)
        result = fejer.minimize(problem, tol=0.0, max_iter=30, trace="every")
        assert (np.diff(result.trace.fun) <= 1e-10 * abs(result.trace.fun[0])).all()


def test_samples_of_any_sign_and_huge_points():
    problem = SupervisedDictionary.random(p=6, n=14, rank=3).replace(nonnegative=True)
    result = fejer.minimize(problem, max_iter=5000)
    assert result.success and (result.dictionary >= 0).all() and (result.code >= 0).all()
    for size in (1e8, 1e100, 1e200):
        certificate = problem.judge(np.full(problem.size, size))
        assert certificate.value > 1e-3


def test_other_methods_and_bad_values():
    problem = SupervisedDictionary.random(nonnegative=True)
    with pytest.raises(fejer.FejerError, match="nonnegative"):
        fejer.minimize(problem, method="lpgd")
    for value in (None, "yes", 1.0, np.ones(2)):
        with pytest.raises(ProblemError, match=r"^nonnegative:"):
            problem.replace(nonnegative=value)
