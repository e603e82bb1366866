"""MapFit: gradients, closed forms, what the gap term does, attacks and bad input."""

import numpy as np
import pytest

import fejer
from fejer.benchmarks.instances import monge
from fejer.problems.transport import _inner

X = np.random.default_rng(0).normal(size=(25, 2))
MOVE = np.array([3.0, -1.0])
Z = np.random.default_rng(1).normal(size=(20, 2)) * [1.5, 0.5] + 1.0


@pytest.mark.parametrize("kind", ["affine", "rbf", "mlp"])
@pytest.mark.parametrize("lam", [0.0, 0.7])
def test_gradient_against_differences(kind, lam):
    problem = fejer.MapFit(X, Z, kind, lam, eps=0.5)
    rng = np.random.default_rng(2)
    theta = problem.initial_point() + 0.1 * rng.normal(size=problem.size)
    direction, h = rng.normal(size=problem.size), 1e-5
    ends = [problem.oracle(theta + s * h * direction).fun for s in (1, -1)]
    expected = (ends[0] - ends[1]) / (2 * h)
    assert problem.oracle(theta).grad @ direction == pytest.approx(expected, rel=1e-6)


def test_objective_is_divergence_plus_gap():
    problem = fejer.MapFit(X, Z, "affine", 0.7, eps=0.5)
    theta = problem.initial_point() + 0.1
    y = problem.fitted_map(theta)(X)
    assert problem.divergence(theta) == pytest.approx(
        fejer.sinkhorn_divergence(y, Z, 0.5), abs=1e-8
    )
    assert problem.gap(theta) == pytest.approx(fejer.monge_gap(X, y, eps=0.5), abs=1e-8)
    expected = problem.divergence(theta) + 0.7 * problem.gap(theta)
    assert problem.judge(theta).fun == pytest.approx(expected)


@pytest.mark.parametrize("share", [1e-3, 0.01, 0.05, 1.0, 100.0])
@pytest.mark.parametrize("newton", [0, 30])
def test_inner_problems_against_entropic_transport(share, newton, monkeypatch):
    """With Newton steps where Sinkhorn's iterations are slow, and without."""
    monkeypatch.setattr(_inner, "NEWTON", newton)
    cost = fejer.PointCloud(X, Z).matrix
    eps = share * float(cost.mean())
    value, plan, violation = _inner.between(cost, eps)
    result = fejer.minimize(fejer.EntropicOT(None, None, cost, eps=eps), method="sns", tol=1e-11)
    assert result.success and plan == pytest.approx(result.plan.toarray(), abs=1e-8)
    assert value == pytest.approx(result.fun + eps + eps * np.log(cost.size), abs=1e-8)
    assert violation <= 1e-10
    assert np.abs(plan.sum(axis=1) - 1 / 25).sum() <= 1e-9
    assert np.abs(plan.sum(axis=0) - 1 / 20).sum() <= 1e-9


@pytest.mark.parametrize("share", [1e-4, 0.05, 100.0])
def test_inner_problem_of_a_sample_and_itself(share):
    cost = fejer.PointCloud(X, X).matrix
    eps = share * float(cost.mean())
    value, plan, _ = _inner.within(cost, eps)
    expected, other, _ = _inner.between(cost, eps)
    assert value == pytest.approx(expected, abs=1e-8) and plan == pytest.approx(other, abs=1e-8)
    assert plan == pytest.approx(plan.T, abs=1e-12)


def test_translation_is_found():
    """The divergence alone is 0 at the translation, a critical point of its own."""
    problem = fejer.MapFit(X, X + MOVE, lam=0.0, eps=0.5)
    result = fejer.minimize(problem, tol=1e-7)
    assert result.success and result.divergence < 1e-7
    assert result.fitted_map(X).mean(axis=0) == pytest.approx(X.mean(axis=0) + MOVE, abs=1e-5)


def test_the_gap_term_makes_the_map_monotone():
    """Both maps reach the target; without the gap a rotation that costs more is kept."""
    turned = np.array([[-1.0, 0.0], [0.0, -1.0]])
    start = fejer.MapFit(X, X, lam=0.0, eps=0.4)
    affine = start.family
    x0 = np.concatenate([(affine.spread * turned).ravel(), affine.mean])
    free = fejer.minimize(start, x0, tol=1e-6)
    paid = fejer.minimize(start.replace(lam=1.0), x0, tol=1e-6)
    assert paid.success
    gaps = [fejer.monge_gap(X, r.fitted_map(X)) for r in (free, paid)]
    assert gaps[1] < 0.1 * gaps[0] and paid.divergence < 0.2


