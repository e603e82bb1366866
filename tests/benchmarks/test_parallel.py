"""Processes, a cluster, and kills: the same records, none lost and none doubled."""

import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest

from fejer.benchmarks.engine import run
from fejer.benchmarks.store import Store
from fejer.benchmarks.suite import Contender, Instance, Suite
from fejer.benchmarks.suites import load

pytestmark = pytest.mark.slow

SUITE = Suite(
    "parallel",
    "Parallel",
    (Instance("FixedPoint", params={"n": 30}), Instance("FixedPoint", params={"n": 60})),
    (Contender("anderson"), Contender("halpern")),
    seeds=(0, 1, 2),
    repeats=1,
)


def facts(found):
    """What must not depend on how it was run."""
    return {
        record["key"]: (record["nit"], record["work"], record["fun"], record["certificate"])
        for record in found
    }


@pytest.fixture(scope="module")
def serial(tmp_path_factory):
    with Store(tmp_path_factory.mktemp("serial") / "r") as store:
        return facts(run(SUITE, store, progress=False))


def test_processes_give_the_same(tmp_path, serial):
    with Store(tmp_path / "r") as store:
        found = run(SUITE, store, jobs=2, progress=False)
    assert facts(found) == serial
    assert {record["jobs"] for record in found} == {2}


@pytest.mark.filterwarnings("ignore")  # of a library that is not ours
def test_a_cluster_gives_the_same(tmp_path, serial):
    distributed = pytest.importorskip("distributed")
    joblib = pytest.importorskip("joblib")
    settings = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with (
        distributed.LocalCluster(**settings) as cluster,
        distributed.Client(cluster),
        joblib.parallel_config(backend="dask"),
        Store(tmp_path / "r") as store,
    ):
        found = run(SUITE, store, jobs=-1, progress=False)
    assert facts(found) == serial


@pytest.mark.parametrize("jobs", [1, 2])
def test_kills_at_random_moments_lose_and_double_nothing(tmp_path, jobs):
    command = [sys.executable, "-m", "fejer", "bench", "run", "smoke"]
    command += ["--out", str(tmp_path), "--jobs", str(jobs)]
    path = tmp_path / "smoke.jsonl"
    rng = random.Random(jobs)
    before: dict[str, dict] = {}
    for _ in range(5):
        child = subprocess.Popen(
            command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        time.sleep(rng.uniform(3.0, 9.0))
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        kept = Store(path, writable=False).records if path.exists() else {}
        assert {k: kept[k] for k in before} == before  # nothing that was written has gone
        before = kept
    assert subprocess.run(command, stdout=subprocess.DEVNULL).returncode == 0
    lines = [json.loads(line) for line in path.read_bytes().splitlines()]
    keys = [line["key"] for line in lines]
    assert len(keys) == len(set(keys)) == len(list(load("smoke").jobs()))
    assert {k: v for k, v in zip(keys, lines, strict=True) if k in before} == before
