"""The store: whole lines, one writer, keys that change with what decides the outcome."""

import json
import subprocess
import sys

import pytest

from fejer.benchmarks import store as module
from fejer.benchmarks.store import Store, StoreError, key


def lines(path):
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def test_records_are_read_back(tmp_path):
    path = tmp_path / "deep" / "records.jsonl"
    with Store(path) as store:
        store.add({"key": "a", "nit": 1})
        store.add({"key": "b", "value": float("inf")})
    with Store(path) as store:
        assert len(store) == 2
        assert store.records["b"]["value"] == float("inf")


def test_of_equal_keys_the_later_counts(tmp_path):
    with Store(tmp_path / "r") as store:
        store.add({"key": "a", "nit": 1})
        store.add({"key": "a", "nit": 2})
    assert Store(tmp_path / "r", writable=False).records["a"]["nit"] == 2


@pytest.mark.parametrize("torn", [b'{"key": "c", "ni', b"{", b"\xff\xfe", b'{"key": "c"}'])
def test_a_torn_last_line_is_skipped_and_written_over(tmp_path, torn):
    path = tmp_path / "r"
    with Store(path) as store:
        store.add({"key": "a"})
    with open(path, "ab") as file:
        file.write(torn)
    assert set(Store(path, writable=False).records) == {"a"}
    with Store(path) as store:
        assert set(store.records) == {"a"}
        store.add({"key": "b"})
    assert [line["key"] for line in lines(path)] == ["a", "b"]


def test_lines_that_are_no_records_are_skipped(tmp_path):
    path = tmp_path / "r"
    path.write_bytes(b'{"key": "a"}\n[1]\n{}\n\nnot json\n{"key": "b"}\n')
    assert set(Store(path, writable=False).records) == {"a", "b"}


def test_two_writers_are_refused_with_a_message(tmp_path):
    path = tmp_path / "r"
    with Store(path) as store:
        store.add({"key": "a"})
        with pytest.raises(StoreError, match="another process is writing this store"):
            Store(path)
        assert set(Store(path, writable=False).records) == {"a"}
    Store(path).close()


def test_the_lock_dies_with_its_process(tmp_path):
    path = tmp_path / "r"
    code = (
        "import sys, time\n"
        "from fejer.benchmarks.store import Store\n"
        "store = Store(sys.argv[1]); store.add({'key': 'a'}); print('ready', flush=True)\n"
        "time.sleep(600)\n"
    )
    child = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE)
    assert child.stdout.readline() == b"ready\n"
    with pytest.raises(StoreError):
        Store(path)
    child.kill()
    child.wait()
    child.stdout.close()
    with Store(path) as store:
        assert set(store.records) == {"a"}


def test_a_store_for_reading_does_not_write(tmp_path):
    with pytest.raises(StoreError, match="opened for reading"):
        Store(tmp_path / "none", writable=False).add({"key": "a"})
    assert not (tmp_path / "none").exists()


def test_keys_tell_jobs_sources_versions_and_machines_apart(monkeypatch):
    keys = {
        key({"a": 1}),
        key({"a": 2}),
        key({"a": 1}, ["fejer.driver"]),
        key({"a": 1}, [], ["numpy"]),
        key({"a": 1}, [], [], ["fejer.rates"]),
    }
    assert len(keys) == 5
    assert key({"a": 1, "b": 2}) == key({"b": 2, "a": 1})
    before = key({"a": 1})
    monkeypatch.setattr(module, "machine", lambda: {"processor": "another"})
    assert key({"a": 1}) != before


def test_keys_change_with_the_source(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    file = tmp_path / "a_source_of_this_test.py"
    file.write_text("x = 1\n")
    before = key({}, ["a_source_of_this_test"])
    file.write_text("x = 2\n")
    module._source.cache_clear()
    assert key({}, ["a_source_of_this_test"]) != before


def test_the_machine_is_described():
    told = module.machine()
    assert told["cores"] >= 1 and told["processor"] and told["python"]
    assert json.loads(json.dumps(told)) == told
