"""Checkpoints: what continues, what is refused, and that nothing in a file is ever executed."""

import json
import os
import pickle
import signal
import subprocess
import sys
import time
import zipfile

import numpy as np
import pytest

import fejer
from fejer import checkpoint
from fejer.driver import Run
from fejer.errors import CheckpointError
from fejer.method import State
from tests.core.toys import Bowl, Halving, ToyState

BOWL = Bowl([1.0, -2.0, 4.0])


def run(file, problem=BOWL, options=None, **arguments):
    method = Halving(**(options or {}))
    return fejer.minimize(problem, method=method, checkpoint=file, tol=1e-10, **arguments)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "run.npz"
    run(path, max_iter=9)
    return path


def test_continues_bit_for_bit(file, tmp_path):
    straight = run(tmp_path / "other.npz")
    resumed = run(file)
    assert straight.x.tobytes() == resumed.x.tobytes()
    assert straight.nit == resumed.nit and straight.work == resumed.work
    assert set(straight.trace.nit) <= set(resumed.trace.nit) | {9}
    assert resumed.trace.nit[0] == 0


def test_a_file_that_holds_returns_at_once(file):
    first = run(file)
    again = run(file, max_iter=0)
    assert again.success and again.nit == first.nit
    assert again.x.tobytes() == first.x.tobytes()


def test_tol_and_limits_may_differ(file):
    assert fejer.minimize(BOWL, method=Halving(), checkpoint=file, tol=1e-3, max_work=1e9).success


@pytest.mark.parametrize(
    ("problem", "options", "rng", "said"),
    [
        (Bowl([1.0, -2.0, 4.5]), {}, 0, "other data"),
        (Bowl([1.0, -2.0]), {}, 0, "other data"),
        (BOWL, {"factor": 0.25}, 0, "options"),
        (BOWL, {}, 1, "seed"),
    ],
)
def test_another_run_is_refused(file, problem, options, rng, said):
    before = file.read_bytes()
    with pytest.raises(CheckpointError, match=said):
        run(file, problem, options, rng=rng)
    assert file.read_bytes() == before


def test_another_class_is_refused(file):
    with pytest.raises(CheckpointError, match="made with problem"):
        fejer.minimize(fejer.FixedPoint.random(), method="averaged", checkpoint=file)


def test_data_that_leave_the_value_alone_are_noticed(tmp_path):
    """An inactive column of a Lasso can change without changing the certificate."""
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((20, 5)), rng.standard_normal(20)
    problem = fejer.Lasso(X, y, 0.5 * np.abs(X.T @ y).max())
    file = tmp_path / "lasso.npz"
    first = fejer.minimize(problem, method="bcd", max_iter=1, tol=0.0, checkpoint=file)
    idle = int(np.flatnonzero(first.x == 0)[-1])
    X[:, idle] *= 0.999
    other = fejer.Lasso(X, y, problem.lam)
    with pytest.raises(CheckpointError, match="other data"):
        fejer.minimize(other, method="bcd", tol=0.0, checkpoint=file)


def test_other_data_behind_the_same_closure_are_noticed(tmp_path):
    shift = np.array([0.3])
    problem = fejer.FixedPoint(lambda x: 0.9 * np.roll(x, 1) + shift, 4)
    file = tmp_path / "closure.npz"
    fejer.minimize(problem, method="averaged", max_iter=5, tol=0.0, checkpoint=file)
    shift[0] = 0.3 + 1e-7
    other = fejer.FixedPoint(problem.T, 4)
    with pytest.raises(CheckpointError, match="other data"):
        fejer.minimize(other, method="averaged", max_iter=9, tol=0.0, checkpoint=file)


class Bomb:
    def __reduce__(self):
        return (os.mkdir, ("exploded",))


def truncated(file):
    file.write_bytes(file.read_bytes()[:-200])


def a_pickle(file):
    file.write_bytes(pickle.dumps(Bomb()))


