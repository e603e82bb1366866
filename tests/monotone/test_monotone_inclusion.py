"""MonotoneInclusion: the certificate against a twin, attacks, oracles and what it refuses."""

import math
import pickle

import cvxpy
import numpy as np
import pytest

import fejer
from fejer.errors import MethodError, OracleError, ProblemError
from fejer.testing import hostile_witnesses
from tests.monotone import twin


def quadratic(n=6, seed=0, skew=0.0):
    """F(x) = M x - b with M = positive definite + skew; its constant and its zero."""
    rng = np.random.default_rng(seed)
    S = rng.standard_normal((n, n))
    K = rng.standard_normal((n, n))
    M = S @ S.T / n + 0.1 * np.eye(n) + skew * (K - K.T)
    b = rng.standard_normal(n)
    return M, b, float(np.linalg.norm(M, 2)), np.linalg.solve(M, b)


def box(v, eta):
    return np.clip(v, -0.2, 0.3)


def soft(v, eta):
    return np.sign(v) * np.maximum(np.abs(v) - 0.5 * eta, 0.0)


# ---- the certificate ----------------------------------------------------------------------------
@pytest.mark.parametrize("resolvent", [None, box, soft])
@pytest.mark.parametrize("declared", [True, False])
@pytest.mark.parametrize("seed", range(4))
def test_certificate_is_that_of_the_twin(resolvent, declared, seed):
    M, b, L, zero = quadratic(seed=seed, skew=0.3)
    lipschitz = L if declared else None
    problem = fejer.MonotoneInclusion(
        lambda x: M @ x - b, 6, resolvent=resolvent, lipschitz=lipschitz
    )
    rng = np.random.default_rng(seed)
    for size in (0.0, 1e-6, 1.0, 1e6):
        x = zero + size * rng.standard_normal(6)
        expected = twin.inclusion(lambda z: M @ z - b, x, resolvent, lipschitz)
        assert problem.judge(x).value == pytest.approx(expected, rel=1e-6, abs=1e-13 * (1 + size))


@pytest.mark.parametrize("seed", range(25))
def test_points_three_tol_away_fail(seed):
    M, b, L, zero = quadratic(seed=seed)
    problem = fejer.MonotoneInclusion(lambda x: M @ x - b, 6, kind="cocoercive", lipschitz=L)
    tol, rng = 1e-6, np.random.default_rng(seed)
    assert problem.judge(zero).holds(tol)
    for _ in range(4):
        d = rng.standard_normal(6)
        d *= 3 * tol * problem.judge(zero).scale / np.linalg.norm(M @ d)
        assert twin.inclusion(lambda z: M @ z - b, zero + d, None, L) > 2.9 * tol
        assert not fejer.verify(problem, zero + d).holds(tol)


@pytest.mark.parametrize("resolvent", [box, soft])
@pytest.mark.parametrize("seed", range(5))
def test_against_cvxpy(resolvent, seed):
    """Minimise a strongly convex quadratic on the box, or with an l1 norm."""
    M, b, L, _ = quadratic(seed=seed)
    z = cvxpy.Variable(6)
    smooth = 0.5 * cvxpy.quad_form(z, cvxpy.psd_wrap(M)) - b @ z
    if resolvent is box:
        model = cvxpy.Problem(cvxpy.Minimize(smooth), [z >= -0.2, z <= 0.3])
    else:
        model = cvxpy.Problem(cvxpy.Minimize(smooth + 0.5 * cvxpy.norm1(z)))
    model.solve(solver="CLARABEL", tol_gap_abs=1e-11, tol_gap_rel=1e-11, tol_feas=1e-11)
    problem = fejer.MonotoneInclusion(
        lambda x: M @ x - b, 6, kind="cocoercive", resolvent=resolvent, lipschitz=L
    )
    for method in ("halpern", "averaged", "anderson", "auto"):
        result = fejer.minimize(problem, method=method, tol=1e-9)
        assert result.success
        assert result.x == pytest.approx(z.value, abs=1e-6)


