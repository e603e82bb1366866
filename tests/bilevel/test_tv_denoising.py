"""TVDenoising: dense twin in long doubles, attacks, invariance, bad input."""

import pickle

import numpy as np
import pytest
from scipy.optimize import minimize

import fejer
from tests.bilevel.twin import LONG, solve
from tests.bilevel.twin_losses import newton

SMALL = fejer.TVDenoising.random(2, 4, 3, seed=2)
PROBLEM = fejer.TVDenoising.random()


class Twin:
    def __init__(self, problem):
        self.problem = problem
        N, h, w = problem.noisy.shape
        index = np.arange(N * h * w).reshape(N, h, w)
        pairs = [(index[:, :, :-1], index[:, :, 1:]), (index[:, :-1], index[:, 1:])]
        start = np.concatenate([a.ravel() for a, _ in pairs])
        end = np.concatenate([b.ravel() for _, b in pairs])
        self.D = np.zeros((start.size, index.size), dtype=LONG)
        self.D[np.arange(start.size), start] = -1
        self.D[np.arange(start.size), end] = 1
        self.N = N
        self.noisy = problem.noisy.ravel().astype(LONG)
        self.clean = problem.clean.ravel().astype(LONG)

    def truth(self, x):
        """Phi, its gradients in x and in (weight, smoothing), and y*."""
        p = np.exp(np.asarray(x, dtype=LONG))
        c, nu, D, N = p[0] / 2, p[1], self.D, self.N

        def root(y):
            return np.sqrt((D @ y) ** 2 + nu**2)

        def slope(y):
            return (y - self.noisy + c * (D.T @ (D @ y / root(y)))) / N

        def hessian(y):
            return (np.eye(y.size) + c * (D.T * (nu**2 / root(y) ** 3)) @ D) / N

        y = newton(slope, hessian, self.noisy.copy())
        q = solve(hessian(y), (y - self.clean) / N)
        t, size = D @ y, root(y)
        by_weight = -(q @ (D.T @ (t / size))) / (2 * N)
        by_nu = (q @ (D.T @ (t * nu / size**3))) * c / N
        slopes = np.array([by_weight, by_nu])
        return ((y - self.clean) ** 2).sum() / (2 * N), p * slopes, slopes, y

    def sizes(self):
        rms = float(np.sqrt(((self.D @ self.noisy) ** 2).mean()))
        return np.array([2 * rms, rms])

    def weights(self, x):
        s, p = self.sizes(), np.exp(x)
        return (p + s) ** 2 / s

    def value(self, x):
        fun, _, slopes, _ = self.truth(x)
        null = float(((self.noisy - self.clean) ** 2).sum() / (2 * self.N))
        unit = min(null, max(float(fun), 1e-6 * null))
        s, p = self.sizes(), np.exp(x)
        ends = np.exp([self.problem.lower, self.problem.upper])
        low, high = (end / (end + s) for end in ends)
        t = p / (p + s)
        moved = np.clip(t - (slopes * self.weights(x)).astype(float) / unit, low, high)
        return float(np.linalg.norm(t - moved)) / self.problem.scale


def test_the_bound_is_never_violated():
    problem, twin, rng = SMALL, Twin(SMALL), np.random.default_rng(0)
    ratios = []
    for _ in range(15):
        x = rng.uniform(-4.0, 1.0, 2)
        fun, gradient, slopes, y = twin.truth(x)
        for trial in range(20):
            chart = bool(trial % 2)
            truth = twin.weights(x) * slopes if chart else gradient
            inexact = y.astype(float) + 10.0 ** rng.uniform(-14, 0) * rng.standard_normal(y.size)
            slope = problem.upper_level(x, inexact).grad_y
            q = problem.adjoint(x, inexact, slope, tol=10.0 ** rng.uniform(-14, -1))[0]
            a = problem.assess(x, inexact, adjoint=q, chart=chart)
            assert np.linalg.norm((a.gradient - truth).astype(float)) <= a.error
            assert abs(a.fun - fun) <= a.fun_error
            assert a.error <= a.published_error
            ratios.append(a.published_error / a.error)
    print(f"published bound over ours, median {np.median(ratios):.3g}")


@pytest.mark.parametrize(
    "problem", [SMALL, PROBLEM.replace(clean=PROBLEM.clean[:1, :4], noisy=PROBLEM.noisy[:1, :4])]
)
def test_certificate_is_the_twins(problem):
    twin, rng = Twin(problem), np.random.default_rng(1)
    for _ in range(6):
        x = rng.uniform(-4.0, 1.0, 2)
        c = problem.judge(x)
        assert c.value == pytest.approx(twin.value(x), rel=1e-5)
        assert c.value >= twin.value(x) * (1 - 1e-12)
        fun, gradient, _, y = twin.truth(x)
        assert c.fun == pytest.approx(float(fun), rel=1e-12)
        np.testing.assert_allclose(problem.y(x), y.astype(float), atol=1e-10)
        assert c.details["grad_norm_upper"] >= np.linalg.norm(gradient.astype(float)) * (1 - 1e-12)
        for witness in ({"y": 0 * c.witness["y"]}, {"y": c.witness["y"] + 1e-3}, c.witness):
            assert problem.judge(x, witness).value >= twin.value(x) * (1 - 1e-12)
        assert problem.judge(x, c.witness).value == c.value


