"""What is read from records: names, costs, tables."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fejer.evidence import Array

from .suite import Contender, Instance

__all__ = ["Costs", "broken", "costs", "problem", "recipe", "seconds", "solved", "solver", "text"]

Record = dict[str, Any]


def recipe(job: Record) -> str:
    """Return what two runs of one job have in common, whatever the code that made them.

    Parameters
    ----------
    job : dict
        A job of a suite.

    Returns
    -------
    str
        Equal for equal jobs.
    """
    return json.dumps(job, sort_keys=True)


def solver(record: Record) -> str:
    """Return what tables call the contender or the peer.

    Parameters
    ----------
    record : dict
        A record.

    Returns
    -------
    str
        Its name.
    """
    job = record["job"]
    return str(job["peer"]["name"]) if "peer" in job else Contender(**job["contender"]).name


def problem(record: Record) -> str:
    """Return what tables call the instance and its seed.

    Parameters
    ----------
    record : dict
        A record.

    Returns
    -------
    str
        Its name.
    """
    job = record["job"]
    return f"{Instance(**job['instance']).name}, seed {job['seed']}"


def solved(record: Record) -> bool:
    """Whether our certificate of the answer holds: the one meaning of success.

    Parameters
    ----------
    record : dict
        A record.

    Returns
    -------
    bool
        False, too, where a claim was not confirmed.
    """
    return bool(record["certificate"]["holds"]) and bool(record["times"]["wall"])


def seconds(record: Record, clock: str = "wall") -> float:
    """Return the smallest of the timed runs; nan if there is none.

    Parameters
    ----------
    record : dict
        A record.
    clock : {"wall", "cpu", "reference"}
        Which time.

    Returns
    -------
    float
        Seconds.
    """
    return float(min(record["times"][clock], default=math.nan))


@dataclass(frozen=True, eq=False)
class Costs:
    """What each solver paid for each problem; what profiles are made of.

    Attributes
    ----------
    cost : (p, s) array
        inf where the certificate does not hold.
    problems, solvers : tuple of str
        Names of rows and columns.
    left_out : dict of str to str
        Solvers without a column, and why: not run, or not certified anywhere.
    """

    cost: Array
    problems: tuple[str, ...]
    solvers: tuple[str, ...]
    left_out: dict[str, str]


def costs(records: Sequence[Record], what: str = "wall") -> Costs:
    """Collect the costs of certified answers.

    Parameters
    ----------
    records : sequence of dict
        Records of one suite.
    what : {"wall", "cpu", "work", "nit"}, default "wall"
        Seconds, passes over the data (ours alone), iterations (ours alone).

    Returns
    -------
    Costs
        A solver that was skipped, or that is certified nowhere, has no column: the one is not
        slow, and the other has nothing to show. A problem on which one of the others has not been
        run has no row.
    """
    names = list(dict.fromkeys(map(solver, records)))
    problems = list(dict.fromkeys(map(problem, records)))
    cost = np.full((len(problems), len(names)), np.inf)
    run = np.zeros(cost.shape, dtype=bool)
    left_out: dict[str, str] = {}
    for record in records:
        row, column = problems.index(problem(record)), names.index(solver(record))
        run[row, column] = True
        if what in ("work", "nit") and "peer" in record["job"]:
            left_out[names[column]] = "counts no passes over the data"
        elif record["status"] == "SKIPPED":
            left_out[names[column]] = record["reason"]
        elif solved(record):
            paid = seconds(record, what) if what in ("wall", "cpu") else float(record[what])
            cost[row, column] = max(paid, 1e-9)
    for column, name in enumerate(names):
        if not np.isfinite(cost[:, column]).any():
            left_out.setdefault(name, "without a certificate anywhere")
    kept = np.array([i for i, name in enumerate(names) if name not in left_out], dtype=int)
    rows = np.flatnonzero(run[:, kept].all(axis=1))
    return Costs(
        cost[np.ix_(rows, kept)],
        tuple(problems[i] for i in rows),
        tuple(names[i] for i in kept) if rows.size else (),
        dict(sorted(left_out.items())),
    )


def broken(records: Iterable[Record], *, all_solved: bool = False) -> list[str]:
    """List our runs that a user could not rely on.

    Parameters
    ----------
    records : iterable of dict
        Records of one suite.
    all_solved : bool, default False
        List honest failures too.

    Returns
    -------
    list of str
        Runs that claim success where the certificate, recomputed, does not hold, and runs that
        raised an exception.
    """
    wrong = []
    for record in records:
        if "peer" in record["job"]:
            continue
        name = f"{solver(record)} on {problem(record)}"
        value, holds = record["certificate"]["value"], record["certificate"]["holds"]
        if record["status"] == "FAILED":
            wrong.append(f"{name}: {record['reason']}")
        elif record["claims"] and not holds:
            wrong.append(f"{name}: claims success, its certificate is {value:.2e}")
        elif all_solved and not holds:
            wrong.append(f"{name}: {record['status']} at certificate {value:.2e}")
    return wrong


def text(records: Sequence[Record]) -> str:
    """Return the table that ``bench run`` prints.

    Parameters
    ----------
    records : sequence of dict
        Records of one suite.

    Returns
    -------
    str
        One line for each record.
    """
    wide = max([len("problem"), *(len(problem(r)) for r in records)])
    broad = max([len("solver"), *(len(solver(r)) for r in records)])
    head = (
        f"{'problem':{wide}}  {'solver':{broad}}  status        certificate        ms  iterations"
    )
    lines = [head]
    for record in records:
        certificate, milliseconds = record["certificate"], 1e3 * seconds(record)
        mark = " " if certificate["holds"] else "!"
        line = f"{problem(record):{wide}}  {solver(record):{broad}}  {record['status']:12}  "
        if record["reason"]:
            line += record["reason"]
        else:
            nit = record["nit"] or "-"
            line += f"{certificate['value']:10.2e}{mark}  {milliseconds:8.2f}  {nit:>10}"
        lines.append(line)
    return "\n".join(lines)
