"""How close certificates come to the truth, and whether they can be fooled by moved points.

``python -m fejer.benchmarks.certificates`` prints one row for each problem class whose certificate
is rigorous: points are moved away from an accurate solution until their true suboptimality is a
given multiple of the scale, and judged. The optimum is that of an independent oracle (cvxpy) where
the class can be stated there, and of our own solution at 1e-10 elsewhere.
"""

from __future__ import annotations

import math
import sys
from statistics import median
from typing import Any

import numpy as np

import fejer
from fejer import testing
from fejer.evidence import Array
from fejer.problem import Problem

__all__ = ["main"]

TOL = 1e-6
LEVELS = (1e-6, 1e-4, 1e-2)


def optimum(problem: Problem, ours: float) -> tuple[float, str]:
    """Return the optimal value by an oracle that is not ours, or ours, and whose it is."""
    try:
        model = problem.to_cvxpy()
        value = float(model.solve(solver="CLARABEL"))
    except (NotImplementedError, ImportError, fejer.ProblemError):
        return ours, "fejer at 1e-10"
    # interior points stop at about 1e-9: ours, where certified lower, is the better number
    return min(ours, value), f"cvxpy ({value - ours:+.1e})"


def points(result: Any, count: int, seed: int) -> list[Array]:
    """Directions from the solution: Gaussian ones, and along the solution itself."""
    rng = np.random.default_rng(seed)
    size = max(1e-3, float(np.abs(result.x).max()))
    found = []
    for i in range(count):
        if i % 3 == 1:
            found.append(result.x * rng.uniform(-1, 1, result.x.size))
        else:
            found.append(size * rng.standard_normal(result.x.size))
    return found


def ratios(problem: Problem, result: Any, best: float, count: int, seed: int) -> list[float]:
    """Certificate value over true relative suboptimality at moved points."""
    found = []
    for direction in points(result, count, seed):
        for level in LEVELS:
            step = level
            for _ in range(60):
                certificate = problem.judge(result.x + step * direction, result.witness)
                truth = (certificate.fun - best) / certificate.scale
                if not math.isfinite(truth) or truth >= level:
                    break
                step *= 1.7
            # A class may fall back to a condition that bounds nothing, and says so: not rigorous.
            rigorous = certificate.rigorous and math.isfinite(certificate.value)
            if rigorous and math.isfinite(truth) and truth >= level:
                found.append(certificate.value / truth)
    return found


def rows(count: int = 50, seed: int = 0) -> list[tuple[str, str, int, float, float, int, int]]:
    """One row a class: oracle, points, smallest and median ratio, moved points, those accepted."""
    table = []
    for cls in testing.problem_classes():
        problem = cls.random()
        result = testing.solution(problem)
        if not result.certificate.rigorous:
            continue
        best, oracle = optimum(problem, result.fun)
        found = ratios(problem, result, best, count, seed)
        moved = list(testing.moved(problem, result, 3 * count, seed))
        accepted = sum(problem.judge(x, witness).holds(TOL) for x, witness in moved)
        if found:
            low, middle = min(found), median(found)
            table.append((cls.__name__, oracle, len(found), low, middle, len(moved), accepted))
    return table


FORMAT = "{:<22} {:<28} {:>6} {:>8} {:>8} {:>6} {:>8}"


def main() -> int:
    """Print the table.

    Returns
    -------
    int
        1 where a point three tolerances from optimal was accepted.
    """
    print(f"fejer {fejer.__version__}: certificate / truth, and points moved to 3 tol")
    print(FORMAT.format("class", "oracle", "points", "min", "median", "moved", "accepted"))
    table = rows()
    for name, oracle, count, low, middle, moved, accepted in table:
        line = (name, oracle, count, f"{low:.2f}", f"{middle:.2f}", moved, accepted)
        print(FORMAT.format(*line))
    return 1 if any(row[-1] for row in table) else 0


if __name__ == "__main__":
    sys.exit(main())
