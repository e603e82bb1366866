"""Proximal operators against their laws, cvxpy and closed forms."""

import math
import pickle

import cvxpy as cp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fejer.errors import ProblemError
from fejer.numerics import prox
from fejer.numerics.groups import group_labels
from fejer.numerics.prox_kernels import project_simplex, soft

N = 6
WEIGHTS = np.array([0.0, 0.5, 1.0, 2.0, 1.0, 3.0])
LABELS = np.array([4, 4, -1, 7, 7, 7])
OPERATORS = {
    "soft": prox.soft_threshold,
    "soft, weighted": prox.SoftThreshold(WEIGHTS),
    "one group": prox.group,
    "groups": prox.Group(LABELS, [0.5, 1.0, 2.0]),
    "orthant": prox.box,
    "box": prox.Box(np.array([-np.inf, -1, -1, 0, 0.5, -2]), np.array([0, 1, np.inf, 0, 1, 2.0])),
    "simplex": prox.simplex,
    "simplex of 5": prox.Simplex(5.0),
    "l1 ball": prox.l1_ball,
    "l1 ball of 4": prox.L1Ball(4.0),
    "fused": prox.fused,
    "envelope": prox.group_envelope,
    "envelope of groups": prox.GroupEnvelope(2, LABELS, [1.0, 0.5, 3.0]),
    "envelope of half": prox.GroupEnvelope(3),
    "envelope of all": prox.GroupEnvelope(N),
}
CVXPY = {
    "soft": cp.norm1,
    "soft, weighted": lambda x: WEIGHTS @ cp.abs(x),
    "one group": lambda x: math.sqrt(N) * cp.norm(x),
    "groups": lambda x: cp.norm(x[2:3]) * 0.5 + cp.norm(x[:2]) + 2 * cp.norm(x[3:]),
    "fused": cp.tv,
    "envelope": lambda x: 0.5 * cp.norm1(x) ** 2,
}
SETS = {
    "orthant": lambda x: [x >= 0],
    "simplex": lambda x: [x >= 0, cp.sum(x) == 1],
    "l1 ball of 4": lambda x: [cp.norm1(x) <= 4],
}
points = arrays(
    np.float64, N, elements=st.one_of(st.just(0.0), st.just(1.0), st.floats(-20.0, 20.0))
)
laws = settings(derandomize=True, deadline=None, max_examples=60)


@pytest.fixture(params=OPERATORS)
def operator(request):
    return OPERATORS[request.param]


@laws
@given(v=points, t=st.floats(0.01, 10.0))
@pytest.mark.parametrize("name", OPERATORS)
def test_optimality(name, v, t):
    """Fenchel's equality at x and y = (v - x)/t says that y is a subgradient of g at x."""
    p = OPERATORS[name]
    x = p(v, t)
    y = (v - x) / t
    terms = p.value(x), p.conjugate(y)
    assert all(math.isfinite(term) for term in terms)
    size = 1.0 + abs(terms[0]) + abs(terms[1]) + np.abs(x) @ np.abs(y)
    assert abs(sum(terms) - x @ y) <= 1e-9 * size


@laws
@given(u=points, v=points, t=st.floats(0.01, 10.0))
@pytest.mark.parametrize("name", OPERATORS)
def test_firmly_nonexpansive(name, u, v, t):
    p = OPERATORS[name]
    d = p(u, t) - p(v, t)
    assert d @ d <= d @ (u - v) + 1e-12 * (1.0 + np.abs(u - v) @ np.abs(u - v))


@laws
@given(x=points, y=points)
@pytest.mark.parametrize("name", OPERATORS)
def test_fenchel_young_inequality(name, x, y):
    p = OPERATORS[name]
    bound = p.value(x) + p.conjugate(y)
    assert bound >= x @ y - 1e-9 * (1.0 + np.abs(x) @ np.abs(y))