def test_fejer_prox_objects_are_resolvents():
    M, b, L, _ = quadratic()
    common = {"kind": "cocoercive", "lipschitz": L}
    with_object = fejer.MonotoneInclusion(
        lambda x: M @ x - b, 6, resolvent=fejer.prox.Box(lower=-0.2, upper=0.3), **common
    )
    plain = fejer.MonotoneInclusion(lambda x: M @ x - b, 6, resolvent=box, **common)
    a, b = (fejer.minimize(p, method="halpern", tol=1e-10) for p in (with_object, plain))
    assert a.success and a.x == pytest.approx(b.x, abs=1e-12)


# ---- attacks ------------------------------------------------------------------------------------
def test_a_start_far_away_buys_nothing():
    M, b, L, zero = quadratic()
    problem = fejer.MonotoneInclusion(lambda x: M @ x - b, 6, kind="cocoercive", lipschitz=L)
    far = problem.replace(x0=np.full(6, 1e9))
    x = zero + 1e-3
    assert far.judge(x).value == problem.judge(x).value
    assert far.judge(far.initial_point()).value > 1e6
    assert not fejer.minimize(far, method="halpern", max_iter=3).success


def test_the_secant_step_is_scale_free():
    """Units of x and of F do not change the value when no constant is declared."""
    M, b, _, zero = quadratic()
    x = zero + 0.1
    reference = fejer.MonotoneInclusion(lambda z: M @ z - b, 6).judge(x).value
    for s in (1e-6, 1e6):
        other = fejer.MonotoneInclusion(lambda z, s=s: s * (M @ z - b), 6).judge(x).value
        assert other == pytest.approx(reference, rel=1e-6)


def test_zero_scale_counts_as_one_over_eta():
    """F(0) = 0: the residual at J(0) vanishes, and the step is its only unit."""
    problem = fejer.MonotoneInclusion(lambda x: 4.0 * x, 2, kind="cocoercive", lipschitz=4.0)
    assert problem.judge(np.zeros(2)).value == 0.0
    assert problem.judge(np.ones(2)).scale == 4.0
    assert problem.judge(np.ones(2)).value == pytest.approx(math.sqrt(2))


def test_operator_that_is_not_finite_at_the_origin():
    problem = fejer.MonotoneInclusion(
        lambda x: np.log(x), 1, kind="monotone", lipschitz=2.0, x0=[2.0]
    )
    assert problem.judge(np.array([1.0])).scale == 1.0
    assert problem.judge(np.array([1.0])).holds(1e-12)
    outside = problem.judge(np.array([-1.0]))
    assert outside.value == math.inf and "not finite" in outside.reason


@pytest.mark.parametrize("L", [1e-8, 1.0, 1e8])
def test_the_floor_has_the_step(L):
    """x + 1 at 1e17 for a translation F = 1: never solved, however large eta is."""
    problem = fejer.MonotoneInclusion(lambda x: np.ones(2), 2, kind="cocoercive", lipschitz=L)
    certificate = problem.judge(np.full(2, 1e17))
    assert certificate.value >= 1.0
    J = np.full(2, 1e17) - 1.0 / L
    floor = 4 * 2.0**-53 * (np.linalg.norm(np.full(2, 1e17)) + np.linalg.norm(J)) * L
    assert certificate.details["floor"] * certificate.scale == pytest.approx(floor)


@pytest.mark.parametrize("size", [1e8, 1e100, 1e200, 1e308])
def test_values_are_defined_everywhere(size):
    for resolvent in (None, box, soft, fejer.prox.Box(lower=0.0, upper=1.0)):
        M, b, L, _ = quadratic()
        problem = fejer.MonotoneInclusion(
            lambda x, M=M, b=b: M @ x - b, 6, lipschitz=L, resolvent=resolvent
        )
        certificate = problem.judge(np.full(6, size))
        assert certificate.value > 1e-3
        assert certificate.value < math.inf or certificate.reason