@pytest.mark.parametrize("method", ["maid", "hoag"])
def test_optimum_is_scipys(method):
    result = fejer.minimize(SMALL, method=method)
    assert result.success
    twin = Twin(SMALL)
    best = minimize(
        lambda x: float(twin.truth(x)[0]),
        SMALL.initial_point(),
        jac=lambda x: twin.truth(x)[1].astype(float),
        bounds=[(SMALL.lower, SMALL.upper)] * 2,
        options={"ftol": 1e-15, "gtol": 1e-10},
    )
    assert result.fun <= best.fun + 1e-9
    assert twin.value(result.x) <= 1e-6


def test_nesterov_and_newton_agree():
    points = [
        fejer.minimize(PROBLEM, method="maid", options={"inner": inner}, max_iter=1000).x
        for inner in ("newton", "nesterov")
    ]
    np.testing.assert_allclose(*points, atol=1e-4)


def test_flat_ends_do_not_pass():
    problem = PROBLEM.replace(lower=-30.0, upper=30.0)
    best = fejer.minimize(PROBLEM, method="maid").fun
    for x in ([-20.0, -5.0], [0.0, 30.0], [-30.0, -3.0], [-12.0, 4.0], [4.0, -3.0]):
        c = problem.judge(np.array(x))
        assert c.fun > 1.5 * best
        assert c.value > 1e-3


def test_little_smoothing_is_solved_all_the_same():
    c = PROBLEM.judge(np.array([-0.5, -7.0]))
    assert c.details["lower_distance"] < 1e-9
    assert np.isfinite(c.value)


def test_symmetries():
    x = np.array([-1.0, -2.0])
    value = PROBLEM.judge(x).value
    clean, noisy = PROBLEM.clean, PROBLEM.noisy
    for turn in (
        lambda a: a[::-1],
        lambda a: a[:, ::-1],
        lambda a: a[:, :, ::-1],
        lambda a: a.transpose(0, 2, 1),
        lambda a: -a,
        lambda a: a + 3.0,
    ):
        other = PROBLEM.replace(clean=turn(clean), noisy=turn(noisy))
        assert other.judge(x).value == pytest.approx(value, rel=1e-8)
    # Ten times the contrast: the weight and the smoothing go along.
    other = PROBLEM.replace(
        clean=10 * clean, noisy=10 * noisy, lower=-12 + np.log(10), upper=4 + np.log(10)
    )
    assert other.judge(x + np.log(10)).value == pytest.approx(value, rel=1e-8)
    assert PROBLEM.replace(scale=2.0).judge(x).value == pytest.approx(value / 2, rel=1e-12)
    assert pickle.loads(pickle.dumps(PROBLEM)).judge(x).value == value


def test_layouts():
    clean, noisy = np.array(PROBLEM.clean), np.array(PROBLEM.noisy)
    x = np.array([-1.0, -2.0])
    value = PROBLEM.judge(x).value
    for a, b in (
        (clean.tolist(), noisy.tolist()),
        (np.asfortranarray(clean), noisy),
        (np.repeat(clean, 2, axis=2)[:, :, ::2], noisy),
    ):
        assert fejer.TVDenoising(a, b).judge(x).value == pytest.approx(value, rel=1e-12)
    one = fejer.TVDenoising(clean[0], noisy[0])
    assert one.judge(x).value == fejer.TVDenoising(clean[:1], noisy[:1]).judge(x).value
    flat = fejer.TVDenoising(np.ones((4, 4)), np.ones((4, 4)))
    assert flat.judge(flat.initial_point()).value < 1e-15


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("clean", np.ones(9), "clean"),
        ("clean", np.ones((1, 1)), "clean"),
        ("clean", np.ones((2, 0, 3)), "clean"),
        ("clean", np.full((3, 3), np.nan), "clean"),
        ("clean", np.ones((3, 3), complex), "clean"),
        ("clean", "picture", "clean"),
        ("clean", None, "clean"),
        ("noisy", np.ones((3, 4)), "noisy: expected the shape of clean"),
        ("noisy", np.ones((2, 3, 3)), "noisy: expected the shape of clean"),
        ("noisy", np.full((3, 3), np.inf), "noisy"),
        ("lower", 4.0, "upper"),
        ("lower", -101.0, "lower"),
        ("upper", np.nan, "upper"),
        ("scale", 0, "scale"),
    ],
)
def test_bad_fields(field, value, text):
    good = {"clean": np.eye(3), "noisy": np.ones((3, 3))}
    fejer.TVDenoising(**good)
    with pytest.raises(fejer.ProblemError, match=text):
        fejer.TVDenoising(**{**good, field: value})
