"""What every problem of the family asks of starts, methods and data, and what its judge keeps."""

import numpy as np
import pytest

import fejer

PROBLEMS = [
    fejer.Bilevel.random(),
    fejer.QuadraticBilevel.random(),
    fejer.RidgeBilevel.random(),
    fejer.LogisticBilevel.random(),
    fejer.MultinomialBilevel.random(),
    fejer.ElasticNetBilevel.random(),
    fejer.DataHyperCleaning.random(),
    fejer.TVDenoising.random(),
    fejer.FieldOfExperts.random(experts=2, side=2),
    fejer.SquaredHingeSVM.random(),
    fejer.UnboundedSmoothBilevel.random(),
    fejer.CrossValidated.random(),
]
ALL = pytest.mark.parametrize("problem", PROBLEMS, ids=lambda p: type(p).__name__)


@ALL
@pytest.mark.parametrize(
    "spoil",
    [
        lambda x: np.append(x, 0.0),
        lambda x: x[:-1],
        lambda x: x[None],
        lambda x: np.where(np.arange(x.size) == 0, np.nan, x),
        lambda x: np.where(np.arange(x.size) == 0, np.inf, x),
        lambda x: x + 1j,
        lambda x: x.astype(str),
        lambda x: "start",
    ],
    ids=["long", "short", "matrix", "nan", "inf", "complex", "text", "a text"],
)
def test_bad_starts_are_refused(problem, spoil):
    with pytest.raises(fejer.ProblemError, match=r"^x"):
        fejer.minimize(problem, spoil(problem.initial_point()))
    with pytest.raises(fejer.ProblemError, match=r"^x"):
        fejer.hypergradient(problem, spoil(problem.initial_point()))


@ALL
def test_unknown_methods_and_those_of_other_problems(problem):
    with pytest.raises(fejer.MethodError, match="maid"):
        fejer.minimize(problem, method="mayd")
    with pytest.raises(fejer.MethodError, match="lv-hba"):
        fejer.minimize(problem, method="lv-hba")


@pytest.mark.parametrize("method", ["maid", "hoag", "penalty", "bo-rep", "soba", "self-tuning"])
def test_constraints_below_are_for_other_methods(method):
    with pytest.raises(fejer.MethodError, match=method):
        fejer.minimize(fejer.ConstrainedBilevel.random(), method=method)


@pytest.mark.parametrize("part", ["train", "val"])
@pytest.mark.parametrize("problem", PROBLEMS[2:7], ids=lambda p: type(p).__name__)
def test_empty_splits_are_refused(problem, part):
    X, y = getattr(problem, f"X_{part}").dense, getattr(problem, f"y_{part}")
    with pytest.raises(fejer.ProblemError, match=f"(X|y)_{part}: "):
        problem.replace(**{f"X_{part}": X[:0], f"y_{part}": y[:0]})


@pytest.mark.parametrize("problem", PROBLEMS[3:5], ids=lambda p: type(p).__name__)
@pytest.mark.parametrize("field", ["y_train", "y_val"])
def test_labels_of_no_class_are_refused(problem, field):
    labels = np.array(getattr(problem, field))
    labels[1] = 0.5
    if field == "y_val" or isinstance(problem, fejer.LogisticBilevel):
        with pytest.raises(fejer.ProblemError, match=f"{field}: expected labels"):
            problem.replace(**{field: labels})


@pytest.mark.parametrize("problem", PROBLEMS[:1] + PROBLEMS[2:9], ids=lambda p: type(p).__name__)
def test_crossed_boxes_are_refused(problem):
    with pytest.raises(fejer.ProblemError, match=r"(lower|upper): expected"):
        problem.replace(lower=1.0, upper=-1.0)


@ALL
def test_the_optimum_of_one_method_is_that_of_another(problem):
    """The judge knows no methods: it takes x and y, whoever found them."""
    found = fejer.minimize(problem, method="hoag", tol=1e-4, max_iter=300)
    again = problem.judge(found.x, {"y": found.y})
    assert again.value <= max(1.01 * found.certificate.value, 1e-9)
    without = problem.judge(found.x)
    assert without.value <= max(1.01 * found.certificate.value, 1e-9)
    if found.success:
        assert found.certificate.value <= 1e-4
        assert fejer.minimize(problem, found.x, method="maid", tol=2e-4, max_iter=500).success


@ALL
def test_success_means_a_bounded_hypergradient(problem):
    found = fejer.minimize(problem, method="maid", tol=1e-3, max_iter=400)
    details = found.certificate.details
    assert details["grad_norm"] + details["hypergradient_error"] == details["grad_norm_upper"]
    low, high = found.value_interval
    assert low <= found.fun <= high
    assert high - low == pytest.approx(2 * details["value_error"], rel=0.5, abs=1e-12)