def an_npz_with_a_pickle(file):
    with open(file, "wb") as handle:
        np.savez(handle, header=np.array([Bomb()], dtype=object))


def empty(file):
    file.write_bytes(b"")


def another_format(file):
    rewrite(file, format=99)


def another_state(file):
    rewrite(file, state={"state": "os:system", "nit": 0})


def no_best(file):
    rewrite(file, best=None)


def text(file):
    file.write_text("hello")


def folder(file):
    file.unlink()
    file.mkdir()


def no_header(file):
    with open(file, "wb") as handle:
        np.savez(handle, x=np.zeros(3))


def rewrite(file, **changes):
    with np.load(file) as stored:
        arrays = {key: stored[key] for key in stored.files}
    header = json.loads(bytes(arrays.pop("header"))) | changes
    with open(file, "wb") as handle:
        raw = np.frombuffer(json.dumps(header).encode(), dtype=np.uint8)
        np.savez(handle, header=raw, **arrays)


@pytest.mark.parametrize(
    "spoil",
    [
        truncated,
        a_pickle,
        an_npz_with_a_pickle,
        empty,
        another_format,
        another_state,
        no_best,
        text,
        folder,
        no_header,
    ],
)
def test_broken_files_are_refused(file, spoil, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    spoil(file)
    with pytest.raises(CheckpointError, match=r"run\.npz"):
        run(file)
    assert not os.path.exists("exploded")


def test_no_write_leaves_half_a_file(file, monkeypatch):
    before = file.read_bytes()

    def fail(*arguments, **more):
        raise OSError("disk full")

    monkeypatch.setattr(np, "savez", fail)
    with pytest.raises(OSError, match="disk full"):
        run(file)
    assert file.read_bytes() == before
    assert os.listdir(file.parent) == ["run.npz"]


def test_states_of_all_kinds_round_trip(tmp_path):
    state = ToyState(np.asfortranarray(np.arange(6.0).reshape(2, 3)), 0.1 + 0.2, None, State(nit=3))
    state.history = np.array([], dtype=np.int64)
    arrays = {}
    header = checkpoint.pack(state, arrays, "state")
    file = tmp_path / "state.npz"
    checkpoint.write(file, {"state": header}, arrays)
    read, arrays = checkpoint.read(file)
    again = checkpoint.unpack(read["state"], arrays)
    assert again.x.flags.f_contiguous and (again.x == state.x).all()
    assert (again.step, again.inner.nit, again.history.dtype) == (0.1 + 0.2, 3, np.int64)
    state.step = np.float64(1.0)
    with pytest.raises(TypeError, match=r"state\.step"):
        checkpoint.pack(state, {}, "state")


def test_the_file_is_a_plain_archive(file):
    assert zipfile.is_zipfile(file)
    assert all(name.endswith(".npy") for name in zipfile.ZipFile(file).namelist())


SLOW = """
import sys, time
import numpy as np
import fejer
from fejer.driver import Run

def T(x):
    time.sleep(0.01)
    return 0.999 * np.roll(x, 1) + 1.0

problem = fejer.FixedPoint(T, 3)
Run(problem, method="averaged", tol=0.0, checkpoint=sys.argv[1], write_every=0.2).solve()
"""


def test_a_killed_run_loses_little(tmp_path):
    file = tmp_path / "killed.npz"
    child = subprocess.Popen([sys.executable, "-c", SLOW, str(file)])
    begun = time.monotonic()
    while not file.exists() and time.monotonic() - begun < 60:
        child.poll()
    first = file.stat().st_mtime_ns
    while file.stat().st_mtime_ns == first and time.monotonic() - begun < 60:
        child.poll()
    child.send_signal(signal.SIGKILL)
    child.wait()
    header, arrays = checkpoint.read(file)
    assert header["state"]["nit"] > 0 and np.isfinite(arrays["best.x"]).all()


def test_continuing_in_another_run_object(file):
    run_object = Run(BOWL, method=Halving(), checkpoint=file)
    run_object.open()
    assert run_object.nit == 9 and run_object.best is not None
