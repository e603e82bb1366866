"""Run every method on every problem for a few iterations and print what came of it as JSON.

``python all_pairs.py``; run in processes of its own by the tests beside it.  Without compilation
the calls of kernels, those of one kernel by another included, are looked at: machine code is made
on the promise that an array that a kernel writes shares no memory with its other arguments.
"""

import itertools
import json
import sys

import numpy as np

import fejer
from fejer import jit, testing

ITERATIONS = 5


def arrays(values):
    """All arrays among the arguments, those in tuples included."""
    for value in values:
        if isinstance(value, tuple | list):
            yield from arrays(value)
        elif isinstance(value, np.ndarray) and value.size:
            yield value


def watch():
    """Note kernels that break the promise; return the set that grows."""
    broken = set()
    call = jit.Kernel.__call__

    def watched(self, *args):
        if self.shared:
            return call(self, *args)
        taken = list(arrays(args))
        shared = [
            (first, second, first.copy(), second.copy())
            for first, second in itertools.combinations(taken, 2)
            if np.shares_memory(first, second)
        ]
        result = call(self, *args)
        for first, second, old_first, old_second in shared:
            if not (
                np.array_equal(first, old_first, equal_nan=True)
                and np.array_equal(second, old_second, equal_nan=True)
            ):
                broken.add(f"{self!r} writes an array that it was given twice")
        returned = result if isinstance(result, tuple) else (result,)
        if any(np.shares_memory(new, old) for new in arrays(returned) for old in taken):
            broken.add(f"{self!r} returns memory of its arguments")
        return result

    jit.Kernel.__call__ = watched
    return broken


def main():
    broken = watch() if jit.disabled() else set()
    points = {}
    for method, cls in testing.pairs():
        options = {"tol": 0.0, "max_iter": 1 if method.one_shot else ITERATIONS}
        result = fejer.minimize(cls.random(), method=method, **options)
        points[f"{method.name} on {cls.__name__}"] = np.asarray(result.x).tolist()
    kernels = {
        f"{kernel.__module__}.{kernel.__qualname__}": {
            "signatures": [str(signature) for signature in kernel.signatures],
            "compiled": kernel.stats["compiled"],
        }
        for kernel in jit.kernels()
    }
    json.dump({"points": points, "kernels": kernels, "broken": sorted(broken)}, sys.stdout)


if __name__ == "__main__":
    main()
