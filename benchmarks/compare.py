"""Two stores of one suite: is the later one slower?

Iterations and work are counts and must agree exactly. Times are noisy: a single job may differ by a
fifth with nothing changed, the geometric mean over twenty jobs by three per cent.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from fejer.errors import FejerError

from . import records as tables

__all__ = ["FEWEST_JOBS", "LIMIT", "Comparison", "compare"]

Record = dict[str, Any]

LIMIT = 1.05
FEWEST_JOBS = 20


@dataclass(frozen=True, eq=False)
class Comparison:
    """What `compare` found.

    Attributes
    ----------
    ratios : dict of str to float
        Smallest CPU time in B over that in A, by job; each in units of the reference work that was
        timed in turn with it, so that a machine which others slow down is no slower revision.
    ratio : float
        Their geometric mean; nan if there is none.
    counts : list of str
        Jobs whose iterations or work differ.
    lost : list of str
        Jobs that are certified in A and not in B.
    only : tuple of int
        Number of our jobs in A alone and in B alone.
    parallel : bool
        Times were taken while other jobs ran.
    """

    ratios: dict[str, float]
    ratio: float
    counts: list[str]
    lost: list[str]
    only: tuple[int, int]
    parallel: bool

    @property
    def timed(self) -> bool:
        """Whether there are enough jobs to judge by time."""
        return len(self.ratios) >= FEWEST_JOBS

    @property
    def passed(self) -> bool:
        """Whether counts agree, nothing was lost, and the mean ratio is within the limit."""
        slower = self.timed and not self.ratio <= LIMIT
        return not (self.counts or self.lost or slower)

    def __str__(self) -> str:
        lines = [f"{name}: {ratio:6.3f}" for name, ratio in sorted(self.ratios.items())]
        lines += [f"DIFFERS {line}" for line in self.counts]
        lines += [f"LOST {line}" for line in self.lost]
        if any(self.only):
            lines.append(f"jobs in A alone: {self.only[0]}, in B alone: {self.only[1]}")
        if self.parallel:
            lines.append("caution: some runs were parallel, and their times disturbed each other")
        gate = f"limit {LIMIT}" if self.timed else f"not judged: fewer than {FEWEST_JOBS} jobs"
        lines.append(
            f"CPU time B / A: geometric mean {self.ratio:.4f} over {len(self.ratios)} jobs ({gate})"
        )
        lines.append("passed" if self.passed else "FAILED")
        return "\n".join(lines)


def compare(before: Iterable[Record], after: Iterable[Record]) -> Comparison:
    """Compare our runs in two stores, job by job.

    Parameters
    ----------
    before, after : iterable of dict
        Records: of two revisions, say, on one machine.

    Returns
    -------
    Comparison
        With the verdict.

    Raises
    ------
    FejerError
        The two have no job in common.
    """
    a, b = _ours(before), _ours(after)
    common = [job for job in a if job in b]
    if not common:
        raise FejerError("the two stores have no job of ours in common")
    ratios: dict[str, float] = {}
    counts, lost = [], []
    for job in common:
        old, new = a[job], b[job]
        name = f"{tables.solver(old)} on {tables.problem(old)}"
        if tables.solved(old) and not tables.solved(new):
            lost.append(f"{name}: {new['status']} {new['reason']}".rstrip())
        if {"MAX_TIME", "FAILED"} & {old["status"], new["status"]}:
            continue  # where the clock ended a run, its counts and its time mean nothing
        for count in ("nit", "work"):
            if old[count] != new[count]:
                counts.append(f"{name}: {count} {old[count]:g} -> {new[count]:g}")
        ratios[name] = _cost(new) / max(_cost(old), 1e-9)
    logs = [math.log(max(ratio, 1e-9)) for ratio in ratios.values()]
    return Comparison(
        ratios,
        math.exp(sum(logs) / len(logs)) if logs else math.nan,
        counts,
        lost,
        (len(a) - len(common), len(b) - len(common)),
        any(record["jobs"] != 1 for side in (a, b) for record in side.values()),
    )


def _cost(record: Record) -> float:
    return tables.seconds(record, "cpu") / tables.seconds(record, "reference")


def _ours(records: Iterable[Record]) -> dict[str, Record]:
    """Records of contenders by recipe: the key of a store changes with the code, a recipe not."""
    return {
        tables.recipe(record["job"]): record for record in records if "peer" not in record["job"]
    }
