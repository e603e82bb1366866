"""Kernels: lazy import, own cache folder, stale code, compile clock, plain Python."""

import copy
import os
import pickle
import shutil
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import numpy as np
import pytest

from fejer import jit
from fejer.jit import kernel, prange

ROOT = Path(__file__).resolve().parents[2]


@kernel
def squared_norm(x):
    total = 0.0
    for value in x:
        total += value * value
    return total


@kernel
def apply_twice(f, x):
    return f(x) + squared_norm(x)


@kernel
def total(x):
    result = 0.0
    for i in prange(x.size):
        result += x[i]
    return result


total_parallel = kernel(parallel=True)(total)


@kernel
def has_nan(x):
    for value in x:
        if value != value:
            return True
    return False


@kernel
def divide(a, b):
    return a / b


def run(program, folder=ROOT, **environment):
    """What a fresh process prints that runs `program` in `folder`."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), **environment},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_import_is_light():
    program = "import sys, fejer.jit; print({'numpy', 'scipy', 'numba'} & set(sys.modules))"
    assert run(program) == "set()"


def test_kernels_call_and_receive_kernels():
    x = np.array([1.0, 2.0])
    assert squared_norm(x) == 5.0
    assert apply_twice(squared_norm, x) == 10.0
    assert squared_norm in jit.kernels() and len(squared_norm.signatures) == 1


def test_parallel_twin_has_its_own_name():
    x = np.ones(1000)
    assert total(x) == total_parallel(x) == 1000.0
    names = {k: k._dispatcher.py_func.__name__ for k in (total, total_parallel)}
    assert names == {total: "total", total_parallel: "total_parallel"}


def test_default_flags_keep_nan_and_allow_division_by_zero():
    assert has_nan(np.array([1.0, np.nan]))
    assert divide(1.0, 0.0) == np.inf
    with pytest.raises(TypeError, match="fastmath"):
        kernel(fastmath=True)


def test_kernels_pickle_and_copy_by_name():
    for one in (squared_norm, total_parallel):
        assert pickle.loads(pickle.dumps(one)) is one
        assert copy.deepcopy(one) is one
    nameless = kernel(lambda x: x)
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(nameless)


def test_kernels_keep_name_and_docstring():
    @kernel
    def documented(x):
        """Says what it does."""
        return x

    assert documented.__doc__ == "Says what it does."
    assert documented.__name__ == "documented" and repr(documented).endswith("documented>")


def test_clock_counts_compilation_in_its_own_thread_only():
    @kernel
    def fresh(x):
        return x + 1.0

    before = jit.compile_time()
    fresh(1.0)
    after = jit.compile_time()
    assert after > before
    fresh(1.0)
    assert jit.compile_time() == after

    seen = []
    thread = threading.Thread(target=lambda: (fresh(1), seen.append(jit.compile_time())))
    thread.start()
    thread.join()
    assert seen[0] > 0.0
    assert jit.compile_time() == after


COUNT = """
    import numpy as np
    from fejer import jit, kernel_cache
    from fejer.numerics.elementary import log_sum_exp
    print(float(log_sum_exp(np.zeros(4))), log_sum_exp.stats, jit.compile_time() > 0)
"""


def test_second_process_compiles_nothing(tmp_path):
    first = run(COUNT, NUMBA_CACHE_DIR=str(tmp_path))
    second = run(COUNT, NUMBA_CACHE_DIR=str(tmp_path))
    assert first == "1.3862943611198906 {'loaded': 0, 'compiled': 1} True"
    assert second == "1.3862943611198906 {'loaded': 1, 'compiled': 0} True"


def test_without_a_writable_folder_kernels_still_run(tmp_path):
    occupied = tmp_path / "file"
    occupied.write_text("a file cannot hold a folder, whoever asks")
    where = dict.fromkeys(("NUMBA_CACHE_DIR", "XDG_CACHE_HOME", "HOME"), str(occupied))
    program = COUNT + "    print(kernel_cache.cache_folder())\n"
    for _ in range(2):
        answer = run(program, **where)
        assert answer == "1.3862943611198906 {'loaded': 0, 'compiled': 1} True\nNone"
    assert not list((ROOT / "fejer").rglob("*.nb[ic]"))


def test_disabled_compilation_runs_plain_python():
    program = """
        import sys, numpy as np
        from fejer import jit
        from fejer.numerics.elementary import log_sum_exp, softmax
        out = np.empty(3)
        print(float(softmax(np.array([0.1, 0.2, 0.4]), out)), out.tolist(), jit.disabled())
        print('numba' in sys.modules)
    """
    compiled = run(program, NUMBA_DISABLE_JIT="0").split("\n")
    plain = run(program, NUMBA_DISABLE_JIT="1").split("\n")
    assert (compiled[1], plain[1]) == ("True", "False")
    assert compiled[0].endswith("False") and plain[0].endswith("True")
    strip = str.maketrans("", "", "[],FalseTru")
    np.testing.assert_allclose(
        [float(v) for v in compiled[0].translate(strip).split()],
        [float(v) for v in plain[0].translate(strip).split()],
        rtol=1e-14,
    )


@pytest.fixture
def house(tmp_path):
    """A small copy of the house: one method that calls a shared helper."""
    (tmp_path / "fejer" / "numerics").mkdir(parents=True)
    for name in ("jit.py", "kernel_cache.py"):
        shutil.copy(ROOT / "fejer" / name, tmp_path / "fejer" / name)
    (tmp_path / "fejer" / "__init__.py").write_text("__version__ = '1.2'\n")
    (tmp_path / "fejer" / "numerics" / "__init__.py").write_text("")
    (tmp_path / "fejer" / "numerics" / "scale.py").write_text("FACTOR = 2.0\n")
    (tmp_path / "problems").mkdir()
    family = tmp_path / "solvers" / "family"
    family.mkdir(parents=True)
    helper = "from fejer.jit import kernel\n\n@kernel\ndef helper(x):\n    return 2.0 * x\n"
    (family / "_shared.py").write_text(helper)
    (family / "method.py").write_text(
        "from fejer.jit import kernel\nfrom solvers.family._shared import helper\n\n"
        "@kernel\ndef step(x):\n    return helper(x) + 1.0\n"
    )
    return tmp_path


STEP = """
    from solvers.family.method import step
    from fejer.kernel_cache import cache_folder
    print(step(1.0), step.stats["loaded"], cache_folder().name)
"""


def test_an_edited_helper_is_never_stale(house):
    cache = {"NUMBA_CACHE_DIR": str(house / "cache")}
    shared = house / "solvers" / "family" / "_shared.py"
    original = shared.read_text()
    value, loaded, first = run(STEP, house, **cache).split()
    assert (value, loaded) == ("3.0", "0") and first.startswith("1.2-") and "-numba" in first

    shared.write_text(original.replace("2.0", "200.0"))
    value, loaded, second = run(STEP, house, **cache).split()
    assert (value, loaded) == ("201.0", "0") and second != first

    shared.write_text(original)
    assert run(STEP, house, **cache).split() == ["3.0", "1", first]


def test_three_folders_are_kept(house):
    cache = house / "cache"
    (cache / "somebody-else").mkdir(parents=True)
    scale = house / "fejer" / "numerics" / "scale.py"
    for factor in range(4):
        scale.write_text(f"FACTOR = {factor}\n")
        newest = run(STEP, house, NUMBA_CACHE_DIR=str(cache)).split()[2]
    names = {folder.name for folder in cache.iterdir()}
    assert len(names) == 4 and {"somebody-else", newest} <= names