@pytest.mark.parametrize("name", [*CVXPY, *SETS])
def test_agrees_with_cvxpy(name):
    p, t = OPERATORS[name], 0.7
    for seed in range(3):
        v = np.random.default_rng(seed).normal(0.0, 3.0, N)
        x = cp.Variable(N)
        penalty = t * CVXPY[name](x) if name in CVXPY else 0
        constraints = SETS[name](x) if name in SETS else []
        cp.Problem(cp.Minimize(penalty + cp.sum_squares(x - v) / 2), constraints).solve("CLARABEL")
        np.testing.assert_allclose(p(v, t), x.value, atol=2e-5)
        if name in CVXPY:
            assert p.value(v) == pytest.approx(CVXPY[name](v).value, rel=1e-12)


@pytest.mark.parametrize("k", [1, 2, 3, 5])
def test_envelope_agrees_with_its_variational_form(k):
    rng = np.random.default_rng(k)
    v, d = rng.normal(size=N), rng.uniform(0.5, 2.0, N)
    x, u = cp.Variable(N), cp.Variable(N)
    form = sum(d[i] * cp.quad_over_lin(x[i], u[i]) for i in range(N)) / 2
    limits = [u >= 0, u <= 1, cp.sum(u) <= k]
    value = cp.Problem(cp.Minimize(form), [*limits, x == v]).solve("CLARABEL")
    assert prox.group_envelope.value(v, k=k, weights=d) == pytest.approx(value, rel=1e-5)
    cp.Problem(cp.Minimize(0.3 * form + cp.sum_squares(x - v) / 2), limits).solve("CLARABEL")
    mine = prox.group_envelope(v, 0.3, k=k, weights=d)
    np.testing.assert_allclose(mine, x.value, atol=1e-4)
    assert prox.group_envelope.conjugate(v, k=k, weights=d) == pytest.approx(
        0.5 * max(np.sum((v**2 / d)[list(s)]) for s in subsets(k)), rel=1e-12
    )


def subsets(k):
    from itertools import combinations

    return combinations(range(N), k)


def test_envelope_of_one_and_of_all():
    v = np.array([1.0, -2.0, 4.0])
    assert prox.group_envelope.value(v, k=1) == 0.5 * 49.0
    assert prox.group_envelope.value(v, k=3) == 0.5 * 21.0
    np.testing.assert_allclose(prox.group_envelope(v, 3.0, k=3), v / 4.0)


def test_envelope_where_newton_alone_would_circle():
    v = np.array([1.0, 0.0, 1.0, 3.0, 0.0, 0.0])
    x = prox.group_envelope(v, 2.0, k=2, groups=LABELS, weights=[1.0, 0.5, 3.0])
    shares = np.array([2.0, 1.0, 6.0]) * (x / (v - x + (v == 0)))[[2, 0, 3]]
    assert shares.sum() == pytest.approx(2.0, rel=1e-12)


def test_envelope_on_many_scales():
    a = np.geomspace(1e-12, 1e12, 400)
    x = prox.group_envelope(a, 0.5, k=7)
    share = 0.5 * x / (a - x)
    assert np.minimum(share, 1.0).sum() == pytest.approx(7.0, rel=1e-6)


@pytest.mark.parametrize(
    "v",
    [
        np.zeros(5),
        np.full(7, 1e300),
        np.array([1e300, -1e300, 1e300]),
        2.0 ** -np.arange(1000.0),
        -np.geomspace(1.0, 1e200, 300),
        np.array([3.0]),
        np.repeat([0.25, -0.5], 4),
    ],
)
def test_simplex_on_hard_input(v):
    x = prox.simplex(v)
    assert x.min() >= 0.0 and x.sum() == pytest.approx(1.0, rel=1e-13)
    top = np.sort(v - v.max())[::-1]  # the textbook's rule, by sorting
    means = (np.cumsum(top) - 1.0) / np.arange(1, v.size + 1)
    theta = means[np.flatnonzero(top > means)[-1]]
    np.testing.assert_allclose(x, np.maximum(v - v.max() - theta, 0.0), atol=1e-12)


def test_simplex_of_rows_and_in_place():
    V = np.random.default_rng(0).normal(size=(4, 5))
    rows = prox.simplex(V, total=2.0)
    for v, x in zip(V, rows, strict=True):
        np.testing.assert_array_equal(prox.simplex(v, total=2.0), x)
    assert prox.simplex.value(rows, total=2.0) == 0.0
    expected = prox.simplex(V[0])
    project_simplex(V[0], 1.0, V[0])
    np.testing.assert_array_equal(V[0], expected)


