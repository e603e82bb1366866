"""xoshiro256+ for kernels, against an independent implementation and against its laws."""

import os
import subprocess
import sys

import numpy as np
from scipy import stats

from fejer.jit import kernel
from fejer.numerics import random


@kernel
def fill(state, uniforms, normals, integers):
    for i in range(uniforms.size):
        uniforms[i] = random.uniform(state)
    for i in range(normals.size):
        normals[i] = random.normal(state)
    for i in range(integers.size):
        integers[i] = random.below(state, 7)


def reference(words, count):
    """The published C program, by Python integers."""
    mask = 2**64 - 1
    s = [int(w) for w in words]
    out = []
    for _ in range(count):
        out.append((s[0] + s[3]) & mask)
        t = (s[1] << 17) & mask
        s[2] ^= s[0]
        s[3] ^= s[1]
        s[1] ^= s[2]
        s[0] ^= s[3]
        s[2] ^= t
        s[3] = ((s[3] << 45) | (s[3] >> 19)) & mask
    return out


def test_words_are_those_of_the_published_generator():
    state = random.seed_state(np.random.default_rng(1))
    expected = reference(state, 100)
    assert [int(random.next_uint64(state)) for _ in range(100)] == expected


def test_seed_decides():
    one, two, other = (random.seed_state(np.random.default_rng(s)) for s in (3, 3, 4))
    assert one.dtype == np.uint64 and one.shape == (4,)
    assert one.tobytes() == two.tobytes() != other.tobytes()


def test_distributions():
    state = random.seed_state(np.random.default_rng(5))
    uniforms, normals, integers = np.empty(50_000), np.empty(50_000), np.empty(70_000, dtype=int)
    fill(state, uniforms, normals, integers)
    assert 0.0 <= uniforms.min() and uniforms.max() < 1.0
    assert stats.kstest(uniforms, "uniform").pvalue > 0.01
    assert stats.kstest(normals, "norm").pvalue > 0.01
    counts = np.bincount(integers, minlength=7)
    assert counts.size == 7 and stats.chisquare(counts).pvalue > 0.01


def test_permute_is_uniform_over_permutations():
    state = random.seed_state(np.random.default_rng(6))
    seen = {}
    for _ in range(6000):
        indices = np.arange(3)
        random.permute(state, indices)
        seen[tuple(indices.tolist())] = seen.get(tuple(indices.tolist()), 0) + 1
    assert len(seen) == 6 and stats.chisquare(list(seen.values())).pvalue > 0.01


def test_plain_python_draws_the_same_numbers():
    program = (
        "import warnings; warnings.simplefilter('error')\n"
        "import numpy as np\n"
        "from fejer.numerics import random as r\n"
        "s = r.seed_state(np.random.default_rng(7)); p = np.arange(9)\n"
        "r.permute(s, p)\n"
        "print([r.uniform(s), r.normal(s), float(r.below(s, 1000)), *map(int, p), *map(int, s)])\n"
    )
    answers = [
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "NUMBA_DISABLE_JIT": flag},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for flag in ("0", "1")
    ]
    compiled, plain = (eval(a) for a in answers)
    np.testing.assert_allclose(compiled[:2], plain[:2], rtol=1e-14)
    assert compiled[2:] == plain[2:]
