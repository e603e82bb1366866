"""The exponential and its sums, for kernels.

numba's wheels bring no vector mathematics, so that ``np.exp`` in a loop is one library call per
element.  `exp` is straight-line code that LLVM inlines and vectorises: about three times as fast.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fejer.jit import kernel

__all__ = ["exp", "exp32", "log_sum_exp", "row_log_sum_exp", "sigmoid", "softmax", "softplus"]

LOG2E = 1.4426950408889634
# log 2 in two parts; the first has 32 trailing zero bits, so that k times it is exact.
LN2_HIGH = 6.93147180369123816490e-01
LN2_LOW = 1.90821492927058770002e-10
MAGIC = 6755399441055744.0  # 1.5 * 2**52: adding it rounds to an integer, left in the low bits

LOG2E_32 = np.float32(LOG2E)
LN2_HIGH_32 = np.float32(0.693359375)
LN2_LOW_32 = np.float32(-2.12194440e-4)
MAGIC_32 = np.float32(12582912.0)  # 1.5 * 2**23
LOW_32 = np.float32(-87.0)
HIGH_32 = np.float32(88.0)
ZERO_32 = np.float32(0.0)
# 1/7!, 1/6!, ..., 1/0!
C7, C6, C5, C4, C3, C2, C1 = (np.float32(1.0 / math.factorial(n)) for n in range(7, 0, -1))


def _bit_casts() -> dict[str, Any]:
    """Reinterpret the bits of a float as an integer and back; numba has no function for it."""
    from numba import types
    from numba.extending import intrinsic

    def cast(source: Any, target: Any) -> Any:
        @intrinsic
        def reinterpret(typing_context, value):
            def build(context, builder, signature, arguments):
                return builder.bitcast(arguments[0], context.get_value_type(target))

            return target(source), build

        return reinterpret

    return {
        "bits": cast(types.float64, types.int64),
        "from_bits": cast(types.int64, types.float64),
        "bits32": cast(types.float32, types.int32),
        "from_bits32": cast(types.int32, types.float32),
    }


def _plain_exp(x):
    return math.exp(min(x, 709.0)) if x >= -708.0 or x != x else 0.0


# With "reassoc", adding and subtracting the magic number would be folded away; as a callee with
# flags of its own, exp keeps them when it is inlined.
@kernel(fastmath={"contract", "nsz"}, namespace=_bit_casts, plain=_plain_exp)
def exp(x):
    """Exponential of one float64; error below 1 ulp on [-700, 700].

    Below -708 it is 0 (no denormal numbers arise), above 709 it is exp(709); nan stays nan.
    """
    clamped = -708.0 if x < -708.0 else x
    clamped = 709.0 if clamped > 709.0 else clamped
    shifted = clamped * LOG2E + MAGIC
    k = shifted - MAGIC
    r = clamped - k * LN2_HIGH - k * LN2_LOW
    p = 1.0 / 6227020800.0
    p = p * r + 1.0 / 479001600.0
    p = p * r + 1.0 / 39916800.0
    p = p * r + 1.0 / 3628800.0
    p = p * r + 1.0 / 362880.0
    p = p * r + 1.0 / 40320.0
    p = p * r + 1.0 / 5040.0
    p = p * r + 1.0 / 720.0
    p = p * r + 1.0 / 120.0
    p = p * r + 1.0 / 24.0
    p = p * r + 1.0 / 6.0
    p = p * r + 0.5
    p = p * r + 1.0
    p = p * r + 1.0
    value = from_bits(bits(p) + (bits(shifted) << 52))  # noqa: F821
    return 0.0 if x < -708.0 else value


def _plain_exp32(x):
    x = np.float32(x)
    return np.exp(np.minimum(x, HIGH_32)) if x >= LOW_32 or x != x else ZERO_32


@kernel(fastmath={"contract", "nsz"}, namespace=_bit_casts, plain=_plain_exp32)
def exp32(x):
    """Exponential of one float32, in float32; relative error below 2e-7 on [-87, 88].

    Below -87 it is 0, above 88 it is exp(88); nan stays nan.
    """
    clamped = LOW_32 if x < LOW_32 else x
    clamped = HIGH_32 if clamped > HIGH_32 else clamped
    shifted = clamped * LOG2E_32 + MAGIC_32
    k = shifted - MAGIC_32
    r = clamped - k * LN2_HIGH_32 - k * LN2_LOW_32
    p = C7 * r + C6
    p = p * r + C5
    p = p * r + C4
    p = p * r + C3
    p = p * r + C2
    p = p * r + C1
    p = p * r + C1
    value = from_bits32(bits32(p) + (bits32(shifted) << 23))  # noqa: F821
    return ZERO_32 if x < LOW_32 else value


@kernel
def sigmoid(t):
    """``1 / (1 + exp(-t))``."""
    return 1.0 / (1.0 + exp(-t))


@kernel
def softplus(t):
    """``log(1 + exp(t))`` without overflow or cancellation."""
    return max(t, 0.0) + math.log1p(exp(-abs(t)))


@kernel
def _largest(x):
    # Four independent maxima: one alone is a chain of comparisons that LLVM leaves scalar.
    n = x.size
    a = b = c = d = -np.inf
    for i in range(0, n - 3, 4):
        a = x[i] if x[i] > a else a
        b = x[i + 1] if x[i + 1] > b else b
        c = x[i + 2] if x[i + 2] > c else c
        d = x[i + 3] if x[i + 3] > d else d
    for i in range(n - n % 4, n):
        a = x[i] if x[i] > a else a
    return max(max(a, b), max(c, d))


@kernel
def log_sum_exp(x):
    """``log sum_i exp(x_i)`` of a vector, without overflow; -inf entries are allowed."""
    top = _largest(x)
    shift = top if abs(top) < np.inf else 0.0
    total = 0.0
    for i in range(x.size):
        total += exp(x[i] - shift)
    if total > 0.0 and top < np.inf:
        return shift + math.log(total)
    return total if total != total else top


@kernel
def row_log_sum_exp(X, out):
    """``out_i = log sum_j exp(X_ij)`` for each row of a matrix in C order."""
    for i in range(X.shape[0]):
        out[i] = log_sum_exp(X[i])


@kernel
def softmax(x, out):
    """``out_i = exp(x_i) / sum_j exp(x_j)``; returns the log of the sum.  `out` may be `x`."""
    top = _largest(x)
    total = 0.0
    for i in range(x.size):
        out[i] = exp(x[i] - top)
        total += out[i]
    for i in range(x.size):
        out[i] /= total
    return top + math.log(total)