def test_values_do_not_depend_on_units_or_places():
    problem = fejer.MapFit.random()
    value = problem.judge(problem.initial_point()).value
    for scale in (1e-3, 1e3):
        other = fejer.MapFit(scale * problem.source, scale * problem.target)
        assert other.judge(other.initial_point()).value == pytest.approx(value, rel=1e-6)
    # source at 1e6: an offset of 0.3 spreads is noticed
    far = fejer.MapFit(problem.source + 1e6, problem.source + 1e6, lam=0.0)
    theta = far.initial_point()
    theta[-2:] += 0.3
    assert far.judge(theta).value > 1e-2


def test_the_gap_term_helps_a_perceptron():
    """Held-out exact gaps of maps learnt with and without it."""
    x, z, optimal = monge.gaussians(40, 2)
    new = np.random.default_rng(5).normal(size=(40, 2))
    gaps = []
    for lam in (0.0, 1.0):
        result = fejer.minimize(fejer.MapFit(x, z, "mlp", lam), tol=0.01)
        assert result.success
        gaps.append(fejer.monge_gap(new, result.fitted_map(new)))
    assert gaps[1] < gaps[0]
    assert abs(fejer.monge_gap(new, optimal(new))) < 1e-12


def test_gradients_of_convex_functions_have_no_gap():
    x, z, _ = monge.gaussians(15, 3)
    problem = monge.convex_fit(x, z)
    rng = np.random.default_rng(2)
    theta = problem.initial_point() + 0.1 * rng.normal(size=problem.size)
    direction, h = rng.normal(size=problem.size), 1e-5
    ends = [problem.oracle(theta + s * h * direction).fun for s in (1, -1)]
    expected = (ends[0] - ends[1]) / (2 * h)
    assert problem.oracle(theta).grad @ direction == pytest.approx(expected, rel=1e-6)
    assert abs(fejer.monge_gap(x, problem.fitted_map(theta)(x))) < 1e-12


def test_adam_decreases_and_hostile_points_are_refused():
    problem = fejer.MapFit.random(lam=0.0)
    start = problem.judge(problem.initial_point()).fun
    result = fejer.minimize(problem, method="adam", max_iter=300, options={"step": 0.05})
    assert result.fun < 0.5 * start
    for scale in (1e100, 1e300):
        certificate = problem.judge(np.full(problem.size, scale))
        assert certificate.value == np.inf and certificate.reason
    for method in ("adam", "lbfgs"):
        with pytest.raises(fejer.ProblemError, match=r"^x0: "):
            fejer.minimize(problem, np.full(problem.size, 1e200), method=method)


GOOD = {"source": [[0.0], [1.0]], "target": [[2.0]]}
ROWS = [
    ("source", dict(source=[0.0, 1.0])),
    ("source", dict(source=[[np.nan]])),
    ("source", dict(source="text")),
    ("target", dict(target=[[1.0, 2.0]])),
    ("target", dict(target=[[np.inf]])),
    ("target", dict(target=[])),
    ("source, target", dict(target=[[1e50]])),
    ("map", dict(map="linear")),
    ("map", dict(map=None)),
    ("lam", dict(lam=-1.0)),
    ("lam", dict(lam=np.nan)),
    ("lam", dict(lam="1")),
    ("eps", dict(eps=0.0)),
    ("eps", dict(eps=-1.0)),
    ("eps", dict(eps=np.inf)),
    ("eps", dict(eps=True)),
]


@pytest.mark.parametrize(("field", "changed"), ROWS, ids=[repr(row)[:60] for row in ROWS])
def test_bad_input_is_refused_by_name(field, changed):
    with pytest.raises(fejer.ProblemError, match=f"^{field}: "):
        fejer.MapFit(**{**GOOD, **changed})


def test_maps_refuse_points_of_other_dimension():
    fitted = fejer.MapFit.random().fitted_map(fejer.MapFit.random().initial_point())
    with pytest.raises(fejer.ProblemError, match=r"^points: "):
        fitted([[1.0, 2.0, 3.0]])
    assert "affine" in repr(fitted)