def test_hostile_witnesses_change_nothing_but_details():
    M, b, L, zero = quadratic()
    problem = fejer.MonotoneInclusion(lambda x: M @ x - b, 6, lipschitz=L)
    honest = {"pair": np.random.default_rng(0).standard_normal((2, 6))}
    for x in (zero, np.ones(6)):
        value = problem.judge(x).value
        for witness in hostile_witnesses(honest):
            assert problem.judge(x, witness).value == value
    u, v = honest["pair"]
    cosine = (M @ (u - v)) @ (u - v) / (np.linalg.norm(M @ (u - v)) * np.linalg.norm(u - v))
    assert problem.judge(zero, honest).details["monotonicity"] == pytest.approx(cosine)


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
@pytest.mark.parametrize("start", [0.0, 1e8, 1e100])
@pytest.mark.parametrize("method", ["halpern", "averaged", "anderson"])
def test_hostile_data_give_no_false_success(method, start, scale):
    """Nearly parallel rows, a column of 1e-9, offsets of any size."""
    X = np.array([[1.0, 1.0 + 1e-9, 0.0], [1.0, 1.0, 1e-9], [0.0, 1.0, 0.0]])
    y = scale * np.array([1.0, -2.0, 3.0])
    L = float(np.linalg.norm(X, 2) ** 2)
    problem = fejer.MonotoneInclusion(
        lambda w: X.T @ (X @ w - y), 3, kind="cocoercive", lipschitz=L
    )
    result = fejer.minimize(problem, np.full(3, start), method=method, max_iter=300)
    relative = np.linalg.norm(X.T @ (X @ result.x - y)) / np.linalg.norm(X.T @ y)
    assert result.success == (result.certificate.value <= 1e-6)
    assert not result.success or relative <= 1.01e-6


# ---- construction -------------------------------------------------------------------------------
def F(x):
    return np.asarray(x) - 1.0


def component(x, indices):
    return np.asarray(x) - 1.0


FINITE = {"component": component, "n_components": 5}
BAD = [
    ("F", {"F": None}),
    ("F", {"F": 1.0}),
    ("n", {"n": 0}),
    ("n", {"n": 2.5}),
    ("n", {"n": "2"}),
    ("n", {"n": None}),
    ("n", {"n": True}),
    ("kind", {"kind": "strongly"}),
    ("kind", {"kind": None}),
    ("kind", {"kind": 3}),
    ("resolvent", {"resolvent": 1.0}),
    ("resolvent", {"resolvent": "box"}),
    *[("lipschitz", {"lipschitz": v}) for v in (0.0, -1.0, math.nan, math.inf, "1", 1e-200, True)],
    ("comonotonicity", {"comonotonicity": 0.5}),
    ("comonotonicity", {"comonotonicity": -0.5}),
    ("comonotonicity", {"comonotonicity": math.nan}),
    ("comonotonicity", {"comonotonicity": "no"}),
    ("comonotonicity", {"kind": "comonotone"}),
    ("x0", {"x0": [1.0]}),
    ("x0", {"x0": [1.0, math.nan]}),
    ("x0", {"x0": [1.0, math.inf]}),
    ("x0", {"x0": "ab"}),
    ("x0", {"x0": [[1.0, 2.0]]}),
    ("x0", {"x0": [1.0, 1j]}),
    ("x0", {"x0": [1e200, 0.0]}),
    ("n_components", {"component": component}),
    ("component", {"n_components": 5}),
    ("component", {"component": 1.0, "n_components": 5}),
    *[("n_components", {**FINITE, "n_components": v}) for v in (0, -2, 1.5, "5", math.nan)],
    ("component_difference", {"component_difference": component}),
    ("component_difference", {**FINITE, "component_difference": 0}),
    ("lipschitz_max", {"lipschitz_max": 1.0}),
    ("lipschitz_average", {"lipschitz_average": 1.0}),
    *[("lipschitz_max", {**FINITE, "lipschitz_max": v}) for v in (0.0, -1.0, math.nan, "1")],
    *[("lipschitz_average", {**FINITE, "lipschitz_average": v}) for v in (0.0, math.inf)],
]


@pytest.mark.parametrize(
    ("field", "arguments"), BAD, ids=[f"{i}-{b[0]}" for i, b in enumerate(BAD)]
)
def test_bad_field(field, arguments):
    with pytest.raises(ProblemError, match=f"^{field}: "):
        fejer.MonotoneInclusion(**{"F": F, "n": 2, **arguments})


