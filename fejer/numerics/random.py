"""Random numbers inside kernels: the generator xoshiro256+ on four words of a `State`.

numba's own generator is one per thread: a run could neither be split nor resumed with it.

References
----------
.. [1] D. Blackman, S. Vigna (2021). Scrambled linear pseudorandom number generators, ACM
   Transactions on Mathematical Software 47(4), arXiv:1805.01407.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from fejer.jit import kernel

__all__ = ["below", "next_uint64", "normal", "permute", "seed_state", "uniform"]

MASK = (1 << 64) - 1
SHIFT, ROTATE_LEFT, ROTATE_RIGHT = np.uint64(17), np.uint64(45), np.uint64(19)
TOP_53 = np.uint64(11)
TWO_PI = 2.0 * math.pi


def seed_state(rng: np.random.Generator) -> NDArray[np.uint64]:
    """Draw a state for the kernels of this module.

    Parameters
    ----------
    rng : numpy.random.Generator
        Gives the four words.

    Returns
    -------
    ndarray of uint64, shape (4,)
        The state; each kernel advances it in place.

    Examples
    --------
    >>> import numpy as np
    >>> from fejer.numerics.random import seed_state, uniform
    >>> state = seed_state(np.random.default_rng(0))
    >>> 0.0 <= uniform(state) < 1.0
    True
    """
    state = rng.integers(0, MASK, size=4, dtype=np.uint64, endpoint=True)
    state[0] |= np.uint64(1)  # four zeros would stay zeros
    return state


def _plain_next(state):
    """The same words by Python integers: numpy's scalars warn where words wrap around."""
    a, b, c, d = (int(word) for word in state)
    result = (a + d) & MASK
    shifted = (b << 17) & MASK
    c ^= a
    d ^= b
    b ^= c
    a ^= d
    c ^= shifted
    d = ((d << 45) | (d >> 19)) & MASK
    state[0], state[1], state[2], state[3] = a, b, c, d
    return np.uint64(result)


@kernel(plain=_plain_next)
def next_uint64(state):
    """64 random bits; the lowest ones are weak, so take numbers from the top."""
    result = state[0] + state[3]
    shifted = state[1] << SHIFT
    state[2] ^= state[0]
    state[3] ^= state[1]
    state[1] ^= state[2]
    state[0] ^= state[3]
    state[2] ^= shifted
    state[3] = (state[3] << ROTATE_LEFT) | (state[3] >> ROTATE_RIGHT)
    return result


@kernel
def uniform(state):
    """Uniform number in [0, 1), a multiple of 2**-53."""
    return float(next_uint64(state) >> TOP_53) * (1.0 / 9007199254740992.0)


@kernel
def below(state, n):
    """Uniform integer in 0, ..., n - 1, for n up to 2**31; its bias is at most n 2**-53."""
    return int(uniform(state) * n)


@kernel
def normal(state):
    """Standard normal number, by the Box-Muller formula (two uniform numbers each)."""
    radius = math.sqrt(-2.0 * math.log(1.0 - uniform(state)))
    return radius * math.cos(TWO_PI * uniform(state))


@kernel
def permute(state, indices):
    """Shuffle `indices` in place (Fisher-Yates)."""
    for i in range(indices.size - 1, 0, -1):
        j = below(state, i + 1)
        indices[i], indices[j] = indices[j], indices[i]
