"""Anderson acceleration against GMRES, its safeguard, and life inside a State."""

import copy
from dataclasses import fields

import numpy as np
import pytest
from scipy.sparse.linalg import gmres

from fejer.numerics.anderson import AndersonMemory, extrapolation_weights


def contraction(n=30, seed=0):
    rng = np.random.default_rng(seed)
    Q = np.linalg.qr(rng.normal(size=(n, n)))[0]
    A = Q * np.linspace(-0.5, 0.98, n) @ Q.T
    b = rng.normal(size=n)
    return A, b, np.linalg.solve(np.eye(n) - A, b)


@pytest.mark.parametrize("steps", [1, 3, 8])
def test_residual_is_that_of_gmres_on_linear_maps(steps):
    A, b, _ = contraction()
    memory, x = AndersonMemory.empty(30, 30), np.zeros(30)
    for _ in range(steps):
        x = memory.step(x, A @ x + b, growth=np.inf, regularization=0.0)
    S = np.eye(30) - A
    theirs, _ = gmres(S, b, rtol=1e-14, restart=steps - 1, maxiter=1) if steps > 1 else (0 * b, 0)
    picard = A @ theirs + b  # the step from GMRES's point is the accelerated one (Walker and Ni)
    np.testing.assert_allclose(x, picard, atol=1e-8 * np.linalg.norm(picard))


def test_converges_much_faster_than_plain_iteration():
    A, b, exact = contraction(100, seed=1)
    memory, x = AndersonMemory.empty(100, 10), np.zeros(100)
    for _ in range(80):
        x = memory.step(x, A @ x + b)
    y = np.zeros(100)
    for _ in range(80):
        y = A @ y + b
    assert np.linalg.norm(x - exact) < 1e-4 * np.linalg.norm(y - exact)


def test_converges_on_a_nonlinear_map():
    memory, x = AndersonMemory.empty(50, 5), np.zeros(50)
    shift = np.linspace(0.0, 1.0, 50)
    for _ in range(40):
        x = memory.step(x, np.cos(x) + 0.1 * np.roll(x, 1) * shift)
    np.testing.assert_allclose(x, np.cos(x) + 0.1 * np.roll(x, 1) * shift, atol=1e-13)


def test_safeguard_returns_to_the_last_image():
    memory = AndersonMemory.empty(2, 2)
    x = np.array([1.0, 0.0])
    memory.step(x, np.array([0.5, 0.0]))
    back = memory.step(np.array([9.0, 9.0]), np.array([0.0, 0.0]))
    assert back.tolist() == [0.5, 0.0]
    assert (memory.count, memory.rejected, memory.norm) == (0, 1, np.inf)
    memory.step(x, np.array([0.5, 0.0]))
    assert memory.step(x, np.array([np.nan, 0.0])).tolist() == [0.5, 0.0]


def test_fixed_points_and_repeated_points_are_harmless():
    memory, x = AndersonMemory.empty(3, 3), np.ones(3)
    for _ in range(6):
        x = memory.step(x, np.ones(3))
    assert x.tolist() == [1.0, 1.0, 1.0]
    memory.clear()
    for _ in range(6):
        assert np.isfinite(memory.step(np.zeros(3), np.ones(3))).all()


def test_a_copy_continues_with_the_same_bytes():
    A, b, _ = contraction(12)
    memory, x = AndersonMemory.empty(12, 4), np.zeros(12)
    for _ in range(9):
        x = memory.step(x, A @ x + b)
    twin, y = copy.deepcopy(memory), x.copy()
    for _ in range(9):
        x, y = memory.step(x, A @ x + b), twin.step(y, A @ y + b)
    assert x.tobytes() == y.tobytes()
    for field in fields(memory):
        one, other = getattr(memory, field.name), getattr(twin, field.name)
        assert type(one) in (np.ndarray, int, float)
        assert np.array_equal(one, other)
    arrays = [v for v in vars(memory).values() if isinstance(v, np.ndarray)]
    for i, one in enumerate(arrays):
        assert not any(np.shares_memory(one, other) for other in arrays[:i])
    assert not any(np.shares_memory(x, one) for one in arrays)


def test_weights_find_the_limit_of_a_linear_sequence():
    A, b, exact = contraction(40, seed=2)
    A = A @ A  # few eigenvalues matter after a while
    exact = np.linalg.solve(np.eye(40) - A, b)
    w = [np.zeros(40)]
    for _ in range(60):
        w.append(A @ w[-1] + b)
    last = np.array(w[-6:])
    c = extrapolation_weights(np.diff(last, axis=0))
    assert c.sum() == pytest.approx(1.0)
    assert np.linalg.norm(c @ last[1:] - exact) < 1e-2 * np.linalg.norm(last[-1] - exact)
    assert extrapolation_weights(np.zeros((5, 3))) is None