@pytest.mark.parametrize(
    "x0",
    [[1, 2], (1.0, 2.0), np.float32([1, 2]), np.arange(6.0)[1:5:2], np.array([True, False])],
    ids=["list", "tuple", "float32", "strided", "bool"],
)
def test_layouts_of_the_start(x0):
    problem = fejer.MonotoneInclusion(F, 2, kind="cocoercive", lipschitz=1.0, x0=x0)
    assert (problem.initial_point() == np.asarray(x0, dtype=float)).all()
    assert not problem.x0.flags.writeable
    result = fejer.minimize(problem, method="halpern")
    assert result.success and result.x == pytest.approx([1.0, 1.0], abs=1e-5)


WRONG = {
    "F": [{"F": lambda x: np.ones(3)}, {"F": lambda x: x * math.nan}, {"F": lambda x: None}],
    "resolvent": [
        {"resolvent": lambda v, eta: np.ones(3)},
        {"resolvent": lambda v, eta: v * math.inf},
        {"resolvent": lambda v, eta: "text"},
    ],
    "component": [
        {**FINITE, "component": lambda x, i: np.ones(3)},
        {**FINITE, "component": lambda x, i: x * math.nan},
        {**FINITE, "component": lambda x, i: 2 * (x - 1.0)},
    ],
    "component_difference": [
        {**FINITE, "component_difference": lambda x, y, i: 0.0, "lipschitz_max": 1.0},
    ],
}


@pytest.mark.parametrize("name", list(WRONG))
def test_wrong_answers_of_functions_are_named(name):
    for arguments in WRONG[name]:
        fields = {"F": F, "n": 2, "kind": "cocoercive", "lipschitz": 1.0, **arguments}
        method = "vr-halpern" if "component" in name else "halpern"
        with np.errstate(invalid="ignore"), pytest.raises(OracleError, match=f"^{name}: "):
            fejer.minimize(fejer.MonotoneInclusion(**fields), [3.0, 4.0], method=method)


def test_what_a_forward_backward_step_needs():
    for fields, text in (({}, "cocoercive"), ({"kind": "cocoercive"}, "lipschitz")):
        problem = fejer.MonotoneInclusion(F, 2, **fields)
        for method in ("halpern", "averaged", "anderson"):
            with pytest.raises(MethodError, match=text):
                fejer.minimize(problem, method=method)
    for fields in ({}, {**FINITE, "kind": "comonotone", "comonotonicity": -0.1}):
        with pytest.raises(MethodError, match="vr-halpern"):
            fejer.minimize(fejer.MonotoneInclusion(F, 2, **fields), method="vr-halpern")


def test_pickling():
    problem = fejer.MonotoneInclusion.random()
    other = pickle.loads(pickle.dumps(problem))
    x = np.ones(problem.n)
    assert other.judge(x).value == problem.judge(x).value
    assert other.fingerprint() == problem.fingerprint()
    assert len(pickle.dumps(problem)) < 20_000


def test_constants_of_random_instances():
    """The declared constants are those of the data, and are ordered."""
    problem = fejer.MonotoneInclusion.random(5, 40, seed=3)
    X = problem.F.X
    assert problem.lipschitz == pytest.approx(np.linalg.eigvalsh(X.T @ X / 40)[-1])
    assert problem.lipschitz_max == pytest.approx((X**2).sum(axis=1).max())
    assert problem.lipschitz <= problem.lipschitz_average <= problem.lipschitz_max
    rng = np.random.default_rng(0)
    for _ in range(50):
        d = rng.standard_normal(5)
        each = X * (X @ d)[:, None]
        assert (each**2).sum() <= problem.lipschitz_average * ((X @ d) ** 2).sum() * (1 + 1e-12)


def test_supplied_pieces_are_checked():
    problem = fejer.MonotoneInclusion.random().replace(resolvent=box)
    assert fejer.check_derivatives(problem).ok
    assert not fejer.check_derivatives(problem.replace(resolvent=lambda v, eta: 3 * v)).ok
    assert not fejer.check_derivatives(problem.replace(lipschitz=problem.lipschitz / 10)).ok
    rotation = fejer.MonotoneInclusion(lambda x: np.array([-x[1], x[0]]), 2)
    assert fejer.check_derivatives(rotation).ok
    wrong = fejer.MonotoneInclusion(lambda x: -x, 2)
    assert not fejer.check_derivatives(wrong).ok
    weak = fejer.MonotoneInclusion(lambda x: -x, 2, kind="comonotone", comonotonicity=-1.0)
    assert fejer.check_derivatives(weak).ok
