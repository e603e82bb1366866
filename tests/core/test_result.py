"""Result, Trace, Certificate: what a caller can do with them."""

import copy
import json
import math
import pickle

import numpy as np
import pytest
from scipy.optimize import OptimizeResult

import fejer
from fejer.evidence import EMPTY, Certificate, Status
from fejer.result import Trace
from tests.core.toys import Bowl, Halving

RESULT = fejer.minimize(Bowl([1.0, 2.0]), method=Halving())
FIELDS = {
    "x": np.ndarray,
    "fun": float,
    "success": bool,
    "status": Status,
    "message": str,
    "nit": int,
    "nfev": int,
    "work": float,
    "time": float,
    "times": dict,
    "certificate": Certificate,
    "trace": Trace,
    "stats": dict,
    "method": str,
    "options": dict,
    "problem": Bowl,
    "rng": int,
    "versions": dict,
}


@pytest.mark.parametrize("name", FIELDS)
def test_fields_exist_with_their_types(name):
    assert isinstance(getattr(RESULT, name), FIELDS[name])
    assert RESULT[name] is getattr(RESULT, name)


def test_is_an_optimize_result():
    assert isinstance(RESULT, OptimizeResult)
    assert "success: True" in repr(RESULT) and "distance" in str(RESULT)


def test_names_are_fields_then_views_then_stats():
    assert RESULT.distance == RESULT.problem.distance(RESULT.x, RESULT.witness)
    assert RESULT.double is RESULT.double  # computed once
    assert "double" not in RESULT  # outside the mapping
    assert RESULT.step == 0.5
    with pytest.raises(AttributeError, match="no 'plan'"):
        RESULT.plan  # noqa: B018
    with pytest.raises(AttributeError):
        RESULT._private  # noqa: B018
    assert {"x", "double", "step", "raise_if_failed"} <= set(dir(RESULT))


def test_equality_is_identity():
    other = copy.copy(RESULT)
    assert RESULT == RESULT and RESULT != other
    assert len({RESULT, other}) == 2


@pytest.mark.parametrize(
    "again", [copy.copy, copy.deepcopy, lambda r: pickle.loads(pickle.dumps(r))]
)
def test_copies_keep_everything(again):
    other = again(RESULT)
    assert set(other) == set(RESULT)
    assert (other.x == RESULT.x).all() and other.distance == RESULT.distance
    assert other.certificate.details == RESULT.certificate.details


def test_what_cannot_be_pickled_is_dropped_with_its_reason():
    problem = fejer.FixedPoint(lambda x: 0.5 * x, 2)
    result = pickle.loads(pickle.dumps(fejer.minimize(problem, method="averaged")))
    assert result.success
    with pytest.raises(AttributeError, match="did not survive pickling"):
        result.problem  # noqa: B018


def test_raise_if_failed():
    assert RESULT.raise_if_failed() is RESULT
    failed = fejer.minimize(Bowl([1.0]), method=Halving(), max_iter=1)
    with pytest.raises(fejer.FejerError, match="MAX_ITER") as caught:
        failed.raise_if_failed()
    assert caught.value.result is failed


def test_certificate():
    certificate = Certificate("gap", 0.5, 1.0)
    assert certificate.holds(0.5) and not certificate.holds(0.4)
    assert not Certificate("ray", 0.0, 1.0, proves="infeasible").holds(1.0)
    assert certificate.details is EMPTY and certificate.witness is EMPTY


def test_empty_stays_empty():
    for spoil in (
        lambda: EMPTY.__setitem__("a", 1),
        lambda: EMPTY.update(a=1),
        lambda: EMPTY.setdefault("a", 1),
        EMPTY.clear,
    ):
        with pytest.raises(TypeError):
            spoil()
    assert pickle.loads(pickle.dumps(EMPTY)) is EMPTY
    assert copy.deepcopy(EMPTY) is EMPTY and hash(EMPTY) == 0


def test_judge_turns_everything_into_a_number():
    class Odd(Bowl):
        def certificate(self, x, witness=EMPTY):
            return Certificate("odd", x[0], 0.0)

    odd = Odd([1.0])
    assert odd.judge(np.array([math.nan])).value == math.inf
    assert odd.judge(np.array([-1.0])).value == 0.0

    class Nan(Bowl):
        def certificate(self, x, witness=EMPTY):
            return Certificate("nan", math.inf - math.inf, 0.0)

    assert Nan([1.0]).judge(np.array([1.0])).value == math.inf
    assert Nan([1.0]).judge(np.array([1.0])).reason == "overflow"


def test_trace_replaces_a_row_of_the_same_iteration():
    trace = Trace()
    for value in (3.0, 2.0):
        trace.add({"nit": 1, "work": 1.0, "time": 0.0, "fun": 0.0, "certificate": value})
    assert len(trace) == 1 and trace.certificate[0] == 2.0


def test_trace_saves_and_loads():
    again = Trace.load(RESULT.trace.save())
    assert again.columns == RESULT.trace.columns
    assert (again.certificate == RESULT.trace.certificate).all()


def test_trace_knows_rate_and_plot():
    result = fejer.minimize(Bowl([1.0, 2.0]), method=Halving(), tol=1e-12, trace="every")
    rate = result.trace.rate()
    assert rate.form == "linear" and rate.factor == pytest.approx(0.5, rel=1e-3)
    assert result.trace.plot().lines


def test_statuses_are_integers_for_scipy():
    assert int(RESULT.status) == 0 and json.dumps(int(Status.CALLBACK_STOP)) == "99"
