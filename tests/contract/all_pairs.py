"""Run every method on every problem for a few iterations and print what came of it as JSON.

``python all_pairs.py``; run in processes of its own by the tests beside it.
"""

import json
import sys

import numpy as np

import fejer
from fejer import jit, testing

ITERATIONS = 5


def main():
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
    json.dump({"points": points, "kernels": kernels}, sys.stdout)


if __name__ == "__main__":
    main()
