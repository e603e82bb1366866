"""The loop: limits, judgements, callbacks, interrupts, the chain of methods."""

import math
from dataclasses import replace

import numpy as np
import pytest

import fejer
from fejer.driver import Run
from fejer.errors import OptionError, ProblemError
from fejer.evidence import Status
from tests.core.toys import Bowl, Halving

BOWL = Bowl([1.0, -2.0, 4.0])


def run(problem=BOWL, x0=None, options=None, **arguments):
    return fejer.minimize(problem, x0, method=Halving(**(options or {})), **arguments)


def test_success_is_what_the_certificate_says():
    result = run(tol=1e-8)
    assert result.success and result.status is Status.CONVERGED
    assert result.certificate.value <= 1e-8
    assert np.linalg.norm(result.x - BOWL.target) == result.certificate.value
    # 4.58 * 2**-k <= 1e-8 from k = 29 on; judgements lie at most 10 % apart
    assert 29 <= result.nit <= 32


@pytest.mark.parametrize("limit", [0, 1, 2, 7, 20])
def test_max_iter_is_exact(limit):
    result = run(tol=1e-300, max_iter=limit)
    assert (result.nit, result.status) == (limit, Status.MAX_ITER)
    assert result.trace.nit[-1] == limit


def test_max_work_counts_passes():
    result = run(tol=1e-300, max_work=17)
    assert result.status is Status.MAX_WORK and result.work == 17


def test_max_time_ends_a_run():
    result = run(tol=1e-300, max_time=0.0)
    assert result.status is Status.MAX_TIME and result.nit == 0


def test_a_point_that_holds_wins_over_a_limit():
    assert run(BOWL, BOWL.target, max_iter=0).success


def test_a_finished_method_stalls_or_converges():
    stalled = run(tol=1e-8, options={"stop_at": 10})
    assert (stalled.status, stalled.nit) == (Status.STALLED, 10)
    assert "no further progress" in stalled.message
    assert run(tol=1e-2, options={"stop_at": 10}).success


def test_below_the_floor_is_stalled_and_says_so():
    result = run(tol=0.0, options={"factor": 0.9}, x0=[1.0 + 1e-15, -2.0, 4.0])
    assert result.status in (Status.STALLED, Status.CONVERGED)
    assert result.certificate.value <= 1e-15


def test_requests_are_heard_and_do_not_move_the_plan():
    asked = run(tol=1e-12, options={"ask_every": 3}).trace.nit
    plain = run(tol=1e-12).trace.nit
    assert set(plain[:-1]) <= set(asked)
    assert {6, 9, 24} <= set(asked)  # at least four passes apart: what a judgement costs


def test_nan_ends_with_the_best_point():
    result = run(tol=1e-12, options={"nan_at": 6}, trace="every")
    assert result.status is Status.NUMERICAL_ERROR
    assert np.isfinite(result.x).all()
    assert result.certificate.value == pytest.approx(np.sqrt(21) / 2**5)


def test_exceptions_carry_the_best_point():
    with pytest.raises(ZeroDivisionError) as caught:
        run(tol=1e-12, options={"raise_at": 6}, trace="every")
    assert caught.value.result.certificate.value == pytest.approx(np.sqrt(21) / 2**5)


@pytest.mark.parametrize("proof", ["infeasible", "unbounded"])
def test_proofs_are_final(proof):
    result = run(Bowl([1.0], proves=proof))
    assert result.status.name == proof.upper() and not result.success


def test_callback_sees_judgements_and_the_final_point():
    seen = []
    result = run(tol=1e-6, callback=lambda intermediate_result: seen.append(intermediate_result))
    assert [s.nit for s in seen] == list(result.trace.nit)
    assert seen[-1].certificate.value == result.certificate.value
    points = []
    run(tol=1e-6, callback=points.append)
    assert all(isinstance(p, np.ndarray) for p in points)


def test_callback_is_called_for_a_best_point_that_came_earlier():
    seen = []
    run(
        tol=1e-12,
        options={"nan_at": 6},
        trace="every",
        callback=lambda intermediate_result: seen.append(intermediate_result.certificate.value),
    )
    assert seen[-1] == min(seen)


def test_callback_stops_by_stop_iteration_alone():
    def stop(intermediate_result):
        if intermediate_result.nit >= 5:
            raise StopIteration

    result = run(tol=1e-12, callback=stop)
    assert result.status is Status.CALLBACK_STOP and not result.success
    with pytest.raises(TypeError, match="StopIteration"):
        run(callback=lambda x: True)


def test_callback_errors_carry_the_best_point():
    def fail(x):
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine") as caught:
        run(callback=fail)
    assert caught.value.result.x.size == 3


def test_interrupt_returns_the_best_point(monkeypatch):
    calls = []

    def interrupted(self, problem, prep, state, n):
        calls.append(n)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return original(self, problem, prep, state, n)

    original = Halving.advance
    monkeypatch.setattr(Halving, "advance", interrupted)
    result = run(tol=1e-300)
    assert result.status is Status.INTERRUPTED and result.nit > 0
    assert result.certificate.value < np.sqrt(21)