def test_l1_ball_at_large_scale():
    x = prox.l1_ball(np.array([1e200, -1e200, 5.0]))
    np.testing.assert_allclose(x, [0.5, -0.5, 0.0], atol=1e-12)


@pytest.mark.parametrize("n", [1, 2, 3, 50, 2000])
def test_fused_satisfies_the_optimality_conditions(n):
    v = 1e6 + np.cumsum(np.random.default_rng(n).normal(size=n))
    for t in (0.0, 0.1, 3.0, 1e9):
        x = prox.fused(v, t)
        tension = np.cumsum(v - x)
        assert abs(tension[-1]) <= 1e-8 * n
        inner, jumps = tension[:-1], np.diff(x)
        assert np.all(np.abs(inner) <= t + 1e-8 * n)
        moved = np.abs(jumps) > 1e-7
        np.testing.assert_allclose(inner[moved], -t * np.sign(jumps[moved]), atol=1e-8 * n)
    np.testing.assert_allclose(prox.fused(v, 1e9), v.mean(), rtol=1e-12)


def test_zero_step_is_the_identity_on_the_domain(operator):
    x = operator(np.linspace(-2.0, 3.0, N), 1.0)
    np.testing.assert_allclose(operator(x, 0.0), x, atol=1e-12)


def test_resolvents_of_sets_ignore_the_step():
    v = np.linspace(-2.0, 3.0, N)
    for p in (prox.box, prox.simplex, prox.l1_ball):
        np.testing.assert_array_equal(p(v, 0.1), p(v, 10.0))


def test_value_outside_the_set():
    assert prox.simplex.value([0.5, 0.4]) == math.inf
    assert prox.box.value([-1e-3]) == math.inf
    assert prox.l1_ball.value([0.9, 0.2]) == math.inf
    assert prox.soft_threshold.conjugate([1.1]) == math.inf
    assert prox.fused.conjugate([0.5, 0.5]) == math.inf


def test_input_is_kept_and_checked(operator):
    v = np.linspace(-2.0, 3.0, N)
    before = v.copy()
    assert not np.shares_memory(operator(v, 0.5), v)
    np.testing.assert_array_equal(v, before)
    for bad in (np.nan, np.inf):
        with pytest.raises(ProblemError, match="v: expected finite"):
            operator(np.full(N, bad))
    for t in (-1.0, np.nan, np.inf):
        with pytest.raises(ProblemError, match="t: expected"):
            operator(v, t)


def test_bad_parameters():
    for call in (
        lambda: prox.simplex([1.0], total=0.0),
        lambda: prox.l1_ball([1.0], radius=-1.0),
        lambda: prox.group_envelope([1.0, 2.0], k=0),
        lambda: prox.group([1.0, 2.0], groups=[[0], [0, 1]]),
        lambda: prox.group([1.0, 2.0], groups=[[0]]),
        lambda: prox.group([1.0, 2.0], groups=[[0, 2], [1]]),
        lambda: prox.group([1.0, 2.0], groups=[0, 1, 1]),
        lambda: prox.group([1.0, 2.0], groups=0),
    ):
        with pytest.raises(ProblemError):
            call()


def test_descriptions_of_groups_agree():
    expected = [0, 0, 1, 1, 2]
    for groups in (2, [0, 0, 3, 3, 9], [[0, 1], [3, 2], [4]], np.array([0, 0, 1, 1, 2])):
        assert group_labels(groups, 5).tolist() == expected
    assert group_labels(None, 3).tolist() == [0, 0, 0]


def test_parameters_are_bound_and_pickled():
    v = np.linspace(-2.0, 3.0, N)
    bound = prox.simplex.bind(total=3.0)
    np.testing.assert_array_equal(bound(v), prox.simplex(v, total=3.0))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(bound))(v), bound(v))


def test_soft_of_numbers():
    assert [soft(x, 1.0) for x in (3.0, -3.0, 0.5, -1.0)] == [2.0, -2.0, 0.0, 0.0]


def test_public_name():
    import fejer

    assert fejer.prox is prox
