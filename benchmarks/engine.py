"""Run suites: every instance by every contender and rival, resumable, judged by our certificate."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from fejer.errors import FejerError, missing

from . import records as tables
from .servers import absent
from .store import Store
from .suite import Contender, Instance, Peer, Suite
from .suites import load, suites
from .unit import job_key, run_unit

__all__ = ["Contender", "Instance", "Peer", "Suite", "main", "run", "units"]

Record = dict[str, Any]

# What is measured and is no problem and method: name, (module with a ``main``, title).
OTHERS = {
    "house": ("fejer.benchmarks.house", "What the house itself costs: calls, kernels, interrupts"),
    "online": ("fejer.benchmarks.claims.online", "Regret in the stochastic, adversarial models"),
}
FOLDER = "bench-results"


def units(suite: Suite, store: Store, *, peers: bool = False) -> list[list[Record]]:
    """Return the jobs that the store lacks, grouped by instance and seed.

    Parameters
    ----------
    suite : Suite
        The suite.
    store : Store
        What is there already.
    peers : bool, default False
        The rivals' jobs too.

    Returns
    -------
    list of list of dict
        What `run_unit` takes.
    """
    groups: dict[str, list[Record]] = {}
    for job in suite.jobs(peers=peers):
        if job_key(job) not in store.records:
            groups.setdefault(f"{job['instance']}{job['seed']}", []).append(job)
    return list(groups.values())


def run(
    suite: Suite, store: Store, *, jobs: int = 1, peers: bool = False, progress: bool = True
) -> list[Record]:
    """Run what the store lacks and return the records of the suite.

    Parameters
    ----------
    suite : Suite
        What to run.
    store : Store
        Where records are kept; they are written as units finish, by this process alone.
    jobs : int, default 1
        Processes; parallel runs are marked, since they disturb each other's times. Under
        ``joblib.parallel_config(backend="dask")`` the same call runs on a cluster (-1: all of it).
    peers : bool, default False
        Run the rivals too.
    progress : bool, default True
        Print a line for each unit.

    Returns
    -------
    list of dict
        One record for each job of the suite.

    Raises
    ------
    MissingDependencyError
        joblib or threadpoolctl is not installed.
    """
    for library in ("joblib", "threadpoolctl"):
        if absent(library):
            raise missing(library, "benchmarks", "bench")
    todo = units(suite, store, peers=peers)
    begun = time.perf_counter()
    for count, found in enumerate(_finished(todo, jobs), 1):
        for record in found:
            store.add({**record, "jobs": jobs})
        if progress:
            held = sum(r["certificate"]["holds"] for r in found)
            seconds = time.perf_counter() - begun
            print(
                f"{count}/{len(todo)} {tables.problem(found[0])}: "
                f"{held} of {len(found)} certified ({seconds:.0f} s)",
                flush=True,
            )
    wanted = [job_key(job) for job in suite.jobs(peers=peers)]
    return [store.records[k] for k in wanted if k in store.records]


def _finished(todo: list[list[Record]], jobs: int) -> Any:
    if jobs == 1:
        return map(run_unit, todo)
    import joblib

    parallel = joblib.Parallel(n_jobs=jobs, return_as="generator_unordered")
    return parallel(joblib.delayed(run_unit)(unit) for unit in todo)


def main(words: Sequence[str]) -> int:
    """Run one of the commands ``fejer bench list | run | report | compare | export``.

    Parameters
    ----------
    words : sequence of str
        The words after ``fejer bench``.

    Returns
    -------
    int
        0; 1 where a certificate does not hold when it is recomputed, or a comparison fails.
    """
    parser = argparse.ArgumentParser(prog="fejer bench", description="Run and compare suites.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    commands.add_parser("list", help="list the suites").set_defaults(run=_list)

    chosen = commands.add_parser("run", help="run what is missing of a suite, and report")
    _suite(chosen)
    chosen.add_argument("--peers", action="store_true", help="run the rival libraries too")
    chosen.add_argument("--jobs", type=int, default=1, metavar="N", help="processes (default 1)")
    chosen.set_defaults(run=_run)

    chosen = commands.add_parser("report", help="write the page of what has been run")
    _suite(chosen)
    chosen.set_defaults(run=_report)

    chosen = commands.add_parser("compare", help="fail where B is slower than A")
    chosen.add_argument("a", metavar="A", help="a store of records, say SUITE.jsonl")
    chosen.add_argument("b", metavar="B", help="the later one")
    chosen.set_defaults(run=_compare)

    chosen = commands.add_parser("export", help="write a suite as a benchopt benchmark")
    _suite(chosen)
    chosen.add_argument("folder", metavar="DIR", help="a new or empty folder")
    chosen.set_defaults(run=_export)

    told = parser.parse_args(words)
    if getattr(told, "mps", None):
        os.environ["FEJER_MPS"] = str(Path(told.mps).resolve())
    return int(told.run(told))


def _suite(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("suite", metavar="SUITE", help="a name of `bench list`")
    parser.add_argument(
        "--out", default=FOLDER, metavar="DIR", help=f"records and page go here (default {FOLDER})"
    )
    parser.add_argument(
        "--mps", metavar="DIR", help="MPS files for the suite `linear` (default: $FEJER_MPS)"
    )


def _list(told: argparse.Namespace) -> int:
    print(f"{'suite':20}{'jobs':>6}  title; rivals")
    for name, suite in suites().items():
        away = [peer.name for peer in suite.peers if absent(peer.requires)]
        rivals = ", ".join(peer.name for peer in suite.peers)
        text = suite.title + (f"; {rivals}" if rivals else "")
        text += f" (not installed: {', '.join(away)})" if away else ""
        print(f"{name:20}{len(list(suite.jobs())):>6}  {text}")
    for name, (_, title) in OTHERS.items():
        print(f"{name:20}{'':6}  {title}")
    return 0


def _run(told: argparse.Namespace) -> int:
    if told.suite in OTHERS:
        module = import_module(OTHERS[told.suite][0])
        return module.main()  # type: ignore[no-any-return]
    if told.jobs == 0:
        raise FejerError("--jobs: expected a number of processes, or -1 for all cores")
    suite = load(told.suite)
    with Store(Path(told.out) / f"{suite.name}.jsonl") as store:
        found = run(suite, store, jobs=told.jobs, peers=told.peers)
    print(tables.text(found))
    _write(suite, found, told.out)
    wrong = tables.broken(found, all_solved=suite.all_solved)
    for line in wrong:
        print(f"FAILED: {line}")
    return 1 if wrong else 0


def _report(told: argparse.Namespace) -> int:
    suite = load(told.suite)
    path = Path(told.out) / f"{suite.name}.jsonl"
    if not path.exists():
        raise FejerError(f"{path}: no such file; run `fejer bench run {suite.name}` first")
    # by recipe, not by key: what an older revision did is worth a page, too
    kept = {tables.recipe(r["job"]): r for r in Store(path, writable=False).records.values()}
    wanted = [tables.recipe(job) for job in suite.jobs(peers=True)]
    found = [kept[job] for job in wanted if job in kept]
    if not found:
        raise FejerError(f"{path}: holds no record of the suite as it is now")
    _write(suite, found, told.out)
    return 0


def _write(suite: Suite, found: list[Record], folder: str) -> None:
    from .report import page

    target = Path(folder) / f"{suite.name}.html"
    target.write_text(page(suite, found), encoding="utf-8")
    print(f"wrote {target}")


def _compare(told: argparse.Namespace) -> int:
    from .compare import compare

    for path in (told.a, told.b):
        if not Path(path).is_file():
            raise FejerError(f"{path}: no such file")
    before, after = (Store(path, writable=False).records.values() for path in (told.a, told.b))
    comparison = compare(before, after)
    print(comparison)
    return 0 if comparison.passed else 1


def _export(told: argparse.Namespace) -> int:
    from .export import export

    for file in export(load(told.suite), told.folder):
        print(f"wrote {file}")
    return 0
