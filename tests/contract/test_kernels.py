"""Compiled code: cached, few specialisations, the same answers without compilation."""

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import fejer
from fejer import testing
from fejer.method import registry

HOME = Path(__file__).resolve().parents[2]
FEW, MANY = 5, 40  # layouts; sums of Sinkhorn's kernels once depended on them


@cache
def all_pairs(disable_jit=False, turn=0):
    """What every method returns on every problem, in a process of its own."""
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1"} if disable_jit else dict(os.environ)
    done = subprocess.run(
        [sys.executable, "-W", "error", str(HOME / "tests" / "contract" / "all_pairs.py")],
        env=environment | {"PYTHONPATH": str(HOME)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


def test_a_second_process_compiles_nothing():
    all_pairs()
    second = all_pairs(turn=1)
    assert not {name: k for name, k in second["kernels"].items() if k["compiled"]}
    assert sum(len(k["signatures"]) for k in second["kernels"].values()) > 0


def test_two_processes_agree_bit_for_bit():
    assert all_pairs()["points"] == all_pairs(turn=1)["points"]


def test_compiled_and_loaded_code_agree(tmp_path):
    """A kernel that calls long ones, compiled in one process and read from its cache in another."""
    code = (
        "import fejer\n"
        "result = fejer.minimize(fejer.MapFit.random(), method='adam', tol=0.0, max_iter=3)\n"
        "print(result.x.tobytes().hex())"
    )
    environment = os.environ | {"PYTHONPATH": str(HOME), "NUMBA_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-W", "error", "-c", code]
    first, second = (
        subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    )
    assert first == second
    assert first.strip()


def test_arrays_that_are_written_share_no_memory():
    assert not all_pairs(disable_jit=True)["broken"]


@pytest.mark.parametrize(
    ("method", "cls"), testing.pairs(), ids=lambda item: getattr(item, "name", item.__name__)
)
def test_same_bytes_wherever_the_arrays_lie(method, cls):
    """Tiny arrays are laid side by side, apart, and in another order."""
    options = {"tol": 0.0, "max_iter": 1 if method.one_shot else 40}
    rng, kept, found = np.random.default_rng(0), [], set()
    for _ in range(MANY if "sinkhorn" in method.name else FEW):
        kept += [np.empty(size) for size in rng.integers(1, 40, 30)]
        del kept[:: rng.integers(2, 4)]
        found.add(fejer.minimize(cls.random(), method=method, **options).x.tobytes())
    assert len(found) == 1


def test_kernels_have_at_most_two_specialisations():
    kernels = all_pairs()["kernels"]
    assert not {name: k["signatures"] for name, k in kernels.items() if len(k["signatures"]) > 2}


def test_plain_python_gives_the_same_answers():
    compiled, plain = all_pairs()["points"], all_pairs(disable_jit=True)["points"]
    assert compiled.keys() == plain.keys()
    outside = {m.name for m in registry() if m.one_shot}  # whose whole run amplifies rounding
    for name, x in compiled.items():
        close = (1e-8 if name.partition(" ")[0] in outside else 1e-10) * max(1.0, np.abs(x).max())
        assert np.asarray(plain[name]) == pytest.approx(np.asarray(x), abs=close), name