def test_interrupt_before_the_first_judgement(monkeypatch):
    def interrupted(self, problem, tol, rng):
        raise KeyboardInterrupt

    monkeypatch.setattr(Halving, "prepare", interrupted)
    result = run()
    assert result.status is Status.INTERRUPTED and (result.x == 0).all()


def chained(*methods, **arguments):
    given = Run(BOWL, method=methods[0], **arguments)
    given.chain = list(methods)
    return given.solve()


def test_the_chain_goes_on_from_the_best_point():
    first, second = Halving(stop_at=8), Halving(factor=0.9)
    result = chained(first, second, tol=1e-10)
    assert result.success
    assert "toy-halving ended STALLED after 8 iterations" in result.message
    # 8 halvings, then factors of ten: 4.58 / 2**8 / 10**k <= 1e-10
    assert 8 + 9 <= result.nit <= 8 + 10
    assert (np.diff(result.trace.nit) > 0).all()
    assert result.work == result.nit


def test_the_chain_keeps_to_the_limits():
    result = chained(Halving(stop_at=8), Halving(), tol=1e-300, max_iter=11)
    assert (result.status, result.nit) == (Status.MAX_ITER, 11)
    result = chained(Halving(stop_at=8), Halving(), tol=1e-300, max_iter=8)
    assert result.nit == 8


def test_warm_start_brings_point_and_witness():
    first = run(tol=1e-3)
    second = run(BOWL, first, tol=1e-3)
    assert second.nit == 0 and second.success
    assert "dual" in second.witness
    moved = Bowl(BOWL.target + 1e-2)
    assert run(moved, first, tol=1e-6).nit < run(moved, tol=1e-6).nit


def test_witness_and_point_are_copies():
    result = run(tol=1e-3)
    kept = result.x.copy()
    result.witness["dual"][:] = 7
    result.x[:] = 7
    assert not np.array_equal(run(tol=1e-3).x, result.x)
    assert np.array_equal(run(tol=1e-3).x, kept)


def test_trace_has_numbers_of_state_and_details():
    trace = run(tol=1e-3).trace
    assert {"nit", "work", "time", "fun", "certificate", "step", "distance"} <= set(trace.columns)
    assert (trace.distance == trace.certificate).all()
    with pytest.raises(AttributeError, match="no column 'nothing'"):
        trace.nothing  # noqa: B018


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        (name, bad)
        for name in ("tol", "max_iter", "max_time", "max_work")
        for bad in (-1, math.nan, "1", None, True, [1], 1j)
    ]
    + [("rng", bad) for bad in (-1, 1.5, "0", None, True, np.random)]
    + [("trace", bad) for bad in ("always", None, 1)]
    + [("callback", bad) for bad in (1, "f")],
)
def test_bad_arguments(name, bad):
    if (name, bad) == ("callback", None):
        return
    with pytest.raises(OptionError, match=name):
        run(**{name: bad})


@pytest.mark.parametrize(
    "bad", [[1.0], [1, 2, math.nan], "text", [[1, 2, 3]], [], 3.0, [1, 2, 1j], {"x": 1}, object()]
)
def test_bad_start(bad):
    with pytest.raises(ProblemError, match="x0"):
        run(BOWL, bad)


def test_start_of_another_class_is_refused():
    result = run()
    other = replace(BOWL)
    assert run(other, result).success

    class Stranger(Bowl):
        pass

    with pytest.raises(ProblemError, match="x0: expected a Result of Stranger"):
        run(Stranger([1.0, 2.0, 3.0]), result)


@pytest.mark.parametrize(
    "x0",
    [
        [1, 2, 3],
        np.array([1, 2, 3], dtype=np.float32),
        np.arange(6)[::2],
        np.asfortranarray([[1.0], [2.0], [3.0]])[:, 0],
        (True, False, True),
    ],
)
def test_starts_of_all_kinds(x0):
    kept = np.array(x0)
    assert run(BOWL, x0).success
    assert np.array_equal(kept, np.array(x0))


def test_a_generator_gives_one_integer():
    result = run(rng=np.random.default_rng(3))
    assert isinstance(result.rng, int)
    assert run(rng=np.random.default_rng(3)).rng == result.rng


def test_progress_shows_a_bar(capsys):
    assert run(progress=True).success
    assert "certificate" in capsys.readouterr().err


def test_silent_by_default(capfd):
    run()
    assert capfd.readouterr() == ("", "")


def test_steps_yield_every_iteration():
    found = list(fejer.steps(BOWL, Halving(), max_iter=6))
    assert [s.nit for s in found] == list(range(7))
    distances = [np.linalg.norm(s.x - BOWL.target) for s in found]
    assert np.allclose(distances, np.sqrt(21) * 0.5 ** np.arange(7))
    found[2].state.x[:] = 9  # a copy
    assert np.allclose(found[3].state.x, found[3].x)
